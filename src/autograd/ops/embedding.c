/*
 * autograd/ops/embedding.c: rows of a table looked up by number, one by one or put together in bags.
 */
#include "autograd/ops/ops.h"
#include <math.h>
#include <string.h>

/* ---- rows ---- */

/* Saved: where each row comes from, [n, D], and what its gradient is multiplied with, [n, 1], or
 * MN_NONE. Data: the position without a gradient. */
static void embedding_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    int ndim;
    const int64_t *shape = mn_input_shape(n, 0, &ndim), *skip = mn_saved_data(n);
    mn_tensor *w = mn_saved(n, 1), *g = w == MN_NONE ? gy[0] : mn_mul(t, gy[0], w);
    gx[0] = mni_place(t, g, mn_saved(n, 0), 0, ndim, shape, *skip);
}

static void embedding_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const int64_t *skip = mn_saved_data(n);
    mn_tensor *w = mn_saved(n, 1), *g = gy[0];
    if (!w) return;
    if (w != MN_NONE && (g = mn_empty_like(t, g)))
        mni_map2(mni_tape_team(t), mni_kernels()->mul, gy[0], w, g, NULL);
    gx[0] = mni_place_into(t, n, g, mn_saved(n, 0), 0, *skip);
}
static const mn_op embedding_op = {
    .name = "embedding", .backward = embedding_backward, .backward_fast = embedding_backward_fast};
static const mn_op embedding_bag_op = {.name = "embedding_bag",
                                       .backward = embedding_backward,
                                       .backward_fast = embedding_backward_fast};

static const int64_t *positions_of(const mn_tensor *index)
{
    return (const int64_t *)(const void *)index->data;
}

/* 1/(how often its row is looked up) for each element of the index: [n, 1]. */
static mn_tensor *frequencies(mn_tape *t, const mn_tensor *weight, const mn_tensor *index)
{
    const int64_t n = index->shape[0], *at = positions_of(index);
    mn_tensor *counts = mni_tape_tensor(t, MN_I64, 1, weight->shape);
    mn_tensor *w = mni_tape_tensor(t, (mn_dtype)weight->dtype, 2, (int64_t[]){n, 1});
    if (!counts || !w) return NULL;
    int64_t *count = (int64_t *)(void *)counts->data;
    mni_fill(mni_tape_team(t), counts, 0);
    for (int64_t i = 0; i < n; i++) count[at[i]]++;
    for (int64_t i = 0; i < n; i++) {
        if (w->dtype == MN_F32)
            ((float *)(void *)w->data)[i] = 1 / (float)count[at[i]];
        else
            ((double *)(void *)w->data)[i] = 1 / (double)count[at[i]];
    }
    return w;
}

/* norms <- max_norm/(norm + 1e-7) where norm is larger than max_norm, else 1. Whether any is. */
static bool factors(mn_tensor *norms, double max_norm)
{
    bool any = false;
    for (int64_t i = 0; i < norms->numel; i++) {
        float *single = (float *)(void *)norms->data + i;
        double *whole = (double *)(void *)norms->data + i;
        const double norm = norms->dtype == MN_F32 ? (double)*single : *whole;
        const double factor = norm > max_norm ? max_norm / (norm + 1e-7) : 1;
        any = any || norm > max_norm;
        if (norms->dtype == MN_F32)
            *single = (float)factor;
        else
            *whole = factor;
    }
    return any;
}

/* Results of ops stay as they are: who made them may need them. */
static bool writes(const mn_tensor *weight, const mn_embedding_opts *o)
{
    return !o->keep_weight && (!weight->node || weight->node->leaf);
}

/* Shortens the rows y, and those of the weight that they were copied from. */
static void renormalize(mn_tape *t, mn_tensor *weight, const mn_tensor *index, mn_tensor *y,
                        const mn_embedding_opts *o, const char *who)
{
    mni_team *team = mni_tape_team(t);
    mn_tensor *norms = mni_tape_tensor(t, (mn_dtype)y->dtype, 2, (int64_t[]){y->shape[0], 1});
    if (!norms) return;
    mni_norm(team, y, (bool[]){false, true}, o->norm_type != 0 ? o->norm_type : 2, norms);
    if (!factors(norms, o->max_norm)) return;
    mni_map2(team, mni_kernels()->mul, y, norms, y, NULL);
    if (!writes(weight, o)) return;
    mni_scatter(team, y, 0, index, -1, false, weight);
    mni_touch(weight, who);
}

