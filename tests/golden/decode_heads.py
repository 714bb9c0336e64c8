"""Golden values of the decode heads for pixels: plain PyTorch, and torchvision's where it has them.

The networks here follow the papers and mmseg's names, and are written independently of the C++. As
in backbones.py the weights come from golden.values() by name, so only summaries are stored.
"""
import copy

import torch
from backbones import fill, summarise
from golden import Golden, values
from torch import nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

CHANNELS = (6, 8, 12, 16)  # of the backbone's maps
SIZES = ((17, 13), (9, 7), (5, 4), (3, 2))  # odd ones show wrong resizing
D = 8


def resize(x, size, align_corners=False):
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


class ConvModule(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, dilation=1, groups=1, norm="bn"):
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation,
                              groups=groups, bias=False)
        self.norm = norm
        self.add_module(norm, nn.BatchNorm2d(outputs) if norm == "bn" else nn.GroupNorm(2, outputs))

    def forward(self, x):
        return functional.relu(getattr(self, self.norm)(self.conv(x)))


class Separable(nn.Module):
    def __init__(self, inputs, outputs, dilation=1):
        super().__init__()
        self.depthwise_conv = ConvModule(inputs, inputs, 3, dilation, groups=inputs)
        self.pointwise_conv = ConvModule(inputs, outputs)

    def forward(self, x):
        return self.pointwise_conv(self.depthwise_conv(x))


class Fcn(nn.Module):
    def __init__(self, inputs=CHANNELS[-1], convs=2, kernel=3, concat=True, dilation=1, norm="bn",
                 resize_concat=False, channels=D):
        super().__init__()
        self.resize_concat = resize_concat
        if resize_concat:
            inputs = sum(CHANNELS)
        layers = [ConvModule(inputs if i == 0 else channels, channels, kernel, dilation, norm=norm)
                  for i in range(convs)]
        self.convs = nn.Sequential(*layers)
        if concat:
            self.conv_cat = ConvModule(inputs + channels, channels, kernel, norm=norm)

    def forward(self, maps):
        x = maps[-1]
        if self.resize_concat:
            x = torch.cat([resize(each, maps[0].shape[2:]) for each in maps], 1)
        y = self.convs(x)
        return self.conv_cat(torch.cat([x, y], 1)) if hasattr(self, "conv_cat") else y


class ProjectedFcn(Fcn):
    """With ProtoSeg's projection behind it, into 6 channels."""

    def __init__(self):
        super().__init__()
        self.projection = nn.Sequential(ConvModule(D, D), nn.Conv2d(D, 6, 1))

    def forward(self, maps):
        return self.projection(super().forward(maps))


class PyramidPooling(nn.ModuleList):
    def __init__(self, inputs, scales, align_corners, channels=D):
        super().__init__(nn.Sequential(nn.AdaptiveAvgPool2d(s), ConvModule(inputs, channels))
                         for s in scales)
        self.align_corners = align_corners

    def forward(self, x):
        parts = [resize(part(x), x.shape[2:], self.align_corners) for part in self]
        return torch.cat([x] + parts, 1)


class Psp(nn.Module):
    def __init__(self, scales=(1, 2, 3, 6), align_corners=False):
        super().__init__()
        self.psp_modules = PyramidPooling(CHANNELS[-1], scales, align_corners)
        self.bottleneck = ConvModule(CHANNELS[-1] + len(scales) * D, D, 3)

    def forward(self, maps):
        return self.bottleneck(self.psp_modules(maps[-1]))


class Aspp(nn.Module):
    def __init__(self, dilations, separable=False):
        super().__init__()
        inputs = CHANNELS[-1]
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(inputs, D))
        self.aspp_modules = nn.ModuleList()
        for dilation in dilations:
            if dilation == 1:
                module = ConvModule(inputs, D)
            elif separable:
                module = Separable(inputs, D, dilation)
            else:
                module = ConvModule(inputs, D, 3, dilation)
            self.aspp_modules.append(module)
        self.bottleneck = ConvModule((len(dilations) + 1) * D, D, 3)

    def forward(self, maps):
        x = maps[-1]
        parts = [resize(self.image_pool(x), x.shape[2:])]
        parts += [module(x) for module in self.aspp_modules]
        return self.bottleneck(torch.cat(parts, 1))


class SeparableAspp(Aspp):
    def __init__(self, dilations, c1_channels):
        super().__init__(dilations, separable=True)
        if c1_channels:
            self.c1_bottleneck = ConvModule(CHANNELS[0], c1_channels)
        self.sep_bottleneck = nn.Sequential(Separable(D + c1_channels, D), Separable(D, D))

    def forward(self, maps):
        x = super().forward(maps)
        if hasattr(self, "c1_bottleneck"):
            fine = self.c1_bottleneck(maps[0])
            x = torch.cat([resize(x, fine.shape[2:]), fine], 1)
        return self.sep_bottleneck(x)


