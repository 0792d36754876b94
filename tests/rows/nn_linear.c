/*
 * tests/rows/nn_linear.c: the rows of minnow/nn/linear.h.
 */
#include "rows/rows.h"

MODULE(linear, mn_nn_linear((int64_t)a[0], (int64_t)a[1],
                            &(mn_nn_linear_opts){.no_bias = c->n_args > 2 && a[2] == 0}))
MODULE(flatten, mn_nn_flatten())

const op_row rows_nn_linear[] = {
    {"nn_linear", .module = make_linear},
    {"nn_flatten", .module = make_flatten},
    {0},
};
