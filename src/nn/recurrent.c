/*
 * nn/recurrent.c: recurrent layers, of any depth and in both directions, and their cells. The kinds differ
 * in the ops that they run and in how many gates there are; a state is h, with LSTM h and c.
 */
#include "autograd/tape.h"
#include "core/memory.h"
#include "nn/module.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum kind { RNN_TANH, RNN_RELU, LSTM, GRU } kind;

/* Of one layer in one direction. */
enum { W_IH, W_HH, B_IH, B_HH, WEIGHTS };
typedef mn_tensor *weights[WEIGHTS];

typedef struct recurrent {
    mn_module base;
    kind kind;
    int64_t input_size, hidden_size;
    int layers, directions; /* layers: 0 while there are no weights */
    bool no_bias, batch_first;
    double dropout;
    mn_rng rng;
    bool seeded;
    weights *w; /* [layers, directions] */
} recurrent;

static int states_of(kind k)
{
    return k == LSTM ? 2 : 1;
}

static int64_t gates_of(kind k)
{
    return k == LSTM ? 4 : k == GRU ? 3 : 1;
}

/* ---- forward ---- */

/* A call at work. */
typedef struct call {
    mn_tape *t;
    recurrent *r;
    mn_tensor *x;         /* [L, N, input_size] */
    mn_tensor *states[2]; /* [layers directions, N, H] or MN_NONE */
    mn_tensor *lengths;
    mn_tensor **last[2]; /* what the states of each layer and direction are at the end */
} call;

/* Layer and direction number i over x. */
static mn_tensor *run_one(const call *c, int i, bool reverse)
{
    static mn_tensor *(*const ops[])(mn_tape *, mn_tensor *, mn_tensor *, mn_tensor *, mn_tensor *,
                                     mn_tensor *, mn_tensor *, mn_tensor *, bool, mn_tensor **) = {
        [RNN_TANH] = mn_rnn_tanh, [RNN_RELU] = mn_rnn_relu, [GRU] = mn_gru};
    mn_tensor *s[2] = {MN_NONE, MN_NONE}, *const *w = c->r->w[i];
    for (int k = 0; k < 2; k++)
        if (c->states[k] != MN_NONE) s[k] = mn_select(c->t, c->states[k], 0, i);
    if (c->r->kind == LSTM)
        return mn_lstm(c->t, c->x, s[0], s[1], w[W_IH], w[W_HH], w[B_IH], w[B_HH], c->lengths,
                       reverse, &c->last[0][i], &c->last[1][i]);
    return ops[c->r->kind](c->t, c->x, s[0], w[W_IH], w[W_HH], w[B_IH], w[B_HH], c->lengths,
                           reverse, &c->last[0][i]);
}

static void run_all(call *c)
{
    recurrent *r = c->r;
    for (int l = 0; l < r->layers; l++) {
        mn_tensor *y[2] = {0};
        for (int d = 0; d < r->directions; d++) y[d] = run_one(c, l * r->directions + d, d == 1);
        c->x = r->directions == 2 ? mn_cat(c->t, y, 2, -1) : y[0];
        if (r->base.training && r->dropout > 0 && l + 1 < r->layers)
            c->x = mn_dropout(c->t, c->x, r->dropout, true, &r->rng);
    }
}

static bool has_shape(mn_tape *t, const mn_tensor *x, const char *what, int ndim,
                      const int64_t *shape)
{
    char is[MNI_TUPLE_SIZE], wanted[MNI_TUPLE_SIZE];
    bool fits = mn_tensor_ndim(x) == ndim;
    for (int d = 0; fits && d < ndim; d++) fits = mn_tensor_size(x, d) == shape[d];
    if (!fits)
        mn_tape_fail(t, MN_ERR_SHAPE, "%s is %s, not %s", what,
                     mni_shape_text(is, sizeof is, x->ndim, x->shape),
                     mni_shape_text(wanted, sizeof wanted, ndim, shape));
    return fits;
}

