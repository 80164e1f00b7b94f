#!/usr/bin/env python3
"""Reel's byte pairs against Hugging Face's tokenizers and subword-nmt, token for token, on a text of any size:
`make check-bpe TEXT=FILE VOCAB=N RUNS=N SEED=N`.

What is compared: the vocabulary and the merges that are learned, the ids of every line, the same ids from Reel's
exported files loaded into the original, and the text decoded from them; then RUNS random tokenizers
(tests/bpe_random.py); and normalization and the borders of words, character by character. A library that is not
installed is skipped, which is counted; with SKIPS=fail that is a failure.
"""

import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

import bpe_random

ROOT = pathlib.Path(__file__).resolve().parent.parent
BPE = pathlib.Path(os.environ.get("REEL_TOOLS", ROOT / "tools")) / "bpe"
TEXT, VOCAB = sys.argv[1], int(sys.argv[2])
RUNS, SEED = (int(number) for number in sys.argv[3:5])
done, skipped = 0, []


def run_reel(*arguments, output=None):
    """None, or the message with which it fails."""
    command = [str(BPE), *map(str, arguments)]
    with open(output or os.devnull, "wb") as out:
        result = subprocess.run(command, stdout=out, stderr=subprocess.PIPE)
    assert result.returncode in (0, 1), f"{' '.join(command)}: {result.stderr.decode()}"
    return result.stderr.decode() if result.returncode else None


def reel(*arguments, output=None):
    message = run_reel(*arguments, output=output)
    assert not message, f"{' '.join(map(str, arguments))}: {message}"


def text_lines(path=TEXT):
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_ids(path):
    with open(path) as file:
        return [[int(number) for number in line.split()] for line in file]


def agree(what, got, want):
    """Equal, or the first place where they are not."""
    global done
    if got == want:
        done += 1
        print(f"check-bpe: {what}: the same")
        return
    if isinstance(got, dict):
        got, want = sorted(got.items()), sorted(want.items())
    for i, (a, b) in enumerate(zip(got, want)):
        assert a == b, f"{what}: number {i} is {a!r:.300} and should be {b!r:.300}"
    raise AssertionError(f"{what}: there are {len(got)} and should be {len(want)}")


def merges_of(model):
    return [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in model["merges"]]


def hugging_face(folder, mode, lines):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    theirs = Tokenizer(models.BPE())
    alphabet = []
    if mode == "bytelevel":
        theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        theirs.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, show_progress=False, initial_alphabet=alphabet)
    theirs.train([TEXT], trainer)
    theirs.save(str(folder / "theirs.json"))
    reel("train", "--vocab", VOCAB, "--pretokenizer", mode, "--threads", 2, "--out", folder / "ours.json", TEXT)
    ours, model = (json.load(open(folder / name))["model"] for name in ("ours.json", "theirs.json"))
    agree(f"{mode}: vocabulary", ours["vocab"], model["vocab"])
    agree(f"{mode}: merges", merges_of(ours), merges_of(model))

    ids = [encoding.ids for encoding in theirs.encode_batch_fast(lines)]
    for name in "ours", "theirs":
        reel("encode", "--tokenizer", folder / f"{name}.json", "--ids", TEXT, output=folder / "ids")
        agree(f"{mode}: ids of {len(lines)} lines by {name}", read_ids(folder / "ids"), ids)
    again = Tokenizer.from_file(str(folder / "ours.json"))
    agree(f"{mode}: ids by our file loaded there", [e.ids for e in again.encode_batch_fast(lines)], ids)
    if mode == "bytelevel":
        gpt2(folder, lines, ids)


