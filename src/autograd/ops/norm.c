/*
 * autograd/ops/norm.c: normalisation. One op serves all kinds: x is looked at as [batch, groups, depth,
 * space], and they differ in what these are. Mean and 1/deviation are outputs, too, so that the gradient,
 * which is written with them, can be differentiated in turn.
 */
#include "autograd/ops/ops.h"
#include <math.h>

typedef struct plan {
    int64_t batch, groups, depth, space;
    bool over_batch, centre;
    double eps;
} plan;

enum { X, WEIGHT, BIAS, INPUTS };
enum { Y, RSTD, MEAN, OUTPUTS }; /* no mean where it is 0 */

static int outputs_of(const plan *p)
{
    return p->centre ? OUTPUTS : OUTPUTS - 1;
}

static mni_normalization job_of(const plan *p, const mn_tensor *x, const mn_tensor *rstd,
                                const mn_tensor *mean, const mn_tensor *weight)
{
    return (mni_normalization){.batch = p->batch,
                               .groups = p->groups,
                               .depth = p->depth,
                               .space = p->space,
                               .over_batch = p->over_batch,
                               .centre = p->centre,
                               .eps = p->eps,
                               .x = x->data,
                               .weight = weight && weight != MN_NONE ? weight->data : NULL,
                               .rstd = rstd->data,
                               .mean = mean ? mean->data : NULL};
}

/* ---- the gradient ---- */

static mn_tensor *seen(mn_tape *t, const plan *p, mn_tensor *x)
{
    return mn_reshape(t, x, 4, (int64_t[]){p->batch, p->groups, p->depth, p->space});
}

/* As [1, groups, depth, 1]. */
static mn_tensor *seen_weight(mn_tape *t, const plan *p, mn_tensor *w)
{
    return mn_reshape(t, w, 4, (int64_t[]){1, p->groups, p->depth, 1});
}

/* The mean over what has statistics in common. */
static mn_tensor *mean_of(mn_tape *t, const plan *p, mn_tensor *x)
{
    static const int dims[] = {2, 3, 0};
    return mn_mean_dim(t, x, dims, p->over_batch ? 3 : 2, true);
}

static mn_tensor *like_input(mn_tape *t, const mn_node *n, int i, mn_tensor *g)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, i, &ndim);
    return mn_reshape(t, g, ndim, shape);
}

/* xhat = (x - mean) rstd. Of y: gx = rstd (g - mean of g - xhat mean of g xhat), with g = gy weight; of the
 * deviation and the mean, with n elements: -rstd^2 xhat/n and 1/n. */
static void norm_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const plan *p = mn_saved_data(n);
    mn_tensor *rstd = mn_saved(n, RSTD), *w = mn_saved(n, 0), *x = seen(t, p, mn_saved(n, 3));
    mn_tensor *hat = mn_mul(t, p->centre ? mn_sub(t, x, mn_saved(n, MEAN)) : x, rstd);
    const double count = (double)(p->depth * p->space * (p->over_batch ? p->batch : 1));
    mn_tensor *sum = NULL;
    if (gy[Y]) {
        static const int dims[] = {0, 3};
        mn_tensor *g = seen(t, p, gy[Y]);
        if (mn_needs(n, WEIGHT))
            gx[WEIGHT] = like_input(t, n, WEIGHT, mn_sum_dim(t, mn_mul(t, g, hat), dims, 2, false));
        if (mn_needs(n, BIAS)) gx[BIAS] = like_input(t, n, BIAS, mn_sum_dim(t, g, dims, 2, false));
        if (w != MN_NONE) g = mn_mul(t, g, seen_weight(t, p, w));
        sum = mn_sub(t, g, mn_mul(t, hat, mean_of(t, p, mn_mul(t, g, hat))));
        if (p->centre) sum = mn_sub(t, sum, mean_of(t, p, g));
        sum = mn_mul(t, rstd, sum);
    }
    if (gy[RSTD]) {
        mn_tensor *g = mn_mul_scalar(t, mn_mul(t, gy[RSTD], mn_square(t, rstd)), -1 / count);
        g = mn_mul(t, g, hat);
        sum = sum ? mn_add(t, sum, g) : g;
    }
    /* the mean is only used together with the deviation, which then has a gradient, too */
    if (p->centre && gy[MEAN]) sum = mn_add(t, sum, mn_mul_scalar(t, gy[MEAN], 1 / count));
    if (mn_needs(n, X)) gx[X] = like_input(t, n, X, sum);
}

