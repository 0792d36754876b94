/*
 * minnow/ops/loss.h: losses, and the distances of vectors that some are made of.
 * What all ops share is in minnow/ops.h.
 *
 * x is what a model gives, floating, and the target is of its dtype unless another is named. Where nothing
 * else is said both have one shape (nothing is broadcast) and there is one loss for each element. opts
 * NULL: all defaults. The mean of no losses is NaN.
 */
#ifndef MINNOW_OPS_LOSS_H
#define MINNOW_OPS_LOSS_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of the losses of a batch. */
typedef enum mn_reduction {
    MN_REDUCE_MEAN = 0,
    MN_REDUCE_SUM,
    MN_REDUCE_NONE,     /* each for itself */
    MN_REDUCE_BATCHMEAN /* the sum divided by the size of dimension 0; of mn_kl_div only */
} mn_reduction;

/* Options of a loss that has no others. */
typedef struct mn_loss_opts {
    mn_reduction reduction; /* the mean unless set */
} mn_loss_opts;

/* ---- of numbers ---- */

/* |x - target| and (x - target)^2. */
MN_API mn_tensor *mn_l1_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, const mn_loss_opts *opts);
MN_API mn_tensor *mn_mse_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                              const mn_loss_opts *opts);

/* Options of mn_huber_loss. */
typedef struct mn_huber_loss_opts {
    mn_reduction reduction;
    double delta; /* where the parabola ends, above 0; 0: 1 */
} mn_huber_loss_opts;

/* d^2/2 where d = |x - target| < delta, else delta (d - delta/2). Huber, "Robust estimation of a location
 * parameter", 1964. */
MN_API mn_tensor *mn_huber_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                const mn_huber_loss_opts *opts);

/* The same with beta for delta, divided by beta; of beta 0, d itself. beta: finite, from 0 on; PyTorch's
 * default is 1. Girshick, "Fast R-CNN", 2015. */
MN_API mn_tensor *mn_smooth_l1_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, double beta,
                                    const mn_loss_opts *opts);

/* ---- of classes ---- */

/* Options of mn_nll_loss. */
typedef struct mn_nll_loss_opts {
    mn_reduction reduction; /* a mean is over weights: the sum divided by that of w[target] */
    mn_tensor *weight;      /* w [C], of x's dtype; NULL or MN_NONE: 1 for each class */
    bool has_ignore_index;
    int64_t ignore_index; /* targets of this class do not count; without the flag: -100 */
} mn_nll_loss_opts;

/* -w[target] log_probabilities[target], for each position. log_probabilities: [N, C], [N, C, d...] or [C],
 * target: i64 [N], [N, d...] or [] -> [], or target's shape. Errors: targets of another dtype or shape; a
 * class outside 0 <= target < C that is not ignored (the text has its position and value). */
MN_API mn_tensor *mn_nll_loss(mn_tape *t, mn_tensor *log_probabilities, mn_tensor *target,
                              const mn_nll_loss_opts *opts);

/* Options of mn_cross_entropy. */
typedef struct mn_cross_entropy_opts {
    mn_reduction reduction; /* as above; a mean against probabilities is over positions */
    mn_tensor *weight;      /* as above */
    bool has_ignore_index;  /* as above; an error with probabilities */
    int64_t ignore_index;
    double
        label_smoothing; /* this share of each target is spread evenly over all classes; 0 to 1 */
} mn_cross_entropy_opts;

/* target i64, class numbers: nll_loss(log_softmax(logits), target), shapes as there; one op where it is
 * plain ([N, C], no weights, nothing ignored or smoothed). target floating, probabilities of logits' shape
 * and dtype: -sum over c of w[c] target[c] log_softmax(logits)[c]. Label smoothing: Szegedy et al.,
 * "Rethinking the Inception architecture for computer vision", 2016. */
MN_API mn_tensor *mn_cross_entropy(mn_tape *t, mn_tensor *logits, mn_tensor *target,
                                   const mn_cross_entropy_opts *opts);

/* Options of mn_multi_margin_loss. */
typedef struct mn_multi_margin_loss_opts {
    mn_reduction reduction;
    int p;             /* 1 or 2; 0: 1 */
    mn_tensor *weight; /* w [C], of x's dtype; NULL or MN_NONE: 1 for each class */
} mn_multi_margin_loss_opts;

