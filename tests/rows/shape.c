/*
 * tests/rows/shape.c: the rows of minnow/ops/shape.h.
 */
#include "rows/rows.h"

static void call_reshape(call *c)
{
    ints shape = row_ints(c, 0);
    c->out[0] = mn_reshape(c->t, c->in[0], shape.n, shape.as_i64);
}

static void call_expand(call *c)
{
    ints shape = row_ints(c, 0);
    c->out[0] = mn_expand(c->t, c->in[0], shape.n, shape.as_i64);
}

CALL(flatten, mn_flatten(t, x[0], (int)a[0], (int)a[1]))
CALL(transpose, mn_transpose(t, x[0], (int)a[0], (int)a[1]))
CALL(permute, mn_permute(t, x[0], row_ints(c, 0).as_int))
CALL(narrow, mn_narrow(t, x[0], (int)a[0], (int64_t)a[1], (int64_t)a[2]))
CALL(cat, mn_cat(t, x, c->n_in, (int)a[0]))

const op_row rows_shape[] = {
    {"reshape", .other = call_reshape},
    {"flatten", .other = call_flatten},
    {"transpose", .other = call_transpose},
    {"permute", .other = call_permute},
    {"expand", .other = call_expand},
    {"narrow", .other = call_narrow},
    {"cat", .other = call_cat},
    {"contiguous", .unary = mn_contiguous},
    {"clone", .unary = mn_clone},
    {0},
};
