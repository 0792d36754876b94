/*
 * minnow/ops/shape.h: other shapes of the same elements; every dtype.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_SHAPE_H
#define MINNOW_OPS_SHAPE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same elements, in row-major order, in another shape of as many; one size may be -1 and
 * follows from the others. A view where x's strides allow, else a copy. */
MN_API mn_tensor *mn_reshape(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);

/* Dimensions start_dim to end_dim (inclusive) become one, as by reshape. x: [2, 3, 4], 1, 2 ->
 * [2, 12]; [] -> [1]. start_dim after end_dim is an error. */
MN_API mn_tensor *mn_flatten(mn_tape *t, mn_tensor *x, int start_dim, int end_dim);

/* View with two dimensions exchanged: y[.., i, .., j, ..] = x[.., j, .., i, ..].
 * x: [A, B, C], 0, 2 -> [C, B, A]. */
MN_API mn_tensor *mn_transpose(mn_tape *t, mn_tensor *x, int dim0, int dim1);

/* View whose dimension d is x's dimension dims[d]; dims: mn_tensor_ndim(x) distinct dimensions.
 * x: [A, B, C], {2, 0, 1} -> [C, A, B]. */
MN_API mn_tensor *mn_permute(mn_tape *t, mn_tensor *x, const int *dims);

/* View in which sizes of 1 are stretched (stride 0) and further dimensions put in front. Other
 * sizes must stay as they are, and be given (no -1). x: [C, 1] -> [N, C, W]. */
MN_API mn_tensor *mn_expand(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);

/* View of positions start to start + length - 1 of dimension dim. x: [N, C], dim 1 -> [N, length].
 * start, length >= 0 and start + length <= size, else an error. */
MN_API mn_tensor *mn_narrow(mn_tape *t, mn_tensor *x, int dim, int64_t start, int64_t length);

/* The n >= 1 tensors one behind the other along dim; of one dtype, and equal in all other sizes.
 * [N, A] and [N, B], dim 1 -> [N, A + B]. 0-d tensors are an error. */
MN_API mn_tensor *mn_cat(mn_tape *t, mn_tensor *const *xs, int n, int dim);

/* x itself when it is contiguous, else a contiguous copy. clone: always a copy. */
MN_API mn_tensor *mn_contiguous(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_clone(mn_tape *t, mn_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
