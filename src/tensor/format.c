/*
 * tensor/format.c: tensors as text, by the rules of numpy's array2string. It looks at the visible
 * elements twice to learn how wide they are, then writes them into the caller's buffer; no memory
 * is taken, and the locale's decimal point does not show.
 */
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 32 }; /* more than any double has that is written without an exponent */

/* Writes as snprintf does. Spaces are held back until something follows on their line. */
typedef struct writer {
    char *buffer;
    size_t size, length;
    int64_t spaces;
} writer;

static void put_raw(writer *w, char c)
{
    if (w->length + 1 < w->size) w->buffer[w->length] = c;
    w->length++;
}

static void put(writer *w, char c)
{
    if (c == ' ') {
        w->spaces++;
        return;
    }
    if (c == '\n') w->spaces = 0;
    for (; w->spaces > 0; w->spaces--) put_raw(w, ' ');
    put_raw(w, c);
}

static void put_text(writer *w, const char *text)
{
    while (*text) put(w, *text++);
}

static size_t finish(writer *w)
{
    for (; w->spaces > 0; w->spaces--) put_raw(w, ' ');
    if (w->size) w->buffer[w->length < w->size ? w->length : w->size - 1] = '\0';
    return w->length;
}

/* How the elements of one tensor are written. */
typedef struct style {
    const mn_tensor *x;
    int precision, line_width;
    int64_t edge;
    bool summary;          /* only edges are shown */
    bool scientific;       /* of floats, like the next four */
    double smallest, most; /* absolute values, finite and not 0; smallest is INFINITY without any */
    bool finite, nonfinite, negative_infinity;
    int left, right;     /* characters before and after the point (of a mantissa) */
    int exponent_digits; /* 2 or 3 */
    int width;           /* of every element */
} style;

/* 0.000123 is digits "123" with exponent -4; without trailing zeros, so 0 has no digits. */
typedef struct decimal {
    bool negative;
    char digits[32];
    int n, exponent;
} decimal;

static double load(const style *s, const char *at)
{
    if (s->x->dtype == MN_F64) return *(const double *)at;
    return (double)*(const float *)at;
}

static long long load_integer(const style *s, const char *at)
{
    if (s->x->dtype == MN_I64) return (long long)*(const int64_t *)at;
    return *(const unsigned char *)at;
}

/* v >= 0 in scientific notation with `places` digits after the first; returns whether they tell v
 * from all its neighbours. */
static bool print_digits(double v, bool single, int places, decimal *d)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", places, v);
    d->n = 0;
    const char *c = text;
    for (; *c && *c != 'e'; c++) /* whatever stands for the point is skipped */
        if (*c >= '0' && *c <= '9') d->digits[d->n++] = *c;
    d->exponent = *c ? (int)strtol(c + 1, NULL, 10) : 0;
    while (d->n > 0 && d->digits[d->n - 1] == '0') d->n--;
    if (single) return !(strtof(text, NULL) < (float)v) && !(strtof(text, NULL) > (float)v);
    return !(strtod(text, NULL) < v) && !(strtod(text, NULL) > v);
}

