/*
 * tests/rows/attention.c: the rows of minnow/ops/attention.h.
 */
#include "rows/rows.h"

/* The arguments, as many as there are: is_causal, scale, dropout_p, whether the weights are wanted. */
static void call_attention(call *c)
{
    const double *a = c->arg;
    mn_attention_opts opts = {.is_causal = c->n_args > 0 && a[0] != 0,
                              .scale = c->n_args > 1 ? a[1] : 0,
                              .dropout_p = c->n_args > 2 ? a[2] : 0,
                              .rng = &c->rng,
                              .weights = c->n_args > 3 ? &c->out[1] : NULL};
    c->out[0] = mn_scaled_dot_product_attention(c->t, c->in[0], c->in[1], c->in[2], c->in[3],
                                                c->n_args ? &opts : NULL);
}

const op_row rows_attention[] = {
    {"scaled_dot_product_attention", .other = call_attention},
    {0},
};
