/*
 * tensor/kernels/functions.h: functions for the lines of pointwise.def, for f32 in forms that compilers
 * vectorise: exp, expm1, tanh, log and erf in the place of <tgmath.h>'s, the normal distribution, and the
 * slopes of activations. Those in f32 are within two units in the last place (test_compute.c looks at
 * every float).
 */
#ifndef MNI_FUNCTIONS_H
#define MNI_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <tgmath.h>

#define OF_TYPE(name, x) _Generic((x), float : name##_f32, double : name##_f64)

/* c ? a : b, with both evaluated: a choice that reads one of numbers[] only at times is not vectorised. */
static inline float pick_f32(bool c, float a, float b)
{
    return c ? a : b;
}

static inline double pick_f64(bool c, double a, double b)
{
    return c ? a : b;
}

#define pick(c, a, b) OF_TYPE(pick, b)(c, a, b)

/* ---- e^x and tanh x ---- */

/* x = n ln 2 + r, e^x = 2^n e^r, with the polynomial for e^r of S. Moshier's Cephes library (within 2
 * units in the last place). Adding 1.5 * 2^23 rounds to an integer, which then is in the low bits. */
typedef union float_bits {
    float f;
    uint32_t bits;
} float_bits;

static const float exp_magic = 0x1.8p23f;
static const uint32_t exp_magic_bits = 0x4B400000u;

/* e^r - 1; *n <- n + magic. */
static inline float exp_rest(float x, float_bits *n)
{
    n->f = x * 0x1.715476p0f + exp_magic;
    const float whole = n->f - exp_magic;
    const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    return y * r * r + r;
}

/* x 2^n in two halves, so that results may be denormal. */
static inline float times_power(float x, float_bits n)
{
    float_bits half, rest;
    const uint32_t power = n.bits - exp_magic_bits + 512; /* above 0, so that halving rounds down */
    half.bits = (power / 2 - 256 + 127) << 23;
    rest.bits = (power - power / 2 - 256 + 127) << 23;
    return x * half.f * rest.f;
}

static inline float exp_f32(float x)
{
    float_bits n;
    x = x > 89 ? 89 : x;
    x = x < -104 ? -104 : x;
    const float y = exp_rest(x, &n);
    return times_power(y + 1, n);
}

/* 2^n (e^r - 1 + (1 - 2^-n)). */
static inline float expm1_f32(float x)
{
    float_bits n, inverse;
    x = x > 89 ? 89 : x;
    x = x < -25 ? -25 : x;
    const float y = exp_rest(x, &n);
    const int32_t power = (int32_t)(n.bits - exp_magic_bits);
    inverse.bits = (uint32_t)(power < 127 ? 127 - power : 0) << 23;
    return times_power(y + (1 - inverse.f), n);
}

/* Up to 0.625 by Cephes' polynomial; from there on 1 - 2 e / (1 + e) from e = e^(-2|x|), which is below
 * 0.29, so that little of its error is left. */
static inline float tanh_f32(float x)
{
    float_bits n, power;
    float twice = -2 * fabs(x);
    twice = twice < -80 ? -80 : twice; /* no power is denormal, and the result is 1 long before */
    const float rest = exp_rest(twice, &n);
    power.bits = (n.bits - exp_magic_bits + 127) << 23;
    const float e = (rest + 1) * power.f, z = x * x;
    float y = -5.70498872745e-3f;
    y = y * z + 2.06390887954e-2f;
    y = y * z - 5.37397155531e-2f;
    y = y * z + 1.33314422036e-1f;
    y = y * z - 3.33332819422e-1f;
    return copysign(pick_f32(z < 0.390625f, y * z * x + x, 1 - 2 * e / (1 + e)), x);
}

/* With e^-x = 2^n (1 + y) it is 2^-n / (1 + 2^-n + y), added so that only one addition rounds. 0 where
 * that is denormal. */
static inline float sigmoid_f32(float x)
{
    float_bits n, power;
    x = x < -88 ? -88 : x;
    x = x > 87 ? 87 : x;
    const float y = exp_rest(-x, &n);
    power.bits = (exp_magic_bits + 127 - n.bits) << 23;
    const float p = power.f;
    return p / pick_f32(p < 0x1p-23f, 1 + (p + y), (1 + p) + y);
}

static inline double exp_f64(double x)
{
    return (exp)(x);
}

static inline double expm1_f64(double x)
{
    return (expm1)(x);
}

static inline double tanh_f64(double x)
{
    return (tanh)(x);
}

static inline double sigmoid_f64(double x)
{
    return 1 / (1 + (exp)(-x));
}

#undef exp
#undef expm1
#undef tanh
#define sigmoid(x) OF_TYPE(sigmoid, x)(x)
#define exp(x) OF_TYPE(exp, x)(x)
#define expm1(x) OF_TYPE(expm1, x)(x)
#define tanh(x) OF_TYPE(tanh, x)(x)

/* ---- ln x ---- */

/* x = 2^e m with m from sqrt(1/2) to sqrt(2), and Cephes' polynomial for ln m; what is denormal is scaled
 * first. */
