/*
 * tests/test_scheduler.c: schedulers of learning rates: 51 rates of each against PyTorch's
 * (tests/fixtures/scheduler.txt), saving in the middle, and every refusal.
 */
#include "fixture.h"
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

enum { STEPS = 50 };

static fixture schedules;
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

/* ---- the rows: how a scheduler is made from a case's arguments ---- */

#define LEN(list) ((int)(sizeof(list) / sizeof *(list)))
#define MAKE(name, call)                                                                           \
    static mn_scheduler *make_##name(mn_optim *o, const double *a)                                 \
    {                                                                                              \
        (void)a;                                                                                   \
        return call;                                                                               \
    }

static double decay(int64_t epoch, int group, void *user)
{
    (void)user;
    return group ? 1.0 / (double)(1 + epoch) : pow(0.95, (double)epoch);
}

static double slower(int64_t epoch, int group, void *user)
{
    (void)group, (void)user;
    return 1.0 / (double)(1 + epoch);
}

MAKE(step_lr, mn_scheduler_step_lr(o, (int64_t)a[0], a[1]))
MAKE(constant_lr, mn_scheduler_constant_lr(o, a[0], (int64_t)a[1]))
MAKE(linear_lr, mn_scheduler_linear_lr(o, a[0], a[1], (int64_t)a[2]))
MAKE(exponential_lr, mn_scheduler_exponential_lr(o, a[0]))
MAKE(polynomial_lr, mn_scheduler_polynomial_lr(o, (int64_t)a[0], a[1]))
MAKE(cosine_annealing_lr, mn_scheduler_cosine_annealing_lr(o, (int64_t)a[0], a[1]))
MAKE(warm_restarts,
     mn_scheduler_cosine_annealing_warm_restarts(o, (int64_t)a[0], (int64_t)a[1], a[2]))
MAKE(lambda_lr, mn_scheduler_lambda_lr(o, decay, NULL))
MAKE(one_cycle_lr,
     mn_scheduler_one_cycle_lr(o, a[0], (int64_t)a[1],
                               &(mn_scheduler_one_cycle_lr_opts){.pct_start = a[2],
                                                                 .linear = a[3] != 0,
                                                                 .keep_momentum = a[4] != 0,
                                                                 .base_momentum = a[5],
                                                                 .max_momentum = a[6],
                                                                 .div_factor = a[7],
                                                                 .final_div_factor = a[8],
                                                                 .three_phase = a[9] != 0}))
MAKE(cyclic_lr,
     mn_scheduler_cyclic_lr(o, a[0], a[1],
                            &(mn_scheduler_cyclic_lr_opts){.step_size_up = (int64_t)a[2],
                                                           .step_size_down = (int64_t)a[3],
                                                           .mode = (mn_cyclic_mode)a[4],
                                                           .gamma = a[5],
                                                           .keep_momentum = a[6] != 0,
                                                           .base_momentum = a[7],
                                                           .max_momentum = a[8]}))
MAKE(reduce_lr_on_plateau,
     mn_scheduler_reduce_lr_on_plateau(o, a[0], (int64_t)a[1], a[2],
                                       &(mn_scheduler_reduce_lr_on_plateau_opts){
                                           .maximize = a[3] != 0,
                                           .absolute = a[4] != 0,
                                           .cooldown = (int64_t)a[5],
                                           .min_lr = a[6],
                                           .eps = a[7]}))
MAKE(swa_lr,
     mn_scheduler_swa_lr(o, a[0], (int64_t)a[1], &(mn_scheduler_swa_lr_opts){.linear = a[2] != 0}))

/* The milestones are the arguments after gamma. */
static mn_scheduler *make_multi_step_lr(mn_optim *o, const double *a)
{
    int64_t milestones[FIXTURE_ARGS];
    int n = 0;
    while (n + 1 < FIXTURE_ARGS && a[n + 1] != 0) n++;
    for (int i = 0; i < n; i++) milestones[i] = (int64_t)a[i + 1];
    return mn_scheduler_multi_step_lr(o, milestones, n, a[0]);
}

