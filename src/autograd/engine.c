/*
 * autograd/engine.c: the backward pass. The tape is sorted already, so a pass is one walk from the last node
 * to the first: take what gradient has arrived at a node, run its backward function, hand the results to the
 * nodes its inputs came from. No recursion, no dependency counts.
 */
#include "autograd/tape.h"
#include "tensor/compute.h"
#include <minnow/ops.h>
#include <stdio.h>
#include <string.h>

/* ---- contributions ---- */

/* Whether nobody but the slot can see these numbers. */
static bool exclusive(const mn_tensor *x)
{
    return !x->owned && atomic_load_explicit(&x->refs, memory_order_relaxed) == 1 &&
           atomic_load_explicit(&x->storage->refs, memory_order_relaxed) == 1 && x->contiguous;
}

/* A pass counts what is on its way to other nodes than leaves: when that is nothing, it need not
 * walk down to nodes from long before. One to the leaves lists those it has something for. */
static void list_leaf(mni_pass *p, mn_node *n)
{
    if (!p->to_leaves || n->listed == p->id) return;
    n->listed = p->id;
    n->next_leaf = p->leaves;
    p->leaves = n;
}

static inline void slot_clear(mni_pass *p, const mn_node *n, mni_output *slot)
{
    if (!slot->grad) return;
    mni_header_unref(slot->grad);
    slot->grad = NULL;
    if (!n->leaf) p->pending--;
}

/* Of an empty slot. */
static inline void slot_fill(mni_pass *p, mn_node *n, mni_output *slot, mn_tensor *grad)
{
    mni_header_ref(grad);
    slot->grad = grad;
    if (n->leaf)
        list_leaf(p, n);
    else
        p->pending++;
}

/* grad is not the one that is there. */
static void slot_set(mni_pass *p, mn_node *n, mni_output *slot, mn_tensor *grad)
{
    slot_clear(p, n, slot);
    slot_fill(p, n, slot, grad);
}

/* The first contribution is shared, later ones are summed: in place where only the slot holds
 * the sum. */
static void slot_add(mn_tape *t, mni_pass *p, mn_node *n, mni_output *slot, mn_tensor *grad)
{
    if (!slot->grad) {
        slot_fill(p, n, slot, grad);
    } else if (!p->create_graph && exclusive(slot->grad)) {
        mni_map2(t->team, mni_kernels()->add, slot->grad, grad, slot->grad, NULL);
    } else {
        mn_tensor *sum = mn_add(t, slot->grad, grad);
        if (sum) slot_set(p, n, slot, sum);
    }
}

/* Sums grad over the dimensions that broadcasting added or stretched. NULL with the tape's error
 * set. */
static mn_tensor *reduce_to(mn_tape *t, mn_tensor *grad, const mni_output *o)
{
    int dims[MN_MAX_DIMS], n = 0, extra = grad->ndim - o->ndim;
    for (int d = 0; d < grad->ndim; d++)
        if (d < extra || (o->shape[d - extra] == 1 && grad->shape[d] != 1)) dims[n++] = d;
    grad = mn_sum_dim(t, grad, dims, n, true);
    return extra > 0 ? mn_reshape(t, grad, o->ndim, o->shape) : grad;
}

/* A gradient of input i, if it is one: where that broadcast, its sum over what that added. NULL with the
 * tape's error set. */
static mn_tensor *fitted(mn_tape *t, const mn_node *n, int i, mn_tensor *grad,
                         const mni_output *slot)
{
    if (!mni_check_input(t, grad, i)) return NULL;
    if (grad == MN_NONE)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "the gradient of input %d is MN_NONE", i);
    if (grad->dtype != slot->dtype)
        return mn_tape_fail(t, MN_ERR_DTYPE, "the gradient of input %d is %s, the input %s", i,
                            mn_dtype_name((mn_dtype)grad->dtype),
                            mn_dtype_name((mn_dtype)slot->dtype));
    if (!mni_has_shape(grad, slot) && n->op->flags & MN_OP_BROADCASTS) {
        t->op = NULL;
        grad = reduce_to(t, grad, slot);
        t->op = n->op;
    }
    if (!grad || mni_has_shape(grad, slot)) return grad;
    char a[200], b[200];
    return mn_tape_fail(t, MN_ERR_SHAPE, "the gradient of input %d has shape %s, the input %s", i,
                        mni_shape_text(a, sizeof a, grad->ndim, grad->shape),
                        mni_shape_text(b, sizeof b, slot->ndim, slot->shape));
}

