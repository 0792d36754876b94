/*
 * optim/state.c: what a checkpoint holds of an optimizer, listed by name and taken back.
 */
#include "optim/state.h"
#include "core/memory.h"
#include "nn/module.h"
#include "optim/optim.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists: also those of schedulers and averages ---- */

void mni_list(mni_items *l, mn_tensor *tensor, double number, const char *format, ...)
{
    if (l->n++ >= l->capacity) return;
    mn_state_item *item = &l->items[l->n - 1];
    va_list args;
    va_start(args, format);
    vsnprintf(item->name, sizeof item->name, format, args);
    va_end(args);
    item->tensor = tensor;
    item->number = number;
}

const char *mni_name_number(const char *name, const char *before, int *number)
{
    size_t n = strlen(before);
    char *end;
    if (strncmp(name, before, n) != 0 || name[n] < '0' || name[n] > '9') return NULL;
    long value = strtol(name + n, &end, 10);
    if (*end != '.' || value > INT32_MAX) return NULL;
    *number = (int)value;
    return end + 1;
}

bool mni_item_count(const char *who, const mn_state_item *item, int64_t *count)
{
    double x = item->number;
    if (!item->tensor && x >= 0 && x <= 0x1p53 && x == floor(x)) {
        *count = (int64_t)x;
        return true;
    }
    mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" is not a whole number >= 0", who, item->name);
    return false;
}

bool mni_item_fits(const char *who, const mn_state_item *item, mn_dtype dtype, int ndim,
                   const int64_t *shape)
{
    const mn_tensor *x = item->tensor;
    if (x && x != MN_NONE && x->dtype == (int8_t)dtype && x->ndim == ndim &&
        memcmp(x->shape, shape, (size_t)ndim * sizeof *shape) == 0)
        return true;
    char wanted[200], is[200];
    if (!x || x == MN_NONE) {
        mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" is not a tensor", who, item->name);
    } else {
        mn_fail(x->dtype != (int8_t)dtype ? MN_ERR_DTYPE : MN_ERR_SHAPE,
                "%s: \"%s\" is %s %s, not %s %s", who, item->name,
                mn_dtype_name((mn_dtype)x->dtype), mni_shape_text(is, sizeof is, x->ndim, x->shape),
                mn_dtype_name(dtype), mni_shape_text(wanted, sizeof wanted, ndim, shape));
    }
    return false;
}

/* ---- an optimizer's ---- */

int mn_optim_state(const mn_optim *o, mn_state_item *items, int capacity)
{
    mni_items l = {.items = items, .capacity = items ? capacity : 0};
    if (!o) {
        mni_pass_null("mn_optim_state", "the optimizer");
        return -1;
    }
    const mni_optim_class *c = o->cls;
    for (int g = 0, number = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++, number++) {
            const mni_slot *s = &o->groups[g].slots[i];
            if (s->steps == 0) continue;
            mni_list(&l, NULL, (double)s->steps, "state.%d.step", number);
            for (int k = 0; c->numbers && c->numbers[k]; k++)
                mni_list(&l, NULL, s->number[k], "state.%d.%s", number, c->numbers[k]);
            for (int k = 0; c->states && c->states[k].name; k++)
                if (s->state[k])
                    mni_list(&l, s->state[k], 0, "state.%d.%s", number, c->states[k].name);
        }
    for (int g = 0; g < o->n_groups; g++) {
        mni_list(&l, NULL, o->groups[g].n, "param_groups.%d.params", g);
        for (int k = 0; c->options[k].name; k++)
            mni_list(&l, NULL, o->groups[g].option[k], "param_groups.%d.%s", g, c->options[k].name);
        if (!isnan(o->groups[g].initial_lr))
            mni_list(&l, NULL, o->groups[g].initial_lr, "param_groups.%d.initial_lr", g);
    }
    return l.n;
}

/* ---- loading: into copies of the groups, which take their places at the end ---- */

static const char who[] = "mn_optim_load_state";

static mn_error no_place(const mn_state_item *item, const mn_optim *o)
{
    return mn_fail(MN_ERR_ARGUMENT, "%s: %s has no place for \"%s\"", who, o->cls->name,
                   item->name);
}

