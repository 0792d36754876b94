/*
 * minnow/nn.h: modules: layers with parameters, put together into trees that follow train and eval.
 *
 * A constructor, such as mn_nn_linear, gives a module that is yours, in training mode, with parameters
 * in f32 that have no values yet (mn_module_init draws them), or NULL with the reason in
 * mn_last_message().
 * Names, order of arguments, defaults, first values and the names of parameters are PyTorch's;
 * options stand in a struct, NULL for all defaults. How a module is used is in minnow/nn/module.h.
 */
#ifndef MINNOW_NN_H
#define MINNOW_NN_H

#include <minnow/nn/activation.h>
#include <minnow/nn/attention.h>
#include <minnow/nn/container.h>
#include <minnow/nn/conv.h>
#include <minnow/nn/dropout.h>
#include <minnow/nn/embedding.h>
#include <minnow/nn/init.h>
#include <minnow/nn/linear.h>
#include <minnow/nn/module.h>
#include <minnow/nn/norm.h>
#include <minnow/nn/pool.h>
#include <minnow/nn/recurrent.h>

#endif
