/*
 * tests/test_optimizers.c: every optimizer. One row makes it from a case's arguments; twenty steps
 * are compared with PyTorch's (tests/fixtures/optim.txt), and what holds for all of them is tested by
 * running over the rows: states, wrong options, memory, threads.
 */
#include "fixture.h"
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 20, PARAMETERS = 2, LARGE = 100003 };

static fixture optimizers;
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

/* ---- the rows ---- */

/* From parameters, and from all of a module. */
#define MAKE(name, ...)                                                                            \
    static mn_optim *make_##name(mn_tensor *const *p, int n, const double *a)                      \
    {                                                                                              \
        return mn_optim_##name##_tensors(p, n, __VA_ARGS__);                                       \
    }                                                                                              \
    static mn_optim *of_module_##name(mn_module *m, const double *a)                               \
    {                                                                                              \
        return mn_optim_##name(m, __VA_ARGS__);                                                    \
    }
#define YES(k) (a[k] != 0)

MAKE(sgd, a[0],
     &(mn_optim_sgd_opts){.momentum = a[1],
                          .dampening = a[2],
                          .weight_decay = a[3],
                          .nesterov = YES(4),
                          .maximize = YES(5)})
MAKE(adam, a[0], a[1], a[2],
     &(mn_optim_adam_opts){.eps = a[3],
                           .weight_decay = a[4],
                           .maximize = YES(5),
                           .amsgrad = YES(6),
                           .decoupled_weight_decay = YES(7)})
MAKE(adamw, a[0], a[1], a[2], a[4],
     &(mn_optim_adamw_opts){.eps = a[3], .maximize = YES(5), .amsgrad = YES(6)})
MAKE(adamax, a[0], a[1], a[2],
     &(mn_optim_adamax_opts){.eps = a[3], .weight_decay = a[4], .maximize = YES(5)})
MAKE(nadam, a[0], a[1], a[2], a[3],
     &(mn_optim_nadam_opts){
         .eps = a[4], .weight_decay = a[5], .maximize = YES(6), .decoupled_weight_decay = YES(7)})
MAKE(radam, a[0], a[1], a[2],
     &(mn_optim_radam_opts){
         .eps = a[3], .weight_decay = a[4], .maximize = YES(5), .decoupled_weight_decay = YES(6)})
MAKE(adagrad, a[0],
     &(mn_optim_adagrad_opts){.lr_decay = a[1],
                              .initial_accumulator_value = a[2],
                              .eps = a[3],
                              .weight_decay = a[4],
                              .maximize = YES(5)})
MAKE(adadelta, a[0], a[1],
     &(mn_optim_adadelta_opts){.eps = a[2], .weight_decay = a[3], .maximize = YES(4)})
MAKE(rmsprop, a[0], a[1],
     &(mn_optim_rmsprop_opts){.eps = a[2],
                              .weight_decay = a[3],
                              .maximize = YES(4),
                              .momentum = a[5],
                              .centered = YES(6)})
MAKE(rprop, a[0],
     &(mn_optim_rprop_opts){
         .etaminus = a[1], .etaplus = a[2], .step_min = a[3], .step_max = a[4], .maximize = YES(5)})
MAKE(lion, a[0], a[1], a[2], &(mn_optim_lion_opts){.weight_decay = a[3], .maximize = YES(4)})
MAKE(asgd, a[0], a[1], a[2], a[3], &(mn_optim_asgd_opts){.weight_decay = a[4], .maximize = YES(5)})

MAKE(muon, a[0], a[1], a[2],
     &(mn_optim_muon_opts){.no_nesterov = !YES(3),
                           .ns_coefficients = {a[4], a[5], a[6]},
                           .eps = a[7],
                           .ns_steps = (int)a[8],
                           .match_rms_adamw = YES(9)})
MAKE(adafactor, a[0], a[1],
     &(mn_optim_adafactor_opts){
         .eps1 = a[2], .eps2 = a[3], .d = a[4], .weight_decay = a[5], .maximize = YES(6)})

