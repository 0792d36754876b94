/*
 * autograd/ops/resample.c: linear maps along one dimension in which every result comes of a few
 * neighbours: sums and means of windows, interpolation. Two of them, one after the other, make an
 * image's; a map and its transpose are each other's gradient. And pixels that become channels.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* ---- the map ---- */

/* Where a result comes from: weights times n elements from `first` on, of which those outside are
 * the outermost one; over divisor. */
typedef struct taps {
    int64_t first, n;
    bool windows;     /* all weights are 1 */
    double weight[4]; /* else */
    double divisor;
} taps;

/* The position in x of result i, at the centre of its pixel or between the corners. */
static double position(const mni_along *m, int64_t i)
{
    return m->align_corners ? m->scale * (double)i : m->scale * ((double)i + 0.5) - 0.5;
}

static taps window(const mni_along *m, int64_t i)
{
    int64_t begin = i * m->stride - m->padding, end = begin + m->kernel;
    if (m->kind == MNI_ALONG_ADAPTIVE) {
        begin = i * m->in / m->out;
        end = ((i + 1) * m->in + m->out - 1) / m->out;
    }
    if (end > m->in + m->padding) end = m->in + m->padding;
    const int64_t first = begin > 0 ? begin : 0, last = end < m->in ? end : m->in;
    const int64_t count = m->exclude_pad ? last - first : end - begin;
    return (taps){
        .windows = true, .first = first, .n = last - first, .divisor = m->sum ? 1 : (double)count};
}

/* In float whatever the dtype, as PyTorch has it: where the quotient is whole, rounding decides. */
static taps nearest(const mni_along *m, int64_t i)
{
    int64_t at = (int64_t)floorf((float)i * (float)m->scale);
    if (m->out == m->in) at = i;
    if (m->out == 2 * m->in) at = i / 2;
    return (taps){.first = at, .n = 1, .weight = {1}, .divisor = 1};
}

static taps linear(const mni_along *m, int64_t i)
{
    const double at = m->out == m->in ? (double)i : fmax(position(m, i), 0), whole = floor(at);
    return (taps){
        .first = (int64_t)whole, .n = 2, .weight = {1 - (at - whole), at - whole}, .divisor = 1};
}

