"""PyTorch's side of the benchmark: a child process that runs steps when bench asks for them.

Eager mode, gradients set to None, and the fastest of torch's own forms of the optimizer and, of nets on images,
of the layout in memory.
"""

import itertools
import platform

import torch
import torch.nn.functional as F
from synthetic import CLASSES, IN, SEED_GY, SEED_X, SGD_LR, labels, parameters, run, serve, uniform
from torch import nn

OPTIM_FORMS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "plain": {"foreach": False}}
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def mlp(*widths, activation=nn.ReLU):
    layers = [[nn.Linear(n_in, n_out), activation()] for n_in, n_out in itertools.pairwise(widths)]
    return nn.Sequential(*itertools.chain(*layers)).append(nn.Linear(widths[-1], CLASSES))


def cnn5():
    def block(n_in, n_out):
        return [nn.Conv2d(n_in, n_out, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(1, 16), *block(16, 32), nn.Flatten(), nn.Linear(32 * 7 * 7, CLASSES))


def cnn3():
    def block(n_in, n_out):
        return [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]

    return nn.Sequential(
        *block(1, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2), *block(64, 64),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES),
    )  # fmt: skip


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(64, 128)
        self.linear = nn.Linear(128, CLASSES)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.linear(h[0])


def encoder(dropout):
    return nn.TransformerEncoderLayer(128, 4, 512, dropout=dropout, batch_first=True)


def mean_square(y, _):
    return y.square().mean()


# The net, x's shape with 0 for the batch, the loss.
NETS = {
    "mlp": (lambda: mlp(IN, 128), (0, IN), F.cross_entropy),
    "mlp_rrelu": (lambda: mlp(IN, 128, activation=nn.RReLU), (0, IN), F.cross_entropy),
    "mlp3": (lambda: mlp(IN, 512, 512), (0, IN), F.cross_entropy),
    "cnn5": (cnn5, (0, 1, 28, 28), F.cross_entropy),
    "cnn3": (cnn3, (0, 1, 28, 28), F.cross_entropy),
    "lstm": (Lstm, (32, 0, 64), F.cross_entropy),
    "encoder": (lambda: encoder(0.0), (0, 64, 128), mean_square),
    "encoder_dropout": (lambda: encoder(0.1), (0, 64, 128), mean_square),
}


class Net:
    def __init__(self, name, n, form, layout=None):
        make, shape, self.loss = NETS[name]
        self.form = " ".join(filter(None, (form, layout)))
        memory = {"memory_format": LAYOUTS[layout]} if layout else {}
        self.net = make()
        named = list(self.net.named_parameters())
        with torch.no_grad():
            for (_, p), value in zip(named, parameters((name, p.shape) for name, p in named)):
                p.copy_(torch.from_numpy(value))
        self.net.to(**memory)
        x = uniform([size or n for size in shape], SEED_X, 0, 1)
        self.x = torch.from_numpy(x).contiguous(**memory)
        self.target = torch.from_numpy(labels(n))
        optim, lr = (torch.optim.Adam, 0.001) if name == "mlp3" else (torch.optim.SGD, SGD_LR)
        self.optim = optim(self.net.parameters(), lr=lr, **OPTIM_FORMS[form])

    def step(self):
        self.optim.zero_grad(set_to_none=True)
        loss = self.loss(self.net(self.x), self.target)
        loss.backward()
        self.optim.step()
        return loss

    def wait(self, loss):
        pass


class Rrelu:
    form = ""

    def __init__(self, n):
        self.x = torch.from_numpy(uniform((n,), SEED_X, -1, 1)).requires_grad_()
        self.gy = torch.from_numpy(uniform((n,), SEED_GY, 0, 1))

    def step(self):
        self.x.grad = None
        F.rrelu(self.x, 1 / 8, 1 / 3, training=True).backward(self.gy)

    def wait(self, loss):
        pass


def fastest(name, n):
    """The net in the form whose best of five short runs, taken in turns, is the shortest."""
    layouts = LAYOUTS if len(NETS[name][1]) == 4 else [None]
    forms = list(itertools.product(OPTIM_FORMS, layouts))
    works = [Net(name, n, *form) for form in forms]
    steps = max(2, int(2e7 / run(works[0], 1)))
    best = [min(times) for times in zip(*([run(work, steps) for work in works] for _ in range(5)))]
    return Net(name, n, *forms[best.index(min(best))])


def open_work(name, n, threads):
    torch.set_num_threads(threads)
    return Rrelu(n) if name == "rrelu" else fastest(name, n)


serve(f"PyTorch {torch.__version__.split('+')[0]}, Python {platform.python_version()}", open_work)
