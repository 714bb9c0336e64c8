"""The loader on pairs of an image and its labels beside torchvision's transforms v2.

    python3 bench/pairs_peer.py [--bench build/release/bench/bench_pairs] [--rounds 3]
        [--seconds 2] [--camvid ../shared/data/camvid]

CamVid at 480 x 360: random resize (0.5 to 2), crop to 360 x 480, flip and photometric distortion,
in shuffled batches of 8, bytes and int64 labels out:
  tensors  decode_jpeg and decode_png, transforms on tv_tensors.Image and tv_tensors.Mask
  Pillow   images by Pillow, labels as above
through PyTorch's DataLoader, once on one core (0 workers) and once with 2 workers (threads of ours,
processes of the others). Prints ratios of pairs per second, ours over the other's. Ends with 1
where a resized and cropped image or its labels are not equal to Pillow's, or an epoch has another
number of pairs or other labels.
"""
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import io, tv_tensors
from torchvision.transforms import v2

import peer

SIZE, BATCH = (360, 480), 8
VOID, IGNORED = 11, 255  # in label files, and in the peers


class Distortion(v2.RandomPhotometricDistort):
    """Without the exchange of channels, which ours does not have."""

    def make_params(self, flat_inputs):
        return {**super().make_params(flat_inputs), "channel_permutation": None}


class Pairs(Dataset):
    def __init__(self, folder, pillow):
        self.images = sorted((folder / "train/images").glob("*.jpg"))
        self.pillow = pillow
        self.transform = v2.Compose([
            v2.ScaleJitter(SIZE[::-1], (0.5, 2.0)),  # it takes width and height
            v2.RandomCrop(SIZE, pad_if_needed=True,
                          fill={Image.Image: 0, tv_tensors.Image: 0, tv_tensors.Mask: IGNORED}),
            v2.RandomHorizontalFlip(),
            Distortion(hue=(-0.1, 0.1)),
            v2.PILToTensor(),
        ])

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        file = self.images[index]
        labels = io.decode_png(io.read_file(str(labels_of(file))), io.ImageReadMode.GRAY)[0]
        labels[labels == VOID] = IGNORED
        if self.pillow:
            image = Image.open(file).convert("RGB")
        else:
            image = tv_tensors.Image(io.decode_jpeg(io.read_file(str(file)),
                                                    io.ImageReadMode.RGB))
        image, labels = self.transform(image, tv_tensors.Mask(labels))
        return image, labels.long()


def labels_of(image):
    return image.parent.parent / "labels" / (image.stem + ".png")


def pairs_per_second(loader):
    begin = time.perf_counter()
    count = 0
    for images, labels in loader:
        if images.shape[1:] != (3, *SIZE) or labels.shape[1:] != SIZE:
            sys.exit(f"a batch of images {images.shape} and labels {labels.shape}")
        count += len(images)
    return count / (time.perf_counter() - begin)


def run(bench, folder, arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DNC_BENCH_CAMVID": str(folder)}
    return subprocess.run([bench, *arguments], env=environment, check=True,
                          stdout=subprocess.PIPE).stdout


def equal_to_pillow(bench, folder):
    """240 x 320 and the middle of that, of the first batch."""
    size, top, left = (200, 300), 20, 10
    bytes_of = run(bench, folder, ["--samples"])
    pixels = BATCH * size[0] * size[1]
    images = np.frombuffer(bytes_of, np.uint8, 3 * pixels).reshape(BATCH, *size, 3)
    labels = np.frombuffer(bytes_of, np.int64, pixels, 3 * pixels).reshape(BATCH, *size)

    def middle(image, way):
        return np.asarray(image.resize((320, 240), way))[top:top + size[0], left:left + size[1]]

    for i, file in enumerate(sorted((folder / "train/images").glob("*.jpg"))[:BATCH]):
        image = middle(Image.open(file).convert("RGB"), Image.Resampling.BILINEAR)
        expected = middle(Image.open(labels_of(file)), Image.Resampling.NEAREST).astype(np.int64)
        expected[expected == VOID] = peer.IGNORED
        if not np.array_equal(images[i], image) or not np.array_equal(labels[i], expected):
            print(f"{file}: differs from Pillow's")
            return False
    print(f"resized and cropped, {BATCH} images and their labels are equal to Pillow's")
    return True


def measure(workers, arguments):
    """Where there are no workers, all are kept on one core."""
    affinity = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(affinity)[:max(workers, 1)])
    peers = {name: DataLoader(Pairs(arguments.camvid, pillow=name == "Pillow"), BATCH, shuffle=True,
                              num_workers=workers, persistent_workers=workers > 0)
             for name in ("tensors", "Pillow")}
    good = True
    best = dict.fromkeys(("ours", *peers), 0.0)
    for loader in peers.values():
        next(iter(loader))  # starts the workers
    for _ in range(arguments.rounds):
        found = peer.ours(arguments, f"load/{workers}",
                          environment={"DNC_BENCH_CAMVID": str(arguments.camvid)})
        best["ours"] = max(best["ours"], found["items_per_second"])
        for name, loader in peers.items():
            best[name] = max(best[name], pairs_per_second(loader))
    expected = {"pairs": len(peers["tensors"].dataset), "lowest": peer.IGNORED,
                "highest": VOID - 1}
    for key, value in expected.items():
        good &= peer.agrees(f"{workers} workers: {key}", found[key], value, 0)
    ratios = ", ".join(f"{best['ours'] / best[name]:.1f}x {name}" for name in peers)
    print(f"{workers} workers: ours is {ratios} ("
          + ", ".join(f"{name} {value:,.0f}" for name, value in best.items()) + ")", flush=True)
    os.sched_setaffinity(0, affinity)
    return good


def main():
    parser = peer.arguments_of(__doc__, "bench_pairs", seconds=2)
    data = pathlib.Path(os.environ.get("DNC_TEST_DATA", peer.ROOT.parent / "shared/data"))
    parser.add_argument("--camvid", type=pathlib.Path, default=data / "camvid")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.camvid.exists():
        sys.exit(f"{arguments.camvid} is not there; give --camvid, a folder with train/images")
    good = equal_to_pillow(arguments.bench, arguments.camvid)
    print("pairs per second")
    for workers in (0, 2):
        good &= measure(workers, arguments)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
