/*
 * tensor/kernels/kernels_isa.c: pointwise loops, conversions, sums and softmax for one instruction
 * set, and its table. Plain C that compilers vectorise; what is not contiguous takes the general
 * loop.
 */
#include "tensor/kernels/vector.h"

#include "tensor/kernels/functions.h"
#include <string.h>

/* ---- pointwise ---- */

#define MNI_KERNEL_LIST "tensor/kernels/pointwise.def"
#include "tensor/kernels/pointwise.h"

/* ---- conversions: copy_F32_from_U8 and so on ---- */

#define COPY_FN(id, type, to, to_type)                                                             \
    static void copy_##to##_from_##id(int64_t n, const void *xv, int64_t sx, void *yv, int64_t sy, \
                                      const double *p)                                             \
    {                                                                                              \
        const type *xs = xv;                                                                       \
        to_type *ys = yv;                                                                          \
        (void)p;                                                                                   \
        if (sx == 1 && sy == 1) {                                                                  \
            MNI_INDEPENDENT                                                                        \
            for (int64_t i = 0; i < n; i++) ys[i] = (to_type)xs[i];                                \
        } else if (sx == 0 && sy == 1) {                                                           \
            const to_type x = (to_type)xs[0];                                                      \
            for (int64_t i = 0; i < n; i++) ys[i] = x;                                             \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                      \
                MNI_SCALAR                                                                         \
                ys[i * sy] = (to_type)xs[i * sx];                                                  \
            }                                                                                      \
        }                                                                                          \
    }

NUMBERS(COPY_FN, F32, float)
NUMBERS(COPY_FN, F64, double)
NUMBERS(COPY_FN, I64, int64_t)
NUMBERS(COPY_FN, U8, uint8_t)
NUMBERS(COPY_FN, BOOL, bool)

/* ---- sums ---- */

/* acc += x [rows, columns]. Four rows at a time, since each pass over the sums costs a load and a
 * store. */
#define SUM_ROWS(columns, x_at)                                                                    \
    for (; r + 4 <= rows; r += 4, x += 4 * rs)                                                     \
        for (int64_t j = 0; j < columns; j++)                                                      \
            acc[j] +=                                                                              \
                ((A)x[x_at] + (A)x[rs + x_at]) + ((A)x[2 * rs + x_at] + (A)x[3 * rs + x_at]);      \
    for (; r < rows; r++, x += rs)                                                                 \
        for (int64_t j = 0; j < columns; j++) acc[j] += (A)x[x_at];

/* The most common width is a constant, so that the sums stay in registers. */
#define SUM_FN(id, type, accumulator, member)                                                      \
    static void sum_rows_##id(int64_t rows, int64_t columns, const type *x, int64_t rs,            \
                              int64_t cs, accumulator *restrict acc)                               \
    {                                                                                              \
        typedef accumulator A;                                                                     \
        int64_t r = 0;                                                                             \
        if (cs == 1 && columns == MNI_SUM_LANES) {                                                 \
            SUM_ROWS(MNI_SUM_LANES, j)                                                             \
        } else if (cs == 1) {                                                                      \
            SUM_ROWS(columns, j)                                                                   \
        } else {                                                                                   \
            SUM_ROWS(columns, j *cs)                                                               \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void sum_##id(mni_cascade *s, int64_t rows, int64_t columns, const void *xv,            \
                         int64_t rs, int64_t cs)                                                   \
    {                                                                                              \
        const type *x = xv;                                                                        \
        while (rows > 0) {                                                                         \
            int64_t take = MNI_SUM_RADIX - s->count[0];                                            \
            if (take > rows) take = rows;                                                          \
            if (s->count[0] == 0) memset(s->level.member[0], 0, sizeof s->level.member[0]);        \
            sum_rows_##id(take, columns, x, rs, cs, s->level.member[0]);                           \
            s->count[0] += take;                                                                   \
            rows -= take;                                                                          \
            x += take * rs;                                                                        \
            for (int l = 0; l + 1 < MNI_SUM_LEVELS && s->count[l] == MNI_SUM_RADIX; l++) {         \
                const accumulator *from = s->level.member[l];                                      \
                accumulator *to = s->level.member[l + 1];                                          \
                const bool first = s->count[l + 1]++ == 0;                                         \
                for (int j = 0; j < MNI_SUM_LANES; j++) to[j] = first ? from[j] : to[j] + from[j]; \
                s->count[l] = 0;                                                                   \
            }                                                                                      \
        }                                                                                          \
    }

SUM_FN(F32, float, float, f32)
SUM_FN(F64, double, double, f64)
SUM_FN(I64, int64_t, int64_t, i64)
SUM_FN(U8, uint8_t, int64_t, i64)

#define FOLD_HALF(half)                                                                            \
    for (int j = 0; j < half; j++) total[j] += total[j + half];

#define SUM_END_FN(id, type, member)                                                               \
    static void sum_end_##id(const mni_cascade *s, int64_t n, bool fold, bool accumulate,          \
                             void *yv)                                                             \
    {                                                                                              \
        type total[MNI_SUM_LANES] = {0}, *y = yv;                                                  \
        for (int l = 0; l < MNI_SUM_LEVELS; l++) {                                                 \
            if (s->count[l] == 0) continue;                                                        \
            for (int j = 0; j < MNI_SUM_LANES; j++) total[j] += s->level.member[l][j];             \
        }                                                                                          \
        if (fold) {                                                                                \
            FOLD_HALF(32) FOLD_HALF(16) FOLD_HALF(8) FOLD_HALF(4) FOLD_HALF(2) FOLD_HALF(1)        \
        }                                                                                          \
        for (int64_t j = 0; j < n; j++) y[j] = accumulate ? y[j] + total[j] : total[j];            \
    }

