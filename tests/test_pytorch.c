/*
 * tests/test_pytorch.c: every op and its gradient against what PyTorch computed (tests/fixtures/ops.txt).
 * A row of the table says how an op is called; its cases, with their arguments, are in the file. A row
 * without a case, a case without a row and an op of ops.h without a row each fail.
 */
#include "fixture.h"
#include "tensor/kernels/kernels.h"

#include <check.h>
#include <minnow/ops.h>
#include <stdio.h>
#include <string.h>

/* ---- how each op is called ---- */

typedef struct call {
    mn_tape *t;
    mn_tensor *const *in;
    int n_in;
    const double *arg;
    int n_args;
    mn_dtype dtype;
    mn_rng rng;
    mn_tensor *out[FIXTURE_OUTPUTS];
} call;

/* The arguments from number `first` on, as integers. */
typedef struct ints {
    int n;
    int as_int[FIXTURE_ARGS];
    int64_t as_i64[FIXTURE_ARGS];
} ints;

static ints integers(const call *c, int first)
{
    ints v = {.n = c->n_args - first};
    for (int i = 0; i < v.n; i++) {
        v.as_int[i] = (int)c->arg[first + i];
        v.as_i64[i] = (int64_t)c->arg[first + i];
    }
    return v;
}

static void call_rand(call *c)
{
    ints shape = integers(c, 0);
    c->out[0] = mn_rand(c->t, c->dtype, shape.n, shape.as_i64, &c->rng);
}

static void call_to(call *c)
{
    c->out[0] = mn_to(c->t, c->in[0], (mn_dtype)c->arg[0]);
}

static void call_linear(call *c)
{
    c->out[0] = mn_linear(c->t, c->in[0], c->in[1], c->n_in > 2 ? c->in[2] : MN_NONE);
}

static void call_sum_dim(call *c)
{
    ints dims = integers(c, 1);
    c->out[0] = mn_sum_dim(c->t, c->in[0], dims.as_int, dims.n, c->arg[0] != 0);
}

static void call_mean_dim(call *c)
{
    ints dims = integers(c, 1);
    c->out[0] = mn_mean_dim(c->t, c->in[0], dims.as_int, dims.n, c->arg[0] != 0);
}

static void call_max_dim(call *c)
{
    c->out[0] = mn_max_dim(c->t, c->in[0], (int)c->arg[0], c->arg[1] != 0, &c->out[1]);
}

static void call_argmax_dim(call *c)
{
    c->out[0] = mn_argmax_dim(c->t, c->in[0], (int)c->arg[0], c->arg[1] != 0);
}

static void call_reshape(call *c)
{
    ints shape = integers(c, 0);
    c->out[0] = mn_reshape(c->t, c->in[0], shape.n, shape.as_i64);
}

static void call_flatten(call *c)
{
    c->out[0] = mn_flatten(c->t, c->in[0], (int)c->arg[0], (int)c->arg[1]);
}

static void call_transpose(call *c)
{
    c->out[0] = mn_transpose(c->t, c->in[0], (int)c->arg[0], (int)c->arg[1]);
}

static void call_permute(call *c)
{
    c->out[0] = mn_permute(c->t, c->in[0], integers(c, 0).as_int);
}

static void call_expand(call *c)
{
    ints shape = integers(c, 0);
    c->out[0] = mn_expand(c->t, c->in[0], shape.n, shape.as_i64);
}

static void call_narrow(call *c)
{
    ints a = integers(c, 0);
    c->out[0] = mn_narrow(c->t, c->in[0], a.as_int[0], a.as_i64[1], a.as_i64[2]);
}

static void call_cat(call *c)
{
    c->out[0] = mn_cat(c->t, c->in, c->n_in, (int)c->arg[0]);
}

/* The in-place forms overwrite a copy: a leaf that requires grad may not be. */
static void call_relu_(call *c)
{
    c->out[0] = mn_relu_(c->t, mn_clone(c->t, c->in[0]));
}

static void call_leaky_relu_(call *c)
{
    c->out[0] = mn_leaky_relu_(c->t, mn_clone(c->t, c->in[0]), c->arg[0]);
}

static void call_rrelu(call *c)
{
    c->out[0] = mn_rrelu(c->t, c->in[0], c->arg[0], c->arg[1], c->arg[2] != 0, &c->rng);
    c->out[1] = mn_rrelu_slopes(c->t, c->out[0]);
}

static void call_rrelu_(call *c)
{
    mn_tensor *x = mn_clone(c->t, c->in[0]);
    c->out[0] = mn_rrelu_(c->t, x, c->arg[0], c->arg[1], c->arg[2] != 0, &c->rng);
    c->out[1] = mn_rrelu_slopes(c->t, c->out[0]);
}

static void call_rrelu_with(call *c)
{
    unsigned bits = (unsigned)c->arg[3];
    mn_rrelu_opts opts = {.inplace = bits & 1,
                          .divisor = (bits & 2) != 0,
                          .per_channel = (bits & 4) != 0,
                          .recompute = (bits & 8) != 0};
    mn_tensor *x = opts.inplace ? mn_clone(c->t, c->in[0]) : c->in[0];
    c->out[0] = mn_rrelu_with(c->t, x, c->arg[0], c->arg[1], c->arg[2] != 0, &c->rng, &opts);
    c->out[1] = mn_rrelu_slopes(c->t, c->out[0]);
}

