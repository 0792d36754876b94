/*
 * nn/transformer.c: the transformer's layers, and a stack of them.
 */
#include "core/memory.h"
#include "nn/module.h"
#include <stdio.h>

enum { NORMS = 3 };

typedef struct transformer {
    mn_module base;
    bool decoder, norm_first, gelu;
    mn_module *self_attn, *multihead_attn;
    mn_module *linear1, *linear2, *dropout;
    mn_module *norm[NORMS], *drop[NORMS]; /* norm1, dropout1, ...; an encoder's third ones: NULL */
} transformer;

/* ---- a layer ---- */

/* x + drop(f(x)) and a norm, of f(x)'s input or of the sum. */
static mn_tensor *before(mn_tape *t, const transformer *l, int i, mn_tensor *x)
{
    return l->norm_first ? mn_module_forward(l->norm[i], t, x) : x;
}

static mn_tensor *after(mn_tape *t, const transformer *l, int i, mn_tensor *x, mn_tensor *y)
{
    x = mn_add(t, x, mn_module_forward(l->drop[i], t, y));
    return l->norm_first ? x : mn_module_forward(l->norm[i], t, x);
}

static mn_tensor *attend(mn_tape *t, mn_module *attention, mn_tensor *query, mn_tensor *key,
                         mn_tensor *mask, mn_tensor *padding)
{
    mn_tensor *in[] = {query, key, key, mask, padding}, *y = NULL;
    mn_module_call(attention, t, in, 5, &y, 1);
    return y;
}

static mn_tensor *feed_forward(mn_tape *t, const transformer *l, mn_tensor *x)
{
    x = mn_module_forward(l->linear1, t, x);
    x = l->gelu ? mn_gelu(t, x) : mn_relu(t, x);
    return mn_module_forward(l->linear2, t, mn_module_forward(l->dropout, t, x));
}

/* The last step of both layers, number i. */
static mn_tensor *finish(mn_tape *t, const transformer *l, int i, mn_tensor *x)
{
    return after(t, l, i, x, feed_forward(t, l, before(t, l, i, x)));
}

static mn_tensor *input(mn_tensor *const *in, int n_in, int i)
{
    return i < n_in ? in[i] : MN_NONE;
}

static mn_error inputs_fit(mn_tape *t, mn_tensor *const *in, int n_in, int least, int most,
                           const char *what)
{
    if (n_in < least || n_in > most) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%d inputs: %s", n_in, what);
        return mn_tape_error(t);
    }
    for (int i = 0; i < least; i++)
        if (in[i] == MN_NONE) mn_tape_fail(t, MN_ERR_ARGUMENT, "input %d is MN_NONE: %s", i, what);
    return mn_tape_error(t);
}

static mn_error encoder_layer_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                      mn_tensor **out, int n_out)
{
    const transformer *l = (const transformer *)m;
    (void)n_out;
    if (inputs_fit(t, in, n_in, 1, 3, "src [, src_mask [, src_key_padding_mask]]"))
        return mn_tape_error(t);
    mn_tensor *x = in[0], *y = before(t, l, 0, x);
    y = attend(t, l->self_attn, y, y, input(in, n_in, 1), input(in, n_in, 2));
    out[0] = finish(t, l, 1, after(t, l, 0, x, y));
    return mn_tape_error(t);
}

static mn_error decoder_layer_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                      mn_tensor **out, int n_out)
{
    const transformer *l = (const transformer *)m;
    (void)n_out;
    if (inputs_fit(t, in, n_in, 2, 6,
                   "tgt, memory [, tgt_mask [, memory_mask [, tgt_key_padding_mask [, "
                   "memory_key_padding_mask]]]]"))
        return mn_tape_error(t);
    mn_tensor *x = in[0], *y = before(t, l, 0, x);
    y = attend(t, l->self_attn, y, y, input(in, n_in, 2), input(in, n_in, 4));
    x = after(t, l, 0, x, y);
    y = attend(t, l->multihead_attn, before(t, l, 1, x), in[1], input(in, n_in, 3),
               input(in, n_in, 5));
    out[0] = finish(t, l, 2, after(t, l, 1, x, y));
    return mn_tape_error(t);
}

