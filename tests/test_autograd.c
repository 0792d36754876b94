/*
 * The tape, its scopes and memory, the engine, hooks, and what is refused. Gradients of single ops are in
 * test_gradients.c.
 */
#include "autograd/tape.h"
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdint.h>
#include <stdlib.h>
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
    mn_tape_free(t);
    ck_assert_int_eq((int)mn_live_allocations(), 0);
}

/* The tape has this error, with these words in its text; cleared for what follows. */
static void refused(mn_error code, const char *words)
{
    ck_assert_int_eq((int)mn_tape_error(t), (int)code);
    ck_assert_msg(strstr(mn_tape_message(t), words) != NULL, "\"%s\" is not in \"%s\"", words,
                  mn_tape_message(t));
    ck_assert_str_eq(mn_tape_message(t), mn_last_message());
    mn_tape_clear_error(t);
}

static mn_tensor *own(double value, bool grad)
{
    mn_tensor *x = mn_tensor_full(MN_F64, 0, NULL, value);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(x, grad), MN_OK);
    return x;
}

static double grad_of(const mn_tensor *x)
{
    ck_assert_ptr_nonnull(mn_tensor_grad(x));
    return mn_tensor_item(mn_tensor_grad(x));
}

/* A hook that counts its calls. */
static mn_tensor *times_ten(mn_tape *tape, mn_tensor *grad, void *user)
{
    ++*(int *)user;
    return mn_mul_scalar(tape, grad, 10);
}

/* ---- backward ---- */

START_TEST(gradients_accumulate_over_passes_until_they_are_zeroed)
{
    begin();
    mn_tensor *x = own(3, true);
    ck_assert_ptr_null(mn_tensor_grad(x));
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq((int)mn_backward(t, mn_mul(t, x, x)), MN_OK);
        ck_assert_double_eq(grad_of(x), 6.0 * i);
    }
    const mn_tensor *address = mn_tensor_grad(x);
    mn_tensor_zero_grad(x);
    ck_assert_ptr_null(mn_tensor_grad(x));
    mn_tape_reset(t);
    mn_backward(t, mn_mul_scalar(t, x, 5));
    ck_assert_double_eq(grad_of(x), 5);
    ck_assert_ptr_eq(mn_tensor_grad(x), address);
    mn_release(x);
    end();
}
END_TEST

START_TEST(a_value_used_many_times_gets_the_sum_of_its_contributions)
{
    begin();
    mn_tensor *x = own(2, true);
    mn_tensor *h = mn_mul_scalar(t, x, 3);                      /* 6 */
    mn_tensor *y = mn_add(t, mn_mul(t, h, h), mn_add(t, h, h)); /* h^2 + 2h */
    y = mn_add(t, y, mn_sub(t, h, mn_mul(t, h, x)));            /* + h - hx */
    mn_backward(t, y);
    /* 9x^2 + 9x - 3x^2: 12x + 9 */
    ck_assert_double_eq_tol(grad_of(x), 12 * 2 + 9, 1e-12);
    mn_release(x);
    end();
}
END_TEST

START_TEST(shared_contributions_are_not_summed_over_each_other)
{
    /* add hands the same gradient to both inputs; one of them then gets more. */
    begin();
    mn_tensor *a = mn_tensor_ones(MN_F32, 1, (int64_t[]){3});
    mn_tensor *b = mn_tensor_ones(MN_F32, 1, (int64_t[]){3});
    mn_tensor_set_requires_grad(a, true);
    mn_tensor_set_requires_grad(b, true);
    mn_tensor *u = mn_mul_scalar(t, a, 1), *v = mn_mul_scalar(t, b, 1);
    mn_tensor *y = mn_add(t, mn_sum(t, mn_mul_scalar(t, u, 10)), mn_sum(t, mn_add(t, u, v)));
    mn_backward(t, y);
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(a), (int64_t[]){1}), 11);
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(b), (int64_t[]){1}), 1);
    mn_release(a), mn_release(b);
    end();
}
END_TEST

START_TEST(backward_takes_several_outputs_and_cotangents)
{
    begin();
    mn_tensor *x = mn_tensor_from(MN_F64, 1, (int64_t[]){2}, (double[]){1, 2});
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *out[] = {mn_mul(t, x, x), mn_sum(t, x)};
    mn_tensor *v[] = {mn_from(t, MN_F64, 1, (int64_t[]){2}, (double[]){10, 100}),
                      mn_scalar(t, MN_F64, 7)};
    mn_backward_opts o = {.cotangents = v, .retain_graph = true};
    ck_assert_int_eq((int)mn_backward_from(t, out, 2, &o), MN_OK);
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){0}), 27);
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){1}), 407);
    ck_assert_int_eq((int)mn_backward_from(t, out, 2, &o), MN_OK); /* retained */
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){1}), 814);

    ck_assert_int_ne((int)mn_backward(t, out[0]), MN_OK);
    refused(MN_ERR_SHAPE, "[2], not one element");
    v[0] = v[1];
    mn_backward_from(t, out, 2, &o);
    refused(MN_ERR_SHAPE, "cotangent 0 is f64 [], its output f64 [2]");
    mn_backward_from(t, out, 0, NULL);
    refused(MN_ERR_ARGUMENT, "no outputs");
    mn_release(x);
    end();
}
END_TEST

START_TEST(roots_may_be_repeated_and_lie_on_each_others_way)
{
    begin();
    mn_tensor *x = own(3, true), *h = mn_mul(t, x, x), *y = mn_mul(t, h, x), *g[3];
    mn_tensor *roots[] = {y, h, h}, *in[] = {h, x, y};
    mn_tensor *v[] = {mn_scalar(t, MN_F64, 2), mn_scalar(t, MN_F64, 10), mn_scalar(t, MN_F64, 100)};
    mn_backward_opts o = {.cotangents = v, .retain_graph = true};
    ck_assert_int_eq((int)mn_backward_from(t, roots, 3, &o), MN_OK);
    ck_assert_double_eq(grad_of(x), 2 * 27 + 110 * 6);
    ck_assert_int_eq((int)mn_grad(t, roots, 2, in, 3, g, &(mn_grad_opts){.retain_graph = true}),
                     MN_OK);
    ck_assert_double_eq(mn_tensor_item(g[0]), 4);
    ck_assert_double_eq(mn_tensor_item(g[1]), 33);
    ck_assert_double_eq(mn_tensor_item(g[2]), 1);
    ck_assert_int_eq((int)mn_grad(t, &x, 1, &x, 1, g, NULL), MN_OK);
    ck_assert_double_eq(mn_tensor_item(g[0]), 1);
    mn_release(x);
    end();
}
END_TEST

START_TEST(several_passes_share_one_tape_and_cost_only_what_they_touch)
{
    begin();
    mn_tensor *x = own(1, true);
    for (int i = 0; i < 1000; i++) mn_backward(t, mn_mul_scalar(t, x, 2));
    ck_assert_double_eq(grad_of(x), 2000);
    ck_assert_int_eq((int)mn_tape_error(t), MN_OK);
    mn_release(x);
    end();
}
END_TEST

START_TEST(several_grads_share_one_tape_and_cost_only_what_they_touch)
{
    begin();
    mn_tensor *x = own(1, true), *long_ago = x;
    int calls = 0;
    for (int i = 0; i < 100000; i++) long_ago = mn_mul_scalar(t, long_ago, 1);
    mn_register_hook(t, x, times_ten, &calls);
    for (int i = 0; i < 2000; i++) { /* 2 10^8 nodes, were the chain looked at each time */
        mn_tensor *y = mn_mul_scalar(t, x, 2), *g;
        ck_assert_int_eq((int)mn_grad(t, &y, 1, &x, 1, &g, NULL), MN_OK);
        ck_assert_double_eq(mn_tensor_item(g), 20);
    }
    ck_assert_int_eq(calls, 2000);
    mn_tensor *g[2], *in[] = {x, long_ago}, *y = mn_mul(t, x, mn_mul(t, long_ago, long_ago));
    ck_assert_int_eq((int)mn_grad(t, &y, 1, in, 2, g, NULL), MN_OK); /* through all of it */
    ck_assert_double_eq(mn_tensor_item(g[0]), 30);
    ck_assert_double_eq(mn_tensor_item(g[1]), 2);
    ck_assert_int_eq(calls, 2001);
    mn_release(x);
    end();
}
END_TEST

