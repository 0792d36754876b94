/*
 * autograd/ops/loss.c: what the losses share, and the losses of differences between numbers.
 */
#include "autograd/ops/loss.h"
#include <math.h>

/* ---- parts of losses ---- */

mn_tensor *mni_reduced(mn_tape *t, mn_tensor *losses, mn_reduction r)
{
    if (r == MN_REDUCE_NONE) return losses;
    return r == MN_REDUCE_MEAN ? mn_mean(t, losses) : mn_sum(t, losses);
}

/* All elements put together -> []. */
static mn_tensor *folded(mn_tape *t, mni_folding how, const mn_tensor *x)
{
    bool all[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) all[d] = true;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, 0, NULL);
    if (y) mni_fold(mni_tape_team(t), how, NULL, x, all, y);
    return y;
}

mn_tensor *mni_reduced_values(mn_tape *t, mn_tensor *losses, mn_reduction r)
{
    if (!losses || r == MN_REDUCE_NONE) return losses;
    mn_tensor *y = folded(t, MNI_SUM, losses);
    const double count = (double)losses->numel;
    if (y && r == MN_REDUCE_MEAN)
        mni_map1(mni_tape_team(t), mni_kernels()->div_scalar, y, y, &count);
    return y;
}

/* What is added to x where it is too small counts as a constant. */
mn_tensor *mni_lifted(mn_tape *t, mn_tensor *x, double least)
{
    mn_tensor *lifted = mn_add_scalar(t, mn_sub(t, x, mn_detach(t, x)), least);
    return mn_where(t, mn_lt_scalar(t, x, least), lifted, x);
}

mn_tensor *mni_optional(mn_tensor *x)
{
    return x ? x : MN_NONE;
}

/* ---- checks ---- */

bool mni_require_reduction(mn_tape *t, mn_reduction r)
{
    if (r <= MN_REDUCE_NONE && (int)r >= 0) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "%d is not a reduction of this loss", (int)r);
    return false;
}

bool mni_loss_begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n, int optional,
                    mn_reduction r)
{
    if (!mni_begin(t, op, in, n) || !mn_op_begin(t, op, in, n + optional) ||
        !mni_require_reduction(t, r) || !mni_require_float(t, in[0]))
        return false;
    for (int i = 1; i < n + optional; i++)
        if (in[i] != MN_NONE && !mni_require_same_dtype(t, in[0], in[i])) return false;
    return true;
}

bool mni_require_same_shape(mn_tape *t, const mn_tensor *a, const mn_tensor *b)
{
    if (mn_tensor_same_shape(a, b)) return true;
    mni_shape_error(t, a, b, "the shapes must be equal");
    return false;
}

bool mni_require_class_weight(mn_tape *t, const mn_tensor *x, const mn_tensor *weight, int64_t n)
{
    char shape[MNI_TEXT];
    if (weight == MN_NONE) return true;
    if (!mni_require_same_dtype(t, x, weight)) return false;
    if (weight->ndim == 1 && weight->shape[0] == n) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "the weight is %s, but there are %lld classes",
                 mni_shape_text(shape, sizeof shape, weight->ndim, weight->shape), (long long)n);
    return false;
}

bool mni_require_class_numbers(mn_tape *t, const mn_tensor *x, const mn_tensor *target)
{
    if (!mni_require_float(t, x)) return false;
    if (target->dtype == MN_I64) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "targets are %s; class numbers are i64",
                 mn_dtype_name((mn_dtype)target->dtype));
    return false;
}

bool mni_class_error(mn_tape *t, int64_t i, int64_t target, int64_t classes)
{
    mn_tape_fail(t, MN_ERR_ARGUMENT,
                 "target %lld is class %lld, but there are %lld classes (0 to %lld)", (long long)i,
                 (long long)target, (long long)classes, (long long)classes - 1);
    return false;
}

bool mni_require_range(mn_tape *t, const mn_tensor *x, const char *what, double low, double high,
                       bool nan)
{
    const mn_tensor *least = folded(t, MNI_SMALLEST, x), *most = folded(t, MNI_LARGEST, x);
    if (t->error) return false;
    if (mn_tensor_item(least) >= low && mn_tensor_item(most) <= high) return true;
    int64_t at[MN_MAX_DIMS] = {0};
    for (int64_t i = 0; i < x->numel; i++) {
        const double v = mn_tensor_get(x, at);
        if (!(v >= low && v <= high) && !(nan && isnan(v))) {
            mn_tape_fail(t, MN_ERR_ARGUMENT, "element %lld of the %s is %g, not from %g to %g",
                         (long long)i, what, v, low, high);
            return false;
        }
        for (int d = x->ndim - 1; d >= 0 && ++at[d] == x->shape[d]; d--) at[d] = 0;
    }
    return true;
}

