/*
 * costs.c: what a node, a start and a run cost, and how time and memory grow. Starts and memory are those
 * of a process of its own: this program, called with --steps.
 */
#define _POSIX_C_SOURCE 200809L
#include "costs.h"
#include "bench.h"
#include "report.h"
#include <math.h>
#include <minnow/minnow.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_TRIES = 51 };

static const work small_mlp = {.label = "MLP", .net = "mlp", .n = 64};

/* ---- a process of its own ---- */

/* KiB, from Linux's /proc; 0 elsewhere. */
static long peak_memory(void)
{
    char line[256];
    long size = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && !size && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &size) != 1) size = 0;
    if (status) fclose(status);
    return size;
}

int costs_steps(int steps)
{
    contender c = contender_minnow();
    if (c.open(&c, &small_mlp, 1) != OPEN_READY) return EXIT_FAILURE;
    bool fine = !isnan(c.run(&c, 1));
    const double after = now_ns();
    fine = fine && !isnan(c.run(&c, steps - 1));
    printf("%.0f %ld\n", after, peak_memory());
    c.close(&c);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Runs `self --steps N`: the nanoseconds until its first step was done, and its peak memory. */
static bool train_apart(const char *self, int steps, double *first_ns, double *peak_kib)
{
    char number[16];
    snprintf(number, sizeof number, "%d", steps);
    char *argv[] = {(char[]){"bench"}, (char[]){"--steps"}, number, NULL};
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe(ends)) return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    const double start = now_ns();
    const bool started = posix_spawnp(&pid, self, &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);

    char line[64] = "";
    ssize_t length = 0, more;
    while (started && (more = read(ends[0], line + length, sizeof line - 1 - (size_t)length)) > 0)
        length += more;
    close(ends[0]);
    int status = EXIT_FAILURE;
    if (started) waitpid(pid, &status, 0);
    double after;
    if (status != 0 || sscanf(line, "%lf %lf", &after, peak_kib) != 2) {
        fprintf(stderr, "bench: %s --steps %d did not work\n", self, steps);
        return false;
    }
    *first_ns = after - start;
    return true;
}

/* ---- this one ---- */

/* The median time of f(n), in nanoseconds, of as many runs behind the first as fill a third of a
 * second; NAN when one failed. */
static double typical(double (*f)(int64_t n), int64_t n, bool quick)
{
    double times[MAX_TRIES], sum = 0;
    int tries = 0;
    const int least = quick ? 1 : 3;
    f(n);
    while (tries < least || (!quick && tries < MAX_TRIES && sum < 3e8)) {
        times[tries] = f(n);
        if (isnan(times[tries])) return NAN;
        sum += times[tries++];
    }
    return median(times, tries);
}

/* x = a x + b over and over, n ops on single numbers, forward and backward. The tape stays, as it does
 * in training. */
static mn_tape *chain_tape;

static double chain(int64_t n)
{
    mn_tape *t = chain_tape;
    mn_tensor *a = mn_parameter(MN_F32, 0, NULL), *b = mn_parameter(MN_F32, 0, NULL), *x = a;
    float *values[] = {mn_tensor_mutable_data(a), mn_tensor_mutable_data(b)};
    for (int i = 0; i < 2; i++)
        if (values[i]) *values[i] = 1;
    const double start = now_ns();
    for (int64_t i = 0; i < n / 2; i++) x = mn_add(t, mn_mul(t, x, a), b);
    mn_backward(t, x);
    mn_tape_reset(t);
    const double time = now_ns() - start;
    mn_release(a);
    mn_release(b);
    return mn_tape_error(t) ? NAN : time;
}

/* Of a chain of n ops, in nanoseconds. */
static double chain_time(int64_t n, bool quick)
{
    chain_tape = mn_tape_new(NULL);
    const double time = typical(chain, n, quick);
    mn_tape_free(chain_tape);
    return time;
}

static struct {
    mn_tape *tape;
    mn_module *net;
    mn_optim *sgd;
    mn_loader *loader;
} trainer;

/* One epoch of the MLP. */
static double epoch(int64_t n)
{
    (void)n;
    const double start = now_ns();
    mn_tape *t = trainer.tape;
    for (mn_batch batch; mn_loader_next(trainer.loader, t, &batch);) {
        mn_tensor *y = mn_module_forward(trainer.net, t, batch.input);
        mn_tensor *loss = mn_cross_entropy(t, y, batch.target, NULL);
        mn_optim_zero_grad(trainer.sgd);
        mn_backward(t, loss);
        mn_optim_step(trainer.sgd, t);
        mn_tape_reset(t);
    }
    return mn_tape_error(t) ? NAN : now_ns() - start;
}