static void transformer_visit(mn_module *m, mn_visitor *v)
{
    transformer *l = (transformer *)m;
    char name[24];
    const int steps = l->decoder ? 3 : 2;
    mn_visit_child(v, "self_attn", &l->self_attn);
    if (l->decoder) mn_visit_child(v, "multihead_attn", &l->multihead_attn);
    mn_visit_child(v, "linear1", &l->linear1);
    mn_visit_child(v, "dropout", &l->dropout);
    mn_visit_child(v, "linear2", &l->linear2);
    for (int i = 0; i < steps; i++) {
        snprintf(name, sizeof name, "norm%d", i + 1);
        mn_visit_child(v, name, &l->norm[i]);
    }
    for (int i = 0; i < steps; i++) {
        snprintf(name, sizeof name, "dropout%d", i + 1);
        mn_visit_child(v, name, &l->drop[i]);
    }
}

static const mn_module_class encoder_layer_class = {.name = "TransformerEncoderLayer",
                                                    .size = sizeof(transformer),
                                                    .n_out = 1,
                                                    .forward = encoder_layer_forward,
                                                    .visit = transformer_visit};
static const mn_module_class decoder_layer_class = {.name = "TransformerDecoderLayer",
                                                    .size = sizeof(transformer),
                                                    .n_out = 1,
                                                    .forward = decoder_layer_forward,
                                                    .visit = transformer_visit};

static mn_module *attention_of(int64_t d_model, int64_t nhead, double dropout, bool causal,
                               const mn_nn_transformer_opts *o)
{
    return mn_nn_multihead_attention(
        d_model, nhead,
        &(mn_nn_multihead_attention_opts){.dropout = dropout,
                                          .no_bias = o->no_bias,
                                          .batch_first = o->batch_first,
                                          .is_causal = causal});
}

static mn_error check(const char *who, int64_t width, int64_t heads, int64_t inner, double dropout,
                      const mn_nn_transformer_opts *o)
{
    if (width < 1 || heads < 1 || inner < 1)
        return mn_fail(MN_ERR_ARGUMENT,
                       "%s: %lld d_model, %lld nhead and %lld dim_feedforward; at least 1 each",
                       who, (long long)width, (long long)heads, (long long)inner);
    if (width % heads)
        return mn_fail(MN_ERR_ARGUMENT, "%s: %lld nhead do not divide d_model %lld", who,
                       (long long)heads, (long long)width);
    if (!(dropout >= 0 && dropout <= 1))
        return mn_fail(MN_ERR_ARGUMENT, "%s: dropout %g is not between 0 and 1", who, dropout);
    if (o->activation != MN_TRANSFORMER_RELU && o->activation != MN_TRANSFORMER_GELU)
        return mn_fail(MN_ERR_ARGUMENT, "%s: %d is not an activation", who, (int)o->activation);
    return MN_OK;
}

static mn_module *layer_new(const mn_module_class *class, const char *who, int64_t width,
                            int64_t heads, int64_t inner, double dropout,
                            const mn_nn_transformer_opts *opts)
{
    const mn_nn_transformer_opts o = opts ? *opts : (mn_nn_transformer_opts){0};
    const mn_nn_norm_opts norm = {.eps = o.layer_norm_eps, .no_bias = o.no_bias};
    const mn_nn_linear_opts linear = {.no_bias = o.no_bias};
    if (check(who, width, heads, inner, dropout, &o)) return NULL;
    transformer *l = (transformer *)mn_module_new(class);
    if (!l) return NULL;
    l->decoder = class == &decoder_layer_class;
    l->norm_first = o.norm_first;
    l->gelu = o.activation == MN_TRANSFORMER_GELU;
    l->self_attn = attention_of(width, heads, dropout, o.is_causal, &o);
    if (l->decoder) l->multihead_attn = attention_of(width, heads, dropout, false, &o);
    l->linear1 = mn_nn_linear(width, inner, &linear);
    l->dropout = mn_nn_dropout(dropout);
    l->linear2 = mn_nn_linear(inner, width, &linear);
    for (int i = 0; i < (l->decoder ? 3 : 2); i++) {
        l->norm[i] = mn_nn_layer_norm(1, &width, &norm);
        l->drop[i] = mn_nn_dropout(dropout);
    }
    return mn_module_finish(&l->base);
}

