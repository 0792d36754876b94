/*
 * minnow/optim/step.h: what all optimizers have in common: groups of parameters with options of their
 * own, the step, clipping, and the state that a checkpoint saves.
 */
#ifndef MINNOW_OPTIM_STEP_H
#define MINNOW_OPTIM_STEP_H

#include <minnow/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Made by one of the constructors in minnow/optim/methods.h. */
typedef struct mn_optim mn_optim;

/* Gives up the optimizer; it is freed, with its state and its references to parameters, when no
 * scheduler holds it either. NULL is fine. */
MN_API void mn_optim_free(mn_optim *o);

/* ---- the step ---- */

/* One update of every parameter that has a gradient; the others, and those that do not require
 * grad, are passed over. Nothing is changed when it fails: the tape has an error, a failed backward
 * touched a gradient since the last zero_grad, or memory is short. */
MN_API mn_error mn_optim_step(mn_optim *o, mn_tape *t);

/* Forgets the gradients of all its parameters. */
MN_API void mn_optim_zero_grad(mn_optim *o);

/* Computes the loss (one element) by ops on t. */
typedef mn_tensor *(*mn_closure)(mn_tape *t, void *user);

/* A step of an optimizer that asks for the loss itself, as L-BFGS does, several times: each time
 * the gradients are zeroed, the closure is called and mn_backward run, and what that made on the
 * tape is freed. Other optimizers ask once and do mn_optim_step. Returns the loss before the step;
 * NAN after an error, with every parameter as it was. */
MN_API double mn_optim_step_closure(mn_optim *o, mn_tape *t, mn_closure closure, void *user);

/* ---- groups and options ---- */
/*
 * The parameters that a constructor gets are group 0. A group's options are numbers with PyTorch's
 * names ("lr", "momentum", "weight_decay"); those that PyTorch keeps in pairs are "beta1", "beta2",
 * and so on, and those that are true or false are 1 or 0.
 *
 *     mn_optim *adam = mn_optim_adam(head, 1e-3, 0.9, 0.999, NULL);
 *     int slow = mn_optim_add(adam, trunk);
 *     mn_optim_set(adam, slow, "lr", 1e-5);
 */

/* Adds the parameters of `m` as a further group, with the options that o was made with; returns its
 * number, or -1 with the last error set and `o` as it was. A parameter that already is in a group
 * is an error. */
MN_API int mn_optim_add(mn_optim *o, mn_module *m);

/* The same for n tensors: how weights and biases get decays of their own. */
MN_API int mn_optim_add_tensors(mn_optim *o, mn_tensor *const *parameters, int n);

MN_API int mn_optim_groups(const mn_optim *o); /* 0 for NULL */

/* An option of a group, at any time. NAN, or an error, with the last error set and nothing changed,
 * for a group or an option that is not there or a value that the constructor would refuse. */
MN_API double mn_optim_get(const mn_optim *o, int group, const char *option);
MN_API mn_error mn_optim_set(mn_optim *o, int group, const char *option, double value);

/* The same for the learning rate. */
MN_API double mn_optim_lr(const mn_optim *o, int group);
MN_API mn_error mn_optim_set_lr(mn_optim *o, int group, double lr);

/* ---- clipping ---- */

/* Scales all gradients of o by max_norm / (norm + 1e-6) when their total 2-norm is larger than
 * max_norm (torch's clip_grad_norm_). Returns the norm before; NAN after an error. */
MN_API double mn_optim_clip_grad_norm(mn_optim *o, mn_tape *t, double max_norm);

/* Every element of every gradient to the nearest number in [-max, max] (clip_grad_value_); NaN
 * stays. max >= 0. */
MN_API mn_error mn_optim_clip_grad_value(mn_optim *o, mn_tape *t, double max);

/* ---- state ---- */

/* One entry of what a checkpoint holds: a tensor, or a number where tensor is NULL. */
typedef struct mn_state_item {
    char name[64];
    mn_tensor *tensor; /* borrowed */
    double number;
} mn_state_item;

/* All that o has besides the parameters: fills at most `capacity` items and returns how many there
 * are; -1, with the last error set, for NULL. Named as in PyTorch's state_dict, parameters and
 * groups by number: "state.0.step", "state.0.exp_avg", "param_groups.0.lr". */
MN_API int mn_optim_state(const mn_optim *o, mn_state_item *items, int capacity);

/* Gives o, an optimizer of the same kind over the same groups of parameters, the state that
 * mn_optim_state listed, by copy. What is not among the n items: the options stay, the state of a
 * parameter is that of one that never was stepped. Nothing is changed when it fails: a name, shape,
 * dtype or number that does not fit, or memory is short. */
MN_API mn_error mn_optim_load_state(mn_optim *o, const mn_state_item *items, int n);

#ifdef __cplusplus
}
#endif
#endif
