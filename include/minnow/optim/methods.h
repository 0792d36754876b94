/*
 * minnow/optim/methods.h: the optimizers. Names, defaults and arithmetic are torch.optim's.
 *
 * A constructor, mn_optim_adam say, steps every parameter of the module `m`, each once, in one
 * group, number 0, and keeps references of its own to them; its form over tensors,
 * mn_optim_adam_tensors, does the same for n >= 1 tensors that require grad or will: f32 or f64,
 * yours (not a tape's), each once. NULL, with the last error set, when an option makes no sense
 * (the text has its name and value) or without memory. Freed by mn_optim_free.
 *
 * In the formulas p is a parameter and g its gradient, negated when `maximize`, plus weight_decay p
 * except where the decay is decoupled: there p is multiplied by 1 - lr weight_decay first. k counts
 * the steps of the parameter from 1. A field of an options struct that is 0 has the default given
 * with it; where 0 itself is wanted, mn_optim_set sets it.
 */
#ifndef MINNOW_OPTIM_METHODS_H
#define MINNOW_OPTIM_METHODS_H

#include <minnow/optim/step.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- SGD ---- */

/* Options of mn_optim_sgd. */
typedef struct mn_optim_sgd_opts {
    double momentum;     /* >= 0 */
    double dampening;    /* of the gradient that enters the momentum */
    double weight_decay; /* >= 0 */
    bool nesterov;       /* needs momentum > 0 and dampening 0 */
    bool maximize;
} mn_optim_sgd_opts;

/* Stochastic gradient descent with b the momentum of each parameter:
 *   b = g at the first step, then momentum b + (1 - dampening) g
 *   p = p - lr (nesterov ? g + momentum b : momentum ? b : g)
 * lr >= 0. */
MN_API mn_optim *mn_optim_sgd(mn_module *m, double lr, const mn_optim_sgd_opts *opts);
MN_API mn_optim *mn_optim_sgd_tensors(mn_tensor *const *parameters, int n, double lr,
                                      const mn_optim_sgd_opts *opts);

/* ---- Adam and its kin ---- */

/* Options of mn_optim_adam. */
typedef struct mn_optim_adam_opts {
    double eps;          /* >= 0; 0: 1e-8 */
    double weight_decay; /* >= 0 */
    bool amsgrad;        /* v is the largest so far */
    bool maximize;
    bool decoupled_weight_decay; /* AdamW */
} mn_optim_adam_opts;

/* Adam (Kingma, Ba, 2015), PyTorch's defaults lr 0.001, betas 0.9 and 0.999:
 *   m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2
 *   p = p - lr m / (1 - beta1^k) / (sqrt(v / (1 - beta2^k)) + eps)
 * lr >= 0, betas in [0, 1). */
MN_API mn_optim *mn_optim_adam(mn_module *m, double lr, double beta1, double beta2,
                               const mn_optim_adam_opts *opts);
MN_API mn_optim *mn_optim_adam_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                       double beta2, const mn_optim_adam_opts *opts);

/* Options of mn_optim_adamw. */
typedef struct mn_optim_adamw_opts {
    double eps; /* >= 0; 0: 1e-8 */
    bool amsgrad;
    bool maximize;
} mn_optim_adamw_opts;

/* Adam with decoupled weight decay (Loshchilov, Hutter, 2019). PyTorch's defaults: lr 0.001, betas
 * 0.9 and 0.999, weight_decay 0.01. */
MN_API mn_optim *mn_optim_adamw(mn_module *m, double lr, double beta1, double beta2,
                                double weight_decay, const mn_optim_adamw_opts *opts);
MN_API mn_optim *mn_optim_adamw_tensors(mn_tensor *const *parameters, int n, double lr,
                                        double beta1, double beta2, double weight_decay,
                                        const mn_optim_adamw_opts *opts);

/* Options of mn_optim_adamax. */
typedef struct mn_optim_adamax_opts {
    double eps;          /* >= 0; 0: 1e-8 */
    double weight_decay; /* >= 0 */
    bool maximize;
} mn_optim_adamax_opts;

/* Adam with the largest gradient in the place of the mean square (Kingma, Ba, 2015). PyTorch's
 * defaults: lr 0.002, betas 0.9 and 0.999.
 *   m = beta1 m + (1 - beta1) g, u = max(beta2 u, |g| + eps), p = p - lr m / (1 - beta1^k) / u */
