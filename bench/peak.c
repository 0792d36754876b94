/*
 * peak.c: how fast one core multiplies and adds when it does nothing else: chains of multiply-adds on
 * vectors as wide as the processor's, enough of them to hide how long each one takes.
 */
#include "bench.h"

#if defined __AVX512F__
enum { BYTES = 64 };
#elif defined __AVX__
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { LANES = BYTES / (int)sizeof(float), CHAINS = 12, STEPS = 20000, TRIES = 50 };

typedef float vector __attribute__((vector_size(BYTES)));

/* Not inlined, so that the factors are no constants. The result keeps the chains from being dropped. */
__attribute__((noinline)) static float multiply_add(float factor, float term)
{
    vector x[CHAINS], sum = {0};
    const vector a = sum + factor, b = sum + term;
    for (int c = 0; c < CHAINS; c++) x[c] = sum + (float)c;
    for (int i = 0; i < STEPS; i++)
        for (int c = 0; c < CHAINS; c++) x[c] = x[c] * a + b;
    for (int c = 0; c < CHAINS; c++) sum += x[c];
    return sum[0];
}

double peak_flops(void)
{
    volatile float factor = 0.5f, kept;
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        const double start = now_ns();
        kept = multiply_add(factor, 1);
        const double flops = 2.0 * STEPS * CHAINS * LANES / (now_ns() - start);
        best = flops > best ? flops : best;
    }
    (void)kept;
    return best;
}
