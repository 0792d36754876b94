/*
 * tests/test_attention.c: what the cases of attention cannot say: that heads that are views need no
 * copies, and that any number of threads gives the same bits.
 */
#include "support.h"

#include <minnow/ops.h>
#include <string.h>

enum { BATCH = 3, LENGTH = 70, HEADS = 6, WIDTH = 20 };

/* Query, key and value of all heads, side by side in the rows of x [BATCH, LENGTH, 3 HEADS WIDTH]. */
static mn_tensor *attend(mn_tape *t, mn_tensor *x, const mn_attention_opts *opts)
{
    mn_tensor *part[3] = {0},
              *mask = mn_ge_scalar(t, mn_select(t, mn_select(t, x, 0, 0), 1, 0), -1);
    mn_chunk(t, x, 3, -1, part);
    for (int i = 0; i < 3; i++) {
        part[i] = mn_unflatten(t, part[i], -1, 2, (int64_t[]){HEADS, WIDTH});
        part[i] = mn_transpose(t, part[i], 1, 2);
    }
    return mn_scaled_dot_product_attention(t, part[0], part[1], part[2], mask, opts);
}

static mn_tensor *drawn(void)
{
    const int64_t shape[] = {BATCH, LENGTH, 3 * HEADS * WIDTH};
    mn_tensor *x = mn_tensor_empty(MN_F32, 3, shape);
    ck_assert_int_eq(mn_tensor_uniform(x, -2, 2, &(mn_rng){.seed = 3}), MN_OK);
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

START_TEST(the_result_lies_in_memory_as_the_query)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = drawn(), *y = attend(t, x, NULL);
    ck_assert_msg(y != NULL, "%s", mn_tape_message(t));
    const int64_t shape[] = {BATCH, HEADS, LENGTH, WIDTH};
    const int64_t strides[] = {LENGTH * HEADS * WIDTH, WIDTH, HEADS * WIDTH, 1};
    for (int d = 0; d < 4; d++) {
        ck_assert_int_eq(mn_tensor_size(y, d), shape[d]);
        ck_assert_int_eq(mn_tensor_stride(y, d), strides[d]);
    }
    mn_tensor *plain = mn_clone(t, y);
    y = mn_scaled_dot_product_attention(t, plain, plain, plain, MN_NONE, NULL);
    ck_assert(mn_tensor_is_contiguous(y));
    mn_tape_free(t);
    mn_release(x);
}
END_TEST

/* The result and the gradient, one behind the other. */
static void compute(int threads, mn_tensor *x, float *to)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    mn_rng rng = mn_rng_make(1, 2);
    mn_tensor *g = NULL,
              *y = attend(t, x,
                          &(mn_attention_opts){.dropout_p = 0.2, .rng = &rng, .is_causal = true});
    mn_tensor *loss = mn_sum(t, mn_square(t, y));
    ck_assert_msg(mn_grad(t, &loss, 1, &x, 1, &g, NULL) == MN_OK, "%s", mn_tape_message(t));
    y = mn_contiguous(t, y);
    memcpy(to, mn_tensor_data(y), (size_t)mn_tensor_numel(y) * sizeof *to);
    memcpy(to + mn_tensor_numel(y), mn_tensor_data(g), (size_t)mn_tensor_numel(g) * sizeof *to);
    mn_tape_free(t);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    mn_tensor *x = drawn();
    const size_t n = (size_t)mn_tensor_numel(x) / 3 * 4 * sizeof(float);
    float *want = malloc(n), *got = malloc(n);
    compute(1, x, want);
    for (int threads = 2; threads <= 4; threads++) {
        compute(threads, x, got);
        ck_assert_mem_eq(got, want, n);
    }
    free(want);
    free(got);
    mn_release(x);
}
END_TEST

START_TEST(dropout_without_a_generator_is_refused)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_ones(t, MN_F32, 2, (int64_t[]){2, 3}), *weights = x;
    const mn_attention_opts opts = {.dropout_p = 0.5, .weights = &weights};
    ck_assert_ptr_null(mn_scaled_dot_product_attention(t, x, x, x, MN_NONE, &opts));
    ck_assert_ptr_null(weights);
    ck_assert_str_eq(mn_tape_message(t),
                     "scaled_dot_product_attention: rng is NULL, but dropout_p is 0.5");
    mn_tape_free(t);
    mn_clear_last_error();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_result_lies_in_memory_as_the_query,
        any_number_of_threads_gives_the_same_bits,
        dropout_without_a_generator_is_refused,
    };
    return run_suite("attention", tests, sizeof tests / sizeof *tests);
}
