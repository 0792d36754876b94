/*
 * minnow/nn/module.h: modules, whatever they compute: running them, looking into them, writing one.
 */
#ifndef MINNOW_NN_MODULE_H
#define MINNOW_NN_MODULE_H

#include <minnow/nn/init.h>
#include <minnow/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A layer or a tree of them. Its users need not look inside; its authors find the struct below. */
typedef struct mn_module mn_module;

/* ---- using modules ---- */

/* One tensor in, one out: mn_module_call for the common case. NULL after an error, whose text
 * begins with the module's path ("net.2 (linear): ..."). */
MN_API mn_tensor *mn_module_forward(mn_module *m, mn_tape *t, mn_tensor *x);

/* The one entry to every forward pass: in[0..n_in) -> out[0..n_out). Everything the module makes on
 * the way is freed when it returns, except its outputs and what the graph saved. On failure every
 * out[i] is NULL. */
MN_API mn_error mn_module_call(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                               mn_tensor **out, int n_out);

/* Sets `training` in the whole tree. A fresh module is in training mode. */
MN_API void mn_module_train(mn_module *m);
MN_API void mn_module_eval(mn_module *m);
MN_API bool mn_module_training(const mn_module *m);

/* Draws every parameter from its own default distribution, parameter "0.weight" from stream
 * mn_rng_stream("0.weight") of `seed`; resets every buffer; then seeds the stochastic layers
 * (mn_module_seed, lane 0). A parameter that stands in the tree more than once is drawn once, under
 * its first name. */
MN_API mn_error mn_module_init(mn_module *m, uint64_t seed);

/* Draws every parameter whose name the pattern fits ("*.weight"; as fnmatch: * is any text, ? one
 * character, [ab] one of those) from `init`, each from the stream that mn_module_init takes for it,
 * of `seed`. Called after mn_module_init, to change some of the defaults. Errors: no name fits; those
 * of mn_init_apply, and then some may have been drawn. */
MN_API mn_error mn_module_init_matching(mn_module *m, const char *pattern, mn_init init,
                                        uint64_t seed);

/* Seeds the stochastic layers only, each with the stream of its own path (so dropout in "1" and "3"
 * draw different numbers), for use after loading weights. lane: rank of a parallel run; lanes draw
 * different numbers. */
MN_API mn_error mn_module_seed(mn_module *m, uint64_t seed, uint64_t lane);

/* Converts every parameter and floating buffer to f32 or f64, with their values. Refused, with
 * nothing changed, when anybody outside the tree holds one of them: convert before making an
 * optimizer. */
MN_API mn_error mn_module_to(mn_module *m, mn_dtype dtype);

/* Freezes or unfreezes every parameter; those whose name the pattern fits ("encoder.*", "*.bias"; as
 * fnmatch), where no name that fits is an error. Optimizers pass over what is frozen. */
MN_API mn_error mn_module_set_requires_grad(mn_module *m, bool on);
MN_API mn_error mn_module_freeze(mn_module *m, const char *pattern);
MN_API mn_error mn_module_unfreeze(mn_module *m, const char *pattern);

/* Forgets the gradients of every parameter. */
MN_API void mn_module_zero_grad(mn_module *m);

/* Run before and after the forward pass of m, each time it is called, in the order in which they were
 * registered. The first may put other tensors into in[0..n_in), the second into out[0..n_out). What
 * they do with ops is recorded as the module's own (mn_register_hook on an output, for one, sees its
 * gradient); an error that one returns is the call's. They stay until mn_module_remove_hooks; while
 * they are registered or removed, no thread may call m. Only m's own calls are meant, not its
 * children's. */
typedef mn_error (*mn_module_pre_hook)(mn_module *m, mn_tape *t, mn_tensor **in, int n_in,
                                       void *user);
typedef mn_error (*mn_module_hook)(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                   mn_tensor **out, int n_out, void *user);
MN_API mn_error mn_module_register_forward_pre_hook(mn_module *m, mn_module_pre_hook hook,
                                                    void *user);
