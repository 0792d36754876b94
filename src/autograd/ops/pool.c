/*
 * autograd/ops/pool.c: pooling. Means of windows are linear maps along the height and then the
 * width (resample.c); a maximum remembers its position, or place in a window of 2 x 2, where its gradient is put.
 */
#include "autograd/ops/ops.h"
#include <math.h>
#include <string.h>

/* ---- windows ---- */

/* Of the last two dimensions of x, [0] the height; pooling over one has a height of 1. */
typedef struct pooling {
    int dims, ndim; /* pooled, and x's */
    int64_t planes; /* that are pooled each for itself */
    bool adaptive;
    int64_t in[2], kernel[2], stride[2], padding[2], dilation[2], out[2];
} pooling;

/* What window i sees along axis a: begin, begin + step, ... before end, all inside x. */
typedef struct span {
    int64_t begin, end, step;
} span;

static span seen(const pooling *p, int a, int64_t i)
{
    if (p->adaptive)
        return (span){i * p->in[a] / p->out[a], ((i + 1) * p->in[a] + p->out[a] - 1) / p->out[a],
                      1};
    const int64_t step = p->dilation[a], start = i * p->stride[a] - p->padding[a];
    const int64_t skipped = start < 0 ? (-start + step - 1) / step : 0;
    const int64_t end = start + p->kernel[a] * step;
    return (span){start + skipped * step, end < p->in[a] ? end : p->in[a], step};
}

/* What x says: planes and sizes, none of which is 0. */
static bool image_fits(mn_tape *t, pooling *p, const mn_tensor *x, int dims)
{
    char text[MNI_TEXT];
    mni_shape_text(text, sizeof text, x->ndim, x->shape);
    if (x->ndim != dims + 1 && x->ndim != dims + 2)
        return mn_tape_fail(t, MN_ERR_SHAPE, "x %s: [N, C, %s] or [C, %s] is needed", text,
                            dims == 1 ? "L" : "H, W", dims == 1 ? "L" : "H, W");
    p->dims = dims;
    p->ndim = x->ndim;
    p->planes = 1;
    for (int d = 0; d < x->ndim - dims; d++) p->planes *= x->shape[d];
    for (int a = 0; a < 2; a++) {
        p->in[a] = a < 2 - dims ? 1 : x->shape[x->ndim - 2 + a];
        p->kernel[a] = p->stride[a] = p->dilation[a] = p->out[a] = 1;
        p->padding[a] = 0;
        if (p->in[a] < 1)
            return mn_tape_fail(t, MN_ERR_SHAPE, "x %s has no elements to pool", text);
    }
    return true;
}

/* Completes p, whose image is known, by the numbers of the options; NULL: the default for each. */
static bool windows_fit(mn_tape *t, pooling *p, const int64_t *kernel, const int64_t *stride,
                        const int64_t *padding, const int64_t *dilation, bool ceil_mode)
{
    const int first = 2 - p->dims;
    for (int i = 0, a = first; a < 2; i++, a++) {
        p->kernel[a] = kernel[i];
        p->stride[a] = stride && stride[i] ? stride[i] : kernel[i];
        p->padding[a] = padding ? padding[i] : 0;
        p->dilation[a] = dilation ? dilation[i] : 1;
    }
    const mni_kernel k = {p->in + first,      p->kernel + first,   p->stride + first,
                          p->padding + first, p->dilation + first, p->out + first};
    if (!mni_require_places(t, p->dims, &k, ceil_mode)) return false;
    for (int a = first; a < 2; a++) {
        bool sees = 2 * p->padding[a] <= p->dilation[a] * (p->kernel[a] - 1) + 1;
        if (!sees)
            return mn_tape_fail(t, MN_ERR_ARGUMENT,
                                "padding of %lld is more than half of a kernel of %lld",
                                (long long)p->padding[a], (long long)p->kernel[a]);
        for (int64_t i = 0; sees && i < p->out[a]; i++) {
            const span s = seen(p, a, i);
            sees = s.begin < s.end;
        }
        if (!sees)
            return mn_tape_fail(
                t, MN_ERR_ARGUMENT, "a kernel of %lld with dilation %lld steps over a size of %lld",
                (long long)p->kernel[a], (long long)p->dilation[a], (long long)p->in[a]);
    }
    return true;
}

