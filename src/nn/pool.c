/*
 * nn/pool.c: pooling. All layers are one struct of numbers; each kind has the op that it runs and the
 * text that torch prints.
 */
#include "nn/window.h"
#include <math.h>
#include <stdio.h>

typedef struct pool {
    mn_module base;
    mni_window w;
    double norm_type;
    int64_t out[2]; /* of adaptive pooling; of unpooling, or 0 */
    bool ceil_mode;
    bool usual_stride; /* none was given */
    bool exclude_pad;
    int64_t divisor_override;
} pool;

/* ---- forward ---- */

/* Where the op puts the indices; false unless there are one or two outputs. */
static bool two_outputs(mn_tape *t, const mn_module *m, mn_tensor **out, int n_out,
                        mn_tensor ***indices)
{
    *indices = n_out == 2 ? &out[1] : NULL;
    if (n_out == 1 || n_out == 2) return true;
    return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s gives 1 or 2 outputs, not %d", m->cls->name, n_out);
}

static mn_error max_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                            mn_tensor **out, int n_out)
{
    const pool *p = (const pool *)m;
    const mni_window *w = &p->w;
    const mn_max_pool_opts o = {.stride = {w->stride[0], w->stride[1]},
                                .padding = {w->padding[0], w->padding[1]},
                                .dilation = {w->dilation[0], w->dilation[1]},
                                .ceil_mode = p->ceil_mode};
    mn_tensor **indices;
    (void)n_in;
    if (two_outputs(t, m, out, n_out, &indices))
        out[0] = w->dims == 1 ? mn_max_pool1d(t, in[0], w->kernel[0], &o, indices)
                              : mn_max_pool2d(t, in[0], w->kernel[0], w->kernel[1], &o, indices);
    return mn_tape_error(t);
}

static mn_error avg_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                            mn_tensor **out, int n_out)
{
    const pool *p = (const pool *)m;
    const mni_window *w = &p->w;
    const mn_avg_pool_opts o = {.stride = {w->stride[0], w->stride[1]},
                                .padding = {w->padding[0], w->padding[1]},
                                .ceil_mode = p->ceil_mode,
                                .exclude_pad = p->exclude_pad,
                                .divisor_override = p->divisor_override};
    (void)n_in, (void)n_out;
    out[0] = w->dims == 1 ? mn_avg_pool1d(t, in[0], w->kernel[0], &o)
                          : mn_avg_pool2d(t, in[0], w->kernel[0], w->kernel[1], &o);
    return mn_tape_error(t);
}

static mn_error lp_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                           mn_tensor **out, int n_out)
{
    const pool *p = (const pool *)m;
    const mni_window *w = &p->w;
    const mn_lp_pool_opts o = {.stride = {w->stride[0], w->stride[1]}, .ceil_mode = p->ceil_mode};
    (void)n_in, (void)n_out;
    out[0] = w->dims == 1 ? mn_lp_pool1d(t, in[0], p->norm_type, w->kernel[0], &o)
                          : mn_lp_pool2d(t, in[0], p->norm_type, w->kernel[0], w->kernel[1], &o);
    return mn_tape_error(t);
}

static mn_error adaptive_avg_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                     mn_tensor **out, int n_out)
{
    const pool *p = (const pool *)m;
    (void)n_in, (void)n_out;
    out[0] = p->w.dims == 1 ? mn_adaptive_avg_pool1d(t, in[0], p->out[0])
                            : mn_adaptive_avg_pool2d(t, in[0], p->out[0], p->out[1]);
    return mn_tape_error(t);
}

static mn_error adaptive_max_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                     mn_tensor **out, int n_out)
{
    const pool *p = (const pool *)m;
    mn_tensor **indices;
    (void)n_in;
    if (two_outputs(t, m, out, n_out, &indices))
        out[0] = p->w.dims == 1 ? mn_adaptive_max_pool1d(t, in[0], p->out[0], indices)
                                : mn_adaptive_max_pool2d(t, in[0], p->out[0], p->out[1], indices);
    return mn_tape_error(t);
}

static mn_error unpool_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out)
{
    const pool *p = (const pool *)m;
    const mni_window *w = &p->w;
    const mn_max_unpool_opts o = {.stride = {w->stride[0], w->stride[1]},
                                  .padding = {w->padding[0], w->padding[1]},
                                  .output_size = {p->out[0], p->out[1]}};
    (void)n_in, (void)n_out;
    out[0] = mn_max_unpool2d(t, in[0], in[1], w->kernel[0], w->kernel[1], &o);
    return mn_tape_error(t);
}

/* ---- as torch prints them ---- */

static const char *truth(bool b)
{
    return b ? "True" : "False";
}

