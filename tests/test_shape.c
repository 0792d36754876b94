/*
 * tests/test_shape.c: what the rows of shape ops cannot say: which results are views, splits of many
 * parts and what they do to in-place ops, arguments that are absent or extreme, the same bits for any
 * number of threads.
 */
#include "support.h"

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

/* 0, 1, 2, ... */
static mn_tensor *counting(mn_tape *t, int ndim, const int64_t *shape)
{
    double values[256];
    for (int i = 0; i < 256; i++) values[i] = i;
    return mn_from(t, MN_F64, ndim, shape, values);
}

static mn_tensor *leaf(mn_tape *t, int ndim, const int64_t *shape)
{
    mn_tensor *x = counting(t, ndim, shape);
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

#define REFUSED(result, code, text)                                                                \
    do {                                                                                           \
        ck_assert(!(result));                                                                      \
        ck_assert_msg(mn_tape_error(t) == (code) && strstr(mn_tape_message(t), text), "%d: %s",    \
                      mn_tape_error(t), mn_tape_message(t));                                       \
        mn_tape_clear_error(t);                                                                    \
    } while (0)

static double at(const mn_tensor *x, int64_t i)
{
    return mn_tensor_get(x, &i);
}

/* ---- views ---- */

START_TEST(views_share_storage)
{
    mn_tape *t = begin();
    mn_tensor *x = counting(t, 3, LIST(2, 1, 6)), *parts[3];
    const double *first = mn_tensor_data(x);
    ck_assert_ptr_eq(mn_tensor_data(mn_view(t, x, 2, LIST(4, 3))), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_view_as(t, x, mn_zeros(t, MN_U8, 1, LIST(12)))), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_unflatten(t, x, 2, 2, LIST(3, 2))), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_squeeze(t, x)), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_squeeze_dim(t, x, 1)), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_unsqueeze(t, x, 3)), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_movedim(t, x, 0, 2)), first);
    ck_assert_ptr_eq(mn_tensor_data(mn_expand_as(t, x, mn_zeros(t, MN_F64, 3, LIST(2, 5, 6)))),
                     first);
    ck_assert_ptr_eq(mn_tensor_data(mn_select(t, x, 0, -1)), first + 6);
    ck_assert_ptr_eq(mn_tensor_data(mn_slice(t, x, 2, 1, INT64_MAX, 2)), first + 1);
    ck_assert_ptr_eq(mn_tensor_data(mn_unfold_dim(t, x, 2, 3, 1)), first);
    ck_assert_int_eq(mn_split(t, x, 4, 2, parts, 3), 2);
    ck_assert_ptr_eq(mn_tensor_data(parts[1]), first + 4);
    ck_assert_ptr_null(parts[2]);
    ck_assert_ptr_ne(mn_tensor_data(mn_repeat(t, x, 3, LIST(1, 1, 1))), first);
    ck_assert_ptr_ne(mn_tensor_data(mn_flip(t, x, NULL, 0)), first);
    ck_assert_ptr_ne(mn_tensor_data(mn_pad(t, x, NULL, 0, MN_PAD_CONSTANT, 0)), first);
    end(t);
}
END_TEST

START_TEST(bounds_may_be_as_large_as_they_like)
{
    mn_tape *t = begin();
    mn_tensor *x = counting(t, 1, LIST(5));
    ck_assert_int_eq(mn_tensor_numel(mn_slice(t, x, 0, INT64_MIN, INT64_MAX, 1)), 5);
    ck_assert_int_eq(mn_tensor_numel(mn_slice(t, x, 0, INT64_MAX, INT64_MIN, 1)), 0);
    ck_assert_int_eq(mn_tensor_numel(mn_slice(t, x, 0, 1, INT64_MAX, INT64_MAX)), 1);
    ck_assert_int_eq(mn_tensor_size(mn_unfold_dim(t, x, 0, 2, INT64_MAX), 0), 1);
    mn_tensor *y = mn_roll(t, x, LIST(INT64_MIN, INT64_MAX), (int[]){0, 0}, 2);
    ck_assert_double_eq(at(y, 0), 1); /* -1 in all */
    REFUSED(mn_select(t, x, 0, INT64_MIN), MN_ERR_ARGUMENT, "is outside dimension 0 of [5]");
    REFUSED(mn_unfold_dim(t, x, 0, INT64_MAX, 1), MN_ERR_ARGUMENT, "no windows");
    REFUSED(mn_pad(t, x, LIST(INT64_MIN, INT64_MAX), 2, MN_PAD_CONSTANT, 0), MN_ERR_SHAPE,
            "do not fit dimension 0 of [5]");
    REFUSED(mn_pad(t, x, LIST(0, INT64_MAX / 4), 2, MN_PAD_CONSTANT, 0), MN_ERR_ARGUMENT,
            "too many elements");
    const mn_unfold_opts o = {.padding = {INT64_MAX, 0}};
    REFUSED(mn_unfold(t, mn_reshape(t, x, 3, LIST(1, 1, 5)), 1, 1, &o), MN_ERR_ARGUMENT,
            "padding [9223372036854775807, 0]");
    end(t);
}
END_TEST

