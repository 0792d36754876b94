/*
 * minnow/ops/index.h: elements taken from, and put to, positions that another tensor gives; every
 * dtype. What all ops share is in minnow/ops.h.
 *
 * index is i64 (another dtype is an error that names mn_to). Every position is checked before
 * anything is computed; the error has the first bad one, its value and the range. A negative one is
 * an error but for take_along_dim, all as in PyTorch. Gradients have the same bits for every number
 * of threads, also where positions repeat. x: [] has no dimension to index (PyTorch takes it as [1]).
 */
#ifndef MINNOW_OPS_INDEX_H
#define MINNOW_OPS_INDEX_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- taking ---- */

/* The slices of x at the positions of a 1-d index along dim. x: [N, C], dim 0, index: [K] ->
 * [K, C]. */
MN_API mn_tensor *mn_index_select(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index);

/* y[i, j] = x[i, index[i, j]] for dim 1, x[index[i, j], j] for dim 0, and so on -> index's shape.
 * index has as many dimensions as x and, along all but dim, no larger sizes: nothing broadcasts. */
MN_API mn_tensor *mn_gather(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index);

/* gather for x and index that broadcast along all dimensions but dim; of as many dimensions. Negative
 * positions count from the end: -size <= index < size, others are an error (PyTorch takes them modulo
 * the size). What mn_argmax_dim (with keepdim) and mn_argsort return fits. */
MN_API mn_tensor *mn_take_along_dim(mn_tape *t, mn_tensor *x, mn_tensor *index, int dim);

/* The elements of x where mask (bool) is true, in row-major order -> [n], n as many as there are.
 * Both broadcast. */
MN_API mn_tensor *mn_masked_select(mn_tape *t, mn_tensor *x, mn_tensor *mask);

/* The positions of all elements that are not 0 (NaN is not), in row-major order, one in each row ->
 * [n, dimensions of x] i64. */
MN_API mn_tensor *mn_nonzero(mn_tape *t, mn_tensor *x);

/* The row of an embedding that stands for "nothing" and is not learned. */
typedef struct mn_embedding_opts {
    bool has_padding_idx;
    int64_t padding_idx; /* the row whose gradient stays 0; negative: from the end */
} mn_embedding_opts;

/* Rows of weight. index: [...], weight: [N, D] -> [..., D]. opts NULL: every row has a gradient. */
MN_API mn_tensor *mn_embedding(mn_tape *t, mn_tensor *index, mn_tensor *weight,
                               const mn_embedding_opts *opts);

/* 1 at the class, 0 elsewhere. index: [...] -> [..., num_classes] i64. num_classes >= 1, or -1: one
 * more than the largest class, of which there must then be one. */
MN_API mn_tensor *mn_one_hot(mn_tape *t, mn_tensor *index, int64_t num_classes);

/* ---- putting: copies of x, changed ---- */

/* y = x, then y[i, index[i, j]] = src[i, j] for dim 1, y[index[i, j], j] = src[i, j] for dim 0, and so
 * on. index has as many dimensions as x and src, no larger sizes than src and, along all but dim,
 * than x; what src has beyond them is not used (and has gradient 0, where PyTorch refuses). Of equal
 * positions the last one stays, but all of their src get its gradient, as in PyTorch. scatter_scalar:
 * one value for all, which x's dtype must be able to hold. */
MN_API mn_tensor *mn_scatter(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index, mn_tensor *src);
MN_API mn_tensor *mn_scatter_scalar(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index,
                                    double value);

/* The same with += instead of =. Not bool. */
MN_API mn_tensor *mn_scatter_add(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index,
                                 mn_tensor *src);

/* y = x, with slice k of src added to slice index[k] along dim. x: [N, C], dim 0, index: [K] ->
 * src: [K, C]. Not bool. */
MN_API mn_tensor *mn_index_add(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index, mn_tensor *src);

#ifdef __cplusplus
}
#endif
#endif
