/*
 * tensor/reduce.c: sums, products and extremes over any dimensions.
 *
 * The outputs are taken in groups, each with lanes (for sums: cascades) of its own. Where the
 * outputs of a group lie side by side (column sums), its columns are up to 64 outputs and its rows
 * the reduced elements; otherwise a group is one output and runs of its elements are dealt to 64
 * columns, folded at the end. Large groups are cut into parts, which are put together last.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

#include <math.h>
#include <string.h>

/* ---- products and extremes ---- */

/* The same signatures as the sums of the kernel table; one level of the cascade is enough, and its
 * count says whether the lanes were set. */
#define FOLD_ROWS(T, x_at, both)                                                                   \
    for (int64_t r = 0; r < rows; r++, x += rs)                                                    \
        for (int64_t j = 0; j < columns; j++) {                                                    \
            const T a = lane[j], b = x[x_at];                                                      \
            lane[j] = both;                                                                        \
        }

#define FOLD_FN(name, id, T, start, both)                                                          \
    static void name##_##id(mni_cascade *s, int64_t rows, int64_t columns, const void *xv,         \
                            int64_t rs, int64_t cs)                                                \
    {                                                                                              \
        const T *x = xv;                                                                           \
        T *restrict lane = s->level.id[0];                                                         \
        for (int j = 0; s->count[0] == 0 && j < MNI_SUM_LANES; j++) lane[j] = start;               \
        s->count[0] = 1;                                                                           \
        if (cs == 1) {                                                                             \
            FOLD_ROWS(T, j, both)                                                                  \
        } else {                                                                                   \
            FOLD_ROWS(T, j *cs, both)                                                              \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void name##_end_##id(const mni_cascade *s, int64_t n, bool fold, bool accumulate,       \
                                void *yv)                                                          \
    {                                                                                              \
        T lane[MNI_SUM_LANES], *y = yv;                                                            \
        (void)accumulate;                                                                          \
        for (int j = 0; j < MNI_SUM_LANES; j++)                                                    \
            lane[j] = s->count[0] > 0 ? s->level.id[0][j] : start;                                 \
        for (int half = MNI_SUM_LANES / 2; fold && half > 0; half /= 2)                            \
            for (int j = 0; j < half; j++) {                                                       \
                const T a = lane[j], b = lane[j + half];                                           \
                lane[j] = both;                                                                    \
            }                                                                                      \
        for (int64_t j = 0; j < n; j++) y[j] = lane[j];                                            \
    }

FOLD_FN(product, f32, float, 1, a *b)
FOLD_FN(product, f64, double, 1, a *b)
FOLD_FN(product, i64, int64_t, 1, (int64_t)((uint64_t)a *(uint64_t)b)) /* it wraps */

/* NaN wins. */
#define LARGER ((b > a) | (b != b)) ? b : a
#define SMALLER ((b < a) | (b != b)) ? b : a
FOLD_FN(max, f32, float, -INFINITY, LARGER)
FOLD_FN(max, f64, double, -INFINITY, LARGER)
FOLD_FN(max, i64, int64_t, INT64_MIN, LARGER)
FOLD_FN(max, u8, uint8_t, 0, LARGER) /* and bool, a byte of 0 or 1 */
FOLD_FN(min, f32, float, INFINITY, SMALLER)
FOLD_FN(min, f64, double, INFINITY, SMALLER)
FOLD_FN(min, i64, int64_t, INT64_MAX, SMALLER)
FOLD_FN(min, u8, uint8_t, UINT8_MAX, SMALLER)

/* By the elements' type. */
static const mni_sum_fn fold_fn[][MNI_DTYPES] = {
    [MNI_PRODUCT] = {product_f32, product_f64, product_i64},
    [MNI_LARGEST] = {max_f32, max_f64, max_i64, max_u8, max_u8},
    [MNI_SMALLEST] = {min_f32, min_f64, min_i64, min_u8, min_u8}};
static const mni_sum_end_fn fold_end_fn[][MNI_DTYPES] = {
    [MNI_PRODUCT] = {product_end_f32, product_end_f64, product_end_i64},
    [MNI_LARGEST] = {max_end_f32, max_end_f64, max_end_i64, max_end_u8, max_end_u8},
    [MNI_SMALLEST] = {min_end_f32, min_end_f64, min_end_i64, min_end_u8, min_end_u8}};

/* ---- any of them over any dimensions ---- */

/* Parts of all groups together, so that their results fit the stack; below this many elements a
 * strided run is too short to be dealt to columns; rows whose terms are computed at once. */
enum { PARTS = 32, SHORT_RUN = 32, TERM_ROWS = 16 };

typedef struct fold_job {
    mni_loop kept, reduced; /* operand 0: x */
    const mni_sum_fn *fold;
    const mni_sum_end_fn *end;
    mn_dtype from, to; /* of what is put together, and of the lanes and y */
    char *x, *y;
    const mni_term *term; /* or NULL */
    const char *minus;
    mni_binary_fn subtract;
    mni_unary_fn f;
    bool columns;       /* a group is several outputs, else one */
    int64_t groups;     /* a run of kept.shape[last] outputs has row_groups of them */
    int64_t row_groups; /* (columns) */
    int64_t parts;      /* of each group */
    bool accumulate;
    int64_t partial[PARTS][MNI_SUM_LANES]; /* of y's type; used when parts > 1 */
} fold_job;

/* Terms that are computed at once, of no type larger than this one. */
typedef int64_t term_block[TERM_ROWS * MNI_SUM_LANES];

typedef struct fold_group {
    const fold_job *job;
    mni_cascade cascade;
    int64_t width;    /* (columns) outputs */
    term_block minus; /* (a term with one) for each row of a block again; else the one number */
} fold_group;

static void fill_minus(fold_group *g, int64_t start)
{
    const size_t size = mn_dtype_size(g->job->from), row = size * (size_t)g->width;
    const int64_t rows = g->job->reduced.n < TERM_ROWS ? g->job->reduced.n : TERM_ROWS;
    for (int64_t r = 0; r < (g->job->columns ? rows : 1); r++)
        memcpy((char *)g->minus + (size_t)r * row, g->job->minus + (size_t)start * size, row);
}

/* n terms from x, s apart, into adjacent places of y. */
static void fill_terms(const fold_group *g, int64_t n, const char *x, int64_t s, char *y)
{
    const fold_job *job = g->job;
    if (job->subtract) {
        job->subtract(n, x, s, g->minus, job->columns, y, 1, NULL);
        x = y, s = 1;
    }
    if (job->f) job->f(n, x, s, y, 1, job->term->p);
}

/* Adds x [rows, columns], or its terms. */
static void fold_rows(fold_group *g, int64_t rows, int64_t columns, const char *x, int64_t rs,
                      int64_t cs)
{
    const fold_job *job = g->job;
    if (!job->term) {
        job->fold[job->from](&g->cascade, rows, columns, x, rs, cs);
        return;
    }
    _Alignas(64) term_block block;
    const int64_t row = rs * job->reduced.size[0], to = (int64_t)mn_dtype_size(job->from);
    for (int64_t take; rows > 0; rows -= take, x += take * row) {
        take = rows < TERM_ROWS ? rows : TERM_ROWS;
        if (rs == columns * cs) fill_terms(g, take * columns, x, cs, (char *)block);
        for (int64_t r = 0; rs != columns * cs && r < take; r++)
            fill_terms(g, columns, x + r * row, cs, (char *)block + r * columns * to);
        job->fold[job->from](&g->cascade, take, columns, block, columns, 1);
    }
}

/* Adds a run of reduced elements. */
static void fold_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    fold_group *g = arg;
    const fold_job *job = g->job;
    const int64_t s = stride[0];
    if (job->columns) {
        fold_rows(g, n, g->width, data[0], s, job->kept.stride[0][job->kept.ndim - 1]);
        return;
    }
    const int64_t rows = n / MNI_SUM_LANES, rest = n % MNI_SUM_LANES;
    fold_rows(g, rows, MNI_SUM_LANES, data[0], s * MNI_SUM_LANES, s);
    if (rest > 0)
        fold_rows(g, 1, rest, data[0] + rows * MNI_SUM_LANES * s * job->reduced.size[0], 0, s);
}

