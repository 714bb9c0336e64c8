"""Golden values of the residual networks: torchvision's, and plain PyTorch where it has none.

Weights come from golden.values(), so only summaries of the results are stored. Everything runs in
float64: a ReLU that flips on another machine would be a difference that says nothing.
"""
import copy

import torch
import torchvision
from golden import Golden, values
from torch import nn
from torch.nn import functional

IMAGES = {"large": (2, 3, 67, 53), "small": (2, 3, 29, 22)}  # odd sizes show wrong rounding


class BasicBlock(nn.Module):
    """The block of the CIFAR networks in He et al. 2015 with shortcut A or B."""

    def __init__(self, inputs, outputs, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.grown = outputs - inputs
        if shortcut == "projection" and self.grown:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        elif self.grown:
            x = x[:, :, :: self.stride, :: self.stride]
            half = self.grown // 2
            x = functional.pad(x, (0, 0, 0, 0, half, half))
        return functional.relu(y + x)


class ResNetCifar(nn.Module):
    def __init__(self, depth, shortcut):
        super().__init__()
        count = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, outputs in enumerate((16, 32, 64)):
            blocks = []
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(BasicBlock(inputs, outputs, stride, shortcut))
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        return functional.relu(self.bn1(self.conv1(x)))


def torchvision_net(depth, stem="imagenet"):
    net = getattr(torchvision.models, f"resnet{depth}")()
    del net.fc
    if stem == "cifar":
        net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        net.maxpool = nn.Identity()
    return net


def stage_maps(net, images):
    """The map of each stage, [N, C, H, W] from fine to coarse."""
    if isinstance(net, ResNetCifar):
        x = net(images)
    else:
        x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
    maps = []
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        if hasattr(net, stage):
            x = getattr(net, stage)(x)
            maps.append(x)
    return maps


def fill(net):
    """fill() of backbone_golden.h: weights that depend on the names only, activations of order 1."""
    for name, tensor in net.state_dict().items():
        if not tensor.is_floating_point():  # counts and positions
            continue
        value = torch.from_numpy(values(name, tensor.shape)).double()
        if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            value = 1 + 0.5 * value
        elif tensor.dim() == 1:
            value = 0.1 * value
        else:
            value = value * (3 / tensor[0].numel()) ** 0.5
        tensor.copy_(value)


def summarise(golden, name, tensor):
    """Its shape, its mean and deviation, and about 100 of its values."""
    flat = tensor.detach().double().reshape(-1)
    golden.add(f"{name}/shape", list(tensor.shape))
    golden.add(f"{name}/moments", [flat.mean(), flat.std(unbiased=False)])
    golden.add(f"{name}/sample", flat[:: max(1, flat.numel() // 100)])


def wanted(name):
    """A few parameters and buffers of each sort: of the stem, of first and later blocks."""
    blocks = ("conv1", "bn1", "layer1.0.", "layer2.0.downsample", "layer3.0.conv2", "layer3.1.bn2")
    return name.startswith(blocks)


def run(golden, name, net, shape, maps_of=stage_maps, wanted=wanted):
    """Adds the maps of `net` for images of `shape`, in evaluation and in training, and what the
    gradients of the `wanted` parameters and the buffers are then. `maps_of(net, images)` runs it."""
    net = net.double()
    fill(net)
    images = torch.from_numpy(values("images", shape)).double()
    with torch.no_grad():
        for i, out in enumerate(maps_of(copy.deepcopy(net).eval(), images)):
            summarise(golden, f"{name}/eval/map{i}", out)

    images.requires_grad_()
    maps = maps_of(net.train(), images)
    loss = 0
    for i, out in enumerate(maps):
        summarise(golden, f"{name}/train/map{i}", out)
        loss = loss + (out * torch.from_numpy(values(f"probe{i}", out.shape))).sum()
    loss.backward()
    golden.add(f"{name}/train/loss", loss)
    summarise(golden, f"{name}/train/gradient/images", images.grad)
    for parameter, tensor in net.named_parameters():
        if wanted(parameter):
            summarise(golden, f"{name}/train/gradient/parameter/{parameter}", tensor.grad)
    for buffer, tensor in net.named_buffers():
        if wanted(buffer):
            summarise(golden, f"{name}/train/buffer/{buffer}", tensor)


def main():
    golden = Golden("backbones.txt", "backbones.py")
    golden.add("values/probe", values("probe", (3, 5)))
    for depth in (18, 34, 50, 101, 152):
        net = torchvision_net(depth)
        golden.add(f"resnet{depth}/parameters", sum(p.numel() for p in net.parameters()))
        if depth in (18, 50):
            for name, tensor in net.state_dict().items():
                golden.add(f"resnet{depth}/state/{name}", list(tensor.shape))
        if depth <= 50:
            run(golden, f"resnet{depth}", net, IMAGES["large"])
    for depth in (18, 50):
        run(golden, f"resnet{depth}_cifar", torchvision_net(depth, "cifar"), IMAGES["small"])
    for depth in (8, 20):
        for shortcut in ("identity", "projection"):
            net = ResNetCifar(depth, shortcut)
            name = f"resnet_cifar{depth}_{shortcut}"
            golden.add(f"{name}/parameters", sum(p.numel() for p in net.parameters()))
            run(golden, name, net, IMAGES["small"])
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
