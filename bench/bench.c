/*
 * bench.c: minnow beside a hand-written loop on OpenBLAS, PyTorch and JAX, in one run. The contenders take
 * turns, round by round, so that a busy machine or a changing clock meets all of them alike; a figure is
 * the median of the rounds, a ratio the median of the ratios of each round.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include "costs.h"
#include "report.h"
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum { MINNOW, LOOP, TORCH, JAX, CONTENDERS };
enum { MAX_ROUNDS = 1000, MAX_THREADS = 8, CHECK_STEPS = 10 };

/* Adam divides small gradients by themselves, which makes their rounding errors count. */
static const work rows[] = {
    {"MLP 784-128-10, batch 64", "mlp", 64, 1e-4},
    {"MLP 784-128-10, batch 64, RReLU", "mlp_rrelu", 64, 0},
    {"MLP 784-128-10, batch 1", "mlp", 1, 1e-4},
    {"MLP 784-128-10, batch 1024", "mlp", 1024, 1e-4},
    {"MLP 784-512-512-10, batch 128, Adam", "mlp3", 128, 1e-3},
    {"CNN 5x5, 1-16-32, batch 64", "cnn5", 64, 1e-4},
    {"CNN 3x3, 1-32-64-64, norms, batch 32", "cnn3", 32, 1e-4},
    {"LSTM 64-128, length 32, batch 32", "lstm", 32, 1e-4},
    {"transformer layer 128, batch 16", "encoder", 16, 1e-4},
    {"transformer layer 128, dropout 0.1", "encoder_dropout", 16, 0},
    {"RReLU, 2^20 elements", "rrelu", 1 << 20, 0},
    {"RReLU, 2^14 elements", "rrelu", 1 << 14, 0},
    {"RReLU, 2^10 elements", "rrelu", 1 << 10, 0},
};
enum { ROWS = sizeof rows / sizeof *rows };

typedef struct options {
    const char *python, *directory;
    bool quick, growth;
    int rounds, steps; /* steps: only costs_steps, unless 0 */
    int threads[MAX_THREADS], n_threads;
    double turn_ns; /* how long one turn should take */
} options;

/* One contender's figures in one row. */
typedef struct figures {
    bool open;
    int steps;                /* of a turn */
    double loss;              /* after CHECK_STEPS */
    double times[MAX_ROUNDS]; /* ns a step */
    char form[64];
} figures;

/* What is kept of a row for what comes after the table. */
typedef struct result {
    const work *w;
    int threads;
    double time, to_torch; /* minnow's ns; NAN without PyTorch */
} result;

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
    for (int64_t i = 0; i < n; i++) y[i] = (int64_t)(unit(SEED_TARGET, i) * CLASSES);
}

/* ---- measuring ---- */

/* ---- measuring ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Warms up and finds how many steps fill a turn. False when a step failed. */
static bool calibrate(contender *c, figures *f, double turn_ns)
{
    for (f->steps = 1;; f->steps *= 2) {
        double ns = c->run(c, f->steps);
        if (isnan(ns)) return false;
        if (ns >= turn_ns / 2) {
            f->steps = (int)fmax(1, round(f->steps * turn_ns / ns));
            return !isnan(c->run(c, f->steps));
        }
    }
}

/* The first step of a turn finds the caches as the others left them: it does not count. */
static double turn(contender *c, int steps)
{
    return isnan(c->run(c, 1)) ? NAN : c->run(c, steps) / steps;
}

static bool is_rrelu(const work *w)
{
    return strcmp(w->net, "rrelu") == 0;
}

/* Opens w for c, if it takes part, and makes it ready for its turns. False when that failed. */
static bool prepare(contender *c, const work *w, int threads, figures *f, double turn_ns)
{
    f->open = false;
    if (c->absent) return true;
    const opened state = c->open(c, w, threads);
    if (state != OPEN_READY) return state == OPEN_ABSENT;
    f->open = true;
    memcpy(f->form, c->form, sizeof f->form);
    if (!is_rrelu(w)) f->loss = c->loss(c, CHECK_STEPS);
    return calibrate(c, f, turn_ns);
}

