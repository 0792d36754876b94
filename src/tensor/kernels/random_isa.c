/*
 * tensor/kernels/random_isa.c: Philox4x32-10 and the draws made from it, for one instruction set.
 * Compiled without contraction of a * b + c, so that every set gives the same bits.
 *
 * A vector holds one word of several blocks, each word in the low half of a 64-bit lane: the form
 * that the wide multiplication takes, so that a round is two products, two shifts and four
 * exclusive ors. What is left in the high halves is never read.
 */
#include "tensor/kernels/isa.h"

#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { VECTOR = 64 };
#define MULTIPLY(a, b) ((lanes)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#define EVEN(a, b) ((lanes)_mm512_unpacklo_epi64((__m512i)(a), (__m512i)(b)))
#define ODD(a, b) ((lanes)_mm512_unpackhi_epi64((__m512i)(a), (__m512i)(b)))
#elif defined(__AVX2__)
#include <immintrin.h>
enum { VECTOR = 32 };
#define MULTIPLY(a, b) ((lanes)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#define EVEN(a, b) ((lanes)_mm256_unpacklo_epi64((__m256i)(a), (__m256i)(b)))
#define ODD(a, b) ((lanes)_mm256_unpackhi_epi64((__m256i)(a), (__m256i)(b)))
#elif defined(__SSE2__)
#include <emmintrin.h>
enum { VECTOR = 16 };
#define MULTIPLY(a, b) ((lanes)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#define EVEN(a, b) ((lanes)_mm_unpacklo_epi64((__m128i)(a), (__m128i)(b)))
#define ODD(a, b) ((lanes)_mm_unpackhi_epi64((__m128i)(a), (__m128i)(b)))
#else
enum { VECTOR = 16 };
#define MULTIPLY(a, b) (((a)&0xffffffffu) * (b))
#define EVEN(a, b) ((lanes){(a)[0], (b)[0]})
#define ODD(a, b) ((lanes){(a)[1], (b)[1]})
#endif

typedef uint64_t lanes __attribute__((vector_size(VECTOR)));
typedef uint64_t loose_lanes __attribute__((vector_size(VECTOR), aligned(8), may_alias));

/* Vectors worked on at a time, to hide the latency of a round; words that they give; a buffer of
 * words. */
enum { GROUPS = 4, BLOCKS = VECTOR / 8, STEP = GROUPS * BLOCKS * 4, WORDS = 1024 };

/* Lane i of EVEN and ODD comes from lanes 2 * (i / 2) and one up: with blocks in this order their
 * results are whole blocks in sequence. */
static lanes block_order(void)
{
    lanes order;
    for (unsigned i = 0; i < BLOCKS; i++) order[i] = i / 2 + (i % 2) * (BLOCKS / 2);
    return order;
}

/* words [count] <- the words of blocks first, first + 1, ...; count: a multiple of STEP. */
static void philox(uint64_t seed, uint64_t stream, uint64_t first, int64_t count, uint32_t *words)
{
    const lanes m0 = (lanes){0} + 0xD2511F53u, m1 = (lanes){0} + 0xCD9E8D57u;
    const lanes low = (lanes){0} + 0xffffffffu;
    lanes block = block_order() + first;
    for (int64_t at = 0; at < count; at += STEP) {
        lanes c0[GROUPS], c1[GROUPS], c2[GROUPS], c3[GROUPS];
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        MNI_UNROLL
        for (int g = 0; g < GROUPS; g++, block += BLOCKS) {
            c0[g] = block;
            c1[g] = block >> 32;
            c2[g] = (lanes){0} + (uint32_t)stream;
            c3[g] = (lanes){0} + (stream >> 32);
        }
        MNI_UNROLL
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            MNI_UNROLL
            for (int g = 0; g < GROUPS; g++) {
                const lanes p0 = MULTIPLY(c0[g], m0), p1 = MULTIPLY(c2[g], m1);
                c0[g] = (p1 >> 32) ^ c1[g] ^ ((lanes){0} + k0);
                c2[g] = (p0 >> 32) ^ c3[g] ^ ((lanes){0} + k1);
                c1[g] = p1;
                c3[g] = p0;
            }
        }
        MNI_UNROLL
        for (int g = 0; g < GROUPS; g++) {
            const lanes w01 = (c0[g] & low) | (c1[g] << 32), w23 = (c2[g] & low) | (c3[g] << 32);
            loose_lanes *to = (loose_lanes *)(words + at + g * BLOCKS * 4);
            to[0] = EVEN(w01, w23);
            to[1] = ODD(w01, w23);
        }
    }
}

