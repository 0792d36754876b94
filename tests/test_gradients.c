/*
 * tests/test_gradients.c: the gradient table. Every differentiable op of minnow/ops.h has its rows
 * here; each row is checked against finite differences (first to third derivative), and the
 * gradient written with ops against the fused one, for inputs of every arrangement. An op without
 * a row fails the suite.
 */
#include <check.h>
#include <math.h>
#include <minnow/ops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the functions under test ---- */

typedef mn_tensor *(*row_fn)(mn_tape *t, mn_tensor *const *x);

#define F(name, expression)                                                                        \
    static mn_tensor *name(mn_tape *t, mn_tensor *const *x)                                        \
    {                                                                                              \
        return expression;                                                                         \
    }
#define SHAPE(...)                                                                                 \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define DIMS(...)                                                                                  \
    (int[])                                                                                        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define RNG                                                                                        \
    &(mn_rng)                                                                                      \
    {                                                                                              \
        .seed = 7, .stream = 3                                                                     \
    }
#define RRELU(...)                                                                                 \
    &(mn_rrelu_opts)                                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define LOSS(kind)                                                                                 \
    &(mn_loss_opts)                                                                                \
    {                                                                                              \
        .reduction = kind                                                                          \
    }

F(to, mn_to(t, x[0], MN_F64))
F(add, mn_add(t, x[0], x[1]))
F(add_twice, mn_add(t, x[0], x[0]))
F(sub, mn_sub(t, x[0], x[1]))
F(mul, mn_mul(t, x[0], x[1]))
F(square, mn_mul(t, x[0], x[0]))
F(division, mn_div(t, x[0], x[1]))
F(add_scalar, mn_add_scalar(t, x[0], 0.7))
F(sub_scalar, mn_sub_scalar(t, x[0], 0.7))
F(mul_scalar, mn_mul_scalar(t, x[0], -0.7))
F(div_scalar, mn_div_scalar(t, x[0], -0.7))
F(neg, mn_neg(t, x[0]))
F(exponential, mn_exp(t, x[0]))
F(logarithm, mn_log(t, x[0]))
F(square_root, mn_sqrt(t, x[0]))
F(sigmoid, mn_sigmoid(t, x[0]))
F(hyperbolic, mn_tanh(t, x[0]))
F(matmul, mn_matmul(t, x[0], x[1]))
F(linear, mn_linear(t, x[0], x[1], x[2]))
F(linear_no_bias, mn_linear(t, x[0], x[1], MN_NONE))
F(sum, mn_sum(t, x[0]))
F(mean, mn_mean(t, x[0]))
F(sum_dim_1, mn_sum_dim(t, x[0], DIMS(1), 1, false))
F(sum_dim_keep, mn_sum_dim(t, x[0], DIMS(0), 1, true))
F(sum_dim_two, mn_sum_dim(t, x[0], DIMS(-1, 0), 2, false))
F(sum_dim_none, mn_sum_dim(t, x[0], NULL, 0, false))
F(mean_dim_1, mn_mean_dim(t, x[0], DIMS(1), 1, false))
F(mean_dim_two, mn_mean_dim(t, x[0], DIMS(0, 2), 2, true))
F(max_all, mn_max(t, x[0]))
F(max_dim_0, mn_max_dim(t, x[0], 0, false, NULL))
F(max_dim_1, mn_max_dim(t, x[0], 1, true, NULL))
F(max_dim_last, mn_max_dim(t, x[0], -1, false, NULL))
F(reshape, mn_reshape(t, x[0], 2, SHAPE(3, -1)))
F(flatten, mn_flatten(t, x[0], 1, -1))
F(flatten_of_one, mn_flatten(t, x[0], 0, -1))
F(transpose, mn_transpose(t, x[0], 0, -1))
F(permute, mn_permute(t, x[0], DIMS(2, 0, 1)))
F(expand, mn_expand(t, x[0], 3, SHAPE(2, 3, 2)))
F(narrow, mn_narrow(t, x[0], 1, 1, 2))
F(narrow_first, mn_narrow(t, x[0], -2, 1, 1))
F(cat_rows, mn_cat(t, x, 2, 0))
F(cat_columns, mn_cat(t, x, 3, -1))
F(cat_same, mn_cat(t, ((mn_tensor *[]){x[0], x[0]}), 2, 1))
F(contiguous, mn_contiguous(t, x[0]))
F(clone, mn_clone(t, x[0]))
F(relu, mn_relu(t, x[0]))
F(leaky_relu, mn_leaky_relu(t, x[0], 0.2))
F(leaky_relu_negative, mn_leaky_relu(t, x[0], -0.3))
F(leaky_relu_zero, mn_leaky_relu(t, x[0], 0))
F(relu_, mn_relu_(t, x[0]))
F(leaky_relu_, mn_leaky_relu_(t, x[0], 0.2))
F(prelu, mn_prelu(t, x[0], x[1]))
F(rrelu, mn_rrelu(t, x[0], 0.1, 0.6, true, RNG))
F(rrelu_eval, mn_rrelu(t, x[0], 0.1, 0.6, false, NULL))
F(rrelu_, mn_rrelu_(t, x[0], -0.6, -0.1, true, RNG))
F(rrelu_with, mn_rrelu_with(t, x[0], 0.1, 0.6, true, RNG, NULL))
F(rrelu_divisor, mn_rrelu_with(t, x[0], 3, 8, true, RNG, RRELU(.divisor = true)))
F(rrelu_divisor_eval, mn_rrelu_with(t, x[0], 3, 8, false, NULL, RRELU(.divisor = true)))
F(rrelu_channel, mn_rrelu_with(t, x[0], -0.6, 0.6, true, RNG, RRELU(.per_channel = true)))
F(rrelu_recompute, mn_rrelu_with(t, x[0], 0.1, 0.6, true, RNG, RRELU(.recompute = true)))
F(rrelu_recompute_eval, mn_rrelu_with(t, x[0], 0.1, 0.6, false, NULL, RRELU(.recompute = true)))
F(rrelu_all,
  mn_rrelu_with(t, x[0], 3, 8, true, RNG,
                RRELU(.inplace = true, .divisor = true, .per_channel = true, .recompute = true)))