/* Whether the inputs fit; each as the ops take it, *single for a sequence without a batch. */
static bool take(call *c, mn_tensor *const *in, int n_in, bool *single)
{
    static const char *const names[] = {"h0", "c0"};
    const recurrent *r = c->r;
    const int n_states = states_of(r->kind);
    char text[MNI_TUPLE_SIZE];
    mn_tensor *x = in[0];
    *single = mn_tensor_ndim(x) == 2;
    const bool fits = *single || mn_tensor_ndim(x) == 3;
    if (!fits || mn_tensor_size(x, -1) != r->input_size)
        return mn_tape_fail(
            c->t, MN_ERR_SHAPE, "x is %s, not %s, %lld] or [L, %lld]",
            x == MN_NONE ? "MN_NONE" : mni_shape_text(text, sizeof text, x->ndim, x->shape),
            r->batch_first ? "[N, L" : "[L, N", (long long)r->input_size, (long long)r->input_size);
    if (*single)
        x = mn_unsqueeze(c->t, x, 1);
    else if (r->batch_first)
        x = mn_transpose(c->t, x, 0, 1);
    const int64_t rows = (int64_t)r->layers * r->directions;
    const int64_t state[] = {rows, mn_tensor_size(x, 1), r->hidden_size};
    c->x = x;
    c->lengths = n_in > 1 + n_states ? in[1 + n_states] : MN_NONE;
    for (int k = 0; k < 2; k++) {
        mn_tensor *s = k < n_states && 1 + k < n_in ? in[1 + k] : MN_NONE;
        if (s != MN_NONE && *single) {
            if (!has_shape(c->t, s, names[k], 2, (int64_t[]){rows, r->hidden_size})) return false;
            s = mn_unsqueeze(c->t, s, 1);
        } else if (s != MN_NONE && !has_shape(c->t, s, names[k], 3, state)) {
            return false;
        }
        c->states[k] = s;
    }
    return true;
}

/* Whether there are 1 to `most` of them. */
static bool counted(mn_tape *t, const mn_module *m, const char *verb, int n, int most,
                    const char *what)
{
    if (n >= 1 && n <= most) return true;
    mn_tape_fail(t, MN_ERR_ARGUMENT, "%s %s 1 to %d %s, not %d", m->cls->name, verb, most, what, n);
    return false;
}

static mn_error recurrent_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out)
{
    recurrent *r = (recurrent *)m;
    const int n_states = states_of(r->kind), rows = r->layers * r->directions;
    call c = {.t = t, .r = r};
    bool single;
    if (!counted(t, m, "takes", n_in, 2 + n_states, "inputs") ||
        !counted(t, m, "gives", n_out, 1 + n_states, "outputs") || !take(&c, in, n_in, &single))
        return mn_tape_error(t);
    if (m->training && r->dropout > 0 && r->layers > 1 && !r->seeded) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "dropout draws masks in training but was never seeded; call mn_module_init or "
                     "mn_module_seed first");
        return mn_tape_error(t);
    }
    for (int k = 0; k < n_states; k++) {
        c.last[k] = mni_arena_take(&t->arena, (size_t)rows * sizeof *c.last[k]);
        if (!c.last[k]) {
            mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the states");
            return mn_tape_error(t);
        }
    }
    run_all(&c);
    out[0] = single ? mn_squeeze_dim(t, c.x, 1) : r->batch_first ? mn_transpose(t, c.x, 0, 1) : c.x;
    for (int k = 0; k + 1 < n_out; k++) {
        out[1 + k] = mn_stack(t, c.last[k], rows, 0);
        if (single) out[1 + k] = mn_squeeze_dim(t, out[1 + k], 1);
    }
    return mn_tape_error(t);
}

/* ---- parts and text ---- */

static void visit_weights(mn_visitor *v, weights w, int64_t hidden, const char *end)
{
    static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    const double k = 1 / sqrt((double)hidden);
    for (int i = 0; i < WEIGHTS; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s%s", names[i], end);
        mn_visit_parameter(v, name, &w[i], mn_init_uniform(-k, k));
    }
}

static void recurrent_visit(mn_module *m, mn_visitor *v)
{
    recurrent *r = (recurrent *)m;
    for (int i = 0; i < r->layers * r->directions; i++) {
        char end[32];
        snprintf(end, sizeof end, "_l%d%s", i / r->directions, i % r->directions ? "_reverse" : "");
        visit_weights(v, r->w[i], r->hidden_size, end);
    }
    mn_visit_rng(v, &r->rng, &r->seeded);
}

static void recurrent_free(mn_module *m)
{
    mni_free(((recurrent *)m)->w);
}

static mn_error recurrent_copy(mn_module *m)
{
    recurrent *r = (recurrent *)m;
    const size_t size = (size_t)r->layers * (size_t)r->directions * sizeof *r->w;
    weights *own = mni_alloc(size);
    if (!own) return mn_last_error();
    memcpy(own, r->w, size);
    r->w = own;
    return MN_OK;
}

