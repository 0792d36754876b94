/*
 * autograd/pool.c: the memory of a tape: an arena for nodes, slabs of tensor headers, and a free-list of
 * buffers in four size classes an octave. Once a training loop is steady nothing here calls the
 * allocator.
 */
#include "autograd/tape.h"
#include <string.h>

/* ---- arena ---- */

enum { CHUNK = 64 * 1024 - 256 };

void *mni_arena_grow(mni_arena *a, size_t size)
{
    while (size > a->room) {
        mni_chunk *next = a->at ? a->at->next : a->first;
        if (!next || next->size < size) {
            /* Goes in front of the chunks already there, which stay for later. */
            size_t room = size > CHUNK ? size : CHUNK;
            mni_chunk *fresh = mni_alloc(sizeof *fresh + room);
            if (!fresh) return NULL;
            *fresh = (mni_chunk){.next = next, .size = room};
            *(a->at ? &a->at->next : &a->first) = fresh;
            a->capacity += room;
            next = fresh;
        }
        a->at = next;
        a->next = (char *)(next + 1);
        a->room = next->size;
    }
    return mni_arena_take(a, size);
}

void mni_arena_reset(mni_arena *a)
{
    a->at = NULL;
    a->room = 0;
}

void mni_arena_free(mni_arena *a)
{
    for (mni_chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        mni_free(c);
    }
    *a = (mni_arena){0};
}

/* ---- buffers ---- */

/* Four classes an octave from 64 bytes on: 64 80 96 112 128 160 ... The class of a size is the
 * first that holds it. */
static int class_of(size_t bytes, size_t *rounded)
{
    if (bytes <= 64) { /* a few numbers, most often */
        *rounded = 64;
        return 0;
    }
    int octave = 63 - __builtin_clzll((unsigned long long)bytes);
    size_t step = (size_t)1 << (octave - 2);
    size_t up = (bytes + step - 1) / step; /* 4..8 quarters of the octave */
    *rounded = up * step;
    return (octave - 6) * 4 + (int)up - 4;
}

static void region_release(mni_region *r)
{
    if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) mni_free(r);
}

/* What the last release of a block does that has left its tape but lies in the tape's region. */
static void block_leave_region(mni_storage *s, bool leaving)
{
    if (!leaving) region_release(s->region);
}

static void to_cache(mn_tape *t, mni_storage *s)
{
    size_t rounded;
    int bin = class_of(s->capacity, &rounded);
    s->data = t->bins[bin];
    t->bins[bin] = s;
    t->cached_bytes += s->capacity;
}

static void block_recycle(mni_storage *s, bool leaving)
{
    mn_tape *t = s->owner;
    t->live_bytes -= s->capacity;
    if (leaving) {
        s->recycle = s->region ? block_leave_region : NULL;
        if (s->region) atomic_fetch_add_explicit(&s->region->refs, 1, memory_order_relaxed);
        return;
    }
#ifndef NDEBUG
    memset(s->data, 0xff, s->capacity); /* NaN in every float type: a stale pointer shows at once */
#endif
    to_cache(t, s);
}

void mni_pool_trim(mn_tape *t)
{
    for (int bin = 0; bin < MNI_BINS; bin++) {
        mni_storage *kept = NULL;
        for (mni_storage *s = t->bins[bin], *next; s; s = next) {
            next = s->data;
            if (s->region) {
                s->data = kept;
                kept = s;
            } else {
                t->cached_bytes -= s->capacity;
                mni_free(s);
            }
        }
        t->bins[bin] = kept;
    }
}

void mni_pool_free(mn_tape *t)
{
    mni_pool_trim(t);
    region_release(t->region);
}

bool mni_pool_prefill(mn_tape *t, size_t bytes)
{
    if (!bytes) return true;
    if (bytes > PTRDIFF_MAX / 2) {
        mn_fail(MN_ERR_MEMORY, "out of memory: a prefill of %zu bytes", bytes);
        return false;
    }
    t->region = mni_alloc(64 + bytes);
    if (!t->region) return false;
    memset((char *)t->region + 64, 0, bytes);
    *t->region = (mni_region){.size = bytes};
    atomic_init(&t->region->refs, 1);
    return true;
}

