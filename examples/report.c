/*
 * report.c: the terminal output of the MNIST example. Colours are escapes around text that reads the
 * same without them; pictures are half blocks, two pixels in a character.
 */
#define _DEFAULT_SOURCE /* isatty, ioctl, clock_gettime */
#include "report.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- text ---- */

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Adds to the text in a buffer; what does not fit is cut. */
static void add(char *buffer, size_t size, const char *format, ...)
{
    size_t used = strlen(buffer);
    va_list args;
    va_start(args, format);
    vsnprintf(buffer + used, size - used, format, args);
    va_end(args);
}

typedef struct number {
    char text[32];
} number;

/* 60000 as "60,000" */
static number grouped(int64_t n)
{
    number out = {0};
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, n);
    size_t length = strlen(digits), k = 0;
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) out.text[k++] = ',';
        out.text[k++] = digits[i];
    }
    return out;
}

/* Escapes of the terminal, nothing where there are no colours. */
static const char *bold(const report *r)
{
    return r->colour ? "\033[1m" : "";
}
static const char *dim(const report *r)
{
    return r->colour ? "\033[2m" : "";
}
static const char *red(const report *r)
{
    return r->colour ? "\033[31m" : "";
}
static const char *green(const report *r)
{
    return r->colour ? "\033[32m" : "";
}
static const char *plain(const report *r)
{
    return r->colour ? "\033[0m" : "";
}

static void title(const report *r, const char *text)
{
    printf("\n%s%s%s\n", bold(r), text, plain(r));
}

/* ---- before and during training ---- */

report report_begin(const options *o)
{
    const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");
    struct winsize size;
    report r = {.o = o, .width = 80, .begun = seconds_now()};
    r.bar = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") && !o->quiet;
    r.colour = r.bar && !(no_color && *no_color);
    if (r.bar && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col) r.width = size.ws_col;
    return r;
}

void report_net(char *buffer, size_t size, const options *o, const review *data)
{
    *buffer = 0;
    add(buffer, size, "%" PRId64, data->height * data->width);
    for (int i = 0; i < o->n_hidden; i++) add(buffer, size, " - %" PRId64, o->hidden[i]);
    add(buffer, size, " - %" PRId64, data->classes);
    if (!o->n_hidden) return;
    add(buffer, size, ", %s", activation_name(o->activation));
    if (o->activation == RRELU) add(buffer, size, "(%.3g, %.3g)", o->lower, o->upper);
}

void report_setup(report *r, const review *data, int64_t train, int64_t test, int64_t parameters)
{
    const options *o = r->o;
    char net[256];
    if (o->quiet) return;
    report_net(net, sizeof net, o, data);
    printf("data   %s\n", o->data);
    printf("       %s training and %s test images of %" PRId64 " x %" PRId64 ", %" PRId64
           " classes\n",
           grouped(train).text, grouped(test).text, data->height, data->width, data->classes);
    printf("net    %s: %s parameters\n", net, grouped(parameters).text);
    printf("train  %d epoch%s, batch %" PRId64 ", learning rate %g falling to 0, momentum 0.9\n",
           o->epochs, o->epochs == 1 ? "" : "s", o->batch_size, o->lr);
    printf("       seed %" PRIu64 ", %d thread%s, minnow %s\n\n", o->seed, o->threads,
           o->threads == 1 ? "" : "s", MN_VERSION);
    fflush(stdout);
    r->begun = seconds_now();
}

void report_progress(report *r, const progress *p)
{
    double now = seconds_now();
    if (!r->bar || (now - r->drawn < 0.05 && p->batch < p->batches)) return;
    r->drawn = now;

    double done = (double)p->batch / (double)p->batches;
    double all = ((p->epoch - 1) + done) / r->o->epochs;
    int left = (int)ceil((now - r->begun) * (1 - all) / all);
    char head[64] = "", tail[128] = "", line[1024] = "";
    add(head, sizeof head, "epoch %d/%d ", p->epoch, r->o->epochs);
    add(tail, sizeof tail, " loss %.4f  accuracy %5.2f %%  %6s images/s  %d:%02d left",
        p->train->loss, 100 * p->train->accuracy, grouped((int64_t)p->images_per_second).text,
        left / 60, left % 60);

    int room = r->width - (int)(strlen(head) + strlen(tail)) - 1;
    int length = room < 4 ? 0 : room > 40 ? 40 : room;
    int full = (int)(done * length);
    if (room < 0) /* a narrow terminal: no line may wrap */
        tail[room + (int)strlen(tail) > 0 ? room + (int)strlen(tail) : 0] = 0;
    add(line, sizeof line, "%s%s", head, green(r));
    for (int i = 0; i < full; i++) add(line, sizeof line, "━");
    add(line, sizeof line, "%s%s", plain(r), dim(r));
    for (int i = full; i < length; i++) add(line, sizeof line, "─");
    printf("\r%s%s%s\033[K", line, plain(r), tail);
    fflush(stdout);
}

