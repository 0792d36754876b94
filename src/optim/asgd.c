/*
 * optim/asgd.c: averaged SGD.
 */
#include "optim/optim.h"
#include <math.h>
#include <string.h>

enum { LR = MNI_LR, LAMBD, ALPHA, T0, WEIGHT_DECAY, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [LAMBD] = {"lambd", MNI_NOT_NEGATIVE},
                                     [ALPHA] = {"alpha", MNI_NOT_NEGATIVE},
                                     [T0] = {"t0", MNI_NOT_NEGATIVE},
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"ax", MNI_ALWAYS}, {NULL, 0}};
enum { ETA, MU };
static const char *const numbers[] = {"eta", "mu", NULL};

/* Its rate and the weight of p in the mean are those that the step before computed. */
static void begin(mni_update *u)
{
    const double *o = u->option, k = (double)u->step;
    const double eta = u->step == 1 ? o[LR] : u->number[ETA], mu = u->step == 1 ? 1 : u->number[MU];
    const double c[] = {1 - o[LAMBD] * eta, eta, mu};
    memcpy(u->c, c, sizeof c);
    u->number[ETA] = o[LR] / pow(1 + o[LAMBD] * o[LR] * k, o[ALPHA]);
    u->number[MU] = 1 / fmax(1, k - o[T0]);
    u->sign = o[MAXIMIZE] != 0 ? -1 : 1;
    u->decay = o[WEIGHT_DECAY];
}

static const mni_optim_class asgd = {.name = "asgd",
                                     .options = options,
                                     .states = states,
                                     .numbers = numbers,
                                     .begin = begin,
                                     .loop = MNI_LOOP_asgd};

static const double *group(double option[OPTIONS], double lr, double lambd, double alpha, double t0,
                           const mn_optim_asgd_opts *opts)
{
    const mn_optim_asgd_opts o = opts ? *opts : (mn_optim_asgd_opts){0};
    option[LR] = lr;
    option[LAMBD] = lambd;
    option[ALPHA] = alpha;
    option[T0] = t0;
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_asgd(mn_module *m, double lr, double lambd, double alpha, double t0,
                        const mn_optim_asgd_opts *opts)
{
    return mni_optim_module(&asgd, m, group((double[OPTIONS]){0}, lr, lambd, alpha, t0, opts));
}

mn_optim *mn_optim_asgd_tensors(mn_tensor *const *parameters, int n, double lr, double lambd,
                                double alpha, double t0, const mn_optim_asgd_opts *opts)
{
    return mni_optim_tensors(&asgd, parameters, n,
                             group((double[OPTIONS]){0}, lr, lambd, alpha, t0, opts));
}
