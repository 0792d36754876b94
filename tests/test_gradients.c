/*
 * tests/test_gradients.c: every case of every op (rows/, fixtures/) whose inputs are drawn: gradients
 * against finite differences (first to third derivative), and the gradient written with ops against
 * the fused one, for inputs of every arrangement in memory.
 */
#include "rows/rows.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fixture ops;

enum { MOST_ELEMENTS = 64, LEAF_ELEMENTS = 4 * MOST_ELEMENTS /* with rows 3 longer */ };

/* ---- inputs in every arrangement ---- */

typedef enum arrangement {
    LEAF,       /* a contiguous tensor of ours */
    WRAPPED,    /* a tensor of ours whose first dimension lies innermost */
    NON_LEAF,   /* the result of an op; so are those below */
    TRANSPOSED, /* a view with the dimensions reversed */
    NARROWED,   /* a view into wider rows */
    STRETCHED,  /* a view whose first dimension has stride 0 */
    ARRANGEMENTS
} arrangement;

static const char *const arrangement_names[] = {"leaf",       "wrapped",  "non-leaf",
                                                "transposed", "narrowed", "stretched"};

static bool applies(const op_row *r, arrangement a)
{
    return !(r->distinct && a == STRETCHED);
}

static void leaf_shape(const fixture_tensor *in, arrangement a, int64_t *shape)
{
    for (int d = 0; d < in->ndim; d++) shape[d] = in->shape[a == TRANSPOSED ? in->ndim - 1 - d : d];
    if (a == NARROWED && in->ndim) shape[in->ndim - 1] += 3;
    if (a == STRETCHED && in->ndim) shape[0] = 1;
}

/* The input as an op sees it. */
static mn_tensor *arrange(mn_tape *t, mn_tensor *leaf, const fixture_tensor *in, arrangement a)
{
    if (a == LEAF || a == WRAPPED) return leaf;
    int reversed[MN_MAX_DIMS];
    for (int d = 0; d < in->ndim; d++) reversed[d] = in->ndim - 1 - d;
    mn_tensor *x = mn_mul_scalar(t, leaf, 1.5);
    if (in->ndim == 0) return x;
    if (a == TRANSPOSED) return mn_permute(t, x, reversed);
    if (a == NARROWED) return mn_narrow(t, x, -1, 2, in->shape[in->ndim - 1]);
    if (a == STRETCHED) return mn_expand(t, x, in->ndim, in->shape);
    return x;
}

static void free_memory(void *data, void *user)
{
    (void)user;
    free(data);
}

static mn_tensor *make_leaf(const fixture_tensor *in, arrangement a, mn_dtype dtype,
                            uint64_t stream)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS], n = 1;
    leaf_shape(in, a, shape);
    for (int d = 0; d < in->ndim; d++) {
        strides[d] = n;
        n *= shape[d];
    }
    mn_rng rng = mn_rng_make(11, stream);
    const double scale = a == LEAF || a == WRAPPED ? 1 : 1.5;
    mn_tensor *drawn = mn_tensor_empty(dtype, in->ndim, shape), *x = drawn;
    ck_assert_int_eq(mn_tensor_uniform(drawn, in->low / scale, in->high / scale, &rng), MN_OK);
    if (a == WRAPPED) {
        x = mn_tensor_wrap(dtype, in->ndim, shape, strides, calloc((size_t)n + 1, 8), free_memory,
                           NULL);
        ck_assert_int_eq(mn_tensor_copy(x, drawn), MN_OK);
        mn_release(drawn);
    }
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

/* One case in one arrangement. */
typedef struct trial {
    const op_row *row;
    const fixture_case *f;
    arrangement arrangement;
    int n; /* inputs that want a gradient: leaves[k] is input number[k] */
    int number[FIXTURE_INPUTS];
    mn_tensor *leaves[FIXTURE_INPUTS];
    mn_tensor *constant[FIXTURE_INPUTS]; /* the others */
    char name[160];
} trial;

