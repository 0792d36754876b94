/*
 * charlm.c: learns to write, character by character, from one book. An LSTM reads the text in parallel
 * streams, from beginning to end, with gradients that reach back over one part of it (truncated
 * back-propagation through time); a transformer reads parts from anywhere. Both are measured by the bits that
 * they need for a character of the last tenth of the text, which they have not seen.
 *
 * Seed 1: 1.978 bits with the LSTM (the same model in PyTorch 1.968), 2.245 with the transformer, which would
 * go on learning; by the frequencies of characters alone 4.562.
 *
 * train_step() is the part to read; the nets are in language_model.c, the text is in text.c.
 */
#include "arguments.h"
#include "language_model.h"
#include "terminal.h"
#include "text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    int model, epochs, threads;
    language_shape shape;
    int64_t batch_size, length, sample;
    double lr, clip, temperature;
    uint64_t seed;
    const char *text, *prompt;
    bool quiet;
} options;

static const char help[] =
    "usage: charlm [OPTIONS]\n"
    "\n"
    "Trains a net to guess the next character of a text, measures how well it does on a part that\n"
    "it has not seen, and lets it write.\n"
    "\n"
    "net\n"
    "  --model NAME     lstm or transformer (lstm)\n"
    "  --width N        of its layers (lstm: 256, transformer: 128)\n"
    "  --layers N       (lstm: 1, transformer: 4)\n"
    "  --heads N        of the transformer's attention (4)\n"
    "  --dropout X      (lstm: 0.5, transformer: 0.1)\n"
    "\n"
    "training\n"
    "  --epochs N       passes over the text (lstm: 20, transformer: 40)\n"
    "  --batch-size N   parts of the text in one step (lstm: 16, transformer: 8)\n"
    "  --length N       characters in one part (lstm: 64, transformer: 128)\n"
    "  --lr X           highest learning rate (lstm: 0.005, transformer: 0.006)\n"
    "  --clip X         largest norm of the gradient (1)\n"
    "  --seed N         of the weights, the parts, dropout and what is written (1)\n"
    "  --threads N      threads that share the work (one for each processor, at most 4);\n"
    "                   the results are the same for every number\n"
    "\n"
    "text\n"
    "  --text FILE      (data/alice/alice29.txt)\n"
    "  --sample N       characters to write at the end (600)\n"
    "  --prompt TEXT    what the writing begins with ('Alice ')\n"
    "  --temperature X  below 1: likely characters are preferred (0.7)\n"
    "  --quiet          print the last line only\n"
    "  --help           print this and end\n"
    "\n"
    "Ctrl-C ends the training after the current step.\n"
    "Exit status: 0 done, 1 bad input, 2 wrong usage, 130 ended by Ctrl-C.\n";

/* What the models have by default. */
static const options defaults[] = {
    [LSTM] = {.epochs = 20,
              .batch_size = 16,
              .length = 64,
              .lr = 0.005,
              .shape = {.width = 256, .layers = 1, .dropout = 0.5}},
    [TRANSFORMER] = {.epochs = 40,
                     .batch_size = 8,
                     .length = 128,
                     .lr = 0.006,
                     .shape = {.width = 128, .layers = 4, .dropout = 0.1}},
};

