/*
 * tests/test_rrelu.c: the contract of the randomized leaky rectifier, op by op: what it draws,
 * what it keeps, what its gradient is, and what it refuses. Its derivatives are in
 * test_gradients.c.
 */
#include "support.h"

#include <math.h>
#include <minnow/ops.h>
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

static mn_tensor *tracked(mn_tensor *x)
{
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

/* U(-1, 1), the start of a graph. */
static mn_tensor *noise(mn_tape *t, mn_dtype dtype, int ndim, const int64_t *shape)
{
    mn_rng rng = mn_rng_make(21, 8);
    mn_tensor *u = mn_rand(t, dtype, ndim, shape, &rng);
    return tracked(mn_sub_scalar(t, mn_mul_scalar(t, u, 2), 1));
}

static mn_tensor *values(mn_tape *t, int64_t n, const double *v)
{
    return tracked(mn_from(t, MN_F64, 1, &n, v));
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

static void assert_equal(const mn_tensor *a, const mn_tensor *b)
{
    int64_t index[MN_MAX_DIMS] = {0};
    ck_assert_ptr_nonnull(a);
    ck_assert(mn_tensor_same_shape(a, b));
    for (int64_t i = 0; i < mn_tensor_numel(a); i++, advance(a, index))
        ck_assert_msg(same(mn_tensor_get(a, index), mn_tensor_get(b, index)),
                      "element %d: %.17g and %.17g", (int)i, mn_tensor_get(a, index),
                      mn_tensor_get(b, index));
}

static void assert_values(const mn_tensor *x, const double *expected)
{
    ck_assert_ptr_nonnull(x);
    ck_assert_int_eq(mn_tensor_ndim(x), 1);
    for (int64_t i = 0; i < mn_tensor_numel(x); i++)
        ck_assert_msg(same(mn_tensor_get(x, &i), expected[i]), "element %d is %.17g, not %.17g",
                      (int)i, mn_tensor_get(x, &i), expected[i]);
}

/* <y, 1> by x; retains the graph. */
static mn_tensor *gradient(mn_tape *t, mn_tensor *y, mn_tensor *x)
{
    mn_tensor *total = mn_sum(t, y), *g = NULL;
    mn_grad(t, &total, 1, &x, 1, &g, &(mn_grad_opts){.retain_graph = true});
    return g;
}

#define REFUSED(expression, code, text)                                                            \
    do {                                                                                           \
        ck_assert_ptr_null(expression);                                                            \
        ck_assert_msg(mn_tape_error(t) == (code), "%s: %s", mn_error_name(mn_tape_error(t)),       \
                      mn_tape_message(t));                                                         \
        ck_assert_msg(strstr(mn_tape_message(t), text), "%s", mn_tape_message(t));                 \
        mn_tape_clear_error(t);                                                                    \
        mn_clear_last_error();                                                                     \
    } while (0)

/* ---- what it draws ---- */

START_TEST(element_i_takes_draw_i_whatever_the_signs)
{
    mn_tape *t = begin();
    for (int d = MN_F32; d <= MN_F64; d++) {
        mn_rng rng = mn_rng_make(4, 2), again = rng;
        mn_tensor *x = noise(t, (mn_dtype)d, 2, SHAPE(7, 33));
        mn_tensor *y = mn_rrelu(t, x, 0.25, 0.75, true, &rng);
        mn_tensor *u = mn_rand(t, (mn_dtype)d, 2, SHAPE(7, 33), &again);
        mn_tensor *drawn = mn_add_scalar(t, mn_mul_scalar(t, u, 0.5), 0.25);
        mn_tensor *above = mn_to(t, mn_gt_scalar(t, x, 0), (mn_dtype)d);
        mn_tensor *below = mn_add_scalar(t, mn_neg(t, above), 1);
        mn_tensor *expected = mn_add(t, above, mn_mul(t, below, drawn));
        assert_equal(mn_rrelu_slopes(t, y), expected);
        assert_equal(y, mn_mul(t, x, expected));
        ck_assert_uint_eq(rng.offset, again.offset);
        ck_assert_uint_eq(rng.offset, d == MN_F32 ? 232 : 464);
    }
    end(t);
}
END_TEST

START_TEST(rewinding_the_generator_reproduces_the_slopes)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(4, 2);
    rng.offset = 7; /* in the middle of a block */
    mn_rng again = rng;
    mn_tensor *x = noise(t, MN_F32, 1, SHAPE(101));
    mn_tensor *a = mn_rrelu(t, x, 0.1, 0.9, true, &rng);
    mn_tensor *next = mn_rrelu(t, x, 0.1, 0.9, true, &rng);
    assert_equal(mn_rrelu(t, x, 0.1, 0.9, true, &again), a);
    ck_assert_double_eq(mn_tensor_item(mn_sum(t, mn_to(t, mn_eq(t, a, next), MN_I64))),
                        mn_tensor_item(mn_sum(t, mn_to(t, mn_gt_scalar(t, x, 0), MN_I64))));
    end(t);
}
END_TEST

START_TEST(slopes_fill_the_interval_evenly)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(1, 1);
    mn_tensor *x = tracked(mn_full(t, MN_F32, 1, SHAPE(100000), -1));
    mn_tensor *s = mn_rrelu_slopes(t, mn_rrelu(t, x, -0.5, 1.5, true, &rng));
    mn_tensor *v = mn_to(t, s, MN_F64), *off = mn_sub_scalar(t, v, 0.5);
    double mean = mn_tensor_item(mn_mean(t, v));
    double variance = mn_tensor_item(mn_mean(t, mn_mul(t, off, off)));
    ck_assert_double_eq_tol(mean, 0.5, 0.01);
    ck_assert_double_eq_tol(variance, 4.0 / 12, 0.01);
    ck_assert_double_le(mn_tensor_item(mn_max(t, v)), 1.5);
    ck_assert_double_ge(-mn_tensor_item(mn_max(t, mn_neg(t, v))), -0.5);
    ck_assert_double_gt(mn_tensor_item(mn_max(t, v)), 1.49);
    end(t);
}
END_TEST

