/*
 * nn/upsample.c: images in other sizes, as layers.
 */
#include "nn/module.h"
#include <stdio.h>

/* ---- upsample ---- */

typedef struct upsample {
    mn_module base;
    mn_nn_upsample_opts opts;
} upsample;

static mn_error upsample_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                 mn_tensor **out, int n_out)
{
    (void)n_in, (void)n_out;
    out[0] = mn_interpolate(t, in[0], &((const upsample *)m)->opts);
    return mn_tape_error(t);
}

static const char *const modes[] = {"nearest", "linear", "bilinear", "bicubic"};

static int upsample_describe(const mn_module *m, char *buffer, size_t size)
{
    const mn_nn_upsample_opts *o = &((const upsample *)m)->opts;
    char sizes[MNI_TUPLE_SIZE], first[MNI_REPR_SIZE], second[MNI_REPR_SIZE];
    mni_repr(o->scale[0], first);
    mni_repr(o->scale[1], second);
    if (o->size[0])
        return snprintf(buffer, size, "size=%s, mode='%s'",
                        mni_one_or_tuple(o->size[1] ? 2 : 1, o->size, sizes), modes[o->mode]);
    if (o->scale[1] == 0 || o->scale[0] == o->scale[1])
        return snprintf(buffer, size, "scale_factor=%s, mode='%s'", first, modes[o->mode]);
    return snprintf(buffer, size, "scale_factor=(%s, %s), mode='%s'", first, second,
                    modes[o->mode]);
}

static const mn_module_class upsample_class = {.name = "Upsample",
                                               .size = sizeof(upsample),
                                               .n_in = 1,
                                               .n_out = 1,
                                               .forward = upsample_forward,
                                               .describe = upsample_describe};

mn_module *mn_nn_upsample(const mn_nn_upsample_opts *opts)
{
    const mn_nn_upsample_opts o = opts ? *opts : (mn_nn_upsample_opts){0};
    if ((unsigned)o.mode > MN_INTERPOLATE_BICUBIC) {
        mn_fail(MN_ERR_ARGUMENT, "upsample: %d is not a mode", (int)o.mode);
        return NULL;
    }
    bool sizes = o.size[0] >= 1 && o.size[1] >= 0 && o.scale[0] == 0 && o.scale[1] == 0;
    bool scales = o.scale[0] > 0 && o.scale[1] >= 0 && o.size[0] == 0 && o.size[1] == 0;
    if (!sizes && !scales) {
        char first[MNI_REPR_SIZE], second[MNI_REPR_SIZE];
        mn_fail(MN_ERR_ARGUMENT,
                "upsample: size (%lld, %lld) and scale_factor (%s, %s); one of them above 0",
                (long long)o.size[0], (long long)o.size[1], mni_repr(o.scale[0], first),
                mni_repr(o.scale[1], second));
        return NULL;
    }
    if (o.mode == MN_INTERPOLATE_NEAREST && o.align_corners) {
        mn_fail(MN_ERR_ARGUMENT, "upsample: mode nearest does not align corners");
        return NULL;
    }
    upsample *u = (upsample *)mn_module_new(&upsample_class);
    if (!u) return NULL;
    u->opts = o;
    return mn_module_finish(&u->base);
}

/* ---- pixel shuffle ---- */

typedef struct shuffle {
    mn_module base;
    bool apart; /* PixelUnshuffle */
    int64_t factor;
} shuffle;

static mn_error shuffle_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                mn_tensor **out, int n_out)
{
    const shuffle *s = (const shuffle *)m;
    (void)n_in, (void)n_out;
    out[0] =
        s->apart ? mn_pixel_unshuffle(t, in[0], s->factor) : mn_pixel_shuffle(t, in[0], s->factor);
    return mn_tape_error(t);
}

static int shuffle_describe(const mn_module *m, char *buffer, size_t size)
{
    const shuffle *s = (const shuffle *)m;
    return snprintf(buffer, size, "%s_factor=%lld", s->apart ? "downscale" : "upscale",
                    (long long)s->factor);
}

static mn_module *shuffle_new(bool apart, int64_t factor)
{
    static const mn_module_class class[] = {{.name = "PixelShuffle",
                                             .size = sizeof(shuffle),
                                             .n_in = 1,
                                             .n_out = 1,
                                             .forward = shuffle_forward,
                                             .describe = shuffle_describe},
                                            {.name = "PixelUnshuffle",
                                             .size = sizeof(shuffle),
                                             .n_in = 1,
                                             .n_out = 1,
                                             .forward = shuffle_forward,
                                             .describe = shuffle_describe}};
    if (factor < 1 || factor > INT16_MAX) {
        mn_fail(MN_ERR_ARGUMENT, "%s_factor %lld; 1 to %d are possible",
                apart ? "pixel_unshuffle: downscale" : "pixel_shuffle: upscale", (long long)factor,
                INT16_MAX);
        return NULL;
    }
    shuffle *s = (shuffle *)mn_module_new(&class[apart]);
    if (!s) return NULL;
    s->apart = apart;
    s->factor = factor;
    return mn_module_finish(&s->base);
}

mn_module *mn_nn_pixel_shuffle(int64_t upscale_factor)
{
    return shuffle_new(false, upscale_factor);
}

mn_module *mn_nn_pixel_unshuffle(int64_t downscale_factor)
{
    return shuffle_new(true, downscale_factor);
}
