"""Fixture for Mixup and CutMix: mixing.txt. Run with the packages of requirements.txt.

torchvision mixes an image with the one before it, timm with the one at the other end of the batch,
as here. In a batch of two these are the same, so torchvision gets the partners as such batches.
"""
import numpy
import timm.data.mixup
import torch
from torchvision.transforms import v2

from golden import Golden, values

CLASSES = 7
SHAPE = (6, 3, 9, 14)


def batch():
    return torch.from_numpy(values("mixing/images", SHAPE)), torch.tensor([0, 3, 6, 3, 2, 3])


def by_pairs(mix):
    """A batch of which `mix` gets image i and image N - 1 - i."""
    images, labels = batch()
    mixed, soft = torch.empty(SHAPE), torch.empty(SHAPE[0], CLASSES)
    for i in range(SHAPE[0] // 2):
        pair = [i, SHAPE[0] - 1 - i]
        mixed[pair], soft[pair] = mix(images[pair], labels[pair])
    return mixed, soft


def apply(transform, params):
    def mix(images, labels):
        known = {"labels": labels, "batch_size": 2, **params}
        return transform.transform(images, known), transform.transform(labels, known)
    return mix


def torchvision(golden):
    for share in (0.25, 0.9):
        mixed, soft = by_pairs(apply(v2.MixUp(num_classes=CLASSES), {"lam": share}))
        golden.add(f"mixup/{share}/images", mixed[:, 0])
        golden.add(f"mixup/{share}/soft", soft)
    cutmix = v2.CutMix(num_classes=CLASSES)
    for seed in range(24):
        torch.manual_seed(seed)
        share = float(cutmix._dist.sample(()))
        torch.manual_seed(seed)
        params = cutmix.make_params([batch()[0]])
        torch.manual_seed(seed)
        cutmix._dist.sample(())
        x = int(torch.randint(SHAPE[3], size=(1,)))
        y = int(torch.randint(SHAPE[2], size=(1,)))
        golden.add(f"cutmix/{seed}/drawn", [share, y, x])
        golden.add(f"cutmix/{seed}/box", list(params["box"]) + [params["lam_adjusted"]])
        if seed < 3:
            mixed, soft = by_pairs(apply(cutmix, params))
            golden.add(f"cutmix/{seed}/images", mixed[:, 0])
            golden.add(f"cutmix/{seed}/soft", soft)


def timm_modes(golden):
    """timm's Mixup for each mode; the shares that it drew are written beside what it made of them."""
    for mode in ("batch", "pair", "elem"):
        numpy.random.seed(3)
        mixup = timm.data.mixup.Mixup(
            mixup_alpha=0.8, mode=mode, num_classes=CLASSES, label_smoothing=0.0)
        images, labels = batch()
        state = numpy.random.get_state()
        mixed, soft = mixup(images, labels)
        numpy.random.set_state(state)
        if mode == "batch":
            shares = [mixup._params_per_batch()[0]]
        elif mode == "pair":
            shares = list(mixup._params_per_elem(SHAPE[0] // 2)[0])
            shares += shares[::-1]
        else:
            shares = list(mixup._params_per_elem(SHAPE[0])[0])
        golden.add(f"timm/{mode}/shares", shares)
        golden.add(f"timm/{mode}/images", mixed[:, 0])
        golden.add(f"timm/{mode}/soft", soft)


def main():
    golden = Golden("mixing.txt", "mixing.py")
    torchvision(golden)
    timm_modes(golden)
    golden.save()


if __name__ == "__main__":
    main()
