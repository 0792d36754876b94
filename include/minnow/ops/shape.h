/*
 * minnow/ops/shape.h: elements in other places: shapes, parts, joins, borders; every dtype.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_SHAPE_H
#define MINNOW_OPS_SHAPE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A "view" shares x's storage; all others are copies. */

/* ---- another shape ---- */

/* The same elements, in row-major order, in another shape of as many; one size may be -1 and
 * follows from the others. reshape: a view where x's strides allow, else a copy. view: an error
 * where they do not. view_as: with other's shape. */
MN_API mn_tensor *mn_reshape(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_view(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_view_as(mn_tape *t, mn_tensor *x, mn_tensor *other);

/* Dimensions start_dim to end_dim (inclusive) become one, as by reshape. x: [2, 3, 4], 1, 2 ->
 * [2, 12]; [] -> [1]. start_dim after end_dim is an error. */
MN_API mn_tensor *mn_flatten(mn_tape *t, mn_tensor *x, int start_dim, int end_dim);

/* View in which dimension dim is n >= 1 dimensions of these sizes, one of which may be -1.
 * x: [2, 12], 1, {3, -1} -> [2, 3, 4]. */
MN_API mn_tensor *mn_unflatten(mn_tape *t, mn_tensor *x, int dim, int n, const int64_t *sizes);

/* Views without dimensions of size 1: all of them; only dim, if its size is 1. [2, 1, 3, 1] ->
 * [2, 3]. */
MN_API mn_tensor *mn_squeeze(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_squeeze_dim(mn_tape *t, mn_tensor *x, int dim);

/* View with a dimension of size 1 that becomes dimension dim, -1 the last. [2, 3], 1 ->
 * [2, 1, 3]. */
MN_API mn_tensor *mn_unsqueeze(mn_tape *t, mn_tensor *x, int dim);

/* View with two dimensions exchanged: y[.., i, .., j, ..] = x[.., j, .., i, ..].
 * x: [A, B, C], 0, 2 -> [C, B, A]. */
MN_API mn_tensor *mn_transpose(mn_tape *t, mn_tensor *x, int dim0, int dim1);

/* View whose dimension d is x's dimension dims[d]; dims: mn_tensor_ndim(x) distinct dimensions.
 * x: [A, B, C], {2, 0, 1} -> [C, A, B]. */
MN_API mn_tensor *mn_permute(mn_tape *t, mn_tensor *x, const int *dims);

/* View in which dimension source has become dimension destination; the others keep their order.
 * x: [A, B, C], 0, -1 -> [B, C, A]. */
MN_API mn_tensor *mn_movedim(mn_tape *t, mn_tensor *x, int source, int destination);

/* View in which sizes of 1 are stretched (stride 0) and further dimensions put in front. Other
 * sizes must stay as they are, and be given (no -1). x: [C, 1] -> [N, C, W]. expand_as: to other's
 * shape. */
MN_API mn_tensor *mn_expand(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_expand_as(mn_tape *t, mn_tensor *x, mn_tensor *other);

/* ---- parts ---- */

/* View of positions start to start + length - 1 of dimension dim. x: [N, C], dim 1 -> [N, length].
 * start, length >= 0 and start + length <= size, else an error. */
MN_API mn_tensor *mn_narrow(mn_tape *t, mn_tensor *x, int dim, int64_t start, int64_t length);

/* View of one position of dimension dim, which is dropped; a negative index counts from the end.
 * x: [N, C], dim 1 -> [N]. -size <= index < size, else an error. */
MN_API mn_tensor *mn_select(mn_tape *t, mn_tensor *x, int dim, int64_t index);

/* View of positions start, start + step, ... before end of dimension dim, Python's
 * x[start:end:step]: negative ones count from the end, those outside are moved to the edge (so
 * INT64_MAX is "to the end"), and there may be none. step >= 1. */
MN_API mn_tensor *mn_slice(mn_tape *t, mn_tensor *x, int dim, int64_t start, int64_t end,
                           int64_t step);

/* x along dim as consecutive views, written to out; the number of them, 0 after an error.
 *   split:       `size` positions each, the last one fewer; an error if there are more than room.
 *                size >= 1 (0 where x has none: one part)
 *   split_sizes: n >= 1 parts of these sizes, whose sum must be that of dim
 *   chunk:       at most `chunks` parts of equal size, the last one smaller: [5], 4 -> 3 parts
 * out: room, n or chunks places; those without a part get NULL. The parts are one op: the gradients
 * of those that were used meet in one tensor, without a full-size one for each. */
MN_API int mn_split(mn_tape *t, mn_tensor *x, int64_t size, int dim, mn_tensor **out, int room);
MN_API int mn_split_sizes(mn_tape *t, mn_tensor *x, const int64_t *sizes, int n, int dim,
                          mn_tensor **out);
MN_API int mn_chunk(mn_tape *t, mn_tensor *x, int chunks, int dim, mn_tensor **out);

/* View of all windows of `size` neighbours in dimension dim, their starts `step` apart: dim counts
 * the windows, a new last dimension the places inside one. x: [N, L], dim 1 ->
 * [N, (L - size)/step + 1, size]. Windows overlap where step < size; gradients add up there.
 * 0 <= size <= x's, step >= 1, else an error. */
MN_API mn_tensor *mn_unfold_dim(mn_tape *t, mn_tensor *x, int dim, int64_t size, int64_t step);

/* ---- put together ---- */

/* The n >= 1 tensors one behind the other along dim; of one dtype, and equal in all other sizes.
 * [N, A] and [N, B], dim 1 -> [N, A + B]. 0-d tensors are an error. */
MN_API mn_tensor *mn_cat(mn_tape *t, mn_tensor *const *xs, int n, int dim);

/* The n >= 1 tensors, of one dtype and shape, along a new dimension dim. n of [A, B], dim 1 ->
 * [A, n, B]. */
MN_API mn_tensor *mn_stack(mn_tape *t, mn_tensor *const *xs, int n, int dim);

/* x repeats[d] times over along each dimension d. There may be more repeats than dimensions: the
 * first of them then make new ones. x: [A, B], {R, S, T} -> [R, S A, T B]. */
MN_API mn_tensor *mn_repeat(mn_tape *t, mn_tensor *x, int ndim, const int64_t *repeats);

/* x itself when it is contiguous, else a contiguous copy. clone: always a copy. */
MN_API mn_tensor *mn_contiguous(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_clone(mn_tape *t, mn_tensor *x);

/* ---- moved ---- */

/* The elements in reverse order along each of the n dimensions dims (distinct). */
MN_API mn_tensor *mn_flip(mn_tape *t, mn_tensor *x, const int *dims, int n);

/* What leaves at the end of dimension dims[i] comes back at its start: y[j] = x[(j - shifts[i]) mod
 * size]; n of them, one dimension may come twice. dims NULL, n = 1: x as if flattened. */
MN_API mn_tensor *mn_roll(mn_tape *t, mn_tensor *x, const int64_t *shifts, const int *dims, int n);

/* What a border is filled with. */
typedef enum mn_pad_mode {
    MN_PAD_CONSTANT = 0, /* value; a negative pad takes positions away */
    MN_PAD_REFLECT,      /* mirrored at the outermost element: pads < size */
    MN_PAD_REPLICATE,    /* the outermost element again */
    MN_PAD_CIRCULAR      /* from the other end: pads <= size */
} mn_pad_mode;

/* torch.nn.functional.pad: pads holds n numbers, before and after the last dimension, then the one
 * before it, and so on. x: [N, H, W], {1, 2, 3, 4} -> [N, 3 + H + 4, 1 + W + 2]. Errors: n odd or
 * above twice the dimensions; pads that the mode does not allow (negative ones only the constant
 * mode does); a value that x's dtype cannot hold, or one other than 0 in another mode. */
MN_API mn_tensor *mn_pad(mn_tape *t, mn_tensor *x, const int64_t *pads, int n, mn_pad_mode mode,
                         double value);

/* [0]: height, [1]: width. */
typedef struct mn_unfold_opts {
    int64_t stride[2];   /* between positions of the kernel; 0: 1 */
    int64_t padding[2];  /* zeros on both sides of the image */
    int64_t dilation[2]; /* between elements of the kernel; 0: 1 */
} mn_unfold_opts;

/* Sliding blocks of images (im2col): column l of the result is what the kernel covers at its l-th
 * position in row-major order. x: [N, C, H, W] or [C, H, W] -> [N, C kernel_h kernel_w, L] or
 * without the N; L = L_h L_w, L_h = (H + 2 padding - dilation (kernel_h - 1) - 1)/stride + 1, at
 * least 1. */
MN_API mn_tensor *mn_unfold(mn_tape *t, mn_tensor *x, int64_t kernel_h, int64_t kernel_w,
                            const mn_unfold_opts *opts);

/* The reverse, and unfold's gradient (col2im): every block is added to an image of zeros. x:
 * [N, C kernel_h kernel_w, L] or without the N -> [N, C, out_h, out_w]; L as unfold has it for that
 * image. Not bool. */
MN_API mn_tensor *mn_fold(mn_tape *t, mn_tensor *x, int64_t out_h, int64_t out_w, int64_t kernel_h,
                          int64_t kernel_w, const mn_unfold_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
