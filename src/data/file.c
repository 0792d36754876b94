/*
 * data/file.c: reads a file through one buffer, as it is or by zlib, and turns everything that can go
 * wrong on the way into an error that names the file.
 */
#define _POSIX_C_SOURCE 200809L
#include "data/file.h"

#include "core/memory.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

static mn_error fail_to_open(const char *path, int error)
{
    const char *reason = error == ENOENT || error == ENOTDIR ? "no such file"
                         : error == EACCES                   ? "permission denied"
                                                             : NULL;
    if (reason) return mn_fail(MN_ERR_IO, "%s: %s", path, reason);
    return mn_fail(MN_ERR_IO, "%s: cannot be opened (errno %d)", path, error);
}

/* Fills the buffer; 0 bytes in it afterwards mean the end of the file. */
static mn_error refill(mni_file *f)
{
    f->begin = 0;
    f->end = fread(f->buffer, 1, sizeof f->buffer, f->file);
    return ferror(f->file) ? mn_fail(MN_ERR_IO, "%s: reading failed (errno %d)", f->path, errno)
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

static mn_error begin_gzip(mni_file *f)
{
    f->z.zalloc = zlib_allocate;
    f->z.zfree = zlib_release;
    if (inflateInit2(&f->z, 15 + 16) == Z_OK) return MN_OK; /* 16: with gzip's header and sum */
    f->compressed = false;
    return mn_fail(MN_ERR_MEMORY, "%s: no memory to decompress it", f->path);
}

static mn_error inflate_some(mni_file *f, unsigned char *to, size_t size, size_t *got)
{
    *got = 0;
    if (f->begin == f->end) {
        mn_error e = refill(f);
        if (e) return e;
        if (f->end == 0 && !f->member_done)
            return mn_fail(MN_ERR_FORMAT, "%s: truncated: the gzip data has no end", f->path);
        if (f->end == 0) return MN_OK;
    }
    if (f->member_done) inflateReset(&f->z);
    f->z.next_in = f->buffer + f->begin;
    f->z.avail_in = (uInt)(f->end - f->begin);
    f->z.next_out = to;
    uInt room = size < 1u << 30 ? (uInt)size : 1u << 30;
    f->z.avail_out = room;
    int code = inflate(&f->z, Z_NO_FLUSH);
    f->begin = f->end - f->z.avail_in;
    *got = room - f->z.avail_out;
    f->member_done = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return mn_fail(MN_ERR_MEMORY, "%s: no memory to decompress it", f->path);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return mn_fail(MN_ERR_FORMAT, "%s: damaged gzip data: %s", f->path,
                       f->z.msg ? f->z.msg : "unknown reason");
    return MN_OK;
}

static void end_gzip(mni_file *f)
{
    inflateEnd(&f->z);
}
#else
static mn_error begin_gzip(mni_file *f)
{
    f->compressed = false;
    return mn_fail(MN_ERR_IO, "%s: gzip data, and minnow was built without zlib", f->path);
}

static mn_error inflate_some(mni_file *f, unsigned char *to, size_t size, size_t *got)
{
    (void)to;
    (void)size;
    *got = 0;
    return begin_gzip(f);
}

static void end_gzip(mni_file *f)
{
    (void)f;
}
#endif

static mn_error copy_some(mni_file *f, unsigned char *to, size_t size, size_t *got)
{
    *got = 0;
    mn_error e = f->begin == f->end ? refill(f) : MN_OK;
    if (e) return e;
    size_t left = f->end - f->begin;
    *got = size < left ? size : left;
    memcpy(to, f->buffer + f->begin, *got);
    f->begin += *got;
    return MN_OK;
}

mn_error mni_file_read(mni_file *f, void *to, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        size_t some;
        unsigned char *rest = (unsigned char *)to + *got;
        mn_error e = f->compressed ? inflate_some(f, rest, size - *got, &some)
                                   : copy_some(f, rest, size - *got, &some);
        if (e) return e;
        *got += some;
        if (some == 0 && f->end == 0) return MN_OK;
    }
    return MN_OK;
}

void mni_file_close(mni_file *f)
{
    if (f->compressed) end_gzip(f);
    if (f->file) fclose(f->file);
}

mn_error mni_file_open(mni_file *f, const char *path)
{
    memset(f, 0, offsetof(mni_file, buffer));
    f->path = path;
    f->file = fopen(path, "rb");
    if (!f->file) return fail_to_open(path, errno);
    setvbuf(f->file, NULL, _IONBF, 0); /* f has a buffer of its own */
    struct stat about;
    if (fstat(fileno(f->file), &about)) return fail_to_open(path, errno);
    if (!S_ISREG(about.st_mode)) return mn_fail(MN_ERR_IO, "%s: not a regular file", path);
    f->size = (uint64_t)about.st_size;
    mn_error e = refill(f);
    f->compressed = !e && f->end >= 2 && f->buffer[0] == 0x1f && f->buffer[1] == 0x8b;
    return f->compressed ? begin_gzip(f) : e;
}

bool mni_directory_fits(const char *function, const char *directory, mn_data_split split)
{
    struct stat about;
    if (!directory)
        mn_fail(MN_ERR_ARGUMENT, "%s: the directory is NULL", function);
    else if (split != MN_SPLIT_TRAIN && split != MN_SPLIT_TEST)
        mn_fail(MN_ERR_ARGUMENT, "%s: there is no split %d", function, (int)split);
    else if (stat(directory, &about) || !S_ISDIR(about.st_mode))
        mn_fail(MN_ERR_IO, "%s: no such directory", directory);
    else
        return true;
    return false;
}
