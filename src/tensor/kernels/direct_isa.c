/*
 * tensor/kernels/direct_isa.c: convolution in place, for one instruction set: a vector holds neighbours of
 * a line of y, and what they see of x with one element of the kernel is a vector, too, next to where they
 * are. Nothing is rearranged, which is what products take their time for when channels are few.
 */
#include "tensor/kernels/vector.h"

typedef float vec __attribute__((vector_size(VECTOR)));
typedef float loose __attribute__((vector_size(VECTOR), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(VECTOR), may_alias));

/* A tile of y has up to OUTS channels, of w's gradient TALL x WIDE elements: sums that registers hold. */
enum { LANES = VECTOR / sizeof(float), TALL = 4, THIN = 9 };
#if defined(__AVX512F__) || defined(__aarch64__)
enum { OUTS = 8, WIDE = 5 };
#define EACH_OUTS(M) M(1, 8) M(2, 4) M(3, 4) M(4, 4) M(5, 2) M(6, 2) M(7, 2) M(8, 2)
#define EACH_WIDE(M) M(4, 1) M(4, 2) M(4, 3) M(4, 4) M(4, 5)
#else
enum { OUTS = 4, WIDE = 3 };
#define EACH_OUTS(M) M(1, 8) M(2, 4) M(3, 2) M(4, 2)
#define EACH_WIDE(M) M(4, 1) M(4, 2) M(4, 3)
#endif
#define EACH_THIN(M) M(1, 1) M(1, 2) M(1, 3) M(1, 4) M(1, 5) M(1, 6) M(1, 7) M(1, 8) M(1, 9)

/* ---- y ---- */

/* Where a vector of y is, and what its first lane sees of x. */
typedef struct spot {
    int64_t x, y;
} spot;

/* `count` vectors of y of `outs` channels from o on. */
MNI_INLINE void of_y(const int outs, const int count, const mni_direct *p, int64_t o,
                     const spot *at)
{
    const float *x[8];
    vec sum[8][8];
    MNI_UNROLL
    for (int v = 0; v < count; v++) x[v] = p->x + at[v].x;
    MNI_UNROLL
    for (int i = 0; i < outs; i++) {
        const float start = p->bias ? p->bias[o + i] : 0;
        MNI_UNROLL
        for (int v = 0; v < count; v++) sum[i][v] = start - (vec){0};
    }
    const float *w = p->w + o;
    for (int64_t tap = 0; tap < p->taps; tap++, w += p->outs) {
        vec seen[8];
        MNI_UNROLL
        for (int v = 0; v < count; v++) seen[v] = *(const loose *)(x[v] + p->offsets[tap]);
        MNI_UNROLL
        for (int i = 0; i < outs; i++) {
            MNI_UNROLL
            for (int v = 0; v < count; v++) sum[i][v] += w[i] * seen[v];
        }
    }
    MNI_UNROLL
    for (int v = 0; v < count; v++) {
        MNI_UNROLL
        for (int i = 0; i < outs; i++) *(loose *)(p->y + (o + i) * p->plane + at[v].y) = sum[i][v];
    }
}

typedef void (*y_fn)(const mni_direct *p, int64_t o, const spot *at);

#define Y_FN(outs, count)                                                                          \
    static void y_##outs##_##count(const mni_direct *p, int64_t o, const spot *at)                 \
    {                                                                                              \
        of_y(outs, count, p, o, at);                                                               \
    }
#define Y_FNS(outs, count) Y_FN(outs, count) Y_FN(outs, 1)
#define Y_ENTRY(outs, count) [outs] = {y_##outs##_1, y_##outs##_##count},
#define Y_COUNT(outs, count) [outs] = count,

EACH_OUTS(Y_FNS)
static const y_fn y_fns[OUTS + 1][2] = {EACH_OUTS(Y_ENTRY)};
static const int64_t counts[OUTS + 1] = {EACH_OUTS(Y_COUNT)};

/* All channels of the vectors at some spots. */
static void all_of_y(const mni_direct *p, int64_t n, const spot *at)
{
    const int64_t blocks = (p->outs + OUTS - 1) / OUTS;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t o = p->outs * b / blocks, outs = p->outs * (b + 1) / blocks - o;
        int64_t i = 0;
        for (; i + counts[outs] <= n; i += counts[outs]) y_fns[outs][1](p, o, at + i);
        for (; i < n; i++) y_fns[outs][0](p, o, at + i);
    }
}

void MNI_FOR_ISA(mni_direct_y)(const mni_direct *p)
{
    enum { SPOTS = 64 };
    spot at[SPOTS];
    int64_t n = 0;
    for (int64_t line = 0; line < p->lines; line++)
        for (int64_t j = 0; j < p->columns; j += LANES) {
            if (j + LANES > p->columns) j = p->columns - LANES; /* some once more */
            at[n++] = (spot){line * p->pitch + j, line * p->columns + j};
            if (n < SPOTS) continue;
            all_of_y(p, n, at);
            n = 0;
        }
    all_of_y(p, n, at);
}

