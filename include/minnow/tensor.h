/*
 * minnow/tensor.h: tensors: element type, shape, strides, and storage that views share.
 *
 * The functions here make tensors that are YOURS (release them with mn_release) and look into
 * tensors of every kind. What computes, and what a training step makes and throws away, runs on a
 * tape: minnow/autograd.h and minnow/ops.h.
 */
#ifndef MINNOW_TENSOR_H
#define MINNOW_TENSOR_H

#include <minnow/core.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most dimensions that a tensor can have. */
#define MN_MAX_DIMS 8

/* Element types. mn_to converts; nothing is promoted silently. */
typedef enum mn_dtype {
    MN_F32 = 0,
    MN_F64,
    MN_I64, /* indices, labels */
    MN_U8,  /* images */
    MN_BOOL /* masks: one byte, 0 or 1 */
} mn_dtype;

/* A shape, an element type, and storage that views share. Opaque: the functions here look into it. */
typedef struct mn_tensor mn_tensor;

/* Where a function takes an optional tensor, MN_NONE says "absent"; NULL always means "an earlier
 * call failed". */
MN_API extern mn_tensor *const MN_NONE;

/* Bytes of one element; the type's name ("f32"). */
MN_API size_t mn_dtype_size(mn_dtype dtype);
MN_API const char *mn_dtype_name(mn_dtype dtype);

/* ---- making tensors that are yours ---- */

/* shape: ndim sizes >= 0, outermost first; ndim 0 (shape may be NULL) is a single value, written
 * []. All are contiguous and row-major; empty is uninitialised. NULL on a bad shape or dtype
 * (MN_ERR_ARGUMENT) or without memory (MN_ERR_MEMORY). */
