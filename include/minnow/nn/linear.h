/*
 * minnow/nn/linear.h: fully connected layers, and layers that only change the shape.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_LINEAR_H
#define MINNOW_NN_LINEAR_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* y = x W^T + b. x [..., in_features] -> [..., out_features]. weight [out, in] and bias [out] from
 * U(-k, k), k = 1/sqrt(in_features), as torch.nn.Linear draws them. Sizes >= 1. */
typedef struct mn_nn_linear_opts {
    bool no_bias; /* y = x W^T */
} mn_nn_linear_opts;
MN_API mn_module *mn_nn_linear(int64_t in_features, int64_t out_features,
                               const mn_nn_linear_opts *opts);

/* mn_bilinear. weight [out, in1, in2] and bias [out] from U(-k, k), k = 1/sqrt(in1_features). Sizes >=
 * 1. */
typedef struct mn_nn_bilinear_opts {
    bool no_bias;
} mn_nn_bilinear_opts;
MN_API mn_module *mn_nn_bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features,
                                 const mn_nn_bilinear_opts *opts);

/* Gives its input: a place for a layer that a model does without. */
MN_API mn_module *mn_nn_identity(void);

/* Views (or copies, as mn_reshape). flatten: [N, ...] -> [N, product of the rest]; flatten_dims:
 * dimensions start_dim to end_dim, both included and possibly negative, become one. unflatten: as
 * mn_unflatten, dimension dim becomes n of those sizes, of which one may be -1. */
MN_API mn_module *mn_nn_flatten(void);
MN_API mn_module *mn_nn_flatten_dims(int start_dim, int end_dim);
MN_API mn_module *mn_nn_unflatten(int dim, int n, const int64_t *sizes);

#ifdef __cplusplus
}
#endif
#endif
