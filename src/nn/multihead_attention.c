/*
 * nn/multihead_attention.c: attention of several heads between projections. Heads are views of the
 * projections' rows; nothing is copied between them and the op.
 */
#include "nn/module.h"
#include <math.h>
#include <string.h>

typedef struct attention {
    mn_module base;
    int64_t width, heads;
    mn_tensor *in_proj_weight; /* [3 width, width], or MN_NONE */
    mn_tensor *proj_weight[3]; /* q, k, v: [width, *], or MN_NONE */
    mn_tensor *in_proj_bias;   /* [3 width] or MN_NONE */
    mn_module *out_proj;
    mn_nn_multihead_attention_opts opts;
    mn_rng rng;
    bool seeded;
} attention;

/* The layout of a call: whether there is a batch, and where. */
typedef struct shape {
    bool batched, batch_first;
    int64_t batch, queries, keys, heads, width;
} shape;

/* ---- checks ---- */

static bool inputs_fit(mn_tape *t, const attention *a, mn_tensor *const *in, int n_in, int n_out,
                       shape *s)
{
    static const char *const names[] = {"query", "key", "value"};
    if (n_in < 3 || n_in > 5 || n_out < 1 || n_out > 2)
        return mn_tape_fail(t, MN_ERR_ARGUMENT,
                            "%d inputs, %d outputs: query, key, value [, attn_mask [, "
                            "key_padding_mask]] give the result [, the weights]",
                            n_in, n_out);
    for (int i = 0; i < 3; i++)
        if (in[i] == MN_NONE) return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is MN_NONE", names[i]);
    char text[3][128];
    for (int i = 0; i < 3; i++) mn_tensor_format_shape(in[i], text[i], sizeof text[i]);
    const int ndim = mn_tensor_ndim(in[0]);
    bool fits = ndim == 2 || ndim == 3;
    for (int i = 1; fits && i < 3; i++) fits = mn_tensor_ndim(in[i]) == ndim;
    *s = (shape){.batched = ndim == 3, .batch_first = a->opts.batch_first, .heads = a->heads};
    const int length = s->batched && s->batch_first, batch = !length;
    if (fits) {
        s->batch = s->batched ? mn_tensor_size(in[0], batch) : 1;
        s->queries = mn_tensor_size(in[0], length);
        s->keys = mn_tensor_size(in[1], length);
        s->width = a->width / a->heads;
        fits = mn_tensor_size(in[2], length) == s->keys;
        for (int i = 1; i < 3 && s->batched; i++)
            fits = fits && mn_tensor_size(in[i], batch) == s->batch;
    }
    if (fits) return true;
    return mn_tape_fail(t, MN_ERR_SHAPE, "query %s, key %s, value %s: %s", text[0], text[1],
                        text[2],
                        s->batch_first ? "[N, L, E], [N, S, K] and [N, S, V] are needed"
                                       : "[L, N, E], [S, N, K] and [S, N, V] are needed");
}

static bool has_shape(const mn_tensor *x, int ndim, const int64_t *sizes)
{
    bool same = mn_tensor_ndim(x) == ndim;
    for (int d = 0; same && d < ndim; d++) same = mn_tensor_size(x, d) == sizes[d];
    return same;
}

/* ---- masks ---- */

/* A mask as [.., L, S] or [N, 1, 1, S], over the heads; NULL with the tape's error set. */
static mn_tensor *seen_over_heads(mn_tape *t, mn_tensor *mask, const shape *s, bool padding)
{
    const int64_t plain[] = {s->queries, s->keys},
                  each[] = {s->batch * s->heads, s->queries, s->keys};
    const int64_t keys[] = {s->batch, s->keys};
    const int64_t split[] = {s->batch, s->heads}, row[] = {s->batch, 1, 1, s->keys};
    const int first = s->batched ? 0 : 1; /* without a batch: no dimension of it */
    if (padding && has_shape(mask, s->batched ? 2 : 1, keys + first))
        return mn_reshape(t, mask, 4 - first, row + first);
    if (!padding && has_shape(mask, 2, plain)) return mask;
    if (!padding && has_shape(mask, 3, each))
        return s->batched ? mn_unflatten(t, mask, 0, 2, split) : mask;
    char text[128];
    mn_tensor_format_shape(mask, text, sizeof text);
    if (padding)
        return mn_tape_fail(t, MN_ERR_SHAPE, "key_padding_mask %s: %lld keys, a batch of %lld",
                            text, (long long)s->keys, (long long)s->batch);
    return mn_tape_fail(t, MN_ERR_SHAPE,
                        "attn_mask %s: [%lld, %lld] or [%lld, %lld, %lld] is needed", text,
                        (long long)plain[0], (long long)plain[1], (long long)each[0],
                        (long long)each[1], (long long)each[2]);
}

