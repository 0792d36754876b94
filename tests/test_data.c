/*
 * tests/test_data.c: data sets in memory and the loader. Data sets from files: test_idx.c.
 */
#include "support.h"
#include <minnow/minnow.h>
#include <pthread.h>
#include <string.h>

typedef unsigned char byte;

/* ---- data sets in memory ---- */

/* Samples 0..n: inputs [i, -i], target i. */
static mn_dataset *count_up(int64_t n)
{
    mn_tensor *x = mn_tensor_empty(MN_F64, 2, (int64_t[]){n, 2});
    mn_tensor *y = mn_tensor_empty(MN_I64, 1, &n);
    for (int64_t i = 0; i < n; i++) {
        mn_tensor_set(x, (int64_t[]){i, 0}, (double)i);
        mn_tensor_set(x, (int64_t[]){i, 1}, (double)-i);
        mn_tensor_set_i64(y, &i, i);
    }
    mn_dataset *d = mn_data_tensors(x, y);
    mn_release(x);
    mn_release(y);
    return d;
}

START_TEST(tensors_are_samples_along_dimension_0)
{
    float values[12];
    for (int i = 0; i < 12; i++) values[i] = (float)i;
    mn_tensor *x =
        mn_tensor_wrap(MN_F32, 3, (int64_t[]){2, 2, 3}, (int64_t[]){1, 6, 2}, values, NULL, NULL);
    mn_tensor *y = mn_tensor_from(MN_U8, 2, (int64_t[]){2, 2}, (byte[]){3, 200, 7, 1});
    mn_dataset *d = mn_data_tensors(x, y);
    mn_release(x);
    mn_release(y);
    int64_t shape[MN_MAX_DIMS];
    ck_assert_int_eq(mn_dataset_input_shape(d, shape), 2);
    ck_assert(shape[0] == 2 && shape[1] == 3);
    ck_assert_int_eq(mn_dataset_classes(d), 201);
    mn_loader *l = mn_data_loader(d, 1, NULL);
    mn_dataset_free(d); /* the loader has a reference */
    mn_tape *t = mn_tape_new(NULL);
    mn_batch b;
    for (int i = 0; i < 2; i++) {
        ck_assert(mn_loader_next(l, t, &b));
        ck_assert_int_eq(mn_tensor_ndim(b.input), 3);
        ck_assert_int_eq(mn_tensor_dtype(b.target), MN_U8);
        for (int k = 0; k < 6; k++)
            ck_assert(((const float *)mn_tensor_data(b.input))[k] ==
                      values[i + k / 3 * 6 + k % 3 * 2]);
        ck_assert_int_eq(((const byte *)mn_tensor_data(b.target))[0], i ? 7 : 3);
    }
    mn_loader_free(l);
    mn_tape_free(t);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

START_TEST(classes_are_counted_for_integer_targets_only)
{
    mn_tensor *x = mn_tensor_zeros(MN_F32, 1, (int64_t[]){3});
    mn_tensor *none = mn_tensor_full(MN_I64, 1, (int64_t[]){3}, -100);
    mn_tensor *some = mn_tensor_from(MN_I64, 1, (int64_t[]){3}, (int64_t[]){4, -1, 2});
    mn_tensor *most = mn_tensor_from(MN_I64, 1, (int64_t[]){3}, (int64_t[]){0, INT64_MAX, 2});
    const struct {
        mn_tensor *targets;
        int64_t classes;
    } cases[] = {{x, 0}, {none, 0}, {some, 5}, {most, INT64_MAX}};
    for (int i = 0; i < 4; i++) {
        mn_dataset *d = mn_data_tensors(x, cases[i].targets);
        ck_assert_int_eq(mn_dataset_classes(d), cases[i].classes);
        mn_dataset_free(d);
    }
    mn_release(x);
    mn_release(none);
    mn_release(some);
    mn_release(most);
    ck_assert_int_eq(mn_dataset_classes(NULL), 0);
    ck_assert_int_eq(mn_dataset_size(NULL), 0);
    ck_assert_int_eq(mn_dataset_input_shape(NULL, NULL), 0);
}
END_TEST

START_TEST(tensors_that_make_no_samples_are_refused)
{
    mn_tensor *three = mn_tensor_zeros(MN_F32, 2, (int64_t[]){3, 2});
    mn_tensor *four = mn_tensor_zeros(MN_I64, 1, (int64_t[]){4});
    mn_tensor *empty = mn_tensor_zeros(MN_F32, 2, (int64_t[]){0, 2});
    mn_tensor *single = mn_tensor_zeros(MN_F32, 0, NULL);
    const struct {
        mn_tensor *inputs, *targets;
        mn_error code;
        const char *message;
    } cases[] = {
        {three, four, MN_ERR_SHAPE, "mn_data_tensors: 3 inputs but 4 targets"},
        {empty, empty, MN_ERR_SHAPE, "mn_data_tensors: inputs has no samples"},
        {three, single, MN_ERR_SHAPE,
         "mn_data_tensors: targets has no dimension to count samples by"},
        {three, MN_NONE, MN_ERR_ARGUMENT, "mn_data_tensors: targets may not be MN_NONE"},
        {NULL, four, MN_ERR_ARGUMENT, "mn_data_tensors: inputs is NULL"},
        {three, NULL, MN_ERR_ARGUMENT, "mn_data_tensors: targets is NULL"},
    };
    int64_t before = mn_live_allocations();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mn_clear_last_error();
        ck_assert_ptr_null(mn_data_tensors(cases[i].inputs, cases[i].targets));
        ck_assert_int_eq(mn_last_error(), cases[i].code);
        ck_assert_str_eq(mn_last_message(), cases[i].message);
    }
    ck_assert_int_eq(mn_live_allocations(), before);
    mn_fail(MN_ERR_IO, "the cause"); /* what made the NULL is not overwritten */
    ck_assert_ptr_null(mn_data_tensors(NULL, four));
    ck_assert_str_eq(mn_last_message(), "the cause");
    mn_release(three);
    mn_release(four);
    mn_release(empty);
    mn_release(single);
}
END_TEST

