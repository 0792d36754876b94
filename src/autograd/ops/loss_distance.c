/*
 * autograd/ops/loss_distance.c: distances of vectors, and losses that want two numbers or vectors near or far
 * as a sign says.
 */
#include "autograd/ops/loss.h"
#include <math.h>

/* max(x, 0), with the gradient of x at 0, as PyTorch's clamp_min has it. */
static mn_tensor *positive_part(mn_tape *t, mn_tensor *x)
{
    return mn_clamp(t, x, 0, INFINITY);
}

/* ---- distances ---- */

static const mn_op cosine_similarity_op = {.name = "cosine_similarity"};

static mn_tensor *of_length_1(mn_tape *t, mn_tensor *x, int dim, double eps)
{
    return mn_div(t, x, mni_lifted(t, mn_norm_dim(t, x, 2, &dim, 1, true), eps));
}

mn_tensor *mn_cosine_similarity(mn_tape *t, mn_tensor *a, mn_tensor *b, int dim, double eps)
{
    mn_tensor *in[] = {a, b};
    if (!mni_loss_begin(t, &cosine_similarity_op, in, 2, 0, MN_REDUCE_NONE)) return NULL;
    if (!(eps >= 0 && isfinite(eps)))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "eps is %g, not a finite number from 0 on", eps);
    const mn_tensor *both = mni_broadcast_output(t, (mn_dtype)a->dtype, a, b);
    if (!both || !mni_require_dim(t, both, &dim)) return NULL;
    for (int i = 0; i < 2; i++) {
        if (!mn_tensor_same_shape(in[i], both))
            in[i] = mn_expand(t, in[i], both->ndim, both->shape);
        in[i] = of_length_1(t, in[i], dim, eps);
    }
    return mn_sum_dim(t, mn_mul(t, in[0], in[1]), &dim, 1, false);
}

static const mn_op pairwise_distance_op = {.name = "pairwise_distance"};

mn_tensor *mn_pairwise_distance(mn_tape *t, mn_tensor *a, mn_tensor *b, double p, double eps,
                                bool keepdim)
{
    if (!mni_loss_begin(t, &pairwise_distance_op, (mn_tensor *[]){a, b}, 2, 0, MN_REDUCE_NONE) ||
        !mni_require_number(t, "eps", eps, -INFINITY))
        return NULL;
    if (a->ndim == 0 && b->ndim == 0)
        return mni_shape_error(t, a, b, "vectors are needed, not single numbers");
    mn_tensor *difference = mn_add_scalar(t, mn_sub(t, a, b), eps);
    return mn_norm_dim(t, difference, p, (int[]){-1}, 1, keepdim);
}

/* ---- by a sign ---- */

static const mn_op soft_margin_loss_op = {.name = "soft_margin_loss"};

mn_tensor *mn_soft_margin_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                               const mn_loss_opts *opts)
{
    const mn_reduction r = opts ? opts->reduction : MN_REDUCE_MEAN;
    if (!mni_loss_begin(t, &soft_margin_loss_op, (mn_tensor *[]){x, target}, 2, 0, r) ||
        !mni_require_same_shape(t, x, target))
        return NULL;
    return mni_reduced(t, mn_neg(t, mn_log_sigmoid(t, mn_mul(t, target, x))), r);
}

static const mn_op hinge_embedding_loss_op = {.name = "hinge_embedding_loss"};

mn_tensor *mn_hinge_embedding_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, double margin,
                                   const mn_loss_opts *opts)
{
    const mn_reduction r = opts ? opts->reduction : MN_REDUCE_MEAN;
    if (!mni_begin(t, &hinge_embedding_loss_op, (mn_tensor *[]){x, target}, 2) ||
        !mni_require_reduction(t, r) || !mni_require_float(t, x) ||
        !mni_require_same_shape(t, x, target) ||
        !mni_require_number(t, "margin", margin, -INFINITY))
        return NULL;
    mn_tensor *far = positive_part(t, mn_rsub_scalar(t, x, margin));
    mn_tensor *near = mn_masked_fill(t, x, mn_eq_scalar(t, target, -1), 0);
    far = mn_masked_fill(t, far, mn_eq_scalar(t, target, 1), 0);
    return mni_reduced(t, mn_add(t, near, far), r);
}

static const mn_op margin_ranking_loss_op = {.name = "margin_ranking_loss"};

