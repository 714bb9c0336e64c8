"""Writes tests/golden/cifar/*: batches of CIFAR's archives for Python with 3 made-up pictures each, as
Python 2 and Python 3 pickle them, for tests/plugins/datasets/cifar_test.cpp.

Byte j of picture i is (131 i + j) % 251; labels are 3, 0, 9 (CIFAR-10), 50, 99, 0 (fine) and 3, 19, 0
(coarse). Python 2 is not needed: its pickles differ in the opcodes of texts only.
"""
import io
import pathlib
import pickle

import numpy

FOLDER = pathlib.Path(__file__).resolve().parent / "cifar"


class Python2Pickler(pickle._Pickler):
    """Texts and bytes are both `str`, and written as Python 2 writes them."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self, obj):
        data = obj if isinstance(obj, bytes) else obj.encode("latin1")
        if self.proto == 0:
            text = repr(data)[1:].encode("ascii")  # without the b of Python 3
            self.write(pickle.STRING + text + b"\n")
        elif len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(obj)

    dispatch[str] = save_str
    dispatch[bytes] = save_str


def python2(value, protocol):
    out = io.BytesIO()
    Python2Pickler(out, protocol).dump(value)
    # NumPy 2 has another name for the module than NumPy 1, which is all that Python 2 ever had.
    return out.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def python3(value, protocol):
    return pickle.dumps(value, protocol)


def data():
    return ((131 * numpy.arange(3)[:, None] + numpy.arange(3072)) % 251).astype(numpy.uint8)


def cifar10():
    return {"batch_label": "testing batch 1 of 1", "labels": [3, 0, 9], "data": data(),
            "filenames": ["a.png", "b.png", "c.png"]}


def cifar100():
    return {"filenames": ["a.png", "b.png", "c.png"], "batch_label": "training batch 1 of 1",
            "fine_labels": [50, 99, 0], "coarse_labels": [3, 19, 0], "data": data()}


def main():
    FOLDER.mkdir(exist_ok=True)
    for protocol in (0, 2):
        (FOLDER / f"python2_protocol{protocol}").write_bytes(python2(cifar10(), protocol))
    for protocol in (0, 2, 4, 5):
        (FOLDER / f"python3_protocol{protocol}").write_bytes(python3(cifar10(), protocol))
    # Loaded by Python 3 with encoding="bytes", as the data set's own page advises, and saved again.
    with_bytes = {key.encode(): value for key, value in cifar10().items()}
    (FOLDER / "bytes_keys").write_bytes(python3(with_bytes, 4))
    (FOLDER / "cifar100").write_bytes(python2(cifar100(), 2))
    names = [f"name {i}" for i in range(10)]
    (FOLDER / "cifar10_meta").write_bytes(
        python2({"num_cases_per_batch": 10000, "label_names": names, "num_vis": 3072}, 0))
    (FOLDER / "cifar100_meta").write_bytes(python2(
        {"fine_label_names": [f"fine {i}" for i in range(100)],
         "coarse_label_names": [f"coarse {i}" for i in range(20)]}, 2))
    for file in sorted(FOLDER.iterdir()):
        read = pickle.loads(file.read_bytes(), encoding="latin1")
        print(file.name, file.stat().st_size, sorted(map(str, read)))


if __name__ == "__main__":
    main()
