/*
 * autograd/ops/pointwise.c: arithmetic with broadcasting, in place too. The gradients of ops with
 * several inputs have the output's shape; the engine sums them down to the inputs'.
 */
#include "autograd/ops/ops.h"

/* ---- arithmetic ---- */

static void same_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
}

static void add_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)t, (void)n;
    gx[0] = gy[0];
    gx[1] = gy[0];
}
static const mn_op add_op = {.name = "add", .backward = add_backward, .flags = MN_OP_BROADCASTS};
static const mn_op add_in_place_op = {
    .name = "add_", .backward = add_backward, .flags = MN_OP_BROADCASTS | MNI_IN_PLACE};

static mn_tensor *add(mn_tape *t, const mn_op *op, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    b = mni_apart(t, op, a, b);
    return mn_op_end(t, mni_binary(t, op, mni_kernels()->add, a, b, NULL, &n));
}

mn_tensor *mn_add(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return add(t, &add_op, a, b);
}

mn_tensor *mn_add_(mn_tape *t, mn_tensor *x, mn_tensor *b)
{
    return add(t, &add_in_place_op, x, b);
}

static void sub_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gy[0];
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, gy[0]);
}
static const mn_op sub_op = {.name = "sub", .backward = sub_backward, .flags = MN_OP_BROADCASTS};
static const mn_op sub_in_place_op = {
    .name = "sub_", .backward = sub_backward, .flags = MN_OP_BROADCASTS | MNI_IN_PLACE};

static mn_tensor *sub(mn_tape *t, const mn_op *op, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    b = mni_apart(t, op, a, b);
    return mn_op_end(t, mni_binary(t, op, mni_kernels()->sub, a, b, NULL, &n));
}

mn_tensor *mn_sub(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return sub(t, &sub_op, a, b);
}

mn_tensor *mn_sub_(mn_tape *t, mn_tensor *x, mn_tensor *b)
{
    return sub(t, &sub_in_place_op, x, b);
}

static void mul_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    if (mn_needs(n, 0)) gx[0] = mn_mul(t, gy[0], mn_saved(n, 1));
    if (mn_needs(n, 1)) gx[1] = mn_mul(t, gy[0], mn_saved(n, 0));
}

/* gx[i] = gy factor, all of one shape; over gy when nothing else needs it any more. */
static void multiply_into(mn_tape *t, mn_node *n, int i, mn_tensor *gy, mn_tensor *factor,
                          bool over, mn_tensor **gx)
{
    bool accumulate;
    mn_tensor *to = over ? mni_grad_over(n, i, 0, &accumulate) : mn_grad_into(n, i, &accumulate);
    gx[i] = to;
    if (to && accumulate)
        mni_map3(t->team, mni_kernels()->addcmul, to, gy, factor, to, (double[]){1});
    else if (to)
        mni_map2(t->team, mni_kernels()->mul, gy, factor, to, NULL);
}

/* Without ops, where nothing was broadcast. */
static void mul_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    const bool needs[2] = {mni_needs(n, 0), mni_needs(n, 1)};
    mn_tensor *factor[2];
    bool same = true;
    for (int i = 0; i < 2 && same; i++) {
        if (!needs[i]) continue;
        factor[i] = mni_saved_of(n, 1 - i);
        same = factor[i] && mni_same_shape(factor[i], gy[0]) &&
               mni_has_shape(gy[0], &n->in[i].node->out[n->in[i].output]);
    }
    if (!same) {
        mul_backward(t, n, gy, gx);
        return;
    }
    /* The second may go over gy: not a leaf's, which goes into its .grad. */
    const int first = needs[0] && n->in[0].node->leaf ? 0 : 1;
    if (needs[first]) multiply_into(t, n, first, gy[0], factor[first], !needs[1 - first], gx);
    if (needs[1 - first]) multiply_into(t, n, 1 - first, gy[0], factor[1 - first], true, gx);
}
static const mn_op mul_op = {.name = "mul",
                             .backward = mul_backward,
                             .backward_fast = mul_backward_fast,
                             .flags = MN_OP_BROADCASTS};
static const mn_op mul_in_place_op = {.name = "mul_",
                                      .backward = mul_backward,
                                      .backward_fast = mul_backward_fast,
                                      .flags = MN_OP_BROADCASTS | MNI_IN_PLACE};

static mn_tensor *mul(mn_tape *t, const mn_op *op, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    bool a_wanted = mni_requires_grad(b), b_wanted = mni_requires_grad(a);
    b = mni_apart(t, op, a, b);
    mn_tensor *before = mni_before(t, op, a, a_wanted);
    mn_tensor *y = mni_binary(t, op, mni_kernels()->mul, a, b, NULL, &n);
    mni_save_if(n, a_wanted, before, b);
    mni_save_if(n, b_wanted, b, before);
    return mn_op_end(t, y);
}

