/*
 * autograd/ops/select.c: one of several values, element by element: by a condition, the smaller or
 * the larger one, or what lies within bounds. A gradient goes to the value that was taken.
 */
#include "autograd/ops/ops.h"
#include <math.h>

static bool require_bool(mn_tape *t, const mn_tensor *x, const char *what)
{
    if (x->dtype == MN_BOOL) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "the %s is %s, not bool: write mn_to(t, %s, MN_BOOL)", what,
                 mn_dtype_name((mn_dtype)x->dtype), what);
    return false;
}

/* ---- where ---- */

static void where_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *condition = mn_saved(n, 0);
    mn_tensor *zero = mn_zeros(t, mn_tensor_dtype(gy[0]), 0, NULL);
    if (mn_needs(n, 1)) gx[1] = mn_where(t, condition, gy[0], zero);
    if (mn_needs(n, 2)) gx[2] = mn_where(t, condition, zero, gy[0]);
}
static const mn_op where_op = {
    .name = "where", .backward = where_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_where(mn_tape *t, mn_tensor *condition, mn_tensor *a, mn_tensor *b)
{
    mn_tensor *in[] = {condition, a, b};
    if (!mni_begin(t, &where_op, in, 3) || !require_bool(t, condition, "condition") ||
        !mni_require_same_dtype(t, a, b))
        return NULL;
    mn_tensor *y = mni_broadcast_output3(t, (mn_dtype)a->dtype, condition, a, b);
    if (y) mni_map3(mni_tape_team(t), mni_kernels()->where, a, b, condition, y, NULL);
    mn_node *n = mn_op_record(t, &where_op, in, 3, &y, 1);
    mn_save(n, condition);
    return mn_op_end(t, y);
}

/* ---- masked_fill ---- */

static void masked_fill_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_masked_fill(t, gy[0], mn_saved(n, 0), 0);
}
static const mn_op masked_fill_op = {
    .name = "masked_fill", .backward = masked_fill_backward, .flags = MN_OP_FILLS};
static const mn_op masked_fill_in_place_op = {
    .name = "masked_fill_", .backward = masked_fill_backward, .flags = MN_OP_FILLS | MNI_IN_PLACE};

static mn_tensor *masked_fill(mn_tape *t, const mn_op *op, mn_tensor *x, mn_tensor *mask,
                              double value)
{
    mask = mni_apart(t, op, x, mask);
    if (!mni_begin(t, op, (mn_tensor *[]){x, mask}, 2) || !require_bool(t, mask, "mask") ||
        !mni_require_scalar(t, x, value) || !mni_require_stretch(t, x, mask))
        return NULL;
    mn_tensor *y = mni_result(t, op, x);
    mni_number number;
    const mn_tensor *c = mni_number_of(&number, (mn_dtype)x->dtype, value);
    if (y) mni_map3(mni_tape_team(t), mni_kernels()->where, c, x, mask, y, NULL);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, mask);
    return mn_op_end(t, y);
}

mn_tensor *mn_masked_fill(mn_tape *t, mn_tensor *x, mn_tensor *mask, double value)
{
    return masked_fill(t, &masked_fill_op, x, mask, value);
}

mn_tensor *mn_masked_fill_(mn_tape *t, mn_tensor *x, mn_tensor *mask, double value)
{
    return masked_fill(t, &masked_fill_in_place_op, x, mask, value);
}

/* ---- minimum and maximum ---- */

/* gy to the one that was taken, half of it to each of equal ones, all of it to both where either is
 * NaN. */
static void share_extreme(mn_tape *t, mn_node *n, mn_tensor *gy, mn_tensor **gx, bool largest)
{
    mn_tensor *a = mn_saved(n, 0), *b = mn_saved(n, 1);
    mn_tensor *shared = mn_where(t, mn_eq(t, a, b), mn_mul_scalar(t, gy, 0.5), gy);
    for (int i = 0; i < 2; i++)
        if (mn_needs(n, i))
            gx[i] =
                mn_masked_fill(t, shared, (i == 0) == largest ? mn_lt(t, a, b) : mn_gt(t, a, b), 0);
}

static void minimum_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    share_extreme(t, n, gy[0], gx, false);
}
static const mn_op minimum_op = {
    .name = "minimum", .backward = minimum_backward, .flags = MN_OP_BROADCASTS};

static void maximum_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    share_extreme(t, n, gy[0], gx, true);
}
static const mn_op maximum_op = {
    .name = "maximum", .backward = maximum_backward, .flags = MN_OP_BROADCASTS};

static mn_tensor *extreme(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *a,
                          mn_tensor *b)
{
    mn_node *n;
    mn_tensor *y = mni_binary(t, op, kernel, a, b, NULL, &n);
    mn_save(n, a);
    mn_save(n, b);
    return mn_op_end(t, y);
}

mn_tensor *mn_minimum(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return extreme(t, &minimum_op, mni_kernels()->minimum, a, b);
}

mn_tensor *mn_maximum(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return extreme(t, &maximum_op, mni_kernels()->maximum, a, b);
}

/* ---- clamp ---- */

/* Saved: low, high. dy/dx = 1 within the bounds and on them: where clamping changes nothing, but for
 * bounds in the wrong order, which nothing is within. */
static void clamp_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double *bound = mn_saved_data(n);
    if (bound[0] <= bound[1]) {
        mn_tensor *x = mn_detach(t, mn_saved(n, 0));
        gx[0] = mn_masked_fill(t, gy[0], mn_ne(t, x, mn_clamp(t, x, bound[0], bound[1])), 0);
    } else {
        gx[0] = mn_zeros_like(t, gy[0]);
    }
}
static const mn_op clamp_op = {.name = "clamp", .backward = clamp_backward};
static const mn_op clamp_in_place_op = {
    .name = "clamp_", .backward = clamp_backward, .flags = MNI_IN_PLACE};

static mn_tensor *clamp(mn_tape *t, const mn_op *op, mn_tensor *x, double low, double high)
{
    mn_tensor *before = mni_before(t, op, x, mn_tensor_requires_grad(x));
    if (!mni_begin(t, op, &x, 1)) return NULL;
    if (x->dtype == MN_BOOL) return mn_tape_fail(t, MN_ERR_DTYPE, "does not take bool");
    if ((low != -INFINITY && !mni_require_scalar(t, x, low)) ||
        (high != INFINITY && !mni_require_scalar(t, x, high)))
        return NULL;
    mn_tensor *y = mni_result(t, op, x);
    mni_number a, b;
    mni_number_of(&a, (mn_dtype)x->dtype, low < high ? low : high);
    mni_number_of(&b, (mn_dtype)x->dtype, high);
    if (y && (isnan(low) || isnan(high)))
        mni_fill(mni_tape_team(t), y, NAN);
    else if (y)
        mni_map3(mni_tape_team(t), mni_kernels()->clamp, x, &a.tensor, &b.tensor, y, NULL);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, before);
    mn_save_data(n, (double[]){low, high}, 2 * sizeof(double));
    return mn_op_end(t, y);
}

mn_tensor *mn_clamp(mn_tape *t, mn_tensor *x, double low, double high)
{
    return clamp(t, &clamp_op, x, low, high);
}

mn_tensor *mn_clamp_(mn_tape *t, mn_tensor *x, double low, double high)
{
    return clamp(t, &clamp_in_place_op, x, low, high);
}