def gpt2(folder, lines, ids):
    """GPT-2's two files, and the way back from ids."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    files = str(folder / "vocab.json"), str(folder / "merges.txt")
    reel("convert", "--to", "gpt2", folder / "ours.json", *files)
    theirs = Tokenizer(models.BPE.from_file(*files))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    agree("bytelevel: ids by vocab.json and merges.txt", [e.ids for e in theirs.encode_batch_fast(lines)], ids)
    reel("decode", "--tokenizer", folder / "ours.json", folder / "ids", output=folder / "text")
    with open(folder / "text", encoding="utf-8", newline="\n") as file:
        agree("bytelevel: decoded text", file.read().split("\n")[:-1], lines)


def subword_nmt(folder, lines):
    from subword_nmt import apply_bpe, learn_bpe

    with io.open(TEXT, encoding="utf-8", newline="\n") as text, io.open(folder / "theirs", "w", encoding="utf-8") as out:
        learn_bpe.learn_bpe(text, out, VOCAB)
    reel("train", "--merges", VOCAB, "--pretokenizer", "subword-nmt", "--out", folder / "ours.json", TEXT)
    reel("convert", "--to", "codes", folder / "ours.json", folder / "ours")
    ours, theirs = ((folder / name).read_text("utf-8").split("\n") for name in ("ours", "theirs"))
    agree(f"subword-nmt: codes of {len(theirs) - 2} merges", ours, theirs)

    with io.open(folder / "ours", encoding="utf-8") as codes:
        bpe = apply_bpe.BPE(codes)
    want = [bpe.process_line(line).strip("\r\n ") for line in lines]
    reel("encode", "--tokenizer", folder / "ours.json", TEXT, output=folder / "tokens")
    with open(folder / "tokens", encoding="utf-8", newline="\n") as file:
        tokens = [line.split(" ") if line else [] for line in file.read().split("\n")[:-1]]
    got = [" ".join(t[:-4] if t.endswith("</w>") else t + "@@" for t in line) for line in tokens]
    agree(f"subword-nmt: tokens of {len(lines)} lines", got, want)


def random_tokenizers(folder):
    def tried(what, got, want):
        assert got == want, f"{what}: {got} and should be {want}"

    refused = bpe_random.compare(RUNS, SEED, folder, run_reel, tried)
    for message, runs in sorted(refused.items(), key=lambda entry: -len(entry[1])):
        print(f"check-bpe: {len(runs)} random tokenizers refused, number {runs[0]} first: {message}")
    count = sum(map(len, refused.values()))
    assert count <= RUNS / 4, "most that is drawn should be read"
    agree(f"random tokenizers: {RUNS - count} with seed {SEED}", 0, 0)


def agree_on_characters(what, codes, got, want, is_late):
    """Equal but for code points that one of the two libraries has from a newer version of Unicode."""
    assert len(got) == len(want) == len(codes), f"{what}: {len(got)} lines of {len(want)}"
    differ = [code for code, ours, theirs in zip(codes, got, want) if ours != theirs]
    for code in differ:
        assert is_late(chr(code)), f"{what}: U+{code:04X} is not cut, or normalized, as there"
    agree(f"{what}, {len(differ)} of {len(codes)} left out as they are of a newer Unicode", 0, 0)


def byte_tokenizer():
    """Ids are the bytes of the normalized text, and "x" where it stands for itself."""
    from tokenizers import Tokenizer, models, pre_tokenizers, AddedToken

    theirs = Tokenizer(models.BPE({f"<0x{byte:02X}>": byte for byte in range(256)}, [], byte_fallback=True))
    theirs.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    theirs.add_tokens([AddedToken("x", single_word=True)])
    return theirs


def class_tokenizer():
    """Byte level, with merges that show whether "a", "1" or "." is cut from the character behind it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    symbols = list(bpe_random.BYTES.values())
    merges = [(left, right) for left in "a1." for right in symbols]
    vocab = {token: id for id, token in enumerate(symbols + [left + right for left, right in merges])}
    theirs = Tokenizer(models.BPE(vocab, merges))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return theirs


def characters(folder):
    """A file with each character between others: normalized; beside a token that must be a word of its own; and cut
    by its class."""
    from tokenizers import normalizers

    def compare(what, theirs, is_late):
        theirs.save(str(folder / "characters.json"))
        reel("encode", "--tokenizer", folder / "characters.json", "--ids", folder / "lines", output=folder / "ids")
        want = [encoding.ids for encoding in theirs.encode_batch_fast(text_lines(folder / "lines"))]
        agree_on_characters(f"all characters: {what}", codes, read_ids(folder / "ids"), want, is_late)

    def write(line):
        with open(folder / "lines", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(line(chr(code)) + "\n" for code in codes)

    def is_unassigned(char):  # by Python's own, older tables
        return unicodedata.category(char) == "Cn" or unicodedata.unidata_version >= "16"

    codes = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and c not in (0x0A, ord("x"))]
    write(lambda char: f"{char}x x{char}")
    compare("words", byte_tokenizer(), is_unassigned)
    write(lambda char: f"a{char} 1{char} .{char}")
    compare("letters, numbers, white space", class_tokenizer(), is_unassigned)
    write(lambda char: f"a\u0345{char}\u0323\u0301\u1161")
    nfkd = normalizers.NFKD()
    for form in "NFC", "NFD", "NFKC", "NFKD":
        theirs = byte_tokenizer()
        theirs.normalizer = getattr(normalizers, form)()
        compare(form, theirs, lambda char: nfkd.normalize_str("a\u0345" + char) == "a\u0345" + char)


def main():
    lines = text_lines()
    message = run_reel("info", "--tokenizer", ROOT / "tests/fixtures/bpe/bytelevel.json")
    if message and "utf8proc" in message:
        print(f"check-bpe: nothing can be compared: {message.strip()}")
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for what, check in {
            "whitespace": lambda: hugging_face(folder, "whitespace", lines),
            "bytelevel": lambda: hugging_face(folder, "bytelevel", lines),
            "subword-nmt": lambda: subword_nmt(folder, lines),
            "random tokenizers": lambda: random_tokenizers(folder),
            "characters": lambda: characters(folder),
        }.items():
            try:
                check()
            except ImportError as error:
                skipped.append(f"{what}: {error}")
    for reason in skipped:
        print(f"check-bpe: skipped: {reason}")
    print(f"check-bpe: {done} comparisons, {len(skipped)} skipped")
    return 1 if skipped and os.environ.get("REEL_SKIPS") == "fail" else 0


sys.exit(main())
