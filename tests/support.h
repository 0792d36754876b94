/*
 * tests/support.h: what suites share: a main in one line and an allocator that fails when told to.
 */
#ifndef MN_TEST_SUPPORT_H
#define MN_TEST_SUPPORT_H

#include <check.h>
#include <minnow/core.h>
#include <stdlib.h>

/* Runs n tests as the suite `name`; returns what main returns. */
static inline int run_suite(const char *name, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < n; i++) tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

static inline void *limited_allocate(size_t size, void *left)
{
    int64_t *n = left;
    if (*n == 0) return NULL;
    (*n)--;
    return malloc(size);
}

static inline void limited_release(void *memory, void *left)
{
    (void)left;
    free(memory);
}

/* malloc until *left allocations have been made, then NULL. For one thread. */
static inline mn_allocator limited_allocator(int64_t *left)
{
    return (mn_allocator){limited_allocate, limited_release, left};
}

#endif
