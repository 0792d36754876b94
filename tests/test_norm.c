/*
 * tests/test_norm.c: normalisation at sizes that vectors, blocks and threads cut differently, against plain
 * loops in double; the same bits for any team; running statistics of weights that were not trained.
 */
#include "support.h"

#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

/* x [n, c, s]. Which elements of x have statistics in common. */
typedef enum kind { LAYER, GROUP, BATCH, KINDS } kind;

typedef struct sizes {
    int64_t n, c, s;
} sizes;

static const int64_t groups = 2;

static int64_t statistic_of(kind k, const sizes *z, int64_t i)
{
    const int64_t sample = i / (z->c * z->s), channel = i / z->s % z->c;
    if (k == LAYER) return i / (z->c * z->s);
    return k == BATCH ? channel : sample * groups + channel / (z->c / groups);
}

static int64_t weight_of(kind k, const sizes *z, int64_t i)
{
    return k == LAYER ? i % (z->c * z->s) : i / z->s % z->c;
}

static mn_tensor *drawn(int ndim, const int64_t *shape, uint64_t stream)
{
    mn_rng rng = mn_rng_make(3, stream);
    mn_tensor *x = mn_tensor_empty(MN_F32, ndim, shape);
    mn_tensor_uniform(x, -1, 2, &rng);
    mn_tensor_set_requires_grad(x, true);
    return x;
}

static mn_tensor *run(mn_tape *t, kind k, mn_tensor *x, mn_tensor *w, mn_tensor *b)
{
    const int64_t inner[] = {mn_tensor_size(x, 1), mn_tensor_size(x, 2)};
    if (k == LAYER) return mn_layer_norm(t, x, 2, inner, w, b, 1e-3);
    if (k == GROUP) return mn_group_norm(t, x, groups, w, b, 1e-3);
    return mn_batch_norm(t, x, MN_NONE, MN_NONE, w, b, true, 0.1, 1e-3);
}

/* y, gx, gw, gb, each as long as x, by the book. */
typedef struct naive {
    double *y, *gx, *gw, *gb;
    double *mean, *rstd, *of_g, *of_hat, *count;
} naive;

static double *zeros(int64_t n)
{
    return calloc((size_t)n, sizeof(double));
}

static naive by_the_book(kind k, const sizes *z, const float *x, const float *w, const float *b,
                         const float *gy)
{
    const int64_t n = z->n * z->c * z->s;
    naive v = {zeros(n), zeros(n), zeros(n), zeros(n), zeros(n),
               zeros(n), zeros(n), zeros(n), zeros(n)};
    for (int64_t i = 0; i < n; i++) {
        v.count[statistic_of(k, z, i)]++;
        v.mean[statistic_of(k, z, i)] += x[i];
    }
    for (int64_t i = 0; i < n && v.count[i] > 0; i++) v.mean[i] /= v.count[i];
    for (int64_t i = 0; i < n; i++) {
        const int64_t q = statistic_of(k, z, i);
        v.rstd[q] += (x[i] - v.mean[q]) * (x[i] - v.mean[q]) / v.count[q];
    }
    for (int64_t i = 0; i < n && v.count[i] > 0; i++) v.rstd[i] = 1 / sqrt(v.rstd[i] + 1e-3);
    for (int64_t i = 0; i < n; i++) {
        const int64_t q = statistic_of(k, z, i), p = weight_of(k, z, i);
        const double hat = (x[i] - v.mean[q]) * v.rstd[q], g = (double)gy[i] * w[p];
        v.y[i] = hat * w[p] + b[p];
        v.gb[p] += gy[i];
        v.gw[p] += gy[i] * hat;
        v.of_g[q] += g / v.count[q];
        v.of_hat[q] += g * hat / v.count[q];
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t q = statistic_of(k, z, i);
        const double hat = (x[i] - v.mean[q]) * v.rstd[q];
        const double g = (double)gy[i] * w[weight_of(k, z, i)];
        v.gx[i] = v.rstd[q] * (g - v.of_g[q] - hat * v.of_hat[q]);
    }
    return v;
}

static void compare(kind k, const sizes *z, const char *what, const mn_tensor *got,
                    const double *want, double scale)
{
    const float *g = mn_tensor_data(got);
    int64_t i = 0;
    while (i < mn_tensor_numel(got) &&
           fabs((double)g[i] - want[i]) <= 4e-6 * (fabs(want[i]) + scale))
        i++;
    ck_assert_msg(i == mn_tensor_numel(got), "kind %d, [%d, %d, %d]: %s[%d] is %.9g, not %.9g", k,
                  (int)z->n, (int)z->c, (int)z->s, what, (int)i, (double)g[i], want[i]);
}

