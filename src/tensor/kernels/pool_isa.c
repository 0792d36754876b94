/*
 * tensor/kernels/pool_isa.c: maxima of windows of 2 x 2 for one instruction set. Vectors are written out
 * since compilers find none in choices that go on from one number to the next; they are short because
 * lines are.
 */
#include "tensor/kernels/isa.h"

#include <string.h>

#define SOME(name) name##_f32x8
#define T float
#define WHOLE int32_t
enum { SOME(COUNT) = 8 };
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ODD 1, 3, 5, 7, 9, 11, 13, 15
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#include "tensor/kernels/maximum.h"

#define SOME(name) name##_f32x4
#define T float
#define WHOLE int32_t
enum { SOME(COUNT) = 4 };
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#include "tensor/kernels/maximum.h"

#define SOME(name) name##_f64x4
#define T double
#define WHOLE int64_t
enum { SOME(COUNT) = 4 };
#define EVEN 0, 2, 4, 6
#define ODD 1, 3, 5, 7
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#include "tensor/kernels/maximum.h"

#define ONE_FN(T)                                                                                  \
    static void one_##T(const T *x, int64_t width, T *y, uint8_t *place)                           \
    {                                                                                              \
        const T window[4] = {x[0], x[1], x[width], x[width + 1]};                                  \
        uint8_t best = 0;                                                                          \
        for (uint8_t i = 1; i < 4; i++)                                                            \
            if (window[i] > window[best] || window[i] != window[i]) best = i;                      \
        *y = window[best];                                                                         \
        *place = best;                                                                             \
    }
ONE_FN(float)
ONE_FN(double)

#define ONE_BACK_FN(T)                                                                             \
    static void spread_##T(T *x, int64_t width, const T *gy, const uint8_t *place)                 \
    {                                                                                              \
        x[0] = x[1] = x[width] = x[width + 1] = 0;                                                 \
        x[*place / 2 * width + *place % 2] = *gy;                                                  \
    }
ONE_BACK_FN(float)
ONE_BACK_FN(double)

/* Lines of at least `count` windows; the last ones of a line are taken once more. */
#define LINE(some, count)                                                                          \
    for (int64_t i = 0; i < n; i += count) {                                                       \
        if (i + count > n) i = n - count;                                                          \
        some(x + 2 * i, width, y + i, place + i);                                                  \
    }

void MNI_FOR_ISA(mni_max_2x2_f32)(int64_t n, const void *xv, int64_t width, void *yv,
                                  uint8_t *place)
{
    const float *x = xv;
    float *y = yv;
    if (n >= 8)
        LINE(max_f32x8, 8)
    else if (n >= 4)
        LINE(max_f32x4, 4)
    else
        LINE(one_float, 1)
}

void MNI_FOR_ISA(mni_max_2x2_f64)(int64_t n, const void *xv, int64_t width, void *yv,
                                  uint8_t *place)
{
    const double *x = xv;
    double *y = yv;
    if (n >= 4)
        LINE(max_f64x4, 4)
    else
        LINE(one_double, 1)
}

void MNI_FOR_ISA(mni_spread_2x2_f32)(int64_t n, void *xv, int64_t width, const void *yv,
                                     const uint8_t *place)
{
    float *x = xv;
    const float *y = yv;
    if (n >= 8)
        LINE(spread_f32x8, 8)
    else if (n >= 4)
        LINE(spread_f32x4, 4)
    else
        LINE(spread_float, 1)
}

void MNI_FOR_ISA(mni_spread_2x2_f64)(int64_t n, void *xv, int64_t width, const void *yv,
                                     const uint8_t *place)
{
    double *x = xv;
    const double *y = yv;
    if (n >= 4)
        LINE(spread_f64x4, 4)
    else
        LINE(spread_double, 1)
}
