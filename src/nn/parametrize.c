/*
 * nn/parametrize.c: parameters that are computed, in each forward pass, from others: weight and spectral
 * normalisation. As in PyTorch the module stays the one it was and gets a further child, the ModuleDict
 * "parametrizations", in which a ParametrizationList for each computed tensor holds the original ones and
 * the module "0" that computes.
 *
 * The module's own slot keeps the tensor that it held, so that whatever looks at its shape still can; what
 * walks over the tree does not see it. For the length of a forward pass the computed tensor stands in it.
 * In training the module is written anyway, and stays itself; in eval, where threads share it, the pass runs
 * on a copy of the struct in the tape's memory. What the struct has on the heap is copied by the class's
 * `copy`; a class that has none cannot have parameters there computed.
 */
#include "autograd/tape.h"
#include "nn/module.h"
#include <stdio.h>
#include <string.h>

/* ---- one computed tensor ---- */

typedef struct parametrization {
    mn_module base;
    mn_tensor *original[2];
    int n;
    mn_init init; /* of the last original, which has the computed tensor's shape */
    mn_module *map;
    /* Computes what follows from the first values of the last original. */
    void (*complete)(const struct parametrization *p, mn_tape *t);
} parametrization;

static mn_error parametrization_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                        mn_tensor **out, int n_out)
{
    const parametrization *p = (const parametrization *)m;
    (void)in, (void)n_in;
    return mn_module_call(p->map, t, p->original, p->n, out, n_out);
}

static void parametrization_visit(mn_module *m, mn_visitor *v)
{
    parametrization *p = (parametrization *)m;
    if (p->n == 1) mn_visit_parameter(v, "original", &p->original[0], p->init);
    if (p->n == 2) mn_visit_parameter(v, "original0", &p->original[0], (mn_init){0});
    if (p->n == 2) mn_visit_parameter(v, "original1", &p->original[1], p->init);
    mn_visit_child(v, "0", &p->map);
}

static mn_error parametrization_after_init(mn_module *m)
{
    const parametrization *p = (const parametrization *)m;
    const mn_tensor *last = p->original[p->n - 1];
    if (last->parameter && last->storage->version == 0) return MN_OK; /* it has no values yet */
    mn_tape *t = mn_tape_new(NULL);
    if (!t) return mn_last_error();
    mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
    p->complete(p, t);
    mn_scope_end(t, scope, NULL, 0);
    mn_error e = mn_tape_error(t);
    if (e) mn_fail(e, "%s", mn_tape_message(t));
    mn_tape_free(t);
    return e;
}

static const mn_module_class parametrization_class = {.name = "ParametrizationList",
                                                      .size = sizeof(parametrization),
                                                      .n_out = 1,
                                                      .forward = parametrization_forward,
                                                      .visit = parametrization_visit,
                                                      .after_init = parametrization_after_init};

/* ---- a module that has some ---- */

const char *mni_class_prefix(mn_module *m)
{
    return mni_module_head_of(m)->parametrizations ? "Parametrized" : "";
}

typedef struct swap {
    mn_tensor **slot, *own;
    struct swap *before;
} swap;

typedef struct compute_visitor {
    mn_visitor base;
    mn_tape *t;
    swap *swaps; /* the last one */
} compute_visitor;

static void compute(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer)
{
    compute_visitor *c = (compute_visitor *)v;
    mn_module *p = mni_module_dict_get(mni_module_head_of(v->at)->parametrizations, name);
    (void)init, (void)buffer;
    if (!p) return;
    swap *s = mni_arena_take(&c->t->arena, sizeof *s);
    if (!s) mni_tape_adopt(c->t, "memory");
    mn_tensor *computed = NULL;
    mn_module_call(p, c->t, NULL, 0, &computed, 1);
    if (!computed) {
        v->done = true;
        return;
    }
    *s = (swap){slot, *slot, c->swaps};
    *slot = computed;
    c->swaps = s;
}

static void pass_over(mn_visitor *v, const char *name, mn_module **slot)
{
    (void)v, (void)name, (void)slot;
}

/* m's struct once more, with the head that stands before it; NULL with the tape's error set. */
static mn_module *copy_struct(mn_tape *t, mn_module *m)
{
    const size_t head = (size_t)((char *)m - (char *)mni_module_head_of(m));
    char *block = mni_arena_take(&t->arena, head + m->cls->size);
    if (!block) return mni_tape_adopt(t, "memory");
    mn_module *copy = (mn_module *)(void *)(block + head);
    memcpy(copy, m, m->cls->size);
    *mni_module_head_of(copy) =
        (mni_module_head){.parametrizations = mni_module_head_of(m)->parametrizations};
    if (m->cls->copy && m->cls->copy(copy) != MN_OK) return mni_tape_adopt(t, "memory");
    return copy;
}

