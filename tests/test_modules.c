/*
 * tests/test_modules.c: what is true of every module (rows/nn_*.c): names and printed form are PyTorch's,
 * first values are distributed as PyTorch's, eval writes nothing, a clone is the same, a steady step
 * allocates nothing.
 */
#include "rows/rows.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static fixture cases;

static mn_module *make(const fixture_case *f)
{
    call c = row_call(f, NULL, NULL);
    mn_module *m = row_module(row_find(f->op), &c);
    ck_assert_msg(m != NULL, "%s: %s", f->path, mn_last_message());
    return m;
}

/* Calls `check` with every case that row r, a module's, accepts. */
static void each_case(const op_row *r, void (*check)(const fixture_case *))
{
    if (!r->module) return;
    for (const fixture_case *f = cases.cases; f < cases.cases + cases.n; f++)
        if (strcmp(f->op, r->name) == 0 && !f->refused) check(f);
    ck_assert_int_eq(mn_live_allocations(), 0);
}

/* Parameters, then buffers. */
static int list(mn_module *m, mn_named_tensor *all)
{
    int n = mn_module_parameters(m, all, FIXTURE_INPUTS);
    return n + mn_module_buffers(m, all + n, FIXTURE_INPUTS - n);
}

/* ---- as PyTorch calls and prints it ---- */

static void check_names(const fixture_case *f)
{
    mn_module *m = make(f);
    mn_named_tensor all[FIXTURE_INPUTS];
    int n = list(m, all), k = 0;
    for (int i = 0; i < f->n_in; i++) {
        if (!f->in[i].name) continue;
        ck_assert_msg(k < n, "%s has no %s", f->path, f->in[i].name);
        ck_assert_str_eq(all[k].name, f->in[i].name);
        ck_assert_int_eq(mn_tensor_requires_grad(all[k].tensor), f->in[i].grad);
        k++;
    }
    ck_assert_msg(k == n, "%s: PyTorch has no %s", f->path, all[k < n ? k : 0].name);
    char text[4096];
    mn_module_format(m, text, sizeof text);
    ck_assert_msg(f->prints && strcmp(text, f->prints) == 0, "%s prints\n%s\nnot\n%s", f->path,
                  text, f->prints);
    mn_module_free(m);
}

START_TEST(names_and_printed_form_are_pytorchs)
{
    each_case(row_at(_i), check_names);
}
END_TEST

/* ---- first values ---- */

typedef struct sums {
    double of[5]; /* of x^k */
} sums;

static void add(sums *s, const mn_tensor *x)
{
    int64_t at[MN_MAX_DIMS] = {0};
    for (int64_t i = 0; i < mn_tensor_numel(x); i++) {
        double v = mn_tensor_get(x, at), power = 1;
        for (int k = 0; k < 5; k++, power *= v) s->of[k] += power;
        for (int d = mn_tensor_ndim(x) - 1; d >= 0 && ++at[d] == mn_tensor_size(x, d); d--)
            at[d] = 0;
    }
}

/* Both sides are estimates from at least 30,000 numbers: the bounds are five standard errors. */
static void check_moments(const fixture_case *f, const fixture_init *want, const sums *s)
{
    const double n = s->of[0], mean = s->of[1] / n, m2 = s->of[2] / n, m3 = s->of[3] / n;
    const double variance = fmax(m2 - mean * mean, 0), deviation = sqrt(variance);
    if (want->deviation == 0) {
        ck_assert_msg(fabs(mean - want->mean) <= 1e-6 * fabs(want->mean) && deviation <= 1e-6,
                      "%s: %s is not %g at first", f->path, want->name, want->mean);
        return;
    }
    const double fourth = s->of[4] / n - 4 * mean * m3 + 6 * mean * mean * m2 - 3 * pow(mean, 4);
    const double kurtosis = fourth / (variance * variance), error = 5 * sqrt(2 / 30000.0);
    ck_assert_msg(
        fabs(mean - want->mean) <= error * want->deviation &&
            fabs(deviation / want->deviation - 1) <= error * sqrt((want->kurtosis - 1) / 4) &&
            fabs(kurtosis - want->kurtosis) <= 0.1 * want->kurtosis,
        "%s: %s has mean %g, deviation %g, kurtosis %g; PyTorch's %g, %g, %g", f->path, want->name,
        mean, deviation, kurtosis, want->mean, want->deviation, want->kurtosis);
}

