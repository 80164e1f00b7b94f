#!/usr/bin/env python3
"""Reel against the sample inputs that PyTorch ships for its own ops: values, gradients and gradients of gradients; part of
`make test-pytorch`. In f64 to 1e-9 in four layouts, in f32 to 1e-4, of the larger of 1 and the value.

Arguments are names of ops; without, all are compared. Without PyTorch, or expecttest, which its samples want, all is
skipped, which is a failure with SKIPS=fail.
"""

import collections
import os
import pathlib
import sys
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = os.environ.get("REEL_LIBRARY") or next((ROOT / "build/release").glob("libreel.so.*"), None)
warnings.filterwarnings("ignore")
try:
    import torch
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    import pytorch_modules
    import pytorch_said
    from pytorch_reel import Reel, Refused, Unsaid, V
except ImportError as error:
    print(f"test-pytorch: samples skipped: {error}")
    sys.exit(1 if os.environ.get("REEL_SKIPS") == "fail" else 0)

torch.set_num_threads(1)
LIMITS = {torch.float64: 1e-9, torch.float32: 1e-4}


class Wrong(Exception):
    pass


class Elsewhere(Exception):
    """PyTorch itself cannot do it in this layout."""


# ---- Layouts of what is given ----

def transposed(t):
    return t.transpose(-2, -1).contiguous().transpose(-2, -1)


def strided(t):
    """Every second element of memory with NaN between."""
    part = torch.full([2 * n for n in t.shape], float("nan"), dtype=t.dtype)[tuple(slice(None, None, 2) for _ in t.shape)]
    part.copy_(t)
    return part


def with_offset(t):
    flat = torch.full([t.numel() + 5], float("nan"), dtype=t.dtype)
    flat[3: 3 + t.numel()] = t.reshape(-1)
    return flat[3: 3 + t.numel()].view(t.shape)


LAYOUTS = {"as it is": (lambda t: t, 0), "transposed": (transposed, 2), "strided": (strided, 0), "offset": (with_offset, 0)}


# ---- One sample ----

class Given:
    """A sample's arguments for PyTorch and for Reel, its tensors laid out anew."""

    def __init__(self, reel, layout):
        self.reel, self.layout, self.leaves, self.vars = reel, LAYOUTS[layout], [], []

    def tensor(self, x):
        if x.layout != torch.strided:
            raise Unsaid("sparse tensors")
        if not x.is_floating_point():
            v = self.reel.constant(x)
            v.was_mask = x.dtype in (torch.bool, torch.uint8)
            return x, v
        change, axes = self.layout
        t = x.detach()
        t = change(t) if t.dim() >= axes and t.numel() else t
        if not x.requires_grad:
            return t, self.reel.constant(t)
        self.leaves.append(t.detach().requires_grad_())
        self.vars.append(self.reel.leaf(t))
        self.vars[-1].offset = t.storage_offset()
        return self.leaves[-1], self.vars[-1]

    def pair(self, x):
        if isinstance(x, torch.Tensor):
            return self.tensor(x)
        if isinstance(x, (tuple, list)) and not isinstance(x, torch.Size):
            pairs = [self.pair(y) for y in x]
            return type(x)(p[0] for p in pairs), type(x)(p[1] for p in pairs)
        if isinstance(x, dict):
            pairs = {k: self.pair(y) for k, y in x.items()}
            return {k: p[0] for k, p in pairs.items()}, {k: p[1] for k, p in pairs.items()}
        return x, x


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, (tuple, list)) else [x]