F(softmax_0, mn_softmax(t, x[0], 0))
F(softmax_1, mn_softmax(t, x[0], 1))
F(log_softmax_0, mn_log_softmax(t, x[0], 0))
F(log_softmax_1, mn_log_softmax(t, x[0], -2))
F(dropout, mn_dropout(t, x[0], 0.4, true, RNG))
F(dropout_all, mn_dropout(t, x[0], 1, true, RNG))
F(dropout_none, mn_dropout(t, x[0], 0, true, RNG))
F(dropout_eval, mn_dropout(t, x[0], 0.4, false, NULL))

#define TARGET mn_from(t, MN_I64, 1, SHAPE(4), SHAPE(2, 0, 1, 2))
F(nll_mean, mn_nll_loss(t, x[0], TARGET, NULL))
F(nll_sum, mn_nll_loss(t, x[0], TARGET, LOSS(MN_REDUCE_SUM)))
F(nll_none, mn_nll_loss(t, x[0], TARGET, LOSS(MN_REDUCE_NONE)))
F(cross_entropy_mean, mn_cross_entropy(t, x[0], TARGET, NULL))
F(cross_entropy_sum, mn_cross_entropy(t, x[0], TARGET, LOSS(MN_REDUCE_SUM)))
F(cross_entropy_none, mn_cross_entropy(t, x[0], TARGET, LOSS(MN_REDUCE_NONE)))
F(mse_mean, mn_mse_loss(t, x[0], x[1], NULL))
F(mse_sum, mn_mse_loss(t, x[0], x[1], LOSS(MN_REDUCE_SUM)))
F(mse_none, mn_mse_loss(t, x[0], x[1], LOSS(MN_REDUCE_NONE)))

/* ---- the table ---- */

enum { MOST_INPUTS = 3, MOST_ELEMENTS = 64 };

typedef enum values {
    ANY,      /* -2 to 2 */
    POSITIVE, /* 0.5 to 2: the function is not defined, or too steep, elsewhere */
    OFF_ZERO, /* 0.2 to 2 on either side: at 0 is a kink or a pole */
    DISTINCT  /* no two within 0.1: where two are equal is a kink */
} values;

enum {
    IN_PLACE = 1, /* overwrites its input: not on a leaf, nor where elements share an address */
    NO_TIES = 2   /* stretched inputs would have equal elements */
};

typedef struct input {
    values values;
    int ndim;
    int64_t shape[4];
} input;

typedef struct row {
    const char *op, *what;
    row_fn f;
    unsigned flags;
    int n;
    input in[MOST_INPUTS];
} row;

