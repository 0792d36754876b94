/*
 * tensor/conv_plan.c: how the work of a convolution is cut: slabs that stay in the cache, and enough
 * items for threads.
 */
#include "tensor/conv_plan.h"

/* Elements of a slab, which shall stay in the L2 cache, and the fewest columns, whatever that
 * takes; the depth of a product from which lines are shared; items that the work is cut into; elements
 * of all sums that are put together in the end, and the fewest positions of y that each takes; lines of
 * a slab from which turning pays. */
enum { SLAB = 1 << 16, LEAST_COLUMNS = 16, DEEP = 32, ITEMS = 16 };
enum { SUMS = 1 << 20, LEAST_POSITIONS = 256, LEAST_LINES = 8 };

/* How samples and rows are shared out to items: samples as long as the sums stay small, since each
 * part of the rows turns all of y round; of a part the sums shall stay in the cache, too. */
static void plan_sums(const mni_conv_sizes *s, mni_conv_plan *p)
{
    const int64_t positions = s->batch * volume(s->out);
    int64_t sums = least(least(s->batch, ITEMS), SUMS / weight_count(s));
    sums = least(sums, positions / LEAST_POSITIONS);
    if (sums < 1) sums = 1;
    p->part = divide_up(p->rows, divide_up(ITEMS, s->groups * sums));
    p->part = least(p->part, 2 * SLAB / (p->taps * s->kernel[0] * s->outs));
    if (p->part < DEEP) p->part = least(DEEP, p->rows);
    p->part = least(p->part, SLAB / LEAST_COLUMNS);
    const int64_t others = s->groups * divide_up(p->rows, p->part);
    p->sums = least(sums, divide_up(ITEMS, others));
}

mni_conv_plan mni_conv_plan_for(const mni_conv_sizes *s, mni_conv_role role)
{
    const bool shared =
        s->stride[1] == 1 && s->dilation[1] <= s->out[1] && s->ins * s->kernel[2] >= DEEP;
    mni_conv_plan p = {.taps = shared ? s->kernel[1] : 1, .sums = 1};
    const int64_t channel = s->kernel[1] / p.taps * s->kernel[2]; /* rows of one */
    p.rows = p.part = s->ins * channel;
    if (role == MNI_CONV_X) {
        const int64_t others = s->batch * s->groups;
        p.part = divide_up(s->ins, divide_up(ITEMS, others > 0 ? others : 1)) * channel;
        p.part = least(p.part, divide_up(SLAB / LEAST_COLUMNS, channel) * channel);
    } else if (role == MNI_CONV_W) {
        plan_sums(s, &p);
    }
    p.columns = s->out[2];
    p.lines = SLAB / p.part / p.columns - extra_lines(s, &p);
    if (p.lines < 1) {
        const int64_t fit = SLAB / p.part / (1 + extra_lines(s, &p));
        p.lines = 1;
        p.columns = least(p.columns, fit > LEAST_COLUMNS ? fit : LEAST_COLUMNS);
    }
    p.lines = least(p.lines, s->out[1]);
    p.slab = p.part * (p.lines + extra_lines(s, &p)) * p.columns;
    if (role == MNI_CONV_W && s->outs > 1 && p.taps * s->kernel[0] > 1)
        p.across = p.lines * p.columns * s->outs;
    return p;
}

bool mni_conv_turn(const mni_conv_sizes *s, mni_conv_role role, mni_conv_sizes *t)
{
    mni_conv_turned(s, t);
    /* not with many more channels in y than in x, of which the slabs have rows each */
    if (role != MNI_CONV_X || s->outs > 2 * s->ins || (s->outs > s->ins && s->outs > DEEP))
        return false;
    for (int d = 0; d < 3; d++)
        if (s->stride[d] != 1 || s->in[d] == 0 || t->padding[d] < 0) return false;
    return mni_conv_plan_for(t, MNI_CONV_Y).lines >= least(LEAST_LINES, t->out[1]);
}
