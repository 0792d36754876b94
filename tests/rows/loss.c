/*
 * tests/rows/loss.c: the rows of minnow/ops/loss.h.
 */
#include "rows/rows.h"

const op_row rows_loss[] = {
    {"nll_loss", .loss = mn_nll_loss},
    {"cross_entropy", .loss = mn_cross_entropy},
    {"mse_loss", .loss = mn_mse_loss},
    {0},
};
