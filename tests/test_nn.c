/*
 * Modules: the protocol (names, modes, ownership, errors), first values and generators, the layers.
 */
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

#define SHAPE(...)                                                                                 \
    (int64_t[])                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* ---- every test runs under an allocator of its own, which must end with nothing alive ---- */

static int64_t left; /* allocations until they fail */

static void begin(void)
{
    mn_clear_last_error();
    left = INT64_MAX;
    mn_allocator a = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&a), MN_OK);
}

static void end(void)
{
    ck_assert_int_eq(mn_live_allocations(), 0);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}

static void check_last(mn_error code, const char *text)
{
    ck_assert_msg(mn_last_error() == code && strstr(mn_last_message(), text),
                  "expected \"%s\", got %s: \"%s\"", text, mn_error_name(mn_last_error()),
                  mn_last_message());
    mn_clear_last_error();
}

static void check_tape(mn_tape *t, mn_error code, const char *text)
{
    ck_assert_msg(mn_tape_error(t) == code && strstr(mn_tape_message(t), text),
                  "expected \"%s\", got %s: \"%s\"", text, mn_error_name(mn_tape_error(t)),
                  mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
}

static void check_format(mn_module *m, const char *expected)
{
    char text[1024];
    size_t n = mn_module_format(m, text, sizeof text);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(n, strlen(expected));
}

static const double *data64(const mn_tensor *x)
{
    ck_assert_int_eq(mn_tensor_dtype(x), MN_F64);
    return mn_tensor_data(x);
}

static const float *data32(const mn_tensor *x)
{
    ck_assert_int_eq(mn_tensor_dtype(x), MN_F32);
    return mn_tensor_data(x);
}

/* ---- a module of the user's: y = x + inner(x), counting its training calls in a buffer ---- */

typedef struct residual {
    mn_module base;
    mn_module *inner;
    mn_tensor *calls;
    mn_rng rng[2];
    bool seeded[2];
    int misbehave; /* 1: error code alone, 2: mn_fail and code, 3: output left NULL */
} residual;

static mn_error residual_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    residual *r = (residual *)m;
    (void)n_in, (void)n_out;
    if (r->misbehave) out[0] = r->misbehave == 3 ? NULL : in[0];
    if (r->misbehave == 1) return MN_ERR_SHAPE;
    if (r->misbehave == 2) return mn_fail(MN_ERR_IO, "the sensor is unplugged");
    if (r->misbehave == 3) return MN_OK;
    if (m->training) mn_tensor_fill(r->calls, mn_tensor_item(r->calls) + 1);
    out[0] = mn_add(t, in[0], mn_module_forward(r->inner, t, in[0]));
    return mn_tape_error(t);
}

static void residual_visit(mn_module *m, mn_visitor *v)
{
    residual *r = (residual *)m;
    mn_visit_rng(v, &r->rng[0], &r->seeded[0]);
    mn_visit_child(v, "inner", &r->inner);
    mn_visit_buffer(v, "calls", &r->calls, mn_init_constant(0));
    mn_visit_rng(v, &r->rng[1], &r->seeded[1]);
}

static int residual_describe(const mn_module *m, char *buffer, size_t size)
{
    return snprintf(buffer, size, "misbehave=%d", ((const residual *)m)->misbehave);
}

static const mn_module_class residual_class = {.name = "Residual",
                                               .size = sizeof(residual),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = residual_forward,
                                               .visit = residual_visit,
                                               .describe = residual_describe};

static mn_module *residual_new(mn_module *inner)
{
    residual *r = (residual *)mn_module_new(&residual_class);
    if (!r) {
        mn_module_free(inner);
        return NULL;
    }
    r->inner = inner;
    r->calls = mn_tensor_zeros(MN_F32, 0, NULL);
    return mn_module_finish(&r->base);
}

static mn_module *mlp(void)
{
    return mn_nn_sequential(mn_nn_flatten(), mn_nn_linear(4, 3, NULL), mn_nn_rrelu(0.1, 0.3, NULL),
                            mn_nn_linear(3, 2, NULL));
}

/* ---- names, lists, printing ---- */

START_TEST(names_and_order_are_those_of_pytorchs_state_dict)
{
    mn_module *net = mn_nn_sequential(
        mlp(), residual_new(mn_nn_sequential(mn_nn_linear(2, 2, &(mn_nn_linear_opts){true}))),
        mn_nn_prelu(2, 0.25));
    static const char *const expected[] = {"0.1.weight", "0.1.bias",         "0.3.weight",
                                           "0.3.bias",   "1.inner.0.weight", "2.weight"};
    mn_named_tensor list[8];
    ck_assert_int_eq(mn_module_parameters(net, NULL, 0), 6);
    ck_assert_int_eq(mn_module_parameters(net, list, 8), 6);
    for (int i = 0; i < 6; i++) {
        ck_assert_str_eq(list[i].name, expected[i]);
        ck_assert_ptr_eq(list[i].tensor, mn_module_get(net, expected[i]));
        ck_assert(mn_tensor_requires_grad(list[i].tensor));
    }
    mn_named_tensor again[8], buffers[2];
    ck_assert_int_eq(mn_module_buffers(net, buffers, 2), 1);
    ck_assert_str_eq(buffers[0].name, "1.calls");
    ck_assert_ptr_eq(buffers[0].tensor, mn_module_get(net, "1.calls"));
    ck_assert_int_eq(mn_module_parameters(net, again, 8), 6);
    for (int i = 0; i < 6; i++) ck_assert_ptr_eq(list[i].name, again[i].name);
    again[2].name = NULL;
    ck_assert_int_eq(mn_module_parameters(net, again, 2), 6);
    ck_assert_ptr_null(again[2].name);
    mn_module_free(net);
}
END_TEST

