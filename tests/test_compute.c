/*
 * tests/test_compute.c: everything that tensor/compute.h computes, against naive twins in double,
 * on random shapes, strides and broadcasts, on each instruction set that runs here, and with teams
 * of one to four.
 */
#include "core/philox.h"
#include "core/team.h"
#include "support.h"
#include "tensor/compute.h"
#include "tensor/kernels/functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

/* Check's own assertions write to a file each time they are passed: too slow for millions. */
#define EXPECT_MSG(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) ck_abort_msg(__VA_ARGS__);                                               \
    } while (0)
#define EXPECT(condition) EXPECT_MSG(condition, "%s", #condition)

static uint64_t state;

static int64_t below(int64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)n);
}

static double real(void)
{
    return (double)(below(1 << 24) - (1 << 23)) / (1 << 22);
} /* [-2, 2) */

static const char *const isas[] = {"baseline", "avx2", "avx512", "neon"};

/* Runs the statement that follows once on each instruction set of this machine. */
#define FOR_EACH_ISA                                                                               \
    state = 1;                                                                                     \
    for (size_t isa = 0; isa < sizeof isas / sizeof *isas; isa++)                                  \
        if (mni_kernels_force(isas[isa]))

static void free_block(void *data, void *user)
{
    (void)data;
    free(user);
}

/* A tensor of random layout: dimensions in any order in memory, with gaps; `stretch` makes some
 * strides 0. */
static mn_tensor *random_layout(mn_dtype dtype, int ndim, const int64_t *shape, bool stretch)
{
    int64_t strides[MN_MAX_DIMS], at = 1 + below(2);
    bool done[MN_MAX_DIMS] = {false};
    const bool plain = below(3) == 0; /* contiguous */
    if (plain) at = 1;
    for (int i = 0; i < ndim; i++) {
        int d = plain ? ndim - 1 - i : (int)below(ndim);
        while (done[d]) d = (d + 1) % ndim;
        done[d] = true;
        strides[d] = stretch && below(4) == 0 ? 0 : at;
        at *= shape[d] > 0 ? shape[d] : 1;
        if (!plain) at += below(2);
    }
    const size_t skip =
        (size_t)below(4) * mn_dtype_size(dtype); /* so that vectors are not aligned */
    char *block = calloc((size_t)at + 4, mn_dtype_size(dtype));
    mn_tensor *x = mn_tensor_wrap(dtype, ndim, shape, strides, block + skip, free_block, block);
    EXPECT(x != NULL);
    return x;
}

static void position(const mn_tensor *x, int64_t i, int64_t *index)
{
    for (int d = mn_tensor_ndim(x) - 1; d >= 0; d--) {
        index[d] = i % x->shape[d];
        i /= x->shape[d];
    }
}

/* Element i in row-major order; at(x, i, y) the one that broadcasts to it in y. */
static double get(const mn_tensor *x, int64_t i)
{
    int64_t index[MN_MAX_DIMS];
    position(x, i, index);
    return mn_tensor_get(x, index);
}

static double at(const mn_tensor *x, int64_t i, const mn_tensor *y)
{
    int64_t index[MN_MAX_DIMS], own[MN_MAX_DIMS];
    position(y, i, index);
    for (int d = 0; d < x->ndim; d++) own[d] = x->shape[d] == 1 ? 0 : index[d + y->ndim - x->ndim];
    return mn_tensor_get(x, own);
}

static void put(mn_tensor *x, int64_t i, double value)
{
    int64_t index[MN_MAX_DIMS];
    position(x, i, index);
    EXPECT(mn_tensor_set(x, index, value) == MN_OK);
}

static double random_value(mn_dtype dtype)
{
    if (dtype == MN_BOOL) return (double)below(2);
    if (dtype == MN_U8) return (double)below(15);
    if (dtype == MN_I64) return (double)(below(200) - 100);
    const int64_t kind = below(12);
    return kind == 0 ? 0 : kind == 1 ? (double)below(3) : real();
}

static void fill_randomly(mn_tensor *x)
{
    for (int64_t i = 0; i < x->numel; i++) put(x, i, random_value((mn_dtype)x->dtype));
}

static mn_tensor *random_tensor(mn_dtype dtype, int ndim, const int64_t *shape, bool stretch)
{
    mn_tensor *x = random_layout(dtype, ndim, shape, stretch);
    fill_randomly(x);
    return x;
}

static int random_shape(int most, int64_t *shape)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 8, 17, 40, 70};
    const int ndim = (int)below(most + 1);
    int64_t numel = 1;
    for (int d = 0; d < ndim; d++) {
        shape[d] = below(60) == 0 ? 0 : sizes[below(8)];
        if (numel * shape[d] > 3000) shape[d] = 2;
        numel *= shape[d];
    }
    return ndim;
}

/* The operand of a broadcast: some of the shape's sizes are 1, some leading ones are missing. */
static mn_tensor *random_operand(mn_dtype dtype, int ndim, const int64_t *shape)
{
    int64_t own[MN_MAX_DIMS];
    const int missing = below(3) == 0 ? (int)below(ndim + 1) : 0;
    for (int d = missing; d < ndim; d++) own[d - missing] = below(4) == 0 ? 1 : shape[d];
    return random_tensor(dtype, ndim - missing, own, true);
}

/* Both NaN, equal, or apart by no more than `ulps` of the dtype at their size. */
static bool close_to(double got, double want, mn_dtype dtype, double ulps)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (got == want) return true;
    const double unit = dtype == MN_F32 ? 0x1p-23 : dtype == MN_F64 ? 0x1p-52 : 0;
    return fabs(got - want) <=
           ulps * unit * fmax(fabs(want), dtype == MN_F32 ? 0x1p-126 : 0x1p-1000);
}

static double rounded(double x, mn_dtype dtype)
{
    return dtype == MN_F32 ? (double)(float)x : x;
}

/* ---- pointwise ---- */

/* The twins are the lists themselves, in double and one element at a time. What they say is right is
 * for the tests of the ops; that each kernel computes it, on any layout, is for these. */
typedef double T;

static double rest(double a, double b)
{
    return isinf(b) ? a : a - b * trunc(a / b);
}

static double modulo(double a, double b)
{
    return a - b * floor(a / b);
}

#define raise_to(a, b) pow(a, b)
#define floor_quotient(a, b) floor((a) / (b))
#define TWIN(name, ...)                                                                            \
    static double twin_##name(double a, double b, double c, const double *numbers)                 \
    {                                                                                              \
        const double x = a, p = numbers[0];                                                        \
        return (void)b, (void)c, (void)x, (void)p, (double)(__VA_ARGS__);                          \
    }
#define MNI_UNARY(name, types, ...) TWIN(name, __VA_ARGS__)
#define MNI_BINARY(name, types, ...) TWIN(name, __VA_ARGS__)
#define MNI_TERNARY(name, types, ...) TWIN(name, __VA_ARGS__)
#define MNI_CHOICE(name, types, ...) TWIN(name, __VA_ARGS__)
#define MNI_COMPARE(name, types, ...) TWIN(name, __VA_ARGS__)
#define MNI_TEST(name, types, ...) TWIN(name, __VA_ARGS__)
#include "tensor/kernels/plain.def"
#include "tensor/kernels/pointwise.def"
#undef MNI_UNARY
#undef MNI_BINARY
#undef MNI_TERNARY
#undef MNI_CHOICE
#undef MNI_COMPARE
#undef MNI_TEST

typedef struct kernel {
    const char *name;
    const void *plain; /* its row, for plain.def */
    size_t row;        /* else where it is in the table of an instruction set */
    double (*twin)(double a, double b, double c, const double *p);
    int operands;
    bool choice, to_bool;
} kernel;

