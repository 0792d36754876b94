/*
 * tests/test_parametrize.c: modules with computed parameters: what they share with the module that they
 * were, first values, several passes in a step, checkpoints, and classes that keep parameters on the heap.
 */
#include "support.h"

#include <math.h>
#include <minnow/minnow.h>
#include <stdlib.h>
#include <string.h>

static mn_tape *t;

static void setup(void)
{
    t = mn_tape_new(NULL);
}

static void done(void)
{
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s", mn_tape_message(t));
    mn_tape_free(t);
    ck_assert_int_eq(mn_live_allocations(), 0);
}

static void refused(mn_error error, const char *says)
{
    ck_assert_int_eq(mn_tape_error(t), error);
    ck_assert_msg(strstr(mn_tape_message(t), says) != NULL, "%s", mn_tape_message(t));
    mn_tape_clear_error(t);
}

static mn_tensor *drawn(uint64_t stream, int64_t rows, int64_t columns)
{
    mn_rng rng = mn_rng_make(5, stream);
    return mn_rand(t, MN_F32, 2, (int64_t[]){rows, columns}, &rng);
}

static double difference(mn_tensor *a, mn_tensor *b)
{
    return mn_tensor_item(mn_norm(t, mn_sub(t, a, b), INFINITY));
}

static mn_module *trained(int64_t in, int64_t out)
{
    mn_module *m = mn_nn_linear(in, out, NULL);
    ck_assert_int_eq(mn_module_init(m, 3), MN_OK);
    return m;
}

/* ---- the module it was ---- */

START_TEST(a_trained_layer_keeps_its_values)
{
    setup();
    mn_module *m = trained(4, 3);
    mn_tensor *x = drawn(1, 5, 4), *before = mn_module_forward(m, t, x);
    mn_tensor *weight = mn_module_get(m, "weight");
    mn_module_eval(m);
    ck_assert_ptr_eq(mn_nn_weight_norm(m, "weight", 0), m);
    ck_assert_double_le(difference(mn_module_forward(m, t, x), before), 1e-6);
    ck_assert_ptr_eq(mn_module_get(m, "parametrizations.weight.original1"), weight);
    ck_assert(!mn_module_training(mn_module_child(m, "parametrizations.weight.0")));
    ck_assert_ptr_null(mn_module_get(m, "weight"));
    mn_clear_last_error();
    ck_assert_int_eq(mn_module_numel(m), 3 + 3 + 12);
    ck_assert_int_eq(mn_module_child_count(m), 1);
    ck_assert_ptr_eq(mn_nn_weight_norm(m, "bias", -1), m);
    ck_assert_double_le(difference(mn_module_forward(m, t, x), before), 1e-6);
    mn_module_free(m);
    done();
}
END_TEST

START_TEST(sigma_is_the_largest_singular_value)
{
    setup();
    static const float values[] = {0, 3, 1, 0};
    mn_module *m = trained(2, 2);
    memcpy(mn_tensor_mutable_data(mn_module_get(m, "weight")), values, sizeof values);
    mn_tensor_fill(mn_module_get(m, "bias"), 0);
    m = mn_nn_spectral_norm(m, "weight", NULL);
    mn_module_eval(m);
    mn_tensor *x = mn_reshape(t, mn_arange(t, MN_F32, 2, 4, 1), 2, (int64_t[]){1, 2});
    mn_tensor *y = mn_module_forward(m, t, x);
    ck_assert_double_eq_tol(mn_tensor_get(y, (int64_t[]){0, 0}), 3, 1e-6);
    ck_assert_double_eq_tol(mn_tensor_get(y, (int64_t[]){0, 1}), 2.0 / 3, 1e-6);
    mn_module_free(m);
    done();
}
END_TEST

static mn_error count_call(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                           mn_tensor **out, int n_out, void *user)
{
    (void)m, (void)tape, (void)in, (void)n_in, (void)out, (void)n_out;
    ++*(int *)user;
    return MN_OK;
}