static bool sizes_fit(mn_tape *t, pooling *p, const int64_t *out)
{
    p->adaptive = true;
    for (int i = 0; i < p->dims; i++) {
        if (out[i] < 1 || out[i] > INT32_MAX)
            return mn_tape_fail(t, MN_ERR_ARGUMENT, "a result of size %lld", (long long)out[i]);
        p->out[2 - p->dims + i] = out[i];
    }
    return true;
}

/* x's shape with the image of another size. */
static mn_tensor *planes_of(mn_tape *t, const pooling *p, const mn_tensor *x, const int64_t *image,
                            mn_dtype dtype)
{
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < p->ndim; d++)
        shape[d] = d < p->ndim - p->dims ? x->shape[d] : image[2 - p->ndim + d];
    return mni_tape_tensor(t, dtype, p->ndim, shape);
}

/* ---- maxima ---- */

/* What is saved besides the positions: where they lead. */
typedef struct landing {
    int64_t flat[2];       /* planes, elements of one */
    bool usual;            /* windows of 2 x 2 side by side, of which the place inside is saved */
    int64_t in[2], out[2]; /* where usual: the image before and after */
} landing;

/* index[0..n) <- positions in their plane, from the places in a line of usual windows that begins at `at`. */
static void from_places(int64_t n, const uint8_t *place, int64_t at, int64_t width, int64_t *index)
{
    for (int64_t i = 0; i < n; i++) index[i] = at + 2 * i + place[i] / 2 * width + place[i] % 2;
}

/* Saved: the positions, or places, [planes, windows]. Those of windows that overlap may be equal: sums. */
static void max_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    const landing *to = mn_saved_data(n);
    mn_tensor *index = mn_saved(n, 0);
    if (index && to->usual) {
        const mn_tensor *place = index;
        index = mni_tape_tensor(t, MN_I64, 2, place->shape);
        for (int64_t l = 0; index && l < to->flat[0] * to->out[0]; l++)
            from_places(to->out[1], (const uint8_t *)place->data + l * to->out[1],
                        2 * (l % to->out[0]) * to->in[1], to->in[1],
                        (int64_t *)(void *)index->data + l * to->out[1]);
    }
    if (!index) return;
    mn_tensor *g = mn_reshape(t, gy[0], 2, index->shape);
    gx[0] = mn_reshape(t, mni_place(t, g, index, 1, 2, to->flat, -1), ndim, shape);
}
static const mn_op max_pool1d_op = {.name = "max_pool1d", .backward = max_backward};
static void usual_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx);
static const mn_op max_pool2d_op = {
    .name = "max_pool2d", .backward = max_backward, .backward_fast = usual_backward};
static const mn_op adaptive_max_pool1d_op = {.name = "adaptive_max_pool1d",
                                             .backward = max_backward};
static const mn_op adaptive_max_pool2d_op = {.name = "adaptive_max_pool2d",
                                             .backward = max_backward};

enum { GRAIN = 16384, MANY = 4 };

typedef struct max_job {
    const pooling *p;
    const char *x;
    char *y;
    int64_t *index;
    uint8_t *place; /* where usual */
    mn_dtype dtype;
    span whole;
} max_job;

/* The windows of a line that are of one size and whole inside x, where they are many enough to be taken
 * together; step: where the first one begins. */
static span whole_windows(const pooling *p)
{
    const int64_t stride = p->stride[1], covered = (p->kernel[1] - 1) * p->dilation[1];
    const int64_t begin = (p->padding[1] + stride - 1) / stride;
    const int64_t room = p->in[1] - 1 - covered + p->padding[1];
    const int64_t end = room < 0 ? 0 : room / stride + 1;
    if (p->adaptive || end - begin < MANY) return (span){0};
    return (span){begin, end, begin * stride - p->padding[1]};
}

/* Of y and every stride-th x the larger one, a NaN being larger; x[0] stands at `at` in its plane.
 * Masks instead of choices, because with these the compiler finds vectors. */
