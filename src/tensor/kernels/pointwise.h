/*
 * tensor/kernels/pointwise.h: the loops of a list of pointwise kernels (pointwise.def, plain.def).
 * Defines them for the list MNI_KERNEL_LIST; afterwards the same list, included in the initialiser
 * of a table, gives the table's entries. With MNI_ISA there is a loop over adjacent elements, to be
 * vectorised (map.c makes others adjacent where it pays), and a general one; without it, for
 * functions that cost more than their strides, only the general one.
 */

/* The element types of a kernel. */
#define FLOATS(M, ...) M(F32, float, __VA_ARGS__) M(F64, double, __VA_ARGS__)
#define NUMBERS(M, ...)                                                                            \
    FLOATS(M, __VA_ARGS__) M(I64, int64_t, __VA_ARGS__) M(U8, uint8_t, __VA_ARGS__)
#define CURVES(M, ...) FLOATS(CURVE_OF_T, __VA_ARGS__)
#define ALL NUMBERS /* in the table bool, a byte of 0 or 1, has u8's */

/* Loops over any strides are no faster for being vectorised, but many times as long. */
#define MNI_SCALAR __asm__ volatile("");

#define UNARY_LOOP(first, ix, iy, ...)                                                             \
    for (int64_t i = 0; i < n; i++) {                                                              \
        first const T x = xs[ix];                                                                  \
        ys[iy] = __VA_ARGS__;                                                                      \
    }

#define BINARY_LOOP(first, ia, ib, iy, ...)                                                        \
    for (int64_t i = 0; i < n; i++) {                                                              \
        first const T a = as[ia], b = bs[ib];                                                      \
        ys[iy] = __VA_ARGS__;                                                                      \
    }

#define TERNARY_LOOP(first, ia, ib, ic, iy, ...)                                                   \
    for (int64_t i = 0; i < n; i++) {                                                              \
        first const T a = as[ia], b = bs[ib];                                                      \
        const C c = cs[ic];                                                                        \
        ys[iy] = __VA_ARGS__;                                                                      \
    }

#ifdef MNI_ISA
#define UNARY_LOOPS(...)                                                                           \
    if (sx == 1 && sy == 1) {                                                                      \
        MNI_INDEPENDENT                                                                            \
        UNARY_LOOP(, i, i, __VA_ARGS__)                                                            \
    } else {                                                                                       \
        UNARY_LOOP(MNI_SCALAR, i *sx, i *sy, __VA_ARGS__)                                          \
    }
/* Besides the general loop: everything adjacent, and one side a constant over the run. */
#define BINARY_LOOPS(...)                                                                          \
    if (sa == 1 && sb == 1 && sy == 1) {                                                           \
        MNI_INDEPENDENT                                                                            \
        BINARY_LOOP(, i, i, i, __VA_ARGS__)                                                        \
    } else if (sa == 1 && sb == 0 && sy == 1) {                                                    \
        MNI_INDEPENDENT                                                                            \
        BINARY_LOOP(, i, 0, i, __VA_ARGS__)                                                        \
    } else if (sa == 0 && sb == 1 && sy == 1) {                                                    \
        MNI_INDEPENDENT                                                                            \
        BINARY_LOOP(, 0, i, i, __VA_ARGS__)                                                        \
    } else {                                                                                       \
        BINARY_LOOP(MNI_SCALAR, i *sa, i *sb, i *sy, __VA_ARGS__)                                  \
    }
#define COMPARE_LOOPS(...)                                                                         \
    if (sa == 1 && sb == 1 && sy == 1) {                                                           \
        MNI_INDEPENDENT                                                                            \
        BINARY_LOOP(, i, i, i, __VA_ARGS__)                                                        \
    } else {                                                                                       \
        BINARY_LOOP(MNI_SCALAR, i *sa, i *sb, i *sy, __VA_ARGS__)                                  \
    }
/* A gradient that is the same for all is written out, for a second loop would be long. */
#define CURVE_LOOPS(...)                                                                           \
    if (sa == 0 && sb == 1 && sy == 1) {                                                           \
        T same[64];                                                                                \
        for (int j = 0; j < 64; j++) same[j] = as[0];                                              \
        for (int64_t i = 0; i < n; i += 64)                                                        \
            self(n - i < 64 ? n - i : 64, same, 1, bs + i, 1, ys + i, 1, numbers);                 \
        return;                                                                                    \
    }                                                                                              \
    COMPARE_LOOPS(__VA_ARGS__)
#define TERNARY_LOOPS(...)                                                                         \
    if (sa == 1 && sb == 1 && sc == 1 && sy == 1) {                                                \
        MNI_INDEPENDENT                                                                            \
        TERNARY_LOOP(, i, i, i, i, __VA_ARGS__)                                                    \
    } else {                                                                                       \
        TERNARY_LOOP(MNI_SCALAR, i *sa, i *sb, i *sc, i *sy, __VA_ARGS__)                          \
    }