START_TEST(hooks_owners_and_dtype_stay)
{
    setup();
    int calls = 0;
    mn_module *m = trained(4, 3), *also = mn_module_retain(m);
    ck_assert_int_eq(mn_module_register_forward_hook(m, count_call, &calls), MN_OK);
    mn_module_freeze(m, "weight");
    mn_module *net = mn_nn_sequential(mn_nn_spectral_norm(m, "weight", NULL),
                                      mn_nn_weight_norm(mn_nn_linear(3, 2, NULL), "weight", 0));
    mn_tensor *held = mn_retain(mn_module_get(also, "parametrizations.weight.original"));
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_ERR_STATE);
    mn_clear_last_error();
    mn_release(held);
    ck_assert_int_eq(mn_module_to(net, MN_F64), MN_OK);
    mn_module_free(also);
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    ck_assert(mn_module_forward(net, t, mn_to(t, drawn(1, 5, 4), MN_F64)) != NULL);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(mn_module_numel_trainable(net), 3 + 2 + 2 + 6);
    mn_module_free(net);
    done();
}
END_TEST

START_TEST(a_failed_pass_leaves_the_layer_as_it_was)
{
    setup();
    mn_module *net = mn_nn_sequential(mn_nn_weight_norm(mn_nn_linear(4, 3, NULL), "weight", 0));
    mn_module_forward(net, t, drawn(1, 5, 4));
    refused(MN_ERR_STATE, "net.0.parametrizations.weight.0: input 0 is a parameter that was never "
                          "initialised");
    mn_module_init(net, 1);
    for (int eval = 0; eval < 2; eval++) {
        mn_tensor *y = mn_module_forward(net, t, drawn(1, 5, 4));
        mn_module_forward(net, t, drawn(1, 4, 5));
        refused(MN_ERR_SHAPE, "net.0 (linear)");
        ck_assert_double_eq(difference(mn_module_forward(net, t, drawn(1, 5, 4)), y), 0);
        mn_module_eval(net);
    }
    mn_module_free(net);
    done();
}
END_TEST

START_TEST(a_summary_shows_what_computes)
{
    setup();
    char text[2000];
    mn_module *m = mn_nn_weight_norm(mn_nn_linear(4, 3, NULL), "weight", 0);
    mn_tensor *x = mn_tensor_ones(MN_F32, 2, (int64_t[]){5, 4});
    ck_assert_int_gt((int)mn_nn_summary(m, &x, 1, text, sizeof text), 0);
    mn_release(x);
    ck_assert_msg(strstr(text, "ParametrizedLinear") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "18 parameters") != NULL, "%s", text);
    mn_module_free(m);
    done();
}
END_TEST

/* ---- first values ---- */

START_TEST(first_values_fit_each_other)
{
    setup();
    mn_module *m = mn_nn_weight_norm(mn_nn_conv2d(2, 3, 2, NULL), "weight", 0);
    mn_module *s = mn_nn_spectral_norm(mn_nn_linear(6, 4, NULL), "weight", NULL);
    for (uint64_t seed = 0; seed < 3; seed++) {
        ck_assert_int_eq(mn_module_init(m, seed), MN_OK);
        mn_tensor *g = mn_module_get(m, "parametrizations.weight.original0");
        mn_tensor *v = mn_module_get(m, "parametrizations.weight.original1");
        mn_tensor *norms = mn_norm_dim(t, v, 2, (int[]){1, 2, 3}, 3, true);
        ck_assert_double_eq(difference(norms, g), 0);

        ck_assert_int_eq(mn_module_init(s, seed), MN_OK);
        mn_tensor *w = mn_module_get(s, "parametrizations.weight.original");
        mn_tensor *left = mn_module_get(s, "parametrizations.weight.0._u");
        mn_tensor *right = mn_module_get(s, "parametrizations.weight.0._v");
        mn_tensor *u = mn_normalize(t, mn_matmul(t, w, right), 2, 0, 1e-12);
        ck_assert_double_le(difference(u, left), 0.05);
        ck_assert_double_eq_tol(mn_tensor_item(mn_norm(t, left, 2)), 1, 1e-6);
        ck_assert_double_eq_tol(mn_tensor_item(mn_norm(t, right, 2)), 1, 1e-6);
    }
    mn_module_free(m);
    mn_module_free(s);
    done();
}
END_TEST

