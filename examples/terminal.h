/*
 * terminal.h: what the examples show while they work: a progress bar and colours where stdout is a
 * terminal, plain lines elsewhere; and Ctrl-C, which ends the work but not the program.
 */
#ifndef EXAMPLES_TERMINAL_H
#define EXAMPLES_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct terminal {
    bool bar;    /* stdout can redraw a line */
    bool colour; /* and NO_COLOR is not set */
    int width;
    double begun, drawn; /* when the work began, when the bar was last drawn */
} terminal;

/* Seconds of a clock that never jumps. */
double seconds_now(void);

/* quiet: neither bar nor colours. */
terminal terminal_begin(bool quiet);

/* Escapes of the terminal, nothing where there are no colours. */
const char *bold(const terminal *t);
const char *dim(const terminal *t);
const char *red(const terminal *t);
const char *green(const terminal *t);
const char *plain(const terminal *t);

/* Draws "head ━━━── tail 0:12 left", at most 20 times a second but for the last time, when `part`,
 * what of the bar is full, is 1. all: the part of the whole work that is done, counted from t->begun,
 * from which the time left follows. Nothing without a bar. */
void terminal_bar(terminal *t, const char *head, const char *tail, double part, double all);

/* What to print before a line that is to take the bar's place. */
const char *terminal_clear(const terminal *t);

/* One character that shows two pixels, one above the other, from 0 (dark) to 1. */
void terminal_pixels(const terminal *t, double upper, double lower);

/* Adds to the text in a buffer; what does not fit is cut. */
void add_text(char *buffer, size_t size, const char *format, ...);

typedef struct number {
    char text[32];
} number;

/* 60000 as "60,000" */
number grouped(int64_t n);

/* From here on the first Ctrl-C only makes `interrupted` true; a second one ends the program. */
void catch_interrupt(void);
bool interrupted(void);

/* The last thing that a program does: returns its status, 1 with a line on stderr when stdout could
 * not take all that was printed. */
int end_program(const char *program, int status);

#endif
