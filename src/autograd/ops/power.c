/*
 * autograd/ops/power.c: powers, the angle of a vector, and what a division leaves.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* ---- powers ---- */

/* y = a^b: dy/da = b a^(b-1), 0 for b = 0; dy/db = y ln a, 0 for a = 0 where y is finite. */
static void pow_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *a = mn_saved(n, 0), *b = mn_saved(n, 1), *y = mn_saved(n, 2);
    if (mn_needs(n, 0)) {
        mn_tensor *slope = mn_mul(t, b, mn_pow(t, a, mn_sub_scalar(t, b, 1)));
        gx[0] = mn_masked_fill(t, mn_mul(t, gy[0], slope), mn_eq_scalar(t, b, 0), 0);
    }
    if (mn_needs(n, 1)) {
        mn_tensor *flat = mn_logical_and(t, mn_eq_scalar(t, a, 0), mn_ge_scalar(t, b, 0));
        mn_tensor *slope = mn_mul(t, y, mn_log(t, a));
        gx[1] = mn_mul(t, gy[0], mn_masked_fill(t, slope, flat, 0));
    }
}
static const mn_op pow_op = {.name = "pow", .backward = pow_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_pow(mn_tape *t, mn_tensor *x, mn_tensor *exponent)
{
    mn_node *n;
    mn_tensor *y = mni_binary(t, &pow_op, mni_plain.pow, x, exponent, NULL, &n);
    mn_save(n, x);
    mn_save(n, exponent);
    mni_save_if(n, mn_tensor_requires_grad(exponent), y, x);
    return mn_op_end(t, y);
}

/* Saved: s. dy/dx = s x^(s-1), 0 for s = 0. */
static void pow_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    double s = *(const double *)mn_saved_data(n);
    if (s == 0)
        gx[0] = mn_zeros_like(t, gy[0]);
    else
        gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, mn_pow_scalar(t, mn_saved(n, 0), s - 1), s));
}
static const mn_op pow_scalar_op = {.name = "pow_scalar", .backward = pow_scalar_backward};

/* y <- x^s: the common exponents without the general function, and roots as sqrt has them. */
static void raise_to(mni_team *team, const mn_tensor *x, double s, mn_tensor *y)
{
    const mni_kernel_table *k = mni_kernels();
    const mni_unary_fn *kernel = s == 2      ? k->square
                                 : s == 0.5  ? k->sqrt
                                 : s == -0.5 ? k->rsqrt
                                 : s == -1   ? k->reciprocal
                                             : NULL;
    mni_number number;
    if (kernel) {
        mni_map1(team, kernel, x, y, NULL);
    } else if (s == 1) {
        mni_copy(team, x, y);
    } else if (s == 3) {
        mni_map2(team, k->mul, x, x, y, NULL);
        mni_map2(team, k->mul, x, y, y, NULL);
    } else {
        mni_number_of(&number, (mn_dtype)x->dtype, s);
        mni_map2(team, mni_plain.pow, x, &number.tensor, y, NULL);
    }
}

mn_tensor *mn_pow_scalar(mn_tape *t, mn_tensor *x, double s)
{
    if (!mni_begin(t, &pow_scalar_op, &x, 1) || !mni_require_scalar(t, x, s)) return NULL;
    if (x->dtype == MN_BOOL) return mn_tape_fail(t, MN_ERR_DTYPE, "does not take bool");
    if (!mni_is_float((mn_dtype)x->dtype) && s < 0)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "an integer to the power %g is none", s);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y) raise_to(mni_tape_team(t), x, s, y);
    mn_node *n = mn_op_record(t, &pow_scalar_op, &x, 1, &y, 1);
    mn_save(n, x);
    mn_save_data(n, &s, sizeof s);
    return mn_op_end(t, y);
}

/* Saved: s. y = s^x: dy/dx = y ln s, 0 for s = 0 where y is finite. */
static void rpow_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    double s = *(const double *)mn_saved_data(n);
    mn_tensor *slope = mn_mul_scalar(t, mn_saved(n, 0), log(s));
    if (s == 0) slope = mn_masked_fill(t, slope, mn_ge_scalar(t, mn_saved(n, 1), 0), 0);
    gx[0] = mn_mul(t, gy[0], slope);
}
static const mn_op rpow_scalar_op = {.name = "rpow_scalar", .backward = rpow_scalar_backward};

mn_tensor *mn_rpow_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    mn_tensor *y = mni_scalar(t, &rpow_scalar_op, mni_plain.pow, x, s, true, &n);
    mn_save(n, y);
    mni_save_if(n, s == 0, x, y);
    mn_save_data(n, &s, sizeof s);
    return mn_op_end(t, y);
}

/* ---- atan2 ---- */

