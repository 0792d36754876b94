/*
 * tests/test_conv.c: mni_conv against its own definition, element by element in double, where its
 * work is cut into many blocks and where it is not, on each instruction set and with teams; and
 * what the cases of the ops cannot say of convolutions: how much memory they take.
 */
#include "support.h"
#include "tensor/conv_plan.h"

#include <math.h>
#include <minnow/ops.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static int64_t below(int64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)n);
}

static double at(const mn_tensor *x, int64_t i)
{
    return x->dtype == MN_F32 ? (double)((const float *)(const void *)x->data)[i]
                              : ((const double *)(const void *)x->data)[i];
}

static mn_tensor *random_tensor(mn_dtype dtype, int64_t numel)
{
    mn_tensor *x = mn_tensor_empty(dtype, 1, &numel);
    mni_uniform(NULL, x, -1, 1, mn_rng_make(5, (uint64_t)below(1 << 20)));
    return x;
}

/* ---- the naive twin ---- */

static int64_t channels(const mni_conv_sizes *s, mni_conv_role role)
{
    return s->groups * (role == MNI_CONV_X ? s->ins : s->outs);
}

static int64_t count(const mni_conv_sizes *s, mni_conv_role role)
{
    if (role == MNI_CONV_W) return channels(s, MNI_CONV_Y) * s->ins * volume(s->kernel);
    return s->batch * channels(s, role) * volume(role == MNI_CONV_X ? s->in : s->out);
}

/* What element k of the kernel sees at position p of y: an element of a plane of x; -1: nothing. */
static int64_t seen(const mni_conv_sizes *s, int64_t p, int64_t k)
{
    int64_t index[3], element = 0;
    for (int d = 2; d >= 0; d--) {
        index[d] = p % s->out[d] * s->stride[d] + k % s->kernel[d] * s->dilation[d] - s->padding[d];
        p /= s->out[d];
        k /= s->kernel[d];
        if (index[d] < 0 || index[d] >= s->in[d]) return -1;
    }
    for (int d = 0; d < 3; d++) element = element * s->in[d] + index[d];
    return element;
}

/* Adds every product of two of x, w and y to the element of the third, and its size to sizes; to in_order, if
 * it is not NULL, in f32. */
static void twin(const mni_conv_sizes *s, mni_conv_role role, mn_tensor *const of[3], double *sums,
                 double *sizes, float *in_order)
{
    const int64_t taps = volume(s->kernel), planes = s->batch * channels(s, MNI_CONV_Y);
    for (int64_t i = 0; i < planes * volume(s->out); i++)
        for (int64_t j = 0; j < s->ins * taps; j++) {
            const int64_t plane = i / volume(s->out), o = plane % channels(s, MNI_CONV_Y);
            const int64_t n = plane / channels(s, MNI_CONV_Y), g = o / s->outs, c = j / taps;
            const int64_t element = seen(s, i % volume(s->out), j % taps);
            if (element < 0) continue;
            const int64_t index[] = {((n * s->groups + g) * s->ins + c) * volume(s->in) + element,
                                     o * s->ins * taps + j, i};
            double product = 1;
            for (int r = 0; r < 3; r++)
                if (r != (int)role) product *= at(of[r], index[r]);
            sums[index[role]] += product;
            if (in_order) in_order[index[role]] += (float)product;
            sizes[index[role]] += fabs(product);
        }
}

static void check(mni_team *team, const mni_conv_sizes *s, mni_conv_role role)
{
    mn_tensor *of[3];
    for (int r = 0; r < 3; r++) of[r] = random_tensor(s->dtype, count(s, (mni_conv_role)r));
    mn_tensor *bias =
        role == MNI_CONV_W || below(2) ? NULL : random_tensor(s->dtype, channels(s, role));
    mn_tensor *scratch = random_tensor(s->dtype, mni_conv_scratch(team, s, role));
    const int64_t n = of[role]->numel, of_channel = bias && n ? n / s->batch / bias->numel : 0;
    double *sums = calloc((size_t)n + 1, sizeof *sums),
           *sizes = calloc((size_t)n + 1, sizeof *sizes);
    twin(s, role, of, sums, sizes, NULL);
    mni_fill(NULL, of[role], NAN);
    mni_fill(NULL, scratch, NAN);
    mni_conv(team, s, role, (const mn_tensor *const *)of, bias, scratch->data);
    /* Fewer products: an element's error is that of all that its tile sees, also at an edge. */
    double largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, sizes[i]);
    const bool fast = mni_winograd_scratch(team, s, role) >= 0;
    for (int64_t i = 0; i < n; i++) {
        const double want = sums[i] + (bias ? at(bias, i / of_channel % bias->numel) : 0);
        const double size = fast ? largest : sizes[i];
        const double slack = (s->dtype == MN_F32 ? 0x1p-20 : 0x1p-49) * (size + 1);
        if (!(fabs(at(of[role], i) - want) <= slack))
            ck_abort_msg("role %d [%d]: %.9g, not %.9g", (int)role, (int)i, at(of[role], i), want);
    }
    for (int r = 0; r < 3; r++) mn_release(of[r]);
    mn_release(bias);
    mn_release(scratch);
    free(sums);
    free(sizes);
}

