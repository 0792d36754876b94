/*
 * tensor/conv_plan.h: how the work of a convolution is cut, by its sizes alone; and what its three ways
 * (conv.c, winograd.c, direct.c) share.
 */
#ifndef MNI_CONV_PLAN_H
#define MNI_CONV_PLAN_H

#include "tensor/compute.h"

#include <stdatomic.h>

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

/* The same by fewer products, for f32: false, and nothing is done, where that does not pay. */
bool mni_winograd(mni_team *team, const mni_conv_sizes *s, mni_conv_role role,
                  const mn_tensor *const of[3], const mn_tensor *bias, void *scratch);
int64_t mni_winograd_scratch(const mni_team *team, const mni_conv_sizes *s,
                             mni_conv_role role); /* -1: it does not */

/* The same straight from x, for f32 and few channels. */
bool mni_direct_conv(mni_team *team, const mni_conv_sizes *s, mni_conv_role role,
                     const mn_tensor *const of[3], const mn_tensor *bias, void *scratch);
int64_t mni_direct_scratch(const mni_team *team, const mni_conv_sizes *s, mni_conv_role role);

/* Multiplications that are not worth a thread. */
enum { MNI_CONV_SERIAL = 1 << 18 };

/* ---- rooms for intermediate results: as many as threads, but not more than MNI_MOST_SLOTS ---- */

enum { MNI_MOST_SLOTS = 64 };

typedef struct mni_slots {
    int n;
    _Atomic bool taken[MNI_MOST_SLOTS];
} mni_slots;

static inline int mni_slots_for(const mni_team *team)
{
    const int threads = mni_team_size(team);
    return threads < MNI_MOST_SLOTS ? threads : MNI_MOST_SLOTS;
}

/* The number of a room that no other thread uses. */
static inline int mni_take_slot(mni_slots *slots)
{
    int i = 0;
    while (atomic_exchange_explicit(&slots->taken[i], true, memory_order_acquire))
        i = (i + 1) % slots->n;
    return i;
}

static inline void mni_give_slot(mni_slots *slots, int slot)
{
    atomic_store_explicit(&slots->taken[slot], false, memory_order_release);
}

/* ---- sizes ---- */

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline float *mni_floats(const mn_tensor *x)
{
    return (float *)(void *)x->data;
}

static inline int64_t volume(const int64_t *sizes)
{
    return sizes[0] * sizes[1] * sizes[2];
}

/* *t <- the sizes of the convolution of y's gradient whose result is x's, with a stride of 1. */
static inline void mni_conv_turned(const mni_conv_sizes *s, mni_conv_sizes *t)
{
    *t = *s;
    t->ins = s->outs;
    t->outs = s->ins;
    for (int d = 0; d < 3; d++) {
        t->in[d] = s->out[d];
        t->out[d] = s->in[d];
        t->padding[d] = s->dilation[d] * (s->kernel[d] - 1) - s->padding[d];
    }
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
