/*
 * tensor/tensor.c: tensors that are yours: making, sharing, looking into, writing.
 */
#include "tensor/tensor.h"
#include "core/memory.h"
#include "core/philox.h"
#include "tensor/compute.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static mn_tensor none = {.owned = true}; /* a marker; nothing writes to it */
mn_tensor *const MN_NONE = &none;

static const struct {
    size_t size;
    const char *name;
} dtypes[] = {[MN_F32] = {4, "f32"},
              [MN_F64] = {8, "f64"},
              [MN_I64] = {8, "i64"},
              [MN_U8] = {1, "u8"},
              [MN_BOOL] = {1, "bool"}};

static bool known(mn_dtype dtype)
{
    return (int)dtype >= 0 && dtype <= MN_BOOL;
}

size_t mn_dtype_size(mn_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].size : 0;
}

const char *mn_dtype_name(mn_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].name : "?";
}

/* ---- shapes ---- */

char *mni_shape_text(char *buf, size_t size, int ndim, const int64_t *shape)
{
    size_t at = 0;
    if (size) buf[0] = '\0';
    for (int d = 0; d <= ndim && at < size; d++) {
        const char *before = d == 0 ? "[" : d < ndim ? ", " : "";
        int n = d < ndim ? snprintf(buf + at, size - at, "%s%lld", before, (long long)shape[d])
                         : snprintf(buf + at, size - at, "%s]", before);
        at += n > 0 ? (size_t)n : 0;
    }
    return buf;
}

mn_error mni_check_shape(mn_dtype dtype, int ndim, const int64_t *shape, int64_t *numel, char *text,
                         size_t size)
{
    if (!known(dtype)) {
        snprintf(text, size, "%d is not a dtype", (int)dtype);
        return MN_ERR_DTYPE;
    }
    if (ndim < 0 || ndim > MN_MAX_DIMS || (ndim > 0 && !shape)) {
        snprintf(text, size,
                 ndim > 0 && ndim <= MN_MAX_DIMS ? "a shape of %d dimensions is NULL"
                                                 : "%d dimensions; 0 to 8 are possible",
                 ndim);
        return MN_ERR_ARGUMENT;
    }
    int64_t limit = INT64_MAX / 16, product = 1;
    bool empty = false, huge = false;
    for (int d = 0; d < ndim; d++) {
        if (shape[d] < 0) {
            snprintf(text, size, "size %lld of dimension %d is negative", (long long)shape[d], d);
            return MN_ERR_ARGUMENT;
        }
        if (shape[d] == 0) {
            empty = true;
        } else if (product > limit / shape[d]) {
            huge = true;
        } else {
            product *= shape[d];
        }
    }
    if (huge) {
        char dims[200];
        snprintf(text, size, "shape %s has too many elements",
                 mni_shape_text(dims, sizeof dims, ndim, shape));
        return MN_ERR_ARGUMENT;
    }
    *numel = empty ? 0 : product;
    return MN_OK;
}

void mni_set_shape(mn_tensor *x, mn_dtype dtype, int ndim, const int64_t *shape,
                   const int64_t *strides)
{
    x->dtype = (int8_t)dtype;
    x->ndim = (int8_t)ndim;
    int64_t numel = 1, expected = 1;
    x->contiguous = true;
    for (int d = ndim - 1; d >= 0; d--) {
        x->shape[d] = shape[d];
        x->strides[d] = strides ? strides[d] : numel;
        if (shape[d] != 1) {
            if (x->strides[d] != expected) x->contiguous = false;
            expected *= shape[d];
        }
        numel *= shape[d];
        if (!strides && shape[d] == 0) numel = 0;
    }
    x->numel = numel;
    if (numel == 0) x->contiguous = true;
}

bool mni_no_overlap(const mn_tensor *x)
{
    /* Sort dimensions by stride; each must step over all that the smaller ones span. */
    int order[MN_MAX_DIMS], n = 0;
    if (x->contiguous) return true;
    for (int d = 0; d < x->ndim; d++) {
        if (x->shape[d] == 1) continue;
        int at = n++;
        for (; at > 0 && x->strides[order[at - 1]] > x->strides[d]; at--) order[at] = order[at - 1];
        order[at] = d;
    }
    int64_t span = 0;
    for (int i = 0; i < n; i++) {
        if (x->strides[order[i]] <= span) return false;
        span += x->strides[order[i]] * (x->shape[order[i]] - 1);
    }
    return true;
}