START_TEST(a_tree_prints_as_pytorch_prints_it)
{
    mn_module *net = mn_nn_sequential(
        mn_nn_flatten(), mn_nn_linear(784, 128, NULL), mn_nn_rrelu(1.0 / 8, 1.0 / 3, NULL),
        mn_nn_sequential(mn_nn_leaky_relu(0.01, NULL), mn_nn_prelu(1, 0.25), mn_nn_dropout(0.5),
                         mn_nn_relu(&(mn_nn_activation_opts){.inplace = true}), mn_nn_tanh(),
                         mn_nn_sigmoid(), mn_nn_linear(2, 3, &(mn_nn_linear_opts){true})),
        mn_nn_rrelu(0.1, 0.3, &(mn_nn_rrelu_opts){.inplace = true}),
        mn_nn_leaky_relu(0.2, &(mn_nn_activation_opts){.inplace = true}), mn_nn_dropout(1e-5),
        mn_nn_rrelu(0, 100, NULL), mn_nn_sequential_n(NULL, 0), mn_nn_relu(NULL));
    check_format(net, "Sequential(\n"
                      "  (0): Flatten(start_dim=1, end_dim=-1)\n"
                      "  (1): Linear(in_features=784, out_features=128, bias=True)\n"
                      "  (2): RReLU(lower=0.125, upper=0.3333333333333333)\n"
                      "  (3): Sequential(\n"
                      "    (0): LeakyReLU(negative_slope=0.01)\n"
                      "    (1): PReLU(num_parameters=1)\n"
                      "    (2): Dropout(p=0.5, inplace=False)\n"
                      "    (3): ReLU(inplace=True)\n"
                      "    (4): Tanh()\n"
                      "    (5): Sigmoid()\n"
                      "    (6): Linear(in_features=2, out_features=3, bias=False)\n"
                      "  )\n"
                      "  (4): RReLU(lower=0.1, upper=0.3, inplace=True)\n"
                      "  (5): LeakyReLU(negative_slope=0.2, inplace=True)\n"
                      "  (6): Dropout(p=1e-05, inplace=False)\n"
                      "  (7): RReLU(lower=0.0, upper=100.0)\n"
                      "  (8): Sequential()\n"
                      "  (9): ReLU()\n"
                      ")");
    mn_module_free(net);
    mn_module *r = residual_new(mn_nn_linear(1, 1, NULL));
    check_format(r, "Residual(\n  misbehave=0\n"
                    "  (inner): Linear(in_features=1, out_features=1, bias=True)\n)");
    char small[12];
    memset(small, 'x', sizeof small);
    ck_assert_uint_eq(mn_module_format(r, small, 10), 85);
    ck_assert_str_eq(small, "Residual(");
    ck_assert_int_eq(small[10], 'x');
    ck_assert_uint_eq(mn_module_format(r, NULL, 0), 85);
    mn_module_free(r);
    r = mn_nn_rrelu(3, 8,
                    &(mn_nn_rrelu_opts){.divisor = true, .per_channel = true, .recompute = true});
    check_format(r, "RReLU(lower=3.0, upper=8.0, divisor=True, per_channel=True, recompute=True)");
    mn_module_free(r);
    check_format(NULL, "NULL");
}
END_TEST

START_TEST(numbers_print_as_pythons_repr)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0.1, "0.1"},
                {1, "1.0"},
                {100, "100.0"},
                {-2.5, "-2.5"},
                {1e15, "1000000000000000.0"},
                {1e16, "1e+16"},
                {1.5e-7, "1.5e-07"},
                {0.0001, "0.0001"},
                {0.00001234, "1.234e-05"},
                {1.0 / 3, "0.3333333333333333"},
                {2.0 / 3, "0.6666666666666666"},
                {123456.789, "123456.789"},
                {-0.0, "-0.0"},
                {5e-324, "5e-324"},
                {1.7976931348623157e308, "1.7976931348623157e+308"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128], expected[128];
        mn_module *m = mn_nn_leaky_relu(rows[i].value, NULL);
        snprintf(expected, sizeof expected, "LeakyReLU(negative_slope=%s)", rows[i].text);
        mn_module_format(m, text, sizeof text);
        ck_assert_str_eq(text, expected);
        mn_module_free(m);
    }
}
END_TEST

