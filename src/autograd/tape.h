/*
 * autograd/tape.h: what a tape is made of, for the files of this folder.
 *
 * Everything of a step lives in memory that the tape reuses: headers in slabs, nodes in an arena, buffers
 * in a pool. References to a temporary's header are counted (its scope, nodes that saved it, gradients
 * in flight); the last one gives its storage back.
 */
#ifndef MNI_TAPE_H
#define MNI_TAPE_H

#include "core/memory.h"
#include "core/team.h"
#include "tensor/tensor.h"
#include <minnow/autograd.h>

/* A module at work, on the C stack of mn_module_call. `describe` writes its path ("net.2") into
 * buf; it is asked once for each call that records, and by messages. */
typedef struct mni_frame {
    void (*describe)(const struct mni_frame *f, char *buf, size_t size); /* NULL: label is all */
    const void *module;
    const char *label; /* in the tape's arena, made when the first node wants it */
    struct mni_frame *up;
} mni_frame;

void mni_frame_push(mn_tape *t, mni_frame *f);
void mni_frame_pop(mn_tape *t, mni_frame *f);

/* Takes over, as the tape's error, the reason that an earlier failure on this thread left; when
 * there is none, "<what> is NULL". Returns NULL. */
void *mni_tape_adopt(mn_tape *t, const char *what);

/* The team for compute.h; NULL for a tape of one thread. */
mni_team *mni_tape_team(const mn_tape *t);

/* A fresh contiguous temporary, uninitialised; NULL with the tape's error set (also on a bad
 * shape). */
mn_tensor *mni_tape_tensor(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape);
mn_tensor *mni_tape_like(mn_tape *t, mn_dtype dtype, const mn_tensor *x); /* of x's shape */

/* Takes words out of the generator, and tells where they begin: the same place again when a
 * checkpoint runs again. The tape gets an error when memory is short. */
mn_rng mni_tape_reserve(mn_tape *t, mn_rng *rng, uint64_t words);

/* What is computed from a state that changes with each run: noted in a checkpoint's first run, put into
 * data again when it runs again. */
void mni_tape_note(mn_tape *t, void *data, size_t size);

/* ---- for the files of this folder ---- */

typedef struct mni_draw mni_draw;

typedef struct mni_saved {
    mn_tensor *tensor;
    uint32_t version;
    bool held;              /* by a reference of its own; a leaf has one of the step's */
    struct mni_saved *next; /* the one saved before */
} mni_saved;

typedef struct mni_edge {
    struct mn_node *node; /* who made this input; NULL: it wants no gradient */
    int32_t output;
} mni_edge;

typedef struct mni_output {
    mn_tensor *grad; /* contributions so far, in a pass; owns a reference */
    mni_leaf *leaf;  /* hooks and retained gradient, NULL */
    int8_t dtype;
    int8_t ndim;
    const int64_t *shape;
} mni_output;

/* The slots that an input of mn_grad had in the pass around, while it has slots of its own. */
typedef struct mni_capture {
    uint32_t pass;
    bool visited; /* its hooks have run */
    mni_output *out;
    struct mni_capture *up;
} mni_capture;

struct mn_node {
    const mn_op *op;
    mn_tape *tape;
    int64_t index; /* place in execution order */
    int32_t n_in, n_out;
    uint32_t stamp;    /* the last mn_grad pass in which this node led from an input to an output */
    uint32_t ancestor; /* the last mn_grad pass whose outputs depend on this node */
    uint32_t listed;   /* of a leaf: the last pass that has something for it */
    uint32_t visited;  /* the last pass to the leaves that was here */
    uint32_t touched;  /* of a leaf: the last pass that wrote to its gradient */
    uint8_t n_saved;
    bool released;   /* its saved tensors are gone */
    mn_tensor *leaf; /* of a leaf node: its tensor; NULL */
    mni_edge *in;
    mni_output *out;
    mni_capture *captured;     /* while its gradient is a result of mn_grad */
    struct mn_node *next_leaf; /* in the list of the pass that listed it */
    mni_saved *saved;
    const void *data;           /* the op's own */
    const char *label;          /* module path or NULL */
    struct mn_node *checkpoint; /* the innermost one around it, NULL */
};

