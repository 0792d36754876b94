/*
 * minnow/nn/activation.h: activations as layers.
 * What all layers share is in minnow/nn.h.
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

/* The ops of these names, element by element. */
MN_API mn_module *mn_nn_relu(const mn_nn_activation_opts *opts);
MN_API mn_module *mn_nn_leaky_relu(double negative_slope,
                                   const mn_nn_activation_opts *opts); /* PyTorch: 0.01 */
MN_API mn_module *mn_nn_sigmoid(void);
MN_API mn_module *mn_nn_tanh(void);

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
