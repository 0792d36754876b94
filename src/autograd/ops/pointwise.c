/*
 * autograd/ops/pointwise.c: arithmetic with broadcasting, and comparisons.
 * The gradients of binary ops have the output's shape; the engine sums them down to the inputs'.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* ---- arithmetic ---- */

static void add_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
    gx[1] = gy[0];
}
static const mn_op add_op = {.name = "add", .backward = add_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_add(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    return mn_op_end(t, mni_binary(t, &add_op, mni_kernels()->add, a, b, NULL, &n));
}

static void sub_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gy[0];
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, gy[0]);
}
static const mn_op sub_op = {.name = "sub", .backward = sub_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_sub(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    return mn_op_end(t, mni_binary(t, &sub_op, mni_kernels()->sub, a, b, NULL, &n));
}

static void mul_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    if (mn_needs(n, 0)) gx[0] = mn_mul(t, gy[0], mn_saved(n, 1));
    if (mn_needs(n, 1)) gx[1] = mn_mul(t, gy[0], mn_saved(n, 0));
}
static const mn_op mul_op = {.name = "mul", .backward = mul_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_mul(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    mn_tensor *y = mni_binary(t, &mul_op, mni_kernels()->mul, a, b, NULL, &n);
    mni_save_if(n, mn_tensor_requires_grad(b), a, b);
    mni_save_if(n, mn_tensor_requires_grad(a), b, a);
    return mn_op_end(t, y);
}

/* y = a / b: dy/da = 1 / b, dy/db = -y / b. */
static void div_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *g = mn_div(t, gy[0], mn_saved(n, 0));
    gx[0] = g;
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, mn_mul(t, g, mn_saved(n, 1)));
}
static const mn_op div_op = {.name = "div", .backward = div_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_div(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    mn_tensor *y = mni_binary(t, &div_op, mni_kernels()->div, a, b, NULL, &n);
    mn_save(n, b);
    mni_save_if(n, mn_tensor_requires_grad(b), y, b);
    return mn_op_end(t, y);
}

/* Integers take only numbers that they can hold: a half would silently become zero. */
static bool scalar_fits(mn_tape *t, const mn_op *op, mn_tensor *x, double s)
{
    if (!mni_begin(t, op, &x, 1)) return false;
    bool fits = mni_is_float((mn_dtype)x->dtype) ||
                (s == floor(s) && (x->dtype == MN_U8 ? s >= 0 && s <= 255 : fabs(s) < 0x1p63));
    if (!fits)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%g is not a value of %s: write mn_to(t, x, MN_F32) first",
                     s, mn_dtype_name((mn_dtype)x->dtype));
    return fits;
}

static void same_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}
static const mn_op add_scalar_op = {.name = "add_scalar", .backward = same_backward};

mn_tensor *mn_add_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    if (!scalar_fits(t, &add_scalar_op, x, s)) return NULL;
    return mn_op_end(t, mni_unary(t, &add_scalar_op, mni_kernels()->add_scalar, x, &s, &n));
}

static const mn_op sub_scalar_op = {.name = "sub_scalar", .backward = same_backward};

mn_tensor *mn_sub_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    if (!scalar_fits(t, &sub_scalar_op, x, s)) return NULL;
    double minus = x->dtype == MN_U8 && s > 0 ? 256 - s : -s; /* bytes wrap */
    return mn_op_end(t, mni_unary(t, &sub_scalar_op, mni_kernels()->add_scalar, x, &minus, &n));
}

static void mul_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul_scalar(t, gy[0], *(const double *)mn_saved_data(n));
}
static const mn_op mul_scalar_op = {.name = "mul_scalar", .backward = mul_scalar_backward};

mn_tensor *mn_mul_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    if (!scalar_fits(t, &mul_scalar_op, x, s)) return NULL;
    mn_tensor *y = mni_unary(t, &mul_scalar_op, mni_kernels()->mul_scalar, x, &s, &n);
    mn_save_data(n, &s, sizeof s);
    return mn_op_end(t, y);
}

static void div_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div_scalar(t, gy[0], *(const double *)mn_saved_data(n));
}
static const mn_op div_scalar_op = {.name = "div_scalar", .backward = div_scalar_backward};

mn_tensor *mn_div_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    mn_tensor *y = mni_unary(t, &div_scalar_op, mni_kernels()->div_scalar, x, &s, &n);
    mn_save_data(n, &s, sizeof s);
    return mn_op_end(t, y);
}

/* ---- comparisons ---- */

static mn_tensor *compare(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *a,
                          mn_tensor *b)
{
    if (!mni_begin(t, op, (mn_tensor *[]){a, b}, 2) || !mni_require_same_dtype(t, a, b))
        return NULL;
    mn_tensor *y = mni_broadcast_output(t, MN_BOOL, a, b);
    if (y) mni_map2(mni_tape_team(t), kernel, a, b, y, NULL);
    return mn_op_end(t, y);
}

static const mn_op eq_op = {.name = "eq"};

mn_tensor *mn_eq(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return compare(t, &eq_op, mni_kernels()->eq, a, b);
}

static const mn_op gt_op = {.name = "gt"};

mn_tensor *mn_gt(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return compare(t, &gt_op, mni_kernels()->gt, a, b);
}

static const mn_op gt_scalar_op = {.name = "gt_scalar"};

mn_tensor *mn_gt_scalar(mn_tape *t, mn_tensor *x, double s)
{
    if (!mni_begin(t, &gt_scalar_op, &x, 1)) return NULL;
    if (x->dtype == MN_F32) s = (double)(float)s; /* 0.1f is not above 0.1 */
    mn_tensor *y = mni_tape_tensor(t, MN_BOOL, x->ndim, x->shape);
    if (y) mni_map1(mni_tape_team(t), mni_kernels()->gt_scalar, x, y, &s);
    return mn_op_end(t, y);
}