/* The row of an optimizer. states: its state tensors in the default case, in the order of names;
 * wrong: arguments that it must refuse, and what it says then. */
static const struct row {
    const char *name;
    mn_optim *(*make)(mn_tensor *const *p, int n, const double *a);
    mn_optim *(*of_module)(mn_module *m, const double *a);
    const char *states[4];
    struct {
        int argument;
        double value;
        const char *says;
    } wrong[10];
} rows[] = {
    {"sgd",
     make_sgd,
     of_module_sgd,
     {NULL},
     {{1, -0.5, "momentum -0.5 is not a number >= 0"},
      {2, INFINITY, "dampening inf is not a finite number"},
      {3, -1, "weight_decay -1 is not a number >= 0"},
      {4, 1, "nesterov needs momentum above 0 and dampening 0, not 0 and 0"}}},
    {"adam",
     make_adam,
     of_module_adam,
     {"exp_avg", "exp_avg_sq"},
     {{1, 1, "beta1 1 is not in [0, 1)"},
      {1, -0.1, "beta1 -0.1 is not in [0, 1)"},
      {2, 1.5, "beta2 1.5 is not in [0, 1)"},
      {2, NAN, "beta2 nan is not in [0, 1)"},
      {3, -1, "eps -1 is not a number >= 0"},
      {4, -1, "weight_decay -1 is not a number >= 0"},
      {4, INFINITY, "weight_decay inf is not a number >= 0"}}},
    {"adamw",
     make_adamw,
     of_module_adamw,
     {"exp_avg", "exp_avg_sq"},
     {{1, 1, "beta1 1 is not in [0, 1)"},
      {2, -1, "beta2 -1 is not in [0, 1)"},
      {3, -1, "eps -1 is not a number >= 0"},
      {4, -1, "weight_decay -1 is not a number >= 0"}}},
    {"adamax",
     make_adamax,
     of_module_adamax,
     {"exp_avg", "exp_inf"},
     {{1, 1, "beta1 1 is not in [0, 1)"},
      {2, -1, "beta2 -1 is not in [0, 1)"},
      {3, -1, "eps -1 is not a number >= 0"},
      {4, -1, "weight_decay -1 is not a number >= 0"}}},
    {"nadam",
     make_nadam,
     of_module_nadam,
     {"exp_avg", "exp_avg_sq"},
     {{1, 1, "beta1 1 is not in [0, 1)"},
      {2, -1, "beta2 -1 is not in [0, 1)"},
      {3, -0.1, "momentum_decay -0.1 is not a number >= 0"},
      {4, -1, "eps -1 is not a number >= 0"},
      {5, -1, "weight_decay -1 is not a number >= 0"}}},
    {"radam",
     make_radam,
     of_module_radam,
     {"exp_avg", "exp_avg_sq"},
     {{1, 1, "beta1 1 is not in [0, 1)"},
      {2, -1, "beta2 -1 is not in [0, 1)"},
      {3, -1, "eps -1 is not a number >= 0"},
      {4, -1, "weight_decay -1 is not a number >= 0"}}},
    {"adagrad",
     make_adagrad,
     of_module_adagrad,
     {"sum"},
     {{1, -1, "lr_decay -1 is not a number >= 0"},
      {2, -1, "initial_accumulator_value -1 is not a number >= 0"},
      {3, -1, "eps -1 is not a number >= 0"},
      {4, -1, "weight_decay -1 is not a number >= 0"}}},
    {"adadelta",
     make_adadelta,
     of_module_adadelta,
     {"acc_delta", "square_avg"},
     {{1, 1.1, "rho 1.1 is not in [0, 1]"},
      {1, -0.1, "rho -0.1 is not in [0, 1]"},
      {2, -1, "eps -1 is not a number >= 0"},
      {3, -1, "weight_decay -1 is not a number >= 0"}}},
    {"rmsprop",
     make_rmsprop,
     of_module_rmsprop,
     {"square_avg"},
     {{1, 1.1, "alpha 1.1 is not in [0, 1]"},
      {2, -1, "eps -1 is not a number >= 0"},
      {3, -1, "weight_decay -1 is not a number >= 0"},
      {5, -1, "momentum -1 is not a number >= 0"}}},
    {"rprop",
     make_rprop,
     of_module_rprop,
     {"prev", "step_size"},
     {{1, 1, "etaminus 1 is not in (0, 1)"},
      {1, -1, "etaminus -1 is not in (0, 1)"},
      {2, 1, "etaplus 1 is not a number > 1"},
      {3, -1, "step_min -1 is not a number >= 0"},
      {4, -1, "step_max -1 is not a number >= 0"},
      {4, 1e-7, "step_min 1e-06 is above step_max 1e-07"}}},
    {"lion",
     make_lion,
     of_module_lion,
     {"exp_avg"},
     {{1, 1, "beta1 1 is not in [0, 1)"},
      {2, -1, "beta2 -1 is not in [0, 1)"},
      {3, -1, "weight_decay -1 is not a number >= 0"}}},
    {"asgd",
     make_asgd,
     of_module_asgd,
     {"ax"},
     {{1, -1, "lambd -1 is not a number >= 0"},
      {2, -1, "alpha -1 is not a number >= 0"},
      {3, NAN, "t0 nan is not a number >= 0"},
      {4, -1, "weight_decay -1 is not a number >= 0"}}},
    {"muon",
     make_muon,
     of_module_muon,
     {"momentum_buffer"},
     {{1, -1, "weight_decay -1 is not a number >= 0"},
      {2, -1, "momentum -1 is not a number >= 0"},
      {5, INFINITY, "ns_b inf is not a finite number"},
      {7, -1, "eps -1 is not a number >= 0"},
      {8, -1, "ns_steps -1 is not a whole number >= 1"},
      {8, 100, "ns_steps 100 is not below 100"}}},
    {"adafactor",
     make_adafactor,
     of_module_adafactor,
     {"col_var", "row_var"},
     {{1, 0.1, "beta2_decay 0.1 is not a number <= 0"},
      {2, -1, "eps1 -1 is not a number >= 0"},
      {3, -1, "eps2 -1 is not a number >= 0"},
      {4, 0.5, "d 0.5 is not a number >= 1"},
      {5, -1, "weight_decay -1 is not a number >= 0"}}},
};
enum { ROWS = sizeof rows / sizeof *rows };