START_TEST(inputs_that_need_no_gradient_get_none)
{
    begin();
    mn_tensor *x = own(3, true), *c = own(4, false);
    mn_tensor *y = mn_mul(t, x, c);
    ck_assert(mn_tensor_requires_grad(y));
    ck_assert(!mn_tensor_requires_grad(mn_mul(t, c, c)));
    mn_backward(t, y);
    ck_assert_double_eq(grad_of(x), 4);
    ck_assert_ptr_null(mn_tensor_grad(c));
    mn_release(x), mn_release(c);
    end();
}
END_TEST

/* ---- mn_grad ---- */

START_TEST(grad_returns_tensors_and_leaves_grad_alone)
{
    begin();
    mn_tensor *x = own(3, true), *w = own(2, true), *g[2];
    mn_tensor *h = mn_mul(t, x, x), *y = mn_mul(t, h, w);
    mn_tensor *in[] = {h, x};
    ck_assert_int_eq((int)mn_grad(t, &y, 1, in, 2, g, NULL), MN_OK);
    ck_assert_double_eq(mn_tensor_item(g[0]), 2);
    ck_assert_double_eq(mn_tensor_item(g[1]), 12);
    ck_assert_ptr_null(mn_tensor_grad(x));
    ck_assert_ptr_null(mn_tensor_grad(w));
    mn_release(x), mn_release(w);
    end();
}
END_TEST

START_TEST(grad_of_grad_of_grad)
{
    begin();
    mn_tensor *x = own(2, true);
    mn_tensor *y = mn_mul(t, mn_mul(t, x, x), mn_mul(t, x, x)); /* x^4 */
    const double expected[] = {32, 48, 48, 24};
    for (int order = 0; order < 4; order++) {
        mn_tensor *g;
        mn_grad_opts o = {.create_graph = true};
        ck_assert_int_eq((int)mn_grad(t, &y, 1, &x, 1, &g, &o), MN_OK);
        ck_assert_double_eq_tol(mn_tensor_item(g), expected[order], 1e-9);
        y = g;
    }
    mn_release(x);
    end();
}
END_TEST

START_TEST(grad_names_unused_inputs_or_gives_null)
{
    begin();
    mn_tensor *x = own(3, true), *w = own(2, true), *z = own(1, false);
    mn_tensor *y = mn_mul(t, x, x), *in[] = {x, w}, *g[2];
    mn_grad(t, &y, 1, in, 2, g, &(mn_grad_opts){.retain_graph = true});
    ck_assert(!g[0] && !g[1]);
    refused(MN_ERR_STATE, "no output depends on input 1");
    ck_assert_int_eq((int)mn_grad(t, &y, 1, in, 2, g, &(mn_grad_opts){.allow_unused = true}),
                     MN_OK);
    ck_assert(g[0] && !g[1]);
    mn_grad(t, &y, 1, &z, 1, g, NULL);
    refused(MN_ERR_STATE, "input 0 does not require grad");
    mn_release(x), mn_release(w), mn_release(z);
    end();
}
END_TEST

/* A backward function that differentiates inside itself, as checkpointing does. */
static void nested_backward(mn_tape *tape, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *again = mn_detach(tape, mn_saved(n, 0));
    mn_tensor_set_requires_grad(again, true);
    mn_scope s = mn_scope_begin(tape, MN_ENABLE_GRAD);
    mn_tensor *y = mn_mul(tape, again, mn_mul(tape, again, mn_saved(n, 1)));
    mn_tensor *in[] = {again, mn_saved(n, 1)}, *g[2];
    mn_grad(tape, &y, 1, in, 2, g, &(mn_grad_opts){.cotangents = gy});
    gx[0] = g[0];
    gx[1] = g[1];
    mn_scope_end(tape, s, g, 2);
}
static const mn_op nested_op = {.name = "nested", .backward = nested_backward};

START_TEST(passes_nest_without_disturbing_the_pass_around)
{
    begin();
    mn_tensor *x = own(3, true), *w = own(5, true);
    mn_tensor *in[] = {x, w};
    ck_assert(mn_op_begin(t, &nested_op, in, 2));
    mn_tensor *y = mn_full(t, MN_F64, 0, NULL, 9 * 5);
    mn_node *n = mn_op_record(t, &nested_op, in, 2, &y, 1);
    mn_save(n, x), mn_save(n, w);
    y = mn_op_end(t, y);
    /* w has pending contributions of the outer pass when the inner one asks for its gradient. */
    mn_tensor *z = mn_add(t, mn_mul_scalar(t, y, 2), mn_mul_scalar(t, w, 100));
    mn_backward(t, z);
    ck_assert_str_eq(mn_tape_message(t), "");
    ck_assert_double_eq(grad_of(x), 2 * 2 * 3 * 5);
    ck_assert_double_eq(grad_of(w), 2 * 9 + 100);
    mn_release(x), mn_release(w);
    end();
}
END_TEST

static mn_tensor *origin; /* of what peek saved */

/* gx = gy * d(h^2)/d origin, by a pass of its own through the graph that h came from. */
static void peek_backward(mn_tape *tape, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *h = mn_saved(n, 0), *square = mn_mul(tape, h, h), *g;
    mn_grad(tape, &square, 1, &origin, 1, &g, &(mn_grad_opts){.retain_graph = true});
    gx[0] = mn_mul(tape, gy[0], g);
}
static const mn_op peek_op = {.name = "peek", .backward = peek_backward};

START_TEST(a_nested_pass_does_not_hide_the_way_of_the_pass_around)
{
    begin();
    mn_tensor *x = own(3, true), *h = mn_mul(t, x, x), *g;
    origin = x;
    ck_assert(mn_op_begin(t, &peek_op, &h, 1));
    mn_tensor *y = mn_full(t, MN_F64, 0, NULL, 1);
    mn_node *n = mn_op_record(t, &peek_op, &h, 1, &y, 1);
    mn_save(n, h);
    y = mn_op_end(t, y);
    ck_assert_int_eq((int)mn_grad(t, &y, 1, &x, 1, &g, &(mn_grad_opts){.create_graph = true}),
                     MN_OK);
    ck_assert_double_eq(mn_tensor_item(g), 4 * 27 * 2 * 3);
    mn_release(x);
    end();
}
END_TEST

/* ---- ops with several outputs ---- */

/* (a + b, a - b) */
static void both_backward(mn_tape *tape, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    mn_tensor *s = gy[0] ? gy[0] : mn_zeros_like(tape, gy[1]);
    mn_tensor *d = gy[1] ? gy[1] : mn_zeros_like(tape, gy[0]);
    gx[0] = mn_add(tape, s, d);
    gx[1] = mn_sub(tape, s, d);
}
static const mn_op both_op = {.name = "both", .backward = both_backward};

static void both(mn_tensor *a, mn_tensor *b, mn_tensor **out)
{
    mn_tensor *in[] = {a, b};
    ck_assert(mn_op_begin(t, &both_op, in, 2));
    out[0] = mn_full(t, MN_F64, 0, NULL, mn_tensor_item(a) + mn_tensor_item(b));
    out[1] = mn_full(t, MN_F64, 0, NULL, mn_tensor_item(a) - mn_tensor_item(b));
    mn_op_record(t, &both_op, in, 2, out, 2);
    mn_op_end(t, out[0]);
}

START_TEST(each_output_of_an_op_may_be_used_or_not)
{
    begin();
    mn_tensor *a = own(5, true), *b = own(2, true), *out[2], *g[2], *in[] = {a, b};
    both(a, b, out);
    mn_tensor *y = mn_mul(t, out[0], out[1]); /* a^2 - b^2 */
    mn_grad(t, &y, 1, in, 2, g, NULL);
    ck_assert_double_eq(mn_tensor_item(g[0]), 10);
    ck_assert_double_eq(mn_tensor_item(g[1]), -4);
    both(a, b, out);
    mn_grad(t, &out[1], 1, in, 2, g, NULL);
    ck_assert_double_eq(mn_tensor_item(g[0]), 1);
    ck_assert_double_eq(mn_tensor_item(g[1]), -1);
    ck_assert_int_eq((int)mn_tape_error(t), MN_OK);
    mn_release(a), mn_release(b);
    end();
}
END_TEST

static void bad_shape_backward(mn_tape *tape, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n, (void)gy;
    gx[0] = mn_zeros(tape, MN_F64, 1, (int64_t[]){3});
}
static const mn_op bad_shape_op = {.name = "bad", .backward = bad_shape_backward};

