/*
 * tests/test_idx.c: data sets from IDX files, the real MNIST among them. Files are made in a
 * temporary directory; every kind of damage must be refused with a message that names the file.
 */
#define _XOPEN_SOURCE 700
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if MNI_HAVE_ZLIB
#include <zlib.h>
#endif

typedef unsigned char byte;

/* ---- files ---- */

static char directory[256], images_path[300], labels_path[300];

static void make_directory(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/minnow-XXXXXX", base ? base : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(images_path, sizeof images_path, "%s/train-images-idx3-ubyte", directory);
    snprintf(labels_path, sizeof labels_path, "%s/train-labels-idx1-ubyte", directory);
}

static void remove_directory(void)
{
    char packed[310];
    const char *const paths[] = {images_path, labels_path};
    for (int i = 0; i < 2; i++) {
        snprintf(packed, sizeof packed, "%s.gz", paths[i]);
        unlink(paths[i]);
        rmdir(paths[i]);
        unlink(packed);
    }
    ck_assert_int_eq(rmdir(directory), 0);
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* An IDX file in memory: `rank` sizes, then elements 0, 1, 2, ... modulo 256. */
typedef struct idx_bytes {
    byte data[4096];
    size_t size;
} idx_bytes;

static idx_bytes idx_make(int rank, const uint32_t *sizes, size_t elements)
{
    idx_bytes f = {.data = {0, 0, 8, (byte)rank}, .size = 4};
    for (int d = 0; d < rank; d++)
        for (int shift = 24; shift >= 0; shift -= 8) f.data[f.size++] = (byte)(sizes[d] >> shift);
    for (size_t i = 0; i < elements; i++) f.data[f.size++] = (byte)i;
    return f;
}

static void write_images(uint32_t n, uint32_t height, uint32_t width)
{
    idx_bytes f = idx_make(3, (uint32_t[]){n, height, width}, (size_t)n * height * width);
    write_file(images_path, f.data, f.size);
}

static void write_labels(uint32_t n)
{
    idx_bytes f = idx_make(1, &n, n);
    write_file(labels_path, f.data, f.size);
}

static mn_dataset *load(void)
{
    return mn_data_idx(images_path, labels_path);
}

/* Loading fails with this code, a message that names `path` and says `reason`, and no leak. */
static void check_refused(mn_error code, const char *path, const char *reason)
{
    int64_t before = mn_live_allocations();
    mn_clear_last_error();
    ck_assert_ptr_null(load());
    ck_assert_int_eq(mn_live_allocations(), before);
    ck_assert_msg(mn_last_error() == code, "%s", mn_last_message());
    ck_assert_msg(strncmp(mn_last_message(), path, strlen(path)) == 0, "%s", mn_last_message());
    ck_assert_msg(strstr(mn_last_message(), reason), "%s: not \"%s\"", mn_last_message(), reason);
}

/* ---- reading IDX ---- */

START_TEST(every_byte_becomes_a_float_between_0_and_1)
{
    make_directory();
    write_images(2, 8, 16);
    write_labels(2);
    mn_dataset *d = load();
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(mn_dataset_size(d), 2);
    ck_assert_int_eq(mn_dataset_classes(d), 2);
    int64_t shape[MN_MAX_DIMS];
    ck_assert_int_eq(mn_dataset_input_shape(d, shape), 3);
    ck_assert(shape[0] == 1 && shape[1] == 8 && shape[2] == 16);

    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, 2, NULL);
    mn_batch b;
    ck_assert(mn_loader_next(l, t, &b));
    ck_assert_int_eq(b.size, 2);
    ck_assert_int_eq(mn_tensor_dtype(b.input), MN_F32);
    ck_assert_int_eq(mn_tensor_ndim(b.input), 4);
    ck_assert_int_eq(mn_tensor_dtype(b.target), MN_I64);
    ck_assert_int_eq(mn_tensor_ndim(b.target), 1);
    for (int i = 0; i < 256; i++)
        ck_assert(((const float *)mn_tensor_data(b.input))[i] == (float)i / 255.0F);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(((const int64_t *)mn_tensor_data(b.target))[i], i);
    mn_loader_free(l);
    mn_tape_free(t);
    mn_dataset_free(d);
    remove_directory();
}
END_TEST