/* The fewest digits that identify v among numbers of its type, but none beyond the precision. */
static decimal to_decimal(const style *s, double v)
{
    decimal d = {.negative = signbit(v)};
    v = fabs(v);
    int most = s->precision;
    if (!s->scientific) { /* the precision counts from the point */
        print_digits(v, false, 20, &d);
        most += d.exponent;
    }
    if (most < 0) { /* one unit of the last place, or nothing */
        char text[64];
        snprintf(text, sizeof text, "%.*f", s->precision, v);
        d.n = text[strlen(text) - 1] == '1';
        d.digits[0] = '1';
        d.exponent = d.n ? -s->precision : 0;
        return d;
    }
    int places = 0;
    while (!print_digits(v, s->x->dtype == MN_F32, places, &d) && places < most) places++;
    if (d.n == 0) d.exponent = 0;
    return d;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int places_before(const style *s, const decimal *d)
{
    return d->negative + (s->scientific ? 1 : larger(1, d->exponent + 1));
}

static int places_after(const style *s, const decimal *d)
{
    return larger(0, s->scientific ? d->n - 1 : d->n - 1 - d->exponent);
}

typedef void (*visit_fn)(style *s, const char *at);

static int64_t next_visible(const style *s, int64_t i, int64_t size)
{
    return s->summary && i == s->edge - 1 && size > 2 * s->edge ? size - s->edge : i + 1;
}

static int64_t step(const mn_tensor *x, int dim)
{
    return x->strides[dim] * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
}

/* Calls visit for every element that will be shown. */
static void visit_all(style *s, int dim, const char *at, visit_fn visit)
{
    if (dim == s->x->ndim) {
        visit(s, at);
        return;
    }
    int64_t size = s->x->shape[dim];
    for (int64_t i = 0; i < size; i = next_visible(s, i, size))
        visit_all(s, dim + 1, at + i * step(s->x, dim), visit);
}

static void find_range(style *s, const char *at)
{
    double v = load(s, at), size = fabs(v);
    if (!isfinite(v)) {
        s->nonfinite = true;
        if (isinf(v) && v < 0) s->negative_infinity = true;
        return;
    }
    s->finite = true;
    if (size > 0 && size < s->smallest) s->smallest = size;
    if (size > s->most) s->most = size;
}

static void measure_float(style *s, const char *at)
{
    double v = load(s, at);
    if (!isfinite(v)) return;
    decimal d = to_decimal(s, v);
    s->left = larger(s->left, places_before(s, &d));
    s->right = larger(s->right, places_after(s, &d));
    if (abs(d.exponent) >= 100) s->exponent_digits = 3;
}

static void measure_integer(style *s, const char *at)
{
    s->width = larger(s->width, snprintf(NULL, 0, "%lld", load_integer(s, at)));
}

/* numpy compares in the tensor's own type. */
static bool wants_scientific(const style *s)
{
    if (isinf(s->smallest)) return false;
    if (s->x->dtype == MN_F64)
        return s->most >= 1e8 || s->smallest < 1e-4 || s->most / s->smallest > 1000;
    float most = (float)s->most, smallest = (float)s->smallest;
    return most >= 1e6F || smallest < 1e-4F || most / smallest > 1000;
}

static void measure(style *s)
{
    const mn_tensor *x = s->x;
    if (x->dtype == MN_BOOL) {
        s->width = 5;
        return;
    }
    if (!mni_is_float((mn_dtype)x->dtype)) {
        visit_all(s, 0, x->data, measure_integer);
        return;
    }
    s->smallest = (double)INFINITY;
    s->exponent_digits = 2;
    visit_all(s, 0, x->data, find_range);
    s->scientific = wants_scientific(s);
    visit_all(s, 0, x->data, measure_float);
    int tail = s->finite && s->scientific ? 2 + s->exponent_digits : 0;
    if (s->nonfinite) s->left = larger(s->left, 3 + s->negative_infinity - (s->right + tail + 1));
    s->width = s->left + 1 + s->right + tail;
}

static void put_right(writer *w, int width, const char *text)
{
    w->spaces += larger(0, width - (int)strlen(text));
    put_text(w, text);
}

static void put_float(writer *w, const style *s, double v)
{
    if (!isfinite(v)) {
        put_right(w, s->width, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    decimal d = to_decimal(s, v);
    if (s->scientific) /* digits for all places: a denormal number is told by fewer than it has */
        print_digits(fabs(v), false, s->right, &d);
    w->spaces += s->left - places_before(s, &d);
    if (d.negative) put(w, '-');
    int power =
        s->scientific ? 0 : larger(0, d.exponent); /* of the digit at work, from d.exponent */
    int shift = s->scientific ? 0 : d.exponent;
    int last = -places_after(s, &d);
    for (; power >= last || power >= 0; power--) {
        int i = shift - power;
        put(w, i >= 0 && i < d.n ? d.digits[i] : '0');
        if (power == 0) put(w, '.');
    }
    for (int i = -last; i < s->right; i++) put(w, s->scientific ? '0' : ' ');
    if (s->scientific) {
        char text[16];
        snprintf(text, sizeof text, "e%c%0*d", d.exponent < 0 ? '-' : '+', s->exponent_digits,
                 abs(d.exponent));
        put_text(w, text);
    }
}

static void put_element(writer *w, const style *s, const char *at)
{
    char text[32];
    if (s->x->dtype == MN_BOOL) {
        put_right(w, s->x->ndim ? s->width : 0, *at ? "True" : "False");
    } else if (mni_is_float((mn_dtype)s->x->dtype)) {
        put_float(w, s, load(s, at));
    } else {
        snprintf(text, sizeof text, "%lld", load_integer(s, at));
        put_right(w, s->width, text);
    }
}

/* Breaks the line before a word that no longer fits, unless it is the first; gives the column after
 * the word. */
static int64_t place(writer *w, const style *s, int64_t column, int64_t width)
{
    const int ndim = s->x->ndim;
    if (column > ndim && column + width > s->line_width - ndim) {
        put(w, '\n');
        w->spaces += ndim;
        column = ndim;
    }
    return column + width;
}

static void put_row(writer *w, const style *s, const char *at)
{
    const mn_tensor *x = s->x;
    int64_t size = x->shape[x->ndim - 1], column = x->ndim;
    for (int64_t i = 0, next; i < size; i = next) {
        next = next_visible(s, i, size);
        column = place(w, s, column, s->width) + 1;
        put_element(w, s, at + i * step(x, x->ndim - 1));
        if (next < size) put(w, ' ');
        if (next == i + 1) continue;
        column = place(w, s, column, 3) + 1;
        put_text(w, "... ");
    }
}

static void put_separator(writer *w, const style *s, int dim)
{
    for (int i = dim; i < s->x->ndim - 1; i++) put(w, '\n');
    w->spaces += dim + 1;
}

static void put_level(writer *w, const style *s, int dim, const char *at)
{
    put(w, '[');
    if (dim == s->x->ndim - 1) {
        put_row(w, s, at);
    } else {
        int64_t size = s->x->shape[dim];
        for (int64_t i = 0, next; i < size; i = next) {
            next = next_visible(s, i, size);
            put_level(w, s, dim + 1, at + i * step(s->x, dim));
            if (next < size) put_separator(w, s, dim);
            if (next == i + 1) continue;
            put_text(w, "...");
            put_separator(w, s, dim);
        }
    }
    put(w, ']');
}

/* What a tensor without elements to show prints as; NULL for all others. */
static const char *placeholder(const mn_tensor *x)
{
    return !x || (x != MN_NONE && !x->storage) ? "NULL" : x == MN_NONE ? "NONE" : NULL;
}

static void put_header(writer *w, const mn_tensor *x)
{
    char text[256];
    put_text(w, mn_dtype_name((mn_dtype)x->dtype));
    put(w, ' ');
    put_text(w, mni_shape_text(text, sizeof text, x->ndim, x->shape));
    put_text(w, x->requires_grad ? " requires_grad\n" : "\n");
}

size_t mn_tensor_format_with(const mn_tensor *x, char *buffer, size_t size,
                             const mn_format_opts *opts)
{
    writer w = {.buffer = buffer, .size = size};
    const mn_format_opts o = opts ? *opts : (mn_format_opts){0};
    if (!placeholder(x) && o.header) put_header(&w, x);
    if (placeholder(x)) {
        put_text(&w, placeholder(x));
    } else if (x->numel == 0) {
        put_text(&w, "[]");
    } else {
        const int digits = o.precision < MOST_DIGITS ? o.precision : MOST_DIGITS;
        style s = {.x = x,
                   .precision = digits == 0 ? 4 : larger(digits, 0),
                   .line_width = o.line_width ? o.line_width : 75,
                   .edge = o.edge_items > 0 ? o.edge_items : 3,
                   .summary = x->numel > (o.threshold ? o.threshold : 1000)};
        measure(&s);
        if (x->ndim == 0)
            put_element(&w, &s, x->data);
        else
            put_level(&w, &s, 0, x->data);
    }
    return finish(&w);
}

size_t mn_tensor_format(const mn_tensor *x, char *buffer, size_t size)
{
    return mn_tensor_format_with(x, buffer, size, NULL);
}

size_t mn_tensor_format_shape(const mn_tensor *x, char *buffer, size_t size)
{
    char text[256]; /* room for 8 sizes of 64 bits */
    writer w = {.buffer = buffer, .size = size};
    put_text(&w, placeholder(x) ? placeholder(x)
                                : mni_shape_text(text, sizeof text, x->ndim, x->shape));
    return finish(&w);
}
