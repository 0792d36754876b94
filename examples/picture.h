/*
 * picture.h: grey images in rows and columns, as one PNG file. libspng writes it; a program that was
 * built without that says so.
 */
#ifndef EXAMPLES_PICTURE_H
#define EXAMPLES_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the file's name ends in .png; otherwise one line on stderr, after `program`. */
bool picture_name_fits(const char *program, const char *file);

/* Whether libspng is there and the file can be written, to be asked before long work begins;
 * otherwise one line on stderr. */
bool picture_possible(const char *program, const char *file);

typedef struct picture {
    int rows, columns, height, width; /* images, and the pixels of one */
    unsigned char *pixels;
} picture;

/* White; false without memory. picture_free takes both outcomes. */
bool picture_init(picture *p, int rows, int columns, int height, int width);
void picture_free(picture *p);

/* Puts an image, [height, width] from 0 (black) to 1, at its place. */
void picture_put(picture *p, int row, int column, const float *image);

/* False, with a line on stderr, when the file could not be written. */
bool picture_save(const picture *p, const char *program, const char *file);

#endif
