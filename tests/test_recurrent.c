/*
 * tests/test_recurrent.c: what recurrent layers promise beside PyTorch's numbers: what lies beyond a
 * sequence's end has no influence, a state can be carried on, a layer is its cells one after the other, and
 * threads change no bit.
 */
#include "support.h"

#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

static mn_tape *t;

static void begin(void)
{
    t = mn_tape_new(NULL);
}

static void end(void)
{
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
    mn_tape_free(t);
    ck_assert_int_eq(mn_live_allocations(), 0);
}

/* U(-1, 1), on the tape. */
static mn_tensor *drawn(uint64_t stream, int ndim, const int64_t *shape)
{
    mn_rng rng = mn_rng_make(3, stream);
    mn_tensor *u = mn_rand(t, MN_F64, ndim, shape, &rng);
    return mn_sub_scalar(t, mn_mul_scalar(t, u, 2), 1);
}

static mn_module *made(mn_module *m)
{
    ck_assert_msg(m != NULL, "%s", mn_last_message());
    ck_assert_int_eq(mn_module_to(m, MN_F64), MN_OK);
    ck_assert_int_eq(mn_module_init(m, 5), MN_OK);
    return m;
}

static void assert_close(mn_tensor *a, mn_tensor *b)
{
    ck_assert_msg(a && b && mn_tensor_same_shape(a, b), "%s", mn_tape_message(t));
    if (mn_tensor_numel(a) == 0) return;
    mn_tensor *off = mn_sub(t, mn_flatten(t, a, 0, -1), mn_flatten(t, b, 0, -1));
    ck_assert_double_le(mn_tensor_item(mn_max(t, mn_abs(t, off))), 1e-13);
}

typedef mn_module *(*maker)(int64_t, int64_t, const mn_nn_rnn_opts *);
static const maker makers[] = {mn_nn_rnn, mn_nn_lstm, mn_nn_gru};
enum { MAKERS = sizeof makers / sizeof *makers };

static int states_of(int i)
{
    return makers[i] == mn_nn_lstm ? 2 : 1;
}

/* ---- lengths ---- */

/* x is NaN beyond, yet nothing else is: as if each sequence were run alone. */
START_TEST(beyond_its_end_a_sequence_has_no_influence)
{
    enum { STEPS = 5, BATCH = 3, IN = 2, OUT = 2 };
    static const int64_t ends[BATCH] = {3, 5, 1};
    begin();
    mn_module *m =
        made(makers[_i](IN, OUT, &(mn_nn_rnn_opts){.num_layers = 2, .bidirectional = true}));
    const int n = states_of(_i);
    mn_tensor *x = drawn(1, 3, (int64_t[]){STEPS, BATCH, IN}), *last[3], *one[3];
    mn_tensor *lengths = mn_from(t, MN_I64, 1, (int64_t[]){BATCH}, ends);
    mn_tensor *parts[BATCH], *sums[BATCH];
    for (int64_t b = 0; b < BATCH; b++) {
        mn_tensor *column = mn_narrow(t, x, 1, b, 1);
        if (ends[b] == STEPS) {
            parts[b] = column;
            continue;
        }
        mn_tensor *there[] = {mn_narrow(t, column, 0, 0, ends[b]),
                              mn_full(t, MN_F64, 3, (int64_t[]){STEPS - ends[b], 1, IN}, NAN)};
        parts[b] = mn_cat(t, there, 2, 0);
    }
    mn_tensor *in[] = {mn_cat(t, parts, BATCH, 1), MN_NONE, MN_NONE, MN_NONE};
    in[1 + n] = lengths;
    ck_assert_int_eq(mn_module_call(m, t, in, 2 + n, last, 1 + n), MN_OK);
    for (int64_t b = 0; b < BATCH; b++) {
        mn_tensor *alone = mn_narrow(t, mn_narrow(t, x, 1, b, 1), 0, 0, ends[b]);
        ck_assert_int_eq(mn_module_call(m, t, &alone, 1, one, 1 + n), MN_OK);
        mn_tensor *y = mn_narrow(t, last[0], 1, b, 1);
        assert_close(mn_narrow(t, y, 0, 0, ends[b]), one[0]);
        ck_assert_double_eq(
            mn_tensor_item(mn_count_nonzero(t, mn_narrow(t, y, 0, ends[b], STEPS - ends[b]))), 0);
        for (int k = 1; k <= n; k++) assert_close(mn_narrow(t, last[k], 1, b, 1), one[k]);
        sums[b] = mn_sum(t, one[0]);
    }
    mn_tensor *w = mn_module_get(m, "weight_ih_l0_reverse"), *g[2], *loss[2];
    loss[0] = mn_sum(t, last[0]);
    loss[1] = mn_add(t, mn_add(t, sums[0], sums[1]), sums[2]);
    for (int k = 0; k < 2; k++) mn_grad(t, &loss[k], 1, &w, 1, &g[k], NULL);
    assert_close(g[0], g[1]);
    mn_module_free(m);
    end();
}
END_TEST

