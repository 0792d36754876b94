/*
 * nn/norm.c: the layers that normalise without a memory: layer, RMS and group normalisation, and local
 * response.
 */
#include "nn/module.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct norm {
    mn_module base;
    int ndim; /* of `shape`, what is normalised; group norm: [channels] */
    int64_t shape[MN_MAX_DIMS], groups;
    double eps;               /* 0: of the dtype */
    mn_tensor *weight, *bias; /* `shape` or MN_NONE */
} norm;

static mn_error layer_norm_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                   mn_tensor **out, int n_out)
{
    const norm *l = (const norm *)m;
    (void)n_in, (void)n_out;
    out[0] = mn_layer_norm(t, in[0], l->ndim, l->shape, l->weight, l->bias, l->eps);
    return mn_tape_error(t);
}

static mn_error rms_norm_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    const norm *l = (const norm *)m;
    const double smallest = mn_tensor_dtype(in[0]) == MN_F64 ? DBL_EPSILON : (double)FLT_EPSILON;
    (void)n_in, (void)n_out;
    out[0] = mn_rms_norm(t, in[0], l->ndim, l->shape, l->weight, l->eps != 0 ? l->eps : smallest);
    return mn_tape_error(t);
}

static mn_error group_norm_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                   mn_tensor **out, int n_out)
{
    const norm *l = (const norm *)m;
    (void)n_in, (void)n_out;
    if (in[0] == MN_NONE || mn_tensor_ndim(in[0]) < 2 || mn_tensor_size(in[0], 1) != l->shape[0]) {
        char shape[200];
        mn_tensor_format_shape(in[0], shape, sizeof shape);
        mn_tape_fail(t, MN_ERR_SHAPE, "x is %s, but GroupNorm needs %lld channels in dimension 1",
                     shape, (long long)l->shape[0]);
        return mn_tape_error(t);
    }
    out[0] = mn_group_norm(t, in[0], l->groups, l->weight, l->bias, l->eps);
    return mn_tape_error(t);
}

static void norm_visit(mn_module *m, mn_visitor *v)
{
    norm *l = (norm *)m;
    mn_visit_parameter(v, "weight", &l->weight, mn_init_constant(1));
    mn_visit_parameter(v, "bias", &l->bias, mn_init_constant(0));
}

static const char *truth(const mn_tensor *parameter)
{
    return parameter == MN_NONE ? "False" : "True";
}

/* "(2, 3)", "(5,)". */
static const char *tuple(const norm *l, char text[200])
{
    int n = snprintf(text, 200, "(");
    for (int d = 0; d < l->ndim; d++)
        n += snprintf(text + n, 200 - (size_t)n, d ? ", %lld" : "%lld", (long long)l->shape[d]);
    snprintf(text + n, 200 - (size_t)n, l->ndim == 1 ? ",)" : ")");
    return text;
}

static int layer_norm_describe(const mn_module *m, char *buffer, size_t size)
{
    const norm *l = (const norm *)m;
    char shape[200], eps[MNI_REPR_SIZE];
    return snprintf(buffer, size, "%s, eps=%s, elementwise_affine=%s, bias=%s", tuple(l, shape),
                    mni_repr(l->eps, eps), truth(l->weight), truth(l->bias));
}

static int rms_norm_describe(const mn_module *m, char *buffer, size_t size)
{
    const norm *l = (const norm *)m;
    char shape[200], eps[MNI_REPR_SIZE];
    return snprintf(buffer, size, "%s, eps=%s, elementwise_affine=%s", tuple(l, shape),
                    l->eps != 0 ? mni_repr(l->eps, eps) : "None", truth(l->weight));
}

static int group_norm_describe(const mn_module *m, char *buffer, size_t size)
{
    const norm *l = (const norm *)m;
    char eps[MNI_REPR_SIZE];
    return snprintf(buffer, size, "%lld, %lld, eps=%s, affine=%s, bias=%s", (long long)l->groups,
                    (long long)l->shape[0], mni_repr(l->eps, eps), truth(l->weight),
                    truth(l->bias));
}

#define NORM_CLASS(id, printed)                                                                    \
    static const mn_module_class id##_class = {.name = printed,                                    \
                                               .size = sizeof(norm),                               \
                                               .n_in = 1,                                          \
                                               .n_out = 1,                                         \
                                               .forward = id##_forward,                            \
                                               .visit = norm_visit,                                \
                                               .describe = id##_describe};