MN_API mn_error mn_module_register_forward_hook(mn_module *m, mn_module_hook hook, void *user);
MN_API void mn_module_remove_hooks(mn_module *m);

/* One more owner; returns m. A container owns one reference to each child, so a module that goes
 * into two containers is retained once. */
MN_API mn_module *mn_module_retain(mn_module *m);

/* Gives up one reference; the last one frees the module and its references to children and
 * parameters. NULL is fine. */
MN_API void mn_module_free(mn_module *m);

/* A module like m that shares nothing with it (copy.deepcopy): structure, values, mode, generators,
 * and which parameters are tied. Gradients and hooks stay behind. Yours; NULL, with the last error
 * set, without memory or when a class in the tree cannot be copied (`copy` below). */
MN_API mn_module *mn_module_clone(const mn_module *m);

/* ---- looking into modules ---- */

/* A named tensor of the tree. The name is PyTorch's state_dict key ("0.weight"), owned by the
 * module. */
typedef struct mn_named_tensor {
    const char *name;
    mn_tensor *tensor; /* borrowed */
} mn_named_tensor;

/* Fills at most `capacity` entries and returns how many there are: parameters in registration
 * order, each tensor once; buffers likewise. -1 with the last error set when m is NULL or memory is
 * short. */
MN_API int mn_module_parameters(mn_module *m, mn_named_tensor *entries, int capacity);
MN_API int mn_module_buffers(mn_module *m, mn_named_tensor *entries, int capacity);

/* The parameter or buffer of that name, borrowed; NULL, with the last error set, when there is
 * none. */
MN_API mn_tensor *mn_module_get(mn_module *m, const char *name);

/* The module of that path ("2", "0.inner"), borrowed; NULL, with the last error set, when there is
 * none. */
MN_API mn_module *mn_module_child(mn_module *m, const char *name);

/* How many children m has itself, and the i-th of them, borrowed; NULL, with the last error set, when
 * there is none. */
MN_API int mn_module_child_count(mn_module *m);
MN_API mn_module *mn_module_child_at(mn_module *m, int i);

/* Puts `tensor` (of the same shape and dtype) in the place of the parameter of that name, taking a
 * reference of its own: a parameter that stands in two places is tied: initialised, stepped and
 * counted once. */
MN_API mn_error mn_module_set(mn_module *m, const char *name, mn_tensor *tensor);

/* mn_module_call on other tensors in the place of parameters and buffers, such as parameters that
 * a gradient step on this tape computed (meta-learning): gradients flow into them. replacements: n
 * names with tensors of the shape and dtype of what stands there; the rest of m keeps its own. A
 * tied parameter is replaced wherever it stands. Nothing is changed by a call that fails, and m has
 * its own tensors again when the call returns; while it runs, no other thread may use m. */
MN_API mn_error mn_module_functional_call(mn_module *m, mn_tape *t,
                                          const mn_named_tensor *replacements, int n,
                                          mn_tensor *const *in, int n_in, mn_tensor **out,
                                          int n_out);

/* Elements in all parameters, shared ones counted once; those that require grad. */
MN_API int64_t mn_module_numel(mn_module *m);
MN_API int64_t mn_module_numel_trainable(mn_module *m);

/* A table of the tree: for each module the shape of its (first) output, its own parameters and their
 * bytes, and the multiply-adds of the products and convolutions that it computes itself; then the
 * totals, with what the run keeps for a backward pass. What stands in the tree twice is counted once. Found by running a
 * clone of m in eval mode on the n inputs, so nothing happens to m, which need not have values yet.
 * As snprintf; 0 with the last error set when that run fails. */
MN_API size_t mn_nn_summary(const mn_module *m, mn_tensor *const *in, int n, char *buffer,
                            size_t size);