static void check_first_values(const fixture_case *f)
{
    if (!f->n_inits) return;
    mn_module *m = make(f);
    for (int k = 0; k < f->n_inits; k++) {
        sums s = {0};
        const mn_tensor *x = mn_module_get(m, f->inits[k].name);
        ck_assert_msg(x != NULL, "%s: %s", f->path, mn_last_message());
        for (uint64_t seed = 0; s.of[0] < 30000; seed++) {
            ck_assert_int_eq(mn_module_init(m, seed), MN_OK);
            add(&s, x);
        }
        check_moments(f, &f->inits[k], &s);
    }
    mn_module_free(m);
}

START_TEST(first_values_are_distributed_as_pytorchs)
{
    each_case(row_at(_i), check_first_values);
}
END_TEST

/* ---- a module at work, with its own first values ---- */

typedef struct work {
    const fixture_case *f;
    mn_module *m;
    mn_tape *t;
    mn_tensor *in[FIXTURE_INPUTS];
    int n_in, n_out;
} work;

static work begin(const fixture_case *f)
{
    work w = {.f = f, .m = make(f), .t = mn_tape_new(NULL)};
    ck_assert_int_eq(mn_module_init(w.m, 1), MN_OK);
    for (int i = 0; i < f->n_in; i++)
        if (!f->in[i].name) w.in[w.n_in++] = fixture_input(f, i);
    while (w.n_out < f->n_out && !f->out[w.n_out].name) w.n_out++;
    return w;
}

/* As a training loop would: data are not leaves of the graph, and may be overwritten. */
static void step(const work *w, mn_tensor **out)
{
    mn_tensor *x[FIXTURE_INPUTS];
    for (int i = 0; i < w->n_in; i++)
        x[i] = w->in[i] == MN_NONE ? MN_NONE : mn_clone(w->t, mn_detach(w->t, w->in[i]));
    mn_module_call(w->m, w->t, x, w->n_in, out, w->n_out);
    ck_assert_msg(mn_tape_error(w->t) == MN_OK, "%s: %s", w->f->path, mn_tape_message(w->t));
}

static void backward(const work *w, mn_tensor *const *out)
{
    mn_tensor *loss = NULL;
    for (int k = 0; k < w->n_out; k++)
        if (mn_tensor_requires_grad(out[k]))
            loss = loss ? mn_add(w->t, loss, mn_sum(w->t, out[k])) : mn_sum(w->t, out[k]);
    if (loss) mn_backward(w->t, loss);
    ck_assert_msg(mn_tape_error(w->t) == MN_OK, "%s: %s", w->f->path, mn_tape_message(w->t));
}

static void end(work *w)
{
    mn_tape_free(w->t);
    for (int i = 0; i < w->n_in; i++) mn_release(w->in[i]);
    mn_module_free(w->m);
}

/* Whether a and b are equal, bit for bit but for NaN. */
static bool equal(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_tensor *same = mn_eq(t, mn_flatten(t, a, 0, -1), mn_flatten(t, b, 0, -1));
    return mn_tensor_same_shape(a, b) && mn_tensor_item(mn_all(t, same)) == 1;
}