NORM_CLASS(layer_norm, "LayerNorm")
NORM_CLASS(rms_norm, "RMSNorm")
NORM_CLASS(group_norm, "GroupNorm")

static mn_module *make(const mn_module_class *class, const char *who, int ndim,
                       const int64_t *shape, int64_t groups, const mn_nn_norm_opts *opts)
{
    const mn_nn_norm_opts o = opts ? *opts : (mn_nn_norm_opts){0};
    if (!(o.eps >= 0 && isfinite(o.eps))) {
        mn_fail(MN_ERR_ARGUMENT, "%s: eps is %g, not a number from 0 on", who, o.eps);
        return NULL;
    }
    if (ndim < 1 || ndim > MN_MAX_DIMS || !shape) {
        mn_fail(MN_ERR_ARGUMENT, "%s: the normalised shape has %d dimensions", who,
                shape ? ndim : 0);
        return NULL;
    }
    for (int d = 0; d < ndim; d++) {
        if (shape[d] >= 1) continue;
        mn_fail(MN_ERR_ARGUMENT, "%s: size %lld of dimension %d is not at least 1", who,
                (long long)shape[d], d);
        return NULL;
    }
    norm *l = (norm *)mn_module_new(class);
    if (!l) return NULL;
    l->ndim = ndim;
    memcpy(l->shape, shape, (size_t)ndim * sizeof *shape);
    l->groups = groups;
    l->eps = o.eps != 0 || class == &rms_norm_class ? o.eps : 1e-5;
    l->weight = o.no_affine ? MN_NONE : mn_parameter(MN_F32, ndim, shape);
    l->bias = o.no_affine || o.no_bias || class == &rms_norm_class
                  ? MN_NONE
                  : mn_parameter(MN_F32, ndim, shape);
    return mn_module_finish(&l->base);
}

mn_module *mn_nn_layer_norm(int ndim, const int64_t *shape, const mn_nn_norm_opts *opts)
{
    return make(&layer_norm_class, "layer_norm", ndim, shape, 1, opts);
}

mn_module *mn_nn_rms_norm(int ndim, const int64_t *shape, const mn_nn_norm_opts *opts)
{
    return make(&rms_norm_class, "rms_norm", ndim, shape, 1, opts);
}

mn_module *mn_nn_group_norm(int64_t num_groups, int64_t num_channels, const mn_nn_norm_opts *opts)
{
    if (num_groups < 1 || num_channels < 1 || num_channels % num_groups) {
        mn_fail(MN_ERR_ARGUMENT, "group_norm: %lld groups do not divide %lld channels",
                (long long)num_groups, (long long)num_channels);
        return NULL;
    }
    return make(&group_norm_class, "group_norm", 1, &num_channels, num_groups, opts);
}

/* ---- local response ---- */

typedef struct response {
    mn_module base;
    int64_t size;
    double alpha, beta, k;
} response;

static mn_error response_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    const response *l = (const response *)m;
    (void)n_in, (void)n_out;
    out[0] = mn_local_response_norm(t, in[0], l->size, l->alpha, l->beta, l->k);
    return mn_tape_error(t);
}

static int response_describe(const mn_module *m, char *buffer, size_t size)
{
    const response *l = (const response *)m;
    char alpha[MNI_REPR_SIZE], beta[MNI_REPR_SIZE], k[MNI_REPR_SIZE];
    return snprintf(buffer, size, "%lld, alpha=%s, beta=%s, k=%s", (long long)l->size,
                    mni_repr(l->alpha, alpha), mni_repr(l->beta, beta), mni_repr(l->k, k));
}

static const mn_module_class response_class = {.name = "LocalResponseNorm",
                                               .size = sizeof(response),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = response_forward,
                                               .describe = response_describe};

mn_module *mn_nn_local_response_norm(int64_t size, double alpha, double beta, double k)
{
    if (size < 1 || !isfinite(alpha) || !isfinite(beta) || !isfinite(k)) {
        mn_fail(MN_ERR_ARGUMENT,
                "local_response_norm: size %lld, alpha %g, beta %g, k %g; at least 1, and finite",
                (long long)size, alpha, beta, k);
        return NULL;
    }
    response *l = (response *)mn_module_new(&response_class);
    if (!l) return NULL;
    l->size = size;
    l->alpha = alpha;
    l->beta = beta;
    l->k = k;
    return mn_module_finish(&l->base);
}
