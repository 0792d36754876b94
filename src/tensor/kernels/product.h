/*
 * tensor/kernels/product.h: c <- a b for one element type T; included by gemm_isa.c, which defines
 * T, FN and the sizes. (No include guard: it is included once for each type.)
 *
 * A register tile holds up to ROWS x 2 vectors of c. Elements of a are broadcast straight from
 * where they are, whatever its strides; vectors of b need adjacent columns, and come from a panel
 * on the stack where they are not, or where enough rows of a use them.
 */

typedef T FN(vec) __attribute__((vector_size(VECTOR)));
typedef T FN(loose) __attribute__((vector_size(VECTOR), aligned(sizeof(T)), may_alias));

enum { FN(LANES) = VECTOR / sizeof(T) };

/* What tiles of a product have in common: `taps` times a depth of k, steps of a and b from one to the
 * next; distances of a's rows and columns, and of the rows of b, of c, and of what sums begin with. */
typedef struct FN(strip) {
    int64_t taps, k, at, bt, ar, ac, br, cr, fr;
} FN(strip);

/* c [rows, vectors * LANES] <- from (which may be c) + the sum over taps of a [rows, k] b [k, ...]. */
MNI_INLINE void FN(tile)(const int rows, const int vectors, const FN(strip) * s, const T *a,
                         const T *b, T *c, const T *from)
{
    const int64_t k = s->k, ar = s->ar, ac = s->ac, br = s->br;
    FN(vec) sum[ROWS][WIDE];
    MNI_UNROLL
    for (int i = 0; i < rows; i++) {
        MNI_UNROLL
        for (int v = 0; v < vectors; v++) {
            __builtin_prefetch(c + i * s->cr + v * FN(LANES), 1);
            sum[i][v] = *(const FN(loose) *)(from + i * s->fr + v * FN(LANES));
        }
    }
    for (int64_t tap = s->taps; tap > 0; tap--, a += s->at - k * ac, b += s->bt - k * br)
        for (int64_t p = 0; p < k; p++, a += ac, b += br) {
            FN(vec) row[WIDE];
            MNI_UNROLL
            for (int v = 0; v < vectors; v++) row[v] = *(const FN(loose) *)(b + v * FN(LANES));
            MNI_UNROLL
            for (int i = 0; i < rows; i++) {
                const T x = a[i * ar];
                MNI_UNROLL
                for (int v = 0; v < vectors; v++) sum[i][v] += x * row[v];
            }
        }
    MNI_UNROLL
    for (int i = 0; i < rows; i++) {
        MNI_UNROLL
        for (int v = 0; v < vectors; v++) *(FN(loose) *)(c + i * s->cr + v * FN(LANES)) = sum[i][v];
    }
}

typedef void (*FN(tile_fn))(const FN(strip) * s, const T *a, const T *b, T *c, const T *from);

#define TILE(rows, vectors)                                                                        \
    static void FN(tile_##rows##_##vectors)(const FN(strip) * s, const T *a, const T *b, T *c,     \
                                            const T *from)                                         \
    {                                                                                              \
        FN(tile)(rows, vectors, s, a, b, c, from);                                                 \
    }
#define TILE_ENTRY(rows, vectors) [rows] = FN(tile_##rows##_##vectors),

EACH_ROWS(TILE, 1)
EACH_ROWS(TILE, 2)
TILE(1, 8)

static const FN(tile_fn) FN(tiles)[3][ROWS + 1] = {
    [1] = {EACH_ROWS(TILE_ENTRY, 1)},
    [2] = {EACH_ROWS(TILE_ENTRY, 2)},
};

#undef TILE
#undef TILE_ENTRY

/* x [LANES, LANES] <- its transpose: each round deals the upper half of the rows into the lower. */
MNI_INLINE void FN(transpose)(FN(vec) * x)
{
    MNI_UNROLL
    for (int round = 1; round < FN(LANES); round *= 2) {
        FN(vec) y[FN(LANES)];
        MNI_UNROLL
        for (int i = 0; i < FN(LANES) / 2; i++) {
            y[2 * i] = MNI_SHUFFLE(INDEX, VECTOR, x[i], x[i + FN(LANES) / 2], LOW);
            y[2 * i + 1] = MNI_SHUFFLE(INDEX, VECTOR, x[i], x[i + FN(LANES) / 2], HIGH);
        }
        MNI_UNROLL
        for (int i = 0; i < FN(LANES); i++) x[i] = y[i];
    }
}

