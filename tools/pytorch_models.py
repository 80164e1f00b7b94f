#!/usr/bin/env python3
"""The zoo's six models in PyTorch: the reference that the fixtures and the comparison of speed are made with. And `wide`, for export.

Optional: neither building nor testing Reel needs this file, Python or PyTorch.

Each model is written twice.

* `as_written(name, ...)`: as the notebook has it, a Python loop over the time steps, one matrix product per gate,
  attention computed at every step. This form defines the mathematics, the names of the parameters and their order.
* `fastest(name, ...)`: the same function of the same numbers in the fastest form known in eager PyTorch: nn.RNN and nn.LSTM,
  attention at the last step only. Its parameters have other names; `load_from` fills them from the form above.

and read in two ways.

* `logits_real`: the state at a text's last real token, attention over its own tokens. By definition every text is
  run alone, so nothing can leak from padding or from neighbours.
* `logits_notebook`: the texts are padded with id 0 to the longest of the batch, and the state after the padding is read.

Run as a program it checks that the forms agree and that the numbers of parameters are those of the notebook.
"""

import torch
from torch import nn

MODELS = ("rnn", "lstm", "lstm_matched", "attention", "attention_fed", "stacked")


# ---------------------------------------------------------------- as the notebook writes them


class Rnn(nn.Module):
    """h_t = tanh(W x_t + U h_{t-1} + b_h), h_0 = 0, logits = V h_T + b_o."""

    def __init__(self, vocab, embed, hidden, labels):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed)
        self.input_linear = nn.Linear(embed, hidden, bias=False)
        self.hidden_linear = nn.Linear(hidden, hidden, bias=False)
        self.bias_h = nn.Parameter(torch.zeros(hidden))
        self.output_layer = nn.Linear(hidden, labels)

    def forward(self, ids):  # [B, T] -> [B, K]
        x = self.embedding(ids)
        h = x.new_zeros(ids.shape[0], self.bias_h.shape[0])
        for t in range(ids.shape[1]):
            h = torch.tanh(self.input_linear(x[:, t]) + self.hidden_linear(h) + self.bias_h)
        return self.output_layer(h)


class Lstm(nn.Module):
    """f, i, o = sigmoid(W_g x + U_g h), c' = tanh(W_c x + U_c h), c = f c + i c', h = o tanh(c); every W and U has a bias."""

    def __init__(self, vocab, embed, hidden, labels):
        super().__init__()
        self.hidden = hidden
        self.embedding = nn.Embedding(vocab, embed)
        for gate in "fico":
            setattr(self, f"W_{gate}", nn.Linear(embed, hidden))
            setattr(self, f"U_{gate}", nn.Linear(hidden, hidden))
        self.fc = nn.Linear(hidden, labels)

    def forward(self, ids):
        x = self.embedding(ids)
        h = x.new_zeros(ids.shape[0], self.hidden)
        c = torch.zeros_like(h)
        for t in range(ids.shape[1]):
            x_t = x[:, t]
            f = torch.sigmoid(self.W_f(x_t) + self.U_f(h))
            i = torch.sigmoid(self.W_i(x_t) + self.U_i(h))
            candidate = torch.tanh(self.W_c(x_t) + self.U_c(h))
            o = torch.sigmoid(self.W_o(x_t) + self.U_o(h))
            c = f * c + i * candidate
            h = o * torch.tanh(c)
        return self.fc(h)


def additive_attention(model, outputs, query):
    """Bahdanau: sum_s a_s h_s with a = softmax_s(v_a . tanh(W_h h_s + W_s q)). outputs [B, S, H], query [B, H] -> [B, H]."""
    scores = model.v_a(torch.tanh(model.W_h(outputs) + model.W_s(query).unsqueeze(1)))  # [B, S, 1]
    return (torch.softmax(scores, dim=1) * outputs).sum(dim=1)


class Attention(nn.Module):
    """An LSTM of any number of layers; h~_t = tanh(W_c [h_t ; c_t]), c_t over h_1 .. h_t; logits = fc(h~_T)."""

    def __init__(self, vocab, embed, hidden, labels, layers=1):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed)
        self.lstm = nn.LSTM(embed, hidden, num_layers=layers, batch_first=True)
        self.W_h = nn.Linear(hidden, hidden)
        self.W_s = nn.Linear(hidden, hidden)
        self.v_a = nn.Linear(hidden, 1, bias=False)
        self.W_c = nn.Linear(2 * hidden, hidden)
        self.fc = nn.Linear(hidden, labels)

    def forward(self, ids):
        outputs, _ = self.lstm(self.embedding(ids))  # [B, T, H]
        attended = []
        for t in range(ids.shape[1]):
            h_t = outputs[:, t]
            context = additive_attention(self, outputs[:, : t + 1], h_t)
            attended.append(torch.tanh(self.W_c(torch.cat([h_t, context], dim=1))))
        return self.fc(torch.stack(attended, dim=1)[:, -1])


