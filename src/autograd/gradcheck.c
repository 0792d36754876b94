/*
 * autograd/gradcheck.c: gradients against finite differences, in f64, along a random cotangent (a plain sum
 * would hide every error that cancels).
 */
#include "autograd/tape.h"
#include <math.h>
#include <minnow/ops.h>
#include <stdio.h>
#include <string.h>

typedef struct check {
    const char *name;
    mn_function f;
    mn_tensor *const *inputs;
    int n;
    void *user;
    double eps, atol, rtol;
    uint64_t seed;
    mn_tape *t;
} check;

/* Streams of the random numbers: of the cotangent of f, and of the weights of the gradients. */
enum { STREAM_COTANGENT = 1, STREAM_WEIGHTS = 2 };

/* U(-1, 1) of y's shape, the same at every call. */
static mn_tensor *random_like(mn_tape *t, mn_tensor *y, uint64_t seed, uint64_t stream)
{
    mn_rng rng = mn_rng_make(seed, stream);
    if (!y) return NULL;
    mn_tensor *u = mn_rand(t, MN_F64, y->ndim, y->shape, &rng);
    return mn_sub_scalar(t, mn_mul_scalar(t, u, 2), 1);
}

/* <f(inputs), v>; NAN after an error. */
static double value(check *c)
{
    mn_scope s = mn_scope_begin(c->t, MN_ENABLE_GRAD); /* f may differentiate inside */
    mn_tensor *y = c->f(c->t, c->inputs, c->n, c->user);
    mn_tensor *v = random_like(c->t, y, c->seed, STREAM_COTANGENT);
    mn_tensor *sum = mn_sum(c->t, mn_mul(c->t, y, v));
    double result = sum ? mn_tensor_item(sum) : (double)NAN;
    mn_scope_end(c->t, s, NULL, 0);
    mn_tape_reset(c->t);
    return result;
}

static double *element(const mn_tensor *x, int64_t i, int64_t *index)
{
    int64_t offset = 0;
    for (int d = x->ndim - 1; d >= 0; d--) {
        index[d] = i % x->shape[d];
        i /= x->shape[d];
        offset += index[d] * x->strides[d];
    }
    return (double *)(void *)x->data + offset;
}

/* The gradient of input i, in row-major order, against differences. */
static mn_error compare(check *c, int i, const double *analytic)
{
    mn_tensor *x = c->inputs[i];
    int64_t index[MN_MAX_DIMS] = {0};
    for (int64_t k = 0; k < x->numel; k++) {
        double *at = element(x, k, index), before = *at;
        *at = before + c->eps;
        double high = *at, up = value(c);
        *at = before - c->eps;
        double low = *at, down = value(c);
        *at = before;
        if (mn_tape_error(c->t)) return mn_tape_error(c->t);
        double numeric = (up - down) / (high - low);
        if (fabs(numeric - analytic[k]) <= c->atol + c->rtol * fabs(numeric)) continue;
        char where[200];
        return mn_fail(
            MN_ERR_STATE, "%s: input %d at %s: the gradient is %.9g, finite differences give %.9g",
            c->name, i, mni_shape_text(where, sizeof where, x->ndim, index), analytic[k], numeric);
    }
    return MN_OK;
}

/* Fills analytic with the gradients of all inputs that want one, one after the other. */
static mn_error differentiate(check *c, bool create_graph, double *analytic)
{
    mn_tape *t = c->t;
    mn_tensor *y = c->f(t, c->inputs, c->n, c->user);
    mn_tensor *v = random_like(t, y, c->seed, STREAM_COTANGENT);
    for (int i = 0; i < c->n && v; i++) {
        mn_tensor *x = c->inputs[i], *g = NULL;
        if (!x->requires_grad) continue;
        memset(analytic, 0, (size_t)x->numel * sizeof *analytic);
        mn_grad_opts o = {.cotangents = &v,
                          .create_graph = create_graph,
                          .retain_graph = true,
                          .allow_unused = true};
        if (mn_tensor_requires_grad(y)) mn_grad(t, &y, 1, &x, 1, &g, &o);
        if (g && (g = mn_contiguous(t, g)))
            memcpy(analytic, g->data, (size_t)x->numel * sizeof *analytic);
        analytic += x->numel;
    }
    mn_tape_reset(t);
    return mn_tape_error(t);
}

