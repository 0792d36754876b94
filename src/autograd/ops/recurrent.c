/*
 * autograd/ops/recurrent.c: recurrent layers over whole sequences; a cell is a layer of one step. What a
 * layer is, `unrolled` says with other ops, and a recorded gradient is that of it. Values and all other
 * gradients come from a loop over the steps (tensor/recurrent.c) between products for all steps at once.
 */
#include "autograd/ops/ops.h"

enum { X, H, C, W_IH, W_HH, B_IH, B_HH, INPUTS };
enum { Y, H_N, C_N, OUTPUTS };
enum { LENGTHS = INPUTS, STATES, CELLS, GATES, SAVED }; /* after the inputs */

typedef struct plan {
    mni_cell_kind kind;
    bool reverse;
    int64_t steps, batch, ins, hidden, gates; /* gates: rows of the weights */
} plan;

static int outputs_of(const plan *p)
{
    return p->kind == MNI_LSTM ? OUTPUTS : OUTPUTS - 1;
}

/* ---- the definition ---- */

/* a, b: [1, N, gates]; h, c: [1, N, hidden]. */
static void step(mn_tape *t, mni_cell_kind kind, mn_tensor *a, mn_tensor *b, mn_tensor **h,
                 mn_tensor **c)
{
    mn_tensor *g[4] = {0}, *from[3] = {0};
    if (kind == MNI_RNN_TANH) *h = mn_tanh(t, mn_add(t, a, b));
    if (kind == MNI_RNN_RELU) *h = mn_relu(t, mn_add(t, a, b));
    if (kind == MNI_LSTM) {
        mn_chunk(t, mn_add(t, a, b), 4, -1, g);
        mn_tensor *kept = mn_mul(t, mn_sigmoid(t, g[1]), *c);
        *c = mn_add(t, kept, mn_mul(t, mn_sigmoid(t, g[0]), mn_tanh(t, g[2])));
        *h = mn_mul(t, mn_sigmoid(t, g[3]), mn_tanh(t, *c));
    }
    if (kind == MNI_GRU) {
        mn_chunk(t, a, 3, -1, g);
        mn_chunk(t, b, 3, -1, from);
        mn_tensor *r = mn_sigmoid(t, mn_add(t, g[0], from[0]));
        mn_tensor *z = mn_sigmoid(t, mn_add(t, g[1], from[1]));
        mn_tensor *fresh = mn_tanh(t, mn_add(t, g[2], mn_mul(t, r, from[2])));
        *h = mn_add(t, fresh, mn_mul(t, z, mn_sub(t, *h, fresh)));
    }
}

/* The state at first, as a sequence of one. */
static mn_tensor *first_state(mn_tape *t, const plan *p, const mn_tensor *like, mn_tensor *given)
{
    const int64_t shape[] = {1, p->batch, p->hidden};
    return given == MN_NONE ? mn_zeros(t, (mn_dtype)like->dtype, 3, shape)
                            : mn_reshape(t, given, 3, shape);
}

static void unrolled(mn_tape *t, const plan *p, mn_tensor *const in[INPUTS], mn_tensor *lengths,
                     mn_tensor *out[OUTPUTS])
{
    const int64_t steps = p->steps, state[] = {p->batch, p->hidden};
    mn_tensor **a = mni_arena_take(&t->arena, (size_t)steps * sizeof *a);
    mn_tensor **y = mni_arena_take(&t->arena, (size_t)steps * sizeof *y);
    if (!a || !y) {
        mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the gradient");
        return;
    }
    mn_tensor *h = first_state(t, p, in[X], in[H]), *c = NULL;
    if (p->kind == MNI_LSTM) c = first_state(t, p, in[X], in[C]);
    if (lengths != MN_NONE) lengths = mn_reshape(t, lengths, 3, (int64_t[]){1, p->batch, 1});
    mn_split(t, mn_linear(t, in[X], in[W_IH], in[B_IH]), 1, 0, a, (int)steps);
    for (int64_t k = 0; k < steps && !t->error; k++) {
        const int64_t s = p->reverse ? steps - 1 - k : k;
        mn_tensor *h0 = h, *c0 = c;
        step(t, p->kind, a[s], mn_linear(t, h, in[W_HH], in[B_HH]), &h, &c);
        if (lengths != MN_NONE) {
            mn_tensor *runs = mn_gt_scalar(t, lengths, (double)s);
            h = mn_where(t, runs, h, h0);
            if (c) c = mn_where(t, runs, c, c0);
        }
        y[s] = h;
    }
    if (t->error) return;
    out[Y] = mn_cat(t, y, (int)steps, 0);
    out[H_N] = mn_reshape(t, h, 2, state);
    if (c) out[C_N] = mn_reshape(t, c, 2, state);
}

