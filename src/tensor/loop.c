/*
 * tensor/loop.c: collapsing and walking nested loops; see loop.h.
 */
#include "tensor/loop.h"

void mni_loop_add(mni_loop *l, int64_t size, const int64_t *strides)
{
    l->shape[l->ndim] = size;
    for (int o = 0; o < l->operands; o++) l->stride[o][l->ndim] = strides[o];
    l->ndim++;
}

static void copy_dim(mni_loop *l, int to, int from)
{
    l->shape[to] = l->shape[from];
    for (int o = 0; o < l->operands; o++) l->stride[o][to] = l->stride[o][from];
}

/* Insertion sort: the largest stride of operand 0 outermost, equal ones in their order. */
static void sort_dims(mni_loop *l)
{
    for (int i = 1; i < l->ndim; i++) {
        int64_t size = l->shape[i], stride[MNI_OPERANDS];
        for (int o = 0; o < l->operands; o++) stride[o] = l->stride[o][i];
        int j = i;
        for (; j > 0 && l->stride[0][j - 1] < stride[0]; j--) copy_dim(l, j, j - 1);
        l->shape[j] = size;
        for (int o = 0; o < l->operands; o++) l->stride[o][j] = stride[o];
    }
}

static bool adjacent(const mni_loop *l, int outer, int inner)
{
    for (int o = 0; o < l->operands; o++)
        if (l->stride[o][outer] != l->stride[o][inner] * l->shape[inner]) return false;
    return true;
}

void mni_loop_collapse(mni_loop *l, bool reorder)
{
    if (reorder) sort_dims(l);
    int kept = 0;
    l->n = 1;
    for (int d = 0; d < l->ndim; d++) {
        l->n *= l->shape[d];
        if (l->shape[d] == 1) continue;
        if (kept > 0 && adjacent(l, kept - 1, d)) {
            int64_t size = l->shape[kept - 1] * l->shape[d];
            copy_dim(l, kept - 1, d);
            l->shape[kept - 1] = size;
        } else {
            copy_dim(l, kept++, d);
        }
    }
    l->ndim = kept;
    if (kept == 0) mni_loop_add(l, 1, (const int64_t[MNI_OPERANDS]){0});
}

int64_t mni_loop_offset(const mni_loop *l, int operand, int64_t i)
{
    int64_t offset = 0;
    for (int d = l->ndim - 1; d > 0 && i > 0; d--) {
        offset += i % l->shape[d] * l->stride[operand][d];
        i /= l->shape[d];
    }
    return (offset + i * l->stride[operand][0]) * l->size[operand];
}

void mni_loop_range(const mni_loop *l, int64_t begin, int64_t end, char *const *data, mni_run_fn fn,
                    void *arg)
{
    const int last = l->ndim - 1;
    int64_t index[MN_MAX_DIMS], stride[MNI_OPERANDS];
    char *at[MNI_OPERANDS];
    for (int o = 0; o < l->operands; o++) {
        at[o] = data[o] + mni_loop_offset(l, o, begin);
        stride[o] = l->stride[o][last];
    }
    int64_t rest = begin;
    for (int d = last; d >= 0; d--) {
        index[d] = rest % l->shape[d];
        rest /= l->shape[d];
    }
    while (begin < end) {
        int64_t run = l->shape[last] - index[last];
        if (run > end - begin) run = end - begin;
        fn(arg, run, at, stride);
        begin += run;
        if (begin >= end) return;
        /* The run ended with its dimension: back to its start, one step in the next one out. */
        for (int o = 0; o < l->operands; o++) at[o] -= index[last] * stride[o] * l->size[o];
        index[last] = 0;
        for (int d = last - 1; d >= 0; d--) {
            bool wraps = ++index[d] == l->shape[d];
            for (int o = 0; o < l->operands; o++)
                at[o] += (wraps ? 1 - l->shape[d] : 1) * l->stride[o][d] * l->size[o];
            if (!wraps) break;
            index[d] = 0;
        }
    }
}

int mni_loop_longest(const mni_loop *l, int operand)
{
    int longest = -1;
    for (int d = 0; d < l->ndim; d++)
        if (l->stride[operand][d] != 0 && (longest < 0 || l->shape[d] > l->shape[longest]))
            longest = d;
    return longest;
}

typedef struct loop_job {
    const mni_loop *loop;
    int cut;
    char *const *data;
    mni_run_fn fn;
    void *arg;
} loop_job;

static void loop_piece(void *arg, int64_t begin, int64_t end)
{
    const loop_job *job = arg;
    mni_loop l = *job->loop;
    char *at[MNI_OPERANDS];
    for (int o = 0; o < l.operands; o++)
        at[o] = job->data[o] + begin * l.stride[o][job->cut] * l.size[o];
    l.n = l.n / l.shape[job->cut] * (end - begin);
    l.shape[job->cut] = end - begin;
    mni_loop_range(&l, 0, l.n, at, job->fn, job->arg);
}

void mni_loop_team(mni_team *team, const mni_loop *l, int cut, char *const *data, mni_run_fn fn,
                   void *arg)
{
    if (l->n == 0) return;
    if (cut < 0 || l->n <= MNI_SERIAL || mni_team_size(team) == 1) {
        mni_loop_range(l, 0, l->n, data, fn, arg);
        return;
    }
    loop_job job = {l, cut, data, fn, arg};
    const int64_t least = cut == l->ndim - 1 ? 64 : 1; /* runs do not become too short */
    const int64_t grain = MNI_GRAIN / (l->n / l->shape[cut]);
    mni_team_range(team, l->shape[cut], grain > least ? grain : least, loop_piece, &job);
}
