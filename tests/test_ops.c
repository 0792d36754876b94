/*
 * tests/test_ops.c: what the ops compute at the edges (empty, scalar, NaN, ties, integers, views)
 * and what they refuse, with the words they refuse it in. Ordinary values are compared with
 * PyTorch's in test_pytorch.c, gradients with finite differences in test_gradients.c.
 */
#include "support.h"

#include <math.h>
#include <minnow/ops.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE(...)                                                                                 \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define VALUES(...)                                                                                \
    (double[])                                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static mn_tape *begin(void)
{
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_ptr_nonnull(t);
    return t;
}

static void end(mn_tape *t)
{
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
    mn_tape_free(t);
    ck_assert_int_eq(mn_live_allocations(), 0);
}

/* A temporary of that dtype. */
static mn_tensor *tensor(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape,
                         const double *values)
{
    return mn_to(t, mn_from(t, MN_F64, ndim, shape, values), dtype);
}

static mn_tensor *vector(mn_tape *t, int64_t n, const double *values)
{
    return tensor(t, MN_F64, 1, &n, values);
}

/* The same, as the start of a graph. */
static mn_tensor *leaf(mn_tape *t, int ndim, const int64_t *shape, const double *values)
{
    mn_tensor *x = mn_from(t, MN_F64, ndim, shape, values);
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

static void advance(const mn_tensor *x, int64_t *index)
{
    for (int d = mn_tensor_ndim(x) - 1; d >= 0 && ++index[d] == mn_tensor_size(x, d); d--)
        index[d] = 0;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void assert_shape(const mn_tensor *x, int ndim, const int64_t *shape)
{
    ck_assert_ptr_nonnull(x);
    ck_assert_int_eq(mn_tensor_ndim(x), ndim);
    for (int d = 0; d < ndim; d++) ck_assert_int_eq(mn_tensor_size(x, d), shape[d]);
}

/* Exactly these values, in row-major order. */
static void assert_values(const mn_tensor *x, int ndim, const int64_t *shape, const double *values)
{
    int64_t index[MN_MAX_DIMS] = {0};
    assert_shape(x, ndim, shape);
    for (int64_t i = 0; i < mn_tensor_numel(x); i++, advance(x, index)) {
        double got = mn_tensor_get(x, index);
        ck_assert_msg(same(got, values[i]), "element %d is %.17g, not %.17g", (int)i, got,
                      values[i]);
    }
}

static void assert_equal(const mn_tensor *a, const mn_tensor *b)
{
    int64_t index[MN_MAX_DIMS] = {0};
    ck_assert_ptr_nonnull(a);
    ck_assert_int_eq(mn_tensor_dtype(a), mn_tensor_dtype(b));
    ck_assert(mn_tensor_same_shape(a, b));
    for (int64_t i = 0; i < mn_tensor_numel(a); i++, advance(a, index))
        ck_assert_msg(same(mn_tensor_get(a, index), mn_tensor_get(b, index)),
                      "element %d: %.17g and %.17g", (int)i, mn_tensor_get(a, index),
                      mn_tensor_get(b, index));
}

/* d sum(y) / d x. */
static mn_tensor *gradient(mn_tape *t, mn_tensor *y, mn_tensor *x)
{
    mn_tensor *total = mn_sum(t, y), *g = NULL;
    mn_grad(t, &total, 1, &x, 1, &g, NULL);
    return g;
}

/* The op refused, for that reason. Clears the error for the next one. */
#define REFUSED(expression, code, text)                                                            \
    do {                                                                                           \
        ck_assert_ptr_null(expression);                                                            \
        ck_assert_msg(mn_tape_error(t) == (code), "%s: %s", mn_error_name(mn_tape_error(t)),       \
                      mn_tape_message(t));                                                         \
        ck_assert_msg(strstr(mn_tape_message(t), text), "%s", mn_tape_message(t));                 \
        mn_tape_clear_error(t);                                                                    \
        mn_clear_last_error();                                                                     \
    } while (0)

/* ---- making temporaries ---- */

START_TEST(constants_fill_every_dtype)
{
    mn_tape *t = begin();
    for (int d = MN_F32; d <= MN_BOOL; d++) {
        mn_dtype dtype = (mn_dtype)d;
        mn_tensor *x = mn_ones(t, dtype, 2, SHAPE(2, 1));
        ck_assert_int_eq(mn_tensor_dtype(x), dtype);
        assert_values(x, 2, SHAPE(2, 1), VALUES(1, 1));
        assert_values(mn_zeros_like(t, x), 2, SHAPE(2, 1), VALUES(0, 0));
        assert_values(mn_ones_like(t, mn_zeros(t, dtype, 0, NULL)), 0, NULL, VALUES(1));
    }
    assert_values(mn_full(t, MN_I64, 1, SHAPE(2), -7), 1, SHAPE(2), VALUES(-7, -7));
    assert_values(mn_scalar(t, MN_F32, 0.5), 0, NULL, VALUES(0.5));
    assert_shape(mn_empty(t, MN_F32, 2, SHAPE(0, 3)), 2, SHAPE(0, 3));
    assert_shape(mn_from(t, MN_F32, 1, SHAPE(0), NULL), 1, SHAPE(0));
    mn_tensor *turned = mn_transpose(t, mn_zeros(t, MN_F32, 2, SHAPE(2, 3)), 0, 1);
    ck_assert(mn_tensor_is_contiguous(mn_empty_like(t, turned)));
    assert_shape(mn_empty_like(t, turned), 2, SHAPE(3, 2));
    end(t);
}
END_TEST

START_TEST(rand_draws_what_uniform_draws_and_reserves_whole_blocks)
{
    mn_tape *t = begin();
    for (int d = MN_F32; d <= MN_F64; d++) {
        mn_rng a = mn_rng_make(5, 2), b = a;
        mn_tensor *x = mn_rand(t, (mn_dtype)d, 2, SHAPE(3, 5), &a);
        mn_tensor *y = mn_empty_like(t, x);
        ck_assert_int_eq(mn_tensor_uniform(y, 0, 1, &b), MN_OK);
        assert_equal(x, y);
        ck_assert_uint_eq(a.offset, d == MN_F32 ? 16 : 32);
    }
    REFUSED(mn_rand(t, MN_I64, 1, SHAPE(2), &(mn_rng){0}), MN_ERR_DTYPE, "i64");
    REFUSED(mn_rand(t, MN_F32, 1, SHAPE(2), NULL), MN_ERR_ARGUMENT, "rng is NULL");
    end(t);
}
END_TEST

START_TEST(bad_shapes_and_null_tapes_make_nothing)
{
    mn_tape *t = begin();
    REFUSED(mn_empty(t, MN_F32, 9, SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1)), MN_ERR_ARGUMENT, "9");
    REFUSED(mn_zeros(t, MN_F32, 1, SHAPE(-1)), MN_ERR_ARGUMENT, "-1");
    REFUSED(mn_ones(t, MN_F32, 2, NULL), MN_ERR_ARGUMENT, "NULL");
    REFUSED(mn_full(t, (mn_dtype)17, 0, NULL, 1), MN_ERR_DTYPE, "17");
    REFUSED(mn_from(t, MN_F32, 1, SHAPE(2), NULL), MN_ERR_ARGUMENT, "data is NULL");
    REFUSED(mn_empty_like(t, MN_NONE), MN_ERR_ARGUMENT, "MN_NONE");
    mn_fail(MN_ERR_IO, "the file is gone");
    REFUSED(mn_zeros_like(t, NULL), MN_ERR_IO, "the file is gone");
    ck_assert_ptr_null(mn_zeros(NULL, MN_F32, 0, NULL));
    ck_assert_int_eq(mn_last_error(), MN_ERR_ARGUMENT);
    mn_clear_last_error();
    ck_assert_ptr_null(mn_add(NULL, MN_NONE, MN_NONE));
    ck_assert_int_ne(mn_last_error(), MN_OK);
    end(t);
}
END_TEST

START_TEST(to_converts_as_c_does_and_passes_the_gradient_back)
{
    mn_tape *t = begin();
    mn_tensor *x = vector(t, 4, VALUES(-1.9, 0, 0.5, 2.9));
    assert_values(mn_to(t, x, MN_I64), 1, SHAPE(4), VALUES(-1, 0, 0, 2));
    assert_values(mn_to(t, x, MN_BOOL), 1, SHAPE(4), VALUES(1, 0, 1, 1));
    assert_values(mn_to(t, mn_to(t, x, MN_I64), MN_F32), 1, SHAPE(4), VALUES(-1, 0, 0, 2));
    ck_assert_ptr_eq(mn_tensor_data(mn_to(t, x, MN_F64)), mn_tensor_data(x));
    mn_tensor *a = leaf(t, 1, SHAPE(2), VALUES(1.5, -2));
    mn_tensor *b = mn_mul_scalar(t, mn_to(t, a, MN_F32), 3), *g = gradient(t, b, a);
    ck_assert_int_eq(mn_tensor_dtype(b), MN_F32);
    ck_assert_int_eq(mn_tensor_dtype(g), MN_F64);
    assert_values(g, 1, SHAPE(2), VALUES(3, 3));
    ck_assert(!mn_tensor_requires_grad(mn_to(t, a, MN_I64)));
    REFUSED(mn_to(t, x, (mn_dtype)9), MN_ERR_DTYPE, "9");
    end(t);
}
END_TEST

/* ---- arithmetic ---- */

START_TEST(arithmetic_works_on_integers_and_empty_tensors)
{
    mn_tape *t = begin();
    mn_tensor *i = tensor(t, MN_I64, 1, SHAPE(3), VALUES(5, -7, 0));
    mn_tensor *u = tensor(t, MN_U8, 1, SHAPE(3), VALUES(250, 3, 0));
    assert_values(mn_add(t, i, i), 1, SHAPE(3), VALUES(10, -14, 0));
    assert_values(mn_sub_scalar(t, i, 9007199254740993.0), 1, SHAPE(3),
                  VALUES(5 - 9007199254740992.0, -7 - 9007199254740992.0, -9007199254740992.0));
    assert_values(mn_mul_scalar(t, i, -3), 1, SHAPE(3), VALUES(-15, 21, 0));
    assert_values(mn_neg(t, i), 1, SHAPE(3), VALUES(-5, 7, 0));
    assert_values(mn_sub_scalar(t, u, 1), 1, SHAPE(3), VALUES(249, 2, 255));
    assert_values(mn_add_scalar(t, u, 10), 1, SHAPE(3), VALUES(4, 13, 10));
    mn_tensor *none = mn_zeros(t, MN_F64, 2, SHAPE(0, 3));
    assert_shape(mn_add(t, none, vector(t, 3, VALUES(1, 2, 3))), 2, SHAPE(0, 3));
    assert_shape(mn_mul(t, none, mn_ones(t, MN_F64, 2, SHAPE(1, 1))), 2, SHAPE(0, 3));
    end(t);
}
END_TEST

START_TEST(arithmetic_refuses_what_does_not_fit)
{
    mn_tape *t = begin();
    mn_tensor *f32 = mn_ones(t, MN_F32, 2, SHAPE(2, 3)), *f64 = mn_ones(t, MN_F64, 1, SHAPE(3));
    mn_tensor *i64 = mn_ones(t, MN_I64, 1, SHAPE(3)), *b = mn_ones(t, MN_BOOL, 1, SHAPE(3));
    const char *advice = "f32 and f64: write mn_to(t, x, MN_F64) (or MN_F32) on one of them";
    REFUSED(mn_add(t, f32, f64), MN_ERR_DTYPE, advice);
    REFUSED(mn_mul(t, f64, f32), MN_ERR_DTYPE, "f64 and f32: write mn_to(t, x, MN_F64)");
    REFUSED(mn_sub(t, i64, f32), MN_ERR_DTYPE, "i64 and f32: write mn_to(t, x, MN_F32)");
    REFUSED(mn_gt(t, i64, b), MN_ERR_DTYPE, "i64 and bool");
    REFUSED(mn_add(t, b, b), MN_ERR_DTYPE, "add: does not take bool");
    REFUSED(mn_div(t, i64, i64), MN_ERR_DTYPE, "i64");
    REFUSED(mn_div_scalar(t, i64, 2), MN_ERR_DTYPE, "i64");
    REFUSED(mn_exp(t, i64), MN_ERR_DTYPE, "i64");
    REFUSED(mn_add_scalar(t, i64, 0.5), MN_ERR_ARGUMENT, "0.5 is not a value of i64");
    REFUSED(mn_mul_scalar(t, mn_to(t, i64, MN_U8), 256), MN_ERR_ARGUMENT, "256");
    REFUSED(mn_sub_scalar(t, i64, NAN), MN_ERR_ARGUMENT, "nan");
    mn_tensor *two = mn_ones(t, MN_F32, 1, SHAPE(2));
    REFUSED(mn_add(t, f32, two), MN_ERR_SHAPE, "[2, 3] and [2]: sizes 3 and 2 do not broadcast");
    REFUSED(mn_eq(t, f32, two), MN_ERR_SHAPE, "do not broadcast");
    REFUSED(mn_add(t, f32, MN_NONE), MN_ERR_ARGUMENT, "input 1 is MN_NONE");
    REFUSED(mn_neg(t, MN_NONE), MN_ERR_ARGUMENT, "input 0 is MN_NONE");
    mn_fail(MN_ERR_IO, "the file is gone");
    REFUSED(mn_mul(t, f32, NULL), MN_ERR_IO, "the file is gone");
    end(t);
}
END_TEST

START_TEST(comparisons_give_bool_and_nan_compares_false)
{
    mn_tape *t = begin();
    mn_tensor *a = vector(t, 3, VALUES(1, NAN, -2)), *b = vector(t, 3, VALUES(1, NAN, -3));
    ck_assert_int_eq(mn_tensor_dtype(mn_eq(t, a, b)), MN_BOOL);
    assert_values(mn_eq(t, a, b), 1, SHAPE(3), VALUES(1, 0, 0));
    assert_values(mn_gt(t, a, b), 1, SHAPE(3), VALUES(0, 0, 1));
    assert_values(mn_gt_scalar(t, a, -2), 1, SHAPE(3), VALUES(1, 0, 0));
    mn_tensor *mask = mn_eq(t, a, b);
    assert_values(mn_eq(t, mask, mn_zeros(t, MN_BOOL, 0, NULL)), 1, SHAPE(3), VALUES(0, 1, 1));
    ck_assert(!mn_tensor_requires_grad(mn_gt_scalar(t, leaf(t, 0, NULL, VALUES(1)), 0)));
    end(t);
}
END_TEST

START_TEST(integers_compare_exactly_with_any_number)
{
    mn_tape *t = begin();
    const int64_t big[] = {(1LL << 53) + 1, INT64_MAX, INT64_MIN};
    mn_tensor *x = mn_from(t, MN_I64, 1, SHAPE(3), big);
    assert_values(mn_gt_scalar(t, x, 0x1p53), 1, SHAPE(3), VALUES(1, 1, 0));
    assert_values(mn_eq_scalar(t, x, 0x1p53), 1, SHAPE(3), VALUES(0, 0, 0));
    assert_values(mn_le_scalar(t, x, 0x1p53 + 2), 1, SHAPE(3), VALUES(1, 0, 1));
    assert_values(mn_lt_scalar(t, x, 0x1p63), 1, SHAPE(3), VALUES(1, 1, 1));
    assert_values(mn_ge_scalar(t, x, -0x1p63), 1, SHAPE(3), VALUES(1, 1, 1));
    assert_values(mn_gt_scalar(t, x, -0x1p63), 1, SHAPE(3), VALUES(1, 1, 0));
    assert_values(mn_eq_scalar(t, x, -0x1p63), 1, SHAPE(3), VALUES(0, 0, 1));
    assert_values(mn_lt_scalar(t, x, -1e300), 1, SHAPE(3), VALUES(0, 0, 0));
    mn_tensor *bytes = tensor(t, MN_U8, 1, SHAPE(2), VALUES(0, 255));
    assert_values(mn_gt_scalar(t, bytes, -1), 1, SHAPE(2), VALUES(1, 1)); /* PyTorch wraps -1 */
    end(t);
}
END_TEST

/* ---- in place ---- */

START_TEST(operands_in_the_overwritten_storage_are_read_first)
{
    mn_tape *t = begin();
    mn_tensor *p = leaf(t, 2, SHAPE(2, 2), VALUES(1, 2, 3, 4));
    mn_tensor *x = mn_clone(t, p);
    x = mn_add_(t, x, mn_transpose(t, x, 0, 1));
    assert_values(x, 2, SHAPE(2, 2), VALUES(2, 5, 5, 8));
    x = mn_mul_(t, x, mn_narrow(t, x, 0, 0, 1)); /* each row times the first */
    assert_values(x, 2, SHAPE(2, 2), VALUES(4, 25, 10, 40));
    assert_values(gradient(t, x, p), 2, SHAPE(2, 2), VALUES(18, 20, 20, 10));
    end(t);
}
END_TEST

START_TEST(values_that_a_gradient_wants_survive_being_overwritten)
{
    mn_tape *t = begin();
    mn_tensor *p = leaf(t, 1, SHAPE(2), VALUES(3, 5)), *q = leaf(t, 1, SHAPE(2), VALUES(2, 4));
    mn_tensor *y = mn_mul_(t, mn_clone(t, p), q);
    y = mn_clamp_(t, y, 0, 10);
    y = mn_mul_(t, y, q);
    assert_values(y, 1, SHAPE(2), VALUES(12, 40));
    mn_tensor *g[2];
    mn_tensor *sum = mn_sum(t, y);
    ck_assert_int_eq(mn_grad(t, &sum, 1, (mn_tensor *[]){p, q}, 2, g, NULL), MN_OK);
    assert_values(g[0], 1, SHAPE(2), VALUES(4, 0));
    assert_values(g[1], 1, SHAPE(2), VALUES(12, 10));
    end(t);
}
END_TEST

START_TEST(overwritten_values_have_no_gradient)
{
    mn_tape *t = begin();
    mn_tensor *p = leaf(t, 1, SHAPE(2), VALUES(3, 5)), *q = leaf(t, 0, NULL, VALUES(2));
    mn_tensor *y = mn_copy_(t, mn_exp(t, p), q);
    assert_values(y, 1, SHAPE(2), VALUES(2, 2));
    assert_values(gradient(t, y, q), 0, NULL, VALUES(2));
    y = mn_fill_(t, mn_mul(t, p, p), 1);
    ck_assert(mn_tensor_requires_grad(y));
    assert_values(gradient(t, mn_mul(t, y, p), p), 1, SHAPE(2), VALUES(1, 1));
    y = mn_masked_fill_(t, mn_mul(t, p, p), mn_gt_scalar(t, p, 4), 0);
    assert_values(gradient(t, y, p), 1, SHAPE(2), VALUES(6, 0));
    end(t);
}
END_TEST

START_TEST(in_place_forms_refuse_what_may_not_be_overwritten)
{
    mn_tape *t = begin();
    mn_tensor *p = leaf(t, 1, SHAPE(2), VALUES(3, 5)), *x = mn_exp(t, p);
    mn_tensor *wide = mn_expand(t, mn_ones(t, MN_F64, 0, NULL), 1, SHAPE(2));
    REFUSED(mn_add_(t, p, x), MN_ERR_STATE, "add_: a leaf that requires grad");
    REFUSED(mn_zero_(t, mn_narrow(t, p, 0, 0, 1)), MN_ERR_STATE, "zero_: a leaf that requires");
    REFUSED(mn_mul_(t, p, p), MN_ERR_STATE, "mul_: a leaf that requires grad");
    REFUSED(mn_clamp_(t, wide, 0, 1), MN_ERR_ARGUMENT, "share an address: mn_clone it first");
    REFUSED(mn_fill_(t, MN_NONE, 0), MN_ERR_ARGUMENT, "input 0 is MN_NONE");
    mn_tensor *y = mn_sub_(t, x, wide); /* exp wants its result */
    REFUSED(mn_add(t, x, y), MN_ERR_STATE, "input 0 was overwritten by sub_; use its result");
    REFUSED(gradient(t, y, p), MN_ERR_STATE, "overwritten by sub_");
    end(t);
}
END_TEST

/* ---- products ---- */

START_TEST(products_of_empty_matrices_are_zeros)
{
    mn_tape *t = begin();
    mn_tensor *a = mn_ones(t, MN_F32, 2, SHAPE(2, 0)), *b = mn_ones(t, MN_F32, 2, SHAPE(0, 3));
    assert_values(mn_matmul(t, a, b), 2, SHAPE(2, 3), VALUES(0, 0, 0, 0, 0, 0));
    assert_shape(mn_matmul(t, b, mn_ones(t, MN_F32, 2, SHAPE(3, 4))), 2, SHAPE(0, 4));
    assert_values(mn_matmul(t, mn_ones(t, MN_F32, 1, SHAPE(0)), b), 1, SHAPE(3), VALUES(0, 0, 0));
    mn_tensor *w = leaf(t, 2, SHAPE(2, 3), VALUES(1, 2, 3, 4, 5, 6));
    mn_tensor *none = mn_zeros(t, MN_F64, 2, SHAPE(0, 3));
    mn_tensor *y = mn_linear(t, none, w, MN_NONE);
    assert_shape(y, 2, SHAPE(0, 2));
    assert_values(gradient(t, y, w), 2, SHAPE(2, 3), VALUES(0, 0, 0, 0, 0, 0));
    mn_tensor *batch = mn_zeros(t, MN_F64, 3, SHAPE(0, 2, 3));
    assert_shape(mn_matmul(t, batch, mn_transpose(t, w, 0, 1)), 3, SHAPE(0, 2, 2));
    end(t);
}
END_TEST

START_TEST(linear_is_the_product_with_the_transposed_weight_plus_bias)
{
    mn_tape *t = begin();
    mn_tensor *x = tensor(t, MN_F64, 2, SHAPE(2, 3), VALUES(1, 2, 3, 4, 5, 6));
    mn_tensor *w = tensor(t, MN_F64, 2, SHAPE(2, 3), VALUES(1, 0, -1, 2, 1, 0));
    mn_tensor *b = vector(t, 2, VALUES(10, 20));
    assert_values(mn_linear(t, x, w, b), 2, SHAPE(2, 2), VALUES(8, 24, 8, 33));
    mn_tensor *turned = mn_contiguous(t, mn_transpose(t, x, 0, 1));
    assert_values(mn_linear(t, mn_transpose(t, turned, 0, 1), w, MN_NONE), 2, SHAPE(2, 2),
                  VALUES(-2, 4, -2, 13));
    end(t);
}
END_TEST

START_TEST(products_refuse_shapes_that_do_not_fit)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(64, 300)),
              *y = mn_ones(t, MN_F32, 2, SHAPE(10, 128));
    REFUSED(mn_matmul(t, x, y), MN_ERR_SHAPE,
            "[64, 300] and [10, 128]: inner sizes 300 and 10 differ");
    REFUSED(mn_matmul(t, x, mn_ones(t, MN_F32, 0, NULL)), MN_ERR_SHAPE, "use mn_mul");
    REFUSED(
        mn_matmul(t, mn_ones(t, MN_F32, 3, SHAPE(2, 1, 3)), mn_ones(t, MN_F32, 3, SHAPE(3, 3, 1))),
        MN_ERR_SHAPE, "batch sizes 2 and 3 do not broadcast");
    REFUSED(mn_matmul(t, x, mn_ones(t, MN_F64, 2, SHAPE(300, 1))), MN_ERR_DTYPE, "f32 and f64");
    mn_tensor *i = mn_ones(t, MN_I64, 2, SHAPE(2, 2));
    REFUSED(mn_matmul(t, i, i), MN_ERR_DTYPE, "i64");
    REFUSED(mn_linear(t, x, y, MN_NONE), MN_ERR_SHAPE,
            "linear: matmul of [64, 300] and [10, 128]: inner sizes 300 and 128 differ");
    mn_tensor *w = mn_ones(t, MN_F32, 2, SHAPE(10, 300));
    REFUSED(mn_linear(t, x, w, mn_ones(t, MN_F32, 1, SHAPE(9))), MN_ERR_SHAPE,
            "bias [9], weight [10, 300]: [10] is needed");
    REFUSED(mn_linear(t, x, w, mn_ones(t, MN_F64, 1, SHAPE(10))), MN_ERR_DTYPE, "f32 and f64");
    REFUSED(mn_linear(t, x, mn_ones(t, MN_F32, 1, SHAPE(300)), MN_NONE), MN_ERR_SHAPE, "[300]");
    REFUSED(mn_linear(t, x, MN_NONE, MN_NONE), MN_ERR_ARGUMENT, "weight is MN_NONE");
    end(t);
}
END_TEST

