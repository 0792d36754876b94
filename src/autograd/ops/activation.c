/*
 * autograd/ops/activation.c: activations that are made of straight lines, many of them also in place.
 * Their gradient is linear in gy, so it is its own gradient. And how an activation becomes an op, for
 * curved.c too.
 */
#include "autograd/ops/ops.h"
#include <math.h>

mn_tensor *mni_activate(mn_tape *t, const mn_op *op, mn_tensor *x, mni_activation a)
{
    mn_node *n;
    if (!mni_begin(t, op, &x, 1)) return NULL;
    const bool wanted = mn_grad_enabled(t) && mn_tensor_requires_grad(x);
    if (wanted && op->flags & MNI_IN_PLACE && a.sign && !(a.p[0] >= 0))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "%s %g: in place the gradient is found from the result's sign, so it "
                            "may not be negative; use the op without the underscore",
                            a.sign, a.p[0]);
    mn_tensor *before = mni_before(t, op, x, wanted && !a.from_y);
    mn_tensor *y = mni_unary(t, op, a.value, x, a.p, &n);
    mn_save(n, a.from_y ? y : before);
    mn_save_data(n, &a, sizeof a);
    return mn_op_end(t, y);
}

/* gradient(g, by, p), as an op. */
static mn_tensor *gate(mn_tape *t, mn_tensor *g, mn_tensor *by, const mni_activation *a);

static void gate_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gate(t, gy[0], mn_saved(n, 0), mn_saved_data(n));
}
static const mn_op gate_op = {.name = "gate", .backward = gate_backward};

void mni_activate_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    bool accumulate;
    const mni_activation *a = mn_saved_data(n);
    mn_tensor *by = mn_saved(n, 0), *to = by ? mni_grad_over(n, 0, 0, &accumulate) : NULL;
    if (to && accumulate) to = mni_tape_like(t, (mn_dtype)to->dtype, to);
    if (to) mni_map2(mni_tape_team(t), a->gradient, gy[0], by, to, a->p);
    gx[0] = to;
}

static mn_tensor *gate(mn_tape *t, mn_tensor *g, mn_tensor *by, const mni_activation *a)
{
    if (!mni_begin(t, &gate_op, (mn_tensor *[]){g, by}, 2)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)g->dtype, g->ndim, g->shape);
    if (y) mni_map2(mni_tape_team(t), a->gradient, g, by, y, a->p);
    mn_node *n = mn_op_record(t, &gate_op, &g, 1, &y, 1);
    mn_save(n, by);
    mn_save_data(n, a, sizeof *a);
    return mn_op_end(t, y);
}

/* ---- rectifiers ---- */

/* The result tells the gradient, unless what stands in the place of x is above the threshold. */
static mn_tensor *threshold_with(mn_tape *t, const mn_op *op, mn_tensor *x, double threshold,
                                 double value)
{
    return mni_activate(t, op, x,
                        (mni_activation){.value = mni_kernels()->threshold,
                                         .gradient = mni_kernels()->threshold_backward,
                                         .p = {threshold, value},
                                         .from_y = value <= threshold});
}

