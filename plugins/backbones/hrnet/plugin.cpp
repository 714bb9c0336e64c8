#include "registry/plugin.h"

#include "plugins/backbones/hrnet/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::Hrnet>(
      "HRNet", "Branches of four sizes side by side, w18 to w48, as in mmseg and timm.");
}
