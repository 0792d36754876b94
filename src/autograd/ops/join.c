/*
 * autograd/ops/join.c: tensors put together, and one put beside itself.
 */
#include "autograd/ops/ops.h"

/* ---- cat ---- */

/* Saved: where each input begins along dim, and where the last one ends. */
static void cat_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int dim = *(const int *)mn_saved_data(n);
    const mn_tensor *starts = mn_saved(n, 0);
    const int64_t *at = mn_tensor_data(starts);
    for (int64_t i = 0; i < mn_tensor_numel(starts) - 1; i++)
        if (mn_needs(n, (int)i)) gx[i] = mn_narrow(t, gy[0], dim, at[i], at[i + 1] - at[i]);
}
static const mn_op cat_op = {.name = "cat", .backward = cat_backward};

static bool begin_join(mn_tape *t, const mn_op *op, mn_tensor *const *xs, int n)
{
    if (n >= 1 && xs) return mni_begin(t, op, xs, n);
    if (mn_op_begin(t, op, NULL, 0))
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%d tensors, at least 1 is needed", xs ? n : 0);
    return false;
}

/* Whether tensor i has the first one's dtype and, but for dimension dim (-1: none), shape. */
static bool joins(mn_tape *t, const mn_tensor *first, const mn_tensor *x, int i, int dim)
{
    if (!mni_require_same_dtype(t, first, x)) return false;
    bool fits = x->ndim == first->ndim;
    for (int d = 0; fits && d < x->ndim; d++) fits = d == dim || x->shape[d] == first->shape[d];
    if (fits) return true;
    char a[MNI_TEXT], b[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_SHAPE,
                 dim < 0 ? "%s and %s (tensor %d) differ"
                         : "%s and %s (tensor %d) differ in more than dimension %d",
                 mni_shape_text(a, sizeof a, first->ndim, first->shape),
                 mni_shape_text(b, sizeof b, x->ndim, x->shape), i, dim);
    return false;
}

mn_tensor *mn_cat(mn_tape *t, mn_tensor *const *xs, int n, int dim)
{
    if (!begin_join(t, &cat_op, xs, n) || !mni_require_dim(t, xs[0], &dim)) return NULL;
    mn_tensor *starts = mni_tape_tensor(t, MN_I64, 1, (int64_t[]){(int64_t)n + 1});
    if (!starts) return NULL;
    int64_t shape[MN_MAX_DIMS], *at = (int64_t *)(void *)starts->data;
    for (int d = 0; d < xs[0]->ndim; d++) shape[d] = xs[0]->shape[d];
    at[0] = 0;
    for (int i = 0; i < n; i++) {
        if (!joins(t, xs[0], xs[i], i, dim)) return NULL;
        at[i + 1] = at[i] + xs[i]->shape[dim];
    }
    shape[dim] = at[n];
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)xs[0]->dtype, xs[0]->ndim, shape);
    for (int i = 0; y && i < n; i++) {
        mn_tensor to = mni_part(y, dim, at[i], 1, xs[i]->shape[dim]);
        mni_copy(mni_tape_team(t), xs[i], &to);
    }
    mn_node *node = mn_op_record(t, &cat_op, xs, n, &y, 1);
    mn_save(node, starts);
    mn_save_data(node, &dim, sizeof dim);
    return mn_op_end(t, y);
}

/* ---- stack ---- */

static void stack_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    for (int i = 0; i < n->n_in; i++)
        if (mn_needs(n, i)) gx[i] = mn_select(t, gy[0], *(const int *)mn_saved_data(n), i);
}
static const mn_op stack_op = {.name = "stack", .backward = stack_backward};