START_TEST(a_view_draws_in_logical_order)
{
    mn_tape *t = begin();
    mn_rng a = mn_rng_make(4, 2), b = a;
    mn_tensor *x = noise(t, MN_F32, 3, SHAPE(3, 4, 5));
    mn_tensor *view = mn_narrow(t, mn_permute(t, x, (int[]){2, 0, 1}), 0, 1, 3);
    ck_assert(!mn_tensor_is_contiguous(view));
    mn_tensor *y = mn_rrelu(t, view, 0.1, 0.9, true, &a);
    mn_tensor *z = mn_rrelu(t, mn_contiguous(t, view), 0.1, 0.9, true, &b);
    assert_equal(y, z);
    assert_equal(mn_rrelu_slopes(t, y), mn_rrelu_slopes(t, z));
    assert_equal(gradient(t, y, view), mn_rrelu_slopes(t, y));
    end(t);
}
END_TEST

/* ---- what it computes ---- */

START_TEST(rrelu_gradient_is_the_cached_slope)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(4, 2);
    mn_tensor *x = noise(t, MN_F64, 2, SHAPE(5, 6));
    for (int training = 0; training < 2; training++) {
        mn_tensor *y = mn_rrelu(t, x, -0.4, 0.3, training, &rng);
        mn_tensor *slopes = mn_rrelu_slopes(t, y);
        assert_equal(y, mn_mul(t, x, slopes));
        assert_equal(gradient(t, y, x), slopes);
    }
    end(t);
}
END_TEST

START_TEST(zero_takes_the_slope_and_nan_passes)
{
    mn_tape *t = begin();
    mn_tensor *x = values(t, 6, VALUES(0, -0.0, NAN, 2, -4, -INFINITY));
    mn_tensor *y = mn_rrelu(t, x, 0.25, 0.25, true, &(mn_rng){0});
    const double *slopes = VALUES(0.25, 0.25, 1, 1, 0.25, 0.25);
    assert_values(y, VALUES(0, 0, NAN, 2, -1, -INFINITY));
    assert_values(mn_rrelu_slopes(t, y), slopes);
    assert_values(gradient(t, y, x), slopes);
    y = mn_rrelu(t, x, 0, 0.5, false, NULL);
    assert_values(y, VALUES(0, 0, NAN, 2, -1, -INFINITY));
    assert_values(mn_rrelu_slopes(t, y), slopes);
    assert_values(gradient(t, y, x), slopes);
    y = mn_rrelu_with(t, x, 0.25, 0.25, true, &(mn_rng){0},
                      &(mn_rrelu_opts){.per_channel = true, .recompute = true});
    assert_values(y, VALUES(0, 0, NAN, 2, -1, -INFINITY));
    assert_values(mn_rrelu_slopes(t, y), slopes);
    end(t);
}
END_TEST

