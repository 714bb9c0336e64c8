#include "ops/blocks.h"

#include <ATen/TensorIterator.h>

namespace dnc {

void parallel(int64_t count, int64_t cost, c10::function_ref<void(int64_t)> body) {
  auto numbers = at::arange(count, torch::kLong);
  const auto run = [&](char** data, const int64_t* strides, int64_t size, int64_t size_outer) {
    for (int64_t outer = 0; outer < size_outer; ++outer) {
      const char* number = data[0] + outer * strides[1];
      for (int64_t i = 0; i < size; ++i, number += strides[0]) {
        body(*reinterpret_cast<const int64_t*>(number));
      }
    }
  };
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / std::max<int64_t>(1, cost));
  at::TensorIterator::nullary_op(numbers).for_each(run, grain);
}

}  // namespace dnc
