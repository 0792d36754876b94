/*
 * autograd/ops/attention.c: scaled dot-product attention: scores, mask, softmax, dropout and the
 * weighted sum as one op, so that of the matrices [L, S] only the weights are kept.
 */
#include "autograd/ops/ops.h"
#include <math.h>
#include <string.h>

/* ---- gradients ---- */

/* Inputs: query, key, value, mask. Saved: the first three, the weights p (an output), and the
 * multipliers m of the dropout or MN_NONE: Y = (P M) V.   gP = (gY V^T) M,  gS = P (gP - sum of gP P),  gQ = scale gS K. */
static mn_tensor *dropped(mn_tape *t, mn_tensor *p, mn_tensor *m)
{
    return m == MN_NONE ? p : mn_mul(t, p, m);
}

static void attention_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const double scale = *(const double *)mn_saved_data(n);
    mn_tensor *p = mn_saved(n, 3), *m = mn_saved(n, 4), *gp = gy[1];
    if (gy[0]) {
        mn_tensor *g = mn_matmul(t, gy[0], mn_transpose(t, mn_saved(n, 2), -2, -1));
        gp = gp ? mn_add(t, gp, dropped(t, g, m)) : dropped(t, g, m);
    }
    if (gy[0] && mn_needs(n, 2))
        gx[2] = mn_matmul(t, mn_transpose(t, dropped(t, p, m), -2, -1), gy[0]);
    mn_tensor *sum = mn_sum_dim(t, mn_mul(t, gp, p), (int[]){-1}, 1, true);
    mn_tensor *gs = mn_mul(t, p, mn_sub(t, gp, sum));
    if (mn_needs(n, 3)) gx[3] = gs;
    gs = mn_mul_scalar(t, gs, scale);
    if (mn_needs(n, 0)) gx[0] = mn_matmul(t, gs, mn_saved(n, 1));
    if (mn_needs(n, 1)) gx[1] = mn_matmul(t, mn_transpose(t, gs, -2, -1), mn_saved(n, 0));
}

/* A fresh [..., shape], in memory in the order in which x's dimensions lie (the last one last). */
static mn_tensor *laid_out_as(mn_tape *t, const mn_tensor *x, const int64_t *shape)
{
    int order[MN_MAX_DIMS];
    int64_t sizes[MN_MAX_DIMS] = {0}, strides[MN_MAX_DIMS], step = 1;
    bool same = true;
    for (int d = 0; d < x->ndim; d++) {
        int at = d;
        for (; d < x->ndim - 1 && at > 0 && x->strides[order[at - 1]] < x->strides[d]; at--)
            order[at] = order[at - 1];
        order[at] = d;
        same = same && at == d;
    }
    for (int i = x->ndim - 1; i >= 0; i--) {
        sizes[i] = shape[order[i]];
        strides[order[i]] = step;
        step *= sizes[i];
    }
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)x->dtype, x->ndim, sizes);
    return same ? y : mn_op_view(t, y, x->ndim, shape, strides, 0);
}

static mn_tensor *gradient_of(mn_tape *t, const mn_node *n, int i)
{
    const mn_tensor *x = mn_needs(n, i) ? mn_saved(n, i) : NULL;
    return x ? laid_out_as(t, x, x->shape) : NULL;
}

/* Without a gradient of the weights, as nearly always. */
static void attention_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    if (!gy[0] || gy[1]) {
        attention_backward(t, n, gy, gx);
        return;
    }
    mn_tensor *m = mn_saved(n, 4);
    mni_attention a = {.q = mn_saved(n, 0),
                       .k = mn_saved(n, 1),
                       .v = mn_saved(n, 2),
                       .drop = m == MN_NONE ? NULL : m,
                       .p = mn_saved(n, 3),
                       .scale = *(const double *)mn_saved_data(n)};
    if (mn_tape_error(t)) return;
    for (int i = 0; i < 3; i++) gx[i] = gradient_of(t, n, i);
    if (mn_needs(n, 3)) gx[3] = mn_empty_like(t, a.p);
    const int64_t size = mni_attention_scratch(mni_tape_team(t), &a);
    mn_tensor *scratch = mni_tape_tensor(t, (mn_dtype)a.p->dtype, 1, &size);
    if (mn_tape_error(t)) return;
    a.scratch = scratch->data;
    const mni_attention_gradients g = {gy[0], gx[0], gx[1], gx[2], gx[3]};
    mni_attention_backward(mni_tape_team(t), &a, &g);
}
static const mn_op attention_op = {.name = "scaled_dot_product_attention",
                                   .backward = attention_backward,
                                   .backward_fast = attention_backward_fast};

