#!/usr/bin/env python3
"""Random programs of 1 to 20 ops, run by minnow and by PyTorch from the same inputs and compared: values,
gradients, and for some second gradients.

    python tests/fuzz.py BUILD [--programs 10000] [--seed 1]    # BUILD: where ./run test built, build/release
    python tests/fuzz.py --record                               # writes the 200 that ./run test runs

Needs torch 2.13 and numpy. The PyTorch functions are those of the fixtures, so an op joins by having cases
there and a line in OPS, which says what arguments it can be given. A program is kept only where a small
change of its inputs changes its results little: what is left is decided by the ops, not by rounding.
"""
import argparse
import importlib
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

TESTS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS / "fixtures"))

import cases  # noqa: E402
from cases import F32, F64, LINES, NAMES, Rng, U, torch  # noqa: E402

MOST_ELEMENTS, MOST_DIMS, MOST_VALUE, MOST_INPUTS, MOST_STEPS = 48, 5, 100.0, 6, 20
LAYOUTS = [cases.row, cases.row, cases.transposed, cases.narrowed, cases.strided]


# ---- a program being made ----

class Impossible(Exception):
    """The op cannot be used here; another one is tried."""


class Program:
    """Inputs and steps; `tensors` has the values so far, in f64 or f32 as the program."""

    def __init__(self, name, dtype, random_source):
        self.name, self.dtype, self.random = name, dtype, random_source
        self.path = f"{name}.{NAMES[dtype]}"
        self.inputs, self.steps, self.tensors = [], [], []

    def input(self, shape):
        """The number of a new input. All are made before the first step."""
        spec = U(*shape, layout=self.random.choice(LAYOUTS))
        self.inputs.append(spec)
        self.tensors.append(self.draw(len(self.inputs) - 1))
        return len(self.inputs) - 1

    def draw(self, i, perturb=0.0):
        spec = self.inputs[i]
        values = spec.values(Rng(f"{self.path}/in{i}"), self.dtype)
        if perturb:
            noise = torch.rand(values.shape, dtype=F64, generator=torch.Generator().manual_seed(i)) * 2 - 1
            values = (values.to(F64) * (1 + perturb * noise) + perturb * noise).to(self.dtype)
        return cases.arrange(values, spec.layout).requires_grad_(spec.grad)

    def step(self, op, numbers, args=()):
        results = apply(op, [self.tensors[i] for i in numbers], args)
        for y in results:
            usable(y)
        self.steps.append((op, numbers, args, len(results)))
        self.tensors += results

    def unused_inputs(self):
        return set(range(len(self.inputs))).difference(*(numbers for _, numbers, _, _ in self.steps))

    def run(self, perturb=0.0):
        """Every tensor of the program, anew."""
        tensors = [self.draw(i, perturb) for i in range(len(self.inputs))]
        for op, numbers, args, _ in self.steps:
            tensors += apply(op, [tensors[i] for i in numbers], args)
        return tensors


def apply(op, tensors, args):
    results = cases.FUNCTIONS[op](*tensors, *args)
    return list(results) if isinstance(results, tuple) else [results]


def usable(y):
    if y.numel() > MOST_ELEMENTS or y.dim() > MOST_DIMS:
        raise Impossible
    if y.dtype.is_floating_point and y.numel() and not y.detach().abs().max() <= MOST_VALUE:
        raise Impossible


# ---- choosing operands and arguments ----

