/*
 * optim/scheduler.c: a scheduler's life and its step, which first computes every rate and then sets
 * them all, or none.
 */
#include "optim/scheduler.h"
#include "core/memory.h"
#include "nn/module.h"
#include "optim/state.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the groups' next rates ---- */

int mni_momentum_option(const mn_optim *o)
{
    int k = mni_option_find(o->cls, "beta1");
    return k >= 0 ? k : mni_option_find(o->cls, "momentum");
}

static void open(mn_optim *o)
{
    const int beta = mni_momentum_option(o);
    for (mni_group *g = o->groups; g < o->groups + o->n_groups; g++) {
        g->next_lr = g->option[MNI_LR];
        if (isnan(g->initial_lr)) g->initial_lr = g->next_lr;
        g->next_beta = beta >= 0 ? g->option[beta] : 0;
    }
}

static bool commit(const char *who, mn_optim *o)
{
    const int beta = mni_momentum_option(o);
    for (mni_group *g = o->groups; g < o->groups + o->n_groups; g++) {
        if (!mni_option_fits(o->cls, who, g->option, MNI_LR, g->next_lr)) return false;
        if (beta >= 0 && !mni_option_fits(o->cls, who, g->option, beta, g->next_beta)) return false;
    }
    for (mni_group *g = o->groups; g < o->groups + o->n_groups; g++) {
        g->option[MNI_LR] = g->next_lr;
        if (beta >= 0) g->option[beta] = g->next_beta;
    }
    return true;
}

/* ---- one scheduler on them ---- */

static bool compute(mn_scheduler *s)
{
    mn_optim *o = s->o;
    if (s->cls->advance && !s->cls->advance(s)) return false;
    for (mni_group *g = o->groups; g < o->groups + o->n_groups; g++) {
        g->next_lr = s->cls->rate(s, g);
        if (s->cls->momentum && mni_momentum_option(o) >= 0) {
            double momentum = s->cls->momentum(s);
            if (!isnan(momentum)) g->next_beta = momentum;
        }
    }
    return true;
}

bool mni_schedule_run(mn_scheduler *s)
{
    s->epoch++;
    return s->cls->run ? s->cls->run(s) : compute(s);
}

bool mni_schedule_begin(mn_scheduler *s)
{
    s->epoch = 0;
    return s->cls->begin ? s->cls->begin(s) : compute(s);
}

static void save(mn_scheduler *s)
{
    s->epoch_before = s->epoch;
    memcpy(s->count_before, s->count, sizeof s->count);
    for (int i = 0; i < s->n_children; i++) save(s->children[i]);
}

static void restore(mn_scheduler *s)
{
    s->epoch = s->epoch_before;
    memcpy(s->count, s->count_before, sizeof s->count);
    for (int i = 0; i < s->n_children; i++) restore(s->children[i]);
}

/* ---- the step ---- */

static mn_error step(const char *who, mn_scheduler *s, bool metric)
{
    if (s->cls->metric != metric)
        return mn_fail(MN_ERR_ARGUMENT, "%s: %s is stepped by mn_scheduler_step%s", who,
                       s->cls->name, metric ? "" : "_metric");
    open(s->o);
    save(s);
    if (mni_schedule_run(s) && commit(who, s->o)) return MN_OK;
    restore(s);
    return mn_last_error();
}

mn_error mn_scheduler_step(mn_scheduler *s)
{
    static const char who[] = "mn_scheduler_step";
    return s ? step(who, s, false) : mni_pass_null(who, "the scheduler");
}

mn_error mn_scheduler_step_metric(mn_scheduler *s, double metric)
{
    static const char who[] = "mn_scheduler_step_metric";
    if (!s) return mni_pass_null(who, "the scheduler");
    s->metric = metric;
    return step(who, s, true);
}

int64_t mn_scheduler_epoch(const mn_scheduler *s)
{
    return s ? s->epoch : -1;
}

/* ---- making and freeing ---- */

