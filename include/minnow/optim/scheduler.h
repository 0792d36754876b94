/*
 * minnow/optim/scheduler.h: learning rates that follow a plan: torch.optim.lr_scheduler.
 *
 * A scheduler sets the rate of every group of an optimizer, at once when it is made and then at each
 * mn_scheduler_step. In the formulas e is the number of steps, 0 at first, and lr(0) the rate that
 * the group had before its first scheduler. As in PyTorch most go from the rate of the step before
 * (so that several act together, mn_scheduler_chained); the formulas say what comes out if nobody
 * else sets it.
 *
 *     mn_scheduler *plan = mn_scheduler_cosine_annealing_lr(adam, epochs, 0);
 *     for (int epoch = 0; epoch < epochs; epoch++) {
 *         ... train ...
 *         mn_scheduler_step(plan);
 *     }
 *
 * Constructors give NULL, with the last error set, for a number that makes no sense (the text has
 * its name and value), for a NULL optimizer (its reason stays) or without memory.
 */
#ifndef MINNOW_OPTIM_SCHEDULER_H
#define MINNOW_OPTIM_SCHEDULER_H

#include <minnow/optim/step.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A schedule of learning rates. */
typedef struct mn_scheduler mn_scheduler;

/* Sets the rates of the next step or epoch. An error, with the last error set and nothing changed,
 * when a rate is not a number >= 0 or the plan has ended. */
MN_API mn_error mn_scheduler_step(mn_scheduler *s);

/* The same for mn_scheduler_reduce_lr_on_plateau, which looks at a metric. */
MN_API mn_error mn_scheduler_step_metric(mn_scheduler *s, double metric);

/* e; -1 for NULL. */
MN_API int64_t mn_scheduler_epoch(const mn_scheduler *s);

/* Frees the scheduler and its hold of the optimizer. NULL is fine. */
MN_API void mn_scheduler_free(mn_scheduler *s);

/* What a checkpoint holds beside the optimizer's state: numbers ("last_epoch"), as mn_optim_state
 * and mn_optim_load_state. To go on from a checkpoint make optimizer and scheduler as before, then
 * load both. */
MN_API int mn_scheduler_state(const mn_scheduler *s, mn_state_item *items, int capacity);
MN_API mn_error mn_scheduler_load_state(mn_scheduler *s, const mn_state_item *items, int n);

/* ---- by the number of steps ---- */

/* lr(0) gamma^(e / step_size), rounded down. PyTorch: gamma 0.1. step_size >= 1, gamma >= 0. */
MN_API mn_scheduler *mn_scheduler_step_lr(mn_optim *o, int64_t step_size, double gamma);

/* lr(0) gamma^(number of milestones <= e). The n milestones are >= 1. PyTorch: gamma 0.1. */
MN_API mn_scheduler *mn_scheduler_multi_step_lr(mn_optim *o, const int64_t *milestones, int n,
                                                double gamma);

/* lr(0) factor for e < total_iters, then lr(0). PyTorch: 1/3, 5. factor in (0, 1], total_iters >=
 * 1. */
MN_API mn_scheduler *mn_scheduler_constant_lr(mn_optim *o, double factor, int64_t total_iters);

/* From lr(0) start_factor in total_iters equal steps to lr(0) end_factor. PyTorch: 1/3, 1, 5.
 * start_factor in (0, 1], end_factor in [0, 1], total_iters >= 1. */
MN_API mn_scheduler *mn_scheduler_linear_lr(mn_optim *o, double start_factor, double end_factor,
                                            int64_t total_iters);

/* lr(0) gamma^e. gamma >= 0. */
MN_API mn_scheduler *mn_scheduler_exponential_lr(mn_optim *o, double gamma);

/* lr(0) (1 - e / total_iters)^power, then 0. PyTorch: 5, 1. total_iters >= 1, power >= 0. */
MN_API mn_scheduler *mn_scheduler_polynomial_lr(mn_optim *o, int64_t total_iters, double power);

/* eta_min + (lr(0) - eta_min) (1 + cos(pi e / T_max)) / 2, up again after T_max (Loshchilov, Hutter,
 * "SGDR", 2017, without restarts). PyTorch: eta_min 0. T_max >= 1, eta_min >= 0. */
MN_API mn_scheduler *mn_scheduler_cosine_annealing_lr(mn_optim *o, int64_t T_max, double eta_min);

/* The same, starting again from lr(0) after T_0 steps and then after T_mult times as many each
 * time. PyTorch: T_mult 1, eta_min 0. T_0 >= 1, T_mult >= 1, eta_min >= 0. */
MN_API mn_scheduler *mn_scheduler_cosine_annealing_warm_restarts(mn_optim *o, int64_t T_0,
                                                                 int64_t T_mult, double eta_min);

/* lr(0) f(e, group, user). */
typedef double (*mn_lr_lambda)(int64_t epoch, int group, void *user);
MN_API mn_scheduler *mn_scheduler_lambda_lr(mn_optim *o, mn_lr_lambda f, void *user);

