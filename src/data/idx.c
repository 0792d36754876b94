/*
 * data/idx.c: data sets in IDX files, the format of MNIST: a four-byte magic number (0, 0, element
 * type, rank), the sizes as big-endian 32-bit words, the elements. Files may be gzip compressed.
 * Images stay bytes in memory and become floats batch by batch.
 */
#define _POSIX_C_SOURCE 200809L
#include "core/memory.h"
#include "data/dataset.h"
#include "data/file.h"
#include <string.h>
#include <sys/stat.h>

enum { UNSIGNED_BYTES = 0x08, MAX_RANK = 3 };

/* deflate cannot shrink further than 1032:1, which bounds what a header may ask for. */
enum { MAX_RATIO = 1032 };

/* ---- IDX ---- */

/* What the elements of a file are, for messages. */
typedef struct content {
    const char *name;
    int rank;
} content;

static mn_error check_magic(const mni_file *f, const unsigned char *magic, size_t got,
                            const content *what)
{
    if (got < 4)
        return mn_fail(MN_ERR_FORMAT, "%s: not an IDX file: it has only %zu bytes", f->path, got);
    if (magic[0] || magic[1])
        return mn_fail(MN_ERR_FORMAT, "%s: not an IDX file: it begins with %02x %02x %02x %02x",
                       f->path, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != UNSIGNED_BYTES)
        return mn_fail(MN_ERR_FORMAT, "%s: elements of IDX type 0x%02x, not unsigned bytes (0x08)",
                       f->path, magic[2]);
    if (magic[3] != what->rank)
        return mn_fail(MN_ERR_FORMAT, "%s: %d dimensions, but %s have %d", f->path, magic[3],
                       what->name, what->rank);
    return MN_OK;
}

/* Sizes from the header, and their product once it is known that the file can hold as much. */
static mn_error read_header(mni_file *f, const content *what, int64_t *shape, size_t *total)
{
    unsigned char magic[4], words[4 * MAX_RANK];
    size_t got, length = 4 * (size_t)what->rank;
    mn_error e = mni_file_read(f, magic, sizeof magic, &got);
    if (!e) e = check_magic(f, magic, got, what);
    if (!e) e = mni_file_read(f, words, length, &got);
    if (e) return e;
    if (got < length) return mn_fail(MN_ERR_FORMAT, "%s: ends inside its header", f->path);

    char sizes[64] = "";
    uint64_t room = f->size * (f->compressed ? MAX_RATIO : 1), product = 1;
    if (room > PTRDIFF_MAX) room = PTRDIFF_MAX;
    bool fits = true, empty = false;
    for (int d = 0; d < what->rank; d++) {
        const unsigned char *w = words + 4 * d;
        uint32_t size =
            (uint32_t)w[0] << 24 | (uint32_t)w[1] << 16 | (uint32_t)w[2] << 8 | (uint32_t)w[3];
        size_t used = strlen(sizes);
        snprintf(sizes + used, sizeof sizes - used, d ? " x %lu" : "%lu", (unsigned long)size);
        shape[d] = size;
        empty = empty || size == 0;
        fits = fits && !empty && product <= room / size;
        if (fits) product *= size;
    }
    if (shape[0] == 0) return mn_fail(MN_ERR_FORMAT, "%s: it holds no %s", f->path, what->name);
    if (empty)
        return mn_fail(MN_ERR_FORMAT, "%s: its %s are empty (%s)", f->path, what->name, sizes);
    if (!fits)
        return mn_fail(MN_ERR_FORMAT,
                       "%s: shorter than its header says: %s bytes in a file of %llu", f->path,
                       sizes, (unsigned long long)f->size);
    *total = (size_t)product;
    return MN_OK;
}

static mn_error read_elements(mni_file *f, const content *what, int64_t *shape,
                              unsigned char **elements)
{
    size_t total = 0, got, more;
    unsigned char after;
    mn_error e = read_header(f, what, shape, &total);
    if (e) return e;
    *elements = mni_alloc(total);
    if (!*elements) return MN_ERR_MEMORY;
    e = mni_file_read(f, *elements, total, &got);
    if (!e && got < total)
        e = mn_fail(MN_ERR_FORMAT, "%s: shorter than its header says: %zu of %zu bytes", f->path,
                    got, total);
    if (!e) e = mni_file_read(f, &after, 1, &more); /* also checks gzip's sum */
    if (!e && more)
        e = mn_fail(MN_ERR_FORMAT, "%s: longer than its header says: more than %zu bytes", f->path,
                    total);
    if (!e) return MN_OK;
    mni_free(*elements);
    *elements = NULL;
    return e;
}

