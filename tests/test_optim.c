/*
 * What all optimizers have in common, shown with SGD: arithmetic by hand, groups and options, clipping,
 * state, closures, and every refusal. Each optimizer's own arithmetic: test_optimizers.c.
 */
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <pthread.h>
#include <string.h>

#define SHAPE(...)                                                                                 \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* ---- every test runs under an allocator of its own, which must end with nothing alive ---- */

static int64_t left; /* allocations until they fail */

static void begin(void)
{
    mn_clear_last_error();
    left = INT64_MAX;
    mn_allocator a = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&a), MN_OK);
}

static void end(void)
{
    ck_assert_int_eq(mn_live_allocations(), 0);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}

static void check_last(mn_error code, const char *text)
{
    ck_assert_msg(mn_last_error() == code && strstr(mn_last_message(), text),
                  "expected \"%s\", got %s: \"%s\"", text, mn_error_name(mn_last_error()),
                  mn_last_message());
    mn_clear_last_error();
}

static void check_tape(mn_tape *t, mn_error code, const char *text)
{
    ck_assert_msg(mn_tape_error(t) == code && strstr(mn_tape_message(t), text),
                  "expected \"%s\", got %s: \"%s\"", text, mn_error_name(mn_tape_error(t)),
                  mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
}

static mn_tensor *parameter(mn_dtype dtype, int64_t n, const double *values)
{
    mn_tensor *p = mn_parameter(dtype, 1, &n);
    for (int64_t i = 0; i < n; i++) ck_assert_int_eq(mn_tensor_set(p, &i, values[i]), MN_OK);
    return p;
}

static double at(const mn_tensor *x, int64_t i)
{
    return mn_tensor_get(x, &i);
}

/* Leaves the gradient `values` on the parameter p. */
static void give(mn_tape *t, mn_tensor *p, const double *values)
{
    mn_tensor *g = mn_zeros(t, mn_tensor_dtype(p), 1, SHAPE(mn_tensor_size(p, 0)));
    for (int64_t i = 0; i < mn_tensor_numel(p); i++) mn_tensor_set(g, &i, values[i]);
    ck_assert_int_eq(mn_backward(t, mn_sum(t, mn_mul(t, p, g))), MN_OK);
}

static mn_optim *sgd(mn_tensor *p, double lr, const mn_optim_sgd_opts *opts)
{
    mn_optim *o = mn_optim_sgd_tensors(&p, 1, lr, opts);
    ck_assert_msg(o, "%s", mn_last_message());
    return o;
}

/* ---- the arithmetic ---- */

/* 100 steps of torch.optim.SGD on sum(a p^2), p = {1, -2, 0.5, 3} at first, in f64; PyTorch
 * 2.13. */
static const struct {
    double lr;
    mn_optim_sgd_opts opts;
    double p[4];
} recorded[] = {
    {0.03,
     {.momentum = 0},
     {0.5478207015323074, -0.027389298144061935, 0.0001486148165399704, 0.26430356520257053}},
    {0.01,
     {.momentum = 0.9},
     {0.10217950523318042, 0.004725141584129486, -0.0025783662801686412, 0.014457807875352594}},
    {0.02,
     {.momentum = 0.8, .dampening = 0.3},
     {0.23686347034415486, 3.523771826367972e-05, -5.972536237450876e-06, 0.00041721502948468365}},
    {0.01,
     {.momentum = 0.9, .nesterov = true},
     {0.10594024986904049, 0.0035595218016965607, -0.000593667843107202, 0.011162592025266599}},
    {0.03,
     {.weight_decay = 0.1},
     {0.40491647601142694, -0.020015532745481655, 0.0001072805874439203, 0.19426979484833817}},
    {0.01,
     {.momentum = 0.9, .dampening = 0.5, .weight_decay = 0.05},
     {0.2731589559835797, -0.011823171411698254, -0.001741560534534591, -0.02289713559759777}},
    {0.0005,
     {.momentum = 0.9, .nesterov = true, .weight_decay = 0.01, .maximize = true},
     {1.0905841585481832, -3.6794611441309772, 1.4967930153043443, 4.270912076983288}},
    {0.002,
     {.maximize = true},
     {1.0408024499592126, -2.6452244257353685, 0.839881463628865, 3.5200824936725144}},
    {0.0004,
     {.momentum = 0.9, .maximize = true},
     {1.0750199837028445, -3.260044643423322, 1.2036896178863274, 3.9856775098618487}},
};

static void run_recorded(size_t row, mn_dtype dtype, double tolerance)
{
    mn_tensor *p = parameter(dtype, 4, (double[]){1, -2, 0.5, 3});
    mn_tensor *a = parameter(dtype, 4, (double[]){0.1, 0.7, 1.3, 0.4});
    ck_assert_int_eq(mn_tensor_set_requires_grad(a, false), MN_OK);
    mn_optim *o = sgd(p, recorded[row].lr, &recorded[row].opts);
    mn_tape *t = mn_tape_new(NULL);
    for (int step = 0; step < 100; step++) {
        mn_optim_zero_grad(o);
        mn_backward(t, mn_sum(t, mn_mul(t, a, mn_mul(t, p, p))));
        ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
        mn_tape_reset(t);
    }
    for (int64_t i = 0; i < 4; i++) {
        double expected = recorded[row].p[i];
        ck_assert_msg(fabs(at(p, i) - expected) <= tolerance * fmax(fabs(expected), 1e-2),
                      "row %zu, element %d: %.17g, PyTorch %.17g", row, (int)i, at(p, i), expected);
    }
    mn_tape_free(t);
    mn_optim_free(o);
    mn_release(p);
    mn_release(a);
}

START_TEST(a_hundred_steps_agree_with_pytorch)
{
    run_recorded((size_t)_i, MN_F64, 1e-12);
    run_recorded((size_t)_i, MN_F32, 1e-5);
}
END_TEST

START_TEST(two_steps_agree_with_a_calculation_by_hand)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F64, 2, (double[]){1, -1});
    mn_optim *o = sgd(p, 0.5, &(mn_optim_sgd_opts){.momentum = 0.5, .dampening = 0.25});
    give(t, p, (double[]){2, 4});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK); /* b = g, dampening or not */
    ck_assert_double_eq(at(p, 0), 1 - 0.5 * 2);
    ck_assert_double_eq(at(p, 1), -1 - 0.5 * 4);
    mn_optim_zero_grad(o);
    give(t, p, (double[]){8, -4});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK); /* b = {0.5 2 + 0.75 8, 0.5 4 - 0.75 4} */
    ck_assert_double_eq(at(p, 0), 0 - 0.5 * 7);
    ck_assert_double_eq(at(p, 1), -3 - 0.5 * -1);
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

