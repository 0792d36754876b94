/*
 * nn/linear.c: the fully connected layer.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>

typedef struct linear {
    mn_module base;
    int64_t in_features, out_features;
    mn_tensor *weight; /* [out_features, in_features] */
    mn_tensor *bias;   /* [out_features] or MN_NONE */
} linear;

static mn_error linear_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out)
{
    linear *l = (linear *)m;
    (void)n_in, (void)n_out;
    out[0] = mn_linear(t, in[0], l->weight, l->bias);
    return mn_tape_error(t);
}

static void linear_visit(mn_module *m, mn_visitor *v)
{
    linear *l = (linear *)m;
    double k = 1 / sqrt((double)l->in_features);
    mn_visit_parameter(v, "weight", &l->weight, mn_init_uniform(-k, k));
    mn_visit_parameter(v, "bias", &l->bias, mn_init_uniform(-k, k));
}

static int linear_describe(const mn_module *m, char *buffer, size_t size)
{
    const linear *l = (const linear *)m;
    return snprintf(buffer, size, "in_features=%lld, out_features=%lld, bias=%s",
                    (long long)l->in_features, (long long)l->out_features,
                    l->bias == MN_NONE ? "False" : "True");
}

static const mn_module_class linear_class = {.name = "Linear",
                                             .size = sizeof(linear),
                                             .n_in = 1,
                                             .n_out = 1,
                                             .forward = linear_forward,
                                             .visit = linear_visit,
                                             .describe = linear_describe};

static mn_module *make(const mn_module_class *class, int64_t in_features, int64_t out_features,
                       bool no_bias)
{
    linear *l = (linear *)mn_module_new(class);
    if (!l) return NULL;
    l->in_features = in_features;
    l->out_features = out_features;
    l->weight = mn_parameter(MN_F32, 2, (int64_t[]){out_features, in_features});
    l->bias = no_bias ? MN_NONE : mn_parameter(MN_F32, 1, &out_features);
    return mn_module_finish(&l->base);
}

mn_module *mn_nn_linear(int64_t in_features, int64_t out_features, const mn_nn_linear_opts *opts)
{
    if (in_features < 1 || out_features < 1) {
        mn_fail(MN_ERR_ARGUMENT, "linear: %lld in_features and %lld out_features; at least 1 each",
                (long long)in_features, (long long)out_features);
        return NULL;
    }
    return make(&linear_class, in_features, out_features, opts && opts->no_bias);
}

/* ---- the last layer of attention, whose bias begins at 0 ---- */

static void out_proj_visit(mn_module *m, mn_visitor *v)
{
    linear *l = (linear *)m;
    const double k = 1 / sqrt((double)l->in_features);
    mn_visit_parameter(v, "weight", &l->weight, mn_init_uniform(-k, k));
    mn_visit_parameter(v, "bias", &l->bias, mn_init_constant(0));
}

static const mn_module_class out_proj_class = {.name = "NonDynamicallyQuantizableLinear",
                                               .size = sizeof(linear),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = linear_forward,
                                               .visit = out_proj_visit,
                                               .describe = linear_describe};

mn_module *mni_out_proj(int64_t features, bool no_bias)
{
    return make(&out_proj_class, features, features, no_bias);
}
