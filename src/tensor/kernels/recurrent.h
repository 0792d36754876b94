/*
 * tensor/kernels/recurrent.h: one step of a recurrent cell, forward and backward, for one element type T;
 * included by recurrent_isa.c. (No include guard: it is included once for each type.) mni_cell in kernels.h
 * says what the rows are.
 */

/* ---- forward ---- */

static void FN(rnn_tanh)(int64_t n, const T *a, const T *b, T *h)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) h[j] = tanh(a[j] + b[j]);
}

static void FN(rnn_relu)(int64_t n, const T *a, const T *b, T *h)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) h[j] = a[j] + b[j] <= 0 ? 0 : a[j] + b[j];
}

/* c = f c0 + i g, h = o tanh(c). */
static void FN(lstm)(int64_t n, T *a, const T *b, const T *c0, T *c, T *h)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const T i = sigmoid(a[j] + b[j]), f = sigmoid(a[n + j] + b[n + j]);
        const T g = tanh(a[2 * n + j] + b[2 * n + j]);
        const T o = sigmoid(a[3 * n + j] + b[3 * n + j]);
        const T cell = f * c0[j] + i * g;
        a[j] = i;
        a[n + j] = f;
        a[2 * n + j] = g;
        a[3 * n + j] = o;
        c[j] = cell;
        h[j] = o * tanh(cell);
    }
}

/* The sum of n is a + r b, h = (1 - z) n + z h0. */
static void FN(gru)(int64_t n, T *a, const T *b, const T *h0, T *h)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const T r = sigmoid(a[j] + b[j]), z = sigmoid(a[n + j] + b[n + j]);
        const T from = b[2 * n + j], fresh = tanh(a[2 * n + j] + r * from);
        a[j] = r;
        a[n + j] = z;
        a[2 * n + j] = fresh;
        a[3 * n + j] = from;
        h[j] = fresh + z * (h0[j] - fresh);
    }
}

void MNI_FOR_ISA(FN(mni_cell))(const mni_cell *p)
{
    if (p->kind == MNI_RNN_TANH) FN(rnn_tanh)(p->n, p->a, p->b, p->h);
    if (p->kind == MNI_RNN_RELU) FN(rnn_relu)(p->n, p->a, p->b, p->h);
    if (p->kind == MNI_LSTM) FN(lstm)(p->n, p->a, p->b, p->c0, p->c, p->h);
    if (p->kind == MNI_GRU) FN(gru)(p->n, p->a, p->b, p->h0, p->h);
}

/* ---- backward ---- */

static void FN(rnn_tanh_backward)(int64_t n, const T *h, T *dh, T *da)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        da[j] = dh[j] * (1 - h[j] * h[j]);
        dh[j] = 0;
    }
}

static void FN(rnn_relu_backward)(int64_t n, const T *h, T *dh, T *da)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        da[j] = h[j] <= 0 ? 0 : dh[j];
        dh[j] = 0;
    }
}

static void FN(lstm_backward)(int64_t n, const T *a, const T *c0, const T *c, T *dh, T *dc, T *da)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const T i = a[j], f = a[n + j], g = a[2 * n + j], o = a[3 * n + j], t = tanh(c[j]);
        const T d = dc[j] + dh[j] * o * (1 - t * t);
        da[j] = d * g * i * (1 - i);
        da[n + j] = d * c0[j] * f * (1 - f);
        da[2 * n + j] = d * i * (1 - g * g);
        da[3 * n + j] = dh[j] * t * o * (1 - o);
        dc[j] = d * f;
        dh[j] = 0;
    }
}

static void FN(gru_backward)(int64_t n, const T *a, const T *h0, T *dh, T *da, T *db)
{
    MNI_INDEPENDENT
    for (int64_t j = 0; j < n; j++) {
        const T r = a[j], z = a[n + j], fresh = a[2 * n + j], from = a[3 * n + j];
        const T d = dh[j] * (1 - z) * (1 - fresh * fresh);
        const T of_z = dh[j] * (h0[j] - fresh) * z * (1 - z), of_r = d * from * r * (1 - r);
        da[j] = db[j] = of_r;
        da[n + j] = db[n + j] = of_z;
        da[2 * n + j] = d;
        db[2 * n + j] = d * r;
        dh[j] *= z;
    }
}

void MNI_FOR_ISA(FN(mni_cell_backward))(const mni_cell *p)
{
    T *dh = p->dh;
    const T *gy = p->gy;
    if (gy) {
        MNI_INDEPENDENT
        for (int64_t j = 0; j < p->n; j++) dh[j] += gy[j];
    }
    if (p->kind == MNI_RNN_TANH) FN(rnn_tanh_backward)(p->n, p->h, dh, p->da);
    if (p->kind == MNI_RNN_RELU) FN(rnn_relu_backward)(p->n, p->h, dh, p->da);
    if (p->kind == MNI_LSTM) FN(lstm_backward)(p->n, p->a, p->c0, p->c, dh, p->dc, p->da);
    if (p->kind == MNI_GRU) FN(gru_backward)(p->n, p->a, p->h0, dh, p->da, p->db);
}
