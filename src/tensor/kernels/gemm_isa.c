/*
 * tensor/kernels/gemm_isa.c: matrix products for one instruction set, in f32 and f64. What differs
 * between sets is the vector's width and how many rows a register tile has; product.h is the code.
 */
#include "tensor/kernels/isa.h"

#include <string.h>

/* ROWS: a tile of ROWS x 2 vectors of sums, two vectors of b and one element of a fill the
 * registers. */
#if defined(__AVX512F__)
enum { VECTOR = 64, ROWS = 14 };
#define EACH_ROWS(M, v)                                                                            \
    M(1, v)                                                                                        \
    M(2, v)                                                                                        \
    M(3, v)                                                                                        \
    M(4, v) M(5, v) M(6, v) M(7, v) M(8, v) M(9, v) M(10, v) M(11, v) M(12, v) M(13, v) M(14, v)
#elif defined(__AVX2__)
enum { VECTOR = 32, ROWS = 6 };
#define EACH_ROWS(M, v) M(1, v) M(2, v) M(3, v) M(4, v) M(5, v) M(6, v)
#elif defined(__aarch64__)
enum { VECTOR = 16, ROWS = 8 };
#define EACH_ROWS(M, v) M(1, v) M(2, v) M(3, v) M(4, v) M(5, v) M(6, v) M(7, v) M(8, v)
#else
enum { VECTOR = 16, ROWS = 4 };
#define EACH_ROWS(M, v) M(1, v) M(2, v) M(3, v) M(4, v)
#endif

/* Vectors of a row that stands alone; depth of a panel of b, at most 64 KiB with two vectors; depth
 * where each element of a row of a is in a cache line (often a page) of its own. */
enum { WIDE = 8, DEPTH = 512, FAR_DEPTH = 128 };

#if defined(__clang__)
#define SHUFFLE(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(mask, a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

typedef float quad_f32 __attribute__((vector_size(16), aligned(4)));
typedef double quad_f64 __attribute__((vector_size(16), aligned(8)));
typedef int32_t mask_f32 __attribute__((vector_size(16)));
typedef int64_t mask_f64 __attribute__((vector_size(16)));

/* y [4, sy] <- x [4, sx] transposed; 2 by 2 in f64. */
MNI_INLINE void transpose_f32(const float *x, int64_t sx, float *y, int64_t sy)
{
    const quad_f32 r0 = *(const quad_f32 *)x, r1 = *(const quad_f32 *)(x + sx);
    const quad_f32 r2 = *(const quad_f32 *)(x + 2 * sx), r3 = *(const quad_f32 *)(x + 3 * sx);
    const quad_f32 a = SHUFFLE(mask_f32, r0, r1, 0, 4, 1, 5);
    const quad_f32 b = SHUFFLE(mask_f32, r2, r3, 0, 4, 1, 5);
    const quad_f32 c = SHUFFLE(mask_f32, r0, r1, 2, 6, 3, 7);
    const quad_f32 d = SHUFFLE(mask_f32, r2, r3, 2, 6, 3, 7);
    *(quad_f32 *)y = SHUFFLE(mask_f32, a, b, 0, 1, 4, 5);
    *(quad_f32 *)(y + sy) = SHUFFLE(mask_f32, a, b, 2, 3, 6, 7);
    *(quad_f32 *)(y + 2 * sy) = SHUFFLE(mask_f32, c, d, 0, 1, 4, 5);
    *(quad_f32 *)(y + 3 * sy) = SHUFFLE(mask_f32, c, d, 2, 3, 6, 7);
}

MNI_INLINE void transpose_f64(const double *x, int64_t sx, double *y, int64_t sy)
{
    const quad_f64 r0 = *(const quad_f64 *)x, r1 = *(const quad_f64 *)(x + sx);
    *(quad_f64 *)y = SHUFFLE(mask_f64, r0, r1, 0, 2);
    *(quad_f64 *)(y + sy) = SHUFFLE(mask_f64, r0, r1, 1, 3);
}

#define T float
#define FN(name) name##_f32
#include "tensor/kernels/product.h"
#undef T
#undef FN

#define T double
#define FN(name) name##_f64
#include "tensor/kernels/product.h"
