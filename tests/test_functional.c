/*
 * tests/test_functional.c: derivatives of whole functions, and modules as functions of their parameters. The expected numbers are those of
 * torch.autograd.functional (PyTorch 2.13, f64) for
 *     f(x, w) = tanh(w x) * exp(x[:2]),    s(x, w) = sum f^2 + w[0, 0] sum x^3
 * at the x, w, v and tangents below.
 */
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

static mn_tape *t;

static void begin(void)
{
    mn_clear_last_error();
    t = mn_tape_new(NULL);
    ck_assert_ptr_nonnull(t);
}

static void end(void)
{
    ck_assert_str_eq(mn_tape_message(t), "");
    mn_tape_free(t);
    ck_assert_int_eq((int)mn_live_allocations(), 0);
}

static void refused(mn_error code, const char *words)
{
    ck_assert_int_eq((int)mn_tape_error(t), (int)code);
    ck_assert_msg(strstr(mn_tape_message(t), words) != NULL, "\"%s\" is not in \"%s\"", words,
                  mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
}

static mn_tensor *make(int ndim, const int64_t *shape, const double *values, bool grad)
{
    mn_tensor *x = mn_from(t, MN_F64, ndim, shape, values);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(x, grad), MN_OK);
    return x;
}

/* x has this shape (-1 ends it) and these values. */
static void is(mn_tensor *x, const int64_t *shape, const double *values)
{
    ck_assert_msg(x != NULL, "%s", mn_tape_message(t));
    int ndim = 0;
    for (; shape[ndim] >= 0; ndim++) ck_assert_int_eq(mn_tensor_size(x, ndim), shape[ndim]);
    ck_assert_int_eq(mn_tensor_ndim(x), ndim);
    mn_tensor *dense = mn_contiguous(t, mn_detach(t, x));
    const double *at = mn_tensor_data(dense);
    for (int64_t i = 0; i < mn_tensor_numel(x); i++)
        ck_assert_msg(fabs(at[i] - values[i]) <= 1e-12 * fmax(1, fabs(values[i])),
                      "element %d is %.17g, not %.17g", (int)i, at[i], values[i]);
}

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__, -1})

enum { X, W };
static const double x_values[] = {0.5, -1, 2}, w_values[] = {0.3, -0.2, 0.7, 1.1, 0.4, -0.6};
static const double tx_values[] = {0.2, -0.1, 0.4}, tw_values[] = {0.1, 0.2, 0.3, -0.3, -0.2, -0.1};
static const double v_values[] = {0.7, -0.4};

static const double value[] = {1.552065874037265, -0.2876104859413966};
static const double vjp_x[] = {1.0629209973136386, 0.06589017763265227, 0.1262714634844693};
static const double vjp_w[] = {0.06567554796076215,  -0.1313510959215243, 0.2627021918430486,
                               -0.02860474694950191, 0.05720949389900382, -0.11441898779800765};
static const double jvp_both[] = {0.4624051572309312, -0.0012739357028373408};
static const double jvp_x[] = {0.37796516699566557, 0.020179624509289094};
static const double jacobian_x[] = {1.6083592008607754, -0.03752888454900695, 0.1313510959215243,
                                    0.1573261082222605, -0.23040099204239278, -0.08581424084850572};
static const double jacobian_w[] = {
    0.09382221137251737, -0.18764442274503473, 0.37528884549006947, 0.0, -0.0, 0.0, 0.0, -0.0, 0.0,
    0.07151186737375477, -0.14302373474750954, 0.2860474694950191};
static const double hessian_xx[] = {11.036090793427341,   -0.39100989112680273, 0.6578537146883853,
                                    -0.39100989112680273, -1.6558388268359125,  0.26345115419866694,
                                    0.6578537146883854,   0.26345115419866694,  3.0655650898985334};
static const double hessian_xw[] = {
    1.7610113957677558,   -0.8570767715515498,  1.7141535431030996,  -0.13052023053901968,
    0.09649995767050082,  -0.19299991534100164, 3.102623082810804,   0.3772268443703729,
    0.4104923312432156,   -0.09981569855295122, 0.11736114540213317, -0.3992627942118049,
    11.640819210162187,   0.7183615796756272,   -0.8542501493592737, 0.026318170273772954,
    -0.05263634054754591, 0.02300242939132255};