static void recurrent_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const plan *p = mn_saved_data(n);
    mn_tensor *in[INPUTS], *wanted[INPUTS], *g[INPUTS], *out[OUTPUTS] = {0}, *of[OUTPUTS];
    mn_tensor *cotangents[OUTPUTS];
    int which[INPUTS], n_wanted = 0, n_of = 0;
    for (int i = 0; i < INPUTS; i++) {
        in[i] = mn_saved(n, i);
        if (!in[i] || !mn_needs(n, i)) continue;
        /* A view of its own: other inputs may depend on this one. */
        in[i] = mn_reshape(t, in[i], in[i]->ndim, in[i]->shape);
        wanted[n_wanted] = in[i];
        which[n_wanted++] = i;
    }
    mn_tensor *lengths = mn_saved(n, LENGTHS);
    if (t->error) return;
    unrolled(t, p, in, lengths, out);
    for (int k = 0; k < outputs_of(p); k++) {
        if (!gy[k]) continue;
        of[n_of] = out[k];
        cotangents[n_of++] = gy[k];
    }
    mn_grad_opts o = {.cotangents = cotangents, .create_graph = true, .allow_unused = true};
    if (mn_grad(t, of, n_of, wanted, n_wanted, g, &o)) return;
    for (int i = 0; i < n_wanted; i++) gx[which[i]] = g[i];
}

/* ---- all steps in one loop ---- */

/* The loop over x's states and gates, so far without what only one direction has. */
static mni_recurrent loop_of(const plan *p, const mn_tensor *lengths, const mn_tensor *states,
                             const mn_tensor *cells, const mn_tensor *gates)
{
    return (mni_recurrent){.dtype = (mn_dtype)states->dtype,
                           .kind = p->kind,
                           .steps = p->steps,
                           .batch = p->batch,
                           .hidden = p->hidden,
                           .reverse = p->reverse,
                           .lengths = lengths == MN_NONE ? NULL : mn_tensor_data(lengths),
                           .h = states->data,
                           .c = p->kind == MNI_LSTM ? cells->data : NULL,
                           .a = gates->data};
}

static mni_matrix matrix(const void *data, int64_t row, int64_t column)
{
    return (mni_matrix){.data = data, .row = row, .column = column};
}

/* gx[i] <- a^T b; a: [rows, columns of i], b: [rows, ...]. */
static void weight_gradient(mn_node *n, int i, const mn_tensor *a, const void *b, mn_tensor **gx)
{
    bool accumulate;
    if (!mn_needs(n, i) || !(gx[i] = mn_grad_into(n, i, &accumulate))) return;
    const int64_t outs = gx[i]->shape[0], ins = gx[i]->shape[1];
    mni_gemm(mni_tape_team(n->tape), (mn_dtype)a->dtype, outs, ins, a->shape[0],
             matrix(a->data, 1, outs), matrix(b, ins, 1), gx[i]->data, ins, NULL, accumulate);
}

static void bias_gradient(mn_node *n, int i, const mn_tensor *a, mn_tensor **gx)
{
    bool accumulate;
    if (!mn_needs(n, i) || !(gx[i] = mn_grad_into(n, i, &accumulate))) return;
    mni_sum(mni_tape_team(n->tape), a, (bool[]){true, false}, gx[i], accumulate);
}

