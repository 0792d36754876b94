/*
 * nn/module.c: a module's life, and the one entry to every forward pass.
 */
#include "nn/module.h"
#include "autograd/tape.h"
#include "core/memory.h"
#include <stdio.h>
#include <string.h>

enum { HEAD = 64 }; /* keeps the module at the allocator's alignment */
_Static_assert(sizeof(mni_module_head) <= HEAD, "the head of a module has grown beyond its place");

mni_module_head *mni_module_head_of(mn_module *m)
{
    return (mni_module_head *)(void *)((char *)m - HEAD);
}

mn_error mni_pass_null(const char *who, const char *what)
{
    return mn_last_error() ? mn_last_error()
                           : mn_fail(MN_ERR_ARGUMENT, "%s: %s is NULL", who, what);
}

/* ---- the path of a module at work, for messages ---- */

typedef struct name_visitor {
    mn_visitor base;
    const mn_module *wanted;
    char *buf;
    size_t size;
} name_visitor;

static void match_child(mn_visitor *v, const char *name, mn_module **slot)
{
    name_visitor *n = (name_visitor *)v;
    (void)name;
    if (*slot != n->wanted) {
        mni_walk(v, *slot);
        return;
    }
    mni_path_text(v->path, NULL, n->buf, n->size);
    v->done = true;
}

/* text behind what is in buf; cut where that is full. (Steps of small nets notice snprintf.) */
static void append(char *buf, size_t size, const char *text)
{
    const size_t at = strlen(buf), n = strlen(text), room = size - at - 1;
    memcpy(buf + at, text, n < room ? n : room);
    buf[at + (n < room ? n : room)] = '\0';
}

/* "net.2.inner": the path that mn_module_init or mn_module_seed gave; before those, the name
 * in the tree of the module that calls it. */
static void describe_frame(const mni_frame *f, char *buf, size_t size)
{
    mn_module *m = (mn_module *)(uintptr_t)f->module;
    if (m->path) {
        buf[0] = '\0';
        append(buf, size, m->path[0] ? "net." : "net");
        append(buf, size, m->path);
        return;
    }
    if (!f->up || !f->up->module) {
        snprintf(buf, size, "net");
        return;
    }
    mni_frame_label(f->up, buf, size);
    size_t n = strlen(buf);
    name_visitor v = {.base.child = match_child, .wanted = m, .buf = buf + n, .size = size - n};
    if (n + 2 > size) return;
    buf[n] = '.';
    v.buf++, v.size--;
    mni_walk(&v.base, (mn_module *)(uintptr_t)f->up->module);
    if (!v.base.done) snprintf(v.buf, v.size, "%s", m->cls->name);
}

/* ---- the forward pass ---- */

/* Makes what a module's code returned the tape's error; false when there is one. */
static bool settle(mn_tape *t, const char *what, const mn_module *m, mn_error e)
{
    if (mn_tape_error(t)) return false;
    if (e != MN_OK && e == mn_last_error()) {
        mn_tape_fail(t, e, "%s", mn_last_message());
    } else if (e != MN_OK) {
        mn_tape_fail(t, e, "%s of %s failed (%s)", what, m->cls->name, mn_error_name(e));
    }
    return e == MN_OK;
}

static bool run_pre_hooks(mn_module *m, mn_tape *t, mn_tensor *const **in, int n_in)
{
    mn_tensor **own = NULL;
    for (mni_module_hook *h = mni_module_head_of(m)->hooks; h; h = h->next) {
        if (!h->before) continue;
        if (!own && !(own = mni_arena_take(&t->arena, ((size_t)n_in + 1) * sizeof *own)))
            return mni_tape_adopt(t, "memory");
        for (int i = 0; i < n_in; i++) own[i] = (*in)[i];
        *in = own;
        if (!settle(t, "a hook", m, h->before(m, t, own, n_in, h->user))) return false;
        for (int i = 0; i < n_in; i++)
            if (!own[i]) return mni_tape_adopt(t, "an input that a hook left");
    }
    return true;
}

static bool run_hooks(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                      int n_out)
{
    for (mni_module_hook *h = mni_module_head_of(m)->hooks; h; h = h->next)
        if (h->after && !settle(t, "a hook", m, h->after(m, t, in, n_in, out, n_out, h->user)))
            return false;
    return true;
}

/* The module's own forward, between its checks; on return the tape has an error or every output is
 * there. */
static void run(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                int n_out)
{
    const mn_module_class *c = m->cls;
    const bool plain = !mni_module_head_of(m)->parametrizations;
    if (n_in < 0 || (c->n_in && n_in != c->n_in)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s takes %d inputs, not %d", c->name, c->n_in, n_in);
        return;
    }
    if (n_out < 0 || (c->n_out && n_out != c->n_out)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s gives %d outputs, not %d", c->name, c->n_out, n_out);
        return;
    }
    for (int i = 0; i < n_in; i++)
        if (!mni_check_input(t, in[i], i)) return;
    if (!run_pre_hooks(m, t, &in, n_in) ||
        !settle(t, "the forward", m,
                (plain ? c->forward : mni_parametrized_forward)(m, t, in, n_in, out, n_out)) ||
        !run_hooks(m, t, in, n_in, out, n_out))
        return;
    for (int i = 0; i < n_out; i++)
        if (!out[i])
            mn_tape_fail(t, MN_ERR_STATE, "the forward of %s left output %d NULL", c->name, i);
}

mn_tensor *mn_module_forward(mn_module *m, mn_tape *t, mn_tensor *x)
{
    mn_tensor *y = NULL;
    mn_module_call(m, t, &x, 1, &y, 1);
    return y;
}