mn_tensor *mn_mul(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return mul(t, &mul_op, a, b);
}

mn_tensor *mn_mul_(mn_tape *t, mn_tensor *x, mn_tensor *b)
{
    return mul(t, &mul_in_place_op, x, b);
}

/* y = a / b: dy/da = 1 / b, dy/db = -y / b. */
static void div_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *g = mn_div(t, gy[0], mn_saved(n, 0));
    gx[0] = g;
    if (mn_needs(n, 1)) gx[1] = mn_neg(t, mn_mul(t, g, mn_saved(n, 1)));
}
static const mn_op div_op = {.name = "div", .backward = div_backward, .flags = MN_OP_BROADCASTS};
static const mn_op div_in_place_op = {
    .name = "div_", .backward = div_backward, .flags = MN_OP_BROADCASTS | MNI_IN_PLACE};

static mn_tensor *divide(mn_tape *t, const mn_op *op, mn_tensor *a, mn_tensor *b)
{
    mn_node *n;
    b = mni_apart(t, op, a, b);
    mn_tensor *y = mni_binary(t, op, mni_kernels()->div, a, b, NULL, &n);
    mn_save(n, b);
    mni_save_if(n, mn_tensor_requires_grad(b), y, b);
    return mn_op_end(t, y);
}

mn_tensor *mn_div(mn_tape *t, mn_tensor *a, mn_tensor *b)
{
    return divide(t, &div_op, a, b);
}

mn_tensor *mn_div_(mn_tape *t, mn_tensor *x, mn_tensor *b)
{
    return divide(t, &div_in_place_op, x, b);
}

/* ---- with a number ---- */

static const mn_op add_scalar_op = {.name = "add_scalar", .backward = same_backward};
static const mn_op add_scalar_in_place_op = {
    .name = "add_scalar_", .backward = same_backward, .flags = MNI_IN_PLACE};

mn_tensor *mn_add_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    return mn_op_end(t, mni_scalar(t, &add_scalar_op, mni_kernels()->add, x, s, false, &n));
}

mn_tensor *mn_add_scalar_(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    const mn_op *op = &add_scalar_in_place_op;
    return mn_op_end(t, mni_scalar(t, op, mni_kernels()->add, x, s, false, &n));
}

static const mn_op sub_scalar_op = {.name = "sub_scalar", .backward = same_backward};

mn_tensor *mn_sub_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    return mn_op_end(t, mni_scalar(t, &sub_scalar_op, mni_kernels()->sub, x, s, false, &n));
}

static void rsub_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    gx[0] = mn_neg(t, gy[0]);
}
static const mn_op rsub_scalar_op = {.name = "rsub_scalar", .backward = rsub_scalar_backward};

mn_tensor *mn_rsub_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    return mn_op_end(t, mni_scalar(t, &rsub_scalar_op, mni_kernels()->sub, x, s, true, &n));
}

static void mul_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul_scalar(t, gy[0], *(const double *)mn_saved_data(n));
}
static const mn_op mul_scalar_op = {.name = "mul_scalar", .backward = mul_scalar_backward};
static const mn_op mul_scalar_in_place_op = {
    .name = "mul_scalar_", .backward = mul_scalar_backward, .flags = MNI_IN_PLACE};

static mn_tensor *mul_scalar(mn_tape *t, const mn_op *op, mn_tensor *x, double s)
{
    mn_node *n;
    mn_tensor *y = mni_scalar(t, op, mni_kernels()->mul, x, s, false, &n);
    mn_save_data(n, &s, sizeof s);
    return mn_op_end(t, y);
}

mn_tensor *mn_mul_scalar(mn_tape *t, mn_tensor *x, double s)
{
    return mul_scalar(t, &mul_scalar_op, x, s);
}

mn_tensor *mn_mul_scalar_(mn_tape *t, mn_tensor *x, double s)
{
    return mul_scalar(t, &mul_scalar_in_place_op, x, s);
}

static void div_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_div_scalar(t, gy[0], *(const double *)mn_saved_data(n));
}
static const mn_op div_scalar_op = {.name = "div_scalar", .backward = div_scalar_backward};

mn_tensor *mn_div_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    mn_tensor *y = mni_scalar(t, &div_scalar_op, mni_kernels()->div, x, s, false, &n);
    mn_save_data(n, &s, sizeof s);
    return mn_op_end(t, y);
}

/* y = s / x: dy/dx = -y / x. */
static void rdiv_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_neg(t, mn_mul(t, mn_div(t, gy[0], mn_saved(n, 0)), mn_saved(n, 1)));
}
static const mn_op rdiv_scalar_op = {.name = "rdiv_scalar", .backward = rdiv_scalar_backward};

mn_tensor *mn_rdiv_scalar(mn_tape *t, mn_tensor *x, double s)
{
    mn_node *n;
    mn_tensor *y = mni_scalar(t, &rdiv_scalar_op, mni_kernels()->div, x, s, true, &n);
    mn_save(n, x);
    mn_save(n, y);
    return mn_op_end(t, y);
}

