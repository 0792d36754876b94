/*
 * autograd/ops/matmul.c: products of matrices, alone, added to another, and the linear layer's.
 * Everything ends in mni_gemm, which takes any strides, so transposed operands are not copied.
 */
#include "autograd/ops/ops.h"
#include <stdio.h>

/* The last two dimensions of x, from its data + offset elements on. */
static mni_matrix matrix(const mn_tensor *x, int64_t offset)
{
    return (mni_matrix){.data = x->data + offset * (int64_t)mn_dtype_size((mn_dtype)x->dtype),
                        .row = x->strides[x->ndim - 2],
                        .column = x->strides[x->ndim - 1]};
}

static mni_matrix transposed(mni_matrix m)
{
    return (mni_matrix){.data = m.data, .row = m.column, .column = m.row};
}

/* Contiguous x [..., k] as a matrix with rows of k. */
static mni_matrix rows_of(const mn_tensor *x, int64_t k)
{
    return (mni_matrix){.data = x->data, .row = k, .column = 1};
}

/* ---- matmul ---- */

/* Y = A B: gA = gY B^T, gB = A^T gY; the engine sums over the batches that were stretched.
 * Operands of one dimension do not arrive here. */
static void matmul_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    if (mn_needs(n, 0)) gx[0] = mn_matmul(t, gy[0], mn_transpose(t, mn_saved(n, 1), -2, -1));
    if (mn_needs(n, 1)) gx[1] = mn_matmul(t, mn_transpose(t, mn_saved(n, 0), -2, -1), gy[0]);
}

/* B is one matrix: both products have all rows of A at once and go straight into the gradients. */
static void matmul_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int b_ndim;
    mn_input_shape(n, 1, &b_ndim);
    if (b_ndim == 0) b_ndim = mn_tensor_ndim(mn_saved(n, 1)); /* B itself wants no gradient */
    if (b_ndim != 2) {
        matmul_backward(t, n, gy, gx);
        return;
    }
    bool accumulate;
    mn_dtype dtype = (mn_dtype)gy[0]->dtype;
    mn_tensor *g = mni_dense(t, gy[0]);
    int64_t columns = gy[0]->shape[gy[0]->ndim - 1];
    int64_t rows = columns ? gy[0]->numel / columns : 0;
    if (!g) return;
    mn_tensor *a = mn_needs(n, 1) ? mni_dense(t, mn_saved(n, 0)) : NULL;
    mn_tensor *b = mn_needs(n, 0) ? mn_saved(n, 1) : NULL;
    if (b && (gx[0] = mn_grad_into(n, 0, &accumulate))) {
        int64_t k = b->shape[0];
        mni_gemm(mni_tape_team(t), dtype, k ? gx[0]->numel / k : 0, k, columns, rows_of(g, columns),
                 transposed(matrix(b, 0)), gx[0]->data, k, NULL, accumulate);
    }
    if (a && (gx[1] = mn_grad_into(n, 1, &accumulate))) {
        int64_t k = gx[1]->shape[0];
        mni_gemm(mni_tape_team(t), dtype, k, columns, rows, transposed(rows_of(a, k)),
                 rows_of(g, columns), gx[1]->data, columns, NULL, accumulate);
    }
}
static const mn_op matmul_op = {.name = "matmul",
                                .backward = matmul_backward,
                                .backward_fast = matmul_backward_fast,
                                .flags = MN_OP_BROADCASTS};

/* shape <- the product's; false unless inner sizes and batches fit. */
static bool product_shape(mn_tape *t, const mn_tensor *a, const mn_tensor *b, int *ndim,
                          int64_t *shape)
{
    char what[96];
    *ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    if (a->ndim == 0 || b->ndim == 0)
        return mni_shape_error(t, a, b, "a single value is not a matrix: use mn_mul");
    int64_t inner_a = a->shape[a->ndim - 1], inner_b = b->shape[b->ndim > 1 ? b->ndim - 2 : 0];
    if (inner_a != inner_b) {
        snprintf(what, sizeof what, "inner sizes %lld and %lld differ", (long long)inner_a,
                 (long long)inner_b);
        return mni_shape_error(t, a, b, what);
    }
    for (int d = 0; d < *ndim - 2; d++) {
        int da = d - (*ndim - a->ndim), db = d - (*ndim - b->ndim);
        int64_t size_a = da < 0 ? 1 : a->shape[da], size_b = db < 0 ? 1 : b->shape[db];
        if (size_a != size_b && size_a != 1 && size_b != 1) {
            snprintf(what, sizeof what, "batch sizes %lld and %lld do not broadcast",
                     (long long)size_a, (long long)size_b);
            return mni_shape_error(t, a, b, what);
        }
        shape[d] = size_a == 1 ? size_b : size_a;
    }
    if (*ndim > 1) {
        shape[*ndim - 2] = a->shape[a->ndim > 1 ? a->ndim - 2 : 0];
        shape[*ndim - 1] = b->shape[b->ndim - 1];
    }
    return true;
}

