#include "registry/plugin.h"

#include "plugins/datasets/cifar/dataset.h"

DNC_PLUGIN(registrar) {
  registrar.dataset<dnc::Cifar10>(
      "CIFAR10", "CIFAR-10: 32 x 32 colour pictures of 10 classes, from either archive.");
  registrar.dataset<dnc::Cifar100>(
      "CIFAR100", "CIFAR-100: the same with 100 classes in 20 groups, from either archive.");
}