static mn_scheduler *make_warmup(mn_optim *o, const double *a)
{
    (void)a;
    mn_scheduler *parts[] = {mn_scheduler_linear_lr(o, 0.1, 1, 10),
                             mn_scheduler_cosine_annealing_lr(o, 30, 0.001),
                             mn_scheduler_exponential_lr(o, 0.9)};
    return mn_scheduler_sequential(parts, LEN(parts), (int64_t[]){10, 40});
}

static mn_scheduler *make_many(mn_optim *o, const double *a)
{
    (void)a;
    mn_scheduler *parts[] = {mn_scheduler_constant_lr(o, 0.5, 4),
                             mn_scheduler_step_lr(o, 3, 0.5),
                             mn_scheduler_polynomial_lr(o, 6, 2),
                             mn_scheduler_multi_step_lr(o, (int64_t[]){2, 4}, 2, 0.3),
                             mn_scheduler_cosine_annealing_warm_restarts(o, 4, 1, 0),
                             mn_scheduler_lambda_lr(o, slower, NULL),
                             mn_scheduler_swa_lr(o, 0.07, 3, NULL)};
    return mn_scheduler_sequential(parts, LEN(parts), (int64_t[]){5, 12, 20, 28, 36, 44});
}

static mn_scheduler *make_two(mn_optim *o, const double *a)
{
    (void)a;
    mn_scheduler *parts[] = {mn_scheduler_constant_lr(o, 0.1, 8),
                             mn_scheduler_exponential_lr(o, 0.9)};
    return mn_scheduler_chained(parts, LEN(parts));
}

static mn_scheduler *make_three(mn_optim *o, const double *a)
{
    (void)a;
    mn_scheduler *parts[] = {mn_scheduler_linear_lr(o, 0.2, 1, 6), mn_scheduler_step_lr(o, 9, 0.5),
                             mn_scheduler_cosine_annealing_lr(o, 45, 0)};
    return mn_scheduler_chained(parts, LEN(parts));
}

static const struct row {
    const char *name; /* of the case, or how it begins */
    mn_scheduler *(*make)(mn_optim *o, const double *a);
} rows[] = {
    {"step_lr", make_step_lr},
    {"multi_step_lr", make_multi_step_lr},
    {"constant_lr", make_constant_lr},
    {"linear_lr", make_linear_lr},
    {"exponential_lr", make_exponential_lr},
    {"polynomial_lr", make_polynomial_lr},
    {"cosine_annealing_lr", make_cosine_annealing_lr},
    {"warm_restarts", make_warm_restarts},
    {"lambda_lr", make_lambda_lr},
    {"one_cycle_lr", make_one_cycle_lr},
    {"cyclic_lr", make_cyclic_lr},
    {"reduce_lr_on_plateau", make_reduce_lr_on_plateau},
    {"swa_lr", make_swa_lr},
    {"sequential.warmup", make_warmup},
    {"sequential.many", make_many},
    {"chained.two", make_two},
    {"chained.three", make_three},
};

/* ---- running a case ---- */

typedef struct run {
    const fixture_case *f;
    mn_tensor *p[2];
    mn_optim *o;
    mn_scheduler *s;
    const char *momentum;
    mn_rng metric;
} run;

static run start(const fixture_case *f)
{
    run r = {.f = f, .metric = fixture_rng(f, "metric")};
    const struct row *row = NULL;
    for (int i = 0; i < LEN(rows); i++) {
        size_t n = strlen(rows[i].name);
        if (strncmp(f->path, rows[i].name, n) == 0 && f->path[n] == '.') row = &rows[i];
    }
    ck_assert_msg(row, "%s has no row", f->path);
    for (int i = 0; i < 2; i++) r.p[i] = mn_parameter(MN_F64, 0, NULL);
    bool adam = strstr(f->path, ".adam.") || strstr(f->path, ".halves.");
    r.momentum = adam ? "beta1" : "momentum";
    r.o = adam ? mn_optim_adam_tensors(r.p, 1, 0.1, 0.9, 0.999, NULL)
               : mn_optim_sgd_tensors(r.p, 1, 0.1, &(mn_optim_sgd_opts){.momentum = 0.9});
    mn_optim_add_tensors(r.o, &r.p[1], 1);
    mn_optim_set_lr(r.o, 1, 0.02);
    r.s = row->make(r.o, f->args.number);
    ck_assert_msg(r.s, "%s: %s", f->path, mn_last_message());
    return r;
}

