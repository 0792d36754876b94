/* Truncated back-propagation through time: the state of a small recurrent net is carried from
 * step to step, either detached and retained, or copied into a tensor of ours. Both compute the
 * same. Forgetting the detach is reported. */
#include "check.h"

enum { BATCH = 2, WIDTH = 4, LENGTH = 5, STEPS = 6 };

/* h = tanh(cell([x, h])), LENGTH times over one chunk of the sequence. */
static mn_tensor *unroll(mn_module *cell, mn_tape *t, mn_tensor *h)
{
    mn_tensor *x = mn_full(t, MN_F32, 2, (int64_t[]){BATCH, WIDTH}, 0.5);
    for (int i = 0; i < LENGTH; i++)
        h = mn_tanh(t, mn_module_forward(cell, t, mn_cat(t, (mn_tensor *[]){x, h}, 2, 1)));
    return h;
}

static double train(bool retain)
{
    mn_module *cell = mn_nn_linear(2 * WIDTH, WIDTH, NULL);
    mn_module_init(cell, 4);
    mn_optim *sgd = mn_optim_sgd(cell, 0.1, NULL);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *state = mn_tensor_zeros(MN_F32, 2, (int64_t[]){BATCH, WIDTH});
    double last = 0;
    for (int step = 0; step < STEPS; step++, mn_tape_reset(t)) {
        mn_tensor *h = unroll(cell, t, state);
        mn_tensor *loss = mn_mean(t, mn_mul(t, h, h));
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
        last = mn_tensor_item(loss);
        if (retain) {
            mn_release(state);
            state = mn_retain(mn_detach(t, h));
        } else {
            mn_tensor_copy(state, h);
        }
        CHECK_TAPE(t);
    }
    mn_tape_free(t);
    CHECK(mn_tensor_numel(state) == BATCH * WIDTH); /* it outlives the tape */
    mn_release(state);
    mn_optim_free(sgd);
    mn_module_free(cell);
    return last;
}

int main(void)
{
    double a = train(true), b = train(false);
    CHECK(a == b && a > 0);

    mn_module *cell = mn_nn_linear(2 * WIDTH, WIDTH, NULL);
    mn_module_init(cell, 4);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *zero = mn_tensor_zeros(MN_F32, 2, (int64_t[]){BATCH, WIDTH});
    mn_tensor *state = mn_retain(unroll(cell, t, zero)); /* no mn_detach */
    mn_tape_reset(t);
    CHECK(unroll(cell, t, state) == NULL);
    CHECK(mn_tape_error(t) == MN_ERR_STATE && strstr(mn_tape_message(t), "mn_detach"));
    mn_tape_clear_error(t);
    CHECK(mn_detach(t, state) != NULL); /* late, but it is still possible */

    mn_tape_free(t);
    mn_release(state), mn_release(zero);
    mn_module_free(cell);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
