/*
 * vae.c: a variational autoencoder (Kingma, Welling, "Auto-encoding variational Bayes", 2014) learns what
 * handwritten digits look like, and draws new ones. An image x is taken as drawn pixel by pixel, black or
 * white, from probabilities that a decoder makes of a few hidden numbers z; an encoder guesses which z. Both
 * maximise a lower bound of ln p(x), the ELBO:
 *
 *     E [ln p(x | z)] - KL(q(z | x) || N(0, 1)),  q(z | x) = N(mean, e^log_variance)
 *
 * negative_elbo() is the part to read. Whenever an image is used, its grey pixels are drawn anew as black
 * or white, as Burda et al. ("Importance weighted autoencoders", 2016) and many others do. Test ELBO for
 * seeds 1 to 3: -98.5, -98.4, -98.7; of the same model, trained in the same way, in PyTorch: -98.6.
 */
#include "arguments.h"
#include "picture.h"
#include "terminal.h"
#include <inttypes.h>
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>

typedef struct options {
    int epochs;
    int64_t batch_size, hidden, latent, limit;
    double lr;
    uint64_t seed;
    int threads;
    const char *data, *picture; /* no picture: NULL */
    bool quiet;
} options;

static const char help[] =
    "usage: vae [OPTIONS]\n"
    "\n"
    "Trains a variational autoencoder on MNIST, prints its bound of the log likelihood (ELBO, in\n"
    "nats for each image) and draws digits that nobody has written.\n"
    "\n"
    "  --epochs N      passes over the training images (20)\n"
    "  --batch-size N  images in one step (128)\n"
    "  --lr X          learning rate of the first step; it falls linearly to 0 (0.003)\n"
    "  --hidden N      size of the hidden layers (400)\n"
    "  --latent N      hidden numbers that stand for an image (20)\n"
    "  --limit N       train on the first N images only\n"
    "  --seed N        of the weights, the order of the images and all that is drawn (1)\n"
    "  --threads N     threads that share the work (one for each processor, at most 4);\n"
    "                  the results are the same for every number\n"
    "  --data DIR      where MNIST's four files lie (data/mnist)\n"
    "  --picture FILE  write images, their reconstructions and new digits as FILE.png\n"
    "  --quiet         print the last line only\n"
    "  --help          print this and end\n"
    "\n"
    "Ctrl-C ends the training after the current batch.\n"
    "Exit status: 0 done, 1 bad input, 2 wrong usage, 130 ended by Ctrl-C.\n";

static bool parse(options *o, int argc, char **argv, int *status)
{
    *o = (options){.epochs = 20,
                   .batch_size = 128,
                   .hidden = 400,
                   .latent = 20,
                   .lr = 0.003,
                   .seed = 1,
                   .threads = arguments_threads(),
                   .data = "data/mnist"};
    const argument table[] = {
        {"epochs", ARG_INT, .value = &o->epochs, .low = 1, .high = 100000},
        {"batch-size", ARG_INT64, .value = &o->batch_size, .low = 1, .high = 1000000},
        {"lr", ARG_NUMBER, .value = &o->lr, .low = 1e-12, .high = 1e6},
        {"hidden", ARG_INT64, .value = &o->hidden, .low = 1, .high = 65536},
        {"latent", ARG_INT64, .value = &o->latent, .low = 1, .high = 65536},
        {"limit", ARG_INT64, .value = &o->limit, .low = 1, .high = 1e15},
        {"seed", ARG_SEED, .value = &o->seed},
        {"threads", ARG_INT, .value = &o->threads, .low = 1, .high = 256},
        {"data", ARG_FILE, .value = &o->data},
        {"picture", ARG_PNG, .value = &o->picture},
        {"quiet", ARG_FLAG, .value = &o->quiet},
    };
    return arguments_parse("vae", help, table, sizeof table / sizeof *table, argc, argv, status);
}

/* ---- the model ---- */

typedef struct vae {
    mn_module *nets; /* of these two, borrowed: */
    mn_module
        *encoder; /* [N, pixels] -> [N, 2 latent]: the means, then the logarithms of variances */
    mn_module *decoder; /* [N, latent] -> [N, pixels]: the logits of white */
} vae;

