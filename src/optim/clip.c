/*
 * optim/clip.c: gradients cut to size before a step.
 */
#include "autograd/tape.h"
#include "optim/optim.h"
#include "tensor/compute.h"
#include <math.h>

/* The next parameter's gradient, going on from *group and *slot; NULL at the end. */
static mn_tensor *next_grad(const mn_optim *o, int *group, int *slot)
{
    for (; *group < o->n_groups; ++*group, *slot = 0)
        while (*slot < o->groups[*group].n) {
            mn_tensor *grad = mni_usable_grad(o->groups[*group].slots[(*slot)++].parameter);
            if (grad) return grad;
        }
    return NULL;
}

double mn_optim_clip_grad_norm(mn_optim *o, mn_tape *t, double max_norm)
{
    static const char who[] = "mn_optim_clip_grad_norm";
    if (!mni_optim_ready(who, o, t)) return (double)NAN;
    if (!(max_norm >= 0)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: max_norm %g is not a number >= 0", who, max_norm);
        return (double)NAN;
    }
    mni_team *team = mni_tape_team(t);
    double sum = 0;
    int g = 0, i = 0;
    for (mn_tensor *x; (x = next_grad(o, &g, &i));)
        sum += mni_dot(team, (mn_dtype)x->dtype, x->numel, x->data, x->data);
    double norm = sqrt(sum);
    if (!(norm > max_norm)) return norm;
    double factor[2] = {max_norm / (norm + 1e-6)};
    g = i = 0;
    for (mn_tensor *x; (x = next_grad(o, &g, &i));) {
        mni_map1(team, mni_kernels()->mul_scalar, x, x, factor);
        mni_touch(x, "clip_grad_norm");
    }
    return norm;
}

mn_error mn_optim_clip_grad_value(mn_optim *o, mn_tape *t, double max)
{
    static const char who[] = "mn_optim_clip_grad_value";
    if (!mni_optim_ready(who, o, t)) return mn_tape_error(t);
    if (!(max >= 0)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: max %g is not a number >= 0", who, max);
        return mn_tape_error(t);
    }
    int g = 0, i = 0;
    for (mn_tensor *x; (x = next_grad(o, &g, &i));) {
        mni_number low, high;
        mni_map3(mni_tape_team(t), mni_kernels()->clamp, x,
                 mni_number_of(&low, (mn_dtype)x->dtype, -max),
                 mni_number_of(&high, (mn_dtype)x->dtype, max), x, NULL);
        mni_touch(x, "clip_grad_value");
    }
    return MN_OK;
}
