/*
 * tensor/conv.c: convolution as products of matrices. A slab holds what a few lines of y see of x,
 * one row for each channel and element of the kernel; weights times slab give those lines. With a
 * vertical stride of 1 the elements of a kernel's column see the same lines, shifted: then a slab
 * has them once and there is one product for each.
 */
#include "tensor/conv_plan.h"

#include <string.h>

typedef struct conv_job {
    const mni_conv_sizes *s;
    mni_conv_plan plan;
    mni_conv_role role;
    bool turned;      /* X as the Y of a kernel turned round */
    char *x, *w, *y;  /* w: packed; of W, each of the sums */
    const char *bias; /* or NULL */
    char *slabs;      /* one for each thread */
    mni_slots slots;
} conv_job;

/* What one slab is for: lines from line on of plane `plane` of y, columns from `column` on. */
typedef struct conv_block {
    int64_t n, g, plane, line, lines, column, columns;
    int64_t row, rows;
    int64_t stored; /* lines of the slab */
    char *w, *slab;
} conv_block;

/* ---- between x and slabs ---- */

/* Of the positions first, first + step, ... (n of them) those inside [0, size): [*begin, *end). */
static void inside(int64_t first, int64_t step, int64_t size, int64_t n, int64_t *begin,
                   int64_t *end)
{
    const int64_t room = size - first; /* a division takes as long as half a line */
    *end = room > 0 ? least(n, step == 1 ? room : divide_up(room, step)) : 0;
    *begin = first < 0 ? least(*end, step == 1 ? -first : divide_up(-first, step)) : 0;
}

/* Where lines of x are as long as those of the slab, a row of the slab is x moved on by some columns: one
 * copy, but for the columns that come from another line. */
#define SLAB_FN(T)                                                                                 \
    static void move_lines_##T(T *to, const T *from, int64_t lines, int64_t n, int64_t c0,         \
                               int64_t c1)                                                         \
    {                                                                                              \
        memcpy(to + c0, from, (size_t)((lines - 1) * n + c1 - c0) * sizeof *to);                   \
        for (int64_t j = 0; j < c0; j++)                                                           \
            for (int64_t l = 0; l < lines; l++) to[l * n + j] = 0;                                 \
        for (int64_t j = c1; j < n; j++)                                                           \
            for (int64_t l = 0; l < lines; l++) to[l * n + j] = 0;                                 \
    }                                                                                              \
                                                                                                   \
    /* The slab <- what it holds of plane `depth` of x; or, `add`, that plane += slab. */          \
    static void move_##T(const conv_job *job, const conv_block *b, int64_t depth, bool add)        \
    {                                                                                              \
        const mni_conv_sizes *s = job->s;                                                          \
        const int64_t *in = s->in, *stride = s->stride, high = s->kernel[1] / job->plan.taps;      \
        const int64_t channel = b->n * s->groups * s->ins + b->g * s->ins;                         \
        T *plane = (T *)(void *)job->x + (channel * in[0] + depth) * in[1] * in[2];                \
        int64_t k2 = b->row % s->kernel[2], k1 = b->row / s->kernel[2] % high;                     \
        int64_t c = b->row / s->kernel[2] / high;                                                  \
        for (int64_t i = 0; i < b->rows; i++, k2++) {                                              \
            if (k2 == s->kernel[2]) k1++, k2 = 0;                                                  \
            if (k1 == high) c++, k1 = 0;                                                           \
            const int64_t y0 = b->line * stride[1] + k1 * s->dilation[1] - s->padding[1];          \
            const int64_t x0 = b->column * stride[2] + k2 * s->dilation[2] - s->padding[2];        \
            T *to = (T *)(void *)b->slab + i * b->stored * b->columns;                             \
            T *from = plane + c * in[0] * in[1] * in[2];                                           \
            int64_t l0, l1, c0, c1;                                                                \
            inside(y0, stride[1], in[1], b->stored, &l0, &l1);                                     \
            inside(x0, stride[2], in[2], b->columns, &c0, &c1);                                    \
            if (c0 >= c1) l1 = l0 = 0;                                                             \
            if (!add && l0 > 0) memset(to, 0, (size_t)(l0 * b->columns) * sizeof *to);             \
            if (!add && l1 < b->stored)                                                            \
                memset(to + l1 * b->columns, 0,                                                    \
                       (size_t)((b->stored - l1) * b->columns) * sizeof *to);                      \
            T *line = to + l0 * b->columns, *at = from + (y0 + l0 * stride[1]) * in[2] + x0;       \
            if (l0 < l1 && !add && b->columns == in[2] && stride[1] == 1 && stride[2] == 1) {      \
                move_lines_##T(line, at + c0, l1 - l0, in[2], c0, c1);                             \
                continue;                                                                          \
            }                                                                                      \
            for (int64_t l = l0; l < l1; l++, line += b->columns, at += stride[1] * in[2]) {       \
                if (!add && c1 - c0 < b->columns)                                                  \
                    memset(line, 0, (size_t)b->columns * sizeof *line);                            \
                if (add && stride[2] == 1)                                                         \
                    for (int64_t j = c0; j < c1; j++) at[j] += line[j];                            \
                else if (add)                                                                      \
                    for (int64_t j = c0; j < c1; j++) at[j * stride[2]] += line[j];                \
                else if (stride[2] == 1)                                                           \
                    memcpy(line + c0, at + c0, (size_t)(c1 - c0) * sizeof *to);                    \
                else                                                                               \
                    for (int64_t j = c0; j < c1; j++) line[j] = at[j * stride[2]];                 \
            }                                                                                      \
        }                                                                                          \
    }

