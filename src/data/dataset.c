/*
 * data/dataset.c: what all data sets share, and the two kinds that need no files: tensors in memory
 * and the head of another data set.
 */
#include "data/dataset.h"

#include "core/memory.h"
#include "tensor/tensor.h"
#include <string.h>

void *mni_dataset_new(size_t bytes, const mni_dataset_class *kind)
{
    mn_dataset *d = mni_calloc(bytes);
    if (!d) return NULL;
    atomic_init(&d->refs, 1);
    d->kind = kind;
    return d;
}

/* ---- tensors ---- */

typedef struct tensors {
    mn_dataset base;
    mn_tensor *inputs, *targets;
} tensors;

static int64_t stride_bytes(const mn_tensor *x, int dim)
{
    return x->strides[dim] * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
}

/* Copies dimensions dim and up of x, row-major; returns the end of what it wrote. */
static char *copy_dense(char *to, const mn_tensor *x, int dim, const char *from)
{
    size_t size = mn_dtype_size((mn_dtype)x->dtype);
    if (dim == x->ndim) {
        memcpy(to, from, size);
        return to + size;
    }
    for (int64_t i = 0; i < x->shape[dim]; i++, from += stride_bytes(x, dim))
        to = copy_dense(to, x, dim + 1, from);
    return to;
}

static void gather_samples(const mn_tensor *x, const int64_t *samples, int64_t n, char *to)
{
    size_t bytes = (size_t)(x->numel / x->shape[0]) * mn_dtype_size((mn_dtype)x->dtype);
    for (int64_t i = 0; i < n; i++, to += bytes) {
        const char *from = x->data + samples[i] * stride_bytes(x, 0);
        if (x->contiguous)
            memcpy(to, from, bytes);
        else
            copy_dense(to, x, 1, from);
    }
}

static void tensors_gather(const mn_dataset *d, const int64_t *samples, int64_t n, void *inputs,
                           void *targets)
{
    const tensors *s = (const tensors *)d;
    gather_samples(s->inputs, samples, n, inputs);
    gather_samples(s->targets, samples, n, targets);
}

static int64_t largest(const mn_tensor *x, int dim, int64_t size, const char *at, int64_t most)
{
    if (dim == x->ndim) {
        int64_t value = x->dtype == MN_I64 ? *(const int64_t *)at : *(const unsigned char *)at;
        return value > most ? value : most;
    }
    int64_t inner = dim + 1 < x->ndim ? x->shape[dim + 1] : 0;
    for (int64_t i = 0; i < size; i++, at += stride_bytes(x, dim))
        most = largest(x, dim + 1, inner, at, most);
    return most;
}

static int64_t tensors_classes(const mn_dataset *d, int64_t n)
{
    const mn_tensor *x = ((const tensors *)d)->targets;
    if (x->dtype != MN_I64 && x->dtype != MN_U8) return 0;
    int64_t most = largest(x, 0, n, x->data, -1);
    return most < INT64_MAX ? most + 1 : most;
}

static void tensors_destroy(mn_dataset *d)
{
    tensors *s = (tensors *)d;
    mn_release(s->inputs);
    mn_release(s->targets);
}

static const mni_dataset_class tensors_kind = {tensors_gather, tensors_classes, tensors_destroy};

static mni_sample sample_of(const mn_tensor *x)
{
    mni_sample s = {.dtype = (mn_dtype)x->dtype, .ndim = x->ndim - 1};
    for (int i = 0; i < s.ndim; i++) s.shape[i] = x->shape[i + 1];
    return s;
}

static bool usable(const mn_tensor *x, const char *name)
{
    if (!x) {
        if (!mn_last_error()) mn_fail(MN_ERR_ARGUMENT, "mn_data_tensors: %s is NULL", name);
        return false;
    }
    if (x == MN_NONE) {
        mn_fail(MN_ERR_ARGUMENT, "mn_data_tensors: %s may not be MN_NONE", name);
    } else if (!x->storage) {
        mn_fail(MN_ERR_STATE, "mn_data_tensors: %s was freed by its scope", name);
    } else if (x->ndim == 0) {
        mn_fail(MN_ERR_SHAPE, "mn_data_tensors: %s has no dimension to count samples by", name);
    } else if (x->shape[0] == 0) {
        mn_fail(MN_ERR_SHAPE, "mn_data_tensors: %s has no samples", name);
    } else {
        return true;
    }
    return false;
}

/* ---- head ---- */

typedef struct head {
    mn_dataset base;
    mn_dataset *whole;
} head;

static void head_gather(const mn_dataset *d, const int64_t *samples, int64_t n, void *inputs,
                        void *targets)
{
    const mn_dataset *whole = ((const head *)d)->whole;
    whole->kind->gather(whole, samples, n, inputs, targets);
}

static int64_t head_classes(const mn_dataset *d, int64_t n)
{
    const mn_dataset *whole = ((const head *)d)->whole;
    return whole->kind->classes(whole, n);
}

static void head_destroy(mn_dataset *d)
{
    mn_dataset_free(((head *)d)->whole);
}

static const mni_dataset_class head_kind = {head_gather, head_classes, head_destroy};

/* ---- public ---- */

mn_dataset *mn_data_tensors(mn_tensor *inputs, mn_tensor *targets)
{
    if (!usable(inputs, "inputs") || !usable(targets, "targets")) return NULL;
    if (inputs->shape[0] != targets->shape[0]) {
        mn_fail(MN_ERR_SHAPE, "mn_data_tensors: %lld inputs but %lld targets",
                (long long)inputs->shape[0], (long long)targets->shape[0]);
        return NULL;
    }
    tensors *s = mni_dataset_new(sizeof *s, &tensors_kind);
    if (!s) return NULL;
    s->base.size = inputs->shape[0];
    s->base.input = sample_of(inputs);
    s->base.target = sample_of(targets);
    s->inputs = mn_retain(inputs);
    s->targets = mn_retain(targets);
    if (s->inputs && s->targets) return &s->base;
    mn_dataset_free(&s->base);
    return NULL;
}

mn_dataset *mn_data_head(mn_dataset *d, int64_t n)
{
    if (!d) return NULL;
    head *h = NULL;
    if (n < 1)
        mn_fail(MN_ERR_ARGUMENT, "mn_data_head: n is %lld, not at least 1", (long long)n);
    else if (n >= d->size)
        return d;
    else
        h = mni_dataset_new(sizeof *h, &head_kind);
    if (!h) {
        mn_dataset_free(d);
        return NULL;
    }
    h->base.size = n;
    h->base.input = d->input;
    h->base.target = d->target;
    h->whole = d;
    return &h->base;
}

int64_t mn_dataset_size(const mn_dataset *d)
{
    return d ? d->size : 0;
}

int64_t mn_dataset_classes(const mn_dataset *d)
{
    return d ? d->kind->classes(d, d->size) : 0;
}

int mn_dataset_input_shape(const mn_dataset *d, int64_t *shape)
{
    if (!d) return 0;
    if (shape) memcpy(shape, d->input.shape, (size_t)d->input.ndim * sizeof *shape);
    return d->input.ndim;
}

mn_dataset *mn_dataset_retain(mn_dataset *d)
{
    if (d) atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void mn_dataset_free(mn_dataset *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1) return;
    d->kind->destroy(d);
    mni_free(d);
}