/* dy/da = b / (a^2 + b^2), dy/db = -a / (a^2 + b^2); 0 where both are 0. */
static void atan2_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *a = mn_saved(n, 0), *b = mn_saved(n, 1);
    mn_tensor *square = mn_add(t, mn_mul(t, a, a), mn_mul(t, b, b));
    mn_tensor *g = mn_masked_fill(t, mn_div(t, gy[0], square), mn_eq_scalar(t, square, 0), 0);
    if (mn_needs(n, 0)) gx[0] = mn_mul(t, g, b);
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, mn_mul(t, g, a));
}
static const mn_op atan2_op = {
    .name = "atan2", .backward = atan2_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_atan2(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    mn_tensor *y = mni_binary(t, &atan2_op, mni_plain.atan2, a, b, NULL, &n);
    mn_save(n, a);
    mn_save(n, b);
    return mn_op_end(t, y);
}

/* ---- division with a rest ---- */

/* Dividing integers by zero has no result. */
static bool divisors_fit(mn_tape *t, const mn_op *op, mn_tensor *a, mn_tensor *b)
{
    if (!mni_begin(t, op, (mn_tensor *[]){a, b}, 2)) return false;
    if ((b->dtype != MN_I64 && b->dtype != MN_U8) || a->numel == 0) return true;
    const mn_tensor *dense = mni_dense(t, b);
    for (int64_t i = 0; dense && i < b->numel; i++) {
        const void *data = dense->data;
        if (b->dtype == MN_I64 ? ((const int64_t *)data)[i] : ((const uint8_t *)data)[i]) continue;
        mn_tape_fail(t, MN_ERR_ARGUMENT, "integers are divided by zero (element %lld)",
                     (long long)i);
        return false;
    }
    return dense != NULL;
}

static bool divisor_fits(mn_tape *t, const mn_op *op, mn_tensor *x, double s)
{
    if (!mni_begin(t, op, &x, 1)) return false;
    if (s != 0 || mni_is_float((mn_dtype)x->dtype)) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "integers are divided by zero");
    return false;
}

/* Flat between its steps. */
static void floor_divide_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    gx[0] = mn_zeros_like(t, gy[0]);
    gx[1] = gx[0];
}
static const mn_op floor_divide_op = {
    .name = "floor_divide", .backward = floor_divide_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_floor_divide(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    if (!divisors_fit(t, &floor_divide_op, a, b)) return NULL;
    return mn_op_end(t, mni_binary(t, &floor_divide_op, mni_plain.floor_divide, a, b, NULL, &n));
}

/* y = a - q b with whole q: dy/da = 1, dy/db = -q. */
static void fmod_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gy[0];
    if (!mn_needs(n, 1)) return;
    mn_tensor *a = mn_detach(t, mn_saved(n, 0)), *b = mn_detach(t, mn_saved(n, 1));
    mn_tensor *q = mn_trunc(t, mn_div(t, a, b));
    gx[1] = mn_neg(t, mn_mul(t, gy[0], q));
}
static const mn_op fmod_op = {.name = "fmod", .backward = fmod_backward, .flags = MN_OP_BROADCASTS};

static void remainder_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gy[0];
    if (!mn_needs(n, 1)) return;
    mn_tensor *q = mn_floor_divide(t, mn_saved(n, 0), mn_saved(n, 1));
    gx[1] = mn_neg(t, mn_mul(t, gy[0], q));
}
static const mn_op remainder_op = {
    .name = "remainder", .backward = remainder_backward, .flags = MN_OP_BROADCASTS};

static mn_tensor *rest(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *a,
                       mn_tensor *b)
{
    mn_node *n;
    if (!divisors_fit(t, op, a, b)) return NULL;
    mn_tensor *y = mni_binary(t, op, kernel, a, b, NULL, &n);
    if (mn_tensor_requires_grad(b)) {
        mn_save(n, a);
        mn_save(n, b);
    }
    return mn_op_end(t, y);
}

mn_tensor *mn_fmod(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return rest(t, &fmod_op, mni_plain.fmod, a, b);
}

mn_tensor *mn_remainder(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return rest(t, &remainder_op, mni_plain.remainder, a, b);
}

static void rest_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}
static const mn_op fmod_scalar_op = {.name = "fmod_scalar", .backward = rest_scalar_backward};
static const mn_op remainder_scalar_op = {.name = "remainder_scalar",
                                          .backward = rest_scalar_backward};

mn_tensor *mn_fmod_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    const mn_op *op = &fmod_scalar_op;
    if (!divisor_fits(t, op, x, s)) return NULL;
    return mn_op_end(t, mni_scalar(t, op, mni_plain.fmod, x, s, false, &n));
}

mn_tensor *mn_remainder_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    const mn_op *op = &remainder_scalar_op;
    if (!divisor_fits(t, op, x, s)) return NULL;
    return mn_op_end(t, mni_scalar(t, op, mni_plain.remainder, x, s, false, &n));
}
