/*
 * autograd/ops/loss_margin.c: losses that want the scores of a sample's own classes above the others: of one
 * class by a margin, of several by a margin, and of several that are judged one by one.
 */
#include "autograd/ops/loss.h"
#include <math.h>

/* [N, C] or [C], with a target for each sample, or for each score. */
static bool samples_fit(mn_tape *t, const mn_tensor *x, const mn_tensor *target, bool each_score)
{
    char a[MNI_TEXT], b[MNI_TEXT];
    if (!mni_require_class_numbers(t, x, target)) return false;
    bool fits = (x->ndim == 1 || x->ndim == 2) && target->ndim == x->ndim - !each_score;
    for (int d = 0; fits && d < target->ndim; d++) fits = target->shape[d] == x->shape[d];
    if (fits && x->shape[x->ndim - 1] > 0) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "scores %s and targets %s: %s, of one class or more, are needed",
                 mni_shape_text(a, sizeof a, x->ndim, x->shape),
                 mni_shape_text(b, sizeof b, target->ndim, target->shape),
                 each_score ? "both [N, C] or both [C]" : "[N, C] and [N], or [C] and []");
    return false;
}

static bool targets_in_range(mn_tape *t, const mn_tensor *target, int64_t low, int64_t classes)
{
    const int64_t *c = (const int64_t *)(const void *)target->data;
    for (int64_t i = 0; i < target->numel; i++)
        if (c[i] < low || c[i] >= classes) return mni_class_error(t, i, c[i], classes);
    return true;
}

/* One row for each sample. */
static mn_tensor *rows_of(mn_tape *t, mn_tensor *x)
{
    return x && x->ndim == 1 ? mn_unsqueeze(t, x, 0) : x;
}

/* Losses [N] -> what the op returns: [] of a sample alone. */
static mn_tensor *reduced(mn_tape *t, const mn_tensor *x, mn_tensor *losses, mn_reduction r)
{
    return mni_reduced(t, x->ndim == 1 ? mn_squeeze_dim(t, losses, 0) : losses, r);
}

/* ---- one class ---- */

static const mn_op multi_margin_loss_op = {.name = "multi_margin_loss"};

mn_tensor *mn_multi_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, double margin,
                                const mn_multi_margin_loss_opts *opts)
{
    const mn_multi_margin_loss_opts o = opts ? *opts : (mn_multi_margin_loss_opts){0};
    mn_tensor *in[] = {x, target, mni_optional(o.weight)};
    const int p = o.p != 0 ? o.p : 1;
    if (!mni_begin(t, &multi_margin_loss_op, in, 2) ||
        !mn_op_begin(t, &multi_margin_loss_op, in, 3) || !mni_require_reduction(t, o.reduction) ||
        !samples_fit(t, x, target, false) || !mni_require_number(t, "margin", margin, -INFINITY))
        return NULL;
    const int64_t classes = x->shape[x->ndim - 1];
    if (p != 1 && p != 2) return mn_tape_fail(t, MN_ERR_ARGUMENT, "p is %d, not 1 or 2", p);
    target = mni_dense(t, target);
    if (!mni_require_class_weight(t, x, in[2], classes) || !target ||
        !targets_in_range(t, target, 0, classes))
        return NULL;
    mn_tensor *index = mn_reshape(t, target, 2, (int64_t[]){target->numel, 1});
    mn_tensor *rows = rows_of(t, x), *own = mni_pick(t, rows, index, 1, -1);
    mn_tensor *z = mn_add_scalar(t, mn_sub(t, rows, own), margin);
    mn_tensor *nothing = mn_logical_not(t, mn_gt_scalar(t, z, 0));
    z = mn_masked_fill(t, z, mn_scatter_scalar(t, nothing, 1, index, 1), 0);
    if (p == 2) z = mn_square(t, z);
    if (in[2] != MN_NONE) z = mn_mul(t, z, mni_pick(t, mn_unsqueeze(t, in[2], 1), index, 0, -1));
    return reduced(t, x, mn_div_scalar(t, mn_sum_dim(t, z, (int[]){1}, 1, false), (double)classes),
                   o.reduction);
}

/* ---- several classes ---- */

/* The loss is linear between its kinks: the slopes there are all that the gradient needs. */
static void multilabel_margin_loss_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy,
                                            mn_tensor **gx)
{
    gx[0] = mn_mul(t, mn_unsqueeze(t, gy[0], 1), mn_saved(n, 0));
}
static const mn_op multilabel_margin_loss_op = {.name = "multilabel_margin_loss",
                                                .backward = multilabel_margin_loss_backward};