START_TEST(absent_lists_are_refused)
{
    mn_tape *t = begin();
    mn_tensor *x = counting(t, 2, LIST(2, 3)), *parts[2] = {x, x};
    REFUSED(mn_view(t, x, 2, NULL), MN_ERR_ARGUMENT, "2 dimensions");
    REFUSED(mn_unflatten(t, x, 0, 2, NULL), MN_ERR_ARGUMENT, "0 sizes");
    REFUSED(mn_stack(t, NULL, 2, 0), MN_ERR_ARGUMENT, "0 tensors");
    REFUSED(mn_stack(t, parts, 0, 0), MN_ERR_ARGUMENT, "0 tensors");
    REFUSED(mn_repeat(t, x, 2, NULL), MN_ERR_ARGUMENT, "0 repeats");
    REFUSED(mn_flip(t, x, NULL, 1), MN_ERR_ARGUMENT, "dims is NULL");
    REFUSED(mn_flip(t, x, NULL, -1), MN_ERR_ARGUMENT, "-1 dimensions");
    REFUSED(mn_roll(t, x, NULL, (int[]){0}, 1), MN_ERR_ARGUMENT, "shifts is NULL");
    REFUSED(mn_roll(t, x, LIST(1, 2), NULL, 2), MN_ERR_ARGUMENT, "2 shifts, and dims is NULL");
    REFUSED(mn_pad(t, x, NULL, 2, MN_PAD_CONSTANT, 0), MN_ERR_ARGUMENT, "0 pads");
    REFUSED(mn_split(t, x, 1, 0, NULL, 2), MN_ERR_ARGUMENT, "no place for 2 parts");
    REFUSED(mn_chunk(t, x, -1, 0, parts), MN_ERR_ARGUMENT, "-1 parts");
    REFUSED(mn_split_sizes(t, x, NULL, 2, 0, parts), MN_ERR_ARGUMENT, "the sizes NULL");
    ck_assert_ptr_null(parts[0]);
    ck_assert_ptr_null(parts[1]);
    end(t);
}
END_TEST

/* ---- several outputs ---- */

enum { MANY = 40 };

START_TEST(a_split_is_one_node_and_unused_parts_have_no_gradient)
{
    mn_tape *t = begin();
    mn_tensor *x = leaf(t, 2, LIST(MANY, 2)), *parts[MANY + 1];
    mn_tensor *y = mn_mul_scalar(t, x, 2);
    int64_t before = mn_tape_stats(t).nodes;
    ck_assert_int_eq(mn_split(t, y, 1, 0, parts, MANY + 1), MANY);
    ck_assert_int_eq(mn_tape_stats(t).nodes, before + 1);
    ck_assert_ptr_null(parts[MANY]);
    mn_tensor *used = mn_add(t, mn_mul(t, parts[3], parts[3]), parts[MANY - 1]);
    ck_assert_int_eq(mn_backward(t, mn_sum(t, used)), MN_OK);
    for (int64_t i = 0; i < MANY; i++) {
        double g = mn_tensor_get(mn_tensor_grad(x), LIST(i, 1));
        ck_assert_double_eq(g, i == 3 ? 2 * 2 * 2 * 7 : i == MANY - 1 ? 2 : 0);
    }
    end(t);
}
END_TEST

START_TEST(a_part_that_is_overwritten_takes_the_others_with_it)
{
    mn_tape *t = begin();
    mn_tensor *x = leaf(t, 1, LIST(4)), *parts[2];
    mn_tensor *y = mn_sub_scalar(t, x, 2); /* -2 -1 0 1 */
    ck_assert_int_eq(mn_chunk(t, y, 2, 0, parts), 2);
    mn_tensor *z = mn_leaky_relu_(t, parts[0], 0.5);
    ck_assert_double_eq(at(z, 0), -1);
    ck_assert_double_eq(at(y, 0), -1); /* y looks at the same memory */
    REFUSED(mn_neg(t, parts[0]), MN_ERR_STATE, "was overwritten by leaky_relu_");
    REFUSED(mn_neg(t, parts[1]), MN_ERR_STATE, "was overwritten by leaky_relu_");
    REFUSED(mn_neg(t, y), MN_ERR_STATE, "was overwritten by leaky_relu_");
    ck_assert_int_eq(mn_backward(t, mn_sum(t, z)), MN_OK);
    ck_assert_double_eq(at(mn_tensor_grad(x), 1), 0.5);
    ck_assert_double_eq(at(mn_tensor_grad(x), 3), 0);
    mn_tape_reset(t);

    x = leaf(t, 1, LIST(4));
    ck_assert_int_eq(mn_split(t, x, 2, 0, parts, 2), 2);
    REFUSED(mn_relu_(t, parts[1]), MN_ERR_STATE, "a leaf that requires grad");
    mn_tensor *windows = mn_unfold_dim(t, counting(t, 1, LIST(4)), 0, 2, 1);
    REFUSED(mn_relu_(t, windows), MN_ERR_ARGUMENT, "share an address");
    end(t);
}
END_TEST

