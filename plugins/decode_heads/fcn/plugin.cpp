#include "registry/plugin.h"

#include "plugins/decode_heads/fcn/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::Fcn>("FCN", "Convolutions in a row, for pixels.", {"FCNHead"});
}
