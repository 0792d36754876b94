/*
 * optim/sequence.c: schedulers of schedulers: one after the other, and all together.
 */
#include "core/memory.h"
#include "nn/module.h"
#include "optim/scheduler.h"

/* Back to the rates before all schedulers, unless s goes on from where it is. */
static void reset_rates(const mn_scheduler *s)
{
    if (s->cls->goes_on) return;
    for (int g = 0; g < s->o->n_groups; g++) s->o->groups[g].next_lr = s->o->groups[g].initial_lr;
}

static bool begin_child(mn_scheduler *child)
{
    reset_rates(child);
    return mni_schedule_begin(child);
}

static bool sequential_begin(mn_scheduler *s)
{
    return begin_child(s->children[0]);
}

static bool sequential_run(mn_scheduler *s)
{
    const int i = mni_milestones_passed(s, s->epoch);
    const bool first = i > 0 && s->milestones[i - 1] == s->epoch;
    return first ? begin_child(s->children[i]) : mni_schedule_run(s->children[i]);
}

static bool chained_begin(mn_scheduler *s)
{
    for (int i = 0; i < s->n_children; i++)
        if (!mni_schedule_begin(s->children[i])) return false;
    return true;
}

static bool chained_run(mn_scheduler *s)
{
    for (int i = 0; i < s->n_children; i++)
        if (!mni_schedule_run(s->children[i])) return false;
    return true;
}

/* What is wrong with child i, or NULL. */
static const char *wrong(mn_scheduler *const *schedulers, int i)
{
    if (schedulers[i]->o != schedulers[0]->o) return "belongs to another optimizer";
    for (int k = 0; k < i; k++)
        if (schedulers[k] == schedulers[i]) return "is there already";
    return schedulers[i]->cls->metric ? "is stepped by a metric" : NULL;
}

static bool check(const mni_schedule *cls, mn_scheduler *const *schedulers, int n)
{
    if (n < 1 || !schedulers) {
        mn_fail(MN_ERR_ARGUMENT, "mn_scheduler_%s: %s", cls->name,
                n < 1 ? "there must be at least one scheduler" : "the list is NULL");
        return false;
    }
    for (int i = 0; i < n; i++)
        if (!schedulers[i]) {
            if (!mn_last_error())
                mn_fail(MN_ERR_ARGUMENT, "mn_scheduler_%s: scheduler %d is NULL", cls->name, i);
            return false;
        }
    for (int i = 0; i < n; i++) {
        const char *text = wrong(schedulers, i);
        if (!text) continue;
        mn_fail(MN_ERR_ARGUMENT, "mn_scheduler_%s: scheduler %d (%s) %s", cls->name, i,
                schedulers[i]->cls->name, text);
        return false;
    }
    return true;
}

/* Frees the list, each once. */
static void drop(mn_scheduler *const *schedulers, int n)
{
    for (int i = 0; schedulers && i < n; i++) {
        bool before = false;
        for (int k = 0; k < i; k++) before = before || schedulers[k] == schedulers[i];
        if (!before) mn_scheduler_free(schedulers[i]);
    }
}

/* A scheduler that has taken over the list, not begun; NULL with the list freed. */
static mn_scheduler *parent(const mni_schedule *cls, mn_scheduler *const *schedulers, int n)
{
    mn_scheduler *s = NULL;
    if (check(cls, schedulers, n)) s = mni_scheduler_new(cls, schedulers[0]->o, NULL);
    if (s) s->children = mni_alloc((size_t)n * sizeof *s->children);
    if (s && s->children) {
        for (s->n_children = 0; s->n_children < n; s->n_children++)
            s->children[s->n_children] = schedulers[s->n_children];
        return s;
    }
    drop(schedulers, n);
    mn_scheduler_free(s);
    return NULL;
}

mn_scheduler *mn_scheduler_sequential(mn_scheduler *const *schedulers, int n,
                                      const int64_t *milestones)
{
    static const mni_schedule cls = {
        .name = "sequential", .run = sequential_run, .begin = sequential_begin};
    mn_scheduler *s = parent(&cls, schedulers, n);
    if (s && mni_scheduler_milestones(s, milestones, n - 1, true)) return mni_scheduler_begin(s);
    mn_scheduler_free(s);
    return NULL;
}

/* Its parts have begun already. */
mn_scheduler *mn_scheduler_chained(mn_scheduler *const *schedulers, int n)
{
    static const mni_schedule cls = {.name = "chained", .run = chained_run, .begin = chained_begin};
    return parent(&cls, schedulers, n);
}
