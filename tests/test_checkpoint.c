/*
 * tests/test_checkpoint.c: a checkpoint changes memory and time, never a bit of the numbers: every test runs a
 * function with and without it and compares.
 */
#include "rows/rows.h"
#include "support.h"
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
}

/* f with or without the checkpoint. */
static mn_tensor *run(bool checkpointed, mn_function f, mn_tensor *const *in, int n, void *user)
{
    return checkpointed ? mn_checkpoint(t, f, in, n, user) : f(t, in, n, user);
}

static mn_tensor *vec(int64_t n, double value, bool grad)
{
    mn_tensor *x = mn_tensor_full(MN_F64, 1, &n, value);
    ck_assert_int_eq((int)mn_tensor_set_requires_grad(x, grad), MN_OK);
    return x;
}

static void same_bits(const mn_tensor *a, const mn_tensor *b)
{
    ck_assert(mn_tensor_same_shape(a, b) && mn_tensor_dtype(a) == mn_tensor_dtype(b));
    size_t size = (size_t)mn_tensor_numel(a) * mn_dtype_size(mn_tensor_dtype(a));
    ck_assert_int_eq(memcmp(mn_tensor_data(a), mn_tensor_data(b), size), 0);
}

/* ---- a net of blocks ---- */

enum { BLOCKS = 6, WIDTH = 32, BATCH = 64, PARAMETERS = 2 * BLOCKS };

/* Everything that draws, an op in place and ops that save inputs, outputs and other tensors. */
static mn_module *new_net(void)
{
    mn_module *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = mn_nn_sequential(
            mn_nn_linear(WIDTH, WIDTH, NULL),
            mn_nn_rrelu(-0.5, 0.5, &(mn_nn_rrelu_opts){.inplace = i % 2, .recompute = i % 3 == 0}),
            mn_nn_dropout(0.25), mn_nn_tanh(), mn_nn_sigmoid());
    mn_module *net = mn_nn_sequential_n(blocks, BLOCKS);
    ck_assert_int_eq((int)mn_module_init(net, 5), MN_OK);
    return net;
}

static mn_tensor *block(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n;
    return mn_module_forward(user, tape, in[0]);
}

static mn_tensor *nested_block(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *h = mn_mul_scalar(tape, mn_checkpoint(tape, block, in, n, user), 0.5);
    return mn_checkpoint(tape, block, &h, 1, user); /* the same block twice */
}

typedef enum way { PLAIN, EACH, NESTED_PLAIN, NESTED } way;

static mn_tensor *plain_nested_block(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *h = mn_mul_scalar(tape, block(tape, in, n, user), 0.5);
    return block(tape, &h, 1, user);
}

static mn_tensor *forward(mn_module *net, mn_tensor *x, way how)
{
    for (int i = 0; i < BLOCKS; i++) {
        char name[8] = {(char)('0' + i)};
        mn_module *child = mn_module_child(net, name);
        mn_scope s = mn_scope_begin(t, MN_GRAD_INHERIT);
        if (how == PLAIN || how == EACH)
            x = run(how == EACH, block, &x, 1, child);
        else
            x = run(how == NESTED, how == NESTED ? nested_block : plain_nested_block, &x, 1, child);
        mn_scope_end(t, s, &x, 1);
    }
    return x;
}

typedef struct outcome {
    mn_tensor *loss, *gradients[PARAMETERS + 1];
    size_t peak;
} outcome;

