/*
 * autograd/ops/order.c: the largest and the smallest, where they are, and sorting. NaN counts as
 * both the largest and the smallest of a range, and is last when sorted.
 */
#include "autograd/ops/ops.h"
#include <math.h>
#include <string.h>

/* ---- extremes, shared evenly among ties ---- */

typedef struct range {
    bool reduced[MN_MAX_DIMS];
    bool all; /* every dimension: NaNs are ties too */
} range;

static bool require_elements(mn_tape *t, int64_t size)
{
    if (size > 0) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "there is nothing to choose from: no elements");
    return false;
}

/* The shape of x without the reduced dimensions, or with size 1 there. */
static int left_over(const mn_tensor *x, const bool *reduced, bool keepdim, int64_t *shape)
{
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++)
        if (!reduced[d] || keepdim) shape[ndim++] = reduced[d] ? 1 : x->shape[d];
    return ndim;
}

static void extreme_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const range *r = mn_saved_data(n);
    mn_tensor *x = mn_saved(n, 0), *y = mn_saved(n, 1);
    if (!x || !y) return;
    int64_t kept[MN_MAX_DIMS];
    int dims[MN_MAX_DIMS], reduced = 0, ndim = left_over(x, r->reduced, true, kept);
    for (int d = 0; d < ndim; d++)
        if (r->reduced[d]) dims[reduced++] = d;
    mn_tensor *among = r->all && isnan(mn_tensor_item(y))
                           ? mn_isnan(t, x)
                           : mn_eq(t, x, mn_reshape(t, y, ndim, kept));
    mn_tensor *mask = mn_to(t, among, mn_tensor_dtype(gy[0]));
    mn_tensor *ties = mn_sum_dim(t, mask, dims, reduced, true);
    gx[0] = mn_mul(t, mask, mn_div(t, mn_reshape(t, gy[0], ndim, kept), ties));
}
static const mn_op max_op = {.name = "max", .backward = extreme_backward};
static const mn_op min_op = {.name = "min", .backward = extreme_backward};
static const mn_op amax_op = {.name = "amax", .backward = extreme_backward};
static const mn_op amin_op = {.name = "amin", .backward = extreme_backward};

static mn_tensor *extreme(mn_tape *t, const mn_op *op, mn_tensor *x, const range *r, bool keepdim,
                          mni_folding how)
{
    for (int d = 0; d < x->ndim; d++)
        if (r->reduced[d] && !require_elements(t, x->shape[d])) return NULL;
    int64_t shape[MN_MAX_DIMS];
    const int ndim = left_over(x, r->reduced, keepdim, shape);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (y && y->numel > 0) mni_fold(mni_tape_team(t), how, NULL, x, r->reduced, y);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, x);
    mn_save(n, y);
    mn_save_data(n, r, sizeof *r);
    return mn_op_end(t, y);
}

static mn_tensor *extreme_of_all(mn_tape *t, const mn_op *op, mn_tensor *x, mni_folding how)
{
    range r = {.all = true};
    if (!mni_begin(t, op, &x, 1)) return NULL;
    for (int d = 0; d < x->ndim; d++) r.reduced[d] = true;
    return extreme(t, op, x, &r, false, how);
}

static mn_tensor *extreme_over(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                               bool keepdim, mni_folding how)
{
    range r = {0};
    int found[MN_MAX_DIMS];
    if (!mni_begin(t, op, &x, 1) || !mni_require_dims(t, x, dims, n, found)) return NULL;
    for (int i = 0; i < n; i++) r.reduced[found[i]] = true;
    return extreme(t, op, x, &r, keepdim, how);
}

mn_tensor *mn_max(mn_tape *t, mn_tensor *x)
{
    return extreme_of_all(t, &max_op, x, MNI_LARGEST);
}

mn_tensor *mn_min(mn_tape *t, mn_tensor *x)
{
    return extreme_of_all(t, &min_op, x, MNI_SMALLEST);
}

mn_tensor *mn_amax(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return extreme_over(t, &amax_op, x, dims, n, keepdim, MNI_LARGEST);
}

mn_tensor *mn_amin(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return extreme_over(t, &amin_op, x, dims, n, keepdim, MNI_SMALLEST);
}

/* ---- extremes and their positions ---- */

/* Saved: the positions that were chosen, with as many dimensions as the input. */
static void chosen_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int dim = *(const int *)mn_saved_data(n), ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    mn_tensor *index = mn_saved(n, 0);
    if (!index) return;
    mn_tensor *g = mn_reshape(t, gy[0], index->ndim, index->shape);
    gx[0] = mni_place(t, g, index, dim, ndim, shape, -1);
}
static const mn_op max_dim_op = {.name = "max_dim", .backward = chosen_backward};
static const mn_op min_dim_op = {.name = "min_dim", .backward = chosen_backward};

/* The first extreme along dim of x (which nothing is recorded for), and its position. */
static mn_tensor *first_extreme(mn_tape *t, const mn_tensor *x, int dim, bool keepdim,
                                mni_folding how, mn_tensor **index)
{
    bool reduced[MN_MAX_DIMS] = {false};
    int64_t shape[MN_MAX_DIMS];
    *index = NULL;
    if (!require_elements(t, x->shape[dim])) return NULL;
    reduced[dim] = true;
    const int ndim = left_over(x, reduced, keepdim, shape);
    *index = mni_tape_tensor(t, MN_I64, ndim, shape);
    mn_tensor *value = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (*index && value && value->numel > 0) {
        mni_fold(mni_tape_team(t), how, NULL, x, reduced, value);
        mni_first(mni_tape_team(t), x, dim, value, *index);
    }
    return value;
}