#else
#define UNARY_LOOPS(...) UNARY_LOOP(MNI_SCALAR, i *sx, i *sy, __VA_ARGS__)
#define BINARY_LOOPS(...) BINARY_LOOP(MNI_SCALAR, i *sa, i *sb, i *sy, __VA_ARGS__)
#define COMPARE_LOOPS BINARY_LOOPS
#define TERNARY_LOOPS(...) TERNARY_LOOP(MNI_SCALAR, i *sa, i *sb, i *sc, i *sy, __VA_ARGS__)
#endif

#define UNARY_FN(id, type, result, name, ...)                                                      \
    static void name##_##id(int64_t n, const void *xv, int64_t sx, void *yv, int64_t sy,           \
                            const double *restrict numbers)                                        \
    {                                                                                              \
        typedef type T;                                                                            \
        const T *xs = xv;                                                                          \
        result *ys = yv;                                                                           \
        const double p = numbers ? numbers[0] : 0;                                                 \
        (void)p;                                                                                   \
        UNARY_LOOPS(__VA_ARGS__)                                                                   \
    }

#define BINARY_FN(id, type, result, name, loops, ...)                                              \
    static void name##_##id(int64_t n, const void *av, int64_t sa, const void *bv, int64_t sb,     \
                            void *yv, int64_t sy, const double *restrict numbers)                  \
    {                                                                                              \
        typedef type T;                                                                            \
        const T *as = av, *bs = bv;                                                                \
        result *ys = yv;                                                                           \
        const double p = numbers ? numbers[0] : 0;                                                 \
        const mni_binary_fn self = name##_##id;                                                    \
        (void)p;                                                                                   \
        (void)self;                                                                                \
        loops(__VA_ARGS__)                                                                         \
    }

#define TERNARY_FN(id, type, ctype, name, ...)                                                     \
    static void name##_##id(int64_t n, const void *av, int64_t sa, const void *bv, int64_t sb,     \
                            const void *cv, int64_t sc, void *yv, int64_t sy,                      \
                            const double *restrict numbers)                                        \
    {                                                                                              \
        typedef type T;                                                                            \
        typedef ctype C;                                                                           \
        const T *as = av, *bs = bv;                                                                \
        const C *cs = cv;                                                                          \
        T *ys = yv;                                                                                \
        const double p = numbers ? numbers[0] : 0;                                                 \
        (void)p;                                                                                   \
        TERNARY_LOOPS(__VA_ARGS__)                                                                 \
    }

#define UNARY_OF_T(id, type, name, ...) UNARY_FN(id, type, type, name, __VA_ARGS__)
#define TEST_OF_T(id, type, name, ...) UNARY_FN(id, type, bool, name, __VA_ARGS__)
#define BINARY_OF_T(id, type, name, ...) BINARY_FN(id, type, type, name, BINARY_LOOPS, __VA_ARGS__)
#define CURVE_OF_T(id, type, name, ...) BINARY_FN(id, type, type, name, CURVE_LOOPS, __VA_ARGS__)
#define COMPARE_OF_T(id, type, name, ...)                                                          \
    BINARY_FN(id, type, bool, name, COMPARE_LOOPS, __VA_ARGS__)
#define TERNARY_OF_T(id, type, name, ...) TERNARY_FN(id, type, type, name, __VA_ARGS__)
#define CHOICE_OF_T(id, type, name, ...) TERNARY_FN(id, type, uint8_t, name, __VA_ARGS__)

#define MNI_UNARY(name, types, ...) types(UNARY_OF_T, name, __VA_ARGS__)
#define MNI_BINARY(name, types, ...) types(BINARY_OF_T, name, __VA_ARGS__)
#define MNI_TERNARY(name, types, ...) types(TERNARY_OF_T, name, __VA_ARGS__)
#define MNI_CHOICE(name, types, ...) types(CHOICE_OF_T, name, __VA_ARGS__)
#define MNI_COMPARE(name, types, ...) types(COMPARE_OF_T, name, __VA_ARGS__)
#define MNI_TEST(name, types, ...) types(TEST_OF_T, name, __VA_ARGS__)
#include MNI_KERNEL_LIST
#undef MNI_UNARY
#undef MNI_BINARY
#undef MNI_TERNARY
#undef MNI_CHOICE
#undef MNI_COMPARE
#undef MNI_TEST

#undef CURVES
#define CURVES FLOATS
#undef ALL
#define ALL(M, name) NUMBERS(M, name)[MN_BOOL] = name##_U8,
#define ENTRY(id, type, name) [MN_##id] = name##_##id,
#define MNI_UNARY(op, types, ...) .op = {types(ENTRY, op)},
#define MNI_BINARY(op, types, ...) .op = {types(ENTRY, op)},
#define MNI_TERNARY(op, types, ...) .op = {types(ENTRY, op)},
#define MNI_CHOICE(op, types, ...) .op = {types(ENTRY, op)},
#define MNI_COMPARE(op, types, ...) .op = {types(ENTRY, op)},
#define MNI_TEST(op, types, ...) .op = {types(ENTRY, op)},