static const kernel kernels[] = {
#define MNI_UNARY(name, types, ...) {#name, ROW(name), twin_##name, 1, false, false},
#define MNI_BINARY(name, types, ...) {#name, ROW(name), twin_##name, 2, false, false},
#define MNI_TERNARY(name, types, ...) {#name, ROW(name), twin_##name, 3, false, false},
#define MNI_CHOICE(name, types, ...) {#name, ROW(name), twin_##name, 3, true, false},
#define MNI_COMPARE(name, types, ...) {#name, ROW(name), twin_##name, 2, false, true},
#define MNI_TEST(name, types, ...) {#name, ROW(name), twin_##name, 1, false, true},
#define ROW(name) mni_plain.name, 0
#include "tensor/kernels/plain.def"
#undef ROW
#define ROW(name) NULL, offsetof(mni_kernel_table, name)
#include "tensor/kernels/pointwise.def"
};

static const void *row_of(const kernel *k)
{
    return k->plain ? k->plain : (const char *)mni_kernels() + k->row;
}

static bool has(const kernel *k, mn_dtype dtype)
{
    const mni_unary_fn *unary = row_of(k);
    const mni_binary_fn *binary = row_of(k);
    const mni_ternary_fn *ternary = row_of(k);
    return k->operands == 1   ? unary[dtype] != NULL
           : k->operands == 2 ? binary[dtype] != NULL
                              : ternary[dtype] != NULL;
}

static void check_kernel(const kernel *k, mn_dtype dtype)
{
    const bool whole = !mni_is_float(dtype);
    const double p[] = {whole ? 3 : rounded(0.3, dtype), whole ? 2 : rounded(1.7, dtype),
                        rounded(0.6, dtype)};
    int64_t shape[MN_MAX_DIMS];
    const int ndim = random_shape(4, shape);
    mn_tensor *x[3];
    for (int i = 0; i < 3; i++) {
        x[i] = random_operand(i == 2 && k->choice ? MN_BOOL : dtype, ndim, shape);
        if (mni_is_float((mn_dtype)x[i]->dtype) && x[i]->numel > 2)
            put(x[i], below(x[i]->numel), NAN);
        for (int64_t e = 0; whole && k->plain && i == 1 && e < x[i]->numel; e++)
            put(x[i], e, (double)below(4) + 1); /* a divisor, or the exponent of a small power */
    }
    mn_tensor *y = random_layout(k->to_bool ? MN_BOOL : dtype, ndim, shape, false);
    if (k->operands == 1)
        mni_map1(NULL, row_of(k), x[0], y, p);
    else if (k->operands == 2)
        mni_map2(NULL, row_of(k), x[0], x[1], y, p);
    else
        mni_map3(NULL, row_of(k), x[0], x[1], x[2], y, p);
    for (int64_t i = 0; i < y->numel; i++) {
        const double a = at(x[0], i, y), b = at(x[1], i, y), c = at(x[2], i, y), got = get(y, i);
        double want = k->twin(a, b, c, p);
        if (y->dtype == MN_U8) want = (double)(uint8_t)(int64_t)want;
        /* relative, and of the size of terms that cancel */
        const double unit = dtype == MN_F32 ? 0x1p-23 : 0x1p-52;
        const double slack = (64 + (k->operands == 3 ? 16 * fabs(b) + 16 * fabs(c) : 0)) * unit;
        EXPECT_MSG(close_to(got, want, dtype, 4) || (!whole && fabs(got - want) <= slack),
                   "%s of %s [%d]: %.17g, not %.17g (of %.17g, %.17g, %.17g)", k->name,
                   mn_dtype_name(dtype), (int)i, got, want, a, b, c);
    }
    for (int i = 0; i < 3; i++) mn_release(x[i]);
    mn_release(y);
}

START_TEST(every_pointwise_kernel_computes_its_line_on_any_layout)
{
    FOR_EACH_ISA
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (int dtype = 0; dtype < MNI_DTYPES; dtype++)
            for (int i = 0; i < 40 && has(&kernels[k], (mn_dtype)dtype); i++)
                check_kernel(&kernels[k], (mn_dtype)dtype);
}
END_TEST

/* ---- functions in f32 ---- */

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Distance in units of the last place of `want` as f32; of the smallest one where it is denormal. */
static double units_apart(float got, double want)
{
    int exponent;
    if (isnan(want) || isinf((float)want)) return got == (float)want || isnan(got) ? 0 : INFINITY;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1, exponent - 24 > -149 ? exponent - 24 : -149);
}

/* One float in 1021, or in MINNOW_FLOAT_STEP; 1: all there are, which takes an hour. */
START_TEST(functions_are_within_two_units_in_the_last_place)
{
    enum { SOME = 4096 };
    static const struct {
        const char *name;
        size_t row;
        double (*exact)(double);
        double from; /* below it a result that is denormal may be 0 */
    } all[] = {{"exp", offsetof(mni_kernel_table, exp), (exp), -INFINITY},
               {"log", offsetof(mni_kernel_table, log), (log), -INFINITY},
               {"sigmoid", offsetof(mni_kernel_table, sigmoid), exact_sigmoid, -87},
               {"tanh", offsetof(mni_kernel_table, tanh), (tanh), -INFINITY},
               {"erf", offsetof(mni_kernel_table, erf), (erf), -INFINITY}};
    const char *given = getenv("MINNOW_FLOAT_STEP");
    const uint64_t step = given ? strtoull(given, NULL, 10) : 1021, end = (uint64_t)1 << 32;
    FOR_EACH_ISA
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const mni_unary_fn *f =
            (const mni_unary_fn *)(const void *)((const char *)mni_kernels() + all[k].row);
        double most = 0;
        float at = 0;
        for (uint64_t bits = 0; bits < end;) {
            float x[SOME], y[SOME];
            int64_t n = 0;
            for (; n < SOME && bits < end; n++, bits += step) {
                const uint32_t b = (uint32_t)bits;
                memcpy(&x[n], &b, sizeof b);
            }
            f[MN_F32](n, x, 1, y, 1, NULL);
            for (int64_t i = 0; i < n; i++) {
                if ((double)x[i] < all[k].from && fabsf(y[i]) < 0x1p-125f) continue;
                const double apart = units_apart(y[i], all[k].exact((double)x[i]));
                if (apart > most) most = apart, at = x[i];
            }
        }
        if (given) printf("%s, %s: %.3f units at %.9g\n", all[k].name, isas[isa], most, (double)at);
        EXPECT_MSG(most <= 2, "%s, %s: %g units apart at %.9g", all[k].name, isas[isa], most,
                   (double)at);
    }
}
END_TEST

START_TEST(an_output_may_be_an_operand)
{
    FOR_EACH_ISA
    for (int64_t n = 0; n < 70; n++) {
        float x[70], want[70];
        for (int64_t i = 0; i < n; i++) {
            x[i] = (float)real();
            want[i] = x[i] <= 0 ? x[i] * 0.25f : x[i];
        }
        mn_tensor *y = mn_tensor_wrap(MN_F32, 1, &n, NULL, x, NULL, NULL);
        mni_map1(NULL, mni_kernels()->leaky_relu, y, y, (double[]){0.25, 0});
        for (int64_t i = 0; i < n; i++) EXPECT(x[i] == want[i]);
        mni_map2(NULL, mni_kernels()->add, y, y, y, NULL);
        for (int64_t i = 0; i < n; i++) EXPECT(x[i] == 2 * want[i]);
        mn_release(y);
    }
}
END_TEST