static const struct row *row_of(const fixture_case *f)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, f->op) == 0) return &rows[i];
    ck_abort_msg("%s has no row", f->path);
    return NULL;
}

/* The case of an optimizer in which every argument is PyTorch's default. */
static const fixture_case *default_case(const char *name, mn_dtype dtype)
{
    char path[64];
    snprintf(path, sizeof path, "%s.default.%s", name, mn_dtype_name(dtype));
    for (int i = 0; i < optimizers.n; i++)
        if (strcmp(optimizers.cases[i].path, path) == 0) return &optimizers.cases[i];
    ck_abort_msg("%s is missing", path);
    return NULL;
}

/* ---- running a case ---- */

typedef struct run {
    const fixture_case *f;
    mn_tape *t;
    mn_optim *o;
    mn_tensor *p[PARAMETERS];
    mn_rng gradient[PARAMETERS];
} run;

static run start(const fixture_case *f, int threads)
{
    run r = {.f = f, .t = mn_tape_new(&(mn_tape_opts){.threads = threads})};
    for (int i = 0; i < PARAMETERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "gradient%d", i);
        r.gradient[i] = fixture_rng(f, name);
        r.p[i] = fixture_input(f, i);
        ck_assert_int_eq(mn_tensor_set_requires_grad(r.p[i], true), MN_OK);
    }
    r.o = row_of(f)->make(r.p, PARAMETERS, f->args.number);
    ck_assert_msg(r.o, "%s: %s", f->path, mn_last_message());
    return r;
}

