/*
 * tests/test_containers.c: modules that are made of modules: lists and dicts, their names, printed form and
 * ownership; clones of trees with parts in common, and of classes that cannot be copied.
 */
#include "support.h"

#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

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

static void refused(const void *result, mn_error code, const char *text)
{
    ck_assert_ptr_null(result);
    ck_assert_msg(mn_last_error() == code && strstr(mn_last_message(), text),
                  "expected \"%s\", got %s: \"%s\"", text, mn_error_name(mn_last_error()),
                  mn_last_message());
    mn_clear_last_error();
}

static mn_module *linear(int64_t in, int64_t out)
{
    return mn_nn_linear(in, out, NULL);
}

static void prints(mn_module *m, const char *expected)
{
    char text[1024];
    size_t n = mn_module_format(m, text, sizeof text);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(n, strlen(expected));
    ck_assert_uint_eq(mn_module_format(m, NULL, 0), n);
}

START_TEST(a_list_numbers_its_children_and_prints_a_row_of_equal_ones_once)
{
    begin();
    mn_module *list =
        mn_nn_module_list(linear(2, 3), linear(2, 3), mn_nn_tanh(), mn_nn_sequential(linear(3, 1)),
                          mn_nn_sequential(linear(3, 1)));
    ck_assert_int_eq(mn_module_child_count(list), 5);
    ck_assert_ptr_eq(mn_module_child_at(list, 3), mn_module_child(list, "3"));
    ck_assert_ptr_nonnull(mn_module_get(list, "4.0.bias"));
    /* As torch 2.13 prints the same list. */
    prints(list, "ModuleList(\n"
                 "  (0-1): 2 x Linear(in_features=2, out_features=3, bias=True)\n"
                 "  (2): Tanh()\n"
                 "  (3-4): 2 x Sequential(\n"
                 "    (0): Linear(in_features=3, out_features=1, bias=True)\n"
                 "  )\n"
                 ")");
    refused(mn_module_child_at(list, 5), MN_ERR_ARGUMENT, "there is no child 5, of 5");
    refused(mn_module_child_at(list, -1), MN_ERR_ARGUMENT, "there is no child -1, of 5");
    mn_module_free(list);

    list = mn_nn_module_list_n(NULL, 0);
    prints(list, "ModuleList()");
    mn_module_free(list);
    end();
}
END_TEST

START_TEST(a_dict_gives_its_children_their_names)
{
    begin();
    char name[] = "left"; /* copied */
    mn_module *children[] = {linear(2, 3), mn_nn_relu(NULL)};
    mn_module *dict = mn_nn_module_dict((const char *[]){name, "right"}, children, 2);
    name[0] = 'x';
    ck_assert_ptr_eq(mn_module_child(dict, "left"), children[0]);
    ck_assert_ptr_eq(mn_module_child(dict, "right"), children[1]);
    ck_assert_ptr_nonnull(mn_module_get(dict, "left.weight"));
    prints(dict, "ModuleDict(\n"
                 "  (left): Linear(in_features=2, out_features=3, bias=True)\n"
                 "  (right): ReLU()\n"
                 ")");
    mn_module *copy = mn_module_clone(dict);
    mn_module_free(dict);
    ck_assert_ptr_nonnull(mn_module_get(copy, "left.bias"));
    mn_module_free(copy);
    end();
}
END_TEST

START_TEST(what_a_dict_cannot_be_called_is_refused_and_freed)
{
    static const struct {
        const char *const names[2];
        const char *text;
    } bad[] = {{{"a", ""}, "module_dict: name 1, \"\", is empty"},
               {{NULL, "b"}, "module_dict: name 0, \"\", is empty"},
               {{"a.b", "c"}, "module_dict: name 0, \"a.b\", has a dot in it"},
               {{"a", "a"}, "module_dict: names 0 and 1 are both \"a\""}};
    begin();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(mn_nn_module_dict(bad[i].names, (mn_module *[]){linear(1, 1), mn_nn_tanh()}, 2),
                MN_ERR_ARGUMENT, bad[i].text);
    refused(mn_nn_module_dict(NULL, (mn_module *[]){linear(1, 1)}, 1), MN_ERR_ARGUMENT,
            "the 1 names are NULL");
    refused(mn_nn_module_list(linear(1, 1), linear(0, 1)), MN_ERR_ARGUMENT, "0 in_features");
    refused(mn_nn_module_list_n(NULL, 2), MN_ERR_ARGUMENT, "module_list: the 2 children are NULL");
    refused(mn_nn_module_list_n(NULL, -1), MN_ERR_ARGUMENT, "module_list: -1 children");
    refused(mn_nn_residual(linear(0, 1)), MN_ERR_ARGUMENT, "0 in_features");
    refused(mn_nn_residual_with(linear(1, 1), NULL), MN_ERR_ARGUMENT,
            "Residual: \"shortcut\" is NULL");
    end();
}
END_TEST

