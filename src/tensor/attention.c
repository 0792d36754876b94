/*
 * tensor/attention.c: attention, one head after the other, so that a head's weights [L, S] stay in the
 * cache between its products. Heads are shared among the team; a single one shares its products.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

#include <math.h>
#include <string.h>

typedef struct attention_job {
    const mni_attention *a;
    const mni_attention_gradients *g; /* NULL: forward */
    const mni_kernel_table *k;
    mni_team *team; /* of the products: when there is one part */
    mn_dtype dtype;
    int64_t heads, parts, queries, keys;
    int64_t weights; /* bytes of a head's weights */
} attention_job;

/* Row i of the matrices of x, which the dimensions before the last two count. */
static char *head_of(const mn_tensor *x, int64_t i)
{
    int64_t offset = 0;
    for (int d = x->ndim - 3; d >= 0; d--) {
        offset += i % x->shape[d] * x->strides[d];
        i /= x->shape[d];
    }
    return x->data + offset * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
}

static int64_t size(const mn_tensor *x, int from_end)
{
    return x->shape[x->ndim - from_end];
}

static mni_matrix matrix(const mn_tensor *x, int64_t i)
{
    return (mni_matrix){head_of(x, i), x->strides[x->ndim - 2], x->strides[x->ndim - 1]};
}

static mni_matrix rows(const void *data, int64_t columns)
{
    return (mni_matrix){data, columns, 1};
}

static mni_matrix transposed(mni_matrix m)
{
    return (mni_matrix){m.data, m.column, m.row};
}

/* Matrix i of y <- a b; k: the size that a and b share. */
static void multiply(const attention_job *job, int64_t k, mni_matrix a, mni_matrix b,
                     const mn_tensor *y, int64_t i)
{
    mni_gemm(job->team, job->dtype, size(y, 2), size(y, 1), k, a, b, head_of(y, i),
             y->strides[y->ndim - 2], NULL, false);
}

/* ---- the weights of one head ---- */

/* s <- s + mask, or -infinity where it is false. */
static void mask_head(const attention_job *job, int64_t i, char *s)
{
    const mn_tensor *mask = job->a->mask;
    const int64_t step = mask->strides[mask->ndim - 2], column = mask->strides[mask->ndim - 1];
    const int64_t row = job->keys * (int64_t)mn_dtype_size(job->dtype);
    const char *m = head_of(mask, i);
    mni_number infinity;
    mni_number_of(&infinity, job->dtype, -INFINITY);
    for (int64_t r = 0; r < job->queries; r++, s += row) {
        const char *at = m + r * step * (int64_t)mn_dtype_size((mn_dtype)mask->dtype);
        if (mask->dtype == MN_BOOL)
            job->k->where[job->dtype](job->keys, s, 1, &infinity.value, 0, at, column, s, 1, NULL);
        else
            job->k->add[job->dtype](job->keys, s, 1, at, column, s, 1, NULL);
    }
}

static void mask_later(const attention_job *job, char *s)
{
    const int64_t size = (int64_t)mn_dtype_size(job->dtype);
    mni_number infinity;
    mni_number_of(&infinity, job->dtype, -INFINITY);
    for (int64_t r = 0; r + 1 < job->keys && r < job->queries; r++, s += job->keys * size)
        job->k->copy[job->dtype][job->dtype](job->keys - r - 1, &infinity.value, 0,
                                             s + (r + 1) * size, 1, NULL);
}

static bool all_masked(mn_dtype dtype, const void *row, int64_t n)
{
    int64_t i = 0;
    if (dtype == MN_F32)
        while (i < n && ((const float *)row)[i] == -INFINITY) i++;
    else
        while (i < n && ((const double *)row)[i] == -INFINITY) i++;
    return i == n;
}

/* Softmax of each row in place; zeros where all is masked. */
static void softmax_head(const attention_job *job, char *s)
{
    const int64_t n = job->keys, stride[] = {n, 1};
    const int64_t row = n * (int64_t)mn_dtype_size(job->dtype);
    for (int64_t r = 0, end; r < job->queries; r = end) {
        const bool nothing = job->a->mask && all_masked(job->dtype, s + r * row, n);
        for (end = r + 1; end < job->queries; end++)
            if (job->a->mask && all_masked(job->dtype, s + end * row, n) != nothing) break;
        if (nothing)
            memset(s + r * row, 0, (size_t)((end - r) * row));
        else
            job->k->softmax[job->dtype](end - r, n, s + r * row, stride, s + r * row, stride,
                                        false);
    }
}

