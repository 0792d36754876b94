/*
 * autograd/ops/pad.c: elements in other places: borders put around them or taken away, flips, rolls.
 */
#include "autograd/ops/ops.h"
#include <math.h>

/* ---- pad ---- */

typedef struct padding {
    mn_pad_mode mode;
    int n;
    int64_t pads[2 * MN_MAX_DIMS];
} padding;

/* What is put before (side 0) or after (side 1) dimension d of ndim. */
static int64_t pad_at(const padding *p, int ndim, int d, int side)
{
    int at = 2 * (ndim - 1 - d) + side;
    return at < p->n ? p->pads[at] : 0;
}

/* Where x lies in the padded y, in the dimensions before `dims`; with sign -1 what of x is in y. */
static mn_tensor inside(const padding *p, const mn_tensor *y, int dims, int sign)
{
    mn_tensor part = mni_look(y, y->ndim, y->shape, y->strides);
    for (int d = 0; d < dims; d++) {
        int64_t before = sign * pad_at(p, y->ndim, d, 0), after = sign * pad_at(p, y->ndim, d, 1);
        before = before > 0 ? before : 0;
        after = after > 0 ? after : 0;
        part = mni_part(&part, d, before, 1, y->shape[d] - before - after);
    }
    return part;
}

/* Which of the `size` positions after `before` position j of the border repeats. */
static int64_t source(mn_pad_mode mode, int64_t j, int64_t before, int64_t size)
{
    const bool left = j < before;
    const int64_t edge = left ? before : before + size - 1;
    if (mode == MN_PAD_REFLECT) return 2 * edge - j;
    if (mode == MN_PAD_REPLICATE) return edge;
    return left ? j + size : j - size;
}

/* Fills the border of dimension d of y, where later dimensions are complete and earlier ones have
 * none yet; or, the gradient, adds it to what it repeats. */
static void border(mni_team *team, const padding *p, const mn_tensor *y, int d, bool gradient)
{
    const mn_tensor part = inside(p, y, d, 1);
    const int64_t before = pad_at(p, y->ndim, d, 0), after = pad_at(p, y->ndim, d, 1);
    const int64_t size = y->shape[d] - before - after;
    for (int64_t k = 0; k < before + after; k++) {
        const int64_t j = k < before ? k : k + size;
        mn_tensor outer = mni_plane(&part, d, j);
        mn_tensor inner = mni_plane(&part, d, source(p->mode, j, before, size));
        if (gradient)
            mni_map2(team, mni_kernels()->add, &inner, &outer, &inner, NULL);
        else
            mni_copy(team, &inner, &outer);
    }
}

static void unpad_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const padding *p = mn_saved_data(n);
    gx[0] = mn_pad(t, gy[0], p->pads, p->n, p->mode, 0);
}
static const mn_op unpad_op = {.name = "unpad", .backward = unpad_backward};

/* The gradient of pad in the modes that repeat elements. */
static mn_tensor *unpad(mn_tape *t, mn_tensor *g, const padding *p)
{
    if (!mni_begin(t, &unpad_op, &g, 1)) return NULL;
    mn_tensor *sums = mni_tape_tensor(t, (mn_dtype)g->dtype, g->ndim, g->shape), *y = NULL;
    if (sums) {
        mni_copy(mni_tape_team(t), g, sums);
        for (int d = 0; d < g->ndim; d++) border(mni_tape_team(t), p, sums, d, true);
        const mn_tensor part = inside(p, sums, g->ndim, 1);
        y = mn_op_view(t, sums, part.ndim, part.shape, part.strides,
                       (part.data - sums->data) / (int64_t)mn_dtype_size((mn_dtype)g->dtype));
    }
    mn_node *n = mn_op_record(t, &unpad_op, &g, 1, &y, 1);
    mn_save_data(n, p, sizeof *p);
    return mn_op_end(t, y);
}