#define TAKE_FN(T)                                                                                 \
    static inline void take_##T(const T *restrict x, T *restrict y, int64_t *restrict index,       \
                                int64_t n, int64_t stride, int64_t at)                             \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const T v = x[i * stride];                                                             \
            const int32_t larger = (v > y[i]) | (v != v); /* also a further NaN */                 \
            const int64_t mask = -larger;                                                          \
            y[i] = larger ? v : y[i];                                                              \
            index[i] = (index[i] & ~mask) | ((at + i * stride) & mask);                            \
        }                                                                                          \
    }

/* One line of y: where windows are whole, element after element of all of them, elsewhere window after
 * window. */
#define MAX_FN(T)                                                                                  \
    TAKE_FN(T)                                                                                     \
    static void window_##T(const T *x, T *y, int64_t *index, int64_t width, span lines,            \
                           span columns)                                                           \
    {                                                                                              \
        int64_t best = lines.begin * width + columns.begin;                                        \
        T max = x[best];                                                                           \
        for (int64_t h = lines.begin; h < lines.end; h += lines.step)                              \
            for (int64_t w = columns.begin; w < columns.end; w += columns.step) {                  \
                const T v = x[h * width + w];                                                      \
                const bool larger = v > max || v != v;                                             \
                max = larger ? v : max;                                                            \
                best = larger ? h * width + w : best;                                              \
            }                                                                                      \
        *y = max;                                                                                  \
        *index = best;                                                                             \
    }                                                                                              \
    static void max_##T(const max_job *job, int64_t line)                                          \
    {                                                                                              \
        const pooling *p = job->p;                                                                 \
        const int64_t width = p->in[1], step = p->stride[1];                                       \
        const T *x = (const T *)(const void *)job->x + line / p->out[0] * p->in[0] * width;        \
        T *y = (T *)(void *)job->y + line * p->out[1];                                             \
        int64_t *index = job->index + line * p->out[1];                                            \
        const span lines = seen(p, 0, line % p->out[0]), whole = job->whole;                       \
        const int64_t n = whole.end - whole.begin;                                                 \
        for (int64_t i = 0; i < whole.begin; i++)                                                  \
            window_##T(x, y + i, index + i, width, lines, seen(p, 1, i));                          \
        for (int64_t i = whole.end; i < p->out[1]; i++)                                            \
            window_##T(x, y + i, index + i, width, lines, seen(p, 1, i));                          \
        y += whole.begin;                                                                          \
        index += whole.begin;                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                          \
            index[i] = lines.begin * width + whole.step + i * step;                                \
            y[i] = x[index[i]];                                                                    \
        }                                                                                          \
        for (int64_t h = lines.begin; h < lines.end; h += lines.step)                              \
            for (int64_t k = h == lines.begin; k < p->kernel[1]; k++) { /* y has the first */      \
                const int64_t at = h * width + whole.step + k * p->dilation[1];                    \
                if (step == 2)                                                                     \
                    take_##T(x + at, y, index, n, 2, at);                                          \
                else                                                                               \
                    take_##T(x + at, y, index, n, step, at);                                       \
            }                                                                                      \
    }

MAX_FN(float)
MAX_FN(double)
MAX_FN(int64_t)
MAX_FN(uint8_t)

/* Windows of 2 x 2 side by side, all of them inside: the usual ones, which a kernel knows. */
static bool usual(const pooling *p, mn_dtype dtype)
{
    bool fits = !p->adaptive && mni_kernels()->max_2x2[dtype] && p->in[1] < INT32_MAX;
    for (int a = 0; a < 2; a++)
        fits = fits && p->kernel[a] == 2 && p->stride[a] == 2 && p->padding[a] == 0 &&
               p->dilation[a] == 1 && 2 * p->out[a] <= p->in[a];
    return fits;
}

static void usual_lines(void *arg, int64_t begin, int64_t end)
{
    const max_job *job = arg;
    const pooling *p = job->p;
    const int64_t size = (int64_t)mn_dtype_size(job->dtype), width = p->in[1];
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i % p->out[0] * 2 * width, plane = i / p->out[0] * p->in[0] * width;
        uint8_t *place = job->place + i * p->out[1];
        mni_kernels()->max_2x2[job->dtype](p->out[1], job->x + (plane + at) * size, width,
                                           job->y + i * p->out[1] * size, place);
        if (job->index) from_places(p->out[1], place, at, width, job->index + i * p->out[1]);
    }
}