/* words: room for WORDS. Returns the first of `count` words from position `at`; count <= WORDS -
 * STEP. */
static const uint32_t *draw(mn_rng at, int64_t count, uint32_t *words)
{
    const int64_t skip = (int64_t)(at.offset % 4);
    philox(at.seed, at.stream, at.offset / 4, (skip + count + STEP - 1) / STEP * STEP, words);
    return words + skip;
}

void MNI_FOR_ISA(mni_words)(int64_t n, uint32_t *to, mn_rng at)
{
    uint32_t words[WORDS] __attribute__((aligned(64)));
    for (int64_t some; n > 0; n -= some, to += some, at.offset += (uint64_t)some) {
        some = n < WORDS - 2 * STEP ? n : WORDS - 2 * STEP;
        memcpy(to, draw(at, some, words), (size_t)some * sizeof *to);
    }
}

/* u in [0, 1) from element i's words. */
MNI_INLINE float unit_f32(const uint32_t *w, int64_t i)
{
    return (float)(int32_t)(w[i] >> 8) * 0x1p-24f;
}

MNI_INLINE double unit_f64(const uint32_t *w, int64_t i)
{
    const uint64_t word = (uint64_t)w[2 * i + 1] << 32 | w[2 * i];
    return (double)(int64_t)(word >> 11) * 0x1p-53;
}

/* ---- normal values ---- */

/* By operations that IEEE 754 defines to the bit, so that no libm has a say. */

typedef union number {
    double value;
    uint64_t bits;
} number;

/* ln x for a normal x > 0: x = 2^e m with m from sqrt(1/2) to sqrt(2), and ln m = 2 artanh(s) by
 * its series. */
MNI_INLINE double logarithm(double x)
{
    const uint64_t least = 0x3fe6a09e667f3bcd, fraction = 0xfffffffffffff; /* least: sqrt(1/2) */
    number m = {x}, e = {0x1p52};
    const uint64_t above = m.bits - least + ((uint64_t)1023 << 52);
    e.bits |= above >> 52;
    m.bits = (above & fraction) + least;
    const double s = (m.value - 1) / (m.value + 1), z = s * s;
    double p = 1.0 / 19;
    p = p * z + 1.0 / 17;
    p = p * z + 1.0 / 15;
    p = p * z + 1.0 / 13;
    p = p * z + 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z + 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3;
    return (e.value - (0x1p52 + 1023)) * 0x1.62e42fefa39efp-1 + 2 * (s + s * (z * p));
}

/* u, v <- cos and sin of 2 pi v, each times sqrt(-2 ln(1 - u)). The angle is q quarters of a turn
 * (adding 1.5 * 2^52 rounds, which leaves q in the low bits), and up to half of one, by the series.
 */
static void box_muller(int64_t n, double *restrict u, double *restrict v)
{
    for (int64_t i = 0; i < n; i++) {
        const double radius = __builtin_sqrt(-2 * logarithm(1 - u[i]));
        number q = {4 * v[i] + 0x1.8p52}, c, s;
        const double t = (4 * v[i] - (q.value - 0x1.8p52)) * 0x1.921fb54442d18p0, z = t * t;
        double a = 1.0 / 20922789888000, b = 1.0 / 1307674368000;
        a = 1.0 / 87178291200 - a * z;
        b = 1.0 / 6227020800 - b * z;
        a = 1.0 / 479001600 - a * z;
        b = 1.0 / 39916800 - b * z;
        a = 1.0 / 3628800 - a * z;
        b = 1.0 / 362880 - b * z;
        a = 1.0 / 40320 - a * z;
        b = 1.0 / 5040 - b * z;
        a = 1.0 / 720 - a * z;
        b = 1.0 / 120 - b * z;
        a = 1.0 / 24 - a * z;
        b = 1.0 / 6 - b * z;
        a = 0.5 - a * z;
        c.value = radius * (1 - a * z);
        s.value = radius * (t - t * (b * z));
        /* An odd q exchanges them; cos is negative in quarters 1 and 2, sin in 2 and 3. */
        const uint64_t exchange = (c.bits ^ s.bits) & (0 - (q.bits & 1));
        c.bits ^= exchange ^ ((q.bits + 1) & 2) << 62;
        s.bits ^= exchange ^ (q.bits & 2) << 62;
        u[i] = c.value;
        v[i] = s.value;
    }
}

/* u in [0, 1) with all the bits of the words of element i. */
MNI_INLINE double wide_f32(const uint32_t *w, int64_t i)
{
    return ((double)(int32_t)(w[i] ^ 0x80000000u) + 0x1p31) * 0x1p-32;
}
#define wide_f64 unit_f64