START_TEST(spectral_norm_needs_vectors)
{
    setup();
    mn_module *m = mn_nn_spectral_norm(mn_nn_linear(4, 3, NULL), "weight", NULL);
    mn_tensor_fill(mn_module_get(m, "parametrizations.weight.original"), 1);
    mn_tensor_fill(mn_module_get(m, "bias"), 1);
    mn_module_forward(m, t, drawn(1, 5, 4));
    refused(MN_ERR_STATE, "the vectors of spectral_norm are 0: call mn_module_init");
    mn_module_free(m);
    done();
}
END_TEST

/* ---- several passes in a step ---- */

static mn_tensor *forward(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n;
    return mn_module_forward(user, tape, in[0]);
}

/* A critic's loss: two passes, each with power iterations of its own. Gradients of m's parameters. */
static void criticise(mn_module *m, bool checkpointed, mn_tensor **gradients)
{
    mn_named_tensor p[4];
    const int n = mn_module_parameters(m, p, 4);
    mn_tensor *x[] = {drawn(1, 5, 4), drawn(2, 5, 4)}, *y[2];
    for (int i = 0; i < 2; i++)
        y[i] = checkpointed ? mn_checkpoint(t, forward, &x[i], 1, m) : forward(t, &x[i], 1, m);
    mn_tensor *loss = mn_mean(t, mn_square(t, mn_sub(t, y[0], y[1])));
    ck_assert_msg(mn_backward(t, loss) == MN_OK, "%s", mn_tape_message(t));
    for (int i = 0; i < n; i++) gradients[i] = mn_clone(t, mn_tensor_grad(p[i].tensor));
    mn_module_zero_grad(m);
}

START_TEST(passes_of_one_step_keep_their_vectors_and_checkpoints_find_them)
{
    setup();
    mn_module *m = mn_nn_sequential(mn_nn_spectral_norm(mn_nn_linear(4, 6, NULL), "weight", NULL),
                                    mn_nn_tanh(),
                                    mn_nn_spectral_norm(mn_nn_linear(6, 1, NULL), "weight", NULL));
    mn_module_init(m, 1);
    mn_module *again = mn_module_clone(m);
    mn_tensor *gradients[2][4], *u = mn_module_get(m, "0.parametrizations.weight.0._u");
    mn_tensor *first = mn_clone(t, u);
    criticise(m, false, gradients[0]);
    criticise(again, true, gradients[1]);
    for (int i = 0; i < 4; i++)
        ck_assert_double_eq(difference(gradients[0][i], gradients[1][i]), 0);
    ck_assert_double_gt(difference(u, first), 0);
    ck_assert_double_eq(difference(u, mn_module_get(again, "0.parametrizations.weight.0._u")), 0);
    mn_module_free(m);
    mn_module_free(again);
    done();
}
END_TEST

START_TEST(running_statistics_of_a_computed_weight_are_found)
{
    setup();
    mn_module *m = mn_nn_weight_norm(mn_nn_batch_norm1d(4, NULL), "weight", 0);
    mn_module_init(m, 1);
    mn_module_forward(m, t, drawn(1, 5, 4));
    ck_assert_int_eq(mn_module_update_batch_norm(m, true), MN_OK);
    ck_assert_int_eq(mn_tensor_get_i64(mn_module_get(m, "num_batches_tracked"), NULL), 0);
    mn_module_free(m);
    done();
}
END_TEST

/* ---- a class with parameters on the heap ---- */