static bool parse(options *o, int argc, char **argv, int *status)
{
    static const char *const models[] = {"lstm", "transformer", NULL};
    bool dropout = false;
    *o = (options){.shape.heads = 4,
                   .clip = 1,
                   .seed = 1,
                   .threads = arguments_threads(),
                   .text = "data/alice/alice29.txt",
                   .sample = 600,
                   .prompt = "Alice ",
                   .temperature = 0.7};
    const argument table[] = {
        {"model", ARG_CHOICE, .value = &o->model, .choices = models},
        {"width", ARG_INT64, .value = &o->shape.width, .low = 1, .high = 65536},
        {"layers", ARG_INT64, .value = &o->shape.layers, .low = 1, .high = MAX_LAYERS},
        {"heads", ARG_INT64, .value = &o->shape.heads, .low = 1, .high = 65536},
        {"dropout", ARG_NUMBER, .value = &o->shape.dropout, .high = 0.99, .given = &dropout},
        {"epochs", ARG_INT, .value = &o->epochs, .low = 1, .high = 100000},
        {"batch-size", ARG_INT64, .value = &o->batch_size, .low = 1, .high = 100000},
        {"length", ARG_INT64, .value = &o->length, .low = 2, .high = 65536},
        {"lr", ARG_NUMBER, .value = &o->lr, .low = 1e-12, .high = 1e6},
        {"clip", ARG_NUMBER, .value = &o->clip, .low = 1e-12, .high = 1e12},
        {"seed", ARG_SEED, .value = &o->seed},
        {"threads", ARG_INT, .value = &o->threads, .low = 1, .high = 256},
        {"text", ARG_FILE, .value = &o->text},
        {"sample", ARG_INT64, .value = &o->sample, .low = 0, .high = 1000000},
        {"prompt", ARG_FILE, .value = &o->prompt},
        {"temperature", ARG_NUMBER, .value = &o->temperature, .low = 0.01, .high = 100},
        {"quiet", ARG_FLAG, .value = &o->quiet},
    };
    if (!arguments_parse("charlm", help, table, sizeof table / sizeof *table, argc, argv, status))
        return false;
    *status = 2;
    const options *d = &defaults[o->model];
    if (!o->epochs) o->epochs = d->epochs;
    if (!o->batch_size) o->batch_size = d->batch_size;
    if (!o->length) o->length = d->length;
    if (o->lr == 0) o->lr = d->lr;
    if (!o->shape.width) o->shape.width = d->shape.width;
    if (!o->shape.layers) o->shape.layers = d->shape.layers;
    if (!dropout) o->shape.dropout = d->shape.dropout;
    o->shape.context = o->length;
    if (o->model == LSTM || o->shape.width % o->shape.heads == 0) return true;
    fprintf(stderr, "charlm: --heads %" PRId64 " does not divide --width %" PRId64 "\n",
            o->shape.heads, o->shape.width);
    return false;
}

typedef struct trainer {
    const options *o;
    text text;
    mn_module *net;
    mn_optim *adamw;
    mn_scheduler *schedule;
    mn_tape *t;
    memory memory;         /* of the streams that are learned from */
    memory single;         /* of one text that is only read */
    int64_t *in, *next;    /* [batch_size, length] */
    int64_t stream, steps; /* characters in a stream; steps in an epoch */
    mn_rng rng;            /* of where parts begin */
    terminal out;
} trainer;

/* ---- training ---- */

/* Part number `step` of every stream; for the transformer, parts from anywhere. */
static void read_parts(trainer *s, int64_t step)
{
    int64_t length = s->o->length;
    for (int64_t i = 0; i < s->o->batch_size; i++) {
        int64_t start = i * s->stream + step * length;
        if (s->o->model == TRANSFORMER)
            start = (int64_t)mn_rng_below(&s->rng, (uint64_t)(s->text.learned - length));
        text_window(&s->text, start, length, s->in + i * length, s->next + i * length);
    }
}

/* Reads, guesses, and learns from what came instead. Returns the mean bits for a character. */
static double train_step(trainer *s, int64_t step)
{
    mn_tape *t = s->t;
    int64_t n = s->o->batch_size, length = s->o->length;
    read_parts(s, step);
    mn_tensor *characters = mn_from(t, MN_I64, 2, (int64_t[]){n, length}, s->in);
    mn_tensor *next = mn_from(t, MN_I64, 1, (int64_t[]){n * length}, s->next);
    mn_tensor *logits = language_logits(s->net, t, characters, &s->memory);
    mn_tensor *loss = mn_cross_entropy(t, mn_flatten(t, logits, 0, 1), next, NULL);
    mn_optim_zero_grad(s->adamw);
    mn_backward(t, loss);
    mn_optim_clip_grad_norm(s->adamw, t, s->o->clip);
    mn_optim_step(s->adamw, t);
    memory_keep(&s->memory, t);
    double bits = mn_tensor_item(loss) / log(2);
    if (loss && !isfinite(bits))
        mn_tape_fail(t, MN_ERR_STATE, "%g bits: a smaller --lr may help", bits);
    mn_tape_reset(t);
    mn_scheduler_step(s->schedule);
    return bits;
}

/* Mean bits for a character of the text that was held out, read from its beginning: all of them are
 * guessed from all that came before, but by the transformer from at least half of its context. */
