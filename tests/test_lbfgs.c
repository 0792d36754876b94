/*
 * tests/test_lbfgs.c: L-BFGS, with and without a line search, against PyTorch's on two problems
 * (tests/fixtures/lbfgs.txt), and what happens when the closure fails.
 */
#include "fixture.h"
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

static fixture problems;
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

/* ---- the problems ---- */

typedef struct run {
    const fixture_case *f;
    mn_tape *t;
    mn_optim *o;
    mn_tensor *in[FIXTURE_INPUTS]; /* two parameters, then data */
    int asked, fail_at;            /* losses computed; the one that fails, 0: none */
} run;

static mn_tensor *network(mn_tape *t, mn_tensor *const *in)
{
    mn_tensor *y = mn_tanh(t, mn_add(t, mn_matmul(t, in[2], in[0]), in[1]));
    mn_tensor *off = mn_sub(t, y, in[3]), *w = in[0];
    return mn_add(t, mn_mean(t, mn_mul(t, off, off)),
                  mn_mul_scalar(t, mn_sum(t, mn_mul(t, w, w)), 0.01));
}

static mn_tensor *rosenbrock(mn_tape *t, mn_tensor *const *in)
{
    mn_tensor *off = mn_sub(t, in[1], mn_mul(t, in[0], in[0]));
    mn_tensor *rest = mn_add_scalar(t, mn_neg(t, in[0]), 1);
    return mn_sum(t, mn_add(t, mn_mul_scalar(t, mn_mul(t, off, off), 100), mn_mul(t, rest, rest)));
}

static mn_tensor *loss(mn_tape *t, void *user)
{
    run *r = user;
    if (++r->asked == r->fail_at) return mn_tape_fail(t, MN_ERR_STATE, "no more losses");
    return strcmp(r->f->op, "network") == 0 ? network(t, r->in) : rosenbrock(t, r->in);
}

static const fixture_case *find(const char *path)
{
    for (int i = 0; i < problems.n; i++)
        if (strcmp(problems.cases[i].path, path) == 0) return &problems.cases[i];
    ck_abort_msg("%s is missing", path);
    return NULL;
}

static run start(const fixture_case *f, int threads)
{
    const double *a = f->args.number;
    run r = {.f = f, .t = mn_tape_new(&(mn_tape_opts){.threads = threads})};
    for (int i = 0; i < f->n_in; i++) {
        r.in[i] = fixture_input(f, i);
        ck_assert_int_eq(mn_tensor_set_requires_grad(r.in[i], i < 2), MN_OK);
    }
    r.o = mn_optim_lbfgs_tensors(r.in, 2, a[0],
                                 &(mn_optim_lbfgs_opts){.max_iter = (int)a[1],
                                                        .max_eval = (int)a[2],
                                                        .tolerance_grad = a[3],
                                                        .tolerance_change = a[4],
                                                        .history_size = (int)a[5],
                                                        .strong_wolfe = a[6] != 0});
    ck_assert_msg(r.o, "%s", mn_last_message());
    return r;
}

static double step(run *r)
{
    double before = mn_optim_step_closure(r->o, r->t, loss, r);
    mn_tape_reset(r->t);
    return before;
}

static void stop(run *r)
{
    mn_optim_free(r->o);
    for (int i = 0; i < r->f->n_in; i++) mn_release(r->in[i]);
    mn_tape_free(r->t);
}

static bool same(const run *a, const run *b)
{
    for (int i = 0; i < 2; i++)
        if (memcmp(mn_tensor_data(a->in[i]), mn_tensor_data(b->in[i]),
                   (size_t)mn_tensor_numel(a->in[i]) * mn_dtype_size(mn_tensor_dtype(a->in[i]))))
            return false;
    return true;
}

static double number(const run *r, const char *name)
{
    mn_state_item items[32];
    int n = mn_optim_state(r->o, items, 32);
    for (int i = 0; i < n; i++)
        if (strcmp(items[i].name, name) == 0) return items[i].number;
    return NAN;
}

/* ---- tests ---- */

START_TEST(steps_agree_with_pytorch)
{
    const fixture_case *f = &problems.cases[_i];
    run r = start(f, 1);
    const int64_t steps = (int64_t)f->args.number[7];
    char text[256];
    mn_tensor *losses = mn_tensor_empty(f->dtype, 1, &steps);
    for (int64_t k = 0; k < steps; k++) {
        double before = step(&r);
        ck_assert_msg(mn_tape_error(r.t) == MN_OK, "%s: %s", f->path, mn_tape_message(r.t));
        ck_assert_int_eq(mn_tensor_set(losses, &k, before), MN_OK);
    }
    const mn_tensor *got[3] = {losses, r.in[0], r.in[1]};
    for (int k = 0; k < 3; k++)
        ck_assert_msg(fixture_output_agrees(f, k, got[k], text, sizeof text), "%s: %s", f->path,
                      text);
    ck_assert_double_eq(number(&r, "state.0.n_iter"), f->out[3].values[0]);
    ck_assert_double_eq(number(&r, "state.0.func_evals"), f->out[3].values[1]);
    ck_assert_int_eq(r.asked, (int)f->out[3].values[1]);
    mn_release(losses);
    stop(&r);
}
END_TEST

