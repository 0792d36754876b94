/*
 * tensor/norm.c: normalisation and its gradient, cut into pieces for the team.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

typedef struct norm_job {
    const mni_normalization *p;
    mni_norm_fn run, sums;
} norm_job;

static void range(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    job->run(job->p, begin, end);
}

/* n pieces of `each` elements. */
static void share(mni_team *team, mni_norm_fn run, const mni_normalization *p, int64_t n,
                  int64_t each)
{
    norm_job job = {.p = p, .run = run};
    int64_t grain = MNI_GRAIN / (each > 0 ? each : 1);
    if (grain < 1) grain = 1;
    if (n * each <= MNI_SERIAL) {
        range(&job, 0, n);
    } else {
        mni_team_range(team, n, grain, range, &job);
    }
}

static int64_t channels(const mni_normalization *p)
{
    return p->groups * p->depth;
}

/* Columns go in whole cache lines. */
static void share_channels(mni_team *team, mni_range_fn fn, norm_job *job)
{
    const mni_normalization *p = job->p;
    const int64_t n = channels(p), each = p->batch * p->space;
    int64_t grain = MNI_GRAIN / (each > 0 ? each : 1);
    if (p->space == 1) grain = (grain + 15) / 16 * 16;
    if (grain < 1) grain = 1;
    if (n * each <= MNI_SERIAL) {
        fn(job, 0, n);
    } else {
        mni_team_range(team, n, grain, fn, job);
    }
}

void mni_normalize(mni_team *team, mn_dtype dtype, const mni_normalization *p)
{
    const mni_norm_fn run = mni_kernels()->norm_forward[dtype];
    if (p->over_batch)
        share_channels(team, range, &(norm_job){.p = p, .run = run});
    else
        share(team, run, p, p->batch * p->groups, p->depth * p->space);
}

void mni_normalize_sums(mni_team *team, mn_dtype dtype, const mni_normalization *p)
{
    share_channels(team, range, &(norm_job){.p = p, .run = mni_kernels()->norm_sums[dtype]});
}

/* Channel after channel: while it is in the cache. */
static void backward_channels(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const mni_normalization *p = job->p;
    job->sums(p, begin, end);
    for (int64_t n = 0; n < p->batch; n++) job->run(p, n * p->groups + begin, n * p->groups + end);
}

void mni_normalize_backward(mni_team *team, mn_dtype dtype, const mni_normalization *p)
{
    const mni_norm_fn run = mni_kernels()->norm_backward[dtype];
    norm_job job = {p, run, mni_kernels()->norm_sums[dtype]};
    if (p->over_batch && p->space > 1) {
        share_channels(team, backward_channels, &job);
        return;
    }
    if (p->over_batch) mni_normalize_sums(team, dtype, p);
    share(team, run, p, p->batch * p->groups, p->depth * p->space);
}