START_TEST(get_and_set_refuse_what_is_not_there_or_does_not_fit)
{
    mn_module *net = residual_new(mn_nn_linear(3, 2, NULL));
    mn_tape *t = mn_tape_new(NULL);
    static const char *const absent[] = {"",
                                         "weight",
                                         "inner",
                                         "inner.",
                                         "inne.weight",
                                         "inner.weights",
                                         "inner.weigh",
                                         "inner.weight.",
                                         ".inner.weight",
                                         "inner/weight"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        ck_assert_ptr_null(mn_module_get(net, absent[i]));
        check_last(MN_ERR_ARGUMENT, "no parameter or buffer is named");
    }
    ck_assert_ptr_null(mn_module_get(net, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_module_get: the name is NULL");
    mn_tensor *wrong = mn_tensor_zeros(MN_F32, 2, SHAPE(3, 2));
    mn_tensor *wide = mn_tensor_zeros(MN_F64, 2, SHAPE(2, 3));
    mn_tensor *fits = mn_tensor_zeros(MN_F32, 2, SHAPE(2, 3));
    mn_tensor *scalar = mn_tensor_zeros(MN_F32, 0, NULL);
    ck_assert_int_eq(mn_module_set(net, "inner.weight", wrong), MN_ERR_SHAPE);
    check_last(MN_ERR_SHAPE, "\"inner.weight\" is f32 [2, 3], the tensor f32 [3, 2]");
    ck_assert_int_eq(mn_module_set(net, "inner.weight", wide), MN_ERR_DTYPE);
    check_last(MN_ERR_DTYPE, "\"inner.weight\" is f32 [2, 3], the tensor f64 [2, 3]");
    ck_assert_int_eq(mn_module_set(net, "weight", fits), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_module_set: no parameter or buffer is named \"weight\"");
    ck_assert_int_eq(mn_module_set(net, "calls", scalar), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "\"calls\" is a buffer");
    ck_assert_int_eq(mn_module_set(net, "inner.weight", MN_NONE), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "not MN_NONE");
    ck_assert_int_eq(mn_module_set(net, "inner.weight", mn_zeros(t, MN_F32, 2, SHAPE(2, 3))),
                     MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "a result of a tape");
    ck_assert_int_eq(mn_module_set(net, "inner.weight", NULL), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_module_set: the tensor is NULL");
    ck_assert_int_eq(mn_module_set(net, "inner.weight", fits), MN_OK);
    ck_assert_ptr_eq(mn_module_get(net, "inner.weight"), fits);
    mn_release(fits); /* the module has a reference of its own */
    ck_assert_int_eq(mn_module_set(net, "inner.weight", fits), MN_OK);
    ck_assert_int_eq(mn_tensor_size(mn_module_get(net, "inner.weight"), 1), 3);
    mn_release(wrong);
    mn_release(wide);
    mn_release(scalar);
    mn_tape_free(t);
    mn_module_free(net);
}
END_TEST

START_TEST(null_modules_are_refused_or_passed_over)
{
    mn_named_tensor e;
    ck_assert_int_eq(mn_module_parameters(NULL, &e, 1), -1);
    check_last(MN_ERR_ARGUMENT, "mn_module_parameters: the module is NULL");
    ck_assert_int_eq(mn_module_buffers(NULL, &e, 1), -1);
    check_last(MN_ERR_ARGUMENT, "mn_module_buffers: the module is NULL");
    ck_assert_int_eq(mn_module_numel(NULL), -1);
    check_last(MN_ERR_ARGUMENT, "mn_module_numel: the module is NULL");
    ck_assert_int_eq(mn_module_numel_trainable(NULL), -1);
    check_last(MN_ERR_ARGUMENT, "mn_module_numel_trainable: the module is NULL");
    ck_assert_ptr_null(mn_module_get(NULL, "x"));
    check_last(MN_ERR_ARGUMENT, "mn_module_get: the module is NULL");
    ck_assert_int_eq(mn_module_init(NULL, 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_module_init: the module is NULL");
    ck_assert_int_eq(mn_module_seed(NULL, 1, 0), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_module_seed: the module is NULL");
    ck_assert_int_eq(mn_module_to(NULL, MN_F64), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_module_to: the module is NULL");
    ck_assert_int_eq(mn_module_set_requires_grad(NULL, true), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_module_set_requires_grad: the module is NULL");
    mn_module_train(NULL);
    mn_module_eval(NULL);
    mn_module_zero_grad(NULL);
    mn_module_free(NULL);
    ck_assert_ptr_null(mn_module_retain(NULL));
    ck_assert(!mn_module_training(NULL));
    ck_assert_int_eq(mn_last_error(), MN_OK);
    ck_assert_ptr_null(mn_nn_linear(0, 3, NULL)); /* passing a NULL on keeps the first reason */
    ck_assert_int_eq(mn_module_init(NULL, 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "linear: 0 in_features");
}
END_TEST

/* ---- ownership ---- */

START_TEST(train_and_eval_reach_the_whole_tree)
{
    mn_module *leaf = mn_module_retain(mn_nn_dropout(0.5));
    mn_module *inner = mn_module_retain(residual_new(leaf));
    mn_module *net = mn_nn_sequential(mn_nn_flatten(), mn_nn_sequential(inner));
    ck_assert(mn_module_training(net) && mn_module_training(inner) && mn_module_training(leaf));
    mn_module_eval(net);
    ck_assert(!mn_module_training(net) && !mn_module_training(inner) && !mn_module_training(leaf));
    mn_module_train(inner);
    ck_assert(!mn_module_training(net) && mn_module_training(inner) && mn_module_training(leaf));
    mn_module_train(net);
    ck_assert(mn_module_training(net));
    mn_module_free(net);
    ck_assert_int_gt(mn_live_allocations(), 0);
    mn_module_free(leaf);
    mn_module_free(inner);
}
END_TEST

START_TEST(a_container_frees_its_children_when_one_of_them_failed)
{
    mn_module *kept = mn_nn_linear(2, 2, NULL);
    ck_assert_ptr_null(mn_nn_sequential(mn_nn_linear(4, 4, NULL), mn_nn_rrelu(0.5, 0.1, NULL),
                                        mn_module_retain(kept), mn_nn_prelu(3, 0.25)));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower 0.5 is larger than upper 0.1");
    mn_module *nested =
        mn_nn_sequential(mn_nn_tanh(), mn_nn_sequential(mn_nn_relu(NULL), mn_nn_dropout(2)));
    ck_assert_ptr_null(nested);
    check_last(MN_ERR_ARGUMENT, "dropout: p 2 is not between 0 and 1");
    ck_assert_ptr_null(residual_new(mn_nn_dropout(-1)));
    check_last(MN_ERR_ARGUMENT, "dropout: p -1 is not between 0 and 1");
    ck_assert_ptr_null(residual_new(NULL));
    check_last(MN_ERR_ARGUMENT, "Residual: \"inner\" is NULL");
    ck_assert_ptr_null(mn_nn_sequential_n((mn_module *[]){NULL}, 1));
    check_last(MN_ERR_ARGUMENT, "Sequential: \"0\" is NULL");
    ck_assert_int_eq(mn_module_numel(kept), 6);
    mn_module_free(kept);
}
END_TEST

START_TEST(a_module_retained_into_two_containers_outlives_the_first)
{
    mn_module *shared = mn_nn_linear(2, 2, NULL);
    mn_module *a = mn_nn_sequential(mn_module_retain(shared), mn_nn_tanh());
    mn_module *b = mn_nn_sequential(mn_nn_tanh(), shared);
    mn_module_free(a);
    ck_assert_int_eq(mn_module_init(b, 3), MN_OK);
    ck_assert_int_eq(mn_module_numel(b), 6);
    mn_module_free(b);
}
END_TEST

START_TEST(a_tied_parameter_is_listed_counted_and_drawn_once)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(3, 3, NULL), mn_nn_tanh(),
                                      mn_nn_linear(3, 3, NULL), mn_nn_linear(3, 3, NULL));
    mn_module *twin = mn_nn_sequential(mn_nn_linear(3, 3, NULL));
    ck_assert_int_eq(mn_module_numel(net), 36);
    mn_named_tensor list[6];
    ck_assert_int_eq(mn_module_parameters(net, list, 6), 6);
    ck_assert_int_eq(mn_module_set(net, "2.weight", mn_module_get(net, "0.weight")), MN_OK);
    ck_assert_ptr_eq(mn_module_get(net, "2.weight"), mn_module_get(net, "0.weight"));
    ck_assert_int_eq(mn_module_numel(net), 27);
    static const char *const expected[] = {"0.weight", "0.bias", "2.bias", "3.weight", "3.bias"};
    ck_assert_int_eq(mn_module_parameters(net, list, 6), 5);
    for (int i = 0; i < 5; i++) ck_assert_str_eq(list[i].name, expected[i]);
    ck_assert_int_eq(mn_module_init(net, 7), MN_OK);
    ck_assert_int_eq(mn_module_init(twin, 7), MN_OK);
    ck_assert_mem_eq(mn_tensor_data(mn_module_get(net, "2.weight")),
                     mn_tensor_data(mn_module_get(twin, "0.weight")), 9 * sizeof(float));
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_OK); /* stays tied */
    ck_assert_ptr_eq(mn_module_get(net, "2.weight"), mn_module_get(net, "0.weight"));
    ck_assert_int_eq(mn_module_numel(net), 27);
    mn_module_free(twin);
    mn_module_free(net);
}
END_TEST

/* ---- arguments ---- */

START_TEST(constructors_refuse_senseless_arguments_with_the_values)
{
    ck_assert_ptr_null(mn_nn_linear(0, 3, NULL));
    check_last(MN_ERR_ARGUMENT, "linear: 0 in_features and 3 out_features; at least 1 each");
    ck_assert_ptr_null(mn_nn_linear(3, -2, NULL));
    check_last(MN_ERR_ARGUMENT, "linear: 3 in_features and -2 out_features");
    ck_assert_ptr_null(mn_nn_linear(INT64_MAX / 2, 4, NULL));
    check_last(MN_ERR_ARGUMENT, "too many elements");
    ck_assert_ptr_null(mn_nn_prelu(0, 0.25));
    check_last(MN_ERR_ARGUMENT, "prelu: 0 parameters; at least 1");
    ck_assert_ptr_null(mn_nn_prelu(1, NAN));
    check_last(MN_ERR_ARGUMENT, "prelu: init nan is not a finite number");
    ck_assert_ptr_null(mn_nn_leaky_relu(NAN, NULL));
    check_last(MN_ERR_ARGUMENT, "leaky_relu: negative_slope nan is not a finite number");
    ck_assert_ptr_null(mn_nn_dropout(1.5));
    check_last(MN_ERR_ARGUMENT, "dropout: p 1.5 is not between 0 and 1");
    ck_assert_ptr_null(mn_nn_dropout(NAN));
    check_last(MN_ERR_ARGUMENT, "dropout: p nan is not between 0 and 1");
    ck_assert_ptr_null(mn_nn_rrelu(0.5, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower 0.5 is larger than upper 0.1");
    ck_assert_ptr_null(mn_nn_rrelu(NAN, 0.1, NULL));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower nan and upper 0.1 must be finite numbers");
    ck_assert_ptr_null(mn_nn_rrelu(0.25, NAN, NULL));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower 0.25 and upper nan must be finite numbers");
    ck_assert_ptr_null(mn_nn_rrelu(0.125, INFINITY, NULL));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower 0.125 and upper inf must be finite numbers");
    ck_assert_ptr_null(mn_nn_rrelu(-INFINITY, 0, NULL));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower -inf and upper 0.0 must be finite numbers");
    ck_assert_ptr_null(mn_nn_rrelu(-1e308, 1e308, NULL));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower -1e+308 and upper 1e+308 are too large");
    ck_assert_ptr_null(mn_nn_rrelu(0, 8, &(mn_nn_rrelu_opts){.divisor = true}));
    check_last(MN_ERR_ARGUMENT, "rrelu: lower 0.0 must be above 0 in the divisor form");
    ck_assert_ptr_null(mn_nn_sequential_n(NULL, 2));
    check_last(MN_ERR_ARGUMENT, "sequential: the 2 children are NULL");
    ck_assert_ptr_null(mn_nn_sequential_n(NULL, -1));
    check_last(MN_ERR_ARGUMENT, "sequential: -1 children");
    ck_assert_ptr_null(mn_module_new(NULL));
    check_last(MN_ERR_ARGUMENT, "mn_module_new: the class is NULL");
    mn_module_class c = residual_class;
    c.size = sizeof(mn_module) - 1;
    ck_assert_ptr_null(mn_module_new(&c));
    check_last(MN_ERR_ARGUMENT, "mn_module_new: the class's size");
    c = residual_class;
    c.forward = NULL;
    ck_assert_ptr_null(mn_module_new(&c));
    check_last(MN_ERR_ARGUMENT, "mn_module_new: the class has no forward");
    c.name = NULL;
    ck_assert_ptr_null(mn_module_new(&c));
    check_last(MN_ERR_ARGUMENT, "mn_module_new: the class has no name");
    ck_assert_ptr_null(mn_module_finish(NULL));
}
END_TEST

/* ---- first values ---- */

START_TEST(linear_is_drawn_from_the_uniform_distribution_of_pytorch)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(400, 250, NULL));
    ck_assert_int_eq(mn_module_init(net, 11), MN_OK);
    const float *w = data32(mn_module_get(net, "0.weight"));
    double k = 1 / sqrt(400.0), sum = 0, squares = 0, low = 1, high = -1;
    const int n = 250 * 400;
    for (int i = 0; i < n; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
        low = fmin(low, (double)w[i]);
        high = fmax(high, (double)w[i]);
    }
    ck_assert_double_eq_tol(sum / n, 0, 5 * k / sqrt(3.0 * n));
    ck_assert_double_eq_tol(squares / n, k * k / 3, 0.01 * k * k / 3);
    ck_assert(low >= -k && low < -0.999 * k && high <= k && high > 0.999 * k);
    const float *b = data32(mn_module_get(net, "0.bias"));
    low = high = (double)b[0];
    for (int i = 0; i < 250; i++) {
        low = fmin(low, (double)b[i]);
        high = fmax(high, (double)b[i]);
    }
    ck_assert(low >= -k && low < -0.9 * k && high <= k && high > 0.9 * k);
    mn_module_free(net);
}
END_TEST

START_TEST(a_parameter_is_drawn_from_the_stream_of_its_own_name)
{
    mn_module *net = mn_nn_sequential(mn_nn_tanh(), residual_new(mn_nn_linear(5, 7, NULL)));
    mn_tensor *expected = mn_tensor_empty(MN_F32, 2, SHAPE(7, 5));
    mn_tensor *w = mn_module_get(net, "1.inner.weight");
    float first[35];
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(mn_module_init(net, 42), MN_OK);
        mn_rng rng = {42, mn_rng_stream("1.inner.weight"), 0};
        double k = 1 / sqrt(5.0);
        ck_assert_int_eq(mn_tensor_uniform(expected, -k, k, &rng), MN_OK);
        ck_assert_mem_eq(mn_tensor_data(w), mn_tensor_data(expected), sizeof first);
        memcpy(first, mn_tensor_data(w), sizeof first);
    }
    ck_assert_int_eq(mn_module_init(net, 43), MN_OK);
    ck_assert_mem_ne(mn_tensor_data(w), first, sizeof first);
    mn_release(expected);
    mn_module_free(net);
}
END_TEST

START_TEST(init_resets_buffers_and_constant_parameters)
{
    mn_module *net = mn_nn_sequential(residual_new(mn_nn_prelu(3, 0.375)));
    ck_assert_int_eq(mn_tensor_fill(mn_module_get(net, "0.calls"), 5), MN_OK);
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    ck_assert_double_eq(mn_tensor_item(mn_module_get(net, "0.calls")), 0);
    for (int64_t i = 0; i < 3; i++)
        ck_assert_double_eq(mn_tensor_get(mn_module_get(net, "0.inner.weight"), &i), 0.375);
    mn_module_free(net);
}
END_TEST

START_TEST(to_converts_values_and_keeps_what_is_frozen)
{
    mn_module *net = mn_nn_sequential(residual_new(mn_nn_linear(3, 2, NULL)), mn_nn_tanh());
    ck_assert_int_eq(mn_module_init(net, 5), MN_OK);
    ck_assert_int_eq(mn_module_set_requires_grad(net, false), MN_OK);
    ck_assert_int_eq(mn_tensor_set_requires_grad(mn_module_get(net, "0.inner.bias"), true), MN_OK);
    ck_assert_int_eq(mn_tensor_fill(mn_module_get(net, "0.calls"), 4), MN_OK);
    float before[6];
    memcpy(before, data32(mn_module_get(net, "0.inner.weight")), sizeof before);
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_OK);
    const double *w = data64(mn_module_get(net, "0.inner.weight"));
    for (int i = 0; i < 6; i++) ck_assert(w[i] == (double)before[i]);
    ck_assert(!mn_tensor_requires_grad(mn_module_get(net, "0.inner.weight")));
    ck_assert(mn_tensor_requires_grad(mn_module_get(net, "0.inner.bias")));
    ck_assert(!mn_tensor_requires_grad(mn_module_get(net, "0.calls")));
    ck_assert_double_eq(data64(mn_module_get(net, "0.calls"))[0], 4);
    const mn_tensor *same = mn_module_get(net, "0.inner.weight");
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_OK);
    ck_assert_ptr_eq(mn_module_get(net, "0.inner.weight"), same);
    ck_assert_int_eq(mn_module_to(net, MN_F32), MN_OK);
    ck_assert_mem_eq(data32(mn_module_get(net, "0.inner.weight")), before, sizeof before);
    ck_assert_int_eq(mn_module_to(net, MN_I64), MN_ERR_DTYPE);
    check_last(MN_ERR_DTYPE, "mn_module_to: parameters are f32 or f64, not i64");
    mn_module_free(net);
}
END_TEST

START_TEST(to_refuses_parameters_that_an_optimizer_would_lose)
{
    mn_module *shared = mn_nn_linear(2, 2, NULL);
    mn_module *net = mn_nn_sequential(shared, mn_nn_tanh(), mn_module_retain(shared));
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    mn_optim *sgd = mn_optim_sgd(net, 0.1, NULL);
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_ERR_STATE);
    check_last(MN_ERR_STATE, "mn_module_to: a parameter is also held outside this module");
    ck_assert_int_eq(mn_tensor_dtype(mn_module_get(net, "0.weight")), MN_F32);
    ck_assert_int_eq(mn_module_to(net, MN_F32), MN_OK); /* nothing to convert */
    mn_optim_free(sgd);
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_OK);
    ck_assert_int_eq(mn_tensor_dtype(mn_module_get(net, "2.bias")), MN_F64);
    mn_module_free(net);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

START_TEST(children_are_found_by_their_path)
{
    mn_module *inner = mn_nn_linear(3, 3, NULL), *last = mn_nn_tanh();
    mn_module *net = mn_nn_sequential(residual_new(inner), mn_nn_sequential(last));
    ck_assert_ptr_eq(mn_module_child(net, "0.inner"), inner);
    ck_assert_ptr_eq(mn_module_child(net, "1.0"), last);
    ck_assert_ptr_nonnull(mn_module_child(net, "1"));
    ck_assert_ptr_null(mn_module_child(net, "2"));
    check_last(MN_ERR_ARGUMENT, "mn_module_child: no child is named \"2\"");
    ck_assert_ptr_null(mn_module_child(net, "0.inner.weight"));
    check_last(MN_ERR_ARGUMENT, "no child is named");
    ck_assert_ptr_null(mn_module_child(NULL, "0"));
    check_last(MN_ERR_ARGUMENT, "mn_module_child: the module is NULL");
    mn_module_free(net);
}
END_TEST

START_TEST(an_uninitialised_parameter_stays_so_when_converted_and_is_refused_by_forward)
{
    mn_module *net = mn_nn_sequential(mn_nn_linear(3, 2, NULL));
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_ptr_null(mn_module_forward(net, t, mn_ones(t, MN_F32, 2, SHAPE(1, 3))));
    check_tape(t, MN_ERR_STATE, "net.0 (linear): ");
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_OK);
    ck_assert_ptr_null(mn_module_forward(net, t, mn_ones(t, MN_F64, 2, SHAPE(1, 3))));
    check_tape(t, MN_ERR_STATE, "net.0 (linear): ");
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    ck_assert_ptr_nonnull(mn_module_forward(net, t, mn_ones(t, MN_F64, 2, SHAPE(1, 3))));
    mn_tape_free(t);
    mn_module_free(net);
}
END_TEST

START_TEST(freezing_counting_and_forgetting_gradients_reach_every_parameter)
{
    mn_module *net = mlp();
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    ck_assert_int_eq(mn_module_numel(net), 23);
    ck_assert_int_eq(mn_tensor_set_requires_grad(mn_module_get(net, "1.weight"), false), MN_OK);
    ck_assert_int_eq(mn_module_numel(net), 23);
    ck_assert_int_eq(mn_module_numel_trainable(net), 11);
    mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(5, 4));
    ck_assert_int_eq(mn_backward(t, mn_sum(t, mn_module_forward(net, t, x))), MN_OK);
    ck_assert_ptr_null(mn_tensor_grad(mn_module_get(net, "1.weight")));
    ck_assert_ptr_nonnull(mn_tensor_grad(mn_module_get(net, "1.bias")));
    ck_assert_ptr_nonnull(mn_tensor_grad(mn_module_get(net, "3.bias")));
    mn_module_zero_grad(net);
    ck_assert_ptr_null(mn_tensor_grad(mn_module_get(net, "1.bias")));
    ck_assert_ptr_null(mn_tensor_grad(mn_module_get(net, "3.bias")));
    ck_assert_int_eq(mn_module_set_requires_grad(net, false), MN_OK);
    ck_assert_int_eq(mn_module_numel_trainable(net), 0);
    ck_assert_int_eq(mn_module_set_requires_grad(net, true), MN_OK);
    ck_assert_int_eq(mn_module_numel_trainable(net), 23);
    mn_tape_free(t);
    mn_module_free(net);
}
END_TEST

