#include "registry/plugin.h"

#include "plugins/backbones/mix_vision_transformer/network.h"

DNC_PLUGIN(registrar) {
  registrar.backbone<dnc::MixVisionTransformer>("MixVisionTransformer",
                                                "The encoder of SegFormer, b0 to b5, as in mmseg.");
}