static const double sum_value[] = {4.6291282689745055};
static const double hvp_x[] = {3.067548551032604, 0.7480165025724564, 2.3832624297090312};
static const double hvp_w[] = {4.4673657186130376,    0.5400104657715211,    -0.9635263295446461,
                               0.0009843344254436039, -0.026649744362017988, 0.03684543838328212};
static const double third_derivative[] = {
    22.728290834011386,  -0.4331085247237575,  0.8258167100037608,  -0.4331085247237575,
    -0.5704410000395163, 0.32424964561677105,  0.8258167100037606,  0.32424964561677105,
    -0.7584756906426676, -0.43310852472375727, -0.5704410000395161, 0.32424964561677094,
    -0.5704410000395161, 1.9738711639154305,   0.3193745906522877,  0.32424964561677094,
    0.3193745906522877,  -0.20565078299853323, 0.8258167100037606,  0.32424964561677105,
    -0.7584756906426676, 0.324249645616771,    0.3193745906522877,  -0.20565078299853326,
    -0.7584756906426678, -0.20565078299853323, 2.3144697028497583};
static const double of_jacobian_x[] = {5.261319409967588, 0.12924287876893986, 0.13869673562527257};
static const double of_jacobian_w[] = {0.6997998146168996, -0.20648526573998394,
                                       0.4340967891123582, 0.041656093612699896,
                                       -0.059212337683314, -0.03793351256046013};
static const double of_jvp_x[] = {0.2641528705315183, 0.013921466413072976, -0.046769631262052414};
static const double of_jvp_w[] = {-0.0055171319916103925, 0.053588097330400174,
                                  -0.07880697242934742,   0.0005950788967181692,
                                  0.0005415413644362055,  7.138337637595162e-05};
static const double of_hvp_x[] = {24.273727921328497, 0.3002664542301911, 1.2405836978538467};
static const double of_hvp_w[] = {15.382047103368981,  0.6031441388487649,    -1.181304334516576,
                                  0.06222081739549581, -0.024407147471720007, 0.039167189016263745};
static const double third_along[] = {0.9055861557974435, 0.018657861418519685, 0.28866753307501963};
static const double fourth_along[] = {0.347449845188336, -0.007836547848632512,
                                      0.029009161288162062};

static void inputs(mn_tensor **in, bool grad)
{
    in[X] = make(1, (int64_t[]){3}, x_values, grad);
    in[W] = make(2, (int64_t[]){2, 3}, w_values, grad);
}

static void tangents(mn_tensor **v)
{
    v[X] = make(1, (int64_t[]){3}, tx_values, false);
    v[W] = make(2, (int64_t[]){2, 3}, tw_values, false);
}

static mn_tensor *f(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *w = n > 1 ? in[W] : user;
    mn_tensor *product = mn_sum_dim(tape, mn_mul(tape, w, in[X]), (int[]){1}, 1, false);
    return mn_mul(tape, mn_tanh(tape, product), mn_exp(tape, mn_narrow(tape, in[X], 0, 0, 2)));
}

static mn_tensor *s(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *w = n > 1 ? in[W] : user, *y = f(tape, in, n, user);
    mn_tensor *cube = mn_sum(tape, mn_mul(tape, in[X], mn_mul(tape, in[X], in[X])));
    mn_tensor *corner = mn_narrow(tape, mn_narrow(tape, w, 0, 0, 1), 1, 0, 1);
    return mn_add(tape, mn_sum(tape, mn_mul(tape, y, y)), mn_mul(tape, mn_sum(tape, corner), cube));
}

/* ---- against PyTorch ---- */

START_TEST(products_agree_with_pytorch_and_have_no_graph)
{
    begin();
    for (int grad = 0; grad < 2; grad++) { /* of the inputs: it does not matter */
        mn_tensor *in[2], *v[2], *products[2], *y;
        inputs(in, grad);
        tangents(v);
        mn_tensor *cotangent = make(1, (int64_t[]){2}, v_values, false);
        mn_scope scope = mn_scope_begin(t, MN_NO_GRAD); /* nor that nothing is recorded */
        ck_assert_int_eq((int)mn_vjp(t, f, in, 2, NULL, cotangent, &y, products, NULL), MN_OK);
        is(y, SHAPE(2), value);
        is(products[X], SHAPE(3), vjp_x);
        is(products[W], SHAPE(2, 3), vjp_w);
        ck_assert(!mn_tensor_requires_grad(y) && !mn_tensor_requires_grad(products[W]));

        is(mn_jvp(t, f, in, 2, NULL, v, &y, NULL), SHAPE(2), jvp_both);
        is(y, SHAPE(2), value);
        is(mn_jvp(t, f, in, 2, NULL, (mn_tensor *[]){v[X], MN_NONE}, NULL, NULL), SHAPE(2), jvp_x);

        ck_assert_int_eq((int)mn_hvp(t, s, in, 2, NULL, v, &y, products, NULL), MN_OK);
        is(y, SHAPE(-1), sum_value);
        is(products[X], SHAPE(3), hvp_x);
        is(products[W], SHAPE(2, 3), hvp_w);
        ck_assert(!mn_tensor_requires_grad(products[X]));
        mn_scope_end(t, scope, NULL, 0);
        ck_assert(mn_grad_enabled(t));
        ck_assert_ptr_null(mn_tensor_grad(in[X]));
    }
    end();
}
END_TEST

