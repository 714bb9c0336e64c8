"""The segmentation networks of step_peer.py in PyTorch: timm's and torchvision's backbones, and
decode heads of tests/golden with mmsegmentation's names."""
import os
import sys

import timm
import torch
import torch.nn.functional as F
from torch import nn

import peer

sys.path.insert(0, str(peer.ROOT / "tests/golden"))
import decode_heads  # noqa: E402
import resnet_variants  # noqa: E402

HEIGHT, WIDTH, BATCH, CLASSES = 360, 480, 2, 11  # of CamVid


class DilatedResNet(nn.Module):
    """ResNet-50 v1c with maps of stride 8."""

    def __init__(self):
        super().__init__()
        self.net = timm.create_model("resnet50c", num_classes=0, output_stride=8)

    def forward(self, images):
        return resnet_variants.stage_maps(self.net, images)

    def named(self):
        return self.net.state_dict()


class Swin(nn.Module):
    """Swin-T with the norms of each map, norm0 to norm2 and norm."""

    def __init__(self):
        super().__init__()
        self.net = peer.network("swin_t")
        del self.net.head
        for i in range(3):
            self.net.add_module(f"norm{i}", nn.LayerNorm(96 << i))

    def forward(self, images):
        x, maps = self.net.features[0](images), []
        for i, norm in enumerate(("norm0", "norm1", "norm2", "norm")):
            x = self.net.features[2 * i + 1](x)
            maps.append(getattr(self.net, norm)(x).permute(0, 3, 1, 2))
            if i < 3:
                x = self.net.features[2 * i + 2](x)
        return maps

    def named(self):
        return {key: each for key, each in self.net.state_dict().items()
                if not key.endswith("relative_position_index")}


class Branch(nn.Module):
    """A decode head and the classifier of its pixels."""

    def __init__(self, decode_head, channels):
        super().__init__()
        self.decode_head = decode_head
        self.conv_seg = nn.Conv2d(channels, CLASSES, 1)
        nn.init.normal_(self.conv_seg.weight, 0, 0.01)
        nn.init.zeros_(self.conv_seg.bias)

    def forward(self, maps):
        return self.conv_seg(self.decode_head(maps))

    def named(self, prefix):
        """By our names."""
        named = {f"{prefix}decode_head.{key}": each
                 for key, each in self.decode_head.state_dict().items()}
        named[f"{prefix}head.fc.weight"] = self.conv_seg.weight.detach().flatten(1)
        named[f"{prefix}head.fc.bias"] = self.conv_seg.bias.detach()
        return named


class Segmenter(nn.Module):
    """Images to scores of the pixels, and to those of the auxiliary head, of the third map."""

    def __init__(self, backbone, decode_head, auxiliary_head):
        super().__init__()
        self.backbone = backbone
        self.main = Branch(decode_head, 512)
        self.auxiliary = Branch(auxiliary_head, 256)

    def forward(self, images):
        maps = self.backbone(images)
        return self.main(maps), self.auxiliary(maps[2:3])

    def named(self):
        return {**{"backbone." + key: each for key, each in self.backbone.named().items()},
                **self.main.named(""), **self.auxiliary.named("auxiliary_heads.0.")}


def network(name):
    """The same weights each time, and nothing random in training."""
    torch.manual_seed(1)
    fcn = decode_heads.Fcn
    if name == "fcn_r50":
        net = Segmenter(DilatedResNet(), fcn(2048, channels=512),
                        fcn(1024, convs=1, concat=False, channels=256))
    else:
        net = Segmenter(Swin(), decode_heads.UPer(inputs=(96, 192, 384, 768), channels=512),
                        fcn(384, convs=1, concat=False, channels=256))
    return peer.without_chance(net).to(memory_format=torch.channels_last)


def save_weights(names, folder):
    for name in names:
        torch.save(network(name).named(), os.path.join(folder, name + ".pth"))


def loss(scores, labels):
    """As in mmsegmentation: each resized to the labels, the auxiliary one weighs 0.4."""
    main, auxiliary = (
        F.cross_entropy(F.interpolate(each, labels.shape[1:], mode="bilinear", align_corners=False),
                        labels, ignore_index=peer.IGNORED) for each in scores)
    return main + 0.4 * auxiliary
