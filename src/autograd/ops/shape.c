/*
 * autograd/ops/shape.c: the same elements in another arrangement: views wherever strides allow,
 * copies where they do not, and tensors put together.
 */
#include "autograd/ops/ops.h"

/* ---- reshape ---- */

/* Fills in a size of -1; false unless the sizes hold numel elements. */
static bool complete_shape(mn_tape *t, const mn_tensor *x, int ndim, const int64_t *shape,
                           int64_t *full)
{
    char from[MNI_TEXT], to[MNI_TEXT];
    if (ndim < 0 || ndim > MN_MAX_DIMS || (ndim > 0 && !shape)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%d dimensions, 0 to %d are possible", ndim, MN_MAX_DIMS);
        return false;
    }
    int open = -1;
    int64_t known = 1;
    bool good = true;
    for (int d = 0; d < ndim; d++) {
        full[d] = shape[d];
        if (shape[d] == -1 && open < 0)
            open = d;
        else if (shape[d] < 0 || __builtin_mul_overflow(known, shape[d], &known))
            good = false;
    }
    if (good && open >= 0) {
        good = known > 0 && x->numel % known == 0;
        if (good) full[open] = x->numel / known;
    } else if (good) {
        good = known == x->numel;
    }
    if (!good)
        mn_tape_fail(t, MN_ERR_SHAPE, "%s has %lld elements and cannot become %s",
                     mni_shape_text(from, sizeof from, x->ndim, x->shape), (long long)x->numel,
                     mni_shape_text(to, sizeof to, ndim, shape));
    return good;
}

/* The strides that show x as `shape` without moving anything; false if there are none. Runs of x's
 * dimensions that lie evenly in memory are cut up anew, from the last one outwards. */
static bool view_strides(const mn_tensor *x, int ndim, const int64_t *shape, int64_t *strides)
{
    int to = ndim - 1, d = x->ndim - 1;
    while (d >= 0) {
        if (x->shape[d] == 1) {
            d--;
            continue;
        }
        int64_t step = x->strides[d], run = x->shape[d];
        for (d--; d >= 0 && (x->shape[d] == 1 || x->strides[d] == run * step); d--)
            run *= x->shape[d];
        int64_t taken = 1;
        for (; to >= 0 && (taken < run || shape[to] == 1); to--) {
            strides[to] = taken * step;
            taken *= shape[to];
        }
        if (taken != run) return false;
    }
    for (; to >= 0; to--) strides[to] = 1; /* only sizes of 1 are left */
    return true;
}

static void reshape_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    gx[0] = mn_reshape(t, gy[0], ndim, shape);
}
static const mn_op reshape_op = {.name = "reshape", .backward = reshape_backward};

static mn_tensor *reshaped(mn_tape *t, const mn_op *op, mn_tensor *x, int ndim,
                           const int64_t *shape)
{
    int64_t strides[MN_MAX_DIMS];
    mn_tensor *y;
    if (x->contiguous) {
        y = mn_op_view(t, x, ndim, shape, NULL, 0);
    } else if (view_strides(x, ndim, shape, strides)) {
        y = mn_op_view(t, x, ndim, shape, strides, 0);
    } else {
        y = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
        if (y) {
            mn_tensor as_x = mni_look(y, x->ndim, x->shape, NULL);
            mni_copy(mni_tape_team(t), x, &as_x);
        }
    }
    mn_op_record(t, op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

mn_tensor *mn_reshape(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape)
{
    int64_t full[MN_MAX_DIMS];
    if (!mni_begin(t, &reshape_op, &x, 1) || !complete_shape(t, x, ndim, shape, full)) return NULL;
    return reshaped(t, &reshape_op, x, ndim, full);
}

static const mn_op flatten_op = {.name = "flatten", .backward = reshape_backward};

mn_tensor *mn_flatten(mn_tape *t, mn_tensor *x, int start_dim, int end_dim)
{
    if (!mni_begin(t, &flatten_op, &x, 1)) return NULL;
    int64_t shape[MN_MAX_DIMS] = {1};
    if (x->ndim == 0) return reshaped(t, &flatten_op, x, 1, shape);
    if (!mni_require_dim(t, x, &start_dim) || !mni_require_dim(t, x, &end_dim)) return NULL;
    if (start_dim > end_dim)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "start dimension %d is after end dimension %d",
                            start_dim, end_dim);
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (d > start_dim && d <= end_dim)
            shape[ndim - 1] *= x->shape[d];
        else
            shape[ndim++] = x->shape[d];
    }
    return reshaped(t, &flatten_op, x, ndim, shape);
}

