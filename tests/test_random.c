/*
 * tests/test_random.c: random draws over whole tensors: their bits, which no instruction set, team
 * or way of cutting changes, and their distributions. The seeds are fixed, so that a statistic
 * either always passes or never does. The fixtures have the same draws made with numpy.
 */
#include "core/philox.h"
#include "core/team.h"
#include "support.h"
#include "tensor/compute.h"

#include <math.h>
#include <minnow/ops.h>
#include <stdlib.h>
#include <string.h>

static const char *const isas[] = {"baseline", "avx2", "avx512", "neon"};

/* Runs the statement that follows once on each instruction set of this machine. */
#define FOR_EACH_ISA                                                                               \
    for (size_t isa = 0; isa < sizeof isas / sizeof *isas; isa++)                                  \
        if (mni_kernels_force(isas[isa]))

static mn_tensor *empty(mn_dtype dtype, int64_t n)
{
    mn_tensor *x = mn_tensor_empty(dtype, 1, &n);
    ck_assert_ptr_nonnull(x);
    return x;
}

static const double *f64(const mn_tensor *x)
{
    return mn_tensor_data(x);
}

static const int64_t *i64(const mn_tensor *x)
{
    return mn_tensor_data(x);
}

static void assert_same(const mn_tensor *a, const mn_tensor *b)
{
    size_t bytes = (size_t)mn_tensor_numel(a) * mn_dtype_size(mn_tensor_dtype(a));
    ck_assert_int_eq(mn_tensor_numel(a), mn_tensor_numel(b));
    if (bytes) ck_assert_mem_eq(mn_tensor_data(a), mn_tensor_data(b), bytes);
}

/* ---- normal draws ---- */

START_TEST(normal_draws_have_their_known_bits)
{
    static const uint64_t known_f64[] = {0xbff9ffd9aa3bc9b3, 0xbff44b28888d8c93, 0x3fed85c966f9a5f4,
                                         0x3fcc085bbe7cc121, 0xbfbe97e1a57636cc};
    static const uint32_t known_f32[] = {0x3f3ce8b6, 0xbf303d2e, 0xbfa49c44, 0xbf807c2c,
                                         0xbfdde637};
    FOR_EACH_ISA
    {
        mn_tensor *x = empty(MN_F64, 5), *y = empty(MN_F32, 5);
        mni_normal(NULL, x, 0, 1, mn_rng_make(0, 0));
        mni_normal(NULL, y, 0, 1, mn_rng_make(0, 0));
        ck_assert_mem_eq(mn_tensor_data(x), known_f64, sizeof known_f64);
        ck_assert_mem_eq(mn_tensor_data(y), known_f32, sizeof known_f32);
        mn_release(x);
        mn_release(y);
    }
}
END_TEST

/* The 64 bits of element i of an f64 draw, or the 32 of an f32 one, as a number in [0, 1). */
static double unit(mn_rng at, int64_t i, mn_dtype dtype)
{
    at.offset += (uint64_t)i * (dtype == MN_F64 ? 2 : 1);
    uint64_t word = mni_rng_word(at);
    return dtype == MN_F64 ? (double)(word >> 11) * 0x1p-53 : (double)(uint32_t)word * 0x1p-32;
}

START_TEST(normal_draws_are_box_and_mullers_of_the_words)
{
    static const int64_t lengths[] = {0, 1, 2, 3, 64, 383, 384, 385, 767, 768, 769, 2000};
    FOR_EACH_ISA
    for (int dtype = MN_F32; dtype <= MN_F64; dtype++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            const mn_rng at = {77 + k, (uint64_t)5 << k, 0x3fffffff0u + k};
            mn_tensor *x = empty((mn_dtype)dtype, lengths[k]);
            mni_normal(NULL, x, 0, 1, at);
            for (int64_t i = 0; i < lengths[k]; i++) {
                const double u = unit(at, i / 2 * 2, (mn_dtype)dtype);
                const double angle = 2 * acos(-1) * unit(at, i / 2 * 2 + 1, (mn_dtype)dtype);
                const double z = sqrt(-2 * log1p(-u)) * (i % 2 ? sin(angle) : cos(angle));
                const double error = fabs(mn_tensor_get(x, &i) - z);
                ck_assert_double_le(error, dtype == MN_F64 ? 1e-14 : fabs(z) * 0x1p-24 + 1e-14);
            }
            mn_release(x);
        }
}
END_TEST