START_TEST(activations_pass_nan_on)
{
    FOR_EACH_ISA
    for (int64_t n = 1; n < 40; n++) {
        mn_tensor *x = mn_tensor_full(MN_F32, 1, &n, -1), *y = mn_tensor_empty(MN_F32, 1, &n);
        put(x, n - 1, NAN);
        mni_map1(NULL, mni_kernels()->threshold, x, y, (double[]){0, 0});
        EXPECT(isnan(get(y, n - 1)) && (n == 1 || get(y, 0) == 0));
        mni_map1(NULL, mni_kernels()->leaky_relu, x, y, (double[]){2, 0});
        EXPECT(isnan(get(y, n - 1)) && (n == 1 || get(y, 0) == -2));
        /* the gradient at a NaN input is that of the upper branch */
        mni_map2(NULL, mni_kernels()->threshold_backward, x, x, y, (double[]){0, 0});
        EXPECT(isnan(get(y, n - 1)) && (n == 1 || get(y, 0) == 0));
        mn_release(x);
        mn_release(y);
    }
}
END_TEST

START_TEST(copies_convert_between_all_types_as_c_does)
{
    FOR_EACH_ISA
    for (int from = 0; from < MNI_DTYPES; from++)
        for (int to = 0; to < MNI_DTYPES; to++)
            for (int i = 0; i < 30; i++) {
                int64_t shape[MN_MAX_DIMS];
                const int ndim = random_shape(4, shape);
                mn_tensor *x = random_operand((mn_dtype)from, ndim, shape);
                mn_tensor *y = random_layout((mn_dtype)to, ndim, shape, false);
                for (int64_t e = 0; to == MN_U8 && e < x->numel; e++) put(x, e, fabs(get(x, e)));
                mni_copy(NULL, x, y);
                for (int64_t e = 0; e < y->numel; e++) {
                    const double v = at(x, e, y);
                    const double want = to == MN_F32    ? (double)(float)v
                                        : to == MN_F64  ? v
                                        : to == MN_BOOL ? v != 0
                                                        : trunc(v);
                    EXPECT_MSG(get(y, e) == want, "%s %.17g to %s: %.17g",
                               mn_dtype_name((mn_dtype)from), v, mn_dtype_name((mn_dtype)to),
                               get(y, e));
                }
                mni_fill(NULL, y, 2.5);
                const double full = to == MN_BOOL ? 1 : to >= MN_I64 ? 2 : 2.5;
                for (int64_t e = 0; e < y->numel; e++) EXPECT(get(y, e) == full);
                mn_release(x);
                mn_release(y);
            }
}
END_TEST

/* ---- reductions ---- */

static mn_dtype sum_type(mn_dtype dtype)
{
    return mni_is_float(dtype) ? dtype : MN_I64;
}

static void check_sum(mn_dtype dtype)
{
    int64_t shape[MN_MAX_DIMS], kept[MN_MAX_DIMS];
    const int ndim = random_shape(5, shape);
    bool reduced[MN_MAX_DIMS];
    int left = 0;
    for (int d = 0; d < ndim; d++) {
        reduced[d] = below(2);
        if (!reduced[d]) kept[left++] = shape[d];
    }
    mn_tensor *x = random_tensor(dtype, ndim, shape, true);
    mn_tensor *y = mn_tensor_full(sum_type(dtype), left, kept, 7);
    double *want = calloc((size_t)y->numel + 1, sizeof *want), size = 1;
    const bool accumulate = below(2);
    for (int64_t i = 0; i < x->numel; i++) {
        int64_t index[MN_MAX_DIMS], to = 0;
        position(x, i, index);
        for (int d = 0; d < ndim; d++)
            if (!reduced[d]) to = to * shape[d] + index[d];
        want[to] += mn_tensor_get(x, index);
        size += fabs(mn_tensor_get(x, index));
    }
    mni_sum(NULL, x, reduced, y, accumulate);
    for (int64_t i = 0; i < y->numel; i++) {
        const double slack = dtype == MN_F32 ? size * 1e-6 : dtype == MN_F64 ? size * 1e-14 : 0;
        EXPECT(fabs(get(y, i) - want[i] - (accumulate ? 7 : 0)) <= slack);
    }
    free(want);
    mn_release(x);
    mn_release(y);
}

START_TEST(sums_over_any_dimensions_of_any_layout)
{
    FOR_EACH_ISA
    for (int i = 0; i < 2000; i++) check_sum((mn_dtype)(i % MNI_DTYPES));
}
END_TEST

/* ---- the other reductions ---- */

typedef enum statistic {
    SUM,
    PRODUCT,
    LARGEST,
    SMALLEST,
    VARIANCE,
    LOGSUMEXP,
    NORM,
    STATISTICS
} statistic;

static void compute_statistic(mni_team *team, statistic what, double p, const mn_tensor *x,
                              const bool *reduced, mn_tensor *y, mn_tensor *a, mn_tensor *b)
{
    const mni_folding fold[] = {MNI_SUM, MNI_PRODUCT, MNI_LARGEST, MNI_SMALLEST};
    if (what < VARIANCE) mni_fold(team, fold[what], NULL, x, reduced, y);
    if (what == VARIANCE) mni_variance(team, x, reduced, (int)p, y, a, b);
    if (what == LOGSUMEXP) mni_logsumexp(team, x, reduced, y, a);
    if (what == NORM) mni_norm(team, x, reduced, p, y);
}

/* sum of f(v[i]), compensated, as long double is no wider everywhere. */
static double sum_of(double (*f)(double, double), double p, int64_t n, const double *v)
{
    double sum = 0, lost = 0;
    for (int64_t i = 0; i < n; i++) {
        const double term = f(v[i], p) - lost, next = sum + term;
        lost = (next - sum) - term;
        sum = next;
    }
    return sum;
}

static double same(double v, double p)
{
    (void)p;
    return v;
}
static double squared(double v, double m)
{
    return (v - m) * (v - m);
}
static double exponential(double v, double m)
{
    return exp(v - m);
}
static double powered(double v, double p)
{
    return p == 0 ? v != 0 : pow(fabs(v), p);
}

/* The same of n numbers, which it may change. */
static double naive_statistic(statistic what, double p, int64_t n, double *v)
{
    double product = 1, max = -INFINITY, min = INFINITY, top = -INFINITY, bottom = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        product *= v[i];
        max = fmax(max, v[i]);
        min = fmin(min, v[i]);
        top = fmax(top, fabs(v[i]));
        bottom = fmin(bottom, fabs(v[i]));
    }
    if (what == SUM) return sum_of(same, 0, n, v);
    if (what == PRODUCT) return product;
    if (what == LARGEST) return max;
    if (what == SMALLEST) return min;
    if (what == LOGSUMEXP) return n > 0 ? max + log(sum_of(exponential, max, n, v)) : -INFINITY;
    if (what == NORM && isinf(p)) return p > 0 ? top : bottom;
    if (what == NORM) return pow(sum_of(powered, p, n, v), p == 0 ? 1 : 1 / p);
    for (int64_t i = n - 1; i >= 0; i--) v[i] -= v[0];
    const double mean = sum_of(same, 0, n, v) / (double)n;
    return sum_of(squared, mean, n, v) / fmax((double)n - p, 0);
}

