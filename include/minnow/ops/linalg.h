/*
 * minnow/ops/linalg.h: products of vectors and matrices, and parts of matrices.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_LINALG_H
#define MINNOW_OPS_LINALG_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Matrix product by torch.matmul's rules. a: [..., m, k], b: [..., k, n] -> [..., m, n]: leading
 * dimensions are batches and broadcast; a 1-d operand is a row (left) or column (right) whose
 * dimension is then dropped. Floating; inner sizes that differ and 0-d operands are errors. */
MN_API mn_tensor *mn_matmul(mn_tape *t, mn_tensor *a, mn_tensor *b);

/* a, b: [n] -> []: the sum of a_i b_i; floating. outer: [n], [m] -> [n, m]: a_i b_j; not bool. */
MN_API mn_tensor *mn_dot(mn_tape *t, mn_tensor *a, mn_tensor *b);
MN_API mn_tensor *mn_outer(mn_tape *t, mn_tensor *a, mn_tensor *b);

/* beta c + alpha a b. a: [m, k], b: [k, n], c stretches to [m, n] -> [m, n]. Floating. With beta 0,
 * c is not read: its NaN does not pass. */
MN_API mn_tensor *mn_addmm(mn_tape *t, mn_tensor *c, mn_tensor *a, mn_tensor *b, double beta,
                           double alpha);

/* x weight^T + bias. x: [..., in], weight: [out, in], bias: [out] or MN_NONE -> [..., out].
 * Floating. */
MN_API mn_tensor *mn_linear(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias);

/* y_o = sum over i, j of x1_i weight_oij x2_j, plus bias_o. x1: [..., in1], x2: [..., in2], weight: [out,
 * in1, in2], bias: [out] or MN_NONE -> [..., out]. Floating; nothing broadcasts. */
MN_API mn_tensor *mn_bilinear(mn_tape *t, mn_tensor *x1, mn_tensor *x2, mn_tensor *weight,
                              mn_tensor *bias);

/* Einstein's summation over n operands, 1 to 8. The equation has a letter for each dimension of
 * each operand, and after "->" those of the result: the products of all operands are summed over
 * the letters that it lacks.
 *
 *     "ij,jk->ik"        the matrix product       "ii->i", "ii"     diagonal, trace
 *     "...ij->...ji"     transposed matrices      "bi,oij,bj->bo"   a bilinear form
 *
 * A letter that stands twice in an operand takes its diagonal. "..." stands for all dimensions
 * without a letter; those of several operands broadcast. Without "->" the result has the dimensions
 * of "..." and then the letters that occur once, in alphabetical order, upper case first. Spaces
 * have no meaning. Dimensions of one letter have one size, but those of another operand may have
 * size 1 and stretch.
 *
 * Of one dtype: floating or i64, a single operand of any (sums as in mn_sum_dim). Two operands at a
 * time are multiplied, as batched matrices, from the left; of three, in the order that needs the
 * fewest products. Errors name the equation, the position in it and the sizes. A view where
 * nothing is multiplied or summed. */
MN_API mn_tensor *mn_einsum(mn_tape *t, const char *equation, mn_tensor *const *xs, int n);

/* x with zeros above (tril) or below (triu) its k-th diagonal, which has the elements [i, i + k].
 * x: [..., rows, columns]; every dtype. */
MN_API mn_tensor *mn_tril(mn_tape *t, mn_tensor *x, int64_t k);
MN_API mn_tensor *mn_triu(mn_tape *t, mn_tensor *x, int64_t k);

/* View of the elements whose positions i in dim1 and i + offset in dim2 fit; their dimension comes
 * last, with size 0 when there are none. x: [A, B, C], 0, 0, 2 -> [B, min(A, C)]; every dtype. */
MN_API mn_tensor *mn_diagonal(mn_tape *t, mn_tensor *x, int64_t offset, int dim1, int dim2);

/* The sum of x_ii. x: [n, m] -> []; dtypes as of mn_sum. */
MN_API mn_tensor *mn_trace(mn_tape *t, mn_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