static void stop(run *r)
{
    mn_optim_free(r->o);
    for (int i = 0; i < 2; i++) mn_release(r->p[i]);
    mn_scheduler_free(r->s); /* it holds the optimizer, which holds its parameters */
}

static void step(run *r)
{
    mn_error e;
    if (strcmp(r->f->op, "reduce_lr_on_plateau") == 0) {
        double draw = mn_rng_uniform(&r->metric);
        e = mn_scheduler_step_metric(r->s, draw);
    } else {
        e = mn_scheduler_step(r->s);
    }
    ck_assert_msg(e == MN_OK, "%s: %s", r->f->path, mn_last_message());
}

/* The metrics are one draw of 50 numbers, to which the first steps add what makes them sink. */
static void draw_metrics(const fixture_case *f, double *metrics)
{
    mn_rng rng = fixture_rng(f, "metric");
    mn_tensor *x = mn_tensor_empty(MN_F64, 1, (int64_t[]){STEPS});
    ck_assert_int_eq(mn_tensor_uniform(x, 0, 1, &rng), MN_OK);
    for (int64_t k = 0; k < STEPS; k++)
        metrics[k] = mn_tensor_get(x, &k) + fmax(0, 1 - (double)(k + 1) / 10);
    mn_release(x);
}

START_TEST(rates_agree_with_pytorch)
{
    const fixture_case *f = &schedules.cases[_i];
    double metrics[STEPS], rates[STEPS + 1][2], momenta[STEPS + 1];
    draw_metrics(f, metrics);
    run r = start(f);
    bool metric = strcmp(f->op, "reduce_lr_on_plateau") == 0;
    for (int k = 0; k <= STEPS; k++) {
        mn_error e = k == 0   ? MN_OK
                     : metric ? mn_scheduler_step_metric(r.s, metrics[k - 1])
                              : mn_scheduler_step(r.s);
        ck_assert_msg(e == MN_OK, "%s: %s", f->path, mn_last_message());
        ck_assert_int_eq(mn_scheduler_epoch(r.s), k);
        for (int g = 0; g < 2; g++) rates[k][g] = mn_optim_lr(r.o, g);
        momenta[k] = mn_optim_get(r.o, 0, r.momentum);
    }
    char text[256];
    mn_tensor *got[2] = {mn_tensor_from(MN_F64, 2, (int64_t[]){STEPS + 1, 2}, rates),
                         mn_tensor_from(MN_F64, 1, (int64_t[]){STEPS + 1}, momenta)};
    for (int k = 0; k < f->n_out; k++)
        ck_assert_msg(fixture_output_agrees(f, k, got[k], text, sizeof text), "%s: %s", f->path,
                      text);
    if (f->n_out == 1) ck_assert_double_eq(momenta[STEPS], 0.9);
    for (int k = 0; k < 2; k++) mn_release(got[k]);
    stop(&r);
}
END_TEST

START_TEST(a_saved_scheduler_goes_on_as_if_nothing_had_happened)
{
    const fixture_case *f = &schedules.cases[_i];
    run r = start(f), copy = start(f);
    mn_state_item items[64];
    for (int k = 0; k < 23; k++) step(&r);
    int n = mn_optim_state(r.o, items, 64);
    ck_assert_int_le(n, 64);
    ck_assert_int_eq(mn_optim_load_state(copy.o, items, n), MN_OK);
    n = mn_scheduler_state(r.s, items, 64);
    ck_assert(n >= 1 && n <= 64 && mn_scheduler_state(r.s, NULL, 0) == n);
    ck_assert_msg(mn_scheduler_load_state(copy.s, items, n) == MN_OK, "%s", mn_last_message());
    copy.metric = r.metric;
    for (int k = 23; k < STEPS; k++) {
        step(&r);
        step(&copy);
        for (int g = 0; g < 2; g++)
            ck_assert_double_eq(mn_optim_lr(r.o, g), mn_optim_lr(copy.o, g));
        ck_assert_double_eq(mn_optim_get(r.o, 0, r.momentum), mn_optim_get(copy.o, 0, r.momentum));
    }
    stop(&r);
    stop(&copy);
}
END_TEST

