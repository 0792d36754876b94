/*
 * autograd/ops/ops.c: the checks and temporaries that the op files share, and the two shapes of a
 * pointwise op.
 */
#include "autograd/ops/ops.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

bool mni_begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in)
{
    if (!mn_op_begin(t, op, in, n_in)) return false;
    for (int i = 0; i < n_in; i++) {
        if (in[i] != MN_NONE) continue;
        mn_tape_fail(t, MN_ERR_ARGUMENT, "input %d is MN_NONE, but a tensor is needed", i);
        return false;
    }
    return true;
}

/* The same; its usual answer takes no call. */
static inline bool begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in)
{
    bool usual = t && !t->error && !t->detect_anomaly;
    for (int i = 0; i < n_in && usual; i++) usual = mni_usual_input(t, in[i]);
    if (!usual) return mni_begin(t, op, in, n_in);
    t->op = op;
    return true;
}

bool mni_require_float(mn_tape *t, const mn_tensor *x)
{
    if (mni_is_float((mn_dtype)x->dtype)) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "takes f32 or f64, not %s: write mn_to(t, x, MN_F32)",
                 mn_dtype_name((mn_dtype)x->dtype));
    return false;
}

bool mni_require_same_dtype(mn_tape *t, const mn_tensor *a, const mn_tensor *b)
{
    if (a->dtype == b->dtype) return true;
    mn_dtype wide = (mn_dtype)a->dtype, other = (mn_dtype)b->dtype;
    if (other == MN_F64 || (other == MN_F32 && wide != MN_F64)) {
        wide = other;
        other = (mn_dtype)a->dtype;
    }
    const char *names[MNI_DTYPES] = {"MN_F32", "MN_F64", "MN_I64", "MN_U8", "MN_BOOL"};
    mn_tape_fail(t, MN_ERR_DTYPE, "%s and %s: write mn_to(t, x, %s) (or %s) on one of them",
                 mn_dtype_name((mn_dtype)a->dtype), mn_dtype_name((mn_dtype)b->dtype), names[wide],
                 names[other]);
    return false;
}

bool mni_require_dim(mn_tape *t, const mn_tensor *x, int *dim)
{
    if (*dim >= -x->ndim && *dim < x->ndim) {
        if (*dim < 0) *dim += x->ndim;
        return true;
    }
    char text[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_ARGUMENT, "%s has no dimension %d",
                 mni_shape_text(text, sizeof text, x->ndim, x->shape), *dim);
    return false;
}

bool mni_require_dims(mn_tape *t, const mn_tensor *x, const int *dims, int n, int *found)
{
    unsigned seen = 0;
    if (n < 0 || (n > 0 && !dims)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, n < 0 ? "%d dimensions" : "dims is NULL, %d are promised",
                     n);
        return false;
    }
    for (int i = 0; i < n; i++) {
        int dim = dims[i];
        if (!mni_require_dim(t, x, &dim)) return false;
        if (seen & 1u << dim) {
            mn_tape_fail(t, MN_ERR_ARGUMENT, "dimension %d is given twice", dim);
            return false;
        }
        seen |= 1u << dim;
        found[i] = dim;
    }
    return true;
}

bool mni_require_scalar(mn_tape *t, const mn_tensor *x, double s)
{
    bool fits = mni_is_float((mn_dtype)x->dtype) || x->dtype == MN_BOOL ||
                (s == floor(s) && (x->dtype == MN_U8 ? s >= 0 && s <= 255 : fabs(s) < 0x1p63));
    if (!fits)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%g is not a value of %s: write mn_to(t, x, MN_F32) first",
                     s, mn_dtype_name((mn_dtype)x->dtype));
    return fits;
}

static bool in_range(int64_t value, int64_t least)
{
    return value >= least && value <= INT32_MAX;
}

/* 0 where it has no place. */
static int64_t places(int64_t image, int64_t size, int64_t stride, int64_t padding,
                      int64_t dilation, bool last)
{
    if (!in_range(image, 0) || !in_range(size, 1) || !in_range(stride, 1) ||
        !in_range(padding, 0) || !in_range(dilation, 1))
        return 0;
    const int64_t room = image + 2 * padding - dilation * (size - 1) - 1 + (last ? stride - 1 : 0);
    const int64_t furthest = room / stride;
    if (room < 0) return 0;
    return last && furthest * stride >= image + padding ? furthest : furthest + 1;
}

