/*
 * nn/container.c: modules made of other modules, which they own: one after the other (Sequential), for a
 * module of the user's to call (ModuleList, ModuleDict), or beside a shortcut (Residual).
 */
#include "core/memory.h"
#include "nn/module.h"
#include <stdio.h>
#include <string.h>

typedef struct container {
    mn_module base;
    mn_module **children;
    char **names; /* ModuleDict's; NULL: they are numbered */
    int n;
} container;

static void container_visit(mn_module *m, mn_visitor *v)
{
    const container *c = (const container *)m;
    for (int i = 0; i < c->n; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        mn_visit_child(v, c->names ? c->names[i] : number, &c->children[i]);
    }
}

static void container_free(mn_module *m)
{
    container *c = (container *)m;
    for (int i = 0; c->names && i < c->n; i++) mni_free(c->names[i]);
    mni_free(c->names);
    mni_free(c->children);
}

/* Fills c's lists; false, with nothing in them, without memory. */
static bool fill(container *c, mn_module *const *children, char *const *names, int n)
{
    c->n = n;
    c->children = mni_calloc((size_t)n * sizeof *c->children + 1);
    c->names = names ? mni_calloc((size_t)n * sizeof *c->names + 1) : NULL;
    bool whole = c->children && (!names || c->names);
    for (int i = 0; whole && names && i < n; i++) whole = (c->names[i] = mni_text_dup(names[i]));
    if (whole) {
        for (int i = 0; i < n; i++) c->children[i] = children[i];
        return true;
    }
    container_free(&c->base);
    c->children = NULL;
    c->names = NULL;
    c->n = 0;
    return false;
}

static mn_error container_copy(mn_module *m)
{
    container *c = (container *)m;
    return fill(c, c->children, c->names, c->n) ? MN_OK : MN_ERR_MEMORY;
}

/* Takes over one reference to each child in every case. */
static mn_module *container_new(const mn_module_class *class, const char *who,
                                mn_module *const *children, const char *const *names, int n)
{
    if (n < 0 || (n > 0 && !children)) {
        mn_fail(MN_ERR_ARGUMENT, n < 0 ? "%s: %d children" : "%s: the %d children are NULL", who,
                n);
        return NULL;
    }
    container *c = (container *)mn_module_new(class);
    if (c && fill(c, children, (char *const *)(uintptr_t)names, n))
        return mn_module_finish(&c->base);
    for (int i = 0; i < n; i++) mn_module_free(children[i]);
    mn_module_free((mn_module *)c);
    return NULL;
}

/* ---- one after the other ---- */

static mn_error sequential_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                   mn_tensor **out, int n_out)
{
    const container *c = (const container *)m;
    mn_tensor *x = in[0], *mark = NULL;
    (void)n_in, (void)n_out;
    for (int i = 0; i < c->n && x; i++) {
        mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
        if (i == 0) mark = scope.mark;
        scope.mark = mark; /* reaches back over the child's input: it is needed no longer */
        x = mn_module_forward(c->children[i], t, x);
        mn_scope_end(t, scope, &x, 1);
    }
    out[0] = x;
    return mn_tape_error(t);
}

static const mn_module_class sequential_class = {.name = "Sequential",
                                                 .size = sizeof(container),
                                                 .n_in = 1,
                                                 .n_out = 1,
                                                 .forward = sequential_forward,
                                                 .visit = container_visit,
                                                 .free = container_free,
                                                 .copy = container_copy};

mn_module *mn_nn_sequential_n(mn_module *const *children, int n)
{
    return container_new(&sequential_class, "sequential", children, NULL, n);
}

/* ---- for others to call ---- */

static mn_error no_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                           mn_tensor **out, int n_out)
{
    (void)in, (void)n_in, (void)out, (void)n_out;
    mn_tape_fail(t, MN_ERR_STATE,
                 "%s has no forward: call its children, which mn_module_child and "
                 "mn_module_child_at give",
                 m->cls->name);
    return mn_tape_error(t);
}

