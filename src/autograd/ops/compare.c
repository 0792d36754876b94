/*
 * autograd/ops/compare.c: comparisons with tensors and numbers, and logic. All give bool and have no
 * gradient.
 */
#include "autograd/ops/ops.h"
#include <math.h>

typedef enum relation { EQ, NE, GT, GE, LT, LE } relation;

static const mni_binary_fn *kernel_of(relation r)
{
    const mni_kernel_table *k = mni_kernels();
    return r == EQ ? k->eq : r == NE ? k->ne : r == GT || r == LT ? k->gt : k->ge;
}

static void relate(mn_tape *t, relation r, const mn_tensor *a, const mn_tensor *b, mn_tensor *y)
{
    bool swap = r == LT || r == LE;
    if (y) mni_map2(mni_tape_team(t), kernel_of(r), swap ? b : a, swap ? a : b, y, NULL);
}

/* ---- with a tensor ---- */

static mn_tensor *compare(mn_tape *t, const mn_op *op, relation r, mn_tensor *a, mn_tensor *b)
{
    if (!mni_begin(t, op, (mn_tensor *[]){a, b}, 2) || !mni_require_same_dtype(t, a, b))
        return NULL;
    mn_tensor *y = mni_broadcast_output(t, MN_BOOL, a, b);
    relate(t, r, a, b, y);
    return mn_op_end(t, y);
}

mn_tensor *mn_eq(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "eq"};
    return compare(t, &op, EQ, a, b);
}

mn_tensor *mn_ne(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "ne"};
    return compare(t, &op, NE, a, b);
}

mn_tensor *mn_gt(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "gt"};
    return compare(t, &op, GT, a, b);
}

mn_tensor *mn_ge(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "ge"};
    return compare(t, &op, GE, a, b);
}

mn_tensor *mn_lt(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "lt"};
    return compare(t, &op, LT, a, b);
}

mn_tensor *mn_le(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "le"};
    return compare(t, &op, LE, a, b);
}

/* ---- with a number ---- */

/* Compares integers exactly with a number that may be a fraction or out of their range: where a
 * whole number in range does as well (x > 2.5 as x > 2), that is *s; else all x compare as 0 does,
 * and false is returned. */
static bool whole_bound(relation r, mn_dtype dtype, double *s)
{
    double whole = r == GT || r == LE ? floor(*s) : ceil(*s);
    double low = dtype == MN_I64 ? -0x1p63 : 0, high = dtype == MN_I64 ? 0x1p63 : 256;
    if (!(whole >= low && whole < high) || ((r == EQ || r == NE) && whole != *s)) return false;
    *s = whole;
    return true;
}

static mn_tensor *compare_scalar(mn_tape *t, const mn_op *op, relation r, mn_tensor *x, double s)
{
    if (!mni_begin(t, op, &x, 1)) return NULL;
    mn_dtype dtype = x->dtype == MN_BOOL ? MN_U8 : (mn_dtype)x->dtype;
    mn_tensor *y = mni_tape_tensor(t, MN_BOOL, x->ndim, x->shape);
    mni_number zero, number;
    const mn_tensor *a = x;
    if (!mni_is_float(dtype) && !whole_bound(r, dtype, &s)) {
        dtype = MN_F64;
        a = mni_number_of(&zero, dtype, 0);
    }
    relate(t, r, a, mni_number_of(&number, dtype, s), y);
    return mn_op_end(t, y);
}

mn_tensor *mn_eq_scalar(mn_tape *t, mn_tensor *x, double s)
{
    static const mn_op op = {.name = "eq_scalar"};
    return compare_scalar(t, &op, EQ, x, s);
}

mn_tensor *mn_ne_scalar(mn_tape *t, mn_tensor *x, double s)
{
    static const mn_op op = {.name = "ne_scalar"};
    return compare_scalar(t, &op, NE, x, s);
}

mn_tensor *mn_gt_scalar(mn_tape *t, mn_tensor *x, double s)
{
    static const mn_op op = {.name = "gt_scalar"};
    return compare_scalar(t, &op, GT, x, s);
}

mn_tensor *mn_ge_scalar(mn_tape *t, mn_tensor *x, double s)
{
    static const mn_op op = {.name = "ge_scalar"};
    return compare_scalar(t, &op, GE, x, s);
}

mn_tensor *mn_lt_scalar(mn_tape *t, mn_tensor *x, double s)
{
    static const mn_op op = {.name = "lt_scalar"};
    return compare_scalar(t, &op, LT, x, s);
}

mn_tensor *mn_le_scalar(mn_tape *t, mn_tensor *x, double s)
{
    static const mn_op op = {.name = "le_scalar"};
    return compare_scalar(t, &op, LE, x, s);
}

/* ---- logic ---- */

static const mn_tensor *truth(mn_tape *t, mn_tensor *x)
{
    if (x->dtype == MN_BOOL) return x;
    mn_tensor *y = mni_tape_tensor(t, MN_BOOL, x->ndim, x->shape);
    if (y) mni_copy(mni_tape_team(t), x, y);
    return y;
}

static mn_tensor *logic(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *a,
                        mn_tensor *b)
{
    if (!mni_begin(t, op, (mn_tensor *[]){a, b}, 2)) return NULL;
    mn_tensor *y = mni_broadcast_output(t, MN_BOOL, a, b);
    const mn_tensor *p = truth(t, a), *q = truth(t, b);
    if (y && p && q) mni_map2(mni_tape_team(t), kernel, p, q, y, NULL);
    return mn_op_end(t, y);
}

mn_tensor *mn_logical_and(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "logical_and"};
    return logic(t, &op, mni_kernels()->minimum, a, b);
}

mn_tensor *mn_logical_or(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "logical_or"};
    return logic(t, &op, mni_kernels()->maximum, a, b);
}

mn_tensor *mn_logical_xor(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "logical_xor"};
    return logic(t, &op, mni_kernels()->ne, a, b);
}

mn_tensor *mn_logical_not(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "logical_not"};
    return compare_scalar(t, &op, EQ, x, 0);
}