/* ---- permute ---- */

static void permute_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const int *dims = mn_saved_data(n);
    int inverse[MN_MAX_DIMS], ndim;
    mn_input_shape(n, 0, &ndim);
    for (int d = 0; d < ndim; d++) inverse[dims[d]] = d;
    gx[0] = mn_permute(t, gy[0], inverse);
}
static const mn_op permute_op = {.name = "permute", .backward = permute_backward};
static const mn_op transpose_op = {.name = "transpose", .backward = permute_backward};

static mn_tensor *permuted(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) {
        shape[d] = x->shape[dims[d]];
        strides[d] = x->strides[dims[d]];
    }
    mn_tensor *y = mn_op_view(t, x, x->ndim, shape, strides, 0);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save_data(n, dims, (size_t)x->ndim * sizeof *dims);
    return mn_op_end(t, y);
}

mn_tensor *mn_transpose(mn_tape *t, mn_tensor *x, int dim0, int dim1)
{
    if (!mni_begin(t, &transpose_op, &x, 1) || !mni_require_dim(t, x, &dim0) ||
        !mni_require_dim(t, x, &dim1))
        return NULL;
    int dims[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) dims[d] = d == dim0 ? dim1 : d == dim1 ? dim0 : d;
    return permuted(t, &transpose_op, x, dims);
}

mn_tensor *mn_permute(mn_tape *t, mn_tensor *x, const int *dims)
{
    if (!mni_begin(t, &permute_op, &x, 1)) return NULL;
    int order[MN_MAX_DIMS];
    unsigned seen = 0;
    if (!dims && x->ndim > 0) return mn_tape_fail(t, MN_ERR_ARGUMENT, "dims is NULL");
    for (int d = 0; d < x->ndim; d++) {
        order[d] = dims[d];
        if (!mni_require_dim(t, x, &order[d])) return NULL;
        if (seen & 1u << order[d])
            return mn_tape_fail(t, MN_ERR_ARGUMENT, "dimension %d is given twice", order[d]);
        seen |= 1u << order[d];
    }
    return permuted(t, &permute_op, x, order);
}

/* ---- expand ---- */

static void expand_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}
static const mn_op expand_op = {
    .name = "expand", .backward = expand_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_expand(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape)
{
    if (!mni_begin(t, &expand_op, &x, 1)) return NULL;
    char from[MNI_TEXT], to[MNI_TEXT];
    int64_t strides[MN_MAX_DIMS];
    bool fits = ndim >= x->ndim && ndim <= MN_MAX_DIMS && (shape || ndim == 0);
    for (int d = 0; fits && d < ndim; d++) {
        int dx = d - (ndim - x->ndim);
        int64_t size = dx < 0 ? 1 : x->shape[dx];
        strides[d] = size == 1 ? 0 : x->strides[dx];
        fits = shape[d] >= 0 && (size == 1 || size == shape[d]);
    }
    if (!fits)
        return mn_tape_fail(t, MN_ERR_SHAPE, "%s does not stretch to %s",
                            mni_shape_text(from, sizeof from, x->ndim, x->shape),
                            ndim >= 0 && ndim <= MN_MAX_DIMS && (shape || ndim == 0)
                                ? mni_shape_text(to, sizeof to, ndim, shape)
                                : "a shape of a wrong number of dimensions");
    mn_tensor *y = mn_op_view(t, x, ndim, shape, strides, 0);
    mn_op_record(t, &expand_op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

/* ---- narrow and its gradient ---- */

typedef struct window {
    int dim;
    int64_t start;
} window;

static void narrow_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const window *w = mn_saved_data(n);
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    gx[0] = mni_embed(t, gy[0], ndim, shape, w->dim, w->start);
}
static const mn_op narrow_op = {.name = "narrow", .backward = narrow_backward};

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
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) shape[d] = d == dim ? length : x->shape[d];
    mn_tensor *y = mn_op_view(t, x, x->ndim, shape, x->strides, start * x->strides[dim]);
    mn_node *n = mn_op_record(t, &narrow_op, &x, 1, &y, 1);
    mn_save_data(n, &(window){dim, start}, sizeof(window));
    return mn_op_end(t, y);
}

/* Copies x into y's places [start, start + x's size) of dimension dim. */
static void copy_into(mni_team *team, const mn_tensor *x, mn_tensor *y, int dim, int64_t start)
{
    mn_tensor part = mni_look(y, x->ndim, x->shape, y->strides);
    part.data += start * y->strides[dim] * (int64_t)mn_dtype_size((mn_dtype)y->dtype);
    mni_copy(team, x, &part);
}

