/* An op of the user's own, outside the library, with its gradient: y = x^3. It is checked,
 * differentiated twice and used in a step like any other. */
#include "check.h"
#include <math.h>

static void cube_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0);
    gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, mn_mul(t, x, x), 3));
}
static const mn_op cube_op = {.name = "cube", .backward = cube_backward};

static mn_tensor *cube(mn_tape *t, mn_tensor *x)
{
    x = mn_contiguous(t, x);
    if (!mn_op_begin(t, &cube_op, &x, 1)) return NULL;
    if (mn_tensor_dtype(x) != MN_F64) return mn_tape_fail(t, MN_ERR_DTYPE, "wants f64");
    mn_tensor *y = mn_empty_like(t, x);
    if (y) {
        const double *in = mn_tensor_data(x);
        double *out = mn_tensor_mutable_data(y);
        for (int64_t i = 0; i < mn_tensor_numel(x); i++) out[i] = in[i] * in[i] * in[i];
    }
    mn_node *n = mn_op_record(t, &cube_op, &x, 1, &y, 1);
    mn_save(n, x);
    return mn_op_end(t, y);
}

static mn_tensor *function(mn_tape *t, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    return cube(t, mn_transpose(t, in[0], 0, 1));
}

/* The same with a wrong gradient must not pass. */
static void wrong_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0);
    gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, mn_mul(t, x, x), -3));
}
static const mn_op wrong_op = {.name = "wrong", .backward = wrong_backward};

static mn_tensor *wrong(mn_tape *t, mn_tensor *const *in, int n, void *user)
{
    (void)n, (void)user;
    mn_tensor *x = in[0];
    if (!mn_op_begin(t, &wrong_op, &x, 1)) return NULL;
    mn_op_end(t, NULL);
    mn_tensor *y = mn_detach(t, cube(t, x));
    mn_save(mn_op_record(t, &wrong_op, &x, 1, &y, 1), x);
    return y;
}

int main(void)
{
    mn_rng rng = mn_rng_make(1, 0);
    mn_tensor *x = mn_tensor_empty(MN_F64, 2, (int64_t[]){3, 2});
    mn_tensor_uniform(x, -2, 2, &rng);
    mn_tensor_set_requires_grad(x, true);
    CHECK(mn_gradcheck(function, &x, 1, NULL, NULL) == MN_OK);
    CHECK(mn_gradgradcheck(function, &x, 1, NULL, NULL) == MN_OK);
    CHECK(mn_gradcheck(wrong, &x, 1, NULL, NULL) == MN_ERR_STATE);
    CHECK(strstr(mn_last_message(), "input 0 at [0, 0]"));

    mn_tape *t = mn_tape_new(NULL);
    CHECK(mn_backward(t, mn_sum(t, cube(t, x))) == MN_OK);
    double v = mn_tensor_get(x, (int64_t[]){2, 1});
    CHECK(fabs(mn_tensor_get(mn_tensor_grad(x), (int64_t[]){2, 1}) - 3 * v * v) < 1e-12);

    CHECK(cube(t, mn_zeros(t, MN_F32, 1, (int64_t[]){2})) == NULL);
    CHECK(strcmp(mn_tape_message(t), "cube: wants f64") == 0);
    mn_tape_free(t);
    mn_release(x);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
