/*
 * minnow/optim.h: optimizers: they own references to parameters, in groups with options of their
 * own.
 */
#ifndef MINNOW_OPTIM_H
#define MINNOW_OPTIM_H

#include <minnow/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An algorithm, its state, and references to the parameters that it steps. */
typedef struct mn_optim mn_optim;

/* Options of a group of parameters. */
typedef struct mn_optim_sgd_opts {
    double momentum;     /* >= 0 */
    double dampening;    /* of the gradient that enters the momentum */
    double weight_decay; /* >= 0; adds weight_decay * p to the gradient */
    bool nesterov;       /* needs momentum > 0 and dampening 0 */
    bool maximize;       /* climb instead of descend */
} mn_optim_sgd_opts;

/* Stochastic gradient descent as torch.optim.SGD computes it, with b the momentum of each
 * parameter:
 *   g = (maximize ? -grad : grad) + weight_decay p
 *   b = g at the first step, then momentum b + (1 - dampening) g
 *   p = p - lr (nesterov ? g + momentum b : momentum ? b : g)
 * Steps every parameter of `m` (each once) in one group, number 0, and keeps references of its
 * own to them. lr >= 0. NULL, with the last error set, when an option makes no sense (the text
 * has its value) or without memory. Freed by mn_optim_free. */
MN_API mn_optim *mn_optim_sgd(mn_module *m, double lr, const mn_optim_sgd_opts *opts);

/* The same over n >= 1 tensors that require grad or will: f32 or f64, yours (not a tape's), each
 * once. */
MN_API mn_optim *mn_optim_sgd_tensors(mn_tensor *const *parameters, int n, double lr,
                                      const mn_optim_sgd_opts *opts);

/* Adds the parameters of `m` as a further group; returns its number, or -1 with the last error set
 * and `o` as it was. A parameter that already is in a group is an error. `o` must be an SGD
 * optimizer. */
MN_API int mn_optim_sgd_add(mn_optim *o, mn_module *m, double lr, const mn_optim_sgd_opts *opts);

/* The same for n tensors: how weights and biases get decays of their own. */
MN_API int mn_optim_sgd_add_tensors(mn_optim *o, mn_tensor *const *parameters, int n, double lr,
                                    const mn_optim_sgd_opts *opts);

/* One update of every parameter that has a gradient; the others are passed over. Nothing is changed
 * when it fails: the tape has an error, a failed backward touched a gradient since the last
 * zero_grad, or memory is short. */
MN_API mn_error mn_optim_step(mn_optim *o, mn_tape *t);

/* Forgets the gradients of all its parameters. */
MN_API void mn_optim_zero_grad(mn_optim *o);

/* How many groups there are; 0 for NULL. */
MN_API int mn_optim_groups(const mn_optim *o);

/* A group's learning rate; NAN, or an error, with the last error set, for a group that is not there
 * or lr < 0. */
MN_API double mn_optim_lr(const mn_optim *o, int group);
MN_API mn_error mn_optim_set_lr(mn_optim *o, int group, double lr);

/* Scales all gradients of o by max_norm / (norm + 1e-6) when their total 2-norm is larger than
 * max_norm (torch's clip_grad_norm_). Returns the norm before; NAN after an error. */
MN_API double mn_optim_clip_grad_norm(mn_optim *o, mn_tape *t, double max_norm);

/* Frees the optimizer, its state and its references to parameters. NULL is fine. */
MN_API void mn_optim_free(mn_optim *o);

#ifdef __cplusplus
}
#endif
#endif
