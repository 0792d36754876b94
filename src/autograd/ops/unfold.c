/*
 * autograd/ops/unfold.c: overlapping windows of a dimension, and the patches of images that a
 * kernel covers. Each op's gradient adds up what overlaps; its own gradient is the op again.
 */
#include "autograd/ops/ops.h"

/* ---- windows of one dimension ---- */

typedef struct window {
    int dim;
    int64_t size, step, count; /* count windows */
} window;

/* x seen as its windows, whose places are a new last dimension. */
static mn_tensor windows(const mn_tensor *x, const window *w)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS];
    const mn_tensor starts = mni_part(x, w->dim, 0, w->step, w->count);
    for (int d = 0; d < x->ndim; d++) {
        shape[d] = starts.shape[d];
        strides[d] = starts.strides[d];
    }
    shape[x->ndim] = w->size;
    strides[x->ndim] = x->strides[w->dim];
    return mni_look(x, x->ndim + 1, shape, strides);
}

static mn_tensor *fold_dim(mn_tape *t, mn_tensor *g, int ndim, const int64_t *shape,
                           const window *w);

static void unfold_dim_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    gx[0] = fold_dim(t, gy[0], ndim, shape, mn_saved_data(n));
}
static const mn_op unfold_dim_op = {.name = "unfold_dim", .backward = unfold_dim_backward};

mn_tensor *mn_unfold_dim(mn_tape *t, mn_tensor *x, int dim, int64_t size, int64_t step)
{
    if (!mni_begin(t, &unfold_dim_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    char text[MNI_TEXT];
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    if (size < 0 || size > x->shape[dim] || step < 1)
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "no windows of size %lld with step %lld in dimension %d of %s",
                            (long long)size, (long long)step, dim, text);
    if (x->ndim == MN_MAX_DIMS)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s has %d dimensions already", text, MN_MAX_DIMS);
    const window w = {dim, size, step, (x->shape[dim] - size) / step + 1};
    const mn_tensor seen = windows(x, &w);
    mn_tensor *y = mn_op_view(t, x, seen.ndim, seen.shape, seen.strides, 0);
    mn_node *n = mn_op_record(t, &unfold_dim_op, &x, 1, &y, 1);
    mn_save_data(n, &w, sizeof w);
    return mn_op_end(t, y);
}

static void fold_dim_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const window *w = mn_saved_data(n);
    gx[0] = mn_unfold_dim(t, gy[0], w->dim, w->size, w->step);
}
static const mn_op fold_dim_op = {.name = "fold_dim", .backward = fold_dim_backward};

/* Zeros of that shape, to whose windows g is added. Every k-th window, k steps being no less than
 * the size, is added at once: those do not overlap. */
static mn_tensor *fold_dim(mn_tape *t, mn_tensor *g, int ndim, const int64_t *shape,
                           const window *w)
{
    if (!mni_begin(t, &fold_dim_op, &g, 1)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)g->dtype, ndim, shape);
    if (y) {
        mni_fill(mni_tape_team(t), y, 0);
        const mn_tensor all = windows(y, w);
        const int64_t k = w->size > 0 ? (w->size - 1) / w->step + 1 : 0;
        for (int64_t i = 0; i < k && i < w->count; i++) {
            const int64_t count = (w->count - 1 - i) / k + 1;
            const mn_tensor from = mni_part(g, w->dim, i, k, count);
            mn_tensor to = mni_part(&all, w->dim, i, k, count);
            mni_map2(mni_tape_team(t), mni_kernels()->add, &to, &from, &to, NULL);
        }
    }
    mn_node *n = mn_op_record(t, &fold_dim_op, &g, 1, &y, 1);
    mn_save_data(n, w, sizeof *w);
    return mn_op_end(t, y);
}

/* ---- patches of images ---- */

/* [0]: height, [1]: width. */
typedef struct patches {
    int64_t n, c, image[2], kernel[2], count[2]; /* the kernel has count positions */
    mn_unfold_opts opts;
} patches;