mn_scheduler *mni_scheduler_new(const mni_schedule *cls, mn_optim *o, const double *argument)
{
    char who[64];
    snprintf(who, sizeof who, "mn_scheduler_%s", cls->name);
    if (!o) {
        mni_pass_null(who, "the optimizer");
        return NULL;
    }
    mn_scheduler *s = mni_calloc(sizeof *s);
    if (!s) return NULL;
    s->cls = cls;
    s->o = o;
    o->refs++;
    bool fine = true;
    for (int k = 0; fine && cls->arguments && cls->arguments[k].name; k++) {
        s->argument[k] = argument[k];
        fine = mni_obeys(who, cls->arguments[k].name, cls->arguments[k].rule, argument[k]);
    }
    if (fine && (!cls->refuse || !cls->refuse(who, s))) return s;
    mn_scheduler_free(s);
    return NULL;
}

bool mni_scheduler_milestones(mn_scheduler *s, const int64_t *milestones, int n, bool growing)
{
    const char *name = s->cls->name;
    if (n > 0 && !milestones) {
        mn_fail(MN_ERR_ARGUMENT, "mn_scheduler_%s: the list of milestones is NULL", name);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const int64_t least = growing && i ? milestones[i - 1] + 1 : 1;
        if (milestones[i] >= least) continue;
        mn_fail(MN_ERR_ARGUMENT, "mn_scheduler_%s: milestone %d is %lld, not at least %lld", name,
                i, (long long)milestones[i], (long long)least);
        return false;
    }
    s->milestones = mni_alloc((size_t)n * sizeof *milestones);
    if (!s->milestones) return false;
    if (n) memcpy(s->milestones, milestones, (size_t)n * sizeof *milestones);
    s->n_milestones = n;
    return true;
}

int mni_milestones_passed(const mn_scheduler *s, int64_t epoch)
{
    int passed = 0;
    for (int i = 0; i < s->n_milestones; i++) passed += s->milestones[i] <= epoch;
    return passed;
}

mn_scheduler *mni_scheduler_begin(mn_scheduler *s)
{
    char who[64];
    if (!s) return NULL;
    snprintf(who, sizeof who, "mn_scheduler_%s", s->cls->name);
    open(s->o);
    if (mni_schedule_begin(s) && commit(who, s->o)) return s;
    mn_scheduler_free(s);
    return NULL;
}

void mn_scheduler_free(mn_scheduler *s)
{
    if (!s) return;
    for (int i = 0; i < s->n_children; i++) mn_scheduler_free(s->children[i]);
    mni_free(s->children);
    mni_free(s->milestones);
    mn_optim_free(s->o);
    mni_free(s);
}

/* ---- state: of a scheduler of schedulers "0.last_epoch" and so on ---- */

static void list(const mn_scheduler *s, mni_items *l, const char *before)
{
    mni_list(l, NULL, (double)s->epoch, "%slast_epoch", before);
    for (int k = 0; s->cls->counts && s->cls->counts[k]; k++)
        mni_list(l, NULL, s->count[k], "%s%s", before, s->cls->counts[k]);
    for (int i = 0; i < s->n_children; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s%d.", before, i);
        list(s->children[i], l, name);
    }
}

int mn_scheduler_state(const mn_scheduler *s, mn_state_item *items, int capacity)
{
    mni_items l = {.items = items, .capacity = items ? capacity : 0};
    if (!s) {
        mni_pass_null("mn_scheduler_state", "the scheduler");
        return -1;
    }
    list(s, &l, "");
    return l.n;
}

static mn_error load(const char *who, mn_scheduler *s, const mn_state_item *item, const char *name)
{
    int i;
    const char *below = mni_name_number(name, "", &i);
    if (below && i < s->n_children) return load(who, s->children[i], item, below);
    if (strcmp(name, "last_epoch") == 0)
        return mni_item_count(who, item, &s->epoch) ? MN_OK : mn_last_error();
    for (int k = 0; s->cls->counts && s->cls->counts[k]; k++)
        if (strcmp(name, s->cls->counts[k]) == 0 && !item->tensor) {
            s->count[k] = item->number;
            return MN_OK;
        }
    return mn_fail(MN_ERR_ARGUMENT, "%s: %s has no place for \"%s\"", who, s->cls->name,
                   item->name);
}

mn_error mn_scheduler_load_state(mn_scheduler *s, const mn_state_item *items, int n)
{
    static const char who[] = "mn_scheduler_load_state";
    if (!s || (!items && n > 0)) return mni_pass_null(who, s ? "the list" : "the scheduler");
    mn_error e = MN_OK;
    save(s);
    for (int i = 0; !e && i < n; i++) e = load(who, s, &items[i], items[i].name);
    if (e) restore(s);
    return e;
}
