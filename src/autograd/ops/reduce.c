/*
 * autograd/ops/reduce.c: sums, products, moments, norms and tests, over everything or over chosen
 * dimensions.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* ---- what is reduced ---- */

typedef struct reduction {
    bool reduced[MN_MAX_DIMS];
    double count; /* elements that fall together */
    double p;     /* the op's own: a correction, the order of a norm */
} reduction;

typedef struct target {
    reduction r;
    int ndim; /* of the result */
    int64_t shape[MN_MAX_DIMS];
} target;

static const int every[1]; /* as dims: all of them */

/* The entry check; fills in what is reduced and to which shape. */
static bool begin(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n, bool keepdim,
                  target *to)
{
    *to = (target){.r.count = 1};
    if (!mni_begin(t, op, &x, 1)) return false;
    int found[MN_MAX_DIMS];
    if (dims != every && !mni_require_dims(t, x, dims, n, found)) return false;
    bool *reduced = to->r.reduced;
    for (int i = 0; i < n; i++) reduced[found[i]] = true;
    for (int d = 0; d < x->ndim; d++) {
        reduced[d] = reduced[d] || dims == every;
        if (reduced[d]) to->r.count *= (double)x->shape[d];
        if (!reduced[d] || keepdim) to->shape[to->ndim++] = reduced[d] ? 1 : x->shape[d];
    }
    return true;
}

static mn_tensor *result(mn_tape *t, mn_dtype dtype, const target *to)
{
    return mni_tape_tensor(t, dtype, to->ndim, to->shape);
}

static mn_tensor *finish(mn_tape *t, const mn_op *op, mn_tensor *x, const target *to, mn_tensor *y,
                         bool save_x, bool save_y)
{
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    if (save_x) mn_save(n, x);
    if (save_y) mn_save(n, y);
    mn_save_data(n, &to->r, sizeof to->r);
    return mn_op_end(t, y);
}

/* v, of the result's shape, with the reduced dimensions back as sizes of 1, so that it broadcasts
 * to the input's. */
static mn_tensor *aligned(mn_tape *t, mn_node *n, mn_tensor *v)
{
    const reduction *r = mn_saved_data(n);
    int64_t kept[MN_MAX_DIMS];
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    for (int d = 0; d < ndim; d++) kept[d] = r->reduced[d] ? 1 : shape[d];
    return mn_reshape(t, v, ndim, kept);
}

/* gy, stretched over what was summed. */
static mn_tensor *stretched(mn_tape *t, mn_node *n, mn_tensor *gy)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    return mn_expand(t, aligned(t, n, gy), ndim, shape);
}

/* The op f_dim over the dimensions that n reduced, left in place. */
static mn_tensor *again(mn_tape *t, mn_node *n, mn_tensor *x,
                        mn_tensor *(*f_dim)(mn_tape *, mn_tensor *, const int *, int, bool))
{
    const reduction *r = mn_saved_data(n);
    int dims[MN_MAX_DIMS], k = 0;
    for (int d = 0; d < MN_MAX_DIMS; d++)
        if (r->reduced[d]) dims[k++] = d;
    return f_dim(t, x, dims, k, true);
}

/* ---- powers, for gradients: |x|^p, times the sign of x when odd; 0 for x = 0 when p < 0 ---- */

static mn_tensor *power(mn_tape *t, mn_tensor *x, double p, bool odd);

/* dy/dx = p |x|^(p - 1), times the sign where y had none. Saved data: p, odd. */
static void power_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double *p = mn_saved_data(n);
    mn_tensor *rest = power(t, mn_saved(n, 0), p[0] - 1, p[1] == 0);
    gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, rest, p[0]));
}
static const mn_op power_op = {.name = "power", .backward = power_backward};

static mn_tensor *power(mn_tape *t, mn_tensor *x, double p, bool odd)
{
    const double numbers[] = {p, odd};
    mn_node *n;
    mn_tensor *y = mni_unary(t, &power_op, mni_plain.power, x, numbers, &n);
    mn_save(n, x);
    mn_save_data(n, numbers, sizeof numbers);
    return mn_op_end(t, y);
}

/* ---- sum and mean ---- */

static void sum_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = stretched(t, n, gy[0]);
}
static const mn_op sum_op = {.name = "sum", .backward = sum_backward};
static const mn_op sum_dim_op = {.name = "sum_dim", .backward = sum_backward};

