/* Gradient accumulation with clipping: four quarter batches give the gradient of the whole
 * batch. */
#include "check.h"
#include <math.h>

enum { QUARTERS = 4, ROWS = 4 };

static mn_module *make_net(void)
{
    mn_module *net =
        mn_nn_sequential(mn_nn_linear(6, 8, NULL), mn_nn_tanh(), mn_nn_linear(8, 3, NULL));
    mn_module_init(net, 7);
    return net;
}

int main(void)
{
    mn_rng rng = mn_rng_make(1, 0);
    mn_tensor *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){QUARTERS * ROWS, 6});
    mn_tensor *y = mn_tensor_zeros(MN_I64, 1, (int64_t[]){QUARTERS * ROWS});
    mn_tensor_uniform(x, -3, 3, &rng);
    for (int64_t i = 0; i < QUARTERS * ROWS; i++) mn_tensor_set_i64(y, &i, i % 3);

    mn_tape *t = mn_tape_new(NULL);
    mn_module *whole = make_net(), *parts = make_net();
    mn_optim *sgd_whole = mn_optim_sgd(whole, 0.5, NULL);
    mn_optim *sgd_parts = mn_optim_sgd(parts, 0.5, NULL);

    mn_backward(t, mn_cross_entropy(t, mn_module_forward(whole, t, x), y, NULL));
    mn_tape_reset(t);

    for (int q = 0; q < QUARTERS; q++, mn_tape_reset(t)) {
        mn_tensor *logits = mn_module_forward(parts, t, mn_narrow(t, x, 0, q * ROWS, ROWS));
        mn_tensor *loss = mn_cross_entropy(t, logits, mn_narrow(t, y, 0, q * ROWS, ROWS), NULL);
        mn_backward(t, mn_div_scalar(t, loss, QUARTERS));
    }

    double norm_whole = mn_optim_clip_grad_norm(sgd_whole, t, 0.01);
    double norm_parts = mn_optim_clip_grad_norm(sgd_parts, t, 0.01);
    CHECK(norm_whole > 0.01 && fabs(norm_whole - norm_parts) < 1e-6 * norm_whole);
    CHECK(fabs(mn_optim_clip_grad_norm(sgd_parts, t, 1) - 0.01) < 1e-6);

    CHECK(mn_optim_step(sgd_whole, t) == MN_OK && mn_optim_step(sgd_parts, t) == MN_OK);
    mn_tensor *a = mn_module_get(whole, "0.weight"), *b = mn_module_get(parts, "0.weight");
    for (int64_t i = 0; i < 8; i++)
        for (int64_t k = 0; k < 6; k++) {
            int64_t at[] = {i, k};
            CHECK(fabs(mn_tensor_get(a, at) - mn_tensor_get(b, at)) < 1e-7);
        }
    CHECK_TAPE(t);

    mn_optim_free(sgd_whole), mn_optim_free(sgd_parts);
    mn_module_free(whole), mn_module_free(parts);
    mn_tape_free(t);
    mn_release(x), mn_release(y);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
