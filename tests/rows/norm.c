/*
 * tests/rows/norm.c: the rows of minnow/ops/norm.h.
 */
#include "rows/rows.h"

/* An input that the case may leave out. */
static mn_tensor *maybe(const call *c, int i)
{
    return i < c->n_in ? c->in[i] : MN_NONE;
}

/* Arguments: eps, normalised shape ... */
static void call_layer_norm(call *c)
{
    const ints shape = row_ints(c, 1);
    c->out[0] =
        mn_layer_norm(c->t, c->in[0], shape.n, shape.as_i64, maybe(c, 1), maybe(c, 2), c->arg[0]);
}

static void call_rms_norm(call *c)
{
    const ints shape = row_ints(c, 1);
    c->out[0] = mn_rms_norm(c->t, c->in[0], shape.n, shape.as_i64, maybe(c, 1), c->arg[0]);
}

CALL(group_norm, mn_group_norm(t, x[0], (int64_t)a[1], maybe(c, 1), maybe(c, 2), a[0]))

typedef mn_tensor *(*channel_norm)(mn_tape *, mn_tensor *, mn_tensor *, mn_tensor *, mn_tensor *,
                                   mn_tensor *, bool, double, double);

/* Inputs: x, running mean and variance, weight and bias. Arguments: eps, with x's own statistics,
 * momentum. The running ones, as they are afterwards, are outputs, where they were there. */
static void run(call *c, channel_norm norm)
{
    mn_tensor *running[2];
    for (int i = 0; i < 2; i++)
        running[i] = maybe(c, 1 + i) == MN_NONE || !maybe(c, 1 + i) ? maybe(c, 1 + i)
                                                                    : mn_clone(c->t, c->in[1 + i]);
    c->out[0] = norm(c->t, c->in[0], running[0], running[1], maybe(c, 3), maybe(c, 4),
                     c->arg[1] != 0, c->arg[2], c->arg[0]);
    for (int i = 0; i < 2 && c->out[0] && c->f->n_out > 1; i++) c->out[1 + i] = running[i];
}

static void call_batch_norm(call *c)
{
    run(c, mn_batch_norm);
}

static void call_instance_norm(call *c)
{
    run(c, mn_instance_norm);
}

CALL(normalize, mn_normalize(t, x[0], a[0], (int)a[1], a[2]))
CALL(local_response_norm, mn_local_response_norm(t, x[0], (int64_t)a[0], a[1], a[2], a[3]))

const op_row rows_norm[] = {
    {"layer_norm", .other = call_layer_norm},
    {"rms_norm", .other = call_rms_norm},
    {"group_norm", .other = call_group_norm},
    {"batch_norm", .other = call_batch_norm},
    {"instance_norm", .other = call_instance_norm},
    {"normalize", .other = call_normalize},
    {"local_response_norm", .other = call_local_response_norm},
    {0},
};