/* ---- the forward pass ---- */

START_TEST(messages_begin_with_the_path_of_the_module)
{
    mn_module *net = mn_nn_sequential(mn_nn_tanh(), residual_new(mn_nn_linear(3, 3, NULL)));
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    ck_assert_ptr_null(mn_module_forward(net, t, mn_ones(t, MN_F32, 2, SHAPE(2, 4))));
    check_tape(t, MN_ERR_SHAPE, "net.1.inner (linear): ");
    mn_module *alone = mn_nn_linear(2, 2, NULL);
    ck_assert_int_eq(mn_module_init(alone, 1), MN_OK);
    ck_assert_ptr_null(mn_module_forward(alone, t, mn_ones(t, MN_F32, 1, SHAPE(3))));
    check_tape(t, MN_ERR_SHAPE, "net (linear): ");
    mn_module_free(alone);
    mn_module_free(net);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_null_module_tape_or_input_hands_its_reason_to_the_tape)
{
    mn_module *relu = mn_nn_relu(NULL);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_ones(t, MN_F32, 1, SHAPE(3));
    ck_assert_ptr_null(mn_module_forward(mn_nn_dropout(7), t, x));
    check_tape(t, MN_ERR_ARGUMENT, "dropout: p 7 is not between 0 and 1");
    mn_module *empty = mn_nn_sequential_n(NULL, 0);
    ck_assert_ptr_null(mn_module_forward(empty, t, NULL));
    check_tape(t, MN_ERR_ARGUMENT, "NULL");
    ck_assert_ptr_eq(mn_module_forward(empty, t, x), x);
    mn_module_free(empty);
    ck_assert_ptr_null(mn_module_forward(relu, NULL, x));
    check_last(MN_ERR_ARGUMENT, "mn_module_call: the tape is NULL");
    ck_assert_ptr_nonnull(mn_module_forward(relu, t, x));
    mn_tape_fail(t, MN_ERR_IO, "earlier");
    ck_assert_ptr_null(mn_module_forward(relu, t, x));
    check_tape(t, MN_ERR_IO, "earlier");
    mn_tape_free(t);
    mn_module_free(relu);
}
END_TEST