START_TEST(jacobians_and_hessians_agree_with_pytorch)
{
    begin();
    mn_tensor *in[2];
    inputs(in, true);
    is(mn_jacobian(t, f, in, 2, NULL, X, NULL), SHAPE(2, 3), jacobian_x);
    is(mn_jacobian(t, f, in, 2, NULL, W, NULL), SHAPE(2, 2, 3), jacobian_w);
    is(mn_jacobian(t, f, in, 1, in[W], X, NULL), SHAPE(2, 3), jacobian_x);
    mn_tensor *h = mn_hessian(t, s, in, 2, NULL, X, X, NULL);
    is(h, SHAPE(3, 3), hessian_xx);
    ck_assert(!mn_tensor_requires_grad(h));
    is(mn_hessian(t, s, in, 2, NULL, X, W, NULL), SHAPE(3, 2, 3), hessian_xw);
    end();
}
END_TEST

/* ---- with a graph ---- */

static const mn_functional_opts graph = {.create_graph = true};

/* The gradients of sum(y^2) with respect to x and w. */
static void gradients_of_square(mn_tensor *y, mn_tensor **in, const double *gx, const double *gw)
{
    mn_tensor *sum = mn_sum(t, mn_mul(t, y, y)), *g[2];
    ck_assert_int_eq((int)mn_grad(t, &sum, 1, in, 2, g, NULL), MN_OK);
    is(g[X], SHAPE(3), gx);
    is(g[W], SHAPE(2, 3), gw);
}

START_TEST(results_can_be_differentiated_in_turn)
{
    begin();
    mn_tensor *in[2], *v[2], *product, *y;
    inputs(in, true);
    tangents(v);
    /* w is no input of f here, and gets its gradient all the same */
    gradients_of_square(mn_jacobian(t, f, in, 1, in[W], X, &graph), in, of_jacobian_x,
                        of_jacobian_w);
    gradients_of_square(mn_jvp(t, f, in, 1, in[W], v, &y, &graph), in, of_jvp_x, of_jvp_w);
    ck_assert(mn_tensor_requires_grad(y));
    ck_assert_int_eq((int)mn_hvp(t, s, in, 1, in[W], v, NULL, &product, &graph), MN_OK);
    gradients_of_square(product, in, of_hvp_x, of_hvp_w);
    end();
}
END_TEST

static mn_tensor *hessian_function(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    return mn_hessian(tape, s, in, n, user, X, X, &graph);
}

START_TEST(derivatives_of_any_order_by_nesting)
{
    begin();
    mn_tensor *in[2], *v[2];
    inputs(in, true);
    tangents(v);
    is(mn_jacobian(t, hessian_function, in, 1, in[W], X, NULL), SHAPE(3, 3, 3), third_derivative);
    mn_tensor *y = s(t, in, 2, NULL), *g = NULL;
    for (int order = 1; order <= 4; order++) {
        ck_assert_int_eq((int)mn_grad(t, &y, 1, in, 1, &g, &(mn_grad_opts){.create_graph = true}),
                         MN_OK);
        if (order == 3) is(g, SHAPE(3), third_along);
        if (order == 4) is(g, SHAPE(3), fourth_along);
        y = mn_sum(t, mn_mul(t, g, v[X]));
    }
    end();
}
END_TEST

/* ---- functions that do not depend on everything ---- */

/* A gather: x at two positions, a constant, and a mask. */
static mn_tensor *linear(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)user;
    mn_tensor *y = mn_narrow(tape, in[0], 0, 1, 2);
    return n > 2 ? mn_mul(tape, y, mn_to(tape, mn_narrow(tape, in[2], 0, 1, 2), MN_F64)) : y;
}