mn_tensor *mn_stack(mn_tape *t, mn_tensor *const *xs, int n, int dim)
{
    if (!begin_join(t, &stack_op, xs, n) || !mni_require_new_dim(t, xs[0], &dim)) return NULL;
    int64_t shape[MN_MAX_DIMS];
    for (int i = 1; i < n; i++)
        if (!joins(t, xs[0], xs[i], i, -1)) return NULL;
    for (int d = 0; d <= xs[0]->ndim; d++)
        shape[d] = d == dim ? n : xs[0]->shape[d < dim ? d : d - 1];
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)xs[0]->dtype, xs[0]->ndim + 1, shape);
    for (int i = 0; y && i < n; i++) {
        mn_tensor to = mni_plane(y, dim, i);
        mni_copy(mni_tape_team(t), xs[i], &to);
    }
    mn_node *node = mn_op_record(t, &stack_op, xs, n, &y, 1);
    mn_save_data(node, &dim, sizeof dim);
    return mn_op_end(t, y);
}

/* ---- repeat ---- */

/* Sums over the copies, one dimension after the other. */
static void repeat_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const int64_t *repeats = mn_saved_data(n), *whole = n->out[0].shape;
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim);
    const int extra = n->out[0].ndim - ndim;
    int64_t outer = 1;
    gx[0] = gy[0];
    for (int d = 0; d < extra + ndim; d++) {
        int64_t size = d < extra ? 1 : shape[d - extra], inner = size;
        for (int k = d + 1; k < extra + ndim; k++) inner *= whole[k];
        if (repeats[d] != 1) {
            mn_tensor *copies = mn_reshape(t, gx[0], 3, (int64_t[]){outer, repeats[d], inner});
            gx[0] = mn_sum_dim(t, copies, (int[]){1}, 1, false);
        }
        outer *= size;
    }
    gx[0] = mn_reshape(t, gx[0], ndim, shape);
}
static const mn_op repeat_op = {.name = "repeat", .backward = repeat_backward};

/* Copies the first `size` positions of dimension dim to all further ones, twice as many at a time. */
static void spread(mni_team *team, const mn_tensor *y, int dim, int64_t size)
{
    for (int64_t done = size, more; done > 0 && done < y->shape[dim]; done += more) {
        more = done < y->shape[dim] - done ? done : y->shape[dim] - done;
        const mn_tensor from = mni_part(y, dim, 0, 1, more);
        mn_tensor to = mni_part(y, dim, done, 1, more);
        mni_copy(team, &from, &to);
    }
}

mn_tensor *mn_repeat(mn_tape *t, mn_tensor *x, int ndim, const int64_t *repeats)
{
    if (!mni_begin(t, &repeat_op, &x, 1)) return NULL;
    int64_t shape[MN_MAX_DIMS], size[MN_MAX_DIMS];
    const int extra = ndim - x->ndim;
    bool fits = extra >= 0 && ndim <= MN_MAX_DIMS && (repeats || ndim == 0);
    if (!fits)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d repeats for %d dimensions, %d to %d fit",
                            repeats ? ndim : 0, x->ndim, x->ndim, MN_MAX_DIMS);
    for (int d = 0; d < ndim; d++) {
        size[d] = d < extra ? 1 : x->shape[d - extra];
        fits &= repeats[d] >= 0 && !__builtin_mul_overflow(size[d], repeats[d], &shape[d]);
    }
    if (!fits) {
        char from[MNI_TEXT], by[MNI_TEXT];
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s cannot be repeated %s times",
                            mni_shape_text(from, sizeof from, x->ndim, x->shape),
                            mni_shape_text(by, sizeof by, ndim, repeats));
    }
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, ndim, shape);
    if (y && y->numel > 0) { /* x into the first corner, which then grows */
        mn_tensor corner = mni_look(y, ndim, size, y->strides);
        mni_copy(mni_tape_team(t), x, &corner);
        for (int d = ndim - 1; d >= 0; d--) {
            const int64_t done = size[d];
            size[d] = shape[d];
            corner = mni_look(y, ndim, size, y->strides);
            spread(mni_tape_team(t), &corner, d, done);
        }
    }
    mn_node *n = mn_op_record(t, &repeat_op, &x, 1, &y, 1);
    mn_save_data(n, repeats, (size_t)ndim * sizeof *repeats);
    return mn_op_end(t, y);
}