START_TEST(equal_bounds_are_a_leaky_relu)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(4, 2);
    for (int d = MN_F32; d <= MN_F64; d++) {
        mn_tensor *x = noise(t, (mn_dtype)d, 1, SHAPE(37)), *y = mn_leaky_relu(t, x, 0.3);
        assert_equal(mn_rrelu(t, x, 0.3, 0.3, true, &rng), y);
        assert_equal(mn_rrelu(t, x, 0.3, 0.3, false, NULL), y);
    }
    end(t);
}
END_TEST

START_TEST(eval_uses_the_mean_slope_and_draws_nothing)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(4, 2);
    mn_tensor *x = values(t, 2, VALUES(-3, 5));
    double mean = (MN_RRELU_LOWER + MN_RRELU_UPPER) / 2;
    mn_tensor *y = mn_rrelu(t, x, MN_RRELU_LOWER, MN_RRELU_UPPER, false, &rng);
    assert_values(y, VALUES(-3 * mean, 5));
    assert_values(mn_rrelu_slopes(t, y), VALUES(mean, 1));
    mn_tensor *quiet = mn_rrelu(t, mn_detach(t, x), MN_RRELU_LOWER, MN_RRELU_UPPER, false, NULL);
    assert_equal(quiet, y);
    ck_assert_uint_eq(rng.offset, 0);
    end(t);
}
END_TEST

START_TEST(recording_changes_no_bit_of_the_result)
{
    mn_tape *t = begin();
    mn_tensor *x = noise(t, MN_F32, 3, SHAPE(4, 5, 3)), *plain = mn_detach(t, x);
    for (unsigned k = 0; k < 16; k++) {
        mn_rrelu_opts o = {.divisor = k & 1, .per_channel = k & 2, .recompute = k & 4};
        mn_rng a = mn_rng_make(4, 2), b = a;
        mn_tensor *y = mn_rrelu_with(t, x, 3, 8, k & 8, &a, &o);
        ck_assert(mn_tensor_requires_grad(y));
        assert_equal(mn_rrelu_with(t, plain, 3, 8, k & 8, &b, &o), y);
        ck_assert_uint_eq(a.offset, b.offset);
    }
    end(t);
}
END_TEST

/* ---- in place ---- */

START_TEST(in_place_is_exact_for_negative_slopes)
{
    mn_tape *t = begin();
    mn_rng a = mn_rng_make(4, 2), b = a;
    mn_tensor *x = noise(t, MN_F64, 2, SHAPE(6, 7));
    mn_tensor *y = mn_rrelu(t, x, -2, -1, true, &a), *copy = mn_clone(t, x);
    mn_tensor *z = mn_rrelu_(t, copy, -2, -1, true, &b);
    ck_assert_ptr_eq(mn_tensor_data(z), mn_tensor_data(copy));
    assert_equal(z, y);
    assert_equal(mn_rrelu_slopes(t, z), mn_rrelu_slopes(t, y));
    assert_equal(gradient(t, z, x), gradient(t, y, x));
    assert_equal(gradient(t, z, x), mn_rrelu_slopes(t, z));
    REFUSED(mn_neg(t, copy), MN_ERR_STATE, "overwritten by rrelu_; use its result");
    REFUSED(mn_rrelu_(t, x, 0, 1, false, NULL), MN_ERR_STATE, "leaf");
    end(t);
}
END_TEST

START_TEST(in_place_on_a_view_writes_only_the_view)
{
    mn_tape *t = begin();
    mn_rng a = mn_rng_make(4, 2), b = a;
    mn_tensor *x = noise(t, MN_F32, 2, SHAPE(5, 6)), *base = mn_clone(t, mn_detach(t, x));
    mn_tensor *view = mn_transpose(t, mn_narrow(t, base, 1, 2, 3), 0, 1);
    mn_tensor *expected = mn_rrelu(t, mn_clone(t, view), 0.1, 0.9, true, &a);
    mn_tensor *y = mn_rrelu_(t, view, 0.1, 0.9, true, &b);
    ck_assert_ptr_eq(mn_tensor_data(y), mn_tensor_data(view));
    assert_equal(y, expected);
    assert_equal(mn_narrow(t, base, 1, 0, 2), mn_narrow(t, x, 1, 0, 2));
    assert_equal(mn_narrow(t, base, 1, 5, 1), mn_narrow(t, x, 1, 5, 1));
    end(t);
}
END_TEST

/* ---- the other forms ---- */