def agree(what, got, want, limit):
    if not isinstance(want, torch.Tensor):
        if got != want:
            raise Wrong(f"{what}: {got} for {want}")
        return
    if want.is_complex():
        raise Unsaid("complex numbers")
    got, want = got.value() if isinstance(got, V) else got, want.detach()
    if got.shape != want.shape:
        raise Wrong(f"{what}: shape {list(got.shape)} for {list(want.shape)}")
    if want.is_floating_point() and got.dtype != want.dtype:
        raise Wrong(f"{what}: {got.dtype} for {want.dtype}")
    got, want = got.double(), want.double()
    same = (got == want) | (got.isnan() & want.isnan())
    off = ((got - want).abs() / want.abs().clamp(min=1)).masked_fill(same, 0)
    if not (off <= limit).all():
        at = (~(off <= limit)).nonzero()[0].tolist()
        raise Wrong(f"{what}{at}: {got[tuple(at)].item():.12g} for {want[tuple(at)].item():.12g}")


def gradients_of(ends, leaves, seeds, graph=False):
    return torch.autograd.grad([w for _, w in ends], leaves, seeds, allow_unused=True, create_graph=graph)


def agree_gradients(what, given, found, wanted, limit):
    for i, (leaf, f, w) in enumerate(zip(given.leaves, found, wanted)):
        agree(f"{what} {i}", f or torch.zeros_like(leaf), torch.zeros_like(leaf) if w is None else w, limit)


def compare(reel, function, say, sample, layout, limit, depth):
    """Values, and as many derivatives as `depth` and PyTorch have; how many these were."""
    reel.begin()
    pytorch_said.REEL[0] = reel
    given = Given(reel, layout)
    theirs, ours = given.pair([sample.input, list(sample.args), sample.kwargs])
    try:
        want = flat([function(theirs[0], *theirs[1], **theirs[2])])
    except RuntimeError as error:
        raise error if layout == "as it is" else Elsewhere(str(error))
    got = flat([say(ours[0], *ours[1], **ours[2])])
    reel.check()
    if len(got) != len(want):
        raise Wrong(f"{len(got)} results for {len(want)}")
    for i, (g, w) in enumerate(zip(got, want)):
        agree(f"value {i}", g, w, limit)
    ends = [(g, w) for g, w in zip(got, want) if isinstance(w, torch.Tensor) and w.requires_grad and w.is_floating_point()]
    if not ends or not given.leaves or depth == 0:
        return 0
    generator = torch.Generator().manual_seed(1)
    draw = lambda: [torch.rand(w.shape, dtype=w.dtype, generator=generator) + 0.5 for _, w in ends]
    seeds = draw()
    try:
        wanted = gradients_of(ends, given.leaves, seeds, depth > 1)
    except RuntimeError as error:
        if depth > 1:
            return compare(reel, function, say, sample, layout, limit, 1)
        raise Elsewhere(str(error))
    found = reel.vjp([g for g, _ in ends], [reel.constant(s) for s in seeds], given.vars, depth > 1)
    agree_gradients("gradient", given, found, wanted, limit)
    ends = [(f, w) for f, w in zip(found, wanted) if w is not None and w.requires_grad and f]
    if depth == 1 or not ends:
        return 1
    seeds = draw()
    try:
        wanted = gradients_of(ends, given.leaves, seeds)
    except RuntimeError:  # PyTorch has none
        return 1
    found = reel.vjp([f for f, _ in ends], [reel.constant(s) for s in seeds], given.vars, False)
    agree_gradients("gradient of the gradient", given, found, wanted, limit)
    return 2


# ---- All of them ----

class Tally:
    def __init__(self):
        self.said, self.samples, self.equal, self.twice = set(), 0, 0, 0
        self.unsaid, self.wrong = collections.Counter(), []

    def note_wrong(self, name, number, dtype, layout, error):
        text = f"{name}, sample {number}, {str(dtype)[6:]}, {layout}: {error}"
        self.wrong.append(text if isinstance(error, (Wrong, Refused)) else f"{text} ({type(error).__name__})")


def name_of(op):
    return op.name + ("/" + op.variant_test_name if op.variant_test_name else "")


def say_of(op):
    return pytorch_said.SAID.get(name_of(op)) or pytorch_said.SAID.get(op.name)


