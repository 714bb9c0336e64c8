"""The DNC head beside PyTorch heads of the same maths: speed, and whether the results are equal.

    python3 bench/head_peer.py [--bench build/release/bench/bench_head] [--threads 1] [--rounds 5]
        [--device cuda]

Runs bench_head and, between its rounds, the peers, all with the same number of threads:
  eager    vectorised over classes: no loop, no class that is absent is touched
  compile  the same under torch.compile
  loop     a loop over classes, as in the released head, at the largest number of classes
Each does forward, cross-entropy, gradient of the embeddings and update. Prints the best time of
each and the ratio to ours; ends with 1 where a result differs.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from peer import STEPS, add_device, start, synchronize

SIZES = [(256, 512, 10, 4), (256, 2048, 1000, 4), (1024, 768, 1000, 4)]
LOOP_SIZE = (256, 2048, 1000, 4)
MOMENTUM, TEMPERATURE, EPSILON, ITERATIONS = 0.999, 0.1, 0.05, 3


def values(seed, shape):
    """Values in [-1, 1), as in head.cpp."""
    h = torch.arange(torch.Size(shape).numel()) + seed * 1000003
    for _ in range(2):
        h = ((h ^ (h >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    h = (h ^ (h >> 16)) >> 8
    return (h.float() * 2.0**-23 - 1).view(shape)


def forward(x, prototypes):
    C, K, D = prototypes.shape
    cosines = F.normalize(x, dim=1) @ prototypes.view(C * K, D).T
    return cosines.view(-1, C, K).amax(2) / TEMPERATURE


def sinkhorn(similarities, group, groups):
    """Equal parts in each class: the logarithm of the plan, up to a factor per sample."""
    K = similarities.shape[1]
    logits = similarities / EPSILON
    index = group[:, None].expand(-1, K)
    largest = logits.new_full((groups, K), -torch.inf).scatter_reduce(0, index, logits, "amax")
    sums = logits.new_zeros(groups, K).index_add(0, group, (logits - largest[group]).exp())
    scale = sums.log() + largest
    for _ in range(ITERATIONS - 1):
        plan = (logits - scale[group]).softmax(1)
        scale = scale + logits.new_zeros(groups, K).index_add(0, group, plan).log()
    return logits - scale[group]


def update(x, labels, prototypes):
    """In place; the work is bounded by the batch, not by the number of classes."""
    C, K, D = prototypes.shape
    N = len(x)
    points = F.normalize(x, dim=1)
    similarities = torch.einsum("nd,nkd->nk", points, prototypes[labels])
    if C <= N:
        group, groups = labels, C
    else:
        group, groups = torch.unique(labels, return_inverse=True)[1], N
    logits = sinkhorn(similarities, group, groups)
    tied = logits >= logits.amax(1, keepdim=True) - 0.01005034
    chosen = similarities.masked_fill(~tied, -torch.inf).argmax(1)
    row = labels * K + chosen
    rows, place = torch.unique(row, return_inverse=True)
    sums = points.new_zeros(len(rows), D).index_add(0, place, points)
    counts = points.new_zeros(len(rows)).index_add(0, place, points.new_ones(N))
    table = prototypes.view(C * K, D)
    moved = MOMENTUM * table[rows] + (1 - MOMENTUM) * sums / counts[:, None]
    table[rows] = F.normalize(moved, dim=1)


def update_by_class(x, labels, prototypes):
    """The released head's way, with a Sinkhorn that works: a class at a time."""
    C, K, D = prototypes.shape
    points = F.normalize(x, dim=1)
    for c in range(C):
        of_class = points[labels == c]
        if len(of_class) == 0:
            continue
        similarities = of_class @ prototypes[c].T
        group = torch.zeros(len(of_class), dtype=torch.long, device=x.device)
        logits = sinkhorn(similarities, group, 1)
        tied = logits >= logits.amax(1, keepdim=True) - 0.01005034
        chosen = F.one_hot(similarities.masked_fill(~tied, -torch.inf).argmax(1), K).float()
        counts = chosen.sum(0)
        means = chosen.T @ of_class / counts.clamp_min(1)[:, None]
        moved = F.normalize(MOMENTUM * prototypes[c] + (1 - MOMENTUM) * means, dim=1)
        prototypes[c] = torch.where(counts[:, None] > 0, moved, prototypes[c])


