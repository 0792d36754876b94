/*
 * tests/fixture.c: the reader of the fixture files. One line is one word after another, so a cursor over
 * strtok_r is all the parsing there is; whatever does not fit ends the program with the line's number.
 */
#define _POSIX_C_SOURCE 200809L

#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

typedef struct reader {
    const char *path;
    int line;
    char *rest; /* strtok_r's */
} reader;

static _Noreturn void bad(const reader *r, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", r->path, r->line, what);
    exit(1);
}

static void *allocate(const reader *r, size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);
    if (!memory) bad(r, "out of memory");
    return memory;
}

static char *word_or_end(reader *r)
{
    return strtok_r(NULL, " ", &r->rest);
}

static char *word(reader *r)
{
    char *w = word_or_end(r);
    if (!w) bad(r, "the line ends too soon");
    return w;
}

static double to_number(const reader *r, const char *w, mn_dtype dtype)
{
    char *end;
    double v = dtype == MN_F32 ? (double)strtof(w, &end) : strtod(w, &end);
    if (end == w || *end) bad(r, "not a number");
    return v;
}

static mn_dtype dtype_word(reader *r)
{
    const char *w = word(r);
    for (int d = MN_F32; d <= MN_BOOL; d++)
        if (strcmp(w, mn_dtype_name((mn_dtype)d)) == 0) return (mn_dtype)d;
    bad(r, "not a dtype");
}

/* "2,3" -> 2 numbers; "." -> none. */
static int sizes(const reader *r, const char *w, int64_t *out)
{
    int n = 0;
    if (strcmp(w, ".") == 0) return 0;
    for (;;) {
        char *end;
        if (n == MN_MAX_DIMS) bad(r, "too many dimensions");
        out[n++] = strtoll(w, &end, 10);
        if (end == w || (*end && *end != ',')) bad(r, "not a shape");
        if (!*end) return n;
        w = end + 1;
    }
}

static void shape_word(reader *r, fixture_tensor *x)
{
    x->ndim = sizes(r, word(r), x->shape);
    x->numel = 1;
    for (int d = 0; d < x->ndim; d++) x->numel *= x->shape[d];
}

static void layout(const reader *r, const char *w, fixture_tensor *x)
{
    if (strcmp(w, "row") == 0) return;
    char *end;
    x->placed = true;
    x->offset = strtoll(w, &end, 10);
    if (end == w || *end != '+' || sizes(r, end + 1, x->strides) != x->ndim) bad(r, "not a layout");
}

static double *values(reader *r, const fixture_tensor *x)
{
    double *v = allocate(r, (size_t)x->numel, sizeof *v);
    for (int64_t i = 0; i < x->numel; i++) v[i] = to_number(r, word(r), x->dtype);
    return v;
}

static void read_args(reader *r, fixture_args *args)
{
    for (char *w; (w = word_or_end(r));) {
        if (*w == '\'') {
            if (strlen(++w) >= sizeof args->text) bad(r, "a long text");
            strcpy(args->text, w);
        } else {
            if (args->n == FIXTURE_ARGS) bad(r, "too many arguments");
            args->number[args->n++] = to_number(r, w, MN_F64);
        }
    }
}

static void read_case(reader *r, fixture_case *c)
{
    const char *name = word(r);
    size_t length = strcspn(name, ".");
    if (length >= sizeof c->op) bad(r, "a long name");
    memcpy(c->op, name, length);
    c->dtype = dtype_word(r);
    if ((size_t)snprintf(c->path, sizeof c->path, "%s.%s", name, mn_dtype_name(c->dtype)) >=
        sizeof c->path)
        bad(r, "a long name");
    read_args(r, &c->args);
}

