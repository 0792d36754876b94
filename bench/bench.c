/*
 * bench.c: minnow beside a hand-written loop on OpenBLAS and PyTorch, in one run. The contenders take
 * turns, round by round, so that a busy machine or a changing clock meets all of them alike; a figure is
 * the median of the rounds, a ratio the median of the ratios of each round.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include "tensor/compute.h"
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum { CONTENDERS = 3, MAX_ROUNDS = 1000, CHECK_STEPS = 10 };

static const work rows[] = {
    {"MLP 784-128-10, batch 64", WORK_MLP, 64},     {"MLP 784-128-10, batch 1", WORK_MLP, 1},
    {"MLP 784-128-10, batch 1024", WORK_MLP, 1024}, {"CNN 1-16-32-10, batch 64", WORK_CNN, 64},
    {"RReLU, 2^20 elements", WORK_RRELU, 1 << 20},  {"RReLU, 2^14 elements", WORK_RRELU, 1 << 14},
    {"RReLU, 2^10 elements", WORK_RRELU, 1 << 10},
};

typedef struct options {
    const char *python;
    bool quick;
    int rounds, threads;
    double turn_ns; /* how long one turn should take */
} options;

/* One contender's figures in one row. */
typedef struct figures {
    bool open;
    int steps;                /* of a turn */
    double loss;              /* after CHECK_STEPS */
    double times[MAX_ROUNDS]; /* ns a step */
} figures;

/* ---- what bench.h shares ---- */

double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The top 24 bits of a 32-bit mix of seed and position (Wellons' lowbias32). */
static float unit(uint32_t seed, int64_t i)
{
    uint32_t h = (uint32_t)i * 0x9E3779B1u + seed * 0x85EBCA77u;
    h = (h ^ (h >> 16)) * 0x7FEB352Du;
    h = (h ^ (h >> 15)) * 0x846CA68Bu;
    h ^= h >> 16;
    return (float)(h >> 8) * 0x1p-24f;
}

void synth_uniform(float *x, int64_t n, uint32_t seed, float low, float high)
{
    for (int64_t i = 0; i < n; i++) x[i] = low + (high - low) * unit(seed, i);
}

void synth_labels(int64_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = (int64_t)(unit(SEED_TARGET, i) * MLP_OUT);
}

/* ---- measuring ---- */

/* Warms up and finds how many steps fill a turn. False when a step failed. */
static bool calibrate(const contender *c, figures *f, double turn_ns)
{
    for (f->steps = 1;; f->steps *= 2) {
        double ns = c->run(f->steps);
        if (isnan(ns)) return false;
        if (ns >= turn_ns / 2) {
            f->steps = (int)fmax(1, round(f->steps * turn_ns / ns));
            return !isnan(c->run(f->steps));
        }
    }
}

/* The first step of a turn finds the caches as the others left them: it does not count. */
static double turn(const contender *c, int steps)
{
    return isnan(c->run(1)) ? NAN : c->run(steps) / steps;
}

/* Fills f for every contender that takes part in w. False when one of them failed. */
static bool measure(const work *w, const contender *all, figures *f, const options *o)
{
    bool fine = true;
    for (int c = 0; c < CONTENDERS; c++) {
        f[c].open = false;
        if (!fine || all[c].absent || (all[c].mlp_only && w->kind != WORK_MLP)) continue;
        fine = f[c].open = all[c].open(w, o->threads);
        if (!fine) continue;
        if (w->kind != WORK_RRELU) f[c].loss = all[c].loss(CHECK_STEPS);
        fine = calibrate(&all[c], &f[c], o->turn_ns);
    }
    for (int r = 0; fine && r < o->rounds; r++)
        for (int i = 0; fine && i < CONTENDERS; i++) {
            int c = (r + i) % CONTENDERS;
            if (!f[c].open) continue;
            f[c].times[r] = turn(&all[c], f[c].steps);
            fine = !isnan(f[c].times[r]);
        }
    for (int c = 0; c < CONTENDERS; c++)
        if (f[c].open) all[c].close();
    return fine;
}

/* All contenders do the same arithmetic, in other orders of summation. */
static bool losses_agree(const work *w, const contender *all, const figures *f)
{
    bool agree = true;
    for (int c = 1; w->kind != WORK_RRELU && c < CONTENDERS; c++)
        if (f[c].open && !(fabs(f[c].loss - f[0].loss) <= 1e-5 + 1e-4 * fabs(f[0].loss))) {
            fprintf(stderr, "bench: %s: after %d steps the loss is %.7g in minnow, %.7g in %s\n",
                    w->label, CHECK_STEPS, f[0].loss, f[c].loss, all[c].title);
            agree = false;
        }
    return agree;
}

/* ---- printing ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x. */
static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static double median_ratio(const figures *a, const figures *b, int rounds)
{
    static double ratios[MAX_ROUNDS];
    for (int r = 0; r < rounds; r++) ratios[r] = a->times[r] / b->times[r];
    return median(ratios, rounds);
}

static void print_head(const contender *all)
{
    printf("%-28s %-6s", "", "");
    for (int c = 0; c < CONTENDERS; c++) printf("  %24s", all[c].title);
    for (int c = 1; c < CONTENDERS; c++) printf("  %10s", c == 1 ? "to C loop" : "to PyTorch");
    printf("\n");
}

static void print_row(const work *w, figures *f, int rounds)
{
    double unit_ns = w->kind == WORK_RRELU ? (double)w->n : 1e3;
    double ratios[CONTENDERS];
    for (int c = 1; c < CONTENDERS; c++)
        ratios[c] = f[c].open ? median_ratio(&f[0], &f[c], rounds) : NAN;

    printf("%-28s %-6s", w->label, w->kind == WORK_RRELU ? "ns/el" : "us");
    for (int c = 0; c < CONTENDERS; c++) {
        char text[64] = "-";
        if (f[c].open) {
            double middle = median(f[c].times, rounds) / unit_ns;
            int digits = middle < 10 ? 2 : middle < 100 ? 1 : 0;
            snprintf(text, sizeof text, "%.*f (%.*f..%.*f)", digits, middle, digits,
                     f[c].times[0] / unit_ns, digits, f[c].times[rounds - 1] / unit_ns);
        }
        printf("  %24s", text);
    }
    for (int c = 1; c < CONTENDERS; c++) {
        if (f[c].open)
            printf("  %10.2f", ratios[c]);
        else
            printf("  %10s", "-");
    }
    printf("\n");
    fflush(stdout);
}

/* "AMD EPYC (x86_64)" */
static void print_machine(void)
{
    struct utsname system = {.machine = "unknown machine"};
    uname(&system);
    char line[256], model[256] = "";
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info && !model[0] && fgets(line, sizeof line, info))
        sscanf(line, "model name : %255[^\n]", model);
    if (info) fclose(info);
    printf("  processor  %s (%s)\n", model[0] ? model : "unknown processor", system.machine);
}

