/*
 * tensor/index.c: elements taken from, and put to, positions that another tensor gives. The loops run
 * over the index's shape; the position is added to where the other dimensions lead. What reads
 * positions has been checked: none is outside.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

#include <stdatomic.h>
#include <string.h>

/* ---- checking ---- */

typedef struct check_job {
    int64_t low, high;
    _Atomic bool outside;
} check_job;

/* A difference below 0 sets the highest bit: additions alone are vectorised everywhere. */
static void check_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    check_job *job = arg;
    const int64_t *index = (const int64_t *)(const void *)data[0], s = stride[0];
    const uint64_t low = (uint64_t)job->low, last = (uint64_t)job->high - 1;
    uint64_t below = 0;
    if (s == 1)
        for (int64_t i = 0; i < n; i++)
            below |= ((uint64_t)index[i] - low) | (last - (uint64_t)index[i]);
    else
        for (int64_t i = 0; i < n; i++)
            below |= ((uint64_t)index[i * s] - low) | (last - (uint64_t)index[i * s]);
    if (below >> 63) atomic_store_explicit(&job->outside, true, memory_order_relaxed);
}

bool mni_index_fits(mni_team *team, const mn_tensor *index, int64_t low, int64_t high)
{
    check_job job = {.low = low, .high = high};
    mni_loop l = {.operands = 1, .size = {sizeof(int64_t)}};
    for (int d = 0; d < index->ndim; d++)
        mni_loop_add(&l, index->strides[d] ? index->shape[d] : index->shape[d] > 0,
                     &index->strides[d]);
    mni_loop_collapse(&l, true);
    mni_loop_team(team, &l, mni_loop_longest(&l, 0), (char *[]){index->data}, check_run, &job);
    return !job.outside;
}

/* ---- moving ---- */

typedef struct move_job {
    int64_t step; /* between positions, in elements */
    int64_t skip;
    mn_dtype dtype;
    bool add;
} move_job;

/* A run with one position moves as a whole. */
#define MOVE_FNS(id, type, wide)                                                                   \
    static void gather_##id(const move_job *job, int64_t n, void *yv, int64_t sy,                  \
                            const int64_t *index, int64_t si, const void *xv, int64_t sx)          \
    {                                                                                              \
        const type *x = xv;                                                                        \
        type *y = yv;                                                                              \
        const int64_t step = job->step, skip = job->skip;                                          \
        if (si == 0 && sx == 1 && sy == 1 && index[0] != skip)                                     \
            memcpy(y, x + index[0] * step, (size_t)n * sizeof *y);                                 \
        else if (skip < 0)                                                                         \
            for (int64_t i = 0; i < n; i++) y[i * sy] = x[i * sx + index[i * si] * step];          \
        else                                                                                       \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i * sy] = index[i * si] == skip ? 0 : x[i * sx + index[i * si] * step];          \
    }                                                                                              \
                                                                                                   \
    static void scatter_##id(const move_job *job, int64_t n, void *yv, int64_t sy,                 \
                             const int64_t *index, int64_t si, const void *xv, int64_t sx)         \
    {                                                                                              \
        const type *restrict x = xv;                                                               \
        type *restrict y = yv;                                                                     \
        const int64_t step = job->step, skip = job->skip;                                          \
        if (si == 0 && sx == 1 && sy == 1 && index[0] != skip && job->add) {                       \
            y += index[0] * step;                                                                  \
            for (int64_t i = 0; i < n; i++) y[i] = (type)((wide)y[i] + (wide)x[i]);                \
        } else if (job->add) {                                                                     \
            for (int64_t i = 0; i < n; i++) {                                                      \
                type *const to = &y[i * sy + index[i * si] * step];                                \
                if (index[i * si] != skip) *to = (type)((wide)*to + (wide)x[i * sx]);              \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) y[i * sy + index[i * si] * step] = x[i * sx];          \
        }                                                                                          \
    }

MOVE_FNS(f32, float, float)
MOVE_FNS(f64, double, double)
MOVE_FNS(i64, int64_t, uint64_t) /* sums wrap */
MOVE_FNS(u8, uint8_t, unsigned)  /* and bool, a byte of 0 or 1 */

typedef void (*move_fn)(const move_job *, int64_t, void *, int64_t, const int64_t *, int64_t,
                        const void *, int64_t);

static void gather_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    static const move_fn gather[] = {gather_f32, gather_f64, gather_i64, gather_u8, gather_u8};
    const move_job *job = arg;
    gather[job->dtype](job, n, data[0], stride[0], (const int64_t *)(const void *)data[1],
                       stride[1], data[2], stride[2]);
}

static void scatter_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    static const move_fn scatter[] = {scatter_f32, scatter_f64, scatter_i64, scatter_u8,
                                      scatter_u8};
    const move_job *job = arg;
    scatter[job->dtype](job, n, data[2], stride[2], (const int64_t *)(const void *)data[1],
                        stride[1], data[0], stride[0]);
}

/* Operands: `beside`, which index's shape leads through; index; `there`, where positions lead. */
static void move(mni_team *team, const mn_tensor *beside, const mn_tensor *index,
                 const mn_tensor *there, int dim, int cut_by, mni_run_fn run, move_job job)
{
    const int64_t size = (int64_t)mn_dtype_size(job.dtype);
    mni_loop l = {.operands = 3, .size = {size, sizeof(int64_t), size}};
    for (int d = 0; d < index->ndim; d++)
        mni_loop_add(
            &l, index->shape[d],
            (int64_t[]){beside->strides[d], index->strides[d], d == dim ? 0 : there->strides[d]});
    mni_loop_collapse(&l, true);
    job.step = there->strides[dim];
    mni_loop_team(team, &l, mni_loop_longest(&l, cut_by),
                  (char *[]){beside->data, index->data, there->data}, run, &job);
}

void mni_gather(mni_team *team, const mn_tensor *x, int dim, const mn_tensor *index, int64_t skip,
                mn_tensor *y)
{
    move_job job = {.skip = skip, .dtype = (mn_dtype)x->dtype};
    move(team, y, index, x, dim, 0, gather_run, job);
}

/* Cut only along what moves in y too, so that no element of it belongs to two pieces. */
void mni_scatter(mni_team *team, const mn_tensor *x, int dim, const mn_tensor *index, int64_t skip,
                 bool add, mn_tensor *y)
{
    move_job job = {.skip = skip, .dtype = (mn_dtype)x->dtype, .add = add};
    move(team, x, index, y, dim, 2, scatter_run, job);
}

/* ---- masks ---- */

int64_t mni_count(const mn_tensor *mask)
{
    const bool *m = (const bool *)(const void *)mask->data;
    int64_t n = 0;
    for (int64_t i = 0; i < mask->numel; i++) n += m[i];
    return n;
}

void mni_positions(const mn_tensor *mask, int64_t n, int64_t *at)
{
    const bool *m = (const bool *)(const void *)mask->data;
    for (int64_t i = 0, k = 0; k < n; i++) {
        at[k] = i; /* overwritten unless it is one */
        k += m[i];
    }
}