static void stop(run *r)
{
    mn_optim_free(r->o);
    for (int i = 0; i < PARAMETERS; i++) mn_release(r->p[i]);
    mn_tape_free(r->t);
}

/* Leaves the gradient g on p. */
static void give(mn_tape *t, mn_tensor *p, mn_tensor *g)
{
    mn_tensor_zero_grad(p);
    ck_assert_int_eq(mn_backward(t, mn_sum(t, mn_mul(t, p, g))), MN_OK);
}

static void give_drawn(run *r)
{
    for (int i = 0; i < PARAMETERS; i++) {
        int64_t shape[MN_MAX_DIMS];
        for (int d = 0; d < mn_tensor_ndim(r->p[i]); d++) shape[d] = mn_tensor_size(r->p[i], d);
        mn_tensor *g = mn_empty(r->t, mn_tensor_dtype(r->p[i]), mn_tensor_ndim(r->p[i]), shape);
        ck_assert_int_eq(mn_tensor_uniform(g, -1, 1, &r->gradient[i]), MN_OK);
        give(r->t, r->p[i], g);
    }
}

static void step(run *r)
{
    give_drawn(r);
    mn_error e = mn_optim_step(r->o, r->t);
    ck_assert_msg(e == MN_OK, "%s: %s", r->f->path, mn_tape_message(r->t));
    mn_tape_reset(r->t);
}

/* The state tensors of parameter 0 by name; returns how many. */
static int states(const mn_optim *o, mn_state_item *found)
{
    mn_state_item items[64];
    int all = mn_optim_state(o, items, 64), n = 0;
    ck_assert_int_le(all, 64);
    for (int i = 0; i < all; i++) {
        if (!items[i].tensor || strncmp(items[i].name, "state.0.", 8) != 0) continue;
        int at = n++;
        for (; at > 0 && strcmp(found[at - 1].name, items[i].name) > 0; at--)
            found[at] = found[at - 1];
        found[at] = items[i];
    }
    return n;
}

/* Values one after the other, of the case's dtype. */
typedef struct values {
    char bytes[4096];
    size_t size;
} values;

static void append(values *v, const mn_tensor *x)
{
    size_t size = (size_t)mn_tensor_numel(x) * mn_dtype_size(mn_tensor_dtype(x));
    ck_assert_uint_le(v->size + size, sizeof v->bytes);
    memcpy(v->bytes + v->size, mn_tensor_data(x), size);
    v->size += size;
}

START_TEST(twenty_steps_agree_with_pytorch)
{
    const fixture_case *f = &optimizers.cases[_i];
    values v[PARAMETERS + 1] = {{{0}, 0}};
    run r = start(f, 1);
    for (int k = 1; k <= STEPS; k++) {
        step(&r);
        for (int i = 0; i < PARAMETERS; i++)
            if (k == 1 || k == 2 || k == STEPS) append(&v[i], r.p[i]);
    }
    mn_state_item found[8];
    int kept = states(r.o, found);
    for (int k = 0; k < kept; k++) append(&v[PARAMETERS], found[k].tensor);
    for (int k = 0; k <= PARAMETERS; k++) {
        char text[256];
        ck_assert_uint_eq(v[k].size, (size_t)f->out[k].numel * mn_dtype_size(f->dtype));
        mn_tensor *got = mn_tensor_from(f->dtype, f->out[k].ndim, f->out[k].shape, v[k].bytes);
        ck_assert_msg(fixture_output_agrees(f, k, got, text, sizeof text), "%s: %s", f->path, text);
        mn_release(got);
    }
    stop(&r);
}
END_TEST

/* ---- what holds for every optimizer ---- */

