"""Writes key_maps.txt: what torchvision and timm call the tensors of some small networks.

Each line is `FAMILY LIBRARY TENSOR SHAPE`, the shape as 64x3x7x7 and a scalar as -.
tests/plugins/backbones/key_maps_test.cpp compares them with our networks under those names.
"""
import pathlib

import timm
import torchvision
from convert_round_trip import FAMILIES

# Their names are those of ResNet, so convert_round_trip.py has nothing to convert.
MORE = {
    "resnet_deep_stem": {"timm": timm.create_model("resnet18d", num_classes=7)},
    "resnext": {"torchvision": torchvision.models.resnext50_32x4d(num_classes=7),
                "timm": timm.create_model("resnext50_32x4d", num_classes=7)},
}
FILE = pathlib.Path(__file__).resolve().parent / "key_maps.txt"

if __name__ == "__main__":
    families = {family.__name__: dict(zip(("torchvision", "timm"), family())) for family in FAMILIES}
    lines = ["# Written by tests/golden/key_maps.py; do not edit.\n"]
    for family, models in (families | MORE).items():
        for library, model in models.items():
            for name, tensor in model.state_dict().items():
                shape = "x".join(str(size) for size in tensor.shape) or "-"
                lines.append(f"{family} {library} {name} {shape}\n")
    FILE.write_text("".join(lines))
    print(f"{FILE}: {len(lines) - 1} tensors, {FILE.stat().st_size} bytes")
