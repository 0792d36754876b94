/*
 * minnow/nn/recurrent.h: recurrent layers over sequences, and their cells; the formulas are in
 * minnow/ops/recurrent.h. What all layers share is in minnow/nn.h.
 */
#ifndef MINNOW_NN_RECURRENT_H
#define MINNOW_NN_RECURRENT_H

#include <minnow/nn/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of recurrent layers. */
typedef struct mn_nn_rnn_opts {
    int num_layers;     /* each over the states of the one before; 0: 1 */
    bool bidirectional; /* each layer also backwards; both states stand beside each other */
    bool batch_first;   /* x and y are [N, L, ...] */
    bool no_bias;
    double dropout; /* in training, of the outputs of each layer but the last */
    /* RNN's alone: MN_NONLINEARITY_TANH or MN_NONLINEARITY_RELU; 0: tanh */
    mn_nonlinearity nonlinearity;
} mn_nn_rnn_opts;

/* Inputs (mn_module_call): x, h0, lengths of RNN and GRU, x, h0, c0, lengths of LSTM; those at the end may
 * be left out, MN_NONE is absent. Outputs: y, h_n, of LSTM also c_n; as many as are wanted, and
 * mn_module_forward gives y. With D directions and H = hidden_size:
 *
 *     x         [L, N, input_size], with batch_first [N, L, input_size], or [L, input_size]
 *     h0, c0    [D num_layers, N, H] or [D num_layers, H]; absent: zeros
 *     lengths   i64 [N], from 1 to L; absent: L each
 *     y         as x, with D H in the place of input_size
 *     h_n, c_n  as h0
 *
 * A sequence that is shorter ends at its length: y is 0 beyond, h_n and c_n are the state at its last step,
 * with which the backward direction begins. So it is with pack_padded_sequence(enforce_sorted=False) and
 * pad_packed_sequence(total_length=L). Row l D + d of h0 and h_n is of layer l, d = 1 backwards.
 *
 * Parameters, all from U(-k, k), k = 1/sqrt(H): weight_ih_l0 [G H, input_size] (of later layers [G H, D H]),
 * weight_hh_l0 [G H, H], bias_ih_l0, bias_hh_l0 [G H]; then weight_ih_l0_reverse and so on; l1. G is 1, 4
 * (i, f, g, o), 3 (r, z, n). Refused: sizes and numbers of layers below 1, a dropout outside of [0, 1]. Not
 * there: proj_size. */
MN_API mn_module *mn_nn_rnn(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_opts *opts);
MN_API mn_module *mn_nn_lstm(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_opts *opts);
MN_API mn_module *mn_nn_gru(int64_t input_size, int64_t hidden_size, const mn_nn_rnn_opts *opts);

/* Options of cells. */
typedef struct mn_nn_rnn_cell_opts {
    bool no_bias;
    mn_nonlinearity nonlinearity; /* as above */
} mn_nn_rnn_cell_opts;

/* One step. Inputs: x [N, input_size] or [input_size], then h and, of LSTM, c, [N, hidden_size] or
 * [hidden_size], which may be left out or MN_NONE: zeros. Outputs: the next h and, of LSTM, c.
 * Parameters weight_ih, weight_hh, bias_ih, bias_hh, as above. */
MN_API mn_module *mn_nn_rnn_cell(int64_t input_size, int64_t hidden_size,
                                 const mn_nn_rnn_cell_opts *opts);
MN_API mn_module *mn_nn_lstm_cell(int64_t input_size, int64_t hidden_size,
                                  const mn_nn_rnn_cell_opts *opts);
MN_API mn_module *mn_nn_gru_cell(int64_t input_size, int64_t hidden_size,
                                 const mn_nn_rnn_cell_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
