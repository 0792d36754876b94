/*
 * nn/summary.c: a tree as a table of shapes, parameters and work. A clone of it is run once, and hooks on
 * its modules note what each gave and how the tape's count of multiply-adds grew.
 */
#include "autograd/tape.h"
#include "core/memory.h"
#include "nn/map.h"
#include "nn/module.h"
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 5, CELL = 96 };

typedef struct row {
    char cell[COLUMNS][CELL];
    mn_module *m;
    struct row **at; /* the table's */
    struct row *up;  /* of the module around it, then of the one that calls it */
    int depth;
    int64_t parameters, bytes, before, work; /* work: of its own, without its children's */
    bool again;                              /* m has a row already */
} row;

typedef struct table {
    mn_visitor base;
    row *rows, *at; /* at: of the module that is being visited, then of the one that runs */
    int n;
    mni_map seen; /* tensors, and modules -> their rows */
    int64_t parameters, frozen, bytes, work, kept;
} table;

/* ---- the rows ---- */

static bool count_row(mn_visitor *v, mn_module *m)
{
    (void)m;
    ((table *)v)->n++;
    return true;
}

static void add_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer)
{
    table *s = (table *)v;
    const mn_tensor *x = *slot;
    (void)name, (void)init;
    if (buffer || s->at->again || mni_map_get(&s->seen, x)) return;
    const int64_t n = mn_tensor_numel(x), bytes = n * (int64_t)mn_dtype_size(mn_tensor_dtype(x));
    s->at->parameters += n;
    s->at->bytes += bytes;
    s->parameters += n;
    s->bytes += bytes;
    if (!mn_tensor_requires_grad(x)) s->frozen += n;
    if (!mni_map_put(&s->seen, x, *slot)) mni_walk_fail(v);
}

static bool add_row(mn_visitor *v, mn_module *m)
{
    table *s = (table *)v;
    row *r = &s->rows[s->n++];
    int depth = 0;
    for (const mni_path *p = v->path; p; p = p->up) depth++;
    *r = (row){.m = m,
               .at = &s->at,
               .up = s->at,
               .depth = depth,
               .again = mni_map_get(&s->seen, m) != NULL};
    snprintf(r->cell[0], CELL, "%*s%s%s%s%s%s", 2 * depth, "", v->path ? v->path->name : "",
             v->path ? ": " : "", mni_class_prefix(m), m->cls->name, r->again ? " (again)" : "");
    if (r->again) return false;
    if (!mni_map_put(&s->seen, m, r)) {
        mni_walk_fail(v);
        return false;
    }
    s->at = r;
    mni_visit_parts(v, m);
    s->at = r->up;
    return false; /* its parts have been visited */
}

/* ---- what happens in the run ---- */

static mn_error before(mn_module *m, mn_tape *t, mn_tensor **in, int n_in, void *user)
{
    row *r = user;
    (void)m, (void)in, (void)n_in;
    r->up = *r->at;
    *r->at = r;
    r->before = t->multiply_adds;
    return MN_OK;
}

static mn_error after(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                      int n_out, void *user)
{
    row *r = user;
    const int64_t work = t->multiply_adds - r->before;
    (void)m, (void)in, (void)n_in;
    r->work += work;
    if (r->up) r->up->work -= work;
    *r->at = r->up;
    if (n_out > 0 && out[0] && out[0] != MN_NONE) mn_tensor_format_shape(out[0], r->cell[1], CELL);
    return MN_OK;
}

/* Runs m, in which every module has its hooks, once; false with the last error set. */
static bool run(table *s, mn_module *m, mn_tensor *const *in, int n)
{
    for (int i = 0; i < s->n; i++) {
        row *r = &s->rows[i];
        if (!r->again && (mn_module_register_forward_pre_hook(r->m, before, r) ||
                          mn_module_register_forward_hook(r->m, after, r)))
            return false;
    }
    mn_tape *t = mn_tape_new(NULL);
    if (!t) return false;
    const int n_out = m->cls->n_out > 1 ? m->cls->n_out : 1;
    mn_tensor **out = mni_calloc((size_t)n_out * sizeof(mn_tensor *));
    mn_module_eval(m);
    mn_error e = out ? mn_module_call(m, t, in, n, out, n_out) : mn_last_error();
    if (e && out) mn_fail(e, "%s", mn_tape_message(t));
    mni_free(out);
    s->kept = (int64_t)mn_tape_stats(t).live_bytes;
    s->work = t->multiply_adds;
    mn_tape_free(t);
    return e == MN_OK;
}

