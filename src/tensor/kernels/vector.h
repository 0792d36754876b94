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

#endif