START_TEST(what_is_for_others_to_call_cannot_be_called)
{
    begin();
    mn_module *list = mn_nn_module_list(linear(1, 1));
    mn_tape *t = mn_tape_new(NULL);
    ck_assert_ptr_null(mn_module_forward(list, t, mn_zeros(t, MN_F32, 1, (int64_t[]){1})));
    ck_assert_msg(strstr(mn_tape_message(t), "ModuleList has no forward: call its children"), "%s",
                  mn_tape_message(t));
    mn_tape_free(t);
    mn_module_free(list);
    end();
}
END_TEST

/* ---- clones ---- */

START_TEST(a_clone_ties_what_is_tied)
{
    begin();
    mn_module *part = linear(2, 2),
              *net = mn_nn_sequential(part, mn_module_retain(part), linear(2, 2));
    mn_module_set(net, "2.weight", mn_module_get(net, "0.weight"));
    mn_module *copy = mn_module_clone(net);
    ck_assert_ptr_ne(mn_module_child(copy, "0"), part);
    ck_assert_ptr_eq(mn_module_child(copy, "0"), mn_module_child(copy, "1"));
    ck_assert_ptr_eq(mn_module_get(copy, "2.weight"), mn_module_get(copy, "0.weight"));
    ck_assert_int_eq(mn_module_numel(copy), mn_module_numel(net));
    mn_module_free(net);
    ck_assert_int_eq(mn_module_numel(copy), 4 + 2 + 2);
    mn_module_free(copy);
    end();
}
END_TEST

START_TEST(a_clone_keeps_mode_path_frozen_and_unset_parameters)
{
    begin();
    mn_module *net = mn_nn_sequential(linear(2, 2), mn_nn_dropout(0.5)), *copy;
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_zeros(t, MN_F32, 2, (int64_t[]){1, 2});
    copy = mn_module_clone(net); /* before it has values */
    ck_assert_ptr_null(mn_module_forward(copy, t, x));
    ck_assert_msg(strstr(mn_tape_message(t), "never initialised"), "%s", mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_module_free(copy);

    mn_module_init(net, 1);
    mn_module_eval(net);
    mn_module_set_requires_grad(net, false);
    copy = mn_module_clone(net);
    ck_assert(!mn_module_training(copy) && !mn_module_training(mn_module_child(copy, "1")));
    ck_assert_int_eq(mn_module_numel_trainable(copy), 0);
    ck_assert_ptr_null(mn_module_forward(mn_module_child(copy, "0"), t, mn_to(t, x, MN_F64)));
    ck_assert_msg(strstr(mn_tape_message(t), "net.0 (linear)"), "%s", mn_tape_message(t));
    mn_tape_free(t);
    mn_module_free(copy);
    mn_module_free(net);
    end();
}
END_TEST

typedef struct lookup {
    mn_module base;
    double *table;
} lookup;

static mn_error lookup_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    out[0] = mn_mul_scalar(t, in[0], ((lookup *)m)->table[0]);
    return mn_tape_error(t);
}

static void lookup_free(mn_module *m)
{
    free(((lookup *)m)->table);
}

static mn_error lookup_copy(mn_module *m)
{
    double *table = malloc(sizeof *table);
    if (!table) return mn_fail(MN_ERR_MEMORY, "out of memory");
    *table = *((lookup *)m)->table;
    ((lookup *)m)->table = table;
    return MN_OK;
}

static mn_error no_copy(mn_module *m)
{
    (void)m;
    return mn_fail(MN_ERR_IO, "the table is on fire");
}

