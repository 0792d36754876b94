/*
 * rectifiers.c: the experiment of Xu, Wang, Chen, Li, "Empirical Evaluation of Rectified Activations in
 * Convolutional Network", 2015. One network, that of Lin, Chen, Yan, "Network in network", 2013, is
 * trained with each of five activations, from the same weights and on the same batches, for several
 * seeds: so a difference of errors is that of the activations, give or take the spread over the seeds.
 */
#include "arguments.h"
#include "plot.h"
#include "review.h"
#include "terminal.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MNIST, CIFAR10, POINTS = 5 };

typedef struct options {
    int data;
    const char *dir;
    int64_t limit, test; /* images; 0: all */
    int epochs, seeds, threads;
    int64_t batch_size;
    double lr, width, dropout;
    uint64_t seed;
    const char *plot; /* NULL: none */
    bool quick, quiet;
} options;

/* ---- the network ---- */

enum { RELU, LEAKY_100, LEAKY_5_5, PRELU, RRELU, KINDS };

static const struct {
    const char *name, *colour;
    double paper; /* test error on CIFAR-10, % */
} kinds[KINDS] = {
    [RELU] = {"ReLU", "#7f7f7f", 12.45},
    [LEAKY_100] = {"leaky ReLU, a = 100", "#2ca02c", 12.66},
    [LEAKY_5_5] = {"leaky ReLU, a = 5.5", "#ff7f0e", 11.20},
    [PRELU] = {"PReLU", "#1f77b4", 11.79},
    [RRELU] = {"RReLU, a ~ U(3, 8)", "#d62728", 11.19},
};

/* What is negative is divided by a; PReLU learns the slope of each channel. */
static mn_module *rectifier(int kind, int64_t channels)
{
    switch (kind) {
    case RELU:
        return mn_nn_relu(NULL);
    case LEAKY_100:
        return mn_nn_leaky_relu(1 / 100.0, NULL);
    case LEAKY_5_5:
        return mn_nn_leaky_relu(1 / 5.5, NULL);
    case PRELU:
        return mn_nn_prelu(channels, 0.25);
    default:
        return mn_nn_rrelu(3, 8, &(mn_nn_rrelu_opts){.divisor = true});
    }
}

/* Layers as they are put together. */
typedef struct stack {
    int kind, n;
    int64_t channels;
    double width;
    mn_module *layers[32];
} stack;

static void put(stack *s, mn_module *layer)
{
    s->layers[s->n++] = layer;
}

/* A convolution of the paper's number of channels, scaled, that keeps the size of the image. */
static void put_conv(stack *s, int paper_channels, int64_t kernel)
{
    int64_t channels = (int64_t)ceil(paper_channels * s->width), pad = kernel / 2;
    put(s, mn_nn_conv2d(s->channels, channels, kernel, &(mn_nn_conv_opts){.padding = {pad, pad}}));
    put(s, rectifier(s->kind, channels));
    s->channels = channels;
}

/* x: [N, channels, H, W] -> [N, classes]. The weights are He's, for a network without normalisation
 * that is nine layers deep; they depend on the seed, not on the kind. */
static mn_module *build_net(const options *o, int kind, int64_t channels, int64_t classes,
                            uint64_t seed)
{
    stack s = {.kind = kind, .channels = channels, .width = o->width};
    put_conv(&s, 192, 5);
    put_conv(&s, 160, 1);
    put_conv(&s, 96, 1);
    put(&s, mn_nn_max_pool2d(3, &(mn_nn_max_pool_opts){.stride = {2, 2}, .ceil_mode = true}));
    put(&s, mn_nn_dropout(o->dropout));
    put_conv(&s, 192, 5);
    put_conv(&s, 192, 1);
    put_conv(&s, 192, 1);
    put(&s, mn_nn_avg_pool2d(3, &(mn_nn_avg_pool_opts){.stride = {2, 2}, .ceil_mode = true}));
    put(&s, mn_nn_dropout(o->dropout));
    put_conv(&s, 192, 3);
    put_conv(&s, 192, 1);
    put(&s, mn_nn_conv2d(s.channels, classes, 1, NULL));
    put(&s, mn_nn_adaptive_avg_pool2d(1, 1));
    put(&s, mn_nn_flatten());
    mn_module *net = mn_nn_sequential_n(s.layers, s.n);
    mn_module_init(net, seed);
    mn_init he = mn_init_kaiming_normal(MN_FAN_IN, mn_init_gain(MN_NONLINEARITY_RELU, 0));
    mn_named_tensor p[64];
    int n = mn_module_parameters(net, p, 64);
    for (int i = 0; i < n; i++)
        if (mn_tensor_ndim(p[i].tensor) == 4) mn_module_init_matching(net, p[i].name, he, seed);
    return net;
}

