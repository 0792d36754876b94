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

/* ---- straight lines ---- */

/* relu: x for x > 0, else 0; gradient 0 at 0. leaky_relu: x for x > 0, else slope x. threshold: x for
 * x > threshold, else value; gradient 0 at the threshold. NaN stays. */
MN_API mn_tensor *mn_relu(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_leaky_relu(mn_tape *t, mn_tensor *x, double slope);
MN_API mn_tensor *mn_threshold(mn_tape *t, mn_tensor *x, double threshold, double value);

/* hardtanh: min_val for x < min_val, max_val for x > max_val, else x; min_val <= max_val (PyTorch's
 * defaults are -1 and 1). relu6: the same from 0 to 6. The gradient is 0 at both ends, and at NaN. */
MN_API mn_tensor *mn_hardtanh(mn_tape *t, mn_tensor *x, double min_val, double max_val);
MN_API mn_tensor *mn_relu6(mn_tape *t, mn_tensor *x);

/* hardsigmoid: x/6 + 1/2 between -3 and 3, 0 below, 1 above; gradient 0 at both ends, and at NaN.
 * hardswish: x hardsigmoid(x) (Howard et al., "Searching for MobileNetV3", 2019); gradient 0 at -3, 1 at
 * 3. */
MN_API mn_tensor *mn_hardsigmoid(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_hardswish(mn_tape *t, mn_tensor *x);

/* hardshrink: 0 for |x| <= lambda, else x. softshrink: 0 for |x| <= lambda, else x - lambda or x + lambda,
 * what is nearer to 0. lambda: at least 0 (PyTorch: 0.5). The gradient is 0 at both ends, and at NaN. */
MN_API mn_tensor *mn_hardshrink(mn_tape *t, mn_tensor *x, double lambda);
MN_API mn_tensor *mn_softshrink(mn_tape *t, mn_tensor *x, double lambda);

/* ---- curves; mn_sigmoid, mn_tanh, mn_log_sigmoid and mn_softplus are in minnow/ops/unary.h ---- */

/* Exponential linear units; at 0 the gradient is that from below.
 *   elu:  x for x > 0, else alpha (e^x - 1)        (Clevert et al., 2015; PyTorch: alpha 1)
 *   selu: 1.0507 elu(x) with alpha 1.6733, so that means and variances converge to 0 and 1 (Klambauer et
 *         al., "Self-normalizing neural networks", 2017)
 *   celu: x for x > 0, else alpha (e^(x/alpha) - 1); alpha finite and not 0 (Barron, 2017; PyTorch: 1) */
MN_API mn_tensor *mn_elu(mn_tape *t, mn_tensor *x, double alpha);
MN_API mn_tensor *mn_selu(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_celu(mn_tape *t, mn_tensor *x, double alpha);

/* silu: x sigmoid(x). mish: x tanh(softplus(x)) (Misra, 2019). */
MN_API mn_tensor *mn_silu(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_mish(mn_tape *t, mn_tensor *x);

/* gelu: x F(x), F(x) = (1 + erf(x/sqrt(2))) / 2 (Hendrycks and Gimpel, "Gaussian error linear units",
 * 2016). gelu_tanh: nearly the same, x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
MN_API mn_tensor *mn_gelu(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_gelu_tanh(mn_tape *t, mn_tensor *x);

/* softsign: x / (1 + |x|). tanhshrink: x - tanh(x). */
MN_API mn_tensor *mn_softsign(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_tanhshrink(mn_tape *t, mn_tensor *x);

/* a sigmoid(b), a and b being the first and the second half of x along dim (PyTorch: -1), whose size is
 * even (Dauphin et al., "Language modeling with gated convolutional networks", 2016). */
MN_API mn_tensor *mn_glu(mn_tape *t, mn_tensor *x, int dim);

/* ---- in place ---- */

/* In place of x, which afterwards may not be used any more where it is part of a graph. Refused: while
 * recording, a leaf that requires grad (or a view of one), for leaky_relu_ a slope < 0 and for elu_ an alpha
 * < 0; always, an x with several elements at one address. Hardsigmoid, hardswish, silu, mish, and threshold
 * with value > threshold, need x for their gradient: while recording they keep a copy. */
MN_API mn_tensor *mn_relu_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_leaky_relu_(mn_tape *t, mn_tensor *x, double slope);
MN_API mn_tensor *mn_threshold_(mn_tape *t, mn_tensor *x, double threshold, double value);
MN_API mn_tensor *mn_hardtanh_(mn_tape *t, mn_tensor *x, double min_val, double max_val);
MN_API mn_tensor *mn_relu6_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_hardsigmoid_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_hardswish_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_elu_(mn_tape *t, mn_tensor *x, double alpha);
MN_API mn_tensor *mn_selu_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_celu_(mn_tape *t, mn_tensor *x, double alpha);
MN_API mn_tensor *mn_silu_(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_mish_(mn_tape *t, mn_tensor *x);

/* ---- slopes that are learned or drawn ---- */

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

/* ---- along a dimension ---- */

/* Computed so that large numbers do not overflow; x: [] is an error.
 *   softmax:     e^(x_i - max) / sum_j e^(x_j - max)
 *   softmin:     softmax of -x
 *   log_softmax: x_i - max - ln sum_j e^(x_j - max) */
MN_API mn_tensor *mn_softmax(mn_tape *t, mn_tensor *x, int dim);
MN_API mn_tensor *mn_softmin(mn_tape *t, mn_tensor *x, int dim);
MN_API mn_tensor *mn_log_softmax(mn_tape *t, mn_tensor *x, int dim);

/* ---- dropout ---- */

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
