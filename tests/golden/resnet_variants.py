"""Golden values of the relatives of ResNet: timm's and torchvision's, and torchvision's with a few
convolutions exchanged where mmseg has what neither has.

As in backbones.py the weights come from golden.values() by name, so only summaries are stored.
"""
import timm
import torch
import torchvision
from backbones import IMAGES, run
from golden import Golden
from torch import nn


def stage_maps(net, images):
    relu = net.act1 if hasattr(net, "act1") else net.relu
    x = net.maxpool(relu(net.bn1(net.conv1(images))))
    maps = []
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        x = stage(x)
        maps.append(x)
    return maps


def wanted(name):
    blocks = ("conv1", "bn1", "layer1.0.", "layer2.0.downsample", "layer3.0.conv2", "layer3.1.conv")
    return name.startswith(blocks)


def set_convolution(conv, stride, dilation):
    conv.stride = (stride, stride)
    conv.dilation = conv.padding = (dilation, dilation)


def dilated(net):
    """As mmseg does it with strides 1, 2, 1, 1 and dilations 1, 1, 2, 4, not contracted: in each 3x3
    of a bottleneck, in the first 3x3 of a basic block."""
    for stage, dilation in ((net.layer3, 2), (net.layer4, 4)):
        stage[0].downsample[0].stride = (1, 1)
        for block in stage:
            conv = block.conv2 if hasattr(block, "conv3") else block.conv1
            set_convolution(conv, 1, dilation)
    return net


def caffe(net):
    """The stride in the first 1x1 convolution."""
    for stage in (net.layer2, net.layer3, net.layer4):
        stage[0].conv1.stride = (2, 2)
        stage[0].conv2.stride = (1, 1)
    return net


def nets():
    models = torchvision.models
    for name in ("resnet50c", "resnet18d", "resnet50d"):
        yield name, timm.create_model(name, num_classes=0)
    yield "resnext50_32x4d", models.resnext50_32x4d()
    yield "wide_resnet50_2", models.wide_resnet50_2()
    replaced = [False, True, True]
    yield "resnet50_contracted", models.resnet50(replace_stride_with_dilation=replaced)
    yield "resnet50_dilated", dilated(models.resnet50())
    yield "resnet18_dilated", dilated(models.resnet18())
    yield "resnet50_caffe", caffe(models.resnet50())
    yield "resnet18_group", models.resnet18(norm_layer=lambda channels: nn.GroupNorm(8, channels))


def main():
    golden = Golden("resnet_variants.txt", "resnet_variants.py")
    for name, net in nets():
        net.fc = nn.Identity()
        golden.add(f"{name}/parameters", sum(p.numel() for p in net.parameters()))
        if name in ("resnet18d", "resnet50d", "resnext50_32x4d", "wide_resnet50_2"):
            for key, tensor in net.state_dict().items():
                golden.add(f"{name}/state/{key}", list(tensor.shape))
        run(golden, name, net, IMAGES["large"], stage_maps, wanted)
    for name in ("resnet18", "resnet50"):
        net = timm.create_model(name, num_classes=0, drop_path_rate=0.2)
        stages = (net.layer1, net.layer2, net.layer3, net.layer4)
        rates = [b.drop_path.drop_prob if b.drop_path else 0 for stage in stages for b in stage]
        golden.add(f"{name}/drop_rates", rates)
    for name in ("resnet101d", "resnet152d"):
        with torch.device("meta"):
            net = timm.create_model(name, num_classes=0)
        golden.add(f"{name}/parameters", sum(p.numel() for p in net.parameters()))
    for name in ("resnext101_32x8d", "resnext101_64x4d", "wide_resnet101_2"):
        with torch.device("meta"):
            net = getattr(torchvision.models, name)()
            del net.fc
        golden.add(f"{name}/parameters", sum(p.numel() for p in net.parameters()))
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
