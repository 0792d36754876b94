/*
 * tests/rows/rows.c: the families together.
 */
#include "rows/rows.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const op_row *rows;
} families[] = {
#define FAMILY(name) {#name, rows_##name},
#include "rows/families.def"
#undef FAMILY
};
enum { FAMILIES = sizeof families / sizeof *families };

static const char *beginning = "";

void rows_only(const char *b)
{
    beginning = b;
}

const op_row *row_at(int i)
{
    for (int f = 0; f < FAMILIES; f++)
        for (const op_row *r = families[f].rows; r->name; r++)
            if (strncmp(r->name, beginning, strlen(beginning)) == 0 && i-- == 0) return r;
    return NULL;
}

int row_count(void)
{
    int n = 0;
    while (row_at(n)) n++;
    return n;
}

const op_row *row_find(const char *op)
{
    for (int f = 0; f < FAMILIES; f++)
        for (const op_row *r = families[f].rows; r->name; r++)
            if (strcmp(r->name, op) == 0) return r;
    return NULL;
}

ints row_ints(const call *c, int first)
{
    ints v = {.n = c->n_args > first ? c->n_args - first : 0};
    for (int i = 0; i < v.n; i++) {
        v.as_int[i] = (int)c->arg[first + i];
        v.as_i64[i] = (int64_t)c->arg[first + i];
    }
    return v;
}

int row_list(const call *c, int at, int n, int64_t *list)
{
    for (int i = 0; i < n; i++) list[i] = (int64_t)c->arg[at + i];
    return at + n;
}

/* That of the inputs (not freed ones), which may come in another dtype than the case has them. */
static mn_dtype dtype_of(const call *c)
{
    for (int i = 0; c->in && i < c->n_in; i++) {
        const mn_tensor *x = c->in[i];
        if (!x || x == MN_NONE || !x->storage || c->f->in[i].dtype != c->dtype) continue;
        mn_dtype d = mn_tensor_dtype(x);
        if (d == MN_F32 || d == MN_F64) return d;
    }
    return c->dtype;
}

mn_module *row_module(const op_row *r, const call *c)
{
    mn_module *m = r->module(c);
    if (!m) return NULL;
    if (mn_module_to(m, dtype_of(c)) == MN_OK && mn_module_init(m, 2024) == MN_OK) {
        if (c->f->eval) mn_module_eval(m);
        return m;
    }
    mn_module_free(m);
    return NULL;
}

/* The outputs of a module, then its buffers as it left them. */
static void run_module(const op_row *r, call *c)
{
    mn_tensor *x[FIXTURE_INPUTS];
    mn_named_tensor named[FIXTURE_INPUTS];
    int n_x = 0, n_named = 0, n_out = 0;
    const bool inplace = r->inplace && c->arg[c->n_args - 1] != 0;
    mn_module *m = row_module(r, c);
    for (int i = 0; i < c->n_in; i++) {
        const fixture_tensor *in = &c->f->in[i];
        if (!in->name)
            x[n_x++] = inplace ? mn_clone(c->t, c->in[i]) : c->in[i];
        else /* a buffer may be written: the case's own stays as it is */
            named[n_named++] = (mn_named_tensor){
                in->name, in->grad || !c->in[i] ? c->in[i] : mn_clone(c->t, c->in[i])};
    }
    while (n_out < c->f->n_out && !c->f->out[n_out].name) n_out++;
    if (c->f->refused) n_out = 1;
    mn_module_functional_call(m, c->t, named, n_named, x, n_x, c->out, n_out);
    for (int k = n_out; k < c->f->n_out && c->out[0]; k++)
        for (int i = 0; i < n_named; i++)
            if (strcmp(named[i].name, c->f->out[k].name) == 0) c->out[k] = named[i].tensor;
    mn_module_free(m);
}

void row_run(const op_row *r, call *c)
{
    if (r->unary) c->out[0] = r->unary(c->t, c->in[0]);
    if (r->binary) c->out[0] = r->binary(c->t, c->in[0], c->in[c->n_in - 1]);
    if (r->scalar) c->out[0] = r->scalar(c->t, c->in[0], c->arg[0]);
    if (r->scalar_dim) c->out[0] = r->scalar_dim(c->t, c->in[0], (int)c->arg[0]);
    if (r->dims) {
        ints dims = row_ints(c, 1);
        c->out[0] = r->dims(c->t, c->in[0], dims.as_int, dims.n, c->arg[0] != 0);
    }
    if (r->loss) {
        mn_loss_opts opts = {.reduction = (mn_reduction)c->arg[0]};
        c->out[0] = r->loss(c->t, c->in[0], c->in[1], &opts);
    }
    if (r->other) r->other(c);
    if (r->module) run_module(r, c);
}

call row_call(const fixture_case *f, mn_tape *t, mn_tensor *const *in)
{
    return (call){.t = t,
                  .in = in,
                  .n_in = f->n_in,
                  .arg = f->args.number,
                  .n_args = f->args.n,
                  .text = f->args.text,
                  .f = f,
                  .dtype = f->dtype,
                  .rng = fixture_rng(f, "rng")};
}

void rows_read(fixture *f)
{
    for (int i = 0; i < FAMILIES; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/tests/fixtures/%s.txt", MNI_SOURCE_DIR, families[i].name);
        fixture_read(f, path);
    }
}
