/*
 * minnow/optim/average.h: averages of a module's weights over training, and knowing when to stop it.
 */
#ifndef MINNOW_OPTIM_AVERAGE_H
#define MINNOW_OPTIM_AVERAGE_H

#include <minnow/optim/step.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- averages: torch.optim.swa_utils.AveragedModel ---- */
/*
 *     mn_average *ema = mn_average_ema(net, 0.999, NULL);
 *     ... mn_optim_step(adam, t); mn_average_update(ema, t); ...
 *     mn_average_swap(ema, t);     the averages are in net: evaluate, save
 *     mn_average_swap(ema, t);     and out again: train on
 */

/* A running average of weights. */
typedef struct mn_average mn_average;

/* Options of an average. */
typedef struct mn_average_opts {
    bool use_buffers; /* average floating buffers, too; else they are copied at each update */
} mn_average_opts;

/* Stochastic weight averaging (Izmailov et al., 2018): the mean of the weights at all updates. Keeps
 * references to the parameters and buffers of m, and a copy of them. NULL, with the last error set,
 * when m is NULL or has no parameters, or without memory. */
MN_API mn_average *mn_average_swa(mn_module *m, const mn_average_opts *opts);

/* Exponential moving average: the weights at the first update, then decay average + (1 - decay)
 * weights. PyTorch: 0.999. decay in [0, 1]. */
MN_API mn_average *mn_average_ema(mn_module *m, double decay, const mn_average_opts *opts);

/* Takes the present weights into the average. Nothing is changed when the tape has an error or the
 * averages are in the module. */
MN_API mn_error mn_average_update(mn_average *a, mn_tape *t);

/* Exchanges the module's parameters and buffers with the averages, value by value; a second time
 * puts them back. Nothing is changed when it fails: the tape has an error, there was no update, or
 * memory is short. */
MN_API mn_error mn_average_swap(mn_average *a, mn_tape *t);

/* Updates so far; 0 for NULL. Whether the averages are in the module. */
MN_API int64_t mn_average_count(const mn_average *a);
MN_API bool mn_average_swapped(const mn_average *a);

/* What a checkpoint holds, as mn_optim_state and mn_optim_load_state: "n_averaged", "parameter.0"
 * and so on, "buffer.0". -1 or an error while the averages are in the module. */
MN_API int mn_average_state(const mn_average *a, mn_state_item *items, int capacity);
MN_API mn_error mn_average_load_state(mn_average *a, const mn_state_item *items, int n);

/* Frees the copy and the references. NULL is fine. */
MN_API void mn_average_free(mn_average *a);

/* ---- early stopping ---- */

/* An open value: set the first three fields, zero the rest; a checkpoint saves it as it is. */
typedef struct mn_early_stop {
    int64_t patience; /* so many metrics in a row that are not better: stop; 0: at the first one */
    double min_delta; /* >= 0; better is: by more than this */
    bool maximize;    /* the metric shall grow */
    double best;
    int64_t best_at; /* which metric was the best, from 0 */
    int64_t seen;    /* how many there were */
    int64_t bad;     /* in a row that were not better; NaN never is */
} mn_early_stop;

/* Whether to stop after this metric. False for NULL. */
MN_API bool mn_early_stop_update(mn_early_stop *e, double metric);

#ifdef __cplusplus
}
#endif
#endif
