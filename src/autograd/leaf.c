/*
 * autograd/leaf.c: the far end of the graph: gradients, hooks, and whether a tensor collects any.
 */
#include "autograd/tape.h"
#include "tensor/compute.h"

#include <sched.h>
#include <string.h>

/* A retained handle outlives the step, the graph's gradients and hooks do not. */
static const char retained[] = "the tensor is a retained handle of a result; use the tape's own";

/* On the heap for a tensor of yours; in the arena for a temporary, which dies with the step. */
static void *leaf_memory(mn_tensor *x, size_t size)
{
    return x->owned ? mni_alloc(size) : mni_arena_take(&x->tape->arena, size);
}

mni_leaf *mni_leaf_of(mn_tensor *x)
{
    if (!x->leaf && x->node && !x->owned) x->leaf = x->node->out[x->output].leaf;
    if (x->leaf) return x->leaf;
    mni_leaf *leaf = leaf_memory(x, sizeof *leaf);
    if (!leaf) return NULL;
    *leaf = (mni_leaf){.heap = x->owned};
    x->leaf = leaf;
    if (x->node) x->node->out[x->output].leaf = leaf;
    return leaf;
}

/* Room for a gradient like x: in the memory of the leaf's tensor, or kept until the reset. */
static bool ensure_grad(mn_tape *t, mni_leaf *leaf, const mn_tensor *x)
{
    if (leaf->grad) return true;
    mn_dtype dtype = (mn_dtype)x->dtype;
    leaf->grad = leaf->heap ? mn_tensor_empty(dtype, x->ndim, x->shape)
                            : mni_tape_tensor(t, dtype, x->ndim, x->shape);
    if (!leaf->grad) return mni_tape_adopt(t, "the gradient");
    if (!leaf->heap) mni_header_ref(leaf->grad);
    return true;
}

bool mni_leaf_ensure_grad(mn_tape *t, mn_tensor *x)
{
    mni_leaf *leaf = mni_leaf_of(x);
    if (!leaf) return mni_tape_adopt(t, "the gradient");
    return ensure_grad(t, leaf, x);
}

bool mni_leaf_keep_factors(mn_tensor *x, const void *column, const void *row)
{
    mni_factors *f = &x->leaf->factors;
    const size_t size = mn_dtype_size((mn_dtype)x->dtype);
    const size_t rows = (size_t)x->shape[0] * size, columns = (size_t)x->shape[1] * size;
    if (!f->column) {
        f->column = mni_alloc(rows + columns);
        if (!f->column) return false;
        f->row = (char *)f->column + rows;
    }
    memcpy(f->column, column, rows);
    memcpy(f->row, row, columns);
    atomic_store_explicit(&f->state, MNI_PENDING, memory_order_release);
    return true;
}

/* Two threads may ask for a gradient at once: one writes, the other one waits. */
void mni_leaf_write_now(mni_team *team, mni_leaf *leaf)
{
    mni_factors *f = &leaf->factors;
    int state = MNI_PENDING;
    if (atomic_compare_exchange_strong(&f->state, &state, MNI_WRITING)) {
        mn_tensor *g = leaf->grad;
        const int64_t rows = g->shape[0], columns = g->shape[1];
        mni_gemm(team, (mn_dtype)g->dtype, rows, columns, 1, (mni_matrix){f->column, 1, 1},
                 (mni_matrix){f->row, columns, 1}, g->data, columns, NULL, false);
        atomic_store_explicit(&f->state, MNI_WRITTEN, memory_order_release);
    }
    while (atomic_load_explicit(&f->state, memory_order_acquire) == MNI_WRITING) sched_yield();
}

bool mni_leaf_accumulate(mn_tape *t, mni_leaf *leaf, mn_tensor *grad)
{
    if (!leaf) return mni_tape_adopt(t, "the gradient");
    if (!ensure_grad(t, leaf, grad)) return false;
    mni_leaf_write(t->team, leaf);
    if (leaf->filled) {
        mni_map2(t->team, mni_kernels()->add, leaf->grad, grad, leaf->grad, NULL);
    } else {
        mni_copy(t->team, grad, leaf->grad);
    }
    mni_touch(leaf->grad, NULL);
    leaf->filled = true;
    return true;
}

bool mn_tensor_requires_grad(const mn_tensor *x)
{
    return mni_requires_grad(x);
}