static int recurrent_describe(const mn_module *m, char *buffer, size_t size)
{
    const recurrent *r = (const recurrent *)m;
    char layers[32] = "", dropout[16 + MNI_REPR_SIZE] = "", p[MNI_REPR_SIZE];
    if (r->layers != 1) snprintf(layers, sizeof layers, ", num_layers=%d", r->layers);
    if (r->dropout != 0) snprintf(dropout, sizeof dropout, ", dropout=%s", mni_repr(r->dropout, p));
    return snprintf(buffer, size, "%lld, %lld%s%s%s%s%s", (long long)r->input_size,
                    (long long)r->hidden_size, layers, r->no_bias ? ", bias=False" : "",
                    r->batch_first ? ", batch_first=True" : "", dropout,
                    r->directions == 2 ? ", bidirectional=True" : "");
}

#define LAYER_CLASS(NAME)                                                                          \
    {                                                                                              \
        .name = NAME, .size = sizeof(recurrent), .forward = recurrent_forward,                     \
        .visit = recurrent_visit, .free = recurrent_free, .copy = recurrent_copy,                  \
        .describe = recurrent_describe                                                             \
    }
static const mn_module_class layer_classes[] = {[RNN_TANH] = LAYER_CLASS("RNN"),
                                                [RNN_RELU] = LAYER_CLASS("RNN"),
                                                [LSTM] = LAYER_CLASS("LSTM"),
                                                [GRU] = LAYER_CLASS("GRU")};

/* ---- making ---- */

static bool sizes_fit(const char *name, int64_t input_size, int64_t hidden_size)
{
    if (input_size >= 1 && hidden_size >= 1 && input_size <= INT32_MAX && hidden_size <= INT32_MAX)
        return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: input_size %lld and hidden_size %lld; from 1 to %d each", name,
            (long long)input_size, (long long)hidden_size, INT32_MAX);
    return false;
}

/* Makes an RNN's *k that of its nonlinearity. */
static bool nonlinearity_fits(const char *name, mn_nonlinearity n, kind *k)
{
    if (n == MN_NONLINEARITY_RELU && *k == RNN_TANH) *k = RNN_RELU;
    if (n == 0 || *k == RNN_RELU || (n == MN_NONLINEARITY_TANH && *k == RNN_TANH)) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: %d is not a nonlinearity that it takes", name, (int)n);
    return false;
}

/* Parameters without values; one that could not be made stays NULL. */
static void make_weights(weights w, kind k, int64_t ins, int64_t hidden, bool no_bias)
{
    const int64_t rows = gates_of(k) * hidden;
    w[W_IH] = mn_parameter(MN_F32, 2, (int64_t[]){rows, ins});
    w[W_HH] = mn_parameter(MN_F32, 2, (int64_t[]){rows, hidden});
    for (int i = B_IH; i <= B_HH; i++) w[i] = no_bias ? MN_NONE : mn_parameter(MN_F32, 1, &rows);
}

static mn_module *layer_new(const char *name, kind k, int64_t input_size, int64_t hidden_size,
                            const mn_nn_rnn_opts *opts)
{
    const mn_nn_rnn_opts o = opts ? *opts : (mn_nn_rnn_opts){0};
    if (!sizes_fit(name, input_size, hidden_size) || !nonlinearity_fits(name, o.nonlinearity, &k))
        return NULL;
    if (o.num_layers < 0 || !(o.dropout >= 0 && o.dropout <= 1)) {
        mn_fail(MN_ERR_ARGUMENT, "%s: num_layers %d and dropout %g; at least 1, and from 0 to 1",
                name, o.num_layers, o.dropout);
        return NULL;
    }
    recurrent *r = (recurrent *)mn_module_new(&layer_classes[k]);
    if (!r) return NULL;
    const int layers = o.num_layers ? o.num_layers : 1, directions = o.bidirectional ? 2 : 1;
    r->w = mni_calloc((size_t)layers * (size_t)directions * sizeof *r->w);
    if (!r->w) {
        mn_module_free(&r->base);
        return NULL;
    }
    r->kind = k;
    r->input_size = input_size;
    r->hidden_size = hidden_size;
    r->layers = layers;
    r->directions = directions;
    r->no_bias = o.no_bias;
    r->batch_first = o.batch_first;
    r->dropout = o.dropout;
    for (int i = 0; i < layers * directions; i++)
        make_weights(r->w[i], k, i < directions ? input_size : directions * hidden_size,
                     hidden_size, o.no_bias);
    return mn_module_finish(&r->base);
}