/* Hands grad, the gradient of input i of node n, to where that input came from. */
static void contribute(mn_tape *t, mni_pass *p, mn_node *n, int i, mn_tensor *grad)
{
    mn_node *from = n->in[i].node;
    mni_output *slot = &from->out[n->in[i].output];
    if (from->leaf && from->touched == p->id && grad == from->leaf->leaf->grad) {
        from->leaf->leaf->filled = true; /* mn_grad_into: it is there already */
        mni_touch(grad, NULL);
        return;
    }
    if (!mni_usual_input(t, grad) || grad->dtype != slot->dtype || !mni_has_shape(grad, slot))
        grad = fitted(t, n, i, grad, slot);
    if (grad && !slot->grad) {
        slot_fill(p, from, slot, grad);
    } else if (grad) {
        slot_add(t, p, from, slot, grad);
        t->op = n->op;
    }
}

/* The leaf that input i of n is, if its gradient can be written in place; else NULL. */
static mn_tensor *direct_leaf(const mn_node *n, int i)
{
    const mni_pass *p = n->tape->pass;
    const mn_node *from = n->in[i].node;
    mn_tensor *x = from->leaf;
    bool direct = p->to_leaves && !p->create_graph && x && x->owned;
    for (int k = 0; direct && k < n->n_in; k++) direct = k == i || n->in[k].node != from;
    if (direct && x->leaf)
        for (const mni_hook *h = x->leaf->hooks; direct && h; h = h->next) direct = h->post;
    return direct ? x : NULL;
}

/* Where to write the gradient of input i, which is the leaf x, or NULL: none that can be written in place. */
static mn_tensor *grad_into(mn_node *n, int i, mn_tensor *x, bool *accumulate)
{
    mn_tape *t = n->tape;
    mn_node *from = n->in[i].node;
    if (!x) {
        const mni_output *o = &from->out[n->in[i].output];
        return mni_tape_tensor(t, (mn_dtype)o->dtype, o->ndim, o->shape);
    }
    if (!mni_leaf_ensure_grad(t, x)) return NULL;
    mni_leaf_write(t->team, x->leaf);
    from->touched = t->pass->id;
    list_leaf(t->pass, from);
    *accumulate = x->leaf->filled;
    return x->leaf->grad;
}

mn_tensor *mn_grad_into(mn_node *n, int i, bool *accumulate)
{
    *accumulate = false;
    if (n->tape->error || !mni_needs(n, i)) return NULL;
    return grad_into(n, i, direct_leaf(n, i), accumulate);
}

mn_tensor *mni_grad_over(mn_node *n, int i, int k, bool *accumulate)
{
    *accumulate = false;
    if (n->tape->error || !mni_needs(n, i)) return NULL;
    mn_tensor *gy = n->out[k].grad, *x = direct_leaf(n, i);
    const bool free = !n->captured && !n->tape->pass->search && exclusive(gy);
    return free && !x ? gy : grad_into(n, i, x, accumulate);
}

mn_tensor *mni_grad_outer(mn_node *n, int i, const mn_tensor *column, const mn_tensor *row)
{
    bool accumulate;
    if (n->tape->error || n->tape->pass->search || !mni_needs(n, i)) return NULL;
    mn_tensor *x = direct_leaf(n, i);
    if (!x || (x->leaf && (x->leaf->filled || x->leaf->seen))) return NULL;
    mn_tensor *gx = grad_into(n, i, x, &accumulate);
    if (!gx || mni_leaf_keep_factors(x, column->data, row->data)) return gx;
    return mni_tape_adopt(n->tape, "the gradient");
}

/* ---- one node ---- */

/* Whether the pass has to do with the node at all: others may hold gradients of a pass around
 * this one. */