class Chooser:
    """What OPS are written with: each method gives the number of a tensor or an argument, at random."""

    def __init__(self, program):
        self.p, self.random = program, program.random

    def any(self, good=lambda x: True):
        """A tensor for which `good` holds; the later ones, and inputs not yet used, more often."""
        fitting = [i for i, x in enumerate(self.p.tensors) if good(x)]
        if not fitting:
            raise Impossible
        unused = self.p.unused_inputs().intersection(fitting)
        if unused and self.random.random() < 0.5:
            return self.random.choice(sorted(unused))
        return fitting[max(self.random.randrange(len(fitting)) for _ in range(2))]

    def of(self, i):
        return self.p.tensors[i]

    def float(self, dims=0, low=-math.inf, high=math.inf, away=0.0):
        """Of the program's dtype, at least `dims` dimensions, values in [low, high], none nearer to 0."""
        def good(x):
            if x.dtype != self.p.dtype or x.dim() < dims:
                return False
            v = x.detach()
            return not v.numel() or bool((v >= low).all() and (v <= high).all() and (v.abs() >= away).all())
        return self.any(good)

    def distinct(self, dims=0):
        """Floating, without elements that are close to each other."""
        def good(x):
            if x.dtype != self.p.dtype or x.dim() < dims or not x.numel():
                return False
            v = x.detach().flatten().sort().values
            return v.numel() < 2 or bool((v[1:] - v[:-1]).min() > 1e-3)
        return self.any(good)

    def typed(self, dtype, dims=0):
        return self.any(lambda x: x.dtype == dtype and x.dim() >= dims)

    def partner(self, i, **limits):
        """Another tensor of i's dtype that broadcasts with it."""
        x = self.of(i)

        def fits(y):
            return self.broadcasts(x.shape, y.shape)
        j = self.float(**limits) if x.dtype == self.p.dtype else self.typed(x.dtype)
        if not fits(self.of(j)):
            j = self.any(lambda y: y.dtype == x.dtype and fits(y))
            if limits and not self.within(j, **limits):
                raise Impossible
        return j

    def within(self, j, low=-math.inf, high=math.inf, away=0.0):
        v = self.of(j).detach()
        return bool((v >= low).all() and (v <= high).all() and (v.abs() >= away).all())

    def broadcasts(self, a, b):
        """Whether two shapes do."""
        return all(m == n or m == 1 or n == 1 for m, n in zip(reversed(a), reversed(b)))

    def like(self, i):
        """A tensor of i's dtype and shape."""
        x = self.of(i)
        return self.any(lambda y: y.dtype == x.dtype and y.shape == x.shape)

    def dim(self, i):
        n = self.of(i).dim()
        if n == 0:
            raise Impossible
        return self.random.randrange(-n, n)

    def dims(self, i):
        """One or more distinct dimensions."""
        n = self.of(i).dim()
        if n == 0:
            raise Impossible
        return tuple(self.random.sample(range(n), self.random.randint(1, n)))

    def size(self, i, dim):
        return self.of(i).shape[dim]

    def flag(self):
        return self.random.randrange(2)

    def int(self, low, high):
        return self.random.randint(low, high)

    def number(self, low=-2.0, high=2.0):
        return round(self.random.uniform(low, high), 3)

    def split(self, n):
        """Sizes whose product is n."""
        sizes = []
        while n > 1 and len(sizes) < 3:
            size = self.random.choice([d for d in range(1, n + 1) if n % d == 0])
            sizes.append(size)
            n //= size
        return tuple(sizes + [n])


def plain(**limits):
    return lambda c: ([c.float(**limits)], ())


def pair(**second):
    def make(c):
        a = c.float()
        return [a, c.partner(a, **second)], ()
    return make


def with_number(low=-2.0, high=2.0, **limits):
    return lambda c: ([c.float(**limits)], (c.number(low, high),))


def triple(*args, **third):
    """Three that broadcast, and random numbers for args."""
    def make(c):
        a = c.float()
        b = c.partner(a)
        d = c.float(**third)
        shape = torch.broadcast_shapes(c.of(a).shape, c.of(b).shape)
        if not c.broadcasts(shape, c.of(d).shape):
            raise Impossible
        return [a, b, d], tuple(c.number(*range_) for range_ in args)
    return make


def stretching(c, x, good):
    """A tensor that broadcasts to x's shape."""
    shape = c.of(x).shape
    return c.any(lambda y: good(y) and y.dim() <= len(shape) and c.broadcasts(shape, y.shape)
                 and all(n in (1, m) for m, n in zip(reversed(shape), reversed(y.shape))))


def over_first(**second):
    def make(c):
        x = c.float()
        b = stretching(c, x, lambda y: y.dtype == c.p.dtype)
        if second and not c.within(b, **second):
            raise Impossible
        return [x, b], ()
    return make


def where(c):
    (a, b), _ = pair()(c)
    condition = c.typed(torch.bool)
    shape = torch.broadcast_shapes(c.of(a).shape, c.of(b).shape)
    if not c.broadcasts(shape, c.of(condition).shape):
        raise Impossible
    return [condition, a, b], ()


def masked_fill(c):
    x = c.float()
    return [x, stretching(c, x, lambda y: y.dtype == torch.bool)], (c.number(),)


def powers(c):
    (a, b), _ = pair()(c)
    if not c.within(a, low=0.3, high=3) or not c.within(b, low=-3, high=3):
        raise Impossible
    return [a, b], ()


def over_dims(pick=Chooser.float, **limits):
    def make(c):
        x = pick(c, dims=1, **limits)
        return [x], (c.flag(), *c.dims(x))
    return make


def along(pick=Chooser.float, **limits):
    def make(c):
        x = pick(c, dims=1, **limits)
        return [x], (c.dim(x),)
    return make


def along_kept(pick=Chooser.float):
    def make(c):
        x = pick(c, dims=1)
        return [x], (c.dim(x), c.flag())
    return make


def with_int_over_dims(low, high, **limits):
    """Arguments: a number from low to high, keepdim, dims."""
    def make(c):
        x = c.float(dims=1, **limits)
        return [x], (c.int(low, high), c.flag(), *c.dims(x))
    return make


