#!/usr/bin/env python3
"""Breaks every gradient, one place at a time, and checks that a test notices.

For each backward function in src/autograd/ops/ (and the helpers it calls in its file) this makes
mutants: each gradient negated, doubled, dropped or swapped with its neighbour, and each operation
inside replaced by a wrong one. A mutant is compiled alone, linked with the library and run through
the suites below; it is killed when one of them fails, and it survives when all pass. Exit status 0:
every mutant died.

    tests/mutate.py [--build DIR] [--library FILE] [--jobs N] [--list] [PATTERN]

PATTERN picks mutants by name, such as "reduce.c:max". --library takes a libminnow.a that was built
without OpenBLAS and zlib instead of building one in DIR. Needs a C compiler, CMake and Check.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPS = ROOT / "src" / "autograd" / "ops"
# Suites and their cases, the quickest to notice first.
SUITES = {"test_gradients": ["first", "fused", "second", "third"], "test_pytorch": ["ops"],
          "test_ops": ["ops"], "test_order": ["order"], "test_rrelu": ["rrelu"]}
TIMEOUT = 120  # seconds a suite may take; a mutant that hangs is dead
SIGNATURE = re.compile(r"^static [^;{}=#]*?\b(\w+)\(([^;{}]*)\)\n\{\n(.*?)^\}\n", re.M | re.S)

# Mutants that are no change at all, and why.
SAME = {
    "pointwise.c:add_backward:swap": "both gradients are gy",
    "unary.c:step_backward:gx[0] negated": "0 stays 0",
    "unary.c:step_backward:gx[0] doubled": "0 stays 0",
    "create.c:bernoulli_backward:gx[0] negated": "it is zero",
    "create.c:bernoulli_backward:gx[0] doubled": "it is zero",
    **{f"{f}_backward:gx[{i}] {what}": "0 stays 0" for what in ("negated", "doubled")
       for f, i in (("power.c:floor_divide", 0), ("power.c:floor_divide", 1), ("write.c:fill", 0),
                    ("write.c:copy", 0))},
    "power.c:floor_divide_backward:swap": "both gradients are 0",
    "conv.c:convolve:, 1) -> , 2) #1": "how many tensors a scope keeps",
    "matmul.c:matmul_backward_fast:mn_saved(n, 1) -> mn_saved(n, 0) #1":
        "where B wants no gradient, B is saved in both places",
}

# Calls inside a gradient -> what to call instead; None: nothing, the operand stands alone.
CALLS = [
    ("mn_mul(", "mn_add("), ("mn_div(", "mn_mul("), ("mn_add(", "mn_sub("), ("mn_sub(", "mn_add("),
    ("mn_neg(", None), ("mn_exp(", None), ("mn_relu(", None), ("mn_transpose(", None),
    ("mn_mul_scalar(", None), ("mn_div_scalar(", None), ("mn_add_scalar(", None),
    ("transposed(", None), ("mn_expand(", None), ("mn_square(", None), ("mn_rsqrt(", "mn_sqrt("),
    ("mn_sign(", None), ("mn_sin(", "mn_cos("), ("mn_cos(", "mn_sin("), ("mn_sinh(", "mn_cosh("),
    ("mn_cosh(", "mn_sinh("), ("mn_sigmoid(", "mn_tanh("), ("square_plus(", None),
    ("one_minus_square(", None), ("mn_masked_fill(", None), ("mn_log(", None), ("mn_pow(", "mn_mul("),
    ("mn_eq(", "mn_ne("), ("mn_ne(", "mn_eq("), ("mn_lt(", "mn_gt("), ("mn_gt(", "mn_lt("),
    ("mn_eq_scalar(", "mn_ne_scalar("), ("mn_ge_scalar(", "mn_le_scalar("), ("mn_le_scalar(", "mn_ge_scalar("),
    ("mn_gt_scalar(", "mn_lt_scalar("), ("mn_erf(", "mn_tanh("), ("mn_tanh(", None), ("mn_softplus(", None),
    ("mn_logical_and(", "mn_logical_or("), ("mn_trunc(", "mn_floor("),
    ("mn_floor_divide(", "mn_div("), ("mn_rsub_scalar(", "mn_sub_scalar("),
]
# And other text -> what to put in its place.
TOKENS = [
    ("->mul,", "->add,"), ("->add,", "->sub,"), ("->exp,", "->neg,"), ("->neg,", "->exp,"),
    ("->sigmoid_backward", "->tanh_backward"), ("->tanh_backward", "->sigmoid_backward"),
    ("a->gradient", "mni_kernels()->mul"), ("a->from_y", "!a->from_y"),
    ("a->p[0]", "a->p[1]"), ("a->p[1]", "a->p[0]"), ("a->p[2]", "(a->p[2] * 2)"),
    (", 0.5)", ", 0.25)"), (", -0.5)", ", 0.5)"), (", -3)", ", 0)"), (", 3)", ", 2)"),
    ("0.044715", "0.1"), ("root_half)", "1)"), ("density_at_0)", "1)"), ("3 * a", "a"), (", b)", ", 1)"),
    ("->prelu_factor", "->prelu"), ("->prelu_slope_backward", "->mul"),
    (", accumulate)", ", !accumulate)"), (", accumulate)", ", false)"),
    (" -= 1;", " += 1;"), (" -= 1;", " -= 0;"), ("scale /=", "scale *="),
    ("? 2 /", "? 1 /"), (" : 2;", " : 1;"), (", 2)", ", 3)"), (", 1)", ", 2)"),
    ("], false)", "], true)"), ("], true)", "], false)"), ("if (isnan(", "if (!isnan("),
    ("w->start", "w->start + 1"), ("at[i + 1] - at[i]", "at[0]"), ("at[i],", "at[0],"),
    ("!= slope_dim", "== slope_dim"), ("d == slope_dim", "d != slope_dim"),
    ("? 1 : shape[d]", "? shape[d] : 1"), ("r->count", "2"),
    ("inverse[dims[d]] = d", "inverse[d] = dims[d]"),
    ("== MN_REDUCE_MEAN", "!= MN_REDUCE_MEAN"), ("== MN_REDUCE_NONE", "!= MN_REDUCE_NONE"),
    ("!= MN_REDUCE_NONE", "== MN_REDUCE_NONE"), ("mn_saved(n, 0)", "mn_saved(n, 1)"),
    ("mn_saved(n, 1)", "mn_saved(n, 0)"), ("{true, false}", "{false, true}"),
    ("!d->recompute", "d->recompute"), ("a->skip", "-1"), ("r->all &&", "false &&"),
]


def closing(text, start):
    """The index of the bracket that closes the one at start."""
    depth = 0
    for i in range(start, len(text)):
        depth += text[i] in "([{"
        depth -= text[i] in ")]}"
        if depth == 0:
            return i
    raise ValueError("unbalanced")


def arguments(text):
    parts, depth, last = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "([{"
        depth -= c in ")]}"
        if c == "," and depth == 0:
            parts.append(text[last:i])
            last = i + 1
    return parts + [text[last:]]


def call_mutants(body):
    """Every call of CALLS replaced, or taken away so that its operand stands alone."""
    for name, other in CALLS:
        for m in re.finditer(r"\b" + re.escape(name), body):
            if other:
                yield f"{name[:-1]} -> {other[:-1]}", body[:m.start()] + other + body[m.end():]
                continue
            end = closing(body, m.end() - 1)
            inside = arguments(body[m.end():end])
            operand = inside[1 if inside[0].strip() == "t" else 0].strip()
            yield f"{name[:-1]} left out", body[:m.start()] + operand + body[end + 1:]


def token_mutants(body):
    for old, new in TOKENS:
        at = body.find(old)
        while at >= 0:
            yield f"{old.strip()} -> {new.strip()}", body[:at] + new + body[at + len(old):]
            at = body.find(old, at + 1)


def result_mutants(name, body):
    """(what, statement after the function's own work) on the gradients it leaves in gx."""
    fused = name.endswith("_fast")
    indices = sorted(set(re.findall(r"\bgx\[(\d)\]", body))) or ["0", "1"]
    one = ("mni_map1(mni_tape_team(t), mni_kernels()->{}, gx[{}], gx[{}], {});" if fused else
           "gx[{1}] = {0};")
    for i in indices:
        for what, kernel, p, op in [("negated", "neg", "NULL", f"mn_neg(t, gx[{i}])"),
                                    ("doubled", "mul_scalar", "&(double){2}",
                                     f"mn_mul_scalar(t, gx[{i}], 2)")]:
            change = one.format(kernel, i, i, p) if fused else one.format(op, i)
            yield f"gx[{i}] {what}", f"if (gx[{i}]) {change}"
        yield f"gx[{i}] dropped", f"gx[{i}] = NULL;"
    if len(indices) > 1:
        yield "swap", "mn_tensor *kept = gx[0]; gx[0] = gx[1]; gx[1] = kept;"


def mutants_of(path):
    source = path.read_text()
    functions = {m.group(1): m for m in SIGNATURE.finditer(source)}
    gradients = [f for f in functions if re.search(r"_backward(_fast)?$", f)]
    involved = list(gradients)
    for f in involved:  # and what they call, if it is not an op of its own
        for g in functions:
            if g not in involved and re.search(rf"\b{g}\(", functions[f].group(3)):
                involved.append(g)
    for f in involved:
        m = functions[f]
        seen = {}
        for what, body in list(call_mutants(m.group(3))) + list(token_mutants(m.group(3))):
            if body == m.group(3):
                continue
            seen[what] = seen.get(what, 0) + 1
            mutated = source[:m.start(3)] + body + source[m.end(3):]
            yield f"{path.name}:{f}:{what} #{seen[what]}", mutated
        if f not in gradients:
            continue
        for what, statement in result_mutants(f, m.group(3)):
            head = source[m.start():m.start(3)]
            inner = head.replace(f"{f}(", f"{f}_inner(", 1)
            wrapper = f"{head}    {f}_inner(t, n, gy, gx);\n    {statement}\n}}\n"
            mutated = source[:m.start()] + inner + m.group(3) + "}\n" + wrapper + source[m.end():]
            yield f"{path.name}:{f}:{what}", mutated


def run(command, **more):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)


