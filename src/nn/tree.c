/*
 * nn/tree.c: what is done to the tensors of a whole tree: listing, finding, replacing, counting,
 * converting and freezing them. What stands in a tree more than once is met once.
 */
#include "core/memory.h"
#include "nn/map.h"
#include "nn/module.h"
#include "tensor/compute.h"
#include <string.h>

/* Whether key is met for the first time; false also without memory, which ends the walk. */
static bool first_time(mn_visitor *v, mni_map *seen, void *key)
{
    if (mni_map_get(seen, key)) return false;
    if (mni_map_put(seen, key, key)) return true;
    mni_walk_fail(v);
    return false;
}

/* ---- lists ---- */

typedef struct list_visitor {
    mn_visitor base;
    bool buffers;
    mni_map seen;
    mn_named_tensor *entries;
    int count, capacity;
    mni_name **name; /* where the next one is expected */
} list_visitor;

/* The root's copy of a name. A list asks in the same order every time, so that the next name is
 * nearly always the one already there. */
static const char *intern(list_visitor *l, const char *leaf)
{
    if (!*l->name || !mni_path_is(l->base.path, leaf, (*l->name)->text)) {
        size_t size = mni_path_text(l->base.path, leaf, NULL, 0) + 1;
        mni_name *fresh = mni_alloc(sizeof *fresh + size);
        if (!fresh) return NULL;
        mni_path_text(l->base.path, leaf, fresh->text, size);
        fresh->next = *l->name;
        *l->name = fresh;
    }
    const char *text = (*l->name)->text;
    l->name = &(*l->name)->next;
    return text;
}

static void list_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                        bool buffer)
{
    list_visitor *l = (list_visitor *)v;
    (void)init;
    if (buffer != l->buffers || !first_time(v, &l->seen, *slot)) return;
    if (l->count < l->capacity) {
        const char *text = intern(l, name);
        if (!text) {
            mni_walk_fail(v);
            return;
        }
        l->entries[l->count] = (mn_named_tensor){text, *slot};
    }
    l->count++;
}

static int list(mn_module *m, bool buffers, mn_named_tensor *entries, int capacity)
{
    mni_module_head *head = mni_module_head_of(m);
    list_visitor l = {.base.tensor = list_tensor,
                      .buffers = buffers,
                      .entries = entries,
                      .capacity = entries ? capacity : 0,
                      .name = buffers ? &head->buffer_names : &head->parameter_names};
    mn_error e = mni_walk(&l.base, m);
    mni_map_free(&l.seen);
    return e ? -1 : l.count;
}

int mn_module_parameters(mn_module *m, mn_named_tensor *entries, int capacity)
{
    if (m) return list(m, false, entries, capacity);
    mni_pass_null("mn_module_parameters", "the module");
    return -1;
}

int mn_module_buffers(mn_module *m, mn_named_tensor *entries, int capacity)
{
    if (m) return list(m, true, entries, capacity);
    mni_pass_null("mn_module_buffers", "the module");
    return -1;
}

/* ---- by name ---- */

typedef struct find_visitor {
    mn_visitor base;
    const char *name;
    mn_tensor **slot;
    bool buffer;
} find_visitor;

static void find_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                        bool buffer)
{
    find_visitor *f = (find_visitor *)v;
    (void)init;
    if (!mni_path_is(v->path, name, f->name)) return;
    f->slot = slot;
    f->buffer = buffer;
    v->done = true;
}

static find_visitor find(const char *who, mn_module *m, const char *name)
{
    find_visitor f = {.base.tensor = find_tensor, .name = name};
    if (!m || !name) {
        mni_pass_null(who, m ? "the name" : "the module");
        return f;
    }
    mni_walk(&f.base, m);
    if (!f.slot) mn_fail(MN_ERR_ARGUMENT, "%s: no parameter or buffer is named \"%s\"", who, name);
    return f;
}

mn_tensor *mn_module_get(mn_module *m, const char *name)
{
    find_visitor f = find("mn_module_get", m, name);
    return f.slot ? *f.slot : NULL;
}

