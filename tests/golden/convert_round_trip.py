"""Takes weights of a library through `dnc-host convert` and loads them with another.

    python convert_round_trip.py DNC_HOST FOLDER

For each family: random weights of the one library, converted to dnc-host's names and on to those of
another library, must load there strictly and give the same outputs; back again they must be the
same bits. tests/e2e/convert_test.cpp runs it.
"""
import itertools
import pathlib
import subprocess
import sys

import timm
import torch
import torchvision
from foreign_models import MmResNet
from safetensors.torch import load_file

TOLERANCE = 1e-5  # relative to the largest output


def resnet():
    return {"torchvision": torchvision.models.resnet18(num_classes=7),
            "timm": timm.create_model("resnet18", num_classes=7)}


def mobilenet_v2():
    return {"torchvision": torchvision.models.mobilenet_v2(num_classes=7),
            "timm": timm.create_model("mobilenetv2_100", num_classes=7)}


def swin_transformer():
    shared = {"embed_dim": 24, "depths": [2, 2, 2, 1], "num_heads": [2, 3, 4, 6], "num_classes": 7}
    return {"torchvision": torchvision.models.SwinTransformer(patch_size=[4, 4], window_size=[7, 7],
                                                              **shared),
            "timm": timm.models.swin_transformer.SwinTransformer(img_size=224, window_size=7,
                                                                 **shared)}


def vision_transformer():
    return {"torchvision": torchvision.models.VisionTransformer(
                image_size=224, patch_size=32, num_layers=2, num_heads=3, hidden_dim=48,
                mlp_dim=192, num_classes=7),
            "timm": timm.models.vision_transformer.VisionTransformer(
                patch_size=32, depth=2, num_heads=3, embed_dim=48, num_classes=7)}


def convnext():
    block = torchvision.models.convnext.CNBlockConfig
    return {"torchvision": torchvision.models.ConvNeXt(
                [block(8, 16, 1), block(16, 32, 2), block(32, 64, 2), block(64, None, 1)],
                num_classes=7),
            "timm": timm.models.convnext.ConvNeXt(dims=(8, 16, 32, 64), depths=(1, 2, 2, 1),
                                                  num_classes=7)}


def deep_stem(average_down, libraries, **options):
    """ResNetV1c and ResNetV1d in timm and, as foreign_models.py has them, in OpenMMLab."""
    blocks = [2, 1, 2, 1]
    models = {"timm": timm.models.resnet.ResNet(
        timm.models.resnet.Bottleneck, blocks, stem_width=32, stem_type="deep",
        avg_down=average_down, num_classes=7)}
    for library in libraries:
        models[library] = MmResNet(7, library, blocks, 64, average_down, **options)
    return models


def resnet_v1c():
    return deep_stem(False, ["mmcls", "mmseg"])


def resnet_v1d():
    return deep_stem(True, ["mmcls"])


def resnet_v1d_dilated():
    return deep_stem(True, ["mmseg"], strides=(1, 2, 1, 1))


def randomise(model, images):
    """All state, and then the statistics of batch norm as the images give them."""
    generator = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape, generator=generator) * 0.2 - 0.1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1
    model.train()
    model(images)
    model.eval()


def load(path):
    return (load_file(path) if path.suffix == ".safetensors"
            else torch.load(path, weights_only=True))


def check_state(state, expected, what):
    assert list(state) == list(expected) or set(state) == set(expected), f"{what}: other names"
    for name, tensor in expected.items():
        assert state[name].dtype == tensor.dtype and torch.equal(state[name], tensor), f"{what}: {name}"


def check_outputs(one, other, images):
    expected, actual = one(images), other(images)
    assert (expected[0] - expected[1]).abs().max() > 1e-3, "the outputs do not see the images"
    error = ((actual - expected).abs().max() / expected.abs().max()).item()
    assert error < TOLERANCE, f"relative error {error}"
    return error


@torch.no_grad()
def check(family, program, folder):
    def convert(source, target, *options):
        subprocess.run([program, "convert", folder / source, folder / target, *options], check=True,
                       stdout=subprocess.DEVNULL)
        return folder / target

    models = family()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    for source, target in itertools.permutations(models, 2):
        one, other = models[source], models[target].eval()
        randomise(one, images)
        start = f"{family.__name__}_{source}.pth"
        torch.save(one.state_dict(), folder / start)
        convert(start, "ours.safetensors", "--names", "dnc")
        other.load_state_dict(load(convert("ours.safetensors", "there.pth", "--names", target)))
        error = check_outputs(one, other, images) if family not in OTHER_OUTPUTS else None
        back = convert("there.pth", "back.safetensors", "--names", source)
        check_state(load(back), one.state_dict(), f"{family.__name__}: {source} and back")
        check_state(load(convert(start, "plain.safetensors")), one.state_dict(), "as it is")
        told = "names" if error is None else f"relative error {error:.1e}"
        print(f"{family.__name__}: {source} to {target}: {told}")


FAMILIES = (resnet, mobilenet_v2, swin_transformer, vision_transformer, convnext)
RELATIVES = (resnet_v1c, resnet_v1d, resnet_v1d_dilated)
OTHER_OUTPUTS = (resnet_v1d_dilated,)  # timm's has its usual strides: only the names are compared

if __name__ == "__main__":
    for made in FAMILIES + RELATIVES:
        check(made, sys.argv[1], pathlib.Path(sys.argv[2]))