static void pad_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    padding p = *(const padding *)mn_saved_data(n);
    if (p.mode != MN_PAD_CONSTANT) {
        gx[0] = unpad(t, gy[0], &p);
        return;
    }
    for (int i = 0; i < p.n; i++) p.pads[i] = -p.pads[i];
    gx[0] = mn_pad(t, gy[0], p.pads, p.n, MN_PAD_CONSTANT, 0);
}
static const mn_op pad_op = {.name = "pad", .backward = pad_backward, .flags = MN_OP_FILLS};

static bool holds(mn_dtype dtype, double value)
{
    if (mni_is_float(dtype)) return true;
    if (dtype == MN_I64) return value == floor(value) && fabs(value) < 0x1p63;
    return value == floor(value) && value >= 0 && value <= (dtype == MN_U8 ? 255 : 1);
}

/* Whether a dimension of that size can have these pads. */
static bool pads_fit(mn_pad_mode mode, int64_t size, int64_t before, int64_t after)
{
    const int64_t most = INT64_MAX / 4, larger = before > after ? before : after;
    if (before < -most || before > most || after < -most || after > most) return false;
    if (mode == MN_PAD_CONSTANT)
        return size + (before < 0 ? before : 0) + (after < 0 ? after : 0) >= 0;
    if (before < 0 || after < 0) return false;
    if (mode == MN_PAD_REFLECT) return larger < size || larger == 0;
    return mode == MN_PAD_REPLICATE ? size > 0 || larger == 0 : larger <= size;
}

static bool pad_fits(mn_tape *t, const mn_tensor *x, const padding *p, double value)
{
    const char *names[] = {"constant", "reflect", "replicate", "circular"};
    if ((unsigned)p->mode > MN_PAD_CIRCULAR)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%d is not a mode", (int)p->mode);
    else if (p->mode != MN_PAD_CONSTANT && value != 0)
        mn_tape_fail(t, MN_ERR_ARGUMENT, "mode %s takes no value, here %g", names[p->mode], value);
    else if (!holds((mn_dtype)x->dtype, value))
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%g is not a value of %s", value,
                     mn_dtype_name((mn_dtype)x->dtype));
    for (int d = x->ndim - 1; d >= 0 && !mn_tape_error(t); d--) {
        int64_t before = pad_at(p, x->ndim, d, 0), after = pad_at(p, x->ndim, d, 1);
        char text[MNI_TEXT];
        if (!pads_fit(p->mode, x->shape[d], before, after))
            mn_tape_fail(t, MN_ERR_SHAPE, "%s pads of %lld and %lld do not fit dimension %d of %s",
                         names[p->mode], (long long)before, (long long)after, d,
                         mni_shape_text(text, sizeof text, x->ndim, x->shape));
    }
    return !mn_tape_error(t);
}

mn_tensor *mn_pad(mn_tape *t, mn_tensor *x, const int64_t *pads, int n, mn_pad_mode mode,
                  double value)
{
    if (!mni_begin(t, &pad_op, &x, 1)) return NULL;
    if (n < 0 || n % 2 || n > 2 * x->ndim || (n > 0 && !pads))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d pads for %d dimensions, which take pairs",
                            pads ? n : 0, x->ndim);
    padding p = {.mode = mode, .n = n};
    for (int i = 0; i < n; i++) p.pads[i] = pads[i];
    if (!pad_fits(t, x, &p, value)) return NULL;
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++)
        shape[d] = x->shape[d] + pad_at(&p, x->ndim, d, 0) + pad_at(&p, x->ndim, d, 1);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, shape);
    if (y) {
        const mn_tensor from = inside(&p, x, x->ndim, -1);
        mn_tensor to = inside(&p, y, y->ndim, 1);
        if (mode == MN_PAD_CONSTANT && to.numel < y->numel) mni_fill(mni_tape_team(t), y, value);
        mni_copy(mni_tape_team(t), &from, &to);
        for (int d = y->ndim - 1; d >= 0 && mode != MN_PAD_CONSTANT; d--)
            border(mni_tape_team(t), &p, y, d, false);
    }
    mn_node *node = mn_op_record(t, &pad_op, &x, 1, &y, 1);
    mn_save_data(node, &p, sizeof p);
    return mn_op_end(t, y);
}

/* ---- flip ---- */

