/*
 * tensor/kernels/plain.c: the pointwise kernels that are compiled once, and their table.
 */
#include "tensor/kernels/kernels.h"
#include <tgmath.h>

#define MNI_KERNEL_LIST "tensor/kernels/plain.def"
#include "tensor/kernels/pointwise.h"

const mni_plain_table mni_plain = {
#include "tensor/kernels/plain.def"
};
