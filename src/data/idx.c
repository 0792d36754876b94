/*
 * data/idx.c: data sets in IDX files, the format of MNIST: a four-byte magic number (0, 0, element
 * type, rank), the sizes as big-endian 32-bit words, the elements. Files may be gzip compressed.
 * Images stay bytes in memory and become floats batch by batch.
 */
#define _POSIX_C_SOURCE 200809L
#include "core/memory.h"
#include "data/dataset.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#if MNI_HAVE_ZLIB
#include <zlib.h>
#endif

enum { UNSIGNED_BYTES = 0x08, MAX_RANK = 3, PATH_SIZE = 4096 };

/* deflate cannot shrink further than 1032:1, which bounds what a header may ask for. */
enum { MAX_RATIO = 1032 };

/* ---- the bytes of a file, decompressed ---- */

typedef struct source {
    const char *path;
    FILE *file;
    uint64_t file_size;
    bool compressed;
    size_t begin, end; /* of what is left in buffer */
#if MNI_HAVE_ZLIB
    z_stream z;
    bool member_done; /* between two members of a gzip file, or at its end */
#endif
    unsigned char buffer[16384];
} source;

static mn_error fail_to_open(const char *path, int error)
{
    const char *reason = error == ENOENT || error == ENOTDIR ? "no such file"
                         : error == EACCES                   ? "permission denied"
                                                             : NULL;
    if (reason) return mn_fail(MN_ERR_IO, "%s: %s", path, reason);
    return mn_fail(MN_ERR_IO, "%s: cannot be opened (errno %d)", path, error);
}

/* Fills the buffer; 0 bytes in it afterwards mean the end of the file. */
static mn_error refill(source *s)
{
    s->begin = 0;
    s->end = fread(s->buffer, 1, sizeof s->buffer, s->file);
    return ferror(s->file) ? mn_fail(MN_ERR_IO, "%s: reading failed (errno %d)", s->path, errno)
                           : MN_OK;
}

#if MNI_HAVE_ZLIB
static void *zlib_allocate(void *user, unsigned n, unsigned size)
{
    (void)user;
    return mni_alloc((size_t)n * size);
}

static void zlib_release(void *user, void *memory)
{
    (void)user;
    mni_free(memory);
}

static mn_error begin_gzip(source *s)
{
    s->z.zalloc = zlib_allocate;
    s->z.zfree = zlib_release;
    if (inflateInit2(&s->z, 15 + 16) == Z_OK) return MN_OK; /* 16: with gzip's header and sum */
    s->compressed = false;
    return mn_fail(MN_ERR_MEMORY, "%s: no memory to decompress it", s->path);
}

static mn_error inflate_some(source *s, unsigned char *to, size_t size, size_t *got)
{
    *got = 0;
    if (s->begin == s->end) {
        mn_error e = refill(s);
        if (e) return e;
        if (s->end == 0 && !s->member_done)
            return mn_fail(MN_ERR_FORMAT, "%s: truncated: the gzip data has no end", s->path);
        if (s->end == 0) return MN_OK;
    }
    if (s->member_done) inflateReset(&s->z);
    s->z.next_in = s->buffer + s->begin;
    s->z.avail_in = (uInt)(s->end - s->begin);
    s->z.next_out = to;
    uInt room = size < 1u << 30 ? (uInt)size : 1u << 30;
    s->z.avail_out = room;
    int code = inflate(&s->z, Z_NO_FLUSH);
    s->begin = s->end - s->z.avail_in;
    *got = room - s->z.avail_out;
    s->member_done = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return mn_fail(MN_ERR_MEMORY, "%s: no memory to decompress it", s->path);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return mn_fail(MN_ERR_FORMAT, "%s: damaged gzip data: %s", s->path,
                       s->z.msg ? s->z.msg : "unknown reason");
    return MN_OK;
}

static void end_gzip(source *s)
{
    inflateEnd(&s->z);
}
#else
static mn_error begin_gzip(source *s)
{
    s->compressed = false;
    return mn_fail(MN_ERR_IO, "%s: gzip data, and minnow was built without zlib", s->path);
}

static mn_error inflate_some(source *s, unsigned char *to, size_t size, size_t *got)
{
    (void)to;
    (void)size;
    *got = 0;
    return begin_gzip(s);
}

static void end_gzip(source *s)
{
    (void)s;
}
#endif

static mn_error copy_some(source *s, unsigned char *to, size_t size, size_t *got)
{
    *got = 0;
    mn_error e = s->begin == s->end ? refill(s) : MN_OK;
    if (e) return e;
    size_t left = s->end - s->begin;
    *got = size < left ? size : left;
    memcpy(to, s->buffer + s->begin, *got);
    s->begin += *got;
    return MN_OK;
}

/* *got < size only at the end. */
static mn_error read_source(source *s, void *to, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        size_t some;
        unsigned char *rest = (unsigned char *)to + *got;
        mn_error e = s->compressed ? inflate_some(s, rest, size - *got, &some)
                                   : copy_some(s, rest, size - *got, &some);
        if (e) return e;
        *got += some;
        if (some == 0 && s->end == 0) return MN_OK;
    }
    return MN_OK;
}

