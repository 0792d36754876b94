/*
 * autograd/ops/loss.c: losses over classes and over numbers, each for every sample, summed, or
 * averaged.
 */
#include "autograd/ops/ops.h"

/* What the gradient of a loss needs to know. */
typedef struct loss_shape {
    mn_reduction reduction;
    int64_t count;   /* losses that were reduced */
    int64_t classes; /* columns of the scores */
} loss_shape;

static bool reduction_of(mn_tape *t, const mn_loss_opts *opts, mn_reduction *reduction)
{
    *reduction = opts ? opts->reduction : MN_REDUCE_MEAN;
    if (*reduction <= MN_REDUCE_NONE && (int)*reduction >= 0) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "%d is not a reduction", (int)*reduction);
    return false;
}

/* Every loss -> what the op returns. */
static mn_tensor *reduced(mn_tape *t, mn_tensor *losses, mn_reduction reduction)
{
    if (!losses || reduction == MN_REDUCE_NONE) return losses;
    bool all[MN_MAX_DIMS];
    for (int d = 0; d < losses->ndim; d++) all[d] = true;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)losses->dtype, 0, NULL);
    if (y) mni_sum(mni_tape_team(t), losses, all, y, false);
    if (y && reduction == MN_REDUCE_MEAN) {
        double count = (double)losses->numel;
        mni_map1(mni_tape_team(t), mni_kernels()->div_scalar, y, y, &count);
    }
    return y;
}

/* ---- classes ---- */

static bool classes_fit(mn_tape *t, const mn_tensor *scores, const mn_tensor *target)
{
    char a[MNI_TEXT], b[MNI_TEXT];
    if (!mni_require_float(t, scores)) return false;
    if (target->dtype != MN_I64) {
        mn_tape_fail(t, MN_ERR_DTYPE, "targets are %s; class numbers are i64",
                     mn_dtype_name((mn_dtype)target->dtype));
        return false;
    }
    if (scores->ndim != 2 || target->ndim != 1 || scores->shape[0] != target->shape[0]) {
        mn_tape_fail(t, MN_ERR_SHAPE, "scores %s and targets %s: [N, C] and [N] are needed",
                     mni_shape_text(a, sizeof a, scores->ndim, scores->shape),
                     mni_shape_text(b, sizeof b, target->ndim, target->shape));
        return false;
    }
    return true;
}

/* target, contiguous, with every class in range; NULL with the tape's error set. */
static mn_tensor *checked_target(mn_tape *t, mn_tensor *target, int64_t classes)
{
    target = mni_dense(t, target);
    if (!target) return NULL;
    const int64_t *c = (const int64_t *)(const void *)target->data;
    for (int64_t i = 0; i < target->numel; i++)
        if (c[i] < 0 || c[i] >= classes)
            return mn_tape_fail(t, MN_ERR_ARGUMENT,
                                "target %lld is class %lld, but there are %lld classes (0 to %lld)",
                                (long long)i, (long long)c[i], (long long)classes,
                                (long long)classes - 1);
    return target;
}

/* losses[i] = -scores[i, target[i]]. */
static void pick_losses(const mn_tensor *scores, const mn_tensor *target, mn_tensor *losses)
{
    const int64_t *c = (const int64_t *)(const void *)target->data;
    for (int64_t i = 0; i < target->numel; i++) {
        int64_t at = i * scores->strides[0] + c[i] * scores->strides[1];
        if (scores->dtype == MN_F32)
            ((float *)(void *)losses->data)[i] = -((const float *)(const void *)scores->data)[at];
        else
            ((double *)(void *)losses->data)[i] = -((const double *)(const void *)scores->data)[at];
    }
}

/* The gradient of the picked log-probabilities, [N, C]: -gy of its loss at the target, else 0. */
static mn_tensor *scattered(mn_tape *t, mn_node *n, mn_tensor *gy, mn_tensor *target)
{
    const loss_shape *s = mn_saved_data(n);
    mn_tensor *g = mn_neg(t, gy);
    if (s->reduction == MN_REDUCE_MEAN) g = mn_div_scalar(t, g, (double)s->count);
    const int64_t column[] = {s->count, 1}, shape[] = {s->count, s->classes};
    g = s->reduction == MN_REDUCE_NONE ? mn_reshape(t, g, 2, column) : mn_expand(t, g, 2, column);
    return mni_place(t, g, mn_reshape(t, target, 2, column), 1, 2, shape, -1);
}

static void nll_loss_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = scattered(t, n, gy[0], mn_saved(n, 0));
}
static const mn_op nll_loss_op = {.name = "nll_loss", .backward = nll_loss_backward};

mn_tensor *mn_nll_loss(mn_tape *t, mn_tensor *log_probabilities, mn_tensor *target,
                       const mn_loss_opts *opts)
{
    mn_reduction reduction;
    mn_tensor *x = log_probabilities;
    if (!mni_begin(t, &nll_loss_op, (mn_tensor *[]){x, target}, 2) ||
        !reduction_of(t, opts, &reduction) || !classes_fit(t, x, target) ||
        !(target = checked_target(t, target, x->shape[1])))
        return NULL;
    mn_tensor *losses = mni_tape_tensor(t, (mn_dtype)x->dtype, 1, x->shape);
    if (losses) pick_losses(x, target, losses);
    mn_tensor *y = reduced(t, losses, reduction);
    mn_node *n = mn_op_record(t, &nll_loss_op, &x, 1, &y, 1);
    mn_save(n, target);
    mn_save_data(n, &(loss_shape){reduction, x->shape[0], x->shape[1]}, sizeof(loss_shape));
    return mn_op_end(t, y);
}

