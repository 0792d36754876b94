/*
 * data/cifar10.c: CIFAR-10 in its binary version: files of records without a header, each a label and
 * the red, green and blue planes of an image. Images stay bytes in memory and become floats batch by
 * batch.
 */
#include "core/memory.h"
#include "data/dataset.h"
#include "data/file.h"

enum { CLASSES = 10, SIDE = 32, PIXELS = 3 * SIDE * SIDE, RECORD = 1 + PIXELS };

typedef struct cifar10 {
    mn_dataset base;
    unsigned char *records; /* [size, RECORD] */
} cifar10;

static void cifar10_gather(const mn_dataset *d, const int64_t *samples, int64_t n, void *inputs,
                           void *targets)
{
    const unsigned char *records = ((const cifar10 *)d)->records;
    float *restrict input = inputs;
    int64_t *target = targets;
    for (int64_t i = 0; i < n; i++, input += PIXELS) {
        const unsigned char *restrict record = records + samples[i] * RECORD;
        for (int p = 0; p < PIXELS; p++) input[p] = (float)record[1 + p] / 255.0F;
        target[i] = record[0];
    }
}

static int64_t cifar10_classes(const mn_dataset *d, int64_t n)
{
    const unsigned char *records = ((const cifar10 *)d)->records;
    unsigned char most = 0;
    for (int64_t i = 0; i < n; i++)
        if (records[i * RECORD] > most) most = records[i * RECORD];
    return most + 1;
}

static void cifar10_destroy(mn_dataset *d)
{
    mni_free(((cifar10 *)d)->records);
}

static const mni_dataset_class cifar10_kind = {cifar10_gather, cifar10_classes, cifar10_destroy};

/* ---- reading ---- */

/* Whether the open file can be batch `batch` of `batches`. The first one sets the size of all. */
static mn_error check_size(const mni_file *f, int batch, int batches, uint64_t *size)
{
    if (f->compressed)
        return mn_fail(MN_ERR_FORMAT, "%s: gzip data: CIFAR-10 is read unpacked", f->path);
    if (f->size == 0) return mn_fail(MN_ERR_FORMAT, "%s: it holds no records", f->path);
    if (f->size % RECORD)
        return mn_fail(MN_ERR_FORMAT, "%s: %llu bytes are not records of %d bytes: %llu too many",
                       f->path, (unsigned long long)f->size, RECORD,
                       (unsigned long long)(f->size % RECORD));
    if (f->size > PTRDIFF_MAX / (unsigned)batches)
        return mn_fail(MN_ERR_FORMAT, "%s: %llu bytes are too many for this machine", f->path,
                       (unsigned long long)f->size);
    if (batch > 0 && f->size != *size)
        return mn_fail(MN_ERR_FORMAT, "%s: %llu records, but the batches before it have %llu each",
                       f->path, (unsigned long long)(f->size / RECORD),
                       (unsigned long long)(*size / RECORD));
    *size = f->size;
    return MN_OK;
}

static mn_error read_records(mni_file *f, unsigned char *records, uint64_t size)
{
    size_t got;
    mn_error e = mni_file_read(f, records, (size_t)size, &got);
    if (e) return e;
    if (got < size)
        return mn_fail(MN_ERR_IO, "%s: %zu of %llu bytes could be read", f->path, got,
                       (unsigned long long)size);
    for (uint64_t i = 0; i < size; i += RECORD)
        if (records[i] >= CLASSES)
            return mn_fail(MN_ERR_FORMAT, "%s: record %llu has the label %d, the largest is %d",
                           f->path, (unsigned long long)(i / RECORD), records[i], CLASSES - 1);
    return MN_OK;
}

/* Reads batch `batch` of `batches` to its place in s->records, which the first one allocates. */
static mn_error read_batch(cifar10 *s, const char *path, int batch, int batches, uint64_t *size)
{
    mni_file f;
    mn_error e = mni_file_open(&f, path);
    if (!e) e = check_size(&f, batch, batches, size);
    if (!e && batch == 0) {
        s->records = mni_alloc((size_t)*size * (size_t)batches);
        if (!s->records) e = MN_ERR_MEMORY;
    }
    if (!e) e = read_records(&f, s->records + (size_t)batch * (size_t)*size, *size);
    mni_file_close(&f);
    return e;
}

/* ---- public ---- */

mn_dataset *mn_data_cifar10(const char *directory, mn_data_split split)
{
    const int batches = split == MN_SPLIT_TRAIN ? 5 : 1;
    char path[MNI_PATH_SIZE];
    uint64_t size = 0;
    if (!mni_directory_fits("mn_data_cifar10", directory, split)) return NULL;
    cifar10 *s = mni_dataset_new(sizeof *s, &cifar10_kind);
    if (!s) return NULL;
    for (int i = 0; i < batches; i++) {
        const int length =
            split == MN_SPLIT_TRAIN
                ? snprintf(path, sizeof path, "%s/data_batch_%d.bin", directory, i + 1)
                : snprintf(path, sizeof path, "%s/test_batch.bin", directory);
        mn_error e = MN_OK;
        if (length < 0 || length >= MNI_PATH_SIZE)
            e = mn_fail(MN_ERR_ARGUMENT, "mn_data_cifar10: the directory's name is too long");
        if (e || read_batch(s, path, i, batches, &size)) {
            mn_dataset_free(&s->base);
            return NULL;
        }
    }
    s->base.size = (int64_t)(size / RECORD) * batches;
    s->base.input = (mni_sample){.dtype = MN_F32, .ndim = 3, .shape = {3, SIDE, SIDE}};
    s->base.target = (mni_sample){.dtype = MN_I64};
    return &s->base;
}