/* ---- the command line ---- */

static const char help[] =
    "usage: rectifiers [OPTIONS]\n"
    "\n"
    "Trains one convolutional network with ReLU, leaky ReLU (a = 100 and 5.5), PReLU and RReLU,\n"
    "and compares their errors, as Xu et al. did on CIFAR-10 (2015).\n"
    "\n"
    "  --data NAME     mnist or cifar10 (mnist)\n"
    "  --dir DIR       where its files lie: the four of MNIST, or the binary version of CIFAR-10,\n"
    "                  unpacked (data/mnist)\n"
    "  --limit N       train on the first N images (2000; cifar10: all)\n"
    "  --test N        test on the first N images (all)\n"
    "  --epochs N      passes over the training images (25; cifar10: 100)\n"
    "  --batch-size N  images in one step (32; cifar10: 128)\n"
    "  --lr X          learning rate of the first step; it falls linearly to 0 (0.05)\n"
    "  --width X       channels of the network, as a share of the paper's (0.125; cifar10: 1)\n"
    "  --dropout X     behind both pools (0.2, as the narrow network needs less; cifar10: 0.5)\n"
    "  --seeds N       runs of each activation (3; cifar10: 1)\n"
    "  --seed N        of the first run: weights, order of images, dropout, slopes (1)\n"
    "  --threads N     threads that share the work (one for each processor, at most 4);\n"
    "                  the results are the same for every number\n"
    "  --plot FILE     draw the errors over the epochs with gnuplot, as FILE.svg or FILE.png\n"
    "  --quick         a small run that shows little: 800 images, 8 epochs, 1 seed\n"
    "  --quiet         print the last line only\n"
    "  --help          print this and end\n"
    "\n"
    "Ctrl-C ends the training; what is complete is compared all the same.\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage, 130 ended by Ctrl-C.\n";

/* What was not given is 0 until the data set is known. */
static void fill_defaults(options *o)
{
    const options defaults[] = {
        [MNIST] = {.limit = 2000,
                   .epochs = 25,
                   .batch_size = 32,
                   .width = 0.125,
                   .dropout = 0.2,
                   .seeds = 3},
        [CIFAR10] =
            {.limit = 0, .epochs = 100, .batch_size = 128, .width = 1, .dropout = 0.5, .seeds = 1},
    };
    options d = defaults[o->data];
    if (o->quick) {
        d.limit = 800;
        d.epochs = 8;
        d.batch_size = 16;
        d.seeds = 1;
        if (!o->test) o->test = 500;
    }
    if (!o->limit) o->limit = d.limit;
    if (!o->epochs) o->epochs = d.epochs;
    if (!o->batch_size) o->batch_size = d.batch_size;
    if (!(o->width > 0)) o->width = d.width;
    if (o->dropout < 0) o->dropout = d.dropout;
    if (!o->seeds) o->seeds = d.seeds;
}

static bool parse(options *o, int argc, char **argv, int *status)
{
    static const char *const names[] = {"mnist", "cifar10", NULL};
    *o = (options){
        .dir = "data/mnist", .lr = 0.05, .dropout = -1, .seed = 1, .threads = arguments_threads()};
    const argument table[] = {
        {"data", ARG_CHOICE, .value = &o->data, .choices = names},
        {"dir", ARG_FILE, .value = &o->dir},
        {"limit", ARG_INT64, .value = &o->limit, .low = 1, .high = 1e15},
        {"test", ARG_INT64, .value = &o->test, .low = 1, .high = 1e15},
        {"epochs", ARG_INT, .value = &o->epochs, .low = 1, .high = 10000},
        {"batch-size", ARG_INT64, .value = &o->batch_size, .low = 1, .high = 1000000},
        {"lr", ARG_NUMBER, .value = &o->lr, .low = 1e-12, .high = 1e6},
        {"width", ARG_NUMBER, .value = &o->width, .low = 0.005, .high = 10},
        {"dropout", ARG_NUMBER, .value = &o->dropout, .low = 0, .high = 0.99},
        {"seeds", ARG_INT, .value = &o->seeds, .low = 1, .high = 1000},
        {"seed", ARG_SEED, .value = &o->seed},
        {"threads", ARG_INT, .value = &o->threads, .low = 1, .high = 256},
        {"plot", ARG_PICTURE, .value = &o->plot},
        {"quick", ARG_FLAG, .value = &o->quick},
        {"quiet", ARG_FLAG, .value = &o->quiet},
    };
    if (!arguments_parse("rectifiers", help, table, sizeof table / sizeof *table, argc, argv,
                         status))
        return false;
    fill_defaults(o);
    return true;
}

