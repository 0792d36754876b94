/*
 * tests/rows/unary.c: the rows of minnow/ops/unary.h.
 */
#include "rows/rows.h"

const op_row rows_unary[] = {
    {"neg", .unary = mn_neg},
    {"exp", .unary = mn_exp},
    {"log", .unary = mn_log},
    {"sqrt", .unary = mn_sqrt},
    {"sigmoid", .unary = mn_sigmoid},
    {"tanh", .unary = mn_tanh},
    {0},
};
