/*
 * optim/adagrad.c: Adagrad, rates by the sum of all squared gradients.
 */
#include "optim/optim.h"
#include <string.h>

enum { LR = MNI_LR, LR_DECAY, WEIGHT_DECAY, INITIAL_ACCUMULATOR_VALUE, EPS, MAXIMIZE, OPTIONS };
static const mni_option options[] = {
    [LR] = MNI_LR_OPTION,
    [LR_DECAY] = {"lr_decay", MNI_NOT_NEGATIVE},
    [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
    [INITIAL_ACCUMULATOR_VALUE] = {"initial_accumulator_value", MNI_NOT_NEGATIVE},
    [EPS] = {"eps", MNI_NOT_NEGATIVE},
    [MAXIMIZE] = {"maximize", MNI_FLAG},
    [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"sum", MNI_ALWAYS}, {NULL, 0}};

static void begin(mni_update *u)
{
    const double *o = u->option;
    const double start = u->fresh ? o[INITIAL_ACCUMULATOR_VALUE] : 0;
    const double c[] = {o[LR] / (1 + (double)(u->step - 1) * o[LR_DECAY]), o[EPS], start};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
    u->decay = o[WEIGHT_DECAY];
}

static const mni_optim_class adagrad = {.name = "adagrad",
                                        .options = options,
                                        .states = states,
                                        .begin = begin,
                                        .loop = MNI_LOOP_adagrad};

static const double *group(double option[OPTIONS], double lr, const mn_optim_adagrad_opts *opts)
{
    const mn_optim_adagrad_opts o = opts ? *opts : (mn_optim_adagrad_opts){0};
    option[LR] = lr;
    option[LR_DECAY] = o.lr_decay;
    option[WEIGHT_DECAY] = o.weight_decay;
    option[INITIAL_ACCUMULATOR_VALUE] = o.initial_accumulator_value;
    option[EPS] = mni_or(o.eps, 1e-10);
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_adagrad(mn_module *m, double lr, const mn_optim_adagrad_opts *opts)
{
    return mni_optim_module(&adagrad, m, group((double[OPTIONS]){0}, lr, opts));
}

mn_optim *mn_optim_adagrad_tensors(mn_tensor *const *parameters, int n, double lr,
                                   const mn_optim_adagrad_opts *opts)
{
    return mni_optim_tensors(&adagrad, parameters, n, group((double[OPTIONS]){0}, lr, opts));
}