/* ---- training ---- */

/* Errors in eval mode, %. */
typedef struct errors {
    double train, test;
} errors;

typedef struct experiment {
    const options *o;
    mn_dataset *train, *test;
    int64_t channels, classes;
    mn_tape *t;
    terminal out;
    errors *errors; /* [seeds, KINDS, epochs] */
    int complete;   /* seeds */
} experiment;

static errors *errors_of(const experiment *x, int seed, int kind, int epoch)
{
    return &x->errors[(seed * KINDS + kind) * x->o->epochs + epoch];
}

static void show_progress(experiment *x, int seed, int kind, double part, double loss)
{
    char head[64], tail[64];
    double runs = seed * KINDS + kind;
    snprintf(head, sizeof head, "seed %d/%d  %-19s", seed + 1, x->o->seeds, kinds[kind].name);
    snprintf(tail, sizeof tail, "loss %.4f", loss);
    terminal_bar(&x->out, head, tail, part, (runs + part) / (x->o->seeds * KINDS));
}

/* One epoch, until Ctrl-C. */
static void train_epoch(experiment *x, mn_module *net, mn_optim *sgd, mn_loader *batches, int seed,
                        int kind)
{
    mn_tape *t = x->t;
    int64_t steps = mn_loader_batches(batches) * x->o->epochs, step = 0;
    for (mn_batch b; !interrupted() && mn_loader_next(batches, t, &b); mn_tape_reset(t), step++) {
        double done = (double)(mn_loader_epoch(batches) * mn_loader_batches(batches) + step);
        mn_optim_set_lr(sgd, 0, x->o->lr * (1 - done / (double)steps));

        mn_tensor *loss = mn_cross_entropy(t, mn_module_forward(net, t, b.input), b.target, NULL);
        mn_optim_zero_grad(sgd);
        mn_backward(t, loss);
        mn_optim_step(sgd, t);

        if (!loss) continue;
        if (!isfinite(mn_tensor_item(loss)))
            mn_tape_fail(t, MN_ERR_STATE, "the loss is %g: a smaller --lr may help",
                         mn_tensor_item(loss));
        show_progress(x, seed, kind, (done + 1) / (double)steps, mn_tensor_item(loss));
    }
}

/* Errors are measured after the last epoch and POINTS - 1 of those before. */
static bool measured(const options *o, int epoch)
{
    return (epoch + 1) * POINTS / o->epochs > epoch * POINTS / o->epochs;
}

/* Trains with one kind of rectifier from one seed. */
static void train(experiment *x, int seed, int kind)
{
    const options *o = x->o;
    const uint64_t first = o->seed + (uint64_t)seed;
    double begun = seconds_now();
    mn_module *net = build_net(o, kind, x->channels, x->classes, first);
    mn_optim *sgd =
        mn_optim_sgd(net, o->lr, &(mn_optim_sgd_opts){.momentum = 0.9, .weight_decay = 1e-4});
    mn_loader *batches = mn_data_loader(x->train, o->batch_size,
                                        &(mn_data_loader_opts){.shuffle = true, .seed = first});
    mn_loader *train_batches = mn_data_loader(x->train, 250, NULL);
    mn_loader *test_batches = mn_data_loader(x->test, 250, NULL);
    errors *e = NULL;
    for (int epoch = 0; epoch < o->epochs && !interrupted() && !mn_tape_error(x->t); epoch++) {
        train_epoch(x, net, sgd, batches, seed, kind);
        if (!measured(o, epoch)) continue;
        e = errors_of(x, seed, kind, epoch);
        e->train = 100 * (1 - evaluate(net, train_batches, x->t, NULL).accuracy);
        e->test = 100 * (1 - evaluate(net, test_batches, x->t, NULL).accuracy);
    }
    if (!o->quiet && !interrupted() && !mn_tape_error(x->t)) {
        printf("%sseed %" PRIu64 "  %-19s  training %5.2f %%  test %s%5.2f %%%s  %.1f s\n",
               terminal_clear(&x->out), first, kinds[kind].name, e->train, bold(&x->out), e->test,
               plain(&x->out), seconds_now() - begun);
        fflush(stdout);
    }
    mn_loader_free(test_batches);
    mn_loader_free(train_batches);
    mn_loader_free(batches);
    mn_optim_free(sgd);
    mn_module_free(net);
}

