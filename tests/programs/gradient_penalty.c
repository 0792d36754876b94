/* Gradient penalty (Gulrajani et al., 2017): the loss contains the gradient of the net with
 * respect to its input, so its own gradient is a second derivative, here through linear layers
 * and RReLU. Checked against finite differences of the penalty in a weight. */
#include "check.h"
#include <math.h>

static mn_module *net;

/* mean over the rows of (|d net(x) / d x| - 1)^2 */
static mn_tensor *penalty(mn_tape *t, mn_tensor *input)
{
    mn_module_seed(net, 5, 0); /* the same slopes at every call */
    mn_tensor *x = mn_clone(t, input), *g;
    mn_tensor_set_requires_grad(x, true);
    mn_tensor *y = mn_sum(t, mn_module_forward(net, t, x));
    if (mn_grad(t, &y, 1, &x, 1, &g, &(mn_grad_opts){.create_graph = true})) return NULL;
    mn_tensor *norm = mn_sqrt(t, mn_sum_dim(t, mn_mul(t, g, g), (int[]){1}, 1, false));
    mn_tensor *off = mn_sub_scalar(t, norm, 1);
    return mn_mean(t, mn_mul(t, off, off));
}

int main(void)
{
    net = mn_nn_sequential(mn_nn_linear(3, 8, NULL), mn_nn_rrelu(0.1, 0.4, NULL),
                           mn_nn_linear(8, 1, NULL));
    mn_module_to(net, MN_F64);
    mn_module_init(net, 11);
    mn_rng rng = mn_rng_make(2, 0);
    mn_tensor *x = mn_tensor_empty(MN_F64, 2, (int64_t[]){5, 3});
    mn_tensor_uniform(x, -1, 1, &rng);

    mn_tape *t = mn_tape_new(NULL);
    CHECK(mn_backward(t, penalty(t, x)) == MN_OK);
    mn_tape_reset(t);

    mn_tensor *w = mn_module_get(net, "0.weight");
    for (int64_t i = 0; i < 8; i++) {
        int64_t at[] = {i, i % 3};
        double before = mn_tensor_get(w, at), side[2];
        for (int k = 0; k < 2; k++, mn_tape_reset(t)) {
            mn_tensor_set(w, at, before + (k ? 1e-6 : -1e-6));
            side[k] = mn_tensor_item(penalty(t, x));
        }
        mn_tensor_set(w, at, before);
        double numeric = (side[1] - side[0]) / 2e-6;
        double analytic = mn_tensor_get(mn_tensor_grad(w), at);
        CHECK(fabs(numeric - analytic) < 1e-6 * (1 + fabs(numeric)));
        CHECK(analytic != 0);
    }
    CHECK_TAPE(t);

    mn_tape_free(t);
    mn_release(x);
    mn_module_free(net);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
