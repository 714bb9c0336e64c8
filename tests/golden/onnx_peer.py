"""Compares each NAME.onnx of a folder, computed by onnxruntime, with NAME.pt, by PyTorch.

    python3 tests/golden/onnx_peer.py FOLDER

Both were exported from one model. The values differ by 1e-4 of the largest at most.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch


def compare(path):
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.opset_import[0].version == 17
    about = json.loads({each.key: each.value for each in proto.metadata_props}["dnc.json"])
    script = torch.jit.load(path.with_suffix(".pt"))
    assert about["classes"] == script.class_names
    assert about["any_size"] == script.any_size, path
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    height, width = about["size"]
    sizes = [(2, height, width)] + ([(3, height + 9, width + 22)] if about["any_size"] else [])
    for size in sizes:
        images = torch.randint(0, 256, (size[0], 3, *size[1:]), dtype=torch.uint8)
        scores, classes, probabilities, embeddings = session.run(None, {"images": images.numpy()})
        with torch.inference_mode():
            expected = [script(images), script.predict(images)[1], script.embed(images)]
        for found, wanted in zip((scores, probabilities, embeddings), expected):
            wanted = wanted.numpy()
            assert found.shape == wanted.shape, (path, found.shape, wanted.shape)
            difference = np.abs(found - wanted).max()
            assert difference <= 1e-4 * np.abs(wanted).max(), (path.name, size, difference)
        assert (classes == scores.argmax(1)).all()


def main(folder):
    paths = sorted(pathlib.Path(folder).glob("*.onnx"))
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for path in paths:
        compare(path)
    print(len(paths), "models agree")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