bool mni_require_places(mn_tape *t, int n, const mni_kernel *k, bool last)
{
    bool fits = true;
    for (int d = 0; d < n; d++) {
        if (k->stride[d] == 0) k->stride[d] = 1;
        if (k->dilation[d] == 0) k->dilation[d] = 1;
        k->count[d] =
            places(k->image[d], k->size[d], k->stride[d], k->padding[d], k->dilation[d], last);
        fits = fits && k->count[d] > 0;
    }
    if (fits) return true;
    const int64_t *lists[] = {k->size, k->stride, k->padding, k->dilation, k->image};
    char text[5][MNI_TEXT];
    for (int i = 0; i < 5; i++) mni_shape_text(text[i], sizeof text[i], n, lists[i]);
    mn_tape_fail(t, MN_ERR_ARGUMENT,
                 "a kernel of %s with stride %s, padding %s and dilation %s has no place on an "
                 "image of %s",
                 text[0], text[1], text[2], text[3], text[4]);
    return false;
}

void *mni_shape_error(mn_tape *t, const mn_tensor *a, const mn_tensor *b, const char *what)
{
    char first[MNI_TEXT], second[MNI_TEXT];
    return mn_tape_fail(t, MN_ERR_SHAPE, "%s and %s: %s",
                        mni_shape_text(first, sizeof first, a->ndim, a->shape),
                        mni_shape_text(second, sizeof second, b->ndim, b->shape), what);
}

/* Makes *shape what it and x broadcast to. */
static bool stretch(mn_tape *t, mn_tensor *shape, const mn_tensor *x)
{
    mn_tensor to = *shape;
    to.ndim = shape->ndim > x->ndim ? shape->ndim : x->ndim;
    for (int d = 0; d < to.ndim; d++) {
        int da = d - (to.ndim - shape->ndim), db = d - (to.ndim - x->ndim);
        int64_t size_a = da < 0 ? 1 : shape->shape[da], size_b = db < 0 ? 1 : x->shape[db];
        if (size_a != size_b && size_a != 1 && size_b != 1) {
            char what[96];
            snprintf(what, sizeof what, "sizes %lld and %lld do not broadcast", (long long)size_a,
                     (long long)size_b);
            mni_shape_error(t, shape, x, what);
            return false;
        }
        to.shape[d] = size_a == 1 ? size_b : size_a;
    }
    *shape = to;
    return true;
}

mn_tensor *mni_broadcast_output(mn_tape *t, mn_dtype dtype, const mn_tensor *a, const mn_tensor *b)
{
    return mni_broadcast_output3(t, dtype, a, b, a);
}

mn_tensor *mni_broadcast_output3(mn_tape *t, mn_dtype dtype, const mn_tensor *a, const mn_tensor *b,
                                 const mn_tensor *c)
{
    if (mni_same_shape(a, b) && mni_same_shape(a, c)) return mni_tape_like(t, dtype, a);
    mn_tensor y = mni_look(a, a->ndim, a->shape, NULL);
    if (!stretch(t, &y, b) || !stretch(t, &y, c)) return NULL;
    return mni_tape_tensor(t, dtype, y.ndim, y.shape);
}

bool mni_require_stretch(mn_tape *t, const mn_tensor *x, const mn_tensor *b)
{
    mn_tensor y = mni_look(x, x->ndim, x->shape, NULL);
    if (!stretch(t, &y, b)) return false;
    bool same = y.ndim == x->ndim;
    for (int d = 0; same && d < x->ndim; d++) same = y.shape[d] == x->shape[d];
    if (!same) mni_shape_error(t, x, b, "the second may stretch to the first, not the first");
    return same;
}

mn_tensor *mni_result(mn_tape *t, const mn_op *op, mn_tensor *x)
{
    if (op->flags & MNI_IN_PLACE) return mn_op_overwrite(t, x);
    return mni_tape_like(t, (mn_dtype)x->dtype, x);
}

mn_tensor *mni_apart_in_place(mn_tape *t, const mn_op *op, mn_tensor *x, mn_tensor *b)
{
    if (!mni_begin(t, op, (mn_tensor *[]){x, b}, 2)) return b;
    return x->storage == b->storage ? mn_clone(t, b) : b;
}

mn_tensor *mni_before_in_place(mn_tape *t, const mn_op *op, mn_tensor *x)
{
    return mn_grad_enabled(t) && mni_begin(t, op, &x, 1) ? mn_clone(t, x) : x;
}

mn_tensor *mni_dense(mn_tape *t, mn_tensor *x)
{
    if (!x || x->contiguous) return x;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y) mni_copy(t->team, x, y);
    return y;
}

