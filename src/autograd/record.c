/*
 * autograd/record.c: what an op calls: the entry check, recording a node, saving what its gradient needs,
 * and the views and overwrites that share storage.
 */
#include "autograd/tape.h"
#include <stdio.h>
#include <string.h>

/* ---- nodes ---- */

static bool more_nodes(mn_tape *t)
{
    int64_t more = t->node_capacity ? 2 * t->node_capacity : 256;
    size_t size = sizeof(mn_node *);
    mn_node **grown = mni_grow(t->nodes, (size_t)t->n_nodes * size, (size_t)more * size);
    if (!grown) return false;
    t->nodes = grown;
    t->node_capacity = more;
    return true;
}

/* The next place in the tape's order is n's; false with the tape's error. */
static inline bool node_append(mn_tape *t, mn_node *n)
{
    if (t->n_nodes == t->node_capacity && !more_nodes(t))
        return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the graph");
    n->index = t->n_nodes;
    t->nodes[t->n_nodes++] = n;
    return true;
}

/* The innermost module's path, once for each call of the module. */
static const char *frame_label(mn_tape *t)
{
    mni_frame *f = t->frame;
    if (!f || f->label) return f ? f->label : NULL;
    char text[200];
    if (!*mni_frame_label(f, text, sizeof text)) return NULL;
    size_t size = strlen(text) + 1;
    char *copy = mni_arena_take(&t->arena, size);
    if (copy) f->label = memcpy(copy, text, size);
    return f->label;
}

/* Not yet in the tape's order, its edges to be set. */
static inline mn_node *node_new(mn_tape *t, const mn_op *op, int n_in, mn_tensor *const *out,
                                int n_out)
{
    size_t dims = 0;
    for (int k = 0; k < n_out; k++) dims += (size_t)out[k]->ndim;
    size_t edges = (size_t)n_in * sizeof(mni_edge), outputs = (size_t)n_out * sizeof(mni_output);
    mn_node *n = mni_arena_take(&t->arena, sizeof *n + edges + outputs + dims * sizeof(int64_t));
    if (!n) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the graph");
    *n = (mn_node){.op = op, .tape = t, .n_in = n_in, .n_out = n_out};
    n->in = (mni_edge *)(void *)(n + 1);
    n->out = (mni_output *)(void *)((char *)n->in + edges);
    int64_t *shape = (int64_t *)(void *)((char *)n->out + outputs);
    for (int k = 0; k < n_out; k++) {
        n->out[k] = (mni_output){.dtype = out[k]->dtype, .ndim = out[k]->ndim, .shape = shape};
        for (int d = 0; d < out[k]->ndim; d++) *shape++ = out[k]->shape[d];
    }
    n->label = frame_label(t);
    n->checkpoint = t->checkpoint;
    return n;
}

mn_node *mni_node_new(mn_tape *t, const mn_op *op, mn_tensor *const *out, int n_out)
{
    mn_node *n = node_new(t, op, 0, out, n_out);
    return n && node_append(t, n) ? n : NULL;
}

/* ---- leaves ---- */

static const mn_op leaf_op = {.name = "leaf"};

/* Its slot in the table, or the free one where it belongs. */
static mni_leaf_slot *leaf_slot(mni_leaf_slot *table, int64_t capacity, const mn_tensor *x)
{
    uint64_t at = ((uint64_t)(uintptr_t)x >> 4) * 0x9e3779b97f4a7c15u;
    for (at >>= 20;; at++) {
        mni_leaf_slot *s = &table[at & (uint64_t)(capacity - 1)];
        if (!s->key || s->key == x) return s;
    }
}

static bool leaf_table_room(mn_tape *t)
{
    if (2 * (t->n_leaves + 1) <= t->leaf_capacity) return true;
    int64_t more = t->leaf_capacity ? 2 * t->leaf_capacity : 64;
    mni_leaf_slot *grown = mni_calloc((size_t)more * sizeof *grown);
    if (!grown) return false;
    for (int64_t i = 0; i < t->leaf_capacity; i++)
        if (t->leaves[i].key) *leaf_slot(grown, more, t->leaves[i].key) = t->leaves[i];
    mni_free(t->leaves);
    t->leaves = grown;
    t->leaf_capacity = more;
    return true;
}

