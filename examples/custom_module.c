/*
 * custom_module.c: a layer written outside the library. Residual computes x + scale * inner(x), with a
 * trainable scale that begins at 0 (Bachlechner et al., "ReZero is all you need", 2020), and counts
 * its training calls in a buffer. Two of them learn to tell two spirals apart.
 */
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>

typedef struct residual {
    mn_module base;
    mn_module *inner;
    mn_tensor *scale; /* parameter, [1] */
    mn_tensor *calls; /* buffer, i64 [] */
} residual;

static mn_error residual_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    residual *r = (residual *)m;
    (void)n_in, (void)n_out; /* 1 and 1, as the class says */
    if (m->training) mn_tensor_set_i64(r->calls, NULL, mn_tensor_get_i64(r->calls, NULL) + 1);
    mn_tensor *change = mn_module_forward(r->inner, t, in[0]);
    out[0] = mn_add(t, in[0], mn_mul(t, r->scale, change));
    return mn_tape_error(t);
}

static void residual_visit(mn_module *m, mn_visitor *v)
{
    residual *r = (residual *)m;
    mn_visit_child(v, "inner", &r->inner);
    mn_visit_parameter(v, "scale", &r->scale, mn_init_constant(0));
    mn_visit_buffer(v, "calls", &r->calls, mn_init_constant(0));
}

static const mn_module_class residual_class = {
    .name = "Residual",
    .size = sizeof(residual),
    .n_in = 1,
    .n_out = 1,
    .forward = residual_forward,
    .visit = residual_visit,
};

static mn_module *residual_new(int64_t width)
{
    residual *r = (residual *)mn_module_new(&residual_class);
    if (!r) return NULL;
    r->inner = mn_nn_sequential(mn_nn_linear(width, width, NULL),
                                mn_nn_rrelu(MN_RRELU_LOWER, MN_RRELU_UPPER, NULL),
                                mn_nn_linear(width, width, NULL));
    r->scale = mn_parameter(MN_F32, 1, (int64_t[]){1});
    r->calls = mn_tensor_zeros(MN_I64, 0, NULL);
    return mn_module_finish(&r->base);
}

int main(void)
{
    enum { POINTS = 200 };
    float points[POINTS][2];
    int64_t spirals[POINTS];
    for (int i = 0; i < POINTS; i++) {
        spirals[i] = i % 2;
        float radius = 0.1f + 0.9f * (float)i / POINTS;
        float angle = 6 * radius + 3.1416f * (float)spirals[i];
        points[i][0] = radius * cosf(angle);
        points[i][1] = radius * sinf(angle);
    }
    mn_tensor *x = mn_tensor_from(MN_F32, 2, (int64_t[]){POINTS, 2}, points);
    mn_tensor *y = mn_tensor_from(MN_I64, 1, (int64_t[]){POINTS}, spirals);
    mn_module *net = mn_nn_sequential(mn_nn_linear(2, 32, NULL), residual_new(32), residual_new(32),
                                      mn_nn_linear(32, 2, NULL));
    mn_module_init(net, 1);
    mn_optim *sgd = mn_optim_sgd(net, 0.03, &(mn_optim_sgd_opts){.momentum = 0.9});

    mn_tape *t = mn_tape_new(NULL);
    for (int step = 1; step <= 1000; step++) {
        mn_tensor *loss = mn_cross_entropy(t, mn_module_forward(net, t, x), y, NULL);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
        if (loss && step % 250 == 0) printf("step %4d  loss %.4f\n", step, mn_tensor_item(loss));
        mn_tape_reset(t);
    }

    mn_module_eval(net);
    mn_tensor *answers = mn_argmax_dim(t, mn_module_forward(net, t, x), 1, false);
    double right = mn_tensor_item(mn_sum(t, mn_eq(t, answers, y)));
    double calls = mn_tensor_item(mn_module_get(net, "1.calls"));
    printf("%.0f of %d points right after %.0f training calls\n", right, POINTS, calls);

    int failed = !(right > 0.99 * POINTS);
    if (failed)
        fprintf(stderr, "custom_module: %s\n",
                mn_tape_error(t) ? mn_tape_message(t) : "not learned");
    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    mn_release(x);
    mn_release(y);
    return failed;
}