static bool concerns(const mni_pass *p, const mn_node *n)
{
    return p->to_leaves || n->stamp == p->id;
}

static void run_hooks(mn_tape *t, mni_pass *p, mn_node *n, mni_output *slot)
{
    for (const mni_hook *h = slot->leaf->hooks; h && !t->error; h = h->next) {
        if (h->post || h->removed) continue;
        mn_tensor *g = h->fn.grad(t, slot->grad, h->user);
        if (t->error || g == slot->grad) continue;
        if (!g) {
            mni_tape_adopt(t, "the gradient that a hook returned");
        } else if (!mni_check_input(t, g, 0)) {
            return;
        } else if (g == MN_NONE || g->dtype != slot->dtype || !mni_has_shape(g, slot)) {
            mn_tape_fail(t, MN_ERR_SHAPE, "a hook returned a gradient of another shape or dtype");
        } else {
            slot_set(p, n, slot, g);
        }
    }
}

/* A leaf's gradient is complete when the walk reaches it: every use came after it on the tape. */
static void finish_leaf(mn_tape *t, const mni_pass *p, mn_node *n)
{
    mn_tensor *x = n->leaf;
    if (n->out[0].grad) {
        n->touched = p->id;
        if (!mni_leaf_accumulate(t, mni_leaf_of(x), n->out[0].grad)) return;
    }
    mni_leaf *leaf = x->leaf;
    leaf->running++;
    for (const mni_hook *h = leaf->hooks; h && !t->error; h = h->next)
        if (h->post && !h->removed) h->fn.accumulate(t, x, h->user);
    mni_hooks_ran(leaf);
}

static bool finite_gradient(mn_tape *t, const mn_tensor *g, const char *of, int i, const char *but)
{
    char what[64];
    snprintf(what, sizeof what, "the gradient of %s %d", of, i);
    return mni_check_finite(t, g, what, but);
}

static void run_backward(mn_tape *t, mni_pass *p, mn_node *n)
{
    enum { FEW = 16 };
    mn_tensor *few_gx[FEW], *few_gy[FEW], **gx = few_gx, **gy = few_gy;
    if (n->n_in > FEW) gx = mni_arena_take(&t->arena, (size_t)n->n_in * sizeof *gx);
    if (n->n_out > FEW) gy = mni_arena_take(&t->arena, (size_t)n->n_out * sizeof *gy);
    if (!gx || !gy) {
        mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the backward pass");
        return;
    }
    for (int i = 0; i < n->n_in; i++) gx[i] = NULL;
    for (int k = 0; k < n->n_out; k++) gy[k] = n->out[k].grad;
    if (n->released) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "the graph was already freed by a backward pass: set retain_graph in the "
                     "first one");
        return;
    }
    bool fast = n->op->backward_fast && !p->create_graph;
    if (!fast && !n->op->backward) {
        mn_tape_fail(t, MN_ERR_STATE, "the op has no gradient");
        return;
    }
    (fast ? n->op->backward_fast : n->op->backward)(t, n, gy, gx);
    t->op = n->op;
    for (int i = 0; i < n->n_in && !t->error; i++) {
        const mn_node *from = gx[i] ? n->in[i].node : NULL;
        if (!from || !concerns(p, from)) continue;
        if (p->search && !finite_gradient(t, gx[i], "input", i, "but that of its result is finite"))
            return;
        contribute(t, p, n, i, gx[i]);
    }
}

/* Whether an input of n is on the way to what the pass wants; of mn_grad's own inputs often none is. */
static bool leads_on(const mni_pass *p, const mn_node *n)
{
    if (p->to_leaves) return true;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i].node && n->in[i].node->stamp == p->id) return true;
    return false;
}

