/*
 * optim/schedules.c: rates that follow from the number of steps.
 */
#include "core/memory.h"
#include "nn/module.h"
#include "optim/scheduler.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

/* A scheduler of that class, begun. */
static mn_scheduler *make(const mni_schedule *cls, mn_optim *o, const double *argument)
{
    return mni_scheduler_begin(mni_scheduler_new(cls, o, argument));
}

/* ---- step_lr ---- */

static double step_rate(const mn_scheduler *s, const mni_group *g)
{
    const int64_t step_size = (int64_t)s->argument[0];
    return s->epoch == 0 || s->epoch % step_size ? g->next_lr : g->next_lr * s->argument[1];
}

mn_scheduler *mn_scheduler_step_lr(mn_optim *o, int64_t step_size, double gamma)
{
    static const mni_option arguments[] = {
        {"step_size", MNI_COUNT}, {"gamma", MNI_NOT_NEGATIVE}, {NULL, 0}};
    static const mni_schedule cls = {.name = "step_lr", .arguments = arguments, .rate = step_rate};
    return make(&cls, o, (double[]){(double)step_size, gamma});
}

/* ---- multi_step_lr ---- */

static double multi_step_rate(const mn_scheduler *s, const mni_group *g)
{
    const int here = mni_milestones_passed(s, s->epoch) - mni_milestones_passed(s, s->epoch - 1);
    return here ? g->next_lr * pow(s->argument[0], here) : g->next_lr;
}

mn_scheduler *mn_scheduler_multi_step_lr(mn_optim *o, const int64_t *milestones, int n,
                                         double gamma)
{
    static const mni_option arguments[] = {{"gamma", MNI_NOT_NEGATIVE}, {NULL, 0}};
    static const mni_schedule cls = {
        .name = "multi_step_lr", .arguments = arguments, .rate = multi_step_rate};
    mn_scheduler *s = mni_scheduler_new(&cls, o, &gamma);
    if (s && mni_scheduler_milestones(s, milestones, n, false)) return mni_scheduler_begin(s);
    mn_scheduler_free(s);
    return NULL;
}

/* ---- constant_lr ---- */

static double constant_rate(const mn_scheduler *s, const mni_group *g)
{
    const double factor = s->argument[0], total = s->argument[1];
    if (s->epoch == 0) return g->next_lr * factor;
    return (double)s->epoch == total ? g->next_lr * (1 / factor) : g->next_lr;
}

mn_scheduler *mn_scheduler_constant_lr(mn_optim *o, double factor, int64_t total_iters)
{
    static const mni_option arguments[] = {
        {"factor", MNI_SHARE}, {"total_iters", MNI_COUNT}, {NULL, 0}};
    static const mni_schedule cls = {
        .name = "constant_lr", .arguments = arguments, .rate = constant_rate};
    return make(&cls, o, (double[]){factor, (double)total_iters});
}

/* ---- linear_lr ---- */

static double linear_rate(const mn_scheduler *s, const mni_group *g)
{
    const double start = s->argument[0], end = s->argument[1], total = s->argument[2];
    const double e = (double)s->epoch;
    if (s->epoch == 0) return g->next_lr * start;
    if (e > total) return g->next_lr;
    return g->next_lr * (1 + (end - start) / (total * start + (e - 1) * (end - start)));
}

mn_scheduler *mn_scheduler_linear_lr(mn_optim *o, double start_factor, double end_factor,
                                     int64_t total_iters)
{
    static const mni_option arguments[] = {{"start_factor", MNI_SHARE},
                                           {"end_factor", MNI_UP_TO_ONE},
                                           {"total_iters", MNI_COUNT},
                                           {NULL, 0}};
    static const mni_schedule cls = {
        .name = "linear_lr", .arguments = arguments, .rate = linear_rate};
    return make(&cls, o, (double[]){start_factor, end_factor, (double)total_iters});
}

/* ---- exponential_lr ---- */

static double exponential_rate(const mn_scheduler *s, const mni_group *g)
{
    return s->epoch == 0 ? g->next_lr : g->next_lr * s->argument[0];
}

mn_scheduler *mn_scheduler_exponential_lr(mn_optim *o, double gamma)
{
    static const mni_option arguments[] = {{"gamma", MNI_NOT_NEGATIVE}, {NULL, 0}};
    static const mni_schedule cls = {
        .name = "exponential_lr", .arguments = arguments, .rate = exponential_rate};
    return make(&cls, o, &gamma);
}

/* ---- polynomial_lr ---- */

static double polynomial_rate(const mn_scheduler *s, const mni_group *g)
{
    const double total = s->argument[0], power = s->argument[1], e = (double)s->epoch;
    if (s->epoch == 0 || e > total) return g->next_lr;
    return g->next_lr * pow((1 - e / total) / (1 - (e - 1) / total), power);
}

mn_scheduler *mn_scheduler_polynomial_lr(mn_optim *o, int64_t total_iters, double power)
{
    static const mni_option arguments[] = {
        {"total_iters", MNI_COUNT}, {"power", MNI_NOT_NEGATIVE}, {NULL, 0}};
    static const mni_schedule cls = {
        .name = "polynomial_lr", .arguments = arguments, .rate = polynomial_rate};
    return make(&cls, o, (double[]){(double)total_iters, power});
}

