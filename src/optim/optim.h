/*
 * optim/optim.h: what every optimizer shares. An optimizer is one file: its options, a class, and
 * constructors; its arithmetic on single elements is a loop of loops.h. Groups, options by name,
 * state tensors, refusals and the walk over memory are here.
 */
#ifndef MNI_OPTIM_H
#define MNI_OPTIM_H

#include "core/team.h"
#include "tensor/kernels/kernels.h"
#include "tensor/tensor.h"
#include <minnow/optim.h>

enum {
    MNI_OPTIONS = 14, /* at most, of a class */
    MNI_STATES = 5,
    MNI_NUMBERS = 7,
    MNI_COEFFICIENTS = 10,
    MNI_BLOCK = 1024 /* elements that a loop is given at once: little enough for the L1 cache */
};

/* ---- options: numbers with a name, those of a group in an array ---- */

typedef enum mni_rule {
    MNI_FINITE,
    MNI_NOT_NEGATIVE,
    MNI_NOT_POSITIVE,
    MNI_POSITIVE,
    MNI_BELOW_ONE,    /* [0, 1) */
    MNI_UP_TO_ONE,    /* [0, 1] */
    MNI_INSIDE_ONE,   /* (0, 1) */
    MNI_SHARE,        /* (0, 1] */
    MNI_ABOVE_ONE,    /* > 1 */
    MNI_AT_LEAST_ONE, /* >= 1 */
    MNI_COUNT,        /* a whole number >= 1 */
    MNI_FLAG          /* 0 or 1 */
} mni_rule;

typedef struct mni_option {
    const char *name;
    mni_rule rule;
} mni_option;

/* Option 0 of every class. */
enum { MNI_LR = 0 };
#define MNI_LR_OPTION                                                                              \
    {                                                                                              \
        "lr", MNI_NOT_NEGATIVE                                                                     \
    }

/* "who: momentum -1 is not a number >= 0" in the last error, and false, for a value that a rule
 * forbids. */
bool mni_obeys(const char *who, const char *name, mni_rule rule, double value);

/* ---- the step of one parameter ---- */

typedef struct mni_update {
    /* what `begin` reads */
    const double *option;
    int64_t step;   /* of this parameter, this one included: 1 at its first */
    unsigned fresh; /* bit k: state k was made for this step and is zero */
    double *number; /* numbers kept from step to step, 0 before the first */
    /* and sets: g = sign * gradient + decay * p is what the loop gets, and numbers of its own */
    double sign, decay; /* 1 and 0 */
    double c[MNI_COEFFICIENTS];
    /* what the loop changes: n elements, all contiguous */
    mn_dtype dtype;
    int64_t n;
    void *p;
    const void *g;
    void *state[MNI_STATES]; /* NULL: not kept */
    void *work;              /* the class's scratch memory */
    const mn_tensor *parameter;
} mni_update;

typedef void (*mni_optim_loop)(const mni_update *u);

/* ---- loops_isa.c: the loops of loops.h, each by dtype: [MN_F32], [MN_F64] ---- */

#define MNI_EACH_LOOP(M)                                                                           \
    M(sgd)                                                                                         \
    M(outer)                                                                                       \
    M(finite)                                                                                      \
    M(adam)                                                                                        \
    M(adamax)                                                                                      \
    M(nadam)                                                                                       \
    M(radam)                                                                                       \
    M(adagrad) M(adadelta) M(rmsprop) M(rprop) M(asgd) M(lion) M(muon) M(vector) M(row) M(squares)
#define MNI_LOOP(name) MNI_LOOP_##name,
typedef enum mni_loop_kind { MNI_LOOP_NONE, MNI_EACH_LOOP(MNI_LOOP) MNI_LOOPS } mni_loop_kind;
#undef MNI_LOOP

/* Those for one instruction set. */
struct mni_loop_table {
    mni_optim_loop loop[MNI_LOOPS][2];
};

/* The one for this processor. */
static inline mni_optim_loop mni_loop(mni_loop_kind kind, mn_dtype dtype)
{
    return mni_kernels()->loops->loop[kind][dtype];
}

typedef struct mni_state {
    const char *name; /* PyTorch's */
    int when;         /* kept while this option is not 0; MNI_ALWAYS */
} mni_state;
enum { MNI_ALWAYS = -1 };

typedef struct mni_group mni_group;
typedef struct mni_slot mni_slot;

