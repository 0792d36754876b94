/*
 * autograd/ops/loss_ctc.c: connectionist temporal classification. A kernel gives the losses and their slopes
 * at once. The same recursion over time written with ops is what gradients of gradients come from.
 */
#include "autograd/ops/loss.h"
#include <math.h>

/* ---- the definition ---- */

/* ln of a probability that is none: finite, so that sums and gradients are, but so far below that its e^ is 0
 * beside anything. */
static const double NEVER = -1e20;

/* What both ways of computing read, all contiguous i64: labels [N, states]; steps and lengths of N. */
typedef struct paths {
    mn_tensor *labels, *steps, *lengths;
} paths;

/* Where a sample's path may be, as [N, states] f64 of 0 or NEVER. */
typedef enum place { AT_FIRST, AT_LAST, BY_SKIPPING } place;

static mn_tensor *open_at(mn_tape *t, const paths *p, place where)
{
    const int64_t batch = p->labels->shape[0], states = p->labels->shape[1];
    mn_tensor *cost = mni_tape_tensor(t, MN_F64, 2, p->labels->shape);
    for (int64_t n = 0; cost && n < batch; n++) {
        const int64_t *label = (const int64_t *)(const void *)p->labels->data + n * states;
        const int64_t end = 2 * ((const int64_t *)(const void *)p->lengths->data)[n];
        const int64_t steps = ((const int64_t *)(const void *)p->steps->data)[n];
        for (int64_t i = 0; i < states; i++) {
            const bool open[] = {i == 0 || (i == 1 && i < end && steps > 0),
                                 i == end || i == end - 1,
                                 i % 2 == 1 && i > 1 && label[i] != label[i - 2]};
            ((double *)(void *)cost->data)[n * states + i] = open[where] ? 0 : NEVER;
        }
    }
    return cost;
}

/* x [N, states] moved on by k states. */
static mn_tensor *moved_on(mn_tape *t, mn_tensor *x, int64_t k)
{
    return mn_pad(t, x, (int64_t[]){k, -k}, 2, MN_PAD_CONSTANT, NEVER);
}

/* [N], f64: -ln of the sum over all paths. */
static mn_tensor *by_ops(mn_tape *t, mn_tensor *x, const paths *p)
{
    const int64_t steps = x->shape[0], batch = x->shape[1], states = p->labels->shape[1];
    mn_tensor *index = mn_expand(t, p->labels, 3, (int64_t[]){steps, batch, states});
    mn_tensor *emissions = mni_pick(t, mn_to(t, x, MN_F64), index, 2, -1);
    mn_tensor *skip = open_at(t, p, BY_SKIPPING), *ways = open_at(t, p, AT_FIRST);
    for (int64_t s = 0; s < steps && !t->error; s++) {
        mn_tensor *now = ways;
        if (s > 0) {
            mn_tensor *from[] = {ways, moved_on(t, ways, 1), mn_add(t, moved_on(t, ways, 2), skip)};
            now = mn_logsumexp_dim(t, mn_stack(t, from, 3, 0), (int[]){0}, 1, false);
        }
        now = mn_add(t, now, mn_select(t, emissions, 0, s));
        mn_tensor *lasts = mn_gt_scalar(t, p->steps, (double)s);
        lasts = mn_reshape(t, lasts, 2, (int64_t[]){batch, 1});
        ways = mn_where(t, lasts, now, ways);
    }
    ways = mn_add(t, ways, open_at(t, p, AT_LAST));
    return mn_neg(t, mn_logsumexp_dim(t, ways, (int[]){1}, 1, false));
}

/* Saved: x, labels, steps, lengths, slopes; data: zero_infinity. */
static void ctc_loss_backward(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    mn_tensor *x = mn_saved(n, 0);
    const double of_never = *(const bool *)mn_saved_data(n) ? 0 : NAN;
    const paths p = {mn_saved(n, 1), mn_saved(n, 2), mn_saved(n, 3)};
    if (t->error) return;
    mn_tensor *y = by_ops(t, x, &p), *never = mn_gt_scalar(t, y, -NEVER / 2);
    mn_tensor *g = mn_masked_fill(t, mn_to(t, gy[0], MN_F64), never, of_never);
    if (t->error) return;
    mn_grad(t, &y, 1, &x, 1, &gx[0],
            &(mn_grad_opts){
                .cotangents = &g, .create_graph = mn_grad_enabled(t), .allow_unused = true});
}