#define DRAW_FN(suffix, T)                                                                         \
    enum { PER_##suffix = sizeof(T) / 4, PIECE_##suffix = (WORDS - 2 * STEP) / PER_##suffix };     \
                                                                                                   \
    void MNI_FOR_ISA(mni_uniform_##suffix)(int64_t n, void *xv, double low, double high,           \
                                           mn_rng at)                                              \
    {                                                                                              \
        const T l = (T)low, range = (T)(high - low);                                               \
        uint32_t words[WORDS] __attribute__((aligned(64)));                                        \
        T *x = xv;                                                                                 \
        for (int64_t some; n > 0;                                                                  \
             n -= some, x += some, at.offset += (uint64_t)some * PER_##suffix) {                   \
            some = n < PIECE_##suffix ? n : PIECE_##suffix;                                        \
            const uint32_t *w = draw(at, some * PER_##suffix, words);                              \
            for (int64_t i = 0; i < some; i++) x[i] = l + range * unit_##suffix(w, i);             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    void MNI_FOR_ISA(mni_normal_##suffix)(int64_t n, void *xv, double mean, double std, mn_rng at) \
    {                                                                                              \
        uint32_t words[WORDS] __attribute__((aligned(64)));                                        \
        double u[PIECE_##suffix / 2], v[PIECE_##suffix / 2];                                       \
        T *x = xv;                                                                                 \
        for (int64_t some; n > 0;                                                                  \
             n -= some, x += some, at.offset += (uint64_t)some * PER_##suffix) {                   \
            some = n < PIECE_##suffix ? n : PIECE_##suffix;                                        \
            const int64_t pairs = (some + 1) / 2;                                                  \
            const uint32_t *w = draw(at, 2 * pairs * PER_##suffix, words);                         \
            for (int64_t i = 0; i < pairs; i++) {                                                  \
                u[i] = wide_##suffix(w, 2 * i);                                                    \
                v[i] = wide_##suffix(w, 2 * i + 1);                                                \
            }                                                                                      \
            box_muller(pairs, u, v);                                                               \
            for (int64_t i = 0; i < some / 2; i++) {                                               \
                x[2 * i] = (T)(mean + std * u[i]);                                                 \
                x[2 * i + 1] = (T)(mean + std * v[i]);                                             \
            }                                                                                      \
            if (some % 2) x[some - 1] = (T)(mean + std * u[some / 2]);                             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    /* y may be x; slopes is apart from both. */                                                   \
    MNI_INLINE void rrelu_piece_##suffix(int64_t n, const uint32_t *w, const T *x, T low, T range, \
                                         T high, bool divisor, T *y, T *restrict slopes,           \
                                         bool keep)                                                \
    {                                                                                              \
        MNI_INDEPENDENT                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            T a = low + range * unit_##suffix(w, i);                                               \
            a = a > high ? high : a;                                                               \
            const T v = x[i], by = v <= 0 ? a : 1;                                                 \
            y[i] = divisor ? v / by : v * by;                                                      \
            if (keep) slopes[i] = divisor ? 1 / by : by;                                           \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    void MNI_FOR_ISA(mni_rrelu_##suffix)(int64_t n, const void *xv, double low, double high,       \
                                         bool divisor, mn_rng at, void *yv, void *sv)              \
    {                                                                                              \
        const T l = (T)low, h = (T)high, range = (T)(high - low);                                  \
        uint32_t words[WORDS] __attribute__((aligned(64)));                                        \
        const T *x = xv;                                                                           \
        T *y = yv, *s = sv;                                                                        \
        for (int64_t i = 0, some; i < n; i += some, at.offset += (uint64_t)some * PER_##suffix) {  \
            some = n - i < PIECE_##suffix ? n - i : PIECE_##suffix;                                \
            const uint32_t *w = draw(at, some * PER_##suffix, words);                              \
            if (divisor && s)                                                                      \
                rrelu_piece_##suffix(some, w, x + i, l, range, h, true, y + i, s + i, true);       \
            else if (divisor)                                                                      \
                rrelu_piece_##suffix(some, w, x + i, l, range, h, true, y + i, NULL, false);       \
            else if (s)                                                                            \
                rrelu_piece_##suffix(some, w, x + i, l, range, h, false, y + i, s + i, true);      \
            else                                                                                   \
                rrelu_piece_##suffix(some, w, x + i, l, range, h, false, y + i, NULL, false);      \
        }                                                                                          \
    }

DRAW_FN(f32, float)
DRAW_FN(f64, double)
