/*
 * options.h: the command line of the MNIST example, read and checked before any work begins.
 */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAX_HIDDEN = 16, MAX_WEIGHTS = 100000000 };

enum model { MLP = 0, CNN };
enum activation { RRELU = 0, RELU, LEAKY_RELU, PRELU, SIGMOID, TANH };

typedef struct options {
    int model; /* an enum model */
    int epochs;
    int64_t batch_size;
    double lr;     /* of the first step */
    int64_t shift; /* pixels */
    int64_t hidden[MAX_HIDDEN];
    int n_hidden;
    int activation;      /* an enum activation */
    double lower, upper; /* of rrelu's slopes */
    bool bounds, sizes;  /* the bounds, hidden sizes were given */
    uint64_t seed;
    int threads;
    const char *data; /* directory */
    int64_t limit;    /* training images; 0: all */
    const char *csv;  /* NULL: none */
    const char *plot; /* NULL: none */
    bool quiet;
} options;

/* Fills o from the command line over the defaults. False when the program is to end here, with
 * *status: 0 after --help, 2 after a mistake, of which one line on stderr tells. */
bool options_parse(options *o, int argc, char **argv, int *status);

/* "rrelu" */
const char *activation_name(int activation);

#endif
