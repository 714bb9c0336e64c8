"""Writes the fixtures that golden.h reads: text, one tensor a line, `name [2,3]: 0.5 1 -2 ...`.

    golden = Golden("backbones.txt", "backbones.py")
    golden.add("resnet18/out", tensor)
    golden.save()
"""
import pathlib

import numpy

FOLDER = pathlib.Path(__file__).resolve().parent
LIMIT = 1_000_000  # bytes of one file


def values(name, shape):
    """Values in [-1, 1) that depend only on the name and the position, float32 and each exact.

    golden_values() of golden.h gives the same ones, so weights and inputs need not be written.
    """
    seed = 2166136261  # FNV-1a
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    count = int(numpy.prod(shape, dtype=numpy.int64))
    index = numpy.arange(count, dtype=numpy.uint32)
    h = numpy.uint32(seed) + index * numpy.uint32(0x9E3779B9)  # then the finalizer of MurmurHash3
    h = (h ^ (h >> numpy.uint32(16))) * numpy.uint32(0x85EBCA6B)
    h = (h ^ (h >> numpy.uint32(13))) * numpy.uint32(0xC2B2AE35)
    h = h ^ (h >> numpy.uint32(16))
    unit = (h >> numpy.uint32(8)).astype(numpy.float32) * numpy.float32(2.0**-23)
    return (unit - numpy.float32(1)).reshape(tuple(shape))


class Golden:
    """Named tensors, kept in the order in which they are added."""

    def __init__(self, file, script, digits=9):
        self.path = FOLDER / file
        self.digits = digits
        self.lines = {}
        self.header = f"# Written by tests/golden/{script}; do not edit.\n"

    def add(self, name, tensor):
        """`tensor` is a PyTorch tensor, a NumPy array, a number or a list of numbers."""
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu().numpy()
        array = numpy.asarray(tensor, dtype=numpy.float64)
        if " " in name or name.startswith("#") or name in self.lines:
            raise ValueError(f"bad or repeated name: {name!r}")
        shape = ",".join(str(size) for size in array.shape)
        text = " ".join(f"%.{self.digits}g" % value for value in array.reshape(-1))
        self.lines[name] = f"{name} [{shape}]: {text}".rstrip() + "\n"

    def save(self):
        text = self.header + "".join(self.lines.values())
        if len(text) > LIMIT:
            raise ValueError(f"{self.path}: {len(text)} bytes, the limit is {LIMIT}")
        self.path.write_text(text)
        print(f"{self.path}: {len(self.lines)} tensors, {len(text)} bytes")
