/*
 * review.h: how well the network does on a data set, and, for the report, which images it got wrong.
 */
#ifndef EXAMPLES_REVIEW_H
#define EXAMPLES_REVIEW_H

#include <minnow/minnow.h>

enum { MAX_MISTAKES = 6 };

typedef struct score {
    double loss;     /* mean */
    double accuracy; /* 0 to 1 */
    int64_t samples, wrong;
} score;

typedef struct mistake {
    int64_t truth, predicted;
    double loss, confidence; /* the probability given to `predicted` */
    float *pixels;           /* [height, width], 0 to 1 */
} mistake;

typedef struct review {
    int64_t height, width, classes;
    int64_t *confusion;             /* [classes, classes]: true class, predicted class */
    mistake mistakes[MAX_MISTAKES]; /* the worst first */
    int n_mistakes;
    float *pixels; /* of all mistakes */
} review;

/* False without memory. review_free takes both outcomes. */
bool review_init(review *r, int64_t height, int64_t width, int64_t classes);
void review_free(review *r);

/* Runs every sample of `batches` through the net in eval mode, without a graph; afterwards the net
 * is in training mode again. r: NULL for the score alone. After a failure the reason is in the tape. */
score evaluate(mn_module *net, mn_loader *batches, mn_tape *t, review *r);

#endif