static const mn_op relu_ops[] =
    MNI_OPS("relu", .backward = gate_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_relu(mn_tape *t, mn_tensor *x)
{
    return threshold_with(t, &relu_ops[0], x, 0, 0);
}

mn_tensor *mn_relu_(mn_tape *t, mn_tensor *x)
{
    return threshold_with(t, &relu_ops[1], x, 0, 0);
}

static const mn_op threshold_ops[] =
    MNI_OPS("threshold", .backward = gate_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_threshold(mn_tape *t, mn_tensor *x, double threshold, double value)
{
    return threshold_with(t, &threshold_ops[0], x, threshold, value);
}

mn_tensor *mn_threshold_(mn_tape *t, mn_tensor *x, double threshold, double value)
{
    return threshold_with(t, &threshold_ops[1], x, threshold, value);
}

static const mn_op leaky_relu_ops[] =
    MNI_OPS("leaky_relu", .backward = gate_backward, .backward_fast = mni_activate_backward_fast);

static mn_tensor *leaky_relu(mn_tape *t, const mn_op *op, mn_tensor *x, double slope)
{
    return mni_activate(t, op, x,
                        (mni_activation){.value = mni_kernels()->leaky_relu,
                                         .gradient = mni_kernels()->leaky_relu_backward,
                                         .p = {slope},
                                         .from_y = slope >= 0,
                                         .sign = "slope"});
}

mn_tensor *mn_leaky_relu(mn_tape *t, mn_tensor *x, double slope)
{
    return leaky_relu(t, &leaky_relu_ops[0], x, slope);
}

mn_tensor *mn_leaky_relu_(mn_tape *t, mn_tensor *x, double slope)
{
    return leaky_relu(t, &leaky_relu_ops[1], x, slope);
}

/* ---- between two bounds ---- */

static mn_tensor *between(mn_tape *t, const mn_op *op, mn_tensor *x, double low, double high)
{
    return mni_activate(t, op, x,
                        (mni_activation){.value = mni_kernels()->hardtanh,
                                         .gradient = mni_kernels()->within_backward,
                                         .p = {low, high, 1},
                                         .from_y = true});
}

static const mn_op hardtanh_ops[] =
    MNI_OPS("hardtanh", .backward = gate_backward, .backward_fast = mni_activate_backward_fast);

static mn_tensor *hardtanh(mn_tape *t, const mn_op *op, mn_tensor *x, double low, double high)
{
    if (!mni_begin(t, op, &x, 1)) return NULL;
    if (low <= high) return between(t, op, x, low, high);
    return mn_tape_fail(t, MN_ERR_ARGUMENT, "min_val %g is larger than max_val %g", low, high);
}

mn_tensor *mn_hardtanh(mn_tape *t, mn_tensor *x, double min_val, double max_val)
{
    return hardtanh(t, &hardtanh_ops[0], x, min_val, max_val);
}

mn_tensor *mn_hardtanh_(mn_tape *t, mn_tensor *x, double min_val, double max_val)
{
    return hardtanh(t, &hardtanh_ops[1], x, min_val, max_val);
}

static const mn_op relu6_ops[] =
    MNI_OPS("relu6", .backward = gate_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_relu6(mn_tape *t, mn_tensor *x)
{
    return between(t, &relu6_ops[0], x, 0, 6);
}

mn_tensor *mn_relu6_(mn_tape *t, mn_tensor *x)
{
    return between(t, &relu6_ops[1], x, 0, 6);
}

static const mn_op hardsigmoid_ops[] =
    MNI_OPS("hardsigmoid", .backward = gate_backward, .backward_fast = mni_activate_backward_fast);

static mn_tensor *hardsigmoid(mn_tape *t, const mn_op *op, mn_tensor *x)
{
    return mni_activate(t, op, x,
                        (mni_activation){.value = mni_kernels()->hardsigmoid,
                                         .gradient = mni_kernels()->within_backward,
                                         .p = {-3, 3, 1.0 / 6}});
}

mn_tensor *mn_hardsigmoid(mn_tape *t, mn_tensor *x)
{
    return hardsigmoid(t, &hardsigmoid_ops[0], x);
}

mn_tensor *mn_hardsigmoid_(mn_tape *t, mn_tensor *x)
{
    return hardsigmoid(t, &hardsigmoid_ops[1], x);
}

/* ---- zero around 0 ---- */

static mn_tensor *shrink(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel, mn_tensor *x,
                         double lambda)
{
    if (!mni_begin(t, op, &x, 1)) return NULL;
    if (!(lambda >= 0))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "lambda is %g, but must be at least 0", lambda);
    return mni_activate(t, op, x,
                        (mni_activation){.value = kernel,
                                         .gradient = mni_kernels()->shrink_backward,
                                         .p = {lambda}});
}

static const mn_op hardshrink_op = {
    .name = "hardshrink", .backward = gate_backward, .backward_fast = mni_activate_backward_fast};

mn_tensor *mn_hardshrink(mn_tape *t, mn_tensor *x, double lambda)
{
    return shrink(t, &hardshrink_op, mni_kernels()->hardshrink, x, lambda);
}

static const mn_op softshrink_op = {
    .name = "softshrink", .backward = gate_backward, .backward_fast = mni_activate_backward_fast};

mn_tensor *mn_softshrink(mn_tape *t, mn_tensor *x, double lambda)
{
    return shrink(t, &softshrink_op, mni_kernels()->softshrink, x, lambda);
}
