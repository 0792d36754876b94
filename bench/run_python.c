/*
 * run_python.c: a contender that is a Python script: a child process that is asked for its turns over a
 * pipe, so that it runs between the turns of the others.
 */
#define _POSIX_C_SOURCE 200809L
#include "bench.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <unistd.h>

struct child {
    pid_t pid;
    FILE *to, *from;
};

/* In the child: becomes python; does not return. */
static void become(const char *python, const char *script, int in, int out, bool quiet)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* else one that is stopped would outlive bench */
#endif
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    int null = quiet ? open("/dev/null", O_WRONLY) : -1;
    if (null >= 0) dup2(null, STDERR_FILENO);
    /* Without this glibc hands large blocks back to the system and faults them in again at each
     * step; the others are measured at their best. */
    setenv("MALLOC_MMAP_THRESHOLD_", "1073741824", 0);
    setenv("MALLOC_TRIM_THRESHOLD_", "1073741824", 0);
    execlp(python, python, "-B", script, (char *)NULL); /* -B: leaves no __pycache__ */
    fprintf(stderr, "bench: cannot run %s\n", python);
    _exit(127);
}

/* A pipe whose ends do not go to children that are started later. */
static bool private_pipe(int ends[2])
{
    if (pipe(ends)) return false;
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return true;
}

static bool start(struct child *c, const char *python, const char *script, bool quiet)
{
    int in[2], out[2];
    if (!private_pipe(in)) return false;
    if (!private_pipe(out)) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    fflush(NULL);
    c->pid = fork();
    if (c->pid == 0) become(python, script, in[0], out[1], quiet);
    close(in[0]);
    close(out[1]);
    c->to = fdopen(in[1], "w");
    c->from = fdopen(out[0], "r");
    return c->pid > 0 && c->to && c->from;
}

/* Sends the request and reads the one-line answer; false when the child is gone. In between it is stopped:
 * its threads would go on spinning for a while, on the cores of who has the next turn. */
static bool answer(contender *c, char *line, int size, const char *request, ...)
{
    va_list args;
    va_start(args, request);
    kill(c->child->pid, SIGCONT);
    bool sent = vfprintf(c->child->to, request, args) > 0 && fflush(c->child->to) == 0;
    va_end(args);
    if (!sent || !fgets(line, size, c->child->from)) {
        fprintf(stderr, "bench: %s ended before its time\n", c->title);
        return false;
    }
    kill(c->child->pid, SIGSTOP);
    line[strcspn(line, "\n")] = 0;
    return true;
}

static opened python_open(contender *c, const work *w, int threads)
{
    char line[128];
    if (!answer(c, line, sizeof line, "open %s %lld %d\n", w->net, (long long)w->n, threads))
        return OPEN_FAILED;
    if (strncmp(line, "ok", 2) != 0) return OPEN_ABSENT;
    snprintf(c->form, sizeof c->form, "%.60s", line[2] ? line + 3 : "");
    return OPEN_READY;
}

static double python_loss(contender *c, int steps)
{
    char line[128];
    return answer(c, line, sizeof line, "loss %d\n", steps) ? strtod(line, NULL) : NAN;
}

static double python_run(contender *c, int steps)
{
    char line[128];
    return answer(c, line, sizeof line, "run %d\n", steps) ? strtod(line, NULL) : NAN;
}

static void python_close(contender *c)
{
    (void)c;
}

contender contender_python(const char *title, const char *python, const char *script, bool quiet)
{
    contender c = {.title = title,
                   .child = calloc(1, sizeof(struct child)),
                   .open = python_open,
                   .loss = python_loss,
                   .run = python_run,
                   .close = python_close};
    signal(SIGPIPE, SIG_IGN); /* a child that died is an answer that does not come */
    if (!c.child || !start(c.child, python ? python : "python3", script, quiet) ||
        !fgets(c.version, sizeof c.version, c.child->from)) {
        contender_python_stop(&c);
        c.version[0] = 0;
        c.absent = python ? "the Python that was given cannot run it"
                          : "python3 cannot run it (give another with --python)";
    }
    c.version[strcspn(c.version, "\n")] = 0;
    return c;
}

void contender_python_stop(contender *c)
{
    if (!c->child) return;
    if (c->child->pid > 0) kill(c->child->pid, SIGCONT);
    if (c->child->to) fclose(c->child->to);
    if (c->child->from) fclose(c->child->from);
    if (c->child->pid > 0) waitpid(c->child->pid, NULL, 0);
    free(c->child);
    c->child = NULL;
}
