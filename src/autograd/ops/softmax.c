/*
 * autograd/ops/softmax.c: softmax and log-softmax along a dimension, computed from x - max so that
 * large numbers do not overflow. Both gradients need only the result.
 */
#include "autograd/ops/ops.h"

static mn_tensor *sum_along(mn_tape *t, mn_tensor *x, int dim)
{
    return mn_sum_dim(t, x, &dim, 1, true);
}

/* gx = y (gy - sum of gy y). */
static void softmax_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int dim = *(const int *)mn_saved_data(n);
    mn_tensor *y = mn_saved(n, 0);
    gx[0] = mn_mul(t, y, mn_sub(t, gy[0], sum_along(t, mn_mul(t, gy[0], y), dim)));
}

/* gx = gy - e^y (sum of gy). */
static void log_softmax_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int dim = *(const int *)mn_saved_data(n);
    mn_tensor *y = mn_saved(n, 0);
    gx[0] = mn_sub(t, gy[0], mn_mul(t, mn_exp(t, y), sum_along(t, gy[0], dim)));
}

static mn_tensor *fused(mn_tape *t, mn_node *n, mn_tensor *gy, bool logarithm)
{
    mn_tensor *y = mn_saved(n, 0), *gx = mn_empty_like(t, gy);
    int dim = *(const int *)mn_saved_data(n);
    if (y && gx) mni_softmax_backward(mni_tape_team(t), y, gy, dim, logarithm, gx);
    return gx;
}
static void softmax_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = fused(t, n, gy[0], false);
}
static void log_softmax_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = fused(t, n, gy[0], true);
}
static const mn_op softmax_op = {
    .name = "softmax", .backward = softmax_backward, .backward_fast = softmax_backward_fast};
static const mn_op log_softmax_op = {.name = "log_softmax",
                                     .backward = log_softmax_backward,
                                     .backward_fast = log_softmax_backward_fast};

static mn_tensor *forward(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, bool logarithm)
{
    if (!mni_begin(t, op, &x, 1) || !mni_require_float(t, x) || !mni_require_dim(t, x, &dim))
        return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y && y->numel > 0) mni_softmax(mni_tape_team(t), x, dim, logarithm, y);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, y);
    mn_save_data(n, &dim, sizeof dim);
    return mn_op_end(t, y);
}

mn_tensor *mn_softmax(mn_tape *t, mn_tensor *x, int dim)
{
    return forward(t, &softmax_op, x, dim, false);
}

mn_tensor *mn_log_softmax(mn_tape *t, mn_tensor *x, int dim)
{
    return forward(t, &log_softmax_op, x, dim, true);
}

mn_tensor *mn_softmin(mn_tape *t, mn_tensor *x, int dim)
{
    static const mn_op op = {.name = "softmin"};
    if (!mni_begin(t, &op, &x, 1) || !mni_require_float(t, x) || !mni_require_dim(t, x, &dim))
        return NULL;
    return mn_softmax(t, mn_neg(t, x), dim);
}