void report_epoch(report *r, const progress *p, const epoch *e)
{
    if (r->o->quiet) return;
    int digits = r->o->epochs < 10 ? 1 : r->o->epochs < 100 ? 2 : r->o->epochs < 1000 ? 3 : 6;
    printf("%sepoch %*d/%d  train %.4f %6.2f %%  test %.4f %s%6.2f %%%s  %.1f s  %s images/s\n",
           r->bar ? "\r\033[K" : "", digits, p->epoch, r->o->epochs, e->train.loss,
           100 * e->train.accuracy, e->test.loss, bold(r), 100 * e->test.accuracy, plain(r),
           e->seconds, grouped((int64_t)p->images_per_second).text);
    fflush(stdout);
}

void report_stopped(report *r, const progress *p)
{
    if (r->o->quiet) return;
    printf("%sstopped in epoch %d after %" PRId64 " of %" PRId64 " batches\n",
           r->bar ? "\r\033[K" : "", p->epoch, p->batch, p->batches);
}

/* ---- the summary: what was confused ---- */

static int digits_of(int64_t n)
{
    return snprintf(NULL, 0, "%" PRId64, n);
}

/* The `capacity` most frequent confusions, most frequent first, as places in v->confusion. */
static int frequent(const review *v, int64_t *places, int capacity)
{
    int n = 0;
    for (int64_t i = 0; i < v->classes * v->classes; i++) {
        if (i % (v->classes + 1) == 0 || !v->confusion[i]) continue;
        int at = n;
        while (at > 0 && v->confusion[places[at - 1]] < v->confusion[i]) at--;
        if (at == capacity) continue;
        if (n < capacity) n++;
        memmove(places + at + 1, places + at, (size_t)(n - at - 1) * sizeof *places);
        places[at] = i;
    }
    return n;
}

static void print_matrix(const report *r, const review *v, int column)
{
    title(r, "confusion matrix: a row for each true class, a column for each answer");
    printf("%*s", column, "");
    for (int64_t k = 0; k < v->classes; k++) printf("%*" PRId64, column, k);
    printf("     right\n");
    for (int64_t i = 0; i < v->classes; i++) {
        const int64_t *row = v->confusion + i * v->classes;
        int64_t all = 0;
        printf("%*" PRId64, column, i);
        for (int64_t k = 0; k < v->classes; k++) {
            const char *tint = k == i ? green(r) : row[k] ? red(r) : dim(r);
            printf("%s%*" PRId64 "%s", tint, column, row[k], plain(r));
            all += row[k];
        }
        if (all)
            printf("  %6.2f %%\n", 100.0 * (double)row[i] / (double)all);
        else
            printf("         -\n");
    }
}

static void print_confusion(const report *r, const review *v)
{
    int64_t largest = v->classes - 1, places[3];
    for (int64_t i = 0; i < v->classes * v->classes; i++)
        if (v->confusion[i] > largest) largest = v->confusion[i];
    int column = digits_of(largest) + 1;
    if (column < 5) column = 5;
    if ((v->classes + 1) * column + 10 <= r->width) print_matrix(r, v, column);

    int n = frequent(v, places, 3);
    printf("\nmost often confused:");
    for (int i = 0; i < n; i++)
        printf("%s %" PRId64 " read as %" PRId64 " (%" PRId64 ")", i ? "," : "",
               places[i] / v->classes, places[i] % v->classes, v->confusion[places[i]]);
    printf("%s\n", n ? "" : " nothing");
}

/* ---- the summary: the worst mistakes as pictures ---- */

/* The part of the images that is drawn: what is blank in all of them is cut off, and large images
 * are shrunk by averaging squares of `step` pixels. */
typedef struct frame {
    int64_t top, left, height, width, step;
} frame;

static frame frame_of(const review *v)
{
    int64_t top = v->height, bottom = 0, left = v->width, right = 0;
    for (int k = 0; k < v->n_mistakes; k++)
        for (int64_t y = 0; y < v->height; y++)
            for (int64_t x = 0; x < v->width; x++) {
                if (v->mistakes[k].pixels[y * v->width + x] < 0.1f) continue;
                if (y < top) top = y;
                if (y >= bottom) bottom = y + 1;
                if (x < left) left = x;
                if (x >= right) right = x + 1;
            }
    if (bottom <= top) return (frame){0, 0, v->height, v->width, 1 + (v->width - 1) / 28};
    frame f = {top, left, bottom - top, right - left, 1};
    while ((f.width - 1) / f.step >= 28 || (f.height - 1) / f.step >= 32) f.step++;
    return f;
}

/* Mean brightness of square (row, column) of the frame; what lies outside is dark. */
static double brightness(const review *v, const mistake *m, frame f, int64_t row, int64_t column)
{
    double sum = 0;
    for (int64_t y = row * f.step; y < (row + 1) * f.step && y < f.height; y++)
        for (int64_t x = column * f.step; x < (column + 1) * f.step && x < f.width; x++)
            sum += (double)m->pixels[(f.top + y) * v->width + f.left + x];
    return sum / (double)(f.step * f.step);
}

