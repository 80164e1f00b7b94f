"""PyTorch's modules said in Reel, for tests/pytorch_samples.py: where Reel has the module, that one with the weights loaded
by name; else the function that it stands for, of its parameters."""

import ctypes
import inspect
import math
import os
import tempfile

import numpy
import torch

from pytorch_reel import TYPES, Refused, Unsaid, V, Var
from pytorch_said import SAID, concat

SAYS = {}
LEFT_OUT = "left out"  # a result that Reel does not give


def says(*names):
    def note(function):
        for name in names:
            SAYS[name] = function
        return function
    return note


class Part:
    """A PyTorch module beside what Reel makes of it."""

    def __init__(self, reel, module):
        self.reel, self.f, self.module, self.memory = reel, reel.f, module, []
        self.leaves, self.rename = {}, lambda name: name
        self.before = {k: v.detach().clone() for k, v in module.state_dict().items()}  # statistics change as it runs

    def parameter(self, name):
        """A parameter as a leaf; None where the module has none of that name."""
        value = self.before.get(name)
        if value is None:
            return None
        if name not in self.leaves:
            self.leaves[name] = self.reel.leaf(value)
        return self.leaves[name]

    def own(self, init, *arguments):
        """Reel's module with these values."""
        if self.memory:
            return self.memory[0]
        m = ctypes.create_string_buffer(1 << 16)
        self.memory.append(m)
        getattr(self.f, init)(ctypes.addressof(m), *arguments)
        self.check(self.f.nn_module_reset_f64(ctypes.addressof(m), 0))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.npz")
            numpy.savez(path, **{self.rename(k): v.numpy() for k, v in self.before.items()})
            self.check(self.f.nn_load(ctypes.addressof(m), path.encode()))
        return m

    def check(self, status):
        if status.code:
            raise Refused(status.message.decode())

    def call(self, name, m, *arguments):
        return V(self.reel, getattr(self.f, name)(ctypes.addressof(m), *[a.var if isinstance(a, V) else a for a in arguments]))

    def place(self, name):
        """A parameter on the tape: a leaf, or Reel's module's; None where there is none."""
        if not self.memory:
            return self.leaves.get(name)
        module, path = ctypes.addressof(self.memory[0]), ctypes.create_string_buffer(4096)
        parameter = self.f.nn_first_parameter(module)
        while parameter:
            self.f.nn_parameter_path(parameter, ctypes.addressof(path))
            if path.value.decode() == self.rename(name):
                return V(self.reel, self.f.nn_var(parameter, self.reel.tape))
            parameter = self.f.nn_next_parameter(module, parameter)
        return None

    def free(self):
        for m in self.memory:
            self.f.nn_module_free(ctypes.addressof(m))


# ---- By the functions that they stand for ----

for _n in (1, 2, 3):
    for _lazy in ("", "Lazy"):
        SAYS[f"{_lazy}Conv{_n}d"] = lambda p, x, _n=_n: convolution(p, x, _n)
        SAYS[f"{_lazy}ConvTranspose{_n}d"] = lambda p, x, _n=_n: SAID[f"nn.functional.conv_transpose{_n}d"](
            x, p.parameter("weight"), p.parameter("bias"), p.module.stride, p.module.padding, p.module.output_padding,
            p.module.groups, p.module.dilation)


def convolution(p, x, n):
    m = p.module
    if m.padding_mode != "zeros":
        raise Unsaid("another padding than with zeros")
    alike = all(len(set(v)) == 1 for v in (m.stride, m.dilation)) and not isinstance(m.padding, str) and len(set(m.padding)) == 1
    if n < 3 and alike and m.groups == 1 and m.bias is not None and x.dim() == n + 2:
        options = p.f.nn_conv_options()
        options.stride, options.padding, options.dilation = m.stride[0], m.padding[0], m.dilation[0]
        own = p.own(f"nn_conv{n}d_init", m.in_channels, m.out_channels, *m.kernel_size, options)
        return p.call(f"nn_conv{n}d", own, x)
    return SAID[f"nn.functional.conv{n}d"](x, p.parameter("weight"), p.parameter("bias"), m.stride, m.padding, m.dilation, m.groups)