static inline float log_f32(float x)
{
    const uint32_t least = 0x3f3504f3, fraction = 0x7fffff; /* least: sqrt(1/2) */
    const bool tiny = x < 0x1p-126f;
    float_bits m = {.f = pick_f32(tiny, x * 0x1p23f, x)};
    const uint32_t above = m.bits - least;
    const float e = (float)((int32_t)above >> 23) - pick_f32(tiny, 23, 0);
    m.bits = (above & fraction) + least;
    const float r = m.f - 1, z = r * r;
    float y = 7.0376836292e-2f;
    y = y * r - 1.1514610310e-1f;
    y = y * r + 1.1676998740e-1f;
    y = y * r - 1.2420140846e-1f;
    y = y * r + 1.4249322787e-1f;
    y = y * r - 1.6668057665e-1f;
    y = y * r + 2.0000714765e-1f;
    y = y * r - 2.4999993993e-1f;
    y = y * r + 3.3333331174e-1f;
    y = y * r * z - 2.12194440e-4f * e - 0.5f * z;
    y = r + y + 0.693359375f * e;
    y = pick_f32(x > 0, y, pick_f32(x == 0, -INFINITY, NAN));
    return pick_f32(x == INFINITY, x, y);
}

static inline double log_f64(double x)
{
    return (log)(x);
}

#undef log
#define log(x) OF_TYPE(log, x)(x)

/* ---- the normal distribution ---- */

/* The part of N(0, 1) above z >= 0: with t = 1 / (1 + 0.27 z) it is e^(-z^2/2) t P(t); P was fitted over
 * 0 <= z <= 14.5 (relative error 2.4e-8). */
static inline float normal_above(float z)
{
    const float t = 1 / (1 + 0.27f * z);
    float p = 2.896110390e-2f;
    p = p * t - 1.264858745e-1f;
    p = p * t + 1.697861795e-1f;
    p = p * t - 6.921078202e-2f;
    p = p * t + 1.078256362e-1f;
    p = p * t + 7.204960960e-2f;
    p = p * t + 1.018106083e-1f;
    p = p * t + 1.075428741e-1f;
    p = p * t + 1.077206567e-1f;
    return p * t * exp_f32(-0.5f * z * z);
}

/* The part below x. */
static inline float normal_f32(float x)
{
    const float above = normal_above(fabs(x));
    return x > 0 ? 1 - above : above;
}

static inline double normal_f64(double x)
{
    return 0.5 * erfc(-0.70710678118654752440 * x);
}

#define normal(x) OF_TYPE(normal, x)(x)

/* Up to 1 by Cephes' polynomial, from there on by the distribution. */
static inline float erf_f32(float x)
{
    const float z = x * x;
    float y = 7.853861353153693e-5f;
    y = y * z - 8.010193625184903e-4f;
    y = y * z + 5.188327685732524e-3f;
    y = y * z - 2.685381193529856e-2f;
    y = y * z + 1.128358514861418e-1f;
    y = y * z - 3.761262582423300e-1f;
    y = y * z + 0.128379167095513f;
    return pick_f32(
        z < 1, x + x * y,
        copysign(1 - 2 * normal_above(0x1.6a09e6p0f * pick_f32(z > 100, 10, fabs(x))), x));
}

static inline double erf_f64(double x)
{
    return (erf)(x);
}

#undef erf
#define erf(x) OF_TYPE(erf, x)(x)

/* ---- activations ---- */

#define SQRT_8_OVER_PI 1.59576912160573071176
#define ONE_OVER_SQRT_2_PI 0.39894228040143267794

/* Of mish only e^x is needed: with n = e^x (e^x + 2), tanh(ln(1 + e^x)) = n / (n + 2), which is 1 from
 * x = 20 on. */
#define SLOPES(T, id)                                                                              \
    static inline T silu_slope_##id(T x)                                                           \
    {                                                                                              \
        const T s = 1 / (1 + exp(-x));                                                             \
        return s * (1 + x * (1 - s));                                                              \
    }                                                                                              \
                                                                                                   \
    static inline T gelu_slope_##id(T x)                                                           \
    {                                                                                              \
        return normal(x) + x * ((T)ONE_OVER_SQRT_2_PI * exp((T)-0.5 * x * x));                     \
    }                                                                                              \
                                                                                                   \
    /* e^(-2u) of the u that gelu_tanh takes the hyperbolic tangent of */                          \
    static inline T gelu_power_##id(T x)                                                           \
    {                                                                                              \
        return exp((T)-SQRT_8_OVER_PI * x * (1 + (T)0.044715 * x * x));                            \
    }                                                                                              \
                                                                                                   \
    static inline T gelu_tanh_slope_##id(T x)                                                      \
    {                                                                                              \
        const T s = 1 / (1 + gelu_power_##id(x));                                                  \
        const T slope = (T)SQRT_8_OVER_PI * (1 + (T)(3 * 0.044715) * x * x);                       \
        return s + x * s * (1 - s) * slope;                                                        \
    }                                                                                              \
                                                                                                   \
    static inline T mish_factor_##id(T x)                                                          \
    {                                                                                              \
        const T e = exp(x > 20 ? 20 : x), n = e * (e + 2);                                         \
        return n / (n + 2);                                                                        \
    }                                                                                              \
                                                                                                   \
    static inline T mish_slope_##id(T x)                                                           \
    {                                                                                              \
        const T e = exp(x > 20 ? 20 : x), w = mish_factor_##id(x);                                 \
        return w + x * (e / (1 + e)) * (1 - w * w);                                                \
    }

SLOPES(float, f32)
SLOPES(double, f64)

#define silu_slope(x) OF_TYPE(silu_slope, x)(x)
#define gelu_slope(x) OF_TYPE(gelu_slope, x)(x)
#define gelu_power(x) OF_TYPE(gelu_power, x)(x)
#define gelu_tanh_slope(x) OF_TYPE(gelu_tanh_slope, x)(x)
#define mish_factor(x) OF_TYPE(mish_factor, x)(x)
#define mish_slope(x) OF_TYPE(mish_slope, x)(x)

#endif