/* A step on a fresh net. order 2: the loss has the gradient's square in it. */
static outcome step(way how, int order)
{
    outcome o;
    begin();
    mn_module *net = new_net();
    mn_tensor *x = mn_tensor_full(MN_F32, 2, (int64_t[]){BATCH, WIDTH}, 0.25);
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *loss = mn_sum(t, forward(net, x, how)), *g;
    if (order == 2) {
        ck_assert_int_eq(
            (int)mn_grad(t, &loss, 1, &x, 1, &g, &(mn_grad_opts){.create_graph = true}), MN_OK);
        loss = mn_add(t, loss, mn_sum(t, mn_mul(t, g, g)));
    }
    ck_assert_msg(mn_backward(t, loss) == MN_OK, "%s", mn_tape_message(t));
    mn_named_tensor named[PARAMETERS];
    ck_assert_int_eq(mn_module_parameters(net, named, PARAMETERS), PARAMETERS);
    for (int i = 0; i < PARAMETERS; i++)
        o.gradients[i] = mn_retain(mn_tensor_grad(named[i].tensor));
    o.gradients[PARAMETERS] = mn_retain(mn_tensor_grad(x));
    o.loss = mn_retain(mn_detach(t, loss));
    o.peak = mn_tape_stats(t).peak_bytes;
    /* The generators have gone as far as without. */
    mn_tape_reset(t);
    mn_tensor *next = mn_clone(t, mn_detach(t, forward(net, x, PLAIN)));
    mn_tensor *sum = mn_add(t, mn_detach(t, o.loss), mn_sum(t, next));
    mn_release(o.loss);
    o.loss = mn_retain(sum);
    ck_assert_str_eq(mn_tape_message(t), "");
    mn_tape_free(t);
    mn_release(x);
    mn_module_free(net);
    return o;
}

static void compare(way plain, way checkpointed, int order, double less)
{
    outcome a = step(plain, order), b = step(checkpointed, order);
    same_bits(a.loss, b.loss);
    for (int i = 0; i <= PARAMETERS; i++) same_bits(a.gradients[i], b.gradients[i]);
    ck_assert_msg((double)b.peak < less * (double)a.peak, "peak %zu bytes, %zu without", b.peak,
                  a.peak);
    for (int i = 0; i <= PARAMETERS; i++) mn_release(a.gradients[i]), mn_release(b.gradients[i]);
    mn_release(a.loss), mn_release(b.loss);
    ck_assert_int_eq((int)mn_live_allocations(), 0);
}

START_TEST(gradients_have_the_same_bits_in_less_memory)
{
    compare(PLAIN, EACH, 1, 0.6);
}
END_TEST

START_TEST(checkpoints_nest)
{
    compare(NESTED_PLAIN, NESTED, 1, 0.5);
}
END_TEST

START_TEST(the_gradient_can_be_differentiated_again)
{
    compare(PLAIN, EACH, 2, 1.1);
    compare(NESTED_PLAIN, NESTED, 2, 1.1);
}
END_TEST

/* ---- the graph around ---- */

/* exp(a * b) * c in four ops, two of which save what is made here. */
static mn_tensor *product(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    int *calls = user;
    if (calls && !mn_tape_recomputing(tape)) ++*calls;
    mn_tensor *y = mn_exp(tape, mn_mul(tape, in[0], in[1]));
    return n == 3 ? mn_mul(tape, mn_mul_scalar(tape, y, 1), in[2]) : mn_mul_scalar(tape, y, 1);
}

START_TEST(inputs_may_be_many_of_any_kind_and_used_again)
{
    begin();
    mn_tensor *x = vec(3, 0.5, true), *c = vec(3, 2, false), *g[2][2];
    for (int checkpointed = 0; checkpointed < 2; checkpointed++) {
        mn_tensor *h = mn_mul_scalar(t, x, 3), *in[] = {x, h, c}, *from[] = {x, h};
        mn_tensor *y = run(checkpointed, product, in, 3, NULL);
        mn_tensor *z = mn_sum(t, mn_mul(t, y, mn_mul(t, h, x)));
        ck_assert_int_eq((int)mn_grad(t, &z, 1, from, 2, g[checkpointed], NULL), MN_OK);
    }
    same_bits(g[0][0], g[1][0]);
    same_bits(g[0][1], g[1][1]);
    mn_release(x), mn_release(c);
    end();
}
END_TEST

START_TEST(a_retained_graph_can_be_walked_again)
{
    begin();
    mn_tensor *x = vec(2, 0.5, true), *once;
    int calls = 0;
    mn_tensor *y = mn_sum(t, mn_checkpoint(t, product, (mn_tensor *[]){x, x}, 2, &calls));
    mn_backward_opts keep = {.retain_graph = true};
    ck_assert_int_eq((int)mn_backward_from(t, &y, 1, &keep), MN_OK);
    once = mn_clone(t, mn_tensor_grad(x));
    ck_assert_int_eq((int)mn_backward_from(t, &y, 1, &keep), MN_OK);
    same_bits(mn_tensor_grad(x), mn_mul_scalar(t, once, 2));
    ck_assert_int_eq((int)mn_backward(t, y), MN_OK);
    ck_assert_int_ne((int)mn_backward(t, y), MN_OK);
    refused(MN_ERR_STATE, "retain_graph");
    ck_assert_int_eq(calls, 1);
    mn_release(x);
    end();
}
END_TEST

