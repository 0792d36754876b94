/*
 * tensor/map.c: pointwise kernels over whole tensors: broadcasting, strides, conversion, threads.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

typedef struct map_job {
    mni_loop loop; /* operands: y, a, b */
    char *data[MNI_OPERANDS];
    mni_unary_fn unary; /* else binary */
    mni_binary_fn binary;
    const double *p;
} map_job;

static void map_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    const map_job *job = arg;
    if (job->unary)
        job->unary(n, data[1], stride[1], data[0], stride[0], job->p);
    else
        job->binary(n, data[1], stride[1], data[2], stride[2], data[0], stride[0], job->p);
}

static void map_range(void *arg, int64_t begin, int64_t end)
{
    map_job *job = arg;
    mni_loop_range(&job->loop, begin, end, job->data, map_run, job);
}

/* The stride of x along dimension d of y, to whose shape it broadcasts. */
static int64_t stretched(const mn_tensor *x, const mn_tensor *y, int d)
{
    int own = d - (y->ndim - x->ndim);
    return own < 0 || x->shape[own] == 1 ? 0 : x->strides[own];
}

/* Tensors with as many elements as y that are contiguous like it are one run, whatever their
 * shapes. */
static bool one_run(const mn_tensor *x, const mn_tensor *y)
{
    return x->numel == 1 || (x->contiguous && x->numel == y->numel);
}

static void map(mni_team *team, map_job *job, const mn_tensor *y, const mn_tensor *a,
                const mn_tensor *b)
{
    const mn_tensor *operand[MNI_OPERANDS] = {y, a, b};
    mni_loop *l = &job->loop;
    bool flat = y->contiguous;
    l->operands = b ? 3 : 2;
    l->ndim = 0;
    for (int o = 0; o < l->operands; o++) {
        job->data[o] = operand[o]->data;
        l->size[o] = (int64_t)mn_dtype_size((mn_dtype)operand[o]->dtype);
        flat = flat && one_run(operand[o], y);
    }
    int64_t stride[MNI_OPERANDS];
    if (flat) {
        for (int o = 0; o < l->operands; o++) stride[o] = operand[o]->numel != 1;
        mni_loop_add(l, y->numel, stride);
        l->n = y->numel;
    } else {
        for (int d = 0; d < y->ndim; d++) {
            for (int o = 0; o < l->operands; o++) stride[o] = stretched(operand[o], y, d);
            mni_loop_add(l, y->shape[d], stride);
        }
        mni_loop_collapse(l, true);
    }
    if (l->n == 0) return;
    if (l->n <= MNI_SERIAL)
        map_range(job, 0, l->n);
    else
        mni_team_range(team, l->n, MNI_GRAIN, map_range, job);
}

void mni_map1(mni_team *team, const mni_unary_fn *k, const mn_tensor *x, mn_tensor *y,
              const double *p)
{
    map_job job = {.unary = k[x->dtype], .p = p};
    map(team, &job, y, x, NULL);
}

void mni_map2(mni_team *team, const mni_binary_fn *k, const mn_tensor *a, const mn_tensor *b,
              mn_tensor *y, const double *p)
{
    map_job job = {.binary = k[a->dtype], .p = p};
    map(team, &job, y, a, b);
}

void mni_copy(mni_team *team, const mn_tensor *x, mn_tensor *y)
{
    mni_map1(team, mni_kernels()->copy[y->dtype], x, y, NULL);
}

void mni_fill(mni_team *team, mn_tensor *x, double value)
{
    mn_tensor scalar = {.data = (char *)&value, .numel = 1, .dtype = MN_F64, .contiguous = true};
    mni_copy(team, &scalar, x);
}