MN_API mn_optim *mn_optim_adamax(mn_module *m, double lr, double beta1, double beta2,
                                 const mn_optim_adamax_opts *opts);
MN_API mn_optim *mn_optim_adamax_tensors(mn_tensor *const *parameters, int n, double lr,
                                         double beta1, double beta2,
                                         const mn_optim_adamax_opts *opts);

/* Options of mn_optim_nadam. */
typedef struct mn_optim_nadam_opts {
    double eps;          /* >= 0; 0: 1e-8 */
    double weight_decay; /* >= 0 */
    bool decoupled_weight_decay;
    bool maximize;
} mn_optim_nadam_opts;

/* Adam with Nesterov momentum (Dozat, 2016). PyTorch's defaults: lr 0.002, betas 0.9 and 0.999,
 * momentum_decay 0.004. With mu(k) = beta1 (1 - 0.96^(k momentum_decay) / 2) and M(k) = mu(1) ...
 * mu(k):
 *   p = p - lr ((1 - mu(k)) / (1 - M(k)) g + mu(k + 1) / (1 - M(k + 1)) m)
 *           / (sqrt(v / (1 - beta2^k)) + eps) */
MN_API mn_optim *mn_optim_nadam(mn_module *m, double lr, double beta1, double beta2,
                                double momentum_decay, const mn_optim_nadam_opts *opts);
MN_API mn_optim *mn_optim_nadam_tensors(mn_tensor *const *parameters, int n, double lr,
                                        double beta1, double beta2, double momentum_decay,
                                        const mn_optim_nadam_opts *opts);

/* Options of mn_optim_radam. */
typedef struct mn_optim_radam_opts {
    double eps;          /* >= 0; 0: 1e-8 */
    double weight_decay; /* >= 0 */
    bool decoupled_weight_decay;
    bool maximize;
} mn_optim_radam_opts;

/* Rectified Adam (Liu et al., 2020): momentum alone until v is worth something. PyTorch's defaults:
 * lr 0.001, betas 0.9 and 0.999. With R = 2 / (1 - beta2) - 1 and
 * r = R - 2 k beta2^k / (1 - beta2^k):
 *   r > 5: p = p - lr m / (1 - beta1^k) sqrt(1 - beta2^k) / (sqrt(v) + eps)
 *                  sqrt((r - 4) (r - 2) R / ((R - 4) (R - 2) r))
 *   else:  p = p - lr m / (1 - beta1^k) */
MN_API mn_optim *mn_optim_radam(mn_module *m, double lr, double beta1, double beta2,
                                const mn_optim_radam_opts *opts);
MN_API mn_optim *mn_optim_radam_tensors(mn_tensor *const *parameters, int n, double lr,
                                        double beta1, double beta2,
                                        const mn_optim_radam_opts *opts);

/* ---- by the size of past gradients ---- */

/* Options of mn_optim_adagrad. */
typedef struct mn_optim_adagrad_opts {
    double lr_decay;                  /* >= 0 */
    double weight_decay;              /* >= 0 */
    double initial_accumulator_value; /* >= 0 */
    double eps;                       /* >= 0; 0: 1e-10 */
    bool maximize;
} mn_optim_adagrad_opts;

/* Adagrad (Duchi, Hazan, Singer, 2011). PyTorch's default: lr 0.01.
 *   s = s + g^2, p = p - lr / (1 + (k - 1) lr_decay) g / (sqrt(s) + eps) */
MN_API mn_optim *mn_optim_adagrad(mn_module *m, double lr, const mn_optim_adagrad_opts *opts);
MN_API mn_optim *mn_optim_adagrad_tensors(mn_tensor *const *parameters, int n, double lr,
                                          const mn_optim_adagrad_opts *opts);

/* Options of mn_optim_adadelta. */
typedef struct mn_optim_adadelta_opts {
    double eps;          /* >= 0; 0: 1e-6 */
    double weight_decay; /* >= 0 */
    bool maximize;
} mn_optim_adadelta_opts;

/* Adadelta (Zeiler, 2012). PyTorch's defaults: lr 1, rho 0.9.
 *   v = rho v + (1 - rho) g^2, d = sqrt(a + eps) / sqrt(v + eps) g,
 *   a = rho a + (1 - rho) d^2, p = p - lr d
 * rho in [0, 1]. */
