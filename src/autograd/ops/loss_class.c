/*
 * autograd/ops/loss_class.c: losses by the log-probability of classes. Cross entropy of [N, C] with class
 * numbers, and nothing else asked for, is one op; with weights, ignored targets, smoothing, probabilities or
 * more dimensions it is made of other ops, as nll_loss is.
 */
#include "autograd/ops/loss.h"
#include <string.h>

/* What both losses share. */
typedef struct class_loss {
    mn_reduction reduction;
    mn_tensor *weight; /* MN_NONE: 1 */
    int64_t ignored;   /* this class number counts nothing */
    double smoothing;
    int dim; /* that of the classes in the scores */
    int64_t classes;
    int64_t counted; /* targets that are not ignored */
} class_loss;

enum { NOT_A_CLASS = -100 }; /* PyTorch's default of ignore_index */

/* ---- checks ---- */

/* [N, C, d...] with [N, d...], or [C] with []. */
static bool classes_fit(mn_tape *t, const class_loss *l, const mn_tensor *scores,
                        const mn_tensor *target)
{
    char a[MNI_TEXT], b[MNI_TEXT];
    if (!mni_require_class_numbers(t, scores, target)) return false;
    bool fits = scores->ndim >= 1 && target->ndim == scores->ndim - 1;
    for (int d = 0; fits && d < target->ndim; d++)
        fits = target->shape[d] == scores->shape[d < l->dim ? d : d + 1];
    if (!fits)
        mn_tape_fail(
            t, MN_ERR_SHAPE,
            "scores %s and targets %s: [N, C, ...] and [N, ...], or [C] and [], are needed",
            mni_shape_text(a, sizeof a, scores->ndim, scores->shape),
            mni_shape_text(b, sizeof b, target->ndim, target->shape));
    return fits;
}

/* target, contiguous, each a class or ignored; NULL with the tape's error set. */
static mn_tensor *checked_target(mn_tape *t, class_loss *l, mn_tensor *target)
{
    target = mni_dense(t, target);
    if (!target) return NULL;
    const int64_t *c = (const int64_t *)(const void *)target->data;
    l->counted = 0;
    for (int64_t i = 0; i < target->numel; i++) {
        if (c[i] == l->ignored) continue;
        if ((c[i] < 0 || c[i] >= l->classes) && !mni_class_error(t, i, c[i], l->classes))
            return NULL;
        l->counted++;
    }
    return target;
}

/* The checks of both, but for the target's; l gets all but `counted`. */
static bool begin(mn_tape *t, const mn_op *op, class_loss *l, mn_tensor *x, mn_tensor *target,
                  bool has_ignored)
{
    mn_tensor *in[] = {x, target, l->weight};
    if (!mni_begin(t, op, in, 2) || !mn_op_begin(t, op, in, 3) ||
        !mni_require_reduction(t, l->reduction) || !mni_require_float(t, x))
        return false;
    if (!has_ignored) l->ignored = NOT_A_CLASS;
    l->dim = x->ndim > 1;
    l->classes = x->ndim > 0 ? x->shape[l->dim] : 1;
    return mni_require_class_weight(t, x, l->weight, l->classes);
}

/* ---- by class number, made of ops ---- */

/* The classes' place in the shape of the scores, all other sizes 1. */
static mn_tensor *along_classes(mn_tape *t, const class_loss *l, mn_tensor *weight, int ndim)
{
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < ndim; d++) shape[d] = d == l->dim ? l->classes : 1;
    return mn_reshape(t, weight, ndim, shape);
}

/* What takes x[i, target[i]] out of x: target, with a dimension of size 1 for the classes, and with the first
 * number that is not a class where it is ignored. */
static mn_tensor *positions(mn_tape *t, const class_loss *l, mn_tensor *target, bool skipping)
{
    mn_tensor *index = target;
    if (skipping) {
        index = mni_tape_tensor(t, MN_I64, target->ndim, target->shape);
        if (!index) return NULL;
        const int64_t *from = (const int64_t *)(const void *)target->data;
        int64_t *to = (int64_t *)(void *)index->data;
        for (int64_t i = 0; i < target->numel; i++)
            to[i] = from[i] == l->ignored ? l->classes : from[i];
    }
    return mn_unsqueeze(t, index, l->dim);
}

/* -sum over c of w[c] log_p[c], 0 where ignored. */
static mn_tensor *over_classes(mn_tape *t, const class_loss *l, mn_tensor *log_p,
                               mn_tensor *ignored)
{
    if (!log_p) return NULL;
    if (l->weight != MN_NONE) log_p = mn_mul(t, log_p, along_classes(t, l, l->weight, log_p->ndim));
    mn_tensor *losses = mn_neg(t, mn_sum_dim(t, log_p, &l->dim, 1, false));
    return ignored ? mn_masked_fill(t, losses, ignored, 0) : losses;
}

static mn_tensor *by_number(mn_tape *t, const class_loss *l, mn_tensor *log_p, mn_tensor *target)
{
    const bool skipping = l->counted < target->numel;
    const int64_t skip = skipping ? l->classes : -1;
    mn_tensor *index = positions(t, l, target, skipping), *w = NULL;
    mn_tensor *losses =
        mn_neg(t, mn_squeeze_dim(t, mni_pick(t, log_p, index, l->dim, skip), l->dim));
    if (l->weight != MN_NONE) {
        w = mni_pick(t, l->weight, mn_flatten(t, index, 0, -1), 0, skip);
        w = mn_reshape(t, w, target->ndim, target->shape);
        losses = mn_mul(t, losses, w);
    }
    if (l->smoothing > 0) {
        const double share = l->smoothing / (double)l->classes;
        mn_tensor *ignored = skipping ? mn_eq_scalar(t, target, (double)l->ignored) : NULL;
        losses = mn_add(t, mn_mul_scalar(t, losses, 1 - l->smoothing),
                        mn_mul_scalar(t, over_classes(t, l, log_p, ignored), share));
    }
    if (l->reduction != MN_REDUCE_MEAN) return mni_reduced(t, losses, l->reduction);
    mn_tensor *sum = mn_sum(t, losses);
    return w ? mn_div(t, sum, mn_sum(t, w)) : mn_div_scalar(t, sum, (double)l->counted);
}