typedef struct bank {
    mn_module base;
    mn_tensor **scale; /* [1], on the heap */
    int passes;        /* in training */
} bank;

static mn_error bank_forward(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                             mn_tensor **out, int n_out)
{
    bank *b = (bank *)m;
    (void)n_in, (void)n_out;
    if (m->training) b->passes++;
    out[0] = mn_mul(tape, in[0], b->scale[0]);
    return mn_tape_error(tape);
}

static void bank_visit(mn_module *m, mn_visitor *v)
{
    bank *b = (bank *)m;
    if (b->scale) mn_visit_parameter(v, "scale", &b->scale[0], mn_init_normal(0, 1));
}

static void bank_free(mn_module *m)
{
    free(((bank *)m)->scale);
}

static mn_error bank_copy(mn_module *m)
{
    bank *b = (bank *)m;
    mn_tensor **own = malloc(sizeof *own);
    if (!own) return mn_fail(MN_ERR_MEMORY, "out of memory");
    own[0] = b->scale[0];
    b->scale = own;
    return MN_OK;
}

static const mn_module_class bank_class = {.name = "Bank",
                                           .size = sizeof(bank),
                                           .n_in = 1,
                                           .n_out = 1,
                                           .forward = bank_forward,
                                           .visit = bank_visit,
                                           .free = bank_free,
                                           .copy = bank_copy};

static mn_module *bank_new(const mn_module_class *class)
{
    bank *b = (bank *)mn_module_new(class);
    b->scale = malloc(sizeof *b->scale);
    b->scale[0] = mn_parameter(MN_F32, 1, (int64_t[]){4});
    return mn_module_finish(&b->base);
}

START_TEST(parameters_on_the_heap_are_computed_too)
{
    setup();
    mn_module *m = mn_nn_weight_norm(bank_new(&bank_class), "scale", -1);
    bank *b = (bank *)m;
    mn_module_init(m, 1);
    mn_tensor *own = b->scale[0], **place = b->scale;
    mn_tensor_fill(mn_module_get(m, "parametrizations.scale.original0"), 2);
    mn_tensor *x = drawn(1, 5, 4), *length = mn_norm(t, own, 2);
    mn_tensor *want = mn_mul_scalar(t, mn_div(t, mn_mul(t, x, own), length), 2);
    for (int eval = 0; eval < 2; eval++) {
        ck_assert_double_le(difference(mn_module_forward(m, t, x), want), 1e-6);
        ck_assert_ptr_eq(b->scale, place);
        ck_assert_ptr_eq(b->scale[0], own);
        ck_assert_int_eq(b->passes, 1);
        mn_module_eval(m);
    }
    mn_module *copy = mn_module_clone(m);
    mn_module_free(m);
    ck_assert_double_le(difference(mn_module_forward(copy, t, x), want), 1e-6);
    mn_module_free(copy);
    done();
}
END_TEST

/* A class that frees memory, but whose parameter stands in the struct: passes in eval, which work on a copy
 * of that, leave the memory alone. */
typedef struct scaled {
    mn_module base;
    mn_tensor *weight;
    char *note;
} scaled;

static mn_error scaled_forward(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    const scaled *s = (const scaled *)m;
    ck_assert_str_eq(s->note, "kept");
    out[0] = mn_mul(tape, in[0], s->weight);
    return mn_tape_error(tape);
}

static void scaled_visit(mn_module *m, mn_visitor *v)
{
    mn_visit_parameter(v, "weight", &((scaled *)m)->weight, mn_init_uniform(-1, 1));
}

static void scaled_free(mn_module *m)
{
    free(((scaled *)m)->note);
}

