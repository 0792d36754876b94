/*
 * tests/rows/nn_embedding.c: the rows of minnow/nn/embedding.h.
 */
#include "rows/rows.h"

/* The arguments: both sizes, padding_idx (NaN: none), max_norm, norm_type and, of an Embedding,
 * scale_grad_by_freq, of an EmbeddingBag the mode and include_last_offset. */
static mn_module *make_embedding(const call *c)
{
    const double *a = c->arg;
    const mn_nn_embedding_opts opts = {.has_padding_idx = a[2] == a[2],
                                       .padding_idx = a[2] == a[2] ? (int64_t)a[2] : 0,
                                       .max_norm = a[3],
                                       .norm_type = a[4],
                                       .scale_grad_by_freq = a[5] != 0};
    return mn_nn_embedding((int64_t)a[0], (int64_t)a[1], &opts);
}

static mn_module *make_embedding_bag(const call *c)
{
    const double *a = c->arg;
    const mn_nn_embedding_bag_opts opts = {.has_padding_idx = a[2] == a[2],
                                           .padding_idx = a[2] == a[2] ? (int64_t)a[2] : 0,
                                           .max_norm = a[3],
                                           .norm_type = a[4],
                                           .mode = (mn_bag_mode)a[5],
                                           .include_last_offset = a[6] != 0};
    return mn_nn_embedding_bag((int64_t)a[0], (int64_t)a[1], &opts);
}

const op_row rows_nn_embedding[] = {
    {"nn_embedding", .module = make_embedding},
    {"nn_embedding_bag", .module = make_embedding_bag},
    {0},
};
