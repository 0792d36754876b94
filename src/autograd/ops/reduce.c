/*
 * autograd/ops/reduce.c: sums, means and maxima, over everything or over chosen dimensions.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* ---- sum and mean ---- */

typedef struct reduction {
    bool reduced[MN_MAX_DIMS];
    double count; /* elements that fell together, for the mean */
} reduction;

/* gy, stretched over what was summed. */
static mn_tensor *stretched(mn_tape *t, mn_node *n, mn_tensor *gy)
{
    const reduction *r = mn_saved_data(n);
    int64_t kept[MN_MAX_DIMS];
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    for (int d = 0; d < ndim; d++) kept[d] = r->reduced[d] ? 1 : shape[d];
    return mn_expand(t, mn_reshape(t, gy, ndim, kept), ndim, shape);
}

static void sum_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = stretched(t, n, gy[0]);
}
static const mn_op sum_op = {.name = "sum", .backward = sum_backward};
static const mn_op sum_dim_op = {.name = "sum_dim", .backward = sum_backward};

static void mean_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const reduction *r = mn_saved_data(n);
    gx[0] = stretched(t, n, mn_div_scalar(t, gy[0], r->count));
}
static const mn_op mean_op = {.name = "mean", .backward = mean_backward};
static const mn_op mean_dim_op = {.name = "mean_dim", .backward = mean_backward};

static mn_tensor *reduce(mn_tape *t, const mn_op *op, mn_tensor *x, reduction *r, bool keepdim,
                         bool mean)
{
    if (mean && !mni_is_float((mn_dtype)x->dtype))
        return mn_tape_fail(t, MN_ERR_DTYPE, "the mean of %s: write mn_to(t, x, MN_F32) first",
                            mn_dtype_name((mn_dtype)x->dtype));
    int64_t shape[MN_MAX_DIMS];
    int ndim = 0;
    r->count = 1;
    for (int d = 0; d < x->ndim; d++) {
        if (r->reduced[d]) r->count *= (double)x->shape[d];
        if (!r->reduced[d] || keepdim) shape[ndim++] = r->reduced[d] ? 1 : x->shape[d];
    }
    bool small = x->dtype == MN_U8 || x->dtype == MN_BOOL;
    mn_tensor *y = mni_tape_tensor(t, small ? MN_I64 : (mn_dtype)x->dtype, ndim, shape);
    if (y) mni_sum(mni_tape_team(t), x, r->reduced, y, false);
    if (y && mean) mni_map1(mni_tape_team(t), mni_kernels()->div_scalar, y, y, &r->count);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save_data(n, r, sizeof *r);
    return mn_op_end(t, y);
}

static mn_tensor *reduce_all(mn_tape *t, const mn_op *op, mn_tensor *x, bool mean)
{
    reduction r = {0};
    if (!mni_begin(t, op, &x, 1)) return NULL;
    for (int d = 0; d < x->ndim; d++) r.reduced[d] = true;
    return reduce(t, op, x, &r, false, mean);
}

static mn_tensor *reduce_dims(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                              bool keepdim, bool mean)
{
    reduction r = {0};
    if (!mni_begin(t, op, &x, 1)) return NULL;
    if (n < 0 || (n > 0 && !dims))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            n < 0 ? "%d dimensions to reduce" : "dims is NULL, %d are promised", n);
    for (int i = 0; i < n; i++) {
        int dim = dims[i];
        if (!mni_require_dim(t, x, &dim)) return NULL;
        if (r.reduced[dim])
            return mn_tape_fail(t, MN_ERR_ARGUMENT, "dimension %d is given twice", dim);
        r.reduced[dim] = true;
    }
    return reduce(t, op, x, &r, keepdim, mean);
}

mn_tensor *mn_sum(mn_tape *t, mn_tensor *x)
{
    return reduce_all(t, &sum_op, x, false);
}

mn_tensor *mn_mean(mn_tape *t, mn_tensor *x)
{
    return reduce_all(t, &mean_op, x, true);
}

mn_tensor *mn_sum_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return reduce_dims(t, &sum_dim_op, x, dims, n, keepdim, false);
}

mn_tensor *mn_mean_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return reduce_dims(t, &mean_dim_op, x, dims, n, keepdim, true);
}

/* ---- maxima ---- */

static bool require_elements(mn_tape *t, int64_t size)
{
    if (size > 0) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no maximum of no elements");
    return false;
}