mn_module *mn_nn_transformer_encoder_layer(int64_t d_model, int64_t nhead, int64_t dim_feedforward,
                                           double dropout, const mn_nn_transformer_opts *opts)
{
    return layer_new(&encoder_layer_class, "transformer_encoder_layer", d_model, nhead,
                     dim_feedforward, dropout, opts);
}

mn_module *mn_nn_transformer_decoder_layer(int64_t d_model, int64_t nhead, int64_t dim_feedforward,
                                           double dropout, const mn_nn_transformer_opts *opts)
{
    return layer_new(&decoder_layer_class, "transformer_decoder_layer", d_model, nhead,
                     dim_feedforward, dropout, opts);
}

/* ---- a stack ---- */

typedef struct stack {
    mn_module base;
    mn_module *layers, *norm;
    bool has_norm;
} stack;

static mn_error stack_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                              mn_tensor **out, int n_out)
{
    const stack *s = (const stack *)m;
    (void)n_out;
    if (inputs_fit(t, in, n_in, 1, 3, "src [, mask [, src_key_padding_mask]]"))
        return mn_tape_error(t);
    mn_tensor *x[] = {in[0], input(in, n_in, 1), input(in, n_in, 2)};
    for (int i = 0; i < mn_module_child_count(s->layers) && x[0]; i++) {
        mn_tensor *y = NULL;
        mn_module_call(mn_module_child_at(s->layers, i), t, x, 3, &y, 1);
        x[0] = y;
    }
    out[0] = s->has_norm ? mn_module_forward(s->norm, t, x[0]) : x[0];
    return mn_tape_error(t);
}

static void stack_visit(mn_module *m, mn_visitor *v)
{
    stack *s = (stack *)m;
    mn_visit_child(v, "layers", &s->layers);
    if (s->has_norm) mn_visit_child(v, "norm", &s->norm);
}

static const mn_module_class stack_class = {.name = "TransformerEncoder",
                                            .size = sizeof(stack),
                                            .n_out = 1,
                                            .forward = stack_forward,
                                            .visit = stack_visit};

/* n modules like `layer`, which it takes over, as a list. */
/* Clones draw what their model draws, and report errors under its name, until a tree that is seeded gives
 * each its own. */
static bool forget_path(mn_visitor *v, mn_module *m)
{
    (void)v;
    mni_free(m->path);
    m->path = NULL;
    return true;
}

static void forget_seed(mn_visitor *v, mn_rng *rng, bool *seeded)
{
    (void)v, (void)rng;
    *seeded = false;
}

static mn_module *repeated(mn_module *layer, int n)
{
    mn_module **all = layer ? mni_calloc((size_t)n * sizeof *all) : NULL;
    if (!all) {
        mn_module_free(layer);
        return NULL;
    }
    all[0] = layer;
    mni_walk(&(mn_visitor){.module = forget_path, .rng = forget_seed}, layer);
    for (int i = 1; i < n; i++) all[i] = mn_module_clone(layer);
    mn_module *list = mn_nn_module_list_n(all, n);
    mni_free(all);
    return list;
}

static mn_module *stack_new(mn_module *layer, int n, mn_module *norm, bool has_norm)
{
    if (n < 1) {
        mn_fail(MN_ERR_ARGUMENT, "transformer_encoder: %d num_layers; at least 1", n);
        mn_module_free(layer);
        mn_module_free(norm);
        return NULL;
    }
    stack *s = (stack *)mn_module_new(&stack_class);
    if (!s) {
        mn_module_free(layer);
        mn_module_free(norm);
        return NULL;
    }
    s->layers = repeated(layer, n);
    s->norm = norm;
    s->has_norm = has_norm;
    return mn_module_finish(&s->base);
}

mn_module *mn_nn_transformer_encoder(mn_module *encoder_layer, int num_layers)
{
    return stack_new(encoder_layer, num_layers, NULL, false);
}

mn_module *mn_nn_transformer_encoder_with(mn_module *encoder_layer, int num_layers, mn_module *norm)
{
    return stack_new(encoder_layer, num_layers, norm, true);
}
