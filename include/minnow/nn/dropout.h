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

/* The same for whole channels: mn_dropout1d, of [N, C, L] or [C, L]; mn_dropout2d, of [N, C, H, W]
 * or [N, C, L]. */
MN_API mn_module *mn_nn_dropout1d(double p);
MN_API mn_module *mn_nn_dropout2d(double p);

/* mn_alpha_dropout, which keeps mean and variance behind SELU. */
MN_API mn_module *mn_nn_alpha_dropout(double p);

#ifdef __cplusplus
}
#endif
#endif
