/*
 * language_model.c: both nets as modules of their own, made of the library's.
 */
#include "language_model.h"

enum { EMBEDDING = 64 }; /* numbers that stand for a character in the LSTM */

/* ---- the LSTM ---- */

typedef struct lstm_model {
    mn_module base;
    mn_tensor *embedding; /* parameter, [kinds, EMBEDDING] */
    mn_module *lstm, *dropout, *head;
} lstm_model;

/* characters [n, length], h, c -> logits [n, length, kinds], next h, next c */
static mn_error lstm_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                             mn_tensor **out, int n_out)
{
    lstm_model *l = (lstm_model *)m;
    (void)n_in, (void)n_out; /* 3 and 3, as the class says */
    mn_tensor *x[] = {mn_embedding(t, in[0], l->embedding, NULL), in[1], in[2]}, *y[3];
    mn_module_call(l->lstm, t, x, 3, y, 3);
    out[0] = mn_module_forward(l->head, t, mn_module_forward(l->dropout, t, y[0]));
    out[1] = y[1];
    out[2] = y[2];
    return mn_tape_error(t);
}

static void lstm_visit(mn_module *m, mn_visitor *v)
{
    lstm_model *l = (lstm_model *)m;
    mn_visit_parameter(v, "embedding", &l->embedding, mn_init_normal(0, 1));
    mn_visit_child(v, "lstm", &l->lstm);
    mn_visit_child(v, "dropout", &l->dropout);
    mn_visit_child(v, "head", &l->head);
}

static const mn_module_class lstm_class = {
    .name = "LstmModel",
    .size = sizeof(lstm_model),
    .n_in = 3,
    .n_out = 3,
    .forward = lstm_forward,
    .visit = lstm_visit,
};

static mn_module *lstm_new(int64_t kinds, const language_shape *s)
{
    lstm_model *l = (lstm_model *)mn_module_new(&lstm_class);
    if (!l) return NULL;
    mn_nn_rnn_opts opts = {.num_layers = (int)s->layers, .batch_first = true};
    if (s->layers > 1) opts.dropout = s->dropout;
    l->embedding = mn_parameter(MN_F32, 2, (int64_t[]){kinds, EMBEDDING});
    l->lstm = mn_nn_lstm(EMBEDDING, s->width, &opts);
    l->dropout = mn_nn_dropout(s->dropout);
    l->head = mn_nn_linear(s->width, kinds, NULL);
    return mn_module_finish(&l->base);
}

/* ---- the transformer ---- */

typedef struct transformer_model {
    mn_module base;
    mn_tensor *embedding; /* parameter, [kinds, width]: of what goes in and of what comes out */
    mn_tensor *position;  /* parameter, [context, width] */
    mn_module *dropout, *blocks;
} transformer_model;

/* characters [n, length] -> logits [n, length, kinds] */
static mn_error transformer_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                    mn_tensor **out, int n_out)
{
    transformer_model *f = (transformer_model *)m;
    (void)n_in, (void)n_out; /* 1 and 1, as the class says */
    mn_tensor *places = mn_narrow(t, f->position, 0, 0, mn_tensor_size(in[0], 1));
    mn_tensor *x = mn_add(t, mn_embedding(t, in[0], f->embedding, NULL), places);
    x = mn_module_forward(f->blocks, t, mn_module_forward(f->dropout, t, x));
    out[0] = mn_linear(t, x, f->embedding, MN_NONE);
    return mn_tape_error(t);
}

static void transformer_visit(mn_module *m, mn_visitor *v)
{
    transformer_model *f = (transformer_model *)m;
    mn_visit_parameter(v, "embedding", &f->embedding, mn_init_normal(0, 0.1));
    mn_visit_parameter(v, "position", &f->position, mn_init_normal(0, 0.1));
    mn_visit_child(v, "dropout", &f->dropout);
    mn_visit_child(v, "blocks", &f->blocks);
}

static const mn_module_class transformer_class = {
    .name = "TransformerModel",
    .size = sizeof(transformer_model),
    .n_in = 1,
    .n_out = 1,
    .forward = transformer_forward,
    .visit = transformer_visit,
};

static mn_module *transformer_new(int64_t kinds, const language_shape *s)
{
    transformer_model *f = (transformer_model *)mn_module_new(&transformer_class);
    const mn_nn_transformer_opts opts = {.activation = MN_TRANSFORMER_GELU, /* as in GPT-2 */
                                         .batch_first = true,
                                         .norm_first = true,
                                         .is_causal = true};
    mn_module *blocks[MAX_LAYERS + 1];
    int n = 0;
    if (!f) return NULL;
    while (n < s->layers)
        blocks[n++] =
            mn_nn_transformer_encoder_layer(s->width, s->heads, 4 * s->width, s->dropout, &opts);
    blocks[n++] = mn_nn_layer_norm(1, &s->width, NULL);
    f->embedding = mn_parameter(MN_F32, 2, (int64_t[]){kinds, s->width});
    f->position = mn_parameter(MN_F32, 2, (int64_t[]){s->context, s->width});
    f->dropout = mn_nn_dropout(s->dropout);
    f->blocks = mn_nn_sequential_n(blocks, n);
    return mn_module_finish(&f->base);
}

/* ---- either ---- */

mn_module *language_model(language_kind kind, int64_t kinds, const language_shape *shape,
                          uint64_t seed)
{
    mn_module *m = kind == LSTM ? lstm_new(kinds, shape) : transformer_new(kinds, shape);
    mn_module_init(m, seed);
    return m;
}

bool memory_init(memory *w, language_kind kind, const language_shape *shape, int64_t n)
{
    *w = (memory){0};
    if (kind == TRANSFORMER) return true;
    for (int i = 0; i < 2; i++)
        w->state[i] = mn_tensor_zeros(MN_F32, 3, (int64_t[]){shape->layers, n, shape->width});
    return w->state[0] && w->state[1];
}

void memory_free(memory *w)
{
    for (int i = 0; i < 2; i++) mn_release(w->state[i]);
}

void memory_clear(memory *w)
{
    for (int i = 0; w->state[0] && i < 2; i++) mn_tensor_fill(w->state[i], 0);
}

mn_tensor *language_logits(mn_module *model, mn_tape *t, mn_tensor *characters, memory *w)
{
    mn_tensor *in[] = {characters, w->state[0], w->state[1]}, *out[3];
    int n = w->state[0] ? 3 : 1;
    mn_module_call(model, t, in, n, out, n);
    for (int i = 0; i < n - 1; i++) w->next[i] = out[i + 1];
    return out[0];
}

void memory_keep(memory *w, mn_tape *t)
{
    for (int i = 0; w->state[0] && i < 2 && !mn_tape_error(t); i++)
        mn_tensor_copy(w->state[i], w->next[i]);
}
