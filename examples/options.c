/*
 * options.c: getopt_long over a table of options, and strict readers for the numbers: the whole text
 * must be the number, and it must lie in the option's range.
 */
#define _DEFAULT_SOURCE /* getopt_long, sysconf */
#include "options.h"
#include "plot.h"
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: mnist [OPTIONS]\n"
    "\n"
    "Trains a small network to read handwritten digits, tests it on images it has never\n"
    "seen, and shows what it got wrong.\n"
    "\n"
    "training\n"
    "  --epochs N         passes over the training images (15)\n"
    "  --batch-size N     images in one step (64)\n"
    "  --lr X             learning rate of the first step; it falls linearly to 0 (0.1)\n"
    "  --limit N          train on the first N images only\n"
    "  --seed N           of the weights, the order of the images and the slopes (1)\n"
    "  --threads N        threads that share the work (one for each processor, at most 4);\n"
    "                     the results are the same for every number\n"
    "\n"
    "network\n"
    "  --hidden N,N,...   sizes of the hidden layers, or none (256,128)\n"
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

static const char *const activations[] = {"rrelu", "relu",    "leaky_relu",
                                          "prelu", "sigmoid", "tanh"};

const char *activation_name(activation a)
{
    return activations[a];
}

/* ---- values ---- */

static bool read_int(const char *name, const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (isspace((unsigned char)*text) || end == text || *end || errno || v < low || v > high) {
        fprintf(stderr, "mnist: --%s '%s' is not a whole number from %" PRId64 " to %" PRId64 "\n",
                name, text, low, high);
        return false;
    }
    *value = v;
    return true;
}

static bool read_number(const char *name, const char *text, double low, double high, double *value)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (isspace((unsigned char)*text) || end == text || *end || errno || !isfinite(v) || v < low ||
        v > high) {
        fprintf(stderr, "mnist: --%s '%s' is not a number from %g to %g\n", name, text, low, high);
        return false;
    }
    *value = v;
    return true;
}

/* All of uint64. */
static bool read_seed(const char *text, uint64_t *seed)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || v > UINT64_MAX) {
        fprintf(stderr, "mnist: --seed '%s' is not a whole number from 0 to 2^64 - 1\n", text);
        return false;
    }
    *seed = v;
    return true;
}

static bool read_hidden(const char *text, options *o)
{
    o->n_hidden = 0;
    if (!*text || !strcmp(text, "none")) return true;
    for (;;) {
        size_t length = strcspn(text, ",");
        char size[32];
        if (o->n_hidden == MAX_HIDDEN) {
            fprintf(stderr, "mnist: --hidden takes at most %d layers\n", MAX_HIDDEN);
            return false;
        }
        snprintf(size, sizeof size, "%.*s", (int)(length < 31 ? length : 31), text);
        if (!read_int("hidden", size, 1, 65536, &o->hidden[o->n_hidden++])) return false;
        if (!text[length]) return true;
        text += length + 1;
    }
}

static bool read_activation(const char *text, activation *a)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (strcmp(text, activations[i])) continue;
        *a = (activation)i;
        return true;
    }
    fprintf(stderr,
            "mnist: --activation '%s' is none of rrelu, relu, leaky_relu, prelu, sigmoid, tanh\n",
            text);
    return false;
}

static bool read_file(const char *name, const char *text, const char **value)
{
    *value = text;
    if (*text) return true;
    fprintf(stderr, "mnist: --%s needs a name\n", name);
    return false;
}

/* ---- the command line ---- */

enum {
    EPOCHS = 256, /* beyond every character, so that optopt tells the two apart */
    BATCH_SIZE,
    LR,
    LIMIT,
    SEED,
    THREADS,
    HIDDEN,
    ACTIVATION,
    LOWER,
    UPPER,
    DATA,
    CSV,
    PLOT,
    QUIET,
    HELP
};