typedef struct mni_chunk {
    struct mni_chunk *next;
    size_t size; /* usable bytes after this header */
} mni_chunk;

typedef struct mni_arena {
    mni_chunk *first, *at;
    char *next;  /* in `at` */
    size_t room; /* bytes there */
    size_t capacity;
} mni_arena;

/* size bytes, 16-byte aligned, until the reset; NULL with the last error set. */
void *mni_arena_grow(mni_arena *a, size_t size); /* where the chunk at work has no room */
static inline void *mni_arena_take(mni_arena *a, size_t size)
{
    size = (size + 15) / 16 * 16;
    if (size > a->room) return mni_arena_grow(a, size);
    void *p = a->next;
    a->next += size;
    a->room -= size;
    return p;
}

void mni_arena_reset(mni_arena *a);
void mni_arena_free(mni_arena *a);

/* Memory taken at once by mn_tape_new, from which blocks are cut; lives until the tape and every
 * block that left it are gone. */
typedef struct mni_region {
    _Atomic int refs;
    size_t size, used;
} mni_region;

/* The mark of a pass around on a node that this pass has marked for itself. */
typedef struct mni_stamp {
    mn_node *node;
    uint32_t stamp;
    struct mni_stamp *next;
} mni_stamp;

enum { MNI_BINS = 192, MNI_SLAB = 128 };

/* One pass of the engine; passes nest (a backward function may call mn_grad). */
typedef struct mni_pass {
    uint32_t id;
    bool to_leaves; /* mn_backward: fill .grad; else mn_grad: only stamped nodes count */
    bool search;    /* for anomalies */
    bool create_graph;
    bool retain_graph;
    int64_t pending; /* slots that hold a gradient */
    mn_node *leaves; /* of a pass to the leaves: those it has something for */
    mn_node *node;   /* at work */
    mni_stamp *stamps;
    mn_scope scope;  /* around each node's work */
    mni_frame frame; /* says the node's label */
    struct mni_pass *outer;
} mni_pass;

typedef struct mni_leaf_slot {
    const mn_tensor *key;
    mn_node *node;
} mni_leaf_slot;

struct mn_tape {
    mn_error error;
    char message[512];
    const mn_op *op; /* at work, for messages */
    mni_frame *frame;
    bool grad;
    bool keep_all;
    bool detect_anomaly;
    bool finite;      /* in that mode: the inputs of the op at work */
    int depth;        /* open scopes */
    uint64_t *scopes; /* their serial numbers */
    int scope_capacity;
    uint64_t scope_serial;
    mni_team *team;
    uint64_t epoch; /* unique for every step of every tape in the process */

    /* temporaries: headers */
    mn_tensor **slabs;
    int64_t n_slabs, slab_capacity;
    bool odd_step;
    int64_t n_headers;                 /* handed out from slabs since the reset */
    mn_tensor *next_header;            /* of the slab at work, unless n_headers ends one */
    int64_t n_made;                    /* temporaries made since the reset */
    mn_tensor *live;                   /* newest first; scopes are marks in this list */
    mn_tensor *dead_first, *dead_last; /* freed headers wait here before they are used again */
    int64_t n_dead;

    /* temporaries: storage */
    mni_storage *bins[MNI_BINS];
    mni_region *region;
    size_t live_bytes, peak_bytes, cached_bytes, max_bytes;

    /* the graph */
    mni_arena arena;
    mn_node **nodes;
    int64_t n_nodes, node_capacity;
    int64_t n_saving;      /* nodes that hold saved tensors */
    mni_leaf_slot *leaves; /* open hash: parameter -> its leaf node in this step */
    int64_t n_leaves, leaf_capacity;
    uint32_t passes;
    mni_capture *captures; /* for reuse */
    mni_pass *pass;

    /* checkpoints */
    mn_node *checkpoint; /* being recorded */
    bool recomputing;
    int64_t multiply_adds;        /* of products and convolutions, since the tape was made */
    mni_draw **draw, **draws_end; /* where the next draw is noted or found, NULL outside */
};

/* Counts a product of m n k multiplications with their additions, which the caller is about to make; not
 * in a backward pass. */