START_TEST(divisor_form_divides)
{
    mn_tape *t = begin();
    mn_rng rng = mn_rng_make(4, 2), again = rng;
    mn_rrelu_opts o = {.divisor = true};
    mn_tensor *x = tracked(mn_full(t, MN_F64, 1, SHAPE(50), -3));
    mn_tensor *y = mn_rrelu_with(t, x, 3, 8, true, &rng, &o);
    mn_tensor *u = mn_rand(t, MN_F64, 1, SHAPE(50), &again);
    mn_tensor *a = mn_add_scalar(t, mn_mul_scalar(t, u, 5), 3), *one = mn_scalar(t, MN_F64, 1);
    assert_equal(y, mn_div(t, x, a));
    assert_equal(mn_rrelu_slopes(t, y), mn_div(t, one, a));
    mn_tensor *z = mn_rrelu_with(t, values(t, 3, VALUES(-11, 2, NAN)), 3, 8, false, NULL, &o);
    assert_values(z, VALUES(-2, 2, NAN));
    assert_values(mn_rrelu_slopes(t, z), VALUES(1 / 5.5, 1, 1));
    end(t);
}
END_TEST

START_TEST(per_channel_draws_one_slope_for_each_channel)
{
    mn_tape *t = begin();
    mn_rrelu_opts o = {.per_channel = true};
    for (int d = MN_F32; d <= MN_F64; d++) {
        mn_rng rng = mn_rng_make(4, 2), again = rng;
        mn_tensor *x = tracked(mn_full(t, (mn_dtype)d, 3, SHAPE(2, 5, 3), -1));
        mn_tensor *y = mn_rrelu_with(t, x, 0.25, 0.75, true, &rng, &o);
        mn_tensor *u = mn_rand(t, (mn_dtype)d, 2, SHAPE(5, 1), &again);
        mn_tensor *a = mn_add_scalar(t, mn_mul_scalar(t, u, 0.5), 0.25);
        assert_equal(mn_rrelu_slopes(t, y), mn_expand(t, a, 3, SHAPE(2, 5, 3)));
        ck_assert_uint_eq(rng.offset, again.offset);
        assert_equal(gradient(t, y, x), mn_rrelu_slopes(t, y));
    }
    mn_rng rng = mn_rng_make(4, 2), again = rng;
    mn_tensor *row = tracked(mn_full(t, MN_F32, 1, SHAPE(5), -1));
    assert_equal(mn_rrelu_with(t, row, 0.25, 0.75, true, &rng, &o),
                 mn_rrelu(t, row, 0.25, 0.75, true, &again));
    REFUSED(mn_rrelu_with(t, mn_scalar(t, MN_F32, 1), 0, 1, true, &rng, &o), MN_ERR_SHAPE,
            "no channels");
    end(t);
}
END_TEST

START_TEST(recomputed_slopes_are_the_slopes_that_were_used)
{
    mn_tape *t = begin();
    for (unsigned k = 0; k < 16; k++) {
        mn_rrelu_opts o = {.divisor = k & 1, .per_channel = k & 2}, r = o;
        r.recompute = true;
        mn_rng a = mn_rng_make(4, 2), b = a;
        mn_dtype dtype = k & 4 ? MN_F64 : MN_F32;
        mn_tensor *x = noise(t, dtype, 3, SHAPE(4, 5, 3));
        mn_tensor *y = mn_rrelu_with(t, x, 3, 8, k & 8, &a, &o);
        mn_tensor *z = mn_rrelu_with(t, x, 3, 8, k & 8, &b, &r);
        assert_equal(z, y);
        mn_tensor *slopes = mn_rrelu_slopes(t, y);
        assert_equal(mn_rrelu_slopes(t, z), slopes);
        assert_equal(gradient(t, z, x), slopes);
    }
    end(t);
}
END_TEST

/* Bytes that the graph keeps after a forward pass whose result is dropped. */
static size_t kept_bytes(mn_tape *t, const mn_rrelu_opts *opts)
{
    mn_rng rng = mn_rng_make(4, 2);
    mn_tape_reset(t);
    mn_tensor *x = noise(t, MN_F32, 1, SHAPE(65536));
    size_t before = mn_tape_stats(t).live_bytes;
    mn_scope s = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_rrelu_with(t, x, 0.1, 0.9, true, &rng, opts);
    mn_scope_end(t, s, NULL, 0);
    return mn_tape_stats(t).live_bytes - before;
}

