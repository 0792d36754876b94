/*
 * autograd/ops/dropout.c: dropout in its inverted form, of elements or whole channels, and the form
 * that keeps mean and variance of SELU's results. The gradient uses the multipliers that the forward
 * pass drew, and nothing else.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* Saved: what was multiplied with; MN_NONE where nothing is dropped. */
static void dropout_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *m = mn_saved(n, 0);
    gx[0] = m == MN_NONE ? gy[0] : mn_mul(t, gy[0], m);
}
static const mn_op dropout_op = {.name = "dropout", .backward = dropout_backward};
static const mn_op dropout1d_op = {.name = "dropout1d", .backward = dropout_backward};
static const mn_op dropout2d_op = {.name = "dropout2d", .backward = dropout_backward};
static const mn_op alpha_dropout_op = {.name = "alpha_dropout", .backward = dropout_backward};

static bool begin(mn_tape *t, const mn_op *op, mn_tensor *x, double p, bool training, mn_rng *rng)
{
    if (!mni_begin(t, op, &x, 1) || !mni_require_float(t, x)) return false;
    if (!(p >= 0 && p <= 1))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "p is %g, not within 0 and 1", p);
    if (training && !rng)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "rng is NULL, but training draws");
    return true;
}

/* y = x seen again, from where there is nothing to draw. */
static mn_tensor *as_it_is(mn_tape *t, const mn_op *op, mn_tensor *x)
{
    mn_tensor *y = mn_op_view(t, x, x->ndim, x->shape, x->strides, 0);
    mn_save(mn_op_record(t, op, &x, 1, &y, 1), MN_NONE);
    return mn_op_end(t, y);
}

/* y = x m + shift m + offset, m: `scale` with probability 1 - p, else 0. */
typedef struct rule {
    double p, scale, shift, offset;
} rule;

/* m is drawn for each position of the first `drawn` dimensions. */
static mn_tensor *drop(mn_tape *t, const mn_op *op, mn_tensor *x, int drawn, rule r, mn_rng *rng)
{
    const mn_dtype dtype = (mn_dtype)x->dtype;
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) shape[d] = d < drawn ? x->shape[d] : 1;
    mn_tensor *m = mni_tape_tensor(t, dtype, x->ndim, shape);
    mn_tensor *y = mni_tape_tensor(t, dtype, x->ndim, x->shape);
    if (m && y) {
        mni_team *team = mni_tape_team(t);
        mni_uniform(team, m, 0, 1, mni_reserve(t, rng, m->numel, dtype));
        mni_map1(team, mni_kernels()->dropout, m, m, (double[]){r.p, r.scale});
        if (r.shift == 0) {
            mni_map2(team, mni_kernels()->mul, x, m, y, NULL);
        } else {
            mni_number number;
            mni_map3(team, mni_kernels()->addcmul, mni_number_of(&number, dtype, r.offset), x, m, y,
                     (double[]){1});
            mni_map2(team, mni_kernels()->axpby, y, m, y, (double[]){1, r.shift});
        }
    }
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, m);
    return mn_op_end(t, y);
}

static rule plain(double p)
{
    return (rule){.p = p, .scale = p < 1 ? 1 / (1 - p) : 0};
}

mn_tensor *mn_dropout(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng)
{
    if (!begin(t, &dropout_op, x, p, training, rng)) return NULL;
    if (!training || p == 0) return as_it_is(t, &dropout_op, x);
    return drop(t, &dropout_op, x, x->ndim, plain(p), rng);
}

static mn_tensor *drop_channels(mn_tape *t, const mn_op *op, mn_tensor *x, const char *shapes,
                                int most, double p, bool training, mn_rng *rng)
{
    if (!begin(t, op, x, p, training, rng)) return NULL;
    char text[MNI_TEXT];
    if (x->ndim != most && x->ndim != most - 1)
        return mn_tape_fail(t, MN_ERR_SHAPE, "x %s: %s is needed",
                            mni_shape_text(text, sizeof text, x->ndim, x->shape), shapes);
    if (!training || p == 0) return as_it_is(t, op, x);
    return drop(t, op, x, x->ndim == 2 ? 1 : 2, plain(p), rng);
}

mn_tensor *mn_dropout1d(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng)
{
    return drop_channels(t, &dropout1d_op, x, "[N, C, L] or [C, L]", 3, p, training, rng);
}

mn_tensor *mn_dropout2d(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng)
{
    return drop_channels(t, &dropout2d_op, x, "[N, C, H, W] or [N, C, L]", 4, p, training, rng);
}

mn_tensor *mn_alpha_dropout(mn_tape *t, mn_tensor *x, double p, bool training, mn_rng *rng)
{
    if (!begin(t, &alpha_dropout_op, x, p, training, rng)) return NULL;
    if (!training || p == 0) return as_it_is(t, &alpha_dropout_op, x);
    if (p == 1) return drop(t, &alpha_dropout_op, x, x->ndim, plain(p), rng);
    const double alpha = MNI_SELU_LIMIT;
    const double a = 1 / sqrt((alpha * alpha * p + 1) * (1 - p));
    const rule r = {p, a, alpha, -alpha * a * (1 - p)};
    return drop(t, &alpha_dropout_op, x, x->ndim, r, rng);
}