/* ---- checks ---- */

static bool shapes_fail(mn_tape *t, mn_tensor *const *in, const char *what)
{
    char text[3][MNI_TEXT];
    for (int i = 0; i < 3; i++) mni_shape_text(text[i], sizeof text[i], in[i]->ndim, in[i]->shape);
    mn_tape_fail(t, MN_ERR_SHAPE, "query %s, key %s, value %s: %s", text[0], text[1], text[2],
                 what);
    return false;
}

/* The batch's dimensions, to which all three stretch. */
static bool batch_of(mn_tape *t, mn_tensor *const *in, int *ndim, int64_t *shape)
{
    *ndim = 2;
    for (int i = 0; i < 3; i++) {
        if (in[i]->ndim < 2)
            return shapes_fail(t, in, "[..., L, E], [..., S, E] and [..., S, Ev] are needed");
        if (in[i]->ndim > *ndim) *ndim = in[i]->ndim;
    }
    for (int d = 0; d < *ndim - 2; d++) {
        shape[d] = 1;
        for (int i = 0; i < 3; i++) {
            const int at = d - (*ndim - in[i]->ndim);
            const int64_t size = at < 0 ? 1 : in[i]->shape[at];
            if (size != 1 && shape[d] != 1 && size != shape[d])
                return shapes_fail(t, in, "the leading sizes do not broadcast");
            if (size != 1) shape[d] = size;
        }
    }
    return true;
}

/* shape <- [..., L, S]. */
static bool attention_fits(mn_tape *t, mn_tensor *const *in, int *ndim, int64_t *shape)
{
    const mn_tensor *q = in[0], *k = in[1], *v = in[2], *mask = in[3];
    if (!mni_require_float(t, q) || !mni_require_same_dtype(t, q, k) ||
        !mni_require_same_dtype(t, q, v) || !batch_of(t, in, ndim, shape))
        return false;
    if (q->shape[q->ndim - 1] != k->shape[k->ndim - 1])
        return shapes_fail(t, in, "the last sizes of query and key differ");
    if (k->shape[k->ndim - 2] != v->shape[v->ndim - 2])
        return shapes_fail(t, in, "there are not as many keys as values");
    shape[*ndim - 2] = q->shape[q->ndim - 2];
    shape[*ndim - 1] = k->shape[k->ndim - 2];
    if (mask == MN_NONE) return true;
    if (mask->dtype != MN_BOOL && mask->dtype != q->dtype) {
        mn_tape_fail(t, MN_ERR_DTYPE, "the mask is %s: bool or %s is needed",
                     mn_dtype_name((mn_dtype)mask->dtype), mn_dtype_name((mn_dtype)q->dtype));
        return false;
    }
    bool fits = mask->ndim <= *ndim;
    for (int d = 0; fits && d < mask->ndim; d++)
        fits = mask->shape[d] == 1 || mask->shape[d] == shape[d + *ndim - mask->ndim];
    char from[MNI_TEXT], to[MNI_TEXT];
    if (!fits)
        mn_tape_fail(t, MN_ERR_SHAPE, "the mask %s does not stretch to the weights %s",
                     mni_shape_text(from, sizeof from, mask->ndim, mask->shape),
                     mni_shape_text(to, sizeof to, *ndim, shape));
    return fits;
}

static bool opts_fit(mn_tape *t, const mn_attention_opts *o)
{
    if (!isfinite(o->scale))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "scale is %g, not a finite number", o->scale);
    if (!(o->dropout_p >= 0 && o->dropout_p <= 1))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "dropout_p is %g, not within 0 and 1",
                            o->dropout_p);
    if (o->dropout_p > 0 && !o->rng)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "rng is NULL, but dropout_p is %g", o->dropout_p);
    return true;
}

