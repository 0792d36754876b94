/* xor.c: the smallest whole program: two layers learn the exclusive or of two bits. */
#include <minnow/minnow.h>
#include <stdio.h>

int main(void)
{
    const float bits[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, xor[4][1] = {{0}, {1}, {1}, {0}};
    mn_tensor *x = mn_tensor_from(MN_F32, 2, (int64_t[]){4, 2}, bits);
    mn_tensor *y = mn_tensor_from(MN_F32, 2, (int64_t[]){4, 1}, xor);

    mn_module *net = mn_nn_sequential(mn_nn_linear(2, 8, NULL), mn_nn_rrelu(1.0 / 8, 1.0 / 3, NULL),
                                      mn_nn_linear(8, 1, NULL));
    mn_module_init(net, 1);
    mn_optim *sgd = mn_optim_sgd(net, 0.1, &(mn_optim_sgd_opts){.momentum = 0.9});

    mn_tape *t = mn_tape_new(NULL);
    for (int step = 0; step < 1000; step++) {
        mn_tensor *loss = mn_mse_loss(t, mn_module_forward(net, t, x), y, NULL);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
        mn_tape_reset(t);
    }

    mn_module_eval(net);
    mn_tensor *answer = mn_module_forward(net, t, x);
    for (int64_t i = 0; answer && i < 4; i++)
        printf("%g xor %g = %.3f\n", bits[i][0], bits[i][1],
               mn_tensor_get(answer, (int64_t[]){i, 0}));

    int failed = !(mn_tensor_item(mn_mse_loss(t, answer, y, NULL)) < 0.01);
    if (failed) fprintf(stderr, "xor: %s\n", mn_tape_error(t) ? mn_tape_message(t) : "not learned");
    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    mn_release(x);
    mn_release(y);
    return failed;
}