const mn_module_class mni_module_list_class = {.name = "ModuleList",
                                               .size = sizeof(container),
                                               .forward = no_forward,
                                               .visit = container_visit,
                                               .free = container_free,
                                               .copy = container_copy};

mn_module *mn_nn_module_list_n(mn_module *const *children, int n)
{
    return container_new(&mni_module_list_class, "module_list", children, NULL, n);
}

static const mn_module_class module_dict_class = {.name = "ModuleDict",
                                                  .size = sizeof(container),
                                                  .forward = no_forward,
                                                  .visit = container_visit,
                                                  .free = container_free,
                                                  .copy = container_copy};

static bool good_names(const char *const *names, int n)
{
    if (n > 0 && !names) {
        mn_fail(MN_ERR_ARGUMENT, "module_dict: the %d names are NULL", n);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const char *name = names[i] ? names[i] : "";
        if (!*name || strchr(name, '.')) {
            mn_fail(MN_ERR_ARGUMENT, "module_dict: name %d, \"%s\", %s", i, name,
                    *name ? "has a dot in it" : "is empty");
            return false;
        }
        for (int k = 0; k < i; k++) {
            if (strcmp(names[k], name) != 0) continue;
            mn_fail(MN_ERR_ARGUMENT, "module_dict: names %d and %d are both \"%s\"", k, i, name);
            return false;
        }
    }
    return true;
}

mn_module *mn_nn_module_dict(const char *const *names, mn_module *const *children, int n)
{
    if (good_names(names, n))
        return container_new(&module_dict_class, "module_dict", children, names, n);
    for (int i = 0; children && i < n; i++) mn_module_free(children[i]);
    return NULL;
}

bool mni_module_dict_add(mn_module *dict, const char *name, mn_module *child)
{
    container *c = (container *)dict;
    const size_t size = (size_t)c->n * sizeof(void *), more = size + sizeof(void *);
    char *own = mni_text_dup(name), **names = own ? mni_grow(c->names, size, more) : NULL;
    if (names) c->names = names;
    mn_module **children = names ? mni_grow(c->children, size, more) : NULL;
    if (!children) {
        mni_free(own);
        return false;
    }
    c->children = children;
    c->names[c->n] = own;
    c->children[c->n++] = child;
    return true;
}

mn_module *mni_module_dict_get(const mn_module *dict, const char *name)
{
    const container *c = (const container *)dict;
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0) return c->children[i];
    return NULL;
}

/* ---- beside a shortcut ---- */

typedef struct residual {
    mn_module base;
    mn_module *inner, *shortcut;
    bool identity; /* there is no shortcut to call */
} residual;

static mn_error residual_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    const residual *r = (const residual *)m;
    (void)n_in, (void)n_out;
    mn_tensor *x = r->identity ? in[0] : mn_module_forward(r->shortcut, t, in[0]);
    out[0] = mn_add(t, mn_module_forward(r->inner, t, in[0]), x);
    return mn_tape_error(t);
}

static void residual_visit(mn_module *m, mn_visitor *v)
{
    residual *r = (residual *)m;
    mn_visit_child(v, "inner", &r->inner);
    if (!r->identity) mn_visit_child(v, "shortcut", &r->shortcut);
}

static const mn_module_class residual_class = {.name = "Residual",
                                               .size = sizeof(residual),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = residual_forward,
                                               .visit = residual_visit};

static mn_module *residual_new(mn_module *inner, mn_module *shortcut, bool identity)
{
    residual *r = (residual *)mn_module_new(&residual_class);
    if (!r) {
        mn_module_free(inner);
        mn_module_free(shortcut);
        return NULL;
    }
    r->inner = inner;
    r->shortcut = shortcut;
    r->identity = identity;
    return mn_module_finish(&r->base);
}

mn_module *mn_nn_residual(mn_module *inner)
{
    return residual_new(inner, NULL, true);
}

mn_module *mn_nn_residual_with(mn_module *inner, mn_module *shortcut)
{
    return residual_new(inner, shortcut, false);
}