static mn_node *leaf_node_new(mn_tape *t, mn_tensor *x)
{
    mn_node *n = mni_node_new(t, &leaf_op, &x, 1);
    if (!n) return NULL;
    n->leaf = x;
    n->label = NULL;
    return n;
}

/* The leaf node of a tensor of yours, recorded at its first use in this step. The table keeps a
 * reference, so that its address cannot become another tensor's within the step. */
static mn_node *leaf_node(mn_tape *t, mn_tensor *x)
{
    mni_leaf_slot *s = t->leaf_capacity ? leaf_slot(t->leaves, t->leaf_capacity, x) : NULL;
    if (s && s->key) return s->node;
    if (!leaf_table_room(t)) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for leaves");
    s = leaf_slot(t->leaves, t->leaf_capacity, x);
    mn_node *n = leaf_node_new(t, x);
    if (!n) return NULL;
    mn_retain(x);
    *s = (mni_leaf_slot){.key = x, .node = n};
    t->n_leaves++;
    return n;
}

bool mni_producer(mn_tape *t, mn_tensor *x, mni_edge *edge)
{
    *edge = (mni_edge){0};
    if (x == MN_NONE || !x->requires_grad) return true;
    if (!x->node &&
        !x->owned) { /* a temporary that was told to require grad: a leaf of this step */
        x->node = leaf_node_new(t, x);
        if (!x->node) return false;
        mni_header_ref(x); /* the node outlives the tensor's scope */
        x->node->out[0].leaf = x->leaf;
        x->output = 0;
        x->epoch = t->epoch;
        x->version = x->storage->version;
    }
    *edge = (mni_edge){.node = x->node ? x->node : leaf_node(t, x), .output = x->output};
    return edge->node != NULL;
}

/* The same; its usual answers take no call. */
static inline bool producer(mn_tape *t, mn_tensor *x, mni_edge *edge)
{
    mn_node *n = x->node;
    if (!n && x->requires_grad) {
        if (x->owned && t->n_leaves) n = leaf_slot(t->leaves, t->leaf_capacity, x)->node;
        if (!n) return mni_producer(t, x, edge);
    }
    *edge = (mni_edge){.node = n, .output = x->output};
    return true;
}

/* ---- the op's calls ---- */

bool mni_check_input(mn_tape *t, const mn_tensor *x, int i)
{
    if (!x) {
        char what[32];
        snprintf(what, sizeof what, "input %d", i);
        mni_tape_adopt(t, what);
    } else if (x == MN_NONE) {
        return true;
    } else if (!x->storage) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "input %d was freed by its scope or by mn_tape_reset: keep it through "
                     "mn_scope_end or mn_retain it",
                     i);
    } else if (!x->owned && x->tape != t) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "input %d is a temporary of another tape: mn_retain an mn_detach of it", i);
    } else if (x->node && x->epoch != t->epoch) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "input %d was made in an earlier step (or on another tape) and still has its "
                     "graph: mn_detach it before mn_retain",
                     i);
    } else if (x->node && x->version != x->storage->version) {
        const char *writer = x->storage->last_writer;
        mn_tape_fail(t, MN_ERR_STATE, "input %d was overwritten by %s; use its result", i,
                     writer ? writer : "a write into its storage");
    } else if (!x->node && x->storage->recorded_epoch == t->epoch &&
               x->version < x->storage->recorded_version) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "input %d was overwritten by %s, whose result carries a gradient; use its "
                     "result",
                     i, x->storage->recorded_writer);
    } else if (x->parameter && x->storage->version == 0) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "input %d is a parameter that was never initialised: call mn_module_init, or "
                     "load or write its values",
                     i);
    } else {
        return true;
    }
    return false;
}

