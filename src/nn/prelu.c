/*
 * nn/prelu.c: the rectifier whose slopes are learnt.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>

typedef struct prelu {
    mn_module base;
    int64_t num_parameters;
    double init;
    mn_tensor *weight; /* [num_parameters] */
} prelu;

static mn_error prelu_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                              mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    out[0] = mn_prelu(t, in[0], ((prelu *)m)->weight);
    return mn_tape_error(t);
}

static void prelu_visit(mn_module *m, mn_visitor *v)
{
    prelu *p = (prelu *)m;
    mn_visit_parameter(v, "weight", &p->weight, mn_init_constant(p->init));
}

static int prelu_describe(const mn_module *m, char *buffer, size_t size)
{
    return snprintf(buffer, size, "num_parameters=%lld",
                    (long long)((const prelu *)m)->num_parameters);
}

static const mn_module_class prelu_class = {.name = "PReLU",
                                            .size = sizeof(prelu),
                                            .n_in = 1,
                                            .n_out = 1,
                                            .forward = prelu_forward,
                                            .visit = prelu_visit,
                                            .describe = prelu_describe};

mn_module *mn_nn_prelu(int64_t num_parameters, double init)
{
    if (num_parameters < 1) {
        mn_fail(MN_ERR_ARGUMENT, "prelu: %lld parameters; at least 1", (long long)num_parameters);
        return NULL;
    }
    if (!isfinite(init)) {
        mn_fail(MN_ERR_ARGUMENT, "prelu: init %g is not a finite number", init);
        return NULL;
    }
    prelu *p = (prelu *)mn_module_new(&prelu_class);
    if (!p) return NULL;
    p->num_parameters = num_parameters;
    p->init = init;
    p->weight = mn_parameter(MN_F32, 1, &num_parameters);
    return mn_module_finish(&p->base);
}
