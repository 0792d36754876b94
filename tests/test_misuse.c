/*
 * tests/test_misuse.c: what no op may do, whatever it is given: every case of every op (rows/) with
 * inputs that are missing, freed or of any other dtype and shape, on a tape that is NULL or has an error,
 * and with malloc failing at each position. The result is a tensor or a clear error, never a crash, a
 * leak or half a result.
 */
#include "rows/rows.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

static fixture ops;

/* ---- a case on a tape ---- */

typedef struct trial {
    const fixture_case *f;
    mn_tensor *own[FIXTURE_INPUTS]; /* as the case has them */
    mn_tensor *in[FIXTURE_INPUTS];  /* as the op gets them */
    mn_tape *t;
} trial;

static trial begin(const fixture_case *f)
{
    trial c = {.f = f, .t = mn_tape_new(NULL)};
    ck_assert_ptr_nonnull(c.t);
    for (int i = 0; i < f->n_in; i++) {
        c.in[i] = c.own[i] = fixture_input(f, i);
        ck_assert_ptr_nonnull(c.in[i]);
    }
    return c;
}

static void end(trial *c)
{
    mn_tape_free(c->t);
    for (int i = 0; i < FIXTURE_INPUTS; i++) mn_release(c->own[i]);
    ck_assert_msg(mn_live_allocations() == 0, "%s leaks", c->f->path);
}

static call run(const op_row *r, const trial *c)
{
    call k = row_call(c->f, c->t, c->in);
    row_run(r, &k);
    return k;
}

static void assert_nothing(const trial *c, const call *k, const char *why)
{
    for (int i = 0; i < FIXTURE_OUTPUTS; i++)
        ck_assert_msg(!k->out[i], "%s gives output %d %s", c->f->path, i, why);
}

/* Calls `check` with every case of row _i that is not refused. */
static void each_case(const op_row *r, void (*check)(const op_row *, const fixture_case *))
{
    for (const fixture_case *f = ops.cases; f < ops.cases + ops.n; f++)
        if (strcmp(f->op, r->name) == 0 && !f->refused) check(r, f);
}

/* ---- what is missing ---- */

static void check_absent(const op_row *r, const fixture_case *f)
{
    trial c = begin(f);
    mn_tape *t = c.t;
    c.t = NULL;
    call k = run(r, &c);
    assert_nothing(&c, &k, "without a tape");
    c.t = t;
    for (int i = 0; i < f->n_in; i++) {
        c.in[i] = NULL;
        k = run(r, &c);
        assert_nothing(&c, &k, "for a NULL input");
        ck_assert_msg(mn_tape_error(t) != MN_OK, "%s takes NULL", f->path);
        mn_tape_clear_error(t);

        mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
        c.in[i] = mn_clone(t, c.own[c.own[i] == MN_NONE ? 0 : i]);
        mn_scope_end(t, scope, NULL, 0);
        k = run(r, &c);
        assert_nothing(&c, &k, "for a freed input");
        ck_assert_msg(mn_tape_error(t) == MN_ERR_STATE, "%s takes a freed input", f->path);
        mn_tape_clear_error(t);
        c.in[i] = c.own[i];
    }
    mn_tape_fail(t, MN_ERR_STATE, "first");
    k = run(r, &c);
    assert_nothing(&c, &k, "on a tape with an error");
    ck_assert_msg(strcmp(mn_tape_message(t), "first") == 0, "%s", mn_tape_message(t));
    end(&c);
}

START_TEST(nothing_is_made_of_nothing)
{
    each_case(row_at(_i), check_absent);
}
END_TEST

/* ---- what does not fit ---- */

/* An input of another dtype and shape; zeros, so that it is a valid index wherever one is. */
typedef struct odd {
    mn_dtype dtype;
    int ndim;
    int64_t shape[MN_MAX_DIMS];
} odd;

static const odd oddities[] = {
    {MN_F64, 0, {0}},       {MN_F64, 1, {0}},    {MN_F64, 1, {1}},
    {MN_F64, 2, {0, 3}},    {MN_F64, 2, {7, 9}}, {MN_F64, 3, {2, 0, 5}},
    {MN_F64, 4, {2, 1, 3}}, {MN_F32, 2, {3, 4}}, {MN_F64, 8, {1, 1, 1, 1, 1, 1, 1, 2}},
};

