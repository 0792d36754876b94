/*
 * autograd/describe.c: the tape as text, for teaching and for looking what a step did.
 */
#include "autograd/tape.h"
#include <stdarg.h>
#include <stdio.h>

typedef struct text {
    char *buf;
    size_t size, length;
} text;

static void MN_PRINTF(2, 3) put(text *w, const char *format, ...)
{
    bool room = w->length < w->size;
    va_list args;
    va_start(args, format);
    int n =
        vsnprintf(room ? w->buf + w->length : NULL, room ? w->size - w->length : 0, format, args);
    va_end(args);
    if (n > 0) w->length += (size_t)n;
}

static void put_tensor(text *w, mn_dtype dtype, int ndim, const int64_t *shape)
{
    char dims[200];
    put(w, "%s%s", mn_dtype_name(dtype), mni_shape_text(dims, sizeof dims, ndim, shape));
}

/* "%3 relu(%2) -> f32[4, 2]  net.1  saves f32[4, 2]" */
static void put_node(text *w, const mn_node *n)
{
    put(w, "%%%lld %s(", (long long)n->index, n->op->name);
    for (int i = 0; i < n->n_in; i++) {
        const mni_edge *e = &n->in[i];
        if (i) put(w, ", ");
        if (!e->node) {
            put(w, "-"); /* an input that wants no gradient */
        } else if (e->node->n_out > 1) {
            put(w, "%%%lld.%d", (long long)e->node->index, (int)e->output);
        } else {
            put(w, "%%%lld", (long long)e->node->index);
        }
    }
    put(w, ") ->");
    for (int k = 0; k < n->n_out; k++) {
        put(w, " ");
        put_tensor(w, (mn_dtype)n->out[k].dtype, n->out[k].ndim, n->out[k].shape);
    }
    if (n->label) put(w, "  %s", n->label);
    if (n->released && n->op->backward) put(w, "  freed");
    for (const mni_saved *s = n->saved; s; s = s->next) {
        put(w, s == n->saved ? "  saves " : ", ");
        if (s->tensor == MN_NONE) {
            put(w, "none");
            continue;
        }
        put_tensor(w, (mn_dtype)s->tensor->dtype, s->tensor->ndim, s->tensor->shape);
    }
    put(w, "\n");
}

size_t mn_tape_format(const mn_tape *t, char *buffer, size_t size)
{
    text w = {buffer, size, 0};
    if (size) buffer[0] = '\0';
    for (int64_t i = 0; t && i < t->n_nodes; i++) put_node(&w, t->nodes[i]);
    return w.length;
}