/* Stretches in[i] to the batch, and a mask to all of the weights. */
static void stretch(mn_tape *t, mn_tensor **in, int i, int ndim, const int64_t *weights)
{
    mn_tensor *x = in[i];
    int64_t shape[MN_MAX_DIMS];
    if (x == MN_NONE || !x) return;
    memcpy(shape, weights, sizeof shape);
    if (i != 3) memcpy(shape + ndim - 2, x->shape + x->ndim - 2, 2 * sizeof *shape);
    if (x->ndim != ndim || memcmp(x->shape, shape, (size_t)ndim * sizeof *shape) != 0)
        in[i] = mn_expand(t, x, ndim, shape);
}

/* ---- the op ---- */

/* The dropout's multipliers: 0 where u < p, else 1/(1 - p). */
static mn_tensor *multipliers(mn_tape *t, mn_tensor *p, const mn_attention_opts *o)
{
    if (o->dropout_p == 0) return MN_NONE;
    mn_tensor *m = mn_empty_like(t, p);
    if (!m) return NULL;
    const double rule[] = {o->dropout_p, o->dropout_p < 1 ? 1 / (1 - o->dropout_p) : 0};
    mni_uniform(mni_tape_team(t), m, 0, 1, mni_reserve(t, o->rng, m->numel, (mn_dtype)m->dtype));
    mni_map1(mni_tape_team(t), mni_kernels()->dropout, m, m, rule);
    return m;
}

/* Of inputs that fit, with the same leading sizes. */
static mn_tensor *attend(mn_tape *t, mn_tensor *const *in, const int64_t *weights,
                         const mn_attention_opts *o)
{
    mn_tensor *q = in[0];
    const int ndim = q->ndim;
    const double e = (double)q->shape[ndim - 1],
                 scale = o->scale != 0 ? o->scale : 1 / sqrt(fmax(e, 1));
    int64_t shape[MN_MAX_DIMS], size;
    memcpy(shape, weights, sizeof shape);
    shape[ndim - 1] = in[2]->shape[ndim - 1];
    mn_tensor *p = mni_tape_tensor(t, (mn_dtype)q->dtype, ndim, weights);
    mn_tensor *y = laid_out_as(t, q, shape), *m = p ? multipliers(t, p, o) : NULL, *out[] = {y, p};
    mni_attention a = {.q = q,
                       .k = in[1],
                       .v = in[2],
                       .mask = in[3] == MN_NONE ? NULL : in[3],
                       .drop = m == MN_NONE ? NULL : m,
                       .p = p,
                       .y = y,
                       .scale = scale,
                       .causal = o->is_causal};
    if (y && m) size = m == MN_NONE ? 0 : mni_attention_scratch(mni_tape_team(t), &a);
    mn_tensor *scratch = y && m ? mni_tape_tensor(t, (mn_dtype)q->dtype, 1, &size) : NULL;
    if (scratch) {
        a.scratch = scratch->data;
        mni_count_product(t, p->numel, 1, (int64_t)e + shape[ndim - 1]);
        mni_attention_forward(mni_tape_team(t), &a);
    }
    mn_node *n = mn_op_record(t, &attention_op, in, 4, out, 2);
    for (int i = 0; i < 3; i++) mn_save(n, in[i]);
    mn_save(n, p);
    mn_save(n, m);
    mn_save_data(n, &scale, sizeof scale);
    if (!mn_op_end(t, y)) return NULL;
    if (o->weights) *o->weights = dropped(t, p, m);
    return mn_tape_error(t) ? NULL : y;
}

mn_tensor *mn_scaled_dot_product_attention(mn_tape *t, mn_tensor *query, mn_tensor *key,
                                           mn_tensor *value, mn_tensor *mask,
                                           const mn_attention_opts *opts)
{
    static const mn_attention_opts defaults;
    mn_tensor *in[] = {query, key, value, mask};
    int ndim;
    int64_t weights[MN_MAX_DIMS];
    if (!opts) opts = &defaults;
    if (opts->weights) *opts->weights = NULL;
    if (!mni_begin(t, &attention_op, in, 3) || !mn_op_begin(t, &attention_op, in, 4) ||
        !opts_fit(t, opts) || !attention_fits(t, in, &ndim, weights))
        return NULL;
    for (int i = 0; i < 4; i++) stretch(t, in, i, ndim, weights);
    if (!mni_begin(t, &attention_op, in, 3) || !mn_op_begin(t, &attention_op, in, 4)) return NULL;
    return attend(t, in, weights, opts);
}
