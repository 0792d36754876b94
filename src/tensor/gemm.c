/*
 * tensor/gemm.c: the one entry to every matrix product: which way round it is computed, by whose
 * kernel, and how it is cut into blocks. The order in which an element is summed up follows from the
 * shape and the strides, never from the team.
 */
#include "tensor/blas.h"
#include "tensor/compute.h"

#include <string.h>

/* c^T <- b^T a^T. */
static mni_product transposed(const mni_product *p)
{
    return (mni_product){.m = p->n,
                         .n = p->m,
                         .k = p->k,
                         .a = p->b,
                         .b = p->a,
                         .bias = p->bias,
                         .c = p->c,
                         .sa = {p->sb[1], p->sb[0]},
                         .sb = {p->sa[1], p->sa[0]},
                         .sbias = {p->sbias[1], p->sbias[0]},
                         .sc = {p->sc[1], p->sc[0]},
                         .accumulate = p->accumulate,
                         .taps = p->taps,
                         .step_a = p->step_b,
                         .step_b = p->step_a};
}

/* Our kernel needs vectors of columns of b: where those are apart it turns panels of it round. The
 * transposed product does so with an a whose rows are apart, and with c: turning an element costs
 * about the same everywhere, and c's are turned one and a half times (they are sums first). A single
 * column of c is better off as a row. */
static bool better_transposed(const mni_product *p)
{
    if (p->k == 1 || p->m == 1) return false;
    if (p->n == 1) return true;
    if (p->sb[1] == 1) return false;
    const int64_t a = p->sa[0] == 1 ? 0 : p->m * p->k;
    return 2 * a + 3 * p->m * p->n < 2 * p->n * p->k;
}

/* Whose kernel. Measured on Zen 3, one thread, ours / OpenBLAS 0.3.21's in us: 64x128x784 NT 152 /
 * 160, 128x784x64 TN 149 / 175, 64x10x128 NT 3.5 / 4.2, 128x512x512 NT 776 / 760, 512x512x512 NN
 * 2910 / 2930, 1x128x784 NT 4.7 / 4.7, rank-1 of 128x784 6.6 / 40, but 1024x1024x1024 27000 /
 * 23700. With AVX-512 ours is ahead everywhere (OpenBLAS takes newer processors for AVX2 ones).
 * Without AVX2 its assembler is ahead of our portable code on all that is large enough to be called
 * for. */
static bool prefer_blas(const mni_product *p)
{
    const char *isa = mni_kernels()->name;
    const int64_t least = strcmp(isa, "avx512") == 0 ? INT64_MAX
                          : strcmp(isa, "avx2") == 0 ? 768
                                                     : 16;
    return p->m >= least && p->n >= least && p->k >= least;
}

/* A block of our kernel: enough products to be worth a thread, but no more than make some BLOCKS of
 * them for the team; whole panels, which it packs: so as many rows as stay in the L2 cache with their
 * depth. A block for BLAS packs both of its sides, so it is larger. */
enum { BLOCKS = 16 };
enum { OWN_WORK = 1 << 18, OWN_COLUMNS = 32, OWN_ROWS = 512, OWN_ELEMENTS = 1 << 19 };
enum { OWN_HALVES = 56 };
enum { BLAS_WORK = 1 << 22, BLAS_COLUMNS = 256, BLAS_ROWS = 512 };

typedef struct gemm_job {
    mni_product whole;
    mn_dtype dtype;
    bool blas;
    int64_t rows, columns; /* of a block */
    int64_t across;        /* blocks in a row of blocks */
} gemm_job;

static const void *moved(const void *data, int64_t elements, mn_dtype dtype)
{
    return data ? (const char *)data + elements * (dtype == MN_F32 ? 4 : 8) : NULL;
}

