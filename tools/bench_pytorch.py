#!/usr/bin/env python3
"""Times one training step of the zoo in PyTorch: the side that Reel's own bench is compared with.

Optional: neither building nor testing Reel needs this file, Python or PyTorch.

    python3 tools/bench_pytorch.py [--models all] [--forms notebook,fastest] [--json FILE] [--reel tools/bench]

A step is zero_grad, forward, mean binary cross entropy with logits, backward and Adam (lr 2e-3) on a batch of its own. Each (model, form)
runs in a process of its own, so that peak memory is its own; the processes of one model take turns, step by step, so that
whatever else the machine does falls on all of them alike. Medians and minima over the repeats are given, and the processor time of
all threads (`cpu`): with --threads 1 that is what to read on a busy machine, while with more it counts threads that spin in wait of others.
With `--peers` it is the models of tools/pytorch_peers.py instead, MLP to GPT, on one thread and on two, in turns with `--reel`
(tools/bench), and Reel's time over PyTorch's is printed; `products` is what the step's products take at the peak, the best of those measured in the same turns.
With `--reel PROGRAM` that program (options and JSON as tools/bench) takes its turn in every round, and the ratios are printed.

Token ids: i is drawn with p(i) proportional to 1/(i+1) for 0 <= i < distinct; the id is 4 + floor(i * (vocab - 4) / distinct),
which spreads the words in use over the vocabulary and leaves the four special ids alone. Every text has --len tokens.

Forms (tools/pytorch_models.py): `notebook` is the Python loop with one product per gate, attention at every step, and
torch.optim.Adam as it comes; `fastest` is nn.RNN / nn.LSTM, attention at the last step only, and Adam(fused=True) where the release has it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

STACKED = {"embed": 100, "hidden": 64}  # the sizes these two have in the zoo, whatever --embed and --hidden say
MATCHED = {"hidden": 96}


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def parse_options():
    p = argparse.ArgumentParser(description="Times training steps of the zoo's models in PyTorch (optional; Reel does not need it).")
    p.add_argument("--models", help="names with commas, or all (rnn,lstm,attention,stacked; of --peers all)")
    p.add_argument("--forms", default="notebook,fastest")
    p.add_argument("--batch", type=positive, default=64)
    p.add_argument("--len", type=positive, default=64)
    p.add_argument("--vocab", type=positive, default=21163)
    p.add_argument("--distinct", type=int, default=0, help="words in use (default: min(vocab, 21163))")
    p.add_argument("--embed", type=positive, default=256, help="for all models but stacked, which has 100")
    p.add_argument("--hidden", type=positive, default=256, help="for all models but stacked (64) and lstm_matched (96)")
    p.add_argument("--layers", type=positive, default=2, help="of stacked")
    p.add_argument("--labels", type=positive, default=29)
    p.add_argument("--threads", type=positive, default=2)
    p.add_argument("--repeats", type=positive, default=15)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--json", help="where to write the results")
    p.add_argument("--reel", help="a program with the options and the JSON of tools/bench, run once in every round")
    p.add_argument("--rounds", type=positive, default=5, help="rounds of repeats; --reel runs once in each")
    p.add_argument("--peers", action="store_true", help="compare the models of tools/pytorch_peers.py instead (--models: some of them)")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    return p.parse_args()


# ---------------------------------------------------------------- the worker: one model in one form


def draw_batches(o, count):
    import numpy
    import torch

    rng = numpy.random.RandomState(o["seed"])
    weight = 1.0 / numpy.arange(1, o["distinct"] + 1)
    i = rng.choice(o["distinct"], size=(count, o["batch"], o["len"]), p=weight / weight.sum())
    ids = 4 + i.astype(numpy.int64) * (o["vocab"] - 4) // o["distinct"]
    targets = (rng.rand(count, o["batch"], o["labels"]) < 2.0 / o["labels"]).astype(numpy.float32)
    return torch.from_numpy(ids), torch.from_numpy(targets)


def make_adam(torch, model, form):
    """Adam, and what was taken: the fused one is for CUDA only in older releases."""
    if form == "fastest":
        try:
            return torch.optim.Adam(model.parameters(), lr=2e-3, fused=True), "fused"
        except (RuntimeError, TypeError, ValueError):
            pass
    return torch.optim.Adam(model.parameters(), lr=2e-3), "default"


def worker(o):
    """Answers each line of stdin with one step's times in milliseconds; an empty stdin ends it."""
    import torch
    import pytorch_models

    torch.set_num_threads(o["threads"])
    torch.manual_seed(o["seed"])
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0  # PyTorch's libraries alone
    make = pytorch_models.as_written if o["form"] == "notebook" else pytorch_models.fastest
    model = make(o["name"], o["vocab"], o["embed"], o["hidden"], o["labels"], o["layers"])
    adam, adam_kind = make_adam(torch, model, o["form"])
    batches = draw_batches(o, 8)
    loss_of = torch.nn.BCEWithLogitsLoss()
    about = {"params": sum(p.numel() for p in model.parameters()), "adam": adam_kind, "base_rss_mb": round(base, 1), "torch": torch.__version__,
             "blas": blas_in_use(torch)}
    print(json.dumps(about), flush=True)

    for step, _ in enumerate(sys.stdin):
        ids, targets = (part[step % 8] for part in batches)
        t0, cpu0 = time.perf_counter(), time.process_time()
        if o["form"] == "fastest":
            adam.zero_grad(set_to_none=True)
        else:
            adam.zero_grad()
        loss = loss_of(model(ids), targets)
        t1 = time.perf_counter()
        loss.backward()
        t2 = time.perf_counter()
        adam.step()
        t3, cpu3 = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        times = {"step_ms": t3 - t0, "forward_ms": t1 - t0, "backward_ms": t2 - t1, "optimizer_ms": t3 - t2,
                 "cpu_ms": cpu3 - cpu0}
        answer = {key: 1e3 * value for key, value in times.items()}
        answer.update(peak_rss_mb=peak, loss=loss.item())
        print(json.dumps(answer), flush=True)