class AttentionFed(nn.Module):
    """ctx_1 = 0, ctx_t over h_1 .. h_{t-1} with the query h_{t-1}; the cell's input is [x_t ; ctx_t]; logits = fc(h_T).

    nn.LSTM only holds the cell's parameters (PyTorch's names, gate order i, f, g, o); the loop below runs it.
    """

    def __init__(self, vocab, embed, hidden, labels):
        super().__init__()
        self.hidden = hidden
        self.embedding = nn.Embedding(vocab, embed)
        self.lstm = nn.LSTM(embed + hidden, hidden, batch_first=True)
        self.W_h = nn.Linear(hidden, hidden)
        self.W_s = nn.Linear(hidden, hidden)
        self.v_a = nn.Linear(hidden, 1, bias=False)
        self.fc = nn.Linear(hidden, labels)

    def forward(self, ids):
        x = self.embedding(ids)
        h = x.new_zeros(ids.shape[0], self.hidden)
        state = (h.unsqueeze(0), torch.zeros_like(h).unsqueeze(0))
        outputs = []
        for t in range(ids.shape[1]):
            context = additive_attention(self, torch.stack(outputs, dim=1), h) if outputs else torch.zeros_like(h)
            step = torch.cat([x[:, t], context], dim=1).unsqueeze(1)  # [B, 1, E + H]
            _, state = self.lstm(step, state)
            h = state[0][0]
            outputs.append(h)
        return self.fc(h)


class Wide(nn.Module):
    """What `--models best` trains: logits = V relu(16 sum_w x_w E_w + b), x_w = (1 + ln n_w) s_w as a unit vector."""

    def __init__(self, vocab, embed, labels):
        super().__init__()
        self.word_score = nn.Embedding(vocab, 1)
        self.embedding = nn.Embedding(vocab, embed)
        self.bias = nn.Parameter(torch.zeros(embed))
        self.fc = nn.Linear(embed, labels)

    def forward(self, words, weights):  # [B, W] the different words of each text, and ln(1 + ln n_w): -inf where there is none -> [B, K]
        x = torch.exp(self.word_score(words).squeeze(2) + weights)
        x = x / torch.sqrt((x * x).sum(dim=1, keepdim=True) + 1e-12)
        return self.fc(torch.relu(16 * (x.unsqueeze(2) * self.embedding(words)).sum(dim=1) + self.bias))


def as_written(name, vocab, embed, hidden, labels, layers=2):
    """The model in the notebook's form; `layers` counts for stacked only."""
    if name == "rnn":
        return Rnn(vocab, embed, hidden, labels)
    if name in ("lstm", "lstm_matched"):
        return Lstm(vocab, embed, hidden, labels)
    if name == "attention":
        return Attention(vocab, embed, hidden, labels)
    if name == "attention_fed":
        return AttentionFed(vocab, embed, hidden, labels)
    if name == "stacked":
        return Attention(vocab, embed, hidden, labels, layers)
    raise SystemExit(f"pytorch_models: no model '{name}'; there are {', '.join(MODELS)}")


# ---------------------------------------------------------------- the fastest forms


def last_of(outputs, lengths):
    """outputs [B, T, H] at each text's last token; at the last step of all where `lengths` is None."""
    if lengths is None:
        return outputs[:, -1]
    return outputs[torch.arange(outputs.shape[0]), lengths - 1]


class FastRecurrent(nn.Module):
    """rnn and lstm over PyTorch's fused nn.RNN and nn.LSTM."""

    def __init__(self, kind, vocab, embed, hidden, labels):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed)
        self.core = kind(embed, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, labels)

    def forward(self, ids, lengths=None):
        outputs, _ = self.core(self.embedding(ids))
        return self.fc(last_of(outputs, lengths))

    @torch.no_grad()
    def load_from(self, m):
        self.embedding.load_state_dict(m.embedding.state_dict())
        if isinstance(m, Rnn):
            self.core.weight_ih_l0.copy_(m.input_linear.weight)
            self.core.weight_hh_l0.copy_(m.hidden_linear.weight)
            self.core.bias_ih_l0.copy_(m.bias_h)
            self.core.bias_hh_l0.zero_()
            self.fc.load_state_dict(m.output_layer.state_dict())
            return
        for side, letter in (("ih", "W"), ("hh", "U")):
            for part in ("weight", "bias"):
                gates = [getattr(getattr(m, f"{letter}_{gate}"), part) for gate in "ifco"]
                getattr(self.core, f"{part}_{side}_l0").copy_(torch.cat(gates))
        self.fc.load_state_dict(m.fc.state_dict())


