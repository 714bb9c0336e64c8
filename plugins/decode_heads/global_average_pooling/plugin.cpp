#include "registry/plugin.h"

#include "plugins/decode_heads/global_average_pooling/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::GlobalAveragePooling>(
      "GlobalAveragePooling",
      "Mean of the last feature map over its pixels: one embedding an image.");
}
