/* core/philox.h: the words behind mn_rng. */
#ifndef MNI_PHILOX_H
#define MNI_PHILOX_H

#include <minnow/core.h>

/* Philox4x32-10: the four words of one block. */
void mni_philox_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t out[4]);

/* Reserves `words`, rounded up to whole blocks, atomically, and returns where they begin: the
 * generator's value before. */
mn_rng mni_rng_reserve(mn_rng *rng, uint64_t words);

#endif
