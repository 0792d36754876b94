/*
 * minnow/ops/pointwise.h: arithmetic, comparisons and selection, element by element, also in place.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_POINTWISE_H
#define MINNOW_OPS_POINTWISE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- arithmetic ---- */

/* a and b broadcast and are of one dtype, not bool. Integers wrap. */
MN_API mn_tensor *mn_add(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a + b */
MN_API mn_tensor *mn_sub(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a - b */
MN_API mn_tensor *mn_mul(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a * b */
MN_API mn_tensor *mn_div(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a / b; floating only */

/* s is converted to x's dtype, not bool; one that an integer x cannot hold (0.5) is an error. */
MN_API mn_tensor *mn_add_scalar(mn_tape *t, mn_tensor *x, double s);  /* x + s */
MN_API mn_tensor *mn_sub_scalar(mn_tape *t, mn_tensor *x, double s);  /* x - s */
MN_API mn_tensor *mn_rsub_scalar(mn_tape *t, mn_tensor *x, double s); /* s - x */
MN_API mn_tensor *mn_mul_scalar(mn_tape *t, mn_tensor *x, double s);  /* x * s */
MN_API mn_tensor *mn_div_scalar(mn_tape *t, mn_tensor *x, double s);  /* x / s; floating only */
MN_API mn_tensor *mn_rdiv_scalar(mn_tape *t, mn_tensor *x, double s); /* s / x; floating only */

/* a + weight (b - a), exact at weight 0 and 1. Floating; all broadcast. */
MN_API mn_tensor *mn_lerp(mn_tape *t, mn_tensor *a, mn_tensor *b, mn_tensor *weight);
MN_API mn_tensor *mn_lerp_scalar(mn_tape *t, mn_tensor *a, mn_tensor *b, double weight);

/* addcmul: x + value a b, not bool. addcdiv: x + value a / b, floating. All broadcast. */
MN_API mn_tensor *mn_addcmul(mn_tape *t, mn_tensor *x, mn_tensor *a, mn_tensor *b, double value);
MN_API mn_tensor *mn_addcdiv(mn_tape *t, mn_tensor *x, mn_tensor *a, mn_tensor *b, double value);

/* x^exponent, x^s and s^x; not bool. x^0 is 1 for every x, NaN too, with gradient 0; the gradient
 * by the exponent is 0 at x = 0 (exponent >= 0), elsewhere y ln x: NaN for x < 0. pow_scalar with s
 * 0.5 or -0.5 is sqrt(x) or 1 / sqrt(x) also at -0 and -infinity. Integers wrap; to a negative power
 * they are 0 (1 and -1: that power), or an error where it is the number s of pow_scalar. */
MN_API mn_tensor *mn_pow(mn_tape *t, mn_tensor *x, mn_tensor *exponent);
MN_API mn_tensor *mn_pow_scalar(mn_tape *t, mn_tensor *x, double s);
MN_API mn_tensor *mn_rpow_scalar(mn_tape *t, mn_tensor *x, double s);

/* The angle of the point (b, a), in (-pi, pi]; floating. Its gradient at (0, 0) is 0. */
MN_API mn_tensor *mn_atan2(mn_tape *t, mn_tensor *a, mn_tensor *b);

/* What the division a / b leaves, not bool. By 0: an error for integers, else NaN (floor_divide:
 * a / b).
 *   fmod:         a - b trunc(a / b), with the sign of a (C's)
 *   remainder:    a - b floor(a / b), with the sign of b (Python's)
 *   floor_divide: floor(a / b), so that a = b floor_divide + remainder; its gradient is 0
 * The gradients of the first two are 1 by a and minus the whole quotient by b. */
MN_API mn_tensor *mn_fmod(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_fmod_scalar(mn_tape *t, mn_tensor *x, double s);
MN_API mn_tensor *mn_remainder(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_remainder_scalar(mn_tape *t, mn_tensor *x, double s);
MN_API mn_tensor *mn_floor_divide(mn_tape *t, mn_tensor *a, mn_tensor *b);

/* ---- selection ---- */

/* The smaller and the larger one, NaN where either is; every dtype. Equal ones get half of the
 * gradient each; where either is NaN both get all of it. */
MN_API mn_tensor *mn_minimum(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_maximum(mn_tape *t, mn_tensor *a, mn_tensor *b);

/* low for x < low, high for x > high, else x (NaN too); all high when low > high, all NaN when a
 * bound is. -INFINITY and INFINITY are no bounds. Gradient 1 from low to high inclusive, else 0. Not
 * bool; a bound that an integer x cannot hold is an error. */
MN_API mn_tensor *mn_clamp(mn_tape *t, mn_tensor *x, double low, double high);

/* a where condition (bool) is true, else b; every dtype, a's and b's alike; all three broadcast.
 * What is not taken has no influence on the gradient, NaN or not. */
MN_API mn_tensor *mn_where(mn_tape *t, mn_tensor *condition, mn_tensor *a, mn_tensor *b);

/* value where mask (bool, broadcasts to x's shape) is true, else x; every dtype. A value that an
 * integer x cannot hold is an error (PyTorch truncates). */
MN_API mn_tensor *mn_masked_fill(mn_tape *t, mn_tensor *x, mn_tensor *mask, double value);

/* ---- comparisons -> bool, no gradient; every dtype ---- */

/* a and b broadcast and are of one dtype. */
MN_API mn_tensor *mn_eq(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a == b */
MN_API mn_tensor *mn_ne(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a != b */
MN_API mn_tensor *mn_gt(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a > b */
MN_API mn_tensor *mn_ge(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a >= b */
MN_API mn_tensor *mn_lt(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a < b */
MN_API mn_tensor *mn_le(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a <= b */

/* s is rounded to f32 when x is (0.1f equals 0.1); integers compare exactly with any s, fractions
 * and numbers out of their range too (PyTorch rounds or wraps some of these). */
MN_API mn_tensor *mn_eq_scalar(mn_tape *t, mn_tensor *x, double s); /* x == s */
MN_API mn_tensor *mn_ne_scalar(mn_tape *t, mn_tensor *x, double s); /* x != s */
MN_API mn_tensor *mn_gt_scalar(mn_tape *t, mn_tensor *x, double s); /* x > s */
MN_API mn_tensor *mn_ge_scalar(mn_tape *t, mn_tensor *x, double s); /* x >= s */
MN_API mn_tensor *mn_lt_scalar(mn_tape *t, mn_tensor *x, double s); /* x < s */
MN_API mn_tensor *mn_le_scalar(mn_tape *t, mn_tensor *x, double s); /* x <= s */

/* Of truth values: a number is true when it is not 0, NaN too. a and b broadcast and may be of two
 * dtypes. */
MN_API mn_tensor *mn_logical_and(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_logical_or(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_logical_xor(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_logical_not(mn_tape *t, mn_tensor *x);

/* ---- in place ---- */

/* The same over x's storage, to whose shape b, mask and source broadcast; the result is what to use
 * from then on: x itself may not be used any more where it is part of a graph. Refused: while
 * recording, a leaf that requires grad (or a view of one); an x with several elements at one
 * address. b and source may share x's storage (they are copied first). */
MN_API mn_tensor *mn_add_(mn_tape *t, mn_tensor *x, mn_tensor *b);
MN_API mn_tensor *mn_sub_(mn_tape *t, mn_tensor *x, mn_tensor *b);
MN_API mn_tensor *mn_mul_(mn_tape *t, mn_tensor *x, mn_tensor *b);
MN_API mn_tensor *mn_div_(mn_tape *t, mn_tensor *x, mn_tensor *b);
MN_API mn_tensor *mn_add_scalar_(mn_tape *t, mn_tensor *x, double s);
MN_API mn_tensor *mn_mul_scalar_(mn_tape *t, mn_tensor *x, double s);
MN_API mn_tensor *mn_clamp_(mn_tape *t, mn_tensor *x, double low, double high);
MN_API mn_tensor *mn_masked_fill_(mn_tape *t, mn_tensor *x, mn_tensor *mask, double value);

/* Every dtype. x's old values have gradient 0. copy_: converted from source's dtype as mn_to does. */
MN_API mn_tensor *mn_zero_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_fill_(mn_tape *t, mn_tensor *x, double value);
MN_API mn_tensor *mn_copy_(mn_tape *t, mn_tensor *x, mn_tensor *source);

#ifdef __cplusplus
}
#endif
#endif
