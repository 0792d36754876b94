/*
 * check.h: how these programs say that something is not as promised. Each program is a user of the library:
 * it may print and end the process, the library never does.
 */
#ifndef CHECK_H
#define CHECK_H

#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s (last error: %s)\n", __FILE__, __LINE__,          \
                    #condition, mn_last_message());                                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The tape has no error. */
#define CHECK_TAPE(t)                                                                              \
    do {                                                                                           \
        if (mn_tape_error(t)) {                                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, mn_tape_message(t));                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
