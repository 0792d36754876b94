/*
 * run_minnow.c: minnow's side of the benchmark, written as a user would write it: a net from modules, an
 * optimizer, one tape.
 */
#include "bench.h"
#include "tensor/compute.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

/* ---- the nets ---- */

static mn_module *mlp(void)
{
    return mn_nn_sequential(mn_nn_linear(MLP_IN, MLP_HIDDEN, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(MLP_HIDDEN, CLASSES, NULL));
}

static mn_module *mlp_rrelu(void)
{
    return mn_nn_sequential(mn_nn_linear(MLP_IN, MLP_HIDDEN, NULL),
                            mn_nn_rrelu(MN_RRELU_LOWER, MN_RRELU_UPPER, NULL),
                            mn_nn_linear(MLP_HIDDEN, CLASSES, NULL));
}

static mn_module *mlp3(void)
{
    return mn_nn_sequential(mn_nn_linear(MLP_IN, 512, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(512, 512, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(512, CLASSES, NULL));
}

static mn_module *conv(int64_t in, int64_t out, int64_t kernel)
{
    return mn_nn_conv2d(in, out, kernel, &(mn_nn_conv_opts){.padding_same = true});
}

static mn_module *cnn5(void)
{
    return mn_nn_sequential(conv(1, 16, 5), mn_nn_relu(NULL), mn_nn_max_pool2d(2, NULL),
                            conv(16, 32, 5), mn_nn_relu(NULL), mn_nn_max_pool2d(2, NULL),
                            mn_nn_flatten(), mn_nn_linear(32 * 7 * 7, CLASSES, NULL));
}

static mn_module *cnn3(void)
{
    return mn_nn_sequential(
        conv(1, 32, 3), mn_nn_batch_norm2d(32, NULL), mn_nn_relu(NULL), mn_nn_max_pool2d(2, NULL),
        conv(32, 64, 3), mn_nn_batch_norm2d(64, NULL), mn_nn_relu(NULL), mn_nn_max_pool2d(2, NULL),
        conv(64, 64, 3), mn_nn_batch_norm2d(64, NULL), mn_nn_relu(NULL),
        mn_nn_adaptive_avg_pool2d(1, 1), mn_nn_flatten(), mn_nn_linear(64, CLASSES, NULL));
}

static mn_module *lstm(void)
{
    return mn_nn_module_list(mn_nn_lstm(64, 128, NULL), mn_nn_linear(128, CLASSES, NULL));
}

static mn_module *encoder(void)
{
    return mn_nn_transformer_encoder_layer(128, 4, 512, 0,
                                           &(mn_nn_transformer_opts){.batch_first = true});
}

static mn_module *encoder_dropout(void)
{
    return mn_nn_transformer_encoder_layer(128, 4, 512, 0.1,
                                           &(mn_nn_transformer_opts){.batch_first = true});
}

static mn_tensor *classify(mn_module *net, mn_tape *t, mn_tensor *x, mn_tensor *labels)
{
    return mn_cross_entropy(t, mn_module_forward(net, t, x), labels, NULL);
}

static mn_tensor *classify_last(mn_module *net, mn_tape *t, mn_tensor *x, mn_tensor *labels)
{
    mn_tensor *y_h[2];
    mn_module_call(mn_module_child_at(net, 0), t, &x, 1, y_h, 2);
    return classify(mn_module_child_at(net, 1), t, mn_select(t, y_h[1], 0, 0), labels);
}

static mn_tensor *mean_square(mn_module *net, mn_tape *t, mn_tensor *x, mn_tensor *labels)
{
    (void)labels;
    return mn_mean(t, mn_square(t, mn_module_forward(net, t, x)));
}

typedef struct net {
    const char *name;
    mn_module *(*make)(void); /* NULL: rrelu alone */
    mn_tensor *(*loss)(mn_module *net, mn_tape *t, mn_tensor *x, mn_tensor *labels);
    bool adam; /* with lr 0.001; else SGD */
    int ndim;
    int64_t shape[4]; /* of x; 0: the batch */
} net;

static const net nets[] = {
    {"mlp", mlp, classify, false, 2, {0, MLP_IN}},
    {"mlp_rrelu", mlp_rrelu, classify, false, 2, {0, MLP_IN}},
    {"mlp3", mlp3, classify, true, 2, {0, MLP_IN}},
    {"cnn5", cnn5, classify, false, 4, {0, 1, 28, 28}},
    {"cnn3", cnn3, classify, false, 4, {0, 1, 28, 28}},
    {"lstm", lstm, classify_last, false, 3, {32, 0, 64}},
    {"encoder", encoder, mean_square, false, 3, {0, 64, 128}},
    {"encoder_dropout", encoder_dropout, mean_square, false, 3, {0, 64, 128}},
    {.name = "rrelu", .ndim = 1},
};

/* ---- training one ---- */

static struct {
    const net *kind;
    mn_tape *tape;
    mn_module *net;
    mn_optim *optim;
    mn_tensor *x, *target; /* target: the labels, or the gradient of rrelu's output */
    mn_rng rng;
} mine;

static void minnow_close(contender *c)
{
    (void)c;
    mn_optim_free(mine.optim);
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

/* A weight comes before its bias. One of one dimension is that of a norm: near 1. */
static void fill_parameters(mn_module *m)
{
    mn_named_tensor list[16];
    const int n = mn_module_parameters(m, list, 16);
    float bound = 0;
    for (int i = 0; i < n; i++) {
        mn_tensor *p = list[i].tensor;
        const bool weight = strstr(list[i].name, "weight"), norm = mn_tensor_ndim(p) == 1;
        const float centre = weight && norm ? 1 : 0;
        if (weight)
            bound = norm ? 0.5f : 1 / sqrtf((float)(mn_tensor_numel(p) / mn_tensor_size(p, 0)));
        fill(p, SEED_W1 + (uint32_t)i, centre - bound, centre + bound);
    }
}

static void open_net(int64_t n)
{
    const net *k = mine.kind;
    mine.net = k->make();
    mn_module_init(mine.net, 1);
    fill_parameters(mine.net);
    mine.optim = k->adam ? mn_optim_adam(mine.net, 0.001, 0.9, 0.999, NULL)
                         : mn_optim_sgd(mine.net, SGD_LR, NULL);
    int64_t shape[4];
    for (int i = 0; i < k->ndim; i++) shape[i] = k->shape[i] ? k->shape[i] : n;
    mine.x = mn_tensor_empty(MN_F32, k->ndim, shape);
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

static opened minnow_open(contender *c, const work *w, int threads)
{
    mn_clear_last_error();
    for (mine.kind = nets; strcmp(mine.kind->name, w->net) != 0;) mine.kind++;
    mine.tape = mn_tape_new(&(mn_tape_opts){.threads = threads});
    if (mine.kind->make)
        open_net(w->n);
    else
        open_rrelu(w->n);
    if (mn_last_error() == MN_OK) return OPEN_READY;
    fprintf(stderr, "bench: minnow: %s\n", mn_last_message());
    minnow_close(c);
    return OPEN_FAILED;
}

static double step(bool want_loss)
{
    double value = NAN;
    mn_tape *t = mine.tape;
    if (mine.net) {
        mn_tensor *loss = mine.kind->loss(mine.net, t, mine.x, mine.target);
        mn_optim_zero_grad(mine.optim);
        mn_backward(t, loss);
        mn_optim_step(mine.optim, t);
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

static double minnow_loss(contender *c, int steps)
{
    (void)c;
    double loss = NAN;
    for (int i = 0; i < steps; i++) loss = step(true);
    return checked(loss);
}

static double minnow_run(contender *c, int steps)
{
    (void)c;
    double start = now_ns();
    for (int i = 0; i < steps; i++) step(false);
    return checked(now_ns() - start);
}

double minnow_arithmetic(void)
{
    if (!mine.net) return 0;
    mn_tape *t = mine.tape;
    const int64_t before = mn_tape_stats(t).multiply_adds;
    mine.kind->loss(mine.net, t, mine.x, mine.target);
    const double forward = (double)(mn_tape_stats(t).multiply_adds - before);
    mn_tape_reset(t);
    /* Each product has two gradients; but nobody wants that of x, which the first weight would give. */
    mn_named_tensor first;
    mn_module_parameters(mine.net, &first, 1);
    const int64_t channels = mn_tensor_size(mine.x, mine.kind->ndim == 4 ? 1 : -1);
    const double unwanted =
        (double)mn_tensor_numel(first.tensor) * (double)(mn_tensor_numel(mine.x) / channels);
    return 2 * (3 * forward - unwanted);
}

contender contender_minnow(void)
{
    contender c = {.title = "minnow",
                   .open = minnow_open,
                   .loss = minnow_loss,
                   .run = minnow_run,
                   .close = minnow_close};
    snprintf(c.version, sizeof c.version, "minnow %s, %s kernels, BLAS: %s", MN_VERSION,
             mni_kernels()->name, mni_blas_name());
    return c;
}
