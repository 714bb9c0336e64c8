#include "registry/plugin.h"

#include "plugins/datasets/synthetic/dataset.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::SyntheticDataset>(
      "Synthetic", "Drawn pictures of rings whose width and colour are the class: needs no files.");
}
