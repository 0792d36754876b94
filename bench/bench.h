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

/* One row of the table. A contender knows a net by its name; run_minnow.c has them all. n: samples in a
 * batch, or elements of "rrelu", whose step is forward and backward alone. */
typedef struct work {
    const char *label, *net;
    int64_t n;
    double tolerance; /* how far losses may differ, relatively; 0: they cannot be compared */
} work;

/* The net "mlp", which handloop.c has by heart. */
enum { MLP_IN = 784, MLP_HIDDEN = 128, CLASSES = 10 };
enum { MLP_W1 = MLP_HIDDEN * MLP_IN, MLP_W2 = CLASSES * MLP_HIDDEN };

#define SGD_LR 0.1 /* plain SGD */

/* Which numbers: each tensor has a seed of its own, parameter i of a net SEED_W1 + i. */
enum { SEED_X = 1, SEED_TARGET, SEED_GY, SEED_W1, SEED_B1, SEED_W2, SEED_B2 };

/* x[0..n) <- low + (high - low) u[i] with u in [0, 1) hashed from (seed, i). */
void synth_uniform(float *x, int64_t n, uint32_t seed, float low, float high);
/* y[0..n) <- labels in [0, CLASSES). */
void synth_labels(int64_t *y, int64_t n);

/* The interval (-bound, bound) of the parameters of each layer is that of 1 / sqrt(inputs), of norms
 * (0.5, 1.5) and (-0.5, 0.5); the MLP's: */
#define MLP_BOUND1 (1.0f / 28)
#define MLP_BOUND2 0.0883883476f

/* ---- a contender ---- */

typedef enum opened { OPEN_FAILED, OPEN_ABSENT, OPEN_READY } opened;

/* One work is open at a time. What fails says why on stderr and returns OPEN_FAILED or NAN. */
typedef struct contender contender;
struct contender {
    const char *title;  /* of its column */
    const char *absent; /* why it does not take part, NULL when it does */
    char version[128];  /* "PyTorch 2.13.0, Python 3.12" */
    char form[64];      /* of the work that is open: what was chosen as the fastest, or "" */
    struct child *child;
    opened (*open)(contender *c, const work *w, int threads);
    double (*loss)(contender *c, int steps); /* of the last of `steps` steps; not for "rrelu" */
    double (*run)(contender *c, int steps);  /* nanoseconds that `steps` steps took */
    void (*close)(contender *c);
};

contender contender_minnow(void);
contender contender_handloop(void);

/* Starts `python` (NULL: python3) with a script that speaks as serve in synthetic.py does; threads
 * are told to it with each work. It says itself on stderr why it cannot run, unless quiet. */
contender contender_python(const char *title, const char *python, const char *script, bool quiet);
void contender_python_stop(contender *c);

/* Floating-point operations of the products of a step of minnow's open work: twice the
 * multiply-adds of the forward pass and of the gradients that are needed. 0: it has no products. */
double minnow_arithmetic(void);

/* ---- measuring ---- */

double now_ns(void);

/* Sorts x. */
double median(double *x, int n);

/* Floating-point operations that one core does in a nanosecond when it does nothing but
 * multiply-adds. */
double peak_flops(void);

#endif
