/*
 * autograd/ops/create.c: temporaries made from nothing: empty, constant, counted, copied from
 * memory, random; and conversion between element types.
 */
#include "autograd/ops/ops.h"
#include <math.h>
#include <string.h>

/* A NULL or failed x stands for a failure whose reason is already known. */
static bool readable(mn_tape *t, const mn_tensor *x)
{
    if (x && x != MN_NONE && x->storage) return true;
    if (!x)
        mni_tape_adopt(t, "the tensor");
    else if (x == MN_NONE)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "a tensor is needed here, not MN_NONE");
    else
        mn_tape_fail(t, MN_ERR_STATE, "the tensor was freed by its scope");
    return false;
}

mn_tensor *mn_empty(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape)
{
    if (!t && !mn_last_error()) mn_fail(MN_ERR_ARGUMENT, "the tape is NULL");
    return mni_tape_tensor(t, dtype, ndim, shape);
}

mn_tensor *mn_zeros(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape)
{
    return mn_full(t, dtype, ndim, shape, 0);
}

mn_tensor *mn_ones(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape)
{
    return mn_full(t, dtype, ndim, shape, 1);
}

mn_tensor *mn_full(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, double value)
{
    mn_tensor *y = mn_empty(t, dtype, ndim, shape);
    if (y) mni_fill(mni_tape_team(t), y, value);
    return y;
}

mn_tensor *mn_from(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, const void *data)
{
    mn_tensor *y = mn_empty(t, dtype, ndim, shape);
    if (!y || y->numel == 0) return y;
    if (!data) return mn_tape_fail(t, MN_ERR_ARGUMENT, "mn_from: data is NULL");
    memcpy(y->data, data, (size_t)y->numel * mn_dtype_size(dtype));
    return y;
}

mn_tensor *mn_scalar(mn_tape *t, mn_dtype dtype, double value)
{
    return mn_full(t, dtype, 0, NULL, value);
}

mn_tensor *mn_empty_like(mn_tape *t, mn_tensor *x)
{
    return readable(t, x) ? mn_empty(t, (mn_dtype)x->dtype, x->ndim, x->shape) : NULL;
}

mn_tensor *mn_zeros_like(mn_tape *t, mn_tensor *x)
{
    return readable(t, x) ? mn_full(t, (mn_dtype)x->dtype, x->ndim, x->shape, 0) : NULL;
}

mn_tensor *mn_ones_like(mn_tape *t, mn_tensor *x)
{
    return readable(t, x) ? mn_full(t, (mn_dtype)x->dtype, x->ndim, x->shape, 1) : NULL;
}

mn_tensor *mn_full_like(mn_tape *t, mn_tensor *x, double value)
{
    return readable(t, x) ? mn_full(t, (mn_dtype)x->dtype, x->ndim, x->shape, value) : NULL;
}

mn_tensor *mn_eye(mn_tape *t, mn_dtype dtype, int64_t n, int64_t m)
{
    mn_tensor *y = mn_zeros(t, dtype, 2, (int64_t[]){n, m});
    if (!y) return NULL;
    mn_tensor diagonal = mni_look(y, 1, &(int64_t){n < m ? n : m}, &(int64_t){m + 1});
    mni_fill(mni_tape_team(t), &diagonal, 1);
    return y;
}

/* ---- sequences: in f64, then converted ---- */

/* Whether a tensor of that dtype can hold v. */
static bool holds(mn_dtype dtype, double v)
{
    if (mni_is_float(dtype)) return isfinite(v);
    return v == floor(v) && (dtype == MN_U8 ? v >= 0 && v <= 255 : fabs(v) <= 0x1p53);
}

static bool require_number(mn_tape *t, const char *who, mn_dtype dtype)
{
    if (mni_is_float(dtype) || dtype == MN_I64 || dtype == MN_U8) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "%s: gives f32, f64, i64 or u8, not %s", who,
                 mn_dtype_name(dtype));
    return false;
}