static double test(trainer *s)
{
    mn_tape *t = s->t;
    const text *x = &s->text;
    int64_t length = s->o->length, last = x->size - 1, counted = 0;
    double sum = 0;
    mn_module_eval(s->net);
    memory_clear(&s->single);
    for (int64_t start = x->learned, seen = start; seen < last && !mn_tape_error(t);) {
        int64_t n = last - start < length ? last - start : length;
        text_window(x, start, n, s->in, s->next);
        mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
        mn_tensor *characters = mn_from(t, MN_I64, 2, (int64_t[]){1, n}, s->in);
        mn_tensor *logits = language_logits(s->net, t, characters, &s->single);
        int64_t known = seen - start; /* from the part before */
        mn_tensor *fresh = mn_narrow(t, mn_select(t, logits, 0, 0), 0, known, n - known);
        mn_tensor *next = mn_from(t, MN_I64, 1, (int64_t[]){n - known}, s->next + known);
        mn_tensor *loss =
            mn_cross_entropy(t, fresh, next, &(mn_cross_entropy_opts){.reduction = MN_REDUCE_SUM});
        sum += mn_tensor_item(loss);
        counted += n - known;
        memory_keep(&s->single, t);
        mn_scope_end(t, scope, NULL, 0);
        mn_tape_reset(t);
        seen = start + n;
        start += s->o->model == TRANSFORMER ? length / 2 : length;
    }
    mn_module_train(s->net);
    return sum / (double)counted / log(2);
}

static void print_setup(const trainer *s)
{
    const options *o = s->o;
    const text *x = &s->text;
    printf("text   %s: %s characters of %d kinds, the last %s held out\n", o->text,
           grouped(x->size).text, x->kinds, grouped(x->size - x->learned).text);
    if (x->line_ends)
        printf("       (line ends of two characters, %s of them, are read as one)\n",
               grouped(x->line_ends).text);
    printf("net    %s, %" PRId64 " layer%s of width %" PRId64 ", dropout %g: %s parameters\n",
           o->model == LSTM ? "LSTM" : "transformer", o->shape.layers,
           o->shape.layers == 1 ? "" : "s", o->shape.width, o->shape.dropout,
           grouped(mn_module_numel(s->net)).text);
    printf("train  %d epoch%s of %" PRId64 " steps with %" PRId64 " parts of %" PRId64
           " characters, AdamW, learning rate %g\n",
           o->epochs, o->epochs == 1 ? "" : "s", s->steps, o->batch_size, o->length, o->lr);
    printf("       seed %" PRIu64 ", %d thread%s, minnow %s\n\n", o->seed, o->threads,
           o->threads == 1 ? "" : "s", MN_VERSION);
    printf("bits per character; by frequencies alone: %.3f\n", text_bits(x));
    fflush(stdout);
}

/* Until Ctrl-C or an error, which is in the tape. */
static void train(trainer *s)
{
    const options *o = s->o;
    s->out.begun = seconds_now();
    for (int epoch = 0; epoch < o->epochs; epoch++) {
        double begun = seconds_now(), sum = 0;
        memory_clear(&s->memory);
        for (int64_t step = 0; step < s->steps;) {
            if (interrupted() || mn_tape_error(s->t)) return;
            sum += train_step(s, step++);
            char head[64], tail[64];
            double part = (double)step / (double)s->steps;
            snprintf(head, sizeof head, "epoch %d/%d", epoch + 1, o->epochs);
            snprintf(tail, sizeof tail, "%.3f bits  %s characters/s", sum / (double)step,
                     grouped((int64_t)((double)(step * o->batch_size * o->length) /
                                       (seconds_now() - begun)))
                         .text);
            terminal_bar(&s->out, head, tail, part, (epoch + part) / o->epochs);
        }
        if (o->quiet) continue;
        double seen = test(s);
        printf("%sepoch %*d/%d  train %.3f  test %s%.3f%s  %.1f s\n", terminal_clear(&s->out),
               o->epochs < 10 ? 1 : 2, epoch + 1, o->epochs, sum / (double)s->steps, bold(&s->out),
               seen, plain(&s->out), seconds_now() - begun);
        fflush(stdout);
    }
}

/* ---- writing ---- */

/* One of the symbols, with the probabilities e^(logit / temperature) / sum. */
static int64_t draw(trainer *s, mn_tensor *logits)
{
    mn_tensor *p = mn_softmax(s->t, mn_div_scalar(s->t, logits, s->o->temperature), 0);
    const float *share = mn_tensor_data(p);
    double u = mn_rng_uniform(&s->rng);
    int64_t k = 0;
    while (share && k + 1 < s->text.kinds && (u -= (double)share[k]) >= 0) k++;
    return k;
}

