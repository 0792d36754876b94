/*
 * tensor/winograd.c: convolution with fewer products, for kernels of 3 x 3 and 5 x 5 over many channels.
 * Tiles of x and kernels become 36 numbers each (kernels/winograd_isa.c); of each of the 36 there is one
 * product of matrices, tiles by channels; what comes out becomes tiles of y, or the kernels' gradient.
 */
#include "tensor/conv_plan.h"

#include <string.h>

/* Numbers of a tile; tiles of a block, so that its numbers stay in the L2 cache; blocks, for threads. What
 * transforms take for each number of a tile's channel and of a kernel, in multiply-adds, as measured.
 * Elements between the numbers of two points, which shall not share sets of the L1 cache; how many sums are
 * put together in the end, the elements of them all, and the fewest tiles that each takes (of more than two). */
enum { POINTS = 36, TILES = 64, BLOCKS = 4, TILE_WORK = 16, KERNEL_WORK = 30 };
enum { APART = 16, SUMS = 8, SUMS_ROOM = 1 << 20, SUM_TILES = 64 };

typedef struct winograd_plan {
    mni_conv_sizes s;      /* for X, those of the convolution with kernels turned round */
    int64_t side, tile;    /* of a kernel; of a tile of y */
    int64_t down, across;  /* tiles of an image */
    int64_t images, lines; /* of a block; lines of tiles of each */
    int64_t blocks, sums;  /* of a group; W: how many sums take them, else 1 */
    int64_t ins, outs;     /* s's, but whole vectors */
    int64_t u, v, m;       /* from one point to the next: of kernels, of x and of y */
    int64_t image;         /* elements of a block's part of an image, at most */
} winograd_plan;

typedef struct winograd_job {
    winograd_plan p;
    mni_conv_role role;
    float *x, *w, *y;
    float *bias; /* [groups, p.outs], or NULL */
    float *u, *rooms;
    mni_slots slots;
} winograd_job;

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Whether the sizes are such that it is possible at all: a plane, with 3 x 3 or 5 x 5 next to each other. */
static bool fits(const mni_conv_sizes *s)
{
    const int64_t side = s->kernel[2];
    bool fit = s->dtype == MN_F32 && s->in[0] == 1 && s->kernel[0] == 1 && s->padding[0] == 0;
    fit = fit && s->kernel[1] == side && (side == 3 || side == 5);
    for (int d = 1; d < 3; d++)
        fit = fit && s->stride[d] == 1 && s->dilation[d] == 1 && s->padding[d] < side &&
              s->in[d] + 2 * s->padding[d] == s->out[d] + side - 1;
    return fit;
}

/* Blocks of whole images, or of lines of one (at least one, however long). */
static void plan_blocks(winograd_plan *p)
{
    const int64_t image = p->down * p->across, batch = p->s.batch;
    p->images = p->blocks = 1;
    p->lines = p->down;
    if (image <= TILES) {
        const int64_t blocks = divide_up(batch, TILES / image);
        p->images = divide_up(batch, divide_up(blocks, BLOCKS) * BLOCKS);
        if (batch < BLOCKS) p->lines = divide_up(p->down, divide_up(BLOCKS, most(1, batch)));
    } else {
        p->lines = divide_up(p->down, divide_up(p->down, most(1, TILES / p->across)));
    }
    p->blocks = divide_up(batch, p->images) * divide_up(p->down, p->lines);
}