/* ---- one optimizer for the rest ---- */

static mn_tensor *parameter;

static mn_optim *sgd(void)
{
    parameter = mn_parameter(MN_F64, 0, NULL);
    return mn_optim_sgd_tensors(&parameter, 1, 0.5, NULL);
}

START_TEST(a_group_that_is_added_later_joins)
{
    mn_optim *o = sgd();
    mn_scheduler *s = mn_scheduler_step_lr(o, 1, 0.5);
    mn_tensor *more = mn_parameter(MN_F32, 0, NULL);
    ck_assert_int_eq(mn_scheduler_step(s), MN_OK);
    ck_assert_int_eq(mn_optim_add_tensors(o, &more, 1), 1);
    ck_assert_double_eq(mn_optim_lr(o, 1), 0.5);
    ck_assert_int_eq(mn_scheduler_step(s), MN_OK);
    ck_assert_double_eq(mn_optim_lr(o, 0), 0.125);
    ck_assert_double_eq(mn_optim_lr(o, 1), 0.25);
    mn_scheduler_free(s);
    mn_optim_free(o);
    mn_release(more);
    mn_release(parameter);
}
END_TEST

static double turns_negative(int64_t epoch, int group, void *user)
{
    (void)group;
    ++*(int *)user;
    return epoch < 3 ? 1 : -1;
}

START_TEST(a_step_that_fails_changes_nothing)
{
    mn_optim *o = sgd();
    int asked = 0;
    mn_scheduler *s = mn_scheduler_one_cycle_lr(o, 1, 3, NULL);
    for (int k = 0; k < 3; k++) ck_assert_int_eq(mn_scheduler_step(s), MN_OK);
    double lr = mn_optim_lr(o, 0);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(mn_scheduler_step(s), MN_ERR_STATE);
        check_last(MN_ERR_STATE, "mn_scheduler_step: one_cycle_lr has 3 steps, this is number 4");
        ck_assert_int_eq(mn_scheduler_epoch(s), 3);
        ck_assert_double_eq(mn_optim_lr(o, 0), lr);
    }
    mn_scheduler_free(s);
    mn_optim_set_lr(o, 0, 0.5);
    mn_scheduler *parts[] = {mn_scheduler_exponential_lr(o, 0.5),
                             mn_scheduler_lambda_lr(o, turns_negative, &asked)};
    s = mn_scheduler_chained(parts, 2);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(mn_scheduler_step(s), MN_OK);
    ck_assert_int_eq(asked, 3);
    lr = mn_optim_lr(o, 0);
    ck_assert_int_eq(mn_scheduler_step(s), MN_ERR_ARGUMENT);
    ck_assert(strncmp(mn_last_message(), "mn_scheduler_step: lr -", 23) == 0);
    check_last(MN_ERR_ARGUMENT, "is not a number >= 0");
    ck_assert_double_eq(mn_optim_lr(o, 0), lr);
    mn_state_item items[8];
    ck_assert_int_eq(mn_scheduler_state(s, items, 8), 3);
    ck_assert_str_eq(items[1].name, "0.last_epoch");
    for (int i = 0; i < 3; i++) ck_assert_double_eq(items[i].number, 2);
    mn_scheduler_free(s);
    mn_optim_free(o);
    mn_release(parameter);
}
END_TEST

START_TEST(chained_schedulers_may_be_a_part_of_a_sequence)
{
    mn_optim *o = sgd();
    mn_scheduler *both[] = {mn_scheduler_exponential_lr(o, 0.5), mn_scheduler_step_lr(o, 2, 0.1)};
    mn_scheduler *parts[] = {mn_scheduler_constant_lr(o, 0.2, 9), mn_scheduler_chained(both, 2)};
    mn_scheduler *s = mn_scheduler_sequential(parts, 2, (int64_t[]){2});
    static const double rates[] = {0.1, 0.1, 0.5, 0.25, 0.0125, 0.00625};
    for (int k = 0; k < 6; k++) {
        if (k) ck_assert_int_eq(mn_scheduler_step(s), MN_OK);
        ck_assert_double_eq_tol(mn_optim_lr(o, 0), rates[k], 1e-15);
    }
    mn_scheduler_free(s);
    mn_optim_free(o);
    mn_release(parameter);
}
END_TEST

