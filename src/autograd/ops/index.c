/*
 * autograd/ops/index.c: elements taken from, and put to, the positions that an index gives. Two ops
 * are the gradients of all: pick, which takes, and place, which adds to zeros; each is the other's.
 */
#include "autograd/ops/ops.h"
#include <stdio.h>
#include <string.h>

/* ---- checks ---- */

bool mni_require_index(mn_tape *t, const mn_tensor *index)
{
    if (index->dtype == MN_I64) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "positions are i64, not %s: write mn_to(t, index, MN_I64)",
                 mn_dtype_name((mn_dtype)index->dtype));
    return false;
}

/* Every element of index from low to size - 1; dimension dim of something has that size. */
bool mni_require_within(mn_tape *t, const mn_tensor *index, int64_t low, int64_t size, int dim)
{
    if (mni_index_fits(mni_tape_team(t), index, low, size)) return true;
    int64_t at[MN_MAX_DIMS] = {0}, v;
    for (;;) {
        v = mn_tensor_get_i64(index, at);
        if (v < low || v >= size) break;
        for (int d = index->ndim - 1; d >= 0 && ++at[d] == index->shape[d]; d--) at[d] = 0;
    }
    char text[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_ARGUMENT,
                 size > 0 ? "index %s is %lld, but dimension %d has size %lld (%lld to %lld)"
                          : "index %s is %lld, but dimension %d has size %lld",
                 mni_shape_text(text, sizeof text, index->ndim, at), (long long)v, dim,
                 (long long)size, (long long)low, (long long)size - 1);
    return false;
}

/* index has as many dimensions as x and, apart from dimension dim (-1: none), is no larger. */
static bool require_smaller(mn_tape *t, const mn_tensor *index, const mn_tensor *x, int dim)
{
    bool fits = index->ndim == x->ndim;
    for (int d = 0; fits && d < x->ndim; d++) fits = d == dim || index->shape[d] <= x->shape[d];
    if (fits) return true;
    mni_shape_error(t, index, x,
                    dim < 0 ? "the index needs as many dimensions, none larger"
                            : "the index needs as many dimensions, none larger but the one "
                              "it leads along");
    return false;
}

/* A 1-d index, stretched over x in all dimensions but dim. */
static mn_tensor *stretched(mn_tape *t, mn_tensor *index, const mn_tensor *x, int dim)
{
    int64_t shape[MN_MAX_DIMS], strides[MN_MAX_DIMS] = {0};
    memcpy(shape, x->shape, sizeof shape);
    shape[dim] = index->shape[0];
    strides[dim] = index->strides[0];
    return mn_op_view(t, index, x->ndim, shape, strides, 0);
}

static bool require_vector(mn_tape *t, const mn_tensor *index)
{
    char text[MNI_TEXT];
    if (index->ndim == 1) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "the index has to have one dimension, not the shape %s",
                 mni_shape_text(text, sizeof text, index->ndim, index->shape));
    return false;
}

/* ---- pick and place ---- */

typedef struct axis {
    int dim;
    int64_t skip; /* no gradient to and from this position; -1: none such */
} axis;

mn_tensor *mni_place_into(mn_tape *t, mn_node *n, const mn_tensor *g, const mn_tensor *index,
                          int dim, int64_t skip)
{
    bool accumulate;
    mn_tensor *gx = g && index ? mn_grad_into(n, 0, &accumulate) : NULL;
    if (!gx) return NULL;
    if (!accumulate) mni_fill(mni_tape_team(t), gx, 0);
    mni_scatter(mni_tape_team(t), g, dim, index, skip, true, gx);
    return gx;
}

static void pick_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const axis *a = mn_saved_data(n);
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    gx[0] = mni_place(t, gy[0], mn_saved(n, 0), a->dim, ndim, shape, a->skip);
}
static void pick_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const axis *a = mn_saved_data(n);
    gx[0] = mni_place_into(t, n, gy[0], mn_saved(n, 0), a->dim, a->skip);
}
#define PICKS(text)                                                                                \
    {                                                                                              \
        .name = (text), .backward = pick_backward, .backward_fast = pick_backward_fast             \
    }
static const mn_op pick_op = PICKS("pick");

/* y[.., i, ..] = x[.., index[.., i, ..], ..]. A position to skip gives 0 if the op is a gradient. */
static mn_tensor *picked(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, mn_tensor *index,
                         int64_t skip)
{
    if (!index) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, index->ndim, index->shape);
    if (y) mni_gather(mni_tape_team(t), x, dim, index, op == &pick_op ? skip : -1, y);
    mn_node *n = mn_op_record(t, op, &x, 1, &y, 1);
    mn_save(n, index);
    mn_save_data(n, &(axis){dim, skip}, sizeof(axis));
    return mn_op_end(t, y);
}

