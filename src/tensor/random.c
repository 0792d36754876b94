/*
 * tensor/random.c: random draws over whole tensors. Element i depends on its position in the stream
 * alone, so a draw may be cut anywhere.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

typedef struct draw_job {
    const mn_tensor *x;
    char *y, *slopes; /* of rrelu; slopes may be NULL */
    int64_t size;     /* of an element, in bytes */
    double low, high;
    bool divisor;
    mn_rng at;
    mni_uniform_fn uniform;
    mni_rrelu_fn rrelu;
} draw_job;

static void draw_range(void *arg, int64_t begin, int64_t end)
{
    const draw_job *job = arg;
    const int64_t n = end - begin, skip = begin * job->size;
    mn_rng at = job->at;
    at.offset += (uint64_t)skip / sizeof(uint32_t); /* an f32 takes one word, an f64 two */
    if (job->uniform)
        job->uniform(n, job->x->data + skip, job->low, job->high, at);
    else
        job->rrelu(n, job->x->data + skip, job->low, job->high, job->divisor, at, job->y + skip,
                   job->slopes ? job->slopes + skip : NULL);
}

static void draw(mni_team *team, draw_job *job)
{
    const int64_t n = job->x->numel;
    job->size = (int64_t)mn_dtype_size((mn_dtype)job->x->dtype);
    if (n <= MNI_SERIAL)
        draw_range(job, 0, n);
    else
        mni_team_range(team, n, MNI_GRAIN, draw_range, job);
}

void mni_uniform(mni_team *team, mn_tensor *x, double low, double high, mn_rng at)
{
    draw_job job = {.x = x, .low = low, .high = high, .at = at};
    job.uniform = mni_kernels()->uniform[x->dtype];
    draw(team, &job);
}

void mni_rrelu(mni_team *team, const mn_tensor *x, double low, double high, bool divisor, mn_rng at,
               mn_tensor *y, mn_tensor *slopes)
{
    draw_job job = {.x = x, .low = low, .high = high, .divisor = divisor, .at = at};
    job.y = y->data;
    job.slopes = slopes ? slopes->data : NULL;
    job.rrelu = mni_kernels()->rrelu[x->dtype];
    draw(team, &job);
}