#define SCALAR(v)                                                                                  \
    {                                                                                              \
        v, 0,                                                                                      \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define VECTOR(v, a)                                                                               \
    {                                                                                              \
        v, 1,                                                                                      \
        {                                                                                          \
            a                                                                                      \
        }                                                                                          \
    }
#define MATRIX(v, a, b)                                                                            \
    {                                                                                              \
        v, 2,                                                                                      \
        {                                                                                          \
            a, b                                                                                   \
        }                                                                                          \
    }
#define CUBE(v, a, b, c)                                                                           \
    {                                                                                              \
        v, 3,                                                                                      \
        {                                                                                          \
            a, b, c                                                                                \
        }                                                                                          \
    }
#define FOUR(v, a, b, c, d)                                                                        \
    {                                                                                              \
        v, 4,                                                                                      \
        {                                                                                          \
            a, b, c, d                                                                             \
        }                                                                                          \
    }

static const row table[] = {
    {"to", "", to, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"add", "same shapes", add, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 3)}},
    {"add", "broadcast", add, 0, 2, {CUBE(ANY, 2, 1, 3), MATRIX(ANY, 4, 1)}},
    {"add", "with a scalar", add, 0, 2, {SCALAR(ANY), MATRIX(ANY, 2, 3)}},
    {"add", "x + x", add_twice, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"sub", "same shapes", sub, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 3)}},
    {"sub", "broadcast", sub, 0, 2, {VECTOR(ANY, 3), CUBE(ANY, 2, 2, 1)}},
    {"mul", "same shapes", mul, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 3)}},
    {"mul", "broadcast", mul, 0, 2, {CUBE(ANY, 2, 1, 3), MATRIX(ANY, 4, 1)}},
    {"mul", "x * x", square, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"div", "same shapes", division, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(OFF_ZERO, 2, 3)}},
    {"div", "broadcast", division, 0, 2, {MATRIX(ANY, 4, 1), CUBE(OFF_ZERO, 2, 1, 3)}},
    {"add_scalar", "", add_scalar, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"sub_scalar", "", sub_scalar, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"mul_scalar", "", mul_scalar, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"div_scalar", "", div_scalar, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"neg", "", neg, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"exp", "", exponential, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"log", "", logarithm, 0, 1, {MATRIX(POSITIVE, 2, 3)}},
    {"sqrt", "", square_root, 0, 1, {MATRIX(POSITIVE, 2, 3)}},
    {"sigmoid", "", sigmoid, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"tanh", "", hyperbolic, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"matmul", "2d 2d", matmul, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 3, 4)}},
    {"matmul", "1d 1d", matmul, 0, 2, {VECTOR(ANY, 3), VECTOR(ANY, 3)}},
    {"matmul", "2d 1d", matmul, 0, 2, {MATRIX(ANY, 2, 3), VECTOR(ANY, 3)}},
    {"matmul", "1d 2d", matmul, 0, 2, {VECTOR(ANY, 3), MATRIX(ANY, 3, 2)}},
    {"matmul", "1d batch", matmul, 0, 2, {VECTOR(ANY, 3), CUBE(ANY, 2, 3, 2)}},
    {"matmul", "batch 1d", matmul, 0, 2, {CUBE(ANY, 2, 2, 3), VECTOR(ANY, 3)}},
    {"matmul", "batch batch", matmul, 0, 2, {CUBE(ANY, 2, 2, 3), CUBE(ANY, 2, 3, 2)}},
    {"matmul", "batch 2d", matmul, 0, 2, {CUBE(ANY, 2, 2, 3), MATRIX(ANY, 3, 2)}},
    {"matmul", "2d batch", matmul, 0, 2, {MATRIX(ANY, 2, 3), CUBE(ANY, 2, 3, 2)}},
    {"matmul", "broadcast", matmul, 0, 2, {FOUR(ANY, 2, 1, 2, 3), CUBE(ANY, 3, 3, 2)}},
    {"linear", "", linear, 0, 3, {MATRIX(ANY, 2, 3), MATRIX(ANY, 4, 3), VECTOR(ANY, 4)}},
    {"linear", "no bias", linear_no_bias, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 4, 3)}},
    {"linear", "1d", linear, 0, 3, {VECTOR(ANY, 3), MATRIX(ANY, 4, 3), VECTOR(ANY, 4)}},
    {"linear", "3d", linear, 0, 3, {CUBE(ANY, 2, 2, 3), MATRIX(ANY, 2, 3), VECTOR(ANY, 2)}},
    {"sum", "", sum, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"sum", "of one", sum, 0, 1, {SCALAR(ANY)}},
    {"mean", "", mean, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"sum_dim", "one", sum_dim_1, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"sum_dim", "kept", sum_dim_keep, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"sum_dim", "two", sum_dim_two, 0, 1, {CUBE(ANY, 2, 3, 2)}},
    {"sum_dim", "none", sum_dim_none, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"mean_dim", "one", mean_dim_1, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"mean_dim", "two", mean_dim_two, 0, 1, {CUBE(ANY, 2, 3, 2)}},
    {"max", "", max_all, NO_TIES, 1, {MATRIX(DISTINCT, 2, 3)}},
    {"max_dim", "0", max_dim_0, NO_TIES, 1, {MATRIX(DISTINCT, 3, 2)}},
    {"max_dim", "1, kept", max_dim_1, NO_TIES, 1, {CUBE(DISTINCT, 2, 3, 2)}},
    {"max_dim", "last", max_dim_last, NO_TIES, 1, {CUBE(DISTINCT, 2, 2, 3)}},
    {"reshape", "", reshape, 0, 1, {CUBE(ANY, 2, 3, 2)}},
    {"flatten", "", flatten, 0, 1, {CUBE(ANY, 2, 3, 2)}},
    {"flatten", "of one", flatten_of_one, 0, 1, {SCALAR(ANY)}},
    {"transpose", "", transpose, 0, 1, {CUBE(ANY, 2, 3, 2)}},
    {"permute", "", permute, 0, 1, {CUBE(ANY, 2, 3, 4)}},
    {"expand", "", expand, 0, 1, {MATRIX(ANY, 3, 1)}},
    {"narrow", "", narrow, 0, 1, {MATRIX(ANY, 2, 4)}},
    {"narrow", "first", narrow_first, 0, 1, {MATRIX(ANY, 3, 2)}},
    {"cat", "rows", cat_rows, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 1, 3)}},
    {"cat",
     "columns",
     cat_columns,
     0,
     3,
     {MATRIX(ANY, 2, 1), MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 2)}},
    {"cat", "x, x", cat_same, 0, 1, {MATRIX(ANY, 2, 2)}},
    {"contiguous", "", contiguous, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"clone", "", clone, 0, 1, {MATRIX(ANY, 2, 3)}},
    {"relu", "", relu, 0, 1, {MATRIX(OFF_ZERO, 2, 3)}},
    {"leaky_relu", "", leaky_relu, 0, 1, {MATRIX(OFF_ZERO, 2, 3)}},
    {"leaky_relu", "negative slope", leaky_relu_negative, 0, 1, {MATRIX(OFF_ZERO, 2, 3)}},
    {"leaky_relu", "slope 0", leaky_relu_zero, 0, 1, {MATRIX(OFF_ZERO, 2, 3)}},
    {"relu_", "", relu_, IN_PLACE, 1, {MATRIX(OFF_ZERO, 2, 3)}},
    {"leaky_relu_", "", leaky_relu_, IN_PLACE, 1, {MATRIX(OFF_ZERO, 2, 3)}},
    {"prelu", "one slope", prelu, 0, 2, {MATRIX(OFF_ZERO, 2, 3), VECTOR(ANY, 1)}},
    {"prelu", "a slope per channel", prelu, 0, 2, {CUBE(OFF_ZERO, 2, 3, 2), VECTOR(ANY, 3)}},
    {"prelu", "1d", prelu, 0, 2, {VECTOR(OFF_ZERO, 4), VECTOR(ANY, 4)}},
    {"prelu", "of one", prelu, 0, 2, {SCALAR(OFF_ZERO), SCALAR(ANY)}},
    {"rrelu", "", rrelu, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu", "eval", rrelu_eval, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_", "negative slopes", rrelu_, IN_PLACE, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_with", "no options", rrelu_with, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_with", "divisor", rrelu_divisor, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_with", "divisor, eval", rrelu_divisor_eval, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_with", "per channel", rrelu_channel, 0, 1, {CUBE(OFF_ZERO, 2, 3, 4)}},
    {"rrelu_with", "per channel, 1d", rrelu_channel, 0, 1, {VECTOR(OFF_ZERO, 5)}},
    {"rrelu_with", "recompute", rrelu_recompute, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_with", "recompute, eval", rrelu_recompute_eval, 0, 1, {MATRIX(OFF_ZERO, 3, 4)}},
    {"rrelu_with", "all options", rrelu_all, IN_PLACE, 1, {CUBE(OFF_ZERO, 2, 3, 4)}},
    {"softmax", "0", softmax_0, 0, 1, {CUBE(ANY, 3, 2, 2)}},
    {"softmax", "1", softmax_1, 0, 1, {MATRIX(ANY, 2, 4)}},
    {"log_softmax", "0", log_softmax_0, 0, 1, {CUBE(ANY, 3, 2, 2)}},
    {"log_softmax", "1", log_softmax_1, 0, 1, {CUBE(ANY, 2, 3, 2)}},
    {"dropout", "", dropout, 0, 1, {MATRIX(ANY, 3, 4)}},
    {"dropout", "p = 1", dropout_all, 0, 1, {MATRIX(ANY, 3, 4)}},
    {"dropout", "p = 0", dropout_none, 0, 1, {MATRIX(ANY, 3, 4)}},
    {"dropout", "eval", dropout_eval, 0, 1, {MATRIX(ANY, 3, 4)}},
    {"nll_loss", "mean", nll_mean, 0, 1, {MATRIX(ANY, 4, 3)}},
    {"nll_loss", "sum", nll_sum, 0, 1, {MATRIX(ANY, 4, 3)}},
    {"nll_loss", "none", nll_none, 0, 1, {MATRIX(ANY, 4, 3)}},
    {"cross_entropy", "mean", cross_entropy_mean, 0, 1, {MATRIX(ANY, 4, 3)}},
    {"cross_entropy", "sum", cross_entropy_sum, 0, 1, {MATRIX(ANY, 4, 3)}},
    {"cross_entropy", "none", cross_entropy_none, 0, 1, {MATRIX(ANY, 4, 3)}},
    {"mse_loss", "mean", mse_mean, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 3)}},
    {"mse_loss", "sum", mse_sum, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 3)}},
    {"mse_loss", "none", mse_none, 0, 2, {MATRIX(ANY, 2, 3), MATRIX(ANY, 2, 3)}},
};
enum { ROWS = sizeof table / sizeof *table };