static mn_tensor *times_ten(mn_tape *tape, mn_tensor *grad, void *user)
{
    ++*(int *)user;
    return mn_mul_scalar(tape, grad, 10);
}

typedef struct watched {
    int hooks;
    mn_tensor *inside;
} watched;

static mn_tensor *with_hook(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    watched *w = user;
    (void)n;
    mn_tensor *h = mn_exp(tape, in[0]);
    mn_register_hook(tape, h, times_ten, &w->hooks);
    if (!mn_tape_recomputing(tape)) {
        mn_retain_grad(tape, h);
        w->inside = h;
    }
    return mn_mul(tape, h, h);
}

START_TEST(hooks_and_retained_gradients_inside_are_those_of_the_first_run)
{
    begin();
    mn_tensor *x = vec(1, 0, true);
    watched w = {0};
    mn_tensor *y = mn_checkpoint(t, with_hook, &x, 1, &w);
    ck_assert_int_eq((int)mn_tensor_numel(w.inside), 0); /* its values are gone */
    mn_exp(t, w.inside);
    refused(MN_ERR_STATE, "freed by its scope");
    ck_assert_int_eq((int)mn_backward(t, y), MN_OK);
    ck_assert_int_eq(w.hooks, 1);
    ck_assert_double_eq(mn_tensor_item(mn_tensor_grad(x)), 20);
    mn_release(x);
    end();
}
END_TEST

/* Its own gradient inside, by a leaf of its own: d/dx sum(h^3), plus x. */
static mn_tensor *with_grad(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    mn_tensor *own = mn_full(tape, MN_F64, 1, (int64_t[]){2}, 1.5), *g[2];
    mn_tensor_set_requires_grad(own, true);
    mn_tensor *h = mn_mul(tape, own, in[0]);
    mn_tensor *sum = mn_sum(tape, mn_mul(tape, h, mn_mul(tape, h, h)));
    mn_tensor *from[] = {in[0], own};
    mn_grad(tape, &sum, 1, from, 2, g, &(mn_grad_opts){.create_graph = true});
    return mn_add(tape, in[0], mn_mul(tape, g[0], g[1]));
}

static mn_tensor *nested_with_grad(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    mn_tensor *y = mn_checkpoint(tape, with_grad, in, n, user), *g;
    mn_grad_opts o = {.create_graph = true, .cotangents = &y};
    mn_grad(tape, &y, 1, in, 1, &g, &o);
    return mn_mul(tape, g, in[0]);
}

START_TEST(the_function_may_differentiate)
{
    begin();
    mn_tensor *x = vec(2, 0.5, true), *g[2], *gg[2];
    mn_function f[] = {with_grad, nested_with_grad};
    for (int i = 0; i < 2; i++) {
        for (int checkpointed = 0; checkpointed < 2; checkpointed++) {
            mn_tensor *y = mn_sum(t, run(checkpointed, f[i], &x, 1, NULL));
            mn_grad(t, &y, 1, &x, 1, &g[checkpointed], &(mn_grad_opts){.create_graph = true});
            mn_tensor *sum = mn_sum(t, g[checkpointed]);
            mn_grad(t, &sum, 1, &x, 1, &gg[checkpointed], NULL);
        }
        same_bits(g[0], g[1]);
        same_bits(gg[0], gg[1]);
    }
    mn_release(x);
    end();
}
END_TEST

/* A result that shares its storage with what was saved, and is overwritten afterwards. */
static mn_tensor *ends_in_view(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    mn_tensor *h = mn_relu_(tape, mn_mul(tape, in[0], in[0]));
    mn_tensor *y = mn_exp(tape, mn_narrow(tape, h, 0, 1, 2));
    return mn_reshape(tape, y, 2, (int64_t[]){2, 1});
}