bool mn_op_begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in)
{
    if (!t) {
        if (!mn_last_error()) mn_fail(MN_ERR_ARGUMENT, "%s: the tape is NULL", op->name);
        return false;
    }
    if (t->error) return false;
    t->op = op;
    if (n_in > 0 && !in) {
        mni_tape_adopt(t, "the list of tensors");
        return false;
    }
    for (int i = 0; i < n_in; i++)
        if (!mni_usual_input(t, in[i]) && !mni_check_input(t, in[i], i)) return false;
    if (t->detect_anomaly) mni_anomaly_begin(t, in, n_in);
    return true;
}

mn_node *mn_op_record(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in,
                      mn_tensor *const *out, int n_out)
{
    if (!t || t->error) return NULL;
    if (t->detect_anomaly && !mni_anomaly_end(t, op, out, n_out)) return NULL;
    if (!t->grad) return NULL;
    bool wanted = false;
    for (int i = 0; i < n_in; i++) wanted |= in[i]->requires_grad;
    if (!wanted) return NULL;
    for (int k = 0; k < n_out; k++) {
        if (!out[k]) return NULL;
        if (!out[k]->owned && !out[k]->node && out[k]->tape == t) continue;
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "output %d is not a fresh temporary of this tape",
                            k);
    }
    mn_node *n = node_new(t, op, n_in, out, n_out);
    if (!n) return NULL;
    for (int i = 0; i < n_in; i++) /* which may append leaves: they come first */
        if (!producer(t, in[i], &n->in[i])) return NULL;
    if (!node_append(t, n)) return NULL;
    for (int k = 0; k < n_out; k++) {
        if (!mni_is_float((mn_dtype)out[k]->dtype)) continue; /* indices carry no gradient */
        out[k]->requires_grad = true;
        out[k]->node = n;
        out[k]->output = k;
        out[k]->epoch = t->epoch;
        out[k]->version = out[k]->storage->version;
        if (!out[k]->written) continue;
        out[k]->storage->recorded_version = out[k]->version;
        out[k]->storage->recorded_epoch = t->epoch;
        out[k]->storage->recorded_writer = op->name;
    }
    return n;
}

mn_tensor *mn_op_end(mn_tape *t, mn_tensor *y)
{
    if (!t) return NULL;
    t->op = NULL;
    return t->error ? NULL : y;
}

mn_tensor *mn_op_view(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape,
                      const int64_t *strides, int64_t offset)
{
    if (!t || t->error || !x) return NULL;
    char text[256];
    int64_t numel;
    mn_error e = mni_check_shape((mn_dtype)x->dtype, ndim, shape, &numel, text, sizeof text);
    if (e) return mn_tape_fail(t, e, "%s", text);
    if (!x->storage) return mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no storage to look at");
    mn_tensor *y = mni_header_take(t);
    if (!y) return NULL;
    mni_set_shape(y, (mn_dtype)x->dtype, ndim, shape, strides);
    y->storage = mni_storage_retain(x->storage);
    y->data = x->data + offset * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
    y->version = x->storage->version;
    return y;
}

mn_tensor *mn_op_overwrite(mn_tape *t, mn_tensor *x)
{
    if (!t || t->error || !x) return NULL;
    if (!x->storage) return mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no storage to overwrite");
    bool leaf = !x->node || x->node->leaf || x->storage->leaf; /* or a view of one */
    if (t->grad && x->requires_grad && leaf)
        return mn_tape_fail(t, MN_ERR_STATE,
                            "a leaf that requires grad may not be overwritten while recording: "
                            "use the op that is not in place, or a scope with MN_NO_GRAD");
    if (!mni_no_overlap(x))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "several elements of the input share an address: mn_clone it first");
    mni_touch(x, t->op ? t->op->name : NULL);
    mn_tensor *y = mn_op_view(t, x, x->ndim, x->shape, x->strides, 0);
    if (y) y->written = true;
    return y;
}

