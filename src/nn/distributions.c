/*
 * nn/distributions.c: the ways in which a parameter gets its first values. What is drawn comes from the
 * tensors' own uniform and normal draws, whose bits are the same on every machine.
 */
#include "core/memory.h"
#include "nn/module.h"
#include "tensor/compute.h"
#include <math.h>
#include <string.h>

mn_error mn_init_apply(mn_init init, mn_tensor *x, mn_rng *rng)
{
    static const char who[] = "mn_init_apply";
    if (!x || !rng) return mni_pass_null(who, x ? "the generator" : "the tensor");
    if (x == MN_NONE || !init.draw)
        return mn_fail(MN_ERR_ARGUMENT, "%s: %s", who,
                       init.draw ? "the tensor is MN_NONE" : "the mn_init is empty");
    return init.draw(x, rng, init.p);
}

/* ---- shapes ---- */

static mn_error wrong_shape(const char *who, const char *wanted, const mn_tensor *x)
{
    char shape[200];
    return mn_fail(MN_ERR_SHAPE, "%s is for %s, not for %s", who, wanted,
                   mni_shape_text(shape, sizeof shape, x->ndim, x->shape));
}

static mn_error need_float(const char *who, const mn_tensor *x)
{
    return mni_is_float((mn_dtype)x->dtype)
               ? MN_OK
               : mn_fail(MN_ERR_DTYPE, "%s is for f32 or f64, not for %s", who,
                         mn_dtype_name((mn_dtype)x->dtype));
}

static mn_error need_finite(const char *who, const char *what, double value, double least)
{
    return isfinite(value) && value >= least
               ? MN_OK
               : mn_fail(MN_ERR_ARGUMENT, "%s: %s is %g", who, what, value);
}

/* The elements that one output, and one input, is connected with. */
typedef struct fans {
    double in, out;
} fans;

static mn_error fans_of(const char *who, const mn_tensor *x, fans *f)
{
    if (x->ndim < 2) return wrong_shape(who, "two dimensions or more", x);
    double field = 1;
    for (int d = 2; d < x->ndim; d++) field *= (double)x->shape[d];
    *f = (fans){.in = (double)x->shape[1] * field, .out = (double)x->shape[0] * field};
    return MN_OK;
}

/* ---- from a distribution ---- */

static mn_error draw_uniform(mn_tensor *x, mn_rng *rng, const double *p)
{
    return mn_tensor_uniform(x, p[0], p[1], rng);
}

mn_init mn_init_uniform(double low, double high)
{
    return (mn_init){.draw = draw_uniform, .p = {low, high}};
}

static mn_error draw_normal(mn_tensor *x, mn_rng *rng, const double *p)
{
    return mn_tensor_normal(x, p[0], p[1], rng);
}

mn_init mn_init_normal(double mean, double std)
{
    return (mn_init){.draw = draw_normal, .p = {mean, std}};
}

static mn_error draw_constant(mn_tensor *x, mn_rng *rng, const double *p)
{
    (void)rng;
    return mn_tensor_fill(x, p[0]);
}

mn_init mn_init_constant(double value)
{
    return (mn_init){.draw = draw_constant, .p = {value}};
}

/* The position after `at`, in row-major order. */
static void advance(const mn_tensor *x, int64_t *at)
{
    for (int d = x->ndim - 1; d >= 0 && ++at[d] == x->shape[d]; d--) at[d] = 0;
}

/* Replaces what of x is outside by what another draw has at its place; returns whether all was inside. */
static bool replace_outside(mn_tensor *x, mn_tensor *other, double low, double high)
{
    bool inside = true;
    int64_t at[MN_MAX_DIMS] = {0};
    for (int64_t i = 0; i < x->numel; i++, advance(x, at)) {
        double v = mn_tensor_get(x, at);
        if (v >= low && v <= high) continue;
        mn_tensor_set(x, at, mn_tensor_get(other, at));
        inside = false;
    }
    return inside;
}

static mn_error draw_trunc_normal(mn_tensor *x, mn_rng *rng, const double *p)
{
    static const char who[] = "trunc_normal";
    const double mean = p[0], std = p[1], low = p[2], high = p[3];
    mn_error e = need_float(who, x);
    if (!e) e = need_finite(who, "the mean", mean, -INFINITY);
    if (!e && !(std > 0 && isfinite(std)))
        e = mn_fail(MN_ERR_ARGUMENT, "%s: the standard deviation is %g", who, std);
    if (e) return e;
    double share = (erf((high - mean) / std / sqrt(2)) - erf((low - mean) / std / sqrt(2))) / 2;
    if (!(share >= 0.01))
        return mn_fail(MN_ERR_ARGUMENT, "%s: less than 1 %% of N(%g, %g^2) is between %g and %g",
                       who, mean, std, low, high);
    mn_tensor *other = mn_tensor_empty((mn_dtype)x->dtype, x->ndim, x->shape);
    if (!other) return mn_last_error();
    e = mn_tensor_normal(x, mean, std, rng);
    while (!e) {
        e = mn_tensor_normal(other, mean, std, rng);
        if (!e && replace_outside(x, other, low, high)) break;
    }
    mn_release(other);
    return e;
}