/* Fills f for every contender that takes part in w, and minnow's arithmetic. False when one failed. */
static bool measure(const work *w, int threads, contender *all, figures *f, double *arithmetic,
                    const options *o)
{
    bool fine = true;
    for (int c = 0; c < CONTENDERS; c++) {
        f[c].open = false;
        fine = fine && prepare(&all[c], w, threads, &f[c], o->turn_ns);
    }
    for (int r = 0; fine && r < o->rounds; r++)
        for (int i = 0; fine && i < CONTENDERS; i++) {
            int c = (r + i) % CONTENDERS;
            if (!f[c].open) continue;
            f[c].times[r] = turn(&all[c], f[c].steps);
            fine = !isnan(f[c].times[r]);
        }
    *arithmetic = minnow_arithmetic();
    for (int c = 0; c < CONTENDERS; c++)
        if (f[c].open) all[c].close(&all[c]);
    return fine;
}

/* All contenders do the same arithmetic, in other orders of summation. */
static bool losses_agree(const work *w, const contender *all, const figures *f)
{
    bool agree = true;
    for (int c = 1; w->tolerance > 0 && c < CONTENDERS; c++)
        if (f[c].open && !(fabs(f[c].loss - f[0].loss) <= 1e-5 + w->tolerance * fabs(f[0].loss))) {
            fprintf(stderr, "bench: %s: after %d steps the loss is %.7g in minnow, %.7g in %s\n",
                    w->label, CHECK_STEPS, f[0].loss, f[c].loss, all[c].title);
            agree = false;
        }
    return agree;
}

/* ---- the table ---- */

static double median_ratio(const figures *a, const figures *b, int rounds)
{
    static double ratios[MAX_ROUNDS];
    for (int r = 0; r < rounds; r++) ratios[r] = a->times[r] / b->times[r];
    return median(ratios, rounds);
}

static void say_head(const contender *all)
{
    static const char dashes[] = "----------------------------------------------------------------";
    say("| %-36s | %7s | %-5s ", "a step", "threads", "");
    for (int c = 0; c < CONTENDERS; c++) say("| %20s ", all[c].title);
    for (int c = 1; c < CONTENDERS; c++) say("| to %-7s ", all[c].title);
    say("| %6s | %8s | %-21s |\n|%.38s|%.8s:|%.7s", "limit", "to limit", "PyTorch's form", dashes,
        dashes, dashes);
    for (int c = 0; c < CONTENDERS; c++) say("|%.21s:", dashes);
    for (int c = 1; c < CONTENDERS; c++) say("|%.11s:", dashes);
    say("|%.7s:|%.9s:|%.23s|\n", dashes, dashes, dashes);
}

/* In a field that wide, with three digits, or a dash for NAN. */
static void say_number(int width, double x)
{
    if (isnan(x))
        say("| %*s ", width, "-");
    else
        say("| %*.*f ", width, x < 10 ? 2 : x < 100 ? 1 : 0, x);
}

static result say_row(const work *w, int threads, figures *f, double limit, int rounds)
{
    const double unit_ns = is_rrelu(w) ? (double)w->n : 1e3;
    double ratios[CONTENDERS];
    for (int c = 1; c < CONTENDERS; c++)
        ratios[c] = f[c].open ? median_ratio(&f[0], &f[c], rounds) : NAN;

    say("| %-36s | %7d | %-5s ", w->label, threads, is_rrelu(w) ? "ns/el" : "us");
    for (int c = 0; c < CONTENDERS; c++) {
        char text[64] = "-";
        if (f[c].open) {
            double middle = median(f[c].times, rounds) / unit_ns;
            int digits = middle < 10 ? 2 : middle < 100 ? 1 : 0;
            snprintf(text, sizeof text, "%.*f (%.*f..%.*f)", digits, middle, digits,
                     f[c].times[0] / unit_ns, digits, f[c].times[rounds - 1] / unit_ns);
        }
        say("| %20s ", text);
    }
    const double time = median(f[MINNOW].times, rounds);
    for (int c = 1; c < CONTENDERS; c++) say_number(10, ratios[c]);
    say_number(6, limit / unit_ns);
    say_number(8, time / limit);
    say("| %-21s |\n", f[TORCH].open ? f[TORCH].form : "");
    return (result){w, threads, time, ratios[TORCH]};
}