START_TEST(the_result_keeps_its_storage)
{
    begin();
    mn_tensor *x = vec(4, -0.5, true), *g[2], *y = NULL;
    for (int checkpointed = 0; checkpointed < 2; checkpointed++) {
        y = mn_sum(t, run(checkpointed, ends_in_view, &x, 1, NULL));
        mn_grad(t, &y, 1, &x, 1, &g[checkpointed], NULL);
    }
    same_bits(g[0], g[1]);
    y = mn_sum(t, mn_leaky_relu_(t, mn_checkpoint(t, ends_in_view, &x, 1, NULL), 0.1));
    mn_backward(t, y);
    refused(MN_ERR_STATE, "overwritten by leaky_relu_");
    mn_release(x);
    end();
}
END_TEST

static mn_tensor *slopes_of_block(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n;
    return mn_rrelu(tape, mn_mul(tape, in[0], in[0]), 0.1, 0.3, true, user);
}

START_TEST(what_was_dropped_can_be_asked_for_before_the_backward_pass)
{
    begin();
    mn_tensor *x = vec(4, 2, true);
    mn_rng rng = mn_rng_make(1, 2);
    mn_tensor *y = mn_checkpoint(t, slopes_of_block, &x, 1, &rng);
    ck_assert_double_eq(mn_tensor_get(mn_rrelu_slopes(t, y), (int64_t[]){3}), 1);
    ck_assert_int_eq((int)mn_backward(t, mn_sum(t, y)), MN_OK);
    ck_assert_double_eq(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){3}), 4);
    mn_release(x);
    end();
}
END_TEST

START_TEST(without_recording_it_is_the_function)
{
    begin();
    mn_tensor *x = vec(2, 0.5, true), *in[] = {x, x};
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    ck_assert(!mn_tensor_requires_grad(mn_checkpoint(t, product, in, 2, NULL)));
    mn_scope_end(t, s, NULL, 0);
    ck_assert_int_eq((int)mn_tape_stats(t).nodes, 0);
    mn_tape_free(t);
    t = mn_tape_new(&(mn_tape_opts){.keep_all = true});
    watched w = {0};
    mn_checkpoint(t, with_hook, &x, 1, &w);
    ck_assert_int_eq((int)mn_tensor_numel(w.inside), 2);
    mn_release(x);
    end();
}
END_TEST

/* ---- in a module ---- */

typedef struct frugal {
    mn_module base;
    mn_module *inner;
    int calls;
} frugal;

static mn_error frugal_forward(mn_module *m, mn_tape *tape, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out)
{
    (void)n_out;
    if (!mn_tape_recomputing(tape)) ((frugal *)m)->calls++;
    out[0] = mn_checkpoint(tape, block, in, n_in, ((frugal *)m)->inner);
    return mn_tape_error(tape);
}

static void frugal_visit(mn_module *m, mn_visitor *v)
{
    mn_visit_child(v, "inner", &((frugal *)m)->inner);
}

static const mn_module_class frugal_class = {.name = "Frugal",
                                             .size = sizeof(frugal),
                                             .n_in = 1,
                                             .n_out = 1,
                                             .forward = frugal_forward,
                                             .visit = frugal_visit};

static mn_module *new_frugal(mn_module *inner)
{
    frugal *f = (frugal *)mn_module_new(&frugal_class);
    f->inner = inner;
    return mn_module_finish(&f->base);
}