static void visit(mn_tape *t, mni_pass *p, mn_node *n)
{
    for (int k = 0; k < n->n_out; k++) {
        mni_output *slot = &n->out[k];
        if (n->leaf) slot->leaf = n->leaf->leaf;
        mni_leaf *leaf = slot->grad ? slot->leaf : NULL;
        if (leaf) {
            leaf->running++;
            run_hooks(t, p, n, slot);
            mni_hooks_ran(leaf);
            t->op = n->op; /* theirs were others */
        }
        if (p->search && !t->error)
            finite_gradient(t, slot->grad, "result", k, "by a hook, or as a sum of finite ones");
        if (leaf && leaf->retain && p->to_leaves && !t->error)
            mni_leaf_accumulate(t, leaf, slot->grad);
    }
    if (t->error) return;
    if (n->leaf) {
        if (p->to_leaves) finish_leaf(t, p, n);
    } else if (leads_on(p, n)) {
        run_backward(t, p, n);
        if (!p->retain_graph && !t->error) mni_node_release(n);
    }
}

/* ---- a pass ---- */

static bool arrived(const mni_pass *p, const mn_node *n)
{
    if (n->leaf && n->touched == p->id) return true; /* written straight into .grad */
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k].grad) return true;
    return false;
}

/* Around visits: what a node's work makes is freed behind it, and messages name its module. */
static void visits_begin(mn_tape *t, mni_pass *p)
{
    p->scope = mni_scope_begin(t, p->create_graph ? MN_ENABLE_GRAD : MN_NO_GRAD);
    p->frame = (mni_frame){.up = t->frame};
    t->frame = &p->frame;
}

static void visits_end(mn_tape *t, mni_pass *p)
{
    t->frame = p->frame.up;
    mni_scope_end(t, p->scope);
}

static void visit_in_scope(mn_tape *t, mni_pass *p, mn_node *n)
{
    if (p->to_leaves)
        n->visited = p->id;
    else if (n->captured && n->captured->pass == p->id)
        n->captured->visited = true;
    p->node = n;
    p->frame.label = n->label;
    t->op = n->op;
    visit(t, p, n);
    t->op = NULL;
    p->node = NULL;
    mni_scope_clear(t, &p->scope, p->create_graph);
}

static inline void clear_slots(mni_pass *p, const mn_node *n)
{
    for (int k = 0; k < n->n_out; k++) slot_clear(p, n, &n->out[k]);
}

enum { CACHED = 4096 }; /* nodes that the caches hold with all that belongs to them */

/* A graph larger than the caches is a chain of misses from node to saved tensor to storage: each is asked
 * for some nodes before it is needed. */
static void fetch_ahead(const mn_tape *t, int64_t i, int64_t first)
{
    enum { NODE = 12, TENSOR = 8, STORAGE = 4 };
    if (i - NODE < first) return;
    __builtin_prefetch(t->nodes[i - NODE]);
    __builtin_prefetch((const char *)t->nodes[i - NODE] + 64);
    __builtin_prefetch((const char *)t->nodes[i - NODE] + 128);
    for (const mni_saved *s = t->nodes[i - TENSOR]->saved; s; s = s->next) {
        __builtin_prefetch(s->tensor);
        __builtin_prefetch((const char *)s->tensor + 64);
    }
    for (const mni_saved *s = t->nodes[i - STORAGE]->saved; s; s = s->next) {
        if (s->tensor == MN_NONE || !s->tensor->storage) continue;
        __builtin_prefetch(s->tensor->storage);
        __builtin_prefetch(s->tensor->data);
    }
}

/* From node `last` down to node `first`, until nothing is on its way any more. A captured node's
 * gradients stay where they are: they are results. */
static void walk(mn_tape *t, mni_pass *p, int64_t last, int64_t first)
{
    const bool large = last - first > CACHED;
    visits_begin(t, p);
    for (int64_t i = last; i >= first && p->pending && !t->error; i--) {
        mn_node *n = t->nodes[i];
        if (large) fetch_ahead(t, i, first);
        if (!concerns(p, n) || !arrived(p, n)) continue;
        visit_in_scope(t, p, n);
        if (!n->captured) clear_slots(p, n);
    }
    for (mn_node *n = p->leaves; n && !t->error; n = n->next_leaf) {
        if (n->visited == p->id) continue;
        visit_in_scope(t, p, n);
        clear_slots(p, n);
    }
    visits_end(t, p);
    if (!t->error) return;
    for (int64_t i = last; i >= first; i--) {
        mn_node *n = t->nodes[i];
        if (!concerns(p, n)) continue;
        if (!n->captured) clear_slots(p, n);
        if (n->leaf && n->touched == p->id && n->leaf->leaf) n->leaf->leaf->broken = true;
    }
}

