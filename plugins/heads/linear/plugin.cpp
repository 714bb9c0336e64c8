#include "registry/plugin.h"

#include "plugins/heads/linear/network.h"

DNC_PLUGIN(registrar) {
  registrar.head<dnc::LinearHead>(
      "Linear", "Linear classifier with a learned weight for each class.", {"LinearClsHead"});
}