/* R. Keys, Cubic convolution interpolation for digital image processing (1981): a = -3/4. */
static taps cubic(const mni_along *m, int64_t i)
{
    const double a = -0.75, at = position(m, i), whole = floor(at), t = at - whole;
    taps y = {.first = (int64_t)whole - 1, .n = 4, .divisor = 1};
    for (int k = 0; k < 4; k++) {
        const double d = fabs(t + 1 - k); /* from the element */
        y.weight[k] =
            d < 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
    return y;
}

static taps taps_of(const mni_along *m, int64_t i)
{
    switch (m->kind) {
    case MNI_ALONG_NEAREST:
        return nearest(m, i);
    case MNI_ALONG_LINEAR:
        return linear(m, i);
    case MNI_ALONG_CUBIC:
        return cubic(m, i);
    case MNI_ALONG_WINDOWS:
    case MNI_ALONG_ADAPTIVE:
        break;
    }
    return window(m, i);
}

typedef struct along_job {
    const mni_along *a;
    const taps *table; /* of each result */
    char *x, *y;
    mn_dtype dtype;
    int64_t inner; /* elements of a position */
    bool transposed;
} along_job;

/* The weight of tap k, and where it is in a slice of x. */
static double weight_of(const taps *p, int64_t k)
{
    return p->windows ? 1 : p->weight[k];
}

static int64_t place_of(const along_job *job, const taps *p, int64_t k)
{
    const int64_t at = p->first + k, last = job->a->in - 1;
    return (at < 0 ? 0 : at < last ? at : last) * job->inner;
}

/* y <- the map of x; or, transposed, x += what y gives back. Windows are summed from 0 on; what is
 * interpolated begins with -0, which changes nothing. Positions of one element are a loop less. */
#define SLICE_FN(T)                                                                                \
    static void map_##T(const along_job *job, const taps *p, const T *x, T *y)                     \
    {                                                                                              \
        const T divisor = (T)p->divisor, begin = p->windows ? (T)0 : -(T)0;                        \
        if (job->inner == 1) {                                                                     \
            T sum = begin;                                                                         \
            for (int64_t k = 0; k < p->n; k++) sum += (T)weight_of(p, k) * x[place_of(job, p, k)]; \
            y[0] = sum / divisor;                                                                  \
            return;                                                                                \
        }                                                                                          \
        for (int64_t e = 0; e < job->inner; e++) y[e] = begin;                                     \
        for (int64_t k = 0; k < p->n; k++) {                                                       \
            const T weight = (T)weight_of(p, k), *from = x + place_of(job, p, k);                  \
            for (int64_t e = 0; e < job->inner; e++) y[e] += weight * from[e];                     \
        }                                                                                          \
        for (int64_t e = 0; divisor != 1 && e < job->inner; e++) y[e] /= divisor;                  \
    }                                                                                              \
                                                                                                   \
    static void spread_##T(const along_job *job, const taps *p, T *x, const T *y)                  \
    {                                                                                              \
        const T divisor = (T)p->divisor;                                                           \
        for (int64_t k = 0; k < p->n; k++) {                                                       \
            const T weight = (T)weight_of(p, k);                                                   \
            T *to = x + place_of(job, p, k);                                                       \
            if (job->inner == 1)                                                                   \
                to[0] += weight * y[0] / divisor;                                                  \
            else                                                                                   \
                for (int64_t e = 0; e < job->inner; e++) to[e] += weight * y[e] / divisor;         \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void slice_##T(const along_job *job, int64_t slice)                                     \
    {                                                                                              \
        T *x = (T *)(void *)job->x + slice * job->a->in * job->inner;                              \
        T *y = (T *)(void *)job->y + slice * job->a->out * job->inner;                             \
        for (int64_t i = 0; i < job->a->out; i++, y += job->inner)                                 \
            if (job->transposed)                                                                   \
                spread_##T(job, &job->table[i], x, y);                                             \
            else                                                                                   \
                map_##T(job, &job->table[i], x, y);                                                \
    }

SLICE_FN(float)
SLICE_FN(double)

static void slices(void *arg, int64_t begin, int64_t end)
{
    const along_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        (job->dtype == MN_F32 ? slice_float : slice_double)(job, i);
}

enum { GRAIN = 16384 };

/* x, of the map's size `in`, and y, of `out`; which of them is the result says `transposed`. */
static void run_along(mn_tape *t, const mni_along *a, mn_tensor *x, mn_tensor *y, bool transposed)
{
    const int64_t bytes = a->out * (int64_t)sizeof(taps);
    mn_tensor *table = mni_tape_tensor(t, MN_U8, 1, &bytes);
    if (!x || !y || !table) return;
    taps *rows = (taps *)(void *)table->data;
    for (int64_t i = 0; i < a->out; i++) rows[i] = taps_of(a, i);
    along_job job = {.a = a,
                     .table = rows,
                     .x = x->data,
                     .y = y->data,
                     .dtype = (mn_dtype)x->dtype,
                     .inner = 1,
                     .transposed = transposed};
    for (int d = a->dim + 1; d < x->ndim; d++) job.inner *= x->shape[d];
    if (y->numel == 0) return;
    const int64_t slice = job.inner * (a->in + a->out);
    mni_team_range(mni_tape_team(t), y->numel / a->out / job.inner, GRAIN / slice + 1, slices,
                   &job);
}

static mn_tensor *spread(mn_tape *t, mn_tensor *g, const mni_along *a);

void mni_resample_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = spread(t, gy[0], mn_saved_data(n));
}

static void spread_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    static const mn_op resample_op = {.name = "resample", .backward = mni_resample_backward};
    gx[0] = mni_resample(t, &resample_op, gy[0], mn_saved_data(n));
}
static const mn_op spread_op = {.name = "spread", .backward = spread_backward};

/* Either direction, as an op. */
static mn_tensor *along(mn_tape *t, const mn_op *op, mn_tensor *x, const mni_along *a,
                        bool transposed)
{
    if (!mni_begin(t, op, &x, 1)) return NULL;
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++) shape[d] = x->shape[d];
    shape[a->dim] = transposed ? a->in : a->out;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, shape), *dense = mni_dense(t, x);
    if (y && transposed) mni_fill(mni_tape_team(t), y, 0);
    run_along(t, a, transposed ? y : dense, transposed ? dense : y, transposed);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save_data(n, a, sizeof *a);
    return mn_op_end(t, y);
}

mn_tensor *mni_resample(mn_tape *t, const mn_op *op, mn_tensor *x, const mni_along *a)
{
    return along(t, op, x, a, false);
}

static mn_tensor *spread(mn_tape *t, mn_tensor *g, const mni_along *a)
{
    return along(t, &spread_op, g, a, true);
}

/* ---- interpolate ---- */

static const mn_op interpolate_op = {.name = "interpolate", .backward = mni_resample_backward};

/* The map of dimension d of the image, by the options. */
static bool interpolation(mn_tape *t, const mn_interpolate_opts *o, const mn_tensor *x, int d,
                          mni_along *a)
{
    const mni_along_kind kinds[] = {MNI_ALONG_NEAREST, MNI_ALONG_LINEAR, MNI_ALONG_LINEAR,
                                    MNI_ALONG_CUBIC};
    char text[MNI_TEXT];
    a->kind = kinds[o->mode];
    a->dim = d + 2;
    a->in = x->shape[a->dim];
    a->out = o->size[d];
    a->align_corners = o->align_corners;
    if (o->scale[d] != 0) a->out = (int64_t)fmax(fmin((double)a->in * o->scale[d], 0x1p31), -1);
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    if ((o->size[d] != 0) == (o->scale[d] != 0))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "dimension %d of %s: size %lld and scale %g, one of them is needed",
                            a->dim, text, (long long)o->size[d], o->scale[d]);
    if (a->in < 1 || a->out < 1 || a->in > INT32_MAX || a->out > INT32_MAX)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "dimension %d of %s: a size of %lld comes of it",
                            a->dim, text, (long long)a->out);
    a->scale = o->scale[d] != 0 ? 1 / o->scale[d] : (double)a->in / (double)a->out;
    if (a->align_corners) a->scale = a->out > 1 ? (double)(a->in - 1) / (double)(a->out - 1) : 0;
    return true;
}