static mn_error run(check *c)
{
    int64_t total = 1;
    for (int i = 0; i < c->n; i++) {
        const mn_tensor *x = c->inputs[i];
        if (!x || !x->storage || !x->owned || x->dtype != MN_F64 || !mni_no_overlap(x))
            return mn_fail(MN_ERR_ARGUMENT,
                           "%s: input %d is not an f64 tensor of yours with an address for each "
                           "element",
                           c->name, i);
        if (x->requires_grad) total += x->numel;
    }
    double *analytic = mni_alloc((size_t)total * sizeof *analytic);
    c->t = analytic ? mn_tape_new(NULL) : NULL;
    mn_error e = c->t ? MN_OK : mn_last_error();
    /* Once with the fast gradients, once with those that are written with ops. */
    for (int slow = 0; slow < 2 && !e; slow++) {
        e = differentiate(c, slow, analytic);
        const double *g = analytic;
        for (int i = 0; i < c->n && !e; i++) {
            if (!c->inputs[i]->requires_grad) continue;
            e = compare(c, i, g);
            g += c->inputs[i]->numel;
        }
    }
    if (c->t && mn_tape_error(c->t))
        mn_fail(mn_tape_error(c->t), "%s: %s", c->name, mn_tape_message(c->t));
    mn_tape_free(c->t);
    mni_free(analytic);
    return e;
}

static check make(const char *name, mn_function f, mn_tensor *const *inputs, int n, void *user,
                  const mn_gradcheck_opts *opts)
{
    mn_gradcheck_opts o = opts ? *opts : (mn_gradcheck_opts){0};
    return (check){.name = name,
                   .f = f,
                   .inputs = inputs,
                   .n = n,
                   .user = user,
                   .eps = o.eps > 0 ? o.eps : 1e-6,
                   .atol = o.atol > 0 ? o.atol : 1e-5,
                   .rtol = o.rtol > 0 ? o.rtol : 1e-3,
                   .seed = o.seed};
}

mn_error mn_gradcheck(mn_function f, mn_tensor *const *inputs, int n, void *user,
                      const mn_gradcheck_opts *opts)
{
    check c = make("mn_gradcheck", f, inputs, n, user, opts);
    return run(&c);
}

/* ---- the second derivative ---- */

/* sum over i of <d <f(x), v> / d x_i, w_i>, as a function of x and v, the last input. */
static mn_tensor *weighted_gradient(mn_tape *t, mn_tensor *const *in, int n_in, void *user)
{
    const check *first = user;
    mn_tensor *v = in[n_in - 1], *total = mn_scalar(t, MN_F64, 0);
    mn_tensor *y = first->f(t, in, n_in - 1, first->user);
    for (int i = 0; i < n_in - 1 && y; i++) {
        mn_tensor *x = in[i], *g = NULL;
        if (!x->requires_grad || !y->requires_grad) continue;
        mn_grad_opts o = {.cotangents = &v, .create_graph = true, .allow_unused = true};
        if (mn_grad(t, &y, 1, &x, 1, &g, &o) || !g) continue;
        mn_tensor *w = random_like(t, g, first->seed, STREAM_WEIGHTS + (uint64_t)i);
        total = mn_add(t, total, mn_sum(t, mn_mul(t, g, w)));
    }
    return y ? total : NULL;
}

/* A cotangent of yours for f's result, drawn from its own stream. */
static mn_tensor *own_cotangent(const check *c)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *y = t ? c->f(t, c->inputs, c->n, c->user) : NULL;
    mn_tensor *v = mn_retain(random_like(t, y, c->seed, 0));
    if (v && mn_tensor_set_requires_grad(v, true)) {
        mn_release(v);
        v = NULL;
    }
    if (t && mn_tape_error(t)) mn_fail(mn_tape_error(t), "%s: %s", c->name, mn_tape_message(t));
    mn_tape_free(t);
    return v;
}

mn_error mn_gradgradcheck(mn_function f, mn_tensor *const *inputs, int n, void *user,
                          const mn_gradcheck_opts *opts)
{
    check first = make("mn_gradgradcheck", f, inputs, n, user, opts);
    mn_tensor *v = own_cotangent(&first);
    mn_tensor **all = v ? mni_alloc(((size_t)n + 1) * sizeof *all) : NULL;
    mn_error e = all ? MN_OK : mn_last_error();
    if (all) {
        if (n) memcpy(all, inputs, (size_t)n * sizeof *all);
        all[n] = v;
        check second = first;
        second.f = weighted_gradient;
        second.user = &first;
        second.inputs = all;
        second.n = n + 1;
        e = run(&second);
    }
    mni_free(all);
    mn_release(v);
    return e;
}
