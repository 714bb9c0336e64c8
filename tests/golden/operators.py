"""Checks the operators of libdnc_ops.so in Python.

    python3 tests/golden/operators.py LIBRARY

opcheck of each, gradcheck of those with gradients, and torch.compile(fullgraph=True) against the
plain call. tests/ops/operators_test.cpp has the values.
"""
import sys

import torch
from torch import nn


def samples():
    """An operator and its arguments, twice where it may go two ways."""
    x = torch.randn(3, 5, 4, 8, requires_grad=True)
    prototypes = nn.functional.normalize(torch.randn(6, 3, 8), dim=-1)
    similarities = torch.rand(30, 4) * 2 - 1
    labels = torch.randint(-1, 3, (30,))
    values = torch.randn(30, 5, requires_grad=True)
    table = nn.functional.normalize(torch.randn(7, 5), dim=-1)
    images = torch.randint(0, 256, (2, 3, 6, 9), dtype=torch.uint8)
    maps = torch.randint(0, 4, (2, 5, 6)), torch.randint(-1, 4, (2, 5, 6))
    _, index, scale = torch.ops.dnc.nearest(x.detach(), prototypes, 2.0)
    ops = torch.ops.dnc
    yield ops.nearest_scores, (x, prototypes, 2.0), {}
    yield ops.nearest, (x, prototypes), {}
    yield ops.nearest_backward, (torch.randn(3, 5, 4, 6), x.detach(), prototypes, index, scale, 2.0), {}
    yield ops.sinkhorn, (similarities, labels, 3), {}
    yield ops.sinkhorn, (similarities, labels, 200, 5, 0.1), {}
    yield ops.segment_mean, (values, labels, 3), {}
    yield ops.segment_mean, (values, labels, 200), {}
    yield ops.momentum_update_, (table, values.detach(), labels, 0.9), {}
    yield ops.count_confusion, (*maps, 4), {}
    yield ops.normalize_images, (images, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), {}
    yield (ops.normalize_images, (images, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
           {"dtype": torch.bfloat16})
    yield (ops.normalize_images, (images, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
           {"corners": torch.tensor([[-1, 2], [3, 0]]), "size": [5, 4],
            "flips": torch.tensor([True, False])})
    for training in (True, False):
        x, residual, *of_channels = norm_arguments(torch.float32)
        yield ops.batch_norm_relu, (x, residual, *of_channels, training), {}
        yield ops.batch_norm_relu_forward, (x, None, *of_channels, training, 0.2, 1e-3), {}
        y, mean, rstd = ops.batch_norm_relu_forward(
            x.detach(), residual.detach(), *(each.detach() for each in of_channels), training)
        yield (ops.batch_norm_relu_backward,
               (torch.randn_like(y), x.detach(), y, of_channels[0].detach(), mean, rstd, training,
                training), {})


def norm_arguments(dtype):
    """x, residual, weight, bias, running_mean and running_var of batch_norm_relu."""
    def images():
        x = torch.randn(3, 5, 4, 6, dtype=dtype)
        return x.contiguous(memory_format=torch.channels_last).requires_grad_()

    weight, bias = torch.rand(2, 5, dtype=dtype) + 0.5
    return (images(), images(), weight.clone().requires_grad_(), bias.clone().requires_grad_(),
            torch.zeros(5, dtype=dtype), torch.ones(5, dtype=dtype))


def check_gradients():
    prototypes = nn.functional.normalize(torch.randn(4, 3, 6, dtype=torch.float64), dim=-1)
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: torch.ops.dnc.nearest_scores(x, prototypes, 3.0), (x,))
    labels = torch.tensor([0, 2, 2, -1, 0])
    values = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values: torch.ops.dnc.segment_mean(values, labels, 4)[0], (values,))
    *leaves, mean, variance = norm_arguments(torch.float64)
    for training in (True, False):
        assert torch.autograd.gradcheck(
            lambda x, residual, weight, bias: torch.ops.dnc.batch_norm_relu(
                x, residual, weight, bias, mean.clone(), variance.clone(), training), leaves)


def check_compile(backend):
    """Several operators in one graph, forwards and backwards, at two sizes."""

    def loss(images, weight, prototypes, labels):
        pixels = torch.ops.dnc.normalize_images(images, [120.0] * 3, [60.0] * 3)
        x = nn.functional.conv2d(pixels, weight).mean([2, 3])
        scores = torch.ops.dnc.nearest_scores(x, prototypes, 10.0)
        confusion = torch.ops.dnc.count_confusion(scores.argmax(1), labels, 4)
        return nn.functional.cross_entropy(scores, labels), confusion

    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend=backend)
    prototypes = nn.functional.normalize(torch.randn(4, 2, 7), dim=-1)
    for count in (4, 9):
        images = torch.randint(0, 256, (count, 3, 6, 8), dtype=torch.uint8)
        labels = torch.randint(0, 4, (count,))
        weight = torch.randn(7, 3, 3, 3)
        results = []
        for function in (loss, compiled):
            own = weight.clone().requires_grad_()
            value, confusion = function(images, own, prototypes, labels)
            value.backward()
            results.append((value.detach(), confusion, own.grad))
        for plain, fast in zip(*results):
            torch.testing.assert_close(fast, plain)


def check_mutation(backend):
    table = nn.functional.normalize(torch.randn(7, 5), dim=-1)
    points = nn.functional.normalize(torch.randn(30, 5), dim=-1)
    rows = torch.randint(-1, 7, (30,))

    def update(table, points, rows):
        torch.ops.dnc.momentum_update_(table, points, rows, 0.9)
        return table * 2

    plain, fast = table.clone(), table.clone()
    expected = update(plain, points, rows)
    found = torch.compile(update, fullgraph=True, backend=backend)(fast, points, rows)
    torch.testing.assert_close(fast, plain)
    torch.testing.assert_close(found, expected)


def check_norm(backend):
    """The network's end of a block: forwards, backwards, and the running statistics."""
    leaves = norm_arguments(torch.float32)

    def loss(x, residual, weight, bias, mean, variance):
        return torch.ops.dnc.batch_norm_relu(x, residual, weight, bias, mean, variance,
                                             True).square().mean()

    results = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend=backend)):
        own = [each.detach().clone().requires_grad_(each.requires_grad) for each in leaves]
        value = function(*own)
        value.backward()
        results.append((value.detach(), *own[4:], *(each.grad for each in own[:4])))
    for plain, fast in zip(*results):
        torch.testing.assert_close(fast, plain)


def main(library):
    torch.ops.load_library(library)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for op, arguments, named in samples():
        torch.library.opcheck(op, arguments, named)
        print("opcheck", op)
    check_gradients()
    for backend in ("aot_eager", "inductor"):
        check_compile(backend)
        check_mutation(backend)
        check_norm(backend)
    print("all operators pass")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
