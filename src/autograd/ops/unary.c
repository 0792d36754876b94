/*
 * autograd/ops/unary.c: functions of one number, element by element. A gradient is written with
 * whichever of x and y = f(x) makes it shorter, and only that is saved.
 */
#include "autograd/ops/ops.h"

/* y = f(x), whose gradient needs neither x nor y. */
static mn_tensor *map(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel, mn_tensor *x)
{
    mn_node *n;
    return mn_op_end(t, mni_unary(t, op, kernel, x, NULL, &n));
}

/* y = f(x), with x saved for the gradient. */
static mn_tensor *map_saving_x(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel,
                               mn_tensor *x)
{
    mn_node *n;
    mn_tensor *y = mni_unary(t, op, kernel, x, NULL, &n);
    mn_save(n, x);
    return mn_op_end(t, y);
}

/* y = f(x), with y saved for the gradient. */
static mn_tensor *map_saving_y(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel,
                               mn_tensor *x)
{
    mn_node *n;
    mn_tensor *y = mni_unary(t, op, kernel, x, NULL, &n);
    mn_save(n, y);
    return mn_op_end(t, y);
}

/* ---- sign and powers ---- */

static void neg_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    gx[0] = mn_neg(t, gy[0]);
}
static const mn_op neg_op = {.name = "neg", .backward = neg_backward};

mn_tensor *mn_neg(mn_tape *t, mn_tensor *x)
{
    return map(t, &neg_op, mni_kernels()->neg, x);
}

/* dy/dx = 1 / (2 y). */
static void sqrt_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], mn_mul_scalar(t, mn_saved(n, 0), 2));
}
static const mn_op sqrt_op = {.name = "sqrt", .backward = sqrt_backward};

mn_tensor *mn_sqrt(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &sqrt_op, mni_kernels()->sqrt, x);
}

/* ---- exponentials and logarithms ---- */

/* dy/dx = y. */
static void exp_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_saved(n, 0));
}
static const mn_op exp_op = {.name = "exp", .backward = exp_backward};

mn_tensor *mn_exp(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &exp_op, mni_kernels()->exp, x);
}

static void log_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], mn_saved(n, 0));
}
static const mn_op log_op = {.name = "log", .backward = log_backward};

mn_tensor *mn_log(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &log_op, mni_kernels()->log, x);
}

/* ---- hyperbolic functions ---- */

/* gx = f(gy, y) by one kernel: what tanh and sigmoid share. */
static mn_tensor *from_result(mn_tape *t, mn_node *n, const mni_binary_fn *kernel, mn_tensor *gy)
{
    mn_tensor *gx = mn_empty_like(t, gy);
    if (gx) mni_map2(mni_tape_team(t), kernel, gy, mn_saved(n, 0), gx, NULL);
    return gx;
}

/* dy/dx = 1 - y^2. */
static void tanh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *y = mn_saved(n, 0);
    gx[0] = mn_sub(t, gy[0], mn_mul(t, gy[0], mn_mul(t, y, y)));
}
static void tanh_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = from_result(t, n, mni_kernels()->tanh_backward, gy[0]);
}
static const mn_op tanh_op = {
    .name = "tanh", .backward = tanh_backward, .backward_fast = tanh_backward_fast};

mn_tensor *mn_tanh(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &tanh_op, mni_kernels()->tanh, x);
}

/* ---- sigmoid and its kin ---- */

/* dy/dx = y (1 - y). */
static void sigmoid_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *y = mn_saved(n, 0);
    gx[0] = mn_mul(t, gy[0], mn_sub(t, y, mn_mul(t, y, y)));
}
static void sigmoid_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = from_result(t, n, mni_kernels()->sigmoid_backward, gy[0]);
}
static const mn_op sigmoid_op = {
    .name = "sigmoid", .backward = sigmoid_backward, .backward_fast = sigmoid_backward_fast};

mn_tensor *mn_sigmoid(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &sigmoid_op, mni_kernels()->sigmoid, x);
}
