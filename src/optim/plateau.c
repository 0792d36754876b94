/*
 * optim/plateau.c: a lower rate when a metric no longer gets better.
 */
#include "optim/scheduler.h"
#include <math.h>

enum { FACTOR, PATIENCE, THRESHOLD, MAXIMIZE, ABSOLUTE, COOLDOWN, MIN_LR, EPS };
enum { BEST, BAD, REST };

static bool better(const mn_scheduler *s)
{
    const double *a = s->argument, best = s->count[BEST], threshold = a[THRESHOLD];
    const double sign = a[MAXIMIZE] != 0 ? 1 : -1;
    const double bar = a[ABSOLUTE] != 0 ? best + sign * threshold : best * (1 + sign * threshold);
    return a[MAXIMIZE] != 0 ? s->metric > bar : s->metric < bar;
}

static bool advance(mn_scheduler *s)
{
    const double *a = s->argument;
    double *c = s->count;
    s->due = false;
    if (s->epoch == 0) {
        c[BEST] = a[MAXIMIZE] != 0 ? -HUGE_VAL : HUGE_VAL;
        c[BAD] = c[REST] = 0;
        return true;
    }
    c[BAD]++;
    if (better(s)) {
        c[BEST] = s->metric;
        c[BAD] = 0;
    }
    if (c[REST] > 0) {
        c[REST]--;
        c[BAD] = 0;
    }
    s->due = c[BAD] > a[PATIENCE];
    if (s->due) {
        c[REST] = a[COOLDOWN];
        c[BAD] = 0;
    }
    return true;
}

static double rate(const mn_scheduler *s, const mni_group *g)
{
    const double *a = s->argument, lower = fmax(g->next_lr * a[FACTOR], a[MIN_LR]);
    return s->due && g->next_lr - lower > a[EPS] ? lower : g->next_lr;
}

mn_scheduler *mn_scheduler_reduce_lr_on_plateau(mn_optim *o, double factor, int64_t patience,
                                                double threshold,
                                                const mn_scheduler_reduce_lr_on_plateau_opts *opts)
{
    static const mni_option arguments[] = {[FACTOR] = {"factor", MNI_BELOW_ONE},
                                           [PATIENCE] = {"patience", MNI_NOT_NEGATIVE},
                                           [THRESHOLD] = {"threshold", MNI_NOT_NEGATIVE},
                                           [MAXIMIZE] = {"maximize", MNI_FLAG},
                                           [ABSOLUTE] = {"absolute", MNI_FLAG},
                                           [COOLDOWN] = {"cooldown", MNI_NOT_NEGATIVE},
                                           [MIN_LR] = {"min_lr", MNI_NOT_NEGATIVE},
                                           [EPS] = {"eps", MNI_NOT_NEGATIVE},
                                           {NULL, 0}};
    static const char *const counts[] = {"best", "num_bad_epochs", "cooldown_counter", NULL};
    static const mni_schedule cls = {.name = "reduce_lr_on_plateau",
                                     .arguments = arguments,
                                     .counts = counts,
                                     .rate = rate,
                                     .advance = advance,
                                     .metric = true};
    const mn_scheduler_reduce_lr_on_plateau_opts p =
        opts ? *opts : (mn_scheduler_reduce_lr_on_plateau_opts){0};
    const double a[] = {
        [FACTOR] = factor,       [PATIENCE] = (double)patience, [THRESHOLD] = threshold,
        [MAXIMIZE] = p.maximize, [ABSOLUTE] = p.absolute,       [COOLDOWN] = (double)p.cooldown,
        [MIN_LR] = p.min_lr,     [EPS] = mni_or(p.eps, 1e-8)};
    return mni_scheduler_begin(mni_scheduler_new(&cls, o, a));
}