START_TEST(a_module_may_checkpoint_its_child_and_steady_steps_allocate_nothing)
{
    begin();
    mn_module *child = mn_nn_sequential(mn_nn_linear(4, 4, NULL), mn_nn_dropout(0.5), mn_nn_tanh());
    mn_module *inner = new_frugal(child);
    mn_module *net = mn_nn_sequential(new_frugal(inner), mn_nn_linear(4, 1, NULL));
    mn_module_init(net, 1);
    mn_optim *sgd = mn_optim_sgd(net, 0.1, NULL);
    int64_t allocations = 0;
    size_t arena = 0;
    for (int i = 0; i < 20; i++, mn_tape_reset(t)) {
        mn_tensor *y = mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){8, 4}));
        mn_optim_zero_grad(sgd);
        ck_assert_int_eq((int)mn_backward(t, mn_mean(t, mn_mul(t, y, y))), MN_OK);
        mn_optim_step(sgd, t);
        if (i == 5) allocations = mn_live_allocations(), arena = mn_tape_stats(t).arena_bytes;
    }
    ck_assert_int_eq((int)mn_live_allocations(), (int)allocations);
    ck_assert_uint_eq(mn_tape_stats(t).arena_bytes, arena);
    ck_assert_int_eq(((frugal *)inner)->calls, 20);

    /* An error of the second run says where, as in the first. */
    mn_tensor *y = mn_module_forward(net, t, mn_ones(t, MN_F32, 2, (int64_t[]){8, 4}));
    mn_module_eval(child);
    mn_backward(t, mn_mean(t, y));
    refused(MN_ERR_STATE, "net.0.inner (checkpoint): the function gave another result when the "
                          "backward pass ran it again");
    mn_optim_free(sgd);
    mn_module_free(net);
    end();
}
END_TEST

/* ---- every op ---- */

/* Output k of a case, as a function of its inputs; whatever the op saves was made inside. */
typedef struct one_op {
    const op_row *row;
    const fixture_case *f;
    int k;
} one_op;

static mn_tensor *run_op(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    const one_op *o = user;
    mn_tensor *own[FIXTURE_INPUTS];
    for (int i = 0; i < n; i++) own[i] = in[i] == MN_NONE ? MN_NONE : mn_clone(tape, in[i]);
    call c = row_call(o->f, tape, own);
    row_run(o->row, &c);
    return mn_clone(tape, c.out[o->k]);
}

/* Fills g with y and its gradients, and with theirs; NULL where there are none. */
static void gradients(mn_tensor *y, mn_tensor *const *in, int n, mn_tensor **g)
{
    mn_tensor *from[FIXTURE_INPUTS], *first[FIXTURE_INPUTS], *second[FIXTURE_INPUTS];
    int n_from = 0;
    for (int i = 0; i < n; i++)
        if (mn_tensor_requires_grad(in[i])) from[n_from++] = in[i];
    *g++ = y;
    if (!y || !mn_tensor_requires_grad(y)) return;
    mn_rng rng = mn_rng_make(1, 1);
    mn_tensor *v = mn_rand_like(t, y, &rng), *sum = mn_scalar(t, MN_F64, 0);
    mn_grad_opts o = {.cotangents = &v, .create_graph = true, .allow_unused = true};
    mn_grad(t, &y, 1, from, n_from, first, &o);
    for (int i = 0; i < n_from; i++)
        if ((*g++ = first[i])) {
            mn_tensor *squares = mn_sum(t, mn_mul(t, first[i], first[i]));
            sum = mn_add(t, sum, mn_to(t, squares, MN_F64));
        }
    if (!sum || !mn_tensor_requires_grad(sum)) return;
    mn_grad(t, &sum, 1, from, n_from, second, &(mn_grad_opts){.allow_unused = true});
    for (int i = 0; i < n_from; i++) *g++ = second[i];
}

static void check_op(one_op *o)
{
    enum { ALL = 1 + 2 * FIXTURE_INPUTS };
    begin();
    mn_tensor *in[FIXTURE_INPUTS], *g[2][ALL] = {{0}};
    const int n = o->f->n_in;
    for (int i = 0; i < n; i++) in[i] = fixture_input(o->f, i);
    for (int checkpointed = 0; checkpointed < 2; checkpointed++)
        gradients(run(checkpointed, run_op, in, n, o), in, n, g[checkpointed]);
    ck_assert_msg(mn_tape_error(t) == MN_OK, "%s: %s", o->f->path, mn_tape_message(t));
    for (int i = 0; i < ALL; i++) {
        ck_assert_msg(!g[0][i] == !g[1][i], "%s", o->f->path);
        if (g[0][i]) same_bits(mn_contiguous(t, g[0][i]), mn_contiguous(t, g[1][i]));
    }
    for (int i = 0; i < n; i++) mn_release(in[i]);
    end();
}

