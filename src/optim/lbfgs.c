/*
 * optim/lbfgs.c: L-BFGS, which steps along a direction that the last changes of the gradient suggest.
 * All parameters together are one vector, kept with the first of them.
 */
#include "optim/lbfgs.h"
#include "autograd/tape.h"
#include "tensor/compute.h"
#include <math.h>
#include <string.h>

enum {
    LR = MNI_LR,
    MAX_ITER,
    MAX_EVAL,
    TOLERANCE_GRAD,
    TOLERANCE_CHANGE,
    HISTORY_SIZE,
    STRONG_WOLFE,
    OPTIONS
};
static const mni_option options[] = {[LR] = MNI_LR_OPTION,
                                     [MAX_ITER] = {"max_iter", MNI_COUNT},
                                     [MAX_EVAL] = {"max_eval", MNI_COUNT},
                                     [TOLERANCE_GRAD] = {"tolerance_grad", MNI_NOT_NEGATIVE},
                                     [TOLERANCE_CHANGE] = {"tolerance_change", MNI_NOT_NEGATIVE},
                                     [HISTORY_SIZE] = {"history_size", MNI_COUNT},
                                     [STRONG_WOLFE] = {"strong_wolfe", MNI_FLAG},
                                     [OPTIONS] = {NULL, 0}};

/* The last direction and the gradient where it began; the changes of the gradient, those of the
 * parameters and one over their products, each a ring of which `count` entries from `first` on are
 * in use. */
enum { D, PREV_FLAT_GRAD, OLD_DIRS, OLD_STPS, RO };
static const mni_state states[] = {{"d", MNI_ALWAYS},        {"prev_flat_grad", MNI_ALWAYS},
                                   {"old_dirs", MNI_ALWAYS}, {"old_stps", MNI_ALWAYS},
                                   {"ro", MNI_ALWAYS},       {NULL, 0}};
enum { FUNC_EVALS, N_ITER, T, H_DIAG, FIRST, COUNT };
static const char *const numbers[] = {"func_evals", "n_iter", "t", "H_diag",
                                      "first",      "count",  NULL};

static const char *unfit(const mn_tensor *p, const mn_tensor *first)
{
    return p->dtype == first->dtype ? NULL : "lbfgs wants all parameters of one dtype";
}

static int64_t total(const mni_group *g)
{
    int64_t n = 0;
    for (int i = 0; i < g->n; i++) n += g->slots[i].parameter->numel;
    return n;
}

static bool state_shape(const mni_group *g, const mni_slot *s, int k, int *ndim, int64_t *shape)
{
    if (s != g->slots) return false;
    *ndim = k == OLD_DIRS || k == OLD_STPS ? 2 : 1;
    shape[0] = (int64_t)g->option[HISTORY_SIZE];
    shape[*ndim - 1] = k == RO ? shape[0] : total(g);
    return true;
}

/* ---- the problem ---- */

static void *after(const void *data, int64_t elements, mn_dtype dtype)
{
    return (char *)(uintptr_t)data + elements * (int64_t)mn_dtype_size(dtype);
}

/* The part of a vector that belongs to one parameter. */
static mn_tensor part(const mni_problem *p, const mn_tensor *parameter, const void *x, int64_t at)
{
    return mni_header(p->dtype, parameter->ndim, parameter->shape, after(x, at, p->dtype));
}

void mni_problem_place(const mni_problem *p, const void *x, double t, const void *d)
{
    const mni_group *g = p->o->groups;
    for (int64_t i = 0, at = 0; i < g->n; at += g->slots[i++].parameter->numel) {
        mn_tensor *w = g->slots[i].parameter, of_x = part(p, w, x, at);
        if (!w->requires_grad) continue;
        if (d) {
            mn_tensor of_d = part(p, w, d, at);
            mni_map2(p->team, mni_kernels()->axpby, &of_x, &of_d, w, (double[2]){1, t});
        } else {
            mni_copy(p->team, &of_x, w);
        }
        mni_touch(w, "lbfgs");
    }
}

/* x <- the parameters. */
static void gather(const mni_problem *p, void *x)
{
    const mni_group *g = p->o->groups;
    for (int64_t i = 0, at = 0; i < g->n; at += g->slots[i++].parameter->numel) {
        mn_tensor *w = g->slots[i].parameter, of_x = part(p, w, x, at);
        mni_copy(p->team, w, &of_x);
    }
}

/* The loss where the parameters are; its gradient goes to x, zero where there is none. */
static double ask(mni_problem *p, void *x)
{
    const mni_group *g = p->o->groups;
    const double loss = mni_optim_ask(p->o, p->t, p->closure, p->user);
    p->evaluations++;
    for (int64_t i = 0, at = 0; i < g->n; at += g->slots[i++].parameter->numel) {
        mn_tensor *w = g->slots[i].parameter, of_x = part(p, w, x, at);
        const mn_tensor *grad = mni_usable_grad(w);
        if (grad) mni_copy(p->team, grad, &of_x);
        if (!grad) mni_fill(p->team, &of_x, 0);
    }
    return loss;
}

