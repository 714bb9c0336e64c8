"""Golden values of torchvision's fcn_resnet50 and deeplabv3_resnet50, whole, with auxiliary heads.

The weights come from golden.values() by the names that the tensors have in dnc-host, which are
written down here once more, so that the tables in keymaps/ are compared with something.
"""
import torch
import torchvision
from backbones import fill, summarise
from decode_heads import Named
from golden import Golden, values

AUXILIARY = [("aux_classifier.0.", "auxiliary_heads.0.decode_head.convs.0.conv."),
             ("aux_classifier.1.", "auxiliary_heads.0.decode_head.convs.0.bn."),
             ("aux_classifier.4.", "auxiliary_heads.0.head.fc."), ("classifier.4.", "head.fc.")]
FCN = [("classifier.0.", "decode_head.convs.0.conv."), ("classifier.1.", "decode_head.convs.0.bn.")]
DEEPLAB = [
    ("classifier.0.convs.0.0.", "decode_head.aspp_modules.0.conv."),
    ("classifier.0.convs.0.1.", "decode_head.aspp_modules.0.bn."),
    ("classifier.0.convs.1.0.", "decode_head.aspp_modules.1.conv."),
    ("classifier.0.convs.1.1.", "decode_head.aspp_modules.1.bn."),
    ("classifier.0.convs.2.0.", "decode_head.aspp_modules.2.conv."),
    ("classifier.0.convs.2.1.", "decode_head.aspp_modules.2.bn."),
    ("classifier.0.convs.3.0.", "decode_head.aspp_modules.3.conv."),
    ("classifier.0.convs.3.1.", "decode_head.aspp_modules.3.bn."),
    ("classifier.0.convs.4.1.", "decode_head.image_pool.1.conv."),
    ("classifier.0.convs.4.2.", "decode_head.image_pool.1.bn."),
    ("classifier.0.project.0.", "decode_head.project.conv."),
    ("classifier.0.project.1.", "decode_head.project.bn."),
    ("classifier.1.", "decode_head.bottleneck.conv."),
    ("classifier.2.", "decode_head.bottleneck.bn."),
]


@torch.no_grad()
def add(golden, name, net, names):
    def ours(key):
        return next((to + key[len(prefix):] for prefix, to in names if key.startswith(prefix)), key)

    net = net.double().eval()
    fill(Named({ours(key): tensor for key, tensor in net.state_dict().items()}))
    for key, tensor in net.state_dict().items():
        golden.add(f"{name}/state/{key}={ours(key)}", list(tensor.shape))
    images = torch.from_numpy(values("images", (2, 3, 65, 49))).double()
    maps = net.backbone(images)
    summarise(golden, f"{name}/scores", net.classifier(maps["out"]))
    summarise(golden, f"{name}/auxiliary", net.aux_classifier(maps["aux"]))


def main():
    golden = Golden("segmentation_networks.txt", "segmentation_networks.py")
    models = torchvision.models.segmentation
    options = {"weights": None, "weights_backbone": None, "num_classes": 7, "aux_loss": True}
    add(golden, "fcn", models.fcn_resnet50(**options), AUXILIARY + FCN)
    add(golden, "deeplabv3", models.deeplabv3_resnet50(**options), AUXILIARY + DEEPLAB)
    golden.save()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main()