static mn_module *net(int64_t inputs, int64_t hidden, int64_t outputs)
{
    return mn_nn_sequential(mn_nn_linear(inputs, hidden, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(hidden, outputs, NULL));
}

static vae vae_new(const options *o, int64_t pixels)
{
    mn_module *nets =
        mn_nn_module_list(net(pixels, o->hidden, 2 * o->latent), net(o->latent, o->hidden, pixels));
    mn_module_init(nets, o->seed);
    return (vae){nets, mn_module_child_at(nets, 0), mn_module_child_at(nets, 1)};
}

/* In nats, summed over images. */
typedef struct bound {
    double reconstruction; /* -ln p(x | z) */
    double kl;
    double images;
} bound;

static double elbo(const bound *b)
{
    return -(b->reconstruction + b->kl) / b->images;
}

/* Black and white images of grey ones; both [N, pixels]. */
static mn_tensor *black_and_white(mn_tape *t, mn_tensor *grey, mn_rng *rng)
{
    return mn_bernoulli(t, mn_flatten(t, grey, 1, -1), rng);
}

/* -ELBO of black and white images x, the mean over the batch, which is also added to `sum`. One z is
 * drawn for each image, as mean + deviation * noise, so that gradients reach both. */
static mn_tensor *negative_elbo(const vae *v, mn_tape *t, mn_tensor *x, mn_rng *rng, bound *sum)
{
    mn_tensor *moments[2];
    mn_chunk(t, mn_module_forward(v->encoder, t, x), 2, 1, moments);
    mn_tensor *mean = moments[0], *log_variance = moments[1];
    mn_tensor *deviation = mn_exp(t, mn_mul_scalar(t, log_variance, 0.5));
    mn_tensor *noise = mn_randn_like(t, mean, rng);
    mn_tensor *z = mn_add(t, mean, mn_mul(t, deviation, noise));
    mn_tensor *logits = mn_module_forward(v->decoder, t, z);
    mn_tensor *reconstruction = mn_binary_cross_entropy_with_logits(
        t, logits, x, &(mn_binary_cross_entropy_opts){.reduction = MN_REDUCE_SUM});
    /* sum of (mean^2 + variance - log_variance - 1) / 2 */
    mn_tensor *size = mn_add(t, mn_square(t, mean), mn_square(t, deviation));
    mn_tensor *excess = mn_sub_scalar(t, mn_sub(t, size, log_variance), 1);
    mn_tensor *kl = mn_mul_scalar(t, mn_sum(t, excess), 0.5);
    double n = (double)mn_tensor_size(x, 0);
    if (!kl || !reconstruction) return NULL;
    sum->images += n;
    sum->reconstruction += mn_tensor_item(reconstruction);
    sum->kl += mn_tensor_item(kl);
    return mn_div_scalar(t, mn_add(t, reconstruction, kl), n);
}

/* ---- training and test ---- */

typedef struct trainer {
    const options *o;
    mn_dataset *train, *test;
    int64_t shape[MN_MAX_DIMS]; /* [1, height, width] */
    vae v;
    mn_optim *adam;
    mn_loader *batches, *test_batches;
    mn_tape *t;
    mn_rng rng;
    terminal out;
} trainer;

static void train_epoch(trainer *s, int epoch, bound *sum)
{
    mn_tape *t = s->t;
    int64_t steps = mn_loader_batches(s->batches), step = 0;
    for (mn_batch b; !interrupted() && mn_loader_next(s->batches, t, &b); mn_tape_reset(t)) {
        double part = (double)step++ / (double)steps;
        mn_optim_set_lr(s->adam, 0, s->o->lr * (1 - (epoch + part) / s->o->epochs));
        mn_tensor *x = black_and_white(t, b.input, &s->rng);
        mn_tensor *loss = negative_elbo(&s->v, t, x, &s->rng, sum);
        mn_optim_zero_grad(s->adam);
        mn_backward(t, loss);
        mn_optim_step(s->adam, t);
        if (loss && !isfinite(elbo(sum)))
            mn_tape_fail(t, MN_ERR_STATE, "the ELBO is %g: a smaller --lr may help", elbo(sum));

        char head[64], tail[64];
        snprintf(head, sizeof head, "epoch %d/%d", epoch + 1, s->o->epochs);
        snprintf(tail, sizeof tail, "ELBO %.2f", elbo(sum));
        part = (double)step / (double)steps;
        terminal_bar(&s->out, head, tail, part, (epoch + part) / s->o->epochs);
    }
}

/* The same black and white test images, and the same noise, every time. */
static bound test(trainer *s)
{
    bound sum = {0};
    mn_rng rng = mn_rng_make(s->o->seed, mn_rng_stream("test"));
    for (mn_batch b; mn_loader_next(s->test_batches, s->t, &b); mn_tape_reset(s->t)) {
        mn_scope scope = mn_scope_begin(s->t, MN_NO_GRAD);
        negative_elbo(&s->v, s->t, black_and_white(s->t, b.input, &rng), &rng, &sum);
        mn_scope_end(s->t, scope, NULL, 0);
    }
    return sum;
}

static void print_bound(const char *name, const bound *b)
{
    printf("  %s %.2f = -(%.2f + %.2f)", name, elbo(b), b->reconstruction / b->images,
           b->kl / b->images);
}

static void train(trainer *s)
{
    const options *o = s->o;
    if (!o->quiet) {
        printf("%s images of %s pixels; net %s - %" PRId64 " - %" PRId64 " - %" PRId64
               " - %s: %s parameters\n",
               grouped(mn_dataset_size(s->train)).text, grouped(s->shape[1] * s->shape[2]).text,
               grouped(s->shape[1] * s->shape[2]).text, o->hidden, o->latent, o->hidden,
               grouped(s->shape[1] * s->shape[2]).text, grouped(mn_module_numel(s->v.nets)).text);
        printf("%d epoch%s, batch %" PRId64 ", Adam, learning rate %g falling to 0, seed %" PRIu64
               ", %d thread%s, minnow %s\n"
               "ELBO = -(reconstruction + KL), nats for each image\n\n",
               o->epochs, o->epochs == 1 ? "" : "s", o->batch_size, o->lr, o->seed, o->threads,
               o->threads == 1 ? "" : "s", MN_VERSION);
        fflush(stdout);
    }
    s->out.begun = seconds_now();
    for (int epoch = 0; epoch < o->epochs && !interrupted() && !mn_tape_error(s->t); epoch++) {
        bound learned = {0};
        double begun = seconds_now();
        train_epoch(s, epoch, &learned);
        if (interrupted() || mn_tape_error(s->t)) return;
        bound seen = test(s);
        if (o->quiet) continue;
        printf("%sepoch %*d/%d", terminal_clear(&s->out), o->epochs < 10 ? 1 : 2, epoch + 1,
               o->epochs);
        print_bound("train", &learned);
        print_bound("test", &seen);
        printf("  %.1f s\n", seconds_now() - begun);
        fflush(stdout);
    }
}

/* ---- pictures ---- */

enum { COLUMNS = 16, PAIRS = 2, NEW = 8 }; /* rows of images with reconstructions, of new ones */

/* Some images side by side, four pixels in half a character. */
static void print_images(const terminal *out, const float *images, int64_t height, int64_t width)
{
    int64_t across = out->width / (width / 2 + 1);
    if (across > COLUMNS) across = COLUMNS;
    for (int64_t y = 0; y + 3 < height; y += 4) {
        for (int64_t i = 0; i < across; i++) {
            const float *top = images + (i * height + y) * width;
            for (int64_t x = 0; x + 1 < width; x += 2) {
                const float *p = top + x, *q = p + 2 * width;
                terminal_pixels(out, (double)(p[0] + p[1] + p[width] + p[width + 1]) / 4,
                                (double)(q[0] + q[1] + q[width] + q[width + 1]) / 4);
            }
            printf("%s%s", plain(out), i + 1 < across ? " " : "\n");
        }
    }
}

static void put_row(picture *p, int row, const float *images)
{
    for (int i = 0; i < COLUMNS; i++) picture_put(p, row, i, images + i * p->height * p->width);
}

static bool write_picture(const trainer *s, const float *images, const float *again,
                          const float *fresh)
{
    picture p;
    int height = (int)s->shape[1], width = (int)s->shape[2], size = COLUMNS * height * width;
    bool ok = picture_init(&p, 2 * PAIRS + 1 + NEW, COLUMNS, height, width);
    if (!ok) fprintf(stderr, "vae: out of memory for the picture\n");
    for (int i = 0; ok && i < PAIRS; i++) {
        put_row(&p, 2 * i, images + i * size);
        put_row(&p, 2 * i + 1, again + i * size);
    }
    for (int i = 0; ok && i < NEW; i++) put_row(&p, 2 * PAIRS + 1 + i, fresh + i * size);
    ok = ok && picture_save(&p, "vae", s->o->picture);
    picture_free(&p);
    return ok;
}

/* Images, what the decoder makes of what the encoder makes of them, and what it makes of any z. */
static bool show(trainer *s)
{
    mn_tape *t = s->t;
    mn_rng rng = mn_rng_make(s->o->seed, mn_rng_stream("show"));
    bool ok = true;
    mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
    mn_batch b;
    mn_loader_next(s->test_batches, t, &b);
    mn_tensor *x = black_and_white(t, mn_narrow(t, b.input, 0, 0, COLUMNS * PAIRS), &rng);
    mn_tensor *mean = mn_narrow(t, mn_module_forward(s->v.encoder, t, x), 1, 0, s->o->latent);
    mn_tensor *again = mn_sigmoid(t, mn_module_forward(s->v.decoder, t, mean));
    mn_tensor *z = mn_randn(t, MN_F32, 2, (int64_t[]){COLUMNS * NEW, s->o->latent}, &rng);
    mn_tensor *fresh = mn_sigmoid(t, mn_module_forward(s->v.decoder, t, z));
    if (fresh) {
        const float *rows[] = {mn_tensor_data(x), mn_tensor_data(again), mn_tensor_data(fresh)};
        if (!s->o->quiet) {
            printf("\ntest images, their reconstructions, and new digits:\n");
            for (int i = 0; i < 3; i++) print_images(&s->out, rows[i], s->shape[1], s->shape[2]);
            putchar('\n');
        }
        if (s->o->picture) ok = write_picture(s, rows[0], rows[1], rows[2]);
    }
    mn_scope_end(t, scope, NULL, 0);
    return ok;
}

/* ---- the program ---- */

static bool load(trainer *s)
{
    s->train = mn_data_mnist(s->o->data, MN_SPLIT_TRAIN);
    if (s->train) s->test = mn_data_mnist(s->o->data, MN_SPLIT_TEST);
    if (!s->test) {
        fprintf(stderr, "vae: %s\n", mn_last_message());
        return false;
    }
    int64_t shape[MN_MAX_DIMS] = {0};
    mn_dataset_input_shape(s->train, s->shape);
    mn_dataset_input_shape(s->test, shape);
    if (shape[1] != s->shape[1] || shape[2] != s->shape[2] ||
        mn_dataset_size(s->test) < COLUMNS * PAIRS) {
        fprintf(stderr, "vae: %s: the test images do not fit those for training, or are too few\n",
                s->o->data);
        return false;
    }
    if (s->o->limit) s->train = mn_data_head(s->train, s->o->limit);
    return true;
}

static int run(trainer *s)
{
    const options *o = s->o;
    s->v = vae_new(o, s->shape[1] * s->shape[2]);
    s->adam = mn_optim_adam(s->v.nets, o->lr, 0.9, 0.999, NULL);
    s->batches = mn_data_loader(s->train, o->batch_size,
                                &(mn_data_loader_opts){.shuffle = true, .seed = o->seed});
    s->test_batches = mn_data_loader(s->test, 500, NULL);
    s->t = mn_tape_new(&(mn_tape_opts){.threads = o->threads});
    s->rng = mn_rng_make(o->seed, mn_rng_stream("train"));
    s->out = terminal_begin(o->quiet);
    train(s);
    bound b = test(s);
    fputs(terminal_clear(&s->out), stdout);
    bool shown = show(s);
    if (mn_tape_error(s->t)) {
        fflush(stdout);
        fprintf(stderr, "vae: %s\n", mn_tape_message(s->t));
        return 1;
    }
    printf("test ELBO %.2f nats\n", elbo(&b));
    return interrupted() ? 130 : shown ? 0 : 1;
}

int main(int argc, char **argv)
{
    options o;
    trainer s = {.o = &o};
    int status;
    if (!parse(&o, argc, argv, &status)) return status;
    if (o.picture && !picture_possible("vae", o.picture)) return 1;
    catch_interrupt();
    status = load(&s) ? run(&s) : 1;
    mn_tape_free(s.t);
    mn_loader_free(s.test_batches);
    mn_loader_free(s.batches);
    mn_optim_free(s.adam);
    mn_module_free(s.v.nets);
    mn_dataset_free(s.test);
    mn_dataset_free(s.train);
    return end_program("vae", status);
}