mn_tensor *mn_arange(mn_tape *t, mn_dtype dtype, double start, double end, double step)
{
    if (!require_number(t, "mn_arange", dtype)) return NULL;
    const double ratio = (end - start) / step, n = ceil(ratio);
    const double last = start + (n > 0 ? n - 1 : 0) * step;
    if (!(ratio >= 0) || !(n < 0x1p62) || !holds(dtype, start) || !holds(dtype, last) ||
        !holds(dtype == MN_U8 ? MN_I64 : dtype, step))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "mn_arange: from %g to %g in steps of %g is not possible in %s", start,
                            end, step, mn_dtype_name(dtype));
    mn_tensor *y = mn_empty(t, MN_F64, 1, &(int64_t){(int64_t)n});
    double *v = y ? (double *)(void *)y->data : NULL;
    for (int64_t i = 0; y && i < y->numel; i++) v[i] = start + (double)i * step;
    return y && dtype != MN_F64 ? mn_to(t, y, dtype) : y;
}

mn_tensor *mn_linspace(mn_tape *t, mn_dtype dtype, double start, double end, int64_t steps)
{
    if (!require_number(t, "mn_linspace", dtype)) return NULL;
    if (steps < 0 || !holds(dtype, start) || !holds(dtype, end))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "mn_linspace: %lld values from %g to %g are not possible in %s",
                            (long long)steps, start, end, mn_dtype_name(dtype));
    mn_tensor *y = mn_empty(t, MN_F64, 1, &steps);
    double *v = y ? (double *)(void *)y->data : NULL;
    const int64_t half = steps > 1 ? steps / 2 : steps;
    const double step = steps > 1 ? (end - start) / (double)(steps - 1) : 0;
    for (int64_t i = 0; y && i < steps; i++)
        v[i] = i < half ? start + (double)i * step : end - (double)(steps - 1 - i) * step;
    return y && dtype != MN_F64 ? mn_to(t, y, dtype) : y;
}

/* ---- random ---- */

typedef void (*draw_fn)(mni_team *team, mn_tensor *x, double low, double high, mn_rng at);

static mn_tensor *drawn(mn_tape *t, const char *who, draw_fn draw, mn_dtype dtype, int ndim,
                        const int64_t *shape, mn_rng *rng)
{
    if (!mni_is_float(dtype))
        return mn_tape_fail(t, MN_ERR_DTYPE, "%s: draws f32 or f64, not %s", who,
                            mn_dtype_name(dtype));
    if (!rng) return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: rng is NULL", who);
    mn_tensor *y = mn_empty(t, dtype, ndim, shape);
    if (y) draw(mni_tape_team(t), y, 0, 1, mni_reserve(t, rng, y->numel, dtype));
    return y;
}

mn_tensor *mn_rand(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng)
{
    return drawn(t, "mn_rand", mni_uniform, dtype, ndim, shape, rng);
}

mn_tensor *mn_randn(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng)
{
    return drawn(t, "mn_randn", mni_normal, dtype, ndim, shape, rng);
}

mn_tensor *mn_rand_like(mn_tape *t, mn_tensor *x, mn_rng *rng)
{
    return readable(t, x) ? mn_rand(t, (mn_dtype)x->dtype, x->ndim, x->shape, rng) : NULL;
}

mn_tensor *mn_randn_like(mn_tape *t, mn_tensor *x, mn_rng *rng)
{
    return readable(t, x) ? mn_randn(t, (mn_dtype)x->dtype, x->ndim, x->shape, rng) : NULL;
}

mn_tensor *mn_randint(mn_tape *t, mn_dtype dtype, int64_t low, int64_t high, int ndim,
                      const int64_t *shape, mn_rng *rng)
{
    static const int64_t most[] = {[MN_F32] = INT64_C(1) << 24,
                                   [MN_F64] = INT64_C(1) << 53,
                                   [MN_I64] = INT64_MAX,
                                   [MN_U8] = 255,
                                   [MN_BOOL] = 1};
    if (!mn_dtype_size(dtype))
        return mn_tape_fail(t, MN_ERR_DTYPE, "mn_randint: %d is not a dtype", (int)dtype);
    if (!rng) return mn_tape_fail(t, MN_ERR_ARGUMENT, "mn_randint: rng is NULL");
    const int64_t least = dtype == MN_I64 ? INT64_MIN : mni_is_float(dtype) ? -most[dtype] : 0;
    if (low >= high || low < least || high - 1 > most[dtype])
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "mn_randint: no %s from %lld to below %lld",
                            mn_dtype_name(dtype), (long long)low, (long long)high);
    mn_tensor *y = mn_empty(t, MN_I64, ndim, shape);
    if (y)
        mni_integers(mni_tape_team(t), y, low, (uint64_t)high - (uint64_t)low,
                     mni_reserve(t, rng, y->numel, MN_F64));
    return y && dtype != MN_I64 ? mn_to(t, y, dtype) : y;
}

