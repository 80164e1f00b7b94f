"""Reel's public functions on Vars, called through libreel.so: for tests/pytorch_samples.py."""

import ctypes
import math
import os
import re
import shlex
import subprocess

import torch

MAX_DIMS, ALL = 6, 0xFFFFFFFF
DTYPES = {torch.float32: 1, torch.float64: 2, torch.int32: 3}
F32, F64, I32 = 1, 2, 3


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("ndim", ctypes.c_int),
                ("shape", ctypes.c_int64 * MAX_DIMS), ("strides", ctypes.c_int64 * MAX_DIMS)]


class Var(ctypes.Structure):
    _fields_ = [("tape", ctypes.c_void_p), ("index", ctypes.c_uint32), ("stamp", ctypes.c_uint32)]


class Status(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 508)]


class Unsaid(Exception):
    """A sample that cannot be said in Reel, and why."""


class Refused(Exception):
    """What Reel's tape says."""


TYPES = {"void": None, "int": ctypes.c_int, "unsigned": ctypes.c_uint, "unsigned int": ctypes.c_uint, "int32_t": ctypes.c_int32,
         "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64, "double": ctypes.c_double, "_Bool": ctypes.c_bool, "bool": ctypes.c_bool,
         "Var": Var, "Tensor": Tensor, "ReelStatus": Status, "VarReduction": ctypes.c_int, "TensorDtype": ctypes.c_int,
         "const Var *": ctypes.POINTER(Var), "Var *": ctypes.POINTER(Var), "const char *": ctypes.c_char_p,
         "const int64_t *": ctypes.POINTER(ctypes.c_int64), "const int *": ctypes.POINTER(ctypes.c_int),
         "const int32_t *": ctypes.POINTER(ctypes.c_int32), "const ReelStatus *": ctypes.POINTER(Status)}


def type_of(declaration):
    """The ctypes type of a parameter or a member, and its name; KeyError: it is not known."""
    if "(*" in declaration:
        return ctypes.c_void_p, re.search(r"\(\*(\w+)", declaration).group(1)
    declaration = declaration.strip()
    if declaration in TYPES:
        return TYPES[declaration], ""
    words, name = re.fullmatch(r"(.*?[ *])(\w+)", declaration).groups()
    words = words.strip()
    return TYPES[words] if words in TYPES or not words.endswith("*") else ctypes.c_void_p, name


def read_structs(text):
    """Adds the public structs of plain members to the types."""
    for name, members in re.findall(r"typedef struct (\w+) \{([^{}]*)\} \1;", text):
        try:
            fields = []
            for member in members.split(";"):
                kind, _, names = member.strip().partition(" ")
                if "," in names and "(" not in names:
                    fields += [(n.strip(), TYPES[kind]) for n in names.split(",")]
                elif member.strip():
                    fields.append(type_of(member)[::-1])
            TYPES.setdefault(name, type(name, (ctypes.Structure,), {"_fields_": fields}))
        except (KeyError, AttributeError):
            pass


def declarations(root):
    """name -> (type of the result, types of the arguments), of the public headers."""
    text = subprocess.run([*shlex.split(os.environ.get("REEL_CC", "cc")), "-E", "-P", "-DREEL_LIBRARY", "-I.", "-"], cwd=root, check=True,
                          input='#include "nn/nn.h"\n#include "tensor/tensor.h"\n', capture_output=True, text=True).stdout
    text = re.sub(r"\s+", " ", text)
    read_structs(text)
    found = {}
    for statement in re.split(r"[;{}]", text):
        match = re.fullmatch(r" ?(?:extern )?((?:const )?\w+ \*?)(\w+) ?\((.*)\) ?", statement)
        try:
            result, name, arguments = match.groups()
            result = ctypes.c_void_p if result.endswith("*") and result.strip() not in TYPES else TYPES[result.strip()]
            found[name] = (result, [type_of(a)[0] for a in arguments.split(",")] if arguments.strip() != "void" else [])
        except (AttributeError, KeyError):
            pass
    return found


