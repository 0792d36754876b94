/*
 * tests/rows/order.c: the rows of minnow/ops/order.h.
 */
#include "rows/rows.h"

CALL(max_dim, mn_max_dim(t, x[0], (int)a[0], a[1] != 0, &c->out[1]))
CALL(min_dim, mn_min_dim(t, x[0], (int)a[0], a[1] != 0, &c->out[1]))
CALL(argmax_dim, mn_argmax_dim(t, x[0], (int)a[0], a[1] != 0))
CALL(argmin_dim, mn_argmin_dim(t, x[0], (int)a[0], a[1] != 0))
CALL(sort, mn_sort(t, x[0], (int)a[0], a[1] != 0, &c->out[1]))
CALL(argsort, mn_argsort(t, x[0], (int)a[0], a[1] != 0))
CALL(topk, mn_topk(t, x[0], (int64_t)a[0], (int)a[1], a[2] != 0, &c->out[1]))

const op_row rows_order[] = {
    {"max", .unary = mn_max, .distinct = true},
    {"min", .unary = mn_min, .distinct = true},
    {"amax", .dims = mn_amax, .distinct = true},
    {"amin", .dims = mn_amin, .distinct = true},
    {"max_dim", .other = call_max_dim, .distinct = true},
    {"min_dim", .other = call_min_dim, .distinct = true},
    {"argmax", .unary = mn_argmax},
    {"argmin", .unary = mn_argmin},
    {"argmax_dim", .other = call_argmax_dim},
    {"argmin_dim", .other = call_argmin_dim},
    {"sort", .other = call_sort, .distinct = true},
    {"argsort", .other = call_argsort},
    {"topk", .other = call_topk, .distinct = true},
    {0},
};
