/*
 * autograd/ops/conv.c: convolutions. Input x, weight w and output y belong together in one form
 * that is linear in each of them (tensor/compute.h), and every op here computes one of the three
 * from the others: so three ops are each other's gradients, to any order.
 */
#include "autograd/ops/ops.h"
#include <string.h>

/* A convolution that is known to fit: all that gradients need besides the tensors. */
typedef struct plan {
    mni_conv_sizes s;
    mni_conv_role result;
    int dims;     /* of the image */
    bool batched; /* x and y have a first dimension N */
} plan;

/* The roles of the inputs, in their order, by that of the result. */
static const mni_conv_role inputs[3][2] = {
    [MNI_CONV_X] = {MNI_CONV_Y, MNI_CONV_W},
    [MNI_CONV_W] = {MNI_CONV_X, MNI_CONV_Y},
    [MNI_CONV_Y] = {MNI_CONV_X, MNI_CONV_W},
};

/* ---- the three ops ---- */

static mn_tensor *result(mn_tape *t, const plan *p)
{
    const mni_conv_sizes *s = &p->s;
    const bool weight = p->result == MNI_CONV_W;
    const int64_t *image = weight ? s->kernel : p->result == MNI_CONV_X ? s->in : s->out;
    int64_t shape[5];
    int ndim = 0;
    if (p->batched || weight) shape[ndim++] = weight ? s->groups * s->outs : s->batch;
    shape[ndim++] = weight                    ? s->ins
                    : p->result == MNI_CONV_X ? s->groups * s->ins
                                              : s->groups * s->outs;
    for (int d = 3 - p->dims; d < 3; d++) shape[ndim++] = image[d];
    return mni_tape_tensor(t, s->dtype, ndim, shape);
}

static void count(mn_tape *t, const mni_conv_sizes *s)
{
    int64_t positions = s->batch, field = s->ins;
    for (int d = 0; d < 3; d++) {
        positions *= s->out[d];
        field *= s->kernel[d];
    }
    mni_count_product(t, positions, s->groups * s->outs, field);
}

static mn_tensor *convolve(mn_tape *t, const mn_op *op, const plan *p, mn_tensor *const in[3])
{
    const mni_conv_role *of = inputs[p->result];
    const int64_t room = mni_conv_scratch(mni_tape_team(t), &p->s, p->result);
    const mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *role[3];
    role[p->result] = result(t, p);
    role[of[0]] = mni_dense(t, in[0]);
    role[of[1]] = mni_dense(t, in[1]);
    mn_tensor *bias = in[2] == MN_NONE ? NULL : mni_dense(t, in[2]);
    mn_tensor *scratch = mni_tape_tensor(t, p->s.dtype, 1, &room), *y = role[p->result];
    if (!mn_tape_error(t)) {
        count(t, &p->s);
        mni_conv(mni_tape_team(t), &p->s, p->result, (const mn_tensor *const *)role, bias,
                 scratch->data);
    }
    mn_scope_end(t, scope, &y, 1);
    mn_node *n = mn_op_record(t, op, in, 3, &y, 1);
    mni_save_if(n, mn_tensor_requires_grad(in[1]), in[0], in[1]);
    mni_save_if(n, mn_tensor_requires_grad(in[0]), in[1], in[0]);
    mn_save_data(n, p, sizeof *p);
    return mn_op_end(t, y);
}

static mn_tensor *of_role(mn_tape *t, const plan *p, mni_conv_role role,
                          mn_tensor *const tensors[3]);

/* The two others give the gradient of each; the bias gets what its channel gets. */
static void conv_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const plan *p = mn_saved_data(n);
    const mni_conv_role *of = inputs[p->result];
    mn_tensor *role[3];
    role[p->result] = gy[0];
    role[of[0]] = mn_saved(n, 0);
    role[of[1]] = mn_saved(n, 1);
    if (mn_needs(n, 0)) gx[0] = of_role(t, p, of[0], role);
    if (mn_needs(n, 1)) gx[1] = of_role(t, p, of[1], role);
    const int other[] = {p->batched ? 0 : 1, 2, 3, 4};
    if (mn_needs(n, 2)) gx[2] = mn_sum_dim(t, gy[0], other, p->dims + p->batched, false);
}

static const mn_op ops[3] = {
    [MNI_CONV_X] = {.name = "conv_input", .backward = conv_backward},
    [MNI_CONV_W] = {.name = "conv_weight", .backward = conv_backward},
    [MNI_CONV_Y] = {.name = "conv_output", .backward = conv_backward},
};

