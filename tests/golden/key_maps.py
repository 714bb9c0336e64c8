"""Writes key_maps.txt: what torchvision and timm call the tensors of some small networks.

Each line is `FAMILY LIBRARY TENSOR SHAPE`, the shape as 64x3x7x7 and a scalar as -.
tests/plugins/backbones/key_maps_test.cpp compares them with our networks under those names.
"""
import pathlib

from convert_round_trip import FAMILIES

FILE = pathlib.Path(__file__).resolve().parent / "key_maps.txt"

if __name__ == "__main__":
    lines = ["# Written by tests/golden/key_maps.py; do not edit.\n"]
    for family in FAMILIES:
        for library, model in zip(("torchvision", "timm"), family()):
            for name, tensor in model.state_dict().items():
                shape = "x".join(str(size) for size in tensor.shape) or "-"
                lines.append(f"{family.__name__} {library} {name} {shape}\n")
    FILE.write_text("".join(lines))
    print(f"{FILE}: {len(lines) - 1} tensors, {FILE.stat().st_size} bytes")