static void print_line(const report *r, const review *v, const mistake *m, frame f, int64_t line)
{
    static const char *const blocks[] = {" ", "▀", "▄", "█"};
    for (int64_t x = 0; x * f.step < f.width; x++) {
        double upper = brightness(v, m, f, 2 * line, x);
        double lower = brightness(v, m, f, 2 * line + 1, x);
        int above = 232 + (int)(23.4 * upper), below = 232 + (int)(23.4 * lower); /* greys */
        if (!r->colour)
            fputs(blocks[(upper > 0.4) + 2 * (lower > 0.4)], stdout);
        else if (above >= below)
            printf("\033[38;5;%d;48;5;%dm%s", above, below, blocks[above > below]);
        else
            printf("\033[38;5;%d;48;5;%dm%s", below, above, blocks[2]);
    }
    fputs(plain(r), stdout);
}

static void print_mistakes(const report *r, const review *v)
{
    frame f = frame_of(v);
    int columns = (int)((f.width + f.step - 1) / f.step), gap = 3;
    int64_t lines = ((f.height + f.step - 1) / f.step + 1) / 2;
    int cell = columns < 17 ? 17 : columns; /* room for the captions */
    int across = (r->width + gap) / (cell + gap);
    if (across < 1) across = 1;
    int shown = v->n_mistakes < 2 * across ? v->n_mistakes : 2 * across;

    title(r, "the worst mistakes");
    for (int first = 0; first < shown; first += across) {
        int end = first + across < shown ? first + across : shown;
        for (int64_t line = 0; line < lines; line++) {
            for (int k = first; k < end; k++) {
                print_line(r, v, &v->mistakes[k], f, line);
                printf("%*s", k + 1 < end ? cell - columns + gap : 0, "");
            }
            putchar('\n');
        }
        char text[64];
        for (int k = first; k < end; k++) {
            const mistake *m = &v->mistakes[k];
            snprintf(text, sizeof text, "a %" PRId64 ", read as %" PRId64, m->truth, m->predicted);
            printf("%s%-*s%s", bold(r), k + 1 < end ? cell + gap : 0, text, plain(r));
        }
        putchar('\n');
        for (int k = first; k < end; k++) {
            snprintf(text, sizeof text, "%.2f %% sure", 100 * v->mistakes[k].confidence);
            printf("%-*s", k + 1 < end ? cell + gap : 0, text);
        }
        printf("\n%s", end < shown ? "\n" : "");
    }
}

/* ---- the summary ---- */

static void hint(const report *r, const char *option, const char *text)
{
    printf("  %s%-22s%s %s\n", bold(r), option, plain(r), text);
}

/* Four steps at most, the most promising first. */
static void print_hints(const report *r, const score *train, const score *test, int64_t all_samples)
{
    const options *o = r->o;
    int n = 0;
    title(r, "what to try next");
    if (train->samples < all_samples) {
        char text[96];
        snprintf(text, sizeof text, "leave it out to train on all %s images",
                 grouped(all_samples).text);
        hint(r, "--limit", text), n++;
    }
    if (o->epochs < 15) hint(r, "--epochs 15", "train longer"), n++;
    if (!o->n_hidden)
        hint(r, "--hidden 256,128", "hidden layers let the net see shapes"), n++;
    else if (train->accuracy - test->accuracy > 0.01)
        hint(r, "--lower 0 --upper 0.5", "more randomness, less learning by heart"), n++;
    if (o->n_hidden && o->activation != RRELU)
        hint(r, "--activation rrelu", "random slopes keep the net from learning by heart"), n++;
    else if (o->n_hidden)
        hint(r, "--activation relu", "the same net without the random slopes"), n++;
    if (n < 4 && o->n_hidden)
        hint(r, "--hidden 1024,512", "a larger net: slower, often better"), n++;
    if (n < 4 && o->n_hidden)
        hint(r, "--hidden none", "how far a net without hidden layers gets"), n++;
    if (n < 4 && !o->plot) hint(r, "--plot curves.svg", "loss and accuracy over the epochs");
}

static void print_score(const report *r, const char *name, const score *s)
{
    printf("%-6s %9.4f   %s%6.2f %%%s   %s of %s wrong\n", name, s->loss, bold(r),
           100 * s->accuracy, plain(r), grouped(s->wrong).text, grouped(s->samples).text);
}

void report_summary(report *r, const score *train, const score *test, const review *v,
                    int64_t all_samples)
{
    if (r->o->quiet) return;
    title(r, "            loss   accuracy");
    print_score(r, "train", train);
    print_score(r, "test", test);
    print_confusion(r, v);
    if (v->n_mistakes) print_mistakes(r, v);
    print_hints(r, train, test, all_samples);
    putchar('\n');
}

void report_accuracy(const score *test)
{
    printf("test accuracy %.2f %%\n", 100 * test->accuracy);
}
