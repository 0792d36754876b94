/*
 * optim/adam.c: Adam, and AdamW, which is Adam with decoupled weight decay.
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
    AMSGRAD,
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
    [AMSGRAD] = {"amsgrad", MNI_FLAG},
    [MAXIMIZE] = {"maximize", MNI_FLAG},
    [DECOUPLED_WEIGHT_DECAY] = {"decoupled_weight_decay", MNI_FLAG},
    [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {
    {"exp_avg", MNI_ALWAYS}, {"exp_avg_sq", MNI_ALWAYS}, {"max_exp_avg_sq", AMSGRAD}, {NULL, 0}};

static void begin(mni_update *u)
{
    const double *o = u->option, k = (double)u->step;
    const double keep = mni_decay(u, o[WEIGHT_DECAY], o[DECOUPLED_WEIGHT_DECAY] != 0);
    const double c[] = {
        o[BETA1], o[BETA2], 1 / sqrt(1 - pow(o[BETA2], k)), o[EPS], o[LR] / (1 - pow(o[BETA1], k)),
        keep};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
}

static const mni_optim_class adam = {
    .name = "adam", .options = options, .states = states, .begin = begin, .loop = MNI_LOOP_adam};

static const double *group(double option[OPTIONS], double lr, double beta1, double beta2,
                           const mn_optim_adam_opts *opts)
{
    const mn_optim_adam_opts o = opts ? *opts : (mn_optim_adam_opts){0};
    option[LR] = lr;
    option[BETA1] = beta1;
    option[BETA2] = beta2;
    option[EPS] = mni_or(o.eps, 1e-8);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[AMSGRAD] = o.amsgrad;
    option[MAXIMIZE] = o.maximize;
    option[DECOUPLED_WEIGHT_DECAY] = o.decoupled_weight_decay;
    return option;
}

mn_optim *mn_optim_adam(mn_module *m, double lr, double beta1, double beta2,
                        const mn_optim_adam_opts *opts)
{
    return mni_optim_module(&adam, m, group((double[OPTIONS]){0}, lr, beta1, beta2, opts));
}

mn_optim *mn_optim_adam_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                double beta2, const mn_optim_adam_opts *opts)
{
    return mni_optim_tensors(&adam, parameters, n,
                             group((double[OPTIONS]){0}, lr, beta1, beta2, opts));
}

/* ---- AdamW ---- */

static const mni_optim_class adamw = {
    .name = "adamw", .options = options, .states = states, .begin = begin, .loop = MNI_LOOP_adam};

static const double *group_w(double option[OPTIONS], double lr, double beta1, double beta2,
                             double weight_decay, const mn_optim_adamw_opts *opts)
{
    const mn_optim_adamw_opts o = opts ? *opts : (mn_optim_adamw_opts){0};
    return group(option, lr, beta1, beta2,
                 &(mn_optim_adam_opts){.eps = o.eps,
                                       .weight_decay = weight_decay,
                                       .amsgrad = o.amsgrad,
                                       .maximize = o.maximize,
                                       .decoupled_weight_decay = true});
}

mn_optim *mn_optim_adamw(mn_module *m, double lr, double beta1, double beta2, double weight_decay,
                         const mn_optim_adamw_opts *opts)
{
    return mni_optim_module(&adamw, m,
                            group_w((double[OPTIONS]){0}, lr, beta1, beta2, weight_decay, opts));
}

mn_optim *mn_optim_adamw_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                 double beta2, double weight_decay, const mn_optim_adamw_opts *opts)
{
    return mni_optim_tensors(&adamw, parameters, n,
                             group_w((double[OPTIONS]){0}, lr, beta1, beta2, weight_decay, opts));
}