START_TEST(every_op_can_be_run_again)
{
    fixture ops = {0};
    rows_read(&ops);
    for (const fixture_case *f = ops.cases; f < ops.cases + ops.n; f++)
        for (int k = 0; k < f->n_out && !f->refused; k++)
            if (f->n_in) check_op(&(one_op){row_find(f->op), f, k});
    ck_assert_int_gt(ops.n, 0);
    fixture_free(&ops);
}
END_TEST

/* ---- what is refused ---- */

typedef enum change { SAME, OPS, FEWER, MORE, SHAPES, DRAWS, VALUES, LEAF, CHANGES } change;

typedef struct fickle {
    change how;
    mn_rng rng;
    mn_tensor *extra;
} fickle;

static mn_tensor *fickle_function(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    fickle *f = user;
    (void)n;
    change how = mn_tape_recomputing(tape) ? f->how : SAME;
    mn_tensor *h = how == OPS ? mn_tanh(tape, in[0]) : mn_exp(tape, in[0]);
    if (how != FEWER) h = mn_exp(tape, mn_mul_scalar(tape, h, how == VALUES ? 0.25 : 0.5));
    if (how == MORE) h = mn_exp(tape, h);
    if (how == DRAWS) h = mn_dropout(tape, h, 0.5, true, &f->rng);
    if (how == SHAPES) h = mn_exp(tape, mn_expand(tape, h, 2, (int64_t[]){2, 2}));
    if (how == LEAF) h = mn_add(tape, h, f->extra);
    return mn_dropout(tape, how == LEAF ? h : mn_exp(tape, h), 0.5, true, &f->rng);
}

START_TEST(a_function_that_changes_is_noticed)
{
    begin();
    mn_tensor *x = vec(2, 0.5, true), *extra = vec(2, 0, true);
    for (change how = SAME; how < CHANGES; how++) {
        fickle f = {how, mn_rng_make(3, 0), extra};
        mn_tensor *y = mn_checkpoint(t, fickle_function, &x, 1, &f);
        mn_tensor *sum = mn_sum(t, y);
        mn_backward_from(t, &sum, 1, &(mn_backward_opts){.retain_graph = true});
        bool drawn = how == DRAWS || how == SHAPES;
        if (how != SAME)
            refused(MN_ERR_STATE, drawn           ? "it drew other random numbers"
                                  : how == VALUES ? "whatever it reads must stay as it was"
                                                  : "it ran other ops");
        f.how = SAME; /* and when it no longer does, the pass succeeds */
        if (how != SAME) ck_assert_int_eq((int)mn_backward(t, sum), MN_OK);
        ck_assert_ptr_nonnull(mn_tensor_grad(x));
        mn_tensor_zero_grad(x);
        mn_tape_reset(t);
    }
    mn_release(x), mn_release(extra);
    end();
}
END_TEST

typedef struct parts {
    mn_tensor *bias;
} parts;

static mn_tensor *add_bias(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n;
    return mn_add(tape, mn_exp(tape, mn_add(tape, in[0], in[0])), ((parts *)user)->bias);
}

START_TEST(what_was_overwritten_meanwhile_is_noticed)
{
    begin();
    mn_tensor *x = vec(2, 0.5, true), *bias = vec(2, 1, true);
    mn_tensor *y = mn_sum(t, mn_checkpoint(t, add_bias, &x, 1, &(parts){bias}));
    mn_tensor_fill(x, 1);
    mn_backward(t, y);
    refused(MN_ERR_STATE, "overwritten by");
    /* A tensor that no gradient needs: only the result tells. */
    y = mn_sum(t, mn_checkpoint(t, add_bias, &x, 1, &(parts){bias}));
    mn_tensor_fill(bias, 2);
    mn_backward(t, y);
    refused(MN_ERR_STATE, "whatever it reads must stay as it was");
    mn_tensor *h = mn_mul_scalar(t, x, 2);
    y = mn_sum(t, mn_checkpoint(t, add_bias, &h, 1, &(parts){bias}));
    mn_relu_(t, h);
    mn_backward(t, y);
    refused(MN_ERR_STATE, "overwritten by relu_");
    mn_release(x), mn_release(bias);
    end();
}
END_TEST

static mn_tensor *returns(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)in, (void)n;
    mn_tape_reset(tape); /* does nothing */
    return user;
}

