/*
 * autograd/ops/curved.c: activations with a curve, many of them also in place. The gradient of each is
 * written with ops, its fused form is one kernel; the last ones are put together from other ops.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* An activation without numbers. */
static mn_tensor *curve(mn_tape *t, const mn_op *op, mn_tensor *x, const mni_unary_fn *value,
                        const mni_binary_fn *gradient)
{
    return mni_activate(t, op, x, (mni_activation){.value = value, .gradient = gradient});
}

/* ---- exponential linear units ---- */

/* y = s x for x > 0, else c (e^(k x) - 1), with p = {c, s, k}: dy/dx = s, or c k e^(k x) = k (y + c). */
static void elu_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const mni_activation *a = mn_saved_data(n);
    mn_tensor *v = mn_saved(n, 0), *below = mn_neg(t, mn_relu(t, mn_neg(t, v))), *slope;
    if (a->from_y)
        slope = mn_add_scalar(t, below, a->p[0]);
    else
        slope = mn_mul_scalar(t, mn_exp(t, mn_mul_scalar(t, below, a->p[2])), a->p[0]);
    slope = mn_mul_scalar(t, slope, a->p[2]);
    gx[0] = mn_mul(t, gy[0], mn_masked_fill(t, slope, mn_gt_scalar(t, v, 0), a->p[1]));
}

/* sign: the name of c where it may not be negative in place; that of celu may: c k is 1. */
static mn_tensor *elu(mn_tape *t, const mn_op *op, mn_tensor *x, const char *sign, double c,
                      double s, double k)
{
    const mni_kernel_table *kernels = mni_kernels();
    const bool from_y = op->flags & MNI_IN_PLACE;
    return mni_activate(
        t, op, x,
        (mni_activation){.value = kernels->elu,
                         .gradient = from_y ? kernels->elu_of_y_backward : kernels->elu_backward,
                         .p = {c, s, k},
                         .from_y = from_y,
                         .sign = sign});
}

static const mn_op elu_ops[] =
    MNI_OPS("elu", .backward = elu_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_elu(mn_tape *t, mn_tensor *x, double alpha)
{
    return elu(t, &elu_ops[0], x, "alpha", alpha, 1, 1);
}

mn_tensor *mn_elu_(mn_tape *t, mn_tensor *x, double alpha)
{
    return elu(t, &elu_ops[1], x, "alpha", alpha, 1, 1);
}

static const mn_op selu_ops[] =
    MNI_OPS("selu", .backward = elu_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_selu(mn_tape *t, mn_tensor *x)
{
    return elu(t, &selu_ops[0], x, NULL, MNI_SELU_LIMIT, MNI_SELU_SCALE, 1);
}

mn_tensor *mn_selu_(mn_tape *t, mn_tensor *x)
{
    return elu(t, &selu_ops[1], x, NULL, MNI_SELU_LIMIT, MNI_SELU_SCALE, 1);
}

static const mn_op celu_ops[] =
    MNI_OPS("celu", .backward = elu_backward, .backward_fast = mni_activate_backward_fast);

static mn_tensor *celu(mn_tape *t, const mn_op *op, mn_tensor *x, double alpha)
{
    if (!mni_begin(t, op, &x, 1)) return NULL;
    if (alpha == 0 || !isfinite(alpha))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "alpha is %g, but must be finite and not 0", alpha);
    return elu(t, op, x, NULL, alpha, 1, 1 / alpha);
}

mn_tensor *mn_celu(mn_tape *t, mn_tensor *x, double alpha)
{
    return celu(t, &celu_ops[0], x, alpha);
}

mn_tensor *mn_celu_(mn_tape *t, mn_tensor *x, double alpha)
{
    return celu(t, &celu_ops[1], x, alpha);
}

/* ---- x times a sigmoid of some kind ---- */

/* dy/dx = 0 up to -3, x/3 + 1/2 between, 1 from 3 on. */
static void hardswish_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0);
    mn_tensor *slope = mn_add_scalar(t, mn_div_scalar(t, x, 3), 0.5);
    slope = mn_masked_fill(t, slope, mn_le_scalar(t, x, -3), 0);
    gx[0] = mn_mul(t, gy[0], mn_masked_fill(t, slope, mn_ge_scalar(t, x, 3), 1));
}
static const mn_op hardswish_ops[] = MNI_OPS("hardswish", .backward = hardswish_backward,
                                             .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_hardswish(mn_tape *t, mn_tensor *x)
{
    const mni_kernel_table *k = mni_kernels();
    return curve(t, &hardswish_ops[0], x, k->hardswish, k->hardswish_backward);
}

mn_tensor *mn_hardswish_(mn_tape *t, mn_tensor *x)
{
    const mni_kernel_table *k = mni_kernels();
    return curve(t, &hardswish_ops[1], x, k->hardswish, k->hardswish_backward);
}

/* With s = sigmoid(x): dy/dx = s (1 + x (1 - s)). */
static void silu_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *s = mn_sigmoid(t, x);
    mn_tensor *more = mn_mul(t, x, mn_rsub_scalar(t, s, 1));
    gx[0] = mn_mul(t, gy[0], mn_mul(t, s, mn_add_scalar(t, more, 1)));
}
static const mn_op silu_ops[] =
    MNI_OPS("silu", .backward = silu_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_silu(mn_tape *t, mn_tensor *x)
{
    const mni_kernel_table *k = mni_kernels();
    return curve(t, &silu_ops[0], x, k->silu, k->silu_backward);
}

mn_tensor *mn_silu_(mn_tape *t, mn_tensor *x)
{
    const mni_kernel_table *k = mni_kernels();
    return curve(t, &silu_ops[1], x, k->silu, k->silu_backward);
}

/* With w = tanh(softplus(x)): dy/dx = w + x sigmoid(x) (1 - w^2). */
static void mish_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *w = mn_tanh(t, mn_softplus(t, x, 1, 20));
    mn_tensor *steep = mn_mul(t, mn_sigmoid(t, x), mn_rsub_scalar(t, mn_square(t, w), 1));
    gx[0] = mn_mul(t, gy[0], mn_add(t, w, mn_mul(t, x, steep)));
}
static const mn_op mish_ops[] =
    MNI_OPS("mish", .backward = mish_backward, .backward_fast = mni_activate_backward_fast);

