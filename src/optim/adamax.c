/*
 * optim/adamax.c: Adamax, Adam with the largest gradient in the place of the mean square.
 */
#include "optim/optim.h"
#include <math.h>
#include <string.h>

enum { LR = MNI_LR, BETA1, BETA2, EPS, WEIGHT_DECAY, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [BETA1] = {"beta1", MNI_BELOW_ONE},
                                     [BETA2] = {"beta2", MNI_BELOW_ONE},
                                     [EPS] = {"eps", MNI_NOT_NEGATIVE},
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"exp_avg", MNI_ALWAYS}, {"exp_inf", MNI_ALWAYS}, {NULL, 0}};

static void begin(mni_update *u)
{
    const double *o = u->option;
    const double c[] = {o[BETA1], o[BETA2], o[EPS], o[LR] / (1 - pow(o[BETA1], (double)u->step))};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
    u->decay = o[WEIGHT_DECAY];
}

static const mni_optim_class adamax = {.name = "adamax",
                                       .options = options,
                                       .states = states,
                                       .begin = begin,
                                       .loop = MNI_LOOP_adamax};

static const double *group(double option[OPTIONS], double lr, double beta1, double beta2,
                           const mn_optim_adamax_opts *opts)
{
    const mn_optim_adamax_opts o = opts ? *opts : (mn_optim_adamax_opts){0};
    option[LR] = lr;
    option[BETA1] = beta1;
    option[BETA2] = beta2;
    option[EPS] = mni_or(o.eps, 1e-8);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_adamax(mn_module *m, double lr, double beta1, double beta2,
                          const mn_optim_adamax_opts *opts)
{
    return mni_optim_module(&adamax, m, group((double[OPTIONS]){0}, lr, beta1, beta2, opts));
}

mn_optim *mn_optim_adamax_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                  double beta2, const mn_optim_adamax_opts *opts)
{
    return mni_optim_tensors(&adamax, parameters, n,
                             group((double[OPTIONS]){0}, lr, beta1, beta2, opts));
}