START_TEST(a_head_is_the_first_samples_and_takes_its_data_set_over)
{
    mn_dataset *d = mn_data_head(count_up(10), 4);
    ck_assert_int_eq(mn_dataset_size(d), 4);
    ck_assert_int_eq(mn_dataset_classes(d), 4);
    ck_assert_int_eq(mn_dataset_input_shape(d, NULL), 1);
    ck_assert_ptr_eq(mn_dataset_retain(d), d);
    mn_dataset_free(d);
    d = mn_data_head(d, 40); /* all there are */
    ck_assert_int_eq(mn_dataset_size(d), 4);
    ck_assert_ptr_null(mn_data_head(d, 0));
    ck_assert_str_eq(mn_last_message(), "mn_data_head: n is 0, not at least 1");
    ck_assert_int_eq(mn_live_allocations(), 0);
    ck_assert_ptr_null(mn_data_head(NULL, 5));
    ck_assert_str_eq(mn_last_message(), "mn_data_head: n is 0, not at least 1");
}
END_TEST

/* ---- the loader ---- */

/* The samples of one epoch in the order they come, -1 between batches; how many numbers that
 * are. */
static int epoch_order(mn_loader *l, mn_tape *t, int64_t *order)
{
    int n = 0;
    for (mn_batch b; mn_loader_next(l, t, &b); mn_tape_reset(t)) {
        for (int64_t i = 0; i < b.size; i++) {
            order[n] = mn_tensor_get_i64(b.target, &i);
            double x = mn_tensor_get(b.input, (int64_t[]){i, 0});
            double y = mn_tensor_get(b.input, (int64_t[]){i, 1});
            ck_assert(x == (double)order[n] && y == -x);
            n++;
        }
        order[n++] = -1;
    }
    ck_assert_int_eq(mn_tape_error(t), MN_OK);
    return n;
}

static void check_order(mn_loader *l, mn_tape *t, const int64_t *expected, int n)
{
    int64_t order[64];
    ck_assert_int_eq(epoch_order(l, t, order), n);
    for (int i = 0; i < n; i++) ck_assert_int_eq(order[i], expected[i]);
}