/* The sum over i != target of w[target] max(0, margin - x[target] + x[i])^p/C. x: [N, C] or [C], target: i64
 * [N] or [] -> [], or target's shape. PyTorch's default margin is 1. Crammer and Singer, "On the algorithmic
 * implementation of multiclass kernel-based vector machines", 2001. */
MN_API mn_tensor *mn_multi_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, double margin,
                                       const mn_multi_margin_loss_opts *opts);

/* The sum over j in target and i not in target of max(0, 1 - x[j] + x[i])/C. x: [N, C] or [C], target: i64 of
 * x's shape, class numbers up to the first -1 -> [], or [N]. */
MN_API mn_tensor *mn_multilabel_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                            const mn_loss_opts *opts);

/* Options of mn_multilabel_soft_margin_loss. */
typedef struct mn_multilabel_soft_margin_loss_opts {
    mn_reduction reduction;
    mn_tensor *weight; /* w [C], of x's dtype; NULL or MN_NONE: 1 for each class */
} mn_multilabel_soft_margin_loss_opts;

/* -mean over c of w[c] (y log sigmoid(x) + (1 - y) log sigmoid(-x)), y the target. x, target: [..., C] ->
 * [], or [...]. */
MN_API mn_tensor *mn_multilabel_soft_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                                 const mn_multilabel_soft_margin_loss_opts *opts);

/* ---- of sequences ---- */

/* Options of mn_ctc_loss. */
typedef struct mn_ctc_loss_opts {
    mn_reduction reduction; /* the mean is over loss/(length of the target, at least 1) */
    int64_t blank;          /* the class that is none */
    bool zero_infinity;     /* a target that does not fit gives 0, without gradient, not infinity */
} mn_ctc_loss_opts;

/* -ln of the probability that classes drawn at each of T steps, with repetitions merged and blanks taken out
 * after that, are the target (Graves et al., "Connectionist temporal classification", 2006).
 * log_probabilities: [T, N, C], as mn_log_softmax over C gives, or [T, C]; targets: i64 [N, S], or all one
 * behind the other [sum of target_lengths]; input_lengths, target_lengths: i64 [N] (of [T, C]: [] or [1]),
 * the steps and targets of each sample that count -> [], or [N] (of [T, C]: []). Errors: a length below 0 or
 * beyond T or S; a target that is blank or no class.
 *
 * The gradient is that of this number for all log_probabilities. PyTorch adds e^log_probabilities to it,
 * which the gradient of log_softmax takes away again. */
MN_API mn_tensor *mn_ctc_loss(mn_tape *t, mn_tensor *log_probabilities, mn_tensor *targets,
                              mn_tensor *input_lengths, mn_tensor *target_lengths,
                              const mn_ctc_loss_opts *opts);

/* ---- of probabilities ---- */

/* Options of mn_binary_cross_entropy and mn_binary_cross_entropy_with_logits. */
typedef struct mn_binary_cross_entropy_opts {
    mn_reduction reduction;
    mn_tensor *weight;     /* of the losses, to which it stretches; NULL or MN_NONE: 1 */
    mn_tensor *pos_weight; /* p below, which stretches to x; NULL or MN_NONE: 1; for logits only */
} mn_binary_cross_entropy_opts;

/* -weight (target ln x + (1 - target) ln(1 - x)), logarithms below -100 counting as -100. The gradient by
 * x is weight (x - target)/max(x (1 - x), 1e-12): never infinite. Errors: an x or target that is not from 0
 * to 1 (the text has its position). */
MN_API mn_tensor *mn_binary_cross_entropy(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                          const mn_binary_cross_entropy_opts *opts);

/* -weight (p target log sigmoid(x) + (1 - target) log sigmoid(-x)), safe for all x. */
MN_API mn_tensor *mn_binary_cross_entropy_with_logits(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                                      const mn_binary_cross_entropy_opts *opts);

/* Options of mn_kl_div. */
typedef struct mn_kl_div_opts {
    mn_reduction reduction; /* MN_REDUCE_BATCHMEAN is the divergence of distributions */
    bool log_target;        /* target is a logarithm too */
} mn_kl_div_opts;

/* target (ln target - x), 0 where target is 0: x is the logarithm of a probability, target a probability. With
 * log_target: e^target (target - x). Kullback and Leibler, "On information and sufficiency", 1951. */
MN_API mn_tensor *mn_kl_div(mn_tape *t, mn_tensor *x, mn_tensor *target,
                            const mn_kl_div_opts *opts);

