/*
 * autograd/checkpoint.c: a part of the graph that gives back the memory of what it saved, and computes it
 * again when the backward pass asks for it. The nodes of the first run stay as they are, with edges, hooks
 * and labels; only the storage of the tensors they saved is dropped. The second run records as the first
 * one did, so the k-th tensor that it saves has the values of the k-th that was dropped: it lends them its
 * storage, and its own nodes are forgotten.
 */
#include "autograd/tape.h"
#include "core/philox.h"
#include "tensor/compute.h"
#include <string.h>

/* A draw of a checkpoint's first run, or a note, whose bytes stand behind it; nested checkpoints share the
 * list of the outermost. */
struct mni_draw {
    mn_rng at;
    uint64_t words;
    size_t size; /* of a note */
    mni_draw *next;
};

/* The data of the node that stands for a checkpoint; it comes before those that the function
 * recorded and saves the function's inputs. */
typedef struct checkpoint {
    mn_function f;
    void *user;
    const void *module;       /* around it, for messages */
    int64_t end;              /* the first node that is not its own any more */
    int64_t made;             /* temporaries of the step when it began */
    mni_draw *drawn;          /* the list, of an outermost one */
    mni_draw **first, **last; /* its part of the list: where it begins and where it ends */
    uint64_t checksum;        /* of the result */
    bool running;             /* again */
} checkpoint;

/* The next of the list: in the first run made, later found; NULL where that fails. */
static mni_draw *next_draw(mn_tape *t, uint64_t words, size_t size)
{
    mni_draw *d = *t->draw;
    if (!t->recomputing) {
        d = mni_arena_take(&t->arena, sizeof *d + size);
        if (d)
            *d = (mni_draw){.words = words, .size = size};
        else
            mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the graph");
        *t->draw = d;
    } else if (!d || t->draw == t->draws_end || d->words != words || d->size != size) {
        d = NULL; /* mni_recompute will say that the function has changed */
        t->draws_end = NULL;
    }
    if (d) t->draw = &d->next;
    return d;
}

mn_rng mni_tape_reserve(mn_tape *t, mn_rng *rng, uint64_t words)
{
    if (!t->draw) return mni_rng_reserve(rng, words);
    mni_draw *d = next_draw(t, words, 0);
    if (!d) return *rng;
    if (!t->recomputing) d->at = mni_rng_reserve(rng, words);
    return d->at;
}

void mni_tape_note(mn_tape *t, void *data, size_t size)
{
    mni_draw *d = t->draw && !t->error ? next_draw(t, 0, size) : NULL;
    if (!d) return;
    if (t->recomputing)
        memcpy(data, d + 1, size);
    else
        memcpy(d + 1, data, size);
}

bool mn_tape_recomputing(const mn_tape *t)
{
    return t && t->recomputing;
}

/* Whether x's memory came from the tape after n temporaries had been made. */
static bool made_after(const mn_tape *t, const mn_tensor *x, int64_t n)
{
    return x->storage && x->storage->owner == t && x->storage->made >= n;
}