SLAB_FN(float)
SLAB_FN(double)

static void move(const conv_job *job, const conv_block *b, int64_t depth, bool add)
{
    (job->s->dtype == MN_F32 ? move_float : move_double)(job, b, depth, add);
}

/* to [rows, n], rows `step` apart, <- the bias of each row, from bias `first` on. */
#define START_FN(T)                                                                                \
    static void start_##T(const conv_job *job, char *to, int64_t rows, int64_t n, int64_t step,    \
                          int64_t first)                                                           \
    {                                                                                              \
        const T *bias = (const T *)(const void *)job->bias;                                        \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            T *row = (T *)(void *)to + i * step;                                                   \
            const T value = bias ? bias[first + i] : 0;                                            \
            for (int64_t j = 0; j < n; j++) row[j] = value;                                        \
        }                                                                                          \
    }

START_FN(float)
START_FN(double)

static void start(const conv_job *job, char *to, int64_t rows, int64_t n, int64_t step,
                  int64_t first)
{
    (job->s->dtype == MN_F32 ? start_float : start_double)(job, to, rows, n, step, first);
}

/* ---- one slab ---- */

/* The first element of y that a block has. */
static char *block_of_y(const conv_job *job, const conv_block *b)
{
    const mni_conv_sizes *s = job->s;
    const int64_t channel = (b->n * s->groups + b->g) * s->outs,
                  line = b->plane * s->out[1] + b->line;
    const int64_t at = channel * volume(s->out) + line * s->out[2] + b->column;
    return job->y + at * (int64_t)mn_dtype_size(s->dtype);
}

/* The products of slab, weights and y, one for each tap, for element k of the kernel's depth. With
 * W [outs, rows], S [rows, n], Y [outs, n]: Y += W S, S += W^T Y, or W^T += S Y^T. */
static void multiply(const conv_job *job, const conv_block *b, char *y, int64_t k, bool first)
{
    const mni_conv_sizes *s = job->s;
    const int64_t size = (int64_t)mn_dtype_size(s->dtype), row = b->stored * b->columns;
    const int64_t n = b->lines * b->columns, plane = volume(s->out), rows = job->plan.rows;
    const bool add = job->role == MNI_CONV_W || job->plan.taps > 1;
    const mni_matrix across = job->plan.across
                                  ? (mni_matrix){b->slab + job->plan.slab * size, s->outs, 1}
                                  : (mni_matrix){y, 1, plane};
    char *w = b->w + (k * job->plan.taps * s->groups + b->g) * s->outs * rows * size;
    if (job->role == MNI_CONV_Y) {
        const char *bias = job->bias && first ? job->bias + b->g * s->outs * size : NULL;
        mni_sum_of_products(NULL, s->dtype,
                            &(mni_product){.m = s->outs,
                                           .n = n,
                                           .k = rows,
                                           .a = w,
                                           .b = b->slab,
                                           .c = y,
                                           .bias = bias,
                                           .sa = {rows, 1},
                                           .sb = {row, 1},
                                           .sbias = {1, 0},
                                           .sc = {plane, 1},
                                           .accumulate = !first,
                                           .taps = job->plan.taps,
                                           .step_a = s->groups * s->outs * rows,
                                           .step_b = s->dilation[1] * b->columns});
        return;
    }
    for (int64_t tap = 0; tap < job->plan.taps; tap++) {
        char *slab = b->slab + tap * s->dilation[1] * b->columns * size;
        if (job->role == MNI_CONV_X)
            mni_gemm(NULL, s->dtype, b->rows, n, s->outs, (mni_matrix){w + b->row * size, 1, rows},
                     (mni_matrix){y, plane, 1}, slab, row, NULL, add);
        else
            mni_gemm(NULL, s->dtype, b->rows, s->outs, n, (mni_matrix){slab, row, 1}, across,
                     w + b->row * s->outs * size, s->outs, NULL, add);
        w += s->groups * s->outs * rows * size;
    }
}

