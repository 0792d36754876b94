/*
 * nn/batch_norm.c: the layers that normalise each channel and keep running statistics: batch and instance
 * normalisation. In eval nothing in them is written, so threads may share them.
 */
#include "nn/module.h"
#include <stdio.h>

typedef struct channel_norm {
    mn_module base;
    int64_t num_features;
    double eps, momentum;
    bool cumulative, updating; /* updating: cumulative until mn_module_update_batch_norm ends it */
    mn_tensor *weight, *bias;  /* [num_features] or MN_NONE */
    mn_tensor *mean, *var;     /* [num_features] or MN_NONE */
    mn_tensor *batches;        /* i64 [] or MN_NONE */
} channel_norm;

static bool is_instance(const mn_module *m);

/* Counts the batch; what it weighs in the running statistics. */
static double count_batch(channel_norm *c, const mn_tape *t)
{
    if (c->batches == MN_NONE || mn_tape_recomputing(t)) return c->momentum;
    const int64_t n = mn_tensor_get_i64(c->batches, NULL) + 1;
    mn_tensor_set_i64(c->batches, NULL, n);
    return c->cumulative || c->updating ? 1 / (double)n : c->momentum;
}

static mn_error forward(mn_module *m, mn_tape *t, mn_tensor *x, int image, mn_tensor **y)
{
    channel_norm *c = (channel_norm *)m;
    const bool instance = is_instance(m);
    const int ndim = mn_tensor_ndim(x);
    const bool single = instance && ndim == image + 1;
    const int channel = single ? 0 : 1;
    if (x == MN_NONE || (ndim != image + 2 && !single && (instance || image != 1 || ndim != 2)) ||
        mn_tensor_size(x, channel) != c->num_features) {
        char shape[200];
        mn_tensor_format_shape(x, shape, sizeof shape);
        mn_tape_fail(t, MN_ERR_SHAPE, "x is %s, but %s needs %s with %lld channels in dimension %d",
                     shape, m->cls->name,
                     image == 1 ? "2 or 3 dimensions"
                     : instance ? "3 or 4 dimensions"
                                : "4 dimensions",
                     (long long)c->num_features, channel);
        return mn_tape_error(t);
    }
    if (single) x = mn_unsqueeze(t, x, 0);
    const bool own = m->training || c->mean == MN_NONE;
    const double momentum = m->training ? count_batch(c, t) : c->momentum;
    if (instance)
        *y = mn_instance_norm(t, x, c->mean, c->var, c->weight, c->bias, own, momentum, c->eps);
    else
        *y = mn_batch_norm(t, x, c->mean, c->var, c->weight, c->bias, own, momentum, c->eps);
    if (single) *y = mn_squeeze_dim(t, *y, 0);
    return mn_tape_error(t);
}

static mn_error forward_1d(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                           mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    return forward(m, t, in[0], 1, out);
}

static mn_error forward_2d(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                           mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    return forward(m, t, in[0], 2, out);
}

static void channel_norm_visit(mn_module *m, mn_visitor *v)
{
    channel_norm *c = (channel_norm *)m;
    mn_visit_parameter(v, "weight", &c->weight, mn_init_constant(1));
    mn_visit_parameter(v, "bias", &c->bias, mn_init_constant(0));
    mn_visit_buffer(v, "running_mean", &c->mean, mn_init_constant(0));
    mn_visit_buffer(v, "running_var", &c->var, mn_init_constant(1));
    mn_visit_buffer(v, "num_batches_tracked", &c->batches, mn_init_constant(0));
}

static int channel_norm_describe(const mn_module *m, char *buffer, size_t size)
{
    const channel_norm *c = (const channel_norm *)m;
    char eps[MNI_REPR_SIZE], momentum[MNI_REPR_SIZE];
    return snprintf(buffer, size,
                    "%lld, eps=%s, momentum=%s, affine=%s, bias=%s, track_running_stats=%s",
                    (long long)c->num_features, mni_repr(c->eps, eps),
                    c->cumulative ? "None" : mni_repr(c->momentum, momentum),
                    c->weight == MN_NONE ? "False" : "True", c->bias == MN_NONE ? "False" : "True",
                    c->mean == MN_NONE ? "False" : "True");
}

#define CHANNEL_NORM_CLASS(id, printed, function)                                                  \
    static const mn_module_class id##_class = {.name = printed,                                    \
                                               .size = sizeof(channel_norm),                       \
                                               .n_in = 1,                                          \
                                               .n_out = 1,                                         \
                                               .forward = function,                                \
                                               .visit = channel_norm_visit,                        \
                                               .describe = channel_norm_describe};