START_TEST(a_cycle_whose_way_up_has_no_steps_begins_at_the_top)
{
    mn_optim *o = sgd();
    mn_scheduler *s =
        mn_scheduler_one_cycle_lr(o, 3, 10, &(mn_scheduler_one_cycle_lr_opts){.pct_start = 0.1});
    ck_assert_double_eq(mn_optim_lr(o, 0), 3);
    for (int k = 0; k < 10; k++) ck_assert_int_eq(mn_scheduler_step(s), MN_OK);
    ck_assert_double_eq_tol(mn_optim_lr(o, 0), 3.0 / 25 / 1e4, 1e-15); /* and stays at the end */
    mn_scheduler_free(s);
    mn_optim_free(o);
    mn_release(parameter);
}
END_TEST

START_TEST(momentum_may_begin_with_a_cycle)
{
    mn_optim *o = sgd();
    mn_scheduler *s = mn_scheduler_cyclic_lr(o, 0.1, 0.2, NULL);
    ck_assert_double_eq(mn_optim_get(o, 0, "momentum"), 0.9);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor_fill(parameter, 1);
    for (int k = 0; k < 2; k++) {
        mn_optim_zero_grad(o);
        mn_backward(t, mn_mul_scalar(t, parameter, 1));
        ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
    }
    ck_assert_double_eq_tol(mn_tensor_item(parameter), 1 - 0.1 - 0.19, 1e-15);
    mn_tape_free(t);
    mn_scheduler_free(s);
    mn_optim_free(o);
    mn_release(parameter);
}
END_TEST

/* ---- refusals ---- */

#define REFUSED(call, code, text)                                                                  \
    do {                                                                                           \
        ck_assert_ptr_null(call);                                                                  \
        check_last(code, text);                                                                    \
    } while (0)

