/*
 * autograd/ops/shape.c: the same elements in another shape: views wherever strides allow, copies
 * where they do not.
 */
#include "autograd/ops/ops.h"

/* ---- reshape, view, flatten, unflatten ---- */

/* Fills in a size of -1; false unless the sizes hold numel elements. */
static bool fill_in(int64_t numel, int ndim, const int64_t *shape, int64_t *full)
{
    int open = -1;
    int64_t known = 1;
    for (int d = 0; d < ndim; d++) {
        full[d] = shape[d];
        if (shape[d] == -1 && open < 0)
            open = d;
        else if (shape[d] < 0 || __builtin_mul_overflow(known, shape[d], &known))
            return false;
    }
    if (open < 0) return known == numel;
    if (known == 0 || numel % known != 0) return false;
    full[open] = numel / known;
    return true;
}

static bool complete_shape(mn_tape *t, const mn_tensor *x, int ndim, const int64_t *shape,
                           int64_t *full)
{
    char from[MNI_TEXT], to[MNI_TEXT];
    if (ndim < 0 || ndim > MN_MAX_DIMS || (ndim > 0 && !shape)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%d dimensions, 0 to %d are possible", ndim, MN_MAX_DIMS);
        return false;
    }
    if (fill_in(x->numel, ndim, shape, full)) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "%s has %lld elements and cannot become %s",
                 mni_shape_text(from, sizeof from, x->ndim, x->shape), (long long)x->numel,
                 mni_shape_text(to, sizeof to, ndim, shape));
    return false;
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

