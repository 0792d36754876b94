/*
 * minnow/autograd.h: the tape, scopes, the backward pass, and what it takes to write an op.
 *
 * A tape is what a training step runs on. It owns every temporary, records how each was computed,
 * holds the grad mode, the first error, the threads and the memory it reuses. One thread uses a
 * tape at a time; threads have tapes of their own and may share parameters they only read. A thread that
 * calls ops needs 256 KiB of stack.
 */
#ifndef MINNOW_AUTOGRAD_H
#define MINNOW_AUTOGRAD_H

#include <minnow/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the tape ---- */

/* The record of a step, and the owner of what it makes. */
typedef struct mn_tape mn_tape;

/* What a tape is made with. */
typedef struct mn_tape_opts {
    /* Threads that share the work of an op, the caller included; 0 means 1. */
    int threads;
    /* Cap on the bytes of tensors alive at once; an op beyond it fails; 0: none. */
    size_t max_bytes;
    /* Buffers to allocate (and touch) at once, so that the first step is as fast as the next. */
    size_t prefill_bytes;
    /* Scopes free nothing before the reset: every intermediate value stays readable. */
    bool keep_all;
    /* See mn_tape_detect_anomaly. */
    bool detect_anomaly;
} mn_tape_opts;

/* opts: NULL for all defaults. Fewer threads than asked for is not an error (see mn_tape_stats):
 * results have the same bits for every number of threads. */
MN_API mn_tape *mn_tape_new(const mn_tape_opts *opts);

/* Frees the tape and its temporaries. Tensors of yours, retained ones included, live on. NULL is
 * fine. Inside a hook or a gradient of the same tape it is refused. */
MN_API void mn_tape_free(mn_tape *t);

/* Ends the step: forgets the graph and every temporary, keeps memory for the next step, keeps the
 * error. */
MN_API void mn_tape_reset(mn_tape *t);

/* The first error since the tape was made or cleared, and its text, which names module path, op and
 * shapes. While it is set every op returns NULL and nothing is changed. For a NULL tape:
 * mn_last_error() and mn_last_message(), at least MN_ERR_ARGUMENT. The text lives in the tape. */
MN_API mn_error mn_tape_error(const mn_tape *t);
MN_API const char *mn_tape_message(const mn_tape *t);
MN_API void mn_tape_clear_error(mn_tape *t);

/* Sets the tape's error (unless it has one) and the thread's; the text gets the module path and the
 * op in front. Returns NULL, so that an op can end with it. */
MN_API void *mn_tape_fail(mn_tape *t, mn_error code, const char *format, ...) MN_PRINTF(3, 4);

/* For finding out where a NaN comes from. While it is on, the first op that makes a NaN or an
 * infinity out of finite inputs is an error that names module, op and element; in a backward pass
 * (of finite cotangents) the first gradient that is not finite, and of which input it is. Not
 * searched are results of ops that only put the caller's numbers into place (MN_OP_FILLS, such as
 * filling a mask with -infinity). Every value is looked at twice; while it is off it costs
 * nothing. */
MN_API void mn_tape_detect_anomaly(mn_tape *t, bool on);

/* What a tape holds at this moment. */
typedef struct mn_tape_usage {
    int64_t nodes;         /* recorded since the last reset */
    int64_t tensors;       /* temporaries made since the last reset */
    size_t live_bytes;     /* storage of temporaries alive now */
    size_t peak_bytes;     /* the most live_bytes has been since the tape was made */
    size_t cached_bytes;   /* freed buffers kept for reuse */
    size_t arena_bytes;    /* nodes and tensor headers, capacity */
    int64_t multiply_adds; /* of products and convolutions in forward passes, since it was made */
    int threads;           /* at work, the caller included */
} mn_tape_usage;

/* All zero for NULL. */
MN_API mn_tape_usage mn_tape_stats(const mn_tape *t);

/* One line a node, in execution order: number, op, where its inputs come from, output shapes, module
 * path, what is saved, in the order of mn_saved, and the bytes of that; then the totals. A buffer
 * of the tape is counted with the first node that holds it, tensors of yours are not. Fills the
 * buffer as snprintf does and returns the whole length. */
