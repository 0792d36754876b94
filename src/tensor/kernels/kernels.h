/*
 * tensor/kernels/kernels.h: the table of inner loops, one for each instruction set.
 *
 * The *_isa.c files of this folder are compiled once for each instruction set; each build fills a
 * table, and mni_kernels() returns the best one that this processor runs. A pointwise kernel is one
 * line of pointwise.def, or of plain.def when it is slow or rare enough to be compiled once for
 * all. All strides here are in elements; 0 broadcasts.
 */
#ifndef MNI_KERNELS_H
#define MNI_KERNELS_H

#include <minnow/tensor.h>
#include <stdatomic.h>

enum { MNI_DTYPES = 5 };

/* n elements of y = f(x), y = f(a, b) and y = f(a, b, c). p: up to three numbers of the op, NULL for
 * none. y may be an operand. */
typedef void (*mni_unary_fn)(int64_t n, const void *x, int64_t sx, void *y, int64_t sy,
                             const double *p);
typedef void (*mni_binary_fn)(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb,
                              void *y, int64_t sy, const double *p);
typedef void (*mni_ternary_fn)(int64_t n, const void *a, int64_t sa, const void *b, int64_t sb,
                               const void *c, int64_t sc, void *y, int64_t sy, const double *p);

/* ---- sums ---- */

/* A sum over rows of up to 64 columns that loses no more than pairwise summation: level 0 takes 64
 * rows, each further level 64 sums of the one below. All zero: nothing was added yet. */
enum { MNI_SUM_LANES = 64, MNI_SUM_RADIX = 64, MNI_SUM_LEVELS = 6 };

typedef struct mni_cascade {
    int64_t count[MNI_SUM_LEVELS]; /* how many were added to each level */
    union {
        _Alignas(64) float f32[MNI_SUM_LEVELS][MNI_SUM_LANES];
        double f64[MNI_SUM_LEVELS][MNI_SUM_LANES];
        int64_t i64[MNI_SUM_LEVELS][MNI_SUM_LANES];
        uint8_t u8[MNI_SUM_LEVELS][MNI_SUM_LANES]; /* of extremes, not of sums */
    } level;
} mni_cascade;

/* Adds x [rows, columns], columns <= 64. The cascade is of x's type, of i64 for integers and bool.
 * */
typedef void (*mni_sum_fn)(mni_cascade *s, int64_t rows, int64_t columns, const void *x,
                           int64_t row_stride, int64_t column_stride);

/* y[0..n) <- (or +=, when `accumulate`) the first n column sums; with `fold` y[0] is the sum of all
 * 64. */
typedef void (*mni_sum_end_fn)(const mni_cascade *s, int64_t n, bool fold, bool accumulate,
                               void *y);

/* ---- softmax: rows of n elements; [0] is the distance between rows, [1] between elements ---- */

typedef void (*mni_softmax_fn)(int64_t rows, int64_t n, const void *x, const int64_t sx[2], void *y,
                               const int64_t sy[2], bool logarithm);
typedef void (*mni_softmax_backward_fn)(int64_t rows, int64_t n, const void *y, const int64_t sy[2],
                                        const void *gy, const int64_t sgy[2], void *gx,
                                        const int64_t sgx[2], bool logarithm);

/* ---- normalisation ---- */

/* x [batch, groups, depth, space], contiguous as all else here: y = (x - mean) rstd weight + bias, with
 * mean, variance and rstd = 1/sqrt(variance + eps) of each [depth, space], of which there are batch *
 * groups; or, over_batch, of each group in all samples (then depth is 1). */
typedef struct mni_normalization {
    int64_t batch, groups, depth, space;
    bool over_batch;
    bool centre; /* else the mean is 0, and the variance the mean of squares */
    double eps;
    const void *x, *gy;
    const void *weight, *bias; /* [groups, depth]; NULL: 1 and 0 */
    void *y;                   /* backward: the gradient of x */
    void *mean, *rstd;         /* NULL: it is 0 */
    void *variance;            /* forward, may be NULL */
    double *sums;              /* [2, groups, depth]: of gy and of gy xhat, over batch and space */
} mni_normalization;

/* For planes [begin, end) of batch * groups; with over_batch forward, and always for the sums, for
 * channels of groups * depth. */
typedef void (*mni_norm_fn)(const mni_normalization *p, int64_t begin, int64_t end);

/* ---- recurrent cells ---- */

