/*
 * tests/rows/conv.c: the rows of minnow/ops/conv.h.
 */
#include "rows/rows.h"

typedef mn_tensor *(*conv_fn)(mn_tape *, mn_tensor *, mn_tensor *, mn_tensor *,
                              const mn_conv_opts *);
typedef mn_tensor *(*transpose_fn)(mn_tape *, mn_tensor *, mn_tensor *, mn_tensor *,
                                   const mn_conv_transpose_opts *);

static mn_tensor *bias(const call *c)
{
    return c->n_in > 2 ? c->in[2] : MN_NONE;
}

/* Arguments: stride, padding and dilation, one for each dimension; groups; padding_same. None of
 * them: NULL. */
static void run_conv(call *c, conv_fn conv, int dims)
{
    const ints v = row_ints(c, 0);
    mn_conv_opts o = {.groups = v.as_i64[3 * dims], .padding_same = v.as_int[3 * dims + 1] != 0};
    for (int d = 0; d < dims; d++) {
        o.stride[d] = v.as_i64[d];
        o.padding[d] = v.as_i64[dims + d];
        o.dilation[d] = v.as_i64[2 * dims + d];
    }
    c->out[0] = conv(c->t, c->in[0], c->in[1], bias(c), v.n ? &o : NULL);
}

/* Arguments: stride, padding, output_padding and dilation, one for each dimension; groups. */
static void run_transpose(call *c, transpose_fn transpose, int dims)
{
    const ints v = row_ints(c, 0);
    mn_conv_transpose_opts o = {.groups = v.as_i64[4 * dims]};
    for (int d = 0; d < dims; d++) {
        o.stride[d] = v.as_i64[d];
        o.padding[d] = v.as_i64[dims + d];
        o.output_padding[d] = v.as_i64[2 * dims + d];
        o.dilation[d] = v.as_i64[3 * dims + d];
    }
    c->out[0] = transpose(c->t, c->in[0], c->in[1], bias(c), v.n ? &o : NULL);
}

static void call_conv1d(call *c)
{
    run_conv(c, mn_conv1d, 1);
}

static void call_conv2d(call *c)
{
    run_conv(c, mn_conv2d, 2);
}

static void call_conv3d(call *c)
{
    run_conv(c, mn_conv3d, 3);
}

static void call_conv_transpose1d(call *c)
{
    run_transpose(c, mn_conv_transpose1d, 1);
}

static void call_conv_transpose2d(call *c)
{
    run_transpose(c, mn_conv_transpose2d, 2);
}

const op_row rows_conv[] = {
    {"conv1d", .other = call_conv1d},
    {"conv2d", .other = call_conv2d},
    {"conv3d", .other = call_conv3d},
    {"conv_transpose1d", .other = call_conv_transpose1d},
    {"conv_transpose2d", .other = call_conv_transpose2d},
    {0},
};
