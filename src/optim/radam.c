/*
 * optim/radam.c: RAdam, Adam that waits until it knows the variance of the gradients.
 */
#include "optim/optim.h"
#include <math.h>
#include <string.h>

enum { LR = MNI_LR, BETA1, BETA2, EPS, WEIGHT_DECAY, MAXIMIZE, DECOUPLED_WEIGHT_DECAY, OPTIONS };
static const mni_option options[] = {
    [LR] = MNI_LR_OPTION,
    [BETA1] = {"beta1", MNI_BELOW_ONE},
    [BETA2] = {"beta2", MNI_BELOW_ONE},
    [EPS] = {"eps", MNI_NOT_NEGATIVE},
    [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
    [MAXIMIZE] = {"maximize", MNI_FLAG},
    [DECOUPLED_WEIGHT_DECAY] = {"decoupled_weight_decay", MNI_FLAG},
    [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"exp_avg", MNI_ALWAYS}, {"exp_avg_sq", MNI_ALWAYS}, {NULL, 0}};

static void begin(mni_update *u)
{
    const double *o = u->option, k = (double)u->step;
    const double keep = mni_decay(u, o[WEIGHT_DECAY], o[DECOUPLED_WEIGHT_DECAY] != 0);
    const double rest = 1 - pow(o[BETA2], k), longest = 2 / (1 - o[BETA2]) - 1;
    const double length = longest - 2 * k * (1 - rest) / rest; /* of the mean that v is */
    double rate = o[LR] / (1 - pow(o[BETA1], k));
    if (length > 5)
        rate *= sqrt(rest * (length - 4) * (length - 2) * longest /
                     ((longest - 4) * (longest - 2) * length));
    const double c[] = {o[BETA1], o[BETA2], o[EPS], rate, keep, length > 5};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
}

static const mni_optim_class radam = {
    .name = "radam", .options = options, .states = states, .begin = begin, .loop = MNI_LOOP_radam};

static const double *group(double option[OPTIONS], double lr, double beta1, double beta2,
                           const mn_optim_radam_opts *opts)
{
    const mn_optim_radam_opts o = opts ? *opts : (mn_optim_radam_opts){0};
    option[LR] = lr;
    option[BETA1] = beta1;
    option[BETA2] = beta2;
    option[EPS] = mni_or(o.eps, 1e-8);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MAXIMIZE] = o.maximize;
    option[DECOUPLED_WEIGHT_DECAY] = o.decoupled_weight_decay;
    return option;
}

mn_optim *mn_optim_radam(mn_module *m, double lr, double beta1, double beta2,
                         const mn_optim_radam_opts *opts)
{
    return mni_optim_module(&radam, m, group((double[OPTIONS]){0}, lr, beta1, beta2, opts));
}

mn_optim *mn_optim_radam_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                 double beta2, const mn_optim_radam_opts *opts)
{
    return mni_optim_tensors(&radam, parameters, n,
                             group((double[OPTIONS]){0}, lr, beta1, beta2, opts));
}
