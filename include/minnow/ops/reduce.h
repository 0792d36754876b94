/*
 * minnow/ops/reduce.h: sums, means and maxima, over everything or over chosen dimensions.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_REDUCE_H
#define MINNOW_OPS_REDUCE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Over all elements -> []. sum: of x's dtype, but i64 for u8 and bool. mean: floating. Pairwise
 * or blocked summation, the same bits for every number of threads. */
MN_API mn_tensor *mn_sum(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_mean(mn_tape *t, mn_tensor *x);

/* Over the n dimensions dims (distinct; n = 0 reduces nothing); keepdim leaves them in place with
 * size 1. x: [N, C], dims {1} -> [N], with keepdim [N, 1]. */
MN_API mn_tensor *mn_sum_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);
MN_API mn_tensor *mn_mean_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);

/* Largest element; NaN counts as larger than every number. An empty range is an error.
 *   max:     over all -> []; the gradient is shared evenly among equal maxima (torch.amax,
 *            torch.max(x))
 *   max_dim: x: [N, C], dim 1 -> [N], with keepdim [N, 1]; *indices (indices may be NULL) gets the
 *            i64 position of the first maximum, which alone receives the gradient */
MN_API mn_tensor *mn_max(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_max_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices);

/* i64 position of the first maximum: in the flattened x -> [], or along dim. No gradient. An
 * empty range is an error. */
MN_API mn_tensor *mn_argmax(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_argmax_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim);

#ifdef __cplusplus
}
#endif
#endif