static inline void mni_count_product(mn_tape *t, int64_t m, int64_t n, int64_t k)
{
    if (!t->pass) t->multiply_adds += m * n * k;
}

/* pool.c */
bool mni_pool_prefill(mn_tape *t, size_t bytes); /* false with the last error set */
void mni_pool_trim(mn_tape *t);                  /* gives cached buffers back to the allocator */
void mni_pool_free(mn_tape *t);
mn_tensor *mni_header_at(mn_tape *t, int64_t i); /* the i-th that this step took from slabs */
mn_tensor *mni_header_take(mn_tape *t);          /* refs 1, in the live list; NULL with error */
void mni_header_free(mn_tensor *x);              /* of a temporary without references */
mn_tensor *mni_alias(mn_tape *t, mn_tensor *x);  /* a new temporary: same values, same graph */

/* References of temporaries, which one thread has, and of tensors of yours alike. */
static inline void mni_header_ref(mn_tensor *x)
{
    if (x->owned) {
        mn_retain(x);
        return;
    }
    const int refs = atomic_load_explicit(&x->refs, memory_order_relaxed);
    atomic_store_explicit(&x->refs, refs + 1, memory_order_relaxed);
}

static inline void mni_header_unref(mn_tensor *x)
{
    if (x->owned) {
        mn_release(x);
        return;
    }
    const int refs = atomic_load_explicit(&x->refs, memory_order_relaxed) - 1;
    atomic_store_explicit(&x->refs, refs, memory_order_relaxed);
    if (refs == 0) mni_header_free(x);
}

/* ---- scopes: what mn_scope_begin and mn_scope_end do, where it counts ---- */

bool mni_scope_room(mn_tape *t);            /* for more open scopes; false without memory */
bool mni_scope_fail(mn_tape *t, int depth); /* says why the scope may not end; false */

static inline mn_scope mni_scope_begin(mn_tape *t, mn_grad_mode mode)
{
    if (t->depth == t->scope_capacity && !mni_scope_room(t)) {
        mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for scopes");
        return (mn_scope){.depth = -1};
    }
    mn_scope s = {.mark = t->live,
                  .epoch = t->epoch,
                  .serial = ++t->scope_serial,
                  .depth = t->depth,
                  .grad = t->grad};
    t->scopes[t->depth++] = s.serial;
    if (mode != MN_GRAD_INHERIT) t->grad = mode == MN_ENABLE_GRAD;
    return s;
}

/* Ends the scope, but what was made in it is left to the caller. False when it may not end. */
static inline bool mni_scope_leave(mn_tape *t, mn_scope scope)
{
    if (scope.depth < 0 || scope.epoch != t->epoch || scope.depth >= t->depth ||
        t->scopes[scope.depth] != scope.serial)
        return mni_scope_fail(t, scope.depth);
    t->depth = scope.depth;
    t->grad = scope.grad;
    return true;
}

/* Frees what was made since the mark. */
static inline void mni_scope_free(mn_tape *t, const mn_tensor *mark)
{
    while (t->live != mark && !t->keep_all) {
        mn_tensor *x = t->live;
        t->live = x->next;
        x->listed = false;
        mni_header_unref(x);
    }
}

/* Ends and begins it again, without the count and what is the same. */
static inline void mni_scope_clear(mn_tape *t, const mn_scope *scope, bool grad)
{
    if (t->depth <= scope->depth || t->scopes[scope->depth] != scope->serial) {
        mni_scope_fail(t, scope->depth);
        return;
    }
    t->depth = scope->depth + 1;
    t->grad = grad;
    mni_scope_free(t, scope->mark);
}

/* Ends a scope of which nothing is kept. */
static inline void mni_scope_end(mn_tape *t, mn_scope scope)
{
    if (mni_scope_leave(t, scope)) mni_scope_free(t, scope.mark);
}

/* record.c */

/* A node without inputs; NULL with the tape's error set. */
mn_node *mni_node_new(mn_tape *t, const mn_op *op, mn_tensor *const *out, int n_out);
bool mni_producer(mn_tape *t, mn_tensor *x,
                  mni_edge *edge); /* {NULL, 0} when x wants no gradient */
bool mni_check_input(mn_tape *t, const mn_tensor *x, int i);

