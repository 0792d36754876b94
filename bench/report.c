/*
 * report.c: writes tables to stdout and results.md alike, and plots as SVG.
 */
#define _POSIX_C_SOURCE 200809L
#include "report.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *directory;
    FILE *results;
    bool failed;
} report;

/* DIR/<file>, opened to be written; NULL after a line on stderr. */
static FILE *begin(const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", report.directory, file);
    FILE *f = fopen(path, "w");
    if (!f) fprintf(stderr, "bench: cannot write %s: %s\n", path, strerror(errno));
    report.failed |= !f;
    return f;
}

static void end(FILE *f, const char *file)
{
    const bool good = !ferror(f);
    if (fclose(f) == 0 && good) return;
    fprintf(stderr, "bench: could not write all of %s\n", file);
    report.failed = true;
}

bool report_open(const char *directory)
{
    report.directory = directory;
    mkdir(directory, 0777); /* whether it is there now, fopen tells */
    report.results = begin("results.md");
    return report.results;
}

bool report_close(void)
{
    if (report.results) end(report.results, "results.md");
    report.results = NULL;
    return !report.failed;
}

void say(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    vprintf(format, args);
    fflush(stdout);
    if (report.results) vfprintf(report.results, format, again);
    va_end(again);
    va_end(args);
}

/* ---- plots ---- */

static const char *const colours[] = {"#4477aa", "#ee8866", "#44aa77", "#aa4488"};
enum { COLOURS = sizeof colours / sizeof *colours };

static void head(FILE *f, double width, double height)
{
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%g' height='%g' "
            "font-family='sans-serif' font-size='13'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n",
            width, height);
}

/* anchor: start, middle or end. No text here has a character that XML escapes. */
static void text(FILE *f, double x, double y, const char *anchor, const char *words)
{
    fprintf(f, "<text x='%.1f' y='%.1f' text-anchor='%s'>%s</text>\n", x, y, anchor, words);
}

static void line(FILE *f, double x1, double y1, double x2, double y2, const char *colour)
{
    fprintf(f, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='%s'/>\n", x1, y1, x2, y2,
            colour);
}

static void rectangle(FILE *f, double x, double y, double width, double height, int series)
{
    fprintf(f, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='%s'/>\n", x, y, width,
            height, colours[series % COLOURS]);
}

void plot_bars(const char *file, const char *title, const bar *bars, int n, char (*names)[16],
               int n_names)
{
    enum { LEFT = 300, WIDE = 480, HIGH = 14, GAP = 8, TOP = 60 };
    FILE *f = report.directory && n ? begin(file) : NULL;
    if (!f) return;
    double end_of_axis = 1, y = TOP;
    int groups = 0;
    for (int i = 0; i < n; i++) {
        end_of_axis = fmax(end_of_axis, bars[i].value);
        groups += i == 0 || strcmp(bars[i].label, bars[i - 1].label) != 0;
    }
    const double scale = WIDE / end_of_axis, bottom = TOP + n * HIGH + (groups + 1) * GAP;

    head(f, LEFT + WIDE + 60, bottom + 30);
    text(f, 10, 20, "start", title);
    for (int i = 0; i < n_names; i++) {
        rectangle(f, LEFT + i * 110, 34, 12, 12, i);
        text(f, LEFT + i * 110 + 18, 45, "start", names[i]);
    }
    line(f, LEFT, TOP, LEFT, bottom, "#888888");
    line(f, LEFT + scale, TOP, LEFT + scale, bottom, "#cc3333");
    text(f, LEFT + scale, bottom + 16, "middle", "1");
    for (int i = 0; i < n; i++, y += HIGH) {
        if (i == 0 || strcmp(bars[i].label, bars[i - 1].label) != 0) {
            y += GAP;
            text(f, LEFT - 8, y + 12, "end", bars[i].label);
        }
        char value[32];
        snprintf(value, sizeof value, "%.2f", bars[i].value);
        rectangle(f, LEFT, y, bars[i].value * scale, HIGH - 2, bars[i].series);
        text(f, LEFT + bars[i].value * scale + 4, y + 11, "start", value);
    }
    fputs("</svg>\n", f);
    end(f, file);
}

/* A scale from the decade below to the one above. */
typedef struct scale {
    double low, high, from, to; /* decades; pixels */
} scale;

static scale decades(const double *x, int n, double from, double to)
{
    scale s = {INFINITY, -INFINITY, from, to};
    for (int i = 0; i < n; i++) {
        s.low = fmin(s.low, floor(log10(x[i])));
        s.high = fmax(s.high, ceil(log10(x[i])));
    }
    s.high = fmax(s.high, s.low + 1);
    return s;
}

static double pixel(scale s, double x)
{
    return s.from + (log10(x) - s.low) / (s.high - s.low) * (s.to - s.from);
}

static void plot_curve(FILE *f, const curve *c, double left, double top, double size)
{
    const double bottom = top + size;
    const scale x = decades(c->x, c->n, left, left + size), y = decades(c->y, c->n, bottom, top);
    text(f, left + size / 2, top - 14, "middle", c->title);
    text(f, left + size / 2, bottom + 40, "middle", c->x_name);
    text(f, left - 6, top - 14, "end", c->y_name);
    for (double d = x.low; d <= x.high; d++) {
        char value[32];
        snprintf(value, sizeof value, "1e%g", d);
        line(f, pixel(x, pow(10, d)), top, pixel(x, pow(10, d)), bottom, "#dddddd");
        text(f, pixel(x, pow(10, d)), bottom + 18, "middle", value);
    }
    for (double d = y.low; d <= y.high; d++) {
        char value[32];
        snprintf(value, sizeof value, "1e%g", d);
        line(f, left, pixel(y, pow(10, d)), left + size, pixel(y, pow(10, d)), "#dddddd");
        text(f, left - 6, pixel(y, pow(10, d)) + 4, "end", value);
    }
    fprintf(f, "<polyline fill='none' stroke='%s' stroke-width='2' points='", colours[0]);
    for (int i = 0; i < c->n; i++) fprintf(f, "%.1f,%.1f ", pixel(x, c->x[i]), pixel(y, c->y[i]));
    fputs("'/>\n", f);
    for (int i = 0; i < c->n; i++)
        fprintf(f, "<circle cx='%.1f' cy='%.1f' r='3' fill='%s'/>\n", pixel(x, c->x[i]),
                pixel(y, c->y[i]), colours[0]);
}

void plot_curves(const char *file, const curve *curves, int n)
{
    enum { SIZE = 260, MARGIN = 60 };
    FILE *f = report.directory ? begin(file) : NULL;
    if (!f) return;
    head(f, n * (SIZE + MARGIN) + MARGIN / 2, SIZE + 2 * MARGIN);
    for (int i = 0; i < n; i++)
        plot_curve(f, &curves[i], MARGIN + i * (SIZE + MARGIN), MARGIN, SIZE);
    fputs("</svg>\n", f);
    end(f, file);
}
