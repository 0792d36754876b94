/*
 * optim/optim.c: an optimizer's life: its groups of parameters and their learning rates.
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
        for (int k = 0; k < MNI_OPTIM_STATES; k++) mn_release(g->slots[i].state[k]);
    }
    mni_free(g->slots);
    mni_free(g->options);
}

static bool check_lr(const char *who, double lr)
{
    if (lr >= 0 && !isinf(lr)) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: lr %g is not a number >= 0", who, lr);
    return false;
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

static bool check_tensor(const char *who, const mn_named_tensor *list, int i)
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
    if (!wrong) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: %s %s", who, label(list, i, text, sizeof text), wrong);
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
        fine = check_tensor(who, list, i);
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

static bool group_init(mni_group *g, const mni_optim_class *cls, const mn_named_tensor *list, int n,
                       double lr, const void *options)
{
    *g = (mni_group){.lr = lr, .states = cls->states(options)};
    g->options = mni_alloc(cls->options_size);
    g->slots = mni_calloc((size_t)n * sizeof *g->slots);
    if (!g->options || !g->slots) {
        group_free(g);
        return false;
    }
    memcpy(g->options, options, cls->options_size);
    for (g->n = 0; g->n < n; g->n++) g->slots[g->n].parameter = mn_retain(list[g->n].tensor);
    return true;
}

static int add(mn_optim *o, const char *who, const mn_named_tensor *list, int n, double lr,
               const void *options)
{
    mni_group fresh;
    if (!check_lr(who, lr) || !check_list(o, who, list, n)) return -1;
    if (!group_init(&fresh, o->cls, list, n, lr, options)) return -1;
    mni_group *groups = mni_alloc((size_t)(o->n_groups + 1) * sizeof *groups);
    if (!groups) {
        group_free(&fresh);
        return -1;
    }
    if (o->n_groups) memcpy(groups, o->groups, (size_t)o->n_groups * sizeof *groups);
    groups[o->n_groups] = fresh;
    mni_free(o->groups);
    o->groups = groups;
    return o->n_groups++;
}

int mni_optim_add_module(mn_optim *o, const char *who, mn_module *m, double lr, const void *options)
{
    if (!m) {
        mni_pass_null(who, "the module");
        return -1;
    }
    int n = mn_module_parameters(m, NULL, 0);
    if (n <= 0) {
        if (n == 0) mn_fail(MN_ERR_ARGUMENT, "%s: the module has no parameters", who);
        return -1;
    }
    mn_named_tensor *list = mni_alloc((size_t)n * sizeof *list);
    if (!list) return -1;
    bool listed = mn_module_parameters(m, list, n) == n;
    int number = listed ? add(o, who, list, n, lr, options) : -1;
    mni_free(list);
    return number;
}

int mni_optim_add_tensors(mn_optim *o, const char *who, mn_tensor *const *parameters, int n,
                          double lr, const void *options)
{
    if (n < 1 || !parameters) {
        if (n < 1) {
            mn_fail(MN_ERR_ARGUMENT, "%s: %d parameters; at least 1", who, n);
        } else {
            mni_pass_null(who, "the list of parameters");
        }
        return -1;
    }
    mn_named_tensor *list = mni_alloc((size_t)n * sizeof *list);
    if (!list) return -1;
    for (int i = 0; i < n; i++) list[i] = (mn_named_tensor){.tensor = parameters[i]};
    int number = add(o, who, list, n, lr, options);
    mni_free(list);
    return number;
}

mn_optim *mni_optim_new(const mni_optim_class *cls)
{
    mn_optim *o = mni_calloc(sizeof *o);
    if (o) o->cls = cls;
    return o;
}

mn_optim *mni_optim_finish(mn_optim *o, int number)
{
    if (number >= 0) return o;
    mn_optim_free(o);
    return NULL;
}

/* ---- learning rates ---- */

int mn_optim_groups(const mn_optim *o)
{
    return o ? o->n_groups : 0;
}

/* The group of that number; NULL with the last error set. */
static mni_group *numbered(const char *who, const mn_optim *o, int number)
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

double mn_optim_lr(const mn_optim *o, int number)
{
    const mni_group *g = numbered("mn_optim_lr", o, number);
    return g ? g->lr : (double)NAN;
}

mn_error mn_optim_set_lr(mn_optim *o, int number, double lr)
{
    static const char who[] = "mn_optim_set_lr";
    mni_group *g = numbered(who, o, number);
    if (!g || !check_lr(who, lr)) return mn_last_error();
    g->lr = lr;
    return MN_OK;
}

void mn_optim_free(mn_optim *o)
{
    if (!o) return;
    for (int g = 0; g < o->n_groups; g++) group_free(&o->groups[g]);
    mni_free(o->groups);
    mni_free(o);
}
