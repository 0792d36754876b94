/*
 * optim/optim.c: an optimizer's life and its groups of parameters.
 */
#include "optim/optim.h"
#include "core/memory.h"
#include "nn/map.h"
#include "nn/module.h"
#include "tensor/tensor.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- groups ---- */

static void group_free(mni_group *g)
{
    for (int i = 0; i < g->n; i++) {
        mn_release(g->slots[i].parameter);
        for (int k = 0; k < MNI_STATES; k++) mn_release(g->slots[i].state[k]);
    }
    mni_free(g->slots);
}

/* How messages call an entry: by the name it has in its module, or by its place in the list. */
static const char *label(const mn_named_tensor *list, int i, char *buffer, size_t size)
{
    if (list[i].name) {
        snprintf(buffer, size, "parameter \"%s\"", list[i].name);
    } else {
        snprintf(buffer, size, "tensor %d", i);
    }
    return buffer;
}

static bool check_tensor(const mn_optim *o, const char *who, const mn_named_tensor *list, int i)
{
    const mn_tensor *p = list[i].tensor;
    char text[256];
    if (!p) {
        mni_pass_null(who, label(list, i, text, sizeof text));
        return false;
    }
    const char *wrong = NULL;
    if (p == MN_NONE) {
        wrong = "is MN_NONE";
    } else if (!p->owned || p->node) {
        wrong = "is a result of a tape; an optimizer steps tensors of yours";
    } else if (!mni_is_float((mn_dtype)p->dtype)) {
        wrong = "is not f32 or f64";
    } else if (!mni_no_overlap(p)) {
        wrong = "has several elements at one address";
    }
    if (wrong) {
        mn_fail(MN_ERR_ARGUMENT, "%s: %s %s", who, label(list, i, text, sizeof text), wrong);
        return false;
    }
    wrong = o->cls->unfit ? o->cls->unfit(p, list[0].tensor) : NULL;
    if (!wrong) return true;
    char shape[200];
    mn_fail(MN_ERR_ARGUMENT, "%s: %s is %s %s; %s", who, label(list, i, text, sizeof text),
            mn_dtype_name((mn_dtype)p->dtype),
            mni_shape_text(shape, sizeof shape, p->ndim, p->shape), wrong);
    return false;
}

/* Whether every entry may join: usable, and neither in a group nor in the list before. */
static bool check_list(const mn_optim *o, const char *who, const mn_named_tensor *list, int n)
{
    mni_map grouped = {0}, listed = {0};
    bool fine = true;
    char text[256];
    for (int g = 0; fine && g < o->n_groups; g++)
        for (int i = 0; fine && i < o->groups[g].n; i++)
            fine = mni_map_put(&grouped, o->groups[g].slots[i].parameter, &o->groups[g]);
    for (int i = 0; fine && i < n; i++) {
        fine = check_tensor(o, who, list, i);
        if (!fine) break;
        const mni_group *in = mni_map_get(&grouped, list[i].tensor);
        const mn_named_tensor *before = mni_map_get(&listed, list[i].tensor);
        if (in) {
            mn_fail(MN_ERR_ARGUMENT, "%s: %s is in group %d and cannot be in group %d as well", who,
                    label(list, i, text, sizeof text), (int)(in - o->groups), o->n_groups);
            fine = false;
        } else if (before) {
            mn_fail(MN_ERR_ARGUMENT, "%s: tensors %d and %d are the same", who,
                    (int)(before - list), i);
            fine = false;
        } else {
            fine = mni_map_put(&listed, list[i].tensor, (void *)&list[i]);
        }
    }
    mni_map_free(&grouped);
    mni_map_free(&listed);
    return fine;
}