/* ---- reductions ---- */

START_TEST(sums_of_small_integers_are_i64_and_of_nothing_zero)
{
    mn_tape *t = begin();
    mn_tensor *u = mn_full(t, MN_U8, 1, SHAPE(1000), 255), *s = mn_sum(t, u);
    ck_assert_int_eq(mn_tensor_dtype(s), MN_I64);
    assert_values(s, 0, NULL, VALUES(255000));
    mn_tensor *b = tensor(t, MN_BOOL, 2, SHAPE(2, 2), VALUES(1, 0, 1, 1));
    assert_values(mn_sum_dim(t, b, (int[]){0}, 1, false), 1, SHAPE(2), VALUES(2, 1));
    mn_tensor *none = mn_zeros(t, MN_F64, 2, SHAPE(0, 2));
    assert_values(mn_sum(t, none), 0, NULL, VALUES(0));
    assert_values(mn_mean(t, none), 0, NULL, VALUES(NAN));
    assert_values(mn_sum_dim(t, none, (int[]){0}, 1, true), 2, SHAPE(1, 2), VALUES(0, 0));
    mn_tensor *x = tensor(t, MN_F64, 2, SHAPE(2, 2), VALUES(1, 2, 3, 4));
    assert_equal(mn_sum_dim(t, x, NULL, 0, false), x);
    assert_equal(mn_mean_dim(t, x, NULL, 0, true), x);
    end(t);
}
END_TEST