/* The plan; false unless the products and transforms take less than direct sums, at 5/6 of the peak. */
static bool plan_for(const mni_conv_sizes *s, mni_conv_role role, winograd_plan *p)
{
    if (!fits(s)) return false;
    *p = (winograd_plan){.s = *s, .side = s->kernel[2], .tile = 7 - s->kernel[2], .sums = 1};
    if (role == MNI_CONV_X) mni_conv_turned(s, &p->s);
    s = &p->s;
    p->down = divide_up(s->out[1], p->tile);
    p->across = divide_up(s->out[2], p->tile);
    p->ins = divide_up(s->ins, MNI_MOST_LANES) * MNI_MOST_LANES;
    p->outs = divide_up(s->outs, MNI_MOST_LANES) * MNI_MOST_LANES;
    const int64_t tiles = s->batch * p->down * p->across;
    const double size = (double)(s->batch * volume(s->out)), ins = (double)p->ins,
                 outs = (double)p->outs;
    const double direct = size * (double)(s->ins * s->outs * p->side * p->side);
    const double fast = (double)tiles * (ins * outs + TILE_WORK * (ins + outs));
    if (5 * POINTS * (fast + KERNEL_WORK * ins * outs) > 6 * direct) return false;
    plan_blocks(p);
    const int64_t block = p->images * p->lines * p->across;
    p->u = s->ins * p->outs + APART;
    p->v = block * p->ins + APART;
    p->m = block * p->outs + APART;
    const int64_t high = p->lines * p->tile + p->side - 1, wide = p->across * p->tile + p->side - 1;
    p->image = high * wide * most(p->ins, p->outs);
    if (role == MNI_CONV_W)
        p->sums = most(1, least(least(SUMS, SUMS_ROOM / (POINTS * p->u * s->groups)),
                                least(p->blocks, most(2, tiles / SUM_TILES))));
    return true;
}

/* ---- between tensors and tiles ---- */

/* A part of an image: lines [first, first + lines) of tiles of sample n, group g; in its block they begin
 * with number `at`. */
typedef struct winograd_part {
    int64_t n, g, first, lines, at;
} winograd_part;

/* slab [lines, columns, lanes] <- what begins at (line, -padding) of planes [channels, in], 0 outside of
 * them. flat: room for what is inside. */
static void take(const float *planes, int64_t channels, const int64_t *in, int64_t line,
                 int64_t lines, int64_t padding, int64_t columns, int64_t lanes, float *flat,
                 float *slab)
{
    const int64_t begin = most(line, 0), end = least(line + lines, in[1]), width = in[2];
    memset(slab, 0, (size_t)(lines * columns * lanes) * sizeof *slab);
    if (begin >= end) return;
    if (channels < lanes) memset(flat, 0, (size_t)((end - begin) * width * lanes) * sizeof *flat);
    mni_kernels()->turn[MN_F32](channels, (end - begin) * width, planes + begin * width,
                                in[1] * width, flat, lanes);
    const size_t some = (size_t)(least(width, columns - padding) * lanes) * sizeof *slab;
    for (int64_t l = begin; l < end; l++)
        memcpy(slab + ((l - line) * columns + padding) * lanes, flat + (l - begin) * width * lanes,
               some);
}

/* A thread's room: the numbers of x, those of y, and an image in two forms. */
static int64_t room_for(const winograd_plan *p)
{
    return POINTS * (p->v + p->m) + 2 * p->image;
}

/* Tiles of x -> room. */
static void tiles_of_x(const winograd_job *job, const winograd_part *part, float *room)
{
    const winograd_plan *p = &job->p;
    float *v = room + part->at * p->ins, *slab = room + POINTS * (p->v + p->m);
    const mni_conv_sizes *s = &p->s;
    const int64_t columns = p->across * p->tile + p->side - 1, line = columns * p->ins;
    take(job->x + (part->n * s->groups + part->g) * s->ins * volume(s->in), s->ins, s->in,
         part->first * p->tile - s->padding[1], part->lines * p->tile + p->side - 1, s->padding[2],
         columns, p->ins, slab + p->image, slab);
    for (int64_t i = 0; i < part->lines; i++)
        mni_kernels()->transforms[p->side == 5][MNI_OF_X](
            &(mni_tiles){.n = p->across,
                         .lanes = p->ins,
                         .x = slab + i * p->tile * line,
                         .sx = {p->tile * p->ins, line, p->ins},
                         .y = v + i * p->across * p->ins,
                         .sy = {p->ins, 6 * p->v, p->v}});
}

