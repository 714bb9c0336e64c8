"""The loader beside torchvision's FashionMNIST and PyTorch's DataLoader, with the same transforms.

    python3 bench/loader_peer.py [--bench build/release/bench/bench_loader] [--rounds 3]

An epoch of Fashion-MNIST in shuffled batches of 128, random crop with padding 4 and flip, bytes
out, with 0, 1 and 2 workers (threads of ours, processes of the peer). Prints the most samples per
second of each and their ratio; ends with 1 where the pixels' mean or the labels differ.
"""
import argparse
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")


def open_dataset(root):
    """torchvision wants the files unpacked, in a folder of its own."""
    raw = pathlib.Path(root) / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for packed in DATA.glob("*.gz"):
        with gzip.open(packed) as source, open(raw / packed.stem, "wb") as target:
            shutil.copyfileobj(source, target)
    transform = transforms.Compose([
        transforms.RandomCrop(28, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.PILToTensor(),
    ])
    return datasets.FashionMNIST(root, train=True, transform=transform)


def make_loader(dataset, workers):
    return DataLoader(dataset, batch_size=128, shuffle=True, num_workers=workers,
                      persistent_workers=workers > 0)


def results(loader):
    pixels = labels = samples = 0
    for images, targets in loader:
        pixels += images.double().mean().item() * len(images)
        labels += targets.sum().item()
        samples += len(images)
    return pixels / samples, labels


def samples_per_second(loader):
    begin = time.perf_counter()
    samples = sum(len(images) for images, _ in loader)
    return samples / (time.perf_counter() - begin)


def ours(program, workers):
    run = subprocess.run(
        [program, f"--benchmark_filter=^epoch/workers:{workers}/", "--benchmark_format=json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    found = json.loads(run.stdout)["benchmarks"][0]
    if found.get("error_occurred"):
        sys.exit(found["error_message"])
    return found


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", default=root / "build/release/bench/bench_loader")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not DATA.exists():
        sys.exit("Fashion-MNIST is missing: apt-get install dataset-fashion-mnist")

    failed = False
    print("Fashion-MNIST, random crop and flip, batches of 128: samples per second")
    with tempfile.TemporaryDirectory() as folder:
        dataset = open_dataset(folder)
        for workers in range(3):
            loader = make_loader(dataset, workers)
            mean, labels = results(loader)
            best = peer = 0
            for _ in range(arguments.rounds):
                found = ours(arguments.bench, workers)
                best = max(best, found["items_per_second"])
                peer = max(peer, samples_per_second(loader))
            # The crops are random: their mean differs by about 0.1 % from epoch to epoch.
            if abs(found["mean"] - mean) > 0.005 * mean or found["labels"] != labels:
                print(f"{workers} workers: mean {found['mean']}, labels {found['labels']}; "
                      f"the peer's {mean}, {labels}")
                failed = True
            print(f"{workers} workers: ours {best:,.0f}, torchvision {peer:,.0f} "
                  f"({best / peer:.1f}x)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
