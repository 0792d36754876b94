/*
 * tensor/compute.h: numbers in, numbers out: what ops call once they have checked their inputs and
 * made their outputs. Nothing here allocates, fails or records. Work is cut by shape alone, so the
 * results have the same bits for every team.
 */
#ifndef MNI_COMPUTE_H
#define MNI_COMPUTE_H

#include "core/team.h"
#include "tensor/kernels/kernels.h"
#include "tensor/tensor.h"

/* y[i] = f(x[i]): kernel row `k` of the table, for x's dtype. x broadcasts to y's shape. p: the
 * kernel's numbers, NULL when it has none. y may be x. */
void mni_map1(mni_team *team, const mni_unary_fn *k, const mn_tensor *x, mn_tensor *y,
              const double *p);

/* y[i] = f(a[i], b[i]); a and b of one dtype (that selects the kernel), both broadcast to y's
 * shape. y may be a or b. */
void mni_map2(mni_team *team, const mni_binary_fn *k, const mn_tensor *a, const mn_tensor *b,
              mn_tensor *y, const double *p);

/* y <- x with conversion between any dtypes, x broadcast to y's shape. */
void mni_copy(mni_team *team, const mn_tensor *x, mn_tensor *y);

/* x <- value, converted as C does. */
void mni_fill(mni_team *team, mn_tensor *x, double value);

/* y (contiguous) <- sum of x over the dimensions d with reduced[d]; y's elements are in the order
 * of the dimensions that stay. Pairwise (or blocked with the same error growth). When `accumulate`,
 * added to y instead. y has x's dtype, or is i64 where x is u8 or bool. */
void mni_sum(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *y,
             bool accumulate);

/* Along dimension dim of x: value and position of the first maximum (either may be NULL), NaN
 * largest. Both outputs contiguous, in the order of the dimensions that stay. size(dim) > 0. */
void mni_max(mni_team *team, const mn_tensor *x, int dim, mn_tensor *value, mn_tensor *index);

/* y <- softmax or log-softmax of x along dim; y contiguous, may not be x. */
void mni_softmax(mni_team *team, const mn_tensor *x, int dim, bool logarithm, mn_tensor *y);

/* Gradient along dim, from the result y: softmax gx = y (gy - sum(gy y)); log-softmax gx = gy - e^y
 * sum(gy). gx contiguous. */
void mni_softmax_backward(mni_team *team, const mn_tensor *y, const mn_tensor *gy, int dim,
                          bool logarithm, mn_tensor *gx);

/* x (contiguous, f32 or f64) <- low + (high - low) u, u the draw at `at`. Here and in mni_rrelu,
 * high - low is rounded to x's dtype, and so is each step after it: the bits are the same on every
 * processor. */
void mni_uniform(mni_team *team, mn_tensor *x, double low, double high, mn_rng at);

/* x (contiguous, f32 or f64) <- mean + std z, in double and rounded once, z the normal draw at
 * `at`. */
void mni_normal(mni_team *team, mn_tensor *x, double mean, double std, mn_rng at);

/* x (contiguous, i64) <- integers from [low, low + n), for n = 0 element i from [low, low + i].
 * Permutation: of 0, 1, ... */
void mni_integers(mni_team *team, mn_tensor *x, int64_t low, uint64_t n, mn_rng at);
void mni_permutation(mni_team *team, mn_tensor *x, mn_rng at);

/* RReLU over contiguous x, y (may be x) and slopes, all of one float dtype and numel:   slopes[i] =
 * x[i] <= 0 ? a : 1;  y[i] = x[i] * slopes[i];  a = low + (high - low) u, never above high, u the
 * draw at `at`, element i of it; with divisor: slopes[i] = x[i] <= 0 ? 1 / a : 1 and y[i] = x[i] <=
 * 0 ? x[i] / a : x[i]. slopes may be NULL. */
void mni_rrelu(mni_team *team, const mn_tensor *x, double low, double high, bool divisor, mn_rng at,
               mn_tensor *y, mn_tensor *slopes);

/* ---- products ---- */

/* One operand: its address and the distance, in elements, between rows and between columns. */
typedef struct mni_matrix {
    const void *data;
    int64_t row, column;
} mni_matrix;

/* c[m, n] (rows ldc apart, columns adjacent) <- a[m, k] b[k, n], plus bias[n] for each row (may be
 * NULL), plus what was in c when `accumulate`. f32 or f64. The one entry to every product: it picks
 * OpenBLAS (one thread, on blocks cut by shape) or our own kernel by shape and instruction set; any
 * strides work, c may be neither a nor b. k = 0 gives zeros (and the bias). OpenBLAS's number of
 * threads is set to one for the whole process the first time it is picked: tensor/blas.h. */
void mni_gemm(mni_team *team, mn_dtype dtype, int64_t m, int64_t n, int64_t k, mni_matrix a,
              mni_matrix b, void *c, int64_t ldc, const void *bias, bool accumulate);

/* The BLAS in use: "OpenBLAS 0.3.21 Zen", or "none". Static text. */
const char *mni_blas_name(void);

#endif
