/*
 * tests/test_pool.c: what the cases of the pooling ops cannot say: that unpooling undoes a pooling,
 * and that any number of threads gives the same bits.
 */
#include "support.h"

#include <minnow/ops.h>
#include <string.h>

static mn_tensor *drawn(int ndim, const int64_t *shape)
{
    mn_rng rng = mn_rng_make(3, 4);
    mn_tensor *x = mn_tensor_empty(MN_F32, ndim, shape);
    ck_assert_int_eq(mn_tensor_uniform(x, -1, 1, &rng), MN_OK);
    return x;
}

START_TEST(unpooling_puts_each_maximum_back)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = drawn(4, (int64_t[]){2, 3, 6, 8}), *index;
    mn_tensor *y = mn_max_pool2d(t, x, 2, 2, NULL, &index);
    mn_tensor *back = mn_max_unpool2d(t, y, index, 2, 2, NULL);
    ck_assert_ptr_nonnull(back);
    ck_assert(mn_tensor_same_shape(back, x));
    for (int64_t i = 0; i < mn_tensor_numel(x); i++) {
        const float was = ((const float *)mn_tensor_data(x))[i];
        const float is = ((const float *)mn_tensor_data(back))[i];
        ck_assert(is == was || is == 0);
    }
    ck_assert_float_eq((float)mn_tensor_item(mn_sum(t, mn_ne_scalar(t, back, 0))), 2 * 3 * 3 * 4);
    mn_tape_free(t);
    mn_release(x);
}
END_TEST

/* Values and gradient of each op, one behind the other. */
static int64_t compute(int threads, mn_tensor *x, float *to)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    const mn_interpolate_opts cubic = {.scale = {1.5, 2}, .mode = MN_INTERPOLATE_BICUBIC};
    mn_tensor *y[] = {mn_max_pool2d(t, x, 3, 3, &(mn_max_pool_opts){.stride = {2, 1}}, NULL),
                      mn_adaptive_max_pool2d(t, x, 5, 7, NULL),
                      mn_avg_pool2d(t, x, 3, 2, &(mn_avg_pool_opts){.stride = {1, 2}}),
                      mn_adaptive_avg_pool2d(t, x, 5, 7), mn_interpolate(t, x, &cubic)};
    int64_t n = 0;
    for (size_t i = 0; i < sizeof y / sizeof *y; i++) {
        mn_tensor *g[] = {y[i], NULL};
        mn_tensor *loss = mn_sum(t, mn_square(t, y[i]));
        ck_assert_int_eq(mn_grad(t, &loss, 1, &x, 1, &g[1], NULL), MN_OK);
        for (int k = 0; k < 2; k++) {
            mn_tensor *dense = mn_contiguous(t, g[k]);
            memcpy(to + n, mn_tensor_data(dense), (size_t)mn_tensor_numel(dense) * sizeof *to);
            n += mn_tensor_numel(dense);
        }
    }
    mn_tape_free(t);
    return n;
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    enum { ROOM = 2000000 };
    mn_tensor *x = drawn(4, (int64_t[]){3, 7, 40, 50});
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    float *want = malloc(ROOM * sizeof *want), *got = malloc(ROOM * sizeof *got);
    const int64_t n = compute(1, x, want);
    ck_assert_int_lt(n, ROOM);
    for (int threads = 2; threads <= 4; threads++) {
        ck_assert_int_eq(compute(threads, x, got), n);
        ck_assert_mem_eq(got, want, (size_t)n * sizeof *want);
    }
    free(want);
    free(got);
    mn_release(x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        unpooling_puts_each_maximum_back,
        any_number_of_threads_gives_the_same_bits,
    };
    return run_suite("pool", tests, sizeof tests / sizeof *tests);
}
