/*
 * picture.c: the sheet on which the images stand, a white line between them.
 */
#include "picture.h"
#include "plot.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SPNG
#include <spng.h>
#endif

enum { GAP = 2 };

static size_t sheet_width(const picture *p)
{
    return (size_t)(p->columns * (p->width + GAP) + GAP);
}

static size_t sheet_height(const picture *p)
{
    return (size_t)(p->rows * (p->height + GAP) + GAP);
}

bool picture_init(picture *p, int rows, int columns, int height, int width)
{
    *p = (picture){.rows = rows, .columns = columns, .height = height, .width = width};
    p->pixels = malloc(sheet_width(p) * sheet_height(p));
    if (p->pixels) memset(p->pixels, 255, sheet_width(p) * sheet_height(p));
    return p->pixels;
}

void picture_free(picture *p)
{
    free(p->pixels);
}

void picture_put(picture *p, int row, int column, const float *image)
{
    size_t top = (size_t)(row * (p->height + GAP) + GAP);
    size_t left = (size_t)(column * (p->width + GAP) + GAP);
    for (int y = 0; y < p->height; y++, top++)
        for (int x = 0; x < p->width; x++, image++)
            p->pixels[top * sheet_width(p) + left + (size_t)x] =
                (unsigned char)(*image > 0 ? *image < 1 ? 255.5F * *image : 255 : 0);
}

bool picture_name_fits(const char *program, const char *file)
{
    if (plot_ends_in(file, ".png")) return true;
    fprintf(stderr, "%s: the picture '%s' must be called something.png\n", program, file);
    return false;
}

#ifdef HAVE_SPNG

bool picture_possible(const char *program, const char *file)
{
    return plot_writable(program, file);
}

bool picture_save(const picture *p, const char *program, const char *file)
{
    struct spng_ihdr header = {.width = (uint32_t)sheet_width(p),
                               .height = (uint32_t)sheet_height(p),
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_GRAYSCALE};
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    FILE *f = fopen(file, "wb");
    const char *reason = png && f ? NULL : strerror(errno);
    int status = 0;
    if (!reason) {
        if (!status) status = spng_set_png_file(png, f);
        if (!status) status = spng_set_ihdr(png, &header);
        if (!status)
            status = spng_encode_image(png, p->pixels, sheet_width(p) * sheet_height(p),
                                       SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
        if (status) reason = spng_strerror(status);
    }
    if (f && fclose(f) && !reason) reason = strerror(errno);
    spng_ctx_free(png);
    if (reason) fprintf(stderr, "%s: cannot write '%s': %s\n", program, file, reason);
    return !reason;
}

#else

bool picture_possible(const char *program, const char *file)
{
    fprintf(stderr,
            "%s: '%s' is written by libspng, without which this was built (Debian, Ubuntu: apt "
            "install libspng-dev; Fedora: dnf install libspng-devel; Arch: pacman -S libspng; "
            "macOS: brew install libspng; then ./run clean)\n",
            program, file);
    return false;
}

bool picture_save(const picture *p, const char *program, const char *file)
{
    (void)p;
    return picture_possible(program, file);
}

#endif
