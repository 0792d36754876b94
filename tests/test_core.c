/*
 * tests/test_core.c: errors, allocator, thread team and random numbers.
 */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include "core/memory.h"
#include "core/philox.h"
#include "core/team.h"
#include "support.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- errors ---- */

START_TEST(every_error_code_has_a_name_of_its_own)
{
    for (int a = MN_OK; a <= MN_ERR_FORMAT; a++)
        for (int b = MN_OK; b < a; b++)
            ck_assert_str_ne(mn_error_name((mn_error)a), mn_error_name((mn_error)b));
    ck_assert_str_eq(mn_error_name(MN_ERR_SHAPE), "shape error");
    ck_assert_str_eq(mn_error_name((mn_error)99), "unknown error");
    ck_assert_str_eq(mn_error_name((mn_error)-1), "unknown error");
}
END_TEST

START_TEST(a_failure_leaves_code_and_text_until_it_is_cleared)
{
    mn_clear_last_error();
    ck_assert_int_eq(mn_last_error(), MN_OK);
    ck_assert_str_eq(mn_last_message(), "");
    ck_assert_int_eq(mn_fail(MN_ERR_SHAPE, "sizes %d and %d", 3, 4), MN_ERR_SHAPE);
    ck_assert_int_eq(mn_last_error(), MN_ERR_SHAPE);
    ck_assert_str_eq(mn_last_message(), "sizes 3 and 4");
    mn_clear_last_error();
    ck_assert_int_eq(mn_last_error(), MN_OK);
    ck_assert_str_eq(mn_last_message(), "");
}
END_TEST

START_TEST(a_message_is_one_line_of_at_most_511_characters)
{
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    mn_fail(MN_ERR_IO, "%s", text);
    ck_assert_uint_eq(strlen(mn_last_message()), 511);
    mn_fail(MN_ERR_IO, "two\nlines\r\n");
    ck_assert_str_eq(mn_last_message(), "two lines  ");
}
END_TEST

START_TEST(a_message_may_contain_the_one_before)
{
    mn_fail(MN_ERR_IO, "cause");
    mn_fail(MN_ERR_STATE, "while testing: %s", mn_last_message());
    ck_assert_str_eq(mn_last_message(), "while testing: cause");
}
END_TEST

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    ck_assert_int_eq(mn_last_error(), MN_OK);
    mn_fail(MN_ERR_DTYPE, "elsewhere");
    return NULL;
}

START_TEST(the_last_error_belongs_to_its_thread)
{
    pthread_t thread;
    mn_fail(MN_ERR_IO, "here");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(mn_last_error(), MN_ERR_IO);
    ck_assert_str_eq(mn_last_message(), "here");
}
END_TEST

/* ---- memory ---- */

START_TEST(blocks_are_aligned_counted_and_writable)
{
    void *blocks[200];
    int64_t before = mn_live_allocations();
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = i % 2 ? mni_alloc(i) : mni_calloc(i);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
        for (size_t k = 0; i % 2 == 0 && k < i; k++) ck_assert_int_eq(((char *)blocks[i])[k], 0);
        memset(blocks[i], 0xff, i);
    }
    ck_assert_int_eq(mn_live_allocations(), before + 200);
    for (size_t i = 0; i < 200; i++) mni_free(blocks[i]);
    mni_free(NULL);
    ck_assert_int_eq(mn_live_allocations(), before);
}
END_TEST

START_TEST(strdup_copies)
{
    char text[] = "0.weight";
    char *copy = mni_strdup(text);
    text[0] = '1';
    ck_assert_str_eq(copy, "0.weight");
    mni_free(copy);
}
END_TEST

START_TEST(impossible_sizes_are_out_of_memory)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 70, PTRDIFF_MAX, PTRDIFF_MAX - 10};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char expected[64];
        mn_clear_last_error();
        ck_assert_ptr_null(mni_alloc(sizes[i]));
        ck_assert_int_eq(mn_last_error(), MN_ERR_MEMORY);
        snprintf(expected, sizeof expected, "out of memory: %zu bytes", sizes[i]);
        ck_assert_str_eq(mn_last_message(), expected);
    }
}
END_TEST

