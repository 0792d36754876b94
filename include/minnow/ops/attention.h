/*
 * minnow/ops/attention.h: attention.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_ATTENTION_H
#define MINNOW_OPS_ATTENTION_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How attention is computed. */
typedef struct mn_attention_opts {
    bool
        is_causal; /* position i attends to positions j <= i only; together with a mask, both hold */
    double scale;  /* of the products of queries and keys; 0: 1/sqrt(E) */
    double
        dropout_p; /* share of the weights that is dropped, the others times 1/(1 - p); 0 <= p <= 1.
                            Not 0 means now: there is no eval */
    mn_rng
        *rng; /* what the dropout draws from, in the order of the weights; an error if NULL then */
    mn_tensor **weights; /* receives the weights [..., L, S], after the dropout; NULL: not wanted */
} mn_attention_opts;

/* softmax(scale query key^T + mask) value, the softmax over S (Vaswani et al., "Attention is all you
 * need", 2017). query: [..., L, E], key: [..., S, E], value: [..., S, Ev] -> [..., L, Ev]; leading
 * dimensions (batch, heads) broadcast. Floating. mask: MN_NONE, or what stretches to [..., L, S]: bool,
 * true where a query attends to a key; or of query's dtype, added. A query that attends to nothing
 * (false, or -infinity, for every key) gets zeros. opts NULL: all defaults.
 *
 * The result lies in memory as query does: heads that are views of rows (mn_transpose of [N, L, heads,
 * E]) go in and come out without a copy. */
MN_API mn_tensor *mn_scaled_dot_product_attention(mn_tape *t, mn_tensor *query, mn_tensor *key,
                                                  mn_tensor *value, mn_tensor *mask,
                                                  const mn_attention_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