START_TEST(normal_draws_scale_to_mean_and_deviation)
{
    mn_rng a = mn_rng_make(3, 4), b = a;
    mn_tensor *x = empty(MN_F32, 7), *y = empty(MN_F32, 7), *z = empty(MN_F64, 7);
    ck_assert_int_eq(mn_tensor_normal(y, 0, 1, &a), MN_OK);
    ck_assert_uint_eq(a.offset, 8);
    ck_assert_int_eq(mn_tensor_normal(x, 0.5, 3, &b), MN_OK);
    for (int64_t i = 0; i < 7; i++)
        ck_assert_double_eq_tol(mn_tensor_get(x, &i), 0.5 + 3 * mn_tensor_get(y, &i), 1e-6);
    ck_assert_int_eq(mn_tensor_normal(z, -2, 0, &a), MN_OK);
    ck_assert_uint_eq(a.offset, 8 + 16);
    for (int64_t i = 0; i < 7; i++) ck_assert(mn_tensor_get(z, &i) == -2);
    mn_release(x);
    mn_release(y);
    mn_release(z);
}
END_TEST

START_TEST(normal_refuses_what_it_cannot_draw)
{
    mn_rng rng = mn_rng_make(1, 1);
    mn_tensor *x = empty(MN_F32, 3), *y = empty(MN_I64, 3);
    uint32_t version = mn_tensor_version(x);
    ck_assert_int_eq(mn_tensor_normal(x, NAN, 1, &rng), MN_ERR_ARGUMENT);
    ck_assert_int_eq(mn_tensor_normal(x, 0, INFINITY, &rng), MN_ERR_ARGUMENT);
    ck_assert_int_eq(mn_tensor_normal(x, 0, -1, &rng), MN_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(mn_last_message(), "deviation -1"));
    ck_assert_int_eq(mn_tensor_normal(x, 0, 1, NULL), MN_ERR_ARGUMENT);
    ck_assert_int_eq(mn_tensor_normal(y, 0, 1, &rng), MN_ERR_DTYPE);
    ck_assert_ptr_nonnull(strstr(mn_last_message(), "mn_tensor_normal: the tensor is i64"));
    mn_clear_last_error();
    ck_assert_int_eq(mn_tensor_normal(NULL, 0, 1, &rng), MN_ERR_ARGUMENT);
    ck_assert_uint_eq(rng.offset, 0);
    ck_assert_uint_eq(mn_tensor_version(x), version);
    mn_release(x);
    mn_release(y);
}
END_TEST

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The Kolmogorov-Smirnov statistic, times sqrt(n): above 1.63 once in a hundred. */
static double distance(double *x, int64_t n)
{
    double most = 0;
    qsort(x, (size_t)n, sizeof *x, ascending);
    for (int64_t i = 0; i < n; i++) {
        const double p = erfc(-x[i] / sqrt(2)) / 2;
        most = fmax(most, fmax(p - (double)i / (double)n, (double)(i + 1) / (double)n - p));
    }
    return most * sqrt((double)n);
}

