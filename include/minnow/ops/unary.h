/*
 * minnow/ops/unary.h: functions of one number, element by element.
 * What all ops share is in minnow/ops.h.
 *
 * x: floating, unless the comment says otherwise. Outside a function's domain the result is NaN, at
 * a pole an infinity, as IEEE 754 and C's <math.h> have it; gradients are what their formula gives
 * there.
 */
#ifndef MINNOW_OPS_UNARY_H
#define MINNOW_OPS_UNARY_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sign and powers ---- */

/* Floating, i64 and u8; what an integer type cannot hold wraps around. */
MN_API mn_tensor *mn_neg(mn_tape *t, mn_tensor *x);    /* -x */
MN_API mn_tensor *mn_abs(mn_tape *t, mn_tensor *x);    /* |x|; gradient 0 at 0 */
MN_API mn_tensor *mn_sign(mn_tape *t, mn_tensor *x);   /* -1, 0 or 1, of NaN 0; gradient 0 */
MN_API mn_tensor *mn_square(mn_tape *t, mn_tensor *x); /* x^2 */

MN_API mn_tensor *mn_sqrt(mn_tape *t, mn_tensor *x);       /* x^(1/2) */
MN_API mn_tensor *mn_rsqrt(mn_tape *t, mn_tensor *x);      /* x^(-1/2) */
MN_API mn_tensor *mn_reciprocal(mn_tape *t, mn_tensor *x); /* 1 / x */

/* ---- exponentials and logarithms ---- */

MN_API mn_tensor *mn_exp(mn_tape *t, mn_tensor *x);   /* e^x */
MN_API mn_tensor *mn_exp2(mn_tape *t, mn_tensor *x);  /* 2^x */
MN_API mn_tensor *mn_expm1(mn_tape *t, mn_tensor *x); /* e^x - 1, exact also near 0 */
MN_API mn_tensor *mn_log(mn_tape *t, mn_tensor *x);   /* ln x */
MN_API mn_tensor *mn_log2(mn_tape *t, mn_tensor *x);  /* log to base 2 */
MN_API mn_tensor *mn_log10(mn_tape *t, mn_tensor *x); /* log to base 10 */
MN_API mn_tensor *mn_log1p(mn_tape *t, mn_tensor *x); /* ln(1 + x), exact also near 0 */

/* ---- circular functions (radians) and hyperbolic ones ---- */

MN_API mn_tensor *mn_sin(mn_tape *t, mn_tensor *x);  /* sine */
MN_API mn_tensor *mn_cos(mn_tape *t, mn_tensor *x);  /* cosine */
MN_API mn_tensor *mn_tan(mn_tape *t, mn_tensor *x);  /* sin x / cos x */
MN_API mn_tensor *mn_asin(mn_tape *t, mn_tensor *x); /* [-1, 1] -> [-pi/2, pi/2] */
MN_API mn_tensor *mn_acos(mn_tape *t, mn_tensor *x); /* [-1, 1] -> [0, pi] */
MN_API mn_tensor *mn_atan(mn_tape *t, mn_tensor *x); /* -> [-pi/2, pi/2] */

MN_API mn_tensor *mn_sinh(mn_tape *t, mn_tensor *x);  /* (e^x - e^-x) / 2 */
MN_API mn_tensor *mn_cosh(mn_tape *t, mn_tensor *x);  /* (e^x + e^-x) / 2 */
MN_API mn_tensor *mn_tanh(mn_tape *t, mn_tensor *x);  /* sinh x / cosh x */
MN_API mn_tensor *mn_asinh(mn_tape *t, mn_tensor *x); /* ln(x + (x^2 + 1)^(1/2)) */
MN_API mn_tensor *mn_acosh(mn_tape *t, mn_tensor *x); /* ln(x + (x^2 - 1)^(1/2)), x >= 1 */
MN_API mn_tensor *mn_atanh(mn_tape *t, mn_tensor *x); /* ln((1 + x) / (1 - x)) / 2, |x| <= 1 */

/* ---- sigmoid and its kin ---- */

MN_API mn_tensor *mn_sigmoid(mn_tape *t, mn_tensor *x);     /* 1 / (1 + e^-x) */
MN_API mn_tensor *mn_log_sigmoid(mn_tape *t, mn_tensor *x); /* -ln(1 + e^-x), for every x */

/* 2 / sqrt(pi) times the integral of e^(-u^2) for u from 0 to x. */
MN_API mn_tensor *mn_erf(mn_tape *t, mn_tensor *x);

/* ln(1 + e^(beta x)) / beta, and x where beta x > threshold (where the two hardly differ; PyTorch's
 * defaults are 1 and 20). Does not overflow, whatever the threshold. beta: finite and not 0. */
MN_API mn_tensor *mn_softplus(mn_tape *t, mn_tensor *x, double beta, double threshold);

/* In place of x, as the ops of minnow/ops/pointwise.h that end in an underscore. */
MN_API mn_tensor *mn_sigmoid_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_tanh_(mn_tape *t, mn_tensor *x);

/* ---- rounding ---- */

/* To a whole number; integers (i64 and u8) are copied. The gradient is 0. */
MN_API mn_tensor *mn_floor(mn_tape *t, mn_tensor *x); /* down */
MN_API mn_tensor *mn_ceil(mn_tape *t, mn_tensor *x);  /* up */
MN_API mn_tensor *mn_round(mn_tape *t, mn_tensor *x); /* to the nearest; halves to the even one */
MN_API mn_tensor *mn_trunc(mn_tape *t, mn_tensor *x); /* towards 0 */

/* ---- questions ---- */

/* -> bool, no gradient; every dtype (integers and bool are finite). */
MN_API mn_tensor *mn_isnan(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_isinf(mn_tape *t, mn_tensor *x); /* either infinity */
MN_API mn_tensor *mn_isfinite(mn_tape *t, mn_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