/* Y = A B, one product a batch; all at once when B is one matrix and A's rows lie one behind the
 * other. */
static void multiply(mn_tape *t, const mn_tensor *a, const mn_tensor *b, mn_tensor *y)
{
    int64_t m = y->shape[y->ndim - 2], n = y->shape[y->ndim - 1], k = b->shape[b->ndim - 2];
    mni_team *team = mni_tape_team(t);
    mn_dtype dtype = (mn_dtype)y->dtype;
    if (y->numel == 0) return;
    mni_count_product(t, y->numel / n, n, k);
    if (b->ndim == 2 && a->contiguous) {
        mni_gemm(team, dtype, y->numel / n, n, k, rows_of(a, k), matrix(b, 0), y->data, n, NULL,
                 false);
        return;
    }
    int64_t index[MN_MAX_DIMS] = {0}, at_a = 0, at_b = 0;
    for (int64_t batch = 0; batch < y->numel / (m * n); batch++) {
        mni_gemm(team, dtype, m, n, k, matrix(a, at_a), matrix(b, at_b),
                 y->data + batch * m * n * (int64_t)mn_dtype_size(dtype), n, NULL, false);
        for (int d = y->ndim - 3; d >= 0; d--) {
            int da = d - (y->ndim - a->ndim), db = d - (y->ndim - b->ndim);
            int64_t step_a = da < 0 || a->shape[da] == 1 ? 0 : a->strides[da];
            int64_t step_b = db < 0 || b->shape[db] == 1 ? 0 : b->strides[db];
            at_a += step_a;
            at_b += step_b;
            if (++index[d] < y->shape[d]) break;
            at_a -= step_a * index[d];
            at_b -= step_b * index[d];
            index[d] = 0;
        }
    }
}

/* An operand of one dimension: as a matrix with one row or one column, which the result then
 * loses. */
static mn_tensor *vector_product(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    bool row = a->ndim == 1, column = b->ndim == 1;
    if (row) a = mn_reshape(t, a, 2, (int64_t[]){1, a->shape[0]});
    if (column) b = mn_reshape(t, b, 2, (int64_t[]){b->shape[0], 1});
    mn_tensor *y = mn_matmul(t, a, b);
    if (!y) return NULL;
    int64_t shape[MN_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < y->ndim; d++)
        if (!(row && d == y->ndim - 2) && !(column && d == y->ndim - 1))
            shape[ndim++] = y->shape[d];
    return mn_reshape(t, y, ndim, shape);
}

mn_tensor *mn_matmul(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    mn_tensor *in[] = {a, b};
    int64_t shape[MN_MAX_DIMS];
    int ndim;
    if (!mni_begin(t, &matmul_op, in, 2) || !mni_require_float(t, a) || !mni_require_float(t, b) ||
        !mni_require_same_dtype(t, a, b) || !product_shape(t, a, b, &ndim, shape))
        return NULL;
    if (a->ndim == 1 || b->ndim == 1) return vector_product(t, a, b);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)a->dtype, ndim, shape);
    if (y) multiply(t, a, b, y);
    mn_node *n = mn_op_record(t, &matmul_op, in, 2, &y, 1);
    mni_save_if(n, mn_tensor_requires_grad(b), a, b);
    mni_save_if(n, mn_tensor_requires_grad(a), b, a);
    return mn_op_end(t, y);
}

/* ---- addmm ---- */

typedef struct weights {
    double beta, alpha;
} weights;

