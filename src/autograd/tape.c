/*
 * autograd/tape.c: a tape's life: making, resetting and freeing it, its error, its scopes, its figures.
 */
#include "autograd/tape.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Numbers every step of every tape, so that a tensor knows which one recorded it. The one
 * counter that is shared by the process; it carries no other meaning. */
static _Atomic uint64_t epochs;

static void next_epoch(mn_tape *t)
{
    t->epoch = atomic_fetch_add_explicit(&epochs, 1, memory_order_relaxed) + 1;
}

mn_tape *mn_tape_new(const mn_tape_opts *opts)
{
    mn_tape_opts o = opts ? *opts : (mn_tape_opts){0};
    if (o.threads < 0) {
        mn_fail(MN_ERR_ARGUMENT, "mn_tape_new: %d threads", o.threads);
        return NULL;
    }
    if (o.max_bytes && o.prefill_bytes > o.max_bytes) {
        mn_fail(MN_ERR_ARGUMENT, "mn_tape_new: a prefill of %zu bytes exceeds the cap of %zu",
                o.prefill_bytes, o.max_bytes);
        return NULL;
    }
    mn_tape *t = mni_calloc(sizeof *t);
    if (!t) return NULL;
    t->grad = true;
    t->keep_all = o.keep_all;
    t->detect_anomaly = o.detect_anomaly;
    t->max_bytes = o.max_bytes;
    next_epoch(t);
    if (!mni_pool_prefill(t, o.prefill_bytes)) {
        mn_tape_free(t);
        return NULL;
    }
    t->team = mni_team_new(o.threads);
    return t;
}

/* Whether a function of the caller's runs whose graph may not be pulled away. */
static bool at_work(const mn_tape *t)
{
    return t->pass || t->checkpoint || t->recomputing;
}

void mn_tape_free(mn_tape *t)
{
    if (!t) return;
    if (at_work(t)) {
        mn_tape_fail(t, MN_ERR_STATE, "mn_tape_free inside a hook, a gradient or a checkpoint");
        return;
    }
    mn_tape_reset(t);
    mni_team_free(t->team);
    mni_pool_free(t);
    mni_arena_free(&t->arena);
    for (int64_t i = 0; i < t->slab_capacity; i++) mni_free(t->slabs[i]);
    mni_free(t->scopes);
    mni_free(t->slabs);
    mni_free(t->nodes);
    mni_free(t->leaves);
    mni_free(t);
}

void mn_tape_reset(mn_tape *t)
{
    enum { AHEAD = 8 };
    if (!t || at_work(t)) return;
    for (int64_t i = 0; i < t->n_nodes && t->n_saving; i++) mni_node_release(t->nodes[i]);
    for (int64_t i = 0; i < t->leaf_capacity && t->n_leaves; i++) {
        if (!t->leaves[i].key) continue;
        t->n_leaves--;
        mn_release(t->leaves[i].node->leaf);
        t->leaves[i] = (mni_leaf_slot){0};
    }
    for (int64_t i = 0; i < t->n_headers; i += MNI_SLAB) {
        mn_tensor *x = mni_header_at(t, i); /* the first one of a slab */
        const mn_tensor *end = x + (t->n_headers - i < MNI_SLAB ? t->n_headers - i : MNI_SLAB);
        for (; x < end; x++) {
            if (end - x > AHEAD) __builtin_prefetch(x[AHEAD].storage);
            mni_storage_release(x->storage);
            x->storage = NULL;
            x->node = NULL;
            x->leaf = NULL;
        }
    }
    t->n_headers = t->n_made = t->n_dead = t->n_nodes = 0;
    t->live = t->dead_first = t->dead_last = NULL;
    t->odd_step = !t->odd_step;
    t->captures = NULL;
    t->depth = 0;
    t->grad = true;
    t->op = NULL;
    mni_arena_reset(&t->arena);
    next_epoch(t);
}

/* ---- the error ---- */

mn_error mn_tape_error(const mn_tape *t)
{
    if (t) return t->error;
    return mn_last_error() ? mn_last_error() : MN_ERR_ARGUMENT;
}

const char *mn_tape_message(const mn_tape *t)
{
    if (t) return t->message;
    return mn_last_error() ? mn_last_message() : "the tape is NULL";
}

void mn_tape_clear_error(mn_tape *t)
{
    if (!t) return;
    t->error = MN_OK;
    t->op = NULL; /* an op that failed did not reach its mn_op_end */
    t->message[0] = '\0';
}

const char *mni_frame_label(const mni_frame *f, char *buf, size_t size)
{
    buf[0] = '\0';
    if (f && f->label) {
        snprintf(buf, size, "%s", f->label);
    } else if (f && f->describe) {
        f->describe(f, buf, size);
    }
    return buf;
}