/* FNV-1a over the elements, eight bytes at a time. */
static uint64_t checksum(mn_tape *t, const mn_tensor *x)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325), word = 0;
    mn_tensor *copy = NULL;
    if (!x || !x->storage) return hash;
    if (!x->contiguous) {
        copy = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
        if (copy) mni_copy(t->team, x, copy);
        x = copy;
    }
    if (!x) return hash;
    size_t bytes = (size_t)x->numel * mn_dtype_size((mn_dtype)x->dtype);
    for (size_t i = 0; i < bytes; i += sizeof word) {
        memcpy(&word, x->data + i, bytes - i < sizeof word ? bytes - i : sizeof word);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* ---- the first run ---- */

static const mn_op checkpoint_op = {.name = "checkpoint"};

static mn_node *open_checkpoint(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user)
{
    if (n > 255) return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d inputs, at most 255 are possible", n);
    checkpoint *c = mni_arena_take(&t->arena, sizeof *c);
    mn_node *node = c ? mni_node_new(t, &checkpoint_op, NULL, 0) : NULL;
    if (!node) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the graph");
    for (int i = 0; i < n; i++) mn_save(node, in[i]);
    *c = (checkpoint){.f = f, .user = user, .made = t->n_made};
    c->module = t->frame ? t->frame->module : NULL;
    if (!t->draw) t->draw = &c->drawn;
    c->first = t->draw;
    node->data = c;
    return node;
}

/* Drops what was saved inside, but not what lives on in the result. */
static void close_checkpoint(mn_tape *t, mn_node *node, const mn_tensor *y)
{
    checkpoint *c = (checkpoint *)(uintptr_t)node->data;
    c->end = t->n_nodes;
    c->last = t->draw;
    for (int64_t i = node->index + 1; i < c->end; i++)
        for (mni_saved *s = t->nodes[i]->saved; s; s = s->next) {
            mn_tensor *x = s->tensor;
            bool leaf = x->node && x->node->leaf;
            if (x->owned || leaf || !made_after(t, x, c->made) || x->storage == y->storage)
                continue;
            mni_storage_release(x->storage);
            x->storage = NULL;
        }
}

mn_tensor *mn_checkpoint(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user)
{
    if (!mn_op_begin(t, &checkpoint_op, in, n)) return NULL;
    if (!f) return mn_tape_fail(t, MN_ERR_ARGUMENT, "the function is NULL");
    mn_node *outer = t->checkpoint, *node = NULL;
    mni_draw **outer_draw = t->draw;
    if (t->grad && !t->keep_all) node = open_checkpoint(t, f, in, n, user);
    if (t->error) return NULL;
    t->op = NULL;
    mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    if (node) t->checkpoint = node;
    mn_tensor *y = f(t, in, n, user);
    t->checkpoint = outer;
    t->op = &checkpoint_op;
    if (!y) mni_tape_adopt(t, "the function's result");
    if (y == MN_NONE) mn_tape_fail(t, MN_ERR_ARGUMENT, "the function's result is MN_NONE");
    if (node && !t->error) ((checkpoint *)(uintptr_t)node->data)->checksum = checksum(t, y);
    mn_scope_end(t, scope, &y, 1);
    if (node && !t->error) close_checkpoint(t, node, y);
    if (!outer_draw) t->draw = NULL;
    return mn_op_end(t, y);
}

/* ---- the second run ---- */

static bool alike(const mn_tensor *x, const mn_tensor *y)
{
    size_t size = (size_t)x->ndim * sizeof *x->shape;
    return x->dtype == y->dtype && x->ndim == y->ndim && memcmp(x->shape, y->shape, size) == 0 &&
           memcmp(x->strides, y->strides, size) == 0;
}

/* Gives what was saved the storage of what was saved now, in memory that is of this run. */
static bool lend(const mn_tape *t, mni_saved *saved, const mni_saved *now, int64_t made)
{
    mn_tensor *x = saved->tensor;
    const mn_tensor *y = now->tensor;
    if (x == y) return true;
    if (x == MN_NONE || y == MN_NONE || !alike(x, y)) return false;
    if (!x->storage && y->storage) { /* of a nested checkpoint both are gone */
        x->storage = mni_storage_retain(y->storage);
        x->data = y->data;
        x->version = y->version;
    }
    if (x->storage == y->storage && made_after(t, y, made)) saved->version = now->version;
    return true;
}

/* Goes through the nodes of both runs side by side. Leaf nodes are recorded at the first use of a
 * tensor in a step; in the second run there are none but those of the function's own temporaries. */
static bool lend_all(mn_tape *t, const mn_node *node, int64_t first, int64_t made)
{
    int64_t at = node->index + 1, end = ((const checkpoint *)node->data)->end;
    for (int64_t now = first; now < t->n_nodes; now++) {
        const mn_node *b = t->nodes[now];
        if (b->leaf && !made_after(t, b->leaf, made)) return false;
        if (b->leaf) continue;
        while (at < end && t->nodes[at]->leaf) at++;
        if (at == end) return false;
        const mn_node *a = t->nodes[at++];
        if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out ||
            a->n_saved != b->n_saved)
            return false;
        const mni_saved *saved = b->saved;
        for (mni_saved *s = a->saved; s; s = s->next, saved = saved->next)
            if (!lend(t, s, saved, made)) return false;
    }
    while (at < end && t->nodes[at]->leaf) at++;
    return at == end;
}

/* Runs the function again, and lends. */
static void run_again(mn_tape *t, const mn_node *node, mn_tensor *const *in)
{
    static const char again[] = "the function gave another result when the backward pass ran it "
                                "again";
    const checkpoint *c = node->data;
    int64_t first = t->n_nodes, made = t->n_made;
    mn_scope scope = mn_scope_begin(t, MN_ENABLE_GRAD);
    mn_tensor *y = c->f(t, in, node->n_saved, c->user);
    t->op = &checkpoint_op;
    if (!y) mni_tape_adopt(t, "the function's result");
    if (t->draw != c->last || t->draws_end != c->last)
        mn_tape_fail(t, MN_ERR_STATE, "%s: it drew other random numbers", again);
    if (!t->error && !lend_all(t, node, first, made))
        mn_tape_fail(t, MN_ERR_STATE, "%s: it ran other ops", again);
    if (!t->error && checksum(t, y) != c->checksum)
        mn_tape_fail(t, MN_ERR_STATE,
                     "%s: its random numbers must come from ops of this tape, and whatever it "
                     "reads must stay as it was",
                     again);
    mn_scope_end(t, scope, NULL, 0);
    if (t->error) return; /* the nodes stay: somebody may hold their results */
    for (int64_t i = first; i < t->n_nodes; i++) mni_node_release(t->nodes[i]);
    t->n_nodes = first;
}

bool mni_recompute(mn_node *node)
{
    mn_tape *t = node->tape;
    checkpoint *c = (checkpoint *)(uintptr_t)node->data;
    if (c->running) return mn_tape_fail(t, MN_ERR_STATE, "a checkpoint needs itself");
    mn_tensor **in = mni_arena_take(&t->arena, (node->n_saved + 1u) * sizeof *in);
    if (!in) mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the backward pass");
    for (int i = 0; i < node->n_saved && !t->error; i++) in[i] = mn_saved(node, i);
    if (t->error) return false;
    const mn_op *op = t->op;
    mni_frame *outer = t->frame, frame = {.label = node->label, .module = c->module, .up = outer};
    mn_node *checkpoint_around = t->checkpoint, *at_work = t->pass ? t->pass->node : NULL;
    mni_draw **draw = t->draw, **draws_end = t->draws_end;
    bool recomputing = t->recomputing;
    t->op = NULL;
    t->frame = &frame;
    t->checkpoint = NULL;
    t->draw = c->first;
    t->draws_end = c->last;
    t->recomputing = c->running = true;
    if (t->pass) t->pass->node = NULL;
    run_again(t, node, in);
    if (t->pass) t->pass->node = at_work;
    c->running = false;
    t->recomputing = recomputing;
    t->draws_end = draws_end;
    t->draw = draw;
    t->checkpoint = checkpoint_around;
    t->frame = outer;
    t->op = op;
    if (!t->error) mni_node_release(node); /* the inputs have served */
    return !t->error;
}