mn_tensor *mn_interpolate(mn_tape *t, mn_tensor *x, const mn_interpolate_opts *opts)
{
    if (!mni_begin(t, &interpolate_op, &x, 1) || !mni_require_float(t, x)) return NULL;
    const mn_interpolate_opts o = opts ? *opts : (mn_interpolate_opts){0};
    const char *names[] = {"nearest", "linear", "bilinear", "bicubic"};
    char text[MNI_TEXT];
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    const int dims = x->ndim - 2;
    if ((unsigned)o.mode > MN_INTERPOLATE_BICUBIC)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d is not a mode", (int)o.mode);
    const bool fits = o.mode == MN_INTERPOLATE_NEAREST  ? dims == 1 || dims == 2
                      : o.mode == MN_INTERPOLATE_LINEAR ? dims == 1
                                                        : dims == 2;
    if (!fits)
        return mn_tape_fail(t, MN_ERR_SHAPE, "mode %s does not take x of shape %s", names[o.mode],
                            text);
    if (o.align_corners && o.mode == MN_INTERPOLATE_NEAREST)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "mode nearest does not align corners");
    mni_along maps[2] = {{0}};
    for (int d = 0; d < dims; d++)
        if (!interpolation(t, &o, x, d, &maps[d])) return NULL;
    for (int d = 0; d < dims; d++) x = mni_resample(t, &interpolate_op, x, &maps[d]);
    return x;
}

/* ---- pixels and channels ---- */

static const mn_op pixel_shuffle_op = {.name = "pixel_shuffle"};
static const mn_op pixel_unshuffle_op = {.name = "pixel_unshuffle"};

/* x seen with six dimensions, these moved, and the result seen with its shape: only the last three
 * dimensions are other than x's. */
static mn_tensor *rearranged(mn_tape *t, mn_tensor *x, const int64_t *six, const int *order,
                             const int64_t *last)
{
    int64_t shape[MN_MAX_DIMS];
    const int ndim = x->ndim;
    for (int d = 0; d < ndim; d++) shape[d] = d < ndim - 3 ? x->shape[d] : last[d - (ndim - 3)];
    return mn_reshape(t, mn_permute(t, mn_reshape(t, x, 6, six), order), ndim, shape);
}

static bool pixels_fit(mn_tape *t, const mn_op *op, mn_tensor *x, int64_t r)
{
    char text[MNI_TEXT];
    if (!mni_begin(t, op, &x, 1)) return false;
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    const bool apart = op == &pixel_unshuffle_op, small = r >= 1 && r <= INT16_MAX;
    const int64_t *s = x->shape + (x->ndim >= 3 ? x->ndim - 3 : 0);
    if (small && x->ndim >= 3 && (apart ? s[1] % r == 0 && s[2] % r == 0 : s[0] % (r * r) == 0))
        return true;
    mn_tape_fail(t, MN_ERR_SHAPE,
                 apart ? "%s with r = %lld: [..., C, H r, W r] is needed"
                       : "%s with r = %lld: [..., C r r, H, W] is needed",
                 text, (long long)r);
    return false;
}

mn_tensor *mn_pixel_shuffle(mn_tape *t, mn_tensor *x, int64_t r)
{
    if (!pixels_fit(t, &pixel_shuffle_op, x, r)) return NULL;
    const int64_t *s = x->shape + x->ndim - 3, c = s[0] / (r * r);
    int64_t n = 1;
    for (int d = 0; d < x->ndim - 3; d++) n *= x->shape[d];
    return rearranged(t, x, (int64_t[]){n, c, r, r, s[1], s[2]}, (int[]){0, 1, 4, 2, 5, 3},
                      (int64_t[]){c, s[1] * r, s[2] * r});
}

mn_tensor *mn_pixel_unshuffle(mn_tape *t, mn_tensor *x, int64_t r)
{
    if (!pixels_fit(t, &pixel_unshuffle_op, x, r)) return NULL;
    const int64_t *s = x->shape + x->ndim - 3, h = s[1] / r, w = s[2] / r;
    int64_t n = 1;
    for (int d = 0; d < x->ndim - 3; d++) n *= x->shape[d];
    return rearranged(t, x, (int64_t[]){n, s[0], h, r, w, r}, (int[]){0, 1, 3, 5, 2, 4},
                      (int64_t[]){s[0] * r * r, h, w});
}