/* Rows [n, D] of the weight, those of an index, contiguous, with n elements; with `zero` those at
 * position skip are 0. */
static mn_tensor *look_up(mn_tape *t, const mn_op *op, mn_tensor *weight, mn_tensor *index,
                          int64_t n, const mn_embedding_opts *o, int64_t skip, bool zero)
{
    const int64_t shape[] = {n, weight->shape[1]},
                  size = (int64_t)mn_dtype_size((mn_dtype)weight->dtype);
    mn_tensor *at = mn_op_view(t, index, 2, shape, (int64_t[]){1, 0}, 0);
    mn_tensor *y = mni_tape_tensor(t, (mn_dtype)weight->dtype, 2, shape), *w = MN_NONE;
    if (!at || !y) return NULL;
    mni_gather(mni_tape_team(t), weight, 0, at, -1, y);
    if (o->max_norm > 0) renormalize(t, weight, at, y, o, op->name);
    for (int64_t i = 0; zero && skip >= 0 && i < n; i++)
        if (positions_of(index)[i] == skip)
            memset(y->data + i * shape[1] * size, 0, (size_t)(shape[1] * size));
    if (o->scale_grad_by_freq) w = frequencies(t, weight, at);
    mn_node *node = mn_op_record(t, op, &weight, 1, &y, 1);
    mn_save(node, at);
    mn_save(node, w);
    mn_save_data(node, &skip, sizeof skip);
    return mn_op_end(t, y);
}

/* ---- checks ---- */

/* What max_norm needs, which may write to the weight. */
static bool norm_fits(mn_tape *t, const mn_tensor *weight, const mn_embedding_opts *o)
{
    if (!(o->max_norm >= 0) || isnan(o->norm_type))
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "max_norm %g, norm_type %g: numbers, max_norm at least 0", o->max_norm,
                            o->norm_type);
    if (o->max_norm == 0 && !o->scale_grad_by_freq) return true;
    if (!mni_require_float(t, weight)) return false;
    if (o->max_norm > 0 && writes(weight, o) && !mni_no_overlap(weight))
        return mn_tape_fail(
            t, MN_ERR_ARGUMENT,
            "max_norm writes to the weight, of which several elements share an address");
    return true;
}

/* *skip <- the position of the padding, -1 for none. */
static bool rows_fit(mn_tape *t, const mn_tensor *index, const mn_tensor *weight,
                     const mn_embedding_opts *o, int64_t *skip)
{
    char text[MNI_TEXT];
    if (!mni_require_index(t, index)) return false;
    if (weight->ndim != 2)
        return mn_tape_fail(t, MN_ERR_SHAPE,
                            "the weight has to have two dimensions, not the shape %s",
                            mni_shape_text(text, sizeof text, weight->ndim, weight->shape));
    const int64_t rows = weight->shape[0], padding = o->padding_idx;
    if (o->has_padding_idx && (padding < -rows || padding >= rows))
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "padding_idx %lld, but the weight has %lld rows",
                            (long long)padding, (long long)rows);
    *skip = !o->has_padding_idx ? -1 : padding < 0 ? padding + rows : padding;
    return norm_fits(t, weight, o) && mni_require_within(t, index, 0, rows, 0);
}

/* ---- one by one ---- */

mn_tensor *mn_embedding(mn_tape *t, mn_tensor *index, mn_tensor *weight,
                        const mn_embedding_opts *opts)
{
    static const mn_embedding_opts defaults;
    char text[MNI_TEXT];
    int64_t skip, shape[MN_MAX_DIMS];
    if (!opts) opts = &defaults;
    if (!mni_begin(t, &embedding_op, (mn_tensor *[]){index, weight}, 2) ||
        !rows_fit(t, index, weight, opts, &skip))
        return NULL;
    if (index->ndim == MN_MAX_DIMS)
        return mn_tape_fail(t, MN_ERR_SHAPE, "index %s has no room for another dimension",
                            mni_shape_text(text, sizeof text, index->ndim, index->shape));
    mn_tensor *dense = mni_dense(t, index);
    if (!dense) return NULL;
    memcpy(shape, index->shape, sizeof shape);
    shape[index->ndim] = weight->shape[1];
    mn_tensor *y = look_up(t, &embedding_op, weight, dense, index->numel, opts, skip, false);
    return index->ndim == 1 ? y : mn_reshape(t, y, index->ndim + 1, shape);
}

