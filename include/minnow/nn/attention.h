/*
 * minnow/nn/attention.h: attention, and the transformer's layers.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_ATTENTION_H
#define MINNOW_NN_ATTENTION_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Masks here are PyTorch's: of attention [L, S] or [N heads, L, S], of padding [N, S]; bool, where true
 * means that a key may NOT be attended to (in mn_scaled_dot_product_attention it is the other way
 * round), or of the input's dtype, added to the scores. Both may be given, or MN_NONE. A query that may
 * attend to nothing gets zeros (PyTorch: NaN, where the weights are asked for). */

/* Options of multihead attention. */
typedef struct mn_nn_multihead_attention_opts {
    double dropout; /* share of the weights that is dropped in training */
    bool no_bias;
    int64_t kdim, vdim; /* widths of key and value; 0: embed_dim */
    bool batch_first;   /* [N, L, E] instead of [L, N, E] */
    bool is_causal;     /* a query attends only to keys that are not behind it; needs no mask */
} mn_nn_multihead_attention_opts;

/* Attention of num_heads heads, which divide embed_dim, between projections (Vaswani et al., "Attention
 * is all you need", 2017). Inputs: query, key, value [, attn_mask [, key_padding_mask]]. Outputs:
 * attention of query's shape [, the weights, averaged over the heads, [N, L, S]]. query: [L, N, E] (or
 * [N, L, E], or [L, E]), key: [S, N, kdim], value: [S, N, vdim].
 *
 * in_proj_weight [3 E, E], or q_proj_weight [E, E], k_proj_weight [E, kdim] and v_proj_weight [E, vdim]
 * where widths differ, from Glorot's uniform distribution; in_proj_bias [3 E] and out_proj.bias [E] 0;
 * out_proj.weight [E, E] as a Linear's. */
MN_API mn_module *mn_nn_multihead_attention(int64_t embed_dim, int64_t num_heads,
                                            const mn_nn_multihead_attention_opts *opts);

/* What stands between the two linear layers of a transformer's layer. */
typedef enum mn_transformer_activation {
    MN_TRANSFORMER_RELU = 0,
    MN_TRANSFORMER_GELU
} mn_transformer_activation;

/* Options of a transformer's layers. */
typedef struct mn_nn_transformer_opts {
    mn_transformer_activation activation;
    double layer_norm_eps; /* 0: 1e-5 */
    bool batch_first;
    bool norm_first; /* norms stand before attention and linear layers, not after the sums */
    bool no_bias;
    bool is_causal; /* of self_attn */
} mn_nn_transformer_opts;

/* x = norm1(x + dropout1(self_attn(x, x, x))); x = norm2(x + dropout2(linear2(dropout(act(linear1(x))))));
 * with norm_first x + dropout1(self_attn(norm1(x), ...)) and so on. Inputs: src [, src_mask [,
 * src_key_padding_mask]]; one output. PyTorch's defaults: dim_feedforward 2048, dropout 0.1. */
MN_API mn_module *mn_nn_transformer_encoder_layer(int64_t d_model, int64_t nhead,
                                                  int64_t dim_feedforward, double dropout,
                                                  const mn_nn_transformer_opts *opts);

/* The same with multihead_attn, of what self_attn gives to memory, between the two, and a third norm.
 * Inputs: tgt, memory [, tgt_mask [, memory_mask [, tgt_key_padding_mask [,
 * memory_key_padding_mask]]]]. */
MN_API mn_module *mn_nn_transformer_decoder_layer(int64_t d_model, int64_t nhead,
                                                  int64_t dim_feedforward, double dropout,
                                                  const mn_nn_transformer_opts *opts);

/* num_layers clones of a layer, one after the other, all with the same masks; then, `with`, a norm.
 * Children "layers" and "norm". Inputs: src [, mask [, src_key_padding_mask]]. Takes over both modules
 * in every case. Each layer draws first values of its own (in PyTorch all begin with the same), and
 * dropout of its own: what was seeded before is so no longer. */
MN_API mn_module *mn_nn_transformer_encoder(mn_module *encoder_layer, int num_layers);
MN_API mn_module *mn_nn_transformer_encoder_with(mn_module *encoder_layer, int num_layers,
                                                 mn_module *norm);

#ifdef __cplusplus
}
#endif
#endif
