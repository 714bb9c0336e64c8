#include "registry/plugin.h"

#include "plugins/batch_transforms/mixing/cutmix.h"
#include "plugins/batch_transforms/mixing/mixup.h"

DNC_PLUGIN(registrar) {
  registrar.batch_transform<dnc::Mixup>("Mixup", "Blends each image with another one.", {"MixUp"});
  registrar.batch_transform<dnc::CutMix>(
      "CutMix", "Replaces a rectangle of each image by that of another one.", {"Cutmix"});
}
