/*
 * autograd/ops/create.c: temporaries made from nothing: empty, constant, copied from memory,
 * random; and conversion between element types.
 */
#include "autograd/ops/ops.h"
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

mn_tensor *mn_rand(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape, mn_rng *rng)
{
    if (dtype != MN_F32 && dtype != MN_F64)
        return mn_tape_fail(t, MN_ERR_DTYPE, "mn_rand: draws f32 or f64, not %s",
                            mn_dtype_name(dtype));
    if (!rng) return mn_tape_fail(t, MN_ERR_ARGUMENT, "mn_rand: rng is NULL");
    mn_tensor *y = mn_empty(t, dtype, ndim, shape);
    if (y) mni_uniform(mni_tape_team(t), y, 0, 1, mni_reserve(rng, y->numel, dtype));
    return y;
}

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
