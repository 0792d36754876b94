/*
 * tests/test_hooks.c: what is run around a module's forward pass, and the table that is made by it.
 */
#include "support.h"

#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

static int64_t left; /* allocations until they fail */
static mn_tape *t;

static void begin(void)
{
    mn_clear_last_error();
    left = INT64_MAX;
    mn_allocator a = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&a), MN_OK);
    t = mn_tape_new(NULL);
}

static void end(void)
{
    mn_tape_free(t);
    ck_assert_int_eq(mn_live_allocations(), 0);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}

static void refused(const char *text)
{
    ck_assert_msg(strstr(mn_tape_message(t), text), "expected \"%s\", got \"%s\"", text,
                  mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
}

/* ---- hooks ---- */

typedef struct note {
    char order[32];
    const mn_module *m;
    mn_tensor *in, *out;
} note;

static mn_error note_before(mn_module *m, mn_tape *tape, mn_tensor **in, int n_in, void *user)
{
    note *n = user;
    (void)tape;
    ck_assert_int_eq(n_in, 1);
    n->m = m;
    n->in = in[0];
    strcat(n->order, "b");
    return MN_OK;
}

static mn_error note_after(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                           mn_tensor **out, int n_out, void *user)
{
    note *n = user;
    (void)tape;
    ck_assert_ptr_eq(m, n->m);
    ck_assert_int_eq(n_in == 1 && n_out == 1 && in[0] == n->in, 1);
    n->out = out[0];
    strcat(n->order, "a");
    return MN_OK;
}

static mn_error twice_before(mn_module *m, mn_tape *tape, mn_tensor **in, int n_in, void *user)
{
    (void)m, (void)n_in, (void)user;
    in[0] = mn_mul_scalar(tape, in[0], 2);
    return mn_tape_error(tape);
}

static mn_error plus_one_after(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out, void *user)
{
    (void)m, (void)in, (void)n_in, (void)n_out, (void)user;
    out[0] = mn_add_scalar(tape, out[0], 1);
    return mn_tape_error(tape);
}

START_TEST(hooks_see_every_call_of_their_module_in_order)
{
    begin();
    mn_module *net = mn_nn_sequential(mn_nn_tanh(), mn_nn_sigmoid());
    mn_module *inner = mn_module_child(net, "1");
    note first = {0}, second = {0};
    mn_module_register_forward_pre_hook(inner, note_before, &first);
    mn_module_register_forward_hook(inner, note_after, &first);
    mn_module_register_forward_pre_hook(net, note_before, &second);
    mn_module_register_forward_hook(net, note_after, &second);
    mn_tensor *x = mn_zeros(t, MN_F32, 1, (int64_t[]){3});
    mn_tensor *y = mn_module_forward(net, t, x);
    ck_assert_str_eq(first.order, "ba");
    ck_assert_ptr_eq(second.in, x);
    ck_assert_ptr_eq(second.out, y);
    ck_assert_ptr_eq(first.out, y);
    mn_module_forward(net, t, x);
    ck_assert_str_eq(first.order, "baba");
    mn_module_remove_hooks(inner);
    mn_module_forward(net, t, x);
    ck_assert_str_eq(first.order, "baba");
    ck_assert_str_eq(second.order, "bababa");
    mn_module_remove_hooks(NULL);
    mn_module_free(net);
    end();
}
END_TEST

START_TEST(hooks_may_replace_inputs_and_outputs_and_gradients_follow)
{
    begin();
    mn_module *net = mn_nn_leaky_relu(0.5, NULL);
    mn_module_register_forward_pre_hook(net, twice_before, NULL);
    mn_module_register_forward_pre_hook(net, twice_before, NULL);
    mn_module_register_forward_hook(net, plus_one_after, NULL);
    mn_tensor *x = mn_tensor_full(MN_F64, 0, NULL, -3), *given = x;
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *y = mn_module_forward(net, t, x);
    ck_assert_double_eq(mn_tensor_item(y), 0.5 * 4 * -3 + 1);
    ck_assert_int_eq(mn_backward(t, y), MN_OK);
    ck_assert_double_eq(mn_tensor_item(mn_tensor_grad(x)), 2);
    ck_assert_ptr_eq(given, x); /* the caller's own list is not written */

    mn_module *copy = mn_module_clone(net); /* without hooks */
    ck_assert_double_eq(mn_tensor_item(mn_module_forward(copy, t, x)), -1.5);
    mn_module_free(copy);
    mn_module_free(net);
    mn_release(x);
    end();
}
END_TEST

static mn_error failing(mn_module *m, mn_tape *tape, mn_tensor **in, int n_in, void *user)
{
    (void)m, (void)tape, (void)n_in;
    if (user) return mn_fail(MN_ERR_IO, "the disk is full");
    in[0] = NULL;
    return MN_OK;
}

static mn_error emptying(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                         mn_tensor **out, int n_out, void *user)
{
    (void)m, (void)tape, (void)in, (void)n_in, (void)n_out;
    out[0] = NULL;
    return user ? MN_ERR_SHAPE : MN_OK;
}

START_TEST(a_hook_that_fails_fails_the_call)
{
    begin();
    int yes = 1;
    mn_tensor *x = mn_zeros(t, MN_F32, 1, (int64_t[]){3});
    for (int i = 0; i < 4; i++) {
        mn_module *net = mn_nn_sequential(mn_nn_tanh());
        mn_module *inner = mn_module_child(net, "0");
        static const char *const texts[] = {
            "net.0: the disk is full", "net.0: an input that a hook left is NULL",
            "net.0: a hook of Tanh failed (", "net.0: the forward of Tanh left output 0 NULL"};
        if (i < 2) mn_module_register_forward_pre_hook(inner, failing, i == 0 ? &yes : NULL);
        if (i >= 2) mn_module_register_forward_hook(inner, emptying, i == 2 ? &yes : NULL);
        ck_assert_ptr_null(mn_module_forward(net, t, x));
        refused(texts[i]);
        mn_module_free(net);
    }
    ck_assert_int_eq(mn_module_register_forward_hook(NULL, emptying, NULL), MN_ERR_ARGUMENT);
    mn_clear_last_error();
    mn_module *net = mn_nn_tanh();
    ck_assert_int_eq(mn_module_register_forward_hook(net, NULL, NULL), MN_ERR_ARGUMENT);
    mn_clear_last_error();
    left = 0;
    ck_assert_int_eq(mn_module_register_forward_hook(net, emptying, NULL), MN_ERR_MEMORY);
    left = INT64_MAX;
    mn_module_free(net);
    end();
}
END_TEST

START_TEST(hooks_allocate_nothing_in_a_steady_step)
{
    begin();
    mn_module *net = mn_nn_tanh();
    mn_module_register_forward_pre_hook(net, twice_before, NULL);
    mn_module_register_forward_hook(net, plus_one_after, NULL);
    mn_tensor *x = mn_tensor_zeros(MN_F32, 1, (int64_t[]){3});
    for (int i = 0; i < 5; i++, mn_tape_reset(t)) {
        const int64_t before = left;
        mn_module_forward(net, t, x);
        ck_assert_msg(i < 3 || left == before, "step %d allocates", i);
    }
    mn_release(x);
    mn_module_free(net);
    end();
}
END_TEST

/* ---- the table ---- */

static mn_module *conv_like(void)
{
    mn_module *shared = mn_nn_linear(6, 6, NULL);
    return mn_nn_sequential(
        mn_nn_flatten(), mn_nn_linear(12, 6, &(mn_nn_linear_opts){.no_bias = true}),
        mn_nn_residual(mn_nn_sequential(mn_module_retain(shared), mn_nn_dropout(0.5))), shared,
        mn_nn_linear(6, 200, NULL));
}

START_TEST(the_table_has_shapes_parameters_and_work)
{
    begin();
    mn_module *net = conv_like();
    mn_module_freeze(net, "4.*");
    mn_tensor *x = mn_tensor_zeros(MN_F32, 3, (int64_t[]){2, 3, 4});
    char text[2048];
    size_t n = mn_nn_summary(net, &x, 1, text, sizeof text);
    ck_assert_msg(n > 0, "%s", mn_last_message());
    /* 2 x 12 x 6; 2 x 6 x 6, twice, at its first place; 2 x 6 x 200. */
    static const char table[] =
        "Layer                  Output shape  Parameters  Bytes  Multiply-adds\n"
        "Sequential             [2, 200]               -      -              -\n"
        "  0: Flatten           [2, 12]                -      -              -\n"
        "  1: Linear            [2, 6]                72    288            144\n"
        "  2: Residual          [2, 6]                 -      -              -\n"
        "    inner: Sequential  [2, 6]                 -      -              -\n"
        "      0: Linear        [2, 6]                42    168            144\n"
        "      1: Dropout       [2, 6]                 -      -              -\n"
        "  3: Linear (again)    -                      -      -              -\n"
        "  4: Linear            [2, 200]           1,400  5,600          2,400\n"
        "1,514 parameters (6,056 bytes), 1,400 of them frozen; 2,688 multiply-adds; ";
    ck_assert_msg(strncmp(text, table, strlen(table)) == 0, "%s", text);
    ck_assert_uint_eq(n, strlen(text));
    ck_assert_ptr_nonnull(strstr(text, " bytes kept for the backward pass\n"));

    /* As snprintf; and nothing has happened to the net. */
    char start[10];
    ck_assert_uint_eq(mn_nn_summary(net, &x, 1, NULL, 0), n);
    ck_assert_uint_eq(mn_nn_summary(net, &x, 1, start, sizeof start), n);
    ck_assert_str_eq(start, "Layer    ");
    ck_assert(mn_module_training(net));
    ck_assert_ptr_null(mn_module_forward(net, t, x));
    refused("never initialised");
    mn_release(x);
    mn_module_free(net);
    end();
}
END_TEST

static mn_error both_ways(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                          mn_tensor **out, int n_out)
{
    (void)m, (void)n_in, (void)n_out;
    out[0] = mn_neg(tape, in[0]);
    out[1] = in[0];
    return mn_tape_error(tape);
}

START_TEST(a_module_with_two_results_shows_the_first)
{
    static const mn_module_class cls = {
        .name = "Both", .size = sizeof(mn_module), .n_in = 1, .n_out = 2, .forward = both_ways};
    begin();
    char text[400];
    mn_module *m = mn_module_finish(mn_module_new(&cls));
    mn_tensor *x = mn_tensor_zeros(MN_F32, 2, (int64_t[]){2, 4});
    ck_assert_msg(mn_nn_summary(m, &x, 1, text, sizeof text) > 0, "%s", mn_last_message());
    ck_assert_msg(strstr(text, "Both   [2, 4]") != NULL, "%s", text);
    mn_release(x);
    mn_module_free(m);
    end();
}
END_TEST

START_TEST(a_table_that_cannot_be_made_says_why)
{
    begin();
    char text[64] = "x";
    mn_module *net = mn_nn_linear(3, 2, NULL);
    mn_tensor *x = mn_tensor_zeros(MN_F32, 2, (int64_t[]){2, 4});
    ck_assert_uint_eq(mn_nn_summary(net, &x, 1, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    ck_assert_msg(strstr(mn_last_message(), "inner sizes 4 and 3 differ"), "%s", mn_last_message());
    ck_assert_uint_eq(mn_nn_summary(NULL, &x, 1, text, sizeof text), 0);
    mn_clear_last_error();
    ck_assert_uint_eq(mn_nn_summary(net, NULL, 1, text, sizeof text), 0);
    mn_clear_last_error();
    mn_release(x);

    x = mn_tensor_zeros(MN_F32, 2, (int64_t[]){2, 3});
    int64_t limit = 0;
    for (bool done = false; !done; limit++) {
        left = limit;
        done = mn_nn_summary(net, &x, 1, text, sizeof text) > 0;
        ck_assert_int_eq(done || mn_last_error() == MN_ERR_MEMORY, 1);
        left = INT64_MAX;
        mn_clear_last_error();
    }
    ck_assert_int_gt(limit, 10);
    mn_release(x);
    mn_module_free(net);
    end();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {hooks_see_every_call_of_their_module_in_order,
                            hooks_may_replace_inputs_and_outputs_and_gradients_follow,
                            a_hook_that_fails_fails_the_call,
                            hooks_allocate_nothing_in_a_steady_step,
                            the_table_has_shapes_parameters_and_work,
                            a_module_with_two_results_shows_the_first,
                            a_table_that_cannot_be_made_says_why};
    return run_suite("hooks", tests, sizeof tests / sizeof *tests);
}
