/*
 * tensor/softmax.c: softmax and log-softmax along one dimension, and their gradients.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

typedef struct softmax_job {
    mni_loop rows;                 /* over the other dimensions; operands in the order of `data` */
    char *data[MNI_OPERANDS];      /* x, y; or y, gy, gx */
    int64_t n, step[MNI_OPERANDS]; /* elements of a row, and their distance in each operand */
    bool logarithm;
    mni_softmax_fn forward;
    mni_softmax_backward_fn backward;
} softmax_job;

static void softmax_run(void *arg, int64_t rows, char *const *data, const int64_t *stride)
{
    const softmax_job *job = arg;
    int64_t s[MNI_OPERANDS][2];
    for (int o = 0; o < job->rows.operands; o++) {
        s[o][0] = stride[o];
        s[o][1] = job->step[o];
    }
    if (job->forward)
        job->forward(rows, job->n, data[0], s[0], data[1], s[1], job->logarithm);
    else
        job->backward(rows, job->n, data[0], s[0], data[1], s[1], data[2], s[2], job->logarithm);
}

static void softmax_range(void *arg, int64_t begin, int64_t end)
{
    softmax_job *job = arg;
    mni_loop_range(&job->rows, begin, end, job->data, softmax_run, job);
}

static void along(mni_team *team, softmax_job *job, int dim, int operands,
                  const mn_tensor *const *operand)
{
    const mn_tensor *x = operand[0];
    if (x->numel == 0) return;
    job->rows.operands = operands;
    for (int o = 0; o < operands; o++) {
        job->data[o] = operand[o]->data;
        job->step[o] = x->ndim > 0 ? operand[o]->strides[dim] : 1;
        job->rows.size[o] = (int64_t)mn_dtype_size((mn_dtype)x->dtype);
    }
    job->n = x->ndim > 0 ? x->shape[dim] : 1;
    for (int d = 0; d < x->ndim; d++) {
        int64_t stride[MNI_OPERANDS];
        for (int o = 0; o < operands; o++) stride[o] = operand[o]->strides[d];
        if (d != dim) mni_loop_add(&job->rows, x->shape[d], stride);
    }
    mni_loop_collapse(&job->rows, false);
    if (x->numel <= MNI_SERIAL) {
        softmax_range(job, 0, job->rows.n);
    } else {
        int64_t grain = MNI_GRAIN / job->n;
        mni_team_range(team, job->rows.n, grain > 1 ? grain : 1, softmax_range, job);
    }
}

void mni_softmax(mni_team *team, const mn_tensor *x, int dim, bool logarithm, mn_tensor *y)
{
    softmax_job job = {.logarithm = logarithm, .forward = mni_kernels()->softmax[x->dtype]};
    along(team, &job, dim, 2, (const mn_tensor *[]){x, y});
}

void mni_softmax_backward(mni_team *team, const mn_tensor *y, const mn_tensor *gy, int dim,
                          bool logarithm, mn_tensor *gx)
{
    softmax_job job = {.logarithm = logarithm,
                       .backward = mni_kernels()->softmax_backward[y->dtype]};
    along(team, &job, dim, 3, (const mn_tensor *[]){y, gy, gx});
}
