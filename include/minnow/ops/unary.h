/*
 * minnow/ops/unary.h: functions of one number, element by element.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_UNARY_H
#define MINNOW_OPS_UNARY_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Floating, neg also i64 and u8. */
MN_API mn_tensor *mn_neg(mn_tape *t, mn_tensor *x);     /* -x */
MN_API mn_tensor *mn_exp(mn_tape *t, mn_tensor *x);     /* e^x */
MN_API mn_tensor *mn_log(mn_tape *t, mn_tensor *x);     /* ln x */
MN_API mn_tensor *mn_sqrt(mn_tape *t, mn_tensor *x);    /* x^(1/2) */
MN_API mn_tensor *mn_sigmoid(mn_tape *t, mn_tensor *x); /* 1 / (1 + e^-x) */
MN_API mn_tensor *mn_tanh(mn_tape *t, mn_tensor *x);    /* (e^x - e^-x) / (e^x + e^-x) */

#ifdef __cplusplus
}
#endif
#endif