START_TEST(without_shuffle_samples_come_in_order_every_epoch)
{
    static const int64_t all[] = {0, 1, 2, -1, 3, 4, 5, -1, 6, -1};
    mn_dataset *d = count_up(7);
    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, 3, NULL);
    mn_loader *full = mn_data_loader(d, 3, &(mn_data_loader_opts){.drop_last = true});
    ck_assert_int_eq(mn_loader_batches(l), 3);
    ck_assert_int_eq(mn_loader_batches(full), 2);
    for (int epoch = 0; epoch < 3; epoch++) {
        check_order(l, t, all, 10);
        check_order(full, t, all, 8);
        ck_assert_int_eq(mn_loader_epoch(l), epoch);
    }
    mn_loader_free(l);
    l = mn_data_loader(d, 100, NULL);
    ck_assert_int_eq(mn_loader_batches(l), 1);
    mn_loader_free(l);
    mn_loader_free(full);
    mn_tape_free(t);
    mn_dataset_free(d);
}
END_TEST

START_TEST(a_shuffled_order_is_frozen_by_seed_and_epoch)
{
    static const int64_t first[] = {3, 7, 6, 2, 8, 9, 4, 5, 1, 0, -1};
    static const int64_t second[] = {5, 2, 6, 9, 7, 0, 4, 1, 8, 3, -1};
    const mn_data_loader_opts opts = {.shuffle = true, .seed = 5};
    mn_dataset *d = count_up(10);
    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, 10, &opts);
    check_order(l, t, first, 11);
    check_order(l, t, second, 11);
    ck_assert_int_eq(mn_loader_seek(l, 0), MN_OK);
    ck_assert_int_eq(mn_loader_epoch(l), 0);
    check_order(l, t, first, 11);
    mn_batch b;
    ck_assert(mn_loader_next(l, t, &b)); /* in the middle of the second */
    ck_assert_int_eq(mn_loader_epoch(l), 1);
    ck_assert_int_eq(mn_loader_seek(l, 1), MN_OK);
    check_order(l, t, second, 11);
    mn_loader_free(l);

    /* the order does not depend on the size of the batches */
    static const int64_t in_fours[] = {3, 7, 6, 2, -1, 8, 9, 4, 5, -1, 1, 0, -1};
    l = mn_data_loader(d, 4, &opts);
    check_order(l, t, in_fours, 13);
    mn_loader_free(l);
    l = mn_data_loader(d, 10, &(mn_data_loader_opts){.shuffle = true, .seed = 6});
    int64_t other[64];
    epoch_order(l, t, other);
    ck_assert_int_ne(memcmp(other, first, sizeof first), 0);
    mn_loader_free(l);
    mn_tape_free(t);
    mn_dataset_free(d);
}
END_TEST

START_TEST(impossible_loaders_are_refused)
{
    mn_dataset *d = count_up(7);
    mn_clear_last_error();
    ck_assert_ptr_null(mn_data_loader(NULL, 1, NULL));
    ck_assert_str_eq(mn_last_message(), "mn_data_loader: the data set is NULL");
    ck_assert_ptr_null(mn_data_loader(d, 0, NULL));
    ck_assert_str_eq(mn_last_message(), "mn_data_loader: batch_size is 0, not at least 1");
    ck_assert_ptr_null(mn_data_loader(d, 8, &(mn_data_loader_opts){.drop_last = true}));
    ck_assert_str_eq(mn_last_message(),
                     "mn_data_loader: drop_last leaves nothing of 7 samples in batches of 8");
    mn_loader *l = mn_data_loader(d, 7, NULL);
    ck_assert_int_eq(mn_loader_seek(l, -1), MN_ERR_ARGUMENT);
    ck_assert_str_eq(mn_last_message(), "mn_loader_seek: epoch -1 is negative");
    mn_clear_last_error();
    ck_assert_int_eq(mn_loader_seek(NULL, 1), MN_ERR_ARGUMENT);
    ck_assert_int_eq(mn_loader_batches(NULL), 0);
    ck_assert_int_eq(mn_loader_epoch(NULL), 0);
    mn_loader_free(NULL);
    mn_loader_free(l);
    mn_dataset_free(d);
}
END_TEST