START_TEST(a_failed_split_leaves_nothing)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.max_bytes = 1 << 20});
    mn_tensor *x = counting(t, 1, LIST(4)), *parts[4] = {x, x, x, x};
    REFUSED(mn_split(t, x, 1, 0, parts, 3), MN_ERR_ARGUMENT, "has 4 parts of size 1");
    for (int i = 0; i < 3; i++) ck_assert_ptr_null(parts[i]);
    ck_assert_ptr_eq(parts[3], x); /* there was no room: it is not ours */
    ck_assert_int_eq(mn_chunk(NULL, x, 4, 0, parts), 0);
    ck_assert_ptr_null(parts[3]);
    end(t);
}
END_TEST

/* ---- gradients of slices ---- */

/* Many slices of one parameter, with and without another use of it, add up in its gradient. */
START_TEST(slices_of_a_parameter_add_up)
{
    mn_tape *t = begin();
    mn_tensor *w = mn_parameter(MN_F64, 2, LIST(3, 4));
    ck_assert_int_eq(mn_tensor_fill(w, 1), MN_OK);
    for (int other = 0; other < 2; other++) {
        mn_tensor *sum = mn_sum(t, other ? mn_mul_scalar(t, w, 10) : mn_narrow(t, w, 0, 0, 0));
        for (int64_t i = 0; i < 4; i++) {
            sum = mn_add(t, sum, mn_sum(t, mn_select(t, w, 1, i)));
            sum = mn_add(t, sum, mn_sum(t, mn_slice(t, w, 1, i, 4, 2)));
        }
        mn_tensor_zero_grad(w);
        ck_assert_int_eq(mn_backward(t, sum), MN_OK);
        for (int64_t j = 0; j < 4; j++)
            ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(w), LIST(2, j)),
                                (double)(1 + j / 2 + 1 + 10 * other));
        mn_tape_reset(t);
    }
    mn_release(w);
    end(t);
}
END_TEST

/* ---- threads ---- */

/* Ops that add or copy block by block, and their gradients, on one thread and on four. */
static mn_tensor *run(mn_tape *t, int which, mn_tensor *x)
{
    const mn_unfold_opts o = {.padding = {1, 1}};
    switch (which) {
    case 0:
        return mn_unfold_dim(t, x, 3, 3, 1);
    case 1:
        return mn_unfold(t, x, 3, 3, &o);
    case 2:
        return mn_pad(t, x, LIST(3, 2, 1, 4), 4, MN_PAD_REFLECT, 0);
    case 3:
        return mn_pad(t, x, LIST(3, 2, 1, 4), 4, MN_PAD_REPLICATE, 0);
    case 4:
        return mn_repeat(t, x, 4, LIST(2, 1, 3, 2));
    default:
        return mn_roll(t, mn_flip(t, x, (int[]){0, 3}, 2), LIST(7, 2), (int[]){3, 1}, 2);
    }
}

static mn_tensor *gradient_on(int threads, int which)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    mn_tensor *x = mn_rand(t, MN_F32, 4, LIST(2, 3, 80, 90), &(mn_rng){.seed = 3});
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    mn_tensor *y = run(t, which, x);
    ck_assert_int_eq(mn_backward(t, mn_sum(t, mn_mul(t, y, mn_mul(t, y, y)))), MN_OK);
    mn_tensor *g = mn_retain(mn_tensor_grad(x));
    mn_tape_free(t);
    return g;
}

START_TEST(the_same_bits_for_any_number_of_threads)
{
    mn_tensor *one = gradient_on(1, _i), *four = gradient_on(4, _i);
    ck_assert(mn_tensor_is_contiguous(one) && mn_tensor_is_contiguous(four));
    ck_assert_mem_eq(mn_tensor_data(one), mn_tensor_data(four),
                     (size_t)mn_tensor_numel(one) * sizeof(float));
    mn_release(one);
    mn_release(four);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shape");
    TCase *tc = tcase_create("shape");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, views_share_storage);
    tcase_add_test(tc, bounds_may_be_as_large_as_they_like);
    tcase_add_test(tc, absent_lists_are_refused);
    tcase_add_test(tc, a_split_is_one_node_and_unused_parts_have_no_gradient);
    tcase_add_test(tc, a_part_that_is_overwritten_takes_the_others_with_it);
    tcase_add_test(tc, a_failed_split_leaves_nothing);
    tcase_add_test(tc, slices_of_a_parameter_add_up);
    tcase_add_loop_test(tc, the_same_bits_for_any_number_of_threads, 0, 6);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