START_TEST(reductions_refuse_dims_that_are_not_there)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(2, 3)), *i = mn_ones(t, MN_I64, 1, SHAPE(2));
    REFUSED(mn_sum_dim(t, x, (int[]){2}, 1, false), MN_ERR_ARGUMENT, "[2, 3] has no dimension 2");
    REFUSED(mn_sum_dim(t, x, (int[]){0, -2}, 2, false), MN_ERR_ARGUMENT,
            "dimension 0 is given twice");
    REFUSED(mn_sum_dim(t, x, NULL, 1, false), MN_ERR_ARGUMENT, "dims is NULL");
    REFUSED(mn_sum_dim(t, x, NULL, -1, false), MN_ERR_ARGUMENT, "-1");
    REFUSED(mn_mean(t, i), MN_ERR_DTYPE, "mean: takes f32 or f64, not i64");
    REFUSED(mn_mean_dim(t, i, (int[]){0}, 1, false), MN_ERR_DTYPE, "mean_dim: takes f32");
    mn_tensor *none = mn_zeros(t, MN_F32, 2, SHAPE(2, 0)), *indices = x;
    REFUSED(mn_max(t, none), MN_ERR_ARGUMENT, "no elements");
    REFUSED(mn_argmax(t, none), MN_ERR_ARGUMENT, "no elements");
    REFUSED(mn_max_dim(t, none, 1, false, &indices), MN_ERR_ARGUMENT, "no elements");
    ck_assert_ptr_null(indices);
    REFUSED(mn_argmax_dim(t, none, 1, false), MN_ERR_ARGUMENT, "no elements");
    assert_shape(mn_max_dim(t, none, 0, false, NULL), 1, SHAPE(0));
    REFUSED(mn_max_dim(t, x, 5, false, NULL), MN_ERR_ARGUMENT, "no dimension 5");
    end(t);
}
END_TEST

