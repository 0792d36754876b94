/*
 * tests/test_cifar10.c: data sets in CIFAR-10's binary version, made in a temporary directory. Every
 * kind of damage must be refused with a message that names the file.
 */
#define _XOPEN_SOURCE 700
#include "support.h"
#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned char byte;

enum { PIXELS = 3072, RECORD = 3073, RECORDS = 3, ROOM = (RECORDS + 1) * RECORD, FILES = 6 };

static const char *const names[FILES] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
static char directory[256], path[FILES][300];

static void write_file(int file, const byte *data, size_t size)
{
    FILE *f = fopen(path[file], "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* What stands at place p of record i of a file. */
static int pixel(int file, int i, int p)
{
    return (file + 7 * i + p + p / 256) % 256;
}

static int label(int file, int i)
{
    return (2 * file + i) % 9;
}

static void fill(int file, byte data[ROOM])
{
    for (int i = 0; i < RECORDS + 1; i++) {
        data[i * RECORD] = (byte)label(file, i);
        for (int p = 0; p < PIXELS; p++) data[i * RECORD + 1 + p] = (byte)pixel(file, i, p);
    }
}

static void make_files(void)
{
    const char *base = getenv("TMPDIR");
    byte data[ROOM];
    snprintf(directory, sizeof directory, "%s/minnow-XXXXXX", base ? base : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    for (int f = 0; f < FILES; f++) {
        snprintf(path[f], sizeof path[f], "%s/%s", directory, names[f]);
        fill(f, data);
        write_file(f, data, RECORDS * RECORD);
    }
}

static void remove_files(void)
{
    for (int f = 0; f < FILES; f++) remove(path[f]);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* Samples are the records of `files` files from `first` on, in their order. */
static void check_samples(mn_data_split split, int first, int files)
{
    mn_dataset *d = mn_data_cifar10(directory, split);
    ck_assert_msg(d != NULL, "%s", mn_last_message());
    ck_assert_int_eq(mn_dataset_size(d), files * RECORDS);
    int64_t shape[MN_MAX_DIMS];
    ck_assert_int_eq(mn_dataset_input_shape(d, shape), 3);
    ck_assert(shape[0] == 3 && shape[1] == 32 && shape[2] == 32);
    mn_tape *t = mn_tape_new(NULL);
    mn_loader *l = mn_data_loader(d, files * RECORDS, NULL);
    mn_batch b;
    ck_assert(mn_loader_next(l, t, &b));
    ck_assert_int_eq(mn_tensor_dtype(b.input), MN_F32);
    ck_assert_int_eq(mn_tensor_dtype(b.target), MN_I64);
    ck_assert_int_eq(mn_tensor_ndim(b.input), 4);
    const float *x = mn_tensor_data(b.input);
    const int64_t *y = mn_tensor_data(b.target);
    int most = 0;
    for (int i = 0; i < files * RECORDS; i++) {
        const int file = first + i / RECORDS, record = i % RECORDS;
        ck_assert_int_eq(y[i], label(file, record));
        most = label(file, record) > most ? label(file, record) : most;
        for (int p = 0; p < PIXELS; p++)
            ck_assert(x[i * PIXELS + p] == (float)pixel(file, record, p) / 255.0F);
    }
    ck_assert_int_eq(mn_dataset_classes(d), most + 1);
    mn_loader_free(l);
    mn_tape_free(t);
    mn_dataset_free(d);
}

START_TEST(records_become_planes_of_floats_and_labels)
{
    make_files();
    check_samples(MN_SPLIT_TRAIN, 0, 5);
    check_samples(MN_SPLIT_TEST, 5, 1);
    remove_files();
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

/* Loading fails with this code and exactly this text after the file's path; nothing leaks. */
static void check_refused(mn_error code, int file, const char *reason)
{
    char expected[512];
    snprintf(expected, sizeof expected, "%s: %s", path[file], reason);
    mn_clear_last_error();
    ck_assert_ptr_null(mn_data_cifar10(directory, file < 5 ? MN_SPLIT_TRAIN : MN_SPLIT_TEST));
    ck_assert_int_eq(mn_live_allocations(), 0);
    ck_assert_str_eq(mn_last_message(), expected);
    ck_assert_int_eq(mn_last_error(), code);
}

START_TEST(damaged_files_are_refused_by_name)
{
    static const struct {
        size_t size, at; /* of the file; where a byte is changed */
        byte value;
        const char *reason;
    } damages[] = {
        {0, 0, 0, "it holds no records"},
        {1, 0, 0, "1 bytes are not records of 3073 bytes: 1 too many"},
        {RECORD - 1, 0, 0, "3072 bytes are not records of 3073 bytes: 3072 too many"},
        {3 * RECORD + 1, 0, 0, "9220 bytes are not records of 3073 bytes: 1 too many"},
        {3 * RECORD, 2 * RECORD, 10, "record 2 has the label 10, the largest is 9"},
        {3 * RECORD, 0, 255, "record 0 has the label 255, the largest is 9"},
    };
    make_files();
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        for (int f = 0; f < FILES; f++) {
            byte good[ROOM], bad[ROOM];
            fill(f, good);
            memcpy(bad, good, ROOM);
            bad[damages[i].at] = damages[i].value;
            write_file(f, bad, damages[i].size);
            check_refused(MN_ERR_FORMAT, f, damages[i].reason);
            write_file(f, good, RECORDS * RECORD);
        }
    }
    remove_files();
}
END_TEST

START_TEST(training_batches_of_different_sizes_are_refused)
{
    byte data[ROOM];
    make_files();
    fill(2, data);
    write_file(2, data, 2 * RECORD);
    check_refused(MN_ERR_FORMAT, 2, "2 records, but the batches before it have 3 each");
    write_file(2, data, 3 * RECORD);
    fill(4, data);
    write_file(4, data, 4 * RECORD);
    check_refused(MN_ERR_FORMAT, 4, "4 records, but the batches before it have 3 each");
    remove_files();
}
END_TEST

START_TEST(files_that_cannot_be_read_are_refused_by_name)
{
    byte packed[2] = {0x1f, 0x8b};
    make_files();
    for (int f = 0; f < FILES; f++) {
        byte good[ROOM];
        ck_assert_int_eq(remove(path[f]), 0);
        check_refused(MN_ERR_IO, f, "no such file");
        ck_assert_int_eq(mkdir(path[f], 0700), 0);
        check_refused(MN_ERR_IO, f, "not a regular file");
        ck_assert_int_eq(remove(path[f]), 0);
        write_file(f, packed, sizeof packed);
#if MNI_HAVE_ZLIB
        check_refused(MN_ERR_FORMAT, f, "gzip data: CIFAR-10 is read unpacked");
#else
        check_refused(MN_ERR_IO, f, "gzip data, and minnow was built without zlib");
#endif
        fill(f, good);
        write_file(f, good, RECORDS * RECORD);
    }
    if (sizeof(size_t) == 8 && truncate(path[5], PTRDIFF_MAX / RECORD / 4096 * RECORD) == 0) {
        mn_clear_last_error(); /* a hole of petabytes */
        ck_assert_ptr_null(mn_data_cifar10(directory, MN_SPLIT_TEST));
        ck_assert_int_eq(mn_last_error(), MN_ERR_MEMORY);
    }
    remove_files();
}
END_TEST

START_TEST(impossible_arguments_are_refused)
{
    char text[400], deep[5000];
    make_files();
    ck_assert_ptr_null(mn_data_cifar10(NULL, MN_SPLIT_TRAIN));
    ck_assert_str_eq(mn_last_message(), "mn_data_cifar10: the directory is NULL");
    ck_assert_ptr_null(mn_data_cifar10(directory, (mn_data_split)2));
    ck_assert_str_eq(mn_last_message(), "mn_data_cifar10: there is no split 2");
    ck_assert_int_eq(mn_last_error(), MN_ERR_ARGUMENT);
    ck_assert_ptr_null(mn_data_cifar10("/nowhere/at/all", MN_SPLIT_TEST));
    ck_assert_str_eq(mn_last_message(), "/nowhere/at/all: no such directory");
    ck_assert_int_eq(mn_last_error(), MN_ERR_IO);
    ck_assert_ptr_null(mn_data_cifar10(path[0], MN_SPLIT_TEST));
    snprintf(text, sizeof text, "%s: no such directory", path[0]);
    ck_assert_str_eq(mn_last_message(), text);
    memset(deep, '/', sizeof deep);
    memcpy(deep + 4089, ".", 2); /* a directory that exists, but no file in it has a path */
    ck_assert_ptr_null(mn_data_cifar10(deep, MN_SPLIT_TRAIN));
    ck_assert_str_eq(mn_last_message(), "mn_data_cifar10: the directory's name is too long");
    remove_files();
}
END_TEST

START_TEST(loading_survives_malloc_failing_at_each_position)
{
    int64_t allocations_left = 0, position = 0;
    const mn_allocator limited = limited_allocator(&allocations_left);
    make_files();
    ck_assert_int_eq(mn_set_allocator(&limited), MN_OK);
    for (bool done = false; !done; position++) {
        mn_clear_last_error();
        allocations_left = position;
        mn_dataset *d = mn_data_cifar10(directory, MN_SPLIT_TRAIN);
        done = d != NULL;
        if (!done) ck_assert_int_eq(mn_last_error(), MN_ERR_MEMORY);
        mn_dataset_free(d);
        ck_assert_int_eq(mn_live_allocations(), 0);
    }
    ck_assert_int_eq(position, 3); /* the data set and its records */
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
    remove_files();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        records_become_planes_of_floats_and_labels,
        damaged_files_are_refused_by_name,
        training_batches_of_different_sizes_are_refused,
        files_that_cannot_be_read_are_refused_by_name,
        impossible_arguments_are_refused,
        loading_survives_malloc_failing_at_each_position,
    };
    return run_suite("cifar10", tests, sizeof tests / sizeof *tests);
}