static void gemm_block(void *arg, int64_t chunk)
{
    const gemm_job *job = arg;
    mni_product p = job->whole;
    const int64_t i = chunk / job->across * job->rows, j = chunk % job->across * job->columns;
    p.m = p.m - i < job->rows ? p.m - i : job->rows;
    p.n = p.n - j < job->columns ? p.n - j : job->columns;
    p.a = moved(p.a, i * p.sa[0], job->dtype);
    p.b = moved(p.b, j * p.sb[1], job->dtype);
    p.bias = moved(p.bias, i * p.sbias[0] + j * p.sbias[1], job->dtype);
    p.c = (char *)p.c + (i * p.sc[0] + j * p.sc[1]) * (job->dtype == MN_F32 ? 4 : 8);
    const int64_t taps = job->blas && p.taps > 1 ? p.taps : 1;
    if (job->blas) p.taps = 1;
    for (int64_t tap = 0; tap < taps; tap++) {
        if (!job->blas || !mni_blas_product(job->dtype, &p)) mni_kernels()->product[job->dtype](&p);
        p.a = moved(p.a, p.step_a, job->dtype);
        p.b = moved(p.b, p.step_b, job->dtype);
        p.bias = NULL;
        p.accumulate = true;
    }
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t divide_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit;
}

static int64_t round_up(int64_t n, int64_t unit)
{
    return divide_up(n, unit) * unit;
}

/* Equal blocks of at most `most`. */
static int64_t evenly(int64_t n, int64_t most)
{
    return divide_up(n, divide_up(n, most));
}

/* The size of a block. With our kernel an element has the same sum in whatever block it is, so that the
 * threads may have a say: several of them take rows, which for weights are the outputs, in the product of a
 * forward pass, in the gradient and in the optimizer's step alike, so that each finds its share in its
 * cache (64x128x784 with both gradients and SGD: 88 us in columns, 80 in rows). One packs less in columns. */
static void cut(gemm_job *job, int threads)
{
    const mni_product *p = &job->whole;
    const int64_t k = p->k * (p->taps > 1 ? p->taps : 1), part = p->m * p->n * k / BLOCKS;
    int64_t rows = BLAS_ROWS, work = job->blas ? BLAS_WORK : OWN_WORK;
    if (!job->blas) rows = k < OWN_ELEMENTS / OWN_ROWS ? OWN_ELEMENTS / k : OWN_ROWS;
    if (work < part) work = part;
    if (!job->blas && threads > 1 && p->m >= OWN_HALVES && p->m * p->n * k > work)
        rows = least(rows, divide_up(p->m, 2));
    job->rows = evenly(p->m, rows);
    job->columns = round_up(divide_up(work, job->rows * k), job->blas ? BLAS_COLUMNS : OWN_COLUMNS);
    if (job->columns >= p->n) {
        job->columns = p->n;
        rows = divide_up(work, p->n * k);
        if (rows < job->rows) job->rows = evenly(p->m, rows);
    }
    job->across = divide_up(p->n, job->columns);
}

/* c <- bias and what was there, when there is nothing to multiply. */
static void without_products(const gemm_job *job)
{
    const mni_product *p = &job->whole;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            const int64_t at = i * p->sc[0] + j, b = j * p->sbias[1];
            if (job->dtype == MN_F32)
                ((float *)p->c)[at] = (p->accumulate ? ((float *)p->c)[at] : 0) +
                                      (p->bias ? ((const float *)p->bias)[b] : 0);
            else
                ((double *)p->c)[at] = (p->accumulate ? ((double *)p->c)[at] : 0) +
                                       (p->bias ? ((const double *)p->bias)[b] : 0);
        }
}

void mni_sum_of_products(mni_team *team, mn_dtype dtype, const mni_product *whole)
{
    gemm_job job = {.whole = *whole, .dtype = dtype};
    mni_product *p = &job.whole;
    if (p->m == 0 || p->n == 0) return;
    if (p->k == 0) {
        without_products(&job);
        return;
    }
    job.blas = prefer_blas(p);
    if (!job.blas && better_transposed(p)) *p = transposed(p);
    cut(&job, mni_team_size(team));
    const int64_t chunks = divide_up(p->m, job.rows) * job.across;
    if (chunks == 1)
        gemm_block(&job, 0);
    else
        mni_team_run(team, chunks, gemm_block, &job);
}

void mni_gemm(mni_team *team, mn_dtype dtype, int64_t m, int64_t n, int64_t k, mni_matrix a,
              mni_matrix b, void *c, int64_t ldc, const void *bias, bool accumulate)
{
    mni_sum_of_products(team, dtype,
                        &(mni_product){.m = m,
                                       .n = n,
                                       .k = k,
                                       .a = a.data,
                                       .b = b.data,
                                       .bias = bias,
                                       .c = c,
                                       .sa = {a.row, a.column},
                                       .sb = {b.row, b.column},
                                       .sbias = {0, 1},
                                       .sc = {ldc, 1},
                                       .accumulate = accumulate});
}
