"""The DNC head on pixels beside PyTorch heads of the same maths: speed, memory, equal results.

    python3 bench/pixel_head_peer.py [--bench build/release/bench/bench_pixel_head] [--threads 1]
        [--device cuda]

A step is forward (the scores of all pixels), assignment (Sinkhorn over the pixels of each class)
and update of the sub-centroids, without gradients. Runs bench_pixel_head and, in turn with it, each
in processes of their own:
  vectorised  no loop over classes; holds the cosines of all pixels and sub-centroids, [N, C, K]
  loop        ProtoSeg's way (tfzhou/ProtoSeg, prototype_learning): the same cosines, then class by
              class. It computes them once more for its loss PPC; `loop, once` leaves that out
Prints the best time of each, by how much the memory of its process grew (on a GPU that of tensors
there), and the ratios to ours; ends with 1 where a result differs. On a CPU with one thread the time is the processor's, which does not
depend on what else the machine does.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from peer import STEPS, add_device, by_processor, start, synchronize, values

SIZES = [(131072, 64, 150, 10), (131072, 256, 150, 10)]
PEERS = ("vectorised", "loop", "loop, once")
IMAGES = 8
MOMENTUM, TEMPERATURE, EPSILON, ITERATIONS = 0.999, 0.1, 0.05, 3
NEARLY_LARGEST = 0.99  # of shares that are so close, the nearest sub-centroid's counts


class Head:
    """x [N, D, h, w], labels [N, h, w] with -1 for ignored pixels, prototypes [C, K, D]."""

    def __init__(self, size, device):
        N, D, C, K = size
        self.device = device
        side = round((N // IMAGES) ** 0.5)
        self.C, self.K, self.D = C, K, D
        self.x = values(1, (IMAGES, D, side, side))
        self.labels = ((values(2, (IMAGES, side, side)) + 0.95) * (C / 2)).floor().long()
        self.labels = self.labels.clamp(-1, C - 1)
        self.start = F.normalize(values(3, (C, K, D)), dim=-1).to(device)
        self.x, self.labels = self.x.to(device), self.labels.to(device)
        self.prototypes = self.start.clone()

    def step(self, clock=time.perf_counter):
        """The scores, and how long the update took."""
        scores, points, cosines = self.forward()
        synchronize(self.device)
        begin = clock()
        self.update(points, cosines)
        synchronize(self.device)
        return scores, clock() - begin

    def points(self):
        return F.normalize(self.x.permute(0, 2, 3, 1).reshape(-1, self.D), dim=1)

    def assign(self, similarities, logits):
        close = logits >= logits.amax(1, keepdim=True) + torch.tensor(NEARLY_LARGEST).log()
        return similarities.masked_fill(~close, -torch.inf).argmax(1)

    def results(self, scores):
        return {"scores": scores.square().mean().item(),
                "moved": (self.prototypes - self.start).norm().item()}


class Vectorised(Head):
    def forward(self):
        points = self.points()
        cosines = torch.einsum("nd,ckd->nck", points, self.prototypes)
        return cosines.amax(2) / TEMPERATURE, points, cosines

    def update(self, points, cosines):
        C, K, D = self.prototypes.shape
        labels = self.labels.flatten()
        kept = (labels >= 0).nonzero().squeeze(1)
        labels = labels[kept]
        similarities = cosines[kept, labels]
        logits = self.sinkhorn(similarities, labels)
        row = labels * K + self.assign(similarities, logits)
        sums = points.new_zeros(C * K, D).index_add(0, row, points[kept])
        counts = points.new_zeros(C * K).index_add(0, row, torch.ones_like(row).float())
        table = self.prototypes.view(C * K, D)
        means = sums / counts.clamp_min(1)[:, None]
        moved = F.normalize(MOMENTUM * table + (1 - MOMENTUM) * means, dim=1)
        table.copy_(torch.where(counts[:, None] > 0, moved, table))

    def sinkhorn(self, similarities, labels):
        """Equal parts in each class: the logarithm of the plan, up to a factor per pixel."""
        logits = similarities / EPSILON
        index = labels[:, None].expand(-1, self.K)
        empty = logits.new_zeros(self.C, self.K)
        largest = torch.full_like(empty, -torch.inf).scatter_reduce(0, index, logits, "amax")
        terms = (logits - largest[labels]).exp()
        scale = empty.index_add(0, labels, terms).log() + largest
        for _ in range(ITERATIONS - 1):
            plan = (logits - scale[labels]).softmax(1)
            scale = scale + empty.index_add(0, labels, plan).log()
        return logits - scale[labels]


class Loop(Head):
    again = True  # whether the cosines are computed once more, for PPC

    def forward(self):
        points = self.points()
        masks = torch.einsum("nd,kmd->nmk", points, self.prototypes)
        return masks.amax(1) / TEMPERATURE, points, masks

    def update(self, points, masks):
        labels = self.labels.flatten()
        if self.again:
            self.logits = torch.mm(points, self.prototypes.view(-1, self.D).t())
        for c in range(self.C):
            similarities = masks[..., c][labels == c, ...]
            if similarities.shape[0] == 0:
                continue
            plan = self.sinkhorn(similarities)
            index = self.assign(similarities, plan.log())
            q = F.one_hot(index, self.K).float()
            of_class = points[labels == c, ...]
            sums = q.transpose(0, 1) @ of_class
            n = q.sum(0)
            old, there = self.prototypes[c], n != 0
            new = sums[there] / n[there, None]
            old[there] = F.normalize(MOMENTUM * old[there] + (1 - MOMENTUM) * new, dim=1)

    @staticmethod
    def sinkhorn(similarities):
        """ProtoSeg's distributed_sinkhorn: [n, K] to shares [n, K]."""
        L = torch.exp(similarities / EPSILON).t()
        K, B = L.shape
        L /= L.sum()
        for _ in range(ITERATIONS):
            L /= L.sum(1, keepdim=True)
            L /= K
            L /= L.sum(0, keepdim=True)
            L /= B
        L *= B
        return L.t()