static void check_statistic(statistic what, mn_dtype dtype)
{
    const double orders[] = {0, 1, 2, 3, INFINITY, -INFINITY};
    const double p = what == VARIANCE ? (double)below(3) : orders[below(6)];
    int64_t shape[MN_MAX_DIMS], kept[MN_MAX_DIMS];
    const int ndim = random_shape(5, shape);
    bool reduced[MN_MAX_DIMS];
    int left = 0;
    for (int d = 0; d < ndim; d++) {
        reduced[d] = below(2);
        if (!reduced[d]) kept[left++] = shape[d];
    }
    mn_tensor *x = random_tensor(dtype, ndim, shape, true);
    mn_tensor *y = mn_tensor_full(sum_type(dtype), left, kept, 7);
    mn_tensor *a = mn_tensor_full(sum_type(dtype), left, kept, 7);
    mn_tensor *b = mn_tensor_full(sum_type(dtype), left, kept, 7);
    const int64_t n = y->numel > 0 ? x->numel / y->numel : 0;
    double *v = calloc((size_t)x->numel + 1, sizeof *v);
    int64_t *filled = calloc((size_t)y->numel + 1, sizeof *filled);
    for (int64_t i = 0; i < x->numel; i++) {
        int64_t index[MN_MAX_DIMS], to = 0;
        position(x, i, index);
        for (int d = 0; d < ndim; d++)
            if (!reduced[d]) to = to * shape[d] + index[d];
        v[to * n + filled[to]++] = mn_tensor_get(x, index);
    }
    compute_statistic(NULL, what, p, x, reduced, y, a, b);
    const double unit = dtype == MN_F32 ? 0x1p-23 : dtype == MN_F64 ? 0x1p-52 : 0;
    for (int64_t o = 0; o < y->numel; o++) {
        const double want = naive_statistic(what, p, n, v + o * n), got = get(y, o);
        if (!mni_is_float(dtype) && !(fabs(want) < 0x1p50)) continue; /* it wraps, doubles do not */
        if (what == PRODUCT && dtype == MN_F32 && n > 126) continue;  /* a part could overflow */
        EXPECT_MSG(got == want || (isnan(got) && isnan(want)) ||
                       fabs(got - want) <= unit * (double)(16 + n) * (1 + fabs(want)),
                   "%d of %d elements: %.17g, not %.17g", (int)what, (int)n, got, want);
    }
    free(v);
    free(filled);
    mn_release(x);
    mn_release(y);
    mn_release(a);
    mn_release(b);
}

START_TEST(statistics_over_any_dimensions_of_any_layout)
{
    FOR_EACH_ISA
    for (int i = 0; i < 4000; i++) {
        const statistic what = (statistic)(i % STATISTICS);
        check_statistic(what, (mn_dtype)below(what == PRODUCT ? 3 : 2));
    }
}
END_TEST

START_TEST(extremes_of_nan_are_nan)
{
    for (int at = 0; at < 200; at += 7) {
        mn_tensor *x = random_tensor(MN_F32, 1, (int64_t[]){200}, false);
        mn_tensor *y = mn_tensor_empty(MN_F32, 0, NULL);
        put(x, at, NAN);
        mni_fold(NULL, MNI_LARGEST, NULL, x, (bool[]){true}, y);
        EXPECT(isnan(get(y, 0)));
        mni_fold(NULL, MNI_SMALLEST, NULL, x, (bool[]){true}, y);
        EXPECT(isnan(get(y, 0)));
        mn_release(x);
        mn_release(y);
    }
}
END_TEST

START_TEST(the_variance_of_equal_numbers_is_zero)
{
    for (int64_t n = 2; n < 3000; n = n * 3 / 2 + 1) {
        mn_tensor *x = mn_tensor_full(MN_F32, 1, &n, 0.1), *y = mn_tensor_empty(MN_F32, 0, NULL);
        mn_tensor *a = mn_tensor_empty(MN_F32, 0, NULL), *b = mn_tensor_empty(MN_F32, 0, NULL);
        mni_variance(NULL, x, (bool[]){true}, 1, y, a, b);
        EXPECT(get(y, 0) == 0);
        mn_release(x);
        mn_release(y);
        mn_release(a);
        mn_release(b);
    }
}
END_TEST

/* The relative error over rows or columns of numbers from [low, low + 1), in units of the dtype's
 * epsilon. */
static double statistic_error(statistic what, mn_dtype dtype, double low, int64_t rows,
                              int64_t columns, bool over_rows, int64_t gap)
{
    const int64_t strides[2] = {columns * gap, gap}, outputs = over_rows ? columns : rows;
    const int64_t n = over_rows ? rows : columns, all = rows * columns * gap;
    const double unit = dtype == MN_F32 ? 0x1p-24 : 0x1p-53, p = what == NORM ? 2 : 1;
    mn_tensor *drawn = mn_tensor_empty(dtype, 1, &all);
    mni_uniform(NULL, drawn, low, low + 1, mn_rng_make(5, 0));
    mn_tensor *x =
        mn_tensor_wrap(dtype, 2, (int64_t[]){rows, columns}, strides, drawn->data, NULL, NULL);
    mn_tensor *y = mn_tensor_empty(dtype, 1, &outputs), *a = mn_tensor_empty(dtype, 1, &outputs);
    mn_tensor *b = mn_tensor_empty(dtype, 1, &outputs);
    compute_statistic(NULL, what, p, x, (bool[]){over_rows, !over_rows}, y, a, b);
    double worst = 0, *v = malloc((size_t)n * sizeof *v);
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t i = 0; i < n; i++) {
            const int64_t e = (over_rows ? i : o) * strides[0] + (over_rows ? o : i) * strides[1];
            v[i] = dtype == MN_F32 ? (double)((float *)(void *)drawn->data)[e]
                                   : ((double *)(void *)drawn->data)[e];
        }
        const double want = naive_statistic(what, p, n, v);
        worst = fmax(worst, fabs((get(y, o) - want) / want) / unit);
    }
    free(v);
    mn_release(x);
    mn_release(y);
    mn_release(a);
    mn_release(b);
    mn_release(drawn);
    return worst;
}

START_TEST(sums_of_ten_million_are_as_exact_as_pairwise_ones)
{
    /* The order of summation alone costs far more: a plain loop loses thousands of units in f32. */
    mni_kernels_force(NULL);
    ck_assert_double_lt(statistic_error(SUM, MN_F32, 0, 1, 10000000, false, 1), 4);
    ck_assert_double_lt(statistic_error(SUM, MN_F32, 0, 10000000, 1, true, 1), 4);
    ck_assert_double_lt(statistic_error(SUM, MN_F32, 0, 1000000, 10, true, 1), 8);
    ck_assert_double_lt(statistic_error(SUM, MN_F32, 0, 100000, 100, true, 1), 8);
    ck_assert_double_lt(statistic_error(SUM, MN_F32, 0, 3, 3000000, false, 2), 8);
    ck_assert_double_lt(statistic_error(SUM, MN_F64, 0, 1, 5000000, false, 1), 4);
    ck_assert_double_lt(statistic_error(SUM, MN_F64, 0, 500000, 7, true, 2), 8);
}
END_TEST

START_TEST(statistics_of_ten_million_are_as_exact_as_their_sums)
{
    mni_kernels_force(NULL);
    for (statistic what = VARIANCE; what <= NORM; what++) {
        ck_assert_double_lt(statistic_error(what, MN_F32, 0, 1, 10000000, false, 1), 8);
        ck_assert_double_lt(statistic_error(what, MN_F32, 0, 1000000, 3, true, 1), 8);
        ck_assert_double_lt(statistic_error(what, MN_F32, 0, 100000, 30, true, 1), 8);
        ck_assert_double_lt(statistic_error(what, MN_F32, 0, 3, 1000000, false, 2), 8);
    }
    /* Far from 0: here the numbers have 4 bits behind the point in f32. */
    ck_assert_double_lt(statistic_error(VARIANCE, MN_F32, 1e6, 1, 10000000, false, 1), 8);
    ck_assert_double_lt(statistic_error(VARIANCE, MN_F32, -1e6, 100000, 100, true, 1), 8);
    ck_assert_double_lt(statistic_error(VARIANCE, MN_F64, 1e10, 1, 1000000, false, 1), 8);
}
END_TEST