/* One damaged file beside a good one. */
typedef struct damage {
    bool labels; /* which of the two */
    byte header[16];
    size_t header_size, elements;
    const char *reason;
} damage;

START_TEST(damaged_files_are_refused_by_name)
{
    static const damage damages[] = {
        {false, {0}, 0, 0, "not an IDX file: it has only 0 bytes"},
        {false, {0, 0, 8}, 3, 0, "not an IDX file: it has only 3 bytes"},
        {false, "P5 28 28 255", 12, 9, "not an IDX file: it begins with 50 35 20 32"},
        {false, {0, 0, 0xd, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2}, 16, 8, "IDX type 0x0d"},
        {false, {0, 0, 8, 1, 0, 0, 0, 2}, 8, 2, "1 dimensions, but images have 3"},
        {true, {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2}, 16, 8, "labels have 1"},
        {false, {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2}, 12, 0, "ends inside its header"},
        {false, {0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2}, 16, 0, "it holds no images"},
        {true, {0, 0, 8, 1, 0, 0, 0, 0}, 8, 0, "it holds no labels"},
        {false,
         {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2},
         16,
         0,
         "its images are empty (2 x 0 x 2)"},
        {false,
         {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2},
         16,
         7,
         "shorter than its header says: 7 of 8 bytes"},
        {false,
         {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2},
         16,
         9,
         "longer than its header says: more than 8 bytes"},
        {true, {0, 0, 8, 1, 0, 0, 0, 9}, 8, 2, "shorter than its header says: 2 of 9 bytes"},
        {true, {0, 0, 8, 1, 0, 0, 0, 2}, 8, 3, "longer than its header says: more than 2 bytes"},
        {false,
         {0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
         16,
         100,
         "4294967295 x 4294967295 x 4294967295 bytes in a file of 116"},
        {true, {0, 0, 8, 1, 0x7f, 0, 0, 0}, 8, 4, "2130706432 bytes in a file of 12"},
        {true, {0, 0, 8, 1, 0, 0, 0, 3}, 8, 3, "3 labels for 2 images in "},
    };
    make_directory();
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const damage *d = &damages[i];
        const char *path = d->labels ? labels_path : images_path;
        byte data[256] = {0};
        write_images(2, 2, 2);
        write_labels(2);
        memcpy(data, d->header, d->header_size);
        write_file(path, data, d->header_size + d->elements);
        check_refused(MN_ERR_FORMAT, path, d->reason);
    }
    remove_directory();
}
END_TEST

START_TEST(files_that_cannot_be_read_are_refused_by_name)
{
    make_directory();
    write_labels(2);
    check_refused(MN_ERR_IO, images_path, "no such file");
    ck_assert_int_eq(mkdir(images_path, 0700), 0);
    check_refused(MN_ERR_IO, images_path, "not a regular file");
    rmdir(images_path);
    write_images(2, 2, 2);
    unlink(labels_path);
    check_refused(MN_ERR_IO, labels_path, "no such file");
    ck_assert_ptr_null(mn_data_idx(NULL, labels_path));
    ck_assert_str_eq(mn_last_message(), "mn_data_idx: the path of the images is NULL");
    ck_assert_ptr_null(mn_data_idx(images_path, NULL));
    ck_assert_str_eq(mn_last_message(), "mn_data_idx: the path of the labels is NULL");
    remove_directory();
}
END_TEST

