"""The models of tools/bench_peers_models.c in PyTorch, in the same order and of the same sizes, each in the fastest eager form known.

Optional: neither building nor testing Reel needs this file, Python or PyTorch. tools/bench_pytorch.py --peers compares their speed,
tests/pytorch_gradients.py values and gradients, and tests/tools/pages.c counts the lines between one heading and the next. They are laid
out as black -l 110 does it.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel


def normal_like(x):
    return torch.randn_like(x)


# ---- mlp ----


def mlp():
    return nn.Sequential(
        nn.Linear(784, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


# ---- mlp_norm ----


def mlp_norm():
    return nn.Sequential(
        nn.Linear(784, 512),
        nn.BatchNorm1d(512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


# ---- digits ----


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = F.max_pool2d(F.relu(self.second(x)), 2)
        return self.fc(x.flatten(1))


# ---- text_cnn ----


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 128)
        self.conv = nn.ModuleList(nn.Conv1d(128, 100, k, padding=k // 2) for k in (3, 5, 7))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(300, 4)

    def forward(self, text):
        x = self.embedding(text).transpose(1, 2)
        parts = [F.relu(conv(x).amax(2)) for conv in self.conv]
        return self.fc(self.dropout(torch.cat(parts, 1)))


# ---- encoder ----


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(10000, 128)
        self.places = nn.Embedding(64, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 512, norm_first=True, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(128), enable_nested_tensor=False)
        self.head = nn.Linear(128, 4)

    def forward(self, text):
        x = self.layers(self.tokens(text) + self.places.weight[: text.shape[1]])
        return self.head(x.mean(1))


# ---- gpt ----


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(1000, 256)
        self.places = nn.Embedding(128, 256)
        layer = nn.TransformerEncoderLayer(256, 4, 1024, 0, F.gelu, norm_first=True, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, nn.LayerNorm(256), enable_nested_tensor=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, text):
        mask = nn.Transformer.generate_square_subsequent_mask(text.shape[1])
        x = self.layers(self.tokens(text) + self.places.weight[: text.shape[1]], mask)
        return F.linear(x, self.tokens.weight)


# ---- tagger ----


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5000, 100)
        self.lstm = nn.LSTM(100, 100, bidirectional=True, batch_first=True)
        self.scores = nn.Linear(200, 9)
        self.start = nn.Parameter(torch.rand(9) * 0.2 - 0.1)
        self.end = nn.Parameter(torch.rand(9) * 0.2 - 0.1)
        self.steps = nn.Parameter(torch.rand(9, 9) * 0.2 - 0.1)

    def forward(self, text, tags):
        e = self.scores(self.lstm(self.embedding(text))[0])
        alpha = self.start + e[:, 0]
        for t in range(1, e.shape[1]):
            alpha = torch.logsumexp(alpha.unsqueeze(2) + self.steps, 1) + e[:, t]
        score = self.start[tags[:, 0]] + self.end[tags[:, -1]] + self.steps[tags[:, :-1], tags[:, 1:]].sum(1)
        score = score + e.gather(2, tags.unsqueeze(2)).sum((1, 2))
        return (torch.logsumexp(alpha + self.end, 1) - score).mean()


# ---- seq2seq ----


class Seq2seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(100, 64)
        self.encoder = nn.GRU(64, 128, batch_first=True)
        self.decoder = nn.GRUCell(64 + 128, 128)
        self.query = nn.Linear(128, 128)
        self.key = nn.Linear(128, 128)
        self.v = nn.Linear(128, 1, bias=False)
        self.out = nn.Linear(128, 100)

    def step(self, letter, memory, keys, h):
        a = torch.softmax(self.v(torch.tanh(keys + self.query(h).unsqueeze(1))), 1)
        return self.decoder(torch.cat([letter, (a * memory).sum(1)], 1), h)

    def forward(self, text, last):
        memory, h = self.encoder(self.letters(text))
        keys, written, h, states = self.key(memory), self.letters(last), h[0], []
        for t in range(10):
            h = self.step(written[:, t], memory, keys, h)
            states.append(h)
        return self.out(torch.stack(states, 1))


# ---- beam_search ----


@torch.no_grad()
def beam_search(model, text, begin=0, end=1, most=10, beam=4):
    memory, h = model.encoder(model.letters(text))
    keys, h, ways, ended = model.key(memory), h[0], [(0.0, [])], []
    for _ in range(most):
        last = torch.tensor([ids[-1] if ids else begin for _, ids in ways])
        h = model.step(model.letters(last), memory, keys, h)
        so_far = torch.tensor([log_p for log_p, _ in ways])
        log_p = so_far.unsqueeze(1) + torch.log_softmax(model.out(h), 1)
        best, places = log_p.flatten().topk(2 * beam)
        longer, parents = [], []
        for p, place in zip(best.tolist(), places.tolist()):
            parent, token = divmod(place, log_p.shape[1])
            if token == end:
                ended.append((p, ways[parent][1]))
            elif len(longer) < beam:
                longer.append((p, ways[parent][1] + [token]))
                parents.append(parent)
            if len(longer) == beam:
                break
        ways, h = longer, h[parents]
    return sorted(ended + ways, key=lambda way: -way[0] / max(len(way[1]), 1) ** 0.9)[:beam]


# ---- skip_gram ----


class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20000, 100, sparse=True)
        self.contexts = nn.Embedding(20000, 100, sparse=True)

    def forward(self, word, context):
        return torch.bmm(self.contexts(context), self.words(word).unsqueeze(2)).squeeze(2)


# ---- vae ----


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.Linear(784, 400)
        self.mean = nn.Linear(400, 20)
        self.log_var = nn.Linear(400, 20)
        self.write = nn.Linear(20, 400)
        self.out = nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.read(x))
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + normal_like(mean) * torch.exp(0.5 * log_var)
        logits = self.out(F.relu(self.write(z)))
        far = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
        return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + far) / len(x)


# ---- physics ----


class Physics(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 64),
            nn.Tanh(),
            nn.Linear(64, 64),
            nn.Tanh(),
            nn.Linear(64, 64),
            nn.Tanh(),
            nn.Linear(64, 1),
        )

    def forward(self, x):
        u = self.layers(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        by_x, by_t = slope[:, :1], slope[:, 1:]
        bend = torch.autograd.grad(by_x.sum(), x, create_graph=True)[0][:, :1]
        return (by_t + u * by_x - 0.01 / math.pi * bend).square().mean()


# ---- one_text ----


class OneText(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10000, 256)
        self.lstm = nn.LSTM(256, 256, batch_first=True)
        self.fc = nn.Linear(256, 29)

    def forward(self, text):
        return self.fc(self.lstm(self.embedding(text))[0][:, -1])


# ---- loop ----


class Reader(nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.words = nn.Embedding.from_pretrained(vectors, freeze=False)
        self.norm = nn.LayerNorm(32)
        self.fc = nn.Linear(32, 4)

    def forward(self, text):
        return self.fc(self.norm(self.words(text).mean(1)))


@torch.no_grad()
def held_out_loss(model, held_out):
    losses = [F.cross_entropy(model(text), wanted).item() for text, wanted in held_out]
    return sum(losses) / len(losses)


def train(model, training, held_out, parts=4, epochs=40, patience=2):
    bare = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": [model.fc.weight]},
        {"params": bare, "weight_decay": 0},
        {"params": [model.words.weight], "lr": 1e-4},
    ]
    optimizer = torch.optim.AdamW(groups)
    mean = AveragedModel(model, avg_fn=lambda mean, now, _: 0.9 * mean + 0.1 * now)
    best, best_epoch, least = None, 0, math.inf
    for epoch in range(1, epochs + 1):
        for part, (text, wanted) in enumerate(training, 1):
            loss = F.cross_entropy(model(text), wanted)
            (loss / parts).backward()
            if part % parts == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
                optimizer.zero_grad()
                mean.update_parameters(model)
        loss = held_out_loss(mean, held_out)
        if loss < least:
            best, best_epoch, least = copy.deepcopy(mean.module), epoch, loss
        elif epoch - best_epoch >= patience:
            break
    return mean.module, best, best_epoch


# ---- What they are run on ----


class Examples:
    """What a model's examples are made of: numbers in [0, 1), drawn once."""

    def __init__(self, numbers=None):
        self.numbers = torch.rand(128 * 784) if numbers is None else numbers

    def uniform(self, *shape):
        return self.numbers[: math.prod(shape)].view(shape)

    def ids(self, *shape, below):
        return (self.uniform(*shape) * below).long()


