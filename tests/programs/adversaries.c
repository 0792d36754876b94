/* Two nets with two optimizers: a generator and a critic of one-dimensional samples, trained in
 * turn, each frozen while the other learns. The generator has to find the mean of the real
 * samples, 4. */
#include "check.h"
#include <math.h>

enum { BATCH = 64 };

static mn_module *net(uint64_t seed)
{
    mn_module *m = mn_nn_sequential(mn_nn_linear(1, 16, NULL), mn_nn_leaky_relu(0.2, NULL),
                                    mn_nn_linear(16, 1, NULL));
    mn_module_init(m, seed);
    return m;
}

/* Least squares GAN: the critic scores real samples 1 and fakes 0, the generator wants a 1. */
static mn_tensor *against(mn_tape *t, mn_tensor *score, double wanted)
{
    mn_tensor *target = mn_full(t, MN_F32, 2, (int64_t[]){BATCH, 1}, wanted);
    return mn_mse_loss(t, score, target, NULL);
}

int main(void)
{
    mn_module *generator = net(1), *critic = net(2);
    mn_optim *sgd_g = mn_optim_sgd(generator, 0.02, NULL);
    mn_optim *sgd_c = mn_optim_sgd(critic, 0.05, NULL);
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(3, 0);
    int64_t shape[] = {BATCH, 1};
    double mean = 0;

    for (int step = 0; step < 3000; step++, mn_tape_reset(t)) {
        mn_tensor *real = mn_add_scalar(t, mn_rand(t, MN_F32, 2, shape, &rng), 3.5);
        mn_tensor *fake = mn_module_forward(generator, t, mn_rand(t, MN_F32, 2, shape, &rng));

        mn_tensor *loss_c = mn_add(t, against(t, mn_module_forward(critic, t, real), 1),
                                   against(t, mn_module_forward(critic, t, mn_detach(t, fake)), 0));
        mn_optim_zero_grad(sgd_c);
        mn_backward(t, loss_c);
        mn_optim_step(sgd_c, t);

        mn_module_set_requires_grad(critic, false);
        mn_tensor *loss_g = against(t, mn_module_forward(critic, t, fake), 1);
        mn_optim_zero_grad(sgd_g), mn_optim_zero_grad(sgd_c);
        mn_backward(t, loss_g);
        CHECK(mn_tensor_grad(mn_module_get(critic, "0.weight")) == NULL);
        CHECK(mn_tensor_grad(mn_module_get(generator, "0.weight")) != NULL);
        mn_optim_step(sgd_g, t);
        mn_module_set_requires_grad(critic, true);

        CHECK_TAPE(t);
        mean = 0.99 * mean + 0.01 * mn_tensor_item(mn_mean(t, fake));
    }
    CHECK(fabs(mean - 4) < 0.3);

    mn_tape_free(t);
    mn_optim_free(sgd_g), mn_optim_free(sgd_c);
    mn_module_free(generator), mn_module_free(critic);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
