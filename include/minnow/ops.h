/*
 * minnow/ops.h: the differentiable operations.
 *
 * All take the tape first and return a temporary that the tape owns, or NULL after an error, whose
 * text (mn_tape_message) names the op and the shapes or values. Errors of all: MN_ERR_DTYPE for an
 * element type the op does not take and for inputs of two types (nothing is promoted; mn_to
 * converts), MN_ERR_SHAPE for shapes that do not fit, MN_ERR_ARGUMENT for a number or a dimension
 * out of range.
 *
 * Inputs may be views, non-contiguous and, where noted, broadcast: shapes are aligned at the last
 * dimension and sizes of 1 stretch (numpy's rules). Negative dims count from the end. "Floating"
 * is f32 or f64. x: [N, C] -> [N] is the shape of x and of the result, [] a single value; without
 * such a note the result has x's shape and dtype.
 */
#ifndef MINNOW_OPS_H
#define MINNOW_OPS_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- making temporaries ---- */

/* Contiguous, row-major, of that shape (ndim sizes >= 0; NULL for ndim 0). empty: uninitialised;
 * from: copies numel elements from data; scalar: shape []. The _like forms take x's dtype and
 * shape. An error names a bad shape or dtype, or a tape that has reached its cap. */
MN_API mn_tensor *mn_empty(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_zeros(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_ones(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_full(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, double value);
MN_API mn_tensor *mn_from(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape,
                          const void *data);
MN_API mn_tensor *mn_scalar(mn_tape *t, mn_dtype dtype, double value);
MN_API mn_tensor *mn_empty_like(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_zeros_like(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_ones_like(mn_tape *t, mn_tensor *x);

/* u in [0, 1), element i of the draw in row-major order. Floating; rng may not be NULL. */
MN_API mn_tensor *mn_rand(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng);

/* x converted as C does (float to integer truncates; to bool: x != 0), or a view when it has that
 * dtype. Differentiable between floating types. */
MN_API mn_tensor *mn_to(mn_tape *t, mn_tensor *x, mn_dtype dtype);

/* ---- arithmetic ---- */

/* a and b broadcast and are of one dtype, not bool. */
MN_API mn_tensor *mn_add(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a + b */
MN_API mn_tensor *mn_sub(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a - b */
MN_API mn_tensor *mn_mul(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a * b */
MN_API mn_tensor *mn_div(mn_tape *t, mn_tensor *a, mn_tensor *b); /* a / b; floating only */

/* s is converted to x's dtype, not bool; one that an integer x cannot hold (0.5) is an error. */
MN_API mn_tensor *mn_add_scalar(mn_tape *t, mn_tensor *x, double s); /* x + s */
MN_API mn_tensor *mn_sub_scalar(mn_tape *t, mn_tensor *x, double s); /* x - s */
MN_API mn_tensor *mn_mul_scalar(mn_tape *t, mn_tensor *x, double s); /* x * s */
MN_API mn_tensor *mn_div_scalar(mn_tape *t, mn_tensor *x, double s); /* x / s; floating only */

/* Comparisons -> bool, no gradient; every dtype. a and b broadcast and are of one dtype. */
MN_API mn_tensor *mn_eq(mn_tape *t, mn_tensor *a, mn_tensor *b);    /* a == b */
MN_API mn_tensor *mn_gt(mn_tape *t, mn_tensor *a, mn_tensor *b);    /* a > b */
MN_API mn_tensor *mn_gt_scalar(mn_tape *t, mn_tensor *x, double s); /* x > s */

/* ---- pointwise functions; floating, neg also i64 and u8 ---- */

MN_API mn_tensor *mn_neg(mn_tape *t, mn_tensor *x);     /* -x */
MN_API mn_tensor *mn_exp(mn_tape *t, mn_tensor *x);     /* e^x */
MN_API mn_tensor *mn_log(mn_tape *t, mn_tensor *x);     /* ln x */
MN_API mn_tensor *mn_sqrt(mn_tape *t, mn_tensor *x);    /* x^(1/2) */
MN_API mn_tensor *mn_sigmoid(mn_tape *t, mn_tensor *x); /* 1 / (1 + e^-x) */
MN_API mn_tensor *mn_tanh(mn_tape *t, mn_tensor *x);    /* (e^x - e^-x) / (e^x + e^-x) */

/* ---- products ---- */

/* Matrix product by torch.matmul's rules. a: [..., m, k], b: [..., k, n] -> [..., m, n]: leading
 * dimensions are batches and broadcast; a 1-d operand is a row (left) or column (right) whose
 * dimension is then dropped. Floating; inner sizes that differ and 0-d operands are errors. */
MN_API mn_tensor *mn_matmul(mn_tape *t, mn_tensor *a, mn_tensor *b);

/* x weight^T + bias. x: [..., in], weight: [out, in], bias: [out] or MN_NONE -> [..., out].
 * Floating. */
MN_API mn_tensor *mn_linear(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias);

/* ---- reductions ---- */

/* Over all elements -> []. sum: of x's dtype, but i64 for u8 and bool. mean: floating. Pairwise
 * or blocked summation, the same bits for every number of threads. */
MN_API mn_tensor *mn_sum(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_mean(mn_tape *t, mn_tensor *x);

/* Over the n dimensions dims (distinct; n = 0 reduces nothing); keepdim leaves them in place with
 * size 1. x: [N, C], dims {1} -> [N], with keepdim [N, 1]. */
MN_API mn_tensor *mn_sum_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);
MN_API mn_tensor *mn_mean_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim);

/* Largest element; NaN counts as larger than every number. An empty range is an error.
 *   max:     over all -> []; the gradient is shared evenly among equal maxima (torch.amax,
 *            torch.max(x))
 *   max_dim: x: [N, C], dim 1 -> [N], with keepdim [N, 1]; *indices (indices may be NULL) gets the
 *            i64 position of the first maximum, which alone receives the gradient */
MN_API mn_tensor *mn_max(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_max_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim, mn_tensor **indices);

/* i64 position of the first maximum: in the flattened x -> [], or along dim. No gradient. An
 * empty range is an error. */
MN_API mn_tensor *mn_argmax(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_argmax_dim(mn_tape *t, mn_tensor *x, int dim, bool keepdim);

/* ---- shape; every dtype ---- */

/* The same elements, in row-major order, in another shape of as many; one size may be -1 and
 * follows from the others. A view where x's strides allow, else a copy. */
MN_API mn_tensor *mn_reshape(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);

/* Dimensions start_dim to end_dim (inclusive) become one, as by reshape. x: [2, 3, 4], 1, 2 ->
 * [2, 12]; [] -> [1]. start_dim after end_dim is an error. */
MN_API mn_tensor *mn_flatten(mn_tape *t, mn_tensor *x, int start_dim, int end_dim);

/* View with two dimensions exchanged: y[.., i, .., j, ..] = x[.., j, .., i, ..].
 * x: [A, B, C], 0, 2 -> [C, B, A]. */
MN_API mn_tensor *mn_transpose(mn_tape *t, mn_tensor *x, int dim0, int dim1);

/* View whose dimension d is x's dimension dims[d]; dims: mn_tensor_ndim(x) distinct dimensions.
 * x: [A, B, C], {2, 0, 1} -> [C, A, B]. */
MN_API mn_tensor *mn_permute(mn_tape *t, mn_tensor *x, const int *dims);

/* View in which sizes of 1 are stretched (stride 0) and further dimensions put in front. Other
 * sizes must stay as they are, and be given (no -1). x: [C, 1] -> [N, C, W]. */
MN_API mn_tensor *mn_expand(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape);

/* View of positions start to start + length - 1 of dimension dim. x: [N, C], dim 1 -> [N, length].
 * start, length >= 0 and start + length <= size, else an error. */
MN_API mn_tensor *mn_narrow(mn_tape *t, mn_tensor *x, int dim, int64_t start, int64_t length);

/* The n >= 1 tensors one behind the other along dim; of one dtype, and equal in all other sizes.
 * [N, A] and [N, B], dim 1 -> [N, A + B]. 0-d tensors are an error. */
MN_API mn_tensor *mn_cat(mn_tape *t, mn_tensor *const *xs, int n, int dim);

/* x itself when it is contiguous, else a contiguous copy. clone: always a copy. */
MN_API mn_tensor *mn_contiguous(mn_tape *t, mn_tensor *x);
MN_API mn_tensor *mn_clone(mn_tape *t, mn_tensor *x);

/* ---- activations; floating ---- */

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

typedef struct mn_rrelu_opts {
    bool inplace;
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

/* ---- losses ---- */

typedef enum mn_reduction {
    MN_REDUCE_MEAN = 0,
    MN_REDUCE_SUM,
    MN_REDUCE_NONE /* one loss for each sample (mse: for each element) */
} mn_reduction;

typedef struct mn_loss_opts {
    mn_reduction reduction;
} mn_loss_opts;

/* -log_probabilities[i, target[i]], over i: mean, sum, or each. log_probabilities: [N, C]
 * floating, target: [N] i64 -> [] or [N]. opts NULL: mean. Errors: targets of another dtype or
 * shape; a class outside 0 <= target < C (the text has its position and value; none is ignored).
 * The mean over N = 0 is NaN. */
MN_API mn_tensor *mn_nll_loss(mn_tape *t, mn_tensor *log_probabilities, mn_tensor *target,
                              const mn_loss_opts *opts);

/* nll_loss(log_softmax(logits, 1), target), in one op. logits: [N, C], the rest as there:
 * targets are class numbers, not probabilities. */
MN_API mn_tensor *mn_cross_entropy(mn_tape *t, mn_tensor *logits, mn_tensor *target,
                                   const mn_loss_opts *opts);

/* (x - target)^2: mean, sum, or each -> [] or x's shape. Both floating, of one shape and
 * dtype: nothing is broadcast. */
MN_API mn_tensor *mn_mse_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                              const mn_loss_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