/* One sample: its loss; slope[i] <- d loss/d x[i]; own[i] <- whether i is among its targets. */
static double labels_loss(int64_t classes, const double *x, const int64_t *target, double *slope,
                          bool *own)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < classes; i++) slope[i] = own[i] = 0;
    for (; n < classes && target[n] >= 0; n++) own[target[n]] = true;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < classes; i++) {
            const double z = 1 - x[target[j]] + x[i];
            if (own[i] || !(z > 0)) continue;
            sum += z;
            slope[i] += 1 / (double)classes;
            slope[target[j]] -= 1 / (double)classes;
        }
    return sum / (double)classes;
}

/* Losses [N] (returned) and *slopes [N, C] of x [N, C], both of its dtype. */
static mn_tensor *labels_losses(mn_tape *t, mn_tensor *x, const mn_tensor *target,
                                mn_tensor **slopes)
{
    const int64_t samples = x->shape[0], classes = x->shape[1];
    const int64_t *c = (const int64_t *)(const void *)target->data;
    mn_tensor *wide = mni_tape_tensor(t, MN_F64, 2, x->shape);
    mn_tensor *slope = mni_tape_tensor(t, MN_F64, 2, x->shape);
    mn_tensor *loss = mni_tape_tensor(t, MN_F64, 1, &samples);
    mn_tensor *own = mni_tape_tensor(t, MN_BOOL, 1, &classes);
    mn_tensor *losses = mni_tape_tensor(t, (mn_dtype)x->dtype, 1, &samples);
    *slopes = mni_tape_tensor(t, (mn_dtype)x->dtype, 2, x->shape);
    if (t->error) return NULL;
    mni_copy(mni_tape_team(t), x, wide);
    const double *from = (const double *)(const void *)wide->data;
    double *to = (double *)(void *)slope->data;
    for (int64_t i = 0; i < samples; i++)
        ((double *)(void *)loss->data)[i] =
            labels_loss(classes, from + i * classes, c + i * classes, to + i * classes,
                        (bool *)(void *)own->data);
    mni_copy(mni_tape_team(t), loss, losses);
    mni_copy(mni_tape_team(t), slope, *slopes);
    return losses;
}

mn_tensor *mn_multilabel_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                     const mn_loss_opts *opts)
{
    const mn_reduction r = opts ? opts->reduction : MN_REDUCE_MEAN;
    const mn_op *op = &multilabel_margin_loss_op;
    if (!mni_begin(t, op, (mn_tensor *[]){x, target}, 2) || !mni_require_reduction(t, r) ||
        !samples_fit(t, x, target, true))
        return NULL;
    target = mni_dense(t, target);
    if (!target || !targets_in_range(t, target, -1, x->shape[x->ndim - 1])) return NULL;
    mn_tensor *rows = rows_of(t, x), *slopes;
    if (!mni_begin(t, op, &rows, 1)) return NULL;
    const mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *losses = labels_losses(t, rows, target, &slopes);
    mn_scope_end(t, scope, (mn_tensor *[]){losses, slopes}, 2);
    mn_node *n = mn_op_record(t, op, &rows, 1, &losses, 1);
    mn_save(n, slopes);
    return reduced(t, x, mn_op_end(t, losses), r);
}

/* ---- one by one ---- */

static const mn_op multilabel_soft_margin_loss_op = {.name = "multilabel_soft_margin_loss"};

mn_tensor *mn_multilabel_soft_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                          const mn_multilabel_soft_margin_loss_opts *opts)
{
    const mn_multilabel_soft_margin_loss_opts o =
        opts ? *opts : (mn_multilabel_soft_margin_loss_opts){0};
    mn_tensor *in[] = {x, target, mni_optional(o.weight)};
    if (!mni_loss_begin(t, &multilabel_soft_margin_loss_op, in, 2, 1, o.reduction) ||
        !mni_require_same_shape(t, x, target))
        return NULL;
    if (x->ndim == 0) return mni_shape_error(t, x, target, "a dimension of classes is needed");
    if (!mni_require_class_weight(t, x, in[2], x->shape[x->ndim - 1])) return NULL;
    mn_tensor *own = mn_mul(t, target, mn_log_sigmoid(t, x));
    mn_tensor *other = mn_mul(t, mn_rsub_scalar(t, target, 1), mn_log_sigmoid(t, mn_neg(t, x)));
    mn_tensor *losses = mn_neg(t, mn_add(t, own, other));
    if (in[2] != MN_NONE) losses = mn_mul(t, losses, in[2]);
    return mni_reduced(t, mn_mean_dim(t, losses, (int[]){-1}, 1, false), o.reduction);
}
