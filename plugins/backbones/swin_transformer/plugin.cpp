#include "registry/plugin.h"

#include "plugins/backbones/swin_transformer/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::SwinTransformer>(
      "SwinTransformer", "Attention in shifted windows, tiny to large, as in torchvision.");
}
