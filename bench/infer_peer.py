"""Inference beside PyTorch eager, torch.compile and frozen TorchScript: speed, and equal scores.

    python3 bench/infer_peer.py [--bench build/release/bench/bench_infer] [--threads 1] [--rounds 3]
        [--networks resnet50 swin_t mobilenet_v2]

ResNet-50, Swin-T and MobileNetV2 on one image and on 32, in float32 and in bfloat16 (autocast),
with torchvision's networks, the same weights, images and number of threads, channels-last:
  eager    under inference_mode
  compile  the same under torch.compile
  frozen   traced, frozen and through torch.jit.optimize_for_inference (float32 alone: it knows no
           autocast)
Prints ratios and the best time of each; ends with 1 where a score differs.
"""
import argparse
import math
import pathlib
import sys
import tempfile
import time
import warnings

import torch

import peer

ROOT = pathlib.Path(__file__).resolve().parent.parent
COUNTS = (1, 32)


class Inference:
    """Bytes to scores, by a network that takes floats."""

    def __init__(self, net, images, precision):
        self.net, self.images, self.precision = net, images, precision

    @torch.inference_mode()
    def scores(self):
        with peer.autocast(self.precision):
            return self.net(self.images.float().div_(255)).float()

    def milliseconds(self, seconds):
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            self.scores()
            times.append(time.perf_counter() - start)
        return sorted(times)[len(times) // 2] * 1e3


def frozen(net, images):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net, images.float().div_(255))
        return torch.jit.optimize_for_inference(torch.jit.freeze(traced))


def run(name, precision, count, arguments, folder):
    net = peer.network(name).eval()
    images = peer.images_of(count, peer.SIZE)
    nets = {"eager": net, "compile": torch.compile(net, dynamic=False)}
    if precision == "float32":
        nets["frozen"] = frozen(net, images)
    peers = {key: Inference(each, images, precision) for key, each in nets.items()}
    scores = peers["eager"].scores()
    for key, each in list(peers.items()):
        try:
            each.scores()  # compiles it
            each.scores()
        except RuntimeError as error:  # torch.compile writes C++ that not every compiler takes
            print(f"{name}, {precision}, {count} image(s): {key} fails with {type(error).__name__}")
            del peers[key]
    best = {}
    for _ in range(arguments.rounds):
        found = peer.ours(arguments.bench, f"{name}/{precision}/{count}", arguments.threads,
                          arguments.seconds, folder)[""]
        times = {"ours": found["real_time"],
                 **{key: each.milliseconds(arguments.seconds) for key, each in peers.items()}}
        best = {key: min(value, best.get(key, math.inf)) for key, value in times.items()}
    ratios = ", ".join(f"{best[key] / best['ours']:.2f}x {key}" for key in peers)
    print(f"{name}, {precision}, {count} image(s): {ratios} ("
          + ", ".join(f"{key} {value:.1f}" for key, value in best.items()) + ")")
    good = True
    largest = scores.abs().max().item()
    tolerance = 1e-4 if precision == "float32" else 5e-2
    for key, value in (("first", scores[0, 0].item()), ("last", scores[-1, -1].item())):
        if abs(found[key] - value) > tolerance * largest:
            print(f"{name}: the {key} score is {found[key]}, the peer's {value}")
            good = False
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bench", default=ROOT / "build/release/bench/bench_infer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each in each round")
    parser.add_argument("--networks", nargs="*", default=[*peer.BATCHES], choices=peer.BATCHES)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    good = True
    print(f"{arguments.threads} thread(s), ms a batch")
    if not peer.has_fast_bfloat16():
        print("this processor has no instructions for bfloat16 (AVX512-BF16, AMX)")
    with tempfile.TemporaryDirectory() as folder:
        peer.save_weights(arguments.networks, folder)
        for name in arguments.networks:
            for precision in peer.PRECISIONS:
                for count in COUNTS:
                    good &= run(name, precision, count, arguments, folder)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
