/*
 * minnow/nn/container.h: modules made of modules.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_CONTAINER_H
#define MINNOW_NN_CONTAINER_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls its children in order. It takes over one reference to each child in every case; when one is
 * NULL the others are freed and the result is NULL, with that child's message. Parameters are named
 * "0.weight", "2.bias", ... */
MN_API mn_module *mn_nn_sequential_n(mn_module *const *children, int n);
#ifndef __cplusplus
#define mn_nn_sequential(...)                                                                      \
    mn_nn_sequential_n((mn_module *[]){__VA_ARGS__},                                               \
                       (int)(sizeof((mn_module *[]){__VA_ARGS__}) / sizeof(mn_module *)))
#endif

#ifdef __cplusplus
}
#endif
#endif
