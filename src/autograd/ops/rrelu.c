/*
 * autograd/ops/rrelu.c: the randomized leaky rectifier. Its gradient is the slope of every
 * element, kept from the forward pass or drawn again from the same place of the random stream; it
 * looks neither at the mode nor at input or output, so it is exact in place and for slopes of any
 * sign.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* How the slopes of one call came about. In eval low and high are both their mean. */
typedef struct draw {
    double low, high;
    bool divisor, per_channel, recompute;
    mn_rng at;
} draw;

static int channel_dim(const mn_tensor *x)
{
    return x->ndim > 1 ? 1 : 0;
}

#define CHANNELS(T)                                                                                \
    for (int64_t o = 0, at = 0; o < outer; o++)                                                    \
        for (int64_t c = 0; c < channels; c++) {                                                   \
            T a = ((const T *)(const void *)drawn->data)[c], slope = d->divisor ? 1 / a : a;       \
            for (int64_t i = 0; i < inner; i++, at++) {                                            \
                T v = ((const T *)(const void *)x->data)[at];                                      \
                if (slopes) ((T *)(void *)slopes->data)[at] = v <= 0 ? slope : 1;                  \
                ((T *)(void *)y->data)[at] = v > 0 || isnan(v) ? v : d->divisor ? v / a : v * a;   \
            }                                                                                      \
        }

/* As mni_rrelu, with one slope a channel. */
static void compute_channels(mn_tape *t, const draw *d, const mn_tensor *x, mn_tensor *y,
                             mn_tensor *slopes)
{
    int dim = channel_dim(x);
    int64_t channels = x->shape[dim], outer = dim ? x->shape[0] : 1, inner = 1;
    for (int k = dim + 1; k < x->ndim; k++) inner *= x->shape[k];
    mn_tensor *drawn = mni_tape_tensor(t, (mn_dtype)x->dtype, 1, &channels);
    if (!drawn) return;
    mni_fill(mni_tape_team(t), drawn, -1); /* rrelu of -1 is -a */
    mni_rrelu(mni_tape_team(t), drawn, d->low, d->high, false, d->at, drawn, NULL);
    mni_map1(mni_tape_team(t), mni_kernels()->neg, drawn, drawn, NULL);
    if (x->dtype == MN_F32) {
        CHANNELS(float)
    } else {
        CHANNELS(double)
    }
}

/* y <- rrelu(x), y may be x; slopes (may be NULL) <- what x was multiplied with. All contiguous. */
static void compute(mn_tape *t, const draw *d, const mn_tensor *x, mn_tensor *y, mn_tensor *slopes)
{
    if (d->per_channel)
        compute_channels(t, d, x, y, slopes);
    else
        mni_rrelu(mni_tape_team(t), x, d->low, d->high, d->divisor, d->at, y, slopes);
}

/* The slopes of a recorded call: saved 0, or drawn again for the elements that its mask lets
 * have one. */
static mn_tensor *slopes_of(mn_tape *t, const mn_node *n, mn_dtype dtype)
{
    const draw *d = mn_saved_data(n);
    mn_tensor *saved = mn_saved(n, 0);
    if (!saved || !d->recompute) return saved;
    mn_tensor *x = mni_tape_tensor(t, dtype, saved->ndim, saved->shape);
    mn_tensor *slopes = mni_tape_tensor(t, dtype, saved->ndim, saved->shape);
    if (!x || !slopes) return NULL;
    mni_copy(mni_tape_team(t), saved, x); /* 1 where the slope is 1, else 0 */
    compute(t, d, x, x, slopes);
    return slopes;
}

static void rrelu_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, gy[0], slopes_of(t, n, mn_tensor_dtype(gy[0])));
}

/* The same, straight into a leaf's gradient where that is the input's, or over gy. */
static void rrelu_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    bool accumulate;
    mn_tensor *slopes = slopes_of(t, n, mn_tensor_dtype(gy[0]));
    gx[0] = slopes ? mni_grad_over(n, 0, 0, &accumulate) : NULL;
    if (!gx[0]) return;
    if (accumulate)
        gx[0] = mn_mul(t, gy[0], slopes);
    else
        mni_map2(mni_tape_team(t), mni_kernels()->mul, gy[0], slopes, gx[0], NULL);
}
static const mn_op rrelu_op = {
    .name = "rrelu", .backward = rrelu_backward, .backward_fast = rrelu_backward_fast};
static const mn_op rrelu_in_place_op = {
    .name = "rrelu_", .backward = rrelu_backward, .backward_fast = rrelu_backward_fast};

