/*
 * handloop.c: the loop that minnow is measured against: MLP 784-128-10 with ReLU, cross entropy and plain
 * SGD, written by hand for this one net, with OpenBLAS for the products: gemm, and for a single sample
 * gemv and ger. It keeps whole gradients, as a trainer does that clips or looks at them.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#if MNI_HAVE_OPENBLAS
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Parameters and gradients lie each in one block, so that SGD is one loop. */
enum {
    B1_AT = MLP_W1,
    W2_AT = B1_AT + MLP_HIDDEN,
    B2_AT = W2_AT + MLP_W2,
    COUNT = B2_AT + CLASSES
};

static struct {
    int n, threads;
    float *memory;
    int64_t *target; /* [n] */
    float *p, *g;    /* w1 [128, 784], b1 [128], w2 [10, 128], b2 [10]; their gradients */
    float *x;        /* [n, 784] */
    float *h, *gh;   /* [n, 128] */
    float *y;        /* [n, 10]: logits, then their gradient */
} loop;

static int64_t padded(int64_t n)
{
    return (n + 15) / 16 * 16;
}

static void handloop_close(contender *c)
{
    (void)c;
    free(loop.memory);
    free(loop.target);
    memset(&loop, 0, sizeof loop);
}

static opened handloop_open(contender *c, const work *w, int threads)
{
    if (strcmp(w->net, "mlp") != 0) return OPEN_ABSENT;
    int64_t n = w->n;
    int64_t count =
        2 * padded(COUNT) + padded(n * MLP_IN) + 2 * padded(n * MLP_HIDDEN) + n * CLASSES;
    loop.memory = aligned_alloc(64, (size_t)padded(count) * sizeof(float));
    loop.target = malloc((size_t)n * sizeof *loop.target);
    if (!loop.memory || !loop.target) {
        fprintf(stderr, "bench: C loop: out of memory\n");
        handloop_close(c);
        return OPEN_FAILED;
    }
    loop.n = (int)n;
    loop.threads = threads;
    loop.p = loop.memory;
    loop.g = loop.p + padded(COUNT);
    loop.x = loop.g + padded(COUNT);
    loop.h = loop.x + padded(n * MLP_IN);
    loop.gh = loop.h + padded(n * MLP_HIDDEN);
    loop.y = loop.gh + padded(n * MLP_HIDDEN);
    synth_uniform(loop.p, MLP_W1, SEED_W1, -MLP_BOUND1, MLP_BOUND1);
    synth_uniform(loop.p + B1_AT, MLP_HIDDEN, SEED_B1, -MLP_BOUND1, MLP_BOUND1);
    synth_uniform(loop.p + W2_AT, MLP_W2, SEED_W2, -MLP_BOUND2, MLP_BOUND2);
    synth_uniform(loop.p + B2_AT, CLASSES, SEED_B2, -MLP_BOUND2, MLP_BOUND2);
    synth_uniform(loop.x, n * MLP_IN, SEED_X, 0, 1);
    synth_labels(loop.target, n);
    return OPEN_READY;
}

/* y[n, out] <- x[n, in] w[out, in]^T */
static void forward_product(int n, int out, int in, const float *x, const float *w, float *y)
{
    if (n == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, out, in, 1, w, in, x, 1, 0, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, out, in, 1, x, in, w, in, 0, y,
                    out);
}

/* gx[n, in] <- gy[n, out] w[out, in] */
static void input_gradient(int n, int out, int in, const float *gy, const float *w, float *gx)
{
    if (n == 1)
        cblas_sgemv(CblasRowMajor, CblasTrans, out, in, 1, w, in, gy, 1, 0, gx, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, in, out, 1, gy, out, w, in, 0, gx,
                    in);
}

