/*
 * pendulum.c: a pendulum learns to swing up and to stand, by policy gradient. Its motor is too weak to
 * lift it at once, so it must swing back and forth first, and nobody tells it so: it sees only what each
 * moment costs. The physics and the cost are Gymnasium's Pendulum-v1; the method is REINFORCE with a
 * baseline (Williams, "Simple statistical gradient-following algorithms", 1992).
 *
 * rollout() lets a crowd of pendulums swing, learn() draws the conclusions. Test returns for seeds 1 to
 * 12: -145 to -179, where untrained nets have about -1260.
 */
#include "arguments.h"
#include "plot.h"
#include "terminal.h"
#include <inttypes.h>
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the pendulum: a rod of 1 m and 1 kg, g = 10 m/s^2 ---- */

enum { STEPS = 200 }; /* of an episode, 0.05 s each */

static const double max_torque = 2, max_speed = 8, seconds = 0.05, solved = -200;

typedef struct pendulum {
    double angle; /* 0: upright */
    double speed; /* of the angle, each second */
} pendulum;

static double between(double low, double x, double high)
{
    return x < low ? low : x > high ? high : x;
}

static const double pi = 3.14159265358979323846;

/* One step under a torque, as strong as the motor can. The reward is the negative cost of where it
 * was: at most 0, upright and at rest. */
static double swing(pendulum *p, double torque)
{
    double u = between(-max_torque, torque, max_torque), angle = remainder(p->angle, 2 * pi);
    double cost = angle * angle + 0.1 * p->speed * p->speed + 0.001 * u * u;
    double speed = p->speed + (15 * sin(p->angle) + 3 * u) * seconds;
    p->speed = between(-max_speed, speed, max_speed);
    p->angle += p->speed * seconds;
    return -cost;
}

/* ---- pendulums that swing side by side, and what is remembered of them ---- */

enum { SEEN = 4 }; /* cosine, sine, speed; and how much of the episode is over, for the baseline */

typedef struct crowd {
    int64_t n;
    pendulum *pendulums;
    mn_tensor *seen;   /* [STEPS, n, SEEN] */
    mn_tensor *action; /* [STEPS, n, 1]: torques in units of max_torque */
    mn_tensor *gain;   /* [STEPS, n, 1]: of a step's reward and the later ones */
    mn_tensor *noise;  /* [STEPS, n, 1] */
    mn_tensor *moment; /* [n, SEEN - 1]: what the policy sees at one step */
    mn_rng rng;        /* of starts and noise */
} crowd;

/* False without memory; crowd_free takes both outcomes. */
static bool crowd_init(crowd *c, int64_t n, uint64_t seed, const char *stream)
{
    const int64_t actions[] = {STEPS, n, 1};
    *c = (crowd){.n = n,
                 .pendulums = calloc((size_t)n, sizeof *c->pendulums),
                 .seen = mn_tensor_zeros(MN_F32, 3, (int64_t[]){STEPS, n, SEEN}),
                 .action = mn_tensor_zeros(MN_F32, 3, actions),
                 .gain = mn_tensor_zeros(MN_F32, 3, actions),
                 .noise = mn_tensor_zeros(MN_F32, 3, actions),
                 .moment = mn_tensor_zeros(MN_F32, 2, (int64_t[]){n, SEEN - 1}),
                 .rng = mn_rng_make(seed, mn_rng_stream(stream))};
    return c->pendulums && c->seen && c->action && c->gain && c->noise && c->moment;
}

static void crowd_free(crowd *c)
{
    free(c->pendulums);
    mn_release(c->seen);
    mn_release(c->action);
    mn_release(c->gain);
    mn_release(c->noise);
    mn_release(c->moment);
}

/* Any angle, little speed. */
static void crowd_start(crowd *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        double angle = mn_rng_uniform(&c->rng), speed = mn_rng_uniform(&c->rng);
        c->pendulums[i] = (pendulum){pi * (2 * angle - 1), 2 * speed - 1};
    }
}