static bool rrelu_fits(mn_tape *t, const mn_tensor *x, const draw *d)
{
    if (!mni_require_float(t, x)) return false;
    if (!isfinite(d->low) || !isfinite(d->high)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "bounds must be finite: lower is %g, upper %g", d->low,
                     d->high);
    } else if (d->low > d->high) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "lower %.15g is larger than upper %.15g", d->low, d->high);
    } else if (!isfinite(d->high - d->low) || !isfinite(d->low + d->high) ||
               (x->dtype == MN_F32 && !(fabs(d->low) < 0x1p127 && fabs(d->high) < 0x1p127))) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "lower %.15g and upper %.15g are too large for %s", d->low,
                     d->high, mn_dtype_name((mn_dtype)x->dtype));
    } else if (d->divisor && d->low <= 0) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "lower %.15g must be above 0 in the divisor form", d->low);
    } else if (d->per_channel && x->ndim == 0) {
        mn_tape_fail(t, MN_ERR_SHAPE, "a single value has no channels: per_channel is set");
    } else {
        return true;
    }
    return false;
}

/* y over x's storage (in place) or fresh; x may be non-contiguous: then it goes through a copy. */
static mn_tensor *forward(mn_tape *t, const draw *d, mn_tensor *x, bool inplace, bool training,
                          mn_tensor *slopes)
{
    mn_tensor *dense = mni_dense(t, x);
    mn_tensor *y =
        inplace ? mn_op_overwrite(t, x) : mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (!y || !dense) return NULL;
    if (!training && !slopes && !d->divisor) {
        mni_map1(mni_tape_team(t), mni_kernels()->leaky_relu, x, y, &d->low);
    } else if (y->contiguous) {
        compute(t, d, dense, y, slopes);
    } else {
        compute(t, d, dense, dense, slopes);
        mni_copy(mni_tape_team(t), dense, y);
    }
    return y;
}

mn_tensor *mn_rrelu_with(mn_tape *t, mn_tensor *x, double lower, double upper, bool training,
                         mn_rng *rng, const mn_rrelu_opts *opts)
{
    mn_rrelu_opts o = opts ? *opts : (mn_rrelu_opts){0};
    const mn_op *op = o.inplace ? &rrelu_in_place_op : &rrelu_op;
    draw d = {lower, upper, o.divisor, o.per_channel, o.recompute, {0}};
    if (!mni_begin(t, op, &x, 1) || !rrelu_fits(t, x, &d)) return NULL;
    mn_dtype dtype = (mn_dtype)x->dtype;
    if (training && !rng)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "rng is NULL, but training draws");
    if (training) {
        d.at = mni_reserve(t, rng, d.per_channel ? x->shape[channel_dim(x)] : x->numel, dtype);
    } else {
        d.low = d.high = (lower + upper) / 2;
        d.per_channel = false;
    }
    mn_tensor *kept = NULL, *slopes = NULL;
    if (mn_grad_enabled(t) && mn_tensor_requires_grad(x)) {
        kept = mni_tape_tensor(t, o.recompute ? MN_BOOL : dtype, x->ndim, x->shape);
        if (!kept) return NULL;
        if (o.recompute)
            mni_map1(mni_tape_team(t), mni_kernels()->not_below, x, kept, NULL);
        else
            slopes = kept;
    }
    mn_tensor *y = forward(t, &d, x, o.inplace, training, slopes);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, kept);
    mn_save_data(n, &d, sizeof d);
    return mn_op_end(t, y);
}

mn_tensor *mn_rrelu(mn_tape *t, mn_tensor *x, double lower, double upper, bool training,
                    mn_rng *rng)
{
    return mn_rrelu_with(t, x, lower, upper, training, rng, NULL);
}

mn_tensor *mn_rrelu_(mn_tape *t, mn_tensor *x, double lower, double upper, bool training,
                     mn_rng *rng)
{
    return mn_rrelu_with(t, x, lower, upper, training, rng, &(mn_rrelu_opts){.inplace = true});
}

static const mn_op rrelu_slopes_op = {.name = "rrelu_slopes"};

mn_tensor *mn_rrelu_slopes(mn_tape *t, mn_tensor *y)
{
    if (!mni_begin(t, &rrelu_slopes_op, &y, 1)) return NULL;
    const mn_node *n = y->node;
    if (!n || n->leaf)
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "the tensor is not the result of an rrelu that was recorded (gradients "
                            "were off, or its input needs none)");
    if (n->op != &rrelu_op && n->op != &rrelu_in_place_op)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "the tensor is a result of %s, not of rrelu",
                            n->op->name);
    if (n->released)
        return mn_tape_fail(t, MN_ERR_STATE,
                            "the slopes were freed by a backward pass: read them before it, or set "
                            "retain_graph");
    mn_tensor *slopes = slopes_of(t, n, (mn_dtype)y->dtype);
    if (slopes) slopes = mn_op_view(t, slopes, slopes->ndim, slopes->shape, NULL, 0);
    return mn_op_end(t, slopes);
}
