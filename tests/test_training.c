/*
 * Promises about whole training runs: a steady step allocates nothing, the number of threads does not change
 * a bit, the generator alone decides what is random, and memory that varies does not grow.
 */
#include "support.h"
#include <minnow/minnow.h>
#include <stdlib.h>
#include <string.h>

/* ---- malloc itself, counted where the C library lets us ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_MALLOC 0
#endif
#endif
#if !defined(COUNTS_MALLOC) && defined(__GLIBC__)
#define COUNTS_MALLOC 1
#endif

static long mallocs; /* since the start; every thread's */

#if COUNTS_MALLOC
extern void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    __atomic_fetch_add(&mallocs, 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}
#endif

static long count(void)
{
    return __atomic_load_n(&mallocs, __ATOMIC_RELAXED);
}

static long hooked; /* calls of the allocator hook */

static void *counting_allocate(size_t size, void *user)
{
    (void)user;
    __atomic_fetch_add(&hooked, 1, __ATOMIC_RELAXED);
    return malloc(size);
}

static void counting_release(void *memory, void *user)
{
    (void)user;
    free(memory);
}

/* ---- a net with every stochastic layer ---- */

typedef struct run {
    mn_module *net;
    mn_optim *sgd;
    mn_tape *t;
    mn_dataset *data;
    mn_loader *batches;
} run;

static run begin(int threads, uint64_t seed)
{
    run r = {0};
    mn_rng rng = mn_rng_make(seed, 99);
    mn_tensor *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){500, 300});
    mn_tensor *y = mn_tensor_zeros(MN_I64, 1, (int64_t[]){500});
    mn_tensor_uniform(x, -1, 1, &rng);
    for (int64_t i = 0; i < 500; i++) mn_tensor_set_i64(y, &i, i % 7);
    r.data = mn_data_tensors(x, y);
    mn_release(x), mn_release(y);
    /* 500 = 2 x 240 + 20: the last batch is smaller */
    r.batches = mn_data_loader(r.data, 240, &(mn_data_loader_opts){.shuffle = true, .seed = seed});
    r.net = mn_nn_sequential(
        mn_nn_linear(300, 200, NULL), mn_nn_rrelu(0.1, 0.3, NULL), mn_nn_linear(200, 150, NULL),
        mn_nn_rrelu(0.1, 0.3, &(mn_nn_rrelu_opts){.recompute = true, .inplace = true}),
        mn_nn_dropout(0.2), mn_nn_linear(150, 100, NULL), mn_nn_prelu(100, 0.25), mn_nn_tanh(),
        mn_nn_linear(100, 7, NULL));
    ck_assert_int_eq((int)mn_module_init(r.net, seed), MN_OK);
    r.sgd = mn_optim_sgd(r.net, 0.05, &(mn_optim_sgd_opts){.momentum = 0.9, .weight_decay = 1e-4});
    r.t = mn_tape_new(&(mn_tape_opts){.threads = threads});
    return r;
}

static double epoch(run *r)
{
    double loss_sum = 0;
    for (mn_batch b; mn_loader_next(r->batches, r->t, &b); mn_tape_reset(r->t)) {
        mn_tensor *loss =
            mn_cross_entropy(r->t, mn_module_forward(r->net, r->t, b.input), b.target, NULL);
        mn_optim_zero_grad(r->sgd);
        mn_backward(r->t, loss);
        mn_optim_clip_grad_norm(r->sgd, r->t, 5);
        mn_optim_step(r->sgd, r->t);
        loss_sum += mn_tensor_item(loss) * (double)b.size;
    }
    return loss_sum;
}

static void end(run *r)
{
    ck_assert_str_eq(mn_tape_message(r->t), "");
    mn_tape_free(r->t);
    mn_optim_free(r->sgd);
    mn_module_free(r->net);
    mn_loader_free(r->batches);
    mn_dataset_free(r->data);
    ck_assert_int_eq((int)mn_live_allocations(), 0);
}

