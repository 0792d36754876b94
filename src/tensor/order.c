/*
 * tensor/order.c: where along a dimension something is, and sorting. NaN is the largest of all, -0 and
 * 0 are equal. Sorting is by radix, one byte of a key after another: stable, without recursion, in a
 * time that grows with n alone.
 */
#include "tensor/compute.h"
#include "tensor/loop.h"

#include <string.h>

/* ---- where something is ---- */

/* Ranges looked through side by side, where their elements lie closer than those of one range. */
enum { SIDE_BY_SIDE = 256 };

/* value: what to look for, replaced by what is found (of -0 and 0 the first one, of NaNs the first). */
#define FIRST_FN(id, type)                                                                         \
    static void first_##id(int64_t rows, int64_t n, const void *xv, int64_t row, int64_t step,     \
                           void *valuev, int64_t *restrict index)                                  \
    {                                                                                              \
        const type *x = xv;                                                                        \
        type *value = valuev;                                                                      \
        for (int64_t r = 0; r < rows && (row >= step || rows == 1); r++) {                         \
            const type *v = x + r * row;                                                           \
            int64_t i = 0;                                                                         \
            while (v[i * step] != value[r] && v[i * step] == v[i * step]) i++;                     \
            index[r] = i;                                                                          \
        }                                                                                          \
        for (int64_t b = 0; b < rows && row < step && rows > 1; b += SIDE_BY_SIDE) {               \
            const int64_t end = rows - b < SIDE_BY_SIDE ? rows : b + SIDE_BY_SIDE;                 \
            for (int64_t i = n - 1; i >= 0; i--)                                                   \
                for (int64_t r = b; r < end; r++) {                                                \
                    const type v = x[r * row + i * step];                                          \
                    index[r] = ((v == value[r]) | (v != v)) ? i : index[r];                        \
                }                                                                                  \
        }                                                                                          \
        for (int64_t r = 0; r < rows; r++) value[r] = x[r * row + index[r] * step];                \
    }

FIRST_FN(f32, float)
FIRST_FN(f64, double)
FIRST_FN(i64, int64_t)
FIRST_FN(u8, uint8_t) /* and bool, a byte of 0 or 1 */

/* The ranges along one dimension. */
typedef struct along_job {
    mni_loop others; /* operands: x, value, index */
    char *data[MNI_OPERANDS];
    mn_dtype dtype;
    int64_t n, step; /* of a range: elements, and their distance in x */
    /* sorting: */
    int64_t k, k_step; /* elements wanted, and their distance in value and index */
    uint64_t flip;     /* turns the order of the keys round */
    struct pair *scratch;
    int64_t room;  /* of each of the two buffers that a chunk of ranges has there */
    int64_t grain; /* ranges of a chunk */
} along_job;

static along_job along(const mn_tensor *x, int dim, int64_t k, mn_tensor *value, mn_tensor *index)
{
    const int64_t size = (int64_t)mn_dtype_size((mn_dtype)x->dtype);
    along_job job = {.dtype = (mn_dtype)x->dtype, .n = x->shape[dim], .step = x->strides[dim]};
    job.others.operands = 3;
    job.others.size[0] = job.others.size[1] = size;
    job.others.size[2] = sizeof(int64_t);
    job.data[0] = x->data;
    job.data[1] = value ? value->data : NULL;
    job.data[2] = index->data;
    int64_t strides[MN_MAX_DIMS] = {0}, whole = 1;
    for (int d = x->ndim - 1; d >= 0; d--) {
        strides[d] = whole;
        whole *= d == dim ? k : x->shape[d];
    }
    job.k = k;
    job.k_step = strides[dim];
    for (int d = 0; d < x->ndim; d++)
        if (d != dim)
            mni_loop_add(&job.others, x->shape[d],
                         (int64_t[]){x->strides[d], strides[d], strides[d]});
    mni_loop_collapse(&job.others, false);
    return job;
}

static void first_run(void *arg, int64_t n, char *const *data, const int64_t *stride)
{
    static void (*const first[])(int64_t, int64_t, const void *, int64_t, int64_t, void *,
                                 int64_t *) = {first_f32, first_f64, first_i64, first_u8, first_u8};
    const along_job *job = arg;
    first[job->dtype](n, job->n, data[0], stride[0], job->step, data[1],
                      (int64_t *)(void *)data[2]);
}

static void first_range(void *arg, int64_t begin, int64_t end)
{
    along_job *job = arg;
    mni_loop_range(&job->others, begin, end, job->data, first_run, job);
}

void mni_first(mni_team *team, const mn_tensor *x, int dim, mn_tensor *value, mn_tensor *index)
{
    along_job job = along(x, dim, 1, value, index);
    const int64_t grain = MNI_GRAIN / job.n;
    if (x->numel <= MNI_SERIAL)
        first_range(&job, 0, job.others.n);
    else
        mni_team_range(team, job.others.n, grain > 1 ? grain : 1, first_range, &job);
}

/* ---- sorting ---- */

/* An element to be sorted and its position in the range. */
typedef struct pair {
    uint64_t key;
    int64_t at;
} pair;

/* Keys: unsigned numbers in the order of the elements. */

static uint64_t key_f32(float v)
{
    const float w = v + 0.0f; /* -0 becomes 0 */
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    return v != v ? UINT32_MAX : bits ^ (bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31);
}