/* A copy of the gradient of the last state, to be carried to the first; zeros when there is none. */
static mn_tensor *carried(mn_tape *t, const plan *p, mn_dtype dtype, mn_tensor *g)
{
    mn_tensor *d = mni_tape_tensor(t, dtype, 2, (int64_t[]){p->batch, p->hidden});
    if (!d) return NULL;
    if (g)
        mni_copy(mni_tape_team(t), g, d);
    else
        mni_fill(mni_tape_team(t), d, 0);
    return d;
}

static void recurrent_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const plan *p = mn_saved_data(n);
    mn_tensor *s[SAVED];
    for (int i = 0; i < SAVED; i++) s[i] = mn_saved(n, i);
    if (t->error) return;
    const mn_dtype dtype = (mn_dtype)s[X]->dtype;
    const int64_t sums[] = {p->steps * p->batch, p->gates};
    const bool lstm = p->kind == MNI_LSTM;
    mn_tensor *x = mni_dense(t, s[X]), *w_ih = mni_dense(t, s[W_IH]), *w_hh = mni_dense(t, s[W_HH]);
    mn_tensor *da = mni_tape_tensor(t, dtype, 2, sums), *db = da;
    if (p->kind == MNI_GRU) db = mni_tape_tensor(t, dtype, 2, sums);
    mn_tensor *dh = carried(t, p, dtype, gy[H_N]);
    mn_tensor *dc = lstm ? carried(t, p, dtype, gy[C_N]) : NULL, *g = mni_dense(t, gy[Y]);
    if (t->error) return;

    mni_recurrent r = loop_of(p, s[LENGTHS], s[STATES], s[CELLS], s[GATES]);
    r.w = w_hh->data;
    r.gy = g ? g->data : NULL;
    r.dh = dh->data;
    r.dc = lstm ? dc->data : NULL;
    r.da = da->data;
    r.db = db->data;
    mni_recurrent_backward(mni_tape_team(t), &r);

    const mn_tensor before = mni_part(s[STATES], 0, p->reverse ? 1 : 0, 1, p->steps);
    bool accumulate;
    weight_gradient(n, W_IH, da, x->data, gx);
    weight_gradient(n, W_HH, db, before.data, gx);
    bias_gradient(n, B_IH, da, gx);
    bias_gradient(n, B_HH, db, gx);
    if (mn_needs(n, X) && (gx[X] = mn_grad_into(n, X, &accumulate)))
        mni_gemm(mni_tape_team(t), dtype, sums[0], p->ins, p->gates, matrix(da->data, p->gates, 1),
                 matrix(w_ih->data, p->ins, 1), gx[X]->data, p->ins, NULL, accumulate);
    gx[H] = dh;
    gx[C] = dc;
}

/* ---- the op ---- */

#define RECURRENT_OP(id)                                                                           \
    static const mn_op id##_op = {                                                                 \
        .name = #id, .backward = recurrent_backward, .backward_fast = recurrent_backward_fast};
RECURRENT_OP(rnn_tanh)
RECURRENT_OP(rnn_relu)
RECURRENT_OP(lstm)
RECURRENT_OP(gru)
RECURRENT_OP(rnn_tanh_cell)
RECURRENT_OP(rnn_relu_cell)
RECURRENT_OP(lstm_cell)
RECURRENT_OP(gru_cell)

static bool has_shape(mn_tape *t, const mn_tensor *x, const char *what, int ndim,
                      const int64_t *shape)
{
    if (x == MN_NONE) return true;
    bool fits = x->ndim == ndim;
    for (int d = 0; fits && d < ndim; d++) fits = x->shape[d] == shape[d];
    if (fits) return true;
    char is[MNI_TEXT], wanted[MNI_TEXT];
    mn_tape_fail(t, MN_ERR_SHAPE, "%s is %s, not %s", what,
                 mni_shape_text(is, sizeof is, x->ndim, x->shape),
                 mni_shape_text(wanted, sizeof wanted, ndim, shape));
    return false;
}