/* Tensors of ops.h that no gradient flows into, and why. */
static const struct {
    const char *op, *why;
} without_gradient[] = {
    {"empty", "made from nothing"},
    {"zeros", "made from nothing"},
    {"ones", "made from nothing"},
    {"full", "made from nothing"},
    {"from", "made from nothing"},
    {"scalar", "made from nothing"},
    {"empty_like", "only the shape is used"},
    {"zeros_like", "only the shape is used"},
    {"ones_like", "only the shape is used"},
    {"rand", "made from nothing"},
    {"eq", "gives bool"},
    {"gt", "gives bool"},
    {"gt_scalar", "gives bool"},
    {"argmax", "gives positions"},
    {"argmax_dim", "gives positions"},
    {"rrelu_slopes", "random numbers, read only"},
};

/* ---- inputs in every arrangement ---- */

typedef enum arrangement {
    LEAF,       /* a contiguous tensor of ours */
    WRAPPED,    /* a tensor of ours whose first dimension lies innermost */
    NON_LEAF,   /* the result of an op; so are those below */
    TRANSPOSED, /* a view with the dimensions reversed */
    NARROWED,   /* a view into wider rows */
    STRETCHED,  /* a view whose first dimension has stride 0 */
    ARRANGEMENTS
} arrangement;