START_TEST(recompute_keeps_a_quarter)
{
    mn_tape *t = begin();
    size_t stored = kept_bytes(t, NULL);
    size_t recomputed = kept_bytes(t, &(mn_rrelu_opts){.recompute = true});
    ck_assert_uint_ge(stored, 4 * 65536);
    ck_assert_uint_le(recomputed, stored / 4 + 4096);
    end(t);
}
END_TEST

/* ---- what it refuses ---- */

START_TEST(slopes_are_there_only_while_the_graph_is)
{
    mn_tape *t = begin();
    mn_tensor *x = values(t, 2, VALUES(-3, 5));
    mn_tensor *y = mn_rrelu(t, x, 0.1, 0.3, false, NULL);
    REFUSED(mn_rrelu_slopes(t, mn_relu(t, x)), MN_ERR_ARGUMENT, "a result of relu, not of rrelu");
    REFUSED(mn_rrelu_slopes(t, mn_reshape(t, y, 2, SHAPE(1, 2))), MN_ERR_ARGUMENT, "reshape");
    REFUSED(mn_rrelu_slopes(t, x), MN_ERR_ARGUMENT, "not the result of an rrelu");
    REFUSED(mn_rrelu_slopes(t, MN_NONE), MN_ERR_ARGUMENT, "MN_NONE");
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    REFUSED(mn_rrelu_slopes(t, mn_rrelu(t, x, 0.1, 0.3, false, NULL)), MN_ERR_ARGUMENT,
            "gradients were off");
    mn_scope_end(t, s, NULL, 0);
    mn_tensor *slopes = mn_rrelu_slopes(t, y);
    ck_assert_int_eq(mn_backward(t, mn_sum(t, y)), MN_OK);
    assert_values(slopes, VALUES((0.1 + 0.3) / 2, 1)); /* read before: still there */
    REFUSED(mn_rrelu_slopes(t, y), MN_ERR_STATE, "freed by a backward pass");
    end(t);
}
END_TEST

START_TEST(bounds_are_refused_with_their_values)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F32, 1, SHAPE(2));
    mn_rng rng = {0};
    mn_rrelu_opts divisor = {.divisor = true};
    REFUSED(mn_rrelu(t, x, 0.5, 0.1, true, &rng), MN_ERR_ARGUMENT,
            "rrelu: lower 0.5 is larger than upper 0.1");
    REFUSED(mn_rrelu(t, x, NAN, 0.1, false, NULL), MN_ERR_ARGUMENT, "lower is nan, upper 0.1");
    REFUSED(mn_rrelu_(t, x, 0, INFINITY, true, &rng), MN_ERR_ARGUMENT, "lower is 0, upper inf");
    REFUSED(mn_rrelu_with(t, x, 0, 8, true, &rng, &divisor), MN_ERR_ARGUMENT, "lower 0 must be");
    REFUSED(mn_rrelu_with(t, x, -3, 8, false, NULL, &divisor), MN_ERR_ARGUMENT, "lower -3 must be");
    REFUSED(mn_rrelu(t, x, 0, 1, true, NULL), MN_ERR_ARGUMENT, "rng is NULL");
    REFUSED(mn_rrelu(t, mn_ones(t, MN_I64, 1, SHAPE(2)), 0, 1, true, &rng), MN_ERR_DTYPE, "i64");
    REFUSED(mn_rrelu(t, MN_NONE, 0, 1, true, &rng), MN_ERR_ARGUMENT, "MN_NONE");
    ck_assert_uint_eq(rng.offset, 0);
    assert_values(mn_to(t, x, MN_F64), VALUES(1, 1));
    end(t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        element_i_takes_draw_i_whatever_the_signs,
        rewinding_the_generator_reproduces_the_slopes,
        slopes_fill_the_interval_evenly,
        a_view_draws_in_logical_order,
        rrelu_gradient_is_the_cached_slope,
        zero_takes_the_slope_and_nan_passes,
        equal_bounds_are_a_leaky_relu,
        eval_uses_the_mean_slope_and_draws_nothing,
        recording_changes_no_bit_of_the_result,
        in_place_is_exact_for_negative_slopes,
        in_place_on_a_view_writes_only_the_view,
        divisor_form_divides,
        per_channel_draws_one_slope_for_each_channel,
        recomputed_slopes_are_the_slopes_that_were_used,
        recompute_keeps_a_quarter,
        slopes_are_there_only_while_the_graph_is,
        bounds_are_refused_with_their_values,
    };
    return run_suite("rrelu", tests, sizeof tests / sizeof *tests);
}