/* What is added to scores of that type: -infinity where a bool mask is true. */
static mn_tensor *added(mn_tape *t, mn_tensor *mask, mn_dtype dtype)
{
    if (!mask || mn_tensor_dtype(mask) != MN_BOOL) return mask;
    return mn_masked_fill(t, mn_zeros_like(t, mn_to(t, mask, dtype)), mask, -INFINITY);
}

/* Both masks as the op takes them: true where a key may be attended to. */
static mn_tensor *joined(mn_tape *t, mn_tensor *mask, mn_tensor *padding, const shape *s,
                         mn_dtype dtype)
{
    if (mask != MN_NONE) mask = seen_over_heads(t, mask, s, false);
    if (padding != MN_NONE) padding = seen_over_heads(t, padding, s, true);
    if (!mask || !padding) return NULL;
    if (mask == MN_NONE) mask = padding, padding = MN_NONE;
    if (mask == MN_NONE) return MN_NONE;
    if (padding == MN_NONE)
        return mn_tensor_dtype(mask) == MN_BOOL ? mn_logical_not(t, mask) : mask;
    if (mn_tensor_dtype(mask) == MN_BOOL && mn_tensor_dtype(padding) == MN_BOOL)
        return mn_logical_not(t, mn_logical_or(t, mask, padding));
    return mn_add(t, added(t, mask, dtype), added(t, padding, dtype));
}

/* ---- projections and heads ---- */

/* Fills part with the projections of query, key and value: of one input, by one product. */
static void project(mn_tape *t, const attention *a, mn_tensor *const *in, mn_tensor **part)
{
    mn_tensor *w[3] = {NULL}, *b[3] = {MN_NONE, MN_NONE, MN_NONE};
    if (in[0] == in[1] && in[1] == in[2] && a->in_proj_weight != MN_NONE) {
        mn_chunk(t, mn_linear(t, in[0], a->in_proj_weight, a->in_proj_bias), 3, -1, part);
        return;
    }
    if (a->in_proj_weight != MN_NONE)
        mn_chunk(t, a->in_proj_weight, 3, 0, w);
    else
        memcpy(w, a->proj_weight, sizeof w);
    if (a->in_proj_bias != MN_NONE) mn_chunk(t, a->in_proj_bias, 3, 0, b);
    for (int i = 0; i < 3; i++) part[i] = mn_linear(t, in[i], w[i], b[i]);
}

/* [N, L, E] (or [L, N, E], [L, E]) as [N, heads, L, E/heads] ([heads, L, ...]), a view. */
static mn_tensor *heads_of(mn_tape *t, mn_tensor *x, const shape *s)
{
    x = mn_unflatten(t, x, -1, 2, (int64_t[]){s->heads, s->width});
    if (!s->batched) return mn_transpose(t, x, 0, 1);
    return mn_permute(t, x, s->batch_first ? (int[]){0, 2, 1, 3} : (int[]){1, 2, 0, 3});
}

static mn_tensor *rows_of(mn_tape *t, mn_tensor *x, const shape *s)
{
    if (!s->batched)
        x = mn_transpose(t, x, 0, 1);
    else
        x = mn_permute(t, x, s->batch_first ? (int[]){0, 2, 1, 3} : (int[]){2, 0, 1, 3});
    return mn_flatten(t, x, -2, -1);
}

