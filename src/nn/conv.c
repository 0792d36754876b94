/*
 * nn/conv.c: convolutions and their transposes. Layers of any number of dimensions are one struct; a
 * transpose differs in the shape of its weight and in the op that it runs.
 */
#include "nn/window.h"
#include <math.h>
#include <stdio.h>

typedef struct conv {
    mn_module base;
    mni_window w;
    bool transposed;
    int64_t in_channels, out_channels, groups, output_padding[3];
    bool same;
    mn_pad_mode mode;
    mn_tensor *weight; /* [out, in/groups, kernel...]; transposed [in, out/groups, kernel...] */
    mn_tensor *bias;   /* [out] or MN_NONE */
} conv;

/* ---- forward ---- */

/* x with the padding around it that the op, which knows only zeros, cannot give. */
static mn_tensor *padded(mn_tape *t, const conv *c, mn_tensor *x)
{
    const mni_window *w = &c->w;
    int64_t pads[6];
    for (int d = 0; d < w->dims; d++) {
        const int64_t both = c->same ? w->dilation[d] * (w->kernel[d] - 1) : 2 * w->padding[d];
        int64_t *sides = pads + 2 * (w->dims - 1 - d);
        sides[0] = both / 2;
        sides[1] = both - both / 2;
    }
    return mn_pad(t, x, pads, 2 * w->dims, c->mode, 0);
}

static mn_error conv_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                             mn_tensor **out, int n_out)
{
    static mn_tensor *(*const ops[])(mn_tape *, mn_tensor *, mn_tensor *, mn_tensor *,
                                     const mn_conv_opts *) = {mn_conv1d, mn_conv2d, mn_conv3d};
    const conv *c = (const conv *)m;
    const bool apart = c->mode != MN_PAD_CONSTANT;
    mn_conv_opts o = {.groups = c->groups, .padding_same = c->same && !apart};
    (void)n_in, (void)n_out;
    for (int d = 0; d < c->w.dims; d++) {
        o.stride[d] = c->w.stride[d];
        o.padding[d] = apart ? 0 : c->w.padding[d];
        o.dilation[d] = c->w.dilation[d];
    }
    mn_tensor *x = apart ? padded(t, c, in[0]) : in[0];
    out[0] = ops[c->w.dims - 1](t, x, c->weight, c->bias, &o);
    return mn_tape_error(t);
}

static mn_error transpose_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out)
{
    const conv *c = (const conv *)m;
    mn_conv_transpose_opts o = {.groups = c->groups};
    (void)n_in, (void)n_out;
    for (int d = 0; d < c->w.dims; d++) {
        o.stride[d] = c->w.stride[d];
        o.padding[d] = c->w.padding[d];
        o.output_padding[d] = c->output_padding[d];
        o.dilation[d] = c->w.dilation[d];
    }
    out[0] = c->w.dims == 1 ? mn_conv_transpose1d(t, in[0], c->weight, c->bias, &o)
                            : mn_conv_transpose2d(t, in[0], c->weight, c->bias, &o);
    return mn_tape_error(t);
}

/* ---- parts and text ---- */

static void conv_visit(mn_module *m, mn_visitor *v)
{
    conv *c = (conv *)m;
    double fan_in = (double)((c->transposed ? c->out_channels : c->in_channels) / c->groups);
    for (int d = 0; d < c->w.dims; d++) fan_in *= (double)c->w.kernel[d];
    const double k = 1 / sqrt(fan_in);
    mn_visit_parameter(v, "weight", &c->weight, mn_init_uniform(-k, k));
    mn_visit_parameter(v, "bias", &c->bias, mn_init_uniform(-k, k));
}

/* ", name=(...)", or nothing where all numbers are the default. */
static const char *unless_default(const conv *c, const char *name, const int64_t *numbers,
                                  int64_t usual, char buffer[MNI_TUPLE_SIZE + 32])
{
    char tuple[MNI_TUPLE_SIZE];
    bool differs = false;
    for (int d = 0; d < c->w.dims; d++) differs = differs || numbers[d] != usual;
    buffer[0] = '\0';
    if (differs)
        snprintf(buffer, MNI_TUPLE_SIZE + 32, ", %s=%s", name,
                 mni_tuple(c->w.dims, numbers, tuple));
    return buffer;
}

static int conv_describe(const mn_module *m, char *buffer, size_t size)
{
    static const char *const modes[] = {"", ", padding_mode=reflect", ", padding_mode=replicate",
                                        ", padding_mode=circular"};
    const conv *c = (const conv *)m;
    char kernel[MNI_TUPLE_SIZE], stride[MNI_TUPLE_SIZE], groups[32] = "";
    char padding[MNI_TUPLE_SIZE + 32], dilation[MNI_TUPLE_SIZE + 32], more[MNI_TUPLE_SIZE + 32];
    if (c->groups != 1) snprintf(groups, sizeof groups, ", groups=%lld", (long long)c->groups);
    return snprintf(
        buffer, size, "%lld, %lld, kernel_size=%s, stride=%s%s%s%s%s%s%s",
        (long long)c->in_channels, (long long)c->out_channels,
        mni_tuple(c->w.dims, c->w.kernel, kernel), mni_tuple(c->w.dims, c->w.stride, stride),
        c->same ? ", padding=same" : unless_default(c, "padding", c->w.padding, 0, padding),
        unless_default(c, "dilation", c->w.dilation, 1, dilation),
        unless_default(c, "output_padding", c->output_padding, 0, more), groups,
        c->bias == MN_NONE ? ", bias=False" : "", modes[c->mode]);
}

