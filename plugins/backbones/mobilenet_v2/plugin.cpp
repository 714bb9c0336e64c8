#include "registry/plugin.h"

#include "plugins/backbones/mobilenet_v2/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::MobileNetV2>("MobileNetV2",
                                       "Inverted residuals for small devices, as in torchvision.");
}
