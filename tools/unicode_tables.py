#!/usr/bin/env python3
"""Writes models/bpe/bpe_unicode_tables.c: letter, number and white-space classes of all code points.

    python3 tools/unicode_tables.py > models/bpe/bpe_unicode_tables.c

The classes are those of GPT-2's expression: L is the general category L*, N is N*, S the property
White_Space (stable since Unicode 6.3, listed here), everything else is "other". The committed table is
of Unicode 16.0 (`pip install unicodedata2==16.0.0`), the version inside Hugging Face tokenizers 0.23;
without that module Python's own, older one is used, and the header of the file says which.
"""
try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
               0x205F, 0x3000}
OTHER, LETTER, NUMBER, SPACE = range(4)


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
    print("/* Two bits a code point: other, letter, number, white space. */")
    print(f"const uint8_t bpe_unicode_blocks[{len(blocks)}][64] = {{")
    for block in blocks:
        print("    {\n" + rows(block, 22).replace("    ", "        ") + "    },")
    print("};\n/* clang-format on */")


if __name__ == "__main__":
    main()