/* Writes down what is to be seen at step k, and gives it to the policy. */
static void look(crowd *c, int64_t k)
{
    float *seen = (float *)mn_tensor_mutable_data(c->seen) + k * c->n * SEEN;
    float *moment = mn_tensor_mutable_data(c->moment);
    for (int64_t i = 0; i < c->n; i++, seen += SEEN, moment += SEEN - 1) {
        const pendulum *p = &c->pendulums[i];
        seen[0] = moment[0] = (float)cos(p->angle);
        seen[1] = moment[1] = (float)sin(p->angle);
        seen[2] = moment[2] = (float)(p->speed / 4);
        seen[3] = (float)k / STEPS;
    }
}

/* ---- the learner ---- */

typedef struct learner {
    mn_module *nets;              /* of these two */
    mn_module *policy, *baseline; /* borrowed: what to do; the gain to be expected */
    mn_tensor *spread;            /* [1], logarithm of the standard deviation of actions */
    mn_optim *adam;
    mn_tape *t;
    crowd practice, test, single;
} learner;

static mn_module *net(int64_t inputs)
{
    return mn_nn_sequential(mn_nn_linear(inputs, 64, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(64, 64, NULL), mn_nn_relu(NULL),
                            mn_nn_linear(64, 1, NULL));
}

/* An episode of every pendulum from where it stands: by the policy's mean action when `spread` is 0.
 * Returns the mean sum of rewards. */
static double rollout(learner *l, crowd *c, double spread)
{
    float *action = mn_tensor_mutable_data(c->action), *gain = mn_tensor_mutable_data(c->gain);
    const float *noise = mn_tensor_data(c->noise);
    double sum = 0;
    mn_tensor_normal(c->noise, 0, spread, &c->rng);
    for (int64_t k = 0; k < STEPS; k++) {
        look(c, k);
        mn_scope scope = mn_scope_begin(l->t, MN_NO_GRAD);
        const float *mean = mn_tensor_data(mn_module_forward(l->policy, l->t, c->moment));
        for (int64_t i = 0; mean && i < c->n; i++, action++, gain++, noise++) {
            *action = mean[i] + *noise;
            double reward = swing(&c->pendulums[i], (double)*action * max_torque);
            *gain = (float)reward;
            sum += reward;
        }
        mn_scope_end(l->t, scope, NULL, 0);
        mn_tape_reset(l->t);
    }
    return sum / (double)c->n;
}

/* Turns rewards into gains: later rewards count less, by 5 % each step. */
static void look_ahead(crowd *c)
{
    float *gain = mn_tensor_mutable_data(c->gain);
    for (int64_t i = (STEPS - 1) * c->n - 1; i >= 0; i--) gain[i] += 0.95F * gain[i + c->n];
}

/* One step along the gradient of the mean over all actions of
 *     advantage * log density of the action, advantage = gain - baseline, standardised;
 * and the baseline one step towards the gains. */
static void learn(learner *l)
{
    mn_tape *t = l->t;
    crowd *c = &l->practice;
    mn_tensor *gain = mn_mul_scalar(t, c->gain, 0.1); /* of moderate size */
    mn_tensor *expected = mn_module_forward(l->baseline, t, c->seen);
    mn_tensor *better = mn_sub(t, gain, mn_detach(t, expected));
    mn_tensor *advantage = mn_div(t, mn_sub(t, better, mn_mean(t, better)), mn_std(t, better, 1));

    mn_tensor *view = mn_narrow(t, c->seen, 2, 0, SEEN - 1);
    mn_tensor *off = mn_sub(t, c->action, mn_module_forward(l->policy, t, view));
    mn_tensor *z = mn_mul(t, off, mn_exp(t, mn_neg(t, l->spread)));
    mn_tensor *surprise = mn_add(t, mn_mul_scalar(t, mn_square(t, z), 0.5), l->spread);
    mn_tensor *loss =
        mn_add(t, mn_mean(t, mn_mul(t, advantage, surprise)), mn_mse_loss(t, expected, gain, NULL));
    mn_optim_zero_grad(l->adam);
    mn_backward(t, loss);
    mn_optim_step(l->adam, t);
    if (loss && !isfinite(mn_tensor_item(loss)))
        mn_tape_fail(t, MN_ERR_STATE, "the loss is %g: a smaller --lr may help",
                     mn_tensor_item(loss));
    mn_tape_reset(t);
}

/* ---- the program ---- */

typedef struct options {
    int iterations;
    int64_t episodes;
    double lr;
    uint64_t seed;
    int threads;
    const char *plot; /* NULL: none */
    bool quiet;
} options;

static const char help[] =
    "usage: pendulum [OPTIONS]\n"
    "\n"
    "Teaches a pendulum to swing up and stand, by REINFORCE. The return of an episode is the sum "
    "of\n"
    "its rewards; -200 on average over 100 test episodes counts as solved.\n"
    "\n"
    "  --iterations N  episodes are played, and learned from, N times (400)\n"
    "  --episodes N    in each iteration, side by side (64)\n"
    "  --lr X          learning rate of the first iteration; it falls linearly to 0 (0.005)\n"
    "  --seed N        of the weights, the starts and the actions (1)\n"
    "  --threads N     threads that share the work (one for each processor, at most 4);\n"
    "                  the results are the same for every number\n"
    "  --plot FILE     draw the learning curve with gnuplot, as FILE.svg or FILE.png\n"
    "  --quiet         print the last line only\n"
    "  --help          print this and end\n"
    "\n"
    "Ctrl-C ends the learning after the current iteration.\n"
    "Exit status: 0 done, 1 failure, 2 wrong usage, 130 ended by Ctrl-C.\n";

static bool parse(options *o, int argc, char **argv, int *status)
{
    *o = (options){
        .iterations = 400, .episodes = 64, .lr = 0.005, .seed = 1, .threads = arguments_threads()};
    const argument table[] = {
        {"iterations", ARG_INT, .value = &o->iterations, .low = 1, .high = 1000000},
        {"episodes", ARG_INT64, .value = &o->episodes, .low = 1, .high = 100000},
        {"lr", ARG_NUMBER, .value = &o->lr, .low = 1e-12, .high = 1e6},
        {"seed", ARG_SEED, .value = &o->seed},
        {"threads", ARG_INT, .value = &o->threads, .low = 1, .high = 256},
        {"plot", ARG_PICTURE, .value = &o->plot},
        {"quiet", ARG_FLAG, .value = &o->quiet},
    };
    return arguments_parse("pendulum", help, table, sizeof table / sizeof *table, argc, argv,
                           status);
}

/* What was reached when, at most 22 times. */
typedef struct point {
    int iteration;
    double practice, test;
} point;

typedef struct curve {
    int n;
    point points[22];
} curve;

static bool curve_plot(const curve *c, const options *o)
{
    FILE *gnuplot = plot_begin(o->plot, 760, 480);
    if (gnuplot) {
        fputs("$curve << EOD\n", gnuplot);
        for (const point *p = c->points; p < c->points + c->n; p++)
            fprintf(gnuplot, "%d %g %g\n", p->iteration, p->practice, p->test);
        fprintf(gnuplot,
                "EOD\n"
                "set title 'pendulum, seed %" PRIu64 "'\n"
                "set key bottom right\n"
                "set xlabel 'iterations of %" PRId64 " episodes'\n"
                "set ylabel 'return'\n"
                "plot $curve using 1:2 with linespoints lc rgb '#1f77b4' lw 2 pt 7 ps 0.6"
                " title 'practice', '' using 1:3 with linespoints lc rgb '#d62728' lw 2 pt 7 ps 0.6"
                " title 'test', %g lc rgb '#888888' dt 2 title 'solved'\n",
                o->seed, o->episodes, solved);
    }
    return plot_end("pendulum", o->plot, gnuplot);
}

static double test(learner *l)
{
    l->test.rng.offset = 0; /* the same starts every time */
    crowd_start(&l->test);
    return rollout(l, &l->test, 0);
}

static void print_point(const terminal *out, const point *p)
{
    printf("%siteration %5d  practice %7.1f  test %s%7.1f%s  ", terminal_clear(out), p->iteration,
           p->practice, bold(out), p->test, plain(out));
    for (int k = 0; k < 32 + p->test / 50; k++) fputs("▪", stdout);
    putchar('\n');
    fflush(stdout);
}

/* Until Ctrl-C or an error, which is in the tape. */
static void train(learner *l, const options *o, terminal *out, curve *c)
{
    point p = {0};
    for (int every = (o->iterations + 19) / 20; !interrupted() && !mn_tape_error(l->t);) {
        if (p.iteration % every == 0 || p.iteration == o->iterations) {
            p.test = test(l);
            if (p.iteration == 0) p.practice = p.test;
            c->points[c->n++] = p;
            if (!o->quiet) print_point(out, &p);
        }
        if (p.iteration == o->iterations) return;

        mn_optim_set_lr(l->adam, 0, o->lr * (1 - (double)p.iteration / o->iterations));
        crowd_start(&l->practice);
        p.practice = rollout(l, &l->practice, exp(mn_tensor_item(l->spread)));
        look_ahead(&l->practice);
        learn(l);
        p.iteration++;

        char head[64], tail[64];
        double done = (double)p.iteration / o->iterations;
        snprintf(head, sizeof head, "iteration %d/%d", p.iteration, o->iterations);
        snprintf(tail, sizeof tail, "return %.1f", p.practice);
        terminal_bar(out, head, tail, done, done);
    }
}

/* Where the rod points, every fifth of a second, from hanging at rest. */
static void show_swing(learner *l)
{
    static const char *const arrows[] = {"↑", "↗", "→", "↘", "↓", "↙", "←", "↖"};
    l->single.pendulums[0] = (pendulum){pi, 0};
    rollout(l, &l->single, 0);
    printf("\nfrom hanging: ");
    for (int64_t k = 0; k < STEPS; k += 4) {
        double x = mn_tensor_get(l->single.seen, (int64_t[]){k, 0, 1});
        double y = mn_tensor_get(l->single.seen, (int64_t[]){k, 0, 0});
        fputs(arrows[lround(atan2(x, y) / (pi / 4) + 8) % 8], stdout);
    }
    printf("\n\n");
}

static bool learner_init(learner *l, const options *o)
{
    *l = (learner){.nets = mn_nn_module_list(net(SEEN - 1), net(SEEN)),
                   .spread = mn_parameter(MN_F32, 1, (int64_t[]){1}),
                   .t = mn_tape_new(&(mn_tape_opts){.threads = o->threads})};
    mn_module_init(l->nets, o->seed);
    mn_tensor_fill(l->spread, 0.3);
    l->policy = mn_module_child_at(l->nets, 0);
    l->baseline = mn_module_child_at(l->nets, 1);
    l->adam = mn_optim_adam(l->nets, o->lr, 0.9, 0.999, NULL);
    bool ok = mn_optim_add_tensors(l->adam, &l->spread, 1) == 1 && l->t;
    ok = crowd_init(&l->practice, o->episodes, o->seed, "practice") && ok;
    ok = crowd_init(&l->test, 100, o->seed, "test") && ok;
    ok = crowd_init(&l->single, 1, o->seed, "single") && ok;
    if (!ok) fprintf(stderr, "pendulum: %s\n", mn_last_message());
    return ok;
}

static void learner_free(learner *l)
{
    crowd_free(&l->single);
    crowd_free(&l->test);
    crowd_free(&l->practice);
    mn_tape_free(l->t);
    mn_optim_free(l->adam);
    mn_release(l->spread);
    mn_module_free(l->nets);
}

static int run(learner *l, const options *o)
{
    terminal out = terminal_begin(o->quiet);
    curve c = {0};
    int status = 0;
    if (!o->quiet)
        printf("%" PRId64 " episodes of %d steps in each iteration; learning rate %g falling to 0\n"
               "%" PRId64 " parameters, seed %" PRIu64 ", %d thread%s, minnow %s\n\n",
               o->episodes, STEPS, o->lr, mn_module_numel(l->nets) + 1, o->seed, o->threads,
               o->threads == 1 ? "" : "s", MN_VERSION);
    train(l, o, &out, &c);
    double result = test(l);
    if (!o->quiet) fputs(terminal_clear(&out), stdout);
    if (!o->quiet) show_swing(l);
    if (mn_tape_error(l->t)) {
        fflush(stdout);
        fprintf(stderr, "pendulum: %s\n", mn_tape_message(l->t));
        return 1;
    }
    if (o->plot && !curve_plot(&c, o)) status = 1;
    printf("test return %.1f (%s)\n", result, result >= solved ? "solved" : "not solved");
    return interrupted() ? 130 : status;
}

int main(int argc, char **argv)
{
    options o;
    learner l;
    int status;
    if (!parse(&o, argc, argv, &status)) return status;
    if (o.plot && !plot_possible("pendulum", o.plot)) return 1;
    catch_interrupt();
    status = learner_init(&l, &o) ? run(&l, &o) : 1;
    learner_free(&l);
    return end_program("pendulum", status);
}