static const char *const isas[] = {"baseline", "avx2", "avx512", "neon"};

/* Runs the statement that follows once on each instruction set of this machine. */
#define FOR_EACH_ISA                                                                               \
    state = 1;                                                                                     \
    for (size_t isa = 0; isa < sizeof isas / sizeof *isas; isa++)                                  \
        if (mni_kernels_force(isas[isa]))

static mni_conv_sizes random_sizes(void)
{
    mni_conv_sizes s = {.dtype = below(2) ? MN_F32 : MN_F64,
                        .batch = below(4),
                        .groups = 1 + below(2) * below(3),
                        .ins = below(3) ? 1 + below(4) : 8 + below(16),
                        .outs = 1 + below(5)};
    for (int d = 0; d < 3; d++) {
        const bool flat = d == 0 && below(3) > 0;
        s.kernel[d] = flat ? 1 : 1 + below(4);
        s.stride[d] = 1 + below(2) * below(3);
        s.padding[d] = below(2) * below(4);
        s.dilation[d] = 1 + below(2) * below(3);
        s.out[d] = flat ? 1 : 1 + below(5);
        s.in[d] = (s.out[d] - 1) * s.stride[d] + (s.kernel[d] - 1) * s.dilation[d] + 1 -
                  2 * s.padding[d] + below(3); /* some are not reached, or are seen as padding */
        if (s.in[d] < 0) s.in[d] = 0;
    }
    return s;
}

START_TEST(convolutions_of_any_sizes_in_all_three_roles)
{
    FOR_EACH_ISA
    for (int i = 0; i < 600; i++) {
        const mni_conv_sizes s = random_sizes();
        for (int role = 0; role < 3; role++) check(NULL, &s, (mni_conv_role)role);
    }
}
END_TEST

/* Each is cut in another way: samples, lines, columns of a line, channels and rows of weights, sums
 * over samples. */