static const char *const arrangement_names[] = {"leaf",       "wrapped",  "non-leaf",
                                                "transposed", "narrowed", "stretched"};

static bool applies(const row *r, arrangement a)
{
    if ((r->flags & IN_PLACE) && (a == LEAF || a == WRAPPED || a == STRETCHED)) return false;
    return !((r->flags & NO_TIES) && a == STRETCHED);
}

static void leaf_shape(const input *in, arrangement a, int64_t *shape)
{
    for (int d = 0; d < in->ndim; d++) shape[d] = in->shape[a == TRANSPOSED ? in->ndim - 1 - d : d];
    if (a == NARROWED && in->ndim) shape[in->ndim - 1] += 3;
    if (a == STRETCHED && in->ndim) shape[0] = 1;
}

/* The input as an op sees it. */
static mn_tensor *arrange(mn_tape *t, mn_tensor *leaf, const input *in, arrangement a)
{
    if (a == LEAF || a == WRAPPED) return leaf;
    int reversed[4];
    for (int d = 0; d < in->ndim; d++) reversed[d] = in->ndim - 1 - d;
    mn_tensor *x = mn_mul_scalar(t, leaf, 1.5);
    if (in->ndim == 0) return x;
    if (a == TRANSPOSED) return mn_permute(t, x, reversed);
    if (a == NARROWED) return mn_narrow(t, x, -1, 2, in->shape[in->ndim - 1]);
    if (a == STRETCHED) return mn_expand(t, x, in->ndim, in->shape);
    return x;
}

