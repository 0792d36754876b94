/*
 * optim/rmsprop.c: RMSprop, rates by the running mean of squared gradients.
 */
#include "optim/optim.h"
#include <string.h>

enum { LR = MNI_LR, ALPHA, EPS, WEIGHT_DECAY, MOMENTUM, CENTERED, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [ALPHA] = {"alpha", MNI_UP_TO_ONE},
                                     [EPS] = {"eps", MNI_NOT_NEGATIVE},
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [MOMENTUM] = {"momentum", MNI_NOT_NEGATIVE},
                                     [CENTERED] = {"centered", MNI_FLAG},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {
    {"square_avg", MNI_ALWAYS}, {"grad_avg", CENTERED}, {"momentum_buffer", MOMENTUM}, {NULL, 0}};

static void begin(mni_update *u)
{
    const double *o = u->option;
    const double c[] = {o[LR], o[ALPHA], o[EPS], o[MOMENTUM]};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
    u->decay = o[WEIGHT_DECAY];
}

static const mni_optim_class rmsprop = {.name = "rmsprop",
                                        .options = options,
                                        .states = states,
                                        .begin = begin,
                                        .loop = MNI_LOOP_rmsprop};

static const double *group(double option[OPTIONS], double lr, double alpha,
                           const mn_optim_rmsprop_opts *opts)
{
    const mn_optim_rmsprop_opts o = opts ? *opts : (mn_optim_rmsprop_opts){0};
    option[LR] = lr;
    option[ALPHA] = alpha;
    option[EPS] = mni_or(o.eps, 1e-8);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MOMENTUM] = o.momentum;
    option[CENTERED] = o.centered;
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_rmsprop(mn_module *m, double lr, double alpha, const mn_optim_rmsprop_opts *opts)
{
    return mni_optim_module(&rmsprop, m, group((double[OPTIONS]){0}, lr, alpha, opts));
}

mn_optim *mn_optim_rmsprop_tensors(mn_tensor *const *parameters, int n, double lr, double alpha,
                                   const mn_optim_rmsprop_opts *opts)
{
    return mni_optim_tensors(&rmsprop, parameters, n, group((double[OPTIONS]){0}, lr, alpha, opts));
}