/* ---- scans ---- */

static void check_scan(mni_scanning how, mn_dtype dtype)
{
    int64_t shape[MN_MAX_DIMS];
    const int ndim = random_shape(4, shape);
    if (ndim == 0) return;
    const int dim = (int)below(ndim);
    const bool reversed = below(2);
    mn_tensor *x = random_tensor(dtype, ndim, shape, true);
    mn_tensor *a = random_tensor(dtype, ndim, shape, true);
    mn_tensor *y = mn_tensor_full(sum_type(dtype), ndim, shape, 7);
    mni_scan(NULL, how, how == MNI_LINEAR ? a : NULL, x, dim, reversed, y);
    for (int64_t i = 0; i < y->numel; i++) {
        int64_t index[MN_MAX_DIMS];
        position(y, i, index);
        const int64_t last = index[dim], start = reversed ? shape[dim] - 1 : 0;
        double want = how == MNI_CUMPROD, size = 1;
        for (int64_t k = start;; k += reversed ? -1 : 1) {
            index[dim] = k;
            const double v = mn_tensor_get(x, index);
            index[dim] = k + (k == start ? 0 : reversed);
            const double factor = k == start ? 0 : mn_tensor_get(a, index);
            want = how == MNI_CUMSUM ? want + v : how == MNI_CUMPROD ? want * v : factor * want + v;
            size = fmax(size, fabs(want));
            if (k == last) break;
        }
        const double unit = dtype == MN_F32 ? 0x1p-22 : dtype == MN_F64 ? 0x1p-50 : 0;
        if (mni_is_float(dtype) || size < 0x1p50) /* else it wraps */
            EXPECT(fabs(get(y, i) - want) <= unit * size);
    }
    mn_release(x);
    mn_release(a);
    mn_release(y);
}

START_TEST(scans_along_any_dimension_of_any_layout)
{
    for (int i = 0; i < 3000; i++) {
        const mni_scanning how = (mni_scanning)(i % 3);
        check_scan(how, (mn_dtype)below(how == MNI_LINEAR ? 2 : 3));
    }
}
END_TEST

START_TEST(running_sums_of_ten_million_do_not_drift)
{
    const int64_t n = 10000000;
    mn_tensor *x = mn_tensor_empty(MN_F32, 1, &n), *y = mn_tensor_empty(MN_F32, 1, &n);
    mni_uniform(NULL, x, 0, 1, mn_rng_make(5, 0));
    mni_scan(NULL, MNI_CUMSUM, NULL, x, 0, false, y);
    const float *xs = (float *)(void *)x->data, *ys = (float *)(void *)y->data;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)xs[i];
        EXPECT(fabs((double)ys[i] - sum) <= 0x1p-24 * sum);
    }
    mn_release(x);
    mn_release(y);
}
END_TEST

START_TEST(an_extreme_is_the_first_of_its_equals_and_nan_is_either)
{
    FOR_EACH_ISA
    for (int i = 0; i < 3000; i++) {
        const mn_dtype dtype = (mn_dtype)(i % MNI_DTYPES);
        int64_t shape[MN_MAX_DIMS], kept[MN_MAX_DIMS], left = 0;
        const int ndim = random_shape(4, shape), dim = ndim > 0 ? (int)below(ndim) : 0;
        if (ndim == 0 || shape[dim] == 0) continue;
        if (i % 50 == 0) shape[dim] = 400; /* longer than what is folded at once */
        const bool largest = below(2);
        for (int d = 0; d < ndim; d++)
            if (d != dim) kept[left++] = shape[d];
        mn_tensor *x = random_tensor(dtype, ndim, shape, true);
        if (x->numel == 0) {
            mn_release(x);
            continue;
        }
        if (mni_is_float(dtype)) put(x, below(x->numel), NAN);
        mn_tensor *value = mn_tensor_empty(dtype, (int)left, kept);
        mn_tensor *index = mn_tensor_full(MN_I64, (int)left, kept, -1);
        bool reduced[MN_MAX_DIMS] = {false};
        reduced[dim] = true;
        mni_fold(NULL, largest ? MNI_LARGEST : MNI_SMALLEST, NULL, x, reduced, value);
        mni_first(NULL, x, dim, value, index);
        for (int64_t o = 0; o < index->numel; o++) {
            int64_t where[MN_MAX_DIMS], best = 0;
            position(index, o, where);
            for (int d = ndim - 1; d >= 0; d--)
                if (d != dim) where[d] = where[d - (d > dim)];
            double extreme = 0;
            for (int64_t k = 0; k < shape[dim] && !isnan(extreme); k++) {
                where[dim] = k;
                const double v = mn_tensor_get(x, where);
                if (k > 0 && !isnan(v) && (largest ? v <= extreme : v >= extreme)) continue;
                extreme = v;
                best = k;
            }
            EXPECT((int64_t)get(index, o) == best);
            EXPECT(close_to(get(value, o), extreme, dtype, 0));
        }
        mn_release(x);
        mn_release(value);
        mn_release(index);
    }
}
END_TEST

/* ---- softmax ---- */

/* x in row-major order. */
static double *values(const mn_tensor *x)
{
    double *v = malloc((size_t)(x->numel + 1) * sizeof *v);
    for (int64_t i = 0; i < x->numel; i++) v[i] = get(x, i);
    return v;
}

static void check_softmax(mn_dtype dtype, bool logarithm)
{
    int64_t shape[MN_MAX_DIMS];
    int ndim = random_shape(3, shape);
    const int dim = ndim > 0 ? (int)below(ndim) : 0;
    if (ndim > 0 && below(10) == 0) shape[dim] = 1100; /* longer than a block */
    mn_tensor *x = random_tensor(dtype, ndim, shape, true);
    mn_tensor *gy = random_tensor(dtype, ndim, shape, true);
    mn_tensor *y = mn_tensor_empty(dtype, ndim, shape), *gx = mn_tensor_empty(dtype, ndim, shape);
    if (x->numel > 0 && below(2)) put(x, below(x->numel), 80);
    mni_softmax(NULL, x, dim, logarithm, y);
    mni_softmax_backward(NULL, y, gy, dim, logarithm, gx);
    const int64_t n = ndim > 0 ? shape[dim] : 1, step = ndim > 0 ? y->strides[dim] : 1;
    const double slack = dtype == MN_F32 ? 4e-7 : 1e-15;
    double *xs = values(x), *gys = values(gy), *ys = values(y), *gxs = values(gx);
    for (int64_t i = 0; i < y->numel; i++) {
        if (i / step % n != 0) continue;
        const int64_t end = i + n * step;
        double max = -INFINITY, sum = 0, dot = 0;
        for (int64_t e = i; e < end; e += step) max = fmax(max, xs[e]);
        for (int64_t e = i; e < end; e += step) sum += exp(xs[e] - max);
        for (int64_t e = i; e < end; e += step) dot += gys[e] * (logarithm ? 1 : ys[e]);
        for (int64_t e = i; e < end; e += step) {
            const double shifted = xs[e] - max;
            const double want = logarithm ? shifted - log(sum) : exp(shifted) / sum;
            EXPECT(fabs(ys[e] - want) <= slack * (1 + fabs(want)));
            const double g = logarithm ? gys[e] - exp(ys[e]) * dot : ys[e] * (gys[e] - dot);
            EXPECT(fabs(gxs[e] - g) <= slack * (4 + fabs(dot)));
        }
    }
    free(xs);
    free(gys);
    free(ys);
    free(gxs);
    mn_release(x);
    mn_release(gy);
    mn_release(y);
    mn_release(gx);
}

