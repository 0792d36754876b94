/*
 * autograd/ops/scan.c: running sums and products along a dimension. Their gradients are running
 * sums and linear recurrences in the other direction, and those are each other's gradients: nothing
 * is divided, so zeros need no case of their own, in derivatives of any order.
 */
#include "autograd/ops/ops.h"

typedef struct course {
    int dim;
    bool reversed;
} course;

static mn_tensor *scanned(mn_tape *t, mni_scanning how, mn_tensor *a, mn_tensor *x, course c)
{
    x = mni_wide(t, x);
    mn_tensor *y = x ? mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape) : NULL;
    if (y) mni_scan(mni_tape_team(t), how, a, x, c.dim, c.reversed, y);
    return y;
}

/* ---- cumsum ---- */

static mn_tensor *cumsum(mn_tape *t, mn_tensor *x, course c);

static void cumsum_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const course *c = mn_saved_data(n);
    gx[0] = cumsum(t, gy[0], (course){c->dim, !c->reversed});
}
static const mn_op cumsum_op = {.name = "cumsum", .backward = cumsum_backward};

static mn_tensor *cumsum(mn_tape *t, mn_tensor *x, course c)
{
    if (!mni_begin(t, &cumsum_op, &x, 1) || !mni_require_dim(t, x, &c.dim)) return NULL;
    mn_tensor *y = scanned(t, MNI_CUMSUM, NULL, x, c);
    mn_node *n = mn_op_record(t, &cumsum_op, &x, 1, &y, 1);
    mn_save_data(n, &c, sizeof c);
    return mn_op_end(t, y);
}

mn_tensor *mn_cumsum(mn_tape *t, mn_tensor *x, int dim)
{
    return cumsum(t, x, (course){.dim = dim});
}

/* ---- linear recurrences: y_i = a_i y_{i-1} + x_i, reversed y_i = a_{i+1} y_{i+1} + x_i ---- */

/* y with `before` times the value in front of dimension dim, and `after` at its end. */
static mn_tensor *padded(mn_tape *t, mn_tensor *y, int dim, int64_t before, int64_t after,
                         double value)
{
    if (!y) return NULL;
    int64_t pads[2 * MN_MAX_DIMS] = {0};
    const int last = 2 * (y->ndim - 1 - dim);
    pads[last] = before;
    pads[last + 1] = after;
    return mn_pad(t, y, pads, last + 2, MN_PAD_CONSTANT, value);
}

/* y moved on by one place along dim. */
static mn_tensor *moved_on(mn_tape *t, mn_tensor *y, int dim, double first)
{
    return mn_tensor_size(y, dim) > 0 ? padded(t, y, dim, 1, -1, first) : y;
}

static mn_tensor *linear(mn_tape *t, mn_tensor *a, mn_tensor *x, course c);

/* gx is the same recurrence from the other end; a_i gets what came through it. */
static void linear_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const course *c = mn_saved_data(n);
    mn_tensor *y = mn_saved(n, 1);
    mn_tensor *g = linear(t, mn_saved(n, 0), gy[0], (course){c->dim, !c->reversed});
    gx[1] = g;
    if (!mn_needs(n, 0)) return;
    gx[0] = c->reversed ? mn_mul(t, moved_on(t, g, c->dim, 0), y)
                        : mn_mul(t, g, moved_on(t, y, c->dim, 0));
}
static const mn_op linear_op = {.name = "linear_recurrence", .backward = linear_backward};

static mn_tensor *linear(mn_tape *t, mn_tensor *a, mn_tensor *x, course c)
{
    mn_tensor *in[] = {a, x};
    if (!mni_begin(t, &linear_op, in, 2)) return NULL;
    mn_tensor *y = scanned(t, MNI_LINEAR, a, x, c);
    mn_node *n = mn_op_record(t, &linear_op, in, 2, &y, 1);
    mn_save(n, a);
    mn_save(n, y);
    mn_save_data(n, &c, sizeof c);
    return mn_op_end(t, y);
}

/* ---- cumprod ---- */

/* gx_i = y_{i-1} h_i, where h_i = gy_i + x_{i+1} h_{i+1} is what y_i is worth. */
static mn_tensor *cumprod_gradient(mn_tape *t, mn_tensor *x, mn_tensor *y, mn_tensor *gy, int dim)
{
    mn_tensor *worth = linear(t, x, gy, (course){dim, true});
    return mn_mul(t, worth, moved_on(t, y, dim, 1));
}

static void cumprod_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const course *c = mn_saved_data(n);
    gx[0] = cumprod_gradient(t, mn_saved(n, 0), mn_saved(n, 1), gy[0], c->dim);
}
static const mn_op cumprod_op = {.name = "cumprod", .backward = cumprod_backward};

mn_tensor *mn_cumprod(mn_tape *t, mn_tensor *x, int dim)
{
    if (!mni_begin(t, &cumprod_op, &x, 1) || !mni_require_dim(t, x, &dim)) return NULL;
    const course c = {.dim = dim};
    mn_tensor *y = scanned(t, MNI_CUMPROD, NULL, x, c);
    mn_node *n = mn_op_record(t, &cumprod_op, &x, 1, &y, 1);
    mn_save(n, x);
    mn_save(n, y);
    mn_save_data(n, &c, sizeof c);
    return mn_op_end(t, y);
}

/* The product is the last of the running products. */
mn_tensor *mni_prod_gradient(mn_tape *t, mn_tensor *x, mn_tensor *gy, int dim)
{
    const int64_t size = mn_tensor_size(x, dim);
    if (size == 0) return x; /* without elements, as its gradient is */
    return cumprod_gradient(t, x, mn_cumprod(t, x, dim), padded(t, gy, dim, size - 1, 0, 0), dim);
}
