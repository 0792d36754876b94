/*
 * mnist.c: trains a network on MNIST, or any data set in its layout, and reports how well it does on
 * images it has never seen. train() is the part to read; the files beside it take care of the command
 * line (options.c), the evaluation (review.c), the CSV file and curves (history.c, plot.c) and what
 * the terminal shows (report.c).
 */
#define _DEFAULT_SOURCE /* access */
#include "history.h"
#include "options.h"
#include "plot.h"
#include "report.h"
#include <inttypes.h>
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct data {
    mn_dataset *train, *test;
    int64_t all_samples; /* for training, before --limit */
    int64_t height, width, classes;
} data;

/* ---- the networks ---- */

static mn_module *activation_module(const options *o)
{
    switch (o->activation) {
    case RELU:
        return mn_nn_relu(NULL);
    case LEAKY_RELU:
        return mn_nn_leaky_relu(0.01, NULL);
    case PRELU:
        return mn_nn_prelu(1, 0.25);
    case SIGMOID:
        return mn_nn_sigmoid();
    case TANH:
        return mn_nn_tanh();
    default:
        return mn_nn_rrelu(o->lower, o->upper, NULL);
    }
}

static mn_module *build_mlp(const options *o, const data *d)
{
    mn_module *layers[2 + 2 * MAX_HIDDEN];
    int64_t features = d->height * d->width;
    int n = 0;
    layers[n++] = mn_nn_flatten();
    for (int i = 0; i < o->n_hidden; i++) {
        layers[n++] = mn_nn_linear(features, o->hidden[i], NULL);
        layers[n++] = activation_module(o);
        features = o->hidden[i];
    }
    layers[n++] = mn_nn_linear(features, d->classes, NULL);
    return mn_nn_sequential_n(layers, n);
}

/* Each convolution is followed by what halves the image: so the layers behind it have a quarter of the
 * work, and the maximum does not mind what comes first, as long as that is monotonic. */
static mn_module *build_cnn(const options *o, const data *d)
{
    static const int64_t channels[] = {1, 16, 32, 64}, kernels[] = {5, 3, 3};
    mn_module *layers[14];
    int n = 0;
    for (int i = 0; i < 3; i++) {
        layers[n++] = mn_nn_conv2d(channels[i], channels[i + 1], kernels[i],
                                   &(mn_nn_conv_opts){.padding_same = true});
        layers[n++] = mn_nn_max_pool2d(2, NULL);
        layers[n++] = mn_nn_batch_norm2d(channels[i + 1], NULL);
        layers[n++] = activation_module(o);
    }
    layers[n++] = mn_nn_flatten();
    layers[n++] = mn_nn_linear(64 * (d->height / 8) * (d->width / 8), d->classes, NULL);
    return mn_nn_sequential_n(layers, n);
}

/* ---- the data ---- */

/* The file of that name in the data directory as it was read: plain, or compressed. */
static const char *data_file(const options *o, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", o->data, name);
    if (access(path, R_OK)) snprintf(path, size, "%s/%s.gz", o->data, name);
    return path;
}

/* A label that the other split does not come near is a damaged byte or another data set's. */
static bool labels_agree(const data *d, const options *o)
{
    int64_t train = mn_dataset_classes(d->train) - 1, test = mn_dataset_classes(d->test) - 1;
    bool in_train = train > test;
    char path[4200];
    if (train == test) return true;
    fprintf(stderr,
            "mnist: %s: label %" PRId64 " is out of range: those of the %s images end at %" PRId64
            "\n",
            data_file(o, in_train ? "train-labels-idx1-ubyte" : "t10k-labels-idx1-ubyte", path,
                      sizeof path),
            in_train ? train : test, in_train ? "test" : "training", in_train ? test : train);
    return false;
}

/* What the options ask of the images. */
static bool images_fit(const data *d, const options *o)
{
    int64_t side = d->height < d->width ? d->height : d->width;
    if (o->model == CNN && side < 8)
        fprintf(stderr, "mnist: --model cnn needs images of at least 8 x 8");
    else if (o->shift >= side)
        fprintf(stderr, "mnist: --shift %" PRId64 " leaves nothing of some images", o->shift);
    else
        return true;
    fprintf(stderr, ", these are %" PRId64 " x %" PRId64 "\n", d->height, d->width);
    return false;
}

