/*
 * tensor/kernels/recurrent_isa.c: the cells of recurrent layers for one instruction set, in f32 and f64;
 * recurrent.h is the code.
 */
#include "tensor/kernels/isa.h"

#include "tensor/kernels/functions.h"

#define T float
#define FN(name) name##_f32
#include "tensor/kernels/recurrent.h"
#undef T
#undef FN

#define T double
#define FN(name) name##_f64
#include "tensor/kernels/recurrent.h"
