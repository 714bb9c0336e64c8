"""Losses for pixels and changes of colour, in plain PyTorch and NumPy -> segmentation.txt.

The formulas are those of the papers with the conventions of mmsegmentation 1.x (0.x for per-image
Lovász): written out here, class by class and pixel by pixel where that is the plainest.
"""
import numpy
import torch
import torch.nn.functional as F

from golden import Golden, values
from images import picture

IGNORED = -1
CLASSES = 4
WEIGHTS = [0.5, 1.0, 2.0, 3.0]
SHAPE = (2, CLASSES, 5, 6)


def labels_of(name, ignored):
    """Labels 0 to 3; where `values` is low they are ignored."""
    numbers = values(name, (2, 5, 6))
    labels = numpy.floor((numbers + 1) * 2).astype(numpy.int64)
    labels[values(name + "/ignored", (2, 5, 6)) < ignored] = IGNORED
    return torch.from_numpy(labels)


def ohem(scores, labels, thresh, min_kept, weights, average):
    losses = F.cross_entropy(scores, labels, weights, reduction="none", ignore_index=IGNORED)
    valid = labels != IGNORED
    kept = torch.zeros_like(losses)
    count = min_kept * len(scores)
    if thresh is None:
        order = losses[valid].argsort(descending=True)
        chosen = torch.zeros(int(valid.sum()))
        chosen[order[:count]] = 1
        kept[valid] = chosen
    else:
        probabilities = scores.detach().softmax(1)
        own = probabilities.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)[valid]
        ordered = own.sort().values
        threshold = max(float(ordered[min(count, len(ordered) - 1)]), thresh)
        kept[valid] = (own < threshold).float()
    total = (losses * kept).sum()
    return total / (kept.sum() if average == "kept" else kept.numel())


def one_hot(labels):
    return F.one_hot(labels.clamp(min=0), CLASSES).movedim(-1, 1) * (labels != IGNORED).unsqueeze(1)


def dice(scores, labels, use_sigmoid, naive):
    eps = 1e-3
    p = scores.sigmoid() if use_sigmoid else scores.softmax(1)
    p = (p * (labels != IGNORED).unsqueeze(1)).flatten(1)
    t = one_hot(labels).flatten(1).float()
    both = (p * t).sum(1)
    if naive:
        value = (2 * both + eps) / (p.sum(1) + t.sum(1) + eps)
    else:
        value = 2 * both / ((p * p).sum(1) + eps + (t * t).sum(1) + eps)
    return (1 - value).mean()


def jaccard(wrong, truth):
    """1 - IoU of a class, where the pixels in `wrong` are taken for the other side."""
    predicted = truth ^ wrong
    return 1 - (truth & predicted).sum().float() / (truth | predicted).sum().clamp(min=1).float()


def lovasz_flat(probabilities, labels, classes, weights):
    """The definition: the loss grows from set to set as the pixels become wrong one by one."""
    terms = []
    for c in range(CLASSES):
        truth = labels == c
        if classes == "present" and not truth.any():
            continue
        errors = (truth.float() - probabilities[:, c]).abs()
        wrong = torch.zeros_like(truth)
        before = torch.tensor(0.0)
        term = 0
        for i in errors.detach().argsort(descending=True):
            wrong[i] = True
            after = jaccard(wrong, truth)
            term = term + errors[i] * (after - before)
            before = after
        terms.append(term * (weights[c] if weights else 1))
    return torch.stack(terms).mean()


def lovasz(scores, labels, classes, per_image, weights):
    probabilities = scores.softmax(1).movedim(1, -1)
    groups = range(len(scores)) if per_image else [slice(None)]
    losses = []
    for group in groups:
        valid = labels[group] != IGNORED
        losses.append(
            lovasz_flat(probabilities[group][valid], labels[group][valid], classes, weights)
        )
    return torch.stack(losses).mean()