mn_init mn_init_trunc_normal(double mean, double std, double low, double high)
{
    return (mn_init){.draw = draw_trunc_normal, .p = {mean, std, low, high}};
}

/* ---- by the number of connections ---- */

static mn_error draw_xavier(const char *who, mn_tensor *x, mn_rng *rng, double gain, bool uniform)
{
    fans f = {1, 1};
    mn_error e = fans_of(who, x, &f);
    if (!e) e = need_float(who, x);
    if (!e) e = need_finite(who, "the gain", gain, 0);
    if (e || !x->numel) return e;
    const double std = gain * sqrt(2 / (f.in + f.out)), a = sqrt(3) * std;
    return uniform ? mn_tensor_uniform(x, -a, a, rng) : mn_tensor_normal(x, 0, std, rng);
}

static mn_error draw_xavier_uniform(mn_tensor *x, mn_rng *rng, const double *p)
{
    return draw_xavier("xavier_uniform", x, rng, p[0], true);
}

static mn_error draw_xavier_normal(mn_tensor *x, mn_rng *rng, const double *p)
{
    return draw_xavier("xavier_normal", x, rng, p[0], false);
}

mn_init mn_init_xavier_uniform(double gain)
{
    return (mn_init){.draw = draw_xavier_uniform, .p = {gain}};
}

mn_init mn_init_xavier_normal(double gain)
{
    return (mn_init){.draw = draw_xavier_normal, .p = {gain}};
}

static mn_error draw_kaiming(const char *who, mn_tensor *x, mn_rng *rng, const double *p,
                             bool uniform)
{
    fans f = {1, 1};
    mn_error e = fans_of(who, x, &f);
    if (!e) e = need_float(who, x);
    if (!e) e = need_finite(who, "the gain", p[1], 0);
    if (!e && p[0] != MN_FAN_IN && p[0] != MN_FAN_OUT)
        e = mn_fail(MN_ERR_ARGUMENT, "%s: %g is no mn_fan", who, p[0]);
    if (e || !x->numel) return e;
    const double std = p[1] / sqrt(p[0] == MN_FAN_IN ? f.in : f.out), a = sqrt(3) * std;
    return uniform ? mn_tensor_uniform(x, -a, a, rng) : mn_tensor_normal(x, 0, std, rng);
}

static mn_error draw_kaiming_uniform(mn_tensor *x, mn_rng *rng, const double *p)
{
    return draw_kaiming("kaiming_uniform", x, rng, p, true);
}

static mn_error draw_kaiming_normal(mn_tensor *x, mn_rng *rng, const double *p)
{
    return draw_kaiming("kaiming_normal", x, rng, p, false);
}

mn_init mn_init_kaiming_uniform(mn_fan fan, double gain)
{
    return (mn_init){.draw = draw_kaiming_uniform, .p = {fan, gain}};
}

mn_init mn_init_kaiming_normal(mn_fan fan, double gain)
{
    return (mn_init){.draw = draw_kaiming_normal, .p = {fan, gain}};
}

double mn_init_gain(mn_nonlinearity nonlinearity, double parameter)
{
    switch (nonlinearity) {
    case MN_NONLINEARITY_LINEAR:
    case MN_NONLINEARITY_SIGMOID:
        return 1;
    case MN_NONLINEARITY_TANH:
        return 5.0 / 3;
    case MN_NONLINEARITY_RELU:
        return sqrt(2);
    case MN_NONLINEARITY_LEAKY_RELU:
        return sqrt(2 / (1 + parameter * parameter));
    case MN_NONLINEARITY_SELU:
        return 0.75;
    }
    mn_fail(MN_ERR_ARGUMENT, "mn_init_gain: %d is no mn_nonlinearity", (int)nonlinearity);
    return NAN;
}

/* ---- identities ---- */

static mn_error draw_eye(mn_tensor *x, mn_rng *rng, const double *p)
{
    (void)rng, (void)p;
    if (x->ndim != 2) return wrong_shape("eye", "a matrix", x);
    mn_error e = mn_tensor_fill(x, 0);
    for (int64_t i = 0; !e && i < x->shape[0] && i < x->shape[1]; i++)
        e = mn_tensor_set(x, (int64_t[]){i, i}, 1);
    return e;
}

mn_init mn_init_eye(void)
{
    return (mn_init){.draw = draw_eye};
}

