/*
 * minnow/nn/embedding.h: tables whose rows are looked up.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_EMBEDDING_H
#define MINNOW_NN_EMBEDDING_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* mn_embedding of weight [num_embeddings, embedding_dim], from N(0, 1), the row padding_idx 0. Sizes >=
 * 1. With max_norm, rows that are too long are shortened in the weight in training, in eval only where
 * they are looked up. index: [...] -> [..., embedding_dim]. */
typedef mn_embedding_opts mn_nn_embedding_opts;
MN_API mn_module *mn_nn_embedding(int64_t num_embeddings, int64_t embedding_dim,
                                  const mn_nn_embedding_opts *opts);

/* mn_embedding_bag of such a weight. Inputs: index [, offsets [, per_sample_weights]], where MN_NONE
 * stands for one that is not there. */
typedef mn_embedding_bag_opts mn_nn_embedding_bag_opts;
MN_API mn_module *mn_nn_embedding_bag(int64_t num_embeddings, int64_t embedding_dim,
                                      const mn_nn_embedding_bag_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