/* ---- of three ---- */

static void lerp_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *w = mn_saved(n, 2);
    if (mn_needs(n, 0)) gx[0] = mn_mul(t, gy[0], mn_rsub_scalar(t, w, 1));
    if (mn_needs(n, 1)) gx[1] = mn_mul(t, gy[0], w);
    if (mn_needs(n, 2)) gx[2] = mn_mul(t, gy[0], mn_sub(t, mn_saved(n, 1), mn_saved(n, 0)));
}
static const mn_op lerp_op = {.name = "lerp", .backward = lerp_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_lerp(mn_tape *t, mn_tensor *a, mn_tensor *b, mn_tensor *weight)
{
    mn_node *n;
    bool between = mn_tensor_requires_grad(weight);
    mn_tensor *y =
        mni_ternary(t, &lerp_op, mni_kernels()->lerp, (mn_tensor *[]){a, b, weight}, NULL, &n);
    mni_save_if(n, between, a, weight);
    mni_save_if(n, between, b, weight);
    mn_save(n, weight);
    return mn_op_end(t, y);
}

static void lerp_scalar_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    double w = *(const double *)mn_saved_data(n);
    if (mn_needs(n, 0)) gx[0] = mn_mul_scalar(t, gy[0], 1 - w);
    if (mn_needs(n, 1)) gx[1] = mn_mul_scalar(t, gy[0], w);
}
static const mn_op lerp_scalar_op = {
    .name = "lerp_scalar", .backward = lerp_scalar_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_lerp_scalar(mn_tape *t, mn_tensor *a, mn_tensor *b, double weight)
{
    mn_tensor *in[] = {a, b};
    if (!mni_begin(t, &lerp_scalar_op, in, 2) || !mni_require_same_dtype(t, a, b) ||
        !mni_require_float(t, a))
        return NULL;
    mn_tensor *y = mni_broadcast_output(t, (mn_dtype)a->dtype, a, b);
    mni_number w;
    mni_number_of(&w, (mn_dtype)a->dtype, weight);
    if (y) mni_map3(t->team, mni_kernels()->lerp, a, b, &w.tensor, y, NULL);
    mn_node *n = mn_op_record(t, &lerp_scalar_op, in, 2, &y, 1);
    mn_save_data(n, &weight, sizeof weight);
    return mn_op_end(t, y);
}

/* y = x + value a b. */
static void addcmul_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gy[0];
    mn_tensor *g = mn_mul_scalar(t, gy[0], *(const double *)mn_saved_data(n));
    if (mn_needs(n, 1)) gx[1] = mn_mul(t, g, mn_saved(n, 1));
    if (mn_needs(n, 2)) gx[2] = mn_mul(t, g, mn_saved(n, 0));
}
static const mn_op addcmul_op = {
    .name = "addcmul", .backward = addcmul_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_addcmul(mn_tape *t, mn_tensor *x, mn_tensor *a, mn_tensor *b, double value)
{
    mn_node *n;
    mn_tensor *in[] = {x, a, b};
    if (!mni_begin(t, &addcmul_op, in, 3) || !mni_require_scalar(t, x, value)) return NULL;
    mn_tensor *y = mni_ternary(t, &addcmul_op, mni_kernels()->addcmul, in, &value, &n);
    mni_save_if(n, mn_tensor_requires_grad(b), a, b);
    mni_save_if(n, mn_tensor_requires_grad(a), b, a);
    mn_save_data(n, &value, sizeof value);
    return mn_op_end(t, y);
}

/* y = x + value a / b. */
static void addcdiv_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = gy[0];
    mn_tensor *b = mn_saved(n, 1);
    mn_tensor *g = mn_mul_scalar(t, gy[0], *(const double *)mn_saved_data(n));
    if (mn_needs(n, 1)) gx[1] = mn_div(t, g, b);
    if (mn_needs(n, 2)) gx[2] = mn_neg(t, mn_div(t, mn_mul(t, g, mn_saved(n, 0)), mn_mul(t, b, b)));
}
static const mn_op addcdiv_op = {
    .name = "addcdiv", .backward = addcdiv_backward, .flags = MN_OP_BROADCASTS};

mn_tensor *mn_addcdiv(mn_tape *t, mn_tensor *x, mn_tensor *a, mn_tensor *b, double value)
{
    mn_node *n;
    mn_tensor *in[] = {x, a, b};
    mn_tensor *y = mni_ternary(t, &addcdiv_op, mni_kernels()->addcdiv, in, &value, &n);
    mni_save_if(n, mn_tensor_requires_grad(b), a, b);
    mn_save(n, b);
    mn_save_data(n, &value, sizeof value);
    return mn_op_end(t, y);
}