mn_error mn_module_set(mn_module *m, const char *name, mn_tensor *tensor)
{
    static const char who[] = "mn_module_set";
    if (!tensor) return mni_pass_null(who, "the tensor");
    find_visitor f = find(who, m, name);
    if (!f.slot) return mn_last_error();
    if (f.buffer)
        return mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" is a buffer, not a parameter", who, name);
    if (tensor == MN_NONE || !tensor->owned || tensor->node)
        return mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" must become a tensor of yours, not %s", who,
                       name, tensor == MN_NONE ? "MN_NONE" : "a result of a tape");
    mn_tensor *old = *f.slot;
    if (old->dtype != tensor->dtype || !mn_tensor_same_shape(old, tensor)) {
        char was[200], is[200];
        return mn_fail(old->dtype != tensor->dtype ? MN_ERR_DTYPE : MN_ERR_SHAPE,
                       "%s: \"%s\" is %s %s, the tensor %s %s", who, name,
                       mn_dtype_name((mn_dtype)old->dtype),
                       mni_shape_text(was, sizeof was, old->ndim, old->shape),
                       mn_dtype_name((mn_dtype)tensor->dtype),
                       mni_shape_text(is, sizeof is, tensor->ndim, tensor->shape));
    }
    *f.slot = mn_retain(tensor);
    mn_release(old);
    return MN_OK;
}

typedef struct child_visitor {
    mn_visitor base;
    const char *name;
    mn_module *found;
} child_visitor;

static void find_child(mn_visitor *v, const char *name, mn_module **slot)
{
    child_visitor *c = (child_visitor *)v;
    (void)name;
    if (mni_path_is(v->path->up, v->path->name, c->name)) {
        c->found = *slot;
        v->done = true;
    } else {
        mni_walk(v, *slot);
    }
}

mn_module *mn_module_child(mn_module *m, const char *name)
{
    static const char who[] = "mn_module_child";
    child_visitor c = {.base.child = find_child, .name = name};
    if (!m || !name) {
        mni_pass_null(who, m ? "the name" : "the module");
        return NULL;
    }
    mni_walk(&c.base, m);
    if (!c.found) mn_fail(MN_ERR_ARGUMENT, "%s: no child is named \"%s\"", who, name);
    return c.found;
}

typedef struct nth_visitor {
    mn_visitor base;
    int count, wanted;
    mn_module *found;
} nth_visitor;

static void nth_child(mn_visitor *v, const char *name, mn_module **slot)
{
    nth_visitor *n = (nth_visitor *)v;
    (void)name;
    if (n->count++ == n->wanted) n->found = *slot;
}

int mn_module_child_count(mn_module *m)
{
    nth_visitor n = {.base.child = nth_child, .wanted = -1};
    if (m) mni_walk(&n.base, m);
    return n.count;
}

mn_module *mn_module_child_at(mn_module *m, int i)
{
    nth_visitor n = {.base.child = nth_child, .wanted = i};
    if (!m) {
        mni_pass_null("mn_module_child_at", "the module");
        return NULL;
    }
    mni_walk(&n.base, m);
    if (!n.found)
        mn_fail(MN_ERR_ARGUMENT, "mn_module_child_at: there is no child %d, of %d", i, n.count);
    return n.found;
}

/* ---- counting ---- */

typedef struct count_visitor {
    mn_visitor base;
    bool trainable;
    mni_map seen;
    int64_t numel;
} count_visitor;

static void count_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                         bool buffer)
{
    count_visitor *c = (count_visitor *)v;
    (void)name, (void)init;
    if (buffer || (c->trainable && !(*slot)->requires_grad)) return;
    if (first_time(v, &c->seen, *slot)) c->numel += (*slot)->numel;
}

static int64_t count(const char *who, mn_module *m, bool trainable)
{
    if (!m) {
        mni_pass_null(who, "the module");
        return -1;
    }
    count_visitor c = {.base.tensor = count_tensor, .trainable = trainable};
    mn_error e = mni_walk(&c.base, m);
    mni_map_free(&c.seen);
    return e ? -1 : c.numel;
}

int64_t mn_module_numel(mn_module *m)
{
    return count("mn_module_numel", m, false);
}

int64_t mn_module_numel_trainable(mn_module *m)
{
    return count("mn_module_numel_trainable", m, true);
}

/* ---- to another dtype: all new tensors are made before the first slot changes ---- */

typedef struct to_visitor {
    mn_visitor base;
    mn_dtype dtype;
    mni_map made;  /* old tensor -> new one */
    mni_map slots; /* the places in the tree, each once: a module may stand in it twice */
    mn_tensor *replaced;
    int left; /* references to `replaced` that the tree does not hold */
} to_visitor;

mn_tensor *mni_twin(const mn_tensor *x, mn_dtype dtype, bool buffer)
{
    mn_tensor *y =
        buffer ? mn_tensor_empty(dtype, x->ndim, x->shape) : mn_parameter(dtype, x->ndim, x->shape);
    if (!y) return NULL;
    if (mn_tensor_set_requires_grad(y, x->requires_grad)) {
        mn_release(y);
        return NULL;
    }
    if (!x->parameter || x->storage->version > 0) { /* else it was never filled, and y shows it */
        mni_copy(NULL, x, y);
        mni_touch(y, NULL);
    }
    return y;
}

