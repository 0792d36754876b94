/*
 * tensor/recurrent.c: a recurrent layer, all steps. Samples do not see each other, so blocks of them run
 * through all steps on a thread each.
 */
#include "tensor/compute.h"

#include <string.h>

/* Samples of a block; few enough for a team, as many as a register tile has rows. */
enum { BLOCK = 28 };

typedef struct job {
    const mni_recurrent *r;
    int64_t rows; /* of a block */
} job;

static int64_t gates_of(const mni_recurrent *r)
{
    return mni_cell_gates(r->kind) * r->hidden;
}

static void *moved(const mni_recurrent *r, const void *p, int64_t elements)
{
    return p ? (char *)(uintptr_t)p + elements * (int64_t)mn_dtype_size(r->dtype) : NULL;
}

/* Where the states before and after step s begin, counted in states. */
static int64_t before(const mni_recurrent *r, int64_t s)
{
    return r->reverse ? s + 1 : s;
}

static int64_t after(const mni_recurrent *r, int64_t s)
{
    return r->reverse ? s : s + 1;
}

/* The k-th step in the order of the layer. */
static int64_t step_at(const mni_recurrent *r, int64_t k)
{
    return r->reverse ? r->steps - 1 - k : k;
}

/* Sample n at step s. */
static mni_cell cell_at(const mni_recurrent *r, int64_t s, int64_t n)
{
    const int64_t h = r->hidden, at = s * r->batch + n, sums = gates_of(r);
    const int64_t from = (before(r, s) * r->batch + n) * h, to = (after(r, s) * r->batch + n) * h;
    return (mni_cell){.kind = r->kind,
                      .n = h,
                      .a = moved(r, r->a, at * mni_cell_rows(r->kind) * h),
                      .b = moved(r, r->b, n * sums),
                      .h0 = moved(r, r->h, from),
                      .c0 = moved(r, r->c, from),
                      .h = moved(r, r->h, to),
                      .c = moved(r, r->c, to),
                      .gy = moved(r, r->gy, at * h),
                      .dh = moved(r, r->dh, n * h),
                      .dc = moved(r, r->dc, n * h),
                      .da = moved(r, r->da, at * sums),
                      .db = moved(r, r->db, at * sums)};
}

static bool ended(const mni_recurrent *r, int64_t s, int64_t n)
{
    return r->lengths && s >= r->lengths[n];
}

static int64_t block_end(const job *j, int64_t first)
{
    return first + j->rows < j->r->batch ? first + j->rows : j->r->batch;
}

/* ---- forward ---- */

static void forward_block(void *arg, int64_t chunk)
{
    const job *j = arg;
    const mni_recurrent *r = j->r;
    const int64_t first = chunk * j->rows, end = block_end(j, first), sums = gates_of(r);
    const int64_t h = r->hidden;
    const size_t row = (size_t)h * mn_dtype_size(r->dtype);
    for (int64_t k = 0; k < r->steps; k++) {
        const int64_t s = step_at(r, k);
        const mni_cell top = cell_at(r, s, first);
        mni_gemm(NULL, r->dtype, end - first, sums, h, (mni_matrix){top.h0, h, 1},
                 (mni_matrix){r->w, sums, 1}, (void *)(uintptr_t)top.b, sums, r->bias, false);
        for (int64_t n = first; n < end; n++) {
            const mni_cell c = cell_at(r, s, n);
            if (!ended(r, s, n)) {
                mni_kernels()->cell[r->dtype](&c);
                continue;
            }
            memcpy(c.h, c.h0, row);
            if (c.c) memcpy(c.c, c.c0, row);
        }
    }
}

/* ---- backward ---- */

static void backward_block(void *arg, int64_t chunk)
{
    const job *j = arg;
    const mni_recurrent *r = j->r;
    const int64_t first = chunk * j->rows, end = block_end(j, first), sums = gates_of(r);
    const int64_t h = r->hidden;
    const size_t row = (size_t)sums * mn_dtype_size(r->dtype);
    for (int64_t k = r->steps - 1; k >= 0; k--) {
        const int64_t s = step_at(r, k);
        for (int64_t n = first; n < end; n++) {
            const mni_cell c = cell_at(r, s, n);
            if (!ended(r, s, n)) {
                mni_kernels()->cell_backward[r->dtype](&c);
                continue;
            }
            memset(c.da, 0, row);
            memset(c.db, 0, row);
        }
        const mni_cell top = cell_at(r, s, first);
        mni_gemm(NULL, r->dtype, end - first, h, sums, (mni_matrix){top.db, sums, 1},
                 (mni_matrix){r->w, h, 1}, top.dh, h, NULL, true);
    }
}

static void run(mni_team *team, const mni_recurrent *r, mni_chunk_fn block)
{
    const int64_t blocks = (r->batch + BLOCK - 1) / BLOCK;
    if (blocks == 0) return;
    job j = {.r = r, .rows = (r->batch + blocks - 1) / blocks};
    mni_team_run(team, blocks, block, &j);
}

void mni_recurrent_forward(mni_team *team, const mni_recurrent *r)
{
    run(team, r, forward_block);
}

void mni_recurrent_backward(mni_team *team, const mni_recurrent *r)
{
    run(team, r, backward_block);
}
