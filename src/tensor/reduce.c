/*
 * tensor/reduce.c: sums over any dimensions, and the maximum along one.
 *
 * The outputs are taken in groups, each with cascades of its own. Where the outputs of a group lie
 * side by side (column sums), its columns are up to 64 outputs and its rows the reduced elements;
 * otherwise a group is one output and runs of its elements are dealt to 64 columns, folded at the
 * end. Large groups are cut into parts, whose sums are added by a last cascade.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

#include <string.h>

/* Parts of all groups together, so that their sums fit the stack; below this many elements a
 * strided run is too short to be dealt to columns. */
enum { PARTS = 32, SHORT_RUN = 32 };

typedef struct sum_job {
    mni_loop kept, reduced; /* operand 0: x */
    const mni_kernel_table *table;
    mn_dtype from, to; /* x's type, and the cascade's and y's */
    char *x, *y;
    bool columns;       /* a group is several outputs, else one */
    int64_t groups;     /* a run of kept.shape[last] outputs has row_groups of them */
    int64_t row_groups; /* (columns) */
    int64_t parts;      /* of each group */
    bool accumulate;
    int64_t partial[PARTS][MNI_SUM_LANES]; /* of y's type; used when parts > 1 */
} sum_job;

typedef struct sum_group {
    const sum_job *job;
    mni_cascade cascade;
    int64_t width; /* (columns) outputs */
} sum_group;

/* Adds a run of reduced elements. */
static void sum_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    sum_group *g = arg;
    const sum_job *job = g->job;
    const mni_sum_fn sum = job->table->sum[job->from];
    const int64_t s = stride[0];
    if (job->columns) {
        sum(&g->cascade, n, g->width, data[0], s, job->kept.stride[0][job->kept.ndim - 1]);
        return;
    }
    const int64_t rows = n / MNI_SUM_LANES, rest = n % MNI_SUM_LANES;
    sum(&g->cascade, rows, MNI_SUM_LANES, data[0], s * MNI_SUM_LANES, s);
    if (rest > 0)
        sum(&g->cascade, 1, rest, data[0] + rows * MNI_SUM_LANES * s * job->reduced.size[0], 0, s);
}

/* The first output of a group, and how many outputs it has. */
static int64_t group_start(const sum_job *job, int64_t group, int64_t *width)
{
    *width = 1;
    if (!job->columns) return group;
    const int64_t run = job->kept.shape[job->kept.ndim - 1];
    const int64_t column = group % job->row_groups * MNI_SUM_LANES;
    *width = run - column < MNI_SUM_LANES ? run - column : MNI_SUM_LANES;
    return group / job->row_groups * run + column;
}

static void sum_part(sum_job *job, int64_t group, int64_t part)
{
    sum_group g;
    g.job = job;
    memset(g.cascade.count, 0, sizeof g.cascade.count);
    const int64_t start = group_start(job, group, &g.width);
    char *x = job->x + mni_loop_offset(&job->kept, 0, start);
    /* Cut at multiples of 64 elements: parts * 64 never exceeds the size of a group that is cut. */
    const int64_t n = job->reduced.n, piece = (n / job->parts + 63) / 64 * 64;
    const int64_t begin = part * piece < n ? part * piece : n;
    const int64_t end = part + 1 == job->parts || begin + piece > n ? n : begin + piece;
    if (begin < end) mni_loop_range(&job->reduced, begin, end, &x, sum_run, &g);
    if (job->parts > 1) {
        void *lanes = job->partial[group * job->parts + part];
        job->table->sum_end[job->to](&g.cascade, MNI_SUM_LANES, false, false, lanes);
    } else {
        char *y = job->y + start * (int64_t)mn_dtype_size(job->to);
        job->table->sum_end[job->to](&g.cascade, g.width, !job->columns, job->accumulate, y);
    }
}

static void sum_range(void *arg, int64_t begin, int64_t end)
{
    sum_job *job = arg;
    for (int64_t i = begin; i < end; i++) sum_part(job, i / job->parts, i % job->parts);
}

/* Adds up the parts of each group. */
static void sum_join(sum_job *job)
{
    for (int64_t group = 0; group < job->groups; group++) {
        mni_cascade cascade;
        memset(cascade.count, 0, sizeof cascade.count);
        int64_t width, start = group_start(job, group, &width);
        const int64_t row = (int64_t)(sizeof job->partial[0] / mn_dtype_size(job->to));
        job->table->sum[job->to](&cascade, job->parts, MNI_SUM_LANES,
                                 job->partial[group * job->parts], row, 1);
        char *y = job->y + start * (int64_t)mn_dtype_size(job->to);
        job->table->sum_end[job->to](&cascade, width, !job->columns, job->accumulate, y);
    }
}