/* Whether x is what inputs most often are: a tensor, and one that passes. */
static inline bool mni_usual_input(const mn_tape *t, const mn_tensor *x)
{
    if (!x || !x->storage) return false; /* as MN_NONE has none */
    const mni_storage *s = x->storage;
    if (x->node) return x->tape == t && x->epoch == t->epoch && x->version == s->version;
    return (x->tape == t || x->owned) && s->recorded_epoch != t->epoch &&
           (s->version > 0 || !x->parameter);
}

/* Its saved tensors are of no use any more. */
static inline void mni_node_release(mn_node *n)
{
    n->released = true;
    if (!n->saved) return;
    n->tape->n_saving--;
    for (mni_saved *s = n->saved; s; s = s->next)
        if (s->held) mni_header_unref(s->tensor);
    n->saved = NULL;
}

/* mn_saved of a node, and a number, that exist; its usual answer takes no call. */
static inline mn_tensor *mni_saved_of(const mn_node *n, int i)
{
    const mni_saved *s = n->saved;
    for (int k = n->n_saved - 1; s && k > i; k--) s = s->next;
    const mni_storage *storage = s ? s->tensor->storage : NULL;
    return storage && storage->version == s->version ? s->tensor : mn_saved(n, i);
}

/* mn_needs of a node and an input that exist. */
static inline bool mni_needs(const mn_node *n, int i)
{
    const mni_pass *p = n->tape->pass;
    const mn_node *from = n->in[i].node;
    return from && (!p || p->to_leaves || from->stamp == p->id);
}

static inline bool mni_has_shape(const mn_tensor *x, const mni_output *o)
{
    bool same = x->ndim == o->ndim;
    for (int d = 0; same && d < x->ndim; d++) same = x->shape[d] == o->shape[d];
    return same;
}

/* leaf.c */
mni_leaf *mni_leaf_of(mn_tensor *x); /* x->leaf, made when missing; NULL with the last error */
void mni_hooks_ran(mni_leaf *leaf);  /* ends `running`, and frees the hooks removed meanwhile */
bool mni_leaf_accumulate(mn_tape *t, mni_leaf *leaf, mn_tensor *grad);
bool mni_leaf_ensure_grad(mn_tape *t, mn_tensor *x);

/* The gradient of x, a matrix, <- column row, whose numbers are kept until it is asked for; an optimizer
 * that does with them saves writing it. False without memory: nothing is done. */
bool mni_leaf_keep_factors(mn_tensor *x, const void *column, const void *row);

/* Writes what is still pending of the gradient. */
void mni_leaf_write_now(mni_team *team, mni_leaf *leaf);
static inline void mni_leaf_write(mni_team *team, mni_leaf *leaf)
{
    if (atomic_load_explicit(&leaf->factors.state, memory_order_acquire) != MNI_WRITTEN)
        mni_leaf_write_now(team, leaf);
}

/* In a backward_fast function: mn_grad_into for input i, but over gy[k], of the same shape, where nobody else
 * sees that: what is read once lies in the cache where it is written. */
mn_tensor *mni_grad_over(mn_node *n, int i, int k, bool *accumulate);

/* In a backward_fast function: gx[i] for the gradient of input i, a matrix, that is column row, where it may
 * stay these two; NULL: not there, but by mn_grad_into. */
mn_tensor *mni_grad_outer(mn_node *n, int i, const mn_tensor *column, const mn_tensor *row);

/* checkpoint.c: gives what was saved inside the checkpoint its storage back; false with the tape's error */
bool mni_recompute(mn_node *checkpoint);

/* anomaly.c: what a tape does whose detect_anomaly is set */
bool mni_all_finite(mn_tensor *const *x, int n); /* NULLs and what is not f32 or f64 are */
bool mni_check_finite(mn_tape *t, const mn_tensor *x, const char *what, const char *but);
void mni_anomaly_begin(mn_tape *t, mn_tensor *const *in, int n);
bool mni_anomaly_end(mn_tape *t, const mn_op *op, mn_tensor *const *out,
                     int n); /* false: an error */

/* The path of the innermost module into buf, which it returns; "" when there is none. */
const char *mni_frame_label(const mni_frame *f, char *buf, size_t size);

#endif
