/*
 * tensor/map.c: pointwise kernels over whole tensors: broadcasting, strides, conversion, threads.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

typedef struct map_job {
    mni_loop loop; /* operands: y, a, b, c */
    char *data[MNI_OPERANDS];
    mn_dtype dtype[MNI_OPERANDS];
    bool gather; /* pays for this kernel, where operands are not adjacent */
    bool pieces; /* as they are not */
    union {      /* by the number of operands */
        mni_unary_fn unary;
        mni_binary_fn binary;
        mni_ternary_fn ternary;
    } kernel;
    const double *p;
} map_job;

static void call_kernel(const map_job *job, int64_t n, char *const *at, const int64_t *stride)
{
    if (job->loop.operands == 2)
        job->kernel.unary(n, at[1], stride[1], at[0], stride[0], job->p);
    else if (job->loop.operands == 3)
        job->kernel.binary(n, at[1], stride[1], at[2], stride[2], at[0], stride[0], job->p);
    else
        job->kernel.ternary(n, at[1], stride[1], at[2], stride[2], at[3], stride[3], at[0],
                            stride[0], job->p);
}

enum { SHORT = 8, PIECE = 512 };

/* A long run in which some operands are not adjacent: each of them goes through an array, and the
 * run is cut into pieces of that length. */
static void map_pieces(const map_job *job, int64_t n, char *const *data, const int64_t *stride)
{
    static const int64_t adjacent[MNI_OPERANDS] = {1, 1, 1, 1};
    _Alignas(64) char array[MNI_OPERANDS][PIECE * sizeof(double)];
    char *at[MNI_OPERANDS];
    for (int64_t done = 0; done < n; done += PIECE) {
        int64_t take = n - done < PIECE ? n - done : PIECE;
        for (int o = 0; o < job->loop.operands; o++) {
            at[o] = data[o] + done * stride[o] * job->loop.size[o];
            if (stride[o] == 1) continue;
            mni_unary_fn copy = mni_kernels()->copy[job->dtype[o]][job->dtype[o]];
            if (stride[o] != 0 || done == 0) copy(take, at[o], stride[o], array[o], 1, NULL);
            at[o] = array[o];
        }
        call_kernel(job, take, at, adjacent);
    }
}

static void map_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    const map_job *job = arg;
    if (job->pieces && n > SHORT)
        map_pieces(job, n, data, stride);
    else
        call_kernel(job, n, data, stride);
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

/* Whether y is adjacent over a run, but not all operands. */
static bool operands_apart(const mni_loop *l)
{
    bool apart = false;
    for (int o = 1; o < l->operands; o++) apart = apart || l->stride[o][l->ndim - 1] != 1;
    return apart && l->stride[0][l->ndim - 1] == 1;
}

/* job: its kernel, p and gather are set. */
static void map(mni_team *team, map_job *job, const mn_tensor *y, const mn_tensor *a,
                const mn_tensor *b, const mn_tensor *c)
{
    const mn_tensor *operand[MNI_OPERANDS] = {y, a, b, c};
    mni_loop *l = &job->loop;
    bool flat = y->contiguous;
    l->operands = c ? 4 : b ? 3 : 2;
    l->ndim = 0;
    for (int o = 0; o < l->operands; o++) {
        job->data[o] = operand[o]->data;
        job->dtype[o] = (mn_dtype)operand[o]->dtype;
        l->size[o] = mni_item_size(operand[o]);
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
    job->pieces = job->gather && operands_apart(l);
    if (l->n <= MNI_SERIAL)
        map_range(job, 0, l->n);
    else
        mni_team_range(team, l->n, MNI_GRAIN, map_range, job);
}

/* Whether y is one run, and short, so that a kernel may have it as it is. */
static inline bool brief(const mn_tensor *y)
{
    return y->contiguous && y->numel > 0 && y->numel <= MNI_SERIAL;
}

/* And x beside it; where one number beside many shall be gathered, not that. */
static inline bool near(const mn_tensor *x, const mn_tensor *y, bool gather)
{
    return x->numel == y->numel ? x->contiguous : x->numel == 1 && !gather;
}

static inline int64_t step(const mn_tensor *x, const mn_tensor *y)
{
    return x->numel == y->numel;
}

void mni_map1(mni_team *team, const mni_unary_fn *k, const mn_tensor *x, mn_tensor *y,
              const double *p)
{
    const bool gather = true;
    if (brief(y) && near(x, y, gather)) {
        k[x->dtype](y->numel, x->data, 1, y->data, 1, p);
        return;
    }
    map_job job; /* it is large, and all that is read of it gets set */
    job.gather = gather;
    job.kernel.unary = k[x->dtype];
    job.p = p;
    map(team, &job, y, x, NULL, NULL);
}

void mni_map2_any(mni_team *team, const mni_binary_fn *k, const mn_tensor *a, const mn_tensor *b,
                  mn_tensor *y, const double *p)
{
    const bool gather = y->dtype == MN_BOOL; /* arithmetic is cheap, and has loops for constants */
    if (brief(y) && near(a, y, gather) && near(b, y, gather)) {
        k[a->dtype](y->numel, a->data, step(a, y), b->data, step(b, y), y->data, 1, p);
        return;
    }
    map_job job;
    job.gather = gather;
    job.kernel.binary = k[a->dtype];
    job.p = p;
    map(team, &job, y, a, b, NULL);
}

void mni_map3(mni_team *team, const mni_ternary_fn *k, const mn_tensor *a, const mn_tensor *b,
              const mn_tensor *c, mn_tensor *y, const double *p)
{
    const bool gather = true;
    if (brief(y) && near(a, y, gather) && near(b, y, gather) && near(c, y, gather)) {
        k[a->dtype](y->numel, a->data, 1, b->data, 1, c->data, 1, y->data, 1, p);
        return;
    }
    map_job job;
    job.gather = gather;
    job.kernel.ternary = k[a->dtype];
    job.p = p;
    map(team, &job, y, a, b, c);
}

void mni_copy(mni_team *team, const mn_tensor *x, mn_tensor *y)
{
    const mni_unary_fn copy = mni_kernels()->copy[y->dtype][x->dtype];
    const bool gather = false; /* it is what gathers */
    if (brief(y) && near(x, y, gather)) {
        copy(y->numel, x->data, step(x, y), y->data, 1, NULL);
        return;
    }
    map_job job;
    job.gather = gather;
    job.kernel.unary = copy;
    job.p = NULL;
    map(team, &job, y, x, NULL, NULL);
}

void mni_fill(mni_team *team, mn_tensor *x, double value)
{
    mni_number n;
    mni_copy(team, mni_number_of(&n, (mn_dtype)x->dtype, value), x);
}

const mn_tensor *mni_number_of(mni_number *n, mn_dtype dtype, double value)
{
    if (dtype == MN_F32)
        n->value.f32 = (float)value;
    else if (dtype == MN_F64)
        n->value.f64 = value;
    else if (dtype == MN_I64)
        n->value.i64 = value >= 0x1p63 ? INT64_MAX : value > -0x1p63 ? (int64_t)value : INT64_MIN;
    else if (dtype == MN_U8)
        n->value.u8 = value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0;
    else
        n->value.b = value != 0;
    n->tensor = (mn_tensor){
        .data = (char *)&n->value, .numel = 1, .dtype = (int8_t)dtype, .contiguous = true};
    return &n->tensor;
}
