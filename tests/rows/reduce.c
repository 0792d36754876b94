/*
 * tests/rows/reduce.c: the rows of minnow/ops/reduce.h.
 */
#include "rows/rows.h"

/* arguments: correction, keepdim, dims ... */
static void call_var_dim(call *c)
{
    ints dims = row_ints(c, 2);
    c->out[0] = mn_var_dim(c->t, c->in[0], dims.as_int, dims.n, (int)c->arg[0], c->arg[1] != 0);
}

static void call_std_dim(call *c)
{
    ints dims = row_ints(c, 2);
    c->out[0] = mn_std_dim(c->t, c->in[0], dims.as_int, dims.n, (int)c->arg[0], c->arg[1] != 0);
}

/* arguments: order, keepdim, dims ... */
static void call_norm_dim(call *c)
{
    ints dims = row_ints(c, 2);
    c->out[0] = mn_norm_dim(c->t, c->in[0], c->arg[0], dims.as_int, dims.n, c->arg[1] != 0);
}

const op_row rows_reduce[] = {
    {"sum", .unary = mn_sum},
    {"mean", .unary = mn_mean},
    {"sum_dim", .dims = mn_sum_dim},
    {"mean_dim", .dims = mn_mean_dim},
    {"prod", .unary = mn_prod},
    {"prod_dim", .dims = mn_prod_dim},
    {"var", .scalar_dim = mn_var},
    {"var_dim", .other = call_var_dim},
    {"std", .scalar_dim = mn_std, .distinct = true},
    {"std_dim", .other = call_std_dim, .distinct = true},
    {"norm", .scalar = mn_norm, .distinct = true},
    {"norm_dim", .other = call_norm_dim, .distinct = true},
    {"logsumexp", .unary = mn_logsumexp},
    {"logsumexp_dim", .dims = mn_logsumexp_dim},
    {"any", .unary = mn_any},
    {"any_dim", .dims = mn_any_dim},
    {"all", .unary = mn_all},
    {"all_dim", .dims = mn_all_dim},
    {"count_nonzero", .unary = mn_count_nonzero},
    {"count_nonzero_dim", .dims = mn_count_nonzero_dim},
    {"cumsum", .scalar_dim = mn_cumsum},
    {"cumprod", .scalar_dim = mn_cumprod},
    {0},
};
