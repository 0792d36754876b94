/*
 * tensor/kernels/maximum.h: COUNT maxima over windows of 2 x 2 side by side, and their gradient; included by
 * pool_isa.c, which defines T, an integer WHOLE of its size, SOME and the lists of lanes. (No include guard:
 * it is included once for each width.)
 */

typedef T SOME(vec) __attribute__((vector_size(SOME(COUNT) * sizeof(T))));
typedef WHOLE SOME(lanes) __attribute__((vector_size(SOME(COUNT) * sizeof(T))));
typedef uint8_t SOME(places) __attribute__((vector_size(SOME(COUNT))));

/* *most <- the larger ones of it and v, a NaN being larger than all; where that is v, *from <- place. */
MNI_INLINE void SOME(take)(const SOME(vec) * v, WHOLE place, SOME(vec) * most, SOME(lanes) * from)
{
    const SOME(lanes) larger = (*v > *most) | (*v != *v);
    *most = (SOME(vec))(((SOME(lanes)) * v & larger) | ((SOME(lanes)) * most & ~larger));
    *from = (((SOME(lanes)){0} + place) & larger) | (*from & ~larger);
}

/* v[0] <- the even numbers of 2 COUNT from x on, v[1] the odd ones. */
MNI_INLINE void SOME(deal)(const T *x, SOME(vec) * v)
{
    SOME(vec) a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, x + SOME(COUNT), sizeof b);
    v[0] = MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), a, b, EVEN);
    v[1] = MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), a, b, ODD);
}

MNI_INLINE void SOME(max)(const T *x, int64_t width, T *y, uint8_t *place)
{
    SOME(vec) upper[2], lower[2];
    SOME(lanes) from = {0};
    SOME(deal)(x, upper);
    SOME(deal)(x + width, lower);
    SOME(take)(&upper[1], 1, &upper[0], &from);
    SOME(take)(&lower[0], 2, &upper[0], &from);
    SOME(take)(&lower[1], 3, &upper[0], &from);
    memcpy(y, &upper[0], sizeof upper[0]);
    const SOME(places) places = __builtin_convertvector(from, SOME(places));
    memcpy(place, &places, sizeof places);
}

/* to [2 COUNT] <- the numbers of a and b in turns. */
MNI_INLINE void SOME(mix)(const SOME(lanes) * a, const SOME(lanes) * b, T *to)
{
    const SOME(lanes) low = MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), *a, *b, LOW);
    const SOME(lanes) high = MNI_SHUFFLE(WHOLE, SOME(COUNT) * sizeof(T), *a, *b, HIGH);
    memcpy(to, &low, sizeof low);
    memcpy(to + SOME(COUNT), &high, sizeof high);
}

/* The windows <- gy at their places, 0 elsewhere. */
MNI_INLINE void SOME(spread)(T *x, int64_t width, const T *gy, const uint8_t *place)
{
    SOME(places) places;
    SOME(lanes) g, part[4];
    memcpy(&places, place, sizeof places);
    memcpy(&g, gy, sizeof g);
    const SOME(lanes) from = __builtin_convertvector(places, SOME(lanes));
    for (int i = 0; i < 4; i++) part[i] = g & (from == (SOME(lanes)){0} + i);
    SOME(mix)(&part[0], &part[1], x);
    SOME(mix)(&part[2], &part[3], x + width);
}

#undef SOME
#undef T
#undef WHOLE
#undef EVEN
#undef ODD
#undef LOW
#undef HIGH