START_TEST(maximum_of_ties_shares_or_goes_to_the_first)
{
    mn_tape *t = begin();
    mn_tensor *x = leaf(t, 2, SHAPE(2, 3), VALUES(1, 3, 3, 2, 3, 0)), *at;
    assert_values(mn_argmax(t, x), 0, NULL, VALUES(1));
    mn_tensor *g = gradient(t, mn_max(t, x), x);
    double third = 1.0 / 3;
    assert_values(g, 2, SHAPE(2, 3), VALUES(0, third, third, 0, third, 0));
    mn_tensor *y = mn_max_dim(t, x, 1, true, &at);
    ck_assert_int_eq(mn_tensor_dtype(at), MN_I64);
    assert_values(at, 2, SHAPE(2, 1), VALUES(1, 1));
    assert_values(y, 2, SHAPE(2, 1), VALUES(3, 3));
    assert_values(gradient(t, y, x), 2, SHAPE(2, 3), VALUES(0, 1, 0, 0, 1, 0));
    assert_values(mn_argmax_dim(t, mn_transpose(t, x, 0, 1), 0, false), 1, SHAPE(2), VALUES(1, 1));
    end(t);
}
END_TEST

START_TEST(nan_is_the_largest_and_takes_the_gradient)
{
    mn_tape *t = begin();
    mn_tensor *x = leaf(t, 1, SHAPE(4), VALUES(1, NAN, INFINITY, NAN)), *at;
    mn_tensor *y = mn_max(t, x);
    ck_assert(isnan(mn_tensor_item(y)));
    assert_values(gradient(t, y, x), 1, SHAPE(4), VALUES(0, 0.5, 0, 0.5));
    y = mn_max_dim(t, x, 0, false, &at);
    assert_values(at, 0, NULL, VALUES(1));
    assert_values(gradient(t, y, x), 1, SHAPE(4), VALUES(0, 1, 0, 0));
    end(t);
}
END_TEST

