/*
 * tensor/statistics.c: reductions that put together a function of the elements: variance, logsumexp
 * and norms.
 */
#include "tensor/compute.h"
#include <math.h>

/* m <- the first element of each output. */
static void first_elements(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *m)
{
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) shape[d] = reduced[d] ? 1 : x->shape[d];
    mn_tensor from = {.data = x->data}, to = {.data = m->data};
    mni_set_shape(&from, (mn_dtype)x->dtype, x->ndim, shape, x->strides);
    mni_set_shape(&to, (mn_dtype)m->dtype, x->ndim, shape, NULL);
    mni_copy(team, &from, &to);
}

/* The mean is found relative to the first element, and what its rounding leaves over, b, is taken
 * off the squares (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
 */
void mni_variance(mni_team *team, const mn_tensor *x, const bool *reduced, int correction,
                  mn_tensor *y, mn_tensor *a, mn_tensor *b)
{
    const double count = y->numel > 0 ? (double)x->numel / (double)y->numel : 0;
    const double p[] = {count, fmax(count - correction, 0)};
    mni_term term = {.minus = a};
    if (x->numel > 0) first_elements(team, x, reduced, a);
    mni_fold(team, MNI_SUM, &term, x, reduced, b);
    mni_map1(team, mni_kernels()->div_scalar, b, b, p);
    mni_map2(team, mni_kernels()->add, a, b, a, NULL);
    mni_fold(team, MNI_SUM, &term, x, reduced, b);
    term.f = mni_kernels()->square;
    mni_fold(team, MNI_SUM, &term, x, reduced, y);
    mni_map2(team, mni_plain.variance, y, b, y, p);
}

void mni_logsumexp(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *y,
                   mn_tensor *a)
{
    mni_fold(team, MNI_LARGEST, NULL, x, reduced, a);
    mni_map1(team, mni_plain.finite_or_0, a, a, NULL);
    mni_fold(team, MNI_SUM, &(mni_term){.minus = a, .f = mni_kernels()->exp}, x, reduced, y);
    mni_map2(team, mni_plain.log_plus, y, a, y, NULL);
}

void mni_norm(mni_team *team, const mn_tensor *x, const bool *reduced, double p, mn_tensor *y)
{
    const mni_kernel_table *table = mni_kernels();
    const mni_folding how = !isinf(p) ? MNI_SUM : p > 0 ? MNI_LARGEST : MNI_SMALLEST;
    const bool plain = isinf(p) || p == 1;
    mni_term term = {.f = plain ? table->abs : mni_plain.abs_power, .p = &p};
    if (p == 0) term.f = mni_plain.is_not_0;
    if (p == 2) term.f = table->square;
    mni_fold(team, how, &term, x, reduced, y);
    if (p == 2)
        mni_map1(team, table->sqrt, y, y, NULL);
    else if (!plain && p != 0)
        mni_map1(team, mni_plain.abs_power, y, y, (double[]){1 / p});
}