/* All elements of the file at `path`, and their shape. */
static mn_error read_idx(const char *path, const content *what, int64_t *shape,
                         unsigned char **elements)
{
    mni_file f;
    mn_error e = mni_file_open(&f, path);
    if (!e) e = read_elements(&f, what, shape, elements);
    mni_file_close(&f);
    return e;
}

/* ---- the data set ---- */

typedef struct idx {
    mn_dataset base;
    unsigned char *images; /* [size, H, W] */
    unsigned char *labels; /* [size] */
} idx;

static void idx_gather(const mn_dataset *d, const int64_t *samples, int64_t n, void *inputs,
                       void *targets)
{
    const idx *s = (const idx *)d;
    int64_t pixels = d->input.shape[1] * d->input.shape[2];
    float *restrict input = inputs;
    int64_t *target = targets;
    for (int64_t i = 0; i < n; i++, input += pixels) {
        const unsigned char *restrict image = s->images + samples[i] * pixels;
        for (int64_t p = 0; p < pixels; p++) input[p] = (float)image[p] / 255.0F;
        target[i] = s->labels[samples[i]];
    }
}

static int64_t idx_classes(const mn_dataset *d, int64_t n)
{
    const idx *s = (const idx *)d;
    unsigned char most = 0;
    for (int64_t i = 0; i < n; i++)
        if (s->labels[i] > most) most = s->labels[i];
    return most + 1;
}

static void idx_destroy(mn_dataset *d)
{
    idx *s = (idx *)d;
    mni_free(s->images);
    mni_free(s->labels);
}

static const mni_dataset_class idx_kind = {idx_gather, idx_classes, idx_destroy};

/* The path of a file of MNIST's layout: `directory`/`name`, or with .gz. */
static bool find(const char *directory, const char *name, char path[MNI_PATH_SIZE])
{
    struct stat about;
    int length = snprintf(path, MNI_PATH_SIZE, "%s/%s.gz", directory, name);
    if (length < 0 || length >= MNI_PATH_SIZE) {
        mn_fail(MN_ERR_ARGUMENT, "mn_data_mnist: the directory's name is too long");
        return false;
    }
    path[length - 3] = '\0';
    if (stat(path, &about) == 0) return true;
    path[length - 3] = '.';
    if (stat(path, &about) == 0) return true;
    path[length - 3] = '\0';
    mn_fail(MN_ERR_IO, "%s: no such file, nor with .gz", path);
    return false;
}

/* ---- public ---- */

mn_dataset *mn_data_mnist(const char *directory, mn_data_split split)
{
    static const char *const names[2][2] = {
        {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
        {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
    };
    char images[MNI_PATH_SIZE], labels[MNI_PATH_SIZE];
    if (!mni_directory_fits("mn_data_mnist", directory, split) ||
        !find(directory, names[split][0], images) || !find(directory, names[split][1], labels))
        return NULL;
    return mn_data_idx(images, labels);
}

mn_dataset *mn_data_idx(const char *images_path, const char *labels_path)
{
    static const content images = {"images", 3}, labels = {"labels", 1};
    if (!images_path || !labels_path) {
        mn_fail(MN_ERR_ARGUMENT, "mn_data_idx: the path of the %s is NULL",
                images_path ? "labels" : "images");
        return NULL;
    }
    idx *s = mni_dataset_new(sizeof *s, &idx_kind);
    if (!s) return NULL;
    int64_t shape[MAX_RANK], count;
    if (read_idx(images_path, &images, shape, &s->images)) goto failed;
    if (read_idx(labels_path, &labels, &count, &s->labels)) goto failed;
    if (count != shape[0]) {
        mn_fail(MN_ERR_FORMAT, "%s: %lld labels for %lld images in %s", labels_path,
                (long long)count, (long long)shape[0], images_path);
        goto failed;
    }
    s->base.size = count;
    s->base.input = (mni_sample){.dtype = MN_F32, .ndim = 3, .shape = {1, shape[1], shape[2]}};
    s->base.target = (mni_sample){.dtype = MN_I64};
    return &s->base;
failed:
    mn_dataset_free(&s->base);
    return NULL;
}