static void read_input(reader *r, fixture_case *c)
{
    if (c->n_in == FIXTURE_INPUTS) bad(r, "too many inputs");
    fixture_tensor *x = &c->in[c->n_in++];
    const char *kind = word(r);
    x->grad = strcmp(kind, "grad") == 0;
    x->absent = strcmp(kind, "absent") == 0;
    if (x->absent) return;
    x->dtype = dtype_word(r);
    shape_word(r, x);
    layout(r, word(r), x);
    x->drawn = strcmp(word(r), "uniform") == 0;
    if (x->drawn) {
        x->low = to_number(r, word(r), MN_F64);
        x->high = to_number(r, word(r), MN_F64);
    } else {
        x->values = values(r, x);
    }
}

static void read_output(reader *r, fixture_case *c)
{
    if (c->n_out == FIXTURE_OUTPUTS) bad(r, "too many outputs");
    fixture_tensor *y = &c->out[c->n_out++];
    y->dtype = dtype_word(r);
    shape_word(r, y);
    const char *w = word(r);
    y->grad = strcmp(w, "-") != 0;
    if (y->grad) layout(r, w, y);
    y->tolerance = to_number(r, word(r), MN_F64);
    y->floor = to_number(r, word(r), MN_F64);
    y->values = values(r, y);
}

static fixture_tensor *input_word(reader *r, fixture_case *c)
{
    int64_t i = (int64_t)to_number(r, word(r), MN_F64);
    if (i < 0 || i >= c->n_in || !c->in[i].grad) bad(r, "no such input");
    return &c->in[i];
}

static void read_gradient(reader *r, fixture_case *c)
{
    fixture_tensor *x = input_word(r, c);
    if (x->gradient) bad(r, "a gradient for the second time");
    x->gradient_tolerance = to_number(r, word(r), MN_F64);
    x->gradient_floor = to_number(r, word(r), MN_F64);
    x->gradient = values(r, x);
}

static void read_second(reader *r, fixture_case *c)
{
    fixture_tensor *x = input_word(r, c);
    if (x->second) bad(r, "a second gradient for the second time");
    x->second_tolerance = to_number(r, word(r), MN_F64);
    x->second_floor = to_number(r, word(r), MN_F64);
    if (strcmp(r->rest, "zero") == 0) {
        word(r);
        x->second = allocate(r, (size_t)x->numel, sizeof *x->second);
    } else {
        x->second = values(r, x);
    }
}

static void read_refused(reader *r, fixture_case *c)
{
    static const struct {
        const char *name;
        mn_error code;
    } errors[] = {{"ARGUMENT", MN_ERR_ARGUMENT},
                  {"SHAPE", MN_ERR_SHAPE},
                  {"DTYPE", MN_ERR_DTYPE},
                  {"STATE", MN_ERR_STATE}};
    const char *w = word(r);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(w, errors[i].name) == 0) c->refused = errors[i].code;
    if (!c->refused || strlen(r->rest) >= sizeof c->says || !*r->rest) bad(r, "not a refusal");
    strcpy(c->says, r->rest);
    r->rest += strlen(r->rest);
}

/* A file's text, with the one that was read before it. */
typedef struct fixture_text {
    struct fixture_text *next;
    char text[];
} fixture_text;

static char *read_text(reader *r, fixture *f)
{
    FILE *file = fopen(r->path, "rb");
    if (!file) bad(r, "cannot be opened");
    if (fseek(file, 0, SEEK_END)) bad(r, "cannot be read");
    long size = ftell(file);
    if (size < 0) bad(r, "cannot be read");
    fixture_text *t = allocate(r, sizeof *t + (size_t)size + 1, 1);
    t->next = f->texts;
    f->texts = t;
    char *text = t->text;
    rewind(file);
    if (fread(text, 1, (size_t)size, file) != (size_t)size) bad(r, "cannot be read");
    fclose(file);
    return text;
}

