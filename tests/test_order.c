/*
 * tests/test_order.c: what the rows of order and index ops cannot say: sorting at every length and
 * with many ties, the same bits for any number of threads, large indices, gradients that add up in a
 * leaf, an index that changes, memory.
 */
#include "support.h"

#include <math.h>
#include <minnow/ops.h>
#include <string.h>

#define LIST(...)                                                                                  \
    (int64_t[])                                                                                    \
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

static double at(const mn_tensor *x, int64_t i)
{
    return mn_tensor_get(x, &i);
}

/* n whole numbers from 0 to high - 1, as i64. */
static mn_tensor *draw(mn_tape *t, int ndim, const int64_t *shape, int64_t high, uint64_t seed)
{
    mn_tensor *u = mn_rand(t, MN_F64, ndim, shape, &(mn_rng){.seed = seed});
    return mn_to(t, mn_mul_scalar(t, u, (double)high), MN_I64);
}

/* ---- sorting ---- */

static bool before(double a, double b, bool descending)
{
    if (isnan(a) || isnan(b)) return !(isnan(a) && isnan(b)) && (descending ? isnan(a) : isnan(b));
    return descending ? a > b : a < b;
}

/* y and index are the first k of x, sorted: each position once, equal elements in their order, and
 * nothing that was left out comes before the last one. */
static void assert_sorted(const mn_tensor *x, const mn_tensor *y, const mn_tensor *index, int64_t k,
                          bool descending)
{
    const int64_t n = mn_tensor_numel(x);
    bool *taken = calloc((size_t)n + 1, 1);
    for (int64_t i = 0; i < k; i++) {
        const int64_t from = mn_tensor_get_i64(index, &i);
        ck_assert(from >= 0 && from < n && !taken[from]);
        taken[from] = true;
        ck_assert(at(y, i) == at(x, from) || (isnan(at(y, i)) && isnan(at(x, from))));
        if (i == 0) continue;
        const int64_t last = mn_tensor_get_i64(index, &(int64_t){i - 1});
        ck_assert(!before(at(x, from), at(x, last), descending));
        ck_assert(before(at(x, last), at(x, from), descending) || last < from);
    }
    for (int64_t i = 0; k > 0 && i < n; i++) {
        const int64_t last = mn_tensor_get_i64(index, &(int64_t){k - 1});
        if (taken[i]) continue;
        ck_assert(!before(at(x, i), at(x, last), descending));
        ck_assert(before(at(x, last), at(x, i), descending) || last < i);
    }
    free(taken);
}

START_TEST(every_length_and_type_is_sorted_and_stable)
{
    const mn_dtype dtype = (mn_dtype)_i;
    for (int64_t n = 0; n < 700; n += n < 60 ? 1 : 71) {
        mn_tape *t = begin();
        /* few numbers, so that there are ties; and some that differ in every byte */
        mn_tensor *few = draw(t, 1, &n, 7, (uint64_t)n);
        mn_tensor *x = n % 2 ? few : mn_sub_scalar(t, draw(t, 1, &n, 1 << 30, 1), 1 << 29);
        if (dtype == MN_I64 && n % 2 == 0) x = mn_mul_scalar(t, x, 1 << 30);
        x = mn_clone(t, mn_to(t, x, dtype));
        if (dtype <= MN_F64) x = mn_mul_scalar(t, x, 1e-3);
        if (dtype <= MN_F64 && n > 4) {
            mn_tensor_set(x, &(int64_t){n / 2}, NAN);
            mn_tensor_set(x, &(int64_t){1}, NAN);
            mn_tensor_set(x, &(int64_t){n - 1}, -INFINITY);
            mn_tensor_set(x, &(int64_t){2}, -0.0);
        }
        for (int descending = 0; descending < 2; descending++) {
            mn_tensor *index, *y = mn_sort(t, x, 0, descending, &index);
            assert_sorted(x, y, index, n, descending);
            const int64_t ks[] = {0, n > 0, n / 20, n / 3, n - (n > 0)};
            for (int i = 0; i < 5; i++) {
                y = mn_topk(t, x, ks[i], 0, descending, &index);
                assert_sorted(x, y, index, ks[i], descending);
            }
        }
        end(t);
    }
}
END_TEST

