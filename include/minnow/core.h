/*
 * minnow/core.h: what every other layer stands on: errors, the allocator, random numbers.
 *
 * minnow never aborts, exits or prints. A function that fails returns NULL, false or an mn_error,
 * and leaves the reason in the calling thread's last error (and, when it ran on a tape, in that
 * tape). Functions of yours that it calls return: no C++ exception and no longjmp leaves them.
 */
#ifndef MINNOW_CORE_H
#define MINNOW_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of these headers: major.minor.patch. */
#define MN_VERSION_MAJOR 0
#define MN_VERSION_MINOR 1
#define MN_VERSION_PATCH 0
#define MN_VERSION "0.1.0"

/* MN_API: what the library exports. MN_PRINTF: lets the compiler check a format, which is parameter
 * number `text`, against its arguments from number `first` on. */
#if defined(__GNUC__) || defined(__clang__)
#define MN_API __attribute__((visibility("default")))
#define MN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define MN_API
#define MN_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

/* What went wrong, in kinds; the message has the particulars. */
typedef enum mn_error {
    MN_OK = 0,
    MN_ERR_ARGUMENT, /* a value out of its range, or an argument that makes no sense */
    MN_ERR_SHAPE,    /* shapes that do not fit each other or the operation */
    MN_ERR_DTYPE,    /* an element type the operation does not take */
    MN_ERR_MEMORY,   /* the allocator returned NULL, or a tape reached its byte cap */
    MN_ERR_STATE,    /* the right call at the wrong time: graph already freed, parameter not
                        initialised, ... */
    MN_ERR_IO,       /* a file could not be opened or read */
    MN_ERR_FORMAT    /* a file's content is not what it should be */
} mn_error;

/* The code's name, such as "shape error". A static string; never NULL. */
MN_API const char *mn_error_name(mn_error code);

/* The calling thread's most recent failure; MN_OK when there was none since the thread began or
 * last cleared it. Only a fresh failure sets it: passing on a NULL that an earlier failure returned
 * never overwrites the reason. */
MN_API mn_error mn_last_error(void);

/* The text of mn_last_error(), one line without a newline, "" when there is none. Owned by the
 * thread, valid until its next failure. */
MN_API const char *mn_last_message(void);

/* Sets the calling thread's last error back to MN_OK. */
MN_API void mn_clear_last_error(void);

/* Sets the calling thread's last error and returns `code`: how an author of modules or ops
 * outside the library reports a failure of their own. The text is cut at 511 characters. */
MN_API mn_error mn_fail(mn_error code, const char *format, ...) MN_PRINTF(2, 3);

/* ---- allocator ---- */

/* Where minnow takes its memory from. `allocate` returns memory aligned as malloc's or NULL;
 * `release` takes what it returned (never NULL). Both may be called from any thread. */
typedef struct mn_allocator {
    /* May not be NULL. */
    void *(*allocate)(size_t size, void *user);
    void (*release)(void *memory, void *user);
    void *user; /* handed to both */
} mn_allocator;

/* Replaces the process-wide allocator; NULL restores malloc and free. The struct is copied. Fails
 * with MN_ERR_STATE while anything that minnow allocated is alive, and with MN_ERR_ARGUMENT when a
 * function is missing. Not to be called while another thread is inside minnow. */
MN_API mn_error mn_set_allocator(const mn_allocator *allocator);

/* Blocks that minnow holds at this moment, in the whole process: 0 once everything was freed. */
MN_API int64_t mn_live_allocations(void);

/* ---- random numbers ---- */

/* A position in a random stream: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011) with key = seed and counter = (block, stream), 64 bits each, low word first; a
 * block gives four 32-bit words. An open value: copy it to remember a position, assign it to
 * rewind. `offset` counts words; block = offset / 4.
 *
 * A draw of n f32 values at offset o gives element i from word o + i: (word >> 8) * 2^-24, in [0,
 * 1). A draw of n f64 values takes words o + 2i (low) and o + 2i + 1 (high): (word64 >> 11) *
 * 2^-53. Every draw reserves whole blocks: the offset grows by its words rounded up to a multiple
 * of 4, atomically, so a generator may be shared by threads. The bits are the same on every machine
 * and will not change.
 *
 * Other draws take the same words for each element as f32 (one) or f64 (two):
 *   normal     elements 2j and 2j + 1 are r cos(2 pi v) and r sin(2 pi v), r = sqrt(-2 ln(1 - u)),
 *              with u and v from the words of 2j and of 2j + 1: as above for f64, word * 2^-32 for
 *              f32 (Box and Muller, "A note on the generation of random normal deviates", 1958).
 *              In double, by additions, products, quotients and roots alone, and rounded once.
 *   integers   in [0, n): (word64 * n) >> 64, of two words. Where (word64 * n) mod 2^64 < 2^64 mod
 *              n, which would favour some integers, the words at the same offset of stream + c,
 *              stream + 2c, ... are tried instead, c = 0x9E3779B97F4A7C15.
 *   orders     of 0, 1, ...: for i = 0, 1, ... p[i] = p[k], then p[k] = i, where k is the integer
 *              in [0, i] of element i's two words. */
typedef struct mn_rng {
    uint64_t seed;
    uint64_t stream;
    uint64_t offset;
} mn_rng;

/* The generator at the beginning of stream `stream` of seed `seed`. */
MN_API mn_rng mn_rng_make(uint64_t seed, uint64_t stream);

/* The 64-bit FNV-1a hash of a string, which turns a parameter's or layer's path ("0.weight") into
 * its stream. */
MN_API uint64_t mn_rng_stream(const char *path);

/* One draw each. uniform: f64 in [0, 1). below: an integer in [0, n), without bias (Lemire, "Fast
 * random integer generation in an interval", 2019); n > 0, else 0. A NULL rng gives 0. */
MN_API double mn_rng_uniform(mn_rng *rng);
MN_API uint64_t mn_rng_below(mn_rng *rng, uint64_t n);

#ifdef __cplusplus
}
#endif
#endif