def by_function(function):
    """The function with the module's members of the same names as its arguments."""
    names = list(inspect.signature(function).parameters)

    def said(p, *inputs):
        options = {name: getattr(p.module, name) for name in names[len(inputs):] if hasattr(p.module, name)}
        for name, value in options.items():
            if isinstance(value, torch.nn.Parameter):
                options[name] = p.parameter(name)
            elif isinstance(value, torch.Tensor):
                options[name] = p.reel.constant(p.before[name])
        return function(*inputs, **options)
    return said


FUNCTIONS = {
    "batch_norm": "BatchNorm1d BatchNorm2d BatchNorm3d",
    "layer_norm": "LayerNorm", "group_norm": "GroupNorm", "local_response_norm": "LocalResponseNorm", "bilinear": "Bilinear",
    "celu": "CELU", "elu": "ELU", "gelu": "GELU", "glu": "GLU", "hardshrink": "Hardshrink", "hardswish": "Hardswish", "hardtanh": "Hardtanh",
    "leaky_relu": "LeakyReLU", "logsigmoid": "LogSigmoid", "mish": "Mish", "prelu": "PReLU", "relu6": "ReLU6", "selu": "SELU", "silu": "SiLU",
    "softmin": "Softmin", "softplus": "Softplus", "softshrink": "Softshrink", "softsign": "Softsign", "tanhshrink": "Tanhshrink",
    "threshold": "Threshold", "binary_cross_entropy": "BCELoss", "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "cosine_embedding_loss": "CosineEmbeddingLoss", "cross_entropy": "CrossEntropyLoss", "hinge_embedding_loss": "HingeEmbeddingLoss",
    "huber_loss": "HuberLoss", "kl_div": "KLDivLoss", "l1_loss": "L1Loss", "margin_ranking_loss": "MarginRankingLoss", "mse_loss": "MSELoss",
    "multi_margin_loss": "MultiMarginLoss", "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss", "nll_loss": "NLLLoss",
    "poisson_nll_loss": "PoissonNLLLoss", "smooth_l1_loss": "SmoothL1Loss", "soft_margin_loss": "SoftMarginLoss",
    "gaussian_nll_loss": "GaussianNLLLoss",
}
for _n in (1, 2, 3):
    FUNCTIONS.update({f"adaptive_avg_pool{_n}d": f"AdaptiveAvgPool{_n}d", f"adaptive_max_pool{_n}d": f"AdaptiveMaxPool{_n}d",
                      f"avg_pool{_n}d": f"AvgPool{_n}d", f"max_pool{_n}d": f"MaxPool{_n}d"})
for _function, _names in FUNCTIONS.items():
    for _name in _names.split():
        SAYS[_name] = by_function(SAID["nn.functional." + _function])