static int max_describe(const mn_module *m, char *buffer, size_t size)
{
    const pool *p = (const pool *)m;
    char text[4][MNI_TUPLE_SIZE];
    return snprintf(buffer, size,
                    "kernel_size=%s, stride=%s, padding=%s, dilation=%s, ceil_mode=%s",
                    mni_one_or_tuple(p->w.dims, p->w.kernel, text[0]),
                    mni_one_or_tuple(p->w.dims, p->w.stride, text[1]),
                    mni_one_or_tuple(p->w.dims, p->w.padding, text[2]),
                    mni_one_or_tuple(p->w.dims, p->w.dilation, text[3]), truth(p->ceil_mode));
}

/* Also of unpooling; always tuples in some. */
static int plain_describe(const pool *p, bool tuples, char *buffer, size_t size)
{
    const char *(*const print)(int, const int64_t *, char *) =
        tuples ? mni_tuple : mni_one_or_tuple;
    char text[3][MNI_TUPLE_SIZE];
    return snprintf(buffer, size, "kernel_size=%s, stride=%s, padding=%s",
                    print(p->w.dims, p->w.kernel, text[0]), print(p->w.dims, p->w.stride, text[1]),
                    print(p->w.dims, p->w.padding, text[2]));
}

static int avg_describe(const mn_module *m, char *buffer, size_t size)
{
    const pool *p = (const pool *)m;
    return plain_describe(p, p->w.dims == 1, buffer, size);
}

static int unpool_describe(const mn_module *m, char *buffer, size_t size)
{
    return plain_describe((const pool *)m, true, buffer, size);
}

static int lp_describe(const mn_module *m, char *buffer, size_t size)
{
    const pool *p = (const pool *)m;
    char norm[MNI_REPR_SIZE], kernel[MNI_TUPLE_SIZE], stride[MNI_TUPLE_SIZE];
    return snprintf(buffer, size, "norm_type=%s, kernel_size=%s, stride=%s, ceil_mode=%s",
                    mni_repr(p->norm_type, norm), mni_one_or_tuple(p->w.dims, p->w.kernel, kernel),
                    p->usual_stride ? "None" : mni_one_or_tuple(p->w.dims, p->w.stride, stride),
                    truth(p->ceil_mode));
}

static int adaptive_describe(const mn_module *m, char *buffer, size_t size)
{
    const pool *p = (const pool *)m;
    char text[MNI_TUPLE_SIZE];
    return snprintf(buffer, size, "output_size=%s", mni_one_or_tuple(p->w.dims, p->out, text));
}

/* ---- making ---- */

static mn_module *pool_new(const mn_module_class *class, const pool *numbers)
{
    pool *p = (pool *)mn_module_new(class);
    if (!p) return NULL;
    const mn_module base = p->base;
    *p = *numbers;
    p->base = base;
    return mn_module_finish(&p->base);
}

/* The windows of a pool: the kernel's size, and lists of the options. */
static bool windows(pool *p, const char *name, int dims, int64_t kernel, const int64_t *kernels,
                    const int64_t *stride, const int64_t *padding, const int64_t *dilation)
{
    const mni_window_opts o = {kernel, kernels, stride, padding, dilation, true};
    return mni_window_make(&p->w, name, dims, &o);
}

static mn_module *max_new(const mn_module_class *class, const char *name, int dims, int64_t kernel,
                          const mn_nn_max_pool_opts *opts)
{
    const mn_nn_max_pool_opts o = opts ? *opts : (mn_nn_max_pool_opts){0};
    pool p = {.ceil_mode = o.ceil_mode};
    return windows(&p, name, dims, kernel, o.kernel_size, o.stride, o.padding, o.dilation)
               ? pool_new(class, &p)
               : NULL;
}

static mn_module *avg_new(const mn_module_class *class, const char *name, int dims, int64_t kernel,
                          const mn_nn_avg_pool_opts *opts)
{
    const mn_nn_avg_pool_opts o = opts ? *opts : (mn_nn_avg_pool_opts){0};
    pool p = {.ceil_mode = o.ceil_mode,
              .exclude_pad = o.exclude_pad,
              .divisor_override = o.divisor_override};
    return windows(&p, name, dims, kernel, o.kernel_size, o.stride, o.padding, NULL)
               ? pool_new(class, &p)
               : NULL;
}

static mn_module *lp_new(const mn_module_class *class, const char *name, int dims, double norm_type,
                         int64_t kernel, const mn_nn_lp_pool_opts *opts)
{
    const mn_nn_lp_pool_opts o = opts ? *opts : (mn_nn_lp_pool_opts){0};
    pool p = {.norm_type = norm_type,
              .usual_stride = !o.stride[0] && (dims == 1 || !o.stride[1]),
              .ceil_mode = o.ceil_mode};
    if (norm_type == 0 || isnan(norm_type)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: norm_type %g, of which there is no mean", name, norm_type);
        return NULL;
    }
    return windows(&p, name, dims, kernel, o.kernel_size, o.stride, NULL, NULL)
               ? pool_new(class, &p)
               : NULL;
}

