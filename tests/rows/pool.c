/*
 * tests/rows/pool.c: the rows of minnow/ops/pool.h.
 */
#include "rows/rows.h"

/* The arguments of a kernel over `dims` dimensions: its size, then stride, padding and dilation,
 * then further numbers; those that are missing are 0. */
typedef struct window {
    int64_t kernel[2], stride[2], padding[2], dilation[2], more[4];
} window;

static window row_window(const call *c, int dims)
{
    const ints v = row_ints(c, 0);
    window w = {.kernel = {0}};
    for (int d = 0; d < dims; d++) {
        w.kernel[d] = v.as_i64[d];
        w.stride[d] = v.as_i64[dims + d];
        w.padding[d] = v.as_i64[2 * dims + d];
        w.dilation[d] = v.as_i64[3 * dims + d];
    }
    for (int i = 0; i < 4; i++) w.more[i] = v.as_i64[4 * dims + i];
    return w;
}

static void max_pool(call *c, int dims)
{
    const window w = row_window(c, dims);
    const mn_max_pool_opts o = {.stride = {w.stride[0], w.stride[1]},
                                .padding = {w.padding[0], w.padding[1]},
                                .dilation = {w.dilation[0], w.dilation[1]},
                                .ceil_mode = w.more[0] != 0},
                           *opts = c->n_args > dims ? &o : NULL;
    c->out[0] = dims == 1
                    ? mn_max_pool1d(c->t, c->in[0], w.kernel[0], opts, &c->out[1])
                    : mn_max_pool2d(c->t, c->in[0], w.kernel[0], w.kernel[1], opts, &c->out[1]);
}

static void call_max_pool1d(call *c)
{
    max_pool(c, 1);
}

static void call_max_pool2d(call *c)
{
    max_pool(c, 2);
}

/* In place of a dilation: ceil_mode, and exclude_pad; then the divisor. */
static void avg_pool(call *c, int dims)
{
    const ints v = row_ints(c, 3 * dims);
    const window w = row_window(c, dims);
    const mn_avg_pool_opts o = {.stride = {w.stride[0], w.stride[1]},
                                .padding = {w.padding[0], w.padding[1]},
                                .ceil_mode = v.as_int[0] != 0,
                                .exclude_pad = v.as_int[1] != 0,
                                .divisor_override = v.as_i64[2]},
                           *opts = c->n_args > dims ? &o : NULL;
    c->out[0] = dims == 1 ? mn_avg_pool1d(c->t, c->in[0], w.kernel[0], opts)
                          : mn_avg_pool2d(c->t, c->in[0], w.kernel[0], w.kernel[1], opts);
}

static void call_avg_pool1d(call *c)
{
    avg_pool(c, 1);
}

static void call_avg_pool2d(call *c)
{
    avg_pool(c, 2);
}

/* The power, the kernel, stride and ceil_mode. */
static void lp_pool(call *c, int dims)
{
    const ints v = row_ints(c, 1);
    const mn_lp_pool_opts o = {.stride = {v.as_i64[dims], v.as_i64[dims + 1]},
                               .ceil_mode = v.as_int[2 * dims] != 0},
                          *opts = v.n > dims ? &o : NULL;
    c->out[0] = dims == 1 ? mn_lp_pool1d(c->t, c->in[0], c->arg[0], v.as_i64[0], opts)
                          : mn_lp_pool2d(c->t, c->in[0], c->arg[0], v.as_i64[0], v.as_i64[1], opts);
}

static void call_lp_pool1d(call *c)
{
    lp_pool(c, 1);
}

static void call_lp_pool2d(call *c)
{
    lp_pool(c, 2);
}

CALL(adaptive_avg_pool1d, mn_adaptive_avg_pool1d(t, x[0], (int64_t)a[0]))
CALL(adaptive_avg_pool2d, mn_adaptive_avg_pool2d(t, x[0], (int64_t)a[0], (int64_t)a[1]))
CALL(adaptive_max_pool1d, mn_adaptive_max_pool1d(t, x[0], (int64_t)a[0], &c->out[1]))
CALL(adaptive_max_pool2d, mn_adaptive_max_pool2d(t, x[0], (int64_t)a[0], (int64_t)a[1], &c->out[1]))

/* Kernel, stride, padding and size of the result. */
static void call_max_unpool2d(call *c)
{
    const window w = row_window(c, 2);
    const mn_max_unpool_opts o = {.stride = {w.stride[0], w.stride[1]},
                                  .padding = {w.padding[0], w.padding[1]},
                                  .output_size = {w.dilation[0], w.dilation[1]}};
    c->out[0] = mn_max_unpool2d(c->t, c->in[0], c->in[1], w.kernel[0], w.kernel[1],
                                c->n_args > 2 ? &o : NULL);
}

/* Mode, align_corners; then a size, or a scale, for each dimension, and which of them it is. */
static void call_interpolate(call *c)
{
    const double *a = c->arg;
    mn_interpolate_opts o = {.mode = (mn_interpolate_mode)a[0], .align_corners = a[1] != 0};
    const int dims = (c->n_args - 2) / 2;
    for (int d = 0; d < dims; d++) {
        o.size[d] = (int64_t)a[2 + d];
        o.scale[d] = a[2 + dims + d];
    }
    c->out[0] = mn_interpolate(c->t, c->in[0], c->n_args > 0 ? &o : NULL);
}

CALL(pixel_shuffle, mn_pixel_shuffle(t, x[0], (int64_t)a[0]))
CALL(pixel_unshuffle, mn_pixel_unshuffle(t, x[0], (int64_t)a[0]))

const op_row rows_pool[] = {
    {"max_pool1d", .other = call_max_pool1d, .distinct = true},
    {"max_pool2d", .other = call_max_pool2d, .distinct = true},
    {"avg_pool1d", .other = call_avg_pool1d},
    {"avg_pool2d", .other = call_avg_pool2d},
    {"lp_pool1d", .other = call_lp_pool1d, .distinct = true},
    {"lp_pool2d", .other = call_lp_pool2d, .distinct = true},
    {"adaptive_avg_pool1d", .other = call_adaptive_avg_pool1d},
    {"adaptive_avg_pool2d", .other = call_adaptive_avg_pool2d},
    {"adaptive_max_pool1d", .other = call_adaptive_max_pool1d, .distinct = true},
    {"adaptive_max_pool2d", .other = call_adaptive_max_pool2d, .distinct = true},
    {"max_unpool2d", .other = call_max_unpool2d},
    {"interpolate", .other = call_interpolate},
    {"pixel_shuffle", .other = call_pixel_shuffle},
    {"pixel_unshuffle", .other = call_pixel_unshuffle},
    {0},
};