MN_API size_t mn_tape_format(const mn_tape *t, char *buffer, size_t size);

/* The same as a graph in Graphviz's language, for `dot -Tsvg`: a box for each node with its op,
 * output shapes and saved bytes, ellipses for leaves, frames for modules, arrows along the forward
 * pass. */
MN_API size_t mn_tape_format_dot(const mn_tape *t, char *buffer, size_t size);

/* ---- scopes ---- */

/* Whether ops inside a scope are recorded. */
typedef enum mn_grad_mode {
    MN_GRAD_INHERIT = 0, /* as outside */
    MN_NO_GRAD,          /* nothing inside is recorded */
    MN_ENABLE_GRAD       /* recorded even inside a MN_NO_GRAD scope */
} mn_grad_mode;

/* An open scope. */
typedef struct mn_scope {
    /* The library's own. */
    mn_tensor *mark;
    uint64_t epoch;
    uint64_t serial;
    int depth;
    bool grad;
} mn_scope;

/* What is made between begin and end is freed at the end, unless it is among `kept` (n tensors,
 * NULLs allowed) or the graph saved it. Scopes nest; ending one ends those inside it that were left
 * open. A tensor used after its scope freed it is an error. The end also restores the grad mode. */
MN_API mn_scope mn_scope_begin(mn_tape *t, mn_grad_mode mode);
MN_API void mn_scope_end(mn_tape *t, mn_scope scope, mn_tensor *const *kept, int n);

/* Whether ops record at this moment. */
MN_API bool mn_grad_enabled(const mn_tape *t);

/* ---- gradients ---- */

/* d loss / d p is added to the gradient (mn_tensor_grad) of every leaf p that requires grad and
 * that loss depends on. loss: one element. Frees the graph's saved tensors; a second backward over
 * them is an error. When it fails, the gradients it had touched are marked, and optimizers refuse
 * to step until zero_grad. */
MN_API mn_error mn_backward(mn_tape *t, mn_tensor *loss);

/* How a backward pass begins, and what it leaves. */
typedef struct mn_backward_opts {
    mn_tensor *const *cotangents; /* as the outputs; NULL: ones, for outputs of one element */
    bool retain_graph;            /* keep what the graph saved, for another backward */
} mn_backward_opts;

/* The same from several outputs at once, with given cotangents. */
MN_API mn_error mn_backward_from(mn_tape *t, mn_tensor *const *outputs, int n,
                                 const mn_backward_opts *opts);

/* The same for mn_grad, and what it may give. */
typedef struct mn_grad_opts {
    /* As above. */
    mn_tensor *const *cotangents;
    bool retain_graph;
    /* Record the backward pass, so that its results can be differentiated; implies retain_graph. */
    bool create_graph;
    /* An input that no output depends on gets NULL instead of being an error. */
    bool allow_unused;
} mn_grad_opts;

/* gradients[i] = d (sum over k of <outputs[k], cotangents[k]>) / d inputs[i], temporaries of the
 * tape. No .grad is touched. inputs: tensors that require grad, leaves or intermediate results. On
 * failure every gradients[i] is NULL. This pass and mn_backward look at what was recorded between
 * the outputs and the oldest result that they were computed from, not at the rest of the tape. */
MN_API mn_error mn_grad(mn_tape *t, mn_tensor *const *outputs, int n_outputs,
                        mn_tensor *const *inputs, int n_inputs, mn_tensor **gradients,
                        const mn_grad_opts *opts);

/* The same values (storage is shared) without the graph. */
MN_API mn_tensor *mn_detach(mn_tape *t, mn_tensor *x);

/* A function of n_in tensors, which may be run more than once. */
typedef mn_tensor *(*mn_function)(mn_tape *t, mn_tensor *const *in, int n_in, void *user);

/* f(in), n inputs, with little memory: what the gradients of f's ops would need is dropped when f
 * returns; the first of them that a backward pass reaches runs f again, on the same inputs and with
 * the same random draws, and each is freed as usual when it has served (Chen et al., "Training deep
 * nets with sublinear memory cost", 2016). The gradients have the same bits as without; hooks,
 * parameters, create_graph, retain_graph and checkpoints inside checkpoints work as ever.
 *
 * `user` and whatever else f reads must live, unchanged, until the backward pass. f must do the
 * same both times: random numbers come from ops of this tape, and what f updates beside (running
 * statistics, counters) it updates only while mn_tape_recomputing is false. When its ops, draws or
 * result differ the second time, the backward pass fails. Where nothing is recorded, and on a tape
 * that keeps all, this is f(in). */
