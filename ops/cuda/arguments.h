#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/types.h>

#include <optional>

#include "ops/cuda/kernels.h"

/// Tensors as the kernels take them.
namespace dnc::cuda {

/// The type by the kernels' name; none where they do not know it.
inline std::optional<Type> type_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return Type::kFloat;
    case at::kHalf:
      return Type::kHalf;
    case at::kBFloat16:
      return Type::kBFloat16;
    default:
      return std::nullopt;
  }
}

inline bool is_float(const at::Tensor& x) { return x.scalar_type() == at::kFloat; }

template <typename T>
const T* data_or_null(const std::optional<at::Tensor>& x) {
  return x ? x->const_data_ptr<T>() : nullptr;
}

/// Makes the device of a tensor the current one while it lives, and says on which stream its
/// kernels run; done() reports a launch that failed.
class Launch {
 public:
  explicit Launch(const at::Tensor& x)
      : guard_(x.device()), stream_(c10::cuda::getCurrentCUDAStream(x.device().index())) {}

  Stream stream() const { return stream_.stream(); }
  void done() const { C10_CUDA_KERNEL_LAUNCH_CHECK(); }

 private:
  c10::cuda::CUDAGuard guard_;
  c10::cuda::CUDAStream stream_;
};

}  // namespace dnc::cuda
