/*
 * tensor/blas.h: OpenBLAS, when minnow was built with it.
 *
 * A product that is called here runs on the calling thread alone. With the pthreads build of
 * OpenBLAS the first call sets its number of threads to one for the whole process; with the OpenMP
 * build for the calling thread; the serial build is called by one thread at a time. Which build
 * gets loaded is found at run time. A process whose products never come here is left as it was.
 */
#ifndef MNI_BLAS_H
#define MNI_BLAS_H

#include "tensor/kernels/kernels.h"

/* Computes p and returns true; false when there is no BLAS or the strides are not what it takes. */
bool mni_blas_product(mn_dtype dtype, const mni_product *p);

#endif