/* y [LANES, LANES] (rows sy apart) <- x^T; rows of x from n on are 0. */
MNI_INLINE void FN(turn)(int64_t n, const T *x, int64_t sx, T *y, int64_t sy)
{
    FN(vec) r[FN(LANES)];
    MNI_UNROLL
    for (int i = 0; i < FN(LANES); i++) {
        r[i] = (FN(vec)){0};
        if (i < n) r[i] = *(const FN(loose) *)(x + i * sx);
    }
    FN(transpose)(r);
    MNI_UNROLL
    for (int i = 0; i < FN(LANES); i++) *(FN(loose) *)(y + i * sy) = r[i];
}

static void FN(turn_all)(const T *x, int64_t sx, T *y, int64_t sy)
{
    FN(turn)(FN(LANES), x, sx, y, sy);
}

static void FN(turn_some)(int64_t n, const T *x, int64_t sx, T *y, int64_t sy)
{
    FN(turn)(n, x, sx, y, sy);
}

/* y [n, m] (rows sy apart) <- x [m, n]^T. */
void MNI_FOR_ISA(FN(mni_turn))(int64_t m, int64_t n, const void *xv, int64_t sx, void *yv,
                               int64_t sy)
{
    const T *x = xv;
    T *y = yv;
    if (m < FN(LANES) || n < FN(LANES)) {
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < m; i++) y[j * sy + i] = x[i * sx + j];
        return;
    }
    for (int64_t i = 0; i < m; i += FN(LANES)) { /* the last squares overlap */
        if (i + FN(LANES) > m) i = m - FN(LANES);
        for (int64_t j = 0; j < n; j += FN(LANES)) {
            if (j + FN(LANES) > n) j = n - FN(LANES);
            FN(turn_all)(x + i * sx + j, sx, y + j * sy + i, sy);
        }
    }
}

/* panel [k, width] <- b [k, n], n <= width; columns from n on are 0. */
static void FN(pack)(int64_t k, int64_t n, const T *b, int64_t br, int64_t bc, T *panel,
                     int64_t width)
{
    if (bc == 1 && n == width) { /* by vectors: a loop over numbers would become calls of memcpy */
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < n; j += FN(LANES))
                *(FN(loose) *)(panel + p * width + j) = *(const FN(loose) *)(b + p * br + j);
        return;
    }
    if (br == 1 && k >= FN(LANES)) { /* the last rows overlap */
        for (int64_t p = 0; p < k; p += FN(LANES)) {
            if (p + FN(LANES) > k) p = k - FN(LANES);
            for (int64_t j = 0; j < width; j += FN(LANES))
                if (n - j >= FN(LANES))
                    FN(turn_all)(b + p + j * bc, bc, panel + p * width + j, width);
                else
                    FN(turn_some)(n - j, b + p + j * bc, bc, panel + p * width + j, width);
        }
        return;
    }
    if (n < width) memset(panel, 0, (size_t)(k * width) * sizeof(T));
    for (int64_t p = 0; p < k; p++)
        for (int64_t j = 0; j < n; j++) panel[p * width + j] = b[p * br + j * bc];
}

