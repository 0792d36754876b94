/*
 * nn/activation.c: the activations without parameters or state of their own. One struct of numbers serves
 * them all; a line for each says how torch prints it, which op it runs and what the numbers are.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>

typedef struct activation {
    mn_module base;
    double number[2];
    bool inplace;
} activation;

/* Of the ops one is set, in each pair the second works in place. */
typedef struct kind {
    mn_module_class cls; /* the first member: what a module's cls points to is its kind */
    const char *name;    /* mn_nn_ + name */
    mn_tensor *(*plain[2])(mn_tape *, mn_tensor *);
    mn_tensor *(*scalar[2])(mn_tape *, mn_tensor *, double);
    mn_tensor *(*scalars[2])(mn_tape *, mn_tensor *, double, double);
    mn_tensor *(*along)(mn_tape *, mn_tensor *, int dim);
    const char *numbers[2]; /* their names */
    bool infinite;          /* they may be */
    bool nameless;          /* printed without their names */
    bool silent;            /* prints nothing when it works in place */
    const char *prints;     /* just that */
} kind;

static mn_error forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                        int n_out)
{
    const activation *a = (const activation *)m;
    const kind *k = (const kind *)m->cls;
    const double *s = a->number;
    const int i = a->inplace;
    (void)n_in, (void)n_out;
    out[0] = k->plain[i]     ? k->plain[i](t, in[0])
             : k->scalar[i]  ? k->scalar[i](t, in[0], s[0])
             : k->scalars[i] ? k->scalars[i](t, in[0], s[0], s[1])
                             : k->along(t, in[0], (int)s[0]);
    return mn_tape_error(t);
}

static int describe(const mn_module *m, char *buffer, size_t size)
{
    const activation *a = (const activation *)m;
    const kind *k = (const kind *)m->cls;
    char text[2][MNI_REPR_SIZE];
    if (k->prints) return snprintf(buffer, size, "%s", k->prints);
    const bool inplace = a->inplace && !k->silent;
    for (int i = 0; i < 2; i++) mni_repr(a->number[i], text[i]);
    if (k->along) snprintf(text[0], sizeof text[0], "%d", (int)a->number[0]);
    int n = 0;
    for (int i = 0; i < 2 && k->numbers[i]; i++)
        n += snprintf(buffer + n, size - (size_t)n, "%s%s%s%s", i ? ", " : "",
                      k->nameless ? "" : k->numbers[i], k->nameless ? "" : "=", text[i]);
    if (inplace) n += snprintf(buffer + n, size - (size_t)n, "%sinplace=True", n ? ", " : "");
    return n;
}

#define KIND(id, NAME, ...)                                                                        \
    static const kind id##_kind = {.cls = {.name = NAME,                                           \
                                           .size = sizeof(activation),                             \
                                           .n_in = 1,                                              \
                                           .n_out = 1,                                             \
                                           .forward = forward,                                     \
                                           .describe = describe},                                  \
                                   .name = #id,                                                    \
                                   __VA_ARGS__};

/* Refuses number i. */
static void *refuse(const kind *k, int i, double number, const char *why)
{
    char text[MNI_REPR_SIZE];
    mn_fail(MN_ERR_ARGUMENT, "%s: %s %s %s", k->name, k->numbers[i], mni_repr(number, text), why);
    return NULL;
}

static mn_module *make(const kind *k, double first, double second,
                       const mn_nn_activation_opts *opts)
{
    const double number[] = {first, second};
    for (int i = 0; i < 2; i++)
        if (isnan(number[i]) || (isinf(number[i]) && !k->infinite))
            return refuse(k, i, number[i],
                          k->infinite ? "is not a number" : "is not a finite number");
    activation *a = (activation *)mn_module_new(&k->cls);
    if (!a) return NULL;
    a->number[0] = first;
    a->number[1] = second;
    a->inplace = opts && opts->inplace;
    return mn_module_finish(&a->base);
}

/* ---- without numbers ---- */

