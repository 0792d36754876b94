"""PyTorch's side of the benchmark: a child process that runs steps when bench asks for them.

Reads one request a line, answers one line each: "open mlp N", "open cnn N" or "open rrelu N" -> "ok" and a
remark; "loss STEPS" -> the last loss; "run STEPS" -> nanoseconds. Eager mode, the fastest of torch's own SGD
forms, gradients set to None. argv[1]: threads.
"""

import platform
import sys
import time

import torch
import torch.nn.functional as F

IN, HIDDEN, OUT, LR = 784, 128, 10, 0.1
SIDE, CHANNELS1, CHANNELS2, KERNEL = 28, 16, 32, 5
SEED_X, SEED_TARGET, SEED_GY, SEED_W1 = range(1, 5)
SGD_FORMS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "plain": {"foreach": False}}


def unit(n, seed):
    """The u of synth_uniform in bench.c, f32."""
    mask = 0xFFFFFFFF
    h = (torch.arange(n, dtype=torch.int64) * 0x9E3779B1 + seed * 0x85EBCA77) & mask
    h = ((h ^ (h >> 16)) * 0x7FEB352D) & mask
    h = ((h ^ (h >> 15)) * 0x846CA68B) & mask
    h = h ^ (h >> 16)
    return (h >> 8).float() * 2.0**-24


def uniform(shape, seed, low, high):
    u = unit(torch.Size(shape).numel(), seed).reshape(shape)
    low, high = torch.tensor([low, high], dtype=torch.float32)
    return low + (high - low) * u


def mlp():
    return torch.nn.Sequential(torch.nn.Linear(IN, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, OUT))


def cnn():
    def block(n_in, n_out):
        conv = torch.nn.Conv2d(n_in, n_out, KERNEL, padding=KERNEL // 2)
        return [conv, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]

    last = torch.nn.Linear(CHANNELS2 * (SIDE // 4) ** 2, OUT)
    return torch.nn.Sequential(*block(1, CHANNELS1), *block(CHANNELS1, CHANNELS2), torch.nn.Flatten(), last)


NETS = {"mlp": (mlp, (IN,)), "cnn": (cnn, (1, SIDE, SIDE))}


class Net:
    def __init__(self, name, n, sgd):
        make, shape = NETS[name]
        self.net = make()
        bound = 0.0
        with torch.no_grad():
            for i, p in enumerate(self.net.parameters()):
                if p.dim() > 1:  # a weight, then its bias
                    bound = p[0].numel() ** -0.5
                p.copy_(uniform(p.shape, SEED_W1 + i, -bound, bound))
        self.x = uniform((n,) + shape, SEED_X, 0, 1)
        self.target = (unit(n, SEED_TARGET) * OUT).long()
        self.optim = torch.optim.SGD(self.net.parameters(), lr=LR, **SGD_FORMS[sgd])

    def step(self):
        self.optim.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.net(self.x), self.target)
        loss.backward()
        self.optim.step()
        return loss


class Rrelu:
    def __init__(self, n):
        self.x = uniform((n,), SEED_X, -1, 1).requires_grad_()
        self.gy = uniform((n,), SEED_GY, 0, 1)

    def step(self):
        self.x.grad = None
        F.rrelu(self.x, 1 / 8, 1 / 3, training=True).backward(self.gy)


def run(work, steps):
    start = time.perf_counter_ns()
    for _ in range(steps):
        work.step()
    return time.perf_counter_ns() - start


def fastest_sgd(name, n):
    """The form of SGD whose best of five short runs, taken in turns, is the shortest."""
    works = {sgd: Net(name, n, sgd) for sgd in SGD_FORMS}
    steps = max(2, 640 // n)
    best = {}
    for turn in range(6):
        for sgd, work in works.items():
            ns = run(work, steps)
            if turn > 0:
                best[sgd] = min(ns, best.get(sgd, ns))
    return min(best, key=best.get)


def main():
    torch.set_num_threads(int(sys.argv[1]))
    version = torch.__version__.split("+")[0]
    print(f"PyTorch {version}, Python {platform.python_version()}", flush=True)
    work = None
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "open" and words[0] in NETS:
            sgd = fastest_sgd(words[0], int(words[1]))
            work = Net(words[0], int(words[1]), sgd)
            answer = f"ok {sgd} SGD"
        elif verb == "open":
            work = Rrelu(int(words[1]))
            answer = "ok"
        elif verb == "loss":
            for _ in range(int(words[0])):
                loss = work.step()
            answer = "nan" if loss is None else repr(loss.item())
        else:
            answer = str(run(work, int(words[0])))
        print(answer, flush=True)


main()
