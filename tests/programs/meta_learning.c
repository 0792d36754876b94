/* Model-agnostic meta-learning (Finn et al., 2017): parameters from which a few gradient steps fit a new
 * task. The loss after those steps is differentiated through the steps, so its gradient has second
 * derivatives. One meta-gradient is compared with PyTorch's; then a net learns to fit sines. */
#include "check.h"
#include <math.h>

enum { PARAMETERS = 4, TASKS = 4, SHOTS = 10, STEPS = 150 };

typedef struct task {
    mn_tensor *x, *y;             /* to learn from */
    mn_tensor *query_x, *query_y; /* to be judged by */
} task;

/* The loss on the task's queries after `steps` gradient steps on its examples. */
static mn_tensor *adapted_loss(mn_tape *t, mn_module *net, const task *k, int steps, double lr)
{
    mn_named_tensor p[PARAMETERS];
    CHECK(mn_module_parameters(net, p, PARAMETERS) == PARAMETERS);
    for (int s = 0; s < steps; s++) {
        mn_tensor *now[PARAMETERS], *g[PARAMETERS];
        mn_tensor *y;
        mn_module_functional_call(net, t, p, PARAMETERS, &k->x, 1, &y, 1);
        mn_tensor *loss = mn_mse_loss(t, y, k->y, NULL);
        for (int i = 0; i < PARAMETERS; i++) now[i] = p[i].tensor;
        mn_grad(t, &loss, 1, now, PARAMETERS, g, &(mn_grad_opts){.create_graph = true});
        for (int i = 0; i < PARAMETERS; i++)
            p[i].tensor = mn_sub(t, now[i], mn_mul_scalar(t, g[i], lr));
    }
    mn_tensor *y;
    mn_module_functional_call(net, t, p, PARAMETERS, &k->query_x, 1, &y, 1);
    return mn_mse_loss(t, y, k->query_y, NULL);
}

static mn_module *new_net(int64_t hidden)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(1, hidden, NULL), mn_nn_tanh(),
                                      mn_nn_linear(hidden, 1, NULL));
    CHECK(mn_module_to(net, MN_F64) == MN_OK);
    return net;
}

static mn_tensor *column(mn_tape *t, int64_t n, const double *values)
{
    return mn_from(t, MN_F64, 2, (int64_t[]){n, 1}, values);
}

/* The numbers are those of torch.func.functional_call and torch.autograd.grad, in f64, for weights
 * ((37 k) mod 19 - 9) / 10, k counted through all parameters. */
static void compare_with_pytorch(mn_tape *t)
{
    const double loss = 0.4601095775678001;
    const double gradient[] = {-0.11618456925164657,   -0.02171718732699831,  -0.015421620338346008,
                               0.00011949024373911384, -0.16160044175228716,  -0.06879682890934702,
                               -0.05416308682896925,   -0.020031699140175507, -0.15296566737822942,
                               -0.338164123541283,     -0.3024625775677561,   -0.2509868147492791,
                               -0.6106273932107517};
    mn_module *net = new_net(4);
    mn_named_tensor p[PARAMETERS];
    mn_module_parameters(net, p, PARAMETERS);
    for (int i = 0, k = 0; i < PARAMETERS; i++) {
        double *w = mn_tensor_mutable_data(p[i].tensor);
        for (int64_t j = 0; j < mn_tensor_numel(p[i].tensor); j++, k++)
            w[j] = (37 * k % 19 - 9) / 10.0;
    }
    task k = {column(t, 5, (double[]){-2, -1, 0, 1, 2}),
              column(t, 5, (double[]){0.5, -0.25, 0.75, 1, -1}),
              column(t, 3, (double[]){-1.5, 0.5, 1.5}), column(t, 3, (double[]){0.25, 1, 0.5})};
    mn_tensor *meta = adapted_loss(t, net, &k, 2, 0.1);
    CHECK(fabs(mn_tensor_item(meta) - loss) < 1e-14);
    CHECK(mn_backward(t, meta) == MN_OK);
    const double *expected = gradient;
    for (int i = 0; i < PARAMETERS; i++) {
        const double *g = mn_tensor_data(mn_tensor_grad(p[i].tensor));
        for (int64_t j = 0; j < mn_tensor_numel(p[i].tensor); j++)
            CHECK(fabs(g[j] - *expected++) < 1e-14);
    }
    mn_module_free(net);
    mn_tape_reset(t);
}

/* y = a sin(x + b) at random x in [-3, 3). */
static mn_tensor *sine(mn_tape *t, double a, double b, mn_tensor *x)
{
    mn_tensor *y = mn_empty_like(t, x);
    const double *in = mn_tensor_data(x);
    double *out = mn_tensor_mutable_data(y);
    for (int64_t i = 0; i < mn_tensor_numel(x); i++) out[i] = a * sin(in[i] + b);
    return y;
}

static task new_task(mn_tape *t, mn_rng *rng)
{
    double a = 0.5 + 1.5 * mn_rng_uniform(rng), b = 3 * mn_rng_uniform(rng);
    mn_tensor *x[2];
    for (int i = 0; i < 2; i++) {
        x[i] = mn_rand(t, MN_F64, 2, (int64_t[]){SHOTS, 1}, rng);
        x[i] = mn_sub_scalar(t, mn_mul_scalar(t, x[i], 6), 3);
    }
    return (task){x[0], sine(t, a, b, x[0]), x[1], sine(t, a, b, x[1])};
}

int main(void)
{
    mn_tape *t = mn_tape_new(NULL);
    compare_with_pytorch(t);

    mn_module *net = new_net(24);
    mn_module_init(net, 1);
    mn_optim *sgd = mn_optim_sgd(net, 0.02, &(mn_optim_sgd_opts){.momentum = 0.9});
    mn_rng rng = mn_rng_make(7, 0);
    double first = 0, last = 0; /* mean loss of the first and the last 20 steps */
    int64_t allocations = 0;
    for (int step = 0; step < STEPS; step++, mn_tape_reset(t)) {
        mn_tensor *sum = mn_scalar(t, MN_F64, 0);
        for (int i = 0; i < TASKS; i++) {
            task k = new_task(t, &rng);
            sum = mn_add(t, sum, adapted_loss(t, net, &k, 1, 0.1));
        }
        mn_tensor *loss = mn_div_scalar(t, sum, TASKS);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_clip_grad_norm(sgd, t, 1);
        mn_optim_step(sgd, t);
        CHECK_TAPE(t);
        if (step < 20) first += mn_tensor_item(loss) / 20;
        if (step >= STEPS - 20) last += mn_tensor_item(loss) / 20;
        if (step == 5) allocations = mn_live_allocations();
    }
    printf("loss after one step on a new task: %.3f at first, %.3f when meta-trained\n", first,
           last);
    CHECK(last < first / 2);
    CHECK(mn_live_allocations() == allocations); /* a steady step allocates nothing */

    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
