/*
 * tests/rows/activation.c: the rows of minnow/ops/activation.h.
 */
#include "rows/rows.h"

CALL(threshold, mn_threshold(t, x[0], a[0], a[1]))
CALL(hardtanh, mn_hardtanh(t, x[0], a[0], a[1]))

/* The in-place forms overwrite a copy: a leaf that requires grad may not be. */
CALL(relu_, mn_relu_(t, mn_clone(t, x[0])))
CALL(leaky_relu_, mn_leaky_relu_(t, mn_clone(t, x[0]), a[0]))
CALL(threshold_, mn_threshold_(t, mn_clone(t, x[0]), a[0], a[1]))
CALL(hardtanh_, mn_hardtanh_(t, mn_clone(t, x[0]), a[0], a[1]))
CALL(relu6_, mn_relu6_(t, mn_clone(t, x[0])))
CALL(hardsigmoid_, mn_hardsigmoid_(t, mn_clone(t, x[0])))
CALL(hardswish_, mn_hardswish_(t, mn_clone(t, x[0])))
CALL(elu_, mn_elu_(t, mn_clone(t, x[0]), a[0]))
CALL(selu_, mn_selu_(t, mn_clone(t, x[0])))
CALL(celu_, mn_celu_(t, mn_clone(t, x[0]), a[0]))
CALL(silu_, mn_silu_(t, mn_clone(t, x[0])))
CALL(mish_, mn_mish_(t, mn_clone(t, x[0])))

/* The slopes are a second call, which has its own refusals. */
static void with_slopes(call *c)
{
    c->out[1] = mn_rrelu_slopes(c->t, c->out[0]);
    if (!c->out[1]) c->out[0] = NULL;
}

static void call_rrelu(call *c)
{
    c->out[0] = mn_rrelu(c->t, c->in[0], c->arg[0], c->arg[1], c->arg[2] != 0, &c->rng);
    with_slopes(c);
}

static void call_rrelu_(call *c)
{
    mn_tensor *x = mn_clone(c->t, c->in[0]);
    c->out[0] = mn_rrelu_(c->t, x, c->arg[0], c->arg[1], c->arg[2] != 0, &c->rng);
    with_slopes(c);
}

static void call_rrelu_with(call *c)
{
    unsigned bits = (unsigned)c->arg[3];
    mn_rrelu_opts opts = {.inplace = bits & 1,
                          .divisor = (bits & 2) != 0,
                          .per_channel = (bits & 4) != 0,
                          .recompute = (bits & 8) != 0};
    mn_tensor *x = opts.inplace ? mn_clone(c->t, c->in[0]) : c->in[0];
    c->out[0] = mn_rrelu_with(c->t, x, c->arg[0], c->arg[1], c->arg[2] != 0, &c->rng, &opts);
    with_slopes(c);
}

CALL(dropout, mn_dropout(t, x[0], a[0], a[1] != 0, &c->rng))
CALL(dropout1d, mn_dropout1d(t, x[0], a[0], a[1] != 0, &c->rng))
CALL(dropout2d, mn_dropout2d(t, x[0], a[0], a[1] != 0, &c->rng))
CALL(alpha_dropout, mn_alpha_dropout(t, x[0], a[0], a[1] != 0, &c->rng))

const op_row rows_activation[] = {
    {"relu", .unary = mn_relu},
    {"leaky_relu", .scalar = mn_leaky_relu},
    {"relu_", .other = call_relu_},
    {"leaky_relu_", .other = call_leaky_relu_},
    {"threshold", .other = call_threshold},
    {"threshold_", .other = call_threshold_},
    {"hardtanh", .other = call_hardtanh},
    {"hardtanh_", .other = call_hardtanh_},
    {"relu6", .unary = mn_relu6},
    {"relu6_", .other = call_relu6_},
    {"hardsigmoid", .unary = mn_hardsigmoid},
    {"hardsigmoid_", .other = call_hardsigmoid_},
    {"hardswish", .unary = mn_hardswish},
    {"hardswish_", .other = call_hardswish_},
    {"hardshrink", .scalar = mn_hardshrink},
    {"softshrink", .scalar = mn_softshrink},
    {"elu", .scalar = mn_elu},
    {"elu_", .other = call_elu_},
    {"selu", .unary = mn_selu},
    {"selu_", .other = call_selu_},
    {"celu", .scalar = mn_celu},
    {"celu_", .other = call_celu_},
    {"silu", .unary = mn_silu},
    {"silu_", .other = call_silu_},
    {"mish", .unary = mn_mish},
    {"mish_", .other = call_mish_},
    {"gelu", .unary = mn_gelu},
    {"gelu_tanh", .unary = mn_gelu_tanh},
    {"softsign", .unary = mn_softsign},
    {"tanhshrink", .unary = mn_tanhshrink},
    {"glu", .scalar_dim = mn_glu},
    {"prelu", .binary = mn_prelu},
    {"rrelu", .other = call_rrelu},
    {"rrelu_", .other = call_rrelu_},
    {"rrelu_with", .other = call_rrelu_with},
    {"rrelu_slopes", .no_cases = "the second output of every case of rrelu"},
    {"softmax", .scalar_dim = mn_softmax},
    {"softmin", .scalar_dim = mn_softmin},
    {"log_softmax", .scalar_dim = mn_log_softmax},
    {"dropout", .other = call_dropout},
    {"dropout1d", .other = call_dropout1d},
    {"dropout2d", .other = call_dropout2d},
    {"alpha_dropout", .other = call_alpha_dropout},
    {0},
};
