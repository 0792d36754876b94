/* In-place ops: what is right works, every misuse is an error that says what to do. */
#include "check.h"

static mn_tape *t;

static bool refused(mn_error code, const char *words)
{
    bool yes = mn_tape_error(t) == code && strstr(mn_tape_message(t), words);
    if (!yes) fprintf(stderr, "got: %s\n", mn_tape_message(t));
    mn_tape_clear_error(t);
    return yes;
}

static mn_tensor *leaf(void)
{
    mn_tensor *x = mn_from(t, MN_F32, 1, (int64_t[]){3}, (float[]){-1, 0, 2});
    mn_tensor_set_requires_grad(x, true);
    return x;
}

int main(void)
{
    t = mn_tape_new(NULL);
    mn_rng rng = mn_rng_make(1, 0);

    /* Right: an intermediate result that nobody else needs; negative slopes are exact too. */
    mn_tensor *x = leaf(), *h = mn_mul_scalar(t, x, 2);
    mn_tensor *y = mn_rrelu_(t, h, -0.5, -0.2, true, &rng);
    mn_tensor *slopes = mn_retain(mn_rrelu_slopes(t, y));
    CHECK(mn_backward(t, mn_sum(t, y)) == MN_OK);
    for (int64_t i = 0; i < 3; i++)
        CHECK(mn_tensor_get(mn_tensor_grad(x), &i) == 2 * mn_tensor_get(slopes, &i));
    mn_release(slopes);
    mn_tape_reset(t);

    /* The handle from before the overwrite is stale. */
    x = leaf(), h = mn_mul_scalar(t, x, 2);
    mn_rrelu_(t, h, 0.1, 0.3, true, &rng);
    CHECK(mn_add_scalar(t, h, 1) == NULL);
    CHECK(refused(MN_ERR_STATE, "was overwritten by rrelu_; use its result"));
    mn_tape_reset(t);

    /* A leaf that requires grad. */
    x = leaf();
    CHECK(mn_relu_(t, x) == NULL);
    CHECK(refused(MN_ERR_STATE, "leaf that requires grad"));
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    CHECK(mn_relu_(t, x) != NULL); /* without recording it is allowed */
    mn_scope_end(t, s, NULL, 0);
    mn_tape_reset(t);

    /* A value that another op saved for its gradient. */
    x = leaf();
    mn_tensor *e = mn_exp(t, x);
    mn_tensor *sum = mn_sum(t, mn_leaky_relu_(t, e, 0.1));
    CHECK(mn_backward(t, sum) == MN_ERR_STATE);
    CHECK(refused(MN_ERR_STATE, "overwritten by leaky_relu_"));
    mn_tape_reset(t);

    /* A parameter, and a view of one. */
    mn_tensor *w = mn_tensor_ones(MN_F32, 1, (int64_t[]){4});
    mn_tensor_set_requires_grad(w, true);
    CHECK(mn_relu_(t, mn_narrow(t, w, 0, 1, 2)) == NULL);
    CHECK(refused(MN_ERR_STATE, "leaf that requires grad"));

    /* Elements that share an address. */
    mn_tensor *wide = mn_expand(t, mn_ones(t, MN_F32, 1, (int64_t[]){1}), 1, (int64_t[]){3});
    CHECK(mn_relu_(t, wide) == NULL);
    CHECK(refused(MN_ERR_ARGUMENT, "mn_clone"));

    /* A parameter changed between its use and the backward pass. */
    mn_tensor *p = mn_mul(t, w, w);
    mn_tensor_fill(w, 3);
    CHECK(mn_backward(t, mn_sum(t, p)) == MN_ERR_STATE);
    CHECK(refused(MN_ERR_STATE, "overwritten"));
    mn_tape_reset(t);

    /* A second backward over a freed graph. */
    sum = mn_sum(t, mn_mul(t, w, w));
    CHECK(mn_backward(t, sum) == MN_OK && mn_backward(t, sum) == MN_ERR_STATE);
    CHECK(refused(MN_ERR_STATE, "retain_graph"));

    /* A loss that reaches no parameter. */
    CHECK(mn_backward(t, mn_sum(t, mn_ones(t, MN_F32, 1, (int64_t[]){2}))) == MN_ERR_STATE);
    CHECK(refused(MN_ERR_STATE, "requires grad"));

    mn_tape_free(t);
    mn_release(w);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