/* "step <op> <outputs> <input> ... : <argument> ..." */
static void read_step(reader *r, fixture_case *c)
{
    c->steps = realloc(c->steps, (size_t)(c->n_steps + 1) * sizeof *c->steps);
    if (!c->steps) bad(r, "out of memory");
    fixture_step *s = &c->steps[c->n_steps++];
    *s = (fixture_step){0};
    const char *op = word(r);
    if (strlen(op) >= sizeof s->op) bad(r, "a long name");
    strcpy(s->op, op);
    s->n_out = (int)to_number(r, word(r), MN_F64);
    for (char *w; strcmp(w = word(r), ":") != 0;) {
        if (s->n_in == FIXTURE_INPUTS) bad(r, "too many inputs");
        s->in[s->n_in++] = (int)to_number(r, w, MN_F64);
    }
    read_args(r, &s->args);
}

static void read_gives(reader *r, fixture_case *c)
{
    for (char *w; (w = word_or_end(r));) {
        if (c->n_gives == FIXTURE_OUTPUTS) bad(r, "too many outputs");
        c->gives[c->n_gives++] = (int)to_number(r, w, MN_F64);
    }
}

/* The name of the tensor that the line before describes. */
static void read_name(reader *r, fixture_case *c)
{
    fixture_tensor *x = c->n_out ? &c->out[c->n_out - 1] : c->n_in ? &c->in[c->n_in - 1] : NULL;
    if (!x || x->name) bad(r, "a name of nothing");
    x->name = word(r);
}

/* The rest of the line, with \n for the ends of its own lines. */
static void read_prints(reader *r, fixture_case *c)
{
    char *to = r->rest;
    c->prints = to;
    for (const char *from = to; *from; from++) {
        bool newline = from[0] == '\\' && from[1] == 'n';
        *to++ = newline ? '\n' : *from;
        from += newline;
    }
    r->rest += strlen(r->rest);
    *to = '\0';
}

static void read_init(reader *r, fixture_case *c)
{
    c->inits = realloc(c->inits, (size_t)(c->n_inits + 1) * sizeof *c->inits);
    if (!c->inits) bad(r, "out of memory");
    fixture_init *i = &c->inits[c->n_inits++];
    i->name = word(r);
    i->mean = to_number(r, word(r), MN_F64);
    i->deviation = to_number(r, word(r), MN_F64);
    i->kurtosis = to_number(r, word(r), MN_F64);
}

static void read_line(reader *r, const char *kind, fixture_case *c)
{
    if (strcmp(kind, "case") == 0)
        read_case(r, c);
    else if (strcmp(kind, "in") == 0)
        read_input(r, c);
    else if (strcmp(kind, "out") == 0)
        read_output(r, c);
    else if (strcmp(kind, "gradient") == 0)
        read_gradient(r, c);
    else if (strcmp(kind, "second") == 0)
        read_second(r, c);
    else if (strcmp(kind, "step") == 0)
        read_step(r, c);
    else if (strcmp(kind, "gives") == 0)
        read_gives(r, c);
    else if (strcmp(kind, "refused") == 0)
        read_refused(r, c);
    else if (strcmp(kind, "name") == 0)
        read_name(r, c);
    else if (strcmp(kind, "eval") == 0)
        c->eval = true;
    else if (strcmp(kind, "prints") == 0)
        read_prints(r, c);
    else if (strcmp(kind, "init") == 0)
        read_init(r, c);
    else
        bad(r, "not a line of a fixture");
    if (word_or_end(r)) bad(r, "the line goes on too long");
}

void fixture_read(fixture *f, const char *path)
{
    reader r = {.path = path};
    char *text = read_text(&r, f), *rest;
    const int before = f->n;
    int more = 0;
    for (const char *p = text; (p = strstr(p, "\ncase ")); p++) more++;
    f->cases = realloc(f->cases, (size_t)(before + more + 1) * sizeof *f->cases);
    if (!f->cases) bad(&r, "out of memory");
    memset(f->cases + before, 0, (size_t)(more + 1) * sizeof *f->cases);

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        r.line++;
        const char *kind = strtok_r(line, " ", &r.rest);
        if (!kind || *kind == '#') continue;
        if (strcmp(kind, "case") == 0 && f->n < before + more) f->n++;
        if (f->n == before) bad(&r, "a line before the first case");
        read_line(&r, kind, &f->cases[f->n - 1]);
    }
    for (const fixture_case *c = f->cases + before; c < f->cases + f->n; c++)
        for (int k = 0; k < c->n_in; k++)
            if (c->n_out > 0 && c->out[0].grad && c->in[k].grad && !c->in[k].gradient)
                bad(&r, c->path);
}

