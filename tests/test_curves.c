/*
 * tests/test_curves.c: a whole training run, step by step, against PyTorch: an MLP 20-16-12-5 on four
 * batches of eight, cross entropy, SGD with momentum and weight decay, 100 steps. Weights, batches and
 * slopes come from the Philox stream on both sides; tests/fixtures/curves.txt holds the losses.
 */
#include "fixture.h"

#include <check.h>
#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

enum { INPUTS = 20, CLASSES = 5, BATCH = 8, BATCHES = 4, STEPS = 100 };
static const uint64_t seed = 2024;

static fixture curves;

static mn_module *relu(void)
{
    return mn_nn_relu(NULL);
}

static mn_module *prelu(void)
{
    return mn_nn_prelu(1, 0.25);
}

static mn_module *rrelu_equal(void)
{
    return mn_nn_rrelu(0.25, 0.25, NULL);
}

static mn_module *rrelu(void)
{
    return mn_nn_rrelu(MN_RRELU_LOWER, MN_RRELU_UPPER, NULL);
}

static mn_module *rrelu_inplace(void)
{
    return mn_nn_rrelu(MN_RRELU_LOWER, MN_RRELU_UPPER, &(mn_nn_rrelu_opts){.inplace = true});
}

static mn_module *rrelu_recomputed(void)
{
    return mn_nn_rrelu(MN_RRELU_LOWER, MN_RRELU_UPPER, &(mn_nn_rrelu_opts){.recompute = true});
}

/* Other ways to compute the same function give the same curve. */
static const struct curve {
    const char *name; /* of the case */
    mn_module *(*activation)(void);
} table[] = {
    {"relu", relu},   {"prelu", prelu},         {"rrelu_equal", rrelu_equal},
    {"rrelu", rrelu}, {"rrelu", rrelu_inplace}, {"rrelu", rrelu_recomputed},
};
enum { CURVES = sizeof table / sizeof *table };

static const fixture_case *find(const char *name, mn_dtype dtype)
{
    for (int i = 0; i < curves.n; i++)
        if (strcmp(curves.cases[i].op, name) == 0 && curves.cases[i].dtype == dtype)
            return &curves.cases[i];
    return NULL;
}

/* x ~ U(-1, 1), labels floor(5 u), one draw after the other from one stream. */
static void make_batches(mn_dtype dtype, mn_tensor **x, mn_tensor **labels)
{
    mn_rng rng = mn_rng_make(seed, mn_rng_stream("batches"));
    for (int b = 0; b < BATCHES; b++) {
        x[b] = mn_tensor_empty(dtype, 2, (int64_t[]){BATCH, INPUTS});
        ck_assert_int_eq(mn_tensor_uniform(x[b], -1, 1, &rng), MN_OK);
        mn_tensor *u = mn_tensor_empty(MN_F64, 1, (int64_t[]){BATCH});
        ck_assert_int_eq(mn_tensor_uniform(u, 0, 1, &rng), MN_OK);
        int64_t classes[BATCH];
        for (int64_t i = 0; i < BATCH; i++) classes[i] = (int64_t)(mn_tensor_get(u, &i) * CLASSES);
        labels[b] = mn_tensor_from(MN_I64, 1, (int64_t[]){BATCH}, classes);
        mn_release(u);
    }
}

/* The loss of every step. */
static void train(const struct curve *c, mn_dtype dtype, double *losses)
{
    mn_tensor *x[BATCHES], *labels[BATCHES];
    make_batches(dtype, x, labels);
    mn_module *net = mn_nn_sequential(mn_nn_linear(INPUTS, 16, NULL), c->activation(),
                                      mn_nn_linear(16, 12, NULL), c->activation(),
                                      mn_nn_linear(12, CLASSES, NULL));
    mn_module_to(net, dtype);
    mn_module_init(net, seed);
    mn_optim *sgd =
        mn_optim_sgd(net, 0.05, &(mn_optim_sgd_opts){.momentum = 0.9, .weight_decay = 0.01});
    mn_tape *t = mn_tape_new(NULL);
    for (int step = 0; step < STEPS; step++, mn_tape_reset(t)) {
        mn_tensor *logits = mn_module_forward(net, t, x[step % BATCHES]);
        mn_tensor *loss = mn_cross_entropy(t, logits, labels[step % BATCHES], NULL);
        losses[step] = mn_tensor_item(loss);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
    }
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    for (int b = 0; b < BATCHES; b++) {
        mn_release(x[b]);
        mn_release(labels[b]);
    }
}

START_TEST(loss_curve_is_pytorchs)
{
    const struct curve *c = &table[_i / 2];
    mn_dtype dtype = _i % 2 ? MN_F64 : MN_F32;
    const fixture_case *f = find(c->name, dtype);
    ck_assert_msg(f && f->n_out == 1 && f->out[0].numel == STEPS, "%s has no curve", c->name);
    double losses[STEPS], tolerance = dtype == MN_F32 ? 1e-5 : 1e-12;
    train(c, dtype, losses);
    for (int step = 0; step < STEPS; step++) {
        double want = f->out[0].values[step], off = (losses[step] - want) / want;
        ck_assert_msg(fabs(off) <= tolerance, "%s, step %d: loss %.17g, PyTorch has %.17g", f->path,
                      step, losses[step], want);
    }
    ck_assert_msg(losses[STEPS - 1] < 0.25 * losses[0], "%s did not learn", f->path);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

START_TEST(every_curve_is_compared)
{
    ck_assert_int_gt(curves.n, 0);
    for (int i = 0; i < curves.n; i++) {
        bool used = false;
        for (int k = 0; k < CURVES; k++)
            used = used || strcmp(table[k].name, curves.cases[i].op) == 0;
        ck_assert_msg(used, "%s is not compared", curves.cases[i].path);
    }
}
END_TEST

int main(void)
{
    fixture_read(&curves, MNI_SOURCE_DIR "/tests/fixtures/curves.txt");
    Suite *s = suite_create("curves");
    TCase *tc = tcase_create("curves");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, loss_curve_is_pytorchs, 0, 2 * CURVES);
    tcase_add_test(tc, every_curve_is_compared);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&curves);
    return failed != 0;
}
