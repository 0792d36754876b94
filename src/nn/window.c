/*
 * nn/window.c: the numbers of a kernel that moves over an image.
 */
#include "nn/window.h"

static int64_t given(const int64_t *list, int d, int64_t otherwise)
{
    return list && list[d] ? list[d] : otherwise;
}

static bool within(int64_t least, int64_t value)
{
    return least <= value && value <= INT32_MAX;
}

bool mni_window_make(mni_window *w, const char *name, int dims, const mni_window_opts *opts)
{
    bool fits = true;
    w->dims = dims;
    for (int d = 0; d < dims; d++) {
        w->kernel[d] = given(opts->kernel, d, opts->kernel_size);
        w->stride[d] = given(opts->stride, d, opts->apart ? w->kernel[d] : 1);
        w->padding[d] = given(opts->padding, d, 0);
        w->dilation[d] = given(opts->dilation, d, 1);
        fits = fits && within(1, w->kernel[d]) && within(1, w->stride[d]) &&
               within(0, w->padding[d]) && within(1, w->dilation[d]);
    }
    if (fits) return true;
    char kernel[MNI_TUPLE_SIZE], stride[MNI_TUPLE_SIZE], padding[MNI_TUPLE_SIZE],
        dilation[MNI_TUPLE_SIZE];
    mn_fail(MN_ERR_ARGUMENT,
            "%s: kernel_size %s, stride %s, padding %s and dilation %s; padding at least 0, the "
            "others at least 1, none above %d",
            name, mni_tuple(dims, w->kernel, kernel), mni_tuple(dims, w->stride, stride),
            mni_tuple(dims, w->padding, padding), mni_tuple(dims, w->dilation, dilation),
            INT32_MAX);
    return false;
}