START_TEST(a_gradient_of_the_wrong_shape_is_named_and_marks_what_was_touched)
{
    begin();
    mn_tensor *x = own(3, true), *w = own(2, true);
    ck_assert(mn_op_begin(t, &bad_shape_op, &x, 1));
    mn_tensor *y = mn_full(t, MN_F64, 0, NULL, 1);
    mn_op_record(t, &bad_shape_op, &x, 1, &y, 1);
    y = mn_op_end(t, y);
    mn_tensor *w2 = mn_mul_scalar(t, w, 2); /* later on the tape: reached first */
    mn_backward(t, mn_add(t, y, w2));
    refused(MN_ERR_SHAPE, "bad backward: the gradient of input 0 has shape [3], the input []");
    mn_optim *sgd = mn_optim_sgd_tensors((mn_tensor *[]){w}, 1, 0.1, NULL);
    if (mn_tensor_grad(w)) {
        ck_assert_int_ne((int)mn_optim_step(sgd, t), MN_OK);
        mn_tape_clear_error(t);
    }
    mn_optim_zero_grad(sgd);
    ck_assert_int_eq((int)mn_backward(t, mn_mul_scalar(t, w, 2)), MN_OK);
    ck_assert_int_eq((int)mn_optim_step(sgd, t), MN_OK);
    ck_assert_double_eq(mn_tensor_item(w), 2 - 0.2);
    mn_optim_free(sgd);
    mn_release(x), mn_release(w);
    end();
}
END_TEST

/* ---- hooks ---- */

static void note(mn_tape *tape, mn_tensor *x, void *user)
{
    (void)tape;
    *(double *)user = mn_tensor_item(mn_tensor_grad(x));
}

START_TEST(hooks_replace_gradients_and_fire_after_accumulation)
{
    begin();
    mn_tensor *x = own(3, true);
    int calls = 0;
    double seen = 0;
    ck_assert_int_eq((int)mn_register_hook(t, x, times_ten, &calls), MN_OK);
    ck_assert_int_eq((int)mn_register_post_accumulate_hook(x, note, &seen), MN_OK);
    mn_tensor *h = mn_mul_scalar(t, x, 2);
    ck_assert_int_eq((int)mn_register_hook(t, h, times_ten, &calls), MN_OK);
    mn_backward(t, mn_add(t, h, h));
    ck_assert_int_eq(calls, 2); /* once each, on the complete gradient */
    ck_assert_double_eq(grad_of(x), 2 * 2 * 10 * 10);
    ck_assert_double_eq(seen, 400);
    mn_tape_reset(t);
    mn_backward(t, mn_mul_scalar(t, x, 1)); /* the leaf's hooks stay, the temporary's is gone */
    ck_assert_int_eq(calls, 3);
    ck_assert_double_eq(seen, 410);
    mn_remove_hooks(x);
    mn_tape_reset(t);
    mn_backward(t, mn_mul_scalar(t, x, 1));
    ck_assert_int_eq(calls, 3);
    mn_register_hook(t, x, NULL, NULL);
    refused(MN_ERR_ARGUMENT, "hook is NULL");
    ck_assert_int_eq((int)mn_register_post_accumulate_hook(NULL, note, NULL), MN_ERR_ARGUMENT);
    mn_release(x);
    end();
}
END_TEST

typedef struct seen {
    double factor, value;
    int calls;
} seen;

static mn_tensor *times_factor(mn_tape *tape, mn_tensor *grad, void *user)
{
    seen *s = user;
    s->value = mn_tensor_item(grad);
    s->calls++;
    return mn_mul_scalar(tape, grad, s->factor);
}

START_TEST(hooks_run_in_order_and_what_is_retained_is_what_they_return)
{
    begin();
    mn_tensor *x = own(3, true), *h = mn_mul(t, x, x), *y = mn_mul_scalar(t, h, 7), *g;
    seen a = {.factor = 2}, b = {.factor = 3};
    double after = 0;
    mn_retain_grad(t, h); /* earlier than the hooks, and seen after them all the same */
    mn_register_hook(t, h, times_factor, &a);
    mn_register_hook(t, h, times_factor, &b);
    mn_register_post_accumulate_hook(x, note, &after);
    ck_assert_int_eq((int)mn_grad(t, &y, 1, &x, 1, &g, &(mn_grad_opts){.retain_graph = true}),
                     MN_OK);
    ck_assert_double_eq(mn_tensor_item(g), 252);
    ck_assert(a.value == 7 && b.value == 14);
    ck_assert_ptr_null(mn_tensor_grad(h)); /* mn_grad touches no gradient */
    ck_assert_double_eq(after, 0);
    ck_assert_int_eq((int)mn_backward(t, y), MN_OK);
    ck_assert_double_eq(grad_of(h), 42);
    ck_assert_double_eq(grad_of(x), 252);
    ck_assert_double_eq(after, 252);
    ck_assert(a.calls == 2 && b.calls == 2);
    mn_register_hook(t, mn_detach(t, h), times_factor, &a);
    refused(MN_ERR_ARGUMENT, "does not require grad");
    mn_remove_hooks(x);
    mn_release(x);
    end();
}
END_TEST

static mn_tensor *keep_it(mn_tape *tape, mn_tensor *grad, void *user)
{
    (void)tape;
    *(mn_tensor **)user = mn_retain(grad);
    return grad;
}

/* A gradient is written over the one that it comes from only where nobody else sees that: here each is seen by
 * somebody. */
START_TEST(gradients_that_others_see_are_not_written_over)
{
    begin();
    const int64_t n = 3;
    mn_tensor *x = mn_tensor_from(MN_F64, 1, &n, (double[]){1, -2, 3}), *g[2], *kept;
    mn_tensor *cotangent = mn_tensor_full(MN_F64, 1, &n, 5);
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *h = mn_mul_scalar(t, x, 2), *y = mn_relu(t, h), *z = mn_mul(t, y, y);
    const mn_grad_opts again = {.retain_graph = true};
    mn_register_hook(t, y, keep_it, &kept);
    mn_retain_grad(t, y);
    ck_assert_int_eq((int)mn_backward(t, mn_sum(t, z)), MN_OK); /* dz/dy = 2 y */
    for (int64_t i = 0; i < n; i++) {
        const double v = i == 1 ? 0 : 4. * (double)(i + 1);
        ck_assert_double_eq(mn_tensor_get(kept, &i), v);
        ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(y), &i), v);
        ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), &i), 2 * v);
    }
    mn_release(kept);
    mn_tape_reset(t);

    /* results of mn_grad, on the way and before it; twice */
    h = mn_mul_scalar(t, x, 2);
    y = mn_relu(t, h);
    z = mn_sum(t, mn_mul(t, y, y));
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_int_eq((int)mn_grad(t, &z, 1, (mn_tensor *[]){h, y}, 2, g, &again), MN_OK);
        for (int64_t i = 0; i < n; i++) {
            const double v = i == 1 ? 0 : 4. * (double)(i + 1);
            ck_assert_double_eq(mn_tensor_get(g[1], &i), v);
            ck_assert_double_eq(mn_tensor_get(g[0], &i), v);
        }
    }
    mn_tape_reset(t);

    /* a cotangent of yours; a gradient that goes two ways */
    y = mn_relu(t, mn_mul_scalar(t, x, 2));
    z = mn_add(t, mn_relu(t, y), mn_sigmoid(t, y));
    mn_tensor_zero_grad(x);
    ck_assert_int_eq((int)mn_backward_from(t, &z, 1, &(mn_backward_opts){.cotangents = &cotangent}),
                     MN_OK);
    for (int64_t i = 0; i < n; i++) {
        const double s = 1 / (1 + exp(-2. * (double)(i + 1)));
        ck_assert_double_eq(mn_tensor_get(cotangent, &i), 5);
        ck_assert_double_eq_tol(mn_tensor_get(mn_tensor_grad(x), &i),
                                i == 1 ? 0 : 10 * (1 + s * (1 - s)), 1e-12);
    }
    mn_release(x);
    mn_release(cotangent);
    end();
}
END_TEST

START_TEST(retained_gradients_of_results_can_be_read_until_the_reset)
{
    begin();
    mn_tensor *x = own(3, true), *h = mn_mul(t, x, x);
    ck_assert_ptr_null(mn_tensor_grad(h));
    ck_assert_int_eq((int)mn_retain_grad(t, h), MN_OK);
    mn_backward(t, mn_mul_scalar(t, h, 7));
    ck_assert_double_eq(grad_of(h), 7);
    mn_retain_grad(t, mn_detach(t, h));
    refused(MN_ERR_ARGUMENT, "does not require grad");
    mn_release(x);
    end();
}
END_TEST

START_TEST(a_temporary_can_be_a_leaf_of_its_step)
{
    begin();
    mn_tensor *x = mn_scalar(t, MN_F64, 3);
    mn_tensor_set_requires_grad(x, true);
    mn_backward(t, mn_mul(t, x, x));
    ck_assert_double_eq(grad_of(x), 6);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(mn_mul(t, x, x), false), MN_ERR_STATE);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(mn_zeros(t, MN_I64, 0, NULL), true),
                     MN_ERR_DTYPE);
    end();
}
END_TEST

