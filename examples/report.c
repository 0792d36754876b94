/*
 * report.c: what the MNIST example says, line by line; its pictures are half blocks, two pixels in a
 * character.
 */
#include "report.h"
#include <inttypes.h>
#include <string.h>

static void title(const report *r, const char *text)
{
    printf("\n%s%s%s\n", bold(&r->t), text, plain(&r->t));
}

/* ---- before and during training ---- */

report report_begin(const options *o)
{
    return (report){.o = o, .t = terminal_begin(o->quiet)};
}

void report_net(char *buffer, size_t size, const options *o, const review *data)
{
    *buffer = 0;
    if (o->model == CNN)
        add_text(buffer, size, "convolutions 16 - 32 - 64");
    else
        add_text(buffer, size, "%" PRId64, data->height * data->width);
    for (int i = 0; i < o->n_hidden; i++) add_text(buffer, size, " - %" PRId64, o->hidden[i]);
    add_text(buffer, size, " - %" PRId64, data->classes);
    if (o->model == MLP && !o->n_hidden) return;
    add_text(buffer, size, ", %s", activation_name(o->activation));
    if (o->activation == RRELU) add_text(buffer, size, "(%.3g, %.3g)", o->lower, o->upper);
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
    if (o->shift)
        printf("       images moved by up to %" PRId64 " pixel%s\n", o->shift,
               o->shift == 1 ? "" : "s");
    printf("       seed %" PRIu64 ", %d thread%s, minnow %s\n\n", o->seed, o->threads,
           o->threads == 1 ? "" : "s", MN_VERSION);
    fflush(stdout);
    r->t.begun = seconds_now();
}

void report_progress(report *r, const progress *p)
{
    char head[64], tail[128];
    double part = (double)p->batch / (double)p->batches;
    snprintf(head, sizeof head, "epoch %d/%d", p->epoch, r->o->epochs);
    snprintf(tail, sizeof tail, "loss %.4f  accuracy %5.2f %%  %6s images/s", p->train->loss,
             100 * p->train->accuracy, grouped((int64_t)p->images_per_second).text);
    terminal_bar(&r->t, head, tail, part, ((p->epoch - 1) + part) / r->o->epochs);
}

void report_epoch(report *r, const progress *p, const epoch *e)
{
    if (r->o->quiet) return;
    int digits = r->o->epochs < 10 ? 1 : r->o->epochs < 100 ? 2 : r->o->epochs < 1000 ? 3 : 6;
    printf("%sepoch %*d/%d  train %.4f %6.2f %%  test %.4f %s%6.2f %%%s  %.1f s  %s images/s\n",
           terminal_clear(&r->t), digits, p->epoch, r->o->epochs, e->train.loss,
           100 * e->train.accuracy, e->test.loss, bold(&r->t), 100 * e->test.accuracy, plain(&r->t),
           e->seconds, grouped((int64_t)p->images_per_second).text);
    fflush(stdout);
}

void report_stopped(report *r, const progress *p)
{
    if (r->o->quiet) return;
    printf("%sstopped in epoch %d after %" PRId64 " of %" PRId64 " batches\n",
           terminal_clear(&r->t), p->epoch, p->batch, p->batches);
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
            const char *tint = k == i ? green(&r->t) : row[k] ? red(&r->t) : dim(&r->t);
            printf("%s%*" PRId64 "%s", tint, column, row[k], plain(&r->t));
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
    if ((v->classes + 1) * column + 10 <= r->t.width) print_matrix(r, v, column);

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
    for (int64_t x = 0; x * f.step < f.width; x++)
        terminal_pixels(&r->t, brightness(v, m, f, 2 * line, x),
                        brightness(v, m, f, 2 * line + 1, x));
    fputs(plain(&r->t), stdout);
}

static void print_mistakes(const report *r, const review *v)
{
    frame f = frame_of(v);
    int columns = (int)((f.width + f.step - 1) / f.step), gap = 3;
    int64_t lines = ((f.height + f.step - 1) / f.step + 1) / 2;
    int cell = columns < 17 ? 17 : columns; /* room for the captions */
    int across = (r->t.width + gap) / (cell + gap);
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
            printf("%s%-*s%s", bold(&r->t), k + 1 < end ? cell + gap : 0, text, plain(&r->t));
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
    printf("  %s%-22s%s %s\n", bold(&r->t), option, plain(&r->t), text);
}

/* Four steps at most, the most promising first. */
static void print_hints(const report *r, const score *train, const score *test, int64_t all_samples)
{
    const options *o = r->o;
    const bool layered = o->model == CNN || o->n_hidden;
    int n = 0;
    title(r, "what to try next");
    if (train->samples < all_samples) {
        char text[96];
        snprintf(text, sizeof text, "leave it out to train on all %s images",
                 grouped(all_samples).text);
        hint(r, "--limit", text), n++;
    }
    if (o->epochs < (o->model == CNN ? 8 : 15))
        hint(r, o->model == CNN ? "--epochs 8" : "--epochs 15", "train longer"), n++;
    if (o->model == MLP) hint(r, "--model cnn", "convolutions: slower, half as many mistakes"), n++;
    if (!layered)
        hint(r, "--hidden 256,128", "hidden layers let the net see shapes"), n++;
    else if (o->activation != RRELU)
        hint(r, "--activation rrelu", "random slopes keep the net from learning by heart"), n++;
    else if (train->accuracy - test->accuracy > 0.01)
        hint(r, "--lower 0 --upper 0.5", "more randomness, less learning by heart"), n++;
    else
        hint(r, "--activation relu", "the same net without the random slopes"), n++;
    if (n < 4 && o->n_hidden)
        hint(r, "--hidden 1024,512", "a larger net: slower, often better"), n++;
    if (n < 4 && o->n_hidden)
        hint(r, "--hidden none", "how far a net without hidden layers gets"), n++;
    if (n < 4 && !o->plot) hint(r, "--plot curves.svg", "loss and accuracy over the epochs");
}

static void print_score(const report *r, const char *name, const score *s)
{
    printf("%-6s %9.4f   %s%6.2f %%%s   %s of %s wrong\n", name, s->loss, bold(&r->t),
           100 * s->accuracy, plain(&r->t), grouped(s->wrong).text, grouped(s->samples).text);
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