/* The cotangent of output k, checked against it; NULL with the tape's error set. */
static mn_tensor *cotangent(mn_tape *t, mn_tensor *y, mn_tensor *const *cotangents, int k)
{
    char a[200], b[200];
    if (!cotangents && y->numel != 1)
        return mn_tape_fail(t, MN_ERR_SHAPE,
                            "output %d has shape %s, not one element: give it a cotangent, or "
                            "reduce it with mn_sum or mn_mean",
                            k, mni_shape_text(a, sizeof a, y->ndim, y->shape));
    if (!cotangents) {
        const mn_op *op = t->op;
        mn_tensor *one = mn_ones(t, (mn_dtype)y->dtype, y->ndim, y->shape);
        t->op = op;
        return one;
    }
    mn_tensor *v = cotangents[k];
    if (!mni_check_input(t, v, k)) return NULL;
    if (v == MN_NONE || v->dtype != y->dtype || !mn_tensor_same_shape(v, y))
        return mn_tape_fail(
            t, MN_ERR_SHAPE, "cotangent %d is %s %s, its output %s %s", k,
            mn_dtype_name((mn_dtype)v->dtype), mni_shape_text(a, sizeof a, v->ndim, v->shape),
            mn_dtype_name((mn_dtype)y->dtype), mni_shape_text(b, sizeof b, y->ndim, y->shape));
    return v;
}

/* Where output k was computed; false with the tape's error set when nothing there can have a
 * gradient. */
static bool origin(mn_tape *t, mn_tensor *y, int k, mni_edge *e)
{
    if (y != MN_NONE && y->requires_grad) return mni_producer(t, y, e);
    mn_tape_fail(t, MN_ERR_STATE,
                 "output %d does not depend on any tensor that requires grad (or was computed "
                 "without recording)",
                 k);
    return false;
}

/* Puts the cotangents where they start, and walks. */
static void run_pass(mn_tape *t, mni_pass *p, mn_tensor *const *outputs, int n,
                     mn_tensor *const *cotangents, int64_t last, int64_t first)
{
    mn_scope scope = mni_scope_begin(t, p->create_graph ? MN_ENABLE_GRAD : MN_NO_GRAD);
    for (int k = 0; k < n && !t->error; k++) {
        mni_edge e;
        mn_tensor *v = cotangent(t, outputs[k], cotangents, k);
        if (!v || !mni_producer(t, outputs[k], &e) || !concerns(p, e.node)) continue;
        slot_add(t, p, e.node, &e.node->out[e.output], v);
    }
    p->search = t->detect_anomaly && (!cotangents || mni_all_finite(cotangents, n));
    t->op = NULL;
    mni_scope_end(t, scope);
    walk(t, p, last, first);
}

static void pass_begin(mn_tape *t, mni_pass *p)
{
    p->id = ++t->passes;
    p->outer = t->pass;
    t->pass = p;
}

static int64_t last_of(mn_tape *t, mn_tensor *const *outputs, int n)
{
    int64_t last = -1;
    if (n < 1) mn_tape_fail(t, MN_ERR_ARGUMENT, "no outputs are given");
    for (int k = 0; k < n; k++) {
        mni_edge e;
        if (!origin(t, outputs[k], k, &e)) return -1;
        if (e.node->index > last) last = e.node->index;
    }
    return last;
}

mn_error mn_backward_from(mn_tape *t, mn_tensor *const *outputs, int n,
                          const mn_backward_opts *opts)
{
    static const mn_op op = {.name = "mn_backward"};
    mn_backward_opts o = opts ? *opts : (mn_backward_opts){0};
    if (!mn_op_begin(t, &op, outputs, n)) return mn_tape_error(t);
    if (t->pass)
        mn_tape_fail(t, MN_ERR_STATE,
                     "a backward pass is running: inside a hook or a gradient use mn_grad");
    int64_t last = last_of(t, outputs, n);
    if (!t->error) {
        mni_pass p = {.to_leaves = true, .retain_graph = o.retain_graph};
        mn_scope scope = mni_scope_begin(t, MN_NO_GRAD);
        pass_begin(t, &p);
        run_pass(t, &p, outputs, n, o.cotangents, last, 0);
        t->pass = p.outer;
        mni_scope_end(t, scope);
    }
    t->op = NULL;
    return t->error;
}

