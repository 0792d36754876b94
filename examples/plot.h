/*
 * plot.h: pictures of the examples, drawn by gnuplot through a pipe.
 */
#ifndef EXAMPLES_PLOT_H
#define EXAMPLES_PLOT_H

#include <stdbool.h>
#include <stdio.h>

/* Whether the file's name ends in .svg or .png; otherwise one line on stderr, after `program`. */
bool plot_name_fits(const char *program, const char *file);

/* The parts of that and of what follows which other pictures need as well. */
bool plot_ends_in(const char *file, const char *suffix);
bool plot_writable(const char *program, const char *file);

/* Whether gnuplot is there and the file can be written, to be asked before long work begins;
 * otherwise one line on stderr. */
bool plot_possible(const char *program, const char *file);

/* A pipe that takes gnuplot commands and data and draws into the file, with a light grid; NULL with
 * errno set. */
FILE *plot_begin(const char *file, int width, int height);

/* Ends the picture. False, with a line on stderr, when gnuplot failed. */
bool plot_end(const char *program, const char *file, FILE *gnuplot);

#endif