SUM_END_FN(F32, float, f32)
SUM_END_FN(F64, double, f64)
SUM_END_FN(I64, int64_t, i64)

/* ---- softmax ---- */

/* Several chains of additions hide their latency and fill a vector. */
#define SUM_OF(n, term)                                                                            \
    {                                                                                              \
        double part[8] = {0};                                                                      \
        int64_t i = 0;                                                                             \
        for (; i + 8 <= (n); i += 8) MNI_UNROLL                                                    \
        for (int j = 0; j < 8; j++) part[j] += (double)(term(i + j));                              \
        for (; i < (n); i++) part[0] += (double)(term(i));                                         \
        sum = ((part[0] + part[4]) + (part[2] + part[6])) +                                        \
              ((part[1] + part[5]) + (part[3] + part[7]));                                         \
    }

enum { SOFTMAX_BLOCK = 1024 };

/* Short rows go through `e` many at a time, so that the loop over exp is long whatever the row. Each function
 * is compiled for adjacent elements, too. */
#define SOFTMAX_FN(id, type, bits)                                                                 \
    typedef type vec_##id __attribute__((vector_size(VECTOR), aligned(sizeof(type)), may_alias));  \
    typedef bits mask_##id __attribute__((vector_size(VECTOR)));                                   \
                                                                                                   \
    MNI_INLINE vec_##id larger_##id(vec_##id v, vec_##id than)                                     \
    {                                                                                              \
        const mask_##id larger = v > than;                                                         \
        return (vec_##id)((larger & (mask_##id)v) | (~larger & (mask_##id)than));                  \
    }                                                                                              \
                                                                                                   \
    /* Of n numbers, a power of two, which it overwrites. */                                       \
    MNI_INLINE type fold_max_##id(const int n, type *part)                                         \
    {                                                                                              \
        for (int half = n / 2; half > 0; half /= 2)                                                \
            for (int j = 0; j < half; j++)                                                         \
                part[j] = part[j + half] > part[j] ? part[j + half] : part[j];                     \
        return part[0];                                                                            \
    }                                                                                              \
                                                                                                   \
    /* Of adjacent numbers, at least a vector of them; the last ones overlap. */                   \
    MNI_INLINE type near_max_##id(int64_t n, const type *x)                                        \
    {                                                                                              \
        enum { LANES = VECTOR / sizeof(type) };                                                    \
        vec_##id most = *(const vec_##id *)(x + n - LANES), others = most;                         \
        int64_t i = 0;                                                                             \
        for (; i + 2 * LANES <= n; i += 2 * LANES) {                                               \
            most = larger_##id(*(const vec_##id *)(x + i), most);                                  \
            others = larger_##id(*(const vec_##id *)(x + i + LANES), others);                      \
        }                                                                                          \
        if (i + LANES <= n) most = larger_##id(*(const vec_##id *)(x + i), most);                  \
        most = larger_##id(others, most);                                                          \
        type part[LANES];                                                                          \
        memcpy(part, &most, sizeof part);                                                          \
        return fold_max_##id(LANES, part);                                                         \
    }                                                                                              \
                                                                                                   \
    MNI_INLINE type row_max_##id(int64_t n, const type *x, int64_t s)                              \
    {                                                                                              \
        enum { CHAINS = 64 / sizeof(type) };                                                       \
        if (s == 1 && n >= CHAINS) return near_max_##id(n, x);                                     \
        type part[CHAINS] = {x[0]};                                                                \
        int64_t i = 0;                                                                             \
        if (n < 2 * CHAINS) {                                                                      \
            for (; i < n; i++) part[0] = x[i * s] > part[0] ? x[i * s] : part[0];                  \
            return part[0];                                                                        \
        }                                                                                          \
        for (int j = 1; j < CHAINS; j++) part[j] = x[0];                                           \
        for (; i + CHAINS <= n; i += CHAINS) MNI_UNROLL                                            \
        for (int j = 0; j < CHAINS; j++)                                                           \
            part[j] = x[(i + j) * s] > part[j] ? x[(i + j) * s] : part[j];                         \
        for (; i < n; i++) part[0] = x[i * s] > part[0] ? x[i * s] : part[0];                      \
        return fold_max_##id(CHAINS, part);                                                        \
    }                                                                                              \
                                                                                                   \
    MNI_INLINE void softmax_short_##id(int64_t rows, int64_t n, const type *x, int64_t rx,         \
                                       int64_t sx, type *y, int64_t ry, int64_t sy,                \
                                       bool logarithm)                                             \
    {                                                                                              \
        type e[SOFTMAX_BLOCK];                                                                     \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            const type max = row_max_##id(n, x + r * rx, sx);                                      \
            for (int64_t i = 0; i < n; i++) e[r * n + i] = x[r * rx + i * sx] - max;               \
            for (int64_t i = 0; logarithm && i < n; i++) y[r * ry + i * sy] = e[r * n + i];        \
        }                                                                                          \
        for (int64_t i = 0; i < rows * n; i++) e[i] = exp(e[i]);                                   \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            const type *row = e + r * n;                                                           \
            type *out = y + r * ry;                                                                \
            double sum;                                                                            \
            SUM_OF(n, ROW_TERM)                                                                    \
            const type whole = logarithm ? (type)log(sum) : (type)sum;                             \
            if (logarithm)                                                                         \
                for (int64_t i = 0; i < n; i++) out[i * sy] -= whole;                              \
            else                                                                                   \
                for (int64_t i = 0; i < n; i++) out[i * sy] = row[i] / whole;                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    MNI_INLINE void softmax_long_##id(int64_t n, const type *x, int64_t sx, type *y, int64_t sy,   \
                                      bool logarithm)                                              \
    {                                                                                              \
        const type max = row_max_##id(n, x, sx);                                                   \
        double sum;                                                                                \
        if (logarithm) {                                                                           \
            SUM_OF(n, EXP_TERM)                                                                    \
            const type log_whole = (type)log(sum);                                                 \
            for (int64_t i = 0; i < n; i++) y[i * sy] = x[i * sx] - max - log_whole;               \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++) y[i * sy] = exp(x[i * sx] - max);                      \
            SUM_OF(n, Y_TERM)                                                                      \
            const type whole = (type)sum;                                                          \
            for (int64_t i = 0; i < n; i++) y[i * sy] /= whole;                                    \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void softmax_##id(int64_t rows, int64_t n, const void *xv, const int64_t sx[2],         \
                             void *yv, const int64_t sy[2], bool logarithm)                        \
    {                                                                                              \
        const type *x = xv;                                                                        \
        type *y = yv;                                                                              \
        const bool adjacent = sx[1] == 1 && sy[1] == 1;                                            \
        const int64_t step = n <= SOFTMAX_BLOCK ? SOFTMAX_BLOCK / n : 1;                           \
        for (int64_t r = 0; r < rows; r += step, x += step * sx[0], y += step * sy[0]) {           \
            const int64_t some = rows - r < step ? rows - r : step;                                \
            if (n > SOFTMAX_BLOCK && adjacent)                                                     \
                softmax_long_##id(n, x, 1, y, 1, logarithm);                                       \
            else if (n > SOFTMAX_BLOCK)                                                            \
                softmax_long_##id(n, x, sx[1], y, sy[1], logarithm);                               \
            else if (adjacent)                                                                     \
                softmax_short_##id(some, n, x, sx[0], 1, y, sy[0], 1, logarithm);                  \
            else                                                                                   \
                softmax_short_##id(some, n, x, sx[0], sx[1], y, sy[0], sy[1], logarithm);          \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    MNI_INLINE void softmax_back_##id(int64_t n, const type *y, int64_t a, const type *gy,         \
                                      int64_t b, type *gx, int64_t c, bool logarithm)              \
    {                                                                                              \
        double sum;                                                                                \
        if (logarithm) {                                                                           \
            SUM_OF(n, GY_TERM)                                                                     \
            const type whole = (type)sum;                                                          \
            for (int64_t i = 0; i < n; i++) gx[i * c] = gy[i * b] - exp(y[i * a]) * whole;         \
        } else {                                                                                   \
            SUM_OF(n, GY_Y_TERM)                                                                   \
            const type whole = (type)sum;                                                          \
            for (int64_t i = 0; i < n; i++) gx[i * c] = y[i * a] * (gy[i * b] - whole);            \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void softmax_backward_##id(int64_t rows, int64_t n, const void *yv,                     \
                                      const int64_t sy[2], const void *gyv, const int64_t sgy[2],  \
                                      void *gxv, const int64_t sgx[2], bool logarithm)             \
    {                                                                                              \
        const type *y = yv, *gy = gyv;                                                             \
        type *gx = gxv;                                                                            \
        const bool adjacent = sy[1] == 1 && sgy[1] == 1 && sgx[1] == 1;                            \
        for (int64_t r = 0; r < rows; r++, y += sy[0], gy += sgy[0], gx += sgx[0])                 \
            if (adjacent)                                                                          \
                softmax_back_##id(n, y, 1, gy, 1, gx, 1, logarithm);                               \
            else                                                                                   \
                softmax_back_##id(n, y, sy[1], gy, sgy[1], gx, sgx[1], logarithm);                 \
    }

#define ROW_TERM(k) row[k]
#define EXP_TERM(k) exp(x[(k)*sx] - max)
#define Y_TERM(k) y[(k)*sy]
#define GY_TERM(k) gy[(k)*b]
#define GY_Y_TERM(k) gy[(k)*b] * y[(k)*a]

SOFTMAX_FN(F32, float, int32_t)
SOFTMAX_FN(F64, double, int64_t)

/* ---- the table ---- */

extern const mni_kernel_table MNI_FOR_ISA(mni_kernels);

#define COPY_ENTRY(id, type, to) [MN_##id] = copy_##to##_from_##id,
#define COPY_ENTRIES(to) NUMBERS(COPY_ENTRY, to)[MN_BOOL] = copy_##to##_from_U8

const mni_kernel_table MNI_FOR_ISA(mni_kernels) = {
    .name = MNI_STRING(MNI_ISA),
#include "tensor/kernels/pointwise.def"
    .copy = {[MN_F32] = {COPY_ENTRIES(F32)},
             [MN_F64] = {COPY_ENTRIES(F64)},
             [MN_I64] = {COPY_ENTRIES(I64)},
             [MN_U8] = {COPY_ENTRIES(U8)},
             [MN_BOOL] = {COPY_ENTRIES(BOOL)}},
    .sum = {ALL(ENTRY, sum)},
    .sum_end = {[MN_F32] = sum_end_F32, [MN_F64] = sum_end_F64, [MN_I64] = sum_end_I64},
    .softmax = {FLOATS(ENTRY, softmax)},
    .softmax_backward = {FLOATS(ENTRY, softmax_backward)},
    .max_2x2 = {MNI_FOR_ISA(mni_max_2x2_f32), MNI_FOR_ISA(mni_max_2x2_f64)},
    .spread_2x2 = {MNI_FOR_ISA(mni_spread_2x2_f32), MNI_FOR_ISA(mni_spread_2x2_f64)},
    .norm_forward = {MNI_FOR_ISA(mni_norm_forward_f32), MNI_FOR_ISA(mni_norm_forward_f64)},
    .norm_sums = {MNI_FOR_ISA(mni_norm_sums_f32), MNI_FOR_ISA(mni_norm_sums_f64)},
    .norm_backward = {MNI_FOR_ISA(mni_norm_backward_f32), MNI_FOR_ISA(mni_norm_backward_f64)},
    .cell = {MNI_FOR_ISA(mni_cell_f32), MNI_FOR_ISA(mni_cell_f64)},
    .cell_backward = {MNI_FOR_ISA(mni_cell_backward_f32), MNI_FOR_ISA(mni_cell_backward_f64)},
    .words = MNI_FOR_ISA(mni_words),
    .uniform = {MNI_FOR_ISA(mni_uniform_f32), MNI_FOR_ISA(mni_uniform_f64)},
    .normal = {MNI_FOR_ISA(mni_normal_f32), MNI_FOR_ISA(mni_normal_f64)},
    .rrelu = {MNI_FOR_ISA(mni_rrelu_f32), MNI_FOR_ISA(mni_rrelu_f64)},
    .product = {MNI_FOR_ISA(mni_product_f32), MNI_FOR_ISA(mni_product_f64)},
    .turn = {MNI_FOR_ISA(mni_turn_f32), MNI_FOR_ISA(mni_turn_f64)},
    .direct_y = MNI_FOR_ISA(mni_direct_y),
    .direct_w = MNI_FOR_ISA(mni_direct_w),
    .move_lines = MNI_FOR_ISA(mni_move_lines),
    .transforms = MNI_FOR_ISA(mni_transforms),
    .loops = &MNI_FOR_ISA(mni_loops),
};
