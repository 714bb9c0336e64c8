#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dnc {

/// What the calls of one operator cost.
struct OperatorCost {
  std::string name;  // "convolution", "addmm", ...
  int64_t calls = 0;
  int64_t multiply_adds = 0;
};

/// Runs `work` and counts the multiply-adds of what it makes this thread's operators do, most
/// expensive operator first. Counted are convolutions, matrix products and attention, by the shapes
/// that LibTorch's operators get, whatever module calls them:
///
///   convolution  N * H_out * W_out * C_out * C_in / groups * kernel height * kernel width
///   product      n * k * m of an n x k by a k x m matrix, times the batch
///   attention    N * heads * L * S * (E + E_v) of L queries and S keys
///
/// Not counted, as is usual: norms, activations, pooling, sums and other operators that work
/// element by element. So the forward pass of one image gives the figures that torchvision
/// publishes as "GFLOPS" and others as "GMACs" (4.09 billion for ResNet-50 at 224 x 224).
std::vector<OperatorCost> count_multiply_adds(const std::function<void()>& work);

/// The sum.
int64_t multiply_adds(const std::vector<OperatorCost>& costs);

}  // namespace dnc
