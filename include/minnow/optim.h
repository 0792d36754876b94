/*
 * minnow/optim.h: optimizers, which own references to parameters, schedulers of their learning rates,
 * and averages of weights.
 */
#ifndef MINNOW_OPTIM_H
#define MINNOW_OPTIM_H

#include <minnow/optim/average.h>
#include <minnow/optim/methods.h>
#include <minnow/optim/scheduler.h>
#include <minnow/optim/step.h>

#endif