/* Along axis a: the part of the image that element k of the kernel covers at all its positions, and
 * of the blocks that have it. Positions in the padding fall away. */
static void cover(const patches *p, int a, int64_t k, mn_tensor *image, mn_tensor *blocks)
{
    const int64_t stride = p->opts.stride[a], origin = k * p->opts.dilation[a] - p->opts.padding[a];
    const int64_t first = origin < 0 ? (-origin + stride - 1) / stride : 0;
    const int64_t end = origin < p->image[a] ? (p->image[a] - 1 - origin) / stride + 1 : 0;
    int64_t count = (end < p->count[a] ? end : p->count[a]) - first;
    if (count < 0) count = 0;
    *image = mni_part(image, 4 + a, count > 0 ? origin + first * stride : 0, stride, count);
    *blocks = mni_part(blocks, 4 + a, count > 0 ? first : 0, 1, count);
}

/* images [n, c, 1, 1, h, w] -> blocks [n, c, kernel_h, kernel_w, l_h, l_w], one element of the
 * kernel at a time; or, `fold`, the blocks are added to the images. */
static void move(mni_team *team, const patches *p, const mn_tensor *images, const mn_tensor *blocks,
                 bool fold)
{
    for (int64_t i = 0; i < p->kernel[0] * p->kernel[1]; i++) {
        const int64_t k[2] = {i / p->kernel[1], i % p->kernel[1]};
        mn_tensor image = *images, block = *blocks;
        for (int a = 0; a < 2; a++) {
            block = mni_part(&block, 2 + a, k[a], 1, 1);
            cover(p, a, k[a], &image, &block);
        }
        if (fold)
            mni_map2(team, mni_kernels()->add, &image, &block, &image, NULL);
        else
            mni_copy(team, &image, &block);
    }
}

/* Views of n times c images and of their blocks, from the tensors that users see. */
static mn_tensor images_of(const mn_tensor *x, const patches *p)
{
    const int64_t *s = x->strides + x->ndim - 3;
    return mni_look(x, 6, (int64_t[]){p->n, p->c, 1, 1, p->image[0], p->image[1]},
                    (int64_t[]){x->ndim == 4 ? x->strides[0] : 0, s[0], 0, 0, s[1], s[2]});
}

static mn_tensor blocks_of(const mn_tensor *x, const patches *p)
{
    const int64_t row = x->strides[x->ndim - 2], column = x->strides[x->ndim - 1];
    return mni_look(x, 6,
                    (int64_t[]){p->n, p->c, p->kernel[0], p->kernel[1], p->count[0], p->count[1]},
                    (int64_t[]){x->ndim == 3 ? x->strides[0] : 0, row * p->kernel[0] * p->kernel[1],
                                row * p->kernel[1], row, column * p->count[1], column});
}

/* Completes a plan of which images and kernel are known. */
static bool plan(mn_tape *t, patches *p, mn_dtype dtype, const mn_unfold_opts *opts)
{
    if (opts) p->opts = *opts;
    const mni_kernel k = {p->image,        p->kernel,        p->opts.stride,
                          p->opts.padding, p->opts.dilation, p->count};
    if (!mni_require_places(t, 2, &k, false)) return false;
    char text[MNI_TEXT + 64];
    int64_t numel, shape[] = {p->n, p->c, p->kernel[0], p->kernel[1], p->count[0], p->count[1]};
    mn_error e = mni_check_shape(dtype, 6, shape, &numel, text, sizeof text);
    if (e) mn_tape_fail(t, e, "blocks: %s", text);
    return e == MN_OK;
}

static void unfold_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const patches *p = mn_saved_data(n);
    gx[0] = mn_fold(t, gy[0], p->image[0], p->image[1], p->kernel[0], p->kernel[1], &p->opts);
}
static const mn_op unfold_op = {.name = "unfold", .backward = unfold_backward};