def focal(scores, labels, gamma, alpha, weights):
    t = one_hot(labels).float()
    p = scores.sigmoid()
    alpha = torch.tensor(alpha).view(1, -1, 1, 1)
    positive = alpha * (1 - p) ** gamma * -F.logsigmoid(scores)
    negative = (1 - alpha) * p**gamma * -F.logsigmoid(-scores)
    losses = t * positive + (1 - t) * negative
    losses = losses * torch.tensor(weights or [1.0]).view(1, -1, 1, 1)
    valid = (labels != IGNORED).unsqueeze(1).expand_as(losses)
    return losses[valid].mean()


def add_losses(golden):
    cases = {}
    for thresh, min_kept in [(0.2, 1), (0.2, 8), (0.7, 1), (0.1, 1000), (None, 8), (None, 1000)]:
        for average in ("kept", "all"):
            for weights in (None, torch.tensor(WEIGHTS)):
                kind = "plain" if weights is None else "weights"
                name = f"ohem/{thresh}/{min_kept}/{average}/{kind}"
                cases[name] = lambda s, l, a=(thresh, min_kept, weights, average): ohem(s, l, *a)
    for use_sigmoid in (True, False):
        for naive in (True, False):
            activation = "sigmoid" if use_sigmoid else "softmax"
            name = f"dice/{activation}/{'naive' if naive else 'square'}"
            cases[name] = lambda s, l, a=(use_sigmoid, naive): dice(s, l, *a)
    for classes in ("present", "all"):
        for per_image in (False, True):
            for weights in (None, WEIGHTS):
                whole = "image" if per_image else "batch"
                name = f"lovasz/{classes}/{whole}/{'weights' if weights else 'plain'}"
                cases[name] = lambda s, l, a=(classes, per_image, weights): lovasz(s, l, *a)
    for gamma in (0.0, 2.0):
        for alpha in ([0.5], [0.25], [0.1, 0.2, 0.3, 0.4]):
            for weights in (None, WEIGHTS):
                kind = "weights" if weights else "plain"
                name = f"focal/{gamma:g}/{len(alpha)}x{alpha[0]}/{kind}"
                cases[name] = lambda s, l, a=(gamma, alpha, weights): focal(s, l, *a)
    for labels_name, ignored in (("full", -2), ("holes", -0.4)):
        labels = labels_of(labels_name, ignored)
        if labels_name == "holes":
            labels[labels == 2] = 1  # a class that is absent
        golden.add(f"labels/{labels_name}", labels)
        for name, loss in cases.items():
            scores = torch.from_numpy(values("scores", SHAPE) * 4).requires_grad_()
            value = loss(scores, labels)
            value.backward()
            golden.add(f"{labels_name}/{name}", value)
            golden.add(f"{labels_name}/{name}/gradient", scores.grad)


def scale_and_shift(image, factor, addend):
    """`convert` of mmsegmentation's PhotoMetricDistortion."""
    changed = image.astype(numpy.float32) * factor + addend
    return numpy.clip(changed, 0, 255).astype(numpy.uint8)


def scale_saturation(image, factor):
    """Through hue, saturation and value in float64; nothing is rounded, the result neither."""
    rgb = image.astype(numpy.float64)
    value = rgb.max(-1, keepdims=True)
    lowest = rgb.min(-1, keepdims=True)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        saturation = numpy.where(value > 0, (value - lowest) / value, 0)
        # Where a channel lies between the lowest (1) and the value (0): what the hue says.
        place = numpy.where(value > lowest, (value - rgb) / (value - lowest), 0)
    saturation = numpy.minimum(saturation * factor, 1)
    return value * (1 - saturation * place)


def add_colors(golden):
    image = picture("distort", 24, 31, 3)
    image[:8] //= 16
    for factor, addend in [(1, 17.3), (1, -31.9), (0.5, 0), (1.5, 0), (0.77, 0)]:
        golden.add(f"shift/{factor:g}/{addend:g}", scale_and_shift(image, factor, addend))
    for factor in (0, 0.5, 1, 1.37, 5):
        golden.add(f"saturation/{factor:g}", scale_saturation(image, factor))


def main():
    golden = Golden("segmentation.txt", "segmentation.py", digits=8)
    add_losses(golden)
    add_colors(golden)
    golden.save()


if __name__ == "__main__":
    main()