/* ---- states ---- */

START_TEST(a_sequence_can_be_run_in_pieces)
{
    begin();
    mn_module *m = made(makers[_i](2, 3, &(mn_nn_rnn_opts){.num_layers = 2}));
    const int n = states_of(_i);
    mn_tensor *x = drawn(2, 3, (int64_t[]){6, 2, 2}), *whole[3], *first[3], *second[3], *in[3];
    in[0] = mn_narrow(t, x, 0, 0, 4);
    ck_assert_int_eq(mn_module_call(m, t, &x, 1, whole, 1 + n), MN_OK);
    ck_assert_int_eq(mn_module_call(m, t, in, 1, first, 1 + n), MN_OK);
    in[0] = mn_narrow(t, x, 0, 4, 2);
    for (int k = 1; k <= n; k++) in[k] = first[k];
    ck_assert_int_eq(mn_module_call(m, t, in, 1 + n, second, 1 + n), MN_OK);
    assert_close(mn_cat(t, (mn_tensor *[]){first[0], second[0]}, 2, 0), whole[0]);
    for (int k = 1; k <= n; k++) assert_close(second[k], whole[k]);
    mn_module_free(m);
    end();
}
END_TEST

START_TEST(a_layer_is_its_cells_one_after_the_other)
{
    static mn_module *(*const cells[])(int64_t, int64_t, const mn_nn_rnn_cell_opts *) = {
        mn_nn_rnn_cell, mn_nn_lstm_cell, mn_nn_gru_cell};
    static const char *const names[][2] = {{"weight_ih", "weight_ih_l0"},
                                           {"weight_hh", "weight_hh_l0"},
                                           {"bias_ih", "bias_ih_l0"},
                                           {"bias_hh", "bias_hh_l0"}};
    begin();
    mn_module *m = made(makers[_i](3, 2, NULL)), *cell = made(cells[_i](3, 2, NULL));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(mn_module_set(cell, names[i][0], mn_module_get(m, names[i][1])), MN_OK);
    const int n = states_of(_i);
    mn_tensor *x = drawn(3, 3, (int64_t[]){4, 2, 3}), *whole[3], *in[3] = {NULL, MN_NONE, MN_NONE};
    ck_assert_int_eq(mn_module_call(m, t, &x, 1, whole, 1 + n), MN_OK);
    for (int64_t s = 0; s < 4; s++) {
        in[0] = mn_select(t, x, 0, s);
        mn_tensor *next[2];
        ck_assert_int_eq(mn_module_call(cell, t, in, 1 + n, next, n), MN_OK);
        for (int k = 0; k < n; k++) in[1 + k] = next[k];
        assert_close(in[1], mn_select(t, whole[0], 0, s));
    }
    for (int k = 1; k <= n; k++) assert_close(in[k], mn_select(t, whole[k], 0, 0));
    mn_module_free(m);
    mn_module_free(cell);
    end();
}
END_TEST

/* ---- threads ---- */

enum { ROOM = 50000 };

/* x's numbers behind the n that are there. */
static void append(double *all, int64_t *n, mn_tensor *x)
{
    ck_assert_int_le(*n + mn_tensor_numel(x), ROOM);
    ck_assert_int_eq(mn_tensor_read(x, MN_F64, all + *n, mn_tensor_numel(x)), MN_OK);
    *n += mn_tensor_numel(x);
}

