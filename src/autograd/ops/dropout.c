/*
 * autograd/ops/dropout.c: dropout in its inverted form. The gradient uses the multipliers that the
 * forward pass drew, and nothing else.
 */
#include "autograd/ops/ops.h"

static void dropout_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_saved(n, 0));
}
static const mn_op dropout_op = {.name = "dropout", .backward = dropout_backward};

/* Nothing is dropped: y is x, seen again. */
static void identity_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}
static const mn_op identity_op = {.name = "dropout", .backward = identity_backward};

mn_tensor *mn_dropout(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng)
{
    if (!mni_begin(t, &dropout_op, &x, 1) || !mni_require_float(t, x)) return NULL;
    if (!(p >= 0 && p <= 1))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "p is %g, not within 0 and 1", p);
    if (training && !rng)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "rng is NULL, but training draws");
    if (!training || p == 0) {
        mn_tensor *y = mn_op_view(t, x, x->ndim, x->shape, x->strides, 0);
        mn_op_record(t, &identity_op, &x, 1, &y, 1);
        return mn_op_end(t, y);
    }
    mn_dtype dtype = (mn_dtype)x->dtype;
    mn_tensor *m = mni_tape_tensor(t, dtype, x->ndim, x->shape);
    mn_tensor *y = mni_tape_tensor(t, dtype, x->ndim, x->shape);
    if (m && y) {
        double numbers[] = {p, p < 1 ? 1 / (1 - p) : 0};
        mni_uniform(mni_tape_team(t), m, 0, 1, mni_reserve(t, rng, x->numel, dtype));
        mni_map1(mni_tape_team(t), mni_kernels()->dropout, m, m, numbers);
        mni_map2(mni_tape_team(t), mni_kernels()->mul, x, m, y, NULL);
    }
    mn_node *n = mn_op_record(t, &dropout_op, &x, 1, &y, 1);
    mn_save(n, m);
    return mn_op_end(t, y);
}
