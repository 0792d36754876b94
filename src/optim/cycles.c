/*
 * optim/cycles.c: rates that go up and down, and momentum that goes the other way.
 */
#include "optim/scheduler.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

/* Whether momentum shall be set of an optimizer that has none. */
static bool lacks_momentum(const char *who, const mn_scheduler *s, bool keep)
{
    if (keep || mni_momentum_option(s->o) >= 0) return false;
    mn_fail(MN_ERR_ARGUMENT, "%s: %s has neither beta1 nor momentum; set keep_momentum", who,
            s->o->cls->name);
    return true;
}

/* ---- one cycle: two or three phases, each from one value to another ---- */

enum {
    MAX_LR,
    TOTAL,
    PCT_START,
    LINEAR,
    KEEP,
    BASE_MOMENTUM,
    MAX_MOMENTUM,
    DIV,
    FINAL_DIV,
    THREE_PHASE
};

typedef struct phase {
    double pct; /* of the way through it */
    double lr[2], momentum[2];
} phase;

static phase phase_at(const mn_scheduler *s)
{
    const double *a = s->argument, e = (double)s->epoch;
    const double high = a[MAX_LR], first = high / a[DIV], last = first / a[FINAL_DIV];
    const double base = a[BASE_MOMENTUM], top = a[MAX_MOMENTUM], up = a[PCT_START] * a[TOTAL];
    const phase three[] = {{0, {first, high}, {top, base}},
                           {0, {high, first}, {base, top}},
                           {0, {first, last}, {top, top}}};
    const phase two[] = {{0, {first, high}, {top, base}}, {0, {high, last}, {base, top}}};
    const bool many = a[THREE_PHASE] != 0;
    const double ends[] = {up - 1, many ? 2 * up - 2 : a[TOTAL] - 1, a[TOTAL] - 1};
    const int count = many ? 3 : 2;
    int i = 0;
    while (i < count - 1 && e > ends[i]) i++;
    phase p = many ? three[i] : two[i];
    const double start = i ? ends[i - 1] : 0;
    p.pct = ends[i] == start ? 1 : fmin(1, (e - start) / (ends[i] - start));
    return p;
}

static double between(const mn_scheduler *s, const double ends[2], double pct)
{
    if (s->argument[LINEAR] != 0) return (ends[1] - ends[0]) * pct + ends[0];
    return ends[1] + (ends[0] - ends[1]) / 2 * (cos(PI * pct) + 1);
}

static double one_cycle_rate(const mn_scheduler *s, const mni_group *g)
{
    const phase p = phase_at(s);
    (void)g;
    return between(s, p.lr, p.pct);
}

static double one_cycle_momentum(const mn_scheduler *s)
{
    const phase p = phase_at(s);
    return s->argument[KEEP] != 0 ? (double)NAN : between(s, p.momentum, p.pct);
}

static bool one_cycle_advance(mn_scheduler *s)
{
    if ((double)s->epoch <= s->argument[TOTAL]) return true;
    mn_fail(MN_ERR_STATE, "mn_scheduler_step: one_cycle_lr has %g steps, this is number %lld",
            s->argument[TOTAL], (long long)s->epoch);
    return false;
}

static bool one_cycle_refuse(const char *who, const mn_scheduler *s)
{
    return lacks_momentum(who, s, s->argument[KEEP] != 0);
}

mn_scheduler *mn_scheduler_one_cycle_lr(mn_optim *o, double max_lr, int64_t total_steps,
                                        const mn_scheduler_one_cycle_lr_opts *opts)
{
    static const mni_option arguments[] = {[MAX_LR] = {"max_lr", MNI_NOT_NEGATIVE},
                                           [TOTAL] = {"total_steps", MNI_COUNT},
                                           [PCT_START] = {"pct_start", MNI_UP_TO_ONE},
                                           [LINEAR] = {"linear", MNI_FLAG},
                                           [KEEP] = {"keep_momentum", MNI_FLAG},
                                           [BASE_MOMENTUM] = {"base_momentum", MNI_BELOW_ONE},
                                           [MAX_MOMENTUM] = {"max_momentum", MNI_BELOW_ONE},
                                           [DIV] = {"div_factor", MNI_POSITIVE},
                                           [FINAL_DIV] = {"final_div_factor", MNI_POSITIVE},
                                           [THREE_PHASE] = {"three_phase", MNI_FLAG},
                                           {NULL, 0}};
    static const mni_schedule cls = {.name = "one_cycle_lr",
                                     .arguments = arguments,
                                     .rate = one_cycle_rate,
                                     .momentum = one_cycle_momentum,
                                     .advance = one_cycle_advance,
                                     .refuse = one_cycle_refuse};
    const mn_scheduler_one_cycle_lr_opts p = opts ? *opts : (mn_scheduler_one_cycle_lr_opts){0};
    const double a[] = {[MAX_LR] = max_lr,
                        [TOTAL] = (double)total_steps,
                        [PCT_START] = mni_or(p.pct_start, 0.3),
                        [LINEAR] = p.linear,
                        [KEEP] = p.keep_momentum,
                        [BASE_MOMENTUM] = mni_or(p.base_momentum, 0.85),
                        [MAX_MOMENTUM] = mni_or(p.max_momentum, 0.95),
                        [DIV] = mni_or(p.div_factor, 25),
                        [FINAL_DIV] = mni_or(p.final_div_factor, 1e4),
                        [THREE_PHASE] = p.three_phase};
    mn_scheduler *s = mni_scheduler_begin(mni_scheduler_new(&cls, o, a));
    for (int g = 0; s && g < o->n_groups; g++) o->groups[g].initial_lr = max_lr / a[DIV];
    return s;
}