/* Options of mn_poisson_nll_loss. */
typedef struct mn_poisson_nll_loss_opts {
    mn_reduction reduction;
    bool no_log_input; /* x is the rate itself, not its logarithm */
    bool full;         /* with ln target! by Stirling, for target > 1 */
    double eps;        /* added to the rate in its logarithm, above 0; 0: 1e-8 */
} mn_poisson_nll_loss_opts;

/* e^x - target x; with no_log_input: x - target ln(x + eps). full adds target ln target - target +
 * ln(2 pi target)/2. */
MN_API mn_tensor *mn_poisson_nll_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                      const mn_poisson_nll_loss_opts *opts);

/* Options of mn_gaussian_nll_loss. */
typedef struct mn_gaussian_nll_loss_opts {
    mn_reduction reduction;
    bool full;  /* with ln(2 pi)/2 */
    double eps; /* the least variance, above 0; 0: 1e-6 */
} mn_gaussian_nll_loss_opts;

/* (ln v + (x - target)^2/v)/2, v = max(variance, eps), which passes the gradient to the variance in either
 * case. variance: of x's shape, or of size 1 in one dimension, or without the last one. Errors: a variance
 * below 0. Nix and Weigend, "Estimating the mean and variance of the target probability distribution",
 * 1994. */
MN_API mn_tensor *mn_gaussian_nll_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                       mn_tensor *variance, const mn_gaussian_nll_loss_opts *opts);

/* ---- of signs and distances ---- */

/* ln(1 + e^(-target x)), target 1 or -1; does not overflow. */
MN_API mn_tensor *mn_soft_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                      const mn_loss_opts *opts);

/* x where target is 1, max(0, margin - x) where it is -1, the sum of both elsewhere. target: of every dtype.
 * PyTorch's default margin is 1. */
MN_API mn_tensor *mn_hinge_embedding_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                          double margin, const mn_loss_opts *opts);

/* Options of mn_margin_ranking_loss and mn_cosine_embedding_loss. */
typedef struct mn_margin_loss_opts {
    mn_reduction reduction;
    double margin;
} mn_margin_loss_opts;

/* max(0, margin - target (a - b)): a is to be the larger one where target is 1, b where it is -1. */
MN_API mn_tensor *mn_margin_ranking_loss(mn_tape *t, mn_tensor *a, mn_tensor *b, mn_tensor *target,
                                         const mn_margin_loss_opts *opts);

/* The cosine of the angle between a and b along dim, each divided by its length, or by eps if that is more.
 * a and b broadcast; the dimension is dropped. eps: finite, from 0 on. PyTorch's defaults: 1, 1e-8. */
MN_API mn_tensor *mn_cosine_similarity(mn_tape *t, mn_tensor *a, mn_tensor *b, int dim, double eps);

/* The p-norm (see mn_norm) of a - b + eps along the last dimension. a, b: [..., D], broadcast -> [...], with
 * keepdim [..., 1]. PyTorch's defaults: 2, 1e-6. */
MN_API mn_tensor *mn_pairwise_distance(mn_tape *t, mn_tensor *a, mn_tensor *b, double p, double eps,
                                       bool keepdim);

/* 1 - cosine of a and b where target is 1, max(0, cosine - margin) where it is -1, else 0. a, b: [N, D] or
 * [D], target: [N] or [], of every dtype -> [], or target's shape. */
MN_API mn_tensor *mn_cosine_embedding_loss(mn_tape *t, mn_tensor *a, mn_tensor *b,
                                           mn_tensor *target, const mn_margin_loss_opts *opts);

/* Options of mn_triplet_margin_loss. */
typedef struct mn_triplet_margin_loss_opts {
    mn_reduction reduction;
    double margin; /* above 0; 0: 1 */
    double p;      /* of the norm; 0: 2 */
    double eps;    /* of mn_pairwise_distance; 0: 1e-6 */
    bool swap;     /* the negative is as far as from the nearer one of anchor and positive */
} mn_triplet_margin_loss_opts;

/* max(0, margin + |anchor - positive| - |anchor - negative|), with mn_pairwise_distance. All [..., D] ->
 * [], or [...]. Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional
 * neural networks", 2016. */
MN_API mn_tensor *mn_triplet_margin_loss(mn_tape *t, mn_tensor *anchor, mn_tensor *positive,
                                         mn_tensor *negative,
                                         const mn_triplet_margin_loss_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
