/* core/memory.h: every byte minnow takes comes through here. */
#ifndef MNI_MEMORY_H
#define MNI_MEMORY_H

#include <minnow/core.h>

/* size bytes at a 64-byte boundary, uninitialised / zeroed; NULL with the last error set. */
void *mni_alloc(size_t size);
void *mni_calloc(size_t size);

/* A larger block: the first `size` bytes are those of memory (may be NULL), which is freed, the rest
 * up to new_size is zero. NULL with the last error set; memory then stays as it is. */
void *mni_grow(void *memory, size_t size, size_t new_size);

/* A copy of the string; NULL with the last error set. */
char *mni_strdup(const char *text);

/* Frees what the above returned; NULL is fine. */
void mni_free(void *memory);

#endif
