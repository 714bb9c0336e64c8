"""Deep Nearest Centroids, written to be obviously right: loops over classes and samples, float64.

    python3 tests/golden/dnc.py

Writes dnc.txt. Each case is a head, a start, and a few batches; after each batch come the scores,
loss, gradient and assignments, and the state. It follows the paper (arXiv 2209.07383, section 3)
and the options of plugins/heads/dnc/dnc_head.h; nothing here knows how that file does it.
"""
import math

import numpy as np
import torch
from golden import Golden, values

IGNORED = -1
MASS_DECAY = 0.99


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def log_sum_exp(x):
    return x.max() + math.log(np.exp(x - x.max()).sum())


def sinkhorn(similarities, iterations, epsilon):
    """Similarities [n, K] of the samples of one class to the logarithm of the plan [n, K]."""
    n, K = similarities.shape
    log_plan = similarities / epsilon
    for _ in range(iterations):
        for k in range(K):  # each sub-centroid gets n / K
            log_plan[:, k] += math.log(n / K) - log_sum_exp(log_plan[:, k])
        for i in range(n):  # each sample gives 1
            log_plan[i] -= log_sum_exp(log_plan[i])
    return log_plan


class Head:
    def __init__(self, prototypes, momentum=0.9, temperature=0.1, assignment="sinkhorn",
                 iterations=3, epsilon=0.05, memory=0, samples="all", start="noise",
                 revive="none", patience=100, norms=None):
        self.p = prototypes.copy()  # [C, K, D]
        self.C, self.K, self.D = prototypes.shape
        self.momentum, self.temperature, self.assignment = momentum, temperature, assignment
        self.iterations, self.epsilon, self.samples = iterations, epsilon, samples
        self.start, self.revive, self.patience = start, revive, patience
        self.capacity = memory
        self.memory = [[] for _ in range(self.C)]  # oldest first
        self.mass = np.zeros((self.C, self.K))
        self.idle = np.zeros((self.C, self.K), dtype=np.int64)
        self.started = np.zeros(self.C, dtype=np.int64)
        self.norms = norms  # the released head's feat_norm and mask_norm, or None

    # -- forward, in PyTorch for the gradient ---------------------------------------------------
    def points(self, x):
        if self.norms:
            x = torch.nn.functional.layer_norm(x, (self.D,), self.norms["feat_norm.weight"],
                                               self.norms["feat_norm.bias"])
        return torch.nn.functional.normalize(x, dim=-1)

    def scores(self, x):
        """[N, D] to [N, C]."""
        p = torch.from_numpy(self.p)
        cosines = torch.stack([(self.points(x) @ p[c].T).amax(1) for c in range(self.C)], dim=1)
        if self.norms:
            return torch.nn.functional.layer_norm(cosines, (self.C,),
                                                  self.norms["mask_norm.weight"],
                                                  self.norms["mask_norm.bias"])
        return cosines / self.temperature

    # -- one update -----------------------------------------------------------------------------
    def assign(self, points, members):
        """To each of the samples of class self.label its sub-centroid, and the cosines to all."""
        similarities = points[members] @ self.p[self.label].T
        if self.assignment == "nearest":
            return [self.first(row) for row in similarities], similarities
        remembered = [self.p[self.label] @ point for point in self.memory[self.label]]
        log_plan = sinkhorn(np.stack(list(similarities) + remembered), self.iterations,
                            self.epsilon)
        index = []
        for row, cosines in zip(log_plan, similarities):  # those of the batch
            below = row - row.max() - math.log(0.99)
            assert np.abs(below).min() > 1e-4, "close to a tie: choose other values"
            index.append(self.first(np.where(below >= 0, cosines, -np.inf)))
        return index, similarities

    @staticmethod
    def first(row):
        """The largest, well ahead of the others, or rounding could decide a test."""
        best = np.sort(row)
        assert len(row) == 1 or best[-1] - best[-2] > 1e-4, "a tie: choose other values"
        return int(row.argmax())

    def update(self, x, labels, predicted):
        """Returns the assignments [N], -1 for samples that do not count."""
        points = self.points(torch.from_numpy(x)).numpy()
        assigned = np.full(len(labels), -1)
        for c in range(self.C):
            members = [i for i in range(len(labels)) if labels[i] == c and
                       (self.samples == "all" or predicted[i] == c)]
            if not members:
                continue
            self.label = c
            if self.start == "data":
                for i in members:
                    if self.started[c] < self.K:
                        self.p[c, self.started[c]] = points[i]
                        self.started[c] += 1
            index, similarities = self.assign(points, members)
            assigned[members] = index
            for k in range(self.K):
                given = [i for i, a in zip(members, index) if a == k]
                self.mass[c, k] = self.mass[c, k] * MASS_DECAY + len(given)
                self.idle[c, k] = 0 if given else self.idle[c, k] + 1
                if given:
                    mean = sum(points[i] for i in given) / len(given)
                    self.p[c, k] = unit(self.momentum * self.p[c, k] + (1 - self.momentum) * mean)
            longest = self.idle[c].argmax()
            if self.revive == "resample" and self.idle[c, longest] >= self.patience:
                alike = [similarities[j, index[j]] for j in range(len(members))]
                self.p[c, longest] = points[members[int(np.argmin(alike))]]
                self.idle[c, longest] = 0
            room = self.capacity
            for i in members[:room]:
                self.memory[c] = (self.memory[c] + [points[i]])[-self.capacity:]
        return assigned