static void call_softmax(call *c)
{
    c->out[0] = mn_softmax(c->t, c->in[0], (int)c->arg[0]);
}

static void call_log_softmax(call *c)
{
    c->out[0] = mn_log_softmax(c->t, c->in[0], (int)c->arg[0]);
}

static void call_dropout(call *c)
{
    c->out[0] = mn_dropout(c->t, c->in[0], c->arg[0], c->arg[1] != 0, &c->rng);
}

typedef mn_tensor *(*loss_fn)(mn_tape *, mn_tensor *, mn_tensor *, const mn_loss_opts *);

typedef struct op_row {
    const char *name; /* mn_ + name */
    mn_tensor *(*unary)(mn_tape *, mn_tensor *);
    mn_tensor *(*binary)(mn_tape *, mn_tensor *, mn_tensor *);
    mn_tensor *(*scalar)(mn_tape *, mn_tensor *, double);
    loss_fn loss; /* the argument is the reduction */
    void (*other)(call *);
} op_row;

static const op_row table[] = {
    {"rand", .other = call_rand},
    {"to", .other = call_to},
    {"add", .binary = mn_add},
    {"sub", .binary = mn_sub},
    {"mul", .binary = mn_mul},
    {"div", .binary = mn_div},
    {"add_scalar", .scalar = mn_add_scalar},
    {"sub_scalar", .scalar = mn_sub_scalar},
    {"mul_scalar", .scalar = mn_mul_scalar},
    {"div_scalar", .scalar = mn_div_scalar},
    {"eq", .binary = mn_eq},
    {"gt", .binary = mn_gt},
    {"gt_scalar", .scalar = mn_gt_scalar},
    {"neg", .unary = mn_neg},
    {"exp", .unary = mn_exp},
    {"log", .unary = mn_log},
    {"sqrt", .unary = mn_sqrt},
    {"sigmoid", .unary = mn_sigmoid},
    {"tanh", .unary = mn_tanh},
    {"matmul", .binary = mn_matmul},
    {"linear", .other = call_linear},
    {"sum", .unary = mn_sum},
    {"mean", .unary = mn_mean},
    {"sum_dim", .other = call_sum_dim},
    {"mean_dim", .other = call_mean_dim},
    {"max", .unary = mn_max},
    {"max_dim", .other = call_max_dim},
    {"argmax", .unary = mn_argmax},
    {"argmax_dim", .other = call_argmax_dim},
    {"reshape", .other = call_reshape},
    {"flatten", .other = call_flatten},
    {"transpose", .other = call_transpose},
    {"permute", .other = call_permute},
    {"expand", .other = call_expand},
    {"narrow", .other = call_narrow},
    {"cat", .other = call_cat},
    {"contiguous", .unary = mn_contiguous},
    {"clone", .unary = mn_clone},
    {"relu", .unary = mn_relu},
    {"leaky_relu", .scalar = mn_leaky_relu},
    {"relu_", .other = call_relu_},
    {"leaky_relu_", .other = call_leaky_relu_},
    {"prelu", .binary = mn_prelu},
    {"rrelu", .other = call_rrelu},
    {"rrelu_", .other = call_rrelu_},
    {"rrelu_with", .other = call_rrelu_with},
    {"softmax", .other = call_softmax},
    {"log_softmax", .other = call_log_softmax},
    {"dropout", .other = call_dropout},
    {"nll_loss", .loss = mn_nll_loss},
    {"cross_entropy", .loss = mn_cross_entropy},
    {"mse_loss", .loss = mn_mse_loss},
};
enum { ROWS = sizeof table / sizeof *table };

/* Ops without a row: the makers compute nothing, and the slopes are an output of every rrelu
 * case. */
static const char *const not_compared[] = {"empty",     "zeros",       "ones",       "full",
                                           "from",      "scalar",      "empty_like", "zeros_like",
                                           "ones_like", "rrelu_slopes"};

static void run(const op_row *r, call *c)
{
    if (r->unary) c->out[0] = r->unary(c->t, c->in[0]);
    if (r->binary) c->out[0] = r->binary(c->t, c->in[0], c->in[1]);
    if (r->scalar) c->out[0] = r->scalar(c->t, c->in[0], c->arg[0]);
    if (r->loss) {
        mn_loss_opts opts = {.reduction = (mn_reduction)c->arg[0]};
        c->out[0] = r->loss(c->t, c->in[0], c->in[1], &opts);
    }
    if (r->other) r->other(c);
}

/* ---- one case ---- */

static fixture ops;

/* Compares outputs, then the gradients of the recorded pass (mn_grad with create_graph takes the
 * formula written with ops), then those of mn_backward (fused kernels). False with the reason in
 * text. */
