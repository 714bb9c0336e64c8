#include "registry/plugin.h"

#include "plugins/datasets/image_folder/dataset.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::ImageFolder>(
      "ImageFolder", "Image files in one folder for each class, or in a list, decoded when needed.",
      {"ImageNet"});
}
