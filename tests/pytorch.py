#!/usr/bin/env python3
"""Reel against PyTorch, both ways, for every model and both readings: `make test-pytorch`.

Without PyTorch or NumPy all is skipped, which is counted; with SKIPS=fail that is a failure.
"""

import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("REEL_TOOLS", ROOT / "tools"))
LIMIT = 1e-5
sys.path.insert(0, str(ROOT / "tools"))
try:
    import numpy
    import torch
    from pytorch_export import export, load
    from pytorch_models import MODELS, as_written
except ImportError as error:
    print(f"test-pytorch: 1 skipped: {error}")
    sys.exit(1 if os.environ.get("REEL_SKIPS") == "fail" else 0)

torch.set_num_threads(1)
SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>"]
MAX_LEN = 12


def encode(line, vocabulary, max_len):
    ids = [vocabulary.index(word) for word in line.split() if word in vocabulary[4:]][: max_len - 2]
    return [2, *(ids or [1]), 3]


def logits_of(model, texts, config):
    """By definition each text is run alone; as the notebook reads, it is padded to max_len."""
    padded = config["reading"] == "after-padding"
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids + [0] * (config["max_len"] - len(ids)) * padded])) for ids in texts])


def predict(path, lines, labels):
    """The logits that tools/predict computes, from the probabilities that it prints in full."""
    command = [TOOLS / "predict", path, "--json", "--top", str(len(labels)), "--quiet"]
    out = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    rows = []
    for line in out.stdout.splitlines():
        p = {entry["label"]: entry["probability"] for entry in json.loads(line)["labels"]}
        rows.append([math.log(p[label]) - math.log1p(-p[label]) for label in labels])
    return torch.tensor(rows, dtype=torch.float64)


def agree(what, got, want):
    difference = (got - want.double()).abs().max().item()
    assert got.shape == want.shape and difference < LIMIT, f"{what}: logits differ by {difference:.2e}"
    assert (want.max(0).values - want.min(0).values).max() > 100 * LIMIT, f"{what}: all texts have the same logits"
    return difference


def from_pytorch(folder, name, after_padding):
    torch.manual_seed(1)
    rng = random.Random(1)
    words = ["".join(rng.choices("bcdfgklmnprst", k=5)) for _ in range(30)]
    vocabulary, labels = SPECIAL + sorted(set(words)), ["one", "two", "three & four", "f\u00fcnf"]
    model = as_written(name, len(vocabulary), 9, 8, len(labels))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    path = folder / f"{name}.npz"
    export(path, model, name, vocabulary, labels, max_len=MAX_LEN, after_padding=after_padding, stop_words=["the"])
    lines = [" ".join(rng.choices(words + ["the", "unheard"], k=rng.randrange(0, 15))) for _ in range(40)]
    config = {"reading": "after-padding" if after_padding else "last-token", "max_len": MAX_LEN}
    want = logits_of(model, [encode(line, vocabulary, MAX_LEN) for line in lines], config)
    state = load(path)[0]
    assert all(state[key].numpy().tobytes() == value.numpy().tobytes() for key, value in model.state_dict().items())
    return agree(name, predict(path, lines, labels), want)


def from_reel(folder, name, after_padding):
    data, out = ROOT / "tests/fixtures/debian_120.tsv", folder / "run"
    command = [TOOLS / "train_zoo", "--data", data, "--models", name, "--epochs", "3", "--batch", "16", "--embed", "9", "--hidden", "8"]
    command += ["--max-len", str(MAX_LEN), "--lr", "0.02", "--quiet", "--out", out, "--stop-words", "none"]
    subprocess.run(command + ["--notebook"] * after_padding, check=True, capture_output=True)
    path = out / f"{name}.last.npz"
    state, config, vocabulary, labels = load(path)
    model = as_written(name, len(vocabulary), config["embed"], config["hidden"], len(labels), config["layers"])
    model.load_state_dict(state, strict=True)
    assert config["reading"] == ("after-padding" if after_padding else "last-token")
    lines = [line.split("\t")[0] for line in data.read_text().splitlines()[1:]]
    clean = ["".join(c if c.isascii() and c.isalpha() else " " for c in line.lower()) for line in lines]
    want = logits_of(model, [encode(line, vocabulary, MAX_LEN) for line in clean], config)
    difference = agree(name, predict(path, lines, labels), want)
    again = folder / "again.npz"
    export(again, model, name, vocabulary, labels, max_len=MAX_LEN, after_padding=after_padding)
    with numpy.load(path) as a, numpy.load(again) as b:
        for key in state:
            assert a[key].dtype == b[key].dtype and a[key].tobytes() == b[key].tobytes(), key
    # What PyTorch gives back can be trained on.
    command[command.index(out)] = folder / "more"
    subprocess.run(command + ["--init", again] + ["--notebook"] * after_padding, check=True, capture_output=True)
    return difference


def documentation():
    source, page = (ROOT / "tools/pytorch_export.py").read_text(), (ROOT / "docs/pytorch.md").read_text()
    for block in page.split("```python\n")[1:]:
        code = block.split("```")[0]
        compile(code, "docs/pytorch.md", "exec")
        if code.startswith("def "):
            undocumented = "".join(line for line in source.splitlines(True) if '"""' not in line)
            assert code in undocumented, "docs/pytorch.md shows another export() or load() than tools/pytorch_export.py"


def main():
    worst, done = 0.0, 0
    for name in MODELS:
        for after_padding in (False, True):
            for direction in (from_pytorch, from_reel):
                with tempfile.TemporaryDirectory() as folder:
                    worst = max(worst, direction(pathlib.Path(folder), name, after_padding))
                done += 1
    documentation()
    print(f"test-pytorch: {done} comparisons with PyTorch {torch.__version__}, logits within {worst:.1e}; 0 skipped")


if __name__ == "__main__":
    main()
