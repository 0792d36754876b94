/*
 * optim/average.c: averages of weights over training, SWA and EMA.
 */
#include "autograd/tape.h"
#include "core/memory.h"
#include "nn/module.h"
#include "optim/optim.h"
#include "optim/state.h"
#include "tensor/compute.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mn_average {
    double decay; /* NAN: the plain mean */
    bool use_buffers, swapped;
    int64_t count;
    int n_parameters, n; /* with buffers */
    mn_tensor **module;  /* references of its own */
    mn_tensor **mean;
};

/* ---- making and freeing ---- */

void mn_average_free(mn_average *a)
{
    if (!a) return;
    for (int i = 0; a->module && i < a->n; i++) mn_release(a->module[i]);
    for (int i = 0; a->mean && i < a->n; i++) mn_release(a->mean[i]);
    mni_free(a->module);
    mni_free(a->mean);
    mni_free(a);
}

/* Takes references to what the module lists, and makes their copies. */
static bool take(mn_average *a, mn_module *m)
{
    const int buffers = a->n - a->n_parameters;
    mn_named_tensor *list = mni_alloc((size_t)a->n * sizeof *list);
    a->module = mni_calloc((size_t)a->n * sizeof *a->module);
    a->mean = mni_calloc((size_t)a->n * sizeof *a->mean);
    bool fine = list && a->module && a->mean &&
                mn_module_parameters(m, list, a->n_parameters) == a->n_parameters &&
                mn_module_buffers(m, list + a->n_parameters, buffers) == buffers;
    for (int i = 0; fine && i < a->n; i++) {
        const mn_tensor *x = list[i].tensor;
        a->module[i] = mn_retain(list[i].tensor);
        a->mean[i] = mn_tensor_zeros((mn_dtype)x->dtype, x->ndim, x->shape);
        fine = a->mean[i] != NULL;
    }
    mni_free(list);
    return fine;
}

static mn_average *make(const char *who, mn_module *m, double decay, const mn_average_opts *opts)
{
    int parameters = m ? mn_module_parameters(m, NULL, 0) : -1;
    int buffers = m ? mn_module_buffers(m, NULL, 0) : -1;
    if (!m) mni_pass_null(who, "the module");
    if (parameters == 0) mn_fail(MN_ERR_ARGUMENT, "%s: the module has no parameters", who);
    if (parameters <= 0 || buffers < 0) return NULL;
    mn_average *a = mni_calloc(sizeof *a);
    if (!a) return NULL;
    a->decay = decay;
    a->use_buffers = opts && opts->use_buffers;
    a->n_parameters = parameters;
    a->n = parameters + buffers;
    if (take(a, m)) return a;
    mn_average_free(a);
    return NULL;
}

mn_average *mn_average_swa(mn_module *m, const mn_average_opts *opts)
{
    return make("mn_average_swa", m, (double)NAN, opts);
}

mn_average *mn_average_ema(mn_module *m, double decay, const mn_average_opts *opts)
{
    static const char who[] = "mn_average_ema";
    return mni_obeys(who, "decay", MNI_UP_TO_ONE, decay) ? make(who, m, decay, opts) : NULL;
}

/* ---- updating and swapping ---- */

/* Whether a may act on the tape; else false with the error set. */
static bool ready(const char *who, const mn_average *a, mn_tape *t)
{
    if (!t) {
        mni_pass_null(who, "the tape");
        return false;
    }
    if (!a) mni_tape_adopt(t, "the average");
    return mn_tape_error(t) == MN_OK;
}

mn_error mn_average_update(mn_average *a, mn_tape *t)
{
    static const char who[] = "mn_average_update";
    if (!ready(who, a, t)) return mn_tape_error(t);
    if (a->swapped) {
        mn_tape_fail(t, MN_ERR_STATE, "%s: the averages are in the module; swap them back", who);
        return mn_tape_error(t);
    }
    for (int i = 0; i < a->n_parameters; i++)
        if (a->module[i]->parameter && a->module[i]->storage->version == 0) {
            mn_tape_fail(t, MN_ERR_STATE, "%s: parameter %d was never filled", who, i);
            return mn_tape_error(t);
        }
    mni_team *team = mni_tape_team(t);
    const double share = isnan(a->decay) ? 1 / (double)(a->count + 1) : 1 - a->decay;
    for (int i = 0; i < a->n; i++) {
        mn_tensor *x = a->module[i], *mean = a->mean[i];
        const bool averaged = i < a->n_parameters || a->use_buffers;
        if (a->count > 0 && averaged && mni_is_float((mn_dtype)x->dtype)) {
            mni_number weight;
            mni_map3(team, mni_kernels()->lerp, mean, x,
                     mni_number_of(&weight, (mn_dtype)x->dtype, share), mean, NULL);
        } else {
            mni_copy(team, x, mean);
        }
        mni_touch(mean, NULL);
    }
    a->count++;
    return MN_OK;
}

