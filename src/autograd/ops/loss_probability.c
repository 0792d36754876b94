/*
 * autograd/ops/loss_probability.c: losses of probabilities, of their logarithms and logits, and of the
 * parameters of distributions.
 */
#include "autograd/ops/loss.h"
#include <math.h>

#define HALF_LN_2_PI 0.91893853320467274178

/* ---- two outcomes ---- */

/* (x - target)/(x (1 - x)), which unlike that of the bounded logarithms leads back from 0 and 1. */
static void binary_cross_entropy_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy,
                                          mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *target = mn_saved(n, 1), *rest = mn_rsub_scalar(t, x, 1);
    if (mn_needs(n, 0)) {
        mn_tensor *variance = mn_clamp(t, mn_mul(t, x, rest), 1e-12F, INFINITY);
        gx[0] = mn_div(t, mn_mul(t, gy[0], mn_sub(t, x, target)), variance);
    }
    if (mn_needs(n, 1)) gx[1] = mn_mul(t, gy[0], mn_sub(t, mn_log(t, rest), mn_log(t, x)));
}
static const mn_op binary_cross_entropy_op = {.name = "binary_cross_entropy",
                                              .backward = binary_cross_entropy_backward};

/* in: x, target, and what stretches to them. */
static bool begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int optional, mn_reduction r)
{
    if (!mni_loss_begin(t, op, in, 2, optional, r) || !mni_require_same_shape(t, in[0], in[1]))
        return false;
    for (int i = 2; i < 2 + optional; i++)
        if (in[i] != MN_NONE && !mni_require_stretch(t, in[0], in[i])) return false;
    return true;
}

static mn_tensor *weighted(mn_tape *t, mn_tensor *losses, mn_tensor *weight, mn_reduction r)
{
    return mni_reduced(t, weight == MN_NONE ? losses : mn_mul(t, losses, weight), r);
}

mn_tensor *mn_binary_cross_entropy(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                   const mn_binary_cross_entropy_opts *opts)
{
    const mn_binary_cross_entropy_opts o = opts ? *opts : (mn_binary_cross_entropy_opts){0};
    mn_tensor *in[] = {x, target, mni_optional(o.weight)};
    mn_node *n;
    if (!begin(t, &binary_cross_entropy_op, in, 1, o.reduction) ||
        !mni_require_range(t, x, "input", 0, 1, false) ||
        !mni_require_range(t, target, "target", 0, 1, false))
        return NULL;
    if (mni_optional(o.pos_weight) != MN_NONE)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "pos_weight is for logits only");
    mn_tensor *losses = mni_binary(t, &binary_cross_entropy_op, mni_plain.binary_cross_entropy, x,
                                   target, NULL, &n);
    mn_save(n, x);
    mn_save(n, target);
    return weighted(t, mn_op_end(t, losses), in[2], o.reduction);
}

static const mn_op with_logits_op = {.name = "binary_cross_entropy_with_logits"};

/* (1 - target) x - (1 + (pos_weight - 1) target) log sigmoid(x). */
mn_tensor *mn_binary_cross_entropy_with_logits(mn_tape *t, mn_tensor *x, mn_tensor *target,
                                               const mn_binary_cross_entropy_opts *opts)
{
    const mn_binary_cross_entropy_opts o = opts ? *opts : (mn_binary_cross_entropy_opts){0};
    mn_tensor *in[] = {x, target, mni_optional(o.weight), mni_optional(o.pos_weight)};
    if (!begin(t, &with_logits_op, in, 2, o.reduction)) return NULL;
    mn_tensor *log_p = mn_log_sigmoid(t, x);
    if (in[3] != MN_NONE) {
        mn_tensor *more = mn_mul(t, mn_sub_scalar(t, in[3], 1), target);
        log_p = mn_mul(t, mn_add_scalar(t, more, 1), log_p);
    }
    mn_tensor *losses = mn_sub(t, mn_mul(t, mn_rsub_scalar(t, target, 1), x), log_p);
    return weighted(t, losses, in[2], o.reduction);
}

/* ---- any number of outcomes ---- */

static const mn_op kl_div_op = {.name = "kl_div"};

/* target (ln target - x), where 0 ln 0 = 0. */
static mn_tensor *divergence(mn_tape *t, mn_tensor *x, mn_tensor *target)
{
    mn_tensor *nothing = mn_eq_scalar(t, target, 0);
    mn_tensor *log_target = mn_log(t, mn_masked_fill(t, target, nothing, 1));
    return mn_sub(t, mn_mul(t, target, log_target), mn_mul(t, target, x));
}