class Reel:
    def __init__(self, root, library):
        self.lib = ctypes.CDLL(str(library))
        self.functions = {}
        for name, (result, arguments) in declarations(root).items():
            function = getattr(self.lib, name, None)
            if function:
                function.restype, function.argtypes = result, arguments
                self.functions[name] = function
        self.f = type("Functions", (), {n: staticmethod(f) for n, f in self.functions.items()})
        self.tape = self.f.tape_new()
        self.kept = []

    def begin(self):
        self.f.tape_begin(self.tape)
        self.kept.clear()

    def check(self):
        status = self.f.tape_status(self.tape).contents
        if status.code:
            raise Refused(status.message.decode().split(" (called")[0])

    def view(self, t):
        """The memory of a torch tensor; of integers and truth values, a copy as i32."""
        t = t.detach()
        if t.dtype in (torch.int64, torch.bool, torch.uint8, torch.int16, torch.int8):
            t = t.to(torch.int32).contiguous()
        if t.dtype not in DTYPES:
            raise Unsaid(f"the dtype {str(t.dtype)[6:]}")
        if t.dim() > MAX_DIMS:
            raise Unsaid("more than six axes")
        self.kept.append(t)
        view = Tensor(t.data_ptr() or None, DTYPES[t.dtype], t.dim())
        for i, (size, stride) in enumerate(zip(t.shape, t.stride())):
            view.shape[i], view.strides[i] = size, stride
        if not view.data:  # of no element
            self.kept.append(ctypes.create_string_buffer(8))
            view.data = ctypes.addressof(self.kept[-1])
        return view

    def constant(self, t):
        return V(self, self.f.tape_constant(self.tape, self.view(t)))

    def leaf(self, t):
        return V(self, self.f.tape_leaf(self.tape, self.view(t)))

    def read(self, v):
        """A value as a torch tensor of its own."""
        self.check()
        return self.copy(self.f.var_value(v.var))

    def gradient(self, v):
        """After tape_backward(); None where there is none."""
        t = self.f.var_grad(v.var)
        return self.copy(t) if t.dtype else None

    @staticmethod
    def copy(t):
        dtype = {n: d for d, n in DTYPES.items()}[t.dtype]
        shape, strides = list(t.shape[: t.ndim]), list(t.strides[: t.ndim])
        if 0 in shape:
            return torch.empty(shape, dtype=dtype)
        low = sum(s * (n - 1) for n, s in zip(shape, strides) if s < 0)
        high = sum(s * (n - 1) for n, s in zip(shape, strides) if s > 0)
        size = torch.tensor([], dtype=dtype).element_size()
        buffer = ctypes.string_at(t.data + low * size, (high - low + 1) * size)
        flat = torch.frombuffer(bytearray(buffer), dtype=dtype)
        at = torch.full(shape or [1], -low)
        for i, (n, s) in enumerate(zip(shape, strides)):
            at += (torch.arange(n) * s).reshape([-1 if i == j else 1 for j in range(len(shape))])
        return flat[at].reshape(shape)

    def vjp(self, outputs, seeds, inputs, graph):
        """The gradients of the inputs; None where there is none."""
        n, m = len(outputs), len(inputs)
        found = (Var * m)()
        done = self.f.tape_vjp((Var * n)(*[o.var for o in outputs]), (Var * n)(*[s.var for s in seeds]), n,
                               (Var * m)(*[i.var for i in inputs]), m, graph, found)
        if not done:
            self.check()
        return [V(self, Var(g.tape, g.index, g.stamp)) if g.stamp else None for g in found]


def axes_of(dims):
    """A set of axes as Reel writes it; None: all."""
    if dims is None or dims == () or dims == []:
        return ALL
    bits = 0
    for d in dims if isinstance(dims, (tuple, list)) else [dims]:
        bits |= 1 << (d & 31)
    return bits