START_TEST(a_range_in_the_worst_order_for_topk)
{
    /* Each element is better than all before it. */
    mn_tape *t = begin();
    const int64_t n = 5000;
    mn_tensor *x = mn_empty(t, MN_F32, 1, &n), *index;
    float *v = mn_tensor_mutable_data(x);
    for (int64_t i = 0; i < n; i++) v[i] = (float)i;
    mn_tensor *y = mn_topk(t, x, 17, 0, true, &index);
    for (int64_t i = 0; i < 17; i++) ck_assert(at(y, i) == (double)(n - 1 - i));
    assert_sorted(x, y, index, 17, true);
    end(t);
}
END_TEST

START_TEST(indices_may_be_left_out_and_are_null_after_an_error)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_rand(t, MN_F32, 2, LIST(3, 4), &(mn_rng){.seed = 1}), *index;
    ck_assert_ptr_nonnull(mn_sort(t, x, 1, false, NULL));
    ck_assert_ptr_nonnull(mn_topk(t, x, 2, 1, false, NULL));
    ck_assert_ptr_nonnull(mn_min_dim(t, x, 1, false, NULL));
    index = x;
    ck_assert_ptr_null(mn_topk(t, x, 5, 1, true, &index));
    ck_assert_ptr_null(index);
    mn_tape_clear_error(t);
    index = x;
    ck_assert_ptr_null(mn_sort(t, x, 2, true, &index));
    ck_assert_ptr_null(index);
    mn_tape_clear_error(t);
    index = x;
    ck_assert_ptr_null(mn_min_dim(t, mn_zeros(t, MN_F32, 2, LIST(2, 0)), 1, true, &index));
    ck_assert_ptr_null(index);
    mn_tape_clear_error(t);
    mn_clear_last_error();
    end(t);
}
END_TEST

/* ---- threads ---- */

/* A large result of each op that cuts its work, from x [300, 400]; positions repeat. */
static mn_tensor *run(mn_tape *t, int which, mn_tensor *x)
{
    mn_tensor *rows = draw(t, 1, LIST(300), 300, 5), *index;
    mn_tensor *inside = draw(t, 2, LIST(300, 400), 300, 6);
    switch (which) {
    case 0:
        return mn_sort(t, x, 0, false, NULL);
    case 1:
        return mn_topk(t, x, 100, 1, true, NULL);
    case 2:
        return mn_max_dim(t, x, 0, false, NULL);
    case 3:
        mn_sort(t, x, 1, true, &index);
        return mn_take_along_dim(t, x, index, 1);
    case 4:
        return mn_gather(t, x, 0, inside);
    case 5:
        return mn_gather(t, x, 1, inside);
    case 6:
        return mn_index_select(t, x, 0, rows);
    case 7:
        return mn_embedding(t, inside, x, NULL);
    case 8:
        return mn_scatter_add(t, x, 0, inside, mn_exp(t, x));
    case 9:
        return mn_scatter_add(t, x, 1, inside, mn_exp(t, x));
    case 10:
        return mn_index_add(t, x, 0, rows, mn_exp(t, x));
    case 11:
        return mn_scatter(t, x, 0, inside, mn_exp(t, x));
    default:
        return mn_masked_select(t, x, mn_gt_scalar(t, x, 0.5));
    }
}

enum { RUNS = 13 };

static void results(int threads, int which, mn_tensor **out)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    mn_tensor *x = mn_rand(t, MN_F32, 2, LIST(300, 400), &(mn_rng){.seed = 3});
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    mn_tensor *y = run(t, which, x);
    ck_assert_msg(mn_backward(t, mn_sum(t, mn_mul(t, y, y))) == MN_OK, "%s", mn_tape_message(t));
    out[0] = mn_retain(mn_detach(t, y));
    out[1] = mn_retain(mn_tensor_grad(x));
    mn_tape_free(t);
}

