/*
 * arguments.c: getopt_long over the table of options, and the readers of their values.
 */
#define _DEFAULT_SOURCE /* getopt_long, sysconf */
#include "arguments.h"
#include "picture.h"
#include "plot.h"
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- values ---- */

bool argument_int(const char *program, const char *name, const char *text, double low, double high,
                  int64_t *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (isspace((unsigned char)*text) || end == text || *end || errno || v < (int64_t)low ||
        v > (int64_t)high) {
        fprintf(stderr, "%s: --%s '%s' is not a whole number from %.0f to %.0f\n", program, name,
                text, low, high);
        return false;
    }
    *value = v;
    return true;
}

static bool read_number(const char *program, const argument *a, const char *text)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (isspace((unsigned char)*text) || end == text || *end || errno || !isfinite(v) ||
        v < a->low || v > a->high) {
        fprintf(stderr, "%s: --%s '%s' is not a number from %g to %g\n", program, a->name, text,
                a->low, a->high);
        return false;
    }
    *(double *)a->value = v;
    return true;
}

static bool read_seed(const char *program, const argument *a, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || v > UINT64_MAX) {
        fprintf(stderr, "%s: --%s '%s' is not a whole number from 0 to 2^64 - 1\n", program,
                a->name, text);
        return false;
    }
    *(uint64_t *)a->value = v;
    return true;
}

static bool read_choice(const char *program, const argument *a, const char *text)
{
    for (int i = 0; a->choices[i]; i++) {
        if (strcmp(text, a->choices[i])) continue;
        *(int *)a->value = i;
        return true;
    }
    fprintf(stderr, "%s: --%s '%s' is none of", program, a->name, text);
    for (int i = 0; a->choices[i]; i++) fprintf(stderr, "%s %s", i ? "," : "", a->choices[i]);
    fputc('\n', stderr);
    return false;
}

static bool read_file(const char *program, const argument *a, const char *text)
{
    *(const char **)a->value = text;
    if (*text) return true;
    fprintf(stderr, "%s: --%s may not be empty\n", program, a->name);
    return false;
}

static bool take(const char *program, const argument *a, const char *text)
{
    int64_t whole = 0;
    bool ok;
    if (a->given) *a->given = true;
    switch (a->kind) {
    case ARG_INT:
        ok = argument_int(program, a->name, text, a->low, a->high, &whole);
        if (ok) *(int *)a->value = (int)whole;
        return ok;
    case ARG_INT64:
        return argument_int(program, a->name, text, a->low, a->high, a->value);
    case ARG_NUMBER:
        return read_number(program, a, text);
    case ARG_SEED:
        return read_seed(program, a, text);
    case ARG_CHOICE:
        return read_choice(program, a, text);
    case ARG_FILE:
        return read_file(program, a, text);
    case ARG_PICTURE:
        return read_file(program, a, text) && plot_name_fits(program, text);
    case ARG_PNG:
        return read_file(program, a, text) && picture_name_fits(program, text);
    case ARG_OTHER:
        return a->read(program, text, a->value);
    default:
        *(bool *)a->value = true;
        return true;
    }
}

/* ---- the command line ---- */

enum {
    MAX_OPTIONS = 32,
    FIRST = 256 /* beyond every character, so that optopt tells the two apart */
};

static void complain(const char *program, int option, const char *word)
{
    if (option == ':')
        fprintf(stderr, "%s: %s needs a value (%s --help)\n", program, word, program);
    else if (optopt >= FIRST)
        fprintf(stderr, "%s: %s: this option takes no value (%s --help)\n", program, word, program);
    else if (optopt)
        fprintf(stderr, "%s: unknown option -%c (%s --help)\n", program, optopt, program);
    else
        fprintf(stderr, "%s: unknown option %s (%s --help)\n", program, word, program);
}

bool arguments_parse(const char *program, const char *help, const argument *options, int n,
                     int argc, char **argv, int *status)
{
    struct option table[MAX_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
    for (int i = 0; i < n; i++)
        table[i + 1] =
            (struct option){options[i].name, options[i].kind != ARG_FLAG, NULL, FIRST + i};
    *status = 2;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":h", table, NULL)) != -1;) {
        if (option == 'h') {
            *status = fputs(help, stdout) < 0 || fflush(stdout) ? 1 : 0;
            return false;
        }
        if (option == ':' || option == '?') {
            complain(program, option, argv[optind - 1]);
            return false;
        }
        if (!take(program, &options[option - FIRST], optarg)) return false;
    }
    if (optind == argc) return true;
    fprintf(stderr, "%s: '%s' is not an option (%s --help)\n", program, argv[optind], program);
    return false;
}

int arguments_threads(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > 4 ? 4 : (int)processors;
}
