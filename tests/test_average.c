/*
 * tests/test_average.c: averages of weights against PyTorch's AveragedModel (tests/fixtures/average.txt),
 * swapping them in and out, and early stopping.
 */
#include "fixture.h"
#include "support.h"
#include <math.h>
#include <minnow/minnow.h>
#include <string.h>

enum { UPDATES = 20 };

static fixture averages;
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

/* ---- a module with a parameter and two buffers ---- */

typedef struct model {
    mn_module base;
    mn_tensor *weight, *mean, *count;
} model;

static mn_error forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                        int n_out)
{
    (void)n_in, (void)n_out;
    out[0] = mn_matmul(t, in[0], ((model *)m)->weight);
    return mn_tape_error(t);
}

static void visit(mn_module *m, mn_visitor *v)
{
    model *self = (model *)m;
    mn_visit_parameter(v, "weight", &self->weight, mn_init_constant(1));
    mn_visit_buffer(v, "mean", &self->mean, mn_init_constant(0));
    mn_visit_buffer(v, "count", &self->count, mn_init_constant(0));
}

static const mn_module_class model_class = {.name = "Model",
                                            .size = sizeof(model),
                                            .n_in = 1,
                                            .n_out = 1,
                                            .forward = forward,
                                            .visit = visit};

static model *make_model(mn_dtype dtype)
{
    model *m = (model *)mn_module_new(&model_class);
    if (!m) return NULL;
    m->weight = mn_parameter(dtype, 2, (int64_t[]){4, 3});
    m->mean = mn_tensor_zeros(dtype, 1, (int64_t[]){5});
    m->count = mn_tensor_zeros(MN_I64, 0, NULL);
    return (model *)mn_module_finish(&m->base);
}

/* ---- averages ---- */

typedef struct values {
    char bytes[1024];
    size_t size;
} values;

static void append(values *v, const mn_tensor *x)
{
    size_t size = (size_t)mn_tensor_numel(x) * mn_dtype_size(mn_tensor_dtype(x));
    ck_assert_uint_le(v->size + size, sizeof v->bytes);
    memcpy(v->bytes + v->size, mn_tensor_data(x), size);
    v->size += size;
}

START_TEST(twenty_updates_agree_with_pytorch)
{
    const fixture_case *f = &averages.cases[_i];
    const mn_average_opts opts = {.use_buffers = f->args.number[1] != 0};
    const double decay = f->args.number[0];
    model *m = make_model(f->dtype);
    mn_average *a =
        decay < 0 ? mn_average_swa(&m->base, &opts) : mn_average_ema(&m->base, decay, &opts);
    mn_tape *t = mn_tape_new(NULL);
    mn_rng weights = fixture_rng(f, "weight"), buffers = fixture_rng(f, "buffer");
    values v[2] = {{{0}, 0}};
    int64_t before = left;
    for (int k = 1; k <= UPDATES; k++) {
        mn_tensor_uniform(m->weight, -1, 1, &weights);
        mn_tensor_uniform(m->mean, -1, 1, &buffers);
        mn_tensor_set_i64(m->count, NULL, k);
        ck_assert_int_eq(mn_average_update(a, t), MN_OK);
        ck_assert_int_eq(mn_average_count(a), k);
        ck_assert_int_eq(left, before); /* updates take no memory */
        if (k != 1 && k != 2 && k != UPDATES) continue;
        ck_assert_int_eq(mn_average_swap(a, t), MN_OK);
        before = left;
        append(&v[0], m->weight);
        append(&v[1], m->mean);
        ck_assert_int_eq(mn_tensor_get_i64(m->count, NULL), k);
        ck_assert_int_eq(mn_average_swap(a, t), MN_OK);
        before = left;
    }
    for (int k = 0; k < 2; k++) {
        char text[256];
        ck_assert_uint_eq(v[k].size, (size_t)f->out[k].numel * mn_dtype_size(f->dtype));
        mn_tensor *got = mn_tensor_from(f->dtype, f->out[k].ndim, f->out[k].shape, v[k].bytes);
        ck_assert_msg(fixture_output_agrees(f, k, got, text, sizeof text), "%s: %s", f->path, text);
        mn_release(got);
    }
    mn_average_free(a);
    mn_module_free(&m->base);
    mn_tape_free(t);
}
END_TEST