START_TEST(a_steady_step_allocates_nothing)
{
    mn_allocator counting = {.allocate = counting_allocate, .release = counting_release};
    ck_assert_int_eq((int)mn_set_allocator(&counting), MN_OK);
    for (int threads = 1; threads <= 2; threads++) {
        run r = begin(threads, 1);
        epoch(&r), epoch(&r);
        ck_assert_int_gt(hooked, 0);
        long hooked_before = hooked, mallocs_before = count();
        for (int i = 0; i < 3; i++) epoch(&r);
        long hooked_after = hooked, mallocs_after = count(); /* Check itself allocates */
        ck_assert_int_eq(hooked_after, hooked_before);
        ck_assert_int_eq(mallocs_after, mallocs_before);
        end(&r);
    }
    ck_assert_int_eq((int)mn_set_allocator(NULL), MN_OK);
#if COUNTS_MALLOC
    ck_assert_int_gt(count(), 0); /* the counter counts */
#endif
}
END_TEST

/* The parameters' bits after two epochs. */
static void train(int threads, uint64_t seed, double *loss, float *bits, size_t n)
{
    run r = begin(threads, seed);
    *loss = epoch(&r);
    *loss += epoch(&r);
    mn_named_tensor named[16];
    int entries = mn_module_parameters(r.net, named, 16);
    size_t at = 0;
    for (int i = 0; i < entries; i++) {
        size_t count_i = (size_t)mn_tensor_numel(named[i].tensor);
        ck_assert(at + count_i <= n);
        memcpy(bits + at, mn_tensor_data(named[i].tensor), count_i * sizeof *bits);
        at += count_i;
    }
    ck_assert_uint_eq(at, (size_t)mn_module_numel(r.net));
    end(&r);
}

START_TEST(threads_do_not_change_a_bit)
{
    enum { N = 120000 };
    float *one = calloc(N, sizeof *one), *more = calloc(N, sizeof *more);
    double loss, other;
    train(1, 7, &loss, one, N);
    for (int threads = 2; threads <= 4; threads++) {
        train(threads, 7, &other, more, N);
        ck_assert(loss == other);
        ck_assert_int_eq(memcmp(one, more, N * sizeof *one), 0);
    }
    train(1, 8, &other, more, N); /* another seed does */
    ck_assert(loss != other);
    ck_assert_int_ne(memcmp(one, more, N * sizeof *one), 0);
    free(one), free(more);
}
END_TEST

START_TEST(training_lowers_the_loss)
{
    run r = begin(1, 3);
    double first = epoch(&r), last = 0;
    for (int i = 0; i < 60; i++) last = epoch(&r);
    ck_assert(last < 0.5 * first);
    end(&r);
}
END_TEST

START_TEST(lengths_that_vary_do_not_make_memory_grow)
{
    run r = begin(1, 1);
    size_t early = 0;
    mn_rng rng = mn_rng_make(1, 5);
    for (int step = 0; step < 1000; step++, mn_tape_reset(r.t)) {
        int64_t rows = 1 + (int64_t)mn_rng_below(&rng, 60);
        mn_tensor *x = mn_rand(r.t, MN_F32, 2, (int64_t[]){rows, 300}, &rng);
        mn_backward(r.t, mn_mean(r.t, mn_module_forward(r.net, r.t, x)));
        mn_tape_usage u = mn_tape_stats(r.t);
        if (step == 500) early = u.cached_bytes + u.live_bytes + u.arena_bytes;
        if (step == 999)
            ck_assert(u.cached_bytes + u.live_bytes + u.arena_bytes < early + early / 4);
    }
    end(&r);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a_steady_step_allocates_nothing, threads_do_not_change_a_bit,
                            training_lowers_the_loss, lengths_that_vary_do_not_make_memory_grow};
    return run_suite("training", tests, sizeof tests / sizeof *tests);
}
