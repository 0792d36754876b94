/*
 * language_model.h: two nets that guess the next character of a text: an LSTM, which carries what it
 * remembers from one part of the text to the next, and a transformer, which looks back at a number of
 * characters.
 */
#ifndef EXAMPLES_LANGUAGE_MODEL_H
#define EXAMPLES_LANGUAGE_MODEL_H

#include <minnow/minnow.h>

typedef enum language_kind { LSTM = 0, TRANSFORMER } language_kind;

enum { MAX_LAYERS = 64 };

typedef struct language_shape {
    int64_t width, layers, heads; /* heads: of the transformer */
    int64_t context;              /* characters that the transformer sees at once */
    double dropout;
} language_shape;

/* kinds: how many characters there are. Yours; NULL with the reason in mn_last_message(). */
mn_module *language_model(language_kind kind, int64_t kinds, const language_shape *shape,
                          uint64_t seed);

/* What an LSTM remembers of n texts that it reads side by side; nothing for the transformer. */
typedef struct memory {
    mn_tensor *state[2]; /* [layers, n, width] each, or NULL */
    mn_tensor *next[2];  /* the tape's: the states behind what was read last */
} memory;

/* Empty; false without memory. memory_free takes both outcomes. */
bool memory_init(memory *w, language_kind kind, const language_shape *shape, int64_t n);
void memory_free(memory *w);
void memory_clear(memory *w);

/* Logits of the characters that follow, [n, length, kinds], each from those up to its place: characters is
 * [n, length] i64, and w is what came before. */
mn_tensor *language_logits(mn_module *model, mn_tape *t, mn_tensor *characters, memory *w);

/* Remembers, after the backward pass, what language_logits has read: copied, so that the next step begins
 * with the values alone, and the graph ends here (truncated back-propagation through time). */
void memory_keep(memory *w, mn_tape *t);

#endif
