/*
 * tests/rows/rows.c: the families together.
 */
#include "rows/rows.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const op_row *rows;
} families[] = {
    {"activation", rows_activation}, {"conv", rows_conv},           {"create", rows_create},
    {"index", rows_index},           {"linalg", rows_linalg},       {"loss", rows_loss},
    {"order", rows_order},           {"pointwise", rows_pointwise}, {"pool", rows_pool},
    {"program", rows_program},       {"reduce", rows_reduce},       {"shape", rows_shape},
    {"unary", rows_unary},
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
