/*
 * tensor/kernels/norm.h: normalisation for one element type T; included by norm_isa.c, which defines T,
 * FN and the sizes. (No include guard: it is included once for each type.)
 *
 * What is summed goes through vectors of T for a stretch and then into a double: as fast as vectors,
 * and as exact as the elements are.
 */

typedef T FN(vec) __attribute__((vector_size(VECTOR)));
typedef T FN(loose) __attribute__((vector_size(VECTOR), aligned(sizeof(T)), may_alias));

enum { FN(LANES) = VECTOR / sizeof(T) };

MNI_INLINE FN(vec) FN(load)(const T *x)
{
    return *(const FN(loose) *)x;
}

MNI_INLINE double FN(fold)(FN(vec) v)
{
    double sum[FN(LANES)];
    MNI_UNROLL
    for (int i = 0; i < FN(LANES); i++) sum[i] = (double)v[i];
    MNI_UNROLL
    for (int half = FN(LANES) / 2; half > 0; half /= 2) {
        MNI_UNROLL
        for (int i = 0; i < half; i++) sum[i] += sum[i + half];
    }
    return sum[0];
}

/* sums[k] <- the sum over i < n of term k, in vectors (V) and for what is left over (S). Both see i. */
#define SUM_TERMS(sums, n, V0, S0, V1, S1)                                                         \
    for (int64_t i = 0, end; i < (n);) {                                                           \
        FN(vec) a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};                                            \
        end = (n)-i > STRETCH ? i + STRETCH : (n);                                                 \
        for (; i + 2 * FN(LANES) <= end; i += FN(LANES)) {                                         \
            a0 += V0;                                                                              \
            a1 += V1;                                                                              \
            i += FN(LANES);                                                                        \
            b0 += V0;                                                                              \
            b1 += V1;                                                                              \
        }                                                                                          \
        for (; i + FN(LANES) <= end; i += FN(LANES)) {                                             \
            a0 += V0;                                                                              \
            a1 += V1;                                                                              \
        }                                                                                          \
        sums[0] += FN(fold)(a0 + b0);                                                              \
        sums[1] += FN(fold)(a1 + b1);                                                              \
        for (; i < end; i++) {                                                                     \
            sums[0] += (double)(S0);                                                               \
            sums[1] += (double)(S1);                                                               \
        }                                                                                          \
    }

/* The sums of x - m and of its square. */
static void FN(moments)(int64_t n, const T *x, T m, double sums[2])
{
    SUM_TERMS(sums, n, FN(load)(x + i) - m, x[i] - m, (FN(load)(x + i) - m) * (FN(load)(x + i) - m),
              (x[i] - m) * (x[i] - m))
}

/* The sums of g and of g (x - m), where g is gy, or gy w with w as long as gy. */
static void FN(products)(int64_t n, const T *gy, const T *w, const T *x, T m, double sums[2])
{
    if (w) {
        SUM_TERMS(sums, n, FN(load)(gy + i) * FN(load)(w + i), gy[i] * w[i],
                  FN(load)(gy + i) * FN(load)(w + i) * (FN(load)(x + i) - m),
                  gy[i] * w[i] * (x[i] - m))
    } else {
        SUM_TERMS(sums, n, FN(load)(gy + i), gy[i], FN(load)(gy + i) * (FN(load)(x + i) - m),
                  gy[i] * (x[i] - m))
    }
}

/* Of `count` elements with those sums of x - m and its square: the mean in place of m, and so on. */
static void FN(settle)(const mni_normalization *p, int64_t at, double count, T m,
                       const double sums[2])
{
    const double off = p->centre ? sums[0] / count : 0;
    const double variance = fmax(sums[1] / count - off * off, 0);
    if (p->mean) ((T *)p->mean)[at] = (T)((double)m + off);
    if (p->variance) ((T *)p->variance)[at] = (T)variance;
    ((T *)p->rstd)[at] = (T)(1 / sqrt(variance + p->eps));
}

/* ---- forward ---- */

