#include "registry/plugin.h"

#include "plugins/transforms/pixels/normalize.h"
#include "plugins/transforms/pixels/random_erasing.h"

DNC_PLUGIN(registrar) {
  registrar.transform<dnc::Normalize>("Normalize", "Bytes to floats: (x - mean) / std.");
  registrar.transform<dnc::RandomErasing>("RandomErasing", "Fills a random rectangle.");
}