typedef struct ledger {
    int taken, given;
    bool refuse;
} ledger;

static void *ledger_allocate(size_t size, void *user)
{
    ledger *l = user;
    if (l->refuse) return NULL;
    l->taken++;
    return malloc(size);
}

static void ledger_release(void *memory, void *user)
{
    ledger *l = user;
    l->given++;
    free(memory);
}

START_TEST(all_memory_goes_through_the_hook)
{
    ledger l = {0};
    ck_assert_int_eq(mn_set_allocator(&(mn_allocator){ledger_allocate, ledger_release, &l}), MN_OK);
    void *a = mni_alloc(10), *b = mni_calloc(20);
    char *c = mni_strdup("x");
    mni_team *team = mni_team_new(2);
    ck_assert_int_eq(l.taken, 4);
    mni_team_free(team);
    mni_free(a);
    mni_free(b);
    mni_free(c);
    ck_assert_int_eq(l.given, 4);

    l.refuse = true;
    ck_assert_ptr_null(mni_calloc(1000));
    ck_assert_str_eq(mn_last_message(), "out of memory: 1000 bytes");
    ck_assert_ptr_null(mni_strdup("x"));
    ck_assert_ptr_null(mni_team_new(2));
    ck_assert_int_eq(mn_live_allocations(), 0);

    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
    mni_free(mni_alloc(1));
    ck_assert_int_eq(l.taken, 4);
}
END_TEST

START_TEST(the_hook_is_refused_while_memory_is_alive_or_when_incomplete)
{
    ledger l = {0};
    void *block = mni_alloc(1);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_ERR_STATE);
    ck_assert_str_eq(mn_last_message(), "mn_set_allocator: 1 allocations are still alive");
    mni_free(block);
    ck_assert_int_eq(mn_set_allocator(&(mn_allocator){ledger_allocate, NULL, &l}), MN_ERR_ARGUMENT);
    ck_assert_str_eq(mn_last_message(), "mn_set_allocator: release is NULL");
    ck_assert_int_eq(mn_set_allocator(&(mn_allocator){NULL, ledger_release, &l}), MN_ERR_ARGUMENT);
    ck_assert_str_eq(mn_last_message(), "mn_set_allocator: allocate is NULL");
    mni_free(mni_alloc(1));
    ck_assert_int_eq(l.taken, 0);
}
END_TEST

/* ---- the team ---- */

enum { CHUNKS = 1000 };

typedef struct record {
    int count[CHUNKS];
    pthread_t thread[CHUNKS];
} record;

static void note(void *arg, int64_t chunk)
{
    record *r = arg;
    r->count[chunk]++;
    r->thread[chunk] = pthread_self();
}

START_TEST(every_chunk_runs_once_whatever_the_team)
{
    for (int threads = 0; threads <= 5; threads++) {
        mni_team *team = mni_team_new(threads);
        ck_assert_int_eq(mni_team_size(team), threads < 1 ? 1 : threads);
        for (int chunks = 0; chunks <= 40; chunks++) {
            record r = {0};
            mni_team_run(team, chunks, note, &r);
            for (int c = 0; c < CHUNKS; c++) ck_assert_int_eq(r.count[c], c < chunks);
        }
        mni_team_free(team);
    }
}
END_TEST

enum { MEMBERS = 4, SHARE = 10, MEETING = MEMBERS * SHARE };

typedef struct meeting {
    record r;
    _Atomic int begun, ended;
} meeting;

