/*
 * optim/loops.c: the loops of loops.h, for f32 and for f64.
 */
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

#define BOTH(name) const mni_optim_loop mni_loop_##name[2] = {name##_f32, name##_f64};
BOTH(sgd)
BOTH(adam)
BOTH(adamax)
BOTH(nadam)
BOTH(radam)
BOTH(adagrad)
BOTH(adadelta)
BOTH(rmsprop)
BOTH(rprop)
BOTH(asgd)
BOTH(lion)
BOTH(muon)
BOTH(vector)
BOTH(row)
BOTH(squares)
