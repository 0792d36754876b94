/*
 * nn/visit.c: the walk over a tree of modules that every operation on it is made of.
 */
#include "core/memory.h"
#include "nn/module.h"
#include <fnmatch.h>
#include <string.h>

mn_error mni_walk(mn_visitor *v, mn_module *m)
{
    mn_module *outer = v->at;
    int generators = v->generators;
    v->at = m;
    v->generators = 0;
    if ((!v->module || v->module(v, m)) && !v->done) mni_visit_parts(v, m);
    v->at = outer;
    v->generators = generators;
    return v->error;
}

void mni_visit_parts(mn_visitor *v, mn_module *m)
{
    mn_module **parametrizations = &mni_module_head_of(m)->parametrizations;
    if (m->cls->visit) m->cls->visit(m, v);
    if (*parametrizations) mn_visit_child(v, "parametrizations", parametrizations);
}

void mni_walk_fail(mn_visitor *v)
{
    v->error = mn_last_error() ? mn_last_error() : MN_ERR_STATE;
    v->done = true;
}

static void visit_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                         bool buffer)
{
    if (v->done || !v->tensor || *slot == MN_NONE || (!*slot && !v->want_empty)) return;
    const mn_module *hiding = mni_module_head_of(v->at)->parametrizations;
    if (hiding && !v->want_hidden && mni_module_dict_get(hiding, name)) return;
    v->tensor(v, name, slot, init, buffer);
}

void mn_visit_parameter(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init)
{
    visit_tensor(v, name, slot, init, false);
}

void mn_visit_buffer(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init)
{
    visit_tensor(v, name, slot, init, true);
}

void mn_visit_child(mn_visitor *v, const char *name, mn_module **slot)
{
    if (v->done || (!*slot && !v->want_empty)) return;
    mni_path here = {.name = name, .up = v->path};
    v->path = &here;
    if (v->child) {
        v->child(v, name, slot);
    } else {
        mni_walk(v, *slot);
    }
    v->path = here.up;
}

void mn_visit_rng(mn_visitor *v, mn_rng *rng, bool *seeded)
{
    if (v->done || !v->rng) return;
    v->rng(v, rng, seeded);
    v->generators++;
}

/* ---- the way from the root ---- */

/* Appends text to what has length n so far; as snprintf, the length may run beyond the size. */
static size_t append(char *buffer, size_t size, size_t n, const char *text)
{
    size_t length = strlen(text);
    if (n < size) {
        size_t fits = length < size - n ? length : size - n - 1;
        memcpy(buffer + n, text, fits);
        buffer[n + fits] = '\0';
    }
    return n + length;
}

size_t mni_path_text(const mni_path *path, const char *leaf, char *buffer, size_t size)
{
    if (size) buffer[0] = '\0';
    size_t n = path ? mni_path_text(path->up, path->name, buffer, size) : 0;
    if (!leaf) return n;
    if (path) n = append(buffer, size, n, ".");
    return append(buffer, size, n, leaf);
}

char *mni_path_dup(const mni_path *path, const char *leaf)
{
    size_t size = mni_path_text(path, leaf, NULL, 0) + 1;
    char *text = mni_alloc(size);
    if (text) mni_path_text(path, leaf, text, size);
    return text;
}

char *mni_text_dup(const char *text)
{
    return mni_path_dup(NULL, text);
}

/* What follows "a.b." in name; NULL when it does not begin so. */
static const char *below(const mni_path *path, const char *name)
{
    if (!path) return name;
    name = below(path->up, name);
    size_t n = strlen(path->name);
    return name && strncmp(name, path->name, n) == 0 && name[n] == '.' ? name + n + 1 : NULL;
}

bool mni_path_is(const mni_path *path, const char *leaf, const char *name)
{
    const char *rest = below(path, name);
    return rest && strcmp(rest, leaf) == 0;
}

int mni_path_fits(const mni_path *path, const char *leaf, const char *pattern)
{
    char *text = mni_path_dup(path, leaf);
    if (!text) return -1;
    int fits = fnmatch(pattern, text, 0) == 0;
    mni_free(text);
    return fits;
}
