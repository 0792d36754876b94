/*
 * autograd/ops/unary.c: functions of one number, element by element: powers, exponentials and
 * logarithms, circular and hyperbolic functions and their inverses, rounding, and questions about a
 * number. A kernel is a line of pointwise.def, or of plain.def where most of its time goes to libm.
 * A gradient is written with whichever of x and y = f(x) makes it shorter, and only that is saved.
 */
#include "autograd/ops/ops.h"
#include <math.h>

#define LN_2 0.69314718055994530942
#define LN_10 2.30258509299404568402
#define TWO_OVER_SQRT_PI 1.12837916709551257390

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

/* x^2 + s. */
static mn_tensor *square_plus(mn_tape *t, mn_tensor *x, double s)
{
    return mn_add_scalar(t, mn_square(t, x), s);
}

/* 1 - x^2. */
static mn_tensor *one_minus_square(mn_tape *t, mn_tensor *x)
{
    return mn_add_scalar(t, mn_neg(t, mn_square(t, x)), 1);
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

static void abs_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_sign(t, mn_saved(n, 0)));
}
static const mn_op abs_op = {.name = "abs", .backward = abs_backward};

mn_tensor *mn_abs(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &abs_op, mni_kernels()->abs, x);
}

/* Of a function with steps: 0, even where gy is infinite. */
static void step_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    gx[0] = mn_zeros_like(t, gy[0]);
}
static const mn_op sign_op = {.name = "sign", .backward = step_backward};

mn_tensor *mn_sign(mn_tape *t, mn_tensor *x)
{
    return map(t, &sign_op, mni_kernels()->sign, x);
}

static void square_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, mn_saved(n, 0), 2));
}
static const mn_op square_op = {.name = "square", .backward = square_backward};

mn_tensor *mn_square(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &square_op, mni_kernels()->square, x);
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

/* dy/dx = -y^3 / 2. */
static void rsqrt_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *y = mn_saved(n, 0);
    gx[0] = mn_mul(t, mn_mul_scalar(t, gy[0], -0.5), mn_mul(t, y, mn_square(t, y)));
}
static const mn_op rsqrt_op = {.name = "rsqrt", .backward = rsqrt_backward};

mn_tensor *mn_rsqrt(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &rsqrt_op, mni_kernels()->rsqrt, x);
}

/* dy/dx = -y^2. */
static void reciprocal_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_neg(t, mn_mul(t, gy[0], mn_square(t, mn_saved(n, 0))));
}
static const mn_op reciprocal_op = {.name = "reciprocal", .backward = reciprocal_backward};

mn_tensor *mn_reciprocal(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &reciprocal_op, mni_kernels()->reciprocal, x);
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

/* dy/dx = y ln 2. */
static void exp2_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, mn_saved(n, 0), LN_2));
}
static const mn_op exp2_op = {.name = "exp2", .backward = exp2_backward};

mn_tensor *mn_exp2(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &exp2_op, mni_plain.exp2, x);
}

/* dy/dx = y + 1. */
static void expm1_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_add_scalar(t, mn_saved(n, 0), 1));
}
static const mn_op expm1_op = {.name = "expm1", .backward = expm1_backward};

mn_tensor *mn_expm1(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &expm1_op, mni_plain.expm1, x);
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

static void log2_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], mn_mul_scalar(t, mn_saved(n, 0), LN_2));
}
static const mn_op log2_op = {.name = "log2", .backward = log2_backward};

mn_tensor *mn_log2(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &log2_op, mni_plain.log2, x);
}

static void log10_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], mn_mul_scalar(t, mn_saved(n, 0), LN_10));
}
static const mn_op log10_op = {.name = "log10", .backward = log10_backward};

mn_tensor *mn_log10(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &log10_op, mni_plain.log10, x);
}

static void log1p_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], mn_add_scalar(t, mn_saved(n, 0), 1));
}
static const mn_op log1p_op = {.name = "log1p", .backward = log1p_backward};

mn_tensor *mn_log1p(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &log1p_op, mni_plain.log1p, x);
}

/* ---- circular functions ---- */

static void sin_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_cos(t, mn_saved(n, 0)));
}
static const mn_op sin_op = {.name = "sin", .backward = sin_backward};

mn_tensor *mn_sin(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &sin_op, mni_plain.sin, x);
}