mn_error mni_parametrized_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out)
{
    mn_module *at = m->training ? m : copy_struct(t, m);
    if (!at) return mn_tape_error(t);
    compute_visitor c = {.base = {.tensor = compute, .child = pass_over, .want_hidden = true},
                         .t = t};
    mni_walk(&c.base, at);
    mn_error e = mn_tape_error(t);
    if (!e) e = m->cls->forward(at, t, in, n_in, out, n_out);
    for (swap *s = c.swaps; s; s = s->before) *s->slot = s->own;
    if (at != m && m->cls->copy && m->cls->free) m->cls->free(at); /* what `copy` made its own */
    return e;
}

/* ---- making ---- */

typedef struct find_visitor {
    mn_visitor base;
    const char *name;
    mn_tensor **slot;
    mn_init init;
} find_visitor;

static void find_own(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer)
{
    find_visitor *f = (find_visitor *)v;
    if (buffer || strcmp(name, f->name) != 0) return;
    f->slot = slot;
    f->init = init;
    v->done = true;
}

/* The slot of m's own parameter of that name; slot NULL with the last error set. */
static find_visitor find(const char *who, mn_module *m, const char *name)
{
    find_visitor f = {.base = {.tensor = find_own, .child = pass_over}, .name = name};
    if (!m || !name) {
        mni_pass_null(who, m ? "the name" : "the module");
        return f;
    }
    const mn_module *dict = mni_module_head_of(m)->parametrizations;
    mni_walk(&f.base, m);
    if (!f.slot) {
        mn_fail(MN_ERR_ARGUMENT, "%s: \"%s\" is %s of this %s", who, name,
                dict && mni_module_dict_get(dict, name) ? "a computed parameter already"
                                                        : "not a parameter",
                m->cls->name);
        return f;
    }
    const char *at = (const char *)f.slot, *first = (const char *)m;
    if ((at < first || at >= first + m->cls->size) && !m->cls->copy) {
        mn_fail(MN_ERR_STATE,
                "%s: \"%s\" does not stand in the struct of %s, whose class has no `copy`", who,
                name, m->cls->name);
        f.slot = NULL;
    }
    return f;
}

/* Makes the parameter that f found one that map, which is taken over, computes from n originals: the last
 * is the parameter itself, `other` (taken over) the one before. In every failure m is freed. */
static mn_module *parametrize(mn_module *m, const find_visitor *f, mn_tensor *other, int n,
                              mn_module *map, void (*complete)(const parametrization *, mn_tape *))
{
    parametrization *p = (parametrization *)mn_module_new(&parametrization_class);
    if (!p) {
        mn_release(other);
        mn_module_free(map);
        mn_module_free(m);
        return NULL;
    }
    p->original[0] = other;
    p->original[n - 1] = mn_retain(*f->slot);
    p->n = n;
    p->init = f->init;
    p->map = map;
    p->complete = complete;
    mn_module *made = mn_module_finish(&p->base);
    mn_module **dict = &mni_module_head_of(m)->parametrizations;
    if (made && !*dict) *dict = mn_nn_module_dict(NULL, NULL, 0);
    if (made && *dict && parametrization_after_init(made) == MN_OK &&
        mni_module_dict_add(*dict, f->name, made)) {
        if (!m->training) mn_module_eval(made);
        return m;
    }
    mn_module_free(made);
    mn_module_free(m);
    return NULL;
}

/* ---- weight normalisation ---- */

typedef struct weight_norm {
    mn_module base;
    int dim; /* -1: one norm of all */
} weight_norm;

static mn_tensor *norm_of(mn_tape *t, const weight_norm *w, mn_tensor *v)
{
    int dims[MN_MAX_DIMS], n = 0;
    if (w->dim < 0) return mn_norm(t, v, 2);
    for (int d = 0; d < mn_tensor_ndim(v); d++)
        if (d != w->dim) dims[n++] = d;
    return mn_norm_dim(t, v, 2, dims, n, true);
}

static mn_error weight_norm_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                    mn_tensor **out, int n_out)
{
    mn_tensor *g = in[0], *v = in[1];
    (void)n_in, (void)n_out;
    out[0] = mn_mul(t, v, mn_div(t, g, norm_of(t, (const weight_norm *)m, v)));
    return mn_tape_error(t);
}

