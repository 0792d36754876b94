/*
 * nn/dropout.c: dropout as a layer: it owns the generator that the masks of training are drawn from.
 * In eval nothing in it is written, so threads may share it.
 */
#include "nn/module.h"
#include <stdio.h>

typedef struct dropout {
    mn_module base;
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
    out[0] = mn_dropout(t, in[0], d->p, m->training, m->training ? &d->rng : NULL);
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

static const mn_module_class dropout_class = {.name = "Dropout",
                                              .size = sizeof(dropout),
                                              .n_in = 1,
                                              .n_out = 1,
                                              .forward = dropout_forward,
                                              .visit = dropout_visit,
                                              .describe = dropout_describe};

mn_module *mn_nn_dropout(double p)
{
    if (!(p >= 0 && p <= 1)) {
        mn_fail(MN_ERR_ARGUMENT, "dropout: p %g is not between 0 and 1", p);
        return NULL;
    }
    dropout *d = (dropout *)mn_module_new(&dropout_class);
    if (!d) return NULL;
    d->p = p;
    return mn_module_finish(&d->base);
}
