/*
 * minnow/ops/activation.h: activations and dropout; floating.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_ACTIVATION_H
#define MINNOW_OPS_ACTIVATION_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* relu: x for x > 0, else 0; gradient 0 at 0. leaky_relu: x for x > 0, else slope x. NaN stays. */
MN_API mn_tensor *mn_relu(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_leaky_relu(mn_tape *t, mn_tensor *x, double slope);

/* The same in place of x, which afterwards may not be used any more where it is part of a graph.
 * Refused: while recording, a leaf that requires grad (or a view of one), and for the leaky one
 * slope < 0; always, an x with several elements at one address. */
MN_API mn_tensor *mn_relu_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_leaky_relu_(mn_tape *t, mn_tensor *x, double slope);

/* x for x > 0, else slope[c] x. x: [N, C, ...] or [C], slope: [C] or 1 element; any other number
 * of slopes is an error. He et al., "Delving deep into rectifiers", 2015. */
MN_API mn_tensor *mn_prelu(mn_tape *t, mn_tensor *x, mn_tensor *slope);

/* PyTorch's default bounds of the slopes. */
#define MN_RRELU_LOWER (1.0 / 8)
#define MN_RRELU_UPPER (1.0 / 3)

/* Randomized leaky rectifier (Xu et al., "Empirical evaluation of rectified activations in
 * convolutional network", 2015):
 *   training:  y = x for x > 0, else a x with a ~ U(lower, upper), drawn anew for every element
 *   otherwise: y = x for x > 0, else (lower + upper)/2 x
 *   NaN passes, with slope 1.
 * The gradient is slope * gy with the slopes that the forward pass used, so it is exact for
 * negative slopes and in place. rng: an error if NULL in training, else not used; element i in
 * row-major order takes draw i; one draw is reserved for every element, whatever its sign.
 * Bounds finite, lower <= upper; refused with their values otherwise. */
MN_API mn_tensor *mn_rrelu(mn_tape *t, mn_tensor *x, double lower, double upper, bool training,
                           mn_rng *rng);
MN_API mn_tensor *mn_rrelu_(mn_tape *t, mn_tensor *x, double lower, double upper, bool training,
                            mn_rng *rng);

/* Variants of mn_rrelu. */
typedef struct mn_rrelu_opts {
    bool inplace; /* as mn_rrelu_ */
    /* The paper's form, y = x / a for x <= 0: a ~ U(lower, upper), 0 < lower; else their mean. */
    bool divisor;
    /* One slope for each size of dimension 1 (dimension 0 for 1-d x) instead of for each
     * element. */
    bool per_channel;
    /* Keep signs and the generator's position instead of the slopes: a byte for each element. */
    bool recompute;
} mn_rrelu_opts;

/* The general form; opts NULL is mn_rrelu. */
MN_API mn_tensor *mn_rrelu_with(mn_tape *t, mn_tensor *x, double lower, double upper, bool training,
                                mn_rng *rng, const mn_rrelu_opts *opts);

/* The slope of every element of y = rrelu(x): 1 where x > 0 or NaN, else what x was multiplied
 * with. y must be the result of an rrelu that was recorded, and its graph not yet freed; else an
 * error. Train and eval alike. Read only. */
MN_API mn_tensor *mn_rrelu_slopes(mn_tape *t, mn_tensor *y);

/* Along dim, computed so that large numbers do not overflow; x: [] is an error.
 *   softmax:     e^(x_i - max) / sum_j e^(x_j - max)
 *   log_softmax: x_i - max - ln sum_j e^(x_j - max) */
MN_API mn_tensor *mn_softmax(mn_tape *t, mn_tensor *x, int dim);
MN_API mn_tensor *mn_log_softmax(mn_tape *t, mn_tensor *x, int dim);

/* Dropout (Srivastava et al., 2014) in the inverted form:
 *   training:  y = x m / (1 - p), m ~ Bernoulli(1 - p) for each element (dropped where u < p)
 *   otherwise: y = x, a view
 * 0 <= p <= 1; p = 1 gives zeros. rng: an error if NULL in training, else not used. */
MN_API mn_tensor *mn_dropout(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng);

/* The same with one m for each channel (Tompson et al., "Efficient object localization using
 * convolutional networks", 2015). 1d: x is [N, C, L] or [C, L]; 2d: [N, C, H, W], or [N, C, L], as
 * torch has it. */
MN_API mn_tensor *mn_dropout1d(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng);
MN_API mn_tensor *mn_dropout2d(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng);

/* Dropout that keeps a mean of 0 and a variance of 1, for SELU (Klambauer et al.,
 * "Self-normalizing neural networks", 2017): in training what is dropped becomes -alpha, alpha =
 * 1.7581 being the limit of SELU, then
 *     y = a (x m - alpha (1 - m)) + a alpha p,   a = 1/sqrt((1 - p) (1 + alpha^2 p))
 * p = 1 gives zeros. The rest is as for mn_dropout. */
MN_API mn_tensor *mn_alpha_dropout(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng);

#ifdef __cplusplus
}
#endif
#endif
