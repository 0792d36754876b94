/*
 * nn/map.c: open addressing with linear probing, at most half full.
 */
#include "nn/map.h"
#include "core/memory.h"

static mni_map_entry *place(const mni_map *map, const void *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(hash >> 32) & (map->capacity - 1);
    while (map->entries[i].key && map->entries[i].key != key) i = (i + 1) & (map->capacity - 1);
    return &map->entries[i];
}

static bool grow(mni_map *map)
{
    mni_map larger = {.capacity = map->capacity ? map->capacity * 2 : 16, .count = map->count};
    larger.entries = mni_calloc(larger.capacity * sizeof *larger.entries);
    if (!larger.entries) return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].key) *place(&larger, map->entries[i].key) = map->entries[i];
    mni_free(map->entries);
    *map = larger;
    return true;
}

void *mni_map_get(const mni_map *map, const void *key)
{
    return map->capacity ? place(map, key)->value : NULL;
}

bool mni_map_put(mni_map *map, const void *key, void *value)
{
    if (2 * map->count >= map->capacity && !grow(map)) return false;
    *place(map, key) = (mni_map_entry){key, value};
    map->count++;
    return true;
}

void mni_map_free(mni_map *map)
{
    mni_free(map->entries);
    *map = (mni_map){0};
}
