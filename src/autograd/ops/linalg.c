/*
 * autograd/ops/linalg.c: what is done with vectors and matrices besides their product (matmul.c):
 * triangles, diagonals, the trace, and products of vectors.
 */
#include "autograd/ops/ops.h"
#include <string.h>

static bool require_ndim(mn_tape *t, const mn_tensor *x, int ndim)
{
    char text[MNI_TEXT];
    if (x->ndim == ndim) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "%s has %d dimensions, not %d",
                 mni_shape_text(text, sizeof text, x->ndim, x->shape), x->ndim, ndim);
    return false;
}

static bool vectors(mn_tape *t, const mn_op *op, mn_tensor *a, mn_tensor *b)
{
    return mni_begin(t, op, (mn_tensor *[]){a, b}, 2) && require_ndim(t, a, 1) &&
           require_ndim(t, b, 1) && mni_require_same_dtype(t, a, b);
}

mn_tensor *mn_dot(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "dot"};
    if (!vectors(t, &op, a, b) || !mni_require_float(t, a)) return NULL;
    if (a->numel != b->numel) return mni_shape_error(t, a, b, "the lengths differ");
    return mn_matmul(t, a, b);
}

mn_tensor *mn_outer(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    static const mn_op op = {.name = "outer"};
    if (!vectors(t, &op, a, b)) return NULL;
    return mn_mul(t, mn_reshape(t, a, 2, (int64_t[]){a->numel, 1}), b);
}

/* ---- a bilinear form ---- */

static bool bilinear_fits(mn_tape *t, mn_tensor *const *in)
{
    const mn_tensor *x1 = in[0], *x2 = in[1], *w = in[2], *bias = in[3];
    for (int i = 1; i < 4; i++)
        if (in[i] != MN_NONE && !mni_require_same_dtype(t, x1, in[i])) return false;
    bool fits = x1->ndim >= 1 && x1->ndim == x2->ndim && w->ndim == 3;
    for (int d = 0; fits && d < x1->ndim - 1; d++) fits = x1->shape[d] == x2->shape[d];
    fits = fits && x1->shape[x1->ndim - 1] == w->shape[1] && x2->shape[x2->ndim - 1] == w->shape[2];
    if (fits && (bias == MN_NONE || (bias->ndim == 1 && bias->shape[0] == w->shape[0])))
        return true;
    char text[4][MNI_TEXT] = {"", "", "", "none"};
    for (int i = 0; i < 4; i++)
        if (in[i] != MN_NONE) mni_shape_text(text[i], sizeof text[i], in[i]->ndim, in[i]->shape);
    mn_tape_fail(t, MN_ERR_SHAPE,
                 "x1 %s, x2 %s, weight %s and bias %s: [..., in1], [..., in2], [out, in1, in2] and "
                 "[out] are needed",
                 text[0], text[1], text[2], text[3]);
    return false;
}

mn_tensor *mn_bilinear(mn_tape *t, mn_tensor *x1, mn_tensor *x2, mn_tensor *weight, mn_tensor *bias)
{
    static const mn_op op = {.name = "bilinear"};
    mn_tensor *in[] = {x1, x2, weight, bias};
    if (!mni_begin(t, &op, in, 3) || !mn_op_begin(t, &op, in, 4) || !mni_require_float(t, x1) ||
        !bilinear_fits(t, in))
        return NULL;
    mn_tensor *y = mn_einsum(t, "...i,oij,...j->...o", (mn_tensor *[]){x1, weight, x2}, 3);
    return bias == MN_NONE ? y : mn_add(t, y, bias);
}

/* ---- triangles ---- */

static int64_t clamped(int64_t i, int64_t low, int64_t high)
{
    return i < low ? low : i > high ? high : i;
}

/* A copy of x with zeros above (of tril), or below, the k-th diagonal. */
static mn_tensor *triangle(mn_tape *t, const mn_op *op, mn_tensor *x, int64_t k, bool upper)
{
    char text[MNI_TEXT];
    if (!mni_begin(t, op, &x, 1)) return NULL;
    if (x->ndim < 2)
        return mn_tape_fail(t, MN_ERR_SHAPE, "%s is not a matrix",
                            mni_shape_text(text, sizeof text, x->ndim, x->shape));
    const int64_t rows = x->shape[x->ndim - 2], columns = x->shape[x->ndim - 1];
    const size_t size = mn_dtype_size((mn_dtype)x->dtype);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y) mni_copy(mni_tape_team(t), x, y);
    const int64_t first = clamped(k, -rows, columns) + !upper; /* of row 0, beyond the diagonal */
    for (int64_t r = 0; y && columns && r < y->numel / columns; r++) {
        const int64_t edge = clamped(r % rows + first, 0, columns);
        char *row = y->data + (size_t)(r * columns) * size;
        if (upper)
            memset(row, 0, (size_t)edge * size);
        else
            memset(row + (size_t)edge * size, 0, (size_t)(columns - edge) * size);
    }
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save_data(n, &k, sizeof k);
    return mn_op_end(t, y);
}