static const mn_module_class weight_norm_class = {.name = "_WeightNorm",
                                                  .size = sizeof(weight_norm),
                                                  .n_in = 2,
                                                  .n_out = 1,
                                                  .forward = weight_norm_forward};

static void weight_norm_complete(const parametrization *p, mn_tape *t)
{
    mn_tensor *g = norm_of(t, (const weight_norm *)p->map, p->original[1]);
    if (g) mn_tensor_copy(p->original[0], g);
}

/* g for v, like which it requires grad or not. */
static mn_tensor *new_g(const mn_tensor *v, int dim)
{
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < mn_tensor_ndim(v); d++) shape[d] = d == dim ? mn_tensor_size(v, d) : 1;
    mn_tensor *g = mn_parameter(mn_tensor_dtype(v), dim < 0 ? 0 : mn_tensor_ndim(v), shape);
    if (g) mn_tensor_set_requires_grad(g, mn_tensor_requires_grad(v));
    return g;
}

mn_module *mn_nn_weight_norm(mn_module *m, const char *name, int dim)
{
    static const char who[] = "weight_norm";
    const find_visitor f = find(who, m, name);
    if (!f.slot) {
        mn_module_free(m);
        return NULL;
    }
    const mn_tensor *v = *f.slot;
    if (dim < -1 || dim >= mn_tensor_ndim(v)) {
        char shape[200];
        mn_tensor_format_shape(v, shape, sizeof shape);
        mn_fail(MN_ERR_ARGUMENT,
                "%s: dim %d of \"%s\", which is %s; from 0 on, or -1 for all of it", who, dim, name,
                shape);
        mn_module_free(m);
        return NULL;
    }
    weight_norm *w = (weight_norm *)mn_module_new(&weight_norm_class);
    if (w) w->dim = dim;
    return parametrize(m, &f, new_g(v, dim), 2, (mn_module *)w, weight_norm_complete);
}

/* ---- spectral normalisation ---- */

typedef struct spectral_norm {
    mn_module base;
    int n_power_iterations, dim;
    double eps;
    mn_tensor *u, *v; /* near the first singular vectors; MN_NONE where the weight is a vector */
} spectral_norm;

enum { FIRST_ITERATIONS = 15 }; /* of u and v just drawn */

/* The weight as a matrix whose rows are along dim. */
static mn_tensor *matrix_of(mn_tape *t, const spectral_norm *s, mn_tensor *weight)
{
    int order[MN_MAX_DIMS] = {s->dim}, n = 1;
    for (int d = 0; d < mn_tensor_ndim(weight); d++)
        if (d != s->dim) order[n++] = d;
    return mn_flatten(t, mn_permute(t, weight, order), 1, -1);
}

/* n iterations from uv, in which the new vectors are left. */
static void iterate(mn_tape *t, const spectral_norm *s, mn_tensor *matrix, int n, mn_tensor *uv[2])
{
    mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
    mn_tensor *transposed = mn_transpose(t, matrix, 0, 1);
    for (int i = 0; i < n && !mn_tape_error(t); i++) {
        uv[0] = mn_normalize(t, mn_matmul(t, matrix, uv[1]), 2, 0, s->eps);
        uv[1] = mn_normalize(t, mn_matmul(t, transposed, uv[0]), 2, 0, s->eps);
    }
    mn_scope_end(t, scope, uv, 2);
    if (mn_tape_error(t)) return;
    if (mn_tensor_copy(s->u, uv[0]) || mn_tensor_copy(s->v, uv[1])) mni_tape_adopt(t, "a vector");
}

static bool is_zero(const mn_tensor *vector)
{
    for (int64_t i = 0; i < mn_tensor_size(vector, 0); i++)
        if (mn_tensor_get(vector, &i) != 0) return false;
    return true;
}

/* The vectors of this pass, apart from the module's own, which further passes change before this one's
 * gradient is asked for. */
static void vectors(mn_tape *t, const spectral_norm *s, mn_tensor *matrix, mn_tensor *uv[2])
{
    uv[0] = mn_clone(t, mn_detach(t, s->u));
    uv[1] = mn_clone(t, mn_detach(t, s->v));
    if (!uv[1] || !s->base.training) return;
    if (!mn_tape_recomputing(t)) iterate(t, s, matrix, s->n_power_iterations, uv);
    for (int i = 0; i < 2 && !t->error; i++)
        mni_tape_note(t, uv[i]->data, (size_t)uv[i]->numel * mn_dtype_size((mn_dtype)uv[i]->dtype));
}

