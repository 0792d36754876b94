/*
 * tensor/compute.h: numbers in, numbers out: what ops call once they have checked their inputs and
 * made their outputs. Nothing here allocates, fails or records. Work is cut by shape alone, so the
 * results have the same bits for every team.
 */
#ifndef MNI_COMPUTE_H
#define MNI_COMPUTE_H

#include "core/team.h"
#include "tensor/kernels/kernels.h"
#include "tensor/tensor.h"

/* Elements below which a loop stays on one thread, and the size of the pieces of larger ones. */
enum { MNI_SERIAL = 32768, MNI_GRAIN = 16384 };

/* y[i] = f(x[i]): kernel row `k` of the table, for x's dtype. x broadcasts to y's shape. p: the
 * kernel's numbers, NULL when it has none. y may be x. */
void mni_map1(mni_team *team, const mni_unary_fn *k, const mn_tensor *x, mn_tensor *y,
              const double *p);

/* y[i] = f(a[i], b[i]); a and b of one dtype (that selects the kernel), both broadcast to y's
 * shape. y may be a or b. Short runs of one length, which graphs of single numbers live on, go straight to
 * the kernel. */
void mni_map2_any(mni_team *team, const mni_binary_fn *k, const mn_tensor *a, const mn_tensor *b,
                  mn_tensor *y, const double *p);
static inline void mni_map2(mni_team *team, const mni_binary_fn *k, const mn_tensor *a,
                            const mn_tensor *b, mn_tensor *y, const double *p)
{
    const int64_t n = y->numel;
    if (n > 0 && n <= MNI_SERIAL && a->numel == n && b->numel == n &&
        (a->contiguous & b->contiguous & y->contiguous))
        k[a->dtype](n, a->data, 1, b->data, 1, y->data, 1, p);
    else
        mni_map2_any(team, k, a, b, y, p);
}

/* y[i] = f(a[i], b[i], c[i]); a and b of one dtype (that selects the kernel), c of the same or, for
 * a choice, bool; all broadcast to y's shape. y may be one of them. */
void mni_map3(mni_team *team, const mni_ternary_fn *k, const mn_tensor *a, const mn_tensor *b,
              const mn_tensor *c, mn_tensor *y, const double *p);

/* y <- x with conversion between any dtypes, x broadcast to y's shape. */
void mni_copy(mni_team *team, const mn_tensor *x, mn_tensor *y);

/* x <- value, converted as below. */
void mni_fill(mni_team *team, mn_tensor *x, double value);

/* A single value as an operand. */
typedef struct mni_number {
    mn_tensor tensor;
    union {
        float f32;
        double f64;
        int64_t i64;
        uint8_t u8;
        bool b;
    } value;
} mni_number;

/* Makes *n hold value as dtype: integers truncate and stop at their bounds. Returns its tensor. */
const mn_tensor *mni_number_of(mni_number *n, mn_dtype dtype, double value);

/* y (contiguous) <- sum of x over the dimensions d with reduced[d]; y's elements are in the order
 * of the dimensions that stay. Pairwise (or blocked with the same error growth). When `accumulate`,
 * added to y instead. y has x's dtype, or is i64 where x is u8 or bool. */
void mni_sum(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *y,
             bool accumulate);

/* ---- other reductions and scans; `reduced` and y as for mni_sum ---- */

typedef enum mni_folding {
    MNI_SUM,
    MNI_PRODUCT, /* not of u8 or bool */
    MNI_LARGEST, /* NaN wins; of nothing: the smallest number there is */
    MNI_SMALLEST /* NaN wins; of nothing: the largest */
} mni_folding;

/* What is put together instead of x[i]: f(x[i] - minus[o]), o the output that x[i] goes to. */
typedef struct mni_term {
    const mn_tensor *minus; /* contiguous, an element for each of y's; NULL: 0. Not with bools */
    const mni_unary_fn *f;  /* by x's dtype; NULL: the number itself */
    const double *p;        /* of f */
    bool bools;             /* f gives bool, else x's dtype */
} mni_term;

/* y <- the terms put together; term NULL: the elements. Sums as exact as mni_sum's. */
void mni_fold(mni_team *team, mni_folding how, const mni_term *term, const mn_tensor *x,
              const bool *reduced, mn_tensor *y);

/* y <- the sum of (x - mean)^2 / (count - correction), floating. Its error does not grow with the
 * mean, and equal numbers give 0. a, b: room for two more tensors like y. */