static mn_tensor *sum(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                      bool keepdim)
{
    target to;
    if (!begin(t, op, x, dims, n, keepdim, &to)) return NULL;
    const bool small = x->dtype == MN_U8 || x->dtype == MN_BOOL;
    mn_tensor *y = result(t, small ? MN_I64 : (mn_dtype)x->dtype, &to);
    if (y) mni_sum(mni_tape_team(t), x, to.r.reduced, y, false);
    return finish(t, op, x, &to, y, false, false);
}

mn_tensor *mn_sum(mn_tape *t, mn_tensor *x)
{
    return sum(t, &sum_op, x, every, 0, false);
}

mn_tensor *mn_sum_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return sum(t, &sum_dim_op, x, dims, n, keepdim);
}

static void mean_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const reduction *r = mn_saved_data(n);
    gx[0] = stretched(t, n, mn_div_scalar(t, gy[0], r->count));
}
static const mn_op mean_op = {.name = "mean", .backward = mean_backward};
static const mn_op mean_dim_op = {.name = "mean_dim", .backward = mean_backward};

static mn_tensor *mean(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                       bool keepdim)
{
    target to;
    if (!begin(t, op, x, dims, n, keepdim, &to) || !mni_require_float(t, x)) return NULL;
    mn_tensor *y = result(t, (mn_dtype)x->dtype, &to);
    if (y) mni_sum(mni_tape_team(t), x, to.r.reduced, y, false);
    if (y) mni_map1(mni_tape_team(t), mni_kernels()->div_scalar, y, y, &to.r.count);
    return finish(t, op, x, &to, y, false, false);
}

mn_tensor *mn_mean(mn_tape *t, mn_tensor *x)
{
    return mean(t, &mean_op, x, every, 0, false);
}

mn_tensor *mn_mean_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return mean(t, &mean_dim_op, x, dims, n, keepdim);
}

/* ---- prod ---- */

/* Several dimensions become one, the columns of a matrix. */
static void prod_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const reduction *r = mn_saved_data(n);
    int order[MN_MAX_DIMS], place[MN_MAX_DIMS], ndim, k = 0, columns = 0;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    int64_t ordered[MN_MAX_DIMS], matrix[2] = {1, 1};
    for (int last = 0; last < 2; last++)
        for (int d = 0; d < ndim; d++) {
            if (r->reduced[d] != last) continue;
            matrix[last] *= shape[d];
            columns += last;
            ordered[k] = shape[d];
            place[d] = k;
            order[k++] = d;
        }
    mn_tensor *x = mn_saved(n, 0);
    if (columns == 1) {
        gx[0] = mni_prod_gradient(t, x, aligned(t, n, gy[0]), order[ndim - 1]);
        return;
    }
    x = mn_reshape(t, mn_permute(t, x, order), 2, matrix);
    mn_tensor *g = mn_reshape(t, gy[0], 2, (int64_t[]){matrix[0], 1});
    gx[0] = mn_permute(t, mn_reshape(t, mni_prod_gradient(t, x, g, 1), ndim, ordered), place);
}
static const mn_op prod_op = {.name = "prod", .backward = prod_backward};
static const mn_op prod_dim_op = {.name = "prod_dim", .backward = prod_backward};

static mn_tensor *prod(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                       bool keepdim)
{
    target to;
    if (!begin(t, op, x, dims, n, keepdim, &to)) return NULL;
    mn_tensor *wide = mni_wide(t, x), *y = wide ? result(t, (mn_dtype)wide->dtype, &to) : NULL;
    if (y) mni_fold(mni_tape_team(t), MNI_PRODUCT, NULL, wide, to.r.reduced, y);
    return finish(t, op, x, &to, y, true, false);
}

mn_tensor *mn_prod(mn_tape *t, mn_tensor *x)
{
    return prod(t, &prod_op, x, every, 0, false);
}

mn_tensor *mn_prod_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return prod(t, &prod_dim_op, x, dims, n, keepdim);
}

/* ---- var and std; p: the correction ---- */

/* g (x - mean) / (count - correction). */
static mn_tensor *spread(mn_tape *t, mn_node *n, mn_tensor *g)
{
    const reduction *r = mn_saved_data(n);
    mn_tensor *x = mn_saved(n, 0);
    mn_tensor *apart = mn_sub(t, x, again(t, n, x, mn_mean_dim));
    return mn_mul(t, apart, aligned(t, n, mn_mul_scalar(t, g, 1 / (r->count - r->p))));
}

