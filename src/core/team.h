/*
 * core/team.h: a few threads that share the chunks of one loop.
 *
 * Work is cut by its shape alone, never by the number of threads, and each chunk writes what no other
 * chunk touches: so results have the same bits for any team, and a team may be smaller than asked for.
 */
#ifndef MNI_TEAM_H
#define MNI_TEAM_H

#include <minnow/core.h>

typedef struct mni_team mni_team;

/* A team of `threads`, the caller included: threads - 1 workers are started, fewer when the system
 * gives no more. NULL for threads <= 1 or without memory: a NULL team runs everything inline. */
mni_team *mni_team_new(int threads);
void mni_team_free(mni_team *team);
int mni_team_size(const mni_team *team); /* 1 for NULL */

typedef void (*mni_chunk_fn)(void *arg, int64_t chunk);

/* Calls fn(arg, c) once for every c in [0, chunks), on all threads of the team, and returns when
 * all are done. Chunk c goes to the same thread in every call with as many chunks (caches), unless
 * that one is behind the others. Inline in a forked child, whose workers do not exist. */
void mni_team_run(mni_team *team, int64_t chunks, mni_chunk_fn fn, void *arg);

typedef void (*mni_range_fn)(void *arg, int64_t begin, int64_t end);

/* Calls fn over [0, n) cut into ranges of `grain` (the last may be shorter). */
void mni_team_range(mni_team *team, int64_t n, int64_t grain, mni_range_fn fn, void *arg);

#endif
