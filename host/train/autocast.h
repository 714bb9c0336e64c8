#pragma once

#include <torch/types.h>

#include "host/experiment.h"

namespace dnc {

/// While it lives, operators that are safe in it run in the precision; nothing for float32.
class Autocast {
 public:
  Autocast(Precision precision, torch::Device device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool active_;
  torch::DeviceType device_;
};

}  // namespace dnc
