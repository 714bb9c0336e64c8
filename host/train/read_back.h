#pragma once

#include <c10/core/Event.h>
#include <torch/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dnc {

/// Scalars on their way from a device to the host. The copy stands in line behind the work that the
/// device has already; values() waits for the copy alone, not for what the device got after it. So
/// the losses of a step can be read while the next one is computed.
class ReadBack {
 public:
  /// All on one device.
  explicit ReadBack(const std::vector<std::pair<std::string, torch::Tensor>>& scalars);
  /// By name, in the same order.
  std::vector<std::pair<std::string, double>> values() const;

 private:
  std::vector<std::string> names_;
  torch::Tensor host_;                // float64 [scalars]
  std::optional<c10::Event> copied_;  // where there is a device to wait for
};

}  // namespace dnc
