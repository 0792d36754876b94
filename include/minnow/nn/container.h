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

/* All take over one reference to each child in every case; when one is NULL the others are freed and the
 * result is NULL, with that child's message. A module of your own is made as minnow/nn/module.h shows. */

/* Calls its children in order. Parameters are named "0.weight", "2.bias", ... */
MN_API mn_module *mn_nn_sequential_n(mn_module *const *children, int n);
#ifndef __cplusplus
#define mn_nn_sequential(...)                                                                      \
    mn_nn_sequential_n((mn_module *[]){__VA_ARGS__},                                               \
                       (int)(sizeof((mn_module *[]){__VA_ARGS__}) / sizeof(mn_module *)))
#endif

/* Keep their children, "0", "1", ... or by name, for a module of yours that calls them
 * (mn_module_child, mn_module_child_at): calling them is an error. names: neither empty nor with a
 * dot, each once; copied. */
MN_API mn_module *mn_nn_module_list_n(mn_module *const *children, int n);
MN_API mn_module *mn_nn_module_dict(const char *const *names, mn_module *const *children, int n);
#ifndef __cplusplus
#define mn_nn_module_list(...)                                                                     \
    mn_nn_module_list_n((mn_module *[]){__VA_ARGS__},                                              \
                        (int)(sizeof((mn_module *[]){__VA_ARGS__}) / sizeof(mn_module *)))
#endif

/* A residual block: y = inner(x) + x, or inner(x) + shortcut(x) where inner changes the shape.
 * Children "inner" and "shortcut". He et al., "Deep residual learning for image recognition", 2016. */
MN_API mn_module *mn_nn_residual(mn_module *inner);
MN_API mn_module *mn_nn_residual_with(mn_module *inner, mn_module *shortcut);

#ifdef __cplusplus
}
#endif
#endif