/* ---- what came of it ---- */

typedef struct estimate {
    double mean, deviation; /* of a sample */
} estimate;

/* Over the complete seeds, of the errors after the last epoch; less those of ReLU, when asked. */
static estimate over_seeds(const experiment *x, int kind, bool test, bool to_relu)
{
    double sum = 0, squares = 0, n = x->complete;
    for (int pass = 0; pass < 2; pass++)
        for (int seed = 0; seed < x->complete; seed++) {
            const errors *e = errors_of(x, seed, kind, x->o->epochs - 1);
            const errors *relu = errors_of(x, seed, RELU, x->o->epochs - 1);
            double value = test ? e->test : e->train;
            if (to_relu) value -= test ? relu->test : relu->train;
            if (pass == 0)
                sum += value / n;
            else
                squares += (value - sum) * (value - sum);
        }
    return (estimate){sum, n > 1 ? sqrt(squares / (n - 1)) : 0};
}

static void print_order(const char *title, const double *values)
{
    bool told[KINDS] = {false};
    printf("%s", title);
    for (int i = 0; i < KINDS; i++) {
        int best = -1;
        for (int k = 0; k < KINDS; k++)
            if (!told[k] && (best < 0 || values[k] < values[best])) best = k;
        told[best] = true;
        printf("%s%s", i ? " < " : " ", kinds[best].name);
    }
    putchar('\n');
}

static void print_table(const experiment *x)
{
    const terminal *out = &x->out;
    double n = x->complete, here[KINDS], paper[KINDS];
    printf("\n%s%-22s%-18s%-18s%-20s%s%s\n", bold(out), "", "training error, %", "test error, %",
           "less ReLU's, points", "Xu et al., CIFAR-10", plain(out));
    for (int k = 0; k < KINDS; k++) {
        estimate train = over_seeds(x, k, false, false), test = over_seeds(x, k, true, false);
        estimate less = over_seeds(x, k, true, true);
        printf("%-20s  %6.2f ± %-7.2f  %6.2f ± %-7.2f", kinds[k].name, train.mean, train.deviation,
               test.mean, test.deviation);
        if (k == RELU)
            printf("%20s", "");
        else
            printf("  %+6.2f ± %-6.2f    ", less.mean, less.deviation / sqrt(n));
        printf("%8.2f\n", kinds[k].paper);
        here[k] = test.mean;
        paper[k] = kinds[k].paper;
    }
    printf("±: standard deviation over %d seed%s; of the differences, taken seed by seed: standard "
           "error\n\n",
           x->complete, x->complete == 1 ? "" : "s");
    print_order("here: ", here);
    print_order("paper:", paper);
}

/* Whether a difference to ReLU is more than chance: two standard errors. */
static void print_verdict(const experiment *x)
{
    int clear = 0;
    double n = x->complete;
    for (int k = LEAKY_100; k < KINDS && n > 1; k++) {
        estimate less = over_seeds(x, k, true, true);
        if (fabs(less.mean) <= 2 * less.deviation / sqrt(n)) continue;
        printf("%s is %s than ReLU by more than two standard errors\n", kinds[k].name,
               less.mean < 0 ? "better" : "worse");
        clear++;
    }
    if (!clear)
        puts(n > 1 ? "no difference to ReLU is larger than two standard errors"
                   : "one seed does not tell differences from chance");
    putchar('\n');
}

/* Mean errors after each epoch. */
static bool draw(const experiment *x)
{
    FILE *gnuplot = plot_begin(x->o->plot, 1000, 480);
    for (int k = 0; k < KINDS && gnuplot; k++) {
        fprintf(gnuplot, "$kind%d << EOD\n", k);
        for (int i = 0; i < x->o->epochs; i++) {
            errors mean = {0, 0};
            if (!measured(x->o, i)) continue;
            for (int seed = 0; seed < x->complete; seed++) {
                mean.train += errors_of(x, seed, k, i)->train / x->complete;
                mean.test += errors_of(x, seed, k, i)->test / x->complete;
            }
            fprintf(gnuplot, "%d %g %g\n", i + 1, mean.train, mean.test);
        }
        fputs("EOD\n", gnuplot);
    }
    if (gnuplot)
        fprintf(gnuplot,
                "set multiplot layout 1,2 title 'mean of %d seed%s'\n"
                "set xlabel 'epoch'\n"
                "set logscale y\n",
                x->complete, x->complete == 1 ? "" : "s");
    for (int test = 0; test < 2 && gnuplot; test++) {
        fprintf(gnuplot, "set ylabel '%s error, %%'\nplot", test ? "test" : "training");
        for (int k = 0; k < KINDS; k++)
            fprintf(
                gnuplot,
                "%s $kind%d using 1:%d with linespoints lw 2 pt 7 ps 0.5 lc rgb '%s' title '%s'",
                k ? "," : "", k, 2 + test, kinds[k].colour, kinds[k].name);
        fputc('\n', gnuplot);
    }
    if (gnuplot) fputs("unset multiplot\n", gnuplot);
    return plot_end("rectifiers", x->o->plot, gnuplot);
}

