/*
 * minnow/ops/reduce.h: sums, products, moments, norms and tests, over everything or over chosen
 * dimensions, and running sums and products along one.
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

/* Product of all elements, or over dims, of the sum's type; of none: 1. Its gradient is exact with
 * zeros in x. */
MN_API mn_tensor *mn_prod(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_prod_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);

/* Variance: the sum of (x - mean)^2 / (count - correction); correction 1 for a sample, 0 for
 * everything there is. NaN or infinite when count <= correction, NaN of no elements. std: its
 * square root, with gradient 0 where that is 0. Floating; exact for numbers far from 0 too (Chan,
 * Golub and LeVeque, 1983). */
MN_API mn_tensor *mn_var(mn_tape *t, mn_tensor *x, int correction);
MN_API mn_tensor *mn_var_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, int correction,
                             bool keepdim);
MN_API mn_tensor *mn_std(mn_tape *t, mn_tensor *x, int correction);
MN_API mn_tensor *mn_std_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, int correction,
                             bool keepdim);

/* (sum of |x|^p)^(1/p), torch.linalg.vector_norm; p = 2 is the Euclidean norm, 0 counts what is
 * not 0, INFINITY takes the largest |x| and -INFINITY the smallest. Floating. Gradients are 0
 * where the norm is 0; equal largest (smallest) elements share theirs evenly. Of no elements: 0,
 * but an error for p < 0 and INFINITY; a NaN p is an error. */
MN_API mn_tensor *mn_norm(mn_tape *t, mn_tensor *x, double p);
MN_API mn_tensor *mn_norm_dim(mn_tape *t, mn_tensor *x, double p, const int *dims, int n,
                              bool keepdim);

/* ln of the sum of e^x, without overflow. Floating. -infinity of no elements and of nothing but
 * -infinity (the gradient is then NaN). */
MN_API mn_tensor *mn_logsumexp(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_logsumexp_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);

/* Of every dtype, without gradient. any: whether an element is not 0 -> bool; all: whether none is
 * 0 -> bool; count_nonzero: how many are not 0 -> i64. NaN is not 0. Of no elements: false, true,
 * 0. */
MN_API mn_tensor *mn_any(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_any_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);
MN_API mn_tensor *mn_all(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_all_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);
MN_API mn_tensor *mn_count_nonzero(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_count_nonzero_dim(mn_tape *t, mn_tensor *x, const int *dims, int n,
                                       bool keepdim);

/* Running sums and products along dim: y_i = x_0 + ... + x_i and y_i = x_0 ... x_i; x: [] is an
 * error. Of x's dtype, but i64 for u8 and bool; f32 is carried along in double. The gradient of
 * cumprod is exact with zeros in x. */
MN_API mn_tensor *mn_cumsum(mn_tape *t, mn_tensor *x, int dim);
MN_API mn_tensor *mn_cumprod(mn_tape *t, mn_tensor *x, int dim);

#ifdef __cplusplus
}
#endif
#endif