def compare_sample(tally, reel, op, say, sample, number, dtype):
    name, first = name_of(op), dtype != torch.float32
    limit = pytorch_said.INEXACT.get(op.name, (LIMITS[torch.float64], LIMITS[torch.float32]))[0 if first else 1]
    tally.samples += first
    for layout in LAYOUTS if first and op.name not in pytorch_said.ONE_LAYOUT else ["as it is"]:
        plain = layout == "as it is"
        depth = 2 if op.supports_gradgrad and first and plain and name not in pytorch_said.ONCE else 1
        try:
            torch.manual_seed(0)
            reached = compare(reel, op, say, sample, layout, limit, 0 if name in pytorch_said.VALUE_ONLY else depth)
            tally.equal += first and plain
            tally.twice += reached == 2
            tally.said.add(name)
        except Elsewhere:
            continue
        except Unsaid as error:
            tally.unsaid[str(error)] += first
            return
        except Exception as error:
            tally.note_wrong(name, number, dtype, layout, error)
            return


def compare_op(tally, reel, op, say):
    for dtype in (torch.float64, torch.float32, torch.int64):
        if dtype in op.dtypes and (dtype.is_floating_point or torch.float64 not in op.dtypes):
            torch.manual_seed(0)
            for number, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype.is_floating_point)):
                compare_sample(tally, reel, op, say, sample, number, dtype)


# ---- Modules ----

def compare_module(reel, module, say, sample):
    """The results of a module, the gradients of what goes in and of its parameters, and the gradients of these; whether
    PyTorch has the latter."""
    module = module.to(torch.float64)
    reel.begin()
    given = Given(reel, "as it is")
    theirs, ours = given.pair([list(sample.args), sample.kwargs])
    if any(isinstance(q, torch.nn.parameter.UninitializedParameter) for q in module.parameters()):
        module(*theirs[0], **theirs[1])
    part = pytorch_modules.Part(reel, module)
    want = flat([module(*theirs[0], **theirs[1])])
    try:
        got = flat([say(part, *ours[0], **ours[1])])
        reel.check()
        ends = [(g, w) for g, w in zip(got, want) if g is not pytorch_modules.LEFT_OUT and w is not None]
        loss, total = None, 0
        for i, (g, w) in enumerate(ends):
            agree(f"result {i}", g, w, LIMITS[torch.float64])
            seed = torch.linspace(0.5, 1.5, w.numel(), dtype=w.dtype).reshape(w.shape)
            if w.is_floating_point():
                term = (g * reel.constant(seed)).sum()
                loss, total = term if loss is None else loss + term, total + (w * seed).sum()
        if not isinstance(total, torch.Tensor) or not total.requires_grad:
            return False
        places = [(f"input {i}", leaf, v) for i, (leaf, v) in enumerate(zip(given.leaves, given.vars))]
        places += [(name, q, part.place(name)) for name, q in module.named_parameters()]
        wanted = torch.autograd.grad(total, [q for _, q, _ in places], allow_unused=True, create_graph=True)
        twice = agree_second(reel, places, loss, wanted)
        if not reel.f.tape_backward(loss.var):
            reel.check()
        for (name, q, v), w in zip(places, wanted):
            agree(f"gradient of {name}", of_place(v and reel.gradient(v), q), of_place(w, q), LIMITS[torch.float64])
        return twice
    finally:
        part.free()


def of_place(gradient, like):
    return torch.zeros_like(like) if gradient is None else gradient


