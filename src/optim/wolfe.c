/*
 * optim/wolfe.c: a line search for the strong Wolfe conditions, with PyTorch's constants.
 */
#include "optim/lbfgs.h"
#include <math.h>

static const double DECREASE = 1e-4, CURVATURE = 0.9, SHORTEST = 1e-9;

/* Where the cubic through two points has its minimum, within the bounds; their middle when it has
 * none. */
static double cubic(mni_point a, mni_point b, double low, double high)
{
    const double d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t);
    const double square = d1 * d1 - a.slope * b.slope;
    if (!(square >= 0)) return (low + high) / 2;
    if (a.t > b.t) {
        const mni_point c = a;
        a = b;
        b = c;
    }
    const double d2 = sqrt(square);
    const double t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2));
    return fmin(fmax(t, low), high);
}

typedef struct bracket {
    mni_point end[2];
    int low; /* which end has the smaller loss */
} bracket;

static bracket between(mni_point a, mni_point b)
{
    return (bracket){{a, b}, a.f <= b.f ? 0 : 1};
}

/* A point inside the bracket. One that is too close to an end, and was before or lies on it, gives
 * way to one that is a tenth of the bracket away. */
static double inside(const bracket *b, bool *close)
{
    const double low = fmin(b->end[0].t, b->end[1].t), high = fmax(b->end[0].t, b->end[1].t);
    const double margin = 0.1 * (high - low);
    double t = cubic(b->end[0], b->end[1], low, high);
    if (fmin(high - t, t - low) >= margin) {
        *close = false;
    } else if (*close || t >= high || t <= low) {
        t = fabs(t - high) < fabs(t - low) ? high - margin : low + margin;
        *close = false;
    } else {
        *close = true;
    }
    return t;
}

static bool low_enough(mni_point now, mni_point start)
{
    return !(now.f > start.f + DECREASE * now.t * start.slope);
}

static bool flat_enough(mni_point now, mni_point start)
{
    return fabs(now.slope) <= -CURVATURE * start.slope;
}

mni_point mni_wolfe(mni_problem *p, const void *x, const void *d, mni_point start, double t,
                    int most)
{
    const double length = mni_abs_max(p->dtype, p->n, d);
    mni_point before = start, now = mni_problem_at(p, x, d, t, start.g, NULL, NULL);
    bracket b = between(start, now);
    bool close = false;
    int tries = 0;
    for (; tries < most && !mn_tape_error(p->t); tries++) { /* until a bracket holds a solution */
        b = between(before, now);
        if (!low_enough(now, start) || (tries > 1 && now.f >= before.f)) break;
        if (flat_enough(now, start)) return now;
        if (now.slope >= 0) break;
        t = cubic(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10);
        before = now;
        now = mni_problem_at(p, x, d, t, start.g, before.g, NULL);
    }
    if (tries == most) b = between(start, now);
    while (tries < most && !mn_tape_error(p->t)) { /* until it is small or has one at its low end */
        mni_point *low = &b.end[b.low], *high = &b.end[!b.low];
        if (fabs(high->t - low->t) * length < SHORTEST) break;
        t = inside(&b, &close);
        now = mni_problem_at(p, x, d, t, low->g, high->g, NULL);
        tries++;
        if (!low_enough(now, start) || now.f >= low->f) {
            *high = now;
            b.low = b.end[0].f <= b.end[1].f ? 0 : 1;
            continue;
        }
        if (flat_enough(now, start)) return now;
        if (now.slope * (high->t - low->t) >= 0) *high = *low;
        *low = now;
    }
    return b.end[b.low];
}
