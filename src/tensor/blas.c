/*
 * tensor/blas.c: calls OpenBLAS on one thread; see blas.h.
 */
#include "tensor/blas.h"

#include "tensor/compute.h"

#ifdef MNI_HAVE_OPENBLAS

#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { SERIAL = 0, PTHREADS = 1, OPENMP = 2 }; /* openblas_get_parallel() */

static pthread_once_t pthreads_once = PTHREAD_ONCE_INIT, name_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t serial_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool openmp_done;
static char name[64];

static void one_thread(void)
{
    openblas_set_num_threads(1);
}

/* A matrix as BLAS takes it: rows or columns adjacent, none overlapping. */
static bool fits(int64_t rows, int64_t columns, const int64_t s[2], CBLAS_TRANSPOSE *order, int *ld)
{
    bool plain = s[1] == 1 && s[0] >= columns && s[0] > 0;
    int64_t distance = plain ? s[0] : s[1];
    if (!plain && (s[0] != 1 || s[1] < rows || s[1] <= 0)) return false;
    *order = plain ? CblasNoTrans : CblasTrans;
    *ld = (int)distance;
    return distance <= INT_MAX && rows <= INT_MAX && columns <= INT_MAX;
}

#define PRODUCT_FN(T, gemm)                                                                        \
    static void product_##T(const mni_product *p, CBLAS_TRANSPOSE oa, int lda, CBLAS_TRANSPOSE ob, \
                            int ldb)                                                               \
    {                                                                                              \
        T *c = p->c;                                                                               \
        const T *bias = p->bias;                                                                   \
        for (int64_t i = 0; bias && i < p->m; i++)                                                 \
            for (int64_t j = 0; j < p->n; j++) {                                                   \
                T *to = c + i * p->sc[0] + j;                                                      \
                const T b = bias[i * p->sbias[0] + j * p->sbias[1]];                               \
                *to = p->accumulate ? *to + b : b;                                                 \
            }                                                                                      \
        gemm(CblasRowMajor, oa, ob, (int)p->m, (int)p->n, (int)p->k, 1, p->a, lda, p->b, ldb,      \
             bias || p->accumulate, c, (int)p->sc[0]);                                             \
    }

PRODUCT_FN(float, cblas_sgemm)
PRODUCT_FN(double, cblas_dgemm)

bool mni_blas_product(mn_dtype dtype, const mni_product *p)
{
    CBLAS_TRANSPOSE oa, ob;
    int lda, ldb;
    if (!fits(p->m, p->k, p->sa, &oa, &lda) || !fits(p->k, p->n, p->sb, &ob, &ldb)) return false;
    if (p->sc[1] != 1 || p->sc[0] < p->n || p->sc[0] > INT_MAX) return false;

    const int build = openblas_get_parallel();
    if (build == PTHREADS) pthread_once(&pthreads_once, one_thread);
    if (build == OPENMP && !openmp_done) {
        one_thread();
        openmp_done = true;
    }
    if (build == SERIAL) pthread_mutex_lock(&serial_lock);
    (dtype == MN_F32 ? product_float : product_double)(p, oa, lda, ob, ldb);
    if (build == SERIAL) pthread_mutex_unlock(&serial_lock);
    return true;
}

/* The configuration begins "OpenBLAS 0.3.21 ...". */
static void make_name(void)
{
    const char *config = openblas_get_config(), *space = strchr(config, ' ');
    space = space ? strchr(space + 1, ' ') : NULL;
    int length = space ? (int)(space - config) : (int)strlen(config);
    snprintf(name, sizeof name, "%.*s %s", length, config, openblas_get_corename());
}

const char *mni_blas_name(void)
{
    pthread_once(&name_once, make_name);
    return name;
}

#else

bool mni_blas_product(mn_dtype dtype, const mni_product *p)
{
    (void)dtype;
    (void)p;
    return false;
}

const char *mni_blas_name(void)
{
    return "none";
}

#endif