def matmul(c):
    a = c.float(dims=1)
    k = c.size(a, -1)
    b = c.any(lambda y: y.dtype == c.p.dtype and y.dim() >= 1 and y.shape[-2 if y.dim() > 1 else -1] == k
              and c.broadcasts(c.of(a).shape[:-2], y.shape[:-2]))
    return [a, b], ()


def linear(c):
    x = c.float(dims=1)
    w = c.any(lambda y: y.dtype == c.p.dtype and y.dim() == 2 and y.shape[1] == c.size(x, -1))
    return [x, w], ()


def vectors(c):
    def vector(x):
        return x.dtype == c.p.dtype and x.dim() == 1
    return [c.any(vector), c.any(vector)], ()


def addmm(c):
    (a, b), _ = matmul(c)
    m, n = c.of(a).shape[:-1], c.of(b).shape[1:]
    if len(m) != 1 or len(n) != 1:
        raise Impossible
    bias = c.any(lambda y: y.dtype == c.p.dtype and y.dim() <= 2 and c.broadcasts(y.shape, (m[0], n[0]))
                 and all(k in (1, l) for k, l in zip(reversed(y.shape), (n[0], m[0]))))
    return [bias, a, b], (c.number(), c.number())


def einsum(c):
    """Letters for one to three tensors, often those of dimensions that have the same size, and some in the output."""
    xs = [c.float(), c.float(), c.float()][:c.int(1, 3)]
    letters, terms = {}, []
    for x in xs:
        term = {}
        for n in c.of(x).shape:
            fits = [k for k, size in letters.items() if term.get(k, n) == n and (size == n or 1 in (size, n))]
            k = c.random.choice(fits) if fits and c.random.random() < 0.7 else "abcdefghijklmno"[len(letters)]
            letters[k] = n if letters.get(k, 1) == 1 else letters[k]
            term[k] = n
            terms.append(k)
        terms.append(",")
    output = c.random.sample(sorted(letters), c.int(0, min(3, len(letters))))
    return xs, ("".join(terms[:-1] + ["->"] + output),)


def triangle(c):
    return [c.any(lambda y: y.dim() >= 2)], (c.int(-2, 2),)


def diagonal(c):
    x = c.any(lambda y: y.dim() >= 2)
    return [x], (c.int(-2, 2), *c.random.sample(range(c.of(x).dim()), 2))


def reshape(c):
    x = c.any()
    return [x], c.split(c.of(x).numel()) if c.of(x).numel() else (0, 3)


def flatten(c):
    x = c.any(lambda y: y.dim() > 0)
    first = c.int(0, c.of(x).dim() - 1)
    return [x], (first, c.int(first, c.of(x).dim() - 1))


def permute(c):
    x = c.any(lambda y: y.dim() > 0)
    return [x], tuple(c.random.sample(range(c.of(x).dim()), c.of(x).dim()))


def transpose(c):
    x = c.any(lambda y: y.dim() > 0)
    return [x], (c.dim(x), c.dim(x))


def expand(c):
    x = c.any()
    sizes = [c.int(1, 3) if n == 1 else n for n in c.of(x).shape]
    return [x], tuple([c.int(1, 3)] * c.flag() + sizes)


def narrow(c):
    x = c.any(lambda y: y.dim() > 0)
    d = c.dim(x)
    start = c.int(0, c.size(x, d))
    return [x], (d, start, c.int(0, c.size(x, d) - start))


def cat(c):
    x = c.any(lambda y: y.dim() > 0)
    return [x, c.like(x), c.like(x)][:c.int(1, 3)], (c.dim(x),)


def unflatten(c):
    x = c.any(lambda y: y.dim() > 0 and y.numel())
    d = c.dim(x)
    return [x], (d, *c.split(c.size(x, d)))


def select(c):
    x = c.any(lambda y: y.dim() > 0 and y.numel())
    d = c.dim(x)
    return [x], (d, c.int(-c.size(x, d), c.size(x, d) - 1))


def slice_(c):
    x = c.any(lambda y: y.dim() > 0)
    return [x], (c.dim(x), c.int(-4, 4), c.int(-4, 5), c.int(1, 3))


def unfold_dim(c):
    x = c.any(lambda y: 0 < y.dim() < MOST_DIMS)
    d = c.dim(x)
    return [x], (d, c.int(0, c.size(x, d)), c.int(1, 3))