START_TEST(the_same_bits_for_any_number_of_threads)
{
    mn_tensor *one[2], *four[2];
    results(1, _i, one);
    results(4, _i, four);
    for (int i = 0; i < 2; i++) {
        ck_assert(mn_tensor_is_contiguous(one[i]) && mn_tensor_same_shape(one[i], four[i]));
        ck_assert_mem_eq(mn_tensor_data(one[i]), mn_tensor_data(four[i]),
                         (size_t)mn_tensor_numel(one[i]) * sizeof(float));
        mn_release(one[i]);
        mn_release(four[i]);
    }
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

START_TEST(a_large_index_is_followed_and_its_bad_position_found)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = 3});
    const int64_t shape[] = {700, 100};
    mn_tensor *x = mn_rand(t, MN_F64, 2, shape, &(mn_rng){.seed = 3});
    mn_tensor *index = draw(t, 2, shape, 100, 4), *y = mn_gather(t, x, 1, index);
    for (int64_t i = 0; i < 700; i++)
        for (int64_t j = 0; j < 100; j++) {
            const int64_t from = mn_tensor_get_i64(index, LIST(i, j));
            ck_assert(mn_tensor_get(y, LIST(i, j)) == mn_tensor_get(x, LIST(i, from)));
        }
    mn_tensor *twos = mn_mul_scalar(t, mn_ones_like(t, x), 2);
    mn_tensor *sums = mn_sum_dim(t, mn_scatter_add(t, x, 1, index, twos), (int[]){1}, 1, false);
    mn_tensor *plain = mn_sum_dim(t, x, (int[]){1}, 1, false);
    for (int64_t i = 0; i < 700; i++)
        ck_assert_double_eq_tol(at(sums, i), at(plain, i) + 200, 1e-9);
    mn_tensor_set_i64(index, LIST(411, 7), 100);
    mn_tensor_set_i64(index, LIST(650, 0), -1);
    ck_assert_ptr_null(mn_scatter_add(t, x, 1, index, twos));
    ck_assert_msg(strstr(mn_tape_message(t), "index [411, 7] is 100, but dimension 1 has size 100"),
                  "%s", mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
    end(t);
}
END_TEST

/* ---- gradients ---- */

START_TEST(rows_that_repeat_add_up_also_over_two_passes)
{
    mn_tape *t = begin();
    mn_tensor *w = mn_tensor_ones(MN_F32, 2, LIST(5, 3));
    ck_assert_int_eq(mn_tensor_set_requires_grad(w, true), MN_OK);
    const int64_t which[] = {4, 1, 4, 4, 0, 1};
    const double once[] = {1, 2, 0, 0, 3};
    const mn_embedding_opts opts = {.has_padding_idx = true, .padding_idx = -1};
    for (int pass = 1; pass <= 2; pass++) {
        mn_tensor *index = mn_from(t, MN_I64, 2, LIST(2, 3), which);
        mn_tensor *y = mn_embedding(t, index, w, &opts);
        ck_assert_int_eq(mn_tensor_ndim(y), 3);
        ck_assert_int_eq(mn_backward(t, mn_sum(t, y)), MN_OK);
        for (int64_t i = 0; i < 5; i++)
            for (int64_t j = 0; j < 3; j++)
                ck_assert(mn_tensor_get(mn_tensor_grad(w), LIST(i, j)) ==
                          (i == 4 ? 0 : pass * once[i]));
        mn_tape_reset(t);
    }
    mn_release(w);
    end(t);
}
END_TEST

/* What reaches a padded row in the loss's gradient is nothing, so nothing comes back from there. */
START_TEST(a_padded_row_is_left_out_of_second_derivatives_too)
{
    mn_tape *t = begin();
    mn_tensor *w = mn_ones(t, MN_F64, 2, LIST(2, 1)), *z = mn_ones(t, MN_F64, 2, LIST(3, 1)), *g;
    mn_tensor_set_requires_grad(w, true);
    mn_tensor_set_requires_grad(z, true);
    mn_tensor *index = mn_from(t, MN_I64, 1, LIST(3), LIST(0, 1, 0));
    const mn_embedding_opts opts = {.has_padding_idx = true, .padding_idx = 1};
    mn_tensor *y = mn_sum(t, mn_mul(t, mn_embedding(t, index, w, &opts), z));
    mn_grad(t, &y, 1, &w, 1, &g, &(mn_grad_opts){.create_graph = true});
    ck_assert_int_eq(mn_backward(t, mn_sum(t, g)), MN_OK);
    const double expected[] = {1, 0, 1};
    for (int64_t i = 0; i < 3; i++)
        ck_assert(mn_tensor_get(mn_tensor_grad(z), LIST(i, 0)) == expected[i]);
    end(t);
}
END_TEST

