/* One net in eval mode, eight threads with a tape each: no locks, the same bits as one thread
 * alone. */
#include "check.h"
#include <pthread.h>

enum { THREADS = 8, ROUNDS = 50, ROWS = 16, CLASSES = 10 };

static mn_module *net;

static void infer(float *out, int rows_seed)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make((uint64_t)rows_seed, 0);
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    mn_tensor *x = mn_rand(t, MN_F32, 2, (int64_t[]){ROWS, 20}, &rng);
    mn_tensor *y = mn_softmax(t, mn_module_forward(net, t, x), 1);
    CHECK_TAPE(t);
    memcpy(out, mn_tensor_data(y), ROWS * CLASSES * sizeof(float));
    mn_scope_end(t, s, NULL, 0);
    mn_tape_free(t);
}

typedef struct work {
    int seed;
    bool same;
    float expected[ROWS * CLASSES];
} work;

static void *serve(void *arg)
{
    work *w = arg;
    w->same = true;
    for (int i = 0; i < ROUNDS; i++) {
        float got[ROWS * CLASSES];
        infer(got, w->seed);
        w->same &= memcmp(got, w->expected, sizeof got) == 0;
    }
    return NULL;
}

int main(void)
{
    net = mn_nn_sequential(mn_nn_linear(20, 64, NULL), mn_nn_rrelu(0.1, 0.3, NULL),
                           mn_nn_weight_norm(mn_nn_linear(64, 64, NULL), "weight", 0),
                           mn_nn_dropout(0.5),
                           mn_nn_spectral_norm(mn_nn_linear(64, CLASSES, NULL), "weight", NULL));
    mn_module_init(net, 1);
    mn_module_eval(net);

    static work works[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        works[i].seed = i;
        infer(works[i].expected, i);
    }
    CHECK(memcmp(works[0].expected, works[1].expected, sizeof works[0].expected) != 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, serve, &works[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(works[i].same);
    }
    mn_module_free(net);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
