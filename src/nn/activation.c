/*
 * nn/activation.c: the activations without parameters or state of their own.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>

typedef struct activation {
    mn_module base;
    double negative_slope; /* LeakyReLU's */
    bool inplace;
} activation;

static mn_module *activation_new(const mn_module_class *c, double negative_slope,
                                 const mn_nn_activation_opts *opts)
{
    activation *a = (activation *)mn_module_new(c);
    if (!a) return NULL;
    a->negative_slope = negative_slope;
    a->inplace = opts && opts->inplace;
    return mn_module_finish(&a->base);
}

static mn_error relu_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                             mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    out[0] = ((activation *)m)->inplace ? mn_relu_(t, in[0]) : mn_relu(t, in[0]);
    return mn_tape_error(t);
}

static int relu_describe(const mn_module *m, char *buffer, size_t size)
{
    return snprintf(buffer, size, "%s", ((const activation *)m)->inplace ? "inplace=True" : "");
}

static const mn_module_class relu_class = {.name = "ReLU",
                                           .size = sizeof(activation),
                                           .n_in = 1,
                                           .n_out = 1,
                                           .forward = relu_forward,
                                           .describe = relu_describe};

mn_module *mn_nn_relu(const mn_nn_activation_opts *opts)
{
    return activation_new(&relu_class, 0, opts);
}

static mn_error leaky_relu_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                   mn_tensor **out, int n_out)
{
    const activation *a = (const activation *)m;
    (void)n_in, (void)n_out;
    out[0] = a->inplace ? mn_leaky_relu_(t, in[0], a->negative_slope)
                        : mn_leaky_relu(t, in[0], a->negative_slope);
    return mn_tape_error(t);
}

static int leaky_relu_describe(const mn_module *m, char *buffer, size_t size)
{
    const activation *a = (const activation *)m;
    char slope[MNI_REPR_SIZE];
    return snprintf(buffer, size, "negative_slope=%s%s", mni_repr(a->negative_slope, slope),
                    a->inplace ? ", inplace=True" : "");
}

static const mn_module_class leaky_relu_class = {.name = "LeakyReLU",
                                                 .size = sizeof(activation),
                                                 .n_in = 1,
                                                 .n_out = 1,
                                                 .forward = leaky_relu_forward,
                                                 .describe = leaky_relu_describe};

mn_module *mn_nn_leaky_relu(double negative_slope, const mn_nn_activation_opts *opts)
{
    if (!isfinite(negative_slope)) {
        mn_fail(MN_ERR_ARGUMENT, "leaky_relu: negative_slope %g is not a finite number",
                negative_slope);
        return NULL;
    }
    return activation_new(&leaky_relu_class, negative_slope, opts);
}

static mn_error sigmoid_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                mn_tensor **out, int n_out)
{
    (void)m, (void)n_in, (void)n_out;
    out[0] = mn_sigmoid(t, in[0]);
    return mn_tape_error(t);
}

static const mn_module_class sigmoid_class = {.name = "Sigmoid",
                                              .size = sizeof(activation),
                                              .n_in = 1,
                                              .n_out = 1,
                                              .forward = sigmoid_forward};

mn_module *mn_nn_sigmoid(void)
{
    return activation_new(&sigmoid_class, 0, NULL);
}

static mn_error tanh_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                             mn_tensor **out, int n_out)
{
    (void)m, (void)n_in, (void)n_out;
    out[0] = mn_tanh(t, in[0]);
    return mn_tape_error(t);
}

static const mn_module_class tanh_class = {
    .name = "Tanh", .size = sizeof(activation), .n_in = 1, .n_out = 1, .forward = tanh_forward};

mn_module *mn_nn_tanh(void)
{
    return activation_new(&tanh_class, 0, NULL);
}