static void convert_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                           bool buffer)
{
    to_visitor *c = (to_visitor *)v;
    mn_tensor *x = *slot;
    (void)name, (void)init;
    if (!mni_is_float((mn_dtype)x->dtype) || x->dtype == (int8_t)c->dtype ||
        mni_map_get(&c->made, x))
        return;
    mn_tensor *y = mni_twin(x, c->dtype, buffer);
    if (y && mni_map_put(&c->made, x, y)) return;
    mn_release(y);
    mni_walk_fail(v);
}

static void count_holder(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                         bool buffer)
{
    to_visitor *c = (to_visitor *)v;
    (void)name, (void)init, (void)buffer;
    if (*slot == c->replaced && first_time(v, &c->slots, slot)) c->left--;
}

/* Somebody else's reference, an optimizer's for one, would silently stay with the old tensor. */
static mn_error check_holders(to_visitor *c, mn_module *m)
{
    c->base.tensor = count_holder;
    for (size_t i = 0; i < c->made.capacity; i++) {
        c->replaced = (mn_tensor *)(uintptr_t)c->made.entries[i].key;
        if (!c->replaced) continue;
        c->left = atomic_load_explicit(&c->replaced->refs, memory_order_relaxed);
        mn_error e = mni_walk(&c->base, m);
        if (e) return e;
        if (c->left > 0)
            return mn_fail(MN_ERR_STATE,
                           "mn_module_to: a parameter is also held outside this module, by an "
                           "optimizer or by mn_retain: convert before making the optimizer");
    }
    return MN_OK;
}

static void replace_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                           bool buffer)
{
    mn_tensor *y = mni_map_get(&((to_visitor *)v)->made, *slot);
    (void)name, (void)init, (void)buffer;
    if (!y) return;
    mn_release(*slot);
    *slot = mn_retain(y);
}

mn_error mn_module_to(mn_module *m, mn_dtype dtype)
{
    if (!m) return mni_pass_null("mn_module_to", "the module");
    if (!mni_is_float(dtype))
        return mn_fail(MN_ERR_DTYPE, "mn_module_to: parameters are f32 or f64, not %s",
                       mn_dtype_name(dtype));
    to_visitor c = {.base.tensor = convert_tensor, .base.want_hidden = true, .dtype = dtype};
    mn_error e = mni_walk(&c.base, m);
    if (e == MN_OK) e = check_holders(&c, m);
    c.base.tensor = replace_tensor;
    if (e == MN_OK) mni_walk(&c.base, m);
    for (size_t i = 0; i < c.made.capacity; i++) mn_release(c.made.entries[i].value);
    mni_map_free(&c.made);
    mni_map_free(&c.slots);
    return e;
}

/* ---- gradients ---- */

typedef struct freeze_visitor {
    mn_visitor base;
    const char *pattern; /* NULL: all */
    bool on;
    int matches;
} freeze_visitor;

static void freeze_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                          bool buffer)
{
    freeze_visitor *f = (freeze_visitor *)v;
    (void)init;
    if (buffer) return;
    int fits = f->pattern ? mni_path_fits(v->path, name, f->pattern) : 1;
    if (fits < 0 || (fits && mn_tensor_set_requires_grad(*slot, f->on))) mni_walk_fail(v);
    f->matches += fits > 0;
}

static mn_error freeze(const char *who, mn_module *m, const char *pattern, bool all, bool on)
{
    if (!m || (!all && !pattern)) return mni_pass_null(who, m ? "the pattern" : "the module");
    freeze_visitor f = {.base.tensor = freeze_tensor, .pattern = pattern, .on = on};
    mn_error e = mni_walk(&f.base, m);
    if (e || f.matches || all) return e;
    return mn_fail(MN_ERR_ARGUMENT, "%s: no parameter's name fits \"%s\"", who, pattern);
}

mn_error mn_module_set_requires_grad(mn_module *m, bool on)
{
    return freeze("mn_module_set_requires_grad", m, NULL, true, on);
}

mn_error mn_module_freeze(mn_module *m, const char *pattern)
{
    return freeze("mn_module_freeze", m, pattern, false, false);
}

mn_error mn_module_unfreeze(mn_module *m, const char *pattern)
{
    return freeze("mn_module_unfreeze", m, pattern, false, true);
}

static void zero_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                        bool buffer)
{
    (void)v, (void)name, (void)init;
    if (!buffer) mn_tensor_zero_grad(*slot);
}

void mn_module_zero_grad(mn_module *m)
{
    if (m) mni_walk(&(mn_visitor){.tensor = zero_tensor}, m);
}
