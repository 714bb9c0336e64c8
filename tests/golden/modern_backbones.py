"""Golden values of MobileNetV2, Swin, ViT and ConvNeXt: torchvision's and timm's, at small sizes.

As in backbones.py the weights come from golden.values() by name, so only summaries are stored.
"""
import inspect

import timm
import torch
import torchvision
from backbones import run
from golden import Golden
from torch import nn
from torch.nn import functional
from torchvision.models import convnext, swin_transformer, vision_transformer


def count(net):
    return sum(p.numel() for p in net.parameters())


def add_state(golden, name, net):
    for key, tensor in net.state_dict().items():
        golden.add(f"{name}/state/{key}", list(tensor.shape))


def on_meta(make):
    """A net without memory: for its number of parameters."""
    with torch.device("meta"):
        return make()


def pad_to_multiple(images, side):
    height, width = images.shape[2:]
    return functional.pad(images, (0, -width % side, 0, -height % side))


def mobilenet_v2(golden):
    def wanted(name):
        return name.startswith(("features.0.", "features.1.", "features.3.", "features.18."))

    def maps_of(net, images):
        maps, x = [], images
        for i, layer in enumerate(net.features):
            x = layer(x)
            if i in (1, 3, 6, 10, 13, 16, 17, 18):
                maps.append(x)
        return maps

    for multiplier in (0.35, 1.0, 1.4):
        net = torchvision.models.mobilenet_v2(width_mult=multiplier)
        del net.classifier
        name = f"mobilenet_v2_{multiplier:g}"
        golden.add(f"{name}/parameters", count(net))
        if multiplier < 1.4:
            add_state(golden, name, net)
            run(golden, name, net, (2, 3, 67, 53), maps_of, wanted)


def always_shift():
    """torchvision's attention as mmseg has it: windows are shifted in a single window too."""
    source = inspect.getsource(swin_transformer.shifted_window_attention)
    for side, size in (("0", "pad_H"), ("1", "pad_W")):
        test = f"if window_size[{side}] >= {size}:"
        assert test in source
        source = source.replace(test, "if False:")
    scope = dict(vars(swin_transformer))
    exec(source, scope)
    return scope["shifted_window_attention"]


def swin(golden):
    def wanted(name):
        blocks = ("features.0.", "features.1.", "features.2.", "features.5.1.attn.", "norm")
        return name.startswith(blocks)

    def maps_of(net, images):
        maps, x = [], pad_to_multiple(images, 4)
        for i, layer in enumerate(net.features):
            x = layer(x)
            if i % 2 == 1:
                norm = net.norm if i == 7 else getattr(net, f"norm{i // 2}", nn.Identity())
                maps.append(norm(x).permute(0, 3, 1, 2))
        return maps

    def small(norm_each=False):
        net = swin_transformer.SwinTransformer(
            [4, 4], 24, [2, 2, 3, 2], [2, 3, 4, 6], [4, 4], stochastic_depth_prob=0
        )
        del net.head
        for module in net.modules():  # derived from the window, so not part of the state
            if hasattr(module, "relative_position_index"):
                index = module.relative_position_index
                del module.relative_position_index
                module.relative_position_index = index
        if norm_each:
            del net.norm
            for i in range(4):
                name = "norm" if i == 3 else f"norm{i}"
                net.add_module(name, nn.LayerNorm(24 << i))
        return net

    # 75x52 pixels: 19x13 patches, then 10x7, 5x4 (a single window one way) and 3x2 (both ways).
    shape = (2, 3, 75, 52)
    add_state(golden, "swin", small())
    run(golden, "swin", small(), shape, maps_of, wanted)
    add_state(golden, "swin_norm_each", small(norm_each=True))
    original = swin_transformer.shifted_window_attention
    swin_transformer.shifted_window_attention = always_shift()
    run(golden, "swin_norm_each_shift", small(norm_each=True), shape, maps_of, wanted)
    swin_transformer.shifted_window_attention = original

    for size in ("tiny", "small", "base", "large"):
        if size == "large":  # torchvision has none
            net = on_meta(lambda: timm.create_model("swin_large_patch4_window7_224", num_classes=0))
        else:
            net = on_meta(getattr(torchvision.models, f"swin_{size[0]}"))
            del net.head
        golden.add(f"swin_{size}/parameters", count(net))