START_TEST(swapping_twice_gives_the_weights_back)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_module *net = mn_nn_sequential(mn_nn_linear(3, 4, NULL), mn_nn_prelu(1, 0.25));
    ck_assert_int_eq(mn_module_init(net, 1), MN_OK);
    mn_tensor *w = mn_module_get(net, "0.weight"), *slope = mn_module_get(net, "1.weight");
    mn_average *a = mn_average_ema(net, 0.5, NULL);
    ck_assert_int_eq(mn_average_swap(a, t), MN_ERR_STATE);
    check_tape(t, MN_ERR_STATE, "mn_average_swap: there was no mn_average_update yet");
    ck_assert_int_eq(mn_average_update(a, t), MN_OK);
    mn_tensor_fill(slope, 0.75);
    ck_assert_int_eq(mn_average_update(a, t), MN_OK);
    uint32_t version = mn_tensor_version(w);
    mn_tensor *loss = mn_sum(t, mn_mul(t, slope, slope));
    ck_assert(!mn_average_swapped(a));
    ck_assert_int_eq(mn_average_swap(a, t), MN_OK);
    ck_assert(mn_average_swapped(a));
    ck_assert_double_eq(mn_tensor_item(slope), 0.5);
    ck_assert_uint_gt(mn_tensor_version(w), version);
    ck_assert_int_eq(mn_backward(t, loss), MN_ERR_STATE); /* of values that are no longer there */
    check_tape(t, MN_ERR_STATE, "mn_average_swap");
    ck_assert_int_eq(mn_average_update(a, t), MN_ERR_STATE);
    check_tape(t, MN_ERR_STATE, "mn_average_update: the averages are in the module");
    ck_assert_int_eq(mn_average_state(a, NULL, 0), -1);
    check_last(MN_ERR_STATE, "mn_average_state: the averages are in the module");
    ck_assert_int_eq(mn_average_load_state(a, NULL, 0), MN_ERR_STATE);
    check_last(MN_ERR_STATE, "mn_average_load_state: the averages are in the module");
    ck_assert_int_eq(mn_average_swap(a, t), MN_OK);
    ck_assert_double_eq(mn_tensor_item(slope), 0.75);
    left = 0;
    ck_assert_int_eq(mn_average_swap(a, t), MN_ERR_MEMORY);
    left = INT64_MAX;
    check_tape(t, MN_ERR_MEMORY, "out of memory");
    ck_assert_double_eq(mn_tensor_item(slope), 0.75);
    ck_assert(!mn_average_swapped(a));
    mn_module_free(net); /* the average keeps what it needs */
    mn_tape_fail(t, MN_ERR_SHAPE, "earlier");
    ck_assert_int_eq(mn_average_update(a, t), MN_ERR_SHAPE);
    ck_assert_int_eq(mn_average_swap(a, t), MN_ERR_SHAPE);
    ck_assert_int_eq(mn_average_count(a), 2);
    mn_average_free(a);
    mn_tape_free(t);
}
END_TEST

