/*
 * tensor/ctc.c: connectionist temporal classification: sums over all paths through a sample's states, in
 * logarithms, forwards and backwards in time (Graves et al., 2006). One sample is one piece of work.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"
#include <math.h>

/* ---- sums of numbers given by their logarithms ---- */

static double log_sum3(double a, double b, double c)
{
    const double most = fmax(fmax(a, b), c);
    if (most == -INFINITY) return a + b + c; /* NaN if one is */
    return most + log(exp(a - most) + exp(b - most) + exp(c - most));
}

static double log_sum2(double a, double b)
{
    return log_sum3(a, b, -INFINITY);
}

/* ---- one sample ---- */

typedef struct sample {
    const mni_ctc *job;
    int64_t n, steps, states;
    const int64_t *labels;
    double *alpha; /* [steps, states], or two rows in turn */
    double *beta;  /* two rows in turn */
} sample;

static double emission(const sample *s, int64_t step, int64_t state)
{
    const mn_tensor *x = s->job->x;
    const int64_t at =
        step * x->strides[0] + s->n * x->strides[1] + s->labels[state] * x->strides[2];
    return x->dtype == MN_F32 ? (double)((const float *)(const void *)x->data)[at]
                              : ((const double *)(const void *)x->data)[at];
}

static double *alpha_row(const sample *s, int64_t step)
{
    return s->alpha + (s->job->slopes ? step : step % 2) * s->job->states;
}

/* Whether a path may go from state - 2 to state: from a target to one that is not the same. */
static bool skips(const sample *s, int64_t state)
{
    return state % 2 == 1 && state > 1 && s->labels[state] != s->labels[state - 2];
}

/* alpha[step, state] = ln of the probability of all ways to be in that state at that step. Returns that of
 * the whole target. */
static double forwards(const sample *s)
{
    for (int64_t step = 0; step < s->steps; step++) {
        double *now = alpha_row(s, step);
        const double *before = step > 0 ? alpha_row(s, step - 1) : NULL;
        for (int64_t i = 0; i < s->states; i++) {
            double ways = i < 2 ? 0 : -INFINITY;
            if (before)
                ways = log_sum3(before[i], i > 0 ? before[i - 1] : -INFINITY,
                                skips(s, i) ? before[i - 2] : -INFINITY);
            now[i] = ways + emission(s, step, i);
        }
    }
    if (s->steps == 0) return s->states == 1 ? 0 : -INFINITY;
    const double *last = alpha_row(s, s->steps - 1) + s->states - 1;
    return log_sum2(last[0], s->states > 1 ? last[-1] : -INFINITY);
}

/* slopes -= the share of all paths that goes through the label at each step. beta[state] = ln of the
 * probability of all ways from there to the end. */
static void backwards(const sample *s, double total, char *slopes)
{
    const mn_tensor *x = s->job->x;
    double *now = s->beta, *after = s->beta + s->job->states;
    for (int64_t step = s->steps - 1; step >= 0; step--) {
        const double *alpha = alpha_row(s, step);
        const int64_t row = (step * x->shape[1] + s->n) * x->shape[2];
        for (int64_t i = s->states - 1; i >= 0; i--) {
            if (step == s->steps - 1) {
                now[i] = i >= s->states - 2 ? 0 : -INFINITY;
            } else {
                const bool more = i + 1 < s->states, skip = i + 2 < s->states && skips(s, i + 2);
                now[i] = log_sum3(after[i], more ? after[i + 1] : -INFINITY,
                                  skip ? after[i + 2] : -INFINITY);
            }
            const double share = exp(alpha[i] + now[i] - total);
            if (x->dtype == MN_F32)
                ((float *)(void *)slopes)[row + s->labels[i]] -= (float)share;
            else
                ((double *)(void *)slopes)[row + s->labels[i]] -= share;
        }
        for (int64_t i = 0; i < s->states; i++) now[i] += emission(s, step, i);
        double *const swap = now;
        now = after;
        after = swap;
    }
}

/* The slopes of a sample: `value` in the steps that count, else 0. */
static void fill_slopes(const sample *s, double value, char *slopes)
{
    const mn_tensor *x = s->job->x;
    for (int64_t step = 0; step < x->shape[0]; step++)
        for (int64_t c = 0; c < x->shape[2]; c++) {
            const int64_t at = (step * x->shape[1] + s->n) * x->shape[2] + c;
            const double v = step < s->steps ? value : 0;
            if (x->dtype == MN_F32)
                ((float *)(void *)slopes)[at] = (float)v;
            else
                ((double *)(void *)slopes)[at] = v;
        }
}

/* Of scratch memory for a sample. */
static int64_t rows_of(const mni_ctc *job)
{
    return 2 + (job->slopes ? job->x->shape[0] : 2);
}

static void run_sample(const mni_ctc *job, int64_t n)
{
    const int64_t rows = rows_of(job);
    const sample s = {.job = job,
                      .n = n,
                      .steps = job->steps[n],
                      .states = 2 * job->lengths[n] + 1,
                      .labels = job->labels + n * job->states,
                      .alpha = job->scratch + (n * rows + 2) * job->states,
                      .beta = job->scratch + n * rows * job->states};
    const double total = forwards(&s);
    const bool none = total == -INFINITY;
    const double loss = none && job->zero_infinity ? 0 : -total;
    if (job->x->dtype == MN_F32)
        ((float *)(void *)job->losses->data)[n] = (float)loss;
    else
        ((double *)(void *)job->losses->data)[n] = loss;
    if (!job->slopes) return;
    fill_slopes(&s, none && !job->zero_infinity ? NAN : 0, job->slopes->data);
    if (!none) backwards(&s, total, job->slopes->data);
}

static void run_samples(void *arg, int64_t begin, int64_t end)
{
    for (int64_t n = begin; n < end; n++) run_sample(arg, n);
}

int64_t mni_ctc_scratch(const mni_ctc *job)
{
    return job->x->shape[1] * rows_of(job) * job->states;
}

void mni_ctc_run(mni_team *team, const mni_ctc *job)
{
    mni_ctc copy = *job;
    const int64_t work = 1 + 16 * job->x->shape[0] * job->states; /* exponentials are slow */
    const int64_t grain = MNI_GRAIN / work;
    mni_team_range(team, job->x->shape[1], grain > 1 ? grain : 1, run_samples, &copy);
}