static mn_tensor *constant(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    return mn_sum(tape, mn_mul_scalar(tape, mn_detach(tape, in[0]), 2));
}

START_TEST(what_a_function_does_not_depend_on_has_derivative_zero)
{
    begin();
    mn_tensor *in[3], *products[3], *one = mn_ones(t, MN_F64, 1, (int64_t[]){2});
    inputs(in, true);
    in[2] = mn_full(t, MN_I64, 1, (int64_t[]){3}, 5);
    const double five[] = {0, 5, 5}, none[18] = {0}, all[] = {0, 5, 0, 0, 0, 5};
    ck_assert_int_eq((int)mn_vjp(t, linear, in, 3, NULL, one, NULL, products, NULL), MN_OK);
    is(products[0], SHAPE(3), five);
    is(products[1], SHAPE(2, 3), none);
    ck_assert_ptr_null(products[2]);
    is(mn_jacobian(t, linear, in, 3, NULL, 0, NULL), SHAPE(2, 3), all);
    is(mn_jacobian(t, linear, in, 3, NULL, 1, NULL), SHAPE(2, 2, 3), none);
    mn_tensor *v[] = {in[0], MN_NONE, MN_NONE}; /* the constant's and the mask's */
    is(mn_jvp(t, linear, in, 3, NULL, v, NULL, NULL), SHAPE(2), (const double[]){-5, 10});
    is(mn_jacobian(t, constant, in, 1, NULL, 0, NULL), SHAPE(3), none);
    is(mn_jvp(t, constant, in, 1, NULL, v, NULL, NULL), SHAPE(-1), none);
    is(mn_hessian(t, constant, in, 1, NULL, 0, 0, NULL), SHAPE(3, 3), none);
    for (int create = 0; create < 2; create++) {
        mn_functional_opts o = {.create_graph = create};
        ck_assert_int_eq((int)mn_vjp(t, constant, in, 1, NULL, MN_NONE, NULL, products, &o), MN_OK);
        is(products[0], SHAPE(3), none);
        ck_assert_int_eq((int)mn_hvp(t, constant, in, 1, NULL, v, NULL, products, &o), MN_OK);
        is(products[0], SHAPE(3), none);
    }
    mn_tensor *empty = mn_zeros(t, MN_F64, 1, (int64_t[]){0});
    mn_tensor *j = mn_jacobian(t, hessian_function, (mn_tensor *[]){in[X]}, 1, in[W], X, NULL);
    ck_assert_int_eq(mn_tensor_ndim(j), 3);
    j = mn_jacobian(t, linear, (mn_tensor *[]){mn_cat(t, (mn_tensor *[]){empty, in[0]}, 2, 0)}, 1,
                    NULL, 0, NULL);
    is(j, SHAPE(2, 3), (const double[]){0, 1, 0, 0, 0, 1});
    end();
}
END_TEST

START_TEST(nothing_is_held_but_the_results)
{
    begin();
    mn_tensor *in[2], *kept = NULL;
    inputs(in, false);
    size_t before = mn_tape_stats(t).live_bytes;
    kept = mn_jacobian(t, f, in, 2, NULL, W, NULL);
    ck_assert_uint_eq(mn_tape_stats(t).live_bytes, before + 96); /* 12 elements */
    kept = mn_hessian(t, s, in, 2, NULL, X, X, NULL);
    ck_assert_uint_le(mn_tape_stats(t).live_bytes, before + 96 + 80);
    ck_assert_ptr_nonnull(kept);
    end();
}
END_TEST

/* ---- what is refused ---- */

static mn_tensor *returns(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)tape, (void)in, (void)n;
    return user;
}

static mn_tensor *deep(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    return mn_reshape(tape, in[0], 8, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 3});
}

static mn_tensor *overwrites(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    return mn_relu_(tape, in[0]);
}