static void print_setting(const contender *all, const options *o)
{
    printf("\nA step is forward, backward and SGD update; of RReLU training forward and backward. "
           "Each\n"
           "figure is the median (min..max) of %d rounds, in which the contenders take turns of "
           "about\n"
           "%.0f ms; a ratio is minnow's time over the other's, below 1 is faster.\n",
           o->rounds, o->turn_ns / 1e6);
    if (!all[1].absent || !all[2].absent)
        printf("All contenders have the same loss after %d steps from the same weights.\n",
               CHECK_STEPS);
    if (o->quick)
        printf("This was a quick run: it checks that all works; the times mean little.\n");
    printf("\nMeasured on\n");
    print_machine();
    printf("  threads    %d\n", o->threads);
#ifdef __clang__
    printf("  compiler   %s\n", __VERSION__);
#else
    printf("  compiler   gcc %s\n", __VERSION__);
#endif
    printf("  minnow     %s, %s kernels, BLAS: %s\n", MN_VERSION, mni_kernels()->name,
           mni_blas_name());
    const char *versions[CONTENDERS] = {"", handloop_version(), torch_version()};
    const char *names[CONTENDERS] = {"", "C loop", "PyTorch"};
    for (int c = 1; c < CONTENDERS; c++)
        printf("  %-9s  %s\n", names[c], all[c].absent ? all[c].absent : versions[c]);
}

/* ---- options ---- */

static void print_help(void)
{
    puts(
        "usage: bench [--quick] [--python PATH] [--rounds N] [--threads N] [--help]\n"
        "\n"
        "Times minnow, a hand-written C loop on OpenBLAS and PyTorch on the same steps, in turns.\n"
        "\n"
        "  --quick        two short rounds: only checks that all run and compute the same losses\n"
        "  --python PATH  a Python that has torch; default: $MINNOW_BENCH_PYTHON, else python3\n"
        "  --rounds N     rounds of turns, 1 to 1000 (21)\n"
        "  --threads N    threads of each contender, 1 to 256 (1)");
}

/* A number in [1, high], or the program ends. */
static int number(const char *text, const char *option, int high)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > high) {
        fprintf(stderr, "bench: %s wants a number from 1 to %d, not '%s'\n", option, high, text);
        exit(2);
    }
    return (int)value;
}

static options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},        {"python", required_argument, NULL, 'p'},
        {"rounds", required_argument, NULL, 'r'}, {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    options o = {
        .python = getenv("MINNOW_BENCH_PYTHON"), .rounds = 0, .threads = 1, .turn_ns = 2e7};
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) switch (c) {
        case 'q':
            o.quick = true;
            break;
        case 'p':
            o.python = optarg;
            break;
        case 'r':
            o.rounds = number(optarg, "--rounds", MAX_ROUNDS);
            break;
        case 't':
            o.threads = number(optarg, "--threads", 256);
            break;
        case 'h':
            print_help();
            exit(0);
        default:
            fputs("bench: --help lists the options\n", stderr);
            exit(2);
        }
    if (optind < argc) {
        fprintf(stderr, "bench: '%s' is not an option\n", argv[optind]);
        exit(2);
    }
    if (o.python && !o.python[0]) o.python = NULL;
    if (o.quick) o.turn_ns = 1e6;
    if (!o.rounds) o.rounds = o.quick ? 2 : 21;
    return o;
}

int main(int argc, char **argv)
{
    static figures f[CONTENDERS];
    options o = parse(argc, argv);
    contender all[CONTENDERS] = {contender_minnow(), contender_handloop(),
                                 contender_torch(o.python, o.threads)};
    bool fine = !(o.python && all[2].absent);
    if (!fine) fprintf(stderr, "bench: %s: %s\n", o.python, all[2].absent);

    if (fine) print_head(all);
    for (size_t i = 0; fine && i < sizeof rows / sizeof *rows; i++) {
        fine = measure(&rows[i], all, f, &o) && losses_agree(&rows[i], all, f);
        if (fine) print_row(&rows[i], f, o.rounds);
    }
    if (fine) print_setting(all, &o);
    contender_torch_stop();
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
