/*
 * tensor/kernels/norm_isa.c: normalisation for one instruction set, in f32 and f64; norm.h is the code.
 */
#include "tensor/kernels/vector.h"

#include <math.h>

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