START_TEST(mnist_names_what_is_missing)
{
    char text[400];
    make_directory();
    ck_assert_ptr_null(mn_data_mnist("/nowhere/at/all", MN_SPLIT_TRAIN));
    ck_assert_int_eq(mn_last_error(), MN_ERR_IO);
    ck_assert_str_eq(mn_last_message(), "/nowhere/at/all: no such directory");
    ck_assert_ptr_null(mn_data_mnist(directory, MN_SPLIT_TRAIN));
    snprintf(text, sizeof text, "%s: no such file, nor with .gz", images_path);
    ck_assert_str_eq(mn_last_message(), text);
    write_images(2, 2, 2);
    ck_assert_ptr_null(mn_data_mnist(images_path, MN_SPLIT_TRAIN));
    snprintf(text, sizeof text, "%s: no such directory", images_path);
    ck_assert_str_eq(mn_last_message(), text);
    ck_assert_ptr_null(mn_data_mnist(directory, MN_SPLIT_TRAIN));
    snprintf(text, sizeof text, "%s: no such file, nor with .gz", labels_path);
    ck_assert_str_eq(mn_last_message(), text);
    write_labels(2);
    ck_assert_ptr_null(mn_data_mnist(directory, MN_SPLIT_TEST));
    ck_assert_ptr_nonnull(strstr(mn_last_message(), "t10k-images-idx3-ubyte"));
    mn_dataset *d = mn_data_mnist(directory, MN_SPLIT_TRAIN);
    ck_assert_int_eq(mn_dataset_size(d), 2);
    mn_dataset_free(d);

    ck_assert_ptr_null(mn_data_mnist(directory, (mn_data_split)2));
    ck_assert_str_eq(mn_last_message(), "mn_data_mnist: there is no split 2");
    ck_assert_ptr_null(mn_data_mnist(NULL, MN_SPLIT_TRAIN));
    ck_assert_str_eq(mn_last_message(), "mn_data_mnist: the directory is NULL");
    char path[5000];
    memset(path, '/', sizeof path);
    path[sizeof path - 1] = '\0';
    ck_assert_ptr_null(mn_data_mnist(path, MN_SPLIT_TRAIN));
    ck_assert(mn_last_error() == MN_ERR_ARGUMENT || mn_last_error() == MN_ERR_IO);
    memcpy(path + 4090, ".", 2); /* a directory that exists, but no file in it has a path */
    ck_assert_ptr_null(mn_data_mnist(path, MN_SPLIT_TRAIN));
    ck_assert_str_eq(mn_last_message(), "mn_data_mnist: the directory's name is too long");
    remove_directory();
}
END_TEST

#if MNI_HAVE_ZLIB
static size_t gzip(const idx_bytes *plain, byte *packed, size_t room)
{
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (byte *)plain->data;
    z.avail_in = (uInt)plain->size;
    z.next_out = packed;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static idx_bytes sample_images(void)
{
    return idx_make(3, (uint32_t[]){5, 10, 10}, 500);
}

/* Whether the data set is what sample_images() and write_labels(5) hold. */
static void check_sample(mn_dataset *d)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, 5, NULL);
    mn_batch b;
    ck_assert_int_eq(mn_dataset_size(d), 5);
    ck_assert(mn_loader_next(l, t, &b));
    for (int i = 0; i < 500; i++)
        ck_assert(((const float *)mn_tensor_data(b.input))[i] == (float)(i % 256) / 255.0F);
    mn_loader_free(l);
    mn_tape_free(t);
}

START_TEST(gzip_is_read_like_plain)
{
    make_directory();
    idx_bytes plain = sample_images(), half = plain, rest = {.size = plain.size - 300};
    half.size = 300;
    memcpy(rest.data, plain.data + 300, rest.size);
    byte packed[8192];
    write_labels(5);
    size_t size = gzip(&plain, packed, sizeof packed);
    write_file(images_path, packed, size);
    mn_dataset *d = load();
    check_sample(d);
    mn_dataset_free(d);

    /* a gzip file may have several members */
    size = gzip(&half, packed, sizeof packed);
    size += gzip(&rest, packed + size, sizeof packed - size);
    write_file(images_path, packed, size);
    d = load();
    check_sample(d);
    mn_dataset_free(d);

    /* beside a plain file the plain one is taken; alone, .gz is found */
    char renamed[310];
    snprintf(renamed, sizeof renamed, "%s.gz", images_path);
    ck_assert_int_eq(rename(images_path, renamed), 0);
    d = mn_data_mnist(directory, MN_SPLIT_TRAIN);
    check_sample(d);
    mn_dataset_free(d);
    remove_directory();
}
END_TEST

