/*
 * optim/step.c: what is done to all parameters at once: the step, clipping, forgetting gradients. A
 * step first checks and allocates for every parameter, then changes them, so that it is done whole
 * or not at all.
 */
#include "autograd/tape.h"
#include "nn/module.h"
#include "optim/optim.h"
#include "tensor/compute.h"
#include <math.h>
#include <string.h>

enum {
    GRAIN = 32 * MNI_OPTIM_BLOCK,     /* elements worth a thread */
    SUM_CHUNK = 16 * MNI_OPTIM_BLOCK, /* elements of one partial sum of squares */
    SUM_CHUNKS = 64                   /* partial sums at a time */
};

void mni_axpby(mn_dtype dtype, int64_t n, double alpha, const void *a, double beta, const void *b,
               void *out)
{
    mni_kernels()->axpby[dtype](n, a, 1, b, 1, out, 1, (double[2]){alpha, beta});
}

/* ---- blocks: n consecutive elements in row-major order, wherever the strides put them ---- */

typedef union block {
    float f32[MNI_OPTIM_BLOCK];
    double f64[MNI_OPTIM_BLOCK];
} block;

static char *address(const mn_tensor *x, int64_t element)
{
    int64_t offset = 0;
    for (int d = x->ndim - 1; d >= 0; d--) {
        offset += element % x->shape[d] * x->strides[d];
        element /= x->shape[d];
    }
    return x->data + offset * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
}

/* Copies between the elements from `at` on and a block; parameters are seldom not contiguous. */
static void gather(const mn_tensor *x, int64_t at, int64_t n, block *b)
{
    size_t size = mn_dtype_size((mn_dtype)x->dtype);
    for (int64_t i = 0; i < n; i++) memcpy((char *)b + (size_t)i * size, address(x, at + i), size);
}

static void scatter(mn_tensor *x, int64_t at, int64_t n, const block *b)
{
    size_t size = mn_dtype_size((mn_dtype)x->dtype);
    for (int64_t i = 0; i < n; i++)
        memcpy(address(x, at + i), (const char *)b + (size_t)i * size, size);
}

static void *contiguous_at(const mn_tensor *x, int64_t at)
{
    return x->data + at * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
}

/* The elements themselves where they are adjacent, else a copy in b. */
static const void *read_block(const mn_tensor *x, int64_t at, int64_t n, block *b)
{
    if (x->contiguous) return contiguous_at(x, at);
    gather(x, at, n, b);
    return b;
}

/* ---- the step ---- */

/* Whether a step changes the parameter. */
static mn_tensor *usable_grad(const mn_tensor *p)
{
    return p->requires_grad ? mn_tensor_grad(p) : NULL;
}

/* The tape on which o may act now; else NULL, with the error set. A backward pass that failed
 * leaves gradients that are neither the old nor the new. */
static bool ready(const char *who, const mn_optim *o, mn_tape *t)
{
    if (!t) {
        mni_pass_null(who, "the tape");
        return false;
    }
    if (!o) mni_tape_adopt(t, "the optimizer");
    if (mn_tape_error(t)) return false;
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            const mn_tensor *p = o->groups[g].slots[i].parameter;
            if (!p->leaf || !p->leaf->broken) continue;
            char shape[200];
            mn_tape_fail(t, MN_ERR_STATE,
                         "%s: the gradient of parameter %d of group %d (%s) is incomplete since a "
                         "backward pass failed; call mn_optim_zero_grad first",
                         who, i, g, mni_shape_text(shape, sizeof shape, p->ndim, p->shape));
            return false;
        }
    return true;
}

static bool make_states(mni_slot *s, int n)
{
    const mn_tensor *p = s->parameter;
    for (int k = 0; k < n; k++) {
        if (s->state[k]) continue;
        s->state[k] = mn_tensor_zeros((mn_dtype)p->dtype, p->ndim, p->shape);
        if (!s->state[k]) return false;
    }
    return true;
}

typedef struct job {
    const mn_optim *optim;
    const mni_group *group;
    const mni_slot *slot;
    const mn_tensor *grad;
} job;

static void update_range(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    mn_tensor *p = j->slot->parameter;
    block p_copy, g_copy;
    mni_update u = {.options = j->group->options,
                    .lr = j->group->lr,
                    .step = j->slot->steps,
                    .dtype = (mn_dtype)p->dtype};
    for (int64_t at = begin; at < end; at += u.n) {
        u.n = end - at < MNI_OPTIM_BLOCK ? end - at : MNI_OPTIM_BLOCK;
        u.g = read_block(j->grad, at, u.n, &g_copy);
        u.p = p->contiguous ? contiguous_at(p, at) : &p_copy;
        for (int k = 0; k < j->group->states; k++)
            u.state[k] = contiguous_at(j->slot->state[k], at);
        if (!p->contiguous) gather(p, at, u.n, &p_copy);
        j->optim->cls->update(&u);
        if (!p->contiguous) scatter(p, at, u.n, &p_copy);
    }
}

