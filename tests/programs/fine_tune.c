/* Fine-tuning: a trunk that is frozen at first and then learns slowly, and a head that learns
 * fast: two groups with rates of their own in one optimizer. */
#include "check.h"

static double weight(mn_module *m, const char *name)
{
    return mn_tensor_get(mn_module_get(m, name), (int64_t[]){0, 0});
}

static void step(mn_module *net, mn_optim *sgd, mn_tape *t)
{
    mn_tensor *x = mn_ones(t, MN_F32, 2, (int64_t[]){4, 3});
    mn_tensor *y = mn_module_forward(net, t, x);
    mn_optim_zero_grad(sgd);
    mn_backward(t, mn_mean(t, mn_mul(t, y, y)));
    mn_optim_step(sgd, t);
    CHECK_TAPE(t);
    mn_tape_reset(t);
}

int main(void)
{
    mn_module *trunk = mn_nn_sequential(mn_nn_linear(3, 5, NULL), mn_nn_tanh());
    mn_module *head = mn_nn_linear(5, 2, NULL);
    mn_module *net = mn_nn_sequential(trunk, head); /* owns both from here on */
    mn_module_init(net, 1);
    mn_module_set_requires_grad(trunk, false);
    CHECK(mn_module_numel(net) == 32 && mn_module_numel_trainable(net) == 12);

    mn_optim *sgd = mn_optim_sgd(head, 0.1, &(mn_optim_sgd_opts){.momentum = 0.9});
    CHECK(mn_optim_add(sgd, trunk) == 1);
    mn_optim_set(sgd, 1, "lr", 0.001);
    mn_optim_set(sgd, 1, "momentum", 0);
    CHECK(mn_optim_groups(sgd) == 2);
    CHECK(mn_optim_add(sgd, head) == -1); /* it is in group 0 already */

    mn_tape *t = mn_tape_new(NULL);
    double trunk_before = weight(net, "0.0.weight"), head_before = weight(net, "1.weight");
    step(net, sgd, t);
    CHECK(weight(net, "0.0.weight") == trunk_before);
    CHECK(weight(net, "1.weight") != head_before);

    mn_module_set_requires_grad(trunk, true);
    mn_optim_set_lr(sgd, 0, mn_optim_lr(sgd, 0) / 10);
    CHECK(mn_optim_lr(sgd, 0) == 0.01 && mn_optim_lr(sgd, 1) == 0.001);
    head_before = weight(net, "1.weight");
    step(net, sgd, t);
    double moved = weight(net, "0.0.weight") - trunk_before;
    double g = mn_tensor_get(mn_tensor_grad(mn_module_get(trunk, "0.weight")), (int64_t[]){0, 0});
    CHECK(moved != 0 && moved + 0.001 * g < 1e-7 && moved + 0.001 * g > -1e-7);
    CHECK(weight(net, "1.weight") != head_before);

    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
