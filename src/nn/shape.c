/*
 * nn/shape.c: layers that only look at their input in another shape, or not even that.
 */
#include "nn/module.h"
#include <stdio.h>

/* ---- identity ---- */

static const mn_op identity_op = {.name = "identity"};

static mn_error identity_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    (void)m, (void)n_in, (void)n_out;
    if (mn_op_begin(t, &identity_op, in, 1)) out[0] = mn_op_end(t, in[0]);
    return mn_tape_error(t);
}

static const mn_module_class identity_class = {.name = "Identity",
                                               .size = sizeof(mn_module),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = identity_forward};

mn_module *mn_nn_identity(void)
{
    return mn_module_finish(mn_module_new(&identity_class));
}

/* ---- flatten ---- */

typedef struct flatten {
    mn_module base;
    int start_dim, end_dim;
} flatten;

static mn_error flatten_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                mn_tensor **out, int n_out)
{
    const flatten *f = (const flatten *)m;
    (void)n_in, (void)n_out;
    out[0] = mn_flatten(t, in[0], f->start_dim, f->end_dim);
    return mn_tape_error(t);
}

static int flatten_describe(const mn_module *m, char *buffer, size_t size)
{
    const flatten *f = (const flatten *)m;
    return snprintf(buffer, size, "start_dim=%d, end_dim=%d", f->start_dim, f->end_dim);
}

static const mn_module_class flatten_class = {.name = "Flatten",
                                              .size = sizeof(flatten),
                                              .n_in = 1,
                                              .n_out = 1,
                                              .forward = flatten_forward,
                                              .describe = flatten_describe};

mn_module *mn_nn_flatten_dims(int start_dim, int end_dim)
{
    flatten *f = (flatten *)mn_module_new(&flatten_class);
    if (!f) return NULL;
    f->start_dim = start_dim;
    f->end_dim = end_dim;
    return mn_module_finish(&f->base);
}

mn_module *mn_nn_flatten(void)
{
    return mn_nn_flatten_dims(1, -1);
}

/* ---- unflatten ---- */

typedef struct unflatten {
    mn_module base;
    int dim, n;
    int64_t sizes[MN_MAX_DIMS];
} unflatten;

static mn_error unflatten_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out)
{
    const unflatten *u = (const unflatten *)m;
    (void)n_in, (void)n_out;
    out[0] = mn_unflatten(t, in[0], u->dim, u->n, u->sizes);
    return mn_tape_error(t);
}

static int unflatten_describe(const mn_module *m, char *buffer, size_t size)
{
    const unflatten *u = (const unflatten *)m;
    char sizes[MNI_TUPLE_SIZE];
    return snprintf(buffer, size, "dim=%d, unflattened_size=%s", u->dim,
                    mni_tuple(u->n, u->sizes, sizes));
}

static const mn_module_class unflatten_class = {.name = "Unflatten",
                                                .size = sizeof(unflatten),
                                                .n_in = 1,
                                                .n_out = 1,
                                                .forward = unflatten_forward,
                                                .describe = unflatten_describe};

mn_module *mn_nn_unflatten(int dim, int n, const int64_t *sizes)
{
    if (n < 1 || n > MN_MAX_DIMS || !sizes) {
        mn_fail(MN_ERR_ARGUMENT, "unflatten: %d sizes; 1 to %d are possible", sizes ? n : 0,
                MN_MAX_DIMS);
        return NULL;
    }
    int open = 0;
    for (int i = 0; i < n; i++) {
        open += sizes[i] == -1;
        if (sizes[i] >= -1 && open < 2) continue;
        char text[MNI_TUPLE_SIZE];
        mn_fail(MN_ERR_ARGUMENT, "unflatten: sizes %s; at least 0 each, and one may be -1",
                mni_tuple(n, sizes, text));
        return NULL;
    }
    unflatten *u = (unflatten *)mn_module_new(&unflatten_class);
    if (!u) return NULL;
    u->dim = dim;
    u->n = n;
    for (int i = 0; i < n; i++) u->sizes[i] = sizes[i];
    return mn_module_finish(&u->base);
}
