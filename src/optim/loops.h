/*
 * optim/loops.h: the arithmetic of every optimizer on single elements. loops_isa.c includes this text
 * twice: T is float, then double, and LOOP(name) a name for it.
 *
 * p: parameter, g: its gradient (negated by maximize, weight decay added), c: the numbers that the
 * optimizer's `begin` computed. Where p is multiplied by `keep`, that is 1 - lr weight_decay of a
 * decoupled decay, or 1.
 */

#define P T *restrict p = u->p
#define G const T *restrict g = u->g
#define STATE(name, k) T *restrict name = u->state[k]
#define EACH for (int64_t i = 0; i < u->n; i++)

static void LOOP(sgd)(const mni_update *u)
{
    P;
    G;
    STATE(b, 0);
    const T lr = (T)u->c[0], momentum = (T)u->c[1], fresh = (T)u->c[2];
    const bool nesterov = u->c[3] != 0;
    if (!b) {
        EACH p[i] -= lr * g[i];
        return;
    }
    if (nesterov) {
        EACH
        {
            b[i] = momentum * b[i] + fresh * g[i];
            p[i] -= lr * (g[i] + momentum * b[i]);
        }
        return;
    }
    EACH
    {
        b[i] = momentum * b[i] + fresh * g[i];
        p[i] -= lr * b[i];
    }
}

/* Of a gradient that is c[4] times g. */
static void LOOP(outer)(const mni_update *u)
{
    P;
    G;
    const T lr = (T)u->c[0], factor = (T)u->c[4];
    EACH p[i] -= lr * (factor * g[i]);
}

/* *work, a bool, <- whether all of g is. */
static void LOOP(finite)(const mni_update *u)
{
    G;
    int odd = 0;
    EACH odd |= g[i] - g[i] != 0;
    *(bool *)u->work = !odd;
}

/* m, v: running means of g and g^2, with the factors c[0] and c[1]; their next values for element i. (In the
 * loop that uses them: one of their own takes half as long again.) */
#define MEANS                                                                                      \
    STATE(m, 0);                                                                                   \
    STATE(v, 1);                                                                                   \
    const T beta1 = (T)u->c[0], beta2 = (T)u->c[1];                                                \
    const T one_less1 = (T)(1 - u->c[0]), one_less2 = (T)(1 - u->c[1])
#define NEXT_MEANS                                                                                 \
    m[i] = beta1 * m[i] + one_less1 * g[i];                                                        \
    v[i] = beta2 * v[i] + one_less2 * g[i] * g[i];

static void LOOP(adam)(const mni_update *u)
{
    P;
    G;
    MEANS;
    STATE(most, 2);
    const T scale = (T)u->c[2], eps = (T)u->c[3], rate = (T)u->c[4], keep = (T)u->c[5];
    if (!most) {
        EACH
        {
            NEXT_MEANS
            p[i] = keep * p[i] - rate * (m[i] / (sqrt(v[i]) * scale + eps));
        }
        return;
    }
    EACH /* amsgrad */
    {
        NEXT_MEANS
        most[i] = most[i] > v[i] ? most[i] : v[i];
        p[i] = keep * p[i] - rate * (m[i] / (sqrt(most[i]) * scale + eps));
    }
}

static void LOOP(adamax)(const mni_update *u)
{
    P;
    G;
    STATE(m, 0);
    STATE(most, 1);
    const T beta1 = (T)u->c[0], one_less1 = (T)(1 - u->c[0]), beta2 = (T)u->c[1];
    const T eps = (T)u->c[2], rate = (T)u->c[3];
    EACH
    {
        const T size = fabs(g[i]) + eps, old = beta2 * most[i];
        m[i] = beta1 * m[i] + one_less1 * g[i];
        most[i] = old > size ? old : size;
        p[i] -= rate * (m[i] / most[i]);
    }
}

static void LOOP(nadam)(const mni_update *u)
{
    P;
    G;
    MEANS;
    const T scale = (T)u->c[2], eps = (T)u->c[3], of_g = (T)u->c[4], of_m = (T)u->c[5];
    const T keep = (T)u->c[6];
    EACH
    {
        NEXT_MEANS
        p[i] = keep * p[i] - (of_g * g[i] + of_m * m[i]) / (sqrt(v[i]) * scale + eps);
    }
}

static void LOOP(radam)(const mni_update *u)
{
    P;
    G;
    MEANS;
    const T eps = (T)u->c[2], rate = (T)u->c[3], keep = (T)u->c[4];
    if (u->c[5] != 0) { /* rectified */
        EACH
        {
            NEXT_MEANS
            p[i] = keep * p[i] - rate * (m[i] / (sqrt(v[i]) + eps));
        }
        return;
    }
    EACH
    {
        NEXT_MEANS
        p[i] = keep * p[i] - rate * m[i];
    }
}

static void LOOP(adagrad)(const mni_update *u)
{
    P;
    G;
    STATE(sum, 0);
    const T rate = (T)u->c[0], eps = (T)u->c[1], start = (T)u->c[2];
    EACH
    {
        sum[i] += start + g[i] * g[i];
        p[i] -= rate * (g[i] / (sqrt(sum[i]) + eps));
    }
}