typedef enum mni_cell_kind { MNI_RNN_TANH, MNI_RNN_RELU, MNI_LSTM, MNI_GRU } mni_cell_kind;

/* One step of one sample, n units, all rows contiguous. A gate's sum is a[gate] + b[gate], what comes of
 * the input and of the state before, both with their biases; of the order i, f, g, o (LSTM) and r, z, n
 * (GRU). Forward leaves the gates in a; GRU's has a fourth row for the b of n. */
typedef struct mni_cell {
    mni_cell_kind kind;
    int64_t n;
    void *a;
    const void *b;
    const void *h0, *c0; /* the state before; c of LSTM alone */
    void *h, *c;         /* and after */
    /* Backward: dh and dc, the gradients of the state after from what follows, become those of the state
     * before, but for the part of dh that goes through the product with it. da <- the gradient of the
     * input's sums, db of the state's (with GRU another than da, otherwise not written). */
    const void *gy; /* a further gradient of h, may be NULL */
    void *dh, *dc, *da, *db;
} mni_cell;

typedef void (*mni_cell_fn)(const mni_cell *p);

static inline int64_t mni_cell_gates(mni_cell_kind kind)
{
    return kind == MNI_LSTM ? 4 : kind == MNI_GRU ? 3 : 1;
}

/* How many rows a has. */
static inline int64_t mni_cell_rows(mni_cell_kind kind)
{
    return kind == MNI_LSTM || kind == MNI_GRU ? 4 : 1;
}

/* ---- pooling ---- */

/* A line of maxima over windows of 2 x 2 that lie side by side: y[i] of x[2 i], x[2 i + 1] and those
 * `width` further on; the first of equal ones, but the last NaN. place[i] <- which of the four it is. */
typedef void (*mni_max_fn)(int64_t n, const void *x, int64_t width, void *y, uint8_t *place);

/* The way back: those windows of x <- y[i] at place[i], 0 elsewhere. */
typedef void (*mni_spread_fn)(int64_t n, void *x, int64_t width, const void *y,
                              const uint8_t *place);

/* ---- random draws (same bits on every instruction set); see mni_uniform and so on ---- */

typedef void (*mni_words_fn)(int64_t n, uint32_t *words, mn_rng at);
typedef void (*mni_uniform_fn)(int64_t n, void *x, double low, double high, mn_rng at);
typedef void (*mni_normal_fn)(int64_t n, void *x, double mean, double std, mn_rng at);
typedef void (*mni_rrelu_fn)(int64_t n, const void *x, double low, double high, bool divisor,
                             mn_rng at, void *y, void *slopes);

/* ---- products ---- */

/* c[m, n] <- a[m, k] b[k, n] + bias + what was in c when `accumulate`; none empty. Strides [0] between
 * rows, [1] between columns; bias (may be NULL) likewise. With taps > 1 a sum of so many products:
 * from one to the next a and b are step_a and step_b further on. A block that mni_gemm has turned and
 * cut: one thread. */
typedef struct mni_product {
    int64_t m, n, k;
    const void *a, *b, *bias;
    void *c;
    int64_t sa[2], sb[2], sbias[2], sc[2];
    bool accumulate;
    int64_t taps, step_a, step_b; /* taps 0: 1 */
} mni_product;

typedef void (*mni_product_fn)(const mni_product *p);

/* y [n, m] <- x [m, n]^T, apart from each other, rows sx and sy apart. */
typedef void (*mni_turn_fn)(int64_t m, int64_t n, const void *x, int64_t sx, void *y, int64_t sy);

/* ---- direct convolution with a stride of 1, see direct_isa.c ---- */

/* Floats of the widest vector. */
enum { MNI_MOST_LANES = 16 };

/* y [outs, lines, columns], whose channels are plane apart, <- bias + sum over taps of w [taps, outs] times
 * x, of which y's element (0, 0) sees x[offsets[tap]], whose lines are pitch apart. columns >=
 * MNI_MOST_LANES. Of w's gradient sums [outs, taps, MNI_MOST_LANES] += what each lane of a vector says. */
typedef struct mni_direct {
    int64_t outs, taps, lines, columns;
    const float *x;
    int64_t pitch;
    const int64_t *offsets;
    float *y;
    int64_t plane;
    const float *w, *bias; /* bias [outs] may be NULL */
    float *sums;
} mni_direct;

typedef void (*mni_direct_fn)(const mni_direct *p);

/* y [lines, n] <- x, whose lines are sx and sy apart. */
typedef void (*mni_move_fn)(int64_t lines, int64_t n, const float *x, int64_t sx, float *y,
                            int64_t sy);

