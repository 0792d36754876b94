/*
 * tests/rows/pointwise.c: the rows of minnow/ops/pointwise.h.
 */
#include "rows/rows.h"

CALL(lerp, mn_lerp(t, x[0], x[1], x[2]))
CALL(lerp_scalar, mn_lerp_scalar(t, x[0], x[1], a[0]))
CALL(addcmul, mn_addcmul(t, x[0], x[1], x[2], a[0]))
CALL(addcdiv, mn_addcdiv(t, x[0], x[1], x[2], a[0]))
CALL(clamp, mn_clamp(t, x[0], a[0], a[1]))
CALL(where, mn_where(t, x[0], x[1], x[2]))
CALL(masked_fill, mn_masked_fill(t, x[0], x[1], a[0]))

/* The in-place forms overwrite a copy: a leaf that requires grad may not be. With one input, it is
 * both operands. */
typedef mn_tensor *(*binary)(mn_tape *, mn_tensor *, mn_tensor *);

static void overwrite(call *c, binary f)
{
    mn_tensor *x = mn_clone(c->t, c->in[0]);
    c->out[0] = f(c->t, x, c->n_in > 1 ? c->in[1] : x);
}

static void call_add_(call *c)
{
    overwrite(c, mn_add_);
}

static void call_sub_(call *c)
{
    overwrite(c, mn_sub_);
}

static void call_mul_(call *c)
{
    overwrite(c, mn_mul_);
}

static void call_div_(call *c)
{
    overwrite(c, mn_div_);
}

static void call_copy_(call *c)
{
    overwrite(c, mn_copy_);
}

static void call_masked_fill_(call *c)
{
    mn_tensor *x = mn_clone(c->t, c->in[0]);
    c->out[0] = mn_masked_fill_(c->t, x, c->n_in > 1 ? c->in[1] : x, c->arg[0]);
}

CALL(add_scalar_, mn_add_scalar_(t, mn_clone(t, x[0]), a[0]))
CALL(mul_scalar_, mn_mul_scalar_(t, mn_clone(t, x[0]), a[0]))
CALL(clamp_, mn_clamp_(t, mn_clone(t, x[0]), a[0], a[1]))
CALL(zero_, mn_zero_(t, mn_clone(t, x[0])))
CALL(fill_, mn_fill_(t, mn_clone(t, x[0]), a[0]))

const op_row rows_pointwise[] = {
    {"add", .binary = mn_add},
    {"sub", .binary = mn_sub},
    {"mul", .binary = mn_mul},
    {"div", .binary = mn_div},
    {"add_scalar", .scalar = mn_add_scalar},
    {"sub_scalar", .scalar = mn_sub_scalar},
    {"rsub_scalar", .scalar = mn_rsub_scalar},
    {"mul_scalar", .scalar = mn_mul_scalar},
    {"div_scalar", .scalar = mn_div_scalar},
    {"rdiv_scalar", .scalar = mn_rdiv_scalar},
    {"lerp", .other = call_lerp},
    {"lerp_scalar", .other = call_lerp_scalar},
    {"addcmul", .other = call_addcmul},
    {"addcdiv", .other = call_addcdiv},
    {"pow", .binary = mn_pow},
    {"pow_scalar", .scalar = mn_pow_scalar},
    {"rpow_scalar", .scalar = mn_rpow_scalar},
    {"atan2", .binary = mn_atan2},
    {"fmod", .binary = mn_fmod},
    {"fmod_scalar", .scalar = mn_fmod_scalar},
    {"remainder", .binary = mn_remainder},
    {"remainder_scalar", .scalar = mn_remainder_scalar},
    {"floor_divide", .binary = mn_floor_divide},
    {"minimum", .binary = mn_minimum},
    {"maximum", .binary = mn_maximum},
    {"clamp", .other = call_clamp},
    {"where", .other = call_where},
    {"masked_fill", .other = call_masked_fill},
    {"eq", .binary = mn_eq},
    {"ne", .binary = mn_ne},
    {"gt", .binary = mn_gt},
    {"ge", .binary = mn_ge},
    {"lt", .binary = mn_lt},
    {"le", .binary = mn_le},
    {"eq_scalar", .scalar = mn_eq_scalar},
    {"ne_scalar", .scalar = mn_ne_scalar},
    {"gt_scalar", .scalar = mn_gt_scalar},
    {"ge_scalar", .scalar = mn_ge_scalar},
    {"lt_scalar", .scalar = mn_lt_scalar},
    {"le_scalar", .scalar = mn_le_scalar},
    {"logical_and", .binary = mn_logical_and},
    {"logical_or", .binary = mn_logical_or},
    {"logical_xor", .binary = mn_logical_xor},
    {"logical_not", .unary = mn_logical_not},
    {"add_", .other = call_add_},
    {"sub_", .other = call_sub_},
    {"mul_", .other = call_mul_},
    {"div_", .other = call_div_},
    {"add_scalar_", .other = call_add_scalar_},
    {"mul_scalar_", .other = call_mul_scalar_},
    {"clamp_", .other = call_clamp_},
    {"masked_fill_", .other = call_masked_fill_},
    {"zero_", .other = call_zero_},
    {"fill_", .other = call_fill_},
    {"copy_", .other = call_copy_},
    {0},
};
