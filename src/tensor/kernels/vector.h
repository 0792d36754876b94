/*
 * tensor/kernels/vector.h: the vectors of an instruction set, for kernels that are written by vectors.
 */
#ifndef MNI_VECTOR_H
#define MNI_VECTOR_H

#include "tensor/kernels/isa.h"

/* Bytes of one. */
#if defined(__AVX512F__)
enum { VECTOR = 64 };
#elif defined(__AVX2__)
enum { VECTOR = 32 };
#else
enum { VECTOR = 16 };
#endif

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

#endif