/* p dropped (kept where nothing is dropped): p itself, or in scratch. */
static const void *dropped(const attention_job *job, int64_t i, const char *p, char *scratch)
{
    if (!job->a->drop) return p;
    job->k->mul[job->dtype](job->queries * job->keys, p, 1, head_of(job->a->drop, i), 1, scratch, 1,
                            NULL);
    return scratch;
}

static void forward(const attention_job *job, int64_t i, char *scratch)
{
    const mni_attention *a = job->a;
    char *p = head_of(a->p, i);
    if (job->keys > 0) {
        multiply(job, size(a->q, 1), matrix(a->q, i), transposed(matrix(a->k, i)), a->p, i);
        job->k->mul_scalar[job->dtype](job->queries * job->keys, p, 1, p, 1, &a->scale);
        if (a->mask) mask_head(job, i, p);
        if (a->causal) mask_later(job, p);
        softmax_head(job, p);
    }
    multiply(job, job->keys, rows(dropped(job, i, p, scratch), job->keys), matrix(a->v, i), a->y,
             i);
}

/* ---- the gradients of one head ---- */

static void backward(const attention_job *job, int64_t i, char *scratch)
{
    const mni_attention *a = job->a;
    const mni_attention_gradients *g = job->g;
    const int64_t n = job->queries * job->keys, stride[] = {job->keys, 1};
    char *p = head_of(a->p, i), *s = scratch, *gs = g->mask ? head_of(g->mask, i) : s;
    const mni_matrix gy = matrix(g->y, i);
    if (g->v)
        multiply(job, job->queries, transposed(rows(dropped(job, i, p, scratch), job->keys)), gy,
                 g->v, i);
    if (!g->q && !g->k && !g->mask) return;
    mni_gemm(job->team, job->dtype, job->queries, job->keys, size(a->v, 1), gy,
             transposed(matrix(a->v, i)), gs, job->keys, NULL, false);
    if (a->drop) job->k->mul[job->dtype](n, gs, 1, head_of(a->drop, i), 1, gs, 1, NULL);
    job->k->softmax_backward[job->dtype](job->queries, job->keys, p, stride, gs, stride, gs, stride,
                                         false);
    if (!g->q && !g->k) return;
    job->k->mul_scalar[job->dtype](n, gs, 1, s, 1, &a->scale);
    if (g->q) multiply(job, job->keys, rows(s, job->keys), matrix(a->k, i), g->q, i);
    if (g->k) multiply(job, job->queries, transposed(rows(s, job->keys)), matrix(a->q, i), g->k, i);
}

/* ---- all heads ---- */

enum { PARTS = 16 };

static attention_job job_of(mni_team *team, const mni_attention *a,
                            const mni_attention_gradients *g)
{
    attention_job job = {.a = a, .g = g, .k = mni_kernels(), .dtype = (mn_dtype)a->p->dtype};
    job.queries = size(a->p, 2);
    job.keys = size(a->p, 1);
    job.weights = job.queries * job.keys * (int64_t)mn_dtype_size(job.dtype);
    job.heads = 1;
    for (int d = 0; d < a->p->ndim - 2; d++) job.heads *= a->p->shape[d];
    const int64_t work = job.heads * job.queries * job.keys * (size(a->q, 1) + size(a->v, 1));
    job.parts = job.heads < PARTS ? job.heads : PARTS;
    if (mni_team_size(team) == 1 || work < 16 * MNI_SERIAL || job.parts < 1) job.parts = 1;
    job.team = job.parts == 1 ? team : NULL;
    return job;
}

int64_t mni_attention_scratch(mni_team *team, const mni_attention *a)
{
    const attention_job job = job_of(team, a, NULL);
    return job.parts * job.queries * job.keys;
}

static void part_of_heads(void *arg, int64_t part)
{
    const attention_job *job = arg;
    char *scratch = (char *)job->a->scratch + part * job->weights;
    for (int64_t i = job->heads * part / job->parts; i < job->heads * (part + 1) / job->parts; i++)
        (job->g ? backward : forward)(job, i, scratch);
}

void mni_attention_forward(mni_team *team, const mni_attention *a)
{
    attention_job job = job_of(team, a, NULL);
    mni_team_run(team, job.parts, part_of_heads, &job);
}

void mni_attention_backward(mni_team *team, const mni_attention *a,
                            const mni_attention_gradients *g)
{
    attention_job job = job_of(team, a, g);
    mni_team_run(team, job.parts, part_of_heads, &job);
}
