#include "registry/plugin.h"

#include "plugins/decode_heads/aspp/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::Aspp>(
      "ASPP", "DeepLabV3's pyramid of dilated convolutions, for pixels.", {"ASPPHead"});
  registrar.decode_head<dnc::DepthwiseSeparableAspp>(
      "DepthwiseSeparableASPP",
      "DeepLabV3+: the pyramid with separable convolutions, and the finest map, for pixels.",
      {"DepthwiseSeparableASPPHead"});
}
