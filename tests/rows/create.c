/*
 * tests/rows/create.c: the rows of minnow/ops/create.h.
 */
#include "rows/rows.h"

static void call_rand(call *c)
{
    ints shape = row_ints(c, 0);
    c->out[0] = mn_rand(c->t, c->dtype, shape.n, shape.as_i64, &c->rng);
}

static void call_randn(call *c)
{
    ints shape = row_ints(c, 0);
    c->out[0] = mn_randn(c->t, c->dtype, shape.n, shape.as_i64, &c->rng);
}

static void call_randint(call *c)
{
    ints v = row_ints(c, 0);
    c->out[0] = mn_randint(c->t, (mn_dtype)v.as_int[2], v.as_i64[0], v.as_i64[1], v.n - 3,
                           v.as_i64 + 3, &c->rng);
}

/* Argument i, or the case's type for -1. */
static mn_dtype type(const call *c, int i)
{
    return c->arg[i] < 0 ? c->dtype : (mn_dtype)c->arg[i];
}

CALL(eye, mn_eye(t, type(c, 2), (int64_t)a[0], (int64_t)a[1]))
CALL(arange, mn_arange(t, type(c, 3), a[0], a[1], a[2]))
CALL(linspace, mn_linspace(t, type(c, 3), a[0], a[1], (int64_t)a[2]))
CALL(rand_like, mn_rand_like(t, x[0], &c->rng))
CALL(randn_like, mn_randn_like(t, x[0], &c->rng))
CALL(randperm, mn_randperm(t, (int64_t)a[0], &c->rng))
CALL(bernoulli, mn_bernoulli(t, x[0], &c->rng))
CALL(to, mn_to(t, x[0], (mn_dtype)a[0]))

static const char uncomputed[] = "nothing is computed";

const op_row rows_create[] = {
    {"empty", .no_cases = uncomputed},
    {"zeros", .no_cases = uncomputed},
    {"ones", .no_cases = uncomputed},
    {"full", .no_cases = uncomputed},
    {"from", .no_cases = uncomputed},
    {"scalar", .no_cases = uncomputed},
    {"empty_like", .no_cases = uncomputed},
    {"zeros_like", .no_cases = uncomputed},
    {"ones_like", .no_cases = uncomputed},
    {"full_like", .no_cases = uncomputed},
    {"eye", .other = call_eye},
    {"arange", .other = call_arange},
    {"linspace", .other = call_linspace},
    {"rand", .other = call_rand},
    {"rand_like", .other = call_rand_like},
    {"randn", .other = call_randn},
    {"randn_like", .other = call_randn_like},
    {"randint", .other = call_randint},
    {"randperm", .other = call_randperm},
    {"bernoulli", .other = call_bernoulli},
    {"to", .other = call_to},
    {0},
};
