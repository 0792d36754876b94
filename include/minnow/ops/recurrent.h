/*
 * minnow/ops/recurrent.h: recurrent cells, and layers of them over a whole sequence.
 * What all ops share is in minnow/ops.h.
 */
#ifndef MINNOW_OPS_RECURRENT_H
#define MINNOW_OPS_RECURRENT_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One step: h' from the input x and the state h (and c). The gates' sums are a = x w_ih^T + b_ih and
 * b = h w_hh^T + b_hh; in the order in which they stand in the weights,
 *
 *     RNN    h' = tanh(a + b), or relu
 *     LSTM   i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of a + b;  c' = f c + i g;  h' = o tanh(c')
 *     GRU    r, z = sigmoid of a + b;  n = tanh(a_n + r b_n);  h' = (1 - z) n + z h
 *
 * (Hochreiter and Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers et al., 2000;
 * Cho et al., "Learning phrase representations", 2014, with the reset gate behind the product.) x: [N, I]
 * or [I], h and c: [N, H] or [H], MN_NONE: zeros -> as h. w_ih: [G H, I], w_hh: [G H, H], b_ih and b_hh:
 * [G H] or MN_NONE, G the number of gates: 1, 4, 3. Floating, of one dtype. *c_next (may be NULL) gets
 * c'. N may be 0, H not. */
MN_API mn_tensor *mn_rnn_tanh_cell(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih,
                                   mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh);
MN_API mn_tensor *mn_rnn_relu_cell(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih,
                                   mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh);
MN_API mn_tensor *mn_lstm_cell(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *c,
                               mn_tensor *w_ih, mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh,
                               mn_tensor **c_next);
MN_API mn_tensor *mn_gru_cell(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih,
                              mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh);

/* The cell over all steps of a sequence, one layer in one direction: x [L, N, I] -> y [L, N, H], the
 * states h' behind each step. The first one is h (and c), [N, H] or MN_NONE; `reverse` goes from the
 * last step to the first. *h_n (and *c_n; may be NULL) gets the state at the end, [N, H]. L is at least 1.
 *
 * lengths: [N] of i64, from 1 to L each, or MN_NONE. A sequence that is shorter ends there: y is 0 beyond,
 * x is not read, h_n is the state at its last step, and `reverse` begins with that step. (So PyTorch does
 * with a packed sequence, enforce_sorted=False.)
 *
 * The input's product is one for all steps, and so are the weights' gradients. The gradient that is
 * recorded is that of the steps made one by one with other ops. */
MN_API mn_tensor *mn_rnn_tanh(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih,
                              mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor *lengths,
                              bool reverse, mn_tensor **h_n);
MN_API mn_tensor *mn_rnn_relu(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih,
                              mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor *lengths,
                              bool reverse, mn_tensor **h_n);
MN_API mn_tensor *mn_lstm(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *c, mn_tensor *w_ih,
                          mn_tensor *w_hh, mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor *lengths,
                          bool reverse, mn_tensor **h_n, mn_tensor **c_n);
MN_API mn_tensor *mn_gru(mn_tape *t, mn_tensor *x, mn_tensor *h, mn_tensor *w_ih, mn_tensor *w_hh,
                         mn_tensor *b_ih, mn_tensor *b_hh, mn_tensor *lengths, bool reverse,
                         mn_tensor **h_n);

#ifdef __cplusplus
}
#endif
#endif