def split(c):
    x = c.any(lambda y: y.dim() > 0 and y.numel())
    d = c.dim(x)
    return [x], (c.int((c.size(x, d) + 3) // 4, c.size(x, d)), d)


def chunk(c):
    x = c.any(lambda y: y.dim() > 0 and y.numel())
    return [x], (c.int(1, 4), c.dim(x))


def stack(c):
    x = c.any(lambda y: y.dim() < MOST_DIMS)
    return [x, c.like(x), c.like(x)][:c.int(1, 3)], (c.int(-1, c.of(x).dim()),)


def repeat(c):
    x = c.any()
    return [x], tuple(c.int(1, 2) for _ in range(c.of(x).dim() + c.flag()))


def flip(c):
    x = c.any(lambda y: y.dim() > 0)
    return [x], c.dims(x)


def roll(c):
    x = c.any(lambda y: y.dim() > 0)
    dims = c.dims(x)
    return [x], tuple(c.int(-5, 5) for _ in dims) + dims


def pad(c):
    x = c.float(dims=1)
    mode = c.int(0, 3)
    pads = [c.int(0, 2) for _ in range(2)]
    if not c.of(x).numel() or c.size(x, -1) < 3 or (mode and c.of(x).dim() not in (2, 3)):
        raise Impossible
    return [x], (mode, c.number() if mode == 0 else 0.0, *pads)


def glu(c):
    x = c.float(dims=1)
    d = c.dim(x)
    if c.size(x, d) % 2:
        raise Impossible
    return [x], (d,)


def lines(c, pick=Chooser.float):
    """[N, C, L] or [C, L], with elements."""
    x = pick(c, dims=2)
    if c.of(x).dim() > 3 or not c.of(x).numel():
        raise Impossible
    return x


def conv1d(c):
    x = lines(c)
    w = c.any(lambda y: y.dtype == c.p.dtype and y.dim() == 3 and y.shape[1] == c.size(x, -2) and y.numel()
              and y.shape[2] <= c.size(x, -1) + 2)
    return [x, w], (c.int(1, 2), 1, 1, 1, 0)


def conv_transpose1d(c):
    x = lines(c)
    w = c.any(lambda y: y.dtype == c.p.dtype and y.dim() == 3 and y.shape[0] == c.size(x, -2) and y.numel())
    return [x, w], (c.int(1, 2), 0, 0, 1, 1)


def pool1d(pick=Chooser.float, further=lambda c: ()):
    def make(c):
        x = lines(c, pick)
        kernel = c.int(1, min(3, c.size(x, -1)))
        return [x], (kernel, c.int(1, 2), kernel // 2 * c.flag(), *further(c))
    return make


def interpolate(c):
    x = lines(c)
    if c.of(x).dim() != 3:
        raise Impossible
    mode = c.flag()
    return [x], (mode, mode and c.flag(), c.int(1, 6), 0)


def to_shape_of(fits):
    """View or expansion as another tensor."""
    def make(c):
        x = c.any()
        return [x, c.any(lambda y: fits(c.of(x), y))], ()
    return make


def expands(x, y):
    return y.dim() >= x.dim() and all(m in (1, n) for m, n in zip(reversed(x.shape), reversed(y.shape)))


def topk(c):
    x = c.distinct(dims=1)
    d = c.dim(x)
    return [x], (c.int(0, c.size(x, d)), d, c.flag())


def positions(c, fits):
    """A float tensor x, an i64 tensor and a dimension of x for which fits(x, index, dim) and all are inside."""
    x = c.float(dims=1)
    shape = c.of(x).shape
    d = c.int(0, len(shape) - 1)

    def good(i):
        return (i.dtype == torch.int64 and fits(shape, i.shape, d)
                and (not i.numel() or (int(i.min()) >= 0 and int(i.max()) < shape[d])))
    return x, c.any(good), d


def smaller(x, i, d):
    return len(i) == len(x) and all(k == d or i[k] <= x[k] for k in range(len(x)))


def at_vector(c):
    x, index, d = positions(c, lambda x, i, d: len(i) == 1)
    return [x, index], (d,)


def at_each(c):
    x, index, d = positions(c, smaller)
    return [x, index], (d,)


def at_stretched(c):
    x, index, d = positions(c, lambda x, i, d: len(i) == len(x) and
                            all(k == d or i[k] == x[k] or 1 in (i[k], x[k]) for k in range(len(x))))
    return [x, index], (d,)


def at_each_from(c):
    x, index, d = positions(c, smaller)
    return [x, index, c.any(lambda y: y.dtype == c.p.dtype and y.shape == c.of(index).shape)], (d,)


def at_vector_from(c):
    x, index, d = positions(c, lambda x, i, d: len(i) == 1)
    shape = [c.of(index).numel() if k == d else n for k, n in enumerate(c.of(x).shape)]
    return [x, index, c.any(lambda y: y.dtype == c.p.dtype and list(y.shape) == shape)], (d,)


def masked(c):
    x = c.float()
    return [x, c.any(lambda m: m.dtype == torch.bool and c.broadcasts(c.of(x).shape, m.shape))], ()


def embedding(c):
    w, index, _ = positions(c, lambda x, i, d: len(x) == 2 and d == 0)
    return [index, w], ()


def embedding_bag(c):
    (index, w), _ = embedding(c)
    if c.of(index).dim() != 2 or not c.of(index).numel():
        raise Impossible
    return [index, w], ()


def bilinear(c):
    x = c.float(dims=1)
    y = c.any(lambda y: y.dtype == c.p.dtype and y.dim() >= 1 and y.shape[:-1] == c.of(x).shape[:-1])
    w = c.any(lambda w: w.dtype == c.p.dtype and w.dim() == 3 and w.shape[1:] == (c.size(x, -1), c.size(y, -1)))
    return [x, y, w], ()


def attention(c):
    """Query, key, value (none empty: torch then gives the query's batch, whatever the others'), and a mask or
    what is added."""
    q = c.any(lambda y: y.dtype == c.p.dtype and y.dim() >= 2 and y.numel())
    batch = c.of(q).shape[:-2]

    def matrices(dim, size):
        return c.any(lambda y: y.dtype == c.p.dtype and y.dim() >= 2 and y.shape[dim] == size and y.numel()
                     and c.broadcasts(batch, y.shape[:-2]))
    k = matrices(-1, c.size(q, -1))
    batch = torch.broadcast_shapes(batch, c.of(k).shape[:-2])
    v = matrices(-2, c.size(k, -2))
    shape = (*batch, c.size(q, -2), c.size(k, -2))
    mask = c.any(lambda y: y.dtype in (torch.bool, c.p.dtype) and c.broadcasts(shape, y.shape) and 2 <= y.dim() <= len(shape)
                 and all(n in (1, m) for m, n in zip(reversed(shape), reversed(y.shape))))
    return [q, k, v, mask], ()


def over_last(c):
    x = c.float(dims=1)
    return [x], (0.5, *c.of(x).shape[-c.int(1, c.of(x).dim()):])


def against_like(further=lambda c: ()):
    """A loss of two tensors of one shape: the reduction, then further arguments."""
    def use(c):
        x = c.float()
        return [x, c.like(x)], (c.int(0, 2), *further(c))
    return use


# op -> how it is used: Chooser -> (tensors, arguments)
OPS = {
    "add": pair(), "sub": pair(), "mul": pair(), "div": pair(away=0.2),
    "add_scalar": with_number(), "sub_scalar": with_number(), "mul_scalar": with_number(),
    "div_scalar": with_number(0.5, 2.0),
    "rsub_scalar": with_number(), "rdiv_scalar": with_number(away=0.2),
    "lerp": triple(), "lerp_scalar": lambda c: (pair()(c)[0], (c.number(),)),
    "addcmul": triple((-2.0, 2.0)), "addcdiv": triple((-2.0, 2.0), away=0.3),
    "pow": powers, "pow_scalar": lambda c: ([c.float(low=0.3)], (c.random.choice([0, 0.5, 1, 2, 3, -1, 1.3]),)),
    "rpow_scalar": lambda c: ([c.float(low=-4, high=4)], (c.number(0.5, 2.0),)), "atan2": pair(away=0.2),
    "fmod": pair(away=0.3), "remainder": pair(away=0.3), "floor_divide": pair(away=0.3),
    "fmod_scalar": with_number(0.5, 2.0), "remainder_scalar": with_number(0.5, 2.0),
    "minimum": pair(), "maximum": pair(), "clamp": lambda c: ([c.float()], (c.number(-2, 0), c.number(0, 2))),
    "where": where, "masked_fill": masked_fill,
    **{name: pair() for name in ("eq", "ne", "gt", "ge", "lt", "le", "logical_and", "logical_or", "logical_xor")},
    **{f"{name}_scalar": with_number() for name in ("eq", "ne", "gt", "ge", "lt", "le")},
    "logical_not": lambda c: ([c.any()], ()),
    "add_": over_first(), "sub_": over_first(), "mul_": over_first(), "div_": over_first(away=0.2),
    "add_scalar_": with_number(), "mul_scalar_": with_number(), "masked_fill_": masked_fill,
    "clamp_": lambda c: ([c.float()], (c.number(-2, 0), c.number(0, 2))), "copy_": over_first(),
    "sigmoid_": plain(), "tanh_": plain(),
    "neg": plain(), "abs": plain(), "sign": plain(), "square": plain(), "sqrt": plain(low=0.1),
    "rsqrt": plain(low=0.1), "reciprocal": plain(away=0.2),
    "exp": plain(high=4), "exp2": plain(high=4), "expm1": plain(high=4), "log": plain(low=0.1),
    "log2": plain(low=0.1), "log10": plain(low=0.1), "log1p": plain(low=-0.9),
    "sin": plain(), "cos": plain(), "tan": plain(low=-1.4, high=1.4), "asin": plain(low=-0.9, high=0.9),
    "acos": plain(low=-0.9, high=0.9), "atan": plain(), "sinh": plain(low=-4, high=4),
    "cosh": plain(low=-4, high=4), "tanh": plain(), "asinh": plain(), "acosh": plain(low=1.1),
    "atanh": plain(low=-0.9, high=0.9), "sigmoid": plain(), "log_sigmoid": plain(), "erf": plain(),
    "softplus": lambda c: ([c.float()], (c.number(0.5, 2.0), 20.0)),
    "floor": plain(), "ceil": plain(), "round": plain(), "trunc": plain(),
    "isnan": plain(), "isinf": plain(), "isfinite": plain(),
    "matmul": matmul, "linear": linear, "addmm": addmm, "bilinear": bilinear, "einsum": einsum, "outer": vectors,
    "dot": lambda c: ((lambda x: ([x, c.like(x)], ()))(c.any(lambda y: y.dtype == c.p.dtype and y.dim() == 1))),
    "tril": triangle, "triu": triangle, "diagonal": diagonal,
    "trace": lambda c: ([c.any(lambda y: y.dtype == c.p.dtype and y.dim() == 2)], ()),
    "sum": plain(), "mean": plain(), "sum_dim": over_dims(), "mean_dim": over_dims(),
    "prod": plain(), "prod_dim": over_dims(), "cumsum": along(), "cumprod": along(),
    "var": lambda c: ([c.float()], (c.int(0, 1),)), "var_dim": with_int_over_dims(0, 1),
    "std": lambda c: ([c.distinct()], (c.int(0, 1),)), "std_dim": with_int_over_dims(0, 1),
    "norm": lambda c: ([c.float(away=0.1)], (c.int(1, 3),)), "norm_dim": with_int_over_dims(1, 3, away=0.1),
    "logsumexp": plain(), "logsumexp_dim": over_dims(),
    "any": plain(), "any_dim": over_dims(), "all": plain(), "all_dim": over_dims(),
    "count_nonzero": plain(), "count_nonzero_dim": over_dims(),
    "max": lambda c: ([c.distinct()], ()), "min": lambda c: ([c.distinct()], ()),
    "amax": over_dims(Chooser.distinct), "amin": over_dims(Chooser.distinct),
    "max_dim": along_kept(Chooser.distinct), "min_dim": along_kept(Chooser.distinct),
    "argmax": lambda c: ([c.distinct()], ()), "argmin": lambda c: ([c.distinct()], ()),
    "argmax_dim": along_kept(Chooser.distinct), "argmin_dim": along_kept(Chooser.distinct),
    "sort": along_kept(Chooser.distinct), "argsort": along_kept(Chooser.distinct), "topk": topk,
    "index_select": at_vector, "gather": at_each, "take_along_dim": at_stretched, "masked_select": masked,
    "nonzero": lambda c: ([c.float(away=0.1)], ()), "embedding": embedding, "embedding_bag": embedding_bag,
    "scatter_scalar": lambda c: (lambda x, a: (x, (*a, c.number())))(*at_each(c)),
    "scatter": at_each_from, "scatter_add": at_each_from, "index_add": at_vector_from,
    "reshape": reshape, "flatten": flatten, "transpose": transpose, "permute": permute, "expand": expand,
    "narrow": narrow, "unflatten": unflatten, "squeeze": lambda c: ([c.any()], ()),
    "squeeze_dim": lambda c: (lambda x: ([x], (c.dim(x),)))(c.any(lambda y: y.dim() > 0)),
    "unsqueeze": lambda c: (lambda x: ([x], (c.int(-1, c.of(x).dim()),)))(c.any()),
    "movedim": transpose, "select": select, "slice": slice_, "unfold_dim": unfold_dim, "split": split,
    "chunk": chunk, "stack": stack, "repeat": repeat, "flip": flip, "roll": roll, "pad": pad,
    "view_as": to_shape_of(lambda x, y: x.is_contiguous() and x.numel() == y.numel()),
    "expand_as": to_shape_of(expands), "cat": cat, "contiguous": lambda c: ([c.any()], ()), "clone": lambda c: ([c.any()], ()),
    "conv1d": conv1d, "conv_transpose1d": conv_transpose1d, "interpolate": interpolate,
    "max_pool1d": pool1d(Chooser.distinct, lambda c: (1, c.flag())),
    "avg_pool1d": pool1d(further=lambda c: (c.flag(), c.flag())),
    "adaptive_avg_pool1d": lambda c: ([lines(c)], (c.int(1, 5),)),
    "adaptive_max_pool1d": lambda c: ([lines(c, Chooser.distinct)], (c.int(1, 5),)),
    "layer_norm": over_last, "rms_norm": over_last,
    "normalize": lambda c: (lambda x: ([x], (c.int(1, 3), c.dim(x), 1e-3)))(c.float(dims=1, away=0.1)),
    "relu": plain(), "leaky_relu": with_number(0.0, 1.0),
    **{name: lambda c: ([c.float()], (c.number(), c.number())) for name in ("threshold", "threshold_")},
    **{name: lambda c: ([c.float()], (c.number(-2, 0), c.number(0, 2))) for name in ("hardtanh", "hardtanh_")},
    "hardshrink": with_number(0.0, 1.0), "softshrink": with_number(0.0, 1.0), "elu": with_number(),
    "elu_": with_number(0.0, 2.0),
    # PyTorch rounds alpha to f32 for the gradient
    **{name: lambda c: ([c.float()], (c.random.choice([0.5, 0.75, 1.5, 2.0]),)) for name in ("celu", "celu_")},
    **{name: plain() for name in ("relu6", "relu6_", "hardsigmoid", "hardsigmoid_", "hardswish", "hardswish_", "selu",
                                  "selu_", "silu", "silu_", "mish", "mish_", "gelu", "gelu_tanh", "softsign",
                                  "tanhshrink")},
    "glu": glu, "softmax": along(), "softmin": along(), "log_softmax": along(),
    "scaled_dot_product_attention": attention,
    "mse_loss": against_like(), "l1_loss": against_like(), "binary_cross_entropy_with_logits": against_like(lambda c: (0,)),
    "huber_loss": against_like(lambda c: (c.number(0.5, 2.0),)),
    "smooth_l1_loss": against_like(lambda c: (c.number(0.5, 2.0),)),
    "poisson_nll_loss": against_like(lambda c: (0, 0, 0)),
    "cosine_similarity": lambda c: ((lambda x: ([x, c.like(x)], (-1, 1e-8)))(c.float(dims=1, away=0.1))),
    "pairwise_distance": lambda c: ((lambda x: ([x, c.like(x)], (2, 0.5, c.flag())))(c.float(dims=1))),
}


# ---- programs ----

def shapes(source, count):
    """Shapes for the inputs that often fit each other."""
    n = [source.randint(1, 4) for _ in range(3)]
    some = [tuple(n), tuple(n[1:]), tuple(n[2:]), (n[1], n[2]), (n[2], n[1]), (n[0], 1, n[2]), (n[1], 1),
            (n[2], n[2]), ()]
    if source.random() < 0.05:
        some.append((0, n[2]))
    return [source.choice(some) for _ in range(count)]


def attempt(name, dtype, source):
    p = Program(name, dtype, source)
    wanted, tries = source.randint(1, MOST_STEPS), 0
    for shape in shapes(source, min(MOST_INPUTS, source.randint(1, 1 + wanted))):
        p.input(shape)
    while len(p.steps) < wanted and tries < 200:
        tries += 1
        op = source.choice(list(OPS))
        try:
            numbers, args = OPS[op](Chooser(p))
            p.step(op, numbers, args)
        except Impossible:
            pass
    return None if p.unused_inputs() or not p.steps else p


def outputs_of(p):
    """Up to three results that no step uses, floating ones first: what the program is for."""
    used = {i for _, numbers, _, _ in p.steps for i in numbers}
    last = [i for i in range(len(p.inputs), len(p.tensors)) if i not in used]
    return sorted(last, key=lambda i: (not p.tensors[i].requires_grad, -i))[:3]


def differentiate(p, tensors, gives, second):
    """Gradients of the inputs, None where none flows, and second gradients."""
    inputs = tensors[:len(p.inputs)]
    ys = [(k, tensors[i]) for k, i in enumerate(gives) if tensors[i].requires_grad]
    if not ys:
        return [None] * len(inputs), None
    vs = [Rng(f"{p.path}/cotangent{k}").uniform(tuple(y.shape), y.dtype, -1.0, 1.0) for k, y in ys]
    gs = torch.autograd.grad([y for _, y in ys], inputs, vs, create_graph=second, allow_unused=True)
    if not second:
        return gs, None
    weighted = sum((g * Rng(f"{p.path}/weight{i}").uniform(tuple(g.shape), g.dtype, -1.0, 1.0)).sum().to(F64)
                   for i, g in enumerate(gs) if g is not None)
    if not isinstance(weighted, torch.Tensor) or not weighted.requires_grad:
        return gs, [None] * len(inputs)
    return gs, torch.autograd.grad(weighted, inputs, allow_unused=True)


def change(a, b):
    """How much two results differ, relative to their size; infinite where they cannot be compared."""
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    if not a.dtype.is_floating_point:
        return 0.0 if torch.equal(a, b) else math.inf
    a, b = a.detach().to(F64), b.detach().to(F64)
    if a.shape != b.shape or not torch.isfinite(a).all() or not torch.isfinite(b).all():
        return math.inf
    return float(((a - b).abs() / (a.abs() + 1)).max()) if a.numel() else 0.0


def write_program(p, second):
    """Appends the program to LINES; False when its results hang on rounding."""
    step = 1e-9 if p.dtype == F64 else 1e-5
    gives = outputs_of(p)
    gs, hs = differentiate(p, p.tensors, gives, second)
    unused = [i for i, g in enumerate(gs) if g is None]
    moved = p.run(step)
    gs2, hs2 = differentiate(p, moved, gives, second)
    changes = [change(p.tensors[i], moved[i]) for i in gives] + [change(a, b) for a, b in zip(gs, gs2)]
    if hs:
        changes += [change(a, b) for a, b in zip(hs, hs2)]
    growth = max(changes) / step
    if not growth < (1e4 if p.dtype == F64 else 200):
        return False
    for i in unused:
        p.inputs[i].grad = False
    # where large numbers cancel, the rest is no more exact than they were
    size = max([1.0] + [float(x.detach().abs().max()) for x in [*p.tensors, *gs, *(hs or [])]
                        if x is not None and x.dtype == p.dtype and x.numel()])
    tolerance = (20 * max(growth, 50 if p.dtype == F64 else 10), round(size))
    LINES.append(f"case {p.name} {NAMES[p.dtype]}")
    for i, spec in enumerate(p.inputs):
        LINES.append(" ".join(["in", "grad" if spec.grad else "const", NAMES[p.dtype], cases.shape_text(spec.shape),
                               cases.layout_text(spec.layout), spec.source(None)]))
    for op, numbers, args, n_out in p.steps:
        LINES.append(" ".join(["step", op, str(n_out), *map(str, numbers), ":", *map(cases.argument, args)]))
    LINES.append(" ".join(["gives", *map(str, gives)]))
    for i in gives:
        y = p.tensors[i]
        exact = not y.dtype.is_floating_point
        LINES.append(" ".join(["out", NAMES[y.dtype], cases.shape_text(y.shape), "row" if y.requires_grad and
                               len(unused) < len(gs) else "-"]
                              + (["0", "0"] if exact else cases.tolerance(tolerance, y.dtype)) + cases.numbers(y)))
    for i, g in enumerate(gs):
        if g is not None:
            LINES.append(" ".join(["gradient", str(i)] + cases.tolerance(tolerance, g.dtype) + cases.numbers(g)))
    for i, h in enumerate(hs or []):
        if gs[i] is not None:
            zero = h is None or not h.count_nonzero()
            LINES.append(" ".join(["second", str(i)] + cases.tolerance(tolerance, p.dtype)
                                  + (["zero"] if zero else cases.numbers(h))))
    return True


def make(seed, first, count):
    """Appends the programs `first` ... of the seed to LINES until there are `count`; the next number."""
    made = 0
    while made < count:
        source = random.Random(f"{seed}/{first}")
        dtype = F64 if source.random() < 0.7 else F32
        p = attempt(f"program.s{seed}_{first}", dtype, source)
        first += 1
        if p and write_program(p, second=source.random() < 0.5):
            made += 1
    return first


def usage():
    """How often each op stands in LINES."""
    counts = dict.fromkeys(OPS, 0)
    for line in LINES:
        if line.startswith("step "):
            counts[line.split()[1]] += 1
    return counts


def prepare():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    compute, cases.one_case = cases.one_case, lambda *_: None  # only which function belongs to which op
    refuse, cases.refuse = cases.refuse, lambda *_, **__: None
    for header in sorted((TESTS.parent / "include" / "minnow" / "ops").glob("*.h")):
        importlib.import_module(header.stem).cases()
    cases.one_case, cases.refuse = compute, refuse
    missing = [op for op in OPS if op not in cases.FUNCTIONS]
    if missing:
        sys.exit(f"fuzz.py: no cases for {', '.join(missing)}")


def compare(build, programs, seed):
    """0 when minnow agrees on every program."""
    differ = first = done = 0
    counts = dict.fromkeys(OPS, 0)
    while done < programs:
        LINES.clear()
        some = min(500, programs - done)
        first = make(seed, first, some)
        done += some
        for op, n in usage().items():
            counts[op] += n
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            f.write("# programs\n" + "\n".join(LINES) + "\n")
            f.flush()
            run = subprocess.run([f"{build}/tests/test_pytorch", f.name], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        if run.returncode:
            differ += max(1, run.stdout.count("\n  program."))
            print(run.stdout)
        print(f"{done} programs, {differ} differ", flush=True)
    print("uses of each op: " + ", ".join(f"{op} {n}" for op, n in sorted(counts.items(), key=lambda x: x[1])))
    return differ != 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", nargs="?", default="build/release")
    parser.add_argument("--programs", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    prepare()
    if options.record:
        cases.write(TESTS / "fixtures" / "program.txt", lambda: make(0, 0, 200))
        return 0
    return compare(options.build, options.programs, options.seed)


if __name__ == "__main__":
    sys.exit(main())