START_TEST(parameters_that_are_frozen_or_without_gradient_are_passed_over)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p[3];
    for (int i = 0; i < 3; i++) p[i] = parameter(MN_F64, 1, (double[]){1});
    mn_optim *o =
        mn_optim_sgd_tensors(p, 3, 1, &(mn_optim_sgd_opts){.momentum = 0.5, .weight_decay = 0.25});
    give(t, p[0], (double[]){1});
    give(t, p[1], (double[]){1});
    ck_assert_int_eq(mn_tensor_set_requires_grad(p[1], false), MN_OK);
    uint32_t version = mn_tensor_version(p[0]), frozen = mn_tensor_version(p[1]);
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(p[0], 0), -0.25);
    ck_assert_double_eq(at(p[1], 0), 1);
    ck_assert_double_eq(at(p[2], 0), 1);
    ck_assert_uint_gt(mn_tensor_version(p[0]), version);
    ck_assert_uint_eq(mn_tensor_version(p[1]), frozen);
    ck_assert_int_eq(mn_tensor_set_requires_grad(p[1], true), MN_OK);
    mn_optim_zero_grad(o);
    for (int i = 0; i < 3; i++) ck_assert_ptr_null(mn_tensor_grad(p[i]));
    give(t, p[1], (double[]){1}); /* its momentum begins only now */
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(p[0], 0), -0.25);
    ck_assert_double_eq(at(p[1], 0), -0.25);
    mn_optim_free(o);
    for (int i = 0; i < 3; i++) mn_release(p[i]);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_parameter_with_gaps_between_its_elements_is_stepped_as_any_other)
{
    enum { ROWS = 40, COLUMNS = 70 }; /* more than one block */
    static const mn_optim_sgd_opts opts = {.momentum = 0.9, .nesterov = true, .weight_decay = 0.1};
    for (int type = 0; type < 2; type++) {
        mn_dtype dtype = type ? MN_F64 : MN_F32;
        double memory[2 * ROWS * COLUMNS]; /* p transposed, every other column */
        mn_rng rng = mn_rng_make(1, 2);
        mn_tape *t = mn_tape_new(NULL);
        mn_tensor *p = mn_tensor_empty(dtype, 2, SHAPE(ROWS, COLUMNS));
        mn_tensor *w =
            mn_tensor_wrap(dtype, 2, SHAPE(ROWS, COLUMNS), SHAPE(1, 2 * ROWS), memory, NULL, NULL);
        memset(memory, 0, sizeof memory);
        ck_assert_int_eq(mn_tensor_uniform(p, -1, 1, &rng), MN_OK);
        ck_assert_int_eq(mn_tensor_copy(w, p), MN_OK);
        ck_assert(!mn_tensor_is_contiguous(w));
        mn_tensor *both[2] = {p, w};
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(mn_tensor_set_requires_grad(both[i], true), MN_OK);
        mn_optim *o = mn_optim_sgd_tensors(both, 2, 0.1, &opts);
        for (int step = 0; step < 3; step++) {
            mn_optim_zero_grad(o);
            for (int i = 0; i < 2; i++)
                mn_backward(t, mn_sum(t, mn_mul(t, both[i], mn_mul(t, both[i], both[i]))));
            ck_assert_double_gt(mn_optim_clip_grad_norm(o, t, 0.5), 0.5);
            ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
            mn_tape_reset(t);
        }
        for (int64_t r = 0; r < ROWS; r++)
            for (int64_t c = 0; c < COLUMNS; c++)
                ck_assert_double_eq_tol(mn_tensor_get(p, SHAPE(r, c)),
                                        mn_tensor_get(w, SHAPE(r, c)), type ? 1e-15 : 1e-7);
        const float *gap32 = (const float *)memory;
        for (int i = 0; i < ROWS * COLUMNS; i++) { /* what lies between was left alone */
            int64_t gap = i / ROWS * 2 * ROWS + ROWS + i % ROWS;
            ck_assert(type ? memory[gap] == 0 : gap32[gap] == 0);
        }
        mn_optim_free(o);
        mn_release(p);
        mn_release(w);
        mn_tape_free(t);
    }
}
END_TEST

START_TEST(steps_and_norms_have_the_same_bits_for_any_number_of_threads)
{
    enum { N = 1200007 };
    static const int64_t n = N;
    float *values[3] = {NULL, NULL, NULL};
    double norms[3];
    for (int run = 0; run < 3; run++) {
        mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = 1 << run});
        mn_tensor *p = mn_parameter(MN_F32, 1, &n);
        mn_rng rng = mn_rng_make(3, 4);
        ck_assert_int_eq(mn_tensor_uniform(p, -1, 1, &rng), MN_OK);
        mn_optim *o = sgd(p, 0.1, &(mn_optim_sgd_opts){.momentum = 0.9, .weight_decay = 0.01});
        for (int step = 0; step < 2; step++) {
            mn_optim_zero_grad(o);
            mn_backward(t, mn_sum(t, mn_mul(t, p, p)));
            norms[run] = mn_optim_clip_grad_norm(o, t, 500);
            ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
            mn_tape_reset(t);
        }
        values[run] = malloc(N * sizeof(float));
        memcpy(values[run], mn_tensor_data(p), N * sizeof(float));
        mn_optim_free(o);
        mn_release(p);
        mn_tape_free(t);
    }
    for (int run = 1; run < 3; run++) {
        ck_assert(norms[run] == norms[0]);
        ck_assert(memcmp(values[run], values[0], N * sizeof(float)) == 0);
    }
    for (int run = 0; run < 3; run++) free(values[run]);
}
END_TEST

START_TEST(steps_after_the_first_allocate_nothing)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F32, 3, (double[]){1, 2, 3});
    mn_optim *o = sgd(p, 0.1, &(mn_optim_sgd_opts){.momentum = 0.9});
    give(t, p, (double[]){1, 2, 3});
    int64_t before = left;
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_int_lt(left, before); /* the momentum buffer */
    before = left;
    for (int i = 0; i < 5; i++) {
        ck_assert(mn_optim_clip_grad_norm(o, t, 1) > 0);
        ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    }
    mn_optim_zero_grad(o);
    ck_assert_int_eq(left, before);
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_step_between_forward_and_backward_is_noticed)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F64, 1, (double[]){2});
    mn_optim *o = sgd(p, 0.1, NULL);
    give(t, p, (double[]){1});
    mn_tensor *loss = mn_mul(t, p, p);
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_int_eq(mn_backward(t, mn_sum(t, loss)), MN_ERR_STATE);
    check_tape(t, MN_ERR_STATE, "sgd");
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

/* ---- groups ---- */

/* ---- gradients that are not written until they are asked for ---- */

typedef struct pair {
    mn_tensor *w[2][2]; /* [twin][layer] */
    mn_optim *o[2];
} pair;

enum { SGD, MOMENTUM, DECAY, MAXIMIZE, ADAM, MUON, KINDS };