/* Loads both splits and makes sure that they belong together; false after one line on stderr. */
static bool load_data(data *d, const options *o)
{
    int64_t shape[MN_MAX_DIMS] = {0}, test_shape[MN_MAX_DIMS] = {0};
    char path[4200];
    d->train = mn_data_mnist(o->data, MN_SPLIT_TRAIN);
    if (d->train) d->test = mn_data_mnist(o->data, MN_SPLIT_TEST);
    if (!d->test) {
        fprintf(stderr, "mnist: %s\n", mn_last_message());
        return false;
    }
    mn_dataset_input_shape(d->train, shape);
    mn_dataset_input_shape(d->test, test_shape);
    d->height = shape[1];
    d->width = shape[2];
    d->classes = mn_dataset_classes(d->train);
    d->all_samples = mn_dataset_size(d->train);
    if (memcmp(shape, test_shape, sizeof shape)) {
        fprintf(stderr,
                "mnist: %s: images are %" PRId64 " x %" PRId64 ", those for training %" PRId64
                " x %" PRId64 "\n",
                data_file(o, "t10k-images-idx3-ubyte", path, sizeof path), test_shape[1],
                test_shape[2], d->height, d->width);
        return false;
    }
    if (!labels_agree(d, o) || !images_fit(d, o)) return false;
    if (o->limit) d->train = mn_data_head(d->train, o->limit);
    return true;
}

/* ---- training ---- */

typedef struct trainer {
    const options *o;
    mn_module *net;
    mn_optim *sgd;
    mn_loader *batches, *train_batches, *test_batches; /* shuffled; in order, to evaluate */
    mn_rng rng;                                        /* of the shifts */
    mn_tape *t;
    report report;
    history history;
} trainer;

/* All images moved alike, a random number of pixels each way; what they leave is dark. */
static mn_tensor *moved(trainer *s, mn_tensor *images)
{
    uint64_t n = (uint64_t)s->o->shift;
    if (n == 0) return images;
    int64_t right = (int64_t)mn_rng_below(&s->rng, 2 * n + 1) - s->o->shift;
    int64_t down = (int64_t)mn_rng_below(&s->rng, 2 * n + 1) - s->o->shift;
    return mn_pad(s->t, images, (int64_t[]){right, -right, down, -down}, 4, MN_PAD_CONSTANT, 0);
}

/* One pass over the training images, until Ctrl-C. */
static void train_epoch(trainer *s, progress *p, score *sum)
{
    mn_tape *t = s->t;
    int64_t steps = p->batches * s->o->epochs, done = p->batches * (p->epoch - 1);
    double begun = seconds_now(), loss_sum = 0;
    for (mn_batch b; !interrupted() && mn_loader_next(s->batches, t, &b); mn_tape_reset(t)) {
        mn_optim_set_lr(s->sgd, 0, s->o->lr * (1 - (double)(done + p->batch) / (double)steps));

        mn_tensor *logits = mn_module_forward(s->net, t, moved(s, b.input));
        mn_tensor *loss = mn_cross_entropy(t, logits, b.target, NULL);
        mn_optim_zero_grad(s->sgd);
        mn_backward(t, loss);
        mn_optim_step(s->sgd, t);

        mn_tensor *right = mn_sum(t, mn_eq(t, mn_argmax_dim(t, logits, 1, false), b.target));
        if (!right) continue;
        double batch_loss = mn_tensor_item(loss);
        if (!isfinite(batch_loss))
            mn_tape_fail(t, MN_ERR_STATE, "the loss is %g in epoch %d: a smaller --lr may help",
                         batch_loss, p->epoch);
        p->batch++;
        sum->samples += b.size;
        sum->wrong += b.size - (int64_t)mn_tensor_item(right);
        loss_sum += batch_loss * (double)b.size;
        sum->loss = loss_sum / (double)sum->samples;
        sum->accuracy = 1 - (double)sum->wrong / (double)sum->samples;
        p->images_per_second = (double)sum->samples / (seconds_now() - begun);
        report_progress(&s->report, p);
    }
}

