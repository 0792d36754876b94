/*
 * minnow/ops/pointwise.h: arithmetic and comparisons, element by element.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_POINTWISE_H
#define MINNOW_OPS_POINTWISE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- arithmetic ---- */

/* a and b broadcast and are of one dtype, not bool. */
MN_API mn_tensor *mn_add(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a + b */
MN_API mn_tensor *mn_sub(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a - b */
MN_API mn_tensor *mn_mul(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a * b */
MN_API mn_tensor *mn_div(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a / b; floating only */

/* s is converted to x's dtype, not bool; one that an integer x cannot hold (0.5) is an error. */
MN_API mn_tensor *mn_add_scalar(mn_tape *t, mn_tensor *x, double s); /* x + s */
MN_API mn_tensor *mn_sub_scalar(mn_tape *t, mn_tensor *x, double s); /* x - s */
MN_API mn_tensor *mn_mul_scalar(mn_tape *t, mn_tensor *x, double s); /* x * s */
MN_API mn_tensor *mn_div_scalar(mn_tape *t, mn_tensor *x, double s); /* x / s; floating only */

/* Comparisons -> bool, no gradient; every dtype. a and b broadcast and are of one dtype. */
MN_API mn_tensor *mn_eq(mn_tape *t, mn_tensor *a, mn_tensor *b);    /* a == b */
MN_API mn_tensor *mn_gt(mn_tape *t, mn_tensor *a, mn_tensor *b);    /* a > b */
MN_API mn_tensor *mn_gt_scalar(mn_tape *t, mn_tensor *x, double s); /* x > s */

#ifdef __cplusplus
}
#endif
#endif