void mni_variance(mni_team *team, const mn_tensor *x, const bool *reduced, int correction,
                  mn_tensor *y, mn_tensor *a, mn_tensor *b);

/* y <- ln of the sum of e^x, floating, without overflow. a: room for one more tensor like y. */
void mni_logsumexp(mni_team *team, const mn_tensor *x, const bool *reduced, mn_tensor *y,
                   mn_tensor *a);

/* y <- (the sum of |x|^p)^(1/p); p = 0 counts what is not 0, p = infinity is the largest |x| and
 * -infinity the smallest. Floating. */
void mni_norm(mni_team *team, const mn_tensor *x, const bool *reduced, double p, mn_tensor *y);

typedef enum mni_scanning {
    MNI_CUMSUM,  /* y[i] = y[i - 1] + x[i] */
    MNI_CUMPROD, /* y[i] = y[i - 1] x[i] */
    MNI_LINEAR   /* y[i] = a[i] y[i - 1] + x[i]; reversed y[i] = a[i + 1] y[i + 1] + x[i] */
} mni_scanning;

/* Along dim, from its start or, reversed, from its end; beyond there y is 0 (1 for products). All
 * of one type, f32, f64 or, but for MNI_LINEAR, i64; a (else NULL) like x, y contiguous. f32 is
 * carried along in double. */
void mni_scan(mni_team *team, mni_scanning how, const mn_tensor *a, const mn_tensor *x, int dim,
              bool reversed, mn_tensor *y);

/* y <- softmax or log-softmax of x along dim; y contiguous, may not be x. */
void mni_softmax(mni_team *team, const mn_tensor *x, int dim, bool logarithm, mn_tensor *y);

/* Gradient along dim, from the result y: softmax gx = y (gy - sum(gy y)); log-softmax gx = gy - e^y
 * sum(gy). gx contiguous. */
void mni_softmax_backward(mni_team *team, const mn_tensor *y, const mn_tensor *gy, int dim,
                          bool logarithm, mn_tensor *gx);

/* x (contiguous, f32 or f64) <- low + (high - low) u, u the draw at `at`. Here and in mni_rrelu,
 * high - low is rounded to x's dtype, and so is each step after it: the bits are the same on every
 * processor. */
void mni_uniform(mni_team *team, mn_tensor *x, double low, double high, mn_rng at);

/* x (contiguous, f32 or f64) <- mean + std z, in double and rounded once, z the normal draw at
 * `at`. */
void mni_normal(mni_team *team, mn_tensor *x, double mean, double std, mn_rng at);

/* x (contiguous, i64) <- integers from [low, low + n), for n = 0 element i from [low, low + i].
 * Permutation: of 0, 1, ... */
void mni_integers(mni_team *team, mn_tensor *x, int64_t low, uint64_t n, mn_rng at);
void mni_permutation(mni_team *team, mn_tensor *x, mn_rng at);

/* RReLU over contiguous x, y (may be x) and slopes, all of one float dtype and numel:   slopes[i] =
 * x[i] <= 0 ? a : 1;  y[i] = x[i] * slopes[i];  a = low + (high - low) u, never above high, u the
 * draw at `at`, element i of it; with divisor: slopes[i] = x[i] <= 0 ? 1 / a : 1 and y[i] = x[i] <=
 * 0 ? x[i] / a : x[i]. slopes may be NULL. */
void mni_rrelu(mni_team *team, const mn_tensor *x, double low, double high, bool divisor, mn_rng at,
               mn_tensor *y, mn_tensor *slopes);

/* ---- order ---- */

/* index <- the first position along dim at which x has `value`, which must be there, or a NaN; value
 * <- that element (so a -0 that was the first of several zeros). Both contiguous, in the order of
 * the other dimensions. x has elements. */
void mni_first(mni_team *team, const mn_tensor *x, int dim, mn_tensor *value, mn_tensor *index);

/* The first k elements along dim in ascending (or descending) order, and their positions: value (may
 * be NULL) and index, contiguous, have x's shape with k along dim. Equal ones stay in their order;
 * NaN is the largest, -0 equals 0. scratch: mni_sort_scratch bytes. */
int64_t mni_sort_scratch(const mn_tensor *x, int dim, int64_t k);
void mni_sort(mni_team *team, const mn_tensor *x, int dim, int64_t k, bool descending,
              mn_tensor *scratch, mn_tensor *value, mn_tensor *index);