/* ---- storage ---- */

void mni_storage_free(mni_storage *s)
{
    if (s->recycle) {
        s->recycle(s, false);
    } else {
        mni_free(s);
    }
}

static mni_storage *storage_new(size_t bytes)
{
    mni_storage *s = mni_alloc(MNI_STORAGE_HEADER + bytes);
    if (!s) return NULL;
    *s = (mni_storage){.data = (char *)s + MNI_STORAGE_HEADER, .capacity = bytes};
    atomic_init(&s->refs, 1);
    return s;
}

mn_tensor *mni_tensor_own(mni_storage *s, mn_dtype dtype, int ndim, const int64_t *shape,
                          const int64_t *strides, void *data)
{
    mn_tensor *x = s ? mni_calloc(sizeof *x) : NULL;
    if (!x) {
        mni_storage_release(s);
        return NULL;
    }
    x->storage = s;
    x->data = data;
    x->owned = true;
    atomic_init(&x->refs, 1);
    mni_set_shape(x, dtype, ndim, shape, strides);
    return x;
}

/* ---- making ---- */

static bool check(const char *who, mn_dtype dtype, int ndim, const int64_t *shape, int64_t *numel)
{
    char text[256];
    mn_error e = mni_check_shape(dtype, ndim, shape, numel, text, sizeof text);
    if (e) mn_fail(e, "%s: %s", who, text);
    return e == MN_OK;
}

mn_tensor *mn_tensor_empty(mn_dtype dtype, int ndim, const int64_t *shape)
{
    int64_t numel;
    if (!check("mn_tensor_empty", dtype, ndim, shape, &numel)) return NULL;
    mni_storage *s = storage_new((size_t)numel * mn_dtype_size(dtype));
    return mni_tensor_own(s, dtype, ndim, shape, NULL, s ? s->data : NULL);
}

mn_tensor *mn_tensor_full(mn_dtype dtype, int ndim, const int64_t *shape, double value)
{
    mn_tensor *x = mn_tensor_empty(dtype, ndim, shape);
    if (x) mni_fill(NULL, x, value);
    return x;
}

mn_tensor *mn_tensor_zeros(mn_dtype dtype, int ndim, const int64_t *shape)
{
    return mn_tensor_full(dtype, ndim, shape, 0);
}

mn_tensor *mn_tensor_ones(mn_dtype dtype, int ndim, const int64_t *shape)
{
    return mn_tensor_full(dtype, ndim, shape, 1);
}

mn_tensor *mn_tensor_from(mn_dtype dtype, int ndim, const int64_t *shape, const void *data)
{
    mn_tensor *x = mn_tensor_empty(dtype, ndim, shape);
    if (x && x->numel && !data) {
        mn_release(x);
        mn_fail(MN_ERR_ARGUMENT, "mn_tensor_from: data is NULL");
        return NULL;
    }
    if (x && x->numel) memcpy(x->data, data, (size_t)x->numel * mn_dtype_size(dtype));
    return x;
}

static void give_back(mni_storage *s, bool leaving)
{
    if (leaving) return;
    if (s->deleter) s->deleter(s->data, s->user);
    mni_free(s);
}

mn_tensor *mn_tensor_wrap(mn_dtype dtype, int ndim, const int64_t *shape, const int64_t *strides,
                          void *data, void (*deleter)(void *data, void *user), void *user)
{
    int64_t numel;
    if (!check("mn_tensor_wrap", dtype, ndim, shape, &numel)) return NULL;
    if (!data && numel) {
        mn_fail(MN_ERR_ARGUMENT, "mn_tensor_wrap: data is NULL");
        return NULL;
    }
    for (int d = 0; strides && d < ndim; d++) {
        if (strides[d] >= 0) continue;
        mn_fail(MN_ERR_ARGUMENT, "mn_tensor_wrap: stride %lld of dimension %d is negative",
                (long long)strides[d], d);
        return NULL;
    }
    if ((uintptr_t)data % mn_dtype_size(dtype)) {
        mn_fail(MN_ERR_ARGUMENT, "mn_tensor_wrap: data is not aligned for %s",
                mn_dtype_name(dtype));
        return NULL;
    }
    mni_storage *s = storage_new(0);
    mn_tensor *x = s ? mni_tensor_own(s, dtype, ndim, shape, strides, data) : NULL;
    if (!x) return NULL; /* the memory stays the caller's */
    s->data = data;
    s->deleter = deleter;
    s->user = user;
    s->recycle = give_back;
    return x;
}