START_TEST(normal_draws_are_normal)
{
    const int64_t n = 1 << 17;
    for (int dtype = MN_F32; dtype <= MN_F64; dtype++) {
        mn_tensor *x = empty((mn_dtype)dtype, n);
        double *z = malloc((size_t)n * sizeof *z), moment[5] = {0}, together = 0;
        mni_normal(NULL, x, 0, 1, mn_rng_make(20, 24));
        ck_assert_int_eq(mn_tensor_read(x, MN_F64, z, n), MN_OK);
        for (int64_t i = 0; i < n; i++) {
            together += z[i] * z[i ^ 1];
            for (int k = 1; k < 5; k++) moment[k] += pow(z[i], k) / (double)n;
        }
        const double unit = 1 / sqrt((double)n); /* of the mean */
        ck_assert_double_le(fabs(moment[1]), 3 * unit);
        ck_assert_double_le(fabs(moment[2] - 1), 3 * sqrt(2) * unit);
        ck_assert_double_le(fabs(moment[3]), 3 * sqrt(15) * unit);
        ck_assert_double_le(fabs(moment[4] - 3), 3 * sqrt(96) * unit);
        ck_assert_double_le(fabs(together / (double)n), 3 * sqrt(2) * unit);
        ck_assert_double_le(distance(z, n), 1.63);
        free(z);
        mn_release(x);
    }
}
END_TEST

/* ---- integers and orders ---- */

START_TEST(integers_of_any_range_are_unbiased)
{
    const uint64_t three_quarters = (uint64_t)3 << 62; /* a product alone favours multiples of 3 */
    const int64_t n = 30000;
    mn_tensor *x = empty(MN_I64, n);
    int64_t count[3] = {0};
    mni_integers(NULL, x, INT64_MIN, three_quarters, mn_rng_make(9, 9));
    for (int64_t i = 0; i < n; i++) {
        const uint64_t v = (uint64_t)i64(x)[i] - (uint64_t)INT64_MIN;
        ck_assert(v < three_quarters);
        count[v % 3]++;
    }
    for (int k = 0; k < 3; k++) ck_assert_int_le(llabs(count[k] - n / 3), 250); /* 3 deviations */
    mn_release(x);
}
END_TEST

START_TEST(an_element_depends_on_its_position_alone)
{
    const uint64_t ranges[] = {7, (uint64_t)3 << 62, UINT64_MAX};
    for (size_t k = 0; k < 3; k++) {
        const mn_rng at = {4, 0xfffffffffffffff0u, 6};
        mn_tensor *x = empty(MN_I64, 500), *one = empty(MN_I64, 1);
        mni_integers(NULL, x, -3, ranges[k], at);
        for (int64_t i = 0; i < 500; i++) {
            mni_integers(NULL, one, -3, ranges[k],
                         (mn_rng){at.seed, at.stream, at.offset + 2 * (uint64_t)i});
            ck_assert_int_eq(i64(one)[0], i64(x)[i]);
        }
        mn_release(x);
        mn_release(one);
    }
}
END_TEST

START_TEST(every_order_is_equally_likely)
{
    int64_t count[27] = {0};
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(2, 8);
    for (int i = 0; i < 6000; i++, mn_tape_reset(t)) {
        const int64_t *p = i64(mn_randperm(t, 3, &rng));
        ck_assert(p[0] != p[1] && p[1] != p[2] && p[0] != p[2]);
        count[9 * p[0] + 3 * p[1] + p[2]]++;
    }
    for (int i = 0; i < 27; i++) ck_assert(count[i] == 0 || llabs(count[i] - 1000) < 90);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_long_order_has_every_number_once)
{
    const int64_t n = 100003;
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(1, 0);
    const int64_t *p = i64(mn_randperm(t, n, &rng));
    char *seen = calloc((size_t)n, 1);
    int64_t fixed = 0;
    for (int64_t i = 0; i < n; i++) {
        ck_assert(p[i] >= 0 && p[i] < n && !seen[p[i]]);
        seen[p[i]] = 1;
        fixed += p[i] == i;
    }
    ck_assert_int_le(fixed, 6); /* 1 is expected */
    free(seen);
    mn_tape_free(t);
}
END_TEST

