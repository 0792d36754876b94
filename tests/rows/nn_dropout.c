/*
 * tests/rows/nn_dropout.c: the rows of minnow/nn/dropout.h.
 */
#include "rows/rows.h"

MODULE(dropout, mn_nn_dropout(a[0]))
MODULE(dropout1d, mn_nn_dropout1d(a[0]))
MODULE(dropout2d, mn_nn_dropout2d(a[0]))
MODULE(alpha_dropout, mn_nn_alpha_dropout(a[0]))

const op_row rows_nn_dropout[] = {
    {"nn_dropout", .module = make_dropout},
    {"nn_dropout1d", .module = make_dropout1d},
    {"nn_dropout2d", .module = make_dropout2d},
    {"nn_alpha_dropout", .module = make_alpha_dropout},
    {0},
};
