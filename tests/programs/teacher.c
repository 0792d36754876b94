/* A lesson: what the tape recorded, the gradients of intermediate results, and the slopes that
 * RReLU drew. */
#include "check.h"
#include <math.h>

static void show(const char *name, const mn_tensor *x)
{
    char text[400];
    mn_tensor_format(x, text, sizeof text);
    printf("%s = %s\n", name, text);
}

int main(void)
{
    mn_tape *t = mn_tape_new(&(mn_tape_opts){.keep_all = true});
    mn_rng rng = mn_rng_make(1, 0);
    mn_tensor *x = mn_from(t, MN_F32, 1, (int64_t[]){4}, (float[]){-2, -1, 0.5f, 3});
    mn_tensor_set_requires_grad(x, true);

    mn_tensor *y = mn_rrelu(t, x, 0.1, 0.3, true, &rng);
    mn_tensor *z = mn_mul(t, y, y);
    mn_tensor *loss = mn_sum(t, z);
    mn_retain_grad(t, y);
    mn_retain_grad(t, z);

    char tape[1000];
    CHECK(mn_tape_format(t, tape, sizeof tape) < sizeof tape);
    printf("the tape:\n%s", tape);
    CHECK(strstr(tape, "rrelu(%0) -> f32[4]") && strstr(tape, "sum("));
    CHECK(mn_tape_stats(t).nodes == 4); /* x, rrelu, mul, sum */

    mn_tensor *slopes = mn_retain(mn_rrelu_slopes(t, y));
    CHECK(mn_backward(t, loss) == MN_OK);
    show("x", x), show("slopes", slopes), show("y", y);
    show("d loss / d z", mn_tensor_grad(z));
    show("d loss / d y", mn_tensor_grad(y));
    show("d loss / d x", mn_tensor_grad(x));

    for (int64_t i = 0; i < 4; i++) {
        double xi = mn_tensor_get(x, &i), a = mn_tensor_get(slopes, &i);
        double yi = mn_tensor_get(y, &i);
        CHECK(xi > 0 ? a == 1 : a >= 0.1f && a <= 0.3f);
        CHECK(fabs(yi - a * xi) < 1e-6);
        CHECK(mn_tensor_get(mn_tensor_grad(z), &i) == 1);
        CHECK(fabs(mn_tensor_get(mn_tensor_grad(y), &i) - 2 * yi) < 1e-6);
        CHECK(fabs(mn_tensor_get(mn_tensor_grad(x), &i) - 2 * yi * a) < 1e-6);
    }

    /* In eval the slopes are their mean, and can be read just the same. */
    mn_tensor *e = mn_rrelu(t, x, 0.1, 0.3, false, NULL);
    CHECK(fabs(mn_tensor_get(mn_rrelu_slopes(t, e), (int64_t[]){0}) - 0.2) < 1e-6);
    CHECK_TAPE(t);

    /* Not without recording, and not after the graph is freed: errors that say so. */
    CHECK(mn_rrelu_slopes(t, y) == NULL && *mn_tape_message(t));
    mn_tape_clear_error(t);
    mn_scope s = mn_scope_begin(t, MN_NO_GRAD);
    CHECK(mn_rrelu_slopes(t, mn_rrelu(t, x, 0.1, 0.3, false, NULL)) == NULL);
    mn_scope_end(t, s, NULL, 0);

    mn_release(slopes);
    mn_tape_free(t);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