static void max_lines(void *arg, int64_t begin, int64_t end)
{
    static void (*const of_type[MNI_DTYPES])(const max_job *, int64_t) = {
        [MN_F32] = max_float, [MN_F64] = max_double, [MN_I64] = max_int64_t, [MN_U8] = max_uint8_t};
    const max_job *job = arg;
    for (int64_t i = begin; i < end; i++) of_type[job->dtype](job, i);
}

/* Positions, or places, flat. */
static void save_positions(mn_tape *t, mn_node *n, mn_tensor *at, const landing *to)
{
    if (!n || !at) return;
    const int64_t planes = to->flat[0], count = planes > 0 ? at->numel / planes : 1;
    mn_save(n, mn_op_view(t, at, 2, (int64_t[]){planes, count}, NULL, 0));
    mn_save_data(n, to, sizeof *to);
}

typedef struct spread_job {
    const landing *to;
    char *x;
    const char *y;
    const uint8_t *place;
    mn_dtype dtype;
} spread_job;

static void spread_planes(void *arg, int64_t begin, int64_t end)
{
    const spread_job *job = arg;
    const int64_t *in = job->to->in, *out = job->to->out;
    const int64_t size = job->dtype == MN_F32 ? 4 : 8, width = in[1];
    for (int64_t plane = begin; plane < end; plane++) {
        char *x = job->x + plane * in[0] * width * size;
        if (2 * out[0] < in[0] || 2 * out[1] < width) memset(x, 0, (size_t)(in[0] * width * size));
        for (int64_t l = 0; l < out[0]; l++) {
            const int64_t line = (plane * out[0] + l) * out[1];
            mni_kernels()->spread_2x2[job->dtype](out[1], x + 2 * l * width * size, width,
                                                  job->y + line * size, job->place + line);
        }
    }
}

static void usual_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const landing *to = mn_saved_data(n);
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    const mn_tensor *place = to->usual ? mn_saved(n, 0) : NULL;
    if (!place) {
        max_backward(t, n, gy, gx);
        return;
    }
    const mn_tensor *g = mni_dense(t, gy[0]);
    gx[0] = mni_tape_tensor(t, (mn_dtype)gy[0]->dtype, ndim, shape);
    if (!g || !gx[0]) return;
    spread_job job = {to, gx[0]->data, g->data, (const uint8_t *)place->data, (mn_dtype)g->dtype};
    const int64_t size = to->flat[1] > 0 ? to->flat[1] : 1;
    mni_team_range(mni_tape_team(t), to->flat[0], GRAIN / size + 1, spread_planes, &job);
}

static mn_tensor *maxima(mn_tape *t, const mn_op *op, mn_tensor *x, const pooling *p,
                         mn_tensor **indices)
{
    const landing to = {.flat = {p->planes, p->in[0] * p->in[1]},
                        .usual = usual(p, (mn_dtype)x->dtype),
                        .in = {p->in[0], p->in[1]},
                        .out = {p->out[0], p->out[1]}};
    mn_tensor *dense = mni_dense(t, x), *y = planes_of(t, p, x, p->out, (mn_dtype)x->dtype);
    mn_tensor *index = NULL, *place = NULL;
    if (!to.usual || indices) index = planes_of(t, p, x, p->out, MN_I64);
    if (to.usual) place = planes_of(t, p, x, p->out, MN_U8);
    if (dense && y && (index || place)) {
        max_job job = {.p = p,
                       .x = dense->data,
                       .y = y->data,
                       .index = index ? (int64_t *)(void *)index->data : NULL,
                       .place = place ? (uint8_t *)place->data : NULL,
                       .dtype = (mn_dtype)x->dtype,
                       .whole = whole_windows(p)};
        const int64_t line = p->out[1] * p->kernel[0] * p->kernel[1];
        mni_team_range(mni_tape_team(t), p->planes * p->out[0], GRAIN / line + 1,
                       place ? usual_lines : max_lines, &job);
    }
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    save_positions(t, n, place ? place : index, &to);
    y = mn_op_end(t, y);
    if (indices && y) *indices = index;
    return y;
}

