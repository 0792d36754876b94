/*
 * optim/sgd.c: stochastic gradient descent with momentum.
 */
#include "optim/optim.h"
#include <string.h>

enum { LR = MNI_LR, MOMENTUM, DAMPENING, WEIGHT_DECAY, NESTEROV, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [MOMENTUM] = {"momentum", MNI_NOT_NEGATIVE},
                                     [DAMPENING] = {"dampening", MNI_FINITE},
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [NESTEROV] = {"nesterov", MNI_FLAG},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"momentum_buffer", MOMENTUM}, {NULL, 0}};

static bool check(const char *who, const double *o)
{
    if (o[NESTEROV] == 0 || (o[MOMENTUM] != 0 && o[DAMPENING] == 0)) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: nesterov needs momentum above 0 and dampening 0, not %g and %g",
            who, o[MOMENTUM], o[DAMPENING]);
    return false;
}

/* The first momentum is the gradient, dampening or not. */
static void begin(mni_update *u)
{
    const double *o = u->option;
    const bool first = u->fresh & 1;
    const double c[] = {o[LR], o[MOMENTUM], first ? 1 : 1 - o[DAMPENING], o[NESTEROV]};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
    u->decay = o[WEIGHT_DECAY];
}

static const mni_optim_class sgd = {.name = "sgd",
                                    .options = options,
                                    .states = states,
                                    .check = check,
                                    .begin = begin,
                                    .loop = MNI_LOOP_sgd};

/* The options of a group. */
static const double *group(double option[OPTIONS], double lr, const mn_optim_sgd_opts *opts)
{
    const mn_optim_sgd_opts o = opts ? *opts : (mn_optim_sgd_opts){0};
    option[LR] = lr;
    option[MOMENTUM] = o.momentum;
    option[DAMPENING] = o.dampening;
    option[WEIGHT_DECAY] = o.weight_decay;
    option[NESTEROV] = o.nesterov;
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_sgd(mn_module *m, double lr, const mn_optim_sgd_opts *opts)
{
    return mni_optim_module(&sgd, m, group((double[OPTIONS]){0}, lr, opts));
}

mn_optim *mn_optim_sgd_tensors(mn_tensor *const *parameters, int n, double lr,
                               const mn_optim_sgd_opts *opts)
{
    return mni_optim_tensors(&sgd, parameters, n, group((double[OPTIONS]){0}, lr, opts));
}
