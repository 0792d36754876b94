/*
 * tests/rows/create.c: the rows of minnow/ops/create.h.
 */
#include "rows/rows.h"

static void call_rand(call *c)
{
    ints shape = row_ints(c, 0);
    c->out[0] = mn_rand(c->t, c->dtype, shape.n, shape.as_i64, &c->rng);
}

CALL(to, mn_to(t, x[0], (mn_dtype)a[0]))

static const char uncomputed[] = "nothing is computed";

const op_row rows_create[] = {
    {"empty", .no_cases = uncomputed},
    {"zeros", .no_cases = uncomputed},
    {"ones", .no_cases = uncomputed},
    {"full", .no_cases = uncomputed},
    {"from", .no_cases = uncomputed},
    {"scalar", .no_cases = uncomputed},
    {"empty_like", .no_cases = uncomputed},
    {"zeros_like", .no_cases = uncomputed},
    {"ones_like", .no_cases = uncomputed},
    {"rand", .other = call_rand},
    {"to", .other = call_to},
    {0},
};
