#!/usr/bin/env python3
"""Reel against PyTorch, both ways, for every model and both readings: `make test-pytorch`.

Without PyTorch or NumPy all is skipped, without Hugging Face's safetensors or onnxruntime what needs them. Skips are counted; with
SKIPS=fail they are a failure.
"""

import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRIALS = os.environ.get("REEL_TRIALS", ROOT / "build/release/tests/optimizer_trials")
TOOLS = pathlib.Path(os.environ.get("REEL_TOOLS", ROOT / "tools"))
LIMIT = 1e-5
sys.path.insert(0, str(ROOT / "tools"))
try:
    import numpy
    import torch
    from pytorch_export import export, load
    from pytorch_models import MODELS, as_written
    import optimizer_trials
except ImportError as error:
    print(f"test-pytorch: 1 skipped: {error}")
    sys.exit(1 if os.environ.get("REEL_SKIPS") == "fail" else 0)

try:
    import safetensors.torch
except ImportError:
    safetensors = None
try:
    import onnxruntime
except ImportError:
    onnxruntime = None

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


def train(*arguments):
    command = [TOOLS / "train_zoo", "--data", ROOT / "tests/fixtures/debian_120.tsv", "--models", "lstm", "--batch", "16",
               "--embed", "9", "--hidden", "8", "--quiet", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def same(a, b):
    """The same tensors bit for bit."""
    assert list(sorted(a)) == list(sorted(b)), (list(a), list(b))
    for key in a:
        assert a[key].dtype == b[key].dtype and a[key].shape == b[key].shape and a[key].numpy().tobytes() == b[key].numpy().tobytes(), key


def through_safetensors(folder):
    """A model of Reel's in Hugging Face's library, and what that writes as Reel's first weights: of learning rate
    1e-12, so that what is exported after an epoch is what was read, but for rounding. Returns how much was compared."""
    assert train("--epochs", "1", "--out", folder / "run").returncode == 0
    path, out = folder / "lstm.safetensors", folder / "more"
    subprocess.run([TOOLS / "predict", folder / "run/lstm.last.npz", "--export", path], check=True)
    weights = load(folder / "run/lstm.last.npz")[0]
    same(safetensors.torch.load_file(path), weights)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}
    theirs, init = folder / "theirs.safetensors", ("--epochs", "1", "--optimizer", "sgd", "--lr", "1e-12", "--out", out, "--init")
    forms = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
    for dtype in forms.values():
        changed = {key: value.to(dtype) for key, value in weights.items()}
        safetensors.torch.save_file(changed, theirs, metadata={"note": "f\u00fcr Reel"})
        done = train(*init, theirs)
        assert done.returncode == 0, done.stderr
        subprocess.run([TOOLS / "predict", out / "lstm.last.npz", "--export", path], check=True)
        for key, value in safetensors.torch.load_file(path).items():
            assert (value - changed[key].float()).abs().max() < 1e-6, key
    # float8 is named, and so are names that a wrapper has put a prefix before.
    if hasattr(torch, "float8_e4m3fn"):
        safetensors.torch.save_file({key: value.to(torch.float8_e4m3fn) for key, value in weights.items()}, theirs)
        done = train(*init, theirs)
        assert done.returncode == 1 and "its type is F8_E4M3" in done.stderr, done.stderr
    for prefix in ("module.", "_orig_mod."):
        safetensors.torch.save_file({prefix + key: value for key, value in weights.items()}, theirs)
        done = train(*init, theirs)
        assert done.returncode == 1 and f"--init-prefix {prefix}" in done.stderr, done.stderr
        done = train(*init, theirs, "--init-prefix", prefix)
        assert done.returncode == 0, done.stderr
    return 1 + len(forms) + 2


