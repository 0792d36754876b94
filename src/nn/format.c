/*
 * nn/format.c: a tree as text, line by line as PyTorch prints a module.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mni_repr(double value, char buffer[MNI_REPR_SIZE])
{
    if (!isfinite(value)) {
        strcpy(buffer, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return buffer;
    }
    int digits = 1;
    for (; digits <= 17; digits++) {
        snprintf(buffer, MNI_REPR_SIZE, "%.*e", digits - 1, value);
        if (strtod(buffer, NULL) == value) break;
    }
    int exponent = atoi(strchr(buffer, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = digits - 1 - exponent;
        snprintf(buffer, MNI_REPR_SIZE, "%.*f", decimals > 1 ? decimals : 1, value);
    }
    char *comma = strchr(buffer, ','); /* the decimal point of some locales */
    if (comma) *comma = '.';
    return buffer;
}

typedef struct format_visitor {
    mn_visitor base;
    char *buffer;
    size_t size, n;
    int depth;
    int children; /* of the module at work, so far */
} format_visitor;

static void put(format_visitor *f, const char *text)
{
    size_t left = f->n < f->size ? f->size - f->n : 0;
    f->n += (size_t)snprintf(left ? f->buffer + f->n : NULL, left, "%s", text);
}

static void put_line(format_visitor *f)
{
    put(f, "\n");
    for (int i = 0; i < f->depth; i++) put(f, "  ");
}

static void count_child(mn_visitor *v, const char *name, mn_module **slot)
{
    (void)name, (void)slot;
    ((format_visitor *)v)->children++;
}

static bool format_module(mn_visitor *v, mn_module *m)
{
    format_visitor *f = (format_visitor *)v;
    format_visitor counted = {.base.child = count_child};
    if (m->cls->visit) m->cls->visit(m, &counted.base);
    put(f, m->cls->name);
    put(f, "(");
    f->depth++;
    int length = m->cls->describe ? m->cls->describe(m, NULL, 0) : 0;
    if (length > 0) {
        if (counted.children) put_line(f);
        size_t left = f->n < f->size ? f->size - f->n : 0;
        m->cls->describe(m, left ? f->buffer + f->n : NULL, left);
        f->n += (size_t)length;
    }
    if (m->cls->visit) m->cls->visit(m, v);
    f->depth--;
    if (counted.children) put_line(f);
    put(f, ")");
    return false; /* its parts have been visited */
}

static void format_child(mn_visitor *v, const char *name, mn_module **slot)
{
    format_visitor *f = (format_visitor *)v;
    put_line(f);
    put(f, "(");
    put(f, name);
    put(f, "): ");
    mni_walk(v, *slot);
}

size_t mn_module_format(mn_module *m, char *buffer, size_t size)
{
    format_visitor f = {.base.module = format_module,
                        .base.child = format_child,
                        .buffer = buffer,
                        .size = buffer ? size : 0};
    if (f.size) buffer[0] = '\0';
    if (m) {
        mni_walk(&f.base, m);
    } else {
        put(&f, "NULL");
    }
    return f.n;
}