mn_error mn_tensor_set_requires_grad(mn_tensor *x, bool on)
{
    if (!x || x == MN_NONE)
        return mn_last_error()
                   ? mn_last_error()
                   : mn_fail(MN_ERR_ARGUMENT, "mn_tensor_set_requires_grad: the tensor is NULL");
    if (!x->storage)
        return mn_fail(MN_ERR_STATE,
                       "mn_tensor_set_requires_grad: the tensor was freed by its scope");
    if (on == x->requires_grad) return MN_OK;
    if (x->owned && x->node)
        return mn_fail(MN_ERR_STATE, "mn_tensor_set_requires_grad: %s", retained);
    if (on && !mni_is_float((mn_dtype)x->dtype))
        return mn_fail(MN_ERR_DTYPE,
                       "mn_tensor_set_requires_grad: the tensor is %s; only f32 and "
                       "f64 have gradients",
                       mn_dtype_name((mn_dtype)x->dtype));
    if (!on && x->node)
        return mn_fail(MN_ERR_STATE,
                       "mn_tensor_set_requires_grad: the tensor is a result of %s; "
                       "mn_detach it instead",
                       x->node->op->name);
    if (on && !mni_leaf_of(x)) return mn_last_error();
    x->requires_grad = on;
    x->storage->leaf = on;
    return MN_OK;
}

mn_tensor *mn_tensor_grad(const mn_tensor *x)
{
    if (!x || !x->storage || !x->leaf || !x->leaf->filled) return NULL;
    atomic_store_explicit(&x->leaf->seen, true, memory_order_relaxed);
    mni_leaf_write(NULL, x->leaf);
    return x->leaf->grad;
}

void mn_tensor_zero_grad(mn_tensor *x)
{
    if (!x || !x->leaf) return;
    x->leaf->filled = false;
    x->leaf->broken = false;
    atomic_store_explicit(&x->leaf->factors.state, MNI_WRITTEN, memory_order_relaxed);
}

/* ---- hooks ---- */

static mn_error add_hook(mn_tensor *x, mni_hook hook)
{
    mni_leaf *leaf = mni_leaf_of(x);
    mni_hook *h = leaf ? leaf_memory(x, sizeof *h) : NULL;
    if (!h) return mn_last_error();
    *h = hook;
    mni_hook **end = &leaf->hooks;
    while (*end) end = &(*end)->next;
    *end = h;
    return MN_OK;
}

mn_error mn_register_hook(mn_tape *t, mn_tensor *x, mn_grad_hook hook, void *user)
{
    static const mn_op op = {.name = "mn_register_hook"};
    if (!mn_op_begin(t, &op, &x, 1)) return mn_tape_error(t);
    if (!hook || x == MN_NONE || !x->requires_grad) {
        mn_tape_fail(t, MN_ERR_ARGUMENT,
                     hook ? "the tensor does not require grad" : "the hook is NULL");
    } else if (x->owned && x->node) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s", retained);
    } else if (add_hook(x, (mni_hook){.fn.grad = hook, .user = user})) {
        mni_tape_adopt(t, "memory");
    }
    mn_op_end(t, NULL);
    return t->error;
}

mn_error mn_register_post_accumulate_hook(mn_tensor *x, mn_accumulate_hook hook, void *user)
{
    if (!x || !x->storage || !hook)
        return mn_fail(MN_ERR_ARGUMENT, "mn_register_post_accumulate_hook: the %s is NULL",
                       hook ? "tensor" : "hook");
    if (!x->requires_grad || (x->node && (x->owned || !x->node->leaf)))
        return mn_fail(MN_ERR_ARGUMENT,
                       "mn_register_post_accumulate_hook: the tensor is not a leaf that requires "
                       "grad");
    return add_hook(x, (mni_hook){.post = true, .fn.accumulate = hook, .user = user});
}

/* Frees the hooks, or only those removed while hooks were running. */
static void free_hooks(mni_leaf *leaf, bool all)
{
    for (mni_hook **at = &leaf->hooks; *at;) {
        mni_hook *h = *at;
        if (!all && !h->removed) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        if (leaf->heap) mni_free(h);
    }
}

void mni_hooks_ran(mni_leaf *leaf)
{
    if (--leaf->running == 0) free_hooks(leaf, false);
}

void mn_remove_hooks(mn_tensor *x)
{
    if (!x || !x->leaf) return;
    for (mni_hook *h = x->leaf->hooks; h; h = h->next) h->removed = true;
    if (!x->leaf->running) free_hooks(x->leaf, true);
}

mn_error mn_retain_grad(mn_tape *t, mn_tensor *x)
{
    static const mn_op op = {.name = "mn_retain_grad"};
    if (!mn_op_begin(t, &op, &x, 1)) return mn_tape_error(t);
    if (x == MN_NONE || !x->requires_grad) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "the tensor does not require grad");
    } else if (x->owned && x->node) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s", retained);
    } else if (x->node && !x->node->leaf) {
        mni_leaf *leaf = mni_leaf_of(x);
        if (!leaf) mni_tape_adopt(t, "memory");
        if (leaf) leaf->retain = true;
    }
    mn_op_end(t, NULL);
    return t->error;
}