MN_API mn_optim *mn_optim_adadelta(mn_module *m, double lr, double rho,
                                   const mn_optim_adadelta_opts *opts);
MN_API mn_optim *mn_optim_adadelta_tensors(mn_tensor *const *parameters, int n, double lr,
                                           double rho, const mn_optim_adadelta_opts *opts);

/* Options of mn_optim_rmsprop. */
typedef struct mn_optim_rmsprop_opts {
    double eps;          /* >= 0; 0: 1e-8 */
    double weight_decay; /* >= 0 */
    double momentum;     /* >= 0 */
    bool centered;       /* v less the square of the mean gradient */
    bool maximize;
} mn_optim_rmsprop_opts;

/* RMSprop (Hinton, 2012). PyTorch's defaults: lr 0.01, alpha 0.99.
 *   v = alpha v + (1 - alpha) g^2, d = g / (sqrt(v) + eps)
 *   momentum: b = momentum b + d, p = p - lr b; else p = p - lr d
 * alpha in [0, 1]. */
MN_API mn_optim *mn_optim_rmsprop(mn_module *m, double lr, double alpha,
                                  const mn_optim_rmsprop_opts *opts);
MN_API mn_optim *mn_optim_rmsprop_tensors(mn_tensor *const *parameters, int n, double lr,
                                          double alpha, const mn_optim_rmsprop_opts *opts);

/* ---- by the sign of gradients ---- */

/* Options of mn_optim_rprop. */
typedef struct mn_optim_rprop_opts {
    double etaminus; /* in (0, 1); 0: 0.5 */
    double etaplus;  /* > 1; 0: 1.2 */
    double step_min; /* >= 0; 0: 1e-6 */
    double step_max; /* >= step_min; 0: 50 */
    bool maximize;
} mn_optim_rprop_opts;

/* Resilient propagation (Riedmiller, Braun, 1993), for whole batches: each element has a step size,
 * lr at first, that grows by etaplus while its gradient keeps its sign and shrinks by etaminus when
 * that changes (then the element stays where it is). PyTorch's default: lr 0.01. */
MN_API mn_optim *mn_optim_rprop(mn_module *m, double lr, const mn_optim_rprop_opts *opts);
MN_API mn_optim *mn_optim_rprop_tensors(mn_tensor *const *parameters, int n, double lr,
                                        const mn_optim_rprop_opts *opts);

/* Options of mn_optim_lion. */
typedef struct mn_optim_lion_opts {
    double weight_decay; /* >= 0, decoupled */
    bool maximize;
} mn_optim_lion_opts;

/* Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023), which PyTorch does not
 * have. The paper's betas: 0.9 and 0.99; its lr is 3 to 10 times smaller than Adam's.
 *   p = p - lr sign(beta1 m + (1 - beta1) g), then m = beta2 m + (1 - beta2) g */
MN_API mn_optim *mn_optim_lion(mn_module *m, double lr, double beta1, double beta2,
                               const mn_optim_lion_opts *opts);
MN_API mn_optim *mn_optim_lion_tensors(mn_tensor *const *parameters, int n, double lr, double beta1,
                                       double beta2, const mn_optim_lion_opts *opts);

/* ---- for matrices ---- */

/* Options of mn_optim_muon. */
typedef struct mn_optim_muon_opts {
    bool no_nesterov;
    double ns_coefficients[3]; /* a, b, c; all 0: 3.4445, -4.775, 2.0315 */
    double eps;                /* >= 0; 0: 1e-7 */
    int ns_steps;              /* 1 to 99; 0: 5 */
    bool match_rms_adamw;      /* s = 0.2 sqrt(max(rows, columns)) */
} mn_optim_muon_opts;

/* Muon (Jordan, 2024) for the matrices inside a network: the momentum made nearly orthogonal by
 * ns_steps steps of Newton and Schulz. Every parameter must have two dimensions; biases, gains and
 * embeddings go to another optimizer. PyTorch's defaults: lr 0.001, weight_decay 0.1 (decoupled),
 * momentum 0.95.
 *   b = momentum b + (1 - momentum) g, X = nesterov ? momentum b + (1 - momentum) g : b,
 *   X = X / max(|X|, eps), then ns_steps times A = X X^T, X = a X + (b A + c A A) X
 *   p = p - lr s X, s = sqrt(max(1, rows / columns))
 * Computed in the parameter's dtype, where PyTorch rounds to bfloat16. Options by name: "nesterov",
 * "ns_a", "ns_b", "ns_c". */
