/*
 * report.h: what the MNIST example says on stdout.
 */
#ifndef EXAMPLES_REPORT_H
#define EXAMPLES_REPORT_H

#include "history.h"
#include "options.h"
#include "terminal.h"

typedef struct report {
    const options *o;
    terminal t;
} report;

/* How far training is. */
typedef struct progress {
    int epoch;                /* from 1 */
    int64_t batch, batches;   /* in this epoch */
    const score *train;       /* of this epoch so far */
    double images_per_second; /* of this epoch's training steps */
} progress;

report report_begin(const options *o);
void report_setup(report *r, const review *data, int64_t train, int64_t test, int64_t parameters);
void report_progress(report *r, const progress *p);
void report_epoch(report *r, const progress *p, const epoch *e);
void report_stopped(report *r, const progress *p);
void report_summary(report *r, const score *train, const score *test, const review *v,
                    int64_t all_samples);

/* The last line, with and without --quiet. */
void report_accuracy(const score *test);

/* "784 - 256 - 128 - 10, rrelu(0.125, 0.333)" */
void report_net(char *buffer, size_t size, const options *o, const review *data);

#endif