/* ---- convolution by fewer products, see winograd_isa.c ---- */

/* Of tiles of `lanes` channels, whose tiles, rows and columns are sx and sy apart and channels adjacent.
 * With a kernel of r x r and m = 7 - r: x seen by y, 6 x 6 -> 6 x 6; y, 6 x 6 -> m x m, + bias; y's
 * gradient, m x m -> 6 x 6; the kernel, r x r -> 6 x 6; its gradient, 6 x 6 -> r x r. */
typedef enum mni_transform {
    MNI_OF_X,
    MNI_TO_Y,
    MNI_OF_Y,
    MNI_OF_W,
    MNI_TO_W,
    MNI_TRANSFORMS
} mni_transform;

/* lanes is a multiple of MNI_MOST_LANES; bias [lanes] may be NULL. */
typedef struct mni_tiles {
    int64_t n, lanes;
    const float *x, *bias;
    float *y;
    int64_t sx[3], sy[3];
} mni_tiles;

typedef void (*mni_transform_fn)(const mni_tiles *p);

/* ---- the tables: kernels are indexed by the dtype of x or a; NULL: it is not supported ---- */

#define MNI_UNARY(name, types, expression) mni_unary_fn name[MNI_DTYPES];
#define MNI_BINARY(name, types, expression) mni_binary_fn name[MNI_DTYPES];
#define MNI_TERNARY(name, types, expression) mni_ternary_fn name[MNI_DTYPES];
#define MNI_CHOICE(name, types, expression) mni_ternary_fn name[MNI_DTYPES]; /* c is bool */
#define MNI_COMPARE(name, types, expression) mni_binary_fn name[MNI_DTYPES]; /* y is bool */
#define MNI_TEST(name, types, expression) mni_unary_fn name[MNI_DTYPES];     /* y is bool */

typedef struct mni_kernel_table {
    const char *name; /* "avx512", "avx2", "baseline", "neon" */
#include "tensor/kernels/pointwise.def"
    mni_unary_fn copy[MNI_DTYPES][MNI_DTYPES]; /* [to][from] */
    mni_sum_fn sum[MNI_DTYPES];
    mni_sum_end_fn sum_end[MNI_DTYPES]; /* by the cascade's type */
    mni_softmax_fn softmax[MNI_DTYPES];
    mni_softmax_backward_fn softmax_backward[MNI_DTYPES];
    mni_max_fn max_2x2[MNI_DTYPES];
    mni_spread_fn spread_2x2[MNI_DTYPES];
    mni_norm_fn norm_forward[MNI_DTYPES], norm_sums[MNI_DTYPES], norm_backward[MNI_DTYPES];
    mni_cell_fn cell[MNI_DTYPES], cell_backward[MNI_DTYPES];
    mni_words_fn words;
    mni_uniform_fn uniform[MNI_DTYPES];
    mni_normal_fn normal[MNI_DTYPES];
    mni_rrelu_fn rrelu[MNI_DTYPES];
    mni_product_fn product[MNI_DTYPES];
    mni_turn_fn turn[MNI_DTYPES];
    mni_direct_fn direct_y, direct_w;
    mni_move_fn move_lines;
    const mni_transform_fn (*transforms)[MNI_TRANSFORMS]; /* [0] r = 3, [1] r = 5 */
    const struct mni_loop_table *loops;                   /* of optim/loops_isa.c */
} mni_kernel_table;

/* What is compiled once: no instruction set makes it faster. */
typedef struct mni_plain_table {
#include "tensor/kernels/plain.def"
} mni_plain_table;

#undef MNI_UNARY
#undef MNI_BINARY
#undef MNI_TERNARY
#undef MNI_CHOICE
#undef MNI_COMPARE
#undef MNI_TEST

extern const mni_plain_table mni_plain;

/* Chosen at the first call. */
extern _Atomic(const mni_kernel_table *) mni_chosen_kernels;
const mni_kernel_table *mni_choose_kernels(void);

/* The table for this processor. */
static inline const mni_kernel_table *mni_kernels(void)
{
    const mni_kernel_table *chosen =
        atomic_load_explicit(&mni_chosen_kernels, memory_order_relaxed);
    return chosen ? chosen : mni_choose_kernels();
}

/* For tests: forces a table by name; false when this processor or build has none of that name. NULL
 * goes back to the best. */
bool mni_kernels_force(const char *name);

#endif
