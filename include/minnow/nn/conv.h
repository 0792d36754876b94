/*
 * minnow/nn/conv.h: convolutions, their transposes, and the patches they are made of, as layers.
 * What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_CONV_H
#define MINNOW_NN_CONV_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One number for each dimension, the outermost first; those beyond the layer's are not looked at. */
typedef struct mn_nn_conv_opts {
    int64_t kernel_size[3]; /* of a kernel that is not as long in all dimensions; 0: the argument */
    int64_t stride[3];      /* 0: 1 */
    int64_t padding[3];     /* on both sides */
    int64_t dilation[3];    /* 0: 1 */
    int64_t groups;         /* 0: 1 */
    bool padding_same;      /* as much padding as keeps the size; stride 1, padding 0 */
    mn_pad_mode padding_mode; /* what the padding is filled with; MN_PAD_CONSTANT: zeros */
    bool no_bias;
} mn_nn_conv_opts;

/* mn_conv1d to mn_conv3d: [N, in_channels, ...] or [in_channels, ...] -> [N, out_channels, ...].
 * weight [out_channels, in_channels/groups, kernel...] and bias [out_channels] from U(-k, k), k =
 * 1/sqrt(in_channels/groups times the kernel's elements). Refused: sizes, strides, dilations and
 * groups below 1; groups that do not divide both numbers of channels; padding below 0. */
MN_API mn_module *mn_nn_conv1d(int64_t in_channels, int64_t out_channels, int64_t kernel_size,
                               const mn_nn_conv_opts *opts);
MN_API mn_module *mn_nn_conv2d(int64_t in_channels, int64_t out_channels, int64_t kernel_size,
                               const mn_nn_conv_opts *opts);
MN_API mn_module *mn_nn_conv3d(int64_t in_channels, int64_t out_channels, int64_t kernel_size,
                               const mn_nn_conv_opts *opts);

/* The same for the transposes. */
typedef struct mn_nn_conv_transpose_opts {
    int64_t kernel_size[2];    /* 0: the argument */
    int64_t stride[2];         /* 0: 1 */
    int64_t padding[2];        /* taken away on both sides of the result */
    int64_t output_padding[2]; /* put behind the result; less than stride or dilation */
    int64_t dilation[2];       /* 0: 1 */
    int64_t groups;            /* 0: 1 */
    bool no_bias;
} mn_nn_conv_transpose_opts;

/* mn_conv_transpose1d and mn_conv_transpose2d. weight [in_channels, out_channels/groups, kernel...]
 * and bias [out_channels] from U(-k, k), k = 1/sqrt(out_channels/groups times the kernel's
 * elements), as torch has it. */
MN_API mn_module *mn_nn_conv_transpose1d(int64_t in_channels, int64_t out_channels,
                                         int64_t kernel_size,
                                         const mn_nn_conv_transpose_opts *opts);
MN_API mn_module *mn_nn_conv_transpose2d(int64_t in_channels, int64_t out_channels,
                                         int64_t kernel_size,
                                         const mn_nn_conv_transpose_opts *opts);

/* mn_unfold and mn_fold, the patches of an image that a kernel covers, and back. [0]: height. */
typedef struct mn_nn_unfold_opts {
    int64_t kernel_size[2]; /* 0: the argument */
    int64_t stride[2];      /* 0: 1 */
    int64_t padding[2];
    int64_t dilation[2]; /* 0: 1 */
} mn_nn_unfold_opts;
MN_API mn_module *mn_nn_unfold(int64_t kernel_size, const mn_nn_unfold_opts *opts);
MN_API mn_module *mn_nn_fold(int64_t out_h, int64_t out_w, int64_t kernel_size,
                             const mn_nn_unfold_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
