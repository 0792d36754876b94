/*
 * tests/test_tensor.c: values out of tensors into C arrays.
 */
#include "support.h"

#include <minnow/autograd.h>
#include <minnow/ops.h>
#include <string.h>

START_TEST(a_view_is_read_in_row_major_order)
{
    const float values[] = {1.5F, -2, 3, 4, 5, 6.75F};
    mn_tensor *x = mn_tensor_from(MN_F32, 2, (int64_t[]){2, 3}, values);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *turned = mn_transpose(t, x, 0, 1);
    float same[6];
    double wide[6];
    int64_t whole[6];
    uint8_t small[6] = {0};
    bool set[6];
    ck_assert_int_eq(mn_tensor_read(x, MN_F32, same, 6), MN_OK);
    ck_assert_mem_eq(same, values, sizeof values);
    ck_assert_int_eq(mn_tensor_read(turned, MN_F64, wide, 6), MN_OK);
    ck_assert_mem_eq(wide, ((double[]){1.5, 4, -2, 5, 3, 6.75}), sizeof wide);
    ck_assert_int_eq(mn_tensor_read(turned, MN_I64, whole, 6), MN_OK);
    ck_assert_mem_eq(whole, ((int64_t[]){1, 4, -2, 5, 3, 6}), sizeof whole);
    ck_assert_int_eq(mn_tensor_read(mn_narrow(t, turned, 0, 2, 1), MN_U8, small, 2), MN_OK);
    ck_assert_mem_eq(small, ((uint8_t[]){3, 6, 0, 0, 0, 0}), sizeof small);
    ck_assert_int_eq(
        mn_tensor_read(mn_expand(t, mn_scalar(t, MN_I64, 7), 1, (int64_t[]){6}), MN_BOOL, set, 6),
        MN_OK);
    for (int i = 0; i < 6; i++) ck_assert(set[i]);
    ck_assert_int_eq(mn_tensor_read(mn_scalar(t, MN_F64, 2.5), MN_F64, wide, 1), MN_OK);
    ck_assert(wide[0] == 2.5);
    ck_assert_int_eq(mn_tensor_read(mn_zeros(t, MN_F32, 2, (int64_t[]){0, 3}), MN_F32, NULL, 0),
                     MN_OK);
    mn_tape_free(t);
    mn_release(x);
}
END_TEST

static void refused(mn_error e, mn_error expected, const char *says)
{
    ck_assert_int_eq(e, expected);
    ck_assert_msg(strstr(mn_last_message(), says), "%s", mn_last_message());
    mn_clear_last_error();
}

START_TEST(an_array_that_does_not_fit_is_refused)
{
    mn_tensor *x = mn_tensor_ones(MN_F32, 2, (int64_t[]){2, 3});
    mn_tape *t = mn_tape_new(NULL);
    mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
    mn_tensor *gone = mn_clone(t, x);
    mn_scope_end(t, scope, NULL, 0);
    float y[7] = {0};
    refused(mn_tensor_read(x, MN_F32, y, 7), MN_ERR_SHAPE, "array of 7 for 6 elements, [2, 3]");
    refused(mn_tensor_read(x, MN_F32, y, 5), MN_ERR_SHAPE, "array of 5");
    refused(mn_tensor_read(x, MN_F32, NULL, 6), MN_ERR_ARGUMENT, "the array is NULL");
    refused(mn_tensor_read(x, (mn_dtype)8, y, 6), MN_ERR_DTYPE, "8 is not a dtype");
    refused(mn_tensor_read(NULL, MN_F32, y, 6), MN_ERR_ARGUMENT, "the tensor is NULL");
    refused(mn_tensor_read(MN_NONE, MN_F32, y, 6), MN_ERR_ARGUMENT, "MN_NONE");
    refused(mn_tensor_read(gone, MN_F32, y, 6), MN_ERR_ARGUMENT, "freed by its scope");
    mn_fail(MN_ERR_IO, "the file is gone");
    refused(mn_tensor_read(NULL, MN_F32, y, 6), MN_ERR_IO, "the file is gone");
    for (int i = 0; i < 7; i++) ck_assert(!(y[i] > 0));
    mn_tape_free(t);
    mn_release(x);
}
END_TEST

static void count(void *data, void *user)
{
    (void)data;
    ++*(int *)user;
}

START_TEST(a_handle_that_finds_no_memory_leaves_wrapped_memory_to_the_others)
{
    int64_t allocations_left = -1;
    const mn_allocator limited = limited_allocator(&allocations_left);
    ck_assert_int_eq(mn_set_allocator(&limited), MN_OK);
    float values[6] = {0};
    int given_back = 0;
    mn_tensor *x = mn_tensor_wrap(MN_F32, 2, (int64_t[]){2, 3}, NULL, values, count, &given_back);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *view = mn_reshape(t, x, 1, (int64_t[]){6});
    allocations_left = 0;
    ck_assert_ptr_null(mn_retain(view));
    ck_assert_ptr_null(mn_tensor_wrap(MN_F32, 1, (int64_t[]){6}, NULL, values, count, &given_back));
    ck_assert_int_eq(given_back, 0);
    allocations_left = -1;
    mn_tensor *handle = mn_retain(view);
    mn_release(x);
    mn_tape_free(t);
    ck_assert_int_eq(given_back, 0);
    mn_release(handle);
    ck_assert_int_eq(given_back, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_view_is_read_in_row_major_order, an_array_that_does_not_fit_is_refused,
        a_handle_that_finds_no_memory_leaves_wrapped_memory_to_the_others};
    return run_suite("tensor", tests, sizeof tests / sizeof *tests);
}
