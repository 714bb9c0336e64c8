"""Evaluation of segmentation beside mmsegmentation's way: speed, and equal counts.

    python3 bench/evaluation_peer.py [--bench build/release/bench/bench_evaluation] [--threads 1]
        [--rounds 3] [--seconds 2]

Scores of 4 images, [1, 150, 128, 128] each, to the sums over labels of 512 x 512 pixels from which
the IoU of each class follows, image by image:
  histc     as IoUMetric of mmsegmentation does it: F.interpolate, argmax, to NumPy and back, and
            three histograms of the pixels that are not ignored
  bincount  the same with one np.bincount of (label, prediction)
on scores that lie plane by plane, as mmsegmentation's do, and pixel by pixel (channels-last), as
ours do. Prints ratios and the best time of each; ends with 1 where a count differs.
"""
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F

import peer

IMAGES, CLASSES = 4, 150


def predict(scores, labels):
    resized = F.interpolate(scores, labels.shape[1:], mode="bilinear", align_corners=False)
    return resized.argmax(1).squeeze(0).cpu().numpy()


def histc(scores, labels):
    """Of each class the pixels that are right, that were given to it, and that have its label."""
    given, label = torch.from_numpy(predict(scores, labels)), labels[0]
    valid = label != peer.IGNORED
    given, label = given[valid], label[valid]

    def areas(classes):
        return torch.histc(classes.float(), CLASSES, 0, CLASSES - 1)

    return torch.stack([areas(given[given == label]), areas(given), areas(label)], 1).long()


def bincount(scores, labels):
    given, label = predict(scores, labels), labels[0].numpy()
    valid = label != peer.IGNORED
    cells = np.bincount(CLASSES * label[valid] + given[valid], minlength=CLASSES**2)
    counts = torch.from_numpy(cells).view(CLASSES, CLASSES)
    return torch.stack([counts.diagonal(), counts.sum(0), counts.sum(1)], 1)


def our_counts(bench, layout):
    run = subprocess.run([bench, "--counts", layout], check=True, stdout=subprocess.PIPE, text=True)
    return torch.tensor([[int(count) for count in line.split()]
                         for line in run.stdout.splitlines()])


@torch.inference_mode()
def main():
    arguments = peer.arguments_of(__doc__, "bench_evaluation", seconds=2).parse_args()
    torch.set_num_threads(arguments.threads)
    scores = [peer.values(2 * i, (1, CLASSES, 128, 128)) for i in range(IMAGES)]
    labels = [peer.pixel_labels(2 * i + 1, (1, 512, 512), CLASSES) for i in range(IMAGES)]
    print(f"{arguments.threads} thread(s), ms for {IMAGES} images")
    good = True
    for layout in ("planes", "pixels"):
        if layout == "pixels":
            scores = [each.contiguous(memory_format=torch.channels_last) for each in scores]

        def total(count):
            return sum(count(*pair) for pair in zip(scores, labels))

        for count in (histc, bincount):
            if not torch.equal(total(count), our_counts(arguments.bench, layout)):
                print(f"{layout}: the counts differ from those of {count.__name__}")
                good = False
        peers = {count.__name__: lambda count=count: total(count) for count in (histc, bincount)}
        best, _ = peer.race(arguments, {"ours": layout}, peers)
        print(f"{layout}: {peer.report(best, peers)}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
