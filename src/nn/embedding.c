/*
 * nn/embedding.c: tables whose rows are looked up, one by one or in bags.
 */
#include "nn/module.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct embedding {
    mn_module base;
    int64_t rows, columns;
    mn_tensor *weight;         /* [rows, columns] */
    mn_embedding_bag_opts bag; /* an Embedding's, too, as far as they go; padding_idx >= 0 */
    bool scale_grad_by_freq;
} embedding;

/* N(0, 1), but 0 in row p[0], if there is one. */
static mn_error draw_rows(mn_tensor *x, mn_rng *rng, const double *p)
{
    mn_error e = mn_tensor_normal(x, 0, 1, rng);
    const size_t row = (size_t)mn_tensor_size(x, 1) * mn_dtype_size(mn_tensor_dtype(x));
    if (e == MN_OK && p[0] >= 0)
        memset((char *)mn_tensor_mutable_data(x) + (size_t)p[0] * row, 0, row);
    return e;
}

static void embedding_visit(mn_module *m, mn_visitor *v)
{
    embedding *e = (embedding *)m;
    const double padding = e->bag.has_padding_idx ? (double)e->bag.padding_idx : -1;
    mn_visit_parameter(v, "weight", &e->weight, (mn_init){draw_rows, {padding}});
}

static mn_error embedding_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out)
{
    const embedding *e = (const embedding *)m;
    const mn_embedding_opts opts = {.has_padding_idx = e->bag.has_padding_idx,
                                    .padding_idx = e->bag.padding_idx,
                                    .max_norm = e->bag.max_norm,
                                    .norm_type = e->bag.norm_type,
                                    .keep_weight = e->bag.keep_weight || !m->training,
                                    .scale_grad_by_freq = e->scale_grad_by_freq};
    (void)n_in, (void)n_out;
    out[0] = mn_embedding(t, in[0], e->weight, &opts);
    return mn_tape_error(t);
}

static mn_error embedding_bag_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                      mn_tensor **out, int n_out)
{
    const embedding *e = (const embedding *)m;
    mn_embedding_bag_opts opts = e->bag;
    (void)n_out;
    if (n_in < 1 || n_in > 3) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "%d inputs: index [, offsets [, per_sample_weights]]",
                     n_in);
        return mn_tape_error(t);
    }
    opts.keep_weight = opts.keep_weight || !m->training;
    out[0] = mn_embedding_bag(t, in[0], e->weight, n_in > 1 ? in[1] : MN_NONE,
                              n_in > 2 ? in[2] : MN_NONE, &opts);
    return mn_tape_error(t);
}

/* ", max_norm=1.0, norm_type=1.0", as far as it is not the default. */
static void describe_norm(const embedding *e, char text[128])
{
    const mn_embedding_bag_opts *o = &e->bag;
    char max[MNI_REPR_SIZE], type[MNI_REPR_SIZE];
    const bool other = o->norm_type != 0 && o->norm_type != 2;
    snprintf(text, 128, "%s%s%s%s", o->max_norm > 0 ? ", max_norm=" : "",
             o->max_norm > 0 ? mni_repr(o->max_norm, max) : "", other ? ", norm_type=" : "",
             other ? mni_repr(o->norm_type, type) : "");
}

static void describe_padding(const embedding *e, char text[64])
{
    text[0] = '\0';
    if (e->bag.has_padding_idx)
        snprintf(text, 64, ", padding_idx=%lld", (long long)e->bag.padding_idx);
}

static int embedding_describe(const mn_module *m, char *buffer, size_t size)
{
    const embedding *e = (const embedding *)m;
    char norm[128], padding[64];
    describe_norm(e, norm);
    describe_padding(e, padding);
    return snprintf(buffer, size, "%lld, %lld%s%s%s", (long long)e->rows, (long long)e->columns,
                    padding, norm, e->scale_grad_by_freq ? ", scale_grad_by_freq=True" : "");
}