mn_tensor *mni_pick(mn_tape *t, mn_tensor *x, mn_tensor *index, int dim, int64_t skip)
{
    if (!mni_begin(t, &pick_op, (mn_tensor *[]){x, index}, 2)) return NULL;
    return picked(t, &pick_op, x, dim, index, skip);
}

static void place_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const axis *a = mn_saved_data(n);
    gx[0] = mni_pick(t, gy[0], mn_saved(n, 0), a->dim, a->skip);
}
static const mn_op place_op = {.name = "place", .backward = place_backward};

mn_tensor *mni_place(mn_tape *t, mn_tensor *g, mn_tensor *index, int dim, int ndim,
                     const int64_t *shape, int64_t skip)
{
    if (!mni_begin(t, &place_op, (mn_tensor *[]){g, index}, 2)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)g->dtype, ndim, shape);
    if (y) {
        mni_fill(mni_tape_team(t), y, 0);
        mni_scatter(mni_tape_team(t), g, dim, index, skip, true, y);
    }
    mn_node *n = mn_op_record(t, &place_op, &g, 1, &y, 1);
    mn_save(n, index);
    mn_save_data(n, &(axis){dim, skip}, sizeof(axis));
    return mn_op_end(t, y);
}

/* ---- taking ---- */

static const mn_op gather_op = PICKS("gather");

mn_tensor *mn_gather(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index)
{
    if (!mni_begin(t, &gather_op, (mn_tensor *[]){x, index}, 2) || !mni_require_index(t, index) ||
        !mni_require_dim(t, x, &dim) || !require_smaller(t, index, x, dim) ||
        !mni_require_within(t, index, 0, x->shape[dim], dim))
        return NULL;
    return picked(t, &gather_op, x, dim, index, -1);
}

static const mn_op index_select_op = PICKS("index_select");

mn_tensor *mn_index_select(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index)
{
    if (!mni_begin(t, &index_select_op, (mn_tensor *[]){x, index}, 2) ||
        !mni_require_index(t, index) || !mni_require_dim(t, x, &dim) || !require_vector(t, index) ||
        !mni_require_within(t, index, 0, x->shape[dim], dim))
        return NULL;
    return picked(t, &index_select_op, x, dim, stretched(t, index, x, dim), -1);
}

static const mn_op take_along_dim_op = PICKS("take_along_dim");

/* Negative positions count from the end: a copy of index without them. */
static mn_tensor *from_start(mn_tape *t, const mn_tensor *index, int64_t size)
{
    mn_tensor *y = index ? mni_tape_tensor(t, MN_I64, index->ndim, index->shape) : NULL;
    if (!y) return NULL;
    mni_copy(mni_tape_team(t), index, y);
    int64_t *at = (int64_t *)(void *)y->data;
    for (int64_t i = 0; i < y->numel; i++) at[i] += at[i] < 0 ? size : 0;
    return y;
}

mn_tensor *mn_take_along_dim(mn_tape *t, mn_tensor *x, mn_tensor *index, int dim)
{
    mn_tensor *in[] = {x, index};
    if (!mni_begin(t, &take_along_dim_op, in, 2) || !mni_require_index(t, index) ||
        !mni_require_dim(t, x, &dim) ||
        (index->ndim == x->ndim &&
         !mni_require_within(t, index, -x->shape[dim], x->shape[dim], dim)))
        return NULL;
    int64_t to[MN_MAX_DIMS], size = x->shape[dim];
    bool fits = index->ndim == x->ndim;
    for (int d = 0; fits && d < x->ndim; d++) {
        to[d] = x->shape[d] == 1 ? index->shape[d] : x->shape[d];
        fits = d == dim || index->shape[d] == to[d] || index->shape[d] == 1;
    }
    if (!fits)
        return mni_shape_error(t, x, index,
                               "as many dimensions are needed, that broadcast but for the one "
                               "the index leads along");
    to[dim] = size;
    in[0] = mn_expand(t, x, x->ndim, to);
    to[dim] = index->shape[dim];
    in[1] = mn_expand(t, index, x->ndim, to);
    if (!mni_begin(t, &take_along_dim_op, in, 2)) return NULL;
    return picked(t, &take_along_dim_op, in[0], dim, from_start(t, in[1], size), -1);
}

/* ---- putting ---- */

