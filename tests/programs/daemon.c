/* A trainer inside a long-lived program, whose memory may run out at any moment: malloc fails at
 * position 1, 2, 3, ... of a whole life, until one life passes. Every failing life ends with an
 * error and a reason, nothing leaks, and parameters are never left half-updated. */
#include "check.h"
#include <math.h>

static long calls, fail_at; /* the call that fails; 0: none */

static void *failing_allocate(size_t size, void *user)
{
    (void)user;
    return ++calls == fail_at ? NULL : malloc(size);
}

static void plain_release(void *memory, void *user)
{
    (void)user;
    free(memory);
}

static int life(void)
{
    mn_rng rng = mn_rng_make(1, 0);
    mn_tensor *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){12, 6});
    mn_tensor *y = mn_tensor_zeros(MN_I64, 1, (int64_t[]){12});
    mn_tensor_uniform(x, -1, 1, &rng);
    mn_dataset *data = mn_data_tensors(x, y);
    mn_loader *batches =
        mn_data_loader(data, 5, &(mn_data_loader_opts){.shuffle = true, .seed = 1});
    mn_module *net = mn_nn_sequential(
        mn_nn_linear(6, 8, NULL), mn_nn_rrelu(0.1, 0.3, &(mn_nn_rrelu_opts){.inplace = true}),
        mn_nn_prelu(1, 0.25), mn_nn_dropout(0.1), mn_nn_linear(8, 3, NULL));
    mn_error e = mn_module_init(net, 1);
    mn_optim *sgd = mn_optim_sgd(net, 0.1, &(mn_optim_sgd_opts){.momentum = 0.9});
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = 2, .prefill_bytes = 1 << 12});

    double before = 0, after = 0;
    for (mn_batch b; !e && mn_loader_next(batches, t, &b); mn_tape_reset(t)) {
        before = mn_tensor_item(mn_module_get(net, "2.weight"));
        mn_tensor *loss = mn_cross_entropy(t, mn_module_forward(net, t, b.input), b.target, NULL);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_clip_grad_norm(sgd, t, 1);
        mn_error stepped = mn_optim_step(sgd, t);
        after = mn_tensor_item(mn_module_get(net, "2.weight"));
        if (stepped && net) CHECK(before == after); /* whole or not at all */
    }
    int failed = e || mn_tape_error(t);
    if (failed) CHECK(mn_last_error() == MN_ERR_MEMORY && *mn_last_message());
    if (mn_tape_error(t)) CHECK(*mn_tape_message(t));

    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    mn_loader_free(batches);
    mn_dataset_free(data);
    mn_release(x), mn_release(y);
    CHECK(mn_live_allocations() == 0);
    return failed;
}

int main(void)
{
    mn_allocator failing = {.allocate = failing_allocate, .release = plain_release};
    CHECK(mn_set_allocator(&failing) == MN_OK);
    long survived = 0;
    for (fail_at = 1; fail_at < 100000; fail_at++) {
        calls = 0;
        mn_clear_last_error();
        int failed = life();
        if (!failed && calls < fail_at) break; /* it never came to the failing call */
        survived += !failed;
    }
    CHECK(fail_at > 40 && fail_at < 100000);
    /* Few failures may go unnoticed: a team that is smaller, a cache that could be emptied. */
    CHECK(survived < fail_at / 4);
    CHECK(mn_set_allocator(NULL) == MN_OK);
    printf("%ld positions\n", fail_at - 1);
    return 0;
}
