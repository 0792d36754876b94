/*
 * tests/test_models.c: whole models trained for 20 steps, against PyTorch's losses from the same weights and
 * batches (fixtures/models.py, in f64, within 1e-9): a convolutional net with batch normalisation, an LSTM of
 * two layers in both directions, a transformer encoder of three.
 */
#include "fixture.h"
#include "support.h"

#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

enum { STEPS = 20, BATCHES = 4, CLASSES = 5 };
static const uint64_t seed = 2024;

static mn_module *cnn(void)
{
    return mn_nn_sequential(
        mn_nn_conv2d(2, 4, 3, &(mn_nn_conv_opts){.padding = {1, 1}}), mn_nn_batch_norm2d(4, NULL),
        mn_nn_relu(NULL), mn_nn_max_pool2d(2, NULL),
        mn_nn_conv2d(4, 6, 3, &(mn_nn_conv_opts){.no_bias = true}), mn_nn_batch_norm2d(6, NULL),
        mn_nn_relu(NULL), mn_nn_adaptive_avg_pool2d(1, 1), mn_nn_flatten(),
        mn_nn_linear(6, CLASSES, NULL));
}

static mn_module *lstm(void)
{
    return mn_nn_sequential(
        mn_nn_lstm(4, 6, &(mn_nn_rnn_opts){.num_layers = 2, .bidirectional = true}),
        mn_nn_linear(12, CLASSES, NULL));
}

static mn_module *transformer(void)
{
    mn_nn_transformer_opts usual = {.batch_first = true};
    mn_nn_transformer_opts other = {
        .batch_first = true, .norm_first = true, .activation = MN_TRANSFORMER_GELU};
    mn_module *layer = mn_nn_transformer_encoder_layer(8, 2, 16, 0, &usual);
    return mn_nn_sequential(mn_nn_transformer_encoder(layer, 2),
                            mn_nn_transformer_encoder_layer(8, 4, 12, 0, &other),
                            mn_nn_linear(8, CLASSES, NULL));
}

static const struct model {
    const char *name; /* of the case */
    mn_module *(*make)(void);
    int ndim;
    int64_t shape[4]; /* of a batch */
    int64_t targets;
} models[] = {
    {"cnn", cnn, 4, {8, 2, 8, 8}, 8},
    {"lstm", lstm, 3, {7, 5, 4}, 35},
    {"transformer", transformer, 3, {3, 7, 8}, 21},
};
enum { MODELS = sizeof models / sizeof *models };

static fixture curves;

/* x ~ U(-1, 1), targets floor(5 u), one draw after the other from one stream. */
static void make_batches(const struct model *m, mn_tensor **x, mn_tensor **targets)
{
    mn_rng rng = mn_rng_make(seed, mn_rng_stream("batches"));
    for (int b = 0; b < BATCHES; b++) {
        int64_t classes[64];
        x[b] = mn_tensor_empty(MN_F64, m->ndim, m->shape);
        ck_assert_int_eq(mn_tensor_uniform(x[b], -1, 1, &rng), MN_OK);
        mn_tensor *u = mn_tensor_empty(MN_F64, 1, &m->targets);
        ck_assert_int_eq(mn_tensor_uniform(u, 0, 1, &rng), MN_OK);
        for (int64_t i = 0; i < m->targets; i++)
            classes[i] = (int64_t)(mn_tensor_get(u, &i) * CLASSES);
        targets[b] = mn_tensor_from(MN_I64, 1, &m->targets, classes);
        mn_release(u);
    }
}

static void train(const struct model *m, int threads, double *losses)
{
    mn_tensor *x[BATCHES], *targets[BATCHES];
    make_batches(m, x, targets);
    mn_module *net = m->make();
    mn_module_to(net, MN_F64);
    ck_assert_msg(mn_module_init(net, seed) == MN_OK, "%s", mn_last_message());
    mn_module_init_matching(net, "*", mn_init_uniform(-0.3, 0.3), seed);
    mn_optim *adam = mn_optim_adam(net, 0.02, 0.9, 0.999, NULL);
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    for (int step = 0; step < STEPS; step++, mn_tape_reset(t)) {
        mn_tensor *y = mn_module_forward(net, t, x[step % BATCHES]);
        y = mn_reshape(t, y, 2, (int64_t[]){m->targets, CLASSES});
        mn_tensor *loss = mn_cross_entropy(t, y, targets[step % BATCHES], NULL);
        losses[step] = mn_tensor_item(loss);
        mn_optim_zero_grad(adam);
        mn_backward(t, loss);
        mn_optim_step(adam, t);
    }
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
    mn_tape_free(t);
    mn_optim_free(adam);
    mn_module_free(net);
    for (int b = 0; b < BATCHES; b++) {
        mn_release(x[b]);
        mn_release(targets[b]);
    }
}

static const fixture_case *find(const char *name)
{
    for (int i = 0; i < curves.n; i++)
        if (strcmp(curves.cases[i].op, name) == 0) return &curves.cases[i];
    return NULL;
}

START_TEST(loss_curves_are_pytorchs)
{
    const struct model *m = &models[_i];
    const fixture_case *f = find(m->name);
    ck_assert_msg(f && f->out[0].numel == STEPS, "%s has no curve", m->name);
    double losses[STEPS], again[STEPS];
    train(m, 1, losses);
    for (int step = 0; step < STEPS; step++) {
        const double want = f->out[0].values[step], off = (losses[step] - want) / want;
        ck_assert_msg(fabs(off) <= f->out[0].tolerance, "%s, step %d: %.17g, PyTorch has %.17g",
                      m->name, step, losses[step], want);
    }
    ck_assert_msg(losses[STEPS - 1] < losses[0], "%s did not learn", m->name);
    train(m, 2, again);
    ck_assert_int_eq(memcmp(losses, again, sizeof losses), 0);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

START_TEST(every_curve_is_compared)
{
    ck_assert_int_eq(curves.n, MODELS);
}
END_TEST

int main(void)
{
    fixture_read(&curves, MNI_SOURCE_DIR "/tests/fixtures/models.txt");
    Suite *s = suite_create("models");
    TCase *tc = tcase_create("models");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, loss_curves_are_pytorchs, 0, MODELS);
    tcase_add_test(tc, every_curve_is_compared);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&curves);
    return failed != 0;
}