static void embed_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const window *w = mn_saved_data(n);
    gx[0] = mn_narrow(t, gy[0], w->dim, w->start, mn_input_shape(n, 0, &(int){0})[w->dim]);
}
static const mn_op embed_op = {.name = "embed", .backward = embed_backward};

mn_tensor *mni_embed(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape, int dim,
                     int64_t start)
{
    if (!mni_begin(t, &embed_op, &x, 1)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (y) {
        mni_fill(mni_tape_team(t), y, 0);
        copy_into(mni_tape_team(t), x, y, dim, start);
    }
    mn_node *n = mn_op_record(t, &embed_op, &x, 1, &y, 1);
    mn_save_data(n, &(window){dim, start}, sizeof(window));
    return mn_op_end(t, y);
}

/* ---- cat ---- */

/* Saved: where each input begins along dim, and where the last one ends. */
static void cat_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int dim = *(const int *)mn_saved_data(n);
    const mn_tensor *starts = mn_saved(n, 0);
    const int64_t *at = mn_tensor_data(starts);
    for (int64_t i = 0; i < mn_tensor_numel(starts) - 1; i++)
        if (mn_needs(n, (int)i)) gx[i] = mn_narrow(t, gy[0], dim, at[i], at[i + 1] - at[i]);
}
static const mn_op cat_op = {.name = "cat", .backward = cat_backward};

static bool cat_fits(mn_tape *t, const mn_tensor *first, const mn_tensor *x, int i, int dim)
{
    if (!mni_require_same_dtype(t, first, x)) return false;
    bool fits = x->ndim == first->ndim;
    for (int d = 0; fits && d < x->ndim; d++) fits = d == dim || x->shape[d] == first->shape[d];
    if (fits) return true;
    char a[MNI_TEXT], b[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_SHAPE, "%s and %s (tensor %d) differ in more than dimension %d",
                 mni_shape_text(a, sizeof a, first->ndim, first->shape),
                 mni_shape_text(b, sizeof b, x->ndim, x->shape), i, dim);
    return false;
}

mn_tensor *mn_cat(mn_tape *t, mn_tensor *const *xs, int n, int dim)
{
    if (n < 1 || !xs) {
        if (!mn_op_begin(t, &cat_op, NULL, 0)) return NULL;
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d tensors, at least 1 is needed", xs ? n : 0);
    }
    if (!mni_begin(t, &cat_op, xs, n) || !mni_require_dim(t, xs[0], &dim)) return NULL;
    mn_tensor *starts = mni_tape_tensor(t, MN_I64, 1, (int64_t[]){(int64_t)n + 1});
    if (!starts) return NULL;
    int64_t shape[MN_MAX_DIMS], *at = (int64_t *)(void *)starts->data;
    for (int d = 0; d < xs[0]->ndim; d++) shape[d] = xs[0]->shape[d];
    at[0] = 0;
    for (int i = 0; i < n; i++) {
        if (!cat_fits(t, xs[0], xs[i], i, dim)) return NULL;
        at[i + 1] = at[i] + xs[i]->shape[dim];
    }
    shape[dim] = at[n];
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)xs[0]->dtype, xs[0]->ndim, shape);
    for (int i = 0; y && i < n; i++) copy_into(mni_tape_team(t), xs[i], y, dim, at[i]);
    mn_node *node = mn_op_record(t, &cat_op, xs, n, &y, 1);
    mn_save(node, starts);
    mn_save_data(node, &dim, sizeof dim);
    return mn_op_end(t, y);
}

/* ---- copies ---- */

static void copy_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}
static const mn_op contiguous_op = {.name = "contiguous", .backward = copy_backward};
static const mn_op clone_op = {.name = "clone", .backward = copy_backward};

static mn_tensor *copied(mn_tape *t, const mn_op *op, mn_tensor *x)
{
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y) mni_copy(mni_tape_team(t), x, y);
    mn_op_record(t, op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

mn_tensor *mn_contiguous(mn_tape *t, mn_tensor *x)
{
    if (!mni_begin(t, &contiguous_op, &x, 1)) return NULL;
    return x->contiguous ? mn_op_end(t, x) : copied(t, &contiguous_op, x);
}

mn_tensor *mn_clone(mn_tape *t, mn_tensor *x)
{
    if (!mni_begin(t, &clone_op, &x, 1)) return NULL;
    return copied(t, &clone_op, x);
}