static double draw_value(values kind, int64_t i, int64_t n, mn_rng *rng)
{
    double u = mn_rng_uniform(rng);
    if (kind == POSITIVE) return 0.5 + 1.5 * u;
    if (kind == OFF_ZERO) return u < 0.5 ? 0.2 + 3.6 * u : -0.2 - 3.6 * (u - 0.5);
    /* 7 is prime to every n used here, so this visits each place once */
    if (kind == DISTINCT) return 0.2 * (double)(7 * i % n) - 0.1 * (double)n + 0.1 * u;
    return 4 * u - 2;
}

static void free_memory(void *data, void *user)
{
    (void)user;
    free(data);
}

static mn_tensor *make_leaf(const input *in, arrangement a, mn_dtype dtype, uint64_t stream)
{
    int64_t shape[4], strides[4], index[4] = {0}, n = 1;
    leaf_shape(in, a, shape);
    for (int d = 0; d < in->ndim; d++) {
        strides[d] = n;
        n *= shape[d];
    }
    ck_assert_int_le(n, MOST_ELEMENTS);
    mn_tensor *x = a == WRAPPED ? mn_tensor_wrap(dtype, in->ndim, shape, strides,
                                                 calloc((size_t)n, 8), free_memory, NULL)
                                : mn_tensor_empty(dtype, in->ndim, shape);
    ck_assert_ptr_nonnull(x);
    mn_rng rng = mn_rng_make(11, stream);
    for (int64_t i = 0; i < n; i++) {
        double v = draw_value(in->values, i, n, &rng);
        mn_tensor_set(x, index, a == LEAF || a == WRAPPED ? v : v / 1.5);
        for (int d = in->ndim - 1; d >= 0 && ++index[d] == shape[d]; d--) index[d] = 0;
    }
    ck_assert_int_eq(mn_tensor_set_requires_grad(x, true), MN_OK);
    return x;
}

/* One row in one arrangement. */
typedef struct trial {
    const row *row;
    arrangement arrangement;
    mn_tensor *leaves[MOST_INPUTS];
    char name[96];
} trial;

static trial trial_make(const row *r, arrangement a, mn_dtype dtype)
{
    trial c = {.row = r, .arrangement = a};
    snprintf(c.name, sizeof c.name, "%s (%s), %s, %s", r->op, r->what, arrangement_names[a],
             mn_dtype_name(dtype));
    for (int i = 0; i < r->n; i++) c.leaves[i] = make_leaf(&r->in[i], a, dtype, (uint64_t)i);
    return c;
}

static void trial_free(trial *c)
{
    for (int i = 0; i < c->row->n; i++) mn_release(c->leaves[i]);
}

static mn_tensor *trial_run(mn_tape *t, mn_tensor *const *leaves, int n, void *user)
{
    const trial *c = user;
    mn_tensor *x[MOST_INPUTS] = {0};
    for (int i = 0; i < n; i++) x[i] = arrange(t, leaves[i], &c->row->in[i], c->arrangement);
    return c->row->f(t, x);
}

/* U(-1, 1), of y's shape. */
static mn_tensor *cotangent(mn_tape *t, mn_tensor *y)
{
    mn_rng rng = mn_rng_make(13, 0);
    int64_t shape[MN_MAX_DIMS];
    for (int d = 0; d < mn_tensor_ndim(y); d++) shape[d] = mn_tensor_size(y, d);
    mn_tensor *u = mn_rand(t, mn_tensor_dtype(y), mn_tensor_ndim(y), shape, &rng);
    return mn_sub_scalar(t, mn_mul_scalar(t, u, 2), 1);
}

/* ---- against finite differences ---- */