START_TEST(softmax_and_its_gradient_along_any_dimension)
{
    FOR_EACH_ISA
    for (int i = 0; i < 600; i++) check_softmax(i % 2 ? MN_F64 : MN_F32, below(2));
}
END_TEST

START_TEST(softmax_passes_nan_on_in_its_row_only)
{
    FOR_EACH_ISA
    for (int64_t n = 2; n < 2000; n = n * 3 + 1) {
        mn_tensor *x = mn_tensor_zeros(MN_F32, 2, (int64_t[]){3, n});
        mn_tensor *y = mn_tensor_empty(MN_F32, 2, x->shape);
        put(x, n + n / 2, NAN);
        for (int logarithm = 0; logarithm < 2; logarithm++) {
            mni_softmax(NULL, x, 1, logarithm, y);
            for (int64_t i = 0; i < 3 * n; i++) EXPECT(isnan(get(y, i)) == (i / n == 1));
        }
        mn_release(x);
        mn_release(y);
    }
}
END_TEST

/* ---- random draws ---- */

static uint32_t word(mn_rng at, uint64_t i)
{
    uint32_t block[4];
    mni_philox_block(at.seed, at.stream, (at.offset + i) / 4, block);
    return block[(at.offset + i) % 4];
}

static float unit_f32(mn_rng at, int64_t i)
{
    return (float)(word(at, (uint64_t)i) >> 8) * 0x1p-24f;
}

static double unit_f64(mn_rng at, int64_t i)
{
    const uint64_t low = word(at, 2 * (uint64_t)i), high = word(at, 2 * (uint64_t)i + 1);
    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

/* Positions that cross the 32-bit halves of the block counter and begin anywhere in a block. */
static mn_rng random_position(void)
{
    static const uint64_t starts[] = {0, 0x3ffffff00u, 0x400000000u, 0x7fffffffffffff00u};
    return (mn_rng){(uint64_t)below(1 << 30) << 20 | 7, (uint64_t)below(1 << 30) << 13,
                    starts[below(4)] + (uint64_t)below(300)};
}

START_TEST(uniform_bits_are_those_of_the_scalar_blocks)
{
    FOR_EACH_ISA
    for (int i = 0; i < 400; i++) {
        const int64_t n = below(i % 10 ? 100 : 1200);
        const mn_rng rng = random_position();
        const double low = below(2) ? 0 : -1.7, high = below(2) ? 1 : 2.9;
        mn_tensor *x = mn_tensor_empty(MN_F32, 1, &n), *y = mn_tensor_empty(MN_F64, 1, &n);
        mni_uniform(NULL, x, low, high, rng);
        mni_uniform(NULL, y, low, high, rng);
        for (int64_t e = 0; e < n; e++) {
            volatile float f =
                (float)(high - low) * unit_f32(rng, e); /* rounded here: no fused add */
            volatile double d = (high - low) * unit_f64(rng, e);
            f = (float)low + f;
            d = low + d;
            EXPECT_MSG(get(x, e) == (double)f, "element %d of %d", (int)e, (int)n);
            EXPECT_MSG(get(y, e) == d, "element %d of %d", (int)e, (int)n);
        }
        mn_release(x);
        mn_release(y);
    }
}
END_TEST

static void check_rrelu(mn_dtype dtype, bool divisor)
{
    const int64_t n = below(5) ? below(90) : below(1300);
    const mn_rng rng = random_position();
    const double low = divisor ? 3 : below(2) ? 1.0 / 8 : -0.4;
    const double high = below(4) == 0 ? low : divisor ? 8 : 1.0 / 3;
    mn_tensor *x = mn_tensor_empty(dtype, 1, &n), *y = mn_tensor_empty(dtype, 1, &n);
    mn_tensor *slopes = mn_tensor_full(dtype, 1, &n, -9);
    for (int64_t i = 0; i < n; i++) put(x, i, below(9) ? real() : below(2) ? 0 : NAN);
    mni_rrelu(NULL, x, low, high, divisor, rng, y, slopes);
    for (int64_t i = 0; i < n; i++) {
        const double v = get(x, i);
        double slope = 1, value = v;
        if (v <= 0 && dtype == MN_F32) {
            volatile float a = (float)(high - low) * unit_f32(rng, i);
            a = fminf((float)low + a, (float)high);
            slope = (double)(divisor ? 1 / a : a);
            value = (double)(divisor ? (float)v / a : (float)v * a);
        } else if (v <= 0) {
            volatile double a = (high - low) * unit_f64(rng, i);
            a = fmin(low + a, high);
            slope = divisor ? 1 / a : a;
            value = divisor ? v / a : v * a;
        }
        EXPECT(get(slopes, i) == slope);
        EXPECT(close_to(get(y, i), value, dtype, 0));
    }
    /* without slopes, and in place, the same values */
    mn_tensor *z = mn_tensor_empty(dtype, 1, &n);
    mni_rrelu(NULL, x, low, high, divisor, rng, z, NULL);
    if (n > 0) ck_assert_mem_eq(z->data, y->data, (size_t)n * mn_dtype_size(dtype));
    mni_rrelu(NULL, x, low, high, divisor, rng, x, slopes);
    if (n > 0) ck_assert_mem_eq(x->data, y->data, (size_t)n * mn_dtype_size(dtype));
    mn_release(x);
    mn_release(y);
    mn_release(z);
    mn_release(slopes);
}

START_TEST(rrelu_bits_are_those_of_the_scalar_blocks)
{
    FOR_EACH_ISA
    for (int i = 0; i < 800; i++) check_rrelu(i % 2 ? MN_F64 : MN_F32, i / 2 % 2);
}
END_TEST

START_TEST(rrelu_slopes_never_exceed_the_upper_bound)
{
    /* one unit in the last place wide: low + width * u rounds to more than `high` unless it is cut
     * */
    FOR_EACH_ISA
    {
        const int64_t n = 4096;
        const double low = 1, high = 1 + 0x1p-23;
        mn_tensor *x = mn_tensor_full(MN_F32, 1, &n, -1), *s = mn_tensor_empty(MN_F32, 1, &n);
        mni_rrelu(NULL, x, low, high, false, mn_rng_make(3, 1), x, s);
        for (int64_t i = 0; i < n; i++) EXPECT(get(s, i) >= low && get(s, i) <= high);
        mni_rrelu(NULL, x, -1e-3, 1e-3, false, mn_rng_make(3, 1), x, s);
        for (int64_t i = 0; i < n; i++) EXPECT(fabs(get(s, i)) <= (double)1e-3f);
        mn_release(x);
        mn_release(s);
    }
}
END_TEST

static double element(mn_dtype dtype, const void *data, int64_t i)
{
    return dtype == MN_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static void store(mn_dtype dtype, void *data, int64_t i, double value)
{
    if (dtype == MN_F32)
        ((float *)data)[i] = (float)value;
    else
        ((double *)data)[i] = value;
}

/* ---- pooling ---- */

/* Few different numbers, so that some are equal, and some NaN. */
START_TEST(lines_of_maxima_and_their_way_back)
{
    enum { MOST = 40 };
    FOR_EACH_ISA
    for (int i = 0; i < 3000; i++) {
        const mn_dtype dtype = i % 2 ? MN_F64 : MN_F32;
        const int64_t n = 1 + below(MOST), width = 2 * n + below(3);
        double x[2][2 * MOST + 2], back[2][2 * MOST + 2], y[MOST];
        uint8_t places[MOST];
        for (int64_t j = 0; j < 2 * width; j++)
            store(dtype, x, j, below(9) == 0 ? NAN : (double)below(4));
        for (int64_t j = 0; j < 2 * width; j++) store(dtype, back, j, 7);
        mni_kernels()->max_2x2[dtype](n, x, width, y, places);
        mni_kernels()->spread_2x2[dtype](n, back, width, y, places);
        for (int64_t j = 0; j < n; j++) {
            int64_t best = 2 * j;
            for (int64_t k = 1; k < 4; k++) {
                const int64_t place = 2 * j + k % 2 + k / 2 * width;
                const double v = element(dtype, x, place);
                if (v > element(dtype, x, best) || isnan(v)) best = place;
            }
            EXPECT(2 * j + places[j] % 2 + places[j] / 2 * width == best);
            const double got = element(dtype, y, j), want = element(dtype, x, best);
            EXPECT(got == want || (isnan(got) && isnan(want)));
            for (int64_t k = 0; k < 4; k++) {
                const int64_t place = 2 * j + k % 2 + k / 2 * width;
                const double to = element(dtype, back, place);
                EXPECT(place == best ? to == want || isnan(want) : to == 0);
            }
        }
        for (int64_t j = 2 * n; j < width; j++) EXPECT(element(dtype, back, j) == 7);
    }
}
END_TEST

/* ---- products ---- */

typedef struct operand {
    void *block;
    mni_matrix matrix;
} operand;

/* Row-major, column-major, with gaps, any strides, or a broadcast; begins anywhere. */
static operand random_matrix(mn_dtype dtype, int64_t rows, int64_t columns)
{
    operand o;
    const int64_t gap = below(3) ? 0 : below(5), inner = below(5) ? 1 : 2 + below(2);
    if (below(2)) {
        o.matrix.column = inner;
        o.matrix.row = columns * inner + gap;
    } else {
        o.matrix.row = inner;
        o.matrix.column = rows * inner + gap;
    }
    if (below(12) == 0) o.matrix.row = 0;
    if (below(12) == 0) o.matrix.column = 0;
    const int64_t n = rows * o.matrix.row + columns * o.matrix.column + 8, skip = below(8);
    o.block = malloc((size_t)(n + 8) * mn_dtype_size(dtype));
    for (int64_t i = 0; i < n + 8; i++) store(dtype, o.block, i, real());
    o.matrix.data = (char *)o.block + skip * (int64_t)mn_dtype_size(dtype);
    return o;
}

/* c is checked whole, with the gap after each row, which must keep what was there. */
static void check_gemm(mn_dtype dtype, int64_t m, int64_t n, int64_t k)
{
    const size_t size = mn_dtype_size(dtype);
    operand a = random_matrix(dtype, m, k), b = random_matrix(dtype, k, n);
    const int64_t ldc = n + below(3), skip = below(4);
    void *block = malloc((size_t)(m * ldc + skip + 1) * size);
    void *before = malloc((size_t)(m * ldc + skip + 1) * size);
    void *bias = malloc((size_t)(n + 1) * size), *c = (char *)block + skip * (int64_t)size;
    const bool accumulate = below(2), with_bias = below(2);
    for (int64_t i = 0; i < m * ldc + skip + 1; i++)
        store(dtype, block, i, accumulate || below(8) ? real() : NAN);
    for (int64_t j = 0; j <= n; j++) store(dtype, bias, j, real());
    memcpy(before, block, (size_t)(m * ldc + skip + 1) * size);
    mni_gemm(NULL, dtype, m, n, k, a.matrix, b.matrix, c, ldc, with_bias ? bias : NULL, accumulate);
    const double unit = (dtype == MN_F32 ? 0x1p-23 : 0x1p-52) * (4 + (double)k / 4);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            const double old = element(dtype, before, skip + i * ldc + j);
            const double got = element(dtype, c, i * ldc + j);
            if (j >= n) {
                EXPECT(got == old || (isnan(got) && isnan(old)));
                continue;
            }
            long double want = (with_bias ? element(dtype, bias, j) : 0) + (accumulate ? old : 0);
            double terms = 8;
            for (int64_t p = 0; p < k; p++) {
                const double term =
                    element(dtype, a.matrix.data, i * a.matrix.row + p * a.matrix.column) *
                    element(dtype, b.matrix.data, p * b.matrix.row + j * b.matrix.column);
                want += term;
                terms += fabs(term);
            }
            EXPECT_MSG(fabs((double)(got - want)) <= unit * terms,
                       "%dx%dx%d [%d, %d]: %.9g, not %.9g", (int)m, (int)n, (int)k, (int)i, (int)j,
                       got, (double)want);
        }
    free(a.block);
    free(b.block);
    free(block);
    free(before);
    free(bias);
}

static int64_t random_size(void)
{
    const int64_t kind = below(8);
    return kind == 0 ? 1 : kind == 1 ? below(3) : kind == 7 ? 40 + below(60) : 1 + below(34);
}

START_TEST(products_of_any_shape_and_strides)
{
    FOR_EACH_ISA
    for (int i = 0; i < 4000; i++)
        check_gemm(i % 2 ? MN_F64 : MN_F32, random_size(), random_size(), random_size());
}
END_TEST

START_TEST(products_longer_than_a_panel_and_larger_than_a_block)
{
    static const int64_t shapes[][3] = {{7, 9, 1100},   {1, 5, 2500},  {5, 1, 2500}, {1, 700, 3},
                                        {700, 1, 3},    {1, 600, 600}, {3, 900, 1},  {500, 3, 70},
                                        {200, 70, 130}, {70, 200, 130}};
    FOR_EACH_ISA
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int again = 0; again < 8; again++)
            check_gemm(again % 2 ? MN_F64 : MN_F32, shapes[i][0], shapes[i][1], shapes[i][2]);
}
END_TEST

