/*
 * tests/rows/nn_activation.c: the rows of minnow/nn/activation.h.
 */
#include "rows/rows.h"

#define OPTS(i) (&(mn_nn_activation_opts){.inplace = a[i] != 0})

MODULE(relu, mn_nn_relu(OPTS(0)))
MODULE(relu6, mn_nn_relu6(OPTS(0)))
MODULE(hardsigmoid, mn_nn_hardsigmoid(OPTS(0)))
MODULE(hardswish, mn_nn_hardswish(OPTS(0)))
MODULE(leaky_relu, mn_nn_leaky_relu(a[0], OPTS(1)))
MODULE(hardtanh, mn_nn_hardtanh(a[0], a[1], OPTS(2)))
MODULE(threshold, mn_nn_threshold(a[0], a[1], OPTS(2)))
MODULE(hardshrink, mn_nn_hardshrink(a[0]))
MODULE(softshrink, mn_nn_softshrink(a[0]))
MODULE(selu, mn_nn_selu(OPTS(0)))
MODULE(silu, mn_nn_silu(OPTS(0)))
MODULE(mish, mn_nn_mish(OPTS(0)))
MODULE(gelu, mn_nn_gelu())
MODULE(gelu_tanh, mn_nn_gelu_tanh())
MODULE(sigmoid, mn_nn_sigmoid())
MODULE(log_sigmoid, mn_nn_log_sigmoid())
MODULE(tanh, mn_nn_tanh())
MODULE(tanhshrink, mn_nn_tanhshrink())
MODULE(softsign, mn_nn_softsign())
MODULE(elu, mn_nn_elu(a[0], OPTS(1)))
MODULE(celu, mn_nn_celu(a[0], OPTS(1)))
MODULE(softplus, mn_nn_softplus(a[0], a[1]))
MODULE(softmax, mn_nn_softmax((int)a[0]))
MODULE(softmin, mn_nn_softmin((int)a[0]))
MODULE(log_softmax, mn_nn_log_softmax((int)a[0]))
MODULE(glu, mn_nn_glu((int)a[0]))
MODULE(softmax2d, mn_nn_softmax2d())
MODULE(prelu, mn_nn_prelu((int64_t)a[0], a[1]))
MODULE(rrelu, mn_nn_rrelu(a[0], a[1], &(mn_nn_rrelu_opts){.inplace = a[2] != 0}))

const op_row rows_nn_activation[] = {
    {"nn_relu", .module = make_relu, .inplace = true},
    {"nn_relu6", .module = make_relu6, .inplace = true},
    {"nn_hardsigmoid", .module = make_hardsigmoid, .inplace = true},
    {"nn_hardswish", .module = make_hardswish, .inplace = true},
    {"nn_leaky_relu", .module = make_leaky_relu, .inplace = true},
    {"nn_hardtanh", .module = make_hardtanh, .inplace = true},
    {"nn_threshold", .module = make_threshold, .inplace = true},
    {"nn_hardshrink", .module = make_hardshrink},
    {"nn_softshrink", .module = make_softshrink},
    {"nn_selu", .module = make_selu, .inplace = true},
    {"nn_silu", .module = make_silu, .inplace = true},
    {"nn_mish", .module = make_mish, .inplace = true},
    {"nn_gelu", .module = make_gelu},
    {"nn_gelu_tanh", .module = make_gelu_tanh},
    {"nn_sigmoid", .module = make_sigmoid},
    {"nn_log_sigmoid", .module = make_log_sigmoid},
    {"nn_tanh", .module = make_tanh},
    {"nn_tanhshrink", .module = make_tanhshrink},
    {"nn_softsign", .module = make_softsign},
    {"nn_elu", .module = make_elu, .inplace = true},
    {"nn_celu", .module = make_celu, .inplace = true},
    {"nn_softplus", .module = make_softplus},
    {"nn_softmax", .module = make_softmax},
    {"nn_softmin", .module = make_softmin},
    {"nn_log_softmax", .module = make_log_softmax},
    {"nn_glu", .module = make_glu},
    {"nn_softmax2d", .module = make_softmax2d},
    {"nn_prelu", .module = make_prelu},
    {"nn_rrelu", .module = make_rrelu, .inplace = true},
    {0},
};
