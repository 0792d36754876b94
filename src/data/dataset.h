/*
 * data/dataset.h: what a data set is made of: a count of samples of one shape each, and a function
 * that gathers some of them. A new kind embeds mn_dataset as its first member and fills a class.
 */
#ifndef MNI_DATASET_H
#define MNI_DATASET_H

#include <minnow/data.h>
#include <stdatomic.h>

typedef struct mni_dataset_class {
    /* Samples samples[0..n), in that order, densely into inputs and targets. Cannot fail; may run
     * in several threads at once. */
    void (*gather)(const mn_dataset *d, const int64_t *samples, int64_t n, void *inputs,
                   void *targets);
    /* The largest integer target of the first n samples + 1, 0 for other targets. */
    int64_t (*classes)(const mn_dataset *d, int64_t n);
    /* Gives up what the kind holds beside the struct. */
    void (*destroy)(mn_dataset *d);
} mni_dataset_class;

/* One sample's input or target. */
typedef struct mni_sample {
    mn_dtype dtype;
    int ndim;
    int64_t shape[MN_MAX_DIMS];
} mni_sample;

struct mn_dataset {
    _Atomic int refs;
    const mni_dataset_class *kind;
    int64_t size;
    mni_sample input, target;
};

/* A zeroed struct of `bytes` with one reference; NULL with the last error set. */
void *mni_dataset_new(size_t bytes, const mni_dataset_class *kind);

#endif
