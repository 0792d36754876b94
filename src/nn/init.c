/*
 * nn/init.c: first values and generators of a tree. Every parameter and every stochastic layer has a stream of
 * its own, hashed from its name in the tree, so that what it draws depends neither on the order of
 * the others nor on how many there are.
 */
#include "core/memory.h"
#include "nn/map.h"
#include "nn/module.h"
#include <string.h>

typedef struct init_visitor {
    mn_visitor base;
    uint64_t seed, lane;
    mni_map seen; /* tensors and modules */
} init_visitor;

static bool first_time(init_visitor *s, void *key)
{
    if (mni_map_get(&s->seen, key)) return false;
    if (mni_map_put(&s->seen, key, key)) return true;
    mni_walk_fail(&s->base);
    return false;
}

/* Continues the FNV-1a hash that mn_rng_stream begins. */
static uint64_t hash_on(uint64_t hash, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

/* ---- generators ---- */

static bool seed_module(mn_visitor *v, mn_module *m)
{
    if (!first_time((init_visitor *)v, m)) return false;
    char *path = mni_path_dup(v->path, NULL);
    if (!path) {
        mni_walk_fail(v);
        return false;
    }
    mni_free(m->path);
    m->path = path;
    return true;
}

/* The stream is the hash of the layer's path; a further generator of the same layer goes on with
 * '#' and its number, a lane other than 0 with the lane's eight bytes, low byte first. */
static void seed_rng(mn_visitor *v, mn_rng *rng, bool *seeded)
{
    const init_visitor *s = (const init_visitor *)v;
    uint64_t stream = mn_rng_stream(v->at->path);
    unsigned char lane[8];
    for (int i = 0; i < 8; i++) lane[i] = (unsigned char)(s->lane >> 8 * i);
    if (v->generators) {
        unsigned char which[2] = {'#', (unsigned char)('0' + v->generators)};
        stream = hash_on(stream, which, sizeof which);
    }
    if (s->lane) stream = hash_on(stream, lane, sizeof lane);
    *rng = mn_rng_make(s->seed, stream);
    *seeded = true;
}

mn_error mn_module_seed(mn_module *m, uint64_t seed, uint64_t lane)
{
    if (!m) return mni_pass_null("mn_module_seed", "the module");
    init_visitor s = {.base.module = seed_module, .base.rng = seed_rng, .seed = seed, .lane = lane};
    mn_error e = mni_walk(&s.base, m);
    mni_map_free(&s.seen);
    return e;
}

/* ---- parameters and buffers ---- */

static uint64_t stream_of(const mni_path *path, const char *leaf)
{
    if (!path) return mn_rng_stream(leaf);
    uint64_t hash = path->up ? stream_of(path->up, path->name) : mn_rng_stream(path->name);
    return hash_on(hash_on(hash, ".", 1), leaf, strlen(leaf));
}

static void draw_tensor(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                        bool buffer)
{
    init_visitor *s = (init_visitor *)v;
    (void)buffer;
    if (!init.draw || !first_time(s, *slot))
        return; /* without draw: stays as its constructor left it */
    mn_rng rng = mn_rng_make(s->seed, stream_of(v->path, name));
    mn_error e = init.draw(*slot, &rng, init.p);
    if (e == MN_OK) return;
    v->error = e;
    v->done = true;
}

static bool complete_module(mn_visitor *v, mn_module *m)
{
    if (!first_time((init_visitor *)v, m)) return false;
    if (m->cls->after_init && m->cls->after_init(m) != MN_OK) mni_walk_fail(v);
    return !v->done;
}

mn_error mn_module_init(mn_module *m, uint64_t seed)
{
    if (!m) return mni_pass_null("mn_module_init", "the module");
    init_visitor s = {.base.tensor = draw_tensor, .seed = seed};
    mn_error e = mni_walk(&s.base, m);
    s.base = (mn_visitor){.module = complete_module};
    if (e == MN_OK) e = mni_walk(&s.base, m);
    mni_map_free(&s.seen);
    return e ? e : mn_module_seed(m, seed, 0);
}

typedef struct matching_visitor {
    init_visitor base;
    const char *pattern;
    mn_init init;
    int matches;
} matching_visitor;

static void draw_matching(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init,
                          bool buffer)
{
    matching_visitor *s = (matching_visitor *)v;
    (void)init;
    if (buffer) return;
    int fits = mni_path_fits(v->path, name, s->pattern);
    if (fits < 0) mni_walk_fail(v);
    if (fits <= 0) return;
    s->matches++;
    draw_tensor(v, name, slot, s->init, buffer);
}

mn_error mn_module_init_matching(mn_module *m, const char *pattern, mn_init init, uint64_t seed)
{
    static const char who[] = "mn_module_init_matching";
    if (!m || !pattern) return mni_pass_null(who, m ? "the pattern" : "the module");
    matching_visitor s = {
        .base.base.tensor = draw_matching, .base.seed = seed, .pattern = pattern, .init = init};
    mn_error e = mni_walk(&s.base.base, m);
    mni_map_free(&s.base.seen);
    if (e || s.matches) return e;
    return mn_fail(MN_ERR_ARGUMENT, "%s: no parameter's name fits \"%s\"", who, pattern);
}
