/* Two trainers in two threads of one process, each with its own net, optimizer and tape, one of
 * them with a team of threads: neither disturbs the other's bits. */
#include "check.h"
#include <pthread.h>

typedef struct trainer {
    int threads;
    uint64_t seed;
    double loss;
} trainer;

static void *train(void *arg)
{
    trainer *me = arg;
    mn_module *net = mn_nn_sequential(mn_nn_linear(32, 128, NULL), mn_nn_rrelu(0.1, 0.3, NULL),
                                      mn_nn_dropout(0.2), mn_nn_linear(128, 4, NULL));
    mn_module_init(net, me->seed);
    mn_optim *sgd = mn_optim_sgd(net, 0.05, &(mn_optim_sgd_opts){.momentum = 0.9});
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = me->threads});
    mn_rng rng = mn_rng_make(me->seed, 1);
    for (int step = 0; step < 60; step++, mn_tape_reset(t)) {
        mn_tensor *x = mn_rand(t, MN_F32, 2, (int64_t[]){256, 32}, &rng);
        mn_tensor *target = mn_argmax_dim(t, mn_narrow(t, x, 1, 0, 4), 1, false);
        mn_tensor *loss = mn_cross_entropy(t, mn_module_forward(net, t, x), target, NULL);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);
        CHECK_TAPE(t);
        me->loss = mn_tensor_item(loss);
    }
    mn_tape_free(t);
    mn_optim_free(sgd);
    mn_module_free(net);
    return NULL;
}

int main(void)
{
    trainer alone[2] = {{.threads = 1, .seed = 1}, {.threads = 1, .seed = 2}};
    trainer together[2] = {{.threads = 2, .seed = 1}, {.threads = 1, .seed = 2}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) train(&alone[i]);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, train, &together[i]) == 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK(together[i].loss == alone[i].loss);
    }
    CHECK(alone[0].loss < 1 && alone[0].loss != alone[1].loss);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
