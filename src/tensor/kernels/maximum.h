/*
 * tensor/kernels/maximum.h: COUNT maxima over windows of 2 x 2 side by side; included by pool_isa.c, which
 * defines T, an integer WHOLE of its size, SOME and the lists of lanes. (No include guard: it is included
 * once for each width.)
 */

typedef T SOME(vec) __attribute__((vector_size(SOME(COUNT) * sizeof(T))));
typedef WHOLE SOME(lanes) __attribute__((vector_size(SOME(COUNT) * sizeof(T))));
typedef int64_t SOME(places) __attribute__((vector_size(SOME(COUNT) * 8)));

/* The larger ones of v and *most, a NaN being larger than all; where that is v, *from <- place. */
MNI_INLINE void SOME(take)(SOME(vec) v, WHOLE place, SOME(vec) * most, SOME(lanes) * from)
{
    const SOME(lanes) larger = (v > *most) | (v != v);
    *most = (SOME(vec))(((SOME(lanes))v & larger) | ((SOME(lanes)) * most & ~larger));
    *from = (((SOME(lanes)){0} + place) & larger) | (*from & ~larger);
}

MNI_INLINE void SOME(max)(const T *x, int64_t width, T *y, int64_t *index, int64_t at)
{
    SOME(vec) a, b, c, d;
    memcpy(&a, x, sizeof a);
    memcpy(&b, x + SOME(COUNT), sizeof b);
    memcpy(&c, x + width, sizeof c);
    memcpy(&d, x + width + SOME(COUNT), sizeof d);
    SOME(vec) most = MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), a, b, EVEN);
    SOME(lanes) from = {0};
    SOME(take)(MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), a, b, ODD), 1, &most, &from);
    SOME(take)(MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), c, d, EVEN), (WHOLE)width, &most, &from);
    SOME(take)
    (MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), c, d, ODD), (WHOLE)(width + 1), &most, &from);
    memcpy(y, &most, sizeof most);
    from += (SOME(lanes)){STEPS};
    const SOME(places) places = __builtin_convertvector(from, SOME(places)) + at;
    memcpy(index, &places, sizeof places);
}

#undef SOME
#undef T
#undef WHOLE
#undef EVEN
#undef ODD
#undef STEPS