CHANNEL_NORM_CLASS(batch_norm1d, "BatchNorm1d", forward_1d)
CHANNEL_NORM_CLASS(batch_norm2d, "BatchNorm2d", forward_2d)
CHANNEL_NORM_CLASS(instance_norm1d, "InstanceNorm1d", forward_1d)
CHANNEL_NORM_CLASS(instance_norm2d, "InstanceNorm2d", forward_2d)

static bool is_instance(const mn_module *m)
{
    return m->cls == &instance_norm1d_class || m->cls == &instance_norm2d_class;
}

static mn_module *make(const mn_module_class *class, const char *who, int64_t n,
                       const mn_nn_instance_norm_opts *o)
{
    const double eps = o->eps != 0 ? o->eps : 1e-5, momentum = o->momentum != 0 ? o->momentum : 0.1;
    if (n < 1 || !(eps > 0 && eps < 1e300) || !(momentum > 0 && momentum <= 1)) {
        mn_fail(MN_ERR_ARGUMENT,
                "%s: %lld num_features, eps %g, momentum %g; at least 1, above 0, at most 1", who,
                (long long)n, eps, momentum);
        return NULL;
    }
    channel_norm *c = (channel_norm *)mn_module_new(class);
    if (!c) return NULL;
    c->num_features = n;
    c->eps = eps;
    c->momentum = momentum;
    c->cumulative = o->cumulative;
    c->weight = o->affine ? mn_parameter(MN_F32, 1, &n) : MN_NONE;
    c->bias = o->affine && !o->no_bias ? mn_parameter(MN_F32, 1, &n) : MN_NONE;
    c->mean = o->track_running_stats ? mn_tensor_zeros(MN_F32, 1, &n) : MN_NONE;
    c->var = o->track_running_stats ? mn_tensor_ones(MN_F32, 1, &n) : MN_NONE;
    c->batches = o->track_running_stats ? mn_tensor_zeros(MN_I64, 0, NULL) : MN_NONE;
    return mn_module_finish(&c->base);
}

static mn_module *make_batch(const mn_module_class *class, const char *who, int64_t n,
                             const mn_nn_batch_norm_opts *opts)
{
    const mn_nn_batch_norm_opts o = opts ? *opts : (mn_nn_batch_norm_opts){0};
    return make(class, who, n,
                &(mn_nn_instance_norm_opts){.eps = o.eps,
                                            .momentum = o.momentum,
                                            .cumulative = o.cumulative,
                                            .affine = !o.no_affine,
                                            .no_bias = o.no_bias,
                                            .track_running_stats = !o.no_running_stats});
}

mn_module *mn_nn_batch_norm1d(int64_t num_features, const mn_nn_batch_norm_opts *opts)
{
    return make_batch(&batch_norm1d_class, "batch_norm1d", num_features, opts);
}

mn_module *mn_nn_batch_norm2d(int64_t num_features, const mn_nn_batch_norm_opts *opts)
{
    return make_batch(&batch_norm2d_class, "batch_norm2d", num_features, opts);
}

mn_module *mn_nn_instance_norm1d(int64_t num_features, const mn_nn_instance_norm_opts *opts)
{
    return make(&instance_norm1d_class, "instance_norm1d", num_features,
                opts ? opts : &(mn_nn_instance_norm_opts){0});
}

mn_module *mn_nn_instance_norm2d(int64_t num_features, const mn_nn_instance_norm_opts *opts)
{
    return make(&instance_norm2d_class, "instance_norm2d", num_features,
                opts ? opts : &(mn_nn_instance_norm_opts){0});
}

/* ---- statistics for weights that were not trained ---- */

typedef struct update_visitor {
    mn_visitor base;
    bool begin;
} update_visitor;

static bool update_module(mn_visitor *v, mn_module *m)
{
    if (m->cls->visit != channel_norm_visit) return true;
    channel_norm *c = (channel_norm *)m;
    const bool begin = ((update_visitor *)v)->begin;
    c->updating = begin;
    if (!begin || c->mean == MN_NONE) return true;
    mn_tensor_fill(c->mean, 0);
    mn_tensor_fill(c->var, 1);
    mn_tensor_fill(c->batches, 0);
    return true;
}

mn_error mn_module_update_batch_norm(mn_module *m, bool begin)
{
    if (!m) return mni_pass_null("mn_module_update_batch_norm", "the module");
    return mni_walk(&(update_visitor){.base.module = update_module, .begin = begin}.base, m);
}