/* ---- making ---- */

/* Whether the numbers of a layer, `name`, go together; if not, with the last error set. */
static bool fits(const conv *c, const char *name)
{
    char stride[MNI_TUPLE_SIZE], padding[MNI_TUPLE_SIZE], dilation[MNI_TUPLE_SIZE];
    mni_tuple(c->w.dims, c->w.stride, stride);
    mni_tuple(c->w.dims, c->w.dilation, dilation);
    bool strided = false, wide = false;
    for (int d = 0; d < c->w.dims; d++) {
        const int64_t extra = c->output_padding[d];
        strided = strided || c->w.stride[d] != 1 || c->w.padding[d] != 0;
        wide = wide || extra < 0 || (extra >= c->w.stride[d] && extra >= c->w.dilation[d]);
    }
    if (c->in_channels < 1 || c->out_channels < 1 || c->groups < 1 || c->in_channels % c->groups ||
        c->out_channels % c->groups)
        mn_fail(MN_ERR_ARGUMENT,
                "%s: %lld in_channels, %lld out_channels and %lld groups; at least 1 each, and "
                "groups divide the channels",
                name, (long long)c->in_channels, (long long)c->out_channels, (long long)c->groups);
    else if ((unsigned)c->mode > MN_PAD_CIRCULAR)
        mn_fail(MN_ERR_ARGUMENT, "%s: %d is not a padding_mode", name, (int)c->mode);
    else if (c->same && strided)
        mn_fail(MN_ERR_ARGUMENT, "%s: padding_same takes no stride (here %s) and no padding (%s)",
                name, stride, mni_tuple(c->w.dims, c->w.padding, padding));
    else if (wide)
        mn_fail(MN_ERR_ARGUMENT,
                "%s: output_padding %s; at least 0, less than stride %s or dilation %s", name,
                mni_tuple(c->w.dims, c->output_padding, padding), stride, dilation);
    else
        return true;
    return false;
}

/* The layer of those numbers, which `window` completes. */
static mn_module *layer_new(const mn_module_class *class, const char *name, int dims, conv numbers,
                            const mni_window_opts *window, bool no_bias)
{
    if (!mni_window_make(&numbers.w, name, dims, window) || !fits(&numbers, name)) return NULL;
    conv *c = (conv *)mn_module_new(class);
    if (!c) return NULL;
    numbers.base = c->base;
    *c = numbers;
    const int64_t in = c->in_channels, out = c->out_channels, *kernel = c->w.kernel;
    const int64_t shape[] = {c->transposed ? in : out, (c->transposed ? out : in) / c->groups,
                             kernel[0], kernel[1], kernel[2]};
    c->weight = mn_parameter(MN_F32, 2 + dims, shape);
    if (c->weight) c->bias = no_bias ? MN_NONE : mn_parameter(MN_F32, 1, &out);
    return mn_module_finish(&c->base);
}

static mn_module *conv_new(const mn_module_class *class, const char *name, int dims, int64_t in,
                           int64_t out, int64_t kernel, const mn_nn_conv_opts *opts)
{
    const mn_nn_conv_opts o = opts ? *opts : (mn_nn_conv_opts){0};
    const conv numbers = {.in_channels = in,
                          .out_channels = out,
                          .groups = o.groups ? o.groups : 1,
                          .same = o.padding_same,
                          .mode = o.padding_mode};
    const mni_window_opts window = {kernel, o.kernel_size, o.stride, o.padding, o.dilation, false};
    return layer_new(class, name, dims, numbers, &window, o.no_bias);
}

static mn_module *transpose_new(const mn_module_class *class, const char *name, int dims,
                                int64_t in, int64_t out, int64_t kernel,
                                const mn_nn_conv_transpose_opts *opts)
{
    const mn_nn_conv_transpose_opts o = opts ? *opts : (mn_nn_conv_transpose_opts){0};
    const conv numbers = {.in_channels = in,
                          .out_channels = out,
                          .groups = o.groups ? o.groups : 1,
                          .transposed = true,
                          .output_padding = {o.output_padding[0], o.output_padding[1]}};
    const mni_window_opts window = {kernel, o.kernel_size, o.stride, o.padding, o.dilation, false};
    return layer_new(class, name, dims, numbers, &window, o.no_bias);
}

#define LAYER(op, NAME, dims, kind, opts_type)                                                     \
    static const mn_module_class op##_class = {.name = NAME,                                       \
                                               .size = sizeof(conv),                               \
                                               .n_in = 1,                                          \
                                               .n_out = 1,                                         \
                                               .forward = kind##_forward,                          \
                                               .visit = conv_visit,                                \
                                               .describe = conv_describe};                         \
    mn_module *mn_nn_##op(int64_t in_channels, int64_t out_channels, int64_t kernel_size,          \
                          const opts_type *opts)                                                   \
    {                                                                                              \
        return kind##_new(&op##_class, #op, dims, in_channels, out_channels, kernel_size, opts);   \
    }

LAYER(conv1d, "Conv1d", 1, conv, mn_nn_conv_opts)
LAYER(conv2d, "Conv2d", 2, conv, mn_nn_conv_opts)
LAYER(conv3d, "Conv3d", 3, conv, mn_nn_conv_opts)
LAYER(conv_transpose1d, "ConvTranspose1d", 1, transpose, mn_nn_conv_transpose_opts)
LAYER(conv_transpose2d, "ConvTranspose2d", 2, transpose, mn_nn_conv_transpose_opts)