static mn_error load_option(const mn_optim *o, mni_group *groups, const mn_state_item *item)
{
    int number;
    const char *name = mni_name_number(item->name, "param_groups.", &number);
    if (!name) return MN_OK;
    if (number >= o->n_groups) return no_place(item, o);
    mni_group *g = &groups[number];
    int k = mni_option_find(o->cls, name);
    if (item->tensor) return mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" is a tensor", who, item->name);
    if (strcmp(name, "params") == 0) {
        if (item->number == g->n) return MN_OK;
        return mn_fail(MN_ERR_ARGUMENT, "%s: group %d has %d parameters, not %g", who, number, g->n,
                       item->number);
    }
    if (strcmp(name, "initial_lr") == 0) {
        if (!mni_obeys(who, "initial_lr", MNI_NOT_NEGATIVE, item->number)) return mn_last_error();
        g->initial_lr = item->number;
        return MN_OK;
    }
    if (k < 0) return no_place(item, o);
    if (!mni_obeys(who, name, o->cls->options[k].rule, item->number)) return mn_last_error();
    g->option[k] = item->number;
    return MN_OK;
}

static mn_error load_tensor(const mni_optim_class *c, const mni_group *g, mni_slot *s, int k,
                            const mn_state_item *item)
{
    int ndim;
    int64_t shape[MN_MAX_DIMS];
    mn_dtype dtype = (mn_dtype)s->parameter->dtype;
    if (!mni_state_shape(c, g, s, k, &ndim, shape))
        return mn_fail(MN_ERR_SHAPE, "%s: no parameter of this shape keeps \"%s\"", who,
                       item->name);
    if (!mni_item_fits(who, item, dtype, ndim, shape)) return mn_last_error();
    mn_release(s->state[k]);
    s->state[k] = mn_tensor_empty(dtype, ndim, shape);
    return s->state[k] ? mn_tensor_copy(s->state[k], item->tensor) : mn_last_error();
}

static mn_error load_state(const mn_optim *o, mni_group *groups, const mn_state_item *item)
{
    int number;
    const char *name = mni_name_number(item->name, "state.", &number);
    if (!name) return MN_OK;
    mni_group *g = groups;
    while (g < groups + o->n_groups && number >= g->n) number -= (g++)->n;
    if (g == groups + o->n_groups) return no_place(item, o);
    mni_slot *s = &g->slots[number];
    if (strcmp(name, "step") == 0)
        return mni_item_count(who, item, &s->steps) ? MN_OK : mn_last_error();
    for (int k = 0; o->cls->states && o->cls->states[k].name; k++)
        if (strcmp(name, o->cls->states[k].name) == 0) return load_tensor(o->cls, g, s, k, item);
    for (int k = 0; o->cls->numbers && o->cls->numbers[k]; k++)
        if (strcmp(name, o->cls->numbers[k]) == 0 && !item->tensor) {
            s->number[k] = item->number;
            return MN_OK;
        }
    return no_place(item, o);
}

static void drop(mni_group *groups, int n)
{
    for (int g = 0; groups && g < n; g++) {
        for (int i = 0; groups[g].slots && i < groups[g].n; i++)
            for (int k = 0; k < MNI_STATES; k++) mn_release(groups[g].slots[i].state[k]);
        mni_free(groups[g].slots);
    }
    mni_free(groups);
}

/* Copies of o's groups whose parameters never were stepped; NULL without memory. */
static mni_group *blank(const mn_optim *o)
{
    mni_group *groups = mni_calloc((size_t)o->n_groups * sizeof *groups);
    for (int g = 0; groups && g < o->n_groups; g++) {
        groups[g] = o->groups[g];
        groups[g].slots = mni_calloc((size_t)groups[g].n * sizeof(mni_slot));
        if (!groups[g].slots) {
            drop(groups, g);
            return NULL;
        }
        for (int i = 0; i < groups[g].n; i++)
            groups[g].slots[i].parameter = o->groups[g].slots[i].parameter;
    }
    return groups;
}

mn_error mn_optim_load_state(mn_optim *o, const mn_state_item *items, int n)
{
    if (!o || (!items && n > 0)) return mni_pass_null(who, o ? "the list" : "the optimizer");
    mni_group *groups = blank(o);
    mn_error e = groups ? MN_OK : mn_last_error();
    for (int i = 0; !e && i < n; i++) {
        int number;
        if (!mni_name_number(items[i].name, "state.", &number) &&
            !mni_name_number(items[i].name, "param_groups.", &number))
            e = no_place(&items[i], o);
    }
    for (int i = 0; !e && i < n; i++) e = load_option(o, groups, &items[i]);
    for (int g = 0; !e && o->cls->check && g < o->n_groups; g++)
        if (!o->cls->check(who, groups[g].option)) e = mn_last_error();
    for (int i = 0; !e && i < n; i++) e = load_state(o, groups, &items[i]);
    if (!e) {
        mni_group *old = o->groups;
        o->groups = groups;
        groups = old;
    }
    drop(groups, o->n_groups);
    return e;
}