/* Y = beta C + alpha A B; the engine sums C's gradient over what was stretched. */
static void addmm_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const weights *w = mn_saved_data(n);
    mn_tensor *g = w->alpha != 1 ? mn_mul_scalar(t, gy[0], w->alpha) : gy[0];
    if (mn_needs(n, 0)) gx[0] = mn_mul_scalar(t, gy[0], w->beta);
    if (mn_needs(n, 1)) gx[1] = mn_matmul(t, g, mn_transpose(t, mn_saved(n, 1), 0, 1));
    if (mn_needs(n, 2)) gx[2] = mn_matmul(t, mn_transpose(t, mn_saved(n, 0), 0, 1), g);
}
static const mn_op addmm_op = {
    .name = "addmm", .backward = addmm_backward, .flags = MN_OP_BROADCASTS};

/* shape <- the product's, to which c has to stretch. */
static bool addmm_fits(mn_tape *t, const mn_tensor *c, const mn_tensor *a, const mn_tensor *b,
                       int64_t *shape)
{
    int ndim;
    if (!mni_require_float(t, a) || !mni_require_same_dtype(t, a, b) ||
        !mni_require_same_dtype(t, c, a))
        return false;
    if (a->ndim != 2 || b->ndim != 2) {
        mni_shape_error(t, a, b, "two matrices are needed");
        return false;
    }
    if (!product_shape(t, a, b, &ndim, shape)) return false;
    bool fits = c->ndim <= 2;
    for (int d = 0; fits && d < c->ndim; d++)
        fits = c->shape[d] == 1 || c->shape[d] == shape[d + 2 - c->ndim];
    if (fits) return true;
    char from[MNI_TEXT], to[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_SHAPE, "%s does not stretch to the product's %s",
                 mni_shape_text(from, sizeof from, c->ndim, c->shape),
                 mni_shape_text(to, sizeof to, 2, shape));
    return false;
}

mn_tensor *mn_addmm(mn_tape *t, mn_tensor *c, mn_tensor *a, mn_tensor *b, double beta, double alpha)
{
    mn_tensor *in[] = {c, a, b};
    int64_t shape[2];
    if (!mni_begin(t, &addmm_op, in, 3) || !addmm_fits(t, c, a, b, shape)) return NULL;
    mni_team *team = mni_tape_team(t);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)a->dtype, 2, shape);
    if (y) {
        mni_count_product(t, shape[0], shape[1], a->shape[1]);
        mni_gemm(team, (mn_dtype)a->dtype, shape[0], shape[1], a->shape[1], matrix(a, 0),
                 matrix(b, 0), y->data, shape[1], NULL, false);
        if (beta != 0)
            mni_map2(team, mni_kernels()->axpby, y, c, y, (double[]){alpha, beta});
        else
            mni_map1(team, mni_kernels()->mul_scalar, y, y, &alpha);
    }
    mn_node *n = mn_op_record(t, &addmm_op, in, 3, &y, 1);
    mni_save_if(n, mn_tensor_requires_grad(b), a, b);
    mni_save_if(n, mn_tensor_requires_grad(a), b, a);
    mn_save_data(n, &(weights){beta, alpha}, sizeof(weights));
    return mn_op_end(t, y);
}

/* ---- linear ---- */

/* x [..., k] as [rows, k]. */
static mn_tensor *flat_rows(mn_tape *t, mn_tensor *x)
{
    int ndim = mn_tensor_ndim(x);
    int64_t k = mn_tensor_size(x, -1), rows = 1;
    for (int d = 0; d < ndim - 1; d++) rows *= mn_tensor_size(x, d);
    return ndim == 2 ? x : mn_reshape(t, x, 2, (int64_t[]){rows, k});
}

/* Y = X W^T + b: gX = gY W, gW = gY^T X, gb = the sum of gY's rows. */
static void linear_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *g = flat_rows(t, gy[0]);
    if (mn_needs(n, 0)) gx[0] = mn_matmul(t, gy[0], mn_saved(n, 1));
    if (mn_needs(n, 1))
        gx[1] = mn_matmul(t, mn_transpose(t, g, 0, 1), flat_rows(t, mn_saved(n, 0)));
    if (mn_needs(n, 2)) gx[2] = mn_sum_dim(t, g, (int[]){0}, 1, false);
}