START_TEST(a_loader_that_failed_gives_its_reason_to_the_tape)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_batch b = {.size = 5};
    mn_loader *l = mn_data_loader(mn_data_mnist("/nowhere", MN_SPLIT_TRAIN), 64, NULL);
    ck_assert(!mn_loader_next(l, t, &b));
    ck_assert_int_eq(b.size, 0);
    ck_assert_int_eq(mn_tape_error(t), MN_ERR_IO);
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "/nowhere: no such directory"));
    mn_tape_free(t);
    mn_clear_last_error();
    ck_assert(!mn_loader_next(l, NULL, &b));
    ck_assert_int_eq(mn_last_error(), MN_ERR_ARGUMENT);
}
END_TEST

START_TEST(a_tape_with_an_error_gets_no_batch_and_none_is_lost)
{
    mn_dataset *d = count_up(4);
    mn_loader *l = mn_data_loader(d, 2, NULL);
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.max_bytes = 8}), *wide = mn_tape_new(NULL);
    mn_batch b;
    ck_assert(!mn_loader_next(l, t, &b)); /* no room under the cap */
    ck_assert_int_eq(mn_tape_error(t), MN_ERR_MEMORY);
    ck_assert(!mn_loader_next(l, t, &b));
    ck_assert(!mn_loader_next(l, wide, NULL));
    ck_assert_int_eq(mn_tape_error(wide), MN_ERR_ARGUMENT);
    mn_tape_clear_error(wide);
    static const int64_t all[] = {0, 1, -1, 2, 3, -1};
    check_order(l, wide, all, 6);
    ck_assert(!mn_loader_next(l, t, &b)); /* nor does an epoch begin */
    ck_assert_int_eq(mn_loader_epoch(l), 0);
    mn_tape_free(t);
    mn_tape_free(wide);
    mn_loader_free(l);
    mn_dataset_free(d);
}
END_TEST

START_TEST(a_steady_epoch_allocates_nothing)
{
    int64_t allocations_left = INT64_MAX;
    const mn_allocator limited = limited_allocator(&allocations_left);
    ck_assert_int_eq(mn_set_allocator(&limited), MN_OK);
    mn_dataset *d = count_up(20);
    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, 6, &(mn_data_loader_opts){.shuffle = true});
    int64_t order[64];
    epoch_order(l, t, order);
    allocations_left = 1000;
    ck_assert_int_eq(epoch_order(l, t, order), 24);
    ck_assert_int_eq(allocations_left, 1000);
    mn_loader_free(l);
    mn_tape_free(t);
    mn_dataset_free(d);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}
END_TEST

static void *read_all(void *arg)
{
    mn_dataset *d = arg;
    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, 3, &(mn_data_loader_opts){.shuffle = true});
    int64_t order[64];
    for (int i = 0; i < 20; i++) ck_assert_int_eq(epoch_order(l, t, order), 27);
    mn_loader_free(l);
    mn_tape_free(t);
    mn_dataset_free(d);
    return NULL;
}

START_TEST(threads_may_share_a_data_set)
{
    mn_dataset *d = count_up(20);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all, mn_dataset_retain(d)), 0);
    mn_dataset_free(d);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        tensors_are_samples_along_dimension_0,
        classes_are_counted_for_integer_targets_only,
        tensors_that_make_no_samples_are_refused,
        a_head_is_the_first_samples_and_takes_its_data_set_over,
        without_shuffle_samples_come_in_order_every_epoch,
        a_shuffled_order_is_frozen_by_seed_and_epoch,
        impossible_loaders_are_refused,
        a_loader_that_failed_gives_its_reason_to_the_tape,
        a_tape_with_an_error_gets_no_batch_and_none_is_lost,
        a_steady_epoch_allocates_nothing,
        threads_may_share_a_data_set,
    };
    return run_suite("data", tests, sizeof tests / sizeof *tests);
}
