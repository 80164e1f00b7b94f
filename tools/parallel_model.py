#!/usr/bin/env python3
"""Draws the model of a step's time on many ranks that docs/parallel.md tells, and prints its table.

    python3 tools/parallel_model.py [docs/figures/parallel.svg]

Optional: neither building nor testing Reel needs this file or Python.
"""

import math
import sys

TEXT = 0.50e-3      # seconds of a thread for a text of 40 words: bench --parallel --len 40, 33.9 ms for 64 texts with FIXED
FIXED = 1.0e-3      # seconds of a step whatever the batch: Adam of the dense weights
DENSE = 2.1e6       # bytes of dense gradients
ROW = 4 + 4 * 256   # bytes of a row of the table
LATENCY = 25e-6     # seconds of a message over TCP: bench --exchange between network namespaces (tests/ranks.sh hosts)
MESSAGES = 4        # collectives of a step

RANKS = [2 ** k for k in range(1, 11)]


def distinct(texts):
    """Different words in a batch, by Heaps' law through 1,100 in 64 texts."""
    return 1100 * (texts / 64) ** 0.6


def step(ranks, texts, gigabits):
    """Seconds of a step of `texts` texts on so many ranks."""
    own = texts / ranks
    sent = (ranks - 1) / ranks * (2 * DENSE + (distinct(own) + distinct(texts)) * ROW)
    return TEXT * max(own, 1) + FIXED + MESSAGES * math.ceil(math.log2(ranks)) * LATENCY + sent * 8 / (gigabits * 1e9)


def efficiency(ranks, gigabits, weak):
    texts = 64 * ranks if weak else 64
    alone = TEXT * texts + FIXED
    return alone / ranks / step(ranks, texts, gigabits)


CURVES = [("strong, 10 Gbit/s", 10, False, "#b04a2f"), ("strong, 100 Gbit/s", 100, False, "#d9986f"),
          ("weak, 10 Gbit/s", 10, True, "#2f5fb0"), ("weak, 100 Gbit/s", 100, True, "#7fa6dd")]


def svg():
    width, height, left, top = 640, 320, 50, 20
    x = lambda ranks: left + (math.log2(ranks) - 1) / 9 * (width - left - 150)
    y = lambda part: top + (1 - part) * (height - top - 40)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for part in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{left} {y(part):.1f}H{x(1024):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(part) + 4:.1f}" text-anchor="end">{part:.0%}</text>')
    for ranks in RANKS:
        out.append(f'<text x="{x(ranks):.1f}" y="{height - 22}" text-anchor="middle">{ranks}</text>')
    out.append(f'<text x="{(left + x(1024)) / 2:.0f}" y="{height - 6}" text-anchor="middle">ranks</text>')
    ends = []
    for name, gigabits, weak, colour in CURVES:
        points = [(x(r), y(efficiency(r, gigabits, weak))) for r in RANKS]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        ends.append([points[-1][1], name, colour])
    ends.sort()
    for i in range(1, len(ends)):
        ends[i][0] = max(ends[i][0], ends[i - 1][0] + 14)
    for at, name, colour in ends:
        out.append(f'<text x="{x(1024) + 8:.1f}" y="{at + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    print("| ranks | " + " | ".join(name for name, *_ in CURVES) + " |")
    print("|---:|" + "---:|" * len(CURVES))
    for ranks in RANKS:
        print(f"| {ranks:,} | " + " | ".join(f"{efficiency(ranks, g, w):.0%}" for _, g, w, _ in CURVES) + " |")
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            file.write(svg())


main()