mn_error mn_average_swap(mn_average *a, mn_tape *t)
{
    static const char who[] = "mn_average_swap";
    if (!ready(who, a, t)) return mn_tape_error(t);
    if (a->count == 0) {
        mn_tape_fail(t, MN_ERR_STATE, "%s: there was no mn_average_update yet", who);
        return mn_tape_error(t);
    }
    size_t most = 0;
    for (int i = 0; i < a->n; i++) {
        const size_t size = (size_t)a->mean[i]->numel * mn_dtype_size((mn_dtype)a->mean[i]->dtype);
        most = size > most ? size : most;
    }
    void *memory = mni_alloc(most);
    if (!memory) {
        mni_tape_adopt(t, "memory");
        return mn_tape_error(t);
    }
    mni_team *team = mni_tape_team(t);
    for (int i = 0; i < a->n; i++) {
        mn_tensor *x = a->module[i], *mean = a->mean[i];
        mn_tensor copy = mni_header((mn_dtype)x->dtype, x->ndim, x->shape, memory);
        mni_copy(team, x, &copy);
        mni_copy(team, mean, x);
        mni_copy(team, &copy, mean);
        mni_touch(x, "mn_average_swap");
        mni_touch(mean, NULL);
    }
    mni_free(memory);
    a->swapped = !a->swapped;
    return MN_OK;
}

int64_t mn_average_count(const mn_average *a)
{
    return a ? a->count : 0;
}

bool mn_average_swapped(const mn_average *a)
{
    return a && a->swapped;
}

/* ---- state ---- */

static bool holds_averages(const char *who, const mn_average *a)
{
    if (!a) mni_pass_null(who, "the average");
    if (a && a->swapped)
        mn_fail(MN_ERR_STATE, "%s: the averages are in the module; swap them back", who);
    return a && !a->swapped;
}

int mn_average_state(const mn_average *a, mn_state_item *items, int capacity)
{
    mni_items l = {.items = items, .capacity = items ? capacity : 0};
    if (!holds_averages("mn_average_state", a)) return -1;
    mni_list(&l, NULL, (double)a->count, "n_averaged");
    for (int i = 0; i < a->n_parameters; i++) mni_list(&l, a->mean[i], 0, "parameter.%d", i);
    for (int i = a->n_parameters; i < a->n; i++)
        mni_list(&l, a->mean[i], 0, "buffer.%d", i - a->n_parameters);
    return l.n;
}

/* The place of an item among the means; -1 with the last error set. */
static int place(const char *who, const mn_average *a, const mn_state_item *item)
{
    const bool buffer = strncmp(item->name, "buffer.", 7) == 0;
    const char *digits = item->name + (buffer ? 7 : 10);
    const int begin = buffer ? a->n_parameters : 0, end = buffer ? a->n : a->n_parameters;
    char *rest;
    if ((buffer || strncmp(item->name, "parameter.", 10) == 0) && *digits >= '0' &&
        *digits <= '9') {
        const long number = strtol(digits, &rest, 10);
        if (!*rest && number < end - begin) {
            const mn_tensor *x = a->mean[begin + number];
            bool fits = mni_item_fits(who, item, (mn_dtype)x->dtype, x->ndim, x->shape);
            return fits ? begin + (int)number : -1;
        }
    }
    mn_fail(MN_ERR_ARGUMENT, "%s: there is no place for \"%s\"", who, item->name);
    return -1;
}

mn_error mn_average_load_state(mn_average *a, const mn_state_item *items, int n)
{
    static const char who[] = "mn_average_load_state";
    if (!holds_averages(who, a)) return mn_last_error();
    if (!items && n > 0) return mni_pass_null(who, "the list");
    int64_t count = a->count;
    for (int i = 0; i < n; i++) { /* all fit, or none is taken */
        const bool fits = strcmp(items[i].name, "n_averaged") == 0
                              ? mni_item_count(who, &items[i], &count)
                              : place(who, a, &items[i]) >= 0;
        if (!fits) return mn_last_error();
    }
    for (int i = 0; i < n; i++)
        if (items[i].tensor) mn_tensor_copy(a->mean[place(who, a, &items[i])], items[i].tensor);
    a->count = count;
    return MN_OK;
}