static mn_tensor *frees(mn_tape *tape, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    mn_tape_free(tape);
    return in[0];
}

START_TEST(what_a_checkpoint_refuses_names_the_reason)
{
    begin();
    mn_tensor *x = vec(2, 0.5, true), *many[256];
    for (int i = 0; i < 256; i++) many[i] = x;
    ck_assert_ptr_null(mn_checkpoint(t, NULL, &x, 1, NULL));
    refused(MN_ERR_ARGUMENT, "checkpoint: the function is NULL");
    ck_assert_ptr_null(mn_checkpoint(t, returns, &x, 1, NULL));
    refused(MN_ERR_ARGUMENT, "the function is NULL"); /* the reason that was left */
    mn_clear_last_error();
    ck_assert_ptr_null(mn_checkpoint(t, returns, &x, 1, NULL));
    refused(MN_ERR_ARGUMENT, "checkpoint: the function's result is NULL");
    ck_assert_ptr_null(mn_checkpoint(t, returns, &x, 1, MN_NONE));
    refused(MN_ERR_ARGUMENT, "the function's result is MN_NONE");
    ck_assert_ptr_null(mn_checkpoint(t, returns, many, 256, x));
    refused(MN_ERR_ARGUMENT, "256 inputs, at most 255");
    ck_assert_ptr_null(mn_checkpoint(t, frees, &x, 1, NULL));
    refused(MN_ERR_STATE, "mn_tape_free inside a hook, a gradient or a checkpoint");
    mn_clear_last_error();
    many[1] = NULL;
    ck_assert_ptr_null(mn_checkpoint(t, returns, many, 2, x));
    refused(MN_ERR_ARGUMENT, "checkpoint: input 1 is NULL");
    ck_assert_ptr_eq(mn_checkpoint(t, returns, &x, 1, x), x);
    many[1] = MN_NONE;
    ck_assert_ptr_eq(mn_checkpoint(t, returns, many, 2, x), x);
    mn_release(x);
    end();
}
END_TEST

START_TEST(malloc_may_fail_anywhere)
{
    int64_t left = 0;
    mn_allocator allocator = limited_allocator(&left);
    ck_assert_int_eq(mn_set_allocator(&allocator), MN_OK);
    bool done = false;
    for (int64_t limit = 0; !done && limit < 300; limit++) {
        left = limit;
        mn_clear_last_error();
        mn_tensor *x = mn_tensor_full(MN_F64, 1, (int64_t[]){300}, 0.5);
        if (x) mn_tensor_set_requires_grad(x, true);
        t = mn_tape_new(NULL);
        fickle f = {.rng = mn_rng_make(3, 0)};
        mn_tensor *y = mn_checkpoint(t, fickle_function, &x, 1, &f);
        for (int i = 0; i < 40; i++) y = mn_checkpoint(t, fickle_function, &y, 1, &f);
        done = mn_backward(t, mn_sum(t, y)) == MN_OK && x && mn_tensor_grad(x);
        if (!done) ck_assert_int_eq((int)mn_tape_error(t), MN_ERR_MEMORY);
        mn_tape_free(t);
        mn_release(x);
        ck_assert_int_eq((int)mn_live_allocations(), 0);
    }
    ck_assert(done);
    ck_assert_int_eq(mn_set_allocator(NULL), MN_OK);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {gradients_have_the_same_bits_in_less_memory,
                            checkpoints_nest,
                            the_gradient_can_be_differentiated_again,
                            inputs_may_be_many_of_any_kind_and_used_again,
                            a_retained_graph_can_be_walked_again,
                            hooks_and_retained_gradients_inside_are_those_of_the_first_run,
                            the_function_may_differentiate,
                            the_result_keeps_its_storage,
                            what_was_dropped_can_be_asked_for_before_the_backward_pass,
                            without_recording_it_is_the_function,
                            a_module_may_checkpoint_its_child_and_steady_steps_allocate_nothing,
                            every_op_can_be_run_again,
                            a_function_that_changes_is_noticed,
                            what_was_overwritten_meanwhile_is_noticed,
                            what_a_checkpoint_refuses_names_the_reason,
                            malloc_may_fail_anywhere};
    return run_suite("checkpoint", tests, sizeof tests / sizeof *tests);
}
