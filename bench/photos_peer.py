"""The loader on photographs beside torchvision's and NVIDIA DALI's.

    python3 bench/photos_peer.py [--bench build/release/bench/bench_photos] [--rounds 3]
        [--photos ../shared/data/photos]

RandomResizedCrop 224, flip and normalise in shuffled batches of 64, floats out:
  ours       exact (the pixels of Pillow) and reduced (JPEG decoded at a part of its size)
  DataLoader torchvision's ImageFolder, Pillow and PyTorch's DataLoader
  tensors    the same with torchvision's decode_jpeg and its transforms v2 on tensors
  DALI       on the CPU, where it is installed: pip install -r bench/requirements.txt
once on one core (0 workers; 1 thread of DALI) and once with 2 workers (threads of ours and DALI's,
processes of the others), on the photographs as they are and at four times their height and width,
as cameras make them. `decoding` is ours beside bare libjpeg-turbo on the same crops.

Prints ratios of images per second, ours over the other's. Ends with 1 where a crop of ours is not
equal to Pillow's, a reduced one far from it, or an epoch has another number of images.
"""
import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, io, transforms
from torchvision.transforms import functional, v2

try:
    from nvidia import dali
    from nvidia.dali import fn, types
    from nvidia.dali.plugin.pytorch import DALIGenericIterator
except ImportError:
    dali = None

ROOT = pathlib.Path(__file__).resolve().parent.parent
BATCH, SIZE = 64, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COPIES = 8  # of the small photographs, so that an epoch is long enough


def link_copies(photos, folder):
    for file in sorted(photos.glob("*/*")):
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        for copy in range(COPIES):
            (folder / file.parent.name / f"{copy}_{file.stem}.jpg").symlink_to(file)


def enlarge(photos, folder):
    for file in sorted(photos.glob("*/*")):
        image = Image.open(file).convert("RGB")
        (folder / file.parent.name).mkdir(parents=True)
        large = image.resize((4 * image.width, 4 * image.height), Image.Resampling.BICUBIC)
        large.save(folder / file.parent.name / f"{file.stem}.jpg", quality=92)


def pillow_loader(folder, workers):
    transform = transforms.Compose([
        transforms.RandomResizedCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])
    return DataLoader(datasets.ImageFolder(folder, transform), BATCH, shuffle=True,
                      num_workers=workers, persistent_workers=workers > 0)