/* All rows at all numbers of threads. */
static bool report_table(contender *all, const options *o, double peak, result *results, int *n)
{
    static figures f[CONTENDERS];
    say("# minnow beside others\n\n");
    say_head(all);
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < o->n_threads; k++) {
            double arithmetic;
            const int threads = o->threads[k];
            if (!measure(&rows[i], threads, all, f, &arithmetic, o) ||
                !losses_agree(&rows[i], all, f))
                return false;
            const double limit = arithmetic > 0 ? arithmetic / (peak * threads) : NAN;
            results[(*n)++] = say_row(&rows[i], threads, f, limit, o->rounds);
        }
    return true;
}

/* Of rows that are long enough for threads to pay. */
static void report_scaling(const result *results, int n)
{
    enum { LONG_NS = 300000 };
    int said = 0;
    for (int i = 1; i < n; i++) {
        const result *one = &results[i - 1], *two = &results[i];
        if (one->w != two->w || one->threads != 1 || two->threads != 2 || one->time < LONG_NS)
            continue;
        if (!said++)
            say("\n| %-50s | %20s |\n|%.52s|%.21s:|\n", "minnow, steps above 300 us",
                "1 to 2 threads", "----------------------------------------------------",
                "---------------------");
        say("| %-50s | %20.2f |\n", one->w->label, one->time / two->time);
    }
}

static void plot_ratios(const result *results, int n, const options *o)
{
    bar bars[ROWS * MAX_THREADS];
    char names[MAX_THREADS][16];
    const char *series[MAX_THREADS];
    int n_bars = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(results[i].to_torch))
            bars[n_bars++] = (bar){results[i].w->label, i % o->n_threads, results[i].to_torch};
    for (int k = 0; k < o->n_threads; k++) {
        snprintf(names[k], sizeof names[k], "%d thread%s", o->threads[k],
                 o->threads[k] == 1 ? "" : "s");
        series[k] = names[k];
    }
    plot_bars("results.svg", "Time of a step in minnow over that in PyTorch", bars, n_bars, series,
              o->n_threads);
}

/* ---- what was measured, and on what ---- */

static void say_machine(void)
{
    struct utsname system = {.machine = "unknown machine"};
    uname(&system);
    char line[256], model[256] = "";
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info && !model[0] && fgets(line, sizeof line, info))
        sscanf(line, "model name : %255[^\n]", model);
    if (info) fclose(info);
    say("- processor: %s (%s), %s %s\n", model[0] ? model : "unknown", system.machine,
        system.sysname, system.release);
}

static void report_setting(const contender *all, const options *o, double peak, char **argv)
{
    say("\nA step is forward, backward and the optimizer's update; of RReLU alone training forward "
        "and\nbackward. Each figure is the median (min..max) of %d rounds, in which the contenders "
        "take turns of\nabout %.0f ms; a ratio is minnow's time over the other's, below 1 is "
        "faster. The limit is the time of\nthe products' multiply-adds (2 operations each) at the "
        "peak of the cores. JAX has one core.\n",
        o->rounds, o->turn_ns / 1e6);
    if (!all[LOOP].absent || !all[TORCH].absent || !all[JAX].absent)
        say("Where nothing is drawn, all have the same loss after %d steps from the same "
            "weights.\n",
            CHECK_STEPS);
    if (o->quick) say("This was a quick run: it checks that all works; the times mean little.\n");

    char date[32] = "";
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
    say("\nMeasured on\n\n");
    say_machine();
    say("- peak of one core: %.0f GFLOP/s\n- date: %s\n- command:", peak, date);
    for (; *argv; argv++) say(" %s", *argv);
#ifdef __clang__
    say("\n- compiler: %s\n", __VERSION__);
#else
    say("\n- compiler: gcc %s\n", __VERSION__);
#endif
    for (int c = 0; c < CONTENDERS; c++)
        say("- %s: %s\n", all[c].title, all[c].absent ? all[c].absent : all[c].version);
}

/* ---- options ---- */

