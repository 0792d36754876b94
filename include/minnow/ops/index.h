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

/* ---- embeddings ---- */

/* How rows are looked up. max_norm: a row whose norm is larger becomes row max_norm/(norm + 1e-7)
 * before it is used, in the weight, which is written, outside of the graph (but where the weight is a
 * result of an op: there, and with keep_weight, only in what is looked up). */
typedef struct mn_embedding_opts {
    bool has_padding_idx;
    int64_t padding_idx; /* the row whose gradient stays 0; negative: from the end */
    double max_norm;     /* 0: rows may be as long as they are */
    double norm_type;    /* of which norm (mn_norm); 0: 2 */
    bool keep_weight;
    bool scale_grad_by_freq; /* a row's gradient is divided by how often it is looked up */
} mn_embedding_opts;

/* Rows of weight. index: [...], weight: [N, D] -> [..., D]. opts NULL: every row has a gradient.
 * max_norm and scale_grad_by_freq: floating. */
MN_API mn_tensor *mn_embedding(mn_tape *t, mn_tensor *index, mn_tensor *weight,
                               const mn_embedding_opts *opts);

/* What becomes of the rows of a bag. */
typedef enum mn_bag_mode {
    MN_BAG_MEAN = 0,
    MN_BAG_SUM,
    MN_BAG_MAX /* of each column; of equal ones the first has the gradient */
} mn_bag_mode;

/* How bags are put together; the other fields are as above. */
typedef struct mn_embedding_bag_opts {
    mn_bag_mode mode;
    bool include_last_offset; /* the last offset is the end of the last bag */
    bool has_padding_idx;
    int64_t padding_idx; /* a row that does not count: neither is it summed, nor part of a mean */
    double max_norm, norm_type;
    bool keep_weight;
} mn_embedding_bag_opts;

/* Rows of weight [N, D], those of each bag put together; an empty bag gives zeros. Floating. index:
 * [B, n], a bag in each row, offsets MN_NONE -> [B, D]; or [n] with offsets [B] (i64, from 0 and never
 * falling), where each bag begins -> [B, D]. With include_last_offset there is one more of them; what
 * lies behind it is in no bag. per_sample_weights: for sums, of index's shape, what each row is
 * multiplied with, or MN_NONE. */
MN_API mn_tensor *mn_embedding_bag(mn_tape *t, mn_tensor *index, mn_tensor *weight,
                                   mn_tensor *offsets, mn_tensor *per_sample_weights,
                                   const mn_embedding_bag_opts *opts);

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
