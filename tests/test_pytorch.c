/*
 * tests/test_pytorch.c: every op and module, its gradient and its second gradient against what PyTorch
 * computed (tests/fixtures/). An op without a row, a row without enough cases and a case without a row each fail.
 */
#define _POSIX_C_SOURCE 200809L

#include "rows/rows.h"
#include "tensor/kernels/kernels.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

/* ---- one case ---- */

static fixture ops;

/* What a case is compared on. */
typedef struct comparison {
    const op_row *row;
    const fixture_case *f;
    mn_tape *t;
    mn_tensor *in[FIXTURE_INPUTS];
    mn_tensor *cotangent[FIXTURE_OUTPUTS]; /* of the outputs that have one */
    mn_tensor *weight[FIXTURE_INPUTS];     /* of the inputs that want a gradient */
    char *text;                            /* why it does not agree */
    size_t size;
} comparison;

/* The inputs that want a gradient: which they are, and they. */
typedef struct wanted {
    int n, number[FIXTURE_INPUTS];
    mn_tensor *x[FIXTURE_INPUTS], *w[FIXTURE_INPUTS];
} wanted;

static wanted wanted_inputs(const comparison *c)
{
    wanted v = {0};
    for (int i = 0; i < c->f->n_in; i++) {
        if (!c->f->in[i].grad) continue;
        v.number[v.n] = i;
        v.w[v.n] = c->weight[i];
        v.x[v.n++] = c->in[i];
    }
    return v;
}

/* The gradient of sum over inputs of <gradient, weight>. */
static bool second_agrees(const comparison *c, const wanted *v, mn_tensor *const *g)
{
    mn_tensor *of[FIXTURE_INPUTS], *w[FIXTURE_INPUTS], *h[FIXTURE_INPUTS] = {0};
    int n = 0;
    if (!c->f->in[v->number[0]].second) return true;
    for (int i = 0; i < v->n; i++) {
        if (!mn_tensor_requires_grad(g[i])) continue;
        w[n] = v->w[i];
        of[n++] = g[i];
    }
    mn_grad_opts o = {.cotangents = w, .retain_graph = true, .allow_unused = true};
    if (n > 0) mn_grad(c->t, of, n, v->x, v->n, h, &o);
    for (int i = 0; i < v->n && !mn_tape_error(c->t); i++)
        if (!fixture_second_agrees(c->f, v->number[i], h[i], c->text, c->size)) return false;
    return mn_tape_error(c->t) == MN_OK;
}

/* Compares outputs, then the gradients of the recorded pass (mn_grad with create_graph takes the
 * formula written with ops) and theirs, then those of mn_backward (fused kernels). */
static bool compare_case(const comparison *c)
{
    const fixture_case *f = c->f;
    call run = row_call(f, c->t, c->in);
    row_run(c->row, &run);
    mn_tensor *outputs[FIXTURE_OUTPUTS], *v[FIXTURE_OUTPUTS], *g[FIXTURE_INPUTS] = {0};
    int n_out = 0;
    for (int k = 0; k < f->n_out; k++) {
        if (!fixture_output_agrees(f, k, run.out[k], c->text, c->size)) return false;
        if (!f->out[k].grad) continue;
        v[n_out] = c->cotangent[k];
        outputs[n_out++] = run.out[k];
    }
    const wanted in = wanted_inputs(c);
    if (n_out == 0 || in.n == 0) return mn_tape_error(c->t) == MN_OK;

    mn_grad_opts recorded = {.cotangents = v, .create_graph = true};
    mn_grad(c->t, outputs, n_out, in.x, in.n, g, &recorded);
    for (int i = 0; i < in.n; i++)
        if (!fixture_gradient_agrees(f, in.number[i], g[i], c->text, c->size)) return false;
    if (!second_agrees(c, &in, g)) return false;
    mn_backward_opts plain = {.cotangents = v};
    mn_backward_from(c->t, outputs, n_out, &plain);
    for (int i = 0; i < in.n; i++) {
        mn_tensor *grad = mn_tensor_grad(in.x[i]);
        if (fixture_gradient_agrees(f, in.number[i], grad, c->text, c->size)) continue;
        size_t length = strlen(c->text);
        snprintf(c->text + length, c->size - length, " (in mn_backward)");
        return false;
    }
    return mn_tape_error(c->t) == MN_OK;
}

static bool case_is_refused(const comparison *c)
{
    call run = row_call(c->f, c->t, c->in);
    row_run(c->row, &run);
    const char *message = mn_tape_message(c->t);
    bool as_said = mn_tape_error(c->t) == c->f->refused && strstr(message, c->f->says);
    for (int k = 0; k < FIXTURE_OUTPUTS; k++) as_said = as_said && !run.out[k];
    if (!as_said)
        snprintf(c->text, c->size, "error %d (\"%s\") instead of %d (\"... %s ...\")",
                 mn_tape_error(c->t), message, c->f->refused, c->f->says);
    return as_said;
}