mn_tensor *mn_unfold(mn_tape *t, mn_tensor *x, int64_t kernel_h, int64_t kernel_w,
                     const mn_unfold_opts *opts)
{
    if (!mni_begin(t, &unfold_op, &x, 1)) return NULL;
    char text[MNI_TEXT];
    if (x->ndim != 3 && x->ndim != 4)
        return mn_tape_fail(t, MN_ERR_SHAPE, "%s is not [N, C, H, W] or [C, H, W]",
                            mni_shape_text(text, sizeof text, x->ndim, x->shape));
    const int64_t *size = x->shape + x->ndim - 3;
    patches p = {.n = x->ndim == 4 ? x->shape[0] : 1,
                 .c = size[0],
                 .image = {size[1], size[2]},
                 .kernel = {kernel_h, kernel_w}};
    if (!plan(t, &p, (mn_dtype)x->dtype, opts)) return NULL;
    const int64_t shape[] = {p.n, p.c * kernel_h * kernel_w, p.count[0] * p.count[1]};
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim - 1, shape + 4 - x->ndim);
    if (y) {
        const mn_tensor images = images_of(x, &p), blocks = blocks_of(y, &p);
        if (p.opts.padding[0] > 0 || p.opts.padding[1] > 0) mni_fill(mni_tape_team(t), y, 0);
        move(mni_tape_team(t), &p, &images, &blocks, false);
    }
    mn_node *n = mn_op_record(t, &unfold_op, &x, 1, &y, 1);
    mn_save_data(n, &p, sizeof p);
    return mn_op_end(t, y);
}

static void fold_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const patches *p = mn_saved_data(n);
    gx[0] = mn_unfold(t, gy[0], p->kernel[0], p->kernel[1], &p->opts);
}
static const mn_op fold_op = {.name = "fold", .backward = fold_backward};

mn_tensor *mn_fold(mn_tape *t, mn_tensor *x, int64_t out_h, int64_t out_w, int64_t kernel_h,
                   int64_t kernel_w, const mn_unfold_opts *opts)
{
    if (!mni_begin(t, &fold_op, &x, 1)) return NULL;
    char text[MNI_TEXT];
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    if (x->dtype == MN_BOOL)
        return mn_tape_fail(t, MN_ERR_DTYPE, "adds, and does not take %s", mn_dtype_name(MN_BOOL));
    if (x->ndim != 2 && x->ndim != 3)
        return mn_tape_fail(t, MN_ERR_SHAPE, "%s is not [N, C kernel_h kernel_w, L] or without N",
                            text);
    const int64_t *size = x->shape + x->ndim - 2;
    patches p = {.n = x->ndim == 3 ? x->shape[0] : 1,
                 .image = {out_h, out_w},
                 .kernel = {kernel_h, kernel_w}};
    if (!plan(t, &p, (mn_dtype)x->dtype, opts)) return NULL;
    p.c = size[0] / (kernel_h * kernel_w);
    if (p.c * kernel_h * kernel_w != size[0] || p.count[0] * p.count[1] != size[1])
        return mn_tape_fail(t, MN_ERR_SHAPE,
                            "%s: needed are a multiple of %lld x %lld rows and %lld x %lld columns",
                            text, (long long)kernel_h, (long long)kernel_w, (long long)p.count[0],
                            (long long)p.count[1]);
    const int64_t shape[] = {p.n, p.c, out_h, out_w};
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim + 1, shape + 3 - x->ndim);
    if (y) {
        const mn_tensor images = images_of(y, &p), blocks = blocks_of(x, &p);
        mni_fill(mni_tape_team(t), y, 0);
        move(mni_tape_team(t), &p, &images, &blocks, true);
    }
    mn_node *n = mn_op_record(t, &fold_op, &x, 1, &y, 1);
    mn_save_data(n, &p, sizeof p);
    return mn_op_end(t, y);
}