static trial trial_make(const op_row *r, const fixture_case *f, arrangement a, mn_dtype dtype)
{
    trial c = {.row = r, .f = f, .arrangement = a};
    snprintf(c.name, sizeof c.name, "%s, %s, %s", f->path, arrangement_names[a],
             mn_dtype_name(dtype));
    for (int i = 0; i < f->n_in; i++) {
        if (f->in[i].grad) {
            c.number[c.n] = i;
            c.leaves[c.n++] = make_leaf(&f->in[i], a, dtype, (uint64_t)i);
        } else if (f->in[i].absent) {
            c.constant[i] = MN_NONE;
        } else {
            mn_tensor *x = fixture_input(f, i);
            mn_tape *t = mn_tape_new(NULL);
            bool follows = mn_tensor_dtype(x) == f->dtype;
            c.constant[i] = mn_retain(mn_detach(t, mn_to(t, x, follows ? dtype : f->in[i].dtype)));
            mn_tape_free(t);
            mn_release(x);
        }
    }
    return c;
}

static void trial_free(trial *c)
{
    for (int i = 0; i < FIXTURE_INPUTS; i++) {
        mn_release(c->leaves[i]);
        mn_release(c->constant[i]);
    }
}

/* All that has a gradient, one behind the other when there are several outputs. */
static mn_tensor *trial_run(mn_tape *t, mn_tensor *const *leaves, int n, void *user)
{
    const trial *c = user;
    mn_tensor *x[FIXTURE_INPUTS] = {0}, *parts[FIXTURE_OUTPUTS];
    for (int i = 0; i < c->f->n_in; i++) x[i] = c->constant[i];
    for (int k = 0; k < n; k++)
        x[c->number[k]] = arrange(t, leaves[k], &c->f->in[c->number[k]], c->arrangement);
    call run = row_call(c->f, t, x);
    row_run(c->row, &run);
    int outputs = 0;
    for (int k = 0; k < c->f->n_out; k++)
        if (c->f->out[k].grad) parts[outputs++] = run.out[k];
    if (outputs == 1) return parts[0];
    for (int k = 0; k < outputs; k++) parts[k] = mn_flatten(t, parts[k], 0, -1);
    return mn_cat(t, parts, outputs, 0);
}

/* Whether finite differences can say something about a case: all that wants a gradient is drawn, and
 * little. */
static bool tried(const op_row *r, const fixture_case *f)
{
    if (strcmp(f->op, r->name) != 0 || f->dtype != MN_F64 || f->refused || r->program) return false;
    bool wanted = false, gives = false;
    for (int k = 0; k < f->n_out; k++) {
        gives = gives || f->out[k].grad;
        if (f->out[k].grad && f->out[k].dtype != MN_F64) return false;
    }
    for (int i = 0; i < f->n_in; i++) {
        const fixture_tensor *x = &f->in[i];
        if (!x->grad) continue;
        wanted = true;
        if (!x->drawn || x->dtype != MN_F64 || x->numel > MOST_ELEMENTS) return false;
    }
    return wanted && gives;
}

/* U(-1, 1), of y's shape. */
static mn_tensor *cotangent(mn_tape *t, mn_tensor *y)
{
    mn_rng rng = mn_rng_make(13, 0);
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < mn_tensor_ndim(y); d++) shape[d] = mn_tensor_size(y, d);
    mn_tensor *u = mn_rand(t, mn_tensor_dtype(y), mn_tensor_ndim(y), shape, &rng);
    return mn_sub_scalar(t, mn_mul_scalar(t, u, 2), 1);
}

/* ---- against finite differences ---- */

typedef mn_error (*checker)(mn_function, mn_tensor *const *, int, void *,
                            const mn_gradcheck_opts *);

/* Of a module, which is made of ops, second derivatives are looked at in one arrangement. */
static void check_differences(const op_row *r, checker check)
{
    for (const fixture_case *f = ops.cases; f < ops.cases + ops.n; f++) {
        if (!tried(r, f)) continue;
        for (arrangement a = LEAF; a < ARRANGEMENTS; a++) {
            if (!applies(r, a) || (r->module && check == mn_gradgradcheck && a != NON_LEAF))
                continue;
            trial c = trial_make(r, f, a, MN_F64);
            mn_error e = check(trial_run, c.leaves, c.n, &c, NULL);
            ck_assert_msg(e == MN_OK, "%s: %s", c.name, mn_last_message());
            trial_free(&c);
        }
    }
}