START_TEST(senseless_numbers_are_refused_with_their_values)
{
    mn_optim *o = sgd();
    const mn_error E = MN_ERR_ARGUMENT;
    REFUSED(mn_scheduler_step_lr(o, 0, 1), E,
            "mn_scheduler_step_lr: step_size 0 is not a whole number >= 1");
    REFUSED(mn_scheduler_step_lr(o, 2, -1), E, "mn_scheduler_step_lr: gamma -1 is not a number");
    REFUSED(mn_scheduler_multi_step_lr(o, (int64_t[]){3, 0}, 2, 0.5), E,
            "mn_scheduler_multi_step_lr: milestone 1 is 0, not at least 1");
    REFUSED(mn_scheduler_multi_step_lr(o, NULL, 2, 0.5), E,
            "mn_scheduler_multi_step_lr: the list of milestones is NULL");
    REFUSED(mn_scheduler_multi_step_lr(o, NULL, 0, NAN), E, "gamma nan is not a number >= 0");
    REFUSED(mn_scheduler_constant_lr(o, 0, 5), E,
            "mn_scheduler_constant_lr: factor 0 is not in (0, 1]");
    REFUSED(mn_scheduler_constant_lr(o, 1.5, 5), E, "factor 1.5 is not in (0, 1]");
    REFUSED(mn_scheduler_constant_lr(o, 0.5, 0), E, "total_iters 0 is not a whole number >= 1");
    REFUSED(mn_scheduler_linear_lr(o, 0, 1, 5), E, "start_factor 0 is not in (0, 1]");
    REFUSED(mn_scheduler_linear_lr(o, 1, -1, 5), E, "end_factor -1 is not in [0, 1]");
    REFUSED(mn_scheduler_linear_lr(o, 1, 1, -5), E, "total_iters -5 is not a whole number >= 1");
    REFUSED(mn_scheduler_exponential_lr(o, -0.1), E, "gamma -0.1 is not a number >= 0");
    REFUSED(mn_scheduler_polynomial_lr(o, 0, 1), E, "total_iters 0 is not a whole number >= 1");
    REFUSED(mn_scheduler_polynomial_lr(o, 5, -1), E, "power -1 is not a number >= 0");
    REFUSED(mn_scheduler_cosine_annealing_lr(o, 0, 0), E, "T_max 0 is not a whole number >= 1");
    REFUSED(mn_scheduler_cosine_annealing_lr(o, 5, -1), E, "eta_min -1 is not a number >= 0");
    REFUSED(mn_scheduler_cosine_annealing_warm_restarts(o, 0, 1, 0), E, "T_0 0 is not a whole");
    REFUSED(mn_scheduler_cosine_annealing_warm_restarts(o, 1, 0, 0), E, "T_mult 0 is not a whole");
    REFUSED(mn_scheduler_cosine_annealing_warm_restarts(o, 1, 1, -2), E, "eta_min -2 is not a");
    REFUSED(mn_scheduler_lambda_lr(o, NULL, NULL), E, "the function is NULL");
    REFUSED(mn_scheduler_swa_lr(o, -1, 10, NULL), E, "swa_lr -1 is not a number >= 0");
    REFUSED(mn_scheduler_swa_lr(o, 1, -10, NULL), E, "anneal_epochs -10 is not a number >= 0");

    mn_scheduler_one_cycle_lr_opts one = {.pct_start = 1.5};
    REFUSED(mn_scheduler_one_cycle_lr(o, 1, 9, &one), E, "pct_start 1.5 is not in [0, 1]");
    one = (mn_scheduler_one_cycle_lr_opts){.div_factor = -1};
    REFUSED(mn_scheduler_one_cycle_lr(o, 1, 9, &one), E, "div_factor -1 is not a number > 0");
    one = (mn_scheduler_one_cycle_lr_opts){.final_div_factor = -1};
    REFUSED(mn_scheduler_one_cycle_lr(o, 1, 9, &one), E, "final_div_factor -1 is not a number > 0");
    one = (mn_scheduler_one_cycle_lr_opts){.max_momentum = 1};
    REFUSED(mn_scheduler_one_cycle_lr(o, 1, 9, &one), E, "max_momentum 1 is not in [0, 1)");
    REFUSED(mn_scheduler_one_cycle_lr(o, 1, 0, NULL), E, "total_steps 0 is not a whole number");
    REFUSED(mn_scheduler_one_cycle_lr(o, -1, 9, NULL), E, "max_lr -1 is not a number >= 0");

    mn_scheduler_cyclic_lr_opts cyclic = {.step_size_up = -1};
    REFUSED(mn_scheduler_cyclic_lr(o, 1, 2, &cyclic), E, "step_size_up -1 is not a whole number");
    cyclic = (mn_scheduler_cyclic_lr_opts){.step_size_down = -1};
    REFUSED(mn_scheduler_cyclic_lr(o, 1, 2, &cyclic), E, "step_size_down -1 is not a whole");
    cyclic = (mn_scheduler_cyclic_lr_opts){.mode = (mn_cyclic_mode)3};
    REFUSED(mn_scheduler_cyclic_lr(o, 1, 2, &cyclic), E, "there is no mode 3");
    cyclic = (mn_scheduler_cyclic_lr_opts){.gamma = -1};
    REFUSED(mn_scheduler_cyclic_lr(o, 1, 2, &cyclic), E, "gamma -1 is not a number > 0");
    cyclic = (mn_scheduler_cyclic_lr_opts){.base_momentum = 1};
    REFUSED(mn_scheduler_cyclic_lr(o, 1, 2, &cyclic), E, "base_momentum 1 is not in [0, 1)");
    REFUSED(mn_scheduler_cyclic_lr(o, -1, 2, NULL), E, "base_lr -1 is not a number >= 0");
    REFUSED(mn_scheduler_cyclic_lr(o, 1, NAN, NULL), E, "max_lr nan is not a number >= 0");

    mn_scheduler_reduce_lr_on_plateau_opts plateau = {.cooldown = -1};
    REFUSED(mn_scheduler_reduce_lr_on_plateau(o, 0.1, 1, 0, &plateau), E, "cooldown -1 is not a");
    plateau = (mn_scheduler_reduce_lr_on_plateau_opts){.min_lr = -1};
    REFUSED(mn_scheduler_reduce_lr_on_plateau(o, 0.1, 1, 0, &plateau), E, "min_lr -1 is not a");
    plateau = (mn_scheduler_reduce_lr_on_plateau_opts){.eps = -1};
    REFUSED(mn_scheduler_reduce_lr_on_plateau(o, 0.1, 1, 0, &plateau), E, "eps -1 is not a");
    REFUSED(mn_scheduler_reduce_lr_on_plateau(o, 1, 1, 0, NULL), E, "factor 1 is not in [0, 1)");
    REFUSED(mn_scheduler_reduce_lr_on_plateau(o, 0.1, -1, 0, NULL), E, "patience -1 is not a");
    REFUSED(mn_scheduler_reduce_lr_on_plateau(o, 0.1, 1, -1, NULL), E, "threshold -1 is not a");

    ck_assert_double_eq(mn_optim_lr(o, 0), 0.5);
    ck_assert_double_eq(mn_optim_get(o, 0, "momentum"), 0);
    mn_optim_free(o);
    mn_release(parameter);
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
    mn_optim *o = sgd();
    mn_tensor *mine = parameter, *other = mn_parameter(MN_F32, 0, NULL);
    const int64_t one[] = {1}, falling[] = {2, 2};
    mn_optim *adagrad = mn_optim_adagrad_tensors(&other, 1, 0.1, NULL);
    const mn_error E = MN_ERR_ARGUMENT;
    REFUSED(mn_scheduler_one_cycle_lr(adagrad, 1, 9, NULL), E,
            "mn_scheduler_one_cycle_lr: adagrad has neither beta1 nor momentum; set keep_momentum");
    REFUSED(mn_scheduler_cyclic_lr(adagrad, 1, 2, NULL), E, "adagrad has neither beta1 nor");
    mn_scheduler *s = mn_scheduler_cyclic_lr(adagrad, 1, 2,
                                             &(mn_scheduler_cyclic_lr_opts){.keep_momentum = true});
    ck_assert_ptr_nonnull(s);
    REFUSED(
        mn_scheduler_sequential((mn_scheduler *[]){mn_scheduler_exponential_lr(o, 0.5), s}, 2, one),
        E, "mn_scheduler_sequential: scheduler 1 (cyclic_lr) belongs to another optimizer");
    s = mn_scheduler_exponential_lr(o, 0.5);
    REFUSED(mn_scheduler_chained((mn_scheduler *[]){s, s}, 2), E,
            "mn_scheduler_chained: scheduler 1 (exponential_lr) is there already");
    s = mn_scheduler_reduce_lr_on_plateau(o, 0.1, 10, 0, NULL);
    ck_assert_int_eq(mn_scheduler_step(s), E);
    check_last(E, "reduce_lr_on_plateau is stepped by mn_scheduler_step_metric");
    REFUSED(mn_scheduler_chained(&s, 1), E, "(reduce_lr_on_plateau) is stepped by a metric");
    REFUSED(mn_scheduler_chained(&s, 0), E, "there must be at least one scheduler");
    REFUSED(mn_scheduler_chained(NULL, 1), E, "the list is NULL");
    REFUSED(mn_scheduler_sequential((mn_scheduler *[]){mn_scheduler_exponential_lr(o, 0.5), NULL},
                                    2, one),
            E, "mn_scheduler_sequential: scheduler 1 is NULL");
    REFUSED(mn_scheduler_sequential((mn_scheduler *[]){mn_scheduler_exponential_lr(o, 0.5),
                                                       mn_scheduler_exponential_lr(o, -1)},
                                    2, one),
            E, "mn_scheduler_exponential_lr: gamma -1"); /* the first reason stays */
    REFUSED(mn_scheduler_sequential((mn_scheduler *[]){mn_scheduler_exponential_lr(o, 1),
                                                       mn_scheduler_exponential_lr(o, 1),
                                                       mn_scheduler_exponential_lr(o, 1)},
                                    3, falling),
            E, "mn_scheduler_sequential: milestone 1 is 2, not at least 3");
    REFUSED(mn_scheduler_sequential((mn_scheduler *[]){mn_scheduler_exponential_lr(o, 1),
                                                       mn_scheduler_exponential_lr(o, 1)},
                                    2, NULL),
            E, "mn_scheduler_sequential: the list of milestones is NULL");
    REFUSED(mn_scheduler_step_lr(NULL, 1, 1), E, "mn_scheduler_step_lr: the optimizer is NULL");
    s = mn_scheduler_exponential_lr(o, 0.5);
    ck_assert_int_eq(mn_scheduler_step_metric(s, 1), E);
    check_last(E, "mn_scheduler_step_metric: exponential_lr is stepped by mn_scheduler_step");
    ck_assert_int_eq(mn_scheduler_step(NULL), E);
    check_last(E, "mn_scheduler_step: the scheduler is NULL");
    ck_assert_int_eq(mn_scheduler_step_metric(NULL, 1), E);
    check_last(E, "mn_scheduler_step_metric: the scheduler is NULL");
    ck_assert_int_eq(mn_scheduler_epoch(NULL), -1);
    ck_assert_int_eq(mn_scheduler_state(NULL, NULL, 0), -1);
    check_last(E, "mn_scheduler_state: the scheduler is NULL");
    ck_assert_int_eq(mn_scheduler_load_state(NULL, NULL, 0), E);
    check_last(E, "mn_scheduler_load_state: the scheduler is NULL");
    mn_state_item items[2] = {{"last_epoch", NULL, 7}, {"T_cur", NULL, 1}};
    ck_assert_int_eq(mn_scheduler_load_state(s, items, 2), E);
    check_last(E, "mn_scheduler_load_state: exponential_lr has no place for \"T_cur\"");
    ck_assert_int_eq(mn_scheduler_epoch(s), 0);
    strcpy(items[1].name, "0.last_epoch");
    ck_assert_int_eq(mn_scheduler_load_state(s, items, 2), E);
    check_last(E, "exponential_lr has no place for \"0.last_epoch\"");
    items[0].number = -2;
    ck_assert_int_eq(mn_scheduler_load_state(s, items, 1), E);
    check_last(E, "\"last_epoch\" is not a whole number >= 0");
    mn_scheduler_free(s);
    mn_scheduler_free(NULL);
    mn_optim_free(o);
    mn_optim_free(adagrad);
    mn_release(mine);
    mn_release(other);
}
END_TEST