mn_error mn_backward(mn_tape *t, mn_tensor *loss)
{
    return mn_backward_from(t, &loss, 1, NULL);
}

/* ---- mn_grad ---- */

/* Marks n as on the way of this pass; false with the tape's error. A pass around this one whose way it
 * is on as well gets its mark back in unstamp. */
static bool stamp(mn_tape *t, mni_pass *p, mn_node *n)
{
    const mni_pass *around = p->outer;
    while (around && around->id != n->stamp) around = around->outer;
    if (around) {
        mni_stamp *s = mni_arena_take(&t->arena, sizeof *s);
        if (!s) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the backward pass");
        *s = (mni_stamp){.node = n, .stamp = n->stamp, .next = p->stamps};
        p->stamps = s;
    }
    n->stamp = p->id;
    return true;
}

static void unstamp(const mni_pass *p)
{
    for (const mni_stamp *s = p->stamps; s; s = s->next) s->node->stamp = s->stamp;
}

/* Gives an input's node slots of its own for this pass; those of a pass around it come back in
 * uncapture. A capture of a node with one output is used again within the step. */
static bool capture(mn_tape *t, mn_node *n, mni_pass *p, int64_t *first)
{
    if (n->index < *first) *first = n->index;
    if (n->stamp != p->id && !stamp(t, p, n)) return false;
    if (n->captured && n->captured->pass == p->id) return true;
    size_t size = (size_t)n->n_out * sizeof *n->out;
    mni_capture *c = n->n_out == 1 ? t->captures : NULL;
    if (c) {
        t->captures = c->up;
    } else {
        c = mni_arena_take(&t->arena, sizeof *c + size);
    }
    if (!c) {
        mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the backward pass");
        return false;
    }
    *c = (mni_capture){.pass = p->id, .out = n->out, .up = n->captured};
    n->captured = c;
    n->out = memcpy(c + 1, n->out, size);
    for (int k = 0; k < n->n_out; k++) n->out[k].grad = NULL;
    return true;
}

static void uncapture(mn_tape *t, mn_node *n, mni_pass *p)
{
    mni_capture *c = n->captured;
    if (!c || c->pass != p->id) return;
    clear_slots(p, n);
    n->out = c->out;
    n->captured = c->up;
    if (n->n_out > 1) return;
    c->up = t->captures;
    t->captures = c;
}

/* Marks an ancestor of the outputs; 1 if it is met for the first time and has inputs to look at. */
static int ancestor(mn_node *n, const mni_pass *p, int64_t first)
{
    bool fresh = n->ancestor != p->id;
    n->ancestor = p->id;
    return fresh && !n->leaf && n->index >= first;
}

/* Stamps every node on a path from the stamped inputs to the outputs: of the outputs' ancestors
 * those that descend from an input. Returns the first node that may be one of them: below it there
 * are only leaves, which have no ancestors. */
static int64_t stamp_paths(mn_tape *t, mni_pass *p, mn_tensor *const *outputs, int n_outputs,
                           int64_t first, int64_t last)
{
    int64_t open = 0; /* ancestors still to be reached, without the leaves */
    for (int k = 0; k < n_outputs; k++) {
        mni_edge e;
        if (mni_producer(t, outputs[k], &e)) open += ancestor(e.node, p, first);
    }
    int64_t low = last + 1;
    while (low > first && open) {
        const mn_node *n = t->nodes[--low];
        if (n->ancestor != p->id || n->leaf) continue;
        open--;
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i].node) open += ancestor(n->in[i].node, p, first);
    }
    for (int64_t at = low; at <= last; at++) {
        mn_node *n = t->nodes[at];
        if (n->ancestor != p->id) continue;
        for (int i = 0; i < n->n_in && n->stamp != p->id; i++)
            if (n->in[i].node && n->in[i].node->stamp == p->id && !stamp(t, p, n)) return low;
        if (n->stamp != p->id || n->captured || !p->outer || !arrived(p, n)) continue;
        mn_tape_fail(t, MN_ERR_STATE,
                     "inside a backward pass only what was computed inside it can be "
                     "differentiated");
    }
    return low;
}