static void cos_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_neg(t, mn_mul(t, gy[0], mn_sin(t, mn_saved(n, 0))));
}
static const mn_op cos_op = {.name = "cos", .backward = cos_backward};

mn_tensor *mn_cos(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &cos_op, mni_plain.cos, x);
}

/* dy/dx = 1 + y^2. */
static void tan_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], square_plus(t, mn_saved(n, 0), 1));
}
static const mn_op tan_op = {.name = "tan", .backward = tan_backward};

mn_tensor *mn_tan(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &tan_op, mni_plain.tan, x);
}

/* dy/dx = (1 - x^2)^(-1/2). */
static void asin_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_rsqrt(t, one_minus_square(t, mn_saved(n, 0))));
}
static const mn_op asin_op = {.name = "asin", .backward = asin_backward};

mn_tensor *mn_asin(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &asin_op, mni_plain.asin, x);
}

/* dy/dx = -(1 - x^2)^(-1/2). */
static void acos_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_neg(t, mn_mul(t, gy[0], mn_rsqrt(t, one_minus_square(t, mn_saved(n, 0)))));
}
static const mn_op acos_op = {.name = "acos", .backward = acos_backward};

mn_tensor *mn_acos(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &acos_op, mni_plain.acos, x);
}

/* dy/dx = 1 / (x^2 + 1). */
static void atan_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], square_plus(t, mn_saved(n, 0), 1));
}
static const mn_op atan_op = {.name = "atan", .backward = atan_backward};

mn_tensor *mn_atan(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &atan_op, mni_plain.atan, x);
}

/* ---- hyperbolic functions ---- */

static void sinh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_cosh(t, mn_saved(n, 0)));
}
static const mn_op sinh_op = {.name = "sinh", .backward = sinh_backward};

mn_tensor *mn_sinh(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &sinh_op, mni_plain.sinh, x);
}

static void cosh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_sinh(t, mn_saved(n, 0)));
}
static const mn_op cosh_op = {.name = "cosh", .backward = cosh_backward};

mn_tensor *mn_cosh(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &cosh_op, mni_plain.cosh, x);
}

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

static const mn_op tanh_in_place_op = {.name = "tanh_",
                                       .backward = tanh_backward,
                                       .backward_fast = tanh_backward_fast,
                                       .flags = MNI_IN_PLACE};

mn_tensor *mn_tanh(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &tanh_op, mni_kernels()->tanh, x);
}

mn_tensor *mn_tanh_(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &tanh_in_place_op, mni_kernels()->tanh, x);
}

/* dy/dx = (x^2 + 1)^(-1/2). */
static void asinh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_rsqrt(t, square_plus(t, mn_saved(n, 0), 1)));
}
static const mn_op asinh_op = {.name = "asinh", .backward = asinh_backward};

mn_tensor *mn_asinh(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &asinh_op, mni_plain.asinh, x);
}

/* dy/dx = (x^2 - 1)^(-1/2). */
static void acosh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_rsqrt(t, square_plus(t, mn_saved(n, 0), -1)));
}
static const mn_op acosh_op = {.name = "acosh", .backward = acosh_backward};

mn_tensor *mn_acosh(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &acosh_op, mni_plain.acosh, x);
}

/* dy/dx = 1 / (1 - x^2). */
static void atanh_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div(t, gy[0], one_minus_square(t, mn_saved(n, 0)));
}
static const mn_op atanh_op = {.name = "atanh", .backward = atanh_backward};

mn_tensor *mn_atanh(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &atanh_op, mni_plain.atanh, x);
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

static const mn_op sigmoid_in_place_op = {.name = "sigmoid_",
                                          .backward = sigmoid_backward,
                                          .backward_fast = sigmoid_backward_fast,
                                          .flags = MNI_IN_PLACE};

mn_tensor *mn_sigmoid(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &sigmoid_op, mni_kernels()->sigmoid, x);
}

mn_tensor *mn_sigmoid_(mn_tape *t, mn_tensor *x)
{
    return map_saving_y(t, &sigmoid_in_place_op, mni_kernels()->sigmoid, x);
}

/* dy/dx = sigmoid(-x). */
static void log_sigmoid_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], mn_sigmoid(t, mn_neg(t, mn_saved(n, 0))));
}
static const mn_op log_sigmoid_op = {.name = "log_sigmoid", .backward = log_sigmoid_backward};

mn_tensor *mn_log_sigmoid(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &log_sigmoid_op, mni_plain.log_sigmoid, x);
}

