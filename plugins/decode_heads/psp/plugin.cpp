#include "registry/plugin.h"

#include "plugins/decode_heads/psp/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::Psp>("PSP", "PSPNet's pyramid pooling, for pixels.", {"PSPHead"});
}