def ppc_ppd(head, x, labels):
    """The losses of ProtoSeg, unweighted, with temperature 0.1; nothing is updated."""
    x = x.clone().requires_grad_()
    points = head.points(x)
    numpy_points = points.detach().numpy()
    p = torch.from_numpy(head.p)
    ppc, ppd, n = 0, 0, 0
    for c in range(head.C):
        members = [i for i in range(len(labels)) if labels[i] == c]
        if not members:
            continue
        head.label = c
        index, _ = head.assign(numpy_points, members)
        for i, k in zip(members, index):
            cosines = (p.reshape(-1, head.D) @ points[i]) / 0.1
            ppc = ppc + cosines.logsumexp(0) - cosines[c * head.K + int(k)]
            ppd = ppd + (1 - p[c, int(k)] @ points[i]) ** 2
            n += 1
    ppc, ppd = ppc / n, ppd / n
    (ppc_gradient,) = torch.autograd.grad(ppc, x, retain_graph=True)
    (ppd_gradient,) = torch.autograd.grad(ppd, x)
    return ppc.item(), ppc_gradient, ppd.item(), ppd_gradient


def nearest_labels(labels, h, w):
    """[N, H, W] to [N, h, w]: the label that the corner of each new pixel falls into."""
    N, H, W = labels.shape
    return np.array([[[labels[n, i * H // h, j * W // w] for j in range(w)] for i in range(h)]
                     for n in range(N)])


def write(golden, name, classes, K, D, batches, spread=0.0, losses=False, norms=False, **options):
    """`batches`: lists of labels, [N] or [N, H, W] with the size of the embeddings in `options`."""
    size = options.pop("size", None)
    start = unit(values(f"{name}/p", (classes, K, D)).astype(np.float64))
    golden.add(f"{name}/prototypes", start)
    start = np.array([float("%.9g" % v) for v in start.reshape(-1)]).reshape(start.shape)
    weights = None
    if norms:
        weights = {}
        for key, length in (("feat_norm", D), ("mask_norm", classes)):
            for part in ("weight", "bias"):
                value = torch.from_numpy(values(f"{name}/{key}.{part}", (length,))).double()
                weights[f"{key}.{part}"] = value
                golden.add(f"{name}/{key}.{part}", value)
    head = Head(start, norms=weights, **options)
    for t, labels in enumerate(batches):
        at = f"{name}/{t}"
        labels = np.asarray(labels)
        golden.add(f"{at}/labels", labels)
        shape = (len(labels), D) + (size or ())
        x = values(f"{at}/x", shape).astype(np.float64)
        if size:
            labels = nearest_labels(labels, *size)
            rows = np.moveaxis(x, 1, -1).reshape(-1, D)
        else:
            rows = x
        labels = labels.reshape(-1)
        # Some likeness to the own class, or hardly a sample would be classified correctly.
        rows = rows + spread * head.p[np.maximum(labels, 0), 0] * np.sqrt(D)
        rows = rows.astype(np.float32).astype(np.float64)
        x = np.moveaxis(rows.reshape(len(x), *size, D), -1, 1) if size else rows
        golden.add(f"{at}/x", x)

        rows_tensor = torch.from_numpy(rows).requires_grad_()
        scores = head.scores(rows_tensor)
        golden.add(f"{at}/scores", scores)
        if (labels != IGNORED).any():
            loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels),
                                                     ignore_index=IGNORED)
            loss.backward()
            golden.add(f"{at}/loss", loss)
            golden.add(f"{at}/gradient", rows_tensor.grad)
        if losses:
            ppc, ppc_gradient, ppd, ppd_gradient = ppc_ppd(head, torch.from_numpy(rows), labels)
            golden.add(f"{at}/ppc", ppc)
            golden.add(f"{at}/ppc_gradient", ppc_gradient)
            golden.add(f"{at}/ppd", ppd)
            golden.add(f"{at}/ppd_gradient", ppd_gradient)
        assigned = head.update(rows, labels, scores.detach().numpy().argmax(1))
        golden.add(f"{at}/assigned", assigned)
        golden.add(f"{at}/prototypes", head.p)
        golden.add(f"{at}/mass", head.mass)
        golden.add(f"{at}/idle", head.idle)
    return head


def cycle(n, *classes):
    return [classes[i % len(classes)] for i in range(n)]


class ReleasedHead(torch.nn.Module):
    """The forward pass of SubCentroids_Head_Formal, with the names in its checkpoints."""

    def __init__(self, classes, K, D):
        super().__init__()
        self.prototypes = torch.nn.Parameter(torch.zeros(classes, K, D))
        self.feat_norm = torch.nn.LayerNorm(D)
        self.mask_norm = torch.nn.LayerNorm(classes)

    def forward(self, x):
        x = torch.nn.functional.normalize(self.feat_norm(x), p=2, dim=-1)
        similarity = torch.einsum("nd,ckd->nkc", x, self.prototypes)
        return self.mask_norm(similarity.amax(dim=1))


def write_released(golden, name, classes, K, D, N):
    """Random weights, and what the released head makes of them."""
    head = ReleasedHead(classes, K, D)
    state = {key: torch.from_numpy(values(f"{name}/{key}", value.shape))
             for key, value in head.state_dict().items()}
    state["prototypes"] = torch.nn.functional.normalize(state["prototypes"], dim=-1)
    head.load_state_dict(state, strict=True)
    for key, value in state.items():
        golden.add(f"{name}/state/{key}", value)
    x = torch.from_numpy(values(f"{name}/x", (N, D)))
    scores = head(x)
    golden.add(f"{name}/x", x)
    golden.add(f"{name}/scores", scores)
    golden.add(f"{name}/shares", scores.softmax(1))


def main():
    golden = Golden("dnc.txt", "dnc.py")
    write(golden, "plain", 5, 3, 8, [cycle(40, 0, 1, 2, 3, 4)] * 3)
    # More classes than samples, most of them absent; and fewer.
    write(golden, "absent_many", 30, 4, 6, [cycle(24, 3, 17, 21), cycle(24, 21, 5, 29, 0)])
    write(golden, "absent_few", 8, 4, 6, [cycle(48, 3, 6), cycle(48, 6, 0)])
    write(golden, "one_sample", 12, 3, 6, [[4, 4, 4, 4, 4, 4, 9, 11, 11], [9], [4, 4, 9, 9, 9]])
    write(golden, "one_class", 1, 3, 6, [cycle(20, 0)] * 2)
    write(golden, "ignored", 5, 2, 6, [cycle(24, 0, IGNORED, 3, 3), [IGNORED] * 6,
                                       cycle(9, IGNORED, 1, 0)])
    write(golden, "memory", 6, 3, 6,
          [cycle(10, 0, 1, 2), cycle(8, 2, 3), cycle(12, 0), cycle(7, 0, 2, 5), cycle(9, 5, 2, 3),
           cycle(4, 1, IGNORED)], memory=7)
    write(golden, "memory_many", 20, 2, 6,
          [cycle(9, 18, 1, 2), cycle(8, 2, 3), cycle(9, 18, 19), cycle(6, 2, IGNORED, 3)], memory=5)
    write(golden, "one_sub_centroid", 6, 1, 6, [cycle(20, 0, 1, 4), cycle(20, 2, 4)])
    write(golden, "nearest", 5, 3, 6, [cycle(30, 0, 1, 2, 3)] * 3, assignment="nearest")
    write(golden, "correct", 5, 3, 8, [cycle(40, 0, 1, 2, 3, 4)] * 2, samples="correct", spread=0.5)
    write(golden, "sharp", 4, 3, 8, [cycle(40, 0, 1, 2)] * 2, epsilon=0.002, iterations=5)
    write(golden, "one_iteration", 4, 3, 8, [cycle(40, 0, 1, 2)], iterations=1)
    write(golden, "start", 6, 3, 6, [[0, 0, 1, 5], cycle(12, 0, 1, 2), cycle(12, 5, 2)],
          start="data")
    write(golden, "start_many", 20, 3, 6, [[10, 10, 1, 19], cycle(12, 10, 1, 2), [IGNORED, 19, 19]],
          start="data")
    write(golden, "revive", 4, 4, 6, [cycle(9, 0, 1), cycle(9, 1, 2, 0)] * 4, assignment="nearest",
          revive="resample", patience=2)
    write(golden, "revive_many", 20, 4, 6, [cycle(9, 0, 19), cycle(9, 19, 2, 0)] * 3,
          assignment="nearest", revive="resample", patience=2)
    write(golden, "released", 7, 4, 16, [cycle(28, 0, 1, 2, 3, 4, 5, 6)] * 2, norms=True)
    labels = (np.arange(2 * 6 * 8) * 7 % 11 // 3).reshape(2, 6, 8)  # 0 to 3
    labels[:, :2] = IGNORED
    write(golden, "pixels", 5, 3, 8, [labels, labels[:, ::-1].copy()], size=(3, 4))
    write(golden, "losses", 6, 3, 8, [cycle(30, 0, 1, IGNORED, 4)] * 2, losses=True)
    write_released(golden, "released_checkpoint", 12, 4, 32, 6)
    golden.save()


if __name__ == "__main__":
    main()
