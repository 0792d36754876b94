/*
 * table.h: the table of steps, in which the contenders take turns.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "bench.h"

enum { MINNOW, LOOP, TORCH, JAX, CONTENDERS };
enum { MAX_ROUNDS = 1000, MAX_THREADS = 8, CHECK_STEPS = 10 };

typedef struct table_opts {
    int threads[MAX_THREADS], n_threads; /* each row is measured with each of them */
    int rounds;
    double turn_ns; /* how long one turn should take */
    double peak;    /* of a core, as peak_flops gives it */
} table_opts;

/* Measures and says all rows. False when a contender failed, or has another loss than minnow. */
bool report_table(contender all[CONTENDERS], const table_opts *o);

/* Of the table that was reported: a table of how steps gain from a second thread; results.svg. */
void report_scaling(void);
void plot_ratios(void);

#endif