/* Tiles of y -> room; or `back`. */
static void tiles_of_y(const winograd_job *job, const winograd_part *part, float *room, bool back)
{
    const winograd_plan *p = &job->p;
    float *m = room + POINTS * p->v + part->at * p->outs, *slab = room + POINTS * (p->v + p->m);
    const mni_conv_sizes *s = &p->s;
    const int64_t columns = p->across * p->tile, line = columns * p->outs, width = s->out[2];
    const int64_t begin = part->first * p->tile, lines = part->lines * p->tile;
    const int64_t inside = least(lines, s->out[1] - begin);
    float *planes = job->y + (part->n * s->groups + part->g) * s->outs * volume(s->out);
    float *flat = slab + p->image;
    if (!back) take(planes, s->outs, s->out, begin, lines, 0, columns, p->outs, flat, slab);
    for (int64_t i = 0; i < part->lines; i++) {
        const mni_tiles of_y = {.n = p->across,
                                .lanes = p->outs,
                                .x = slab + i * p->tile * line,
                                .sx = {p->tile * p->outs, line, p->outs},
                                .y = m + i * p->across * p->outs,
                                .sy = {p->outs, 6 * p->m, p->m}};
        const mni_tiles to_y = {.n = p->across,
                                .lanes = p->outs,
                                .x = of_y.y,
                                .sx = {p->outs, 6 * p->m, p->m},
                                .bias = job->bias ? job->bias + part->g * p->outs : NULL,
                                .y = slab + i * p->tile * line,
                                .sy = {p->tile * p->outs, line, p->outs}};
        mni_kernels()->transforms[p->side == 5][back ? MNI_TO_Y : MNI_OF_Y](back ? &to_y : &of_y);
    }
    if (!back) return;
    if (columns == width)
        flat = slab;
    else
        for (int64_t l = 0; l < inside; l++)
            memcpy(flat + l * width * p->outs, slab + l * line,
                   (size_t)(width * p->outs) * sizeof *flat);
    mni_kernels()->turn[MN_F32](inside * width, s->outs, flat, p->outs, planes + begin * width,
                                volume(s->out));
}

/* ---- blocks ---- */

/* With V [tiles, ins], M [tiles, outs] and U [ins, outs] of each point: M = V U; or U += V^T M. */
static void multiply(const winograd_job *job, int64_t tiles, float *room, float *u, bool add)
{
    const winograd_plan *p = &job->p;
    float *v = room, *m = room + POINTS * p->v;
    for (int point = 0; point < POINTS; point++, v += p->v, m += p->m, u += p->u) {
        mni_product q = {.m = tiles,
                         .n = p->outs,
                         .k = p->s.ins,
                         .a = v,
                         .b = u,
                         .c = m,
                         .sa = {p->ins, 1},
                         .sb = {p->outs, 1},
                         .sc = {p->outs, 1}};
        if (job->role == MNI_CONV_W)
            q = (mni_product){.m = p->s.ins,
                              .n = p->outs,
                              .k = tiles,
                              .a = v,
                              .b = m,
                              .c = u,
                              .sa = {1, p->ins},
                              .sb = {p->outs, 1},
                              .sc = {p->outs, 1},
                              .accumulate = add};
        mni_kernels()->product[MN_F32](&q);
    }
}

static void run_block(const winograd_job *job, int64_t g, int64_t b, float *room, float *u,
                      bool add)
{
    const winograd_plan *p = &job->p;
    const int64_t parts = divide_up(p->down, p->lines), n = b / parts * p->images;
    const int64_t end = least(n + p->images, p->s.batch), w = job->role == MNI_CONV_W;
    winograd_part part = {.g = g, .first = b % parts * p->lines};
    part.lines = least(p->lines, p->down - part.first);
    const int64_t tiles = part.lines * p->across;
    for (part.n = n; part.n < end; part.n++, part.at += tiles) {
        tiles_of_x(job, &part, room);
        if (w) tiles_of_y(job, &part, room, false);
    }
    multiply(job, part.at, room, u, add);
    if (w) return;
    part.at = 0;
    for (part.n = n; part.n < end; part.n++, part.at += tiles) tiles_of_y(job, &part, room, true);
}

/* A block; or all blocks of a sum. */
static void run_item(void *arg, int64_t item)
{
    winograd_job *job = arg;
    const winograd_plan *p = &job->p;
    const int slot = mni_take_slot(&job->slots);
    float *room = job->rooms + slot * room_for(p);
    const bool w = job->role == MNI_CONV_W;
    const int64_t items = w ? p->sums : p->blocks, g = item / items, i = item % items;
    const int64_t begin = p->blocks * i / items, end = p->blocks * (i + 1) / items;
    float *u = job->u + (w ? item : g) * POINTS * p->u;
    for (int64_t b = begin; b < end; b++) run_block(job, g, b, room, u, b > begin);
    mni_give_slot(&job->slots, slot);
}

/* ---- kernels ---- */

