/*
 * autograd/ops/ops.h: what the files of this folder share: checks, temporaries, the two shapes of a
 * pointwise op, and the ops that only gradients are written with.
 */
#ifndef MNI_OPS_H
#define MNI_OPS_H

#include "autograd/tape.h"
#include "tensor/compute.h"
#include <minnow/ops.h>

enum { MNI_TEXT = 192 }; /* room for the longest shape as text */

/* Flag of an mn_op: the result is written over the first input, to which others broadcast. */
enum { MNI_IN_PLACE = 1 << 16 };

/* ---- checks: false (or NULL) with the tape's error set ---- */

/* mn_op_begin for an op whose inputs are all required: MN_NONE is refused. */
bool mni_begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in);

bool mni_require_float(mn_tape *t, const mn_tensor *x);
bool mni_require_same_dtype(mn_tape *t, const mn_tensor *a, const mn_tensor *b);

/* Makes *dim, which may be negative, an index into x's dimensions. */
bool mni_require_dim(mn_tape *t, const mn_tensor *x, int *dim);

/* The same for n of them, which must be distinct, into found (x's ndim places). */
bool mni_require_dims(mn_tape *t, const mn_tensor *x, const int *dims, int n, int *found);

/* Makes *dim, which may be negative, the index of a dimension to be put between x's. */
bool mni_require_new_dim(mn_tape *t, const mn_tensor *x, int *dim);

/* Integers take only numbers that they can hold: a half would silently become zero. */
bool mni_require_scalar(mn_tape *t, const mn_tensor *x, double s);

/* b stretches to x's shape, which stays as it is. */
bool mni_require_stretch(mn_tape *t, const mn_tensor *x, const mn_tensor *b);

/* Positions are i64; every element of index is from low to size - 1, the size of something's dimension
 * dim. */
bool mni_require_index(mn_tape *t, const mn_tensor *index);
bool mni_require_within(mn_tape *t, const mn_tensor *index, int64_t low, int64_t size, int dim);

/* count[d] <- the number of positions of a kernel along each of the n <= 3 dimensions of an image;
 * `last`: with a last one that ends outside, if it begins inside. Strides and dilations of 0 become
 * 1. An error unless all numbers are in range and each dimension has a position. */
typedef struct mni_kernel {
    int64_t *image, *size, *stride, *padding, *dilation, *count;
} mni_kernel;
bool mni_require_places(mn_tape *t, int n, const mni_kernel *k, bool last);

/* Fails with the shapes of both: "[2, 3] and [4]: <what>". Returns NULL. */
void *mni_shape_error(mn_tape *t, const mn_tensor *a, const mn_tensor *b, const char *what);

/* ---- temporaries, inside an op ---- */

/* A fresh output of a's and b's broadcast shape; of a's, b's and c's. */
mn_tensor *mni_broadcast_output(mn_tape *t, mn_dtype dtype, const mn_tensor *a, const mn_tensor *b);
mn_tensor *mni_broadcast_output3(mn_tape *t, mn_dtype dtype, const mn_tensor *a, const mn_tensor *b,
                                 const mn_tensor *c);

/* The output of an op with x's dtype and shape: fresh, or x overwritten when it works in place. */
mn_tensor *mni_result(mn_tape *t, const mn_op *op, mn_tensor *x);

/* What an op in place of x must do first. apart: b, or a copy with its graph if b has x's storage.
 * before: x, or a copy with its graph if a gradient will want its values (and is recorded). For
 * other ops they return b and x. */
mn_tensor *mni_apart_in_place(mn_tape *t, const mn_op *op, mn_tensor *x, mn_tensor *b);
static inline mn_tensor *mni_apart(mn_tape *t, const mn_op *op, mn_tensor *x, mn_tensor *b)
{
    return op->flags & MNI_IN_PLACE ? mni_apart_in_place(t, op, x, b) : b;
}
mn_tensor *mni_before_in_place(mn_tape *t, const mn_op *op, mn_tensor *x);
static inline mn_tensor *mni_before(mn_tape *t, const mn_op *op, mn_tensor *x, bool wanted)
{
    return op->flags & MNI_IN_PLACE && wanted ? mni_before_in_place(t, op, x) : x;
}

/* x if it is contiguous, else a contiguous copy; NULL for NULL. */
mn_tensor *mni_dense(mn_tape *t, mn_tensor *x);

/* x, but an i64 copy of u8 or bool, whose sums and products would not fit; NULL for NULL. */
mn_tensor *mni_wide(mn_tape *t, mn_tensor *x);

/* A header for compute.h over the elements of x seen with another shape and strides (NULL:
 * row-major). It owns nothing. */
mn_tensor mni_look(const mn_tensor *x, int ndim, const int64_t *shape, const int64_t *strides);

/* The same for a part of x: positions start, start + step, ... of dimension dim, length of them; the
 * i-th position alone, without the dimension. step may be negative. */
