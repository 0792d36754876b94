/*
 * nn/map.h: a small hash map from pointer to pointer, by which walks over a tree notice what stands
 * in it more than once. Starts as {0}.
 */
#ifndef MNI_MAP_H
#define MNI_MAP_H

#include <minnow/core.h>

typedef struct mni_map_entry {
    const void *key; /* NULL: free */
    void *value;
} mni_map_entry;

typedef struct mni_map {
    mni_map_entry *entries;
    size_t count, capacity; /* capacity: 0 or a power of two */
} mni_map;

/* The value of a key, NULL when it is not there. */
void *mni_map_get(const mni_map *map, const void *key);

/* Adds a key that is not there yet; neither it nor the value is NULL. False, with the last error
 * set, without memory. */
bool mni_map_put(mni_map *map, const void *key, void *value);

void mni_map_free(mni_map *map);

#endif