static void check(kind k, const sizes *z)
{
    const int64_t shape[] = {z->n, z->c, z->s};
    const int64_t *inner = shape + 1;
    const int dims = k == LAYER ? 2 : 1;
    mn_tensor *x = drawn(3, shape, 1), *gy = drawn(3, shape, 2);
    mn_tensor *w = drawn(dims, inner, 3), *b = drawn(dims, inner, 4);
    naive v = by_the_book(k, z, mn_tensor_data(x), mn_tensor_data(w), mn_tensor_data(b),
                          mn_tensor_data(gy));
    float *first = NULL;
    const size_t bytes = (size_t)mn_tensor_numel(x) * sizeof *first;
    for (int threads = 1; threads <= 3; threads++) {
        mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = threads});
        mn_tensor *y = run(t, k, x, w, b);
        mn_backward_from(t, &y, 1, &(mn_backward_opts){.cotangents = &gy});
        ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
        mn_tensor *gx = mn_tensor_grad(x), *gw = mn_tensor_grad(w), *gb = mn_tensor_grad(b);
        const double all = (double)(z->n * z->s);
        compare(k, z, "y", y, v.y, 1);
        compare(k, z, "gx", gx, v.gx, 4);
        compare(k, z, "gw", gw, v.gw, sqrt(all));
        compare(k, z, "gb", gb, v.gb, sqrt(all));
        if (!first) {
            first = malloc(2 * bytes);
            memcpy(first, mn_tensor_data(y), bytes);
            memcpy(first + mn_tensor_numel(x), mn_tensor_data(gx), bytes);
        }
        ck_assert_int_eq(memcmp(first, mn_tensor_data(y), bytes), 0);
        ck_assert_int_eq(memcmp(first + mn_tensor_numel(x), mn_tensor_data(gx), bytes), 0);
        mn_tape_free(t);
        mn_tensor *const all_leaves[] = {x, w, b};
        for (int i = 0; i < 3; i++) mn_tensor_zero_grad(all_leaves[i]);
    }
    double *const parts[] = {v.y, v.gx, v.gw, v.gb, v.mean, v.rstd, v.of_g, v.of_hat, v.count};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) free(parts[i]);
    free(first);
    mn_tensor *const tensors[] = {x, gy, w, b};
    for (int i = 0; i < 4; i++) mn_release(tensors[i]);
}

START_TEST(every_size_agrees_with_plain_loops_for_any_team)
{
    static const sizes all[] = {{2, 2, 1},     {3, 4, 5},     {5, 6, 33},   {7, 130, 1},
                                {2, 4, 1031},  {3, 2, 2100},  {64, 66, 9},  {300, 130, 1},
                                {1100, 34, 1}, {17, 16, 130}, {2, 34, 577}, {40, 1024, 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (kind k = LAYER; k < KINDS; k++) check(k, &all[i]);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

START_TEST(statistics_of_untrained_weights_are_means_of_all_batches)
{
    mn_module *norm = mn_nn_batch_norm1d(1, NULL), *net = mn_nn_sequential(norm, mn_nn_tanh());
    mn_module_init(net, 1);
    mn_tape *t = mn_tape_new(NULL);
    const float batches[3][4] = {{1, 3, 1, 3}, {10, 10, 10, 14}, {0, 0, 0, 1}};
    mn_tensor *x[3], *mean = mn_module_get(net, "0.running_mean");
    mn_tensor *var = mn_module_get(net, "0.running_var");
    mn_tensor *count = mn_module_get(net, "0.num_batches_tracked");
    for (int i = 0; i < 3; i++) x[i] = mn_tensor_from(MN_F32, 2, (int64_t[]){4, 1}, batches[i]);

    mn_module_forward(net, t, x[2]); /* is forgotten */
    ck_assert_int_eq(mn_module_update_batch_norm(net, true), MN_OK);
    ck_assert_double_eq(mn_tensor_get(mean, (int64_t[]){0}), 0);
    ck_assert_int_eq(mn_tensor_get_i64(count, NULL), 0);
    mn_module_forward(net, t, x[0]);
    mn_module_forward(net, t, x[1]);
    ck_assert_int_eq(mn_module_update_batch_norm(net, false), MN_OK);
    ck_assert_double_eq_tol(mn_tensor_get(mean, (int64_t[]){0}), (2 + 11) / 2.0, 1e-6);
    ck_assert_double_eq_tol(mn_tensor_get(var, (int64_t[]){0}), (4 / 3.0 + 4) / 2, 1e-6);

    mn_module_forward(net, t, x[2]); /* with momentum again */
    ck_assert_double_eq_tol(mn_tensor_get(mean, (int64_t[]){0}), 0.9 * 6.5 + 0.1 * 0.25, 1e-6);
    ck_assert_int_eq(mn_tensor_get_i64(count, NULL), 3);
    ck_assert_int_eq(mn_tape_error(t), MN_OK);
    ck_assert_int_eq(mn_module_update_batch_norm(NULL, true), MN_ERR_ARGUMENT);
    mn_clear_last_error();
    mn_tape_free(t);
    mn_module_free(net);
    for (int i = 0; i < 3; i++) mn_release(x[i]);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

static mn_tensor *normalise(mn_tape *t, mn_tensor *const *in, int n, void *user)
{
    (void)n;
    return mn_module_forward(user, t, in[0]);
}

START_TEST(a_checkpoint_counts_its_batch_once)
{
    mn_module *norm = mn_nn_batch_norm1d(2, NULL);
    mn_module_init(norm, 1);
    mn_tensor *x = drawn(2, (int64_t[]){5, 2}, 1);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *loss = mn_sum(t, mn_square(t, mn_checkpoint(t, normalise, &x, 1, norm)));
    ck_assert_msg(mn_backward(t, loss) == MN_OK, "%s", mn_tape_message(t));
    ck_assert_int_eq(mn_tensor_get_i64(mn_module_get(norm, "num_batches_tracked"), NULL), 1);
    double mean = 0;
    for (int64_t i = 0; i < 5; i++) mean += mn_tensor_get(x, (int64_t[]){i, 1}) / 5;
    ck_assert_double_eq_tol(mn_tensor_get(mn_module_get(norm, "running_mean"), (int64_t[]){1}),
                            0.1 * mean, 1e-6);
    mn_tape_free(t);
    mn_module_free(norm);
    mn_release(x);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {every_size_agrees_with_plain_loops_for_any_team,
                            statistics_of_untrained_weights_are_means_of_all_batches,
                            a_checkpoint_counts_its_batch_once};
    return run_suite("norm", tests, sizeof tests / sizeof *tests);
}
