/*
 * run_torch.c: PyTorch's side of the benchmark: torch_bench.py as a child process that is asked for its
 * turns over a pipe, so that it runs between the turns of the others.
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
#include <unistd.h>

static struct {
    pid_t pid;
    FILE *to, *from;
    char version[128];
} child;

/* In the child: becomes python; does not return. */
static void become(const char *python, int threads, const int in[2], const int out[2], bool quiet)
{
    char text[16];
    snprintf(text, sizeof text, "%d", threads);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    int null = quiet ? open("/dev/null", O_WRONLY) : -1;
    if (null >= 0) dup2(null, STDERR_FILENO);
    /* Without this glibc hands large blocks back to the system and faults them in again at each
     * step; PyTorch is measured at its best. */
    setenv("MALLOC_MMAP_THRESHOLD_", "1073741824", 0);
    setenv("MALLOC_TRIM_THRESHOLD_", "1073741824", 0);
    execlp(python, python, MINNOW_BENCH_TORCH, text, (char *)NULL);
    fprintf(stderr, "bench: cannot run %s\n", python);
    _exit(127);
}

static bool start(const char *python, int threads, bool quiet)
{
    int in[2], out[2];
    if (pipe(in)) return false;
    if (pipe(out)) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    fflush(NULL);
    child.pid = fork();
    if (child.pid == 0) become(python, threads, in, out, quiet);
    close(in[0]);
    close(out[1]);
    child.to = fdopen(in[1], "w");
    child.from = fdopen(out[0], "r");
    return child.pid > 0 && child.to && child.from;
}

/* Sends the request and reads the one-line answer; false when the child is gone. */
static bool answer(char *line, int size, const char *request, ...)
{
    va_list args;
    va_start(args, request);
    bool sent = vfprintf(child.to, request, args) > 0 && fflush(child.to) == 0;
    va_end(args);
    if (!sent || !fgets(line, size, child.from)) {
        fprintf(stderr, "bench: PyTorch ended before its time\n");
        return false;
    }
    line[strcspn(line, "\n")] = 0;
    return true;
}

static bool torch_open(const work *w, int threads)
{
    (void)threads; /* given at the start */
    char line[128];
    static const char *const names[] = {"mlp", "cnn", "rrelu"};
    return answer(line, sizeof line, "open %s %lld\n", names[w->kind], (long long)w->n) &&
           strncmp(line, "ok", 2) == 0;
}

static double torch_loss(int steps)
{
    char line[128];
    return answer(line, sizeof line, "loss %d\n", steps) ? strtod(line, NULL) : NAN;
}

static double torch_run(int steps)
{
    char line[128];
    return answer(line, sizeof line, "run %d\n", steps) ? strtod(line, NULL) : NAN;
}

static void torch_close(void) {}

contender contender_torch(const char *python, int threads)
{
    contender c = {.title = "PyTorch",
                   .open = torch_open,
                   .loss = torch_loss,
                   .run = torch_run,
                   .close = torch_close};
    signal(SIGPIPE, SIG_IGN); /* a child that died is an answer that does not come */
    if (!start(python ? python : "python3", threads, !python) ||
        !fgets(child.version, sizeof child.version, child.from)) {
        contender_torch_stop();
        child.version[0] = 0;
        c.absent = python ? "the Python that was given cannot run it"
                          : "no python3 with torch (give one with --python)";
    }
    child.version[strcspn(child.version, "\n")] = 0;
    return c;
}

void contender_torch_stop(void)
{
    if (child.to) fclose(child.to);
    if (child.from) fclose(child.from);
    if (child.pid > 0) waitpid(child.pid, NULL, 0);
    child.to = child.from = NULL;
    child.pid = 0;
}

const char *torch_version(void)
{
    return child.version;
}
