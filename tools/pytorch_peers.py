"""The models of tools/bench_peers_models.c in PyTorch, of the same sizes, each in the fastest eager form known.

Optional: neither building nor testing Reel needs this file, Python or PyTorch. tools/bench_pytorch.py --peers compares the two.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


def ids(*shape, below):
    return torch.randint(below, shape)


class Mlp(nn.Module):
    def __init__(self, normalised=False):
        super().__init__()
        norm = nn.BatchNorm1d if normalised else nn.Identity
        self.layers = nn.Sequential(nn.Linear(784, 512), norm(512), nn.ReLU(), nn.Linear(512, 256), norm(256), nn.ReLU(), nn.Linear(256, 10))
        self.x, self.y = torch.rand(128, 784), ids(128, below=10)

    def forward(self):
        return F.cross_entropy(self.layers(self.x), self.y)


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.fc = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1), nn.Linear(128, 10)
        self.x, self.y = torch.rand(64, 1, 8, 8), ids(64, below=10)

    def forward(self):
        x = F.max_pool2d(F.relu(self.first(self.x)), 2)
        x = F.max_pool2d(F.relu(self.second(x)), 2)
        return F.cross_entropy(self.fc(x.flatten(1)), self.y)


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.conv = nn.ModuleList(nn.Conv1d(128, 100, k, padding=2) for k in (3, 4, 5))
        self.fc = nn.Linear(300, 4)
        self.x, self.y = ids(64, 64, below=10000), ids(64, below=4)

    def forward(self):
        x = self.embedding(self.x).transpose(1, 2)
        parts = [F.relu(conv(x).amax(2)) for conv in self.conv]
        return F.cross_entropy(self.fc(F.dropout(torch.cat(parts, 1), 0.5)), self.y)


class Block(nn.Module):
    def __init__(self, width, heads, hidden, causal, dropout, activation):
        super().__init__()
        self.heads, self.causal, self.p, self.activation = heads, causal, dropout, activation
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        b, t, e = x.shape
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1))
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=self.p, is_causal=self.causal)
        x = x + F.dropout(self.out(seen.transpose(1, 2).reshape(b, t, e)), self.p)
        hidden = F.dropout(self.activation(self.linear1(self.norm2(x))), self.p)
        return x + F.dropout(self.linear2(hidden), self.p)


class Transformer(nn.Module):
    def __init__(self, layers, width, length, vocab, blocks):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocab, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList(Block(width, *blocks) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def rows(self, x):
        h = self.tokens(x) + self.places.weight[: x.shape[1]]
        for layer in self.layers:
            h = layer(h)
        return self.norm(h)


class Encoder(Transformer):
    def __init__(self):
        super().__init__(2, 128, 64, 10000, (4, 512, False, 0.1, F.relu))
        self.head = nn.Linear(128, 4)
        self.x, self.y = ids(32, 64, below=10000), ids(32, below=4)

    def forward(self):
        return F.cross_entropy(self.head(self.rows(self.x).mean(1)), self.y)


class Gpt(Transformer):
    def __init__(self):
        super().__init__(4, 256, 128, 1000, (4, 1024, True, 0.0, F.gelu))
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.x, self.y = ids(8, 128, below=1000), ids(8, 128, below=1000)

    def forward(self):
        logits = F.linear(self.rows(self.x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), self.y.flatten())


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.scores = nn.Embedding(5000, 100), nn.LSTM(100, 100, bidirectional=True, batch_first=True), nn.Linear(200, 9)
        self.start, self.end, self.transitions = (nn.Parameter(torch.rand(*s) * 0.2 - 0.1) for s in ((9,), (9,), (9, 9)))
        self.x, self.y = ids(32, 24, below=5000), ids(32, 24, below=9)

    def forward(self):
        e, y = self.scores(self.lstm(self.embedding(self.x))[0]), self.y
        alpha = self.start + e[:, 0]
        for t in range(1, e.shape[1]):
            alpha = torch.logsumexp(alpha.unsqueeze(2) + self.transitions, 1) + e[:, t]
        score = self.start[y[:, 0]] + self.end[y[:, -1]] + e.gather(2, y.unsqueeze(2)).sum((1, 2)) + self.transitions[y[:, :-1], y[:, 1:]].sum(1)
        return (torch.logsumexp(alpha + self.end, 1) - score).mean()


class Seq2seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters, self.encoder, self.decoder = nn.Embedding(100, 64), nn.GRU(64, 128, batch_first=True), nn.GRUCell(192, 128)
        self.query, self.key, self.v, self.out = nn.Linear(128, 128), nn.Linear(128, 128), nn.Linear(128, 1), nn.Linear(128, 100)
        self.x, self.y = ids(64, 10, below=100), ids(64, 10, below=100)

    def forward(self):
        memory = self.encoder(self.letters(self.x))[0]
        keys, last, h, states = self.key(memory), self.letters(self.y), memory.new_zeros(64, 128), []
        for t in range(10):
            a = torch.softmax(self.v(torch.tanh(keys + self.query(h).unsqueeze(1))), 1)
            h = self.decoder(torch.cat([last[:, t], (a * memory).sum(1)], 1), h)
            states.append(h)
        return F.cross_entropy(self.out(torch.stack(states, 1)).flatten(0, 1), self.y.flatten())


class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.contexts = nn.Embedding(20000, 100, sparse=True), nn.Embedding(20000, 100, sparse=True)
        self.x, self.y, self.wanted = ids(4096, below=20000), ids(4096, 6, below=20000), torch.eye(1, 6).repeat(4096, 1)

    def forward(self):
        scores = torch.bmm(self.contexts(self.y), self.words(self.x).unsqueeze(2)).squeeze(2)
        return F.binary_cross_entropy_with_logits(scores, self.wanted)


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.mean, self.log_var, self.write, self.out = (nn.Linear(*s) for s in ((784, 400), (400, 20), (400, 20), (20, 400), (400, 784)))
        self.x = torch.rand(128, 784)

    def forward(self):
        h = F.relu(self.read(self.x))
        mean, log_var = self.mean(h), self.log_var(h)
        logits = self.out(F.relu(self.write(mean + torch.randn_like(mean) * torch.exp(0.5 * log_var))))
        far = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
        return (F.binary_cross_entropy_with_logits(logits, self.x, reduction="sum") + far) / 128


class Physics(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        self.x = torch.rand(1024, 2, requires_grad=True)

    def forward(self):
        u = self.layers(self.x)
        slope = torch.autograd.grad(u.sum(), self.x, create_graph=True)[0]
        by_x, by_t = slope[:, :1], slope[:, 1:]
        bend = torch.autograd.grad(by_x.sum(), self.x, create_graph=True)[0][:, :1]
        return (by_t + u * by_x - 0.01 / math.pi * bend).square().mean()


class OneText(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.fc = nn.Embedding(10000, 256), nn.LSTM(256, 256, batch_first=True), nn.Linear(256, 29)
        self.x, self.y = ids(1, 64, below=10000), ids(1, below=29)

    def forward(self):
        return F.cross_entropy(self.fc(self.lstm(self.embedding(self.x))[0][:, -1]), self.y)


PEERS = {"mlp": Mlp, "mlp_norm": lambda: Mlp(True), "digits": Digits, "text_cnn": TextCnn, "encoder": Encoder, "gpt": Gpt, "tagger": Tagger,
         "seq2seq": Seq2seq, "skip_gram": SkipGram, "vae": Vae, "physics": Physics, "one_text": OneText}


def make(name):
    """The model and its optimizer: SGD with sparse gradients for the word vectors, else fused Adam where the release has it."""
    model = PEERS[name]()
    if name == "skip_gram":
        return model, torch.optim.SGD(model.parameters(), lr=1e-3)
    try:
        return model, torch.optim.Adam(model.parameters(), fused=True)
    except (RuntimeError, TypeError, ValueError):
        return model, torch.optim.Adam(model.parameters())