mn_tensor *mn_randperm(mn_tape *t, int64_t n, mn_rng *rng)
{
    if (!rng) return mn_tape_fail(t, MN_ERR_ARGUMENT, "mn_randperm: rng is NULL");
    mn_tensor *y = mn_empty(t, MN_I64, 1, &n);
    if (y) mni_permutation(mni_tape_team(t), y, mni_reserve(t, rng, n, MN_F64));
    return y;
}

static void bernoulli_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    gx[0] = mn_zeros_like(t, gy[0]);
}
static const mn_op bernoulli_op = {.name = "bernoulli", .backward = bernoulli_backward};

/* p: contiguous. */
static bool require_probabilities(mn_tape *t, const mn_tensor *p)
{
    char text[MNI_TEXT];
    for (int64_t i = 0; i < p->numel; i++) {
        const double v = p->dtype == MN_F32 ? (double)((const float *)(const void *)p->data)[i]
                                            : ((const double *)(const void *)p->data)[i];
        if (v >= 0 && v <= 1) continue;
        int64_t index[MN_MAX_DIMS], rest = i;
        for (int d = p->ndim - 1; d >= 0; rest /= p->shape[d--]) index[d] = rest % p->shape[d];
        mn_tape_fail(t, MN_ERR_ARGUMENT, "element %s is %g, not within 0 and 1",
                     mni_shape_text(text, sizeof text, p->ndim, index), v);
        return false;
    }
    return true;
}

mn_tensor *mn_bernoulli(mn_tape *t, mn_tensor *p, mn_rng *rng)
{
    if (!mni_begin(t, &bernoulli_op, &p, 1) || !mni_require_float(t, p)) return NULL;
    if (!rng) return mn_tape_fail(t, MN_ERR_ARGUMENT, "rng is NULL");
    mn_tensor *dense = mni_dense(t, p);
    if (!dense || !require_probabilities(t, dense)) return NULL;
    mni_team *team = mni_tape_team(t);
    mn_dtype dtype = (mn_dtype)p->dtype;
    mn_tensor *y = mni_tape_tensor(t, dtype, p->ndim, p->shape);
    mn_tensor *one = mni_tape_tensor(t, MN_BOOL, p->ndim, p->shape);
    if (y && one) {
        mni_uniform(team, y, 0, 1, mni_reserve(t, rng, y->numel, dtype));
        mni_map2(team, mni_kernels()->gt, dense, y, one, NULL);
        mni_copy(team, one, y);
    }
    mn_op_record(t, &bernoulli_op, &p, 1, &y, 1);
    return mn_op_end(t, y);
}

/* ---- conversion ---- */

static void to_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_to(t, gy[0], *(const mn_dtype *)mn_saved_data(n));
}
static const mn_op to_op = {.name = "to", .backward = to_backward};

mn_tensor *mn_to(mn_tape *t, mn_tensor *x, mn_dtype dtype)
{
    if (!mni_begin(t, &to_op, &x, 1)) return NULL;
    mn_dtype from = (mn_dtype)x->dtype;
    mn_tensor *y;
    if (from == dtype) {
        y = mn_op_view(t, x, x->ndim, x->shape, x->strides, 0);
    } else {
        y = mni_tape_tensor(t, dtype, x->ndim, x->shape);
        if (y) mni_copy(mni_tape_team(t), x, y);
    }
    if (mni_is_float(from) && mni_is_float(dtype)) {
        mn_node *n = mn_op_record(t, &to_op, &x, 1, &y, 1);
        mn_save_data(n, &from, sizeof from);
    }
    return mn_op_end(t, y);
}
