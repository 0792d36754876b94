/*
 * nn/bilinear.c: the layer of two inputs that is linear in each.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>

typedef struct bilinear {
    mn_module base;
    int64_t in1_features, in2_features, out_features;
    mn_tensor *weight; /* [out, in1, in2] */
    mn_tensor *bias;   /* [out] or MN_NONE */
} bilinear;

static mn_error bilinear_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    const bilinear *l = (const bilinear *)m;
    (void)n_in, (void)n_out;
    out[0] = mn_bilinear(t, in[0], in[1], l->weight, l->bias);
    return mn_tape_error(t);
}

static void bilinear_visit(mn_module *m, mn_visitor *v)
{
    bilinear *l = (bilinear *)m;
    const double k = 1 / sqrt((double)l->in1_features);
    mn_visit_parameter(v, "weight", &l->weight, mn_init_uniform(-k, k));
    mn_visit_parameter(v, "bias", &l->bias, mn_init_uniform(-k, k));
}

static int bilinear_describe(const mn_module *m, char *buffer, size_t size)
{
    const bilinear *l = (const bilinear *)m;
    return snprintf(buffer, size,
                    "in1_features=%lld, in2_features=%lld, out_features=%lld, bias=%s",
                    (long long)l->in1_features, (long long)l->in2_features,
                    (long long)l->out_features, l->bias == MN_NONE ? "False" : "True");
}

static const mn_module_class bilinear_class = {.name = "Bilinear",
                                               .size = sizeof(bilinear),
                                               .n_in = 2,
                                               .n_out = 1,
                                               .forward = bilinear_forward,
                                               .visit = bilinear_visit,
                                               .describe = bilinear_describe};

mn_module *mn_nn_bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features,
                          const mn_nn_bilinear_opts *opts)
{
    if (in1_features < 1 || in2_features < 1 || out_features < 1) {
        mn_fail(MN_ERR_ARGUMENT,
                "bilinear: %lld in1_features, %lld in2_features and %lld out_features; at least 1 "
                "each",
                (long long)in1_features, (long long)in2_features, (long long)out_features);
        return NULL;
    }
    bilinear *l = (bilinear *)mn_module_new(&bilinear_class);
    if (!l) return NULL;
    l->in1_features = in1_features;
    l->in2_features = in2_features;
    l->out_features = out_features;
    l->weight = mn_parameter(MN_F32, 3, (int64_t[]){out_features, in1_features, in2_features});
    l->bias = opts && opts->no_bias ? MN_NONE : mn_parameter(MN_F32, 1, &out_features);
    return mn_module_finish(&l->base);
}