/* A new block for the pool: cut from the region, or else allocated. */
static mni_storage *block_new(mn_tape *t, size_t capacity)
{
    size_t size = MNI_STORAGE_HEADER + (capacity + 63) / 64 * 64;
    mni_region *r = t->region;
    mni_storage *s;
    if (r && r->size - r->used >= size) {
        s = (mni_storage *)(void *)((char *)r + 64 + r->used);
        r->used += size;
    } else {
        r = NULL;
        s = mni_alloc(size);
        if (!s && t->cached_bytes) {
            mni_pool_trim(t);
            s = mni_alloc(size);
        }
        if (!s) return NULL;
    }
    *s = (mni_storage){.capacity = capacity, .recycle = block_recycle, .owner = t, .region = r};
    return s;
}

/* A cached block of the class, or of one up to twice as large. */
static mni_storage *from_cache(mn_tape *t, int bin)
{
    for (int b = bin; b <= bin + 4 && b < MNI_BINS; b++) {
        mni_storage *s = t->bins[b];
        if (!s) continue;
        t->bins[b] = s->data;
        t->cached_bytes -= s->capacity;
        return s;
    }
    return NULL;
}

/* Readies a block for its next user; the names of writers count only where one wrote. */
static inline mni_storage *hand_out(mn_tape *t, mni_storage *s)
{
    atomic_init(&s->refs, 1);
    s->version = 0;
    s->leaf = s->counted = false;
    s->data = (char *)s + MNI_STORAGE_HEADER;
    s->made = t->n_made;
    s->recorded_epoch = 0;
    t->live_bytes += s->capacity;
    if (t->live_bytes > t->peak_bytes) t->peak_bytes = t->live_bytes;
    return s;
}

/* A block where none of the class itself is at hand, or the tape has a cap. */
static mni_storage *take_any(mn_tape *t, int bin, size_t capacity)
{
    mni_storage *s = bin < MNI_BINS ? from_cache(t, bin) : NULL;
    if (s && t->max_bytes && t->live_bytes + s->capacity > t->max_bytes) {
        to_cache(t, s); /* too much of a loan */
        s = NULL;
    }
    if (s) capacity = s->capacity;
    if (t->max_bytes && t->live_bytes + capacity > t->max_bytes) {
        return mn_tape_fail(t, MN_ERR_MEMORY,
                            "%zu bytes, with %zu alive, exceed the tape's cap of %zu", capacity,
                            t->live_bytes, t->max_bytes);
    }
    if (!s && t->max_bytes && t->live_bytes + t->cached_bytes + capacity > t->max_bytes)
        mni_pool_trim(t);
    if (!s) s = block_new(t, capacity);
    if (!s) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory: %zu bytes", capacity);
    return hand_out(t, s);
}

/* A block without references but this one; NULL with the tape's error set. */
static inline mni_storage *take(mn_tape *t, size_t bytes)
{
    size_t capacity;
    const int bin = class_of(bytes, &capacity);
    mni_storage *s = bin < MNI_BINS && !t->max_bytes ? t->bins[bin] : NULL;
    if (!s) return take_any(t, bin, capacity);
    t->bins[bin] = s->data;
    t->cached_bytes -= capacity;
    return hand_out(t, s);
}

/* ---- headers ---- */

/* A freed header waits behind this many others before it is used again, so that the use of a
 * tensor after its scope is noticed instead of reading another one's values. */
enum { QUARANTINE = 1024 };

/* Where the i-th slab of a step stands: the first ones alternate between two banks from step to
 * step, so that a tensor used after the reset is noticed, too. */
static uint64_t slab_place(const mn_tape *t, uint64_t i)
{
    enum { BANK = QUARANTINE / MNI_SLAB };
    return i >= BANK || t->odd_step ? i + BANK : i;
}

mn_tensor *mni_header_at(mn_tape *t, int64_t i)
{
    const uint64_t k = (uint64_t)i; /* whose quotient takes less than that of a signed number */
    return t->slabs[slab_place(t, k / MNI_SLAB)] + k % MNI_SLAB;
}

