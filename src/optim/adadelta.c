/*
 * optim/adadelta.c: Adadelta, rates by the running means of squared gradients and steps.
 */
#include "optim/optim.h"
#include <string.h>

enum { LR = MNI_LR, RHO, EPS, WEIGHT_DECAY, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [RHO] = {"rho", MNI_UP_TO_ONE},
                                     [EPS] = {"eps", MNI_NOT_NEGATIVE},
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {
    {"square_avg", MNI_ALWAYS}, {"acc_delta", MNI_ALWAYS}, {NULL, 0}};

static void begin(mni_update *u)
{
    const double *o = u->option;
    const double c[] = {o[LR], o[RHO], o[EPS]};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
    u->decay = o[WEIGHT_DECAY];
}

static const mni_optim_class adadelta = {.name = "adadelta",
                                         .options = options,
                                         .states = states,
                                         .begin = begin,
                                         .loop = MNI_LOOP_adadelta};

static const double *group(double option[OPTIONS], double lr, double rho,
                           const mn_optim_adadelta_opts *opts)
{
    const mn_optim_adadelta_opts o = opts ? *opts : (mn_optim_adadelta_opts){0};
    option[LR] = lr;
    option[RHO] = rho;
    option[EPS] = mni_or(o.eps, 1e-6);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_adadelta(mn_module *m, double lr, double rho, const mn_optim_adadelta_opts *opts)
{
    return mni_optim_module(&adadelta, m, group((double[OPTIONS]){0}, lr, rho, opts));
}

mn_optim *mn_optim_adadelta_tensors(mn_tensor *const *parameters, int n, double lr, double rho,
                                    const mn_optim_adadelta_opts *opts)
{
    return mni_optim_tensors(&adadelta, parameters, n, group((double[OPTIONS]){0}, lr, rho, opts));
}