START_TEST(maxima_work_on_every_dtype)
{
    mn_tape *t = begin();
    for (int d = MN_F32; d <= MN_BOOL; d++) {
        mn_tensor *x = tensor(t, (mn_dtype)d, 2, SHAPE(2, 2), VALUES(0, 1, 1, 0));
        ck_assert_int_eq(mn_tensor_dtype(mn_max(t, x)), d);
        assert_values(mn_max(t, x), 0, NULL, VALUES(1));
        assert_values(mn_argmax_dim(t, x, -1, false), 1, SHAPE(2), VALUES(1, 0));
    }
    end(t);
}
END_TEST

/* ---- shape ---- */

/* A random view: a block cut out of a larger one, its dimensions in random order, some
 * stretched. */
static mn_tensor *random_view(mn_tape *t, mn_rng *rng)
{
    int64_t shape[4];
    int order[4] = {0, 1, 2, 3};
    for (int d = 0; d < 4; d++) shape[d] = 1 + (int64_t)mn_rng_below(rng, 4);
    mn_tensor *x = mn_rand(t, MN_F64, 4, shape, rng);
    for (int d = 0; d < 4; d++) {
        int64_t size = shape[d], start = (int64_t)mn_rng_below(rng, (uint64_t)size);
        if (mn_rng_below(rng, 3) == 0)
            x = mn_narrow(t, x, d, start, 1 + (int64_t)mn_rng_below(rng, (uint64_t)(size - start)));
        shape[d] = mn_tensor_size(x, d);
        if (shape[d] == 1 && mn_rng_below(rng, 2)) shape[d] = 3;
        int other = (int)mn_rng_below(rng, (uint64_t)d + 1), kept = order[d];
        order[d] = order[other];
        order[other] = kept;
    }
    x = mn_expand(t, x, 4, shape);
    return mn_rng_below(rng, 3) ? mn_permute(t, x, order) : x;
}

START_TEST(reshape_keeps_the_logical_order_of_any_view)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(3, 1);
    int views = 0;
    for (int round = 0; round < 2000; round++) {
        mn_tensor *x = random_view(t, &rng), *plain = mn_clone(t, x);
        int64_t shape[6], rest = mn_tensor_numel(x);
        int ndim = 0;
        while (ndim < 5) { /* a random divisor at a time */
            int64_t size = 1 + (int64_t)mn_rng_below(&rng, (uint64_t)rest);
            while (rest % size) size--;
            shape[ndim++] = size;
            rest /= size;
        }
        shape[ndim++] = rest;
        mn_tensor *y = mn_reshape(t, x, ndim, shape);
        ck_assert_msg(y != NULL, "%s", mn_tape_message(t));
        assert_equal(y, mn_reshape(t, plain, ndim, shape));
        views += !mn_tensor_is_contiguous(x) && mn_tensor_data(y) == mn_tensor_data(x);
        mn_tape_reset(t);
    }
    ck_assert_int_gt(views, 100);
    end(t);
}
END_TEST

START_TEST(reshape_is_a_view_exactly_where_strides_allow)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_rand(t, MN_F32, 2, SHAPE(4, 6), &(mn_rng){0});
    const void *at = mn_tensor_data(x);
    mn_tensor *columns = mn_narrow(t, x, 1, 0, 4), *turned = mn_transpose(t, x, 0, 1);
    ck_assert_ptr_eq(mn_tensor_data(mn_reshape(t, columns, 3, SHAPE(2, 2, 4))), at);
    ck_assert_ptr_eq(mn_tensor_data(mn_reshape(t, columns, 3, SHAPE(4, 2, 2))), at);
    ck_assert_ptr_ne(mn_tensor_data(mn_reshape(t, columns, 1, SHAPE(16))), at);
    ck_assert_ptr_ne(mn_tensor_data(mn_reshape(t, turned, 1, SHAPE(-1))), at);
    ck_assert_ptr_eq(mn_tensor_data(mn_reshape(t, turned, 4, SHAPE(2, 3, 1, 4))), at);
    ck_assert_ptr_eq(mn_tensor_data(mn_flatten(t, x, 0, 1)), at);
    ck_assert_ptr_eq(mn_contiguous(t, x), x);
    ck_assert_ptr_ne(mn_tensor_data(mn_contiguous(t, turned)), at);
    ck_assert_ptr_ne(mn_tensor_data(mn_clone(t, x)), at);
    mn_tensor *row = mn_narrow(t, x, 0, 1, 1);
    ck_assert_ptr_eq(mn_tensor_data(row), (const float *)at + 6);
    ck_assert_int_eq(mn_tensor_stride(mn_expand(t, row, 2, SHAPE(5, 6)), 0), 0);
    end(t);
}
END_TEST

START_TEST(shapes_of_nothing_and_of_one_value)
{
    mn_tape *t = begin();
    mn_tensor *none = mn_zeros(t, MN_F32, 2, SHAPE(0, 3)), *one = mn_scalar(t, MN_F32, 2);
    assert_shape(mn_reshape(t, none, 3, SHAPE(7, 0, 2)), 3, SHAPE(7, 0, 2));
    assert_shape(mn_reshape(t, none, 2, SHAPE(-1, 3)), 2, SHAPE(0, 3));
    assert_shape(mn_flatten(t, none, 0, -1), 1, SHAPE(0));
    assert_shape(mn_flatten(t, one, 0, -1), 1, SHAPE(1));
    assert_shape(mn_reshape(t, one, 3, SHAPE(1, 1, 1)), 3, SHAPE(1, 1, 1));
    assert_shape(mn_permute(t, one, NULL), 0, NULL);
    assert_shape(mn_narrow(t, none, 1, 3, 0), 2, SHAPE(0, 0));
    mn_tensor *row = tensor(t, MN_F32, 2, SHAPE(1, 3), VALUES(1, 2, 3));
    assert_equal(mn_cat(t, (mn_tensor *[]){none, row, none}, 3, 0), row);
    assert_shape(mn_expand(t, row, 3, SHAPE(0, 2, 3)), 3, SHAPE(0, 2, 3));
    end(t);
}
END_TEST