def vit(golden):
    def wanted(name):
        blocks = ("class_token", "conv_proj.", "encoder.pos", "encoder.layers.encoder_layer_1.")
        return name.startswith(blocks + ("encoder.ln.",))

    def tokens(net, images):
        """torchvision's forward without its head, and with timm's way to other image sizes."""
        patches = net.conv_proj(pad_to_multiple(images, net.patch_size))
        grid = patches.shape[2:]
        x = torch.cat(
            [net.class_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], 1
        )
        positions = timm.layers.resample_abs_pos_embed(net.encoder.pos_embedding, grid)
        return net.encoder.ln(net.encoder.layers(x + positions)), grid

    def token_of(net, images):
        return [tokens(net, images)[0][:, 0, :, None, None]]

    def map_of(net, images):
        x, grid = tokens(net, images)
        return [x[:, 1:].transpose(1, 2).unflatten(2, tuple(grid))]

    def small():
        net = vision_transformer.VisionTransformer(32, 8, 3, 3, 24, 96)
        del net.heads
        return net

    square = torch.randn(1, 3, 32, 32)
    with torch.no_grad():  # tokens() is what torchvision does
        whole = vision_transformer.VisionTransformer(32, 8, 3, 3, 24, 96).eval()
        whole.heads = nn.Identity()
        assert torch.allclose(token_of(whole, square)[0].flatten(1), whole(square), atol=1e-6)

    add_state(golden, "vit", small())
    run(golden, "vit_token", small(), (2, 3, 32, 32), token_of, wanted)
    run(golden, "vit_map", small(), (2, 3, 45, 32), map_of, wanted)  # 6x4 patches, not 4x4
    run(golden, "vit_map_smaller", small(), (2, 3, 17, 24), map_of, wanted)

    for name, model in (
        ("tiny_16", "deit_tiny_patch16_224"),
        ("small_16", "deit_small_patch16_224"),
        ("base_16", "vit_b_16"),
        ("base_32", "vit_b_32"),
        ("large_16", "vit_l_16"),
    ):
        if model.startswith("deit"):  # torchvision has none
            net = on_meta(lambda: timm.create_model(model, num_classes=0))
        else:
            net = on_meta(getattr(torchvision.models, model))
            del net.heads
        golden.add(f"vit_{name}/parameters", count(net))


def convnext_(golden):
    def wanted(name):
        blocks = ("features.0.", "features.1.", "features.2.", "features.5.1.", "norm")
        return name.startswith(blocks)

    def maps_of(pooled):
        def run_net(net, images):
            maps, x = [], images
            for i, layer in enumerate(net.features):
                x = layer(x)
                if i % 2 == 1 and hasattr(net, f"norm{i // 2}"):
                    norm = getattr(net, f"norm{i // 2}")
                    maps.append(norm(x))
                elif i == 7:
                    maps.append(net.norm(net.avgpool(x) if pooled else x))
            return maps

        return run_net

    def small(norm_each):
        stages = [
            convnext.CNBlockConfig(8 << i, 16 << i if i < 3 else None, depth)
            for i, depth in enumerate((1, 2, 3, 1))
        ]
        net = convnext.ConvNeXt(stages, layer_scale=1)
        norm = net.classifier[0]
        del net.classifier
        for i in range(3 if norm_each else 0):
            net.add_module(f"norm{i}", convnext.LayerNorm2d(8 << i, eps=1e-6))
        net.norm = norm
        return net

    shape = (2, 3, 75, 70)
    add_state(golden, "convnext", small(False))
    add_state(golden, "convnext_map", small(True))
    run(golden, "convnext", small(False), shape, maps_of(pooled=True), wanted)
    run(golden, "convnext_map", small(True), shape, maps_of(pooled=False), wanted)

    for size in ("tiny", "small", "base", "large"):
        net = on_meta(getattr(torchvision.models, f"convnext_{size}"))
        del net.classifier[2]
        golden.add(f"convnext_{size}/parameters", count(net))


def main():
    golden = Golden("modern_backbones.txt", "modern_backbones.py")
    mobilenet_v2(golden)
    swin(golden)
    vit(golden)
    convnext_(golden)
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