/* gw[out, in] <- gy[n, out]^T x[n, in];  gb[out] <- column sums of gy */
static void weight_gradient(int n, int out, int in, const float *gy, const float *x, float *gw,
                            float *gb)
{
    if (n == 1) {
        memset(gw, 0, (size_t)out * (size_t)in * sizeof *gw);
        cblas_sger(CblasRowMajor, out, in, 1, gy, 1, x, 1, gw, in);
    } else {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, out, in, n, 1, gy, out, x, in, 0, gw,
                    in);
    }
    memset(gb, 0, (size_t)out * sizeof *gb);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < out; j++) gb[j] += gy[i * out + j];
}

/* y[n, 10], logits + bias -> their gradient; returns the mean loss. */
static float cross_entropy(int n, float *restrict y, const float *restrict bias,
                           const int64_t *restrict target)
{
    float loss = 0;
    for (int i = 0; i < n; i++, y += CLASSES) {
        float max = -INFINITY, sum = 0, e[CLASSES];
        for (int j = 0; j < CLASSES; j++) {
            y[j] += bias[j];
            max = y[j] > max ? y[j] : max;
        }
        for (int j = 0; j < CLASSES; j++) sum += e[j] = expf(y[j] - max);
        loss += logf(sum) + max - y[target[i]];
        for (int j = 0; j < CLASSES; j++)
            y[j] = (e[j] / sum - (j == target[i] ? 1.0f : 0.0f)) / (float)n;
    }
    return loss / (float)n;
}

static float step(void)
{
    const int n = loop.n;
    float *restrict h = loop.h, *restrict gh = loop.gh, *restrict p = loop.p, *restrict g = loop.g;

    forward_product(n, MLP_HIDDEN, MLP_IN, loop.x, p, h);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < MLP_HIDDEN; j++) {
            float v = h[i * MLP_HIDDEN + j] + p[B1_AT + j];
            h[i * MLP_HIDDEN + j] = v > 0 ? v : 0;
        }
    forward_product(n, CLASSES, MLP_HIDDEN, h, p + W2_AT, loop.y);
    float loss = cross_entropy(n, loop.y, p + B2_AT, loop.target);

    weight_gradient(n, CLASSES, MLP_HIDDEN, loop.y, h, g + W2_AT, g + B2_AT);
    input_gradient(n, CLASSES, MLP_HIDDEN, loop.y, p + W2_AT, gh);
    for (int i = 0; i < n * MLP_HIDDEN; i++) gh[i] = h[i] > 0 ? gh[i] : 0;
    weight_gradient(n, MLP_HIDDEN, MLP_IN, gh, loop.x, g, g + B1_AT);

    for (int i = 0; i < COUNT; i++) p[i] -= (float)SGD_LR * g[i];
    return loss;
}

/* minnow wants OpenBLAS on one thread; the loop gives the setting back after each of its turns. */
/* OpenBLAS's threads spin for 2^26 cycles after their work, on the cores of who has the next turn. */
static void settle(void)
{
    openblas_set_num_threads(1);
    if (loop.threads > 1) nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
}

static double handloop_loss(contender *c, int steps)
{
    (void)c;
    float loss = NAN;
    openblas_set_num_threads(loop.threads);
    for (int i = 0; i < steps; i++) loss = step();
    settle();
    return (double)loss;
}

static double handloop_run(contender *c, int steps)
{
    (void)c;
    openblas_set_num_threads(loop.threads);
    double start = now_ns();
    for (int i = 0; i < steps; i++) step();
    double ns = now_ns() - start;
    settle();
    return ns;
}

contender contender_handloop(void)
{
    contender c = {.title = "C loop",
                   .open = handloop_open,
                   .loss = handloop_loss,
                   .run = handloop_run,
                   .close = handloop_close};
    char version[64] = "OpenBLAS";
    sscanf(openblas_get_config(), "%*s %63s", version);
    snprintf(c.version, sizeof c.version, "OpenBLAS %s, core %s", version, openblas_get_corename());
    return c;
}

#else

contender contender_handloop(void)
{
    return (contender){.title = "C loop", .absent = "minnow was built without OpenBLAS"};
}

#endif