/* The log-probabilities are a second output that nobody sees: saved with the graph, they carry the
 * gradient's own gradient, and the logits themselves need not be kept. */
static void cross_entropy_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *p = mn_exp(t, mn_saved(n, 0)), *g = gy[1];
    if (gy[0]) {
        mn_tensor *from_loss = scattered(t, n, gy[0], mn_saved(n, 1));
        g = g ? mn_add(t, g, from_loss) : from_loss;
    }
    gx[0] = mn_sub(t, g, mn_mul(t, p, mn_sum_dim(t, g, (int[]){1}, 1, true)));
}

/* (softmax - onehot) gy. */
static void cross_entropy_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy,
                                        mn_tensor **gx)
{
    const loss_shape *s = mn_saved_data(n);
    mn_tensor *log_p = mn_saved(n, 0), *target = mn_saved(n, 1);
    if (!gy[0] || gy[1]) {
        cross_entropy_backward(t, n, gy, gx);
        return;
    }
    mn_tensor *g = mn_empty_like(t, log_p);
    if (!g || !target) return;
    mni_team *team = mni_tape_team(t);
    const mni_kernel_table *k = mni_kernels();
    const int64_t *c = (const int64_t *)(const void *)target->data;
    mni_map1(team, k->exp, log_p, g, NULL);
    for (int64_t i = 0; i < s->count; i++) {
        if (g->dtype == MN_F32)
            ((float *)(void *)g->data)[i * s->classes + c[i]] -= 1;
        else
            ((double *)(void *)g->data)[i * s->classes + c[i]] -= 1;
    }
    if (s->reduction == MN_REDUCE_NONE) {
        mn_tensor column =
            mni_look(gy[0], 2, (int64_t[]){s->count, 1}, (int64_t[]){gy[0]->strides[0], 1});
        mni_map2(team, k->mul, g, &column, g, NULL);
    } else {
        double scale = mn_tensor_item(gy[0]);
        if (s->reduction == MN_REDUCE_MEAN) scale /= (double)s->count;
        mni_map1(team, k->mul_scalar, g, g, &scale);
    }
    gx[0] = g;
}
static const mn_op cross_entropy_op = {.name = "cross_entropy",
                                       .backward = cross_entropy_backward,
                                       .backward_fast = cross_entropy_backward_fast};

mn_tensor *mn_cross_entropy(mn_tape *t, mn_tensor *logits, mn_tensor *target,
                            const mn_loss_opts *opts)
{
    mn_reduction reduction;
    if (!mni_begin(t, &cross_entropy_op, (mn_tensor *[]){logits, target}, 2) ||
        !reduction_of(t, opts, &reduction) || !classes_fit(t, logits, target) ||
        !(target = checked_target(t, target, logits->shape[1])))
        return NULL;
    mn_dtype dtype = (mn_dtype)logits->dtype;
    mn_tensor *log_p = mni_tape_tensor(t, dtype, 2, logits->shape);
    mn_tensor *losses = mni_tape_tensor(t, dtype, 1, logits->shape);
    if (!log_p || !losses) return NULL;
    if (log_p->numel > 0) mni_softmax(mni_tape_team(t), logits, 1, true, log_p);
    pick_losses(log_p, target, losses);
    mn_tensor *y = reduced(t, losses, reduction);
    mn_node *n = mn_op_record(t, &cross_entropy_op, &logits, 1, (mn_tensor *[]){y, log_p}, 2);
    mn_save(n, log_p);
    mn_save(n, target);
    mn_save_data(n, &(loss_shape){reduction, logits->shape[0], logits->shape[1]},
                 sizeof(loss_shape));
    return mn_op_end(t, y);
}

/* ---- numbers ---- */

/* d (x - target)^2 = 2 (x - target). */
static void mse_loss_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const loss_shape *s = mn_saved_data(n);
    mn_tensor *difference = mn_sub(t, mn_saved(n, 0), mn_saved(n, 1));
    double scale = s->reduction == MN_REDUCE_MEAN ? 2 / (double)s->count : 2;
    gx[0] = mn_mul(t, difference, mn_mul_scalar(t, gy[0], scale));
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, gx[0]);
}
static const mn_op mse_loss_op = {.name = "mse_loss", .backward = mse_loss_backward};

mn_tensor *mn_mse_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, const mn_loss_opts *opts)
{
    mn_reduction reduction;
    mn_tensor *in[] = {x, target};
    if (!mni_begin(t, &mse_loss_op, in, 2) || !reduction_of(t, opts, &reduction) ||
        !mni_require_float(t, x) || !mni_require_same_dtype(t, x, target))
        return NULL;
    if (!mn_tensor_same_shape(x, target))
        return mni_shape_error(t, x, target, "the shapes must be equal");
    mn_tensor *losses = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (losses) {
        mni_map2(mni_tape_team(t), mni_kernels()->sub, x, target, losses, NULL);
        mni_map2(mni_tape_team(t), mni_kernels()->mul, losses, losses, losses, NULL);
    }
    mn_tensor *y = reduced(t, losses, reduction);
    mn_node *n = mn_op_record(t, &mse_loss_op, in, 2, &y, 1);
    mn_save(n, x);
    mn_save(n, target);
    mn_save_data(n, &(loss_shape){reduction, x->numel, 0}, sizeof(loss_shape));
    return mn_op_end(t, y);
}
