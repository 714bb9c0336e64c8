#include "registry/plugin.h"

#include "plugins/datasets/idx/dataset.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::FashionMnist>(
      "FashionMNIST", "Fashion-MNIST: 28 x 28 gray pictures of 10 kinds of clothes, in memory.");
  registrar.dataset<dnc::Mnist>(
      "MNIST", "MNIST's digits, or another data set in IDX files of that form, in memory.");
}