/* Of an epoch over n samples in batches of 64, in nanoseconds. */
static double epoch_time(int64_t n, bool quick)
{
    mn_tensor *x = mn_tensor_empty(MN_F32, 2, (int64_t[]){n, MLP_IN});
    mn_tensor *y = mn_tensor_empty(MN_I64, 1, &n);
    if (x && y) {
        synth_uniform(mn_tensor_mutable_data(x), n * MLP_IN, SEED_X, 0, 1);
        synth_labels(mn_tensor_mutable_data(y), n);
    }
    mn_dataset *data = mn_data_tensors(x, y);
    trainer.loader = mn_data_loader(data, 64, &(mn_data_loader_opts){.shuffle = true});
    trainer.tape = mn_tape_new(NULL);
    trainer.net = mn_nn_sequential(mn_nn_linear(MLP_IN, MLP_HIDDEN, NULL), mn_nn_relu(NULL),
                                   mn_nn_linear(MLP_HIDDEN, CLASSES, NULL));
    mn_module_init(trainer.net, 1);
    trainer.sgd = mn_optim_sgd(trainer.net, SGD_LR, NULL);
    const double time = typical(epoch, n, quick);
    mn_optim_free(trainer.sgd);
    mn_module_free(trainer.net);
    mn_tape_free(trainer.tape);
    mn_loader_free(trainer.loader);
    mn_dataset_free(data);
    mn_release(x);
    mn_release(y);
    return time;
}

/* ---- reports ---- */

/* Bytes of the shared library without symbols; 0 where it was not built or there is no strip. */
static long library_size(void)
{
    static const char command[] = "lib='" MINNOW_BENCH_LIBRARY "'; [ -f \"$lib\" ] && "
                                  "copy=$(mktemp) && strip -o \"$copy\" \"$lib\" 2>/dev/null && "
                                  "wc -c <\"$copy\"; rm -f \"$copy\"";
    long size = 0;
    FILE *f = popen(command, "r");
    if (f && fscanf(f, "%ld", &size) != 1) size = 0;
    if (f) pclose(f);
    return size;
}

static void say_cost(const char *what, double value, const char *unit)
{
    if (value > 0)
        say("| %-66s | %8.*f %-3s |\n", what, value < 100 ? 1 : 0, value, unit);
    else
        say("| %-66s | %12s |\n", what, "-");
}

bool report_costs(const char *self, bool quick)
{
    double starts[MAX_TRIES], peak = 0;
    const int tries = quick ? 2 : 21;
    for (int i = 0; i < tries; i++)
        if (!train_apart(self, 100, &starts[i], &peak)) return false;

    say("\n## Costs\n\n| %-66s | %12s |\n|%.68s|%.14s|\n", "minnow, 1 thread", "",
        "--------------------------------------------------------------------", "--------------");
    for (int64_t n = 1000; n <= 1000000; n *= n == 1000 ? 10 : 100) {
        char what[96];
        snprintf(what, sizeof what, "an op on a single number, there and back, in a graph of %lld",
                 (long long)n);
        const double time = chain_time(n, quick);
        if (isnan(time)) {
            fprintf(stderr, "bench: minnow: a chain of %lld ops failed\n", (long long)n);
            return false;
        }
        say_cost(what, time / (double)n, "ns");
    }
    say_cost("start of a process to the end of its first step (MLP, batch 64)",
             median(starts, tries) / 1e6, "ms");
    say_cost("peak resident memory of that process in 100 steps", peak / 1024, "MiB");
    say_cost("shared library, stripped", (double)library_size() / 1024, "KiB");
    return true;
}

/* each: the unit of y over x; NULL: that means nothing. */
static void say_curve(const curve *c, const char *each, double scale)
{
    say("\n| %-10s | %12s | %14s |\n|%.11s:|%.13s:|%.15s:|\n", c->x_name, c->y_name,
        each ? each : "", "-----------", "-------------", "---------------");
    for (int i = 0; i < c->n; i++) {
        say("| %10.0f | %12.4g ", c->x[i], c->y[i]);
        if (each)
            say("| %14.4g |\n", c->y[i] / c->x[i] * scale);
        else
            say("| %14s |\n", "");
    }
}

bool report_growth(const char *self, bool quick)
{
    curve all[] = {{.title = "an epoch of the MLP, batch 64", .x_name = "samples", .y_name = "ms"},
                   {.title = "forward and backward of a chain", .x_name = "nodes", .y_name = "us"},
                   {.title = "peak memory of training", .x_name = "steps", .y_name = "MiB"}};
    curve *samples = &all[0], *nodes = &all[1], *steps = &all[2];
    bool fine = true;
    for (int64_t n = 1024; fine && n <= (quick ? 4096 : 65536); n *= 4) {
        const double time = epoch_time(n, quick);
        samples->x[samples->n] = (double)n;
        samples->y[samples->n++] = time / 1e6;
        fine = !isnan(time);
    }
    for (int64_t n = 100; fine && n <= (quick ? 10000 : 1000000); n *= 10) {
        const double time = chain_time(n, quick);
        nodes->x[nodes->n] = (double)n;
        nodes->y[nodes->n++] = time / 1e3;
        fine = !isnan(time);
    }
    if (!fine) fprintf(stderr, "bench: minnow: a run of growing size failed\n");
    for (int n = 1; fine && n <= (quick ? 100 : 10000); n *= 10) {
        double first, peak = 0;
        fine = train_apart(self, n, &first, &peak);
        steps->x[steps->n] = n;
        steps->y[steps->n++] = peak / 1024;
    }
    if (!fine) return false;
    say("\n## Growth, 1 thread\n");
    say_curve(samples, "us each", 1e3);
    say_curve(nodes, "ns each", 1e3);
    say_curve(steps, NULL, 1);
    if (steps->y[0] > 0) plot_curves("growth.svg", all, 3);
    return true;
}
