/*
 * tensor/loop.h: nested loops over up to four operands that share a shape, with as few and as long
 * runs as their strides allow. Internal to the files that implement compute.h.
 */
#ifndef MNI_LOOP_H
#define MNI_LOOP_H

#include "tensor/compute.h"

enum { MNI_OPERANDS = 4 };

typedef struct mni_loop {
    int operands, ndim; /* at least one dimension once it is collapsed, the last one is the run */
    int64_t n;          /* elements */
    int64_t shape[MN_MAX_DIMS];
    int64_t stride[MNI_OPERANDS][MN_MAX_DIMS]; /* in elements */
    int64_t size[MNI_OPERANDS];                /* of an element, in bytes */
} mni_loop;

/* Calls for runs of n elements: data and stride (in elements) of each operand. */
typedef void (*mni_run_fn)(void *arg, int64_t n, char *const *data, const int64_t *stride);

/* Adds a dimension inside those there are. strides: one for each operand. */
void mni_loop_add(mni_loop *l, int64_t size, const int64_t *strides);

/* Drops dimensions of size 1 and merges those that are adjacent in memory for every operand; with
 * `reorder` first sorts them by the strides of operand 0. */
void mni_loop_collapse(mni_loop *l, bool reorder);

/* Bytes from an operand's first element to its element at position i. */
int64_t mni_loop_offset(const mni_loop *l, int operand, int64_t i);

/* Runs fn over elements [begin, end). data: the operands' first elements. */
void mni_loop_range(const mni_loop *l, int64_t begin, int64_t end, char *const *data, mni_run_fn fn,
                    void *arg);

/* The longest dimension along which an operand moves; -1: there is none. */
int mni_loop_longest(const mni_loop *l, int operand);

/* Runs fn over all elements, cut along dimension `cut` (-1: not at all) where that pays: only for an
 * fn whose results do not depend on where. */
void mni_loop_team(mni_team *team, const mni_loop *l, int cut, char *const *data, mni_run_fn fn,
                   void *arg);

#endif