/* ---- cyclic ---- */

enum { BASE, TOP, UP, DOWN, MODE, GAMMA, STAY, LEAST_MOMENTUM, MOST_MOMENTUM };

/* How far up it is: 0 at the bottom, 1 at the top of a full cycle. */
static double height(const mn_scheduler *s)
{
    const double *a = s->argument, e = (double)s->epoch;
    const double total = a[UP] + a[DOWN], ratio = a[UP] / total;
    const double cycle = floor(1 + e / total), x = 1 + e / total - cycle;
    const double factor = x <= ratio ? x / ratio : (x - 1) / (ratio - 1);
    if (a[MODE] == MN_CYCLIC_TRIANGULAR2) return factor * (1 / pow(2, cycle - 1));
    return a[MODE] == MN_CYCLIC_EXP_RANGE ? factor * pow(a[GAMMA], e) : factor;
}

static double cyclic_rate(const mn_scheduler *s, const mni_group *g)
{
    (void)g;
    return s->argument[BASE] + (s->argument[TOP] - s->argument[BASE]) * height(s);
}

static double cyclic_momentum(const mn_scheduler *s)
{
    const double *a = s->argument;
    if (a[STAY] != 0) return (double)NAN;
    return a[MOST_MOMENTUM] - (a[MOST_MOMENTUM] - a[LEAST_MOMENTUM]) * height(s);
}

static bool cyclic_refuse(const char *who, const mn_scheduler *s)
{
    const double mode = s->argument[MODE];
    if (mode >= MN_CYCLIC_TRIANGULAR && mode <= MN_CYCLIC_EXP_RANGE)
        return lacks_momentum(who, s, s->argument[STAY] != 0);
    mn_fail(MN_ERR_ARGUMENT, "%s: there is no mode %g", who, mode);
    return true;
}

mn_scheduler *mn_scheduler_cyclic_lr(mn_optim *o, double base_lr, double max_lr,
                                     const mn_scheduler_cyclic_lr_opts *opts)
{
    static const mni_option arguments[] = {[BASE] = {"base_lr", MNI_NOT_NEGATIVE},
                                           [TOP] = {"max_lr", MNI_NOT_NEGATIVE},
                                           [UP] = {"step_size_up", MNI_COUNT},
                                           [DOWN] = {"step_size_down", MNI_COUNT},
                                           [MODE] = {"mode", MNI_FINITE},
                                           [GAMMA] = {"gamma", MNI_POSITIVE},
                                           [STAY] = {"keep_momentum", MNI_FLAG},
                                           [LEAST_MOMENTUM] = {"base_momentum", MNI_BELOW_ONE},
                                           [MOST_MOMENTUM] = {"max_momentum", MNI_BELOW_ONE},
                                           {NULL, 0}};
    static const mni_schedule cls = {.name = "cyclic_lr",
                                     .arguments = arguments,
                                     .rate = cyclic_rate,
                                     .momentum = cyclic_momentum,
                                     .refuse = cyclic_refuse};
    const mn_scheduler_cyclic_lr_opts p = opts ? *opts : (mn_scheduler_cyclic_lr_opts){0};
    const double up = mni_or((double)p.step_size_up, 2000);
    const double a[] = {[BASE] = base_lr,
                        [TOP] = max_lr,
                        [UP] = up,
                        [DOWN] = mni_or((double)p.step_size_down, up),
                        [MODE] = p.mode,
                        [GAMMA] = mni_or(p.gamma, 1),
                        [STAY] = p.keep_momentum,
                        [LEAST_MOMENTUM] = mni_or(p.base_momentum, 0.8),
                        [MOST_MOMENTUM] = mni_or(p.max_momentum, 0.9)};
    mn_scheduler *s = mni_scheduler_new(&cls, o, a);
    for (int g = 0; s && g < o->n_groups; g++)
        if (isnan(o->groups[g].initial_lr)) o->groups[g].initial_lr = base_lr;
    return mni_scheduler_begin(s);
}