static mn_optim *optimizer(mn_tensor *const *w, int kind)
{
    static const mn_optim_sgd_opts sgd[] = {
        {0}, {.momentum = 0.9}, {.weight_decay = 0.1}, {.maximize = true}};
    if (kind == ADAM) return mn_optim_adam_tensors(w, 2, 0.1, 0.9, 0.99, NULL);
    if (kind == MUON) return mn_optim_muon_tensors(w, 2, 0.1, 0, 0.9, NULL);
    return mn_optim_sgd_tensors(w, 2, 0.1, &sgd[kind]);
}

static pair twins(mn_dtype dtype, int kind)
{
    pair p;
    for (int k = 0; k < 2; k++) {
        mn_rng r = mn_rng_make(4, 2);
        p.w[k][0] = mn_parameter(dtype, 2, (int64_t[]){33, 33});
        p.w[k][1] = mn_parameter(dtype, 2, (int64_t[]){7, 33});
        for (int i = 0; i < 2; i++) mn_tensor_uniform(p.w[k][i], -0.3, 0.3, &r);
        p.o[k] = optimizer(p.w[k], kind);
    }
    return p;
}

static void free_twins(pair *p)
{
    for (int k = 0; k < 2; k++) {
        mn_optim_free(p->o[k]);
        for (int i = 0; i < 2; i++) mn_release(p->w[k][i]);
    }
}

/* Forward and backward of one sample through a silencing layer: gradients are outer products. The first
 * weight may be used twice, or be a part of the loss, too. */
enum { PLAIN, TWICE, PENALTY, WAYS };

static void one_sample(mn_tape *t, mn_tensor *const *w, mn_tensor *x, int way)
{
    mn_tensor *h = mn_relu(t, mn_linear(t, x, w[0], MN_NONE));
    if (way == TWICE) h = mn_relu(t, mn_linear(t, h, w[0], MN_NONE));
    mn_tensor *loss = mn_sum(t, mn_square(t, mn_linear(t, h, w[1], MN_NONE)));
    if (way == PENALTY) loss = mn_add(t, loss, mn_sum(t, mn_square(t, w[0])));
    ck_assert_int_eq(mn_backward(t, loss), MN_OK);
    mn_tape_reset(t);
}

static bool same(const mn_tensor *a, const mn_tensor *b)
{
    const size_t bytes = (size_t)mn_tensor_numel(a) * mn_dtype_size(mn_tensor_dtype(a));
    return memcmp(mn_tensor_data(a), mn_tensor_data(b), bytes) == 0;
}

/* One of two twins looks at its gradients before each step, so that they must be there; the other one does
 * not, so that they need not. */
static void check_twins(mn_dtype dtype, int kind, int way, int threads)
{
    pair p = twins(dtype, kind);
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    mn_tensor *x = mn_tensor_empty(dtype, 2, (int64_t[]){1, 33});
    mn_rng r = mn_rng_make(1, 1);
    for (int step = 0; step < 7; step++) {
        mn_tensor_uniform(x, -1, 1, &r);
        for (int k = 0; k < 2; k++) {
            if (step != 3) mn_optim_zero_grad(p.o[k]);         /* once a gradient is added to */
            mn_tensor_set_requires_grad(p.w[k][0], step != 5); /* and once it is not wanted */
            one_sample(t, p.w[k], x, way);
            if (k == 0 && step != 5) ck_assert_ptr_nonnull(mn_tensor_grad(p.w[k][0]));
            if (step == 6) mn_optim_clip_grad_norm(p.o[k], t, 0.5);
            ck_assert_int_eq(mn_optim_step(p.o[k], t), MN_OK);
        }
        for (int i = 0; i < 2; i++) ck_assert(same(p.w[0][i], p.w[1][i]));
    }
    for (int i = 0; i < 2; i++)
        ck_assert(same(mn_tensor_grad(p.w[0][i]), mn_tensor_grad(p.w[1][i])));
    mn_tape_free(t);
    mn_release(x);
    free_twins(&p);
    ck_assert_int_eq(mn_live_allocations(), 0);
}

START_TEST(gradients_of_one_sample_are_the_same_whether_anybody_looks_or_not)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int way = 0; way < WAYS; way++) {
            check_twins(MN_F32, kind, way, 1 + way);
            check_twins(MN_F64, kind, way, 1);
        }
}
END_TEST

static void *look(void *w)
{
    return mn_tensor_grad(w);
}

START_TEST(two_threads_may_ask_for_a_gradient_at_once)
{
    pair p = twins(MN_F32, SGD);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_tensor_full(MN_F32, 2, (int64_t[]){1, 33}, 1);
    one_sample(t, p.w[0], x, PLAIN);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look, p.w[0][0]), 0);
    for (int i = 0; i < 2; i++) {
        void *seen;
        pthread_join(threads[i], &seen);
        ck_assert_ptr_eq(seen, mn_tensor_grad(p.w[0][0]));
    }
    one_sample(t, p.w[1], x, PLAIN);
    ck_assert(same(mn_tensor_grad(p.w[0][0]), mn_tensor_grad(p.w[1][0])));
    mn_tape_free(t);
    mn_release(x);
    free_twins(&p);
}
END_TEST

START_TEST(an_infinite_sample_spoils_silent_units_too)
{
    pair p = twins(MN_F32, SGD);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_tensor_zeros(MN_F32, 2, (int64_t[]){1, 33});
    mn_tensor_set(x, (int64_t[]){0, 5}, (double)INFINITY);
    int spoiled = 0;
    for (int k = 0; k < 2; k++) {
        one_sample(t, p.w[k], x, PLAIN);
        if (k == 0) mn_tensor_grad(p.w[k][0]);
        ck_assert_int_eq(mn_optim_step(p.o[k], t), MN_OK);
    }
    for (int64_t i = 0; i < 33; i++) {
        const bool nan = isnan(mn_tensor_get(p.w[0][0], (int64_t[]){i, 5}));
        ck_assert_int_eq(isnan(mn_tensor_get(p.w[1][0], (int64_t[]){i, 5})) != 0, nan);
        spoiled += nan;
    }
    ck_assert_int_gt(spoiled, 0);
    mn_tape_free(t);
    mn_release(x);
    free_twins(&p);
}
END_TEST