/* ---- indexing ---- */

/* Whether low <= i < high for every element i of index (i64). */
bool mni_index_fits(mni_team *team, const mn_tensor *index, int64_t low, int64_t high);

/* index (i64, any strides) holds positions along dim of one tensor and has the shape of the other: of
 * y in a gather, of x (which may be larger, or have strides of 0) in a scatter. In dimensions other
 * than dim the first one is not smaller. `skip` (-1: none) is a position that does not count.
 *   gather:   y[.., i, ..] <- x[.., index[.., i, ..], ..], 0 where skipped; y contiguous
 *   scatter:  y[.., index[.., i, ..], ..] <- x[.., i, ..] or, with `add`, += it unless skipped; in
 *             the order of i, so that of equal positions the last stays, and sums have the same
 *             bits always */
void mni_gather(mni_team *team, const mn_tensor *x, int dim, const mn_tensor *index, int64_t skip,
                mn_tensor *y);
void mni_scatter(mni_team *team, const mn_tensor *x, int dim, const mn_tensor *index, int64_t skip,
                 bool add, mn_tensor *y);

/* The positions in row-major order at which mask (contiguous bool) is true: how many; the first n of
 * them into `at`. */
int64_t mni_count(const mn_tensor *mask);
void mni_positions(const mn_tensor *mask, int64_t n, int64_t *at);

/* ---- products ---- */

/* One operand: its address and the distance, in elements, between rows and between columns. */
typedef struct mni_matrix {
    const void *data;
    int64_t row, column;
} mni_matrix;

/* c[m, n] (rows ldc apart, columns adjacent) <- a[m, k] b[k, n], plus bias[n] for each row (may be
 * NULL), plus what was in c when `accumulate`. f32 or f64. The one entry to every product: it picks
 * OpenBLAS (one thread, on blocks cut by shape) or our own kernel by shape and instruction set; any
 * strides work, c may be neither a nor b. k = 0 gives zeros (and the bias). OpenBLAS's number of
 * threads is set to one for the whole process the first time it is picked: tensor/blas.h. */
void mni_gemm(mni_team *team, mn_dtype dtype, int64_t m, int64_t n, int64_t k, mni_matrix a,
              mni_matrix b, void *c, int64_t ldc, const void *bias, bool accumulate);

/* The same with any strides of c and bias, and a sum of such products, which c and bias enter once. */
void mni_sum_of_products(mni_team *team, mn_dtype dtype, const mni_product *p);

/* ---- normalisation: see mni_normalization in tensor/kernels/kernels.h ---- */

void mni_normalize(mni_team *team, mn_dtype dtype, const mni_normalization *p);

/* The sums, which the gradients of bias and weight are; the gradient of x, with those sums where
 * statistics are over the batch, since it needs them then. */
void mni_normalize_sums(mni_team *team, mn_dtype dtype, const mni_normalization *p);
void mni_normalize_backward(mni_team *team, mn_dtype dtype, const mni_normalization *p);

/* ---- attention ---- */

/* Matrices [..., L, E] of any strides, one for each head; columns of y are adjacent. What is optional
 * is NULL.
 *     p = softmax of scale q k^T, with mask;  y = (p drop) v
 * mask: of q's type, added, or bool, where false is -infinity; rows that are -infinity throughout give
 * zeros. causal: row i has no columns j > i. */
typedef struct mni_attention {
    const mn_tensor *q, *k, *v; /* [..., L, E], [..., S, E], [..., S, Ev] */
    const mn_tensor *mask;      /* [..., L, S] or NULL */
    const mn_tensor *drop;      /* [..., L, S], contiguous, or NULL: multipliers */
    mn_tensor *p;               /* [..., L, S], contiguous */
    mn_tensor *y;               /* [..., L, Ev] */
    double scale;
    bool causal;
    void *scratch; /* mni_attention_scratch elements; forward only with drop */
} mni_attention;

/* The gradients of y, q, k, v and mask (contiguous). All but y's may be NULL. */
typedef struct mni_attention_gradients {
    const mn_tensor *y;
    mn_tensor *q, *k, *v, *mask;
} mni_attention_gradients;

int64_t mni_attention_scratch(mni_team *team, const mni_attention *a);

