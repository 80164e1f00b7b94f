#!/usr/bin/env python3
"""Prints the tables of docs/performance.md, in Markdown, from what the benches wrote.

Optional: neither building nor testing Reel needs this file or Python.

    python3 tools/performance_tables.py FILE.json ...

Takes the JSON of tools/bench (models, --scaling, --growth, --pipeline) and of tools/bench_pytorch.py; says which is which itself.
"""

import json
import sys


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|---" + "|---:" * (len(head) - 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def machine(d):
    d = d.get("settings", d)
    if "processor" in d:
        print(f"{d['processor']}, {d['processors']} processors, vectors {d['vectors']}, load average {d['load_average']:.1f}\n")


def models(d):
    head = ("model", "step ms", "least", "forward", "backward", "optimizer", "CPU ms", "GFLOP notebook", "executed", "GFLOP/s", "peak", "share", "alone",
            "tokens/s", "peak MB", "mallocs a step", "of others")
    table(head, [(m["name"], *(f"{m[k]:.1f}" for k in ("step_ms", "step_ms_min", "forward_ms", "backward_ms", "optimizer_ms", "cpu_ms")),
                  f"{m['gflop_notebook']:.2f}" if m["gflop_notebook"] else "", f"{m['gflop_executed']:.2f}", f"{m['gflops']:.0f}",
                  f"{m['peak_gflops']:.0f}", f"{100 * m['share_of_peak']:.0f} %",
                  f"{100 * m['share_of_products_alone']:.0f} %", f"{m['tokens_per_s']:.0f}", f"{m['peak_rss_mb']:.0f}",
                  f"{m['mallocs_per_step']:g}", "" if m["other_mallocs_per_step"] is None else f"{m['other_mallocs_per_step']:g}") for m in d["models"]])


def pytorch(d):
    print(f"PyTorch {d['torch']}, {d['settings']['threads']} threads, BLAS {d['blas']}\n")
    head = ("model", "form", "step ms", "least", "CPU ms", "peak MB", "without its libraries", "Reel, same rounds", "times as fast")
    table(head, [(m["name"], m["form"], f"{m['step_ms']:.1f}", f"{m['step_ms_min']:.1f}", f"{m['cpu_ms']:.1f}", f"{m['peak_rss_mb']:.0f}",
                  f"{m['peak_rss_mb'] - m['base_rss_mb']:.0f}", f"{m['reel_step_ms']:.1f}" if "reel_step_ms" in m else "",
                  f"{m['times_as_fast']:.2f}" if "times_as_fast" in m else "") for m in d["models"]])


def scaling(d):
    table(("model", "threads", "step ms", "speed-up", "of products", "ratio"),
          [(m["name"], str(m["threads"]), f"{m['step_ms']:.1f}", f"{m['speedup']:.2f}", f"{m['speedup_of_products']:.2f}", f"{m['ratio']:.2f}")
           for m in d["scaling"]])


def growth(d):
    points = d["growth"]
    names = list(dict.fromkeys(p["name"] for p in points))
    for axis in dict.fromkeys(p["axis"] for p in points):
        rows = {}
        for p in points:
            if p["axis"] == axis:
                rows.setdefault(p["value"], []).extend((f"{p['step_ms']:.1f}", f"{p['cpu_ms']:.1f}", f"{p['peak_rss_mb']:.0f}"))
        table((axis, *(f"{name} {what}" for name in names for what in ("step ms", "CPU ms", "peak MB"))),
              [(f"{value:,}", *cells) for value, cells in rows.items()])


def pipeline(d):
    table(("part", "ms"), [(key[:-3].replace("_", " "), f"{value:.1f}") for key, value in d.items() if key.endswith("_ms")])


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__.strip())
    for path in sys.argv[1:]:
        with open(path) as f:
            d = json.load(f)
        machine(d)
        kinds = {"torch": pytorch, "scaling": scaling, "growth": growth, "read_ms": pipeline, "models": models}
        for key, show in kinds.items():
            if key in d:
                show(d)
                break
        else:
            print(f"performance_tables: {path}: nothing that is known here", file=sys.stderr)


if __name__ == "__main__":
    main()
