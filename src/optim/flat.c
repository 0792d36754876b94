/*
 * optim/flat.c: what optimizers compute on whole vectors. Work is cut by its length alone, so the
 * results have the same bits for every team.
 */
#include "optim/optim.h"
#include "tensor/compute.h"
#include <math.h>

enum {
    CHUNK = 16 * MNI_BLOCK, /* elements of one partial sum */
    CHUNKS = 64             /* partial sums at a time */
};

typedef double (*part_fn)(mn_dtype dtype, int64_t n, const void *a, const void *b);

typedef struct sums {
    part_fn part;
    mn_dtype dtype;
    int64_t n, begin;
    const char *a, *b;
    double partial[CHUNKS];
} sums;

/* Eight chains of additions hide their latency. */
#define SUM(type, term)                                                                            \
    {                                                                                              \
        const type *x = a, *y = b;                                                                 \
        double sum[8] = {0};                                                                       \
        int64_t i = 0;                                                                             \
        for (; i + 8 <= n; i += 8)                                                                 \
            for (int64_t k = i; k < i + 8; k++) sum[k - i] += (term);                              \
        for (int64_t k = i; k < n; k++) sum[0] += (term);                                          \
        (void)y;                                                                                   \
        return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));  \
    }

static double dot_part(mn_dtype dtype, int64_t n, const void *a, const void *b)
{
    if (dtype == MN_F64) SUM(double, x[k] * y[k])
    SUM(float, (double)x[k] * (double)y[k])
}

static double abs_part(mn_dtype dtype, int64_t n, const void *a, const void *b)
{
    if (dtype == MN_F64) SUM(double, fabs(x[k]))
    SUM(float, (double)fabsf(x[k]))
}

static void sum_chunk(void *arg, int64_t chunk)
{
    sums *s = arg;
    const int64_t at = s->begin + chunk * CHUNK, left = s->n - at;
    const int64_t bytes = at * (int64_t)mn_dtype_size(s->dtype);
    s->partial[chunk] =
        s->part(s->dtype, left < CHUNK ? left : CHUNK, s->a + bytes, s->b ? s->b + bytes : NULL);
}

static double reduce(mni_team *team, part_fn part, mn_dtype dtype, int64_t n, const void *a,
                     const void *b)
{
    sums s = {.part = part, .dtype = dtype, .n = n, .a = a, .b = b};
    double sum = 0;
    for (; s.begin < n; s.begin += CHUNKS * CHUNK) {
        const int64_t left = (n - s.begin + CHUNK - 1) / CHUNK;
        const int64_t chunks = left < CHUNKS ? left : CHUNKS;
        mni_team_run(team, chunks, sum_chunk, &s);
        for (int64_t c = 0; c < chunks; c++) sum += s.partial[c];
    }
    return sum;
}

double mni_dot(mni_team *team, mn_dtype dtype, int64_t n, const void *a, const void *b)
{
    return reduce(team, dot_part, dtype, n, a, b);
}

double mni_abs_sum(mni_team *team, mn_dtype dtype, int64_t n, const void *a)
{
    return reduce(team, abs_part, dtype, n, a, NULL);
}

/* On one thread: only L-BFGS asks, once an iteration. */
double mni_abs_max(mn_dtype dtype, int64_t n, const void *a)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = dtype == MN_F64 ? ((const double *)a)[i] : (double)((const float *)a)[i];
        if (!(fabs(x) <= most)) most = fabs(x);
        if (isnan(x)) return x;
    }
    return most;
}

mn_tensor mni_header(mn_dtype dtype, int ndim, const int64_t *shape, void *data)
{
    mn_tensor x = {.data = data};
    mni_set_shape(&x, dtype, ndim, shape, NULL);
    return x;
}

void mni_blend(mni_team *team, mn_dtype dtype, int64_t n, double alpha, const void *a, double beta,
               const void *b, void *y)
{
    mn_tensor ta = mni_header(dtype, 1, &n, (void *)(uintptr_t)a);
    mn_tensor tb = mni_header(dtype, 1, &n, (void *)(uintptr_t)b);
    mn_tensor ty = mni_header(dtype, 1, &n, y);
    mni_map2(team, mni_kernels()->axpby, &ta, &tb, &ty, (double[2]){alpha, beta});
}