/* dy/dx = 1 where u = beta x > threshold, else sigmoid(u). */
static void softplus_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double *p = mn_saved_data(n);
    mn_tensor *u = mn_mul_scalar(t, mn_saved(n, 0), p[0]);
    mn_tensor *linear = mn_to(t, mn_gt_scalar(t, u, p[1]), mn_tensor_dtype(u));
    mn_tensor *curved = mn_add_scalar(t, mn_neg(t, linear), 1);
    mn_tensor *slope = mn_add(t, linear, mn_mul(t, curved, mn_sigmoid(t, u)));
    gx[0] = mn_mul(t, gy[0], slope);
}
static const mn_op softplus_op = {.name = "softplus", .backward = softplus_backward};

mn_tensor *mn_softplus(mn_tape *t, mn_tensor *x, double beta, double threshold)
{
    mn_node *n;
    const double p[] = {beta, threshold};
    if (!mni_begin(t, &softplus_op, &x, 1)) return NULL;
    if (!isfinite(beta) || beta == 0)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "beta is %g, but must be finite and not 0", beta);
    mn_tensor *y = mni_unary(t, &softplus_op, mni_plain.softplus, x, p, &n);
    mn_save(n, x);
    mn_save_data(n, p, sizeof p);
    return mn_op_end(t, y);
}

/* dy/dx = 2 / sqrt(pi) e^(-x^2). */
static void erf_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *bell = mn_exp(t, mn_neg(t, mn_square(t, mn_saved(n, 0))));
    gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, bell, TWO_OVER_SQRT_PI));
}
static const mn_op erf_op = {.name = "erf", .backward = erf_backward};

mn_tensor *mn_erf(mn_tape *t, mn_tensor *x)
{
    return map_saving_x(t, &erf_op, mni_kernels()->erf, x);
}

/* ---- rounding ---- */

/* y = f(x) by a kernel for floating x; integers are whole as they are. */
static mn_tensor *make_whole(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel, mn_tensor *x)
{
    mn_dtype dtype = mn_tensor_dtype(x);
    bool whole = dtype == MN_I64 || dtype == MN_U8;
    return map(t, op, whole ? mni_kernels()->copy[dtype] : kernel, x);
}

static const mn_op floor_op = {.name = "floor", .backward = step_backward};

mn_tensor *mn_floor(mn_tape *t, mn_tensor *x)
{
    return make_whole(t, &floor_op, mni_kernels()->floor, x);
}

static const mn_op ceil_op = {.name = "ceil", .backward = step_backward};

mn_tensor *mn_ceil(mn_tape *t, mn_tensor *x)
{
    return make_whole(t, &ceil_op, mni_kernels()->ceil, x);
}

static const mn_op round_op = {.name = "round", .backward = step_backward};

mn_tensor *mn_round(mn_tape *t, mn_tensor *x)
{
    return make_whole(t, &round_op, mni_kernels()->round, x);
}

static const mn_op trunc_op = {.name = "trunc", .backward = step_backward};

mn_tensor *mn_trunc(mn_tape *t, mn_tensor *x)
{
    return make_whole(t, &trunc_op, mni_kernels()->trunc, x);
}

/* ---- questions ---- */

/* The answers to a kernel about floating x; for other dtypes it is the same for every number. */
static mn_tensor *ask(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel, mn_tensor *x,
                      bool of_others)
{
    if (!mni_begin(t, op, &x, 1)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, MN_BOOL, x->ndim, x->shape);
    if (y && mni_is_float((mn_dtype)x->dtype))
        mni_map1(mni_tape_team(t), kernel, x, y, NULL);
    else if (y)
        mni_fill(mni_tape_team(t), y, of_others);
    return mn_op_end(t, y);
}

static const mn_op isnan_op = {.name = "isnan"};

mn_tensor *mn_isnan(mn_tape *t, mn_tensor *x)
{
    return ask(t, &isnan_op, mni_plain.isnan, x, false);
}

static const mn_op isinf_op = {.name = "isinf"};

mn_tensor *mn_isinf(mn_tape *t, mn_tensor *x)
{
    return ask(t, &isinf_op, mni_plain.isinf, x, false);
}

static const mn_op isfinite_op = {.name = "isfinite"};

mn_tensor *mn_isfinite(mn_tape *t, mn_tensor *x)
{
    return ask(t, &isfinite_op, mni_plain.isfinite, x, true);
}
