/*
 * tests/rows/nn_pool.c: the rows of minnow/nn/pool.h.
 */
#include "rows/rows.h"

/* Arguments: kernel_size; then kernel, stride, padding and dilation, one for each dimension;
 * ceil_mode. */
static mn_module *make_max(const call *c, int dims)
{
    mn_nn_max_pool_opts o = {0};
    int at = row_list(c, 1, dims, o.kernel_size);
    at = row_list(c, at, dims, o.stride);
    at = row_list(c, at, dims, o.padding);
    at = row_list(c, at, dims, o.dilation);
    o.ceil_mode = c->arg[at] != 0;
    const mn_nn_max_pool_opts *opts = c->n_args > 1 ? &o : NULL;
    return dims == 1 ? mn_nn_max_pool1d((int64_t)c->arg[0], opts)
                     : mn_nn_max_pool2d((int64_t)c->arg[0], opts);
}

/* The same without dilation, but with exclude_pad and divisor_override at the end. */
static mn_module *make_avg(const call *c, int dims)
{
    mn_nn_avg_pool_opts o = {0};
    int at = row_list(c, 1, dims, o.kernel_size);
    at = row_list(c, at, dims, o.stride);
    at = row_list(c, at, dims, o.padding);
    o.ceil_mode = c->arg[at] != 0;
    o.exclude_pad = c->arg[at + 1] != 0;
    o.divisor_override = (int64_t)c->arg[at + 2];
    const mn_nn_avg_pool_opts *opts = c->n_args > 1 ? &o : NULL;
    return dims == 1 ? mn_nn_avg_pool1d((int64_t)c->arg[0], opts)
                     : mn_nn_avg_pool2d((int64_t)c->arg[0], opts);
}

/* norm_type, kernel_size; then kernel and stride; ceil_mode. */
static mn_module *make_lp(const call *c, int dims)
{
    mn_nn_lp_pool_opts o = {0};
    int at = row_list(c, 2, dims, o.kernel_size);
    at = row_list(c, at, dims, o.stride);
    o.ceil_mode = c->arg[at] != 0;
    const mn_nn_lp_pool_opts *opts = c->n_args > 2 ? &o : NULL;
    return dims == 1 ? mn_nn_lp_pool1d(c->arg[0], (int64_t)c->arg[1], opts)
                     : mn_nn_lp_pool2d(c->arg[0], (int64_t)c->arg[1], opts);
}

MODULE(max_pool1d, make_max(c, 1))
MODULE(max_pool2d, make_max(c, 2))
MODULE(avg_pool1d, make_avg(c, 1))
MODULE(avg_pool2d, make_avg(c, 2))
MODULE(lp_pool1d, make_lp(c, 1))
MODULE(lp_pool2d, make_lp(c, 2))
MODULE(adaptive_avg_pool1d, mn_nn_adaptive_avg_pool1d((int64_t)a[0]))
MODULE(adaptive_avg_pool2d, mn_nn_adaptive_avg_pool2d((int64_t)a[0], (int64_t)a[1]))
MODULE(adaptive_max_pool1d, mn_nn_adaptive_max_pool1d((int64_t)a[0]))
MODULE(adaptive_max_pool2d, mn_nn_adaptive_max_pool2d((int64_t)a[0], (int64_t)a[1]))

/* kernel_size; then kernel, stride, padding and output_size. */
static mn_module *make_max_unpool2d(const call *c)
{
    mn_nn_max_unpool_opts o = {0};
    int at = row_list(c, 1, 2, o.kernel_size);
    at = row_list(c, at, 2, o.stride);
    at = row_list(c, at, 2, o.padding);
    row_list(c, at, 2, o.output_size);
    return mn_nn_max_unpool2d((int64_t)c->arg[0], c->n_args > 1 ? &o : NULL);
}

/* mode, align_corners, two sizes, two scales. */
static mn_module *make_upsample(const call *c)
{
    mn_nn_upsample_opts o = {.mode = (mn_interpolate_mode)c->arg[0],
                             .align_corners = c->arg[1] != 0,
                             .scale = {c->arg[4], c->arg[5]}};
    row_list(c, 2, 2, o.size);
    return mn_nn_upsample(c->n_args > 0 ? &o : NULL);
}

MODULE(pixel_shuffle, mn_nn_pixel_shuffle((int64_t)a[0]))
MODULE(pixel_unshuffle, mn_nn_pixel_unshuffle((int64_t)a[0]))

const op_row rows_nn_pool[] = {
    {"nn_max_pool1d", .module = make_max_pool1d, .distinct = true},
    {"nn_max_pool2d", .module = make_max_pool2d, .distinct = true},
    {"nn_avg_pool1d", .module = make_avg_pool1d},
    {"nn_avg_pool2d", .module = make_avg_pool2d},
    {"nn_lp_pool1d", .module = make_lp_pool1d, .distinct = true},
    {"nn_lp_pool2d", .module = make_lp_pool2d, .distinct = true},
    {"nn_adaptive_avg_pool1d", .module = make_adaptive_avg_pool1d},
    {"nn_adaptive_avg_pool2d", .module = make_adaptive_avg_pool2d},
    {"nn_adaptive_max_pool1d", .module = make_adaptive_max_pool1d, .distinct = true},
    {"nn_adaptive_max_pool2d", .module = make_adaptive_max_pool2d, .distinct = true},
    {"nn_max_unpool2d", .module = make_max_unpool2d},
    {"nn_upsample", .module = make_upsample},
    {"nn_pixel_shuffle", .module = make_pixel_shuffle},
    {"nn_pixel_unshuffle", .module = make_pixel_unshuffle},
    {0},
};
