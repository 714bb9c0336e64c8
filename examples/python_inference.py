"""Classifies pictures with a model that `dnc-host export` wrote.

    python3 examples/python_inference.py MODEL.pt PICTURE...

Needs torch, numpy and pillow, and nothing of dnc-host.
"""
import json
import sys

import numpy as np
import torch
from PIL import Image


def main(path, pictures):
    files = {"dnc.json": ""}
    model = torch.jit.load(path, _extra_files=files)
    about = json.loads(files["dnc.json"])
    for picture in pictures:
        image = Image.open(picture).convert("RGB")
        if not about["any_size"]:
            height, width = about["size"]
            image = image.resize((width, height))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).unsqueeze(0)
        with torch.inference_mode():
            classes, probabilities = model.predict(pixels)
        if about["task"] == "images":
            print(picture, model.class_names[classes.item()], f"{probabilities.item():.6f}")
        else:
            shares = torch.bincount(classes.flatten(), minlength=len(model.class_names))
            best = shares.argmax().item()
            print(picture, model.class_names[best], f"{shares[best].item() / classes.numel():.6f}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