class FastAttention(Attention):
    """Attention once, at the last step; what no logit depends on is not computed."""

    def forward(self, ids, lengths=None):
        outputs, _ = self.lstm(self.embedding(ids))
        h = last_of(outputs, lengths)  # [B, H]
        scores = self.v_a(torch.tanh(self.W_h(outputs) + self.W_s(h).unsqueeze(1)))  # [B, T, 1]
        if lengths is not None:
            padding = torch.arange(ids.shape[1]) >= lengths.unsqueeze(1)  # [B, T]
            scores = scores.masked_fill(padding.unsqueeze(2), float("-inf"))
        weights = torch.softmax(scores, dim=1).transpose(1, 2)  # [B, 1, T]
        context = torch.bmm(weights, outputs).squeeze(1)
        return self.fc(torch.tanh(self.W_c(torch.cat([h, context], dim=1))))

    def load_from(self, m):
        self.load_state_dict(m.state_dict())


class FastAttentionFed(AttentionFed):
    """x's part of the gates in one product, W_h h_s once per s; the attention itself has to stay in the loop."""

    def forward(self, ids, lengths=None):
        embed = self.embedding.embedding_dim
        w_x, w_ctx = self.lstm.weight_ih_l0.split([embed, self.hidden], dim=1)
        w_state = torch.cat([w_ctx, self.lstm.weight_hh_l0], dim=1).t()  # [2H, 4H]
        bias = self.lstm.bias_ih_l0 + self.lstm.bias_hh_l0
        gates_x = nn.functional.linear(self.embedding(ids), w_x, bias).unbind(1)  # T of [B, 4H]
        h = gates_x[0].new_zeros(ids.shape[0], self.hidden)
        c = torch.zeros_like(h)
        context = torch.zeros_like(h)
        outputs, keys = [], []
        for gate_x in gates_x:
            if outputs:
                scores = self.v_a(torch.tanh(torch.stack(keys, dim=1) + self.W_s(h).unsqueeze(1)))
                weights = torch.softmax(scores, dim=1).transpose(1, 2)
                context = torch.bmm(weights, torch.stack(outputs, dim=1)).squeeze(1)
            gates = torch.addmm(gate_x, torch.cat([context, h], dim=1), w_state)
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
            keys.append(self.W_h(h))
        return self.fc(last_of(torch.stack(outputs, dim=1), lengths) if lengths is not None else h)

    def load_from(self, m):
        self.load_state_dict(m.state_dict())


def fastest(name, vocab, embed, hidden, labels, layers=2):
    """The model in its fastest form; logits = model(ids) or model(ids, lengths)."""
    if name == "rnn":
        return FastRecurrent(nn.RNN, vocab, embed, hidden, labels)
    if name in ("lstm", "lstm_matched"):
        return FastRecurrent(nn.LSTM, vocab, embed, hidden, labels)
    if name == "attention":
        return FastAttention(vocab, embed, hidden, labels)
    if name == "attention_fed":
        return FastAttentionFed(vocab, embed, hidden, labels)
    if name == "stacked":
        return FastAttention(vocab, embed, hidden, labels, layers)
    raise SystemExit(f"pytorch_models: no model '{name}'; there are {', '.join(MODELS)}")


# ---------------------------------------------------------------- the two readings


def pad(texts):
    """A list of id tensors of different lengths -> ids [B, T] with 0 behind, lengths [B]."""
    ids = nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=0)
    return ids, torch.tensor([len(text) for text in texts])


def logits_real(model, texts):
    return torch.cat([model(text.unsqueeze(0)) for text in texts])


def logits_notebook(model, texts):
    return model(pad(texts)[0])


# ---------------------------------------------------------------- self-check

COUNTS_AT_NOTEBOOK = {"rnn": 5_556_509, "lstm": 5_951_517, "attention": 6_214_685}  # V=21163, E=H=256, K=29
WITHOUT_EMBEDDING = {"rnn": 138_781, "lstm_matched": 138_749}


def check():
    for name in MODELS:
        hidden = {"lstm_matched": 96, "stacked": 64}.get(name, 256)
        embed = 100 if name == "stacked" else 256
        model = as_written(name, 21163, embed, hidden, 29)
        count = sum(p.numel() for p in model.parameters())
        small = count - model.embedding.weight.numel()
        assert count == COUNTS_AT_NOTEBOOK.get(name, count), (name, count)
        assert small == WITHOUT_EMBEDDING.get(name, small), (name, small)

        torch.manual_seed(1)
        written = as_written(name, 30, 9, 8, 5).double()
        fast = fastest(name, 30, 9, 8, 5).double()
        fast.load_from(written)
        texts = [torch.randint(1, 30, (n,)) for n in (3, 9, 1, 6)]
        ids, lengths = pad(texts)
        real = (fast(ids, lengths) - logits_real(written, texts)).abs().max().item()
        notebook = (fast(ids) - logits_notebook(written, texts)).abs().max().item()
        apart = (logits_real(written, texts) - logits_notebook(written, texts)).abs().max().item()
        assert real < 1e-12 and notebook < 1e-12 and apart > 1e-6, (name, real, notebook, apart)
        print(f"{name:14s} {count:10,d} parameters, {small:8,d} without the embedding; forms agree within {max(real, notebook):.1e}")


if __name__ == "__main__":
    check()