/* ---- the entry check ---- */

START_TEST(what_an_op_refuses_names_the_reason)
{
    begin();
    mn_tensor *x = own(3, true);
    mn_tensor_zeros(MN_F32, 1, (int64_t[]){-4}); /* fails, and leaves its reason */
    mn_add(t, x, NULL);
    refused(MN_ERR_ARGUMENT, "size -4 of dimension 0 is negative");

    mn_clear_last_error();
    mn_add(t, x, NULL);
    refused(MN_ERR_ARGUMENT, "add: input 1 is NULL");
    mn_clear_last_error();
    mn_tensor *scalar = mn_mul(t, x, x);
    mn_backward_from(t, NULL, 1, NULL);
    refused(MN_ERR_ARGUMENT, "mn_backward: the list of tensors is NULL");
    mn_clear_last_error();
    mn_grad(t, &scalar, 1, &x, 1, NULL, NULL);
    refused(MN_ERR_ARGUMENT, "mn_grad: the list for the gradients is NULL");
    mn_clear_last_error();
    mn_module_forward(NULL, t, x);
    refused(MN_ERR_ARGUMENT, "mn_module_call: the module is NULL");

    mn_scope s = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *inner = mn_mul_scalar(t, x, 2);
    mn_scope_end(t, s, NULL, 0);
    mn_exp(t, inner);
    refused(MN_ERR_STATE, "freed by its scope");
    mn_scope_end(t, s, NULL, 0);
    refused(MN_ERR_STATE, "already ended");

    mn_tape *other = mn_tape_new(NULL);
    mn_exp(t, mn_scalar(other, MN_F64, 1));
    refused(MN_ERR_STATE, "another tape");
    mn_tensor *kept = mn_retain(mn_mul_scalar(other, x, 2));
    mn_exp(t, kept);
    refused(MN_ERR_STATE, "mn_detach it");
    mn_release(kept);
    mn_tape_free(other);

    mn_tensor *p = mn_parameter(MN_F64, 0, NULL);
    mn_exp(t, p);
    refused(MN_ERR_STATE, "never initialised");
    mn_tensor_fill(p, 1);
    ck_assert_ptr_nonnull(mn_exp(t, p));
    mn_release(p);

    mn_clear_last_error();
    ck_assert_ptr_null(mn_exp(NULL, x));
    ck_assert_str_eq(mn_last_message(), "exp: the tape is NULL");
    mn_release(x);
    end();
}
END_TEST

START_TEST(the_first_error_stays_and_everything_after_it_does_nothing)
{
    begin();
    mn_tensor *x = own(3, true), *v = mn_tensor_zeros(MN_F64, 1, (int64_t[]){2});
    mn_tensor *y = mn_mul(t, x, x);
    ck_assert_ptr_null(mn_add(t, v, mn_zeros(t, MN_F64, 1, (int64_t[]){3})));
    char first[512];
    strcpy(first, mn_tape_message(t));
    ck_assert_ptr_null(mn_add(t, x, NULL));
    ck_assert_ptr_null(mn_exp(t, x));
    ck_assert_int_ne((int)mn_backward(t, y), MN_OK);
    ck_assert_ptr_null(mn_tensor_grad(x));
    mn_tape_reset(t);
    ck_assert_str_eq(mn_tape_message(t), first);
    mn_tape_clear_error(t);
    ck_assert_str_eq(mn_tape_message(t), "");
    ck_assert_ptr_nonnull(mn_exp(t, x));
    mn_release(x), mn_release(v);
    end();
}
END_TEST

/* ---- scopes ---- */

START_TEST(a_scope_frees_what_is_neither_kept_nor_saved)
{
    begin();
    int64_t shape[] = {1000};
    mn_tensor *x = mn_tensor_ones(MN_F32, 1, shape);
    mn_tensor_set_requires_grad(x, true);
    mn_scope s = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *a = mn_add_scalar(t, x, 1); /* not saved by anything */
    mn_tensor *b = mn_mul_scalar(t, a, 2); /* saved by exp's node? no: exp saves its result */
    mn_tensor *c = mn_exp(t, b);           /* saved */
    mn_tensor *d = mn_add_scalar(t, c, 1); /* kept */
    mn_scope_end(t, s, &d, 1);
    ck_assert_int_eq((int)mn_tensor_numel(a), 0);
    ck_assert_int_eq((int)mn_tensor_numel(b), 0);
    ck_assert_int_eq((int)mn_tensor_numel(d), 1000);
    size_t live = mn_tape_stats(t).live_bytes;
    ck_assert(live >= 8000 && live < 12000); /* c and d */
    ck_assert_int_eq((int)mn_backward(t, mn_sum(t, d)), MN_OK);
    ck_assert(fabs(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){5}) - 2 * exp(4)) < 1e-3);
    mn_release(x);
    end();
}
END_TEST

START_TEST(scopes_nest_and_restore_the_grad_mode)
{
    begin();
    mn_tensor *x = own(1, true);
    ck_assert(mn_grad_enabled(t));
    mn_scope outer = mn_scope_begin(t, MN_NO_GRAD);
    ck_assert(!mn_tensor_requires_grad(mn_exp(t, x)));
    mn_scope inner = mn_scope_begin(t, MN_ENABLE_GRAD);
    mn_tensor *kept = mn_add_scalar(t, x, 1);
    ck_assert(mn_tensor_requires_grad(kept));
    mn_scope_end(t, inner, &kept, 1);
    ck_assert(!mn_grad_enabled(t));
    ck_assert(mn_tensor_numel(kept) == 1);
    mn_scope_begin(t, MN_ENABLE_GRAD); /* left open: ended by the outer one */
    mn_scope_end(t, outer, NULL, 0);
    ck_assert(mn_grad_enabled(t));
    ck_assert(mn_tensor_numel(kept) == 0);
    mn_release(x);
    end();
}
END_TEST

START_TEST(an_evaluation_loop_in_scopes_needs_constant_memory)
{
    begin();
    size_t arena = 0, cached = 0;
    for (int i = 0; i < 5000; i++) {
        mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
        mn_tensor *x = mn_zeros(t, MN_F32, 1, (int64_t[]){1 + i % 700});
        mn_sum(t, mn_exp(t, x));
        mn_scope_end(t, s, NULL, 0);
        if (i == 2500) arena = mn_tape_stats(t).arena_bytes, cached = mn_tape_stats(t).cached_bytes;
    }
    ck_assert_uint_eq(mn_tape_stats(t).arena_bytes, arena);
    ck_assert_uint_eq(mn_tape_stats(t).cached_bytes, cached);
    ck_assert_uint_eq(mn_tape_stats(t).live_bytes, 0);
    end();
}
END_TEST

START_TEST(keep_all_keeps_every_intermediate_value)
{
    mn_clear_last_error();
    t = mn_tape_new(&(mn_tape_opts){.keep_all = true});
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    mn_tensor *x = mn_scalar(t, MN_F32, 3);
    mn_scope_end(t, s, NULL, 0);
    ck_assert_double_eq(mn_tensor_item(x), 3);
    end();
}
END_TEST

/* ---- memory ---- */

START_TEST(retained_tensors_outlive_their_tape)
{
    mn_tape *short_lived = mn_tape_new(&(mn_tape_opts){.prefill_bytes = 4096});
    mn_tensor *in_region = mn_retain(mn_scalar(short_lived, MN_F32, 3));
    mn_tensor *large = mn_retain(mn_ones(short_lived, MN_F32, 1, (int64_t[]){4096}));
    ck_assert_uint_eq(mn_tape_stats(short_lived).live_bytes, 0);
    mn_tape_free(short_lived);
    ck_assert_double_eq(mn_tensor_item(in_region), 3);
    ck_assert_double_eq(mn_tensor_get(large, (int64_t[]){4095}), 1);
    mn_release(in_region), mn_release(large);
    ck_assert_int_eq((int)mn_live_allocations(), 0);
}
END_TEST

START_TEST(the_cap_refuses_what_exceeds_it_and_gives_cached_buffers_back_first)
{
    mn_clear_last_error();
    t = mn_tape_new(&(mn_tape_opts){.max_bytes = 1 << 16});
    for (int64_t n = 1000; n < 15000; n += 500) {
        ck_assert_ptr_nonnull(mn_zeros(t, MN_F32, 1, &n));
        mn_tape_reset(t);
        mn_tape_usage u = mn_tape_stats(t);
        ck_assert(u.live_bytes + u.cached_bytes <= 1 << 16);
    }
    ck_assert_ptr_null(mn_zeros(t, MN_F32, 1, (int64_t[]){20000}));
    refused(MN_ERR_MEMORY, "cap of 65536");
    ck_assert_ptr_null(mn_tape_new(&(mn_tape_opts){.max_bytes = 10, .prefill_bytes = 20}));
    ck_assert_ptr_null(mn_tape_new(&(mn_tape_opts){.threads = -1}));
    end();
}
END_TEST

