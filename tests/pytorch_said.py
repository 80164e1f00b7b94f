"""PyTorch's ops said in Reel: for each name of op_db a function of the sample's arguments, with Vars for tensors. What
cannot be said of a sample raises Unsaid; the ops that cannot be said, and why, stand in UNSAID."""

import itertools
import math

import torch

from pytorch_reel import ALL, F32, F64, I32, MAX_DIMS, Refused, Unsaid, V, Var, axes_of, concat, ints, stack

SAID = {}
END = 2 ** 63 - 1
OLD = torch.__version__.startswith("1.")
DTYPE = {torch.float32: F32, torch.float64: F64, torch.float: F32, torch.double: F64, torch.int32: I32}


def says(*names):
    def note(function):
        for name in names:
            SAID[name] = function
        return function
    return note


def cast(x, dtype):
    if dtype is None:
        return x
    if dtype not in DTYPE:
        raise Unsaid(f"the dtype {str(dtype)[6:]}")
    return x if x.dtype() == DTYPE[dtype] else x.cast(DTYPE[dtype])


def vector(x):
    return x if x.dim() else x.reshape(1)


def axis_of(x, axis):
    return axis + max(1, x.dim()) if axis < 0 else axis


def constant(x, t):
    return x.reel.constant(t)


def scalar(x, value):
    return x.wrap(value)


def nothing(x, shape):
    """A value without elements that is made of x."""
    return x.reshape(x.numel()).slice(0, 0, 0).reshape(list(shape))


def zeros_like(x):
    return x.wrap(0).expand(x.shape)


def listed(x):
    return list(x) if isinstance(x, (tuple, list)) else [x]


# ---- Elementwise ----

for _name in ("abs acos acosh asin asinh atan atanh cos cosh erf erfc exp exp2 expm1 log log10 log1p log2 neg reciprocal "
              "rsqrt sigmoid sign sin sinh sqrt square tan tanh floor ceil trunc").split():
    SAID[_name] = lambda x, _name=_name: getattr(x, _name)() if x.is_real() else refuse_integers()
for _name, _own in {"relu": "relu", "gelu": "gelu", "silu": "silu", "logsigmoid": "logsigmoid"}.items():
    SAID["nn.functional." + _name] = lambda x, _own=_own, inplace=False: getattr(x, _own)()


def refuse_integers():
    raise Unsaid("integers")


@says("nn.functional.gelu")
def gelu(x, approximate="none"):
    if approximate == "none":
        return x.gelu()
    return 0.5 * x * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)).tanh())


SAID["sgn"] = SAID["sign"]
for _name in ("positive", "clone", "contiguous", "conj", "conj_physical", "resolve_conj", "resolve_neg", "real"):
    SAID[_name] = lambda x, memory_format=None: x.alias()
SAID["deg2rad"] = lambda x: x.scale(math.pi / 180)
SAID["rad2deg"] = lambda x: x.scale(180 / math.pi)
SAID["frac"] = lambda x: x - x.trunc()
SAID["zero_"] = lambda x: zeros_like(x)
SAID["zeros_like"] = lambda x, dtype=None, **_: cast(zeros_like(x), dtype)
SAID["ones_like"] = lambda x, dtype=None, **_: cast(x.wrap(1).expand(x.shape), dtype)
SAID["full_like"] = lambda x, value, dtype=None, **_: cast(x.wrap(value).expand(x.shape), dtype)
SAID["isfinite"] = lambda x: abs(x) < math.inf
SAID["isinf"] = lambda x: abs(x).eq(math.inf)
SAID["isposinf"] = lambda x: x.eq(math.inf)
SAID["isneginf"] = lambda x: x.eq(-math.inf)
SAID["isnan"] = lambda x: x.ne(x)
SAID["isreal"] = lambda x: x.eq(x) | x.ne(x)
SAID["signbit"] = lambda x: (x < 0) | (x.eq(0) & (1 / x < 0))
SAID["logical_not"] = lambda x: ~x
SAID["nn.functional.softsign"] = lambda x: x / (1 + abs(x))
SAID["nn.functional.tanhshrink"] = lambda x: x - x.tanh()
SAID["nn.functional.mish"] = lambda x, inplace=False: x * x.softplus().tanh()
SAID["nn.functional.relu6"] = lambda x, inplace=False: SAID["nn.functional.hardtanh"](x, 0.0, 6.0)
SAID["nn.functional.hardsigmoid"] = lambda x, inplace=False: inside(x / 6 + 0.5, -3 < x, x < 3, 0.0, 1.0)
SAID["nn.functional.hardswish"] = lambda x, inplace=False: (x <= -3).where(0.0, (x < 3).where(x * (x / 6 + 0.5), x))
SAID["nn.functional.hardshrink"] = lambda x, lambd=0.5: x.masked_fill(abs(x) <= lambd, 0.0)
SAID["nn.functional.softshrink"] = lambda x, lambd=0.5: (x.sign() * (abs(x) - lambd)).masked_fill(abs(x) <= lambd, 0.0)
SAID["nn.functional.threshold"] = lambda x, threshold, value, inplace=False: x.masked_fill(x <= threshold, float(value))
SAID["nn.functional.leaky_relu"] = lambda x, negative_slope=0.01, inplace=False: x.leaky_relu(float(negative_slope))
SAID["nn.functional.elu"] = lambda x, alpha=1.0, inplace=False: x.elu(float(alpha))
SAID["nn.functional.celu"] = lambda x, alpha=1.0, inplace=False: x.scale(1 / alpha).elu(1.0).scale(alpha)
SAID["nn.functional.selu"] = lambda x, inplace=False: x.elu(1.6732632423543772848170429916717).scale(1.0507009873554804934193349852946)
SAID["nn.functional.softplus"] = lambda x, beta=1, threshold=20: (x.scale(beta) > threshold).where(x, x.scale(beta).softplus().scale(1 / beta))
SAID["special.entr"] = lambda x: (x.eq(0)).where(0.0, (x < 0).where(-math.inf, -x * (x.eq(0)).where(1.0, x).log()))
SAID["special.ndtr"] = lambda x: x.scale(-math.sqrt(0.5)).erfc().scale(0.5)
SAID["sinc"] = lambda x: (x.eq(0)).where(1.0, x.masked_fill(x.eq(0), 1.0).scale(math.pi).sin() / x.masked_fill(x.eq(0), 1.0).scale(math.pi))
SAID["angle"] = lambda x: (x < 0).where(math.pi, (x.eq(x)).where(0.0, x))


def inside(x, above, below, low, high):
    return (above & below).where(x, above.where(high, below.where(low, x)))


@says("nn.functional.hardtanh")
def hardtanh(x, min_val=-1.0, max_val=1.0, inplace=False):
    return (x >= max_val).where(float(max_val), (x <= min_val).where(float(min(min_val, max_val)), x))


@says("nn.functional.prelu")
def prelu(x, weight):
    if x.dim() > 1 and weight.numel() > 1:
        weight = weight.reshape([weight.numel()] + [1] * (x.dim() - 2))
    elif weight.numel() == 1:
        weight = weight.reshape([])
    return (x > 0).where(x, x * weight)


