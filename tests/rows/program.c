/*
 * tests/rows/program.c: a random program (tests/fuzz.py) as if it were one op: its steps are calls of
 * other rows.
 */
#include "rows/rows.h"

static void call_program(call *c)
{
    mn_tensor *made[FIXTURE_TENSORS] = {0};
    int n = 0;
    while (n < c->n_in) made[n] = c->in[n], n++;
    for (int i = 0; i < c->f->n_steps; i++) {
        const fixture_step *s = &c->f->steps[i];
        const op_row *r = row_find(s->op);
        if (!r || n + s->n_out > FIXTURE_TENSORS) return;
        mn_tensor *in[FIXTURE_INPUTS];
        for (int k = 0; k < s->n_in; k++) in[k] = made[s->in[k]];
        call step = *c;
        step.in = in;
        step.n_in = s->n_in;
        step.arg = s->args.number;
        step.n_args = s->args.n;
        step.text = s->args.text;
        row_run(r, &step);
        for (int k = 0; k < s->n_out; k++) made[n++] = step.out[k];
    }
    if (mn_tape_error(c->t)) return;
    for (int k = 0; k < c->f->n_gives; k++) c->out[k] = made[c->f->gives[k]];
}

const op_row rows_program[] = {
    {"program", .other = call_program, .program = true},
    {0},
};
