"""Makes a program of torch.export from a model that `dnc-host export` wrote.

    python3 examples/python_pt2.py MODEL.pt WEIGHTS.pth PROGRAM.pt2

MODEL.pt is of --format torchscript. WEIGHTS.pth, of --format pt2-weights, may be of another
checkpoint of the same network; the program gets them. Needs torch, and nothing of dnc-host.
"""
import json
import sys

import torch
from torch._export.converter import TS2EPConverter


def main(model_path, weights_path, program_path):
    files = {"dnc.json": ""}
    model = torch.jit.load(model_path, _extra_files=files).eval()
    height, width = json.loads(files["dnc.json"])["size"]
    images = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    program = TS2EPConverter(model, (images,)).convert()

    weights = torch.load(weights_path, weights_only=True, mmap=True)
    model.load_state_dict(weights)
    missing = program.state_dict.keys() - weights.keys()
    assert not missing, missing
    for name, tensor in program.state_dict.items():
        tensor.data.copy_(weights[name])
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(images), model(images))
    torch.export.save(program, program_path)
    print(f"{program_path}: {len(program.state_dict)} tensors; equal to the model")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
