/*
 * tensor/tensor.h: what a tensor is made of.
 *
 * A tensor is a header (dtype, shape, strides, address of the first element) over a storage that views
 * share. Headers are either yours (heap, atomic count) or a tape's (slab, plain count, linked into the
 * tape's list of temporaries). Storage counts its headers atomically and knows how to give itself back.
 */
#ifndef MNI_TENSOR_H
#define MNI_TENSOR_H

#include <minnow/tensor.h>
#include <stdatomic.h>

struct mn_tape;
struct mn_node;

typedef struct mni_storage {
    /* What an op on a few numbers has to do with comes first: one cache line. */
    _Atomic int refs;
    uint32_t version; /* bumped by every write */
    bool leaf;        /* a tensor over it requires grad and was not computed */
    bool counted;     /* scratch mark of describe.c */
    void *data;       /* of a block that waits in its tape's pool: the next one */
    size_t capacity;  /* bytes at data */
    /* Called by the last release (leaving false), and when a handle is about to outlive the tape whose
     * block it is (leaving true: changes what the last release will do). NULL: the last release frees the
     * block. */
    void (*recycle)(struct mni_storage *s, bool leaving);
    void *owner;  /* the tape whose block it is; NULL */
    int64_t made; /* how many temporaries the tape's step had made before */
    /* The last write whose result carries a gradient: its step, its version, its op. Within that step
     * a handle without a node from before it would lose the gradient. */
    uint64_t recorded_epoch;
    uint32_t recorded_version;
    const char *recorded_writer;
    /* Name of the op that wrote in place, for messages; NULL: a user's write. */
    const char *last_writer;
    /* The prefilled region that the block is a part of; NULL: a block of its own. */
    struct mni_region *region;
    void (*deleter)(void *data, void *user); /* of wrapped memory, NULL */
    void *user;
} mni_storage;

/* A block is this header and, MNI_STORAGE_HEADER bytes on (64-byte aligned), its data. */
enum { MNI_STORAGE_HEADER = (sizeof(mni_storage) + 63) / 64 * 64 };

typedef struct mni_hook {
    bool post;    /* accumulate is set, else grad */
    bool removed; /* while hooks were running */
    union {
        struct mn_tensor *(*grad)(struct mn_tape *t, struct mn_tensor *grad, void *user);
        void (*accumulate)(struct mn_tape *t, struct mn_tensor *x, void *user);
    } fn;
    void *user;
    struct mni_hook *next; /* in the order of registration */
} mni_hook;

/* A gradient [rows, columns] of one sample's, not written down yet: it is the product of a column and a
 * row. */
typedef struct mni_factors {
    _Atomic int state; /* MNI_WRITTEN and so on */
    void *column, *row;
} mni_factors;
enum { MNI_WRITTEN, MNI_PENDING, MNI_WRITING };

/* What only a tensor that collects a gradient has. On the heap for tensors of yours, in the
 * tape's arena for its temporaries. */
typedef struct mni_leaf {
    mn_tensor *grad;   /* allocated once */
    bool filled;       /* it holds a gradient */
    bool broken;       /* a backward pass that failed touched it */
    bool retain;       /* of an intermediate result: keep its gradient */
    bool heap;         /* this struct and the gradient belong to a tensor of yours */
    _Atomic bool seen; /* somebody has the address of the gradient, which must be written at once */
    mni_factors factors;
    int running; /* loops over the hooks: what is removed meanwhile is freed after them */
    mni_hook *hooks;
} mni_leaf;

