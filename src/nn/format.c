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

const char *mni_tuple(int n, const int64_t *sizes, char buffer[MNI_TUPLE_SIZE])
{
    int length = snprintf(buffer, MNI_TUPLE_SIZE, "(");
    for (int i = 0; i < n; i++)
        length += snprintf(buffer + length, MNI_TUPLE_SIZE - (size_t)length, "%s%lld",
                           i > 0 ? ", " : "", (long long)sizes[i]);
    snprintf(buffer + length, MNI_TUPLE_SIZE - (size_t)length, n == 1 ? ",)" : ")");
    return buffer;
}

const char *mni_one_or_tuple(int n, const int64_t *sizes, char buffer[MNI_TUPLE_SIZE])
{
    for (int i = 1; i < n; i++)
        if (sizes[i] != sizes[0]) return mni_tuple(n, sizes, buffer);
    snprintf(buffer, MNI_TUPLE_SIZE, "%lld", (long long)sizes[0]);
    return buffer;
}

typedef struct format_visitor {
    mn_visitor base;
    char *buffer;
    size_t size, n;
    int depth;
    uint64_t hash; /* of the text so far */
} format_visitor;

static void put(format_visitor *f, const char *text)
{
    for (const char *c = text; *c; c++) f->hash = (f->hash ^ (unsigned char)*c) * 0x100000001b3u;
    size_t left = f->n < f->size ? f->size - f->n : 0;
    f->n += (size_t)snprintf(left ? f->buffer + f->n : NULL, left, "%s", text);
}

static void put_line(format_visitor *f)
{
    put(f, "\n");
    for (int i = 0; i < f->depth; i++) put(f, "  ");
}

/* By which equal modules are known. */
static uint64_t form_of(mn_module *m);

/* A row of equal children once, with their number, as torch's ModuleList prints them. */
static void format_list(format_visitor *f, mn_module *list, int n)
{
    for (int i = 0, end; i < n; i = end) {
        mn_module *child = mn_module_child_at(list, i);
        char name[64];
        for (end = i + 1; end < n; end++)
            if (form_of(mn_module_child_at(list, end)) != form_of(child)) break;
        snprintf(name, sizeof name, "(%d): ", i);
        if (end > i + 1) snprintf(name, sizeof name, "(%d-%d): %d x ", i, end - 1, end - i);
        put_line(f);
        put(f, name);
        mni_walk(&f->base, child);
    }
}

static bool format_module(mn_visitor *v, mn_module *m)
{
    format_visitor *f = (format_visitor *)v;
    const int children = mn_module_child_count(m);
    put(f, mni_class_prefix(m));
    put(f, m->cls->name);
    put(f, "(");
    f->depth++;
    char text[1024] = "";
    if (m->cls->describe) m->cls->describe(m, text, sizeof text);
    if (*text && children) put_line(f);
    put(f, text);
    if (m->cls == &mni_module_list_class) {
        format_list(f, m, children);
    } else {
        mni_visit_parts(v, m);
    }
    f->depth--;
    if (children) put_line(f);
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

static uint64_t form_of(mn_module *m)
{
    format_visitor f = {.base.module = format_module, .base.child = format_child};
    mni_walk(&f.base, m);
    return f.hash;
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
