/* What the documents' fragments may use without declaring it. A fragment that declares a variable
 * of the same name has its own. */
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mn_tape *t;
static mn_tensor *x, *y, *w, *bias, *target, *loss;
static mn_module *net;
static mn_optim *sgd;
static mn_dataset *digits;
static mn_loader *batches;
static mn_rng rng;
