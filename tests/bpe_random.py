"""Random tokenizers, of all that Reel reads, and random texts: the ids must be those of Hugging Face's tokenizers,
from the file itself and from the file that Reel writes of it. tests/bpe_references.py calls this; by hand:
`make check-bpe RUNS=500 SEED=7`.
"""

import json
import random

CHARACTERS = list("aabbcde\u00e9\u0301\u0323\u00c5\u1e69\u212b\ufb01\u3042\u0301\u3099\uac00\u1100\u1161\u65e5\U0001f600\u200d\u2028\u00a0_7\u00b2.'-!")
SPACES = [" ", " ", " ", "  ", "\t", "\r", "\r ", " \r", "\u3000", "\u00a0"]
ODD = ["\0", "\x1f", "\x7f", "\u200b", "\ufeff", "\ufffd", "it's", "we'll", "</w>", "<0x41>", "\u0901\u0301", "a\u1df5\u0323", "\u0f43", "\U0001f1e9\U0001f1ea"]
SUBWORD_REGEX = "[\\r ]*\\n[\\r ]*|\\A[\\r ]+|[\\r ]+\\z| "


def byte_characters():
    """GPT-2's printable character for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


BYTES = byte_characters()


class Draw:
    """One tokenizer with its texts."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.mode = self.r.choice(["whitespace", "bytelevel", "bytelevel", "subword-nmt"])
        self.marks = []  # what texts should hold

    def maybe(self, share=0.5):
        return self.r.random() < share

    def some_text(self, most, spaces=0.15):
        pieces = []
        for _ in range(self.r.randrange(most + 1)):
            kind = self.r.random()
            pool = SPACES if kind < spaces else ODD if kind < spaces + 0.05 else CHARACTERS
            pieces.append(self.r.choice(pool))
        return "".join(pieces)

    def alphabet(self):
        if self.mode != "bytelevel":
            symbols = sorted(set(CHARACTERS) | {"\ufffd", "\0"})
        else:
            symbols = list(BYTES.values())
        if self.maybe(0.8):
            symbols = [s for s in symbols if self.maybe(0.7)]
        if self.mode == "subword-nmt":
            symbols = [s for s in symbols if self.maybe(0.8)] + [s + "</w>" for s in symbols if self.maybe(0.8)]
        return symbols

    def merges(self, tokens):
        """Pairs whose product joins the tokens; those who follow may use it. Shuffled, at times."""
        merges = []
        likely = [t for t in tokens if t.strip("</w>") in "abcde\u00e9\u0301\u0120"] or tokens
        for _ in range(self.r.randrange(12)):
            left, right = self.r.choice(likely if self.maybe(0.7) else tokens), self.r.choice(likely)
            if self.mode == "subword-nmt" and left.endswith("</w>"):
                continue
            merges.append((left, right))
            if left + right not in tokens:
                tokens.append(left + right)
                likely.append(left + right)
        if self.maybe(0.3):
            self.r.shuffle(merges)
        return merges

    def model(self):
        tokens = self.alphabet() or ["a"]
        merges = self.merges(tokens)
        if self.maybe():
            share = self.r.choice([0.1, 0.9, 1])
            tokens += [f"<0x{byte:02X}>" for byte in range(256) if self.maybe(share)]
        unk = self.r.choice([None, "<unk>", "a"])
        tokens = list(dict.fromkeys(tokens + ([unk] if unk else [])))
        if self.maybe():
            self.r.shuffle(tokens)
        ids = list(range(len(tokens)))
        if self.maybe(0.1):
            ids = sorted(self.r.sample(range(len(tokens) + 20), len(tokens)))
        return {
            "type": "BPE",
            "dropout": self.r.choice([None, 0.0]),
            "unk_token": unk,
            "continuing_subword_prefix": self.r.choice([None, ""]),
            "end_of_word_suffix": "</w>" if self.mode == "subword-nmt" else self.r.choice([None, ""]),
            "fuse_unk": self.maybe(),
            "byte_fallback": self.maybe(),
            "ignore_merges": self.maybe(0.3),
            "vocab": dict(zip(tokens, ids)),
            "merges": [list(merge) for merge in merges],
        }

    def added_token(self, content, id):
        flags = {flag: self.maybe(0.3) for flag in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        self.marks.append(content)
        return {"id": id, "content": content, **flags}

    def added(self, vocab):
        """Ids as Hugging Face gives them: those of the vocabulary, or behind it."""
        tokens, ids = [], {}
        for _ in range(self.r.choice([0, 0, 1, 2, 5])):
            kind = self.r.random()
            if kind < 0.2:
                content = self.r.choice(list(vocab))
            elif kind < 0.3 and ids:
                content = self.r.choice(list(ids))
            else:
                content = self.r.choice(["<s>", "ab", " ", "</w>", self.some_text(3)])
            id = ids.get(content, vocab.get(content, len({*vocab, *ids})))
            if content:
                ids[content] = id
            tokens.append(self.added_token(content, id))
        return tokens

    def sequence(self, key, part):
        """`part`, or a Sequence of it."""
        return {"type": "Sequence", key: [part] if part else []} if self.maybe(0.2) else part

    def normalizer(self):
        kinds = [{"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD")]
        one = self.sequence("normalizers", self.r.choice(kinds))
        several = {"type": "Sequence", "normalizers": [one, *self.r.choices(kinds, k=self.r.randrange(3))]}
        return self.r.choice([None, None, {"type": "Sequence", "normalizers": []}, one, one, several])

    def pre_tokenizer(self):
        if self.mode == "whitespace":
            part = {"type": "WhitespaceSplit"}
        elif self.mode == "bytelevel":
            part = {"type": "ByteLevel", "add_prefix_space": self.maybe(), "trim_offsets": self.maybe(), "use_regex": True}
        else:
            pattern = {"Regex": SUBWORD_REGEX}
            part = {"type": "Split", "pattern": pattern, "behavior": "Removed", "invert": False}
        return self.sequence("pretokenizers", part)

    def post_processor(self):
        text, pair = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
        template = {"type": "TemplateProcessing", "single": [text], "pair": [text, pair], "special_tokens": {}}
        level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": self.maybe(), "use_regex": True}
        return self.sequence("processors", self.r.choice([None, None, template, level]))

    def decoder(self):
        fitting = {
            "whitespace": None,
            "bytelevel": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "subword-nmt": {"type": "BPEDecoder", "suffix": "</w>"},
        }[self.mode]
        return self.sequence("decoders", fitting) if fitting and self.maybe(0.8) else None

    def file(self):
        model = self.model()
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": self.added(model["vocab"]),
            "normalizer": self.normalizer(),
            "pre_tokenizer": self.pre_tokenizer(),
            "post_processor": self.post_processor(),
            "decoder": self.decoder(),
            "model": model,
        }

    def texts(self, count):
        """Lines as bytes. Where a byte counts as U+FFFD, which byte level has no use for, some are no UTF-8."""
        texts = []
        for _ in range(count):
            text = ""
            for _ in range(self.r.randrange(5)):
                text += self.some_text(12)
                if self.marks and self.maybe():
                    text += self.r.choice(self.marks)
            if self.maybe(0.1):  # longer than a block of 64 bytes, or than a word that is cached
                text = (text * 9 + self.some_text(90, spaces=self.r.choice([0, 0.05])) + text)[:600]
            text = text.replace("\n", " ").encode()
            if self.mode != "bytelevel" and text and self.maybe(0.1):
                place = self.r.randrange(len(text))
                text = text[:place] + self.r.choice([b"\xff", b"\xe6\x97", b"\xed\xa0\x80", b"\xc0"]) + text[place:]
            texts.append(text)
        return texts