/* The outputs and the gradient of every parameter, into `all`; returns how many numbers. */
static int64_t run_with(int threads, maker make, double *all)
{
    t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    mn_module *m = made(make(9, 33, &(mn_nn_rnn_opts){.bidirectional = true}));
    mn_named_tensor p[8];
    mn_tensor *x = drawn(4, 3, (int64_t[]){4, 70, 9}), *y = mn_module_forward(m, t, x);
    int64_t n = 0;
    append(all, &n, y);
    mn_backward(t, mn_sum(t, mn_square(t, y)));
    ck_assert_int_eq(mn_module_parameters(m, p, 8), 8);
    for (int i = 0; i < 8; i++) append(all, &n, mn_tensor_grad(p[i].tensor));
    mn_module_free(m);
    end();
    return n;
}

START_TEST(threads_change_no_bit)
{
    static double one[ROOM], more[ROOM];
    const int64_t n = run_with(1, makers[_i], one);
    for (int threads = 2; threads <= 3; threads++) {
        ck_assert_int_eq(run_with(threads, makers[_i], more), n);
        ck_assert_int_eq(memcmp(one, more, (size_t)n * sizeof *one), 0);
    }
}
END_TEST

/* ---- the call ---- */

START_TEST(as_many_outputs_as_are_wanted)
{
    begin();
    mn_module *m = made(mn_nn_lstm(2, 2, NULL)), *cell = made(mn_nn_gru_cell(2, 2, NULL));
    mn_tensor *x = drawn(5, 3, (int64_t[]){2, 2, 2}), *row = mn_select(t, x, 0, 0), *out[4];
    for (int n = 1; n <= 3; n++) ck_assert_int_eq(mn_module_call(m, t, &x, 1, out, n), MN_OK);
    ck_assert_ptr_nonnull(mn_module_forward(m, t, x));
    ck_assert_int_eq(mn_module_call(m, t, &x, 1, out, 4), MN_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "LSTM gives 1 to 3 outputs, not 4"));
    mn_tape_clear_error(t);
    ck_assert_int_eq(mn_module_call(m, t, &x, 1, out, 0), MN_ERR_ARGUMENT);
    mn_tape_clear_error(t);
    ck_assert_int_eq(mn_module_call(m, t, &x, 0, out, 1), MN_ERR_ARGUMENT);
    mn_tape_clear_error(t);
    ck_assert_int_eq(mn_module_call(cell, t, &row, 1, out, 2), MN_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "GRUCell gives 1 to 1 outputs, not 2"));
    mn_tape_clear_error(t);
    mn_module_free(m);
    mn_module_free(cell);
    end();
}
END_TEST

START_TEST(dropout_in_training_wants_a_seed)
{
    begin();
    const mn_nn_rnn_opts o = {.num_layers = 2, .dropout = 0.5};
    mn_module *m = mn_nn_gru(2, 2, &o);
    mn_tensor *x = mn_zeros(t, MN_F32, 3, (int64_t[]){2, 2, 2});
    ck_assert_int_eq(mn_module_init_matching(m, "*", mn_init_constant(0.5), 1), MN_OK);
    ck_assert_ptr_null(mn_module_forward(m, t, x));
    ck_assert_int_eq(mn_tape_error(t), MN_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "never seeded"));
    mn_tape_clear_error(t);
    mn_module_eval(m);
    ck_assert_ptr_nonnull(mn_module_forward(m, t, x));
    mn_module_train(m);
    ck_assert_int_eq(mn_module_seed(m, 1, 0), MN_OK);
    ck_assert_ptr_nonnull(mn_module_forward(m, t, x));
    mn_module_free(m);
    end();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recurrent");
    TCase *tc = tcase_create("recurrent");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, beyond_its_end_a_sequence_has_no_influence, 0, MAKERS);
    tcase_add_loop_test(tc, a_sequence_can_be_run_in_pieces, 0, MAKERS);
    tcase_add_loop_test(tc, a_layer_is_its_cells_one_after_the_other, 0, MAKERS);
    tcase_add_loop_test(tc, threads_change_no_bit, 0, MAKERS);
    tcase_add_test(tc, as_many_outputs_as_are_wanted);
    tcase_add_test(tc, dropout_in_training_wants_a_seed);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
