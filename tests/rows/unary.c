/*
 * tests/rows/unary.c: the rows of minnow/ops/unary.h.
 */
#include "rows/rows.h"

CALL(softplus, mn_softplus(t, x[0], a[0], a[1]))

/* They overwrite a copy: a leaf that requires grad may not be. */
CALL(tanh_, mn_tanh_(t, mn_clone(t, x[0])))
CALL(sigmoid_, mn_sigmoid_(t, mn_clone(t, x[0])))

const op_row rows_unary[] = {
    {"neg", .unary = mn_neg},
    {"abs", .unary = mn_abs},
    {"sign", .unary = mn_sign},
    {"square", .unary = mn_square},
    {"sqrt", .unary = mn_sqrt},
    {"rsqrt", .unary = mn_rsqrt},
    {"reciprocal", .unary = mn_reciprocal},
    {"exp", .unary = mn_exp},
    {"exp2", .unary = mn_exp2},
    {"expm1", .unary = mn_expm1},
    {"log", .unary = mn_log},
    {"log2", .unary = mn_log2},
    {"log10", .unary = mn_log10},
    {"log1p", .unary = mn_log1p},
    {"sin", .unary = mn_sin},
    {"cos", .unary = mn_cos},
    {"tan", .unary = mn_tan},
    {"asin", .unary = mn_asin},
    {"acos", .unary = mn_acos},
    {"atan", .unary = mn_atan},
    {"sinh", .unary = mn_sinh},
    {"cosh", .unary = mn_cosh},
    {"tanh", .unary = mn_tanh},
    {"tanh_", .other = call_tanh_},
    {"asinh", .unary = mn_asinh},
    {"acosh", .unary = mn_acosh},
    {"atanh", .unary = mn_atanh},
    {"sigmoid", .unary = mn_sigmoid},
    {"sigmoid_", .other = call_sigmoid_},
    {"log_sigmoid", .unary = mn_log_sigmoid},
    {"erf", .unary = mn_erf},
    {"softplus", .other = call_softplus},
    {"floor", .unary = mn_floor},
    {"ceil", .unary = mn_ceil},
    {"round", .unary = mn_round},
    {"trunc", .unary = mn_trunc},
    {"isnan", .unary = mn_isnan},
    {"isinf", .unary = mn_isinf},
    {"isfinite", .unary = mn_isfinite},
    {0},
};