START_TEST(groups_have_rates_and_options_of_their_own)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_module *trunk = mn_nn_prelu(1, 1), *head = mn_nn_prelu(1, 1);
    ck_assert_int_eq(mn_module_init(trunk, 1), MN_OK);
    ck_assert_int_eq(mn_module_init(head, 1), MN_OK);
    mn_tensor *a = mn_module_get(trunk, "weight"), *b = mn_module_get(head, "weight");
    mn_optim *o = mn_optim_sgd(trunk, 0.5, NULL);
    ck_assert_int_eq(mn_optim_groups(o), 1);
    ck_assert_int_eq(mn_optim_add(o, head), 1);
    ck_assert_int_eq(mn_optim_groups(o), 2);
    ck_assert_double_eq(mn_optim_lr(o, 1), 0.5); /* as the constructor said */
    ck_assert_int_eq(mn_optim_set(o, 1, "lr", 0.25), MN_OK);
    ck_assert_int_eq(mn_optim_set(o, 1, "weight_decay", 2), MN_OK);
    ck_assert_double_eq(mn_optim_get(o, 0, "weight_decay"), 0);
    ck_assert_double_eq(mn_optim_get(o, 1, "weight_decay"), 2);
    ck_assert_double_eq(mn_optim_lr(o, 0), 0.5);
    ck_assert_double_eq(mn_optim_lr(o, 1), 0.25);
    ck_assert_int_eq(mn_optim_set_lr(o, 0, 0.125), MN_OK);
    ck_assert_double_eq(mn_optim_lr(o, 0), 0.125);
    give(t, a, (double[]){1});
    give(t, b, (double[]){1});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(a, 0), 1 - 0.125);
    ck_assert_double_eq(at(b, 0), 1 - 0.25 * (1 + 2));
    mn_tape_reset(t);
    mn_retain(a);
    mn_module_free(trunk); /* the optimizer keeps its parameters */
    mn_module_free(head);
    int64_t alive = mn_live_allocations();
    mn_release(a);
    ck_assert_int_eq(mn_live_allocations(), alive);
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(a, 0), 1 - 0.25);
    mn_optim_free(o);
    mn_tape_free(t);
}
END_TEST

START_TEST(weights_and_biases_can_have_decays_of_their_own)
{
    mn_module *m = mn_nn_linear(2, 1, NULL);
    ck_assert_int_eq((int)mn_module_init(m, 1), MN_OK);
    mn_tensor *w = mn_module_get(m, "weight"), *b = mn_module_get(m, "bias");
    mn_tensor_fill(w, 1), mn_tensor_fill(b, 1);
    mn_optim *o = mn_optim_sgd_tensors(&w, 1, 0.1, &(mn_optim_sgd_opts){.weight_decay = 1});
    ck_assert_int_eq(mn_optim_add_tensors(o, &b, 1), 1);
    ck_assert_int_eq(mn_optim_set(o, 1, "weight_decay", 0), MN_OK);
    ck_assert_int_eq(mn_optim_add_tensors(o, &b, 1), -1);
    ck_assert_int_eq(mn_optim_add_tensors(NULL, &b, 1), -1);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *y = mn_module_forward(m, t, mn_zeros(t, MN_F32, 2, (int64_t[]){1, 2}));
    mn_backward(t, mn_mul_scalar(t, mn_sum(t, y), 0));
    ck_assert_int_eq((int)mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq_tol(mn_tensor_get(w, (int64_t[]){0, 0}), 0.9, 1e-6);
    ck_assert_double_eq(mn_tensor_get(b, (int64_t[]){0}), 1);
    mn_tape_free(t);
    mn_optim_free(o);
    mn_module_free(m);
}
END_TEST

START_TEST(options_are_read_and_set_by_name)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F64, 1, (double[]){1});
    mn_optim *o = sgd(p, 0.5, &(mn_optim_sgd_opts){.dampening = 0.25});
    ck_assert_double_eq(mn_optim_get(o, 0, "dampening"), 0.25);
    ck_assert_double_eq(mn_optim_get(o, 0, "nesterov"), 0);
    ck_assert_int_eq(mn_optim_set(o, 0, "momentum", -1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set: momentum -1 is not a number >= 0");
    ck_assert_int_eq(mn_optim_set(o, 0, "nesterov", 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set: nesterov needs momentum above 0 and dampening 0, "
                                "not 0 and 0.25");
    ck_assert_int_eq(mn_optim_set(o, 0, "maximize", 0.5), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set: maximize 0.5 is not 0 or 1");
    ck_assert_int_eq(mn_optim_set(o, 0, "beta1", 0.5), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set: sgd has no option \"beta1\"; it has lr, momentum, "
                                "dampening, weight_decay, nesterov, maximize");
    ck_assert_double_nan(mn_optim_get(o, 1, "momentum"));
    check_last(MN_ERR_ARGUMENT, "mn_optim_get: there is no group 1; the optimizer has 1");
    ck_assert_double_nan(mn_optim_get(NULL, 0, "momentum"));
    check_last(MN_ERR_ARGUMENT, "mn_optim_get: the optimizer is NULL");
    ck_assert_double_nan(mn_optim_get(o, 0, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_optim_get: the option's name is NULL");
    give(t, p, (double[]){2});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK); /* no momentum yet */
    ck_assert_double_eq(at(p, 0), 0);
    ck_assert_int_eq(mn_optim_set(o, 0, "momentum", 0.5), MN_OK); /* it begins with this gradient */
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(p, 0), -1);
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK); /* b = 0.5 2 + 0.75 2 */
    ck_assert_double_eq(at(p, 0), -1 - 0.5 * 2.5);
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_parameter_cannot_be_in_two_groups)
{
    mn_module *shared = mn_nn_linear(2, 2, NULL);
    mn_module *net = mn_nn_sequential(mn_nn_tanh(), shared);
    mn_module *other = mn_nn_sequential(mn_nn_linear(2, 2, NULL), mn_module_retain(shared));
    mn_module *first = mn_nn_linear(1, 1, NULL);
    mn_optim *o = mn_optim_sgd(first, 0.1, NULL);
    ck_assert_int_eq(mn_optim_add(o, net), 1);
    ck_assert_int_eq(mn_optim_add(o, other), -1);
    check_last(MN_ERR_ARGUMENT, "mn_optim_add: parameter \"1.weight\" is in group 1 and "
                                "cannot be in group 2 as well");
    ck_assert_int_eq(mn_optim_groups(o), 2);
    mn_optim_free(o);
    mn_module_free(first);
    mn_module_free(other);
    mn_module_free(net);
}
END_TEST

START_TEST(a_tied_parameter_is_stepped_once)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_module *net = mn_nn_sequential(mn_nn_prelu(1, 1), mn_nn_prelu(1, 1));
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    mn_tensor *w = mn_module_get(net, "0.weight");
    ck_assert_int_eq(mn_module_set(net, "1.weight", w), MN_OK);
    mn_optim *o = mn_optim_sgd(net, 0.25, NULL);
    give(t, w, (double[]){2});
    ck_assert_double_eq(mn_optim_clip_grad_norm(o, t, 100), 2);
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(w, 0), 0.5);
    mn_optim_free(o);
    mn_module_free(net);
    mn_tape_free(t);
}
END_TEST

/* ---- clipping ---- */