static double dot(const mni_problem *p, const void *a, const void *b)
{
    return mni_dot(p->team, p->dtype, p->n, a, b);
}

/* y <- alpha a + beta b */
static void blend(const mni_problem *p, double alpha, const void *a, double beta, const void *b,
                  void *y)
{
    mni_blend(p->team, p->dtype, p->n, alpha, a, beta, b, y);
}

static void *other_gradient(const mni_problem *p, const void *a, const void *b, const void *c)
{
    int i = 0;
    while (p->gradient[i] == a || p->gradient[i] == b || p->gradient[i] == c) i++;
    return p->gradient[i];
}

mni_point mni_problem_at(mni_problem *p, const void *x, const void *d, double t, const void *a,
                         const void *b, const void *c)
{
    mni_point now = {.t = t, .g = other_gradient(p, a, b, c)};
    mni_problem_place(p, x, t, d);
    now.f = ask(p, now.g);
    now.slope = dot(p, now.g, d);
    return now;
}

/* ---- the direction ---- */

static double get(mn_dtype dtype, const void *x, int64_t i)
{
    return dtype == MN_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

static void put(mn_dtype dtype, void *x, int64_t i, double value)
{
    if (dtype == MN_F64) ((double *)x)[i] = value;
    if (dtype == MN_F32) ((float *)x)[i] = (float)value;
}

typedef struct memory {
    mni_slot *slot;
    int64_t size; /* of the rings */
    double *alpha;
    void *dirs, *stps, *ro;
} memory;

static int64_t entry(const memory *m, int64_t i)
{
    return ((int64_t)m->slot->number[FIRST] + i) % m->size;
}

/* Remembers the change from the last gradient to g, unless the curvature along it is not positive.
 * y and s are scratch memory. */
static void remember(const mni_problem *p, memory *m, const void *g, void *y, void *s)
{
    double *number = m->slot->number;
    const void *d = m->slot->state[D]->data, *before = m->slot->state[PREV_FLAT_GRAD]->data;
    blend(p, 1, g, -1, before, y);
    blend(p, number[T], d, 0, d, s);
    const double ys = dot(p, y, s);
    if (!(ys > 1e-10)) return;
    if (number[COUNT] < (double)m->size) {
        number[COUNT]++;
    } else {
        number[FIRST] = (double)entry(m, 1);
    }
    const int64_t i = entry(m, (int64_t)number[COUNT] - 1);
    const size_t bytes = (size_t)p->n * mn_dtype_size(p->dtype);
    memcpy(after(m->dirs, i * p->n, p->dtype), y, bytes);
    memcpy(after(m->stps, i * p->n, p->dtype), s, bytes);
    put(p->dtype, m->ro, i, 1 / ys);
    number[H_DIAG] = ys / dot(p, y, y);
}

/* d <- - (approximate inverse Hessian) g, by two loops over the memory. */
static void direction(const mni_problem *p, const memory *m, const void *g, void *d)
{
    const int64_t count = (int64_t)m->slot->number[COUNT];
    blend(p, -1, g, 0, g, d);
    for (int64_t i = count - 1; i >= 0; i--) {
        const int64_t k = entry(m, i);
        m->alpha[i] = dot(p, after(m->stps, k * p->n, p->dtype), d) * get(p->dtype, m->ro, k);
        blend(p, 1, d, -m->alpha[i], after(m->dirs, k * p->n, p->dtype), d);
    }
    blend(p, m->slot->number[H_DIAG], d, 0, d, d);
    for (int64_t i = 0; i < count; i++) {
        const int64_t k = entry(m, i);
        const double beta = dot(p, after(m->dirs, k * p->n, p->dtype), d) * get(p->dtype, m->ro, k);
        blend(p, 1, d, m->alpha[i] - beta, after(m->stps, k * p->n, p->dtype), d);
    }
}

/* ---- the step ---- */

static double largest(const mni_problem *p, const void *x)
{
    return mni_abs_max(p->dtype, p->n, x);
}

/* One iteration from the point `now`, where the parameters are; its result replaces *now. False
 * when it was the last one. x: scratch memory. */
static bool iterate(mni_problem *p, memory *m, mni_point *now, void *x, bool last)
{
    const double *o = p->o->groups->option;
    double *number = m->slot->number;
    void *d = m->slot->state[D]->data, *before = m->slot->state[PREV_FLAT_GRAD]->data;
    if (++number[N_ITER] > 1) {
        remember(p, m, now->g, other_gradient(p, now->g, NULL, NULL), x);
    } else {
        number[COUNT] = number[FIRST] = 0;
        number[H_DIAG] = 1;
    }
    direction(p, m, now->g, d);
    memcpy(before, now->g, (size_t)p->n * mn_dtype_size(p->dtype));
    const double first = fmin(1, 1 / mni_abs_sum(p->team, p->dtype, p->n, now->g));
    const double loss = now->f;
    number[T] = number[N_ITER] > 1 ? o[LR] : first * o[LR];
    *now = (mni_point){0, now->f, dot(p, now->g, d), now->g};
    if (now->slope > -o[TOLERANCE_CHANGE]) return false;

    gather(p, x);
    if (o[STRONG_WOLFE] != 0) {
        *now = mni_wolfe(p, x, d, *now, number[T], (int)o[MAX_EVAL] - p->evaluations);
        number[T] = now->t;
        if (mn_tape_error(p->t)) return false;
        mni_problem_place(p, x, now->t, d);
    } else if (last) {
        mni_problem_place(p, x, number[T], d);
    } else {
        *now = mni_problem_at(p, x, d, number[T], NULL, NULL, NULL);
    }
    return !last && !mn_tape_error(p->t) && p->evaluations < (int)o[MAX_EVAL] &&
           !(largest(p, now->g) <= o[TOLERANCE_GRAD]) &&
           !(fabs(number[T]) * largest(p, d) <= o[TOLERANCE_CHANGE]) &&
           !(fabs(now->f - loss) < o[TOLERANCE_CHANGE]);
}

static double minimize(mn_optim *o, mn_tape *t, mn_closure closure, void *user)
{
    mni_group *g = o->groups;
    mni_slot *slot = g->slots;
    const int64_t n = total(g);
    mni_problem p = {.o = o,
                     .t = t,
                     .closure = closure,
                     .user = user,
                     .team = mni_tape_team(t),
                     .dtype = (mn_dtype)slot->parameter->dtype,
                     .n = n};
    const size_t bytes = ((size_t)n * mn_dtype_size(p.dtype) + 63) / 64 * 64;
    bool fits = mni_optim_states(o, g, slot);
    memory m = {.slot = slot, .size = fits ? slot->state[RO]->shape[0] : 0};
    fits = fits && mni_optim_work(o, (MNI_GRADIENTS + 2) * bytes + (size_t)m.size * sizeof(double));
    if (!fits) {
        mni_tape_adopt(t, "memory");
        return (double)NAN;
    }
    char *start = o->work, *x = start + bytes;
    for (int i = 0; i < MNI_GRADIENTS; i++) p.gradient[i] = x + (size_t)(i + 1) * bytes;
    m.alpha = (double *)(void *)(x + (MNI_GRADIENTS + 1) * bytes);
    m.dirs = slot->state[OLD_DIRS]->data;
    m.stps = slot->state[OLD_STPS]->data;
    m.ro = slot->state[RO]->data;

    mni_point now = {.g = p.gradient[0]};
    const double loss = now.f = ask(&p, now.g);
    if (mn_tape_error(t)) return (double)NAN;
    slot->fresh = 0;
    slot->steps++;
    gather(&p, start);
    const int most = (int)g->option[MAX_ITER];
    bool more = !(largest(&p, now.g) <= g->option[TOLERANCE_GRAD]);
    for (int i = 1; more; i++) more = iterate(&p, &m, &now, x, i == most);
    slot->number[FUNC_EVALS] += p.evaluations;
    if (!mn_tape_error(t)) return loss;
    mni_problem_place(&p, start, 0, NULL); /* and what it has learnt is half forgotten already */
    memset(slot->number, 0, sizeof slot->number);
    return (double)NAN;
}

static const mni_optim_class lbfgs = {.name = "lbfgs",
                                      .options = options,
                                      .states = states,
                                      .numbers = numbers,
                                      .unfit = unfit,
                                      .shape = state_shape,
                                      .minimize = minimize};

static const double *group(double option[OPTIONS], double lr, const mn_optim_lbfgs_opts *opts)
{
    const mn_optim_lbfgs_opts o = opts ? *opts : (mn_optim_lbfgs_opts){0};
    option[LR] = lr;
    option[MAX_ITER] = mni_or(o.max_iter, 20);
    option[MAX_EVAL] = mni_or(o.max_eval, fmax(1, floor(option[MAX_ITER] * 5 / 4)));
    option[TOLERANCE_GRAD] = mni_or(o.tolerance_grad, 1e-7);
    option[TOLERANCE_CHANGE] = mni_or(o.tolerance_change, 1e-9);
    option[HISTORY_SIZE] = mni_or(o.history_size, 100);
    option[STRONG_WOLFE] = o.strong_wolfe;
    return option;
}

mn_optim *mn_optim_lbfgs(mn_module *m, double lr, const mn_optim_lbfgs_opts *opts)
{
    return mni_optim_module(&lbfgs, m, group((double[OPTIONS]){0}, lr, opts));
}

mn_optim *mn_optim_lbfgs_tensors(mn_tensor *const *parameters, int n, double lr,
                                 const mn_optim_lbfgs_opts *opts)
{
    return mni_optim_tensors(&lbfgs, parameters, n, group((double[OPTIONS]){0}, lr, opts));
}