mn_error mn_optim_step(mn_optim *o, mn_tape *t)
{
    if (!ready("mn_optim_step", o, t)) return mn_tape_error(t);
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            mni_slot *s = &o->groups[g].slots[i];
            if (!usable_grad(s->parameter) || make_states(s, o->groups[g].states)) continue;
            mni_tape_adopt(t, "memory");
            return mn_tape_error(t);
        }
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            mni_slot *s = &o->groups[g].slots[i];
            job j = {o, &o->groups[g], s, usable_grad(s->parameter)};
            if (!j.grad) continue;
            s->steps++;
            mni_team_range(mni_tape_team(t), s->parameter->numel, GRAIN, update_range, &j);
            mni_touch(s->parameter, o->cls->name);
        }
    return MN_OK;
}

void mn_optim_zero_grad(mn_optim *o)
{
    for (int g = 0; o && g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++)
            mn_tensor_zero_grad(o->groups[g].slots[i].parameter);
}

/* ---- clipping ---- */

typedef struct squares {
    const mn_tensor *x;
    int64_t begin;
    double partial[SUM_CHUNKS];
} squares;

static double block_squares(mn_dtype dtype, int64_t n, const void *data)
{
    double sum[8] = {0};
    int64_t i = 0;
    if (dtype == MN_F64) {
        const double *x = data;
        for (; i + 8 <= n; i += 8)
            for (int k = 0; k < 8; k++) sum[k] += x[i + k] * x[i + k];
        for (; i < n; i++) sum[0] += x[i] * x[i];
    } else {
        const float *x = data;
        for (; i + 8 <= n; i += 8)
            for (int k = 0; k < 8; k++) sum[k] += (double)x[i + k] * (double)x[i + k];
        for (; i < n; i++) sum[0] += (double)x[i] * (double)x[i];
    }
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void square_chunk(void *arg, int64_t chunk)
{
    squares *s = arg;
    block copy;
    int64_t begin = s->begin + chunk * SUM_CHUNK, end = begin + SUM_CHUNK;
    double sum = 0;
    if (end > s->x->numel) end = s->x->numel;
    for (int64_t at = begin; at < end; at += MNI_OPTIM_BLOCK) {
        int64_t n = end - at < MNI_OPTIM_BLOCK ? end - at : MNI_OPTIM_BLOCK;
        sum += block_squares((mn_dtype)s->x->dtype, n, read_block(s->x, at, n, &copy));
    }
    s->partial[chunk] = sum;
}

static double sum_of_squares(mni_team *team, const mn_tensor *x)
{
    squares s = {.x = x};
    double sum = 0;
    for (; s.begin < x->numel; s.begin += SUM_CHUNKS * SUM_CHUNK) {
        int64_t left = (x->numel - s.begin + SUM_CHUNK - 1) / SUM_CHUNK;
        int64_t chunks = left < SUM_CHUNKS ? left : SUM_CHUNKS;
        mni_team_run(team, chunks, square_chunk, &s);
        for (int64_t c = 0; c < chunks; c++) sum += s.partial[c];
    }
    return sum;
}

double mn_optim_clip_grad_norm(mn_optim *o, mn_tape *t, double max_norm)
{
    static const char who[] = "mn_optim_clip_grad_norm";
    if (!ready(who, o, t)) return (double)NAN;
    if (!(max_norm >= 0)) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: max_norm %g is not a number >= 0", who, max_norm);
        return (double)NAN;
    }
    double sum = 0;
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            const mn_tensor *grad = usable_grad(o->groups[g].slots[i].parameter);
            if (grad) sum += sum_of_squares(mni_tape_team(t), grad);
        }
    double norm = sqrt(sum);
    if (!(norm > max_norm)) return norm;
    double factor[2] = {max_norm / (norm + 1e-6)};
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            mn_tensor *grad = usable_grad(o->groups[g].slots[i].parameter);
            if (!grad) continue;
            mni_map1(mni_tape_team(t), mni_kernels()->mul_scalar, grad, grad, factor);
            mni_touch(grad, "clip_grad_norm");
        }
    return norm;
}