/* The tree as PyTorch prints it, "Sequential(\n  (0): Linear(in_features=784, ...)\n ...)". As
 * snprintf. */
MN_API size_t mn_module_format(mn_module *m, char *buffer, size_t size);

/* ---- writing a module ---- */
/*
 * A struct that begins with mn_module, a class, and a constructor:
 *
 *     typedef struct { mn_module base; mn_module *inner; } residual;
 *
 *     static mn_error residual_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
 *                                      mn_tensor **out, int n_out)
 *     {
 *         out[0] = mn_add(t, in[0], mn_module_forward(((residual *)m)->inner, t, in[0]));
 *         return mn_tape_error(t);
 *     }
 *     static void residual_visit(mn_module *m, mn_visitor *v)
 *     {
 *         mn_visit_child(v, "inner", &((residual *)m)->inner);
 *     }
 *     static const mn_module_class residual_class = {
 *         .name = "Residual", .size = sizeof(residual), .n_in = 1, .n_out = 1,
 *         .forward = residual_forward, .visit = residual_visit};
 *
 *     mn_module *residual_new(mn_module *inner)
 *     {
 *         residual *r = (residual *)mn_module_new(&residual_class);
 *         if (!r) {
 *             mn_module_free(inner);
 *             return NULL;
 *         }
 *         r->inner = inner;
 *         return mn_module_finish(&r->base);
 *     }
 */

/* What a walk through the tree is there for. Opaque. */
typedef struct mn_visitor mn_visitor;

/* What all modules of a kind have in common; one static constant each. */
typedef struct mn_module_class {
    const char *name; /* as PyTorch prints it: "Linear" */
    size_t size;      /* of the struct that begins with mn_module */
    int n_in;         /* tensors taken; 0: any number */
    int n_out;        /* tensors given; 0: any number */
    /* Computes out from in by ops on t. `m->training` tells the mode; in eval mode nothing in m may
     * be written. */
    mn_error (*forward)(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in, mn_tensor **out,
                        int n_out);
    /* Names everything the module has, always in the same order. May be NULL. All else (freeing,
     * listing, initialising, train and eval) follows from it. */
    void (*visit)(mn_module *m, mn_visitor *v);
    /* Computes what depends on other first values, when mn_module_init has drawn them all. Usually
     * NULL. */
    mn_error (*after_init)(mn_module *m);
    /* Frees what visit does not name. Usually NULL. */
    void (*free)(mn_module *m);
    /* m is a copy of a module's bytes: gives it memory of its own where it has that of the original
     * which `free` frees; on failure it leaves nothing to free. A class without `free` needs none. */
    mn_error (*copy)(mn_module *m);
    /* Writes what stands between the parentheses when printed, as snprintf does, into 1024 bytes. May
     * be NULL. */
    int (*describe)(const mn_module *m, char *buffer, size_t size);
} mn_module_class;

/* What every module begins with. */
struct mn_module {
    const mn_module_class *cls;
    bool training;
    int refs;   /* the library's own */
    char *path; /* the library's own: the path given by mn_module_init or mn_module_seed, for
                   messages */
};

/* In visit: the slot of a parameter, buffer, child or generator, with its name. A slot that holds
 * MN_NONE (an absent bias) or NULL is passed over. */
MN_API void mn_visit_parameter(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init);
MN_API void mn_visit_buffer(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init);
MN_API void mn_visit_child(mn_visitor *v, const char *name, mn_module **slot);
MN_API void mn_visit_rng(mn_visitor *v, mn_rng *rng, bool *seeded);

/* A zeroed module of that class in training mode with one reference; NULL without memory. */
MN_API mn_module *mn_module_new(const mn_module_class *cls);

/* Ends a constructor: m when every slot that visit names is filled; otherwise frees m, with the
 * children it has, and returns NULL with the reason that the missing one left. */
MN_API mn_module *mn_module_finish(mn_module *m);

#ifdef __cplusplus
}
#endif
#endif
