/*
 * optim/early_stop.c: knowing when to stop training.
 */
#include <math.h>
#include <minnow/optim.h>

bool mn_early_stop_update(mn_early_stop *e, double metric)
{
    if (!e) return false;
    const double better_by = e->maximize ? metric - e->best : e->best - metric;
    const bool first = e->seen == 0 || (isnan(e->best) && !isnan(metric));
    if (first || better_by > e->min_delta) {
        e->best = metric;
        e->best_at = e->seen;
        e->bad = 0;
    } else {
        e->bad++;
    }
    e->seen++;
    return e->bad > 0 && e->bad >= e->patience;
}