class Peer:
    def __init__(self, size, forward, update, device):
        N, D, C, K = size
        self.device = device
        self.x = values(1, (N, D)).to(device).requires_grad_()
        self.labels = ((values(2, (N,)) + 1) * (C / 2)).long().clamp_max(C - 1).to(device)
        self.start = F.normalize(values(3, (C, K, D)), dim=-1).to(device)
        self.prototypes = self.start.clone()
        self.forward, self.update = forward, update

    def step(self):
        self.x.grad = None
        loss = F.cross_entropy(self.forward(self.x, self.prototypes), self.labels)
        loss.backward()
        with torch.no_grad():
            self.update(self.x.detach(), self.labels, self.prototypes)
        return loss.item() if self.device == "cpu" else loss.detach()

    def update_only(self):
        with torch.no_grad():
            self.update(self.x.detach(), self.labels, self.prototypes)

    def results(self):
        for _ in range(3):
            loss = self.step()
        return {"loss": float(loss), "gradient": self.x.grad.norm().item(),
                "moved": (self.prototypes - self.start).norm().item()}

    def milliseconds(self, work, seconds):
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            begin = time.perf_counter()
            for _ in range(STEPS[self.device]):
                work()
            synchronize(self.device)
            best = min(best, time.perf_counter() - begin)
        return best * 1e3 / STEPS[self.device]


def ours(arguments, work, size, seconds):
    name = work + "/N:{}/D:{}/C:{}/K:{}/real_time".format(*size)
    run = subprocess.run(
        [arguments.bench, f"--benchmark_filter=^{name}", "--benchmark_format=json",
         f"--benchmark_min_time={seconds / 5}", "--benchmark_repetitions=5"],
        env={**os.environ, "OMP_NUM_THREADS": str(arguments.threads),
             "DNC_BENCH_DEVICE": arguments.device}, check=True, capture_output=True)
    found = json.loads(run.stdout)["benchmarks"]
    times = [b["real_time"] / STEPS[arguments.device] for b in found
             if b["run_type"] == "iteration"]
    return min(times), found[0]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", default=root / "build/release/bench/bench_head")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each in each round")
    add_device(parser)
    arguments = parser.parse_args()

    failed = False
    print(f"{start(arguments)}, ms; a step is forward, loss, backward, update")
    for size in SIZES:
        compiled = torch.compile(forward), torch.compile(update)
        peers = {"eager": Peer(size, forward, update, arguments.device),
                 "compile": Peer(size, *compiled, arguments.device)}
        if size == LOOP_SIZE:
            peers["loop"] = Peer(size, forward, update_by_class, arguments.device)
        _, found = ours(arguments, "step", size, 0.1)
        for name, peer in peers.items():
            for key, value in peer.results().items():
                if abs(value - found[key]) > 1e-4 * abs(value):
                    print(f"{size} {name}: {key} is {found[key]}, the peer's {value}")
                    failed = True
        line = "N {}, D {}, C {}, K {}:".format(*size)
        for work in ("step", "update"):
            times = {name: [] for name in ("ours", *peers)}
            for _ in range(arguments.rounds):
                times["ours"].append(ours(arguments, work, size, arguments.seconds)[0])
                for name, peer in peers.items():
                    call = peer.step if work == "step" else peer.update_only
                    times[name].append(peer.milliseconds(call, arguments.seconds))
            best = {name: min(each) for name, each in times.items()}
            ratios = ", ".join(f"{name} {best[name]:.2f} ({best[name] / best['ours']:.2f}x)"
                               for name in peers)
            print(f"{line} {work}: ours {best['ours']:.2f}, {ratios}")
        print(f"{line} memory: peak {found['peak']:.2f} of the buffers, "
              f"growth {found['growth']:.0f} B")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
