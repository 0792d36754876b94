/*
 * tests/fixture.h: reads the text files of tests/fixtures, whose format cases.py describes, rebuilds
 * the inputs and cotangents of a case from the Philox stream and compares results with PyTorch's.
 */
#ifndef MN_TEST_FIXTURE_H
#define MN_TEST_FIXTURE_H

#include <minnow/tensor.h>

enum { FIXTURE_ARGS = 20, FIXTURE_INPUTS = 32, FIXTURE_OUTPUTS = 8, FIXTURE_TENSORS = 128 };

/* An input (values, or how to draw them) or an output (the values expected). */
typedef struct fixture_tensor {
    const char *name; /* of a module's parameter or buffer, in state_dict; else NULL */
    bool absent;      /* an input: MN_NONE */
    mn_dtype dtype;
    int ndim;
    int64_t shape[MN_MAX_DIMS];
    int64_t numel;
    bool grad;   /* an input: wants a gradient; an output: receives a cotangent */
    bool placed; /* lies (an output: its cotangent lies) at these strides, else row-major */
    int64_t offset, strides[MN_MAX_DIMS];
    bool drawn; /* an input: from U(low, high), else `values` */
    double low, high;
    double *values;
    double tolerance, floor; /* |r - v| <= tolerance (|v| + floor) */
    double *gradient;        /* an input's, expected */
    double gradient_tolerance, gradient_floor;
    double *second; /* an input's, of the weighted sum of all gradients; NULL: not in the file */
    double second_tolerance, second_floor;
} fixture_tensor;

/* The arguments of an op. */
typedef struct fixture_args {
    int n;
    double number[FIXTURE_ARGS];
    char text[64]; /* the one that is a text, or "" */
} fixture_args;

/* One op of a program. Its inputs are tensors of the program: first its own inputs, then the outputs
 * of each step. */
typedef struct fixture_step {
    char op[40];
    int n_in, n_out;
    int in[FIXTURE_INPUTS];
    fixture_args args;
} fixture_step;

/* How a parameter or buffer of that name is distributed at first. */
typedef struct fixture_init {
    const char *name;
    double mean, deviation, kurtosis;
} fixture_init;

typedef struct fixture_case {
    char op[40];    /* "add" */
    char path[128]; /* "add.row.f32": the beginning of its streams' names */
    mn_dtype dtype;
    int n_in, n_out;
    fixture_args args;
    fixture_step *steps; /* of a program */
    int n_steps;
    int n_gives, gives[FIXTURE_OUTPUTS]; /* which of its tensors are the program's outputs */
    mn_error refused;                    /* the error that it ends with, else MN_OK */
    char says[128];                      /* a part of its message */
    bool eval;                           /* of a module: not in training mode */
    const char *prints;                  /* of a module: PyTorch's repr, or NULL */
    fixture_init *inits;                 /* of a module: its default first values */
    int n_inits;
    fixture_tensor in[FIXTURE_INPUTS];
    fixture_tensor out[FIXTURE_OUTPUTS];
} fixture_case;

typedef struct fixture {
    fixture_case *cases;
    int n;
    struct fixture_text *texts; /* what the names and the printed forms lie in */
} fixture;

/* Adds the cases of a file. Ends the program with the reason on stderr when it cannot be read or has
 * a bad line. */
void fixture_read(fixture *f, const char *path);
void fixture_free(fixture *f);

/* The generator at the beginning of a case's stream: "rng", "in0", "cotangent0". */
mn_rng fixture_rng(const fixture_case *c, const char *name);

/* Input i (MN_NONE when absent); the cotangent of output k; the weight of the gradient of input i. Yours to release; NULL with
 * the last error set. */
mn_tensor *fixture_input(const fixture_case *c, int i);
mn_tensor *fixture_cotangent(const fixture_case *c, int k);
mn_tensor *fixture_weight(const fixture_case *c, int i);

/* Whether `got` is output k, or the first or second gradient of input i, as PyTorch has it. If not,
 * the reason is in text. A zero of an output must have its sign where the tolerance is relative; no
 * second gradient (NULL) is one of zeros. */
bool fixture_output_agrees(const fixture_case *c, int k, const mn_tensor *got, char *text,
                           size_t size);
bool fixture_gradient_agrees(const fixture_case *c, int i, const mn_tensor *got, char *text,
                             size_t size);
bool fixture_second_agrees(const fixture_case *c, int i, const mn_tensor *got, char *text,
                           size_t size);

#endif
