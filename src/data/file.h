/*
 * data/file.h: the bytes of a data set's file, decompressed where they are gzip's, and the errors of
 * files that cannot be read.
 */
#ifndef MNI_FILE_H
#define MNI_FILE_H

#include <minnow/data.h>
#include <stdio.h>
#if MNI_HAVE_ZLIB
#include <zlib.h>
#endif

enum { MNI_PATH_SIZE = 4096 };

typedef struct mni_file {
    const char *path;
    FILE *file;
    uint64_t size; /* on disk */
    bool compressed;
    size_t begin, end; /* of what is left in buffer */
#if MNI_HAVE_ZLIB
    z_stream z;
    bool member_done; /* between two members of a gzip file, or at its end */
#endif
    unsigned char buffer[16384];
} mni_file;

/* Whether there is such a split and a directory to look for it in; otherwise the last error says
 * what `function` got. */
bool mni_directory_fits(const char *function, const char *directory, mn_data_split split);

/* `path` is used as long as the file is. To be closed in every case. */
mn_error mni_file_open(mni_file *f, const char *path);
void mni_file_close(mni_file *f);

/* *got < size only at the end, where gzip's sum is checked. */
mn_error mni_file_read(mni_file *f, void *to, size_t size, size_t *got);

#endif