START_TEST(gradient_agrees_with_finite_differences)
{
    check_differences(row_at(_i), mn_gradcheck);
}
END_TEST

START_TEST(second_derivative_agrees_with_finite_differences)
{
    check_differences(row_at(_i), mn_gradgradcheck);
}
END_TEST

/* f(x) and the gradients of <f(x), v> with respect to every x, one after the other; v is the last
 * input. Differentiated again, a node gets gradients of its result and of its gradient at once. */
static mn_tensor *gradients(mn_tape *t, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *y = trial_run(t, in, n - 1, user), *parts[FIXTURE_INPUTS + 1] = {0};
    mn_grad_opts o = {.cotangents = &in[n - 1], .create_graph = true};
    if (mn_grad(t, &y, 1, in, n - 1, parts, &o)) return NULL;
    parts[n - 1] = y;
    for (int i = 0; i < n; i++) parts[i] = mn_flatten(t, parts[i], 0, -1);
    return mn_cat(t, parts, n, 0);
}

static void check_third(trial *c)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *in[FIXTURE_INPUTS + 1];
    for (int i = 0; i < c->n; i++) in[i] = c->leaves[i];
    in[c->n] = mn_retain(cotangent(t, mn_detach(t, trial_run(t, c->leaves, c->n, c))));
    ck_assert_int_eq(mn_tensor_set_requires_grad(in[c->n], true), MN_OK);
    mn_tape_free(t);
    mn_error e = mn_gradcheck(gradients, in, c->n + 1, c, NULL);
    if (e == MN_OK) e = mn_gradgradcheck(gradients, in, c->n + 1, c, NULL);
    ck_assert_msg(e == MN_OK, "%s: %s", c->name, mn_last_message());
    mn_release(in[c->n]);
}

/* Of ops: a module's third derivatives are theirs. */
START_TEST(third_derivative_agrees_with_finite_differences)
{
    const op_row *r = row_at(_i);
    if (r->module) return;
    for (const fixture_case *f = ops.cases; f < ops.cases + ops.n; f++) {
        if (!tried(r, f)) continue;
        trial c = trial_make(r, f, NON_LEAF, MN_F64);
        check_third(&c);
        trial_free(&c);
    }
}
END_TEST

/* ---- the two versions of a gradient, and the ways to ask for it ---- */

/* x's values, times scale, in row-major order. */
static void read_values(mn_tensor *x, double *out)
{
    int64_t index[MN_MAX_DIMS] = {0};
    for (int64_t i = 0; i < mn_tensor_numel(x); i++) {
        out[i] = mn_tensor_get(x, index);
        for (int d = mn_tensor_ndim(x) - 1; d >= 0 && ++index[d] == mn_tensor_size(x, d); d--)
            index[d] = 0;
    }
}

static void assert_gradient(const trial *c, const char *how, int i, mn_tensor *g,
                            const double *expected, double times)
{
    double got[LEAF_ELEMENTS];
    ck_assert_msg(g != NULL, "%s: %s: input %d has no gradient", c->name, how, i);
    ck_assert_msg(mn_tensor_same_shape(g, c->leaves[i]), "%s: %s: input %d", c->name, how, i);
    read_values(g, got);
    double tolerance = mn_tensor_dtype(g) == MN_F64 ? 1e-11 : 2e-5;
    for (int64_t k = 0; k < mn_tensor_numel(g); k++) {
        double want = times * expected[k];
        ck_assert_msg(fabs(got[k] - want) <= tolerance * (1 + fabs(want)),
                      "%s: %s: input %d, element %d: %.9g, not %.9g", c->name, how, i, (int)k,
                      got[k], want);
    }
}

static void backward(mn_tape *t, mn_tensor *y, mn_tensor *v, bool retain)
{
    mn_backward_opts o = {.cotangents = &v, .retain_graph = retain};
    ck_assert_msg(mn_backward_from(t, &y, 1, &o) == MN_OK, "%s", mn_tape_message(t));
}

