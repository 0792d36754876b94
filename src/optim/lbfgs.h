/*
 * optim/lbfgs.h: the line that L-BFGS searches along.
 */
#ifndef MNI_LBFGS_H
#define MNI_LBFGS_H

#include "optim/optim.h"

enum { MNI_GRADIENTS = 4 }; /* at most alive at a time */

/* All parameters, and all gradients, as one vector. */
typedef struct mni_problem {
    mn_optim *o;
    mn_tape *t;
    mn_closure closure;
    void *user;
    mni_team *team;
    mn_dtype dtype;
    int64_t n;
    void *gradient[MNI_GRADIENTS];
    int evaluations;
} mni_problem;

/* A point of the line x + t d. */
typedef struct mni_point {
    double t, f, slope; /* the loss there, and its derivative along the line */
    void *g;            /* one of the problem's gradients */
} mni_point;

/* The parameters <- x + t d, or x where d is NULL; those that are frozen stay. */
void mni_problem_place(const mni_problem *p, const void *x, double t, const void *d);

/* The point t of the line, by the closure; its gradient goes where none of a, b and c lies. NAN
 * with the tape's error set when it fails. */
mni_point mni_problem_at(mni_problem *p, const void *x, const void *d, double t, const void *a,
                         const void *b, const void *c);

/* From the point `start` of the line (t = 0) to one that meets the strong Wolfe conditions, trying
 * t first and then at most `most` others (Nocedal, Wright, "Numerical optimization", 2006, 3.5,
 * with cubic interpolation). Look at the tape's error. */
mni_point mni_wolfe(mni_problem *p, const void *x, const void *d, mni_point start, double t,
                    int most);

#endif