mn_tensor mni_part(const mn_tensor *x, int dim, int64_t start, int64_t step, int64_t length);
mn_tensor mni_plane(const mn_tensor *x, int dim, int64_t i);

/* mn_save for an x that only some gradients need: when none will ask for it, its number goes to
 * `filler`, which is saved anyway, so that x's storage is not held back. */
static inline void mni_save_if(mn_node *n, bool wanted, mn_tensor *x, mn_tensor *filler)
{
    if (n) mn_save(n, wanted ? x : filler);
}

/* Takes numel draws of dtype out of the generator: where they begin. Every random op must draw so:
 * inside mn_checkpoint it gets the same place again. */
mn_rng mni_reserve(mn_tape *t, mn_rng *rng, int64_t numel, mn_dtype dtype);

/* ---- pointwise ops, up to what they save ---- */

/* The caller then saves on *n, which may become NULL, and calls mn_op_end. All operands are of one
 * dtype. */

mn_tensor *mni_unary(mn_tape *t, const mn_op *op, const mni_unary_fn *kernel, mn_tensor *x,
                     const double *p, mn_node **n);
mn_tensor *mni_binary(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *a,
                      mn_tensor *b, const double *p, mn_node **n);
mn_tensor *mni_ternary(mn_tape *t, const mn_op *op, const mni_ternary_fn *kernel,
                       mn_tensor *const in[3], const double *p, mn_node **n);

/* y = f(x, s), or f(s, x) with s `first`. */
mn_tensor *mni_scalar(mn_tape *t, const mn_op *op, const mni_binary_fn *kernel, mn_tensor *x,
                      double s, bool first, mn_node **n);

/* ---- activations: a kernel for the value, another for the gradient ---- */

/* y = value(x, p); gx = gradient(gy, x, p). */
typedef struct mni_activation {
    const mni_unary_fn *value;
    const mni_binary_fn *gradient;
    double p[3];
    bool from_y;      /* the gradient takes y instead of x, and y is what is saved */
    const char *sign; /* what p[0] is called, if it must not be negative in place; else NULL */
} mni_activation;

mn_tensor *mni_activate(mn_tape *t, const mn_op *op, mn_tensor *x, mni_activation a);

/* An activation's backward_fast. */
void mni_activate_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx);

/* An op and the same in place, an array of two. */
#define MNI_OPS(title, ...)                                                                        \
    {                                                                                              \
        {.name = title, __VA_ARGS__},                                                              \
        {                                                                                          \
            .name = title "_", .flags = MNI_IN_PLACE, __VA_ARGS__                                  \
        }                                                                                          \
    }

#define MNI_SELU_SCALE 1.0507009873554804934193349852946
#define MNI_SELU_LIMIT (MNI_SELU_SCALE * 1.6732632423543772848170429916717) /* -y at -infinity */

/* ---- linear maps along one dimension ---- */

typedef enum mni_along_kind {
    MNI_ALONG_WINDOWS,  /* windows of a pooling */
    MNI_ALONG_ADAPTIVE, /* windows from i in / out to (i + 1) in / out */
    MNI_ALONG_NEAREST,
    MNI_ALONG_LINEAR,
    MNI_ALONG_CUBIC
} mni_along_kind;

typedef struct mni_along {
    mni_along_kind kind;
    int dim;
    int64_t in, out; /* sizes of dimension dim, before and after */
    int64_t kernel, stride, padding;
    bool sum;           /* of a window; else its mean */
    bool exclude_pad;   /* padding does not count */
    double scale;       /* of interpolation: positions in x for one in the result */
    bool align_corners; /* the first position is 0, else scale/2 - 1/2 */
} mni_along;

/* The map as a part of op, whose gradient is mni_resample_backward. x is floating. */
mn_tensor *mni_resample(mn_tape *t, const mn_op *op, mn_tensor *x, const mni_along *a);
void mni_resample_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx);

/* ---- ops of gradients ---- */

/* index: i64, of the shape of the smaller one, its positions within the other. pick: y[.., i, ..] =
 * x[.., index[.., i, ..], ..], along dim. place, its gradient: zeros of that shape with g[.., i, ..]
 * added at [.., index[.., i, ..], ..]. skip: a position where pick gives 0 and place adds nothing;
 * -1: none. */
mn_tensor *mni_pick(mn_tape *t, mn_tensor *x, mn_tensor *index, int dim, int64_t skip);
mn_tensor *mni_place(mn_tape *t, mn_tensor *g, mn_tensor *index, int dim, int ndim,
                     const int64_t *shape, int64_t skip);

/* In a backward_fast: place, into the gradient of input 0, so that the zeros of a leaf's are not made
 * twice. */
mn_tensor *mni_place_into(mn_tape *t, mn_node *n, const mn_tensor *g, const mn_tensor *index,
                          int dim, int64_t skip);

/* The gradient of the product along dim: gy, with size 1 there, turned into x's. */
mn_tensor *mni_prod_gradient(mn_tape *t, mn_tensor *x, mn_tensor *gy, int dim);

#endif
