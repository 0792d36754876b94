/*
 * tests/test_init.c: first values: each distribution against the moments of PyTorch's (fixtures/init.txt),
 * what is constant or has a structure exactly, what is refused; choosing parameters by pattern.
 */
#include "fixture.h"
#include "support.h"

#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

static fixture cases;

static mn_init init_of(const fixture_case *f)
{
    const double *a = f->args.number;
    const char *op = f->op;
    if (strcmp(op, "uniform") == 0) return mn_init_uniform(a[0], a[1]);
    if (strcmp(op, "normal") == 0) return mn_init_normal(a[0], a[1]);
    if (strcmp(op, "trunc_normal") == 0) return mn_init_trunc_normal(a[0], a[1], a[2], a[3]);
    if (strcmp(op, "xavier_uniform") == 0) return mn_init_xavier_uniform(a[0]);
    if (strcmp(op, "xavier_normal") == 0) return mn_init_xavier_normal(a[0]);
    if (strncmp(op, "kaiming", 7) == 0) {
        const double gain = mn_init_gain(MN_NONLINEARITY_LEAKY_RELU, a[1]);
        return strcmp(op, "kaiming_uniform") == 0 ? mn_init_kaiming_uniform((mn_fan)a[0], gain)
                                                  : mn_init_kaiming_normal((mn_fan)a[0], gain);
    }
    if (strcmp(op, "orthogonal") == 0) return mn_init_orthogonal(a[0]);
    if (strcmp(op, "sparse") == 0) return mn_init_sparse(a[0], a[1]);
    if (strcmp(op, "constant") == 0) return mn_init_constant(a[0]);
    if (strcmp(op, "eye") == 0) return mn_init_eye();
    ck_assert_str_eq(op, "dirac");
    return mn_init_dirac((int64_t)a[0]);
}

static mn_tensor *empty(const fixture_case *f, mn_dtype dtype)
{
    return mn_tensor_empty(dtype, f->in[0].ndim, f->in[0].shape);
}

static void read_all(const mn_tensor *x, double *values)
{
    ck_assert_int_eq(mn_tensor_read(x, MN_F64, values, mn_tensor_numel(x)), MN_OK);
}

enum { SAMPLE = 200000, MOST = 2000 };

/* Mean, standard deviation, kurtosis, least and largest of SAMPLE elements. */
static void sample(const fixture_case *f, mn_dtype dtype, double *moments)
{
    mn_tensor *x = empty(f, dtype);
    mn_rng rng = mn_rng_make(5, 6);
    double values[MOST], sum[5] = {0}, least = INFINITY, largest = -INFINITY;
    while (sum[0] < SAMPLE) {
        ck_assert_msg(mn_init_apply(init_of(f), x, &rng) == MN_OK, "%s", mn_last_message());
        read_all(x, values);
        for (int64_t i = 0; i < mn_tensor_numel(x); i++) {
            for (int k = 0; k < 5; k++) sum[k] += pow(values[i], k);
            least = fmin(least, values[i]);
            largest = fmax(largest, values[i]);
        }
    }
    const double m = sum[1] / sum[0], m2 = sum[2] / sum[0], v = fmax(m2 - m * m, 0);
    const double fourth =
        sum[4] / sum[0] - 4 * m * sum[3] / sum[0] + 6 * m * m * m2 - 3 * m * m * m * m;
    moments[0] = m;
    moments[1] = sqrt(v);
    moments[2] = v > 0 ? fourth / (v * v) : 0;
    moments[3] = least;
    moments[4] = largest;
    mn_release(x);
}

/* Two estimates from as many numbers: five standard errors apart at the most. Bounds as wide as what
 * the thinnest tail may miss. */