/* gy times the slopes. */
static void ctc_loss_backward_fast(mn_tape *t, mn_node *n, mn_tensor *const *gy, mn_tensor **gx)
{
    gx[0] = mn_mul(t, mn_saved(n, 4), mn_unsqueeze(t, gy[0], 1));
}
static const mn_op ctc_loss_op = {
    .name = "ctc_loss", .backward = ctc_loss_backward, .backward_fast = ctc_loss_backward_fast};

/* ---- checks ---- */

static bool is_i64(mn_tape *t, const mn_tensor *x, const char *what)
{
    if (x->dtype == MN_I64) return true;
    mn_tape_fail(t, MN_ERR_DTYPE, "the %s are %s, not i64", what,
                 mn_dtype_name((mn_dtype)x->dtype));
    return false;
}

/* One length from 0 to `most` for each sample. */
static bool lengths_fit(mn_tape *t, const mn_tensor *x, const mn_tensor *lengths, const char *what,
                        int64_t most)
{
    char shape[MNI_TEXT];
    const int64_t samples = x->ndim == 3 ? x->shape[1] : 1;
    if (!is_i64(t, lengths, what)) return false;
    if (lengths->numel != samples || lengths->ndim > 1 || (x->ndim == 3 && lengths->ndim == 0)) {
        mn_tape_fail(t, MN_ERR_SHAPE, "the %s are %s, but there are %lld samples", what,
                     mni_shape_text(shape, sizeof shape, lengths->ndim, lengths->shape),
                     (long long)samples);
        return false;
    }
    const int64_t *length = (const int64_t *)(const void *)lengths->data;
    for (int64_t n = 0; n < samples; n++)
        if (length[n] < 0 || length[n] > most) {
            mn_tape_fail(t, MN_ERR_ARGUMENT, "number %lld of the %s is %lld, not from 0 to %lld",
                         (long long)n, what, (long long)length[n], (long long)most);
            return false;
        }
    return true;
}

/* [N, S], or [sum of lengths]. */
static bool targets_fit(mn_tape *t, const mn_tensor *x, const mn_tensor *targets,
                        const mn_tensor *lengths)
{
    const bool padded = targets->ndim == 2 && x->ndim == 3 && targets->shape[0] == x->shape[1];
    if (!is_i64(t, targets, "targets")) return false;
    if (!padded && targets->ndim != 1) {
        mni_shape_error(t, x, targets, "targets [N, S] or [sum of target lengths] are needed");
        return false;
    }
    if (!lengths_fit(t, x, lengths, "target lengths", padded ? targets->shape[1] : targets->numel))
        return false;
    int64_t sum = 0;
    for (int64_t n = 0; n < lengths->numel && sum <= targets->numel; n++)
        sum += ((const int64_t *)(const void *)lengths->data)[n];
    if (padded || sum == targets->numel) return true;
    mn_tape_fail(t, MN_ERR_SHAPE, "there are %lld targets, but the target lengths add up to %lld",
                 (long long)targets->numel, (long long)sum);
    return false;
}

/* The targets of each sample with blanks around them, blanks to the end: [N, states], states at least 3. */
static mn_tensor *labels_of(mn_tape *t, const mn_tensor *x, const mn_tensor *targets,
                            const mn_tensor *lengths, int64_t blank)
{
    const int64_t *from = (const int64_t *)(const void *)targets->data, classes = x->shape[2];
    const int64_t *length = (const int64_t *)(const void *)lengths->data;
    int64_t longest = 1, at = 0;
    for (int64_t n = 0; n < lengths->numel; n++)
        if (length[n] > longest) longest = length[n];
    const int64_t shape[] = {x->shape[1], 2 * longest + 1};
    mn_tensor *labels = mni_tape_tensor(t, MN_I64, 2, shape);
    if (!labels) return NULL;
    mni_fill(mni_tape_team(t), labels, (double)blank);
    for (int64_t n = 0; n < shape[0]; n++) {
        int64_t *to = (int64_t *)(void *)labels->data + n * shape[1];
        if (targets->ndim == 2) at = n * targets->shape[1];
        for (int64_t k = 0; k < length[n]; k++, at++) {
            to[2 * k + 1] = from[at];
            if (from[at] == blank)
                return mn_tape_fail(t, MN_ERR_ARGUMENT, "target %lld is the blank class, %lld",
                                    (long long)at, (long long)blank);
            if ((from[at] < 0 || from[at] >= classes) && !mni_class_error(t, at, from[at], classes))
                return NULL;
        }
    }
    return labels;
}