mn_tensor *mn_parameter(mn_dtype dtype, int ndim, const int64_t *shape)
{
    mn_tensor *x = mn_tensor_empty(dtype, ndim, shape);
    if (!x) return NULL;
    if (mn_tensor_set_requires_grad(x, true)) {
        mn_release(x);
        return NULL;
    }
    x->parameter = true;
    return x;
}

/* ---- ownership ---- */

mn_tensor *mn_retain(mn_tensor *x)
{
    if (!x || x == MN_NONE) return x;
    if (x->owned) {
        atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
        return x;
    }
    if (!x->storage) {
        mn_fail(MN_ERR_STATE, "mn_retain: the tensor was freed by its scope or by mn_tape_reset");
        return NULL;
    }
    mn_tensor *y = mni_tensor_own(mni_storage_retain(x->storage), (mn_dtype)x->dtype, x->ndim,
                                  x->shape, x->strides, x->data);
    if (!y) return NULL;
    /* The graph's marks stay, so that using it in a later step without mn_detach is noticed. */
    y->requires_grad = x->requires_grad;
    y->version = x->version;
    y->epoch = x->epoch;
    y->node = x->node;
    y->output = x->output;
    if (x->storage->recycle) x->storage->recycle(x->storage, true);
    return y;
}

void mni_leaf_free(mni_leaf *leaf)
{
    if (!leaf) return;
    mn_release(leaf->grad);
    mni_free(leaf->factors.column);
    for (mni_hook *h = leaf->hooks, *next; h; h = next) {
        next = h->next;
        mni_free(h);
    }
    mni_free(leaf);
}

void mn_release(mn_tensor *x)
{
    if (!x || x == MN_NONE || !x->owned) return;
    if (atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1) return;
    mni_leaf_free(x->leaf);
    mni_storage_release(x->storage);
    mni_free(x);
}

/* ---- looking ---- */

static bool alive(const mn_tensor *x)
{
    return x && x->storage;
}

mn_dtype mn_tensor_dtype(const mn_tensor *x)
{
    return alive(x) ? (mn_dtype)x->dtype : MN_F32;
}

int mn_tensor_ndim(const mn_tensor *x)
{
    return alive(x) ? x->ndim : 0;
}

static int64_t along(const mn_tensor *x, const int64_t *what, int dim)
{
    if (!alive(x)) return 0;
    if (dim < 0) dim += x->ndim;
    return dim >= 0 && dim < x->ndim ? what[dim] : 0;
}

int64_t mn_tensor_size(const mn_tensor *x, int dim)
{
    return along(x, x ? x->shape : NULL, dim);
}

int64_t mn_tensor_stride(const mn_tensor *x, int dim)
{
    return along(x, x ? x->strides : NULL, dim);
}

int64_t mn_tensor_numel(const mn_tensor *x)
{
    return alive(x) ? x->numel : 0;
}

bool mn_tensor_is_contiguous(const mn_tensor *x)
{
    return alive(x) && x->contiguous;
}

bool mn_tensor_same_shape(const mn_tensor *a, const mn_tensor *b)
{
    return alive(a) && alive(b) && mni_same_shape(a, b);
}

uint32_t mn_tensor_version(const mn_tensor *x)
{
    return alive(x) ? x->storage->version : 0;
}

const void *mn_tensor_data(const mn_tensor *x)
{
    return alive(x) ? x->data : NULL;
}

void *mn_tensor_mutable_data(mn_tensor *x)
{
    if (!alive(x)) return NULL;
    mni_touch(x, NULL);
    return x->data;
}