/* Lets the net go on after the prompt, and prints what it writes character by character. */
static void write_text(trainer *s, int64_t *symbols, int64_t n_prompt)
{
    mn_tape *t = s->t;
    int64_t n = n_prompt + s->o->sample;
    mn_module_eval(s->net);
    memory_clear(&s->single);
    for (int64_t i = 0; i < n && !mn_tape_error(t); i++) {
        int c = s->text.characters[symbols[i]];
        putchar(c == '\n' || (c >= ' ' && c != 127) ? c : '?');
        if (s->out.bar) fflush(stdout);

        int64_t seen = 1; /* the LSTM remembers the others */
        if (s->o->model == TRANSFORMER) seen = i + 1 < s->o->length ? i + 1 : s->o->length;
        mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
        mn_tensor *last = mn_from(t, MN_I64, 2, (int64_t[]){1, seen}, symbols + i + 1 - seen);
        mn_tensor *logits = language_logits(s->net, t, last, &s->single);
        logits = mn_select(t, mn_select(t, logits, 0, 0), 0, seen - 1);
        if (i + 1 >= n_prompt && i + 1 < n) symbols[i + 1] = draw(s, logits);
        memory_keep(&s->single, t);
        mn_scope_end(t, scope, NULL, 0);
        mn_tape_reset(t);
    }
    printf("\n\n");
}

/* The prompt as symbols, with room for what follows; NULL after a line on stderr. */
static int64_t *read_prompt(const options *o, const text *x)
{
    size_t length = strlen(o->prompt);
    int64_t *symbols = calloc(length + (size_t)o->sample, sizeof *symbols);
    if (!symbols) fprintf(stderr, "charlm: out of memory\n");
    for (size_t i = 0; symbols && i < length; i++) {
        const unsigned char *place =
            memchr(x->characters, (unsigned char)o->prompt[i], (size_t)x->kinds);
        if (place) {
            symbols[i] = place - x->characters;
            continue;
        }
        fprintf(stderr, "charlm: --prompt: '%c' is not in the text\n", o->prompt[i]);
        free(symbols);
        symbols = NULL;
    }
    return symbols;
}

/* ---- the program ---- */

static bool prepare(trainer *s)
{
    const options *o = s->o;
    int64_t total;
    s->stream = (s->text.learned - 1) / o->batch_size;
    s->steps = s->stream / o->length;
    total = s->steps * o->epochs;
    if (!s->steps) {
        fprintf(stderr,
                "charlm: --batch-size %" PRId64 " parts of --length %" PRId64
                " are more than the text's %" PRId64 " characters\n",
                o->batch_size, o->length, s->text.learned);
        return false;
    }
    size_t part = (size_t)(o->batch_size * o->length) * sizeof *s->in;
    s->in = malloc(part);
    s->next = malloc(part);
    s->net = language_model((language_kind)o->model, s->text.kinds, &o->shape, o->seed);
    s->adamw = mn_optim_adamw(s->net, o->lr, 0.9, 0.999, 0.01, NULL);
    s->schedule = mn_scheduler_one_cycle_lr(
        s->adamw, o->lr, total,
        &(mn_scheduler_one_cycle_lr_opts){.pct_start = 0.1, .keep_momentum = true});
    s->t = mn_tape_new(&(mn_tape_opts){.threads = o->threads});
    s->rng = mn_rng_make(o->seed, mn_rng_stream("charlm"));
    s->out = terminal_begin(o->quiet);
    if (memory_init(&s->memory, (language_kind)o->model, &o->shape, o->batch_size) &&
        memory_init(&s->single, (language_kind)o->model, &o->shape, 1) && s->schedule && s->t &&
        s->in && s->next)
        return true;
    fprintf(stderr, "charlm: %s\n", s->in && s->next ? mn_last_message() : "out of memory");
    return false;
}

static int run(trainer *s)
{
    int64_t *symbols = read_prompt(s->o, &s->text);
    if (!symbols) return 2;
    int status = 1;
    if (prepare(s)) {
        if (!s->o->quiet) print_setup(s);
        train(s);
        double bits = test(s);
        fputs(terminal_clear(&s->out), stdout);
        if (!s->o->quiet) putchar('\n');
        if (!s->o->quiet && !mn_tape_error(s->t))
            write_text(s, symbols, (int64_t)strlen(s->o->prompt));
        if (mn_tape_error(s->t)) {
            fflush(stdout);
            fprintf(stderr, "charlm: %s\n", mn_tape_message(s->t));
        } else {
            printf("test bits %.3f per character\n", bits);
            status = interrupted() ? 130 : 0;
        }
    }
    free(symbols);
    return status;
}

int main(int argc, char **argv)
{
    options o;
    trainer s = {.o = &o};
    int status;
    if (!parse(&o, argc, argv, &status)) return status;
    catch_interrupt();
    status = text_load(&s.text, "charlm", o.text) ? run(&s) : 1;
    memory_free(&s.single);
    memory_free(&s.memory);
    mn_tape_free(s.t);
    mn_scheduler_free(s.schedule);
    mn_optim_free(s.adamw);
    mn_module_free(s.net);
    free(s.next);
    free(s.in);
    text_free(&s.text);
    return end_program("charlm", status);
}