START_TEST(gradient_agrees_with_finite_differences)
{
    const row *r = &table[_i];
    for (arrangement a = LEAF; a < ARRANGEMENTS; a++) {
        if (!applies(r, a)) continue;
        trial c = trial_make(r, a, MN_F64);
        mn_error e = mn_gradcheck(trial_run, c.leaves, r->n, &c, NULL);
        ck_assert_msg(e == MN_OK, "%s: %s", c.name, mn_last_message());
        trial_free(&c);
    }
}
END_TEST

START_TEST(second_derivative_agrees_with_finite_differences)
{
    const row *r = &table[_i];
    for (arrangement a = LEAF; a < ARRANGEMENTS; a++) {
        if (!applies(r, a)) continue;
        trial c = trial_make(r, a, MN_F64);
        mn_error e = mn_gradgradcheck(trial_run, c.leaves, r->n, &c, NULL);
        ck_assert_msg(e == MN_OK, "%s: %s", c.name, mn_last_message());
        trial_free(&c);
    }
}
END_TEST

/* f(x) and the gradients of <f(x), v> with respect to every x, one after the other; v is the last
 * input. Differentiated again, a node gets gradients of its result and of its gradient at once. */
static mn_tensor *gradients(mn_tape *t, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *y = trial_run(t, in, n - 1, user), *parts[MOST_INPUTS + 1] = {0};
    mn_grad_opts o = {.cotangents = &in[n - 1], .create_graph = true};
    if (mn_grad(t, &y, 1, in, n - 1, parts, &o)) return NULL;
    parts[n - 1] = y;
    for (int i = 0; i < n; i++) parts[i] = mn_flatten(t, parts[i], 0, -1);
    return mn_cat(t, parts, n, 0);
}

START_TEST(third_derivative_agrees_with_finite_differences)
{
    const row *r = &table[_i];
    trial c = trial_make(r, NON_LEAF, MN_F64);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *in[MOST_INPUTS + 1];
    for (int i = 0; i < r->n; i++) in[i] = c.leaves[i];
    in[r->n] = mn_retain(cotangent(t, mn_detach(t, trial_run(t, c.leaves, r->n, &c))));
    ck_assert_int_eq(mn_tensor_set_requires_grad(in[r->n], true), MN_OK);
    mn_tape_free(t);
    mn_error e = mn_gradcheck(gradients, in, r->n + 1, &c, NULL);
    if (e == MN_OK) e = mn_gradgradcheck(gradients, in, r->n + 1, &c, NULL);
    ck_assert_msg(e == MN_OK, "%s: %s", c.name, mn_last_message());
    mn_release(in[r->n]);
    trial_free(&c);
}
END_TEST

/* ---- the two versions of a gradient, and the ways to ask for it ---- */

/* x's values, times scale, in row-major order. */
static void read_values(mn_tensor *x, double *out)
{
    int64_t index[MN_MAX_DIMS] = {0};
    for (int64_t i = 0; i < mn_tensor_numel(x); i++) {
        out[i] = mn_tensor_get(x, index);
        for (int d = mn_tensor_ndim(x) - 1; d >= 0 && ++index[d] == mn_tensor_size(x, d); d--)
            index[d] = 0;
    }
}

static void assert_gradient(const trial *c, const char *how, int i, mn_tensor *g,
                            const double *expected, double times)
{
    double got[MOST_ELEMENTS];
    ck_assert_msg(g != NULL, "%s: %s: input %d has no gradient", c->name, how, i);
    ck_assert_msg(mn_tensor_same_shape(g, c->leaves[i]), "%s: %s: input %d", c->name, how, i);
    read_values(g, got);
    double tolerance = mn_tensor_dtype(g) == MN_F64 ? 1e-11 : 2e-5;
    for (int64_t k = 0; k < mn_tensor_numel(g); k++) {
        double want = times * expected[k];
        ck_assert_msg(fabs(got[k] - want) <= tolerance * (1 + fabs(want)),
                      "%s: %s: input %d, element %d: %.9g, not %.9g", c->name, how, i, (int)k,
                      got[k], want);
    }
}

static void backward(mn_tape *t, mn_tensor *y, mn_tensor *v, bool retain)
{
    mn_backward_opts o = {.cotangents = &v, .retain_graph = retain};
    ck_assert_msg(mn_backward_from(t, &y, 1, &o) == MN_OK, "%s", mn_tape_message(t));
}

