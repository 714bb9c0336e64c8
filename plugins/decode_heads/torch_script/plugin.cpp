#include "registry/plugin.h"

#include "plugins/decode_heads/torch_script/network.h"

DNC_PLUGIN(registrar) {
  registrar.decode_head<dnc::TorchScriptDecodeHead>(
      "TorchScript", "A scripted or traced module of PyTorch from a file.");
}