START_TEST(a_forward_that_fails_without_a_word_becomes_an_error_of_the_tape)
{
    mn_module *m = residual_new(mn_nn_tanh());
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_ones(t, MN_F32, 1, SHAPE(2)), *two[2] = {x, x}, *out[2] = {x, x};
    ck_assert_int_eq(mn_module_init(m, 1), MN_OK);
    ((residual *)m)->misbehave = 1;
    ck_assert_ptr_null(mn_module_forward(m, t, x));
    check_tape(t, MN_ERR_SHAPE, "net: the forward of Residual failed (shape error)");
    ((residual *)m)->misbehave = 2;
    ck_assert_ptr_null(mn_module_forward(m, t, x));
    check_tape(t, MN_ERR_IO, "net: the sensor is unplugged");
    ((residual *)m)->misbehave = 3;
    ck_assert_ptr_null(mn_module_forward(m, t, x));
    check_tape(t, MN_ERR_STATE, "net: the forward of Residual left output 0 NULL");
    ((residual *)m)->misbehave = 0;
    ck_assert_int_eq(mn_module_call(m, t, two, 2, out, 1), MN_ERR_ARGUMENT);
    ck_assert_ptr_null(out[0]);
    check_tape(t, MN_ERR_ARGUMENT, "net: Residual takes 1 inputs, not 2");
    ck_assert_int_eq(mn_module_call(m, t, two, 1, out, 2), MN_ERR_ARGUMENT);
    ck_assert_ptr_null(out[1]);
    check_tape(t, MN_ERR_ARGUMENT, "net: Residual gives 1 outputs, not 2");
    ck_assert_ptr_nonnull(mn_module_forward(m, t, x));
    mn_tape_free(t);
    mn_module_free(m);
}
END_TEST