/* Column sums of gy, or of gy xhat, as the gradient of input i. */
static void put_sums(mn_tape *t, mn_node *n, int i, const double *sums, mn_tensor **gx)
{
    bool accumulate;
    if (!mn_needs(n, i) || !(gx[i] = mn_grad_into(n, i, &accumulate))) return;
    mn_tensor from = {.data = (char *)(uintptr_t)sums};
    mni_set_shape(&from, MN_F64, gx[i]->ndim, gx[i]->shape, NULL);
    if (!accumulate) {
        mni_copy(mni_tape_team(t), &from, gx[i]);
    } else if (gx[i]->dtype == MN_F64) {
        mni_map2(mni_tape_team(t), mni_kernels()->add, gx[i], &from, gx[i], NULL);
    } else {
        float *to = (float *)(void *)gx[i]->data;
        for (int64_t k = 0; k < gx[i]->numel; k++) to[k] += (float)sums[k];
    }
}

static void norm_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const plan *p = mn_saved_data(n);
    if (!gy[Y] || gy[RSTD] || (p->centre && gy[MEAN])) {
        norm_backward(t, n, gy, gx);
        return;
    }
    const int64_t channels[] = {2, p->groups * p->depth};
    const mn_dtype dtype = (mn_dtype)gy[Y]->dtype;
    mn_tensor *g = mni_dense(t, gy[Y]), *x = mni_dense(t, mn_saved(n, 3));
    mn_tensor *w = mn_saved(n, 0), *sums = mni_tape_tensor(t, MN_F64, 2, channels);
    if (w && w != MN_NONE) w = mni_dense(t, w);
    if (!g || !x || !w || !sums) return;
    mni_normalization job =
        job_of(p, x, mn_saved(n, RSTD), p->centre ? mn_saved(n, MEAN) : NULL, w);
    job.gy = g->data;
    job.sums = (double *)(void *)sums->data;
    bool accumulate = false;
    if (mn_needs(n, X))
        gx[X] = g == gy[Y] ? mni_grad_over(n, X, Y, &accumulate) : mn_grad_into(n, X, &accumulate);
    mn_tensor *to = gx[X] && accumulate ? mn_empty_like(t, gx[X]) : gx[X];
    if (!(to && p->over_batch) && (mn_needs(n, WEIGHT) || mn_needs(n, BIAS)))
        mni_normalize_sums(mni_tape_team(t), dtype, &job);
    if (to) {
        job.y = to->data;
        mni_normalize_backward(mni_tape_team(t), dtype, &job);
    }
    put_sums(t, n, BIAS, job.sums, gx);
    put_sums(t, n, WEIGHT, job.sums + channels[1], gx);
    if (to && accumulate) mni_map2(mni_tape_team(t), mni_kernels()->add, gx[X], to, gx[X], NULL);
}

/* ---- the op ---- */

#define NORM_OP(id)                                                                                \
    static const mn_op id##_op = {                                                                 \
        .name = #id, .backward = norm_backward, .backward_fast = norm_backward_fast};
NORM_OP(layer_norm)
NORM_OP(rms_norm)
NORM_OP(group_norm)
NORM_OP(batch_norm)
NORM_OP(instance_norm)

static bool vector_fits(mn_tape *t, const mn_tensor *x, const mn_tensor *v, const char *what,
                        int ndim, const int64_t *shape)
{
    if (v == MN_NONE) return true;
    bool fits = v->ndim == ndim;
    for (int d = 0; fits && d < ndim; d++) fits = v->shape[d] == shape[d];
    if (!fits) {
        char is[MNI_TEXT], wanted[MNI_TEXT];
        mn_tape_fail(t, MN_ERR_SHAPE, "the %s is %s, not %s", what,
                     mni_shape_text(is, sizeof is, v->ndim, v->shape),
                     mni_shape_text(wanted, sizeof wanted, ndim, shape));
    }
    return fits && mni_require_same_dtype(t, x, v);
}

/* in: x, weight, bias, whose shape is that. */
static bool inputs_fit(mn_tape *t, mn_tensor *const in[INPUTS], int ndim, const int64_t *shape,
                       double eps)
{
    if (in[X] == MN_NONE) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "x is MN_NONE, but a tensor is needed");
        return false;
    }
    if (!mni_require_float(t, in[X])) return false;
    if (!(eps >= 0 && isfinite(eps))) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "eps is %g, not a number from 0 on", eps);
        return false;
    }
    return vector_fits(t, in[X], in[WEIGHT], "weight", ndim, shape) &&
           vector_fits(t, in[X], in[BIAS], "bias", ndim, shape);
}

