/*
 * core/memory.c: aligned blocks over the allocator hook, and the count of those alive.
 * Each block is preceded by the address that the hook returned for it.
 */
#include "core/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, OVERHEAD = sizeof(void *) + ALIGNMENT - 1 };

static void *system_allocate(size_t size, void *user)
{
    (void)user;
    return malloc(size);
}

static void system_release(void *memory, void *user)
{
    (void)user;
    free(memory);
}

static mn_allocator hook = {system_allocate, system_release, NULL};
static _Atomic int64_t live_blocks;

void *mni_alloc(size_t size)
{
    void *raw = NULL;
    if (size <= PTRDIFF_MAX - OVERHEAD) raw = hook.allocate(size + OVERHEAD, hook.user);
    if (!raw) {
        mn_fail(MN_ERR_MEMORY, "out of memory: %zu bytes", size);
        return NULL;
    }
    uintptr_t begin = (uintptr_t)raw + OVERHEAD;
    char *block = (char *)raw + (OVERHEAD - begin % ALIGNMENT);
    memcpy(block - sizeof raw, &raw, sizeof raw);
    atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return block;
}

void *mni_calloc(size_t size)
{
    void *block = mni_alloc(size);
    if (block) memset(block, 0, size);
    return block;
}

void *mni_grow(void *memory, size_t size, size_t new_size)
{
    char *grown = mni_calloc(new_size);
    if (!grown) return NULL;
    if (size) memcpy(grown, memory, size);
    mni_free(memory);
    return grown;
}

char *mni_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mni_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

void mni_free(void *memory)
{
    if (!memory) return;
    void *raw;
    memcpy(&raw, (char *)memory - sizeof raw, sizeof raw);
    hook.release(raw, hook.user);
    /* Release order: whoever reads 0 here may replace the hook at once. */
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_release);
}

mn_error mn_set_allocator(const mn_allocator *allocator)
{
    if (allocator && (!allocator->allocate || !allocator->release))
        return mn_fail(MN_ERR_ARGUMENT, "mn_set_allocator: %s is NULL",
                       allocator->allocate ? "release" : "allocate");
    int64_t live = mn_live_allocations();
    if (live)
        return mn_fail(MN_ERR_STATE, "mn_set_allocator: %lld allocations are still alive",
                       (long long)live);
    hook = allocator ? *allocator : (mn_allocator){system_allocate, system_release, NULL};
    return MN_OK;
}

int64_t mn_live_allocations(void)
{
    return atomic_load_explicit(&live_blocks, memory_order_acquire);
}
