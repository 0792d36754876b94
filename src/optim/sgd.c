/*
 * optim/sgd.c: stochastic gradient descent with momentum, in torch.optim.SGD's order of operations.
 */
#include "nn/module.h"
#include "optim/optim.h"
#include <math.h>

static int sgd_states(const void *options)
{
    return ((const mn_optim_sgd_opts *)options)->momentum != 0 ? 1 : 0;
}

static void sgd_update(const mni_update *u)
{
    const mn_optim_sgd_opts *o = u->options;
    union { /* of u->dtype */
        float f32[MNI_OPTIM_BLOCK];
        double f64[MNI_OPTIM_BLOCK];
    } scratch;
    const void *g = u->g;
    double sign = o->maximize ? -1 : 1; /* g always stands for sign * g */
    if (o->weight_decay != 0) {
        mni_axpby(u->dtype, u->n, sign, g, o->weight_decay, u->p, &scratch);
        g = &scratch;
        sign = 1;
    }
    if (o->momentum != 0) {
        void *b = u->state[0];
        if (u->step == 1) {
            mni_axpby(u->dtype, u->n, sign, g, 0, b, b); /* b is zero */
        } else {
            mni_axpby(u->dtype, u->n, o->momentum, b, sign * (1 - o->dampening), g, b);
        }
        if (o->nesterov) {
            mni_axpby(u->dtype, u->n, sign, g, o->momentum, b, &scratch);
            g = &scratch;
        } else {
            g = b;
        }
        sign = 1;
    }
    mni_axpby(u->dtype, u->n, 1, u->p, -u->lr * sign, g, u->p);
}

static const mni_optim_class sgd_class = {.name = "sgd",
                                          .options_size = sizeof(mn_optim_sgd_opts),
                                          .states = sgd_states,
                                          .update = sgd_update};

/* *checked <- opts, or the defaults; false when they make no sense. */
static bool check(const char *who, const mn_optim_sgd_opts *opts, mn_optim_sgd_opts *checked)
{
    mn_optim_sgd_opts o = opts ? *opts : (mn_optim_sgd_opts){0};
    *checked = o;
    if (!(o.momentum >= 0) || isinf(o.momentum)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: momentum %g is not a number >= 0", who, o.momentum);
    } else if (!isfinite(o.dampening)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: dampening %g is not a finite number", who, o.dampening);
    } else if (!(o.weight_decay >= 0) || isinf(o.weight_decay)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: weight_decay %g is not a number >= 0", who, o.weight_decay);
    } else if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
        mn_fail(MN_ERR_ARGUMENT,
                "%s: nesterov needs momentum above 0 and dampening 0, not %g and %g", who,
                o.momentum, o.dampening);
    } else {
        return true;
    }
    return false;
}

mn_optim *mn_optim_sgd(mn_module *m, double lr, const mn_optim_sgd_opts *opts)
{
    static const char who[] = "mn_optim_sgd";
    mn_optim_sgd_opts options;
    if (!check(who, opts, &options)) return NULL;
    mn_optim *o = mni_optim_new(&sgd_class);
    return o ? mni_optim_finish(o, mni_optim_add_module(o, who, m, lr, &options)) : NULL;
}

mn_optim *mn_optim_sgd_tensors(mn_tensor *const *parameters, int n, double lr,
                               const mn_optim_sgd_opts *opts)
{
    static const char who[] = "mn_optim_sgd_tensors";
    mn_optim_sgd_opts options;
    if (!check(who, opts, &options)) return NULL;
    mn_optim *o = mni_optim_new(&sgd_class);
    return o ? mni_optim_finish(o, mni_optim_add_tensors(o, who, parameters, n, lr, &options))
             : NULL;
}

/* Whether a group of these options may be added. */
static bool may_add(const char *who, const mn_optim *o, const mn_optim_sgd_opts *opts,
                    mn_optim_sgd_opts *checked)
{
    if (!o) {
        mni_pass_null(who, "the optimizer");
        return false;
    }
    if (o->cls != &sgd_class) {
        mn_fail(MN_ERR_ARGUMENT, "%s: the optimizer is %s", who, o->cls->name);
        return false;
    }
    return check(who, opts, checked);
}

int mn_optim_sgd_add(mn_optim *o, mn_module *m, double lr, const mn_optim_sgd_opts *opts)
{
    static const char who[] = "mn_optim_sgd_add";
    mn_optim_sgd_opts options;
    return may_add(who, o, opts, &options) ? mni_optim_add_module(o, who, m, lr, &options) : -1;
}

int mn_optim_sgd_add_tensors(mn_optim *o, mn_tensor *const *parameters, int n, double lr,
                             const mn_optim_sgd_opts *opts)
{
    static const char who[] = "mn_optim_sgd_add_tensors";
    mn_optim_sgd_opts options;
    if (!may_add(who, o, opts, &options)) return -1;
    return mni_optim_add_tensors(o, who, parameters, n, lr, &options);
}