/* ---- up and down, with momentum the other way ---- */

/* Options of mn_scheduler_one_cycle_lr. */
typedef struct mn_scheduler_one_cycle_lr_opts {
    double pct_start;        /* share of the steps in which lr grows, in (0, 1]; 0: 0.3 */
    bool linear;             /* straight lines instead of cosines */
    bool keep_momentum;      /* do not set momentum or beta1 */
    double base_momentum;    /* in [0, 1); 0: 0.85 */
    double max_momentum;     /* in [0, 1); 0: 0.95 */
    double div_factor;       /* lr begins at max_lr / div_factor; > 0; 0: 25 */
    double final_div_factor; /* and ends at that divided by final_div_factor; > 0; 0: 1e4 */
    bool three_phase;        /* down as long as up, then on to the end */
} mn_scheduler_one_cycle_lr_opts;

/* One cycle (Smith, Topin, 2018): up to max_lr and down, over total_steps rates, the first one
 * included; the last one stays for one more step (where PyTorch goes beyond the end of its line),
 * and then a step is an error. max_lr >= 0, total_steps >= 1. The optimizer must have an option "beta1" or "momentum",
 * unless keep_momentum. */
MN_API mn_scheduler *mn_scheduler_one_cycle_lr(mn_optim *o, double max_lr, int64_t total_steps,
                                               const mn_scheduler_one_cycle_lr_opts *opts);

/* The shape of a cycle. */
typedef enum mn_cyclic_mode {
    MN_CYCLIC_TRIANGULAR = 0, /* every cycle as high as the first */
    MN_CYCLIC_TRIANGULAR2,    /* each half as high as the one before */
    MN_CYCLIC_EXP_RANGE       /* times gamma^e */
} mn_cyclic_mode;

/* Options of mn_scheduler_cyclic_lr. */
typedef struct mn_scheduler_cyclic_lr_opts {
    int64_t step_size_up;   /* steps from base_lr to max_lr, >= 1; 0: 2000 */
    int64_t step_size_down; /* and back, >= 1; 0: step_size_up */
    mn_cyclic_mode mode;
    double gamma;         /* > 0; 0: 1 */
    bool keep_momentum;   /* do not set momentum or beta1 */
    double base_momentum; /* in [0, 1); 0: 0.8 */
    double max_momentum;  /* in [0, 1); 0: 0.9 */
} mn_scheduler_cyclic_lr_opts;

/* Between base_lr and max_lr, both >= 0, and back, for ever (Smith, 2017). */
MN_API mn_scheduler *mn_scheduler_cyclic_lr(mn_optim *o, double base_lr, double max_lr,
                                            const mn_scheduler_cyclic_lr_opts *opts);

/* ---- by what happens ---- */

/* Options of mn_scheduler_reduce_lr_on_plateau. */
typedef struct mn_scheduler_reduce_lr_on_plateau_opts {
    bool maximize;    /* the metric shall grow */
    bool absolute;    /* better by threshold, not by its share of the best */
    int64_t cooldown; /* steps after a reduction that are not counted, >= 0 */
    double min_lr;    /* >= 0 */
    double eps;       /* least reduction worth doing, >= 0; 0: 1e-8 */
} mn_scheduler_reduce_lr_on_plateau_opts;

/* lr factor after more than `patience` steps in a row in which the metric was not better than the
 * best one so far. PyTorch: 0.1, 10, 1e-4. factor in [0, 1), patience >= 0, threshold >= 0. Stepped
 * by mn_scheduler_step_metric only. */
MN_API mn_scheduler *
mn_scheduler_reduce_lr_on_plateau(mn_optim *o, double factor, int64_t patience, double threshold,
                                  const mn_scheduler_reduce_lr_on_plateau_opts *opts);

/* Options of mn_scheduler_swa_lr. */
typedef struct mn_scheduler_swa_lr_opts {
    bool linear; /* a straight line instead of a cosine */
} mn_scheduler_swa_lr_opts;

/* From the rate there is in anneal_epochs steps to swa_lr, where it stays while weights are
 * averaged (minnow/optim/average.h). PyTorch: anneal_epochs 10. Both >= 0. */
MN_API mn_scheduler *mn_scheduler_swa_lr(mn_optim *o, double swa_lr, int64_t anneal_epochs,
                                         const mn_scheduler_swa_lr_opts *opts);

/* ---- several ---- */

/* One after the other: scheduler i from step milestones[i - 1] on, where it begins with lr(0). n
 * schedulers of one optimizer, n - 1 milestones, growing, >= 1. Takes over the schedulers in every
 * case; when one is NULL the others are freed and the result is NULL, with its message. */
MN_API mn_scheduler *mn_scheduler_sequential(mn_scheduler *const *schedulers, int n,
                                             const int64_t *milestones);

/* All at every step, each going on from the rate that the one before it has set. Takes over the
 * schedulers likewise. */
MN_API mn_scheduler *mn_scheduler_chained(mn_scheduler *const *schedulers, int n);

#ifdef __cplusplus
}
#endif
#endif
