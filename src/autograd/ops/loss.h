/*
 * autograd/ops/loss.h: what the files of the losses share. Most losses are put together from other ops, and
 * so are their gradients.
 */
#ifndef MNI_LOSS_H
#define MNI_LOSS_H

#include "autograd/ops/ops.h"

/* The losses of a batch -> what the op returns. values: the numbers alone, inside an op. */
mn_tensor *mni_reduced(mn_tape *t, mn_tensor *losses, mn_reduction r);
mn_tensor *mni_reduced_values(mn_tape *t, mn_tensor *losses, mn_reduction r);

/* max(x, least), but the gradient goes to x in either case. */
mn_tensor *mni_lifted(mn_tape *t, mn_tensor *x, double least);

/* An optional tensor of an options struct, where NULL says "absent" too. */
mn_tensor *mni_optional(mn_tensor *x);

/* ---- checks: false with the tape's error set ---- */

/* The entry check of a loss: n inputs, then `optional` ones that may be MN_NONE, all of in[0]'s dtype, which
 * is floating; and a reduction that is one. */
bool mni_loss_begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n, int optional,
                    mn_reduction r);

/* A reduction that every loss has. */
bool mni_require_reduction(mn_tape *t, mn_reduction r);

bool mni_require_same_shape(mn_tape *t, const mn_tensor *a, const mn_tensor *b);

/* weight is MN_NONE or [n], of x's dtype. */
bool mni_require_class_weight(mn_tape *t, const mn_tensor *x, const mn_tensor *weight, int64_t n);

/* Target i64, of x's dtype floating. */
bool mni_require_class_numbers(mn_tape *t, const mn_tensor *x, const mn_tensor *target);

/* Fails for target number i, which is not one of so many classes. Returns false. */
bool mni_class_error(mn_tape *t, int64_t i, int64_t target, int64_t classes);

/* Each element of x (floating) from low to high; NaN is if `nan`. */
bool mni_require_range(mn_tape *t, const mn_tensor *x, const char *what, double low, double high,
                       bool nan);

/* v is finite, and above `above`. */
bool mni_require_number(mn_tape *t, const char *what, double v, double above);

#endif