/* Waits for a number to become that large, but not for ever. */
static void wait_for(_Atomic int *number, int value)
{
    for (int i = 0; i < 10000 && *number < value; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    ck_assert_int_ge(*number, value);
}

/* The first chunks of all shares are at work at once; that of the last share ends after all others. */
static void meet(void *arg, int64_t chunk)
{
    meeting *m = arg;
    if (chunk % SHARE == 0) {
        m->begun++;
        wait_for(&m->begun, MEMBERS);
    }
    if (chunk == MEETING - SHARE) wait_for(&m->ended, MEETING - 1);
    note(&m->r, chunk);
    m->ended++;
}

START_TEST(each_thread_has_a_share_and_takes_over_what_others_have_not_begun)
{
    mni_team *team = mni_team_new(MEMBERS);
    meeting m = {.begun = 0};
    mni_team_run(team, MEETING, meet, &m);
    const pthread_t *thread = m.r.thread;
    for (int c = 0; c < MEETING; c++) ck_assert_int_eq(m.r.count[c], 1);
    for (int i = 0; i < MEETING; i += SHARE)
        for (int j = 0; j < i; j += SHARE) ck_assert(!pthread_equal(thread[i], thread[j]));
    for (int c = MEETING - SHARE + 1; c < MEETING; c++)
        ck_assert(!pthread_equal(thread[c], thread[MEETING - SHARE]));
    mni_team_free(team);
}
END_TEST

START_TEST(a_team_works_after_it_has_slept)
{
    mni_team *team = mni_team_new(3);
    record r = {0};
    for (int i = 0; i < 5; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
        mni_team_run(team, CHUNKS, note, &r);
    }
    for (int c = 0; c < CHUNKS; c++) ck_assert_int_eq(r.count[c], 5);
    mni_team_free(team);
}
END_TEST

static void sleep_in_the_last(void *arg, int64_t chunk)
{
    if (chunk == 1) nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    note(arg, chunk);
}

START_TEST(the_caller_waits_for_slow_workers)
{
    mni_team *team = mni_team_new(2);
    for (int i = 0; i < 5; i++) {
        record r = {0};
        mni_team_run(team, 2, sleep_in_the_last, &r);
        ck_assert_int_eq(r.count[1], 1);
    }
    mni_team_free(team);
}
END_TEST

static void note_range(void *arg, int64_t begin, int64_t end)
{
    record *r = arg;
    ck_assert(begin % 7 == 0 && begin < end && end - begin <= 7);
    for (int64_t i = begin; i < end; i++) r->count[i]++;
}

START_TEST(ranges_cover_everything_once)
{
    mni_team *team = mni_team_new(3);
    for (int n = 0; n <= 60; n++) {
        record r = {0}, alone = {0};
        mni_team_range(team, n, 7, note_range, &r);
        mni_team_range(NULL, n, 7, note_range, &alone);
        for (int i = 0; i < CHUNKS; i++) {
            ck_assert_int_eq(r.count[i], i < n);
            ck_assert_int_eq(alone.count[i], i < n);
        }
    }
    mni_team_free(team);
}
END_TEST

typedef struct nest {
    mni_team *team;
    _Atomic int total;
} nest;

static void add_one(void *arg, int64_t chunk)
{
    (void)chunk;
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void run_inside(void *arg, int64_t chunk)
{
    (void)chunk;
    nest *n = arg;
    mni_team_run(n->team, 10, add_one, &n->total);
}

START_TEST(a_run_inside_a_chunk_is_inline)
{
    nest n = {.team = mni_team_new(3)};
    mni_team_run(n.team, 20, run_inside, &n);
    ck_assert_int_eq(n.total, 200);
    mni_team_free(n.team);
}
END_TEST

START_TEST(a_forked_child_works_alone)
{
    mni_team *team = mni_team_new(3);
    _Atomic int total = 0;
    mni_team_run(team, 10, add_one, &total);
    pid_t child = fork();
    if (child == 0) {
        mni_team_run(team, 10, add_one, &total);
        mni_team_free(team);
        _exit(total == 20 ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mni_team_run(team, 10, add_one, &total);
    ck_assert_int_eq(total, 20);
    mni_team_free(team);
}
END_TEST

static pthread_t main_thread;
static _Atomic int signals_here, signals_elsewhere;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(
        pthread_equal(pthread_self(), main_thread) ? &signals_here : &signals_elsewhere, 1);
}

START_TEST(signals_go_to_the_hosts_threads)
{
    struct sigaction old, mine = {.sa_handler = count_signal};
    sigset_t mask, before;
    main_thread = pthread_self();
    signals_here = signals_elsewhere = 0;
    sigaction(SIGUSR1, &mine, &old);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    mni_team *team = mni_team_new(4);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++)
        ck_assert_int_eq(sigismember(&mask, number), sigismember(&before, number));

    /* Blocked here, a signal would be taken by any worker that does not block it. */
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    kill(getpid(), SIGUSR1);
    _Atomic int total = 0;
    for (int i = 0; i < 100; i++) mni_team_run(team, 8, add_one, &total);
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL); /* a sanitizer delivers it late */
    ck_assert_int_eq(signals_here, 1);
    ck_assert_int_eq(signals_elsewhere, 0);
    mni_team_free(team);
    sigaction(SIGUSR1, &old, NULL);
}
END_TEST

#if defined(__GLIBC__)
START_TEST(threads_that_cannot_start_make_a_smaller_team)
{
    pthread_attr_t usual, huge;
    ck_assert_int_eq(pthread_getattr_default_np(&usual), 0);
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, (size_t)1 << 50); /* more than an address space */
    ck_assert_int_eq(pthread_setattr_default_np(&huge), 0);
    mni_team *team = mni_team_new(4);
    pthread_setattr_default_np(&usual);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&huge);
    ck_assert_int_eq(mni_team_size(team), 1);
    _Atomic int total = 0;
    mni_team_run(team, 10, add_one, &total);
    ck_assert_int_eq(total, 10);
    mni_team_free(team);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST
