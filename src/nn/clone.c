/*
 * nn/clone.c: a copy of a whole tree that shares nothing with it. A copied struct first becomes one more
 * owner of all that the original names, so that it can be freed at any moment; then each part is
 * replaced by a copy of its own.
 */
#include "core/memory.h"
#include "nn/map.h"
#include "nn/module.h"
#include <string.h>

typedef struct clone_visitor {
    mn_visitor base;
    mni_map
        made; /* what was copied -> the copy; what stands in the tree twice does so in the copy */
} clone_visitor;

static void own_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer)
{
    (void)v, (void)name, (void)init, (void)buffer;
    mn_retain(*slot);
}

static void own_child(mn_visitor *v, const char *name, mn_module **slot)
{
    (void)v, (void)name;
    mn_module_retain(*slot);
}

static void clone_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                         bool buffer)
{
    clone_visitor *c = (clone_visitor *)v;
    mn_tensor *x = *slot, *y = mni_map_get(&c->made, x);
    (void)name, (void)init;
    if (y) {
        mn_retain(y);
    } else {
        y = mni_twin(x, mn_tensor_dtype(x), buffer);
        if (!y || !mni_map_put(&c->made, x, y)) {
            mn_release(y);
            mni_walk_fail(v);
            return;
        }
    }
    *slot = y;
    mn_release(x);
}

static mn_module *clone(clone_visitor *c, const mn_module *m);

static void clone_child(mn_visitor *v, const char *name, mn_module **slot)
{
    mn_module *m = *slot, *copy = clone((clone_visitor *)v, m);
    (void)name;
    if (!copy) {
        mni_walk_fail(v);
        return;
    }
    *slot = copy;
    mn_module_free(m);
}

/* A struct like m's, with memory of its own and one more reference to every part of m. */
static mn_module *shallow(const mn_module *m)
{
    const mn_module_class *class = m->cls;
    if (class->free && !class->copy) {
        mn_fail(MN_ERR_STATE, "mn_module_clone: the class of %s has `free`, but no `copy`",
                class->name);
        return NULL;
    }
    mn_module *copy = mn_module_new(class);
    if (!copy) return NULL;
    memcpy(copy, m, class->size);
    copy->refs = 1;
    copy->path = NULL;
    if ((m->path && !(copy->path = mni_text_dup(m->path))) ||
        (class->copy && class->copy(copy) != MN_OK)) {
        mni_free(copy->path);
        mni_free(mni_module_head_of(copy));
        return NULL;
    }
    mni_module_head_of(copy)->parametrizations =
        mni_module_head_of((mn_module *)(uintptr_t)m)->parametrizations;
    mn_visitor v = {.tensor = own_tensor, .child = own_child, .want_hidden = true};
    mni_walk(&v, copy);
    return copy;
}

static mn_module *clone(clone_visitor *c, const mn_module *m)
{
    mn_module *copy = mni_map_get(&c->made, m);
    if (copy) return mn_module_retain(copy);
    copy = shallow(m);
    if (!copy) return NULL;
    if (mni_map_put(&c->made, m, copy) && mni_walk(&c->base, copy) == MN_OK) return copy;
    mn_module_free(copy);
    return NULL;
}

mn_module *mn_module_clone(const mn_module *m)
{
    if (!m) {
        mni_pass_null("mn_module_clone", "the module");
        return NULL;
    }
    clone_visitor c = {
        .base.tensor = clone_tensor, .base.child = clone_child, .base.want_hidden = true};
    mn_module *copy = clone(&c, m);
    mni_map_free(&c.made);
    return copy;
}