/* x must have a dimension of channels; *space <- the elements behind it. */
static bool has_channels(mn_tape *t, const mn_tensor *x, int least, int64_t *space)
{
    char shape[MNI_TEXT];
    if (x != MN_NONE && x->ndim < least) {
        mn_tape_fail(t, MN_ERR_SHAPE, "x is %s, but needs %d dimensions or more",
                     mni_shape_text(shape, sizeof shape, x->ndim, x->shape), least);
        return false;
    }
    *space = 1;
    for (int d = 2; x != MN_NONE && d < x->ndim; d++) *space *= x->shape[d];
    return true;
}

/* Between mn_op_begin and mn_op_end; what[] gets the outputs. variance (of the statistics' shape, may be
 * NULL) is not one. */
static mn_node *normalize(mn_tape *t, const mn_op *op, const plan *p, mn_tensor *const in[INPUTS],
                          mn_tensor *out[OUTPUTS], mn_tensor *variance)
{
    const mn_dtype dtype = (mn_dtype)in[X]->dtype;
    const int64_t stats[] = {p->over_batch ? 1 : p->batch, p->groups, 1, 1};
    mn_tensor *x = mni_dense(t, in[X]), *w = in[WEIGHT], *b = in[BIAS];
    if (w != MN_NONE) w = mni_dense(t, w);
    if (b != MN_NONE) b = mni_dense(t, b);
    out[Y] = mni_tape_tensor(t, dtype, in[X]->ndim, in[X]->shape);
    out[RSTD] = mni_tape_tensor(t, dtype, 4, stats);
    out[MEAN] = p->centre ? mni_tape_tensor(t, dtype, 4, stats) : NULL;
    if (t->error || !x || !w || !b) return NULL;
    if (x->numel > 0) {
        mni_normalization job = job_of(p, x, out[RSTD], out[MEAN], w);
        job.bias = b != MN_NONE ? b->data : NULL;
        job.y = out[Y]->data;
        job.variance = variance ? variance->data : NULL;
        mni_normalize(mni_tape_team(t), dtype, &job);
    } else {
        mn_tensor_fill(out[RSTD], NAN);
        if (out[MEAN]) mn_tensor_fill(out[MEAN], NAN);
    }
    mn_node *n = mn_op_record(t, op, in, INPUTS, out, outputs_of(p));
    mn_save(n, in[WEIGHT]); /* numbers 0 to 3; the outputs have those of the enum */
    mn_save(n, out[RSTD]);
    mn_save(n, p->centre ? out[MEAN] : out[RSTD]);
    mn_save(n, in[X]);
    mn_save_data(n, p, sizeof *p);
    return n;
}

/* ---- over the last dimensions ---- */

static mn_tensor *over_last(mn_tape *t, const mn_op *op, mn_tensor *const in[INPUTS], int ndim,
                            const int64_t *shape, bool centre, double eps)
{
    if (!mn_op_begin(t, op, in, INPUTS)) return NULL;
    const mn_tensor *x = in[X];
    if (ndim < 1 || ndim > MN_MAX_DIMS || !shape)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "the normalised shape has %d dimensions",
                            shape ? ndim : 0);
    if (!inputs_fit(t, in, ndim, shape, eps)) return NULL;
    bool fits = x->ndim >= ndim;
    for (int d = 1; fits && d <= ndim; d++) fits = x->shape[x->ndim - d] == shape[ndim - d];
    if (!fits) {
        char is[MNI_TEXT], wanted[MNI_TEXT];
        return mn_tape_fail(t, MN_ERR_SHAPE, "x is %s, which does not end in %s",
                            mni_shape_text(is, sizeof is, x->ndim, x->shape),
                            mni_shape_text(wanted, sizeof wanted, ndim, shape));
    }
    plan p = {.batch = 1, .groups = 1, .depth = 1, .space = 1, .centre = centre, .eps = eps};
    for (int d = 0; d < x->ndim - ndim; d++) p.batch *= x->shape[d];
    for (int d = 0; d < ndim; d++) p.depth *= shape[d];
    mn_tensor *out[OUTPUTS];
    normalize(t, op, &p, in, out, NULL);
    return mn_op_end(t, out[Y]);
}

mn_tensor *mn_layer_norm(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape,
                         mn_tensor *weight, mn_tensor *bias, double eps)
{
    mn_tensor *in[] = {x, weight, bias};
    return over_last(t, &layer_norm_op, in, ndim, shape, true, eps);
}

