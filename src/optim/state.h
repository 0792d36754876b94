/*
 * optim/state.h: lists of what a checkpoint holds, as optimizers, schedulers and averages make and
 * read them.
 */
#ifndef MNI_OPTIM_STATE_H
#define MNI_OPTIM_STATE_H

#include "tensor/tensor.h"
#include <minnow/optim.h>

typedef struct mni_items {
    mn_state_item *items;
    int n, capacity; /* listed so far, of which at most `capacity` are written */
} mni_items;

void mni_list(mni_items *l, mn_tensor *tensor, double number, const char *format, ...)
    MN_PRINTF(4, 5);

/* What follows "<before><number>." in name; NULL when it does not begin so. */
const char *mni_name_number(const char *name, const char *before, int *number);

/* Whether the item is a whole number >= 0, which goes to *count, or a tensor of that dtype and
 * shape; else false with the last error set. */
bool mni_item_count(const char *who, const mn_state_item *item, int64_t *count);
bool mni_item_fits(const char *who, const mn_state_item *item, mn_dtype dtype, int ndim,
                   const int64_t *shape);

#endif
