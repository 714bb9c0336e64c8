#include "registry/plugin.h"

#include "plugins/heads/torch_script/network.h"

DNC_PLUGIN(registrar) {
  registrar.head<dnc::TorchScriptHead>("TorchScript",
                                       "A scripted or traced module of PyTorch from a file.");
}
