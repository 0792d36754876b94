/*
 * bench.c: minnow beside a hand-written loop on OpenBLAS, PyTorch and JAX, in one run; then what minnow costs
 * beside its arithmetic. Here are the options, and what is said about the run.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include "costs.h"
#include "report.h"
#include "table.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

typedef struct options {
    const char *python, *directory;
    bool quick, growth;
    int steps;    /* only costs_steps, unless 0 */
    char load[8]; /* of the machine before the run, which others may be using, too */
    table_opts table;
} options;

/* ---- what was measured, and on what ---- */

/* The mean number of running processes in the last minute, from Linux's /proc. */
static void read_load(char load[8])
{
    FILE *f = fopen("/proc/loadavg", "r");
    if (!f || fscanf(f, "%7s", load) != 1) snprintf(load, 8, "unknown");
    if (f) fclose(f);
}

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

static void report_setting(const contender *all, const options *o, char **argv)
{
    say("\nA step is forward, backward and the optimizer's update; of RReLU alone training forward "
        "and\nbackward. Each figure is the median (min..max) of %d rounds, in which the contenders "
        "take turns of\nabout %.0f ms; a ratio is minnow's time over the other's, below 1 is "
        "faster. The limit is the time of\nthe products' multiply-adds (2 operations each) at the "
        "peak of the cores, of\nconvolutions those of their sums as written: minnow needs fewer "
        "for them. JAX has "
        "one core.\n",
        o->table.rounds, o->table.turn_ns / 1e6);
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
    say("- peak of one core: %.0f GFLOP/s\n- load before: %s\n- date: %s\n- command:",
        o->table.peak, o->load, date);
    /* as somebody else would write it: where a Python is differs */
    say(" ./run bench");
    for (int i = 1; argv[i]; i++)
        say(" %s", strcmp(argv[i - 1], "--python") == 0 ? "PYTHON" : argv[i]);
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

static void parse_threads(table_opts *o, const char *list)
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
    options o = {.python = getenv("MINNOW_BENCH_PYTHON"),
                 .table = {.threads = {1, 2}, .n_threads = 2, .turn_ns = 2e7}};
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
            o.table.rounds = number(&text, 0, "--rounds", MAX_ROUNDS);
            break;
        case 't':
            parse_threads(&o.table, text);
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
    if (o.quick) o.table.turn_ns = 1e6;
    if (!o.table.rounds) o.table.rounds = o.quick ? 2 : 21;
    return o;
}

static bool report_all(contender *all, options *o, char **argv)
{
    o->table.peak = peak_flops();
    if (!report_table(all, &o->table) || !report_costs(argv[0], o->quick)) return false;
    report_scaling();
    if (o->growth && !report_growth(argv[0], o->quick)) return false;
    report_setting(all, o, argv);
    plot_ratios();
    return true;
}

int main(int argc, char **argv)
{
    options o = parse(argc, argv);
    if (o.steps) return costs_steps(o.steps);
    read_load(o.load);
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