static mn_error attention_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out)
{
    attention *a = (attention *)m;
    mn_tensor *part[3] = {NULL}, *weights = NULL;
    const bool drops = m->training && a->opts.dropout > 0;
    shape s = {0};
    if (!inputs_fit(t, a, in, n_in, n_out, &s)) return mn_tape_error(t);
    if (drops && !a->seeded) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "attention draws a mask in training but was never seeded; call mn_module_init "
                     "or mn_module_seed first");
        return mn_tape_error(t);
    }
    mn_tensor *mask = joined(t, n_in > 3 ? in[3] : MN_NONE, n_in > 4 ? in[4] : MN_NONE, &s,
                             mn_tensor_dtype(in[0]));
    const mn_attention_opts opts = {.is_causal = a->opts.is_causal,
                                    .dropout_p = drops ? a->opts.dropout : 0,
                                    .rng = drops ? &a->rng : NULL,
                                    .weights = n_out > 1 ? &weights : NULL};
    project(t, a, in, part);
    for (int i = 0; i < 3; i++) part[i] = heads_of(t, part[i], &s);
    mn_tensor *y = mn_scaled_dot_product_attention(t, part[0], part[1], part[2], mask, &opts);
    out[0] = mn_module_forward(a->out_proj, t, rows_of(t, y, &s));
    if (n_out > 1) out[1] = mn_mean_dim(t, weights, (int[]){-3}, 1, false);
    return mn_tape_error(t);
}

/* ---- the module ---- */

static void attention_visit(mn_module *m, mn_visitor *v)
{
    static const char *const names[] = {"q_proj_weight", "k_proj_weight", "v_proj_weight"};
    attention *a = (attention *)m;
    mn_visit_parameter(v, "in_proj_weight", &a->in_proj_weight, mn_init_xavier_uniform(1));
    for (int i = 0; i < 3; i++)
        mn_visit_parameter(v, names[i], &a->proj_weight[i], mn_init_xavier_uniform(1));
    mn_visit_parameter(v, "in_proj_bias", &a->in_proj_bias, mn_init_constant(0));
    mn_visit_child(v, "out_proj", &a->out_proj);
    mn_visit_rng(v, &a->rng, &a->seeded);
}

static const mn_module_class attention_class = {.name = "MultiheadAttention",
                                                .size = sizeof(attention),
                                                .forward = attention_forward,
                                                .visit = attention_visit};

static mn_error check(int64_t width, int64_t heads, const mn_nn_multihead_attention_opts *o)
{
    static const char who[] = "multihead_attention";
    if (width < 1 || heads < 1 || o->kdim < 0 || o->vdim < 0)
        return mn_fail(MN_ERR_ARGUMENT,
                       "%s: %lld embed_dim, %lld num_heads, %lld kdim, %lld vdim; at least 1 each",
                       who, (long long)width, (long long)heads, (long long)o->kdim,
                       (long long)o->vdim);
    if (width % heads)
        return mn_fail(MN_ERR_ARGUMENT, "%s: %lld num_heads do not divide embed_dim %lld", who,
                       (long long)heads, (long long)width);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return mn_fail(MN_ERR_ARGUMENT, "%s: dropout %g is not between 0 and 1", who, o->dropout);
    return MN_OK;
}

mn_module *mn_nn_multihead_attention(int64_t embed_dim, int64_t num_heads,
                                     const mn_nn_multihead_attention_opts *opts)
{
    const mn_nn_multihead_attention_opts o = opts ? *opts : (mn_nn_multihead_attention_opts){0};
    if (check(embed_dim, num_heads, &o)) return NULL;
    attention *a = (attention *)mn_module_new(&attention_class);
    if (!a) return NULL;
    const int64_t e = embed_dim, three = 3 * e, k = o.kdim ? o.kdim : e, v = o.vdim ? o.vdim : e;
    const int64_t widths[] = {e, k, v};
    const bool same = k == e && v == e;
    a->width = e;
    a->heads = num_heads;
    a->opts = o;
    a->in_proj_weight = same ? mn_parameter(MN_F32, 2, (int64_t[]){three, e}) : MN_NONE;
    for (int i = 0; i < 3; i++)
        a->proj_weight[i] = same ? MN_NONE : mn_parameter(MN_F32, 2, (int64_t[]){e, widths[i]});
    a->in_proj_bias = o.no_bias ? MN_NONE : mn_parameter(MN_F32, 1, &three);
    a->out_proj = mni_out_proj(e, o.no_bias);
    return mn_module_finish(&a->base);
}
