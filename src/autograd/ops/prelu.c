/*
 * autograd/ops/prelu.c: the rectifier whose slope for negative inputs is learned, one for all or
 * one for each channel.
 */
#include "autograd/ops/ops.h"

/* Which dimension of x the slopes belong to; -1: one slope for all. */
static int slope_dim(const mn_tensor *x, const mn_tensor *slope)
{
    return slope->numel == 1 ? -1 : x->ndim > 1 ? 1 : 0;
}

/* The shape in which slope broadcasts against x. */
static void slope_shape(const mn_tensor *x, const mn_tensor *slope, int64_t *shape)
{
    for (int d = 0; d < x->ndim; d++) shape[d] = d == slope_dim(x, slope) ? slope->numel : 1;
}

/* dy/dx = 1 for x > 0, else slope; dy/dslope = min(x, 0). */
static void prelu_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *slope = mn_saved(n, 1);
    if (!x || !slope) return;
    int64_t shape[MN_MAX_DIMS];
    if (mn_needs(n, 0)) {
        slope_shape(x, slope, shape);
        mn_tensor *above = mn_to(t, mn_gt_scalar(t, x, 0), mn_tensor_dtype(x));
        mn_tensor *below = mn_add_scalar(t, mn_neg(t, above), 1);
        mn_tensor *s = mn_reshape(t, slope, x->ndim, shape);
        gx[0] = mn_mul(t, gy[0], mn_add(t, above, mn_mul(t, below, s)));
    }
    if (mn_needs(n, 1)) {
        mn_tensor *g = mn_neg(t, mn_mul(t, gy[0], mn_relu(t, mn_neg(t, x))));
        int dims[MN_MAX_DIMS], k = 0;
        for (int d = 0; d < x->ndim; d++)
            if (d != slope_dim(x, slope)) dims[k++] = d;
        gx[1] = mn_reshape(t, mn_sum_dim(t, g, dims, k, false), slope->ndim, slope->shape);
    }
}

static void prelu_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *slope = mn_saved(n, 1);
    mni_team *team = mni_tape_team(t);
    const mni_kernel_table *k = mni_kernels();
    bool reduced[MN_MAX_DIMS], accumulate;
    int64_t shape[MN_MAX_DIMS];
    if (!x || !slope) return;
    if (mn_needs(n, 0) && (gx[0] = mn_empty_like(t, x))) {
        slope_shape(x, slope, shape);
        mn_tensor *dense = mni_dense(t, slope);
        if (!dense) return;
        mn_tensor s = mni_look(dense, x->ndim, shape, NULL);
        mni_map2(team, k->prelu_factor, x, &s, gx[0], NULL);
        mni_map2(team, k->mul, gy[0], gx[0], gx[0], NULL);
    }
    if (mn_needs(n, 1)) {
        mn_tensor *g = mn_empty_like(t, x);
        if (g) mni_map2(team, k->prelu_slope_backward, gy[0], x, g, NULL);
        gx[1] = g ? mn_grad_into(n, 1, &accumulate) : NULL;
        for (int d = 0; d < x->ndim; d++) reduced[d] = d != slope_dim(x, slope);
        if (gx[1]) mni_sum(team, g, reduced, gx[1], accumulate);
    }
}
static const mn_op prelu_op = {
    .name = "prelu", .backward = prelu_backward, .backward_fast = prelu_backward_fast};

mn_tensor *mn_prelu(mn_tape *t, mn_tensor *x, mn_tensor *slope)
{
    mn_tensor *in[] = {x, slope};
    if (!mni_begin(t, &prelu_op, in, 2) || !mni_require_float(t, x) ||
        !mni_require_same_dtype(t, x, slope))
        return NULL;
    int dim = slope_dim(x, slope);
    if (slope->numel != 1 && (x->ndim == 0 || slope->ndim != 1 || slope->shape[0] != x->shape[dim]))
        return mni_shape_error(t, x, slope,
                               x->ndim ? "the slopes must be 1, or as many as the channels"
                                       : "a single value has one slope");
    int64_t shape[MN_MAX_DIMS];
    mn_tensor *dense = mni_dense(t, slope);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y && dense) {
        slope_shape(x, slope, shape);
        mn_tensor s = mni_look(dense, x->ndim, shape, NULL);
        mni_map2(mni_tape_team(t), mni_kernels()->prelu, x, &s, y, NULL);
    }
    mn_node *n = mn_op_record(t, &prelu_op, in, 2, &y, 1);
    mn_save(n, x);
    mn_save(n, slope);
    return mn_op_end(t, y);
}