def tensor_loader(folder, workers):
    transform = v2.Compose([
        v2.RandomResizedCrop(SIZE, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ])
    data = datasets.ImageFolder(
        folder, transform,
        loader=lambda path: io.decode_jpeg(io.read_file(path), io.ImageReadMode.RGB))
    return DataLoader(data, BATCH, shuffle=True, num_workers=workers,
                      persistent_workers=workers > 0)


def dali_loader(folder, workers):
    @dali.pipeline_def(batch_size=BATCH, num_threads=max(workers, 1), device_id=None)
    def pipeline():
        files, labels = fn.readers.file(file_root=str(folder), random_shuffle=True, name="files")
        images = fn.decoders.image_random_crop(files, device="cpu", output_type=types.RGB,
                                               random_area=[0.08, 1.0], num_attempts=10)
        images = fn.resize(images, size=[SIZE, SIZE], interp_type=types.INTERP_LINEAR)
        images = fn.crop_mirror_normalize(
            images, mirror=fn.random.coin_flip(), mean=[255 * m for m in MEAN],
            std=[255 * s for s in STD], dtype=types.FLOAT, output_layout="HWC")
        return images, labels

    iterator = DALIGenericIterator(pipeline(), ["images", "labels"], reader_name="files")

    class Batches:
        def __iter__(self):
            with contextlib.suppress(StopIteration):
                while True:
                    (batch,) = next(iterator)
                    yield batch["images"], batch["labels"]
            iterator.reset()

    return Batches()


def loader_slack(loader):
    """DALI fills the last batch up with images that the next epoch then lacks."""
    return 0 if isinstance(loader, DataLoader) else BATCH


def images_per_second(loader, images):
    """Of an epoch right behind another one: DALI works ahead while nobody asks it to."""
    for _ in loader:
        pass
    begin = time.perf_counter()
    count = sum(len(batch) for batch, _ in loader)
    seconds = time.perf_counter() - begin
    if abs(count - images) > loader_slack(loader):
        sys.exit(f"{count} images in an epoch of {images}")
    return count / seconds


def ours(bench, folder, name, images):
    run = subprocess.run(
        [bench, f"--benchmark_filter=^{name}/", "--benchmark_format=json",
         "--benchmark_min_time=1"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "DNC_BENCH_PHOTOS": str(folder)}, check=True,
        capture_output=True)
    found = json.loads(run.stdout)["benchmarks"][0]
    if found.get("images", images) != images:
        sys.exit(f"{found['images']} images in an epoch of {images}")
    return found["items_per_second"]


@contextlib.contextmanager
def cores(count):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def expected_image(image, top, left, height, width, flipped):
    """Rows first, then columns: late versions of Pillow alone choose an order by the sizes."""
    image = image.crop((left, top, left + width, top + height))
    image = image.resize((SIZE, height), Image.Resampling.BILINEAR)
    image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    tensor = functional.normalize(functional.to_tensor(image), MEAN, STD).permute(1, 2, 0)
    return (tensor.flip(1) if flipped else tensor).numpy()


def check(bench, folder, decoding):
    """The first batch, in levels of 255 beside Pillow's: mean and largest difference."""
    output = subprocess.run(
        [bench, "--samples", decoding], env={**os.environ, "DNC_BENCH_PHOTOS": str(folder)},
        check=True, capture_output=True).stdout
    data = datasets.ImageFolder(folder)
    differences = []
    at = 0
    for image, label in (data[i] for i in range(min(BATCH, len(data)))):
        end = output.index(b"\n", at)
        *box, flipped, found_label = map(int, output[at:end].split())
        at = end + 1 + 4 * SIZE * SIZE * 3
        found = numpy.frombuffer(output[end + 1:at], numpy.float32).reshape(SIZE, SIZE, 3)
        if label != found_label:
            sys.exit(f"label {found_label}, torchvision's is {label}")
        expected = expected_image(image, *box, flipped)
        differences.append(numpy.abs(found - expected) * numpy.array(STD) * 255)
    if at != len(output):
        sys.exit("another number of images")
    return numpy.mean(differences), numpy.max(differences)


def measure(bench, name, folder, rounds):
    images = sum(1 for _ in folder.glob("*/*"))
    mean, largest = check(bench, folder, "exact")
    reduced_mean, _ = check(bench, folder, "reduced")
    print(f"{name}: a batch of ours differs from Pillow's by {largest:.4f} levels of 255 at most, "
          f"a reduced one by {reduced_mean:.2f} in the mean")
    if largest > 1e-3 or reduced_mean > 1:
        return False
    peers = {"DataLoader": pillow_loader, "tensors": tensor_loader}
    if dali:
        peers["DALI"] = dali_loader
    for workers in (0, 2):
        own = {"exact": f"load/workers:{workers}/reduced:0",
               "reduced": f"load/workers:{workers}/reduced:1"}
        if workers == 0:
            own.update({"decoding": "decode_ours", "bare": "decode_bare"})
        best = dict.fromkeys([*own, *peers], 0.0)
        with cores(workers or 1):
            loaders = {peer: make(folder, workers) for peer, make in peers.items()}
            for loader in loaders.values():
                images_per_second(loader, images)  # starts the workers
            for _ in range(rounds):
                for key, row in own.items():
                    best[key] = max(best[key], ours(bench, folder, row, images))
                for peer, loader in loaders.items():
                    best[peer] = max(best[peer], images_per_second(loader, images))
            del loaders
        against = ", ".join(f"{best['exact'] / best[peer]:.1f}x {peer}" for peer in peers)
        print(f"{name}, {workers} workers: ours is {against}; "
              f"reduced {best['reduced'] / best['exact']:.2f}x exact")
        if workers == 0:
            print(f"{name}, decoding alone: {best['decoding'] / best['bare']:.2f}x bare "
                  f"libjpeg-turbo; the whole loader {best['exact'] / best['bare']:.2f}x")
        print("  images per second: " + ", ".join(f"{key} {value:,.0f}"
                                                  for key, value in best.items()))
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", default=ROOT / "build/release/bench/bench_photos")
    parser.add_argument("--rounds", type=int, default=3)
    data = pathlib.Path(os.environ.get("DNC_TEST_DATA", ROOT.parent / "shared/data"))
    parser.add_argument("--photos", type=pathlib.Path, default=data / "photos")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.photos.exists():
        sys.exit(f"{arguments.photos} is not there; give --photos, a folder with one of JPEG files "
                 "for each class")
    if not dali:
        print("without DALI: pip install -r bench/requirements.txt")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        small, large = pathlib.Path(folder) / "small", pathlib.Path(folder) / "large"
        link_copies(arguments.photos.resolve(), small)
        enlarge(arguments.photos, large)
        good &= measure(arguments.bench, "photos", small, arguments.rounds)
        good &= measure(arguments.bench, "photos x 4", large, arguments.rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