typedef struct mni_optim_class {
    const char *name;          /* "adam": made by mn_optim_adam */
    const mni_option *options; /* this list and the next two end with a NULL name */
    const mni_state *states;   /* tensors like the parameter, zero at first; NULL: none */
    const char *const *numbers;
    /* Options that do not go together: false, with the last error set. May be NULL. */
    bool (*check)(const char *who, const double *option);
    /* What to say of a parameter that it cannot step (`first` is the first of its group), or NULL.
     * May be NULL. */
    const char *(*unfit)(const mn_tensor *p, const mn_tensor *first);
    /* Once for each parameter and step. */
    void (*begin)(mni_update *u);
    /* For each block, when all that an element needs is its own gradient and state; none: */
    mni_loop_kind loop;
    /* For the whole parameter, u->n elements; u->g is the gradient itself. */
    void (*whole)(mni_update *u, mni_team *team);
    /* Bytes of scratch memory for a parameter. May be NULL. */
    size_t (*work)(const mn_tensor *p);
    /* States of a shape of their own: false when slot s has no state k. May be NULL. */
    bool (*shape)(const mni_group *g, const mni_slot *s, int k, int *ndim, int64_t *shape);
    /* Of an optimizer with one group that asks for the loss itself. */
    double (*minimize)(mn_optim *o, mn_tape *t, mn_closure closure, void *user);
} mni_optim_class;

struct mni_slot {
    mn_tensor *parameter; /* a reference of its own */
    mn_tensor *state[MNI_STATES];
    unsigned fresh;
    int64_t steps;
    double number[MNI_NUMBERS];
};

struct mni_group {
    double option[MNI_OPTIONS];
    double initial_lr;         /* what schedulers begin with; NAN: none was made yet */
    double next_lr, next_beta; /* a scheduler at work */
    int n;
    mni_slot *slots;
};

struct mn_optim {
    const mni_optim_class *cls;
    int refs;                   /* the user's and its schedulers' */
    double option[MNI_OPTIONS]; /* of a group that is added */
    int n_groups;
    mni_group *groups;
    void *work;
    size_t work_size;
};

/* ---- for constructors: o with one group, or NULL with the last error set ---- */

mn_optim *mni_optim_module(const mni_optim_class *cls, mn_module *m, const double *option);
mn_optim *mni_optim_tensors(const mni_optim_class *cls, mn_tensor *const *parameters, int n,
                            const double *option);

/* A field of an options struct whose zero stands for a default. */
static inline double mni_or(double value, double otherwise)
{
    return value != 0 ? value : otherwise;
}

/* In `begin`: weight decay as a part of the gradient, or apart from it; returns by how much p itself
 * shrinks: 1 - lr weight_decay when decoupled, else 1. */
static inline double mni_decay(mni_update *u, double weight_decay, bool decoupled)
{
    u->decay = decoupled ? 0 : weight_decay;
    return decoupled ? 1 - u->option[MNI_LR] * weight_decay : 1;
}

/* ---- for the mechanism ---- */

/* The number of the option of that name; -1 when the class has none. */
int mni_option_find(const mni_optim_class *cls, const char *name);
int mni_option_count(const mni_optim_class *cls);

/* Whether `value` may become option k of a group: the rule of the option, and the class's check of
 * all together. */
bool mni_option_fits(const mni_optim_class *cls, const char *who, const double *option, int k,
                     double value);

/* The group of that number; NULL with the last error set. */
mni_group *mni_group_at(const char *who, const mn_optim *o, int number);

/* The shape of state k of slot s of g; false when it has none. */
bool mni_state_shape(const mni_optim_class *cls, const mni_group *g, const mni_slot *s, int k,
                     int *ndim, int64_t *shape);

/* Makes the states that the slots keep, and memory for `bytes`; false with the last error set. */
bool mni_optim_states(mn_optim *o, mni_group *g, mni_slot *s);
bool mni_optim_work(mn_optim *o, size_t bytes);

/* The gradient by which a step changes the parameter; NULL when it does not. */
mn_tensor *mni_usable_grad(const mn_tensor *p);

/* Whether o may act on the tape now; else false with the error set. */
bool mni_optim_ready(const char *who, const mn_optim *o, mn_tape *t);

/* The loss that the closure computes, with its gradients in the parameters; NAN after an error. */
double mni_optim_ask(mn_optim *o, mn_tape *t, mn_closure closure, void *user);

/* loop over all u->n elements in blocks, on the team; g is the gradient itself. */
void mni_optim_run(mni_team *team, const mni_update *u, mni_optim_loop loop);

/* ---- flat.c: vectors of n adjacent elements, f32 or f64 ---- */

/* Sums are taken in f64 over chunks that only n decides on. */
double mni_dot(mni_team *team, mn_dtype dtype, int64_t n, const void *a, const void *b);
double mni_abs_sum(mni_team *team, mn_dtype dtype, int64_t n, const void *a);
double mni_abs_max(mn_dtype dtype, int64_t n, const void *a); /* NaN if any is */

/* y = alpha a + beta b; y may be a or b. */
void mni_blend(mni_team *team, mn_dtype dtype, int64_t n, double alpha, const void *a, double beta,
               const void *b, void *y);

/* A contiguous tensor header over memory, for compute.h; nothing owns it. */
mn_tensor mni_header(mn_dtype dtype, int ndim, const int64_t *shape, void *data);

#endif
