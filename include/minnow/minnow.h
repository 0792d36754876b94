/*
 * minnow/minnow.h: everything.
 *
 *   minnow/core.h              errors, the allocator, random numbers
 *   minnow/tensor.h            tensors that are yours, and looking into any tensor
 *   minnow/autograd.h          the tape, scopes, gradients, writing an op
 *   minnow/functional.h        derivatives of whole functions: Jacobian, Hessian, and their products
 *   minnow/ops.h               what all ops share; the ops themselves:
 *     minnow/ops/create.h        making temporaries: constant, counted, random, converted
 *     minnow/ops/pointwise.h     arithmetic, selection, comparisons; in place
 *     minnow/ops/unary.h         functions of one number
 *     minnow/ops/reduce.h        sums, means, moments, norms; running sums
 *     minnow/ops/order.h         largest and smallest elements, sorting
 *     minnow/ops/index.h         elements at positions that a tensor gives
 *     minnow/ops/linalg.h        products of vectors and matrices, parts of matrices
 *     minnow/ops/shape.h         other shapes, parts, joins, borders
 *     minnow/ops/conv.h          convolutions and their transposes
 *     minnow/ops/pool.h          pooling, images in other sizes
 *     minnow/ops/norm.h          normalisation
 *     minnow/ops/recurrent.h     recurrent cells, and layers of them over a sequence
 *     minnow/ops/activation.h    activations and dropout
 *     minnow/ops/attention.h     attention
 *     minnow/ops/loss.h          losses
 *   minnow/nn.h                what all layers share; the layers themselves:
 *     minnow/nn/module.h         using modules, looking into them, writing one
 *     minnow/nn/init.h           first values
 *     minnow/nn/container.h      modules made of modules
 *     minnow/nn/linear.h         fully connected layers, layers that change the shape
 *     minnow/nn/conv.h           convolutions
 *     minnow/nn/pool.h           pooling, images in other sizes
 *     minnow/nn/norm.h           normalisation
 *     minnow/nn/recurrent.h      recurrent layers and cells
 *     minnow/nn/activation.h     activations
 *     minnow/nn/dropout.h        dropout
 *     minnow/nn/attention.h      attention, the transformer's layers
 *     minnow/nn/embedding.h      tables whose rows are looked up
 *   minnow/optim.h             optimizers:
 *     minnow/optim/step.h        stepping, groups and options, clipping, state
 *     minnow/optim/methods.h     SGD, Adam and its kin, L-BFGS, ...
 *     minnow/optim/scheduler.h   learning rates that change
 *     minnow/optim/average.h     averages of weights, early stopping
 *   minnow/data.h              data sets and loaders
 *
 * To learn it, docs/tutorial.md; from PyTorch's names to these, docs/pytorch.md.
 */
#ifndef MINNOW_MINNOW_H
#define MINNOW_MINNOW_H

#include <minnow/autograd.h>
#include <minnow/core.h>
#include <minnow/data.h>
#include <minnow/functional.h>
#include <minnow/nn.h>
#include <minnow/ops.h>
#include <minnow/optim.h>
#include <minnow/tensor.h>

#endif