static void run_block(const conv_job *job, conv_block *b)
{
    const mni_conv_sizes *s = job->s;
    char *y = block_of_y(job, b);
    b->stored = b->lines + extra_lines(s, &job->plan);
    if (job->plan.across)
        mni_kernels()->turn[s->dtype](s->outs, b->lines * b->columns, y, volume(s->out),
                                      b->slab + job->plan.slab * (int64_t)mn_dtype_size(s->dtype),
                                      s->outs);
    bool first = true;
    for (int64_t k = 0; k < s->kernel[0]; k++) {
        const int64_t depth = b->plane * s->stride[0] + k * s->dilation[0] - s->padding[0];
        if (depth < 0 || depth >= s->in[0]) continue;
        if (job->role != MNI_CONV_X)
            move(job, b, depth, false);
        else if (job->plan.taps > 1)
            memset(b->slab, 0,
                   (size_t)(b->rows * b->stored * b->columns) * mn_dtype_size(s->dtype));
        multiply(job, b, y, k, first);
        first = false;
        if (job->role == MNI_CONV_X) move(job, b, depth, true);
    }
    if (job->role == MNI_CONV_Y && first) /* sees nothing of x */
        start(job, y, s->outs, b->lines * b->columns, volume(s->out), b->g * s->outs);
}

/* The blocks of y, in one plane after the other. */
static int64_t block_count(const conv_job *job)
{
    const int64_t *out = job->s->out;
    return out[0] * divide_up(out[1], job->plan.lines) * divide_up(out[2], job->plan.columns);
}

static void run_blocks(const conv_job *job, conv_block *b, int64_t begin, int64_t end)
{
    const int64_t *out = job->s->out;
    const int64_t across = divide_up(out[2], job->plan.columns);
    const int64_t down = divide_up(out[1], job->plan.lines);
    for (int64_t i = begin; i < end; i++) {
        b->plane = i / across / down;
        b->line = i / across % down * job->plan.lines;
        b->column = i % across * job->plan.columns;
        b->lines = least(job->plan.lines, out[1] - b->line);
        b->columns = least(job->plan.columns, out[2] - b->column);
        run_block(job, b);
    }
}

/* ---- items: what one thread does with one slab ---- */

/* One block of y. */
static void item_of_y(const conv_job *job, conv_block *b, int64_t item)
{
    const int64_t blocks = block_count(job);
    b->rows = job->plan.rows;
    b->g = item / blocks % job->s->groups;
    b->n = item / blocks / job->s->groups;
    run_blocks(job, b, item % blocks, item % blocks + 1);
}

/* Some channels of x in one sample; some rows of w from some samples. */
static void item_of_x_or_w(const conv_job *job, conv_block *b, int64_t item)
{
    const mni_conv_sizes *s = job->s;
    const int64_t parts = divide_up(job->plan.rows, job->plan.part), volume_in = volume(s->in);
    const int64_t height = s->kernel[1] / job->plan.taps * s->kernel[2]; /* rows of a channel */
    b->row = item % parts * job->plan.part;
    b->rows = least(job->plan.part, job->plan.rows - b->row);
    b->g = item / parts % s->groups;
    const int64_t k = item / parts / s->groups; /* which sample, or which sum */
    if (job->role == MNI_CONV_X) {
        b->n = k;
        const int64_t channel = b->g * s->ins + b->row / height;
        const int64_t at = (b->n * s->groups * s->ins + channel) * volume_in;
        start(job, job->x + at * (int64_t)mn_dtype_size(s->dtype), b->rows / height, volume_in,
              volume_in, channel);
        run_blocks(job, b, 0, block_count(job));
    } else {
        b->w += k * weight_count(s) * (int64_t)mn_dtype_size(s->dtype);
        const int64_t end = s->batch * (k + 1) / job->plan.sums;
        for (b->n = s->batch * k / job->plan.sums; b->n < end; b->n++)
            run_blocks(job, b, 0, block_count(job));
    }
}

static void run_item(void *arg, int64_t item)
{
    conv_job *job = arg;
    const int slot = mni_take_slot(&job->slots);
    const int64_t room = job->plan.slab + job->plan.across;
    conv_block b = {.w = job->w,
                    .slab = job->slabs + slot * room * (int64_t)mn_dtype_size(job->s->dtype)};
    (job->role == MNI_CONV_Y ? item_of_y : item_of_x_or_w)(job, &b, item);
    mni_give_slot(&job->slots, slot);
}

/* ---- the whole ---- */

static mn_tensor header(const mni_conv_sizes *s, const int64_t *shape, const int64_t *strides,
                        void *data)
{
    mn_tensor x = {.data = data};
    mni_set_shape(&x, s->dtype, 7, shape, strides);
    return x;
}

