/*
 * autograd/functional.c: derivatives of whole functions, made of mn_grad. The function runs on inputs of its
 * own: views of the caller's that require grad, with the graph behind them when that is to be recorded.
 */
#include "autograd/tape.h"
#include <minnow/functional.h>
#include <minnow/ops.h>
#include <string.h>

/* A function at work. */
typedef struct call {
    mn_tape *t;
    const mn_op *op;
    int n;
    bool create_graph;
    mn_scope scope;
    int64_t first; /* node */
    mn_tensor **x; /* the inputs as the function gets them */
    mn_tensor *y;  /* its result */
} call;

static void *array(mn_tape *t, int64_t n)
{
    size_t size = ((size_t)n + 1) * sizeof(mn_tensor *);
    void *p = mni_arena_take(&t->arena, size);
    if (!p) return mn_tape_fail(t, MN_ERR_MEMORY, "out of memory for the derivative");
    return memset(p, 0, size);
}

static bool differentiable(const mn_tensor *x)
{
    return x != MN_NONE && mni_is_float((mn_dtype)x->dtype);
}

static mn_tensor *own_input(mn_tape *t, mn_tensor *x, bool create_graph)
{
    if (create_graph && x->requires_grad) return mn_reshape(t, x, x->ndim, x->shape);
    mn_tensor *y = mn_detach(t, x);
    if (y) y->requires_grad = true;
    return y;
}

/* Runs f on the inputs, of which number `which` (-1: each that can be) is to be differentiated. */
static bool begin(call *c, mn_function f, mn_tensor *const *in, void *user, int which)
{
    mn_tape *t = c->t;
    c->scope = mn_scope_begin(t, MN_ENABLE_GRAD);
    c->x = array(t, c->n);
    for (int i = 0; i < c->n && !t->error; i++) {
        bool own = which < 0 ? differentiable(in[i]) : which == i;
        c->x[i] = own ? own_input(t, in[i], c->create_graph) : in[i];
    }
    t->op = NULL;
    c->y = t->error ? NULL : f(t, c->x, c->n, user);
    t->op = c->op;
    if (!c->y) mni_tape_adopt(t, "the function's result");
    if (c->y && mni_check_input(t, c->y, 0) && !differentiable(c->y))
        mn_tape_fail(t, MN_ERR_DTYPE, "the function's result is not a tensor of f32 or f64");
    return !t->error;
}

/* Ends what begin began; of what was made in between n tensors are kept. What the graph saved is of no
 * use to anybody, unless it was to be recorded. */
static void end(call *c, mn_tensor *const *kept, int n)
{
    mn_tape *t = c->t;
    for (int64_t i = c->first; i < t->n_nodes && !c->create_graph; i++)
        mni_node_release(t->nodes[i]);
    mn_scope_end(t, c->scope, kept, n);
    mn_op_end(t, NULL);
}

static call make(mn_tape *t, const mn_op *op, mn_function f, mn_tensor *const *in, int n,
                 const mn_functional_opts *opts)
{
    call c = {.t = t, .op = op, .n = n, .create_graph = opts && opts->create_graph};
    if (!mn_op_begin(t, op, in, n)) return c;
    c.scope.depth = -1; /* not begun yet */
    c.first = t->n_nodes;
    if (!f) mn_tape_fail(t, MN_ERR_ARGUMENT, "the function is NULL");
    return c;
}

/* Whether v can stand for a change of x, or be a cotangent of it. */
static bool fits(mn_tape *t, const mn_tensor *v, const mn_tensor *x, const char *what, int i)
{
    char a[200], b[200];
    if (v == MN_NONE) return true;
    if (!mni_check_input(t, v, i)) return false;
    if (v->dtype == x->dtype && mn_tensor_same_shape(v, x)) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "v[%d] is %s %s, the %s %s %s", i,
                 mn_dtype_name((mn_dtype)v->dtype), mni_shape_text(a, sizeof a, v->ndim, v->shape),
                 what, mn_dtype_name((mn_dtype)x->dtype),
                 mni_shape_text(b, sizeof b, x->ndim, x->shape));
    return false;
}

static bool all_fit(call *c, mn_tensor *const *v)
{
    if (!v) mni_tape_adopt(c->t, "the list of vectors");
    for (int i = 0; i < c->n && !c->t->error; i++)
        if (differentiable(c->x[i]) && !fits(c->t, v[i], c->x[i], "input", i)) return false;
    return !c->t->error;
}

static bool one_element(call *c)
{
    char text[200];
    if (c->y->numel == 1) return true;
    mn_tape_fail(c->t, MN_ERR_SHAPE, "the function's result must be one element, not %s",
                 mni_shape_text(text, sizeof text, c->y->ndim, c->y->shape));
    return false;
}

/* gx[i] = d sum over k of <y[k], v[k]> / d x[i] for the x that can have one; y[k] may be NULL and v[k]
 * MN_NONE, then they add nothing. */
