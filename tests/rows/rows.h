/*
 * tests/rows/rows.h: one row for every op and module: how it is called from the numbers of a case.
 * rows/<family>.c has the rows of minnow/ops/<family>.h, rows/nn_<family>.c those of minnow/nn/<family>.h,
 * fixtures/ their cases; whatever is true of all ops is tested by running over the rows (test_pytorch.c,
 * test_gradients.c, test_misuse.c, test_checkpoint.c), whatever is true of all modules in test_modules.c.
 */
#ifndef MN_TEST_ROWS_H
#define MN_TEST_ROWS_H

#include "fixture.h"

#include <minnow/nn.h>

typedef struct call {
    mn_tape *t;
    mn_tensor *const *in;
    int n_in;
    const double *arg;
    int n_args;
    const char *text;
    const fixture_case *f;
    mn_dtype dtype;
    mn_rng rng;
    mn_tensor *out[FIXTURE_OUTPUTS]; /* set by the row */
} call;

typedef mn_tensor *(*loss_fn)(mn_tape *, mn_tensor *, mn_tensor *, const mn_loss_opts *);

/* How an op is called: one of these is set. */
typedef struct op_row {
    const char *name;                                          /* mn_ + name */
    mn_tensor *(*unary)(mn_tape *, mn_tensor *);               /* one input */
    mn_tensor *(*binary)(mn_tape *, mn_tensor *, mn_tensor *); /* two; with one, twice the same */
    mn_tensor *(*scalar)(mn_tape *, mn_tensor *, double);      /* an input and an argument */
    mn_tensor *(*scalar_dim)(mn_tape *, mn_tensor *, int);
    /* arguments: keepdim, dims ... */
    mn_tensor *(*dims)(mn_tape *, mn_tensor *, const int *, int, bool);
    loss_fn loss; /* the argument is the reduction */
    void (*other)(call *);
    /* Of mn_nn_<name without "nn_">: makes the module. Inputs without a name go into it, those with
     * one are its parameters and buffers. */
    mn_module *(*module)(const call *);
    bool inplace;         /* the module's last argument says whether it overwrites its input */
    const char *no_cases; /* why it has none */
    /* A program of many ops: finite differences say too little. */
    bool program;
    /* Where two elements are equal is a kink: finite differences need distinct ones. */
    bool distinct;
} op_row;

/* A maker for .module: a the arguments. */
#define MODULE(name, expression)                                                                   \
    static mn_module *make_##name(const call *c)                                                   \
    {                                                                                              \
        const double *a = c->arg;                                                                  \
        (void)a;                                                                                   \
        return expression;                                                                         \
    }

/* A caller for .other: t the tape, x the inputs, a the arguments. */
#define CALL(name, expression)                                                                     \
    static void call_##name(call *c)                                                               \
    {                                                                                              \
        mn_tape *t = c->t;                                                                         \
        mn_tensor *const *x = c->in;                                                               \
        const double *a = c->arg;                                                                  \
        (void)t, (void)x, (void)a;                                                                 \
        c->out[0] = expression;                                                                    \
    }

/* The arguments from number `first` on, as integers. */
typedef struct ints {
    int n;
    int as_int[FIXTURE_ARGS];
    int64_t as_i64[FIXTURE_ARGS];
} ints;
ints row_ints(const call *c, int first);

/* The n arguments from number `at` on, as one list of an options struct; returns at + n. */
int row_list(const call *c, int at, int n, int64_t *list);

/* The module of a case, in the case's dtype and mode, with the generators of the cases; NULL with the last
 * error set. */
mn_module *row_module(const op_row *r, const call *c);

/* Each ends with a row without a name. */
#define FAMILY(name) extern const op_row rows_##name[];
#include "rows/families.def"
#undef FAMILY

/* From now on there are only rows whose names begin so: for trying one op alone. */
void rows_only(const char *beginning);

int row_count(void);
const op_row *row_at(int i);
const op_row *row_find(const char *op); /* NULL: there is none */
void row_run(const op_row *r, call *c);

/* The call of a case, on those inputs. */
call row_call(const fixture_case *f, mn_tape *t, mn_tensor *const *in);

/* Every case of every family. */
void rows_read(fixture *f);

#endif
