/*
 * tensor/kernels/isa.h: what the files that are compiled once for each instruction set share.
 * MNI_ISA is given by the build: baseline, avx2, avx512 or neon.
 */
#ifndef MNI_ISA_H
#define MNI_ISA_H

/* Before the first inclusion of pointwise.def: there clang looks for it when a loop (of tanh) stays
 * scalar. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#include "tensor/kernels/kernels.h"

#define MNI_PASTE2(a, b) a##_##b
#define MNI_PASTE(a, b) MNI_PASTE2(a, b)
#define MNI_STRING2(x) #x
#define MNI_STRING(x) MNI_STRING2(x)

/* mni_rrelu_f32 -> mni_rrelu_f32_avx2 */
#define MNI_FOR_ISA(name) MNI_PASTE(name, MNI_ISA)

/* The iterations of the loop that follows do not depend on each other: an output is apart from each
 * input or exactly the same, so that neither needs a check at run time. */
#if defined(__OPTIMIZE_SIZE__)
#define MNI_INDEPENDENT /* clang would take it for an order */
#elif defined(__clang__)
#define MNI_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define MNI_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* The loop that follows has a small constant count and is written out, so that arrays become
 * registers. (Clang's own spelling, since it would take the other one only after it has made up its
 * mind.) */
#ifdef __clang__
#define MNI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MNI_UNROLL _Pragma("GCC unroll 16")
#endif

#define MNI_INLINE static inline __attribute__((always_inline))

/* The lanes of vectors a and b, of `bytes` bytes and numbers as large as `type`, in the order given. */
#if defined(__clang__)
#define MNI_SHUFFLE(type, bytes, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MNI_SHUFFLE(type, bytes, a, b, ...)                                                        \
    __builtin_shuffle(a, b, (type __attribute__((vector_size(bytes)))){__VA_ARGS__})
#endif

extern const struct mni_loop_table MNI_FOR_ISA(mni_loops);
void MNI_FOR_ISA(mni_norm_forward_f32)(const mni_normalization *p, int64_t begin, int64_t end);
void MNI_FOR_ISA(mni_norm_forward_f64)(const mni_normalization *p, int64_t begin, int64_t end);
void MNI_FOR_ISA(mni_norm_sums_f32)(const mni_normalization *p, int64_t begin, int64_t end);
void MNI_FOR_ISA(mni_norm_sums_f64)(const mni_normalization *p, int64_t begin, int64_t end);
void MNI_FOR_ISA(mni_norm_backward_f32)(const mni_normalization *p, int64_t begin, int64_t end);
void MNI_FOR_ISA(mni_norm_backward_f64)(const mni_normalization *p, int64_t begin, int64_t end);
void MNI_FOR_ISA(mni_max_2x2_f32)(int64_t n, const void *x, int64_t width, void *y, uint8_t *place);
void MNI_FOR_ISA(mni_max_2x2_f64)(int64_t n, const void *x, int64_t width, void *y, uint8_t *place);
void MNI_FOR_ISA(mni_spread_2x2_f32)(int64_t n, void *x, int64_t width, const void *y,
                                     const uint8_t *place);
void MNI_FOR_ISA(mni_spread_2x2_f64)(int64_t n, void *x, int64_t width, const void *y,
                                     const uint8_t *place);
void MNI_FOR_ISA(mni_cell_f32)(const mni_cell *p);
void MNI_FOR_ISA(mni_cell_f64)(const mni_cell *p);
void MNI_FOR_ISA(mni_cell_backward_f32)(const mni_cell *p);
void MNI_FOR_ISA(mni_cell_backward_f64)(const mni_cell *p);
void MNI_FOR_ISA(mni_words)(int64_t n, uint32_t *words, mn_rng at);
void MNI_FOR_ISA(mni_uniform_f32)(int64_t n, void *x, double low, double high, mn_rng at);
void MNI_FOR_ISA(mni_uniform_f64)(int64_t n, void *x, double low, double high, mn_rng at);
void MNI_FOR_ISA(mni_normal_f32)(int64_t n, void *x, double mean, double std, mn_rng at);
void MNI_FOR_ISA(mni_normal_f64)(int64_t n, void *x, double mean, double std, mn_rng at);
void MNI_FOR_ISA(mni_rrelu_f32)(int64_t n, const void *x, double low, double high, bool divisor,
                                mn_rng at, void *y, void *slopes);
void MNI_FOR_ISA(mni_rrelu_f64)(int64_t n, const void *x, double low, double high, bool divisor,
                                mn_rng at, void *y, void *slopes);
void MNI_FOR_ISA(mni_product_f32)(const mni_product *p);
void MNI_FOR_ISA(mni_product_f64)(const mni_product *p);
void MNI_FOR_ISA(mni_turn_f32)(int64_t m, int64_t n, const void *x, int64_t sx, void *y,
                               int64_t sy);
void MNI_FOR_ISA(mni_turn_f64)(int64_t m, int64_t n, const void *x, int64_t sx, void *y,
                               int64_t sy);
void MNI_FOR_ISA(mni_direct_y)(const mni_direct *p);
void MNI_FOR_ISA(mni_direct_w)(const mni_direct *p);
void MNI_FOR_ISA(mni_move_lines)(int64_t lines, int64_t n, const float *x, int64_t sx, float *y,
                                 int64_t sy);
extern const mni_transform_fn MNI_FOR_ISA(mni_transforms)[2][MNI_TRANSFORMS];

#endif