static void pull(call *c, mn_tensor *const *y, mn_tensor *const *v, int n_y, mn_tensor *const *x,
                 int n_x, mn_tensor **gx, bool create_graph)
{
    mn_tape *t = c->t;
    mn_tensor **out = array(t, n_y), **cotangents = array(t, n_y), **in = array(t, n_x),
              **g = array(t, n_x);
    int n_out = 0, n_in = 0;
    for (int k = 0; k < n_y && !t->error; k++) {
        if (!y[k] || v[k] == MN_NONE || !y[k]->requires_grad) continue;
        out[n_out] = y[k];
        cotangents[n_out++] = v[k];
    }
    for (int i = 0; i < n_x && !t->error; i++)
        if (differentiable(x[i])) in[n_in++] = x[i];
    mn_grad_opts o = {.cotangents = cotangents,
                      .create_graph = create_graph,
                      .retain_graph = true, /* end frees it */
                      .allow_unused = true};
    if (n_out && n_in && !t->error) mn_grad(t, out, n_out, in, n_in, g, &o);
    for (int i = 0, k = 0; i < n_x && !t->error; i++)
        if (differentiable(x[i])) gx[i] = g[k++];
    t->op = c->op;
}

static void zeros_for_null(call *c, mn_tensor **gx)
{
    for (int i = 0; i < c->n && !c->t->error; i++)
        if (!gx[i] && differentiable(c->x[i])) gx[i] = mn_zeros_like(c->t, c->x[i]);
}

/* Hands out gx, which has room for one more, and the value. */
static mn_error finish(call *c, mn_tensor **gx, mn_tensor **value, mn_tensor **products)
{
    mn_tape *t = c->t;
    if (!t->error) gx[c->n] = c->create_graph ? c->y : mn_detach(t, c->y);
    end(c, gx, gx && !t->error ? c->n + 1 : 0);
    for (int i = 0; i < c->n; i++) products[i] = t->error ? NULL : gx[i];
    if (value) *value = t->error ? NULL : gx[c->n];
    return t->error;
}

/* ---- products ---- */

static mn_error clear(mn_tape *t, const mn_op *op, mn_tensor **value, mn_tensor **products, int n)
{
    if (value) *value = NULL;
    for (int i = 0; products && i < n; i++) products[i] = NULL;
    if (!mn_op_begin(t, op, NULL, 0)) return mn_tape_error(t);
    if (!products && n > 0) mn_tape_fail(t, MN_ERR_ARGUMENT, "the list for the products is NULL");
    return t->error;
}

mn_error mn_vjp(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user, mn_tensor *v,
                mn_tensor **value, mn_tensor **products, const mn_functional_opts *opts)
{
    static const mn_op op = {.name = "mn_vjp"};
    if (clear(t, &op, value, products, n)) return mn_tape_error(t);
    call c = make(t, &op, f, in, n, opts);
    if (!v) mni_tape_adopt(t, "v");
    if (t->error) return t->error;
    mn_tensor **gx = array(t, n + 1);
    if (gx && begin(&c, f, in, user, -1) && fits(t, v, c.y, "function's result", 0) &&
        (v != MN_NONE || one_element(&c))) {
        if (v == MN_NONE) v = mn_ones_like(t, c.y);
        pull(&c, &c.y, &v, 1, c.x, n, gx, c.create_graph);
        zeros_for_null(&c, gx);
    }
    return finish(&c, gx, value, products);
}

mn_tensor *mn_jvp(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                  mn_tensor *const *v, mn_tensor **value, const mn_functional_opts *opts)
{
    static const mn_op op = {.name = "mn_jvp"};
    if (value) *value = NULL;
    call c = make(t, &op, f, in, n, opts);
    if (mn_tape_error(t)) return NULL;
    mn_tensor **g = array(t, n), *kept[2] = {0};
    if (g && begin(&c, f, in, user, -1) && all_fit(&c, v)) {
        mn_tensor *u = mn_zeros_like(t, c.y); /* J^T u is linear in u: its derivative is J */
        if (u) u->requires_grad = true;
        pull(&c, &c.y, &u, 1, c.x, n, g, true);
        pull(&c, g, v, n, &u, 1, &kept[0], c.create_graph);
        if (!kept[0]) kept[0] = mn_zeros_like(t, c.y);
        kept[1] = c.create_graph ? c.y : mn_detach(t, c.y);
    }
    end(&c, kept, 2);
    if (value && !t->error) *value = kept[1];
    return t->error ? NULL : kept[0];
}