START_TEST(clipping_scales_all_gradients_by_one_factor)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p[3];
    p[0] = parameter(MN_F64, 2, (double[]){0, 0});
    p[1] = parameter(MN_F32, 1, (double[]){0});
    p[2] = parameter(MN_F64, 1, (double[]){0});
    mn_optim *o = mn_optim_sgd_tensors(p, 3, 0.1, NULL);
    ck_assert_double_eq(mn_optim_clip_grad_norm(o, t, 1), 0); /* no gradients yet */
    give(t, p[0], (double[]){3, -4});
    give(t, p[1], (double[]){12});
    ck_assert_double_eq(mn_optim_clip_grad_norm(o, t, 13), 13);
    ck_assert_double_eq(at(mn_tensor_grad(p[0]), 1), -4);
    uint32_t version = mn_tensor_version(mn_tensor_grad(p[0]));
    ck_assert_double_eq(mn_optim_clip_grad_norm(o, t, 6.5), 13);
    double factor = 6.5 / (13 + 1e-6);
    ck_assert_double_eq_tol(at(mn_tensor_grad(p[0]), 0), 3 * factor, 1e-15);
    ck_assert_double_eq_tol(at(mn_tensor_grad(p[0]), 1), -4 * factor, 1e-15);
    ck_assert_double_eq_tol(at(mn_tensor_grad(p[1]), 0), 12 * factor, 1e-6);
    ck_assert_ptr_null(mn_tensor_grad(p[2]));
    ck_assert_uint_gt(mn_tensor_version(mn_tensor_grad(p[0])), version);
    ck_assert_double_eq_tol(mn_optim_clip_grad_norm(o, t, 0), 6.5, 1e-6);
    ck_assert_double_eq(at(mn_tensor_grad(p[1]), 0), 0);
    mn_optim_zero_grad(o);
    give(t, p[0], (double[]){NAN, 1});
    ck_assert_double_nan(mn_optim_clip_grad_norm(o, t, 1));
    ck_assert_int_eq(mn_tape_error(t), MN_OK);
    mn_optim_free(o);
    for (int i = 0; i < 3; i++) mn_release(p[i]);
    mn_tape_free(t);
}
END_TEST

START_TEST(clipping_by_value_cuts_every_element)
{
    mn_tape *t = mn_tape_new(NULL);
    for (int type = 0; type < 2; type++) {
        mn_tensor *p[2];
        for (int i = 0; i < 2; i++)
            p[i] = parameter(type ? MN_F64 : MN_F32, 5, (double[]){0, 0, 0, 0, 0});
        mn_optim *o = mn_optim_sgd_tensors(p, 2, 0.1, NULL);
        ck_assert_int_eq(mn_optim_clip_grad_value(o, t, 1), MN_OK);
        give(t, p[1], (double[]){3, -4, 0.5, INFINITY, NAN});
        uint32_t version = mn_tensor_version(mn_tensor_grad(p[1]));
        ck_assert_int_eq(mn_optim_clip_grad_value(o, t, 2), MN_OK);
        static const double clipped[] = {2, -2, 0.5, 2};
        for (int i = 0; i < 4; i++) ck_assert_double_eq(at(mn_tensor_grad(p[1]), i), clipped[i]);
        ck_assert_double_nan(at(mn_tensor_grad(p[1]), 4));
        ck_assert_ptr_null(mn_tensor_grad(p[0]));
        ck_assert_uint_gt(mn_tensor_version(mn_tensor_grad(p[1])), version);
        ck_assert_int_eq(mn_optim_clip_grad_value(o, t, -1), MN_ERR_ARGUMENT);
        check_tape(t, MN_ERR_ARGUMENT, "mn_optim_clip_grad_value: max -1 is not a number >= 0");
        ck_assert_int_eq(mn_optim_clip_grad_value(o, t, NAN), MN_ERR_ARGUMENT);
        check_tape(t, MN_ERR_ARGUMENT, "mn_optim_clip_grad_value: max nan is not a number >= 0");
        mn_optim_free(o);
        for (int i = 0; i < 2; i++) mn_release(p[i]);
    }
    mn_tape_free(t);
}
END_TEST

START_TEST(the_norm_of_many_elements_is_accurate)
{
    static const int64_t n = 3000001;
    mn_tape *t = mn_tape_new(NULL);
    for (int type = 0; type < 2; type++) {
        mn_tensor *p = mn_parameter(type ? MN_F64 : MN_F32, 1, &n);
        ck_assert_int_eq(mn_tensor_fill(p, 0.1), MN_OK);
        mn_optim *o = sgd(p, 1, NULL);
        double value = type ? 0.1 : (double)0.1f;
        mn_backward(t, mn_sum(t, mn_mul_scalar(t, p, 0.1)));
        ck_assert_double_eq_tol(mn_optim_clip_grad_norm(o, t, INFINITY), value * sqrt((double)n),
                                1e-9);
        mn_optim_free(o);
        mn_release(p);
        mn_tape_reset(t);
    }
    mn_tape_free(t);
}
END_TEST

/* ---- state ---- */

static const mn_state_item *item(const mn_state_item *items, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(items[i].name, name) == 0) return &items[i];
    ck_abort_msg("%s is not listed", name);
    return NULL;
}

