/* core/philox.h: the words behind mn_rng. */
#ifndef MNI_PHILOX_H
#define MNI_PHILOX_H

#include <minnow/core.h>

/* Philox4x32-10: the four words of one block. */
void mni_philox_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]);

/* Reserves `words`, rounded up to whole blocks, atomically, and returns where they begin: the
 * generator's value before. */
mn_rng mni_rng_reserve(mn_rng *rng, uint64_t words);

/* Words offset (low) and offset + 1 (high) of a stream; the offset need not begin a block. */
uint64_t mni_rng_word(mn_rng at);

/* Makes an integer in [0, n), n > 0, of 64 random bits, without bias; false: it takes other bits
 * (Lemire, "Fast random integer generation in an interval", 2019). */
bool mni_rng_fit(uint64_t bits, uint64_t n, uint64_t *result);

#endif