/* The op either computes, and its gradient too, or says why not. */
static void check_outcome(const op_row *r, const trial *c, const char *what)
{
    call k = run(r, c);
    mn_tensor *first = k.out[0];
    if (mn_tape_error(c->t)) {
        assert_nothing(c, &k, "and an error");
        ck_assert_msg(mn_tape_message(c->t)[0], "%s with %s: no message", c->f->path, what);
        ck_assert_msg(mn_tape_error(c->t) != MN_ERR_MEMORY, "%s with %s: %s", c->f->path, what,
                      mn_tape_message(c->t));
    } else if (first && mn_tensor_requires_grad(first)) {
        mn_tensor *v = mn_ones_like(c->t, first);
        mn_backward_opts o = {.cotangents = &v};
        ck_assert_msg(mn_backward_from(c->t, &first, 1, &o) == MN_OK, "%s with %s: %s", c->f->path,
                      what, mn_tape_message(c->t));
    }
    mn_tape_clear_error(c->t);
    mn_tape_reset(c->t);
}

static void check_odd(const op_row *r, const fixture_case *f)
{
    trial c = begin(f);
    for (int i = 0; i < f->n_in; i++) {
        for (size_t k = 0; k < sizeof oddities / sizeof *oddities; k++) {
            const odd *o = &oddities[k];
            c.in[i] = mn_zeros(c.t, o->dtype, o->ndim, o->shape);
            check_outcome(r, &c, "an odd shape");
        }
        for (mn_dtype d = MN_F32; d <= MN_BOOL; d++) {
            c.in[i] = mn_to(c.t, c.own[i], d);
            check_outcome(r, &c, mn_dtype_name(d));
        }
        c.in[i] = MN_NONE;
        check_outcome(r, &c, "MN_NONE");
        c.in[i] = c.own[i];
    }
    end(&c);
}

START_TEST(odd_inputs_compute_or_are_refused)
{
    each_case(row_at(_i), check_odd);
}
END_TEST

/* ---- without memory ---- */

/* True when everything worked: the op and its gradient. */
static bool attempt(const op_row *r, const fixture_case *f)
{
    trial c = {.f = f, .t = mn_tape_new(NULL)};
    bool ready = c.t != NULL;
    for (int i = 0; i < f->n_in; i++) ready = (c.in[i] = c.own[i] = fixture_input(f, i)) && ready;
    if (ready) {
        call k = run(r, &c);
        mn_tensor *first = k.out[0];
        if (first && mn_tensor_requires_grad(first)) {
            mn_tensor *v = mn_ones_like(c.t, first);
            mn_backward_from(c.t, &first, 1, &(mn_backward_opts){.cotangents = &v});
        }
        ready = mn_tape_error(c.t) == MN_OK;
    }
    ck_assert_msg(ready || (c.t && mn_tape_error(c.t) ? mn_tape_error(c.t) : mn_last_error()) ==
                               MN_ERR_MEMORY,
                  "%s: %s", f->path, mn_last_message());
    end(&c);
    return ready;
}

static void check_scarce(const op_row *r, const fixture_case *f)
{
    int64_t left = 0;
    mn_allocator allocator = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&allocator), MN_OK);
    bool done = false;
    for (int64_t limit = 0; !done && limit < 1000; limit++) {
        left = limit;
        done = attempt(r, f);
    }
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
    ck_assert_msg(done, "%s never has enough memory", f->path);
}

/* Of an op its first case is enough: positions, not numbers, are what matters. Of programs every
 * tenth. */
START_TEST(malloc_may_fail_anywhere)
{
    const op_row *r = row_at(_i);
    int cases = 0;
    for (const fixture_case *f = ops.cases; f < ops.cases + ops.n; f++) {
        if (strcmp(f->op, r->name) != 0 || f->refused) continue;
        if (r->program ? cases % 10 == 0 : cases == 0) check_scarce(r, f);
        cases++;
    }
}
END_TEST

int main(void)
{
    rows_read(&ops);
    Suite *s = suite_create("misuse");
    TCase *tc = tcase_create("misuse");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, nothing_is_made_of_nothing, 0, row_count());
    tcase_add_loop_test(tc, odd_inputs_compute_or_are_refused, 0, row_count());
    tcase_add_loop_test(tc, malloc_may_fail_anywhere, 0, row_count());
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&ops);
    return failed != 0;
}