/* The first output of a group, and how many outputs it has. */
static int64_t group_start(const fold_job *job, int64_t group, int64_t *width)
{
    *width = 1;
    if (!job->columns) return group;
    const int64_t run = job->kept.shape[job->kept.ndim - 1];
    const int64_t column = group % job->row_groups * MNI_SUM_LANES;
    *width = run - column < MNI_SUM_LANES ? run - column : MNI_SUM_LANES;
    return group / job->row_groups * run + column;
}

static void fold_part(fold_job *job, int64_t group, int64_t part)
{
    fold_group g;
    g.job = job;
    memset(g.cascade.count, 0, sizeof g.cascade.count);
    const int64_t start = group_start(job, group, &g.width);
    char *x = job->x + mni_loop_offset(&job->kept, 0, start);
    if (job->subtract) fill_minus(&g, start);
    /* Cut at multiples of 64 elements: parts * 64 never exceeds the size of a group that is cut. */
    const int64_t n = job->reduced.n, piece = (n / job->parts + 63) / 64 * 64;
    const int64_t begin = part * piece < n ? part * piece : n;
    const int64_t end = part + 1 == job->parts || begin + piece > n ? n : begin + piece;
    if (begin < end) mni_loop_range(&job->reduced, begin, end, &x, fold_run, &g);
    if (job->parts > 1) {
        void *lanes = job->partial[group * job->parts + part];
        job->end[job->to](&g.cascade, MNI_SUM_LANES, false, false, lanes);
    } else {
        char *y = job->y + start * (int64_t)mn_dtype_size(job->to);
        job->end[job->to](&g.cascade, g.width, !job->columns, job->accumulate, y);
    }
}

