/*
 * autograd/ops/einsum.c: sums of products by Einstein's convention. The equation gives each
 * dimension a label; then operands are multiplied, two at a time and by one batched matrix product,
 * until one is left.
 */
#include "autograd/ops/ops.h"
#include <stdio.h>
#include <string.h>

/* Labels: A to Z, a to z, then the dimensions that an ellipsis stands for, the last one last. */
enum { LETTERS = 52, LABELS = LETTERS + MN_MAX_DIMS, MOST_OPERANDS = 8 };

typedef uint64_t label_set; /* a bit for each label */

typedef struct operand {
    mn_tensor *x;
    int n; /* dimensions; each has a label, which stands at that position of the equation */
    int label[MN_MAX_DIMS], position[MN_MAX_DIMS];
} operand;

typedef struct einsum {
    mn_tape *t;
    const char *equation;
    int n;
    operand in[MOST_OPERANDS], out;
    int64_t size[LABELS];
    int owner[LABELS]; /* the operand that has this size; -1: the label is in no operand */
    int count[LABELS]; /* how often it stands among the operands */
    int dots;          /* the most dimensions that an ellipsis stands for */
} einsum;

static const mn_op einsum_op = {.name = "einsum"};

/* ---- the equation ---- */

static bool fail(const einsum *e, mn_error code, int position, const char *what)
{
    mn_tape_fail(e->t, code, "\"%.100s\", position %d: %s", e->equation, position, what);
    return false;
}