MN_API mn_tensor *mn_checkpoint(mn_tape *t, mn_function f, mn_tensor *const *in, int n, void *user);

/* Whether a checkpoint is running its function again. */
MN_API bool mn_tape_recomputing(const mn_tape *t);

/* Asks mn_backward to keep (and, in further passes, to accumulate) the gradient of the intermediate
 * result x, as its hooks leave it; mn_tensor_grad(x) reads it until the reset. mn_grad keeps
 * nothing. */
MN_API mn_error mn_retain_grad(mn_tape *t, mn_tensor *x);

/* Runs when the gradient of x is complete, before it is used or accumulated; returns the gradient
 * to use instead (same shape and dtype), or `grad` itself. On a leaf that is yours it stays until
 * mn_remove_hooks; on a temporary until the reset. Hooks run in the order they were registered. */
typedef mn_tensor *(*mn_grad_hook)(mn_tape *t, mn_tensor *grad, void *user);
MN_API mn_error mn_register_hook(mn_tape *t, mn_tensor *x, mn_grad_hook hook, void *user);

/* Runs after mn_backward has accumulated into x's gradient (all of this pass's contributions are in
 * it). x: a leaf. */
typedef void (*mn_accumulate_hook)(mn_tape *t, mn_tensor *x, void *user);
MN_API mn_error mn_register_post_accumulate_hook(mn_tensor *x, mn_accumulate_hook hook, void *user);

/* Removes every hook of both kinds from the leaf x. */
MN_API void mn_remove_hooks(mn_tensor *x);

/* ---- writing an op ---- */
/*
 * An op is a function that checks, allocates, computes and records, with its gradient beside it:
 *
 *     static void cube_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
 *     {
 *         mn_tensor *x = mn_saved(n, 0);
 *         gx[0] = mn_mul(t, gy[0], mn_mul_scalar(t, mn_mul(t, x, x), 3));
 *     }
 *     static const mn_op cube_op = {.name = "cube", .backward = cube_backward};
 *
 *     mn_tensor *cube(mn_tape *t, mn_tensor *x)
 *     {
 *         if (!mn_op_begin(t, &cube_op, &x, 1)) return NULL;
 *         mn_tensor *y = mn_empty_like(t, x);
 *         if (y) { ... fill y from x by plain loops ... }
 *         mn_node *n = mn_op_record(t, &cube_op, &x, 1, &y, 1);
 *         mn_save(n, x);
 *         return mn_op_end(t, y);
 *     }
 *
 * Every step after a failed one does nothing, so only pointers that are read need a check.
 */

/* One recorded op: its inputs, its outputs and what it saved. */
typedef struct mn_node mn_node;

/* gy[k]: the gradient of output k, NULL when it got none (never NULL for an op with one output).
 * gx[i]: on entry NULL; set it to the gradient of input i, of that input's shape (or of the
 * output's shape for an op that broadcasts), or leave it NULL for zero. Inputs for which mn_needs
 * is false may be skipped. A failing op inside needs no handling: the engine looks at the tape's
 * error. */
typedef void (*mn_backward_fn)(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx);

/* Flags of an op: its gradients are summed down to the inputs' shapes by the engine; its result
 * consists of elements of the inputs and of numbers of the caller's, which may be infinite on
 * purpose (mn_tape_detect_anomaly passes over it). */
enum { MN_OP_BROADCASTS = 1, MN_OP_FILLS = 2 };

/* What the tape knows about an op; one static constant each. */
typedef struct mn_op {
    /* As it appears in messages. */
    const char *name;
    /* The definition, written with ops, so that it differentiates again. */
    mn_backward_fn backward;
    /* May be NULL: fused kernels, used whenever the pass itself is not recorded. */
    mn_backward_fn backward_fast;
    unsigned flags; /* 0 or several of the above, joined by | */
} mn_op;