static void grad_pass(mn_tape *t, mni_pass *p, mn_tensor *const *outputs, int n_outputs,
                      const mni_edge *inputs, int n_inputs, mn_tensor **gradients,
                      const mn_grad_opts *o, int64_t last)
{
    int64_t first = t->n_nodes;
    int captured = 0;
    while (captured < n_inputs && capture(t, inputs[captured].node, p, &first)) captured++;
    if (!t->error) first = stamp_paths(t, p, outputs, n_outputs, first, last);
    if (!t->error) run_pass(t, p, outputs, n_outputs, o->cotangents, last, first);
    visits_begin(t, p);
    for (int i = 0; i < captured && !t->error; i++) { /* leaves from before the walk's end */
        mn_node *n = inputs[i].node;
        if (n->leaf && !n->captured->visited && arrived(p, n)) visit_in_scope(t, p, n);
    }
    visits_end(t, p);
    for (int i = 0; i < n_inputs && !t->error; i++) {
        mn_tensor *g = inputs[i].node->out[inputs[i].output].grad;
        if (g) {
            gradients[i] = mni_alias(t, g);
        } else if (!o->allow_unused) {
            mn_tape_fail(t, MN_ERR_STATE, "no output depends on input %d (allow_unused gives NULL)",
                         i);
        }
    }
    for (int i = 0; i < captured; i++) uncapture(t, inputs[i].node, p);
    unstamp(p);
}

/* Where the inputs were computed, in `few` or, for many, in the arena; NULL with the tape's error. */
static mni_edge *input_edges(mn_tape *t, mn_tensor *const *inputs, int n, mni_edge *few, int n_few)
{
    mni_edge *edges = n <= n_few ? few : mni_arena_take(&t->arena, (size_t)n * sizeof *edges);
    if (!edges) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the backward pass");
    for (int i = 0; i < n; i++) {
        if (inputs[i] == MN_NONE || !inputs[i]->requires_grad)
            return mn_tape_fail(t, MN_ERR_STATE, "input %d does not require grad", i);
        if (!mni_producer(t, inputs[i], &edges[i])) return NULL;
    }
    return edges;
}

mn_error mn_grad(mn_tape *t, mn_tensor *const *outputs, int n_outputs, mn_tensor *const *inputs,
                 int n_inputs, mn_tensor **gradients, const mn_grad_opts *opts)
{
    static const mn_op op = {.name = "mn_grad"};
    mn_grad_opts o = opts ? *opts : (mn_grad_opts){0};
    for (int i = 0; gradients && i < n_inputs; i++) gradients[i] = NULL;
    if (!mn_op_begin(t, &op, outputs, n_outputs) || !mn_op_begin(t, &op, inputs, n_inputs))
        return mn_tape_error(t);
    if (!gradients) mn_tape_fail(t, MN_ERR_ARGUMENT, "the list for the gradients is NULL");
    enum { FEW = 8 };
    mni_edge few[FEW];
    int64_t last = t->error ? -1 : last_of(t, outputs, n_outputs);
    const mni_edge *edges = t->error ? NULL : input_edges(t, inputs, n_inputs, few, FEW);
    if (edges) {
        mni_pass p = {.create_graph = o.create_graph,
                      .retain_graph = o.retain_graph || o.create_graph};
        pass_begin(t, &p);
        grad_pass(t, &p, outputs, n_outputs, edges, n_inputs, gradients, &o, last);
        t->pass = p.outer;
    }
    t->op = NULL;
    for (int i = 0; gradients && i < n_inputs && t->error; i++) gradients[i] = NULL;
    return t->error;
}