START_TEST(a_product_takes_in_nan_and_infinity)
{
    /* Nothing may be skipped because the other factor is zero. */
    FOR_EACH_ISA
    for (int64_t n = 1; n < 40; n += 3) {
        float a[40] = {0}, b[40 * 40] = {0}, c[40];
        b[(n - 1) * n] = INFINITY; /* 0 * inf = NaN, in column 0 alone */
        mni_gemm(NULL, MN_F32, 1, n, n, (mni_matrix){a, n, 1}, (mni_matrix){b, n, 1}, c, n, NULL,
                 false);
        EXPECT(isnan(c[0]));
        for (int64_t j = 1; j < n; j++) EXPECT(c[j] == 0);
    }
}
END_TEST

/* ---- teams ---- */

static mn_tensor *large(mn_dtype dtype, int ndim, const int64_t *shape, uint64_t stream)
{
    mn_tensor *x = mn_tensor_empty(dtype, ndim, shape);
    mni_uniform(NULL, x, -1, 1, mn_rng_make(11, stream));
    return x;
}

/* Everything that cuts its work, into y [1000, 130] or a part of it. */
static void compute_all(mni_team *team, int what, const mn_tensor *x, mn_tensor *y, mn_tensor *z)
{
    const mni_kernel_table *k = mni_kernels();
    const mni_matrix xm = {x->data, 130, 1}, xt = {x->data, 1, 130};
    switch (what) {
    case 0:
        mni_map1(team, k->tanh, x, y, NULL);
        break;
    case 1:
        mni_map2(team, k->mul, x, x, y, NULL);
        break;
    case 2:
        mni_fill(team, y, 0.1);
        break;
    case 3:
        mni_sum(team, x, (bool[]){true, false}, y, false);
        break;
    case 4:
        mni_sum(team, x, (bool[]){false, true}, y, false);
        break;
    case 5:
        mni_sum(team, x, (bool[]){true, true}, y, false);
        break;
    case 6:
        mni_softmax(team, x, 1, true, y);
        break;
    case 7:
        mni_softmax(team, x, 0, false, y);
        break;
    case 8:
        mni_softmax_backward(team, x, x, 0, false, y);
        break;
    case 9:
        mni_uniform(team, y, -3, 4, (mn_rng){1, 2, 3});
        break;
    case 10:
        mni_rrelu(team, x, 0.1, 0.3, false, (mn_rng){1, 2, 3}, y, z);
        break;
    case 11:
        mni_fold(team, MNI_LARGEST, NULL, x, (bool[]){true, false}, y);
        break;
    case 12:
        mni_gemm(team, (mn_dtype)x->dtype, 1000, 120, 130, xm, xm, y->data, 130, x->data, false);
        break;
    case 13:
        mni_gemm(team, (mn_dtype)x->dtype, 130, 130, 1000, xt, xm, y->data, 130, NULL, false);
        break;
    case 14:
        mni_gemm(team, (mn_dtype)x->dtype, 130, 900, 130, xm, xt, y->data, 1000, NULL, false);
        break;
    case 15:
        mni_fold(team, MNI_PRODUCT, &(mni_term){.minus = z, .f = k->square}, x,
                 (bool[]){false, true}, y);
        break;
    case 16:
        mni_logsumexp(team, x, (bool[]){true, true}, y, z);
        break;
    case 17:
        mni_scan(team, MNI_LINEAR, x, x, 0, true, y);
        break;
    case 18:
        mni_scan(team, MNI_CUMSUM, NULL, x, 1, false, y);
        break;
    default:
        mni_gemm(team, (mn_dtype)x->dtype, 1, 1000, 130, xm, xt, y->data, 1000, NULL, false);
        break;
    }
}

