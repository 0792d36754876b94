/*
 * optim/options.c: options by name: their rules, reading and setting those of a group.
 */
#include "nn/module.h"
#include "optim/optim.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    double low, high;
    bool low_too, high_too; /* the bounds themselves are allowed */
    const char *text;
} rules[] = {
    [MNI_FINITE] = {-HUGE_VAL, HUGE_VAL, false, false, "a finite number"},
    [MNI_NOT_NEGATIVE] = {0, HUGE_VAL, true, false, "a number >= 0"},
    [MNI_NOT_POSITIVE] = {-HUGE_VAL, 0, false, true, "a number <= 0"},
    [MNI_POSITIVE] = {0, HUGE_VAL, false, false, "a number > 0"},
    [MNI_BELOW_ONE] = {0, 1, true, false, "in [0, 1)"},
    [MNI_UP_TO_ONE] = {0, 1, true, true, "in [0, 1]"},
    [MNI_INSIDE_ONE] = {0, 1, false, false, "in (0, 1)"},
    [MNI_SHARE] = {0, 1, false, true, "in (0, 1]"},
    [MNI_ABOVE_ONE] = {1, HUGE_VAL, false, false, "a number > 1"},
    [MNI_AT_LEAST_ONE] = {1, HUGE_VAL, true, false, "a number >= 1"},
    [MNI_COUNT] = {1, 1e9, true, true, "a whole number >= 1"},
    [MNI_FLAG] = {0, 1, true, true, "0 or 1"},
};

bool mni_obeys(const char *who, const char *name, mni_rule rule, double value)
{
    bool above = value > rules[rule].low || (rules[rule].low_too && value == rules[rule].low);
    bool below = value < rules[rule].high || (rules[rule].high_too && value == rules[rule].high);
    bool whole = (rule != MNI_COUNT && rule != MNI_FLAG) || value == floor(value);
    if (above && below && whole) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: %s %g is not %s", who, name, value, rules[rule].text);
    return false;
}

int mni_option_count(const mni_optim_class *cls)
{
    int n = 0;
    while (cls->options[n].name) n++;
    return n;
}

int mni_option_find(const mni_optim_class *cls, const char *name)
{
    for (int k = 0; cls->options[k].name; k++)
        if (strcmp(cls->options[k].name, name) == 0) return k;
    return -1;
}

bool mni_option_fits(const mni_optim_class *cls, const char *who, const double *option, int k,
                     double value)
{
    double changed[MNI_OPTIONS];
    memcpy(changed, option, sizeof changed);
    changed[k] = value;
    return mni_obeys(who, cls->options[k].name, cls->options[k].rule, value) &&
           (!cls->check || cls->check(who, changed));
}

mni_group *mni_group_at(const char *who, const mn_optim *o, int number)
{
    if (!o) {
        mni_pass_null(who, "the optimizer");
        return NULL;
    }
    if (number >= 0 && number < o->n_groups) return &o->groups[number];
    mn_fail(MN_ERR_ARGUMENT, "%s: there is no group %d; the optimizer has %d", who, number,
            o->n_groups);
    return NULL;
}

/* The number of the option of that name; -1 with the last error set, which lists those there are. */
static int named(const char *who, const mn_optim *o, const char *name)
{
    int k = name ? mni_option_find(o->cls, name) : -1;
    if (!name) mni_pass_null(who, "the option's name");
    if (k >= 0 || !name) return k;
    char text[320] = "";
    size_t n = 0;
    for (int i = 0; o->cls->options[i].name && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? ", " : "",
                              o->cls->options[i].name);
    mn_fail(MN_ERR_ARGUMENT, "%s: %s has no option \"%s\"; it has %s", who, o->cls->name, name,
            text);
    return -1;
}

static double get(const char *who, const mn_optim *o, int group, const char *name)
{
    const mni_group *g = mni_group_at(who, o, group);
    int k = g ? named(who, o, name) : -1;
    return k >= 0 ? g->option[k] : (double)NAN;
}

static mn_error set(const char *who, mn_optim *o, int group, const char *name, double value)
{
    mni_group *g = mni_group_at(who, o, group);
    int k = g ? named(who, o, name) : -1;
    if (k < 0 || !mni_option_fits(o->cls, who, g->option, k, value)) return mn_last_error();
    g->option[k] = value;
    return MN_OK;
}

double mn_optim_get(const mn_optim *o, int group, const char *option)
{
    return get("mn_optim_get", o, group, option);
}

mn_error mn_optim_set(mn_optim *o, int group, const char *option, double value)
{
    return set("mn_optim_set", o, group, option, value);
}

double mn_optim_lr(const mn_optim *o, int group)
{
    return get("mn_optim_lr", o, group, "lr");
}

mn_error mn_optim_set_lr(mn_optim *o, int group, double lr)
{
    return set("mn_optim_set_lr", o, group, "lr", lr);
}