START_TEST(prefilled_memory_serves_the_first_step)
{
    t = mn_tape_new(&(mn_tape_opts){.prefill_bytes = 1 << 20});
    mn_exp(t, mn_scalar(t, MN_F32, 1)); /* slabs and arena */
    int64_t before = mn_live_allocations();
    for (int i = 0; i < 50; i++) mn_zeros(t, MN_F32, 1, (int64_t[]){1000});
    ck_assert_int_eq((int)mn_live_allocations(), (int)before);
    end();
}
END_TEST

START_TEST(freed_buffers_are_reused_across_sizes)
{
    begin();
    mn_zeros(t, MN_F32, 1, (int64_t[]){1000});
    mn_tape_reset(t);
    size_t cached = mn_tape_stats(t).cached_bytes;
    mn_zeros(t, MN_F32, 1, (int64_t[]){900}); /* a smaller last batch */
    ck_assert_uint_eq(mn_tape_stats(t).cached_bytes, 0);
    mn_tape_reset(t);
    ck_assert_uint_eq(mn_tape_stats(t).cached_bytes, cached);
    end();
}
END_TEST

/* ---- the tape as text ---- */

/* As snprintf: the whole length, whatever fits, always terminated. */
static void formats(size_t (*format)(const mn_tape *, char *, size_t), const char *expected)
{
    char text[2000], small[10];
    size_t length = format(t, text, sizeof text);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_uint_eq(format(t, small, sizeof small), length);
    ck_assert_uint_eq(strlen(small), sizeof small - 1);
    ck_assert_uint_eq(format(t, NULL, 0), length);
}

static mn_tensor *square(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    mn_tensor *h = mn_exp(tape, in[0]);
    return mn_mul(tape, h, h);
}

START_TEST(the_tape_prints_every_node_with_its_module_and_what_it_saves)
{
    begin();
    mn_module *net = mn_nn_sequential(mn_nn_linear(2, 3, NULL), mn_nn_tanh());
    mn_module_init(net, 1);
    mn_tensor *y = mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){4, 2}));
    y = mn_checkpoint(t, square, &y, 1, NULL);
    formats(mn_tape_format,
            "%0 leaf() -> f32[3, 2]\n"
            "%1 leaf() -> f32[3]\n"
            "%2 linear(-, %0, %1) -> f32[4, 3]  net.0  saves f32[4, 2], f32[3, 2]  64 bytes\n"
            "%3 tanh(%2) -> f32[4, 3]  net.1  saves f32[4, 3]  64 bytes\n"
            "%4 checkpoint()  saves f32[4, 3]\n" /* which tanh holds already */
            "%5 exp(%3) -> f32[4, 3]  saves f32[4, 3] (dropped)\n"
            "%6 mul(%5, %5) -> f32[4, 3]  saves f32[4, 3] (dropped), f32[4, 3] (dropped)\n"
            "7 nodes save 128 bytes\n");
    mn_backward(t, mn_sum(t, y));
    char text[2000];
    mn_tape_format(t, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "%4 checkpoint()  freed\n"));
    ck_assert_ptr_nonnull(strstr(text, "8 nodes save 0 bytes\n"));
    mn_module_free(net);
    end();
    ck_assert_uint_eq(mn_tape_format(NULL, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
}
END_TEST

static const mn_op quoted_op = {.name = "a \"b\\\"", .backward = both_backward};

START_TEST(the_tape_is_a_graph_for_graphviz)
{
    begin();
    mn_module *net = mn_nn_sequential(mn_nn_sequential(mn_nn_linear(2, 3, NULL)), mn_nn_tanh());
    mn_module_init(net, 1);
    mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){4, 2}));
    formats(mn_tape_format_dot,
            "digraph tape {\n"
            "    node [shape=box];\n"
            "    n0 [label=\"leaf\\nf32[3, 2]\", shape=ellipse];\n"
            "    n1 [label=\"leaf\\nf32[3]\", shape=ellipse];\n"
            "    subgraph \"cluster_net\" { label=\"net\"; subgraph \"cluster_net.0\" { "
            "label=\"net.0\"; subgraph \"cluster_net.0.0\" { label=\"net.0.0\"; n2 "
            "[label=\"linear\\nf32[4, 3]\\nsaves 64 bytes\"]; } } }\n"
            "    subgraph \"cluster_net\" { label=\"net\"; subgraph \"cluster_net.1\" { "
            "label=\"net.1\"; n3 [label=\"tanh\\nf32[4, 3]\\nsaves 64 bytes\"]; } }\n"
            "    n0 -> n2;\n"
            "    n1 -> n2;\n"
            "    n2 -> n3;\n"
            "}\n");
    mn_tape_reset(t);
    mn_tensor *x = own(2, true), *out[2], *in[] = {x, x};
    for (int k = 0; k < 2; k++) out[k] = mn_full(t, MN_F64, 0, NULL, 1);
    ck_assert(mn_op_begin(t, &quoted_op, in, 2));
    mn_op_record(t, &quoted_op, in, 2, out, 2);
    mn_exp(t, mn_op_end(t, out[1]));
    formats(mn_tape_format_dot, "digraph tape {\n"
                                "    node [shape=box];\n"
                                "    n0 [label=\"leaf\\nf64[]\", shape=ellipse];\n"
                                "    n1 [label=\"a \\\"b\\\\\\\"\\nf64[]\\nf64[]\"];\n"
                                "    n2 [label=\"exp\\nf64[]\\nsaves 64 bytes\"];\n"
                                "    n0 -> n1;\n"
                                "    n0 -> n1;\n"
                                "    n1 -> n2 [label=\"1\"];\n"
                                "}\n");
    mn_release(x);
    mn_module_free(net);
    end();
}
END_TEST

START_TEST(errors_name_module_op_and_shapes_also_in_the_backward_pass)
{
    begin();
    mn_module *net = mn_nn_sequential(mn_nn_flatten(), mn_nn_linear(2, 3, NULL), mn_nn_tanh());
    mn_module_init(net, 1);
    mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){4, 5}));
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "net.1 (linear): "));
    ck_assert_ptr_nonnull(strstr(mn_tape_message(t), "[4, 5]"));
    refused(MN_ERR_SHAPE, "[3, 2]");
    mn_tensor *y = mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){4, 2}));
    mn_tensor_mutable_data(mn_detach(t, y)); /* a write behind the graph's back */
    mn_backward_opts o = {.cotangents = (mn_tensor *[]){mn_ones(t, MN_F32, 2, (int64_t[]){4, 3})}};
    mn_backward_from(t, &y, 1, &o);
    refused(MN_ERR_STATE, "overwritten");
    mn_module_free(net);
    end();
}
END_TEST

/* ---- anomalies ---- */

static mn_tensor *vec(int n, const double *values, bool grad)
{
    mn_tensor *x = mn_from(t, MN_F64, 1, (int64_t[]){n}, values);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(x, grad), MN_OK);
    return x;
}