START_TEST(a_step_whose_closure_fails_changes_nothing)
{
    const fixture_case *f = find("network.short.f64");
    run r = start(f, 1), calm = start(f, 1);
    step(&r);
    step(&calm);
    const int losses = r.asked;
    const double iterations = number(&r, "state.0.n_iter");
    for (int k = 1; k <= 2; k++) {
        r.asked = 0;
        r.fail_at = k;
        ck_assert_double_nan(step(&r));
        ck_assert(strstr(mn_tape_message(r.t), "no more losses"));
        mn_tape_clear_error(r.t);
        ck_assert(same(&r, &calm));
        ck_assert_double_eq(number(&r, "state.0.n_iter"), k == 1 ? iterations : 0); /* anew */
    }
    r.fail_at = 0;
    ck_assert_double_eq(step(&r), step(&calm));
    ck_assert(!same(&r, &calm)); /* without its history */
    ck_assert_int_gt(losses, 2);
    stop(&r);
    stop(&calm);
}
END_TEST

START_TEST(a_step_without_memory_changes_nothing)
{
    const fixture_case *f = find("network.short.f64");
    run r = start(f, 1), fresh = start(f, 1), calm = start(f, 1);
    ck_assert(!isnan(step(&calm)));
    int failures = 0;
    for (;; failures++) {
        left = failures;
        double before = step(&r);
        left = INT64_MAX;
        if (!isnan(before)) break;
        ck_assert_int_lt(failures, 100);
        ck_assert_int_eq(mn_tape_error(r.t), MN_ERR_MEMORY);
        mn_tape_clear_error(r.t);
        ck_assert(same(&r, &fresh));
    }
    ck_assert_int_gt(failures, 6);
    ck_assert(same(&r, &calm));
    stop(&r);
    stop(&fresh);
    stop(&calm);
}
END_TEST

START_TEST(steps_after_the_first_allocate_nothing)
{
    run r = start(find("network.one_by_one.f64"), 1);
    for (int k = 0; k < 3; k++) step(&r);
    int64_t before = left;
    for (int k = 0; k < 5; k++) step(&r);
    ck_assert_int_eq(left, before);
    stop(&r);
}
END_TEST

START_TEST(a_saved_optimizer_goes_on_as_if_nothing_had_happened)
{
    const fixture_case *f = find("rosenbrock.history.f64");
    run r = start(f, 1), copy = start(f, 1);
    mn_state_item items[32];
    step(&r); /* eight iterations: the ring of three has turned */
    int n = mn_optim_state(r.o, items, 32);
    ck_assert(n > 10 && n <= 32);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(mn_tensor_copy(copy.in[i], r.in[i]), MN_OK);
    ck_assert_msg(mn_optim_load_state(copy.o, items, n) == MN_OK, "%s", mn_last_message());
    for (int k = 0; k < 2; k++) {
        ck_assert_double_eq(step(&r), step(&copy));
        ck_assert(same(&r, &copy));
    }
    stop(&r);
    stop(&copy);
}
END_TEST

START_TEST(what_is_frozen_stays_where_it_is)
{
    run r = start(find("network.wolfe.f64"), 1), fresh = start(find("network.wolfe.f64"), 1);
    mn_tensor_set_requires_grad(r.in[1], false);
    double first = step(&r), second = step(&r);
    ck_assert(second < first);
    ck_assert(memcmp(mn_tensor_data(r.in[1]), mn_tensor_data(fresh.in[1]), 3 * sizeof(double)) ==
              0);
    stop(&r);
    stop(&fresh);
}
END_TEST

/* sum over i of (i + 1) (p_i - 1)^2 / n, for as many elements as keep several threads busy */
static mn_tensor *bowl(mn_tape *t, void *user)
{
    mn_tensor *const *in = user;
    mn_tensor *off = mn_add_scalar(t, in[0], -1);
    return mn_mean(t, mn_mul(t, in[1], mn_mul(t, off, off)));
}

