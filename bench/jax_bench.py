"""JAX's side of the benchmark, for the nets of linear layers: a child process that runs steps when bench asks
for them. A step is one compiled function whose buffers are donated; the process keeps to one core.
"""

import itertools
import os
import platform

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
from synthetic import CLASSES, IN, SEED_X, SGD_LR, labels, parameters, serve, uniform

WIDTHS = {"mlp": (IN, 128, CLASSES), "mlp_rrelu": (IN, 128, CLASSES), "mlp3": (IN, 512, 512, CLASSES)}


def rrelu(x, key):
    return jnp.where(x >= 0, x, x * jax.random.uniform(key, x.shape, x.dtype, 1 / 8, 1 / 3))


def logits(layers, x, key):
    *hidden, last = layers
    for weight, bias in hidden:
        x = x @ weight.T + bias
        x = jax.nn.relu(x) if key is None else rrelu(x, key)
    return x @ last[0].T + last[1]


def cross_entropy(layers, x, target, key):
    log_p = jax.nn.log_softmax(logits(layers, x, key))
    return -jnp.mean(jnp.take_along_axis(log_p, target[:, None], axis=1))


def sgd(layers, gradients, state):
    return jax.tree.map(lambda p, g: p - SGD_LR * g, layers, gradients), state


def adam(layers, gradients, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v, k = state
    k = k + 1
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradients)
    rate, scale = lr / (1 - beta1**k), 1 / (1 - beta2**k)
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v * scale) + eps), layers, m, v), (m, v, k)


class Net:
    form = ""

    def __init__(self, name, n):
        update = adam if name == "mlp3" else sgd

        def step(layers, state, key, x, target):
            if key is not None:
                key, draw = jax.random.split(key)
            loss, gradients = jax.value_and_grad(cross_entropy)(
                layers, x, target, None if key is None else draw
            )
            layers, state = update(layers, gradients, state)
            return layers, state, key, loss

        shapes = ((("weight", (out, in_)), ("bias", (out,))) for in_, out in itertools.pairwise(WIDTHS[name]))
        values = map(jnp.asarray, parameters(itertools.chain(*shapes)))
        layers = list(zip(values, values))
        zeros = lambda: jax.tree.map(jnp.zeros_like, layers)
        state = (zeros(), zeros(), jnp.zeros(())) if name == "mlp3" else None
        key = jax.random.key(1) if name == "mlp_rrelu" else None
        self.carried = layers, state, key
        self.batch = jnp.asarray(uniform((n, IN), SEED_X, 0, 1)), jnp.asarray(labels(n).astype("int32"))
        self.compiled = jax.jit(step, donate_argnums=(0, 1, 2))

    def step(self):
        *self.carried, loss = self.compiled(*self.carried, *self.batch)
        return loss

    def wait(self, loss):
        jax.block_until_ready((self.carried, loss))


def open_work(name, n, threads):
    return Net(name, n) if name in WIDTHS and threads == 1 else None


serve(f"JAX {jax.__version__}, Python {platform.python_version()}, one core", open_work)