mn_tensor *mni_wide(mn_tape *t, mn_tensor *x)
{
    if (!x || (x->dtype != MN_U8 && x->dtype != MN_BOOL)) return x;
    mn_tensor *y = mni_tape_tensor(t, MN_I64, x->ndim, x->shape);
    if (y) mni_copy(t->team, x, y);
    return y;
}

mn_tensor mni_look(const mn_tensor *x, int ndim, const int64_t *shape, const int64_t *strides)
{
    mn_tensor y = {.data = x->data};
    mni_set_shape(&y, (mn_dtype)x->dtype, ndim, shape, strides);
    return y;
}

mn_tensor mni_part(const mn_tensor *x, int dim, int64_t start, int64_t step, int64_t length)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(strides, x->strides, sizeof strides);
    shape[dim] = length;
    if (length > 1) strides[dim] *= step;
    mn_tensor y = mni_look(x, x->ndim, shape, strides);
    y.data += start * x->strides[dim] * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
    return y;
}

mn_tensor mni_plane(const mn_tensor *x, int dim, int64_t i)
{
    mn_tensor y = mni_part(x, dim, i, 1, 1);
    for (int d = dim; d + 1 < y.ndim; d++) {
        y.shape[d] = y.shape[d + 1];
        y.strides[d] = y.strides[d + 1];
    }
    y.ndim--;
    return y;
}

mn_rng mni_reserve(mn_tape *t, mn_rng *rng, int64_t numel, mn_dtype dtype)
{
    return mni_tape_reserve(t, rng, (uint64_t)numel * (dtype == MN_F64 ? 2 : 1));
}

static bool require_kernel(mn_tape *t, bool there, const mn_tensor *x)
{
    if (!there)
        mn_tape_fail(t, MN_ERR_DTYPE, "does not take %s: write mn_to(t, x, MN_F32)",
                     mn_dtype_name((mn_dtype)x->dtype));
    return there;
}

mn_tensor *mni_unary(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel, mn_tensor *x,
                     const double *p, mn_node **n)
{
    *n = NULL;
    if (!begin(t, op, &x, 1) || !require_kernel(t, kernel[x->dtype] != NULL, x)) return NULL;
    mn_tensor *y = mni_result(t, op, x);
    if (y) mni_map1(t->team, kernel, x, y, p);
    *n = mn_op_record(t, op, &x, 1, &y, 1);
    return y;
}

mn_tensor *mni_binary(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *a,
                      mn_tensor *b, const double *p, mn_node **n)
{
    *n = NULL;
    mn_tensor *in[] = {a, b}, *y;
    if (!begin(t, op, in, 2) || (a->dtype != b->dtype && !mni_require_same_dtype(t, a, b)) ||
        !require_kernel(t, kernel[a->dtype] != NULL, a))
        return NULL;
    if (op->flags & MNI_IN_PLACE)
        y = mni_require_stretch(t, a, b) ? mn_op_overwrite(t, a) : NULL;
    else
        y = mni_same_shape(a, b) ? mni_tape_like(t, (mn_dtype)a->dtype, a)
                                 : mni_broadcast_output(t, (mn_dtype)a->dtype, a, b);
    if (y) mni_map2(t->team, kernel, a, b, y, p);
    *n = mn_op_record(t, op, in, 2, &y, 1);
    return y;
}

mn_tensor *mni_ternary(mn_tape *t, const mn_op *op, const mni_ternary_fn *kernel,
                       mn_tensor *const in[3], const double *p, mn_node **n)
{
    *n = NULL;
    if (!begin(t, op, in, 3) || !mni_require_same_dtype(t, in[0], in[1]) ||
        !mni_require_same_dtype(t, in[0], in[2]) ||
        !require_kernel(t, kernel[in[0]->dtype] != NULL, in[0]))
        return NULL;
    mn_tensor *y = mni_broadcast_output3(t, (mn_dtype)in[0]->dtype, in[0], in[1], in[2]);
    if (y) mni_map3(t->team, kernel, in[0], in[1], in[2], y, p);
    *n = mn_op_record(t, op, in, 3, &y, 1);
    return y;
}

mn_tensor *mni_scalar(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *x,
                      double s, bool first, mn_node **n)
{
    *n = NULL;
    if (!begin(t, op, &x, 1) || !require_kernel(t, kernel[x->dtype] != NULL, x) ||
        !mni_require_scalar(t, x, s))
        return NULL;
    mn_tensor *y = mni_result(t, op, x);
    mni_number number;
    const mn_tensor *c = mni_number_of(&number, (mn_dtype)x->dtype, s);
    if (y) mni_map2(t->team, kernel, first ? c : x, first ? x : c, y, NULL);
    *n = mn_op_record(t, op, &x, 1, &y, 1);
    return y;
}
