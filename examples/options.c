/*
 * options.c: the options of the MNIST example, and what no single one of them shows.
 */
#include "options.h"
#include "arguments.h"
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: mnist [OPTIONS]\n"
    "\n"
    "Trains a small network to read handwritten digits, tests it on images it has never\n"
    "seen, and shows what it got wrong.\n"
    "\n"
    "training\n"
    "  --epochs N         passes over the training images (15; cnn: 8)\n"
    "  --batch-size N     images in one step (64)\n"
    "  --lr X             learning rate of the first step; it falls linearly to 0 (0.1)\n"
    "  --shift N          move the images of each step by up to N pixels (0; cnn: 1)\n"
    "  --limit N          train on the first N images only\n"
    "  --seed N           of the weights, the order of the images and the slopes (1)\n"
    "  --threads N        threads that share the work (one for each processor, at most 4);\n"
    "                     the results are the same for every number\n"
    "\n"
    "network\n"
    "  --model NAME       mlp, or cnn: three convolutions, slower and better (mlp)\n"
    "  --hidden N,N,...   sizes of mlp's hidden layers, or none (256,128)\n"
    "  --activation NAME  rrelu, relu, leaky_relu, prelu, sigmoid or tanh (rrelu)\n"
    "  --lower X          rrelu draws its slopes between lower (0.125)\n"
    "  --upper X          and upper (0.3333)\n"
    "\n"
    "data and results\n"
    "  --data DIR         where the four IDX files lie, plain or as .gz (data/mnist); their\n"
    "                     images may have any size and any number of classes\n"
    "  --csv FILE         write one line for each epoch; lr is that of its first step\n"
    "  --plot FILE        draw the curves with gnuplot, as FILE.svg or FILE.png\n"
    "  --quiet            print the last line only\n"
    "  --help             print this and end\n"
    "\n"
    "Ctrl-C ends the training after the current batch; the summary follows all the same.\n"
    "Exit status: 0 done, 1 bad input, 2 wrong usage, 130 ended by Ctrl-C.\n";

static const char *const models[] = {"mlp", "cnn", NULL};
static const char *const activations[] = {"rrelu",   "relu", "leaky_relu", "prelu",
                                          "sigmoid", "tanh", NULL};

const char *activation_name(int activation)
{
    return activations[activation];
}

static bool read_hidden(const char *program, const char *text, void *value)
{
    options *o = value;
    o->sizes = true;
    o->n_hidden = 0;
    if (!*text || !strcmp(text, "none")) return true;
    for (;;) {
        size_t length = strcspn(text, ",");
        char size[32];
        if (o->n_hidden == MAX_HIDDEN) {
            fprintf(stderr, "%s: --hidden takes at most %d layers\n", program, MAX_HIDDEN);
            return false;
        }
        snprintf(size, sizeof size, "%.*s", (int)(length < 31 ? length : 31), text);
        if (!argument_int(program, "hidden", size, 1, 65536, &o->hidden[o->n_hidden++]))
            return false;
        if (!text[length]) return true;
        text += length + 1;
    }
}

/* What no single option shows. */
static bool consistent(const options *o)
{
    int64_t weights = 0;
    for (int i = 1; i < o->n_hidden; i++) weights += o->hidden[i - 1] * o->hidden[i];
    if (weights > MAX_WEIGHTS) {
        fprintf(stderr, "mnist: --hidden: %lld weights between hidden layers; at most %d\n",
                (long long)weights, MAX_WEIGHTS);
    } else if (o->sizes && o->model == CNN) {
        fprintf(stderr, "mnist: --hidden is mlp's, the model is cnn\n");
    } else if (o->bounds && o->activation != RRELU) {
        fprintf(stderr, "mnist: --lower and --upper are rrelu's, the activation is %s\n",
                activation_name(o->activation));
    } else if (o->lower > o->upper) {
        fprintf(stderr, "mnist: --lower %g is above --upper %g\n", o->lower, o->upper);
    } else {
        return true;
    }
    return false;
}

bool options_parse(options *o, int argc, char **argv, int *status)
{
    *o = (options){.batch_size = 64,
                   .lr = 0.1,
                   .shift = -1,
                   .hidden = {256, 128},
                   .n_hidden = 2,
                   .lower = MN_RRELU_LOWER,
                   .upper = MN_RRELU_UPPER,
                   .seed = 1,
                   .threads = arguments_threads(),
                   .data = "data/mnist"};
    const argument table[] = {
        {"model", ARG_CHOICE, .value = &o->model, .choices = models},
        {"epochs", ARG_INT, .value = &o->epochs, .low = 1, .high = 100000},
        {"batch-size", ARG_INT64, .value = &o->batch_size, .low = 1, .high = 1000000},
        {"lr", ARG_NUMBER, .value = &o->lr, .low = 1e-12, .high = 1e6},
        {"shift", ARG_INT64, .value = &o->shift, .low = 0, .high = 1000},
        {"limit", ARG_INT64, .value = &o->limit, .low = 1, .high = 1e15},
        {"seed", ARG_SEED, .value = &o->seed},
        {"threads", ARG_INT, .value = &o->threads, .low = 1, .high = 256},
        {"hidden", ARG_OTHER, .value = o, .read = read_hidden},
        {"activation", ARG_CHOICE, .value = &o->activation, .choices = activations},
        {"lower", ARG_NUMBER, .value = &o->lower, .low = -1e6, .high = 1e6, .given = &o->bounds},
        {"upper", ARG_NUMBER, .value = &o->upper, .low = -1e6, .high = 1e6, .given = &o->bounds},
        {"data", ARG_FILE, .value = &o->data},
        {"csv", ARG_FILE, .value = &o->csv},
        {"plot", ARG_PICTURE, .value = &o->plot},
        {"quiet", ARG_FLAG, .value = &o->quiet},
    };
    if (!arguments_parse("mnist", help, table, sizeof table / sizeof *table, argc, argv, status))
        return false;
    if (!o->epochs) o->epochs = o->model == CNN ? 8 : 15;
    if (o->shift < 0) o->shift = o->model == CNN ? 1 : 0;
    *status = 2;
    if (!consistent(o)) return false;
    if (o->model == CNN) o->n_hidden = 0;
    return true;
}
