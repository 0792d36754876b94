/*
 * autograd/describe.c: the tape as text and as a graph for Graphviz, for teaching and for looking what a
 * step did and what it keeps.
 */
#include "autograd/tape.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* ---- what is saved ---- */

/* A block of the tape is counted with the first node that holds it; parameters and other tensors of
 * yours are not. */
static bool held_block(const mn_tape *t, const mni_saved *s)
{
    return s->tensor->storage && s->tensor->storage->owner == t;
}

static void forget_counts(const mn_tape *t)
{
    for (int64_t i = 0; i < t->n_nodes; i++)
        for (const mni_saved *s = t->nodes[i]->saved; s; s = s->next)
            if (held_block(t, s)) s->tensor->storage->counted = false;
}

static size_t saved_bytes(const mn_node *n)
{
    size_t bytes = 0;
    for (const mni_saved *s = n->saved; s; s = s->next) {
        if (!held_block(n->tape, s) || s->tensor->storage->counted) continue;
        s->tensor->storage->counted = true;
        bytes += s->tensor->storage->capacity;
    }
    return bytes;
}

/* ---- as lines ---- */

static void put_saved(text *w, const mni_saved *s)
{
    if (s->next) { /* the list has the newest first */
        put_saved(w, s->next);
        put(w, ", ");
    }
    if (s->tensor == MN_NONE) {
        put(w, "none");
        return;
    }
    put_tensor(w, (mn_dtype)s->tensor->dtype, s->tensor->ndim, s->tensor->shape);
    if (!s->tensor->storage) put(w, " (dropped)");
}

/* "%3 relu(%2) -> f32[4, 2]  net.1  saves f32[4, 2]  64 bytes" */
static void put_node(text *w, const mn_node *n, size_t bytes)
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
    put(w, ")");
    for (int k = 0; k < n->n_out; k++) {
        put(w, k ? ", " : " -> ");
        put_tensor(w, (mn_dtype)n->out[k].dtype, n->out[k].ndim, n->out[k].shape);
    }
    if (n->label) put(w, "  %s", n->label);
    if (n->released && (n->op->backward || n->n_saved)) put(w, "  freed");
    if (n->saved) {
        put(w, "  saves ");
        put_saved(w, n->saved);
    }
    if (bytes) put(w, "  %zu bytes", bytes);
    put(w, "\n");
}

static text begin(const mn_tape *t, char *buffer, size_t size)
{
    if (size) buffer[0] = '\0';
    if (t) forget_counts(t);
    return (text){buffer, size, 0};
}

size_t mn_tape_format(const mn_tape *t, char *buffer, size_t size)
{
    text w = begin(t, buffer, size);
    size_t total = 0;
    for (int64_t i = 0; t && i < t->n_nodes; i++) {
        size_t bytes = saved_bytes(t->nodes[i]);
        put_node(&w, t->nodes[i], bytes);
        total += bytes;
    }
    if (t) put(&w, "%lld nodes save %zu bytes\n", (long long)t->n_nodes, total);
    return w.length;
}

/* ---- as a graph ---- */

/* Inside quotes. */
static void put_quoted(text *w, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) put(w, s[i] == '"' || s[i] == '\\' ? "\\%c" : "%c", s[i]);
}

/* A box inside the boxes of its module and of those around it. Graphviz puts what belongs to one name
 * together, however often the name is opened. */
static void put_box(text *w, const mn_node *n, size_t bytes)
{
    const char *label = n->label ? n->label : "";
    size_t length = strlen(label), depth = 0;
    put(w, "    ");
    for (size_t i = 1; i <= length; i++) {
        if (i < length && label[i] != '.') continue;
        put(w, "subgraph \"cluster_");
        put_quoted(w, label, i);
        put(w, "\" { label=\"");
        put_quoted(w, label, i);
        put(w, "\"; ");
        depth++;
    }
    put(w, "n%lld [label=\"", (long long)n->index);
    put_quoted(w, n->op->name, strlen(n->op->name));
    for (int k = 0; k < n->n_out; k++) {
        put(w, "\\n");
        put_tensor(w, (mn_dtype)n->out[k].dtype, n->out[k].ndim, n->out[k].shape);
    }
    if (bytes) put(w, "\\nsaves %zu bytes", bytes);
    put(w, n->leaf ? "\", shape=ellipse];" : "\"];");
    for (; depth; depth--) put(w, " }");
    put(w, "\n");
}

static void put_arrows(text *w, const mn_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const mni_edge *e = &n->in[i];
        if (!e->node) continue;
        put(w, "    n%lld -> n%lld", (long long)e->node->index, (long long)n->index);
        if (e->node->n_out > 1) put(w, " [label=\"%d\"]", (int)e->output);
        put(w, ";\n");
    }
}

size_t mn_tape_format_dot(const mn_tape *t, char *buffer, size_t size)
{
    text w = begin(t, buffer, size);
    put(&w, "digraph tape {\n    node [shape=box];\n");
    for (int64_t i = 0; t && i < t->n_nodes; i++)
        put_box(&w, t->nodes[i], saved_bytes(t->nodes[i]));
    for (int64_t i = 0; t && i < t->n_nodes; i++) put_arrows(&w, t->nodes[i]);
    put(&w, "}\n");
    return w.length;
}