START_TEST(a_user_module_computes_trains_and_counts_in_training_only)
{
    mn_module *net = mn_nn_sequential(residual_new(mn_nn_linear(2, 2, NULL)));
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    mn_tensor *w = mn_module_get(net, "0.inner.weight"), *b = mn_module_get(net, "0.inner.bias");
    memcpy(mn_tensor_mutable_data(w), (float[]){1, 2, 3, 4}, 4 * sizeof(float));
    memcpy(mn_tensor_mutable_data(b), (float[]){10, 20}, 2 * sizeof(float));
    mn_tensor *x = mn_from(t, MN_F32, 2, SHAPE(1, 2), (float[]){1, -1});
    mn_tensor *y = mn_module_forward(net, t, x);
    ck_assert_mem_eq(data32(y), ((float[]){10, 18}), 2 * sizeof(float));
    ck_assert_int_eq(mn_backward(t, mn_sum(t, y)), MN_OK);
    ck_assert_mem_eq(data32(mn_tensor_grad(w)), ((float[]){1, -1, 1, -1}), 4 * sizeof(float));
    ck_assert_double_eq(mn_tensor_item(mn_module_get(net, "0.calls")), 1);
    mn_module_eval(net);
    ck_assert_ptr_nonnull(mn_module_forward(net, t, x));
    ck_assert_double_eq(mn_tensor_item(mn_module_get(net, "0.calls")), 1);
    mn_tape_free(t);
    mn_module_free(net);
}
END_TEST

START_TEST(without_a_graph_a_chain_holds_two_activations_at_most)
{
    mn_module *nested = mn_nn_sequential(mn_nn_tanh(), mn_nn_sigmoid(), mn_nn_relu(NULL));
    mn_module *net = mn_nn_sequential(mn_nn_tanh(), mn_nn_sigmoid(), nested, mn_nn_tanh());
    mn_module *const modules[] = {nested, net};
    for (size_t i = 0; i < 2; i++) {
        mn_tape *t = mn_tape_new(NULL);
        mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(64, 1024));
        size_t bytes = mn_tape_stats(t).live_bytes;
        mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
        ck_assert_ptr_nonnull(mn_module_forward(modules[i], t, x));
        ck_assert_uint_eq(mn_tape_stats(t).live_bytes, 2 * bytes);
        /* x and two activations; the outer chain holds its child's input, as PyTorch's does */
        ck_assert_uint_eq(mn_tape_stats(t).peak_bytes, (3 + i) * bytes);
        mn_scope_end(t, scope, NULL, 0);
        ck_assert_uint_eq(mn_tape_stats(t).live_bytes, bytes);
        mn_tape_free(t);
    }
    mn_module_free(net);
}
END_TEST

START_TEST(each_layer_applies_its_op)
{
    mn_module *const layers[] = {mn_nn_relu(NULL),
                                 mn_nn_relu(&(mn_nn_activation_opts){true}),
                                 mn_nn_leaky_relu(0.5, NULL),
                                 mn_nn_leaky_relu(0.5, &(mn_nn_activation_opts){true}),
                                 mn_nn_prelu(2, 0.25),
                                 mn_nn_sigmoid(),
                                 mn_nn_tanh(),
                                 mn_nn_dropout(0)};
    const double expected[][2] = {{0, 2},
                                  {0, 2},
                                  {-0.5, 2},
                                  {-0.5, 2},
                                  {-0.25, 2},
                                  {1 / (1 + exp(1)), 1 / (1 + exp(-2))},
                                  {tanh(-1), tanh(2)},
                                  {-1, 2}};
    mn_tape *t = mn_tape_new(NULL);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        ck_assert_int_eq(mn_module_to(layers[i], MN_F64), MN_OK);
        ck_assert_int_eq(mn_module_init(layers[i], 1), MN_OK);
        mn_tensor *x = mn_from(t, MN_F64, 2, SHAPE(1, 2), (double[]){-1, 2});
        mn_tensor *y = mn_module_forward(layers[i], t, x);
        ck_assert_msg(y, "%s", mn_tape_message(t));
        for (int k = 0; k < 2; k++) ck_assert_double_eq_tol(data64(y)[k], expected[i][k], 1e-15);
        bool inplace = i == 1 || i == 3;
        if (i < 7) ck_assert(inplace == (mn_tensor_data(x) == mn_tensor_data(y)));
        mn_module_free(layers[i]);
    }
    mn_tape_free(t);
}
END_TEST

/* ---- generators ---- */

enum { DRAWS = 24 };

/* What a layer makes of a row of -1, so that the slopes (or the mask) show as -y. */
static void draw(mn_module *m, double *out)
{
    mn_tape *t = mn_tape_new(NULL);
    const mn_tensor *y = mn_module_forward(m, t, mn_full(t, MN_F64, 2, SHAPE(1, DRAWS), -1));
    ck_assert_msg(y, "%s", mn_tape_message(t));
    for (int i = 0; i < DRAWS; i++) out[i] = -data64(y)[i];
    mn_tape_free(t);
}

/* The slopes that stream `stream` of `seed` gives at word `offset`. */
static void expected_slopes(uint64_t seed, uint64_t stream, uint64_t offset, double *out)
{
    mn_rng rng = {seed, stream, offset};
    mn_tensor *x = mn_tensor_empty(MN_F64, 1, SHAPE(DRAWS));
    ck_assert_int_eq(mn_tensor_uniform(x, 0.25, 0.75, &rng), MN_OK);
    memcpy(out, data64(x), DRAWS * sizeof *out);
    mn_release(x);
}

START_TEST(a_pool_gives_its_indices_as_a_second_output_and_unpooling_takes_them)
{
    mn_module *pools[] = {mn_nn_max_pool2d(2, NULL), mn_nn_adaptive_max_pool2d(1, 2)};
    mn_module *back = mn_nn_max_unpool2d(2, NULL);
    mn_tape *t = mn_tape_new(NULL);
    const float values[] = {1, 5, 2, 3, 4, 0, 7, 6};
    mn_tensor *x = mn_tensor_from(MN_F32, 3, (int64_t[]){1, 2, 4}, values);
    for (int i = 0; i < 2; i++) {
        mn_tensor *two[2], *one, *again;
        ck_assert_int_eq(mn_module_call(pools[i], t, &x, 1, two, 2), MN_OK);
        ck_assert_int_eq(mn_module_call(pools[i], t, &x, 1, &one, 1), MN_OK);
        ck_assert_mem_eq(mn_tensor_data(two[0]), mn_tensor_data(one), 2 * sizeof(float));
        ck_assert_mem_eq(mn_tensor_data(two[1]), ((int64_t[]){1, 6}), 2 * sizeof(int64_t));
        ck_assert_int_eq(mn_module_call(back, t, two, 2, &again, 1), MN_OK);
        ck_assert_mem_eq(mn_tensor_data(again), ((float[]){0, 5, 0, 0, 0, 0, 7, 0}),
                         8 * sizeof(float));
        mn_tensor *three[3];
        ck_assert_int_eq(mn_module_call(pools[i], t, &x, 1, three, 3), MN_ERR_ARGUMENT);
        check_tape(t, MN_ERR_ARGUMENT, "gives 1 or 2 outputs, not 3");
        for (int k = 0; k < 3; k++) ck_assert_ptr_null(three[k]);
        mn_tape_clear_error(t);
    }
    mn_tape_free(t);
    mn_release(x);
    mn_module_free(back);
    for (int i = 0; i < 2; i++) mn_module_free(pools[i]);
}
END_TEST