/* Row i of c <- a column of products: a [1, k], k = 1. */
static void FN(outer)(const mni_product *p)
{
    T copy[DEPTH];
    const T *a = p->a, *bias = p->bias;
    for (int64_t j0 = 0; j0 < p->n; j0 += DEPTH) {
        const int64_t n = p->n - j0 < DEPTH ? p->n - j0 : DEPTH;
        const T *b = (const T *)p->b + j0 * p->sb[1];
        if (p->sb[1] != 1) {
            for (int64_t j = 0; j < n; j++) copy[j] = b[j * p->sb[1]];
            b = copy;
        }
        for (int64_t i = 0; i < p->m; i++) {
            const T x = a[i * p->sa[0]];
            T *restrict c = (T *)p->c + i * p->sc[0] + j0;
            if (p->accumulate)
                for (int64_t j = 0; j < n; j++) c[j] += x * b[j];
            else
                for (int64_t j = 0; j < n; j++) c[j] = x * b[j];
            for (int64_t j = 0; bias && j < n; j++)
                c[j] += bias[i * p->sbias[0] + (j0 + j) * p->sbias[1]];
        }
    }
}

MNI_INLINE T FN(total)(FN(vec) v)
{
    T part[FN(LANES)];
    memcpy(part, &v, sizeof part);
    for (int half = FN(LANES) / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++) part[j] += part[j + half];
    return part[0];
}

/* y[0..rows) <- x . each row of b (rows br apart). */
MNI_INLINE void FN(dots)(const int rows, int64_t k, const T *x, const T *b, int64_t br, T *y)
{
    enum { STEP = 2 * FN(LANES) };
    FN(vec) sum[4][2];
    for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = (FN(vec)){0};
    int64_t p = 0;
    for (; p + STEP <= k; p += STEP) MNI_UNROLL
    for (int i = 0; i < rows; i++) {
        const T *row = b + i * br + p;
        sum[i][0] += *(const FN(loose) *)(x + p) * *(const FN(loose) *)row;
        sum[i][1] +=
            *(const FN(loose) *)(x + p + FN(LANES)) * *(const FN(loose) *)(row + FN(LANES));
    }
    for (int i = 0; i < rows; i++) {
        T rest = 0;
        for (int64_t q = p; q < k; q++) rest += x[q] * b[i * br + q];
        y[i] = FN(total)(sum[i][0] + sum[i][1]) + rest;
    }
}

/* c [1, n] <- a [1, k] b where each column of b is contiguous. */
static void FN(vector_matrix)(const mni_product *p)
{
    enum { LENGTH = 4 * DEPTH };
    T copy[LENGTH];
    for (int64_t k0 = 0; k0 < p->k; k0 += p->sa[1] == 1 ? p->k : LENGTH) {
        int64_t k = p->k - k0;
        const T *x = (const T *)p->a + k0 * p->sa[1];
        if (p->sa[1] != 1) {
            if (k > LENGTH) k = LENGTH;
            for (int64_t q = 0; q < k; q++) copy[q] = x[q * p->sa[1]];
            x = copy;
        }
        for (int64_t j = 0; j < p->n; j += 4) {
            const T *b = (const T *)p->b + k0 + j * p->sb[1];
            const int64_t some = p->n - j < 4 ? p->n - j : 4;
            T y[4];
            if (some == 4)
                FN(dots)(4, k, x, b, p->sb[1], y);
            else
                for (int64_t i = 0; i < some; i++) FN(dots)(1, k, x, b + i * p->sb[1], 0, y + i);
            for (int64_t i = 0; i < some; i++) {
                T *c = (T *)p->c + (j + i) * p->sc[1];
                if (p->bias && k0 == 0) y[i] += ((const T *)p->bias)[(j + i) * p->sbias[1]];
                *c = p->accumulate || k0 > 0 ? *c + y[i] : y[i];
            }
        }
    }
}

/* to [n] <- from, LANES / 2 <= n <= LANES: the second half again where it begins earlier. */
MNI_INLINE void FN(copy_most)(const T *from, T *to, int64_t n)
{
    enum { HALF = FN(LANES) / 2 };
    memcpy(to, from, HALF * sizeof *to);
    memcpy(to + n - HALF, from + n - HALF, HALF * sizeof *to);
}

/* to [n] <- from, LANES / 2 <= n: the last vector overlaps. */
MNI_INLINE void FN(copy_row)(const T *from, T *to, int64_t n)
{
    if (n < FN(LANES)) FN(copy_most)(from, to, n);
    for (int64_t j = 0; n >= FN(LANES) && j < n; j += FN(LANES)) {
        if (j + FN(LANES) > n) j = n - FN(LANES);
        *(FN(loose) *)(to + j) = *(const FN(loose) *)(from + j);
    }
}