START_TEST(shape_ops_refuse_what_does_not_fit)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(2, 5)), *none = mn_ones(t, MN_F32, 1, SHAPE(0));
    REFUSED(mn_reshape(t, x, 2, SHAPE(3, 4)), MN_ERR_SHAPE,
            "[2, 5] has 10 elements and cannot become [3, 4]");
    REFUSED(mn_reshape(t, x, 2, SHAPE(-1, 3)), MN_ERR_SHAPE, "[-1, 3]");
    REFUSED(mn_reshape(t, x, 2, SHAPE(-1, -1)), MN_ERR_SHAPE, "[-1, -1]");
    REFUSED(mn_reshape(t, x, 2, SHAPE(-5, -2)), MN_ERR_SHAPE, "[-5, -2]");
    REFUSED(mn_reshape(t, none, 2, SHAPE(-1, 0)), MN_ERR_SHAPE, "[-1, 0]");
    REFUSED(mn_reshape(t, x, 3, SHAPE(INT64_MAX, 4, 5)), MN_ERR_SHAPE, "cannot become");
    REFUSED(mn_reshape(t, x, 9, SHAPE(1, 1, 1, 1, 1, 1, 1, 2, 5)), MN_ERR_ARGUMENT, "9 dimensions");
    REFUSED(mn_reshape(t, x, 1, NULL), MN_ERR_ARGUMENT, "1 dimensions");
    REFUSED(mn_flatten(t, x, 1, 0), MN_ERR_ARGUMENT, "start dimension 1 is after end dimension 0");
    REFUSED(mn_flatten(t, x, 0, 2), MN_ERR_ARGUMENT, "no dimension 2");
    REFUSED(mn_transpose(t, x, 0, -3), MN_ERR_ARGUMENT, "no dimension -3");
    REFUSED(mn_permute(t, x, (int[]){0, 0}), MN_ERR_ARGUMENT, "dimension 0 is given twice");
    REFUSED(mn_permute(t, x, (int[]){0, 2}), MN_ERR_ARGUMENT, "no dimension 2");
    REFUSED(mn_permute(t, x, NULL), MN_ERR_ARGUMENT, "dims is NULL");
    REFUSED(mn_expand(t, x, 2, SHAPE(2, 6)), MN_ERR_SHAPE, "[2, 5] does not stretch to [2, 6]");
    REFUSED(mn_expand(t, x, 1, SHAPE(5)), MN_ERR_SHAPE, "[2, 5] does not stretch to [5]");
    REFUSED(mn_expand(t, x, 3, SHAPE(-1, 2, 5)), MN_ERR_SHAPE, "[-1, 2, 5]");
    REFUSED(mn_expand(t, x, 9, NULL), MN_ERR_SHAPE, "wrong number of dimensions");
    REFUSED(mn_narrow(t, x, 1, 3, 4), MN_ERR_ARGUMENT,
            "start 3 + length 4 exceeds size 5 of dimension 1");
    REFUSED(mn_narrow(t, x, 1, INT64_MAX, 2), MN_ERR_ARGUMENT, "exceeds size 5");
    REFUSED(mn_narrow(t, x, 0, -1, 1), MN_ERR_ARGUMENT, "start -1");
    REFUSED(mn_narrow(t, x, 2, 0, 1), MN_ERR_ARGUMENT, "no dimension 2");
    mn_tensor *y = mn_ones(t, MN_F32, 2, SHAPE(3, 4)), *z = mn_ones(t, MN_F64, 2, SHAPE(2, 5));
    REFUSED(mn_cat(t, (mn_tensor *[]){x, y}, 2, 0), MN_ERR_SHAPE,
            "[2, 5] and [3, 4] (tensor 1) differ in more than dimension 0");
    REFUSED(mn_cat(t, (mn_tensor *[]){x, z}, 2, 0), MN_ERR_DTYPE, "f32 and f64");
    REFUSED(mn_cat(t, &x, 0, 0), MN_ERR_ARGUMENT, "0 tensors");
    REFUSED(mn_cat(t, &x, 1, 2), MN_ERR_ARGUMENT, "no dimension 2");
    end(t);
}
END_TEST

/* ---- activations ---- */

START_TEST(rectifiers_at_zero_and_nan)
{
    mn_tape *t = begin();
    mn_tensor *x = leaf(t, 1, SHAPE(5), VALUES(-2, 0, NAN, 3, -INFINITY));
    mn_tensor *y = mn_relu(t, x);
    assert_values(y, 1, SHAPE(5), VALUES(0, 0, NAN, 3, 0));
    assert_values(gradient(t, y, x), 1, SHAPE(5), VALUES(0, 0, 1, 1, 0));
    y = mn_leaky_relu(t, x, 0.5);
    assert_values(y, 1, SHAPE(5), VALUES(-1, 0, NAN, 3, -INFINITY));
    assert_values(gradient(t, y, x), 1, SHAPE(5), VALUES(0.5, 0.5, 0.5, 1, 0.5));
    mn_tensor *slope = leaf(t, 1, SHAPE(1), VALUES(0.25));
    y = mn_prelu(t, x, slope);
    assert_values(y, 1, SHAPE(5), VALUES(-0.5, 0, NAN, 3, -INFINITY));
    assert_values(gradient(t, y, x), 1, SHAPE(5), VALUES(0.25, 0.25, 0.25, 1, 0.25));
    mn_tensor *finite = vector(t, 3, VALUES(-2, 0, INFINITY));
    assert_values(gradient(t, mn_prelu(t, finite, slope), slope), 1, SHAPE(1), VALUES(-2));
    end(t);
}
END_TEST

START_TEST(in_place_overwrites_and_retires_the_old_handle)
{
    mn_tape *t = begin();
    mn_tensor *x = leaf(t, 1, SHAPE(3), VALUES(-1, 2, -3));
    mn_tensor *a = mn_mul_scalar(t, x, 2), *y = mn_leaky_relu_(t, a, 0.5);
    ck_assert_ptr_eq(mn_tensor_data(y), mn_tensor_data(a));
    assert_values(y, 1, SHAPE(3), VALUES(-1, 4, -3));
    REFUSED(mn_neg(t, a), MN_ERR_STATE, "overwritten by leaky_relu_; use its result");
    assert_values(gradient(t, y, x), 1, SHAPE(3), VALUES(1, 2, 1));
    REFUSED(mn_relu_(t, x), MN_ERR_STATE, "leaf");
    REFUSED(mn_leaky_relu_(t, mn_neg(t, x), -0.5), MN_ERR_ARGUMENT, "slope -0.5");
    mn_tensor *one = mn_scalar(t, MN_F64, -1);
    REFUSED(mn_relu_(t, mn_expand(t, one, 1, SHAPE(4))), MN_ERR_ARGUMENT, "address");
    mn_tensor *buffer = vector(t, 4, VALUES(-1, -2, -3, -4));
    mn_leaky_relu_(t, mn_narrow(t, buffer, 0, 1, 2), -1);
    assert_values(buffer, 1, SHAPE(4), VALUES(-1, 2, 3, -4));
    end(t);
}
END_TEST

