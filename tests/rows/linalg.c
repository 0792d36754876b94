/*
 * tests/rows/linalg.c: the rows of minnow/ops/linalg.h.
 */
#include "rows/rows.h"

CALL(linear, mn_linear(t, x[0], x[1], c->n_in > 2 ? x[2] : MN_NONE))
CALL(bilinear, mn_bilinear(t, x[0], x[1], x[2], c->n_in > 3 ? x[3] : MN_NONE))
CALL(addmm, mn_addmm(t, x[0], x[1], x[2], a[0], a[1]))
CALL(tril, mn_tril(t, x[0], (int64_t)a[0]))
CALL(triu, mn_triu(t, x[0], (int64_t)a[0]))
CALL(diagonal, mn_diagonal(t, x[0], (int64_t)a[0], (int)a[1], (int)a[2]))

/* In the equation of a case _ stands for a space. */
static void call_einsum(call *c)
{
    char equation[sizeof(fixture_args){0}.text];
    size_t i = 0;
    do equation[i] = c->text[i] == '_' ? ' ' : c->text[i];
    while (c->text[i++]);
    c->out[0] = mn_einsum(c->t, equation, c->in, c->n_in);
}

const op_row rows_linalg[] = {
    {"matmul", .binary = mn_matmul},      {"linear", .other = call_linear},
    {"bilinear", .other = call_bilinear}, {"dot", .binary = mn_dot},
    {"outer", .binary = mn_outer},        {"addmm", .other = call_addmm},
    {"einsum", .other = call_einsum},     {"tril", .other = call_tril},
    {"triu", .other = call_triu},         {"diagonal", .other = call_diagonal},
    {"trace", .unary = mn_trace},         {0},
};
