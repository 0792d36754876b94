/*
 * tests/rows/recurrent.c: the rows of minnow/ops/recurrent.h.
 */
#include "rows/rows.h"

CALL(rnn_tanh_cell, mn_rnn_tanh_cell(t, x[0], x[1], x[2], x[3], x[4], x[5]))
CALL(rnn_relu_cell, mn_rnn_relu_cell(t, x[0], x[1], x[2], x[3], x[4], x[5]))
CALL(gru_cell, mn_gru_cell(t, x[0], x[1], x[2], x[3], x[4], x[5]))
CALL(lstm_cell, mn_lstm_cell(t, x[0], x[1], x[2], x[3], x[4], x[5], x[6], &c->out[1]))

/* Argument: reverse. */
CALL(rnn_tanh, mn_rnn_tanh(t, x[0], x[1], x[2], x[3], x[4], x[5], x[6], a[0] != 0, &c->out[1]))
CALL(rnn_relu, mn_rnn_relu(t, x[0], x[1], x[2], x[3], x[4], x[5], x[6], a[0] != 0, &c->out[1]))
CALL(gru, mn_gru(t, x[0], x[1], x[2], x[3], x[4], x[5], x[6], a[0] != 0, &c->out[1]))
CALL(lstm,
     mn_lstm(t, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], a[0] != 0, &c->out[1], &c->out[2]))

const op_row rows_recurrent[] = {
    {"rnn_tanh_cell", .other = call_rnn_tanh_cell},
    {"rnn_relu_cell", .other = call_rnn_relu_cell},
    {"lstm_cell", .other = call_lstm_cell},
    {"gru_cell", .other = call_gru_cell},
    {"rnn_tanh", .other = call_rnn_tanh},
    {"rnn_relu", .other = call_rnn_relu},
    {"lstm", .other = call_lstm},
    {"gru", .other = call_gru},
    {0},
};
