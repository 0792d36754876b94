/*
 * optim/adafactor.c: Adafactor, the variance of a matrix of gradients from those of rows and columns.
 */
#include "optim/optim.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { LR = MNI_LR, BETA2_DECAY, EPS1, EPS2, D, WEIGHT_DECAY, MAXIMIZE, OPTIONS };
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [BETA2_DECAY] = {"beta2_decay", MNI_NOT_POSITIVE},
                                     [EPS1] = {"eps1", MNI_NOT_NEGATIVE},
                                     [EPS2] = {"eps2", MNI_NOT_NEGATIVE},
                                     [D] = {"d", MNI_AT_LEAST_ONE},
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [MAXIMIZE] = {"maximize", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
enum { ROW_VAR, COL_VAR, VARIANCE };
static const mni_state states[] = {
    {"row_var", MNI_ALWAYS}, {"col_var", MNI_ALWAYS}, {"variance", MNI_ALWAYS}, {NULL, 0}};

static bool state_shape(const mni_group *g, const mni_slot *s, int k, int *ndim, int64_t *shape)
{
    (void)g, (void)s;
    if (*ndim < 2) return k == VARIANCE;
    if (k == ROW_VAR) shape[*ndim - 1] = 1;
    if (k == COL_VAR) shape[*ndim - 2] = 1;
    return k != VARIANCE;
}

static size_t work(const mn_tensor *p)
{
    return (size_t)p->numel * mn_dtype_size((mn_dtype)p->dtype);
}

/* w and the least square of a variance */
static void begin(mni_update *u)
{
    const double own = u->dtype == MN_F32 ? FLT_EPSILON : DBL_EPSILON;
    const double eps1 = mni_or(u->option[EPS1], own);
    u->c[0] = pow((double)u->step, u->option[BETA2_DECAY]);
    u->c[1] = eps1 * eps1;
}

/* ---- matrices ---- */

enum { COLUMNS = 256, WORTH = 32 * MNI_BLOCK };

typedef struct matrix {
    const mni_update *u;
    mni_team *team;
    int64_t rows, columns;
    double mean; /* of the variances of the rows */
} matrix;

static double get(mn_dtype dtype, const void *x, int64_t i)
{
    return dtype == MN_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* x[i] <- the running mean of what now is `value`. */
static void follow(const mni_update *u, void *x, int64_t i, double value)
{
    const double now = (1 - u->c[0]) * get(u->dtype, x, i) + u->c[0] * value;
    if (u->dtype == MN_F64) ((double *)x)[i] = now;
    if (u->dtype == MN_F32) ((float *)x)[i] = (float)now;
}

static const char *row_of(const matrix *m, const void *x, int64_t row, int64_t column)
{
    return (const char *)x + (row * m->columns + column) * (int64_t)mn_dtype_size(m->u->dtype);
}

static void follow_rows(void *arg, int64_t begin, int64_t end)
{
    const matrix *m = arg;
    for (int64_t r = begin; r < end; r++) {
        const void *g = row_of(m, m->u->g, r, 0);
        follow(m->u, m->u->state[ROW_VAR], r,
               mni_dot(NULL, m->u->dtype, m->columns, g, g) / (double)m->columns);
    }
}

static void follow_columns(void *arg, int64_t begin, int64_t end)
{
    const matrix *m = arg;
    double sum[COLUMNS] = {0};
    mni_update u = {.n = end - begin, .state = {sum}};
    for (int64_t r = 0; r < m->rows; r++) {
        u.g = row_of(m, m->u->g, r, begin);
        mni_loop(MNI_LOOP_squares, m->u->dtype)(&u);
    }
    for (int64_t c = begin; c < end; c++)
        follow(m->u, m->u->state[COL_VAR], c, sum[c - begin] / (double)m->rows);
}

static void divide_rows(void *arg, int64_t begin, int64_t end)
{
    const matrix *m = arg;
    mni_update u = {.n = m->columns, .state = {NULL, m->u->state[COL_VAR]}};
    for (int64_t r = begin; r < end; r++) {
        u.g = row_of(m, m->u->g, r, 0);
        u.work = (void *)(uintptr_t)row_of(m, m->u->work, r, 0);
        u.c[0] = get(m->u->dtype, m->u->state[ROW_VAR], r) / m->mean;
        u.c[1] = m->u->c[1];
        mni_loop(MNI_LOOP_row, m->u->dtype)(&u);
    }
}

/* One of the matrices that the last two dimensions are. */
static void divide(matrix *m)
{
    const int64_t grain = WORTH / m->columns + 1;
    double sum = 0;
    mni_team_range(m->team, m->rows, grain, follow_rows, m);
    mni_team_range(m->team, m->columns, COLUMNS, follow_columns, m);
    for (int64_t r = 0; r < m->rows; r++) sum += get(m->u->dtype, m->u->state[ROW_VAR], r);
    m->mean = fmax(sum / (double)m->rows, sqrt(m->u->c[1]));
    mni_team_range(m->team, m->rows, grain, divide_rows, m);
}

static void divide_some(void *arg, int64_t begin, int64_t end)
{
    const matrix *all = arg;
    const int64_t size = (int64_t)mn_dtype_size(all->u->dtype), rows = all->rows * size;
    const int64_t columns = all->columns * size, numel = all->rows * columns;
    for (int64_t i = begin; i < end; i++) {
        mni_update u = *all->u;
        matrix m = *all;
        m.u = &u;
        u.g = (const char *)u.g + i * numel;
        u.work = (char *)u.work + i * numel;
        u.state[ROW_VAR] = (char *)u.state[ROW_VAR] + i * rows;
        u.state[COL_VAR] = (char *)u.state[COL_VAR] + i * columns;
        divide(&m);
    }
}

/* ---- the step ---- */

/* One matrix is cut among the team, of several each is one thread's. */
static void whole(mni_update *u, mni_team *team)
{
    const double *o = u->option;
    const mn_tensor *p = u->parameter;
    const double numel = (double)u->n, root = sqrt((double)u->step);
    if (u->n == 0) return;
    const double size = sqrt(mni_dot(team, u->dtype, u->n, u->p, u->p) / numel);
    const double rate = fmax(o[EPS2], size) * fmin(o[LR], 1 / root);
    if (p->ndim < 2) {
        mni_optim_run(team, u, mni_loop(MNI_LOOP_vector, u->dtype));
    } else {
        matrix m = {u, team, p->shape[p->ndim - 2], p->shape[p->ndim - 1], 0};
        const int64_t each = m.rows * m.columns;
        mni_team_range(team, u->n / each, WORTH / each + 1, divide_some, &m);
    }
    const double way = sqrt(mni_dot(team, u->dtype, u->n, u->work, u->work) / numel);
    const double step = rate / fmax(1, way / o[D]) * (o[MAXIMIZE] != 0 ? 1 : -1);
    mni_blend(team, u->dtype, u->n, 1 - o[LR] * o[WEIGHT_DECAY], u->p, step, u->work, u->p);
}

static const mni_optim_class adafactor = {.name = "adafactor",
                                          .options = options,
                                          .states = states,
                                          .begin = begin,
                                          .whole = whole,
                                          .work = work,
                                          .shape = state_shape};

static const double *group(double option[OPTIONS], double lr, double beta2_decay,
                           const mn_optim_adafactor_opts *opts)
{
    const mn_optim_adafactor_opts o = opts ? *opts : (mn_optim_adafactor_opts){0};
    option[LR] = lr;
    option[BETA2_DECAY] = beta2_decay;
    option[EPS1] = o.eps1;
    option[EPS2] = mni_or(o.eps2, 1e-3);
    option[D] = mni_or(o.d, 1);
    option[WEIGHT_DECAY] = o.weight_decay;
    option[MAXIMIZE] = o.maximize;
    return option;
}

mn_optim *mn_optim_adafactor(mn_module *m, double lr, double beta2_decay,
                             const mn_optim_adafactor_opts *opts)
{
    return mni_optim_module(&adafactor, m, group((double[OPTIONS]){0}, lr, beta2_decay, opts));
}

mn_optim *mn_optim_adafactor_tensors(mn_tensor *const *parameters, int n, double lr,
                                     double beta2_decay, const mn_optim_adafactor_opts *opts)
{
    return mni_optim_tensors(&adafactor, parameters, n,
                             group((double[OPTIONS]){0}, lr, beta2_decay, opts));
}