/* Value (may be NULL) and position over all elements of x. */
static void max_of_all(mn_tape *t, mn_tensor *x, mn_tensor *value, mn_tensor *index)
{
    mn_tensor *dense = mni_dense(t, x);
    if (!dense || !index) return;
    mn_tensor flat = mni_look(dense, 1, &dense->numel, NULL);
    mni_max(mni_tape_team(t), &flat, 0, value, index);
}

/* Shared evenly among the elements that equal the maximum (or, like it, are NaN). */
static void max_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *y = mn_saved(n, 1);
    mn_tensor *among = mn_eq(t, x, y);
    if (isnan(mn_tensor_item(y)))
        among = mn_eq(t, mn_eq(t, x, x), mn_zeros(t, MN_BOOL, 0, NULL)); /* x != x */
    mn_tensor *mask = mn_to(t, among, mn_tensor_dtype(gy[0]));
    gx[0] = mn_mul(t, mask, mn_div(t, gy[0], mn_sum(t, mask)));
}
static const mn_op max_op = {.name = "max", .backward = max_backward};

mn_tensor *mn_max(mn_tape *t, mn_tensor *x)
{
    if (!mni_begin(t, &max_op, &x, 1) || !require_elements(t, x->numel)) return NULL;
    mn_tensor *index = mni_tape_tensor(t, MN_I64, 0, NULL);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, 0, NULL);
    if (y) max_of_all(t, x, y, index);
    mn_node *n = mn_op_record(t, &max_op, &x, 1, &y, 1);
    mn_save(n, x);
    mn_save(n, y);
    return mn_op_end(t, y);
}

static mn_tensor *argmax_along(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **value)
{
    int64_t shape[MN_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++)
        if (d != dim || keepdim) shape[ndim++] = d == dim ? 1 : x->shape[d];
    mn_tensor *index = mni_tape_tensor(t, MN_I64, ndim, shape);
    if (value) *value = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (index && (!value || *value) && index->numel > 0)
        mni_max(mni_tape_team(t), x, dim, value ? *value : NULL, index);
    return index;
}

/* Saved: the positions, without dimension dim. */
static void max_dim_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int dim = *(const int *)mn_saved_data(n), ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    mn_tensor *index = mn_saved(n, 0);
    if (!index) return;
    mn_tensor *g = mn_reshape(t, gy[0], index->ndim, index->shape);
    gx[0] = mni_place(t, g, index, dim, shape[dim]);
}
static const mn_op max_dim_op = {.name = "max_dim", .backward = max_dim_backward};

mn_tensor *mn_max_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices)
{
    if (indices) *indices = NULL;
    if (!mni_begin(t, &max_dim_op, &x, 1) || !mni_require_dim(t, x, &dim) ||
        !require_elements(t, x->shape[dim]))
        return NULL;
    mn_tensor *y = NULL, *index = argmax_along(t, x, dim, keepdim, &y);
    mn_node *n = mn_op_record(t, &max_dim_op, &x, 1, &y, 1);
    if (n && keepdim) { /* saved without the dimension of size 1 */
        int64_t shape[MN_MAX_DIMS];
        for (int d = 0, k = 0; d < x->ndim; d++)
            if (d != dim) shape[k++] = x->shape[d];
        mn_save(n, mn_op_view(t, index, x->ndim - 1, shape, NULL, 0));
    } else {
        mn_save(n, index);
    }
    mn_save_data(n, &dim, sizeof dim);
    y = mn_op_end(t, y);
    if (indices && y) *indices = index;
    return y;
}

static const mn_op argmax_op = {.name = "argmax"};

mn_tensor *mn_argmax(mn_tape *t, mn_tensor *x)
{
    if (!mni_begin(t, &argmax_op, &x, 1) || !require_elements(t, x->numel)) return NULL;
    mn_tensor *index = mni_tape_tensor(t, MN_I64, 0, NULL);
    max_of_all(t, x, NULL, index);
    return mn_op_end(t, index);
}

static const mn_op argmax_dim_op = {.name = "argmax_dim"};

mn_tensor *mn_argmax_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim)
{
    if (!mni_begin(t, &argmax_dim_op, &x, 1) || !mni_require_dim(t, x, &dim) ||
        !require_elements(t, x->shape[dim]))
        return NULL;
    return mn_op_end(t, argmax_along(t, x, dim, keepdim, NULL));
}
