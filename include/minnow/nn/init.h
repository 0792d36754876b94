/*
 * minnow/nn/init.h: first values of parameters, as torch.nn.init has them.
 *
 * An mn_init is a value that says how; mn_init_apply, mn_module_init_matching, and a module's own visit
 * use it. "fan" is what a weight [out, in, kernel...] connects: fan_in = in * kernel elements, fan_out
 * = out * kernel elements.
 */
#ifndef MINNOW_NN_INIT_H
#define MINNOW_NN_INIT_H

#include <minnow/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a tensor gets its first values: draw fills x from rng with the four numbers. */
typedef struct mn_init {
    /* NULL: x stays as its constructor left it. */
    mn_error (*draw)(mn_tensor *x, mn_rng *rng, const double *p);
    /* What the distribution takes; only draw knows what they mean. */
    double p[4];
} mn_init;

/* Fills x, a floating tensor of yours (constants: of any dtype), outside of any graph. Errors: a shape
 * that the distribution is not for; numbers out of range. x is then unchanged. */
MN_API mn_error mn_init_apply(mn_init init, mn_tensor *x, mn_rng *rng);

/* From U(low, high); N(mean, std^2); the same without what is outside [low, high], where at least 1 % of
 * it must lie (PyTorch's bounds: -2, 2, as numbers, not in units of std); every element = value. */
MN_API mn_init mn_init_uniform(double low, double high);
MN_API mn_init mn_init_normal(double mean, double std);
MN_API mn_init mn_init_trunc_normal(double mean, double std, double low, double high);
MN_API mn_init mn_init_constant(double value);

/* The identity: of a matrix [n, m]; of a convolution's weight [out, in, kernel...] of three to five
 * dimensions, so that channel c of each of the groups (which must divide out) is passed on as it is. */
MN_API mn_init mn_init_eye(void);
MN_API mn_init mn_init_dirac(int64_t groups);

/* Which of its fans keeps its variance. */
typedef enum mn_fan {
    MN_FAN_IN = 0, /* that of the activations, forward */
    MN_FAN_OUT     /* that of the gradients, backward */
} mn_fan;

/* For x of two or more dimensions.
 *   xavier:  U(-a, a), a = gain sqrt(6/(fan_in + fan_out)), or N(0, 2 gain^2/(fan_in + fan_out)):
 *            Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
 *            networks", 2010
 *   kaiming: U(-a, a), a = gain sqrt(3/fan), or N(0, gain^2/fan): He et al., "Delving deep into
 *            rectifiers", 2015
 * gain: a number, or what mn_init_gain says of the activation that follows. */
MN_API mn_init mn_init_xavier_uniform(double gain);
MN_API mn_init mn_init_xavier_normal(double gain);
MN_API mn_init mn_init_kaiming_uniform(mn_fan fan, double gain);
MN_API mn_init mn_init_kaiming_normal(mn_fan fan, double gain);

/* x, seen as a matrix [first size, product of the rest], gets orthonormal rows or columns, whichever are
 * fewer, times gain: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear
 * neural networks", 2013. */
MN_API mn_init mn_init_orthogonal(double gain);

/* A matrix [n, m] from N(0, std^2), in which ceil(sparsity n) elements of each column, chosen at random,
 * are 0. 0 <= sparsity <= 1. Martens, "Deep learning via Hessian-free optimization", 2010. */
MN_API mn_init mn_init_sparse(double sparsity, double std);

/* Activations, for mn_init_gain. */
typedef enum mn_nonlinearity {
    MN_NONLINEARITY_LINEAR = 0, /* none; of convolutions, too */
    MN_NONLINEARITY_SIGMOID,
    MN_NONLINEARITY_TANH,
    MN_NONLINEARITY_RELU,
    MN_NONLINEARITY_LEAKY_RELU, /* parameter: its slope; PyTorch's default 0.01 */
    MN_NONLINEARITY_SELU
} mn_nonlinearity;

/* torch.nn.init.calculate_gain: 1, 1, 5/3, sqrt(2), sqrt(2/(1 + slope^2)), 3/4. `parameter` is looked at
 * for the leaky one only. NaN, with the last error set, for what is not one of them. */
MN_API double mn_init_gain(mn_nonlinearity nonlinearity, double parameter);

#ifdef __cplusplus
}
#endif
#endif
