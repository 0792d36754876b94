/*
 * tensor/random.c: random draws over whole tensors. Element i depends on its position in the stream
 * alone (a normal one on its pair's), so a draw may be cut at any even one.
 */
#include "core/philox.h"
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

void mni_normal(mni_team *team, mn_tensor *x, double mean, double std, mn_rng at)
{
    draw_job job = {.x = x, .low = mean, .high = std, .at = at};
    job.uniform = mni_kernels()->normal[x->dtype];
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

/* ---- integers ---- */

typedef struct integers_job {
    int64_t *y;
    int64_t low;
    uint64_t n; /* 0: element i has i + 1 values */
    mn_rng at;
} integers_job;

enum { INTEGERS = 128 };

static void integers_range(void *arg, int64_t begin, int64_t end)
{
    const integers_job *job = arg;
    uint32_t words[2 * INTEGERS];
    for (int64_t i = begin; i < end; i++) {
        const int64_t k = (i - begin) % INTEGERS;
        mn_rng at = job->at;
        at.offset += 2 * (uint64_t)i;
        if (k == 0) mni_kernels()->words(2 * (end - i < INTEGERS ? end - i : INTEGERS), words, at);
        uint64_t bits = (uint64_t)words[2 * k + 1] << 32 | words[2 * k], result;
        while (!mni_rng_fit(bits, job->n ? job->n : (uint64_t)i + 1, &result)) {
            at.stream += UINT64_C(0x9E3779B97F4A7C15);
            bits = mni_rng_word(at);
        }
        job->y[i] = (int64_t)((uint64_t)job->low + result);
    }
}

void mni_integers(mni_team *team, mn_tensor *x, int64_t low, uint64_t n, mn_rng at)
{
    integers_job job = {(int64_t *)(void *)x->data, low, n, at};
    if (x->numel <= MNI_SERIAL)
        integers_range(&job, 0, x->numel);
    else
        mni_team_range(team, x->numel, MNI_GRAIN, integers_range, &job);
}

void mni_permutation(mni_team *team, mn_tensor *x, mn_rng at)
{
    int64_t *y = (int64_t *)(void *)x->data;
    mni_integers(team, x, 0, 0, at);
    for (int64_t i = 0; i < x->numel; i++) {
        const int64_t k = y[i];
        y[i] = y[k];
        y[k] = i;
    }
}
