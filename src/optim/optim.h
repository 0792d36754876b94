/*
 * optim/optim.h: what every optimizer shares. An optimizer is one file: its options, a class, and a
 * constructor that checks the options; groups, state tensors, refusals and the walk over memory are
 * here.
 */
#ifndef MNI_OPTIM_H
#define MNI_OPTIM_H

#include <minnow/optim.h>

enum { MNI_OPTIM_STATES = 4, MNI_OPTIM_BLOCK = 1024 };

/* One piece of one parameter, small enough for the first-level cache. */
typedef struct mni_update {
    const void *options;
    double lr;
    int64_t step; /* of this parameter, this one included: 1 at its first */
    mn_dtype dtype;
    int64_t n; /* at most MNI_OPTIM_BLOCK */
    void *p;   /* everything is contiguous */
    const void *g;
    void *state[MNI_OPTIM_STATES];
} mni_update;

typedef struct mni_optim_class {
    const char *name;                   /* as it appears in messages */
    size_t options_size;                /* of what a group keeps a copy of */
    int (*states)(const void *options); /* tensors like the parameter it keeps, zero at first */
    void (*update)(const mni_update *u);
} mni_optim_class;

typedef struct mni_slot {
    mn_tensor *parameter; /* a reference of its own */
    mn_tensor *state[MNI_OPTIM_STATES];
    int64_t steps;
} mni_slot;

typedef struct mni_group {
    double lr;
    void *options;
    int states; /* of each parameter */
    int n;
    mni_slot *slots;
} mni_group;

struct mn_optim {
    const mni_optim_class *cls;
    int n_groups;
    mni_group *groups;
};

/* An optimizer without groups; NULL without memory. */
mn_optim *mni_optim_new(const mni_optim_class *cls);

/* Adds a group and returns its number; -1 with the last error set. `who` begins the messages. The
 * learning rate is checked here, `options` by the caller. */
int mni_optim_add_module(mn_optim *o, const char *who, mn_module *m, double lr,
                         const void *options);
int mni_optim_add_tensors(mn_optim *o, const char *who, mn_tensor *const *parameters, int n,
                          double lr, const void *options);

/* o, or NULL (and o freed) when group is negative: the end of a constructor. */
mn_optim *mni_optim_finish(mn_optim *o, int group);

/* out = alpha a + beta b, n elements; out may be a or b. */
void mni_axpby(mn_dtype dtype, int64_t n, double alpha, const void *a, double beta, const void *b,
               void *out);

#endif
