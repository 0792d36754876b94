/*
 * terminal.c: escapes around text that reads the same without them.
 */
#define _DEFAULT_SOURCE /* isatty, ioctl, clock_gettime, sigaction */
#include "terminal.h"
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- text ---- */

void add_text(char *buffer, size_t size, const char *format, ...)
{
    size_t used = strlen(buffer);
    va_list args;
    va_start(args, format);
    vsnprintf(buffer + used, size - used, format, args);
    va_end(args);
}

number grouped(int64_t n)
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

const char *bold(const terminal *t)
{
    return t->colour ? "\033[1m" : "";
}
const char *dim(const terminal *t)
{
    return t->colour ? "\033[2m" : "";
}
const char *red(const terminal *t)
{
    return t->colour ? "\033[31m" : "";
}
const char *green(const terminal *t)
{
    return t->colour ? "\033[32m" : "";
}
const char *plain(const terminal *t)
{
    return t->colour ? "\033[0m" : "";
}

/* ---- the bar ---- */

terminal terminal_begin(bool quiet)
{
    const char *name = getenv("TERM"), *no_color = getenv("NO_COLOR");
    struct winsize size;
    terminal t = {.width = 80, .begun = seconds_now()};
    t.bar = isatty(STDOUT_FILENO) && name && strcmp(name, "dumb") && !quiet;
    t.colour = t.bar && !(no_color && *no_color);
    if (t.bar && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col) t.width = size.ws_col;
    return t;
}

void terminal_bar(terminal *t, const char *head, const char *tail, double part, double all)
{
    double now = seconds_now();
    if (!t->bar || (now - t->drawn < 0.05 && part < 1)) return;
    t->drawn = now;

    int left = all > 0 ? (int)ceil((now - t->begun) * (1 - all) / all) : 0;
    char end[256] = "", line[1024] = "";
    add_text(end, sizeof end, " %s  %d:%02d left", tail, left / 60, left % 60);

    int room = t->width - (int)(strlen(head) + 1 + strlen(end)) - 1;
    int length = room < 4 ? 0 : room > 40 ? 40 : room;
    int full = (int)(part * length);
    if (room < 0) /* a narrow terminal: no line may wrap */
        end[room + (int)strlen(end) > 0 ? room + (int)strlen(end) : 0] = 0;
    add_text(line, sizeof line, "%s %s", head, green(t));
    for (int i = 0; i < full; i++) add_text(line, sizeof line, "━");
    add_text(line, sizeof line, "%s%s", plain(t), dim(t));
    for (int i = full; i < length; i++) add_text(line, sizeof line, "─");
    printf("\r%s%s%s\033[K", line, plain(t), end);
    fflush(stdout);
}

const char *terminal_clear(const terminal *t)
{
    return t->bar ? "\r\033[K" : "";
}

void terminal_pixels(const terminal *t, double upper, double lower)
{
    static const char *const blocks[] = {" ", "▀", "▄", "█"};
    int above = 232 + (int)(23.4 * upper), below = 232 + (int)(23.4 * lower); /* greys */
    if (!t->colour)
        fputs(blocks[(upper > 0.4) + 2 * (lower > 0.4)], stdout);
    else if (above >= below)
        printf("\033[38;5;%d;48;5;%dm%s", above, below, blocks[above > below]);
    else
        printf("\033[38;5;%d;48;5;%dm%s", below, above, blocks[2]);
}

/* ---- the program ---- */

static volatile sig_atomic_t caught;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    caught = 1;
}

void catch_interrupt(void)
{
    struct sigaction once = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &once, NULL);
}

bool interrupted(void)
{
    return caught;
}

int end_program(const char *program, int status)
{
    if (!fflush(stdout) && !ferror(stdout)) return status;
    fprintf(stderr, "%s: cannot write to standard output\n", program);
    return status ? status : 1;
}