static uint64_t key_f64(double v)
{
    const double w = v + 0.0;
    uint64_t bits;
    memcpy(&bits, &w, sizeof bits);
    return v != v ? UINT64_MAX : bits ^ (bits >> 63 ? UINT64_MAX : UINT64_C(1) << 63);
}

static uint64_t key_i64(int64_t v)
{
    return (uint64_t)v ^ UINT64_C(1) << 63;
}

static uint64_t key_u8(uint8_t v)
{
    return v;
}

enum { INSERTION = 48 /* fewer pairs are sorted by insertion */, CHUNKS = 16, LEAST_ROOM = 16 };

/* The n pairs of a in ascending order, in a or in b. Keys differ in their lowest `bytes` only. */
static pair *sorted(int64_t n, int bytes, pair *a, pair *b)
{
    for (int64_t i = 1; i < n && n <= INSERTION; i++) {
        const pair p = a[i];
        int64_t j = i;
        for (; j > 0 && a[j - 1].key > p.key; j--) a[j] = a[j - 1];
        a[j] = p;
    }
    for (int shift = 0; shift < 8 * bytes && n > INSERTION; shift += 8) {
        int64_t place[256] = {0}, before = 0;
        for (int64_t i = 0; i < n; i++) place[a[i].key >> shift & 255]++;
        if (place[a[0].key >> shift & 255] == n) continue;
        for (int v = 0; v < 256; v++) {
            const int64_t count = place[v];
            place[v] = before;
            before += count;
        }
        for (int64_t i = 0; i < n; i++) b[place[a[i].key >> shift & 255]++] = a[i];
        pair *const from = a;
        a = b;
        b = from;
    }
    return a;
}

/* Whenever a is full its first k stay, and from then on only what comes before the last of them is
 * taken: a pass over n elements and a few small sorts. With k = n that is one sort. */
#define SORT_FN(id, type)                                                                          \
    static void sort_##id(const along_job *job, const void *xv, void *valuev, int64_t *index,      \
                          pair *a, pair *b)                                                        \
    {                                                                                              \
        const type *x = xv;                                                                        \
        type *value = valuev;                                                                      \
        const int64_t n = job->n, step = job->step;                                                \
        int64_t held = 0;                                                                          \
        uint64_t limit = 0;                                                                        \
        bool limited = false;                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const uint64_t key = key_##id(x[i * step]) ^ job->flip;                                \
            if (limited && key >= limit) continue;                                                 \
            a[held++] = (pair){key, i};                                                            \
            if (held < job->room || i + 1 == n) continue;                                          \
            pair *const s = sorted(held, sizeof(type), a, b);                                      \
            b = s == a ? b : a;                                                                    \
            a = s;                                                                                 \
            held = job->k;                                                                         \
            limit = a[held - 1].key;                                                               \
            limited = true;                                                                        \
        }                                                                                          \
        a = sorted(held, sizeof(type), a, b);                                                      \
        for (int64_t i = 0; i < job->k; i++) {                                                     \
            index[i * job->k_step] = a[i].at;                                                      \
            if (value) value[i * job->k_step] = x[a[i].at * step];                                 \
        }                                                                                          \
    }

SORT_FN(f32, float)
SORT_FN(f64, double)
SORT_FN(i64, int64_t)
SORT_FN(u8, uint8_t)

static void sort_range(void *arg, int64_t begin, int64_t end)
{
    static void (*const sort[])(const along_job *, const void *, void *, int64_t *, pair *,
                                pair *) = {sort_f32, sort_f64, sort_i64, sort_u8, sort_u8};
    const along_job *job = arg;
    pair *a = job->scratch + 2 * job->room * (begin / job->grain);
    for (int64_t i = begin; i < end; i++) {
        const char *x = job->data[0] + mni_loop_offset(&job->others, 0, i);
        char *value = job->data[1] ? job->data[1] + mni_loop_offset(&job->others, 1, i) : NULL;
        char *index = job->data[2] + mni_loop_offset(&job->others, 2, i);
        sort[job->dtype](job, x, value, (int64_t *)(void *)index, a, a + job->room);
    }
}

/* Pairs of a buffer; ranges in a chunk and, returned, chunks. */
static int64_t sort_plan(const mn_tensor *x, int dim, int64_t k, int64_t *room, int64_t *grain)
{
    const int64_t n = x->shape[dim], rows = n > 0 ? x->numel / n : 0;
    *room = 2 * k > LEAST_ROOM ? 2 * k : LEAST_ROOM;
    if (*room > n) *room = n;
    *grain = x->numel <= MNI_SERIAL ? rows : (rows - 1) / CHUNKS + 1;
    return rows > 0 ? (rows - 1) / *grain + 1 : 0;
}

int64_t mni_sort_scratch(const mn_tensor *x, int dim, int64_t k)
{
    int64_t room, grain;
    return sort_plan(x, dim, k, &room, &grain) * 2 * room * (int64_t)sizeof(pair);
}

void mni_sort(mni_team *team, const mn_tensor *x, int dim, int64_t k, bool descending,
              mn_tensor *scratch, mn_tensor *value, mn_tensor *index)
{
    if (x->numel == 0 || k == 0) return;
    along_job job = along(x, dim, k, value, index);
    job.flip = descending ? UINT64_MAX : 0;
    job.scratch = (pair *)(void *)scratch->data;
    sort_plan(x, dim, k, &job.room, &job.grain);
    mni_team_range(team, job.others.n, job.grain, sort_range, &job);
}