static bool begin_max(mn_tape *t, const mn_op *op, mn_tensor *x, int dims, pooling *p,
                      mn_tensor **indices)
{
    if (indices) *indices = NULL;
    if (!mni_begin(t, op, &x, 1)) return false;
    if (x->dtype == MN_BOOL)
        return mn_tape_fail(t, MN_ERR_DTYPE, "does not take %s", mn_dtype_name(MN_BOOL));
    return image_fits(t, p, x, dims);
}

static mn_tensor *max_pool(mn_tape *t, const mn_op *op, mn_tensor *x, int dims,
                           const int64_t *kernel, const mn_max_pool_opts *opts, mn_tensor **indices)
{
    const mn_max_pool_opts o = opts ? *opts : (mn_max_pool_opts){0};
    pooling p = {0};
    if (!begin_max(t, op, x, dims, &p, indices) ||
        !windows_fit(t, &p, kernel, o.stride, o.padding, o.dilation, o.ceil_mode))
        return NULL;
    return maxima(t, op, x, &p, indices);
}

mn_tensor *mn_max_pool1d(mn_tape *t, mn_tensor *x, int64_t kernel, const mn_max_pool_opts *opts,
                         mn_tensor **indices)
{
    return max_pool(t, &max_pool1d_op, x, 1, &kernel, opts, indices);
}

mn_tensor *mn_max_pool2d(mn_tape *t, mn_tensor *x, int64_t kernel_h, int64_t kernel_w,
                         const mn_max_pool_opts *opts, mn_tensor **indices)
{
    return max_pool(t, &max_pool2d_op, x, 2, (int64_t[]){kernel_h, kernel_w}, opts, indices);
}

static mn_tensor *adaptive_max(mn_tape *t, const mn_op *op, mn_tensor *x, int dims,
                               const int64_t *out, mn_tensor **indices)
{
    pooling p = {0};
    if (!begin_max(t, op, x, dims, &p, indices) || !sizes_fit(t, &p, out)) return NULL;
    return maxima(t, op, x, &p, indices);
}

mn_tensor *mn_adaptive_max_pool1d(mn_tape *t, mn_tensor *x, int64_t out, mn_tensor **indices)
{
    return adaptive_max(t, &adaptive_max_pool1d_op, x, 1, &out, indices);
}

mn_tensor *mn_adaptive_max_pool2d(mn_tape *t, mn_tensor *x, int64_t out_h, int64_t out_w,
                                  mn_tensor **indices)
{
    return adaptive_max(t, &adaptive_max_pool2d_op, x, 2, (int64_t[]){out_h, out_w}, indices);
}

/* ---- unpooling ---- */

static void unpool_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    mn_tensor *g = mn_reshape(t, gy[0], 2, mn_saved_data(n));
    gx[0] = mn_reshape(t, mni_pick(t, g, mn_saved(n, 0), 1, -1), ndim, shape);
}
static const mn_op max_unpool2d_op = {.name = "max_unpool2d", .backward = unpool_backward};

static bool indices_fit(mn_tape *t, const mn_tensor *index, int64_t size)
{
    const int64_t *places = (const int64_t *)(const void *)index->data;
    for (int64_t i = 0; i < index->numel; i++)
        if (places[i] < 0 || places[i] >= size)
            return mn_tape_fail(t, MN_ERR_ARGUMENT,
                                "indices, element %lld is %lld, a plane has %lld elements",
                                (long long)i, (long long)places[i], (long long)size);
    return true;
}

/* p.out <- the sizes of the result. */
static bool unpooled(mn_tape *t, pooling *p, const mn_max_unpool_opts *o)
{
    for (int a = 0; a < 2; a++) {
        const int64_t stride = o->stride[a] ? o->stride[a] : p->kernel[a], most = INT32_MAX;
        const bool fits = p->kernel[a] >= 1 && p->kernel[a] <= most && stride >= 1 &&
                          stride <= most && o->padding[a] >= 0 && o->padding[a] <= most;
        const int64_t usual = fits ? (p->in[a] - 1) * stride - 2 * o->padding[a] + p->kernel[a] : 0;
        p->out[a] = o->output_size[a] ? o->output_size[a] : usual;
        if (!fits || p->out[a] < 1 || p->out[a] <= usual - stride || p->out[a] >= usual + stride)
            return mn_tape_fail(t, MN_ERR_ARGUMENT,
                                "size %lld with kernel %lld, stride %lld and padding %lld does not "
                                "come from a size of %lld",
                                (long long)p->in[a], (long long)p->kernel[a], (long long)stride,
                                (long long)o->padding[a], (long long)p->out[a]);
    }
    return true;
}

