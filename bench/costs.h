/*
 * costs.h: what minnow costs beside its arithmetic, and how that grows.
 */
#ifndef BENCH_COSTS_H
#define BENCH_COSTS_H

#include <stdbool.h>

/* `bench --steps N`: trains the MLP and prints the clock behind its first step, then its peak
 * resident memory in KiB. An exit code. */
int costs_steps(int steps);

/* Tables of costs and of growth (also growth.svg). self: how the program was called. quick: only look
 * whether all works. False after a line on stderr. */
bool report_costs(const char *self, bool quick);
bool report_growth(const char *self, bool quick);

#endif
