"""Random settings of optimizers, and what PyTorch makes of them: for tests/pytorch.py, and for a fixture of the C suite.

In half of the trials b and e are groups of parameters with a rate and a decay of their own.
A trial has two dense parameters, a [3, 2] and b [2], and an embedding e [6, 2]; in each update each of them may be absent,
frozen, or have a gradient, perhaps of zeros. beta2 is not 0: nor is alpha: rows without gradient would then be divided by epsilon.
"""

import math

import numpy
import torch

SHAPES = {"a": (3, 2), "b": (2,), "e": (6, 2)}
NOT_THERE, FROZEN, WITH_GRADIENT, ZERO_GRADIENT = range(4)
KINDS = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad)
SGD, ADAM, ADAMW, RMSPROP, ADAGRAD = range(5)


MIXED = [NOT_THERE, FROZEN, WITH_GRADIENT, WITH_GRADIENT, ZERO_GRADIENT]


def draw(rng, steps=24, looked_up=4, kind=None, usual=None):
    """`usual`: what parameters do in an update."""
    kind = rng.randrange(len(KINDS)) if kind is None else kind
    lr = 10 ** rng.uniform(-4, -1)
    options = [kind, lr, rng.choice([0, 0, 0.5, 0.9, 0.99]) if kind in (SGD, RMSPROP) else 0, rng.choice([0, 0.5, 0.9, 0.95])]
    options += [rng.choice([0.8, 0.9, 0.99, 0.999]), rng.choice([1e-8, 1e-8, 1e-6, 1e-3]), rng.choice([0, 0, 0.01, 0.3])]
    options += [rng.choice([0, 0, 0.5, 2, 10]), rng.choice([0.5, 0.9, 0.99]), rng.choice([0, 0, 0.1]), rng.choice([0, 0, 0.1])]
    groups = [[rng.choice([0.1, 1, 3]), rng.choice([0, 0.01, 0.3])] for _ in range(rng.choice([0, 2]))]
    constant = rng.random() < 0.5
    usual = usual or rng.choice([[WITH_GRADIENT], MIXED])
    parts = [[rng.choice(usual) for _ in SHAPES] for _ in range(steps)]
    ids = [[min(rng.randrange(6), rng.randrange(6)) for _ in range(looked_up)] for _ in range(steps)]
    size = 10 ** rng.uniform(-2, 1)

    def numbers(*shape, scale=1.0):
        return numpy.array([scale * rng.gauss(0, 1) for _ in range(math.prod(shape))], dtype=numpy.float32).reshape(shape)

    trial = {
        "options": numpy.array(options, dtype=numpy.float64),
        "groups": numpy.array(groups, dtype=numpy.float64).reshape(-1, 2),
        "rates": numpy.array([lr * (1 if constant else rng.uniform(0.1, 1)) for _ in range(steps)]),
        "parts": numpy.array(parts, dtype=numpy.int32),
        "ids": numpy.array(ids, dtype=numpy.int32),
        "padding": numpy.array([rng.choice([-1, 0, 2])], dtype=numpy.int32),
    }
    for name, shape in SHAPES.items():
        trial["first/" + name] = numbers(*shape)
        trial["grad/" + name] = numbers(steps, *((looked_up, 2) if name == "e" else shape), scale=size)
    return trial


def run(trial, dtype=torch.float64):
    """Each parameter after each update, [T, ...]."""
    kind, lr, momentum, beta1, beta2, eps, decay, clip, alpha, lr_decay, accumulator = trial["options"].tolist()
    parameters = {name: torch.nn.Parameter(torch.tensor(trial["first/" + name], dtype=dtype)) for name in SHAPES}
    own = {
        SGD: dict(momentum=momentum),
        ADAM: dict(betas=(beta1, beta2), eps=eps),
        ADAMW: dict(betas=(beta1, beta2), eps=eps),
        RMSPROP: dict(alpha=alpha, eps=eps, momentum=momentum),
        ADAGRAD: dict(lr_decay=lr_decay, initial_accumulator_value=accumulator, eps=eps),
    }[int(kind)]
    names = ([["a"], ["b"], ["e"]] if len(trial["groups"]) else [list(SHAPES)])
    shares = [[1, decay]] + trial["groups"].tolist()
    groups = [dict(params=[parameters[name] for name in part], weight_decay=own_decay)
              for part, (_, own_decay) in zip(names, shares)]
    optimizer = KINDS[int(kind)](groups, lr=lr, **own)
    padding = int(trial["padding"][0])
    results = {name: [] for name in SHAPES}
    for step, rate in enumerate(trial["rates"]):
        for group, (share, _) in zip(optimizer.param_groups, shares):
            group["lr"] = float(rate) * share
        loss = torch.zeros((), dtype=dtype)
        for name, part in zip(SHAPES, trial["parts"][step]):
            p = parameters[name]
            p.grad = None
            p.requires_grad_(bool(part != FROZEN))
            if part == NOT_THERE:
                continue
            value = p
            if name == "e":
                ids = torch.tensor(trial["ids"][step].astype(numpy.int64))
                value = torch.nn.functional.embedding(ids, p, padding_idx=padding if padding >= 0 else None)
            gradient = torch.tensor(trial["grad/" + name][step], dtype=dtype)
            loss = loss + (value * gradient).sum() * (0 if part == ZERO_GRADIENT else 1)
        if loss.requires_grad:
            loss.backward()
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(parameters.values(), clip)
        optimizer.step()
        for name, p in parameters.items():
            results[name].append(p.detach().numpy().copy())
    return {name: numpy.stack(values) for name, values in results.items()}
