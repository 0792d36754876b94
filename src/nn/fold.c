/*
 * nn/fold.c: the patches of images that a kernel covers, as layers.
 */
#include "nn/window.h"
#include <stdio.h>

typedef struct patches {
    mn_module base;
    int64_t image[2]; /* Fold's output_size, else 0 */
    mni_window w;
} patches;

static mn_unfold_opts opts_of(const mni_window *w)
{
    return (mn_unfold_opts){.stride = {w->stride[0], w->stride[1]},
                            .padding = {w->padding[0], w->padding[1]},
                            .dilation = {w->dilation[0], w->dilation[1]}};
}

static mn_error patches_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                mn_tensor **out, int n_out)
{
    const patches *p = (const patches *)m;
    const mn_unfold_opts o = opts_of(&p->w);
    const int64_t *image = p->image, *kernel = p->w.kernel;
    (void)n_in, (void)n_out;
    out[0] = image[0] ? mn_fold(t, in[0], image[0], image[1], kernel[0], kernel[1], &o)
                      : mn_unfold(t, in[0], kernel[0], kernel[1], &o);
    return mn_tape_error(t);
}

static int patches_describe(const mn_module *m, char *buffer, size_t size)
{
    const patches *p = (const patches *)m;
    char output[MNI_TUPLE_SIZE + 16] = "", text[4][MNI_TUPLE_SIZE];
    if (p->image[0])
        snprintf(output, sizeof output, "output_size=%s, ", mni_one_or_tuple(2, p->image, text[0]));
    return snprintf(
        buffer, size, "%skernel_size=%s, dilation=%s, padding=%s, stride=%s", output,
        mni_one_or_tuple(2, p->w.kernel, text[0]), mni_one_or_tuple(2, p->w.dilation, text[1]),
        mni_one_or_tuple(2, p->w.padding, text[2]), mni_one_or_tuple(2, p->w.stride, text[3]));
}

static const mn_module_class unfold_class = {.name = "Unfold",
                                             .size = sizeof(patches),
                                             .n_in = 1,
                                             .n_out = 1,
                                             .forward = patches_forward,
                                             .describe = patches_describe};

static const mn_module_class fold_class = {.name = "Fold",
                                           .size = sizeof(patches),
                                           .n_in = 1,
                                           .n_out = 1,
                                           .forward = patches_forward,
                                           .describe = patches_describe};

static mn_module *patches_new(const mn_module_class *class, const char *name, int64_t out_h,
                              int64_t out_w, int64_t kernel, const mn_nn_unfold_opts *opts)
{
    const mn_nn_unfold_opts o = opts ? *opts : (mn_nn_unfold_opts){0};
    const mni_window_opts window = {kernel, o.kernel_size, o.stride, o.padding, o.dilation, false};
    mni_window w;
    if (!mni_window_make(&w, name, 2, &window)) return NULL;
    patches *p = (patches *)mn_module_new(class);
    if (!p) return NULL;
    p->image[0] = out_h;
    p->image[1] = out_w;
    p->w = w;
    return mn_module_finish(&p->base);
}

mn_module *mn_nn_unfold(int64_t kernel_size, const mn_nn_unfold_opts *opts)
{
    return patches_new(&unfold_class, "unfold", 0, 0, kernel_size, opts);
}

mn_module *mn_nn_fold(int64_t out_h, int64_t out_w, int64_t kernel_size,
                      const mn_nn_unfold_opts *opts)
{
    if (out_h < 1 || out_w < 1) {
        mn_fail(MN_ERR_ARGUMENT, "fold: output_size (%lld, %lld); at least 1 each",
                (long long)out_h, (long long)out_w);
        return NULL;
    }
    return patches_new(&fold_class, "fold", out_h, out_w, kernel_size, opts);
}
