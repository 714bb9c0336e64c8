#include "registry/plugin.h"

#include "plugins/transforms/auto_augment/auto_augment.h"
#include "plugins/transforms/auto_augment/rand_augment.h"
#include "plugins/transforms/auto_augment/trivial_augment.h"

DNC_PLUGIN(registrar) {
  registrar.transform<dnc::AutoAugment>("AutoAugment",
                                        "One of 25 pairs of operations searched for a data set.");
  registrar.transform<dnc::RandAugment>("RandAugment", "Some random operations of one strength.");
  registrar.transform<dnc::TrivialAugment>("TrivialAugment",
                                           "One random operation of any strength.");
}
