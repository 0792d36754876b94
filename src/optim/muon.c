/*
 * optim/muon.c: Muon, momentum made orthogonal by products of matrices.
 */
#include "optim/optim.h"
#include "tensor/compute.h"
#include <math.h>
#include <string.h>

enum {
    LR = MNI_LR,
    WEIGHT_DECAY,
    MOMENTUM,
    NESTEROV,
    NS_A,
    NS_B,
    NS_C,
    EPS,
    NS_STEPS,
    MATCH_RMS_ADAMW,
    OPTIONS
};
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [WEIGHT_DECAY] = {"weight_decay", MNI_NOT_NEGATIVE},
                                     [MOMENTUM] = {"momentum", MNI_NOT_NEGATIVE},
                                     [NESTEROV] = {"nesterov", MNI_FLAG},
                                     [NS_A] = {"ns_a", MNI_FINITE},
                                     [NS_B] = {"ns_b", MNI_FINITE},
                                     [NS_C] = {"ns_c", MNI_FINITE},
                                     [EPS] = {"eps", MNI_NOT_NEGATIVE},
                                     [NS_STEPS] = {"ns_steps", MNI_COUNT},
                                     [MATCH_RMS_ADAMW] = {"match_rms_adamw", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};
static const mni_state states[] = {{"momentum_buffer", MNI_ALWAYS}, {NULL, 0}};

static bool check(const char *who, const double *o)
{
    if (o[NS_STEPS] < 100) return true;
    mn_fail(MN_ERR_ARGUMENT, "%s: ns_steps %g is not below 100", who, o[NS_STEPS]);
    return false;
}

static const char *unfit(const mn_tensor *p, const mn_tensor *first)
{
    (void)first;
    return p->ndim == 2 ? NULL : "muon steps matrices, the rest is for another optimizer";
}

static void begin(mni_update *u)
{
    u->c[0] = u->option[MOMENTUM];
    u->c[1] = u->option[NESTEROV];
}

/* Scratch memory: two matrices like the parameter, two square ones of its smaller side. */
typedef struct places {
    size_t whole, square, end; /* where the second ones of each begin, in bytes */
} places;

static places places_of(const mn_tensor *p)
{
    const int64_t side = p->shape[p->shape[0] > p->shape[1]];
    const size_t item = mn_dtype_size((mn_dtype)p->dtype), line = 63;
    const size_t whole = ((size_t)p->numel * item + line) & ~line;
    const size_t square = ((size_t)(side * side) * item + line) & ~line;
    return (places){.whole = whole, .square = 2 * whole + square, .end = 2 * (whole + square)};
}

static size_t work(const mn_tensor *p)
{
    return places_of(p).end;
}

/* x <- the orthogonal matrix nearest to it, roughly. A wide x is multiplied from the left by what
 * X X^T gives, a tall one from the right by what X^T X gives, which is the same. */
static void orthogonalise(const mni_update *u, mni_team *team)
{
    const double *o = u->option;
    const int64_t rows = u->parameter->shape[0], columns = u->parameter->shape[1];
    const bool tall = rows > columns;
    const int64_t side = tall ? columns : rows, length = tall ? rows : columns;
    const places at = places_of(u->parameter);
    char *x = u->work, *next = x + at.whole, *a = next + at.whole, *b = x + at.square;
    const mni_matrix by_rows = {x, columns, 1}, by_columns = {x, 1, columns};
    const mni_matrix gram = {a, side, 1}, factor = {b, side, 1};
    for (int k = 0; k < (int)o[NS_STEPS]; k++) {
        mni_gemm(team, u->dtype, side, side, length, tall ? by_columns : by_rows,
                 tall ? by_rows : by_columns, a, side, NULL, false);
        mni_gemm(team, u->dtype, side, side, side, gram, gram, b, side, NULL, false);
        mni_blend(team, u->dtype, side * side, o[NS_B], a, o[NS_C], b, b);
        mni_gemm(team, u->dtype, rows, columns, side, tall ? by_rows : factor,
                 tall ? factor : by_rows, next, columns, NULL, false);
        mni_blend(team, u->dtype, u->n, o[NS_A], x, 1, next, x);
    }
}

static void whole(mni_update *u, mni_team *team)
{
    const double *o = u->option;
    const double rows = (double)u->parameter->shape[0], columns = (double)u->parameter->shape[1];
    const double scale =
        o[MATCH_RMS_ADAMW] != 0 ? 0.2 * sqrt(fmax(rows, columns)) : sqrt(fmax(1, rows / columns));
    if (u->n == 0) return;
    mni_optim_run(team, u, mni_loop(MNI_LOOP_muon, u->dtype));
    const double norm = sqrt(mni_dot(team, u->dtype, u->n, u->work, u->work));
    mni_blend(team, u->dtype, u->n, 1 / fmax(norm, o[EPS]), u->work, 0, u->work, u->work);
    orthogonalise(u, team);
    mni_blend(team, u->dtype, u->n, 1 - o[LR] * o[WEIGHT_DECAY], u->p, -o[LR] * scale, u->work,
              u->p);
}

static const mni_optim_class muon = {.name = "muon",
                                     .options = options,
                                     .states = states,
                                     .check = check,
                                     .unfit = unfit,
                                     .begin = begin,
                                     .whole = whole,
                                     .work = work};

static const double *group(double option[OPTIONS], double lr, double weight_decay, double momentum,
                           const mn_optim_muon_opts *opts)
{
    const mn_optim_muon_opts o = opts ? *opts : (mn_optim_muon_opts){0};
    static const double usual[3] = {3.4445, -4.7750, 2.0315};
    const double *c = o.ns_coefficients;
    if (c[0] == 0 && c[1] == 0 && c[2] == 0) c = usual;
    option[LR] = lr;
    option[WEIGHT_DECAY] = weight_decay;
    option[MOMENTUM] = momentum;
    option[NESTEROV] = !o.no_nesterov;
    memcpy(option + NS_A, c, 3 * sizeof *c);
    option[EPS] = mni_or(o.eps, 1e-7);
    option[NS_STEPS] = mni_or(o.ns_steps, 5);
    option[MATCH_RMS_ADAMW] = o.match_rms_adamw;
    return option;
}

mn_optim *mn_optim_muon(mn_module *m, double lr, double weight_decay, double momentum,
                        const mn_optim_muon_opts *opts)
{
    return mni_optim_module(&muon, m,
                            group((double[OPTIONS]){0}, lr, weight_decay, momentum, opts));
}

mn_optim *mn_optim_muon_tensors(mn_tensor *const *parameters, int n, double lr, double weight_decay,
                                double momentum, const mn_optim_muon_opts *opts)
{
    return mni_optim_tensors(&muon, parameters, n,
                             group((double[OPTIONS]){0}, lr, weight_decay, momentum, opts));
}
