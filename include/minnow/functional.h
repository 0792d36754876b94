/*
 * minnow/functional.h: derivatives of whole functions: products with the Jacobian from either side,
 * Jacobians and Hessians in full, in the spirit of torch.autograd.functional.
 *
 * f is a function of n tensors, given as in mn_checkpoint; whether the inputs require grad does not
 * matter: f gets tensors of the same values that do. Inputs that are not f32 or f64 (indices,
 * masks) are passed through and have no derivative. What f does not depend on has derivative zero.
 * Results are temporaries of the tape.
 */
#ifndef MINNOW_FUNCTIONAL_H
#define MINNOW_FUNCTIONAL_H

#include <minnow/autograd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Options of all that is here. */
typedef struct mn_functional_opts {
    /* Record, so that the results can be differentiated with respect to the inputs (those that
     * require grad) and to whatever else f uses. So these functions nest, to any order. Otherwise
     * results have no graph, and what f saved is freed. */
    bool create_graph;
} mn_functional_opts;

/* Vector-Jacobian product: products[i] = J_i^T v, of in[i]'s shape, J_i = d f / d in[i]; NULL where
 * in[i] has no derivative. v: of the shape of f's result; MN_NONE stands for 1 when that is one
 * element. *value (value may be NULL) gets f(in). One backward pass. */
MN_API mn_error mn_vjp(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                       mn_tensor *v, mn_tensor **value, mn_tensor **products,
                       const mn_functional_opts *opts);

/* Jacobian-vector product, the derivative along v: sum over i of J_i v[i], of the shape of f's
 * result. v[i]: of in[i]'s shape; MN_NONE where that input stays as it is. Two backward passes, the
 * second through the first (the "double-backward trick"). */
MN_API mn_tensor *mn_jvp(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                         mn_tensor *const *v, mn_tensor **value, const mn_functional_opts *opts);

/* d f / d in[which], of the shape of f's result followed by that of in[which]; at most 8 dimensions
 * together. One backward pass for each element of f's result. */
MN_API mn_tensor *mn_jacobian(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                              int which, const mn_functional_opts *opts);

/* The second derivative of an f of one element: element [a, b] is d^2 f / d in[i][a] d in[j][b], of
 * the shape of in[i] followed by that of in[j]. One pass for each element of in[i]. */
MN_API mn_tensor *mn_hessian(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                             int i, int j, const mn_functional_opts *opts);

/* Hessian-vector product: products[i] = sum over j of H_ij v[j], of in[i]'s shape, for an f of one
 * element, without the Hessian: two passes. v, products and value as above. */
MN_API mn_error mn_hvp(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user,
                       mn_tensor *const *v, mn_tensor **value, mn_tensor **products,
                       const mn_functional_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