static void linear_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    bool accumulate;
    mni_team *team = mni_tape_team(t);
    mn_dtype dtype = (mn_dtype)gy[0]->dtype;
    mn_tensor *g = mni_dense(t, gy[0]);
    if (!g) return;
    int64_t outs = g->shape[g->ndim - 1], rows = outs ? g->numel / outs : 0;
    mn_tensor *x = mn_needs(n, 1) ? mni_dense(t, mn_saved(n, 0)) : NULL;
    mn_tensor *w = mn_needs(n, 0) ? mn_saved(n, 1) : NULL;
    if (w && (gx[0] = mn_grad_into(n, 0, &accumulate))) {
        int64_t ins = w->shape[1];
        mni_gemm(team, dtype, ins ? gx[0]->numel / ins : 0, ins, outs, rows_of(g, outs),
                 matrix(w, 0), gx[0]->data, ins, NULL, accumulate);
    }
    if (x && rows == 1) gx[1] = mni_grad_outer(n, 1, g, x);
    if (x && !gx[1] && (gx[1] = mn_grad_into(n, 1, &accumulate))) {
        int64_t ins = gx[1]->shape[1];
        mni_gemm(team, dtype, outs, ins, rows, transposed(rows_of(g, outs)), rows_of(x, ins),
                 gx[1]->data, ins, NULL, accumulate);
    }
    if (mn_needs(n, 2) && (gx[2] = mn_grad_into(n, 2, &accumulate))) {
        mn_tensor flat = mni_look(g, 2, (int64_t[]){rows, outs}, NULL);
        mni_sum(team, &flat, (bool[]){true, false}, gx[2], accumulate);
    }
}
static const mn_op linear_op = {
    .name = "linear", .backward = linear_backward, .backward_fast = linear_backward_fast};

static bool linear_fits(mn_tape *t, const mn_tensor *x, const mn_tensor *w, const mn_tensor *bias)
{
    if (x == MN_NONE || w == MN_NONE) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is MN_NONE, but a tensor is needed",
                     x == MN_NONE ? "x" : "weight");
        return false;
    }
    if (!mni_require_float(t, x) || !mni_require_same_dtype(t, x, w)) return false;
    if (bias != MN_NONE && !mni_require_same_dtype(t, x, bias)) return false;
    bool matrices = w->ndim == 2 && x->ndim >= 1;
    bool inner = matrices && x->shape[x->ndim - 1] == w->shape[1];
    bool ends = bias == MN_NONE || (inner && bias->ndim == 1 && bias->shape[0] == w->shape[0]);
    if (inner && ends) return true;

    char a[MNI_TEXT], b[MNI_TEXT];
    mni_shape_text(a, sizeof a, x->ndim, x->shape);
    mni_shape_text(b, sizeof b, w->ndim, w->shape);
    if (!matrices) {
        mn_tape_fail(t, MN_ERR_SHAPE, "x %s and weight %s: [..., in] and [out, in] are needed", a,
                     b);
    } else if (!inner) {
        mn_tape_fail(t, MN_ERR_SHAPE, "matmul of %s and %s: inner sizes %lld and %lld differ", a, b,
                     (long long)x->shape[x->ndim - 1], (long long)w->shape[1]);
    } else {
        mn_tape_fail(t, MN_ERR_SHAPE, "bias %s, weight %s: [%lld] is needed",
                     mni_shape_text(a, sizeof a, bias->ndim, bias->shape), b,
                     (long long)w->shape[0]);
    }
    return false;
}

mn_tensor *mn_linear(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias)
{
    mn_tensor *in[] = {x, weight, bias};
    if (!mn_op_begin(t, &linear_op, in, 3) || !linear_fits(t, x, weight, bias)) return NULL;
    int64_t shape[MN_MAX_DIMS], ins = weight->shape[1], outs = weight->shape[0];
    for (int d = 0; d < x->ndim - 1; d++) shape[d] = x->shape[d];
    shape[x->ndim - 1] = outs;
    mn_tensor *rows = x->ndim == 2 ? x : mni_dense(t, x);
    mn_tensor *b = bias == MN_NONE ? NULL : mni_dense(t, bias);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, shape);
    if (y && rows && (b || bias == MN_NONE)) {
        mni_count_product(t, y->numel, 1, ins);
        mni_gemm(mni_tape_team(t), (mn_dtype)x->dtype, outs ? y->numel / outs : 0, outs, ins,
                 x->ndim == 2 ? matrix(rows, 0) : rows_of(rows, ins), transposed(matrix(weight, 0)),
                 y->data, outs, b ? b->data : NULL, false);
    }
    mn_node *n = mn_op_record(t, &linear_op, in, 3, &y, 1);
    mni_save_if(n, mn_tensor_requires_grad(weight), x, weight);
    mn_save(n, weight);
    return mn_op_end(t, y);
}
