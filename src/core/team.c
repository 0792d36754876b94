/*
 * core/team.c: the thread team, on pthreads. Every worker has a mailbox of its own: it spins on it
 * for some microseconds and then sleeps, so a busy step costs no system call and an idle program no
 * processor time. Only the workers that get chunks are woken.
 */
#ifdef __linux__
#define _GNU_SOURCE
#else
#define _POSIX_C_SOURCE 200809L
#endif
#include "core/team.h"

#include "core/memory.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    SPINS = 1000,   /* pauses of 15 to 45 ns */
    YIELDS = 1000,  /* system calls of 300 ns or more */
    STACK = 1 << 20 /* bytes: some libcs give less than a product's panel takes */
};

enum { IDLE, WORK, ASLEEP, STOP }; /* of a mailbox */

/* Chunks that a member has not begun; other members take of them when they have none left, so that all end
 * together also where one of the processors has other work. */
typedef struct share {
    _Alignas(64) _Atomic int64_t next;
    int64_t end;
} share;

typedef struct worker {
    share share;
    _Alignas(64) _Atomic int mail; /* a cache line for each, or spinning would slow the others */
    int index;                     /* in the team; the caller is 0 */
    _Atomic int cpu;               /* where it was at its last work */
    mni_team *team;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
} worker;

