/* Evaluation in the middle of a step: between a forward pass and its backward, the same net is
 * evaluated on the same tape, in eval mode and without recording. The step does not notice. */
#include "check.h"

static double train(bool evaluate)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(5, 16, NULL), mn_nn_rrelu(0.1, 0.3, NULL),
                                      mn_nn_linear(16, 2, NULL));
    mn_module_init(net, 1);
    mn_optim *sgd = mn_optim_sgd(net, 0.1, NULL);
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(1, 1);
    double last = 0;
    for (int step = 0; step < 10; step++, mn_tape_reset(t)) {
        mn_tensor *x = mn_rand(t, MN_F32, 2, (int64_t[]){8, 5}, &rng);
        mn_tensor *y = mn_gt_scalar(t, mn_narrow(t, x, 1, 0, 1), 0.5);
        mn_tensor *target = mn_reshape(t, mn_to(t, y, MN_I64), 1, (int64_t[]){8});
        mn_tensor *loss = mn_cross_entropy(t, mn_module_forward(net, t, x), target, NULL);

        if (evaluate) {
            int64_t nodes = mn_tape_stats(t).nodes;
            size_t bytes = mn_tape_stats(t).live_bytes;
            mn_module_eval(net);
            mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
            mn_tensor *logits = mn_module_forward(net, t, x);
            mn_tensor *right = mn_eq(t, mn_argmax_dim(t, logits, 1, false), target);
            double accuracy = mn_tensor_item(mn_mean(t, mn_to(t, right, MN_F32)));
            mn_scope_end(t, s, NULL, 0);
            mn_module_train(net);
            CHECK(accuracy >= 0 && accuracy <= 1);
            CHECK(mn_tape_stats(t).nodes == nodes && mn_tape_stats(t).live_bytes == bytes);
            CHECK(mn_add_scalar(t, logits, 1) == NULL); /* its scope is over */
            CHECK(strstr(mn_tape_message(t), "freed by its scope"));
            mn_tape_clear_error(t);
        }
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
        CHECK_TAPE(t);
        last = mn_tensor_item(loss);
    }
    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    return last;
}

int main(void)
{
    CHECK(train(true) == train(false));
    CHECK(mn_live_allocations() == 0);
    return 0;
}