static bool lengths_fit(mn_tape *t, const plan *p, const mn_tensor *lengths)
{
    if (lengths == MN_NONE) return true;
    if (lengths->dtype != MN_I64) {
        mn_tape_fail(t, MN_ERR_DTYPE, "lengths are i64, not %s: write mn_to(t, x, MN_I64)",
                     mn_dtype_name((mn_dtype)lengths->dtype));
        return false;
    }
    if (!has_shape(t, lengths, "lengths", 1, &p->batch)) return false;
    for (int64_t i = 0; i < p->batch; i++) {
        const int64_t length = mn_tensor_get_i64(lengths, &i);
        if (length >= 1 && length <= p->steps) continue;
        mn_tape_fail(t, MN_ERR_ARGUMENT, "length %lld of sequence %lld is not from 1 to %lld",
                     (long long)length, (long long)i, (long long)p->steps);
        return false;
    }
    return true;
}

static bool types_fit(mn_tape *t, mn_tensor *const in[INPUTS])
{
    static const char *const names[INPUTS] = {[X] = "x", [W_IH] = "w_ih", [W_HH] = "w_hh"};
    for (int i = 0; i < INPUTS; i++) {
        if (in[i] == MN_NONE && names[i]) {
            mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is MN_NONE, but a tensor is needed", names[i]);
            return false;
        }
        if (in[i] != MN_NONE && !mni_require_same_dtype(t, in[X], in[i])) return false;
    }
    return mni_require_float(t, in[X]);
}

/* x: [L, N, I]. Fills what p lacks. */
static bool inputs_fit(mn_tape *t, plan *p, mn_tensor *const in[INPUTS], const mn_tensor *lengths)
{
    char text[MNI_TEXT];
    const mn_tensor *x = in[X], *w = in[W_HH];
    const int64_t gates = mni_cell_gates(p->kind);
    if (x->ndim != 3 || x->shape[0] < 1) {
        mn_tape_fail(t, MN_ERR_SHAPE, "x is %s, not [L, N, I] with at least one step",
                     mni_shape_text(text, sizeof text, x->ndim, x->shape));
        return false;
    }
    if (w->ndim != 2 || w->shape[1] < 1 || w->shape[0] != gates * w->shape[1]) {
        mn_tape_fail(t, MN_ERR_SHAPE, "w_hh is %s, not [%lld H, H]",
                     mni_shape_text(text, sizeof text, w->ndim, w->shape), (long long)gates);
        return false;
    }
    p->steps = x->shape[0];
    p->batch = x->shape[1];
    p->ins = x->shape[2];
    p->hidden = w->shape[1];
    p->gates = w->shape[0];
    const int64_t weight[] = {p->gates, p->ins}, state[] = {p->batch, p->hidden};
    return has_shape(t, in[W_IH], "w_ih", 2, weight) && has_shape(t, in[H], "h", 2, state) &&
           has_shape(t, in[C], "c", 2, state) && has_shape(t, in[B_IH], "b_ih", 1, weight) &&
           has_shape(t, in[B_HH], "b_hh", 1, weight) && lengths_fit(t, p, lengths);
}

/* [steps + 1, batch, hidden], with the first state where the loop begins. */
static mn_tensor *states_from(mn_tape *t, const plan *p, mn_dtype dtype, const mn_tensor *first)
{
    mn_tensor *all = mni_tape_tensor(t, dtype, 3, (int64_t[]){p->steps + 1, p->batch, p->hidden});
    if (!all) return NULL;
    mn_tensor at = mni_plane(all, 0, p->reverse ? p->steps : 0);
    if (first == MN_NONE)
        mni_fill(mni_tape_team(t), &at, 0);
    else
        mni_copy(mni_tape_team(t), first, &at);
    return all;
}

/* A copy of the last one. */
static mn_tensor *last_state(mn_tape *t, const plan *p, const mn_tensor *all)
{
    mn_tensor *last = mni_tape_tensor(t, (mn_dtype)all->dtype, 2, (int64_t[]){p->batch, p->hidden});
    const mn_tensor at = mni_plane(all, 0, p->reverse ? 0 : p->steps);
    if (last) mni_copy(mni_tape_team(t), &at, last);
    return last;
}