struct mni_team {
    int size;
    pid_t creator;
    bool busy; /* written between calls of fn only, so chunks may read it */
    mni_chunk_fn fn;
    void *arg;
    int members; /* threads that take part in this run */
    int cpu;     /* where the caller is */
    pthread_mutex_t mutex;
    pthread_cond_t done;
    share own;                        /* the caller's */
    _Alignas(64) _Atomic int pending; /* workers still at it */
    _Atomic bool caller_sleeps;
    worker workers[]; /* size - 1 */
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Linux likes to wake a thread on the processor of who wakes it. There both would take turns for tens of
 * milliseconds, until the load is balanced: a worker that finds itself beside the caller, or an earlier
 * worker, goes elsewhere at once, if it may. */
#ifdef __linux__
static int here(void)
{
    return sched_getcpu();
}

static void leave(cpu_set_t *set, int cpu)
{
    if (cpu >= 0) CPU_CLR((size_t)cpu, set);
}

static void step_aside(worker *w)
{
    const mni_team *team = w->team;
    int own = here();
    bool taken = own == team->cpu;
    cpu_set_t allowed, rest;
    for (int i = 1; i < w->index; i++)
        taken =
            taken || own == atomic_load_explicit(&team->workers[i - 1].cpu, memory_order_relaxed);
    if (taken && !sched_getaffinity(0, sizeof allowed, &allowed)) {
        rest = allowed;
        leave(&rest, team->cpu);
        for (int i = 1; i < w->index; i++)
            leave(&rest, atomic_load_explicit(&team->workers[i - 1].cpu, memory_order_relaxed));
        if (CPU_COUNT(&rest) > 0 && !sched_setaffinity(0, sizeof rest, &rest))
            sched_setaffinity(0, sizeof allowed, &allowed);
        own = here();
    }
    atomic_store_explicit(&w->cpu, own, memory_order_relaxed);
}
#else
static int here(void)
{
    return -1;
}

static void step_aside(worker *w)
{
    (void)w;
}
#endif

static share *share_of(mni_team *team, int member)
{
    return member == 0 ? &team->own : &team->workers[member - 1].share;
}

/* A contiguous block of chunks for each member. */
static void deal(mni_team *team, int64_t chunks)
{
    const int64_t each = chunks / team->members, more = chunks % team->members;
    int64_t begin = 0;
    for (int i = 0; i < team->members; i++) {
        share *s = share_of(team, i);
        atomic_store_explicit(&s->next, begin, memory_order_relaxed);
        begin = s->end = begin + each + (i < more);
    }
}

/* A member's own share, then what is left of the others'. */
static void run_shares(mni_team *team, int member)
{
    for (int i = 0; i < team->members; i++) {
        share *s = share_of(team, (member + i) % team->members);
        int64_t c;
        while ((c = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->end)
            team->fn(team->arg, c);
    }
}

/* Waits for mail other than IDLE. */
static int receive(worker *w)
{
    for (int i = 0; i < SPINS; i++) {
        int mail = atomic_load_explicit(&w->mail, memory_order_acquire);
        if (mail != IDLE) return mail;
        pause_briefly();
    }
    pthread_mutex_lock(&w->mutex);
    int mail = IDLE;
    if (atomic_compare_exchange_strong(&w->mail, &mail, ASLEEP)) {
        while ((mail = atomic_load(&w->mail)) == ASLEEP) pthread_cond_wait(&w->wake, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return mail;
}

static void send(worker *w, int mail)
{
    if (atomic_exchange(&w->mail, mail) != ASLEEP) return;
    /* The worker holds its mutex from saying ASLEEP until it waits: the signal cannot be lost. */
    pthread_mutex_lock(&w->mutex);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

static void *work(void *arg)
{
    worker *w = arg;
    mni_team *team = w->team;
    while (receive(w) == WORK) {
        step_aside(w);
        run_shares(team, w->index);
        atomic_store_explicit(&w->mail, IDLE, memory_order_relaxed);
        if (atomic_fetch_sub(&team->pending, 1) == 1 && atomic_load(&team->caller_sleeps)) {
            pthread_mutex_lock(&team->mutex);
            pthread_cond_signal(&team->done);
            pthread_mutex_unlock(&team->mutex);
        }
    }
    return NULL;
}

/* A caller that slept would be woken beside the worker that ended last, so it lets others run before. */
static void wait_for_workers(mni_team *team)
{
    for (int i = 0; i < SPINS + YIELDS; i++) {
        if (atomic_load_explicit(&team->pending, memory_order_acquire) == 0) return;
        if (i < SPINS)
            pause_briefly();
        else
            sched_yield();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->caller_sleeps, true);
    while (atomic_load(&team->pending)) pthread_cond_wait(&team->done, &team->mutex);
    atomic_store(&team->caller_sleeps, false);
    pthread_mutex_unlock(&team->mutex);
}

/* The calling thread's mask is inherited by the threads it starts: with everything blocked but the
 * faults, the host's handlers run on the host's threads. */
static void block_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static bool start(mni_team *team, int index)
{
    worker *w = &team->workers[index - 1];
    atomic_init(&w->mail, IDLE);
    atomic_init(&w->cpu, -1);
    w->index = index;
    w->team = team;
    if (pthread_mutex_init(&w->mutex, NULL)) return false;
    if (pthread_cond_init(&w->wake, NULL)) goto no_condition;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) goto no_thread;
    size_t usual = STACK;
    bool started = !pthread_attr_getstacksize(&attributes, &usual) &&
                   (usual >= STACK || !pthread_attr_setstacksize(&attributes, STACK)) &&
                   !pthread_create(&w->thread, &attributes, work, w);
    pthread_attr_destroy(&attributes);
    if (started) return true;
no_thread:
    pthread_cond_destroy(&w->wake);
no_condition:
    pthread_mutex_destroy(&w->mutex);
    return false;
}

mni_team *mni_team_new(int threads)
{
    if (threads <= 1) return NULL;
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    mni_team *team = mni_calloc(sizeof *team + (size_t)(threads - 1) * sizeof(worker));
    if (!team) return NULL;
    team->creator = getpid();
    team->size = 1;
    if (pthread_mutex_init(&team->mutex, NULL)) goto no_mutex;
    if (pthread_cond_init(&team->done, NULL)) goto no_condition;

    sigset_t before;
    block_signals(&before);
    while (team->size < threads && start(team, team->size)) team->size++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (team->size > 1) return team;

    pthread_cond_destroy(&team->done);
no_condition:
    pthread_mutex_destroy(&team->mutex);
no_mutex:
    mni_free(team);
    return NULL;
}

void mni_team_free(mni_team *team)
{
    if (!team) return;
    if (getpid() == team->creator) { /* in a forked child there is nothing to join */
        for (int i = 0; i < team->size - 1; i++) {
            worker *w = &team->workers[i];
            send(w, STOP);
            pthread_join(w->thread, NULL);
            pthread_cond_destroy(&w->wake);
            pthread_mutex_destroy(&w->mutex);
        }
        pthread_cond_destroy(&team->done);
        pthread_mutex_destroy(&team->mutex);
    }
    mni_free(team);
}

int mni_team_size(const mni_team *team)
{
    return team ? team->size : 1;
}

void mni_team_run(mni_team *team, int64_t chunks, mni_chunk_fn fn, void *arg)
{
    /* busy: a chunk that itself runs a loop; every thread already has its share. */
    if (chunks <= 1 || !team || team->busy || getpid() != team->creator) {
        for (int64_t c = 0; c < chunks; c++) fn(arg, c);
        return;
    }
    team->busy = true;
    team->fn = fn;
    team->arg = arg;
    team->members = chunks < team->size ? (int)chunks : team->size;
    team->cpu = here();
    deal(team, chunks);
    atomic_store_explicit(&team->pending, team->members - 1, memory_order_relaxed);
    for (int i = 1; i < team->members; i++) send(&team->workers[i - 1], WORK);
    run_shares(team, 0);
    wait_for_workers(team);
    team->busy = false;
}

typedef struct range {
    mni_range_fn fn;
    void *arg;
    int64_t n, grain;
} range;

static void run_range(void *arg, int64_t chunk)
{
    const range *r = arg;
    int64_t begin = chunk * r->grain, left = r->n - begin;
    r->fn(r->arg, begin, begin + (left < r->grain ? left : r->grain));
}

void mni_team_range(mni_team *team, int64_t n, int64_t grain, mni_range_fn fn, void *arg)
{
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    mni_team_run(team, (n - 1) / grain + 1, run_range, &(range){fn, arg, n, grain});
}