/* ---- the text ---- */

/* 1234567 as "1,234,567"; "-" for nothing. */
static const char *number(int64_t v, char cell[CELL])
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)v), k = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) cell[k++] = ',';
        cell[k++] = digits[i];
    }
    cell[k] = '\0';
    return v > 0 ? cell : strcpy(cell, "-");
}

typedef struct writer {
    char *buffer;
    size_t size, n;
} writer;

static void put(writer *w, const char *text, int width, bool right)
{
    size_t left = w->n < w->size ? w->size - w->n : 0;
    char *to = left ? w->buffer + w->n : NULL;
    w->n += (size_t)snprintf(to, left, right ? "%*s" : "%-*s", width, text);
}

/* Names and shapes begin, numbers end, below each other; nothing follows a line. */
static void put_row(writer *w, const char (*cell)[CELL], const int *width)
{
    for (int c = 0; c < COLUMNS; c++) {
        if (c) put(w, "  ", 0, false);
        put(w, cell[c], width[c], c > 1);
    }
    put(w, "\n", 0, false);
}

static void put_totals(writer *w, const table *s)
{
    char a[CELL], b[CELL], c[CELL], d[CELL], e[CELL], text[6 * CELL];
    snprintf(text, sizeof text,
             "%s parameters (%s bytes), %s of them frozen; %s multiply-adds; %s bytes kept for the "
             "backward pass\n",
             number(s->parameters, a), number(s->bytes, b),
             s->frozen ? number(s->frozen, c) : "none", number(s->work, d), number(s->kept, e));
    put(w, text, 0, false);
}

static size_t write_table(table *s, char *buffer, size_t size)
{
    static const char heads[COLUMNS][CELL] = {"Layer", "Output shape", "Parameters", "Bytes",
                                              "Multiply-adds"};
    writer w = {.buffer = buffer, .size = size};
    int width[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) width[c] = (int)strlen(heads[c]);
    for (row *r = s->rows; r < s->rows + s->n; r++) {
        if (!r->cell[1][0]) strcpy(r->cell[1], "-");
        number(r->parameters, r->cell[2]);
        number(r->bytes, r->cell[3]);
        number(r->work, r->cell[4]);
        for (int c = 0; c < COLUMNS; c++)
            if ((int)strlen(r->cell[c]) > width[c]) width[c] = (int)strlen(r->cell[c]);
    }
    put_row(&w, heads, width);
    for (row *r = s->rows; r < s->rows + s->n; r++)
        put_row(&w, (const char(*)[CELL])r->cell, width);
    put_totals(&w, s);
    return w.n;
}

/* ---- the whole ---- */

/* Makes the rows of m's tree. */
static bool make_rows(table *s, mn_module *m)
{
    s->base = (mn_visitor){.module = count_row};
    mni_walk(&s->base, m);
    s->rows = mni_calloc((size_t)s->n * sizeof *s->rows);
    if (!s->rows) return false;
    s->n = 0;
    s->base = (mn_visitor){.module = add_row, .tensor = add_tensor};
    return mni_walk(&s->base, m) == MN_OK;
}

size_t mn_nn_summary(const mn_module *m, mn_tensor *const *in, int n, char *buffer, size_t size)
{
    static const char who[] = "mn_nn_summary";
    if (buffer && size) buffer[0] = '\0';
    if (!m || (n > 0 && !in)) {
        mni_pass_null(who, m ? "the list of inputs" : "the module");
        return 0;
    }
    table s = {0};
    mn_module *copy = mn_module_clone(m);
    bool done =
        copy && mn_module_init(copy, 0) == MN_OK && make_rows(&s, copy) && run(&s, copy, in, n);
    size_t length = done ? write_table(&s, buffer, buffer ? size : 0) : 0;
    mn_module_free(copy);
    mni_map_free(&s.seen);
    mni_free(s.rows);
    return length;
}
