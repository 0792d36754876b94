/*
 * optim/rprop.c: resilient propagation, steps by the signs of gradients.
 */
#include "optim/optim.h"
#include <string.h>

enum { LR = MNI_LR, ETAMINUS, ETAPLUS, STEP_MIN, STEP_MAX, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [ETAMINUS] = {"etaminus", MNI_INSIDE_ONE},
                                     [ETAPLUS] = {"etaplus", MNI_ABOVE_ONE},
                                     [STEP_MIN] = {"step_min", MNI_NOT_NEGATIVE},
                                     [STEP_MAX] = {"step_max", MNI_NOT_NEGATIVE},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"prev", MNI_ALWAYS}, {"step_size", MNI_ALWAYS}, {NULL, 0}};

static bool check(const char *who, const double *o)
{
    if (o[STEP_MIN] <= o[STEP_MAX]) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: step_min %g is above step_max %g", who, o[STEP_MIN], o[STEP_MAX]);
    return false;
}

static void begin(mni_update *u)
{
    const double *o = u->option;
    const double start = u->fresh ? o[LR] : 0;
    const double c[] = {o[ETAMINUS], o[ETAPLUS], o[STEP_MIN], o[STEP_MAX], start};
    memcpy(u->c, c, sizeof c);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
}

static const mni_optim_class rprop = {.name = "rprop",
                                      .options = options,
                                      .states = states,
                                      .check = check,
                                      .begin = begin,
                                      .loop = MNI_LOOP_rprop};

static const double *group(double option[OPTIONS], double lr, const mn_optim_rprop_opts *opts)
{
    const mn_optim_rprop_opts o = opts ? *opts : (mn_optim_rprop_opts){0};
    option[LR] = lr;
    option[ETAMINUS] = mni_or(o.etaminus, 0.5);
    option[ETAPLUS] = mni_or(o.etaplus, 1.2);
    option[STEP_MIN] = mni_or(o.step_min, 1e-6);
    option[STEP_MAX] = mni_or(o.step_max, 50);
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_rprop(mn_module *m, double lr, const mn_optim_rprop_opts *opts)
{
    return mni_optim_module(&rprop, m, group((double[OPTIONS]){0}, lr, opts));
}

mn_optim *mn_optim_rprop_tensors(mn_tensor *const *parameters, int n, double lr,
                                 const mn_optim_rprop_opts *opts)
{
    return mni_optim_tensors(&rprop, parameters, n, group((double[OPTIONS]){0}, lr, opts));
}