START_TEST(a_saved_average_goes_on_as_if_nothing_had_happened)
{
    mn_tape *t = mn_tape_new(NULL);
    model *m = make_model(MN_F32), *n = make_model(MN_F32);
    mn_average *a = mn_average_swa(&m->base, NULL), *b = mn_average_swa(&n->base, NULL);
    mn_state_item items[8];
    for (int k = 0; k < 3; k++) {
        mn_tensor_fill(m->weight, k);
        ck_assert_int_eq(mn_average_update(a, t), MN_OK);
    }
    ck_assert_int_eq(mn_average_state(a, items, 8), 4);
    ck_assert_str_eq(items[0].name, "n_averaged");
    ck_assert_str_eq(items[3].name, "buffer.1");
    ck_assert_int_eq(mn_average_load_state(b, items, 4), MN_OK);
    mn_tensor_fill(n->weight, 5);
    ck_assert_int_eq(mn_average_update(b, t), MN_OK);
    ck_assert_int_eq(mn_average_swap(b, t), MN_OK);
    ck_assert_double_eq(mn_tensor_get(n->weight, (int64_t[]){0, 0}), 2); /* of 0, 1, 2, 5 */
    ck_assert_int_eq(mn_average_swap(b, t), MN_OK);

    static const char *const bad[] = {"parameter.1",  "parameter.",   "buffer.2",
                                      "parameter.-1", "parameter.0x", "weight"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        mn_state_item both[2] = {items[0], items[1]};
        both[0].number = 7;
        strcpy(both[1].name, bad[k]);
        ck_assert_int_eq(mn_average_load_state(b, both, 2), MN_ERR_ARGUMENT);
        check_last(MN_ERR_ARGUMENT, "mn_average_load_state: there is no place for \"");
        ck_assert_int_eq(mn_average_count(b), 4);
    }
    strcpy(items[1].name, "buffer.0");
    ck_assert_int_eq(mn_average_load_state(b, items, 2), MN_ERR_SHAPE);
    check_last(MN_ERR_SHAPE, "\"buffer.0\" is f32 [4, 3], not f32 [5]");
    items[0].number = -1;
    ck_assert_int_eq(mn_average_load_state(b, items, 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "\"n_averaged\" is not a whole number >= 0");
    mn_average_free(a);
    mn_average_free(b);
    mn_module_free(&m->base);
    mn_module_free(&n->base);
    mn_tape_free(t);
}
END_TEST

START_TEST(updates_have_the_same_bits_for_any_number_of_threads)
{
    enum { N = 300001 };
    static float mean[3][N];
    for (int way = 0; way < 3; way++) {
        mn_tape *t = mn_tape_new(&(mn_tape_opts){.threads = way + 1});
        mn_module *m = mn_nn_prelu(N, 0.25);
        ck_assert_int_eq(mn_module_init(m, 1), MN_OK);
        mn_tensor *w = mn_module_get(m, "weight");
        mn_average *a = mn_average_swa(m, NULL);
        mn_rng rng = mn_rng_make(1, 2);
        for (int k = 0; k < 3; k++) {
            mn_tensor_uniform(w, -1, 1, &rng);
            ck_assert_int_eq(mn_average_update(a, t), MN_OK);
        }
        ck_assert_int_eq(mn_average_swap(a, t), MN_OK);
        memcpy(mean[way], mn_tensor_data(w), sizeof mean[way]);
        ck_assert(memcmp(mean[0], mean[way], sizeof mean[way]) == 0);
        mn_average_free(a);
        mn_module_free(m);
        mn_tape_free(t);
    }
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    mn_tape *t = mn_tape_new(NULL);
    model *m = make_model(MN_F32);
    mn_module *tanh = mn_nn_tanh();
    ck_assert_ptr_null(mn_average_ema(&m->base, 1.5, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_average_ema: decay 1.5 is not in [0, 1]");
    ck_assert_ptr_null(mn_average_ema(&m->base, NAN, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_average_ema: decay nan is not in [0, 1]");
    ck_assert_ptr_null(mn_average_swa(NULL, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_average_swa: the module is NULL");
    ck_assert_ptr_null(mn_average_swa(tanh, NULL));
    check_last(MN_ERR_ARGUMENT, "mn_average_swa: the module has no parameters");
    mn_average *a = mn_average_swa(&m->base, NULL);
    ck_assert_int_eq(mn_average_update(a, t), MN_ERR_STATE);
    check_tape(t, MN_ERR_STATE, "mn_average_update: parameter 0 was never filled");
    ck_assert_int_eq(mn_average_update(NULL, t), MN_ERR_ARGUMENT);
    check_tape(t, MN_ERR_ARGUMENT, "the average is NULL");
    ck_assert_int_eq(mn_average_update(a, NULL), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_average_update: the tape is NULL");
    ck_assert_int_eq(mn_average_swap(a, NULL), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_average_swap: the tape is NULL");
    ck_assert_int_eq(mn_average_state(NULL, NULL, 0), -1);
    check_last(MN_ERR_ARGUMENT, "mn_average_state: the average is NULL");
    ck_assert_int_eq(mn_average_load_state(a, NULL, 1), MN_ERR_ARGUMENT);
    check_last(MN_ERR_ARGUMENT, "mn_average_load_state: the list is NULL");
    ck_assert_int_eq(mn_average_count(NULL), 0);
    ck_assert(!mn_average_swapped(NULL));
    mn_average_free(a);
    mn_average_free(NULL);
    for (int failures = 0;; failures++) {
        ck_assert_int_lt(failures, 100);
        int64_t alive = mn_live_allocations();
        left = failures;
        a = mn_average_swa(&m->base, NULL);
        left = INT64_MAX;
        if (a) break;
        check_last(MN_ERR_MEMORY, "out of memory");
        /* the module keeps the names that it has made */
        ck_assert_int_le(mn_live_allocations(), alive + 3);
    }
    mn_average_free(a);
    mn_module_free(&m->base);
    mn_module_free(tanh);
    mn_tape_free(t);
}
END_TEST

/* ---- early stopping ---- */

START_TEST(training_stops_when_nothing_gets_better)
{
    static const double losses[] = {3, 2, 2.5, 1.95, 2, NAN, 1.8, 1.9, 1.85, 1.8, 1};
    mn_early_stop e = {.patience = 3};
    int at = 0;
    while (!mn_early_stop_update(&e, losses[at])) at++;
    ck_assert_int_eq(at, 9);
    ck_assert_double_eq(e.best, 1.8);
    ck_assert_int_eq(e.best_at, 6);
    ck_assert_int_eq(e.seen, 10);
    ck_assert_int_eq(e.bad, 3);
    e = (mn_early_stop){.patience = 2, .min_delta = 0.1};
    for (at = 0; !mn_early_stop_update(&e, losses[at]);) at++;
    ck_assert_int_eq(at, 3); /* 1.95 is not better than 2 by more than 0.1 */
    e = (mn_early_stop){.patience = 2, .maximize = true};
    for (at = 0; !mn_early_stop_update(&e, losses[at]);) at++;
    ck_assert_int_eq(at, 2);
    e = (mn_early_stop){.patience = 0};
    ck_assert(!mn_early_stop_update(&e, NAN) && !mn_early_stop_update(&e, 5));
    ck_assert(!mn_early_stop_update(&e, 4) && mn_early_stop_update(&e, 4));
    ck_assert(!mn_early_stop_update(NULL, 1));
}
END_TEST

int main(void)
{
    fixture_read(&averages, MNI_SOURCE_DIR "/tests/fixtures/average.txt");
    Suite *s = suite_create("average");
    TCase *c = tcase_create("average");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, twenty_updates_agree_with_pytorch, 0, averages.n);
    tcase_add_test(c, swapping_twice_gives_the_weights_back);
    tcase_add_test(c, a_saved_average_goes_on_as_if_nothing_had_happened);
    tcase_add_test(c, updates_have_the_same_bits_for_any_number_of_threads);
    tcase_add_test(c, what_makes_no_sense_is_refused);
    tcase_add_test(c, training_stops_when_nothing_gets_better);
    suite_add_tcase(s, c);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    fixture_free(&averages);
    return failed != 0;
}