static mn_tensor *of_role(mn_tape *t, const plan *p, mni_conv_role role,
                          mn_tensor *const tensors[3])
{
    plan q = *p;
    q.result = role;
    mn_tensor *in[] = {tensors[inputs[role][0]], tensors[inputs[role][1]], MN_NONE};
    return mn_op_begin(t, &ops[role], in, 3) ? convolve(t, &ops[role], &q, in) : NULL;
}

/* ---- checks, which make the plan ---- */

/* Dtypes, dimensions and channels; the sizes that these say. The result has the role `result`. */
static bool tensors_fit(mn_tape *t, plan *p, mn_tensor *const in[3], int64_t groups)
{
    const mn_tensor *x = in[0], *w = in[1], *bias = in[2];
    mni_conv_sizes *s = &p->s;
    if (x == MN_NONE || w == MN_NONE)
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "%s is MN_NONE, but a tensor is needed",
                            x == MN_NONE ? "x" : "weight");
    if (!mni_require_float(t, x) || !mni_require_same_dtype(t, x, w)) return false;
    if (bias != MN_NONE && !mni_require_same_dtype(t, x, bias)) return false;
    char a[MNI_TEXT], b[MNI_TEXT], c[MNI_TEXT];
    mni_shape_text(a, sizeof a, x->ndim, x->shape);
    mni_shape_text(b, sizeof b, w->ndim, w->shape);
    const int dims = p->dims, first = 3 - dims;
    p->batched = x->ndim == dims + 2;
    if (w->ndim != dims + 2 || (x->ndim != dims + 1 && !p->batched))
        return mn_tape_fail(t, MN_ERR_SHAPE,
                            "x %s and weight %s: %d (or without N %d) and %d dimensions are needed",
                            a, b, dims + 2, dims + 1, dims + 2);
    if (groups < 1 || w->numel == 0 || w->shape[0] % groups != 0)
        return mn_tape_fail(t, MN_ERR_SHAPE, "weight %s cannot be cut into %lld groups", b,
                            (long long)groups);
    const int64_t ends[] = {w->shape[1] * groups, w->shape[0]}; /* channels of roles X and Y */
    const bool forward = p->result == MNI_CONV_Y;
    if (x->shape[p->batched] != ends[!forward])
        return mn_tape_fail(
            t, MN_ERR_SHAPE, "x %s and weight %s with %lld groups: %lld channels instead of %lld",
            a, b, (long long)groups, (long long)x->shape[p->batched], (long long)ends[!forward]);
    if (bias != MN_NONE && (bias->ndim != 1 || bias->shape[0] != ends[forward]))
        return mn_tape_fail(t, MN_ERR_SHAPE, "bias %s, weight %s: [%lld] is needed",
                            mni_shape_text(c, sizeof c, bias->ndim, bias->shape), b,
                            (long long)ends[forward]);
    s->dtype = (mn_dtype)x->dtype;
    s->batch = p->batched ? x->shape[0] : 1;
    s->groups = groups;
    s->ins = w->shape[1];
    s->outs = w->shape[0] / groups;
    for (int d = 0; d < 3; d++) {
        const bool there = d >= first;
        s->kernel[d] = there ? w->shape[2 + d - first] : 1;
        s->in[d] = s->out[d] = there ? x->shape[p->batched + 1 + d - first] : 1;
        s->stride[d] = s->dilation[d] = 1;
    }
    return true;
}

static mn_tensor *conv(mn_tape *t, const mn_op *op, int dims, mn_tensor *x, mn_tensor *weight,
                       mn_tensor *bias, const mn_conv_opts *opts)
{
    mn_tensor *in[] = {x, weight, bias};
    const mn_conv_opts o = opts ? *opts : (mn_conv_opts){0};
    plan p = {.result = MNI_CONV_Y, .dims = dims};
    mni_conv_sizes *s = &p.s;
    if (!mn_op_begin(t, op, in, 3) || !tensors_fit(t, &p, in, o.groups ? o.groups : 1)) return NULL;
    const int first = 3 - dims;
    int64_t image[3];
    for (int d = first; d < 3; d++) {
        image[d] = s->in[d];
        s->stride[d] = o.stride[d - first];
        s->padding[d] = o.padding[d - first];
        s->dilation[d] = o.dilation[d - first];
        if (!o.padding_same) continue;
        if (s->stride[d] > 1 || s->padding[d] != 0)
            return mn_tape_fail(t, MN_ERR_ARGUMENT,
                                "padding_same takes no stride (here %lld) and no padding (%lld)",
                                (long long)s->stride[d], (long long)s->padding[d]);
        const int64_t both = (s->dilation[d] ? s->dilation[d] : 1) * (s->kernel[d] - 1);
        s->padding[d] = both / 2;
        image[d] += both % 2; /* the one that is only behind */
    }
    const mni_kernel k = {image + first,      s->kernel + first,   s->stride + first,
                          s->padding + first, s->dilation + first, s->out + first};
    return mni_require_places(t, dims, &k, false) ? convolve(t, op, &p, in) : NULL;
}

