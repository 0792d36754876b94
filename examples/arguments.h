/*
 * arguments.h: the command lines of the examples: a table of options, and strict readers of their
 * values: the whole text must be the value, and a number must lie in the option's range.
 */
#ifndef EXAMPLES_ARGUMENTS_H
#define EXAMPLES_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum argument_kind {
    ARG_FLAG = 0, /* bool, without a value on the command line */
    ARG_INT,      /* int, from low to high */
    ARG_INT64,    /* int64_t, from low to high, which are at most 2^53 */
    ARG_NUMBER,   /* double, from low to high */
    ARG_SEED,     /* uint64_t, all of them */
    ARG_CHOICE,   /* int: the value's place among `choices` */
    ARG_FILE,     /* const char *, not empty: a file's name, or another text */
    ARG_PICTURE,  /* const char *: a name that plot.h can draw to */
    ARG_PNG,      /* const char *: a name for picture.h */
    ARG_OTHER     /* what `read` does with it */
} argument_kind;

typedef struct argument {
    const char *name; /* without the dashes */
    argument_kind kind;
    void *value; /* where to put it; what stands there is the default */
    double low, high;
    const char *const *choices; /* NULL behind the last one */
    /* Of ARG_OTHER: reads the text into value; false after a line on stderr. */
    bool (*read)(const char *program, const char *text, void *value);
    bool *given; /* set when the option is there; may be NULL */
} argument;

/* Reads the command line of a program that has these n <= 32 options, --help, which prints `help`, and
 * no other arguments. False when the program is to end here, with *status: 0 after --help, 2 after a
 * mistake, of which one line on stderr tells. */
bool arguments_parse(const char *program, const char *help, const argument *options, int n,
                     int argc, char **argv, int *status);

/* One whole number, for readers of lists of them; false after a line on stderr. */
bool argument_int(const char *program, const char *name, const char *text, double low, double high,
                  int64_t *value);

/* The default of --threads: one for each processor, at most 4. */
int arguments_threads(void);

#endif
