/*
 * steps.c: ten small training steps, for counting their instructions: `steps NAME N` makes N of the step of
 * that name, `steps` lists the names. See check_instructions.sh.
 */
#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct work {
    mn_tape *t;
    mn_module *net;
    mn_tensor *x, *target; /* target: labels; NULL: the loss is the mean of squares */
    mn_optim *o;
} work;

/* ---- nets, each with its x ---- */

static mn_module *mlp(int64_t n, mn_module *activation, mn_tensor **x)
{
    *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){n, 784});
    return mn_nn_sequential(mn_nn_linear(784, 64, NULL), activation, mn_nn_linear(64, 10, NULL));
}

static mn_module *mlp_1(mn_tensor **x)
{
    return mlp(1, mn_nn_relu(NULL), x);
}

static mn_module *mlp_16(mn_tensor **x)
{
    return mlp(16, mn_nn_relu(NULL), x);
}

static mn_module *mlp_rrelu(mn_tensor **x)
{
    return mlp(16, mn_nn_rrelu(MN_RRELU_LOWER, MN_RRELU_UPPER, NULL), x);
}

static mn_module *deep(mn_tensor **x)
{
    mn_module *layers[16];
    for (int i = 0; i < 16; i++) layers[i] = i % 2 ? mn_nn_tanh() : mn_nn_linear(8, 8, NULL);
    *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){1, 8});
    return mn_nn_sequential_n(layers, 16);
}

static mn_module *cnn(mn_tensor **x)
{
    *x = mn_tensor_empty(MN_F32, 4, (int64_t[]){4, 1, 28, 28});
    return mn_nn_sequential(mn_nn_conv2d(1, 8, 5, NULL), mn_nn_relu(NULL),
                            mn_nn_max_pool2d(2, NULL), mn_nn_flatten(),
                            mn_nn_linear(8 * 144, 10, NULL));
}

static mn_module *cnn_norm(mn_tensor **x)
{
    const mn_nn_conv_opts same = {.padding_same = true};
    *x = mn_tensor_empty(MN_F32, 4, (int64_t[]){4, 8, 14, 14});
    return mn_nn_sequential(mn_nn_conv2d(8, 16, 3, &same), mn_nn_batch_norm2d(16, NULL),
                            mn_nn_relu(NULL), mn_nn_adaptive_avg_pool2d(1, 1), mn_nn_flatten(),
                            mn_nn_linear(16, 10, NULL));
}

static mn_module *lstm(mn_tensor **x)
{
    *x = mn_tensor_empty(MN_F32, 3, (int64_t[]){8, 4, 16});
    return mn_nn_lstm(16, 32, NULL);
}

static mn_module *gru(mn_tensor **x)
{
    *x = mn_tensor_empty(MN_F32, 3, (int64_t[]){8, 4, 16});
    return mn_nn_gru(16, 32, NULL);
}

static mn_module *encoder(mn_tensor **x)
{
    *x = mn_tensor_empty(MN_F32, 3, (int64_t[]){16, 2, 32});
    return mn_nn_transformer_encoder_layer(32, 4, 64, 0.1, NULL);
}

static mn_optim *sgd(mn_module *m)
{
    return mn_optim_sgd(m, 0.01, NULL);
}

static mn_optim *momentum(mn_module *m)
{
    return mn_optim_sgd(m, 0.01, &(mn_optim_sgd_opts){.momentum = 0.9});
}

static mn_optim *adamw(mn_module *m)
{
    return mn_optim_adamw(m, 1e-3, 0.9, 0.999, 0.01, NULL);
}

static const struct {
    const char *name;
    mn_module *(*net)(mn_tensor **x);
    mn_optim *(*optim)(mn_module *m);
    bool labels;
} steps[] = {{"mlp_1", mlp_1, sgd, true},        {"mlp_16", mlp_16, sgd, true},
             {"mlp_adamw", mlp_16, adamw, true}, {"mlp_rrelu", mlp_rrelu, momentum, true},
             {"deep", deep, sgd, false},         {"cnn", cnn, sgd, true},
             {"cnn_norm", cnn_norm, sgd, true},  {"lstm", lstm, sgd, false},
             {"gru", gru, sgd, false},           {"encoder", encoder, sgd, false}};

static void step(const work *w)
{
    mn_tensor *y = mn_module_forward(w->net, w->t, w->x);
    mn_tensor *loss =
        w->target ? mn_cross_entropy(w->t, y, w->target, NULL) : mn_mean(w->t, mn_square(w->t, y));
    mn_optim_zero_grad(w->o);
    mn_backward(w->t, loss);
    mn_optim_step(w->o, w->t);
    mn_tape_reset(w->t);
}

static int run(size_t k, long n)
{
    work w = {.t = mn_tape_new(NULL)};
    mn_rng rng = mn_rng_make(1, 1);
    w.net = steps[k].net(&w.x);
    mn_module_init(w.net, 1);
    mn_tensor_uniform(w.x, -1, 1, &rng);
    w.o = steps[k].optim(w.net);
    if (steps[k].labels) {
        const int64_t batch = mn_tensor_size(w.x, 0);
        w.target = mn_tensor_zeros(MN_I64, 1, &batch);
    }
    for (long i = 0; i < n; i++) step(&w);
    const int failed = mn_tape_error(w.t) != MN_OK;
    if (failed) fprintf(stderr, "%s: %s\n", steps[k].name, mn_tape_message(w.t));
    mn_optim_free(w.o);
    mn_module_free(w.net);
    mn_release(w.x);
    mn_release(w.target);
    mn_tape_free(w.t);
    return failed;
}

int main(int argc, char **argv)
{
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        if (argc < 3)
            puts(steps[k].name);
        else if (strcmp(argv[1], steps[k].name) == 0)
            return run(k, strtol(argv[2], NULL, 10));
    }
    return argc < 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
