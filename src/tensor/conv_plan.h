/*
 * tensor/conv_plan.h: how the work of a convolution is cut, by its sizes alone.
 */
#ifndef MNI_CONV_PLAN_H
#define MNI_CONV_PLAN_H

#include "tensor/compute.h"

typedef struct mni_conv_plan {
    int64_t taps; /* products for a slab: the kernel's height when lines are shared, or 1 */
    int64_t rows; /* ins * kernel height / taps * kernel width */
    int64_t part; /* rows of an item: all (Y), those of whole channels (X), any (W) */
    int64_t sums; /* W: that each sum up some of the samples; else 1 */
    int64_t lines, columns; /* of y that a slab is for, at most */
    int64_t slab;           /* elements */
    int64_t across;         /* W: elements of y that a slab is for, if they are turned round */
} mni_conv_plan;

/* The plan for a role. */
mni_conv_plan mni_conv_plan_for(const mni_conv_sizes *s, mni_conv_role role);

/* With a stride of 1, the gradient with respect to x is the convolution *t of y's with the kernel
 * turned round. True where that is the better way to compute `role`. */
bool mni_conv_turn(const mni_conv_sizes *s, mni_conv_role role, mni_conv_sizes *t);

/* ---- sizes ---- */

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t volume(const int64_t *sizes)
{
    return sizes[0] * sizes[1] * sizes[2];
}

/* Of a slab with shared lines, those beyond what one tap sees. */
static inline int64_t extra_lines(const mni_conv_sizes *s, const mni_conv_plan *p)
{
    return (p->taps - 1) * s->dilation[1];
}

/* Elements of the weights. */
static inline int64_t weight_count(const mni_conv_sizes *s)
{
    return s->groups * s->outs * s->ins * volume(s->kernel);
}

#endif
