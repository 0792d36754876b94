/*
 * bench.h: what a contender of the benchmark is, and the numbers that all of them start from.
 *
 * Every contender trains the same net on the same batch from the same weights (synthetic values that C
 * and Python compute alike), so that their losses can be compared before their times are.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

/* ---- the work ---- */

enum { MLP_IN = 784, MLP_HIDDEN = 128, MLP_OUT = 10 };
enum { MLP_W1 = MLP_HIDDEN * MLP_IN, MLP_W2 = MLP_OUT * MLP_HIDDEN };

/* Two convolutions of 5 x 5 with padding, each with ReLU and a max pool of 2 x 2, and a linear layer
 * on images of 28 x 28. */
enum { CNN_SIDE = 28, CNN_CHANNELS1 = 16, CNN_CHANNELS2 = 32, CNN_KERNEL = 5 };

#define MLP_LR 0.1 /* plain SGD, mean cross entropy, ReLU between the layers; the CNN likewise */

typedef enum work_kind { WORK_MLP, WORK_CNN, WORK_RRELU } work_kind;

/* One row of the table. n: samples in a batch, or elements. */
typedef struct work {
    const char *label;
    work_kind kind;
    int64_t n;
} work;

/* Which numbers: each tensor has a seed of its own, parameter i of a net SEED_W1 + i. */
enum { SEED_X = 1, SEED_TARGET, SEED_GY, SEED_W1, SEED_B1, SEED_W2, SEED_B2 };

/* x[0..n) <- low + (high - low) u[i] with u in [0, 1) hashed from (seed, i). */
void synth_uniform(float *x, int64_t n, uint32_t seed, float low, float high);
/* y[0..n) <- labels in [0, MLP_OUT). */
void synth_labels(int64_t *y, int64_t n);

/* The interval (-bound, bound) of the parameters of each layer is that of 1 / sqrt(inputs); the
 * MLP's: */
#define MLP_BOUND1 (1.0f / 28)
#define MLP_BOUND2 0.0883883476f

/* ---- a contender ---- */

/* One work is open at a time. What fails says why on stderr and returns false or NAN. */
typedef struct contender {
    const char *title;  /* of its column */
    const char *absent; /* why it does not take part, NULL when it does */
    bool mlp_only;
    bool (*open)(const work *w, int threads);
    double (*loss)(int steps); /* of the last of `steps` steps; not for RReLU */
    double (*run)(int steps);  /* nanoseconds that `steps` steps took */
    void (*close)(void);
} contender;

contender contender_minnow(void);
contender contender_handloop(void);

/* Starts `python` (NULL: python3, and no complaint when that cannot import torch). */
contender contender_torch(const char *python, int threads);
void contender_torch_stop(void);

/* For the last lines: "OpenBLAS 0.3.21, core Zen"; "PyTorch 2.13.0, Python 3.12"; "" when absent. */
const char *handloop_version(void);
const char *torch_version(void);

double now_ns(void);

#endif