void fixture_free(fixture *f)
{
    for (int i = 0; i < f->n; i++) {
        for (int k = 0; k < FIXTURE_INPUTS; k++) {
            free(f->cases[i].in[k].values);
            free(f->cases[i].in[k].gradient);
            free(f->cases[i].in[k].second);
        }
        for (int k = 0; k < FIXTURE_OUTPUTS; k++) free(f->cases[i].out[k].values);
        free(f->cases[i].steps);
        free(f->cases[i].inits);
    }
    free(f->cases);
    for (fixture_text *t = f->texts, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    *f = (fixture){0};
}

/* ---- inputs ---- */

mn_rng fixture_rng(const fixture_case *c, const char *name)
{
    char path[sizeof c->path + 32];
    snprintf(path, sizeof path, "%s/%s", c->path, name);
    return mn_rng_make(2024, mn_rng_stream(path));
}

static void free_buffer(void *data, void *buffer)
{
    (void)data;
    free(buffer);
}

/* A tensor of x's shape and layout. What lies between its elements is 0xff, NaN as a float, so that
 * reading past the layout shows. */
static mn_tensor *place(const fixture_tensor *x)
{
    size_t item = mn_dtype_size(x->dtype), size = (size_t)x->offset + 1;
    for (int d = 0; d < x->ndim; d++) size += (size_t)((x->shape[d] - 1) * x->strides[d]);
    char *buffer = malloc(size * item);
    if (!buffer) return NULL;
    memset(buffer, 0xff, size * item);
    mn_tensor *y = mn_tensor_wrap(x->dtype, x->ndim, x->shape, x->strides,
                                  buffer + (size_t)x->offset * item, free_buffer, buffer);
    if (!y) free(buffer);
    return y;
}

/* The position of element i in row-major order. */
static void position(const fixture_tensor *x, int64_t i, int64_t *index)
{
    for (int d = x->ndim - 1; d >= 0; d--) {
        index[d] = i % x->shape[d];
        i /= x->shape[d];
    }
}

/* x's elements, from the stream of that name or literal, row-major. */
static mn_tensor *fill(const fixture_case *c, const fixture_tensor *x, const char *name, double low,
                       double high)
{
    mn_tensor *y = mn_tensor_empty(x->dtype, x->ndim, x->shape);
    mn_error e = y ? MN_OK : MN_ERR_MEMORY;
    if (!e && name) {
        mn_rng rng = fixture_rng(c, name);
        e = mn_tensor_uniform(y, low, high, &rng);
    }
    for (int64_t i = 0; !e && !name && i < x->numel; i++) {
        int64_t at[MN_MAX_DIMS];
        position(x, i, at);
        e = x->dtype == MN_I64 ? mn_tensor_set_i64(y, at, (int64_t)x->values[i])
                               : mn_tensor_set(y, at, x->values[i]);
    }
    if (!e) return y;
    mn_release(y);
    return NULL;
}

/* y, which it takes over, or a copy of it in x's layout. */
static mn_tensor *settle(const fixture_tensor *x, mn_tensor *y)
{
    if (!y || !x->placed) return y;
    mn_tensor *placed = place(x);
    if (placed && mn_tensor_copy(placed, y) != MN_OK) {
        mn_release(placed);
        placed = NULL;
    }
    mn_release(y);
    return placed;
}

mn_tensor *fixture_input(const fixture_case *c, int i)
{
    const fixture_tensor *x = &c->in[i];
    char name[32];
    if (x->absent) return MN_NONE;
    snprintf(name, sizeof name, "in%d", i);
    mn_tensor *y = settle(x, fill(c, x, x->drawn ? name : NULL, x->low, x->high));
    if (!y || !x->grad || mn_tensor_set_requires_grad(y, true) == MN_OK) return y;
    mn_release(y);
    return NULL;
}

mn_tensor *fixture_cotangent(const fixture_case *c, int k)
{
    char name[32];
    snprintf(name, sizeof name, "cotangent%d", k);
    return settle(&c->out[k], fill(c, &c->out[k], name, -1, 1));
}

mn_tensor *fixture_weight(const fixture_case *c, int i)
{
    char name[32];
    snprintf(name, sizeof name, "weight%d", i);
    return fill(c, &c->in[i], name, -1, 1);
}

/* ---- comparing ---- */

static bool agree(double got, double want, double tolerance, double floor, bool signed_zero)
{
    if (isnan(want)) return isnan(got);
    if (want == 0 && got == 0) return !signed_zero || signbit(want) == signbit(got);
    if (isinf(want)) return got == want;
    return fabs(got - want) <= tolerance * (fabs(want) + floor);
}

static bool compare(const fixture_tensor *x, const double *want, double tolerance, double floor,
                    bool signed_zero, const mn_tensor *got, const char *what, char *text,
                    size_t size)
{
    if (!got) {
        snprintf(text, size, "%s is missing: %s", what, mn_last_message());
        return false;
    }
    bool shaped = mn_tensor_ndim(got) == x->ndim && mn_tensor_dtype(got) == x->dtype;
    for (int d = 0; shaped && d < x->ndim; d++) shaped = mn_tensor_size(got, d) == x->shape[d];
    if (!shaped) {
        char shape[128];
        mn_tensor_format_shape(got, shape, sizeof shape);
        snprintf(text, size, "%s is %s %s", what, mn_dtype_name(mn_tensor_dtype(got)), shape);
        return false;
    }
    for (int64_t i = 0; i < x->numel; i++) {
        int64_t at[MN_MAX_DIMS];
        position(x, i, at);
        double v = mn_tensor_get(got, at);
        if (agree(v, want[i], tolerance, floor, signed_zero)) continue;
        snprintf(text, size, "%s, element %lld: %.17g, PyTorch has %.17g", what, (long long)i, v,
                 want[i]);
        return false;
    }
    return true;
}

bool fixture_output_agrees(const fixture_case *c, int k, const mn_tensor *got, char *text,
                           size_t size)
{
    const fixture_tensor *y = &c->out[k];
    char what[32];
    snprintf(what, sizeof what, "output %d", k);
    return compare(y, y->values, y->tolerance, y->floor, y->floor == 0, got, what, text, size);
}

bool fixture_gradient_agrees(const fixture_case *c, int i, const mn_tensor *got, char *text,
                             size_t size)
{
    const fixture_tensor *x = &c->in[i];
    char what[32];
    snprintf(what, sizeof what, "gradient %d", i);
    return compare(x, x->gradient, x->gradient_tolerance, x->gradient_floor, false, got, what, text,
                   size);
}

bool fixture_second_agrees(const fixture_case *c, int i, const mn_tensor *got, char *text,
                           size_t size)
{
    const fixture_tensor *x = &c->in[i];
    char what[32];
    snprintf(what, sizeof what, "second gradient %d", i);
    if (got)
        return compare(x, x->second, x->second_tolerance, x->second_floor, false, got, what, text,
                       size);
    for (int64_t k = 0; k < x->numel; k++) {
        if (fabs(x->second[k]) <= x->second_tolerance * x->second_floor) continue;
        snprintf(text, size, "%s is missing, PyTorch has %.17g", what, x->second[k]);
        return false;
    }
    return true;
}