/* The bytes of the module alone; a child's are its own case's. */
static void check_eval(const fixture_case *f)
{
    work w = begin(f);
    mn_tensor *first[FIXTURE_OUTPUTS] = {0}, *again[FIXTURE_OUTPUTS];
    mn_named_tensor all[FIXTURE_INPUTS];
    uint64_t versions[FIXTURE_INPUTS];
    mn_module_eval(w.m);
    int n = list(w.m, all);
    for (int i = 0; i < n; i++) versions[i] = mn_tensor_version(all[i].tensor);
    void *bytes = malloc(w.m->cls->size);
    memcpy(bytes, w.m, w.m->cls->size);
    step(&w, first);
    step(&w, again);
    ck_assert_msg(memcmp(bytes, w.m, w.m->cls->size) == 0, "%s writes in eval", f->path);
    for (int i = 0; i < n; i++)
        ck_assert_msg(versions[i] == mn_tensor_version(all[i].tensor), "%s writes %s in eval",
                      f->path, all[i].name);
    for (int k = 0; k < w.n_out; k++) {
        mn_tensor *same =
            mn_eq(w.t, mn_flatten(w.t, first[k], 0, -1), mn_flatten(w.t, again[k], 0, -1));
        ck_assert_msg(mn_tensor_item(mn_all(w.t, same)) == 1, "%s: eval is not repeatable",
                      f->path);
    }
    free(bytes);
    end(&w);
}

START_TEST(eval_writes_nothing_and_repeats_itself)
{
    each_case(row_at(_i), check_eval);
}
END_TEST

/* It computes the same, shares no tensor and is left alone by what happens to the original. */
static void check_clone(const fixture_case *f)
{
    work w = begin(f);
    mn_tensor *out[FIXTURE_OUTPUTS] = {0}, *again[FIXTURE_OUTPUTS] = {0};
    mn_named_tensor own[FIXTURE_INPUTS], other[FIXTURE_INPUTS];
    mn_module *copy = mn_module_clone(w.m), *original = w.m;
    ck_assert_msg(copy != NULL, "%s: %s", f->path, mn_last_message());
    const int n = list(original, own);
    ck_assert_int_eq(list(copy, other), n);
    for (int i = 0; i < n; i++) {
        ck_assert_str_eq(other[i].name, own[i].name);
        ck_assert_ptr_ne(other[i].tensor, own[i].tensor);
        ck_assert_int_eq(mn_tensor_requires_grad(other[i].tensor),
                         mn_tensor_requires_grad(own[i].tensor));
    }
    step(&w, out); /* the same draws, too */
    if (n) ck_assert_int_eq(mn_tensor_fill(own[0].tensor, 7), MN_OK);
    w.m = copy;
    step(&w, again);
    for (int k = 0; k < w.n_out; k++)
        ck_assert_msg(equal(w.t, out[k], again[k]), "%s: the clone differs", f->path);
    mn_module_free(original);
    end(&w);
}

START_TEST(a_clone_computes_the_same_and_shares_nothing)
{
    each_case(row_at(_i), check_clone);
}
END_TEST

static void check_steady(const fixture_case *f)
{
    int64_t left = INT64_MAX;
    mn_allocator allocator = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&allocator), MN_OK);
    work w = begin(f);
    mn_tensor *out[FIXTURE_OUTPUTS] = {0};
    for (int i = 0; i < 6; i++) {
        const int64_t before = left;
        step(&w, out);
        backward(&w, out);
        mn_tape_reset(w.t);
        ck_assert_msg(i < 4 || left == before, "%s allocates in a steady step", f->path);
    }
    end(&w);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}

START_TEST(a_steady_step_allocates_nothing)
{
    each_case(row_at(_i), check_steady);
}
END_TEST

int main(void)
{
    rows_read(&cases);
    Suite *s = suite_create("modules");
    TCase *tc = tcase_create("modules");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, names_and_printed_form_are_pytorchs, 0, row_count());
    tcase_add_loop_test(tc, first_values_are_distributed_as_pytorchs, 0, row_count());
    tcase_add_loop_test(tc, eval_writes_nothing_and_repeats_itself, 0, row_count());
    tcase_add_loop_test(tc, a_clone_computes_the_same_and_shares_nothing, 0, row_count());
    tcase_add_loop_test(tc, a_steady_step_allocates_nothing, 0, row_count());
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&cases);
    return failed != 0;
}