/* ---- bags ---- */

/* The elements of an index, and which bag each belongs to. */
typedef struct bags {
    mn_tensor *index; /* contiguous */
    mn_tensor *bag;   /* [n] */
    int64_t n, count; /* elements that belong to a bag; bags */
    int64_t skip;     /* a position that does not count */
} bags;

/* Row i is bag i. */
static bool rows_as_bags(mn_tape *t, mn_tensor *offsets, bags *b)
{
    char text[MNI_TEXT];
    if (offsets != MN_NONE)
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "the rows of index %s are its bags: there are no offsets",
                            mni_shape_text(text, sizeof text, b->index->ndim, b->index->shape));
    b->n = b->index->numel;
    b->count = b->index->shape[0];
    b->bag = mni_tape_tensor(t, MN_I64, 1, &b->n);
    for (int64_t i = 0; b->bag && i < b->n; i++)
        ((int64_t *)(void *)b->bag->data)[i] = i / b->index->shape[1];
    return b->bag;
}

/* Whether the offsets are 0, ..., none less than the one before or more than `most`. */
static bool offsets_fit(mn_tape *t, const mn_tensor *offsets, bool last, int64_t most)
{
    char text[MNI_TEXT];
    if (!mni_require_index(t, offsets)) return false;
    if (offsets->ndim != 1)
        return mn_tape_fail(t, MN_ERR_SHAPE, "offsets have one dimension, not the shape %s",
                            mni_shape_text(text, sizeof text, offsets->ndim, offsets->shape));
    if (last && offsets->numel == 0)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "the last offset is included, but there is none");
    int64_t before = 0;
    for (int64_t i = 0; i < offsets->numel; i++) {
        const int64_t at = mn_tensor_get_i64(offsets, &i);
        if (i == 0 ? at != 0 : at < before || at > most)
            return mn_tape_fail(
                t, MN_ERR_ARGUMENT,
                "offset %lld is %lld: they begin with 0, do not fall and end within "
                "the %lld elements of the index",
                (long long)i, (long long)at, (long long)most);
        before = at;
    }
    return true;
}

/* Bag i is from offset i to the next one, or to the end. */
static bool parts_as_bags(mn_tape *t, mn_tensor *offsets, bool last, bags *b)
{
    const int64_t most = b->index->numel;
    if (offsets == MN_NONE)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "an index of one dimension needs offsets");
    if (!offsets_fit(t, offsets, last, most)) return false;
    const int64_t given = offsets->numel, end = given - 1;
    b->count = last ? end : given;
    b->n = last ? mn_tensor_get_i64(offsets, &end) : given ? most : 0;
    b->bag = mni_tape_tensor(t, MN_I64, 1, &b->n);
    for (int64_t i = 0, at = -1; b->bag && i < b->n; i++) {
        for (int64_t next = at + 1; next < b->count && mn_tensor_get_i64(offsets, &next) <= i;
             next++)
            at = next;
        ((int64_t *)(void *)b->bag->data)[i] = at;
    }
    return b->bag;
}

/* The position among the rows of the largest element of each bag and column, the first of equal
 * ones; b->n where there is none. */
#define LARGEST_FN(T)                                                                              \
    static void largest_##T(const bags *b, const mn_tensor *rows, int64_t *best)                   \
    {                                                                                              \
        const T *x = (const T *)(const void *)rows->data;                                          \
        const int64_t columns = rows->shape[1];                                                    \
        for (int64_t i = 0; i < b->n; i++) {                                                       \
            if (positions_of(b->index)[i] == b->skip) continue;                                    \
            int64_t *to = best + positions_of(b->bag)[i] * columns;                                \
            for (int64_t j = 0; j < columns; j++)                                                  \
                if (to[j] == b->n || x[i * columns + j] > x[to[j] * columns + j]) to[j] = i;       \
        }                                                                                          \
    }
LARGEST_FN(float)
LARGEST_FN(double)

static mn_tensor *largest(mn_tape *t, mn_tensor *rows, const bags *b)
{
    if (!rows) return NULL;
    mn_tensor *best = mni_tape_tensor(t, MN_I64, 2, (int64_t[]){b->count, rows->shape[1]});
    if (!best) return NULL;
    mni_fill(mni_tape_team(t), best, (double)b->n);
    (rows->dtype == MN_F32 ? largest_float : largest_double)(b, rows,
                                                             (int64_t *)(void *)best->data);
    return mni_pick(t, rows, best, 0, b->n);
}