/* Only input i wants a gradient: what is saved for the others may be left out, its own may not. */
static void check_alone(mn_tape *t, trial *c, int i, const double *expected)
{
    for (int k = 0; k < c->n; k++) {
        mn_tensor_zero_grad(c->leaves[k]);
        ck_assert_int_eq(mn_tensor_set_requires_grad(c->leaves[k], k == i), MN_OK);
    }
    mn_tape_reset(t);
    mn_tensor *y = trial_run(t, c->leaves, c->n, c);
    backward(t, y, cotangent(t, y), false);
    for (int k = 0; k < c->n; k++)
        if (k != i) ck_assert_ptr_null(mn_tensor_grad(c->leaves[k]));
    assert_gradient(c, "alone", i, mn_tensor_grad(c->leaves[i]), expected, 1);
    for (int k = 0; k < c->n; k++)
        ck_assert_int_eq(mn_tensor_set_requires_grad(c->leaves[k], true), MN_OK);
}

static void check_versions(const op_row *r, const fixture_case *f, arrangement a, mn_dtype dtype)
{
    trial c = trial_make(r, f, a, dtype);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *fast[FIXTURE_INPUTS], *slow[FIXTURE_INPUTS];
    double expected[FIXTURE_INPUTS][LEAF_ELEMENTS];
    mn_tensor *y = trial_run(t, c.leaves, c.n, &c);
    ck_assert_msg(y != NULL, "%s: %s", c.name, mn_tape_message(t));
    mn_tensor *v = cotangent(t, y);
    mn_grad_opts recorded = {.cotangents = &v, .create_graph = true};
    mn_grad_opts fused = {.cotangents = &v, .retain_graph = true};
    mn_grad(t, &y, 1, c.leaves, c.n, slow, &recorded);
    mn_grad(t, &y, 1, c.leaves, c.n, fast, &fused);
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s: %s", c.name, mn_tape_message(t));
    for (int i = 0; i < c.n; i++) {
        read_values(slow[i], expected[i]);
        assert_gradient(&c, "fused", i, fast[i], expected[i], 1);
    }
    backward(t, y, v, true);
    for (int i = 0; i < c.n; i++)
        assert_gradient(&c, "backward", i, mn_tensor_grad(c.leaves[i]), expected[i], 1);
    backward(t, y, v, false);
    for (int i = 0; i < c.n; i++)
        assert_gradient(&c, "accumulated", i, mn_tensor_grad(c.leaves[i]), expected[i], 2);
    for (int i = 0; i < c.n && c.n > 1; i++) check_alone(t, &c, i, expected[i]);
    mn_tape_free(t);
    trial_free(&c);
}

START_TEST(fused_gradient_agrees_with_the_one_written_with_ops)
{
    const op_row *r = row_at(_i);
    int tries = 0;
    bool has_gradient = false;
    for (const fixture_case *f = ops.cases; f < ops.cases + ops.n; f++) {
        if (strcmp(f->op, r->name) == 0)
            has_gradient = has_gradient || (f->n_out > 0 && f->out[0].grad);
        if (!tried(r, f)) continue;
        tries++;
        for (arrangement a = LEAF; a < ARRANGEMENTS; a++) {
            if (!applies(r, a)) continue;
            check_versions(r, f, a, MN_F64);
            check_versions(r, f, a, MN_F32);
        }
    }
    ck_assert_msg(!has_gradient || tries >= 2 || r->program, "%s has %d cases with drawn inputs",
                  r->name, tries);
}
END_TEST

/* A case of its own, so that one kind of check can be run alone: CK_RUN_CASE. */
static void add_case(Suite *suite, const char *name, const TTest *test, int rows)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test, 0, rows);
    suite_add_tcase(suite, tc);
}

/* test_gradients [BEGINNING]: only the ops whose names begin so. */
int main(int argc, char **argv)
{
    if (argc > 1) rows_only(argv[1]);
    rows_read(&ops);
    Suite *suite = suite_create("gradients");
    add_case(suite, "first", gradient_agrees_with_finite_differences, row_count());
    add_case(suite, "second", second_derivative_agrees_with_finite_differences, row_count());
    add_case(suite, "third", third_derivative_agrees_with_finite_differences, row_count());
    add_case(suite, "fused", fused_gradient_agrees_with_the_one_written_with_ops, row_count());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    fixture_free(&ops);
    return failed != 0;
}