START_TEST(prelu_refuses_slopes_that_are_not_the_channels)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 3, SHAPE(2, 3, 4)), *s = mn_ones(t, MN_F32, 1, SHAPE(2));
    REFUSED(mn_prelu(t, x, s), MN_ERR_SHAPE, "[2, 3, 4] and [2]");
    REFUSED(mn_prelu(t, mn_scalar(t, MN_F32, 1), s), MN_ERR_SHAPE, "one slope");
    REFUSED(mn_prelu(t, x, mn_ones(t, MN_F64, 1, SHAPE(3))), MN_ERR_DTYPE, "f32 and f64");
    REFUSED(mn_prelu(t, x, MN_NONE), MN_ERR_ARGUMENT, "MN_NONE");
    end(t);
}
END_TEST

START_TEST(softmax_stays_finite_for_large_numbers)
{
    mn_tape *t = begin();
    mn_tensor *x = tensor(t, MN_F32, 2, SHAPE(2, 2), VALUES(1e30, 1e30, -INFINITY, 5));
    assert_values(mn_softmax(t, x, 1), 2, SHAPE(2, 2), VALUES(0.5, 0.5, 0, 1));
    assert_values(mn_log_softmax(t, x, -1), 2, SHAPE(2, 2),
                  VALUES((float)-log(2), (float)-log(2), -INFINITY, 0));
    assert_shape(mn_softmax(t, mn_zeros(t, MN_F32, 2, SHAPE(0, 3)), 1), 2, SHAPE(0, 3));
    assert_shape(mn_log_softmax(t, mn_zeros(t, MN_F32, 2, SHAPE(3, 0)), 1), 2, SHAPE(3, 0));
    REFUSED(mn_softmax(t, x, 2), MN_ERR_ARGUMENT, "[2, 2] has no dimension 2");
    REFUSED(mn_log_softmax(t, mn_ones(t, MN_I64, 1, SHAPE(2)), 0), MN_ERR_DTYPE, "i64");
    end(t);
}
END_TEST

START_TEST(dropout_drops_where_the_draw_is_below_p)
{
    mn_tape *t = begin();
    for (int d = MN_F32; d <= MN_F64; d++) {
        mn_rng rng = mn_rng_make(9, 4), again = rng;
        mn_tensor *x = mn_full(t, (mn_dtype)d, 2, SHAPE(50, 21), 2);
        mn_tensor *y = mn_dropout(t, x, 0.3, true, &rng);
        mn_tensor *u = mn_rand(t, (mn_dtype)d, 2, SHAPE(50, 21), &again);
        ck_assert_uint_eq(rng.offset, again.offset);
        mn_tensor *kept = mn_eq(t, mn_gt(t, mn_full(t, (mn_dtype)d, 0, NULL, 0.3), u),
                                mn_zeros(t, MN_BOOL, 0, NULL));
        mn_tensor *scale = mn_full(t, (mn_dtype)d, 0, NULL, 1 / 0.7);
        assert_equal(y, mn_mul(t, mn_mul(t, mn_to(t, kept, (mn_dtype)d), scale), x));
        double share = mn_tensor_item(mn_mean(t, mn_to(t, kept, MN_F64)));
        ck_assert_double_eq_tol(share, 0.7, 0.05);
        assert_values(mn_sum(t, mn_dropout(t, x, 1, true, &rng)), 0, NULL, VALUES(0));
    }
    mn_tensor *x = vector(t, 2, VALUES(1, NAN));
    assert_equal(mn_dropout(t, x, 0.5, false, NULL), x);
    assert_equal(mn_dropout(t, x, 0, true, &(mn_rng){0}), x);
    end(t);
}
END_TEST

START_TEST(dropout_refuses_what_is_no_probability)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 1, SHAPE(2));
    mn_rng rng = {0};
    REFUSED(mn_dropout(t, x, -0.1, true, &rng), MN_ERR_ARGUMENT, "p is -0.1");
    REFUSED(mn_dropout(t, x, 1.5, false, NULL), MN_ERR_ARGUMENT, "p is 1.5");
    REFUSED(mn_dropout(t, x, NAN, true, &rng), MN_ERR_ARGUMENT, "p is nan");
    REFUSED(mn_dropout(t, x, 0.5, true, NULL), MN_ERR_ARGUMENT, "rng is NULL");
    REFUSED(mn_dropout(t, mn_ones(t, MN_I64, 1, SHAPE(2)), 0.5, true, &rng), MN_ERR_DTYPE, "i64");
    ck_assert_uint_eq(rng.offset, 0);
    end(t);
}
END_TEST

/* ---- losses ---- */

START_TEST(cross_entropy_is_nll_of_log_softmax)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(1, 1);
    mn_tensor *x = mn_transpose(t, mn_rand(t, MN_F64, 2, SHAPE(4, 6), &rng), 0, 1);
    mn_tensor *pairs =
        mn_from(t, MN_I64, 2, SHAPE(6, 2), SHAPE(0, 9, 3, 9, 1, 9, 2, 9, 3, 9, 0, 9));
    mn_tensor *target = mn_reshape(t, mn_narrow(t, pairs, 1, 0, 1), 1, SHAPE(6));
    ck_assert(!mn_tensor_is_contiguous(target));
    mn_tensor *log_p = mn_log_softmax(t, x, 1);
    for (int r = MN_REDUCE_MEAN; r <= MN_REDUCE_NONE; r++) {
        mn_cross_entropy_opts o = {.reduction = (mn_reduction)r};
        mn_nll_loss_opts nll = {.reduction = (mn_reduction)r};
        mn_tensor *a = mn_cross_entropy(t, x, target, &o), *b = mn_nll_loss(t, log_p, target, &nll);
        assert_equal(a, b);
        ck_assert_int_eq(mn_tensor_ndim(a), r == MN_REDUCE_NONE);
    }
    mn_tensor *sure = tensor(t, MN_F32, 2, SHAPE(1, 2), VALUES(-1000, 1000));
    mn_tensor *wrong = mn_from(t, MN_I64, 1, SHAPE(1), SHAPE(0));
    assert_values(mn_cross_entropy(t, sure, wrong, NULL), 0, NULL, VALUES(2000));
    end(t);
}
END_TEST

START_TEST(mean_loss_of_no_samples_is_nan)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_zeros(t, MN_F32, 2, SHAPE(0, 3)), *target = mn_zeros(t, MN_I64, 1, SHAPE(0));
    mn_nll_loss_opts sum = {.reduction = MN_REDUCE_SUM};
    assert_values(mn_cross_entropy(t, x, target, NULL), 0, NULL, VALUES(NAN));
    assert_values(mn_nll_loss(t, x, target, &sum), 0, NULL, VALUES(0));
    assert_values(mn_mse_loss(t, x, x, NULL), 0, NULL, VALUES(NAN));
    end(t);
}
END_TEST