/* ---- the gradient of w ---- */

/* sum += a vector of y times what it sees of x, of some lanes or all: others add 0 (NaN where x is infinite). */
MNI_INLINE void add(const int outs, const int taps, const float *x, const int64_t *offsets,
                    const float *y, int64_t plane, const bits *some, vec sum[4][9])
{
    vec seen[9];
    MNI_UNROLL
    for (int k = 0; k < taps; k++) seen[k] = *(const loose *)(x + offsets[k]);
    MNI_UNROLL
    for (int i = 0; i < outs; i++) {
        vec g = *(const loose *)(y + i * plane);
        if (some) g = (vec)((bits)g & *some);
        MNI_UNROLL
        for (int k = 0; k < taps; k++) sum[i][k] += g * seen[k];
    }
}

/* sums of `outs` channels from o on and `taps` elements from `tap` on += lanes of the products of y and what
 * it sees of x. */
MNI_INLINE void of_w(const int outs, const int taps, const mni_direct *p, int64_t o, int64_t tap)
{
    static const int32_t numbers[16]
        __attribute__((aligned(64))) = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const bits lane = *(const bits *)numbers;
    int64_t offsets[9];
    MNI_UNROLL
    for (int k = 0; k < taps; k++) offsets[k] = p->offsets[tap + k];
    float *sums = p->sums + (o * p->taps + tap) * MNI_MOST_LANES;
    vec sum[4][9];
    MNI_UNROLL
    for (int i = 0; i < outs; i++) {
        MNI_UNROLL
        for (int k = 0; k < taps; k++)
            sum[i][k] = *(const loose *)(sums + (i * p->taps + k) * MNI_MOST_LANES);
    }
    const int64_t whole = p->columns / LANES, rest = p->columns % LANES;
    const bits fresh = lane >= (int32_t)(LANES - rest); /* which the vector before does not have */
    const float *x = p->x, *y = p->y + o * p->plane;
    for (int64_t line = 0; line < p->lines; line++, x += p->pitch, y += p->columns) {
        for (int64_t v = 0; v < whole; v++)
            add(outs, taps, x + v * LANES, offsets, y + v * LANES, p->plane, NULL, sum);
        if (rest > 0)
            add(outs, taps, x + p->columns - LANES, offsets, y + p->columns - LANES, p->plane,
                &fresh, sum);
    }
    MNI_UNROLL
    for (int i = 0; i < outs; i++) {
        MNI_UNROLL
        for (int k = 0; k < taps; k++)
            *(loose *)(sums + (i * p->taps + k) * MNI_MOST_LANES) = sum[i][k];
    }
}

typedef void (*w_fn)(const mni_direct *p, int64_t o, int64_t tap);

#define W_FN(outs, taps)                                                                           \
    static void w_##outs##_##taps(const mni_direct *p, int64_t o, int64_t tap)                     \
    {                                                                                              \
        of_w(outs, taps, p, o, tap);                                                               \
    }
#define W_ENTRY(outs, taps) [taps] = w_##outs##_##taps,

EACH_WIDE(W_FN)
EACH_THIN(W_FN)
static const w_fn wide_fns[WIDE + 1] = {EACH_WIDE(W_ENTRY)};
static const w_fn thin_fns[THIN + 1] = {EACH_THIN(W_ENTRY)};

void MNI_FOR_ISA(mni_direct_w)(const mni_direct *p)
{
    for (int64_t o = 0, outs; o < p->outs; o += outs) {
        outs = p->outs - o < TALL ? 1 : TALL;
        const int64_t most = outs == 1 ? THIN : WIDE, blocks = (p->taps + most - 1) / most;
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t tap = p->taps * b / blocks, taps = p->taps * (b + 1) / blocks - tap;
            (outs == 1 ? thin_fns : wide_fns)[taps](p, o, tap);
        }
    }
}

/* ---- lines of x with room around ---- */

void MNI_FOR_ISA(mni_move_lines)(int64_t lines, int64_t n, const float *x, int64_t sx, float *y,
                                 int64_t sy)
{
    for (int64_t line = 0; line < lines; line++, x += sx, y += sy) {
        if (n < LANES) {
            for (int64_t j = 0; j < n; j++) y[j] = x[j];
            continue;
        }
        for (int64_t j = 0; j < n; j += LANES) {
            if (j + LANES > n) j = n - LANES;
            *(loose *)(y + j) = *(const loose *)(x + j);
        }
    }
}
