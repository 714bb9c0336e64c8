#include "registry/plugin.h"

#include "plugins/backbones/vision_transformer/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::VisionTransformer>(
      "VisionTransformer", "Attention over all patches, ViT and DeiT, as in torchvision.");
}
