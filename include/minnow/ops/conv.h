/*
 * minnow/ops/conv.h: convolutions and their transposes.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_CONV_H
#define MINNOW_OPS_CONV_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One number for each dimension, the outermost first; those beyond x's are not looked at. */
typedef struct mn_conv_opts {
    int64_t stride[3];   /* between positions of the kernel; 0: 1 */
    int64_t padding[3];  /* zeros on both sides of x */
    int64_t dilation[3]; /* between elements of the kernel; 0: 1 */
    int64_t groups;      /* of channels that do not see each other; 0: 1 */
    /* As much padding as gives y the size of x; where that is odd, one more behind than before.
     * stride must be 1 and padding 0. */
    bool padding_same;
} mn_conv_opts;

/* Cross-correlation (the kernel is not turned), for one to three dimensions:
 *
 *     y[n, o, p] = bias[o] + sum over c, k of x[n, c, p stride + k dilation - padding] w[o, c, k]
 *
 * where x is 0 outside. x: [N, C, in...] or [C, in...], weight: [O, C/groups, kernel...], bias: [O]
 * or MN_NONE -> [N, O, out...] or without the N, out = (in + 2 padding - dilation (kernel - 1) -
 * 1)/stride + 1. With groups the first O/groups channels of y see the first C/groups of x, and so
 * on. Floating, of one dtype. opts NULL: all defaults. N may be 0. Errors: groups that do not
 * divide the channels; a kernel larger than the padded x; a weight without elements; a bias of
 * another shape.
 *
 * In f32, kernels of 3 x 3 and 5 x 5 with a stride and dilation of 1 over many channels are computed by
 * fewer products (Lavin and Gray 2015), as are their gradients: rounding errors are then up to three times
 * those of the sum above, and an infinite or NaN element of x makes NaN what is computed together with it: up
 * to 8 x 8 positions of y; so it does in the gradients. */
MN_API mn_tensor *mn_conv1d(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias,
                            const mn_conv_opts *opts);
MN_API mn_tensor *mn_conv2d(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias,
                            const mn_conv_opts *opts);
MN_API mn_tensor *mn_conv3d(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias,
                            const mn_conv_opts *opts);

/* Options of conv transpose. */
typedef struct mn_conv_transpose_opts {
    int64_t stride[2];         /* between what neighbours of x are spread over; 0: 1 */
    int64_t padding[2];        /* taken away on both sides of the result */
    int64_t output_padding[2]; /* put behind the result; less than stride or dilation */
    int64_t dilation[2];       /* between elements of the kernel; 0: 1 */
    int64_t groups;            /* 0: 1 */
} mn_conv_transpose_opts;

/* The gradient of a convolution with respect to its input, as an op: every x[n, c, p] adds its
 * multiple of the kernel w[c] to the result, from p stride - padding on, and the bias is added. x:
 * [N, C, in...] or [C, in...], weight: [C, O/groups, kernel...], bias: [O] or MN_NONE -> [N, O,
 * out...], out = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1, at least
 * 1. The rest is as above. */
MN_API mn_tensor *mn_conv_transpose1d(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias,
                                      const mn_conv_transpose_opts *opts);
MN_API mn_tensor *mn_conv_transpose2d(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias,
                                      const mn_conv_transpose_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