static void fold_range(void *arg, int64_t begin, int64_t end)
{
    fold_job *job = arg;
    for (int64_t i = begin; i < end; i++) fold_part(job, i / job->parts, i % job->parts);
}

/* Puts the parts of each group together. */
static void fold_join(fold_job *job)
{
    for (int64_t group = 0; group < job->groups; group++) {
        mni_cascade cascade;
        memset(cascade.count, 0, sizeof cascade.count);
        int64_t width, start = group_start(job, group, &width);
        const int64_t row = (int64_t)(sizeof job->partial[0] / mn_dtype_size(job->to));
        job->fold[job->to](&cascade, job->parts, MNI_SUM_LANES, job->partial[group * job->parts],
                           row, 1);
        char *y = job->y + start * (int64_t)mn_dtype_size(job->to);
        job->end[job->to](&cascade, width, !job->columns, job->accumulate, y);
    }
}

/* Chooses the groups and their parts, by shape alone. */
static void fold_plan(fold_job *job, const mn_tensor *x, const bool *reduced)
{
    mni_loop *kept = &job->kept, *inner = &job->reduced;
    kept->operands = inner->operands = 1;
    kept->ndim = inner->ndim = 0;
    kept->size[0] = inner->size[0] = (int64_t)mn_dtype_size((mn_dtype)x->dtype);
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

static void fold(mni_team *team, mni_folding how, const mni_term *term, const mn_tensor *x,
                 const bool *reduced, mn_tensor *y, bool accumulate)
{
    const mni_kernel_table *table = mni_kernels();
    fold_job job;
    job.fold = how == MNI_SUM ? table->sum : fold_fn[how];
    job.end = how == MNI_SUM ? table->sum_end : fold_end_fn[how];
    job.from = term && term->bools ? MN_BOOL : (mn_dtype)x->dtype;
    job.to = (mn_dtype)y->dtype;
    job.x = x->data;
    job.y = y->data;
    job.term = term;
    job.minus = term && term->minus ? term->minus->data : NULL;
    job.subtract = job.minus ? table->sub[x->dtype] : NULL;
    job.f = term && term->f ? term->f[x->dtype] : NULL;
    job.accumulate = accumulate;
    fold_plan(&job, x, reduced);

    const int64_t items = job.groups * job.parts;
    if (x->numel <= MNI_SERIAL) {
        fold_range(&job, 0, items);
    } else {
        int64_t grain = MNI_GRAIN / (x->numel / items);
        mni_team_range(team, items, grain > 1 ? grain : 1, fold_range, &job);
    }
    if (job.parts > 1) fold_join(&job);
}

void mni_sum(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *y, bool accumulate)
{
    fold(team, MNI_SUM, NULL, x, reduced, y, accumulate);
}

void mni_fold(mni_team *team, mni_folding how, const mni_term *term, const mn_tensor *x,
              const bool *reduced, mn_tensor *y)
{
    fold(team, how, term, x, reduced, y, false);
}