static void LOOP(adadelta)(const mni_update *u)
{
    P;
    G;
    STATE(square, 0);
    STATE(delta, 1);
    const T lr = (T)u->c[0], rho = (T)u->c[1], one_less = (T)(1 - u->c[1]), eps = (T)u->c[2];
    EACH
    {
        square[i] = rho * square[i] + one_less * g[i] * g[i];
        const T d = sqrt(delta[i] + eps) / sqrt(square[i] + eps) * g[i];
        delta[i] = rho * delta[i] + one_less * d * d;
        p[i] -= lr * d;
    }
}

static void LOOP(rmsprop)(const mni_update *u)
{
    P;
    G;
    STATE(square, 0);
    STATE(mean, 1);
    STATE(b, 2);
    T step[MNI_BLOCK];
    const T lr = (T)u->c[0], alpha = (T)u->c[1], one_less = (T)(1 - u->c[1]), eps = (T)u->c[2];
    const T momentum = (T)u->c[3];
    EACH square[i] = alpha * square[i] + one_less * g[i] * g[i];
    if (mean) {
        EACH
        {
            mean[i] = alpha * mean[i] + one_less * g[i];
            step[i] = g[i] / (sqrt(square[i] - mean[i] * mean[i]) + eps);
        }
    } else {
        EACH step[i] = g[i] / (sqrt(square[i]) + eps);
    }
    if (b) {
        EACH step[i] = b[i] = momentum * b[i] + step[i];
    }
    EACH p[i] -= lr * step[i];
}

static void LOOP(rprop)(const mni_update *u)
{
    P;
    G;
    STATE(before, 0);
    STATE(size, 1);
    const T minus = (T)u->c[0], plus = (T)u->c[1], least = (T)u->c[2], most = (T)u->c[3];
    const T start = (T)u->c[4];
    EACH
    {
        const T turn = g[i] * before[i]; /* below 0 where the last step went too far */
        T s = (start + size[i]) * (turn > 0 ? plus : turn < 0 ? minus : 1);
        s = s < least ? least : s;
        size[i] = s > most ? most : s;
        before[i] = turn < 0 ? 0 : g[i];
        p[i] -= before[i] > 0 ? size[i] : before[i] < 0 ? -size[i] : before[i]; /* 0, NaN */
    }
}

static void LOOP(asgd)(const mni_update *u)
{
    P;
    G;
    STATE(mean, 0);
    const T keep = (T)u->c[0], eta = (T)u->c[1], mu = (T)u->c[2];
    EACH p[i] = keep * p[i] - eta * g[i];
    if (u->c[2] == 1) {
        EACH mean[i] = p[i];
    } else {
        EACH mean[i] += mu * (p[i] - mean[i]);
    }
}

static void LOOP(lion)(const mni_update *u)
{
    P;
    G;
    STATE(m, 0);
    const T beta1 = (T)u->c[0], one_less1 = (T)(1 - u->c[0]);
    const T beta2 = (T)u->c[1], one_less2 = (T)(1 - u->c[1]);
    const T lr = (T)u->c[2], keep = (T)u->c[3];
    EACH
    {
        const T way = beta1 * m[i] + one_less1 * g[i];
        p[i] = keep * p[i] - lr * (way > 0 ? 1 : way < 0 ? -1 : way); /* 0, NaN */
        m[i] = beta2 * m[i] + one_less2 * g[i];
    }
}

/* work <- what Muon makes orthogonal */
static void LOOP(muon)(const mni_update *u)
{
    G;
    STATE(b, 0);
    T *restrict way = u->work;
    const T momentum = (T)u->c[0], one_less = (T)(1 - u->c[0]);
    EACH b[i] = momentum * b[i] + one_less * g[i];
    if (u->c[1] != 0) { /* nesterov */
        EACH way[i] = momentum * b[i] + one_less * g[i];
    } else {
        EACH way[i] = b[i];
    }
}

/* Adafactor: work <- g / sqrt(variance), of a vector */
static void LOOP(vector)(const mni_update *u)
{
    G;
    STATE(v, 2);
    T *restrict way = u->work;
    const T share = (T)u->c[0], old = (T)(1 - u->c[0]), least = (T)u->c[1];
    EACH
    {
        v[i] = old * v[i] + share * g[i] * g[i];
        way[i] = g[i] / sqrt(v[i] < least ? least : v[i]);
    }
}

/* the same of a row of a matrix whose variance is c[0] times that of the columns */
static void LOOP(row)(const mni_update *u)
{
    G;
    const T *restrict columns = u->state[1];
    T *restrict way = u->work;
    const T scale = (T)u->c[0], least = (T)u->c[1];
    EACH
    {
        const T v = scale * columns[i];
        way[i] = g[i] / sqrt(v < least ? least : v);
    }
}

/* sums in f64 of a row's squares into state 0 */
static void LOOP(squares)(const mni_update *u)
{
    G;
    double *restrict sum = u->state[0];
    EACH sum[i] += (double)g[i] * (double)g[i];
}

#undef P
#undef G
#undef STATE
#undef EACH
#undef MEANS
#undef NEXT_MEANS
