/*
 * minnow/nn/norm.h: normalisation as layers; the formulas are in minnow/ops/norm.h.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_NORM_H
#define MINNOW_NN_NORM_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of batch norm. */
typedef struct mn_nn_batch_norm_opts {
    double eps;            /* 0: 1e-5 */
    double momentum;       /* of the newest batch in the running statistics, to 1; 0: 0.1 */
    bool cumulative;       /* running statistics are plain means of all batches (momentum=None) */
    bool no_affine;        /* no weight and no bias */
    bool no_bias;          /* no bias */
    bool no_running_stats; /* always the batch's own statistics (track_running_stats=False) */
} mn_nn_batch_norm_opts;

/* mn_batch_norm with its own statistics in training, the running ones in eval. 1d: x [N, C] or [N, C, L];
 * 2d: [N, C, H, W]; C = num_features >= 1. weight [C] is 1 at first, bias [C] 0; buffers running_mean 0,
 * running_var 1, num_batches_tracked (i64 []) 0. */
MN_API mn_module *mn_nn_batch_norm1d(int64_t num_features, const mn_nn_batch_norm_opts *opts);
MN_API mn_module *mn_nn_batch_norm2d(int64_t num_features, const mn_nn_batch_norm_opts *opts);

/* Resets the running statistics of every batch and instance norm in the tree of m, and has those of batch
 * norm be plain means of all batches from then on, until it is called with begin = false. For weights that
 * no training step has used, such as averages of weights: begin, run m in training mode on batches of
 * training data, end (torch.optim.swa_utils.update_bn). */
MN_API mn_error mn_module_update_batch_norm(mn_module *m, bool begin);

/* Options of instance norm. */
typedef struct mn_nn_instance_norm_opts {
    double eps;               /* 0: 1e-5 */
    double momentum;          /* as above */
    bool cumulative;          /* as above */
    bool affine;              /* with weight and bias */
    bool no_bias;             /* with weight alone */
    bool track_running_stats; /* in eval the running statistics are used */
} mn_nn_instance_norm_opts;

/* mn_instance_norm. 1d: x [N, C, L] or [C, L]; 2d: [N, C, H, W] or [C, H, W]; C = num_features >= 1. Names
 * and first values are as above. */
MN_API mn_module *mn_nn_instance_norm1d(int64_t num_features, const mn_nn_instance_norm_opts *opts);
MN_API mn_module *mn_nn_instance_norm2d(int64_t num_features, const mn_nn_instance_norm_opts *opts);

/* Options of the norms below. */
typedef struct mn_nn_norm_opts {
    double eps;     /* 0: 1e-5, for rms_norm the distance of 1 to the next number of x's dtype */
    bool no_affine; /* no weight and no bias */
    bool no_bias;   /* no bias */
} mn_nn_norm_opts;

/* mn_layer_norm and mn_rms_norm over the last ndim dimensions, of the sizes `shape`, each >= 1. weight
 * `shape` is 1 at first, bias (of layer_norm) 0. */
MN_API mn_module *mn_nn_layer_norm(int ndim, const int64_t *shape, const mn_nn_norm_opts *opts);
MN_API mn_module *mn_nn_rms_norm(int ndim, const int64_t *shape, const mn_nn_norm_opts *opts);

/* mn_group_norm of x [N, C, ...], C = num_channels, which num_groups divides. weight [C] is 1 at first,
 * bias [C] 0. */
MN_API mn_module *mn_nn_group_norm(int64_t num_groups, int64_t num_channels,
                                   const mn_nn_norm_opts *opts);

/* mn_local_response_norm; size >= 1. PyTorch's defaults: alpha 1e-4, beta 0.75, k 1. */
MN_API mn_module *mn_nn_local_response_norm(int64_t size, double alpha, double beta, double k);

/* ---- normalised weights ---- */
/*
 * Both take over m, change it and return it; after an error they free it and return NULL, so that they
 * may stand around a constructor. m's own parameter `name` (not a child's) is from then on computed by ops
 * in each forward pass from what stands in its place in the tree (torch.nn.utils.parametrizations).
 * Where it has values, they stay; else mn_module_init draws it as ever, and then what depends on it.
 * Errors: no such parameter; one that is computed already; a dim that it does not have. Of a class of your
 * own, the parameter must stand in the struct itself, or the class have `copy`.
 */

/* g v/|v|, with a Euclidean norm for each index of dimension dim, or one of all for dim -1 (PyTorch's
 * dim=None; 0 is its default). "parametrizations.weight.original0" is g, of size 1 in all dimensions
 * but dim ([] for -1), at first the norms of v; "...original1" is v, of weight's shape. Salimans and Kingma, "Weight
 * normalization", 2016. */
MN_API mn_module *mn_nn_weight_norm(mn_module *m, const char *name, int dim);

/* Options of spectral norm. */
typedef struct mn_nn_spectral_norm_opts {
    int n_power_iterations; /* in each forward pass in training; 0: 1 */
    double eps;             /* least length that a vector is divided by; 0: 1e-12 */
    int dim;                /* the rows' dimension; by default 0, of transposed convolutions 1 */
    bool has_dim;           /* dim is to be used */
} mn_nn_spectral_norm_opts;

/* w/sigma, where sigma = u . W v approximates the largest singular value of w seen as a matrix W with rows
 * along dim. "parametrizations.weight.original" is w; buffers "parametrizations.weight.0._u" and "..._v"
 * are constants to the gradient, and are changed in training by power iterations: u = W v/|W v|,
 * v = W^T u/|W^T u|. At first they are random and iterated 15 times. A vector w is divided by its
 * length. Miyato et al., "Spectral normalization for generative adversarial networks", 2018. */
MN_API mn_module *mn_nn_spectral_norm(mn_module *m, const char *name,
                                      const mn_nn_spectral_norm_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
