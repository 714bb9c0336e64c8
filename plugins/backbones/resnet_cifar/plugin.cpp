#include "registry/plugin.h"

#include "plugins/backbones/resnet_cifar/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::ResNetCifar>(
      "ResNetCifar", "Small residual network for small images, of 6n + 2 layers in three stages.");
}
