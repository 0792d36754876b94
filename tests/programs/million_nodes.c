/* 10^6 scalar nodes in one graph, as a chain, as a wide sum of shared terms and as a tree: no
 * recursion, linear time, at most 600 bytes a node, and the exact gradient. */
#include "check.h"
#include <math.h>

enum { NODES = 1000000, LEAVES = 1 << 19 };

static void check_bytes(const mn_tape *t, const char *what)
{
    mn_tape_usage u = mn_tape_stats(t);
    double bytes = (double)(u.peak_bytes + u.arena_bytes) / (double)u.nodes;
    printf("%s: %.0f bytes a node\n", what, bytes + 64); /* and storage headers */
    CHECK(bytes + 64 <= 600);
}

/* The sum of k x over k < LEAVES, added in pairs, 2^20 nodes: dy/dx = LEAVES (LEAVES - 1) / 2. */
static void tree(mn_tape *t, mn_tensor *x)
{
    mn_tensor **row = malloc(LEAVES * sizeof *row);
    CHECK(row != NULL);
    for (int k = 0; k < LEAVES; k++) row[k] = mn_mul_scalar(t, x, k);
    for (int n = LEAVES / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) row[i] = mn_add(t, row[2 * i], row[2 * i + 1]);
    CHECK(mn_tape_stats(t).nodes == 2 * LEAVES);
    CHECK(mn_backward(t, row[0]) == MN_OK);
    CHECK(mn_tensor_item(mn_tensor_grad(x)) == LEAVES / 2.0 * (LEAVES - 1));
    CHECK_TAPE(t);
    free(row);
}

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
    check_bytes(t, "chain");
    mn_tape_reset(t);
    mn_tensor_zero_grad(x);

    /* y = x + x + ... : the leaf gets n contributions */
    y = x;
    for (int i = 1; i < NODES; i++) y = mn_add(t, y, x);
    CHECK(mn_tensor_item(y) == NODES);
    CHECK(mn_backward(t, y) == MN_OK);
    CHECK(mn_tensor_item(mn_tensor_grad(x)) == NODES);
    CHECK_TAPE(t);
    mn_tape_reset(t);
    mn_tensor_zero_grad(x);

    tree(t, x);
    check_bytes(t, "tree");

    mn_tape_free(t);
    mn_release(x);
    CHECK(mn_live_allocations() == 0);
    return 0;
}