START_TEST(losses_refuse_targets_that_do_not_fit)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_zeros(t, MN_F32, 2, SHAPE(3, 4));
    mn_tensor *high = mn_from(t, MN_I64, 1, SHAPE(3), SHAPE(0, 3, 4));
    mn_tensor *low = mn_from(t, MN_I64, 1, SHAPE(3), SHAPE(0, -1, 3));
    REFUSED(mn_cross_entropy(t, x, high, NULL), MN_ERR_ARGUMENT,
            "target 2 is class 4, but there are 4 classes (0 to 3)");
    REFUSED(mn_nll_loss(t, x, low, NULL), MN_ERR_ARGUMENT, "target 1 is class -1");
    mn_tensor *two = mn_zeros(t, MN_I64, 1, SHAPE(2)), *f = mn_zeros(t, MN_F32, 1, SHAPE(3));
    REFUSED(mn_cross_entropy(t, x, two, NULL), MN_ERR_SHAPE, "scores [3, 4] and targets [2]");
    REFUSED(mn_nll_loss(t, x, f, NULL), MN_ERR_DTYPE, "targets are f32");
    REFUSED(mn_cross_entropy(t, f, two, NULL), MN_ERR_SHAPE, "scores [3] and targets [2]");
    REFUSED(mn_cross_entropy(t, mn_to(t, x, MN_I64), two, NULL), MN_ERR_DTYPE, "i64");
    mn_loss_opts wrong = {.reduction = (mn_reduction)7};
    REFUSED(mn_mse_loss(t, x, x, &wrong), MN_ERR_ARGUMENT, "7 is not a reduction");
    REFUSED(mn_mse_loss(t, x, f, NULL), MN_ERR_SHAPE, "[3, 4] and [3]: the shapes must be equal");
    REFUSED(mn_mse_loss(t, x, mn_to(t, x, MN_F64), NULL), MN_ERR_DTYPE, "f32 and f64");
    REFUSED(mn_mse_loss(t, two, two, NULL), MN_ERR_DTYPE, "i64");
    end(t);
}
END_TEST

/* ---- all of them ---- */

START_TEST(nothing_runs_while_the_tape_has_an_error)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(2, 2));
    mn_rng rng = {0};
    mn_tape_fail(t, MN_ERR_STATE, "first");
    ck_assert_ptr_null(mn_add(t, x, x));
    ck_assert_ptr_null(mn_reshape(t, x, 1, SHAPE(-1)));
    ck_assert_ptr_null(mn_contiguous(t, x));
    ck_assert_ptr_null(mn_relu_(t, x));
    ck_assert_ptr_null(mn_zeros(t, MN_F32, 0, NULL));
    ck_assert_ptr_null(mn_rand(t, MN_F32, 1, SHAPE(4), &rng));
    ck_assert_ptr_null(mn_dropout(t, x, 0.5, true, &rng));
    ck_assert_ptr_null(mn_rrelu(t, x, 0, 1, true, &rng));
    ck_assert_ptr_null(mn_mse_loss(t, x, x, NULL));
    ck_assert_uint_eq(rng.offset, 0);
    ck_assert_str_eq(mn_tape_message(t), "first");
    mn_tape_clear_error(t);
    assert_values(x, 2, SHAPE(2, 2), VALUES(1, 1, 1, 1));
    end(t);
}
END_TEST

/* Runs a bit of everything; true when the loss came out. */
static bool a_bit_of_everything(mn_tape *t)
{
    mn_rng rng = mn_rng_make(1, 1);
    mn_tensor *x = mn_rand(t, MN_F32, 2, SHAPE(6, 4), &rng);
    mn_tensor *w = mn_rand(t, MN_F32, 2, SHAPE(3, 4), &rng), *b = mn_zeros(t, MN_F32, 1, SHAPE(3));
    if (w) mn_tensor_set_requires_grad(w, true);
    mn_tensor *target = mn_from(t, MN_I64, 1, SHAPE(6), SHAPE(0, 1, 2, 0, 1, 2));
    mn_tensor *y =
        mn_linear(t, mn_transpose(t, mn_contiguous(t, mn_transpose(t, x, 0, 1)), 0, 1), w, b);
    y = mn_rrelu_with(t, mn_sub_scalar(t, y, 1), 0.1, 0.3, true, &rng,
                      &(mn_rrelu_opts){.inplace = true, .recompute = true, .per_channel = true});
    y = mn_add(t, mn_dropout(t, y, 0.5, true, &rng), mn_max_dim(t, y, 1, true, NULL));
    y = mn_cat(t, (mn_tensor *[]){y, mn_tanh(t, y)}, 2, 1);
    y = mn_matmul(t, mn_narrow(t, y, 1, 0, 3), mn_transpose(t, mn_narrow(t, y, 1, 3, 3), 0, 1));
    mn_tensor *loss = mn_cross_entropy(t, y, target, NULL);
    mn_backward(t, loss);
    return mn_tape_error(t) == MN_OK;
}

static int64_t allocations_left;

static void *scarce(size_t size, void *user)
{
    (void)user;
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void give_back(void *memory, void *user)
{
    (void)user;
    free(memory);
}

START_TEST(ops_survive_malloc_failing_at_each_position)
{
    mn_allocator allocator = {scarce, give_back, NULL};
    int failures = 0;
    bool done = false;
    ck_assert_int_eq(mn_set_allocator(&allocator), MN_OK);
    for (int64_t limit = 0; !done; limit++) {
        allocations_left = limit;
        mn_tape *t = mn_tape_new(NULL);
        done = t && a_bit_of_everything(t);
        if (!done) {
            failures++;
            ck_assert_int_eq(t ? mn_tape_error(t) : mn_last_error(), MN_ERR_MEMORY);
        }
        mn_tape_free(t);
        ck_assert_int_eq(mn_live_allocations(), 0);
        ck_assert_int_lt(limit, 10000);
    }
    ck_assert_int_gt(failures, 10);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        constants_fill_every_dtype,
        rand_draws_what_uniform_draws_and_reserves_whole_blocks,
        bad_shapes_and_null_tapes_make_nothing,
        to_converts_as_c_does_and_passes_the_gradient_back,
        arithmetic_works_on_integers_and_empty_tensors,
        arithmetic_refuses_what_does_not_fit,
        comparisons_give_bool_and_nan_compares_false,
        integers_compare_exactly_with_any_number,
        operands_in_the_overwritten_storage_are_read_first,
        values_that_a_gradient_wants_survive_being_overwritten,
        overwritten_values_have_no_gradient,
        in_place_forms_refuse_what_may_not_be_overwritten,
        products_of_empty_matrices_are_zeros,
        linear_is_the_product_with_the_transposed_weight_plus_bias,
        products_refuse_shapes_that_do_not_fit,
        sums_of_small_integers_are_i64_and_of_nothing_zero,
        reductions_refuse_dims_that_are_not_there,
        maximum_of_ties_shares_or_goes_to_the_first,
        nan_is_the_largest_and_takes_the_gradient,
        maxima_work_on_every_dtype,
        reshape_keeps_the_logical_order_of_any_view,
        reshape_is_a_view_exactly_where_strides_allow,
        shapes_of_nothing_and_of_one_value,
        shape_ops_refuse_what_does_not_fit,
        rectifiers_at_zero_and_nan,
        in_place_overwrites_and_retires_the_old_handle,
        prelu_refuses_slopes_that_are_not_the_channels,
        softmax_stays_finite_for_large_numbers,
        dropout_drops_where_the_draw_is_below_p,
        dropout_refuses_what_is_no_probability,
        cross_entropy_is_nll_of_log_softmax,
        mean_loss_of_no_samples_is_nan,
        losses_refuse_targets_that_do_not_fit,
        nothing_runs_while_the_tape_has_an_error,
        ops_survive_malloc_failing_at_each_position,
    };
    return run_suite("ops", tests, sizeof tests / sizeof *tests);
}