@says("nn.functional.rrelu")
def rrelu(x, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    if training:
        raise Unsaid("random results")
    return x.leaky_relu((lower + upper) / 2)


@says("logit")
def logit(x, eps=None):
    if eps is not None:  # where eps is above a half, below it is eps
        x = x.clamp(eps, 1 - eps).masked_fill(x < eps, eps)
    return (x / (1 - x)).log()


@says("round")
def round_(x, decimals=0):
    factor = 10.0 ** abs(decimals)
    scaled = x.scale(factor) if decimals > 0 else x / factor
    whole = scaled.round()
    return whole if decimals == 0 else whole / factor if decimals > 0 else whole.scale(factor)


@says("nan_to_num")
def nan_to_num(x, nan=None, posinf=None, neginf=None):
    most = torch.finfo(torch.float64 if x.dtype() == F64 else torch.float32).max
    posinf, neginf = most if posinf is None else posinf, -most if neginf is None else neginf
    x = x.masked_fill(x.ne(x), float(nan or 0))
    return x.masked_fill(x.eq(math.inf), float(posinf)).masked_fill(x.eq(-math.inf), float(neginf))


@says("clamp", "clip")
def clamp(x, min=None, max=None):
    if isinstance(min, V) or isinstance(max, V):
        for bound, lower in ((min, True), (max, False)):
            if bound is not None:
                a, b = x.pair(bound)
                x = (a < b).where(b, a) if lower else (a > b).where(b, a)
        return x
    return x.clamp(-math.inf if min is None else float(min), math.inf if max is None else float(max))


# ---- Two operands ----

def plain(name):
    return lambda a, b, **_: a.binary(name, b)


@says("add", "__radd__")
def add(a, b, alpha=1):
    b = a.wrap(b)
    return a + (b if alpha == 1 else b.real(a).scale(alpha))


@says("sub")
def sub(a, b, alpha=1):
    return add(a, b, -alpha)


SAID["rsub"] = lambda a, b, alpha=1: a.wrap(b) - (a.scale(alpha) if alpha != 1 else a)
SAID["__rsub__"] = lambda a, b: b - a
SAID["mul"] = SAID["__rmul__"] = lambda a, b: a * b
SAID["true_divide"] = lambda a, b: a / b
SAID["__rdiv__"] = lambda a, b: b / a


@says("div")
def div(a, b, rounding_mode=None):
    q = a / b
    return q if rounding_mode is None else q.floor() if rounding_mode == "floor" else q.trunc()


SAID["floor_divide"] = lambda a, b: (a / b).floor()
SAID["pow"] = lambda a, b: power(a, b)
SAID["float_power"] = lambda a, b: power(cast(a, torch.float64), cast(b, torch.float64) if isinstance(b, V) else b)
# PyTorch 1 makes a copy of b, without a gradient.
SAID["__rpow__"] = lambda a, b: (a.wrap(b) if not isinstance(b, V) else b.detach() if torch.__version__ < "2" else b) ** a
SAID["maximum"] = SAID["max/binary"] = lambda a, b: a.maximum(b)
SAID["minimum"] = SAID["min/binary"] = lambda a, b: a.minimum(b)
SAID["fmod"] = lambda a, b: a - (a / b).trunc() * b
SAID["remainder"] = lambda a, b: a - (a / b).floor() * b
SAID["__rmod__"] = lambda a, b: b - (b / a).floor() * a
SAID["atan2"] = lambda a, b: a.atan2(b)
SAID["hypot"] = lambda a, b: a.hypot(b)
SAID["xlogy"] = lambda a, b: xlog(*a.pair(b), 0.0)
SAID["special.xlog1py"] = lambda a, b: xlog(*a.pair(b), 1.0)
SAID["lerp"] = lambda a, b, weight: a + (b - a) * weight
SAID["addcmul"] = lambda a, b, c, value=1: a + (b * c).scale(value)
SAID["addcdiv"] = lambda a, b, c, value=1: a + (b / c).scale(value)
SAID["logaddexp"] = lambda a, b: stack(torch_pair(a, b)).logsumexp(0)
SAID["logaddexp2"] = lambda a, b: stack([x.scale(math.log(2)) for x in torch_pair(a, b)]).logsumexp(0).scale(1 / math.log(2))
SAID["ldexp"] = lambda a, b: a * (2.0 ** b.real(a))
SAID["fmax"] = lambda a, b: fmax(*a.pair(b), True)
SAID["fmin"] = lambda a, b: fmax(*a.pair(b), False)
SAID["heaviside"] = lambda a, b: (a.eq(0)).where(b, (a > 0).where(1.0, (a.eq(a)).where(0.0, a)))
SAID["copysign"] = lambda a, b: copysign(*a.pair(b))
SAID["dist"] = lambda a, b, p=2: (a - b).norm(p)
for _name, _own in {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}.items():
    SAID[_name] = lambda a, b, _own=_own: a.compare(_own, b)
for _name in ("and", "or", "xor"):
    SAID["logical_" + _name] = lambda a, b, _name=_name: getattr(a, "logical_" + _name)(b)


def power(a, b):
    a, b = a.pair(b)
    return a ** b


def xlog(a, b, offset):
    inner = (b + offset) if offset else b
    value = a * (a.eq(0) & b.eq(b)).where(1.0, inner).log()
    return value


def torch_pair(a, b):
    """Both in the shape that they broadcast to."""
    a, b = a.pair(b)
    shape = list(torch.broadcast_shapes(a.shape, b.shape))
    return [a.expand(shape), b.expand(shape)]


def fmax(a, b, largest):
    chosen = (a >= b) if largest else (a <= b)
    return (chosen | b.ne(b)).where(a, b)


def copysign(a, b):
    negative = (b < 0) | (b.eq(0) & (1 / b < 0))
    return negative.where(-abs(a), abs(a))


@says("isclose")
def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    a, b = a.pair(b)
    near = a.eq(b) | ((abs(a - b) <= atol + abs(b) * rtol) & (abs(b) < math.inf) & (abs(a) < math.inf))
    return near | (a.ne(a) & b.ne(b)) if equal_nan else near


@says("allclose")
def allclose(a, b, **options):
    return all_of(isclose(a, b, **options), None).value().bool().item()


@says("equal")
def equal(a, b):
    return a.shape == b.shape and all_of(a.eq(b), None).value().bool().item()


# ---- Reductions ----

def reduction(name):
    def said(x, dim=None, keepdim=False, dtype=None):
        return x_real(x, dtype).reduce(name, dim, keepdim)
    return said


def x_real(x, dtype=None):
    if not x.is_real():
        raise Unsaid("integers")
    return cast(x, dtype)


for _name in ("sum", "mean"):
    SAID[_name] = reduction(_name)
SAID["amax"], SAID["amin"] = reduction("max"), reduction("min")
SAID["logsumexp"] = reduction("logsumexp")
SAID["max/reduction_no_dim"] = lambda x: x.max()
SAID["min/reduction_no_dim"] = lambda x: x.min()
SAID["max/reduction_with_dim"] = lambda x, dim, keepdim=False: best(x, dim, keepdim, 1)
SAID["min/reduction_with_dim"] = lambda x, dim, keepdim=False: best(x, dim, keepdim, -1)
SAID["argmax"] = lambda x, dim=None, keepdim=False: argmax(x, dim, keepdim)
SAID["argmin"] = lambda x, dim=None, keepdim=False: argmax(-x, dim, keepdim)
SAID["aminmax"] = lambda x, dim=None, keepdim=False: [vector(y) if OLD and keepdim and dim is not None else y for y in (x.min(dim, keepdim), x.max(dim, keepdim))]
SAID["nansum"] = lambda x, dim=None, keepdim=False, dtype=None: x.masked_fill(x.ne(x), 0.0).sum(dim, keepdim)
SAID["nanmean"] = lambda x, dim=None, keepdim=False, dtype=None: x.masked_fill(x.ne(x), 0.0).sum(dim, keepdim) / x.eq(x).real(x).sum(dim, keepdim)
SAID["all"] = lambda x, dim=None, keepdim=False: all_of(x, dim, keepdim)
SAID["any"] = lambda x, dim=None, keepdim=False: any_of(x, dim, keepdim)
SAID["count_nonzero"] = lambda x, dim=None: x.ne(0).real().sum(dim).cast(I32)


def best(x, dim, keepdim, sign):
    values, index = (x if sign > 0 else -x).topk(1, dim)
    if not keepdim:
        values, index = values.squeeze(dim), index.squeeze(dim)
    return [values if sign > 0 else -values, index]


def argmax(x, dim, keepdim):
    if dim is None:
        index = x.reshape(x.numel()).argmax(0, False)
        return index.reshape([1] * x.dim()) if keepdim else index
    return x.argmax(dim, keepdim)


def any_of(x, dim, keepdim=False):
    truth = x.ne(0).real()
    return truth.sum(dim, keepdim) > 0


def all_of(x, dim, keepdim=False):
    return ~any_of(~x, dim, keepdim)


@says("prod")
def prod(x, dim=None, keepdim=False, dtype=None):
    return x_real(x, dtype).prod(dim, keepdim)


def moments(x, dim=None, unbiased=None, keepdim=False, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return dim, 1 if correction is None and unbiased in (None, True) else correction or 0, keepdim


SAID["var"] = lambda x, *a, **k: x.var_(*moments(x, *a, **k))
SAID["std"] = lambda x, *a, **k: x.std(*moments(x, *a, **k))
SAID["var_mean"] = lambda x, *a, **k: [SAID["var"](x, *a, **k), x.mean(moments(x, *a, **k)[0], moments(x, *a, **k)[2])]
SAID["std_mean"] = lambda x, *a, **k: [SAID["std"](x, *a, **k), x.mean(moments(x, *a, **k)[0], moments(x, *a, **k)[2])]


@says("norm")
def norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    if p == "nuc":
        raise Unsaid("singular values")
    return cast(x, dtype).norm(2.0 if p in ("fro", None) else p, dim, keepdim)


@says("linalg.vector_norm")
def vector_norm(x, ord=2, dim=None, keepdim=False, dtype=None):
    ord = torch.tensor(float(ord)).item()  # as PyTorch rounds it
    return cast(x, dtype).norm(ord, dim, keepdim)


@says("linalg.matrix_norm")
def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False, dtype=None):
    x = cast(x, dtype)
    if ord == "fro":
        return x.norm(2, dim, keepdim)
    if ord not in (1, -1, math.inf, -math.inf):
        raise Unsaid("singular values")
    rows, columns = [d % x.dim() for d in dim]
    inner, outer = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = x.norm(1, inner, True).reduce("max" if ord > 0 else "min", outer, True)
    return sums if keepdim else sums.squeeze(max(rows, columns)).squeeze(min(rows, columns))


@says("linalg.norm")
def linalg_norm(x, ord=None, dim=None, keepdim=False, dtype=None):
    if ord is None or (isinstance(dim, int) or (dim is not None and len(dim) == 1)) or (dim is None and x.dim() == 1):
        if ord in ("fro", "nuc"):
            raise Unsaid("an error in PyTorch")
        return vector_norm(x, 2 if ord is None else ord, dim, keepdim, dtype)
    return matrix_norm(x, ord, (-2, -1) if dim is None else dim, keepdim, dtype)


@says("cumsum")
def cumsum(x, dim, dtype=None):
    return x_real(x, dtype).cumsum(dim)


@says("cumprod")
def cumprod(x, dim, dtype=None):
    """One index after the other."""
    x = x_real(x, dtype)
    if x.dim() == 0 or x.size(dim) == 0:
        return x.alias()
    total, parts = None, []
    for part in x.unbind(dim):
        total = part if total is None else total * part
        parts.append(total)
    return stack(parts, dim)


@says("logcumsumexp")
def logcumsumexp(x, dim):
    if x.dim() == 0 or x.size(dim) == 0:
        return x.alias()
    return stack([x.slice(dim, 0, i + 1).logsumexp(dim) for i in range(x.size(dim))], dim)


@says("cummax")
def cummax(x, dim):
    return running(x, dim, 1)


@says("cummin")
def cummin(x, dim):
    return running(x, dim, -1)


def running(x, dim, sign):
    if x.dim() == 0:
        return [x.alias(), constant(x, torch.tensor(0))]
    if x.size(dim) == 0:
        return [x.alias(), constant(x, torch.empty(x.shape, dtype=torch.int64))]
    y, parts = x if sign > 0 else -x, []
    n = x.size(dim)
    for i in range(n):  # the last of equals
        at = y.slice(dim, 0, i + 1).call("var_flip", axes_of(dim)).argmax(dim, True)
        parts.append((float(i) - at.real()).cast(I32))
    index = concat(parts, dim)
    return [x.gather(dim, index), index]


SAID["diff"] = lambda x, n=1, dim=-1, prepend=None, append=None: diff(x, n, dim, prepend, append)


def diff(x, n, dim, prepend, append):
    if n == 0:
        return x.alias()
    parts = [p for p in (prepend, x, append) if p is not None]
    x = concat(parts, dim) if len(parts) > 1 else x
    for _ in range(n):
        if x.size(dim) == 0:
            return x.alias()
        x = x.slice(dim, 1) - x.slice(dim, 0, x.size(dim) - 1)
    return x


@says("trapz", "trapezoid")
def trapezoid(y, x=None, dx=1.0, dim=-1):
    return steps(y, x, dx, dim).sum(dim)


@says("cumulative_trapezoid")
def cumulative_trapezoid(y, x=None, dx=1.0, dim=-1):
    return steps(y, x, dx, dim).cumsum(dim)


def steps(y, x, dx, dim):
    n = y.size(dim)
    between = y.slice(dim, 1) + y.slice(dim, 0, max(n - 1, 0))
    if x is None:
        return between.scale(dx / 2)
    if x.dim() == 1 and y.dim() > 1:
        x = x.reshape([n if i == axis_of(y, dim) else 1 for i in range(y.dim())])
    return between.scale(0.5) * (x.slice(dim, 1) - x.slice(dim, 0, max(x.size(dim) - 1, 0)))


# ---- Softmax and normalisation ----

SAID["softmax"] = lambda x, dim, dtype=None: cast(x, dtype).softmax(dim)
SAID["log_softmax"] = lambda x, dim, dtype=None: cast(x, dtype).log_softmax(dim)
SAID["nn.functional.softmin"] = lambda x, dim, dtype=None: (-cast(x, dtype)).softmax(dim)
SAID["nn.functional.normalize"] = lambda x, p=2.0, dim=1, eps=1e-12: x.normalize(float(p), dim, eps)


@says("nn.functional.cosine_similarity")
def cosine_similarity(a, b, dim=1, eps=1e-8):
    return a.call("var_cosine_similarity", b, dim, eps)


@says("nn.functional.layer_norm")
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    shape, own = x.shape, len(normalized_shape)
    n = math.prod(normalized_shape)
    flat = x.reshape(shape[: len(shape) - own] + [n])
    none = Var()
    return flat.call("var_layer_norm", weight.reshape(n) if weight is not None else none,
                     bias.reshape(n) if bias is not None else none, eps).reshape(shape)


@says("native_layer_norm")
def native_layer_norm(x, normalized_shape, weight, bias, eps):
    dims = list(range(-len(normalized_shape), 0))
    return [layer_norm(x, normalized_shape, weight, bias, eps), x.mean(dims, True), (x.var_(dims, 0, True) + eps).rsqrt()]


def standardised(x, dims, eps):
    return (x - x.mean(dims, True)) * (x.var_(dims, 0, True) + eps).rsqrt()


def by_channel(x, w):
    return w.reshape([1, w.numel()] + [1] * (x.dim() - 2))


@says("nn.functional.group_norm")
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    shape = x.shape
    y = standardised(x.reshape([shape[0], num_groups, math.prod(shape[1:]) // num_groups]), -1, eps).reshape(shape)
    y = y * by_channel(x, weight) if weight is not None else y
    return y + by_channel(x, bias) if bias is not None else y


@says("nn.functional.batch_norm", "nn.functional.instance_norm")
def batch_norm(x, running_mean=None, running_var=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5, use_input_stats=None):
    instance = use_input_stats is not None
    if training or use_input_stats:
        dims = list(range(2, x.dim())) if instance else [0] + list(range(2, x.dim()))
        y = standardised(x, dims, eps)
    else:
        y = x - by_channel(x, running_mean) if x.dim() > 1 else x - running_mean
        y = y * ((by_channel(x, running_var) if x.dim() > 1 else running_var) + eps).rsqrt()
    y = y * by_channel(x, weight) if weight is not None else y
    return y + by_channel(x, bias) if bias is not None else y


SAID["nn.functional.instance_norm"] = lambda x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5: \
    batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps, use_input_stats)


@says("nn.functional.local_response_norm")
def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    squares = x.square().pad(1, size // 2, (size - 1) // 2)
    n = x.size(1)
    total = sum((squares.slice(1, i, i + n) for i in range(1, size)), squares.slice(1, 0, n))
    return x / (k + total.scale(alpha / size)) ** beta


@says("nn.functional.glu")
def glu(x, dim=-1):
    return x.glu(dim)


# ---- Losses ----

MEAN, SUM, NONE = 0, 1, 2
REDUCTION = {"mean": MEAN, "sum": SUM, "none": NONE}


def reduced(x, reduction):
    if reduction not in ("mean", "sum", "none"):
        raise Unsaid("another reduction")
    return x.mean() if reduction == "mean" else x.sum() if reduction == "sum" else x


@says("nn.functional.mse_loss")
def mse_loss(x, y, reduction="mean"):
    if x.shape != y.shape:
        return reduced((x - y).square(), reduction)
    return x.call("var_mse", y, REDUCTION[reduction])


SAID["nn.functional.l1_loss"] = lambda x, y, reduction="mean": reduced(abs(x - y), reduction)


@says("nn.functional.huber_loss")
def huber_loss(x, y, reduction="mean", delta=1.0):
    if x.shape != y.shape:
        x, y = torch_pair(x, y)
    return V(x.reel, x.reel.f.nn_huber(x.var, y.var, delta, REDUCTION[reduction]))


@says("nn.functional.smooth_l1_loss")
def smooth_l1_loss(x, y, reduction="mean", beta=1.0):
    return reduced(abs(x - y), reduction) if beta == 0 else huber_loss(x, y, reduction, beta).scale(1 / beta)


@says("nn.functional.binary_cross_entropy")
def binary_cross_entropy(p, y, weight=None, reduction="mean"):
    return p.call("var_bce", y, weight.detach_var() if weight is not None else Var(), REDUCTION[reduction])


@says("nn.functional.binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(x, y, weight=None, reduction="mean", pos_weight=None):
    return x.call("var_bce_with_logits", y, pos_weight.detach_var() if pos_weight is not None else Var(),
                  weight.detach_var() if weight is not None else Var(), REDUCTION[reduction])


def classes_last(x, target):
    """[N, C, d1, ...] and [N, d1, ...] as [N d1 ..., C] and a vector."""
    if x.dim() == 1:
        x = x.reshape(1, x.numel())
    if x.dim() > 2:
        x = x.permute([0] + list(range(2, x.dim())) + [1])
        x = x.reshape(math.prod(x.shape[:-1]), x.size(-1))
    return x, target.reshape(target.numel())


def class_options(x, ignored, weight, smoothing, reduction):
    options = x.reel.f.nn_class_options()
    options.ignored, options.label_smoothing, options.reduction = ignored, smoothing, REDUCTION[reduction]
    if weight is not None:
        options.weight = weight.detach_var()
    return options


@says("nn.functional.cross_entropy")
def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if target.is_real():
        if weight is not None:
            raise Unsaid("probabilities as targets with class weights")
        axis = 0 if x.dim() == 1 else 1
        n, classes = x.numel() // max(1, x.size(axis)), x.size(axis)
        each = -(x.log_softmax(axis) * (target.scale(1 - label_smoothing, label_smoothing / classes))).sum(axis)
        return each.sum().scale(1 / n) if reduction == "mean" else reduced(each, reduction)
    if reduction == "mean" and target.numel() and bool((target.value() == ignore_index).all()):
        raise Unsaid("every class ignored: 0 here, not a number in PyTorch")
    rows, classes = classes_last(x, target)
    options = class_options(x, ignore_index, weight, label_smoothing, reduction)
    loss = V(x.reel, x.reel.f.nn_cross_entropy(rows.var, classes.var, options))
    return loss.reshape(target.shape) if reduction == "none" else loss


@says("nn.functional.nll_loss")
def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    rows, classes = classes_last(x, target)
    loss = V(x.reel, x.reel.f.nn_nll(rows.var, classes.var, class_options(x, ignore_index, weight, 0, reduction)))
    return loss.reshape(target.shape) if reduction == "none" else loss


@says("nn.functional.kl_div")
def kl_div(x, y, reduction="mean", log_target=False):
    if log_target:
        each = y.exp() * (y - x)
        return each.sum().scale(1 / x.size(0)) if reduction == "batchmean" else reduced(each, reduction)
    x, y = torch_pair(x, y)
    if reduction == "batchmean":
        return V(x.reel, x.reel.f.nn_kl_divergence(x.var, y.var, SUM)).scale(1 / x.size(0))
    return V(x.reel, x.reel.f.nn_kl_divergence(x.var, y.var, REDUCTION[reduction]))


@says("nn.functional.gaussian_nll_loss")
def gaussian_nll_loss(x, target, var, full=False, eps=1e-6, reduction="mean"):
    if var.shape != x.shape and (x.shape[:-1] == var.shape):
        var = var.unsqueeze(-1)
    v = var + (var.clamp(eps, math.inf) - var).detach()
    loss = (v.log() + (x - target).square() / v).scale(0.5, 0.5 * math.log(2 * math.pi) if full else 0)
    return reduced(loss, reduction)


@says("nn.functional.poisson_nll_loss")
def poisson_nll_loss(x, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    target = target.real(x)
    loss = x.exp() - target * x if log_input else x - target * (x + eps).log()
    if full:
        stirling = target * target.log() - target + (2 * math.pi * target).log() * 0.5
        loss = loss + stirling.masked_fill(target <= 1, 0.0)
    return reduced(loss, reduction)


@says("nn.functional.hinge_embedding_loss")
def hinge_embedding_loss(x, y, margin=1.0, reduction="mean"):
    y, hinge = y.real(x), (margin - x).clamp(0.0, math.inf)
    return reduced(y.eq(1).where(0.0, hinge) + y.eq(-1).where(0.0, x), reduction)


@says("nn.functional.margin_ranking_loss")
def margin_ranking_loss(a, b, y, margin=0.0, reduction="mean"):
    return reduced((-y.real(a) * (a - b) + margin).clamp(0.0, math.inf), reduction)


@says("nn.functional.soft_margin_loss")
def soft_margin_loss(x, y, reduction="mean"):
    return reduced((-y * x).softplus(), reduction)


@says("nn.functional.multilabel_soft_margin_loss")
def multilabel_soft_margin_loss(x, y, weight=None, reduction="mean"):
    each = -(y * x.logsigmoid() + (1 - y) * (-x).logsigmoid())
    each = each * weight if weight is not None else each
    return reduced(each.mean(-1), reduction)


@says("nn.functional.multi_margin_loss")
def multi_margin_loss(x, target, p=1, margin=1.0, weight=None, reduction="mean"):
    flat = x.dim() == 1
    x = x.reshape(1, x.numel()) if flat else x
    index = target.reshape(x.size(0), 1)
    gap = (margin - x.gather(1, index) + x).clamp(0.0, math.inf)
    gap = gap if p == 1 else gap.square()
    if weight is not None:
        gap = gap * weight.index_select(0, index.reshape(x.size(0))).reshape(x.size(0), 1)
    own = target.reshape(x.size(0)).call("var_one_hot", x.size(1), x.dtype())
    each = gap.masked_fill(own.ne(0), 0.0).sum(1).scale(1 / x.size(1))
    return reduced(each.reshape([]) if flat else each, reduction)


@says("nn.functional.cosine_embedding_loss")
def cosine_embedding_loss(a, b, y, margin=0.0, reduction="mean"):
    eps = 1e-12
    product, sizes = (a * b).sum(-1), ((a * a).sum(-1) + eps) * ((b * b).sum(-1) + eps)
    cosine = product / sizes.sqrt()
    y = y.real(a)
    zero = zeros_like(cosine)
    return reduced(y.eq(1).where(1 - cosine, zero) + y.eq(-1).where((cosine - margin).clamp(0.0, math.inf), zero), reduction)


@says("nn.functional.pairwise_distance")
def pairwise_distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    return (a - b + eps).norm(p, -1, keepdim)


@says("nn.functional.triplet_margin_loss")
def triplet_margin_loss(a, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    near, far = pairwise_distance(a, positive, p, eps), pairwise_distance(a, negative, p, eps)
    far = far.minimum(pairwise_distance(positive, negative, p, eps)) if swap else far
    return reduced((near - far + margin).clamp(0.0, math.inf), reduction)


@says("nn.functional.triplet_margin_with_distance_loss")
def triplet_margin_with_distance_loss(a, positive, negative, distance_function=None, margin=1.0, swap=False, reduction="mean"):
    if distance_function not in (None, torch.nn.functional.pairwise_distance) and not isinstance(distance_function, torch.nn.PairwiseDistance):
        raise Unsaid("a distance of PyTorch's own")
    return triplet_margin_loss(a, positive, negative, margin, 2.0, 1e-6, swap, reduction)


@says("nn.functional.pdist")
def pdist(x, p=2.0):
    n = x.size(0)
    pairs = torch.combinations(torch.arange(n)) if n > 1 else torch.empty(0, 2, dtype=torch.int64)
    a, b = (x.gather_rows(constant(x, pairs[:, i].contiguous())) for i in (0, 1))
    return (a - b).norm(p, 1)


@says("cdist")
def cdist(a, b, p=2.0, compute_mode=None):
    return (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(p, -1)


# ---- Products ----

SAID["matmul"] = SAID["mm"] = SAID["bmm"] = SAID["mv"] = lambda a, b: a.matmul(b)
SAID["__rmatmul__"] = lambda a, b: b.matmul(a)
SAID["dot"] = SAID["vdot"] = lambda a, b: a.matmul(b)
SAID["inner"] = lambda a, b: a * b if 0 in (a.dim(), b.dim()) else tensordot(a, b, [[-1], [-1]])
SAID["outer"] = lambda a, b: a.unsqueeze(1) * b
SAID["addr"] = lambda c, a, b, beta=1, alpha=1: scaled(c, beta) + scaled(a.unsqueeze(1) * b, alpha)
SAID["addmm"] = SAID["addmv"] = SAID["baddbmm"] = lambda c, a, b, beta=1, alpha=1: plus(c, beta, scaled(a.matmul(b), alpha))
SAID["addbmm"] = lambda c, a, b, beta=1, alpha=1: plus(c, beta, scaled(a.matmul(b).sum(0), alpha))
SAID["linalg.multi_dot"] = lambda parts: multi_dot(parts)
SAID["linalg.vecdot"] = lambda a, b, dim=-1: (a * b).sum(dim)


def scaled(x, factor):
    return x if factor == 1 else x.scale(factor)


def plus(c, beta, product):
    return product if beta == 0 else scaled(c, beta) + product


def multi_dot(parts):
    out = parts[0]
    for part in parts[1:]:
        out = out.matmul(part)
    return out


@says("nn.functional.linear")
def linear(x, weight, bias=None):
    if weight.dim() == 1:
        y = x.matmul(weight)
        return y + bias if bias is not None else y
    return x.call("var_linear", weight, bias if bias is not None else Var())


@says("nn.functional.bilinear")
def bilinear(a, b, weight, bias=None):
    lead = a.shape[:-1]
    rows, i, j, k = math.prod(lead), a.size(-1), b.size(-1), weight.size(0)
    pairs = (a.reshape(rows, i, 1) * b.reshape(rows, 1, j)).reshape(rows, i * j)
    return pairs.call("var_linear", weight.reshape(k, i * j), bias if bias is not None else Var()).reshape(lead + [k])


@says("tensordot")
def tensordot(a, b, dims=2):
    if isinstance(dims, int):
        dims = [list(range(a.dim() - dims, a.dim())), list(range(dims))]
    da, db = [d % a.dim() for d in dims[0]], [d % b.dim() for d in dims[1]]
    fa, fb = [d for d in range(a.dim()) if d not in da], [d for d in range(b.dim()) if d not in db]
    for i, j in zip(da, db):  # an axis of 1 is contracted with any, as if it were repeated
        if a.size(i) == 1:
            b = b.sum(j, True)
        elif b.size(j) == 1:
            a = a.sum(i, True)
    n = math.prod(a.size(d) for d in da)
    left = a.permute(fa + da).reshape(math.prod(a.size(d) for d in fa), n)
    right = b.permute(db + fb).reshape(n, math.prod(b.size(d) for d in fb))
    return left.matmul(right).reshape([a.size(d) for d in fa] + [b.size(d) for d in fb])


@says("kron")
def kron(a, b):
    n = max(a.dim(), b.dim())
    sa, sb = [1] * (n - a.dim()) + a.shape, [1] * (n - b.dim()) + b.shape
    if 2 * n > MAX_DIMS:
        raise Unsaid("more than six axes")
    left = a.reshape(list(itertools.chain(*((s, 1) for s in sa))))
    right = b.reshape(list(itertools.chain(*((1, s) for s in sb))))
    return (left * right).reshape([x * y for x, y in zip(sa, sb)])


@says("linalg.matrix_power")
def matrix_power(x, n):
    if n < 0:
        raise Unsaid("inverse matrices")
    if n == 0:
        return constant(x, torch.eye(x.size(-1), dtype=torch.float64 if x.dtype() == F64 else torch.float32)).expand(x.shape)
    out = x.alias()
    for _ in range(n - 1):
        out = out.matmul(x)
    return out


@says("cross", "linalg.cross")
def cross(a, b, dim=None):
    a, b = torch_pair(a, b)
    dim = next(i for i, s in enumerate(a.shape) if s == 3) if dim is None else dim
    order = lambda x, k: x.call("var_index_select", dim, constant(x, torch.tensor([(i + k) % 3 for i in range(3)])))
    return order(a, 1) * order(b, 2) - order(a, 2) * order(b, 1)


@says("einsum")
def einsum(operands, equation):
    if "." in equation:
        raise Unsaid("an ellipsis")
    inputs, _, out = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    letters = sorted(set("".join(terms)))
    if not _:
        out = "".join(c for c in letters if "".join(terms).count(c) == 1)
    if any(len(set(t)) < len(t) for t in terms):
        raise Unsaid("a diagonal in einsum")
    order = out + "".join(c for c in letters if c not in out)
    if len(order) > MAX_DIMS:
        raise Unsaid("more than six axes")
    product = None
    for term, x in zip(terms, operands):
        present = [c for c in order if c in term]
        x = x.permute([term.index(c) for c in present])
        sizes = iter(x.shape)
        x = x.reshape([next(sizes) if c in term else 1 for c in order])
        product = x if product is None else product * x
    rest = list(range(len(out), len(order)))
    return product.sum(rest) if rest else product.alias()


# ---- Shapes ----

def view(x, *shape):
    return x.reshape(*shape)


for _name in ("reshape", "view"):
    SAID[_name] = view
SAID["reshape_as"] = SAID["view_as"] = lambda x, other: x.reshape(other.shape)
SAID["expand"] = SAID["broadcast_to"] = lambda x, *shape: x.expand(*shape)
SAID["expand_as"] = lambda x, other: x.expand(other.shape)
SAID["broadcast_tensors"] = lambda *parts: [p.expand(list(torch.broadcast_shapes(*(q.shape for q in parts)))) for p in parts]
SAID["ravel"] = lambda x: x.reshape(-1 if x.numel() else 0)
SAID["flatten"] = lambda x, start_dim=0, end_dim=-1: flatten(x, start_dim, end_dim)
SAID["unflatten"] = lambda x, dim, sizes: unflatten(x, dim, sizes)
SAID["squeeze"] = lambda x, dim=None: squeeze(x, dim)


@says("squeeze/multiple")
def squeeze_several(x, dims):
    for dim in sorted((axis_of(x, d) for d in dims), reverse=True):
        x = squeeze(x, dim)
    return x


SAID["unsqueeze"] = lambda x, dim: x.unsqueeze(dim)
SAID["permute"] = lambda x, dims: x.permute(dims)
SAID["transpose"] = SAID["swapaxes"] = lambda x, a, b: x.transpose(a, b)
SAID["T"] = lambda x: x.permute(list(range(x.dim()))[::-1])
SAID["t"] = lambda x: x.permute(list(range(x.dim()))[::-1])
SAID["mT"] = lambda x: x.transpose(-2, -1) if x.dim() > 1 else x.alias()
SAID["H"] = lambda x: x.permute(list(range(x.dim()))[::-1])
SAID["mH"] = SAID["mT"]
SAID["flip"] = lambda x, dims=(): x.flip(axes_of(dims)) if len(listed(dims)) else x.alias()
SAID["fliplr"] = lambda x: x.flip(axes_of(1))
SAID["flipud"] = lambda x: x.flip(axes_of(0))
SAID["narrow"] = SAID["narrow_copy"] = lambda x, dim, start, length: narrow(x, dim, start, length)
SAID["select"] = lambda x, dim, index: x.select(dim, index)
SAID["slice"] = lambda x, dim=0, start=None, end=None, step=1: x.slice(dim, start or 0, END if end is None else end, step)
SAID["cat"] = lambda parts, dim=0: concat([p for p in parts if p.shape != [0]] or parts[:1], dim)
SAID["stack"] = lambda parts, dim=0: stack(parts, dim)
SAID["unbind"] = lambda x, dim=0: x.unbind(dim)
SAID["atleast_1d"] = lambda *x: each(x, lambda p: vector(p))
SAID["atleast_2d"] = lambda *x: each(x, lambda p: p if p.dim() > 1 else p.reshape(1, p.numel()))
SAID["atleast_3d"] = lambda *x: each(x, lambda p: p if p.dim() > 2 else p.unsqueeze(-1) if p.dim() == 2 else p.reshape(1, p.numel(), 1))
SAID["hstack"] = lambda parts: concat([vector(p) for p in parts], 0 if parts[0].dim() < 2 else 1)
SAID["vstack"] = lambda parts: concat(SAID["atleast_2d"](*[parts]), 0)
SAID["dstack"] = lambda parts: concat(SAID["atleast_3d"](*[parts]), 2)
SAID["column_stack"] = lambda parts: concat([p if p.dim() > 1 else p.reshape(p.numel(), 1) for p in parts], 1)
SAID["sum_to_size"] = lambda x, *shape: sum_to_size(x, listed(shape[0]) if len(shape) == 1 else list(shape))
SAID["movedim"] = lambda x, a, b: movedim(x, listed(a), listed(b))


def each(x, function):
    if len(x) == 1 and isinstance(x[0], (tuple, list)):
        return [function(p) for p in x[0]]
    return [function(p) for p in x] if len(x) > 1 else function(x[0])


def flatten(x, start, end):
    if x.dim() == 0:
        return x.reshape(1)
    start, end = start % x.dim(), end % x.dim()
    return x.reshape(x.shape[:start] + [math.prod(x.shape[start: end + 1])] + x.shape[end + 1:])


def unflatten(x, dim, sizes):
    dim, shape = axis_of(x, dim), x.shape
    return x.reshape(shape[:dim] + list(sizes) + shape[dim + 1:])


def squeeze(x, dim):
    if dim is not None:
        return x.squeeze(dim)
    return x.reshape([s for s in x.shape if s != 1])


def narrow(x, dim, start, length):
    start = int(start.value()) if isinstance(start, V) else start
    start = start + x.size(dim) if start < 0 else start
    return x.slice(dim, start, start + length)


def movedim(x, a, b):
    n = x.dim()
    a, b = [d % n for d in a], [d % n for d in b]
    order = [-1] * n
    for i, j in zip(a, b):
        order[j] = i
    rest = iter(d for d in range(n) if d not in a)
    return x.permute([next(rest) if o < 0 else o for o in order])


def sum_to_size(x, shape):
    lead = x.dim() - len(shape)
    dims = list(range(lead)) + [i + lead for i, s in enumerate(shape) if s == 1 and x.size(i + lead) != 1]
    return (x.sum(dims, True) if dims else x).reshape(shape)


@says("split")
def split(x, size, dim=0):
    if isinstance(size, (tuple, list)):
        return x.split(list(size), dim)
    n = x.size(dim)
    return x.split([min(size, n - i) for i in range(0, n, size)] if size and n else [n], dim)


SAID["split_with_sizes"] = lambda x, sizes, dim=0: x.split(list(sizes), dim)


@says("chunk")
def chunk(x, chunks, dim=0):
    return split(x, -(-x.size(dim) // chunks), dim)


@says("tensor_split")
def tensor_split(x, sections, dim=0):
    n = x.size(dim)
    if isinstance(sections, V):
        sections = sections.value().tolist()
    if isinstance(sections, int):
        return x.split([n // sections + (i < n % sections) for i in range(sections)], dim)
    ends = [min(max(s + n if s < 0 else s, 0), n) for s in sections]
    return [x.slice(dim, a, max(a, b)) for a, b in zip([0] + ends, ends + [n])]


SAID["hsplit"] = lambda x, sections: tensor_split(x, sections, 0 if x.dim() == 1 else 1)
SAID["vsplit"] = lambda x, sections: tensor_split(x, sections, 0)
SAID["dsplit"] = lambda x, sections: tensor_split(x, sections, 2)


@says("roll")
def roll(x, shifts, dims=()):
    shifts, dims = listed(shifts), listed(dims)
    if not dims:
        return roll(x.reshape(x.numel()), shifts, [0]).reshape(x.shape)
    for shift, dim in zip(shifts, dims):
        n = x.size(dim) if x.dim() else 1
        if n and shift % n:
            x = concat([x.slice(dim, n - shift % n), x.slice(dim, 0, n - shift % n)], dim)
    return x.alias()


@says("rot90")
def rot90(x, k=1, dims=(0, 1)):
    a, b = dims
    k %= 4
    if k == 0:
        return x.alias()
    if k == 2:
        return x.flip(axes_of([a, b]))
    return (x.flip(axes_of(b)) if k == 1 else x.transpose(a, b).flip(axes_of(b))).transpose(a, b) if k == 1 else x.transpose(a, b).flip(axes_of(b))


@says("repeat")
def repeat(x, *times):
    times = listed(times[0]) if len(times) == 1 else list(times)
    if len(times) > MAX_DIMS:
        raise Unsaid("more than six axes")
    x = x.reshape([1] * (len(times) - x.dim()) + x.shape)
    for axis, n in enumerate(times):
        x = x.repeat(axis, n)
    return x.alias()


V.repeat = lambda self, axis, times: self.call("var_repeat", axis, times)
V.flip = lambda self, axes: self.call("var_flip", axes)
V.detach = lambda self: V(self.reel, self.reel.f.var_detach(self.var))
V.detach_var = lambda self: self.reel.f.var_detach(self.var)
V.logical_and = lambda self, b: self.call("var_logical_and", b if isinstance(b, V) else self.wrap(b))
V.logical_or = lambda self, b: self.call("var_logical_or", b if isinstance(b, V) else self.wrap(b))
V.logical_xor = lambda self, b: self.call("var_logical_xor", b if isinstance(b, V) else self.wrap(b))


@says("tile")
def tile(x, dims):
    dims = listed(dims)
    return repeat(x, [1] * (x.dim() - len(dims)) + dims)


@says("repeat_interleave")
def repeat_interleave(x, repeats, dim=None, output_size=None):
    if dim is None:
        x, dim = x.reshape(x.numel()), 0
    x = vector(x)
    n = x.size(dim)
    times = repeats.value().reshape(-1).tolist() if isinstance(repeats, V) else [repeats]
    times = times * n if len(times) == 1 else times
    index = torch.tensor([i for i, t in enumerate(times) for _ in range(t)], dtype=torch.int64)
    return x.call("var_index_select", dim, constant(x, index))


@says("diag")
def diag(x, diagonal=0):
    return diag_embed(x, diagonal) if x.dim() == 1 else diagonal_of(x, diagonal, 0, 1)


SAID["diagonal"] = lambda x, offset=0, dim1=0, dim2=1: diagonal_of(x, offset, dim1, dim2)
SAID["diagflat"] = lambda x, offset=0: diag_embed(x.reshape(x.numel()), offset)
SAID["trace"] = lambda x: diagonal_of(x, 0, 0, 1).sum()


def places_of_diagonal(x, offset, dim1, dim2):
    """The axes in order and the diagonal's places among the last two."""
    n = x.dim()
    a, b = dim1 % n, dim2 % n
    order = [d for d in range(n) if d not in (a, b)] + [a, b]
    rows, columns = x.size(a), x.size(b)
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    first = offset if offset >= 0 else -offset * columns
    return order, rows, columns, torch.arange(count) * (columns + 1) + first


def diagonal_of(x, offset, dim1, dim2):
    order, rows, columns, places = places_of_diagonal(x, offset, dim1, dim2)
    y = x.permute(order)
    return y.reshape(y.shape[:-2] + [rows * columns]).call("var_index_select", -1, constant(x, places))


@says("diag_embed")
def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    n = x.size(-1) + abs(offset)
    out = x.dim() + 1
    shape = x.shape[:-1]
    first = offset if offset >= 0 else -offset * n
    places = torch.arange(x.size(-1)) * (n + 1) + first
    flat = x.wrap(0).expand(shape + [n * n]).call("var_index_add", -1, constant(x, places), x)
    return movedim(flat.reshape(shape + [n, n]), [out - 2, out - 1], [dim1 % out, dim2 % out])


@says("diagonal_scatter")
def diagonal_scatter(x, source, offset=0, dim1=0, dim2=1):
    order, rows, columns, places = places_of_diagonal(x, offset, dim1, dim2)
    y = x.permute(order)
    flat = y.reshape(y.shape[:-2] + [rows * columns])
    kept = torch.zeros(rows * columns, dtype=torch.bool)
    kept[places] = True
    out = flat.masked_fill(constant(x, kept), 0.0).call("var_index_add", -1, constant(x, places), source)
    return out.reshape(y.shape).permute([order.index(i) for i in range(x.dim())])


@says("block_diag")
def block_diag(*parts):
    parts = [p if p.dim() == 2 else p.reshape(1, p.numel()) for p in parts]
    width, at, rows = sum(p.size(1) for p in parts), 0, []
    for p in parts:
        rows.append(p.pad(1, at, width - at - p.size(1)))
        at += p.size(1)
    return concat(rows, 0)


@says("meshgrid")
def meshgrid(*parts, indexing="ij"):
    parts = list(parts[0]) if isinstance(parts[0], (tuple, list)) else list(parts)
    sizes = [p.numel() for p in parts]
    out = []
    for i, p in enumerate(parts):
        grid = p.reshape([sizes[i] if j == i else 1 for j in range(len(parts))]).expand(sizes)
        out.append(grid.transpose(0, 1) if indexing == "xy" and len(parts) > 1 else grid)
    return out


@says("cartesian_prod")
def cartesian_prod(*parts):
    if len(parts) == 1:
        return parts[0].alias()
    grids = meshgrid(*parts)
    return stack([g.reshape(g.numel()) for g in grids], 1)


@says("combinations")
def combinations(x, r=2, with_replacement=False):
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    index = torch.tensor(list(choose(range(x.numel()), r)), dtype=torch.int64).reshape(-1, r)
    return x.gather_rows(constant(x, index.reshape(-1))).reshape(index.shape)


SAID["tril"] = lambda x, diagonal=0: x.tril(diagonal)
SAID["triu"] = lambda x, diagonal=0: x.triu(diagonal)


@says("constant_pad_nd")
def constant_pad_nd(x, pad, value=0):
    for i in range(0, len(pad), 2):
        x = x.pad(-1 - i // 2, pad[i], pad[i + 1], value)
    return x.alias()


@says("nn.functional.pad")
def pad(x, pad, mode="constant", value=None):
    if mode == "constant":
        return constant_pad_nd(x, pad, value or 0)
    for i in range(0, len(pad), 2):
        axis, before, after = -1 - i // 2, pad[i], pad[i + 1]
        n = x.size(axis)
        index = torch.arange(-before, n + after)
        if mode == "reflect":
            index = (n - 1) - ((n - 1) - index.abs()).abs()
        elif mode == "replicate":
            index = index.clamp(0, n - 1)
        else:  # the part that is taken away is gone before
            kept = torch.arange(n)[max(-before, 0): n - max(-after, 0)]
            index = torch.cat([kept[len(kept) - before:] if before > 0 else kept[:0], kept, kept[:after] if after > 0 else kept[:0]])
        x = x.call("var_index_select", axis, constant(x, index))
    return x


@says("unfold")
def unfold(x, dim, size, step):
    if x.dim() == 0:
        return x.reshape(1).slice(0, 0, size)
    n = (x.size(dim) - size) // step + 1
    return stack([x.slice(dim, i, i + (n - 1) * step + 1, step) for i in range(size)], x.dim())


@says("as_strided")
def as_strided(x, size, stride, storage_offset=None):
    index = torch.tensor(0 if storage_offset is None else storage_offset - getattr(x, "offset", 0))
    for n, s in zip(size, stride):
        index = index.unsqueeze(-1) + torch.arange(n) * s
    if ((index < 0) | (index >= x.numel())).any():
        raise Unsaid("memory outside of the value")
    flat = x.reshape(x.numel())
    return flat.gather_rows(constant(x, index.reshape(-1))).reshape(list(size))


# ---- Indexing ----

SAID["gather"] = lambda x, dim, index, sparse_grad=False: x.gather(dim, index) if index.numel() else nothing(x, index.shape)
SAID["index_select"] = lambda x, dim, index: x.call("var_index_select", dim, index)
SAID["masked_fill"] = lambda x, mask, value: masked_fill(x, mask, value)
SAID["where"] = lambda a, condition, b: condition.where(a, b)
SAID["index_add"] = lambda x, dim, index, source, alpha=1: x.call("var_index_add", dim, index, scaled(source, alpha))
SAID["scatter_add"] = lambda x, dim, index, source: x.call("var_scatter_add", dim, index, source)
SAID["masked_select"] = lambda x, mask: masked_select(x, mask)
SAID["take"] = lambda x, index: take(x, index)
SAID["nn.functional.embedding"] = lambda weight, index, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False: embedding(index, weight, padding_idx, max_norm, scale_grad_by_freq)


def masked_fill(x, mask, value):
    shape = list(torch.broadcast_shapes(x.shape, mask.shape))
    if isinstance(value, V):
        return mask.where(value, x)
    return x.expand(shape).masked_fill(mask, float(value))


def masked_select(x, mask):
    shape = list(torch.broadcast_shapes(x.shape, mask.shape))
    places = mask.value().bool().expand(shape).reshape(-1).nonzero().reshape(-1)
    return x.expand(shape).reshape(math.prod(shape)).gather_rows(constant(x, places))


def take(x, index):
    n = x.numel()
    flat = x.reshape(1, n).gather(1, index.reshape(1, index.numel()))
    return flat.reshape(index.shape)


def embedding(index, weight, padding_idx, max_norm, scale_grad_by_freq):
    if max_norm is not None or scale_grad_by_freq:
        raise Unsaid("max_norm and scale_grad_by_freq")
    padding = -1 if padding_idx is None else padding_idx % weight.size(0)
    return weight.call("var_embedding", index, padding)


@says("take_along_dim")
def take_along_dim(x, index, dim=None):
    if dim is None:
        return take(x, index).reshape(index.numel())
    dim = axis_of(x, dim)
    sa, sb = x.shape, index.shape
    sa[dim] = sb[dim] = 1
    shape = list(torch.broadcast_shapes(sa, sb))
    grow = lambda t: t.expand([t.size(i) if i == dim else s for i, s in enumerate(shape)])
    index = constant(x, grow(index.value()).long()) if isinstance(index, V) else index
    return grow(x).gather(dim, index)


def expand_value(t, shape):
    return t.expand(shape)


def row_mask(x, dim, index):
    """A mask of the indices of an axis that are named."""
    mask = torch.zeros(x.size(dim) if x.dim() else 1, dtype=torch.bool)
    mask[index.value().reshape(-1).long()] = True
    return mask.reshape([-1 if i == axis_of(x, dim) else 1 for i in range(max(1, x.dim()))])


@says("index_fill")
def index_fill(x, dim, index, value):
    mask = constant(x, row_mask(x, dim, index) if x.dim() else row_mask(x, dim, index).reshape([]))
    return mask.where(value, x) if isinstance(value, V) else x.masked_fill(mask, float(value))


@says("index_copy")
def index_copy(x, dim, index, source):
    mask = row_mask(x, dim, index)
    kept = x.masked_fill(constant(x, mask if x.dim() else mask.reshape([])), 0.0)
    last = {int(i): at for at, i in enumerate(index.value().reshape(-1))}
    if len(last) < index.numel():
        raise Unsaid("an index that occurs twice, of which any may win")
    return kept.call("var_index_add", dim, index, source)


@says("scatter")
def scatter(x, dim, index, source, reduce=None):
    if not isinstance(source, V):
        source = x.wrap(source).expand(index.shape)
    if reduce is not None:
        if reduce != "add":
            raise Unsaid("scatter with multiply")
        return x.call("var_scatter_add", dim, index, source)
    places = vector_value(index).long()
    own = torch.zeros(x.shape or [1], dtype=torch.float64).scatter_add(dim, places, torch.ones(places.shape, dtype=torch.float64))
    if (own > 1).any():
        raise Unsaid("an index that occurs twice, of which any may win")
    mask = (own > 0).reshape(x.shape)
    return x.masked_fill(constant(x, mask), 0.0).call("var_scatter_add", dim, index, source)


def vector_value(v):
    return v.value() if v.dim() else v.value().reshape(1)


@says("scatter_reduce")
def scatter_reduce(x, dim, index, source, reduce, include_self=True):
    y = x
    if not include_self:
        own = torch.zeros(x.shape or [1], dtype=torch.bool).scatter(dim, vector_value(index).long(), True).reshape(x.shape)
        y = x.masked_fill(constant(x, own), 0.0)
    if reduce == "sum":
        return y.call("var_scatter_add", dim, index, source)
    if reduce == "mean":
        ones = source.wrap(1).expand(source.shape)
        start = x.wrap(1).expand(x.shape)
        start = start if include_self else start.masked_fill(constant(x, own), 0.0)
        return y.call("var_scatter_add", dim, index, source) / start.call("var_scatter_add", dim, index, ones)
    raise Unsaid("scatter_reduce with a product or a maximum")


@says("select_scatter")
def select_scatter(x, source, dim, index):
    n = x.size(dim)
    index %= n
    return slice_scatter(x, source.unsqueeze(axis_of(x, dim)), dim, index, index + 1)


@says("slice_scatter")
def slice_scatter(x, source, dim=0, start=None, end=None, step=1):
    n = x.size(dim)
    index = torch.arange(n)[slice(start, end, step)]
    return index_copy(x, dim, constant(x, index), source)


@says("index_put")
def index_put(x, indices, values, accumulate=False):
    places = torch.arange(x.numel()).reshape(x.shape)[tuple(plain_index(i) for i in indices)]
    shape = list(places.shape)
    flat, index = x.reshape(x.numel()), constant(x, places.reshape(-1))
    added = values.expand(shape).reshape(places.numel())
    if not accumulate:
        if places.unique().numel() < places.numel():
            raise Unsaid("an index that occurs twice, of which any may win")
        flat = index_fill(flat, 0, index, 0.0)
    return flat.call("var_index_add", 0, index, added).reshape(x.shape)


def plain_index(i):
    if isinstance(i, V):
        t = i.value()
        return t.bool() if getattr(i, "was_mask", False) else t.long()
    if isinstance(i, (tuple, list)):
        return [plain_index(j) for j in i]
    return i


@says("__getitem__")
def getitem(x, index):
    index = tuple(plain_index(i) for i in index) if isinstance(index, tuple) else plain_index(index)
    places = torch.arange(x.numel()).reshape(x.shape)[index]
    return x.reshape(x.numel()).gather_rows(constant(x, places.reshape(-1))).reshape(list(places.shape))


@says("put")
def put(x, index, source, accumulate=False):
    flat = x.reshape(x.numel())
    places = index.value().reshape(-1).long() % max(1, x.numel())
    at = constant(x, places)
    if not accumulate:
        if places.unique().numel() < places.numel():
            raise Unsaid("an index that occurs twice, of which any may win")
        flat = index_fill(flat, 0, at, 0.0)
    return flat.call("var_index_add", 0, at, source.reshape(source.numel())).reshape(x.shape)


@says("masked_scatter")
def masked_scatter(x, mask, source):
    shape = list(torch.broadcast_shapes(x.shape, mask.shape))
    x = x.expand(shape)
    places = mask.value().bool().expand(shape).reshape(-1).nonzero().reshape(-1)
    flat = x.masked_fill(mask, 0.0).reshape(x.numel())
    taken = source.reshape(source.numel()).slice(0, 0, places.numel())
    return flat.call("var_index_add", 0, constant(x, places), taken).reshape(shape)


@says("nn.functional.embedding_bag")
def embedding_bag(index, weight, offsets=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
                  per_sample_weights=None, include_last_offset=False, padding_idx=None):
    if isinstance(weight, V) and not weight.is_real():
        index, weight = weight, index
    if max_norm is not None or scale_grad_by_freq or include_last_offset:
        raise Unsaid("max_norm, scale_grad_by_freq and include_last_offset")
    ids = index.value().long()
    if ids.dim() == 2:
        bags, segment = ids.size(0), torch.arange(ids.size(0)).repeat_interleave(ids.size(1))
        ids = ids.reshape(-1)
        per_sample_weights = per_sample_weights.reshape(ids.numel()) if per_sample_weights is not None else None
    else:
        starts = offsets.value().long()
        bags = starts.numel()
        ends = torch.cat([starts[1:], torch.tensor([ids.numel()])])
        segment = torch.arange(bags).repeat_interleave(ends - starts)
    kept = torch.ones(ids.numel(), dtype=torch.bool)
    if padding_idx is not None:
        kept = ids != padding_idx % weight.size(0)
    rows = weight.gather_rows(constant(weight, ids[kept]))
    if per_sample_weights is not None:
        own = per_sample_weights.gather_rows(constant(weight, kept.nonzero().reshape(-1)))
        rows = rows * own.reshape(own.numel(), 1)
    at = constant(weight, segment[kept])
    counts = torch.bincount(segment[kept], minlength=bags)
    if mode == "max":
        if (counts == 0).any():
            raise Unsaid("the largest row of no rows")
        return rows.call("var_segment_max", at, bags)
    sums = rows.call("var_segment_sum", at, bags)
    if mode == "sum":
        return sums
    return sums / constant(weight, counts.clamp(min=1).reshape(-1, 1).to(torch.float64 if weight.dtype() == F64 else torch.float32))


SAID["nn.functional.one_hot"] = lambda ids, num_classes=-1: one_hot(ids, num_classes)


def one_hot(ids, classes):
    classes = int(ids.value().max()) + 1 if classes < 0 else classes
    return ids.call("var_one_hot", classes, I32)


# ---- Order ----

@says("topk")
def topk(x, k, dim=-1, largest=True, sorted=True):
    values, index = (x if largest else -x).topk(k, dim)
    return [values if largest else -values, index]


@says("sort")
def sort(x, dim=-1, descending=False, stable=False):
    n = x.size(dim) if x.dim() else 1
    return topk(x, n, dim, descending)


SAID["argsort"] = lambda x, dim=-1, descending=False, stable=False: sort(x, dim, descending)[1]
SAID["msort"] = lambda x: sort(x, 0)[0]


@says("kthvalue")
def kthvalue(x, k, dim=-1, keepdim=False):
    values, index = sort(x, dim)
    values, index = vector(values).slice(dim, k - 1, k), vector(index).slice(dim, k - 1, k)
    return [values, index] if keepdim and x.dim() else [values.squeeze(dim), index.squeeze(dim)] if x.dim() else [values.reshape([]), index.reshape([])]


@says("median")
def median(x, dim=None, keepdim=False):
    if dim is None:
        flat = x.reshape(x.numel())
        return sort(flat, 0)[0].select(0, (x.numel() - 1) // 2)
    n = x.size(dim) if x.dim() else 1
    return kthvalue(x, (n + 1) // 2, dim, keepdim)


# ---- Made ----

REEL = [None]

# ---- Layers ----

@says("nn.functional.dropout")
def dropout(x, p=0.5, training=True, inplace=False):
    if training and p not in (0, 1):
        raise Unsaid("random results")
    return zeros_like(x) if training and p == 1 else x.call("var_dropout", 0.0)


SAID["nn.functional.dropout2d"] = SAID["nn.functional.dropout3d"] = dropout
SAID["nn.functional.feature_alpha_dropout"] = lambda x, p=0.5, training=True, inplace=False: dropout(x, p if p == 0 or not training else 0.5, training)


@says("nn.functional._scaled_dot_product_attention", "nn.functional.scaled_dot_product_attention")
def attention(q, k, v, attn_mask=None, dropout_p=0.0, need_attn_weights=None, is_causal=False, scale=None, enable_gqa=False):
    if dropout_p:
        raise Unsaid("random results")
    if enable_gqa:
        raise Unsaid("keys that several queries share")
    scores = q.matmul(k.transpose(-2, -1)).scale(1 / math.sqrt(q.size(-1)) if scale is None else scale)
    if is_causal:
        mask = V(q.reel, q.reel.f.tape_tril(q.reel.tape, q.size(-2), k.size(-2), 0))
        scores = scores.masked_fill(~mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask if attn_mask.is_real() else scores.masked_fill(~attn_mask, -math.inf)
    weights = scores.softmax(-1)
    out = weights.matmul(v)
    return [out, weights] if need_attn_weights is not None else out


def numbers(x, n):
    x = list(x) if isinstance(x, (tuple, list)) else [x]
    return x * n if len(x) == 1 else x


def windows(x, kernel, stride, padding, dilation, value=0.0):
    """[N, C, d...] as [N, C, out..., kernel...] flattened: the windows of each place, last."""
    n = len(kernel)
    for i in range(n):
        x = x.pad(2 + i, padding[i], padding[i], value)
    sizes = [(x.size(2 + i) - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(n)]
    parts = []
    for at in itertools.product(*(range(k) for k in kernel)):
        part = x
        for i, k in enumerate(at):
            first = k * dilation[i]
            part = part.slice(2 + i, first, first + (sizes[i] - 1) * stride[i] + 1, stride[i])
        parts.append(part)
    return stack(parts, x.dim())


def with_batch(x, n):
    return (x, False) if x.dim() == n + 2 else (x.unsqueeze(0), True)


def convolution(n):
    def said(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        stride, dilation, kernel = numbers(stride, n), numbers(dilation, n), weight.shape[2:]
        if padding == "valid":
            padding = 0
        x, alone = with_batch(x, n)
        if padding == "same":
            padding = [0] * n
            for i, (k, d) in enumerate(zip(kernel, dilation)):
                total = d * (k - 1)
                x = x.pad(2 + i, total // 2, total - total // 2)
        padding = numbers(padding, n)
        out, outputs = [], weight.size(0) // groups
        for g in range(groups):
            inputs = x.size(1) // groups
            w = windows(x.slice(1, g * inputs, (g + 1) * inputs), kernel, stride, padding, dilation)
            places = w.shape[2:-1]
            rows = w.permute([0] + list(range(2, 2 + n)) + [1, 2 + n])
            rows = rows.reshape([x.size(0) * math.prod(places), inputs * math.prod(kernel)])
            own = weight.slice(0, g * outputs, (g + 1) * outputs).reshape(outputs, inputs * math.prod(kernel))
            b = bias.slice(0, g * outputs, (g + 1) * outputs) if bias is not None else Var()
            y = rows.call("var_linear", own, b).reshape([x.size(0)] + places + [outputs])
            out.append(y.permute([0, n + 1] + list(range(1, n + 1))))
        y = concat(out, 1) if groups > 1 else out[0]
        return y.squeeze(0) if alone else y.alias()
    return said


for _n in (1, 2, 3):
    SAID[f"nn.functional.conv{_n}d"] = convolution(_n)


def transposed_convolution(n):
    def said(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        stride, padding, dilation, extra = (numbers(v, n) for v in (stride, padding, dilation, output_padding))
        x, alone = with_batch(x, n)
        for i in range(n):  # zeros between
            d = 2 + i
            size = x.size(d)
            if stride[i] > 1:
                wide = x.unsqueeze(d + 1).pad(d + 1, 0, stride[i] - 1)
                shape = x.shape
                shape[d] = size * stride[i]
                x = wide.reshape(shape).slice(d, 0, (size - 1) * stride[i] + 1)
            edge = dilation[i] * (weight.size(d) - 1) - padding[i]
            x = x.pad(d, edge, edge + extra[i])
        inputs, outputs = weight.size(0) // groups, weight.size(1)
        w = weight.flip(axes_of(list(range(2, 2 + n))))
        w = concat([w.slice(0, g * inputs, (g + 1) * inputs).transpose(0, 1) for g in range(groups)], 0)
        y = convolution(n)(x, w, bias, 1, 0, dilation, groups)
        return y.squeeze(0) if alone else y
    return said


for _n in (1, 2, 3):
    SAID[f"nn.functional.conv_transpose{_n}d"] = transposed_convolution(_n)


def pool_sizes(n, kernel, stride, padding, dilation=1):
    kernel = numbers(kernel, n)
    return kernel, kernel if stride is None or stride == [] or stride == () else numbers(stride, n), numbers(padding, n), numbers(dilation, n)


def with_ceiling(x, n, kernel, stride, padding, dilation, value):
    """Padded at the end so that the last windows, which begin inside, are whole; how much is added."""
    added = [0] * n
    for i in range(n):
        span, size = dilation[i] * (kernel[i] - 1) + 1, x.size(2 + i) + 2 * padding[i]
        out = -(-(size - span) // stride[i]) + 1
        out -= (out - 1) * stride[i] >= x.size(2 + i) + padding[i]
        added[i] = max(0, (out - 1) * stride[i] + span - size)
        x = x.pad(2 + i, padding[i], padding[i] + added[i], value)
    return x


def max_pool(n):
    def said(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        x, alone = with_batch(x, n)
        kernel, stride, padding, dilation = pool_sizes(n, kernel_size, stride, padding, dilation)
        padded = with_ceiling(x, n, kernel, stride, padding, dilation, -math.inf) if ceil_mode else x
        w = windows(padded, kernel, stride, [0] * n if ceil_mode else padding, dilation, -math.inf)
        values, at = w.topk(1, -1)  # the first of equals has the gradient
        y = values.squeeze(-1)
        y = y.squeeze(0) if alone else y
        if not return_indices:
            return y
        place, own = place_in(at.value().squeeze(-1).long(), kernel), 0
        for i in range(n):
            out = at.size(2 + i)
            first = (torch.arange(out) * stride[i] - padding[i]).reshape([-1 if j == 2 + i else 1 for j in range(n + 2)])
            own = own * x.size(2 + i) + first + place[i] * dilation[i]
        return [y, constant(x, own.squeeze(0) if alone else own)]
    return said


def place_in(flat, kernel):
    places = []
    for k in reversed(kernel):
        places.insert(0, flat % k)
        flat = flat // k
    return places


def average_pool(n):
    def said(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        x, alone = with_batch(x, n)
        kernel, stride, padding, dilation = pool_sizes(n, kernel_size, stride, padding)
        pools = lambda t, edge: windows(with_ceiling(t, n, kernel, stride, edge, dilation, 0.0) if ceil_mode else t, kernel, stride,
                                        [0] * n if ceil_mode else edge, dilation)
        sums = pools(x, padding).sum(-1)
        if divisor_override:
            y = sums.scale(1 / divisor_override)
        elif count_include_pad and not ceil_mode:
            y = sums.scale(1 / math.prod(kernel))
        else:
            ones = x.wrap(1).expand(x.shape)
            if count_include_pad:
                for i in range(n):
                    ones = ones.pad(2 + i, padding[i], padding[i], 1.0)
            y = sums / (pools(ones, [0] * n) if count_include_pad else pools(ones, padding)).sum(-1)
        return y.squeeze(0) if alone else y
    return said


def adaptive_pool(n, largest):
    def said(x, output_size, return_indices=False):
        if return_indices:
            raise Unsaid("ceil_mode and return_indices of pooling")
        x, alone = with_batch(x, n)
        out = [o if o is not None else x.size(2 + i) for i, o in enumerate(numbers(output_size, n))]
        if largest:
            cells = []
            for at in itertools.product(*(range(o) for o in out)):
                part = x
                for i, (k, o) in enumerate(zip(at, out)):
                    size = x.size(2 + i)
                    part = part.slice(2 + i, k * size // o, -(-(k + 1) * size // o))
                part = part.reshape(part.shape[:2] + [math.prod(part.shape[2:])])
                cells.append(part.topk(1, -1)[0].squeeze(-1))
            y = stack(cells, 2).reshape(x.shape[:2] + out)
        else:
            for i, o in enumerate(out):
                size = x.size(2 + i)
                x = stack([x.slice(2 + i, k * size // o, -(-(k + 1) * size // o)).mean(2 + i) for k in range(o)], 2 + i) if o else x.slice(2 + i, 0, 0)
            y = x
        return y.squeeze(0) if alone else y.alias()
    return said


for _n in (1, 2, 3):
    SAID[f"nn.functional.max_pool{_n}d"] = max_pool(_n)
    SAID[f"nn.functional.avg_pool{_n}d"] = average_pool(_n)
    SAID[f"nn.functional.adaptive_avg_pool{_n}d"] = adaptive_pool(_n, False)
    SAID[f"nn.functional.adaptive_max_pool{_n}d"] = adaptive_pool(_n, True)


@says("nn.functional.unfold")
def unfold_windows(x, kernel_size, dilation=1, padding=0, stride=1):
    x, alone = with_batch(x, 2)
    kernel, stride, padding, dilation = pool_sizes(2, kernel_size, stride, padding, dilation)
    w = windows(x, kernel, stride, padding, dilation)
    y = w.permute(0, 1, 4, 2, 3).reshape(x.size(0), x.size(1) * math.prod(kernel), math.prod(w.shape[2:4]))
    return y.squeeze(0) if alone else y


@says("nn.functional.pixel_shuffle")
def pixel_shuffle(x, upscale_factor):
    factor = upscale_factor
    lead, (c, h, w) = x.shape[:-3], x.shape[-3:]
    n = math.prod(lead)
    y = x.reshape(n, c // factor ** 2, factor, factor, h, w).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(lead + [c // factor ** 2, h * factor, w * factor])


@says("nn.functional.pixel_unshuffle")
def pixel_unshuffle(x, downscale_factor):
    factor = downscale_factor
    lead, (c, h, w) = x.shape[:-3], x.shape[-3:]
    y = x.reshape(math.prod(lead), c, h // factor, factor, w // factor, factor).permute(0, 1, 3, 5, 2, 4)
    return y.reshape(lead + [c * factor ** 2, h // factor, w // factor])


# ---- Masked reductions ----

def fill(x, mask, value):
    return x if mask is None else x.masked_fill(~mask, value)


def masked_reduction(name, identity):
    def said(x, dim=None, keepdim=False, dtype=None, mask=None):
        y = fill(x_real(x, dtype), mask, identity)
        return y.reduce(name, dim, keepdim)
    return said


for _name, _own, _identity in (("sum", "sum", 0.0), ("prod", "prod", 1.0), ("amax", "max", -math.inf), ("amin", "min", math.inf), ("logsumexp", "logsumexp", -math.inf)):
    SAID["masked." + _name] = masked_reduction(_own, _identity)


def mask_count(x, dim, mask):
    ones = fill(x.wrap(1).expand(x.shape), mask, 0.0)
    return ones.sum(dim, True)


@says("masked.mean")
def masked_mean(x, dim=None, keepdim=False, dtype=None, mask=None):
    x = x_real(x, dtype)
    y = fill(x, mask, 0.0).sum(dim, True) / mask_count(x, dim, mask)
    return y if keepdim else y.reshape(x.sum(dim).shape)


@says("masked.var")
def masked_var(x, dim=None, unbiased=None, keepdim=False, dtype=None, mask=None, correction=None):
    x = x_real(x, dtype)
    less = correction if correction is not None else int(unbiased is not False)
    count = mask_count(x, dim, mask)
    mean = fill(x, mask, 0.0).sum(dim, True) / count
    y = fill((x - mean).square(), mask, 0.0).sum(dim, True) / (count - less).clamp(0.0, math.inf)
    return y if keepdim else y.reshape(x.sum(dim).shape)


@says("masked.std")
def masked_std(*arguments, **options):
    return masked_var(*arguments, **options).sqrt()


@says("masked.norm")
def masked_norm(x, ord=2.0, dim=None, keepdim=False, dtype=None, mask=None):
    identity = math.inf if ord == -math.inf else 0.0
    return fill(x_real(x, dtype), mask, identity).norm(ord, dim, keepdim)


SAID["masked.softmax"] = lambda x, dim, dtype=None, mask=None: fill(cast(x, dtype), mask, -math.inf).softmax(dim)
SAID["masked.log_softmax"] = lambda x, dim, dtype=None, mask=None: fill(cast(x, dtype), mask, -math.inf).log_softmax(dim)
SAID["masked.softmin"] = lambda x, dim, dtype=None, mask=None: (-fill(cast(x, dtype), mask, math.inf)).softmax(dim)
SAID["masked.cumsum"] = lambda x, dim, dtype=None, mask=None: fill(cast(x, dtype), mask, 0.0).cumsum(dim)
SAID["masked.cumprod"] = lambda x, dim, dtype=None, mask=None: cumprod(fill(cast(x, dtype), mask, 1.0), dim)
SAID["masked.argmax"] = lambda x, dim=None, keepdim=False, dtype=None, mask=None: argmax(fill(x, mask, -math.inf), dim, keepdim).real(x)
SAID["masked.argmin"] = lambda x, dim=None, keepdim=False, dtype=None, mask=None: argmax(-fill(x, mask, math.inf), dim, keepdim).real(x)


@says("masked.normalize")
def masked_normalize(x, ord, dim, eps=1e-12, dtype=None, mask=None):
    y = fill(cast(x, dtype), mask, 0.0)
    return y / masked_norm(x, ord, dim, True, dtype, mask).maximum(y.wrap(eps))


@says("masked.logaddexp")
def masked_logaddexp(a, b, dtype=None, input_mask=None, other_mask=None):
    return SAID["logaddexp"](fill(a, input_mask, -math.inf), fill(b, other_mask, -math.inf))


# ---- Dtypes ----

SAID["double"] = lambda x, memory_format=None: cast(x, torch.float64)
SAID["float"] = lambda x, memory_format=None: cast(x, torch.float32)
SAID["int"] = lambda x, memory_format=None: cast(x, torch.int32)
SAID["bool"] = lambda x, memory_format=None: x.ne(0)

# ---- More of the same ----

SAID["clamp_max"] = lambda x, bound: clamp(x, None, bound)
SAID["clamp_min"] = lambda x, bound: clamp(x, bound, None)
SAID["fft.fftshift"] = lambda x, dim=None: shifted(x, dim, 1)
SAID["fft.ifftshift"] = lambda x, dim=None: shifted(x, dim, -1)
SAID["fill"] = lambda x, value: (value if isinstance(value, V) else x.wrap(value)).expand(x.shape)
SAID["linalg.vander"] = lambda x, N=None: stack([vector(x) ** float(i) for i in range(vector(x).size(-1) if N is None else N)], -1)
SAID["nanmedian"] = lambda x, dim=None, keepdim=False: nanmedian(x, dim, keepdim)


def shifted(x, dim, sign):
    dims = list(range(x.dim())) if dim is None else listed(dim)
    return roll(x, [sign * ((x.size(d) + (sign < 0) * 0) // 2) for d in dims], dims)


def nanmedian(x, dim, keepdim):
    if x.ne(x).value().any():
        raise Unsaid("a median without what is not a number")
    return median(x, dim, keepdim)


@says("cov")
def cov(x, correction=1, fweights=None, aweights=None):
    x = x.reshape(1, x.numel()) if x.dim() < 2 else x
    weights = None
    if fweights is not None:
        weights = fweights.real(x)
    if aweights is not None:
        weights = aweights if weights is None else weights * aweights
    total = x.wrap(x.size(1)) if weights is None else weights.sum()
    mean = (x if weights is None else x * weights).sum(1, True) / total
    freedom = total - correction if aweights is None or correction == 0 else total - (weights * aweights).sum() / total * correction
    d = x - mean
    y = (d if weights is None else d * weights).matmul(d.transpose(0, 1)) / freedom.clamp(0.0, math.inf)
    return y.reshape([]) if y.numel() == 1 else y


@says("corrcoef")
def corrcoef(x):
    c = cov(x)
    if c.dim() == 0:
        return c / c
    d = diagonal_of(c, 0, 0, 1).sqrt()
    return (c / d.unsqueeze(1) / d).clamp(-1.0, 1.0)


@says("quantile", "nanquantile")
def quantile(x, q, dim=None, keepdim=False, interpolation="linear"):
    n_axes = x.dim()
    if x.ne(x).value().any():
        raise Unsaid("a quantile among what is not a number")
    own = dim
    if dim is None:
        x, dim = x.reshape(x.numel()), 0
    x = vector(x)
    n = x.size(dim)
    points = q.value() if isinstance(q, V) else torch.tensor(q, dtype=torch.float64)
    ordered = sort(x, dim)[0]
    rank = points.reshape(-1) * (n - 1)
    low, high = rank.floor().long(), rank.ceil().long()
    if interpolation == "lower":
        high = low
    elif interpolation == "higher":
        low = high
    elif interpolation == "nearest":
        low = high = rank.round().long()
    pick = lambda i: movedim(ordered.call("var_index_select", dim, constant(x, i)), [axis_of(x, dim)], [0])
    a, b = pick(low), pick(high)
    kind = torch.float64 if x.dtype() == F64 else torch.float32
    if interpolation == "linear" and isinstance(q, V):
        share = q.reshape(points.numel()).scale(n - 1) - constant(x, low.to(kind))
    else:
        share = constant(x, (torch.full_like(rank, 0.5) if interpolation == "midpoint" else rank - rank.floor()).to(kind))
    share = share.reshape([points.numel()] + [1] * (a.dim() - 1))
    y = a + (b - a) * share
    if keepdim:
        y = y.reshape([y.size(0)] + [1] * n_axes) if own is None else y.unsqueeze(axis_of(x, dim) + 1) if n_axes else y
    return y if isinstance(q, V) and q.dim() else y.reshape(y.shape[1:])


@says("isin")
def isin(x, tests, assume_unique=False, invert=False):
    x = x if isinstance(x, V) else tests.wrap(x)
    tests = tests if isinstance(tests, V) else x.wrap(tests)
    found = any_of(x.unsqueeze(-1).eq(tests.reshape(tests.numel())), -1)
    return ~found if invert else found


@says("bucketize")
def bucketize(x, boundaries, out_int32=False, right=False):
    edges = boundaries.reshape(boundaries.numel())
    x = x.unsqueeze(-1)
    return ((x >= edges) if right else (x > edges)).real().sum(-1).cast(I32)


@says("searchsorted")
def searchsorted(edges, x, out_int32=False, right=False, side=None, sorter=None):
    right = right or side == "right"
    if sorter is not None:
        edges = edges.gather(-1, sorter)
    x = x if isinstance(x, V) else edges.wrap(x)
    shape = x.shape
    edges, x = edges.unsqueeze(-2), x.unsqueeze(-1)
    return ((x >= edges) if right else (x > edges)).real().sum(-1).cast(I32).reshape(shape)


@says("renorm")
def renorm(x, p, dim, maxnorm):
    norms = x.norm(p, [d for d in range(x.dim()) if d != axis_of(x, dim)], True)
    return x * (norms > maxnorm).where(maxnorm / (norms + 1e-7), 1.0 + norms * 0)


@says("as_strided_scatter")
def as_strided_scatter(x, source, size, stride, storage_offset=0):
    index = torch.tensor(0 if storage_offset is None else storage_offset - getattr(x, "offset", 0))
    for n, s in zip(size, stride):
        index = index.unsqueeze(-1) + torch.arange(n) * s
    return index_copy(x.reshape(x.numel()), 0, constant(x, index.reshape(-1)), source.reshape(source.numel())).reshape(x.shape)


def max_unpool(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    n = len(kernel_size)
    x, alone = with_batch(x, n)
    at = indices.reshape(x.shape)
    kernel, stride, padding, _ = pool_sizes(n, kernel_size, stride, padding)
    out = [(x.size(2 + i) - 1) * stride[i] - 2 * padding[i] + kernel[i] for i in range(n)]
    out = list(output_size)[-n:] if output_size is not None else out
    lead, places = x.shape[:2], math.prod(x.shape[2:])
    zeros = x.wrap(0).expand(lead + [math.prod(out)])
    flat, own = x.reshape(lead + [places]), at.reshape(lead + [places])
    seen = own.value().reshape(-1, places)
    if any(row.unique().numel() < places for row in seen):
        raise Unsaid("an index that occurs twice, of which any may win")
    y = zeros.call("var_scatter_add", 2, own, flat).reshape(lead + out)
    return y.squeeze(0) if alone else y


for _n in (1, 2, 3):
    SAID[f"nn.functional.max_unpool{_n}d"] = lambda x, indices, kernel_size, *rest, _n=_n, **options: \
        max_unpool(x, indices, numbers(kernel_size, _n), *rest, **options)


def of_sizes(x, size, scale_factor):
    n = x.dim() - 2
    if size is not None:
        return numbers(size, n), [None] * n
    factors = numbers(scale_factor, n)
    return [math.floor(x.size(2 + i) * f) for i, f in enumerate(factors)], factors


def nearest(x, size=None, scale_factor=None, recompute_scale_factor=None):
    out, factors = of_sizes(x, size, scale_factor)
    for i, (o, f) in enumerate(zip(out, factors)):
        n = x.size(2 + i)
        ratio = torch.tensor(1 / f if f and not recompute_scale_factor else n / o, dtype=torch.float32)
        index = (torch.arange(o, dtype=torch.float32) * ratio).floor().long().clamp(max=n - 1)
        x = x.call("var_index_select", 2 + i, constant(x, index))
    return x


def linear_between(x, size=None, scale_factor=None, align_corners=None, recompute_scale_factor=None):
    out, factors = of_sizes(x, size, scale_factor)
    kind = torch.float64 if x.dtype() == F64 else torch.float32
    for i, (o, f) in enumerate(zip(out, factors)):
        n = x.size(2 + i)
        if align_corners:
            at = torch.arange(o, dtype=kind) * ((n - 1) / (o - 1) if o > 1 else 0)
        else:
            at = ((torch.arange(o, dtype=kind) + 0.5) * (1 / f if f and not recompute_scale_factor else n / o) - 0.5).clamp(min=0)
        low = at.floor().long().clamp(max=n - 1)
        share = constant(x, (at - low).reshape([-1 if j == 2 + i else 1 for j in range(x.dim())]))
        pick = lambda k: x.call("var_index_select", 2 + i, constant(x, k))
        a, b = pick(low), pick((low + 1).clamp(max=n - 1))
        x = a + (b - a) * share
    return x


@says("nn.functional.interpolate", "nn.functional.upsample_nearest", "nn.functional.upsample_bilinear")
def interpolate(x, size=None, scale_factor=None, mode=None, align_corners=None, recompute_scale_factor=None, antialias=False):
    if mode in ("nearest", None):
        return nearest(x, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return adaptive_pool(x.dim() - 2, False)(x, of_sizes(x, size, scale_factor)[0])
    if mode in ("linear", "bilinear", "trilinear"):
        return linear_between(x, size, scale_factor, align_corners, recompute_scale_factor)
    raise Unsaid("bicubic interpolation")


SAID["nn.functional.upsample_bilinear"] = lambda x, size=None, scale_factor=None: linear_between(x, size, scale_factor, True)


# ---- Made of nothing ----

def filled(value):
    def said(*arguments, dtype=None, device=None, **_):
        sizes = [a for a in arguments if not isinstance(a, V)]
        sizes = listed(sizes[0]) if len(sizes) == 1 else sizes
        reel = REEL[0]
        kind = DTYPE.get(dtype or next((torch.float64 if a.dtype() == F64 else torch.float32 for a in arguments if isinstance(a, V)), torch.float32))
        if kind is None:
            raise Unsaid(f"the dtype {str(dtype)[6:]}")
        return V(reel, reel.f.tape_constant(reel.tape, reel.f.tensor_full(reel.f.tape_arena(reel.tape), kind, len(sizes), ints(sizes), value)))
    return said


SAID["zeros"] = SAID["new_zeros"] = filled(0.0)
SAID["ones"] = SAID["new_ones"] = filled(1.0)
SAID["new_full"] = lambda x, size, value, **options: filled(float(value))(x, size, **options)


@says("eye")
def eye(n, m=None, dtype=None, device=None, **_):
    m = n if m is None else m
    reel = REEL[0]
    lower = lambda d: V(reel, reel.f.tape_tril(reel.tape, n, m, d))
    return cast(lower(0) & ~lower(-1), dtype or torch.float32)


# ---- What is not compared as it is, and why ----

# The largest difference, of f64 and of f32.
INEXACT = {
    "cov": (1e-4, 1e-3, "the samples' weights are f32, and in their gradients large terms cancel"),
    "native_layer_norm": (1e-9, 1e-3, "a value less its own mean is not 0 in PyTorch's f32, and eps multiplies the rest by 316"),
    "nn.functional.hardsigmoid": (1e-7, 1e-4, "PyTorch's 1/6 is an f32"),
    "linalg.vector_norm": (1e-6, 1e-4, "PyTorch rounds ord to f32"),
    "nn.functional.binary_cross_entropy": (1e-8, 1e-4, "PyTorch adds 1e-12 to p (1 - p) in second derivatives"),
    "logcumsumexp": (1e-9, 1e-3, "PyTorch's gradient in f32 goes through logarithms"),
}
# Gradients of gradients.
ONCE = {
    "linalg.norm/subgradients_at_zero": "not a number in PyTorch, 0 here",
    "masked.logaddexp": "not a number in PyTorch where both are masked, 0 here",
}
# Gradients.
VALUE_ONLY = {"as_strided_scatter": "PyTorch's gradient flows to what is overwritten"}
# Layouts other than the sample's.
ONE_LAYOUT = {
    "as_strided": "it reads memory, not values",
    "as_strided_scatter": "it reads memory, not values",
    "masked_select": "PyTorch's gradient of transposed values is in the order of memory",
}

# ---- What cannot be said ----

UNSAID = {
    "complex numbers": "complex view_as_real view_as_complex imag polar stft istft chalf "
                       "fft.fft fft.fft2 fft.fftn fft.hfft fft.hfft2 fft.hfftn fft.rfft fft.rfft2 fft.rfftn fft.ifft fft.ifft2 fft.ifftn "
                       "fft.ihfft fft.ihfft2 fft.ihfftn fft.irfft fft.irfft2 fft.irfftn nn.functional.silu/complex",
    "factors, inverses, eigenvalues and singular values of matrices":
        "cholesky cholesky_inverse cholesky_solve symeig geqrf lu_unpack lu lu_solve matrix_exp ormqr qr triangular_solve svd svd_lowrank "
        "pca_lowrank pinverse logdet norm/nuc linalg.det linalg.det/singular linalg.cholesky linalg.cholesky_ex linalg.cond linalg.eig "
        "linalg.eigvals linalg.eigh linalg.eigvalsh linalg.householder_product linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve "
        "linalg.lstsq linalg.lstsq/grad_oriented linalg.qr linalg.slogdet linalg.lu_factor linalg.lu_factor_ex linalg.lu linalg.lu_solve "
        "linalg.inv linalg.inv_ex linalg.solve linalg.solve_ex linalg.solve_triangular linalg.matrix_rank linalg.matrix_rank/hermitian "
        "linalg.pinv linalg.pinv/singular linalg.pinv/hermitian linalg.svd linalg.svdvals linalg.tensorinv linalg.tensorsolve",
    "special functions": "i0 igamma igammac mvlgamma polygamma digamma erfinv lgamma special.i0e special.i1 special.i1e special.polygamma "
                         "special.zeta special.ndtri special.log_ndtr special.erfcx special.airy_ai special.bessel_j0 special.bessel_j1 "
                         "special.bessel_y0 special.bessel_y1 special.chebyshev_polynomial_t special.chebyshev_polynomial_u "
                         "special.chebyshev_polynomial_v special.chebyshev_polynomial_w special.hermite_polynomial_h "
                         "special.hermite_polynomial_he special.laguerre_polynomial_l special.legendre_polynomial_p "
                         "special.modified_bessel_i0 special.modified_bessel_i1 special.modified_bessel_k0 special.modified_bessel_k1 "
                         "special.scaled_modified_bessel_k0 special.scaled_modified_bessel_k1 special.shifted_chebyshev_polynomial_t "
                         "special.shifted_chebyshev_polynomial_u special.shifted_chebyshev_polynomial_v "
                         "special.shifted_chebyshev_polynomial_w special.spherical_bessel_j0",
    "arithmetic of integers and of bits": "bitwise_not bitwise_left_shift bitwise_right_shift bitwise_and bitwise_or bitwise_xor lcm gcd "
                                          "__rand__ __ror__ __rxor__ bincount frexp nextafter",
    "other dtypes than f32, f64 and i32": "bfloat16 byte char half long short to",
    "random results": "nn.functional.rrelu uniform randn randn_like rand_like randint_like multinomial normal normal/number_mean bernoulli "
                      "nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d",
    "memory without values, or another size of it": "empty empty_like new_empty new_empty_strided resize_ resize_as_",
    "results whose shape depends on values": "unique unique_consecutive nonzero argwhere mode",
    "sparse tensors": "sparse.sampled_addmm to_sparse",
    "kernels compiled for a GPU": "jiterator_unary jiterator_binary jiterator_4inputs_with_extra_args jiterator_binary_return_by_ref "
                                  "jiterator_2inputs_2outputs",
    "numbers alone: no tensor goes in": "arange linspace logspace broadcast_shapes triu_indices tril_indices",
    "samples for a GPU alone": "nn.functional.batch_norm/without_cudnn",
    "histograms": "histogram histogramdd histc",
    "no op, and no short composition": "gradient native_batch_norm nn.functional.interpolate/bicubic nn.functional.multilabel_margin_loss "
                                       "nn.functional.grid_sample nn.functional.ctc_loss index_reduce segment_reduce masked.median "
                                       "scatter_reduce/prod scatter_reduce/amin scatter_reduce/amax",
}
