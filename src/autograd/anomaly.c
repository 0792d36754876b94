/*
 * autograd/anomaly.c: the search for the op that made the first NaN or infinity out of finite numbers: at
 * the entry of an op its inputs are looked at (in place, they are gone afterwards), when it records its
 * outputs; in a backward pass every gradient as it is made.
 */
#include "autograd/tape.h"
#include <math.h>
#include <stdio.h>

/* Element i in row-major order; fills its index. */
static double element(const mn_tensor *x, int64_t i, int64_t *index)
{
    int64_t offset = 0;
    for (int d = x->ndim - 1; d >= 0; d--) {
        index[d] = i % x->shape[d];
        i /= x->shape[d];
        offset += index[d] * x->strides[d];
    }
    const void *at = x->data + offset * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
    return x->dtype == MN_F32 ? (double)*(const float *)at : *(const double *)at;
}

/* Whether there is an element that is not finite; then its index and value. */
static bool odd_element(const mn_tensor *x, int64_t *index, double *value)
{
    if (!x || !x->storage || !mni_is_float((mn_dtype)x->dtype)) return false;
    int64_t i = 0;
    if (x->contiguous && x->dtype == MN_F32) {
        const float *v = (const float *)(const void *)x->data;
        while (i < x->numel && isfinite(v[i])) i++;
    } else if (x->contiguous) {
        const double *v = (const double *)(const void *)x->data;
        while (i < x->numel && isfinite(v[i])) i++;
    } else {
        while (i < x->numel && isfinite(element(x, i, index))) i++;
    }
    if (i == x->numel) return false;
    *value = element(x, i, index);
    return true;
}

bool mni_all_finite(mn_tensor *const *x, int n)
{
    int64_t index[MN_MAX_DIMS];
    double value;
    for (int i = 0; i < n; i++)
        if (odd_element(x[i], index, &value)) return false;
    return true;
}

bool mni_check_finite(mn_tape *t, const mn_tensor *x, const char *what, const char *but)
{
    int64_t index[MN_MAX_DIMS];
    double value;
    char where[200];
    if (!odd_element(x, index, &value)) return true;
    const char *name = isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    mn_tape_fail(t, MN_ERR_STATE, "element %s of %s is %s, %s",
                 mni_shape_text(where, sizeof where, x->ndim, index), what, name, but);
    return false;
}

/* Inside a backward function the gradient as a whole is what is looked at. */
static bool searching(const mn_tape *t)
{
    return !t->pass || !t->pass->node;
}

void mni_anomaly_begin(mn_tape *t, mn_tensor *const *in, int n)
{
    if (searching(t)) t->finite = mni_all_finite(in, n);
}

bool mni_anomaly_end(mn_tape *t, const mn_op *op, mn_tensor *const *out, int n)
{
    if (!searching(t) || !t->finite || (op->flags & MN_OP_FILLS)) return true;
    for (int k = 0; k < n; k++) {
        char what[32] = "the result";
        if (n > 1) snprintf(what, sizeof what, "result %d", k);
        if (!mni_check_finite(t, out[k], what, "but every input is finite")) return false;
    }
    return true;
}

void mn_tape_detect_anomaly(mn_tape *t, bool on)
{
    if (t) t->detect_anomaly = on;
}