static mn_module *lookup_new(const mn_module_class *class)
{
    lookup *l = (lookup *)mn_module_new(class);
    l->table = malloc(sizeof *l->table);
    *l->table = 3;
    return mn_module_finish(&l->base);
}

START_TEST(memory_of_a_class_of_its_own_is_copied_by_the_class_or_not_at_all)
{
    mn_module_class class = {.name = "Lookup",
                             .size = sizeof(lookup),
                             .n_in = 1,
                             .n_out = 1,
                             .forward = lookup_forward,
                             .free = lookup_free,
                             .copy = lookup_copy};
    begin();
    mn_module *net = mn_nn_sequential(linear(1, 1), lookup_new(&class)), *copy;
    copy = mn_module_clone(net);
    ck_assert_ptr_nonnull(copy);
    mn_module_free(copy);
    class.copy = no_copy;
    refused(mn_module_clone(net), MN_ERR_IO, "the table is on fire");
    class.copy = NULL;
    refused(mn_module_clone(net), MN_ERR_STATE,
            "mn_module_clone: the class of Lookup has `free`, but no `copy`");
    refused(mn_module_clone(NULL), MN_ERR_ARGUMENT, "mn_module_clone: the module is NULL");
    mn_module_free(net);
    end();
}
END_TEST

/* Makes, clones and frees a tree with every container in it; true when there was memory for all. */
static bool attempt(void)
{
    mn_module *dict = mn_nn_module_dict((const char *[]){"a"}, (mn_module *[]){linear(1, 2)}, 1);
    mn_module *inner = mn_nn_sequential(linear(2, 2), mn_nn_tanh());
    mn_module *list = mn_nn_module_list(dict, mn_nn_residual(inner));
    bool done = list && mn_module_init(list, 1) == MN_OK;
    mn_module *copy = done ? mn_module_clone(list) : NULL;
    ck_assert_msg(copy || mn_last_error() == MN_ERR_MEMORY, "%s", mn_last_message());
    mn_module_free(copy);
    mn_module_free(list);
    mn_clear_last_error();
    return copy != NULL;
}

START_TEST(an_encoder_of_a_seeded_layer_wants_seeds_of_its_own)
{
    begin();
    mn_tape *t = mn_tape_new(NULL);
    const mn_nn_transformer_opts opts = {.batch_first = true};
    mn_module *layer = mn_nn_transformer_encoder_layer(8, 2, 8, 0.5, &opts);
    ck_assert_int_eq(mn_module_init(layer, 1), MN_OK);
    mn_module *net = mn_nn_transformer_encoder(layer, 2);
    mn_tensor *x = mn_ones(t, MN_F32, 3, (int64_t[]){1, 4, 8});
    ck_assert_ptr_null(mn_module_forward(net, t, x));
    ck_assert_msg(strstr(mn_tape_message(t), "net.layers.0") != NULL, "%s", mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_clear_last_error();
    mn_module_seed(net, 1, 0);
    ck_assert_ptr_nonnull(mn_module_forward(net, t, x));
    mn_module_free(net);
    mn_tape_free(t);
    end();
}
END_TEST

START_TEST(malloc_may_fail_anywhere)
{
    begin();
    int64_t limit = 0;
    for (bool done = false; !done && limit < 1000; limit++) {
        left = limit;
        done = attempt();
        ck_assert_int_eq(mn_live_allocations(), 0);
    }
    ck_assert_int_gt(limit, 20);
    ck_assert_int_lt(limit, 1000);
    end();
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_list_numbers_its_children_and_prints_a_row_of_equal_ones_once,
        a_dict_gives_its_children_their_names,
        what_a_dict_cannot_be_called_is_refused_and_freed,
        what_is_for_others_to_call_cannot_be_called,
        a_clone_ties_what_is_tied,
        a_clone_keeps_mode_path_frozen_and_unset_parameters,
        memory_of_a_class_of_its_own_is_copied_by_the_class_or_not_at_all,
        an_encoder_of_a_seeded_layer_wants_seeds_of_its_own,
        malloc_may_fail_anywhere,
    };
    return run_suite("containers", tests, sizeof tests / sizeof *tests);
}