static void var_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = spread(t, n, mn_mul_scalar(t, gy[0], 2));
}
static const mn_op var_op = {.name = "var", .backward = var_backward};
static const mn_op var_dim_op = {.name = "var_dim", .backward = var_backward};

static void std_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = spread(t, n, mn_mul(t, gy[0], power(t, mn_saved(n, 1), -1, true)));
}
static const mn_op std_op = {.name = "std", .backward = std_backward};
static const mn_op std_dim_op = {.name = "std_dim", .backward = std_backward};

static mn_tensor *var(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                      int correction, bool keepdim, bool root)
{
    target to;
    if (!begin(t, op, x, dims, n, keepdim, &to) || !mni_require_float(t, x)) return NULL;
    to.r.p = correction;
    mn_tensor *y = result(t, (mn_dtype)x->dtype, &to), *a = result(t, (mn_dtype)x->dtype, &to);
    mn_tensor *b = result(t, (mn_dtype)x->dtype, &to);
    if (b) mni_variance(mni_tape_team(t), x, to.r.reduced, correction, y, a, b);
    if (b && root) mni_map1(mni_tape_team(t), mni_kernels()->sqrt, y, y, NULL);
    return finish(t, op, x, &to, y, true, root);
}

mn_tensor *mn_var(mn_tape *t, mn_tensor *x, int correction)
{
    return var(t, &var_op, x, every, 0, correction, false, false);
}

mn_tensor *mn_var_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, int correction,
                      bool keepdim)
{
    return var(t, &var_dim_op, x, dims, n, correction, keepdim, false);
}

mn_tensor *mn_std(mn_tape *t, mn_tensor *x, int correction)
{
    return var(t, &std_op, x, every, 0, correction, false, true);
}

mn_tensor *mn_std_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, int correction,
                      bool keepdim)
{
    return var(t, &std_dim_op, x, dims, n, correction, keepdim, true);
}

/* ---- norm; p: its order ---- */

/* dy/dx = sign(x) (|x| / y)^(p - 1), 0 where y is 0. Those that are the largest (p = infinity) or
 * smallest share evenly. */
static void norm_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0), *y = mn_saved(n, 1), *g = gy[0];
    const double p = ((const reduction *)mn_saved_data(n))->p;
    if (p == 0) {
        gx[0] = mn_zeros_like(t, x);
    } else if (isinf(p)) {
        mn_tensor *there = mn_eq(t, mn_abs(t, x), aligned(t, n, y));
        mn_tensor *sign = mn_mul(t, mn_sign(t, x), mn_to(t, there, mn_tensor_dtype(x)));
        mn_tensor *share = power(t, again(t, n, mn_square(t, sign), mn_sum_dim), -1, false);
        gx[0] = mn_mul(t, sign, mn_mul(t, aligned(t, n, g), share));
    } else {
        if (p != 1) g = mn_mul(t, g, power(t, y, 1 - p, false));
        if (p != 2) x = power(t, x, p - 1, true);
        gx[0] = mn_mul(t, x, aligned(t, n, g));
    }
}
static const mn_op norm_op = {.name = "norm", .backward = norm_backward};
static const mn_op norm_dim_op = {.name = "norm_dim", .backward = norm_backward};

static mn_tensor *norm(mn_tape *t, const mn_op *op, mn_tensor *x, double p, const int *dims, int n,
                       bool keepdim)
{
    target to;
    if (!begin(t, op, x, dims, n, keepdim, &to) || !mni_require_float(t, x)) return NULL;
    if (isnan(p)) return mn_tape_fail(t, MN_ERR_ARGUMENT, "the order of the norm is NaN");
    if ((p < 0 || isinf(p)) && to.r.count == 0)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no norm of order %g of no elements", p);
    to.r.p = p;
    mn_tensor *y = result(t, (mn_dtype)x->dtype, &to);
    if (y) mni_norm(mni_tape_team(t), x, to.r.reduced, p, y);
    return finish(t, op, x, &to, y, true, true);
}

mn_tensor *mn_norm(mn_tape *t, mn_tensor *x, double p)
{
    return norm(t, &norm_op, x, p, every, 0, false);
}

