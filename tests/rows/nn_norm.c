/*
 * tests/rows/nn_norm.c: the rows of minnow/nn/norm.h.
 */
#include "rows/rows.h"

/* Arguments: channels, eps, momentum (< 0: cumulative), affine, bias, running statistics. */
static mn_nn_batch_norm_opts batch_opts(const call *c)
{
    const double *a = c->arg;
    return (mn_nn_batch_norm_opts){.eps = a[1],
                                   .momentum = a[2] < 0 ? 0 : a[2],
                                   .cumulative = a[2] < 0,
                                   .no_affine = a[3] == 0,
                                   .no_bias = a[4] == 0,
                                   .no_running_stats = a[5] == 0};
}

static mn_nn_instance_norm_opts instance_opts(const call *c)
{
    const double *a = c->arg;
    return (mn_nn_instance_norm_opts){.eps = a[1],
                                      .momentum = a[2] < 0 ? 0 : a[2],
                                      .cumulative = a[2] < 0,
                                      .affine = a[3] != 0,
                                      .no_bias = a[4] == 0,
                                      .track_running_stats = a[5] != 0};
}

#define CHANNEL_NORM(name, opts_of)                                                                \
    static mn_module *make_##name(const call *c)                                                   \
    {                                                                                              \
        mn_nn_##opts_of##_norm_opts o = opts_of##_opts(c);                                         \
        return mn_nn_##name((int64_t)c->arg[0], c->n_args > 1 ? &o : NULL);                        \
    }
CHANNEL_NORM(batch_norm1d, batch)
CHANNEL_NORM(batch_norm2d, batch)
CHANNEL_NORM(instance_norm1d, instance)
CHANNEL_NORM(instance_norm2d, instance)

/* Arguments: eps, affine, bias, shape ... */
static mn_nn_norm_opts norm_opts(const call *c)
{
    return (mn_nn_norm_opts){
        .eps = c->arg[0], .no_affine = c->arg[1] == 0, .no_bias = c->arg[2] == 0};
}

static mn_module *make_layer_norm(const call *c)
{
    const ints shape = row_ints(c, 3);
    const mn_nn_norm_opts o = norm_opts(c);
    return mn_nn_layer_norm(shape.n, shape.as_i64, &o);
}

static mn_module *make_rms_norm(const call *c)
{
    const ints shape = row_ints(c, 3);
    const mn_nn_norm_opts o = norm_opts(c);
    return mn_nn_rms_norm(shape.n, shape.as_i64, &o);
}

static mn_module *make_group_norm(const call *c)
{
    const mn_nn_norm_opts o = norm_opts(c);
    return mn_nn_group_norm((int64_t)c->arg[3], (int64_t)c->arg[4], &o);
}

enum { LINEAR, PLAIN_LINEAR, CONV, CONV_TRANSPOSE, BATCH_NORM, BOTH, NO_DIM = -9 };

/* Arguments: a layer, by number; the dim of the norm; for spectral_norm, n_power_iterations and eps. Text:
 * the parameter's name. */
static mn_module *inner(const call *c)
{
    switch ((int)c->arg[0]) {
    case LINEAR:
        return mn_nn_linear(4, 3, NULL);
    case PLAIN_LINEAR:
        return mn_nn_linear(3, 2, &(mn_nn_linear_opts){.no_bias = true});
    case CONV:
        return mn_nn_conv2d(2, 3, 2, NULL);
    case CONV_TRANSPOSE:
        return mn_nn_conv_transpose1d(2, 3, 2, NULL);
    case BATCH_NORM:
        return mn_nn_batch_norm1d(3, NULL);
    default:
        return mn_nn_weight_norm(mn_nn_linear(4, 3, NULL), "bias", -1);
    }
}

static mn_module *make_weight_norm(const call *c)
{
    return mn_nn_weight_norm(inner(c), *c->text ? c->text : "weight", (int)c->arg[1]);
}

static mn_module *make_spectral_norm(const call *c)
{
    const double *a = c->arg;
    const mn_nn_spectral_norm_opts o = {
        .dim = (int)a[1], .has_dim = a[1] != NO_DIM, .n_power_iterations = (int)a[2], .eps = a[3]};
    return mn_nn_spectral_norm(inner(c), *c->text ? c->text : "weight", c->n_args > 2 ? &o : NULL);
}

MODULE(local_response_norm, mn_nn_local_response_norm((int64_t)a[0], a[1], a[2], a[3]))

const op_row rows_nn_norm[] = {
    {"nn_batch_norm1d", .module = make_batch_norm1d},
    {"nn_batch_norm2d", .module = make_batch_norm2d},
    {"nn_instance_norm1d", .module = make_instance_norm1d},
    {"nn_instance_norm2d", .module = make_instance_norm2d},
    {"nn_layer_norm", .module = make_layer_norm},
    {"nn_rms_norm", .module = make_rms_norm},
    {"nn_group_norm", .module = make_group_norm},
    {"nn_weight_norm", .module = make_weight_norm},
    {"nn_spectral_norm", .module = make_spectral_norm},
    {"nn_local_response_norm", .module = make_local_response_norm},
    {0},
};
