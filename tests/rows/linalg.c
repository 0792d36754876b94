/*
 * tests/rows/linalg.c: the rows of minnow/ops/linalg.h.
 */
#include "rows/rows.h"

CALL(linear, mn_linear(t, x[0], x[1], c->n_in > 2 ? x[2] : MN_NONE))

const op_row rows_linalg[] = {
    {"matmul", .binary = mn_matmul},
    {"linear", .other = call_linear},
    {0},
};
