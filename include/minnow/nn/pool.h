/*
 * minnow/nn/pool.h: pooling, and images in other sizes, as layers.
 * What all layers share is in minnow/nn.h; the options are those of minnow/ops/pool.h.
 */
#ifndef MINNOW_NN_POOL_H
#define MINNOW_NN_POOL_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pooling ---- */

/* Of [N, C, L] or [C, L] (1d), of [N, C, H, W] or [C, H, W] (2d). In the options stands one number
 * for each dimension, [0]: height. Refused: kernels, strides, dilations below 1, padding below 0. */

/* Options of max pool. */
typedef struct mn_nn_max_pool_opts {
    int64_t kernel_size[2]; /* of a window that is not a square; 0: the argument */
    int64_t stride[2];      /* 0: the kernel */
    int64_t padding[2];     /* where nothing is the maximum */
    int64_t dilation[2];    /* 0: 1 */
    bool ceil_mode;
} mn_nn_max_pool_opts;

/* mn_max_pool1d, mn_max_pool2d. mn_module_call with two outputs gives the indices, too. */
MN_API mn_module *mn_nn_max_pool1d(int64_t kernel_size, const mn_nn_max_pool_opts *opts);
MN_API mn_module *mn_nn_max_pool2d(int64_t kernel_size, const mn_nn_max_pool_opts *opts);

/* Options of avg pool. */
typedef struct mn_nn_avg_pool_opts {
    int64_t kernel_size[2]; /* 0: the argument */
    int64_t stride[2];      /* 0: the kernel */
    int64_t padding[2];     /* zeros */
    bool ceil_mode;
    bool exclude_pad;         /* padding does not count (torch: count_include_pad = False) */
    int64_t divisor_override; /* what the sums are divided by; 0: the number of elements */
} mn_nn_avg_pool_opts;

/* mn_avg_pool1d, mn_avg_pool2d. */
MN_API mn_module *mn_nn_avg_pool1d(int64_t kernel_size, const mn_nn_avg_pool_opts *opts);
MN_API mn_module *mn_nn_avg_pool2d(int64_t kernel_size, const mn_nn_avg_pool_opts *opts);

/* Options of lp pool. */
typedef struct mn_nn_lp_pool_opts {
    int64_t kernel_size[2]; /* 0: the argument */
    int64_t stride[2];      /* 0: the kernel */
    bool ceil_mode;
} mn_nn_lp_pool_opts;

/* mn_lp_pool1d, mn_lp_pool2d, of the power norm_type, which is neither 0 nor NaN. */
MN_API mn_module *mn_nn_lp_pool1d(double norm_type, int64_t kernel_size,
                                  const mn_nn_lp_pool_opts *opts);
MN_API mn_module *mn_nn_lp_pool2d(double norm_type, int64_t kernel_size,
                                  const mn_nn_lp_pool_opts *opts);

/* mn_adaptive_avg_pool1d and so on: results of that size, at least 1. Of the maxima, mn_module_call
 * with two outputs gives the indices, too. */
MN_API mn_module *mn_nn_adaptive_avg_pool1d(int64_t out);
MN_API mn_module *mn_nn_adaptive_avg_pool2d(int64_t out_h, int64_t out_w);
MN_API mn_module *mn_nn_adaptive_max_pool1d(int64_t out);
MN_API mn_module *mn_nn_adaptive_max_pool2d(int64_t out_h, int64_t out_w);

/* Options of max unpool. */
typedef struct mn_nn_max_unpool_opts {
    int64_t kernel_size[2]; /* 0: the argument */
    int64_t stride[2];      /* 0: the kernel */
    int64_t padding[2];     /* that of the pooling */
    int64_t output_size[2]; /* where several are possible; 0: the usual one (torch: of forward) */
} mn_nn_max_unpool_opts;

/* mn_max_unpool2d, of two inputs: x and the indices. */
MN_API mn_module *mn_nn_max_unpool2d(int64_t kernel_size, const mn_nn_max_unpool_opts *opts);

/* ---- images in other sizes ---- */

/* mn_interpolate as a layer: either sizes or scales, one for each dimension of the image. */
typedef mn_interpolate_opts mn_nn_upsample_opts;
MN_API mn_module *mn_nn_upsample(const mn_nn_upsample_opts *opts);

/* mn_pixel_shuffle: [N, C r r, H, W] -> [N, C, H r, W r]; and the reverse. The factor r >= 1. */
MN_API mn_module *mn_nn_pixel_shuffle(int64_t upscale_factor);
MN_API mn_module *mn_nn_pixel_unshuffle(int64_t downscale_factor);

#ifdef __cplusplus
}
#endif
#endif