/* NULL strides: row-major. */
static mn_tensor *viewed(mn_tape *t, const mn_op *op, mn_tensor *x, int ndim, const int64_t *shape,
                         const int64_t *strides)
{
    mn_tensor *y = mn_op_view(t, x, ndim, shape, strides, 0);
    mn_op_record(t, op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

static mn_tensor *reshaped(mn_tape *t, const mn_op *op, mn_tensor *x, int ndim,
                           const int64_t *shape, bool may_copy)
{
    int64_t strides[MN_MAX_DIMS];
    if (x->contiguous) return viewed(t, op, x, ndim, shape, NULL);
    if (view_strides(x, ndim, shape, strides)) return viewed(t, op, x, ndim, shape, strides);
    if (!may_copy) {
        char from[MNI_TEXT], by[MNI_TEXT], to[MNI_TEXT];
        return mn_tape_fail(t, MN_ERR_SHAPE,
                            "%s with strides %s cannot be seen as %s: mn_reshape copies",
                            mni_shape_text(from, sizeof from, x->ndim, x->shape),
                            mni_shape_text(by, sizeof by, x->ndim, x->strides),
                            mni_shape_text(to, sizeof to, ndim, shape));
    }
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (y) {
        mn_tensor as_x = mni_look(y, x->ndim, x->shape, NULL);
        mni_copy(mni_tape_team(t), x, &as_x);
    }
    mn_op_record(t, op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

mn_tensor *mn_reshape(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape)
{
    int64_t full[MN_MAX_DIMS];
    if (!mni_begin(t, &reshape_op, &x, 1) || !complete_shape(t, x, ndim, shape, full)) return NULL;
    return reshaped(t, &reshape_op, x, ndim, full, true);
}

static const mn_op view_op = {.name = "view", .backward = reshape_backward};

mn_tensor *mn_view(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape)
{
    int64_t full[MN_MAX_DIMS];
    if (!mni_begin(t, &view_op, &x, 1) || !complete_shape(t, x, ndim, shape, full)) return NULL;
    return reshaped(t, &view_op, x, ndim, full, false);
}

static const mn_op view_as_op = {.name = "view_as", .backward = reshape_backward};

mn_tensor *mn_view_as(mn_tape *t, mn_tensor *x, mn_tensor *other)
{
    int64_t full[MN_MAX_DIMS];
    if (!mni_begin(t, &view_as_op, (mn_tensor *[]){x, other}, 2) ||
        !complete_shape(t, x, other->ndim, other->shape, full))
        return NULL;
    return reshaped(t, &view_as_op, x, other->ndim, full, false);
}

static const mn_op flatten_op = {.name = "flatten", .backward = reshape_backward};

mn_tensor *mn_flatten(mn_tape *t, mn_tensor *x, int start_dim, int end_dim)
{
    if (!mni_begin(t, &flatten_op, &x, 1)) return NULL;
    int64_t shape[MN_MAX_DIMS] = {1};
    if (x->ndim == 0) return reshaped(t, &flatten_op, x, 1, shape, true);
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
    return reshaped(t, &flatten_op, x, ndim, shape, true);
}

static const mn_op unflatten_op = {.name = "unflatten", .backward = reshape_backward};

mn_tensor *mn_unflatten(mn_tape *t, mn_tensor *x, int dim, int n, const int64_t *sizes)
{
    if (!mni_begin(t, &unflatten_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    if (n < 1 || n > MN_MAX_DIMS + 1 - x->ndim || !sizes)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d sizes for one of %d dimensions, 1 to %d fit",
                            sizes ? n : 0, x->ndim, MN_MAX_DIMS + 1 - x->ndim);
    char from[MNI_TEXT], to[MNI_TEXT];
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS], step = x->strides[dim];
    const int ndim = x->ndim + n - 1, last = dim + n - 1;
    if (!fill_in(x->shape[dim], n, sizes, shape + dim))
        return mn_tape_fail(t, MN_ERR_SHAPE, "dimension %d of %s cannot become %s", dim,
                            mni_shape_text(from, sizeof from, x->ndim, x->shape),
                            mni_shape_text(to, sizeof to, n, sizes));
    for (int d = 0; d < ndim; d++) {
        if (d >= dim && d <= last) continue;
        shape[d] = x->shape[d < dim ? d : d - n + 1];
        strides[d] = x->strides[d < dim ? d : d - n + 1];
    }
    for (int d = last; d >= dim; step *= shape[d--]) strides[d] = step;
    return viewed(t, &unflatten_op, x, ndim, shape, strides);
}

/* ---- squeeze and unsqueeze ---- */

static const mn_op squeeze_op = {.name = "squeeze", .backward = reshape_backward};
static const mn_op squeeze_dim_op = {.name = "squeeze_dim", .backward = reshape_backward};

/* Without the dimensions of size 1 between first and last. */
static mn_tensor *squeezed(mn_tape *t, const mn_op *op, mn_tensor *x, int first, int last)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (x->shape[d] == 1 && d >= first && d <= last) continue;
        shape[ndim] = x->shape[d];
        strides[ndim++] = x->strides[d];
    }
    return viewed(t, op, x, ndim, shape, strides);
}

mn_tensor *mn_squeeze(mn_tape *t, mn_tensor *x)
{
    if (!mni_begin(t, &squeeze_op, &x, 1)) return NULL;
    return squeezed(t, &squeeze_op, x, 0, x->ndim);
}

mn_tensor *mn_squeeze_dim(mn_tape *t, mn_tensor *x, int dim)
{
    if (!mni_begin(t, &squeeze_dim_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    return squeezed(t, &squeeze_dim_op, x, dim, dim);
}

bool mni_require_new_dim(mn_tape *t, const mn_tensor *x, int *dim)
{
    char text[MNI_TEXT];
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    if (x->ndim == MN_MAX_DIMS)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s has %d dimensions already", text, MN_MAX_DIMS);
    else if (*dim < -x->ndim - 1 || *dim > x->ndim)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s has no place for a new dimension %d", text, *dim);
    else if (*dim < 0)
        *dim += x->ndim + 1;
    return !mn_tape_error(t);
}

static const mn_op unsqueeze_op = {.name = "unsqueeze", .backward = reshape_backward};

mn_tensor *mn_unsqueeze(mn_tape *t, mn_tensor *x, int dim)
{
    if (!mni_begin(t, &unsqueeze_op, &x, 1) || !mni_require_new_dim(t, x, &dim)) return NULL;
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS];
    for (int d = 0; d <= x->ndim; d++) {
        shape[d] = d == dim ? 1 : x->shape[d < dim ? d : d - 1];
        strides[d] = d == dim ? 1 : x->strides[d < dim ? d : d - 1];
    }
    return viewed(t, &unsqueeze_op, x, x->ndim + 1, shape, strides);
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
static const mn_op movedim_op = {.name = "movedim", .backward = permute_backward};

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
    int order[MN_MAX_DIMS];
    if (!mni_begin(t, &permute_op, &x, 1) || !mni_require_dims(t, x, dims, x->ndim, order))
        return NULL;
    return permuted(t, &permute_op, x, order);
}

mn_tensor *mn_movedim(mn_tape *t, mn_tensor *x, int source, int destination)
{
    if (!mni_begin(t, &movedim_op, &x, 1) || !mni_require_dim(t, x, &source) ||
        !mni_require_dim(t, x, &destination))
        return NULL;
    int dims[MN_MAX_DIMS], step = source < destination ? 1 : -1;
    for (int d = 0; d < x->ndim; d++) dims[d] = d;
    for (int d = source; d != destination; d += step) dims[d] = d + step;
    dims[destination] = source;
    return permuted(t, &movedim_op, x, dims);
}

/* ---- expand ---- */

static void same_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}
static const mn_op expand_op = {
    .name = "expand", .backward = same_backward, .flags = MN_OP_BROADCASTS};
static const mn_op expand_as_op = {
    .name = "expand_as", .backward = same_backward, .flags = MN_OP_BROADCASTS};

static mn_tensor *expanded(mn_tape *t, const mn_op *op, mn_tensor *x, int ndim,
                           const int64_t *shape)
{
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
    return viewed(t, op, x, ndim, shape, strides);
}

mn_tensor *mn_expand(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape)
{
    if (!mni_begin(t, &expand_op, &x, 1)) return NULL;
    return expanded(t, &expand_op, x, ndim, shape);
}

mn_tensor *mn_expand_as(mn_tape *t, mn_tensor *x, mn_tensor *other)
{
    if (!mni_begin(t, &expand_as_op, (mn_tensor *[]){x, other}, 2)) return NULL;
    return expanded(t, &expand_as_op, x, other->ndim, other->shape);
}

/* ---- copies ---- */

static const mn_op contiguous_op = {.name = "contiguous", .backward = same_backward};
static const mn_op clone_op = {.name = "clone", .backward = same_backward};

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