def decoded(text):
    """Each byte that belongs to no character becomes U+FFFD."""
    out = ""
    while text:
        try:
            return out + text.decode()
        except UnicodeDecodeError as error:
            out += text[: error.start].decode() + "\ufffd"
            text = text[error.start + 1 :]
    return out


def theirs_of(tokenizer, text):
    """None where Hugging Face's own code breaks off, as it does when one added token took the white space before the
    next one."""
    try:
        return tokenizer.encode(text).ids
    except BaseException as error:  # a panic is no Exception
        if type(error).__name__ != "PanicException":
            raise
        return None


def compare(runs, seed, folder, reel, tried):
    """`reel(arguments, output)` runs tools/bpe: None, or the message it fails with. `tried(what, got, want)` compares."""
    from tokenizers import Tokenizer

    refused = {}
    for run in range(runs):
        draw = Draw(f"{seed} {run}")
        file, texts = draw.file(), draw.texts(30)
        (folder / "drawn.json").write_text(json.dumps(file))
        (folder / "lines").write_bytes(b"".join(text + b"\n" for text in texts))
        message = reel("convert", folder / "drawn.json", folder / "again.json")
        if message:
            refused.setdefault(message.split(": ", 3)[-1].strip(), []).append(run)
            continue
        theirs = Tokenizer.from_str(json.dumps(file))
        want = [theirs_of(theirs, decoded(text)) for text in texts]
        where = f"random tokenizer {run} of seed {seed}"
        message = reel("encode", "--tokenizer", folder / "drawn.json", "--ids", folder / "lines", output=folder / "ids")
        assert not message, f"{where}: {message}"
        got = [[int(number) for number in line.split()] for line in open(folder / "ids")]
        again = Tokenizer.from_file(str(folder / "again.json"))
        assert len(got) == len(want), f"{where}: {len(got)} lines of {len(want)}"
        for text, ids, right in zip(texts, got, want):
            if right is not None:
                tried(f"{where}: {text!r}", ids, right)
                tried(f"{where}: written by Reel: {text!r}", theirs_of(again, decoded(text)), right)
    return refused