/* w <-> packed: [kernel depth, taps, groups, outs, rows], or outs last when they are the result. */
static void pack(mni_team *team, const conv_job *job, char *w)
{
    const mni_conv_sizes *s = job->s;
    const int64_t *k = s->kernel, taps = job->plan.taps, height = k[1] / taps, size = volume(k);
    const int64_t one = (job->turned ? s->outs : s->ins) * size; /* elements for one of w's outs */
    const int64_t of_in = job->turned ? one : size, of_out = job->turned ? size : one;
    const int64_t group = (job->turned ? s->ins : s->outs) * one, step = job->turned ? -1 : 1;
    mn_tensor plain, packed;
    if (job->role == MNI_CONV_W) {
        const int64_t shape[] = {k[0], taps, s->groups, s->ins, height, k[2], s->outs};
        const int64_t strides[] = {k[1] * k[2], k[2], group, of_in, k[2], 1, of_out};
        plain = header(s, shape, strides, w);
        packed = header(s, shape, NULL, job->w);
        mni_copy(team, &packed, &plain);
    } else {
        const int64_t shape[] = {k[0], taps, s->groups, s->outs, s->ins, height, k[2]};
        const int64_t strides[] = {step * k[1] * k[2], step * k[2], group, of_out, of_in,
                                   step * k[2],        step};
        if (job->turned) w += (size - 1) * (int64_t)mn_dtype_size(s->dtype);
        plain = header(s, shape, strides, w);
        packed = header(s, shape, NULL, job->w);
        mni_copy(team, &plain, &packed);
    }
}

/* The first of the sums += the others. */
static void add_sums(mni_team *team, const conv_job *job)
{
    const int64_t weights = weight_count(job->s), size = (int64_t)mn_dtype_size(job->s->dtype);
    const int64_t shape[] = {1, 1, 1, 1, 1, 1, weights};
    mn_tensor first = header(job->s, shape, NULL, job->w);
    for (int64_t i = 1; i < job->plan.sums; i++) {
        const mn_tensor next = header(job->s, shape, NULL, job->w + i * weights * size);
        mni_map2(team, mni_kernels()->add, &first, &next, &first, NULL);
    }
}

static int64_t scratch_for(const mni_team *team, const mni_conv_sizes *s, mni_conv_role role)
{
    const mni_conv_plan p = mni_conv_plan_for(s, role);
    return p.sums * weight_count(s) + mni_slots_for(team) * (p.slab + p.across);
}

int64_t mni_conv_scratch(const mni_team *team, const mni_conv_sizes *s, mni_conv_role role)
{
    const int64_t fast = mni_winograd_scratch(team, s, role);
    if (fast >= 0) return fast;
    const int64_t direct = mni_direct_scratch(team, s, role);
    if (direct >= 0) return direct;
    mni_conv_sizes t;
    return mni_conv_turn(s, role, &t) ? scratch_for(team, &t, MNI_CONV_Y)
                                      : scratch_for(team, s, role);
}

static void run(mni_team *team, conv_job *job, char *w, void *scratch)
{
    const mni_conv_sizes *s = job->s;
    job->plan = mni_conv_plan_for(s, job->role);
    job->w = scratch;
    const int64_t size = (int64_t)mn_dtype_size(s->dtype), weights = weight_count(s);
    const int64_t parts = divide_up(job->plan.rows, job->plan.part);
    int64_t items = s->groups * parts * job->plan.sums;
    job->slabs = job->w + job->plan.sums * weights * size;
    job->slots.n = mni_slots_for(team);
    if (job->role == MNI_CONV_X) items *= s->batch;
    if (job->role == MNI_CONV_Y) items = s->batch * s->groups * block_count(job);
    if (job->role == MNI_CONV_W)
        memset(scratch, 0, (size_t)(job->plan.sums * weights * size));
    else
        pack(team, job, w);
    if (s->batch * volume(s->out) * weights <= MNI_CONV_SERIAL) team = NULL;
    mni_team_run(team, items, run_item, job);
    if (job->role == MNI_CONV_W) {
        add_sums(team, job);
        pack(team, job, w);
    }
}

void mni_conv(mni_team *team, const mni_conv_sizes *s, mni_conv_role role,
              const mn_tensor *const of[3], const mn_tensor *bias, void *scratch)
{
    if (mni_winograd(team, s, role, of, bias, scratch)) return;
    if (mni_direct_conv(team, s, role, of, bias, scratch)) return;
    mni_conv_sizes t;
    const bool turned = mni_conv_turn(s, role, &t);
    conv_job job = {.s = turned ? &t : s,
                    .role = turned ? MNI_CONV_Y : role,
                    .turned = turned,
                    .x = of[turned ? MNI_CONV_Y : MNI_CONV_X]->data,
                    .y = of[turned ? MNI_CONV_X : MNI_CONV_Y]->data,
                    .bias = bias ? bias->data : NULL};
    run(team, &job, of[MNI_CONV_W]->data, scratch);
}