/* Saved: where; the gradient of what was overwritten is 0. */
static void scatter_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const axis *a = mn_saved_data(n);
    mn_tensor *index = mn_saved(n, 0);
    if (mn_needs(n, 0)) gx[0] = mn_scatter_scalar(t, gy[0], a->dim, index, 0);
    if (mn_needs(n, 1)) gx[1] = mni_pick(t, gy[0], index, a->dim, -1);
}
static const mn_op scatter_op = {.name = "scatter", .backward = scatter_backward};
static const mn_op scatter_scalar_op = {
    .name = "scatter_scalar", .backward = scatter_backward, .flags = MN_OP_FILLS};

static void add_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const axis *a = mn_saved_data(n);
    gx[0] = gy[0];
    if (mn_needs(n, 1)) gx[1] = mni_pick(t, gy[0], mn_saved(n, 0), a->dim, -1);
}
static const mn_op scatter_add_op = {.name = "scatter_add", .backward = add_backward};
static const mn_op index_add_op = {.name = "index_add", .backward = add_backward};

/* x with the elements of src (in[1]; n_in 1: not an input) put to, or added at, their positions. */
static mn_tensor *scattered(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in,
                            const mn_tensor *src, int dim, mn_tensor *index, bool add)
{
    mn_tensor *x = in[0];
    mn_tensor *y = index ? mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape) : NULL;
    if (y) {
        mni_copy(mni_tape_team(t), x, y);
        mni_scatter(mni_tape_team(t), src, dim, index, -1, add, y);
    }
    mn_node *n = mn_op_record(t, op, in, n_in, &y, 1);
    mn_save(n, index);
    mn_save_data(n, &(axis){.dim = dim}, sizeof(axis));
    return mn_op_end(t, y);
}

static bool require_sum(mn_tape *t, const mn_tensor *x)
{
    if (x->dtype != MN_BOOL) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "does not take bool");
    return false;
}

static mn_tensor *scatter(mn_tape *t, const mn_op *op, mn_tensor *x, int dim, mn_tensor *index,
                          mn_tensor *src, bool add)
{
    if (!mni_begin(t, op, (mn_tensor *[]){x, index, src}, 3) || !mni_require_index(t, index) ||
        !mni_require_same_dtype(t, x, src) || (add && !require_sum(t, x)) ||
        !mni_require_dim(t, x, &dim) || !require_smaller(t, index, x, dim) ||
        !require_smaller(t, index, src, -1) || !mni_require_within(t, index, 0, x->shape[dim], dim))
        return NULL;
    for (int d = 0; src && d < x->ndim; d++) /* what is further is not used */
        if (src->shape[d] > index->shape[d]) src = mn_narrow(t, src, d, 0, index->shape[d]);
    mn_tensor *in[] = {x, src};
    return mni_begin(t, op, in, 2) ? scattered(t, op, in, 2, src, dim, index, add) : NULL;
}

mn_tensor *mn_scatter(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index, mn_tensor *src)
{
    return scatter(t, &scatter_op, x, dim, index, src, false);
}

mn_tensor *mn_scatter_add(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index, mn_tensor *src)
{
    return scatter(t, &scatter_add_op, x, dim, index, src, true);
}

mn_tensor *mn_scatter_scalar(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index, double value)
{
    if (!mni_begin(t, &scatter_scalar_op, (mn_tensor *[]){x, index}, 2) ||
        !mni_require_index(t, index) || !mni_require_scalar(t, x, value) ||
        !mni_require_dim(t, x, &dim) || !require_smaller(t, index, x, dim) ||
        !mni_require_within(t, index, 0, x->shape[dim], dim))
        return NULL;
    int64_t memory, strides[MN_MAX_DIMS] = {0};
    mn_tensor one = {.data = (char *)&memory};
    mni_set_shape(&one, (mn_dtype)x->dtype, 0, NULL, NULL);
    mni_fill(NULL, &one, value);
    mn_tensor src = mni_look(&one, index->ndim, index->shape, strides);
    return scattered(t, &scatter_scalar_op, &x, 1, &src, dim, index, false);
}

mn_tensor *mn_index_add(mn_tape *t, mn_tensor *x, int dim, mn_tensor *index, mn_tensor *src)
{
    mn_tensor *in[] = {x, src};
    if (!mni_begin(t, &index_add_op, (mn_tensor *[]){x, index, src}, 3) ||
        !mni_require_index(t, index) || !mni_require_same_dtype(t, x, src) || !require_sum(t, x) ||
        !mni_require_dim(t, x, &dim) || !require_vector(t, index) ||
        !mni_require_within(t, index, 0, x->shape[dim], dim))
        return NULL;
    bool fits = src->ndim == x->ndim;
    for (int d = 0; fits && d < x->ndim; d++)
        fits = src->shape[d] == (d == dim ? index->shape[0] : x->shape[d]);
    if (!fits) {
        char what[96];
        snprintf(what, sizeof what, "they may differ in dimension %d only, the second with %lld",
                 dim, (long long)index->shape[0]);
        return mni_shape_error(t, x, src, what);
    }
    return scattered(t, &index_add_op, in, 2, src, dim, stretched(t, index, x, dim), true);
}