START_TEST(steps_have_the_same_bits_for_any_number_of_threads_and_any_memory)
{
    enum { N = 150001 };
    static float values[4][N];
    for (int way = 0; way < 4; way++) {
        const bool gaps = way == 3;
        float *memory = calloc(2 * N, sizeof *memory);
        mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = gaps ? 1 : way + 1});
        mn_rng rng = mn_rng_make(7, 8);
        mn_tensor *p =
            mn_tensor_wrap(MN_F32, 1, (int64_t[]){N}, (int64_t[]){1 + gaps}, memory, NULL, NULL);
        mn_tensor *w = mn_tensor_empty(MN_F32, 1, (int64_t[]){N});
        mn_tensor_uniform(w, 0.5, 2, &rng);
        mn_tensor_set_requires_grad(p, true);
        mn_optim *o = mn_optim_lbfgs_tensors(
            &p, 1, 1,
            &(mn_optim_lbfgs_opts){.history_size = 3, .max_iter = 5, .strong_wolfe = true});
        for (int k = 0; k < 2; k++) {
            mn_optim_step_closure(o, t, bowl, (mn_tensor *[]){p, w});
            ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
            mn_tape_reset(t);
        }
        for (int i = 0; i < N; i++) values[way][i] = memory[gaps ? 2 * i : i];
        ck_assert(way == 0 || memcmp(values[0], values[way], sizeof values[0]) == 0);
        ck_assert(values[way][5] > 0.3f);
        mn_optim_free(o);
        mn_release(p);
        mn_release(w);
        mn_tape_free(t);
        free(memory);
    }
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    static const struct {
        mn_optim_lbfgs_opts opts;
        const char *says;
    } wrong[] = {
        {{.max_iter = -1}, "mn_optim_lbfgs: max_iter -1 is not a whole number >= 1"},
        {{.max_eval = -2}, "mn_optim_lbfgs: max_eval -2 is not a whole number >= 1"},
        {{.tolerance_grad = -1}, "mn_optim_lbfgs: tolerance_grad -1 is not a number >= 0"},
        {{.tolerance_change = NAN}, "mn_optim_lbfgs: tolerance_change nan is not a number >= 0"},
        {{.history_size = -1}, "mn_optim_lbfgs: history_size -1 is not a whole number >= 1"},
    };
    mn_module *m = mn_nn_linear(2, 2, NULL), *more = mn_nn_linear(2, 2, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_ptr_null(mn_optim_lbfgs(m, 1, &wrong[i].opts));
        ck_assert_str_eq(mn_last_message(), wrong[i].says);
    }
    ck_assert_ptr_null(mn_optim_lbfgs(m, -1, NULL));
    ck_assert_str_eq(mn_last_message(), "mn_optim_lbfgs: lr -1 is not a number >= 0");
    mn_optim *o = mn_optim_lbfgs(m, 1, NULL);
    ck_assert_int_eq(mn_optim_add(o, more), -1);
    ck_assert_str_eq(mn_last_message(), "mn_optim_add: lbfgs has one group only");
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_int_eq(mn_optim_step(o, t), MN_ERR_STATE);
    ck_assert_str_eq(mn_tape_message(t), "mn_optim_step: lbfgs computes the loss more than once; "
                                         "use mn_optim_step_closure");
    mn_tensor *p[2] = {mn_parameter(MN_F32, 0, NULL), mn_parameter(MN_F64, 0, NULL)};
    ck_assert_ptr_null(mn_optim_lbfgs_tensors(p, 2, 1, NULL));
    ck_assert_str_eq(mn_last_message(), "mn_optim_lbfgs_tensors: tensor 1 is f64 []; lbfgs wants "
                                        "all parameters of one dtype");
    for (int i = 0; i < 2; i++) mn_release(p[i]);
    mn_tape_free(t);
    mn_optim_free(o);
    mn_module_free(m);
    mn_module_free(more);
}
END_TEST

int main(void)
{
    fixture_read(&problems, MNI_SOURCE_DIR "/tests/fixtures/lbfgs.txt");
    Suite *s = suite_create("lbfgs");
    TCase *c = tcase_create("lbfgs");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, steps_agree_with_pytorch, 0, problems.n);
    tcase_add_test(c, a_step_whose_closure_fails_changes_nothing);
    tcase_add_test(c, a_step_without_memory_changes_nothing);
    tcase_add_test(c, steps_after_the_first_allocate_nothing);
    tcase_add_test(c, a_saved_optimizer_goes_on_as_if_nothing_had_happened);
    tcase_add_test(c, what_is_frozen_stays_where_it_is);
    tcase_add_test(c, steps_have_the_same_bits_for_any_number_of_threads_and_any_memory);
    tcase_add_test(c, what_makes_no_sense_is_refused);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&problems);
    return failed != 0;
}
