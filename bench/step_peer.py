"""A step of training beside PyTorch eager: speed, and whether the losses are equal.

    python3 bench/step_peer.py [--bench build/release/bench/bench_step] [--threads 1] [--rounds 3]

Needs torch and torchvision. Runs bench_step and, between its rounds, PyTorch with the same weights,
images, recipe and number of threads, both channels-last. Prints the best time of each and the ratio
to ours, and what the DNC head costs beside the linear one; ends with 1 where a loss differs.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))
import backbones  # noqa: E402

BATCH = 128


def values(seed, shape):
    """Values in [-1, 1), as in step.cpp."""
    h = torch.arange(torch.Size(shape).numel()) + seed * 1000003
    for _ in range(2):
        h = ((h ^ (h >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    h = (h ^ (h >> 16)) >> 8
    return (h.float() * 2.0**-23 - 1).view(shape)


class Classifier(nn.Module):
    def __init__(self, net, channels):
        super().__init__()
        self.net = net
        self.fc = nn.Linear(channels, 10)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images):
        return self.fc(backbones.stage_maps(self.net, images)[-1].mean((2, 3)))


class Peer:
    def __init__(self, net, channels, size):
        net = Classifier(net, channels).float().to(memory_format=torch.channels_last)
        with torch.no_grad():
            for seed, parameter in enumerate(net.parameters(), start=1):
                if parameter.dim() > 1:
                    fan_in = parameter.numel() // parameter.shape[0]
                    parameter.copy_(values(seed, parameter.shape) * math.sqrt(6 / fan_in))
        self.net = net.train()
        images = ((values(0, (BATCH, 3, size, size)) + 1) * 127.5).to(torch.uint8)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.labels = torch.arange(BATCH) % 10
        self.optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=1e-4, fused=True)

    def step(self):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(self.images.float().div_(255)), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def milliseconds(self, seconds):
        self.step()
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 5:
            start = time.perf_counter()
            self.step()
            times.append(time.perf_counter() - start)
        return sorted(times)[len(times) // 2] * 1e3


def ours(bench, name, threads, seconds):
    run = subprocess.run(
        [bench, f"--benchmark_filter=^{name}/", f"--benchmark_min_time={seconds}",
         "--benchmark_format=json"],
        check=True, capture_output=True, text=True, env={**os.environ,
                                                         "OMP_NUM_THREADS": str(threads)})
    return {each["name"].split("/")[1]: each for each in json.loads(run.stdout)["benchmarks"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", default=ROOT / "build/release/bench/bench_step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each in each round")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    failed = False
    print(f"{arguments.threads} thread(s), ms a step of {BATCH} images")
    nets = (("resnet20_28", backbones.ResNetCifar(20, "identity"), 64, 28),
            ("resnet18_32", backbones.torchvision_net(18, "cifar"), 512, 32))
    for name, net, channels, size in nets:
        peer = Peer(net, channels, size)
        losses = [peer.step() for _ in range(3)]
        linear, dnc, eager = [], [], []
        for _ in range(arguments.rounds):
            found = ours(arguments.bench, name, arguments.threads, arguments.seconds)
            linear.append(found["Linear"]["real_time"])
            dnc.append(found["DNC"]["real_time"])
            eager.append(peer.milliseconds(arguments.seconds))
        for key, value in (("loss_0", losses[0]), ("loss_2", losses[2])):
            if abs(found["Linear"][key] - value) > 1e-3 * abs(value):
                print(f"{name}: {key} is {found['Linear'][key]}, the peer's {value}")
                failed = True
        print(f"{name}: ours {min(linear):.1f}, eager {min(eager):.1f} "
              f"({min(eager) / min(linear):.2f}x); DNC head {min(dnc):.1f} "
              f"({(min(dnc) / min(linear) - 1) * 100:+.1f} % of linear)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
