#!/usr/bin/env python3
"""Models between PyTorch and Reel: copy export() and load() into a notebook, or import them. docs/pytorch.md shows how.

Optional: neither building nor running Reel needs Python.
"""

import json

import numpy
import torch


def export(path, model, name, vocabulary, labels, max_len=64, after_padding=True, stop_words=(), keep_digits=False):
    """`name` is the model's in Reel's zoo; `vocabulary` and `labels` are lists in the order of their ids."""
    text = lambda lines: numpy.frombuffer("".join(f"{line}\n" for line in lines).encode(), numpy.uint8)
    state = {key: value.detach().cpu().numpy() for key, value in model.state_dict().items()}
    config = {"format": 1, "model": name, "embed": state["embedding.weight"].shape[1], "hidden": list(state.values())[-2].shape[1],
              "layers": sum(key.startswith("lstm.weight_ih") for key in state) or 1, "max_len": max_len, "pad_id": 0,
              "reading": "after-padding" if after_padding else "last-token", "tokenizer": "words", "keep_digits": keep_digits}
    numpy.savez_compressed(path, **state, **{"reel/config.json": text([json.dumps(config)]), "reel/vocabulary.txt": text(vocabulary),
                                             "reel/labels.txt": text(labels), "reel/stop_words.txt": text(stop_words)})


def load(path):
    """A file of Reel's: the state_dict, the configuration, the vocabulary, the labels."""
    file = numpy.load(path)
    state = {key: torch.from_numpy(file[key]) for key in file.files if not key.startswith("reel/")}
    text = lambda key: bytes(file[key]).decode()
    return state, json.loads(text("reel/config.json")), text("reel/vocabulary.txt").splitlines(), text("reel/labels.txt").splitlines()
