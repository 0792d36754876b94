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

/* The argument is padding_idx, if there is one. */
static void call_embedding(call *c)
{
    mn_embedding_opts opts = {.has_padding_idx = true};
    if (c->n_args > 0) opts.padding_idx = (int64_t)c->arg[0];
    c->out[0] = mn_embedding(c->t, c->in[0], c->in[1], c->n_args > 0 ? &opts : NULL);
}

const op_row rows_index[] = {
    {"index_select", .other = call_index_select},
    {"gather", .other = call_gather},
    {"take_along_dim", .other = call_take_along_dim},
    {"masked_select", .binary = mn_masked_select},
    {"nonzero", .unary = mn_nonzero},
    {"embedding", .other = call_embedding},
    {"one_hot", .other = call_one_hot},
    {"scatter", .other = call_scatter},
    {"scatter_scalar", .other = call_scatter_scalar},
    {"scatter_add", .other = call_scatter_add},
    {"index_add", .other = call_index_add},
    {0},
};