static const mn_op nll_loss_op = {.name = "nll_loss"};

mn_tensor *mn_nll_loss(mn_tape *t, mn_tensor *log_probabilities, mn_tensor *target,
                       const mn_nll_loss_opts *opts)
{
    const mn_nll_loss_opts o = opts ? *opts : (mn_nll_loss_opts){0};
    class_loss l = {
        .reduction = o.reduction, .weight = mni_optional(o.weight), .ignored = o.ignore_index};
    if (!begin(t, &nll_loss_op, &l, log_probabilities, target, o.has_ignore_index) ||
        !classes_fit(t, &l, log_probabilities, target) || !(target = checked_target(t, &l, target)))
        return NULL;
    return by_number(t, &l, log_probabilities, target);
}

/* ---- cross entropy by class number, in one op ---- */

/* What its gradient needs to know. */
typedef struct loss_shape {
    mn_reduction reduction;
    int64_t count;   /* losses that were reduced */
    int64_t classes; /* columns of the scores */
} loss_shape;

/* losses[i] = -log_p[i, target[i]]. */
static void pick_losses(const mn_tensor *log_p, const mn_tensor *target, mn_tensor *losses)
{
    const int64_t *c = (const int64_t *)(const void *)target->data, classes = log_p->shape[1];
    for (int64_t i = 0; i < target->numel; i++) {
        const int64_t at = i * classes + c[i];
        if (log_p->dtype == MN_F32)
            ((float *)(void *)losses->data)[i] = -((const float *)(const void *)log_p->data)[at];
        else
            ((double *)(void *)losses->data)[i] = -((const double *)(const void *)log_p->data)[at];
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

static mn_tensor *in_one_op(mn_tape *t, mn_tensor *logits, mn_tensor *target,
                            mn_reduction reduction)
{
    const mn_dtype dtype = (mn_dtype)logits->dtype;
    mn_tensor *log_p = mni_tape_tensor(t, dtype, 2, logits->shape);
    mn_tensor *losses = mni_tape_tensor(t, dtype, 1, logits->shape);
    if (!log_p || !losses) return NULL;
    if (log_p->numel > 0) mni_softmax(mni_tape_team(t), logits, 1, true, log_p);
    pick_losses(log_p, target, losses);
    mn_tensor *y = mni_reduced_values(t, losses, reduction);
    mn_node *n = mn_op_record(t, &cross_entropy_op, &logits, 1, (mn_tensor *[]){y, log_p}, 2);
    mn_save(n, log_p);
    mn_save(n, target);
    mn_save_data(n, &(loss_shape){reduction, logits->shape[0], logits->shape[1]},
                 sizeof(loss_shape));
    return mn_op_end(t, y);
}

/* ---- cross entropy ---- */

static mn_tensor *by_probability(mn_tape *t, const class_loss *l, mn_tensor *logits,
                                 mn_tensor *target)
{
    mn_tensor *log_p = mn_log_softmax(t, logits, l->dim), *p = target;
    if (l->smoothing > 0)
        p = mn_add_scalar(t, mn_mul_scalar(t, p, 1 - l->smoothing),
                          l->smoothing / (double)l->classes);
    return mni_reduced(t, over_classes(t, l, mn_mul(t, log_p, p), NULL), l->reduction);
}

static bool probabilities_fit(mn_tape *t, const mn_tensor *logits, const mn_tensor *target,
                              bool has_ignore_index)
{
    if (logits->ndim == 0 || !mn_tensor_same_shape(logits, target)) {
        mni_shape_error(t, logits, target,
                        "probabilities need the shape of the logits, [N, C, ...]");
        return false;
    }
    if (has_ignore_index)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "ignore_index is for class numbers, not probabilities");
    return !has_ignore_index && mni_require_same_dtype(t, logits, target);
}

mn_tensor *mn_cross_entropy(mn_tape *t, mn_tensor *logits, mn_tensor *target,
                            const mn_cross_entropy_opts *opts)
{
    const mn_cross_entropy_opts o = opts ? *opts : (mn_cross_entropy_opts){0};
    class_loss l = {.reduction = o.reduction,
                    .weight = mni_optional(o.weight),
                    .ignored = o.ignore_index,
                    .smoothing = o.label_smoothing};
    if (!begin(t, &cross_entropy_op, &l, logits, target, o.has_ignore_index)) return NULL;
    if (!(l.smoothing >= 0 && l.smoothing <= 1))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "label_smoothing is %g, not from 0 to 1",
                            l.smoothing);
    if (mni_is_float((mn_dtype)target->dtype))
        return probabilities_fit(t, logits, target, o.has_ignore_index)
                   ? by_probability(t, &l, logits, target)
                   : NULL;
    if (!classes_fit(t, &l, logits, target) || !(target = checked_target(t, &l, target)))
        return NULL;
    if (logits->ndim == 2 && l.weight == MN_NONE && l.counted == target->numel && l.smoothing == 0)
        return in_one_op(t, logits, target, l.reduction);
    return by_number(t, &l, mn_log_softmax(t, logits, l.dim), target);
}
