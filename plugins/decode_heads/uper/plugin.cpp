#include "registry/plugin.h"

#include "plugins/decode_heads/uper/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::UPer>(
      "UPer", "UPerNet: pyramid pooling and a feature pyramid over all maps, for pixels.",
      {"UPerHead"});
}
