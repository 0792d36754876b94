/*
 * tensor/kernels/norm_isa.c: normalisation for one instruction set, in f32 and f64; norm.h is the code.
 */
#include "tensor/kernels/isa.h"

#include <math.h>

#if defined(__AVX512F__)
enum { VECTOR = 64 };
#elif defined(__AVX2__)
enum { VECTOR = 32 };
#else
enum { VECTOR = 16 };
#endif

/* Channels whose sums are kept side by side; how many elements are summed in their own type, lane by
 * lane, before a double takes over. */
enum { ABREAST = 64, STRETCH = 1024 };

#define T float
#define FN(name) name##_f32
#include "tensor/kernels/norm.h"
#undef T
#undef FN

#define T double
#define FN(name) name##_f64
#include "tensor/kernels/norm.h"
