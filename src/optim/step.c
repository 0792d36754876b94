/*
 * optim/step.c: the step. It first checks and allocates for every parameter, then changes them, so
 * that it is done whole or not at all.
 */
#include "autograd/tape.h"
#include "nn/module.h"
#include "optim/optim.h"
#include "tensor/compute.h"
#include <math.h>
#include <string.h>

/* Elements of a piece, and from how many on a parameter is worth more than one thread; in rows of factors, of
 * which less is read. */
enum { PIECE = 32 * MNI_BLOCK, LEAST = 64 * MNI_BLOCK, LEAST_OF_ROWS = 128 * MNI_BLOCK };

static bool has_grad(const mn_tensor *p)
{
    return p->requires_grad && p->leaf && p->leaf->filled;
}

mn_tensor *mni_usable_grad(const mn_tensor *p)
{
    return has_grad(p) ? mn_tensor_grad(p) : NULL;
}

/* A backward pass that failed leaves gradients that are neither the old nor the new. */
bool mni_optim_ready(const char *who, const mn_optim *o, mn_tape *t)
{
    if (!t) {
        mni_pass_null(who, "the tape");
        return false;
    }
    if (!o) mni_tape_adopt(t, "the optimizer");
    if (mn_tape_error(t)) return false;
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            const mn_tensor *p = o->groups[g].slots[i].parameter;
            if (!p->leaf || !p->leaf->broken) continue;
            char shape[200];
            mn_tape_fail(t, MN_ERR_STATE,
                         "%s: the gradient of parameter %d of group %d (%s) is incomplete since a "
                         "backward pass failed; call mn_optim_zero_grad first",
                         who, i, g, mni_shape_text(shape, sizeof shape, p->ndim, p->shape));
            return false;
        }
    return true;
}

/* ---- memory ---- */

bool mni_state_shape(const mni_optim_class *cls, const mni_group *g, const mni_slot *s, int k,
                     int *ndim, int64_t *shape)
{
    *ndim = s->parameter->ndim;
    memcpy(shape, s->parameter->shape, sizeof s->parameter->shape);
    return !cls->shape || cls->shape(g, s, k, ndim, shape);
}

static bool kept(const mni_optim_class *cls, const mni_group *g, int k)
{
    const int when = cls->states[k].when;
    return when == MNI_ALWAYS || g->option[when] != 0;
}

bool mni_optim_states(mn_optim *o, mni_group *g, mni_slot *s)
{
    for (int k = 0; o->cls->states && o->cls->states[k].name; k++) {
        int ndim;
        int64_t shape[MN_MAX_DIMS];
        if (s->state[k] || !kept(o->cls, g, k)) continue;
        if (!mni_state_shape(o->cls, g, s, k, &ndim, shape)) continue;
        s->state[k] = mn_tensor_zeros((mn_dtype)s->parameter->dtype, ndim, shape);
        if (!s->state[k]) return false;
        s->fresh |= 1u << k;
    }
    return true;
}

bool mni_optim_work(mn_optim *o, size_t bytes)
{
    if (bytes <= o->work_size) return true;
    void *work = mni_alloc(bytes);
    if (!work) return false;
    mni_free(o->work);
    o->work = work;
    o->work_size = bytes;
    return true;
}

static size_t bytes_of(const mn_tensor *x)
{
    return ((size_t)x->numel * mn_dtype_size((mn_dtype)x->dtype) + 63) / 64 * 64;
}

/* The scratch memory of a parameter: a contiguous copy where it is not, then the class's. */
static bool make_work(mn_optim *o, const mn_tensor *p)
{
    size_t copy = p->contiguous ? 0 : bytes_of(p);
    return mni_optim_work(o, copy + (o->cls->work ? o->cls->work(p) : 0));
}

/* ---- one parameter ---- */

typedef struct job {
    const mni_update *whole;
    mni_optim_loop loop;
} job;

static void *at(const void *data, int64_t element, mn_dtype dtype)
{
    return data ? (char *)(uintptr_t)data + element * (int64_t)mn_dtype_size(dtype) : NULL;
}

/* Whether nothing but p and its gradient is read, and each once. */
static bool alone(const mni_update *u)
{
    return u->decay == 0 && u->sign > 0 && !u->state[0];
}

/* The loop over a range, in blocks, each with its g first. */
static void run_range(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    const mni_update *all = j->whole;
    mni_update u = *all;
    double g[MNI_BLOCK]; /* of either dtype */
    const bool whole = alone(all);
    for (int64_t i = begin; i < end; i += u.n) {
        u.n = end - i < MNI_BLOCK || whole ? end - i : MNI_BLOCK;
        u.p = at(all->p, i, u.dtype);
        u.g = at(all->g, i, u.dtype);
        u.work = at(all->work, i, u.dtype);
        for (int k = 0; k < MNI_STATES; k++) u.state[k] = at(all->state[k], i, u.dtype);
        if (u.decay != 0) {
            mni_kernels()->axpby[u.dtype](u.n, u.g, 1, u.p, 1, g, 1, (double[2]){u.sign, u.decay});
            u.g = g;
        } else if (u.sign < 0) {
            mni_kernels()->neg[u.dtype](u.n, u.g, 1, g, 1, NULL);
            u.g = g;
        }
        j->loop(&u);
    }
}

/* In an even number of equal pieces: of two threads each takes the half that it has in its cache, having
 * computed the gradients of those rows. */
