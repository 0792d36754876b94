/* 10^6 scalar nodes in one graph, as a chain and as a wide sum of shared terms: no recursion, at
 * most 600 bytes a node, and the exact gradient. */
#include "check.h"
#include <math.h>

enum { NODES = 1000000 };

int main(void)
{
    mn_tape *t = mn_tape_new(NULL);
    mn_tensor *x = mn_tensor_full(MN_F64, 0, NULL, 1);
    mn_tensor_set_requires_grad(x, true);

    /* y = x * c^n by n multiplications: dy/dx = c^n */
    double c = 1 + 1e-6;
    mn_tensor *y = x;
    for (int i = 0; i < NODES; i++) y = mn_mul_scalar(t, y, c);
    CHECK(mn_tape_stats(t).nodes == NODES + 1);
    CHECK(mn_backward(t, y) == MN_OK);
    CHECK(fabs(mn_tensor_item(mn_tensor_grad(x)) - exp(NODES * log(c))) < 1e-9);
    mn_tape_usage u = mn_tape_stats(t);
    double bytes = (double)(u.peak_bytes + u.arena_bytes) / NODES + 64; /* and storage headers */
    printf("%.0f bytes a node\n", bytes);
    CHECK(bytes <= 600);
    mn_tape_reset(t);
    mn_tensor_zero_grad(x);

    /* y = x + x + ... : the leaf gets n contributions */
    y = x;
    for (int i = 1; i < NODES; i++) y = mn_add(t, y, x);
    CHECK(mn_tensor_item(y) == NODES);
    CHECK(mn_backward(t, y) == MN_OK);
    CHECK(mn_tensor_item(mn_tensor_grad(x)) == NODES);
    CHECK_TAPE(t);

    mn_tape_free(t);
    mn_release(x);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
