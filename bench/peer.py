"""What step_peer.py and infer_peer.py share: torchvision's networks and their weights for ours."""
import json
import os
import subprocess

import torch
import torchvision

SIZE = 224
BATCHES = {"resnet50": 16, "swin_t": 8, "mobilenet_v2": 16}  # of a step of training
PRECISIONS = ("float32", "bfloat16")


def values(seed, shape):
    """Values in [-1, 1), as in network.h."""
    h = torch.arange(torch.Size(shape).numel()) + seed * 1000003
    for _ in range(2):
        h = ((h ^ (h >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    h = (h ^ (h >> 16)) >> 8
    return (h.float() * 2.0**-23 - 1).view(shape)


def images_of(count, size):
    images = ((values(0, (count, 3, size, size)) + 1) * 127.5).to(torch.uint8)
    return images.contiguous(memory_format=torch.channels_last)


def network(name):
    """The same weights each time, and nothing random in training."""
    torch.manual_seed(1)
    net = torchvision.models.get_model(name, num_classes=10)
    for module in net.modules():
        if isinstance(module, (torch.nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    return net.to(memory_format=torch.channels_last)


def save_weights(names, folder):
    """Where ours looks for them: NAME.pth in DNC_BENCH_WEIGHTS."""
    for name in names:
        torch.save(network(name).state_dict(), os.path.join(folder, name + ".pth"))


def autocast(precision):
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


def ours(bench, row, threads, seconds, folder=""):
    """The rows whose name begins with `row`, by the rest of their name."""
    run = subprocess.run(
        [bench, f"--benchmark_filter=^{row}/", f"--benchmark_min_time={seconds}",
         "--benchmark_format=json"],
        check=True, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "DNC_BENCH_WEIGHTS": str(folder)})
    return {each["name"][len(row) + 1:].removesuffix("real_time").rstrip("/"): each
            for each in json.loads(run.stdout)["benchmarks"]}


def has_fast_bfloat16():
    with open("/proc/cpuinfo") as info:
        flags = info.read()
    return "avx512_bf16" in flags or "amx_bf16" in flags