/* Fills p and y; those gradients, from p. */
void mni_attention_forward(mni_team *team, const mni_attention *a);
void mni_attention_backward(mni_team *team, const mni_attention *a,
                            const mni_attention_gradients *g);

/* ---- recurrence ---- */

/* A layer of cells (mni_cell) over all steps. All contiguous, of one dtype, `gates` and `rows` as below:
 *
 *     h, c  [steps + 1, batch, hidden]       states: number 0 is given and s + 1 is after step s; reversed,
 *                                            number `steps` is given, and s after step s
 *     a     [steps, batch, rows, hidden]     in: the inputs' sums (in the first `gates` rows); out: gates
 *     b     [batch, gates, hidden]           scratch of forward
 *     w     forward [hidden, gates hidden], backward [gates hidden, hidden]
 *     gy    [steps, batch, hidden]           gradients of the states after, may be NULL; not read where a
 *                                            sequence has ended
 *     dh, dc [batch, hidden]                 in: those of the last states besides; out: of the first
 *     da, db [steps, batch, gates, hidden]   out: of the inputs' and of the states' sums; for all but GRU
 *                                            the same, and may be one */
typedef struct mni_recurrent {
    mn_dtype dtype;
    mni_cell_kind kind;
    int64_t steps, batch, hidden;
    bool reverse;
    const int64_t *lengths; /* a sample's state stays as it is at the steps from there on; NULL */
    void *h, *c, *a, *b;
    const void *w, *bias; /* bias [gates hidden] is b's, may be NULL */
    const void *gy;
    void *dh, *dc, *da, *db;
} mni_recurrent;

void mni_recurrent_forward(mni_team *team, const mni_recurrent *r);
void mni_recurrent_backward(mni_team *team, const mni_recurrent *r);

/* ---- convolution ---- */

/* The sizes of a convolution over three dimensions, [0] the outermost (fewer: sizes of 1 in front):
 *
 *     y[n, g outs + o, p] = sum over c < ins and k < kernel of
 *                           x[n, g ins + c, p stride + k dilation - padding] w[g outs + o, c, k]
 *
 * for n < batch, g < groups, o < outs, p < out; what is outside of x, whose sizes are `in`, is 0. */
typedef struct mni_conv_sizes {
    mn_dtype dtype;
    int64_t batch, groups, ins, outs;
    int64_t in[3], kernel[3], out[3], stride[3], padding[3], dilation[3];
} mni_conv_sizes;

/* That sum is linear in x and in w: with a y of its own it is one number for every three tensors,
 * and one of them, its gradient, follows from the two others. */
typedef enum mni_conv_role { MNI_CONV_X, MNI_CONV_W, MNI_CONV_Y } mni_conv_role;

/* of[role] <- Y: y as above; X: its gradient with respect to x when y's is of[MNI_CONV_Y]; W: with
 * respect to w. All contiguous, of one dtype; bias (NULL: 0) is added to the channels of y or x.
 * scratch: room for mni_conv_scratch elements. */
void mni_conv(mni_team *team, const mni_conv_sizes *s, mni_conv_role role,
              const mn_tensor *const of[3], const mn_tensor *bias, void *scratch);
int64_t mni_conv_scratch(const mni_team *team, const mni_conv_sizes *s, mni_conv_role role);

/* ---- connectionist temporal classification ---- */

/* A sample's path goes through `states`: labels[n, 0 .. 2 length], its targets with blanks before, between
 * and behind them. Each step it stays, goes on by one, or by two from a target to another one. */
typedef struct mni_ctc {
    const mn_tensor *x;     /* [steps, batch, classes], f32 or f64: logarithms of probabilities */
    int64_t states;         /* of the longest target: the distance of the rows of labels */
    const int64_t *labels;  /* [batch, states] */
    const int64_t *steps;   /* [batch]: how many of x's count */
    const int64_t *lengths; /* [batch]: of the targets */
    bool zero_infinity;
    double *scratch;   /* mni_ctc_scratch of them */
    mn_tensor *losses; /* [batch], contiguous, of x's dtype; infinite (or 0) where no path fits */
    mn_tensor *slopes; /* d loss/d x, contiguous like x; NULL: not wanted */
} mni_ctc;

void mni_ctc_run(mni_team *team, const mni_ctc *job);
int64_t mni_ctc_scratch(const mni_ctc *job);

/* The BLAS in use: "OpenBLAS 0.3.21 Zen", or "none". Static text. */
const char *mni_blas_name(void);

#endif