/* The first header of the next slab. */
static mn_tensor *slab_next(mn_tape *t)
{
    const int64_t place = (int64_t)slab_place(t, (uint64_t)t->n_headers / MNI_SLAB);
    if (place >= t->slab_capacity) {
        int64_t more = t->slab_capacity ? 2 * t->slab_capacity : 32;
        size_t size = sizeof(mn_tensor *);
        mn_tensor **grown =
            mni_grow(t->slabs, (size_t)t->slab_capacity * size, (size_t)more * size);
        if (!grown) return NULL;
        t->slabs = grown;
        t->slab_capacity = more;
    }
    if (!t->slabs[place]) {
        t->slabs[place] = mni_alloc(MNI_SLAB * sizeof(mn_tensor));
        if (!t->slabs[place]) return NULL;
        t->n_slabs++;
    }
    return t->slabs[place];
}

static inline mn_tensor *header(mn_tape *t)
{
    mn_tensor *x;
    if (t->n_dead > QUARANTINE) {
        x = t->dead_first;
        t->dead_first = x->next;
        t->n_dead--;
        __builtin_prefetch(t->dead_first, 1); /* the next one: it was last touched long ago */
    } else {
        x = t->n_headers % MNI_SLAB ? t->next_header : slab_next(t);
        if (!x) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for tensor headers");
        t->next_header = x + 1;
        t->n_headers++;
    }
    /* Everything but shape and strides, which mni_set_shape fills as far as they count. */
    memset(x, 0, offsetof(mn_tensor, shape));
    atomic_init(&x->refs, 1);
    x->tape = t;
    x->listed = true;
    x->next = t->live;
    t->live = x;
    t->n_made++;
    return x;
}

mn_tensor *mni_header_take(mn_tape *t)
{
    return header(t);
}

void mni_header_free(mn_tensor *x)
{
    mn_tape *t = x->tape;
    mni_storage_release(x->storage);
    x->storage = NULL;
    x->next = NULL;
    if (t->n_dead++) {
        t->dead_last->next = x;
    } else {
        t->dead_first = x;
    }
    t->dead_last = x;
}

static mn_tensor *tensor_of(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape,
                            int64_t numel)
{
    mni_storage *s = take(t, (size_t)(numel * mni_dtype_size(dtype)));
    mn_tensor *x = s ? header(t) : NULL;
    if (!x) {
        mni_storage_release(s);
        return NULL;
    }
    x->storage = s;
    x->data = s->data;
    mni_set_shape(x, dtype, ndim, shape, NULL);
    return x;
}

mn_tensor *mni_tape_tensor(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape)
{
    if (!t || t->error) return NULL;
    char text[256];
    int64_t numel;
    mn_error e = mni_check_shape(dtype, ndim, shape, &numel, text, sizeof text);
    if (e) return mn_tape_fail(t, e, "%s", text);
    return tensor_of(t, dtype, ndim, shape, numel);
}

mn_tensor *mni_tape_like(mn_tape *t, mn_dtype dtype, const mn_tensor *x)
{
    return t->error ? NULL : tensor_of(t, dtype, x->ndim, x->shape, x->numel);
}

mn_tensor *mni_alias(mn_tape *t, mn_tensor *x)
{
    mn_tensor *y = t->error ? NULL : mni_header_take(t);
    if (!y) return NULL;
    mni_set_shape(y, (mn_dtype)x->dtype, x->ndim, x->shape, x->strides);
    y->storage = mni_storage_retain(x->storage);
    y->data = x->data;
    y->requires_grad = x->requires_grad;
    y->version = x->version;
    y->epoch = x->epoch;
    y->node = x->node;
    y->output = x->output;
    mni_edge e;
    if (x->requires_grad && !x->node && mni_producer(t, x, &e)) { /* a leaf: stand for it */
        y->version = x->storage->version;
        y->epoch = t->epoch;
        y->node = e.node;
        y->output = e.output;
    }
    return y;
}