/* ---- cosine_annealing_lr ---- */

static double cosine_rate(const mn_scheduler *s, const mni_group *g)
{
    const int64_t length = (int64_t)s->argument[0];
    const double half = s->argument[0], low = s->argument[1], e = (double)s->epoch;
    if (s->epoch == 0) return g->next_lr;
    if ((s->epoch - 1 - length) % (2 * length) == 0) /* from the bottom, where factors are of 0 */
        return g->next_lr + (g->initial_lr - low) * (1 - cos(PI / half)) / 2;
    return (1 + cos(PI * e / half)) / (1 + cos(PI * (e - 1) / half)) * (g->next_lr - low) + low;
}

mn_scheduler *mn_scheduler_cosine_annealing_lr(mn_optim *o, int64_t T_max, double eta_min)
{
    static const mni_option arguments[] = {
        {"T_max", MNI_COUNT}, {"eta_min", MNI_NOT_NEGATIVE}, {NULL, 0}};
    static const mni_schedule cls = {
        .name = "cosine_annealing_lr", .arguments = arguments, .rate = cosine_rate};
    return make(&cls, o, (double[]){(double)T_max, eta_min});
}

/* ---- cosine_annealing_warm_restarts ---- */

enum { T_CUR, T_I };

static bool warm_advance(mn_scheduler *s)
{
    double *c = s->count;
    if (s->epoch == 0) {
        c[T_CUR] = 0;
        c[T_I] = s->argument[0];
    } else if (++c[T_CUR] >= c[T_I]) {
        c[T_CUR] -= c[T_I];
        c[T_I] *= s->argument[1];
    }
    return true;
}

static double warm_rate(const mn_scheduler *s, const mni_group *g)
{
    const double low = s->argument[2];
    return low + (g->initial_lr - low) * (1 + cos(PI * s->count[T_CUR] / s->count[T_I])) / 2;
}

mn_scheduler *mn_scheduler_cosine_annealing_warm_restarts(mn_optim *o, int64_t T_0, int64_t T_mult,
                                                          double eta_min)
{
    static const mni_option arguments[] = {
        {"T_0", MNI_COUNT}, {"T_mult", MNI_COUNT}, {"eta_min", MNI_NOT_NEGATIVE}, {NULL, 0}};
    static const char *const counts[] = {"T_cur", "T_i", NULL};
    static const mni_schedule cls = {.name = "cosine_annealing_warm_restarts",
                                     .arguments = arguments,
                                     .counts = counts,
                                     .rate = warm_rate,
                                     .advance = warm_advance};
    return make(&cls, o, (double[]){(double)T_0, (double)T_mult, eta_min});
}

/* ---- lambda_lr ---- */

static double lambda_rate(const mn_scheduler *s, const mni_group *g)
{
    return g->initial_lr * s->lambda(s->epoch, (int)(g - s->o->groups), s->user);
}

mn_scheduler *mn_scheduler_lambda_lr(mn_optim *o, mn_lr_lambda f, void *user)
{
    static const mni_schedule cls = {.name = "lambda_lr", .rate = lambda_rate};
    if (!f) {
        mn_fail(MN_ERR_ARGUMENT, "mn_scheduler_lambda_lr: the function is NULL");
        return NULL;
    }
    mn_scheduler *s = mni_scheduler_new(&cls, o, NULL);
    if (!s) return NULL;
    s->lambda = f;
    s->user = user;
    return mni_scheduler_begin(s);
}

/* ---- swa_lr ---- */

/* How much of the way to swa_lr is done after a share t of the steps. */
static double swa_way(const mn_scheduler *s, double t)
{
    t = fmax(0, fmin(1, t));
    return s->argument[2] != 0 ? t : (1 - cos(PI * t)) / 2;
}

static double swa_rate(const mn_scheduler *s, const mni_group *g)
{
    const double swa_lr = s->argument[0], total = fmax(1, s->argument[1]);
    const double e = s->argument[1] == 0 ? fmax(1, (double)s->epoch) : (double)s->epoch;
    const double before = swa_way(s, (e - 1) / total), now = swa_way(s, e / total);
    const double first = before == 1 ? swa_lr : (g->next_lr - before * swa_lr) / (1 - before);
    return swa_lr * now + first * (1 - now);
}

mn_scheduler *mn_scheduler_swa_lr(mn_optim *o, double swa_lr, int64_t anneal_epochs,
                                  const mn_scheduler_swa_lr_opts *opts)
{
    static const mni_option arguments[] = {{"swa_lr", MNI_NOT_NEGATIVE},
                                           {"anneal_epochs", MNI_NOT_NEGATIVE},
                                           {"linear", MNI_FLAG},
                                           {NULL, 0}};
    static const mni_schedule cls = {
        .name = "swa_lr", .arguments = arguments, .rate = swa_rate, .goes_on = true};
    return make(&cls, o, (double[]){swa_lr, (double)anneal_epochs, opts && opts->linear});
}
