/*
 * run_minnow.c: minnow's side of the benchmark, written as a user would write it: a net from modules, an
 * optimizer, one tape.
 */
#include "bench.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

static struct {
    work_kind kind;
    mn_tape *tape;
    mn_module *net;
    mn_optim *sgd;
    mn_tensor *x, *target; /* target: the labels, or the gradient of rrelu's output */
    mn_rng rng;
} mine;

static void minnow_close(void)
{
    mn_optim_free(mine.sgd);
    mn_module_free(mine.net);
    mn_release(mine.x);
    mn_release(mine.target);
    mn_tape_free(mine.tape);
    memset(&mine, 0, sizeof mine);
}

static void fill(mn_tensor *x, uint32_t seed, float low, float high)
{
    float *data = mn_tensor_mutable_data(x);
    if (data) synth_uniform(data, mn_tensor_numel(x), seed, low, high);
}

static void open_mlp(int64_t n)
{
    mine.net = mn_nn_sequential(mn_nn_linear(MLP_IN, MLP_HIDDEN, NULL), mn_nn_relu(NULL),
                                mn_nn_linear(MLP_HIDDEN, MLP_OUT, NULL));
    fill(mn_module_get(mine.net, "0.weight"), SEED_W1, -MLP_BOUND1, MLP_BOUND1);
    fill(mn_module_get(mine.net, "0.bias"), SEED_B1, -MLP_BOUND1, MLP_BOUND1);
    fill(mn_module_get(mine.net, "2.weight"), SEED_W2, -MLP_BOUND2, MLP_BOUND2);
    fill(mn_module_get(mine.net, "2.bias"), SEED_B2, -MLP_BOUND2, MLP_BOUND2);
    mine.sgd = mn_optim_sgd(mine.net, MLP_LR, NULL);
    mine.x = mn_tensor_empty(MN_F32, 2, (int64_t[]){n, MLP_IN});
    fill(mine.x, SEED_X, 0, 1);
    mine.target = mn_tensor_empty(MN_I64, 1, &n);
    int64_t *labels = mn_tensor_mutable_data(mine.target);
    if (labels) synth_labels(labels, n);
}

static void open_rrelu(int64_t n)
{
    mine.rng = mn_rng_make(1, 0);
    mine.x = mn_parameter(MN_F32, 1, &n);
    fill(mine.x, SEED_X, -1, 1);
    mine.target = mn_tensor_empty(MN_F32, 1, &n);
    fill(mine.target, SEED_GY, 0, 1);
}

static bool minnow_open(const work *w, int threads)
{
    mn_clear_last_error();
    mine.kind = w->kind;
    mine.tape = mn_tape_new(&(mn_tape_opts){.threads = threads});
    if (w->kind == WORK_MLP)
        open_mlp(w->n);
    else
        open_rrelu(w->n);
    if (mn_last_error() == MN_OK) return true;
    fprintf(stderr, "bench: minnow: %s\n", mn_last_message());
    minnow_close();
    return false;
}

static double step(bool want_loss)
{
    double value = NAN;
    mn_tape *t = mine.tape;
    if (mine.kind == WORK_MLP) {
        mn_tensor *loss =
            mn_cross_entropy(t, mn_module_forward(mine.net, t, mine.x), mine.target, NULL);
        mn_optim_zero_grad(mine.sgd);
        mn_backward(t, loss);
        mn_optim_step(mine.sgd, t);
        if (want_loss) value = mn_tensor_item(loss);
    } else {
        mn_tensor *y = mn_rrelu(t, mine.x, MN_RRELU_LOWER, MN_RRELU_UPPER, true, &mine.rng);
        mn_tensor_zero_grad(mine.x);
        mn_backward_from(t, &y, 1, &(mn_backward_opts){.cotangents = &mine.target});
    }
    mn_tape_reset(t);
    return value;
}

/* value, or NAN with the reason on stderr when a step failed. */
static double checked(double value)
{
    if (mn_tape_error(mine.tape) == MN_OK) return value;
    fprintf(stderr, "bench: minnow: %s\n", mn_tape_message(mine.tape));
    return NAN;
}

static double minnow_loss(int steps)
{
    double loss = NAN;
    for (int i = 0; i < steps; i++) loss = step(true);
    return checked(loss);
}

static double minnow_run(int steps)
{
    double start = now_ns();
    for (int i = 0; i < steps; i++) step(false);
    return checked(now_ns() - start);
}

contender contender_minnow(void)
{
    return (contender){.title = "minnow",
                       .open = minnow_open,
                       .loss = minnow_loss,
                       .run = minnow_run,
                       .close = minnow_close};
}
