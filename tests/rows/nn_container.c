/*
 * tests/rows/nn_container.c: the rows of minnow/nn/container.h.
 */
#include "rows/rows.h"

static mn_module *linear(const call *c, int in, int out)
{
    return mn_nn_linear((int64_t)c->arg[in], (int64_t)c->arg[out], NULL);
}

static mn_module *make_sequential(const call *c)
{
    return mn_nn_sequential(linear(c, 0, 1), mn_nn_tanh(),
                            mn_nn_sequential(linear(c, 1, 2), mn_nn_sigmoid()));
}

static mn_module *make_residual(const call *c)
{
    return mn_nn_residual(mn_nn_sequential(linear(c, 0, 1), mn_nn_tanh()));
}

static mn_module *make_residual_with(const call *c)
{
    return mn_nn_residual_with(mn_nn_sequential(linear(c, 0, 1), mn_nn_tanh()), linear(c, 0, 1));
}

const op_row rows_nn_container[] = {
    {"nn_sequential_n", .module = make_sequential},
    {"nn_module_list_n", .no_cases = "it has no forward: test_containers.c"},
    {"nn_module_dict", .no_cases = "it has no forward: test_containers.c"},
    {"nn_residual", .module = make_residual},
    {"nn_residual_with", .module = make_residual_with},
    {0},
};