START_TEST(gzip_cut_at_any_byte_is_refused)
{
    make_directory();
    idx_bytes plain = sample_images();
    byte packed[8192];
    size_t size = gzip(&plain, packed, sizeof packed);
    write_labels(5);
    for (size_t cut = 2; cut < size; cut++) {
        write_file(images_path, packed, cut);
        check_refused(MN_ERR_FORMAT, images_path, "truncated");
    }
    for (size_t cut = 0; cut < 2; cut++) {
        write_file(images_path, packed, cut);
        check_refused(MN_ERR_FORMAT, images_path, "not an IDX file");
    }
    remove_directory();
}
END_TEST

START_TEST(gzip_with_any_bit_flipped_is_refused_or_harmless)
{
    make_directory();
    idx_bytes plain = sample_images();
    byte packed[8192];
    size_t size = gzip(&plain, packed, sizeof packed);
    int64_t before = mn_live_allocations();
    int harmless = 0;
    write_labels(5);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        byte mask = (byte)(1 << bit % 8);
        packed[bit / 8] ^= mask;
        write_file(images_path, packed, size);
        packed[bit / 8] ^= mask;
        mn_dataset *d = load();
        if (d) check_sample(d);
        harmless += d != NULL;
        mn_dataset_free(d);
        ck_assert_int_eq(mn_live_allocations(), before);
    }
    ck_assert_int_le(harmless, 8 * 7); /* time, operating system and the like */
    remove_directory();
}
END_TEST

START_TEST(gzip_with_bytes_behind_it_is_refused)
{
    make_directory();
    idx_bytes plain = sample_images();
    byte packed[8192];
    size_t size = gzip(&plain, packed, sizeof packed);
    write_labels(5);
    memcpy(packed + size, "junk", 4);
    write_file(images_path, packed, size + 4);
    check_refused(MN_ERR_FORMAT, images_path, "damaged gzip data: incorrect header check");
    plain.data[plain.size++] = 0;
    size = gzip(&plain, packed, sizeof packed);
    write_file(images_path, packed, size);
    check_refused(MN_ERR_FORMAT, images_path, "longer than its header says");
    remove_directory();
}
END_TEST

START_TEST(a_compressed_header_cannot_ask_for_more_than_the_file_can_hold)
{
    make_directory();
    idx_bytes plain = idx_make(3, (uint32_t[]){UINT32_MAX, 28, 28}, 100);
    byte packed[8192];
    size_t size = gzip(&plain, packed, sizeof packed);
    write_labels(5);
    write_file(images_path, packed, size);
    check_refused(MN_ERR_FORMAT, images_path, "4294967295 x 28 x 28 bytes in a file of");
    remove_directory();
}
END_TEST

/* ---- the real MNIST ---- */