def must(command):
    done = run(command)
    if done.returncode:
        sys.exit(f"mutate.py: {' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def build_library(directory):
    must(["cmake", "-S", ROOT, "-B", directory, "-DCMAKE_BUILD_TYPE=Release", "-DMINNOW_ZLIB=OFF",
          "-DMINNOW_OPENBLAS=OFF", "-DMINNOW_EXAMPLES=OFF", "-DMINNOW_BENCH=OFF",
          "-DMINNOW_TESTS=OFF"])
    must(["cmake", "--build", directory, "--target", "minnow_static"])
    return pathlib.Path(directory) / "libminnow.a"


class Bench:
    """Compiles one changed op file and runs the suites on it."""

    def __init__(self, library, place):
        self.library, self.place = library, pathlib.Path(place)
        self.cc = os.environ.get("CC", "cc")
        self.flags = ["-std=c11", "-O1", "-w", f"-I{ROOT}/include", f"-I{ROOT}/src",
                      f"-I{ROOT}/tests", f'-DMNI_SOURCE_DIR="{ROOT}"']
        self.check = must(["pkg-config", "--cflags", "--libs", "check"]).split()
        self.suites = [self.compiled(ROOT / "tests" / f"{suite}.c") for suite in SUITES]
        self.support = [self.compiled(path) for path in
                        [ROOT / "tests" / "fixture.c", *sorted((ROOT / "tests" / "rows").glob("*.c"))]]

    def compiled(self, path):
        target = self.place / f"{path.stem}.o"
        must([self.cc, *self.flags, "-c", path, "-o", target])
        return target

    def verdict(self, number, name, source):
        """killed, survived, or what the compiler said."""
        here = self.place / str(number)
        here.mkdir()
        try:
            return self.judge(here, name, source)
        finally:
            shutil.rmtree(here)

    def judge(self, here, name, source):
        (here / "op.c").write_text(source)
        done = run([self.cc, *self.flags, "-c", here / "op.c", "-o", here / "op.o"])
        if done.returncode:
            return done.stdout
        op = re.sub(r"_backward(_fast)?$", "", name.split(":")[1])
        for suite in self.suites:
            program = here / suite.stem
            must([self.cc, suite, here / "op.o", *self.support, self.library, "-o", program,
                  *self.check, "-lpthread", "-lm"])
            # first the rows of the op itself, which notice nearly everything
            for only in [[op], []] if suite.stem == "test_gradients" else [[]]:
                if any(self.fails([program, *only], case) for case in SUITES[suite.stem]):
                    return "killed"
        return "survived"

    def fails(self, command, case):
        try:
            return run(command, timeout=TIMEOUT, errors="replace",
                       env={**os.environ, "CK_FORK": "no", "CK_VERBOSITY": "silent",
                            "CK_RUN_CASE": case}).returncode != 0
        except subprocess.TimeoutExpired:
            return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / "build" / "mutate"))
    parser.add_argument("--library")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("pattern", nargs="?", default="")
    options = parser.parse_args()
    mutants = [(name, source) for path in sorted(OPS.glob("*.c"))
               for name, source in mutants_of(path)
               if name not in SAME and options.pattern in name]
    if options.list:
        print(*(name for name, _ in mutants), sep="\n")
        return 0
    library = options.library or build_library(options.build)
    counts = {"killed": 0, "survived": 0, "not compiled": 0}
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(library, place)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            sources = [source for _, source in mutants]
            names = [name for name, _ in mutants]
            verdicts = pool.map(bench.verdict, range(len(mutants)), names, sources)
            for (name, _), verdict in zip(mutants, verdicts):
                counts[verdict if verdict in counts else "not compiled"] += 1
                if verdict != "killed":
                    print(f"{name}: {verdict}", flush=True)
    print(f"{len(mutants)} mutants: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return 0 if counts["killed"] == len(mutants) and mutants else 1


if __name__ == "__main__":
    sys.exit(main())