mn_error mn_hvp(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                mn_tensor *const *v, mn_tensor **value, mn_tensor **products,
                const mn_functional_opts *opts)
{
    static const mn_op op = {.name = "mn_hvp"};
    if (clear(t, &op, value, products, n)) return mn_tape_error(t);
    call c = make(t, &op, f, in, n, opts);
    if (t->error) return t->error;
    mn_tensor **g = array(t, n), **gx = array(t, n + 1);
    if (g && gx && begin(&c, f, in, user, -1) && one_element(&c) && all_fit(&c, v)) {
        mn_tensor *one = mn_ones_like(t, c.y);
        pull(&c, &c.y, &one, 1, c.x, n, g, true);
        pull(&c, g, v, n, c.x, n, gx, c.create_graph); /* H^T v, and H is symmetric */
        zeros_for_null(&c, gx);
    }
    return finish(&c, gx, value, products);
}

/* ---- in full ---- */

/* Row k of d y / d x, [1, numel of x]. */
static mn_tensor *row(call *c, mn_tensor *x, int64_t k)
{
    mn_tape *t = c->t;
    mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *v = mn_zeros_like(t, c->y), *g = NULL;
    if (v && v->dtype == MN_F32)
        ((float *)(void *)v->data)[k] = 1;
    else if (v)
        ((double *)(void *)v->data)[k] = 1;
    mn_grad_opts o = {.cotangents = &v,
                      .create_graph = c->create_graph,
                      .retain_graph = true,
                      .allow_unused = true};
    if (v) mn_grad(t, &c->y, 1, &x, 1, &g, &o);
    if (!g) g = mn_zeros_like(t, x);
    g = mn_reshape(t, g, 2, (int64_t[]){1, x->numel});
    mn_scope_end(t, scope, &g, 1);
    return g;
}

static mn_tensor *rows(call *c, mn_tensor *x)
{
    mn_tape *t = c->t;
    const mn_tensor *y = c->y;
    int64_t shape[MN_MAX_DIMS];
    int ndim = y->ndim + x->ndim;
    if (ndim > MN_MAX_DIMS)
        return mn_tape_fail(t, MN_ERR_SHAPE, "%d and %d dimensions make %d, 8 are possible",
                            y->ndim, x->ndim, ndim);
    memcpy(shape, y->shape, (size_t)y->ndim * sizeof *shape);
    memcpy(shape + y->ndim, x->shape, (size_t)x->ndim * sizeof *shape);
    if (!y->requires_grad || y->numel == 0 || x->numel == 0)
        return mn_zeros(t, (mn_dtype)x->dtype, ndim, shape);
    mn_tensor **list = array(t, y->numel);
    for (int64_t k = 0; k < y->numel && !t->error; k++) list[k] = row(c, x, k);
    return t->error ? NULL : mn_reshape(t, mn_cat(t, list, (int)y->numel, 0), ndim, shape);
}

static mn_tensor *jacobian(call *c, mn_function f, mn_tensor *const *in, void *user, int which)
{
    mn_tape *t = c->t;
    if (which < 0 || which >= c->n)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no input %d among %d", which, c->n);
    if (!differentiable(in[which]))
        return mn_tape_fail(t, MN_ERR_DTYPE, "input %d is not a tensor of f32 or f64", which);
    mn_tensor *j = begin(c, f, in, user, which) ? rows(c, c->x[which]) : NULL;
    end(c, &j, 1);
    return t->error ? NULL : j;
}

mn_tensor *mn_jacobian(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                       int which, const mn_functional_opts *opts)
{
    static const mn_op op = {.name = "mn_jacobian"};
    call c = make(t, &op, f, in, n, opts);
    return mn_tape_error(t) ? NULL : jacobian(&c, f, in, user, which);
}

static const mn_op hessian_op = {.name = "mn_hessian"};

typedef struct gradient {
    mn_function f;
    void *user;
    int which;
} gradient;

/* d f / d in[which], as a function. */
static mn_tensor *gradient_of(mn_tape *t, mn_tensor *const *in, int n, void *user)
{
    const gradient *d = user;
    call c = make(t, &hessian_op, d->f, in, n, &(mn_functional_opts){.create_graph = true});
    mn_tensor *g = NULL;
    if (!t->error && begin(&c, d->f, in, d->user, d->which) && one_element(&c)) {
        mn_tensor *x = c.x[d->which], *one = mn_ones_like(t, c.y);
        pull(&c, &c.y, &one, 1, &x, 1, &g, true);
        if (!g) g = mn_zeros_like(t, x);
    }
    end(&c, &g, 1);
    return t->error ? NULL : g;
}

mn_tensor *mn_hessian(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user, int i,
                      int j, const mn_functional_opts *opts)
{
    call c = make(t, &hessian_op, f, in, n, opts);
    if (mn_tape_error(t)) return NULL;
    if (i < 0 || i >= n)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "there is no input %d among %d", i, n);
    if (!differentiable(in[i]))
        return mn_tape_fail(t, MN_ERR_DTYPE, "input %d is not a tensor of f32 or f64", i);
    return jacobian(&c, gradient_of, in, &(gradient){f, user, i}, j);
}