mn_tensor *mn_rms_norm(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape, mn_tensor *weight,
                       double eps)
{
    mn_tensor *in[] = {x, weight, MN_NONE};
    return over_last(t, &rms_norm_op, in, ndim, shape, false, eps);
}

/* ---- over channels ---- */

mn_tensor *mn_group_norm(mn_tape *t, mn_tensor *x, int64_t groups, mn_tensor *weight,
                         mn_tensor *bias, double eps)
{
    mn_tensor *in[] = {x, weight, bias}, *out[OUTPUTS];
    int64_t space;
    if (!mn_op_begin(t, &group_norm_op, in, INPUTS) || !has_channels(t, x, 2, &space)) return NULL;
    if (!inputs_fit(t, in, 1, x == MN_NONE ? NULL : x->shape + 1, eps)) return NULL;
    if (groups < 1 || x->shape[1] % groups)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%lld groups do not divide %lld channels",
                            (long long)groups, (long long)x->shape[1]);
    const plan p = {.batch = x->shape[0],
                    .groups = groups,
                    .depth = x->shape[1] / groups,
                    .space = space,
                    .centre = true,
                    .eps = eps};
    normalize(t, &group_norm_op, &p, in, out, NULL);
    return mn_op_end(t, out[Y]);
}

/* running <- (1 - momentum) running + momentum times the mean over the samples of `of`, [samples, C],
 * times scale. */
static void update(mn_tensor *running, const mn_tensor *of, double momentum, double scale)
{
    char *to = running == MN_NONE ? NULL : mn_tensor_mutable_data(running);
    const int64_t channels = of->shape[1], samples = of->shape[0];
    for (int64_t c = 0; to && c < channels; c++) {
        double sum = 0;
        for (int64_t n = 0; n < samples; n++) {
            const int64_t i = n * channels + c;
            sum += of->dtype == MN_F32 ? (double)((const float *)(const void *)of->data)[i]
                                       : ((const double *)(const void *)of->data)[i];
        }
        const double now = momentum * scale * sum / (double)samples;
        if (running->dtype == MN_F32) {
            float *r = (float *)(void *)to + c;
            *r = (float)((1 - momentum) * (double)*r + now);
        } else {
            double *r = (double *)(void *)to + c;
            *r = (1 - momentum) * *r + now;
        }
    }
}

static bool running_fits(mn_tape *t, const mn_tensor *x, const mn_tensor *r, const char *what)
{
    if (!vector_fits(t, x, r, what, 1, x->shape + 1)) return false;
    if (r == MN_NONE || (r->contiguous && !r->requires_grad)) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "the %s must be contiguous and not require grad", what);
    return false;
}

/* With the running statistics it is a linear map of each channel, made of other ops. */
static mn_tensor *with_running(mn_tape *t, const mn_tensor *x, mn_tensor *const in[INPUTS],
                               mn_tensor *mean, mn_tensor *variance, double eps)
{
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) shape[d] = d == 1 ? x->shape[1] : 1;
    mn_tensor *scale = mn_rsqrt(t, mn_add_scalar(t, variance, eps));
    if (in[WEIGHT] != MN_NONE) scale = mn_mul(t, scale, in[WEIGHT]);
    mn_tensor *y = mn_mul(t, mn_sub(t, in[X], mn_reshape(t, mean, x->ndim, shape)),
                          mn_reshape(t, scale, x->ndim, shape));
    return in[BIAS] == MN_NONE ? y : mn_add(t, y, mn_reshape(t, in[BIAS], x->ndim, shape));
}