START_TEST(state_tensors_have_pytorchs_names)
{
    run r = start(default_case(rows[_i].name, MN_F64), 1);
    mn_state_item found[8];
    ck_assert_int_eq(states(r.o, found), 0);
    step(&r);
    int n = states(r.o, found);
    for (int k = 0; k < n; k++)
        ck_assert_msg(rows[_i].states[k] && strcmp(found[k].name + 8, rows[_i].states[k]) == 0,
                      "%s", found[k].name);
    ck_assert_ptr_null(rows[_i].states[n]);
    stop(&r);
}
END_TEST

START_TEST(senseless_options_are_refused_with_their_values)
{
    const struct row *row = &rows[_i];
    const fixture_case *f = default_case(row->name, MN_F64);
    run r = start(f, 1);
    char who[64];
    snprintf(who, sizeof who, "mn_optim_%s_tensors: ", row->name);
    for (int k = -1; k < 10; k++) {
        double a[FIXTURE_ARGS];
        const char *says = k < 0 ? "lr -1 is not a number >= 0" : row->wrong[k].says;
        if (!says) break;
        memcpy(a, f->args.number, sizeof a);
        a[k < 0 ? 0 : row->wrong[k].argument] = k < 0 ? -1 : row->wrong[k].value;
        mn_clear_last_error();
        ck_assert_ptr_null(row->make(r.p, PARAMETERS, a));
        ck_assert_int_eq(mn_last_error(), MN_ERR_ARGUMENT);
        ck_assert_msg(strncmp(mn_last_message(), who, strlen(who)) == 0 &&
                          strcmp(mn_last_message() + strlen(who), says) == 0,
                      "%s", mn_last_message());
    }
    stop(&r);
}
END_TEST

/* Both parameters after some steps, bit for bit. */
static bool same(const run *a, const run *b)
{
    for (int i = 0; i < PARAMETERS; i++)
        if (memcmp(mn_tensor_data(a->p[i]), mn_tensor_data(b->p[i]),
                   (size_t)mn_tensor_numel(a->p[i]) * mn_dtype_size(mn_tensor_dtype(a->p[i]))))
            return false;
    return true;
}

START_TEST(a_step_without_memory_changes_nothing_and_may_be_repeated)
{
    const fixture_case *f = default_case(rows[_i].name, MN_F64);
    run r = start(f, 1), calm = start(f, 1);
    step(&calm);
    give_drawn(&r);
    int failures = 0;
    for (;; failures++) {
        left = failures;
        mn_error e = mn_optim_step(r.o, r.t);
        bool reached = left == 0;
        left = INT64_MAX;
        if (e == MN_OK) break;
        ck_assert(reached && failures < 100 && e == MN_ERR_MEMORY);
        mn_tape_clear_error(r.t);
        run fresh = start(f, 1);
        ck_assert(same(&r, &fresh));
        stop(&fresh);
    }
    ck_assert_int_ge(failures, rows[_i].states[0] ? 2 : 0);
    ck_assert(same(&r, &calm));
    mn_tape_reset(r.t);
    int64_t before = 0;
    for (int k = 0; k < 5; k++) { /* and once it and the tape have their memory it takes no more */
        step(&r);
        step(&calm);
        if (k == 1) before = left;
    }
    ck_assert_int_eq(left, before);
    ck_assert(same(&r, &calm));
    stop(&r);
    stop(&calm);
}
END_TEST

enum { ROW_LENGTH = 411, ROW_COUNT = LARGE / ROW_LENGTH, THIRD = ROW_LENGTH / 3 };

/* Three steps of a large parameter, on gradients made from its own values. gaps: it lies in memory
 * column by column, with as much between. */
