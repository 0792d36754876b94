/*
 * tensor/kernels/gemm_isa.c: matrix products for one instruction set, in f32 and f64. What differs
 * between sets is the vector's width and how many rows a register tile has; product.h is the code.
 */
#include "tensor/kernels/vector.h"

#include <string.h>

/* ROWS: a tile of ROWS x 2 vectors of sums, two vectors of b and one element of a fill the
 * registers. FAR_DEPTH: depth of a panel where each element of a row of a is in a cache line (often a
 * page) of its own. */
#if defined(__AVX512F__)
enum { ROWS = 14, FAR_DEPTH = 512 };
#define EACH_ROWS(M, v)                                                                            \
    M(1, v)                                                                                        \
    M(2, v)                                                                                        \
    M(3, v)                                                                                        \
    M(4, v) M(5, v) M(6, v) M(7, v) M(8, v) M(9, v) M(10, v) M(11, v) M(12, v) M(13, v) M(14, v)
#elif defined(__AVX2__)
enum { ROWS = 6, FAR_DEPTH = 128 };
#define EACH_ROWS(M, v) M(1, v) M(2, v) M(3, v) M(4, v) M(5, v) M(6, v)
#elif defined(__aarch64__)
enum { ROWS = 8, FAR_DEPTH = 128 };
#define EACH_ROWS(M, v) M(1, v) M(2, v) M(3, v) M(4, v) M(5, v) M(6, v) M(7, v) M(8, v)
#else
enum { ROWS = 4, FAR_DEPTH = 128 };
#define EACH_ROWS(M, v) M(1, v) M(2, v) M(3, v) M(4, v)
#endif

/* Rows of b that are used from where they are, although each on a page of its own (but not where they would
 * share sets of the L1 cache); vectors of a row that stands alone; depth of a panel of b, at most 128 KiB
 * with two vectors. Each further panel means another pass over c: 64x128x784 takes 8 % longer in two. */
enum { NEAR = 128, WIDE = 8, DEPTH = 1024 };

/* The lanes of two vectors taken in turns: the lower halves, the upper halves. */
#if defined(__AVX512F__)
#define LOW_f32 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_f32 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define LOW_f64 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_f64 4, 12, 5, 13, 6, 14, 7, 15
#elif defined(__AVX2__)
#define LOW_f32 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_f32 4, 12, 5, 13, 6, 14, 7, 15
#define LOW_f64 0, 4, 1, 5
#define HIGH_f64 2, 6, 3, 7
#else
#define LOW_f32 0, 4, 1, 5
#define HIGH_f32 2, 6, 3, 7
#define LOW_f64 0, 2
#define HIGH_f64 1, 3
#endif

#define T float
#define INDEX int32_t
#define LOW LOW_f32
#define HIGH HIGH_f32
#define FN(name) name##_f32
#include "tensor/kernels/product.h"
#undef T
#undef INDEX
#undef LOW
#undef HIGH
#undef FN

#define T double
#define INDEX int64_t
#define LOW LOW_f64
#define HIGH HIGH_f64
#define FN(name) name##_f64
#include "tensor/kernels/product.h"
