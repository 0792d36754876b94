/*
 * optim/scheduler.h: what every scheduler shares. A schedule is a class with a function that gives a
 * group's next rate; its arguments are numbers with rules, as the options of optimizers are.
 */
#ifndef MNI_SCHEDULER_H
#define MNI_SCHEDULER_H

#include "optim/optim.h"

enum { MNI_ARGUMENTS = 10, MNI_COUNTS = 3 };

typedef struct mni_schedule {
    const char *name;            /* "step_lr": made by mn_scheduler_step_lr */
    const mni_option *arguments; /* ends with a NULL name */
    const char *const *counts;   /* numbers that change from step to step; NULL: none */
    /* The next rate of a group, from g->next_lr, which the step before or another scheduler left;
     * s->epoch is 0 when it begins. */
    double (*rate)(const mn_scheduler *s, const mni_group *g);
    double (*momentum)(const mn_scheduler *s); /* momentum or beta1; NULL: left alone */
    /* Before the rates, when s->epoch was set; false with the last error set. NULL: nothing. */
    bool (*advance)(mn_scheduler *s);
    bool (*refuse)(const char *who, const mn_scheduler *s); /* true with the last error set */
    bool metric;  /* stepped by mn_scheduler_step_metric */
    bool goes_on; /* begins with the rate there is, also in the middle of a sequence */
    /* Of a scheduler of schedulers, instead of all these. */
    bool (*run)(mn_scheduler *s);
    bool (*begin)(mn_scheduler *s);
} mni_schedule;

struct mn_scheduler {
    const mni_schedule *cls;
    mn_optim *o; /* a reference of its own */
    int64_t epoch, epoch_before;
    double argument[MNI_ARGUMENTS];
    double count[MNI_COUNTS], count_before[MNI_COUNTS];
    double metric;
    bool due; /* on a plateau */
    mn_lr_lambda lambda;
    void *user;
    int64_t *milestones;
    int n_milestones;
    mn_scheduler **children;
    int n_children;
};

/* A scheduler that has not begun, or NULL with the last error set: the arguments are checked. */
mn_scheduler *mni_scheduler_new(const mni_schedule *cls, mn_optim *o, const double *argument);

/* Copies n milestones, each above `least` and with `growing` above the one before; false with the
 * last error set. */
bool mni_scheduler_milestones(mn_scheduler *s, const int64_t *milestones, int n, bool growing);

/* Sets the first rates; s, or NULL with s freed. The end of a constructor. */
mn_scheduler *mni_scheduler_begin(mn_scheduler *s);

/* The option of the optimizer that schedules of momentum set; -1 when it has none. */
int mni_momentum_option(const mn_optim *o);

/* In schedulers of schedulers: s goes on by a step, or begins, on the groups' next rates. */
bool mni_schedule_run(mn_scheduler *s);
bool mni_schedule_begin(mn_scheduler *s);

/* How many milestones are <= epoch. */
int mni_milestones_passed(const mn_scheduler *s, int64_t epoch);

#endif
