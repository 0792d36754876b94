/*
 * tensor/kernels/winograd_isa.c: the transforms of fast convolution (Lavin and Gray, "Fast Algorithms
 * for Convolutional Neural Networks", 2015), for one instruction set, a channel in each lane.
 *
 * Take m outputs and a kernel of r elements, m + r - 1 = 6, as the coefficients of polynomials. What the
 * outputs see of the input is then 6 numbers, and the algorithm of Toom and Cook needs 6 products instead of
 * m r: of the kernel's values at 6 points and as many sums of the input. In two dimensions it is 36 instead
 * of m^2 r^2: 100 for 5 x 5 kernels and 2 x 2 outputs, 144 for 3 x 3 and 4 x 4.
 *
 * The points 0, +-5/8, +-3/2 and infinity keep the rounding errors of sums in f32 within twice those of
 * direct ones, of kernels' gradients within three times (the usual +-1 and +-2: four and six; measured over
 * random data), and all that is made of them but the reciprocals below is exact.
 */
#include "tensor/kernels/vector.h"

typedef float vec __attribute__((vector_size(VECTOR)));
typedef float loose __attribute__((vector_size(VECTOR), aligned(4), may_alias));

enum { LANES = VECTOR / sizeof(float) };

/* The points' powers; of N_i, the product of a point's distances from all others, the reciprocals. */
#define A1 0.625F
#define A2 (A1 * A1)
#define A3 (A1 * A2)
#define A4 (A2 * A2)
#define B1 1.5F
#define B2 (B1 * B1)
#define B3 (B1 * B2)
#define B4 (B2 * B2)
#define SCALE_0 (1 / (A2 * B2))
#define SCALE_A (1 / (2 * A2 * (A2 - B2)))
#define SCALE_B (1 / (2 * B2 * (B2 - A2)))

/* y [6] <- the values of the polynomial x [n] at the points, by N_i or not. */
MNI_INLINE void values(const int n, const bool scaled, const vec *x, vec *y)
{
    vec even_a = x[0], even_b = x[0], odd_a = x[1] * A1, odd_b = x[1] * B1;
    if (n > 2) even_a += x[2] * A2, even_b += x[2] * B2;
    if (n > 3) odd_a += x[3] * A3, odd_b += x[3] * B3;
    if (n > 4) even_a += x[4] * A4, even_b += x[4] * B4;
    y[0] = scaled ? x[0] * SCALE_0 : x[0];
    y[1] = scaled ? (even_a + odd_a) * SCALE_A : even_a + odd_a;
    y[2] = scaled ? (even_a - odd_a) * SCALE_A : even_a - odd_a;
    y[3] = scaled ? (even_b + odd_b) * SCALE_B : even_b + odd_b;
    y[4] = scaled ? (even_b - odd_b) * SCALE_B : even_b - odd_b;
    y[5] = x[n - 1];
}

/* y [n] <- x [6] by the transpose of that. */
MNI_INLINE void coefficients(const int n, const bool scaled, const vec *x, vec *y)
{
    vec sum_a = x[1] + x[2], sum_b = x[3] + x[4], rest_a = x[1] - x[2], rest_b = x[3] - x[4];
    if (scaled) sum_a *= SCALE_A, sum_b *= SCALE_B, rest_a *= SCALE_A, rest_b *= SCALE_B;
    y[0] = (scaled ? x[0] * SCALE_0 : x[0]) + sum_a + sum_b;
    y[1] = rest_a * A1 + rest_b * B1;
    if (n > 2) y[2] = sum_a * A2 + sum_b * B2;
    if (n > 3) y[3] = rest_a * A3 + rest_b * B3;
    if (n > 4) y[4] = sum_a * A4 + sum_b * B4;
    y[n - 1] += x[5];
}

/* y [6] <- x [6], as an input is seen: by the coefficients of the product of all x - point but one; and of
 * all, for infinity. */
MNI_INLINE void inputs(const vec *x, vec *y)
{
    const vec even_a = x[4] - x[2] * B2, odd_a = x[3] - x[1] * B2;
    const vec even_b = x[4] - x[2] * A2, odd_b = x[3] - x[1] * A2;
    y[0] = x[4] - x[2] * (A2 + B2) + x[0] * (A2 * B2);
    y[1] = even_a + odd_a * A1;
    y[2] = even_a - odd_a * A1;
    y[3] = even_b + odd_b * B1;
    y[4] = even_b - odd_b * B1;
    y[5] = x[5] - x[3] * (A2 + B2) + x[1] * (A2 * B2);
}

MNI_INLINE void once(const mni_transform kind, const int r, const vec *x, vec *y)
{
    if (kind == MNI_OF_X) inputs(x, y);
    if (kind == MNI_TO_Y) coefficients(7 - r, false, x, y);
    if (kind == MNI_OF_Y) values(7 - r, false, x, y);
    if (kind == MNI_OF_W) values(r, true, x, y);
    if (kind == MNI_TO_W) coefficients(r, true, x, y);
}

/* n x n -> k x k: along columns, then along rows. */
MNI_INLINE void twice(const mni_transform kind, const int r, const int n, const int k,
                      const mni_tiles *p)
{
    for (int64_t tile = 0; tile < p->n; tile++)
        for (int64_t lane = 0; lane < p->lanes; lane += LANES) {
            const float *x = p->x + tile * p->sx[0] + lane;
            float *y = p->y + tile * p->sy[0] + lane;
            vec bias = {0};
            if (p->bias) bias = *(const loose *)(p->bias + lane);
            vec half[6][6];
            MNI_UNROLL
            for (int j = 0; j < n; j++) {
                vec from[6], to[6];
                MNI_UNROLL
                for (int i = 0; i < n; i++)
                    from[i] = *(const loose *)(x + i * p->sx[1] + j * p->sx[2]);
                once(kind, r, from, to);
                MNI_UNROLL
                for (int i = 0; i < k; i++) half[i][j] = to[i];
            }
            MNI_UNROLL
            for (int i = 0; i < k; i++) {
                vec to[6];
                once(kind, r, half[i], to);
                MNI_UNROLL
                for (int j = 0; j < k; j++)
                    *(loose *)(y + i * p->sy[1] + j * p->sy[2]) =
                        kind == MNI_TO_Y ? to[j] + bias : to[j];
            }
        }
}

#define TRANSFORM_FN(r, kind, n, k)                                                                \
    static void kind##_##r(const mni_tiles *p)                                                     \
    {                                                                                              \
        twice(kind, r, n, k, p);                                                                   \
    }
#define TRANSFORMS(r)                                                                              \
    TRANSFORM_FN(r, MNI_TO_Y, 6, 7 - r)                                                            \
    TRANSFORM_FN(r, MNI_OF_Y, 7 - r, 6)                                                            \
    TRANSFORM_FN(r, MNI_OF_W, r, 6)                                                                \
    TRANSFORM_FN(r, MNI_TO_W, 6, r)

TRANSFORM_FN(3, MNI_OF_X, 6, 6)
TRANSFORMS(3)
TRANSFORMS(5)

const mni_transform_fn MNI_FOR_ISA(mni_transforms)[2][MNI_TRANSFORMS] = {
    {MNI_OF_X_3, MNI_TO_Y_3, MNI_OF_Y_3, MNI_OF_W_3, MNI_TO_W_3},
    {MNI_OF_X_3, MNI_TO_Y_5, MNI_OF_Y_5, MNI_OF_W_5, MNI_TO_W_5},
};
