#include "registry/plugin.h"

#include "plugins/backbones/torch_script/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::TorchScript>("TorchScript",
                                       "A scripted or traced module of PyTorch from a file.");
}
