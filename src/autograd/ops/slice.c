/*
 * autograd/ops/slice.c: parts of a tensor, all views. One part has the op "embed" as its gradient,
 * several parts made at once one op "cat" for all.
 */
#include "autograd/ops/ops.h"

/* ---- one part: narrow, select, slice ---- */

/* Positions start, start + step, ... of dimension dim, or one position and the dimension dropped. */
typedef struct part {
    int dim;
    bool dropped;
    int64_t start, step, length;
} part;

static mn_tensor look(const mn_tensor *x, const part *p)
{
    return p->dropped ? mni_plane(x, p->dim, p->start)
                      : mni_part(x, p->dim, p->start, p->step, p->length);
}

static mn_tensor *embed(mn_tape *t, mn_tensor *g, int ndim, const int64_t *shape, const part *p);

static void part_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    gx[0] = embed(t, gy[0], ndim, shape, mn_saved_data(n));
}

/* Adds gy where it belongs, so that many slices of one parameter cost no more than they have
 * elements. */
static void part_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    bool accumulate;
    gx[0] = mn_grad_into(n, 0, &accumulate);
    if (!gx[0]) return;
    if (!accumulate) mni_fill(mni_tape_team(t), gx[0], 0);
    mn_tensor to = look(gx[0], mn_saved_data(n));
    mni_map2(mni_tape_team(t), mni_kernels()->add, &to, gy[0], &to, NULL);
}
static const mn_op narrow_op = {
    .name = "narrow", .backward = part_backward, .backward_fast = part_backward_fast};
static const mn_op select_op = {
    .name = "select", .backward = part_backward, .backward_fast = part_backward_fast};
static const mn_op slice_op = {
    .name = "slice", .backward = part_backward, .backward_fast = part_backward_fast};

static mn_tensor *take(mn_tape *t, const mn_op *op, mn_tensor *x, const part *p)
{
    const mn_tensor seen = look(x, p);
    mn_tensor *y =
        mn_op_view(t, x, seen.ndim, seen.shape, seen.strides, p->start * x->strides[p->dim]);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save_data(n, p, sizeof *p);
    return mn_op_end(t, y);
}

mn_tensor *mn_narrow(mn_tape *t, mn_tensor *x, int dim, int64_t start, int64_t length)
{
    if (!mni_begin(t, &narrow_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    if (start < 0 || length < 0)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "start %lld and length %lld may not be negative",
                            (long long)start, (long long)length);
    if (length > x->shape[dim] || start > x->shape[dim] - length)
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "start %lld + length %lld exceeds size %lld of dimension %d",
                            (long long)start, (long long)length, (long long)x->shape[dim], dim);
    return take(t, &narrow_op, x, &(part){dim, false, start, 1, length});
}

mn_tensor *mn_select(mn_tape *t, mn_tensor *x, int dim, int64_t index)
{
    if (!mni_begin(t, &select_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    int64_t size = x->shape[dim];
    char text[MNI_TEXT];
    if (index < -size || index >= size)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "index %lld is outside dimension %d of %s",
                            (long long)index, dim,
                            mni_shape_text(text, sizeof text, x->ndim, x->shape));
    return take(t, &select_op, x, &(part){dim, true, index < 0 ? index + size : index, 1, 1});
}

static int64_t clamped(int64_t i, int64_t size)
{
    if (i < 0) i = i < -size ? 0 : i + size;
    return i < size ? i : size;
}

mn_tensor *mn_slice(mn_tape *t, mn_tensor *x, int dim, int64_t start, int64_t end, int64_t step)
{
    if (!mni_begin(t, &slice_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    if (step < 1)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "step %lld is not at least 1", (long long)step);
    start = clamped(start, x->shape[dim]);
    end = clamped(end, x->shape[dim]);
    int64_t length = end > start ? (end - start - 1) / step + 1 : 0;
    return take(t, &slice_op, x, &(part){dim, false, start, step, length});
}

/* ---- their gradient: zeros of that shape, with g as that part ---- */

static void embed_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    if (mni_begin(t, &slice_op, gy, 1)) gx[0] = take(t, &slice_op, gy[0], mn_saved_data(n));
}
static const mn_op embed_op = {.name = "embed", .backward = embed_backward};

static mn_tensor *embed(mn_tape *t, mn_tensor *g, int ndim, const int64_t *shape, const part *p)
{
    if (!mni_begin(t, &embed_op, &g, 1)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)g->dtype, ndim, shape);
    if (y) {
        mn_tensor to = look(y, p);
        mni_fill(mni_tape_team(t), y, 0);
        mni_copy(mni_tape_team(t), g, &to);
    }
    mn_node *n = mn_op_record(t, &embed_op, &g, 1, &y, 1);
    mn_save_data(n, p, sizeof *p);
    return mn_op_end(t, y);
}