static void close_source(source *s)
{
    if (s->compressed) end_gzip(s);
    if (s->file) fclose(s->file);
}

static mn_error open_source(source *s, const char *path)
{
    memset(s, 0, offsetof(source, buffer));
    s->path = path;
    s->file = fopen(path, "rb");
    if (!s->file) return fail_to_open(path, errno);
    setvbuf(s->file, NULL, _IONBF, 0); /* source has a buffer of its own */
    struct stat about;
    if (fstat(fileno(s->file), &about)) return fail_to_open(path, errno);
    if (!S_ISREG(about.st_mode)) return mn_fail(MN_ERR_IO, "%s: not a regular file", path);
    s->file_size = (uint64_t)about.st_size;
    mn_error e = refill(s);
    s->compressed = !e && s->end >= 2 && s->buffer[0] == 0x1f && s->buffer[1] == 0x8b;
    return s->compressed ? begin_gzip(s) : e;
}

/* ---- IDX ---- */

/* What the elements of a file are, for messages. */
typedef struct content {
    const char *name;
    int rank;
} content;

static mn_error check_magic(const source *s, const unsigned char *magic, size_t got,
                            const content *what)
{
    if (got < 4)
        return mn_fail(MN_ERR_FORMAT, "%s: not an IDX file: it has only %zu bytes", s->path, got);
    if (magic[0] || magic[1])
        return mn_fail(MN_ERR_FORMAT, "%s: not an IDX file: it begins with %02x %02x %02x %02x",
                       s->path, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != UNSIGNED_BYTES)
        return mn_fail(MN_ERR_FORMAT, "%s: elements of IDX type 0x%02x, not unsigned bytes (0x08)",
                       s->path, magic[2]);
    if (magic[3] != what->rank)
        return mn_fail(MN_ERR_FORMAT, "%s: %d dimensions, but %s have %d", s->path, magic[3],
                       what->name, what->rank);
    return MN_OK;
}

/* Sizes from the header, and their product once it is known that the file can hold as much. */
static mn_error read_header(source *s, const content *what, int64_t *shape, size_t *total)
{
    unsigned char magic[4], words[4 * MAX_RANK];
    size_t got, length = 4 * (size_t)what->rank;
    mn_error e = read_source(s, magic, sizeof magic, &got);
    if (!e) e = check_magic(s, magic, got, what);
    if (!e) e = read_source(s, words, length, &got);
    if (e) return e;
    if (got < length) return mn_fail(MN_ERR_FORMAT, "%s: ends inside its header", s->path);

    char sizes[64] = "";
    uint64_t room = s->file_size * (s->compressed ? MAX_RATIO : 1), product = 1;
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
    if (shape[0] == 0) return mn_fail(MN_ERR_FORMAT, "%s: it holds no %s", s->path, what->name);
    if (empty)
        return mn_fail(MN_ERR_FORMAT, "%s: its %s are empty (%s)", s->path, what->name, sizes);
    if (!fits)
        return mn_fail(MN_ERR_FORMAT,
                       "%s: shorter than its header says: %s bytes in a file of %llu", s->path,
                       sizes, (unsigned long long)s->file_size);
    *total = (size_t)product;
    return MN_OK;
}

static mn_error read_elements(source *s, const content *what, int64_t *shape,
                              unsigned char **elements)
{
    size_t total = 0, got, more;
    unsigned char after;
    mn_error e = read_header(s, what, shape, &total);
    if (e) return e;
    *elements = mni_alloc(total);
    if (!*elements) return MN_ERR_MEMORY;
    e = read_source(s, *elements, total, &got);
    if (!e && got < total)
        e = mn_fail(MN_ERR_FORMAT, "%s: shorter than its header says: %zu of %zu bytes", s->path,
                    got, total);
    if (!e) e = read_source(s, &after, 1, &more); /* also checks gzip's sum */
    if (!e && more)
        e = mn_fail(MN_ERR_FORMAT, "%s: longer than its header says: more than %zu bytes", s->path,
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
    source s;
    mn_error e = open_source(&s, path);
    if (!e) e = read_elements(&s, what, shape, elements);
    close_source(&s);
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
static bool find(const char *directory, const char *name, char path[PATH_SIZE])
{
    struct stat about;
    int length = snprintf(path, PATH_SIZE, "%s/%s.gz", directory, name);
    if (length < 0 || length >= PATH_SIZE) {
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
    struct stat about;
    char images[PATH_SIZE], labels[PATH_SIZE];
    if (!directory || (split != MN_SPLIT_TRAIN && split != MN_SPLIT_TEST)) {
        mn_fail(MN_ERR_ARGUMENT,
                directory ? "mn_data_mnist: there is no split %d"
                          : "mn_data_mnist: the directory is NULL",
                (int)split);
        return NULL;
    }
    if (stat(directory, &about) || !S_ISDIR(about.st_mode)) {
        mn_fail(MN_ERR_IO, "%s: no such directory", directory);
        return NULL;
    }
    if (!find(directory, names[split][0], images) || !find(directory, names[split][1], labels))
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