mn_tensor *mn_kl_div(mn_tape *t, mn_tensor *x, mn_tensor *target, const mn_kl_div_opts *opts)
{
    const mn_kl_div_opts o = opts ? *opts : (mn_kl_div_opts){0};
    const bool batchmean = o.reduction == MN_REDUCE_BATCHMEAN;
    const mn_reduction r = batchmean ? MN_REDUCE_SUM : o.reduction;
    if (!begin(t, &kl_div_op, (mn_tensor *[]){x, target}, 0, r)) return NULL;
    mn_tensor *losses = o.log_target ? mn_mul(t, mn_exp(t, target), mn_sub(t, target, x))
                                     : divergence(t, x, target);
    mn_tensor *y = mni_reduced(t, losses, r);
    return batchmean && x->ndim > 0 ? mn_div_scalar(t, y, (double)x->shape[0]) : y;
}

/* ---- counts ---- */

static const mn_op poisson_nll_loss_op = {.name = "poisson_nll_loss"};

/* target ln target - target + ln(2 pi target)/2 where target > 1, else 0. */
static mn_tensor *stirling(mn_tape *t, mn_tensor *target)
{
    mn_tensor *small = mn_le_scalar(t, target, 1);
    mn_tensor *y = mn_masked_fill(t, target, small, 1), *ln_y = mn_log(t, y);
    mn_tensor *terms = mn_sub(t, mn_mul(t, mn_add_scalar(t, y, 0.5), ln_y), y);
    return mn_masked_fill(t, mn_add_scalar(t, terms, HALF_LN_2_PI), small, 0);
}

mn_tensor *mn_poisson_nll_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                               const mn_poisson_nll_loss_opts *opts)
{
    const mn_poisson_nll_loss_opts o = opts ? *opts : (mn_poisson_nll_loss_opts){0};
    const double eps = o.eps != 0 ? o.eps : 1e-8;
    if (!begin(t, &poisson_nll_loss_op, (mn_tensor *[]){x, target}, 0, o.reduction) ||
        !mni_require_number(t, "eps", eps, 0))
        return NULL;
    mn_tensor *rate = o.no_log_input ? x : mn_exp(t, x);
    mn_tensor *log_rate = o.no_log_input ? mn_log(t, mn_add_scalar(t, x, eps)) : x;
    mn_tensor *losses = mn_sub(t, rate, mn_mul(t, target, log_rate));
    if (o.full) losses = mn_add(t, losses, stirling(t, target));
    return mni_reduced(t, losses, o.reduction);
}

/* ---- numbers with a variance ---- */

static const mn_op gaussian_nll_loss_op = {.name = "gaussian_nll_loss"};

/* Whether v has x's shape (*last: without the last dimension), or that with a single size of 1 instead. */
static bool variance_fits(mn_tape *t, const mn_tensor *x, const mn_tensor *v, bool *last)
{
    int differ = 0;
    bool ones = true;
    *last = v->ndim < x->ndim;
    for (int d = 0; d < v->ndim && d < x->ndim; d++) {
        const bool equal = v->shape[d] == x->shape[d];
        differ += !equal;
        ones = ones && (equal || v->shape[d] == 1);
    }
    if (*last ? x->ndim == v->ndim + 1 && !differ : x->ndim == v->ndim && differ <= 1 && ones)
        return true;
    mni_shape_error(
        t, x, v,
        "the variance has to have the shape of x, or size 1 in one dimension, or to lack "
        "the last one");
    return false;
}

mn_tensor *mn_gaussian_nll_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, mn_tensor *variance,
                                const mn_gaussian_nll_loss_opts *opts)
{
    const mn_gaussian_nll_loss_opts o = opts ? *opts : (mn_gaussian_nll_loss_opts){0};
    const double eps = o.eps != 0 ? o.eps : 1e-6;
    mn_tensor *in[] = {x, target, variance};
    bool without_last;
    if (!mni_loss_begin(t, &gaussian_nll_loss_op, in, 3, 0, o.reduction) ||
        !mni_require_same_shape(t, x, target) || !variance_fits(t, x, variance, &without_last) ||
        !mni_require_number(t, "eps", eps, 0) ||
        !mni_require_range(t, variance, "variance", 0, INFINITY, true))
        return NULL;
    mn_tensor *v = mni_lifted(t, without_last ? mn_unsqueeze(t, variance, -1) : variance, eps);
    mn_tensor *squares = mn_div(t, mn_square(t, mn_sub(t, x, target)), v);
    mn_tensor *losses = mn_mul_scalar(t, mn_add(t, mn_log(t, v), squares), 0.5);
    if (o.full) losses = mn_add_scalar(t, losses, HALF_LN_2_PI);
    return mni_reduced(t, losses, o.reduction);
}