enum { WORKS = 20 };

START_TEST(any_team_gives_the_same_bits)
{
    mni_team *teams[4];
    for (int i = 0; i < 4; i++) teams[i] = mni_team_new(i + 1);
    const int64_t shape[] = {1000, 130};
    FOR_EACH_ISA
    for (int dtype = MN_F32; dtype <= MN_F64; dtype++) {
        mn_tensor *x = large((mn_dtype)dtype, 2, shape, 1),
                  *z = large((mn_dtype)dtype, 2, shape, 1);
        mn_tensor *want = mn_tensor_empty((mn_dtype)dtype, 2, shape);
        mn_tensor *got = mn_tensor_empty((mn_dtype)dtype, 2, shape);
        for (int what = 0; what < WORKS; what++) {
            mni_fill(NULL, want, 0);
            compute_all(NULL, what, x, want, z);
            for (int team = 0; team < 4; team++) {
                mni_fill(NULL, got, 0);
                compute_all(teams[team], what, x, got, z);
                const size_t bytes = (size_t)got->numel * mn_dtype_size((mn_dtype)dtype);
                EXPECT_MSG(memcmp(got->data, want->data, bytes) == 0, "work %d, team of %d", what,
                           team + 1);
            }
        }
        mn_release(x);
        mn_release(z);
        mn_release(want);
        mn_release(got);
    }
    for (int i = 0; i < 4; i++) mni_team_free(teams[i]);
}
END_TEST

START_TEST(work_that_is_cut_is_right_across_the_cuts)
{
    /* The team's test would not see a piece that is wrong every time. */
    mni_team *team = mni_team_new(2);
    FOR_EACH_ISA
    {
        const int64_t n = 100003, shape[] = {1000, 130};
        mn_tensor *x = large(MN_F32, 1, &n, 1), *y = mn_tensor_empty(MN_F32, 1, &n);
        mni_rrelu(team, x, 0.1, 0.3, false, (mn_rng){1, 2, 3}, y, NULL);
        for (int64_t i = 0; i < n; i += 7) {
            const float v = ((const float *)(void *)x->data)[i];
            volatile float a = (float)(0.3 - 0.1) * unit_f32((mn_rng){1, 2, 3}, i);
            a = fminf(0.1f + a, 0.3f);
            EXPECT(((const float *)(void *)y->data)[i] == (v <= 0 ? v * a : v));
        }
        mn_release(x);
        mn_release(y);

        x = large(MN_F64, 2, shape, 2);
        y = mn_tensor_empty(MN_F64, 2, (int64_t[]){130, 130});
        const double *xs = (const double *)(void *)x->data;
        mni_gemm(team, MN_F64, 130, 130, 1000, (mni_matrix){xs, 1, 130}, (mni_matrix){xs, 130, 1},
                 y->data, 130, NULL, false);
        for (int64_t i = 0; i < 130; i++)
            for (int64_t j = 0; j < 130; j++) {
                double want = 0;
                for (int64_t p = 0; p < 1000; p++) want += xs[p * 130 + i] * xs[p * 130 + j];
                EXPECT(fabs(get(y, i * 130 + j) - want) <= 1e-11);
            }
        mn_release(x);
        mn_release(y);
    }
    mni_team_free(team);
}
END_TEST

/* ---- the table ---- */

START_TEST(a_table_is_forced_by_name_and_released)
{
    EXPECT(mni_kernels_force(NULL));
    const mni_kernel_table *best = mni_kernels();
    EXPECT(!mni_kernels_force("no such set"));
    ck_assert_ptr_eq(mni_kernels(), best);
    int found = 0;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (!mni_kernels_force(isas[i])) continue;
        ck_assert_str_eq(mni_kernels()->name, isas[i]);
        found++;
    }
    ck_assert_int_ge(found, 1);
    EXPECT(mni_kernels_force(NULL));
    ck_assert_ptr_eq(mni_kernels(), best);
}
END_TEST

START_TEST(the_blas_has_a_name)
{
    ck_assert_ptr_nonnull(mni_blas_name());
    EXPECT(strcmp(mni_blas_name(), "none") == 0 || strncmp(mni_blas_name(), "OpenBLAS ", 9) == 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_pointwise_kernel_computes_its_line_on_any_layout,
        functions_are_within_two_units_in_the_last_place,
        an_output_may_be_an_operand,
        activations_pass_nan_on,
        copies_convert_between_all_types_as_c_does,
        sums_over_any_dimensions_of_any_layout,
        statistics_over_any_dimensions_of_any_layout,
        extremes_of_nan_are_nan,
        the_variance_of_equal_numbers_is_zero,
        sums_of_ten_million_are_as_exact_as_pairwise_ones,
        statistics_of_ten_million_are_as_exact_as_their_sums,
        scans_along_any_dimension_of_any_layout,
        running_sums_of_ten_million_do_not_drift,
        an_extreme_is_the_first_of_its_equals_and_nan_is_either,
        softmax_and_its_gradient_along_any_dimension,
        softmax_passes_nan_on_in_its_row_only,
        uniform_bits_are_those_of_the_scalar_blocks,
        rrelu_bits_are_those_of_the_scalar_blocks,
        rrelu_slopes_never_exceed_the_upper_bound,
        lines_of_maxima_and_their_way_back,
        products_of_any_shape_and_strides,
        products_longer_than_a_panel_and_larger_than_a_block,
        a_product_takes_in_nan_and_infinity,
        any_team_gives_the_same_bits,
        work_that_is_cut_is_right_across_the_cuts,
        a_table_is_forced_by_name_and_released,
        the_blas_has_a_name,
    };
    return run_suite("compute", tests, sizeof tests / sizeof *tests);
}
