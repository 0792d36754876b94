/*
 * tests/test_loss.c: what the cases of the losses cannot say: that CTC is a sum over paths, that any number
 * of threads gives the same bits, that the bounds of probabilities are no anomaly, and that a step makes no
 * allocation.
 */
#include "support.h"

#include <math.h>
#include <minnow/ops.h>
#include <string.h>

enum { STEPS = 5, CLASSES = 3, BATCH = 4 };

static mn_tensor *logits(int64_t steps, int64_t batch, int64_t classes)
{
    mn_rng rng = mn_rng_make(7, 8);
    mn_tensor *x = mn_tensor_empty(MN_F64, 3, (int64_t[]){steps, batch, classes});
    ck_assert_int_eq(mn_tensor_uniform(x, -2, 2, &rng), MN_OK);
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

static mn_tensor *integers(mn_tape *t, int ndim, const int64_t *shape, const int64_t *values)
{
    return mn_from(t, MN_I64, ndim, shape, values);
}

/* Whether path, with repetitions merged and then class 0 taken out, is the target. */
static bool spells(const int *path, const int64_t *target, int64_t length)
{
    int64_t n = 0;
    for (int s = 0; s < STEPS; s++) {
        if (path[s] == 0 || (s > 0 && path[s] == path[s - 1])) continue;
        if (n == length || target[n] != path[s]) return false;
        n++;
    }
    return n == length;
}

START_TEST(ctc_is_the_sum_over_all_paths)
{
    static const int64_t targets[][3] = {{1, 2}, {1, 1}, {2, 1, 2}, {2}, {0}};
    static const int64_t lengths[] = {2, 2, 3, 1, 0};
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = logits(STEPS, 1, CLASSES), *log_p = mn_log_softmax(t, x, -1);
    for (int k = 0; k < 5; k++) {
        double sum = 0;
        int paths = 1, fitting = 0;
        for (int s = 0; s < STEPS; s++) paths *= CLASSES;
        for (int number = 0; number < paths; number++) {
            int path[STEPS], rest = number;
            double logarithm = 0;
            for (int s = 0; s < STEPS; s++, rest /= CLASSES) {
                path[s] = rest % CLASSES;
                logarithm += mn_tensor_get(log_p, (int64_t[]){s, 0, path[s]});
            }
            if (!spells(path, targets[k], lengths[k])) continue;
            sum += exp(logarithm);
            fitting++;
        }
        mn_tensor *loss = mn_ctc_loss(t, log_p, integers(t, 1, &lengths[k], targets[k]),
                                      integers(t, 1, (int64_t[]){1}, (int64_t[]){STEPS}),
                                      integers(t, 1, (int64_t[]){1}, &lengths[k]),
                                      &(mn_ctc_loss_opts){.reduction = MN_REDUCE_SUM});
        ck_assert_int_gt(fitting, 0);
        ck_assert_msg(fabs(mn_tensor_item(loss) + log(sum)) < 1e-12, "target %d: %g, not %g", k,
                      mn_tensor_item(loss), -log(sum));
    }
    mn_tape_free(t);
    mn_release(x);
}
END_TEST

/* A step on long sequences; *loss and its gradient (n numbers). */
static void long_step(mn_tape *t, mn_tensor *x, double *loss, double *gradient, int64_t n)
{
    const int64_t lengths[] = {30, 25, 0, 30}, steps[] = {100, 90, 100, 80};
    int64_t targets[BATCH * 30];
    for (int i = 0; i < BATCH * 30; i++) targets[i] = 1 + i * 7 % 4;
    mn_tensor *y =
        mn_ctc_loss(t, mn_log_softmax(t, x, -1), integers(t, 2, (int64_t[]){BATCH, 30}, targets),
                    integers(t, 1, (int64_t[]){BATCH}, steps),
                    integers(t, 1, (int64_t[]){BATCH}, lengths), NULL);
    mn_tensor_zero_grad(x);
    ck_assert_msg(mn_backward(t, y) == MN_OK, "%s", mn_tape_message(t));
    *loss = mn_tensor_item(y);
    ck_assert_int_eq(mn_tensor_read(mn_tensor_grad(x), MN_F64, gradient, n), MN_OK);
}

START_TEST(ctc_has_the_same_bits_for_any_number_of_threads)
{
    enum { N = 100 * BATCH * 6 };
    static double one[N], three[N];
    double loss[2];
    mn_tensor *x = logits(100, BATCH, 6);
    mn_tape *t = mn_tape_new(NULL), *team = mn_tape_new(&(mn_tape_opts){.threads = 3});
    long_step(t, x, &loss[0], one, N);
    long_step(team, x, &loss[1], three, N);
    ck_assert(isfinite(loss[0]));
    ck_assert_mem_eq(&loss[0], &loss[1], sizeof loss[0]);
    ck_assert_mem_eq(one, three, sizeof one);
    mn_tape_free(t);
    mn_tape_free(team);
    mn_release(x);
}
END_TEST

START_TEST(steady_steps_allocate_nothing)
{
    enum { N = 100 * BATCH * 6 };
    static double gradient[N];
    double loss;
    int64_t left = INT64_MAX, after_three = 0;
    const mn_allocator counting = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&counting), MN_OK);
    mn_tensor *x = logits(100, BATCH, 6);
    mn_tape *t = mn_tape_new(NULL);
    for (int step = 0; step < 6; step++) {
        long_step(t, x, &loss, gradient, N);
        mn_tape_reset(t);
        if (step == 2) after_three = left;
    }
    ck_assert_int_lt(after_three, INT64_MAX);
    ck_assert_int_eq(left, after_three);
    mn_tape_free(t);
    mn_release(x);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}
END_TEST

START_TEST(bounds_of_probabilities_are_no_anomaly)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.detect_anomaly = true});
    mn_tensor *x = mn_tensor_from(MN_F32, 1, (int64_t[]){4}, (float[]){0, 1, 0, 1});
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    mn_tensor *target = mn_from(t, MN_F32, 1, (int64_t[]){4}, (float[]){0, 1, 1, 0});
    mn_tensor *y = mn_binary_cross_entropy(t, x, target, NULL);
    ck_assert_msg(mn_backward(t, y) == MN_OK, "%s", mn_tape_message(t));
    ck_assert_double_eq(mn_tensor_item(y), 50);
    mn_tensor *log_p = mn_log(t, mn_from(t, MN_F32, 1, (int64_t[]){4}, (float[]){1, 1, 1, 1}));
    y = mn_kl_div(t, log_p, target, &(mn_kl_div_opts){.reduction = MN_REDUCE_BATCHMEAN});
    ck_assert_msg(mn_tensor_item(y) == 0, "%s", mn_tape_message(t));
    mn_tape_free(t);
    mn_release(x);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ctc_is_the_sum_over_all_paths,
        ctc_has_the_same_bits_for_any_number_of_threads,
        steady_steps_allocate_nothing,
        bounds_of_probabilities_are_no_anomaly,
    };
    return run_suite("loss", tests, sizeof tests / sizeof *tests);
}
