/*
 * autograd/ops/write.c: new values over old ones, whose gradient is 0 from then on.
 */
#include "autograd/ops/ops.h"

static void fill_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    gx[0] = mn_zeros_like(t, gy[0]);
}
static const mn_op fill_op = {.name = "fill_", .backward = fill_backward, .flags = MN_OP_FILLS};
static const mn_op zero_op = {.name = "zero_", .backward = fill_backward};

static mn_tensor *fill(mn_tape *t, const mn_op *op, mn_tensor *x, double value)
{
    if (!mni_begin(t, op, &x, 1) || !mni_require_scalar(t, x, value)) return NULL;
    mn_tensor *y = mn_op_overwrite(t, x);
    if (y) mni_fill(mni_tape_team(t), y, value);
    mn_op_record(t, op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

mn_tensor *mn_zero_(mn_tape *t, mn_tensor *x)
{
    return fill(t, &zero_op, x, 0);
}

mn_tensor *mn_fill_(mn_tape *t, mn_tensor *x, double value)
{
    return fill(t, &fill_op, x, value);
}

/* Saved: the source's dtype. */
static void copy_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    if (mn_needs(n, 0)) gx[0] = mn_zeros_like(t, gy[0]);
    if (mn_needs(n, 1)) gx[1] = mn_to(t, gy[0], *(const mn_dtype *)mn_saved_data(n));
}
static const mn_op copy_op = {
    .name = "copy_", .backward = copy_backward, .flags = MN_OP_BROADCASTS | MNI_IN_PLACE};

mn_tensor *mn_copy_(mn_tape *t, mn_tensor *x, mn_tensor *source)
{
    source = mni_apart(t, &copy_op, x, source);
    mn_tensor *in[] = {x, source};
    if (!mni_begin(t, &copy_op, in, 2) || !mni_require_stretch(t, x, source)) return NULL;
    mn_tensor *y = mn_op_overwrite(t, x);
    if (y) mni_copy(mni_tape_team(t), source, y);
    mn_node *n = mn_op_record(t, &copy_op, in, 2, &y, 1);
    mn_dtype from = (mn_dtype)source->dtype;
    mn_save_data(n, &from, sizeof from);
    return mn_op_end(t, y);
}