void *mn_tape_fail(mn_tape *t, mn_error code, const char *format, ...)
{
    if (t && t->error) return NULL;
    char text[sizeof t->message], where[200];
    size_t at = 0;
    mni_frame_label(t ? t->frame : NULL, where, sizeof where);
    const char *during = t && t->pass && t->pass->node ? " backward" : "";
    if (t && t->op && where[0]) {
        at = (size_t)snprintf(text, sizeof text, "%s (%.80s%s): ", where, t->op->name, during);
    } else if (t && t->op) {
        at = (size_t)snprintf(text, sizeof text, "%.80s%s: ", t->op->name, during);
    } else if (where[0]) {
        at = (size_t)snprintf(text, sizeof text, "%s: ", where);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text + at, sizeof text - at, format, args);
    va_end(args);
    if (code == MN_OK) code = MN_ERR_STATE;
    mn_fail(code, "%s", text);
    if (!t) return NULL;
    t->error = code;
    memcpy(t->message, text, sizeof text);
    return NULL;
}

void *mni_tape_adopt(mn_tape *t, const char *what)
{
    if (!t || t->error) return NULL;
    if (mn_last_error() == MN_OK) return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is NULL", what);
    t->error = mn_last_error();
    snprintf(t->message, sizeof t->message, "%s", mn_last_message());
    return NULL;
}

void mni_frame_push(mn_tape *t, mni_frame *f)
{
    f->label = NULL;
    f->up = t->frame;
    t->frame = f;
}

void mni_frame_pop(mn_tape *t, mni_frame *f)
{
    t->frame = f->up;
}

mni_team *mni_tape_team(const mn_tape *t)
{
    return t ? t->team : NULL;
}

mn_tape_usage mn_tape_stats(const mn_tape *t)
{
    if (!t) return (mn_tape_usage){0};
    size_t arenas = t->arena.capacity + (size_t)t->n_slabs * MNI_SLAB * sizeof(mn_tensor) +
                    (size_t)t->slab_capacity * sizeof(mn_tensor *) +
                    (size_t)t->node_capacity * sizeof(mn_node *) +
                    (size_t)t->leaf_capacity * sizeof(mni_leaf_slot);
    return (mn_tape_usage){.nodes = t->n_nodes,
                           .tensors = t->n_made,
                           .live_bytes = t->live_bytes,
                           .peak_bytes = t->peak_bytes,
                           .cached_bytes = t->cached_bytes,
                           .arena_bytes = arenas,
                           .multiply_adds = t->multiply_adds,
                           .threads = mni_team_size(t->team)};
}

/* ---- scopes ---- */

bool mni_scope_room(mn_tape *t)
{
    int more = t->scope_capacity ? 2 * t->scope_capacity : 32;
    size_t size = sizeof *t->scopes;
    uint64_t *grown = mni_grow(t->scopes, (size_t)t->scope_capacity * size, (size_t)more * size);
    if (!grown) return false;
    t->scopes = grown;
    t->scope_capacity = more;
    return true;
}

mn_scope mn_scope_begin(mn_tape *t, mn_grad_mode mode)
{
    return t ? mni_scope_begin(t, mode) : (mn_scope){0};
}

bool mni_scope_fail(mn_tape *t, int depth)
{
    if (depth < 0) return false; /* it never began; the tape has the reason */
    return mn_tape_fail(t, MN_ERR_STATE,
                        "mn_scope_end: the scope has already ended, or is of another step or tape");
}

/* Pops the live list down to the mark. A kept tensor moves to the scope around; any other loses
 * the reference that its scope held, and lives on only if a node or a gradient holds another. */
void mn_scope_end(mn_tape *t, mn_scope scope, mn_tensor *const *kept, int n)
{
    if (!t || !mni_scope_leave(t, scope) || t->keep_all) return;
    for (int i = 0; i < n; i++)
        if (kept[i] && !kept[i]->owned) kept[i]->kept = true;
    mn_tensor *outer = NULL;
    while (t->live != scope.mark) {
        mn_tensor *x = t->live;
        t->live = x->next;
        if (x->kept) {
            x->next = outer;
            outer = x;
        } else {
            x->listed = false;
            mni_header_unref(x);
        }
    }
    while (outer) {
        mn_tensor *x = outer;
        outer = x->next;
        x->next = t->live;
        t->live = x;
    }
    for (int i = 0; i < n; i++)
        if (kept[i] && !kept[i]->owned) kept[i]->kept = false;
}

bool mn_grad_enabled(const mn_tape *t)
{
    return t && t->grad;
}
