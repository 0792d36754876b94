/*
 * tests/rows/index.c: the rows of minnow/ops/index.h.
 */
#include "rows/rows.h"

CALL(index_select, mn_index_select(t, x[0], (int)a[0], x[1]))
CALL(gather, mn_gather(t, x[0], (int)a[0], x[1]))
CALL(take_along_dim, mn_take_along_dim(t, x[0], x[1], (int)a[0]))
CALL(one_hot, mn_one_hot(t, x[0], (int64_t)a[0]))
CALL(scatter, mn_scatter(t, x[0], (int)a[0], x[1], x[2]))
CALL(scatter_scalar, mn_scatter_scalar(t, x[0], (int)a[0], x[1], a[1]))
CALL(scatter_add, mn_scatter_add(t, x[0], (int)a[0], x[1], x[2]))
CALL(index_add, mn_index_add(t, x[0], (int)a[0], x[1], x[2]))

/* The weight as the op left it is an output, too. */
static void with_weight(call *c)
{
    c->out[1] = mn_clone(c->t, mn_detach(c->t, c->in[1]));
    if (!c->out[1]) c->out[0] = NULL;
}

/* The arguments, as many as there are: padding_idx (NaN: none), max_norm, norm_type, keep_weight,
 * scale_grad_by_freq. */
static void call_embedding(call *c)
{
    const double *a = c->arg;
    const int n = c->n_args;
    const mn_embedding_opts opts = {.has_padding_idx = n > 0 && a[0] == a[0],
                                    .padding_idx = n > 0 && a[0] == a[0] ? (int64_t)a[0] : 0,
                                    .max_norm = n > 1 ? a[1] : 0,
                                    .norm_type = n > 2 ? a[2] : 0,
                                    .keep_weight = n > 3 && a[3] != 0,
                                    .scale_grad_by_freq = n > 4 && a[4] != 0};
    c->out[0] = mn_embedding(c->t, c->in[0], c->in[1], n > 0 ? &opts : NULL);
    if (n > 1) with_weight(c);
}

/* mode, padding_idx (NaN: none), include_last_offset, max_norm, norm_type, keep_weight. */
static void call_embedding_bag(call *c)
{
    const double *a = c->arg;
    const int n = c->n_args;
    const mn_embedding_bag_opts opts = {.mode = n > 0 ? (mn_bag_mode)a[0] : MN_BAG_MEAN,
                                        .has_padding_idx = n > 1 && a[1] == a[1],
                                        .padding_idx = n > 1 && a[1] == a[1] ? (int64_t)a[1] : 0,
                                        .include_last_offset = n > 2 && a[2] != 0,
                                        .max_norm = n > 3 ? a[3] : 0,
                                        .norm_type = n > 4 ? a[4] : 0,
                                        .keep_weight = n > 5 && a[5] != 0};
    c->out[0] = mn_embedding_bag(c->t, c->in[0], c->in[1], c->n_in > 2 ? c->in[2] : MN_NONE,
                                 c->n_in > 2 ? c->in[3] : MN_NONE, n > 0 ? &opts : NULL);
    if (n > 3) with_weight(c);
}

const op_row rows_index[] = {
    {"index_select", .other = call_index_select},
    {"gather", .other = call_gather},
    {"take_along_dim", .other = call_take_along_dim},
    {"masked_select", .binary = mn_masked_select},
    {"nonzero", .unary = mn_nonzero},
    {"embedding", .other = call_embedding},
    {"embedding_bag", .other = call_embedding_bag},
    {"one_hot", .other = call_one_hot},
    {"scatter", .other = call_scatter},
    {"scatter_scalar", .other = call_scatter_scalar},
    {"scatter_add", .other = call_scatter_add},
    {"index_add", .other = call_index_add},
    {0},
};
