/*
 * text.h: a text as numbers, one for each character, with a part at its end that is not learned from.
 */
#ifndef EXAMPLES_TEXT_H
#define EXAMPLES_TEXT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct text {
    unsigned char *symbols;        /* [size], each below `kinds` */
    int64_t size, learned;         /* characters; those to learn from, the first ones */
    int64_t line_ends;             /* carriage returns left out: those before a line feed */
    int kinds;                     /* of characters */
    unsigned char characters[256]; /* that each symbol stands for, in ascending order */
} text;

/* Reads a file of at least 1000 bytes. Of a carriage return and a line feed only the latter stays;
 * all else is a character, byte by byte. The last tenth is held out. False after one line on stderr. */
bool text_load(text *x, const char *program, const char *file);
void text_free(text *x);

/* How many bits a character has, on average, if it is guessed by its frequency alone: those held out, by
 * the frequencies of those learned from (each counted once more, so that none is 0). */
double text_bits(const text *x);

/* The symbols from `start` on: in[i] and what follows it, next[i]; i < n. */
void text_window(const text *x, int64_t start, int64_t n, int64_t *in, int64_t *next);

#endif