/* PyTorch refuses to differentiate this. */
START_TEST(what_a_source_has_beyond_the_index_has_no_gradient)
{
    mn_tape *t = begin();
    for (int add = 0; add < 2; add++) {
        mn_tensor *x = mn_ones(t, MN_F64, 2, LIST(3, 4)), *src = mn_ones(t, MN_F64, 2, LIST(2, 3));
        mn_tensor_set_requires_grad(x, true);
        mn_tensor_set_requires_grad(src, true);
        mn_tensor *index = mn_from(t, MN_I64, 2, LIST(1, 2), LIST(3, 0));
        mn_tensor *y = (add ? mn_scatter_add : mn_scatter)(t, x, 1, index, src);
        ck_assert_int_eq(mn_backward(t, mn_sum(t, y)), MN_OK);
        for (int64_t i = 0; i < 2; i++)
            for (int64_t j = 0; j < 3; j++)
                ck_assert(mn_tensor_get(mn_tensor_grad(src), LIST(i, j)) == (i == 0 && j < 2));
    }
    end(t);
}
END_TEST

START_TEST(an_index_that_changes_before_the_gradient_is_reported)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_ones(t, MN_F64, 1, LIST(4));
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *index = mn_from(t, MN_I64, 1, LIST(2), LIST(3, 0));
    mn_tensor *y = mn_sum(t, mn_gather(t, x, 0, index));
    mn_tensor_set_i64(index, LIST(0), 1 << 20);
    ck_assert_int_eq(mn_backward(t, y), MN_ERR_STATE);
    ck_assert_msg(strstr(mn_tape_message(t), "overwritten"), "%s", mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
    end(t);
}
END_TEST

/* ---- memory ---- */

START_TEST(a_steady_step_allocates_nothing)
{
    int64_t left = INT64_MAX;
    mn_allocator counting = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&counting), MN_OK);
    mn_tape *t = begin();
    mn_tensor *x = mn_tensor_ones(MN_F32, 2, LIST(300, 400));
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    for (int step = 0; step < 6; step++) {
        if (step == 3) left = 0;
        for (int which = 0; which < RUNS; which++) {
            mn_tensor *y = run(t, which, x);
            ck_assert_msg(mn_backward(t, mn_sum(t, y)) == MN_OK, "%s", mn_tape_message(t));
            mn_tape_reset(t);
        }
    }
    mn_release(x);
    end(t);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}
END_TEST

START_TEST(scratch_is_given_back_at_once)
{
    mn_tape *t = begin();
    mn_tensor *x = mn_rand(t, MN_F32, 1, LIST(100000), &(mn_rng){.seed = 1});
    const size_t before_it = mn_tape_stats(t).live_bytes;
    mn_sort(t, x, 0, false, NULL);
    ck_assert_uint_le(mn_tape_stats(t).live_bytes - before_it, 100000 * (4 + 8) * 5 / 4);
    end(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("order");
    TCase *tc = tcase_create("order");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_length_and_type_is_sorted_and_stable, MN_F32, MN_BOOL + 1);
    tcase_add_test(tc, a_range_in_the_worst_order_for_topk);
    tcase_add_test(tc, indices_may_be_left_out_and_are_null_after_an_error);
    tcase_add_loop_test(tc, the_same_bits_for_any_number_of_threads, 0, RUNS);
    tcase_add_test(tc, a_large_index_is_followed_and_its_bad_position_found);
    tcase_add_test(tc, rows_that_repeat_add_up_also_over_two_passes);
    tcase_add_test(tc, a_padded_row_is_left_out_of_second_derivatives_too);
    tcase_add_test(tc, what_a_source_has_beyond_the_index_has_no_gradient);
    tcase_add_test(tc, an_index_that_changes_before_the_gradient_is_reported);
    tcase_add_test(tc, a_steady_step_allocates_nothing);
    tcase_add_test(tc, scratch_is_given_back_at_once);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
