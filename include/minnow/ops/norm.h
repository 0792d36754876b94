/*
 * minnow/ops/norm.h: normalisation; floating.
 * What all ops share is in minnow/ops.h.
 *
 * All compute y = (x - mean)/sqrt(variance + eps) weight + bias, with the mean and the (biased) variance
 * of some of x's elements. weight and bias: of x's dtype, or MN_NONE for 1 and 0. eps >= 0. Errors:
 * weights, biases and statistics of another shape; groups that do not divide the channels.
 */
#ifndef MINNOW_OPS_NORM_H
#define MINNOW_OPS_NORM_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Over the last ndim dimensions, which must have the sizes `shape`, as weight and bias have. Ba, Kiros
 * and Hinton, "Layer normalization", 2016. */
MN_API mn_tensor *mn_layer_norm(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape,
                                mn_tensor *weight, mn_tensor *bias, double eps);

/* x/sqrt(mean of squares + eps) weight, over the same. PyTorch's default eps is the distance of 1 to the
 * next larger number of x's dtype. Zhang and Sennrich, "Root mean square layer normalization", 2019. */
MN_API mn_tensor *mn_rms_norm(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape,
                              mn_tensor *weight, double eps);

/* x: [N, C, ...], weight, bias: [C]; over the C/groups channels of each group, in each sample. Wu and He,
 * "Group normalization", 2018. */
MN_API mn_tensor *mn_group_norm(mn_tape *t, mn_tensor *x, int64_t groups, mn_tensor *weight,
                                mn_tensor *bias, double eps);

/* x: [N, C, ...], all else: [C] or MN_NONE; over each channel, of all samples together. training: with
 * the statistics of x, and running <- (1 - momentum) running + momentum of x, outside of any graph, the
 * variance with n - 1 in the denominator (nothing is written when a checkpoint runs again). Otherwise
 * with the running ones, which must be there. Errors: in training, fewer than two values for each
 * channel. Ioffe and Szegedy, "Batch normalization", 2015. */
MN_API mn_tensor *mn_batch_norm(mn_tape *t, mn_tensor *x, mn_tensor *running_mean,
                                mn_tensor *running_var, mn_tensor *weight, mn_tensor *bias,
                                bool training, double momentum, double eps);

/* x: [N, C, L...], all else: [C] or MN_NONE; over each channel in each sample. use_input_stats: with the
 * statistics of x, whose means over N update the running ones as above; otherwise with the running
 * ones. Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016. */
MN_API mn_tensor *mn_instance_norm(mn_tape *t, mn_tensor *x, mn_tensor *running_mean,
                                   mn_tensor *running_var, mn_tensor *weight, mn_tensor *bias,
                                   bool use_input_stats, double momentum, double eps);

/* x/max(|x|, eps), with the norm of order p (mn_norm_dim) along dim. PyTorch's defaults: p 2, dim 1, eps
 * 1e-12. */
MN_API mn_tensor *mn_normalize(mn_tape *t, mn_tensor *x, double p, int dim, double eps);

/* x: [N, C, ...]: x (k + alpha mean)^-beta, mean: of the squares in `size` channels around each, from size/2
 * before on, those that are not there counting as 0. size >= 1. Krizhevsky, Sutskever and Hinton, "ImageNet
 * classification with deep convolutional neural networks", 2012. */
MN_API mn_tensor *mn_local_response_norm(mn_tape *t, mn_tensor *x, int64_t size, double alpha,
                                         double beta, double k);

#ifdef __cplusplus
}
#endif
#endif
