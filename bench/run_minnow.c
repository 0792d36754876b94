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

/* Parameters come in pairs, a weight and its bias. */
static void fill_parameters(mn_module *net)
{
    mn_named_tensor list[6];
    const int n = mn_module_parameters(net, list, 6);
    float bound = 0;
    for (int i = 0; i < n; i++) {
        const mn_tensor *p = list[i].tensor;
        if (i % 2 == 0) bound = 1 / sqrtf((float)(mn_tensor_numel(p) / mn_tensor_size(p, 0)));
        fill(list[i].tensor, SEED_W1 + (uint32_t)i, -bound, bound);
    }
}

static mn_module *mlp(void)
{
    return mn_nn_sequential(mn_nn_linear(MLP_IN, MLP_HIDDEN, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(MLP_HIDDEN, MLP_OUT, NULL));
}

static mn_module *cnn(void)
{
    const int side = CNN_SIDE / 4;
    const mn_nn_conv_opts same = {.padding = {CNN_KERNEL / 2, CNN_KERNEL / 2}};
    return mn_nn_sequential(mn_nn_conv2d(1, CNN_CHANNELS1, CNN_KERNEL, &same), mn_nn_relu(NULL),
                            mn_nn_max_pool2d(2, NULL),
                            mn_nn_conv2d(CNN_CHANNELS1, CNN_CHANNELS2, CNN_KERNEL, &same),
                            mn_nn_relu(NULL), mn_nn_max_pool2d(2, NULL), mn_nn_flatten(),
                            mn_nn_linear(CNN_CHANNELS2 * side * side, MLP_OUT, NULL));
}

static void open_net(work_kind kind, int64_t n)
{
    mine.net = kind == WORK_MLP ? mlp() : cnn();
    fill_parameters(mine.net);
    mine.sgd = mn_optim_sgd(mine.net, MLP_LR, NULL);
    mine.x = kind == WORK_MLP ? mn_tensor_empty(MN_F32, 2, (int64_t[]){n, MLP_IN})
                              : mn_tensor_empty(MN_F32, 4, (int64_t[]){n, 1, CNN_SIDE, CNN_SIDE});
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
    if (w->kind == WORK_RRELU)
        open_rrelu(w->n);
    else
        open_net(w->kind, w->n);
    if (mn_last_error() == MN_OK) return true;
    fprintf(stderr, "bench: minnow: %s\n", mn_last_message());
    minnow_close();
    return false;
}

static double step(bool want_loss)
{
    double value = NAN;
    mn_tape *t = mine.tape;
    if (mine.kind != WORK_RRELU) {
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