static bool case_agrees(const op_row *r, const fixture_case *f, char *text, size_t size)
{
    comparison c = {.row = r, .f = f, .t = mn_tape_new(NULL), .text = text, .size = size};
    bool ready = c.t != NULL;
    text[0] = '\0';
    for (int i = 0; i < f->n_in; i++) {
        ready = (c.in[i] = fixture_input(f, i)) && ready;
        if (f->in[i].grad) ready = (c.weight[i] = fixture_weight(f, i)) && ready;
    }
    for (int k = 0; k < f->n_out; k++)
        if (f->out[k].grad) ready = (c.cotangent[k] = fixture_cotangent(f, k)) && ready;
    bool agrees = ready && (f->refused ? case_is_refused(&c) : compare_case(&c));
    if (!agrees && !text[0])
        snprintf(text, size, "%s", ready ? mn_tape_message(c.t) : mn_last_message());
    else if (!agrees && !f->refused && mn_tape_error(c.t))
        snprintf(text, size, "%s", mn_tape_message(c.t));
    mn_tape_free(c.t);
    for (int i = 0; i < FIXTURE_INPUTS; i++) {
        mn_release(c.in[i]);
        mn_release(c.weight[i]);
    }
    for (int k = 0; k < FIXTURE_OUTPUTS; k++) mn_release(c.cotangent[k]);
    return agrees;
}

/* ---- the tests ---- */

/* Runs the cases of row r; what differs goes into report. Returns how many cases there are. */
static int compare_row(const op_row *r, char *report, size_t size)
{
    int cases = 0;
    for (int i = 0; i < ops.n; i++) {
        char text[512];
        if (strcmp(ops.cases[i].op, r->name) != 0) continue;
        cases++;
        if (case_agrees(r, &ops.cases[i], text, sizeof text)) continue;
        size_t length = strlen(report);
        snprintf(report + length, size - length, "\n  %s: %s", ops.cases[i].path, text);
    }
    return cases;
}

/* With the kernels of each instruction set that this processor has. */
START_TEST(op_and_gradients_agree_with_pytorch)
{
    static const char *const sets[] = {"baseline", "avx2", "avx512", "neon"};
    const op_row *r = row_at(_i);
    int runs = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (!mni_kernels_force(sets[i])) continue;
        char report[2000] = ""; /* Check takes no more than 4096 */
        int cases = compare_row(r, report, sizeof report);
        mni_kernels_force(NULL);
        ck_assert_msg(r->no_cases ? cases == 0 : cases >= 2, "%s has %d cases", r->name, cases);
        ck_assert_msg(!report[0], "%s differs with %s kernels:%s", r->name, sets[i], report);
        ck_assert_int_eq(mn_live_allocations(), 0);
        runs++;
    }
    ck_assert_int_ge(runs, 1);
}
END_TEST

START_TEST(every_case_has_a_row)
{
    ck_assert_int_gt(ops.n, 0);
    for (int i = 0; i < ops.n; i++)
        ck_assert_msg(row_find(ops.cases[i].op), "%s has no row", ops.cases[i].path);
}
END_TEST

/* Reads the names out of a header: "MN_API mn_tensor *mn_NAME(", "MN_API int mn_NAME(",
 * "MN_API mn_module *mn_nn_NAME(". */
static int ops_of_header(const char *path)
{
    FILE *header = fopen(path, "r");
    ck_assert_ptr_nonnull(header);
    char line[512], name[64];
    int found = 0;
    while (fgets(line, sizeof line, header)) {
        if (sscanf(line, "MN_API mn_tensor *mn_%63[a-z0-9_](", name) != 1 &&
            sscanf(line, "MN_API int mn_%63[a-z0-9_](", name) != 1 &&
            sscanf(line, "MN_API mn_module *mn_%63[a-z0-9_](", name) != 1)
            continue;
        ck_assert_msg(row_find(name), "mn_%s has no row", name);
        found++;
    }
    fclose(header);
    return found;
}

START_TEST(every_op_and_module_of_the_headers_has_a_row)
{
    glob_t headers;
    ck_assert_int_eq(glob(MNI_SOURCE_DIR "/include/minnow/ops/*.h", 0, NULL, &headers), 0);
    ck_assert_int_eq(glob(MNI_SOURCE_DIR "/include/minnow/nn/[!m]*.h", GLOB_APPEND, NULL, &headers),
                     0);
    int found = 0;
    for (size_t i = 0; i < headers.gl_pathc; i++) found += ops_of_header(headers.gl_pathv[i]);
    globfree(&headers);
    ck_assert_int_eq(found, row_count() - 1); /* programs are not in a header */
}
END_TEST

/* test_pytorch [FILE]: the cases of that file, all of one op, instead of those of the project. */
int main(int argc, char **argv)
{
    Suite *s = suite_create("pytorch");
    TCase *tc = tcase_create("ops");
    tcase_set_timeout(tc, 60);
    if (argc > 1) {
        fixture_read(&ops, argv[1]);
        rows_only(ops.cases[0].op);
    } else {
        rows_read(&ops);
        tcase_add_test(tc, every_case_has_a_row);
        tcase_add_test(tc, every_op_and_module_of_the_headers_has_a_row);
    }
    tcase_add_loop_test(tc, op_and_gradients_agree_with_pytorch, 0, row_count());
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&ops);
    return failed != 0;
}
