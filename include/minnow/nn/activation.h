/*
 * minnow/nn/activation.h: activations as layers.
 * What all layers share is in minnow/nn.h.
 *
 * Each is the op of its name, whose formula stands in minnow/ops/activation.h or minnow/ops/unary.h.
 */
#ifndef MINNOW_NN_ACTIVATION_H
#define MINNOW_NN_ACTIVATION_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For activations that can work in place. */
typedef struct mn_nn_activation_opts {
    bool inplace; /* overwrite the input, which must not be needed by another op's gradient */
} mn_nn_activation_opts;

/* ---- straight lines ---- */

/* Those without numbers. */
MN_API mn_module *mn_nn_relu(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_relu6(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_hardsigmoid(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_hardswish(const mn_nn_activation_opts *opts);

/* A finite slope, PyTorch's default: 0.01. */
MN_API mn_module *mn_nn_leaky_relu(double negative_slope, const mn_nn_activation_opts *opts);

/* Numbers, or infinities. min_val < max_val; PyTorch's defaults: -1, 1. */
MN_API mn_module *mn_nn_hardtanh(double min_val, double max_val, const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_threshold(double threshold, double value,
                                  const mn_nn_activation_opts *opts);

/* 0 <= lambda, finite; PyTorch's default: 0.5. */
MN_API mn_module *mn_nn_hardshrink(double lambda);
MN_API mn_module *mn_nn_softshrink(double lambda);

/* ---- curves ---- */

/* Those without numbers. */
MN_API mn_module *mn_nn_selu(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_silu(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_mish(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_gelu(void);
MN_API mn_module *mn_nn_gelu_tanh(void); /* GELU(approximate="tanh") */
MN_API mn_module *mn_nn_sigmoid(void);
MN_API mn_module *mn_nn_log_sigmoid(void);
MN_API mn_module *mn_nn_tanh(void);
MN_API mn_module *mn_nn_tanhshrink(void);
MN_API mn_module *mn_nn_softsign(void);

/* A finite alpha, for celu not 0; PyTorch's default: 1. */
MN_API mn_module *mn_nn_elu(double alpha, const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_celu(double alpha, const mn_nn_activation_opts *opts);

/* beta finite and not 0; PyTorch's defaults: 1, 20. */
MN_API mn_module *mn_nn_softplus(double beta, double threshold);

/* ---- along a dimension ---- */

/* dim: negative ones count from behind; PyTorch's default for GLU: -1. */
MN_API mn_module *mn_nn_softmax(int dim);
MN_API mn_module *mn_nn_softmin(int dim);
MN_API mn_module *mn_nn_log_softmax(int dim);
MN_API mn_module *mn_nn_glu(int dim);

/* Softmax over the channels of each pixel: [N, C, H, W] or [C, H, W]. */
MN_API mn_module *mn_nn_softmax2d(void);

/* ---- slopes that are learned or drawn ---- */

/* weight [num_parameters], every slope = init at first. num_parameters: 1, or the size of dimension
 * 1 of the input. PyTorch's defaults: 1, 0.25. */
MN_API mn_module *mn_nn_prelu(int64_t num_parameters, double init);

/* mn_rrelu as a layer: random slopes in training, their mean in eval. Bounds are checked here:
 * finite, lower <= upper (divisor form: 0 < lower). PyTorch's defaults: MN_RRELU_LOWER,
 * MN_RRELU_UPPER. */
typedef mn_rrelu_opts mn_nn_rrelu_opts;
MN_API mn_module *mn_nn_rrelu(double lower, double upper, const mn_nn_rrelu_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
