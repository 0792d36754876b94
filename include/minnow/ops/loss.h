/*
 * minnow/ops/loss.h: losses.
 * What all ops share is in minnow/ops.h.
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
    MN_REDUCE_NONE /* one loss for each sample (mse: for each element) */
} mn_reduction;

/* Options of a loss. */
typedef struct mn_loss_opts {
    mn_reduction reduction; /* the mean unless set */
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
