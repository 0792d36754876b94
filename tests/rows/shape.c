/*
 * tests/rows/shape.c: the rows of minnow/ops/shape.h.
 */
#include "rows/rows.h"

/* The arguments from number `first` on are a list of 64-bit integers, or of dimensions. */
#define LIST(first) row_ints(c, first).n, row_ints(c, first).as_i64
#define DIMS(first) row_ints(c, first).as_int, row_ints(c, first).n

CALL(reshape, mn_reshape(t, x[0], LIST(0)))
CALL(view, mn_view(t, x[0], LIST(0)))
CALL(flatten, mn_flatten(t, x[0], (int)a[0], (int)a[1]))
CALL(unflatten, mn_unflatten(t, x[0], (int)a[0], LIST(1)))
CALL(transpose, mn_transpose(t, x[0], (int)a[0], (int)a[1]))
CALL(permute, mn_permute(t, x[0], row_ints(c, 0).as_int))
CALL(movedim, mn_movedim(t, x[0], (int)a[0], (int)a[1]))
CALL(expand, mn_expand(t, x[0], LIST(0)))
CALL(narrow, mn_narrow(t, x[0], (int)a[0], (int64_t)a[1], (int64_t)a[2]))
CALL(select, mn_select(t, x[0], (int)a[0], (int64_t)a[1]))
CALL(slice, mn_slice(t, x[0], (int)a[0], (int64_t)a[1], a[2] > 1e18 ? INT64_MAX : (int64_t)a[2],
                     (int64_t)a[3]))
CALL(unfold_dim, mn_unfold_dim(t, x[0], (int)a[0], (int64_t)a[1], (int64_t)a[2]))
CALL(cat, mn_cat(t, x, c->n_in, (int)a[0]))
CALL(stack, mn_stack(t, x, c->n_in, (int)a[0]))
CALL(repeat, mn_repeat(t, x[0], LIST(0)))
CALL(flip, mn_flip(t, x[0], DIMS(0)))

static void call_split(call *c)
{
    mn_split(c->t, c->in[0], (int64_t)c->arg[0], (int)c->arg[1], c->out, 4);
}

static void call_split_sizes(call *c)
{
    ints sizes = row_ints(c, 1);
    mn_split_sizes(c->t, c->in[0], sizes.as_i64, sizes.n, (int)c->arg[0], c->out);
}

static void call_chunk(call *c)
{
    mn_chunk(c->t, c->in[0], (int)c->arg[0], (int)c->arg[1], c->out);
}

/* As many shifts as dims, or one shift alone. */
static void call_roll(call *c)
{
    ints shifts = row_ints(c, 0);
    int n = shifts.n / 2;
    c->out[0] = n ? mn_roll(c->t, c->in[0], shifts.as_i64, shifts.as_int + n, n)
                  : mn_roll(c->t, c->in[0], shifts.as_i64, NULL, shifts.n);
}

static void call_pad(call *c)
{
    ints pads = row_ints(c, 2);
    c->out[0] = mn_pad(c->t, c->in[0], pads.as_i64, pads.n, (mn_pad_mode)c->arg[0], c->arg[1]);
}

/* Stride, padding and dilation of both axes from argument `first` on; none of them: NULL. */
static const mn_unfold_opts *patches(const call *c, int first, mn_unfold_opts *o)
{
    ints v = row_ints(c, first);
    if (v.n == 0) return NULL;
    *o = (mn_unfold_opts){
        {v.as_i64[0], v.as_i64[1]}, {v.as_i64[2], v.as_i64[3]}, {v.as_i64[4], v.as_i64[5]}};
    return o;
}

static void call_unfold(call *c)
{
    mn_unfold_opts o;
    ints v = row_ints(c, 0);
    c->out[0] = mn_unfold(c->t, c->in[0], v.as_i64[0], v.as_i64[1], patches(c, 2, &o));
}

static void call_fold(call *c)
{
    mn_unfold_opts o;
    ints v = row_ints(c, 0);
    c->out[0] = mn_fold(c->t, c->in[0], v.as_i64[0], v.as_i64[1], v.as_i64[2], v.as_i64[3],
                        patches(c, 4, &o));
}

const op_row rows_shape[] = {
    {"reshape", .other = call_reshape},
    {"view", .other = call_view},
    {"view_as", .binary = mn_view_as},
    {"flatten", .other = call_flatten},
    {"unflatten", .other = call_unflatten},
    {"squeeze", .unary = mn_squeeze},
    {"squeeze_dim", .scalar_dim = mn_squeeze_dim},
    {"unsqueeze", .scalar_dim = mn_unsqueeze},
    {"transpose", .other = call_transpose},
    {"permute", .other = call_permute},
    {"movedim", .other = call_movedim},
    {"expand", .other = call_expand},
    {"expand_as", .binary = mn_expand_as},
    {"narrow", .other = call_narrow},
    {"select", .other = call_select},
    {"slice", .other = call_slice},
    {"split", .other = call_split},
    {"split_sizes", .other = call_split_sizes},
    {"chunk", .other = call_chunk},
    {"unfold_dim", .other = call_unfold_dim},
    {"cat", .other = call_cat},
    {"stack", .other = call_stack},
    {"repeat", .other = call_repeat},
    {"contiguous", .unary = mn_contiguous},
    {"clone", .unary = mn_clone},
    {"flip", .other = call_flip},
    {"roll", .other = call_roll},
    {"pad", .other = call_pad},
    {"unfold", .other = call_unfold},
    {"fold", .other = call_fold},
    {0},
};