static mn_tensor *summed(mn_tape *t, mn_tensor *rows, const bags *b)
{
    if (!rows) return NULL;
    const int64_t shape[] = {b->count, rows->shape[1]};
    mn_tensor *to = mn_op_view(t, b->bag, 2, rows->shape, (int64_t[]){1, 0}, 0);
    return mni_place(t, rows, to, 0, 2, shape, -1);
}

/* How many elements each bag has, 1 for none: [bags, 1]. */
static mn_tensor *sizes(mn_tape *t, const bags *b, mn_dtype dtype)
{
    mn_tensor *counts = mn_zeros(t, MN_I64, 2, (int64_t[]){b->count, 1});
    if (!counts) return NULL;
    int64_t *count = (int64_t *)(void *)counts->data;
    for (int64_t i = 0; i < b->n; i++)
        count[positions_of(b->bag)[i]] += positions_of(b->index)[i] != b->skip;
    for (int64_t i = 0; i < b->count; i++) count[i] += count[i] == 0;
    return mn_to(t, counts, dtype);
}

/* Each row times its weight. */
static mn_tensor *weighted(mn_tape *t, mn_tensor *rows, mn_tensor *weights, const bags *b)
{
    if (weights == MN_NONE) return rows;
    weights = mn_narrow(t, mn_flatten(t, weights, 0, -1), 0, 0, b->n);
    return mn_mul(t, rows, mn_unsqueeze(t, weights, 1));
}

static bool sample_weights_fit(mn_tape *t, const mn_tensor *index, const mn_tensor *weight,
                               const mn_tensor *weights, mn_bag_mode mode)
{
    if (mode != MN_BAG_MEAN && mode != MN_BAG_SUM && mode != MN_BAG_MAX)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%d is not a mode", (int)mode);
    if (weights == MN_NONE) return true;
    if (mode != MN_BAG_SUM)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "per_sample_weights are for sums");
    if (!mn_tensor_same_shape(index, weights))
        return mni_shape_error(t, index, weights,
                               "there is one of per_sample_weights for each index");
    return mni_require_same_dtype(t, weight, weights);
}

mn_tensor *mn_embedding_bag(mn_tape *t, mn_tensor *index, mn_tensor *weight, mn_tensor *offsets,
                            mn_tensor *per_sample_weights, const mn_embedding_bag_opts *opts)
{
    static const mn_embedding_bag_opts defaults;
    mn_tensor *in[] = {index, weight, offsets, per_sample_weights};
    char text[MNI_TEXT];
    bags b;
    const mn_embedding_bag_opts *o = opts ? opts : &defaults;
    const mn_embedding_opts rows_opts = {.has_padding_idx = o->has_padding_idx,
                                         .padding_idx = o->padding_idx,
                                         .max_norm = o->max_norm,
                                         .norm_type = o->norm_type,
                                         .keep_weight = o->keep_weight};
    if (!mni_begin(t, &embedding_bag_op, in, 2) || !mn_op_begin(t, &embedding_bag_op, in, 4) ||
        !mni_require_float(t, weight) || !rows_fit(t, index, weight, &rows_opts, &b.skip) ||
        !sample_weights_fit(t, index, weight, per_sample_weights, o->mode))
        return NULL;
    if (index->ndim != 1 && index->ndim != 2)
        return mn_tape_fail(t, MN_ERR_SHAPE, "the index has one dimension or two, not the shape %s",
                            mni_shape_text(text, sizeof text, index->ndim, index->shape));
    b.index = mni_dense(t, index);
    if (!b.index || !(index->ndim == 2 ? rows_as_bags(t, offsets, &b)
                                       : parts_as_bags(t, offsets, o->include_last_offset, &b)))
        return NULL;
    mn_tensor *y = look_up(t, &embedding_bag_op, weight, b.index, b.n, &rows_opts, b.skip, true);
    y = weighted(t, y, per_sample_weights, &b);
    y = o->mode == MN_BAG_MAX ? largest(t, y, &b) : summed(t, y, &b);
    return o->mode == MN_BAG_MEAN && y ? mn_div(t, y, sizes(t, &b, mn_tensor_dtype(y))) : y;
}
