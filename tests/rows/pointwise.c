/*
 * tests/rows/pointwise.c: the rows of minnow/ops/pointwise.h.
 */
#include "rows/rows.h"

const op_row rows_pointwise[] = {
    {"add", .binary = mn_add},
    {"sub", .binary = mn_sub},
    {"mul", .binary = mn_mul},
    {"div", .binary = mn_div},
    {"add_scalar", .scalar = mn_add_scalar},
    {"sub_scalar", .scalar = mn_sub_scalar},
    {"mul_scalar", .scalar = mn_mul_scalar},
    {"div_scalar", .scalar = mn_div_scalar},
    {"eq", .binary = mn_eq},
    {"gt", .binary = mn_gt},
    {"gt_scalar", .scalar = mn_gt_scalar},
    {0},
};
