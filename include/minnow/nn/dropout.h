/*
 * minnow/nn/dropout.h: layers that zero at random.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_DROPOUT_H
#define MINNOW_NN_DROPOUT_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroes elements with probability p in training and scales the others by 1/(1 - p); identity in
 * eval. 0 <= p <= 1. */
MN_API mn_module *mn_nn_dropout(double p);

#ifdef __cplusplus
}
#endif
#endif