void mn_save(mn_node *n, mn_tensor *x)
{
    if (!n || !x || n->tape->error) return;
    mni_saved *s = mni_arena_take(&n->tape->arena, sizeof *s);
    if (!s || n->n_saved == 255) {
        mn_tape_fail(n->tape, MN_ERR_MEMORY, "out of memory for the graph");
        return;
    }
    bool kept = x == MN_NONE; /* by others until the reset; atomic counts of parameters take long */
    if (x->owned)
        for (int i = 0; i < n->n_in && !kept; i++) kept = n->in[i].node && n->in[i].node->leaf == x;
    uint32_t version = x == MN_NONE ? 0 : x->storage->version;
    *s = (mni_saved){.tensor = x, .version = version, .held = !kept, .next = n->saved};
    if (!kept) mni_header_ref(x);
    if (!n->saved) n->tape->n_saving++;
    n->saved = s;
    n->n_saved++;
}

void mn_save_data(mn_node *n, const void *data, size_t size)
{
    if (!n || n->tape->error) return;
    void *copy = mni_arena_take(&n->tape->arena, size);
    if (!copy) {
        mn_tape_fail(n->tape, MN_ERR_MEMORY, "out of memory for the graph");
        return;
    }
    n->data = memcpy(copy, data, size);
}

mn_tensor *mn_saved(const mn_node *n, int i)
{
    if (!n || n->tape->error) return NULL;
    if (n->released)
        return mn_tape_fail(n->tape, MN_ERR_STATE,
                            "what the graph saved was already freed by a backward pass: set "
                            "retain_graph in the first one");
    const mni_saved *s = n->saved;
    for (int k = n->n_saved - 1; s && k > i; k--) s = s->next;
    if (!s || i < 0 || i >= n->n_saved)
        return mn_tape_fail(n->tape, MN_ERR_ARGUMENT, "tensor %d was not saved", i);
    if (s->tensor == MN_NONE) return MN_NONE;
    if (!s->tensor->storage && n->checkpoint && !mni_recompute(n->checkpoint)) return NULL;
    if (!s->tensor->storage)
        return mn_tape_fail(n->tape, MN_ERR_STATE, "saved tensor %d is gone", i);
    if (s->version != s->tensor->storage->version) {
        const char *writer = s->tensor->storage->last_writer;
        return mn_tape_fail(n->tape, MN_ERR_STATE,
                            "a tensor saved for the gradient was overwritten by %s",
                            writer ? writer : "a write into its storage");
    }
    return s->tensor;
}

const void *mn_saved_data(const mn_node *n)
{
    return n ? n->data : NULL;
}

bool mn_needs(const mn_node *n, int i)
{
    return n && i >= 0 && i < n->n_in && mni_needs(n, i);
}

const int64_t *mn_input_shape(const mn_node *n, int i, int *ndim)
{
    const mni_edge *e = n && i >= 0 && i < n->n_in && n->in[i].node ? &n->in[i] : NULL;
    if (ndim) *ndim = e ? e->node->out[e->output].ndim : 0;
    return e ? e->node->out[e->output].shape : NULL;
}

mn_tensor *mn_detach(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "detach"};
    if (!t || t->error) return NULL;
    /* A handle of yours from an earlier step may be detached: that is what detach is for. */
    mn_tensor graphless = {0}, *in = x;
    if (x && x->owned && x != MN_NONE) {
        graphless = (mn_tensor){
            .storage = x->storage, .owned = true, .parameter = x->parameter, .version = x->version};
        in = &graphless;
    }
    if (!mn_op_begin(t, &op, &in, 1)) return NULL;
    if (x == MN_NONE) return mn_tape_fail(t, MN_ERR_ARGUMENT, "a tensor is needed, not MN_NONE");
    return mn_op_end(t, mn_op_view(t, x, x->ndim, x->shape, x->strides, 0));
}