static mn_error draw_dirac(mn_tensor *x, mn_rng *rng, const double *p)
{
    (void)rng;
    const int64_t groups = (int64_t)p[0];
    if (x->ndim < 3 || x->ndim > 5) return wrong_shape("dirac", "three to five dimensions", x);
    if (groups < 1 || x->shape[0] % groups)
        return mn_fail(MN_ERR_ARGUMENT, "dirac: %lld groups do not divide %lld channels",
                       (long long)groups, (long long)x->shape[0]);
    mn_error e = mn_tensor_fill(x, 0);
    const int64_t outs = x->shape[0] / groups;
    if (!x->numel) return e;
    for (int64_t i = 0; !e && i < x->shape[0]; i++) {
        int64_t at[MN_MAX_DIMS] = {i, i % outs};
        for (int d = 2; d < x->ndim; d++) at[d] = x->shape[d] / 2;
        if (at[1] < x->shape[1]) e = mn_tensor_set(x, at, 1);
    }
    return e;
}

mn_init mn_init_dirac(int64_t groups)
{
    return (mn_init){.draw = draw_dirac, .p = {(double)groups}};
}

/* ---- orthogonal: Gram and Schmidt, twice over each vector ---- */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Makes vector k of v, each of n numbers, a unit vector orthogonal to those before it. Once is not
 * enough where it nearly depends on them; twice is (Giraud et al., 2005). */
static void orthogonalise(double *v, int64_t k, int64_t n)
{
    double *own = v + k * n;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < k; i++) {
            const double *other = v + i * n, share = dot(own, other, n);
            for (int64_t j = 0; j < n; j++) own[j] -= share * other[j];
        }
        const double length = sqrt(dot(own, own, n));
        for (int64_t j = 0; j < n; j++) own[j] /= length;
    }
}

static mn_error draw_orthogonal(mn_tensor *x, mn_rng *rng, const double *p)
{
    static const char who[] = "orthogonal";
    if (x->ndim < 2) return wrong_shape(who, "two dimensions or more", x);
    mn_error e = need_float(who, x);
    if (!e) e = need_finite(who, "the gain", p[0], -INFINITY);
    if (e || !x->numel) return e;
    const int64_t rows = x->shape[0], columns = x->numel / rows;
    const bool wide = rows <= columns; /* its rows are made orthonormal, else its columns */
    const int64_t count = wide ? rows : columns, n = wide ? columns : rows;
    mn_tensor *v = mn_tensor_empty(MN_F64, 2, (int64_t[]){count, n});
    if (!v) return mn_last_error();
    e = mn_tensor_normal(v, 0, 1, rng);
    double *values = e ? NULL : mn_tensor_mutable_data(v);
    for (int64_t k = 0; !e && k < count; k++) orthogonalise(values, k, n);
    int64_t at[MN_MAX_DIMS] = {0};
    for (int64_t i = 0; !e && i < x->numel; i++, advance(x, at)) {
        const int64_t r = i / columns, c = i % columns;
        e = mn_tensor_set(x, at, p[0] * values[wide ? r * n + c : c * n + r]);
    }
    mn_release(v);
    return e;
}

mn_init mn_init_orthogonal(double gain)
{
    return (mn_init){.draw = draw_orthogonal, .p = {gain}};
}

/* ---- sparse ---- */

/* Zeroes `zeros` of the rows of column c, each choice as likely as any other: row r goes with the
 * probability that (zeros left)/(rows left) gives it. */
static mn_error thin(mn_tensor *x, mn_rng *rng, int64_t c, int64_t zeros)
{
    mn_error e = MN_OK;
    for (int64_t r = 0; !e && r < x->shape[0]; r++) {
        if (mn_rng_below(rng, (uint64_t)(x->shape[0] - r)) >= (uint64_t)zeros) continue;
        e = mn_tensor_set(x, (int64_t[]){r, c}, 0);
        zeros--;
    }
    return e;
}

static mn_error draw_sparse(mn_tensor *x, mn_rng *rng, const double *p)
{
    static const char who[] = "sparse";
    if (x->ndim != 2) return wrong_shape(who, "a matrix", x);
    if (!(p[0] >= 0 && p[0] <= 1))
        return mn_fail(MN_ERR_ARGUMENT, "%s: sparsity %g is not between 0 and 1", who, p[0]);
    mn_error e = mn_tensor_normal(x, 0, p[1], rng);
    const int64_t zeros = (int64_t)ceil(p[0] * (double)x->shape[0]);
    for (int64_t c = 0; !e && c < x->shape[1]; c++) e = thin(x, rng, c, zeros);
    return e;
}

mn_init mn_init_sparse(double sparsity, double std)
{
    return (mn_init){.draw = draw_sparse, .p = {sparsity, std}};
}
