#include "registry/plugin.h"

#include "plugins/backbones/convnext/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::ConvNext>(
      "ConvNeXt", "Depthwise 7x7 convolutions in the manner of a transformer, as in torchvision.");
}