def classes(logits, target):
    return F.cross_entropy(logits.flatten(0, -2), target.flatten())


def skip_gram_loss(scores, wanted):
    return F.binary_cross_entropy_with_logits(scores, wanted)


# The model, what goes in, and where that does not give the loss: what the result is compared with, and how.
PEERS = {
    "mlp": (mlp, lambda e: [e.uniform(128, 784)], lambda e: e.ids(128, below=10), classes),
    "mlp_norm": (mlp_norm, lambda e: [e.uniform(128, 784)], lambda e: e.ids(128, below=10), classes),
    "digits": (Digits, lambda e: [e.uniform(64, 1, 8, 8)], lambda e: e.ids(64, below=10), classes),
    "text_cnn": (TextCnn, lambda e: [e.ids(64, 64, below=10000)], lambda e: e.ids(64, below=4), classes),
    "encoder": (Encoder, lambda e: [e.ids(32, 64, below=10000)], lambda e: e.ids(32, below=4), classes),
    "gpt": (Gpt, lambda e: [e.ids(8, 128, below=1000)], lambda e: e.ids(8, 128, below=1000), classes),
    "tagger": (Tagger, lambda e: [e.ids(32, 24, below=5000), e.ids(32, 24, below=9)]),
    "seq2seq": (Seq2seq, lambda e: [e.ids(64, 10, below=100)] * 2, lambda e: e.ids(640, below=100), classes),
    "skip_gram": (
        SkipGram,
        lambda e: [e.ids(4096, below=20000), e.ids(4096, 6, below=20000)],
        lambda e: torch.eye(1, 6).repeat(4096, 1),
        skip_gram_loss,
    ),
    "vae": (Vae, lambda e: [e.uniform(128, 784)]),
    "physics": (Physics, lambda e: [e.uniform(1024, 2).clone().requires_grad_()]),
    "one_text": (OneText, lambda e: [e.ids(1, 64, below=10000)], lambda e: e.ids(1, below=29), classes),
}


def make(name, numbers=None):
    """The model, and a function that gives its loss."""
    kind, inputs, *rest = PEERS[name]
    model, examples = kind(), Examples(numbers)
    given = inputs(examples)
    if not rest:
        return model, lambda: model(*given)
    target, compare = rest[0](examples), rest[1]
    return model, lambda: compare(model(*given), target)


def make_optimizer(name, model):
    """SGD with sparse gradients for the word vectors, else fused Adam where the release has it."""
    if name == "skip_gram":
        return torch.optim.SGD(model.parameters(), lr=1e-3)
    try:
        return torch.optim.Adam(model.parameters(), fused=True)
    except (RuntimeError, TypeError, ValueError):
        return torch.optim.Adam(model.parameters())