/* ---- the op ---- */

/* Of x [T, N, C] -> [N]. */
static mn_tensor *losses_of(mn_tape *t, mn_tensor *x, const paths *p, bool zero_infinity)
{
    if (!mni_begin(t, &ctc_loss_op, &x, 1)) return NULL;
    const mn_dtype dtype = (mn_dtype)x->dtype;
    const bool wanted = x->requires_grad && mn_grad_enabled(t);
    mn_tensor *losses = mni_tape_tensor(t, dtype, 1, &x->shape[1]);
    mn_tensor *slopes = wanted ? mni_tape_tensor(t, dtype, 3, x->shape) : NULL;
    if (t->error) return NULL;
    mni_ctc job = {.x = x,
                   .states = p->labels->shape[1],
                   .labels = (const int64_t *)(const void *)p->labels->data,
                   .steps = (const int64_t *)(const void *)p->steps->data,
                   .lengths = (const int64_t *)(const void *)p->lengths->data,
                   .zero_infinity = zero_infinity,
                   .losses = losses,
                   .slopes = slopes};
    const mn_scope scope = mn_scope_begin(t, MN_GRAD_INHERIT); /* the scratch is large */
    const int64_t room = mni_ctc_scratch(&job);
    mn_tensor *scratch = mni_tape_tensor(t, MN_F64, 1, &room);
    if (scratch) job.scratch = (double *)(void *)scratch->data;
    if (scratch) mni_ctc_run(mni_tape_team(t), &job);
    mn_scope_end(t, scope, NULL, 0);
    mn_node *n = mn_op_record(t, &ctc_loss_op, &x, 1, &losses, 1);
    mn_save(n, x);
    mn_save(n, p->labels);
    mn_save(n, p->steps);
    mn_save(n, p->lengths);
    mn_save(n, slopes);
    mn_save_data(n, &zero_infinity, sizeof zero_infinity);
    return mn_op_end(t, losses);
}

mn_tensor *mn_ctc_loss(mn_tape *t, mn_tensor *log_probabilities, mn_tensor *targets,
                       mn_tensor *input_lengths, mn_tensor *target_lengths,
                       const mn_ctc_loss_opts *opts)
{
    const mn_ctc_loss_opts o = opts ? *opts : (mn_ctc_loss_opts){0};
    mn_tensor *x = log_probabilities, *in[] = {x, targets, input_lengths, target_lengths};
    char shape[MNI_TEXT];
    if (!mni_begin(t, &ctc_loss_op, in, 4) || !mni_require_reduction(t, o.reduction) ||
        !mni_require_float(t, x))
        return NULL;
    if (x->ndim != 2 && x->ndim != 3)
        return mn_tape_fail(t, MN_ERR_SHAPE, "log_probabilities are %s, not [T, N, C] or [T, C]",
                            mni_shape_text(shape, sizeof shape, x->ndim, x->shape));
    if (o.blank < 0 || o.blank >= x->shape[x->ndim - 1])
        return mn_tape_fail(t, MN_ERR_ARGUMENT, "blank is %lld, but there are %lld classes",
                            (long long)o.blank, (long long)x->shape[x->ndim - 1]);
    for (int i = 1; i < 4; i++)
        if (!(in[i] = mni_dense(t, in[i]))) return NULL;
    if (!lengths_fit(t, x, in[2], "input lengths", x->shape[0]) || !targets_fit(t, x, in[1], in[3]))
        return NULL;
    mn_tensor *all = x->ndim == 3 ? x : mn_unsqueeze(t, x, 1);
    if (!all) return NULL;
    const paths p = {labels_of(t, all, in[1], in[3], o.blank), in[2], in[3]};
    mn_tensor *losses = p.labels ? losses_of(t, all, &p, o.zero_infinity) : NULL;
    if (o.reduction == MN_REDUCE_MEAN && losses) {
        mn_tensor *lengths = mn_clamp(t, mn_to(t, in[3], (mn_dtype)x->dtype), 1, INFINITY);
        losses = mn_div(t, losses, lengths);
    }
    return mni_reduced(t, x->ndim == 2 ? mn_squeeze_dim(t, losses, 0) : losses, o.reduction);
}
