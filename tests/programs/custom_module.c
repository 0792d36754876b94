/* A module of the user's own: a residual block with a scale (parameter), a count of training
 * calls (buffer) and a child. It trains, prints, initialises, converts and frees like any other. */
#include "check.h"

typedef struct residual {
    mn_module base;
    mn_tensor *scale; /* [1] */
    mn_tensor *calls; /* [] i64 */
    mn_module *inner;
} residual;

/* x + scale * inner(x) */
static mn_error residual_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    residual *r = (residual *)m;
    if (m->training) mn_tensor_set_i64(r->calls, NULL, mn_tensor_get_i64(r->calls, NULL) + 1);
    mn_tensor *inner = mn_module_forward(r->inner, t, in[0]);
    out[0] = mn_add(t, in[0], mn_mul(t, r->scale, inner));
    return mn_tape_error(t);
}

static void residual_visit(mn_module *m, mn_visitor *v)
{
    residual *r = (residual *)m;
    mn_visit_parameter(v, "scale", &r->scale, mn_init_constant(0.5));
    mn_visit_buffer(v, "calls", &r->calls, mn_init_constant(0));
    mn_visit_child(v, "inner", &r->inner);
}

static const mn_module_class residual_class = {.name = "Residual",
                                               .size = sizeof(residual),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = residual_forward,
                                               .visit = residual_visit};

static mn_module *residual_new(mn_module *inner)
{
    residual *r = (residual *)mn_module_new(&residual_class);
    if (!r) {
        mn_module_free(inner);
        return NULL;
    }
    r->scale = mn_parameter(MN_F32, 1, (int64_t[]){1});
    r->calls = mn_tensor_zeros(MN_I64, 0, NULL);
    r->inner = inner;
    return mn_module_finish(&r->base);
}

int main(void)
{
    mn_module *net = mn_nn_sequential(residual_new(mn_nn_linear(4, 4, NULL)), mn_nn_relu(NULL),
                                      mn_nn_linear(4, 2, NULL));
    CHECK(mn_module_init(net, 1) == MN_OK);

    char text[600];
    mn_module_format(net, text, sizeof text);
    CHECK(strstr(text,
                 "(0): Residual(\n    (inner): Linear(in_features=4, out_features=4, bias=True)"));
    mn_named_tensor named[8];
    CHECK(mn_module_parameters(net, named, 8) == 5);
    CHECK(strcmp(named[0].name, "0.scale") == 0 && strcmp(named[1].name, "0.inner.weight") == 0);
    CHECK(mn_module_buffers(net, named, 8) == 1 && strcmp(named[0].name, "0.calls") == 0);

    mn_optim *sgd = mn_optim_sgd(net, 0.2, NULL);
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(5, 0);
    double first = 0, last = 0;
    for (int step = 0; step < 50; step++, mn_tape_reset(t)) {
        mn_tensor *x = mn_rand(t, MN_F32, 2, (int64_t[]){8, 4}, &rng);
        mn_tensor *y = mn_narrow(t, x, 1, 1, 2);
        mn_tensor *loss = mn_mse_loss(t, mn_module_forward(net, t, x), y, NULL);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
        last = mn_tensor_item(loss);
        if (step == 0) first = last;
    }
    CHECK_TAPE(t);
    CHECK(last < first / 4);
    CHECK(mn_tensor_item(mn_module_get(net, "0.scale")) != 0.5);
    CHECK(mn_tensor_get_i64(mn_module_get(net, "0.calls"), NULL) == 50);

    mn_module_eval(net);
    mn_tensor *x = mn_ones(t, MN_F32, 2, (int64_t[]){1, 4});
    CHECK(mn_module_forward(net, t, x) != NULL);
    CHECK(mn_tensor_get_i64(mn_module_get(net, "0.calls"), NULL) == 50);

    /* What goes wrong inside is named by its path. */
    CHECK(mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){1, 3})) == NULL);
    CHECK(strstr(mn_tape_message(t), "net.0.inner (linear)"));

    /* A child that could not be made takes its container with it, and leaves its reason. */
    CHECK(residual_new(mn_nn_linear(0, 4, NULL)) == NULL && strstr(mn_last_message(), "0"));

    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