static char *element(const char *who, const mn_tensor *x, const int64_t *index)
{
    if (!alive(x) || (x->ndim && !index)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: %s", who,
                !x            ? "the tensor is NULL"
                : !x->storage ? "the tensor was freed by its scope"
                              : "the index is NULL");
        return NULL;
    }
    int64_t offset = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (index[d] < 0 || index[d] >= x->shape[d]) {
            mn_fail(MN_ERR_ARGUMENT, "%s: index %lld of dimension %d is outside its size %lld", who,
                    (long long)index[d], d, (long long)x->shape[d]);
            return NULL;
        }
        offset += index[d] * x->strides[d];
    }
    return x->data + offset * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
}

static double load(const mn_tensor *x, const char *p)
{
    switch ((mn_dtype)x->dtype) {
    case MN_F32:
        return (double)*(const float *)(const void *)p;
    case MN_F64:
        return *(const double *)(const void *)p;
    case MN_I64:
        return (double)*(const int64_t *)(const void *)p;
    case MN_U8:
    case MN_BOOL:
        break;
    }
    return (double)*(const uint8_t *)p;
}

double mn_tensor_get(const mn_tensor *x, const int64_t *index)
{
    const char *p = element("mn_tensor_get", x, index);
    return p ? load(x, p) : (double)NAN;
}

int64_t mn_tensor_get_i64(const mn_tensor *x, const int64_t *index)
{
    const char *p = element("mn_tensor_get_i64", x, index);
    if (!p) return 0;
    return x->dtype == MN_I64 ? *(const int64_t *)(const void *)p : (int64_t)load(x, p);
}

mn_error mn_tensor_set(mn_tensor *x, const int64_t *index, double value)
{
    char *p = element("mn_tensor_set", x, index);
    if (!p) return mn_last_error();
    mni_touch(x, NULL);
    mn_tensor one = {.dtype = x->dtype, .numel = 1, .contiguous = true, .data = p};
    mni_fill(NULL, &one, value);
    return MN_OK;
}

mn_error mn_tensor_set_i64(mn_tensor *x, const int64_t *index, int64_t value)
{
    if (!alive(x) || x->dtype != MN_I64) return mn_tensor_set(x, index, (double)value);
    char *p = element("mn_tensor_set_i64", x, index);
    if (!p) return mn_last_error();
    mni_touch(x, NULL);
    *(int64_t *)(void *)p = value;
    return MN_OK;
}

double mn_tensor_item(const mn_tensor *x)
{
    if (alive(x) && x->numel == 1) return load(x, x->data);
    if (alive(x)) {
        char dims[200];
        mn_fail(MN_ERR_SHAPE, "mn_tensor_item: a tensor of shape %s has not exactly one element",
                mni_shape_text(dims, sizeof dims, x->ndim, x->shape));
    } else if (x) {
        mn_fail(MN_ERR_STATE, "mn_tensor_item: the tensor was freed by its scope");
    } else if (!mn_last_error()) {
        mn_fail(MN_ERR_ARGUMENT, "mn_tensor_item: the tensor is NULL");
    }
    return (double)NAN;
}

mn_error mn_tensor_read(const mn_tensor *x, mn_dtype dtype, void *data, int64_t n)
{
    const char *who = "mn_tensor_read";
    if (!alive(x))
        return x || !mn_last_error() ? mn_fail(MN_ERR_ARGUMENT, "%s: the tensor is %s", who,
                                               !x             ? "NULL"
                                               : x == MN_NONE ? "MN_NONE"
                                                              : "freed by its scope")
                                     : mn_last_error();
    if (!known(dtype)) return mn_fail(MN_ERR_DTYPE, "%s: %d is not a dtype", who, (int)dtype);
    char dims[200];
    if (n != x->numel)
        return mn_fail(MN_ERR_SHAPE, "%s: an array of %lld for %lld elements, %s", who,
                       (long long)n, (long long)x->numel,
                       mni_shape_text(dims, sizeof dims, x->ndim, x->shape));
    if (n == 0) return MN_OK;
    if (!data) return mn_fail(MN_ERR_ARGUMENT, "%s: the array is NULL", who);
    mn_tensor to = {.data = data};
    mni_set_shape(&to, dtype, x->ndim, x->shape, NULL);
    mni_copy(NULL, x, &to);
    return MN_OK;
}