/* ---- several parts: split, chunk ---- */

/* One cat of what arrived, with zeros (of stride 0) for outputs that were not used. */
static void split_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    enum { FEW = 16 };
    mn_tensor *few[FEW], **parts = few;
    if (n->n_out > FEW) parts = mni_arena_take(&t->arena, (size_t)n->n_out * sizeof *parts);
    if (!parts) {
        mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the backward pass");
        return;
    }
    for (int k = 0; k < n->n_out; k++) {
        const mni_output *out = &n->out[k];
        parts[k] = gy[k];
        if (parts[k]) continue;
        parts[k] = mn_expand(t, mn_zeros(t, (mn_dtype)out->dtype, 0, NULL), out->ndim, out->shape);
    }
    gx[0] = mn_cat(t, parts, n->n_out, *(const int *)mn_saved_data(n));
}
static const mn_op split_op = {.name = "split", .backward = split_backward};
static const mn_op split_sizes_op = {.name = "split_sizes", .backward = split_backward};
static const mn_op chunk_op = {.name = "chunk", .backward = split_backward};

/* The start of all three: false with the tape's error set, and `room` times NULL in out. */
static bool begin_split(mn_tape *t, const mn_op *op, mn_tensor *x, int *dim, mn_tensor **out,
                        int room)
{
    for (int i = 0; out && i < room; i++) out[i] = NULL;
    if (!mni_begin(t, op, &x, 1) || !mni_require_dim(t, x, dim)) return false;
    if (out && room > 0) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, out ? "%d parts" : "there is no place for %d parts", room);
    return false;
}

/* n parts of these sizes; NULL: of `size` each, the last one of what is left. */
static int parted(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, int n, const int64_t *sizes,
                  int64_t size, mn_tensor **out)
{
    int64_t start = 0;
    for (int i = 0; i < n; i++) {
        int64_t rest = x->shape[dim] - start, length = size < rest ? size : rest;
        if (sizes) length = sizes[i];
        const mn_tensor seen = mni_part(x, dim, start, 1, length);
        out[i] = mn_op_view(t, x, x->ndim, seen.shape, seen.strides, start * x->strides[dim]);
        start += length;
    }
    mn_node *node = mn_op_record(t, op, &x, 1, out, n);
    mn_save_data(node, &dim, sizeof dim);
    if (mn_op_end(t, x)) return n;
    for (int i = 0; i < n; i++) out[i] = NULL;
    return 0;
}

int mn_split(mn_tape *t, mn_tensor *x, int64_t size, int dim, mn_tensor **out, int room)
{
    if (!begin_split(t, &split_op, x, &dim, out, room)) return 0;
    const int64_t whole = x->shape[dim], n = whole > 0 && size > 0 ? (whole - 1) / size + 1 : 1;
    if (size < 0 || (size == 0 && whole > 0)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "parts of size %lld of a dimension of size %lld",
                     (long long)size, (long long)whole);
    } else if (n > room) {
        mn_tape_fail(t, MN_ERR_ARGUMENT,
                     "dimension %d of size %lld has %lld parts of size %lld, and room is %d", dim,
                     (long long)whole, (long long)n, (long long)size, room);
    }
    return mn_tape_error(t) ? 0 : parted(t, &split_op, x, dim, (int)n, NULL, size, out);
}

int mn_split_sizes(mn_tape *t, mn_tensor *x, const int64_t *sizes, int n, int dim, mn_tensor **out)
{
    if (!begin_split(t, &split_sizes_op, x, &dim, out, n)) return 0;
    int64_t left = x->shape[dim];
    bool fits = sizes;
    for (int i = 0; fits && i < n; i++) {
        fits = sizes[i] >= 0 && sizes[i] <= left;
        if (fits) left -= sizes[i];
    }
    if (fits && left == 0) return parted(t, &split_sizes_op, x, dim, n, sizes, 0, out);
    char text[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_ARGUMENT, "dimension %d of size %lld is not the sum of the sizes %s",
                 dim, (long long)x->shape[dim],
                 sizes ? mni_shape_text(text, sizeof text, n, sizes) : "NULL");
    return 0;
}

int mn_chunk(mn_tape *t, mn_tensor *x, int chunks, int dim, mn_tensor **out)
{
    if (!begin_split(t, &chunk_op, x, &dim, out, chunks)) return 0;
    const int64_t whole = x->shape[dim], size = whole > 0 ? (whole - 1) / chunks + 1 : 0;
    const int64_t n = whole > 0 ? (whole - 1) / size + 1 : chunks;
    return parted(t, &chunk_op, x, dim, (int)n, NULL, size, out);
}
