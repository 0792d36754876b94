/*
 * nn/rrelu.c: the randomized leaky rectifier as a layer: it owns the generator that the slopes of
 * training are drawn from. In eval nothing in it is written, so threads may share it.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>

typedef struct rrelu {
    mn_module base;
    double lower, upper;
    mn_nn_rrelu_opts opts;
    mn_rng rng;
    bool seeded;
} rrelu;

static mn_error rrelu_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                              mn_tensor **out, int n_out)
{
    rrelu *r = (rrelu *)m;
    (void)n_in, (void)n_out;
    if (m->training && !r->seeded) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "rrelu draws slopes in training but was never seeded; call mn_module_init "
                     "or mn_module_seed first");
        return mn_tape_error(t);
    }
    out[0] = mn_rrelu_with(t, in[0], r->lower, r->upper, m->training, m->training ? &r->rng : NULL,
                           &r->opts);
    return mn_tape_error(t);
}

static void rrelu_visit(mn_module *m, mn_visitor *v)
{
    mn_visit_rng(v, &((rrelu *)m)->rng, &((rrelu *)m)->seeded);
}

static int rrelu_describe(const mn_module *m, char *buffer, size_t size)
{
    const rrelu *r = (const rrelu *)m;
    char lower[MNI_REPR_SIZE], upper[MNI_REPR_SIZE];
    return snprintf(buffer, size, "lower=%s, upper=%s%s%s%s%s", mni_repr(r->lower, lower),
                    mni_repr(r->upper, upper), r->opts.inplace ? ", inplace=True" : "",
                    r->opts.divisor ? ", divisor=True" : "",
                    r->opts.per_channel ? ", per_channel=True" : "",
                    r->opts.recompute ? ", recompute=True" : "");
}

static const mn_module_class rrelu_class = {.name = "RReLU",
                                            .size = sizeof(rrelu),
                                            .n_in = 1,
                                            .n_out = 1,
                                            .forward = rrelu_forward,
                                            .visit = rrelu_visit,
                                            .describe = rrelu_describe};

mn_module *mn_nn_rrelu(double lower, double upper, const mn_nn_rrelu_opts *opts)
{
    char low[MNI_REPR_SIZE], high[MNI_REPR_SIZE];
    mni_repr(lower, low);
    mni_repr(upper, high);
    if (!isfinite(lower) || !isfinite(upper)) {
        mn_fail(MN_ERR_ARGUMENT, "rrelu: lower %s and upper %s must be finite numbers", low, high);
        return NULL;
    }
    if (!isfinite(upper - lower) || !isfinite(lower + upper)) {
        mn_fail(MN_ERR_ARGUMENT, "rrelu: lower %s and upper %s are too large", low, high);
        return NULL;
    }
    if (lower > upper) {
        mn_fail(MN_ERR_ARGUMENT, "rrelu: lower %s is larger than upper %s", low, high);
        return NULL;
    }
    if (opts && opts->divisor && lower <= 0) {
        mn_fail(MN_ERR_ARGUMENT, "rrelu: lower %s must be above 0 in the divisor form", low);
        return NULL;
    }
    rrelu *r = (rrelu *)mn_module_new(&rrelu_class);
    if (!r) return NULL;
    r->lower = lower;
    r->upper = upper;
    if (opts) r->opts = *opts;
    return mn_module_finish(&r->base);
}