def optimizers(folder, count=384):
    """Random settings: in f64 to rounding; in f32, where the embedding's rows are updated late, to 1e-6."""
    rng = random.Random(5)
    trials = [optimizer_trials.draw(rng) for _ in range(count)]
    given, made = folder / "trials.npz", folder / "made.npz"
    numpy.savez(given, **{f"{i}/{key}": value for i, trial in enumerate(trials) for key, value in trial.items()})
    subprocess.run([TRIALS, given, made, str(count)], check=True)
    worst = {"f32": 0.0, "f64": 0.0}
    with numpy.load(made) as got:
        for i, trial in enumerate(trials):
            for dtype, of_torch, limit in (("f32", torch.float32, 1e-6), ("f64", torch.float64, 1e-12)):
                for name, want in optimizer_trials.run(trial, of_torch).items():
                    off = float((abs(got[f"{i}/{dtype}/{name}"] - want) / numpy.maximum(1, abs(want))).max())
                    assert off < limit, f"trial {i}, {dtype}, {name}: off by {off:.1e}; options {trial['options'].tolist()}"
                    worst[dtype] = max(worst[dtype], off)
    return worst


def documentation():
    source, page = (ROOT / "tools/pytorch_export.py").read_text(), (ROOT / "docs/pytorch.md").read_text()
    for block in page.split("```python\n")[1:]:
        code = block.split("```")[0]
        compile(code, "docs/pytorch.md", "exec")
        if code.startswith("def "):
            undocumented = "".join(line for line in source.splitlines(True) if '"""' not in line)
            assert code in undocumented, "docs/pytorch.md shows another export() or load() than tools/pytorch_export.py"


def onnx_page(folder):
    """Runs docs/onnx.md: PyTorch's logits are those of tools/predict, and so are ONNX's. Returns the worst difference."""
    data = ROOT / "tests/fixtures/debian_120.tsv"
    command = [TOOLS / "train_zoo", "--data", data, "--models", "lstm,wide", "--epochs", "3", "--batch", "16", "--embed", "9", "--hidden", "8"]
    subprocess.run([*command, "--lr", "0.02", "--quiet", "--out", folder / "runs/zoo"], check=True, capture_output=True)
    code = "".join(block.split("```")[0] for block in (ROOT / "docs/onnx.md").read_text().split("```python\n")[1:])
    before, page = os.getcwd(), {}
    os.chdir(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(code, "docs/onnx.md", "exec"), page)
    finally:
        os.chdir(before)
    lines = [line.split("\t")[0] for line in data.read_text().splitlines()[1:]] + ["\u00e4 K\u00f6ln 12", "the"]
    labels, worst = page["labels"], 0.0
    with torch.no_grad():
        said = {"lstm": torch.cat([page["lstm"](torch.tensor([page["encode"](line)])) for line in lines]),
                "wide": torch.cat([page["wide"](*page["words_of"](page["encode_wide"](line))) for line in lines])}
    for name, logits in said.items():
        got = predict(folder / f"runs/zoo/{name}.best.npz", lines, labels)
        worst = max(worst, agree(f"docs/onnx.md: {name}", got, logits))
        if onnxruntime:
            session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
            logits = torch.tensor(numpy.array([page[f"run_{name}"](session, line) for line in lines]))
            worst = max(worst, agree(f"docs/onnx.md: {name} in ONNX", got, logits))
    return worst


def main():
    worst, done = 0.0, 0
    for name in MODELS:
        for after_padding in (False, True):
            for direction in (from_pytorch, from_reel):
                with tempfile.TemporaryDirectory() as folder:
                    worst = max(worst, direction(pathlib.Path(folder), name, after_padding))
                done += 1
    documentation()
    with tempfile.TemporaryDirectory() as folder:
        off = optimizers(pathlib.Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        worst = max(worst, onnx_page(pathlib.Path(folder)))
    done += 4 if onnxruntime else 2
    print(f"test-pytorch: 384 random settings of optimizers within {off['f32']:.1e} in f32 and {off['f64']:.1e} in f64")
    missing = [name for name, module in (("safetensors", safetensors), ("onnxruntime", onnxruntime)) if module is None]
    if safetensors:
        with tempfile.TemporaryDirectory() as folder:
            done += through_safetensors(pathlib.Path(folder))
    libraries = "".join(f", {module.__name__} {module.__version__}" for module in (safetensors, onnxruntime) if module)
    print(f"test-pytorch: {done} comparisons with PyTorch {torch.__version__}{libraries}, logits within {worst:.1e}; "
          f"{len(missing)} skipped{': no module named ' if missing else ''}{', '.join(missing)}")
    if missing and os.environ.get("REEL_SKIPS") == "fail":
        sys.exit(1)


if __name__ == "__main__":
    main()
