/* minnow/minnow.h: everything. */
#ifndef MINNOW_MINNOW_H
#define MINNOW_MINNOW_H

#include <minnow/autograd.h>
#include <minnow/core.h>
#include <minnow/data.h>
#include <minnow/functional.h>
#include <minnow/nn.h>
#include <minnow/ops.h>
#include <minnow/optim.h>
#include <minnow/tensor.h>

#endif