MN_API mn_optim *mn_optim_muon(mn_module *m, double lr, double weight_decay, double momentum,
                               const mn_optim_muon_opts *opts);
MN_API mn_optim *mn_optim_muon_tensors(mn_tensor *const *parameters, int n, double lr,
                                       double weight_decay, double momentum,
                                       const mn_optim_muon_opts *opts);

/* Options of mn_optim_adafactor. */
typedef struct mn_optim_adafactor_opts {
    double eps1;         /* >= 0; 0: 2^-23 for f32, 2^-52 for f64 */
    double eps2;         /* >= 0; 0: 1e-3 */
    double d;            /* >= 1; 0: 1 */
    double weight_decay; /* >= 0, decoupled */
    bool maximize;
} mn_optim_adafactor_opts;

/* Adafactor (Shazeer, Stern, 2018): for parameters of two dimensions and more the variance of the
 * gradient is kept for rows and columns only (of the last two dimensions). PyTorch's defaults: lr
 * 0.01, beta2_decay -0.8. beta2_decay <= 0. With w = k^beta2_decay and rms(x) the root of the mean
 * square of x:
 *   v = v + w (g^2 - v) or the product of the same for the means of g^2 over rows and columns,
 *   divided by their common mean (eps1 at least)
 *   u = g / max(sqrt(v), eps1)
 *   p = p - max(eps2, rms(p)) min(lr, 1 / sqrt(k)) u / max(1, rms(u) / d) */
MN_API mn_optim *mn_optim_adafactor(mn_module *m, double lr, double beta2_decay,
                                    const mn_optim_adafactor_opts *opts);
MN_API mn_optim *mn_optim_adafactor_tensors(mn_tensor *const *parameters, int n, double lr,
                                            double beta2_decay,
                                            const mn_optim_adafactor_opts *opts);

/* ---- averaged SGD ---- */

/* Options of mn_optim_asgd. */
typedef struct mn_optim_asgd_opts {
    double weight_decay; /* >= 0 */
    bool maximize;
} mn_optim_asgd_opts;

/* Averaged SGD (Polyak, Juditsky, 1992) with the rate eta = lr / (1 + lambd lr k)^alpha of the step
 * before (lr at the first):
 *   p = (1 - lambd eta) p - eta g, from step t0 on the mean of p is kept
 * PyTorch's defaults: lr 0.01, lambd 0.0001, alpha 0.75, t0 1e6. All >= 0. The mean of parameter i
 * is "state.<i>.ax" of mn_optim_state. */
MN_API mn_optim *mn_optim_asgd(mn_module *m, double lr, double lambd, double alpha, double t0,
                               const mn_optim_asgd_opts *opts);
MN_API mn_optim *mn_optim_asgd_tensors(mn_tensor *const *parameters, int n, double lr, double lambd,
                                       double alpha, double t0, const mn_optim_asgd_opts *opts);

/* ---- L-BFGS ---- */

/* Options of mn_optim_lbfgs. */
typedef struct mn_optim_lbfgs_opts {
    int max_iter;            /* iterations of a step, >= 1; 0: 20 */
    int max_eval;            /* losses of a step, >= 1; 0: max_iter 5 / 4 */
    double tolerance_grad;   /* of the largest gradient, >= 0; 0: 1e-7 */
    double tolerance_change; /* of parameters and loss, >= 0; 0: 1e-9 */
    int history_size;        /* >= 1, from the first step on; 0: 100 */
    bool strong_wolfe;       /* search along each direction; else each iteration goes lr far */
} mn_optim_lbfgs_opts;

/* Limited-memory BFGS (Liu, Nocedal, 1989) for losses that are the same function in every step: no
 * dropout, one batch. Steps by mn_optim_step_closure only; has one group, whose parameters have one
 * dtype. Keeps 2 history_size + 2 vectors as long as all parameters together. When a step fails,
 * the history is forgotten. PyTorch's default: lr 1. */
MN_API mn_optim *mn_optim_lbfgs(mn_module *m, double lr, const mn_optim_lbfgs_opts *opts);
MN_API mn_optim *mn_optim_lbfgs_tensors(mn_tensor *const *parameters, int n, double lr,
                                        const mn_optim_lbfgs_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