/* Every input and s[LENGTHS] in s; fills the rest of it. False with the tape's error set. */
static bool run(mn_tape *t, const plan *p, mn_tensor *s[SAVED])
{
    mni_team *team = mni_tape_team(t);
    const mn_dtype dtype = (mn_dtype)s[X]->dtype;
    const int64_t kept = mni_cell_rows(p->kind) * p->hidden, rows = p->steps * p->batch;
    mn_tensor *x = mni_dense(t, s[X]), *w_ih = mni_dense(t, s[W_IH]), *b[2];
    for (int i = 0; i < 2; i++) b[i] = s[B_IH + i] == MN_NONE ? MN_NONE : mni_dense(t, s[B_IH + i]);
    mn_tensor *w = mni_tape_tensor(t, dtype, 2, (int64_t[]){p->hidden, p->gates});
    mn_tensor *sums = mni_tape_tensor(t, dtype, 2, (int64_t[]){p->batch, p->gates});
    s[STATES] = states_from(t, p, dtype, s[H]);
    s[CELLS] = p->kind == MNI_LSTM ? states_from(t, p, dtype, s[C]) : MN_NONE;
    s[GATES] = mni_tape_tensor(t, dtype, 2, (int64_t[]){rows, kept});
    s[LENGTHS] = s[LENGTHS] == MN_NONE ? MN_NONE : mni_dense(t, s[LENGTHS]);
    if (t->error) return false;

    const mn_tensor turned = mni_look(s[W_HH], 2, (int64_t[]){p->hidden, p->gates},
                                      (int64_t[]){s[W_HH]->strides[1], s[W_HH]->strides[0]});
    mni_copy(team, &turned, w);
    mni_gemm(team, dtype, rows, p->gates, p->ins, matrix(x->data, p->ins, 1),
             matrix(w_ih->data, 1, p->ins), s[GATES]->data, kept,
             b[0] == MN_NONE ? NULL : b[0]->data, false);
    mni_recurrent r = loop_of(p, s[LENGTHS], s[STATES], s[CELLS], s[GATES]);
    r.w = w->data;
    r.b = sums->data;
    r.bias = b[1] == MN_NONE ? NULL : b[1]->data;
    mni_recurrent_forward(team, &r);
    mni_count_product(t, rows, p->gates, p->ins + p->hidden);
    return true;
}

/* The layer without regard to what lies beyond a length: x is read there, and y has the last state. */
static void whole(mn_tape *t, const mn_op *op, const plan *p, mn_tensor *const in[INPUTS],
                  mn_tensor *lengths, mn_tensor *out[OUTPUTS])
{
    mn_tensor *s[SAVED] = {0};
    if (!mn_op_begin(t, op, in, INPUTS)) return;
    for (int i = 0; i < INPUTS; i++) s[i] = in[i];
    s[LENGTHS] = lengths;
    if (!run(t, p, s)) return;
    out[Y] = mn_op_view(t, s[STATES], 3, (int64_t[]){p->steps, p->batch, p->hidden}, NULL,
                        p->reverse ? 0 : p->batch * p->hidden);
    out[H_N] = last_state(t, p, s[STATES]);
    out[C_N] = p->kind == MNI_LSTM ? last_state(t, p, s[CELLS]) : NULL;
    mn_node *n = mn_op_record(t, op, in, INPUTS, out, outputs_of(p));
    for (int i = 0; i < SAVED; i++) mn_save(n, s[i]);
    mn_save_data(n, p, sizeof *p);
    mn_op_end(t, out[Y]);
}

/* Whether a step is beyond the end, [L, N, 1]. */
static mn_tensor *beyond(mn_tape *t, const plan *p, mn_tensor *lengths)
{
    mn_tensor *steps = mn_arange(t, MN_I64, 0, (double)p->steps, 1);
    return mn_ge(t, mn_reshape(t, steps, 3, (int64_t[]){p->steps, 1, 1}),
                 mn_reshape(t, lengths, 3, (int64_t[]){1, p->batch, 1}));
}

static bool begin(mn_tape *t, const mn_op *op, mn_tensor *const in[INPUTS], mn_tensor *lengths)
{
    return mn_op_begin(t, op, in, INPUTS) && mn_op_begin(t, op, &lengths, 1) && types_fit(t, in);
}

