/*
 * history.h: what each epoch of the MNIST example came to, kept for the CSV file and the curves.
 */
#ifndef EXAMPLES_HISTORY_H
#define EXAMPLES_HISTORY_H

#include "review.h"
#include <stdio.h>

typedef struct epoch {
    score train; /* while training, over the epoch's batches */
    score test;  /* after it */
    double seconds, lr;
} epoch;

typedef struct history {
    epoch *epochs;
    int n;
    FILE *csv; /* NULL: none */
    const char *csv_name;
} history;

/* Room for `capacity` epochs; opens the CSV file (NULL: none). False after one line on stderr.
 * history_close takes both outcomes. */
bool history_open(history *h, int capacity, const char *csv);
bool history_add(history *h, epoch e); /* false, with a line on stderr, when the CSV file is full */
bool history_plot(const history *h, const char *file, const char *title);
void history_close(history *h);

#endif
