"""Deep Nearest Centroids in Python, with the operators of dnc-host.

    python3 examples/python_ops.py /path/to/lib/libdnc_ops.so

Needs torch of the version that dnc-host was built with, and nothing else of dnc-host. It trains a
small network on points of three rings and prints how well the nearest sub-centroids decide.
"""
import sys

import torch
from torch import nn


class NearestCentroids(nn.Module):
    """Embeddings [N, D] to scores [N, classes]; `update` moves the sub-centroids."""

    def __init__(self, channels, classes, sub_centroids=4, momentum=0.99, temperature=0.1):
        super().__init__()
        self.momentum, self.temperature = momentum, temperature
        start = torch.randn(classes, sub_centroids, channels)
        self.register_buffer("prototypes", nn.functional.normalize(start, dim=-1))

    def forward(self, x):
        return torch.ops.dnc.nearest_scores(x, self.prototypes, 1 / self.temperature)

    @torch.no_grad()
    def update(self, x, labels):
        classes, count, _ = self.prototypes.shape
        points = nn.functional.normalize(x, dim=1)
        similarities = torch.einsum("nd,nkd->nk", points, self.prototypes[labels])
        _, index = torch.ops.dnc.sinkhorn(similarities, labels, classes)
        torch.ops.dnc.momentum_update_(
            self.prototypes.flatten(0, 1), points, labels * count + index, self.momentum)


def rings(count):
    labels = torch.randint(0, 3, (count,))
    angle = torch.rand(count) * 2 * torch.pi
    radius = 1 + labels + 0.2 * torch.rand(count)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), labels


def main(library):
    torch.ops.load_library(library)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                            nn.Linear(64, 16))
    head = NearestCentroids(16, 3, momentum=0.9)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(600):
        points, labels = rings(256)
        x = network(points)
        loss = nn.functional.cross_entropy(head(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        head.update(x.detach(), labels)
    points, labels = rings(2000)
    predictions = head(network(points)).argmax(1)
    confusion = torch.ops.dnc.count_confusion(predictions, labels, 3)
    accuracy = confusion.diag().sum() / confusion.sum()
    print(f"accuracy of nearest centroids: {accuracy:.2f}")
    print(confusion.tolist())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