/* c [n, rows] (rows cr apart, n <= LANES) <- sums [rows, LANES]^T (rows `width` apart), rows <= ROWS;
 * + what was there when `add`. */
static void FN(store_turned)(int64_t rows, int64_t n, const T *sums, int64_t width, T *c,
                             int64_t cr, bool add)
{
    enum { SQUARES = (ROWS + FN(LANES) - 1) / FN(LANES), TALL = SQUARES * FN(LANES) };
    T turned[FN(LANES)][TALL] __attribute__((aligned(VECTOR)));
    for (int64_t i = 0; i < rows; i += FN(LANES))
        FN(turn_all)(sums + i * width, width, &turned[0][i], TALL);
    for (int64_t j = 0; j < n; j++, c += cr) {
        const T *row = turned[j];
        if (add)
            for (int64_t i = 0; i < rows; i++) c[i] += row[i];
        else if (SQUARES == 1 && 2 * rows >= FN(LANES))
            FN(copy_most)(row, c, rows);
        else
            for (int64_t i = 0; i < rows; i++) c[i] = row[i];
    }
}

/* What is done of a product at a time: `taps` from the first one on, and k from k0 on of each. */
typedef struct FN(depth) {
    int64_t first, taps, k0, k;
    bool start; /* nothing was done before */
} FN(depth);

/* start [rows, width] <- bias from its row i0 and column j0 on; columns from n on do not matter. */
static void FN(start)(const mni_product *p, int64_t i0, int64_t rows, int64_t j0, int64_t n,
                      T *start, int64_t width)
{
    const T *bias = (const T *)p->bias + i0 * p->sbias[0] + j0 * p->sbias[1];
    for (int64_t i = 0; i < rows; i++, start += width, bias += p->sbias[0]) {
        const FN(vec) all = *bias - (FN(vec)){0};
        if (p->sbias[1] == 0)
            for (int64_t j = 0; j < width; j += FN(LANES)) *(FN(loose) *)(start + j) = all;
        else
            for (int64_t j = 0; j < width; j++) start[j] = bias[(j < n ? j : 0) * p->sbias[1]];
    }
}

/* Rows of c for one panel of b: columns [j0, j0 + n). */
static void FN(panel)(const mni_product *p, const FN(depth) * d, int64_t j0, int64_t n, int vectors,
                      const T *b, int64_t br, int64_t bt)
{
    static const T zeros[WIDE * FN(LANES)];
    /* What sums begin with, or they themselves where c is not stored directly; turned by squares. */
    T edge[(ROWS + FN(LANES)) * 2 * FN(LANES) + WIDE * FN(LANES)];
    const int64_t width = vectors * FN(LANES), tall = (p->m + ROWS - 1) / ROWS;
    const bool add = !d->start || p->accumulate, bias = d->start && p->bias;
    const bool direct = n == width && p->sc[1] == 1 && !(bias && add);
    const bool in_c = direct && add, by_column = direct && bias && !p->sbias[0] && p->sbias[1] == 1;
    const FN(strip) s = {.taps = d->taps,
                         .k = d->k,
                         .at = p->step_a,
                         .bt = bt,
                         .ar = p->sa[0],
                         .ac = p->sa[1],
                         .br = br,
                         .cr = direct ? p->sc[0] : width,
                         .fr = in_c                 ? p->sc[0]
                               : bias && !by_column ? width
                                                    : 0};
    /* Tiles of equal height: 64 rows are 13 + 13 + 13 + 13 + 12, not 14 + 14 + 14 + 14 + 8. (A division takes
     * as long as two steps of a tile, so that there is one for all of them.) */
    const int64_t least = p->m / tall, taller = p->m % tall;
    for (int64_t t = 0, i0 = 0, rows; t < tall; t++, i0 += rows) {
        rows = least + (t < taller);
        const FN(tile_fn) tile = vectors == WIDE ? FN(tile_1_8) : FN(tiles)[vectors][rows];
        const T *a = (const T *)p->a + d->first * p->step_a + i0 * p->sa[0] + d->k0 * p->sa[1];
        T *c = (T *)p->c + i0 * p->sc[0] + j0 * p->sc[1];
        const T *from = in_c ? c : by_column ? (const T *)p->bias + j0 : bias ? edge : zeros;
        if (from == edge) FN(start)(p, i0, rows, j0, n, edge, width);
        tile(&s, a, b, direct ? c : edge, from);
        if (direct) continue;
        if (p->sc[0] == 1 && p->sc[1] != 1) {
            for (int64_t j = 0; j < n; j += FN(LANES)) FN(store_turned)
            (rows, n - j < FN(LANES) ? n - j : FN(LANES), edge + j, width, c + j * p->sc[1],
             p->sc[1], add);
            continue;
        }
        if (p->sc[1] == 1 && !add && 2 * n >= FN(LANES)) {
            for (int64_t i = 0; i < rows; i++) FN(copy_row)(edge + i * width, c + i * p->sc[0], n);
            continue;
        }
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < n; j++) {
                T *to = c + i * p->sc[0] + j * p->sc[1];
                *to = add ? *to + edge[i * width + j] : edge[i * width + j];
            }
    }
}