/* The entry check of every op: the tape has no error, no input is NULL (its reason is taken over),
 * freed, of another tape or step, overwritten or uninitialised. MN_NONE passes. From here to
 * mn_op_end messages carry the op's name. */
MN_API bool mn_op_begin(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in);

/* Records outputs out[0..n_out) as op(in[0..n_in)). NULL when there is nothing to record: grad mode
 * is off, no input requires grad, or the tape has an error. Outputs must be fresh temporaries
 * (mn_empty and its like, or mn_op_view). */
MN_API mn_node *mn_op_record(mn_tape *t, const mn_op *op, mn_tensor *const *in, int n_in,
                             mn_tensor *const *out, int n_out);

/* Ends the op: y, or NULL when the tape has an error. */
MN_API mn_tensor *mn_op_end(mn_tape *t, mn_tensor *y);

/* A fresh temporary over x's storage, for ops that only look at it differently: element (i, j, ...)
 * is at mn_tensor_data(x) + offset + i * strides[0] + ..., all in elements. */
MN_API mn_tensor *mn_op_view(mn_tape *t, mn_tensor *x, int ndim, const int64_t *shape,
                             const int64_t *strides, int64_t offset);

/* For an in-place op, after mn_op_begin: checks that x may be overwritten (not a leaf that requires
 * grad while recording, no two elements at one address), bumps its version and gives the fresh
 * temporary that stands for the result, over the same storage. From then on x itself may no longer
 * be used if it is part of a graph. When the op is recorded, a plain x (a buffer, or a view of one)
 * and every other plain handle over the storage may no longer be used in this step either: they
 * would lose the gradient that the result carries. */
MN_API mn_tensor *mn_op_overwrite(mn_tape *t, mn_tensor *x);

/* Keeps x, filled, for the backward pass; saved tensors are numbered from 0 in the order of the
 * calls, at most 255 a node. n may be NULL; x may be an output of n itself, or MN_NONE. */
MN_API void mn_save(mn_node *n, mn_tensor *x);

/* Copies `size` bytes of the op's own data (sizes, slopes, flags) for the backward pass. n may be
 * NULL. */
MN_API void mn_save_data(mn_node *n, const void *data, size_t size);

/* In a backward function: the i-th saved tensor (with its graph, when the pass is recorded) and the
 * op's own data. */
MN_API mn_tensor *mn_saved(const mn_node *n, int i);
MN_API const void *mn_saved_data(const mn_node *n);

/* In a backward function: whether input i wants a gradient; the shape of input i (only where
 * mn_needs is true). */
MN_API bool mn_needs(const mn_node *n, int i);
MN_API const int64_t *mn_input_shape(const mn_node *n, int i, int *ndim);

/* In a backward_fast function: where to write the contiguous gradient of input i: straight into the
 * leaf's own gradient when that is possible, else into a fresh temporary. *accumulate says whether
 * to add to what is there or to overwrite it. Assign the result to gx[i]. NULL on error. */
MN_API mn_tensor *mn_grad_into(mn_node *n, int i, bool *accumulate);

/* ---- checking gradients ---- */

/* How closely gradients are compared: |numeric - analytic| <= atol + rtol |numeric|. */
typedef struct mn_gradcheck_opts {
    double eps;    /* step of the central difference; 0: 1e-6 */
    double atol;   /* 0: 1e-5 */
    double rtol;   /* 0: 1e-3 */
    uint64_t seed; /* of the random cotangents */
} mn_gradcheck_opts;

/* Compares the gradient of <f(inputs), v>, v a random cotangent, with central differences in every
 * element of every input that requires grad. inputs: f64 tensors of yours; they are restored bit
 * for bit. MN_OK when all agree; otherwise the error (MN_ERR_STATE for a mismatch), whose text
 * names input, element and both values. */
MN_API mn_error mn_gradcheck(mn_function f, mn_tensor *const *inputs, int n, void *user,
                             const mn_gradcheck_opts *opts);

/* The same for the gradient's own gradient: differentiates <grad f, w> for random w with respect to
 * the inputs and to the cotangent. */
MN_API mn_error mn_gradgradcheck(mn_function f, mn_tensor *const *inputs, int n, void *user,
                                 const mn_gradcheck_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