mn_tensor *mn_max_unpool2d(mn_tape *t, mn_tensor *x, mn_tensor *indices, int64_t kernel_h,
                           int64_t kernel_w, const mn_max_unpool_opts *opts)
{
    const mn_max_unpool_opts o = opts ? *opts : (mn_max_unpool_opts){0};
    pooling p = {0};
    if (!mni_begin(t, &max_unpool2d_op, (mn_tensor *[]){x, indices}, 2) ||
        !mni_require_float(t, x) || !image_fits(t, &p, x, 2))
        return NULL;
    if (indices->dtype != MN_I64)
        return mn_tape_fail(t, MN_ERR_DTYPE, "indices are i64, not %s",
                            mn_dtype_name((mn_dtype)indices->dtype));
    if (!mn_tensor_same_shape(x, indices))
        return mni_shape_error(t, x, indices, "x and indices are of one shape");
    p.kernel[0] = kernel_h;
    p.kernel[1] = kernel_w;
    if (!unpooled(t, &p, &o)) return NULL;
    mn_tensor *index = mni_dense(t, indices), *from = mni_dense(t, x);
    const int64_t size = p.out[0] * p.out[1], count = p.in[0] * p.in[1];
    if (!index || !indices_fit(t, index, size)) return NULL;
    mn_tensor *y = planes_of(t, &p, x, p.out, (mn_dtype)x->dtype);
    if (y && from) {
        const mn_tensor picked = mni_look(from, 2, (int64_t[]){p.planes, count}, NULL);
        const mn_tensor places = mni_look(index, 2, (int64_t[]){p.planes, count}, NULL);
        mn_tensor flat = mni_look(y, 2, (int64_t[]){p.planes, size}, NULL);
        mni_fill(mni_tape_team(t), y, 0);
        mni_scatter(mni_tape_team(t), &picked, 1, &places, -1, false, &flat);
    }
    mn_node *n = mn_op_record(t, &max_unpool2d_op, &x, 1, &y, 1);
    save_positions(t, n, index, &(landing){.flat = {p.planes, size}});
    return mn_op_end(t, y);
}

/* ---- means ---- */

static const mn_op avg_pool1d_op = {.name = "avg_pool1d", .backward = mni_resample_backward};
static const mn_op avg_pool2d_op = {.name = "avg_pool2d", .backward = mni_resample_backward};
static const mn_op adaptive_avg_pool1d_op = {.name = "adaptive_avg_pool1d",
                                             .backward = mni_resample_backward};
static const mn_op adaptive_avg_pool2d_op = {.name = "adaptive_avg_pool2d",
                                             .backward = mni_resample_backward};

/* Along each pooled dimension; `like` says how. */
static mn_tensor *means(mn_tape *t, const mn_op *op, mn_tensor *x, const pooling *p, mni_along like)
{
    for (int a = 2 - p->dims; a < 2; a++) {
        like.dim = p->ndim - 2 + a;
        like.in = p->in[a];
        like.out = p->out[a];
        like.kernel = p->kernel[a];
        like.stride = p->stride[a];
        like.padding = p->padding[a];
        x = mni_resample(t, op, x, &like);
    }
    return x;
}

static mn_tensor *avg_pool(mn_tape *t, const mn_op *op, mn_tensor *x, int dims,
                           const int64_t *kernel, const mn_avg_pool_opts *opts)
{
    const mn_avg_pool_opts o = opts ? *opts : (mn_avg_pool_opts){0};
    pooling p = {0};
    if (!mni_begin(t, op, &x, 1) || !mni_require_float(t, x) || !image_fits(t, &p, x, dims) ||
        !windows_fit(t, &p, kernel, o.stride, o.padding, NULL, o.ceil_mode))
        return NULL;
    const mni_along like = {
        .kind = MNI_ALONG_WINDOWS, .sum = o.divisor_override != 0, .exclude_pad = o.exclude_pad};
    x = means(t, op, x, &p, like);
    return like.sum ? mn_div_scalar(t, x, (double)o.divisor_override) : x;
}