def ints(values):
    return (ctypes.c_int64 * max(1, len(values)))(*values)


class V:
    """A Var with operators, and the functions of ops.h as methods: x.softmax(-1) is var_softmax(x, -1)."""

    def __init__(self, reel, var):
        self.reel, self.var = reel, var
        if not var.stamp:
            reel.check()
            raise Refused("an empty value without an error")

    # ---- What it is ----
    def dim(self):
        return self.reel.f.var_ndim(self.var)

    @property
    def shape(self):
        return [self.reel.f.var_size(self.var, i) for i in range(self.dim())]

    def size(self, axis):
        if not -self.dim() <= axis < self.dim():
            raise Unsaid("an axis that is not there")
        return self.reel.f.var_size(self.var, axis)

    def numel(self):
        return math.prod(self.shape)

    def dtype(self):
        return self.reel.f.var_value(self.var).dtype

    def is_real(self):
        return self.dtype() != I32

    def value(self):
        return self.reel.read(self)

    # ---- Calling ----
    def wrap(self, x):
        """An operand: a number is a constant of this dtype."""
        if isinstance(x, V):
            return x
        if isinstance(x, bool):
            x = int(x)
        if isinstance(x, complex):
            raise Unsaid("complex numbers")
        if not isinstance(x, (int, float)):
            raise Unsaid(f"an operand of type {type(x).__name__}")
        return V(self.reel, self.reel.f.tape_scalar(self.var, float(x)))

    def call(self, name, *arguments):
        plain = [a.var if isinstance(a, V) else a for a in arguments]
        return V(self.reel, getattr(self.reel.f, name)(self.var, *plain))

    def __getattr__(self, name):
        if "var_" + name not in self.reel.functions:
            raise AttributeError(name)
        return lambda *arguments: self.call("var_" + name, *arguments)

    def real(self, other=None):
        """In floating point: masks and indices as numbers, of the dtype of `other` (f64)."""
        return self if self.is_real() else self.cast(other.dtype() if other is not None else F64)

    def pair(self, other):
        """Two operands of one dtype."""
        other = self.wrap(other)
        a, b = self, other
        if a.is_real() != b.is_real():
            a, b = (a, b.real(a)) if a.is_real() else (a.real(b), b)
        if a.dtype() != b.dtype():
            a, b = a.cast(F64), b.cast(F64)
        return a, b

    def binary(self, name, other):
        a, b = self.pair(other)
        if not a.is_real():
            raise Unsaid("arithmetic of integers")
        return a.call("var_" + name, b)

    def __add__(self, b): return self.binary("add", b)
    def __sub__(self, b): return self.binary("sub", b)
    def __mul__(self, b): return self.binary("mul", b)
    def __truediv__(self, b): return self.binary("div", b)
    def __pow__(self, b): return self.binary("pow", b)
    def __radd__(self, b): return self.wrap(b).binary("add", self)
    def __rsub__(self, b): return self.wrap(b).binary("sub", self)
    def __rmul__(self, b): return self.wrap(b).binary("mul", self)
    def __rtruediv__(self, b): return self.wrap(b).binary("div", self)
    def __rpow__(self, b): return self.wrap(b).binary("pow", self)
    def __neg__(self): return self.call("var_neg")
    def __abs__(self): return self.call("var_abs")
    def maximum(self, b): return self.binary("maximum", b)
    def minimum(self, b): return self.binary("minimum", b)
    def atan2(self, b): return self.binary("atan2", b)
    def hypot(self, b): return self.binary("hypot", b)

    def compare(self, name, other):
        a, b = self.pair(other)
        return a.call("var_" + name, b)

    def __gt__(self, b): return self.compare("greater", b)
    def __ge__(self, b): return self.compare("greater_equal", b)
    def __lt__(self, b): return self.compare("less", b)
    def __le__(self, b): return self.compare("less_equal", b)
    def eq(self, b): return self.compare("equal", b)
    def ne(self, b): return self.compare("not_equal", b)
    def __and__(self, b): return self.logical_and(b)
    def __or__(self, b): return self.logical_or(b)
    def __invert__(self): return self.logical_not()

    def where(self, a, b):
        """self, a mask: a where it holds, else b."""
        if not isinstance(a, V):
            a = b.wrap(a)
        a, b = a.pair(b)
        if not a.is_real():
            raise Unsaid("integers")
        mask = self if not self.is_real() else self.ne(0)
        return V(self.reel, self.reel.f.var_where(mask.var, a.var, b.var))

    # ---- Shapes, in Python's terms ----
    def reshape(self, *shape):
        shape = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else list(shape)
        if len(shape) > MAX_DIMS:
            raise Unsaid("more than six axes")
        return self.call("var_reshape", len(shape), ints(shape))

    def expand(self, *shape):
        shape = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else list(shape)
        if len(shape) > MAX_DIMS:
            raise Unsaid("more than six axes")
        own = self.shape
        shape = [own[i - len(shape)] if s == -1 else s for i, s in enumerate(shape)]
        return self.call("var_expand", len(shape), ints(shape))

    def permute(self, *axes):
        axes = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        return self.call("var_permute", (ctypes.c_int * MAX_DIMS)(*axes))

    def slice(self, axis, start=0, stop=2 ** 63 - 1, step=1):
        return self.call("var_slice", axis, start, stop, step)

    def pad(self, axis, before, after, value=0.0):
        return self.call("var_pad", axis, before, after, float(value))

    def scale(self, factor, offset=0.0):
        return self.call("var_scale", float(factor), float(offset))

    def unbind(self, axis=0):
        parts = (Var * max(1, self.size(axis)))()
        if not self.reel.f.var_unbind(self.var, axis, parts):
            self.reel.check()
        return [V(self.reel, Var(p.tape, p.index, p.stamp)) for p in parts[: self.size(axis)]]

    def split(self, sizes, axis=0):
        parts = (Var * len(sizes))()
        if not self.reel.f.var_split(self.var, axis, ints(sizes), len(sizes), parts):
            self.reel.check()
        return [V(self.reel, Var(p.tape, p.index, p.stamp)) for p in parts]

    def topk(self, k, axis=-1):
        index = Var()
        values = V(self.reel, self.reel.f.var_topk(self.var, k, axis, ctypes.byref(index)))
        return values, V(self.reel, index)

    def reduce(self, name, dims=None, keepdim=False, *more):
        return self.call("var_" + name, *more, axes_of(dims), bool(keepdim))

    def sum(self, dims=None, keepdim=False): return self.reduce("sum", dims, keepdim)
    def mean(self, dims=None, keepdim=False): return self.reduce("mean", dims, keepdim)
    def max(self, dims=None, keepdim=False): return self.reduce("max", dims, keepdim)
    def min(self, dims=None, keepdim=False): return self.reduce("min", dims, keepdim)
    def prod(self, dims=None, keepdim=False): return self.reduce("prod", dims, keepdim)
    def logsumexp(self, dims=None, keepdim=False): return self.reduce("logsumexp", dims, keepdim)
    def var_(self, dims=None, correction=1.0, keepdim=False):
        return self.call("var_var", axes_of(dims), float(correction), bool(keepdim))
    def std(self, dims=None, correction=1.0, keepdim=False):
        return self.call("var_std", axes_of(dims), float(correction), bool(keepdim))
    def norm(self, p=2.0, dims=None, keepdim=False):
        return self.call("var_norm", float(p), axes_of(dims), bool(keepdim))


def join(name, parts, axis):
    """var_concat() or var_stack()."""
    reel = parts[0].reel
    return V(reel, getattr(reel.f, name)((Var * len(parts))(*[p.var for p in parts]), len(parts), axis))


def concat(parts, axis=0):
    return join("var_concat", parts, axis)


def stack(parts, axis=0):
    return join("var_stack", parts, axis)