/* Only input i wants a gradient: what is saved for the others may be left out, its own may not. */
static void check_alone(mn_tape *t, trial *c, int i, const double *expected)
{
    for (int k = 0; k < c->row->n; k++) {
        mn_tensor_zero_grad(c->leaves[k]);
        ck_assert_int_eq(mn_tensor_set_requires_grad(c->leaves[k], k == i), MN_OK);
    }
    mn_tape_reset(t);
    mn_tensor *y = trial_run(t, c->leaves, c->row->n, c);
    backward(t, y, cotangent(t, y), false);
    for (int k = 0; k < c->row->n; k++)
        if (k != i) ck_assert_ptr_null(mn_tensor_grad(c->leaves[k]));
    assert_gradient(c, "alone", i, mn_tensor_grad(c->leaves[i]), expected, 1);
    for (int k = 0; k < c->row->n; k++)
        ck_assert_int_eq(mn_tensor_set_requires_grad(c->leaves[k], true), MN_OK);
}

static void check_versions(const row *r, arrangement a, mn_dtype dtype)
{
    trial c = trial_make(r, a, dtype);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *fast[MOST_INPUTS], *slow[MOST_INPUTS];
    double expected[MOST_INPUTS][MOST_ELEMENTS];
    mn_tensor *y = trial_run(t, c.leaves, r->n, &c);
    ck_assert_msg(y != NULL, "%s: %s", c.name, mn_tape_message(t));
    mn_tensor *v = cotangent(t, y);
    mn_grad_opts recorded = {.cotangents = &v, .create_graph = true};
    mn_grad_opts fused = {.cotangents = &v, .retain_graph = true};
    mn_grad(t, &y, 1, c.leaves, r->n, slow, &recorded);
    mn_grad(t, &y, 1, c.leaves, r->n, fast, &fused);
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s: %s", c.name, mn_tape_message(t));
    for (int i = 0; i < r->n; i++) {
        read_values(slow[i], expected[i]);
        assert_gradient(&c, "fused", i, fast[i], expected[i], 1);
    }
    backward(t, y, v, true);
    for (int i = 0; i < r->n; i++)
        assert_gradient(&c, "backward", i, mn_tensor_grad(c.leaves[i]), expected[i], 1);
    backward(t, y, v, false);
    for (int i = 0; i < r->n; i++)
        assert_gradient(&c, "accumulated", i, mn_tensor_grad(c.leaves[i]), expected[i], 2);
    for (int i = 0; i < r->n && r->n > 1; i++) check_alone(t, &c, i, expected[i]);
    mn_tape_free(t);
    trial_free(&c);
}

START_TEST(fused_gradient_agrees_with_the_one_written_with_ops)
{
    const row *r = &table[_i];
    for (arrangement a = LEAF; a < ARRANGEMENTS; a++) {
        if (!applies(r, a)) continue;
        check_versions(r, a, MN_F64);
        check_versions(r, a, MN_F32);
    }
}
END_TEST

/* ---- nothing is missing ---- */

static bool listed(const char *op)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].op, op) == 0) return true;
    for (size_t i = 0; i < sizeof without_gradient / sizeof *without_gradient; i++)
        if (strcmp(without_gradient[i].op, op) == 0) return true;
    return false;
}

START_TEST(every_op_of_the_header_is_in_the_table)
{
    static const char before[] = "MN_API mn_tensor *mn_";
    FILE *file = fopen(MNI_SOURCE_DIR "/include/minnow/ops.h", "r");
    ck_assert_ptr_nonnull(file);
    char line[256];
    int found = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, before, sizeof before - 1) != 0) continue;
        char *name = line + sizeof before - 1, *end = strchr(name, '(');
        ck_assert_ptr_nonnull(end);
        *end = '\0';
        found++;
        ck_assert_msg(listed(name), "mn_%s has no row in the gradient table", name);
    }
    fclose(file);
    ck_assert_int_gt(found, 60);
}
END_TEST

/* A case of its own, so that one kind of check can be run alone: CK_RUN_CASE. */
static void add_case(Suite *suite, const char *name, const TTest *test, int rows)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test, 0, rows);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("gradients");
    add_case(suite, "table", every_op_of_the_header_is_in_the_table, 1);
    add_case(suite, "first", gradient_agrees_with_finite_differences, ROWS);
    add_case(suite, "second", second_derivative_agrees_with_finite_differences, ROWS);
    add_case(suite, "third", third_derivative_agrees_with_finite_differences, ROWS);
    add_case(suite, "fused", fused_gradient_agrees_with_the_one_written_with_ops, ROWS);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