START_TEST(state_is_listed_as_in_a_state_dict)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p[2];
    mn_state_item items[32];
    for (int i = 0; i < 2; i++) p[i] = parameter(MN_F32, 2, (double[]){1, 2});
    mn_optim *o = sgd(p[0], 0.5, &(mn_optim_sgd_opts){.momentum = 0.5});
    ck_assert_int_eq(mn_optim_add_tensors(o, &p[1], 1), 1);
    ck_assert_int_eq(mn_optim_set(o, 1, "lr", 0.25), MN_OK);
    int n = mn_optim_state(o, items, 32);
    ck_assert_int_eq(n, 14);
    ck_assert_int_eq(mn_optim_state(o, items, 3), n); /* no more than there is room for */
    ck_assert_int_eq(mn_optim_state(NULL, items, 32), -1);
    check_last(MN_ERR_ARGUMENT, "mn_optim_state: the optimizer is NULL");
    give(t, p[1], (double[]){4, 8});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    n = mn_optim_state(o, items, 32);
    ck_assert_int_eq(n, 16);
    ck_assert_double_eq(item(items, n, "state.1.step")->number, 1);
    ck_assert_double_eq(at(item(items, n, "state.1.momentum_buffer")->tensor, 1), 8);
    ck_assert_double_eq(item(items, n, "param_groups.0.params")->number, 1);
    ck_assert_double_eq(item(items, n, "param_groups.0.lr")->number, 0.5);
    ck_assert_double_eq(item(items, n, "param_groups.1.lr")->number, 0.25);
    ck_assert_double_eq(item(items, n, "param_groups.1.nesterov")->number, 0);
    mn_optim_free(o);
    for (int i = 0; i < 2; i++) mn_release(p[i]);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_state_that_does_not_fit_is_refused_and_changes_nothing)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F32, 2, (double[]){1, 2});
    mn_tensor *wide = mn_tensor_zeros(MN_F32, 1, SHAPE(3));
    mn_tensor *twice = mn_tensor_zeros(MN_F64, 1, SHAPE(2));
    mn_tensor *fine = mn_tensor_ones(MN_F32, 1, SHAPE(2));
    const struct {
        mn_state_item item;
        const char *text;
    } bad[] = {
        {{"momentum_buffer", fine, 0}, "sgd has no place for \"momentum_buffer\""},
        {{"state.0.exp_avg", fine, 0}, "sgd has no place for \"state.0.exp_avg\""},
        {{"state.1.momentum_buffer", fine, 0}, "no place for \"state.1.momentum_buffer\""},
        {{"state.-1.step", NULL, 1}, "no place for \"state.-1.step\""},
        {{"state.0.momentum_buffer", wide, 0}, "momentum_buffer\" is f32 [3], not f32 [2]"},
        {{"state.0.momentum_buffer", twice, 0}, "momentum_buffer\" is f64 [2], not f32 [2]"},
        {{"state.0.momentum_buffer", NULL, 1}, "\"state.0.momentum_buffer\" is not a tensor"},
        {{"state.0.step", NULL, -1}, "\"state.0.step\" is not a whole number >= 0"},
        {{"state.0.step", NULL, 0.5}, "\"state.0.step\" is not a whole number >= 0"},
        {{"param_groups.0.params", NULL, 2}, "group 0 has 1 parameters, not 2"},
        {{"param_groups.1.lr", NULL, 2}, "no place for \"param_groups.1.lr\""},
        {{"param_groups.0.beta1", NULL, 0}, "no place for \"param_groups.0.beta1\""},
        {{"param_groups.0.lr", NULL, -1}, "lr -1 is not a number >= 0"},
        {{"param_groups.0.initial_lr", NULL, NAN}, "initial_lr nan is not a number >= 0"},
        {{"param_groups.0.lr", fine, 0}, "\"param_groups.0.lr\" is a tensor"},
        {{"param_groups.0.nesterov", NULL, 1}, "nesterov needs momentum above 0"},
    };
    mn_optim *o = sgd(p, 0.5, &(mn_optim_sgd_opts){.dampening = 0.5});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mn_state_item items[3] = {{"param_groups.0.lr", NULL, 3},
                                  {"state.0.momentum_buffer", fine, 0}};
        items[2] = bad[i].item;
        ck_assert_int_ne(mn_optim_load_state(o, items, 3), MN_OK);
        ck_assert(strncmp(mn_last_message(), "mn_optim_load_state: ", 21) == 0);
        check_last(mn_last_error(), bad[i].text);
        ck_assert_double_eq(mn_optim_lr(o, 0), 0.5);
    }
    ck_assert_int_eq(mn_optim_load_state(NULL, NULL, 0), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_load_state: the optimizer is NULL");
    ck_assert_int_eq(mn_optim_load_state(o, NULL, 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_load_state: the list is NULL");
    mn_state_item items[3] = {{"param_groups.0.momentum", NULL, 0.5},
                              {"state.0.step", NULL, 4},
                              {"state.0.momentum_buffer", fine, 0}};
    int failures = 0;
    for (;; failures++) {
        left = failures;
        mn_error e = mn_optim_load_state(o, items, 3);
        left = INT64_MAX;
        if (e == MN_OK) break;
        check_last(MN_ERR_MEMORY, "out of memory");
        ck_assert_double_eq(mn_optim_get(o, 0, "momentum"), 0);
    }
    ck_assert_int_ge(failures, 4);
    mn_tensor_fill(fine, 7); /* it is a copy */
    give(t, p, (double[]){2, 2});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK); /* b = 0.5 1 + 0.5 2 */
    ck_assert_double_eq(at(p, 0), 1 - 0.5 * 1.5);
    ck_assert_int_eq(mn_optim_load_state(o, NULL, 0), MN_OK); /* as if it never was stepped */
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(p, 0), 1 - 0.5 * 1.5 - 0.5 * 2);
    mn_optim_free(o);
    mn_release(p);
    mn_release(wide);
    mn_release(twice);
    mn_release(fine);
    mn_tape_free(t);
}
END_TEST

/* ---- closures ---- */

static mn_tensor *sum_of_squares(mn_tape *t, void *p)
{
    return mn_sum(t, mn_mul(t, p, p));
}

static mn_tensor *no_loss(mn_tape *t, void *p)
{
    (void)p;
    return mn_tape_fail(t, MN_ERR_SHAPE, "no loss today");
}

START_TEST(a_step_with_a_closure_is_zero_grad_backward_and_step)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F64, 2, (double[]){1, 2});
    mn_optim *o = sgd(p, 0.25, NULL);
    mn_tensor *kept = mn_full(t, MN_F64, 1, SHAPE(1), 3);
    for (int step = 0; step < 2; step++) {
        ck_assert_double_eq(mn_optim_step_closure(o, t, sum_of_squares, p), step ? 1.25 : 5);
        ck_assert_double_eq(at(p, 1), step ? 0.5 : 1);
    }
    ck_assert_double_eq(at(kept, 0), 3); /* what was there before stays */
    ck_assert_double_nan(mn_optim_step_closure(o, t, no_loss, p));
    check_tape(t, MN_ERR_SHAPE, "no loss today");
    ck_assert_double_eq(at(p, 1), 0.5);
    ck_assert_double_nan(mn_optim_step_closure(o, t, NULL, p));
    check_tape(t, MN_ERR_ARGUMENT, "mn_optim_step_closure: the closure is NULL");
    ck_assert_double_nan(mn_optim_step_closure(NULL, t, no_loss, p));
    check_tape(t, MN_ERR_ARGUMENT, "the optimizer is NULL");
    ck_assert_double_nan(mn_optim_step_closure(o, NULL, no_loss, p));
    check_last(MN_ERR_ARGUMENT, "mn_optim_step_closure: the tape is NULL");
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

/* ---- refusals ---- */