START_TEST(constructors_that_run_out_of_memory_leak_nothing)
{
    mn_optim *o = sgd();
    for (int failures = 0;; failures++) {
        ck_assert_int_lt(failures, 100);
        int64_t alive = mn_live_allocations();
        left = failures;
        mn_scheduler *s = make_warmup(o, NULL);
        left = INT64_MAX;
        if (s) {
            ck_assert_int_ge(failures, 5);
            mn_scheduler_free(s);
            break;
        }
        check_last(MN_ERR_MEMORY, "out of memory");
        ck_assert_int_eq(mn_live_allocations(), alive);
    }
    mn_optim_free(o);
    mn_release(parameter);
}
END_TEST

int main(void)
{
    fixture_read(&schedules, MNI_SOURCE_DIR "/tests/fixtures/scheduler.txt");
    Suite *s = suite_create("scheduler");
    TCase *c = tcase_create("scheduler");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, rates_agree_with_pytorch, 0, schedules.n);
    tcase_add_loop_test(c, a_saved_scheduler_goes_on_as_if_nothing_had_happened, 0, schedules.n);
    tcase_add_test(c, a_group_that_is_added_later_joins);
    tcase_add_test(c, a_step_that_fails_changes_nothing);
    tcase_add_test(c, chained_schedulers_may_be_a_part_of_a_sequence);
    tcase_add_test(c, a_cycle_whose_way_up_has_no_steps_begins_at_the_top);
    tcase_add_test(c, momentum_may_begin_with_a_cycle);
    tcase_add_test(c, senseless_numbers_are_refused_with_their_values);
    tcase_add_test(c, what_does_not_go_together_is_refused);
    tcase_add_test(c, constructors_that_run_out_of_memory_leak_nothing);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&schedules);
    return failed != 0;
}