mn_module *mn_nn_rnn(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_opts *opts)
{
    return layer_new("rnn", RNN_TANH, input_size, hidden_size, opts);
}

mn_module *mn_nn_lstm(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_opts *opts)
{
    return layer_new("lstm", LSTM, input_size, hidden_size, opts);
}

mn_module *mn_nn_gru(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_opts *opts)
{
    return layer_new("gru", GRU, input_size, hidden_size, opts);
}

/* ---- cells ---- */

typedef struct cell {
    mn_module base;
    kind kind;
    int64_t input_size, hidden_size;
    bool no_bias;
    weights w;
} cell;

static mn_error cell_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                             mn_tensor **out, int n_out)
{
    static mn_tensor *(*const ops[])(mn_tape *, mn_tensor *, mn_tensor *, mn_tensor *, mn_tensor *,
                                     mn_tensor *, mn_tensor *) = {
        [RNN_TANH] = mn_rnn_tanh_cell, [RNN_RELU] = mn_rnn_relu_cell, [GRU] = mn_gru_cell};
    const cell *c = (const cell *)m;
    mn_tensor *const *w = c->w, *next = NULL;
    const int n_states = states_of(c->kind);
    if (!counted(t, m, "takes", n_in, 1 + n_states, "inputs") ||
        !counted(t, m, "gives", n_out, n_states, "outputs"))
        return mn_tape_error(t);
    mn_tensor *h = n_in > 1 ? in[1] : MN_NONE, *s = n_in > 2 ? in[2] : MN_NONE;
    if (c->kind == LSTM)
        out[0] = mn_lstm_cell(t, in[0], h, s, w[W_IH], w[W_HH], w[B_IH], w[B_HH], &next);
    else
        out[0] = ops[c->kind](t, in[0], h, w[W_IH], w[W_HH], w[B_IH], w[B_HH]);
    if (n_out > 1) out[1] = next;
    return mn_tape_error(t);
}

static void cell_visit(mn_module *m, mn_visitor *v)
{
    visit_weights(v, ((cell *)m)->w, ((cell *)m)->hidden_size, "");
}

static int cell_describe(const mn_module *m, char *buffer, size_t size)
{
    const cell *c = (const cell *)m;
    return snprintf(buffer, size, "%lld, %lld%s%s", (long long)c->input_size,
                    (long long)c->hidden_size, c->no_bias ? ", bias=False" : "",
                    c->kind == RNN_RELU ? ", nonlinearity=relu" : "");
}

#define CELL_CLASS(NAME)                                                                           \
    {                                                                                              \
        .name = NAME, .size = sizeof(cell), .forward = cell_forward, .visit = cell_visit,          \
        .describe = cell_describe                                                                  \
    }
static const mn_module_class cell_classes[] = {[RNN_TANH] = CELL_CLASS("RNNCell"),
                                               [RNN_RELU] = CELL_CLASS("RNNCell"),
                                               [LSTM] = CELL_CLASS("LSTMCell"),
                                               [GRU] = CELL_CLASS("GRUCell")};

static mn_module *cell_new(const char *name, kind k, int64_t input_size, int64_t hidden_size,
                           const mn_nn_rnn_cell_opts *opts)
{
    const mn_nn_rnn_cell_opts o = opts ? *opts : (mn_nn_rnn_cell_opts){0};
    if (!sizes_fit(name, input_size, hidden_size) || !nonlinearity_fits(name, o.nonlinearity, &k))
        return NULL;
    cell *c = (cell *)mn_module_new(&cell_classes[k]);
    if (!c) return NULL;
    c->kind = k;
    c->input_size = input_size;
    c->hidden_size = hidden_size;
    c->no_bias = o.no_bias;
    make_weights(c->w, k, input_size, hidden_size, o.no_bias);
    return mn_module_finish(&c->base);
}

mn_module *mn_nn_rnn_cell(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_cell_opts *opts)
{
    return cell_new("rnn_cell", RNN_TANH, input_size, hidden_size, opts);
}

mn_module *mn_nn_lstm_cell(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_cell_opts *opts)
{
    return cell_new("lstm_cell", LSTM, input_size, hidden_size, opts);
}

mn_module *mn_nn_gru_cell(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_cell_opts *opts)
{
    return cell_new("gru_cell", GRU, input_size, hidden_size, opts);
}
