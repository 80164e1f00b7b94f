#!/usr/bin/env python3
"""Writes models/bpe/bpe_unicode_tables.c: letter, number and white-space classes of all code points, which of
the others belong to words, and which ones normalization must leave alone.

    python3 tools/unicode_tables.py > models/bpe/bpe_unicode_tables.c     (needs tokenizers 0.23)

The classes are those of GPT-2's expression: L is the general category L*, N is N*, S the property
White_Space (stable since Unicode 6.3, listed here), everything else is "other". The committed table is
of Unicode 16.0 (`pip install unicodedata2==16.0.0`), the version inside Hugging Face tokenizers 0.23;
without that module Python's own, older one is used, and the header of the file says which.

What belongs to words is \\w of Rust's `regex`, which decides about "single_word": Alphabetic, M, Nd, Pc and the
two joiners. Letters are not listed again. The normalizers of `tokenizers` have tables of Unicode 9: what came
later and would change under normalization, or take part in it, stays as it is there.
"""
from tokenizers import normalizers

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
               0x205F, 0x3000}
OTHER, LETTER, NUMBER, SPACE = range(4)


CIRCLED = {*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)}
JOINERS = {0x200C, 0x200D}
CODES = [*range(0xD800), *range(0xE000, 0x110000)]


def class_of(code):
    if code in WHITE_SPACE:
        return SPACE
    category = unicodedata.category(chr(code))[0]
    return {"L": LETTER, "N": NUMBER}.get(category, OTHER)


def packed_block(first):
    """256 code points, two bits each, the lowest code point in the lowest bits of a byte."""
    classes = [class_of(first + i) for i in range(256)]
    return tuple(sum(classes[4 * i + j] << 2 * j for j in range(4)) for i in range(64))


def rows(numbers, per_row):
    numbers = [str(n) for n in numbers]
    return "".join("    " + ", ".join(numbers[i:i + per_row]) + ",\n" for i in range(0, len(numbers), per_row))


def is_word_but_no_letter(code):
    category = unicodedata.category(chr(code))
    return category[0] == "M" or category in ("Nd", "Nl", "Pc") or code in CIRCLED or code in JOINERS


def left_alone():
    """Code points with a part in normalization that Hugging Face's older tables do not know."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    late, known_parts, late_parts = set(), set(), set()
    for code in CODES:
        char = chr(code)
        marks = unicodedata.combining(char) and code != 0x345
        if marks and nfd.normalize_str("a\u0345" + char) == "a\u0345" + char:
            late.add(code)
        parts = unicodedata.normalize("NFKD", char)
        if parts == char:
            continue
        if nfkd.normalize_str(char) != char:
            known_parts.update(map(ord, parts))
        else:
            late.add(code)
            if unicodedata.decomposition(char)[0] != "<":
                late_parts.update(map(ord, parts))
    return late | (late_parts - known_parts)


def print_ranges(comment, name, codes):
    """Where `codes` begin and end, in turn."""
    inside = sorted(codes)
    turns = [c for c in inside if c - 1 not in codes] + [c + 1 for c in inside if c + 1 not in codes]
    turns.sort()
    print(f"/* {comment} */")
    print(f"const uint32_t {name}[] = {{\n{rows(turns, 12)}}};")
    print(f"const size_t {name}_count = {len(turns)};\n")


def main():
    blocks, index = {}, []
    for first in range(0, 0x110000, 256):
        index.append(blocks.setdefault(packed_block(first), len(blocks)))
    assert len(blocks) <= 256
    print(f"/* Made by tools/unicode_tables.py from Unicode {unicodedata.unidata_version}; do not edit. */")
    print('#include "models/bpe/bpe_internal.h"\n')
    print("/* clang-format off */")
    print("/* Which block of 256 code points has which classes. */")
    print(f"const uint8_t bpe_unicode_index[{len(index)}] = {{\n{rows(index, 24)}}};\n")
    print_ranges("Where words begin and end in which no letter is: inside from an even place on to the next, odd one.",
                 "bpe_unicode_words", {c for c in CODES if is_word_but_no_letter(c)})
    print_ranges("The same of what normalization leaves alone.", "bpe_unicode_unnormalized", left_alone())
    print("/* Two bits a code point: other, letter, number, white space. */")
    print(f"const uint8_t bpe_unicode_blocks[{len(blocks)}][64] = {{")
    for block in blocks:
        print("    {\n" + rows(block, 22).replace("    ", "        ") + "    },")
    print("};\n/* clang-format on */")


if __name__ == "__main__":
    main()