/* y = (x - mean) rstd w + b over the row of statistic `at` in plane `plane`. */
static void FN(apply)(const mni_normalization *p, int64_t plane, int64_t at)
{
    const int64_t g = plane % p->groups, length = p->depth * p->space;
    const T *x = (const T *)p->x + plane * length, *w = p->weight, *b = p->bias;
    T *y = (T *)p->y + plane * length;
    const T m = p->mean ? ((const T *)p->mean)[at] : 0, r = ((const T *)p->rstd)[at];
    w = w ? w + g * p->depth : NULL;
    b = b ? b + g * p->depth : NULL;
    if (p->space == 1 && w && b) {
        MNI_INDEPENDENT
        for (int64_t i = 0; i < length; i++) y[i] = (x[i] - m) * r * w[i] + b[i];
        return;
    }
    if (p->space == 1 && w) {
        MNI_INDEPENDENT
        for (int64_t i = 0; i < length; i++) y[i] = (x[i] - m) * r * w[i];
        return;
    }
    const int64_t run = w || b ? p->space : length; /* of elements that are treated alike */
    for (int64_t d = 0; d * run < length; d++, x += run, y += run) {
        const T scale = w ? r * w[d] : r, shift = b ? b[d] : 0;
        MNI_INDEPENDENT
        for (int64_t i = 0; i < run; i++) y[i] = (x[i] - m) * scale + shift;
    }
}

/* The first element serves as a first guess of the mean, so that little is lost. */
static void FN(forward_rows)(const mni_normalization *p, int64_t begin, int64_t end)
{
    const int64_t length = p->depth * p->space;
    for (int64_t plane = begin; plane < end; plane++) {
        const T *x = (const T *)p->x + plane * length, m = p->centre ? x[0] : 0;
        double sums[2] = {0};
        FN(moments)(length, x, m, sums);
        FN(settle)(p, plane, (double)length, m, sums);
        FN(apply)(p, plane, plane);
    }
}

/* Whole channels of all samples. */
static void FN(forward_channels)(const mni_normalization *p, int64_t begin, int64_t end)
{
    for (int64_t g = begin; g < end; g++) {
        const T *x = (const T *)p->x + g * p->space, m = x[0];
        const int64_t step = p->groups * p->space;
        double sums[2] = {0};
        for (int64_t n = 0; n < p->batch; n++) FN(moments)(p->space, x + n * step, m, sums);
        FN(settle)(p, g, (double)(p->batch * p->space), m, sums);
        for (int64_t n = 0; n < p->batch; n++) FN(apply)(p, n * p->groups + g, g);
    }
}

/* The same for channels of one element: side by side, since they lie so. */
static void FN(forward_columns)(const mni_normalization *p, int64_t begin, int64_t end)
{
    const T *w = p->weight, *b = p->bias, *mean = p->mean, *rstd = p->rstd;
    for (int64_t g = begin; g < end; g += ABREAST) {
        const int64_t some = end - g < ABREAST ? end - g : ABREAST;
        const T *x = (const T *)p->x + g;
        double sum[ABREAST] = {0}, square[ABREAST] = {0};
        for (int64_t n = 0; n < p->batch; n++)
            for (int64_t j = 0; j < some; j++) {
                const double off = (double)x[n * p->groups + j] - (double)x[j];
                sum[j] += off;
                square[j] += off * off;
            }
        for (int64_t j = 0; j < some; j++)
            FN(settle)(p, g + j, (double)p->batch, x[j], (double[]){sum[j], square[j]});
        for (int64_t n = 0; n < p->batch; n++) {
            T *y = (T *)p->y + n * p->groups + g;
            for (int64_t j = 0; j < some; j++) {
                const T hat = (x[n * p->groups + j] - mean[g + j]) * rstd[g + j];
                y[j] = (w ? hat * w[g + j] : hat) + (b ? b[g + j] : 0);
            }
        }
    }
}

void MNI_FOR_ISA(FN(mni_norm_forward))(const mni_normalization *p, int64_t begin, int64_t end)
{
    if (!p->over_batch)
        FN(forward_rows)(p, begin, end);
    else if (p->space > 1)
        FN(forward_channels)(p, begin, end);
    else
        FN(forward_columns)(p, begin, end);
}

/* ---- backward ---- */