#define PLAIN(id, NAME, text)                                                                      \
    KIND(id, NAME, .plain = {mn_##id}, .prints = text)                                             \
    mn_module *mn_nn_##id(void)                                                                    \
    {                                                                                              \
        return make(&id##_kind, 0, 0, NULL);                                                       \
    }

PLAIN(sigmoid, "Sigmoid", "")
PLAIN(tanh, "Tanh", "")
PLAIN(log_sigmoid, "LogSigmoid", "")
PLAIN(softsign, "Softsign", "")
PLAIN(tanhshrink, "Tanhshrink", "")
PLAIN(gelu, "GELU", "approximate='none'")
PLAIN(gelu_tanh, "GELU", "approximate='tanh'")

#define IN_PLACE(id, NAME, is_silent)                                                              \
    KIND(id, NAME, .plain = {mn_##id, mn_##id##_}, .silent = is_silent)                            \
    mn_module *mn_nn_##id(const mn_nn_activation_opts *opts)                                       \
    {                                                                                              \
        return make(&id##_kind, 0, 0, opts);                                                       \
    }

IN_PLACE(relu, "ReLU", false)
IN_PLACE(relu6, "ReLU6", false)
IN_PLACE(selu, "SELU", false)
IN_PLACE(silu, "SiLU", false)
IN_PLACE(mish, "Mish", false)
IN_PLACE(hardsigmoid, "Hardsigmoid", true)
IN_PLACE(hardswish, "Hardswish", true)

/* ---- with numbers ---- */

KIND(leaky_relu, "LeakyReLU", .scalar = {mn_leaky_relu, mn_leaky_relu_},
     .numbers = {"negative_slope"})

mn_module *mn_nn_leaky_relu(double negative_slope, const mn_nn_activation_opts *opts)
{
    return make(&leaky_relu_kind, negative_slope, 0, opts);
}

KIND(elu, "ELU", .scalar = {mn_elu, mn_elu_}, .numbers = {"alpha"})

mn_module *mn_nn_elu(double alpha, const mn_nn_activation_opts *opts)
{
    return make(&elu_kind, alpha, 0, opts);
}

KIND(celu, "CELU", .scalar = {mn_celu, mn_celu_}, .numbers = {"alpha"})

mn_module *mn_nn_celu(double alpha, const mn_nn_activation_opts *opts)
{
    return alpha == 0 ? refuse(&celu_kind, 0, alpha, "is 0") : make(&celu_kind, alpha, 0, opts);
}

KIND(hardshrink, "Hardshrink", .scalar = {mn_hardshrink}, .numbers = {"lambda"}, .nameless = true)
KIND(softshrink, "Softshrink", .scalar = {mn_softshrink}, .numbers = {"lambda"}, .nameless = true)

static mn_module *shrink(const kind *k, double lambda)
{
    return lambda < 0 ? refuse(k, 0, lambda, "is below 0") : make(k, lambda, 0, NULL);
}

mn_module *mn_nn_hardshrink(double lambda)
{
    return shrink(&hardshrink_kind, lambda);
}

mn_module *mn_nn_softshrink(double lambda)
{
    return shrink(&softshrink_kind, lambda);
}

KIND(hardtanh, "Hardtanh", .scalars = {mn_hardtanh, mn_hardtanh_},
     .numbers = {"min_val", "max_val"}, .infinite = true)

mn_module *mn_nn_hardtanh(double min_val, double max_val, const mn_nn_activation_opts *opts)
{
    if (max_val <= min_val) return refuse(&hardtanh_kind, 1, max_val, "is not above min_val");
    return make(&hardtanh_kind, min_val, max_val, opts);
}

KIND(threshold, "Threshold", .scalars = {mn_threshold, mn_threshold_},
     .numbers = {"threshold", "value"}, .infinite = true)

mn_module *mn_nn_threshold(double threshold, double value, const mn_nn_activation_opts *opts)
{
    return make(&threshold_kind, threshold, value, opts);
}

KIND(softplus, "Softplus", .scalars = {mn_softplus}, .numbers = {"beta", "threshold"},
     .infinite = true)

mn_module *mn_nn_softplus(double beta, double threshold)
{
    if (beta == 0 || isinf(beta)) return refuse(&softplus_kind, 0, beta, "is 0 or infinite");
    return make(&softplus_kind, beta, threshold, NULL);
}

/* ---- along a dimension ---- */

#define ALONG(id, NAME)                                                                            \
    KIND(id, NAME, .along = mn_##id, .numbers = {"dim"})                                           \
    mn_module *mn_nn_##id(int dim)                                                                 \
    {                                                                                              \
        return make(&id##_kind, dim, 0, NULL);                                                     \
    }

ALONG(softmax, "Softmax")
ALONG(softmin, "Softmin")
ALONG(log_softmax, "LogSoftmax")
ALONG(glu, "GLU")

static mn_tensor *over_channels(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "softmax2d"};
    char shape[96];
    if (!mn_op_begin(t, &op, &x, 1)) return NULL;
    if (mn_tensor_ndim(x) == 3 || mn_tensor_ndim(x) == 4) return mn_softmax(t, x, -3);
    mn_tensor_format_shape(x, shape, sizeof shape);
    return mn_tape_fail(t, MN_ERR_SHAPE, "x %s: [N, C, H, W] or [C, H, W] is needed", shape);
}

KIND(softmax2d, "Softmax2d", .plain = {over_channels}, .prints = "")

mn_module *mn_nn_softmax2d(void)
{
    return make(&softmax2d_kind, 0, 0, NULL);
}
