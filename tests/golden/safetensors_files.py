"""Writes all_types.safetensors with the Python package, for tests/host/weights/safetensors_test.cpp.

It holds one tensor of each type, [2, 3] with the values 0 to 5 (0 and 1 for BOOL), and the corner
cases of shape: rank 0, no elements, rank 6, and names that JSON has to escape.
"""
import pathlib

import torch
from safetensors.torch import save_file

FILE = pathlib.Path(__file__).resolve().parent / "all_types.safetensors"

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

if __name__ == "__main__":
    tensors = {name: torch.arange(6).remainder(2 if name == "BOOL" else 6).reshape(2, 3).to(dtype)
               for name, dtype in TYPES.items()}
    tensors["scalar"] = torch.tensor(0.1, dtype=torch.float64)
    tensors["special"] = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    tensors["empty"] = torch.zeros(0, 3)
    tensors["rank6"] = torch.arange(2.0).reshape(1, 1, 2, 1, 1, 1)
    tensors['näme "quoted"\n\\'] = torch.tensor([7], dtype=torch.uint8)
    save_file(tensors, FILE, metadata={"format": "pt", "note": "zwölf \"Boxkämpfer\"\n"})
    print(f"{FILE}: {len(tensors)} tensors, {FILE.stat().st_size} bytes")