/* last[0] and last[1], which may be NULL: the states at the end. */
static mn_tensor *layer(mn_tape *t, const mn_op *op, mni_cell_kind kind, mn_tensor *in[INPUTS],
                        mn_tensor *lengths, bool reverse, mn_tensor **const last[2])
{
    plan p = {.kind = kind, .reverse = reverse};
    mn_tensor *out[OUTPUTS] = {0}, *mask = NULL;
    for (int i = 0; i < 2; i++)
        if (last[i]) *last[i] = NULL;
    if (!begin(t, op, in, lengths) || !inputs_fit(t, &p, in, lengths)) return NULL;
    if (lengths != MN_NONE) {
        mask = beyond(t, &p, lengths);
        in[X] = mn_masked_fill(t, in[X], mask, 0);
    }
    whole(t, op, &p, in, lengths, out);
    if (mask) out[Y] = mn_masked_fill(t, out[Y], mask, 0);
    for (int i = 0; i < 2 && !mn_tape_error(t); i++)
        if (last[i]) *last[i] = out[H_N + i];
    return mn_op_end(t, out[Y]);
}

/* A row as a matrix; others as they are. */
static mn_tensor *as_rows(mn_tape *t, mn_tensor *x)
{
    return x != MN_NONE && x->ndim == 1 ? mn_unsqueeze(t, x, 0) : x;
}

static mn_tensor *cell(mn_tape *t, const mn_op *op, mni_cell_kind kind, mn_tensor *in[INPUTS],
                       mn_tensor **c_next)
{
    char text[MNI_TEXT];
    mn_tensor *h = NULL, *c = NULL;
    if (c_next) *c_next = NULL;
    if (!begin(t, op, in, MN_NONE)) return NULL;
    const bool row = in[X]->ndim == 1;
    if (!row && in[X]->ndim != 2)
        return mn_tape_fail(t, MN_ERR_SHAPE, "x is %s, not [N, I] or [I]",
                            mni_shape_text(text, sizeof text, in[X]->ndim, in[X]->shape));
    for (int i = X; row && i <= C; i++) in[i] = as_rows(t, in[i]);
    in[X] = mn_unsqueeze(t, in[X], 0);
    layer(t, op, kind, in, MN_NONE, false, (mn_tensor * *const[]){&h, &c});
    if (row && h) h = mn_squeeze_dim(t, h, 0);
    if (row && c) c = mn_squeeze_dim(t, c, 0);
    if (c_next) *c_next = mn_op_end(t, c);
    return mn_op_end(t, h);
}

#define WITHOUT_C(id, KIND)                                                                        \
    mn_tensor *mn_##id##_cell(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih,             \
                              mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh)                   \
    {                                                                                              \
        mn_tensor *in[] = {x, h, MN_NONE, w_ih, w_hh, b_ih, b_hh};                                 \
        return cell(t, &id##_cell_op, KIND, in, NULL);                                             \
    }                                                                                              \
                                                                                                   \
    mn_tensor *mn_##id(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih, mn_tensor *w_hh,   \
                       mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor *lengths, bool reverse,         \
                       mn_tensor **h_n)                                                            \
    {                                                                                              \
        mn_tensor *in[] = {x, h, MN_NONE, w_ih, w_hh, b_ih, b_hh};                                 \
        return layer(t, &id##_op, KIND, in, lengths, reverse, (mn_tensor * *const[]){h_n, NULL});  \
    }
WITHOUT_C(rnn_tanh, MNI_RNN_TANH)
WITHOUT_C(rnn_relu, MNI_RNN_RELU)
WITHOUT_C(gru, MNI_GRU)

mn_tensor *mn_lstm_cell(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *c, mn_tensor *w_ih,
                        mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor **c_next)
{
    mn_tensor *in[] = {x, h, c, w_ih, w_hh, b_ih, b_hh};
    return cell(t, &lstm_cell_op, MNI_LSTM, in, c_next);
}

mn_tensor *mn_lstm(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *c, mn_tensor *w_ih,
                   mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor *lengths,
                   bool reverse, mn_tensor **h_n, mn_tensor **c_n)
{
    mn_tensor *in[] = {x, h, c, w_ih, w_hh, b_ih, b_hh};
    return layer(t, &lstm_op, MNI_LSTM, in, lengths, reverse, (mn_tensor * *const[]){h_n, c_n});
}