#endif

/* ---- random numbers ---- */

START_TEST(philox_gives_its_published_words)
{
    /* counter words 0 to 3, key words 0 and 1, and the answer, as Random123 lists them */
    static const uint32_t known[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = known[i];
        uint32_t out[4];
        mni_philox_block((uint64_t)k[5] << 32 | k[4], (uint64_t)k[3] << 32 | k[2],
                         (uint64_t)k[1] << 32 | k[0], out);
        for (int w = 0; w < 4; w++) ck_assert_uint_eq(out[w], k[6 + w]);
    }
}
END_TEST

START_TEST(streams_are_hashed_by_fnv_1a)
{
    ck_assert_uint_eq(mn_rng_stream(""), UINT64_C(0xcbf29ce484222325));
    ck_assert_uint_eq(mn_rng_stream("a"), UINT64_C(0xaf63dc4c8601ec8c));
    ck_assert_uint_eq(mn_rng_stream("foobar"), UINT64_C(0x85944171f73967e8));
    ck_assert_uint_eq(mn_rng_stream(NULL), mn_rng_stream(""));
}
END_TEST

START_TEST(draws_are_frozen_and_rewind)
{
    static const double uniform[3] = {0.8958139895475427, 0.3752346986201399, 0.9375101805534775};
    static const uint64_t below[10] = {5, 8, 3, 3, 2, 6, 5, 5, 6, 0};
    mn_rng rng = mn_rng_make(42, 7), start = rng;
    for (int again = 0; again < 2; again++, rng = start)
        for (int i = 0; i < 3; i++) ck_assert(mn_rng_uniform(&rng) == uniform[i]);
    rng = mn_rng_make(1, 2);
    for (int i = 0; i < 10; i++) ck_assert_uint_eq(mn_rng_below(&rng, 10), below[i]);
    ck_assert_uint_eq(rng.offset, 40);
}
END_TEST

START_TEST(a_draw_may_begin_inside_a_block)
{
    mn_rng rng = {.seed = 42, .stream = 7, .offset = 3};
    double expected = (double)(UINT64_C(0xe5dde940557398d3) >> 11) * 0x1p-53;
    ck_assert(mn_rng_uniform(&rng) == expected);
    ck_assert_uint_eq(rng.offset, 7);
}
END_TEST