mn_tensor *mn_margin_ranking_loss(mn_tape *t, mn_tensor *a, mn_tensor *b, mn_tensor *target,
                                  const mn_margin_loss_opts *opts)
{
    const mn_margin_loss_opts o = opts ? *opts : (mn_margin_loss_opts){0};
    mn_tensor *in[] = {a, b, target};
    if (!mni_loss_begin(t, &margin_ranking_loss_op, in, 3, 0, o.reduction) ||
        !mni_require_same_shape(t, a, b) || !mni_require_same_shape(t, a, target) ||
        !mni_require_number(t, "margin", o.margin, -INFINITY))
        return NULL;
    mn_tensor *behind = mn_mul(t, target, mn_sub(t, b, a));
    return mni_reduced(t, positive_part(t, mn_add_scalar(t, behind, o.margin)), o.reduction);
}

static const mn_op cosine_embedding_loss_op = {.name = "cosine_embedding_loss"};

/* x y summed over the last dimension, and `more`. */
static mn_tensor *dots(mn_tape *t, mn_tensor *x, mn_tensor *y, double more)
{
    return mn_add_scalar(t, mn_sum_dim(t, mn_mul(t, x, y), (int[]){-1}, 1, false), more);
}

mn_tensor *mn_cosine_embedding_loss(mn_tape *t, mn_tensor *a, mn_tensor *b, mn_tensor *target,
                                    const mn_margin_loss_opts *opts)
{
    const mn_margin_loss_opts o = opts ? *opts : (mn_margin_loss_opts){0};
    mn_tensor *in[] = {a, b, target};
    if (!mni_begin(t, &cosine_embedding_loss_op, in, 3) || !mni_require_reduction(t, o.reduction) ||
        !mni_require_float(t, a) || !mni_require_same_dtype(t, a, b) ||
        !mni_require_same_shape(t, a, b) || !mni_require_number(t, "margin", o.margin, -INFINITY))
        return NULL;
    if (a->ndim < 1 || a->ndim > 2 || target->ndim != a->ndim - 1 ||
        (a->ndim == 2 && target->shape[0] != a->shape[0]))
        return mni_shape_error(t, a, target, "[N, D] and [N], or [D] and [], are needed");
    const double tiny = 1e-12F; /* PyTorch's, so that no length is 0 */
    mn_tensor *lengths = mn_sqrt(t, mn_mul(t, dots(t, a, a, tiny), dots(t, b, b, tiny)));
    mn_tensor *cosine = mn_div(t, dots(t, a, b, 0), lengths);
    mn_tensor *far = positive_part(t, mn_sub_scalar(t, cosine, o.margin));
    mn_tensor *near = mn_rsub_scalar(t, cosine, 1);
    near = mn_masked_fill(t, near, mn_ne_scalar(t, target, 1), 0);
    far = mn_masked_fill(t, far, mn_ne_scalar(t, target, -1), 0);
    return mni_reduced(t, mn_add(t, near, far), o.reduction);
}

/* ---- by a third vector ---- */

static const mn_op triplet_margin_loss_op = {.name = "triplet_margin_loss"};

mn_tensor *mn_triplet_margin_loss(mn_tape *t, mn_tensor *anchor, mn_tensor *positive,
                                  mn_tensor *negative, const mn_triplet_margin_loss_opts *opts)
{
    const mn_triplet_margin_loss_opts o = opts ? *opts : (mn_triplet_margin_loss_opts){0};
    const double margin = o.margin != 0 ? o.margin : 1, p = o.p != 0 ? o.p : 2;
    const double eps = o.eps != 0 ? o.eps : 1e-6;
    mn_tensor *in[] = {anchor, positive, negative};
    if (!mni_loss_begin(t, &triplet_margin_loss_op, in, 3, 0, o.reduction) ||
        !mni_require_same_shape(t, anchor, positive) ||
        !mni_require_same_shape(t, anchor, negative) ||
        !mni_require_number(t, "margin", margin, 0) ||
        !mni_require_number(t, "eps", eps, -INFINITY))
        return NULL;
    mn_tensor *near = mn_pairwise_distance(t, anchor, positive, p, eps, false);
    mn_tensor *far = mn_pairwise_distance(t, anchor, negative, p, eps, false);
    if (o.swap)
        far = mn_minimum(t, far, mn_pairwise_distance(t, positive, negative, p, eps, false));
    mn_tensor *losses = mn_add_scalar(t, mn_sub(t, near, far), margin);
    return mni_reduced(t, positive_part(t, losses), o.reduction);
}