mn_tensor *mn_norm_dim(mn_tape *t, mn_tensor *x, double p, const int *dims, int n, bool keepdim)
{
    return norm(t, &norm_dim_op, x, p, dims, n, keepdim);
}

/* ---- logsumexp ---- */

/* dy/dx = e^(x - y). */
static void logsumexp_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *share = mn_exp(t, mn_sub(t, mn_saved(n, 0), aligned(t, n, mn_saved(n, 1))));
    gx[0] = mn_mul(t, share, aligned(t, n, gy[0]));
}
static const mn_op logsumexp_op = {.name = "logsumexp", .backward = logsumexp_backward};
static const mn_op logsumexp_dim_op = {.name = "logsumexp_dim", .backward = logsumexp_backward};

static mn_tensor *logsumexp(mn_tape *t, const mn_op *op, mn_tensor *x, const int *dims, int n,
                            bool keepdim)
{
    target to;
    if (!begin(t, op, x, dims, n, keepdim, &to) || !mni_require_float(t, x)) return NULL;
    mn_tensor *y = result(t, (mn_dtype)x->dtype, &to), *a = result(t, (mn_dtype)x->dtype, &to);
    if (a) mni_logsumexp(mni_tape_team(t), x, to.r.reduced, y, a);
    return finish(t, op, x, &to, y, true, true);
}

mn_tensor *mn_logsumexp(mn_tape *t, mn_tensor *x)
{
    return logsumexp(t, &logsumexp_op, x, every, 0, false);
}

mn_tensor *mn_logsumexp_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    return logsumexp(t, &logsumexp_dim_op, x, dims, n, keepdim);
}

/* ---- count_nonzero, any, all ---- */

static mn_tensor *count_nonzero(mn_tape *t, mn_tensor *x, const target *to)
{
    const mni_term not_0 = {.f = mni_kernels()->copy[MN_BOOL], .bools = true};
    mn_tensor *y = result(t, MN_I64, to);
    if (y) mni_fold(mni_tape_team(t), MNI_SUM, &not_0, x, to->r.reduced, y);
    return y;
}

/* Whether more than that many elements are not 0. */
static mn_tensor *more_than(mn_tape *t, mn_tensor *x, const target *to, double number)
{
    mn_tensor *count = count_nonzero(t, x, to), *y = result(t, MN_BOOL, to);
    const int64_t *n = y ? mn_tensor_data(count) : NULL;
    for (int64_t i = 0; y && i < y->numel; i++) ((bool *)y->data)[i] = (double)n[i] > number;
    return mn_op_end(t, y);
}

static const mn_op count_nonzero_op = {.name = "count_nonzero"};

mn_tensor *mn_count_nonzero(mn_tape *t, mn_tensor *x)
{
    target to;
    if (!begin(t, &count_nonzero_op, x, every, 0, false, &to)) return NULL;
    return mn_op_end(t, count_nonzero(t, x, &to));
}

static const mn_op count_nonzero_dim_op = {.name = "count_nonzero_dim"};

mn_tensor *mn_count_nonzero_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    target to;
    if (!begin(t, &count_nonzero_dim_op, x, dims, n, keepdim, &to)) return NULL;
    return mn_op_end(t, count_nonzero(t, x, &to));
}

static const mn_op any_op = {.name = "any"};

mn_tensor *mn_any(mn_tape *t, mn_tensor *x)
{
    target to;
    return begin(t, &any_op, x, every, 0, false, &to) ? more_than(t, x, &to, 0) : NULL;
}

static const mn_op any_dim_op = {.name = "any_dim"};

mn_tensor *mn_any_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    target to;
    return begin(t, &any_dim_op, x, dims, n, keepdim, &to) ? more_than(t, x, &to, 0) : NULL;
}

static const mn_op all_op = {.name = "all"};

mn_tensor *mn_all(mn_tape *t, mn_tensor *x)
{
    target to;
    return begin(t, &all_op, x, every, 0, false, &to) ? more_than(t, x, &to, to.r.count - 1) : NULL;
}

static const mn_op all_dim_op = {.name = "all_dim"};

mn_tensor *mn_all_dim(mn_tape *t, mn_tensor *x, const int *dims, int n, bool keepdim)
{
    target to;
    return begin(t, &all_dim_op, x, dims, n, keepdim, &to) ? more_than(t, x, &to, to.r.count - 1)
                                                           : NULL;
}
