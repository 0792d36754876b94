/*
 * tests/rows/nn_dropout.c: the rows of minnow/nn/dropout.h.
 */
#include "rows/rows.h"

MODULE(dropout, mn_nn_dropout(a[0]))

const op_row rows_nn_dropout[] = {
    {"nn_dropout", .module = make_dropout},
    {0},
};