/* ---- writing ---- */

static mn_error writable(const char *who, const mn_tensor *x)
{
    if (!x || x == MN_NONE)
        return mn_last_error() ? mn_last_error()
                               : mn_fail(MN_ERR_ARGUMENT, "%s: the tensor is NULL", who);
    if (!x->storage) return mn_fail(MN_ERR_STATE, "%s: the tensor was freed by its scope", who);
    if (!mni_no_overlap(x))
        return mn_fail(MN_ERR_ARGUMENT, "%s: several elements of the tensor share an address", who);
    return MN_OK;
}

mn_error mn_tensor_copy(mn_tensor *destination, const mn_tensor *source)
{
    mn_error e = writable("mn_tensor_copy", destination);
    if (e) return e;
    if (!alive(source))
        return source || !mn_last_error()
                   ? mn_fail(MN_ERR_ARGUMENT, "mn_tensor_copy: the source is %s",
                             source ? "freed by its scope" : "NULL")
                   : mn_last_error();
    char to[200], from[200];
    int extra = destination->ndim - source->ndim;
    bool fits = extra >= 0;
    for (int d = 0; fits && d < source->ndim; d++)
        fits = source->shape[d] == 1 || source->shape[d] == destination->shape[d + extra];
    if (!fits)
        return mn_fail(MN_ERR_SHAPE, "mn_tensor_copy: %s does not broadcast to %s",
                       mni_shape_text(from, sizeof from, source->ndim, source->shape),
                       mni_shape_text(to, sizeof to, destination->ndim, destination->shape));
    if (source->dtype != destination->dtype)
        return mn_fail(MN_ERR_DTYPE, "mn_tensor_copy: from %s to %s",
                       mn_dtype_name((mn_dtype)source->dtype),
                       mn_dtype_name((mn_dtype)destination->dtype));
    mni_copy(NULL, source, destination);
    mni_touch(destination, NULL);
    return MN_OK;
}

mn_error mn_tensor_fill(mn_tensor *x, double value)
{
    mn_error e = writable("mn_tensor_fill", x);
    if (e) return e;
    mni_fill(NULL, x, value);
    mni_touch(x, NULL);
    return MN_OK;
}

static mn_error drawable(const char *who, const mn_tensor *x, const mn_rng *rng)
{
    mn_error e = writable(who, x);
    if (e) return e;
    if (!mni_is_float((mn_dtype)x->dtype))
        return mn_fail(MN_ERR_DTYPE, "%s: the tensor is %s, not f32 or f64", who,
                       mn_dtype_name((mn_dtype)x->dtype));
    if (!rng) return mn_fail(MN_ERR_ARGUMENT, "%s: the generator is NULL", who);
    if (!x->contiguous) return mn_fail(MN_ERR_ARGUMENT, "%s: the tensor is not contiguous", who);
    return MN_OK;
}

/* Where a draw for all of x begins. */
static mn_rng reserve(const mn_tensor *x, mn_rng *rng)
{
    return mni_rng_reserve(rng, (uint64_t)x->numel * (x->dtype == MN_F64 ? 2 : 1));
}

mn_error mn_tensor_uniform(mn_tensor *x, double low, double high, mn_rng *rng)
{
    mn_error e = drawable("mn_tensor_uniform", x, rng);
    if (e) return e;
    if (!isfinite(low) || !isfinite(high) || low > high)
        return mn_fail(MN_ERR_ARGUMENT, "mn_tensor_uniform: no range from %g to %g", low, high);
    mni_uniform(NULL, x, low, high, reserve(x, rng));
    mni_touch(x, NULL);
    return MN_OK;
}

mn_error mn_tensor_normal(mn_tensor *x, double mean, double std, mn_rng *rng)
{
    mn_error e = drawable("mn_tensor_normal", x, rng);
    if (e) return e;
    if (!isfinite(mean) || !isfinite(std) || std < 0)
        return mn_fail(MN_ERR_ARGUMENT, "mn_tensor_normal: mean %g and standard deviation %g", mean,
                       std);
    mni_normal(NULL, x, mean, std, reserve(x, rng));
    mni_touch(x, NULL);
    return MN_OK;
}
