#!/usr/bin/env python3
"""Times one text at a time in PyTorch: what `tools/bench --serving` is compared with.

Optional: neither building nor testing Reel needs this file, Python or PyTorch.

    python3 tools/bench_serving.py DATA.tsv [--models lstm,transformer] [--rounds 7] [--threads 1] [--json FILE]

Both answer the same number of texts of the same lengths, in turns, round by round; the medians of a text, and of the rounds, are given.
Reel has weights of 32 bits, and of 8. Reel's time is from the characters of a text to its logits, PyTorch's from a tensor of ids on: eager, in inference mode, on one text without
padding, in the fastest form that is known (nn.LSTM; nn.TransformerEncoder, whose fused layer is left on).
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from torch import nn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pytorch_models  # noqa: E402


class Encoder(nn.Module):
    """The zoo's transformer: positions are sinusoids, logits are of the mean and the maximum of the normed outputs."""

    def __init__(self, vocab, embed, hidden, labels, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed)
        layer = nn.TransformerEncoderLayer(embed, 4, hidden, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(embed), enable_nested_tensor=False)
        self.fc = nn.Linear(2 * embed, labels)
        at = torch.arange(512).unsqueeze(1) * torch.exp(torch.arange(0, embed, 2) * (-math.log(10000.0) / embed))
        self.register_buffer("positions", torch.stack([at.sin(), at.cos()], dim=2).reshape(512, embed))

    def forward(self, ids):
        x = self.layers(self.embedding(ids) + self.positions[: ids.shape[1]])
        return self.fc(torch.cat([x.mean(dim=1), x.amax(dim=1)], dim=1))


def make(model, reel):
    sizes = reel["vocabulary"], model["embed"], model["hidden"], reel["labels"]
    if model["model"] == "transformer":
        return Encoder(*sizes, model["layers"]).eval()
    return pytorch_models.fastest(model["model"], *sizes, model["layers"]).eval()


def ask_reel(options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "reel.json")
        subprocess.run([options.reel, "--serving", options.data, "--models", options.models, "--threads", str(options.threads),
                        "--rounds", "1", "--json", path], check=True, stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def ask_pytorch(model, texts):
    seconds = []
    with torch.inference_mode():
        for ids in texts:
            begun = time.perf_counter()
            model(ids)
            seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds)


def main():
    p = argparse.ArgumentParser(description="Times one text at a time in PyTorch (optional; Reel does not need it).")
    p.add_argument("data")
    p.add_argument("--models", default="lstm,transformer", help="rnn, lstm, attention, stacked, transformer")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--reel", default="tools/bench", help="a program with the options and the JSON of tools/bench --serving")
    p.add_argument("--json", help="where to write the results")
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    first = ask_reel(o)
    texts = [torch.randint(4, first["vocabulary"], (1, length)) for length in first["lengths"]]
    models = {model["model"]: make(model, first) for model in first["models"]}
    reel, pytorch = {(name, bits): [] for name in models for bits in (32, 8)}, {name: [] for name in models}
    for model in models.values():
        ask_pytorch(model, texts)
    for _ in range(o.rounds):
        for model in ask_reel(o)["models"]:
            reel[model["model"], model["bits"]].append(model["text_ms"])
        for name, model in models.items():
            pytorch[name].append(ask_pytorch(model, texts))
    results = {"torch": torch.__version__, "threads": o.threads, "rounds": o.rounds, "models": []}
    for name, bits in reel:
        own = reel[name, bits]
        ratio = statistics.median(a / b for a, b in zip(own, pytorch[name]))
        row = {"model": name, "bits": bits, "reel_ms": statistics.median(own), "pytorch_ms": statistics.median(pytorch[name]), "ratio": ratio}
        results["models"].append(row)
        print(f"{name:12} Reel, {bits:2} bits, {row['reel_ms']:.4f} ms, PyTorch {torch.__version__} {row['pytorch_ms']:.4f} ms, ratio {ratio:.3f}")
    if o.json:
        with open(o.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