MN_API mn_tensor *mn_tensor_empty(mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_tensor_zeros(mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_tensor_ones(mn_dtype dtype, int ndim, const int64_t *shape);
MN_API mn_tensor *mn_tensor_full(mn_dtype dtype, int ndim, const int64_t *shape, double value);

/* Copies numel elements of type `dtype` from `data`, row-major. */
MN_API mn_tensor *mn_tensor_from(mn_dtype dtype, int ndim, const int64_t *shape, const void *data);

/* A tensor over the caller's memory, without a copy. strides: in elements, NULL for contiguous;
 * they may be 0, not negative. `deleter` (may be NULL) is called with data and user when the last
 * tensor that shares the memory is gone, on whichever thread that happens; it is not called when
 * mn_tensor_wrap itself fails. */
MN_API mn_tensor *mn_tensor_wrap(mn_dtype dtype, int ndim, const int64_t *shape,
                                 const int64_t *strides, void *data,
                                 void (*deleter)(void *data, void *user), void *user);

/* A trainable tensor: mn_tensor_empty with requires_grad set. Using it before it was filled is an
 * error. */
MN_API mn_tensor *mn_parameter(mn_dtype dtype, int ndim, const int64_t *shape);

/* ---- ownership ---- */

/* A handle that is yours: for a tensor of yours the same pointer with one more reference, for a
 * tape's temporary a new handle that outlives the tape. It keeps the values, never the graph: in a
 * later step use mn_detach on it. NULL gives NULL. Atomic: handles may be retained and released on
 * any thread. */
MN_API mn_tensor *mn_retain(mn_tensor *x);

/* Gives up one reference. Does nothing for NULL, MN_NONE and a tape's temporaries (the tape owns
 * those). */
MN_API void mn_release(mn_tensor *x);

/* ---- looking ---- */

/* For NULL (and for a temporary that its scope has freed) these return 0, false or NULL. */

MN_API mn_dtype mn_tensor_dtype(const mn_tensor *x); /* the element type */
MN_API int mn_tensor_ndim(const mn_tensor *x);       /* the number of dimensions */

/* Of dimension dim, negative ones counted from the end; 0 when it is out of range. Strides are in
 * elements. */
MN_API int64_t mn_tensor_size(const mn_tensor *x, int dim);
MN_API int64_t mn_tensor_stride(const mn_tensor *x, int dim);

/* Elements: the product of the sizes, 1 for shape []. Whether they lie one behind the other in
 * row-major order. Whether a and b have equal sizes, dimension by dimension. */
MN_API int64_t mn_tensor_numel(const mn_tensor *x);
MN_API bool mn_tensor_is_contiguous(const mn_tensor *x);
MN_API bool mn_tensor_same_shape(const mn_tensor *a, const mn_tensor *b);

/* Bumped by every write that minnow sees; views share it. */
MN_API uint32_t mn_tensor_version(const mn_tensor *x);

/* The first element's address; the others are found by the strides. The mutable form counts as a
 * write: it bumps the version and marks a parameter as initialised. */
MN_API const void *mn_tensor_data(const mn_tensor *x);
MN_API void *mn_tensor_mutable_data(mn_tensor *x);

/* One element. index: ndim positions, each 0 <= index < size. mn_tensor_get gives NAN and sets the
 * last error when the position is out of range; i64 values beyond 2^53 are exact only through the
 * _i64 pair (0 on error). A set converts as C does from double (bool: value != 0). */
MN_API double mn_tensor_get(const mn_tensor *x, const int64_t *index);
MN_API int64_t mn_tensor_get_i64(const mn_tensor *x, const int64_t *index);
MN_API mn_error mn_tensor_set(mn_tensor *x, const int64_t *index, double value);
MN_API mn_error mn_tensor_set_i64(mn_tensor *x, const int64_t *index, int64_t value);

/* The value of a tensor with exactly one element; NAN, with the last error set, for any other. */
MN_API double mn_tensor_item(const mn_tensor *x);

/* Copies x's elements, in row-major order and converted to dtype as C does (bool: value != 0), to
 * the caller's array data[n]; n must be mn_tensor_numel(x). */
MN_API mn_error mn_tensor_read(const mn_tensor *x, mn_dtype dtype, void *data, int64_t n);

/* Writes x as numpy prints it ("[[1. 2.]\n [3. 4.]]"), always terminated when size > 0; precision
 * 4, edges of 3 items once there are more than 1000. Returns the length of the whole text without
 * its terminator, as snprintf does. NULL prints as "NULL". */
MN_API size_t mn_tensor_format(const mn_tensor *x, char *buffer, size_t size);

/* How a tensor is printed. */
typedef struct mn_format_opts {
    int precision;     /* digits after the point, at most; 0: 4, -1: none */
    int64_t threshold; /* with more elements only the edges are shown; 0: 1000, -1: always */
    int edge_items;    /* of each end of a dimension; 0: 3 */
    int line_width;    /* characters; 0: 75 */
    bool header;       /* a first line "f32 [2, 3]", with " requires_grad" where that is so */
} mn_format_opts;

/* The same as numpy's array2string with these options; opts NULL for all defaults. */
MN_API size_t mn_tensor_format_with(const mn_tensor *x, char *buffer, size_t size,
                                    const mn_format_opts *opts);

/* "[2, 3]" by the same rules. */
MN_API size_t mn_tensor_format_shape(const mn_tensor *x, char *buffer, size_t size);

/* ---- writing ---- */

/* In place, outside any graph: a parameter may be written so at any time between steps. Each bumps
 * the version; a graph that saved the old values will say so in its backward pass. */

/* destination <- source, broadcast to destination's shape; both of one dtype. The two may not
 * overlap unless equal. */
MN_API mn_error mn_tensor_copy(mn_tensor *destination, const mn_tensor *source);

/* Every element <- value. */
MN_API mn_error mn_tensor_fill(mn_tensor *x, double value);

/* Every element of a contiguous f32 or f64 tensor, in row-major order, <- low + (high - low) * u
 * with u from `rng`; low <= high, finite. Bits are defined: low and the difference (taken in
 * double) are rounded to x's type, then product and sum each are. */
MN_API mn_error mn_tensor_uniform(mn_tensor *x, double low, double high, mn_rng *rng);

/* Every element of a contiguous f32 or f64 tensor, in row-major order, <- mean + std z with
 * a normal z from `rng`, in double and rounded once. mean and std finite, std >= 0. */
MN_API mn_error mn_tensor_normal(mn_tensor *x, double mean, double std, mn_rng *rng);

/* ---- gradients (filled by minnow/autograd.h) ---- */

/* Whether a backward pass has a gradient for x: set on a leaf, inherited by what is computed from
 * it. */
MN_API bool mn_tensor_requires_grad(const mn_tensor *x);

/* Turns gradient collection on or off (freezing). On needs f32 or f64 and may fail with
 * MN_ERR_MEMORY; a temporary that an op computed from such tensors already requires grad and cannot
 * be turned off (mn_detach it). */
MN_API mn_error mn_tensor_set_requires_grad(mn_tensor *x, bool on);

/* The gradient that mn_backward accumulated, of x's dtype and shape; NULL while there is none (also
 * after mn_tensor_zero_grad). Borrowed; its address stays the same for the life of x. */
MN_API mn_tensor *mn_tensor_grad(const mn_tensor *x);

/* Forgets the gradient (its memory is kept and reused). */
MN_API void mn_tensor_zero_grad(mn_tensor *x);

#ifdef __cplusplus
}
#endif
#endif