static mn_tensor *large_run(const struct row *row, int ndim, int threads, mn_dtype dtype, bool gaps)
{
    const int64_t shape[3] = {ROW_COUNT, ndim == 3 ? 3 : ROW_LENGTH, THIRD};
    const int64_t strides[3] = {2, 2 * ROW_COUNT, 6 * ROW_COUNT};
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    mn_rng rng = mn_rng_make(5, 6);
    double *memory = calloc(2 * ROW_COUNT * ROW_LENGTH, sizeof *memory);
    mn_tensor *p = mn_tensor_empty(dtype, ndim, shape);
    mn_tensor *w =
        gaps ? mn_tensor_wrap(dtype, ndim, shape, strides, memory, NULL, NULL) : mn_retain(p);
    ck_assert_int_eq(mn_tensor_uniform(p, -1, 1, &rng), MN_OK);
    if (gaps) ck_assert_int_eq(mn_tensor_copy(w, p), MN_OK);
    ck_assert_int_eq(mn_tensor_set_requires_grad(w, true), MN_OK);
    mn_optim *o = row->make(&w, 1, default_case(row->name, dtype)->args.number);
    for (int k = 0; k < 3; k++) {
        mn_optim_zero_grad(o);
        mn_tensor *cube = mn_mul(t, w, mn_mul(t, w, w));
        mn_backward(t, mn_sum(t, k == 1 ? mn_neg(t, cube) : cube));
        ck_assert_int_eq(mn_optim_step(o, t), MN_OK);
        mn_tape_reset(t);
    }
    mn_tensor_set_requires_grad(w, false);
    if (gaps) ck_assert_int_eq(mn_tensor_copy(p, w), MN_OK);
    mn_optim_free(o);
    mn_release(w);
    mn_tape_free(t);
    free(memory);
    return p;
}

START_TEST(steps_have_the_same_bits_for_any_number_of_threads_and_any_memory)
{
    static const struct {
        int threads;
        bool gaps;
    } ways[] = {{2, false}, {3, false}, {1, true}};
    for (int i = 0; i < 4; i++) {
        mn_dtype dtype = i % 2 ? MN_F64 : MN_F32;
        int ndim = 2 + i / 2;
        if (ndim == 3 && rows[_i].make == make_muon) continue;
        mn_tensor *one = large_run(&rows[_i], ndim, 1, dtype, false);
        size_t size = (size_t)mn_tensor_numel(one) * mn_dtype_size(dtype);
        for (int k = 0; k < 3; k++) {
            mn_tensor *other = large_run(&rows[_i], ndim, ways[k].threads, dtype, ways[k].gaps);
            ck_assert_int_eq(memcmp(mn_tensor_data(one), mn_tensor_data(other), size), 0);
            mn_release(other);
        }
        mn_release(one);
    }
}
END_TEST

START_TEST(a_module_gives_what_its_parameters_give)
{
    const double *a = default_case(rows[_i].name, MN_F32)->args.number;
    mn_module *m = mn_nn_linear(3, 2, &(mn_nn_linear_opts){.no_bias = true});
    mn_tensor *w = mn_module_get(m, "weight");
    mn_optim *o[2] = {rows[_i].of_module(m, a), rows[_i].make(&w, 1, a)};
    mn_state_item items[2][32];
    int n = mn_optim_state(o[0], items[0], 32);
    ck_assert(n > 2 && n <= 32 && n == mn_optim_state(o[1], items[1], 32));
    for (int i = 0; i < n; i++) {
        ck_assert_str_eq(items[0][i].name, items[1][i].name);
        ck_assert_double_eq(items[0][i].number, items[1][i].number);
    }
    char who[64];
    snprintf(who, sizeof who, "mn_optim_%s: lr -1 is not a number >= 0", rows[_i].name);
    double wrong[FIXTURE_ARGS];
    memcpy(wrong, a, sizeof wrong);
    wrong[0] = -1;
    ck_assert_ptr_null(rows[_i].of_module(m, wrong));
    ck_assert_str_eq(mn_last_message(), who);
    for (int i = 0; i < 2; i++) mn_optim_free(o[i]);
    mn_module_free(m);
}
END_TEST

