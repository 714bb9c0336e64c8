"""Modules of TorchScript for the tests of the backbone, the decode head and the head, and what
the first give.

Writes torch_script/*.pt and torch_script.txt. As in backbones.py the weights that are compared come
from golden.values() by name.
"""
import io
import pathlib
import zipfile
from typing import Dict, List, Tuple

import torch
from backbones import run
from golden import Golden
from torch import nn
from torch.nn import functional

FOLDER = pathlib.Path(__file__).resolve().parent / "torch_script"


class Small(nn.Module):
    """Two maps, of strides 2 and 4."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6))
        self.second = nn.Conv2d(6, 10, 3, 2, 1)
        self.register_buffer("scale", torch.full((1,), 0.5))

    def maps(self, x):
        a = functional.relu(self.first(x))
        return a, functional.relu(self.second(a)) * self.scale

    def forward(self, x):
        return self.maps(x)[1]


class InTuple(Small):
    def forward(self, x) -> Tuple[torch.Tensor, torch.Tensor]:
        a, b = self.maps(x)
        return a, b


class InList(Small):
    def forward(self, x) -> List[torch.Tensor]:
        a, b = self.maps(x)
        return [a, b]


class InDict(Small):
    def forward(self, x) -> Dict[str, torch.Tensor]:
        a, b = self.maps(x)
        return {"fine": a, "coarse": b}


class Pooled(Small):
    def forward(self, x):
        return self.maps(x)[1].mean([2, 3])


class Dropping(Small):
    """Whether train() and eval() arrive."""

    def forward(self, x):
        return functional.dropout(self.maps(x)[1], 0.5, self.training)


class Counting(Small):
    """Replaces its buffer, as batch norm of older PyTorch does."""

    def forward(self, x):
        if self.training:
            self.scale = self.scale + 1
        return self.maps(x)[1]


class Number(Small):
    def forward(self, x):
        return x.size(0)


class Mixed(Small):
    def forward(self, x) -> Tuple[torch.Tensor, int]:
        return self.maps(x)[1], x.size(0)


class Flat(Small):
    def forward(self, x):
        return self.maps(x)[1].flatten()


class Fixed(Small):
    """Takes images of 32 x 32 only."""

    def forward(self, x):
        return self.maps(x.view(-1, 3, 32, 32))[1]


class Decode(nn.Module):
    """A decode head of one map, for images."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 5)

    def forward(self, x):
        return self.fc(x.mean([2, 3]))


class DecodePixels(nn.Module):
    """A decode head of two maps, 6 and 10 channels, for pixels."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Conv2d(6, 5, 1)
        self.coarse = nn.Conv2d(10, 5, 1)

    def forward(self, maps: List[torch.Tensor]):
        a, b = self.fine(maps[0]), self.coarse(maps[1])
        return a + functional.interpolate(b, a.shape[2:], mode="nearest")


class Scores(nn.Module):
    """A head of 5 channels and 3 classes that learns."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3, 5))

    def forward(self, x):
        return x.movedim(1, -1).matmul(self.weight.t()).movedim(-1, 1)


class Means(nn.Module):
    """Nearest class means: nothing learns by gradient, update() moves them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("means", torch.zeros(3, 5))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        return -torch.cdist(x, self.means)

    @torch.jit.export
    def update(self, embeddings, labels):
        for label in range(3):
            own = embeddings[labels == label]
            if own.size(0) > 0:
                self.means[label] = own.mean(0)
        self.updates = self.updates + 1


class WrongUpdate(Means):
    @torch.jit.export
    def update(self, embeddings):
        self.updates = self.updates + embeddings.size(0)


def save(module, name, replaced=(b"", b"")):
    """Without the records that say in which folders the source code lay."""
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(FOLDER / name, "w") as archive:
        for record in whole.infolist():
            if not record.filename.endswith(".debug_pkl"):
                data = whole.read(record)
                if record.filename.endswith("data.pkl") and replaced[0]:
                    assert replaced[0] in data
                    data = data.replace(*replaced)
                archive.writestr(zipfile.ZipInfo(record.filename), data)


def main():
    FOLDER.mkdir(exist_ok=True)
    for kind in (Small, InTuple, InList, InDict, Pooled, Dropping, Counting, Number, Mixed, Flat,
                 Fixed, Decode, DecodePixels, Scores, Means, WrongUpdate):
        save(torch.jit.script(kind()), f"{kind.__name__.lower()}.pt")
    save(torch.jit.trace(Small().train(), torch.rand(2, 3, 32, 32)), "traced.pt")
    save(torch.jit.freeze(torch.jit.script(Small().eval())), "frozen.pt")
    torch.save(Small().state_dict(), FOLDER / "state.pth")
    # The shape [10, 6, 3, 3] of a weight, in pickle's code, becomes [200, 6, 3, 3].
    save(torch.jit.script(Small()), "beyond.pt", (b"(K\x0aK\x06K\x03K\x03t", b"(K\xc8K\x06K\x03K\x03t"))

    golden = Golden("torch_script.txt", "torch_script.py")
    shape = (2, 3, 21, 26)
    run(golden, "small", Small(), shape, lambda net, x: [net(x)], lambda name: True)
    run(golden, "two", Small(), shape, lambda net, x: list(net.maps(x)), lambda name: True)
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