static void tril_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_tril(t, gy[0], *(const int64_t *)mn_saved_data(n));
}
static const mn_op tril_op = {.name = "tril", .backward = tril_backward};

mn_tensor *mn_tril(mn_tape *t, mn_tensor *x, int64_t k)
{
    return triangle(t, &tril_op, x, k, false);
}

static void triu_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_triu(t, gy[0], *(const int64_t *)mn_saved_data(n));
}
static const mn_op triu_op = {.name = "triu", .backward = triu_backward};

mn_tensor *mn_triu(mn_tape *t, mn_tensor *x, int64_t k)
{
    return triangle(t, &triu_op, x, k, true);
}

/* ---- diagonals ---- */

typedef struct diagonal {
    int64_t offset;
    int dim1, dim2;
} diagonal;

/* A header over x's diagonal; *begin: how many elements into x it begins. */
static mn_tensor look(const mn_tensor *x, diagonal at, int64_t *begin)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (d == at.dim1 || d == at.dim2) continue;
        shape[n] = x->shape[d];
        strides[n++] = x->strides[d];
    }
    const int64_t down = at.offset < 0 ? -at.offset : 0, right = at.offset > 0 ? at.offset : 0;
    const int64_t rows = x->shape[at.dim1] - down, columns = x->shape[at.dim2] - right;
    const int64_t least = rows < columns ? rows : columns;
    shape[n] = least > 0 ? least : 0;
    strides[n] = x->strides[at.dim1] + x->strides[at.dim2];
    *begin = least > 0 ? down * x->strides[at.dim1] + right * x->strides[at.dim2] : 0;
    mn_tensor y = mni_look(x, n + 1, shape, strides);
    y.data += *begin * (int64_t)mn_dtype_size((mn_dtype)x->dtype);
    return y;
}

static mn_tensor *embed(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape, diagonal at);

static void diagonal_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    gx[0] = embed(t, gy[0], ndim, shape, *(const diagonal *)mn_saved_data(n));
}
static const mn_op diagonal_op = {.name = "diagonal", .backward = diagonal_backward};

mn_tensor *mn_diagonal(mn_tape *t, mn_tensor *x, int64_t offset, int dim1, int dim2)
{
    if (!mni_begin(t, &diagonal_op, &x, 1) || !mni_require_dim(t, x, &dim1) ||
        !mni_require_dim(t, x, &dim2))
        return NULL;
    if (dim1 == dim2) return mn_tape_fail(t, MN_ERR_ARGUMENT, "dimension %d is given twice", dim1);
    int64_t begin;
    const diagonal at = {clamped(offset, -INT64_MAX, INT64_MAX), dim1, dim2};
    const mn_tensor seen = look(x, at, &begin);
    mn_tensor *y = mn_op_view(t, x, seen.ndim, seen.shape, seen.strides, begin);
    mn_node *n = mn_op_record(t, &diagonal_op, &x, 1, &y, 1);
    mn_save_data(n, &at, sizeof at);
    return mn_op_end(t, y);
}

static void embed_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const diagonal *at = mn_saved_data(n);
    gx[0] = mn_diagonal(t, gy[0], at->offset, at->dim1, at->dim2);
}
static const mn_op embed_op = {.name = "diagonal_embed", .backward = embed_backward};

/* Zeros of that shape with x on the diagonal. */
static mn_tensor *embed(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape, diagonal at)
{
    if (!mni_begin(t, &embed_op, &x, 1)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (y) {
        mn_tensor to = look(y, at, &(int64_t){0});
        mni_fill(mni_tape_team(t), y, 0);
        mni_copy(mni_tape_team(t), x, &to);
    }
    mn_node *n = mn_op_record(t, &embed_op, &x, 1, &y, 1);
    mn_save_data(n, &at, sizeof at);
    return mn_op_end(t, y);
}

mn_tensor *mn_trace(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "trace"};
    if (!mni_begin(t, &op, &x, 1) || !require_ndim(t, x, 2)) return NULL;
    return mn_sum(t, mn_diagonal(t, x, 0, 0, 1));
}