mn_tensor *mn_avg_pool1d(mn_tape *t, mn_tensor *x, int64_t kernel, const mn_avg_pool_opts *opts)
{
    return avg_pool(t, &avg_pool1d_op, x, 1, &kernel, opts);
}

mn_tensor *mn_avg_pool2d(mn_tape *t, mn_tensor *x, int64_t kernel_h, int64_t kernel_w,
                         const mn_avg_pool_opts *opts)
{
    return avg_pool(t, &avg_pool2d_op, x, 2, (int64_t[]){kernel_h, kernel_w}, opts);
}

static mn_tensor *adaptive_avg(mn_tape *t, const mn_op *op, mn_tensor *x, int dims,
                               const int64_t *out)
{
    pooling p = {0};
    if (!mni_begin(t, op, &x, 1) || !mni_require_float(t, x) || !image_fits(t, &p, x, dims) ||
        !sizes_fit(t, &p, out))
        return NULL;
    return means(t, op, x, &p, (mni_along){.kind = MNI_ALONG_ADAPTIVE});
}

mn_tensor *mn_adaptive_avg_pool1d(mn_tape *t, mn_tensor *x, int64_t out)
{
    return adaptive_avg(t, &adaptive_avg_pool1d_op, x, 1, &out);
}

mn_tensor *mn_adaptive_avg_pool2d(mn_tape *t, mn_tensor *x, int64_t out_h, int64_t out_w)
{
    return adaptive_avg(t, &adaptive_avg_pool2d_op, x, 2, (int64_t[]){out_h, out_w});
}

/* ---- power means ---- */

static const mn_op lp_pool1d_op = {.name = "lp_pool1d"};
static const mn_op lp_pool2d_op = {.name = "lp_pool2d"};

static mn_tensor *lp_pool(mn_tape *t, const mn_op *op, mn_tensor *x, int dims, double power,
                          const int64_t *kernel, const mn_lp_pool_opts *opts)
{
    const mn_lp_pool_opts o = opts ? *opts : (mn_lp_pool_opts){0};
    pooling p = {0};
    if (!mni_begin(t, op, &x, 1) || !mni_require_float(t, x) || !image_fits(t, &p, x, dims) ||
        !windows_fit(t, &p, kernel, o.stride, NULL, NULL, o.ceil_mode))
        return NULL;
    if (power == 0 || isnan(power))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no mean of power %g", power);
    if (isinf(power)) {
        const mn_op *max = dims == 1 ? &max_pool1d_op : &max_pool2d_op;
        mn_tensor *size = mn_abs(t, x);
        if (power < 0) size = mn_neg(t, size);
        const mn_max_pool_opts same = {.stride = {o.stride[0], o.stride[1]},
                                       .ceil_mode = o.ceil_mode};
        mn_tensor *y = max_pool(t, max, size, dims, kernel, &same, NULL);
        return power < 0 ? mn_neg(t, y) : y;
    }
    mn_tensor *mean = means(t, dims == 1 ? &avg_pool1d_op : &avg_pool2d_op,
                            mn_pow_scalar(t, x, power), &p, (mni_along){.kind = MNI_ALONG_WINDOWS});
    /* the mean itself, but for its gradient at 0, where the root's is infinite */
    mean = mn_mul(t, mn_sign(t, mean), mn_relu(t, mn_abs(t, mean)));
    const double count = (double)(p.kernel[0] * p.kernel[1]);
    return mn_pow_scalar(t, mn_mul_scalar(t, mean, count), 1 / power);
}

mn_tensor *mn_lp_pool1d(mn_tape *t, mn_tensor *x, double p, int64_t kernel,
                        const mn_lp_pool_opts *opts)
{
    return lp_pool(t, &lp_pool1d_op, x, 1, p, &kernel, opts);
}

mn_tensor *mn_lp_pool2d(mn_tape *t, mn_tensor *x, double p, int64_t kernel_h, int64_t kernel_w,
                        const mn_lp_pool_opts *opts)
{
    return lp_pool(t, &lp_pool2d_op, x, 2, p, (int64_t[]){kernel_h, kernel_w}, opts);
}