START_TEST(mnist_is_mnist)
{
    static const int64_t sizes[2] = {60000, 10000};
    static const int64_t first[2][5] = {{5, 0, 4, 1, 9}, {7, 2, 1, 0, 4}};
    static const double mean[2] = {0.130660, 0.132515};
    for (int split = 0; split < 2; split++) {
        mn_dataset *d = mn_data_mnist(MNI_MNIST_DIR, (mn_data_split)split);
        ck_assert_msg(d != NULL, "%s", mn_last_message());
        int64_t shape[MN_MAX_DIMS], seen = 0, pixels = 0;
        ck_assert_int_eq(mn_dataset_size(d), sizes[split]);
        ck_assert_int_eq(mn_dataset_classes(d), 10);
        ck_assert_int_eq(mn_dataset_input_shape(d, shape), 3);
        ck_assert(shape[0] == 1 && shape[1] == 28 && shape[2] == 28);
        mn_tape *t = mn_tape_new(NULL);
        mn_loader *l = mn_data_loader(d, 1000, NULL);
        double sum = 0;
        for (mn_batch b; mn_loader_next(l, t, &b); mn_tape_reset(t)) {
            const float *x = mn_tensor_data(b.input);
            for (int64_t i = 0; i < mn_tensor_numel(b.input); i++) sum += (double)x[i];
            pixels += mn_tensor_numel(b.input);
            for (int64_t i = 0; seen == 0 && i < 5; i++)
                ck_assert_int_eq(mn_tensor_get_i64(b.target, &i), first[split][i]);
            seen += b.size;
        }
        ck_assert_int_eq(seen, sizes[split]);
        ck_assert(fabs(sum / (double)pixels - mean[split]) < 1e-6);
        mn_loader_free(l);
        mn_tape_free(t);
        mn_dataset_free(d);
    }
}
END_TEST
#else
START_TEST(gzip_is_refused_without_zlib)
{
    make_directory();
    write_labels(2);
    write_file(images_path, "\x1f\x8b\x08", 3);
    check_refused(MN_ERR_IO, images_path, "gzip data, and minnow was built without zlib");
    remove_directory();
}
END_TEST
#endif

/* ---- malloc failing ---- */

/* Loads a data set and runs an epoch; whether it all went well. */
static bool load_and_run(const char *path)
{
    mn_dataset *d = mn_data_head(mn_data_mnist(path, MN_SPLIT_TRAIN), 3);
    mn_loader *l = mn_data_loader(d, 2, &(mn_data_loader_opts){.shuffle = true});
    mn_tape *t = mn_tape_new(NULL);
    int64_t seen = 0;
    for (mn_batch b; mn_loader_next(l, t, &b); mn_tape_reset(t)) seen += b.size;
    if (seen < 3) ck_assert_int_eq(mn_tape_error(t), MN_ERR_MEMORY);
    mn_tape_free(t);
    mn_loader_free(l);
    mn_dataset_free(d);
    return seen == 3;
}

START_TEST(loading_survives_malloc_failing_at_each_position)
{
    make_directory();
    idx_bytes plain = idx_make(3, (uint32_t[]){5, 10, 10}, 500);
    write_file(images_path, plain.data, plain.size);
    write_labels(5);
#if MNI_HAVE_ZLIB
    byte packed[8192];
    write_file(images_path, packed, gzip(&plain, packed, sizeof packed));
#endif
    int64_t allocations_left = 0;
    const mn_allocator limited = limited_allocator(&allocations_left);
    ck_assert_int_eq(mn_set_allocator(&limited), MN_OK);
    bool done = false;
    int64_t position = 0;
    for (; !done; position++) {
        ck_assert_int_lt(position, 200);
        mn_clear_last_error();
        allocations_left = position;
        done = load_and_run(directory);
        ck_assert_int_eq(mn_live_allocations(), 0);
        if (!done) ck_assert_int_eq(mn_last_error(), MN_ERR_MEMORY);
    }
    ck_assert_int_gt(position, 5);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
    remove_directory();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_byte_becomes_a_float_between_0_and_1,
        damaged_files_are_refused_by_name,
        files_that_cannot_be_read_are_refused_by_name,
        mnist_names_what_is_missing,
#if MNI_HAVE_ZLIB
        gzip_is_read_like_plain,
        gzip_cut_at_any_byte_is_refused,
        gzip_with_any_bit_flipped_is_refused_or_harmless,
        gzip_with_bytes_behind_it_is_refused,
        a_compressed_header_cannot_ask_for_more_than_the_file_can_hold,
        mnist_is_mnist,
#else
        gzip_is_refused_without_zlib,
#endif
        loading_survives_malloc_failing_at_each_position,
    };
    return run_suite("idx", tests, sizeof tests / sizeof *tests);
}
