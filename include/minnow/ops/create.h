/*
 * minnow/ops/create.h: making temporaries.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_CREATE_H
#define MINNOW_OPS_CREATE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Contiguous, row-major, of that shape (ndim sizes >= 0; NULL for ndim 0). empty: uninitialised;
 * from: copies numel elements from data; scalar: shape []. The _like forms take x's dtype and
 * shape. An error names a bad shape or dtype, or a tape that has reached its cap. */
MN_API mn_tensor *mn_empty(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_zeros(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_ones(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_full(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, double value);
MN_API mn_tensor *mn_from(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape,
                          const void *data);
MN_API mn_tensor *mn_scalar(mn_tape *t, mn_dtype dtype, double value);
MN_API mn_tensor *mn_empty_like(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_zeros_like(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_ones_like(mn_tape *t, mn_tensor *x);

/* u in [0, 1), element i of the draw in row-major order. Floating; rng may not be NULL. */
MN_API mn_tensor *mn_rand(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng);

/* x converted as C does (float to integer truncates; to bool: x != 0), or a view when it has that
 * dtype. Differentiable between floating types. */
MN_API mn_tensor *mn_to(mn_tape *t, mn_tensor *x, mn_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