START_TEST(mistakes_are_named)
{
    begin();
    mn_tensor *in[3], *v[2], *out[3], *y;
    inputs(in, true);
    tangents(v);
    in[2] = mn_full(t, MN_I64, 0, NULL, 1);
    mn_vjp(t, f, in, 2, NULL, v[X], &y, out, NULL);
    refused(MN_ERR_SHAPE, "mn_vjp: v[0] is f64 [3], the function's result f64 [2]");
    mn_vjp(t, f, in, 2, NULL, MN_NONE, &y, out, NULL);
    refused(MN_ERR_SHAPE, "mn_vjp: the function's result must be one element, not [2]");
    ck_assert(!y && !out[0] && !out[1]);
    mn_vjp(t, f, in, 2, NULL, NULL, &y, out, NULL);
    refused(MN_ERR_ARGUMENT, "mn_vjp: v is NULL");
    mn_vjp(t, f, in, 2, NULL, v[X], &y, NULL, NULL);
    refused(MN_ERR_ARGUMENT, "the list for the products is NULL");
    mn_vjp(t, NULL, in, 2, NULL, v[X], &y, out, NULL);
    refused(MN_ERR_ARGUMENT, "the function is NULL");
    ck_assert_ptr_null(mn_jvp(t, f, in, 2, NULL, (mn_tensor *[]){v[X], v[X]}, &y, NULL));
    refused(MN_ERR_SHAPE, "mn_jvp: v[1] is f64 [3], the input f64 [2, 3]");
    ck_assert_ptr_null(mn_jvp(t, f, in, 2, NULL, NULL, &y, NULL));
    refused(MN_ERR_ARGUMENT, "the list of vectors is NULL");
    mn_hvp(t, f, in, 2, NULL, v, &y, out, NULL);
    refused(MN_ERR_SHAPE, "mn_hvp: the function's result must be one element, not [2]");
    ck_assert_ptr_null(mn_hessian(t, f, in, 2, NULL, 0, 0, NULL));
    refused(MN_ERR_SHAPE, "mn_hessian: the function's result must be one element, not [2]");
    ck_assert_ptr_null(mn_jacobian(t, f, in, 2, NULL, 2, NULL));
    refused(MN_ERR_ARGUMENT, "mn_jacobian: there is no input 2 among 2");
    ck_assert_ptr_null(mn_hessian(t, s, in, 2, NULL, -1, 0, NULL));
    refused(MN_ERR_ARGUMENT, "there is no input -1 among 2");
    ck_assert_ptr_null(mn_jacobian(t, linear, in, 3, NULL, 2, NULL));
    refused(MN_ERR_DTYPE, "input 2 is not a tensor of f32 or f64");
    ck_assert_ptr_null(mn_jacobian(t, deep, in, 1, NULL, 0, NULL));
    refused(MN_ERR_SHAPE, "8 and 1 dimensions make 9, 8 are possible");
    ck_assert_ptr_null(mn_jacobian(t, returns, in, 1, NULL, 0, NULL));
    refused(MN_ERR_ARGUMENT, "the function's result is NULL");
    ck_assert_ptr_null(mn_jacobian(t, returns, in, 1, in[2], 0, NULL));
    refused(MN_ERR_DTYPE, "the function's result is not a tensor of f32 or f64");
    ck_assert_ptr_null(mn_jacobian(t, overwrites, in, 1, NULL, 0, NULL));
    refused(MN_ERR_STATE, "relu_: a leaf that requires grad");
    is(in[0], SHAPE(3), x_values);
    in[0] = NULL;
    ck_assert_ptr_null(mn_jacobian(t, f, in, 2, NULL, 0, NULL));
    refused(MN_ERR_ARGUMENT, "mn_jacobian: input 0 is NULL");
    ck_assert_int_ne((int)mn_vjp(NULL, f, in, 2, NULL, v[X], &y, out, NULL), MN_OK);
    ck_assert_int_ne((int)mn_hvp(NULL, f, in, 2, NULL, v, &y, out, NULL), MN_OK);
    ck_assert_ptr_null(mn_jvp(NULL, f, in, 2, NULL, v, &y, NULL));
    ck_assert_ptr_null(mn_jacobian(NULL, f, in, 2, NULL, 0, NULL));
    ck_assert_ptr_null(mn_hessian(NULL, f, in, 2, NULL, 0, 0, NULL));
    end();
}
END_TEST

