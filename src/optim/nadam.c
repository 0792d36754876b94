/*
 * optim/nadam.c: NAdam, Adam with Nesterov momentum.
 */
#include "optim/optim.h"
#include <math.h>
#include <string.h>

enum {
    LR = MNI_LR,
    BETA1,
    BETA2,
    EPS,
    WEIGHT_DECAY,
    MOMENTUM_DECAY,
    MAXIMIZE,
    DECOUPLED_WEIGHT_DECAY,
    OPTIONS
};
static const mni_option options[] = {
    [LR] = MNI_LR_OPTION,
    [BETA1] = {"beta1", MNI_BELOW_ONE},
    [BETA2] = {"beta2", MNI_BELOW_ONE},
    [EPS] = {"eps", MNI_NOT_NEGATIVE},
    [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
    [MOMENTUM_DECAY] = {"momentum_decay", MNI_NOT_NEGATIVE},
    [MAXIMIZE] = {"maximize", MNI_FLAG},
    [DECOUPLED_WEIGHT_DECAY] = {"decoupled_weight_decay", MNI_FLAG},
    [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"exp_avg", MNI_ALWAYS}, {"exp_avg_sq", MNI_ALWAYS}, {NULL, 0}};
static const char *const numbers[] = {"mu_product", NULL};

static double mu(const double *o, double k)
{
    return o[BETA1] * (1 - 0.5 * pow(0.96, k * o[MOMENTUM_DECAY]));
}

static void begin(mni_update *u)
{
    const double *o = u->option, k = (double)u->step, now = mu(o, k), next = mu(o, k + 1);
    const double keep = mni_decay(u, o[WEIGHT_DECAY], o[DECOUPLED_WEIGHT_DECAY] != 0);
    const double product = (u->step == 1 ? 1 : u->number[0]) * now;
    const double c[] = {o[BETA1],
                        o[BETA2],
                        1 / sqrt(1 - pow(o[BETA2], k)),
                        o[EPS],
                        o[LR] * (1 - now) / (1 - product),
                        o[LR] * next / (1 - product * next),
                        keep};
    memcpy(u->c, c, sizeof c);
    u->number[0] = product;
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
}

static const mni_optim_class nadam = {.name = "nadam",
                                      .options = options,
                                      .states = states,
                                      .numbers = numbers,
                                      .begin = begin,
                                      .loop = MNI_LOOP_nadam};

static const double *group(double option[OPTIONS], double lr, double beta1, double beta2,
                           double momentum_decay, const mn_optim_nadam_opts *opts)
{
    const mn_optim_nadam_opts o = opts ? *opts : (mn_optim_nadam_opts){0};
    option[LR] = lr;
    option[BETA1] = beta1;
    option[BETA2] = beta2;
    option[EPS] = mni_or(o.eps, 1e-8);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MOMENTUM_DECAY] = momentum_decay;
    option[MAXIMIZE] = o.maximize;
    option[DECOUPLED_WEIGHT_DECAY] = o.decoupled_weight_decay;
    return option;
}

mn_optim *mn_optim_nadam(mn_module *m, double lr, double beta1, double beta2, double momentum_decay,
                         const mn_optim_nadam_opts *opts)
{
    return mni_optim_module(&nadam, m,
                            group((double[OPTIONS]){0}, lr, beta1, beta2, momentum_decay, opts));
}

mn_optim *mn_optim_nadam_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                 double beta2, double momentum_decay,
                                 const mn_optim_nadam_opts *opts)
{
    return mni_optim_tensors(&nadam, parameters, n,
                             group((double[OPTIONS]){0}, lr, beta1, beta2, momentum_decay, opts));
}
