/* Tied weights: an autoencoder whose decoder is the encoder's matrix transposed by being used
 * twice, and two layers that share one parameter: initialised, counted, stepped and freed once. */
#include "check.h"
#include <math.h>

int main(void)
{
    mn_module *net =
        mn_nn_sequential(mn_nn_linear(4, 4, NULL), mn_nn_tanh(), mn_nn_linear(4, 4, NULL));
    CHECK(mn_module_numel(net) == 40);
    CHECK(mn_module_set(net, "2.weight", mn_module_get(net, "0.weight")) == MN_OK);
    CHECK(mn_module_get(net, "2.weight") == mn_module_get(net, "0.weight"));
    CHECK(mn_module_numel(net) == 24);

    mn_named_tensor named[8];
    CHECK(mn_module_parameters(net, named, 8) == 3); /* 0.weight, 0.bias, 2.bias */
    CHECK(strcmp(named[0].name, "0.weight") == 0 && strcmp(named[2].name, "2.bias") == 0);

    mn_module_init(net, 3);
    mn_module *plain = mn_nn_sequential(mn_nn_linear(4, 4, NULL));
    mn_module_init(plain, 3);
    int64_t at[] = {1, 2};
    double w = mn_tensor_get(mn_module_get(net, "0.weight"), at);
    CHECK(w == mn_tensor_get(mn_module_get(plain, "0.weight"), at)); /* drawn once, first name */

    /* One step of plain SGD subtracts the sum of both uses' gradients once. */
    mn_tape *t = mn_tape_new(NULL);
    mn_optim *sgd = mn_optim_sgd(net, 0.1, NULL);
    mn_tensor *x = mn_ones(t, MN_F32, 2, (int64_t[]){2, 4});
    mn_tensor *y = mn_module_forward(net, t, x);
    CHECK(mn_backward(t, mn_sum(t, mn_mul(t, y, y))) == MN_OK);
    double g = mn_tensor_get(mn_tensor_grad(mn_module_get(net, "0.weight")), at);
    CHECK(mn_optim_step(sgd, t) == MN_OK);
    CHECK(fabs(mn_tensor_get(mn_module_get(net, "2.weight"), at) - (w - 0.1 * g)) < 1e-6);
    CHECK_TAPE(t);
    mn_optim_free(sgd);
    mn_module_free(plain);

    /* A whole module may stand in two places as well. */
    mn_module *shared = mn_nn_linear(4, 4, NULL);
    mn_module *twice = mn_nn_sequential(shared, mn_nn_tanh(), mn_module_retain(shared));
    CHECK(mn_module_init(twice, 1) == MN_OK && mn_module_numel(twice) == 20);
    CHECK(mn_module_forward(twice, t, x) != NULL);

    mn_tape_free(t);
    mn_module_free(twice);
    mn_module_free(net);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