struct mn_tensor {
    mni_storage *storage; /* NULL once its scope freed it */
    char *data;           /* address of the first element */
    int64_t numel;
    int8_t dtype;
    int8_t ndim;
    bool contiguous;
    bool requires_grad;
    bool owned;       /* yours: on the heap, `refs` is atomic */
    bool parameter;   /* made by mn_parameter: unusable until first written */
    bool kept : 1;    /* scratch mark of mn_scope_end */
    bool listed : 1;  /* in its tape's list of live temporaries, which holds one reference */
    bool written : 1; /* made by mn_op_overwrite */
    _Atomic int refs; /* owned: handles; a tape's: its scope, nodes that saved it, gradient slots */
    uint32_t version; /* the storage's when this handle was made (of a tensor of yours: 0) */
    uint64_t epoch;   /* the step in which `node` was recorded */
    struct mn_node *node;   /* how it was computed; of a tape's leaf: its leaf node */
    int32_t output;         /* which of the node's outputs */
    mni_leaf *leaf;         /* gradient and hooks of an owned leaf; NULL */
    struct mn_tape *tape;   /* whose temporary it is; NULL when owned */
    struct mn_tensor *next; /* the tape's list of live temporaries, or its list of free headers */
    int64_t shape[MN_MAX_DIMS];
    int64_t strides[MN_MAX_DIMS]; /* in elements */
};

/* Frees a tensor's gradient and hooks; NULL is fine. */
void mni_leaf_free(mni_leaf *leaf);

/* A tensor of yours over `s`, whose reference it takes over also on failure. */
mn_tensor *mni_tensor_own(mni_storage *s, mn_dtype dtype, int ndim, const int64_t *shape,
                          const int64_t *strides, void *data);

/* Checks dtype, 0 <= ndim <= 8, sizes >= 0, product within int64 and memory. Fills *numel. On
 * failure writes the reason into text (size bytes) and returns its code. */
mn_error mni_check_shape(mn_dtype dtype, int ndim, const int64_t *shape, int64_t *numel, char *text,
                         size_t size);

/* Sets dtype, shape, strides (row-major when NULL), numel, contiguous of an otherwise zeroed
 * header. */
void mni_set_shape(mn_tensor *x, mn_dtype dtype, int ndim, const int64_t *shape,
                   const int64_t *strides);

/* What the last release of a storage does: it recycles or frees the block. */
void mni_storage_free(mni_storage *s);

static inline mni_storage *mni_storage_retain(mni_storage *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static inline void mni_storage_release(mni_storage *s)
{
    /* A sole owner needs no atomic write: nobody else can add a reference. */
    if (s && (atomic_load_explicit(&s->refs, memory_order_acquire) == 1 ||
              atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1))
        mni_storage_free(s);
}

/* True when no two elements lie at one address (a stride of 0 over a size > 1 is the usual
 * overlap). */
bool mni_no_overlap(const mn_tensor *x);

/* Marks a write: bumps the version, remembers who wrote. */
static inline void mni_touch(mn_tensor *x, const char *writer)
{
    x->storage->version++;
    x->storage->last_writer = writer;
}

/* "[2, 3]" into buf, which it returns. */
char *mni_shape_text(char *buf, size_t size, int ndim, const int64_t *shape);

static inline bool mni_is_float(mn_dtype d)
{
    return d == MN_F32 || d == MN_F64;
}

/* mn_dtype_size of a known dtype. */
static inline int64_t mni_dtype_size(mn_dtype dtype)
{
    static const int8_t sizes[] = {
        [MN_F32] = 4, [MN_F64] = 8, [MN_I64] = 8, [MN_U8] = 1, [MN_BOOL] = 1};
    return sizes[dtype];
}

static inline int64_t mni_item_size(const mn_tensor *x)
{
    return mni_dtype_size((mn_dtype)x->dtype);
}

/* mn_tensor_requires_grad and mn_tensor_same_shape, in places where they cost something. */

static inline bool mni_requires_grad(const mn_tensor *x)
{
    return x && x->storage && x->requires_grad;
}

static inline bool mni_same_shape(const mn_tensor *a, const mn_tensor *b)
{
    bool same = a->ndim == b->ndim;
    for (int d = 0; same && d < a->ndim; d++) same = a->shape[d] == b->shape[d];
    return same;
}

#endif