static mn_tensor *extreme_along(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, bool keepdim,
                                mni_folding how, mn_tensor **indices)
{
    if (indices) *indices = NULL;
    if (!mni_begin(t, op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    mn_tensor *index, *y = first_extreme(t, x, dim, keepdim, how, &index);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    if (n) {
        int64_t shape[MN_MAX_DIMS];
        for (int d = 0; d < x->ndim; d++) shape[d] = d == dim ? 1 : x->shape[d];
        mn_save(n, mn_op_view(t, index, x->ndim, shape, NULL, 0));
        mn_save_data(n, &dim, sizeof dim);
    }
    y = mn_op_end(t, y);
    if (indices && y) *indices = index;
    return y;
}

mn_tensor *mn_max_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices)
{
    return extreme_along(t, &max_dim_op, x, dim, keepdim, MNI_LARGEST, indices);
}

mn_tensor *mn_min_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices)
{
    return extreme_along(t, &min_dim_op, x, dim, keepdim, MNI_SMALLEST, indices);
}

static const mn_op argmax_op = {.name = "argmax"};
static const mn_op argmin_op = {.name = "argmin"};
static const mn_op argmax_dim_op = {.name = "argmax_dim"};
static const mn_op argmin_dim_op = {.name = "argmin_dim"};

static mn_tensor *position(mn_tape *t, const mn_op *op, mn_tensor *x, mni_folding how)
{
    mn_tensor *index = NULL, *dense = mni_begin(t, op, &x, 1) ? mni_dense(t, x) : NULL;
    if (!dense) return NULL;
    mn_tensor flat = mni_look(dense, 1, &dense->numel, NULL);
    first_extreme(t, &flat, 0, false, how, &index);
    return mn_op_end(t, index);
}

static mn_tensor *position_along(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, bool keepdim,
                                 mni_folding how)
{
    mn_tensor *index;
    if (!mni_begin(t, op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    first_extreme(t, x, dim, keepdim, how, &index);
    return mn_op_end(t, index);
}

mn_tensor *mn_argmax(mn_tape *t, mn_tensor *x)
{
    return position(t, &argmax_op, x, MNI_LARGEST);
}

mn_tensor *mn_argmin(mn_tape *t, mn_tensor *x)
{
    return position(t, &argmin_op, x, MNI_SMALLEST);
}

mn_tensor *mn_argmax_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim)
{
    return position_along(t, &argmax_dim_op, x, dim, keepdim, MNI_LARGEST);
}

mn_tensor *mn_argmin_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim)
{
    return position_along(t, &argmin_dim_op, x, dim, keepdim, MNI_SMALLEST);
}

/* ---- sorting ---- */

static const mn_op sort_op = {.name = "sort", .backward = chosen_backward};
static const mn_op topk_op = {.name = "topk", .backward = chosen_backward};
static const mn_op argsort_op = {.name = "argsort"};

/* The first k along dim, sorted. Without y (may be NULL): positions only. */
static mn_tensor *sorted(mn_tape *t, const mn_tensor *x, int dim, int64_t k, bool descending,
                         mn_tensor **y)
{
    int64_t shape[MN_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[dim] = k;
    mn_tensor *index = mni_tape_tensor(t, MN_I64, x->ndim, shape);
    if (y) *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, shape);
    if (!index || (y && !*y)) return NULL;
    mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT); /* the scratch is large */
    const int64_t bytes = mni_sort_scratch(x, dim, k);
    mn_tensor *scratch = mni_tape_tensor(t, MN_U8, 1, &bytes);
    if (scratch) mni_sort(mni_tape_team(t), x, dim, k, descending, scratch, y ? *y : NULL, index);
    mn_scope_end(t, scope, NULL, 0);
    return index;
}

static mn_tensor *first_sorted(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, int64_t k,
                               bool descending, mn_tensor **indices)
{
    mn_tensor *y = NULL, *index = sorted(t, x, dim, k, descending, &y);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, index);
    mn_save_data(n, &dim, sizeof dim);
    y = mn_op_end(t, y);
    if (indices && y) *indices = index;
    return y;
}

mn_tensor *mn_sort(mn_tape *t, mn_tensor *x, int dim, bool descending, mn_tensor **indices)
{
    if (indices) *indices = NULL;
    if (!mni_begin(t, &sort_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    return first_sorted(t, &sort_op, x, dim, x->shape[dim], descending, indices);
}

mn_tensor *mn_argsort(mn_tape *t, mn_tensor *x, int dim, bool descending)
{
    if (!mni_begin(t, &argsort_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    return mn_op_end(t, sorted(t, x, dim, x->shape[dim], descending, NULL));
}

mn_tensor *mn_topk(mn_tape *t, mn_tensor *x, int64_t k, int dim, bool largest, mn_tensor **indices)
{
    if (indices) *indices = NULL;
    if (!mni_begin(t, &topk_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    if (k < 0 || k > x->shape[dim])
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "k = %lld, but dimension %d has size %lld",
                            (long long)k, dim, (long long)x->shape[dim]);
    return first_sorted(t, &topk_op, x, dim, k, largest, indices);
}