typedef struct flipped {
    int n, dims[MN_MAX_DIMS];
} flipped;

static void flip_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const flipped *f = mn_saved_data(n);
    gx[0] = mn_flip(t, gy[0], f->dims, f->n);
}
static const mn_op flip_op = {.name = "flip", .backward = flip_backward};

mn_tensor *mn_flip(mn_tape *t, mn_tensor *x, const int *dims, int n)
{
    flipped f = {.n = n};
    if (!mni_begin(t, &flip_op, &x, 1) || !mni_require_dims(t, x, dims, n, f.dims)) return NULL;
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    if (y && y->numel > 0) {
        mn_tensor from = mni_look(x, x->ndim, x->shape, x->strides);
        for (int i = 0; i < n; i++) {
            const int64_t size = x->shape[f.dims[i]];
            from = mni_part(&from, f.dims[i], size - 1, -1, size);
        }
        mni_copy(mni_tape_team(t), &from, y);
    }
    mn_node *node = mn_op_record(t, &flip_op, &x, 1, &y, 1);
    mn_save_data(node, &f, sizeof f);
    return mn_op_end(t, y);
}

/* ---- roll ---- */

typedef struct shift {
    bool flat;               /* x is seen as 1-d */
    int64_t by[MN_MAX_DIMS]; /* of each dimension, 0 <= by < size */
} shift;

static void roll_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const shift *s = mn_saved_data(n);
    int64_t back[MN_MAX_DIMS];
    int all[MN_MAX_DIMS], ndim;
    mn_input_shape(n, 0, &ndim);
    for (int d = 0; d < MN_MAX_DIMS; d++) {
        all[d] = d;
        back[d] = -s->by[d];
    }
    gx[0] = s->flat ? mn_roll(t, gy[0], back, NULL, 1) : mn_roll(t, gy[0], back, all, ndim);
}
static const mn_op roll_op = {.name = "roll", .backward = roll_backward};

/* Copies x to y, rolled from dimension d on: each of them in two pieces. */
static void rolled(mni_team *team, const mn_tensor *x, mn_tensor *y, int d, const int64_t *by)
{
    while (d < x->ndim && by[d] == 0) d++;
    if (d == x->ndim) {
        mni_copy(team, x, y);
        return;
    }
    const int64_t rest = x->shape[d] - by[d];
    for (int second = 0; second < 2; second++) {
        const int64_t length = second ? by[d] : rest;
        const mn_tensor from = mni_part(x, d, second ? rest : 0, 1, length);
        mn_tensor to = mni_part(y, d, second ? 0 : by[d], 1, length);
        rolled(team, &from, &to, d + 1, by);
    }
}

mn_tensor *mn_roll(mn_tape *t, mn_tensor *x, const int64_t *shifts, const int *dims, int n)
{
    if (!mni_begin(t, &roll_op, &x, 1)) return NULL;
    if (n < 1 || !shifts || (!dims && n > 1))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            !shifts ? "shifts is NULL, %d are promised"
                            : n < 1 ? "%d shifts, at least 1 is needed"
                                    : "%d shifts, and dims is NULL",
                            n);
    shift s = {.flat = !dims};
    for (int i = 0; i < n; i++) {
        int dim = dims ? dims[i] : 0;
        if (dims && !mni_require_dim(t, x, &dim)) return NULL;
        int64_t size = dims ? x->shape[dim] : x->numel;
        if (size > 0) s.by[dim] = (s.by[dim] + (shifts[i] % size + size) % size) % size;
    }
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, x->shape);
    mn_tensor *from = s.flat ? mni_dense(t, x) : x;
    if (y && from) {
        const mn_tensor line = mni_look(from, 1, &from->numel, NULL);
        mn_tensor line_of_y = mni_look(y, 1, &y->numel, NULL);
        rolled(mni_tape_team(t), s.flat ? &line : x, s.flat ? &line_of_y : y, 0, s.by);
    }
    mn_node *node = mn_op_record(t, &roll_op, &x, 1, &y, 1);
    mn_save_data(node, &s, sizeof s);
    return mn_op_end(t, y);
}
