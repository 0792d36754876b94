/*
 * report.h: where results go: to stdout, and into the files of `--write DIR`.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>

/* Makes DIR and begins DIR/results.md; false with a line on stderr. Without it only stdout is written. */
bool report_open(const char *directory);
/* False, with a line on stderr, when not all could be written. */
bool report_close(void);

/* printf to stdout and into results.md. */
#if defined __GNUC__
__attribute__((format(printf, 1, 2)))
#endif
void say(const char *format, ...);

/* A bar of a plot; those of one label stand together. */
typedef struct bar {
    const char *label;
    int series; /* 0, 1, ...: its colour */
    double value;
} bar;

/* DIR/<file>: horizontal bars, with a line at 1. names: of the series. Nothing without report_open. */
void plot_bars(const char *file, const char *title, const bar *bars, int n, char (*names)[16],
               int n_names);

enum { CURVE_POINTS = 8 };

/* y over x, both above 0. */
typedef struct curve {
    const char *title, *x_name, *y_name;
    int n;
    double x[CURVE_POINTS], y[CURVE_POINTS];
} curve;

/* DIR/<file>: the curves beside each other, on logarithmic scales. */
void plot_curves(const char *file, const curve *curves, int n);

#endif
