/*
 * nn/dropout.c: dropout as layers, which own the generator that the masks of training are drawn
 * from. In eval nothing in them is written, so threads may share them.
 */
#include "nn/module.h"
#include <stdio.h>

typedef struct dropout {
    mn_module base;
    mn_tensor *(*drop)(mn_tape *, mn_tensor *, double p, bool training, mn_rng *);
    double p;
    mn_rng rng;
    bool seeded;
} dropout;

static mn_error dropout_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                mn_tensor **out, int n_out)
{
    dropout *d = (dropout *)m;
    (void)n_in, (void)n_out;
    if (m->training && !d->seeded && d->p > 0) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "dropout draws a mask in training but was never seeded; call mn_module_init "
                     "or mn_module_seed first");
        return mn_tape_error(t);
    }
    out[0] = d->drop(t, in[0], d->p, m->training, m->training ? &d->rng : NULL);
    return mn_tape_error(t);
}

static void dropout_visit(mn_module *m, mn_visitor *v)
{
    mn_visit_rng(v, &((dropout *)m)->rng, &((dropout *)m)->seeded);
}

static int dropout_describe(const mn_module *m, char *buffer, size_t size)
{
    char p[MNI_REPR_SIZE];
    return snprintf(buffer, size, "p=%s, inplace=False", mni_repr(((const dropout *)m)->p, p));
}

static mn_module *dropout_new(const mn_module_class *c, const char *op, double p,
                              mn_tensor *(*drop)(mn_tape *, mn_tensor *, double, bool, mn_rng *))
{
    if (!(p >= 0 && p <= 1)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: p %g is not between 0 and 1", op, p);
        return NULL;
    }
    dropout *d = (dropout *)mn_module_new(c);
    if (!d) return NULL;
    d->drop = drop;
    d->p = p;
    return mn_module_finish(&d->base);
}

#define DROPOUT(op, NAME)                                                                          \
    static const mn_module_class op##_class = {.name = NAME,                                       \
                                               .size = sizeof(dropout),                            \
                                               .n_in = 1,                                          \
                                               .n_out = 1,                                         \
                                               .forward = dropout_forward,                         \
                                               .visit = dropout_visit,                             \
                                               .describe = dropout_describe};                      \
    mn_module *mn_nn_##op(double p)                                                                \
    {                                                                                              \
        return dropout_new(&op##_class, #op, p, mn_##op);                                          \
    }

DROPOUT(dropout, "Dropout")
DROPOUT(dropout1d, "Dropout1d")
DROPOUT(dropout2d, "Dropout2d")
DROPOUT(alpha_dropout, "AlphaDropout")
