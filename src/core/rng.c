/*
 * core/rng.c: Philox4x32-10, the counter-based generator behind every random number (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and single draws from it.
 */
#include "core/philox.h"

static uint32_t low(uint64_t x)
{
    return (uint32_t)x;
}
static uint32_t high(uint64_t x)
{
    return (uint32_t)(x >> 32);
}

void mni_philox_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4])
{
    uint32_t c0 = low(block), c1 = high(block), c2 = low(stream), c3 = high(stream);
    uint32_t k0 = low(seed), k1 = high(seed);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = high(p1) ^ c1 ^ k0;
        c1 = low(p1);
        c2 = high(p0) ^ c3 ^ k1;
        c3 = low(p0);
        k0 += UINT32_C(0x9E3779B9); /* the golden ratio and sqrt(3) - 1, as the paper has them */
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

mn_rng mni_rng_reserve(mn_rng *rng, uint64_t words)
{
    uint64_t whole = (words + 3) / 4 * 4;
    uint64_t offset = __atomic_fetch_add(&rng->offset, whole, __ATOMIC_RELAXED);
    return (mn_rng){rng->seed, rng->stream, offset};
}

uint64_t mni_rng_word(mn_rng at)
{
    uint32_t words[4];
    mni_philox_block(at.seed, at.stream, at.offset / 4, words);
    uint32_t first = words[at.offset % 4];
    if (at.offset % 4 == 3) mni_philox_block(at.seed, at.stream, (at.offset + 1) / 4, words);
    return (uint64_t)words[(at.offset + 1) % 4] << 32 | first;
}

static uint64_t draw(mn_rng *rng)
{
    return mni_rng_word(mni_rng_reserve(rng, 2));
}

/* The 128-bit product a b: returns its upper half, *bottom is the lower. */
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *bottom)
{
    uint64_t ll = (uint64_t)low(a) * low(b), lh = (uint64_t)low(a) * high(b);
    uint64_t hl = (uint64_t)high(a) * low(b), hh = (uint64_t)high(a) * high(b);
    uint64_t middle = lh + high(ll) + low(hl); /* cannot overflow */
    *bottom = middle << 32 | low(ll);
    return hh + high(middle) + high(hl);
}

bool mni_rng_fit(uint64_t bits, uint64_t n, uint64_t *result)
{
    uint64_t bottom;
    *result = multiply(bits, n, &bottom);
    return bottom >= n || bottom >= (0 - n) % n; /* 2^64 mod n: too many for equal shares */
}

mn_rng mn_rng_make(uint64_t seed, uint64_t stream)
{
    return (mn_rng){seed, stream, 0};
}

uint64_t mn_rng_stream(const char *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = path ? path : ""; *c; c++) {
        hash ^= (unsigned char)*c;
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

double mn_rng_uniform(mn_rng *rng)
{
    return rng ? (double)(draw(rng) >> 11) * 0x1p-53 : 0;
}

uint64_t mn_rng_below(mn_rng *rng, uint64_t n)
{
    if (!rng || n == 0) return 0;
    uint64_t result;
    while (!mni_rng_fit(draw(rng), n, &result)) continue;
    return result;
}
