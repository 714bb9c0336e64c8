#include "registry/plugin.h"

#include "plugins/backbones/resnet/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::ResNet>(
      "ResNet", "Residual network of 18 to 152 layers in four stages, as in torchvision.");
  registrar.backbone<dnc::ResNetCifarStem>(
      "ResNet_CIFAR", "ResNet whose stem suits small images: 3x3 of stride 1, no pooling.");
}