static void check_moments(const fixture_case *f, mn_dtype dtype)
{
    double got[5];
    const double *want = f->out[0].values, error = 5 * sqrt(2.0 / SAMPLE);
    sample(f, dtype, got);
    const double off[] = {error * want[1], error * want[1] * sqrt((want[2] + 1) / 4),
                          0.05 * want[2], want[1], want[1]};
    for (int k = 0; k < 5; k++) {
        /* Nothing bounds a normal's extremes; a uniform one comes close to its own. */
        double most = k > 2 && want[2] < 2 ? 0.02 * want[1] : off[k];
        ck_assert_msg(fabs(got[k] - want[k]) <= most + 1e-6 * fabs(want[0]),
                      "%s, %s: moment %d is %g, PyTorch's %g", f->path, mn_dtype_name(dtype), k,
                      got[k], want[k]);
    }
}

static void check_values(const fixture_case *f, mn_dtype dtype)
{
    mn_tensor *x = empty(f, dtype);
    mn_rng rng = mn_rng_make(5, 6);
    double values[MOST];
    ck_assert_msg(mn_init_apply(init_of(f), x, &rng) == MN_OK, "%s", mn_last_message());
    read_all(x, values);
    for (int64_t i = 0; i < f->out[0].numel; i++)
        ck_assert_msg(values[i] == f->out[0].values[i], "%s: element %d is %g", f->path, (int)i,
                      values[i]);
    mn_release(x);
}

START_TEST(distributions_are_pytorchs)
{
    int compared = 0;
    for (const fixture_case *f = cases.cases; f < cases.cases + cases.n; f++) {
        if (strcmp(f->op, "gain") == 0) {
            double gain = mn_init_gain((mn_nonlinearity)f->args.number[0], f->args.number[1]);
            ck_assert_double_eq_tol(gain, f->out[0].values[0], 1e-15);
        }
        for (mn_dtype d = MN_F32; d <= MN_F64 && f->n_in; d++) {
            bool exact = strcmp(f->op, "eye") == 0 || strcmp(f->op, "dirac") == 0;
            (exact ? check_values : check_moments)(f, d);
        }
        compared++;
    }
    ck_assert_int_gt(compared, 30);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

/* ---- structure ---- */

START_TEST(orthogonal_rows_or_columns_are_orthonormal)
{
    static const int64_t shapes[][3] = {{5, 12, 1}, {12, 5, 1}, {7, 7, 1}, {64, 10, 3}, {1, 1, 1}};
    mn_rng rng = mn_rng_make(1, 2);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t rows = shapes[i][0], columns = shapes[i][1] * shapes[i][2];
        mn_tensor *x = mn_tensor_empty(MN_F64, 3, shapes[i]);
        ck_assert_int_eq(mn_init_apply(mn_init_orthogonal(3), x, &rng), MN_OK);
        mn_tape *t = mn_tape_new(NULL);
        mn_tensor *a = mn_reshape(t, x, 2, (int64_t[]){rows, columns});
        if (rows > columns) a = mn_transpose(t, a, 0, 1);
        mn_tensor *gram = mn_matmul(t, a, mn_transpose(t, a, 0, 1));
        const int64_t n = mn_tensor_size(gram, 0);
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < n; c++)
                ck_assert_double_eq_tol(mn_tensor_get(gram, (int64_t[]){r, c}), r == c ? 9 : 0,
                                        1e-13);
        mn_tape_free(t);
        mn_release(x);
    }
}
END_TEST

START_TEST(sparse_zeroes_as_many_of_each_column)
{
    enum { ROWS = 7, COLUMNS = 50 };
    int of_row[ROWS] = {0};
    mn_rng rng = mn_rng_make(1, 2);
    mn_tensor *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){ROWS, COLUMNS});
    for (int round = 0; round < 40; round++) {
        ck_assert_int_eq(mn_init_apply(mn_init_sparse(0.4, 1), x, &rng), MN_OK);
        for (int64_t c = 0; c < COLUMNS; c++) {
            int zeros = 0;
            for (int64_t r = 0; r < ROWS; r++) {
                bool zero = mn_tensor_get(x, (int64_t[]){r, c}) == 0;
                zeros += zero;
                of_row[r] += zero;
            }
            ck_assert_int_eq(zeros, 3);
        }
    }
    for (int r = 0; r < ROWS; r++) ck_assert_int_lt(abs(of_row[r] - 2000 * 3 / ROWS), 120);
    mn_release(x);
}
END_TEST

