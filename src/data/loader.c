/*
 * data/loader.c: batches of a data set, in order or shuffled anew each epoch. The order of an epoch
 * depends on the seed and its number alone, and making a batch takes no memory beyond the tape's.
 */
#include "autograd/tape.h"
#include "core/memory.h"
#include "data/dataset.h"
#include <minnow/ops.h>
#include <string.h>

struct mn_loader {
    mn_dataset *data;
    int64_t batch_size;
    mn_data_loader_opts opts;
    int64_t epoch;
    int64_t at, end; /* the next sample's place in `order`, and where the epoch ends */
    bool over;       /* its end was told; the next call begins the next epoch */
    int64_t order[]; /* a permutation of the samples */
};

static void begin_epoch(mn_loader *l, int64_t epoch)
{
    l->epoch = epoch;
    l->at = 0;
    l->over = false;
    if (!l->opts.shuffle) return;
    for (int64_t i = 0; i < l->data->size; i++) l->order[i] = i;
    mn_rng rng = mn_rng_make(l->opts.seed, (uint64_t)epoch);
    for (int64_t i = l->data->size - 1; i > 0; i--) {
        int64_t j = (int64_t)mn_rng_below(&rng, (uint64_t)i + 1), other = l->order[j];
        l->order[j] = l->order[i];
        l->order[i] = other;
    }
}

static mn_tensor *empty_batch(mn_tape *t, const mni_sample *s, int64_t n)
{
    int64_t shape[MN_MAX_DIMS] = {n};
    memcpy(shape + 1, s->shape, (size_t)s->ndim * sizeof *shape);
    return mn_empty(t, s->dtype, s->ndim + 1, shape);
}

mn_loader *mn_data_loader(mn_dataset *d, int64_t batch_size, const mn_data_loader_opts *opts)
{
    if (!d) {
        if (!mn_last_error()) mn_fail(MN_ERR_ARGUMENT, "mn_data_loader: the data set is NULL");
        return NULL;
    }
    mn_data_loader_opts o = opts ? *opts : (mn_data_loader_opts){0};
    if (batch_size < 1) {
        mn_fail(MN_ERR_ARGUMENT, "mn_data_loader: batch_size is %lld, not at least 1",
                (long long)batch_size);
        return NULL;
    }
    if (o.drop_last && batch_size > d->size) {
        mn_fail(MN_ERR_ARGUMENT,
                "mn_data_loader: drop_last leaves nothing of %lld samples in batches of %lld",
                (long long)d->size, (long long)batch_size);
        return NULL;
    }
    mn_loader *l = mni_alloc(sizeof *l + (size_t)d->size * sizeof l->order[0]);
    if (!l) return NULL;
    *l = (mn_loader){.data = mn_dataset_retain(d), .batch_size = batch_size, .opts = o};
    l->end = o.drop_last ? d->size / batch_size * batch_size : d->size;
    for (int64_t i = 0; i < d->size; i++) l->order[i] = i;
    begin_epoch(l, 0);
    return l;
}

bool mn_loader_next(mn_loader *l, mn_tape *t, mn_batch *batch)
{
    if (batch) *batch = (mn_batch){0};
    if (!t && !mn_last_error()) mn_fail(MN_ERR_ARGUMENT, "mn_loader_next: the tape is NULL");
    if (!t || mn_tape_error(t)) return false;
    if (!l) {
        mni_tape_adopt(t, "mn_loader_next: the loader");
        return false;
    }
    if (!batch) {
        mn_tape_fail(t, MN_ERR_ARGUMENT, "mn_loader_next: the batch is NULL");
        return false;
    }
    if (l->over) begin_epoch(l, l->epoch + 1);
    if (l->at == l->end) {
        l->over = true;
        return false;
    }
    int64_t left = l->end - l->at, n = left < l->batch_size ? left : l->batch_size;
    mn_tensor *input = empty_batch(t, &l->data->input, n);
    mn_tensor *target = empty_batch(t, &l->data->target, n);
    if (!input || !target) return false;
    l->data->kind->gather(l->data, l->order + l->at, n, mn_tensor_mutable_data(input),
                          mn_tensor_mutable_data(target));
    l->at += n;
    *batch = (mn_batch){input, target, n};
    return true;
}

int64_t mn_loader_batches(const mn_loader *l)
{
    return l ? (l->end - 1) / l->batch_size + 1 : 0;
}

int64_t mn_loader_epoch(const mn_loader *l)
{
    return l ? l->epoch : 0;
}

mn_error mn_loader_seek(mn_loader *l, int64_t epoch)
{
    if (!l)
        return mn_last_error() ? mn_last_error()
                               : mn_fail(MN_ERR_ARGUMENT, "mn_loader_seek: the loader is NULL");
    if (epoch < 0)
        return mn_fail(MN_ERR_ARGUMENT, "mn_loader_seek: epoch %lld is negative", (long long)epoch);
    begin_epoch(l, epoch);
    return MN_OK;
}

void mn_loader_free(mn_loader *l)
{
    if (!l) return;
    mn_dataset_free(l->data);
    mni_free(l);
}
