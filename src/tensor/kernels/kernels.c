/*
 * tensor/kernels/kernels.c: which table of inner loops runs on this processor. The choice is made
 * once and kept in one atomic pointer; it is the only state.
 */
#include "tensor/kernels/kernels.h"

#include <string.h>

#if defined(__x86_64__)
extern const mni_kernel_table mni_kernels_avx512, mni_kernels_avx2, mni_kernels_baseline;

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd");
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
#elif defined(__aarch64__)
extern const mni_kernel_table mni_kernels_neon;
#else
extern const mni_kernel_table mni_kernels_baseline;
#endif

_Atomic(const mni_kernel_table *) mni_chosen_kernels;

/* The best table when name is NULL, else the one of that name; NULL when there is none. */
static const mni_kernel_table *find(const char *name)
{
    const mni_kernel_table *tables[3];
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_avx512()) tables[n++] = &mni_kernels_avx512;
    if (has_avx2()) tables[n++] = &mni_kernels_avx2;
    tables[n++] = &mni_kernels_baseline;
#elif defined(__aarch64__)
    tables[n++] = &mni_kernels_neon;
#else
    tables[n++] = &mni_kernels_baseline;
#endif
    for (int i = 0; i < n; i++)
        if (!name || strcmp(tables[i]->name, name) == 0) return tables[i];
    return NULL;
}

const mni_kernel_table *mni_choose_kernels(void)
{
    const mni_kernel_table *table = find(NULL);
    atomic_store_explicit(&mni_chosen_kernels, table, memory_order_relaxed);
    return table;
}

bool mni_kernels_force(const char *name)
{
    const mni_kernel_table *table = find(name);
    if (table) atomic_store_explicit(&mni_chosen_kernels, table, memory_order_relaxed);
    return table != NULL;
}
