/*
 * optim/loops_isa.c: the loops of loops.h, for f32 and for f64, compiled once for each instruction set.
 */
#include "tensor/kernels/isa.h"

#include "optim/optim.h"
#include <tgmath.h>

#define T float
#define LOOP(name) name##_f32
#include "optim/loops.h"
#undef T
#undef LOOP

#define T double
#define LOOP(name) name##_f64
#include "optim/loops.h"

#define MNI_LOOP(name) [MNI_LOOP_##name] = {name##_f32, name##_f64},
const struct mni_loop_table MNI_FOR_ISA(mni_loops) = {{MNI_EACH_LOOP(MNI_LOOP)}};
