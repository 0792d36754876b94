"""What both Python contenders need: the numbers that all contenders start from, and the talk with bench.

bench writes one request a line and reads one line each: "open NET N THREADS" -> "ok" and which form was chosen
as the fastest, or "none" when the contender does not have it; "loss STEPS" -> the last loss; "run STEPS" ->
nanoseconds.
"""

import math
import sys
import time

import numpy as np

IN, CLASSES, SGD_LR = 784, 10, 0.1
SEED_X, SEED_TARGET, SEED_GY, SEED_W1 = range(1, 5)


def unit(n, seed):
    """The u of synth_uniform in bench.c."""
    h = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed * 0x85EBCA77 & 0xFFFFFFFF)
    h = (h ^ (h >> 16)) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> 15)) * np.uint32(0x846CA68B)
    return ((h ^ (h >> 16)) >> 8).astype(np.float32) * np.float32(2**-24)


def uniform(shape, seed, low, high):
    low, high = np.float32(low), np.float32(high)
    return low + (high - low) * unit(math.prod(shape), seed).reshape(shape)


def labels(n):
    return (unit(n, SEED_TARGET) * CLASSES).astype(np.int64)


def parameters(names_shapes):
    """The values of fill_parameters in run_minnow.c."""
    for i, (name, shape) in enumerate(names_shapes):
        weight, norm = "weight" in name, len(shape) == 1
        centre = 1 if weight and norm else 0
        if weight:
            bound = 0.5 if norm else math.prod(shape[1:]) ** -0.5
        yield uniform(shape, SEED_W1 + i, centre - bound, centre + bound)


def run(work, steps):
    start = time.perf_counter_ns()
    for _ in range(steps):
        loss = work.step()
    work.wait(loss)
    return time.perf_counter_ns() - start


def serve(version, open_work):
    """open_work(net, n, threads) gives an object with step() -> the loss, wait(loss) and form, or None."""
    print(version, flush=True)
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "open":
            work = open_work(words[0], int(words[1]), int(words[2]))
            answer = f"ok {work.form}" if work else "none"
        elif verb == "loss":
            for _ in range(int(words[0])):
                loss = work.step()
            answer = repr(loss.item())
        else:
            answer = str(run(work, int(words[0])))
        print(answer, flush=True)