def blas_in_use(torch):
    """The library behind the matrix products: what PyTorch was built with, and a BLAS that is mapped beside it."""
    if torch.backends.mkl.is_available():
        return "mkl"
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "blas" in line or "blis" in line}
    return ", ".join(sorted(paths)) or "built in"


def peer_worker(o):
    """Answers each line of stdin with one step of a model of tools/pytorch_peers.py."""
    import torch
    import pytorch_peers

    torch.set_num_threads(o["threads"])
    torch.manual_seed(o["seed"])
    model, loss_of = pytorch_peers.make(o["peer"])
    optimizer = pytorch_peers.make_optimizer(o["peer"], model)
    print(json.dumps({"params": sum(p.numel() for p in model.parameters()), "torch": torch.__version__, "blas": blas_in_use(torch),
                      "vectors": torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else "unknown"}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        optimizer.step()
        print(json.dumps({"step_ms": 1e3 * (time.perf_counter() - start), "loss": loss.item()}), flush=True)


class Peer:
    """A process that answers lines."""

    def __init__(self, command, threads):
        env = dict(os.environ)
        for key in ("OMP_NUM_THREADS", "BLIS_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            env[key] = str(threads)
        self.command = command
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about, self.times, self.gflop = self.answer(), [], 0

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench_pytorch: {' '.join(self.command[:4])} ended early; its message is above")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def steps(self, count, keep=True):
        for _ in range(count):
            answer = self.ask("step")
            self.gflop = answer.get("gflop", 0)
            if keep:
                self.times.append(answer["step_ms"])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare_peer(options, name, threads):
    worker = json.dumps({"peer": name, "threads": threads, "seed": options.seed})
    reel = Peer([options.reel, "--peer", name, "--threads", str(threads)], threads)
    torch = Peer([sys.executable, os.path.abspath(__file__), "--worker", worker], threads)
    peaks = []
    for side in (reel, torch):
        side.steps(3, keep=False)
    per_round = -(-options.repeats // options.rounds)
    for _ in range(options.rounds):
        peaks.append(reel.ask("peak")["peak_gflops"])
        for side in (reel, torch):  # the first one finds the other's data in the caches
            side.steps(1, keep=False)
            side.steps(per_round)
    for side in (reel, torch):
        side.close()
    ours, theirs = statistics.median(reel.times), statistics.median(torch.times)
    peak = max(peaks)  # a limit is not what a busy machine leaves of it
    products = 1e3 * reel.gflop / peak
    return {"name": name, "threads": threads, "params": reel.about["params"], "torch_params": torch.about["params"], "reel_ms": round(ours, 4),
            "torch_ms": round(theirs, 4), "ratio": round(ours / theirs, 3), "gflop": reel.gflop, "peak_gflops": peak,
            "products_ms": round(products, 4), "of_products": round(ours / products, 2) if products else None}, reel.about, torch.about


def peers_main(options):
    import pytorch_peers

    names = list(pytorch_peers.PEERS) if options.models in (None, "all") else options.models.split(",")
    for name in names:
        if name not in pytorch_peers.PEERS:
            raise SystemExit(f"bench_pytorch: no model '{name}'; there are {', '.join(pytorch_peers.PEERS)}")
    options.reel = options.reel or "tools/bench"
    out = {"load_average": os.getloadavg()[0], "models": []}
    print(f"{'model':10s} {'threads':>7s} {'Reel ms':>9s} {'PyTorch ms':>10s} {'ratio':>6s} {'products ms':>11s} {'Reel over products':>18s}")
    for name in names:
        for threads in (1, 2):
            r, ours, theirs = compare_peer(options, name, threads)
            times = f"{r['of_products']:18.2f}" if r["of_products"] else f"{'':18s}"
            print(f"{name:10s} {threads:7d} {r['reel_ms']:9.2f} {r['torch_ms']:10.2f} {r['ratio']:6.2f} {r['products_ms']:11.2f} {times}", flush=True)
            out["models"].append(r)
            out.update(torch=theirs["torch"], blas=theirs["blas"], vectors=ours["vectors"], torch_vectors=theirs["vectors"])
            if options.json:
                with open(options.json, "w") as f:
                    json.dump(out, f, indent=1)
                    f.write("\n")
    print(f"PyTorch {out['torch']} ({out['blas']}, {out['torch_vectors']}); Reel's vectors {out['vectors']}; "
          f"load average {out['load_average']:.1f} to {os.getloadavg()[0]:.1f}; medians of {options.repeats} steps in {options.rounds} turns")


class Worker:
    def __init__(self, options, name, form):
        o = {key: getattr(options, key) for key in
             ("batch", "len", "vocab", "distinct", "embed", "hidden", "labels", "layers", "threads", "seed")}
        o.update(STACKED if name == "stacked" else {}, name=name, form=form)
        o.update(MATCHED if name == "lstm_matched" else {})
        env = dict(os.environ)
        for key in ("OMP_NUM_THREADS", "BLIS_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            env[key] = str(o["threads"])
        self.name, self.form, self.options, self.steps = name, form, o, []
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--worker", json.dumps(o)], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench_pytorch: the process of {self.name} ({self.form}) ended early; its message is above")
        return json.loads(line)

    def step(self, keep=True):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        answer = self.answer()
        if keep:
            self.steps.append(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def result(self):
        r = {"name": self.name, "form": self.form, "params": self.about["params"], "adam": self.about["adam"],
             "base_rss_mb": self.about["base_rss_mb"]}
        for key in ("step_ms", "forward_ms", "backward_ms", "optimizer_ms", "cpu_ms"):
            r[key] = round(statistics.median(s[key] for s in self.steps), 3)
        r["step_ms_min"] = round(min(s["step_ms"] for s in self.steps), 3)
        r["tokens_per_s"] = round(self.options["batch"] * self.options["len"] / r["step_ms"] * 1e3)
        r["peak_rss_mb"] = round(max(s["peak_rss_mb"] for s in self.steps), 1)
        r.update(threads=self.options["threads"], embed=self.options["embed"], hidden=self.options["hidden"])
        return r


# ---------------------------------------------------------------- the comparison


def reel_step_ms(options, o, name):
    """One run of Reel's bench on this model, at the sizes of `o`; its median step."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "bench.json")
        command = [options.reel, "--models", name, "--json", out]
        for key in ("batch", "len", "vocab", "distinct", "embed", "hidden", "labels", "threads", "seed"):
            command += [f"--{key}", str(o[key])]
        if name == "stacked":
            command += ["--layers", str(o["layers"])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(out) as f:
            return json.load(f)["models"][0]["step_ms"]


def compare(options, name, forms):
    """All forms of one model, in turns. -> (results, Reel's step times, what the processes said of themselves)"""
    workers = [Worker(options, name, form) for form in forms]
    for w in workers:
        w.step(keep=False)
        w.step(keep=False)
    reel = []
    per_round = -(-options.repeats // options.rounds)
    for _ in range(options.rounds):
        for _ in range(per_round):
            for w in workers:
                w.step()
        if options.reel:
            reel.append(reel_step_ms(options, workers[0].options, name))
    for w in workers:
        w.close()
    return [w.result() for w in workers], reel, workers[0].about


def main():
    options = parse_options()
    if options.worker:
        o = json.loads(options.worker)
        peer_worker(o) if "peer" in o else worker(o)
        return
    if options.peers:
        peers_main(options)
        return
    options.models = options.models or "rnn,lstm,attention,stacked"
    options.distinct = options.distinct or min(options.vocab, 21163)
    import pytorch_models  # says early and clearly where PyTorch is missing

    names = pytorch_models.MODELS if options.models == "all" else options.models.split(",")
    forms = options.forms.split(",")
    for name in names:
        if name not in pytorch_models.MODELS:
            raise SystemExit(f"bench_pytorch: no model '{name}'; there are {', '.join(pytorch_models.MODELS)}")
    if not set(forms) <= {"notebook", "fastest"}:
        raise SystemExit("bench_pytorch: --forms takes notebook and fastest")

    out = {"settings": {k: v for k, v in vars(options).items() if k != "worker"}, "models": []}
    print(f"{'model':14s} {'form':9s} {'step':>9s} {'min':>8s} {'forward':>8s} {'backward':>8s} {'adam':>7s} {'cpu':>8s} {'peak MB':>8s} {'of it base':>10s}"
          f" {'Reel':>8s} {'times as fast':>13s}")
    for name in names:
        results, reel, about = compare(options, name, forms)
        out.update(torch=about["torch"], blas=about["blas"])
        for r in results:
            line = (f"{name:14s} {r['form']:9s} {r['step_ms']:9.1f} {r['step_ms_min']:8.1f} {r['forward_ms']:8.1f}"
                    f" {r['backward_ms']:8.1f} {r['optimizer_ms']:7.1f} {r['cpu_ms']:8.1f} {r['peak_rss_mb']:8.0f} {r['base_rss_mb']:10.0f}")
            if reel:
                r["reel_step_ms"] = statistics.median(reel)
                r["times_as_fast"] = round(r["step_ms"] / r["reel_step_ms"], 3)
                line += f" {r['reel_step_ms']:8.1f} {r['times_as_fast']:13.2f}"
            print(line, flush=True)
            out["models"].append(r)
        if options.json:  # after each model: a run cut short keeps what it has
            with open(options.json, "w") as f:
                json.dump(out, f, indent=1)
                f.write("\n")
    print(f"PyTorch {out['torch']}, {options.threads} threads, BLAS: {out['blas']}")


if __name__ == "__main__":
    main()