START_TEST(senseless_options_are_refused_with_the_values)
{
    static const struct {
        double lr;
        mn_optim_sgd_opts opts;
        const char *text;
    } rows[] = {
        {-0.1, {.momentum = 0}, "mn_optim_sgd: lr -0.1 is not a number >= 0"},
        {NAN, {.momentum = 0}, "mn_optim_sgd: lr nan is not a number >= 0"},
        {INFINITY, {.momentum = 0}, "mn_optim_sgd: lr inf is not a number >= 0"},
        {0.1, {.momentum = -0.5}, "mn_optim_sgd: momentum -0.5 is not a number >= 0"},
        {0.1, {.momentum = NAN}, "mn_optim_sgd: momentum nan is not a number >= 0"},
        {0.1, {.weight_decay = -1}, "mn_optim_sgd: weight_decay -1 is not a number >= 0"},
        {0.1, {.weight_decay = NAN}, "mn_optim_sgd: weight_decay nan is not a number >= 0"},
        {0.1, {.momentum = 1, .dampening = NAN}, "mn_optim_sgd: dampening nan is not a finite"},
        {0.1,
         {.nesterov = true},
         "mn_optim_sgd: nesterov needs momentum above 0 and dampening 0, not 0 and 0"},
        {0.1,
         {.nesterov = true, .momentum = 0.9, .dampening = 0.5},
         "mn_optim_sgd: nesterov needs momentum above 0 and dampening 0, not 0.9 and 0.5"},
    };
    mn_module *net = mn_nn_linear(2, 2, NULL), *more = mn_nn_linear(2, 2, NULL);
    mn_optim *o = mn_optim_sgd(net, 0, NULL);
    ck_assert_ptr_nonnull(o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_ptr_null(mn_optim_sgd(more, rows[i].lr, &rows[i].opts));
        check_last(MN_ERR_ARGUMENT, rows[i].text);
        mn_tensor *w = mn_module_get(more, "weight");
        ck_assert_ptr_null(mn_optim_sgd_tensors(&w, 1, rows[i].lr, &rows[i].opts));
        check_last(MN_ERR_ARGUMENT, strchr(rows[i].text, ':'));
    }
    ck_assert_int_eq(mn_optim_set_lr(o, 0, -1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set_lr: lr -1 is not a number >= 0");
    ck_assert_int_eq(mn_optim_set_lr(o, 1, 0.1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set_lr: there is no group 1; the optimizer has 1");
    ck_assert_double_nan(mn_optim_lr(o, -1));
    check_last(MN_ERR_ARGUMENT, "mn_optim_lr: there is no group -1; the optimizer has 1");
    ck_assert_double_eq(mn_optim_lr(o, 0), 0);
    mn_optim_free(o);
    mn_module_free(net);
    mn_module_free(more);
}
END_TEST

START_TEST(senseless_parameters_are_refused)
{
    static const char who[] = "mn_optim_sgd_tensors: ";
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F32, 1, (double[]){1}), *q = parameter(MN_F32, 1, (double[]){1});
    mn_tensor *labels = mn_tensor_zeros(MN_I64, 1, SHAPE(2));
    mn_tensor *flat = mn_tensor_wrap(MN_F32, 1, SHAPE(2), SHAPE(0), &(float){0}, NULL, NULL);
    mn_tensor *kept = mn_retain(mn_mul(t, p, p));
    const struct {
        mn_tensor *list[3];
        const char *text;
    } rows[] = {
        {{p, q, p}, "tensors 0 and 2 are the same"},
        {{p, NULL, q}, "tensor 1 is NULL"},
        {{p, q, MN_NONE}, "tensor 2 is MN_NONE"},
        {{mn_mul(t, p, p), p, q}, "tensor 0 is a result of a tape"},
        {{p, kept, q}, "tensor 1 is a result of a tape"},
        {{p, q, labels}, "tensor 2 is not f32 or f64"},
        {{p, q, flat}, "tensor 2 has several elements at one address"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_ptr_null(mn_optim_sgd_tensors(rows[i].list, 3, 0.1, NULL));
        ck_assert(strncmp(mn_last_message(), who, sizeof who - 1) == 0);
        check_last(MN_ERR_ARGUMENT, rows[i].text);
    }
    ck_assert_ptr_null(mn_optim_sgd_tensors(&p, 0, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_optim_sgd_tensors: 0 parameters; at least 1");
    ck_assert_ptr_null(mn_optim_sgd_tensors(&p, -3, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_optim_sgd_tensors: -3 parameters; at least 1");
    ck_assert_ptr_null(mn_optim_sgd_tensors(NULL, 2, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_optim_sgd_tensors: the list of parameters is NULL");
    mn_module *relu = mn_nn_relu(NULL);
    ck_assert_ptr_null(mn_optim_sgd(relu, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_optim_sgd: the module has no parameters");
    ck_assert_ptr_null(mn_optim_sgd(NULL, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_optim_sgd: the module is NULL");
    ck_assert_int_eq(mn_optim_add(NULL, relu), -1);
    check_last(MN_ERR_ARGUMENT, "mn_optim_add: the optimizer is NULL");
    ck_assert_ptr_null(mn_optim_sgd(mn_nn_dropout(3), 0.1, NULL)); /* the first reason stays */
    check_last(MN_ERR_ARGUMENT, "dropout: p 3");
    mn_module_free(relu);
    mn_release(p);
    mn_release(q);
    mn_release(labels);
    mn_release(flat);
    mn_release(kept);
    mn_tape_free(t);
}
END_TEST

START_TEST(null_optimizers_and_tapes_are_refused_or_passed_over)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F32, 1, (double[]){1});
    mn_optim *o = sgd(p, 0.1, NULL);
    ck_assert_int_eq(mn_optim_step(NULL, t), MN_ERR_ARGUMENT);
    check_tape(t, MN_ERR_ARGUMENT, "NULL");
    ck_assert_int_eq(mn_optim_step(o, NULL), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_step: the tape is NULL");
    ck_assert_double_nan(mn_optim_clip_grad_norm(NULL, t, 1));
    check_tape(t, MN_ERR_ARGUMENT, "NULL");
    ck_assert_double_nan(mn_optim_clip_grad_norm(o, NULL, 1));
    check_last(MN_ERR_ARGUMENT, "mn_optim_clip_grad_norm: the tape is NULL");
    ck_assert_double_nan(mn_optim_clip_grad_norm(o, t, -1));
    check_tape(t, MN_ERR_ARGUMENT, "mn_optim_clip_grad_norm: max_norm -1 is not a number >= 0");
    ck_assert_double_nan(mn_optim_clip_grad_norm(o, t, NAN));
    check_tape(t, MN_ERR_ARGUMENT, "mn_optim_clip_grad_norm: max_norm nan is not a number >= 0");
    ck_assert_double_nan(mn_optim_lr(NULL, 0));
    check_last(MN_ERR_ARGUMENT, "mn_optim_lr: the optimizer is NULL");
    ck_assert_int_eq(mn_optim_set_lr(NULL, 0, 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_optim_set_lr: the optimizer is NULL");
    ck_assert_int_eq(mn_optim_groups(NULL), 0);
    mn_optim_zero_grad(NULL);
    mn_optim_free(NULL);
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

START_TEST(nothing_happens_while_the_tape_has_an_error)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p = parameter(MN_F64, 1, (double[]){1});
    mn_optim *o = sgd(p, 0.5, NULL);
    give(t, p, (double[]){3});
    uint32_t version = mn_tensor_version(p);
    mn_tape_fail(t, MN_ERR_SHAPE, "earlier");
    ck_assert_int_eq(mn_optim_step(o, t), MN_ERR_SHAPE);
    ck_assert_double_nan(mn_optim_clip_grad_norm(o, t, 1));
    ck_assert_uint_eq(mn_tensor_version(p), version);
    ck_assert_double_eq(at(p, 0), 1);
    ck_assert_double_eq(at(mn_tensor_grad(p), 0), 3);
    check_tape(t, MN_ERR_SHAPE, "earlier");
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(p, 0), -0.5);
    mn_optim_free(o);
    mn_release(p);
    mn_tape_free(t);
}
END_TEST

/* An op whose gradient fails. */
static void broken_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n, (void)gy, (void)gx;
    mn_tape_fail(t, MN_ERR_STATE, "this gradient always fails");
}

static const mn_op broken_op = {.name = "broken", .backward = broken_backward};

static mn_tensor *broken(mn_tape *t, mn_tensor *x)
{
    if (!mn_op_begin(t, &broken_op, &x, 1)) return NULL;
    mn_tensor *y = mn_zeros_like(t, x);
    mn_op_record(t, &broken_op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

START_TEST(a_step_refuses_the_gradients_of_a_failed_backward_until_zero_grad)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p[2];
    for (int i = 0; i < 2; i++) p[i] = parameter(MN_F64, 1, (double[]){1});
    mn_optim *o = mn_optim_sgd_tensors(p, 2, 0.5, NULL);
    mn_tensor *first = broken(t, p[0]); /* its gradient comes last, after p[1]'s */
    ck_assert_int_eq(mn_backward(t, mn_sum(t, mn_add(t, first, mn_mul(t, p[1], p[1])))),
                     MN_ERR_STATE);
    check_tape(t, MN_ERR_STATE, "this gradient always fails");
    ck_assert_int_eq(mn_optim_step(o, t), MN_ERR_STATE);
    check_tape(t, MN_ERR_STATE,
               "mn_optim_step: the gradient of parameter 1 of group 0 ([1]) is incomplete since a "
               "backward pass failed; call mn_optim_zero_grad first");
    ck_assert_double_nan(mn_optim_clip_grad_norm(o, t, 1));
    check_tape(t, MN_ERR_STATE, "mn_optim_clip_grad_norm: the gradient of parameter 1");
    for (int i = 0; i < 2; i++) ck_assert_double_eq(at(p[i], 0), 1);
    mn_optim_zero_grad(o);
    mn_tape_reset(t);
    give(t, p[0], (double[]){1});
    ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    ck_assert_double_eq(at(p[0], 0), 0.5);
    ck_assert_double_eq(at(p[1], 0), 1);
    mn_optim_free(o);
    for (int i = 0; i < 2; i++) mn_release(p[i]);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_step_that_runs_out_of_memory_leaves_every_parameter_untouched)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *p[3];
    for (int i = 0; i < 3; i++) p[i] = parameter(MN_F64, 1, (double[]){1});
    mn_optim *o = mn_optim_sgd_tensors(p, 3, 0.5, &(mn_optim_sgd_opts){.momentum = 0.5});
    for (int i = 0; i < 3; i++) give(t, p[i], (double[]){1});
    int failures = 0;
    for (;; failures++) {
        left = failures;
        mn_error e = mn_optim_step(o, t);
        bool reached = left == 0;
        left = INT64_MAX;
        if (e == MN_OK) break;
        ck_assert(reached && failures < 20);
        check_tape(t, MN_ERR_MEMORY, "out of memory");
        for (int i = 0; i < 3; i++) ck_assert_double_eq(at(p[i], 0), 1);
    }
    ck_assert_int_ge(failures, 3);
    for (int i = 0; i < 3; i++) ck_assert_double_eq(at(p[i], 0), 0.5);
    mn_optim_free(o);
    for (int i = 0; i < 3; i++) mn_release(p[i]);
    mn_tape_free(t);
}
END_TEST

START_TEST(constructors_that_run_out_of_memory_leak_nothing)
{
    for (int failures = 0, fine = 0; !fine; failures++) {
        mn_module *net = mn_nn_linear(2, 2, NULL), *more = mn_nn_linear(2, 2, NULL);
        ck_assert_int_lt(failures, 100);
        left = failures;
        mn_optim *o = mn_optim_sgd(net, 0.1, NULL);
        int number = mn_optim_add(o, more);
        bool reached = left == 0;
        left = INT64_MAX;
        fine = o && number == 1;
        if (!fine) {
            ck_assert(reached);
            ck_assert_int_eq(mn_optim_groups(o), o ? 1 : 0);
            check_last(MN_ERR_MEMORY, "out of memory");
        }
        if (fine) ck_assert_int_gt(failures, 8);
        mn_optim_free(o);
        mn_module_free(net);
        mn_module_free(more);
        ck_assert_int_eq(mn_live_allocations(), 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("optim");
    TCase *c = tcase_create("optim");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, a_hundred_steps_agree_with_pytorch, 0,
                        (int)(sizeof recorded / sizeof recorded[0]));
    tcase_add_test(c, two_steps_agree_with_a_calculation_by_hand);
    tcase_add_test(c, parameters_that_are_frozen_or_without_gradient_are_passed_over);
    tcase_add_test(c, a_parameter_with_gaps_between_its_elements_is_stepped_as_any_other);
    tcase_add_test(c, steps_and_norms_have_the_same_bits_for_any_number_of_threads);
    tcase_add_test(c, steps_after_the_first_allocate_nothing);
    tcase_add_test(c, a_step_between_forward_and_backward_is_noticed);
    tcase_add_test(c, gradients_of_one_sample_are_the_same_whether_anybody_looks_or_not);
    tcase_add_test(c, two_threads_may_ask_for_a_gradient_at_once);
    tcase_add_test(c, an_infinite_sample_spoils_silent_units_too);
    tcase_add_test(c, groups_have_rates_and_options_of_their_own);
    tcase_add_test(c, weights_and_biases_can_have_decays_of_their_own);
    tcase_add_test(c, options_are_read_and_set_by_name);
    tcase_add_test(c, a_parameter_cannot_be_in_two_groups);
    tcase_add_test(c, a_tied_parameter_is_stepped_once);
    tcase_add_test(c, clipping_scales_all_gradients_by_one_factor);
    tcase_add_test(c, clipping_by_value_cuts_every_element);
    tcase_add_test(c, the_norm_of_many_elements_is_accurate);
    tcase_add_test(c, state_is_listed_as_in_a_state_dict);
    tcase_add_test(c, a_state_that_does_not_fit_is_refused_and_changes_nothing);
    tcase_add_test(c, a_step_with_a_closure_is_zero_grad_backward_and_step);
    tcase_add_test(c, senseless_options_are_refused_with_the_values);
    tcase_add_test(c, senseless_parameters_are_refused);
    tcase_add_test(c, null_optimizers_and_tapes_are_refused_or_passed_over);
    tcase_add_test(c, nothing_happens_while_the_tape_has_an_error);
    tcase_add_test(c, a_step_refuses_the_gradients_of_a_failed_backward_until_zero_grad);
    tcase_add_test(c, a_step_that_runs_out_of_memory_leaves_every_parameter_untouched);
    tcase_add_test(c, constructors_that_run_out_of_memory_leak_nothing);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