void mni_optim_run(mni_team *team, const mni_update *u, mni_optim_loop loop)
{
    const int64_t pieces = u->n < LEAST ? 1 : 2 * (u->n / (2 * PIECE) + 1);
    mni_team_range(team, u->n, (u->n + pieces - 1) / pieces, run_range, &(job){u, loop});
}

static double number(const void *data, int64_t i, mn_dtype dtype)
{
    return dtype == MN_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

/* Rows of a matrix whose gradient is a column times a row: one whose number in the column is 0, as those of
 * units that ReLU silences are, stays as it is unless 0 times the row is NaN somewhere. */
static void run_rows(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    mni_update u = *j->whole;
    const mni_factors *f = &u.parameter->leaf->factors;
    bool finite;
    u.n = u.parameter->shape[1];
    u.g = f->row;
    u.work = &finite;
    mni_loop(MNI_LOOP_finite, u.dtype)(&u);
    for (int64_t i = begin; i < end; i++) {
        u.c[4] = number(f->column, i, u.dtype);
        if (u.c[4] == 0 && finite) continue;
        u.p = at(j->whole->p, i * u.n, u.dtype);
        j->loop(&u);
    }
}

static void step_rows(mni_team *team, const mni_update *u)
{
    const int64_t rows = u->parameter->shape[0], columns = u->parameter->shape[1];
    mni_team_range(team, rows, LEAST_OF_ROWS / (columns + 1) + 1, run_rows,
                   &(job){u, mni_loop(MNI_LOOP_outer, u->dtype)});
}

/* Everything it needs is there: it cannot fail. */
static void step_one(mn_optim *o, const mni_group *g, mni_slot *s, mni_team *team)
{
    mn_tensor *p = s->parameter;
    mni_update u = {.option = g->option,
                    .step = ++s->steps,
                    .fresh = s->fresh,
                    .number = s->number,
                    .sign = 1,
                    .dtype = (mn_dtype)p->dtype,
                    .n = p->numel,
                    .p = p->data,
                    .g = p->leaf->grad->data,
                    .work = o->work,
                    .parameter = p};
    s->fresh = 0;
    for (int k = 0; o->cls->states && o->cls->states[k].name; k++)
        u.state[k] = s->state[k] && kept(o->cls, g, k) ? s->state[k]->data : NULL;
    mn_tensor copy = mni_header(u.dtype, p->ndim, p->shape, o->work);
    if (!p->contiguous) {
        mni_copy(team, p, &copy);
        u.p = o->work;
        u.work = (char *)o->work + bytes_of(p);
    }
    o->cls->begin(&u);
    const bool pending = p->leaf->factors.state == MNI_PENDING;
    if (pending && o->cls->loop == MNI_LOOP_sgd && alone(&u) && p->contiguous) {
        step_rows(team, &u);
    } else {
        mni_leaf_write(team, p->leaf);
        if (o->cls->loop)
            mni_optim_run(team, &u, mni_loop(o->cls->loop, u.dtype));
        else
            o->cls->whole(&u, team);
    }
    if (!p->contiguous) mni_copy(team, &copy, p);
    mni_touch(p, o->cls->name);
}

/* ---- all of them ---- */

mn_error mn_optim_step(mn_optim *o, mn_tape *t)
{
    static const char who[] = "mn_optim_step";
    if (!mni_optim_ready(who, o, t)) return mn_tape_error(t);
    if (o->cls->minimize) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "%s: %s computes the loss more than once; use "
                     "mn_optim_step_closure",
                     who, o->cls->name);
        return mn_tape_error(t);
    }
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            mni_slot *s = &o->groups[g].slots[i];
            if (!has_grad(s->parameter)) continue;
            if (mni_optim_states(o, &o->groups[g], s) && make_work(o, s->parameter)) continue;
            mni_tape_adopt(t, "memory");
            return mn_tape_error(t);
        }
    for (int g = 0; g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++) {
            mni_slot *s = &o->groups[g].slots[i];
            if (has_grad(s->parameter)) step_one(o, &o->groups[g], s, mni_tape_team(t));
        }
    return MN_OK;
}

void mn_optim_zero_grad(mn_optim *o)
{
    for (int g = 0; o && g < o->n_groups; g++)
        for (int i = 0; i < o->groups[g].n; i++)
            mn_tensor_zero_grad(o->groups[g].slots[i].parameter);
}

/* ---- with a closure ---- */

double mni_optim_ask(mn_optim *o, mn_tape *t, mn_closure closure, void *user)
{
    mn_scope scope = mn_scope_begin(t, MN_ENABLE_GRAD);
    mn_optim_zero_grad(o);
    mn_tensor *loss = closure(t, user);
    double value = (double)NAN;
    if (mn_backward(t, loss) == MN_OK) value = mn_tensor_item(loss);
    mn_scope_end(t, scope, NULL, 0);
    return mn_tape_error(t) ? (double)NAN : value;
}

double mn_optim_step_closure(mn_optim *o, mn_tape *t, mn_closure closure, void *user)
{
    static const char who[] = "mn_optim_step_closure";
    if (!t) {
        mni_pass_null(who, "the tape");
        return (double)NAN;
    }
    if (!o) mni_tape_adopt(t, "the optimizer");
    if (!closure) mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: the closure is NULL", who);
    if (mn_tape_error(t)) return (double)NAN;
    if (o->cls->minimize) return o->cls->minimize(o, t, closure, user);
    double loss = mni_optim_ask(o, t, closure, user);
    return mn_optim_step(o, t) == MN_OK ? loss : (double)NAN;
}
