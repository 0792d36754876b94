/*
 * plot.c: starts gnuplot for a file, chooses what it draws with by the file's name, and notices when
 * it fails.
 */
#define _DEFAULT_SOURCE /* popen */
#include "plot.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool plot_ends_in(const char *file, const char *suffix)
{
    size_t n = strlen(file), k = strlen(suffix);
    return n > k && !strcasecmp(file + n - k, suffix);
}

bool plot_name_fits(const char *program, const char *file)
{
    if (strchr(file, '\n') || !(plot_ends_in(file, ".svg") || plot_ends_in(file, ".png"))) {
        fprintf(stderr, "%s: the picture '%s' must be called something.svg or something.png\n",
                program, file);
        return false;
    }
    return true;
}

bool plot_writable(const char *program, const char *file)
{
    FILE *old = fopen(file, "rb"), *f = fopen(file, "ab"); /* an older picture stays until then */
    bool ok = f && !fclose(f);
    if (!ok)
        fprintf(stderr, "%s: cannot write '%s': %s\n", program, file, strerror(errno));
    else if (!old)
        remove(file);
    if (old) fclose(old);
    return ok;
}

bool plot_possible(const char *program, const char *file)
{
    if (system("command -v gnuplot >/dev/null 2>&1")) {
        fprintf(stderr,
                "%s: '%s' is drawn by gnuplot, which is not installed (Debian, Ubuntu: apt install "
                "gnuplot-nox; Fedora: dnf install gnuplot; Arch: pacman -S gnuplot; macOS: brew "
                "install gnuplot)\n",
                program, file);
        return false;
    }
    return plot_writable(program, file);
}

FILE *plot_begin(const char *file, int width, int height)
{
    signal(SIGPIPE, SIG_IGN); /* a gnuplot that ended early shows in plot_end */
    FILE *gnuplot = popen("gnuplot", "w");
    if (!gnuplot) return NULL;
    if (plot_ends_in(file, ".svg"))
        fprintf(gnuplot, "set terminal svg size %d,%d font 'sans-serif,14' background 'white'\n",
                width, height);
    else
        fprintf(gnuplot,
                "png = strstrt(GPVAL_TERMINALS, 'pngcairo') ? 'pngcairo' : 'png'\n"
                "set terminal @png size %d,%d\n",
                width, height);
    fprintf(gnuplot, "set output '%s",
            *file == '/' ? "" : "./"); /* '|' and '~' mean nothing then */
    for (const char *c = file; *c; c++) fputs(*c == '\'' ? "''" : (char[]){*c, 0}, gnuplot);
    fputs("'\n"
          "set grid lc rgb '#dddddd' lt 1\n"
          "set border 3 lc rgb '#888888'\n"
          "set tics nomirror tc rgb '#444444'\n",
          gnuplot);
    return gnuplot;
}

bool plot_end(const char *program, const char *file, FILE *gnuplot)
{
    bool ok = gnuplot && !ferror(gnuplot);
    if (gnuplot && pclose(gnuplot)) ok = false;
    signal(SIGPIPE, SIG_DFL);
    if (!ok) fprintf(stderr, "%s: gnuplot could not draw '%s'\n", program, file);
    return ok;
}