/* Kernels of input channel c of a group -> u; or of W the sums -> kernels. */
static void run_kernels(void *arg, int64_t item)
{
    const winograd_job *job = arg;
    const winograd_plan *p = &job->p;
    const int64_t ins = p->s.ins, outs = p->s.outs, size = p->side * p->side;
    const int64_t g = item / ins, c = item % ins, lanes = MNI_MOST_LANES;
    const bool turned = job->role == MNI_CONV_X, back = job->role == MNI_CONV_W;
    const int64_t next = turned ? size : ins * size; /* output channel */
    float *w = job->w + g * ins * outs * size + c * (turned ? outs * size : size);
    float of_w[25 * MNI_MOST_LANES], of_u[POINTS * MNI_MOST_LANES];
    for (int64_t o = 0; o < outs; o += lanes, w += lanes * next) {
        const int64_t some = least(lanes, outs - o);
        float *u = job->u + g * (back ? p->sums : 1) * POINTS * p->u + c * p->outs + o;
        if (!back) {
            if (some < lanes) memset(of_w, 0, sizeof of_w);
            for (int64_t i = 0; i < some; i++)
                for (int64_t k = 0; k < size; k++)
                    of_w[k * lanes + i] = w[i * next + (turned ? size - 1 - k : k)];
            mni_kernels()->transforms[p->side == 5][MNI_OF_W](
                &(mni_tiles){.n = 1,
                             .lanes = lanes,
                             .x = of_w,
                             .sx = {0, p->side * lanes, lanes},
                             .y = u,
                             .sy = {0, 6 * p->u, p->u}});
            continue;
        }
        for (int64_t point = 0; point < POINTS; point++) {
            float *to = of_u + point * lanes;
            memcpy(to, u + point * p->u, (size_t)lanes * sizeof *to);
            for (int64_t k = 1; k < p->sums; k++)
                for (int64_t i = 0; i < lanes; i++) to[i] += u[(k * POINTS + point) * p->u + i];
        }
        mni_kernels()->transforms[p->side == 5][MNI_TO_W](
            &(mni_tiles){.n = 1,
                         .lanes = lanes,
                         .x = of_u,
                         .sx = {0, 6 * lanes, lanes},
                         .y = of_w,
                         .sy = {0, p->side * lanes, lanes}});
        for (int64_t i = 0; i < some; i++)
            for (int64_t k = 0; k < size; k++) w[i * next + k] = of_w[k * lanes + i];
    }
}

/* ---- the whole ---- */

int64_t mni_winograd_scratch(const mni_team *team, const mni_conv_sizes *s, mni_conv_role role)
{
    winograd_plan p;
    if (!plan_for(s, role, &p)) return -1;
    return p.s.groups * (p.sums * POINTS * p.u + p.outs) + mni_slots_for(team) * room_for(&p);
}

bool mni_winograd(mni_team *team, const mni_conv_sizes *s, mni_conv_role role,
                  const mn_tensor *const of[3], const mn_tensor *bias, void *scratch)
{
    winograd_job job = {.role = role, .slots = {.n = mni_slots_for(team)}};
    winograd_plan *p = &job.p;
    if (!plan_for(s, role, p)) return false;
    job.x = mni_floats(of[role == MNI_CONV_X ? MNI_CONV_Y : MNI_CONV_X]);
    job.y = mni_floats(of[role == MNI_CONV_X ? MNI_CONV_X : MNI_CONV_Y]);
    job.w = mni_floats(of[MNI_CONV_W]);
    job.u = scratch;
    job.rooms = job.u + p->s.groups * p->sums * POINTS * p->u;
    if (bias) {
        job.bias = job.rooms;
        job.rooms += p->s.groups * p->outs;
        memset(job.bias, 0, (size_t)(p->s.groups * p->outs) * sizeof *job.bias);
        for (int64_t g = 0; g < p->s.groups; g++)
            memcpy(job.bias + g * p->outs, mni_floats(bias) + g * p->s.outs,
                   (size_t)p->s.outs * sizeof *job.bias);
    }
    const bool w = role == MNI_CONV_W;
    if (!w) mni_team_run(team, p->s.groups * p->s.ins, run_kernels, &job);
    mni_team_run(team, p->s.groups * (w ? p->sums : p->blocks), run_item, &job);
    if (w) mni_team_run(team, p->s.groups * p->s.ins, run_kernels, &job);
    return true;
}