/* All columns, panel after panel; `whole`: this is all of the product. */
static void FN(panels)(const mni_product *p, const FN(depth) * d, bool whole)
{
    T packed[DEPTH * 2 * FN(LANES)] __attribute__((aligned(64)));
    const bool many = p->m > 4 * ROWS; /* rows that use a panel */
    const bool again = whole && !p->accumulate && p->sb[1] == 1 && p->n >= 2 * FN(LANES);
    for (int64_t j0 = 0, n; j0 < p->n; j0 += n) {
        int64_t br = p->sb[0], bt = p->step_b, left = p->n - j0;
        int vectors = left > FN(LANES) ? 2 : 1;
        if (p->m == 1 && p->sb[1] == 1 && left >= WIDE * FN(LANES)) vectors = WIDE;
        const int64_t width = vectors * FN(LANES);
        if (left < width && again) { /* computing some once more is less than treating few apart */
            j0 = p->n - width;
            left = width;
        }
        n = left < width ? left : width;
        const T *b = (const T *)p->b + d->first * bt + d->k0 * br + j0 * p->sb[1];
        const bool far = br != width && (d->k > NEAR || br % (1024 / (int)sizeof(T)) == 0);
        if (vectors != WIDE && (p->sb[1] != 1 || n < width || (many && far))) {
            for (int64_t tap = 0; tap < d->taps; tap++)
                FN(pack)(d->k, n, b + tap * bt, br, p->sb[1], packed + tap * d->k * width, width);
            b = packed;
            br = width;
            bt = d->k * width;
        }
        FN(panel)(p, d, j0, n, vectors, b, br, bt);
    }
}

/* By depths that a panel has room for: several taps, or a part of one. */
static void FN(blocked)(const mni_product *p)
{
    const int64_t most = p->sa[1] == 1 ? DEPTH : FAR_DEPTH, deep = (p->k + most - 1) / most;
    const int64_t taps = p->taps > 1 ? p->taps : 1, some = deep > 1 ? 1 : most / p->k;
    FN(depth) d = {.start = true};
    for (d.first = 0; d.first < taps; d.first += d.taps) {
        d.taps = taps - d.first < some ? taps - d.first : some;
        for (int64_t i = 0; i < deep; i++, d.start = false) {
            d.k0 = p->k * i / deep;
            d.k = p->k * (i + 1) / deep - d.k0;
            FN(panels)(p, &d, deep == 1 && d.taps == taps);
        }
    }
}

void MNI_FOR_ISA(FN(mni_product))(const mni_product *p)
{
    if (p->k == 1 && p->sc[1] == 1 && p->taps <= 1)
        FN(outer)(p);
    else if (p->m == 1 && p->sb[0] == 1 && p->taps <= 1)
        FN(vector_matrix)(p);
    else
        FN(blocked)(p);
}
