/*
 * tests/rows/nn_recurrent.c: the rows of minnow/nn/recurrent.h.
 */
#include "rows/rows.h"

/* Arguments: input_size, hidden_size; then num_layers, bidirectional, batch_first, no_bias, dropout,
 * nonlinearity. */
static const mn_nn_rnn_opts *layer_opts(const call *c, mn_nn_rnn_opts *o)
{
    const double *a = c->arg;
    if (c->n_args <= 2) return NULL;
    *o = (mn_nn_rnn_opts){.num_layers = (int)a[2],
                          .bidirectional = a[3] != 0,
                          .batch_first = a[4] != 0,
                          .no_bias = a[5] != 0,
                          .dropout = a[6],
                          .nonlinearity = (mn_nonlinearity)a[7]};
    return o;
}

/* Arguments: input_size, hidden_size; then no_bias, nonlinearity. */
static const mn_nn_rnn_cell_opts *cell_opts(const call *c, mn_nn_rnn_cell_opts *o)
{
    if (c->n_args <= 2) return NULL;
    *o = (mn_nn_rnn_cell_opts){.no_bias = c->arg[2] != 0,
                               .nonlinearity = (mn_nonlinearity)c->arg[3]};
    return o;
}

#define LAYER(id)                                                                                  \
    MODULE(id, mn_nn_##id((int64_t)a[0], (int64_t)a[1], layer_opts(c, &(mn_nn_rnn_opts){0})))
#define CELL(id)                                                                                   \
    MODULE(id, mn_nn_##id((int64_t)a[0], (int64_t)a[1], cell_opts(c, &(mn_nn_rnn_cell_opts){0})))
LAYER(rnn)
LAYER(lstm)
LAYER(gru)
CELL(rnn_cell)
CELL(lstm_cell)
CELL(gru_cell)

const op_row rows_nn_recurrent[] = {
    {"nn_rnn", .module = make_rnn},
    {"nn_lstm", .module = make_lstm},
    {"nn_gru", .module = make_gru},
    {"nn_rnn_cell", .module = make_rnn_cell},
    {"nn_lstm_cell", .module = make_lstm_cell},
    {"nn_gru_cell", .module = make_gru_cell},
    {0},
};