START_TEST(memory_beside_a_parameter_stays)
{
    static const mn_module_class cls = {.name = "Scaled",
                                        .size = sizeof(scaled),
                                        .n_in = 1,
                                        .n_out = 1,
                                        .forward = scaled_forward,
                                        .visit = scaled_visit,
                                        .free = scaled_free};
    setup();
    scaled *s = (scaled *)mn_module_new(&cls);
    s->weight = mn_parameter(MN_F32, 2, (int64_t[]){3, 4});
    s->note = strcpy(malloc(5), "kept");
    mn_module *m = mn_nn_weight_norm(mn_module_finish(&s->base), "weight", 0);
    ck_assert_int_eq(mn_module_init(m, 1), MN_OK);
    mn_tensor *x = drawn(1, 3, 4), *y = mn_module_forward(m, t, x);
    mn_module_eval(m);
    for (int i = 0; i < 3; i++)
        ck_assert(difference(mn_module_forward(m, t, x), y) == 0); /* exact */
    mn_module_free(m);
    done();
}
END_TEST

START_TEST(a_weight_of_yours_has_values)
{
    setup();
    float data[12];
    for (int i = 0; i < 12; i++) data[i] = (float)(i % 5 + 1);
    mn_tensor *x = drawn(1, 5, 4);
    for (int spectral = 0; spectral < 2; spectral++) {
        mn_module *m = trained(4, 3);
        mn_tensor *w = mn_tensor_from(MN_F32, 2, (int64_t[]){3, 4}, data);
        mn_tensor_set_requires_grad(w, true);
        ck_assert_int_eq(mn_module_set(m, "weight", w), MN_OK);
        mn_release(w);
        mn_module_eval(m);
        mn_tensor *before = mn_module_forward(m, t, x);
        m = spectral ? mn_nn_spectral_norm(m, "weight", NULL) : mn_nn_weight_norm(m, "weight", 0);
        mn_tensor *after = mn_module_forward(m, t, x);
        ck_assert_ptr_nonnull(after);
        if (!spectral) ck_assert(difference(after, before) < 1e-5);
        mn_module_free(m);
    }
    done();
}
END_TEST

START_TEST(but_not_those_that_nobody_can_copy)
{
    setup();
    mn_module_class class = bank_class;
    class.copy = NULL;
    ck_assert_ptr_null(mn_nn_weight_norm(bank_new(&class), "scale", -1));
    ck_assert_int_eq(mn_last_error(), MN_ERR_STATE);
    ck_assert_str_eq(mn_last_message(), "weight_norm: \"scale\" does not stand in the struct of "
                                        "Bank, whose class has no `copy`");
    mn_clear_last_error();
    done();
}
END_TEST

START_TEST(null_arguments_are_errors)
{
    setup();
    ck_assert_ptr_null(mn_nn_weight_norm(NULL, "weight", 0));
    ck_assert_str_eq(mn_last_message(), "weight_norm: the module is NULL");
    mn_clear_last_error();
    ck_assert_ptr_null(mn_nn_spectral_norm(mn_nn_linear(4, 3, NULL), NULL, NULL));
    ck_assert_str_eq(mn_last_message(), "spectral_norm: the name is NULL");
    mn_clear_last_error();
    ck_assert_ptr_null(mn_nn_spectral_norm(mn_nn_linear(0, 3, NULL), "weight", NULL));
    ck_assert_str_eq(mn_last_message(),
                     "linear: 0 in_features and 3 out_features; at least 1 each");
    mn_clear_last_error();
    done();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {a_trained_layer_keeps_its_values,
                            sigma_is_the_largest_singular_value,
                            hooks_owners_and_dtype_stay,
                            a_failed_pass_leaves_the_layer_as_it_was,
                            a_summary_shows_what_computes,
                            first_values_fit_each_other,
                            spectral_norm_needs_vectors,
                            passes_of_one_step_keep_their_vectors_and_checkpoints_find_them,
                            running_statistics_of_a_computed_weight_are_found,
                            parameters_on_the_heap_are_computed_too,
                            memory_beside_a_parameter_stays,
                            a_weight_of_yours_has_values,
                            but_not_those_that_nobody_can_copy,
                            null_arguments_are_errors};
    return run_suite("parametrize", tests, sizeof tests / sizeof *tests);
}
