/*
 * autograd/ops/pick.c: one element along a dimension, and its gradient, which puts one element
 * back. Each is the other's gradient, so the maximum and the losses over classes can be
 * differentiated to any order.
 */
#include "autograd/ops/ops.h"

typedef struct axis {
    int dim;
    int64_t size;
} axis;

/* x [outer, size, inner] <-> y [outer, inner]: the elements of x at index, moved in either
 * direction. */
#define MOVE(T)                                                                                    \
    for (int64_t o = 0, at = 0; o < outer; o++)                                                    \
        for (int64_t i = 0; i < inner; i++, at++) {                                                \
            T *inside = &((T *)(void *)x->data)[(o * size + index[at]) * inner + i];               \
            T *outside = &((T *)(void *)y->data)[at];                                              \
            *(place ? inside : outside) = *(place ? outside : inside);                             \
        }

static void move(const mn_tensor *x, int dim, const mn_tensor *indices, const mn_tensor *y,
                 bool place)
{
    const int64_t *index = (const int64_t *)(const void *)indices->data;
    int64_t size = x->shape[dim], outer = 1, inner = 1;
    for (int d = 0; d < x->ndim; d++) {
        if (d < dim) outer *= x->shape[d];
        if (d > dim) inner *= x->shape[d];
    }
    if (x->dtype == MN_F32) {
        MOVE(float)
    } else {
        MOVE(double)
    }
}

static void pick_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const axis *a = mn_saved_data(n);
    gx[0] = mni_place(t, gy[0], mn_saved(n, 0), a->dim, a->size);
}
static const mn_op pick_op = {.name = "pick", .backward = pick_backward};

mn_tensor *mni_pick(mn_tape *t, mn_tensor *x, mn_tensor *index, int dim)
{
    if (!mni_begin(t, &pick_op, (mn_tensor *[]){x, index}, 2)) return NULL;
    mn_tensor *dense = mni_dense(t, x);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, index->ndim, index->shape);
    if (dense && y) move(dense, dim, index, y, false);
    mn_node *n = mn_op_record(t, &pick_op, &x, 1, &y, 1);
    mn_save(n, index);
    mn_save_data(n, &(axis){dim, x->shape[dim]}, sizeof(axis));
    return mn_op_end(t, y);
}

static void place_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mni_pick(t, gy[0], mn_saved(n, 0), *(const int *)mn_saved_data(n));
}
static const mn_op place_op = {.name = "place", .backward = place_backward};

mn_tensor *mni_place(mn_tape *t, mn_tensor *g, mn_tensor *index, int dim, int64_t size)
{
    if (!mni_begin(t, &place_op, (mn_tensor *[]){g, index}, 2)) return NULL;
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d <= g->ndim; d++) shape[d] = d == dim ? size : g->shape[d < dim ? d : d - 1];
    mn_tensor *dense = mni_dense(t, g);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)g->dtype, g->ndim + 1, shape);
    if (dense && y) {
        mni_fill(mni_tape_team(t), y, 0);
        move(y, dim, index, dense, true);
    }
    mn_node *n = mn_op_record(t, &place_op, &g, 1, &y, 1);
    mn_save(n, index);
    mn_save_data(n, &dim, sizeof dim);
    return mn_op_end(t, y);
}