START_TEST(the_op_that_makes_the_first_nan_is_named)
{
    begin();
    mn_tensor *x = vec(4, (double[]){1, 2, 0, 3}, false);
    mn_tensor *m = mn_reshape(t, x, 2, (int64_t[]){2, 2});
    ck_assert_ptr_nonnull(mn_div(t, x, x)); /* not asked for */
    mn_tape_detect_anomaly(t, true);
    ck_assert_ptr_null(mn_div(t, m, m));
    refused(MN_ERR_STATE, "div: element [1, 0] of the result is nan, but every input is finite");
    mn_tensor *turned = mn_transpose(t, m, 0, 1);
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD); /* without recording, and of a view */
    mn_log(t, turned);
    refused(MN_ERR_STATE, "log: element [0, 1] of the result is -inf");
    mn_log(t, mn_to(t, turned, MN_F32));
    refused(MN_ERR_STATE, "log: element [0, 1] of the result is -inf");
    mn_scope_end(t, s, NULL, 0);

    /* What was there before is nobody's fault, in place as well. */
    mn_tensor *odd = vec(2, (double[]){(double)NAN, (double)-INFINITY}, false);
    ck_assert_ptr_nonnull(mn_mul_scalar(t, mn_sub(t, odd, odd), 0));
    ck_assert_ptr_nonnull(mn_relu_(t, odd));
    ck_assert_ptr_nonnull(mn_full(t, MN_F64, 0, NULL, (double)INFINITY));
    const double infinite = (double)INFINITY;
    mn_tensor *mask = mn_gt_scalar(t, x, 1);
    ck_assert_ptr_nonnull(mn_pad(t, x, (int64_t[]){1, 1}, 2, MN_PAD_CONSTANT, -infinite));
    ck_assert_ptr_nonnull(mn_softmax(t, mn_masked_fill(t, x, mask, -infinite), 0));
    ck_assert_ptr_nonnull(
        mn_fill_(t, mn_masked_fill_(t, mn_clone(t, x), mask, infinite), infinite));
    mn_tensor *first = mn_zeros(t, MN_I64, mn_tensor_ndim(x), (int64_t[]){1, 1, 1});
    ck_assert_ptr_nonnull(mn_scatter_scalar(t, x, 0, first, -infinite));
    static const mn_op fills = {.name = "fills", .flags = MN_OP_FILLS};
    static const mn_op spoils = {.name = "spoils_"};
    const mn_op *ops[] = {&fills, &spoils};
    for (int i = 0; i < 2; i++) {
        x = vec(2, (double[]){1, 2}, false);
        ck_assert(mn_op_begin(t, ops[i], &x, 1));
        mn_tensor *y = mn_op_overwrite(t, x);
        mn_tensor_set(y, (int64_t[]){1}, (double)INFINITY);
        mn_op_record(t, ops[i], &x, 1, &y, 1);
        ck_assert((mn_op_end(t, y) != NULL) == (i == 0));
    }
    refused(MN_ERR_STATE, "spoils_: element [1] of the result is inf, but every input is finite");
    mn_tape_detect_anomaly(t, false);
    ck_assert_ptr_nonnull(mn_log(t, turned));
    end();
}
END_TEST

static mn_tensor *to_nan(mn_tape *tape, mn_tensor *grad, void *user)
{
    (void)user;
    return mn_mul_scalar(tape, grad, (double)NAN);
}

START_TEST(the_gradient_that_makes_the_first_nan_is_named)
{
    mn_clear_last_error();
    t = mn_tape_new(&(mn_tape_opts){.detect_anomaly = true});
    mn_module *net = mn_nn_sequential(mn_nn_linear(2, 2, NULL), mn_nn_relu(NULL));
    mn_module_init(net, 1);
    mn_module_to(net, MN_F64);
    mn_tensor *x = vec(2, (double[]){4, 0}, true), *w = vec(2, (double[]){1, 1}, true);
    mn_tensor *root = mn_sqrt(t, x); /* 1 / (2 sqrt(0)) */
    for (int create_graph = 0; create_graph < 2; create_graph++) {
        mn_tensor *y = mn_sum(t, mn_mul(t, w, root)), *g;
        mn_grad(t, &y, 1, &x, 1, &g,
                &(mn_grad_opts){.create_graph = create_graph, .retain_graph = true});
        refused(MN_ERR_STATE, "sqrt backward: element [1] of the gradient of input 0 is inf, but "
                              "that of its result is finite");
    }
    mn_tensor *y = mn_mul(t, w, mn_log(t, mn_add_scalar(t, x, 1)));
    mn_tensor *infinite = vec(2, (double[]){(double)INFINITY, 1}, false);
    ck_assert_int_eq((int)mn_backward_from(t, &y, 1, &(mn_backward_opts){.cotangents = &infinite}),
                     MN_OK); /* it was there before */
    mn_tensor *h = mn_mul_scalar(t, x, 2);
    mn_register_hook(t, h, to_nan, NULL);
    mn_backward(t, mn_sum(t, h));
    refused(MN_ERR_STATE, "mul_scalar backward: element [0] of the gradient of result 0 is nan, by "
                          "a hook, or as a sum of finite ones");

    /* The module that made the node is named, as in the forward pass. */
    mn_tensor *weight = mn_module_get(net, "0.weight");
    mn_tensor_fill(weight, 1e200);
    mn_tensor *one = mn_full(t, MN_F64, 2, (int64_t[]){1, 2}, 1e-190);
    mn_tensor_set_requires_grad(one, true);
    y = mn_mul_scalar(t, mn_module_forward(net, t, one), 1e120);
    mn_tensor *v = mn_ones_like(t, y);
    mn_backward_from(t, &y, 1, &(mn_backward_opts){.cotangents = &v});
    refused(MN_ERR_STATE, "net.0 (linear backward): element [0, 0] of the gradient of input 0 is "
                          "inf");
    mn_module_forward(net, t, mn_full(t, MN_F64, 2, (int64_t[]){1, 2}, 1e190));
    refused(MN_ERR_STATE, "net.0 (linear): element [0, 0] of the result is inf");
    mn_module_free(net);
    end();
}
END_TEST

/* ---- what must not dangle ---- */

START_TEST(a_temporary_leaf_outlives_its_scope_within_the_step)
{
    begin();
    mn_scope s = mn_scope_begin(t, MN_GRAD_INHERIT);
    mn_tensor *x = mn_ones(t, MN_F32, 1, (int64_t[]){10});
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *y = mn_sum(t, mn_mul_scalar(t, x, 3));
    mn_scope_end(t, s, &y, 1);
    for (int i = 0; i < 3000; i++) { /* through the quarantine of headers */
        s = mn_scope_begin(t, MN_NO_GRAD);
        mn_zeros(t, MN_F32, 1, (int64_t[]){1000});
        mn_scope_end(t, s, NULL, 0);
    }
    ck_assert_int_eq((int)mn_backward(t, y), MN_OK);
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){9}), 3);
    end();
}
END_TEST

static void remove_all(mn_tape *tape, mn_tensor *x, void *user)
{
    (void)tape;
    ++*(int *)user;
    mn_remove_hooks(x);
}

static mn_tensor *remove_then_double(mn_tape *tape, mn_tensor *grad, void *user)
{
    mn_remove_hooks(user);
    return mn_mul_scalar(tape, grad, 2);
}

START_TEST(hooks_may_remove_hooks)
{
    begin();
    mn_tensor *x = own(1, true);
    int calls = 0;
    mn_register_post_accumulate_hook(x, remove_all, &calls);
    mn_register_post_accumulate_hook(x, remove_all, &calls);
    for (int i = 0; i < 2; i++) mn_backward(t, mn_mul_scalar(t, x, 1));
    ck_assert_int_eq(calls, 1); /* the second was removed before its turn */
    mn_tensor_zero_grad(x);
    mn_register_hook(t, x, remove_then_double, x);
    for (int i = 0; i < 2; i++) mn_backward(t, mn_mul_scalar(t, x, 1));
    ck_assert_double_eq(grad_of(x), 2 + 1);
    mn_release(x);
    end();
}
END_TEST

static mn_tensor *free_tape(mn_tape *tape, mn_tensor *grad, void *user)
{
    (void)user;
    mn_tape_reset(tape); /* does nothing */
    mn_tape_free(tape);  /* is refused */
    return grad;
}

START_TEST(a_hook_cannot_pull_the_tape_away)
{
    begin();
    mn_tensor *x = own(1, true);
    mn_register_hook(t, x, free_tape, NULL);
    mn_backward(t, mn_mul_scalar(t, x, 1));
    refused(MN_ERR_STATE, "mn_tape_free inside a hook");
    mn_release(x);
    end();
}
END_TEST

START_TEST(a_retained_result_is_told_from_its_step_after_the_tape_is_gone)
{
    begin();
    mn_tensor *x = own(1, true);
    mn_tensor *kept = mn_retain(mn_mul_scalar(t, x, 2));
    mn_tape_free(t);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(kept, false), MN_ERR_STATE);
    ck_assert_int_eq((int)mn_register_post_accumulate_hook(kept, note, NULL), MN_ERR_ARGUMENT);
    mn_release(kept), mn_release(x);
    ck_assert_int_eq((int)mn_live_allocations(), 0);
}
END_TEST

START_TEST(a_tensor_used_after_the_reset_is_noticed)
{
    begin();
    mn_tensor *old = mn_full(t, MN_F64, 0, NULL, 5);
    mn_tape_reset(t);
    mn_tensor *fresh = mn_full(t, MN_F64, 0, NULL, 7);
    ck_assert_ptr_null(mn_add(t, old, fresh));
    refused(MN_ERR_STATE, "freed by its scope or by mn_tape_reset");
    end();
}
END_TEST

