"""A step of training beside PyTorch eager and torch.compile: speed, and equal losses.

    python3 bench/step_peer.py [--bench build/release/bench/bench_step] [--threads 1] [--rounds 3]
        [--networks resnet50 swin_t mobilenet_v2]

Needs torch and torchvision. Runs bench_step and, between its rounds, PyTorch with the same weights,
images, recipe and number of threads, both channels-last: networks for CIFAR in batches of 128, and
what the DNC head costs there beside the linear one; ResNet-50, Swin-T and MobileNetV2 at 224, in
float32 and in bfloat16 (autocast). Prints ratios and the best time of each; ends with 1 where a
loss differs.
"""
import argparse
import math
import pathlib
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

import peer

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))
import backbones  # noqa: E402

CIFAR_BATCH = 128


class Classifier(nn.Module):
    def __init__(self, net, channels):
        super().__init__()
        self.net = net
        self.fc = nn.Linear(channels, 10)
        nn.init.zeros_(self.fc.bias)

    def forward(self, images):
        return self.fc(backbones.stage_maps(self.net, images)[-1].mean((2, 3)))


def cifar_network(net, channels):
    """With the weights that bench_step fills in by itself."""
    net = Classifier(net, channels).float().to(memory_format=torch.channels_last)
    with torch.no_grad():
        for seed, parameter in enumerate(net.parameters(), start=1):
            if parameter.dim() > 1:
                fan_in = parameter.numel() // parameter.shape[0]
                parameter.copy_(peer.values(seed, parameter.shape) * math.sqrt(6 / fan_in))
    return net


class Training:
    def __init__(self, net, size, batch, precision="float32", compiled=False):
        self.parameters = list(net.train().parameters())
        self.net = torch.compile(net) if compiled else net
        self.precision = precision
        self.images = peer.images_of(batch, size)
        self.labels = torch.arange(batch) % 10
        self.optimizer = torch.optim.SGD(self.parameters, 0.01, 0.9, weight_decay=1e-4, fused=True)

    def step(self):
        self.optimizer.zero_grad()
        images = self.images.float().div_(255)
        with peer.autocast(self.precision):
            scores = self.net(images)
        loss = F.cross_entropy(scores.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def losses(self):
        """Of the first and the third step."""
        losses = [self.step() for _ in range(3)]
        return {"loss_0": losses[0], "loss_2": losses[2]}

    def milliseconds(self, seconds):
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            self.step()
            times.append(time.perf_counter() - start)
        return sorted(times)[len(times) // 2] * 1e3


def check(name, found, losses, tolerances):
    """Two steps of a network with batch norms amplify the rounding of the first."""
    good = True
    for (key, value), tolerance in zip(losses.items(), tolerances):
        if abs(found[key] - value) > tolerance * abs(value):
            print(f"{name}: {key} is {found[key]}, the peer's {value}")
            good = False
    return good


def run_cifar(name, net, channels, size, arguments):
    training = Training(cifar_network(net, channels), size, CIFAR_BATCH)
    losses = training.losses()
    linear, dnc, eager = [], [], []
    for _ in range(arguments.rounds):
        found = peer.ours(arguments.bench, name, arguments.threads, arguments.seconds)
        linear.append(found["Linear"]["real_time"])
        dnc.append(found["DNC"]["real_time"])
        eager.append(training.milliseconds(arguments.seconds))
    print(f"{name}: {min(eager) / min(linear):.2f}x eager; DNC head "
          f"{(min(dnc) / min(linear) - 1) * 100:+.1f} % of linear (ours {min(linear):.1f}, DNC "
          f"{min(dnc):.1f}, eager {min(eager):.1f})")
    return check(name, found["Linear"], losses, (1e-3, 1e-3))


def run_image_network(name, precision, arguments, folder):
    batch = peer.BATCHES[name]
    eager = Training(peer.network(name), peer.SIZE, batch, precision)
    losses = eager.losses()
    peers = {"eager": eager,
             "compile": Training(peer.network(name), peer.SIZE, batch, precision, compiled=True)}
    try:
        peers["compile"].losses()
    except RuntimeError as error:  # it writes C++ that not every compiler takes
        print(f"{name}, {precision}: compile fails with {type(error).__name__}")
        del peers["compile"]
    best = {}
    for _ in range(arguments.rounds):
        found = peer.ours(arguments.bench, f"{name}/{precision}", arguments.threads,
                          arguments.seconds, folder)[""]
        times = {"ours": found["real_time"],
                 **{key: each.milliseconds(arguments.seconds) for key, each in peers.items()}}
        best = {key: min(value, best.get(key, math.inf)) for key, value in times.items()}
    ratios = ", ".join(f"{best[key] / best['ours']:.2f}x {key}" for key in peers)
    print(f"{name}, {precision}, batch {batch}: {ratios} ("
          + ", ".join(f"{key} {value:.0f}" for key, value in best.items()) + ")")
    first = 1e-4 if precision == "float32" else 1e-2
    return check(name, found, losses, (first, 2e-2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", default=ROOT / "build/release/bench/bench_step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each in each round")
    parser.add_argument("--networks", nargs="*", default=[*peer.BATCHES], choices=peer.BATCHES,
                        help="those at 224; none for CIFAR's alone")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    good = True
    print(f"{arguments.threads} thread(s), ms a step")
    for name, net, channels, size in (
            ("resnet20_28", backbones.ResNetCifar(20, "identity"), 64, 28),
            ("resnet18_32", backbones.torchvision_net(18, "cifar"), 512, 32)):
        good &= run_cifar(name, net, channels, size, arguments)
    if not peer.has_fast_bfloat16():
        print("this processor has no instructions for bfloat16 (AVX512-BF16, AMX)")
    with tempfile.TemporaryDirectory() as folder:
        peer.save_weights(arguments.networks, folder)
        for name in arguments.networks:
            for precision in peer.PRECISIONS:
                good &= run_image_network(name, precision, arguments, folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
