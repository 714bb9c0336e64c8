#include "registry/plugin.h"

#include "plugins/batch_transforms/random_choice/random_choice.h"

DNC_PLUGIN(registrar) {
  registrar.batch_transform<dnc::RandomBatchChoice>(
      "RandomChoice", "One of several batch transforms for each batch.", {"RandomBatchAugment"});
}
