#include <minnow/optim/step.h>