/* Chooses the groups and their parts, by shape alone. */
static void sum_plan(sum_job *job, const mn_tensor *x, const bool *reduced)
{
    mni_loop *kept = &job->kept, *inner = &job->reduced;
    kept->operands = inner->operands = 1;
    kept->ndim = inner->ndim = 0;
    kept->size[0] = inner->size[0] = (int64_t)mn_dtype_size(job->from);
    for (int d = 0; d < x->ndim; d++)
        mni_loop_add(reduced[d] ? inner : kept, x->shape[d], &x->strides[d]);
    mni_loop_collapse(kept, false);
    mni_loop_collapse(inner, true);

    const int64_t run = kept->shape[kept->ndim - 1];
    job->columns = run > 1 && (kept->stride[0][kept->ndim - 1] == 1 ||
                               inner->shape[inner->ndim - 1] < SHORT_RUN);
    job->row_groups = (run + MNI_SUM_LANES - 1) / MNI_SUM_LANES;
    job->groups = kept->n;
    if (job->columns && run > 0) job->groups = kept->n / run * job->row_groups;
    job->parts = 1;
    if (job->groups > 0 && job->groups <= PARTS / 2 && x->numel > MNI_SERIAL) {
        job->parts = x->numel / job->groups / MNI_GRAIN;
        if (job->parts > PARTS / job->groups) job->parts = PARTS / job->groups;
        if (job->parts < 1) job->parts = 1;
    }
}

void mni_sum(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *y, bool accumulate)
{
    sum_job job;
    job.table = mni_kernels();
    job.from = (mn_dtype)x->dtype;
    job.to = (mn_dtype)y->dtype;
    job.x = x->data;
    job.y = y->data;
    job.accumulate = accumulate;
    sum_plan(&job, x, reduced);

    const int64_t items = job.groups * job.parts;
    if (x->numel <= MNI_SERIAL) {
        sum_range(&job, 0, items);
    } else {
        int64_t grain = MNI_GRAIN / (x->numel / items);
        mni_team_range(team, items, grain > 1 ? grain : 1, sum_range, &job);
    }
    if (job.parts > 1) sum_join(&job);
}

/* ---- maximum ---- */

#define ARGMAX_FN(id, type)                                                                        \
    static int64_t argmax_##id(int64_t n, const type *x, int64_t s)                                \
    {                                                                                              \
        int64_t best = 0;                                                                          \
        type max = x[0];                                                                           \
        for (int64_t i = 1; i < n && max == max; i++) {                                            \
            const type v = x[i * s];                                                               \
            if (v <= max) continue; /* not taken for NaN, which is then the maximum */             \
            max = v;                                                                               \
            best = i;                                                                              \
        }                                                                                          \
        return best;                                                                               \
    }

ARGMAX_FN(f32, float)
ARGMAX_FN(f64, double)
ARGMAX_FN(i64, int64_t)
ARGMAX_FN(u8, uint8_t)

typedef struct max_job {
    mni_loop kept; /* operand 0: x */
    mn_dtype dtype;
    size_t size; /* of an element */
    int64_t n, stride;
    char *x;
    char *value; /* or NULL */
    int64_t *index;
} max_job;

static int64_t argmax(const max_job *job, const void *x)
{
    switch (job->dtype) {
    case MN_F32:
        return argmax_f32(job->n, x, job->stride);
    case MN_F64:
        return argmax_f64(job->n, x, job->stride);
    case MN_I64:
        return argmax_i64(job->n, x, job->stride);
    case MN_U8:
    case MN_BOOL:
        break;
    }
    return argmax_u8(job->n, x, job->stride); /* a bool is a byte, 0 or 1 */
}

static void max_range(void *arg, int64_t begin, int64_t end)
{
    max_job *job = arg;
    const int64_t step = job->stride * (int64_t)job->size;
    for (int64_t i = begin; i < end; i++) {
        const char *x = job->x + mni_loop_offset(&job->kept, 0, i);
        const int64_t best = argmax(job, x);
        if (job->index) job->index[i] = best;
        if (job->value) memcpy(job->value + i * (int64_t)job->size, x + best * step, job->size);
    }
}

void mni_max(mni_team *team, const mn_tensor *x, int dim, mn_tensor *value, mn_tensor *index)
{
    max_job job = {.dtype = (mn_dtype)x->dtype, .x = x->data};
    job.size = mn_dtype_size(job.dtype);
    job.n = x->ndim > 0 ? x->shape[dim] : 1;
    job.stride = x->ndim > 0 ? x->strides[dim] : 1;
    job.value = value ? value->data : NULL;
    job.index = index ? (int64_t *)(void *)index->data : NULL;
    job.kept.operands = 1;
    job.kept.size[0] = (int64_t)job.size;
    for (int d = 0; d < x->ndim; d++)
        if (d != dim) mni_loop_add(&job.kept, x->shape[d], &x->strides[d]);
    mni_loop_collapse(&job.kept, false);
    const int64_t rows = job.kept.n;
    if (x->numel <= MNI_SERIAL) {
        max_range(&job, 0, rows);
    } else {
        int64_t grain = MNI_GRAIN / job.n;
        mni_team_range(team, rows, grain > 1 ? grain : 1, max_range, &job);
    }
}
