#include "registry/plugin.h"

#include "plugins/decode_heads/segformer/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::Segformer>(
      "Segformer", "SegFormer's decoder: 1x1 convolutions over all maps, for pixels.",
      {"SegformerHead"});
}