bool mni_require_number(mn_tape *t, const char *what, double v, double above)
{
    if (isfinite(v) && v > above) return true;
    if (isfinite(above))
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is %g, not a finite number above %g", what, v, above);
    else
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is %g, not a finite number", what, v);
    return false;
}

static mn_reduction reduction_of(const mn_loss_opts *opts)
{
    return opts ? opts->reduction : MN_REDUCE_MEAN;
}

static bool begin(mn_tape *t, const mn_op *op, mn_tensor *x, mn_tensor *target, mn_reduction r)
{
    return mni_loss_begin(t, op, (mn_tensor *[]){x, target}, 2, 0, r) &&
           mni_require_same_shape(t, x, target);
}

/* ---- absolute and squared differences ---- */

static const mn_op l1_loss_op = {.name = "l1_loss"};

mn_tensor *mn_l1_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, const mn_loss_opts *opts)
{
    const mn_reduction r = reduction_of(opts);
    if (!begin(t, &l1_loss_op, x, target, r)) return NULL;
    return mni_reduced(t, mn_abs(t, mn_sub(t, x, target)), r);
}

/* What the gradient of mse_loss needs to know. */
typedef struct mse_data {
    mn_reduction reduction;
    int64_t count; /* losses that were reduced */
} mse_data;

/* d (x - target)^2 = 2 (x - target). */
static void mse_loss_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const mse_data *s = mn_saved_data(n);
    mn_tensor *difference = mn_sub(t, mn_saved(n, 0), mn_saved(n, 1));
    double scale = s->reduction == MN_REDUCE_MEAN ? 2 / (double)s->count : 2;
    gx[0] = mn_mul(t, difference, mn_mul_scalar(t, gy[0], scale));
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, gx[0]);
}
static const mn_op mse_loss_op = {.name = "mse_loss", .backward = mse_loss_backward};

mn_tensor *mn_mse_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, const mn_loss_opts *opts)
{
    const mn_reduction r = reduction_of(opts);
    mn_tensor *in[] = {x, target};
    if (!begin(t, &mse_loss_op, x, target, r)) return NULL;
    mn_tensor *losses = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (losses) {
        mni_map2(mni_tape_team(t), mni_kernels()->sub, x, target, losses, NULL);
        mni_map2(mni_tape_team(t), mni_kernels()->mul, losses, losses, losses, NULL);
    }
    mn_tensor *y = mni_reduced_values(t, losses, r);
    mn_node *n = mn_op_record(t, &mse_loss_op, in, 2, &y, 1);
    mn_save(n, x);
    mn_save(n, target);
    mn_save_data(n, &(mse_data){r, x->numel}, sizeof(mse_data));
    return mn_op_end(t, y);
}

/* ---- parabolas that go on as lines ---- */

/* With d = x - target: d held within -delta and delta. */
static void huber_loss_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double delta = *(const double *)mn_saved_data(n);
    mn_tensor *difference = mn_sub(t, mn_saved(n, 0), mn_saved(n, 1));
    gx[0] = mn_mul(t, gy[0], mn_clamp(t, difference, -delta, delta));
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, gx[0]);
}
static const mn_op huber_loss_op = {.name = "huber_loss", .backward = huber_loss_backward};

static mn_tensor *huber(mn_tape *t, mn_tensor *x, mn_tensor *target, double delta)
{
    mn_node *n;
    mn_tensor *y = mni_binary(t, &huber_loss_op, mni_plain.huber, x, target, &delta, &n);
    mn_save(n, x);
    mn_save(n, target);
    mn_save_data(n, &delta, sizeof delta);
    return mn_op_end(t, y);
}

mn_tensor *mn_huber_loss(mn_tape *t, mn_tensor *x, mn_tensor *target,
                         const mn_huber_loss_opts *opts)
{
    const mn_huber_loss_opts o = opts ? *opts : (mn_huber_loss_opts){0};
    const double delta = o.delta != 0 ? o.delta : 1;
    if (!begin(t, &huber_loss_op, x, target, o.reduction) ||
        !mni_require_number(t, "delta", delta, 0))
        return NULL;
    return mni_reduced(t, huber(t, x, target, delta), o.reduction);
}

static const mn_op smooth_l1_loss_op = {.name = "smooth_l1_loss"};

mn_tensor *mn_smooth_l1_loss(mn_tape *t, mn_tensor *x, mn_tensor *target, double beta,
                             const mn_loss_opts *opts)
{
    const mn_reduction r = reduction_of(opts);
    if (!begin(t, &smooth_l1_loss_op, x, target, r)) return NULL;
    if (beta == 0) return mni_reduced(t, mn_abs(t, mn_sub(t, x, target)), r);
    if (!mni_require_number(t, "beta", beta, 0)) return NULL;
    return mni_reduced(t, mn_div_scalar(t, huber(t, x, target, beta), beta), r);
}