static mn_module *adaptive_new(const mn_module_class *class, const char *name, int dims,
                               int64_t out_h, int64_t out_w)
{
    const pool p = {.w.dims = dims, .out = {out_h, out_w}};
    char text[MNI_TUPLE_SIZE];
    if (out_h >= 1 && out_w >= 1) return pool_new(class, &p);
    mn_fail(MN_ERR_ARGUMENT, "%s: output_size %s; at least 1", name, mni_tuple(dims, p.out, text));
    return NULL;
}

#define CLASS(var, NAME, outputs, kind, description)                                               \
    static const mn_module_class var##_class = {.name = NAME,                                      \
                                                .size = sizeof(pool),                              \
                                                .n_in = 1,                                         \
                                                .n_out = outputs,                                  \
                                                .forward = kind##_forward,                         \
                                                .describe = description##_describe};

CLASS(max_pool1d, "MaxPool1d", 0, max, max)
CLASS(max_pool2d, "MaxPool2d", 0, max, max)
CLASS(avg_pool1d, "AvgPool1d", 1, avg, avg)
CLASS(avg_pool2d, "AvgPool2d", 1, avg, avg)
CLASS(lp_pool1d, "LPPool1d", 1, lp, lp)
CLASS(lp_pool2d, "LPPool2d", 1, lp, lp)
CLASS(adaptive_avg_pool1d, "AdaptiveAvgPool1d", 1, adaptive_avg, adaptive)
CLASS(adaptive_avg_pool2d, "AdaptiveAvgPool2d", 1, adaptive_avg, adaptive)
CLASS(adaptive_max_pool1d, "AdaptiveMaxPool1d", 0, adaptive_max, adaptive)
CLASS(adaptive_max_pool2d, "AdaptiveMaxPool2d", 0, adaptive_max, adaptive)

static const mn_module_class max_unpool2d_class = {.name = "MaxUnpool2d",
                                                   .size = sizeof(pool),
                                                   .n_in = 2,
                                                   .n_out = 1,
                                                   .forward = unpool_forward,
                                                   .describe = unpool_describe};

#define POOL(kind, dims)                                                                           \
    mn_module *mn_nn_##kind##_pool##dims##d(int64_t kernel_size,                                   \
                                            const mn_nn_##kind##_pool_opts *opts)                  \
    {                                                                                              \
        return kind##_new(&kind##_pool##dims##d_class, #kind "_pool" #dims "d", dims, kernel_size, \
                          opts);                                                                   \
    }

POOL(max, 1)
POOL(max, 2)
POOL(avg, 1)
POOL(avg, 2)

mn_module *mn_nn_lp_pool1d(double norm_type, int64_t kernel_size, const mn_nn_lp_pool_opts *opts)
{
    return lp_new(&lp_pool1d_class, "lp_pool1d", 1, norm_type, kernel_size, opts);
}

mn_module *mn_nn_lp_pool2d(double norm_type, int64_t kernel_size, const mn_nn_lp_pool_opts *opts)
{
    return lp_new(&lp_pool2d_class, "lp_pool2d", 2, norm_type, kernel_size, opts);
}

mn_module *mn_nn_adaptive_avg_pool1d(int64_t out)
{
    return adaptive_new(&adaptive_avg_pool1d_class, "adaptive_avg_pool1d", 1, out, 1);
}

mn_module *mn_nn_adaptive_avg_pool2d(int64_t out_h, int64_t out_w)
{
    return adaptive_new(&adaptive_avg_pool2d_class, "adaptive_avg_pool2d", 2, out_h, out_w);
}

mn_module *mn_nn_adaptive_max_pool1d(int64_t out)
{
    return adaptive_new(&adaptive_max_pool1d_class, "adaptive_max_pool1d", 1, out, 1);
}

mn_module *mn_nn_adaptive_max_pool2d(int64_t out_h, int64_t out_w)
{
    return adaptive_new(&adaptive_max_pool2d_class, "adaptive_max_pool2d", 2, out_h, out_w);
}

mn_module *mn_nn_max_unpool2d(int64_t kernel_size, const mn_nn_max_unpool_opts *opts)
{
    const mn_nn_max_unpool_opts o = opts ? *opts : (mn_nn_max_unpool_opts){0};
    pool p = {.out = {o.output_size[0], o.output_size[1]}};
    return windows(&p, "max_unpool2d", 2, kernel_size, o.kernel_size, o.stride, o.padding, NULL)
               ? pool_new(&max_unpool2d_class, &p)
               : NULL;
}
