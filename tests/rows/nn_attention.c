/*
 * tests/rows/nn_attention.c: the rows of minnow/nn/attention.h.
 */
#include "rows/rows.h"

/* The arguments: embed_dim, num_heads, dropout, bits, kdim, vdim. */
static mn_module *make_attention(const call *c)
{
    const double *a = c->arg;
    const int bits = (int)a[3];
    const mn_nn_multihead_attention_opts opts = {.dropout = a[2],
                                                 .no_bias = bits & 1,
                                                 .batch_first = (bits & 2) != 0,
                                                 .is_causal = (bits & 4) != 0,
                                                 .kdim = (int64_t)a[4],
                                                 .vdim = (int64_t)a[5]};
    return mn_nn_multihead_attention((int64_t)a[0], (int64_t)a[1], &opts);
}

/* d_model, nhead, dim_feedforward, dropout, bits. */
static mn_nn_transformer_opts transformer_opts(const double *a)
{
    const int bits = (int)a[4];
    return (mn_nn_transformer_opts){.no_bias = bits & 1,
                                    .batch_first = (bits & 2) != 0,
                                    .is_causal = (bits & 4) != 0,
                                    .norm_first = (bits & 8) != 0,
                                    .activation = (mn_transformer_activation)(bits / 16)};
}

static mn_module *make_encoder_layer(const call *c)
{
    const double *a = c->arg;
    const mn_nn_transformer_opts opts = transformer_opts(a);
    return mn_nn_transformer_encoder_layer((int64_t)a[0], (int64_t)a[1], (int64_t)a[2], a[3],
                                           &opts);
}

static mn_module *make_decoder_layer(const call *c)
{
    const double *a = c->arg;
    const mn_nn_transformer_opts opts = transformer_opts(a);
    return mn_nn_transformer_decoder_layer((int64_t)a[0], (int64_t)a[1], (int64_t)a[2], a[3],
                                           &opts);
}

/* Then num_layers, and whether there is a norm. */
static mn_module *make_encoder(const call *c)
{
    return mn_nn_transformer_encoder(make_encoder_layer(c), (int)c->arg[5]);
}

static mn_module *make_encoder_with(const call *c)
{
    const int64_t width = (int64_t)c->arg[0];
    return mn_nn_transformer_encoder_with(make_encoder_layer(c), (int)c->arg[5],
                                          mn_nn_layer_norm(1, &width, NULL));
}

/* distinct: features that are all equal have no variance, and norms of them no digits. */
const op_row rows_nn_attention[] = {
    {"nn_multihead_attention", .module = make_attention},
    {"nn_transformer_encoder_layer", .module = make_encoder_layer, .distinct = true},
    {"nn_transformer_decoder_layer", .module = make_decoder_layer, .distinct = true},
    {"nn_transformer_encoder", .module = make_encoder, .distinct = true},
    {"nn_transformer_encoder_with", .module = make_encoder_with, .distinct = true},
    {0},
};
