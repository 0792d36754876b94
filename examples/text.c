/*
 * text.c: reads a file and numbers the characters that are in it.
 */
#include "text.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 1000, MOST = 100000000 };

/* The whole file; NULL, with the reason in errno. */
static unsigned char *read_file(const char *file, int64_t *size)
{
    FILE *f = fopen(file, "rb");
    unsigned char *bytes = NULL;
    int64_t room = 0;
    *size = 0;
    while (f && !ferror(f) && !feof(f) && *size <= MOST) {
        if (*size == room) {
            unsigned char *more = realloc(bytes, (size_t)(room += 1 + room + 65536));
            if (!more) break;
            bytes = more;
        }
        *size += (int64_t)fread(bytes + *size, 1, (size_t)(room - *size), f);
    }
    bool whole = f && feof(f);
    int reason = errno;
    if (f) fclose(f);
    errno = reason;
    if (whole) return bytes;
    if (*size > MOST) errno = EFBIG;
    free(bytes);
    return NULL;
}

/* Gives every character that occurs a number. */
static void number_characters(text *x)
{
    bool there[256] = {false};
    unsigned char number[256];
    for (int64_t i = 0; i < x->size; i++) there[x->symbols[i]] = true;
    for (int c = 0; c < 256; c++) {
        if (!there[c]) continue;
        number[c] = (unsigned char)x->kinds;
        x->characters[x->kinds++] = (unsigned char)c;
    }
    for (int64_t i = 0; i < x->size; i++) x->symbols[i] = number[x->symbols[i]];
}

bool text_load(text *x, const char *program, const char *file)
{
    int64_t size, kept = 0;
    *x = (text){.symbols = read_file(file, &size)};
    if (!x->symbols) {
        fprintf(stderr, "%s: cannot read '%s': %s\n", program, file, strerror(errno));
        return false;
    }
    for (int64_t i = 0; i < size; i++) {
        if (x->symbols[i] == '\r' && i + 1 < size && x->symbols[i + 1] == '\n')
            x->line_ends++;
        else
            x->symbols[kept++] = x->symbols[i];
    }
    x->size = kept;
    x->learned = kept - kept / 10;
    if (kept < LEAST) {
        fprintf(stderr, "%s: '%s' has %" PRId64 " characters; at least %d are needed\n", program,
                file, kept, LEAST);
        return false;
    }
    number_characters(x);
    return true;
}

void text_free(text *x)
{
    free(x->symbols);
}

double text_bits(const text *x)
{
    double count[256], bits = 0;
    for (int k = 0; k < 256; k++) count[k] = 1;
    for (int64_t i = 0; i < x->learned; i++) count[x->symbols[i]]++;
    for (int64_t i = x->learned; i < x->size; i++)
        bits -= log2(count[x->symbols[i]] / (double)(x->learned + x->kinds));
    return bits / (double)(x->size - x->learned);
}

void text_window(const text *x, int64_t start, int64_t n, int64_t *in, int64_t *next)
{
    for (int64_t i = 0; i < n; i++) {
        in[i] = x->symbols[start + i];
        next[i] = x->symbols[start + i + 1];
    }
}