for _name, _function in {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Tanh": "tanh", "Sigmoid": "sigmoid"}.items():
    SAYS[_name] = by_function(SAID[_function])
SAYS["ReLU"] = lambda p, x: x.relu()
SAYS["Softmax2d"] = lambda p, x: x.softmax(-3)
for _n in (1, 2, 3):
    for _name, _mode in {"Constant": "constant", "Zero": "constant", "Reflection": "reflect", "Replication": "replicate",
                         "Circular": "circular"}.items():
        SAYS[f"{_name}Pad{_n}d"] = lambda p, x, _mode=_mode: SAID["nn.functional.pad"](
            x, p.module.padding, _mode, getattr(p.module, "value", None))


@says("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def instance_norm(p, x):
    said = by_function(SAID["nn.functional.instance_norm"])
    alone = x.dim() == int(type(p.module).__name__[-2]) + 1
    return said(p, x.unsqueeze(0)).squeeze(0) if alone else said(p, x)


@says("LPPool1d", "LPPool2d", "LPPool3d")
def power_pool(p, x):
    """sum(x^p)^(1/p), by averages."""
    m = p.module
    n = int(type(m).__name__[-2])
    count = math.prod(m.kernel_size if isinstance(m.kernel_size, tuple) else [m.kernel_size] * n)
    power = float(m.norm_type)
    mean = SAID[f"nn.functional.avg_pool{n}d"](x ** power, m.kernel_size, m.stride, 0, m.ceil_mode)
    return (mean.sign() * mean.relu()).scale(count) ** (1 / power)


@says("RMSNorm")
def rms_norm(p, x):
    m = p.module
    dims = list(range(-len(m.normalized_shape), 0))
    y = x * (x.square().mean(dims, True) + (torch.finfo(torch.float64).eps if m.eps is None else m.eps)).rsqrt()
    weight = p.parameter("weight")
    return y if weight is None else y * weight


# ---- By Reel's modules ----

@says("Linear")
def linear(p, input):
    m = p.module
    own = p.own("nn_linear_init" if m.bias is not None else "nn_linear_init_without_bias", m.in_features, m.out_features)
    return p.call("nn_linear", own, input)


@says("Embedding")
def embedding(p, ids):
    m = p.module
    if m.padding_idx is not None or m.max_norm is not None:
        raise Unsaid("max_norm and scale_grad_by_freq")
    return p.call("nn_embedding", p.own("nn_embedding_init", m.num_embeddings, m.embedding_dim), ids)


def recurrent(p, kind):
    m = p.module
    options = p.f.nn_recurrent_options()
    options.layers, options.bidirectional = getattr(m, "num_layers", 1), getattr(m, "bidirectional", False)
    options.biases = 2 if m.bias else 0
    if getattr(m, "nonlinearity", "tanh") != "tanh":
        raise Unsaid("a recurrence with relu")
    if getattr(m, "proj_size", 0):
        raise Unsaid("proj_size")
    if getattr(m, "dropout", 0):
        raise Unsaid("random results")
    return p.own(f"nn_{kind}_init_with", m.input_size, m.hidden_size, options)


def run(kind):
    """[T, B, in] or [B, T, in], or [T, in] of one text."""
    def said(p, x, state=None):
        own, f, m = recurrent(p, kind), p.f, p.module
        alone = x.dim() == 2
        x = x.unsqueeze(0) if alone else x if m.batch_first else x.transpose(0, 1)
        texts, steps, width = x.shape
        sequence = f.nn_pack_rows(x.reshape(texts * steps, width).var, (ctypes.c_int32 * texts)(*[steps] * texts), texts)
        before = TYPES["NnRecurrentState"]()
        if state is not None:
            parts = [s.unsqueeze(1) if alone else s for s in (state if isinstance(state, (tuple, list)) else [state])]
            before.h = parts[0].var
            if len(parts) > 1:
                before.c = parts[1].var
        out = f.nn_recurrent_from(ctypes.addressof(own), sequence, before)
        p.reel.check()
        rows = V(p.reel, f.nn_unpack(f.nn_recurrent_sequence(out)))
        y = rows.reshape(texts, steps, rows.size(1))
        y = y.squeeze(0) if alone else y if m.batch_first else y.transpose(0, 1)
        after = f.nn_recurrent_state(out)
        states = [V(p.reel, v) for v in ((after.h, after.c) if kind == "lstm" else (after.h,))]
        return [y] + [s.squeeze(1) if alone else s for s in states]
    return said


def cell(kind):
    """The step of a module of one layer, whose names have "_l0" behind."""
    def said(p, x, state=None):
        p.rename = lambda name: name + "_l0"
        own = recurrent(p, kind)
        alone = x.dim() == 1
        place = TYPES["NnRecurrentState"]()
        parts = [] if state is None else state if isinstance(state, (tuple, list)) else [state]
        parts = [s.reshape(1, 1 if alone else s.size(0), s.size(-1)) for s in parts]
        if parts:
            place.h = parts[0].var
            if kind == "lstm":
                place.c = parts[1].var
        h = V(p.reel, p.f.nn_recurrent_step(ctypes.addressof(own), (x.reshape(1, x.numel()) if alone else x).var, ctypes.byref(place)))
        results = [h]
        if kind == "lstm":
            results.append(V(p.reel, place.c).squeeze(0))
        return [r.squeeze(0) if alone else r for r in results]
    return said


for _name, _kind in {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm"}.items():
    SAYS[_name], SAYS[_name + "Cell"] = run(_kind), cell(_kind)


def packed(p, x, batch_first):
    """Texts of one length as a sequence, and back: [T, E] of one text, [T, B, E] or [B, T, E]."""
    alone = x.dim() == 2
    x = x.unsqueeze(0) if alone else x if batch_first else x.transpose(0, 1)
    texts, steps, width = x.shape

    def back(sequence):
        p.reel.check()
        y = V(p.reel, p.f.nn_unpack(sequence)).reshape(texts, steps, width)
        return y.squeeze(0) if alone else y if batch_first else y.transpose(0, 1)
    return p.f.nn_pack_rows(x.reshape(texts * steps, width).var, (ctypes.c_int32 * texts)(*[steps] * texts), texts), back


# ---- Attention and transformers: Reel's modules without masks, else by what they are made of ----

def linear_of(p, x, weight, bias):
    return x.call("var_linear", weight, bias if bias is not None else Var())


def norm_of(p, x, name, m):
    return SAID["nn.functional.layer_norm"](x, m.normalized_shape, p.parameter(name + ".weight"), p.parameter(name + ".bias"), m.eps)


def no_chance(p, rate):
    if rate and p.module.training:
        raise Unsaid("random results")


def added_mask(scores, mask):
    return scores + mask if mask.is_real() else scores.masked_fill(mask, -math.inf)


def heads_of(x, heads):
    texts, steps, width = x.shape
    return x.reshape(texts, steps, heads, width // heads).transpose(1, 2)


def attention(p, name, m, query, key, value, padding=None, mask=None):
    """[B, T, E] or [T, E]; the results, and the weights of all heads."""
    if not m._qkv_same_embed_dim:
        raise Unsaid("keys of another width")
    no_chance(p, m.dropout)
    alone = query.dim() == 2
    q, k, v = [x.unsqueeze(0) if alone else x for x in (query, key, value)]
    weights = p.parameter(name + "in_proj_weight").split([m.embed_dim] * 3, 0)
    biases = p.parameter(name + "in_proj_bias")
    biases = biases.split([m.embed_dim] * 3, 0) if biases is not None else [None] * 3
    q, k, v = [linear_of(p, x, w, b) for x, w, b in zip((q, k, v), weights, biases)]
    texts, more = q.size(0), 0
    if m.bias_k is not None:
        extra = lambda n: p.parameter(name + n).reshape(1, 1, m.embed_dim).expand(texts, 1, m.embed_dim)
        k, v, more = concat([k, extra("bias_k")], 1), concat([v, extra("bias_v")], 1), more + 1
    if m.add_zero_attn:
        k, v, more = k.pad(1, 0, 1), v.pad(1, 0, 1), more + 1
    scores = heads_of(q, m.num_heads).matmul(heads_of(k, m.num_heads).transpose(-2, -1)).scale(1 / math.sqrt(m.head_dim))
    if mask is not None:
        mask = mask.pad(mask.dim() - 1, 0, more)
        scores = added_mask(scores, mask.reshape([texts, m.num_heads] + mask.shape[1:]) if mask.dim() == 3 else mask)
    if padding is not None:
        padding = padding.unsqueeze(0) if alone else padding
        padding = padding.pad(1, 0, more)
        scores = added_mask(scores, padding.reshape(texts, 1, 1, k.size(1)))
    share = scores.softmax(-1)
    y = share.matmul(heads_of(v, m.num_heads)).transpose(1, 2).reshape(texts, q.size(1), m.embed_dim)
    y = linear_of(p, y, p.parameter(name + "out_proj.weight"), p.parameter(name + "out_proj.bias"))
    return (y.squeeze(0), share.squeeze(0)) if alone else (y, share)


def by_texts(x, batch_first):
    return x if batch_first or x.dim() == 2 else x.transpose(0, 1)


@says("MultiheadAttention")
def multihead_attention(p, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True):
    m = p.module
    q, k, v = [by_texts(x, m.batch_first) for x in (query, key, value)]
    y, weights = attention(p, "", m, q, k, v, key_padding_mask, attn_mask)
    if need_weights and average_attn_weights:
        weights = weights.mean(-3)
    return [by_texts(y, m.batch_first), weights if need_weights else LEFT_OUT]


ACTIVATIONS = {torch.nn.functional.relu: "relu", torch.nn.functional.gelu: "gelu"}


def activation_of(m):
    if m.activation not in ACTIVATIONS:
        raise Unsaid("an activation of PyTorch's own")
    return ACTIVATIONS[m.activation]


def transformer_options(p):
    m = p.module
    options = p.f.nn_transformer_options(m.self_attn.num_heads, m.linear1.out_features)
    options.norm_first, options.dropout, options.inner_dropout = m.norm_first, 0, 0
    options.activation = ctypes.cast(getattr(p.reel.lib, "var_" + activation_of(m)), ctypes.c_void_p)
    return options


def halves(p, name, m, x, parts):
    """Each part with its norm before it, or behind the sum."""
    for i, part in enumerate(parts):
        norm = lambda t: norm_of(p, t, f"{name}norm{i + 1}", getattr(m, f"norm{i + 1}"))
        x = x + part(norm(x)) if m.norm_first else norm(x + part(x))
    return x


def feed_forward(p, name, m, x):
    no_chance(p, m.dropout.p)
    hidden = getattr(linear_of(p, x, p.parameter(name + "linear1.weight"), p.parameter(name + "linear1.bias")), activation_of(m))()
    return linear_of(p, hidden, p.parameter(name + "linear2.weight"), p.parameter(name + "linear2.bias"))


def encoder(p, name, m, x, mask, padding):
    return halves(p, name, m, x, [lambda t: attention(p, name + "self_attn.", m.self_attn, t, t, t, padding, mask)[0],
                                  lambda t: feed_forward(p, name, m, t)])


def decoder(p, name, m, x, memory, mask, memory_mask, padding, memory_padding):
    own = lambda t: attention(p, name + "self_attn.", m.self_attn, t, t, t, padding, mask)[0]
    over = lambda t: attention(p, name + "multihead_attn.", m.multihead_attn, t, memory, memory, memory_padding, memory_mask)[0]
    return halves(p, name, m, x, [own, over, lambda t: feed_forward(p, name, m, t)])


@says("TransformerEncoderLayer")
def encoder_layer(p, src, src_mask=None, src_key_padding_mask=None):
    m = p.module
    first = m.self_attn.batch_first
    if src_mask is None and src_key_padding_mask is None and m.linear1.bias is not None:
        no_chance(p, m.dropout.p)
        own = p.own("nn_transformer_encoder_layer_init", m.linear1.in_features, transformer_options(p))
        sequence, back = packed(p, src, first)
        return back(p.f.nn_transformer_encoder_layer(ctypes.addressof(own), sequence))
    return by_texts(encoder(p, "", m, by_texts(src, first), src_mask, src_key_padding_mask), first)


@says("TransformerEncoder")
def encoder_layers(p, src, mask=None, src_key_padding_mask=None):
    m = p.module
    first = m.layers[0].self_attn.batch_first
    x = by_texts(src, first)
    for i, layer in enumerate(m.layers):
        x = encoder(p, f"layers.{i}.", layer, x, mask, src_key_padding_mask)
    if m.norm is not None:
        x = norm_of(p, x, "norm", m.norm)
    return by_texts(x, first)


@says("TransformerDecoderLayer")
def decoder_layer(p, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None):
    first = p.module.self_attn.batch_first
    y = decoder(p, "", p.module, by_texts(tgt, first), by_texts(memory, first), tgt_mask, memory_mask, tgt_key_padding_mask,
                memory_key_padding_mask)
    return by_texts(y, first)


@says("Transformer")
def transformer(p, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None,
                memory_key_padding_mask=None):
    m = p.module
    memory, x = by_texts(src, m.batch_first), by_texts(tgt, m.batch_first)
    for i, layer in enumerate(m.encoder.layers):
        memory = encoder(p, f"encoder.layers.{i}.", layer, memory, src_mask, src_key_padding_mask)
    memory = norm_of(p, memory, "encoder.norm", m.encoder.norm)
    for i, layer in enumerate(m.decoder.layers):
        x = decoder(p, f"decoder.layers.{i}.", layer, x, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
    return by_texts(norm_of(p, x, "decoder.norm", m.decoder.norm), m.batch_first)
