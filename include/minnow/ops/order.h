/*
 * minnow/ops/order.h: the largest and the smallest, where they are, and sorting; every dtype.
 * What all ops share is in minnow/ops.h.
 *
 * NaN is the largest when sorted, and beats every number as the largest and as the smallest. -0 and
 * 0 are equal. Positions are i64, counted from 0 along dim, and have no gradient. Like softmax, what
 * works along a dimension refuses x: [] (PyTorch takes it as [1]).
 */
#ifndef MINNOW_OPS_ORDER_H
#define MINNOW_OPS_ORDER_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- extremes ---- */

/* The largest and the smallest element of all -> []. The gradient is shared evenly among equal ones.
 * No elements are an error. */
MN_API mn_tensor *mn_max(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_min(mn_tape *t, mn_tensor *x);

/* The same over the n dimensions dims (distinct; n = 0 reduces nothing, where PyTorch reduces all);
 * keepdim leaves them in place with size 1. x: [N, C], dims {1} -> [N], with keepdim [N, 1]. Where
 * the result is NaN, so is the gradient of all it was chosen from, as in PyTorch. */
MN_API mn_tensor *mn_amax(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);
MN_API mn_tensor *mn_amin(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);

/* Along dim, with the position of the first one, which alone receives the gradient, in *indices (may
 * be NULL). x: [N, C], dim 1 -> [N], with keepdim [N, 1]. A dimension of size 0 is an error. */
MN_API mn_tensor *mn_max_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices);
MN_API mn_tensor *mn_min_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices);

/* Only the position of the first one: in the flattened x -> [], or along dim. */
MN_API mn_tensor *mn_argmax(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_argmin(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_argmax_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim);
MN_API mn_tensor *mn_argmin_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim);

/* ---- sorting ---- */

/* x in ascending or descending order along dim; *indices (may be NULL) gets where each element was.
 * Stable either way: equal elements stay in their order (torch.sort with stable=True). argsort: the
 * positions alone. */
MN_API mn_tensor *mn_sort(mn_tape *t, mn_tensor *x, int dim, bool descending, mn_tensor **indices);
MN_API mn_tensor *mn_argsort(mn_tape *t, mn_tensor *x, int dim, bool descending);

/* The k largest (or smallest) elements along dim, the largest (smallest) first; of equal ones those
 * that come first, in their order, where PyTorch promises none. x: [N, C], k, dim 1 -> [N, k].
 * 0 <= k <= size, else an error. */
MN_API mn_tensor *mn_topk(mn_tape *t, mn_tensor *x, int64_t k, int dim, bool largest,
                          mn_tensor **indices);

#ifdef __cplusplus
}
#endif
#endif