static const mni_conv_sizes large[] = {
    {MN_F32, 7, 1, 5, 3, {1, 30, 30}, {1, 3, 3}, {1, 28, 28}, {1, 1, 1}, {0}, {1, 1, 1}},
    {MN_F32, 1, 1, 3, 2, {1, 300, 40}, {1, 5, 2}, {1, 148, 39}, {1, 2, 1}, {0}, {1, 1, 1}},
    {MN_F32, 1, 1, 33, 2, {1, 70, 60}, {1, 3, 1}, {1, 66, 60}, {1, 1, 1}, {0}, {1, 2, 1}},
    {MN_F64, 1, 1, 40, 1, {1, 2, 2500}, {1, 2, 1}, {1, 3, 2500}, {1, 1, 1}, {0, 1, 0}, {1, 1, 1}},
    {MN_F32, 2, 1, 4, 2, {1, 1, 9000}, {1, 1, 3}, {1, 1, 9000}, {1, 1, 1}, {0, 0, 1}, {1, 1, 1}},
    {MN_F64, 1, 1, 900, 2, {1, 3, 20}, {1, 2, 3}, {1, 2, 18}, {1, 1, 1}, {0}, {1, 1, 1}},
    {MN_F32, 1, 2, 1500, 2, {1, 2, 4}, {1, 2, 2}, {1, 1, 2}, {1, 2, 2}, {0}, {1, 1, 1}},
    {MN_F32, 3, 30, 1, 2, {1, 20, 20}, {1, 3, 3}, {1, 20, 20}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 2, 1, 3, 70, {1, 1, 100}, {1, 1, 1}, {1, 1, 100}, {1, 1, 1}, {0}, {1, 1, 1}},
    {MN_F32, 2, 1, 6, 5, {9, 12, 12}, {3, 3, 3}, {9, 12, 12}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
    {MN_F32, 20, 1, 8, 12, {1, 9, 8}, {1, 5, 5}, {1, 9, 8}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}},
    {MN_F64, 3, 1, 40, 48, {1, 7, 7}, {1, 3, 3}, {1, 7, 7}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 2, 1, 16, 300, {1, 4, 4}, {1, 7, 7}, {1, 4, 4}, {1, 1, 1}, {0, 3, 3}, {1, 1, 1}},
    /* nearly straight from x, but for a plane of x that is not seen */
    {MN_F32, 1, 1, 1, 1, {2, 16, 16}, {1, 3, 3}, {1, 16, 16}, {2, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 1, 1, 1, 1, {2, 16, 16}, {1, 3, 3}, {1, 16, 16}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    /* straight from x: parts of images, dilation, groups, padding beyond the kernel */
    {MN_F32, 5, 1, 2, 13, {1, 19, 30}, {1, 3, 5}, {1, 19, 32}, {1, 1, 1}, {0, 1, 3}, {1, 1, 1}},
    {MN_F32, 3, 6, 1, 2, {1, 12, 16}, {1, 3, 3}, {1, 12, 16}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 2, 1, 3, 5, {1, 400, 60}, {1, 3, 3}, {1, 400, 60}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 2, 1, 1, 4, {1, 20, 40}, {1, 3, 4}, {1, 16, 31}, {1, 1, 1}, {0}, {1, 2, 3}},
    {MN_F32, 2, 1, 2, 1, {1, 8, 20}, {1, 3, 3}, {1, 14, 26}, {1, 1, 1}, {0, 4, 4}, {1, 1, 1}},
    /* and those by fewer products: of images, lines of one, with rests of channels and tiles */
    {MN_F32, 9, 1, 28, 30, {1, 13, 9}, {1, 3, 3}, {1, 13, 9}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 6, 1, 32, 14, {1, 14, 14}, {1, 5, 5}, {1, 14, 14}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}},
    {MN_F32, 2, 2, 16, 16, {1, 22, 23}, {1, 5, 5}, {1, 18, 21}, {1, 1, 1}, {0, 0, 1}, {1, 1, 1}},
    {MN_F32, 1, 1, 16, 32, {1, 40, 36}, {1, 3, 3}, {1, 42, 38}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}},
    {MN_F32, 1, 1, 16, 16, {1, 6, 270}, {1, 3, 3}, {1, 6, 270}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 1, 1, 32, 32, {1, 16, 16}, {1, 3, 3}, {1, 16, 16}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {MN_F32, 65, 1, 64, 60, {1, 3, 3}, {1, 3, 3}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
};
enum { LARGE = sizeof large / sizeof *large, DIRECT = 5, FAST = 7 };

START_TEST(convolutions_that_are_cut_are_right_across_the_cuts)
{
    mni_team *team = mni_team_new(3);
    FOR_EACH_ISA
    for (int i = 0; i < LARGE; i++)
        for (int role = 0; role < 3; role++) check(team, &large[i], (mni_conv_role)role);
    mni_team_free(team);
}
END_TEST

START_TEST(the_last_of_them_go_the_special_ways)
{
    for (int i = 0; i < LARGE; i++)
        for (int role = 0; role < 3; role++) {
            const bool fast = mni_winograd_scratch(NULL, &large[i], (mni_conv_role)role) >= 0;
            const bool direct = mni_direct_scratch(NULL, &large[i], (mni_conv_role)role) >= 0;
            ck_assert_int_eq(fast, i >= LARGE - FAST);
            if (i >= LARGE - FAST - DIRECT && i < LARGE - FAST && role != MNI_CONV_X)
                ck_assert(direct);
        }
    ck_assert(mni_direct_scratch(NULL, &large[LARGE - FAST - 3], MNI_CONV_X) >= 0);
}
END_TEST

/* Errors beside those of sums in f32, one product after the other. */
START_TEST(fewer_products_round_at_most_three_times_as_much)
{
    static const mni_conv_sizes some[] = {
        {MN_F32,
         6,
         1,
         32,
         32,
         {1, 12, 12},
         {1, 3, 3},
         {1, 12, 12},
         {1, 1, 1},
         {0, 1, 1},
         {1, 1, 1}},
        {MN_F32,
         6,
         1,
         16,
         32,
         {1, 14, 14},
         {1, 5, 5},
         {1, 14, 14},
         {1, 1, 1},
         {0, 2, 2},
         {1, 1, 1}},
    };
    FOR_EACH_ISA
    for (int i = 0; i < 6; i++) {
        const mni_conv_sizes *s = &some[i / 3];
        const mni_conv_role role = (mni_conv_role)(i % 3);
        mn_tensor *of[3], *scratch = random_tensor(MN_F32, mni_winograd_scratch(NULL, s, role));
        for (int r = 0; r < 3; r++) of[r] = random_tensor(MN_F32, count(s, (mni_conv_role)r));
        const size_t n = (size_t)of[role]->numel;
        double *sums = calloc(n, sizeof *sums), *sizes = calloc(n, sizeof *sizes), fast = 0,
               plain = 0;
        float *in_order = calloc(n, sizeof *in_order);
        twin(s, role, of, sums, sizes, in_order);
        mni_conv(NULL, s, role, (const mn_tensor *const *)of, NULL, scratch->data);
        for (size_t k = 0; k < n; k++) {
            fast += pow(at(of[role], (int64_t)k) - sums[k], 2);
            plain += pow((double)in_order[k] - sums[k], 2);
        }
        ck_assert_double_le(fast, 9 * plain);
        for (int r = 0; r < 3; r++) mn_release(of[r]);
        mn_release(scratch);
        free(sums);
        free(sizes);
        free(in_order);
    }
}
END_TEST

/* What is not finite stays near: in the tiles that see it. */
START_TEST(fewer_products_spread_a_nan_over_a_few_positions)
{
    const mni_conv_sizes s = {MN_F32,    4,           1,         16,        16,       {1, 30, 30},
                              {1, 3, 3}, {1, 30, 30}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
    FOR_EACH_ISA
    {
        mn_tensor *of[3];
        for (int r = 0; r < 3; r++) of[r] = random_tensor(MN_F32, count(&s, (mni_conv_role)r));
        ((float *)(void *)of[MNI_CONV_X]->data)[3 * 900 + 14 * 30 + 17] = NAN; /* sample 0 */
        const int64_t room = mni_winograd_scratch(NULL, &s, MNI_CONV_Y);
        ck_assert_int_ge(room, 0);
        mn_tensor *scratch = random_tensor(MN_F32, room);
        mni_conv(NULL, &s, MNI_CONV_Y, (const mn_tensor *const *)of, NULL, scratch->data);
        for (int64_t i = 0; i < of[MNI_CONV_Y]->numel; i++) {
            const int64_t down = labs(i / 30 % 30 - 14), across = labs(i % 30 - 17);
            const bool first = i < 16 * 900, nan = isnan(at(of[MNI_CONV_Y], i)) != 0;
            if (first && down <= 1 && across <= 1) ck_assert(nan);
            if (!first || down > 7 || across > 7) ck_assert(!nan);
        }
        for (int r = 0; r < 3; r++) mn_release(of[r]);
        mn_release(scratch);
    }
}
END_TEST

START_TEST(sums_of_many_weights_take_no_more_room_than_a_few)
{
    const mni_conv_sizes s = {MN_F32,    128,       1,         512,       512,      {1, 7, 7},
                              {1, 3, 3}, {1, 7, 7}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
    mni_conv_sizes few = s;
    few.ins = 4;
    few.outs = 1024;
    few.in[1] = few.in[2] = few.out[1] = few.out[2] = 28;
    ck_assert_int_le(mni_conv_scratch(NULL, &s, MNI_CONV_W), 2 * 36 * 512 * 512);
    ck_assert_int_le(mni_conv_scratch(NULL, &few, MNI_CONV_W), 1 << 21);
}
END_TEST

/* The ops in f32, in the special ways, beside f64: without a batch and from a view; and the transposed one,
 * whose kernel is dilated and whose result has a rest. */
static void compare_ops(bool transposed, int64_t channels, int64_t size)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x[2], *w[2];
    const int64_t image[] = {size, channels, size}, kernel[] = {channels, channels, 3, 3};
    for (int k = 0; k < 2; k++) {
        mn_rng r = mn_rng_make(3, 3);
        x[k] = mn_parameter(k ? MN_F64 : MN_F32, 3, image);
        w[k] = mn_parameter(k ? MN_F64 : MN_F32, 4, kernel);
        mn_tensor_uniform(x[k], -1, 1, &r);
        mn_tensor_uniform(w[k], -1, 1, &r);
        if (k) { /* the same numbers */
            mni_copy(NULL, x[0], x[1]);
            mni_copy(NULL, w[0], w[1]);
        }
        mn_tensor *view = mn_transpose(t, x[k], 0, 1);
        mn_tensor *y =
            transposed ? mn_conv_transpose2d(t, view, w[k], MN_NONE,
                                             &(mn_conv_transpose_opts){.padding = {2, 1},
                                                                       .output_padding = {1, 1},
                                                                       .dilation = {2, 2}})
                       : mn_conv2d(t, view, w[k], MN_NONE, &(mn_conv_opts){.padding_same = true});
        ck_assert_int_eq(mn_backward(t, mn_sum(t, mn_sin(t, y))), MN_OK);
        mn_tape_reset(t);
    }
    for (int which = 0; which < 2; which++) {
        const mn_tensor *a = mn_tensor_grad((which ? w : x)[0]),
                        *b = mn_tensor_grad((which ? w : x)[1]);
        for (int64_t i = 0; i < mn_tensor_numel(a); i++)
            ck_assert_double_eq_tol(at(a, i), at(b, i), 2e-3);
    }
    for (int k = 0; k < 2; k++) {
        mn_release(x[k]);
        mn_release(w[k]);
    }
    mn_tape_free(t);
    ck_assert_int_eq(mn_live_allocations(), 0);
}

START_TEST(ops_agree_with_f64_in_each_way)
{
    FOR_EACH_ISA
    {
        compare_ops(false, 20, 19); /* fewer products */
        compare_ops(false, 3, 20);  /* straight from x */
        compare_ops(true, 3, 20);
        compare_ops(true, 20, 19);
    }
}
END_TEST

START_TEST(any_team_gives_the_same_bits)
{
    mni_team *teams[] = {NULL, mni_team_new(2), mni_team_new(3), mni_team_new(4)};
    FOR_EACH_ISA
    for (int i = 0; i < 3 * LARGE; i++) {
        const mni_conv_sizes *s = &large[i / 3];
        const mni_conv_role role = (mni_conv_role)(i % 3);
        mn_tensor *of[3], *want = NULL;
        for (int r = 0; r < 3; r++) of[r] = random_tensor(s->dtype, count(s, (mni_conv_role)r));
        for (int team = 0; team < 4; team++) {
            mn_tensor *scratch = random_tensor(s->dtype, mni_conv_scratch(teams[team], s, role));
            mni_conv(teams[team], s, role, (const mn_tensor *const *)of, NULL, scratch->data);
            if (!want) want = mn_tensor_from(s->dtype, 1, &of[role]->numel, of[role]->data);
            const size_t bytes = (size_t)want->numel * mn_dtype_size(s->dtype);
            ck_assert_mem_eq(of[role]->data, want->data, bytes);
            mn_release(scratch);
        }
        for (int r = 0; r < 3; r++) mn_release(of[r]);
        mn_release(want);
    }
    for (int i = 0; i < 4; i++) mni_team_free(teams[i]);
}
END_TEST

/* A step on a large image: im2col of it all would take 25 times its size. */
START_TEST(memory_is_bounded_and_steady)
{
    mn_tape *t = mn_tape_new(NULL);
    const int64_t image[] = {1, 4, 256, 256}, kernel[] = {4, 4, 5, 5};
    mn_tensor *x = mn_parameter(MN_F32, 4, image), *w = mn_parameter(MN_F32, 4, kernel);
    mn_tensor_fill(x, 1);
    mn_tensor_fill(w, 1);
    int64_t allocations = 0;
    for (int step = 0; step < 4; step++) {
        mn_tensor *y = mn_conv2d(t, x, w, MN_NONE, &(mn_conv_opts){.padding_same = true});
        ck_assert_int_eq(mn_backward(t, mn_sum(t, y)), MN_OK);
        mn_tape_reset(t);
        if (step == 1) allocations = (int64_t)mn_live_allocations();
    }
    ck_assert_int_eq((int64_t)mn_live_allocations(), allocations);
    const size_t plane = 4 * 256 * 256 * sizeof(float);
    ck_assert_uint_le(mn_tape_stats(t).peak_bytes, 5 * plane);
    ck_assert_int_eq(mn_tape_stats(t).multiply_adds, 4 * (256 * 256 * 4 * 4 * 25)); /* forward */
    ck_assert_float_eq((float)mn_tensor_get(mn_tensor_grad(x), (int64_t[]){0, 0, 9, 9}), 4 * 100);
    mn_tape_free(t);
    mn_release(x);
    mn_release(w);
    ck_assert_int_eq(mn_live_allocations(), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        convolutions_of_any_sizes_in_all_three_roles,
        convolutions_that_are_cut_are_right_across_the_cuts,
        the_last_of_them_go_the_special_ways,
        fewer_products_round_at_most_three_times_as_much,
        fewer_products_spread_a_nan_over_a_few_positions,
        sums_of_many_weights_take_no_more_room_than_a_few,
        ops_agree_with_f64_in_each_way,
        any_team_gives_the_same_bits,
        memory_is_bounded_and_steady,
    };
    return run_suite("conv", tests, sizeof tests / sizeof *tests);
}
