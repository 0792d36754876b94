/*
 * tensor/scan.c: running sums, products and linear recurrences along one dimension. Lines are
 * walked several at a time, since each waits for its own last result.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

/* Lines at a time: of adjacent elements (rows of a matrix), and adjacent themselves (columns). */
enum { ROWS = 8, COLUMNS = 128 };

enum { Y, X, A, OPERANDS };

typedef struct scan_job scan_job;

/* Up to COLUMNS lines from data, with the given distances between them. */
typedef void (*scan_fn)(const scan_job *job, int64_t lines, char *const *data,
                        const int64_t *stride);

struct scan_job {
    mni_loop lines;
    char *data[OPERANDS];
    int64_t n, step[OPERANDS]; /* elements of a line, and their distances */
    int64_t lag;               /* element i goes with element i - lag of a */
    int64_t most;              /* lines at a time */
    scan_fn fn;
};

/* next: the result from the one before, r, and the element, v; at the start r is `start`. */
#define SCAN_LINES(T, lines, next)                                                                 \
    for (int64_t i = 0; i < job->n; i++, x += sx, y += sy)                                         \
        for (int64_t k = 0; k < lines; k++) {                                                      \
            const W r = run[k], v = (W)x[k * lx];                                                  \
            run[k] = next;                                                                         \
            y[k * ly] = (T)run[k];                                                                 \
        }

#define SCAN_FN(name, id, T, wide, start, next)                                                    \
    static void name##_##id(const scan_job *job, int64_t lines, char *const *data,                 \
                            const int64_t *stride)                                                 \
    {                                                                                              \
        typedef wide W;                                                                            \
        const T *x = (const T *)(const void *)data[X];                                             \
        const T *a = (const T *)(const void *)data[A];                                             \
        T *restrict y = (T *)(void *)data[Y];                                                      \
        const int64_t sx = job->step[X], sy = job->step[Y], sa = job->step[A];                     \
        const int64_t lx = stride[X], ly = stride[Y], la = stride[A];                              \
        W run[COLUMNS];                                                                            \
        (void)a, (void)sa, (void)la;                                                               \
        for (int64_t k = 0; k < lines; k++) run[k] = start;                                        \
        if (lines == 1) {                                                                          \
            SCAN_LINES(T, 1, next)                                                                 \
        } else {                                                                                   \
            SCAN_LINES(T, lines, next)                                                             \
        }                                                                                          \
    }

SCAN_FN(cumsum, f32, float, double, 0, r + v)
SCAN_FN(cumsum, f64, double, double, 0, r + v)
SCAN_FN(cumsum, i64, int64_t, uint64_t, 0, r + v) /* unsigned: it wraps */
SCAN_FN(cumprod, f32, float, double, 1, r *v)
SCAN_FN(cumprod, f64, double, double, 1, r *v)
SCAN_FN(cumprod, i64, int64_t, uint64_t, 1, r *v)
#define LINEAR i == 0 ? v : (W)a[(i - job->lag) * sa + k * la] * r + v
SCAN_FN(linear, f32, float, double, 0, LINEAR)
SCAN_FN(linear, f64, double, double, 0, LINEAR)

static const scan_fn functions[][MNI_DTYPES] = {
    [MNI_CUMSUM] = {cumsum_f32, cumsum_f64, cumsum_i64},
    [MNI_CUMPROD] = {cumprod_f32, cumprod_f64, cumprod_i64},
    [MNI_LINEAR] = {linear_f32, linear_f64}};

static void scan_run(void *arg, int64_t lines, char *const *data, const int64_t *stride)
{
    const scan_job *job = arg;
    for (int64_t l = 0; l < lines; l += job->most) {
        char *at[OPERANDS];
        for (int o = 0; o < job->lines.operands; o++)
            at[o] = data[o] + l * stride[o] * job->lines.size[o];
        job->fn(job, lines - l < job->most ? lines - l : job->most, at, stride);
    }
}

static void scan_range(void *arg, int64_t begin, int64_t end)
{
    scan_job *job = arg;
    mni_loop_range(&job->lines, begin, end, job->data, scan_run, job);
}

void mni_scan(mni_team *team, mni_scanning how, const mn_tensor *a, const mn_tensor *x, int dim,
              bool reversed, mn_tensor *y)
{
    const mn_tensor *operand[OPERANDS] = {y, x, a ? a : x};
    scan_job job = {.lines.operands = OPERANDS, .n = x->shape[dim], .lag = reversed};
    if (x->numel == 0) return;
    job.fn = functions[how][x->dtype];
    for (int o = 0; o < OPERANDS; o++) {
        const mn_tensor *v = operand[o];
        job.lines.size[o] = (int64_t)mn_dtype_size((mn_dtype)v->dtype);
        job.step[o] = reversed ? -v->strides[dim] : v->strides[dim];
        const int64_t start = reversed ? (job.n - 1) * v->strides[dim] : 0;
        job.data[o] = v->data + start * job.lines.size[o];
    }
    for (int d = 0; d < x->ndim; d++) {
        const int64_t stride[] = {y->strides[d], operand[X]->strides[d], operand[A]->strides[d]};
        if (d != dim) mni_loop_add(&job.lines, x->shape[d], stride);
    }
    mni_loop_collapse(&job.lines, true);
    job.most = job.lines.stride[X][job.lines.ndim - 1] < x->strides[dim] ? COLUMNS : ROWS;
    if (x->numel <= MNI_SERIAL) {
        scan_range(&job, 0, job.lines.n);
    } else {
        const int64_t grain = MNI_GRAIN / job.n;
        mni_team_range(team, job.lines.n, grain > COLUMNS ? grain : COLUMNS, scan_range, &job);
    }
}
