/*
 * rrelu.c: the RReLU layer's page as a program. It runs the layer on two random numbers, as PyTorch's
 * page does, shows the slopes that it drew and that they are the gradient, and sets training beside
 * eval. With a file name it draws the function as well.
 */
#include "plot.h"
#include <math.h>
#include <minnow/minnow.h>
#include <stdio.h>
#include <string.h>

static const double lower = 0.1, upper = 0.3;

static void print_row(const char *name, const mn_tensor *x)
{
    char text[128];
    mn_tensor_format(x, text, sizeof text);
    printf("  %-10s%s\n", name, text);
}

static bool equal(const mn_tensor *a, const mn_tensor *b)
{
    for (int64_t i = 0; i < mn_tensor_numel(a); i++)
        if (mn_tensor_get(a, &i) != mn_tensor_get(b, &i)) return false;
    return mn_tensor_same_shape(a, b);
}

/* Two numbers of the normal distribution (Box and Muller, 1958), that ask for a gradient. */
static mn_tensor *randn2(mn_rng *rng)
{
    double radius = sqrt(-2 * log(1 - mn_rng_uniform(rng)));
    double angle = 2 * acos(-1) * mn_rng_uniform(rng);
    float pair[2] = {(float)(radius * cos(angle)), (float)(radius * sin(angle))};
    mn_tensor *x = mn_tensor_from(MN_F32, 1, (int64_t[]){2}, pair);
    mn_tensor_set_requires_grad(x, true);
    return x;
}

/* One forward and backward pass, printed; false when the gradient is not the slopes. */
static bool show(mn_tape *t, mn_module *m, mn_tensor *x)
{
    mn_tensor_zero_grad(x);
    mn_tensor *y = mn_module_forward(m, t, x);
    mn_tensor *slopes = mn_clone(t, mn_rrelu_slopes(t, y)); /* the backward pass frees them */
    mn_backward(t, mn_sum(t, y));
    if (mn_tape_error(t)) return false;
    printf("%s\n", mn_module_training(m) ? "training" : "eval");
    print_row("input", x);
    print_row("slopes", slopes);
    print_row("output", y);
    print_row("gradient", mn_tensor_grad(x));
    bool same = equal(slopes, mn_tensor_grad(x));
    mn_tape_reset(t);
    return same;
}

static bool explain(mn_tape *t, mn_module *m, mn_tensor *x)
{
    printf("RReLU(x) = x for x > 0, else slope * x\n"
           "  training  every element draws its slope from [%g, %g)\n"
           "  eval      slope = (%g + %g) / 2 = %g\n\n"
           "PyTorch                        minnow\n"
           "  m = nn.RReLU(%g, %g)         mn_module *m = mn_nn_rrelu(%g, %g, NULL);\n"
           "  output = m(torch.randn(2))     output = mn_module_forward(m, t, input);\n\n",
           lower, upper, lower, upper, (lower + upper) / 2, lower, upper, lower, upper);
    bool same = show(t, m, x);
    same = show(t, m, x) && same;
    mn_module_eval(m);
    same = show(t, m, x) && same;
    if (!mn_tape_error(t))
        printf("\nthe gradient %s the slopes that the forward pass used\n", same ? "is" : "IS NOT");
    return same;
}

/* 2000 points of x in [-3, 0): the layer's outputs in training and in eval, and what bounds
 * them. */
static bool draw(mn_tape *t, mn_module *m, mn_rng *rng, const char *file)
{
    mn_scope scope = mn_scope_begin(t, MN_NO_GRAD);
    mn_tensor *u = mn_rand(t, MN_F32, 1, (int64_t[]){2000}, rng);
    mn_tensor *x = mn_mul_scalar(t, u, -3);
    mn_module_train(m);
    mn_tensor *y = mn_module_forward(m, t, x);
    FILE *gnuplot = y ? plot_begin(file, 760, 520) : NULL;
    if (gnuplot) {
        const float *xs = mn_tensor_data(x), *ys = mn_tensor_data(y);
        fputs("$cloud << EOD\n", gnuplot);
        for (int i = 0; i < 2000; i++) fprintf(gnuplot, "%g %g\n", (double)xs[i], (double)ys[i]);
        fprintf(gnuplot,
                "EOD\n"
                "set title 'RReLU(%g, %g)'\n"
                "set key top left Left reverse\n"
                "set xlabel 'x'\n"
                "set ylabel 'y' rotate by 0\n"
                "set xrange [-3:1.5]\n"
                "set yrange [-1:1.5]\n"
                "set samples 601\n"
                "plot $cloud with points pt 7 ps 0.25 lc rgb '#1f77b4'"
                " title 'training: slope drawn from [%g, %g)',"
                " x < 0 ? %g * x : NaN lc rgb '#888888' dt 2 notitle,"
                " x < 0 ? %g * x : NaN lc rgb '#888888' dt 2 notitle,"
                " x < 0 ? %g * x : x lc rgb '#d62728' lw 2.5 title 'eval: slope %g'\n",
                lower, upper, lower, upper, lower, upper, (lower + upper) / 2, (lower + upper) / 2);
    }
    mn_scope_end(t, scope, NULL, 0);
    if (mn_tape_error(t)) return false;
    return plot_end("rrelu", file, gnuplot);
}

int main(int argc, char **argv)
{
    const char *file = argc > 1 ? argv[1] : NULL;
    if (argc > 2 || (file && *file == '-')) {
        bool help = argc == 2 && (!strcmp(file, "--help") || !strcmp(file, "-h"));
        fprintf(help ? stdout : stderr, "usage: rrelu [FILE.svg | FILE.png]\n");
        return help ? 0 : 2;
    }
    if (file && !plot_name_fits("rrelu", file)) return 2;
    if (file && !plot_possible("rrelu", file)) return 1;

    mn_rng rng = mn_rng_make(1, 0);
    mn_tensor *x = randn2(&rng);
    mn_module *m = mn_nn_rrelu(lower, upper, NULL);
    mn_module_init(m, 1);
    mn_tape *t = mn_tape_new(NULL);

    bool ok = explain(t, m, x) && (!file || draw(t, m, &rng, file));
    if (ok && file) printf("picture in %s\n", file);
    if (mn_tape_error(t)) fprintf(stderr, "rrelu: %s\n", mn_tape_message(t));
    mn_tape_free(t);
    mn_module_free(m);
    mn_release(x);
    return ok ? 0 : 1;
}