class UPer(nn.Module):
    def __init__(self, scales=(1, 2, 3, 6), align_corners=False, inputs=CHANNELS, channels=D):
        super().__init__()
        self.align_corners = align_corners
        self.psp_modules = PyramidPooling(inputs[-1], scales, align_corners, channels)
        self.bottleneck = ConvModule(inputs[-1] + len(scales) * channels, channels, 3)
        self.lateral_convs = nn.ModuleList(ConvModule(c, channels) for c in inputs[:-1])
        self.fpn_convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in inputs[:-1])
        self.fpn_bottleneck = ConvModule(len(inputs) * channels, channels, 3)

    def forward(self, maps):
        levels = [conv(x) for conv, x in zip(self.lateral_convs, maps)]
        levels.append(self.bottleneck(self.psp_modules(maps[-1])))
        for i in range(len(levels) - 1, 0, -1):
            size = levels[i - 1].shape[2:]
            levels[i - 1] = levels[i - 1] + resize(levels[i], size, self.align_corners)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, levels)] + [levels[-1]]
        outs = [resize(x, outs[0].shape[2:], self.align_corners) for x in outs]
        return self.fpn_bottleneck(torch.cat(outs, 1))


class Segformer(nn.Module):
    def __init__(self, mode="bilinear"):
        super().__init__()
        self.mode = mode
        self.convs = nn.ModuleList(ConvModule(c, D) for c in CHANNELS)
        self.fusion_conv = ConvModule(len(CHANNELS) * D, D)

    def forward(self, maps):
        align = {} if self.mode == "nearest" else {"align_corners": False}
        outs = [functional.interpolate(conv(x), size=maps[0].shape[2:], mode=self.mode, **align)
                for conv, x in zip(self.convs, maps)]
        return self.fusion_conv(torch.cat(outs, 1))


class OfLastMap(nn.Module):
    """torchvision's heads see the last map; without the classifier at the end and without dropout."""

    def __init__(self, head):
        super().__init__()
        del head[-1]
        self.head = head
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0

    def forward(self, maps):
        return self.head(maps[-1])


class Named:
    """A state under other names."""

    def __init__(self, state):
        self.state_dict = lambda: state


def run(golden, name, net, names=()):
    """Adds the shapes of the state of `net`, its embeddings in evaluation and in training, and then
    the gradients of maps and parameters, and the buffers. `names` are pairs of a prefix and what it
    is called in dnc-host."""

    def ours(key):
        return next((to + key[len(prefix):] for prefix, to in names if key.startswith(prefix)), key)

    net = net.double()
    fill(Named({ours(key): tensor for key, tensor in net.state_dict().items()}))
    for key, tensor in net.state_dict().items():
        golden.add(f"{name}/state/{ours(key)}", list(tensor.shape))
    maps = [torch.from_numpy(values(f"map{i}", (2, channels, *size))).double()
            for i, (channels, size) in enumerate(zip(CHANNELS, SIZES))]
    with torch.no_grad():
        summarise(golden, f"{name}/eval", copy.deepcopy(net).eval()(maps))
    for each in maps:
        each.requires_grad_()
    out = net.train()(maps)
    summarise(golden, f"{name}/train", out)
    (out * torch.from_numpy(values("probe", out.shape))).sum().backward()
    for i, each in enumerate(maps):
        if each.grad is not None:
            summarise(golden, f"{name}/gradient/map/{i}", each.grad)
    for key, tensor in net.named_parameters():
        summarise(golden, f"{name}/gradient/parameter/{ours(key)}", tensor.grad)
    for key, tensor in net.named_buffers():
        summarise(golden, f"{name}/buffer/{ours(key)}", tensor)


def main():
    golden = Golden("decode_heads.txt", "decode_heads.py")
    run(golden, "fcn", Fcn())
    run(golden, "fcn_kernel", Fcn(convs=3, kernel=5, dilation=2))
    run(golden, "fcn_group", Fcn(norm="gn"))
    run(golden, "fcn_projection", ProjectedFcn())
    run(golden, "fcn_resize_concat", Fcn(convs=1, kernel=1, concat=False, resize_concat=True))
    run(golden, "psp", Psp())
    run(golden, "psp_align", Psp(scales=(1, 3), align_corners=True))
    run(golden, "aspp", Aspp((1, 2, 3, 4)))
    run(golden, "separable_aspp", SeparableAspp((1, 2, 3), 5))
    run(golden, "separable_aspp_alone", SeparableAspp((1, 2), 0))
    run(golden, "uper", UPer())
    run(golden, "uper_align", UPer(scales=(1, 2), align_corners=True))
    run(golden, "segformer", Segformer())
    run(golden, "segformer_nearest", Segformer("nearest"))

    # torchvision's width is a quarter of the map's channels, and 256.
    run(golden, "torchvision_fcn", OfLastMap(FCNHead(CHANNELS[-1], 7)),
        [("head.0.", "convs.0.conv."), ("head.1.", "convs.0.bn.")])
    run(golden, "torchvision_deeplabv3", OfLastMap(DeepLabHead(CHANNELS[-1], 7, (2, 3))),
        [("head.0.convs.0.0.", "aspp_modules.0.conv."), ("head.0.convs.0.1.", "aspp_modules.0.bn."),
         ("head.0.convs.1.0.", "aspp_modules.1.conv."), ("head.0.convs.1.1.", "aspp_modules.1.bn."),
         ("head.0.convs.2.0.", "aspp_modules.2.conv."), ("head.0.convs.2.1.", "aspp_modules.2.bn."),
         ("head.0.convs.3.1.", "image_pool.1.conv."), ("head.0.convs.3.2.", "image_pool.1.bn."),
         ("head.0.project.0.", "project.conv."), ("head.0.project.1.", "project.bn."),
         ("head.1.", "bottleneck.conv."), ("head.2.", "bottleneck.bn.")])
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
