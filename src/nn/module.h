/*
 * nn/module.h: how a tree of modules is walked, for the files of this folder.
 *
 * A class names its parts once, in `visit`; every operation on a tree is a visitor that says what to
 * do at each part.
 */
#ifndef MNI_MODULE_H
#define MNI_MODULE_H

#include <minnow/nn.h>

/* The way down from the module a walk began at; lives on the C stack of the walk. */
typedef struct mni_path {
    const char *name;
    const struct mni_path *up; /* NULL: just below the root */
} mni_path;

/* An operation's own data follow this as first member. A function that is NULL does nothing, except
 * that a child is then walked into. */
struct mn_visitor {
    bool (*module)(mn_visitor *v, mn_module *m); /* on entering m; false: m's parts are left out */
    void (*tensor)(mn_visitor *v, const char *name, mn_tensor **slot, mn_init init, bool buffer);
    void (*child)(mn_visitor *v, const char *name, mn_module **slot);
    void (*rng)(mn_visitor *v, mn_rng *rng, bool *seeded);
    bool want_empty;  /* be told of slots that hold NULL, too */
    bool want_hidden; /* and of those whose place a parametrization has taken */

    mn_module *at;        /* the module whose parts are being named */
    const mni_path *path; /* the way to it, NULL at the root */
    int generators;       /* it has named so far */
    bool done;            /* set it to end the walk */
    mn_error error;       /* set it, with `done`, on failure */
};

/* Walks m and all below it; returns v->error. */
mn_error mni_walk(mn_visitor *v, mn_module *m);

/* Names the parts of v->at, m: its own, then its parametrizations. */
void mni_visit_parts(mn_visitor *v, mn_module *m);

/* Ends the walk with the thread's last error. */
void mni_walk_fail(mn_visitor *v);

/* "a.b.leaf" into buffer, as snprintf; leaf NULL: the way itself. */
size_t mni_path_text(const mni_path *path, const char *leaf, char *buffer, size_t size);

/* The same in memory of its own; NULL with the last error set. */
char *mni_path_dup(const mni_path *path, const char *leaf);

/* Whether the way to leaf reads `name`. */
bool mni_path_is(const mni_path *path, const char *leaf, const char *name);

/* Whether it fits the pattern (fnmatch): 1 or 0; -1 with the last error set without memory. */
int mni_path_fits(const mni_path *path, const char *leaf, const char *pattern);

/* The names that a module has handed out, in the order of its lists. */
typedef struct mni_name {
    struct mni_name *next;
    char text[];
} mni_name;

/* What is run around a forward pass: one of the two. */
typedef struct mni_module_hook {
    struct mni_module_hook *next;
    mn_module_pre_hook before;
    mn_module_hook after;
    void *user;
} mni_module_hook;

/* What stands in memory before every mn_module. */
typedef struct mni_module_head {
    mni_name *parameter_names, *buffer_names;
    mni_module_hook *hooks; /* in the order of their registration */
    mn_module
        *parametrizations; /* a ModuleDict with one for each tensor that is computed; NULL: none */
} mni_module_head;

mni_module_head *mni_module_head_of(mn_module *m);

/* A parameter or buffer of that dtype with x's shape, values (if it has any yet) and requires_grad;
 * NULL with the last error set. */
mn_tensor *mni_twin(const mn_tensor *x, mn_dtype dtype, bool buffer);

/* A copy of text; NULL with the last error set. */
char *mni_text_dup(const char *text);

/* Its children are printed as torch's ModuleList prints them: a row of equal ones once. */
extern const mn_module_class mni_module_list_class;

/* One more child of a ModuleDict, which takes it over; false with the last error set, and then it did
 * not. The child of that name; NULL. */
bool mni_module_dict_add(mn_module *dict, const char *name, mn_module *child);
mn_module *mni_module_dict_get(const mn_module *dict, const char *name);

/* What stands before the class's name of a module that has parametrizations; else "". */
const char *mni_class_prefix(mn_module *m);

/* The class's forward on m, which has parametrizations (parametrize.c). */
mn_error mni_parametrized_forward(mn_module *m, mn_tape *t, mn_tensor *const *in, int n_in,
                                  mn_tensor **out, int n_out);

/* The Linear behind attention, "NonDynamicallyQuantizableLinear": its bias is 0 at first. */
mn_module *mni_out_proj(int64_t features, bool no_bias);

/* For an argument that is NULL: leaves the reason of the failure that made it so, or, when there is
 * none, "who: what is NULL". Returns the last error. */
mn_error mni_pass_null(const char *who, const char *what);

/* The shortest decimal that reads back as value, as Python prints it ("0.1", "1.0", "1e-05"). */
enum { MNI_REPR_SIZE = 40 };
const char *mni_repr(double value, char buffer[MNI_REPR_SIZE]);

/* n <= MN_MAX_DIMS sizes as Python prints a tuple of them: "(2, 3)", "(2,)"; one number in the place
 * of as many equal ones: "2". */
enum { MNI_TUPLE_SIZE = 192 };
const char *mni_tuple(int n, const int64_t *sizes, char buffer[MNI_TUPLE_SIZE]);
const char *mni_one_or_tuple(int n, const int64_t *sizes, char buffer[MNI_TUPLE_SIZE]);

#endif