mn_error mn_module_call(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                        int n_out)
{
    for (int i = 0; i < n_out; i++) out[i] = NULL;
    if (!t) return mni_pass_null("mn_module_call", "the tape");
    if (!m) mni_tape_adopt(t, "mn_module_call: the module");
    for (int i = 0; i < n_in; i++)
        if (!in[i]) mni_tape_adopt(t, "mn_module_call: an input");
    if (mn_tape_error(t)) return mn_tape_error(t);

    mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    mni_frame frame = {.describe = describe_frame, .module = m};
    mni_frame_push(t, &frame);
    run(m, t, in, n_in, out, n_out);
    mni_frame_pop(t, &frame);
    for (int i = 0; mn_tape_error(t) && i < n_out; i++) out[i] = NULL;
    mn_scope_end(t, scope, out, n_out);
    return mn_tape_error(t);
}

/* ---- train and eval ---- */

typedef struct mode_visitor {
    mn_visitor base;
    bool training;
} mode_visitor;

static bool set_mode(mn_visitor *v, mn_module *m)
{
    m->training = ((mode_visitor *)v)->training;
    return true;
}

void mn_module_train(mn_module *m)
{
    if (m) mni_walk(&(mode_visitor){.base.module = set_mode, .training = true}.base, m);
}

void mn_module_eval(mn_module *m)
{
    if (m) mni_walk(&(mode_visitor){.base.module = set_mode, .training = false}.base, m);
}

bool mn_module_training(const mn_module *m)
{
    return m && m->training;
}

/* ---- hooks ---- */

static mn_error add_hook(const char *who, mn_module *m, mni_module_hook hook)
{
    if (!m || (!hook.before && !hook.after))
        return mni_pass_null(who, m ? "the hook" : "the module");
    mni_module_hook *own = mni_alloc(sizeof *own), **last = &mni_module_head_of(m)->hooks;
    if (!own) return mn_last_error();
    while (*last) last = &(*last)->next;
    *own = hook;
    *last = own;
    return MN_OK;
}

mn_error mn_module_register_forward_pre_hook(mn_module *m, mn_module_pre_hook hook, void *user)
{
    return add_hook("mn_module_register_forward_pre_hook", m,
                    (mni_module_hook){.before = hook, .user = user});
}

mn_error mn_module_register_forward_hook(mn_module *m, mn_module_hook hook, void *user)
{
    return add_hook("mn_module_register_forward_hook", m,
                    (mni_module_hook){.after = hook, .user = user});
}

void mn_module_remove_hooks(mn_module *m)
{
    mni_module_hook *h = m ? mni_module_head_of(m)->hooks : NULL;
    if (m) mni_module_head_of(m)->hooks = NULL;
    while (h) {
        mni_module_hook *next = h->next;
        mni_free(h);
        h = next;
    }
}

/* ---- ownership: a retained module may be given up on any thread ---- */

mn_module *mn_module_retain(mn_module *m)
{
    if (m) __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
    return m;
}

static void drop_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                        bool buffer)
{
    (void)v, (void)name, (void)init, (void)buffer;
    mn_release(*slot);
    *slot = NULL;
}

static void drop_child(mn_visitor *v, const char *name, mn_module **slot)
{
    (void)v, (void)name;
    mn_module_free(*slot);
    *slot = NULL;
}

static void free_names(mni_name *name)
{
    while (name) {
        mni_name *next = name->next;
        mni_free(name);
        name = next;
    }
}

void mn_module_free(mn_module *m)
{
    if (!m || __atomic_fetch_sub(&m->refs, 1, __ATOMIC_ACQ_REL) != 1) return;
    mni_walk(&(mn_visitor){.tensor = drop_tensor, .child = drop_child, .want_hidden = true}, m);
    if (m->cls->free) m->cls->free(m);
    mn_module_remove_hooks(m);
    free_names(mni_module_head_of(m)->parameter_names);
    free_names(mni_module_head_of(m)->buffer_names);
    mni_free(m->path);
    mni_free(mni_module_head_of(m));
}

/* ---- making ---- */

mn_module *mn_module_new(const mn_module_class *cls)
{
    if (!cls || !cls->name || !cls->forward || cls->size < sizeof(mn_module)) {
        mn_fail(MN_ERR_ARGUMENT, "mn_module_new: %s",
                !cls                            ? "the class is NULL"
                : !cls->name                    ? "the class has no name"
                : cls->size < sizeof(mn_module) ? "the class's size is not its struct's"
                                                : "the class has no forward");
        return NULL;
    }
    char *block = mni_calloc(HEAD + cls->size);
    if (!block) return NULL;
    mn_module *m = (mn_module *)(void *)(block + HEAD);
    m->cls = cls;
    m->training = true;
    m->refs = 1;
    return m;
}

static void missing(mn_visitor *v, const char *name)
{
    if (!mn_last_error()) mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" is NULL", v->at->cls->name, name);
    mni_walk_fail(v);
}

static void need_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                        bool buffer)
{
    (void)init, (void)buffer;
    if (!*slot) missing(v, name);
}

static void need_child(mn_visitor *v, const char *name, mn_module **slot)
{
    if (!*slot) missing(v, name);
}

mn_module *mn_module_finish(mn_module *m)
{
    if (!m) return NULL;
    mn_visitor v = {.tensor = need_tensor, .child = need_child, .want_empty = true};
    if (mni_walk(&v, m) == MN_OK) return m;
    mn_module_free(m);
    return NULL;
}
