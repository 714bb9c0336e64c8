"""Makes cases for `dnc-host predict`: weights under other programs' names, a config for each, image
files, and the probabilities that PyTorch gives.

    python predict_parity.py fixtures       small networks -> tests/golden/predict, which is committed
    python predict_parity.py FOLDER         networks in their real size -> FOLDER

tests/e2e/predict_parity_test.cpp runs the program on what is in such a folder.
"""
import json
import pathlib
import sys

import numpy
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

import foreign_models
from golden import FOLDER, values

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
CLASSES = 7
SWIN = {"embed_dim": 8, "depths": [2, 2, 1, 1], "num_heads": [1, 2, 2, 4]}
CONVNEXT = {"depths": [1, 2, 2, 1], "dims": [8, 16, 32, 64]}
VISION = {"patch": 16, "embed_dim": 24, "depth": 2, "heads": 3}


class NarrowResNet18(torchvision.models.ResNet):
    """`width` channels in the first stage, where torchvision's own always have 64."""

    def __init__(self, width):
        self.width = width
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2])
        self.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.fc = torch.nn.Linear(8 * width, CLASSES)

    def _make_layer(self, block, planes, *args, **options):
        if planes == 64:
            self.inplanes = self.width
        return super()._make_layer(block, planes * self.width // 64, *args, **options)


def small_cases():
    """NAME: (network, the backbone in the config, side of the images)"""
    block = torchvision.models.convnext.CNBlockConfig
    swin = f"type: SwinTransformer, embed_dims: 8, depths: {SWIN['depths']}, heads: {SWIN['num_heads']}, window: 4"
    convnext = f"type: ConvNeXt, width: 8, depths: {CONVNEXT['depths']}"
    vision = "type: VisionTransformer, embed_dims: 24, depth: 2, heads: 3, image_size: 64"
    return {
        "resnet_torchvision": (NarrowResNet18(6), "type: ResNet, depth: 18, width: 6", 64),
        "mobilenet_v2_mmcls": (foreign_models.MmMobileNetV2(CLASSES, 0.1),
                               "type: MobileNetV2, width_multiplier: 0.1", 128),
        "swin_mmcls": (foreign_models.MmSwin(CLASSES, image=128, window=4, **SWIN), swin, 128),
        "swin_microsoft": (foreign_models.MicrosoftSwin(CLASSES, image=128, window=4, **SWIN), swin,
                           128),
        "swin_timm": (
            timm.models.swin_transformer.SwinTransformer(img_size=128, window_size=4,
                                                         num_classes=CLASSES, **SWIN), swin, 128),
        "vision_transformer_mmcls": (
            foreign_models.MmVisionTransformer(CLASSES, image=64, **VISION), vision, 64),
        "convnext_facebook": (foreign_models.FacebookConvNext(CLASSES, **CONVNEXT), convnext, 64),
        "convnext_mmcls": (foreign_models.MmConvNext(CLASSES, **CONVNEXT), convnext, 64),
        "convnext_torchvision": (
            torchvision.models.ConvNeXt([block(8, 16, 1), block(16, 32, 2), block(32, 64, 2),
                                         block(64, None, 1)], num_classes=CLASSES), convnext, 64),
    }


def real_cases():
    tv = torchvision.models
    networks = {
        "resnet18": (tv.resnet18, "resnet18", "type: ResNet, depth: 18"),
        "resnet50": (tv.resnet50, "resnet50", "type: ResNet, depth: 50"),
        "mobilenet_v2": (tv.mobilenet_v2, "mobilenetv2_100", "type: MobileNetV2"),
        "swin_t": (tv.swin_t, "swin_tiny_patch4_window7_224", "type: SwinTransformer, size: tiny"),
        "deit_ti": (None, "deit_tiny_patch16_224", "type: VisionTransformer, size: tiny"),
        "convnext_t": (tv.convnext_tiny, "convnext_tiny", "type: ConvNeXt, size: tiny"),
    }
    cases = {}
    for name, (torchvision_model, timm_model, backbone) in networks.items():
        if torchvision_model:
            cases[name + "_torchvision"] = (torchvision_model(num_classes=CLASSES), backbone, 224)
        cases[name + "_timm"] = (timm.create_model(timm_model, num_classes=CLASSES), backbone, 224)
    return cases


def write_images(folder, side):
    """Waves with noise, higher than wide and wider than high, as PNG and JPEG."""
    folder.mkdir(exist_ok=True)
    for name, height, width in (("tall.png", side * 3 // 2, side), ("wide.png", side, side * 9 // 7),
                                ("photo.jpg", side * 5 // 4, side * 3 // 2)):
        y, x = numpy.mgrid[0:height, 0:width]
        waves = [numpy.sin((x * (i + 1) + y * len(name)) / side * 9 + i) * 70 for i in range(3)]
        noise = values(name, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)
        pixels = 128 + numpy.stack(waves, 2) + noise[:height, :width] * 50
        Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8)).save(folder / name)
    return sorted(folder.iterdir())


def network_input(path, side):
    """As in torchvision's references: the shorter side to side * 8 / 7, and the middle of that.

    Along the rows first; Pillow from 12.2 on does that for these sizes, too, but not for all."""
    image = Image.open(path).convert("RGB")
    short = side * 8 // 7
    width, height = image.size
    size = ((short, short * height // width) if width <= height else (short * width // height, short))
    image = image.resize((size[0], height), Image.Resampling.BILINEAR)
    image = image.resize(size, Image.Resampling.BILINEAR)
    image = torchvision.transforms.functional.center_crop(image, [side, side])
    pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float()
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@torch.no_grad()
def randomise(model, images, half):
    """All parameters; the statistics of batch norm are those of the images. `half`: to values that
    float16 has, in which they are written then."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        # So much that a value in a wrong place shows, and no more than layers can pass on.
        matrix = parameter.dim() > 1 and len(parameter) > 1
        scale = 0.5 * parameter[0].numel() ** -0.5 if matrix else 0.1
        parameter.add_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * scale)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1
    model.train()
    model(images)
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.add_(0.01)  # where it is near 0, rounding is amplified
    if half:
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())


def save(model, library, path, half):
    state = {name: tensor.half() if half and tensor.is_floating_point() else tensor.contiguous()
             for name, tensor in model.state_dict().items()}
    if library == "timm":
        save_file(state, path.with_suffix(".safetensors"))
        return path.with_suffix(".safetensors").name
    wrapped = {"mmcls": {"meta": {"epoch": 1}, "state_dict": state}, "microsoft": {"model": state},
               "facebook": {"model": state}}
    torch.save(wrapped.get(library, state), path.with_suffix(".pth"))
    return path.with_suffix(".pth").name


@torch.no_grad()
def write_case(folder, name, model, backbone, side, half):
    files = write_images(folder / f"images_{side}", side)
    images = torch.stack([network_input(path, side) for path in files])
    randomise(model, images, half)
    probabilities = model(images).softmax(1)
    assert (probabilities[0] - probabilities[1]).abs().max() > 1e-3, f"{name} does not see the images"
    (folder / f"{name}.yaml").write_text(f"""device: cpu
model:
  preprocess: {{mean: {MEAN}, std: {STD}}}
  backbone: {{{backbone}}}
  decode_head: GlobalAveragePooling
  head: Linear
data:
  test:
    dataset: {{type: ImageFolder, root: not_needed}}
    transforms: [{{type: Resize, size: {side * 8 // 7}}}, {{type: CenterCrop, size: {side}}}]
""")
    return {"name": name, "weights": save(model, name.rsplit("_", 1)[1], folder / name, half),
            "images": [f"images_{side}/{path.name}" for path in files],
            "probabilities": probabilities.double().tolist()}


if __name__ == "__main__":
    torch.manual_seed(0)
    fixtures = sys.argv[1] == "fixtures"
    target = FOLDER / "predict" if fixtures else pathlib.Path(sys.argv[1])
    target.mkdir(exist_ok=True)
    (target / "classes.txt").write_text("".join(f"class {i}\n" for i in range(CLASSES)))
    made = small_cases() if fixtures else real_cases()
    cases = [write_case(target, name, *case, half=fixtures) for name, case in made.items()]
    (target / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
