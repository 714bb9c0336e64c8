"""Writes key_maps.txt: what torchvision, timm and others call the tensors of some networks.

Each line is `FAMILY LIBRARY TENSOR SHAPE`, the shape as 64x3x7x7 and a scalar as -.
tests/plugins/backbones/key_maps_test.cpp compares them with our networks under those names.
"""
import pathlib

import timm
import torchvision
from convert_round_trip import FAMILIES
from foreign_models import MmResNet

MORE = {
    "resnet_deep_stem": {"timm": timm.create_model("resnet18d", num_classes=7)},
    "resnet_average_down": {
        "timm": timm.create_model("resnet50d", num_classes=7),
        "mmcls": MmResNet(7, "mmcls", [3, 4, 6, 3], 64, average_down=True),
        "mmseg": MmResNet(7, "mmseg", [3, 4, 6, 3], 64, average_down=True, strides=[1, 2, 1, 1]),
    },
    "resnext": {"torchvision": torchvision.models.resnext50_32x4d(num_classes=7),
                "timm": timm.create_model("resnext50_32x4d", num_classes=7)},
}
FILE = pathlib.Path(__file__).resolve().parent / "key_maps.txt"

if __name__ == "__main__":
    families = {family.__name__: family() for family in FAMILIES}
    lines = ["# Written by tests/golden/key_maps.py; do not edit.\n"]
    for family, models in (families | MORE).items():
        for library, model in models.items():
            for name, tensor in model.state_dict().items():
                shape = "x".join(str(size) for size in tensor.shape) or "-"
                lines.append(f"{family} {library} {name} {shape}\n")
    FILE.write_text("".join(lines))
    print(f"{FILE}: {len(lines) - 1} tensors, {FILE.stat().st_size} bytes")
