/*
 * tests/rows/nn_conv.c: the rows of minnow/nn/conv.h.
 */
#include "rows/rows.h"

/* Arguments: channels, kernel_size; then kernel, stride, padding and dilation, one for each
 * dimension; groups, padding_same, padding_mode, no_bias. */
static mn_module *make_conv(const call *c, int dims)
{
    mn_module *(*const make[])(int64_t, int64_t, int64_t, const mn_nn_conv_opts *) = {
        mn_nn_conv1d, mn_nn_conv2d, mn_nn_conv3d};
    const double *a = c->arg;
    mn_nn_conv_opts o = {0};
    int at = row_list(c, 3, dims, o.kernel_size);
    at = row_list(c, at, dims, o.stride);
    at = row_list(c, at, dims, o.padding);
    at = row_list(c, at, dims, o.dilation);
    o.groups = (int64_t)a[at];
    o.padding_same = a[at + 1] != 0;
    o.padding_mode = (mn_pad_mode)a[at + 2];
    o.no_bias = a[at + 3] != 0;
    return make[dims - 1]((int64_t)a[0], (int64_t)a[1], (int64_t)a[2], c->n_args > 3 ? &o : NULL);
}

/* The same with output_padding behind padding, and without padding_same and padding_mode. */
static mn_module *make_transpose(const call *c, int dims)
{
    mn_module *(*const make[])(int64_t, int64_t, int64_t, const mn_nn_conv_transpose_opts *) = {
        mn_nn_conv_transpose1d, mn_nn_conv_transpose2d};
    const double *a = c->arg;
    mn_nn_conv_transpose_opts o = {0};
    int at = row_list(c, 3, dims, o.kernel_size);
    at = row_list(c, at, dims, o.stride);
    at = row_list(c, at, dims, o.padding);
    at = row_list(c, at, dims, o.output_padding);
    at = row_list(c, at, dims, o.dilation);
    o.groups = (int64_t)a[at];
    o.no_bias = a[at + 1] != 0;
    return make[dims - 1]((int64_t)a[0], (int64_t)a[1], (int64_t)a[2], c->n_args > 3 ? &o : NULL);
}

MODULE(conv1d, make_conv(c, 1))
MODULE(conv2d, make_conv(c, 2))
MODULE(conv3d, make_conv(c, 3))
MODULE(conv_transpose1d, make_transpose(c, 1))
MODULE(conv_transpose2d, make_transpose(c, 2))

/* Arguments from `first` on: kernel_size; then kernel, stride, padding, dilation. */
static const mn_nn_unfold_opts *unfold_opts(const call *c, int first, mn_nn_unfold_opts *o)
{
    int at = row_list(c, first + 1, 2, o->kernel_size);
    at = row_list(c, at, 2, o->stride);
    at = row_list(c, at, 2, o->padding);
    row_list(c, at, 2, o->dilation);
    return c->n_args > first + 1 ? o : NULL;
}

MODULE(unfold, mn_nn_unfold((int64_t)a[0], unfold_opts(c, 0, &(mn_nn_unfold_opts){0})))
MODULE(fold, mn_nn_fold((int64_t)a[0], (int64_t)a[1], (int64_t)a[2],
                        unfold_opts(c, 2, &(mn_nn_unfold_opts){0})))

const op_row rows_nn_conv[] = {
    {"nn_conv1d", .module = make_conv1d},
    {"nn_conv2d", .module = make_conv2d},
    {"nn_conv3d", .module = make_conv3d},
    {"nn_conv_transpose1d", .module = make_conv_transpose1d},
    {"nn_conv_transpose2d", .module = make_conv_transpose2d},
    {"nn_unfold", .module = make_unfold},
    {"nn_fold", .module = make_fold},
    {0},
};
