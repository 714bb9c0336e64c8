"""Writes tests/golden/weights/*.pth and *.pt with PyTorch, for tests/host/weights/pth_test.cpp.

Files of torch.save in both formats and several pickle protocols, wrapped and decorated as training
programs do it, whole modules, and TorchScript archives. The tensor NAME has the values
golden.values(NAME, shape), so the test knows them.
"""
import collections
import datetime
import pathlib
import sys

import numpy
import torch
from golden import values
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent / "weights"

TYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
         "bool", "complex64"]


class Settings:
    """A class that no reader of weights has ever heard of."""

    def __init__(self):
        self.path = pathlib.Path("somewhere")
        self.time = datetime.datetime(2023, 2, 3)
        self.array = numpy.arange(3.0)
        self.itself = self


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.block = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, 2)
        state = self.state_dict()
        for name, tensor in state.items():
            if tensor.is_floating_point():
                tensor.copy_(torch.from_numpy(values(name, tensor.shape)))

    def forward(self, images):
        return self.fc(self.block(self.conv(images)).mean((2, 3)))


def without_folders(find):
    """The legacy format keeps the source of modules and where it lay: of that only the file's name."""
    def found(*arguments):
        lines, first, file = find(*arguments)
        return lines, first, pathlib.Path(file).name
    return found


def all_types():
    tensors = {name: torch.arange(6).remainder(2 if name == "bool" else 6).reshape(2, 3)
               .to(getattr(torch, name)) for name in TYPES}
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors["scalar"] = torch.tensor(0.1, dtype=torch.float64)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["transposed"] = base.permute(2, 0, 1)
    tensors["slice"] = base[1, :, 1:3]
    tensors["base"] = base
    tensors["parameter"] = nn.Parameter(torch.tensor([1.0, 2.0]))
    tensors["näme \n\\"] = torch.tensor([7], dtype=torch.uint8)
    return tensors


def mm_checkpoint():
    state = collections.OrderedDict(("module." + name, value)
                                    for name, value in Net().state_dict().items())
    return {"meta": {"epoch": 12, "CLASSES": ("cat", "dog"), "settings": Settings(),
                     "lr": numpy.float64(0.1), "big": 10**30, "set": {1, 2}, "bytes": b"\x00\xff"},
            "state_dict": state,
            "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []}}


if __name__ == "__main__":
    sys.modules["lost_module"] = sys.modules["__main__"]
    for kind in (Settings, Net):  # the reader cannot have these classes
        kind.__module__ = "lost_module"
    torch.serialization.get_source_lines_and_file = without_folders(
        torch.serialization.get_source_lines_and_file)
    FOLDER.mkdir(exist_ok=True)
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save(all_types(), FOLDER / "all_types.pth")
    torch.save(all_types(), FOLDER / "all_types_protocol4.pth", pickle_protocol=4)
    torch.save(all_types(), FOLDER / "all_types_legacy.pth", **legacy)
    torch.save(mm_checkpoint(), FOLDER / "mm.pth")
    torch.save(mm_checkpoint(), FOLDER / "mm_legacy.pth", **legacy)
    torch.save({"epoch": 3, "model": Net()}, FOLDER / "module.pth")
    torch.save({"epoch": 3, "model": Net()}, FOLDER / "module_legacy.pth", **legacy)
    torch.save({"epoch": 3, "loss": [0.5]}, FOLDER / "no_weights.pth")
    torch.save({"wide": torch.ones(1).expand(1000)}, FOLDER / "expanded.pth")
    torch.jit.script(Net().eval()).save(str(FOLDER / "scripted.pt"))
    torch.jit.trace(Net().eval(), torch.zeros(1, 3, 8, 8)).save(str(FOLDER / "traced.pt"))
    for file in sorted(FOLDER.iterdir()):
        print(f"{file}: {file.stat().st_size} bytes")
