/*
 * tests/rows/reduce.c: the rows of minnow/ops/reduce.h.
 */
#include "rows/rows.h"

CALL(max_dim, mn_max_dim(t, x[0], (int)a[0], a[1] != 0, &c->out[1]))
CALL(argmax_dim, mn_argmax_dim(t, x[0], (int)a[0], a[1] != 0))

const op_row rows_reduce[] = {
    {"sum", .unary = mn_sum},
    {"mean", .unary = mn_mean},
    {"sum_dim", .dims = mn_sum_dim},
    {"mean_dim", .dims = mn_mean_dim},
    {"max", .unary = mn_max, .distinct = true},
    {"max_dim", .other = call_max_dim, .distinct = true},
    {"argmax", .unary = mn_argmax},
    {"argmax_dim", .other = call_argmax_dim},
    {0},
};
