/*
 * tests/rows/nn_container.c: the rows of minnow/nn/container.h.
 */
#include "rows/rows.h"

static mn_module *make_sequential(const call *c)
{
    const int64_t in = (int64_t)c->arg[0], hidden = (int64_t)c->arg[1], out = (int64_t)c->arg[2];
    return mn_nn_sequential(mn_nn_linear(in, hidden, NULL), mn_nn_tanh(),
                            mn_nn_sequential(mn_nn_linear(hidden, out, NULL), mn_nn_sigmoid()));
}

const op_row rows_nn_container[] = {
    {"nn_sequential_n", .module = make_sequential},
    {0},
};