static bool derive(int which)
{
    mn_tensor *in[2], *v[2], *out[2];
    int64_t three[] = {3}, both[] = {2, 3};
    in[X] = mn_from(t, MN_F64, 1, three, x_values);
    in[W] = mn_from(t, MN_F64, 2, both, w_values);
    v[X] = mn_from(t, MN_F64, 1, three, tx_values);
    v[W] = mn_from(t, MN_F64, 2, both, tw_values);
    if (which == 0) return mn_vjp(t, s, in, 2, NULL, MN_NONE, NULL, out, NULL) == MN_OK;
    if (which == 1) return mn_jvp(t, f, in, 2, NULL, v, NULL, NULL) != NULL;
    if (which == 2) return mn_hvp(t, s, in, 2, NULL, v, NULL, out, NULL) == MN_OK;
    if (which == 3) return mn_jacobian(t, f, in, 2, NULL, W, NULL) != NULL;
    return mn_hessian(t, s, in, 2, NULL, X, W, NULL) != NULL;
}

START_TEST(malloc_may_fail_anywhere)
{
    int64_t left = 0;
    mn_allocator allocator = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&allocator), MN_OK);
    for (int which = 0; which < 5; which++) {
        bool done = false;
        for (int64_t limit = 0; !done && limit < 300; limit++) {
            left = limit;
            mn_clear_last_error();
            t = mn_tape_new(NULL);
            done = derive(which);
            if (!done) ck_assert_int_eq((int)mn_tape_error(t), MN_ERR_MEMORY);
            mn_tape_free(t);
            ck_assert_int_eq((int)mn_live_allocations(), 0);
        }
        ck_assert(done);
    }
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}
END_TEST

/* ---- modules as functions of their parameters ---- */

static mn_module *new_net(void)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(2, 2, NULL), mn_nn_tanh(),
                                      mn_nn_linear(2, 2, &(mn_nn_linear_opts){.no_bias = true}));
    mn_module_to(net, MN_F64);
    ck_assert_int_eq((int)mn_module_init(net, 3), MN_OK);
    return net;
}

/* One in, one out. */
static mn_tensor *call_with(mn_module *m, mn_tape *tape, const mn_named_tensor *r, int n,
                            mn_tensor *x)
{
    mn_tensor *y = x;
    mn_error e = mn_module_functional_call(m, tape, r, n, &x, 1, &y, 1);
    ck_assert_int_eq(e == MN_OK, y != NULL);
    return y;
}

START_TEST(a_functional_call_uses_the_replacements_and_puts_the_own_tensors_back)
{
    begin();
    mn_module *net = new_net();
    mn_named_tensor own[3], after[3];
    ck_assert_int_eq(mn_module_parameters(net, own, 3), 3);
    mn_tensor *x = mn_full(t, MN_F64, 2, (int64_t[]){4, 2}, 0.5), *g;
    mn_tensor *before = mn_contiguous(t, mn_detach(t, mn_module_forward(net, t, x)));

    /* 2 w2, computed on the tape: twice the result, and the gradient flows to w2. */
    mn_tensor *w2 = own[2].tensor, *twice = mn_mul_scalar(t, w2, 2);
    mn_tensor *y = call_with(net, t, &(mn_named_tensor){"2.weight", twice}, 1, x);
    is(y, SHAPE(4, 2), mn_tensor_data(mn_mul_scalar(t, before, 2)));
    y = mn_sum(t, y);
    ck_assert_int_eq((int)mn_grad(t, &y, 1, &w2, 1, &g, NULL), MN_OK);
    mn_module_parameters(net, after, 3);
    for (int i = 0; i < 3; i++) ck_assert_ptr_eq(after[i].tensor, own[i].tensor);

    /* With every parameter, with the tensors of other slots, and with none. */
    mn_named_tensor all[] = {{"2.weight", own[0].tensor},
                             {"0.weight", own[2].tensor},
                             {"0.bias", mn_zeros(t, MN_F64, 1, (int64_t[]){2})}};
    mn_tensor *h = mn_tanh(t, mn_matmul(t, x, mn_transpose(t, own[2].tensor, 0, 1)));
    h = mn_matmul(t, h, mn_transpose(t, own[0].tensor, 0, 1));
    is(call_with(net, t, all, 3, x), SHAPE(4, 2), mn_tensor_data(h));
    is(call_with(net, t, NULL, 0, x), SHAPE(4, 2), mn_tensor_data(before));

    /* Also after a failure inside, which names its module. */
    ck_assert_ptr_null(call_with(net, t, all, 3, mn_zeros(t, MN_F64, 2, (int64_t[]){4, 3})));
    refused(MN_ERR_SHAPE, "net.0 (linear)");
    mn_module_parameters(net, after, 3);
    for (int i = 0; i < 3; i++) ck_assert_ptr_eq(after[i].tensor, own[i].tensor);
    mn_module_free(net);
    end();
}
END_TEST