#define CONV(dims)                                                                                 \
    static const mn_op conv##dims##d_op = {.name = "conv" #dims "d", .backward = conv_backward};   \
    mn_tensor *mn_conv##dims##d(mn_tape *t, mn_tensor *x, mn_tensor *weight, mn_tensor *bias,      \
                                const mn_conv_opts *opts)                                          \
    {                                                                                              \
        return conv(t, &conv##dims##d_op, dims, x, weight, bias, opts);                            \
    }

CONV(1)
CONV(2)
CONV(3)

static bool between(int64_t low, int64_t value, int64_t high)
{
    return low <= value && value <= high;
}

/* The sizes of the result from those of x and the options. */
static bool spread(mn_tape *t, plan *p, const mn_conv_transpose_opts *o)
{
    mni_conv_sizes *s = &p->s;
    const int first = 3 - p->dims;
    bool fits = true;
    for (int i = 0, d = first; d < 3; i++, d++) {
        s->stride[d] = o->stride[i] ? o->stride[i] : 1;
        s->dilation[d] = o->dilation[i] ? o->dilation[i] : 1;
        s->padding[d] = o->padding[i];
        const int64_t more = o->output_padding[i], most = INT32_MAX;
        fits = fits && between(1, s->stride[d], most) && between(1, s->dilation[d], most) &&
               between(0, s->padding[d], most) && between(1, s->out[d], most) &&
               between(1, s->kernel[d], most) && more >= 0 &&
               (more < s->stride[d] || more < s->dilation[d]);
        if (fits)
            s->in[d] = (s->out[d] - 1) * s->stride[d] - 2 * s->padding[d] +
                       s->dilation[d] * (s->kernel[d] - 1) + more + 1;
        fits = fits && s->in[d] >= 1;
    }
    if (fits) return true;
    const int64_t *lists[] = {s->out + first,     s->kernel + first, s->stride + first,
                              s->padding + first, o->output_padding, s->dilation + first};
    char text[6][MNI_TEXT];
    for (int i = 0; i < 6; i++) mni_shape_text(text[i], sizeof text[i], p->dims, lists[i]);
    return mn_tape_fail(
        t, MN_ERR_ARGUMENT,
        "nothing comes of an image of %s and a kernel of %s with stride %s, padding "
        "%s, output_padding %s and dilation %s",
        text[0], text[1], text[2], text[3], text[4], text[5]);
}

static mn_tensor *transpose(mn_tape *t, const mn_op *op, int dims, mn_tensor *x, mn_tensor *weight,
                            mn_tensor *bias, const mn_conv_transpose_opts *opts)
{
    mn_tensor *in[] = {x, weight, bias};
    const mn_conv_transpose_opts o = opts ? *opts : (mn_conv_transpose_opts){0};
    plan p = {.result = MNI_CONV_X, .dims = dims};
    if (!mn_op_begin(t, op, in, 3) || !tensors_fit(t, &p, in, o.groups ? o.groups : 1) ||
        !spread(t, &p, &o))
        return NULL;
    return convolve(t, op, &p, in);
}

#define CONV_TRANSPOSE(dims)                                                                       \
    static const mn_op conv_transpose##dims##d_op = {.name = "conv_transpose" #dims "d",           \
                                                     .backward = conv_backward};                   \
    mn_tensor *mn_conv_transpose##dims##d(mn_tape *t, mn_tensor *x, mn_tensor *weight,             \
                                          mn_tensor *bias, const mn_conv_transpose_opts *opts)     \
    {                                                                                              \
        return transpose(t, &conv_transpose##dims##d_op, dims, x, weight, bias, opts);             \
    }

CONV_TRANSPOSE(1)
CONV_TRANSPOSE(2)