START_TEST(randint_gives_the_ends_of_i64)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(6, 0);
    mn_tensor *top = mn_randint(t, MN_I64, INT64_MAX - 1, INT64_MAX, 1, (int64_t[]){2}, &rng);
    ck_assert_uint_eq(rng.offset, 4);
    mn_tensor *all = mn_randint(t, MN_I64, INT64_MIN, INT64_MAX, 1, (int64_t[]){400}, &rng);
    int negative = 0, large = 0;
    for (int i = 0; i < 400; i++) {
        negative += i64(all)[i] < 0;
        large += llabs(i64(all)[i] / 2) > INT64_MAX / 4;
    }
    ck_assert_int_eq(i64(top)[1], INT64_MAX - 1);
    ck_assert(negative > 160 && negative < 240);
    ck_assert(large > 160 && large < 240);
    ck_assert_ptr_null(mn_randint(t, MN_I64, 0, 2, 1, (int64_t[]){2}, NULL));
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "rng is NULL"));
    mn_tape_clear_error(t);
    ck_assert_ptr_null(mn_randint(t, (mn_dtype)9, 0, 2, 1, (int64_t[]){2}, &rng));
    ck_assert_int_eq(mn_tape_error(t), MN_ERR_DTYPE);
    mn_tape_clear_error(t);
    ck_assert_ptr_null(mn_randperm(t, 3, NULL));
    mn_tape_clear_error(t);
    ck_assert_ptr_null(mn_bernoulli(t, all, NULL));
    mn_tape_free(t);
}
END_TEST

START_TEST(bernoulli_follows_its_probabilities)
{
    enum { EACH = 10000 };
    static const double p[] = {0, 0.1, 0.5, 0.9, 1};
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(12, 1);
    mn_tensor *x =
        mn_expand(t, mn_from(t, MN_F64, 2, (int64_t[]){5, 1}, p), 2, (int64_t[]){5, EACH});
    const double *y = f64(mn_bernoulli(t, x, &rng));
    ck_assert_uint_eq(rng.offset, 2 * 5 * EACH);
    for (int k = 0; k < 5; k++) {
        double ones = 0;
        for (int i = 0; i < EACH; i++) ones += y[k * EACH + i];
        ck_assert_double_le(fabs(ones / EACH - p[k]), 3 * sqrt(p[k] * (1 - p[k]) / EACH));
    }
    mn_tape_free(t);
}
END_TEST

/* ---- teams ---- */

static void draw(mni_team *team, int what, mn_tensor *x, mn_tensor *k)
{
    const mn_rng at = {8, 2, 1};
    if (what < 2) mni_normal(team, x, 1, 2, at);
    if (what == 2) mni_integers(team, k, 5, (uint64_t)3 << 62, at);
    if (what == 3) mni_permutation(team, k, at);
}

START_TEST(any_team_and_any_instruction_set_draw_the_same_bits)
{
    const int64_t n = 100003;
    for (int what = 0; what < 4; what++) {
        mn_dtype dtype = what == 0 ? MN_F32 : MN_F64;
        mn_tensor *want = empty(dtype, n), *got = empty(dtype, n);
        mn_tensor *want_k = mn_tensor_zeros(MN_I64, 1, &n), *got_k = mn_tensor_zeros(MN_I64, 1, &n);
        mni_kernels_force("baseline");
        draw(NULL, what, want, want_k);
        FOR_EACH_ISA
        for (int threads = 1; threads < 4; threads++) {
            mni_team *team = mni_team_new(threads);
            draw(team, what, got, got_k);
            if (what < 2) assert_same(got, want);
            assert_same(got_k, want_k);
            mni_team_free(team);
        }
        mn_release(want);
        mn_release(got);
        mn_release(want_k);
        mn_release(got_k);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        normal_draws_have_their_known_bits,
        normal_draws_are_box_and_mullers_of_the_words,
        normal_draws_scale_to_mean_and_deviation,
        normal_refuses_what_it_cannot_draw,
        normal_draws_are_normal,
        integers_of_any_range_are_unbiased,
        an_element_depends_on_its_position_alone,
        every_order_is_equally_likely,
        a_long_order_has_every_number_once,
        randint_gives_the_ends_of_i64,
        bernoulli_follows_its_probabilities,
        any_team_and_any_instruction_set_draw_the_same_bits,
    };
    return run_suite("random", tests, sizeof tests / sizeof *tests);
}
