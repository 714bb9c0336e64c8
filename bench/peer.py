"""What the peers share: torchvision's networks, their weights for ours, how time is measured."""
import argparse
import json
import math
import os
import pathlib
import subprocess
import time

import torch
import torchvision

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZE = 224
BATCHES = {"resnet50": 16, "swin_t": 8, "mobilenet_v2": 16}  # of a step of training
PRECISIONS = ("float32", "bfloat16")
IGNORED = -1  # the label of pixels that do not count


def values(seed, shape):
    """Values in [-1, 1), as in network.h."""
    h = torch.arange(torch.Size(shape).numel()) + seed * 1000003
    for _ in range(2):
        h = ((h ^ (h >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    h = (h ^ (h >> 16)) >> 8
    return (h.float() * 2.0**-23 - 1).view(shape)


# Steps between two waits for the device: on a GPU the host is ahead. bench/device.h has the same.
STEPS = {"cpu": 1, "cuda": 20}


def images_of(count, height, width):
    images = ((values(0, (count, 3, height, width)) + 1) * 127.5).to(torch.uint8)
    return images.contiguous(memory_format=torch.channels_last)


def pixel_labels(seed, shape, classes):
    """As in network.h: some are ignored."""
    number = ((values(seed, shape) + 1) / 2 * (classes + 1)).long()
    return number.masked_fill(number >= classes, IGNORED)


def network(name, classes=10):
    """The same weights each time, and nothing random in training."""
    torch.manual_seed(1)
    net = torchvision.models.get_model(name, num_classes=classes)
    return without_chance(net).to(memory_format=torch.channels_last)


def without_chance(net):
    for module in net.modules():
        if isinstance(module, (torch.nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    return net


def save_weights(names, folder, classes=10):
    """Where ours looks for them: NAME.pth in DNC_BENCH_WEIGHTS."""
    for name in names:
        torch.save(network(name, classes).state_dict(), os.path.join(folder, name + ".pth"))


def autocast(precision, device="cpu"):
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


def arguments_of(doc, bench, seconds):
    """A parser with what every peer is asked; `doc` is that of its script."""
    parser = argparse.ArgumentParser(description=doc.split("\n\n")[0])
    parser.add_argument("--bench", default=ROOT / "build/release/bench" / bench)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=seconds, help="of each in each round")
    parser.set_defaults(device="cpu")
    return parser


def add_device(parser):
    parser.add_argument("--device", choices=STEPS, default="cpu")


def start(arguments):
    """Sets threads and says where this runs; ends where there is no such device."""
    torch.set_num_threads(arguments.threads)
    if arguments.device == "cpu":
        return f"{arguments.threads} thread(s)"
    if not torch.cuda.is_available():
        raise SystemExit("--device cuda: PyTorch finds no GPU here")
    torch.backends.cudnn.benchmark = True
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def ours(arguments, row, environment=None):
    """A row of our benchmark program: its times in milliseconds ("real_time", "cpu_time") and its
    counters."""
    run = subprocess.run(
        [arguments.bench, f"--benchmark_filter=^{row}/real_time$",
         f"--benchmark_min_time={arguments.seconds}", "--benchmark_format=json"],
        check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(arguments.threads),
             "DNC_BENCH_DEVICE": arguments.device, **(environment or {})})
    (found,) = json.loads(run.stdout)["benchmarks"]
    if found.get("error_occurred"):
        raise RuntimeError(found["error_message"])
    for clock in ("real_time", "cpu_time"):
        found[clock] /= STEPS[arguments.device]
    return found


def milliseconds(work, seconds, threads, device="cpu"):
    """The median over as many runs as fit, at least one; with one thread of the time of the
    processor, as in race()."""
    clock = time.process_time if by_processor(threads, device) else time.perf_counter
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = clock()
        for _ in range(STEPS[device]):
            work()
        synchronize(device)
        times.append((clock() - begin) / STEPS[device])
    return sorted(times)[len(times) // 2] * 1e3


def by_processor(threads, device):
    return threads == 1 and device == "cpu"


def environment_of(arguments):
    """What network.h reads: another batch and other classes, where the peer has such options."""
    names = {"batch": "DNC_BENCH_BATCH", "classes": "DNC_BENCH_CLASSES"}
    return {variable: str(getattr(arguments, name)) for name, variable in names.items()
            if getattr(arguments, name, None)}


def race(arguments, rows, peers, folder=""):
    """The best time of each in milliseconds by name, and our rows of the last round. They take
    turns in each round, so that all meet the same machine; with one thread the time is the
    processor's, which says the most where others use the machine too. `rows` are names of ours,
    `peers` functions, `folder` has the weights."""
    clock = "cpu_time" if by_processor(arguments.threads, arguments.device) else "real_time"
    best, found = {}, {}
    environment = {"DNC_BENCH_WEIGHTS": folder, **environment_of(arguments)}
    for _ in range(arguments.rounds):
        found = {name: ours(arguments, row, environment) for name, row in rows.items()}
        times = {name: row[clock] for name, row in found.items()}
        times.update((name, milliseconds(run, arguments.seconds, arguments.threads,
                                         arguments.device))
                     for name, run in peers.items())
        best = {name: min(each, best.get(name, math.inf)) for name, each in times.items()}
    return best, found


def compiles(what, run):
    """Whether torch.compile can do what `run` does; says how long that took, or why not."""
    begin = time.perf_counter()
    try:
        run()
    except RuntimeError as error:  # it writes C++ that not every compiler takes
        print(f"{what}: torch.compile fails with {type(error).__name__}")
        return False
    print(f"{what}: torch.compile took {time.perf_counter() - begin:.0f} s", flush=True)
    return True


def report(best, peers):
    """The peers' times over ours, and all times."""
    return (", ".join(f"{best[name] / best['ours']:.2f}x {name}" for name in peers) + " ("
            + ", ".join(f"{name} {each:.4g}" for name, each in best.items()) + ")")


def agrees(what, found, value, tolerance):
    """Whether ours is equal to the peer's value but for `tolerance`; says where not."""
    if abs(found - value) <= tolerance:
        return True
    print(f"{what} is {found}, the peer's {value}")
    return False


def has_fast_bfloat16():
    with open("/proc/cpuinfo") as info:
        flags = info.read()
    return "avx512_bf16" in flags or "amx_bf16" in flags