static mn_error spectral_norm_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                      mn_tensor **out, int n_out)
{
    const spectral_norm *s = (const spectral_norm *)m;
    mn_tensor *weight = in[0], *uv[2];
    (void)n_in, (void)n_out;
    if (s->u == MN_NONE) {
        out[0] = mn_normalize(t, weight, 2, 0, s->eps);
        return mn_tape_error(t);
    }
    if (is_zero(s->v)) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "the vectors of spectral_norm are 0: call mn_module_init, or load them (a "
                     "weight that is 0 has none)");
        return mn_tape_error(t);
    }
    mn_tensor *matrix = matrix_of(t, s, weight);
    vectors(t, s, matrix, uv);
    mn_tensor *sigma = mn_sum(t, mn_mul(t, uv[0], mn_matmul(t, matrix, uv[1])));
    out[0] = mn_div(t, weight, sigma);
    return mn_tape_error(t);
}

static void spectral_norm_visit(mn_module *m, mn_visitor *v)
{
    spectral_norm *s = (spectral_norm *)m;
    mn_visit_buffer(v, "_u", &s->u, mn_init_normal(0, 1));
    mn_visit_buffer(v, "_v", &s->v, mn_init_normal(0, 1));
}

static const mn_module_class spectral_norm_class = {.name = "_SpectralNorm",
                                                    .size = sizeof(spectral_norm),
                                                    .n_in = 1,
                                                    .n_out = 1,
                                                    .forward = spectral_norm_forward,
                                                    .visit = spectral_norm_visit};

static void spectral_norm_complete(const parametrization *p, mn_tape *t)
{
    const spectral_norm *s = (const spectral_norm *)p->map;
    if (s->u == MN_NONE) return;
    mn_rng rng = mn_rng_make(0, mn_rng_stream("_v"));
    if (is_zero(s->v)) mn_tensor_normal(s->v, 0, 1, &rng);
    iterate(t, s, matrix_of(t, s, p->original[0]), FIRST_ITERATIONS, (mn_tensor *[]){s->u, s->v});
}

static spectral_norm *spectral_norm_new(const mn_tensor *weight, int dim,
                                        const mn_nn_spectral_norm_opts *o)
{
    spectral_norm *s = (spectral_norm *)mn_module_new(&spectral_norm_class);
    if (!s) return NULL;
    s->n_power_iterations = o->n_power_iterations ? o->n_power_iterations : 1;
    s->eps = o->eps != 0 ? o->eps : 1e-12;
    s->dim = dim;
    const bool vector = mn_tensor_ndim(weight) == 1;
    const int64_t rows = mn_tensor_size(weight, dim), columns = mn_tensor_numel(weight) / rows;
    const mn_dtype dtype = mn_tensor_dtype(weight);
    s->u = vector ? MN_NONE : mn_tensor_zeros(dtype, 1, &rows);
    s->v = vector ? MN_NONE : mn_tensor_zeros(dtype, 1, &columns);
    return (spectral_norm *)mn_module_finish(&s->base);
}

mn_module *mn_nn_spectral_norm(mn_module *m, const char *name, const mn_nn_spectral_norm_opts *opts)
{
    static const char who[] = "spectral_norm";
    const mn_nn_spectral_norm_opts o = opts ? *opts : (mn_nn_spectral_norm_opts){0};
    const find_visitor f = find(who, m, name);
    if (!f.slot) {
        mn_module_free(m);
        return NULL;
    }
    const mn_tensor *weight = *f.slot;
    const int ndim = mn_tensor_ndim(weight);
    const bool transposed = strncmp(m->cls->name, "ConvTranspose", 13) == 0;
    const int dim = !o.has_dim ? transposed && ndim > 1 : o.dim < 0 ? o.dim + ndim : o.dim;
    if (dim < 0 || dim >= ndim || o.n_power_iterations < 0 || !(o.eps >= 0)) {
        char shape[200];
        mn_tensor_format_shape(weight, shape, sizeof shape);
        mn_fail(MN_ERR_ARGUMENT, "%s: dim %d of \"%s\", which is %s, %d n_power_iterations, eps %g",
                who, o.has_dim ? o.dim : dim, name, shape, o.n_power_iterations, o.eps);
        mn_module_free(m);
        return NULL;
    }
    spectral_norm *s = spectral_norm_new(weight, dim, &o);
    return parametrize(m, &f, NULL, 1, (mn_module *)s, spectral_norm_complete);
}
