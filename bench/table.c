/*
 * table.c: measures rows and says them. The contenders take turns, round by round, so that a busy machine or
 * a changing clock meets all of them alike; a figure is the median of the rounds, a ratio the median of the
 * ratios of each round.
 */
#include "table.h"
#include "report.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

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
    int threads, k;        /* k: their place among the options */
    double time, to_torch; /* minnow's ns; NAN without PyTorch */
} result;

static result results[ROWS * MAX_THREADS];
static int n_results;

/* ---- measuring ---- */

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
                    const table_opts *o)
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
    return (result){.w = w, .threads = threads, .time = time, .to_torch = ratios[TORCH]};
}

bool report_table(contender all[CONTENDERS], const table_opts *o)
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
            const double limit = arithmetic > 0 ? arithmetic / (o->peak * threads) : NAN;
            results[n_results] = say_row(&rows[i], threads, f, limit, o->rounds);
            results[n_results++].k = k;
        }
    return true;
}

void report_scaling(void)
{
    enum { LONG_NS = 300000 }; /* below, threads cannot be expected to pay */
    int said = 0;
    for (int i = 1; i < n_results; i++) {
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

void plot_ratios(void)
{
    bar bars[ROWS * MAX_THREADS];
    char names[MAX_THREADS][16];
    int n = 0, n_names = 0;
    for (int i = 0; i < n_results; i++) {
        const result *r = &results[i];
        if (isnan(r->to_torch)) continue;
        bars[n++] = (bar){.label = r->w->label, .series = r->k, .value = r->to_torch};
        snprintf(names[r->k], sizeof names[r->k], "%d thread%s", r->threads,
                 r->threads == 1 ? "" : "s");
        if (n_names <= r->k) n_names = r->k + 1;
    }
    plot_bars("results.svg", "Time of a step in minnow over that in PyTorch", bars, n, names,
              n_names);
}
