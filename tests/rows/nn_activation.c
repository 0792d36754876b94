/*
 * tests/rows/nn_activation.c: the rows of minnow/nn/activation.h.
 */
#include "rows/rows.h"

MODULE(relu, mn_nn_relu(&(mn_nn_activation_opts){.inplace = a[0] != 0}))
MODULE(leaky_relu, mn_nn_leaky_relu(a[0], &(mn_nn_activation_opts){.inplace = a[1] != 0}))
MODULE(sigmoid, mn_nn_sigmoid())
MODULE(tanh, mn_nn_tanh())
MODULE(prelu, mn_nn_prelu((int64_t)a[0], a[1]))
MODULE(rrelu, mn_nn_rrelu(a[0], a[1], &(mn_nn_rrelu_opts){.inplace = a[2] != 0}))

const op_row rows_nn_activation[] = {
    {"nn_relu", .module = make_relu},
    {"nn_leaky_relu", .module = make_leaky_relu},
    {"nn_sigmoid", .module = make_sigmoid},
    {"nn_tanh", .module = make_tanh},
    {"nn_prelu", .module = make_prelu},
    {"nn_rrelu", .module = make_rrelu},
    {0},
};
