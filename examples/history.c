/*
 * history.c: the CSV file, written as the epochs end, and the curves of loss and accuracy.
 */
#include "history.h"
#include "plot.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool csv_written(const history *h)
{
    if (!fflush(h->csv) && !ferror(h->csv)) return true;
    fprintf(stderr, "mnist: cannot write '%s': %s\n", h->csv_name, strerror(errno));
    return false;
}

bool history_open(history *h, int capacity, const char *csv)
{
    *h = (history){.csv_name = csv, .epochs = calloc((size_t)capacity, sizeof *h->epochs)};
    if (!h->epochs) {
        fprintf(stderr, "mnist: out of memory for %d epochs\n", capacity);
        return false;
    }
    if (!csv) return true;
    if (!(h->csv = fopen(csv, "w"))) {
        fprintf(stderr, "mnist: cannot write '%s': %s\n", csv, strerror(errno));
        return false;
    }
    fputs("epoch,train_loss,train_accuracy,test_loss,test_accuracy,seconds,lr\n", h->csv);
    return csv_written(h);
}

bool history_add(history *h, epoch e)
{
    h->epochs[h->n++] = e;
    if (!h->csv) return true;
    fprintf(h->csv, "%d,%.6f,%.6f,%.6f,%.6f,%.3f,%.6g\n", h->n, e.train.loss, e.train.accuracy,
            e.test.loss, e.test.accuracy, e.seconds, e.lr);
    return csv_written(h);
}

bool history_plot(const history *h, const char *file, const char *title)
{
    FILE *gnuplot = plot_begin(file, 1000, 440);
    if (gnuplot) {
        fputs("$epochs << EOD\n", gnuplot);
        for (int i = 0; i < h->n; i++) {
            const epoch *e = &h->epochs[i];
            fprintf(gnuplot, "%d %.6g %.6g %.6g %.6g\n", i + 1, e->train.loss, e->test.loss,
                    100 * e->train.accuracy, 100 * e->test.accuracy);
        }
        fprintf(gnuplot,
                "EOD\n"
                "set multiplot layout 1,2 title '%s' noenhanced\n"
                "set xlabel 'epoch'\n"
                "set xrange [%g:%g]\n"
                "set xtics %d\n"
                "set style line 1 lc rgb '#1f77b4' lw 2 pt 7 ps 0.6\n"
                "set style line 2 lc rgb '#d62728' lw 2 pt 7 ps 0.6\n"
                "set ylabel 'loss'\n"
                "set yrange [0:*]\n"
                "plot $epochs using 1:2 with linespoints ls 1 title 'training',"
                " '' using 1:3 with linespoints ls 2 title 'test'\n"
                "set ylabel 'accuracy, %%'\n"
                "set yrange [*:100]\n"
                "set key bottom right\n"
                "plot $epochs using 1:4 with linespoints ls 1 title 'training',"
                " '' using 1:5 with linespoints ls 2 title 'test'\n"
                "unset multiplot\n",
                title, h->n > 1 ? 1 : 0.5, h->n > 1 ? (double)h->n : 1.5, 1 + (h->n - 1) / 10);
    }
    return plot_end("mnist", file, gnuplot);
}

void history_close(history *h)
{
    if (h->csv) fclose(h->csv);
    free(h->epochs);
}
