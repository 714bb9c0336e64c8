#include "registry/plugin.h"

#include "plugins/datasets/web_dataset/dataset.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::WebDataset>(
      "WebDataset", "Images and labels in tar files, in the layout of WebDataset.", {"TarShards"});
}