mn_tensor *mn_mish(mn_tape *t, mn_tensor *x)
{
    const mni_kernel_table *k = mni_kernels();
    return curve(t, &mish_ops[0], x, k->mish, k->mish_backward);
}

mn_tensor *mn_mish_(mn_tape *t, mn_tensor *x)
{
    const mni_kernel_table *k = mni_kernels();
    return curve(t, &mish_ops[1], x, k->mish, k->mish_backward);
}

/* With the normal distribution F and its density f: dy/dx = F + x f. */
static void gelu_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double root_half = 0.70710678118654752440, density_at_0 = 0.39894228040143267794;
    mn_tensor *x = mn_saved(n, 0), *erf = mn_erf(t, mn_mul_scalar(t, x, root_half));
    mn_tensor *below = mn_mul_scalar(t, mn_add_scalar(t, erf, 1), 0.5);
    mn_tensor *bell = mn_exp(t, mn_mul_scalar(t, mn_square(t, x), -0.5));
    mn_tensor *steep = mn_mul(t, x, mn_mul_scalar(t, bell, density_at_0));
    gx[0] = mn_mul(t, gy[0], mn_add(t, below, steep));
}
static const mn_op gelu_op = {
    .name = "gelu", .backward = gelu_backward, .backward_fast = mni_activate_backward_fast};

mn_tensor *mn_gelu(mn_tape *t, mn_tensor *x)
{
    return curve(t, &gelu_op, x, mni_kernels()->gelu, mni_kernels()->gelu_backward);
}

/* With s = sigmoid(u), u = b (x + a x^3): dy/dx = s + x s (1 - s) b (1 + 3 a x^2). */
static void gelu_tanh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double a = 0.044715, b = 1.59576912160573071176;
    mn_tensor *x = mn_saved(n, 0), *square = mn_square(t, x);
    mn_tensor *u = mn_mul(t, x, mn_add_scalar(t, mn_mul_scalar(t, square, a), 1));
    mn_tensor *s = mn_sigmoid(t, mn_mul_scalar(t, u, b));
    mn_tensor *du = mn_mul_scalar(t, mn_add_scalar(t, mn_mul_scalar(t, square, 3 * a), 1), b);
    mn_tensor *steep = mn_mul(t, mn_mul(t, s, mn_rsub_scalar(t, s, 1)), du);
    gx[0] = mn_mul(t, gy[0], mn_add(t, s, mn_mul(t, x, steep)));
}
static const mn_op gelu_tanh_op = {.name = "gelu_tanh",
                                   .backward = gelu_tanh_backward,
                                   .backward_fast = mni_activate_backward_fast};

mn_tensor *mn_gelu_tanh(mn_tape *t, mn_tensor *x)
{
    return curve(t, &gelu_tanh_op, x, mni_kernels()->gelu_tanh, mni_kernels()->gelu_tanh_backward);
}

mn_tensor *mn_glu(mn_tape *t, mn_tensor *x, int dim)
{
    static const mn_op op = {.name = "glu"};
    char text[MNI_TEXT];
    if (!mni_begin(t, &op, &x, 1) || !mni_require_float(t, x) || !mni_require_dim(t, x, &dim))
        return NULL;
    const int64_t half = x->shape[dim] / 2;
    if (x->shape[dim] != 2 * half)
        return mn_tape_fail(t, MN_ERR_SHAPE, "%s: dimension %d is odd, so it has no halves",
                            mni_shape_text(text, sizeof text, x->ndim, x->shape), dim);
    return mn_mul(t, mn_narrow(t, x, dim, 0, half),
                  mn_sigmoid(t, mn_narrow(t, x, dim, half, half)));
}

/* ---- others ---- */

mn_tensor *mn_softsign(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "softsign"};
    if (!mni_begin(t, &op, &x, 1) || !mni_require_float(t, x)) return NULL;
    return mn_div(t, x, mn_add_scalar(t, mn_abs(t, x), 1));
}

mn_tensor *mn_tanhshrink(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "tanhshrink"};
    if (!mni_begin(t, &op, &x, 1) || !mni_require_float(t, x)) return NULL;
    return mn_sub(t, x, mn_tanh(t, x));
}