START_TEST(the_same_generator_gives_the_same_bits)
{
    const mn_init all[] = {mn_init_trunc_normal(0, 1, -2, 2), mn_init_orthogonal(1),
                           mn_init_sparse(0.5, 1), mn_init_kaiming_normal(MN_FAN_OUT, 1)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        mn_tensor *x = mn_tensor_empty(MN_F64, 2, (int64_t[]){6, 9});
        mn_tensor *y = mn_tensor_empty(MN_F64, 2, (int64_t[]){6, 9});
        mn_rng one = mn_rng_make(3, 4), other = one;
        mn_init_apply(all[i], x, &one);
        mn_init_apply(all[i], y, &other);
        ck_assert_int_eq(memcmp(mn_tensor_data(x), mn_tensor_data(y), 54 * sizeof(double)), 0);
        ck_assert_uint_eq(one.offset, other.offset);
        mn_release(x);
        mn_release(y);
    }
}
END_TEST

START_TEST(what_a_distribution_is_not_for_is_refused)
{
    static const int64_t shape[] = {4, 3, 2};
    const struct {
        mn_init init;
        mn_dtype dtype;
        int ndim;
        mn_error error;
        const char *text;
    } bad[] = {
        {mn_init_xavier_uniform(1), MN_F32, 1, MN_ERR_SHAPE,
         "xavier_uniform is for two dimensions or more, not for [4]"},
        {mn_init_xavier_normal(NAN), MN_F32, 2, MN_ERR_ARGUMENT, "xavier_normal: the gain is nan"},
        {mn_init_kaiming_uniform((mn_fan)7, 1), MN_F32, 2, MN_ERR_ARGUMENT, "7 is no mn_fan"},
        {mn_init_kaiming_normal(MN_FAN_IN, -1), MN_F32, 2, MN_ERR_ARGUMENT, "the gain is -1"},
        {mn_init_kaiming_normal(MN_FAN_IN, 1), MN_I64, 2, MN_ERR_DTYPE,
         "kaiming_normal is for f32 or f64, not for i64"},
        {mn_init_eye(), MN_F32, 3, MN_ERR_SHAPE, "eye is for a matrix, not for [4, 3, 2]"},
        {mn_init_dirac(1), MN_F32, 2, MN_ERR_SHAPE, "dirac is for three to five dimensions"},
        {mn_init_dirac(3), MN_F32, 3, MN_ERR_ARGUMENT, "3 groups do not divide 4 channels"},
        {mn_init_orthogonal(1), MN_F32, 1, MN_ERR_SHAPE, "orthogonal is for two dimensions"},
        {mn_init_sparse(1.5, 1), MN_F32, 2, MN_ERR_ARGUMENT, "sparsity 1.5 is not between 0 and 1"},
        {mn_init_sparse(0.5, 1), MN_F32, 3, MN_ERR_SHAPE, "sparse is for a matrix"},
        {mn_init_trunc_normal(0, 1, 5, 6), MN_F32, 2, MN_ERR_ARGUMENT,
         "less than 1 % of N(0, 1^2) is between 5 and 6"},
        {mn_init_trunc_normal(0, 0, -1, 1), MN_F32, 2, MN_ERR_ARGUMENT, "deviation is 0"},
        {mn_init_uniform(2, 1), MN_F32, 2, MN_ERR_ARGUMENT, "2"},
        {{0}, MN_F32, 2, MN_ERR_ARGUMENT, "mn_init_apply: the mn_init is empty"},
    };
    mn_rng rng = mn_rng_make(1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mn_tensor *x = mn_tensor_full(bad[i].dtype, bad[i].ndim, shape, 7);
        ck_assert_int_eq(mn_init_apply(bad[i].init, x, &rng), bad[i].error);
        ck_assert_msg(strstr(mn_last_message(), bad[i].text), "\"%s\" for \"%s\"",
                      mn_last_message(), bad[i].text);
        ck_assert_double_eq(mn_tensor_get(x, (int64_t[]){1, 1, 1}), 7);
        mn_release(x);
        mn_clear_last_error();
    }
    ck_assert(isnan(mn_init_gain((mn_nonlinearity)77, 0)));
    ck_assert_int_eq(mn_init_apply(mn_init_eye(), NULL, &rng), mn_last_error());
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

/* ---- by pattern ---- */

START_TEST(a_pattern_chooses_what_is_drawn_and_what_is_frozen)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(3, 4, NULL), mn_nn_linear(4, 2, NULL));
    mn_module_init(net, 1);
    mn_tensor *bias = mn_module_get(net, "1.bias"), *weight = mn_module_get(net, "0.weight");
    ck_assert_int_eq(mn_module_init_matching(net, "*.bias", mn_init_constant(0.5), 1), MN_OK);
    ck_assert_double_eq(mn_tensor_get(bias, (int64_t[]){1}), 0.5);
    ck_assert_int_eq(mn_module_init_matching(net, "0.w*", mn_init_kaiming_normal(MN_FAN_IN, 1), 9),
                     MN_OK);

    /* As drawn from the parameter's own stream. */
    mn_tensor *same = mn_tensor_empty(MN_F32, 2, (int64_t[]){4, 3});
    mn_rng rng = mn_rng_make(9, mn_rng_stream("0.weight"));
    mn_init_apply(mn_init_kaiming_normal(MN_FAN_IN, 1), same, &rng);
    ck_assert_int_eq(memcmp(mn_tensor_data(same), mn_tensor_data(weight), 48), 0);
    mn_release(same);

    ck_assert_int_eq(mn_module_freeze(net, "0.*"), MN_OK);
    ck_assert_int_eq(mn_module_numel_trainable(net), 4 * 2 + 2);
    ck_assert_int_eq(mn_module_freeze(net, "*"), MN_OK);
    ck_assert_int_eq(mn_module_unfreeze(net, "?.bias"), MN_OK);
    ck_assert_int_eq(mn_module_numel_trainable(net), 4 + 2);
    ck_assert_int_eq(mn_module_freeze(net, "2.*"), MN_ERR_ARGUMENT);
    ck_assert_str_eq(mn_last_message(), "mn_module_freeze: no parameter's name fits \"2.*\"");
    ck_assert_int_eq(mn_module_unfreeze(net, "weight"), MN_ERR_ARGUMENT);
    ck_assert_int_eq(mn_module_init_matching(net, "x", mn_init_constant(0), 1), MN_ERR_ARGUMENT);
    ck_assert_int_eq(mn_module_init_matching(net, "0.bias", mn_init_eye(), 1), MN_ERR_SHAPE);
    mn_clear_last_error();
    ck_assert_int_eq(mn_module_freeze(net, NULL), MN_ERR_ARGUMENT);
    mn_module_free(net);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

int main(void)
{
    fixture_read(&cases, MNI_SOURCE_DIR "/tests/fixtures/init.txt");
    const TTest *tests[] = {distributions_are_pytorchs,
                            orthogonal_rows_or_columns_are_orthonormal,
                            sparse_zeroes_as_many_of_each_column,
                            the_same_generator_gives_the_same_bits,
                            what_a_distribution_is_not_for_is_refused,
                            a_pattern_chooses_what_is_drawn_and_what_is_frozen};
    int failed = run_suite("init", tests, sizeof tests / sizeof *tests);
    fixture_free(&cases);
    return failed;
}
