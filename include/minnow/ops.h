/*
 * minnow/ops.h: the differentiable operations.
 *
 * All take the tape first and return a temporary that the tape owns, or NULL after an error, whose
 * text (mn_tape_message) names the op and the shapes or values. Errors of all: MN_ERR_DTYPE for an
 * element type the op does not take and for inputs of two types (nothing is promoted; mn_to
 * converts), MN_ERR_SHAPE for shapes that do not fit, MN_ERR_ARGUMENT for a number or a dimension
 * out of range.
 *
 * Inputs may be views, non-contiguous and, where noted, broadcast: shapes are aligned at the last
 * dimension and sizes of 1 stretch (numpy's rules). Negative dims count from the end. "Floating"
 * is f32 or f64. x: [N, C] -> [N] is the shape of x and of the result, [] a single value; without
 * such a note the result has x's shape and dtype.
 */
#ifndef MINNOW_OPS_H
#define MINNOW_OPS_H

#include <minnow/ops/activation.h>
#include <minnow/ops/attention.h>
#include <minnow/ops/conv.h>
#include <minnow/ops/create.h>
#include <minnow/ops/index.h>
#include <minnow/ops/linalg.h>
#include <minnow/ops/loss.h>
#include <minnow/ops/norm.h>
#include <minnow/ops/order.h>
#include <minnow/ops/pointwise.h>
#include <minnow/ops/pool.h>
#include <minnow/ops/recurrent.h>
#include <minnow/ops/reduce.h>
#include <minnow/ops/shape.h>
#include <minnow/ops/unary.h>

#endif
