/* A whole recipe: AdamW without decay of biases, a warm-up before a cosine, clipped gradients, averaged
 * weights for validation, early stopping; then the same run once more, cut in the middle and
 * continued from what was saved. */
#include "check.h"
#include <math.h>
#include <string.h>

enum { EPOCHS = 12, STEPS = 10, ITEMS = 128 };

typedef struct run {
    mn_module *net;
    mn_optim *adamw;
    mn_scheduler *plan;
    mn_average *ema;
    mn_early_stop stop;
    mn_tape *t;
} run;

static run start(void)
{
    run r = {
        .net = mn_nn_sequential(mn_nn_linear(4, 16, NULL), mn_nn_tanh(), mn_nn_linear(16, 1, NULL)),
        .stop = {.patience = 3},
        .t = mn_tape_new(NULL)};
    mn_module_init(r.net, 1);
    mn_tensor *weights[] = {mn_module_get(r.net, "0.weight"), mn_module_get(r.net, "2.weight")};
    mn_tensor *biases[] = {mn_module_get(r.net, "0.bias"), mn_module_get(r.net, "2.bias")};
    r.adamw = mn_optim_adamw_tensors(weights, 2, 0.02, 0.9, 0.999, 0.01, NULL);
    int group = mn_optim_add_tensors(r.adamw, biases, 2);
    mn_optim_set(r.adamw, group, "weight_decay", 0);
    mn_scheduler *parts[] = {mn_scheduler_linear_lr(r.adamw, 0.1, 1, 3),
                             mn_scheduler_cosine_annealing_lr(r.adamw, EPOCHS - 3, 0)};
    r.plan = mn_scheduler_sequential(parts, 2, (int64_t[]){3});
    r.ema = mn_average_ema(r.net, 0.9, NULL);
    return r;
}

static mn_tensor *loss_of(run *r, mn_rng *rng)
{
    mn_tensor *x = mn_empty(r->t, MN_F32, 2, (int64_t[]){16, 4});
    mn_tensor_uniform(x, -1, 1, rng);
    mn_tensor *y = mn_sub(r->t, mn_narrow(r->t, x, 1, 0, 1), mn_narrow(r->t, x, 1, 1, 1));
    return mn_mse_loss(r->t, mn_module_forward(r->net, r->t, x), y, NULL);
}

/* One epoch; returns the loss of the averaged weights on numbers of their own. */
static double epoch(run *r, int number)
{
    mn_rng rng = mn_rng_make(2, (uint64_t)number), other = mn_rng_make(3, 0);
    for (int step = 0; step < STEPS; step++, mn_tape_reset(r->t)) {
        mn_tensor *loss = loss_of(r, &rng);
        mn_optim_zero_grad(r->adamw);
        mn_backward(r->t, loss);
        mn_optim_clip_grad_norm(r->adamw, r->t, 1);
        mn_optim_step(r->adamw, r->t);
        mn_average_update(r->ema, r->t);
    }
    mn_scheduler_step(r->plan);
    mn_average_swap(r->ema, r->t);
    double validation = mn_tensor_item(loss_of(r, &other));
    mn_average_swap(r->ema, r->t);
    mn_tape_reset(r->t);
    CHECK_TAPE(r->t);
    return validation;
}

static void finish(run *r)
{
    mn_tape_free(r->t);
    mn_average_free(r->ema);
    mn_optim_free(r->adamw); /* the scheduler still holds it */
    mn_scheduler_free(r->plan);
    mn_module_free(r->net);
}

/* What a checkpoint would write to a file, here from memory to memory. */
static void restore(run *to, const run *from)
{
    static const char *const names[] = {"0.weight", "0.bias", "2.weight", "2.bias"};
    mn_state_item items[ITEMS];
    for (int i = 0; i < 4; i++)
        mn_tensor_copy(mn_module_get(to->net, names[i]), mn_module_get(from->net, names[i]));
    int n = mn_optim_state(from->adamw, items, ITEMS);
    CHECK(n <= ITEMS && mn_optim_load_state(to->adamw, items, n) == MN_OK);
    n = mn_scheduler_state(from->plan, items, ITEMS);
    CHECK(n <= ITEMS && mn_scheduler_load_state(to->plan, items, n) == MN_OK);
    n = mn_average_state(from->ema, items, ITEMS);
    CHECK(n <= ITEMS && mn_average_load_state(to->ema, items, n) == MN_OK);
    to->stop = from->stop;
}

int main(void)
{
    double losses[EPOCHS];
    run whole = start(), first = start(), second = start();
    for (int e = 0; e < EPOCHS; e++) {
        losses[e] = epoch(&whole, e);
        CHECK(!mn_early_stop_update(&whole.stop, losses[e]));
    }
    CHECK(losses[EPOCHS - 1] < 0.5 * losses[0]);
    CHECK(mn_optim_lr(whole.adamw, 0) < 1e-9 && mn_scheduler_epoch(whole.plan) == EPOCHS);
    CHECK(mn_average_count(whole.ema) == EPOCHS * STEPS);

    for (int e = 0; e < 5; e++) mn_early_stop_update(&first.stop, epoch(&first, e));
    restore(&second, &first);
    finish(&first);
    for (int e = 5; e < EPOCHS; e++) {
        CHECK(epoch(&second, e) == losses[e]); /* bit for bit */
        mn_early_stop_update(&second.stop, losses[e]);
    }
    CHECK(memcmp(&second.stop.best, &whole.stop.best, sizeof(double)) == 0);
    CHECK(second.stop.seen == EPOCHS && second.stop.best_at == whole.stop.best_at);
    finish(&second);
    finish(&whole);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