class LoopOnce(Loop):
    again = False


HEADS = dict(zip(PEERS, (Vectorised, Loop, LoopOnce)))


def status(name):
    with open("/proc/self/status") as file:
        return int(re.search(name + r":\s*(\d+)", file.read()).group(1)) / 1024


def memory_before(device):
    """In MiB; memory() counts anew."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    before = status("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    return before


def memory(device):
    """The most that was in use, in MiB."""
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else status("VmHWM")


@torch.no_grad()
def run_peer(arguments):
    """In a process of its own, as one line of JSON."""
    name, device = arguments.peer, arguments.device
    start(arguments)
    by_cpu = by_processor(arguments.threads, device)
    clock = time.process_time if by_cpu else time.perf_counter
    HEADS[name]((IMAGES * 16, 16, 20, 4), device).step()  # so that everything is loaded
    head = HEADS[name](tuple(arguments.size), device)
    used = memory_before(device)
    scores, _ = head.step()
    found = {"mib": memory(device) - used, **head.results(scores)}
    best, update, end = float("inf"), float("inf"), clock() + arguments.seconds
    while clock() < end:
        begin = clock()
        scores, of_update = head.step(clock)
        best, update = min(best, clock() - begin), min(update, of_update)
    print(json.dumps({"ms": best * 1e3, "update": update * 1e3, **found}))


def process(command, arguments):
    environment = {"OMP_NUM_THREADS": str(arguments.threads), "DNC_BENCH_DEVICE": arguments.device}
    run = subprocess.run(command, env={**os.environ, **environment}, check=True,
                         capture_output=True, text=True)
    return json.loads(run.stdout)


def ours(arguments, work, size):
    name = "^" + work + "/N:{}/D:{}/C:{}/K:{}/real_time$".format(*size)
    (found,) = process([arguments.bench, f"--benchmark_filter={name}", "--benchmark_format=json",
                        f"--benchmark_min_time={arguments.seconds}"], arguments)["benchmarks"]
    by_cpu = by_processor(arguments.threads, arguments.device)
    return {"ms": found["cpu_time" if by_cpu else "real_time"] / STEPS[arguments.device], **found}


def peer(arguments, name, size):
    return process([sys.executable, __file__, "--peer", name, "--seconds", str(arguments.seconds),
                    "--threads", str(arguments.threads), "--device", arguments.device,
                    "--size", *map(str, size)], arguments)


def compare(arguments, size):
    """One size; whether all results are equal."""
    works = {"ours": "all", "ours, update": "update", "ours, sampled": "sampled_update"}
    runs = {name: [] for name in (*works, *PEERS)}
    for _ in range(arguments.rounds):
        for name, work in works.items():
            runs[name].append(ours(arguments, work, size))
        for name in PEERS:
            runs[name].append(peer(arguments, name, size))
    equal = True
    for name in PEERS:
        for key in ("scores", "moved"):
            value, mine = runs[name][0][key], runs["ours"][0][key]
            if abs(value - mine) > 1e-4 * abs(value):
                print(f"D {size[1]}, {name}: {key} is {mine}, the peer's {value}")
                equal = False

    def best(name, key="ms"):
        return min(each[key] for each in runs[name])

    def shown(milliseconds):
        return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"

    print("N {}, D {}, C {}, K {}:".format(*size))
    print(f"  ours: {shown(best('ours'))} ms, of which assignment and update "
          f"{shown(best('ours, update'))} ({shown(best('ours, sampled'))} with 100 pixels of a "
          f"class); "
          f"{best('ours', 'mib'):.0f} MiB")
    for name in PEERS:
        print(f"  {name}: {shown(best(name))} ms ({best(name) / best('ours'):.1f}x), "
              f"of which assignment and update {shown(best(name, 'update'))} "
              f"({best(name, 'update') / best('ours, update'):.1f}x); "
              f"{best(name, 'mib'):.0f} MiB ({best(name, 'mib') / best('ours', 'mib'):.1f}x)")
    return equal


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", default=root / "build/release/bench/bench_pixel_head")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each in each round")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs=4, help=argparse.SUPPRESS)
    add_device(parser)
    arguments = parser.parse_args()
    if arguments.peer:
        run_peer(arguments)
        return 0
    print(f"{start(arguments)}; a step is forward, assignment and update")
    return 0 if all([compare(arguments, size) for size in SIZES]) else 1


if __name__ == "__main__":
    sys.exit(main())