static const mn_op one_hot_op = {.name = "one_hot"};

mn_tensor *mn_one_hot(mn_tape *t, mn_tensor *index, int64_t num_classes)
{
    if (!mni_begin(t, &one_hot_op, &index, 1) || !mni_require_index(t, index)) return NULL;
    if (num_classes < 1 && num_classes != -1)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%lld classes: at least 1, or -1 to count them",
                            (long long)num_classes);
    mn_tensor *dense = mni_dense(t, index);
    if (!dense) return NULL;
    if (num_classes < 0) {
        if (dense->numel == 0)
            return mn_tape_fail(t, MN_ERR_ARGUMENT, "no classes can be counted in no elements");
        const mn_tensor flat = mni_look(dense, 1, &dense->numel, NULL);
        mn_tensor most = {.data = (char *)&num_classes};
        mni_set_shape(&most, MN_I64, 0, NULL, NULL);
        mni_fold(mni_tape_team(t), MNI_LARGEST, NULL, &flat, (bool[]){true}, &most);
        num_classes = num_classes < 0 ? 1 : num_classes + 1;
    }
    if (!mni_require_within(t, index, 0, num_classes, index->ndim)) return NULL;
    int64_t shape[MN_MAX_DIMS + 1];
    memcpy(shape, index->shape, sizeof index->shape);
    shape[index->ndim] = num_classes;
    mn_tensor *y = mni_tape_tensor(t, MN_I64, index->ndim + 1, shape);
    if (!y) return NULL;
    const int64_t *c = (const int64_t *)(const void *)dense->data;
    int64_t *row = (int64_t *)(void *)y->data;
    memset(row, 0, (size_t)y->numel * sizeof *row);
    for (int64_t i = 0; i < dense->numel; i++, row += num_classes) row[c[i]] = 1;
    return mn_op_end(t, y);
}

/* ---- masks ---- */

/* The positions at which mask, contiguous, is true. */
static mn_tensor *positions(mn_tape *t, const mn_tensor *mask)
{
    if (!mask) return NULL;
    const int64_t n = mni_count(mask);
    mn_tensor *at = mni_tape_tensor(t, MN_I64, 1, &n);
    if (at) mni_positions(mask, n, (int64_t *)(void *)at->data);
    return at;
}

static const mn_op masked_select_op = PICKS("masked_select");

mn_tensor *mn_masked_select(mn_tape *t, mn_tensor *x, mn_tensor *mask)
{
    if (!mni_begin(t, &masked_select_op, (mn_tensor *[]){x, mask}, 2)) return NULL;
    if (mask->dtype != MN_BOOL)
        return mn_tape_fail(t, MN_ERR_DTYPE,
                            "a mask is bool, not %s: write mn_to(t, mask, MN_BOOL)",
                            mn_dtype_name((mn_dtype)mask->dtype));
    mn_tensor *m = mni_broadcast_output(t, MN_BOOL, x, mask);
    if (!m) return NULL;
    mni_copy(mni_tape_team(t), mask, m);
    mn_tensor *at = positions(t, m);
    if (!mn_tensor_same_shape(x, m)) x = mn_expand(t, x, m->ndim, m->shape);
    x = mn_flatten(t, x, 0, -1);
    if (!mni_begin(t, &masked_select_op, &x, 1)) return NULL;
    return picked(t, &masked_select_op, x, 0, at, -1);
}

static const mn_op nonzero_op = {.name = "nonzero"};

mn_tensor *mn_nonzero(mn_tape *t, mn_tensor *x)
{
    if (!mni_begin(t, &nonzero_op, &x, 1)) return NULL;
    mn_tensor *mask = mni_tape_tensor(t, MN_BOOL, x->ndim, x->shape);
    if (mask) mni_copy(mni_tape_team(t), x, mask);
    const mn_tensor *at = positions(t, mask);
    mn_tensor *y = at ? mni_tape_tensor(t, MN_I64, 2, (int64_t[]){at->numel, x->ndim}) : NULL;
    if (!y) return NULL;
    const int64_t *from = (const int64_t *)(const void *)at->data;
    int64_t *to = (int64_t *)(void *)y->data;
    for (int64_t i = 0; i < at->numel; i++, to += x->ndim) {
        int64_t rest = from[i];
        for (int d = x->ndim - 1; d >= 0; d--) {
            to[d] = rest % x->shape[d];
            rest /= x->shape[d];
        }
    }
    return mn_op_end(t, y);
}
