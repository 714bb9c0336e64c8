"""Two processes on CPUs against one: how much faster, and how far apart in what they compute.

    python3 bench/ranks.py [--ranks 2] [--steps 60] [--batch-size 256]

Both train the same config on the same batches with one thread a process, so that N processes use N
times the cores. Prints images a second, the scaling efficiency (speed-up over N), and the largest
difference of the losses of all steps. PyTorch's DistributedDataParallel over Gloo trains a network of
the same shape beside it, where this Python has torch. Needs as many idle cores as ranks.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build/release/bin/dnc-host"
CONFIG = """
seed: 1
device: cpu
threads: 1
model:
  backbone: {{type: ResNet_CIFAR, depth: 18, norm: {{type: group, groups: 8}}, width: 16}}
  decode_head: GlobalAveragePooling
  head: {{type: DNC}}
data:
  train: {{dataset: {{type: Synthetic, length: {samples}, classes: 10, size: 32}}}}
  batch_size: {batch_size}
  workers: 0
optimizer: {{type: SGD, lr: 0.05, momentum: 0.9}}
train: {{steps: {steps}, log_every: 1, save: {{steps: 1000000}}}}
"""


def train(folder, ranks):
    """Losses of all steps, and the median of images a second."""
    run = folder / f"ranks_{ranks}"
    command = [PROGRAM, "train", folder / "bench.yaml", "-o", run]
    if ranks > 1:
        command[1:1] = ["launch", "-n", str(ranks)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "OMP_NUM_THREADS": "1"})
    lines = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    losses = [line["losses"]["loss"] for line in lines if line["event"] == "train"]
    return losses, json.loads((run / "result.json").read_text())["images_per_second"]


PEER = """
import os, sys, time, torch, torch.distributed as dist
steps, batch, ranks = map(int, sys.argv[1:])
torch.set_num_threads(1)
rank = int(os.environ.get("RANK", 0))
if ranks > 1:
    dist.init_process_group("gloo")
torch.manual_seed(0)
def block(i, o, stride):
    return torch.nn.Sequential(torch.nn.Conv2d(i, o, 3, stride, 1, bias=False),
                               torch.nn.GroupNorm(8, o), torch.nn.ReLU(),
                               torch.nn.Conv2d(o, o, 3, 1, 1, bias=False), torch.nn.GroupNorm(8, o))
class Block(torch.nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = block(i, o, stride)
        self.skip = torch.nn.Identity() if i == o else torch.nn.Sequential(
            torch.nn.Conv2d(i, o, 1, stride, bias=False), torch.nn.GroupNorm(8, o))
    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))
w = 16
net = torch.nn.Sequential(torch.nn.Conv2d(3, w, 3, 1, 1, bias=False), torch.nn.GroupNorm(8, w),
    torch.nn.ReLU(), *[Block(w * max(1, 2 ** (s - (b == 0))) if s else w, w * 2 ** s, 2 if s and not b else 1)
                       for s in range(4) for b in range(2)],
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8 * w, 10))
net = net.to(memory_format=torch.channels_last)
if ranks > 1:
    net = torch.nn.parallel.DistributedDataParallel(net)
optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
x = torch.randn(batch // ranks, 3, 32, 32).to(memory_format=torch.channels_last)
y = torch.randint(0, 10, (batch // ranks,))
times = []
for _ in range(steps):
    begin = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
    times.append(time.perf_counter() - begin)
if rank == 0:
    print(batch / sorted(times)[len(times) // 2])
"""


def peer(folder, ranks, steps, batch_size):
    script = folder / "peer.py"
    script.write_text(PEER)
    words = [str(script), str(steps), str(batch_size), str(ranks)]
    if ranks > 1:
        words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] + words
    done = subprocess.run([sys.executable] + words, check=True, text=True, capture_output=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    return float(done.stdout.split()[-1])


def show(name, one, many, ranks):
    print(f"{name:<34} {one:9.1f} {many:9.1f} images/s   efficiency {many / one / ranks:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "bench.yaml").write_text(CONFIG.format(
            samples=options.batch_size * 4, batch_size=options.batch_size, steps=options.steps))
        alone, one = train(folder, 1)
        together, many = train(folder, options.ranks)
        print(f"1 process against {options.ranks}, batch {options.batch_size}, one thread each")
        show("dnc-host, DNC head", one, many, options.ranks)
        try:
            import torch  # noqa: F401
        except ImportError:
            print("PyTorch is not there: no peer")
        else:
            show("PyTorch DDP over Gloo, linear head", *(
                peer(folder, ranks, options.steps, options.batch_size)
                for ranks in (1, options.ranks)), options.ranks)
    difference = max(abs(a - b) for a, b in zip(alone, together, strict=True))
    print(f"largest difference of a loss in {len(alone)} steps: {difference:.2e}")
    if not difference < 0.05:
        sys.exit("the losses of one process and of several differ by more than rounding")


if __name__ == "__main__":
    main()
