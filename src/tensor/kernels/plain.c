/*
 * tensor/kernels/plain.c: the pointwise kernels that are compiled once, and their table.
 */
#include "tensor/kernels/kernels.h"
#include <tgmath.h>

/* ---- integers ---- */

/* a^b modulo 2^64; for b < 0 what is left of the fraction: 0, unless a is 1 or -1. */
static int64_t raise_int(int64_t a, int64_t b)
{
    if (b < 0 && a != 1 && a != -1) return 0;
    if (b < 0) return b & 1 ? a : 1;
    uint64_t y = 1, square = (uint64_t)a;
    for (; b; b >>= 1, square *= square)
        if (b & 1) y *= square;
    return (int64_t)y;
}

/* The ops refuse b = 0; -1 is apart, for the quotient of the smallest number is out of range. */
static int64_t rest_int(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

static int64_t modulo_int(int64_t a, int64_t b)
{
    const int64_t m = rest_int(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

static int64_t floor_quotient_int(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) return b * a;
    return a / b - (rest_int(a, b) != modulo_int(a, b));
}

/* ---- floating point: Python's % and // ---- */

#define FLOAT_FNS(type, name)                                                                      \
    static type modulo_##name(type a, type b)                                                      \
    {                                                                                              \
        const type m = fmod(a, b);                                                                 \
        return m != 0 && (m < 0) != (b < 0) ? m + b : m;                                           \
    }                                                                                              \
                                                                                                   \
    static type floor_quotient_##name(type a, type b)                                              \
    {                                                                                              \
        if (b == 0) return a / b;                                                                  \
        const type m = fmod(a, b);                                                                 \
        type q = (a - m) / b; /* whole, but for rounding */                                        \
        if (m != 0 && (m < 0) != (b < 0)) q -= 1;                                                  \
        return q != 0 ? round(q) : copysign((type)0, a / b);                                       \
    }

FLOAT_FNS(float, float)
FLOAT_FNS(double, double)

#define raise_to(a, b) _Generic((a), float : powf, double : (pow), default : raise_int)(a, b)
#define rest(a, b) _Generic((a), float : fmodf, double : (fmod), default : rest_int)(a, b)
#define modulo(a, b)                                                                               \
    _Generic((a), float : modulo_float, double : modulo_double, default : modulo_int)(a, b)
#define floor_quotient(a, b)                                                                       \
    _Generic((a), float                                                                            \
             : floor_quotient_float, double                                                        \
             : floor_quotient_double, default                                                      \
             : floor_quotient_int)(a, b)

#define MNI_KERNEL_LIST "tensor/kernels/plain.def"
#include "tensor/kernels/pointwise.h"

const mni_plain_table mni_plain = {
#include "tensor/kernels/plain.def"
};