static int letter(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Whether only what has a meaning stands there, and a term for each operand. */
static bool check_text(const einsum *e)
{
    const char *c = e->equation;
    int terms = 1;
    bool arrow = false;
    for (int at = 0; c[at]; at++) {
        if (c[at] == ' ' || letter(c[at]) >= 0) continue;
        if (c[at] == ',' && !arrow) {
            terms++;
        } else if (strncmp(c + at, "->", 2) == 0 && !arrow) {
            arrow = true;
            at++;
        } else if (strncmp(c + at, "...", 3) == 0) {
            at += 2;
        } else {
            return fail(e, MN_ERR_ARGUMENT, at,
                        "only letters, spaces, '...', and ',' before one '->' have a meaning");
        }
    }
    if (terms == e->n) return true;
    mn_tape_fail(e->t, MN_ERR_ARGUMENT, "\"%.100s\" is for %d operands, %d are given", c, terms,
                 e->n);
    return false;
}

/* Reads the labels from *at to the end of the term. An ellipsis stands for the dimensions, of ndim,
 * that the letters leave; in the output (ndim -1) for those of the operands' ellipses. */
static bool read_term(const einsum *e, int *at, int ndim, operand *o)
{
    const char *c = e->equation;
    const int begin = *at;
    int letters = 0, points = 0;
    for (; c[*at] && c[*at] != ',' && c[*at] != '-'; ++*at) {
        letters += letter(c[*at]) >= 0;
        points += c[*at] == '.';
        if (points > 3) return fail(e, MN_ERR_ARGUMENT, *at, "a second ellipsis in one term");
    }
    const int dots = points == 0 ? 0 : ndim < 0 ? e->dots : ndim - letters;
    if (dots < 0 || letters + dots > MN_MAX_DIMS || (ndim >= 0 && letters + dots != ndim)) {
        char what[64];
        snprintf(what, sizeof what, "%d letters for %d dimensions", letters,
                 ndim < 0 ? MN_MAX_DIMS - dots : ndim);
        return fail(e, MN_ERR_SHAPE, begin, what);
    }
    o->n = 0;
    for (int i = begin; i < *at; i++) {
        if (c[i] == ' ') continue;
        int label = c[i] == '.' ? LABELS - dots : letter(c[i]);
        for (int k = c[i] == '.' ? dots : 1; k > 0; k--) {
            o->position[o->n] = i;
            o->label[o->n++] = label++;
        }
        if (c[i] == '.') i += 2;
    }
    return true;
}

static bool conflict(const einsum *e, int i, int d, int other, int64_t size)
{
    char text[MNI_TEXT], other_text[MNI_TEXT], what[2 * MNI_TEXT + 80];
    const mn_tensor *x = e->in[i].x, *y = e->in[other].x;
    snprintf(what, sizeof what, "size %lld in operand %d %s, but %lld in operand %d %s",
             (long long)x->shape[d], i, mni_shape_text(text, sizeof text, x->ndim, x->shape),
             (long long)size, other,
             mni_shape_text(other_text, sizeof other_text, y->ndim, y->shape));
    return fail(e, MN_ERR_SHAPE, e->in[i].position[d], what);
}

/* Dimensions of one label have one size, but those of another operand may have size 1. */
static bool take_sizes(einsum *e, int i)
{
    const operand *o = &e->in[i];
    for (int d = 0; d < o->n; d++) {
        const int label = o->label[d], owner = e->owner[label];
        const int64_t size = o->x->shape[d], known = e->size[label];
        for (int k = 0; k < d; k++)
            if (o->label[k] == label && o->x->shape[k] != size)
                return conflict(e, i, d, i, o->x->shape[k]);
        if (owner >= 0 && size != known && size != 1 && known != 1)
            return conflict(e, i, d, owner, known);
        e->count[label]++;
        if (owner >= 0 && size == 1) continue;
        e->size[label] = size;
        e->owner[label] = i;
    }
    return true;
}

/* What the output is when the equation does not say it: what the ellipses stand for, then, in
 * alphabetical order, all letters that stand there once. */
static bool imply_output(einsum *e, int end)
{
    for (int label = LABELS - e->dots; label < LABELS; label++) e->out.label[e->out.n++] = label;
    for (int label = 0; label < LETTERS; label++) {
        if (e->count[label] != 1) continue;
        if (e->out.n == MN_MAX_DIMS)
            return fail(e, MN_ERR_SHAPE, end, "the output has more than 8 dimensions");
        e->out.label[e->out.n++] = label;
    }
    return true;
}

static bool check_output(const einsum *e)
{
    for (int d = 0; d < e->out.n; d++) {
        const int label = e->out.label[d];
        if (e->owner[label] < 0)
            return fail(e, MN_ERR_ARGUMENT, e->out.position[d], "no operand has this label");
        for (int k = 0; k < d; k++)
            if (e->out.label[k] == label)
                return fail(e, MN_ERR_ARGUMENT, e->out.position[d], "twice in the output");
    }
    return true;
}

static bool read_equation(einsum *e, mn_tensor *const *xs)
{
    int at = 0;
    if (!check_text(e)) return false;
    for (int label = 0; label < LABELS; label++) e->owner[label] = -1;
    for (int i = 0; i < e->n; i++) {
        operand *o = &e->in[i];
        o->x = xs[i];
        at += i > 0; /* the comma */
        if (!read_term(e, &at, xs[i]->ndim, o) || !take_sizes(e, i)) return false;
        int dots = 0;
        for (int d = 0; d < o->n; d++) dots += o->label[d] >= LETTERS;
        if (dots > e->dots) e->dots = dots;
    }
    if (!e->equation[at]) return imply_output(e, at);
    at += 2; /* the arrow */
    return read_term(e, &at, -1, &e->out) && check_output(e);
}

/* ---- the products ---- */

static label_set one(int label)
{
    return (label_set)1 << label;
}

static label_set labels(const operand *o)
{
    label_set s = 0;
    for (int d = 0; d < o->n; d++) s |= one(o->label[d]);
    return s;
}

/* Takes the dimensions with dropped[d] off the list. */
static void forget(operand *o, const bool *dropped)
{
    int n = 0;
    for (int d = 0; d < o->n; d++)
        if (!dropped[d]) o->label[n++] = o->label[d];
    o->n = n;
}

/* A label that is there twice becomes one dimension, the diagonal; one of size 1 that is larger
 * elsewhere is taken away. */
static void simplify(const einsum *e, operand *o)
{
    for (int d = 1; d < o->n; d++)
        for (int k = 0; k < d; k++) {
            if (o->label[k] != o->label[d]) continue;
            const int label = o->label[d];
            bool both[MN_MAX_DIMS] = {false};
            both[k] = both[d] = true;
            o->x = mn_diagonal(e->t, o->x, 0, k, d);
            forget(o, both);
            o->label[o->n++] = label;
            d = 0; /* from the beginning */
            break;
        }
    bool stretched[MN_MAX_DIMS];
    int64_t shape[MN_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < o->n; d++) {
        const int64_t size = mn_tensor_size(o->x, d);
        stretched[d] = size != e->size[o->label[d]];
        if (!stretched[d]) shape[n++] = size;
    }
    if (n < o->n) o->x = mn_reshape(e->t, o->x, n, shape);
    forget(o, stretched);
}

/* Sums over all labels but those. */
static void sum_out(const einsum *e, operand *o, label_set kept)
{
    bool summed[MN_MAX_DIMS];
    int dims[MN_MAX_DIMS], n = 0;
    for (int d = 0; d < o->n; d++) {
        summed[d] = !(kept & one(o->label[d]));
        if (summed[d]) dims[n++] = d;
    }
    if (n > 0) o->x = mn_sum_dim(e->t, o->x, dims, n, false);
    forget(o, summed);
}

/* o with its dimensions in the order of the list, in that shape. */
static mn_tensor *lay_out(const einsum *e, const operand *o, const int *list, int n, int ndim,
                          const int64_t *shape)
{
    int dims[MN_MAX_DIMS], at = 0;
    for (int k = 0; k < n; k++)
        for (int d = 0; d < o->n; d++)
            if (o->label[d] == list[k]) dims[at++] = d;
    return mn_reshape(e->t, mn_permute(e->t, o->x, dims), ndim, shape);
}

/* Appends what o has of the set to the list, and gives its size. */
static int64_t append(const einsum *e, const operand *o, label_set s, int *list, int *n)
{
    int64_t size = 1;
    for (int d = 0; d < o->n; d++) {
        if (!(s & one(o->label[d]))) continue;
        list[(*n)++] = o->label[d];
        size *= e->size[o->label[d]];
    }
    return size;
}

/* a <- the product of a and b, summed over all labels that do not stay. */
static void multiply(const einsum *e, operand *a, operand *b, label_set stay)
{
    sum_out(e, a, labels(b) | stay);
    sum_out(e, b, labels(a) | stay);
    if (!a->x || !b->x) return;
    const label_set in_a = labels(a), in_b = labels(b);
    /* Without a label of its own each matrix is a row: products and sums are faster. */
    const bool matrices =
        (in_a & in_b & ~stay) && in_a != in_b && mni_is_float((mn_dtype)a->x->dtype);
    int list[2 * MN_MAX_DIMS], n = 0;
    const int64_t batch = append(e, a, in_b & stay, list, &n);
    const int64_t left = append(e, a, ~in_b, list, &n);
    const int64_t right = append(e, b, ~in_a, list, &n);
    const int kept = n;
    const int64_t inner = append(e, a, in_b & ~stay, list, &n);
    if ((matrices ? kept : n) > MN_MAX_DIMS) {
        mn_tape_fail(e->t, MN_ERR_SHAPE, "einsum: \"%.100s\" needs a product of %d dimensions",
                     e->equation, n);
        return;
    }
    int64_t shape[MN_MAX_DIMS], shape_a[MN_MAX_DIMS], shape_b[MN_MAX_DIMS];
    for (int d = 0; d < (matrices ? kept : n); d++) {
        shape[d] = e->size[list[d]];
        shape_a[d] = in_a & one(list[d]) ? shape[d] : 1;
        shape_b[d] = in_b & one(list[d]) ? shape[d] : 1;
    }
    if (matrices) {
        mn_tensor *x = lay_out(e, a, list, n, 3, (int64_t[]){batch, left, inner});
        mn_tensor *y = lay_out(e, b, list, n, 3, (int64_t[]){batch, right, inner});
        a->x = mn_reshape(e->t, mn_matmul(e->t, x, mn_transpose(e->t, y, 1, 2)), kept, shape);
    } else {
        int dims[MN_MAX_DIMS];
        for (int d = kept; d < n; d++) dims[d - kept] = d;
        a->x = mn_mul(e->t, lay_out(e, a, list, n, n, shape_a), lay_out(e, b, list, n, n, shape_b));
        if (n > kept) a->x = mn_sum_dim(e->t, a->x, dims, n - kept, false);
    }
    a->n = kept;
    memcpy(a->label, list, (size_t)kept * sizeof *list);
}

static double elements(const einsum *e, label_set s)
{
    double n = 1;
    for (int label = 0; label < LABELS; label++)
        if (s & one(label)) n *= (double)e->size[label];
    return n;
}

/* Which two of three operands to multiply first, so that there are the fewest products in all. */
static void cheapest(const einsum *e, int *i, int *k)
{
    const label_set out = labels(&e->out);
    double least = 0;
    for (int other = 2; other >= 0; other--) {
        const int a = other == 0 ? 1 : 0, b = other == 2 ? 1 : 2;
        const label_set both = labels(&e->in[a]) | labels(&e->in[b]), third = labels(&e->in[other]);
        const double n = elements(e, both) + elements(e, (both & (out | third)) | third);
        if (other < 2 && n >= least) continue;
        least = n;
        *i = a;
        *k = b;
    }
}

static mn_tensor *contract(einsum *e)
{
    for (int i = 0; i < e->n; i++) simplify(e, &e->in[i]);
    while (e->n > 1) {
        int i = 0, k = 1;
        if (e->n == 3) cheapest(e, &i, &k);
        label_set stay = labels(&e->out);
        for (int other = 0; other < e->n; other++)
            if (other != i && other != k) stay |= labels(&e->in[other]);
        multiply(e, &e->in[i], &e->in[k], stay);
        for (e->n--; k < e->n; k++) e->in[k] = e->in[k + 1];
    }
    int dims[MN_MAX_DIMS] = {0};
    operand *last = &e->in[0];
    sum_out(e, last, labels(&e->out));
    for (int d = 0; d < e->out.n; d++)
        for (int k = 0; k < last->n; k++)
            if (last->label[k] == e->out.label[d]) dims[d] = k;
    return mn_permute(e->t, last->x, dims);
}

mn_tensor *mn_einsum(mn_tape *t, const char *equation, mn_tensor *const *xs, int n)
{
    einsum e = {.t = t, .equation = equation, .n = n};
    if (n < 1 || n > MOST_OPERANDS || !xs || !equation) {
        if (!mn_op_begin(t, &einsum_op, NULL, 0)) return NULL;
        return equation ? mn_tape_fail(t, MN_ERR_ARGUMENT, "%d operands, 1 to %d are possible",
                                       xs ? n : 0, MOST_OPERANDS)
                        : mn_tape_fail(t, MN_ERR_ARGUMENT, "the equation is NULL");
    }
    if (!mni_begin(t, &einsum_op, xs, n)) return NULL;
    for (int i = 1; i < n; i++)
        if (!mni_require_same_dtype(t, xs[0], xs[i])) return NULL;
    if (n > 1 && (xs[0]->dtype == MN_U8 || xs[0]->dtype == MN_BOOL))
        return mn_tape_fail(t, MN_ERR_DTYPE, "multiplies f32, f64 or i64, not %s",
                            mn_dtype_name((mn_dtype)xs[0]->dtype));
    if (!read_equation(&e, xs)) return NULL;
    mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *y = contract(&e);
    mn_scope_end(t, scope, &y, 1);
    return y;
}