START_TEST(below_rejects_what_would_be_biased)
{
    /* Of 12 draws 8 are rejected: n is just over half of 2^64. */
    static const uint64_t expected[4] = {
        UINT64_C(3261366828147384106), UINT64_C(4658181772041128963), UINT64_C(541927511726159453),
        UINT64_C(1891167117955848973)};
    mn_rng rng = mn_rng_make(1, 2);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(mn_rng_below(&rng, (UINT64_C(1) << 63) + 1), expected[i]);
    ck_assert_uint_eq(rng.offset, 48);

    int count[6] = {0};
    for (int i = 0; i < 60000; i++) count[mn_rng_below(&rng, 6)]++;
    for (int i = 0; i < 6; i++) ck_assert_int_lt(abs(count[i] - 10000), 500);
}
END_TEST

START_TEST(degenerate_draws_are_zero)
{
    mn_rng rng = mn_rng_make(1, 2);
    ck_assert_uint_eq(mn_rng_below(&rng, 0), 0);
    ck_assert_uint_eq(mn_rng_below(&rng, 1), 0);
    ck_assert_uint_eq(mn_rng_below(NULL, 5), 0);
    ck_assert(!(mn_rng_uniform(NULL) > 0));
}
END_TEST

START_TEST(uniform_has_the_moments_of_its_distribution)
{
    mn_rng rng = mn_rng_make(3, 4);
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double u = mn_rng_uniform(&rng);
        ck_assert(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    ck_assert(fabs(sum / 1e5 - 0.5) < 0.005);
    ck_assert(fabs(squares / 1e5 - 1.0 / 3) < 0.005);
}
END_TEST

START_TEST(reservations_are_whole_blocks)
{
    mn_rng rng = {.seed = 1, .stream = 2, .offset = 8};
    const uint64_t words[] = {1, 4, 5, 0}, after[] = {12, 16, 24, 24};
    for (int i = 0; i < 4; i++) {
        uint64_t before = rng.offset;
        mn_rng at = mni_rng_reserve(&rng, words[i]);
        ck_assert(at.seed == 1 && at.stream == 2);
        ck_assert_uint_eq(at.offset, before);
        ck_assert_uint_eq(rng.offset, after[i]);
    }
}
END_TEST

static void reserve_many(void *arg, int64_t chunk)
{
    (void)chunk;
    for (int i = 0; i < 1000; i++) mni_rng_reserve(arg, 4);
}

START_TEST(threads_share_a_generator)
{
    mn_rng rng = mn_rng_make(1, 2);
    mni_team *team = mni_team_new(4);
    mni_team_run(team, 4, reserve_many, &rng);
    ck_assert_uint_eq(rng.offset, 16000);
    mni_team_free(team);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_error_code_has_a_name_of_its_own,
        a_failure_leaves_code_and_text_until_it_is_cleared,
        a_message_is_one_line_of_at_most_511_characters,
        a_message_may_contain_the_one_before,
        the_last_error_belongs_to_its_thread,
        blocks_are_aligned_counted_and_writable,
        strdup_copies,
        impossible_sizes_are_out_of_memory,
        all_memory_goes_through_the_hook,
        the_hook_is_refused_while_memory_is_alive_or_when_incomplete,
        every_chunk_runs_once_whatever_the_team,
        each_thread_has_a_share_and_takes_over_what_others_have_not_begun,
        a_team_works_after_it_has_slept,
        the_caller_waits_for_slow_workers,
        ranges_cover_everything_once,
        a_run_inside_a_chunk_is_inline,
        a_forked_child_works_alone,
        signals_go_to_the_hosts_threads,
#if defined(__GLIBC__)
        threads_that_cannot_start_make_a_smaller_team,
#endif
        philox_gives_its_published_words,
        streams_are_hashed_by_fnv_1a,
        draws_are_frozen_and_rewind,
        a_draw_may_begin_inside_a_block,
        below_rejects_what_would_be_biased,
        degenerate_draws_are_zero,
        uniform_has_the_moments_of_its_distribution,
        reservations_are_whole_blocks,
        threads_share_a_generator,
    };
    return run_suite("core", tests, sizeof tests / sizeof *tests);
}
