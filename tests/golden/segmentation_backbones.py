"""Golden values of the backbones for segmentation: MixVisionTransformer in plain PyTorch, with
mmseg's names, and HRNet of timm.

As in backbones.py the weights come from golden.values() by name, so only summaries are stored.
"""
import timm
import torch
from backbones import run
from golden import Golden
from modern_backbones import add_state, count, on_meta
from torch import nn
from torch.nn import functional

DEPTHS = {"b0": (2, 2, 2, 2), "b1": (2, 2, 2, 2), "b2": (3, 4, 6, 3), "b3": (3, 4, 18, 3),
          "b4": (3, 8, 27, 3), "b5": (3, 6, 40, 3)}


def norm(channels):
    return nn.LayerNorm(channels, eps=1e-6)


class Attention(nn.Module):
    def __init__(self, channels, heads, reduction):
        super().__init__()
        self.attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        if reduction > 1:
            self.sr = nn.Conv2d(channels, channels, reduction, reduction)
            self.norm = norm(channels)

    def forward(self, x, height, width):
        others = x
        if hasattr(self, "sr"):
            others = self.sr(x.transpose(1, 2).unflatten(2, (height, width)))
            others = self.norm(others.flatten(2).transpose(1, 2))
        return self.attn(x, others, others, need_weights=False)[0]


class FeedForward(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = 4 * channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(), nn.Dropout(0), nn.Conv2d(hidden, channels, 1))

    def forward(self, x, height, width):
        y = self.layers(x.transpose(1, 2).unflatten(2, (height, width)))
        return y.flatten(2).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, channels, heads, reduction):
        super().__init__()
        self.norm1 = norm(channels)
        self.attn = Attention(channels, heads, reduction)
        self.norm2 = norm(channels)
        self.ffn = FeedForward(channels)

    def forward(self, x, height, width):
        x = x + self.attn(self.norm1(x), height, width)
        return x + self.ffn(self.norm2(x), height, width)


class Patches(nn.Module):
    def __init__(self, inputs, channels, kernel, stride):
        super().__init__()
        self.projection = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2)
        self.norm = norm(channels)

    def forward(self, images):
        x = self.projection(images)
        return self.norm(x.flatten(2).transpose(1, 2)), *x.shape[2:]


class MixVisionTransformer(nn.Module):
    def __init__(self, dims, depths, heads=(1, 2, 5, 8), reductions=(8, 4, 2, 1)):
        super().__init__()
        inputs = 3
        self.layers = nn.ModuleList()
        for i in range(4):
            channels = dims * heads[i]
            patches = Patches(inputs, channels, 7 if i == 0 else 3, 4 if i == 0 else 2)
            blocks = nn.ModuleList(Block(channels, heads[i], reductions[i])
                                   for _ in range(depths[i]))
            self.layers.append(nn.ModuleList([patches, blocks, norm(channels)]))
            inputs = channels

    @staticmethod
    def maps(net, images):
        maps, x = [], images
        for patches, blocks, last in net.layers:
            x, height, width = patches(x)
            for block in blocks:
                x = block(x, height, width)
            x = last(x).transpose(1, 2).unflatten(2, (height, width))
            maps.append(x)
        return maps


def mix_vision_transformer(golden):
    def wanted(name):
        return name.startswith(("layers.0.", "layers.2.1.0", "layers.3.1.0.", "layers.3.2"))

    small = MixVisionTransformer(8, (2, 1, 2, 1))
    add_state(golden, "mix_vision_transformer", small)
    # 75x52 pixels: 19x13 patches, then 10x7, 5x4 and 3x2; 8, 4 and 2 divide none of these.
    run(golden, "mix_vision_transformer", small, (2, 3, 75, 52), MixVisionTransformer.maps, wanted)
    for size, depths in DEPTHS.items():
        net = on_meta(lambda: MixVisionTransformer(32 if size == "b0" else 64, depths))
        golden.add(f"mix_vision_transformer_{size}/parameters", count(net))


def without_classifier(net):
    for name in ("incre_modules", "downsamp_modules", "final_layer", "classifier", "global_pool",
                 "head_drop"):
        if hasattr(net, name):
            delattr(net, name)
    return net


def upsample_as(net, mode):
    """timm upsamples by a factor, which fits sizes without remainder only, to nearest pixels."""
    align = {} if mode == "nearest" else {"align_corners": False}

    def forward(module, maps):
        maps = [branch(x) for branch, x in zip(module.branches, maps)]
        fused = []
        for to, layers in enumerate(module.fuse_layers):
            total = 0
            for source, layer in enumerate(layers):
                x = maps[source]
                if source > to:
                    x = functional.interpolate(layer[1](layer[0](x)), size=maps[to].shape[2:],
                                               mode=mode, **align)
                elif source < to:
                    x = layer(x)
                total = total + x
            fused.append(functional.relu(total))
        return fused

    for module in net.modules():
        if type(module).__name__ == "HighResolutionModule":
            module.forward = forward.__get__(module)
    return net


def hrnet(golden):
    def wanted(name):
        return name.startswith(("conv1", "bn2", "layer1.0.downsample", "transition1.1",
                                "transition3", "stage3.1.branches.2.1.", "stage4.1.fuse_layers.0.3",
                                "stage4.1.fuse_layers.3.0"))

    def maps_of(net, images):
        x = net.act1(net.bn1(net.conv1(images)))
        return net.stages(net.act2(net.bn2(net.conv2(x))))

    def small():
        return without_classifier(timm.create_model("hrnet_w18_small_v2"))

    net = small()
    add_state(golden, "hrnet", net)
    run(golden, "hrnet_nearest", net, (2, 3, 64, 96), maps_of, wanted)  # timm as it is
    for mode in ("nearest", "bilinear"):
        net = upsample_as(small(), mode)
        run(golden, f"hrnet_{mode}_odd", net, (2, 3, 67, 53), maps_of, wanted)
    for size in ("w18_small_v2", "w18", "w32", "w40", "w48"):
        net = without_classifier(on_meta(lambda: timm.create_model(f"hrnet_{size}")))
        golden.add(f"hrnet_{size.removesuffix('_v2')}/parameters", count(net))


def main():
    golden = Golden("segmentation_backbones.txt", "segmentation_backbones.py")
    mix_vision_transformer(golden)
    hrnet(golden)
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
