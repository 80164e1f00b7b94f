#!/usr/bin/env python3
"""The models of tools/bench_peers_models.c against those of tools/pytorch_peers.py: with the same weights and examples the same loss
and the same gradient of every parameter; part of `make test-pytorch`. In f32: the loss to 1e-5, a gradient to 1e-4 of its largest number, or
of a hundredth of the model's largest. And the programs: what beam search finds, with its log probabilities,
and the weights that a training loop ends with.

Arguments are names of models and programs; without, all are compared. Without PyTorch all is skipped, which is a failure with SKIPS=fail.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = os.path.join(os.environ.get("REEL_TOOLS") or ROOT / "build/release/tools", "bench")
sys.path.insert(0, str(ROOT / "tools"))
warnings.filterwarnings("ignore")
try:
    import numpy
    import torch
    import pytorch_peers
except ImportError as error:
    print(f"test-pytorch: gradients of models skipped: {error}")
    sys.exit(1 if os.environ.get("REEL_SKIPS") == "fail" else 0)

torch.set_num_threads(1)

# Where Reel's parameter has another name than PyTorch's.
NAMES = {
    "tagger": {"crf.start_transitions": "start", "crf.end_transitions": "end", "crf.transitions": "steps"},
    "seq2seq": {"decoder.weight_ih_l0": "decoder.weight_ih", "decoder.weight_hh_l0": "decoder.weight_hh", "decoder.bias_ih_l0": "decoder.bias_ih",
                "decoder.bias_hh_l0": "decoder.bias_hh", "attention.W_h.weight": "key.weight", "attention.W_h.bias": "key.bias",
                "attention.W_s.weight": "query.weight", "attention.W_s.bias": "query.bias", "attention.v_a.weight": "v.weight"},
    "physics": {f"{i}.{kind}": f"layers.{i}.{kind}" for i in (0, 2, 4, 6) for kind in ("weight", "bias")},
}


def reel(name):
    """What Reel prints last, and the arrays that it writes: of a model weights, gradients and numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "check.npz")
        out = subprocess.run([BENCH, "--peer", name, "--threads", "1"], input=f"check {path}\n", stdout=subprocess.PIPE, text=True, check=True)
        return out.stdout.splitlines()[-1:], {key: torch.from_numpy(value) for key, value in numpy.load(path).items()}


def set_weights(name, model, file):
    """Reel's, and how they are called there."""
    ours = {NAMES.get(name, {}).get(key, key): key for key in file}
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(file[ours[key]])
    return ours


def compare(name):
    """-> the largest differences of the loss and of a gradient, and how many parameters there are."""
    said, file = reel(name)
    loss = json.loads(said[0])["loss"]
    pytorch_peers.normal_like = lambda x: file["numbers"][: x.numel()].view(x.shape)
    model, loss_of = pytorch_peers.make(name, file["numbers"])
    model.train(name == "mlp_norm")  # without dropout; by the batch's own statistics
    ours = {NAMES.get(name, {}).get(key, key): key for key in file if key != "numbers" and not key.startswith("grad/")}
    theirs = dict(model.named_parameters())
    if set(ours) != set(theirs):
        raise SystemExit(f"test-pytorch: {name}: parameters {sorted(set(ours) ^ set(theirs))} are on one side alone")
    set_weights(name, model, file)
    want = loss_of()
    want.backward()
    gradients = {key: p.grad.to_dense() if p.grad.is_sparse else p.grad for key, p in theirs.items()}
    least = 1e-2 * max(g.abs().max() for g in gradients.values())  # what normalisation makes 0 is rounding alone
    worst = max(((file["grad/" + ours[key]] - g).abs().max() / max(g.abs().max(), least)).item() for key, g in gradients.items())
    return abs(loss - want.item()) / abs(want.item()), worst, len(theirs)


def compare_beam_search():
    """-> whether all beams have the same tokens and their log probabilities, to 1e-5, and what was compared."""
    _, file = reel("beam_search")
    model = pytorch_peers.Seq2seq()
    set_weights("seq2seq", model, file)
    texts = pytorch_peers.Examples(file["numbers"]).ids(len(file["ids"]), 10, below=100)
    off, same = 0.0, True
    for text, ids, counts, log_p in zip(texts, file["ids"], file["counts"], file["log_p"]):
        found = pytorch_peers.beam_search(model, text.unsqueeze(0))
        same = same and [way for _, way in found] == [row[:count].tolist() for row, count in zip(ids, counts)]
        off = max([off] + [abs(p - log.item()) / abs(p) for (p, _), log in zip(found, log_p)])
    lengths = file["counts"].flatten().tolist()
    return same and off < 1e-5, f"{len(lengths)} sequences of {min(lengths)} to {max(lengths)} tokens, log probabilities off by {off:.1e}"


def compare_loop():
    """-> whether the same epoch is the best, and the weights, their average and its best are the same, to 1e-5 of the largest."""
    _, file = reel("loop")
    examples = pytorch_peers.Examples(file["numbers"])
    numbers, texts = examples.uniform(160, 8), examples.ids(160, 8, below=200)
    data = torch.utils.data.TensorDataset(texts, (numbers[:, 0] * 4).long())
    training, held_out = (torch.utils.data.DataLoader(torch.utils.data.Subset(data, part), 8) for part in (range(96), range(96, 160)))
    model = pytorch_peers.Reader(file["words.weight"])
    set_weights("loop", model, file)
    with torch.no_grad():
        model.words.weight.copy_(file["numbers"][1280 : 1280 + 6400].view(200, 32))
    mean, best, epoch = pytorch_peers.train(model, training, held_out)
    off = {}
    for kind, module in (("last", model), ("mean", mean), ("best", best)):
        off[kind] = max(((file[f"{kind}/{key}"] - p).abs().max() / p.abs().max()).item() for key, p in module.named_parameters())
    said = ", ".join(f"{kind} off by {value:.1e}" for kind, value in off.items())
    return epoch == file["epoch"].item() and max(off.values()) < 1e-5, f"the best epoch {epoch} of at most 40; weights: {said}"


PROGRAMS = {"beam_search": compare_beam_search, "loop": compare_loop}


def main():
    wrong = 0
    for name in sys.argv[1:] or [*pytorch_peers.PEERS, *PROGRAMS]:
        if name in PROGRAMS:
            right, compared = PROGRAMS[name]()
            wrong += not right
            print(f"{name:10s} {'ok   ' if right else 'WRONG'} {compared}", flush=True)
            continue
        of_loss, of_gradients, count = compare(name)
        right = of_loss < 1e-5 and of_gradients < 1e-4
        wrong += not right
        print(f"{name:10s} {'ok   ' if right else 'WRONG'} loss off by {of_loss:.1e}, {count} gradients by {of_gradients:.1e} at most", flush=True)
    print(f"models and programs: {wrong} differ from PyTorch {torch.__version__}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