static const struct option table[] = {
    {"epochs", required_argument, NULL, EPOCHS},
    {"batch-size", required_argument, NULL, BATCH_SIZE},
    {"lr", required_argument, NULL, LR},
    {"limit", required_argument, NULL, LIMIT},
    {"seed", required_argument, NULL, SEED},
    {"threads", required_argument, NULL, THREADS},
    {"hidden", required_argument, NULL, HIDDEN},
    {"activation", required_argument, NULL, ACTIVATION},
    {"lower", required_argument, NULL, LOWER},
    {"upper", required_argument, NULL, UPPER},
    {"data", required_argument, NULL, DATA},
    {"csv", required_argument, NULL, CSV},
    {"plot", required_argument, NULL, PLOT},
    {"quiet", no_argument, NULL, QUIET},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static bool take(options *o, int option, const char *value)
{
    int64_t n = 0;
    bool ok = true;
    switch (option) {
    case EPOCHS:
        ok = read_int("epochs", value, 1, 100000, &n);
        o->epochs = (int)n;
        return ok;
    case BATCH_SIZE:
        return read_int("batch-size", value, 1, 1000000, &o->batch_size);
    case LR:
        return read_number("lr", value, 1e-12, 1e6, &o->lr);
    case LIMIT:
        return read_int("limit", value, 1, INT64_MAX, &o->limit);
    case SEED:
        return read_seed(value, &o->seed);
    case THREADS:
        ok = read_int("threads", value, 1, 256, &n);
        o->threads = (int)n;
        return ok;
    case HIDDEN:
        return read_hidden(value, o);
    case ACTIVATION:
        return read_activation(value, &o->activation);
    case LOWER:
        o->bounds = true;
        return read_number("lower", value, -1e6, 1e6, &o->lower);
    case UPPER:
        o->bounds = true;
        return read_number("upper", value, -1e6, 1e6, &o->upper);
    case DATA:
        return read_file("data", value, &o->data);
    case CSV:
        return read_file("csv", value, &o->csv);
    case PLOT:
        return read_file("plot", value, &o->plot) && plot_name_fits("mnist", value);
    default:
        o->quiet = true;
        return true;
    }
}

static void complain(int option, const char *word)
{
    if (option == ':')
        fprintf(stderr, "mnist: %s needs a value (mnist --help)\n", word);
    else if (optopt >= EPOCHS)
        fprintf(stderr, "mnist: %s: this option takes no value (mnist --help)\n", word);
    else if (optopt)
        fprintf(stderr, "mnist: unknown option -%c (mnist --help)\n", optopt);
    else
        fprintf(stderr, "mnist: unknown option %s (mnist --help)\n", word);
}

/* What no single option shows. */
static bool consistent(const options *o)
{
    int64_t weights = 0;
    for (int i = 1; i < o->n_hidden; i++) weights += o->hidden[i - 1] * o->hidden[i];
    if (weights > MAX_WEIGHTS) {
        fprintf(stderr, "mnist: --hidden: %lld weights between hidden layers; at most %d\n",
                (long long)weights, MAX_WEIGHTS);
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
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (options){.epochs = 15,
                   .batch_size = 64,
                   .lr = 0.1,
                   .hidden = {256, 128},
                   .n_hidden = 2,
                   .lower = MN_RRELU_LOWER,
                   .upper = MN_RRELU_UPPER,
                   .seed = 1,
                   .threads = processors < 1   ? 1
                              : processors > 4 ? 4
                                               : (int)processors,
                   .data = "data/mnist"};
    *status = 2;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", table, NULL)) != -1;) {
        if (option == 'h' || option == HELP) {
            *status = fputs(help, stdout) < 0 || fflush(stdout) ? 1 : 0;
            return false;
        }
        if (option == ':' || option == '?') {
            complain(option, argv[optind - 1]);
            return false;
        }
        if (!take(o, option, optarg)) return false;
    }
    if (optind < argc) {
        fprintf(stderr, "mnist: '%s' is not an option (mnist --help)\n", argv[optind]);
        return false;
    }
    return consistent(o);
}
