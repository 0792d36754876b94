/*
 * minnow/ops/linalg.h: products of vectors and matrices.
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

/* x weight^T + bias. x: [..., in], weight: [out, in], bias: [out] or MN_NONE -> [..., out].
 * Floating. */
MN_API mn_tensor *mn_linear(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias);

#ifdef __cplusplus
}
#endif
#endif
