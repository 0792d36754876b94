/*
 * minnow/data.h: data sets and the loader that turns them into batches on a tape.
 */
#ifndef MINNOW_DATA_H
#define MINNOW_DATA_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A data set: samples, each an input and a target. A loader: an endless walk through one, in
 * batches. Both opaque. */
typedef struct mn_dataset mn_dataset;
typedef struct mn_loader mn_loader;

/* One batch; its tensors are temporaries of the tape. */
typedef struct mn_batch {
    mn_tensor *input;
    mn_tensor *target;
    int64_t size; /* samples in it */
} mn_batch;

/* The part of a data set that is learned from, or the one that tells how well. */
typedef enum mn_data_split { MN_SPLIT_TRAIN = 0, MN_SPLIT_TEST } mn_data_split;

/* MNIST, or any data set in its layout: in `directory`, the files train-images-idx3-ubyte and
 * train-labels-idx1-ubyte (t10k-... for the test split), each plain or with .gz. Samples: input
 * [1, H, W] f32 in [0, 1] (byte / 255), target [] i64. LeCun, Cortes, Burges, "The MNIST database
 * of handwritten digits", 1998. */
MN_API mn_dataset *mn_data_mnist(const char *directory, mn_data_split split);

/* The same from two files by name. images: IDX with 3 dimensions of unsigned bytes; labels: IDX
 * with 1. Errors name the file: missing, not IDX, wrong type or rank, shorter or longer than its
 * header says, damaged gzip, zero images, counts that disagree. */
MN_API mn_dataset *mn_data_idx(const char *images_path, const char *labels_path);

/* CIFAR-10, the binary version: in `directory`, the files data_batch_1.bin to data_batch_5.bin (test
 * split: test_batch.bin), each of as many records (10000 in the original) of 3073 bytes: a label from
 * 0 to 9 and three planes of 32 x 32 pixels. Samples: input [3, 32, 32] f32 in [0, 1] (byte / 255),
 * target [] i64. Errors name the file: missing, compressed, no records or not whole ones, another
 * number of them than the batches before, a label beyond 9. Krizhevsky, "Learning multiple layers of
 * features from tiny images", 2009. */
MN_API mn_dataset *mn_data_cifar10(const char *directory, mn_data_split split);

/* Samples inputs[i], targets[i] for i < size of dimension 0, which must agree. Takes a reference to
 * both. */
MN_API mn_dataset *mn_data_tensors(mn_tensor *inputs, mn_tensor *targets);

/* The first n samples of a data set (all when there are fewer), which it takes over, also when it
 * fails. n >= 1. */
MN_API mn_dataset *mn_data_head(mn_dataset *d, int64_t n);

/* Samples; 0 for NULL. */
MN_API int64_t mn_dataset_size(const mn_dataset *d);

/* Largest integer target + 1; 0 for other targets and for NULL. */
MN_API int64_t mn_dataset_classes(const mn_dataset *d);

/* The shape of one sample's input: returns its number of dimensions and fills at most MN_MAX_DIMS
 * sizes. */
MN_API int mn_dataset_input_shape(const mn_dataset *d, int64_t *shape);

/* retain: one more owner; returns d. free: gives up one reference; the last one frees. */
MN_API mn_dataset *mn_dataset_retain(mn_dataset *d);
MN_API void mn_dataset_free(mn_dataset *d);

/* The order and the end of an epoch. */
typedef struct mn_data_loader_opts {
    bool shuffle;   /* a new order each epoch (Fisher-Yates), by seed and epoch alone */
    bool drop_last; /* leave out a last batch that is smaller */
    uint64_t seed;
} mn_data_loader_opts;

/* Batches of batch_size >= 1 samples. The loader takes a reference to d. */
MN_API mn_loader *mn_data_loader(mn_dataset *d, int64_t batch_size,
                                 const mn_data_loader_opts *opts);

/* The next batch, on tape t: input [n, ...], target [n, ...]. False once at the end of an epoch
 * (the next call begins the next one) and whenever the tape has an error; a NULL loader puts its
 * reason into the tape. */
MN_API bool mn_loader_next(mn_loader *l, mn_tape *t, mn_batch *batch);

/* Batches in an epoch. */
MN_API int64_t mn_loader_batches(const mn_loader *l);

/* Epochs begun, minus one: 0 during the first. */
MN_API int64_t mn_loader_epoch(const mn_loader *l);

/* Back to the beginning of epoch `epoch` >= 0: the same seed and epoch give the same batches. */
MN_API mn_error mn_loader_seek(mn_loader *l, int64_t epoch);

/* Frees the loader and its reference to the data set. NULL is fine. */
MN_API void mn_loader_free(mn_loader *l);

#ifdef __cplusplus
}
#endif
#endif
