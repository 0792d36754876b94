/*
 * nn/flatten.c: all dimensions but the first become one.
 */
#include "nn/module.h"
#include <stdio.h>

static mn_error flatten_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                mn_tensor **out, int n_out)
{
    (void)m, (void)n_in, (void)n_out;
    out[0] = mn_flatten(t, in[0], 1, -1);
    return mn_tape_error(t);
}

static int flatten_describe(const mn_module *m, char *buffer, size_t size)
{
    (void)m;
    return snprintf(buffer, size, "start_dim=1, end_dim=-1");
}

static const mn_module_class flatten_class = {.name = "Flatten",
                                              .size = sizeof(mn_module),
                                              .n_in = 1,
                                              .n_out = 1,
                                              .forward = flatten_forward,
                                              .describe = flatten_describe};

mn_module *mn_nn_flatten(void)
{
    return mn_module_finish(mn_module_new(&flatten_class));
}