def agree_second(reel, places, loss, wanted):
    """The gradients once more by tape_vjp(), and those of their sum with weights; False where PyTorch has none."""
    known = [(name, q, v, w) for (name, q, v), w in zip(places, wanted) if v]
    found = reel.vjp([loss], [reel.constant(torch.ones([], dtype=torch.float64))], [v for _, _, v, _ in known], True)
    sum_found, sum_wanted = None, 0
    for (name, q, _, w), g in zip(known, found):
        agree(f"gradient of {name} as a value", of_place(g, q), of_place(w, q), LIMITS[torch.float64])
        if g and w is not None and w.requires_grad:
            seed = torch.linspace(1.5, 0.5, w.numel(), dtype=w.dtype).reshape(w.shape)
            term = (g * reel.constant(seed)).sum()
            sum_found, sum_wanted = term if sum_found is None else sum_found + term, sum_wanted + (w * seed).sum()
    if sum_found is None:
        return False
    try:
        wanted = torch.autograd.grad(sum_wanted, [q for _, q, _, _ in known], allow_unused=True, retain_graph=True)
    except RuntimeError:  # PyTorch has none
        return False
    found = reel.vjp([sum_found], [reel.constant(torch.ones([], dtype=torch.float64))], [v for _, _, v, _ in known], False)
    for (name, q, _, _), g, w in zip(known, found, wanted):
        agree(f"gradient of the gradients by {name}", of_place(g, q), of_place(w, q), LIMITS[torch.float64])
    return True


def compare_modules(tally, reel, names):
    for info in module_db:
        name = info.module_cls.__name__
        say = pytorch_modules.SAYS.get(name)
        if not say or names and name not in names:
            continue
        torch.manual_seed(0)
        for number, sample in enumerate(info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=True)):
            tally.samples += 1
            try:
                module = info.module_cls(*sample.constructor_input.args, **sample.constructor_input.kwargs)
                tally.twice += compare_module(reel, module, say, sample.forward_input)
                tally.equal += 1
                tally.said.add(name)
            except Unsaid as error:
                tally.unsaid[str(error)] += 1
            except Exception as error:
                tally.note_wrong(name, number, torch.float64, "module", error)


def print_reasons(ops):
    """The ops that are not said, by why; those without a reason as such."""
    reasons = {name: why for why, names in pytorch_said.UNSAID.items() for name in names.split()}
    rows = collections.defaultdict(list)
    for op in ops:
        rows[reasons.get(name_of(op)) or reasons.get(op.name) or "not looked at"].append(name_of(op))
    for why, names in sorted(rows.items(), key=lambda row: -len(row[1])):
        print(f"  {len(names):3d} {why}: {', '.join(names)}")


def report(kind, tally, count, start):
    for text in tally.wrong:
        print("wrong:", text)
    why = ", ".join(f"{n} {reason}" for reason, n in tally.unsaid.most_common() if n)
    print(f"samples of {kind} that cannot be said: {why or 'none'}")
    twice = f", {tally.twice} differentiated twice" if tally.twice else ""
    print(f"test-pytorch: PyTorch {torch.__version__}: {len(tally.said)} of {count} {kind}, {tally.equal} of {tally.samples} samples{twice}; "
          f"{len(tally.wrong)} wrong; {time.time() - start:.0f} s")


def main():
    names, tally, start = sys.argv[1:], Tally(), time.time()
    reel = Reel(ROOT, LIBRARY)
    for op in op_db:
        say = say_of(op)
        if say and (not names or op.name in names or name_of(op) in names):
            compare_op(tally, reel, op, say)
    if not names:
        print("ops of PyTorch that Reel has no words for:")
        print_reasons([op for op in op_db if name_of(op) not in tally.said])
        for kind in (pytorch_said.INEXACT, pytorch_said.ONCE, pytorch_said.VALUE_ONLY, pytorch_said.ONE_LAYOUT):
            for name, why in kind.items():
                print(f"  compared with less: {name}: {why[-1] if isinstance(why, tuple) else why}")
    report("ops", tally, len(op_db), start)
    modules, start = Tally(), time.time()
    compare_modules(modules, reel, names)
    if not names:
        print(f"modules that are not said: {', '.join(m.name for m in module_db if m.module_cls.__name__ not in modules.said) or 'none'}")
    report("modules", modules, len(module_db), start)
    sys.exit(1 if tally.wrong or modules.wrong else 0)


if __name__ == "__main__":
    main()
