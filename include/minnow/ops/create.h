/*
 * minnow/ops/create.h: making temporaries: constant, counted, copied, random, converted.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_CREATE_H
#define MINNOW_OPS_CREATE_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Contiguous, row-major, of that shape (ndim sizes >= 0; NULL for ndim 0). empty: uninitialised;
 * from: copies numel elements from data; scalar: shape []; eye: [n, m], 1 where the positions are
 * equal, else 0. The _like forms take x's dtype and shape. An error names a bad shape or dtype, or
 * a tape that has reached its cap. */
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
MN_API mn_tensor *mn_full_like(mn_tape *t, mn_tensor *x, double value);
MN_API mn_tensor *mn_eye(mn_tape *t, mn_dtype dtype, int64_t n, int64_t m);

/* -> [n], every element computed in double and rounded (integers: truncated) once.
 *   arange:   start + i step, n = ceil((end - start) / step): up or down to before end
 *   linspace: n = steps values from start to end, both included, at equal distances; the upper half
 *             is computed from the end, so that the values are symmetric
 * Every dtype but bool. Errors: numbers that are not finite or that the dtype cannot hold (integers
 * beyond 2^53 too); a step of 0 or away from end; steps < 0. */
MN_API mn_tensor *mn_arange(mn_tape *t, mn_dtype dtype, double start, double end, double step);
MN_API mn_tensor *mn_linspace(mn_tape *t, mn_dtype dtype, double start, double end, int64_t steps);

/* ---- random draws (minnow/core.h), in row-major order; rng may not be NULL ---- */

/* rand: u in [0, 1). randn: normal, mean 0 and variance 1. Floating. */
MN_API mn_tensor *mn_rand(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng);
MN_API mn_tensor *mn_rand_like(mn_tape *t, mn_tensor *x, mn_rng *rng);
MN_API mn_tensor *mn_randn(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng);
MN_API mn_tensor *mn_randn_like(mn_tape *t, mn_tensor *x, mn_rng *rng);

/* Integers low <= k < high, all equally likely, of any dtype that holds every one of them (f32 up
 * to 2^24, f64 up to 2^53). An error if there are none. */
MN_API mn_tensor *mn_randint(mn_tape *t, mn_dtype dtype, int64_t low, int64_t high, int ndim,
                             const int64_t *shape, mn_rng *rng);

/* 0 to n - 1 in random order, i64 [n]; every order is equally likely. */
MN_API mn_tensor *mn_randperm(mn_tape *t, int64_t n, mn_rng *rng);

/* 1 with probability p, else 0: 1 where u < p, u the uniform draw. p: floating -> its shape and
 * dtype. The gradient is 0. An element outside 0 <= p <= 1 is an error that names its position. */
MN_API mn_tensor *mn_bernoulli(mn_tape *t, mn_tensor *p, mn_rng *rng);

/* ---- conversion ---- */

/* x converted as C does (float to integer truncates; to bool: x != 0), or a view when it has that
 * dtype. Differentiable between floating types. */
MN_API mn_tensor *mn_to(mn_tape *t, mn_tensor *x, mn_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