static bool compare_case(const op_row *r, const fixture_case *f, mn_tape *t, mn_tensor *const *in,
                         mn_tensor *const *cotangents, char *text, size_t size)
{
    call c = {.t = t,
              .in = in,
              .n_in = f->n_in,
              .arg = f->args,
              .n_args = f->n_args,
              .dtype = f->dtype,
              .rng = fixture_rng(f, "rng")};
    run(r, &c);
    mn_tensor *outputs[FIXTURE_OUTPUTS], *v[FIXTURE_OUTPUTS], *x[FIXTURE_INPUTS],
        *g[FIXTURE_INPUTS];
    int n_out = 0, n_in = 0, number[FIXTURE_INPUTS];
    for (int k = 0; k < f->n_out; k++) {
        if (!fixture_output_agrees(f, k, c.out[k], text, size)) return false;
        if (!f->out[k].grad) continue;
        v[n_out] = cotangents[k];
        outputs[n_out++] = c.out[k];
    }
    for (int i = 0; i < f->n_in; i++) {
        if (!f->in[i].grad) continue;
        number[n_in] = i;
        x[n_in++] = in[i];
    }
    if (n_out == 0) return true;

    mn_grad_opts recorded = {.cotangents = v, .create_graph = true};
    mn_grad(t, outputs, n_out, x, n_in, g, &recorded);
    for (int i = 0; i < n_in; i++)
        if (!fixture_gradient_agrees(f, number[i], g[i], text, size)) return false;
    mn_backward_opts plain = {.cotangents = v};
    mn_backward_from(t, outputs, n_out, &plain);
    for (int i = 0; i < n_in; i++) {
        if (fixture_gradient_agrees(f, number[i], mn_tensor_grad(x[i]), text, size)) continue;
        size_t length = strlen(text);
        snprintf(text + length, size - length, " (in mn_backward)");
        return false;
    }
    return mn_tape_error(t) == MN_OK;
}

static bool case_agrees(const op_row *r, const fixture_case *f, char *text, size_t size)
{
    mn_tensor *in[FIXTURE_INPUTS] = {0}, *cotangents[FIXTURE_OUTPUTS] = {0};
    mn_tape *t = mn_tape_new(NULL);
    bool ready = t != NULL;
    text[0] = '\0';
    for (int i = 0; i < f->n_in; i++) ready = (in[i] = fixture_input(f, i)) && ready;
    for (int k = 0; k < f->n_out; k++)
        if (f->out[k].grad) ready = (cotangents[k] = fixture_cotangent(f, k)) && ready;
    bool agrees = ready && compare_case(r, f, t, in, cotangents, text, size);
    if (!agrees && (!ready || mn_tape_error(t)))
        snprintf(text, size, "%s", ready ? mn_tape_message(t) : mn_last_message());
    mn_tape_free(t);
    for (int i = 0; i < f->n_in; i++) mn_release(in[i]);
    for (int k = 0; k < f->n_out; k++) mn_release(cotangents[k]);
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
    const op_row *r = &table[_i];
    int runs = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (!mni_kernels_force(sets[i])) continue;
        char report[4096] = "";
        int cases = compare_row(r, report, sizeof report);
        mni_kernels_force(NULL);
        ck_assert_msg(cases >= 2, "%s has %d cases", r->name, cases);
        ck_assert_msg(!report[0], "%s differs with %s kernels:%s", r->name, sets[i], report);
        ck_assert_int_eq(mn_live_allocations(), 0);
        runs++;
    }
    ck_assert_int_ge(runs, 1);
}
END_TEST

static bool has_row(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].name, name) == 0) return true;
    return false;
}

START_TEST(every_case_has_a_row)
{
    ck_assert_int_gt(ops.n, 0);
    for (int i = 0; i < ops.n; i++)
        ck_assert_msg(has_row(ops.cases[i].op), "%s has no row", ops.cases[i].path);
}
END_TEST

/* Reads the names out of the header: "MN_API mn_tensor *mn_NAME(". */
START_TEST(every_op_of_the_header_is_compared)
{
    FILE *header = fopen(MNI_SOURCE_DIR "/include/minnow/ops.h", "r");
    ck_assert_ptr_nonnull(header);
    char line[512], name[64];
    int found = 0;
    while (fgets(line, sizeof line, header)) {
        if (sscanf(line, "MN_API mn_tensor *mn_%63[a-z0-9_](", name) != 1) continue;
        bool known = has_row(name);
        for (size_t i = 0; i < sizeof not_compared / sizeof *not_compared; i++)
            known = known || strcmp(not_compared[i], name) == 0;
        ck_assert_msg(known, "mn_%s is not compared with PyTorch", name);
        found++;
    }
    fclose(header);
    ck_assert_int_ge(found, ROWS);
}
END_TEST

int main(void)
{
    ops = fixture_read(MNI_SOURCE_DIR "/tests/fixtures/ops.txt");
    Suite *s = suite_create("pytorch");
    TCase *tc = tcase_create("ops");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, op_and_gradients_agree_with_pytorch, 0, ROWS);
    tcase_add_test(tc, every_case_has_a_row);
    tcase_add_test(tc, every_op_of_the_header_is_compared);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&ops);
    return failed != 0;
}