/* sums[0][c] <- sum of gy, sums[1][c] <- sum of gy xhat, over channel c of all samples. */
void MNI_FOR_ISA(FN(mni_norm_sums))(const mni_normalization *p, int64_t begin, int64_t end)
{
    const int64_t channels = p->groups * p->depth;
    double *of_gy = p->sums, *of_product = p->sums + channels;
    for (int64_t c = begin; c < end; c++) of_gy[c] = of_product[c] = 0;
    for (int64_t n = 0; n < p->batch; n++) {
        for (int64_t c = begin; c < end;) {
            const int64_t g = c / p->depth, at = p->over_batch ? g : n * p->groups + g;
            const int64_t rest = (g + 1) * p->depth, stop = rest < end ? rest : end;
            const T m = p->mean ? ((const T *)p->mean)[at] : 0, r = ((const T *)p->rstd)[at];
            const T *x = (const T *)p->x + n * channels * p->space;
            const T *gy = (const T *)p->gy + n * channels * p->space;
            if (p->space == 1) {
                MNI_INDEPENDENT
                for (int64_t k = c; k < stop; k++) {
                    of_gy[k] += (double)gy[k];
                    of_product[k] += (double)(gy[k] * (x[k] - m) * r);
                }
                c = stop;
                continue;
            }
            for (; c < stop; c++) {
                double sums[2] = {0};
                FN(products)(p->space, gy + c * p->space, NULL, x + c * p->space, m, sums);
                of_gy[c] += sums[0];
                of_product[c] += sums[1] * (double)r;
            }
        }
    }
}

/* gx = rstd (g - mean of g - xhat mean of g xhat), g = gy w, for the planes of that range. */
static void FN(backward_plane)(const mni_normalization *p, int64_t plane)
{
    const int64_t g = plane % p->groups, at = p->over_batch ? g : plane;
    const int64_t length = p->depth * p->space;
    const T *x = (const T *)p->x + plane * length, *gy = (const T *)p->gy + plane * length;
    const T *w = p->weight ? (const T *)p->weight + g * p->depth : NULL;
    const T m = p->mean ? ((const T *)p->mean)[at] : 0, r = ((const T *)p->rstd)[at];
    T *gx = (T *)p->y + plane * length;
    double count = (double)length, sums[2] = {0};
    if (p->over_batch) {
        count *= (double)p->batch;
        sums[0] = p->sums[g] * (w ? (double)w[0] : 1);
        sums[1] = p->sums[p->groups + g] * (w ? (double)w[0] : 1);
    } else if (p->space == 1) {
        FN(products)(length, gy, w, x, m, sums);
        sums[1] *= (double)r;
    } else {
        for (int64_t d = 0; d < p->depth; d++) {
            double some[2] = {0};
            FN(products)(p->space, gy + d * p->space, NULL, x + d * p->space, m, some);
            sums[0] += some[0] * (w ? (double)w[d] : 1);
            sums[1] += some[1] * (w ? (double)w[d] : 1) * (double)r;
        }
    }
    const T a = p->centre ? (T)(sums[0] / count) : 0, b = (T)(sums[1] / count * (double)r);
    if (p->space == 1 && w) {
        MNI_INDEPENDENT
        for (int64_t i = 0; i < length; i++) gx[i] = r * (gy[i] * w[i] - a - (x[i] - m) * b);
        return;
    }
    const int64_t run = w ? p->space : length;
    for (int64_t d = 0; d * run < length; d++, x += run, gy += run, gx += run) {
        const T v = w ? w[d] : 1;
        MNI_INDEPENDENT
        for (int64_t i = 0; i < run; i++) gx[i] = r * (gy[i] * v - a - (x[i] - m) * b);
    }
}

/* The same for a row of channels of one element each, [begin, end) of the whole. */
static void FN(backward_columns)(const mni_normalization *p, int64_t begin, int64_t end)
{
    const T *mean = p->mean, *rstd = p->rstd, *w = p->weight;
    const double *of_gy = p->sums, *of_product = p->sums + p->groups, share = 1 / (double)p->batch;
    for (int64_t i = begin; i < end;) {
        const int64_t row = i / p->groups * p->groups, next = row + p->groups;
        const int64_t stop = next < end ? next : end;
        const T *x = (const T *)p->x + row, *gy = (const T *)p->gy + row;
        T *gx = (T *)p->y + row;
        MNI_INDEPENDENT
        for (int64_t g = i - row; g < stop - row; g++) {
            const T hat = (x[g] - mean[g]) * rstd[g], v = w ? w[g] : 1;
            gx[g] =
                rstd[g] * v * (gy[g] - (T)(of_gy[g] * share) - hat * (T)(of_product[g] * share));
        }
        i = stop;
    }
}

void MNI_FOR_ISA(FN(mni_norm_backward))(const mni_normalization *p, int64_t begin, int64_t end)
{
    if (p->over_batch && p->space == 1) {
        FN(backward_columns)(p, begin, end);
        return;
    }
    for (int64_t plane = begin; plane < end; plane++) FN(backward_plane)(p, plane);
}

#undef SUM_TERMS