/* False after one line on stderr; what stopped the training otherwise is in the tape. */
static bool train(trainer *s)
{
    for (int k = 1; k <= s->o->epochs && !interrupted() && !mn_tape_error(s->t); k++) {
        epoch e = {.lr = s->o->lr * (1 - (k - 1.0) / s->o->epochs)};
        progress p = {.epoch = k, .batches = mn_loader_batches(s->batches), .train = &e.train};
        double begun = seconds_now();
        train_epoch(s, &p, &e.train);
        if (p.batch < p.batches) {
            if (interrupted()) report_stopped(&s->report, &p);
            return true;
        }
        e.test = evaluate(s->net, s->test_batches, s->t, NULL);
        e.seconds = seconds_now() - begun;
        if (mn_tape_error(s->t)) return true;
        report_epoch(&s->report, &p, &e);
        if (!history_add(&s->history, e)) return false;
    }
    return true;
}

/* Trains, then says how well the net does. Returns the program's status. */
static int run(trainer *s, review *v, int64_t all_samples)
{
    const options *o = s->o;
    if (!train(s)) return 1;
    score train_score = {0};
    if (!o->quiet) train_score = evaluate(s->net, s->train_batches, s->t, NULL);
    score test_score = evaluate(s->net, s->test_batches, s->t, v);
    if (mn_tape_error(s->t)) {
        if (s->report.t.bar) putchar('\n');
        fflush(stdout);
        fprintf(stderr, "mnist: %s\n", mn_tape_message(s->t));
        return 1;
    }
    int status = interrupted() ? 130 : 0;
    report_summary(&s->report, &train_score, &test_score, v, all_samples);
    if (o->plot && !s->history.n)
        fprintf(stderr, "mnist: '%s' was not drawn: no epoch was completed\n", o->plot);
    if (o->plot && s->history.n) {
        char title[300];
        report_net(title, sizeof title, o, v);
        if (!history_plot(&s->history, o->plot, title)) status = 1;
    }
    report_accuracy(&test_score);
    return status;
}

static int prepare_and_run(const options *o, const data *d)
{
    trainer s = {.o = o, .report = report_begin(o)};
    review v;
    int status = 1;
    if (!review_init(&v, d->height, d->width, d->classes)) {
        fprintf(stderr, "mnist: out of memory\n");
    } else if (history_open(&s.history, o->epochs, o->csv)) {
        s.net = o->model == CNN ? build_cnn(o, d) : build_mlp(o, d);
        mn_module_init(s.net, o->seed);
        s.rng = mn_rng_make(o->seed, mn_rng_stream("shift"));
        s.sgd = mn_optim_sgd(s.net, o->lr, &(mn_optim_sgd_opts){.momentum = 0.9});
        s.batches = mn_data_loader(d->train, o->batch_size,
                                   &(mn_data_loader_opts){.shuffle = true, .seed = o->seed});
        s.train_batches = mn_data_loader(d->train, 500, NULL);
        s.test_batches = mn_data_loader(d->test, 500, NULL);
        s.t = mn_tape_new(&(mn_tape_opts){.threads = o->threads});
        report_setup(&s.report, &v, mn_dataset_size(d->train), mn_dataset_size(d->test),
                     mn_module_numel(s.net));
        status = run(&s, &v, d->all_samples);
    }
    mn_tape_free(s.t);
    mn_loader_free(s.test_batches);
    mn_loader_free(s.train_batches);
    mn_loader_free(s.batches);
    mn_optim_free(s.sgd);
    mn_module_free(s.net);
    history_close(&s.history);
    review_free(&v);
    return status;
}

int main(int argc, char **argv)
{
    options o;
    data d = {0};
    int status;
    if (!options_parse(&o, argc, argv, &status)) return status;
    status = 1;

    catch_interrupt();
    if ((!o.plot || plot_possible("mnist", o.plot)) && load_data(&d, &o))
        status = prepare_and_run(&o, &d);
    mn_dataset_free(d.test);
    mn_dataset_free(d.train);
    return end_program("mnist", status);
}