/* ---- the program ---- */

static bool load(experiment *x)
{
    const options *o = x->o;
    mn_dataset *(*open)(const char *, mn_data_split) =
        o->data == CIFAR10 ? mn_data_cifar10 : mn_data_mnist;
    int64_t shape[MN_MAX_DIMS];
    x->train = open(o->dir, MN_SPLIT_TRAIN);
    if (x->train) x->test = open(o->dir, MN_SPLIT_TEST);
    if (!x->test) {
        fprintf(stderr, "rectifiers: %s\n", mn_last_message());
        return false;
    }
    x->classes = mn_dataset_classes(x->train);
    mn_dataset_input_shape(x->train, shape);
    x->channels = shape[0];
    if (o->limit) x->train = mn_data_head(x->train, o->limit);
    if (o->test) x->test = mn_data_head(x->test, o->test);
    x->t = mn_tape_new(&(mn_tape_opts){.threads = o->threads});
    x->errors = calloc((size_t)o->seeds * KINDS * (size_t)o->epochs, sizeof *x->errors);
    if (x->errors && x->t) return true;
    fprintf(stderr, "rectifiers: out of memory\n");
    return false;
}

static void print_setup(const experiment *x)
{
    const options *o = x->o;
    mn_module *net = build_net(o, RELU, x->channels, x->classes, 1);
    printf("data   %s: %s training and %s test images\n", o->dir,
           grouped(mn_dataset_size(x->train)).text, grouped(mn_dataset_size(x->test)).text);
    printf("net    network in network of %g times its width, dropout %g: %s parameters\n", o->width,
           o->dropout, grouped(mn_module_numel(net)).text);
    printf("train  %d epoch%s, batch %" PRId64
           ", learning rate %g falling to 0, momentum 0.9, weight decay 1e-4\n",
           o->epochs, o->epochs == 1 ? "" : "s", o->batch_size, o->lr);
    printf("       %d seed%s from %" PRIu64 " on, %d thread%s, minnow %s\n\n", o->seeds,
           o->seeds == 1 ? "" : "s", o->seed, o->threads, o->threads == 1 ? "" : "s", MN_VERSION);
    fflush(stdout);
    mn_module_free(net);
}

static int run(experiment *x)
{
    const options *o = x->o;
    int status = 0;
    if (!o->quiet) print_setup(x);
    x->out = terminal_begin(o->quiet);
    while (x->complete < o->seeds && !interrupted() && !mn_tape_error(x->t)) {
        for (int k = 0; k < KINDS; k++) train(x, x->complete, k);
        if (!interrupted()) x->complete++;
    }
    if (!o->quiet) fputs(terminal_clear(&x->out), stdout);
    if (mn_tape_error(x->t)) {
        fflush(stdout);
        fprintf(stderr, "rectifiers: %s\n", mn_tape_message(x->t));
        return 1;
    }
    if (x->complete == 0) {
        puts("test error unknown: no seed was completed");
        return 130;
    }
    if (!o->quiet) print_table(x);
    if (!o->quiet) print_verdict(x);
    if (o->plot && !draw(x)) status = 1;
    printf("test error %.2f %% with RReLU, %.2f %% with ReLU\n",
           over_seeds(x, RRELU, true, false).mean, over_seeds(x, RELU, true, false).mean);
    return interrupted() ? 130 : status;
}

int main(int argc, char **argv)
{
    options o;
    experiment x = {.o = &o};
    int status;
    if (!parse(&o, argc, argv, &status)) return status;
    if (o.plot && !plot_possible("rectifiers", o.plot)) return 1;
    catch_interrupt();
    status = load(&x) ? run(&x) : 1;
    free(x.errors);
    mn_tape_free(x.t);
    mn_dataset_free(x.test);
    mn_dataset_free(x.train);
    return end_program("rectifiers", status);
}