START_TEST(a_training_forward_through_an_unseeded_layer_says_what_to_call)
{
    mn_module *const layers[] = {mn_nn_rrelu(0.1, 0.3, NULL), mn_nn_dropout(0.5)};
    mn_tape *t = mn_tape_new(NULL);
    for (int i = 0; i < 2; i++) {
        mn_tensor *x = mn_ones(t, MN_F32, 2, SHAPE(1, 2));
        ck_assert_ptr_null(mn_module_forward(layers[i], t, x));
        check_tape(t, MN_ERR_STATE,
                   i ? "net: dropout draws a mask in training but was never "
                       "seeded; call mn_module_init or mn_module_seed"
                     : "net: rrelu draws slopes in training but was never "
                       "seeded; call mn_module_init or mn_module_seed");
        mn_module_eval(layers[i]);
        ck_assert_ptr_nonnull(mn_module_forward(layers[i], t, x));
        mn_module_train(layers[i]);
        ck_assert_int_eq(mn_module_seed(layers[i], 1, 0), MN_OK);
        ck_assert_ptr_nonnull(mn_module_forward(layers[i], t, x));
        mn_module_free(layers[i]);
    }
    mn_module *never = mn_nn_dropout(0);
    ck_assert_ptr_nonnull(mn_module_forward(never, t, mn_ones(t, MN_F32, 1, SHAPE(2))));
    mn_module_free(never);
    mn_tape_free(t);
}
END_TEST

START_TEST(rrelu_draws_from_the_stream_of_its_path_and_eval_writes_nothing)
{
    mn_module *layer = mn_module_retain(mn_nn_rrelu(0.25, 0.75, NULL));
    mn_module *net = mn_nn_sequential(mn_nn_tanh(), layer);
    double slopes[DRAWS], expected[DRAWS];
    ck_assert_int_eq(mn_module_init(net, 9), MN_OK);
    draw(layer, slopes);
    expected_slopes(9, mn_rng_stream("1"), 0, expected);
    ck_assert_mem_eq(slopes, expected, sizeof slopes);
    mn_module_eval(net);
    draw(layer, slopes);
    for (int i = 0; i < DRAWS; i++) ck_assert_double_eq(slopes[i], 0.5);
    mn_module_train(net);
    draw(layer, slopes); /* goes on where training stopped */
    expected_slopes(9, mn_rng_stream("1"), 2 * DRAWS, expected);
    ck_assert_mem_eq(slopes, expected, sizeof slopes);
    ck_assert_int_eq(mn_module_seed(net, 9, 0), MN_OK); /* and rewinds */
    draw(layer, slopes);
    expected_slopes(9, mn_rng_stream("1"), 0, expected);
    ck_assert_mem_eq(slopes, expected, sizeof slopes);
    mn_module_free(net);
    mn_module_free(layer);
}
END_TEST

START_TEST(layers_and_lanes_draw_different_numbers)
{
    mn_module *a = mn_module_retain(mn_nn_rrelu(0.25, 0.75, NULL));
    mn_module *b = mn_module_retain(mn_nn_rrelu(0.25, 0.75, NULL));
    mn_module *net = mn_nn_sequential(a, b);
    double of_a[DRAWS], of_b[DRAWS], lane[DRAWS], expected[DRAWS];
    ck_assert_int_eq(mn_module_seed(net, 4, 0), MN_OK);
    draw(a, of_a);
    draw(b, of_b);
    ck_assert_mem_ne(of_a, of_b, sizeof of_a);
    ck_assert_int_eq(mn_module_seed(net, 4, 258), MN_OK);
    draw(a, lane);
    ck_assert_mem_ne(of_a, lane, sizeof of_a);
    static const unsigned char bytes[8] = {2, 1}; /* of lane 258, over which FNV-1a goes on */
    uint64_t stream = mn_rng_stream("0");
    for (int i = 0; i < 8; i++) stream = (stream ^ bytes[i]) * 0x100000001b3u;
    expected_slopes(4, stream, 0, expected);
    ck_assert_mem_eq(lane, expected, sizeof lane);
    ck_assert_int_eq(mn_module_seed(net, 5, 0), MN_OK);
    draw(a, lane);
    ck_assert_mem_ne(of_a, lane, sizeof of_a);
    mn_module_free(net);
    mn_module_free(a);
    mn_module_free(b);
}
END_TEST

START_TEST(two_generators_of_one_module_have_streams_of_their_own)
{
    mn_module *m = residual_new(mn_nn_rrelu(0.25, 0.75, NULL));
    const residual *r = (residual *)m;
    ck_assert_int_eq(mn_module_seed(m, 4, 0), MN_OK);
    ck_assert(r->seeded[0] && r->seeded[1]);
    ck_assert_uint_eq(r->rng[0].stream, mn_rng_stream(""));
    ck_assert_uint_eq(r->rng[1].stream, mn_rng_stream("#1"));
    ck_assert_uint_eq(r->rng[1].seed, 4);
    double slopes[DRAWS], expected[DRAWS]; /* those of a child are numbered from the start */
    draw(r->inner, slopes);
    expected_slopes(4, mn_rng_stream("inner"), 0, expected);
    ck_assert_mem_eq(slopes, expected, sizeof slopes);
    mn_module_free(m);
}
END_TEST

START_TEST(a_layer_that_stands_in_the_tree_twice_is_seeded_under_its_first_path)
{
    mn_module *layer = mn_nn_rrelu(0.25, 0.75, NULL);
    mn_module *net = mn_nn_sequential(layer, mn_nn_tanh(), mn_module_retain(layer));
    double slopes[DRAWS], expected[DRAWS];
    ck_assert_int_eq(mn_module_init(net, 2), MN_OK);
    draw(layer, slopes);
    expected_slopes(2, mn_rng_stream("0"), 0, expected);
    ck_assert_mem_eq(slopes, expected, sizeof slopes);
    mn_module_free(net);
}
END_TEST

