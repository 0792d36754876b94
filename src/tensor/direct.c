/*
 * tensor/direct.c: convolution of few channels, or of each for itself, straight from x with room around
 * it (kernels/direct_isa.c); for f32 and a stride of 1.
 */
#include "tensor/conv_plan.h"

#include <string.h>

/* Elements of w for an output from which products of slabs are ahead; elements of a part of x, so that it
 * stays in the L2 cache; how many sums of w's gradient are put together in the end, and elements of them all
 * (but for one). */
enum { MOST_TAPS = 100, PART = 1 << 16, SUMS = 8, SUMS_ROOM = 1 << 20 };

typedef struct direct_job {
    mni_conv_sizes s; /* for X, those of the convolution with kernels turned round */
    mni_conv_role role;
    int64_t taps, offsets[MOST_TAPS];
    int64_t pitch, lines, blocks; /* of x; of y in a block; blocks of an image */
    int64_t sums;                 /* W: how many take the images, else 1 */
    float *x, *w, *y, *bias;
    float *weights,
        *parts; /* weights: [groups, taps, outs], or sums [groups, sums, outs, taps, lanes] */
    mni_slots slots;
} direct_job;

static int64_t extra(const mni_conv_sizes *s, int d)
{
    return (s->kernel[d] - 1) * s->dilation[d];
}

/* A part of x: its lines for a block, and what is around them. */
static int64_t part_of(const direct_job *job)
{
    return job->s.ins * (job->lines + extra(&job->s, 1)) * job->pitch;
}

static int64_t weights_of(const direct_job *job)
{
    const int64_t lanes = job->role == MNI_CONV_W ? MNI_MOST_LANES : 1;
    return job->s.outs * job->taps * lanes;
}

/* How it is cut; false where another way is better. */
static bool plan(const mni_conv_sizes *sizes, mni_conv_role role, direct_job *job)
{
    mni_conv_sizes turned;
    const mni_conv_sizes *s = role == MNI_CONV_X ? &turned : sizes;
    if (role == MNI_CONV_X) mni_conv_turned(sizes, &turned);
    bool fit = s->dtype == MN_F32 && s->in[0] == 1 && s->out[0] == 1 && s->kernel[0] == 1 &&
               s->padding[0] == 0;
    for (int d = 1; d < 3; d++) fit = fit && s->stride[d] == 1 && s->padding[d] >= 0;
    const int64_t taps = s->ins * volume(s->kernel);
    const int64_t vectors = divide_up(s->out[2], MNI_MOST_LANES) * MNI_MOST_LANES;
    if (!fit || taps > MOST_TAPS || s->out[2] < MNI_MOST_LANES || 2 * vectors > 3 * s->out[2])
        return false;
    *job = (direct_job){.s = *s, .role = role, .taps = taps, .sums = 1};
    job->pitch = s->out[2] + extra(s, 2);
    job->lines = least(s->out[1], PART / (s->ins * job->pitch) - extra(s, 1));
    if (job->lines < 1) return false;
    job->blocks = divide_up(s->out[1], job->lines);
    if (role == MNI_CONV_W) {
        const int64_t room = SUMS_ROOM / (s->groups * weights_of(job)) + 1;
        job->sums = least(least(s->batch * job->blocks, room), divide_up(SUMS, s->groups));
    }
    return job->sums > 0;
}

/* part <- what block b of sample n, group g sees of x; what is outside of x is 0 there already. */
static void take(const direct_job *job, int64_t n, int64_t g, int64_t b, float *part)
{
    const mni_conv_sizes *s = &job->s;
    const int64_t lines = job->lines + extra(s, 1), first = b * job->lines - s->padding[1];
    const int64_t begin = first < 0 ? -first : 0, end = least(lines, s->in[1] - first);
    const int64_t skip = s->padding[2], columns = least(s->in[2], job->pitch - skip);
    const float *x = job->x + (n * s->groups + g) * s->ins * volume(s->in);
    if (begin >= end || columns <= 0) return;
    for (int64_t c = 0; c < s->ins; c++)
        mni_kernels()->move_lines(end - begin, columns,
                                  x + c * volume(s->in) + (first + begin) * s->in[2], s->in[2],
                                  part + (c * lines + begin) * job->pitch + skip, job->pitch);
}

static mni_direct of_block(const direct_job *job, int64_t n, int64_t g, int64_t b,
                           const float *part)
{
    const mni_conv_sizes *s = &job->s;
    const int64_t line = b * job->lines;
    return (mni_direct){.outs = s->outs,
                        .taps = job->taps,
                        .lines = least(job->lines, s->out[1] - line),
                        .columns = s->out[2],
                        .x = part,
                        .pitch = job->pitch,
                        .offsets = job->offsets,
                        .y = job->y + (n * s->groups + g) * s->outs * volume(s->out) +
                             line * s->out[2],
                        .plane = volume(s->out)};
}

