#include "registry/plugin.h"

#include "plugins/backbones/resnet/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::ResNet>(
      "ResNet", "Residual network of 18 to 152 layers in four stages, as in torchvision.");
  registrar.backbone<dnc::ResNetCifarStem>(
      "ResNet_CIFAR", "ResNet whose stem suits small images: 3x3 of stride 1, no pooling.");
  registrar.backbone<dnc::ResNetV1c>("ResNetV1c", "ResNet with a stem of three 3x3 convolutions.");
  registrar.backbone<dnc::ResNetV1d>("ResNetV1d",
                                     "ResNetV1c with average pooling in the shortcuts.");
  registrar.backbone<dnc::ResNeXt>("ResNeXt", "ResNet with 32 groups of 4 channels in its blocks.");
}