static int add(mn_optim *o, const char *who, const mn_named_tensor *list, int n)
{
    if (o->n_groups && o->cls->minimize) {
        mn_fail(MN_ERR_ARGUMENT, "%s: %s has one group only", who, o->cls->name);
        return -1;
    }
    if (!check_list(o, who, list, n)) return -1;
    mni_group *groups = mni_alloc((size_t)(o->n_groups + 1) * sizeof *groups);
    mni_group *g = groups ? &groups[o->n_groups] : NULL;
    mni_slot *slots = mni_calloc((size_t)n * sizeof *slots);
    if (!groups || !slots) {
        mni_free(groups);
        mni_free(slots);
        return -1;
    }
    *g = (mni_group){.initial_lr = (double)NAN, .n = n, .slots = slots};
    memcpy(g->option, o->option, sizeof g->option);
    for (int i = 0; i < n; i++) slots[i].parameter = mn_retain(list[i].tensor);
    if (o->n_groups) memcpy(groups, o->groups, (size_t)o->n_groups * sizeof *groups);
    mni_free(o->groups);
    o->groups = groups;
    return o->n_groups++;
}

static int add_module(mn_optim *o, const char *who, mn_module *m)
{
    int n = m ? mn_module_parameters(m, NULL, 0) : -1;
    if (!m) mni_pass_null(who, "the module");
    if (n == 0) mn_fail(MN_ERR_ARGUMENT, "%s: the module has no parameters", who);
    mn_named_tensor *list = n > 0 ? mni_alloc((size_t)n * sizeof *list) : NULL;
    if (!list) return -1;
    bool listed = mn_module_parameters(m, list, n) == n;
    int number = listed ? add(o, who, list, n) : -1;
    mni_free(list);
    return number;
}

static int add_tensors(mn_optim *o, const char *who, mn_tensor *const *parameters, int n)
{
    if (n < 1) mn_fail(MN_ERR_ARGUMENT, "%s: %d parameters; at least 1", who, n);
    if (n >= 1 && !parameters) mni_pass_null(who, "the list of parameters");
    mn_named_tensor *list = n >= 1 && parameters ? mni_alloc((size_t)n * sizeof *list) : NULL;
    if (!list) return -1;
    for (int i = 0; i < n; i++) list[i] = (mn_named_tensor){.tensor = parameters[i]};
    int number = add(o, who, list, n);
    mni_free(list);
    return number;
}

int mn_optim_add(mn_optim *o, mn_module *m)
{
    static const char who[] = "mn_optim_add";
    if (o) return add_module(o, who, m);
    mni_pass_null(who, "the optimizer");
    return -1;
}

int mn_optim_add_tensors(mn_optim *o, mn_tensor *const *parameters, int n)
{
    static const char who[] = "mn_optim_add_tensors";
    if (o) return add_tensors(o, who, parameters, n);
    mni_pass_null(who, "the optimizer");
    return -1;
}

int mn_optim_groups(const mn_optim *o)
{
    return o ? o->n_groups : 0;
}

/* ---- making and freeing ---- */

/* An optimizer without groups; NULL when the options make no sense or without memory. */
static mn_optim *make(const mni_optim_class *cls, const char *who, const double *option)
{
    for (int k = 0; cls->options[k].name; k++)
        if (!mni_obeys(who, cls->options[k].name, cls->options[k].rule, option[k])) return NULL;
    if (cls->check && !cls->check(who, option)) return NULL;
    mn_optim *o = mni_calloc(sizeof *o);
    if (!o) return NULL;
    o->cls = cls;
    o->refs = 1;
    memcpy(o->option, option, (size_t)mni_option_count(cls) * sizeof *option);
    return o;
}

mn_optim *mni_optim_module(const mni_optim_class *cls, mn_module *m, const double *option)
{
    char who[64];
    snprintf(who, sizeof who, "mn_optim_%s", cls->name);
    mn_optim *o = make(cls, who, option);
    if (o && add_module(o, who, m) == 0) return o;
    mn_optim_free(o);
    return NULL;
}

mn_optim *mni_optim_tensors(const mni_optim_class *cls, mn_tensor *const *parameters, int n,
                            const double *option)
{
    char who[64];
    snprintf(who, sizeof who, "mn_optim_%s_tensors", cls->name);
    mn_optim *o = make(cls, who, option);
    if (o && add_tensors(o, who, parameters, n) == 0) return o;
    mn_optim_free(o);
    return NULL;
}

void mn_optim_free(mn_optim *o)
{
    if (!o || --o->refs > 0) return;
    for (int g = 0; g < o->n_groups; g++) group_free(&o->groups[g]);
    mni_free(o->groups);
    mni_free(o->work);
    mni_free(o);
}