static void run_item(void *arg, int64_t item)
{
    direct_job *job = arg;
    const mni_conv_sizes *s = &job->s;
    const int slot = mni_take_slot(&job->slots);
    float *part = job->parts + slot * part_of(job);
    if (job->role != MNI_CONV_W) { /* a block */
        const int64_t b = item % job->blocks, g = item / job->blocks % s->groups;
        const int64_t n = item / job->blocks / s->groups;
        memset(part, 0, (size_t)part_of(job) * sizeof *part);
        take(job, n, g, b, part);
        mni_direct p = of_block(job, n, g, b, part);
        p.w = job->weights + g * weights_of(job);
        p.bias = job->bias ? job->bias + g * s->outs : NULL;
        mni_kernels()->direct_y(&p);
    } else { /* the blocks of some samples, or some blocks of one */
        const int64_t g = item / job->sums, i = item % job->sums, blocks = s->batch * job->blocks;
        const int64_t begin = blocks * i / job->sums, end = blocks * (i + 1) / job->sums;
        float *sums = job->weights + item * weights_of(job);
        memset(sums, 0, (size_t)weights_of(job) * sizeof *sums);
        for (int64_t k = begin; k < end; k++) {
            const int64_t n = k / job->blocks, b = k % job->blocks;
            if (k == begin || job->blocks > 1) memset(part, 0, (size_t)part_of(job) * sizeof *part);
            take(job, n, g, b, part);
            mni_direct p = of_block(job, n, g, b, part);
            p.sums = sums;
            mni_kernels()->direct_w(&p);
        }
    }
    mni_give_slot(&job->slots, slot);
}

/* The kernels -> [groups, taps, outs], turned round for X. */
static void pack(const direct_job *job)
{
    const mni_conv_sizes *s = &job->s;
    const int64_t size = volume(s->kernel);
    const bool turned = job->role == MNI_CONV_X;
    const float *w = job->w;
    for (int64_t g = 0; g < s->groups; g++, w += s->outs * job->taps)
        for (int64_t c = 0; c < s->ins; c++)
            for (int64_t k = 0; k < size; k++)
                for (int64_t o = 0; o < s->outs; o++)
                    job->weights[((g * s->ins + c) * size + k) * s->outs + o] =
                        turned ? w[(c * s->outs + o) * size + size - 1 - k]
                               : w[(o * s->ins + c) * size + k];
}

/* w's gradient <- the sums. */
static void add_up(const direct_job *job)
{
    const int64_t weights = job->s.outs * job->taps;
    for (int64_t g = 0; g < job->s.groups; g++)
        for (int64_t i = 0; i < weights; i++) {
            float all[MNI_MOST_LANES] = {0};
            for (int64_t k = 0; k < job->sums; k++)
                for (int lane = 0; lane < MNI_MOST_LANES; lane++)
                    all[lane] +=
                        job->weights[((g * job->sums + k) * weights + i) * MNI_MOST_LANES + lane];
            for (int half = MNI_MOST_LANES / 2; half > 0; half /= 2)
                for (int lane = 0; lane < half; lane++) all[lane] += all[lane + half];
            job->w[g * weights + i] = all[0];
        }
}

int64_t mni_direct_scratch(const mni_team *team, const mni_conv_sizes *s, mni_conv_role role)
{
    direct_job job;
    if (!plan(s, role, &job)) return -1;
    return job.s.groups * job.sums * weights_of(&job) + mni_slots_for(team) * part_of(&job);
}

bool mni_direct_conv(mni_team *team, const mni_conv_sizes *sizes, mni_conv_role role,
                     const mn_tensor *const of[3], const mn_tensor *bias, void *scratch)
{
    direct_job job;
    if (!plan(sizes, role, &job)) return false;
    const mni_conv_sizes *s = &job.s;
    const int64_t *k = s->kernel, high = job.lines + extra(s, 1);
    for (int64_t i = 0; i < job.taps; i++)
        job.offsets[i] = (i / volume(k) * high + i / k[2] % k[1] * s->dilation[1]) * job.pitch +
                         i % k[2] * s->dilation[2];
    job.x = mni_floats(of[role == MNI_CONV_X ? MNI_CONV_Y : MNI_CONV_X]);
    job.y = mni_floats(of[role == MNI_CONV_X ? MNI_CONV_X : MNI_CONV_Y]);
    job.w = mni_floats(of[MNI_CONV_W]);
    job.bias = bias ? mni_floats(bias) : NULL;
    job.weights = scratch;
    job.parts = job.weights + s->groups * job.sums * weights_of(&job);
    job.slots.n = mni_slots_for(team);
    const bool w = role == MNI_CONV_W;
    if (!w) pack(&job);
    if (s->batch * s->groups * volume(s->out) * s->outs * job.taps <= MNI_CONV_SERIAL) team = NULL;
    mni_team_run(team, s->groups * (w ? job.sums : s->batch * job.blocks), run_item, &job);
    if (w) add_up(&job);
    return true;
}