static mn_tensor *over_channels(mn_tape *t, const mn_op *op, mn_tensor *const in[INPUTS],
                                mn_tensor *running_mean, mn_tensor *running_var, bool over_batch,
                                bool own, double momentum, double eps)
{
    mn_tensor *all[] = {in[X], in[WEIGHT], in[BIAS], running_mean, running_var}, *out[OUTPUTS];
    const mn_tensor *x = in[X];
    int64_t space;
    if (!mn_op_begin(t, op, all, 5) || !has_channels(t, x, over_batch ? 2 : 3, &space) ||
        !inputs_fit(t, in, 1, x == MN_NONE ? NULL : x->shape + 1, eps) ||
        !running_fits(t, x, running_mean, "running mean") ||
        !running_fits(t, x, running_var, "running variance"))
        return NULL;
    if (!own && (running_mean == MN_NONE || running_var == MN_NONE))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "there are no running statistics to use");
    if (!own) return mn_op_end(t, with_running(t, x, in, running_mean, running_var, eps));
    const int64_t count = space * (over_batch ? x->shape[0] : 1);
    char shape[MNI_TEXT];
    if (count < 2 && (x->numel > 0 || over_batch))
        return mn_tape_fail(t, MN_ERR_SHAPE,
                            "statistics need more than one value for each channel, not %s",
                            mni_shape_text(shape, sizeof shape, x->ndim, x->shape));
    if (!(momentum >= 0 && momentum <= 1))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "momentum %g is not between 0 and 1", momentum);
    const plan p = {.batch = x->shape[0],
                    .groups = x->shape[1],
                    .depth = 1,
                    .space = space,
                    .over_batch = over_batch,
                    .centre = true,
                    .eps = eps};
    const int64_t stats[] = {over_batch ? 1 : p.batch, p.groups};
    mn_tensor *variance = mni_tape_tensor(t, (mn_dtype)x->dtype, 2, stats);
    normalize(t, op, &p, in, out, variance);
    if (!t->error && x->numel > 0 && !mn_tape_recomputing(t)) {
        mn_tensor mean = mni_look(out[MEAN], 2, stats, NULL);
        update(running_mean, &mean, momentum, 1);
        update(running_var, variance, momentum, (double)count / (double)(count - 1));
    }
    return mn_op_end(t, out[Y]);
}

mn_tensor *mn_batch_norm(mn_tape *t, mn_tensor *x, mn_tensor *running_mean, mn_tensor *running_var,
                         mn_tensor *weight, mn_tensor *bias, bool training, double momentum,
                         double eps)
{
    mn_tensor *in[] = {x, weight, bias};
    return over_channels(t, &batch_norm_op, in, running_mean, running_var, true, training, momentum,
                         eps);
}

mn_tensor *mn_instance_norm(mn_tape *t, mn_tensor *x, mn_tensor *running_mean,
                            mn_tensor *running_var, mn_tensor *weight, mn_tensor *bias,
                            bool use_input_stats, double momentum, double eps)
{
    mn_tensor *in[] = {x, weight, bias};
    return over_channels(t, &instance_norm_op, in, running_mean, running_var, false,
                         use_input_stats, momentum, eps);
}

/* ---- to length 1 ---- */

static const mn_op normalize_op = {.name = "normalize"};

mn_tensor *mn_normalize(mn_tape *t, mn_tensor *x, double p, int dim, double eps)
{
    if (!mni_begin(t, &normalize_op, &x, 1) || !mni_require_float(t, x)) return NULL;
    if (!(eps >= 0))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "eps is %g, not a number from 0 on", eps);
    mn_tensor *length = mn_clamp(t, mn_norm_dim(t, x, p, &dim, 1, true), eps, INFINITY);
    return mn_op_end(t, mn_div(t, x, length));
}

/* ---- over neighbouring channels ---- */

static const mn_op local_response_norm_op = {.name = "local_response_norm"};

mn_tensor *mn_local_response_norm(mn_tape *t, mn_tensor *x, int64_t size, double alpha, double beta,
                                  double k)
{
    int64_t space;
    if (!mni_begin(t, &local_response_norm_op, &x, 1) || !mni_require_float(t, x) ||
        !has_channels(t, x, 3, &space))
        return NULL;
    if (size < 1) return mn_tape_fail(t, MN_ERR_ARGUMENT, "size is %lld", (long long)size);
    if (!isfinite(alpha) || !isfinite(beta) || !isfinite(k))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "alpha %g, beta %g and k %g must be finite", alpha,
                            beta, k);
    const int64_t shape[] = {x->shape[0], x->shape[1], space};
    mn_tensor *squares = mn_square(t, mn_reshape(t, x, 3, shape));
    squares =
        mn_pad(t, squares, (int64_t[]){0, 0, size / 2, (size - 1) / 2}, 4, MN_PAD_CONSTANT, 0);
    mn_tensor *mean = mn_mean_dim(t, mn_unfold_dim(t, squares, 1, size, 1), (int[]){-1}, 1, false);
    mean = mn_reshape(t, mean, x->ndim, x->shape);
    mn_tensor *scale = mn_pow_scalar(t, mn_add_scalar(t, mn_mul_scalar(t, mean, alpha), k), -beta);
    return mn_op_end(t, mn_mul(t, x, scale));
}