START_TEST(dropout_masks_repeat_from_the_seed_and_eval_is_the_identity)
{
    mn_module *m = mn_nn_dropout(0.25);
    double first[DRAWS], second[DRAWS];
    ck_assert_int_eq(mn_module_seed(m, 8, 0), MN_OK);
    draw(m, first);
    draw(m, second);
    ck_assert_mem_ne(first, second, sizeof first);
    ck_assert_int_eq(mn_module_seed(m, 8, 0), MN_OK);
    draw(m, second);
    ck_assert_mem_eq(first, second, sizeof first);
    int dropped = 0;
    for (int i = 0; i < DRAWS; i++) {
        ck_assert(first[i] == 0 || fabs(first[i] - 4.0 / 3) < 1e-15);
        dropped += first[i] == 0;
    }
    ck_assert(dropped > 0 && dropped < DRAWS / 2);
    mn_module_eval(m);
    draw(m, first);
    for (int i = 0; i < DRAWS; i++) ck_assert_double_eq(first[i], 1);
    mn_module_free(m);
}
END_TEST

START_TEST(rrelu_options_reach_the_op)
{
    double slopes[DRAWS];
    mn_module *m = mn_nn_rrelu(3, 8, &(mn_nn_rrelu_opts){.divisor = true, .per_channel = true});
    mn_module_eval(m);
    draw(m, slopes);
    for (int i = 0; i < DRAWS; i++) ck_assert_double_eq_tol(slopes[i], 1 / 5.5, 1e-16);
    mn_module_train(m);
    ck_assert_int_eq(mn_module_seed(m, 1, 0), MN_OK);
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *y = mn_module_forward(m, t, mn_full(t, MN_F64, 3, SHAPE(1, 2, 3), -1));
    ck_assert_msg(y, "%s", mn_tape_message(t));
    const double *v = data64(y);
    ck_assert(v[0] == v[1] && v[1] == v[2] && v[3] == v[4] && v[0] != v[3]);
    ck_assert(v[0] >= -1.0 / 3 && v[0] <= -1.0 / 8);
    mn_module_free(m);
    m = mn_nn_rrelu(0.25, 0.75, &(mn_nn_rrelu_opts){.inplace = true});
    mn_module_eval(m);
    mn_tensor *x = mn_full(t, MN_F64, 1, SHAPE(2), -1);
    ck_assert_ptr_eq(mn_tensor_data(mn_module_forward(m, t, x)), mn_tensor_data(x));
    mn_module_free(m);
    mn_tape_free(t);
}
END_TEST

/* ---- memory that runs out ---- */

static bool live_a_little(void)
{
    char text[512];
    mn_named_tensor list[8];
    mn_tape *t = mn_tape_new(NULL);
    mn_module *net =
        mn_nn_sequential(residual_new(mlp()), mn_nn_dropout(0.5), mn_nn_prelu(1, 0.25));
    mn_tensor *tied = mn_tensor_zeros(MN_F32, 2, SHAPE(3, 4));
    bool fine = net && tied && mn_module_set(net, "0.inner.1.weight", tied) == MN_OK;
    mn_release(tied);
    fine = fine && mn_module_to(net, MN_F64) == MN_OK && mn_module_init(net, 1) == MN_OK;
    fine = fine && mn_module_seed(net, 1, 3) == MN_OK && mn_module_numel(net) == 24;
    fine = fine && mn_module_parameters(net, list, 8) == 5 && mn_module_buffers(net, list, 8) == 1;
    fine = fine && mn_module_set_requires_grad(net, true) == MN_OK;
    if (net) mn_module_format(net, text, sizeof text);
    mn_module *out =
        fine ? mn_nn_sequential(mn_nn_linear(4, 2, NULL), mn_nn_rrelu(0, 1, NULL)) : NULL;
    fine = out && mn_module_init(out, 1) == MN_OK;
    mn_tensor *x = fine ? mn_ones(t, MN_F32, 2, SHAPE(3, 4)) : NULL;
    fine = fine && mn_backward(t, mn_sum(t, mn_module_forward(out, t, x))) == MN_OK;
    mn_module_free(out);
    mn_module_free(net);
    mn_tape_free(t);
    return fine;
}

START_TEST(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing)
{
    int failures = 0;
    for (bool fine = false; !fine; failures += !fine) {
        ck_assert_int_lt(failures, 1000);
        mn_clear_last_error();
        left = failures;
        fine = live_a_little();
        bool reached = left == 0;
        left = INT64_MAX;
        ck_assert_int_eq(mn_live_allocations(), 0);
        ck_assert_msg(fine || (reached && mn_last_error() == MN_ERR_MEMORY), "allocation %d: %s",
                      failures, mn_last_message());
    }
    ck_assert_int_gt(failures, 60);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nn");
    TCase *c = tcase_create("nn");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_test(c, names_and_order_are_those_of_pytorchs_state_dict);
    tcase_add_test(c, a_tree_prints_as_pytorch_prints_it);
    tcase_add_test(c, numbers_print_as_pythons_repr);
    tcase_add_test(c, get_and_set_refuse_what_is_not_there_or_does_not_fit);
    tcase_add_test(c, null_modules_are_refused_or_passed_over);
    tcase_add_test(c, train_and_eval_reach_the_whole_tree);
    tcase_add_test(c, a_container_frees_its_children_when_one_of_them_failed);
    tcase_add_test(c, a_module_retained_into_two_containers_outlives_the_first);
    tcase_add_test(c, a_tied_parameter_is_listed_counted_and_drawn_once);
    tcase_add_test(c, constructors_refuse_senseless_arguments_with_the_values);
    tcase_add_test(c, linear_is_drawn_from_the_uniform_distribution_of_pytorch);
    tcase_add_test(c, a_parameter_is_drawn_from_the_stream_of_its_own_name);
    tcase_add_test(c, init_resets_buffers_and_constant_parameters);
    tcase_add_test(c, to_converts_values_and_keeps_what_is_frozen);
    tcase_add_test(c, to_refuses_parameters_that_an_optimizer_would_lose);
    tcase_add_test(c, children_are_found_by_their_path);
    tcase_add_test(c, an_uninitialised_parameter_stays_so_when_converted_and_is_refused_by_forward);
    tcase_add_test(c, freezing_counting_and_forgetting_gradients_reach_every_parameter);
    tcase_add_test(c, messages_begin_with_the_path_of_the_module);
    tcase_add_test(c, a_null_module_tape_or_input_hands_its_reason_to_the_tape);
    tcase_add_test(c, a_forward_that_fails_without_a_word_becomes_an_error_of_the_tape);
    tcase_add_test(c, a_user_module_computes_trains_and_counts_in_training_only);
    tcase_add_test(c, without_a_graph_a_chain_holds_two_activations_at_most);
    tcase_add_test(c, each_layer_applies_its_op);
    tcase_add_test(c, a_pool_gives_its_indices_as_a_second_output_and_unpooling_takes_them);
    tcase_add_test(c, a_training_forward_through_an_unseeded_layer_says_what_to_call);
    tcase_add_test(c, rrelu_draws_from_the_stream_of_its_path_and_eval_writes_nothing);
    tcase_add_test(c, layers_and_lanes_draw_different_numbers);
    tcase_add_test(c, two_generators_of_one_module_have_streams_of_their_own);
    tcase_add_test(c, a_layer_that_stands_in_the_tree_twice_is_seeded_under_its_first_path);
    tcase_add_test(c, dropout_masks_repeat_from_the_seed_and_eval_is_the_identity);
    tcase_add_test(c, rrelu_options_reach_the_op);
    tcase_add_test(c, running_out_of_memory_anywhere_is_an_error_and_leaks_nothing);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
