/*
 * nn/sequential.c: modules one after the other.
 */
#include "core/memory.h"
#include "nn/module.h"
#include <stdio.h>
#include <string.h>

typedef struct sequential {
    mn_module base;
    mn_module **children;
    int n;
} sequential;

static mn_error sequential_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                   mn_tensor **out, int n_out)
{
    const sequential *s = (const sequential *)m;
    mn_tensor *x = in[0], *mark = NULL;
    (void)n_in, (void)n_out;
    for (int i = 0; i < s->n && x; i++) {
        mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
        if (i == 0) mark = scope.mark;
        scope.mark = mark; /* reaches back over the child's input: it is needed no longer */
        x = mn_module_forward(s->children[i], t, x);
        mn_scope_end(t, scope, &x, 1);
    }
    out[0] = x;
    return mn_tape_error(t);
}

static void sequential_visit(mn_module *m, mn_visitor *v)
{
    const sequential *s = (const sequential *)m;
    for (int i = 0; i < s->n; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        mn_visit_child(v, name, &s->children[i]);
    }
}

static void sequential_free(mn_module *m)
{
    mni_free(((sequential *)m)->children);
}

static const mn_module_class sequential_class = {.name = "Sequential",
                                                 .size = sizeof(sequential),
                                                 .n_in = 1,
                                                 .n_out = 1,
                                                 .forward = sequential_forward,
                                                 .visit = sequential_visit,
                                                 .free = sequential_free};

mn_module *mn_nn_sequential_n(mn_module *const *children, int n)
{
    if (n < 0 || (n > 0 && !children)) {
        mn_fail(MN_ERR_ARGUMENT,
                n < 0 ? "sequential: %d children"
                      : "sequential: the %d children "
                        "are NULL",
                n);
        return NULL;
    }
    sequential *s = (sequential *)mn_module_new(&sequential_class);
    mn_module **own = s ? mni_alloc((size_t)n * sizeof *own + 1) : NULL;
    if (!own) {
        for (int i = 0; i < n; i++) mn_module_free(children[i]);
        mn_module_free((mn_module *)s);
        return NULL;
    }
    if (n) memcpy(own, children, (size_t)n * sizeof *own);
    s->children = own;
    s->n = n;
    return mn_module_finish(&s->base);
}
