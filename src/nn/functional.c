/*
 * nn/functional.c: a module run on other parameters than its own: every slot that holds one of the replaced
 * tensors holds its replacement for the length of the call.
 */
#include "autograd/tape.h"
#include "nn/module.h"

typedef struct swap {
    mn_tensor **slot, *own, *other;
} swap;

typedef struct swap_visitor {
    mn_visitor base;
    const mn_named_tensor *replacements;
    int n;
    mn_tensor **own; /* what stands under each name; NULL: not found yet */
    swap *swaps;
    int64_t count;
} swap_visitor;

static void find_names(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer)
{
    swap_visitor *s = (swap_visitor *)v;
    (void)init, (void)buffer;
    s->count++;
    for (int i = 0; i < s->n; i++)
        if (!s->own[i] && mni_path_is(v->path, name, s->replacements[i].name)) s->own[i] = *slot;
}

/* A tied tensor stands in several slots, under one of whose names it is replaced in all of them. */
static void find_slots(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer)
{
    swap_visitor *s = (swap_visitor *)v;
    (void)name, (void)init, (void)buffer;
    for (int i = 0; i < s->n; i++) {
        if (*slot != s->own[i]) continue;
        s->swaps[s->count++] = (swap){slot, *slot, s->replacements[i].tensor};
        return;
    }
}

static bool check(mn_tape *t, const swap_visitor *s, int i)
{
    static const char who[] = "mn_module_functional_call";
    const mn_named_tensor *r = &s->replacements[i];
    const mn_tensor *own = s->own[i], *x = r->tensor;
    char was[200], is[200];
    if (!own) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: no parameter or buffer is named \"%s\"", who,
                     r->name);
    } else if (x == MN_NONE) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: the tensor for \"%s\" is MN_NONE", who, r->name);
    } else if (!x->storage) {
        mn_tape_fail(t, MN_ERR_STATE,
                     "%s: the tensor for \"%s\" was freed by its scope or by mn_tape_reset", who,
                     r->name);
    } else if (own->dtype != x->dtype || !mn_tensor_same_shape(own, x)) {
        mn_tape_fail(t, own->dtype != x->dtype ? MN_ERR_DTYPE : MN_ERR_SHAPE,
                     "%s: \"%s\" is %s %s, the tensor %s %s", who, r->name,
                     mn_dtype_name((mn_dtype)own->dtype),
                     mni_shape_text(was, sizeof was, own->ndim, own->shape),
                     mn_dtype_name((mn_dtype)x->dtype),
                     mni_shape_text(is, sizeof is, x->ndim, x->shape));
    }
    for (int k = 0; k < i && !t->error; k++)
        if (s->own[k] == own && s->replacements[k].tensor != x)
            mn_tape_fail(t, MN_ERR_ARGUMENT, "%s: \"%s\" and \"%s\" are the same parameter", who,
                         s->replacements[k].name, r->name);
    return !t->error;
}

/* Finds the slots, without a change to any; false with the tape's error set. */
static bool prepare(mn_tape *t, swap_visitor *s, mn_module *m)
{
    s->own = mni_arena_take(&t->arena, ((size_t)s->n + 1) * sizeof *s->own);
    if (!s->own) return mni_tape_adopt(t, "memory");
    for (int i = 0; i < s->n; i++) {
        if (!s->replacements[i].name || !s->replacements[i].tensor)
            return mni_tape_adopt(t, "mn_module_functional_call: a name or a tensor");
        s->own[i] = NULL;
    }
    s->base.tensor = find_names;
    mni_walk(&s->base, m);
    for (int i = 0; i < s->n; i++)
        if (!check(t, s, i)) return false;
    s->swaps = mni_arena_take(&t->arena, ((size_t)s->count + 1) * sizeof *s->swaps);
    if (!s->swaps) return mni_tape_adopt(t, "memory");
    s->count = 0;
    s->base.tensor = find_slots;
    mni_walk(&s->base, m);
    return true;
}

mn_error mn_module_functional_call(mn_module *m, mn_tape *t, const mn_named_tensor *replacements,
                                   int n, mn_tensor *const *in, int n_in, mn_tensor **out,
                                   int n_out)
{
    swap_visitor s = {.replacements = replacements, .n = n};
    for (int i = 0; i < n_out; i++) out[i] = NULL;
    if (!t) return mni_pass_null("mn_module_functional_call", "the tape");
    if (!m) mni_tape_adopt(t, "mn_module_functional_call: the module");
    if (n > 0 && !replacements)
        mni_tape_adopt(t, "mn_module_functional_call: the list of replacements");
    if (t->error || !prepare(t, &s, m)) return t->error;
    for (int64_t i = 0; i < s.count; i++) *s.swaps[i].slot = s.swaps[i].other;
    mn_module_call(m, t, in, n_in, out, n_out);
    for (int64_t i = 0; i < s.count; i++) *s.swaps[i].slot = s.swaps[i].own;
    return t->error;
}
