/*
 * synthetic.c: the numbers that all contenders start from, as synthetic.py has them, and the clock and the
 * median that all times are taken with.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include <stdlib.h>
#include <time.h>

double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The top 24 bits of a 32-bit mix of seed and position (Wellons' lowbias32). */
static float unit(uint32_t seed, int64_t i)
{
    uint32_t h = (uint32_t)i * 0x9E3779B1u + seed * 0x85EBCA77u;
    h = (h ^ (h >> 16)) * 0x7FEB352Du;
    h = (h ^ (h >> 15)) * 0x846CA68Bu;
    h ^= h >> 16;
    return (float)(h >> 8) * 0x1p-24f;
}

void synth_uniform(float *x, int64_t n, uint32_t seed, float low, float high)
{
    for (int64_t i = 0; i < n; i++) x[i] = low + (high - low) * unit(seed, i);
}

void synth_labels(int64_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (int64_t)(unit(SEED_TARGET, i) * CLASSES);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}