static int embedding_bag_describe(const mn_module *m, char *buffer, size_t size)
{
    static const char *const modes[] = {"mean", "sum", "max"};
    const embedding *e = (const embedding *)m;
    char norm[128], padding[64];
    describe_norm(e, norm);
    describe_padding(e, padding);
    return snprintf(buffer, size, "%lld, %lld%s, mode='%s'%s", (long long)e->rows,
                    (long long)e->columns, norm, modes[e->bag.mode], padding);
}

static const mn_module_class embedding_class = {.name = "Embedding",
                                                .size = sizeof(embedding),
                                                .n_in = 1,
                                                .n_out = 1,
                                                .forward = embedding_forward,
                                                .visit = embedding_visit,
                                                .describe = embedding_describe};

static const mn_module_class embedding_bag_class = {.name = "EmbeddingBag",
                                                    .size = sizeof(embedding),
                                                    .n_out = 1,
                                                    .forward = embedding_bag_forward,
                                                    .visit = embedding_visit,
                                                    .describe = embedding_bag_describe};

static mn_error check(const char *who, int64_t rows, int64_t columns,
                      const mn_embedding_bag_opts *o)
{
    if (rows < 1 || columns < 1)
        return mn_fail(MN_ERR_ARGUMENT,
                       "%s: %lld num_embeddings and %lld embedding_dim; at least 1 each", who,
                       (long long)rows, (long long)columns);
    if (o->has_padding_idx && (o->padding_idx < -rows || o->padding_idx >= rows))
        return mn_fail(MN_ERR_ARGUMENT, "%s: padding_idx %lld is not one of %lld num_embeddings",
                       who, (long long)o->padding_idx, (long long)rows);
    if (!(o->max_norm >= 0) || isnan(o->norm_type))
        return mn_fail(MN_ERR_ARGUMENT,
                       "%s: max_norm %g, norm_type %g: numbers, max_norm at least 0", who,
                       o->max_norm, o->norm_type);
    if (o->mode != MN_BAG_MEAN && o->mode != MN_BAG_SUM && o->mode != MN_BAG_MAX)
        return mn_fail(MN_ERR_ARGUMENT, "%s: %d is not a mode", who, (int)o->mode);
    return MN_OK;
}

static mn_module *embedding_new(const mn_module_class *class, const char *who, int64_t rows,
                                int64_t columns, mn_embedding_bag_opts o, bool scale_grad_by_freq)
{
    if (check(who, rows, columns, &o)) return NULL;
    embedding *e = (embedding *)mn_module_new(class);
    if (!e) return NULL;
    if (o.has_padding_idx && o.padding_idx < 0) o.padding_idx += rows;
    e->rows = rows;
    e->columns = columns;
    e->bag = o;
    e->scale_grad_by_freq = scale_grad_by_freq;
    e->weight = mn_parameter(MN_F32, 2, (int64_t[]){rows, columns});
    return mn_module_finish(&e->base);
}

mn_module *mn_nn_embedding(int64_t num_embeddings, int64_t embedding_dim,
                           const mn_nn_embedding_opts *opts)
{
    static const mn_nn_embedding_opts defaults;
    const mn_nn_embedding_opts *o = opts ? opts : &defaults;
    return embedding_new(&embedding_class, "embedding", num_embeddings, embedding_dim,
                         (mn_embedding_bag_opts){.has_padding_idx = o->has_padding_idx,
                                                 .padding_idx = o->padding_idx,
                                                 .max_norm = o->max_norm,
                                                 .norm_type = o->norm_type,
                                                 .keep_weight = o->keep_weight},
                         o->scale_grad_by_freq);
}

mn_module *mn_nn_embedding_bag(int64_t num_embeddings, int64_t embedding_dim,
                               const mn_nn_embedding_bag_opts *opts)
{
    static const mn_nn_embedding_bag_opts defaults;
    return embedding_new(&embedding_bag_class, "embedding_bag", num_embeddings, embedding_dim,
                         opts ? *opts : defaults, false);
}
