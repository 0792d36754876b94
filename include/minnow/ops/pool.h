/*
 * minnow/ops/pool.h: pooling over windows, and images in other sizes.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_POOL_H
#define MINNOW_OPS_POOL_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pooling ---- */

/* A window moves over the last dimension (1d: x is [N, C, L] or [C, L]) or the last two (2d: [N, C,
 * H, W] or [C, H, W]; [0] of an option is the height), each plane for itself. Of a size it has
 * (size + 2 padding - dilation (kernel - 1) - 1)/stride + 1 positions, rounded down; with ceil_mode
 * rounded up, but the last one begins inside or in the padding before. Padding is on both sides,
 * and at most half of what the kernel covers. N may be 0. Errors: a kernel that has no position, or
 * one that sees no element of x; dimensions of size 0. */

/* Options of max pool. */
typedef struct mn_max_pool_opts {
    int64_t stride[2];   /* 0: the kernel */
    int64_t padding[2];  /* where nothing is the maximum */
    int64_t dilation[2]; /* between elements of the window; 0: 1 */
    bool ceil_mode;
} mn_max_pool_opts;

/* The largest element of each window, a NaN if there is one. indices (may be NULL): i64, where it
 * is in its plane, h W + w: the first of several (the last NaN), which alone gets the gradient.
 * Every dtype but bool. */
MN_API mn_tensor *mn_max_pool1d(mn_tape *t, mn_tensor *x, int64_t kernel,
                                const mn_max_pool_opts *opts, mn_tensor **indices);
MN_API mn_tensor *mn_max_pool2d(mn_tape *t, mn_tensor *x, int64_t kernel_h, int64_t kernel_w,
                                const mn_max_pool_opts *opts, mn_tensor **indices);

/* Options of avg pool. */
typedef struct mn_avg_pool_opts {
    int64_t stride[2];  /* 0: the kernel */
    int64_t padding[2]; /* zeros */
    bool ceil_mode;
    bool exclude_pad;         /* padding does not count (torch: count_include_pad = False) */
    int64_t divisor_override; /* what the sums are divided by; 0: the number of elements */
} mn_avg_pool_opts;

/* The mean of each window. What a window has beyond the padding never counts. Floating. */
MN_API mn_tensor *mn_avg_pool1d(mn_tape *t, mn_tensor *x, int64_t kernel,
                                const mn_avg_pool_opts *opts);
MN_API mn_tensor *mn_avg_pool2d(mn_tape *t, mn_tensor *x, int64_t kernel_h, int64_t kernel_w,
                                const mn_avg_pool_opts *opts);

/* Options of lp pool. */
typedef struct mn_lp_pool_opts {
    int64_t stride[2]; /* 0: the kernel */
    bool ceil_mode;
} mn_lp_pool_opts;

/* (sum of x^p over each window)^(1/p), the largest |x| for an infinite p and the smallest for
 * -infinity. x^p, not |x|^p: NaN for an odd p where the sum is negative. A window that is cut off
 * counts as if it were whole, and the gradient is 0 where the sum is 0, as torch has it. Floating.
 * p = 0 is an error. */
MN_API mn_tensor *mn_lp_pool1d(mn_tape *t, mn_tensor *x, double p, int64_t kernel,
                               const mn_lp_pool_opts *opts);
MN_API mn_tensor *mn_lp_pool2d(mn_tape *t, mn_tensor *x, double p, int64_t kernel_h,
                               int64_t kernel_w, const mn_lp_pool_opts *opts);

/* Mean and maximum of as many windows as the result shall have (out >= 1): window i is from
 * floor(i size/out) to ceil((i + 1) size/out). */
MN_API mn_tensor *mn_adaptive_avg_pool1d(mn_tape *t, mn_tensor *x, int64_t out);
MN_API mn_tensor *mn_adaptive_avg_pool2d(mn_tape *t, mn_tensor *x, int64_t out_h, int64_t out_w);
MN_API mn_tensor *mn_adaptive_max_pool1d(mn_tape *t, mn_tensor *x, int64_t out,
                                         mn_tensor **indices);
MN_API mn_tensor *mn_adaptive_max_pool2d(mn_tape *t, mn_tensor *x, int64_t out_h, int64_t out_w,
                                         mn_tensor **indices);

/* Options of max unpool. */
typedef struct mn_max_unpool_opts {
    int64_t stride[2];  /* 0: the kernel */
    int64_t padding[2]; /* as in mn_max_pool2d */
    int64_t output_size
        [2]; /* 0: (size - 1) stride - 2 padding + kernel; else less than a stride away */
} mn_max_unpool_opts;

/* Undoes a max_pool2d: zeros, with every element of x at its index. x, indices (i64, of x's shape):
 * [N, C, H, W] or [C, H, W]. Of several that have one index the last one stays, but each gets the
 * gradient, as torch has it. Floating. Errors: an index outside of its plane. */
MN_API mn_tensor *mn_max_unpool2d(mn_tape *t, mn_tensor *x, mn_tensor *indices, int64_t kernel_h,
                                  int64_t kernel_w, const mn_max_unpool_opts *opts);

/* ---- images in other sizes ---- */

/* The interpolate mode. */
typedef enum mn_interpolate_mode {
    MN_INTERPOLATE_NEAREST = 0,
    MN_INTERPOLATE_LINEAR,   /* of [N, C, L] */
    MN_INTERPOLATE_BILINEAR, /* of [N, C, H, W] */
    MN_INTERPOLATE_BICUBIC   /* of [N, C, H, W]; Keys' kernel with a = -3/4 */
} mn_interpolate_mode;

/* One number for each dimension, [0]: height (of [N, C, L]: length); either sizes or scales. */
typedef struct mn_interpolate_opts {
    int64_t size[2]; /* of the result */
    double scale[2]; /* result size = floor(size scale) */
    mn_interpolate_mode mode;
    bool align_corners; /* the outermost elements stay at the corners; not for nearest */
} mn_interpolate_opts;

/* torch.nn.functional.interpolate: x between its elements, which stand at (i + 1/2) scale, or
 * evenly from corner to corner. x: [N, C, L] or [N, C, H, W]. Floating. */
MN_API mn_tensor *mn_interpolate(mn_tape *t, mn_tensor *x, const mn_interpolate_opts *opts);

/* x: [..., C r r, H, W] -> [..., C, H r, W r]: the r r channels of a group become blocks of pixels.
 * unshuffle: the reverse. Every dtype. Errors: sizes that r, or r r, does not divide. */
MN_API mn_tensor *mn_pixel_shuffle(mn_tape *t, mn_tensor *x, int64_t r);
MN_API mn_tensor *mn_pixel_unshuffle(mn_tape *t, mn_tensor *x, int64_t r);

#ifdef __cplusplus
}
#endif
#endif
