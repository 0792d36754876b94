/*
 * review.c: evaluation: the mean loss and accuracy, the confusion matrix, and the images on which the
 * loss was largest.
 */
#include "review.h"
#include <stdlib.h>
#include <string.h>

bool review_init(review *r, int64_t height, int64_t width, int64_t classes)
{
    *r = (review){.height = height, .width = width, .classes = classes};
    size_t image = (size_t)(height * width);
    r->confusion = calloc((size_t)(classes * classes), sizeof *r->confusion);
    r->pixels = calloc(MAX_MISTAKES * image, sizeof *r->pixels);
    if (!r->confusion || !r->pixels) return false;
    for (int i = 0; i < MAX_MISTAKES; i++) r->mistakes[i].pixels = r->pixels + (size_t)i * image;
    return true;
}

void review_free(review *r)
{
    free(r->confusion);
    free(r->pixels);
}

/* Puts the mistake in its place among the worst, if it belongs there. */
static void keep_mistake(review *r, mistake m, const float *image)
{
    int place = r->n_mistakes;
    while (place > 0 && r->mistakes[place - 1].loss < m.loss) place--;
    if (place == MAX_MISTAKES) return;

    int last = r->n_mistakes < MAX_MISTAKES ? r->n_mistakes++ : MAX_MISTAKES - 1;
    m.pixels = r->mistakes[last].pixels;
    memcpy(m.pixels, image, (size_t)(r->height * r->width) * sizeof *image);
    memmove(&r->mistakes[place + 1], &r->mistakes[place],
            (size_t)(last - place) * sizeof *r->mistakes);
    r->mistakes[place] = m;
}

/* What the net said about one batch: all of [n], but for the images, [n, 1, height, width]. */
static void count(score *s, review *r, const mn_batch *b, const mn_tensor *losses,
                  const mn_tensor *confidence, const mn_tensor *predicted)
{
    const float *loss = mn_tensor_data(losses), *sure = mn_tensor_data(confidence);
    const int64_t *guess = mn_tensor_data(predicted), *truth = mn_tensor_data(b->target);
    const float *images = mn_tensor_data(b->input);
    for (int64_t i = 0; i < b->size; i++) {
        s->loss += (double)loss[i];
        s->wrong += guess[i] != truth[i];
        if (!r) continue;
        r->confusion[truth[i] * r->classes + guess[i]]++;
        if (guess[i] == truth[i]) continue;
        mistake m = {.truth = truth[i],
                     .predicted = guess[i],
                     .loss = (double)loss[i],
                     .confidence = (double)sure[i]};
        keep_mistake(r, m, images + i * r->height * r->width);
    }
    s->samples += b->size;
}

score evaluate(mn_module *net, mn_loader *batches, mn_tape *t, review *r)
{
    score s = {0};
    mn_module_eval(net);
    for (mn_batch b; mn_loader_next(batches, t, &b); mn_tape_reset(t)) {
        mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
        mn_tensor *logits = mn_module_forward(net, t, b.input);
        mn_tensor *losses = mn_cross_entropy(t, logits, b.target,
                                             &(mn_cross_entropy_opts){.reduction = MN_REDUCE_NONE});
        mn_tensor *predicted = NULL;
        mn_tensor *confidence = mn_max_dim(t, mn_softmax(t, logits, 1), 1, false, &predicted);
        if (losses && confidence) count(&s, r, &b, losses, confidence, predicted);
        mn_scope_end(t, scope, NULL, 0);
    }
    mn_module_train(net);
    if (s.samples) {
        s.loss /= (double)s.samples;
        s.accuracy = 1 - (double)s.wrong / (double)s.samples;
    }
    return s;
}
