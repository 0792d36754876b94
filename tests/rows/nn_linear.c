/*
 * tests/rows/nn_linear.c: the rows of minnow/nn/linear.h.
 */
#include "rows/rows.h"

MODULE(linear, mn_nn_linear((int64_t)a[0], (int64_t)a[1],
                            &(mn_nn_linear_opts){.no_bias = c->n_args > 2 && a[2] == 0}))
MODULE(identity, mn_nn_identity())
MODULE(flatten, mn_nn_flatten())
MODULE(flatten_dims, mn_nn_flatten_dims((int)a[0], (int)a[1]))

static mn_module *make_unflatten(const call *c)
{
    const ints sizes = row_ints(c, 1);
    return mn_nn_unflatten((int)c->arg[0], sizes.n, sizes.as_i64);
}

MODULE(bilinear, mn_nn_bilinear((int64_t)a[0], (int64_t)a[1], (int64_t)a[2],
                                &(mn_nn_bilinear_opts){.no_bias = a[3] == 0}))

const op_row rows_nn_linear[] = {
    {"nn_linear", .module = make_linear},
    {"nn_identity", .module = make_identity},
    {"nn_bilinear", .module = make_bilinear},
    {"nn_flatten", .module = make_flatten},
    {"nn_flatten_dims", .module = make_flatten_dims},
    {"nn_unflatten", .module = make_unflatten},
    {0},
};