static void print_help(void)
{
    puts(
        "usage: bench [--quick] [--python PATH] [--threads LIST] [--rounds N] [--growth]\n"
        "             [--write DIR] [--help]\n"
        "\n"
        "Times minnow, a hand-written C loop on OpenBLAS, PyTorch and JAX on the same steps, in\n"
        "turns; then what minnow costs beside its arithmetic.\n"
        "\n"
        "  --quick         two short rounds: only checks that all run and compute the same losses\n"
        "  --python PATH   a Python that has torch and numpy, and jax or not; default:\n"
        "                  $MINNOW_BENCH_PYTHON, else python3\n"
        "  --threads LIST  numbers of threads of each contender, from 1 to 256 (1,2)\n"
        "  --rounds N      rounds of turns, 1 to 1000 (21)\n"
        "  --growth        also how time and memory grow with data, nodes and steps\n"
        "  --write DIR     the same into DIR/results.md, with plots in results.svg and growth.svg\n"
        "  --steps N       only trains the MLP for N steps, then prints the clock after the first\n"
        "                  and the peak of memory: the costs are measured with it");
}

static _Noreturn void usage(const char *option, const char *text, int high)
{
    fprintf(stderr, "bench: %s wants a number from 1 to %d, not '%s'\n", option, high, text);
    exit(2);
}

/* A number in [1, high] that ends at `stop` or at the end; *text goes behind it. Or the program ends. */
static int number(const char **text, char stop, const char *option, int high)
{
    char *end;
    errno = 0;
    long value = strtol(*text, &end, 10);
    if (errno || end == *text || (*end && *end != stop) || value < 1 || value > high)
        usage(option, *text, high);
    *text = *end ? end + 1 : end;
    return (int)value;
}

static void parse_threads(options *o, const char *list)
{
    o->n_threads = 0;
    do {
        if (o->n_threads == MAX_THREADS) {
            fprintf(stderr, "bench: --threads wants at most %d numbers\n", MAX_THREADS);
            exit(2);
        }
        o->threads[o->n_threads++] = number(&list, ',', "--threads", 256);
    } while (*list);
}

static options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},
        {"python", required_argument, NULL, 'p'},
        {"rounds", required_argument, NULL, 'r'},
        {"threads", required_argument, NULL, 't'},
        {"growth", no_argument, NULL, 'g'},
        {"write", required_argument, NULL, 'w'},
        {"steps", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    options o = {
        .python = getenv("MINNOW_BENCH_PYTHON"), .threads = {1, 2}, .n_threads = 2, .turn_ns = 2e7};
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        const char *text = optarg;
        switch (c) {
        case 'q':
            o.quick = true;
            break;
        case 'p':
            o.python = text;
            break;
        case 'r':
            o.rounds = number(&text, 0, "--rounds", MAX_ROUNDS);
            break;
        case 't':
            parse_threads(&o, text);
            break;
        case 'g':
            o.growth = true;
            break;
        case 'w':
            o.directory = text;
            break;
        case 's':
            o.steps = number(&text, 0, "--steps", 1000000000);
            break;
        case 'h':
            print_help();
            exit(0);
        default:
            fputs("bench: --help lists the options\n", stderr);
            exit(2);
        }
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

static bool report_all(contender *all, const options *o, char **argv)
{
    static result results[ROWS * MAX_THREADS];
    int n = 0;
    const double peak = peak_flops();
    if (!report_table(all, o, peak, results, &n) || !report_costs(argv[0], o->quick)) return false;
    report_scaling(results, n);
    if (o->growth && !report_growth(argv[0], o->quick)) return false;
    report_setting(all, o, peak, argv);
    plot_ratios(results, n, o);
    return true;
}

int main(int argc, char **argv)
{
    const options o = parse(argc, argv);
    if (o.steps) return costs_steps(o.steps);
    if (o.directory && !report_open(o.directory)) return EXIT_FAILURE;
    contender all[CONTENDERS] = {
        contender_minnow(), contender_handloop(),
        contender_python("PyTorch", o.python, MINNOW_BENCH_DIR "/torch_bench.py", !o.python),
        contender_python("JAX", o.python, MINNOW_BENCH_DIR "/jax_bench.py", true)};
    bool fine = !(o.python && all[TORCH].absent);
    if (!fine) fprintf(stderr, "bench: %s: %s\n", o.python, all[TORCH].absent);
    fine = fine && report_all(all, &o, argv);
    contender_python_stop(&all[TORCH]);
    contender_python_stop(&all[JAX]);
    fine = report_close() && fine;
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