START_TEST(retained_gradients_accumulate_at_one_address_and_leak_nothing)
{
    begin();
    mn_tensor *x = own(3, true), *v = own(1, false);
    mn_tensor *h = mn_mul_scalar(t, x, 2);
    mn_retain_grad(t, h);
    mn_backward_opts o = {.cotangents = &v, .retain_graph = true};
    ck_assert_int_eq((int)mn_backward_from(t, &h, 1, &o), MN_OK);
    const mn_tensor *address = mn_tensor_grad(h);
    ck_assert_int_eq((int)mn_backward_from(t, &h, 1, &o), MN_OK);
    ck_assert_double_eq(grad_of(h), 2);
    ck_assert_ptr_eq(mn_tensor_grad(h), address);
    mn_release(x), mn_release(v);
    end();
}
END_TEST

START_TEST(grad_leaves_the_graph_above_its_inputs_to_others)
{
    begin();
    mn_tensor *w = own(3, true), *g;
    mn_tensor *h = mn_mul(t, w, w);
    mn_tensor *y1 = mn_mul_scalar(t, h, 2), *y2 = mn_mul_scalar(t, h, 3);
    ck_assert_int_eq((int)mn_grad(t, &y1, 1, &h, 1, &g, NULL), MN_OK);
    ck_assert_double_eq(mn_tensor_item(g), 2);
    ck_assert_int_eq((int)mn_backward(t, y2), MN_OK);
    ck_assert_double_eq(grad_of(w), 18);
    mn_release(w);
    end();
}
END_TEST

START_TEST(stale_scopes_are_refused)
{
    begin();
    mn_scope outer = mn_scope_begin(t, MN_NO_GRAD), inner = mn_scope_begin(t, MN_NO_GRAD);
    mn_zeros(t, MN_F32, 0, NULL);
    mn_scope_end(t, outer, NULL, 0);
    mn_scope_begin(t, MN_NO_GRAD), mn_scope_begin(t, MN_NO_GRAD);
    mn_scope_end(t, inner, NULL, 0);
    refused(MN_ERR_STATE, "mn_scope_end");
    mn_tape_reset(t);
    mn_scope_begin(t, MN_NO_GRAD);
    mn_scope_end(t, outer, NULL, 0);
    refused(MN_ERR_STATE, "another step or tape");
    mn_tape *other = mn_tape_new(NULL);
    mn_scope_begin(other, MN_NO_GRAD);
    mn_scope_end(other, mn_scope_begin(t, MN_NO_GRAD), NULL, 0);
    ck_assert_int_eq((int)mn_tape_error(other), MN_ERR_STATE);
    mn_tape_free(other);
    end();
}
END_TEST

static mn_tensor *to_return; /* by the op and the hook below */

static void absent_backward(mn_tape *tape, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)n;
    mn_scope s = mn_scope_begin(tape, MN_NO_GRAD);
    gx[0] = to_return ? to_return : mn_mul_scalar(tape, gy[0], 2); /* freed by its own scope */
    mn_scope_end(tape, s, NULL, 0);
}

static mn_tensor *absent_hook(mn_tape *tape, mn_tensor *grad, void *user)
{
    (void)tape, (void)grad, (void)user;
    return MN_NONE;
}

static mn_tensor *op_with(const mn_op *op, mn_tensor *x)
{
    ck_assert(mn_op_begin(t, op, &x, 1));
    mn_tensor *y = mn_full(t, MN_F64, 0, NULL, 1);
    mn_op_record(t, op, &x, 1, &y, 1);
    return mn_op_end(t, y);
}

START_TEST(a_gradient_that_is_absent_or_freed_is_refused)
{
    begin();
    mn_tensor *x = own(1, true);
    static const mn_op absent = {.name = "absent", .backward = absent_backward};
    static const mn_op without = {.name = "without"};
    to_return = NULL;
    mn_backward(t, op_with(&absent, x));
    refused(MN_ERR_STATE, "freed by its scope");
    to_return = MN_NONE;
    mn_backward(t, op_with(&absent, x));
    refused(MN_ERR_ARGUMENT, "MN_NONE");
    mn_backward(t, op_with(&without, x));
    refused(MN_ERR_STATE, "without backward: the op has no gradient");
    mn_register_hook(t, x, absent_hook, NULL);
    mn_backward(t, mn_mul_scalar(t, x, 1));
    refused(MN_ERR_SHAPE, "a hook returned");
    mn_release(x);
    end();
}
END_TEST

START_TEST(views_share_one_version_and_writes_without_recording_may_change_a_leaf)
{
    begin();
    mn_tensor *x = mn_tensor_ones(MN_F64, 1, (int64_t[]){4});
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *v = mn_reshape(t, x, 2, (int64_t[]){2, 2}), *d = mn_detach(t, v);
    uint32_t version = mn_tensor_version(x);
    ck_assert_uint_eq(mn_tensor_version(v), version);
    ck_assert_ptr_null(mn_relu_(t, x));
    refused(MN_ERR_STATE, "leaf that requires grad");
    ck_assert_ptr_null(mn_relu_(t, v));
    refused(MN_ERR_STATE, "leaf that requires grad");
    ck_assert_uint_eq(mn_tensor_version(x), version);
    mn_relu_(t, d); /* of a detached view: nothing to record */
    ck_assert_uint_eq(mn_tensor_version(x), version + 1);
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    mn_relu_(t, x);
    mn_scope enabled = mn_scope_begin(t, MN_ENABLE_GRAD);
    mn_tensor *y = mn_sum(t, mn_mul_scalar(t, x, 2));
    mn_scope_end(t, enabled, &y, 1);
    mn_scope_end(t, s, &y, 1);
    ck_assert_uint_eq(mn_tensor_version(d), version + 2);
    ck_assert_int_eq((int)mn_backward(t, y), MN_OK); /* recorded inside MN_NO_GRAD */
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){3}), 2);
    mn_release(x);
    end();
}
END_TEST

START_TEST(detach_checks_what_it_is_given)
{
    begin();
    mn_tensor *p = mn_parameter(MN_F64, 0, NULL);
    mn_detach(t, p);
    refused(MN_ERR_STATE, "never initialised");
    mn_detach(t, MN_NONE);
    refused(MN_ERR_ARGUMENT, "MN_NONE");
    mn_release(p);
    end();
}
END_TEST

START_TEST(only_leaves_and_their_views_are_safe_from_overwriting)
{
    mn_clear_last_error();
    t = mn_tape_new(&(mn_tape_opts){.prefill_bytes = 1 << 16});
    mn_tensor *x = own(1, true);
    mn_tensor *h = mn_mul_scalar(t, x, -2), *kept = mn_retain(mn_detach(t, h));
    ck_assert_ptr_nonnull(mn_relu_(t, h)); /* a result, though somebody holds its storage */
    mn_tensor *leaf = mn_retain(mn_detach(t, mn_full(t, MN_F64, 1, (int64_t[]){4}, -4)));
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(leaf, true), MN_OK);
    ck_assert_ptr_null(mn_relu_(t, mn_reshape(t, leaf, 2, (int64_t[]){2, 2})));
    refused(MN_ERR_STATE, "leaf that requires grad");
    ck_assert_double_eq(mn_tensor_get(leaf, (int64_t[]){0}), -4);
    mn_release(kept), mn_release(leaf), mn_release(x);
    end();
}
END_TEST

static void paste_backward(mn_tape *tape, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    (void)tape, (void)n;
    gx[1] = gy[0];
}
static const mn_op paste_op = {.name = "paste_", .backward = paste_backward};

/* x <- y, in place. */
static mn_tensor *paste(mn_tensor *x, mn_tensor *y)
{
    mn_tensor *in[] = {x, y};
    if (!mn_op_begin(t, &paste_op, in, 2)) return NULL;
    mn_tensor *out = mn_op_overwrite(t, x);
    mn_tensor_copy(out, y);
    mn_op_record(t, &paste_op, in, 2, &out, 1);
    return mn_op_end(t, out);
}

static const char lost[] = "add_scalar: input 0 was overwritten by paste_, whose result carries a "
                           "gradient; use its result";