START_TEST(muon_refuses_what_is_not_a_matrix)
{
    mn_module *m = mn_nn_sequential(mn_nn_linear(3, 2, NULL));
    ck_assert_ptr_null(mn_optim_muon(m, 0.1, 0, 0.9, NULL));
    ck_assert_str_eq(
        mn_last_message(),
        "mn_optim_muon: parameter \"0.bias\" is f32 [2]; muon steps matrices, the rest "
        "is for another optimizer");
    mn_module_free(m);
}
END_TEST

START_TEST(what_is_frozen_or_has_no_gradient_is_passed_over)
{
    const fixture_case *f = default_case(rows[_i].name, MN_F64);
    run r = start(f, 1), fresh = start(f, 1);
    give_drawn(&r);
    mn_tensor_set_requires_grad(r.p[0], false);
    mn_tensor_zero_grad(r.p[1]);
    uint32_t versions[2] = {mn_tensor_version(r.p[0]), mn_tensor_version(r.p[1])};
    ck_assert_int_eq(mn_optim_step(r.o, r.t), MN_OK);
    ck_assert(same(&r, &fresh));
    for (int i = 0; i < 2; i++) ck_assert_uint_eq(mn_tensor_version(r.p[i]), versions[i]);
    mn_tensor_set_requires_grad(r.p[0], true); /* its first step is only now */
    r.gradient[0] = fresh.gradient[0];
    r.gradient[1] = fresh.gradient[1];
    mn_tape_reset(r.t);
    step(&r);
    step(&fresh);
    ck_assert(same(&r, &fresh));
    stop(&r);
    stop(&fresh);
}
END_TEST

START_TEST(a_saved_optimizer_goes_on_as_if_nothing_had_happened)
{
    const fixture_case *f = default_case(rows[_i].name, MN_F32);
    run r = start(f, 1), copy = start(f, 1);
    for (int k = 0; k < 3; k++) step(&r);
    mn_state_item items[64];
    int n = mn_optim_state(r.o, items, 64);
    ck_assert(n > 4 && n <= 64 && mn_optim_state(r.o, NULL, 0) == n);
    for (int i = 0; i < PARAMETERS; i++) {
        ck_assert_int_eq(mn_tensor_copy(copy.p[i], r.p[i]), MN_OK);
        copy.gradient[i] = r.gradient[i];
    }
    mn_optim_set_lr(copy.o, 0, 0.5);
    ck_assert_msg(mn_optim_load_state(copy.o, items, n) == MN_OK, "%s", mn_last_message());
    ck_assert_double_eq(mn_optim_lr(copy.o, 0), mn_optim_lr(r.o, 0));
    for (int k = 0; k < 3; k++) {
        step(&r);
        step(&copy);
        ck_assert(same(&r, &copy));
    }
    stop(&r);
    stop(&copy);
}
END_TEST

int main(void)
{
    fixture_read(&optimizers, MNI_SOURCE_DIR "/tests/fixtures/optim.txt");
    Suite *s = suite_create("optimizers");
    TCase *c = tcase_create("optimizers");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, twenty_steps_agree_with_pytorch, 0, optimizers.n);
    tcase_add_loop_test(c, state_tensors_have_pytorchs_names, 0, ROWS);
    tcase_add_loop_test(c, senseless_options_are_refused_with_their_values, 0, ROWS);
    tcase_add_loop_test(c, a_step_without_memory_changes_nothing_and_may_be_repeated, 0, ROWS);
    tcase_add_loop_test(c, steps_have_the_same_bits_for_any_number_of_threads_and_any_memory, 0,
                        ROWS);
    tcase_add_loop_test(c, what_is_frozen_or_has_no_gradient_is_passed_over, 0, ROWS);
    tcase_add_loop_test(c, a_saved_optimizer_goes_on_as_if_nothing_had_happened, 0, ROWS);
    tcase_add_loop_test(c, a_module_gives_what_its_parameters_give, 0, ROWS);
    tcase_add_test(c, muon_refuses_what_is_not_a_matrix);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&optimizers);
    return failed != 0;
}
