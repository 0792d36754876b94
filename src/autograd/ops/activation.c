/*
 * autograd/ops/activation.c: rectifiers with a fixed slope, also in place. What decides about the
 * gradient is the sign of the input, which the output has too (unless a slope is negative).
 */
#include "autograd/ops/ops.h"

typedef struct rectifier {
    bool leaky; /* else relu, whose zero is a zero also where the gradient is infinite */
    double slope;
} rectifier;

/* g where `by` > 0 (relu: or NaN), else slope g. Linear in g, so it is its own gradient. */
static mn_tensor *gate(mn_tape *t, mn_tensor *g, mn_tensor *by, const rectifier *r);

static void gate_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gate(t, gy[0], mn_saved(n, 0), mn_saved_data(n));
}
static const mn_op gate_op = {.name = "relu_backward", .backward = gate_backward};

static mn_tensor *gate(mn_tape *t, mn_tensor *g, mn_tensor *by, const rectifier *r)
{
    if (!mni_begin(t, &gate_op, (mn_tensor *[]){g, by}, 2)) return NULL;
    const mni_kernel_table *k = mni_kernels();
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)g->dtype, g->ndim, g->shape);
    if (y)
        mni_map2(mni_tape_team(t), r->leaky ? k->leaky_relu_backward : k->relu_backward, g, by, y,
                 &r->slope);
    mn_node *n = mn_op_record(t, &gate_op, &g, 1, &y, 1);
    mn_save(n, by);
    mn_save_data(n, r, sizeof *r);
    return mn_op_end(t, y);
}

static const mn_op relu_op = {.name = "relu", .backward = gate_backward};
static const mn_op relu_in_place_op = {
    .name = "relu_", .backward = gate_backward, .flags = MNI_IN_PLACE};
static const mn_op leaky_relu_op = {.name = "leaky_relu", .backward = gate_backward};
static const mn_op leaky_relu_in_place_op = {
    .name = "leaky_relu_", .backward = gate_backward, .flags = MNI_IN_PLACE};

mn_tensor *mn_relu(mn_tape *t, mn_tensor *x)
{
    mn_node *n;
    mn_tensor *y = mni_unary(t, &relu_op, mni_kernels()->relu, x, NULL, &n);
    mn_save(n, y);
    mn_save_data(n, &(rectifier){0}, sizeof(rectifier));
    return mn_op_end(t, y);
}

mn_tensor *mn_leaky_relu(mn_tape *t, mn_tensor *x, double slope)
{
    mn_node *n;
    mn_tensor *y = mni_unary(t, &leaky_relu_op, mni_kernels()->leaky_relu, x, &slope, &n);
    mn_save(n, slope > 0 ? y : x);
    mn_save_data(n, &(rectifier){true, slope}, sizeof(rectifier));
    return mn_op_end(t, y);
}

mn_tensor *mn_relu_(mn_tape *t, mn_tensor *x)
{
    mn_node *n;
    mn_tensor *y = mni_unary(t, &relu_in_place_op, mni_kernels()->relu, x, NULL, &n);
    mn_save(n, y);
    mn_save_data(n, &(rectifier){0}, sizeof(rectifier));
    return mn_op_end(t, y);
}

mn_tensor *mn_leaky_relu_(mn_tape *t, mn_tensor *x, double slope)
{
    mn_node *n;
    if (!mni_begin(t, &leaky_relu_in_place_op, &x, 1)) return NULL;
    if (!(slope >= 0) && mn_grad_enabled(t) && mn_tensor_requires_grad(x))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "slope %g: in place the gradient is found from the result's sign, so "
                            "the slope may not be negative; use mn_leaky_relu",
                            slope);
    mn_tensor *y = mni_unary(t, &leaky_relu_in_place_op, mni_kernels()->leaky_relu, x, &slope, &n);
    mn_save(n, y);
    mn_save_data(n, &(rectifier){true, slope}, sizeof(rectifier));
    return mn_op_end(t, y);
}