START_TEST(a_plain_handle_does_not_lose_the_gradient_of_what_was_written_into_it)
{
    begin();
    mn_tensor *x = own(3, true), *mine = mn_tensor_zeros(MN_F64, 1, (int64_t[]){2});
    mn_tensor *h = mn_reshape(t, mn_mul(t, x, x), 1, (int64_t[]){1});
    mn_tensor *buffer = mn_zeros(t, MN_F64, 1, (int64_t[]){2});
    mn_tensor *first = mn_narrow(t, buffer, 0, 0, 1), *second = mn_narrow(t, buffer, 0, 1, 1);
    ck_assert_ptr_nonnull(paste(first, mn_ones(t, MN_F64, 1, (int64_t[]){1}))); /* plain */
    ck_assert_ptr_nonnull(mn_add_scalar(t, buffer, 1));
    mn_tensor *y = paste(first, h);
    ck_assert(mn_tensor_requires_grad(y));
    mn_tensor *stale[] = {buffer, first, second};
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_null(mn_add_scalar(t, stale[i], 1));
        refused(MN_ERR_STATE, lost);
    }
    ck_assert(!mn_tensor_requires_grad(mn_add_scalar(t, mn_detach(t, y), 1)));
    mn_tensor *kept = mn_retain(y);
    ck_assert_ptr_nonnull(mn_detach(t, kept));

    /* A tensor of yours is a buffer, too, until the reset; without recording it stays one. */
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    paste(mn_narrow(t, mine, 0, 1, 1), h);
    mn_scope_end(t, s, NULL, 0);
    ck_assert_ptr_nonnull(mn_add_scalar(t, mine, 1));
    y = mn_add(t, y, paste(mn_narrow(t, mine, 0, 0, 1), h));
    ck_assert_ptr_null(mn_add_scalar(t, mine, 1));
    refused(MN_ERR_STATE, lost);
    mn_tape *other = mn_tape_new(NULL);
    ck_assert_ptr_nonnull(mn_add_scalar(other, mine, 1));
    mn_tape_free(other);

    ck_assert_int_eq((int)mn_backward(t, y), MN_OK);
    ck_assert_double_eq(grad_of(x), 12);
    mn_tape_reset(t);
    mn_tensor *later = mn_add_scalar(t, mine, 1);
    ck_assert(!mn_tensor_requires_grad(later));
    ck_assert_double_eq(mn_tensor_get(later, (int64_t[]){0}), 10);
    mn_release(kept), mn_release(x), mn_release(mine);
    end();
}
END_TEST

START_TEST(a_loan_from_the_cache_does_not_count_against_the_cap)
{
    mn_clear_last_error();
    t = mn_tape_new(&(mn_tape_opts){.max_bytes = 4096});
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    mn_zeros(t, MN_U8, 1, (int64_t[]){3500});
    mn_scope_end(t, s, NULL, 0);
    ck_assert_ptr_nonnull(mn_zeros(t, MN_U8, 1, (int64_t[]){1500}));
    ck_assert_ptr_nonnull(mn_zeros(t, MN_U8, 1, (int64_t[]){2000}));
    ck_assert_ptr_null(mn_tape_new(&(mn_tape_opts){.prefill_bytes = SIZE_MAX}));
    end();
}
END_TEST

START_TEST(create_graph_records_sums_of_cotangents_inside_no_grad_too)
{
    begin();
    mn_tensor *x = own(3, true), *v = own(2, true), *g;
    mn_tensor *y = mn_mul(t, x, x), *ys[] = {y, y}, *vs[] = {v, v};
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    mn_grad_opts o = {.cotangents = vs, .create_graph = true};
    ck_assert_int_eq((int)mn_grad(t, ys, 2, &x, 1, &g, &o), MN_OK);
    ck_assert_double_eq(mn_tensor_item(g), 24); /* 2x (v + v) */
    ck_assert_int_eq((int)mn_backward(t, g), MN_OK);
    ck_assert_double_eq(grad_of(v), 12);
    mn_scope_end(t, s, NULL, 0);
    mn_release(x), mn_release(v);
    end();
}
END_TEST

START_TEST(shapes_that_cannot_be_are_refused)
{
    begin();
    int64_t huge[] = {(int64_t)1 << 40, (int64_t)1 << 40, 1}, none[] = {0, huge[0], huge[0]};
    mn_tensor *one = mn_ones(t, MN_F32, 1, (int64_t[]){1});
    ck_assert_ptr_null(mn_expand(t, one, 3, huge));
    refused(MN_ERR_ARGUMENT, "too many elements");
    ck_assert_ptr_null(mn_tensor_empty(MN_F32, 3, none));
    ck_assert_ptr_null(mn_op_view(t, one, 60, huge, NULL, 0));
    refused(MN_ERR_ARGUMENT, "60 dimensions");
    ck_assert_ptr_null(mn_op_overwrite(t, MN_NONE));
    refused(MN_ERR_ARGUMENT, "no storage");
    mn_tensor *x = own(1, true), *out = own(1, false);
    ck_assert_ptr_null(mn_op_record(t, &both_op, &x, 1, &out, 1));
    refused(MN_ERR_ARGUMENT, "output 0 is not a fresh temporary");
    mn_release(x), mn_release(out);
    end();
}
END_TEST

START_TEST(repeated_grads_need_constant_memory)
{
    begin();
    mn_tensor *x = own(3, true), *y = mn_mul(t, x, x);
    size_t arena = 0;
    for (int i = 0; i < 20000; i++) {
        mn_scope s = mn_scope_begin(t, MN_GRAD_INHERIT);
        mn_tensor *g;
        mn_grad(t, &y, 1, &x, 1, &g, &(mn_grad_opts){.retain_graph = true});
        mn_scope_end(t, s, NULL, 0);
        if (i == 5000) arena = mn_tape_stats(t).arena_bytes;
    }
    ck_assert_uint_eq(mn_tape_stats(t).arena_bytes, arena);
    ck_assert_str_eq(mn_tape_message(t), "");
    mn_release(x);
    end();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {gradients_accumulate_over_passes_until_they_are_zeroed,
                            a_value_used_many_times_gets_the_sum_of_its_contributions,
                            shared_contributions_are_not_summed_over_each_other,
                            backward_takes_several_outputs_and_cotangents,
                            roots_may_be_repeated_and_lie_on_each_others_way,
                            several_passes_share_one_tape_and_cost_only_what_they_touch,
                            several_grads_share_one_tape_and_cost_only_what_they_touch,
                            inputs_that_need_no_gradient_get_none,
                            grad_returns_tensors_and_leaves_grad_alone,
                            grad_of_grad_of_grad,
                            grad_names_unused_inputs_or_gives_null,
                            passes_nest_without_disturbing_the_pass_around,
                            a_nested_pass_does_not_hide_the_way_of_the_pass_around,
                            each_output_of_an_op_may_be_used_or_not,
                            a_gradient_of_the_wrong_shape_is_named_and_marks_what_was_touched,
                            hooks_replace_gradients_and_fire_after_accumulation,
                            hooks_run_in_order_and_what_is_retained_is_what_they_return,
                            gradients_that_others_see_are_not_written_over,
                            retained_gradients_of_results_can_be_read_until_the_reset,
                            a_temporary_can_be_a_leaf_of_its_step,
                            what_an_op_refuses_names_the_reason,
                            the_first_error_stays_and_everything_after_it_does_nothing,
                            a_scope_frees_what_is_neither_kept_nor_saved,
                            scopes_nest_and_restore_the_grad_mode,
                            an_evaluation_loop_in_scopes_needs_constant_memory,
                            keep_all_keeps_every_intermediate_value,
                            retained_tensors_outlive_their_tape,
                            the_cap_refuses_what_exceeds_it_and_gives_cached_buffers_back_first,
                            prefilled_memory_serves_the_first_step,
                            freed_buffers_are_reused_across_sizes,
                            the_tape_prints_every_node_with_its_module_and_what_it_saves,
                            the_tape_is_a_graph_for_graphviz,
                            errors_name_module_op_and_shapes_also_in_the_backward_pass,
                            the_op_that_makes_the_first_nan_is_named,
                            the_gradient_that_makes_the_first_nan_is_named,
                            a_temporary_leaf_outlives_its_scope_within_the_step,
                            hooks_may_remove_hooks,
                            a_hook_cannot_pull_the_tape_away,
                            a_retained_result_is_told_from_its_step_after_the_tape_is_gone,
                            a_tensor_used_after_the_reset_is_noticed,
                            retained_gradients_accumulate_at_one_address_and_leak_nothing,
                            grad_leaves_the_graph_above_its_inputs_to_others,
                            stale_scopes_are_refused,
                            a_gradient_that_is_absent_or_freed_is_refused,
                            views_share_one_version_and_writes_without_recording_may_change_a_leaf,
                            detach_checks_what_it_is_given,
                            only_leaves_and_their_views_are_safe_from_overwriting,
                            a_plain_handle_does_not_lose_the_gradient_of_what_was_written_into_it,
                            a_loan_from_the_cache_does_not_count_against_the_cap,
                            create_graph_records_sums_of_cotangents_inside_no_grad_too,
                            shapes_that_cannot_be_are_refused,
                            repeated_grads_need_constant_memory};
    return run_suite("autograd", tests, sizeof tests / sizeof *tests);
}