START_TEST(a_tied_parameter_is_replaced_wherever_it_stands)
{
    begin();
    mn_module *net = new_net(), *shared = mn_nn_sequential(mn_module_retain(net), net);
    mn_tensor *tied = mn_module_get(net, "0.weight");
    mn_module_set(net, "2.weight", tied);
    mn_tensor *x = mn_full(t, MN_F64, 2, (int64_t[]){1, 2}, 0.5);
    mn_tensor *zero = mn_zeros_like(t, tied), *one = mn_ones_like(t, tied);
    mn_named_tensor names[] = {{"1.2.weight", zero}, {"0.0.weight", zero}};
    for (int n = 1; n <= 2; n++)
        is(call_with(shared, t, names, n, x), SHAPE(1, 2), (double[]){0, 0});
    ck_assert_ptr_eq(mn_module_get(shared, "1.2.weight"), tied);
    names[1].tensor = one;
    ck_assert_ptr_null(call_with(shared, t, names, 2, x));
    refused(MN_ERR_ARGUMENT, "\"1.2.weight\" and \"0.0.weight\" are the same parameter");
    mn_module_free(shared);
    end();
}
END_TEST

START_TEST(a_functional_call_that_cannot_be_changes_nothing)
{
    begin();
    mn_module *net = new_net();
    mn_tensor *x = mn_full(t, MN_F64, 2, (int64_t[]){1, 2}, 0.5),
              *w = mn_module_get(net, "0.weight");
    mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *freed = mn_clone(t, w);
    mn_scope_end(t, scope, NULL, 0);
    mn_tensor *good = mn_zeros_like(t, w);
    const struct {
        mn_named_tensor second;
        mn_error error;
        const char *words;
    } bad[] = {
        {{"3.weight", good}, MN_ERR_ARGUMENT, "no parameter or buffer is named \"3.weight\""},
        {{"2.bias", good}, MN_ERR_ARGUMENT, "no parameter or buffer is named \"2.bias\""},
        {{"0.bias", good}, MN_ERR_SHAPE, "\"0.bias\" is f64 [2], the tensor f64 [2, 2]"},
        {{"2.weight", mn_to(t, w, MN_F32)}, MN_ERR_DTYPE, "is f64 [2, 2], the tensor f32 [2, 2]"},
        {{"2.weight", MN_NONE}, MN_ERR_ARGUMENT, "the tensor for \"2.weight\" is MN_NONE"},
        {{"2.weight", freed}, MN_ERR_STATE, "the tensor for \"2.weight\" was freed"},
        {{"2.weight", NULL}, MN_ERR_ARGUMENT, "a name or a tensor is NULL"},
        {{NULL, good}, MN_ERR_ARGUMENT, "a name or a tensor is NULL"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mn_named_tensor both[] = {{"0.weight", good}, bad[i].second};
        ck_assert_ptr_null(call_with(net, t, both, 2, x));
        refused(bad[i].error, bad[i].words);
        ck_assert_ptr_eq(mn_module_get(net, "0.weight"), w);
    }
    ck_assert_ptr_null(call_with(net, t, NULL, 1, x));
    refused(MN_ERR_ARGUMENT, "the list of replacements is NULL");
    ck_assert_ptr_null(call_with(NULL, t, NULL, 0, x));
    refused(MN_ERR_ARGUMENT, "the module is NULL");
    ck_assert_ptr_null(call_with(net, t, NULL, 0, NULL));
    refused(MN_ERR_ARGUMENT, "an input is NULL");
    ck_assert_ptr_null(call_with(net, NULL, NULL, 0, x));
    mn_module_free(net);
    end();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {products_agree_with_pytorch_and_have_no_graph,
                            jacobians_and_hessians_agree_with_pytorch,
                            results_can_be_differentiated_in_turn,
                            derivatives_of_any_order_by_nesting,
                            what_a_function_does_not_depend_on_has_derivative_zero,
                            nothing_is_held_but_the_results,
                            mistakes_are_named,
                            malloc_may_fail_anywhere,
                            a_functional_call_uses_the_replacements_and_puts_the_own_tensors_back,
                            a_tied_parameter_is_replaced_wherever_it_stands,
                            a_functional_call_that_cannot_be_changes_nothing};
    return run_suite("functional", tests, sizeof tests / sizeof *tests);
}
