/*
 * nn/window.h: the numbers of a kernel that moves over an image, as convolutions, pools and patches
 * have them.
 */
#ifndef MNI_WINDOW_H
#define MNI_WINDOW_H

#include "nn/module.h"

/* One number for each of `dims` dimensions. */
typedef struct mni_window {
    int dims;
    int64_t kernel[3], stride[3], padding[3], dilation[3];
} mni_window;

/* What a constructor is given. The lists have dims numbers or are NULL, which is as many zeros. */
typedef struct mni_window_opts {
    int64_t kernel_size;
    const int64_t *kernel; /* 0: kernel_size */
    const int64_t *stride; /* 0: 1 or, `apart`, the kernel */
    const int64_t *padding;
    const int64_t *dilation; /* 0: 1 */
    bool apart;
} mni_window_opts;

/* Fills *w; false, with the last error set, when a number is impossible in the layer called name. */
bool mni_window_make(mni_window *w, const char *name, int dims, const mni_window_opts *opts);

#endif
